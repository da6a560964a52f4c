//! Cards and what they come to. A record says how many of a card somebody has, not how many were added. That of an export
//! says it of a card that is there only if it is the newer one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::catalogue::unknown;
use super::{Work, only};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::features::collections::entity::{owned_card, progress};
use crate::features::collections::rules;
use crate::graphql::ids::Kind;
use crate::transfer::sql;
use crate::write::HistoryKind;

/// What changed for a user in a collection.
#[derive(Default)]
struct Change {
    has_history: bool,
    granted: Map<String, Value>,
    revoked: Map<String, Value>,
    at: Option<Timestamp>,
}

/// Takes cards and what is known of collections.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let facts = work.items(only!(CollectionProgress));
    let items = work.items(only!(OwnedCard));
    if facts.is_empty() && items.is_empty() {
        return Ok(());
    }
    let of_facts =
        facts.iter().filter_map(|item| Some((item.user, *work.known.collections.get(&item.record.collection)?)));
    let of_cards =
        items.iter().filter_map(|item| Some((item.user, work.known.cards.get(&item.record.card)?.collection_id)));
    let pairs: BTreeSet<(i64, i64)> = of_facts.chain(of_cards).collect();
    let mut owned: HashMap<(i64, i64), owned_card::Model> = HashMap::new();
    let mut counts: HashMap<(i64, i64), i32> = HashMap::new();
    for row in sql::with_pairs::<owned_card::Model>(work.transaction, "collection_id", &pairs).await? {
        *counts.entry((row.user_id, row.collection_id)).or_default() += i32::from(row.quantity > 0);
        owned.insert((row.user_id, row.card_id), row);
    }
    let mut stored: BTreeMap<(i64, i64), progress::Model> = BTreeMap::new();
    for row in sql::with_pairs::<progress::Model>(work.transaction, "collection_id", &pairs).await? {
        stored.insert((row.user_id, row.collection_id), row);
    }
    let mut changed_progress = BTreeSet::new();
    let mut claims: BTreeMap<i64, i64> = BTreeMap::new();

    for item in facts {
        let record = item.record;
        let Some(collection_id) = work.known.collections.get(&record.collection).copied() else {
            work.bad(item.at, unknown("collection", &record.collection));
            continue;
        };
        let place = (item.user, collection_id);
        let before = stored.get(&place).cloned();
        let (completed_at, claimed_at) = (record.completed_at.map(|at| at.0), record.reward_claimed_at.map(|at| at.0));
        let at = record.updated_at.map(|at| at.0).or(claimed_at).or(completed_at).unwrap_or(work.now);
        let mut row = before.clone().unwrap_or(progress::Model {
            user_id: item.user,
            collection_id,
            collected_count: 0,
            completed_at: None,
            reward_claimed_at: None,
            updated_at: at,
        });
        row.completed_at = row.completed_at.or(completed_at);
        row.reward_claimed_at = row.reward_claimed_at.or(claimed_at);
        if item.has_history {
            // Cards of an export leave this to the record here.
            row.updated_at = row.updated_at.max(at);
        }
        if before.as_ref() == Some(&row) {
            continue;
        }
        row.updated_at = row.updated_at.max(at);
        let was =
            |what: fn(&progress::Model) -> Option<Timestamp>| before.as_ref().is_some_and(|row| what(row).is_some());
        let (of, subject) = ((item.user, item.has_history), (Kind::Collection, record.collection.as_str()));
        if let Some(at) = row.completed_at
            && !was(|row| row.completed_at)
        {
            let size = work.known.sizes.get(&collection_id).copied().unwrap_or_default();
            work.tell(of, HistoryKind::CollectionCompleted, subject, &json!({ "size": size }), at)?;
        }
        if let Some(at) = row.reward_claimed_at
            && !was(|row| row.reward_claimed_at)
        {
            let Some(reward) = work.known.rewards.get(&collection_id).cloned() else {
                work.bad(item.at, format!("the collection {:?} has no reward to be claimed", record.collection));
                continue;
            };
            if !item.has_history {
                *claims.entry(collection_id).or_default() += 1;
            }
            work.tell(of, HistoryKind::RewardClaimed, subject, &json!({ "reward": reward }), at)?;
        }
        stored.insert(place, row);
        changed_progress.insert(place);
        work.landed(item.at);
    }

    let mut changed_cards = BTreeSet::new();
    let mut changes: BTreeMap<(i64, i64), Change> = BTreeMap::new();
    for item in items {
        let record = item.record;
        let Some((card_id, collection_id)) =
            work.known.cards.get(&record.card).map(|card| (card.id, card.collection_id))
        else {
            work.bad(item.at, unknown("card", &record.card));
            continue;
        };
        let place = (item.user, card_id);
        let before = owned.get(&place);
        let quantity = before.map_or(0, |row| row.quantity);
        if before.is_some() && quantity == record.quantity {
            continue;
        }
        // An export that is older than what is there reverts nothing.
        if item.has_history && before.is_some_and(|row| record.updated_at.is_none_or(|at| at.0 <= row.updated_at)) {
            continue;
        }
        let said = record.updated_at.or(record.first_acquired_at).map(|at| at.0);
        let at = said.unwrap_or(work.now);
        let first = record.first_acquired_at.map_or(at, |at| at.0);
        let row = owned_card::Model {
            user_id: item.user,
            card_id,
            collection_id,
            quantity: record.quantity,
            first_acquired_at: before.map_or(first, |row| row.first_acquired_at),
            updated_at: before.map_or(at, |row| row.updated_at.max(at)),
        };
        owned.insert(place, row);
        changed_cards.insert(place);
        *counts.entry((item.user, collection_id)).or_default() +=
            i32::from(record.quantity > 0) - i32::from(quantity > 0);
        let change = changes.entry((item.user, collection_id)).or_default();
        change.has_history = item.has_history;
        change.at = change.at.max(Some(at));
        let by = record.quantity - quantity;
        let list = if by < 0 { &mut change.revoked } else { &mut change.granted };
        if by != 0 {
            list.insert(record.card.clone(), by.abs().into());
        }
        work.landed(item.at);
    }

    for ((user, collection_id), change) in changes {
        let place = (user, collection_id);
        let at = change.at.unwrap_or(work.now);
        let count = counts.get(&place).copied().unwrap_or_default();
        let size = work.known.sizes.get(&collection_id).copied().unwrap_or_default();
        let window = work.known.window(collection_id);
        let key = work.known.collection_rows.get(&collection_id).map(|row| row.key.clone()).unwrap_or_default();
        let before = stored.get(&place).cloned();
        let mut row = before.clone().unwrap_or(progress::Model {
            user_id: user,
            collection_id,
            collected_count: 0,
            completed_at: None,
            reward_claimed_at: None,
            updated_at: at,
        });
        row.collected_count = count;
        let completed = row.completed_at;
        // Brought along from elsewhere, so the instant of the last card is when it was complete.
        let when = if change.has_history { work.now } else { at };
        row.completed_at = rules::completion(completed, &window, count.into(), size.into(), when);
        if !change.has_history {
            row.updated_at = row.updated_at.max(at);
        }
        let (of, subject) = ((user, change.has_history), (Kind::Collection, key.as_str()));
        for (kind, cards) in [(HistoryKind::CardsGranted, change.granted), (HistoryKind::CardsRevoked, change.revoked)]
        {
            if !cards.is_empty() {
                work.tell(of, kind, subject, &json!({ "cards": cards, "collectedCount": count }), at)?;
            }
        }
        if let (None, Some(at)) = (completed, row.completed_at) {
            work.tell(of, HistoryKind::CollectionCompleted, subject, &json!({ "size": size }), at)?;
        }
        if before.as_ref() != Some(&row) {
            stored.insert(place, row);
            changed_progress.insert(place);
        }
    }
    let rows: Vec<owned_card::Model> = changed_cards.iter().filter_map(|place| owned.get(place).cloned()).collect();
    sql::store(work.transaction, &rows).await?;
    let rows: Vec<progress::Model> = changed_progress.iter().filter_map(|place| stored.get(place).cloned()).collect();
    sql::store(work.transaction, &rows).await?;
    for (collection, claims) in claims {
        sql::count_claims(work.transaction, collection, claims).await?;
    }
    Ok(())
}
