//! SQL of the history.

use sea_orm::sea_query::Expr;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait as _, Iterable as _, QuerySelect as _};

use waymark_db::page::{List, Slice};
use waymark_db::records::{As, Records};
use waymark_db::{Param, Row, Sql, fetch};
use waymark_kernel::error::Result;
use waymark_write::entity::audit_entry;
use waymark_write::{Event, HistoryKind, read_event};

const fn list(some_kinds: bool, changes: bool) -> List {
    List {
        columns: if changes {
            "t.user_id, t.seq, t.kind, t.actor, t.subject_type, t.subject_key, t.changes, t.occurred_at, t.recorded_at"
        } else {
            "t.user_id, t.seq, t.kind, t.actor, t.subject_type, t.subject_key, '', t.occurred_at, t.recorded_at"
        },
        table: "history_events t",
        condition: if some_kinds { "t.kind = ANY($2)" } else { "true" },
        sort: "seq",
        // The same for all events of a user: numbers are not shared.
        tie: "user_id",
        descending: true,
    }
}

fn filter(kinds: &[HistoryKind]) -> Option<Param> {
    (!kinds.is_empty()).then(|| Param::Texts(kinds.iter().map(|kind| kind.as_str().to_owned()).collect()))
}

/// One page of each user's history, the newest event first; only events of these kinds, or of all when there are none. What
/// changed is read only where it is wanted.
pub(super) async fn page(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    kinds: &[HistoryKind],
    slice: Slice,
    changes: bool,
) -> Result<Vec<(i64, Event)>> {
    list(!kinds.is_empty(), changes).fetch(connection, users, filter(kinds), slice, read_event).await
}

/// How many events of these kinds each user has.
pub(super) async fn count(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    kinds: &[HistoryKind],
) -> Result<Vec<(i64, i64)>> {
    list(!kinds.is_empty(), false).count(connection, users, filter(kinds)).await
}

static BEHIND: Sql = Sql::new(
    "SELECT k.a, t.user_id, t.seq, t.kind, t.actor, t.subject_type, t.subject_key, t.changes, t.occurred_at, t.recorded_at \
     FROM unnest($1::bigint[], $2::bigint[]) AS k(u, a) CROSS JOIN LATERAL (\
         SELECT h.* FROM history_events h WHERE h.user_id = k.u AND h.seq > k.a ORDER BY h.seq LIMIT 100) t",
);
static BEHIND_ON_SQLITE: Sql = Sql::new(
    "SELECT k.a, t.user_id, t.seq, t.kind, t.actor, t.subject_type, t.subject_key, t.changes, t.occurred_at, t.recorded_at \
     FROM (SELECT json_extract(value, '$[0]') AS u, json_extract(value, '$[1]') AS a FROM json_each($1)) k \
     CROSS JOIN history_events t ON t.user_id = k.u AND t.seq IN (\
         SELECT h.seq FROM history_events h WHERE h.user_id = k.u AND h.seq > k.a ORDER BY h.seq LIMIT 100) \
     ORDER BY t.user_id, t.seq",
);

/// The next events, 100 at the most, of each user behind the event of this number, in their order.
pub(super) async fn behind(
    connection: &impl ConnectionTrait,
    pairs: Vec<(i64, i64)>,
) -> Result<Vec<((i64, i64), Event)>> {
    let read = |row: &mut Row| {
        let after = row.take()?;
        read_event(row).map(|(user, event)| ((user, after), event))
    };
    if connection.get_database_backend() == DbBackend::Sqlite {
        return fetch(connection, &BEHIND_ON_SQLITE, [Param::Pairs(pairs)], read).await;
    }
    let (users, numbers) = pairs.into_iter().unzip();
    let mut events = fetch(connection, &BEHIND, [Param::Ints(users), Param::Ints(numbers)], read).await?;
    events.sort_unstable_by_key(|(key, event)| (*key, event.seq));
    Ok(events)
}

/// How a user's history stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The number of the newest event; 0 when there is none.
    pub newest: i64,
    /// Whether the user has been merged into another one, which closes the history.
    pub merged: bool,
    /// Whether the user has been erased.
    pub erased: bool,
}

static STANDING: Sql =
    Sql::new("SELECT id, history_seq, merged_into IS NOT NULL, erased_at IS NOT NULL FROM users WHERE id = ANY($1)");

/// How the histories of these users stand.
pub(super) async fn standing(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, Standing)>> {
    fetch(connection, &STANDING, [Param::Ints(users)], |row| {
        let user = row.take()?;
        Ok((user, Standing { newest: row.take()?, merged: row.take()?, erased: row.take()? }))
    })
    .await
}

/// One page of the audit log, the newest entry first. What changed is read only where it is wanted.
pub(super) async fn audit(
    connection: &impl ConnectionTrait,
    slice: Slice,
    changes: bool,
) -> Result<Vec<audit_entry::Model>> {
    use audit_entry::Column;
    let mut entries = audit_entry::Entity::find();
    if !changes {
        let others = Column::iter().filter(|column| !matches!(column, Column::Changes));
        entries = entries.select_only().columns(others).column_as(Expr::val(""), Column::Changes);
    }
    Ok(slice.of(entries, Column::Id, true).all(connection).await?)
}

/// Everything that is stored about a user's history, and the references of the user's additive writes.
pub static RECORDS: [Records; 2] = [
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
