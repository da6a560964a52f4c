//! SQL of exports and copies, and the lock that imports take.

use std::collections::BTreeSet;

use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DbBackend, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, RuntimeErr, Statement, sqlx,
};

pub(super) use waymark_db::rows::{all, page, page_of_users, with_int, with_pairs};
use waymark_db::{ColumnIsAny as _, Db, Kind, Param, Sql, Transaction, fetch, row, select};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_kinds::learning::entity::resource;
use waymark_kinds::users::entity::user;
use waymark_write::{share_catalogue, take_catalogue};

/// The hand-written statements of this file.
pub static STATEMENTS: [&Sql; 1] = [&REFS];

/// Locks the catalogue, for a change or against changes, and gives its version.
pub(super) async fn lock_catalogue(transaction: &Transaction, for_a_change: bool) -> Result<i64> {
    if for_a_change {
        take_catalogue(transaction).await?;
    } else {
        share_catalogue(transaction).await?;
    }
    waymark_db::catalogue::version(transaction).await
}

row! {
    /// A user who was merged, and the survivor.
    struct Merged {
        id: i64, ulid: String,
        survivor: String = "(SELECT s.ulid FROM users s WHERE s.id = users.merged_into) AS survivor",
    }
}

/// Users who were merged, with their id, their ULID, and that of the survivor.
pub(super) async fn merges(transaction: &Transaction, behind: i64, limit: i64) -> Result<Vec<(i64, String, String)>> {
    use user::{Column, Entity};
    let merged = Entity::find().filter(Column::MergedInto.is_not_null()).filter(Column::Id.gt(behind));
    let merged = merged.order_by_asc(Column::Id).limit(u64::try_from(limit).unwrap_or_default());
    let found = select(transaction, merged).await?;
    Ok(found.into_iter().map(|Merged { id, ulid, survivor }| (id, ulid, survivor)).collect())
}

row! {
    /// The key of a resource.
    struct KeyOf { id: i64, key: String }
}

/// The keys of resources.
pub(super) async fn resource_keys(transaction: &Transaction, ids: BTreeSet<i64>) -> Result<Vec<(i64, String)>> {
    let ids: Vec<i64> = ids.into_iter().collect();
    let found =
        select(transaction, resource::Entity::find().filter(resource::Column::Id.is_any(transaction, ids))).await?;
    Ok(found.into_iter().map(|KeyOf { id, key }| (id, key)).collect())
}

// In the order of bytes, by a range of the primary key.
static REFS: Sql = Sql::new(
    "SELECT user_id, kind, reference, created_at, outcome FROM write_refs t WHERE t.user_id BETWEEN $1 AND $2 \
     AND (t.user_id, t.kind COLLATE \"C\", t.reference COLLATE \"C\") > ($3, $4, $5) \
     ORDER BY t.user_id, t.kind COLLATE \"C\", t.reference COLLATE \"C\" LIMIT $6",
)
.on_sqlite(
    "SELECT user_id, kind, reference, created_at, outcome FROM write_refs t WHERE t.user_id BETWEEN $1 AND $2 \
     AND (t.user_id, t.kind, t.reference) > ($3, $4, $5) ORDER BY t.user_id, t.kind, t.reference LIMIT $6",
);

/// A reference of a user's write: user, kind, reference, when, what came of it.
pub(super) type Reference = (i64, String, String, Timestamp, String);

row! {
    /// The reference of a user's write, and what is kept under it.
    struct Kept { user_id: i64, kind: String, reference: String, created_at: Timestamp, outcome: String }
}

/// One page of references, of the users from `first` to `last`, in the order of bytes on both engines.
pub(super) async fn page_of_refs(
    transaction: &Transaction,
    (first, last): (i64, i64),
    behind: (i64, String, String),
    limit: i64,
) -> Result<Vec<Reference>> {
    let params = [
        Param::Int(first),
        Param::Int(last),
        Param::Int(behind.0),
        Param::Text(behind.1),
        Param::Text(behind.2),
        Param::Int(limit),
    ];
    let found = fetch(transaction, &REFS, params).await?;
    let kept = |row: Kept| (row.user_id, row.kind, row.reference, row.created_at, row.outcome);
    Ok(found.into_iter().map(kept).collect())
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
