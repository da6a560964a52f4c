//! The SQL of demo data: what is there already, and inserting many rows at a time.

use sea_orm::sea_query::{ArrayType, Value};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, EntityName as _, EntityTrait, IdenStatic as _, Iterable as _,
    ModelTrait, Statement,
};

use crate::clock::Timestamp;
use crate::db::{Db, Kind};
use crate::error::Result;

pub(super) use sea_orm::DatabaseTransaction as Transaction;

/// How many rows one statement inserts: on PostgreSQL bounded by memory, on SQLite by 32,766 parameters, and where
/// longer statements gain nothing any more.
const POSTGRES_ROWS: usize = 20_000;
const SQLITE_ROWS: usize = 256;

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
    let table = Table::<M>::of();
    let postgres = transaction.get_database_backend() == DbBackend::Postgres;
    for some in rows.chunks(if postgres { POSTGRES_ROWS } else { SQLITE_ROWS }) {
        let statement = if postgres { table.arrays(some) } else { table.values(some) };
        transaction.execute_raw(statement).await?;
    }
    Ok(())
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
        db.writes().execute_unprepared("VACUUM (ANALYZE)").await?;
    }
    Ok(())
}

struct Table<M: ModelTrait> {
    name: String,
    columns: Vec<<M::Entity as EntityTrait>::Column>,
}

impl<M: ModelTrait> Table<M> {
    fn of() -> Self {
        Self {
            name: M::Entity::default().table_name().to_owned(),
            columns: <M::Entity as EntityTrait>::Column::iter().collect(),
        }
    }

    fn names(&self) -> String {
        self.columns.iter().map(|column| column.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// One parameter per value.
    fn values(&self, rows: &[M]) -> Statement {
        let row = format!("({})", vec!["?"; self.columns.len()].join(", "));
        let sql = format!("INSERT INTO {} ({}) VALUES {}", self.name, self.names(), vec![row; rows.len()].join(", "));
        let values = rows.iter().flat_map(|row| self.columns.iter().map(|column| row.get(*column)));
        Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
    }

    /// One array per column: the same statement for any number of rows, and quick to parse.
    fn arrays(&self, rows: &[M]) -> Statement {
        let mut selected = Vec::with_capacity(self.columns.len());
        let mut arrays = Vec::with_capacity(self.columns.len());
        let mut values = Vec::with_capacity(self.columns.len());
        for (place, column) in self.columns.iter().enumerate() {
            let kind = M::get_value_type(*column);
            let (type_name, none) = array_type(&kind);
            let name = column.as_str();
            let nullable = column.def().is_null();
            selected.push(match none {
                Some((_, literal)) if nullable => format!("nullif({name}, {literal})"),
                _ => name.to_owned(),
            });
            arrays.push(format!("${}::{type_name}[]", place + 1));
            let cells = rows.iter().map(|row| match (row.get(*column), &none) {
                (value, Some((none, _))) if nullable && value == value.as_null() => none.clone(),
                (value, _) => value,
            });
            values.push(Value::Array(kind.clone(), Some(Box::new(cells.collect()))));
        }
        let (table, names) = (&self.name, self.names());
        let sql = format!(
            "INSERT INTO {table} ({names}) SELECT {} FROM unnest({}) AS r({names})",
            selected.join(", "),
            arrays.join(", ")
        );
        Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
    }
}

/// A column's type on PostgreSQL, and what stands for NULL in an array of it, as a value and in SQL: array parameters
/// can hold no NULL. These values occur in no demo data.
fn array_type(kind: &ArrayType) -> (&'static str, Option<(Value, &'static str)>) {
    match kind {
        ArrayType::Bool => ("boolean", None),
        ArrayType::SmallInt => ("smallint", None),
        ArrayType::Int => ("integer", Some((i32::MIN.into(), "'-2147483648'"))),
        ArrayType::BigInt => ("bigint", Some((i64::MIN.into(), "'-9223372036854775808'"))),
        _ => ("text", Some(("\u{1}".into(), "chr(1)"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::features::seasons::entity::goal;

    #[test]
    fn one_statement_inserts_any_number_of_rows_on_postgresql() {
        let goal = |id, week| goal::Model {
            id,
            key: format!("goal-{id}"),
            season_id: 1,
            week,
            position: 1,
            title: "Goal".to_owned(),
            description: String::new(),
            thumbnail: None,
            reward_micros: 0,
            total_steps: 1,
        };
        let statement = Table::of().arrays(&[goal(1, None), goal(2, Some(3))]);
        assert_eq!(
            statement.sql,
            "INSERT INTO goals (id, key, season_id, week, position, title, description, thumbnail, reward_micros, \
             total_steps) SELECT id, key, season_id, nullif(week, '-2147483648'), position, title, description, \
             nullif(thumbnail, chr(1)), reward_micros, total_steps FROM unnest($1::bigint[], $2::text[], $3::bigint[], \
             $4::integer[], $5::integer[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::integer[]) \
             AS r(id, key, season_id, week, position, title, description, thumbnail, reward_micros, total_steps)"
        );
        let weeks = &statement.values.unwrap().0[3];
        assert_eq!(*weeks, Value::Array(ArrayType::Int, Some(Box::new(vec![i32::MIN.into(), 3.into()]))));
    }
}
