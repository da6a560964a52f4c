//! Lots, ledgers, claims and blocks, as facts that the features take.

use super::{Item, Work, only};
use crate::records::At;
use waymark_credits::told::{ToldBlock, ToldEntry, ToldLot, take_blocks};
use waymark_kernel::error::Result;
use waymark_seasons::told::{ToldClaim, take_credits};

/// Takes everything about credits.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let lots = work.items(only!(CreditLot));
    let entries = work.items(only!(CreditEntry));
    let claims = work.items(only!(GoalClaim));
    if !(lots.is_empty() && entries.is_empty() && claims.is_empty()) {
        let told_lots = lots.iter().map(|Item { user, record, origin, .. }| {
            let lot = ToldLot {
                user: *user,
                number: record.number,
                reference: record.reference.as_deref(),
                amount_micros: record.amount_micros,
                remaining_micros: record.remaining_micros,
                granted_at: at(record.granted_at),
                expires_at: at(record.expires_at),
                source: record.source,
                reward: None,
                reason: record.reason.as_deref(),
                origin: *origin,
            };
            (lot, record.goal.as_deref())
        });
        let told_entries: Vec<_> = entries
            .iter()
            .map(|Item { user, record, .. }| ToldEntry {
                user: *user,
                number: record.number,
                lot: record.lot,
                kind: record.kind,
                amount_micros: record.amount_micros,
                reason: record.reason.as_deref(),
                operation: &record.operation,
                at: record.at.0,
            })
            .collect();
        let told_claims: Vec<_> = claims
            .iter()
            .map(|Item { user, record, origin, .. }| ToldClaim {
                user: *user,
                goal: &record.goal,
                lot: record.lot,
                reward_micros: record.reward_micros,
                at: at(record.at),
                origin: *origin,
            })
            .collect();
        let taken = take_credits(&mut work.unit, told_lots.collect(), &told_entries, &told_claims).await?;
        work.note(lots.iter().map(|item| item.at).zip(taken.lots));
        work.note(entries.iter().map(|item| item.at).zip(taken.entries));
        work.note(claims.iter().map(|item| item.at).zip(taken.claims));
        let unsettled = taken.unsettled.into_iter().map(|(place, lot, unsettled)| (lots[place].at, lot, unsettled));
        work.unsettled.extend(unsettled);
    }
    let blocks = work.items(only!(Block));
    let told: Vec<_> = blocks
        .iter()
        .map(|Item { user, record, origin, .. }| ToldBlock {
            user: *user,
            number: record.number,
            scope: record.scope,
            reason: &record.reason,
            from: record.from.0,
            until: at(record.until),
            lifted_at: at(record.lifted_at),
            origin: *origin,
        })
        .collect();
    let taken = take_blocks(&mut work.unit, &told).await?;
    work.note(blocks.iter().map(|item| item.at).zip(taken));
    Ok(())
}

fn at(at: Option<At>) -> Option<waymark_kernel::clock::Timestamp> {
    at.map(|at| at.0)
}
