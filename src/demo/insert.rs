//! The SQL of demo data: what is there already, and inserting many rows at a time.

use sea_orm::{ConnectionTrait, DbBackend, ModelTrait, Statement};

use waymark_db::{Db, Kind, bulk};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;

pub(super) use waymark_db::Transaction;

/// The first season and the newest user, by which demo data is recognized.
pub(super) struct Found {
    /// Key and creation of the season with the id 1.
    pub(super) first_season: Option<(String, Timestamp)>,
    /// Whether there is anything in the tables of users and of the catalogue.
    pub(super) empty: bool,
    /// How many users there are.
    pub(super) users: i64,
    /// Id and ULID of the user with the highest id.
    pub(super) last_user: Option<(i64, String)>,
}

/// What the database holds.
pub(super) async fn found(db: &Db) -> Result<Found> {
    let read =
        |sql: &'static str| db.writes().query_one_raw(Statement::from_string(db.writes().get_database_backend(), sql));
    let mut first_season = None;
    if let Some(row) = read("SELECT key, created_at FROM seasons WHERE id = 1").await? {
        first_season = Some((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
    }
    let mut users = 0;
    if let Some(row) = read("SELECT count(*) FROM users").await? {
        users = row.try_get_by_index(0)?;
    }
    let mut last_user = None;
    if let Some(row) = read("SELECT id, ulid FROM users ORDER BY id DESC LIMIT 1").await? {
        last_user = Some((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
    }
    let mut empty = true;
    if let Some(row) = read(
        "SELECT NOT EXISTS (SELECT 1 FROM users) AND NOT EXISTS (SELECT 1 FROM seasons) \
         AND NOT EXISTS (SELECT 1 FROM resources) AND NOT EXISTS (SELECT 1 FROM study_plans) \
         AND NOT EXISTS (SELECT 1 FROM games) AND NOT EXISTS (SELECT 1 FROM collections)",
    )
    .await?
    {
        empty = row.try_get_by_index(0)?;
    }
    Ok(Found { first_season, empty, users, last_user })
}

/// The ULID of the user with this id; `None` when there is no such user.
pub(super) async fn ulid_of(db: &Db, id: i64) -> Result<Option<String>> {
    let statement = Statement::from_sql_and_values(
        db.writes().get_database_backend(),
        "SELECT ulid FROM users WHERE id = $1",
        [id.into()],
    );
    let row = db.writes().query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get_by_index(0)).transpose()?)
}

/// Inserts `rows` with the values they have, ids included.
pub(super) async fn all<M: ModelTrait>(transaction: &Transaction, rows: Vec<M>) -> Result<()> {
    bulk::insert(transaction, &rows).await
}

/// Adds to what was spent of a budget, if there is one.
pub(super) async fn spend_budget(transaction: &Transaction, season: i64, week: i32, micros: i64) -> Result<()> {
    let statement = Statement::from_sql_and_values(
        transaction.get_database_backend(),
        "UPDATE season_budgets SET spent_micros = spent_micros + $1 WHERE season_id = $2 AND week = $3",
        [micros.into(), season.into(), week.into()],
    );
    transaction.execute_raw(statement).await?;
    Ok(())
}

/// Adds to how often the reward of a collection was claimed.
pub(super) async fn count_reward_claims(transaction: &Transaction, collection: i64, claims: i64) -> Result<()> {
    let statement = Statement::from_sql_and_values(
        transaction.get_database_backend(),
        "UPDATE collection_rewards SET claimed = claimed + $1 WHERE collection_id = $2",
        [claims.into(), collection.into()],
    );
    transaction.execute_raw(statement).await?;
    Ok(())
}

/// Lets the budgets of seasons allow for `users` users.
pub(super) async fn raise_budgets(transaction: &Transaction, cap_micros: i64) -> Result<()> {
    let statement = Statement::from_sql_and_values(
        transaction.get_database_backend(),
        "UPDATE season_budgets SET cap_micros = $1 WHERE cap_micros < $1",
        [cap_micros.into()],
    );
    transaction.execute_raw(statement).await?;
    Ok(())
}

/// Lets PostgreSQL count on from the ids that were inserted; SQLite does so by itself.
pub(super) async fn advance_ids(transaction: &Transaction, tables: &[&str]) -> Result<()> {
    if transaction.get_database_backend() == DbBackend::Postgres {
        for table in tables {
            let sql = format!("SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}");
            transaction.execute_unprepared(&sql).await?;
        }
    }
    Ok(())
}

/// Lets PostgreSQL know what it holds now, so that the first queries are planned well and answered from indexes alone.
pub(super) async fn tidy(db: &Db) -> Result<()> {
    if db.kind() == Kind::Postgres {
        db.run_long("VACUUM (ANALYZE)").await?;
    }
    Ok(())
}
