//! Hand-written SQL for both engines.
//!
//! A look-up by many keys takes its keys as one array parameter, so that one prepared statement serves any number
//! of them: `column = ANY($1)` on PostgreSQL, `column IN (SELECT value FROM json_each($1))` on SQLite. A [`Sql`] is
//! written once, in PostgreSQL's spelling, and translated for SQLite on first use.

use std::sync::{Arc, OnceLock};

use sea_orm::sea_query::{ArrayType, Value};
use sea_orm::sqlx::{self, Decode, Postgres, Row as _, Sqlite};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, RuntimeErr, Statement, TryGetable};

use waymark_kernel::error::{Error, Result};

/// A statement in PostgreSQL's spelling with parameters `$1`, `$2`, …
///
/// Besides plain SQL that both engines know, `= ANY($n)` over an array parameter is understood.
#[derive(Debug)]
pub struct Sql {
    postgres: &'static str,
    sqlite: OnceLock<String>,
}

impl Sql {
    /// Makes a statement of its text for PostgreSQL; the text for SQLite is derived at its first use.
    pub const fn new(postgres: &'static str) -> Self {
        Self { postgres, sqlite: OnceLock::new() }
    }

    pub(super) fn text(&self, backend: DbBackend) -> &str {
        match backend {
            DbBackend::Sqlite => self.sqlite.get_or_init(|| for_sqlite(self.postgres)),
            _ => self.postgres,
        }
    }
}

/// Rows of a per-user table that are asked for by pairs of a user and the id of a thing.
///
/// Pairs that form a grid (every user with the same ids) are asked for by two arrays, which is the cheapest for the
/// engine; other pairs are joined one by one.
#[derive(Debug)]
pub struct PairSql {
    columns: &'static str,
    table: &'static str,
    id: &'static str,
    grid: [OnceLock<String>; 2],
    pairs: [OnceLock<String>; 2],
}

impl PairSql {
    /// Reads `columns` of `table`, which is called `t`, by its columns `user_id` and `id`.
    pub const fn new(columns: &'static str, table: &'static str, id: &'static str) -> Self {
        Self { columns, table, id, grid: [const { OnceLock::new() }; 2], pairs: [const { OnceLock::new() }; 2] }
    }

    /// The rows for each user in `wanted` with each of the ids beside it.
    pub async fn fetch<'a, T>(
        &self,
        connection: &impl ConnectionTrait,
        wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
        read: impl FnMut(&mut Row) -> Result<T, DbErr>,
    ) -> Result<Vec<T>> {
        let wanted: Vec<_> = wanted.into_iter().collect();
        let Self { columns, table, id, .. } = self;
        let sqlite = connection.get_database_backend() == DbBackend::Sqlite;
        let same = wanted.windows(2).all(|pair| matches!(pair, [one, two] if one.1 == two.1));
        let (sql, users, ids): (_, Vec<i64>, Vec<i64>) = if same {
            let sql = self.grid[usize::from(sqlite)].get_or_init(|| {
                let sql = format!("SELECT {columns} FROM {table} t WHERE t.user_id = ANY($1) AND t.{id} = ANY($2)");
                if sqlite { for_sqlite(&sql) } else { sql }
            });
            let ids = wanted.first().map(|(_, ids)| ids.to_vec()).unwrap_or_default();
            (sql, wanted.iter().map(|(user, _)| *user).collect(), ids)
        } else {
            let sql = self.pairs[usize::from(sqlite)].get_or_init(|| {
                let pairs = if sqlite {
                    "(SELECT json_extract(value, '$[0]') AS u, json_extract(value, '$[1]') AS i FROM json_each($1)) k"
                } else {
                    "unnest($1::bigint[], $2::bigint[]) AS k(u, i)"
                };
                format!("SELECT {columns} FROM {pairs} JOIN {table} t ON t.user_id = k.u AND t.{id} = k.i")
            });
            let pairs = wanted.iter().flat_map(|(user, ids)| ids.iter().map(move |id| (*user, *id)));
            if sqlite {
                return fetch_text(connection, sql.clone(), [Param::Pairs(pairs.collect())], read).await;
            }
            let (users, ids) = pairs.unzip();
            (sql, users, ids)
        };
        fetch_text(connection, sql.clone(), [Param::Ints(users), Param::Ints(ids)], read).await
    }
}

/// Rewrites `= ANY($n)` for SQLite.
pub(super) fn for_sqlite(postgres: &str) -> String {
    let mut text = String::with_capacity(postgres.len() + 64);
    let mut rest = postgres;
    while let Some(start) = rest.find("= ANY(") {
        let (before, after) = rest.split_at(start);
        let Some(end) = after.find(')') else { break };
        text.push_str(before);
        text.push_str("IN (SELECT value FROM json_each(");
        text.push_str(&after["= ANY(".len()..end]);
        text.push_str("))");
        rest = &after[end + 1..];
    }
    text.push_str(rest);
    text
}

/// A parameter of a statement.
#[derive(Debug, Clone)]
pub enum Param {
    /// One integer, such as an internal id.
    Int(i64),
    /// A list of integers: an array on PostgreSQL, JSON on SQLite.
    Ints(Vec<i64>),
    /// For SQLite only: one JSON array of arrays of two.
    Pairs(Vec<(i64, i64)>),
    /// One text.
    Text(String),
    /// A list of texts: an array on PostgreSQL, JSON on SQLite.
    Texts(Vec<String>),
}

impl Param {
    pub(super) fn into_value(self, backend: DbBackend) -> Value {
        let arrays = backend == DbBackend::Postgres;
        match self {
            Self::Int(value) => value.into(),
            Self::Text(value) => value.into(),
            Self::Ints(values) if arrays => array(ArrayType::BigInt, values),
            Self::Texts(values) if arrays => array(ArrayType::String, values),
            Self::Ints(values) => json(&values),
            Self::Pairs(values) => json(&values),
            Self::Texts(values) => json(&values),
        }
    }
}

fn array<T: Into<Value>>(kind: ArrayType, values: Vec<T>) -> Value {
    Value::Array(kind, Some(Box::new(values.into_iter().map(Into::into).collect())))
}

fn json<T: serde::Serialize>(values: &[T]) -> Value {
    serde_json::to_string(values).unwrap_or_else(|_| "[]".to_owned()).into()
}

/// One row of an answer, read column by column in the order of the SELECT.
pub struct Row {
    result: QueryResult,
    column: usize,
}

impl Row {
    /// The next column. Which types the columns have is up to our own statements, and is not compared for each value.
    pub fn take<T: Column>(&mut self) -> Result<T, DbErr> {
        let (row, column) = (&self.result, self.column);
        self.column += 1;
        if let Some(row) = row.try_as_pg_row() {
            row.try_get_unchecked(column).map_err(unreadable)
        } else if let Some(row) = row.try_as_sqlite_row() {
            row.try_get_unchecked(column).map_err(unreadable)
        } else {
            Err(DbErr::Type("a row of an engine that is not used".to_owned()))
        }
    }

    /// The next column as one of an entity's own types.
    pub fn take_entity<T: TryGetable>(&mut self) -> Result<T, DbErr> {
        let column = self.column;
        self.column += 1;
        self.result.try_get_by_index(column)
    }
}

/// What a column may hold.
pub trait Column: for<'r> Decode<'r, Postgres> + for<'r> Decode<'r, Sqlite> {}

impl<T: for<'r> Decode<'r, Postgres> + for<'r> Decode<'r, Sqlite>> Column for T {}

fn unreadable(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

/// Runs `sql` and reads each row with `read`.
pub async fn fetch<T>(
    connection: &impl ConnectionTrait,
    sql: &Sql,
    params: impl IntoIterator<Item = Param>,
    read: impl FnMut(&mut Row) -> Result<T, DbErr>,
) -> Result<Vec<T>> {
    let backend = connection.get_database_backend();
    fetch_text(connection, sql.text(backend).to_owned(), params, read).await
}

/// Runs `sql`, which gives no rows back, and says how many it concerned.
pub async fn execute(
    connection: &impl ConnectionTrait,
    sql: &Sql,
    params: impl IntoIterator<Item = Param>,
) -> Result<u64> {
    let backend = connection.get_database_backend();
    let values = params.into_iter().map(|param| param.into_value(backend));
    let statement = Statement::from_sql_and_values(backend, sql.text(backend), values);
    Ok(connection.execute_raw(statement).await?.rows_affected())
}

/// Like [`fetch`], for a statement already written for the engine of `connection`.
pub(super) async fn fetch_text<T>(
    connection: &impl ConnectionTrait,
    sql: String,
    params: impl IntoIterator<Item = Param>,
    mut read: impl FnMut(&mut Row) -> Result<T, DbErr>,
) -> Result<Vec<T>> {
    let backend = connection.get_database_backend();
    let values = params.into_iter().map(|param| param.into_value(backend));
    let statement = Statement::from_sql_and_values(backend, sql, values);
    let rows = connection.query_all_raw(statement).await?;
    rows.into_iter().map(|result| read(&mut Row { result, column: 0 }).map_err(Error::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_comparison_is_spelled_for_sqlite() {
        assert_eq!(
            for_sqlite("SELECT 1 FROM t WHERE a = ANY($1) AND b = ANY($2) AND c = $3"),
            "SELECT 1 FROM t WHERE a IN (SELECT value FROM json_each($1)) \
             AND b IN (SELECT value FROM json_each($2)) AND c = $3"
        );
    }

    #[test]
    fn plain_sql_is_left_alone() {
        assert_eq!(for_sqlite("SELECT 1"), "SELECT 1");
    }
}
