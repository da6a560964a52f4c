//! Questions about users that are answered in batches.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::repo::{self, Account, User};
use super::rules::UserWith;
use waymark_auth::api_key;
use waymark_auth::api_key::ApiKey;
use waymark_db::Reader;
use waymark_db::page::Slice;
use waymark_db::records::{Part, Records};
use waymark_graphql_kit::batcher::Key;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};

impl Key for UserWith {}

impl Loader<UserWith> for Reader {
    type Value = Arc<User>;
    type Error = Error;

    async fn load(&self, keys: &[UserWith]) -> Result<HashMap<UserWith, Self::Value>> {
        let mut wanted = repo::Wanted::default();
        for key in keys {
            wanted.add(key.clone());
        }
        let (by_id, by_handle) = (!wanted.ids.is_empty(), !wanted.handles.is_empty());
        let found = repo::find(self.connection(), wanted).await?;
        let mut users = HashMap::with_capacity(found.len());
        for found in found {
            if let Some((provider, external_id)) = found.account {
                users.insert(UserWith::Account { provider, external_id }, found.user);
            } else {
                if by_id {
                    users.insert(UserWith::Id(found.user.subject.id.0), Arc::clone(&found.user));
                }
                if by_handle {
                    users.insert(UserWith::Handle(found.handle_lower), Arc::clone(&found.user));
                }
                users.insert(UserWith::Ulid(found.user.subject.ulid.to_string()), found.user);
            }
        }
        Ok(users)
    }
}

/// The user into whom the one with this key or ULID has been merged.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SurvivorOf(pub(super) UserWith);

impl Key for SurvivorOf {}

impl Loader<SurvivorOf> for Reader {
    type Value = i64;
    type Error = Error;

    async fn load(&self, keys: &[SurvivorOf]) -> Result<HashMap<SurvivorOf, i64>> {
        let (mut ids, mut ulids) = (Vec::new(), Vec::new());
        for SurvivorOf(name) in keys {
            match name {
                UserWith::Id(id) => ids.push(*id),
                UserWith::Ulid(ulid) => ulids.push(ulid.clone()),
                // Handles and accounts go to the survivor with the merger.
                UserWith::Handle(_) | UserWith::Account { .. } => {}
            }
        }
        let mut survivors = HashMap::new();
        for (id, ulid, survivor) in repo::survivors(self.connection(), ids, ulids).await? {
            survivors.insert(SurvivorOf(UserWith::Id(id)), survivor);
            survivors.insert(SurvivorOf(UserWith::Ulid(ulid)), survivor);
        }
        Ok(survivors)
    }
}

/// The accounts of this user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct AccountsOf(pub(super) i64);

impl Key for AccountsOf {}

impl Loader<AccountsOf> for Reader {
    type Value = Vec<Account>;
    type Error = Error;

    async fn load(&self, keys: &[AccountsOf]) -> Result<HashMap<AccountsOf, Self::Value>> {
        let users = keys.iter().map(|key| key.0).collect();
        let mut accounts: HashMap<_, Vec<_>> = HashMap::new();
        for (user, account) in repo::accounts(self.connection(), users).await? {
            accounts.entry(AccountsOf(user)).or_default().push(account);
        }
        Ok(accounts)
    }
}

/// One page of the users whom operators look for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct FoundPage {
    pub(super) text: String,
    pub(super) slice: Slice,
}

impl Key for FoundPage {}

impl Loader<FoundPage> for Reader {
    type Value = Vec<Arc<User>>;
    type Error = Error;

    async fn load(&self, keys: &[FoundPage]) -> Result<HashMap<FoundPage, Self::Value>> {
        let mut pages = HashMap::new();
        for key in keys {
            pages.insert(key.clone(), repo::search(self.connection(), &key.text, key.slice).await?);
        }
        Ok(pages)
    }
}

/// API keys: one page of all, or the one of this number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum KeysOf {
    Page(Slice),
    Number(i64),
}

impl Key for KeysOf {}

impl Loader<KeysOf> for Reader {
    type Value = Vec<ApiKey>;
    type Error = Error;

    async fn load(&self, keys: &[KeysOf]) -> Result<HashMap<KeysOf, Self::Value>> {
        let mut pages = HashMap::new();
        for key in keys {
            let page = match key {
                KeysOf::Page(slice) => api_key::page(self.connection(), *slice).await?,
                KeysOf::Number(number) => api_key::by_id(self.connection(), *number).await?.into_iter().collect(),
            };
            pages.insert(key.clone(), page);
        }
        Ok(pages)
    }
}

/// What is stored about a user in one place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RecordsOf {
    pub(super) user: i64,
    pub(super) records: &'static Records,
    pub(super) now: Timestamp,
    /// How many rows are left out, which were read before.
    pub(super) skip: u32,
}

impl Key for RecordsOf {}

impl Loader<RecordsOf> for Reader {
    type Value = Arc<Part>;
    type Error = Error;

    async fn load(&self, keys: &[RecordsOf]) -> Result<HashMap<RecordsOf, Self::Value>> {
        let mut all = HashMap::new();
        for key in keys {
            let part = key.records.of(self.connection(), key.user, key.now, key.skip).await?;
            all.insert(key.clone(), Arc::new(part));
        }
        Ok(all)
    }
}
