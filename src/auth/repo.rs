//! The SQL of authentication: the table of API keys, and the look-up of identities.

use std::collections::HashMap;

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, EntityTrait as _, QueryFilter as _, QueryOrder as _,
};

pub(crate) use sea_orm::ConnectionTrait;

use super::caller::{Owner, UserId};
use super::entity::api_key::{ActiveModel, Column, Entity, Model};
use waymark_db::page::Slice;
use waymark_db::{Param, Sql, execute, fetch};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;

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
    let query = Query::select()
        .columns([("users", "id"), ("users", "ulid"), ("users", "self_made")])
        .from("accounts")
        .inner_join("users", Expr::col(("users", "id")).equals(("accounts", "user_id")))
        .and_where(Expr::col(("accounts", "provider")).eq(provider))
        .and_where(Expr::col(("accounts", "external_id")).eq(external_id))
        .to_owned();
    let Some(row) = conn.query_one(&query).await? else { return Ok(None) };
    let user = UserId(row.try_get_by_index(0)?);
    Ok(Some(Owner { user, ulid: row.try_get_by_index(1)?, self_made: row.try_get_by_index(2)? }))
}

// Beside the idempotency keys, which are kept for seven days: far longer than the timestamp of a signature is good.
static KEEP_MARK: Sql = Sql::new(
    "INSERT INTO idempotency_keys (principal, mutation, key, body_hash, outcome, created_at) \
     VALUES ('signature', '', $1, '', '', $2) ON CONFLICT (principal, mutation, key) DO NOTHING RETURNING 1",
);

static IS_MARKED: Sql =
    Sql::new("SELECT 1 FROM idempotency_keys WHERE principal = 'signature' AND mutation = '' AND key = $1");

/// Whether the mark of a signature is there.
pub(super) async fn is_marked(conn: &impl ConnectionTrait, mark: String) -> Result<bool> {
    let found: Vec<i32> = fetch(conn, &IS_MARKED, [Param::Text(mark)], |row| row.take()).await?;
    Ok(!found.is_empty())
}

/// Keeps the mark of a signature; whether it is a new one. While another transaction keeps it, this waits.
pub(super) async fn keep_mark(conn: &impl ConnectionTrait, mark: String, now: Timestamp) -> Result<bool> {
    let kept: Vec<i32> =
        fetch(conn, &KEEP_MARK, [Param::Text(mark), Param::Int(now.millis())], |row| row.take()).await?;
    Ok(!kept.is_empty())
}

static USERS_OF: Sql = Sql::new(
    "SELECT a.provider, a.external_id, u.id, u.ulid, u.self_made FROM accounts a JOIN users u ON u.id = a.user_id \
     WHERE a.provider = ANY($1) AND a.external_id = ANY($2)",
);

/// The users that these identities belong to. May find more than was asked for, since providers and
/// ids are compared one by one.
pub(super) async fn users_of(
    conn: &impl ConnectionTrait,
    providers: Vec<String>,
    external_ids: Vec<String>,
) -> Result<HashMap<(String, String), Owner>> {
    let users = fetch(conn, &USERS_OF, [Param::Texts(providers), Param::Texts(external_ids)], |row| {
        let identity = (row.take()?, row.take()?);
        Ok((identity, Owner { user: UserId(row.take()?), ulid: row.take()?, self_made: row.take()? }))
    });
    Ok(users.await?.into_iter().collect())
}

static KEYS_OF: Sql = Sql::new(
    "SELECT k.id, k.name, k.scopes, k.owner_id, u.ulid FROM api_keys k \
     LEFT JOIN users u ON u.id = k.owner_id AND u.merged_into IS NULL AND u.erased_at IS NULL \
     WHERE k.id = ANY($1) AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > $2)",
);

/// A key that is good.
pub(super) struct GoodKey {
    pub(super) id: i64,
    pub(super) name: String,
    pub(super) scopes: String,
    pub(super) owner: Option<(UserId, String)>,
}

/// Those of these keys that are neither revoked nor expired at `now`.
pub(super) async fn good_keys(conn: &impl ConnectionTrait, ids: Vec<i64>, now: Timestamp) -> Result<Vec<GoodKey>> {
    fetch(conn, &KEYS_OF, [Param::Ints(ids), Param::Int(now.millis())], |row| {
        let (id, name, scopes) = (row.take()?, row.take()?, row.take()?);
        let (owner, ulid): (Option<i64>, Option<String>) = (row.take()?, row.take()?);
        Ok(GoodKey { id, name, scopes, owner: owner.map(UserId).zip(ulid) })
    })
    .await
}

/// The ULID of a user; `None` when the user has been merged into another or erased.
pub(crate) async fn ulid_of(conn: &impl ConnectionTrait, user: i64) -> Result<Option<String>> {
    let query = Query::select()
        .column("ulid")
        .from("users")
        .and_where(Expr::col("id").eq(user))
        .and_where(Expr::col("merged_into").is_null())
        .and_where(Expr::col("erased_at").is_null())
        .to_owned();
    let row = conn.query_one(&query).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?)
}

static HAND_OVER: Sql = Sql::new("UPDATE api_keys SET owner_id = $2 WHERE owner_id = $1");

/// Hands the keys of one user over to another.
pub(super) async fn hand_over(conn: &impl ConnectionTrait, from: i64, into: i64) -> Result<()> {
    execute(conn, &HAND_OVER, [Param::Int(from), Param::Int(into)]).await.map(drop)
}

static FORGET: Sql = Sql::new(
    "UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2), name = 'erased' WHERE owner_id = $1 RETURNING id",
);

/// Revokes the keys of a user and takes their names away; gives their ids.
pub(super) async fn forget(conn: &impl ConnectionTrait, user: i64, now: Timestamp) -> Result<Vec<i64>> {
    fetch(conn, &FORGET, [Param::Int(user), Param::Int(now.millis())], |row| row.take()).await
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
