//! Transactions, and what becomes of the connections that they are given.
//!
//! A connection goes back to its pool only when the engine has said that no transaction is open on it any more, in its
//! answer to `COMMIT` or `ROLLBACK`. In every other case it is closed: when one of the two failed, when a statement
//! failed by which an engine rolls back by itself (a full disk), and when the transaction was dropped, at any point.
//! For on a connection with an open transaction, the statements of the next user would become part of that transaction:
//! they would be answered as done and not be stored.
//!
//! The driver's own transactions are not used, because they count how deep a connection is in transactions, and the
//! count is wrong when `ROLLBACK` fails, or when the caller gives up while `BEGIN` is under way.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sea_orm::prelude::async_trait::async_trait;
use sea_orm::sqlx::database::HasStatementCache;
use sea_orm::sqlx::pool::PoolConnection;
use sea_orm::sqlx::query::Query;
use sea_orm::sqlx::{self, AssertSqlSafe, Connection as _, Database, Executor, IntoArguments, Pool, Postgres, Sqlite};
use sea_orm::{
    ConnAcquireErr, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr,
    Statement,
};
use sea_query_sqlx::SqlxValues;
use tokio::sync::Mutex;

use super::lane::Lane;
use super::line::{Generation, Line, Patience, is_broken};
use super::statements::Statements;
use super::storage::Storage;
use waymark_kernel::error::Result;
use waymark_kernel::failure::Failure;

/// A transaction, or a part of one that can be undone by itself (a savepoint).
///
/// It ends by [`Transaction::commit`] or [`Transaction::rollback`]. When it is dropped before, everything is undone.
/// Once a statement has failed, nothing but `rollback` works, on either engine.
pub struct Transaction {
    open: Arc<Open>,
    /// How many savepoints it is inside of; 0 is the transaction itself.
    level: u32,
    ended: bool,
}

struct Open {
    backend: DbBackend,
    /// `None` once the transaction has ended.
    connection: Mutex<Option<Lent>>,
    /// Whether a statement has failed, or was given up, and was not undone yet.
    failed: AtomicBool,
    /// Whether rows were changed.
    wrote: AtomicBool,
    statements: Arc<Statements>,
    storage: Arc<Storage>,
    line: Arc<Line>,
    generation: Arc<Generation>,
    /// How long the answer to a statement may take.
    answer: Duration,
}

/// How a transaction begins.
#[derive(Debug, Clone, Copy)]
pub(super) enum Beginning {
    /// To write. What it waits for, such as a locked row, it waits for so long; for as long as the database says
    /// without.
    Write(Option<Duration>),
    /// Reads one state of the database, unaffected by writes of others.
    Snapshot,
}

impl Beginning {
    /// The command, with what a pooler has to be told in each transaction.
    fn sql(self, backend: DbBackend, line: &Line) -> AssertSqlSafe<String> {
        let limits = line.in_transaction().unwrap_or_default();
        AssertSqlSafe(match (self, backend) {
            // It takes the lock of writers at once, and never has to give up half-way because another one came first.
            (Self::Write(_), DbBackend::Sqlite) => "BEGIN IMMEDIATE".to_owned(),
            (Self::Snapshot, DbBackend::Sqlite) => "BEGIN".to_owned(),
            (Self::Write(None), _) => format!("BEGIN{limits}"),
            (Self::Write(Some(wait)), _) => {
                format!("BEGIN{limits}; SET LOCAL lock_timeout = {}", wait.as_millis().max(1))
            }
            (Self::Snapshot, _) => format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY{limits}"),
        })
    }
}

impl Transaction {
    /// Begins one on a connection of `lane`. When that turns out to be broken, which costs nothing yet, on another one.
    pub(super) async fn begin(
        lane: &Lane,
        beginning: Beginning,
        statements: &Arc<Statements>,
        storage: &Arc<Storage>,
    ) -> Result<Self> {
        match Self::begin_once(lane, beginning, statements, storage).await {
            Err(error) if is_broken(&error) => Ok(Self::begin_once(lane, beginning, statements, storage).await?),
            begun => Ok(begun?),
        }
    }

    async fn begin_once(
        lane: &Lane,
        beginning: Beginning,
        statements: &Arc<Statements>,
        storage: &Arc<Storage>,
    ) -> Result<Self, DbErr> {
        let (line, generation) = lane.now()?;
        let pool = generation.pool(lane.purpose());
        let begun = async {
            let mut lent = Lent::from(pool).await?;
            lent.run(beginning.sql(pool.get_database_backend(), line)).await.map_err(failed)?;
            Ok(lent)
        };
        let begun = line.within(&generation, line.answer_after_waiting(), begun).await;
        let lent = begun.inspect_err(|error| storage.note(Failure::of(error)))?;
        Ok(Self {
            open: Arc::new(Open {
                backend: lane.get_database_backend(),
                connection: Mutex::new(Some(lent)),
                failed: AtomicBool::new(false),
                wrote: AtomicBool::new(false),
                statements: Arc::clone(statements),
                storage: Arc::clone(storage),
                line: Arc::clone(line),
                answer: line.answer(),
                generation,
            }),
            level: 0,
            ended: false,
        })
    }

    /// Gives the transaction the time of what operators run.
    pub(super) async fn take_long(mut self) -> Result<Self, DbErr> {
        if self.open.backend == DbBackend::Postgres {
            let [statement, _, idle] = Patience::Long.settings();
            let settings = [statement, idle].map(|(name, millis)| format!("SET LOCAL {name} = {millis};"));
            self.execute_unprepared(&settings.concat()).await?;
            if let Some(open) = Arc::get_mut(&mut self.open) {
                open.answer = Patience::Long.answer();
            }
        }
        Ok(self)
    }

    /// Begins a savepoint, which can be rolled back by itself. It ends before the transaction or savepoint in which it
    /// was begun.
    pub async fn savepoint(&self) -> Result<Self> {
        let level = self.level + 1;
        self.open.with(async |lent| lent.run(AssertSqlSafe(format!("SAVEPOINT s{level}"))).await).await?;
        Ok(Self { open: Arc::clone(&self.open), level, ended: false })
    }

    /// Makes everything that was done in it last; of a savepoint, as far as the transaction does. When this fails
    /// nothing is known about the transaction, unless the error says that it lost against another one.
    ///
    /// # Errors
    /// When a statement has failed in it, and when the database fails.
    pub async fn commit(mut self) -> Result<()> {
        self.ended = true;
        if self.open.failed.load(Ordering::Acquire) {
            // PostgreSQL would answer COMMIT as if it were done.
            if self.level == 0 {
                self.end().await;
            }
            return Err(given_up().into());
        }
        if self.level > 0 {
            let sql = AssertSqlSafe(format!("RELEASE SAVEPOINT s{}", self.level));
            return Ok(self.open.with(async |lent| lent.run(sql).await).await?);
        }
        Ok(self.commit_now().await?)
    }

    async fn commit_now(&self) -> Result<(), DbErr> {
        let Some(lent) = self.open.connection.lock().await.take() else { return Err(given_up()) };
        match self.open.line.within(&self.open.generation, self.open.answer, lent.end("COMMIT")).await {
            Ok(()) => {
                if self.open.wrote.load(Ordering::Acquire) {
                    self.open.storage.wrote();
                }
                Ok(())
            }
            Err(error) => {
                self.open.storage.note(Failure::of(&error));
                Err(error)
            }
        }
    }

    /// Undoes everything that was done in it.
    ///
    /// # Errors
    /// When the database fails. A transaction is undone then too, and its connection closed; when it was a savepoint,
    /// the transaction is of no use any more.
    pub async fn rollback(mut self) -> Result<()> {
        self.ended = true;
        if self.level == 0 {
            self.end().await;
            return Ok(());
        }
        let name = self.level;
        let sql = AssertSqlSafe(format!("ROLLBACK TO SAVEPOINT s{name}; RELEASE SAVEPOINT s{name}"));
        let mut connection = self.open.connection.lock().await;
        let Some(lent) = connection.as_mut().filter(|lent| lent.usable) else { return Err(given_up().into()) };
        self.open.failed.store(true, Ordering::Release);
        let undo = async { lent.run(sql).await.map_err(failed) };
        if let Err(error) = self.open.line.within(&self.open.generation, self.open.answer, undo).await {
            lent.usable = false;
            return Err(error.into());
        }
        self.open.failed.store(false, Ordering::Release);
        Ok(())
    }

    /// Undoes the whole transaction. When that fails its connection is closed, which does the same.
    async fn end(&self) {
        let lent = self.open.connection.lock().await.take();
        let Some(lent) = lent else { return };
        let end = self.open.line.within(&self.open.generation, self.open.answer, lent.end("ROLLBACK"));
        if let Err(error) = end.await {
            tracing::debug!(%error, "a transaction was undone by closing its connection");
        }
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if !self.ended && self.level > 0 {
            // What it was begun in must not be committed with one half of it.
            self.open.failed.store(true, Ordering::Release);
        }
    }
}

impl fmt::Debug for Transaction {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Transaction({:?}, level {})", self.open.backend, self.level)
    }
}

/// A transaction of one statement, where a pooler is between.
pub(super) struct Brief(Transaction);

impl Brief {
    /// Begins one on a connection of `lane`.
    pub(super) async fn begin(lane: &Lane) -> Result<Self, DbErr> {
        let statements = Arc::clone(&lane.now()?.0.statements);
        let storage = Arc::default();
        // Boxed: it is rare, and would make every statement's future larger.
        let begun = Box::pin(Transaction::begin_once(lane, Beginning::Write(None), &statements, &storage)).await;
        match begun {
            Err(error) if is_broken(&error) => {
                Box::pin(Transaction::begin_once(lane, Beginning::Write(None), &statements, &storage)).await.map(Self)
            }
            begun => begun.map(Self),
        }
    }

    pub(super) async fn execute(self, statement: Statement) -> Result<ExecResult, DbErr> {
        let done = self.0.execute_raw(statement).await;
        self.end(done).await
    }

    pub(super) async fn execute_unprepared(self, sql: &str) -> Result<ExecResult, DbErr> {
        let done = self.0.execute_unprepared(sql).await;
        self.end(done).await
    }

    pub(super) async fn query(self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let done = self.0.query_all_raw(statement).await;
        self.end(done).await
    }

    async fn end<T>(mut self, done: Result<T, DbErr>) -> Result<T, DbErr> {
        self.0.ended = true;
        if done.is_err() {
            self.0.end().await;
            return done;
        }
        self.0.commit_now().await?;
        done
    }
}

/// Fetches all rows over a connection of no pool, which is closed when this fails. Where a pooler is between, in a
/// transaction that begins by `limits`.
pub(super) async fn fetch_alone<D: Database + HasStatementCache>(
    connection: &mut D::Connection,
    query: Query<'_, D, D::Arguments>,
    limits: Option<&str>,
) -> Result<Vec<D::Row>, sqlx::Error>
where
    D::Arguments: IntoArguments<D>,
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
{
    let Some(limits) = limits else { return query.fetch_all(connection).await };
    connection.execute(AssertSqlSafe(format!("BEGIN READ ONLY{limits}"))).await?;
    let rows = query.persistent(false).fetch_all(&mut *connection).await?;
    connection.execute("COMMIT").await?;
    Ok(rows)
}

impl Open {
    /// Whether prepared statements stay with the connection. A pooler gives each transaction another session.
    fn keeps_statements(&self) -> bool {
        self.line.in_transaction().is_none()
    }

    /// Runs something on the connection, unless something has failed before.
    async fn with<T>(&self, work: impl AsyncFnOnce(&mut Lent) -> Result<T, sqlx::Error>) -> Result<T, DbErr> {
        let mut connection = self.connection.lock().await;
        if self.failed.load(Ordering::Acquire) {
            return Err(given_up());
        }
        let lent = connection.as_mut().ok_or_else(given_up)?;
        // True until the statement has ended: when this future is dropped half-way, it stays true.
        self.failed.store(true, Ordering::Release);
        let work = async { work(lent).await.map_err(failed) };
        match self.line.within(&self.generation, self.answer, work).await {
            Ok(done) => {
                self.failed.store(false, Ordering::Release);
                Ok(done)
            }
            Err(error) => {
                let failure = Failure::of(&error);
                if failure.is_grave() {
                    lent.usable = false;
                }
                self.storage.note(failure);
                Err(error)
            }
        }
    }

    /// Runs a statement of a user of the transaction.
    async fn state<T>(
        &self,
        statement: Statement,
        work: impl AsyncFnOnce(&mut Lent, AssertSqlSafe<String>, SqlxValues) -> Result<T, sqlx::Error>,
    ) -> Result<T, DbErr> {
        let Statement { sql, values, .. } = statement;
        let text = self.statements.want_text().then(|| sql.clone());
        let values = SqlxValues(values.unwrap_or_else(|| sea_orm::sea_query::Values(Vec::new())));
        let began = Instant::now();
        let done = self.with(async |lent| work(lent, AssertSqlSafe(sql), values).await).await;
        self.statements.ran(text.as_deref(), began.elapsed(), done.is_err());
        done
    }
}

#[async_trait]
impl ConnectionTrait for Transaction {
    fn get_database_backend(&self) -> DbBackend {
        self.open.backend
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let (reads, kept) = (statement.sql.starts_with("SELECT"), self.open.keeps_statements());
        let done: ExecResult = self
            .open
            .state(statement, async |lent, sql, values| {
                Ok(match &mut lent.connection {
                    Connection::Postgres(one) => {
                        sqlx::query_with(sql, values).persistent(kept).execute(&mut **one).await?.into()
                    }
                    Connection::Sqlite(one) => sqlx::query_with(sql, values).execute(&mut **one).await?.into(),
                })
            })
            .await?;
        if !reads && done.rows_affected() > 0 {
            self.open.wrote.store(true, Ordering::Release);
        }
        Ok(done)
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let sql = sql.to_owned();
        self.open
            .with(async |lent| {
                Ok(match &mut lent.connection {
                    Connection::Postgres(one) => one.execute(AssertSqlSafe(sql)).await?.into(),
                    Connection::Sqlite(one) => one.execute(AssertSqlSafe(sql)).await?.into(),
                })
            })
            .await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let kept = self.open.keeps_statements();
        self.open
            .state(statement, async |lent, sql, values| {
                Ok(match &mut lent.connection {
                    Connection::Postgres(one) => {
                        let query = sqlx::query_with(sql, values).persistent(kept);
                        query.fetch_optional(&mut **one).await?.map(Into::into)
                    }
                    Connection::Sqlite(one) => {
                        sqlx::query_with(sql, values).fetch_optional(&mut **one).await?.map(Into::into)
                    }
                })
            })
            .await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        let kept = self.open.keeps_statements();
        self.open
            .state(statement, async |lent, sql, values| {
                Ok(match &mut lent.connection {
                    Connection::Postgres(one) => {
                        let rows = sqlx::query_with(sql, values).persistent(kept).fetch_all(&mut **one).await?;
                        rows.into_iter().map(Into::into).collect()
                    }
                    Connection::Sqlite(one) => {
                        let rows = sqlx::query_with(sql, values).fetch_all(&mut **one).await?;
                        rows.into_iter().map(Into::into).collect()
                    }
                })
            })
            .await
    }
}

/// A connection of a pool while a transaction has it. Dropped, it is closed, unless the engine has said that no
/// transaction is open on it.
struct Lent {
    connection: Connection,
    /// Whether the engine has said so.
    settled: bool,
    /// Whether a statement has failed by which the engine may have rolled back.
    usable: bool,
}

enum Connection {
    Postgres(PoolConnection<Postgres>),
    Sqlite(PoolConnection<Sqlite>),
}

impl Lent {
    async fn from(pool: &DatabaseConnection) -> Result<Self, DbErr> {
        let connection = match pool.get_database_backend() {
            DbBackend::Sqlite => Connection::Sqlite(acquire(pool.get_sqlite_connection_pool()).await?),
            _ => Connection::Postgres(acquire(pool.get_postgres_connection_pool()).await?),
        };
        Ok(Self { connection, settled: false, usable: true })
    }

    /// Runs a command, or several, that have no parameters and no answer.
    async fn run(&mut self, sql: AssertSqlSafe<String>) -> Result<(), sqlx::Error> {
        match &mut self.connection {
            Connection::Postgres(one) => one.execute(sql).await.map(drop),
            Connection::Sqlite(one) => one.execute(sql).await.map(drop),
        }
    }

    /// Ends the transaction by `COMMIT` or `ROLLBACK`, and gives the connection back, or closes it.
    async fn end(mut self, command: &'static str) -> Result<(), DbErr> {
        if !self.usable {
            return Err(failed(sqlx::Error::Protocol("the engine may have rolled back by itself".to_owned())));
        }
        let ended = match &mut self.connection {
            Connection::Postgres(one) => ended(one.begin_with(command).await),
            Connection::Sqlite(one) => ended(one.begin_with(command).await),
        };
        self.settled = ended.is_ok();
        ended.map_err(failed)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.settled {
            match &mut self.connection {
                Connection::Postgres(one) => one.close_on_drop(),
                Connection::Sqlite(one) => one.close_on_drop(),
            }
        }
    }
}

/// What the engine says about a command that was run in the way of `begin_with`: the driver runs the command, and then
/// looks at what the engine says of its state. So the error is what is wanted here: no transaction is open.
fn ended<T>(begun: Result<T, sqlx::Error>) -> Result<(), sqlx::Error> {
    match begun {
        Err(sqlx::Error::BeginFailed) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Err(sqlx::Error::Protocol("a transaction is still open after its end".to_owned())),
    }
}

async fn acquire<D: sqlx::Database>(pool: &Pool<D>) -> Result<PoolConnection<D>, DbErr> {
    pool.acquire().await.map_err(|error| match error {
        sqlx::Error::PoolTimedOut => DbErr::ConnectionAcquire(ConnAcquireErr::Timeout),
        sqlx::Error::PoolClosed => DbErr::ConnectionAcquire(ConnAcquireErr::ConnectionClosed),
        error => DbErr::Conn(RuntimeErr::SqlxError(Arc::new(error))),
    })
}

fn failed(error: sqlx::Error) -> DbErr {
    DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)))
}

fn given_up() -> DbErr {
    DbErr::Custom("a statement of this transaction has failed before".to_owned())
}
