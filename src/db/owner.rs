//! Rows of per-user tables that go over to another user.

use std::collections::BTreeMap;

use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{ConnectionTrait, EntityTrait, IdenStatic as _, Iterable as _, ModelTrait, QueryFilter as _};

use super::row::Count;
use super::sql::fetch_text;
use super::{Extent, Sql, bulk, fetch_values};
use waymark_kernel::error::{Error, Result};

/// Two users, of whom one takes over everything of the other.
#[derive(Debug, Clone, Copy)]
pub struct Merger {
    /// The internal id of the user who is merged away and is left without rows.
    pub from: i64,
    /// The internal id of the user who survives and takes over the rows.
    pub into: i64,
}

impl Merger {
    /// Makes one user's rows of the rows of both in the table of `E`, and gives them. `hand_over` makes a row the
    /// survivor's; of two rows with the same `key` the survivor keeps what `better` makes of them, the survivor's own
    /// being the first.
    pub async fn rows<E, K>(
        self,
        connection: &impl ConnectionTrait,
        hand_over: impl Fn(&mut E::Model),
        key: impl Fn(&E::Model) -> K,
        mut better: impl FnMut(E::Model, E::Model) -> E::Model,
    ) -> Result<Vec<E::Model>>
    where
        E: EntityTrait,
        E::Model: ModelTrait<Entity = E>,
        K: Ord,
    {
        let others = of::<E>(connection, self.from).await?;
        let own = of::<E>(connection, self.into).await?;
        if others.is_empty() {
            return Ok(own);
        }
        let mut merged: BTreeMap<K, E::Model> = own.into_iter().map(|row| (key(&row), row)).collect();
        for mut row in others {
            hand_over(&mut row);
            let key = key(&row);
            let row = match merged.remove(&key) {
                Some(own) => better(own, row),
                None => row,
            };
            merged.insert(key, row);
        }
        let merged: Vec<E::Model> = merged.into_values().collect();
        let both = Expr::col("user_id").is_in([self.from, self.into]);
        E::delete_many().filter(both).exec(connection).await?;
        bulk::insert(connection, &merged).await?;
        Ok(merged)
    }
}

impl Merger {
    /// Hands all rows of the table of `E` over. The numbers in these columns are raised by so much each, so that no row of
    /// the survivor's has the same. The rows are copied: they lie where their user's rows do.
    pub async fn renumbered<E: EntityTrait>(
        self,
        connection: &impl ConnectionTrait,
        raised: &[(E::Column, i64)],
    ) -> Result<()> {
        let of_other = || Expr::col("user_id").eq(self.from);
        let mut rows = Query::select().from(E::default()).and_where(of_other()).to_owned();
        for column in E::Column::iter() {
            let by = raised.iter().find(|(one, _)| one.as_str() == column.as_str());
            rows.expr(match by {
                Some((_, by)) => Expr::col(column).add(*by),
                None if column.as_str() == "user_id" => Expr::value(self.into),
                None => Expr::col(column),
            });
        }
        let mut copies = Query::insert();
        copies.into_table(E::default()).columns(E::Column::iter()).select_from(rows).map_err(Error::internal)?;
        connection.execute(&copies).await?;
        E::delete_many().filter(of_other()).exec(connection).await?;
        Ok(())
    }
}

/// The hand-written statements of this file.
pub static STATEMENTS: [&Sql; 1] = [&TABLES];

// The engines' own tables have no entities.
static TABLES: Sql = Sql::new(
    "SELECT CAST(table_name AS text) FROM information_schema.columns
     WHERE table_schema = current_schema() AND column_name = 'user_id' ORDER BY table_name",
)
.on_sqlite(
    "SELECT t.name FROM sqlite_master t JOIN pragma_table_info(t.name) c ON c.name = 'user_id'
     WHERE t.type = 'table' ORDER BY t.name",
);

/// Rows of users who are not there: the table, the id that no user has, and how many rows.
///
/// # Errors
/// When the database cannot be read.
pub async fn of_nobody(connection: &impl ConnectionTrait) -> Result<Vec<(String, i64, i64)>> {
    let mut found = Vec::new();
    for table in fetch_values::<String>(connection, &TABLES, []).await? {
        let sql = format!(
            "SELECT t.user_id AS id, count(*) AS count FROM {table} t WHERE t.user_id IS NOT NULL
                 AND NOT EXISTS (SELECT 1 FROM users u WHERE u.id = t.user_id) GROUP BY t.user_id ORDER BY t.user_id"
        );
        let counts = fetch_text(connection, sql, [], Extent::All).await?;
        found.extend(counts.into_iter().map(|Count { id, count }| (table.clone(), id, count)));
    }
    Ok(found)
}

async fn of<E: EntityTrait>(connection: &impl ConnectionTrait, user: i64) -> Result<Vec<E::Model>> {
    Ok(E::find().filter(Expr::col("user_id").eq(user)).all(connection).await?)
}
