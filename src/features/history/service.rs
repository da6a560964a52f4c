//! Reading a user's history.

use std::sync::Arc;

use super::loader::{AuditPage, EventCountOf, EventsOf};
pub(crate) use super::repo::RECORDS;
use crate::auth::policy::{Operator, OwnUser};
use crate::error::Result;
use crate::graphql::pagination::{Connection, Page, only_if};
use crate::request::Request;
pub(crate) use crate::write::entity::audit_entry::Model as Audited;
use crate::write::{Event, HistoryKind};

/// One page of a user's history, the newest event first; only events of these kinds, or of all when there are none.
pub(crate) async fn events(
    request: &Request,
    user: &OwnUser,
    kinds: Arc<[HistoryKind]>,
    page: Page,
    count: bool,
) -> Result<Connection<Event>> {
    let events = request.load.one(EventsOf { user: user.key(), kinds: Arc::clone(&kinds), slice: page.slice() });
    let counted =
        only_if(count, async { Ok(request.load.one(EventCountOf { user: user.key(), kinds }).await?.unwrap_or(0)) });
    let (events, total) = futures_util::try_join!(events, counted)?;
    Ok(page.of_rows(events.unwrap_or_default(), |event| (event.seq, event.seq)).with_total(total))
}

/// One page of the audit log, the newest entry first.
pub(crate) async fn audit_log(request: &Request, _operator: Operator, page: Page) -> Result<Connection<Audited>> {
    let entries = request.load.one(AuditPage(page.slice())).await?.unwrap_or_default();
    Ok(page.of_rows(entries, |entry| (entry.id, entry.id)))
}
