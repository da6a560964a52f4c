//! The SQL of authentication: the table of API keys, and the look-up of identities.

use std::collections::HashMap;

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait as _, Func, OnConflict, Query};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QueryTrait as _,
};

pub(crate) use sea_orm::ConnectionTrait;

use super::caller::{Owner, UserId};
use super::entity::api_key::{ActiveModel, Column, Entity, Model};
use waymark_db::page::Slice;
use waymark_db::{ColumnIsAny as _, IsAny as _, Only, query, row, select_from};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};

/// Stores `key`; its `id` is given by the database.
pub(crate) async fn insert_key(conn: &impl ConnectionTrait, key: Model) -> Result<Model> {
    let row = ActiveModel {
        id: NotSet,
        name: Set(key.name),
        prefix: Set(key.prefix),
        hash: Set(key.hash),
        scopes: Set(key.scopes),
        owner_id: Set(key.owner_id),
        created_at: Set(key.created_at),
        expires_at: Set(key.expires_at),
        revoked_at: Set(key.revoked_at),
    };
    Ok(row.insert(conn).await?)
}

/// All keys, the oldest first.
pub(crate) async fn keys(conn: &impl ConnectionTrait) -> Result<Vec<Model>> {
    Ok(Entity::find().order_by_asc(Column::Id).all(conn).await?)
}

/// One page of all keys, the oldest first.
pub(crate) async fn page(conn: &impl ConnectionTrait, slice: Slice) -> Result<Vec<Model>> {
    Ok(slice.of(Entity::find(), Column::Id, false).all(conn).await?)
}

/// The key with this id.
pub(crate) async fn key_by_id(conn: &impl ConnectionTrait, id: i64) -> Result<Option<Model>> {
    Ok(Entity::find_by_id(id).one(conn).await?)
}

/// The key whose secret has this hash.
pub(crate) async fn key_by_hash(conn: &impl ConnectionTrait, hash: &str) -> Result<Option<Model>> {
    Ok(Entity::find().filter(Column::Hash.eq(hash)).one(conn).await?)
}

/// The keys with this id, prefix or hash.
pub(crate) async fn keys_known_as(
    conn: &impl ConnectionTrait,
    id: Option<i64>,
    prefix: &str,
    hash: &str,
) -> Result<Vec<Model>> {
    let mut known_as = Condition::any().add(Column::Prefix.eq(prefix)).add(Column::Hash.eq(hash));
    if let Some(id) = id {
        known_as = known_as.add(Column::Id.eq(id));
    }
    Ok(Entity::find().filter(known_as).order_by_asc(Column::Id).all(conn).await?)
}

/// Marks a key as revoked at `now`, unless it was revoked before.
pub(crate) async fn revoke_key(conn: &impl ConnectionTrait, id: i64, now: Timestamp) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::RevokedAt, Expr::value(now))
        .filter(Column::Id.eq(id))
        .filter(Column::RevokedAt.is_null())
        .exec(conn)
        .await?;
    Ok(())
}

/// Whose an identity is.
///
/// The table is the users feature's; it is named here because authentication stands below the features.
pub(super) async fn user_of(conn: &impl ConnectionTrait, provider: &str, external_id: &str) -> Result<Option<Owner>> {
    let found = users_of(conn, vec![provider.to_owned()], vec![external_id.to_owned()]).await?;
    Ok(found.into_values().next())
}

/// The principal and the mutation of marks of signatures. They stand beside the idempotency keys, which are kept for
/// seven days: far longer than the timestamp of a signature is good.
const MARKS: (&str, &str) = ("signature", "");

/// Whether the mark of a signature is there.
pub(super) async fn is_marked(conn: &impl ConnectionTrait, mark: String) -> Result<bool> {
    let found = Query::select()
        .column("key")
        .from("idempotency_keys")
        .and_where(Expr::col("principal").eq(MARKS.0))
        .and_where(Expr::col("mutation").eq(MARKS.1))
        .and_where(Expr::col("key").eq(mark))
        .to_owned();
    Ok(conn.query_one(&found).await?.is_some())
}

/// Keeps the mark of a signature; whether it is a new one. While another transaction keeps it, this waits.
pub(super) async fn keep_mark(conn: &impl ConnectionTrait, mark: String, now: Timestamp) -> Result<bool> {
    let mut insert = Query::insert();
    insert
        .into_table("idempotency_keys")
        .columns(["principal", "mutation", "key", "body_hash", "outcome", "created_at"])
        .values([MARKS.0.into(), MARKS.1.into(), mark.into(), "".into(), "".into(), now.millis().into()])
        .map_err(Error::internal)?
        .on_conflict(OnConflict::columns(["principal", "mutation", "key"]).do_nothing().to_owned());
    Ok(conn.execute(&insert).await?.rows_affected() > 0)
}

row! {
    /// An identity and whose it is.
    struct OwnerRow {
        provider: String = "accounts.provider AS provider",
        external_id: String = "accounts.external_id AS external_id", id: i64, ulid: String, self_made: bool,
    }
}

/// The users that these identities belong to. May find more than was asked for, since providers and
/// ids are compared one by one.
pub(super) async fn users_of(
    conn: &impl ConnectionTrait,
    providers: Vec<String>,
    external_ids: Vec<String>,
) -> Result<HashMap<(String, String), Owner>> {
    let accounts = |column: &'static str| Expr::col(("accounts", column));
    let users = Query::select()
        .from("accounts")
        .inner_join("users", Expr::col(("users", "id")).equals(("accounts", "user_id")))
        .and_where(accounts("provider").is_any(conn, providers))
        .and_where(accounts("external_id").is_any(conn, external_ids))
        .to_owned();
    let owner = |row: OwnerRow| {
        let owner = Owner { user: UserId(row.id), ulid: row.ulid, self_made: row.self_made };
        ((row.provider, row.external_id), owner)
    };
    Ok(select_from(conn, "users", users).await?.into_iter().map(owner).collect())
}

row! {
    /// A key that is good, with the ULID of the user it belongs to, if that one is there.
    pub(super) struct GoodKey {
        pub(super) id: i64, pub(super) name: String, pub(super) scopes: String, pub(super) owner_id: Option<i64>,
        pub(super) ulid: Option<String> = "users.ulid AS ulid",
    }
}

/// Those of these keys that are neither revoked nor expired at `now`.
pub(super) async fn good_keys(conn: &impl ConnectionTrait, ids: Vec<i64>, now: Timestamp) -> Result<Vec<GoodKey>> {
    let keys = Entity::find().filter(Column::Id.is_any(conn, ids)).filter(Column::RevokedAt.is_null());
    let mut keys = keys.filter(Column::ExpiresAt.is_null().or(Column::ExpiresAt.gt(now))).into_query();
    let owner = Expr::col(("users", "id")).equals(Column::OwnerId.as_column_ref());
    keys.left_join("users", owner.and(is_there()));
    select_from(conn, "api_keys", keys).await
}

/// Whether a user is neither merged into another nor erased.
fn is_there() -> Expr {
    Expr::col(("users", "merged_into")).is_null().and(Expr::col(("users", "erased_at")).is_null())
}

/// The ULID of a user; `None` when the user has been merged into another or erased.
pub(crate) async fn ulid_of(conn: &impl ConnectionTrait, user: i64) -> Result<Option<String>> {
    let found = Query::select()
        .column("ulid")
        .from("users")
        .and_where(Expr::col("id").eq(user))
        .and_where(is_there())
        .to_owned();
    Ok(query(conn, &found).await?.pop().map(|Only(ulid)| ulid))
}

/// Hands the keys of one user over to another.
pub(super) async fn hand_over(conn: &impl ConnectionTrait, from: i64, into: i64) -> Result<()> {
    let keys = Entity::update_many().col_expr(Column::OwnerId, Expr::value(into));
    Ok(keys.filter(Column::OwnerId.eq(from)).exec(conn).await.map(drop)?)
}

/// Revokes the keys of a user and takes their names away; gives their ids.
pub(super) async fn forget(conn: &impl ConnectionTrait, user: i64, now: Timestamp) -> Result<Vec<i64>> {
    let revoked_at = Func::coalesce([Expr::col(Column::RevokedAt), Expr::value(now)]);
    let mut keys = Entity::update_many()
        .col_expr(Column::RevokedAt, revoked_at.into())
        .col_expr(Column::Name, Expr::value("erased"))
        .filter(Column::OwnerId.eq(user))
        .into_query();
    let keys = query(conn, keys.returning_col(Column::Id)).await?;
    Ok(keys.into_iter().map(|Only(id)| id).collect())
}

#[cfg(test)]
pub(super) mod testing {
    use std::ops::Deref;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    use sea_orm::{ConnectionTrait as _, Statement};

    use super::UserId;
    use waymark_db::Db;
    use waymark_kernel::clock::Timestamp;

    pub(crate) fn now() -> Timestamp {
        Timestamp::parse("2026-03-15T14:30:00Z").unwrap()
    }

    /// An empty, migrated SQLite database whose file goes away with it.
    pub(crate) struct TestDatabase {
        db: Db,
        directory: PathBuf,
    }

    impl TestDatabase {
        pub(crate) async fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let directory = std::env::temp_dir().join(format!("waymark-auth-{}-{number}", std::process::id()));
            std::fs::create_dir_all(&directory).unwrap();
            let db = Db::connect(&format!("sqlite://{}/test.db", directory.display()), 2).await.unwrap();
            db.migrate().await.unwrap();
            Self { db, directory }
        }
    }

    impl Deref for TestDatabase {
        type Target = Db;

        fn deref(&self) -> &Db {
            &self.db
        }
    }

    impl Drop for TestDatabase {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.directory);
        }
    }

    /// Makes a user with this identity.
    pub(crate) async fn link(db: &Db, provider: &str, external_id: &str) -> UserId {
        let backend = db.writes().get_database_backend();
        let user = "INSERT INTO users (ulid, external_id, handle, handle_lower, visibility, created_at) \
                    VALUES ($1, $1, $1, $1, 'MEMBERS', 0) RETURNING id";
        let name = format!("{provider}{external_id}");
        let row = db.writes().query_one_raw(Statement::from_sql_and_values(backend, user, [name.into()])).await;
        let id: i64 = row.unwrap().unwrap().try_get_by_index(0).unwrap();
        let account = "INSERT INTO accounts (user_id, provider, external_id, linked_at) VALUES ($1, $2, $3, 0)";
        let values = [id.into(), provider.into(), external_id.into()];
        db.writes().execute_raw(Statement::from_sql_and_values(backend, account, values)).await.unwrap();
        UserId(id)
    }
}
