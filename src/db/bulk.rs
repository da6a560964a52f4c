//! Many rows in one statement: inserting them, and inserting or updating them by their primary key.
//!
//! On PostgreSQL a statement takes one array per column, so that one prepared statement serves any number of rows; on
//! SQLite one parameter per value.

use sea_orm::sea_query::{ArrayType, Value};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, EntityName as _, EntityTrait, IdenStatic as _, Iterable as _,
    ModelTrait, PrimaryKeyToColumn as _, Statement,
};

use super::sql::{Param, Sql};
use waymark_kernel::error::Result;

/// How many rows one statement takes: on PostgreSQL bounded by memory, on SQLite by 32,766 parameters. A write of as
/// many items as one may have takes as many statements as one of a single item.
const POSTGRES_ROWS: usize = 20_000;
const SQLITE_ROWS: usize = 1_000;

type Column<M> = <<M as ModelTrait>::Entity as EntityTrait>::Column;

/// What becomes of a row whose primary key is there already.
enum Conflict<'a, M: ModelTrait> {
    /// The statement fails.
    Fail,
    /// It stays as it is, as does one that has anything else that is unique.
    Keep,
    /// These columns of it are set.
    Set(&'a [Column<M>]),
}

/// Inserts `rows` with the values they have, ids included.
pub async fn insert<M: ModelTrait>(connection: &impl ConnectionTrait, rows: &[M]) -> Result<()> {
    write(connection, rows, Conflict::Fail).await.map(drop)
}

/// Inserts `rows` under ids that the database counts up in their order; the `id` they have says nothing.
pub async fn add<M: ModelTrait>(connection: &impl ConnectionTrait, rows: &[M]) -> Result<()> {
    added(connection, rows, &Conflict::Fail).await
}

/// The same for those of `rows` that are not there yet.
pub async fn add_new<M: ModelTrait>(connection: &impl ConnectionTrait, rows: &[M]) -> Result<()> {
    added(connection, rows, &Conflict::Keep).await
}

async fn added<M: ModelTrait>(connection: &impl ConnectionTrait, rows: &[M], conflict: &Conflict<'_, M>) -> Result<()> {
    let mut table = Table::<M>::of();
    table.columns.retain(|column| column.as_str() != "id");
    table.write(connection, rows, conflict).await.map(drop)
}

/// Inserts `rows`; those whose primary key is there already take the place of what was there.
pub async fn replace<M: ModelTrait>(connection: &impl ConnectionTrait, rows: &[M]) -> Result<()> {
    let columns: Vec<Column<M>> = Table::<M>::of().columns;
    write(connection, rows, Conflict::Set(&columns)).await.map(drop)
}

/// Inserts `rows`; of those whose primary key is there already, sets `columns`. No two rows may have the same key.
pub async fn upsert<M: ModelTrait>(connection: &impl ConnectionTrait, rows: &[M], columns: &[Column<M>]) -> Result<()> {
    write(connection, rows, Conflict::Set(columns)).await.map(drop)
}

/// Rows that are stored together at the end of a write: by one statement on PostgreSQL, where a round trip costs more
/// than most statements, and by one per table on SQLite.
///
/// No row may be stored twice, and nothing that is stored is seen before the end.
#[derive(Default)]
pub struct Stores(Vec<Box<dyn Part>>);

impl Stores {
    /// Inserts `rows`.
    pub fn insert<M: ModelTrait + Send + Sync + 'static>(&mut self, rows: Vec<M>) {
        self.add(rows, &Conflict::Fail);
    }

    /// Inserts `rows`; of those whose primary key is there already, sets `columns`.
    pub fn upsert<M: ModelTrait + Send + Sync + 'static>(&mut self, rows: Vec<M>, columns: &[Column<M>]) {
        self.add(rows, &Conflict::Set(columns));
    }

    fn add<M: ModelTrait + Send + Sync + 'static>(&mut self, rows: Vec<M>, conflict: &Conflict<'_, M>) {
        if !rows.is_empty() {
            let table = Table::of();
            let conflict = table.on_conflict(conflict);
            self.0.push(Box::new(Stored { table, conflict, rows }));
        }
    }

    /// Stores everything. On PostgreSQL `last`, whose parameters are these, is done by the same statement; on SQLite it
    /// is left to the caller.
    pub async fn flush(
        self,
        connection: &impl ConnectionTrait,
        last: Option<(&'static Sql, Vec<Param>)>,
    ) -> Result<()> {
        let backend = connection.get_database_backend();
        if backend != DbBackend::Postgres {
            for part in &self.0 {
                for statement in part.values() {
                    connection.execute_raw(statement).await?;
                }
            }
            return Ok(());
        }
        if self.0.is_empty() && last.is_none() {
            return Ok(());
        }
        let (main, params) =
            last.map_or(("SELECT 1", Vec::new()), |(sql, params)| (sql.text(DbBackend::Postgres), params));
        let mut values: Vec<Value> = params.into_iter().map(|param| param.into_value(backend)).collect();
        let mut parts = Vec::with_capacity(self.0.len());
        for (number, part) in self.0.iter().enumerate() {
            let (sql, mut own) = part.arrays(values.len());
            values.append(&mut own);
            parts.push(format!("s{number} AS ({sql})"));
        }
        let with = if parts.is_empty() { String::new() } else { format!("WITH {} ", parts.join(", ")) };
        connection.execute_raw(Statement::from_sql_and_values(backend, format!("{with}{main}"), values)).await?;
        Ok(())
    }
}

/// The rows of one table, whose type is not named.
trait Part: Send + Sync {
    /// For PostgreSQL, with parameters numbered from behind `before`.
    fn arrays(&self, before: usize) -> (String, Vec<Value>);
    /// For SQLite.
    fn values(&self) -> Vec<Statement>;
}

struct Stored<M: ModelTrait> {
    table: Table<M>,
    conflict: String,
    rows: Vec<M>,
}

impl<M: ModelTrait + Send + Sync> Part for Stored<M> {
    fn arrays(&self, before: usize) -> (String, Vec<Value>) {
        self.table.arrays(&self.rows, &self.conflict, before)
    }

    fn values(&self) -> Vec<Statement> {
        self.rows.chunks(SQLITE_ROWS).map(|some| self.table.values(some, &self.conflict)).collect()
    }
}

async fn write<M: ModelTrait>(connection: &impl ConnectionTrait, rows: &[M], conflict: Conflict<'_, M>) -> Result<u64> {
    Table::<M>::of().write(connection, rows, &conflict).await
}

struct Table<M: ModelTrait> {
    name: String,
    columns: Vec<Column<M>>,
}

impl<M: ModelTrait> Table<M> {
    fn of() -> Self {
        Self { name: M::Entity::default().table_name().to_owned(), columns: Column::<M>::iter().collect() }
    }

    async fn write(&self, connection: &impl ConnectionTrait, rows: &[M], conflict: &Conflict<'_, M>) -> Result<u64> {
        let postgres = connection.get_database_backend() == DbBackend::Postgres;
        let conflict = self.on_conflict(conflict);
        let mut written = 0;
        for some in rows.chunks(if postgres { POSTGRES_ROWS } else { SQLITE_ROWS }) {
            let statement = if postgres {
                let (sql, values) = self.arrays(some, &conflict, 0);
                Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
            } else {
                self.values(some, &conflict)
            };
            written += connection.execute_raw(statement).await?.rows_affected();
        }
        Ok(written)
    }

    fn names(&self) -> String {
        self.columns.iter().map(|column| column.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn on_conflict(&self, conflict: &Conflict<'_, M>) -> String {
        match conflict {
            Conflict::Fail => String::new(),
            Conflict::Keep => " ON CONFLICT DO NOTHING".to_owned(),
            Conflict::Set(columns) => {
                let key: Vec<_> = <M::Entity as EntityTrait>::PrimaryKey::iter()
                    .map(|part| part.into_column().as_str().to_owned())
                    .collect();
                let set: Vec<_> = columns.iter().map(|column| format!("{0} = excluded.{0}", column.as_str())).collect();
                format!(" ON CONFLICT ({}) DO UPDATE SET {}", key.join(", "), set.join(", "))
            }
        }
    }

    /// One parameter per value.
    fn values(&self, rows: &[M], conflict: &str) -> Statement {
        let row = format!("({})", vec!["?"; self.columns.len()].join(", "));
        let sql = format!(
            "INSERT INTO {} ({}) VALUES {}{conflict}",
            self.name,
            self.names(),
            vec![row; rows.len()].join(", ")
        );
        let values = rows.iter().flat_map(|row| self.columns.iter().map(|column| row.get(*column)));
        Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
    }

    /// One array per column, and for a column that may be null a second one that says where it is: array parameters can
    /// hold no NULL. Parameters are numbered from behind `before`.
    fn arrays(&self, rows: &[M], conflict: &str, before: usize) -> (String, Vec<Value>) {
        let mut selected = Vec::with_capacity(self.columns.len());
        let mut names = Vec::with_capacity(self.columns.len());
        let mut arrays = Vec::with_capacity(self.columns.len());
        let mut values = Vec::with_capacity(self.columns.len());
        let mut parameter = |name: String, type_name: &str, kind: ArrayType, cells: Vec<Value>| {
            names.push(name);
            arrays.push(format!("${}::{type_name}[]", before + arrays.len() + 1));
            values.push(Value::Array(kind, Some(Box::new(cells))));
        };
        for column in &self.columns {
            let kind = M::get_value_type(*column);
            let (type_name, filler) = array_type(&kind);
            let name = column.as_str().to_owned();
            let mut cells: Vec<_> = rows.iter().map(|row| row.get(*column)).collect();
            if column.def().is_null() {
                let nulls: Vec<bool> = cells.iter().map(|value| *value == value.as_null()).collect();
                for (cell, null) in cells.iter_mut().zip(&nulls) {
                    if *null {
                        *cell = filler.clone();
                    }
                }
                selected.push(format!("CASE WHEN {name}_is_null THEN NULL ELSE {name} END"));
                let nulls = nulls.into_iter().map(Value::from).collect();
                parameter(format!("{name}_is_null"), "boolean", ArrayType::Bool, nulls);
            } else {
                selected.push(name.clone());
            }
            parameter(name, type_name, kind, cells);
        }
        let sql = format!(
            "INSERT INTO {} ({}) SELECT {} FROM unnest({}) AS r({}){conflict}",
            self.name,
            self.names(),
            selected.join(", "),
            arrays.join(", "),
            names.join(", ")
        );
        (sql, values)
    }
}

/// A column's type on PostgreSQL, and some value of it.
fn array_type(kind: &ArrayType) -> (&'static str, Value) {
    match kind {
        ArrayType::Bool => ("boolean", false.into()),
        ArrayType::SmallInt => ("smallint", 0_i16.into()),
        ArrayType::Int => ("integer", 0_i32.into()),
        ArrayType::BigInt => ("bigint", 0_i64.into()),
        _ => ("text", "".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entity::catalogue_version;

    #[test]
    fn one_statement_takes_any_number_of_rows_on_postgresql() {
        let row = |id, version| catalogue_version::Model { id, version };
        let table = Table::<catalogue_version::Model>::of();
        let conflict = table.on_conflict(&Conflict::Set(&[catalogue_version::Column::Version]));
        let (sql, values) = table.arrays(&[row(1, 7), row(2, 8)], &conflict, 0);
        assert_eq!(
            sql,
            "INSERT INTO catalogue_version (id, version) SELECT id, version FROM unnest($1::smallint[], \
             $2::bigint[]) AS r(id, version) ON CONFLICT (id) DO UPDATE SET version = excluded.version"
        );
        assert_eq!(values[1], Value::Array(ArrayType::BigInt, Some(Box::new(vec![7_i64.into(), 8_i64.into()]))));
    }
}
