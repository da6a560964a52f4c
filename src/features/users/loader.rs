//! Questions about users that are answered in batches.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::repo::{self, Account, User};
use crate::db::Reader;
use crate::error::{Error, Result};
use crate::graphql::batcher::Key;

/// The user with this key in the database, ULID, handle or account.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum UserWith {
    Id(i64),
    Ulid(String),
    /// In lower case.
    Handle(String),
    Account {
        provider: String,
        external_id: String,
    },
}

impl Key for UserWith {}

impl Loader<UserWith> for Reader {
    type Value = Arc<User>;
    type Error = Error;

    async fn load(&self, keys: &[UserWith]) -> Result<HashMap<UserWith, Self::Value>> {
        let mut wanted = repo::Wanted::default();
        for key in keys {
            match key.clone() {
                UserWith::Id(id) => wanted.ids.push(id),
                UserWith::Ulid(ulid) => wanted.ulids.push(ulid),
                UserWith::Handle(handle) => wanted.handles.push(handle),
                UserWith::Account { provider, external_id } => {
                    if !wanted.providers.contains(&provider) {
                        wanted.providers.push(provider);
                    }
                    wanted.external_ids.push(external_id);
                }
            }
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
