//! Demo games with their achievements, and how users play them.

use std::collections::BTreeMap;

use serde_json::json;

use super::dice::Dice;
use super::page::{Actor, Page};
use super::{at, days};
use waymark_kernel::clock::Timestamp;
use waymark_kinds::games::rules;
use waymark_kinds::games::rules::AchievementFacts;
use waymark_transfer::records::{Achievement, AchievementKind, At, Awards, Game, Record, Unlock};
use waymark_vocabulary::HistoryKind;

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
pub(super) struct Games(Vec<(Game, Vec<Achievement>)>);

/// The games as seen from `day`.
pub(super) fn catalogue(day: Timestamp) -> Games {
    let made_at = at(days(day, -500));
    let add = |id: i64, key: String, title: &str, platform: &str, points: Vec<i32>, published: i32, style: i64| {
        let achievements = points.into_iter().zip(1..).map(|(points, position)| {
            let (deed, thing) =
                (DEEDS[place(id + i64::from(position), 12)], THINGS[place(id + 5 * i64::from(position), 13)]);
            Achievement {
                key: format!("{key}-{position:02}"),
                game: key.clone(),
                position,
                title: format!("{deed} {thing}"),
                description: format!("{} in {title}.", task(position)),
                badge: None,
                points,
                kind: kind(style, position),
                published: position <= published,
                created_at: made_at,
                updated_at: made_at,
            }
        });
        let achievements = achievements.collect();
        let game = Game {
            retired_at: None,
            number: key.parse().ok(),
            key,
            title: title.to_owned(),
            platform: Some(platform.to_owned()),
            description: String::new(),
            image: None,
            created_at: made_at,
            updated_at: made_at,
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

impl Games {
    /// The records of the games.
    pub(super) fn records(&self) -> impl Iterator<Item = Record> {
        let games = self.0.iter().map(|(game, _)| Record::Game(game.clone()));
        games.chain(self.0.iter().flat_map(|(_, all)| all.iter().cloned().map(Record::Achievement)))
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
        for ((achievement, now), place) in unlocked.into_iter().zip(times).zip(0..) {
            let in_hardcore = place < hardcore;
            // Some are unlocked the easy way first.
            let easy_first = in_hardcore && dice.chance(25);
            tell_unlock(page, achievement, in_hardcore && !easy_first, now);
            let mut hardcore_at = Some(now).filter(|_| in_hardcore);
            if easy_first {
                let again = now.plus_millis(1 + dice.below(page.day.millis_since(now) - 1));
                hardcore_at = Some(again);
                tell_unlock(page, achievement, true, again);
            }
            page.records.push(Record::Unlock(Unlock {
                user: page.ulid.clone(),
                game: None,
                achievement: achievement.key.clone(),
                at: at(now),
                hardcore: false,
                hardcore_at: hardcore_at.map(At),
            }));
            unlocks.insert(achievement.position, (now, hardcore_at));
        }
        award(page, game, achievements, &unlocks);
    }
}

fn tell_unlock(page: &mut Page<'_>, achievement: &Achievement, hardcore: bool, at: Timestamp) {
    let changes = json!({ "game": achievement.game, "hardcore": hardcore, "points": achievement.points });
    page.tell(at, HistoryKind::AchievementUnlocked, Actor::App, "achievement", &achievement.key, changes);
}

/// Gives the user of `page` the awards that follow from unlocks, which stand under the positions of their achievements,
/// each with its date and that in hardcore mode.
fn award(
    page: &mut Page<'_>,
    game: &Game,
    achievements: &[Achievement],
    unlocks: &BTreeMap<i32, (Timestamp, Option<Timestamp>)>,
) {
    let facts = achievements.iter().map(|achievement| {
        let unlock = unlocks.get(&achievement.position);
        AchievementFacts {
            id: achievement.position.into(),
            kind: achievement.kind,
            points: achievement.points,
            published: achievement.published,
            unlocked_at: unlock.map(|(at, _)| *at),
            unlocked_hardcore_at: unlock.and_then(|(_, at)| *at),
        }
    });
    let earned = rules::awards(&facts.collect::<Vec<_>>());
    let awards = [
        ("BEATEN", earned.beaten),
        ("BEATEN_HARDCORE", earned.beaten_hardcore),
        ("COMPLETED", earned.completed),
        ("MASTERED", earned.mastered),
    ];
    for (award, at) in awards {
        if let Some(at) = at {
            page.tell(at, HistoryKind::AwardEarned, Actor::App, "game", &game.key, json!({ "award": award }));
        }
    }
    if earned.beaten.or(earned.completed).is_some() {
        page.records.push(Record::Awards(Awards {
            user: page.ulid.clone(),
            game: game.key.clone(),
            beaten_at: earned.beaten.map(At),
            beaten_hardcore_at: earned.beaten_hardcore.map(At),
            completed_at: earned.completed.map(At),
            mastered_at: earned.mastered.map(At),
            ..Awards::default()
        }));
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
            let (game, achievements) = &games.0[games.place(key).unwrap()];
            let published = achievements.iter().filter(|achievement| achievement.published);
            (game.number, published.clone().count(), published.map(|achievement| achievement.points).sum::<i32>())
        };
        assert_eq!(possible("1"), (Some(1), 23, 251));
        assert_eq!(possible("2"), (Some(2), 22, 320));
        assert_eq!(possible("3"), (Some(3), 23, 335));
        assert_eq!(possible("14402"), (Some(14402), 24, 255));
        assert_eq!(possible("lantern-keepers").0, None);
    }
}
