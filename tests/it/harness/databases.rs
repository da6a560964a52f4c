//! The database engines at hand, and making databases on them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};
use waymark::db::Db;
use waymark::demo;

use super::postgres::{self, Cluster, Pooler};
use super::stage::now;

/// How many users the smaller demo data has.
const FEW: u32 = 25;

/// An engine and the databases made on it.
pub(crate) struct Engine {
    source: Source,
    server: Mutex<Option<Server>>,
    /// Names of the databases made on somebody else's server, to be dropped in the end.
    made: Mutex<Vec<String>>,
    next: AtomicU32,
    migrated: OnceLock<String>,
    demo: OnceLock<String>,
    few: OnceLock<String>,
    shared: OnceLock<String>,
    /// How a template is copied, where that is not up to the server.
    copying: OnceLock<&'static str>,
}

enum Source {
    Sqlite,
    /// The server behind this URL.
    Given(String),
    /// A cluster of our own, by the programs in this directory.
    Own(PathBuf),
}

/// Where databases are made.
enum Server {
    Directory(PathBuf),
    Given(String),
    /// With the pooler between it and the servers, if there is to be one.
    Own(Cluster, Option<Pooler>),
}

/// The engines at hand, and what is to be said about those that are not.
pub(super) fn discover() -> (Vec<Arc<Engine>>, &'static str) {
    let given = std::env::var("TEST_DATABASE_URL").ok().filter(|url| !url.is_empty());
    let postgres = given.map(Source::Given).or_else(|| postgres::installed().map(Source::Own));
    let missing = if postgres.is_some() { "" } else { " (no PostgreSQL: install its server or set TEST_DATABASE_URL)" };
    (std::iter::once(Source::Sqlite).chain(postgres).map(Engine::new).map(Arc::new).collect(), missing)
}

impl Engine {
    const fn new(source: Source) -> Self {
        Self {
            source,
            server: Mutex::new(None),
            made: Mutex::new(Vec::new()),
            next: AtomicU32::new(0),
            migrated: OnceLock::new(),
            demo: OnceLock::new(),
            few: OnceLock::new(),
            shared: OnceLock::new(),
            copying: OnceLock::new(),
        }
    }

    pub(super) const fn name(&self) -> &'static str {
        match self.source {
            Source::Sqlite => "sqlite",
            Source::Given(_) | Source::Own(_) => "postgres",
        }
    }

    /// Makes the engine ready and says which one it is.
    pub(super) fn start(&self) -> Result<String, String> {
        let server = match &self.source {
            Source::Sqlite => {
                let directory = std::env::temp_dir().join(format!("waymark-sqlite-{}", std::process::id()));
                std::fs::create_dir_all(&directory).map_err(|error| format!("{}: {error}", directory.display()))?;
                Server::Directory(directory)
            }
            Source::Given(url) => Server::Given(url.clone()),
            Source::Own(bin) => {
                let cluster = Cluster::start(bin)?;
                let pooler = Pooler::between(&cluster)?;
                Server::Own(cluster, pooler)
            }
        };
        let (url, version, what) = match &server {
            Server::Directory(_) => ("sqlite::memory:".to_owned(), "SELECT sqlite_version()", "SQLite"),
            Server::Given(url) => (url.clone(), "SHOW server_version", "PostgreSQL"),
            Server::Own(cluster, _) => (cluster.url.clone(), "SHOW server_version", "PostgreSQL"),
        };
        let version = ask(&url, version).map_err(|error| format!("{what} cannot be reached: {error}"))?;
        // Distributions add their own name behind a space.
        let version = version.split(' ').next().unwrap_or_default();
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if matches!(server, Server::Own(..)) && major >= Some(15) {
            // Five times as fast as through the log, where a checkpoint costs nothing.
            let _ = self.copying.set(" STRATEGY FILE_COPY");
        }
        let label = match &server {
            Server::Directory(_) => format!("{what} {version}"),
            Server::Given(_) => format!("{what} {version} (TEST_DATABASE_URL)"),
            Server::Own(_, None) => format!("{what} {version} (own cluster)"),
            Server::Own(_, Some(_)) => format!("{what} {version} (own cluster, through PgBouncer)"),
        };
        *self.server.lock().expect("nobody panicked") = Some(server);
        Ok(label)
    }

    /// Stops and removes whatever was started and made.
    pub(super) fn stop(&self) {
        match self.server.lock().expect("nobody panicked").take() {
            Some(Server::Directory(directory)) => {
                let _ = std::fs::remove_dir_all(directory);
            }
            Some(Server::Given(url)) => {
                for name in self.made.lock().expect("nobody panicked").drain(..) {
                    let _ = execute(&url, &format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"));
                }
            }
            Some(Server::Own(cluster, pooler)) => {
                drop(pooler);
                drop(cluster);
            }
            None => {}
        }
    }

    /// The URL of a new database without a schema.
    pub(super) fn blank(&self) -> String {
        self.make(None)
    }

    /// The URL of a new database with a schema and nothing else.
    pub(super) fn empty(&self) -> String {
        let template = self.migrated.get_or_init(|| {
            let url = self.blank();
            prepare(&url, async |db| db.migrate().await.expect("the migrations run"));
            url
        });
        self.make(Some(template))
    }

    /// The URL of the one database with demo data that all tests read.
    pub(super) fn demo(&self) -> String {
        self.shared.get_or_init(|| self.make(Some(self.filled()))).clone()
    }

    /// The URL of a new database with demo data.
    pub(super) fn own(&self) -> String {
        self.make(Some(self.filled()))
    }

    /// The URL of a new database with demo data of few users.
    pub(super) fn few(&self) -> String {
        let few = self.few.get_or_init(|| self.fill(demo::Options { users: Some(FEW), ..demo::Options::default() }));
        self.make(Some(few))
    }

    /// The URL of a database with demo data to which nobody is connected.
    fn filled(&self) -> &str {
        self.demo.get_or_init(|| self.fill(demo::Options::default()))
    }

    fn fill(&self, options: demo::Options) -> String {
        let url = self.empty();
        prepare(&url, async |db| {
            demo::fill(db, options, now(), &|_, _| {}).await.expect("demo data is made");
        });
        url
    }

    /// Lends a database to a test that is the only one to use it.
    pub(super) const fn lend(&self, url: String) -> Lent<'_> {
        Lent { engine: self, url }
    }

    /// Removes a database that was made. What cannot be removed now goes with the engine.
    fn remove(&self, url: &str) {
        if let Some(file) = url.strip_prefix("sqlite://") {
            for suffix in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(format!("{file}{suffix}"));
            }
            return;
        }
        let server = match self.server.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some(Server::Given(url)) => url.clone(),
            Some(Server::Own(cluster, _)) => cluster.url.clone(),
            Some(Server::Directory(_)) | None => return,
        };
        let name = database_in(url);
        if execute(&server, &format!("DROP DATABASE {name} WITH (FORCE)")).is_ok() {
            self.made.lock().unwrap_or_else(PoisonError::into_inner).retain(|made| made != name);
        }
    }

    /// Makes a database, as a copy of `template` if there is one; nobody may be connected to that.
    fn make(&self, template: Option<&str>) -> String {
        let name = format!("waymark_test_{}_{}", std::process::id(), self.next.fetch_add(1, Ordering::Relaxed));
        let server = match self.server.lock().expect("nobody panicked").as_ref().expect("the engine was started") {
            Server::Directory(directory) => {
                let file = directory.join(format!("{name}.db"));
                let url = format!("sqlite://{}", file.display());
                if let Some(template) = template.and_then(|url| url.strip_prefix("sqlite://")) {
                    std::fs::copy(template, file).expect("the template is copied");
                }
                return url;
            }
            Server::Given(url) => url.clone(),
            Server::Own(cluster, _) => cluster.url.clone(),
        };
        let how = self.copying.get().copied().unwrap_or_default();
        let template = template.map(|url| format!(" TEMPLATE {}{how}", database_in(url))).unwrap_or_default();
        execute(&server, &format!("CREATE DATABASE {name}{template}")).expect("a database is made");
        self.made.lock().expect("nobody panicked").push(name.clone());
        with_database(&server, &name)
    }
}

/// A database that is removed when its test is over: a thousand of them would fill a disk.
pub(super) struct Lent<'a> {
    engine: &'a Engine,
    pub(super) url: String,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        self.engine.remove(&self.url);
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(work)
}

/// Opens a database, works on it, and closes it again, so that it can be copied.
fn prepare(url: &str, work: impl AsyncFnOnce(&Db)) {
    block_on(async {
        let db = Db::connect(url, 1).await.expect("the database is opened");
        work(&db).await;
        db.close().await.expect("the database is closed");
    });
}

fn execute(url: &str, sql: &str) -> Result<(), sea_orm::DbErr> {
    block_on(async {
        let connection = Database::connect(url).await?;
        connection.execute_unprepared(sql).await?;
        connection.close().await
    })
}

/// The text that a query answers.
fn ask(url: &str, sql: &str) -> Result<String, sea_orm::DbErr> {
    block_on(async {
        let connection = Database::connect(url).await?;
        let backend: DbBackend = connection.get_database_backend();
        let row = connection.query_one_raw(Statement::from_string(backend, sql)).await?;
        let text = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
        connection.close().await?;
        Ok(text)
    })
}

/// The same server's URL with another database.
fn with_database(url: &str, name: &str) -> String {
    let (place, options) =
        url.split_once('?').map_or((url, String::new()), |(place, rest)| (place, format!("?{rest}")));
    let (scheme, rest) = place.split_once("://").unwrap_or(("postgres", place));
    let authority = rest.split('/').next().unwrap_or_default();
    format!("{scheme}://{authority}/{name}{options}")
}

fn database_in(url: &str) -> &str {
    let place = url.split('?').next().unwrap_or_default();
    place.rsplit('/').next().unwrap_or_default()
}
