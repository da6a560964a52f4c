//! What the query builder lacks: many keys as one parameter, and readers that follow from a struct.

use sea_orm::sea_query::{Expr, SelectStatement};
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityName as _, EntityTrait, QuerySelect as _, QueryTrait as _, Select,
    StatementBuilder,
};

use super::Extent;
use super::row::{self, Column, Count, FromRow, Only};
use super::sql::{Param, fetch_text};
use waymark_kernel::error::Result;

/// Conditions over many keys. They are one parameter, so that one prepared statement serves any number of them.
pub trait IsAny: Into<Expr> + Sized {
    /// Whether this is one of `keys`.
    #[expect(clippy::wrong_self_convention, reason = "as the builder's own conditions")]
    fn is_any(self, connection: &impl ConnectionTrait, keys: impl Into<Param>) -> Expr {
        let backend = connection.get_database_backend();
        let keys = Expr::value(keys.into().into_value(backend));
        let sql = match backend {
            DbBackend::Postgres => "$1 = ANY($2)",
            _ => "? IN (SELECT value FROM json_each(?))",
        };
        Expr::cust_with_exprs(sql, [self.into(), keys])
    }
}

impl IsAny for Expr {}

/// The same for the columns of entities.
pub trait ColumnIsAny: ColumnTrait {
    /// Whether the column is one of `keys`.
    fn is_any(self, connection: &impl ConnectionTrait, keys: impl Into<Param>) -> Expr {
        self.into_expr().is_any(connection, keys)
    }
}

impl<C: ColumnTrait> ColumnIsAny for C {}

/// Whether two columns are one of `pairs`.
pub fn pair_is_any<C: ColumnTrait>(connection: &impl ConnectionTrait, columns: [C; 2], pairs: Vec<(i64, i64)>) -> Expr {
    let backend = connection.get_database_backend();
    let [one, two] = columns.map(|column| column.into_expr());
    if backend == DbBackend::Postgres {
        let (ones, twos) = pairs.into_iter().unzip();
        let [ones, twos] = [ones, twos].map(|keys| Expr::value(Param::Ints(keys).into_value(backend)));
        let sql = "($1, $2) IN (SELECT a, b FROM unnest($3::bigint[], $4::bigint[]) AS k(a, b))";
        return Expr::cust_with_exprs(sql, [one, two, ones, twos]);
    }
    let pairs = Expr::value(Param::Pairs(pairs).into_value(backend));
    let sql = "(?, ?) IN (SELECT value ->> 0, value ->> 1 FROM json_each(?))";
    Expr::cust_with_exprs(sql, [one, two, pairs])
}

/// Runs a statement of the query builder that gives rows back, and reads them.
pub async fn query<T: FromRow>(connection: &impl ConnectionTrait, statement: &impl StatementBuilder) -> Result<Vec<T>> {
    Ok(row::read(&connection.query_all(statement).await?, Extent::All)?)
}

/// Reads rows as `T`, which says which columns: those of the table of `E`, and expressions.
pub async fn select<E: EntityTrait, T: FromRow>(connection: &impl ConnectionTrait, rows: Select<E>) -> Result<Vec<T>> {
    select_from(connection, E::default().table_name(), rows.into_query()).await
}

/// The same for rows of a table whose entity is another room's.
pub async fn select_from<T: FromRow>(
    connection: &impl ConnectionTrait,
    table: &'static str,
    mut rows: SelectStatement,
) -> Result<Vec<T>> {
    rows.clear_selects();
    T::COLUMNS.each(&mut |expression, name, _| match expression {
        Some(expression) => drop(rows.expr_as(Expr::cust(expression), name)),
        None => drop(rows.column((table, name))),
    });
    query(connection, &rows).await
}

/// Reads one column of rows.
pub async fn values<E: EntityTrait, T: Column>(
    connection: &impl ConnectionTrait,
    rows: Select<E>,
    column: E::Column,
) -> Result<Vec<T>> {
    let values = query(connection, &rows.select_only().column(column).into_query()).await?;
    Ok(values.into_iter().map(|Only(value)| value).collect())
}

/// How many rows there are for each value of `column`; values without any are absent.
pub async fn counts<E: EntityTrait>(
    connection: &impl ConnectionTrait,
    rows: Select<E>,
    column: E::Column,
) -> Result<Vec<(i64, i64)>> {
    let rows = rows.select_only().column_as(column, "id").column_as(Expr::cust("count(*)"), "count").group_by(column);
    let counts = query(connection, &rows.into_query()).await?;
    Ok(counts.into_iter().map(|Count { id, count }| (id, count)).collect())
}

/// Rows of a per-user table by pairs of a user and the `id` of a thing: for each user in `wanted` with each of the ids
/// beside it.
///
/// Pairs that form a grid (every user with the same ids) are asked for by two arrays, which is the cheapest for the
/// engine; other pairs are joined one by one.
pub async fn pairs<'a, C: ColumnTrait, T: FromRow>(
    connection: &impl ConnectionTrait,
    id: C,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
    extent: Extent,
) -> Result<Vec<T>> {
    let wanted: Vec<_> = wanted.into_iter().collect();
    let (columns, table, id) = (T::COLUMNS.list(extent), C::EntityName::default().table_name(), id.as_str());
    let sqlite = connection.get_database_backend() == DbBackend::Sqlite;
    let same = wanted.windows(2).all(|pair| matches!(pair, [one, two] if one.1 == two.1));
    if same {
        let [users, ids] = match sqlite {
            true => ["IN (SELECT value FROM json_each($1))", "IN (SELECT value FROM json_each($2))"],
            false => ["= ANY($1)", "= ANY($2)"],
        };
        let sql = format!("SELECT {columns} FROM {table} t WHERE t.user_id {users} AND t.{id} {ids}");
        let same = wanted.first().map(|(_, ids)| ids.to_vec()).unwrap_or_default();
        let params = [Param::Ints(wanted.iter().map(|(user, _)| *user).collect()), Param::Ints(same)];
        return fetch_text(connection, sql, params, extent).await;
    }
    let pairs = wanted.iter().flat_map(|(user, ids)| ids.iter().map(move |id| (*user, *id)));
    let (from, params) = if sqlite {
        let from = "(SELECT json_extract(value, '$[0]') AS u, json_extract(value, '$[1]') AS i FROM json_each($1)) k";
        (from, vec![Param::Pairs(pairs.collect())])
    } else {
        let (users, ids) = pairs.unzip();
        ("unnest($1::bigint[], $2::bigint[]) AS k(u, i)", vec![Param::Ints(users), Param::Ints(ids)])
    };
    let sql = format!("SELECT {columns} FROM {from} JOIN {table} t ON t.user_id = k.u AND t.{id} = k.i");
    fetch_text(connection, sql, params, extent).await
}
