//! The way to the database, and what becomes of it.
//!
//! Connections come in generations. When connections of one break, new ones are opened by the next, and what is under
//! way on the old ones ends as it may. A peer that is gone without a word does not even break them: nothing comes any
//! more, and no time-out of the server helps. So every statement has a deadline here too, and a heartbeat on a
//! connection of its own asks once a second. When that gets no answer, and a fresh connection does, the whole
//! generation is given up with everything that waits on it. When there is no fresh connection either, the database is
//! away: statements fail at once, with the reason, until one can be opened.
//!
//! Several servers may be named. All connections of a generation go to one of them, the first that is the wanted one
//! when the heartbeat looks; when that stops to be it, another one is looked for, and everything moves there.
//!
//! SQLite has one generation, no heartbeat and no deadlines but that for locks.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use sea_orm::sqlx::postgres::{PgConnectOptions, PgConnection, PgPoolOptions};
use sea_orm::sqlx::{self, ConnectOptions as _, Connection as _, Row as _};
use sea_orm::{DatabaseConnection, DbErr, RuntimeErr, SqlxPostgresConnector};
use tokio::sync::{Notify, SetOnce};
use tokio::task::JoinHandle;

use super::hosts::{self, Hosts, Standing, Wanted, place};
use super::lane::Purpose;
use super::pool::Stock;
use super::statements::Statements;
use waymark_kernel::error::{Code, Error, Result};
use waymark_kernel::failure::{Failure, Trouble};

/// How long opening a connection may take.
pub(super) const CONNECT: Duration = Duration::from_secs(3);
/// How long closing all connections may take.
const CLOSE: Duration = Duration::from_secs(5);
/// How much longer its answer may take: the server ends it by itself when it can.
const ON_THE_WAY: Duration = Duration::from_secs(2);
/// How long a statement waits for a lock that another transaction has.
const LOCK: Duration = Duration::from_secs(3);
/// How long a statement of what operators run may take (imports, exports, `verify`, migrations), and how long one of
/// their transactions may stay open with nothing to do; and how long they wait for a lock.
const LONG: Duration = Duration::from_secs(60 * 60);
const LONG_LOCK: Duration = Duration::from_secs(30);
/// How long the server waits for a client that says nothing or takes nothing, in milliseconds, and how it asks for it.
const GONE: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "25000"),
];

/// Statements differ in what they are asked for and not in how they are best answered: a plan made once is as good, and
/// making one costs more than most of them.
const PLANS: (&str, &str) = ("plan_cache_mode", "force_generic_plan");

/// How long the first connection may take, and one that is to show whether the database can be reached.
const START: Duration = Duration::from_secs(10);
const PROBE: Duration = Duration::from_secs(2);
/// From one beat of the heart to the next, and from one try to the next while the database is away.
const BEAT: Duration = Duration::from_secs(1);
const AGAIN: Duration = Duration::from_millis(100);
/// The shortest time between two beats, however many statements fail.
const SHORTEST: Duration = Duration::from_millis(50);
/// What the silence is measured in.
const TURN: Duration = Duration::from_millis(50);

/// How many connections each purpose has at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Split {
    /// Of the loaders; 0: they use those of the other reads.
    pub(super) loaders: u32,
    /// Of credentials, the catalogue and all other reads.
    pub(super) reads: u32,
    /// Of writes; 0: they share those of the reads.
    pub(super) writes: u32,
}

impl Split {
    /// Shares out `all` connections to PostgreSQL: half of them to the loaders and three in ten to writes. With less
    /// than three some have to share, and with one all do.
    pub(super) const fn of(all: u32) -> Self {
        match all {
            0 | 1 => Self { loaders: 0, reads: 1, writes: 0 },
            2 => Self { loaders: 0, reads: 1, writes: 1 },
            all => {
                let (loaders, tenths) = (all / 2, all * 3 / 10);
                let writes = if tenths == 0 { 1 } else { tenths };
                Self { loaders, reads: all - loaders - writes, writes }
            }
        }
    }
}

/// How patient the database is with what is done there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// With what a request waits for.
    Request(Deadlines),
    /// With what an operator runs.
    Long,
}

impl Patience {
    const fn statement(self) -> Duration {
        match self {
            Self::Request(deadlines) => deadlines.statement,
            Self::Long => LONG,
        }
    }

    /// What a session or a transaction asks of the server: names of settings with milliseconds.
    pub(super) fn settings(self) -> [(&'static str, u128); 3] {
        let (lock, idle) = match self {
            Self::Request(deadlines) => (LOCK, deadlines.stalled()),
            Self::Long => (LONG_LOCK, LONG),
        };
        [
            ("statement_timeout", self.statement().as_millis()),
            ("lock_timeout", lock.as_millis()),
            ("idle_in_transaction_session_timeout", idle.as_millis()),
        ]
    }

    /// What a transaction asks of the server whose session is not ours for longer, as commands behind `BEGIN`.
    fn in_transaction(self) -> String {
        let limits = self.settings().map(|(name, millis)| format!("; SET LOCAL {name} = {millis}"));
        format!("{}; SET LOCAL {} = {}", limits.concat(), PLANS.0, PLANS.1)
    }

    /// How long to wait for the answer to a statement.
    pub(super) fn answer(self) -> Duration {
        self.statement() + ON_THE_WAY
    }
}

/// Connections that were opened since the last ones were given up.
pub(super) struct Generation {
    number: u64,
    /// Where they lead; `None` for SQLite.
    options: Option<Arc<PgConnectOptions>>,
    pub(super) reads: DatabaseConnection,
    pub(super) writes: DatabaseConnection,
    pub(super) loaders: Option<Stock>,
    /// Whether any statement was answered.
    proven: AtomicBool,
    /// Set when nothing will come any more.
    ended: SetOnce<Arc<str>>,
}

impl Generation {
    pub(super) const fn new(
        number: u64,
        options: Option<Arc<PgConnectOptions>>,
        reads: DatabaseConnection,
        writes: DatabaseConnection,
        loaders: Option<Stock>,
    ) -> Self {
        Self { number, options, reads, writes, loaders, proven: AtomicBool::new(false), ended: SetOnce::const_new() }
    }

    /// The connections for some purpose.
    pub(super) const fn pool(&self, purpose: Purpose) -> &DatabaseConnection {
        match purpose {
            Purpose::Reads => &self.reads,
            Purpose::Writes => &self.writes,
        }
    }

    /// Where they lead, for messages.
    fn place(&self) -> String {
        self.options.as_deref().map_or_else(|| "SQLite".to_owned(), place)
    }

    /// Closes every connection that is given back, instead of testing it, because a test of a silent connection does
    /// not end.
    fn take_nothing_back(&self) {
        for pool in [&self.reads, &self.writes] {
            // The call itself closes the pool for new users; its future, which waits for the others, is dropped.
            drop(pool.get_postgres_connection_pool().close());
        }
    }

    fn end(&self, reason: &Arc<str>) {
        self.take_nothing_back();
        // What has ended ends once.
        let _ = self.ended.set(Arc::clone(reason));
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Generation({})", self.number)
    }
}

struct State {
    generation: Arc<Generation>,
    /// Those before it on which something is still under way.
    past: Vec<Weak<Generation>>,
    /// Why the database cannot be reached.
    away: Option<Arc<str>>,
}

impl State {
    fn new(generation: Generation) -> Self {
        Self { generation: Arc::new(generation), past: Vec::new(), away: None }
    }

    /// Lets `next` follow, and what is under way on the current one go on.
    fn follow(&mut self, next: Generation) {
        let old = std::mem::replace(&mut self.generation, Arc::new(next));
        self.past.retain(|past| past.strong_count() > 0);
        self.past.push(Arc::downgrade(&old));
    }

    /// Lets connections to the same server follow.
    fn restart(&mut self, remote: &Remote, statements: &Arc<Statements>) {
        let Some(options) = self.generation.options.clone() else { return };
        self.follow(remote.generation(self.generation.number + 1, &options, statements));
    }

    /// Gives up everything that is under way on generations before the current one.
    fn end_past(&mut self, reason: &Arc<str>) {
        self.past.drain(..).filter_map(|past| past.upgrade()).for_each(|past| past.end(reason));
    }
}

/// The way to a database.
pub(super) struct Line {
    state: RwLock<State>,
    remote: Option<Remote>,
    pub(super) statements: Arc<Statements>,
    /// How often the database was away.
    outages: AtomicU64,
    /// Whether the server only replays what another one writes, as far as is known.
    standby: AtomicBool,
}

/// What a way to PostgreSQL is for, which decides what its server has to be when the URL does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// To write too.
    All,
    /// Nothing is to be written, so that any of several servers will do.
    Reads,
    /// To read from a replica; other processes are to use others of them.
    Replica,
}

/// How long PostgreSQL may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadlines {
    /// For one statement of a request.
    pub statement: Duration,
    /// For the answer to a heartbeat, before it is away.
    pub silence: Duration,
}

impl Deadlines {
    /// Unless the settings say otherwise.
    pub const USUAL: Self = Self { statement: Duration::from_secs(10), silence: Duration::from_secs(4) };
    /// For what no request waits for.
    pub const PATIENT: Self = Self { statement: Duration::from_secs(60), silence: Duration::from_secs(60) };

    /// How long a statement waits for a connection that is free or can be opened, and how long a transaction may stay
    /// open with nothing to do: what it has locked is free again when its client is gone.
    fn stalled(self) -> Duration {
        self.silence + Duration::from_secs(1)
    }

    /// Silence after which a fresh connection is tried.
    fn doubtful(self) -> Duration {
        self.silence * 3 / 8
    }

    /// Silence after which a fresh connection that answers proves the old ones dead.
    fn dead(self) -> Duration {
        self.silence * 5 / 8
    }
}

/// How PostgreSQL is to be reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Approach<'a> {
    pub(super) url: &'a str,
    /// The way for the session that listens, and others that last, where it is another one.
    pub(super) listen_url: Option<&'a str>,
    /// Whether a pooler is between that gives a session away with every transaction.
    pub(super) pooler: bool,
    pub(super) purpose: Use,
    pub(super) max_connections: u32,
    pub(super) deadlines: Deadlines,
}

/// How to reach PostgreSQL.
struct Remote {
    hosts: Hosts,
    /// The way for what needs a session of its own; `None` when there is none.
    direct: Option<Hosts>,
    /// What follows `BEGIN` where a pooler is between.
    in_transaction: Option<String>,
    split: Split,
    patience: Patience,
    deadlines: Deadlines,
    /// Wakes the heartbeat before its time.
    doubts: Notify,
    /// Whether another server is to take over, though this one answers.
    left: AtomicBool,
    closed: Notify,
    heart: Mutex<Option<JoinHandle<()>>>,
}

/// Shows no options: they hold the password.
impl fmt::Debug for Line {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Line({})", self.last().place())
    }
}

/// How to connect to a server itself for what takes as long as `patience` says.
fn direct(options: PgConnectOptions, patience: Patience) -> PgConnectOptions {
    named(options).options(patience.settings()).options(GONE).options([PLANS])
}

/// How to connect to a pooler, which lets no client set anything for longer than a transaction.
fn pooled(options: PgConnectOptions) -> PgConnectOptions {
    named(options).extra_float_digits(None)
}

fn named(options: PgConnectOptions) -> PgConnectOptions {
    options.application_name("waymark")
}

/// A connection that is known to answer.
struct Found {
    connection: PgConnection,
    options: Arc<PgConnectOptions>,
    standing: Standing,
}

/// Why there is no server of the wanted kind.
struct Unfound {
    reason: Arc<str>,
    /// Where a server is that answered and took no connection.
    refusing: Vec<String>,
}

/// Opens a connection that is known to answer.
async fn open(options: &Arc<PgConnectOptions>, longest: Duration) -> Result<Found, sqlx::Error> {
    let opening = async {
        let (mut connection, options) = match options.connect().await {
            Ok(connection) => (connection, Arc::clone(options)),
            Err(error) => {
                let Some(clear) = hosts::in_the_clear(options, &error) else { return Err(error) };
                tracing::warn!(%error, "the connection to the database at {} is not encrypted", place(options));
                (clear.connect().await?, Arc::new(clear))
            }
        };
        let standing = ask(&mut connection).await?;
        Ok(Found { connection, options, standing })
    };
    tokio::select! {
        biased;
        opened = opening => opened,
        () = turns(longest) => Err(silent()),
    }
}

/// Opens a connection to the first server that is the wanted one.
async fn find(hosts: &Hosts, longest: Duration) -> Result<Found, Unfound> {
    // All at once, so that those that are silent take no more time than one.
    let opening = |options: &Arc<PgConnectOptions>| {
        let options = Arc::clone(options);
        tokio::spawn(async move { open(&options, longest).await })
    };
    let opening: Vec<_> = hosts.all.iter().map(opening).collect();
    let (mut spare, mut reasons, mut refusing) = (None, Vec::new(), Vec::new());
    for (opening, options) in opening.into_iter().zip(&hosts.all) {
        match opening.await.unwrap_or(Err(sqlx::Error::WorkerCrashed)) {
            Ok(found) => match hosts.wanted.misses(found.standing) {
                None => return Ok(found),
                Some(_) if hosts.wanted == Wanted::PreferStandby => spare = spare.or(Some(found)),
                Some(why) => reasons.push(format!("the database at {} cannot be used: {why}", place(options))),
            },
            Err(error) => {
                if error.as_database_error().is_some() {
                    refusing.push(place(options));
                }
                reasons.push(reason(&place(options), &error));
            }
        }
    }
    spare.ok_or_else(|| Unfound { reason: Arc::from(reasons.join("; ")), refusing })
}

fn silent() -> sqlx::Error {
    sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "it does not answer"))
}

/// Waits for a time of which only as much counts as this process gets its turns. On a machine that has too much to do
/// everything is late, the database too, and silence says nothing.
async fn turns(time: Duration) {
    let mut passed = Duration::ZERO;
    while passed < time {
        passed += turn().await;
    }
}

/// Waits for a turn, and gives how much of the time counts: not much more than it was to take.
async fn turn() -> Duration {
    let began = Instant::now();
    tokio::time::sleep(TURN).await;
    began.elapsed().min(2 * TURN)
}

async fn ask(connection: &mut PgConnection) -> Result<Standing, sqlx::Error> {
    let question = "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on'";
    let answer = sqlx::raw_sql(question).fetch_one(connection).await?;
    Ok(Standing { is_standby: answer.try_get(0)?, is_read_only: answer.try_get(1)? })
}

/// What the server said, or what happened on the way to it, without what the driver says around it, and what may help.
fn words(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => match error.message() {
            said if said.contains("startup parameter") => {
                format!("{said} (if a pooler is there, set WAYMARK_DATABASE_POOLER=transaction)")
            }
            said => said.to_owned(),
        },
        sqlx::Error::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}

fn reason(place: &str, error: &sqlx::Error) -> String {
    format!("the database at {place} cannot be reached: {}", words(error))
}

fn gone(reason: &str) -> DbErr {
    DbErr::Conn(RuntimeErr::Internal(reason.to_owned()))
}

impl Line {
    /// The one and only generation of an SQLite database.
    pub(super) fn of_sqlite(generation: Generation, statements: Arc<Statements>) -> Arc<Self> {
        Arc::new(Self::new(generation, None, statements))
    }

    fn new(generation: Generation, remote: Option<Remote>, statements: Arc<Statements>) -> Self {
        let (outages, standby) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { state: RwLock::new(State::new(generation)), remote, statements, outages, standby }
    }

    /// Reaches PostgreSQL, and keeps watch over it as long as the line is used.
    ///
    /// # Errors
    /// [`Code::Unavailable`], with the place and what is wrong there.
    pub(super) async fn to_postgres(approach: Approach<'_>, statements: Arc<Statements>) -> Result<Arc<Self>> {
        let remote = Remote::of(approach)?;
        let longest = if remote.hosts.can_change() { CONNECT } else { START };
        let found = find(&remote.hosts, longest).await;
        let found = found.map_err(|unfound| Error::new(Code::Unavailable, unfound.reason))?;
        let generation = remote.generation(1, &found.options, &statements);
        let line = Arc::new(Self::new(generation, Some(remote), statements));
        line.stands(found.standing);
        if let Some(remote) = &line.remote {
            let heart = tokio::spawn(beat(Arc::downgrade(&line), found.connection));
            *remote.heart.lock().unwrap_or_else(PoisonError::into_inner) = Some(heart);
        }
        Ok(line)
    }

    /// The connections to be used now.
    ///
    /// # Errors
    /// [`DbErr::Conn`] with the reason while the database is known to be away.
    pub(super) fn current(&self) -> Result<Arc<Generation>, DbErr> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        match &state.away {
            None => Ok(Arc::clone(&state.generation)),
            Some(reason) => Err(gone(reason)),
        }
    }

    /// Which connections are used: another number for each server, and each time that they were given up.
    pub(super) fn number(&self) -> u64 {
        self.state.read().unwrap_or_else(PoisonError::into_inner).generation.number
    }

    /// The connections that were used last, whether the database is away or not.
    pub(super) fn last(&self) -> Arc<Generation> {
        Arc::clone(&self.state.read().unwrap_or_else(PoisonError::into_inner).generation)
    }

    /// Whether the database can be reached as far as is known, and how often it could not so far.
    pub(super) fn reach(&self) -> (bool, u64) {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        (state.away.is_none(), self.outages.load(Ordering::Relaxed))
    }

    /// Why the database cannot be reached, with the place, while that is so.
    pub(super) fn away(&self) -> Option<Arc<str>> {
        self.state.read().unwrap_or_else(PoisonError::into_inner).away.clone()
    }

    /// Whether the server only replays what another one writes, as far as is known.
    pub(super) fn is_standby(&self) -> bool {
        self.standby.load(Ordering::Relaxed)
    }

    fn stands(&self, standing: Standing) {
        if self.standby.swap(standing.is_standby, Ordering::Relaxed) != standing.is_standby {
            let (place, what) = (self.last().place(), if standing.is_standby { "a standby" } else { "the primary" });
            tracing::warn!("the database at {place} is {what} now");
        }
    }

    /// How long the answer to a statement of a request may take.
    pub(super) fn answer(&self) -> Duration {
        self.remote.as_ref().map_or(LONG, |remote| remote.patience.answer())
    }

    /// The same where a connection has to be waited for first.
    pub(super) fn answer_after_waiting(&self) -> Duration {
        self.remote.as_ref().map_or(LONG, |remote| remote.deadlines.stalled() + remote.patience.answer())
    }

    /// Whether the database is PostgreSQL.
    pub(super) const fn is_remote(&self) -> bool {
        self.remote.is_some()
    }

    /// What follows `BEGIN` where a pooler is between: what a session would be asked for. `None` without one.
    pub(super) fn in_transaction(&self) -> Option<&str> {
        self.remote.as_ref()?.in_transaction.as_deref()
    }

    /// How to connect for what needs a session of its own, and whether a standby is there; `None` for SQLite, and where
    /// a pooler is between and no way past it is known.
    ///
    /// # Errors
    /// When that server cannot be reached.
    pub(super) async fn direct(&self, generation: &Generation) -> Result<Option<(PgConnectOptions, bool)>> {
        let Some(remote) = &self.remote else { return Ok(None) };
        if let Some(hosts) = &remote.direct {
            let found = find(hosts, PROBE).await;
            let Found { options, standing, .. } = found.map_err(|unfound| gone(&unfound.reason))?;
            return Ok(Some((PgConnectOptions::clone(&options), standing.is_standby)));
        }
        let options = generation.options.as_deref().filter(|_| remote.in_transaction.is_none());
        Ok(options.map(|options| (options.clone(), self.is_standby())))
    }

    /// How to connect to the database or the pooler that this generation leads to.
    pub(super) fn options(&self, generation: &Generation) -> Option<PgConnectOptions> {
        generation.options.as_deref().cloned()
    }

    /// Does `work` on connections of `generation`, unless it takes longer than `longest` or the generation is given up.
    ///
    /// # Errors
    /// Those of `work`, and [`DbErr::Conn`] when there is no answer. The caller has to close its connection then.
    pub(super) async fn within<T>(
        &self,
        generation: &Generation,
        longest: Duration,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        let Some(remote) = &self.remote else { return work.await };
        let mut work = pin!(work);
        tokio::select! {
            biased;
            done = &mut work => {
                match &done {
                    Ok(_) if !generation.proven.load(Ordering::Relaxed) => {
                        generation.proven.store(true, Ordering::Relaxed);
                    }
                    Err(error) if is_broken(error) => self.retire(generation),
                    Err(error) if Failure::of(error) == Failure::Storage(Trouble::ReadOnly) => {
                        if remote.hosts.can_change() {
                            self.retire(generation);
                        }
                        remote.doubts.notify_one();
                    }
                    _ => {}
                }
                done
            }
            reason = generation.ended.wait() => Err(gone(reason)),
            () = tokio::time::sleep(longest) => {
                // Before the work is dropped, and gives its connection back.
                generation.take_nothing_back();
                self.retire(generation);
                Err(gone(&format!("the database at {} did not answer within {longest:?}", generation.place())))
            }
        }
    }

    /// Does `work`, which has a deadline of its own, unless the generation is given up before.
    pub(super) async fn unless_ended<T>(
        &self,
        generation: &Generation,
        work: impl Future<Output = Result<T, DbErr>>,
    ) -> Result<T, DbErr> {
        tokio::select! {
            biased;
            done = work => done,
            reason = generation.ended.wait() => Err(gone(reason)),
        }
    }

    /// Waits until connections of `generation` are not to be used any more.
    pub(super) async fn ended(&self, generation: &Generation) {
        generation.ended.wait().await;
    }

    /// Whether new statements use connections of this generation.
    pub(super) fn is_current(&self, generation: &Generation) -> bool {
        self.state.read().unwrap_or_else(PoisonError::into_inner).generation.number == generation.number
    }

    /// Opens new connections from now on, because one of this generation broke. What is under way on the others goes
    /// on.
    fn retire(&self, generation: &Generation) {
        if let Some(remote) = &self.remote {
            self.replace(generation.number);
            remote.doubts.notify_one();
        }
    }

    /// Lets the next one of several servers take over, if another one is the wanted one too.
    pub(super) fn leave(&self) {
        if let Some(remote) = self.remote.as_ref().filter(|remote| remote.hosts.can_change()) {
            remote.left.store(true, Ordering::Relaxed);
            remote.doubts.notify_one();
        }
    }

    /// Begins the next generation in the place of the one with this number, if it is still the current one.
    fn replace(&self, number: u64) {
        let Some(remote) = &self.remote else { return };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.generation.number == number {
            state.restart(remote, &self.statements);
        }
    }

    /// Gives up a generation and those before it with all that waits on them: nothing will come there, but new
    /// connections work.
    fn abandon(&self, generation: &Generation, reason: &Arc<str>) {
        self.replace(generation.number);
        generation.end(reason);
        self.state.write().unwrap_or_else(PoisonError::into_inner).end_past(reason);
    }

    /// Gives up all connections with all that waits on them, because they lead to where the database is no more.
    fn move_to(&self, options: &Arc<PgConnectOptions>, reason: &Arc<str>) {
        let Some(remote) = &self.remote else { return };
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let number = state.generation.number + 1;
        state.follow(remote.generation(number, options, &self.statements));
        state.end_past(reason);
    }

    /// Lets everything fail until the database is [back](Line::is_back).
    fn is_away(&self, reason: &Arc<str>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.away.replace(Arc::clone(reason)).is_none() {
            self.outages.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(remote) = &self.remote {
            state.restart(remote, &self.statements);
            state.end_past(reason);
        }
    }

    fn is_back(&self) {
        self.state.write().unwrap_or_else(PoisonError::into_inner).away = None;
    }

    /// Closes every connection that is not at work, and ends the heartbeat.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        let generation = {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.away.get_or_insert_with(|| Arc::from("the database was closed"));
            Arc::clone(&state.generation)
        };
        if let Some(remote) = &self.remote {
            remote.closed.notify_one();
            let heart = remote.heart.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some(heart) = heart {
                // It ended, or panicked; there is nothing more to close either way.
                let _ = heart.await;
            }
        }
        if let Some(loaders) = &generation.loaders {
            loaders.close().await;
        }
        let close = async {
            generation.reads.clone().close().await?;
            generation.writes.clone().close().await
        };
        match &self.remote {
            None => close.await,
            // What does not come back is not waited for.
            Some(_) => tokio::time::timeout(CLOSE, close).await.unwrap_or(Ok(())),
        }
    }
}

impl Remote {
    fn of(approach: Approach<'_>) -> Result<Self> {
        let Approach { url, listen_url, pooler, purpose, max_connections, deadlines } = approach;
        let patience = Patience::Request(deadlines);
        let set = |options| if pooler { pooled(options) } else { direct(options, patience) };
        let mut hosts = Hosts::of(url, set)?;
        match (purpose, hosts.wanted) {
            (Use::Reads, Wanted::ReadWrite) => hosts.wanted = Wanted::Any,
            (Use::Replica, Wanted::ReadWrite | Wanted::Any) => {
                hosts.wanted = Wanted::PreferStandby;
                let first = std::process::id() as usize % hosts.all.len();
                hosts.all.rotate_left(first);
            }
            _ => {}
        }
        let listen = listen_url.map(|url| Hosts::of(url, |options| direct(options, patience))).transpose()?;
        Ok(Self {
            hosts,
            direct: listen,
            in_transaction: pooler.then(|| patience.in_transaction()),
            split: Split::of(max_connections),
            patience,
            deadlines,
            doubts: Notify::new(),
            left: AtomicBool::new(false),
            closed: Notify::new(),
            heart: Mutex::default(),
        })
    }

    fn generation(&self, number: u64, options: &Arc<PgConnectOptions>, statements: &Arc<Statements>) -> Generation {
        let Split { loaders, reads, writes } = self.split;
        let pool = |most: u32| {
            let pool = pool_options(most, self.deadlines).connect_lazy_with(PgConnectOptions::clone(options));
            counted(SqlxPostgresConnector::from_sqlx_postgres_pool(pool), statements)
        };
        let reads = pool(reads);
        let writes = if writes == 0 { reads.clone() } else { pool(writes) };
        let loaders = (loaders > 0).then(|| Stock::of_postgres(reads.get_postgres_connection_pool().clone(), loaders));
        Generation::new(number, Some(Arc::clone(options)), reads, writes, loaders)
    }
}

/// Returns the options of a pool of at most `most` connections.
pub(super) fn pool_options(most: u32, deadlines: Deadlines) -> PgPoolOptions {
    PgPoolOptions::new().max_connections(most).acquire_timeout(deadlines.stalled()).test_before_acquire(false)
}

/// Lets every statement on `connection` be counted.
pub(super) fn counted(mut connection: DatabaseConnection, statements: &Arc<Statements>) -> DatabaseConnection {
    let statements = Arc::clone(statements);
    connection.set_metric_callback(move |info| statements.ran(Some(&info.statement.sql), info.elapsed, info.failed));
    connection
}

/// Whether a statement failed because its connection is of no more use.
pub(super) fn is_broken(error: &DbErr) -> bool {
    let error = match error {
        DbErr::Query(RuntimeErr::SqlxError(error))
        | DbErr::Exec(RuntimeErr::SqlxError(error))
        | DbErr::Conn(RuntimeErr::SqlxError(error)) => error,
        _ => return false,
    };
    match &**error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) => true,
        // The server was told to end sessions, or it ends, or it has crashed.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| ["57P01", "57P02", "57P03"].contains(&&*code)),
        _ => false,
    }
}

/// The result of one heartbeat.
enum Beat {
    Answered(Standing),
    /// The connection broke, or its server is the wanted one no more.
    Broken,
    /// Nothing came, and this fresh connection answers.
    Silent(Found),
    /// Nothing came, not even to a fresh connection.
    Dead(Unfound),
}

/// Watches over a line as long as it is used.
async fn beat(line: Weak<Line>, connection: PgConnection) {
    let mut heart = Heart { connection: Some(connection), away: None };
    loop {
        let Some(line) = line.upgrade() else { return };
        let Some(remote) = &line.remote else { return };
        let pause = async {
            tokio::time::sleep(SHORTEST).await;
            let rest = if heart.away.is_some() { AGAIN } else { BEAT } - SHORTEST;
            let _ = tokio::time::timeout(rest, remote.doubts.notified()).await;
        };
        tokio::select! {
            biased;
            () = remote.closed.notified() => break,
            () = pause => {}
        }
        tokio::select! {
            biased;
            () = remote.closed.notified() => break,
            () = heart.beat(&line, remote) => {}
        }
    }
    if let Some(connection) = heart.connection {
        let _ = tokio::time::timeout(CONNECT, connection.close()).await;
    }
}

/// What watches over a line.
struct Heart {
    /// `None` when it has to be opened for the next beat.
    connection: Option<PgConnection>,
    /// Since when, and why, the database cannot be reached.
    away: Option<(Instant, Arc<str>)>,
}

impl Heart {
    /// One beat, with what follows from it.
    async fn beat(&mut self, line: &Line, remote: &Remote) {
        let generation = line.last();
        let is_left = remote.left.swap(false, Ordering::Relaxed);
        let beat = match self.connection.take().filter(|_| !is_left) {
            Some(mut connection) => match remote.listen(&mut connection, &generation).await {
                Beat::Answered(standing) if remote.hosts.suits(standing) => {
                    line.stands(standing);
                    self.connection = Some(connection);
                    return;
                }
                Beat::Answered(_) => Beat::Broken,
                beat => beat,
            },
            None => Beat::Broken,
        };
        match beat {
            Beat::Answered(_) => {}
            Beat::Silent(found) => {
                let reason = Arc::from(format!("connections to the database at {} went silent", generation.place()));
                tracing::warn!("{reason}; new ones are opened");
                self.moves(line, found, &reason, || line.abandon(&generation, &reason));
            }
            Beat::Dead(unfound) => self.cannot(line, unfound.reason),
            Beat::Broken => match find(&remote.candidates(&generation, is_left), PROBE).await {
                Ok(found) => self.can(line, &generation, found),
                // The server answers, and other connections to it work.
                Err(unfound)
                    if unfound.refusing.contains(&generation.place())
                        && self.away.is_none()
                        && line.is_current(&generation)
                        && generation.proven.load(Ordering::Relaxed) => {}
                Err(unfound) => self.cannot(line, unfound.reason),
            },
        }
    }

    /// There is a connection again.
    fn can(&mut self, line: &Line, generation: &Generation, found: Found) {
        let away = self.away.take();
        let to = place(&found.options);
        let reason =
            Arc::from(format!("connections go to the database at {to}, and no more to {}", generation.place()));
        // What broke this connection may have broken the others: the server was restarted.
        self.moves(line, found, &reason, || {
            if away.is_none() {
                line.replace(generation.number);
            }
        });
        if let Some((began, _)) = away {
            line.is_back();
            let millis = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::warn!(millis, "the database at {to} can be reached again");
        }
    }

    /// Goes on with what was found: everything moves there if it is elsewhere, and else what `stays` does is done.
    fn moves(&mut self, line: &Line, found: Found, reason: &Arc<str>, stays: impl FnOnce()) {
        let is_same = line.last().options.as_deref().is_some_and(|known| hosts::is_same(known, &found.options));
        if is_same {
            stays();
        } else {
            tracing::warn!("{reason}");
            line.move_to(&found.options, reason);
        }
        line.stands(found.standing);
        self.connection = Some(found.connection);
    }

    /// There is none.
    fn cannot(&mut self, line: &Line, why: Arc<str>) {
        match &mut self.away {
            Some((_, known)) if *known == why => {}
            Some((_, known)) => {
                tracing::warn!("{why}");
                known.clone_from(&why);
                line.is_away(&why);
            }
            None => {
                tracing::error!("{why}; it is tried until it can");
                line.is_away(&why);
                self.away = Some((Instant::now(), why));
            }
        }
    }
}

impl Remote {
    /// The servers in the order in which they are wanted: those behind the one of `generation` first when that is left.
    fn candidates(&self, generation: &Generation, is_left: bool) -> Hosts {
        let mut hosts = self.hosts.clone();
        if is_left && let Some(at) = hosts.all.iter().position(|one| place(one) == generation.place()) {
            hosts.all.rotate_left(at + 1);
        }
        hosts
    }

    /// Asks over a connection that should be there, and over a fresh one when it is silent.
    async fn listen(&self, connection: &mut PgConnection, generation: &Generation) -> Beat {
        let heard = |answer: Result<Standing, sqlx::Error>| answer.map_or(Beat::Broken, Beat::Answered);
        let mut answer = pin!(ask(connection));
        let (mut opening, mut fresh) = (pin!(find(&self.hosts, PROBE)), None);
        let mut silence = Duration::ZERO;
        while silence < self.deadlines.silence {
            tokio::select! {
                biased;
                answer = &mut answer => return heard(answer),
                opened = &mut opening, if silence >= self.deadlines.doubtful() && fresh.is_none() => fresh = Some(opened),
                passed = turn() => silence += passed,
            }
            if silence >= self.deadlines.dead() && matches!(fresh, Some(Ok(_))) {
                break;
            }
        }
        match fresh {
            Some(Ok(fresh)) => Beat::Silent(fresh),
            Some(Err(unfound)) => Beat::Dead(unfound),
            None => {
                let reason = Arc::from(reason(&generation.place(), &silent()));
                Beat::Dead(Unfound { reason, refusing: Vec::new() })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_has_connections_of_its_own_where_there_are_three() {
        for all in 1..200 {
            let Split { loaders, reads, writes } = Split::of(all);
            assert_eq!(loaders + reads + writes, all, "{all}");
            assert!(reads > 0, "{all}");
            assert_eq!(loaders > 0, all > 2, "{all}");
            assert_eq!(writes > 0, all > 1, "{all}");
        }
        assert_eq!(Split::of(10), Split { loaders: 5, reads: 2, writes: 3 });
    }

    #[test]
    fn a_server_is_named_without_the_password() {
        let hosts = Hosts::of("postgres://me:hunter2@db.example:6543/waymark", named).unwrap();
        assert_eq!(place(&hosts.all[0]), "db.example:6543");
        let error = sqlx::Error::Io(std::io::Error::from(std::io::ErrorKind::ConnectionRefused));
        assert!(!reason(&place(&hosts.all[0]), &error).contains("hunter2"));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_said_to_be_so_at_once() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let began = Instant::now();
        let url = format!("postgres://me:hunter2@{free}/waymark");
        let error = super::super::Db::connect(&url, 2).await.unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
        assert!(error.chain().contains(&free.to_string()) && !error.chain().contains("hunter2"), "{}", error.chain());
        assert_eq!(error.chain().matches("refused").count(), 1, "it is said once: {}", error.chain());
        assert!(began.elapsed() < CONNECT);
    }
}
