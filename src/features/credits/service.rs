//! Reading a user's credits.

use std::sync::Arc;

use serde_json::Number;

use super::entity::EntryKind;
pub use super::loader::Wallet;
use super::loader::{EntriesOf, EntryCountOf, ReasonOf, WalletOf};
pub use super::repo::RECORDS;
pub use super::repo::{Entry, StoredBlock, StoredLot};
use super::rules::{self, Block, BlockedAction, Lot};
use waymark_auth::policy::OwnUser;
use waymark_graphql_kit::pagination::{Connection, Page, only_if};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_request::Request;

/// The lots and blocks of a user.
pub async fn wallet(request: &Request, user: &OwnUser) -> Result<Arc<Wallet>> {
    Ok(request.load.one(WalletOf { user: user.key(), lots: true }).await?.unwrap_or_default())
}

/// Whether a user may not claim rewards at the moment.
pub async fn is_blocked_for_claiming(request: &Request, user: &OwnUser) -> Result<bool> {
    let wallet = request.load.one(WalletOf { user: user.key(), lots: false }).await?.unwrap_or_default();
    Ok(wallet.is_blocked_for_claiming(request.now()))
}

/// Why these lots of a user were granted, in their order; `None` where no reason was given.
pub async fn lot_reasons(request: &Request, user: &OwnUser, lots: &[&StoredLot]) -> Result<Vec<Option<Arc<str>>>> {
    let keys = lots.iter().map(|stored| ReasonOf { user: user.key(), lot: stored.seq }).collect();
    Ok(request.load.many(keys).await?.into_iter().map(Option::flatten).collect())
}

/// An amount of millionths in whole credits, as a number of JSON, which may be rounded.
pub fn as_number(micros: i64) -> Number {
    // Amounts are written as decimals that JSON has too.
    rules::micros_to_decimal(micros).parse().unwrap_or_else(|_| Number::from(0))
}

impl Wallet {
    /// Returns the amounts and dates of the lots, without their numbers and reasons.
    pub fn lots(&self) -> Vec<Lot> {
        self.lots.iter().map(|stored| stored.lot).collect()
    }

    /// What can be spent, in millionths of a credit.
    pub fn available(&self, now: Timestamp) -> i64 {
        rules::available(&self.lots(), now)
    }

    /// Seconds until the next lot with something left expires; `None` when nothing is going to.
    pub fn expires_in(&self, now: Timestamp) -> Option<i64> {
        rules::expires_in(&self.lots(), now)
    }

    /// Tells whether a block keeps the user from claiming rewards at `now`.
    pub fn is_blocked_for_claiming(&self, now: Timestamp) -> bool {
        self.is_blocked(BlockedAction::Claim, now)
    }

    /// Tells whether a block keeps the user from `action` at `now`.
    pub fn is_blocked(&self, action: BlockedAction, now: Timestamp) -> bool {
        let blocks: Vec<Block> = self.blocks.iter().map(|stored| stored.block).collect();
        rules::is_blocked(&blocks, action, now)
    }

    /// The expiries that no sweep has written yet, as the entries they will be.
    fn unswept(&self, now: Timestamp) -> Vec<Entry> {
        let expired = rules::unswept(&self.lots(), now);
        expired
            .into_iter()
            .filter_map(|expired| {
                let lot_seq = self.lots.get(expired.lot)?.seq;
                Some(Entry {
                    tie: Entry::expiry_tie(lot_seq),
                    lot_seq,
                    kind: EntryKind::Expire,
                    amount_micros: expired.micros,
                    reason: None,
                    recorded_at: expired.expired_at,
                })
            })
            .collect()
    }
}

/// One page of the ledger of a user with this wallet, the newest entry first. Expiries that were not written yet stand
/// where they will stand. The number of entries is there only where `count` is set, and reasons where `reasons` is.
pub async fn ledger(
    request: &Request,
    user: &OwnUser,
    wallet: &Wallet,
    page: Page,
    (count, reasons): (bool, bool),
) -> Result<Connection<Entry>> {
    let written = request.load.one(EntriesOf { user: user.key(), slice: page.slice(), reasons });
    let counted = only_if(count, async { Ok(request.load.one(EntryCountOf(user.key())).await?.unwrap_or(0)) });
    let (written, total) = futures_util::try_join!(written, counted)?;
    let unswept = wallet.unswept(request.now());
    let total = total.map(|written| written + i64::try_from(unswept.len()).unwrap_or(i64::MAX));
    let key = |entry: &Entry| (entry.recorded_at.millis(), entry.tie);
    let entries = page.merge_descending(written.unwrap_or_default(), unswept, key);
    Ok(page.of_rows(entries, key).with_total(total))
}
