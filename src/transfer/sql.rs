//! SQL of imports and exports: rows by their keys, new ids, locks, snapshots and copies.

use std::collections::{BTreeSet, HashMap};

use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait as _, DbBackend, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _, RuntimeErr, Select, Statement, sqlx,
};

pub(super) use waymark_db::rows::{all, new_ids, page, page_of_users, store, with_int, with_pairs, with_text};
use waymark_db::{ColumnIsAny as _, Db, Kind, Param, Sql, Transaction, fetch, fetch_values, query, row, select};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_learning::entity::resource;
use waymark_users::entity::{account, user};
use waymark_write::entity::{event, write_ref};
use waymark_write::{HistoryKind, share_catalogue, take_catalogue};

/// The hand-written statements of this file.
pub static STATEMENTS: [&Sql; 2] = [&LEADS_TO, &REFS];

/// Locks the catalogue, for a change or against changes, and gives its version.
pub(super) async fn lock_catalogue(transaction: &Transaction, for_a_change: bool) -> Result<i64> {
    if for_a_change {
        take_catalogue(transaction).await?;
    } else {
        share_catalogue(transaction).await?;
    }
    waymark_db::catalogue::version(transaction).await
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

row! {
    /// A user by the name that was asked for.
    struct Named { id: i64, name: String }
}

/// The users who go by these names, each with the name: a ULID, a handle in lower case, or `provider:id`.
pub(super) async fn find_users(transaction: &Transaction, names: Names) -> Result<Vec<(String, i64)>> {
    use user::{Column, Entity};
    let there = || Column::MergedInto.is_null().and(Column::ErasedAt.is_null());
    let named = |users: Select<Entity>, name: Column| {
        users.select_only().column(Column::Id).column_as(name, "name").into_query()
    };
    let mut found = Vec::new();
    if !names.ulids.is_empty() {
        let users = Entity::find().filter(Column::Ulid.is_any(transaction, names.ulids));
        found.extend(query(transaction, &named(users, Column::Ulid)).await?);
    }
    if !names.handles.is_empty() {
        let users = Entity::find().filter(Column::HandleLower.is_any(transaction, names.handles)).filter(there());
        found.extend(query(transaction, &named(users, Column::HandleLower)).await?);
    }
    let mut found: Vec<_> = found.into_iter().map(|Named { id, name }| (name, id)).collect();
    if !names.accounts.is_empty() {
        let (providers, ids): (BTreeSet<String>, Vec<String>) = names.accounts.into_iter().unzip();
        let accounts = accounts(transaction, providers, ids).inner_join(user::Entity).filter(there());
        let accounts = accounts.all(transaction).await?;
        found.extend(accounts.into_iter().map(|row| (format!("{}:{}", row.provider, row.external_id), row.user_id)));
    }
    Ok(found)
}

fn accounts(transaction: &Transaction, providers: BTreeSet<String>, ids: Vec<String>) -> Select<account::Entity> {
    use account::{Column, Entity};
    let providers: Vec<String> = providers.into_iter().collect();
    Entity::find()
        .filter(Column::Provider.is_any(transaction, providers))
        .filter(Column::ExternalId.is_any(transaction, ids))
}

row! {
    /// A user whose row is locked.
    #[derive(Debug)]
    pub(super) struct Locked {
        pub(super) id: i64, pub(super) ulid: String, pub(super) history_seq: i64, pub(super) ledger_seq: i64,
        pub(super) merged: bool = "merged_into IS NOT NULL AS merged",
        pub(super) erased: bool = "erased_at IS NOT NULL AS erased",
    }
}

/// Locks users in ascending order.
pub(super) async fn lock_users(transaction: &Transaction, users: Vec<i64>) -> Result<Vec<Locked>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let users = user::Entity::find().filter(user::Column::Id.is_any(transaction, users));
    select(transaction, users.order_by_asc(user::Column::Id).lock_exclusive()).await
}

row! {
    /// The reference of a user's write.
    struct Ref { user_id: i64, kind: String, reference: String }
}

/// The references of these names that these users' writes had, with user and kind.
pub(super) async fn find_refs(
    transaction: &Transaction,
    users: BTreeSet<i64>,
    names: BTreeSet<String>,
) -> Result<Vec<(i64, String, String)>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    use write_ref::{Column, Entity};
    let found = Entity::find()
        .filter(Column::UserId.is_any(transaction, users.into_iter().collect::<Vec<_>>()))
        .filter(Column::Reference.is_any(transaction, names.into_iter().collect::<Vec<_>>()));
    let found = select(transaction, found).await?;
    Ok(found.into_iter().map(|Ref { user_id, kind, reference }| (user_id, kind, reference)).collect())
}

/// Whose accounts these are; may find more, since providers and ids are compared one by one.
pub(super) async fn find_accounts(
    transaction: &Transaction,
    providers: BTreeSet<String>,
    ids: BTreeSet<String>,
) -> Result<Vec<(i64, String, String)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let found = accounts(transaction, providers, ids.into_iter().collect()).all(transaction).await?;
    Ok(found.into_iter().map(|row| (row.user_id, row.provider, row.external_id)).collect())
}

row! {
    /// When something of a user changed last.
    struct Changed { user_id: i64, at: Timestamp = "max(recorded_at) AS at" }
}

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
    use event::{Column, Entity};
    let changes = Entity::find()
        .filter(Column::UserId.is_any(transaction, users.to_vec()))
        .filter(Column::Kind.is_any(transaction, kinds))
        .group_by(Column::UserId);
    let found = select(transaction, changes).await?;
    Ok(found.into_iter().map(|Changed { user_id, at }| (user_id, at)).collect())
}

// Follows a user from merger to merger.
static LEADS_TO: Sql = Sql::new(
    "WITH RECURSIVE way(id) AS (SELECT CAST($1 AS bigint) UNION SELECT u.merged_into FROM users u \
     JOIN way ON u.id = way.id WHERE u.merged_into IS NOT NULL) SELECT id FROM way WHERE id = $2",
);

/// Whether `user` is, or was merged on into, `other`.
pub(super) async fn leads_to(transaction: &Transaction, user: i64, other: i64) -> Result<bool> {
    let found: Vec<i64> = fetch_values(transaction, &LEADS_TO, [Param::Int(user), Param::Int(other)]).await?;
    Ok(!found.is_empty())
}

/// Notes that a user was merged into another.
pub(super) async fn merge(transaction: &Transaction, user: i64, into: i64) -> Result<()> {
    let merged = user::Entity::update_many().col_expr(user::Column::MergedInto, Expr::value(into));
    Ok(merged.filter(user::Column::Id.eq(user)).exec(transaction).await.map(drop)?)
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
    /// What is kept under a reference.
    struct Kept { at: Ref = (Ref), created_at: Timestamp, outcome: String }
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
    Ok(found
        .into_iter()
        .map(|Kept { at, created_at, outcome }| (at.user_id, at.kind, at.reference, created_at, outcome))
        .collect())
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
