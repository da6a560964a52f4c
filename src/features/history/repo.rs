//! SQL of the history.

use sea_orm::{ActiveValue::Set, ConnectionTrait, DbErr, EntityTrait as _};

use super::entity::event;
use super::rules::HistoryKind;
use crate::clock::Timestamp;
use crate::db::page::{List, Slice};
use crate::db::{Param, Row, Sql, fetch};
use crate::error::{Error, Result};

/// An event as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) seq: i64,
    pub(crate) kind: String,
    pub(crate) actor: String,
    pub(crate) subject_type: String,
    pub(crate) subject_key: String,
    /// A JSON object.
    pub(crate) changes: String,
    pub(crate) occurred_at: Timestamp,
    pub(crate) recorded_at: Timestamp,
}

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

static NEXT_NUMBER: Sql =
    Sql::new("UPDATE users SET history_seq = history_seq + 1 WHERE id = $1 RETURNING history_seq");

/// Takes the next number in a user's history, and with it the lock on the user.
pub(super) async fn next_number(connection: &impl ConnectionTrait, user: i64) -> Result<i64> {
    let numbers = fetch(connection, &NEXT_NUMBER, [Param::Int(user)], |row| row.take()).await?;
    numbers.first().copied().ok_or_else(|| Error::internal(format!("there is no user {user}")))
}

/// Appends an event.
pub(super) async fn append(connection: &impl ConnectionTrait, user: i64, event: Event) -> Result<()> {
    let row = event::ActiveModel {
        user_id: Set(user),
        seq: Set(event.seq),
        kind: Set(event.kind),
        actor: Set(event.actor),
        subject_type: Set(event.subject_type),
        subject_key: Set(event.subject_key),
        changes: Set(event.changes),
        occurred_at: Set(event.occurred_at),
        recorded_at: Set(event.recorded_at),
    };
    event::Entity::insert(row).exec_without_returning(connection).await?;
    Ok(())
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
