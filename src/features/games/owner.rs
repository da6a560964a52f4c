//! What becomes of a user's games when the user is merged into another one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;

use super::Games;
use super::entity::{summary, unlock};
use super::repo::{self, Achieved};
use super::rules::{self, Held, HeldAwards, Unlock};
use waymark_db::owner::Merger;
use waymark_kernel::error::Result;
use waymark_vocabulary::ids::Kind;
use waymark_write::{HistoryKind, Unit};

/// Hands unlocks over, of two the earlier in each mode, and sums up anew what they come to. Of an award of both the
/// earlier stays as it is; the history tells of those that neither had.
pub async fn merge(unit: &mut Unit<'_>, merger: Merger) -> Result<()> {
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
    // Of the awards of both the earlier, with what it rests on.
    let mut awards: BTreeMap<i64, HeldAwards> = BTreeMap::new();
    for ((user, game), held) in repo::held_by(transaction, vec![merger.from, into]).await? {
        for (place, held) in awards.entry(game).or_default().iter_mut().zip(held) {
            let is_better = |held: &Held| match &place {
                Some(there) => held.at < there.at || (held.at == there.at && user == into),
                None => true,
            };
            if held.as_ref().is_some_and(is_better) {
                *place = held;
            }
        }
    }
    repo::forget_grounds(transaction, vec![merger.from, into]).await?;
    merger.rows::<summary::Entity, _>(transaction, |row| row.user_id = into, |row| row.game_id, |own, _| own).await?;
    let games = unit.catalogue::<Games>()?;
    let played: BTreeSet<i64> = unlocks.iter().map(|row| row.game_id).chain(awards.keys().copied()).collect();
    let unlocks: HashMap<i64, Unlock> = unlocks
        .into_iter()
        .map(|row| {
            let unlock = Unlock { unlocked_at: row.unlocked_at, unlocked_hardcore_at: row.unlocked_hardcore_at };
            (row.achievement_id, unlock)
        })
        .collect();
    let (mut summaries, mut grounds) = (Vec::with_capacity(played.len()), Vec::with_capacity(played.len()));
    for game in played.into_iter().filter_map(|id| games.by_id(id)) {
        let before = awards.remove(&game.id).unwrap_or_default();
        let facts = game.facts(|id| unlocks.get(&id).copied());
        let after = rules::with_earned(&before, &facts);
        for (award, at) in rules::new_awards(&before, &after) {
            let changes = json!({ "award": award.as_str() });
            unit.record_at(into, HistoryKind::AwardEarned, (Kind::Game, &game.key), &changes, at)?;
        }
        summaries.push((into, Achieved::of(game.id, &facts, &after)));
        grounds.push(((into, game.id), HeldAwards::default(), after));
    }
    repo::store_grounds(transaction, unit.stores(), grounds).await?;
    repo::store_summaries(unit.stores(), summaries);
    unit.flush().await
}
