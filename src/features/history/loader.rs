//! Questions about users' histories that are answered in batches.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::repo;
use crate::db::Reader;
use crate::db::page::Slice;
use crate::error::{Error, Result};
use crate::graphql::batcher::{Key, grouped};
use crate::write::entity::audit_entry::Model as Audited;
use crate::write::{Event, HistoryKind};

/// One page of a user's history.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct EventsOf {
    pub(super) user: i64,
    /// Only events of these kinds; all when there are none.
    pub(super) kinds: Arc<[HistoryKind]>,
    pub(super) slice: Slice,
}

impl Key for EventsOf {}

impl Loader<EventsOf> for Reader {
    type Value = Vec<Event>;
    type Error = Error;

    async fn load(&self, keys: &[EventsOf]) -> Result<HashMap<EventsOf, Self::Value>> {
        let mut pages = HashMap::new();
        let wanted = keys.iter().map(|key| ((Arc::clone(&key.kinds), key.slice), key.user));
        for ((kinds, slice), users) in grouped(wanted) {
            for (user, events) in grouped(repo::page(self.connection(), users, &kinds, slice).await?) {
                pages.insert(EventsOf { user, kinds: Arc::clone(&kinds), slice }, events);
            }
        }
        Ok(pages)
    }
}

/// How many events of some kinds a user's history has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct EventCountOf {
    pub(super) user: i64,
    pub(super) kinds: Arc<[HistoryKind]>,
}

impl Key for EventCountOf {}

impl Loader<EventCountOf> for Reader {
    type Value = i64;
    type Error = Error;

    async fn load(&self, keys: &[EventCountOf]) -> Result<HashMap<EventCountOf, i64>> {
        let mut counts = HashMap::new();
        for (kinds, users) in grouped(keys.iter().map(|key| (Arc::clone(&key.kinds), key.user))) {
            for (user, count) in repo::count(self.connection(), users, &kinds).await? {
                counts.insert(EventCountOf { user, kinds: Arc::clone(&kinds) }, count);
            }
        }
        Ok(counts)
    }
}

/// One page of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct AuditPage(pub(super) Slice);

impl Key for AuditPage {}

impl Loader<AuditPage> for Reader {
    type Value = Vec<Audited>;
    type Error = Error;

    async fn load(&self, keys: &[AuditPage]) -> Result<HashMap<AuditPage, Self::Value>> {
        let mut pages = HashMap::new();
        for key in keys {
            pages.insert(key.clone(), repo::audit(self.connection(), key.0).await?);
        }
        Ok(pages)
    }
}
