//! One request, as the use cases see it.

use std::sync::Arc;

use crate::auth::Caller;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::db::catalogue::{Part, Snapshot};
use crate::error::{Error, Result};
use crate::graphql::batcher::{Batcher, Gathering, Key};

/// Who asks, when, and through what the answer is loaded: the same for GraphQL and for REST.
///
/// One request sees one instant and one state of the catalogue, so that its answer agrees with itself.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Who asks.
    pub(crate) caller: Arc<Caller>,
    /// The instant of the request.
    pub(crate) now: Timestamp,
    /// The settings that bound a request.
    pub(crate) config: Arc<Config>,
    catalogue: Arc<Snapshot>,
    gathering: Arc<Gathering>,
}

impl Request {
    pub(crate) fn new(
        caller: Arc<Caller>,
        now: Timestamp,
        config: Arc<Config>,
        catalogue: Arc<Snapshot>,
        batcher: &Arc<Batcher>,
    ) -> Self {
        Self { caller, now, config, catalogue, gathering: batcher.gather() }
    }

    /// What is collected for the loaders; the request's work runs inside it.
    pub(crate) fn gathering(&self) -> &Arc<Gathering> {
        &self.gathering
    }

    /// A feature's part of the catalogue.
    pub(crate) fn catalogue<P: Part>(&self) -> Result<&P> {
        self.catalogue.part()
    }

    /// Refuses a list of more than `most` ids.
    pub(crate) fn check_ids(&self, what: &str, count: usize, most: u32) -> Result<()> {
        if count <= most as usize {
            return Ok(());
        }
        Err(Error::limit(format!("{count} {what} were asked for, and one request may ask for {most}")))
    }

    /// Loads one value.
    pub(crate) async fn load<K: Key>(
        &self,
        key: K,
    ) -> Result<Option<<crate::db::Reader as async_graphql::dataloader::Loader<K>>::Value>>
    where
        crate::db::Reader: async_graphql::dataloader::Loader<K, Error = Error>,
    {
        self.gathering.load(key).await
    }

    /// Loads many values, in the order of their keys.
    pub(crate) async fn load_many<K: Key>(
        &self,
        keys: Vec<K>,
    ) -> Result<Vec<Option<<crate::db::Reader as async_graphql::dataloader::Loader<K>>::Value>>>
    where
        crate::db::Reader: async_graphql::dataloader::Loader<K, Error = Error>,
    {
        self.gathering.load_many(keys).await
    }
}
