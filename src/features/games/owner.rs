//! What becomes of a user's games when the user is merged into another one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;

use super::entity::{summary, unlock};
use super::repo::{self, Achieved};
use super::rules::{self, AchievementFacts, Awards, Unlock};
use super::{Game, Games};
use crate::db::bulk::Stores;
use crate::db::owner::Merger;
use crate::error::Result;
use crate::graphql::ids::Kind;
use crate::write::{HistoryKind, Unit};

/// Hands unlocks over, of two the earlier in each mode, and sums up anew what they come to. An award has the earliest of its
/// dates; the history tells of those that neither had.
pub(crate) async fn merge(unit: &mut Unit<'_>, merger: Merger) -> Result<()> {
    let (transaction, into) = (unit.transaction(), merger.into);
    let unlocks = merger
        .rows::<unlock::Entity, _>(
            transaction,
            |row| row.user_id = into,
            |row| row.achievement_id,
            |own, other| unlock::Model {
                unlocked_at: own.unlocked_at.min(other.unlocked_at),
                unlocked_hardcore_at: own.unlocked_hardcore_at.into_iter().chain(other.unlocked_hardcore_at).min(),
                ..own
            },
        )
        .await?;
    let mut awards: BTreeMap<i64, Awards> = BTreeMap::new();
    let summaries = merger
        .rows::<summary::Entity, _>(
            transaction,
            |row| row.user_id = into,
            |row| row.game_id,
            |own, other| {
                awards.insert(own.game_id, awards_of(&own).earliest(awards_of(&other)));
                own
            },
        )
        .await?;
    for summary in &summaries {
        awards.entry(summary.game_id).or_insert_with(|| awards_of(summary));
    }
    let games = unit.catalogue::<Games>()?;
    let played: BTreeSet<i64> = unlocks.iter().map(|row| row.game_id).chain(awards.keys().copied()).collect();
    let unlocks: HashMap<i64, Unlock> = unlocks
        .into_iter()
        .map(|row| {
            let unlock = Unlock { unlocked_at: row.unlocked_at, unlocked_hardcore_at: row.unlocked_hardcore_at };
            (row.achievement_id, unlock)
        })
        .collect();
    let mut summaries = Vec::with_capacity(played.len());
    for game in played.into_iter().filter_map(|id| games.by_id(id)) {
        let stored = awards.get(&game.id).copied().unwrap_or_default();
        let achieved = achieved(game, &unlocks, stored);
        for (award, _) in rules::new_awards(&stored, &achieved.awards) {
            unit.record(into, HistoryKind::AwardEarned, (Kind::Game, &game.key), &json!({ "award": award }))?;
        }
        summaries.push((into, achieved));
    }
    let mut stores = Stores::default();
    repo::store_summaries(&mut stores, summaries);
    stores.flush(transaction, None).await
}

const fn awards_of(row: &summary::Model) -> Awards {
    Awards {
        beaten: row.beaten_at,
        beaten_hardcore: row.beaten_hardcore_at,
        completed: row.completed_at,
        mastered: row.mastered_at,
    }
}

fn achieved(game: &Game, unlocks: &HashMap<i64, Unlock>, awards: Awards) -> Achieved {
    let facts: Vec<AchievementFacts> = game
        .achievements
        .iter()
        .map(|achievement| {
            let unlock = unlocks.get(&achievement.id);
            AchievementFacts {
                kind: achievement.kind.into(),
                points: achievement.points,
                published: true,
                unlocked_at: unlock.map(|unlock| unlock.unlocked_at),
                unlocked_hardcore_at: unlock.and_then(|unlock| unlock.unlocked_hardcore_at),
            }
        })
        .collect();
    let summary = rules::summarise(&facts);
    Achieved {
        game_id: game.id,
        score: summary.score,
        first_unlocked_at: summary.first_unlocked_at,
        last_unlocked_at: summary.last_unlocked_at,
        awards: awards.earliest(rules::awards(&facts)),
    }
}
