//! Deleting collections and cards with which nobody has progress.

use super::entity::{card, collection, owned_card, progress, reward};
use super::operate::complete;
use super::repo;
use waymark_db::rows;
use waymark_kernel::error::Result;
use waymark_write::{Deleted, Origin, Unit};

/// Deletes a collection, of which nobody owns a card, with its cards and its reward.
///
/// # Errors
/// When the database fails.
pub async fn collection(unit: &Unit<'_>, key: &str) -> Result<Deleted> {
    let transaction = unit.transaction();
    let Some(row) = rows::by_key::<collection::Model>(transaction, key).await? else { return Ok(Deleted::Unknown) };
    if repo::is_collected(transaction, row.id).await? {
        return Ok(Deleted::IN_PROGRESS);
    }
    let id = [row.id];
    // Those whose cards were removed left rows of zeros behind.
    rows::remove::<owned_card::Model>(transaction, "collection_id", &id).await?;
    rows::remove::<progress::Model>(transaction, "collection_id", &id).await?;
    rows::remove::<reward::Model>(transaction, "collection_id", &id).await?;
    rows::remove::<card::Model>(transaction, "collection_id", &id).await?;
    rows::remove::<collection::Model>(transaction, "id", &id).await?;
    Ok(Deleted::Done)
}

/// Deletes a card that nobody owns. Who owns all the others has completed the collection by that, if it runs.
///
/// # Errors
/// When the database fails.
pub async fn card(unit: &mut Unit<'_>, key: &str) -> Result<Deleted> {
    let transaction = unit.transaction();
    let Some(row) = rows::by_key::<card::Model>(transaction, key).await? else { return Ok(Deleted::Unknown) };
    if !repo::owned_by_anybody(transaction, vec![row.id]).await?.is_empty() {
        return Ok(Deleted::IN_PROGRESS);
    }
    repo::remove_cards(transaction, vec![row.id]).await?;
    let size = repo::sizes(transaction, vec![row.collection_id]).await?.pop().map_or(0, |(_, size)| size);
    let found = rows::with_int::<collection::Model>(transaction, "id", &[row.collection_id]).await?.pop();
    if let Some(collection) = found.filter(|_| row.retired_at.is_none()) {
        complete(unit, &collection, size, Origin::Told).await?;
    }
    Ok(Deleted::Done)
}
