//! Questions about users' credits that are answered in batches.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::repo::{self, Entry, Holding, StoredBlock, StoredLot};
use waymark_db::page::Slice;
use waymark_db::{Extent, Reader};
use waymark_graphql_kit::batcher::{Key, grouped};
use waymark_kernel::error::{Error, Result};

/// The lots and blocks of a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct WalletOf(pub(super) i64);

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
        let mut wallets: HashMap<i64, Wallet> = HashMap::new();
        for (user, holding) in repo::holdings(self.connection(), keys.iter().map(|key| key.0).collect()).await? {
            let wallet = wallets.entry(user).or_default();
            match holding {
                Holding::Lot(lot) => wallet.lots.push(lot),
                Holding::Block(block) => wallet.blocks.push(block),
            }
        }
        Ok(wallets.into_iter().map(|(user, wallet)| (WalletOf(user), Arc::new(wallet))).collect())
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
