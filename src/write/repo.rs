//! SQL that every write has in common: locks, events, the audit log, idempotency keys and references.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbBackend, DbErr};
use serde::{Deserialize, Serialize};

use super::entity::{audit_entry, event, write_ref};
use super::unit::{Locked, Moment, Reference};
use super::{Event, HistoryKind};
use waymark_db::bulk;
use waymark_db::bulk::Stores;
use waymark_db::owner::Merger;
use waymark_db::{Param, Row, Sql, Transaction, execute, fetch};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};

// Writes of progress share this lock by way of `lock_users`, a change of the catalogue takes it alone: what a write
// decides by does not change under it. SQLite has one writer at a time anyway.
static SHARE_CATALOGUE: Sql = Sql::new("SELECT pg_advisory_xact_lock_shared(8319)");
// The clock is read when the lock has been taken: a materialized part is carried out first.
static TAKE_CATALOGUE: Sql = Sql::new(
    "WITH taken AS MATERIALIZED (SELECT pg_advisory_xact_lock(8319)) \
     SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM taken",
);
static VERSION: Sql = Sql::new(
    "SELECT version, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint FROM catalogue_version WHERE id = 1",
);
static VERSION_ON_SQLITE: Sql = Sql::new("SELECT version, NULL FROM catalogue_version WHERE id = 1");

// The function has ended, and all locks are taken, before its first row is given and the clock is read: so what was
// written for these users before was written at an earlier instant, by the same clock.
static LOCK: Sql = Sql::new(
    "SELECT id, ulid, history_seq, ledger_seq, version, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint \
     FROM lock_users($1::bigint[])",
);
static LOCK_ON_SQLITE: Sql = Sql::new(
    "SELECT u.id, u.ulid, u.history_seq, u.ledger_seq, (SELECT version FROM catalogue_version WHERE id = 1), NULL \
     FROM users u WHERE u.id = ANY($1) AND u.merged_into IS NULL AND u.erased_at IS NULL ORDER BY u.id",
);

// The same for those of the users whom no other transaction has locked.
static LOCK_FREE: Sql = Sql::new(
    "SELECT id, ulid, history_seq, ledger_seq, version, floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint \
     FROM lock_free_users($1::bigint[])",
);

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
    let times = fetch(transaction, &TAKE_CATALOGUE, [], |row| row.take()).await?;
    Ok(times.first().copied().map(Timestamp::from_millis))
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
    lock(transaction, if on_postgres(transaction) { &LOCK } else { &LOCK_ON_SQLITE }, users).await
}

/// Locks those of these users whom no other transaction has locked, and waits only for a change of the catalogue.
pub(super) async fn lock_free_users(transaction: &Transaction, users: Vec<i64>) -> Result<Locks> {
    lock(transaction, if on_postgres(transaction) { &LOCK_FREE } else { &LOCK_ON_SQLITE }, users).await
}

async fn lock(transaction: &Transaction, lock: &'static Sql, users: Vec<i64>) -> Result<Locks> {
    let mut told = None;
    let users = fetch(transaction, lock, [Param::Ints(users)], |row| {
        let id = row.take()?;
        let ulid: String = row.take()?;
        let (history_seq, ledger_seq) = (row.take()?, row.take()?);
        let user = Locked { ulid: ulid.into(), history_seq, ledger_seq, changed: false, vouched: false };
        told = Some((row.take::<i64>()?, row.take::<Option<i64>>()?));
        Ok((id, user))
    })
    .await?;
    let (version, time) = match told {
        Some(told) => told,
        None => version(transaction).await?,
    };
    Ok(Locks { users, version, time: time.map(Timestamp::from_millis) })
}

async fn version(transaction: &Transaction) -> Result<(i64, Option<i64>)> {
    let version = if on_postgres(transaction) { &VERSION } else { &VERSION_ON_SQLITE };
    let versions = fetch(transaction, version, [], |row| Ok((row.take()?, row.take()?))).await?;
    versions.first().copied().ok_or_else(|| Error::internal("catalogue_version has no row; run the migrations"))
}

static NUMBER_ON_POSTGRES: &str = "UPDATE users SET history_seq = k.history_seq, ledger_seq = k.ledger_seq, \
     self_made = users.self_made AND k.vouched = 0 \
     FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[]) AS k(id, history_seq, ledger_seq, vouched) \
     WHERE users.id = k.id";
static NUMBER_ON_SQLITE: Sql = Sql::new(
    "UPDATE users SET history_seq = k.history_seq, ledger_seq = k.ledger_seq, \
     self_made = users.self_made AND k.vouched = 0 \
     FROM (SELECT value ->> 0 AS id, value ->> 1 AS history_seq, value ->> 2 AS ledger_seq, value ->> 3 AS vouched \
     FROM json_each($1)) AS k WHERE users.id = k.id",
);

/// Stores what a write has collected: rows, events, and the last numbers of the users who changed.
pub(super) async fn store(
    transaction: &Transaction,
    mut stores: Stores,
    events: &[(i64, Event)],
    users: &BTreeMap<i64, Locked>,
) -> Result<()> {
    stores.insert(events.iter().map(|(user, event)| stored(*user, event)).collect());
    let changed = || users.iter().filter(|(_, user)| user.changed);
    let column = |number: fn(&Locked) -> i64| Param::Ints(changed().map(|(_, user)| number(user)).collect());
    let numbers = changed().next().map(|_| {
        let ids = Param::Ints(changed().map(|(id, _)| *id).collect());
        let columns =
            [column(|user| user.history_seq), column(|user| user.ledger_seq), column(|user| user.vouched.into())];
        (NUMBER_ON_POSTGRES, [ids].into_iter().chain(columns).collect())
    });
    stores.flush(transaction, numbers).await?;
    if !on_postgres(transaction) && changed().next().is_some() {
        let numbers: Vec<_> =
            changed().map(|(id, user)| (id, user.history_seq, user.ledger_seq, i64::from(user.vouched))).collect();
        let numbers = serde_json::to_string(&numbers).map_err(Error::internal)?;
        execute(transaction, &NUMBER_ON_SQLITE, [Param::Text(numbers)]).await?;
    }
    Ok(())
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

static EVENTS: Sql = Sql::new(
    "SELECT user_id, seq, kind, actor, subject_type, subject_key, changes, occurred_at, recorded_at FROM history_events \
     WHERE user_id = ANY($1) AND seq BETWEEN $2 AND $3 ORDER BY user_id, seq",
);

/// Reads a row of `history_events`: the user, and the members of an [`Event`] in their order.
///
/// # Errors
/// When the row has other columns.
pub fn read_event(row: &mut Row) -> Result<(i64, Event), DbErr> {
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

/// The events of some parts of histories, each with its user.
pub(super) async fn events(transaction: &Transaction, told: &[Told]) -> Result<Vec<(i64, Event)>> {
    // Users of one write mostly have the same numbers: those who were made by it.
    let mut users: BTreeMap<(i64, i64), Vec<i64>> = BTreeMap::new();
    for Told { user, first, last } in told {
        users.entry((*first, *last)).or_default().push(*user);
    }
    let mut events = Vec::new();
    for ((first, last), users) in users {
        let params = [Param::Ints(users), Param::Int(first), Param::Int(last)];
        let found = fetch(transaction, &EVENTS, params, read_event);
        events.extend(found.await?);
    }
    Ok(events)
}

static NEXT_NUMBER: Sql =
    Sql::new("UPDATE users SET history_seq = history_seq + 1, self_made = FALSE WHERE id = $1 RETURNING history_seq");

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
    let numbers = fetch(transaction, &NEXT_NUMBER, [Param::Int(user)], |row| row.take()).await?;
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
    bulk::insert(transaction, &[stored(user, &event)]).await
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

static REFERENCED: Sql = Sql::new(
    "SELECT user_id, kind, reference, outcome FROM write_refs \
     WHERE user_id = ANY($1) AND kind = ANY($2) AND reference = ANY($3)",
);

/// The outcomes kept under these references.
pub(super) async fn referenced(
    transaction: &Transaction,
    references: &[Reference],
) -> Result<BTreeMap<Reference, String>> {
    if references.is_empty() {
        return Ok(BTreeMap::new());
    }
    let distinct = |mut values: Vec<String>| {
        values.sort_unstable();
        values.dedup();
        values
    };
    let mut users: Vec<i64> = references.iter().map(|reference| reference.user).collect();
    users.sort_unstable();
    users.dedup();
    let params = [
        Param::Ints(users),
        Param::Texts(distinct(references.iter().map(|reference| reference.kind.to_owned()).collect())),
        Param::Texts(distinct(references.iter().map(|reference| reference.name.clone()).collect())),
    ];
    let found: Vec<(i64, String, String, String)> =
        fetch(transaction, &REFERENCED, params, |row| Ok((row.take()?, row.take()?, row.take()?, row.take()?))).await?;
    // Compared one column at a time above, so more may be found than was asked for.
    let asked: BTreeMap<(i64, &str, &str), &Reference> =
        references.iter().map(|one| ((one.user, one.kind, one.name.as_str()), one)).collect();
    Ok(found
        .into_iter()
        .filter_map(|(user, kind, name, outcome)| {
            let reference = asked.get(&(user, kind.as_str(), name.as_str()))?;
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
pub(super) async fn hand_over_references(transaction: &Transaction, merger: Merger) -> Result<()> {
    merger
        .rows::<write_ref::Entity, _>(
            transaction,
            |row| row.user_id = merger.into,
            |row| (row.kind.clone(), row.reference.clone()),
            |own, _| own,
        )
        .await
        .map(drop)
}

static FORGET_REFERENCES: Sql = Sql::new("DELETE FROM write_refs WHERE user_id = $1");
static FORGET_OUTCOMES: Sql = Sql::new("DELETE FROM idempotency_keys WHERE principal = ANY($1)");

/// Forgets what makes the writes of a user safe to repeat who will never write again.
pub async fn forget_writes(transaction: &Transaction, user: i64, principals: Vec<String>) -> Result<()> {
    execute(transaction, &FORGET_REFERENCES, [Param::Int(user)]).await?;
    execute(transaction, &FORGET_OUTCOMES, [Param::Texts(principals)]).await.map(drop)
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
    fn params(&self) -> [Param; 3] {
        [Param::Text(self.principal.clone()), Param::Text(self.mutation.to_owned()), Param::Text(self.key.clone())]
    }
}

/// A key taken by an earlier write.
#[derive(Debug)]
pub(super) struct Earlier {
    pub(super) body_hash: String,
    pub(super) outcome: String,
}

// A second write with the key waits here until the first one has ended.
static TAKE: Sql = Sql::new(
    "INSERT INTO idempotency_keys (principal, mutation, key, body_hash, outcome, created_at) \
     VALUES ($1, $2, $3, $4, '', $5) ON CONFLICT (principal, mutation, key) DO UPDATE \
     SET body_hash = excluded.body_hash, outcome = '', created_at = excluded.created_at \
     WHERE idempotency_keys.created_at <= excluded.created_at - $6 RETURNING 1",
);
static TAKE_NOW: Sql = Sql::new(
    "INSERT INTO idempotency_keys (principal, mutation, key, body_hash, outcome, created_at) \
     VALUES ($1, $2, $3, $4, '', floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint) \
     ON CONFLICT (principal, mutation, key) DO UPDATE \
     SET body_hash = excluded.body_hash, outcome = '', created_at = excluded.created_at \
     WHERE idempotency_keys.created_at <= excluded.created_at - $5 RETURNING 1",
);
static EARLIER: Sql =
    Sql::new("SELECT body_hash, outcome FROM idempotency_keys WHERE principal = $1 AND mutation = $2 AND key = $3");
static KEEP: Sql =
    Sql::new("UPDATE idempotency_keys SET outcome = $4 WHERE principal = $1 AND mutation = $2 AND key = $3");
static FORGET: Sql = Sql::new("DELETE FROM idempotency_keys WHERE created_at <= $1");
static FORGET_NOW: Sql = Sql::new(
    "DELETE FROM idempotency_keys WHERE created_at <= floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint - $1",
);

/// Takes the key for this write; returns the outcome of the earlier write when there was one in the last `kept`
/// seconds.
pub(super) async fn take_key(
    transaction: &Transaction,
    idempotency: &Idempotency,
    moment: Moment,
    kept: i64,
) -> Result<Option<Earlier>> {
    let mut params: Vec<Param> = idempotency.params().into_iter().collect();
    params.push(Param::Text(idempotency.body_hash.clone()));
    if !moment.by_database {
        params.push(Param::Int(moment.now.millis()));
    }
    params.push(Param::Int(kept.saturating_mul(1000)));
    let take = if moment.by_database { &TAKE_NOW } else { &TAKE };
    let taken: Vec<i32> = fetch(transaction, take, params, |row| row.take()).await?;
    if !taken.is_empty() {
        return Ok(None);
    }
    let found = fetch(transaction, &EARLIER, idempotency.params(), |row| {
        Ok(Earlier { body_hash: row.take()?, outcome: row.take()? })
    })
    .await?;
    // Swept in between: then the write is done again from its beginning.
    let earlier = found.into_iter().next();
    earlier.map(Some).ok_or_else(|| Error::internal("an idempotency key went away").passing())
}

/// Keeps the outcome of the write under its key.
pub(super) async fn keep_outcome(transaction: &Transaction, idempotency: &Idempotency, outcome: String) -> Result<()> {
    execute(transaction, &KEEP, idempotency.params().into_iter().chain([Param::Text(outcome)])).await.map(drop)
}

static PUT_FILLER: Sql = Sql::new(
    "INSERT INTO idempotency_keys (principal, mutation, key, body_hash, outcome, created_at) \
     VALUES ('probe', '', '', '', $1, $2) ON CONFLICT (principal, mutation, key) DO UPDATE SET outcome = excluded.outcome",
);
static REMOVE_FILLER: Sql = Sql::new("DELETE FROM idempotency_keys WHERE principal = 'probe'");

/// Stores something, to see whether anything can be stored. What is left of it goes away with the old keys.
pub(super) async fn put_filler(transaction: &Transaction, filler: String, created_at: Timestamp) -> Result<()> {
    execute(transaction, &PUT_FILLER, [Param::Text(filler), Param::Int(created_at.millis())]).await.map(drop)
}

/// Takes it away again.
pub(super) async fn remove_filler(transaction: &Transaction) -> Result<()> {
    execute(transaction, &REMOVE_FILLER, []).await.map(drop)
}

/// Forgets keys that were taken `kept` seconds ago or earlier.
pub(super) async fn forget_keys(connection: &impl ConnectionTrait, moment: Moment, kept: i64) -> Result<u64> {
    if moment.by_database {
        return execute(connection, &FORGET_NOW, [Param::Int(kept.saturating_mul(1000))]).await;
    }
    execute(connection, &FORGET, [Param::Int(moment.now.plus_seconds(-kept).millis())]).await
}
