//! SQL of the history.

use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait as _, Iterable as _, QuerySelect as _};

use waymark_db::page::{List, Slice};
use waymark_db::records::{As, Records};
use waymark_db::{Extent, IsAny as _, Param, Sql, fetch, row, select_from};
use waymark_kernel::error::Result;
use waymark_write::entity::audit_entry;
use waymark_write::{Event, HistoryKind};

const fn list(some_kinds: bool) -> List {
    List {
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

/// One page of each user's history, the newest event first; only events of these kinds, or of all when there are none.
/// The main part of an event does not say what changed.
pub(super) async fn page(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    kinds: &[HistoryKind],
    slice: Slice,
    extent: Extent,
) -> Result<Vec<(i64, Event)>> {
    list(!kinds.is_empty()).fetch(connection, users, filter(kinds), slice, extent).await
}

/// How many events of these kinds each user has.
pub(super) async fn count(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    kinds: &[HistoryKind],
) -> Result<Vec<(i64, i64)>> {
    list(!kinds.is_empty()).count(connection, users, filter(kinds)).await
}

/// The hand-written statements of this file.
pub static STATEMENTS: [&Sql; 1] = [&BEHIND];

// A limited SELECT per user, each from a number of its own on, along the primary key.
static BEHIND: Sql = Sql::new(
    "SELECT k.a AS after, t.user_id, t.seq, t.kind, t.actor, t.subject_type, t.subject_key, t.changes, t.occurred_at, \
     t.recorded_at FROM unnest($1::bigint[], $2::bigint[]) AS k(u, a) CROSS JOIN LATERAL (\
         SELECT h.* FROM history_events h WHERE h.user_id = k.u AND h.seq > k.a ORDER BY h.seq LIMIT 100) t",
)
.on_sqlite(
    "SELECT k.a AS after, t.user_id, t.seq, t.kind, t.actor, t.subject_type, t.subject_key, t.changes, t.occurred_at, \
     t.recorded_at \
     FROM (SELECT json_extract(value, '$[0]') AS u, json_extract(value, '$[1]') AS a FROM json_each($1)) k \
     CROSS JOIN history_events t ON t.user_id = k.u AND t.seq IN (\
         SELECT h.seq FROM history_events h WHERE h.user_id = k.u AND h.seq > k.a ORDER BY h.seq LIMIT 100)",
);

row! {
    /// An event behind a number that was asked for.
    struct Behind { after: i64, event: Event = (Event) }
}

/// The next events, 100 at the most, of each user behind the event of this number, in their order.
pub(super) async fn behind(
    connection: &impl ConnectionTrait,
    pairs: Vec<(i64, i64)>,
) -> Result<Vec<((i64, i64), Event)>> {
    let params = if connection.get_database_backend() == DbBackend::Sqlite {
        vec![Param::Pairs(pairs)]
    } else {
        let (users, numbers) = pairs.into_iter().unzip();
        vec![Param::Ints(users), Param::Ints(numbers)]
    };
    let found = fetch(connection, &BEHIND, params).await?;
    let keyed = |(user, Behind { after, event }): (i64, Behind)| ((user, after), event);
    let mut events: Vec<_> = found.into_iter().map(keyed).collect();
    events.sort_unstable_by_key(|(key, event)| (*key, event.seq));
    Ok(events)
}

/// How a user's history stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryState {
    /// The number of the newest event; 0 when there is none.
    pub newest: i64,
    /// Whether the user has been merged into another one, which closes the history.
    pub merged: bool,
    /// Whether the user has been erased.
    pub erased: bool,
}

row! { struct HistoryStateOf { user_id: i64, state: HistoryState = (HistoryState) } }

row!(HistoryState {
    newest: "history_seq",
    merged: "merged_into IS NOT NULL AS merged",
    erased: "erased_at IS NOT NULL AS erased"
});

/// How the histories of these users stand.
pub(super) async fn state(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, HistoryState)>> {
    let states = Query::select()
        .from("user_counters")
        .inner_join("users", Expr::col(("users", "id")).equals(("user_counters", "user_id")))
        .and_where(Expr::col(("user_counters", "user_id")).is_any(connection, users))
        .to_owned();
    let found = select_from(connection, "user_counters", states).await?;
    Ok(found.into_iter().map(|HistoryStateOf { user_id, state }| (user_id, state)).collect())
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
        "history_events WHERE user_id = $1 ORDER BY seq",
        &[
            ("number", "seq", As::Number),
            ("kind", "kind", As::Text),
            ("actor", "actor", As::Text),
            ("subjectType", "subject_type", As::Text),
            ("subjectKey", "subject_key", As::Text),
            ("changes", "changes", As::Json),
            ("occurredAt", "occurred_at", As::Instant),
            ("recordedAt", "recorded_at", As::Instant),
        ],
    ),
    Records::new(
        "references",
        "write_refs WHERE user_id = $1 ORDER BY kind, reference",
        &[
            ("kind", "kind", As::Text),
            ("reference", "reference", As::Text),
            ("createdAt", "created_at", As::Instant),
            ("outcome", "outcome", As::Json),
        ],
    ),
];
