//! The shapes that many tables share, so that a migration reads like a list of its columns.
//!
//! Migrations that are merged rely on these: what a helper produces never changes.

use sea_orm_migration::prelude::*;
use sea_orm_migration::schema::big_pk_auto;
pub(crate) use sea_orm_migration::schema::{
    big_integer, big_integer_null, boolean, integer, integer_null, small_integer, text, text_null, text_uniq,
};
use sea_orm_migration::sea_orm::DatabaseBackend;

/// A surrogate key, counted up by the database and never given twice.
pub(crate) fn id() -> ColumnDef {
    big_pk_auto("id")
}

/// Text that is one of `values`.
pub(crate) fn one_of(name: &'static str, values: &[&'static str]) -> ColumnDef {
    text(name).check(Expr::col(name).is_in(values.iter().copied())).take()
}

/// `column` with the condition that its value is `least` or more (or null, where it may be).
pub(crate) fn at_least(least: i64, mut column: ColumnDef) -> ColumnDef {
    let name = column.get_column_name();
    column.check(Expr::col(name).gte(least)).take()
}

/// A table by name, without columns yet.
pub(crate) fn table(name: &'static str) -> TableCreateStatement {
    Table::create().table(name).take()
}

/// A table whose primary key starts with `user_id`.
///
/// On SQLite it is stored in the order of that key, so that one user's rows share pages.
pub(crate) fn table_by_user(manager: &SchemaManager, name: &'static str) -> TableCreateStatement {
    let mut table = table(name);
    table.col(big_integer("user_id"));
    if manager.get_database_backend() == DatabaseBackend::Sqlite {
        table.extra("WITHOUT ROWID");
    }
    table
}

/// The same, where `user_id` is a reference to `users`, as it was until rows could lie on other servers than those.
pub(crate) fn user_table(manager: &SchemaManager, name: &'static str) -> TableCreateStatement {
    table_by_user(manager, name).references("user_id", "users").take()
}

/// Copies a table of SQLite, with its indexes, into one that is defined otherwise and has the same columns.
pub(crate) async fn redefine(
    manager: &SchemaManager<'_>,
    table: &str,
    otherwise: impl Fn(&str) -> String,
) -> Result<(), DbErr> {
    let definitions = Query::select()
        .column("sql")
        .from("sqlite_schema")
        .and_where(Expr::col("tbl_name").eq(table))
        .and_where(Expr::col("sql").is_not_null())
        .order_by_expr(Expr::cust("type = 'table'"), Order::Desc)
        .take();
    let connection = manager.get_connection();
    let definitions = connection.query_all(&definitions).await?;
    let definitions: Vec<String> = definitions.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?;
    let Some((definition, indexes)) = definitions.split_first() else { return Ok(()) };
    let (name, new) = (format!(r#""{table}""#), format!(r#""{table}_new""#));
    let definition = otherwise(definition).replacen(&name, &new, 1);
    let copy = format!("INSERT INTO {new} SELECT * FROM {name}");
    let take_place = format!("DROP TABLE {name}; ALTER TABLE {new} RENAME TO {name}");
    for sql in [definition, copy, take_place].iter().chain(indexes) {
        connection.execute_unprepared(sql).await?;
    }
    Ok(())
}

/// Constraints over several columns, or on another table.
pub(crate) trait Constraints {
    /// The primary key, in this order.
    fn key(&mut self, columns: &[&'static str]) -> &mut Self;
    /// No two rows have the same values in all of these columns.
    fn unique(&mut self, columns: &[&'static str]) -> &mut Self;
    /// `column` holds an `id` of `other`, which cannot be deleted as long as it does.
    fn references(&mut self, column: &'static str, other: &'static str) -> &mut Self;
    /// `condition`, in SQL, is true of every row, or null.
    fn holds(&mut self, condition: &'static str) -> &mut Self;
}

impl Constraints for TableCreateStatement {
    fn key(&mut self, columns: &[&'static str]) -> &mut Self {
        self.primary_key(&mut index_on(columns))
    }

    fn unique(&mut self, columns: &[&'static str]) -> &mut Self {
        self.index(index_on(columns).unique())
    }

    fn references(&mut self, column: &'static str, other: &'static str) -> &mut Self {
        self.foreign_key(ForeignKey::create().from_col(column).to(other, "id"))
    }

    fn holds(&mut self, condition: &'static str) -> &mut Self {
        self.check(Expr::cust(condition))
    }
}

/// An index of `table` on these columns, named after them.
pub(crate) fn index(table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    index_on(columns).table(table).name(format!("{table}_{}_idx", columns.join("_"))).take()
}

fn index_on(columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create();
    for column in columns {
        index.col(*column);
    }
    index
}

/// Drops these tables in this order: those that refer to others first.
pub(crate) async fn drop_tables(manager: &SchemaManager<'_>, names: &[&'static str]) -> Result<(), DbErr> {
    for name in names {
        manager.drop_table(Table::drop().table(*name).take()).await?;
    }
    Ok(())
}
