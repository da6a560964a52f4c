//! Questions about users that are answered in batches.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::repo::{self, Account, User};
use super::rules::UserWith;
use crate::db::Reader;
use crate::error::{Error, Result};
use crate::graphql::batcher::Key;

impl Key for UserWith {}

impl Loader<UserWith> for Reader {
    type Value = Arc<User>;
    type Error = Error;

    async fn load(&self, keys: &[UserWith]) -> Result<HashMap<UserWith, Self::Value>> {
        let mut wanted = repo::Wanted::default();
        for key in keys {
            wanted.add(key.clone());
        }
        let found = repo::find(self.connection(), wanted).await?;
        let mut users = HashMap::with_capacity(found.len());
        for found in found {
            if let Some((provider, external_id)) = found.account {
                users.insert(UserWith::Account { provider, external_id }, found.user);
            } else {
                users.insert(UserWith::Id(found.user.subject.id.0), Arc::clone(&found.user));
                users.insert(UserWith::Handle(found.handle_lower), Arc::clone(&found.user));
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
