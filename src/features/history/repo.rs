//! SQL of the history.

use sea_orm::{ConnectionTrait, DbErr, EntityTrait as _};

use crate::db::page::{List, Slice};
use crate::db::records::{As, Records};
use crate::db::{Param, Row};
use crate::error::Result;
use crate::write::entity::audit_entry;
use crate::write::{Event, HistoryKind};

const fn list(some_kinds: bool) -> List {
    List {
        columns: "t.user_id, t.seq, t.kind, t.actor, t.subject_type, t.subject_key, t.changes, t.occurred_at, t.recorded_at",
        table: "history_events t",
        condition: if some_kinds { "t.kind = ANY($2)" } else { "true" },
        sort: "seq",
        tie: "seq",
        descending: true,
    }
}

fn filter(kinds: &[HistoryKind]) -> Option<Param> {
    (!kinds.is_empty()).then(|| Param::Texts(kinds.iter().map(|kind| kind.as_str().to_owned()).collect()))
}

/// One page of each user's history, the newest event first; only events of these kinds, or of all when there are none.
pub(super) async fn page(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    kinds: &[HistoryKind],
    slice: Slice,
) -> Result<Vec<(i64, Event)>> {
    list(!kinds.is_empty()).fetch(connection, users, filter(kinds), slice, read_event).await
}

/// How many events of these kinds each user has.
pub(super) async fn count(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    kinds: &[HistoryKind],
) -> Result<Vec<(i64, i64)>> {
    list(!kinds.is_empty()).count(connection, users, filter(kinds)).await
}

fn read_event(row: &mut Row) -> Result<(i64, Event), DbErr> {
    let user = row.take()?;
    let event = Event {
        seq: row.take()?,
        kind: row.take()?,
        actor: row.take()?,
        subject_type: row.take()?,
        subject_key: row.take()?,
        changes: row.take()?,
        occurred_at: row.take()?,
        recorded_at: row.take()?,
    };
    Ok((user, event))
}

/// One page of the audit log, the newest entry first.
pub(super) async fn audit(connection: &impl ConnectionTrait, slice: Slice) -> Result<Vec<audit_entry::Model>> {
    Ok(slice.of(audit_entry::Entity::find(), audit_entry::Column::Id, true).all(connection).await?)
}

/// Everything that is stored about a user's history, and the references of the user's additive writes.
pub(crate) static RECORDS: [Records; 2] = [
    Records::new(
        "history",
        "SELECT seq, kind, actor, subject_type, subject_key, changes, occurred_at, recorded_at FROM \
         history_events WHERE user_id = $1 ORDER BY seq",
        &[
            ("number", As::Number),
            ("kind", As::Text),
            ("actor", As::Text),
            ("subjectType", As::Text),
            ("subjectKey", As::Text),
            ("changes", As::Json),
            ("occurredAt", As::Instant),
            ("recordedAt", As::Instant),
        ],
    ),
    Records::new(
        "references",
        "SELECT kind, reference, created_at, outcome FROM write_refs WHERE user_id = $1 ORDER BY kind, \
         reference",
        &[("kind", As::Text), ("reference", As::Text), ("createdAt", As::Instant), ("outcome", As::Json)],
    ),
];
