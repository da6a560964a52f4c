//! Questions about users' collections that are answered in batches.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::repo::{self, Collected, Owned};
use waymark_db::Reader;
use waymark_graphql_kit::batcher::{Key, grouped};
use waymark_kernel::error::{Error, Result};

/// How far a user is with every collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct CollectedBy(pub(super) i64);

impl Key for CollectedBy {}

impl Loader<CollectedBy> for Reader {
    type Value = Arc<[Collected]>;
    type Error = Error;

    async fn load(&self, keys: &[CollectedBy]) -> Result<HashMap<CollectedBy, Self::Value>> {
        let rows = repo::collected(self.connection(), keys.iter().map(|key| key.0).collect()).await?;
        Ok(grouped(rows).into_iter().map(|(user, rows)| (CollectedBy(user), rows.into())).collect())
    }
}

/// The cards that a user owns of a collection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct CardsOf {
    pub(super) user: i64,
    pub(super) collection: i64,
}

impl Key for CardsOf {}

impl Loader<CardsOf> for Reader {
    type Value = Arc<[Owned]>;
    type Error = Error;

    async fn load(&self, keys: &[CardsOf]) -> Result<HashMap<CardsOf, Self::Value>> {
        let wanted = keys.iter().map(|key| (key.user, std::slice::from_ref(&key.collection)));
        let rows = repo::owned(self.connection(), wanted).await?;
        Ok(grouped(rows)
            .into_iter()
            .map(|((user, collection), rows)| (CardsOf { user, collection }, rows.into()))
            .collect())
    }
}

/// How often the reward of a collection has been claimed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ClaimsOf(pub(super) i64);

impl Key for ClaimsOf {}

impl Loader<ClaimsOf> for Reader {
    type Value = i64;
    type Error = Error;

    async fn load(&self, keys: &[ClaimsOf]) -> Result<HashMap<ClaimsOf, i64>> {
        let rows = repo::claimed(self.connection(), keys.iter().map(|key| key.0).collect()).await?;
        Ok(rows.into_iter().map(|(collection, claims)| (ClaimsOf(collection), claims)).collect())
    }
}
