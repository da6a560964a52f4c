//! Deleting collections and cards with which nobody has progress.

use super::entity::{card, collection, progress, reward};
use super::operate::complete;
use super::repo;
use waymark_db::rows;
use waymark_kernel::error::Result;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::UserErrorCode;
use waymark_write::{Deletable, Deleted, Deletion, Origin, Unit};

/// What can be deleted, type by type.
pub const DELETIONS: &[Deletion] = &[
    Deletion {
        kind: Kind::Collection,
        unknown: UserErrorCode::UnknownCollection,
        action: "DELETE_COLLECTION",
        against: |unit, key| Box::pin(async move { Ok(deletable_collection(unit, key).await?.err()) }),
        delete: |unit, key| Box::pin(collection(unit, key)),
    },
    Deletion {
        kind: Kind::Card,
        unknown: UserErrorCode::UnknownCard,
        action: "DELETE_CARD",
        against: |unit, key| Box::pin(async move { Ok(deletable_card(unit, key).await?.err()) }),
        delete: |unit, key| Box::pin(card(unit, key)),
    },
];

/// Returns the collection with this key, if nobody has progress with it.
///
/// # Errors
/// When the database fails.
async fn deletable_collection(unit: &Unit<'_>, key: &str) -> Result<Deletable<collection::Model>> {
    let transaction = unit.transaction();
    let Some(row) = rows::by_key::<collection::Model>(transaction, key).await? else {
        return Ok(Err(Deleted::Unknown));
    };
    Ok(if repo::is_collected(transaction, row.id).await? { Err(Deleted::IN_PROGRESS) } else { Ok(row) })
}

/// Deletes a collection, of which nobody owns a card, with its cards and its reward.
///
/// # Errors
/// When the database fails.
async fn collection(unit: &Unit<'_>, key: &str) -> Result<Deleted> {
    let transaction = unit.transaction();
    let id = match deletable_collection(unit, key).await? {
        Ok(row) => [row.id],
        Err(stays) => return Ok(stays),
    };
    let cards = rows::with_int::<card::Model>(transaction, "collection_id", &id).await?;
    repo::remove_cards(transaction, cards.into_iter().map(|card| card.id).collect()).await?;
    // Those whose cards were removed left rows of zeros behind.
    rows::remove::<progress::Model>(transaction, "collection_id", &id).await?;
    rows::remove::<reward::Model>(transaction, "collection_id", &id).await?;
    rows::remove::<collection::Model>(transaction, "id", &id).await?;
    Ok(Deleted::Done)
}

/// Returns the card with this key, if nobody owns it.
///
/// # Errors
/// When the database fails.
async fn deletable_card(unit: &Unit<'_>, key: &str) -> Result<Deletable<card::Model>> {
    let transaction = unit.transaction();
    let Some(row) = rows::by_key::<card::Model>(transaction, key).await? else { return Ok(Err(Deleted::Unknown)) };
    let owned = repo::owned_by_anybody(transaction, &[row.id]).await?;
    Ok(if owned.is_empty() { Ok(row) } else { Err(Deleted::IN_PROGRESS) })
}

/// Deletes a card. Who owns all the others has completed the collection by that, if it runs.
///
/// # Errors
/// When the database fails.
async fn card(unit: &mut Unit<'_>, key: &str) -> Result<Deleted> {
    let transaction = unit.transaction();
    let row = match deletable_card(unit, key).await? {
        Ok(row) => row,
        Err(stays) => return Ok(stays),
    };
    repo::remove_cards(transaction, vec![row.id]).await?;
    let size = repo::sizes(transaction, vec![row.collection_id]).await?.pop().map_or(0, |(_, size)| size);
    let found = rows::with_int::<collection::Model>(transaction, "id", &[row.collection_id]).await?.pop();
    if let Some(collection) = found.filter(|_| row.retired_at.is_none()) {
        complete(unit, &collection, size, Origin::Told).await?;
    }
    Ok(Deleted::Done)
}
