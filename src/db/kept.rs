//! Connections kept for the loaders.
//!
//! A pool tests a connection whenever it is given back: one more round trip to the database, in a task of its own, after
//! every statement. The loaders' statements are short and many, and so is this price. They get connections that stay
//! theirs; one whose statement failed or was given up half-way is closed and not used again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::sea_query::{ArrayType, Value};
use sea_orm::sqlx::{self, Arguments, Database, Encode, Executor, IntoArguments, Pool, Postgres, Sqlite, Type};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::statements::Statements;
use crate::trace;

/// How the loaders reach the database.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    pool: DatabaseConnection,
    connections: Option<Arc<Connections>>,
    statements: Arc<Statements>,
}

#[derive(Debug)]
enum Connections {
    Postgres(Stock<Postgres>),
    Sqlite(Stock<Sqlite>),
}

impl Kept {
    /// Keeps up to `most` connections, opened when they are first needed in the way of `pool`, and counts what is run on
    /// them in `statements`. When `most` is 0, the pool itself serves.
    pub(super) fn new(pool: DatabaseConnection, most: u32, statements: Arc<Statements>) -> Self {
        let connections = (most > 0).then(|| {
            Arc::new(match pool.get_database_backend() {
                DbBackend::Sqlite => Connections::Sqlite(Stock::new(pool.get_sqlite_connection_pool().clone(), most)),
                _ => Connections::Postgres(Stock::new(pool.get_postgres_connection_pool().clone(), most)),
            })
        });
        Self { pool, connections, statements }
    }

    /// How the connections are used; nothing when the pool itself serves.
    pub(super) fn connections(&self) -> Option<super::Connections> {
        Some(match &**self.connections.as_ref()? {
            Connections::Postgres(stock) => stock.connections(),
            Connections::Sqlite(stock) => stock.connections(),
        })
    }
}

#[async_trait]
impl ConnectionTrait for Kept {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let Some(connections) = &self.connections else { return self.pool.query_all_raw(statement).await };
        if !statement.values.iter().flat_map(|values| &values.0).all(is_plain) {
            return self.pool.query_all_raw(statement).await;
        }
        let Statement { sql, values, .. } = statement;
        let values = values.map(|values| values.0).unwrap_or_default();
        match &**connections {
            Connections::Postgres(stock) => {
                stock.fetch(sql, arguments(values, add_to_postgres)?, &self.statements).await
            }
            Connections::Sqlite(stock) => stock.fetch(sql, arguments(values, add_plain)?, &self.statements).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.pool.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.pool.execute_unprepared(sql).await
    }
}

/// Connections of one engine.
#[derive(Debug)]
struct Stock<D: Database> {
    pool: Pool<D>,
    idle: Mutex<Vec<D::Connection>>,
    /// One for each connection there may be, idle or at work.
    places: Semaphore,
    most: usize,
    waiting: AtomicU64,
}

impl<D: Database> Stock<D> {
    fn new(pool: Pool<D>, most: u32) -> Self {
        let places = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { pool, idle: Mutex::default(), places: Semaphore::new(places), most: places, waiting: AtomicU64::new(0) }
    }

    async fn fetch(
        &self,
        sql: String,
        arguments: D::Arguments,
        statements: &Statements,
    ) -> Result<Vec<QueryResult>, DbErr>
    where
        D::Arguments: IntoArguments<D>,
        for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
        D::Row: Into<QueryResult>,
    {
        let _place = self.place().await;
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.pool.acquire().await.map_err(unreachable)?.detach(),
        };
        let text = trace::is_on().then(|| sql.clone());
        let query = sqlx::query_with(sqlx::AssertSqlSafe(sql), arguments);
        let began = Instant::now();
        let fetched = query.fetch_all(&mut connection).await;
        statements.ran(text.as_deref(), began.elapsed(), fetched.is_err());
        match fetched {
            Ok(rows) => {
                self.idle().push(connection);
                Ok(rows.into_iter().map(Into::into).collect())
            }
            Err(error) => {
                // What broke this connection may have broken the others: the database was restarted.
                self.idle().clear();
                Err(failed(error))
            }
        }
    }

    /// A place among the connections there may be. They are never closed, and without one more connections would be opened
    /// at the worst.
    async fn place(&self) -> Option<SemaphorePermit<'_>> {
        if let Ok(place) = self.places.try_acquire() {
            return Some(place);
        }
        let _waiting = Waiting::new(&self.waiting);
        self.places.acquire().await.ok()
    }

    fn connections(&self) -> super::Connections {
        let used = self.most.saturating_sub(self.places.available_permits());
        super::Connections {
            pool: "loaders",
            used: used as u64,
            idle: self.idle().len() as u64,
            most: self.most as u64,
            waiting: Some(self.waiting.load(Ordering::Relaxed)),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<D::Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts somebody who waits, for as long as they do.
struct Waiting<'a>(&'a AtomicU64);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicU64) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

fn unreachable(error: sqlx::Error) -> DbErr {
    DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error)))
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

/// Whether a parameter is of one of the kinds that most loaders pass; statements with others go the pool's way.
const fn is_plain(value: &Value) -> bool {
    matches!(
        value,
        Value::BigInt(Some(_)) | Value::String(Some(_)) | Value::Array(ArrayType::BigInt | ArrayType::String, Some(_))
    )
}

/// The parameters of a statement as the engine's driver takes them.
fn arguments<A: Arguments>(
    values: Vec<Value>,
    add: impl Fn(&mut A, Value) -> Result<(), sqlx::error::BoxDynError>,
) -> Result<A, DbErr> {
    let mut arguments = A::default();
    for value in values {
        add(&mut arguments, value).map_err(|error| failed(sqlx::Error::Encode(error)))?;
    }
    Ok(arguments)
}

/// Adds an array, or what any engine takes.
fn add_to_postgres(arguments: &mut sqlx::postgres::PgArguments, value: Value) -> Result<(), sqlx::error::BoxDynError> {
    match value {
        Value::Array(ArrayType::BigInt, Some(items)) => arguments.add(
            items
                .into_iter()
                .filter_map(|item| if let Value::BigInt(item) = item { item } else { None })
                .collect::<Vec<_>>(),
        ),
        Value::Array(ArrayType::String, Some(items)) => arguments.add(
            items
                .into_iter()
                .filter_map(|item| if let Value::String(item) = item { item } else { None })
                .collect::<Vec<_>>(),
        ),
        value => add_plain(arguments, value),
    }
}

fn add_plain<A: Arguments>(arguments: &mut A, value: Value) -> Result<(), sqlx::error::BoxDynError>
where
    i64: for<'t> Encode<'t, A::Database> + Type<A::Database>,
    String: for<'t> Encode<'t, A::Database> + Type<A::Database>,
{
    match value {
        Value::BigInt(Some(value)) => arguments.add(value),
        Value::String(Some(value)) => arguments.add(value),
        value => Err(format!("loaders pass no parameters like {value:?}").into()),
    }
}
