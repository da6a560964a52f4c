//! Whole rows by their keys, for what goes through many rows of a table: files that come in and go out.

use std::collections::BTreeSet;

use sea_orm::sea_query::{Alias, Expr, ExprTrait as _, Query, Value};
use sea_orm::{
    ConnectionTrait, DbBackend, EntityName as _, EntityTrait, FromQueryResult, IdenStatic as _, Iterable as _,
    ModelTrait, PrimaryKeyToColumn as _, QueryFilter as _, QuerySelect as _, Statement,
};

use super::bulk;
use super::row::Only;
use super::select::{IsAny as _, query};
use super::sql::Param;
use waymark_kernel::error::Result;

type Column<M> = <<M as ModelTrait>::Entity as EntityTrait>::Column;

/// A row as it is read and written whole.
pub trait Row: ModelTrait + FromQueryResult + Clone + PartialEq + Send + Sync {}

impl<M: ModelTrait + FromQueryResult + Clone + PartialEq + Send + Sync> Row for M {}

fn on_postgres(connection: &impl ConnectionTrait) -> bool {
    connection.get_database_backend() == DbBackend::Postgres
}

fn value(connection: &impl ConnectionTrait, param: Param) -> Value {
    param.into_value(connection.get_database_backend())
}

fn columns<M: ModelTrait>() -> String {
    let columns: Vec<_> = Column::<M>::iter().map(|column| format!("t.{}", column.as_str())).collect();
    columns.join(", ")
}

fn table<M: ModelTrait>() -> String {
    M::Entity::default().table_name().to_owned()
}

async fn rows<M: FromQueryResult>(
    connection: &impl ConnectionTrait,
    sql: String,
    values: Vec<Value>,
) -> Result<Vec<M>> {
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    let rows = connection.query_all_raw(statement).await?;
    Ok(rows.iter().map(|row| M::from_query_result(row, "")).collect::<Result<_, _>>()?)
}

/// All rows of a table, by `order`.
pub async fn all<M: Row>(connection: &impl ConnectionTrait, order: &str) -> Result<Vec<M>> {
    rows(connection, format!("SELECT {} FROM {} t ORDER BY {order}", columns::<M>(), table::<M>()), vec![]).await
}

/// One page of a table with `id`s, beginning behind one.
pub async fn page<M: Row>(
    connection: &impl ConnectionTrait,
    behind: i64,
    condition: &str,
    limit: i64,
) -> Result<Vec<M>> {
    let sql = format!(
        "SELECT {} FROM {} t WHERE t.id > $1 AND {condition} ORDER BY t.id LIMIT $2",
        columns::<M>(),
        table::<M>()
    );
    rows(connection, sql, vec![behind.into(), limit.into()]).await
}

/// One page of a table of users, of those from `first` to `last`, beginning behind a place in the order of the key,
/// whose second part is `column`.
pub async fn page_of_users<M: Row>(
    connection: &impl ConnectionTrait,
    (first, last): (i64, i64),
    column: &str,
    behind: (i64, i64),
    limit: i64,
) -> Result<Vec<M>> {
    let sql = format!(
        "SELECT {} FROM {} t WHERE t.user_id BETWEEN $1 AND $2 AND (t.user_id, t.{column}) > ($3, $4) \
         ORDER BY t.user_id, t.{column} LIMIT $5",
        columns::<M>(),
        table::<M>()
    );
    let values = [first, last, behind.0, behind.1, limit].map(Value::from);
    rows(connection, sql, values.to_vec()).await
}

/// The rows of a table of users whose `column` is one of `values`.
pub async fn with_text<M: Row>(connection: &impl ConnectionTrait, column: &str, values: Vec<String>) -> Result<Vec<M>> {
    if values.is_empty() { Ok(Vec::new()) } else { with(connection, column, values).await }
}

/// The rows whose `column` is one of `values`.
pub async fn with_int<M: Row>(connection: &impl ConnectionTrait, column: &str, values: &[i64]) -> Result<Vec<M>> {
    if values.is_empty() { Ok(Vec::new()) } else { with(connection, column, values.to_vec()).await }
}

/// Returns the row with the operator's key `key`.
pub async fn by_key<M: Row>(connection: &impl ConnectionTrait, key: &str) -> Result<Option<M>> {
    Ok(with_text::<M>(connection, "key", vec![key.to_owned()]).await?.pop())
}

/// Tells whether there is a row whose `column` is one of `values`.
pub async fn any<M: Row>(connection: &impl ConnectionTrait, column: &str, values: &[i64]) -> Result<bool> {
    if values.is_empty() {
        return Ok(false);
    }
    let rows = M::Entity::find().filter(Expr::col(Alias::new(column)).is_any(connection, values.to_vec())).limit(1);
    Ok(!rows.into_model::<M>().all(connection).await?.is_empty())
}

/// The users of a table in spans of their ids, ascending. What no index leads to is looked for span by span, so that no
/// statement takes the longer the more users there are.
#[derive(Debug)]
pub struct Spans {
    span: Option<(i64, i64)>,
    last: i64,
}

/// How many ids are in a span.
const SPAN: i64 = 10_000;

impl Spans {
    /// Begins with the first users of whom the table has rows.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of<M: ModelTrait>(connection: &impl ConnectionTrait) -> Result<Self> {
        let last = Query::select().expr(Expr::col("user_id").max()).from(M::Entity::default()).take();
        let last = query(connection, &last).await?.pop().and_then(|Only(last): Only<Option<i64>>| last).unwrap_or(0);
        Ok(Self { span: Some((1, SPAN)).filter(|_| last > 0), last })
    }

    /// Returns the first and the last id to look at next; `None`: all users were looked at.
    pub const fn next(&self) -> Option<(i64, i64)> {
        self.span
    }

    /// Goes on: behind the last of the users that were found, if their number was limited, else behind the span.
    pub fn pass(&mut self, found: Option<&i64>) {
        self.span = self.span.and_then(|(_, end)| match found {
            Some(user) if *user < end => Some((user + 1, end)),
            _ => (end < self.last).then(|| (end + 1, end + SPAN)),
        });
    }
}

/// Tells whether a row of a table of users meets a condition that no index helps with.
pub async fn any_of_users<M: Row>(connection: &impl ConnectionTrait, condition: Expr) -> Result<bool> {
    let mut spans = Spans::of::<M>(connection).await?;
    while let Some((first, last)) = spans.next() {
        let within = Expr::col("user_id").between(first, last);
        let rows = M::Entity::find().filter(within).filter(condition.clone()).limit(1);
        if !rows.into_model::<M>().all(connection).await?.is_empty() {
            return Ok(true);
        }
        spans.pass(None);
    }
    Ok(false)
}

/// Tells whether a row of a table of users has this value of `column`, which no index leads to.
pub async fn anybody<M: Row>(connection: &impl ConnectionTrait, column: &str, value: i64) -> Result<bool> {
    any_of_users::<M>(connection, Expr::col(Alias::new(column)).eq(value)).await
}

/// Returns those of `ids` that stand in `column` of rows of a table of users that meet a condition.
pub async fn named_by_users<M: ModelTrait>(
    connection: &impl ConnectionTrait,
    column: Column<M>,
    ids: &[i64],
    condition: Option<Expr>,
) -> Result<BTreeSet<i64>> {
    let mut named = BTreeSet::new();
    if ids.is_empty() {
        return Ok(named);
    }
    let mut spans = Spans::of::<M>(connection).await?;
    while let Some((first, last)) = spans.next().filter(|_| named.len() < ids.len()) {
        let mut rows = Query::select();
        rows.distinct().column(column).from(M::Entity::default());
        rows.and_where(Expr::col("user_id").between(first, last));
        rows.and_where(Expr::col(column).is_any(connection, ids.to_vec())).and_where_option(condition.clone());
        named.extend(query(connection, &rows).await?.into_iter().map(|Only(id): Only<i64>| id));
        spans.pass(None);
    }
    Ok(named)
}

async fn with<M: Row>(connection: &impl ConnectionTrait, column: &str, values: impl Into<Param>) -> Result<Vec<M>> {
    let rows = M::Entity::find().filter(Expr::col(Alias::new(column)).is_any(connection, values));
    Ok(rows.into_model().all(connection).await?)
}

/// The rows of a table of users by pairs of a user and a value of `column`.
pub async fn with_pairs<M: Row>(
    connection: &impl ConnectionTrait,
    column: &str,
    pairs: &BTreeSet<(i64, i64)>,
) -> Result<Vec<M>> {
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let (columns, table) = (columns::<M>(), table::<M>());
    let (sql, values) = if on_postgres(connection) {
        let (users, ids): (Vec<i64>, Vec<i64>) = pairs.iter().copied().unzip();
        let sql = format!(
            "SELECT {columns} FROM unnest($1::bigint[], $2::bigint[]) AS k(u, i) \
             JOIN {table} t ON t.user_id = k.u AND t.{column} = k.i"
        );
        (sql, vec![value(connection, Param::Ints(users)), value(connection, Param::Ints(ids))])
    } else {
        let sql = format!(
            "SELECT {columns} FROM (SELECT json_extract(value, '$[0]') AS u, json_extract(value, '$[1]') AS i \
             FROM json_each($1)) k CROSS JOIN {table} t ON t.user_id = k.u AND t.{column} = k.i"
        );
        (sql, vec![serde_json::to_string(pairs).unwrap_or_default().into()])
    };
    rows(connection, sql, values).await
}

/// Inserts rows, or gives those whose primary key is there all the values of these.
pub async fn store<M: ModelTrait>(connection: &impl ConnectionTrait, rows: &[M]) -> Result<()> {
    let key: Vec<String> =
        <M::Entity as EntityTrait>::PrimaryKey::iter().map(|part| part.into_column().as_str().to_owned()).collect();
    let others: Vec<Column<M>> =
        Column::<M>::iter().filter(|column| !key.iter().any(|k| k == column.as_str())).collect();
    bulk::upsert(connection, rows, &others).await
}

/// Removes the rows whose `column` is one of `values`.
pub async fn remove<M: ModelTrait>(connection: &impl ConnectionTrait, column: &str, values: &[i64]) -> Result<()> {
    let rows = M::Entity::delete_many().filter(Expr::col(Alias::new(column)).is_any(connection, values.to_vec()));
    Ok(rows.exec(connection).await.map(drop)?)
}

/// `count` new ids of a table, ascending.
pub async fn new_ids<M: ModelTrait>(connection: &impl ConnectionTrait, count: usize) -> Result<Vec<i64>> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    if count == 0 {
        return Ok(Vec::new());
    }
    let name = table::<M>();
    let backend = connection.get_database_backend();
    if on_postgres(connection) {
        let sql = format!("SELECT nextval(pg_get_serial_sequence('{name}', 'id')) FROM generate_series(1, $1)");
        let found = connection.query_all_raw(Statement::from_sql_and_values(backend, sql, [count.into()])).await?;
        return Ok(found.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?);
    }
    // Counted up from the highest that was ever given; what is inserted here counts too.
    let sql = format!(
        "SELECT max(coalesce((SELECT max(id) FROM {name}), 0), \
         coalesce((SELECT seq FROM sqlite_sequence WHERE name = '{name}'), 0))"
    );
    let row = connection.query_one_raw(Statement::from_string(backend, sql)).await?;
    let last: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
    Ok((last + 1..=last + count).collect())
}
