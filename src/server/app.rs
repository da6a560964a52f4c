//! Wiring: everything a running server consists of. Tests build the same one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::documents::Documents;
use crate::files::Room;
use crate::gate::Gate;
use crate::lines::Lines;
use crate::streams::Streams;
use waymark_auth::rate::Rates;
use waymark_auth::{Authenticator, Caller, Vigil};
use waymark_db::catalogue::{Catalogue, Snapshot};
use waymark_db::{Db, Kind, Opening};
use waymark_graphql_kit::batcher::Batcher;
use waymark_kernel::clock::{Ids, Timestamp, Watch};
use waymark_kernel::config::Config;
use waymark_kernel::error::{Error, Result};
use waymark_kernel::metrics::{Metrics, names};
use waymark_kinds as features;
use waymark_kinds::users;
use waymark_request::Request;
use waymark_request::admission::Admission;
use waymark_rest_kit::Desk;
use waymark_schema as schema;
use waymark_schema::Schema;
use waymark_verify::{Step, Verifier, Whose};
use waymark_write::Writer;

/// How often a server removes what has become stale.
const MAINTENANCE: Duration = Duration::from_secs(60);
/// How many differences one pass in the background logs one by one.
const MOST_LOGGED: usize = 20;

/// A running Waymark without its listener.
pub struct App {
    /// The effective configuration.
    pub config: Arc<Config>,
    /// The database.
    pub db: Db,
    /// Where `now` comes from.
    pub clock: Watch,
    /// Where new identifiers come from.
    pub ids: Arc<Ids>,
    /// Checks credentials.
    pub authenticator: Arc<Authenticator>,
    /// What operators define, kept up to date in memory.
    pub catalogue: Arc<Catalogue>,
    /// The GraphQL schema that runs operations.
    pub schema: Schema,
    /// Checks GraphQL documents before they run.
    pub gate: Gate,
    /// The documents that clients may run, where they may run no others.
    pub documents: Documents,
    /// What each caller and address may still ask for.
    pub rates: Arc<Rates>,
    /// The schema as clients may read it; `None` when the server keeps it to itself.
    pub sdl: Option<Arc<str>>,
    batcher: Arc<Batcher>,
    /// Watches the credentials of open connections.
    pub vigil: Arc<Vigil>,
    /// Who is connected.
    pub lines: Arc<Lines>,
    /// How many connections there may be.
    pub room: Room,
    /// Who is connected for longer than a request.
    pub streams: Streams,
    /// Whether the server was told to stop. A task that keeps a connection open beyond its request has a receiver, and
    /// drops it when the connection has ended: a server that stops waits for that.
    pub stopping: watch::Sender<bool>,
    /// Runs the writes of requests.
    pub writer: Arc<Writer>,
    /// Looks for stored values that do not follow from their source.
    pub verifier: Arc<Verifier>,
    /// Lets requests in, as many as there are places for.
    pub admission: Arc<Admission>,
    /// The figures of this app, for operators.
    pub metrics: Arc<Metrics>,
    started: Timestamp,
}

impl App {
    /// Puts an app together over an open and migrated database. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When the catalogue cannot be read or the configured keys cannot be used.
    pub async fn new(config: Config, db: Db, ids: Ids) -> Result<Arc<Self>> {
        let authenticator = Arc::new(Authenticator::from_config(&config)?);
        let catalogue = Arc::new(Catalogue::open(db.clone(), features::CATALOGUE).await?);
        let clock = Watch::new(config.clock());
        db.set(&clock).await?;
        catalogue.follow(clock.clone());
        let sdl = Arc::<str>::from(schema::sdl());
        let stopping = watch::Sender::new(false);
        let (ids, config) = (Arc::new(ids), Arc::new(config));
        let metrics = Arc::new(Metrics::new()?);
        metrics.keep();
        db.observe(&metrics.sql);
        let writer = Arc::new(Writer::new(
            db.clone(),
            clock.clone(),
            Arc::clone(&ids),
            Arc::clone(&config),
            Arc::clone(&catalogue),
            Arc::clone(&authenticator),
            Arc::clone(&metrics),
        ));
        let verifier = Verifier::new(db.clone(), Arc::clone(&catalogue), Arc::clone(&writer), features::CHECKS);
        let gate = Gate::new(&sdl, &config.limits, config.introspection)?;
        let documents = Documents::of(&config)?;
        gate.look_over(&documents);
        let room = Room::from_config(&config);
        Ok(Arc::new(Self {
            started: clock.now(),
            schema: schema::build(),
            gate,
            documents,
            rates: Arc::new(Rates::from_config(&config)),
            sdl: config.introspection.then_some(sdl),
            batcher: Batcher::over(&db, Arc::clone(&metrics)),
            vigil: Vigil::start(db.clone(), clock.clone()),
            lines: Lines::new(&config, room.most, Arc::clone(&metrics)),
            room,
            streams: Streams::new(config.limits.max_streams, config.limits.max_streams_per_caller, stopping.clone()),
            stopping,
            writer,
            verifier: Arc::new(verifier),
            admission: Arc::new(Admission::new(&config.limits, Arc::clone(&authenticator), Arc::clone(&metrics))),
            metrics,
            clock,
            config,
            db,
            ids,
            authenticator,
            catalogue,
        }))
    }

    /// Opens the configured database and puts an app together over it.
    ///
    /// # Errors
    /// When no database is configured, when it cannot be opened, and like [`App::new`].
    pub async fn connect(config: Config, ids: Ids) -> Result<Arc<Self>> {
        let url = config.database_url.as_deref().ok_or_else(|| {
            Error::bad_input("no database is configured; set WAYMARK_DATABASE_URL, for example to sqlite://waymark.db")
        })?;
        let db = Db::open(url, Opening::of(&config, true)).await?;
        Self::new(config, db, ids).await
    }

    /// Begins a request of `caller` at `now` that writes nothing.
    pub fn request(&self, caller: Arc<Caller>, now: Timestamp) -> Request {
        let (catalogue, verifier) = (self.catalogue.current(), Arc::clone(&self.verifier));
        let batcher = self.batcher.to_read(|| caller.principal());
        Request::new(Arc::clone(&caller), now, Arc::clone(&self.config), catalogue, batcher, &self.writer, verifier)
    }

    /// Begins a request of `caller` at `now` that may write.
    pub fn request_to_write(&self, caller: Arc<Caller>, now: Timestamp) -> Request {
        let catalogue = self.catalogue.current();
        let verifier = Arc::clone(&self.verifier);
        Request::new(caller, now, Arc::clone(&self.config), catalogue, &self.batcher, &self.writer, verifier)
    }

    /// Begins a request of `caller` that lasts: one without the catalogue, which would be old before its end.
    pub fn lasting_request(&self, caller: Arc<Caller>, now: Timestamp) -> Request {
        let (catalogue, verifier) = (Snapshot::none(), Arc::clone(&self.verifier));
        Request::new(caller, now, Arc::clone(&self.config), catalogue, &self.batcher, &self.writer, verifier)
    }

    /// Runs [`Verifier`] at the interval of the settings, until `self` is dropped elsewhere.
    pub fn verify_now_and_then(self: &Arc<Self>) {
        let minutes = u64::from(self.config.verify_interval_minutes);
        if minutes == 0 {
            return;
        }
        let app = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_secs(60 * minutes)).await;
                let Some(app) = app.upgrade() else { break };
                app.verify_and_log().await;
            }
        });
    }

    async fn verify_and_log(&self) {
        let mut logged = 0;
        let log = &mut |step: &Step| {
            for difference in step.differences.iter().take(MOST_LOGGED - logged) {
                logged += 1;
                tracing::error!(%difference, "something does not follow from its source");
            }
        };
        match self.verifier.verify(Whose::All, self.clock.now(), log).await {
            Ok(report) if report.found() == 0 => tracing::info!(users = report.users, "verified"),
            Ok(report) => tracing::error!(differences = report.found(), "`waymark verify` lists what differs"),
            Err(error) => tracing::warn!(error = error.chain(), "verify failed"),
        }
    }

    /// Writes down which credits have expired and forgets old idempotency keys. No answer depends on it: what has
    /// expired counts as expired, and an old key as new, whether this has run or not. Says how many lots of credits it
    /// concerned.
    ///
    /// # Errors
    /// When the database cannot be reached; what was done by then stands.
    pub async fn maintain(&self) -> Result<usize> {
        let expired = waymark_kinds::credits::write::book_expiries(&self.writer, self.clock.now()).await?;
        self.writer.forget_keys().await?;
        Ok(expired)
    }

    /// Fetches the keys of tokens, and does [`App::maintain`] every minute for as long as the app lives.
    pub fn keep_maintained(self: &Arc<Self>) {
        self.authenticator.prepare();
        let app = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(MAINTENANCE).await;
                let Some(app) = app.upgrade() else { break };
                if app.db.only_reads().is_some() {
                    continue;
                }
                match app.maintain().await {
                    Ok(0) => {}
                    Ok(lots) => tracing::debug!(lots, "credits that had expired were written to the ledger"),
                    Err(error) => tracing::warn!(error = error.chain(), "maintenance failed; it is tried again"),
                }
            }
        });
    }

    /// Returns the caller with a user: a person for whom nothing has been recorded yet gets one. Called before a write
    /// only; reading creates no user.
    pub async fn known(&self, caller: Arc<Caller>, now: Timestamp) -> Result<Arc<Caller>> {
        users::write::known(&self.writer, &self.ids, caller, now).await
    }

    /// What REST handlers work with.
    pub fn desk(&self) -> Desk {
        Desk {
            config: Arc::clone(&self.config),
            clock: self.clock.clone(),
            db: self.db.clone(),
            ids: Arc::clone(&self.ids),
            authenticator: Arc::clone(&self.authenticator),
            rates: Arc::clone(&self.rates),
            catalogue: Arc::clone(&self.catalogue),
            batcher: Arc::clone(&self.batcher),
            writer: Arc::clone(&self.writer),
            verifier: Arc::clone(&self.verifier),
            admission: Arc::clone(&self.admission),
            peer: None,
            tab: waymark_rest_kit::Tab::default(),
        }
    }

    /// Tells all tasks that the server stops: it says that it is not ready, and connections that stay open end.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// For tasks that keep a connection open beyond its request: true once the server stops, which waits until all
    /// receivers are dropped.
    #[must_use]
    pub fn subscribe_to_stop(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Waits until the server stops.
    pub async fn stopped(&self) {
        // Ends too when the sender is gone, which it is not: it is ours.
        let _ = self.stopping.subscribe().wait_for(|stopping| *stopping).await;
    }

    /// What the server counted and measured so far, in Prometheus' text format.
    #[must_use]
    pub fn figures(&self) -> String {
        let metrics = &self.metrics;
        let database = match self.db.kind() {
            Kind::Sqlite => "sqlite",
            Kind::Postgres => "postgres",
        };
        let version = env!("CARGO_PKG_VERSION");
        metrics.set(names::BUILD_INFO, &[("version", version), ("database", database)], 1);
        metrics.set(names::START_TIME, &[], seconds(self.started));
        metrics.set(names::STOPPING, &[], u64::from(*self.stopping.borrow()));
        metrics.set(names::CONNECTIONS_OPEN, &[], self.lines.count() as u64);
        metrics.set(names::STREAMS_OPEN, &[], u64::from(self.streams.count()));
        if let Some(millis) = self.clock.system_ahead_millis() {
            metrics.set_seconds(names::CLOCK_OFFSET, Duration::from_millis(millis.unsigned_abs()), millis < 0);
        }
        let (running, waiting) = self.admission.figures();
        metrics.set(names::RUNNING, &[], running);
        metrics.set(names::WAITING, &[], waiting);
        let (hits, misses, documents) = self.gate.figures();
        metrics.count(names::GATE_HITS, hits);
        metrics.count(names::GATE_MISSES, misses);
        metrics.set(names::GATE_DOCUMENTS, &[], documents);
        let (reachable, outages) = self.db.reach();
        metrics.set(names::REACHABLE, &[], u64::from(reachable));
        metrics.count(names::OUTAGES, outages);
        if let Some((in_step, behind)) = self.db.replica() {
            metrics.set(names::REPLICA_IN_STEP, &[], u64::from(in_step));
            behind.into_iter().for_each(|bytes| metrics.set(names::REPLICA_BEHIND, &[], bytes));
        }
        for connections in self.db.connections() {
            let pool = ("pool", connections.pool);
            metrics.set(names::CONNECTIONS, &[pool, ("state", "used")], connections.used);
            metrics.set(names::CONNECTIONS, &[pool, ("state", "idle")], connections.idle);
            metrics.set(names::CONNECTIONS_MOST, &[pool], connections.most);
            if let Some(waiting) = connections.waiting {
                metrics.set(names::CONNECTIONS_WAITING, &[pool], waiting);
            }
        }
        if let Some(last) = self.verifier.last() {
            metrics.set(names::VERIFY_DIFFERENCES, &[], last.differences);
            metrics.set(names::VERIFY_TIME, &[], seconds(last.at));
        }
        metrics.render()
    }

    /// Makes what this process has just written to the catalogue visible to the requests that follow.
    ///
    /// # Errors
    /// When the catalogue cannot be read; the last one serves on.
    pub async fn refresh_catalogue(&self) -> Result<()> {
        self.catalogue.refresh().await
    }
}

/// Seconds since 1970.
fn seconds(instant: Timestamp) -> u64 {
    u64::try_from(instant.millis() / 1000).unwrap_or_default()
}
