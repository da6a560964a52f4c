//! Questions about users' credits that are answered in batches.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::repo::{self, Entry, Holding, StoredBlock, StoredLot};
use waymark_db::page::Slice;
use waymark_db::{Extent, Reader};
use waymark_graphql_kit::batcher::{Key, grouped};
use waymark_kernel::error::{Error, Result};

/// The lots and blocks of a user, or the blocks alone: of lots a user may have thousands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct WalletOf {
    pub(super) user: i64,
    /// Whether the lots are wanted too.
    pub(super) lots: bool,
}

impl Key for WalletOf {}

/// Lots with something left and blocks that were not lifted.
#[derive(Debug, Default)]
pub struct Wallet {
    /// The lots with something left, whether expired or not.
    pub lots: Vec<StoredLot>,
    /// The blocks that were not lifted, whether over or not.
    pub blocks: Vec<StoredBlock>,
}

impl Loader<WalletOf> for Reader {
    type Value = Arc<Wallet>;
    type Error = Error;

    async fn load(&self, keys: &[WalletOf]) -> Result<HashMap<WalletOf, Self::Value>> {
        let blocks_of: HashSet<i64> = keys.iter().map(|key| key.user).collect();
        let lots_of = keys.iter().filter(|key| key.lots).map(|key| key.user).collect();
        let mut wallets: HashMap<i64, Wallet> = HashMap::new();
        for (user, holding) in repo::holdings_of(self.connection(), lots_of, blocks_of.into_iter().collect()).await? {
            let wallet = wallets.entry(user).or_default();
            match holding {
                Holding::Lot(lot) => wallet.lots.push(lot),
                Holding::Block(block) => wallet.blocks.push(block),
            }
        }
        let wallets: HashMap<i64, Arc<Wallet>> =
            wallets.into_iter().map(|(user, wallet)| (user, Arc::new(wallet))).collect();
        Ok(keys.iter().filter_map(|key| Some((key.clone(), Arc::clone(wallets.get(&key.user)?)))).collect())
    }
}

/// Why a lot of a user was granted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ReasonOf {
    pub(super) user: i64,
    /// The number of the lot.
    pub(super) lot: i64,
}

impl Key for ReasonOf {}

impl Loader<ReasonOf> for Reader {
    type Value = Option<Arc<str>>;
    type Error = Error;

    async fn load(&self, keys: &[ReasonOf]) -> Result<HashMap<ReasonOf, Self::Value>> {
        let wanted = grouped(keys.iter().map(|key| (key.user, key.lot)));
        let wanted = wanted.iter().map(|(user, lots)| (*user, lots.as_slice()));
        let reasons = repo::lot_reasons(self.connection(), wanted).await?;
        Ok(reasons.into_iter().map(|((user, lot), reason)| (ReasonOf { user, lot }, reason.map(Arc::from))).collect())
    }
}

/// One page of a user's ledger, as far as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct EntriesOf {
    pub(super) user: i64,
    pub(super) slice: Slice,
    /// Whether the reasons are wanted too.
    pub(super) reasons: bool,
}

impl Key for EntriesOf {}

impl Loader<EntriesOf> for Reader {
    type Value = Vec<Entry>;
    type Error = Error;

    async fn load(&self, keys: &[EntriesOf]) -> Result<HashMap<EntriesOf, Self::Value>> {
        let mut pages = HashMap::new();
        for ((slice, reasons), users) in grouped(keys.iter().map(|key| ((key.slice, key.reasons), key.user))) {
            for (user, entries) in
                grouped(repo::entries(self.connection(), users, slice, Extent::all_if(reasons)).await?)
            {
                pages.insert(EntriesOf { user, slice, reasons }, entries);
            }
        }
        Ok(pages)
    }
}

/// How many entries a user's ledger has, as far as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct EntryCountOf(pub(super) i64);

impl Key for EntryCountOf {}

impl Loader<EntryCountOf> for Reader {
    type Value = i64;
    type Error = Error;

    async fn load(&self, keys: &[EntryCountOf]) -> Result<HashMap<EntryCountOf, i64>> {
        let counts = repo::entry_count(self.connection(), keys.iter().map(|key| key.0).collect()).await?;
        Ok(counts.into_iter().map(|(user, count)| (EntryCountOf(user), count)).collect())
    }
}
