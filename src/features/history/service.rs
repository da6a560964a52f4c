//! Reading a user's history.

use std::sync::Arc;

use super::loader::{EventCountOf, EventsOf};
use super::repo;
pub(crate) use super::repo::Event;
use super::rules::HistoryKind;
use crate::auth::UserId;
use crate::auth::policy::OwnUser;
use crate::clock::Timestamp;
use crate::db::Transaction;
use crate::error::Result;
use crate::graphql::pagination::{Connection, Page, only_if};
use crate::request::Request;

/// Appends an event to a user's history in the transaction of the change it tells of. Locks the user.
pub(crate) async fn record(
    transaction: &Transaction,
    user: UserId,
    kind: HistoryKind,
    subject: (&str, &str),
    changes: &serde_json::Value,
    actor: &str,
    now: Timestamp,
) -> Result<()> {
    let seq = repo::next_number(transaction, user.0).await?;
    let event = Event {
        seq,
        kind: kind.as_str().to_owned(),
        actor: actor.to_owned(),
        subject_type: subject.0.to_owned(),
        subject_key: subject.1.to_owned(),
        changes: changes.to_string(),
        occurred_at: now,
        recorded_at: now,
    };
    repo::append(transaction, user.0, event).await
}

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
