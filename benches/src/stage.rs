//! Setting the stage: a filled database and the servers on it; and measuring one query on it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use tokio_postgres::{Client, NoTls};
use waymark::clock::Clock;
use waymark::db::Db;
use waymark::demo::{self, Options, Scale};

use crate::Result;
use crate::against;
use crate::arguments::{Arguments, Mode};
use crate::cluster::Cluster;
use crate::load::{self, Dialect, Round};
use crate::queries::{CLAIMABLE, People, Query};
use crate::report::{Measured, Row};
use crate::server::{self, Server};
use crate::spelling::Spelling;

/// The data is made for the day of its making, and goals of the running week go out of date.
const FRESH: i64 = 2 * 24 * 60 * 60 * 1000;

/// What the servers know of tokens.
pub(crate) const SECRET: &str = "a secret that nobody has to guess";

/// The servers with everything behind them. Fields are dropped in this order.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) waymark: Server,
    /// Only on PostgreSQL.
    pub(crate) floor: Option<Server>,
    /// Another program, on data of its own.
    pub(crate) other: Option<(Server, Rc<People>)>,
    pub(crate) people: Rc<People>,
    /// The address of Waymark's database.
    pub(crate) url: String,
    postgres: Option<Client>,
    counts_statements: bool,
    cluster: Option<Cluster>,
    _lock: File,
}

/// Which database is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Postgres,
    Sqlite,
}

impl Stage {
    pub(crate) async fn set(arguments: &Arguments, engine: Engine) -> Result<Self> {
        let program = std::env::current_exe()?;
        let (directory, lock) = directory()?;
        let waymark = || match std::env::var_os("BENCH_SERVER") {
            Some(other) => Command::new(other),
            None => {
                let mut command = Command::new(&program);
                command.arg("waymark");
                command
            }
        };

        let sqlite = engine == Engine::Sqlite;
        let against = arguments.mode == Mode::Against;
        let subscribers = arguments.mode == Mode::Subscribers;
        let writes = arguments.mode == Mode::Writes || against || subscribers;
        let users = arguments.users.unwrap_or(match (writes, sqlite) {
            (true, _) if subscribers => arguments.subscribers.max(20_000),
            (true, _) => 20_000,
            (false, true) => 10_000,
            (false, false) => 100_000,
        });
        let mut cluster = None;
        let mut other_url = None;
        let url = if sqlite {
            let file = directory.join(format!("users_{users}.db"));
            let url = format!("sqlite://{}", file.display());
            if !fill(&url, users).await? {
                for suffix in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(format!("{}{suffix}", file.display()));
                }
                fill(&url, users).await?;
            }
            if writes {
                let copy = directory.join("writes.db");
                for suffix in ["-wal", "-shm"] {
                    let _ = std::fs::remove_file(format!("{}{suffix}", copy.display()));
                }
                std::fs::copy(file, &copy)?;
                let other = directory.join("against.db");
                for suffix in ["", "-wal", "-shm"] {
                    let _ = std::fs::remove_file(format!("{}{suffix}", other.display()));
                }
                other_url = Some(format!("sqlite://{}", other.display()));
                format!("sqlite://{}", copy.display())
            } else {
                url
            }
        } else if let Ok(url) = std::env::var("BENCH_DATABASE_URL") {
            if !fill(&url, users).await? {
                return Err("the data in BENCH_DATABASE_URL is too old; empty the database".into());
            }
            url
        } else {
            let started = Cluster::start(&directory.join("pg"))?;
            let name = format!("users_{users}");
            let url = started.url(&name);
            let server = connect(&started.url("postgres")).await?;
            if server.query("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).await?.is_empty() {
                server.batch_execute(&format!("CREATE DATABASE {name}")).await?;
            }
            if !fill(&url, users).await? {
                server.batch_execute(&format!("DROP DATABASE {name} WITH (FORCE)")).await?;
                server.batch_execute(&format!("CREATE DATABASE {name}")).await?;
                fill(&url, users).await?;
            }
            let url = if writes {
                if against {
                    server.batch_execute("DROP DATABASE IF EXISTS against WITH (FORCE)").await?;
                    server.batch_execute("CREATE DATABASE against").await?;
                    other_url = Some(started.url("against"));
                }
                server.batch_execute("DROP DATABASE IF EXISTS writes WITH (FORCE)").await?;
                server.batch_execute(&format!("CREATE DATABASE writes TEMPLATE {name}")).await?;
                started.url("writes")
            } else {
                url
            };
            cluster = Some(started);
            url
        };

        let other = arguments.against.as_deref().zip(other_url);
        if let Some((program, url)) = &other {
            against::fill(program, url, users)?;
        }

        let mut postgres = None;
        let mut counts_statements = false;
        if !sqlite {
            let client = connect(&url).await?;
            client.batch_execute("VACUUM (ANALYZE)").await?;
            if let Some((_, url)) = &other {
                connect(url).await?.batch_execute("VACUUM (ANALYZE)").await?;
            }
            client.batch_execute("CHECKPOINT").await?;
            counts_statements = client.batch_execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements").await.is_ok()
                && client.query("SELECT count(*) FROM pg_stat_statements", &[]).await.is_ok();
            postgres = Some(client);
        }

        if subscribers {
            let db = Db::connect(&url, 1).await?;
            // By which a token names a user.
            db.run_long(
                "INSERT INTO accounts (user_id, provider, external_id, linked_at) \
                 SELECT id, 'jwt', '|' || ulid, created_at FROM users",
            )
            .await?;
            db.close().await?;
        }

        let settings = |command: &mut Command, url: &str| {
            if subscribers {
                // A sixteenth of the streams is for apps. Some come back before the server knows that they left.
                let streams = u64::from(arguments.subscribers) * 16 / 15 + 300;
                let connections = (streams + 200).to_string();
                command
                    .env("WAYMARK_MAX_STREAMS", streams.to_string())
                    .env("WAYMARK_MAX_CONNECTIONS", &connections)
                    .env("WAYMARK_MAX_CONNECTIONS_PER_ADDRESS", connections);
            }
            command
                .current_dir(&directory)
                .env("WAYMARK_DATABASE_URL", url)
                .env("WAYMARK_LISTEN", "127.0.0.1:0")
                .env("WAYMARK_RATE_PER_SECOND", "0")
                .env("WAYMARK_APP_RATE_PER_SECOND", "0")
                .env("WAYMARK_JWT_SECRET", SECRET);
        };
        // A key, and the server that knows it.
        let serving = |program: &dyn Fn() -> Command, url: &str| -> Result<(Server, String)> {
            let mut make_key = program();
            make_key.args(["key", "create", "--name", "bench", "--scope", "progress:read"]);
            if writes {
                make_key.args(["--scope", "progress:write"]);
            }
            settings(&mut make_key, url);
            let made = make_key.output()?;
            let key = String::from_utf8(made.stdout)?.trim().to_owned();
            if !made.status.success() || key.is_empty() {
                return Err(format!("no key was made: {}", String::from_utf8_lossy(&made.stderr)).into());
            }
            let mut serve = program();
            settings(serve.arg("serve"), url);
            Ok((Server::start(serve, &key, Dialect::Waymark(Spelling::Plain))?, key))
        };
        let (server, key) = serving(&waymark, &url)?;
        let people = Rc::new(People::new(users));
        let other = match &other {
            Some((program, url)) => {
                let (server, _) = serving(&|| against::command(program), url)?;
                Some((server, Rc::new(People::new(users))))
            }
            None => None,
        };
        let floor = if sqlite || writes || arguments.mode == Mode::Rivals {
            None
        } else {
            let mut serve = Command::new(&program);
            serve.arg("floor").env("FLOOR_DATABASE_URL", &url).env("FLOOR_KEY", &key);
            Some(Server::start(serve, &key, Dialect::Paths)?)
        };
        Ok(Self { waymark: server, floor, other, people, url, postgres, counts_statements, cluster, _lock: lock })
    }

    /// Completes the goals of all users, so that their rewards can be claimed.
    pub(crate) async fn prepare_claims(
        &self,
        server: &Server,
        people: &Rc<People>,
        arguments: &Arguments,
    ) -> Result<()> {
        people.begin_again();
        while people.turns() < people.count() {
            let second = Duration::from_secs(1);
            load::run(&server.target, Query::Complete, people, arguments.connections, second, 0).await?;
        }
        people.begin_again();
        Ok(())
    }

    /// Whether all rewards have been asked for that [`Stage::prepare_claims`] made claimable.
    pub(crate) fn all_is_claimed(&self) -> bool {
        self.people.turns() >= self.people.count() * CLAIMABLE
    }

    /// Measures both servers in turns.
    pub(crate) async fn measure(&self, query: Query, spelling: Spelling, arguments: &Arguments) -> Result<Row> {
        let servers: Vec<&Server> = self.floor.iter().chain([&self.waymark]).collect();
        let mut measured = self.turns(&servers, query, spelling, arguments).await?.into_iter();
        let floor = self.floor.as_ref().and_then(|_| measured.next());
        let row = Row { query, spelling, floor, waymark: measured.next().unwrap_or_default() };
        eprintln!("{}", row.line());
        Ok(row)
    }

    /// Measures servers in turns.
    pub(crate) async fn turns(
        &self,
        servers: &[&Server],
        query: Query,
        spelling: Spelling,
        arguments: &Arguments,
    ) -> Result<Vec<Measured>> {
        let mut measured: Vec<Measured> = servers.iter().map(|_| Measured::default()).collect();
        for server in servers {
            self.round(server, query, spelling, arguments.connections, Duration::from_secs(1), 0).await?;
        }
        let mut seeds = 1..;
        for _ in 0..arguments.rounds {
            for (server, measured) in servers.iter().zip(&mut measured) {
                let before = self.usage(server).await?;
                let seed = seeds.next().unwrap_or_default();
                let round = self.round(server, query, spelling, arguments.connections, arguments.round, seed).await?;
                measured.add(&round, before, self.usage(server).await?);
            }
        }
        for _ in 0..arguments.rounds.min(3) {
            for (server, measured) in servers.iter().zip(&mut measured) {
                let seed = seeds.next().unwrap_or_default();
                let round = self.round(server, query, spelling, 1, arguments.round / 4, seed).await?;
                measured.add_alone(&round);
            }
        }
        Ok(measured)
    }

    async fn round(
        &self,
        server: &Server,
        query: Query,
        spelling: Spelling,
        connections: usize,
        duration: Duration,
        seed: u64,
    ) -> Result<Round> {
        let target = server.target.spelled(spelling);
        load::run(&target, query, &self.people, connections, duration, seed).await
    }

    pub(crate) async fn usage(&self, server: &Server) -> Result<Usage> {
        let statements = match &self.postgres {
            Some(client) if self.counts_statements => {
                // The look at the catalogue's version goes by the clock and not by requests.
                let sql = "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s \
                    JOIN pg_database d ON d.oid = s.dbid AND d.datname = current_database() \
                    WHERE query NOT LIKE '%catalogue_version%' AND query NOT LIKE '%pg_stat_statements%'";
                Some(client.query_one(sql, &[]).await?.get(0))
            }
            _ => None,
        };
        let postgres = match &self.cluster {
            Some(cluster) => Some(server::cpu_of_children(cluster.pid()?)),
            None => None,
        };
        Ok(Usage { statements, server: server::cpu(server.pid()), postgres })
    }
}

/// Where databases and files are kept between runs, locked against another benchmark.
pub(crate) fn directory() -> Result<(PathBuf, File)> {
    let program = std::env::current_exe()?;
    let target = program.parent().and_then(Path::parent).ok_or("the program is in no target directory")?;
    let directory = target.join("bench");
    std::fs::create_dir_all(&directory)?;
    let lock = File::create(directory.join("lock"))?;
    if lock.try_lock().is_err() {
        return Err("another benchmark is running; two at a time would measure each other".into());
    }
    Ok((directory, lock))
}

/// What was used up to some instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// SQL statements; `None` where they are not counted.
    pub(crate) statements: Option<i64>,
    /// Time of the server on processors.
    pub(crate) server: Duration,
    /// Time of PostgreSQL on processors; `None` where it cannot be seen.
    pub(crate) postgres: Option<Duration>,
}

impl Usage {
    /// The time of the server and of PostgreSQL on processors since `earlier`.
    pub(crate) fn cpu_since(&self, earlier: &Self) -> Duration {
        let postgres = self.postgres.zip(earlier.postgres);
        let postgres = postgres.map_or(Duration::ZERO, |(now, then)| now.saturating_sub(then));
        self.server.saturating_sub(earlier.server) + postgres
    }
}

/// Brings the database up to date and fills it; `false` when what it holds is too old to be measured.
async fn fill(url: &str, users: u32) -> Result<bool> {
    let db = Db::connect(url, 4).await?;
    db.migrate().await?;
    let now = Clock::System.now();
    let show = |done: u64, total: u64| {
        if done < total && done.is_multiple_of(10_000) {
            eprintln!("filling: {done} of {total} users");
        }
    };
    let options = Options { users: Some(users), scale: Scale::Load };
    let report = demo::fill(&db, options, now, &show).await?;
    db.close().await?;
    Ok(now.millis_since(report.day) < FRESH)
}

/// A connection to PostgreSQL.
pub(crate) async fn connect(url: &str) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            eprintln!("warning: {error}");
        }
    });
    Ok(client)
}
