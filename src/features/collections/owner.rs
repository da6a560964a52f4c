//! What becomes of a user's collections when the user is merged into another one.

use std::collections::HashMap;

use serde_json::json;

use super::entity::{owned_card, progress};
use super::repo;
use super::{Collections, rules};
use waymark_db::owner::Merger;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_vocabulary::ids::Kind;
use waymark_write::{HistoryKind, Unit};

/// Hands cards over, whose quantities add up, and sums up anew how far each collection has come. Of two claims of one
/// reward the earlier stays, and the other is as if it had never been.
pub async fn merge(unit: &mut Unit<'_>, merger: Merger) -> Result<()> {
    let (transaction, into, now) = (unit.transaction(), merger.into, unit.now);
    let cards = merger
        .rows::<owned_card::Entity, _>(
            transaction,
            |row| row.user_id = into,
            |row| row.card_id,
            |own, other| owned_card::Model {
                quantity: own.quantity.saturating_add(other.quantity),
                first_acquired_at: own.first_acquired_at.min(other.first_acquired_at),
                updated_at: own.updated_at.max(other.updated_at),
                ..own
            },
        )
        .await?;
    let mut claimed_twice = Vec::new();
    let stored = merger
        .rows::<progress::Entity, _>(
            transaction,
            |row| row.user_id = into,
            |row| row.collection_id,
            |own, other| {
                if own.reward_claimed_at.is_some() && other.reward_claimed_at.is_some() {
                    claimed_twice.push(own.collection_id);
                }
                let is_better = |at: Timestamp| own.completed_at.is_none_or(|own| at < own);
                let (completed_at, completed_told) = match other.completed_at.filter(|at| is_better(*at)) {
                    Some(at) => (Some(at), other.completed_told),
                    None => (own.completed_at, own.completed_told),
                };
                progress::Model {
                    completed_at,
                    completed_told,
                    reward_claimed_at: own.reward_claimed_at.into_iter().chain(other.reward_claimed_at).min(),
                    updated_at: own.updated_at.max(other.updated_at),
                    ..own
                }
            },
        )
        .await?;
    let collections = unit.catalogue::<Collections>()?;
    let mut got: HashMap<i64, Vec<Timestamp>> = HashMap::new();
    for card in cards.iter().filter(|card| card.quantity > 0 && collections.counts(card.card_id)) {
        got.entry(card.collection_id).or_default().push(card.first_acquired_at);
    }
    let mut progress = Vec::with_capacity(stored.len());
    for row in stored {
        let Some(collection) = collections.by_id(row.collection_id) else { continue };
        let got = got.remove(&row.collection_id).unwrap_or_default();
        let collected_count = i32::try_from(got.len()).unwrap_or(i32::MAX);
        let (window, size) = (collection.window(), i64::from(collection.size()));
        // What two had together is completed by the dates of all their cards, also when the collection is over.
        let completed_at = rules::completion_by_cards(row.completed_at, &window, got.into_iter(), size, now);
        if let Some(at) = completed_at.filter(|at| *at <= now && row.completed_at.is_none_or(|before| before > now)) {
            let subject = (Kind::Collection, collection.row.key.as_str());
            unit.record_at(into, HistoryKind::CollectionCompleted, subject, &json!({ "size": size }), at)?;
        }
        progress.push(progress::Model { collected_count, completed_at, updated_at: now, ..row });
    }
    repo::store_progress(transaction, &progress).await?;
    repo::unclaim(transaction, claimed_twice).await
}
