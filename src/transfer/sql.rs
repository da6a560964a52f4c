//! SQL of imports and exports: rows by their keys, new ids, locks, snapshots and copies.

use std::collections::{BTreeSet, HashMap};

use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, RuntimeErr, Statement, sqlx};

pub(super) use waymark_db::rows::{all, new_ids, page, page_of_users, store, with_int, with_pairs, with_text};
use waymark_db::{Db, Kind, Param, Sql, Transaction, execute, fetch};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_write::{HistoryKind, share_catalogue, take_catalogue};

fn on_postgres(transaction: &Transaction) -> bool {
    transaction.get_database_backend() == DbBackend::Postgres
}

static VERSION: Sql = Sql::new("SELECT version FROM catalogue_version WHERE id = 1");

/// Locks the catalogue, for a change or against changes, and gives its version.
pub(super) async fn lock_catalogue(transaction: &Transaction, for_a_change: bool) -> Result<i64> {
    if for_a_change {
        take_catalogue(transaction).await?;
    } else {
        share_catalogue(transaction).await?;
    }
    let versions = fetch(transaction, &VERSION, [], |row| row.take()).await?;
    versions.first().copied().ok_or_else(|| Error::internal("catalogue_version has no row; run the migrations"))
}

/// How users are named.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) ulids: Vec<String>,
    /// In lower case.
    pub(super) handles: Vec<String>,
    /// Provider and id.
    pub(super) accounts: Vec<(String, String)>,
}

static BY_ULID: Sql = Sql::new("SELECT id, ulid FROM users WHERE ulid = ANY($1)");
static BY_HANDLE: Sql = Sql::new(
    "SELECT id, handle_lower FROM users \
     WHERE handle_lower = ANY($1) AND merged_into IS NULL AND erased_at IS NULL",
);
static BY_ACCOUNT: Sql = Sql::new(
    "SELECT a.user_id, a.provider, a.external_id FROM accounts a JOIN users u ON u.id = a.user_id \
     WHERE a.provider = ANY($1) AND a.external_id = ANY($2) AND u.merged_into IS NULL AND u.erased_at IS NULL",
);

/// The users who go by these names, each with the name: a ULID, a handle in lower case, or `provider:id`.
pub(super) async fn find_users(transaction: &Transaction, names: Names) -> Result<Vec<(String, i64)>> {
    let mut found = Vec::new();
    let read = |row: &mut waymark_db::Row| {
        let id = row.take()?;
        Ok((row.take()?, id))
    };
    if !names.ulids.is_empty() {
        found.extend(fetch(transaction, &BY_ULID, [Param::Texts(names.ulids)], read).await?);
    }
    if !names.handles.is_empty() {
        found.extend(fetch(transaction, &BY_HANDLE, [Param::Texts(names.handles)], read).await?);
    }
    if !names.accounts.is_empty() {
        let (providers, ids): (BTreeSet<String>, Vec<String>) = names.accounts.into_iter().unzip();
        let params = [Param::Texts(providers.into_iter().collect()), Param::Texts(ids)];
        let accounts = fetch(transaction, &BY_ACCOUNT, params, |row| {
            let user = row.take()?;
            let (provider, id): (String, String) = (row.take()?, row.take()?);
            Ok((format!("{provider}:{id}"), user))
        });
        found.extend(accounts.await?);
    }
    Ok(found)
}

/// A user whose row is locked.
#[derive(Debug)]
pub(super) struct Locked {
    pub(super) id: i64,
    pub(super) ulid: String,
    pub(super) history_seq: i64,
    pub(super) ledger_seq: i64,
    pub(super) merged: bool,
    pub(super) erased: bool,
}

static LOCK: Sql = Sql::new(
    "SELECT id, ulid, history_seq, ledger_seq, merged_into IS NOT NULL, erased_at IS NOT NULL FROM users \
     WHERE id = ANY($1) ORDER BY id FOR UPDATE",
);
static LOCK_ON_SQLITE: Sql = Sql::new(
    "SELECT id, ulid, history_seq, ledger_seq, merged_into IS NOT NULL, erased_at IS NOT NULL FROM users \
     WHERE id = ANY($1) ORDER BY id",
);

/// Locks users in ascending order.
pub(super) async fn lock_users(transaction: &Transaction, users: Vec<i64>) -> Result<Vec<Locked>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let lock = if on_postgres(transaction) { &LOCK } else { &LOCK_ON_SQLITE };
    fetch(transaction, lock, [Param::Ints(users)], |row| {
        Ok(Locked {
            id: row.take()?,
            ulid: row.take()?,
            history_seq: row.take()?,
            ledger_seq: row.take()?,
            merged: row.take()?,
            erased: row.take()?,
        })
    })
    .await
}

static REFS: Sql =
    Sql::new("SELECT user_id, kind, reference FROM write_refs WHERE user_id = ANY($1) AND reference = ANY($2)");

/// The references of these names that these users' writes had, with user and kind.
pub(super) async fn find_refs(
    transaction: &Transaction,
    users: BTreeSet<i64>,
    names: BTreeSet<String>,
) -> Result<Vec<(i64, String, String)>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let params = [Param::Ints(users.into_iter().collect()), Param::Texts(names.into_iter().collect())];
    fetch(transaction, &REFS, params, |row| Ok((row.take()?, row.take()?, row.take()?))).await
}

static ACCOUNTS: Sql =
    Sql::new("SELECT user_id, provider, external_id FROM accounts WHERE provider = ANY($1) AND external_id = ANY($2)");

/// Whose accounts these are; may find more, since providers and ids are compared one by one.
pub(super) async fn find_accounts(
    transaction: &Transaction,
    providers: BTreeSet<String>,
    ids: BTreeSet<String>,
) -> Result<Vec<(i64, String, String)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let params = [Param::Texts(providers.into_iter().collect()), Param::Texts(ids.into_iter().collect())];
    fetch(transaction, &ACCOUNTS, params, |row| Ok((row.take()?, row.take()?, row.take()?))).await
}

static PROFILES: Sql = Sql::new(
    "SELECT user_id, max(recorded_at) FROM history_events WHERE user_id = ANY($1) AND kind = ANY($2) GROUP BY user_id",
);

/// When the profile or the accounts of each of these users changed last, as the histories say.
pub(super) async fn profiles_updated(transaction: &Transaction, users: &[i64]) -> Result<HashMap<i64, Timestamp>> {
    let kinds = [
        HistoryKind::UserCreated,
        HistoryKind::ProfileChanged,
        HistoryKind::AccountLinked,
        HistoryKind::AccountUnlinked,
        HistoryKind::Merged,
        HistoryKind::Erased,
    ];
    let kinds = kinds.map(|kind| kind.as_str().to_owned()).to_vec();
    let params = [Param::Ints(users.to_vec()), Param::Texts(kinds)];
    let found = fetch(transaction, &PROFILES, params, |row| Ok((row.take()?, row.take()?))).await?;
    Ok(found.into_iter().collect())
}

static LEADS_TO: Sql = Sql::new(
    "WITH RECURSIVE way(id) AS (SELECT CAST($1 AS bigint) UNION SELECT u.merged_into FROM users u \
     JOIN way ON u.id = way.id WHERE u.merged_into IS NOT NULL) SELECT id FROM way WHERE id = $2",
);

/// Whether `user` is, or was merged on into, `other`.
pub(super) async fn leads_to(transaction: &Transaction, user: i64, other: i64) -> Result<bool> {
    let found: Vec<i64> =
        fetch(transaction, &LEADS_TO, [Param::Int(user), Param::Int(other)], |row| row.take()).await?;
    Ok(!found.is_empty())
}

static MERGE: Sql = Sql::new("UPDATE users SET merged_into = $2 WHERE id = $1");

/// Notes that a user was merged into another.
pub(super) async fn merge(transaction: &Transaction, user: i64, into: i64) -> Result<()> {
    execute(transaction, &MERGE, [Param::Int(user), Param::Int(into)]).await.map(drop)
}

static MERGES: Sql = Sql::new(
    "SELECT u.id, u.ulid, i.ulid FROM users u JOIN users i ON i.id = u.merged_into WHERE u.id > $1 ORDER BY u.id LIMIT $2",
);

/// Users who were merged, with their id, their ULID, and that of the survivor.
pub(super) async fn merges(transaction: &Transaction, behind: i64, limit: i64) -> Result<Vec<(i64, String, String)>> {
    fetch(transaction, &MERGES, [Param::Int(behind), Param::Int(limit)], |row| {
        Ok((row.take()?, row.take()?, row.take()?))
    })
    .await
}

static RESOURCE_KEYS: Sql = Sql::new("SELECT id, key FROM resources WHERE id = ANY($1)");

/// The keys of resources.
pub(super) async fn resource_keys(transaction: &Transaction, ids: BTreeSet<i64>) -> Result<Vec<(i64, String)>> {
    fetch(transaction, &RESOURCE_KEYS, [Param::Ints(ids.into_iter().collect())], |row| Ok((row.take()?, row.take()?)))
        .await
}

static REFS_POSTGRES: Sql = Sql::new(
    "SELECT user_id, kind, reference, created_at, outcome FROM write_refs t WHERE t.user_id BETWEEN $1 AND $2 \
     AND (t.user_id, t.kind COLLATE \"C\", t.reference COLLATE \"C\") > ($3, $4, $5) \
     ORDER BY t.user_id, t.kind COLLATE \"C\", t.reference COLLATE \"C\" LIMIT $6",
);
static REFS_SQLITE: Sql = Sql::new(
    "SELECT user_id, kind, reference, created_at, outcome FROM write_refs t WHERE t.user_id BETWEEN $1 AND $2 \
     AND (t.user_id, t.kind, t.reference) > ($3, $4, $5) ORDER BY t.user_id, t.kind, t.reference LIMIT $6",
);

/// A reference of a user's write: user, kind, reference, when, what came of it.
pub(super) type Reference = (i64, String, String, Timestamp, String);

/// One page of references, of the users from `first` to `last`, in the order of bytes on both engines.
pub(super) async fn page_of_refs(
    transaction: &Transaction,
    (first, last): (i64, i64),
    behind: (i64, String, String),
    limit: i64,
) -> Result<Vec<Reference>> {
    let sql = if on_postgres(transaction) { &REFS_POSTGRES } else { &REFS_SQLITE };
    let params = [
        Param::Int(first),
        Param::Int(last),
        Param::Int(behind.0),
        Param::Text(behind.1),
        Param::Text(behind.2),
        Param::Int(limit),
    ];
    fetch(transaction, sql, params, |row| Ok((row.take()?, row.take()?, row.take()?, row.take()?, row.take()?))).await
}

/// Lets PostgreSQL know what it holds now.
pub(super) async fn tidy(db: &Db) -> Result<()> {
    if db.kind() == Kind::Postgres {
        db.run_long("ANALYZE").await?;
    }
    Ok(())
}

/// Copies an SQLite database as it is at this instant into a new file.
pub(super) async fn copy_into(db: &Db, file: &str) -> Result<()> {
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, "VACUUM INTO $1", [file.into()]);
    db.reads().execute_raw(statement).await?;
    Ok(())
}

/// Whether SQLite finds nothing wrong with a database.
pub(super) async fn is_sound(db: &Db) -> Result<bool> {
    let row = db.reads().query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA quick_check(1)")).await?;
    let said: Option<String> = row.map(|row| row.try_get_by_index(0)).transpose()?;
    Ok(said.as_deref() == Some("ok"))
}

/// Whether a transaction failed because of what a row holds, and what the database says about it.
pub(super) fn refused_row(error: &Error) -> Option<String> {
    let source = std::error::Error::source(error)?.downcast_ref::<DbErr>()?;
    let (DbErr::Query(RuntimeErr::SqlxError(error)) | DbErr::Exec(RuntimeErr::SqlxError(error))) = source else {
        return None;
    };
    let sqlx::Error::Database(error) = &**error else { return None };
    let code = error.code()?;
    // Of SQLite 19 and what begins with it: a constraint. Of PostgreSQL the classes of constraints and of bad values.
    let sqlite = code.parse::<u32>().is_ok_and(|code| code & 0xff == 19) && code.len() < 5;
    (sqlite || (code.len() == 5 && (code.starts_with("23") || code.starts_with("22"))))
        .then(|| error.message().to_owned())
}
