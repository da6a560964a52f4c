//! The database: connecting to SQLite or PostgreSQL, and running hand-written SQL that is the same for both.
//!
//! SQLite gets a pool of readers and one writer (WAL, `synchronous = FULL`, foreign keys); PostgreSQL one pool for
//! both. No connection is pinged when it is taken from a pool: a broken one shows itself by its first statement. The
//! loaders have connections of their own, see `kept`.

pub(crate) mod bulk;
pub(crate) mod catalogue;
pub mod entity;
mod kept;
pub(crate) mod notices;
pub(crate) mod owner;
pub(crate) mod page;
pub(crate) mod records;
mod sql;
mod statements;
mod values;

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

use migration::{Migration, MigrationStatus, Migrator, MigratorTrait as _};
use sea_orm::sqlx;
use sea_orm::sqlx::postgres::PgConnectOptions;
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    AccessMode, ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbErr, IsolationLevel, RuntimeErr,
    SqlErr, SqliteTransactionMode, TransactionOptions, TransactionTrait as _,
};

use kept::Kept;
pub(crate) use sql::{PairSql, Param, Row, Sql, execute, fetch};
use statements::Statements;

use crate::error::{Code, Error, Result};
use crate::metrics::Sql as Observer;

/// Which database engine stands behind a [`Db`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The embedded database: one file, one writer.
    Sqlite,
    /// A PostgreSQL server.
    Postgres,
}

/// How much of a row is read: what most queries ask for, or all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Extent {
    Main,
    All,
}

/// A transaction, as use cases hand it to their parts.
pub(crate) type Transaction = DatabaseTransaction;

/// An open database.
#[derive(Debug, Clone)]
pub struct Db {
    kind: Kind,
    reads: DatabaseConnection,
    writes: DatabaseConnection,
    kept: Kept,
    statements: Arc<Statements>,
}

/// The connections of one pool at some instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Connections {
    /// What the pool is for.
    pub(crate) pool: &'static str,
    /// How many are at work.
    pub(crate) used: u64,
    /// How many are open and idle.
    pub(crate) idle: u64,
    /// How many there may be.
    pub(crate) most: u64,
    /// How many statements wait for one, where the pool knows.
    pub(crate) waiting: Option<u64>,
}

impl Db {
    /// Opens the database at `url`: `sqlite://path` (made when missing) or `postgres://…`.
    ///
    /// `max_connections` bounds the connections of readers, and on PostgreSQL those of readers and writers together. More
    /// than half of them are for the loaders.
    ///
    /// # Errors
    /// [`Code::BadUserInput`] for a URL of another kind, [`Code::Unavailable`] when the database cannot be reached.
    pub async fn connect(url: &str, max_connections: u32) -> Result<Self> {
        Self::connect_to(url, max_connections, true).await
    }

    /// Opens the database at `url` like [`Db::connect`], and makes none: a mistyped path is no empty database.
    ///
    /// # Errors
    /// Those of [`Db::connect`], and [`Code::BadUserInput`] when there is no such file.
    pub async fn connect_existing(url: &str, max_connections: u32) -> Result<Self> {
        Self::connect_to(url, max_connections, false).await
    }

    async fn connect_to(url: &str, max_connections: u32, create: bool) -> Result<Self> {
        let statements = Arc::new(Statements::new(if url.starts_with("sqlite:") { "sqlite" } else { "postgresql" }));
        let max_connections = max_connections.max(1);
        let kept = max_connections * 3 / 5;
        if url.starts_with("sqlite:") {
            let file = SqliteConnectOptions::from_str(url)
                .map_err(|_| Error::bad_input("the database URL is no SQLite path; try sqlite://waymark.db"))?;
            if file.get_filename().to_string_lossy().contains(":memory:") {
                return Err(Error::bad_input("an in-memory SQLite database cannot be shared; name a file"));
            }
            if !create && !file.get_filename().is_file() {
                return Err(Error::bad_input(format!(
                    "there is no database {}; correct WAYMARK_DATABASE_URL, or make it with `waymark migrate`",
                    file.get_filename().display()
                )));
            }
            let writes = Self::open(url, 1, create, &statements).await?;
            let reads = Self::open(url, max_connections - kept, create, &statements).await?;
            let kept = Kept::new(reads.clone(), kept, Arc::clone(&statements));
            Ok(Self { kind: Kind::Sqlite, reads, writes, kept, statements })
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let pool = Self::open(url, max_connections - kept, create, &statements).await?;
            let kept = Kept::new(pool.clone(), kept, Arc::clone(&statements));
            Ok(Self { kind: Kind::Postgres, reads: pool.clone(), writes: pool, kept, statements })
        } else {
            Err(Error::bad_input("the database URL must begin with sqlite:// or postgres://"))
        }
    }

    async fn open(
        url: &str,
        max_connections: u32,
        create: bool,
        statements: &Arc<Statements>,
    ) -> Result<DatabaseConnection> {
        let mut options = ConnectOptions::new(url);
        options
            .max_connections(max_connections)
            .acquire_timeout(Duration::from_secs(10))
            .test_before_acquire(false)
            .sqlx_logging(false)
            .map_sqlx_sqlite_opts(move |sqlite: SqliteConnectOptions| {
                sqlite
                    .create_if_missing(create)
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(Duration::from_secs(10))
                    .foreign_keys(true)
                    .pragma("mmap_size", "268435456")
                    .pragma("cache_size", "-8000")
            })
            .map_sqlx_postgres_opts(|postgres: PgConnectOptions| {
                // Statements differ in what they are asked for and not in how they are best answered: a plan made once
                // is as good, and making one costs more than most of them.
                postgres.application_name("waymark").options([("plan_cache_mode", "force_generic_plan")])
            });
        let mut connection = Database::connect(options).await.map_err(|error| {
            Error::caused(Code::Unavailable, format!("cannot open the database: {}", public_reason(&error)), error)
        })?;
        let statements = Arc::clone(statements);
        connection
            .set_metric_callback(move |info| statements.ran(Some(&info.statement.sql), info.elapsed, info.failed));
        Ok(connection)
    }

    /// Which engine this is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Connections for statements that change nothing.
    #[must_use]
    pub const fn reads(&self) -> &DatabaseConnection {
        &self.reads
    }

    /// The connection for migrations and for writes of a single statement.
    #[must_use]
    pub const fn writes(&self) -> &DatabaseConnection {
        &self.writes
    }

    /// How many SQL statements were run since the database was opened, transactions' own commands not counted.
    #[must_use]
    pub fn statements(&self) -> u64 {
        self.statements.count()
    }

    /// Lets `observer` know of every statement from now on. A second call changes nothing.
    pub(crate) fn observe(&self, observer: &Observer) {
        self.statements.observe(observer);
    }

    /// How the connections of each pool are used.
    pub(crate) fn connections(&self) -> Vec<Connections> {
        let pool = |name, connection: &DatabaseConnection| {
            let (open, idle, most) = match self.kind {
                Kind::Sqlite => {
                    let pool = connection.get_sqlite_connection_pool();
                    (pool.size(), pool.num_idle(), pool.options().get_max_connections())
                }
                Kind::Postgres => {
                    let pool = connection.get_postgres_connection_pool();
                    (pool.size(), pool.num_idle(), pool.options().get_max_connections())
                }
            };
            let idle = idle as u64;
            Connections {
                pool: name,
                used: u64::from(open).saturating_sub(idle),
                idle,
                most: most.into(),
                waiting: None,
            }
        };
        let mut all = match self.kind {
            Kind::Sqlite => vec![pool("readers", &self.reads), pool("writer", &self.writes)],
            Kind::Postgres => vec![pool("main", &self.reads)],
        };
        all.extend(self.kept.connections());
        all
    }

    /// Begins a transaction that writes. On SQLite it takes the write lock at once, so that it never has to be
    /// given up half-way because another writer came first.
    ///
    /// # Errors
    /// When the database cannot be reached, or its writer stays busy for ten seconds.
    pub async fn begin(&self) -> Result<DatabaseTransaction> {
        let options = TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..TransactionOptions::default()
        };
        Ok(self.writes.begin_with_options(options).await?)
    }

    /// Begins a transaction that changes nothing and reads one state of the database, whatever others write meanwhile.
    pub(crate) async fn snapshot(&self) -> Result<Transaction> {
        let (isolation, access) = match self.kind {
            Kind::Postgres => (Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)),
            Kind::Sqlite => (None, None),
        };
        Ok(self.reads.begin_with_config(isolation, access).await?)
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// When a migration fails; what it had done by then is undone where the engine can.
    pub async fn migrate(&self) -> Result<()> {
        Ok(Migrator::up(&self.writes, None).await?)
    }

    /// Undoes the newest migration.
    ///
    /// # Errors
    /// When the migration cannot be undone.
    pub async fn migrate_down(&self) -> Result<()> {
        Ok(Migrator::down(&self.writes, Some(1)).await?)
    }

    /// The names of all migrations in order, each with whether it has been applied.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn migrations(&self) -> Result<Vec<(String, bool)>> {
        let migrations = Migrator::get_migration_with_status_read_only(&self.reads).await?;
        let applied = |migration: &Migration| migration.status() == MigrationStatus::Applied;
        Ok(migrations.iter().map(|migration| (migration.name().to_owned(), applied(migration))).collect())
    }

    /// Closes every connection. SQLite then folds its write-ahead log into the file.
    ///
    /// # Errors
    /// When the database reports a failure while closing.
    pub async fn close(self) -> Result<()> {
        self.reads.close().await?;
        Ok(self.writes.close().await?)
    }
}

/// What the loaders hang on: reads outside transactions.
#[derive(Debug, Clone)]
pub struct Reader {
    db: Db,
}

impl Reader {
    /// Reads from `db`.
    #[must_use]
    pub const fn new(db: Db) -> Self {
        Self { db }
    }

    pub(crate) const fn connection(&self) -> &Kept {
        &self.db.kept
    }
}

impl From<DbErr> for Error {
    fn from(error: DbErr) -> Self {
        if lost_against_another(&error) {
            Self::caused(Code::Unavailable, "the database is too busy at the moment; try again", error).passing()
        } else if taken_meanwhile(&error) {
            Self::internal(error).passing()
        } else if lost_connection(&error) {
            Self::caused(Code::Unavailable, "the database cannot be reached at the moment", error)
        } else {
            Self::internal(error)
        }
    }
}

/// Whether a statement failed because another transaction was in its way: a serialization failure, a deadlock, or a
/// locked SQLite database.
fn lost_against_another(error: &DbErr) -> bool {
    match error {
        DbErr::Query(RuntimeErr::SqlxError(error)) | DbErr::Exec(RuntimeErr::SqlxError(error)) => match &**error {
            sqlx::Error::Database(error) => {
                error.code().is_some_and(|code| ["40001", "40P01", "5", "517", "262", "261"].contains(&&*code))
            }
            _ => false,
        },
        _ => false,
    }
}

/// Whether a statement failed because of a key that is there already. A write looks before it inserts, so another one
/// came in between, and the next try will find what that one left.
fn taken_meanwhile(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

/// Whether a statement failed because of the way to the database, and not because of what it says.
fn lost_connection(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Query(RuntimeErr::SqlxError(error)) | DbErr::Exec(RuntimeErr::SqlxError(error)) => match &**error {
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            // Class 57: the server is shutting down, or was told to end the session.
            sqlx::Error::Database(error) => error.code().is_some_and(|code| code.starts_with("57P")),
            _ => false,
        },
        _ => false,
    }
}

/// The part of a failure to connect that helps an operator and holds no secret.
fn public_reason(error: &DbErr) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}
