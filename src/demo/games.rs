//! Demo games with their achievements, and how users play them.

use std::collections::BTreeMap;

use serde_json::json;

use super::days;
use super::dice::Dice;
use super::page::{Actor, Page};
use super::rows::Rows;
use waymark_games::entity::{AchievementKind, achievement, game, summary, unlock};
use waymark_games::rules;
use waymark_games::rules::AchievementFacts;
use waymark_kernel::clock::Timestamp;
use waymark_write::HistoryKind;

/// A game with a given number of published achievements and their points together, and some unpublished ones.
struct Special {
    key: &'static str,
    title: &'static str,
    platform: &'static str,
    published: i32,
    score: i32,
    unpublished: i32,
}

const SPECIAL: [Special; 4] = [
    Special { key: "1", title: "Emerald Sprint", platform: "Mega Drive", published: 23, score: 251, unpublished: 2 },
    Special { key: "2", title: "Harbour Patrol", platform: "Mega Drive", published: 22, score: 320, unpublished: 3 },
    Special { key: "3", title: "Night Courier", platform: "Mega Drive", published: 23, score: 335, unpublished: 2 },
    Special { key: "14402", title: "Quarter Mile", platform: "Atari 2600", published: 24, score: 255, unpublished: 3 },
];

const PLAIN: [(&str, &str); 36] = [
    ("Lantern Keepers", "PC"),
    ("Copper Canyon", "SNES"),
    ("Tidebreaker", "PlayStation"),
    ("The Clockmaker's Apprentice", "PC"),
    ("Mossgate", "Game Boy"),
    ("Starfall Tactics", "Game Boy Advance"),
    ("Paper Dragons", "Nintendo DS"),
    ("Hollow Orchard", "PC"),
    ("Turbo Alley", "Arcade"),
    ("Glass Citadel", "PlayStation"),
    ("Beacon Hill", "NES"),
    ("Salt and Silver", "PC"),
    ("Wren's Flight", "Game Boy"),
    ("Deep Signal", "PC"),
    ("Kettle Ridge Rally", "PlayStation"),
    ("Moonlit Bakery", "Nintendo DS"),
    ("Iron Ferry", "Master System"),
    ("Cinder Valley", "SNES"),
    ("Pocket Orchestra", "Game Boy Color"),
    ("Northern Post", "PC"),
    ("Gravel Kings", "Arcade"),
    ("The Last Greenhouse", "PC"),
    ("Rook and Raven", "NES"),
    ("Velvet Circuit", "Saturn"),
    ("Skyline Gardeners", "PC"),
    ("Thimble Quest", "Game Boy Color"),
    ("Frostline", "Mega Drive"),
    ("Harvest of Bells", "SNES"),
    ("Quiet Machines", "PC"),
    ("Bramble & Bolt", "PlayStation 2"),
    ("Sunken Library", "GameCube"),
    ("Meridian 9", "PC"),
    ("Tin Parade", "Game Boy Advance"),
    ("Cobalt Run", "Arcade"),
    ("Windmill Island", "Nintendo 64"),
    ("Echo Lake", "PC"),
];

const DEEDS: [&str; 12] = [
    "First", "Hidden", "Flawless", "Swift", "Patient", "Fearless", "Curious", "Golden", "Silent", "Stubborn", "Lucky",
    "Final",
];
const THINGS: [&str; 13] = [
    "Steps",
    "Door",
    "Victory",
    "Passage",
    "Collector",
    "Encounter",
    "Detour",
    "Harvest",
    "Escape",
    "Witness",
    "Duel",
    "Secret",
    "Farewell",
];
const PLAIN_POINTS: [i32; 8] = [1, 2, 3, 5, 5, 10, 10, 25];

/// How a user plays a game.
#[derive(Debug, Clone)]
pub(super) struct Play {
    /// Place of the game in the catalogue.
    pub(super) game: usize,
    /// How much of it they unlock, in percent of its achievements, and how much of it in hardcore mode.
    pub(super) unlocked: i64,
    pub(super) hardcore: i64,
    /// Whether they leave some achievements out on the way.
    pub(super) skips: bool,
}

/// The games of the demo catalogue, each with its achievements.
#[derive(Debug)]
pub(super) struct Games(Vec<(game::Model, Vec<achievement::Model>)>);

/// The games as seen from `day`.
pub(super) fn catalogue(day: Timestamp) -> Games {
    let at = days(day, -500);
    let mut next_achievement = 1;
    let mut add = |id: i64, key: String, title: &str, platform: &str, points: Vec<i32>, published: i32, style: i64| {
        let game_id = id;
        let achievements: Vec<_> = points
            .into_iter()
            .zip(1..)
            .map(|(points, position)| {
                let (deed, thing) =
                    (DEEDS[place(id + i64::from(position), 12)], THINGS[place(id + 5 * i64::from(position), 13)]);
                next_achievement += 1;
                achievement::Model {
                    id: next_achievement - 1,
                    key: format!("{key}-{position:02}"),
                    game_id,
                    position,
                    title: format!("{deed} {thing}"),
                    description: format!("{} in {title}.", task(position)),
                    badge: None,
                    points,
                    kind: kind(style, position),
                    published: position <= published,
                    created_at: at,
                    updated_at: at,
                }
            })
            .collect();
        let possible = rules::possible(&facts(&achievements, &BTreeMap::new()));
        let game = game::Model {
            id,
            number: key.parse().ok(),
            key,
            title: title.to_owned(),
            platform: Some(platform.to_owned()),
            description: String::new(),
            image: None,
            num_possible: possible.num_possible,
            possible_score: possible.possible_score,
            created_at: at,
            updated_at: at,
            retired_at: None,
        };
        (game, achievements)
    };

    let mut games = Vec::new();
    for (special, id) in SPECIAL.iter().zip(1..) {
        let mut all_points = points(special.published, special.score);
        all_points.extend((0..special.unpublished).map(|_| 5));
        games.push(add(id, special.key.to_owned(), special.title, special.platform, all_points, special.published, 0));
    }
    for ((title, platform), place) in PLAIN.into_iter().zip(0_i64..) {
        // 25 to 36 achievements, of which up to three at the end are not published.
        let count = i32::try_from(25 + place * 7 % 12).unwrap_or_default();
        let published = count - i32::try_from(place % 4).unwrap_or_default();
        // The first and the last are known by name only, so that some games have no number.
        let key = match place {
            0 => "lantern-keepers".to_owned(),
            35 => "echo-lake".to_owned(),
            _ => (100 + place).to_string(),
        };
        let all_points = PLAIN_POINTS.into_iter().cycle().take(usize::try_from(count).unwrap_or_default()).collect();
        games.push(add(5 + place, key, title, platform, all_points, published, place % 5));
    }
    Games(games)
}

/// What achievements of a game mean: in most games five mark the way and two are an end; in some there is only one of
/// the two, and in some neither, so that they cannot be beaten.
fn kind(style: i64, position: i32) -> AchievementKind {
    match position {
        1 | 4 | 7 | 10 | 13 if style != 2 && style != 4 => AchievementKind::Progression,
        14 | 15 if style != 1 && style != 4 => AchievementKind::WinCondition,
        _ => AchievementKind::Standard,
    }
}

fn task(position: i32) -> &'static str {
    match position % 5 {
        0 => "Do without any help what others need three tries for",
        1 => "Reach the next chapter",
        2 => "Find what nobody told you about",
        3 => "Finish a level faster than its author",
        _ => "Leave nothing behind on the way",
    }
}

/// `count` points that are `total` together, each at least 1 where that is possible.
fn points(count: i32, total: i32) -> Vec<i32> {
    let weights: Vec<i32> = [1, 1, 2, 2, 3, 5].into_iter().cycle().take(usize::try_from(count).unwrap_or(0)).collect();
    let sum = weights.iter().sum::<i32>().max(1);
    let mut points: Vec<i32> = weights.iter().map(|weight| total * weight / sum).collect();
    let missing = total - points.iter().sum::<i32>();
    // Less than one point per achievement was cut off.
    for point in points.iter_mut().rev().take(usize::try_from(missing).unwrap_or(0)) {
        *point += 1;
    }
    points
}

fn facts(achievements: &[achievement::Model], unlocks: &BTreeMap<i64, rules::Unlock>) -> Vec<AchievementFacts> {
    achievements
        .iter()
        .map(|achievement| {
            let unlock = unlocks.get(&achievement.id);
            AchievementFacts {
                id: achievement.id,
                kind: match achievement.kind {
                    AchievementKind::Standard => rules::AchievementKind::Standard,
                    AchievementKind::Progression => rules::AchievementKind::Progression,
                    AchievementKind::WinCondition => rules::AchievementKind::WinCondition,
                },
                points: achievement.points,
                published: achievement.published,
                unlocked_at: unlock.map(|unlock| unlock.unlocked_at),
                unlocked_hardcore_at: unlock.and_then(|unlock| unlock.unlocked_hardcore_at),
            }
        })
        .collect()
}

/// What a user's unlocks in a game come to, as it is stored.
pub(super) fn summary(
    user_id: i64,
    game_id: i64,
    achievements: &[achievement::Model],
    unlocks: &BTreeMap<i64, rules::Unlock>,
) -> summary::Model {
    let facts = facts(achievements, unlocks);
    let rules::Summary { score, first_unlocked_at, last_unlocked_at } = rules::summarise(&facts);
    let awards = rules::awards(&facts);
    summary::Model {
        user_id,
        game_id,
        num_achieved: score.num_achieved,
        score_achieved: score.score_achieved,
        num_achieved_hardcore: score.num_achieved_hardcore,
        score_achieved_hardcore: score.score_achieved_hardcore,
        first_unlocked_at,
        last_unlocked_at,
        beaten_at: awards.beaten,
        beaten_hardcore_at: awards.beaten_hardcore,
        completed_at: awards.completed,
        mastered_at: awards.mastered,
    }
}

impl Games {
    /// Adds the games to the catalogue's rows.
    pub(super) fn insert(&self, rows: &mut Rows) {
        for (game, achievements) in &self.0 {
            rows.games.push(game.clone());
            rows.achievements.extend(achievements.iter().cloned());
        }
    }

    /// How many games there are.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// The place of the game with this key.
    pub(super) fn place(&self, key: &str) -> Option<usize> {
        self.0.iter().position(|(game, _)| game.key == key)
    }

    /// Lets the user of `page` play a game.
    pub(super) fn play(&self, page: &mut Page<'_>, play: &Play, dice: &mut Dice) {
        let Some((game, achievements)) = self.0.get(play.game) else { return };
        let published: Vec<_> = achievements.iter().filter(|achievement| achievement.published).collect();
        let part = |percent: i64| published.len() * usize::try_from(percent.clamp(0, 100)).unwrap_or_default() / 100;
        let mut unlocked: Vec<_> = published.iter().take(part(play.unlocked)).copied().collect();
        let hardcore = part(play.hardcore.min(play.unlocked));
        if play.skips {
            unlocked.retain(|_| dice.chance(85));
        }
        if unlocked.is_empty() {
            return;
        }
        // Some were unlocked before they were taken out of the set, and count no more.
        let withdrawn = achievements.iter().find(|achievement| !achievement.published);
        unlocked.extend(withdrawn.filter(|_| play.skips && dice.chance(10)));

        let begun = page.person.joined_at.plus_seconds(3600);
        let begun = begun.plus_millis(dice.below(page.day.millis_since(begun) * 9 / 10));
        let until = days(begun, 45).min(page.day);
        let times = dice.instants(unlocked.len(), begun, until);
        let mut unlocks = BTreeMap::new();
        for ((achievement, at), place) in unlocked.into_iter().zip(times).zip(0..) {
            let in_hardcore = place < hardcore;
            // Some are unlocked the easy way first.
            let easy_first = in_hardcore && dice.chance(25);
            let mut unlock = rules::merge_unlock(None, in_hardcore && !easy_first, at);
            self.tell_unlock(page, game, achievement, in_hardcore && !easy_first, at);
            if easy_first {
                let again = at.plus_millis(1 + dice.below(page.day.millis_since(at) - 1));
                unlock = rules::merge_unlock(Some(unlock), true, again);
                self.tell_unlock(page, game, achievement, true, again);
            }
            page.rows.unlocks.push(unlock::Model {
                user_id: page.id(),
                achievement_id: achievement.id,
                game_id: game.id,
                unlocked_at: unlock.unlocked_at,
                unlocked_hardcore_at: unlock.unlocked_hardcore_at,
            });
            unlocks.insert(achievement.id, unlock);
        }

        let summary = summary(page.id(), game.id, achievements, &unlocks);
        for (award, at) in [
            ("BEATEN", summary.beaten_at),
            ("BEATEN_HARDCORE", summary.beaten_hardcore_at),
            ("COMPLETED", summary.completed_at),
            ("MASTERED", summary.mastered_at),
        ] {
            if let Some(at) = at {
                let changes = json!({ "award": award });
                page.tell(at, HistoryKind::AwardEarned, Actor::App, "game", &game.key, changes);
            }
        }
        page.rows.game_summaries.push(summary);
    }

    fn tell_unlock(
        &self,
        page: &mut Page<'_>,
        game: &game::Model,
        achievement: &achievement::Model,
        hardcore: bool,
        at: Timestamp,
    ) {
        let changes = json!({ "game": game.key, "hardcore": hardcore, "points": achievement.points });
        page.tell(at, HistoryKind::AchievementUnlocked, Actor::App, "achievement", &achievement.key, changes);
    }
}

fn place(number: i64, len: i64) -> usize {
    usize::try_from(number % len).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_add_up_to_their_total() {
        for (count, total) in [(23, 251), (22, 320), (23, 335), (24, 255), (1, 7)] {
            let points = points(count, total);
            assert_eq!((points.len(), points.iter().sum::<i32>()), (usize::try_from(count).unwrap(), total));
            assert!(points.iter().all(|point| *point >= 1));
        }
    }

    #[test]
    fn there_are_40_games_with_1200_achievements() {
        let games = catalogue(Timestamp::from_millis(1_780_000_000_000));
        assert_eq!(games.len(), 40);
        assert_eq!(games.0.iter().map(|(_, achievements)| achievements.len()).sum::<usize>(), 1200);
        let possible = |key| {
            let (game, _) = &games.0[games.place(key).unwrap()];
            (game.number, game.num_possible, game.possible_score)
        };
        assert_eq!(possible("1"), (Some(1), 23, 251));
        assert_eq!(possible("2"), (Some(2), 22, 320));
        assert_eq!(possible("3"), (Some(3), 23, 335));
        assert_eq!(possible("14402"), (Some(14402), 24, 255));
        assert_eq!(possible("lantern-keepers").0, None);
    }
}
