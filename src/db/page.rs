//! One page of a long list for each of many users, by one statement.
//!
//! The list is cut by its sort key (keyset pagination), so a page far down costs what the first one costs. PostgreSQL
//! runs the limited SELECT once per user (`LATERAL`) along an index; SQLite numbers each user's rows in a window,
//! unless there is one user only.

use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait, Order, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, Select,
};

use super::Extent;
use super::row::{Count, FromRow};
use super::sql::{Param, fetch_text, for_sqlite};
use waymark_kernel::error::Result;

/// Which part of a list is asked for. Keys are `(sort key, tie-break)`, both integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slice {
    /// Only what comes behind this key, in the order of reading.
    pub after: Option<(i64, i64)>,
    /// Only what comes before this key, in the order of reading.
    pub before: Option<(i64, i64)>,
    /// How many rows at the most.
    pub limit: u32,
    /// Whether to take them from the end of the list; they come in reverse order then.
    pub from_end: bool,
}

impl Slice {
    /// The rows of the slice of a list that belongs to no user and is sorted by its key `id`. They come in the slice's
    /// order.
    pub fn of<E: EntityTrait>(&self, list: Select<E>, id: E::Column, descending: bool) -> Select<E> {
        let mut list = list;
        for (bound, greater) in [(self.after, !descending), (self.before, descending)] {
            if let Some((key, _)) = bound {
                list = list.filter(if greater { id.gt(key) } else { id.lt(key) });
            }
        }
        let order = if descending == self.from_end { Order::Asc } else { Order::Desc };
        list.order_by(id, order).limit(u64::from(self.limit))
    }
}

/// A list that belongs to a user.
#[derive(Debug)]
pub struct List {
    /// The table with its alias: `game_summaries t`.
    pub table: &'static str,
    /// A condition on `t`, `true` for all. May use `$2` for what the caller passes as `filter`.
    pub condition: &'static str,
    /// The column that sorts the list, never null under the condition.
    pub sort: &'static str,
    /// The column that breaks ties, unique for a user.
    pub tie: &'static str,
    /// Whether the list reads from the greatest key down.
    pub descending: bool,
}

impl List {
    /// The rows of the slice for each of `users`, in no particular order between users and in the slice's order
    /// for each of them. `T` says which columns of the table are read.
    pub async fn fetch<T: FromRow>(
        &self,
        connection: &impl ConnectionTrait,
        users: Vec<i64>,
        filter: Option<Param>,
        slice: Slice,
        extent: Extent,
    ) -> Result<Vec<T>> {
        let one = users.len() == 1;
        let mut params = vec![Param::Ints(users)];
        params.extend(filter);
        let columns = T::COLUMNS.list(extent);
        let sql = self.sql(&columns, connection.get_database_backend(), slice, one, &mut params);
        fetch_text(connection, sql, params, extent).await
    }

    /// How many rows the whole list has for each of `users`; users without any are absent.
    pub async fn count(
        &self,
        connection: &impl ConnectionTrait,
        users: Vec<i64>,
        filter: Option<Param>,
    ) -> Result<Vec<(i64, i64)>> {
        let Self { table, condition, .. } = self;
        let mut params = vec![Param::Ints(users)];
        params.extend(filter);
        let sql = format!(
            "SELECT t.user_id AS id, count(*) AS count FROM {table} WHERE t.user_id = ANY($1) AND {condition} GROUP BY t.user_id"
        );
        let sql = if connection.get_database_backend() == DbBackend::Sqlite { for_sqlite(&sql) } else { sql };
        let counts = fetch_text(connection, sql, params, Extent::All).await?;
        Ok(counts.into_iter().map(|Count { id, count }| (id, count)).collect())
    }

    fn sql(&self, columns: &str, backend: DbBackend, slice: Slice, one_user: bool, params: &mut Vec<Param>) -> String {
        let Self { table, condition, sort, tie, descending } = self;
        let mut bound = |key: (i64, i64), less: bool| {
            params.push(Param::Int(key.0));
            params.push(Param::Int(key.1));
            let sign = if less { "<" } else { ">" };
            format!(" AND (t.{sort}, t.{tie}) {sign} (${}, ${})", params.len() - 1, params.len())
        };
        let after = slice.after.map(|key| bound(key, *descending)).unwrap_or_default();
        let before = slice.before.map(|key| bound(key, !descending)).unwrap_or_default();
        let direction = if *descending == slice.from_end { "ASC" } else { "DESC" };
        let order = format!("t.{sort} {direction}, t.{tie} {direction}");
        let limit = slice.limit;
        match backend {
            DbBackend::Sqlite if one_user => for_sqlite(&format!(
                "SELECT {columns} FROM {table} WHERE t.user_id = (SELECT value FROM json_each($1)) \
                 AND {condition}{after}{before} ORDER BY {order} LIMIT {limit}"
            )),
            DbBackend::Sqlite => for_sqlite(&format!(
                "SELECT {columns} FROM (SELECT t.*, row_number() OVER (PARTITION BY t.user_id ORDER BY {order}) AS place \
                 FROM {table} WHERE t.user_id = ANY($1) AND {condition}{after}{before}) t \
                 WHERE t.place <= {limit} ORDER BY t.user_id, t.place"
            )),
            _ => format!(
                "SELECT {columns} FROM unnest($1::bigint[]) AS u(id) CROSS JOIN LATERAL (SELECT t.* FROM {table} \
                 WHERE t.user_id = u.id AND {condition}{after}{before} ORDER BY {order} LIMIT {limit}) t"
            ),
        }
    }
}
