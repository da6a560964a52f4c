//! Hand-written SQL for both engines.
//!
//! A look-up by many keys takes its keys as one array parameter, so that one prepared statement serves any number
//! of them: `column = ANY($1)` on PostgreSQL, `column IN (SELECT value FROM json_each($1))` on SQLite. A [`Sql`] is
//! written once, in PostgreSQL's spelling, and translated for SQLite on first use.

use std::sync::OnceLock;

use sea_orm::sea_query::{ArrayType, Value};
use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::Extent;
use super::row::{self, Column, FromRow, Only};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;

/// A statement in PostgreSQL's spelling with parameters `$1`, `$2`, …
///
/// Besides plain SQL that both engines know, `= ANY($n)` over an array parameter is understood. The query builder is
/// the rule; each of these says why it is none, and stands in the list `STATEMENTS` of its file, for the tests.
#[derive(Debug)]
pub struct Sql {
    postgres: &'static str,
    /// What SQLite runs instead; empty: nothing.
    sqlite: Option<&'static str>,
    derived: OnceLock<String>,
}

impl Sql {
    /// Makes a statement of its text for PostgreSQL; the text for SQLite is derived at its first use.
    pub const fn new(postgres: &'static str) -> Self {
        Self { postgres, sqlite: None, derived: OnceLock::new() }
    }

    /// The same, where SQLite has to be told otherwise.
    pub const fn on_sqlite(mut self, sqlite: &'static str) -> Self {
        self.sqlite = Some(sqlite);
        self
    }

    /// The same, where only PostgreSQL has something to be told.
    pub const fn on_postgres_alone(self) -> Self {
        self.on_sqlite("")
    }

    /// The statement's text for an engine; empty where it is never run.
    pub fn text(&self, backend: DbBackend) -> &str {
        match backend {
            DbBackend::Sqlite => self.derived.get_or_init(|| for_sqlite(self.sqlite.unwrap_or(self.postgres))),
            _ => self.postgres,
        }
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

macro_rules! params {
    ($($of:ty => $param:ident),+) => {
        $(impl From<$of> for Param {
            fn from(value: $of) -> Self {
                Self::$param(value.into())
            }
        })+
    };
}

params!(i64 => Int, i32 => Int, Vec<i64> => Ints, String => Text, &str => Text, Vec<String> => Texts);

impl From<Timestamp> for Param {
    fn from(instant: Timestamp) -> Self {
        Self::Int(instant.millis())
    }
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

/// Runs `sql` and reads its rows.
pub async fn fetch<T: FromRow>(
    connection: &impl ConnectionTrait,
    sql: &Sql,
    params: impl IntoIterator<Item = Param>,
) -> Result<Vec<T>> {
    let backend = connection.get_database_backend();
    fetch_text(connection, sql.text(backend).to_owned(), params, Extent::All).await
}

/// Runs `sql`, whose rows have one column.
pub async fn fetch_values<T: Column>(
    connection: &impl ConnectionTrait,
    sql: &Sql,
    params: impl IntoIterator<Item = Param>,
) -> Result<Vec<T>> {
    Ok(fetch(connection, sql, params).await?.into_iter().map(|Only(value)| value).collect())
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

/// Like [`fetch`], for a statement already written for the engine of `connection`, which gives the columns of `extent`.
pub(super) async fn fetch_text<T: FromRow>(
    connection: &impl ConnectionTrait,
    sql: String,
    params: impl IntoIterator<Item = Param>,
    extent: Extent,
) -> Result<Vec<T>> {
    let backend = connection.get_database_backend();
    let values = params.into_iter().map(|param| param.into_value(backend));
    let rows = connection.query_all_raw(Statement::from_sql_and_values(backend, sql, values)).await?;
    Ok(row::read(&rows, extent)?)
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
