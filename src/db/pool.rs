//! Connections kept for the loaders.
//!
//! A pool tests a connection whenever it is given back: one more round trip to the database, in a task of its own,
//! after every statement. The loaders' statements are short and many, and so is this price. They get connections that
//! stay theirs; one whose statement failed or was given up half-way is closed and not used again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::sea_query::{ArrayType, Value};
use sea_orm::sqlx::database::HasStatementCache;
use sea_orm::sqlx::{
    self, Arguments, ConnectOptions as _, Connection as _, Database, Encode, Executor, IntoArguments, Pool, Postgres,
    Sqlite, Type,
};
use sea_orm::{ConnAcquireErr, ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::lane::Lane;
use super::line::{CONNECT, Generation, Line};
use super::replicas::Replicas;
use super::transaction::fetch_alone;

/// How the loaders reach the database.
#[derive(Debug, Clone)]
pub struct ConnectionPool {
    line: Arc<Line>,
    /// Serves when there are no connections for loaders, and for statements with parameters of rare kinds.
    reads: Lane,
    /// They are asked first, where there are some.
    replicas: Option<Arc<Replicas>>,
}

impl ConnectionPool {
    pub(super) const fn new(line: Arc<Line>, reads: Lane) -> Self {
        Self { line, reads, replicas: None }
    }

    /// The same, which asks replicas first.
    pub(super) fn beside(&self, replicas: &Arc<Replicas>) -> Self {
        Self { replicas: Some(Arc::clone(replicas)), ..self.clone() }
    }
}

#[async_trait]
impl ConnectionTrait for ConnectionPool {
    fn get_database_backend(&self) -> DbBackend {
        self.reads.get_database_backend()
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        if let Some(replicas) = &self.replicas
            && let Some(rows) = replicas.ask(&statement).await
        {
            return Ok(rows);
        }
        let generation = self.line.current()?;
        let Some(stock) = &generation.loaders else { return self.reads.query_all_raw(statement).await };
        if !statement.values.iter().flat_map(|values| &values.0).all(is_plain) {
            return self.reads.query_all_raw(statement).await;
        }
        let Statement { sql, values, .. } = statement;
        let values = values.map(|values| values.0).unwrap_or_default();
        let way = (&*self.line, &*generation);
        match stock {
            Stock::Postgres(shelf) => shelf.fetch(way, sql, arguments(values, add_to_postgres)?).await,
            Stock::Sqlite(shelf) => shelf.fetch(way, sql, arguments(values, add_plain)?).await,
        }
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        Ok(self.query_all_raw(statement).await?.into_iter().next())
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.reads.execute_raw(statement).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.reads.execute_unprepared(sql).await
    }
}

/// The loaders' connections of one generation.
#[derive(Debug)]
pub(super) enum Stock {
    Postgres(Shelf<Postgres>),
    Sqlite(Shelf<Sqlite>),
}

impl Stock {
    /// Up to `most` connections, opened when they are first needed with the options of `pool`.
    pub(super) fn of_postgres(pool: Pool<Postgres>, most: u32) -> Self {
        Self::Postgres(Shelf::new(pool, most))
    }

    /// The same for the other engine.
    pub(super) fn of_sqlite(pool: Pool<Sqlite>, most: u32) -> Self {
        Self::Sqlite(Shelf::new(pool, most))
    }

    /// How the connections are used.
    pub(super) fn connections(&self) -> super::Connections {
        match self {
            Self::Postgres(shelf) => shelf.connections(),
            Self::Sqlite(shelf) => shelf.connections(),
        }
    }

    /// Closes those that are idle.
    pub(super) async fn close(&self) {
        match self {
            Self::Postgres(shelf) => shelf.close().await,
            Self::Sqlite(shelf) => shelf.close().await,
        }
    }
}

/// Connections of one engine.
#[derive(Debug)]
pub(super) struct Shelf<D: Database> {
    pool: Pool<D>,
    idle: Mutex<Vec<D::Connection>>,
    /// One for each connection there may be, idle or at work.
    places: Semaphore,
    most: usize,
    waiting: AtomicU64,
}

impl<D: Database + HasStatementCache> Shelf<D> {
    fn new(pool: Pool<D>, most: u32) -> Self {
        let places = usize::try_from(most).unwrap_or(Semaphore::MAX_PERMITS).min(Semaphore::MAX_PERMITS);
        Self { pool, idle: Mutex::default(), places: Semaphore::new(places), most: places, waiting: AtomicU64::new(0) }
    }

    async fn fetch(
        &self,
        (line, generation): (&Line, &Generation),
        sql: String,
        arguments: D::Arguments,
    ) -> Result<Vec<QueryResult>, DbErr>
    where
        D::Arguments: IntoArguments<D>,
        for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
        D::Row: Into<QueryResult>,
    {
        let _place = line.unless_ended(generation, self.place()).await?;
        let idle = self.idle().pop();
        let mut connection = match idle {
            Some(connection) => connection,
            None => line.unless_ended(generation, self.open()).await?,
        };
        let text = line.statements.want_text().then(|| sql.clone());
        let query = sqlx::query_with(sqlx::AssertSqlSafe(sql), arguments);
        let began = Instant::now();
        let fetch = async { fetch_alone(&mut connection, query, line.in_transaction()).await.map_err(failed) };
        let fetched = line.within(generation, line.answer(), fetch).await;
        line.statements.ran(text.as_deref(), began.elapsed(), fetched.is_err());
        // When a query failed, its connection is closed.
        let rows = fetched?;
        self.idle().push(connection);
        Ok(rows.into_iter().map(Into::into).collect())
    }

    async fn open(&self) -> Result<D::Connection, DbErr> {
        let options = self.pool.connect_options();
        let opened = tokio::time::timeout(CONNECT, options.connect()).await;
        opened.map_err(|_| unavailable())?.map_err(unreachable)
    }

    /// A place among the connections there may be. They are never closed, and without one more connections would be
    /// opened at the worst.
    async fn place(&self) -> Result<SemaphorePermit<'_>, DbErr> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let _waiting = Waiting::new(&self.waiting);
        let place = tokio::time::timeout(self.pool.options().get_acquire_timeout(), self.places.acquire()).await;
        place.map_err(|_| unavailable())?.map_err(|_| unavailable())
    }

    async fn close(&self) {
        let idle = std::mem::take(&mut *self.idle());
        for connection in idle {
            // What cannot be closed in order is closed by being dropped.
            let _ = tokio::time::timeout(CONNECT, connection.close()).await;
        }
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

/// Counts a waiting task, for as long as this value lives.
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

/// Nothing got free, or nothing could be opened, in time.
const fn unavailable() -> DbErr {
    DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)
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
