//! Questions about users' histories that are answered in batches.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::repo::{self, HistoryState};
use waymark_db::page::Slice;
use waymark_db::{Extent, Reader};
use waymark_graphql_kit::batcher::{Key, grouped};
use waymark_kernel::error::{Error, Result};
use waymark_write::entity::audit_entry::Model as Audited;
use waymark_write::{Event, HistoryKind};

/// One page of a user's history.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct EventsOf {
    pub(super) user: i64,
    /// Only events of these kinds; all when there are none.
    pub(super) kinds: Arc<[HistoryKind]>,
    pub(super) slice: Slice,
    /// Whether what changed is wanted too.
    pub(super) changes: bool,
}

impl Key for EventsOf {}

impl Loader<EventsOf> for Reader {
    type Value = Vec<Event>;
    type Error = Error;

    async fn load(&self, keys: &[EventsOf]) -> Result<HashMap<EventsOf, Self::Value>> {
        let mut pages = HashMap::new();
        let wanted = keys.iter().map(|key| ((Arc::clone(&key.kinds), key.slice, key.changes), key.user));
        for ((kinds, slice, changes), users) in grouped(wanted) {
            for (user, events) in
                grouped(repo::page(self.connection(), users, &kinds, slice, Extent::all_if(changes)).await?)
            {
                pages.insert(EventsOf { user, kinds: Arc::clone(&kinds), slice, changes }, events);
            }
        }
        Ok(pages)
    }
}

/// The events of a user that come next behind the one of this number, so many of them that they are no burden.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct EventsBehind {
    pub(super) user: i64,
    pub(super) after: i64,
}

impl Key for EventsBehind {}

impl Loader<EventsBehind> for Reader {
    type Value = Arc<[Event]>;
    type Error = Error;

    async fn load(&self, keys: &[EventsBehind]) -> Result<HashMap<EventsBehind, Self::Value>> {
        let pairs = keys.iter().map(|key| (key.user, key.after)).collect();
        let events = grouped(repo::behind(self.connection(), pairs).await?);
        Ok(events.into_iter().map(|((user, after), events)| (EventsBehind { user, after }, events.into())).collect())
    }
}

/// How the history of this user stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct HistoryStateOf(pub(super) i64);

impl Key for HistoryStateOf {}

impl Loader<HistoryStateOf> for Reader {
    type Value = HistoryState;
    type Error = Error;

    async fn load(&self, keys: &[HistoryStateOf]) -> Result<HashMap<HistoryStateOf, HistoryState>> {
        let users = keys.iter().map(|key| key.0).collect();
        let found = repo::state(self.connection(), users).await?;
        Ok(found.into_iter().map(|(user, state)| (HistoryStateOf(user), state)).collect())
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
pub(super) struct AuditPage {
    pub(super) slice: Slice,
    /// Whether what changed is wanted too.
    pub(super) changes: bool,
}

impl Key for AuditPage {}

impl Loader<AuditPage> for Reader {
    type Value = Vec<Audited>;
    type Error = Error;

    async fn load(&self, keys: &[AuditPage]) -> Result<HashMap<AuditPage, Self::Value>> {
        let mut pages = HashMap::new();
        for key in keys {
            pages.insert(key.clone(), repo::audit(self.connection(), key.slice, key.changes).await?);
        }
        Ok(pages)
    }
}
