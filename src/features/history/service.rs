//! Reading a user's history.

use std::sync::Arc;

use super::loader::{AuditPage, EventCountOf, EventsOf};
pub use super::repo::RECORDS;
use waymark_auth::policy::{Operator, OwnUser};
use waymark_graphql_kit::pagination::{Connection, Page, cursor_text, only_if};
use waymark_kernel::error::{Error, Result};
use waymark_request::Request;
use waymark_users as users;
use waymark_users::service::UserWith;
pub use waymark_write::entity::audit_entry::Model as Audited;
use waymark_write::{Event, HistoryKind};

/// What cursors call the history of a user.
pub const LIST: &str = "history";

/// Marks the event of this number in the history of the user with this key in the database.
pub(super) fn cursor(user: i64, number: i64) -> String {
    cursor_text(LIST, (number, user))
}

/// Refuses a cursor that marks an event of `owner` in the history of somebody else.
pub(super) async fn check_owner(request: &Request, user: &OwnUser, owner: i64) -> Result<()> {
    if owner == user.key() {
        return Ok(());
    }
    match users::service::survivor(request, UserWith::Id(owner)).await? {
        Some(survivor) if survivor.subject.id.0 == user.key() => Err(users::service::merged(user.ulid())),
        _ => Err(Error::bad_input("this cursor comes from another user's history")),
    }
}

/// One page of a user's history, the newest event first; only events of these kinds, or of all when there are none.
/// What changed is empty unless `changes` is set, and the number of events is there only where `count` is.
pub async fn events(
    request: &Request,
    user: &OwnUser,
    kinds: Arc<[HistoryKind]>,
    page: Page,
    (count, changes): (bool, bool),
) -> Result<Connection<Event>> {
    for (_, owner) in page.bounds() {
        check_owner(request, user, owner).await?;
    }
    let key = EventsOf { user: user.key(), kinds: Arc::clone(&kinds), slice: page.slice(), changes };
    let events = request.load.one(key);
    let counted =
        only_if(count, async { Ok(request.load.one(EventCountOf { user: user.key(), kinds }).await?.unwrap_or(0)) });
    let (events, total) = futures_util::try_join!(events, counted)?;
    Ok(page.of_rows(events.unwrap_or_default(), |event| (event.seq, user.key())).with_total(total))
}

/// One page of the audit log, the newest entry first. What changed is empty unless `changes` is set.
pub async fn audit_log(
    request: &Request,
    _operator: Operator,
    page: Page,
    changes: bool,
) -> Result<Connection<Audited>> {
    let entries = request.load.one(AuditPage { slice: page.slice(), changes }).await?.unwrap_or_default();
    Ok(page.of_rows(entries, |entry| (entry.id, entry.id)))
}
