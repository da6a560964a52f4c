//! Reading a user's history.

use std::sync::Arc;

use super::loader::{EventCountOf, EventsOf};
use crate::auth::policy::OwnUser;
use crate::error::Result;
use crate::graphql::pagination::{Connection, Page, only_if};
use crate::request::Request;
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
