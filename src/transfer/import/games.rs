//! Unlocks and awards, and the summaries that follow from them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;

use super::catalogue::unknown;
use super::{Work, only};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::features::games::entity::{AchievementKind, achievement, summary, unlock};
use crate::features::games::rules::{self, AchievementFacts, Awards, Unlock};
use crate::graphql::ids::Kind;
use crate::transfer::sql;
use crate::write::HistoryKind;

/// How many players are looked at by one statement when a game's achievements changed.
const PLAYERS: i64 = 5000;

/// What some users unlocked in some games.
#[derive(Default)]
struct Players {
    /// By user and achievement.
    unlocks: HashMap<(i64, i64), unlock::Model>,
    /// By user and game.
    summaries: HashMap<(i64, i64), summary::Model>,
    changed_unlocks: BTreeSet<(i64, i64)>,
    /// The games to be summed up, and whether the file brings along what the history says of it.
    touched: BTreeMap<(i64, i64), bool>,
}

impl Players {
    async fn read(work: &Work<'_>, pairs: &BTreeSet<(i64, i64)>) -> Result<Self> {
        let mut players = Self::default();
        for row in sql::with_pairs::<unlock::Model>(work.transaction, "game_id", pairs).await? {
            players.unlocks.insert((row.user_id, row.achievement_id), row);
        }
        for row in sql::with_pairs::<summary::Model>(work.transaction, "game_id", pairs).await? {
            players.summaries.insert((row.user_id, row.game_id), row);
        }
        Ok(players)
    }

    /// Sums up what was touched, and stores what changed.
    async fn store(mut self, work: &mut Work<'_>) -> Result<()> {
        let mut changed = Vec::new();
        for ((user, game), has_history) in std::mem::take(&mut self.touched) {
            let facts: Vec<AchievementFacts> =
                work.known.achievements_of(game).map(|one| facts(one, self.unlocks.get(&(user, one.id)))).collect();
            let before = self.summaries.get(&(user, game));
            let stored = before.map(awards_of).unwrap_or_default();
            let awards = stored.with(rules::awards(&facts));
            let row = summary_of(user, game, &rules::summarise(&facts), &awards);
            for (award, at) in new_awards(&stored, &awards) {
                let key = work.known.game_key(game);
                let changes = json!({ "award": award });
                work.tell((user, has_history), HistoryKind::AwardEarned, (Kind::Game, &key), &changes, at)?;
            }
            if before != Some(&row) {
                changed.push(row);
            }
        }
        let unlocks: Vec<unlock::Model> =
            self.changed_unlocks.iter().filter_map(|place| self.unlocks.get(place).cloned()).collect();
        sql::store(work.transaction, &unlocks).await?;
        sql::store(work.transaction, &changed).await
    }
}

/// Takes unlocks and awards.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let awards = work.items(only!(Awards));
    let unlocks = work.items(only!(Unlock));
    if awards.is_empty() && unlocks.is_empty() {
        return Ok(());
    }
    let of_awards = awards.iter().filter_map(|item| Some((item.user, *work.known.games.get(&item.record.game)?)));
    let of_unlocks = unlocks.iter().filter_map(|item| {
        let achievement = work.known.achievements.get(&item.record.achievement)?;
        Some((item.user, achievement.game_id))
    });
    let pairs: BTreeSet<(i64, i64)> = of_awards.chain(of_unlocks).collect();
    let mut players = Players::read(work, &pairs).await?;

    for item in awards {
        let record = item.record;
        let Some(game) = work.known.games.get(&record.game).copied() else {
            work.bad(item.at, unknown("game", &record.game));
            continue;
        };
        let stored = players.summaries.get(&(item.user, game));
        let before = stored.map(awards_of).unwrap_or_default();
        let after = before.with(Awards {
            beaten: record.beaten_at.map(|at| at.0),
            beaten_hardcore: record.beaten_hardcore_at.map(|at| at.0),
            completed: record.completed_at.map(|at| at.0),
            mastered: record.mastered_at.map(|at| at.0),
        });
        if before == after {
            continue;
        }
        let none = rules::Summary::default();
        let row = summary_of(item.user, game, &none, &after);
        let stored = players.summaries.entry((item.user, game)).or_insert(row);
        set_awards(stored, &after);
        for (award, at) in new_awards(&before, &after) {
            let (of, subject) = ((item.user, item.has_history), (Kind::Game, record.game.as_str()));
            work.tell(of, HistoryKind::AwardEarned, subject, &json!({ "award": award }), at)?;
        }
        players.touched.insert((item.user, game), item.has_history);
        work.landed(item.at);
    }
    // The rows have to be there before what follows from the unlocks is compared with them.
    let awarded: Vec<summary::Model> =
        players.touched.keys().filter_map(|place| players.summaries.get(place).cloned()).collect();
    sql::store(work.transaction, &awarded).await?;

    for item in unlocks {
        let record = item.record;
        let found = work.known.achievements.get(&record.achievement);
        let Some((id, game_id, points)) =
            found.filter(|one| one.published || item.has_history).map(|one| (one.id, one.game_id, one.points))
        else {
            work.bad(item.at, unknown("published achievement", &record.achievement));
            continue;
        };
        let at = record.at.or(record.hardcore_at).map_or(work.now, |at| at.0);
        let hardcore_at = record.hardcore_at.map(|at| at.0).or(record.hardcore.then_some(at));
        let place = (item.user, id);
        let before = players
            .unlocks
            .get(&place)
            .map(|row| Unlock { unlocked_at: row.unlocked_at, unlocked_hardcore_at: row.unlocked_hardcore_at });
        let steps = [(hardcore_at != Some(at)).then_some((false, at)), hardcore_at.map(|at| (true, at))];
        let mut after = before;
        let key = work.known.game_key(game_id);
        for (hardcore, at) in steps.into_iter().flatten() {
            let next = rules::merge_unlock(after, hardcore, at);
            if after != Some(next) {
                after = Some(next);
                let changes = json!({ "game": key, "hardcore": hardcore, "points": points });
                let (of, subject) = ((item.user, item.has_history), (Kind::Achievement, record.achievement.as_str()));
                work.tell(of, HistoryKind::AchievementUnlocked, subject, &changes, at)?;
            }
        }
        let Some(unlock) = after.filter(|_| after != before) else { continue };
        let row = unlock::Model {
            user_id: item.user,
            achievement_id: id,
            game_id,
            unlocked_at: unlock.unlocked_at,
            unlocked_hardcore_at: unlock.unlocked_hardcore_at,
        };
        players.unlocks.insert(place, row);
        players.changed_unlocks.insert(place);
        players.touched.insert((item.user, game_id), item.has_history);
        work.landed(item.at);
    }
    players.store(work).await
}

/// Sums up a game anew for everybody who plays it, after its achievements changed. Histories do not tell of it.
pub(super) async fn score_again(work: &mut Work<'_>, game: i64) -> Result<()> {
    let mut behind = 0;
    loop {
        let users = sql::players(work.transaction, game, behind, PLAYERS).await?;
        let Some(last) = users.last() else { return Ok(()) };
        behind = *last;
        let pairs: BTreeSet<(i64, i64)> = users.into_iter().map(|user| (user, game)).collect();
        let mut players = Players::read(work, &pairs).await?;
        players.touched = pairs.into_iter().map(|pair| (pair, true)).collect();
        players.store(work).await?;
    }
}

fn facts(achievement: &achievement::Model, unlock: Option<&unlock::Model>) -> AchievementFacts {
    AchievementFacts {
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
}

const fn awards_of(row: &summary::Model) -> Awards {
    Awards {
        beaten: row.beaten_at,
        beaten_hardcore: row.beaten_hardcore_at,
        completed: row.completed_at,
        mastered: row.mastered_at,
    }
}

const fn set_awards(row: &mut summary::Model, awards: &Awards) {
    row.beaten_at = awards.beaten;
    row.beaten_hardcore_at = awards.beaten_hardcore;
    row.completed_at = awards.completed;
    row.mastered_at = awards.mastered;
}

const fn summary_of(user_id: i64, game_id: i64, summary: &rules::Summary, awards: &Awards) -> summary::Model {
    summary::Model {
        user_id,
        game_id,
        num_achieved: summary.score.num_achieved,
        score_achieved: summary.score.score_achieved,
        num_achieved_hardcore: summary.score.num_achieved_hardcore,
        score_achieved_hardcore: summary.score.score_achieved_hardcore,
        first_unlocked_at: summary.first_unlocked_at,
        last_unlocked_at: summary.last_unlocked_at,
        beaten_at: awards.beaten,
        beaten_hardcore_at: awards.beaten_hardcore,
        completed_at: awards.completed,
        mastered_at: awards.mastered,
    }
}

/// The awards in `after` that were not in `before`, by their names in the history.
fn new_awards(before: &Awards, after: &Awards) -> Vec<(&'static str, Timestamp)> {
    let awards = [
        ("BEATEN", before.beaten, after.beaten),
        ("BEATEN_HARDCORE", before.beaten_hardcore, after.beaten_hardcore),
        ("COMPLETED", before.completed, after.completed),
        ("MASTERED", before.mastered, after.mastered),
    ];
    awards.into_iter().filter_map(|(name, before, after)| Some((name, after.filter(|_| before.is_none())?))).collect()
}
