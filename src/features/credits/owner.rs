//! What becomes of a user's credits when the user is merged into another one, or erased.

use serde_json::json;

use super::repo::{self, Holding};
use super::rules;
use waymark_db::owner::Merger;
use waymark_kernel::error::{Error, Result};
use waymark_vocabulary::ids::Kind;
use waymark_write::{HistoryKind, Unit};

/// Hands lots, entries and blocks over. Gives by how much the numbers of lots and entries were raised.
pub async fn merge(unit: &mut Unit<'_>, merger: Merger) -> Result<i64> {
    let mut together = 0_i128;
    for (_, holding) in repo::holdings(unit.transaction(), vec![merger.from, merger.into]).await? {
        if let Holding::Lot(held) = holding {
            together += i128::from(held.lot.available_micros(unit.now));
        }
    }
    if together > i128::from(rules::MOST_MICROS) {
        let most = rules::micros_to_decimal(rules::MOST_MICROS);
        return Err(Error::bad_input(format!("together they would have more than {most} credits, which nobody may")));
    }
    let offset = unit.join_ledgers(merger.from, merger.into)?;
    repo::hand_over(unit.transaction(), merger, offset).await?;
    Ok(offset)
}

/// Takes away what is left of these lots. What has expired is left for its own entry.
pub async fn revoke_lots(unit: &mut Unit<'_>, user: i64, lots: &[i64]) -> Result<()> {
    if lots.is_empty() {
        return Ok(());
    }
    let held = repo::lots(unit.transaction(), user, lots.to_vec()).await?;
    let operation = unit.ids.ulid(unit.now);
    let (mut entries, mut total) = (Vec::new(), 0_i64);
    for (lot_seq, lot) in held {
        let left = lot.remaining_micros;
        if left > 0 && !lot.has_expired(unit.now) {
            entries.push(repo::Revocation { seq: unit.next_ledger_number(user)?, lot_seq, amount_micros: left });
            total = total.saturating_add(left);
        }
    }
    if entries.is_empty() {
        return Ok(());
    }
    repo::revoke(unit.transaction(), user, &entries, &operation, unit.now).await?;
    let ulid = unit.user(user)?.ulid.clone();
    let changes = json!({ "credits": rules::micros_to_decimal(total) });
    unit.record(user, HistoryKind::CreditsRevoked, (Kind::User, &ulid), &changes)
}

/// Takes away what people wrote about a user's credits and blocks.
pub async fn forget(unit: &Unit<'_>, user: i64) -> Result<()> {
    repo::forget(unit.transaction(), user).await
}
