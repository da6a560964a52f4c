//! The database: connecting to SQLite or PostgreSQL, and running hand-written SQL that is the same for both.
//!
//! SQLite gets a pool of readers and one writer (WAL, `synchronous = FULL`, foreign keys); PostgreSQL pools for reads
//! and for writes, so that neither keeps the other waiting. The loaders have connections of their own, see `pool`. No
//! connection is pinged when it is taken from a pool: a broken one shows itself by its first statement. What becomes of
//! connections, and how long anything may take, is in `line`.

pub mod bulk;
pub mod catalogue;
pub mod distribute;
pub mod edits;
pub mod entity;
pub mod file;
mod hosts;
mod lane;
mod line;
pub mod notices;
pub mod owner;
pub mod page;
mod pool;
pub mod records;
pub mod replicas;
pub mod rights;
mod row;
pub mod rows;
mod select;
mod sql;
mod statements;
mod storage;
pub mod time;
mod transaction;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use migration::{Migrator, MigratorTrait as _};
use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, SqlxPostgresConnector, Statement,
};
use tokio::sync::Mutex;

pub use lane::Lane;
use lane::Purpose;
pub use line::Deadlines;
use line::{Approach, Generation, Line, Patience, Use};
use pool::{ConnectionPool, Stock};
use replicas::Replicas;
pub use row::{Column, Columns, FromRow, Only, Row};
pub use sea_orm::DbErr;
pub use select::{ColumnIsAny, IsAny, counts, pair_is_any, pairs, query, select, select_from, values};
pub use sql::{Param, Sql, execute, fetch, fetch_values};
pub use statements::Asker;
use statements::Statements;
pub use storage::Storage;
use transaction::Beginning;
pub use transaction::Transaction;
pub use waymark_kernel::failure::is_held;
use waymark_kernel::failure::{Failure, said};

use waymark_kernel::config::{Config, Pooler, Secret};
use waymark_kernel::error::{Code, Error, Result};
use waymark_kernel::metrics::Sql as Observer;

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
pub enum Extent {
    /// Only what most queries ask for: how much is done, for example, without dates and notes.
    Main,
    /// Every column.
    All,
}

impl Extent {
    /// Returns [`Extent::All`] if everything is wanted.
    #[must_use]
    pub const fn all_if(wanted: bool) -> Self {
        if wanted { Self::All } else { Self::Main }
    }
}

/// Held while this process opens a file.
static FILES: Mutex<()> = Mutex::const_new(());

/// An open database.
#[derive(Debug, Clone)]
pub struct Db {
    kind: Kind,
    line: Arc<Line>,
    reads: Lane,
    writes: Lane,
    /// Where loaders read.
    loaders: ConnectionPool,
    replicas: Option<Arc<Replicas>>,
    statements: Arc<Statements>,
    storage: Arc<Storage>,
    /// Whether it is a file that this process may not write.
    is_read_only: bool,
    /// Whether this process is to write nothing.
    refuses: bool,
}

/// How a database is opened.
#[derive(Debug, Clone)]
pub struct Opening {
    /// How many connections there may be, at least 1: of readers on SQLite, in all on PostgreSQL.
    pub max_connections: u32,
    /// Whether an SQLite file is made when it is missing.
    pub create: bool,
    /// Whether an SQLite file that this process may only read is opened all the same.
    pub read_only: bool,
    /// Whether nothing is to be written, whatever is asked for.
    pub refuses: bool,
    /// How long PostgreSQL may take.
    pub deadlines: Deadlines,
    /// Whether a pooler is before PostgreSQL that gives a session away with every transaction.
    pub pooler: bool,
    /// The way to PostgreSQL for the session that listens, and others that last, where it is another one.
    pub listen_url: Option<Secret>,
    /// Where replicas of PostgreSQL are, which loaders read from.
    pub read_url: Option<Secret>,
}

impl Opening {
    /// As the settings say.
    pub fn of(config: &Config, create: bool) -> Self {
        Self {
            deadlines: Deadlines {
                statement: Duration::from_secs(config.database_statement_seconds.into()),
                silence: Duration::from_secs(config.database_silence_seconds.into()),
            },
            pooler: config.database_pooler == Pooler::Transaction,
            listen_url: config.database_listen_url.clone().map(Secret::new),
            read_url: config.database_read_url.clone().map(Secret::new),
            ..Self::plain(config.database_max_connections, create)
        }
    }

    const fn plain(max_connections: u32, create: bool) -> Self {
        Self {
            max_connections,
            create,
            read_only: false,
            refuses: false,
            deadlines: Deadlines::PATIENT,
            pooler: false,
            listen_url: None,
            read_url: None,
        }
    }

    /// The same for what reads only, and works on a file that nobody may write too.
    #[must_use]
    pub fn to_read(self) -> Self {
        Self { read_only: true, ..self }
    }

    /// The same for a server that refuses writes.
    #[must_use]
    pub fn to_serve_reads(self) -> Self {
        Self { read_only: true, refuses: true, ..self }
    }
}

/// How an SQLite file is opened.
#[derive(Debug, Clone, Copy)]
enum Way {
    Write {
        create: bool,
    },
    /// To be read only; nobody writes it meanwhile where it is immutable.
    Read {
        immutable: bool,
    },
}

/// The connections of one pool at some instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// What the pool is for.
    pub pool: &'static str,
    /// How many are at work.
    pub used: u64,
    /// How many are open and idle.
    pub idle: u64,
    /// How many there may be.
    pub most: u64,
    /// How many statements wait for one, where the pool knows.
    pub waiting: Option<u64>,
}

impl Db {
    /// Opens the database at `url`: `sqlite://path` (made when missing) or `postgres://…`.
    ///
    /// `max_connections` bounds the connections of readers, and on PostgreSQL all but that of the heartbeat and that
    /// over which servers hear of each other. Half of them or more are for the loaders. Must be called inside a Tokio
    /// runtime that goes on as long as the database is used.
    ///
    /// # Errors
    /// [`Code::BadUserInput`] for a URL of another kind, [`Code::Unavailable`] when the database cannot be reached.
    pub async fn connect(url: &str, max_connections: u32) -> Result<Self> {
        Self::open(url, Opening::plain(max_connections, true)).await
    }

    /// Opens the database at `url` like [`Db::connect`], and makes none: a mistyped path is no empty database.
    ///
    /// # Errors
    /// Those of [`Db::connect`], and [`Code::BadUserInput`] when there is no such file.
    pub async fn connect_existing(url: &str, max_connections: u32) -> Result<Self> {
        Self::open(url, Opening::plain(max_connections, false)).await
    }

    /// Opens the database at `url` as `opening` says.
    ///
    /// # Errors
    /// Those of [`Db::connect_existing`].
    pub async fn open(url: &str, opening: Opening) -> Result<Self> {
        let refuses = opening.refuses;
        if url.starts_with("sqlite:") {
            let statements = Arc::new(Statements::new("sqlite"));
            let (line, is_read_only) = Self::open_file(url, opening, &statements).await?;
            Ok(Self { is_read_only, refuses, ..Self::over(Kind::Sqlite, line, statements) })
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            let statements = Arc::new(Statements::new("postgresql"));
            let approach = Approach {
                url,
                listen_url: opening.listen_url.as_ref().map(Secret::expose),
                pooler: opening.pooler,
                purpose: if refuses { Use::Reads } else { Use::All },
                max_connections: opening.max_connections.max(1),
                deadlines: opening.deadlines,
            };
            let line = Line::to_postgres(approach, Arc::clone(&statements)).await?;
            let db = Self { refuses, ..Self::over(Kind::Postgres, line, statements) };
            let Opening { read_url, pooler, max_connections, deadlines, .. } = opening;
            let replicas = read_url.map(|url| {
                let way = replicas::Way { url, pooler, max_connections: max_connections.max(1), deadlines };
                Replicas::start(way, db.reads.clone(), &db.statements)
            });
            Ok(Self { replicas, ..db })
        } else {
            Err(Error::bad_input("the database URL must begin with sqlite:// or postgres://"))
        }
    }

    fn over(kind: Kind, line: Arc<Line>, statements: Arc<Statements>) -> Self {
        let backend = match kind {
            Kind::Sqlite => DbBackend::Sqlite,
            Kind::Postgres => DbBackend::Postgres,
        };
        let lane = |purpose| Lane::new(Arc::clone(&line), purpose, backend);
        let (reads, writes) = (lane(Purpose::Reads), lane(Purpose::Writes));
        let loaders = ConnectionPool::new(Arc::clone(&line), reads.clone());
        Self {
            kind,
            line,
            reads,
            writes,
            loaders,
            statements,
            storage: Arc::default(),
            replicas: None,
            is_read_only: false,
            refuses: false,
        }
    }

    async fn open_file(url: &str, opening: Opening, statements: &Arc<Statements>) -> Result<(Arc<Line>, bool)> {
        let path = file::path(url)?;
        if !opening.create && !path.is_file() {
            return Err(Error::bad_input(format!(
                "there is no database {}; correct WAYMARK_DATABASE_URL, or make it with `waymark migrate`",
                path.display()
            )));
        }
        // Whoever opens a file changes what stands beside it; and closing a file ends this process's locks on it.
        let _alone = FILES.lock().await;
        let found = file::identity(&path);
        file::check(url, &path).await?;
        let is_quiet = file::is_quiet(&path);
        let way = match file::is_writable(&path) {
            true => Way::Write { create: opening.create },
            false if opening.read_only => Way::Read { immutable: is_quiet },
            false => {
                return Err(Error::bad_input(format!(
                    "{} or its folder may not be written by this program; grant it that right. `waymark export` and \
                     `waymark verify` read the file as it is",
                    path.display()
                )));
            }
        };
        let most = opening.max_connections.max(1);
        let for_loaders = most * 3 / 5;
        if is_quiet
            && matches!(way, Way::Write { .. })
            && let Err(error) = file::begin(&path)
        {
            // A server starts on a full disk too, and serves reads.
            tracing::debug!(%error, "the number of the database was not raised");
        }
        let writes = Self::open_sqlite(url, 1, way, statements).await?;
        if found.is_some() && file::identity(&path) != found {
            writes.close().await?;
            let message =
                format!("another file was put in the place of {} while it was opened; start again", path.display());
            return Err(Error::new(Code::Unavailable, message));
        }
        let reads = Self::open_sqlite(url, most - for_loaders, way, statements).await?;
        let loaders =
            (for_loaders > 0).then(|| Stock::of_sqlite(reads.get_sqlite_connection_pool().clone(), for_loaders));
        let line = Line::of_sqlite(Generation::new(1, None, reads, writes, loaders), Arc::clone(statements));
        Ok((line, matches!(way, Way::Read { .. })))
    }

    async fn open_sqlite(
        url: &str,
        max_connections: u32,
        way: Way,
        statements: &Arc<Statements>,
    ) -> Result<DatabaseConnection> {
        let mut options = ConnectOptions::new(url);
        options
            .max_connections(max_connections)
            .acquire_timeout(Duration::from_secs(10))
            .test_before_acquire(false)
            .sqlx_logging(false)
            .map_sqlx_sqlite_opts(move |sqlite: SqliteConnectOptions| {
                let sqlite = match way {
                    Way::Write { create } => sqlite.create_if_missing(create).journal_mode(SqliteJournalMode::Wal),
                    Way::Read { immutable } => sqlite.read_only(true).immutable(immutable),
                };
                sqlite
                    .synchronous(SqliteSynchronous::Full)
                    .busy_timeout(Duration::from_secs(10))
                    .foreign_keys(true)
                    .pragma("mmap_size", "268435456")
                    .pragma("cache_size", "-8000")
            });
        let connection = Database::connect(options).await.map_err(|error| {
            let place = file::path(url).map(|path| path.display().to_string()).unwrap_or_default();
            let hint = match Failure::of(&error) {
                Failure::Damage if Path::new(&format!("{place}-wal")).exists() => {
                    "; if a copy was put in its place, put that back by `waymark restore COPY`"
                }
                _ => "",
            };
            Error::new(Code::Unavailable, format!("cannot open the database {place}: {}{hint}", public_reason(&error)))
        })?;
        Ok(line::counted(connection, statements))
    }

    /// Which engine this is.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Connections for statements that change nothing.
    #[must_use]
    pub const fn reads(&self) -> &Lane {
        &self.reads
    }

    /// Connections for writes of a single statement.
    #[must_use]
    pub const fn writes(&self) -> &Lane {
        &self.writes
    }

    /// How many connections writes may use at a time.
    pub fn most_writing(&self) -> usize {
        let writes = &self.line.last().writes;
        let most = match self.kind {
            Kind::Sqlite => writes.get_sqlite_connection_pool().options().get_max_connections(),
            Kind::Postgres => writes.get_postgres_connection_pool().options().get_max_connections(),
        };
        most as usize
    }

    /// Returns how many SQL statements were run for `asker` since the database was opened, transactions' own commands
    /// not counted.
    #[must_use]
    pub fn statements(&self, asker: Asker) -> u64 {
        self.statements.count(asker)
    }

    /// Lets `observer` know of every statement from now on. A second call changes nothing.
    pub fn observe(&self, observer: &Observer) {
        self.statements.observe(observer);
    }

    /// Tells `listener` the text of every statement from now on. A second call changes nothing.
    pub fn on_statement(&self, listener: fn(&str)) {
        self.statements.listen(listener);
    }

    /// How the connections of each pool are used.
    pub fn connections(&self) -> Vec<Connections> {
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
        let generation = self.line.last();
        let all = match self.kind {
            Kind::Sqlite => vec![pool("readers", &generation.reads), pool("writer", &generation.writes)],
            Kind::Postgres => vec![pool("reads", &generation.reads), pool("writes", &generation.writes)],
        };
        all.into_iter().chain(generation.loaders.as_ref().map(Stock::connections)).collect()
    }

    /// Whether the database can be reached as far as is known, and how often it could not be so far.
    pub fn reach(&self) -> (bool, u64) {
        self.line.reach()
    }

    /// Why the database cannot be reached, with its host and port, while that is so.
    pub fn away(&self) -> Option<Arc<str>> {
        self.line.away()
    }

    /// Why nothing is written here, if that is how it is meant to be.
    pub fn only_reads(&self) -> Option<&'static str> {
        if self.refuses {
            Some("this server only reads")
        } else if self.line.is_standby() {
            Some("the database is a standby, which only reads")
        } else {
            None
        }
    }

    /// Whether loaders may read from replicas.
    pub const fn has_replicas(&self) -> bool {
        self.replicas.is_some()
    }

    /// Whether a replica answers reads, and how many bytes of the primary's log it had yet to replay when it was last
    /// asked, if one was; `None` without replicas.
    pub fn replica(&self) -> Option<(bool, Option<u64>)> {
        Some(self.replicas.as_ref()?.figures())
    }

    /// A write of `principal` has ended, here or elsewhere, about these users; about everybody when they are not known.
    /// Until replicas have it, it is read from the primary.
    pub fn wrote(&self, principal: Option<&str>, users: Option<&[i64]>) {
        if let Some(replicas) = &self.replicas {
            replicas.mark(principal, users);
        }
    }

    /// Whether replicas have what this principal must see.
    pub fn replicas_serve(&self, principal: &str) -> bool {
        self.replicas.as_ref().is_some_and(|replicas| replicas.may_serve(principal))
    }

    /// Refuses what would write where nothing is to be written.
    ///
    /// # Errors
    /// [`Code::ReadOnly`] then.
    pub fn check_writes(&self) -> Result<()> {
        self.only_reads().map_or(Ok(()), |why| Err(Error::new(Code::ReadOnly, why).noted()))
    }

    async fn begin_write(&self, wait: Option<Duration>) -> Result<Transaction> {
        self.check_writes()?;
        Transaction::begin(&self.writes, Beginning::Write(wait), &self.statements, &self.storage).await
    }

    /// Begins a transaction that writes. On SQLite it takes the write lock at once, so that it never has to be
    /// given up half-way because another writer came first.
    ///
    /// # Errors
    /// When the database cannot be reached or takes no writes, or its writer stays busy for ten seconds.
    pub async fn begin(&self) -> Result<Transaction> {
        self.begin_write(None).await
    }

    /// Begins a transaction that writes, and waits at most `wait` for locks of others. On SQLite, which has one writer
    /// at a time, the same as [`Db::begin`].
    pub async fn begin_waiting(&self, wait: Duration) -> Result<Transaction> {
        self.begin_write(Some(wait)).await
    }

    /// Begins a transaction of what operators run, which may take long; it waits for so long at most for what others
    /// have locked, if that is said.
    pub async fn begin_long(&self, wait: Option<Duration>) -> Result<Transaction> {
        Ok(self.begin_write(wait).await?.take_long().await?)
    }

    /// Begins a transaction that changes nothing and reads one state of the database, unaffected by writes of others.
    pub async fn snapshot(&self) -> Result<Transaction> {
        Transaction::begin(&self.reads, Beginning::Snapshot, &self.statements, &self.storage).await
    }

    /// The same for what operators run, which may take long.
    pub async fn long_snapshot(&self) -> Result<Transaction> {
        Ok(self.snapshot().await?.take_long().await?)
    }

    /// Runs a statement that may take long, and may be one that no transaction allows.
    pub async fn run_long(&self, sql: &str) -> Result<()> {
        self.at_length(Session::Any, async |connection| connection.execute_unprepared(sql).await.map(drop)).await
    }

    /// Whether the database can store anything, as far as is known.
    pub fn storage(&self) -> Arc<Storage> {
        Arc::clone(&self.storage)
    }

    /// Brings the schema up to date.
    ///
    /// # Errors
    /// When a migration fails; what it had done by then is undone where the engine can.
    pub async fn migrate(&self) -> Result<()> {
        self.check_writes()?;
        self.at_length(Session::Own, async |connection| Migrator::up(connection, None).await).await
    }

    /// Undoes the newest migration.
    ///
    /// # Errors
    /// When the migration cannot be undone.
    pub async fn migrate_down(&self) -> Result<()> {
        self.check_writes()?;
        self.at_length(Session::Own, async |connection| Migrator::down(connection, Some(1)).await).await
    }

    /// Does `work` on a connection that is patient.
    async fn at_length(
        &self,
        session: Session,
        work: impl AsyncFnOnce(&DatabaseConnection) -> Result<(), DbErr>,
    ) -> Result<()> {
        let generation = self.line.current()?;
        let Some(options) = self.line.options(&generation) else { return Ok(work(&generation.writes).await?) };
        let options = match self.line.direct(&generation).await? {
            // What is asked for later counts.
            Some((direct, _)) => direct.options(Patience::Long.settings()),
            None if session == Session::Any => options,
            None => {
                return Err(Error::bad_input(
                    "this needs a session of its own, which a pooler does not give: set WAYMARK_DATABASE_LISTEN_URL to the \
                     way past it",
                ));
            }
        };
        let pool = line::pool_options(1, Deadlines::USUAL).connect_lazy_with(options);
        let connection = line::counted(SqlxPostgresConnector::from_sqlx_postgres_pool(pool), &self.statements);
        let done = self.line.within(&generation, Patience::Long.answer(), work(&connection)).await;
        drop(connection.get_postgres_connection_pool().close());
        Ok(done?)
    }

    /// The names of all migrations in order, each with whether it has been applied.
    ///
    /// # Errors
    /// When the database cannot be read, and when a migration was applied that this program does not know.
    pub async fn migrations(&self) -> Result<Vec<(String, bool)>> {
        let applied = "SELECT version FROM seaql_migrations";
        let rows =
            match self.reads.query_all_raw(Statement::from_string(self.reads.get_database_backend(), applied)).await {
                Err(error) if has_no_table(&error) => {
                    self.check_schema_is_seen().await?;
                    Vec::new()
                }
                rows => rows?,
            };
        let applied = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<Vec<String>, _>>()?;
        let known: Vec<String> = Migrator::migrations().iter().map(|migration| migration.name().to_owned()).collect();
        if let Some(unknown) = applied.iter().find(|name| !known.contains(name)) {
            return Err(Error::new(
                Code::Unavailable,
                format!(
                    "the database has the migration {unknown}, which this program does not know; it is too old for it"
                ),
            ));
        }
        Ok(known.into_iter().map(|name| (name.clone(), applied.contains(&name))).collect())
    }

    /// Closes every connection. SQLite then folds its write-ahead log into the file.
    ///
    /// # Errors
    /// When the database reports a failure while closing.
    pub async fn close(self) -> Result<()> {
        if let Some(replicas) = &self.replicas {
            replicas.close().await?;
        }
        Ok(self.line.close().await?)
    }
}

/// The session for what takes long.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Session {
    /// A pooler's will do.
    Any,
    /// One that stays the same from one transaction to the next.
    Own,
}

/// What the loaders hang on: reads outside transactions.
#[derive(Debug, Clone)]
pub struct Reader {
    loaders: ConnectionPool,
}

impl Reader {
    /// Reads from `db`.
    #[must_use]
    pub fn new(db: &Db) -> Self {
        Self { loaders: db.loaders.clone() }
    }

    /// Reads from replicas of `db`, where there are some, what need not be fresh.
    #[must_use]
    pub fn of_replicas(db: &Db) -> Option<Self> {
        db.replicas.as_ref().map(|replicas| Self { loaders: db.loaders.beside(replicas) })
    }

    /// Returns how loaders reach the database outside transactions.
    pub const fn connection(&self) -> &ConnectionPool {
        &self.loaders
    }
}

/// Whether a statement failed because a table is missing.
fn has_no_table(error: &DbErr) -> bool {
    said(error).is_some_and(|error| {
        error.code().is_some_and(|code| code == "42P01")
            || (error.code().is_some_and(|code| code == "1") && error.message().starts_with("no such table"))
    })
}

/// The part of a failure to connect that helps an operator and holds no secret.
fn public_reason(error: &DbErr) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(source) = reason.source() {
        reason = source;
    }
    reason.to_string()
}
