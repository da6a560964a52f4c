//! Running writes: retries, idempotency keys, and the way to the engine.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::group::WriteGroup;
use super::notifier::Notifier;
use super::repo::{self, Earlier, Idempotency, Locks, Told};
use super::seam::{Erased, Outcome, UseCase};
use super::turns::{Turns, Whose};
use super::unit::{Locked, Moment, Unit, Wish};
use super::{Event, Write, Written, packed, probe};
use waymark_auth::{Authenticator, Mark};
use waymark_db::catalogue::{Catalogue, Snapshot};
use waymark_db::{Db, Kind, Transaction, is_held};
use waymark_kernel::clock::{Ids, Timestamp, Watch};
use waymark_kernel::config::Config;
use waymark_kernel::error::{Code, Error, Result};
use waymark_kernel::metrics::{End, Metrics};
use waymark_kernel::trace;

/// How often a write that loses against others is tried, and for how long at most.
const TRIES: u32 = 5;
const PATIENCE: Duration = Duration::from_secs(2);

/// How long a transaction of one write waits for what another one has locked, at first and when it is tried again.
/// Short, because it takes a connection for as long, and because a write that waits to change the catalogue lets no
/// other write pass.
const FIRST_WAIT: Duration = Duration::from_millis(150);
const NEXT_WAIT: Duration = Duration::from_millis(300);
/// How long it stays away in between, and for how long it is tried.
const STAY_AWAY: Duration = Duration::from_millis(300);
const MOST_PATIENCE: Duration = Duration::from_secs(10);

/// How long an idempotency key is kept, in seconds: 7 days.
const KEPT_SECONDS: i64 = 7 * 24 * 60 * 60;
/// The longest idempotency key, in bytes.
const LONGEST_KEY: usize = 255;

/// Who wants a write, and when.
#[derive(Debug, Clone)]
pub struct Order {
    /// The instant of the request. A write's own is that of its transaction, and not before this one where the process
    /// tells the time.
    pub now: Timestamp,
    /// How the history names the author of the write.
    pub actor: String,
    /// Whose idempotency keys apply.
    pub principal: String,
    /// Whether an app or an operator wants it: it then vouches for the users whom the write changes.
    pub vouches: bool,
    /// The client's key for this write.
    pub key: Option<String>,
    /// What it leaves behind, when it was signed.
    pub mark: Option<Arc<Mark>>,
}

impl Order {
    fn wish(&self) -> Wish<'_> {
        Wish { actor: &self.actor, vouches: self.vouches }
    }
}

/// Runs writes.
pub struct Writer {
    tools: Arc<Tools>,
    authenticator: Arc<Authenticator>,
    notifier: Arc<Notifier>,
    group: WriteGroup,
    turns: Arc<Turns>,
}

/// What every write needs: the database, the clock, the settings and more.
pub(super) struct Tools {
    pub(super) db: Db,
    pub(super) watch: Watch,
    pub(super) ids: Arc<Ids>,
    pub(super) config: Arc<Config>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) metrics: Arc<Metrics>,
    /// One for each transaction of a single write that may be open at a time on PostgreSQL.
    alone: Arc<Semaphore>,
    /// One permit for each write that may wait for what another session has locked.
    waiting: Arc<Semaphore>,
}

impl Writer {
    /// Must be called inside a Tokio runtime.
    pub fn new(
        db: Db,
        watch: Watch,
        ids: Arc<Ids>,
        config: Arc<Config>,
        catalogue: Arc<Catalogue>,
        authenticator: Arc<Authenticator>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let notifier = Notifier::start(db.clone());
        let tools = Arc::new(Tools::new(db, watch, ids, config, catalogue, metrics));
        let group = WriteGroup::start(&tools);
        probe::start(&tools);
        Self { tools, authenticator, notifier, group, turns: Arc::default() }
    }

    /// What is counted and measured.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.tools.metrics
    }

    /// Carries out `write`. When this returns it is on disk, and what it changed in the catalogue is visible. When it
    /// is given up, the write is not begun, or is carried out to its end.
    ///
    /// # Errors
    /// The errors of the use case, [`Code::IdempotencyKeyReused`] when its key came before with another input,
    /// [`Code::InvalidCredential`] when its signature did, [`Code::ReadOnly`] where nothing is to be written, and
    /// [`Code::Unavailable`] when it lost against other writes too often, or nothing can be written.
    pub async fn run<W: Write>(&self, write: W, order: Order) -> Result<Written<W::Outcome>> {
        self.run_any(Arc::new(Erased(write)), order).await?.named()
    }

    async fn run_any(&self, write: Arc<dyn UseCase>, order: Order) -> Result<Written<Outcome>> {
        let name = write.traits().name;
        let running = self.tools.metrics.write(name);
        let span = tracing::debug_span!(target: trace::TARGET, "write", otel.name = name);
        let outcome = self.carry_out(write, order).instrument(span).await;
        running.ended(outcome.as_ref().map_or_else(End::of, |_| End::Done));
        outcome
    }

    async fn carry_out(&self, write: Arc<dyn UseCase>, order: Order) -> Result<Written<Outcome>> {
        self.tools.db.check_writes()?;
        let traits = write.traits();
        let idempotency = order.key.as_deref().map(|key| idempotency(&*write, &order, key)).transpose()?;
        // SQLite has one writer for all writes. On PostgreSQL writes wait for each other only where that pays.
        let sqlite = self.tools.db.kind() == Kind::Sqlite;
        let turn = match write.concerns() {
            _ if sqlite => None,
            _ if traits.catalogue => Some(self.turns.wait(Whose::Catalogue).await?),
            Some(user) => Some(self.turns.wait(Whose::User(user)).await?),
            None => None,
        };
        let (together, alone) = if sqlite || write.joins().is_some() {
            (Some(self.group.place().await?), None)
        } else {
            (None, Some(self.tools.place().await?))
        };
        let (tools, mark) = (Arc::clone(&self.tools), order.mark.clone());
        let is_about_one = !(traits.catalogue || traits.credentials || traits.identity);
        let whose =
            tools.db.has_replicas().then(|| (order.principal.clone(), write.concerns().filter(|_| is_about_one)));
        let (notifier, authenticator) = (Arc::clone(&self.notifier), Arc::clone(&self.authenticator));
        // In a task of its own, because the caller may go away at any time, and no half transaction must be left.
        let work = async move {
            let _turn = turn;
            let written = match together {
                Some(place) => place.run(write, order, idempotency).await,
                // Boxed: it is very large, and would be copied into the task with every write, this one or not.
                None => Box::pin(tools.run_alone(&*write, &order, idempotency.as_ref(), alone)).await,
            };
            // It may stand, too, when its commit was not answered.
            if let Some((principal, user)) = whose {
                tools.db.wrote(Some(&principal), user.as_ref().map(std::slice::from_ref));
            }
            let written = written?;
            if let Some(mark) = mark {
                mark.is_committed();
            }
            notifier.tell(&written.events);
            if traits.catalogue {
                tools.catalogue.refresh().await?;
            }
            if traits.credentials {
                authenticator.clear();
            }
            Ok(written)
        };
        let ended = tokio::spawn(work.in_current_span()).await;
        ended.unwrap_or_else(|_| Err(Error::internal("a write panicked")))
    }

    /// The newest state of the catalogue.
    pub fn catalogue(&self) -> Arc<Snapshot> {
        self.tools.catalogue.current()
    }

    /// Who waits for events of users.
    pub const fn notifier(&self) -> &Arc<Notifier> {
        &self.notifier
    }

    /// Forgets idempotency keys that are older than seven days.
    pub async fn forget_keys(&self) -> Result<u64> {
        let now = self.tools.moment(Timestamp::MIN);
        let transaction = self.tools.db.begin_long(None).await?;
        let forgotten = repo::forget_keys(&transaction, now, KEPT_SECONDS).await?;
        transaction.commit().await?;
        Ok(forgotten)
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Writer({:?})", self.tools.db.kind())
    }
}

fn idempotency(write: &dyn UseCase, order: &Order, key: &str) -> Result<Idempotency> {
    if key.is_empty() || key.len() > LONGEST_KEY || key.chars().any(char::is_control) {
        return Err(Error::bad_input(format!("an idempotency key has 1 to {LONGEST_KEY} printable characters")));
    }
    let body = write.input()?;
    Ok(Idempotency {
        principal: order.principal.clone(),
        mutation: write.traits().name,
        key: key.to_owned(),
        body_hash: Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect(),
    })
}

/// A write that is to be carried out, with who wants it.
pub(super) struct Wanted<'a> {
    pub(super) write: &'a dyn UseCase,
    pub(super) order: &'a Order,
    pub(super) idempotency: Option<&'a Idempotency>,
}

impl Tools {
    fn new(
        db: Db,
        watch: Watch,
        ids: Arc<Ids>,
        config: Arc<Config>,
        catalogue: Arc<Catalogue>,
        metrics: Arc<Metrics>,
    ) -> Self {
        // One connection is left for writes that are carried out together.
        let alone = db.most_writing().saturating_sub(1).max(1);
        let (alone, waiting) = (Arc::new(Semaphore::new(alone)), Arc::new(Semaphore::new((alone / 2).max(1))));
        Self { db, watch, ids, config, catalogue, metrics, alone, waiting }
    }

    /// A place among the transactions of single writes. May be given up at any time.
    pub(super) async fn place(&self) -> Result<Place> {
        let place = tokio::time::timeout(MOST_PATIENCE, Arc::clone(&self.alone).acquire_owned()).await;
        let busy = || Error::new(Code::Unavailable, "the database is too busy at the moment; try again");
        place.ok().and_then(Result::ok).ok_or_else(busy)
    }

    /// The instant of a write that begins now for a request of this instant.
    fn moment(&self, request: Timestamp) -> Moment {
        let by_database = self.db.kind() == Kind::Postgres && self.watch.is_system();
        Moment { now: self.watch.now().max(request), by_database }
    }

    /// Carries out `write` in a transaction of its own, again when it lost against others. `place` is given back in
    /// between.
    pub(super) async fn run_alone(
        &self,
        write: &dyn UseCase,
        order: &Order,
        idempotency: Option<&Idempotency>,
        place: Option<Place>,
    ) -> Result<Written<Outcome>> {
        let began = Instant::now();
        let (mut place, mut tries, mut wait) = (place, 0, FIRST_WAIT);
        let mut _waiting = None;
        loop {
            tries += 1;
            let error = match self.attempt_alone(write, order, idempotency, wait).await {
                Err(error) if error.is_passing() => error,
                outcome => return outcome,
            };
            let held = is_held(&error);
            let goes_on =
                if held { began.elapsed() < MOST_PATIENCE } else { tries < TRIES && began.elapsed() < PATIENCE };
            if !goes_on {
                return Err(given_up(error));
            }
            tracing::debug!(error = error.chain(), tries, mutation = write.traits().name, "a write is tried again");
            self.metrics.write_retries.increment(1);
            let had_place = place.take().is_some();
            _waiting = None;
            if held {
                tokio::time::sleep(STAY_AWAY + self.jitter(tries)).await;
                if !write.traits().catalogue {
                    // The holder of the lock keeps other writes waiting too, which must not take all connections.
                    let next = Arc::clone(&self.waiting).acquire_owned();
                    let Ok(next) = tokio::time::timeout_at(began + MOST_PATIENCE, next).await else {
                        return Err(given_up(error));
                    };
                    (_waiting, wait) = (next.ok(), NEXT_WAIT);
                }
            } else {
                self.catalogue.refresh().await?;
                tokio::time::sleep(self.jitter(tries)).await;
            }
            place = if had_place { Some(self.place().await?) } else { None };
        }
    }

    /// A few milliseconds, more with every try, and not the same for all who wait.
    fn jitter(&self, tries: u32) -> Duration {
        let [random] = self.ids.bytes::<1>();
        Duration::from_micros(u64::from(random) * 20 * u64::from(tries.min(TRIES)))
    }

    async fn attempt_alone(
        &self,
        write: &dyn UseCase,
        order: &Order,
        idempotency: Option<&Idempotency>,
        wait: Duration,
    ) -> Result<Written<Outcome>> {
        let transaction = self.db.begin_waiting(wait).await?;
        match self.attempt(&transaction, write, order, idempotency).await {
            Ok(written) => {
                transaction.commit().await?;
                Ok(written)
            }
            Err(error) => {
                transaction.rollback().await?;
                Err(error)
            }
        }
    }

    /// Carries out `write` in `transaction`, without ending it.
    pub(super) async fn attempt(
        &self,
        transaction: &Transaction,
        write: &dyn UseCase,
        order: &Order,
        idempotency: Option<&Idempotency>,
    ) -> Result<Written<Outcome>> {
        let moment = self.moment(order.now);
        if let Some(mark) = &order.mark {
            mark.keep(transaction, order.now).await?;
        }
        if let Some(idempotency) = idempotency
            && let [Some(before)] = &*repo::take_keys(transaction, &[idempotency], moment, KEPT_SECONDS).await?
        {
            return repeated(transaction, write, idempotency, before).await;
        }
        let written = if write.may_be_abandoned() {
            // In a transaction of its own inside this one, so that it can be undone without the key.
            let inner = transaction.savepoint().await?;
            let mut unit = Unit::new(&inner, moment, order.wish(), &self.ids, &self.config, self.catalogue.current());
            let outcome = write.perform(&mut unit).await?;
            let at = unit.now;
            if unit.is_abandoned() {
                drop(unit);
                inner.rollback().await?;
                Written { outcome, events: Vec::new(), at }
            } else {
                let events = unit.finish().await?;
                inner.commit().await?;
                Written { outcome, events, at }
            }
        } else {
            let mut unit =
                Unit::new(transaction, moment, order.wish(), &self.ids, &self.config, self.catalogue.current());
            let outcome = write.perform(&mut unit).await?;
            Written { outcome, at: unit.now, events: unit.finish().await? }
        };
        if let Some(idempotency) = idempotency {
            repo::keep_outcomes(transaction, &[(idempotency, text(write, &written)?)]).await?;
        }
        Ok(written)
    }

    /// Carries out several writes that [join](Write::joins), each for another user, in `transaction`, without ending
    /// it. What is for a user whom another transaction has locked has no answer, and is left for later. Fails when one
    /// of them does otherwise than by its idempotency key or its signature.
    pub(super) async fn attempt_together(
        &self,
        transaction: &Transaction,
        wanted: &[Wanted<'_>],
    ) -> Result<Vec<Option<Result<Written<Outcome>>>>> {
        let moment = self.moment(wanted.iter().map(|one| one.order.now).max().unwrap_or(Timestamp::MIN));
        let mut users = Vec::with_capacity(wanted.len());
        for one in wanted {
            users.push(one.write.joins().ok_or_else(|| Error::internal("a write that does not join"))?);
        }
        let mut sorted = users.clone();
        sorted.sort_unstable();
        let locks = repo::lock_free_users(transaction, sorted).await.map_err(in_the_way)?;
        let Locks { users: locked, version, time } = locks;
        let locked: HashMap<i64, Locked> = locked.into_iter().collect();
        let mut keys = HashSet::new();
        // A write with the key of another one of these is left for later, too.
        let mut is_first = |one: &Wanted<'_>| one.idempotency.is_none_or(|key| keys.insert(key.id()));
        let free = users.iter().copied().zip(wanted);
        let mut new: Vec<(i64, &Wanted<'_>)> =
            free.filter(|(user, one)| locked.contains_key(user) && is_first(one)).collect();
        let mut answers = before(transaction, &new, moment).await?;
        new.retain(|(user, _)| !answers.contains_key(user));
        if !new.is_empty() {
            let catalogue = self.catalogue.current();
            if version != catalogue.version() {
                return Err(Error::internal("the catalogue in memory is behind").passing());
            }
            let wish = Wish { actor: "", vouches: false };
            let mut unit = Unit::new(transaction, moment, wish, &self.ids, &self.config, catalogue);
            unit.take_over(locked.into_iter().filter(|(user, _)| new.iter().any(|(one, _)| one == user)), time);
            for (user, one) in &new {
                unit.order(*user, one.order.wish());
            }
            let writes: Vec<&dyn UseCase> = new.iter().map(|(_, one)| one.write).collect();
            let outcomes = match writes.first() {
                Some(first) => first.perform_together(&writes, &mut unit).await?,
                None => Vec::new(),
            };
            let at = unit.now;
            let mut events: HashMap<i64, Vec<(i64, Event)>> = HashMap::new();
            for (user, event) in unit.finish().await? {
                events.entry(user).or_default().push((user, event));
            }
            let mut kept = Vec::new();
            for (outcome, (user, one)) in outcomes.into_iter().zip(&new) {
                let done = Written { outcome, events: events.remove(user).unwrap_or_default(), at };
                if let Some(idempotency) = one.idempotency {
                    kept.push((idempotency, text(one.write, &done)?));
                }
                answers.insert(*user, Ok(done));
            }
            repo::keep_outcomes(transaction, &kept).await?;
        }
        Ok(users.iter().map(|user| answers.remove(user)).collect())
    }
}

/// A place among the transactions of single writes, until it is dropped.
pub(super) type Place = OwnedSemaphorePermit;

/// Returns the answers, by user, of those writes that came before, by their signatures and their idempotency keys. The
/// keys of the others are taken.
async fn before(
    transaction: &Transaction,
    wanted: &[(i64, &Wanted<'_>)],
    moment: Moment,
) -> Result<HashMap<i64, Result<Written<Outcome>>>> {
    let mut answers = HashMap::new();
    let mut keyed = Vec::new();
    for (user, Wanted { write, order, idempotency }) in wanted {
        if let Some(mark) = &order.mark {
            match mark.keep(transaction, order.now).await {
                Err(error) if error.code() == Code::InvalidCredential => {
                    answers.insert(*user, Err(error));
                    continue;
                }
                kept => kept?,
            }
        }
        keyed.extend(idempotency.map(|idempotency| (*user, *write, idempotency)));
    }
    let keys: Vec<&Idempotency> = keyed.iter().map(|(.., idempotency)| *idempotency).collect();
    let earlier = repo::take_keys(transaction, &keys, moment, KEPT_SECONDS).await?;
    for ((user, write, idempotency), earlier) in keyed.into_iter().zip(earlier) {
        let Some(earlier) = earlier else { continue };
        match repeated(transaction, write, idempotency, &earlier).await {
            Err(error) if error.code() != Code::IdempotencyKeyReused => return Err(error),
            answer => answers.insert(user, answer),
        };
    }
    Ok(answers)
}

/// A change of the catalogue keeps all writes waiting.
#[derive(Debug)]
struct InTheWay(Error);

impl std::fmt::Display for InTheWay {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "a change of the catalogue takes long: {}", self.0)
    }
}

impl std::error::Error for InTheWay {}

/// Marks the failure of a lock that waits for nothing but changes of the catalogue.
fn in_the_way(error: Error) -> Error {
    if !is_held(&error) {
        return error;
    }
    let message = "the catalogue is being changed for too long; try again";
    Error::caused(Code::Unavailable, message, InTheWay(error)).passing()
}

/// Whether a change of the catalogue kept the writes of a batch waiting for too long.
pub(super) fn is_in_the_way(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(|cause| cause.is::<InTheWay>())
}

/// Returns the outcome of the write that had this key before.
async fn repeated(
    transaction: &Transaction,
    write: &dyn UseCase,
    idempotency: &Idempotency,
    earlier: &Earlier,
) -> Result<Written<Outcome>> {
    if earlier.body_hash != idempotency.body_hash {
        return Err(Error::new(
            Code::IdempotencyKeyReused,
            "this idempotency key came before with another input; use a new key for a new write",
        ));
    }
    let text = packed::unpack(&earlier.outcome, &write.input()?)?;
    let Kept { outcome, at, told, mut events } = serde_json::from_str(&text).map_err(Error::internal)?;
    let outcome = write.read(&outcome)?;
    events.extend(repo::events(transaction, &told).await?);
    Ok(Written { outcome, events, at })
}

/// The outcome of a write as it is kept under a key; its events stand in the histories.
#[derive(Serialize, Deserialize)]
struct Kept {
    outcome: Box<RawValue>,
    #[serde(default)]
    at: Timestamp,
    #[serde(default)]
    told: Vec<Told>,
    /// As earlier versions kept them.
    #[serde(default = "Vec::new", skip_serializing)]
    events: Vec<(i64, Event)>,
}

/// The longest text that is kept under a key, in bytes.
const LONGEST_KEPT: usize = 64 * 1024;

/// Returns the outcome of a write as it is kept under a key.
fn text(write: &dyn UseCase, written: &Written<Outcome>) -> Result<String> {
    // The numbers of one write for one user follow each other.
    let mut parts: BTreeMap<i64, Told> = BTreeMap::new();
    for (user, Event { seq, .. }) in &written.events {
        let told = parts.entry(*user).or_insert(Told { user: *user, first: *seq, last: *seq });
        (told.first, told.last) = (told.first.min(*seq), told.last.max(*seq));
    }
    let told = parts.into_values().collect();
    let kept = Kept { outcome: write.to_json(&written.outcome)?, at: written.at, told, events: Vec::new() };
    let text = serde_json::to_string(&kept).map_err(Error::internal)?;
    let packed = packed::pack(&text, &write.input()?);
    if packed.len() > LONGEST_KEPT {
        let message = format!("what comes of it takes more than the {LONGEST_KEPT} bytes that are kept under a key");
        return Err(Error::limit(message));
    }
    Ok(packed)
}

/// Returns the error for the client when a write lost for the last time.
pub(super) fn given_up(error: Error) -> Error {
    if error.is_passing() && error.code() == Code::Internal {
        Error::caused(Code::Unavailable, "the write lost against others too often; try again", error)
    } else {
        error
    }
}
