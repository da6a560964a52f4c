//! SQL that every write has in common: locks, events, the audit log, idempotency keys and references.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait as _, QueryFilter as _, QueryOrder as _};
use serde::{Deserialize, Serialize};

use super::entity::{audit_entry, counters, event, idempotency_key, write_ref};
use super::unit::{Locked, Moment, Reference};
use super::{Event, HistoryKind};
use waymark_db::bulk;
use waymark_db::bulk::Stores;
use waymark_db::catalogue::no_version;
use waymark_db::owner::Merger;
use waymark_db::{
    ColumnIsAny as _, IsAny as _, Only, Param, Sql, Transaction, execute, fetch, fetch_values, query, row, select,
    values,
};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};

/// The hand-written statements of this file.
pub static STATEMENTS: [&Sql; 10] =
    [&SHARE_CATALOGUE, &TAKE_CATALOGUE, &VERSION, &LOCK, &LOCK_FREE, &NUMBER, &NEXT_NUMBER, &TAKE, &TAKE_NOW, &KEEP];

// Writes of progress share this lock by way of `lock_users`, a change of the catalogue takes it alone: what a write
// decides by does not change under it. SQLite has one writer at a time anyway.
static SHARE_CATALOGUE: Sql = Sql::new("SELECT pg_advisory_xact_lock_shared(8319)").on_postgres_alone();
// The clock is read when the lock has been taken: a materialized part is carried out first.
static TAKE_CATALOGUE: Sql = Sql::new(
    "WITH taken AS MATERIALIZED (SELECT pg_advisory_xact_lock(8319)) \
     SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM taken",
)
.on_postgres_alone();
// The clock of the database, together with what it belongs to.
static VERSION: Sql = Sql::new(
    "SELECT version, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS millis \
     FROM catalogue_version WHERE id = 1",
)
.on_sqlite("SELECT version, NULL AS millis FROM catalogue_version WHERE id = 1");

// The function has ended, and all locks are taken, before its first row is given and the clock is read: so what was
// written for these users before was written at an earlier instant, by the same clock.
static LOCK: Sql = Sql::new(
    "SELECT id, ulid, history_seq, ledger_seq, self_made, version, \
     floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS millis FROM lock_users($1::bigint[])",
)
.on_sqlite(LOCK_ON_SQLITE);
// The same for those of the users whom no other transaction has locked.
static LOCK_FREE: Sql = Sql::new(
    "SELECT id, ulid, history_seq, ledger_seq, self_made, version, \
     floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS millis FROM lock_free_users($1::bigint[])",
)
.on_sqlite(LOCK_ON_SQLITE);
const LOCK_ON_SQLITE: &str = "SELECT c.user_id AS id, u.ulid, c.history_seq, c.ledger_seq, u.self_made, \
     (SELECT version FROM catalogue_version WHERE id = 1) AS version, NULL AS millis \
     FROM user_counters c JOIN users u ON u.id = c.user_id \
     WHERE c.user_id IN (SELECT value FROM json_each($1)) AND NOT c.gone ORDER BY c.user_id";

/// Keeps the catalogue from being changed until the transaction ends.
pub async fn share_catalogue(transaction: &Transaction) -> Result<()> {
    if on_postgres(transaction) {
        execute(transaction, &SHARE_CATALOGUE, []).await?;
    }
    Ok(())
}

/// Keeps all other writes waiting until the transaction, which changes the catalogue, ends. Gives the instant by the
/// database's clock, where it has one.
pub async fn take_catalogue(transaction: &Transaction) -> Result<Option<Timestamp>> {
    if !on_postgres(transaction) {
        return Ok(None);
    }
    Ok(fetch_values(transaction, &TAKE_CATALOGUE, []).await?.pop())
}

/// Says that the transaction, which has taken the catalogue, changed it. Gives the new number of its state.
pub async fn raise_catalogue(transaction: &Transaction) -> Result<i64> {
    let mut raise = Query::update().table("catalogue_version").and_where(Expr::col("id").eq(1)).to_owned();
    let raise = raise.value("version", Expr::col("version").add(1)).returning_col("version");
    let raised = query(transaction, raise).await?.pop();
    raised.map(|Only(version)| version).ok_or_else(no_version)
}

fn on_postgres(transaction: &Transaction) -> bool {
    transaction.get_database_backend() == DbBackend::Postgres
}

/// What locking users tells.
pub(super) struct Locks {
    /// Who of them was locked.
    pub(super) users: Vec<(i64, Locked)>,
    /// The number of the catalogue's state.
    pub(super) version: i64,
    /// The instant by the database's clock, where it has one.
    pub(super) time: Option<Timestamp>,
}

/// Locks those of these users who are there, in ascending order.
pub(super) async fn lock_users(transaction: &Transaction, users: Vec<i64>) -> Result<Locks> {
    lock(transaction, &LOCK, users).await
}

/// Locks those of these users whom no other transaction has locked, and waits only for a change of the catalogue.
pub(super) async fn lock_free_users(transaction: &Transaction, users: Vec<i64>) -> Result<Locks> {
    lock(transaction, &LOCK_FREE, users).await
}

row! {
    /// A user who was locked, and what is told with each of them.
    struct LockedRow {
        id: i64, ulid: String, history_seq: i64, ledger_seq: i64, self_made: bool, told: State = (State),
    }
}

row! {
    /// The number of the catalogue's state, and the instant by the database's clock.
    struct State { version: i64, millis: Option<Timestamp> }
}

async fn lock(transaction: &Transaction, lock: &'static Sql, users: Vec<i64>) -> Result<Locks> {
    let mut locked = fetch(transaction, lock, [Param::Ints(users)]).await?.into_iter();
    let mut told = None;
    let users = locked.by_ref().map(|LockedRow { id, ulid, history_seq, ledger_seq, self_made, told: all }| {
        told = Some(all);
        (id, Locked { self_made, ..Locked::new(&ulid, [history_seq, ledger_seq]) })
    });
    let users = users.collect();
    let State { version, millis: time } = match told {
        Some(told) => told,
        None => fetch(transaction, &VERSION, []).await?.pop().ok_or_else(no_version)?,
    };
    Ok(Locks { users, version, time })
}

// Numbers of any number of users by one statement, which the builder has no arrays for. On PostgreSQL it is the end of
// a longer one.
static NUMBER: Sql = Sql::new(
    "UPDATE user_counters SET history_seq = k.history_seq, ledger_seq = k.ledger_seq, \
     gone = user_counters.gone OR k.gone <> 0 \
     FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS k(id, history_seq, ledger_seq, gone) \
     WHERE user_counters.user_id = k.id",
)
.on_sqlite(
    "UPDATE user_counters SET history_seq = k.history_seq, ledger_seq = k.ledger_seq, \
     gone = user_counters.gone OR k.gone <> 0 \
     FROM (SELECT value ->> 0 AS id, value ->> 1 AS history_seq, value ->> 2 AS ledger_seq, value ->> 3 AS gone \
     FROM json_each($1)) AS k WHERE user_counters.user_id = k.id",
);

/// Stores what a write has collected: rows, events, and the last numbers of the users who changed.
pub(super) async fn store(
    transaction: &Transaction,
    mut stores: Stores,
    events: &[(i64, Event)],
    users: &BTreeMap<i64, Locked>,
) -> Result<()> {
    stores.insert(events.iter().map(|(user, event)| stored(*user, event)).collect());
    let new = users.iter().filter(|(_, user)| user.is_new);
    stores.insert(new.map(|(id, user)| user.counters(*id)).collect());
    let changed = || users.iter().filter(|(_, user)| user.changed && !user.is_new);
    let column = |number: fn(&Locked) -> i64| Param::Ints(changed().map(|(_, user)| number(user)).collect());
    let numbers = changed().next().map(|_| {
        let ids = Param::Ints(changed().map(|(id, _)| *id).collect());
        let columns =
            [column(|user| user.history_seq), column(|user| user.ledger_seq), column(|user| user.gone.into())];
        (&NUMBER, [ids].into_iter().chain(columns).collect())
    });
    stores.flush(transaction, numbers).await?;
    if !on_postgres(transaction) && changed().next().is_some() {
        let numbers: Vec<_> =
            changed().map(|(id, user)| (id, user.history_seq, user.ledger_seq, i64::from(user.gone))).collect();
        let numbers = serde_json::to_string(&numbers).map_err(Error::internal)?;
        execute(transaction, &NUMBER, [Param::Text(numbers)]).await?;
    }
    let known = users.iter().filter(|(_, user)| user.self_made && user.vouched);
    vouch(transaction, known.map(|(id, _)| *id).collect()).await
}

/// Notes that somebody vouches for these users: once in the life of a user at most.
async fn vouch(transaction: &Transaction, users: Vec<i64>) -> Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    let mut known = Query::update().table("users").and_where(Expr::col("id").is_any(transaction, users)).to_owned();
    known.value("self_made", false).and_where(Expr::col("self_made"));
    Ok(transaction.execute(&known).await.map(drop)?)
}

fn stored(user: i64, event: &Event) -> event::Model {
    let event = event.clone();
    event::Model {
        user_id: user,
        seq: event.seq,
        kind: event.kind,
        actor: event.actor,
        subject_type: event.subject_type,
        subject_key: event.subject_key,
        changes: event.changes,
        occurred_at: event.occurred_at,
        recorded_at: event.recorded_at,
    }
}

/// A part of a user's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) user: i64,
    /// The number of its first event, and that of its last.
    pub(super) first: i64,
    pub(super) last: i64,
}

row!(Event { seq, kind, actor, subject_type, subject_key, occurred_at, recorded_at; changes });

/// The events of some parts of histories, each with its user.
pub(super) async fn events(transaction: &Transaction, told: &[Told]) -> Result<Vec<(i64, Event)>> {
    // Users of one write mostly have the same numbers: those who were made by it.
    let mut users: BTreeMap<(i64, i64), Vec<i64>> = BTreeMap::new();
    for Told { user, first, last } in told {
        users.entry((*first, *last)).or_default().push(*user);
    }
    let mut events = Vec::new();
    for ((first, last), users) in users {
        use event::{Column, Entity};
        let found = Entity::find()
            .filter(Column::UserId.is_any(transaction, users))
            .filter(Column::Seq.between(first, last))
            .order_by_asc(Column::UserId)
            .order_by_asc(Column::Seq);
        events.extend(select::<_, (i64, Event)>(transaction, found).await?);
    }
    Ok(events)
}

// Raises a number and gives it back.
static NEXT_NUMBER: Sql =
    Sql::new("UPDATE user_counters SET history_seq = history_seq + 1 WHERE user_id = $1 RETURNING history_seq");

row! {
    /// The number of a user's last event.
    struct Last { user_id: i64, history_seq: i64 }
}

/// The numbers of the last events of these users.
pub(super) async fn last_numbers(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, i64)>> {
    use counters::{Column, Entity};
    let last = select(connection, Entity::find().filter(Column::UserId.is_any(connection, users))).await?;
    Ok(last.into_iter().map(|Last { user_id, history_seq }| (user_id, history_seq)).collect())
}

/// Appends one event of an operator's to a user's history in a transaction that is no [`Unit`](super::Unit). Locks the
/// user.
pub async fn append_event(
    transaction: &Transaction,
    user: i64,
    kind: HistoryKind,
    subject: (&str, &str),
    changes: &serde_json::Value,
    actor: &str,
    now: Timestamp,
) -> Result<()> {
    let numbers = fetch_values(transaction, &NEXT_NUMBER, [Param::Int(user)]).await?;
    let seq = numbers.first().copied().ok_or_else(|| Error::internal(format!("there is no user {user}")))?;
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
    bulk::insert(transaction, &[stored(user, &event)]).await?;
    vouch(transaction, vec![user]).await
}

/// An entry of the audit log that is to be written.
#[derive(Debug, Clone)]
pub(super) struct AuditEntry {
    pub(super) actor: String,
    pub(super) action: &'static str,
    pub(super) subject_type: String,
    pub(super) subject_key: String,
    pub(super) changes: String,
}

/// What the audit log says of all actions of this name, as JSON.
pub async fn audited(connection: &impl ConnectionTrait, action: &str) -> Result<Vec<String>> {
    use audit_entry::{Column, Entity};
    values(connection, Entity::find().filter(Column::Action.eq(action)), Column::Changes).await
}

/// Appends entries to the audit log.
pub(super) async fn append_audit(transaction: &Transaction, entries: Vec<AuditEntry>, now: Timestamp) -> Result<()> {
    if entries.is_empty() {
        return Ok(());
    }
    let rows = entries.into_iter().map(|entry| audit_entry::Model {
        id: 0,
        actor: entry.actor,
        action: entry.action.to_owned(),
        subject_type: entry.subject_type,
        subject_key: entry.subject_key,
        changes: entry.changes,
        recorded_at: now,
    });
    bulk::add(transaction, &rows.collect::<Vec<_>>()).await
}

/// Appends one entry to the audit log in a transaction that is no [`Unit`](super::Unit).
pub async fn append_entry(
    transaction: &Transaction,
    action: &'static str,
    subject: (&str, &str),
    changes: &serde_json::Value,
    actor: &str,
    now: Timestamp,
) -> Result<()> {
    let entry = AuditEntry {
        actor: actor.to_owned(),
        action,
        subject_type: subject.0.to_owned(),
        subject_key: subject.1.to_owned(),
        changes: changes.to_string(),
    };
    append_audit(transaction, vec![entry], now).await
}

row! {
    /// What is kept under a reference.
    struct Kept { user_id: i64, kind: String, reference: String, outcome: String }
}

/// The outcomes kept under these references.
pub(super) async fn referenced(
    transaction: &Transaction,
    references: &[Reference],
) -> Result<BTreeMap<Reference, String>> {
    if references.is_empty() {
        return Ok(BTreeMap::new());
    }
    use write_ref::{Column, Entity};
    let distinct = |name: fn(&Reference) -> &str| {
        let names: BTreeSet<&str> = references.iter().map(name).collect();
        names.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    let users: BTreeSet<i64> = references.iter().map(|reference| reference.user).collect();
    let kept = Entity::find()
        .filter(Column::UserId.is_any(transaction, users.into_iter().collect::<Vec<_>>()))
        .filter(Column::Kind.is_any(transaction, distinct(|reference| reference.kind)))
        .filter(Column::Reference.is_any(transaction, distinct(|reference| &reference.name)));
    let found: Vec<Kept> = select(transaction, kept).await?;
    // Compared one column at a time above, so more may be found than was asked for.
    let asked: BTreeMap<(i64, &str, &str), &Reference> =
        references.iter().map(|one| ((one.user, one.kind, one.name.as_str()), one)).collect();
    Ok(found
        .into_iter()
        .filter_map(|Kept { user_id, kind, reference, outcome }| {
            let reference = asked.get(&(user_id, kind.as_str(), reference.as_str()))?;
            Some(((*reference).clone(), outcome))
        })
        .collect())
}

/// Keeps outcomes under references, without an end.
pub(super) fn keep_references(stores: &mut Stores, references: Vec<(Reference, String)>, now: Timestamp) {
    let rows = references.into_iter().map(|(reference, outcome)| write_ref::Model {
        user_id: reference.user,
        kind: reference.kind.to_owned(),
        reference: reference.name,
        created_at: now,
        outcome,
    });
    stores.insert(rows.collect());
}

/// Hands the references of one user over to another.
pub(super) async fn hand_over_references(
    transaction: &Transaction,
    merger: Merger,
    renumbered: impl Fn(&str, String) -> String,
) -> Result<()> {
    merger
        .rows::<write_ref::Entity, _>(
            transaction,
            |row| {
                row.user_id = merger.into;
                row.outcome = renumbered(&row.kind, std::mem::take(&mut row.outcome));
            },
            |row| (row.kind.clone(), row.reference.clone()),
            |own, _| own,
        )
        .await
        .map(drop)
}

/// Forgets what makes the writes of a user safe to repeat who will never write again.
pub async fn forget_writes(transaction: &Transaction, user: i64, principals: Vec<String>) -> Result<()> {
    use idempotency_key::{Column, Entity};
    write_ref::Entity::delete_many().filter(write_ref::Column::UserId.eq(user)).exec(transaction).await?;
    Ok(Entity::delete_many()
        .filter(Column::Principal.is_any(transaction, principals))
        .exec(transaction)
        .await
        .map(drop)?)
}

/// How a write is made safe to repeat.
#[derive(Debug, Clone)]
pub(super) struct Idempotency {
    pub(super) principal: String,
    pub(super) mutation: &'static str,
    pub(super) key: String,
    /// A hash of the input, in hexadecimal digits.
    pub(super) body_hash: String,
}

impl Idempotency {
    pub(super) fn id(&self) -> (String, String, String) {
        (self.principal.clone(), self.mutation.to_owned(), self.key.clone())
    }
}

/// A key taken by an earlier write.
#[derive(Debug)]
pub(super) struct Earlier {
    pub(super) body_hash: String,
    pub(super) outcome: String,
}

// Takes keys, and gives back which were free, at once: a second write with one of them waits here until the first one
// has ended. The builder has no condition for what a conflict changes.
static TAKE: Sql = Sql::new(
    "INSERT INTO idempotency_keys (principal, mutation, key, body_hash, outcome, created_at) \
     SELECT principal, $1::text, key, body_hash, '', $5::bigint \
     FROM unnest($2::text[], $3::text[], $4::text[]) AS t(principal, key, body_hash) \
     ON CONFLICT (principal, mutation, key) DO UPDATE \
     SET body_hash = excluded.body_hash, outcome = '', created_at = excluded.created_at \
     WHERE idempotency_keys.created_at <= excluded.created_at - $6 RETURNING principal, key",
)
.on_sqlite(
    "INSERT INTO idempotency_keys (principal, mutation, key, body_hash, outcome, created_at) \
     SELECT value ->> 0, $1, value ->> 1, value ->> 2, '', $3 FROM json_each($2) WHERE true \
     ON CONFLICT (principal, mutation, key) DO UPDATE \
     SET body_hash = excluded.body_hash, outcome = '', created_at = excluded.created_at \
     WHERE idempotency_keys.created_at <= excluded.created_at - $4 RETURNING principal, key",
);
// The same by the database's clock.
static TAKE_NOW: Sql = Sql::new(
    "INSERT INTO idempotency_keys (principal, mutation, key, body_hash, outcome, created_at) \
     SELECT principal, $1::text, key, body_hash, '', floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint \
     FROM unnest($2::text[], $3::text[], $4::text[]) AS t(principal, key, body_hash) \
     ON CONFLICT (principal, mutation, key) DO UPDATE \
     SET body_hash = excluded.body_hash, outcome = '', created_at = excluded.created_at \
     WHERE idempotency_keys.created_at <= excluded.created_at - $5 RETURNING principal, key",
)
.on_postgres_alone();

row! {
    /// A key that was free.
    struct Free { principal: String, key: String }
}

/// Takes the keys of writes of one kind, no two of which have the same; returns for each the outcome of the earlier
/// write when there was one in the last `kept` seconds.
pub(super) async fn take_keys(
    transaction: &Transaction,
    keys: &[&Idempotency],
    moment: Moment,
    kept: i64,
) -> Result<Vec<Option<Earlier>>> {
    let Some(Idempotency { mutation, .. }) = keys.first() else { return Ok(Vec::new()) };
    // Taken in one order, so that no two transactions wait for each other.
    let mut rows: Vec<[&str; 3]> = keys.iter().map(|one| [&*one.principal, &*one.key, &*one.body_hash]).collect();
    rows.sort_unstable();
    let mut params = vec![Param::from(*mutation)];
    params.extend(columns(transaction, &rows)?);
    if !moment.by_database {
        params.push(Param::Int(moment.now.millis()));
    }
    params.push(Param::Int(kept.saturating_mul(1000)));
    let take = if moment.by_database { &TAKE_NOW } else { &TAKE };
    let free: Vec<Free> = fetch(transaction, take, params).await?;
    let free: BTreeSet<(String, String)> = free.into_iter().map(|Free { principal, key }| (principal, key)).collect();
    let mut earlier = Vec::with_capacity(keys.len());
    for one in keys {
        if free.contains(&(one.principal.clone(), one.key.clone())) {
            earlier.push(None);
            continue;
        }
        let row = idempotency_key::Entity::find_by_id(one.id()).one(transaction).await?;
        // Swept in between: then the write is done again from its beginning.
        let row = row.ok_or_else(|| Error::internal("an idempotency key went away").passing())?;
        earlier.push(Some(Earlier { body_hash: row.body_hash, outcome: row.outcome }));
    }
    Ok(earlier)
}

// The builder has no update by a list. A key that the write itself took away, with all of somebody who is forgotten, does
// not come back.
static KEEP: Sql = Sql::new(
    "UPDATE idempotency_keys SET outcome = t.outcome \
     FROM unnest($2::text[], $3::text[], $4::text[]) AS t(principal, key, outcome) \
     WHERE idempotency_keys.principal = t.principal AND idempotency_keys.mutation = $1 AND idempotency_keys.key = t.key",
)
.on_sqlite(
    "UPDATE idempotency_keys SET outcome = t.value ->> 2 FROM json_each($2) AS t \
     WHERE idempotency_keys.principal = t.value ->> 0 AND idempotency_keys.mutation = $1 \
     AND idempotency_keys.key = t.value ->> 1",
);

/// Keeps the outcomes of writes of one kind under the keys that they have taken.
pub(super) async fn keep_outcomes(transaction: &Transaction, outcomes: &[(&Idempotency, String)]) -> Result<()> {
    let Some((Idempotency { mutation, .. }, _)) = outcomes.first() else { return Ok(()) };
    let rows: Vec<[&str; 3]> = outcomes.iter().map(|(taken, text)| [&*taken.principal, &*taken.key, &**text]).collect();
    execute(transaction, &KEEP, [Param::from(*mutation)].into_iter().chain(columns(transaction, &rows)?))
        .await
        .map(drop)
}

/// Rows of three texts as parameters: an array a column on PostgreSQL, and one of JSON on SQLite.
fn columns(transaction: &Transaction, rows: &[[&str; 3]]) -> Result<Vec<Param>> {
    if transaction.get_database_backend() == DbBackend::Sqlite {
        return Ok(vec![Param::Text(serde_json::to_string(rows).map_err(Error::internal)?)]);
    }
    let column = |place: usize| rows.iter().filter_map(|row| row.get(place)).map(|text| (*text).to_owned()).collect();
    Ok([0, 1, 2].map(column).map(Param::Texts).to_vec())
}

/// The principal of what is stored to see whether anything can be.
const PROBE: &str = "probe";

/// Stores something, to see whether anything can be stored. What is left of it goes away with the old keys.
pub(super) async fn put_filler(transaction: &Transaction, filler: String, created_at: Timestamp) -> Result<()> {
    let row = idempotency_key::Model {
        principal: PROBE.to_owned(),
        mutation: String::new(),
        key: String::new(),
        body_hash: String::new(),
        outcome: filler,
        created_at,
    };
    bulk::upsert(transaction, &[row], &[idempotency_key::Column::Outcome]).await
}

/// Takes it away again.
pub(super) async fn remove_filler(transaction: &Transaction) -> Result<()> {
    use idempotency_key::{Column, Entity};
    Ok(Entity::delete_many().filter(Column::Principal.eq(PROBE)).exec(transaction).await.map(drop)?)
}

/// Forgets keys that were taken `kept` seconds ago or earlier.
pub(super) async fn forget_keys(connection: &impl ConnectionTrait, moment: Moment, kept: i64) -> Result<u64> {
    use idempotency_key::{Column, Entity};
    let now = if moment.by_database { Expr::cust(NOW) } else { Expr::value(moment.now) };
    let old = Expr::col(Column::CreatedAt).lte(now.sub(kept.saturating_mul(1000)));
    Ok(Entity::delete_many().filter(old).exec(connection).await?.rows_affected)
}

/// The clock of PostgreSQL in milliseconds.
const NOW: &str = "floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint";
