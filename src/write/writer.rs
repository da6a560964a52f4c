//! Running writes: retries, idempotency keys, and the way to the engine.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sea_orm::TransactionTrait as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tracing::Instrument as _;

use super::feed::Feed;
use super::group::Group;
use super::repo::{self, Idempotency};
use super::unit::Unit;
use super::{Event, Write, Written};
use crate::auth::Authenticator;
use crate::clock::{Ids, Timestamp};
use crate::config::Config;
use crate::db::catalogue::{Catalogue, Snapshot};
use crate::db::{Db, Kind, Transaction};
use crate::error::{Code, Error, Result};
use crate::metrics::{End, Metrics};
use crate::trace;

/// How often a write that loses against others is tried, and for how long at most.
const TRIES: u32 = 5;
const PATIENCE: Duration = Duration::from_secs(2);

/// How long an idempotency key is kept, in seconds: 7 days.
const KEPT_SECONDS: i64 = 7 * 24 * 60 * 60;
/// The longest idempotency key, in bytes.
const LONGEST_KEY: usize = 255;

/// Who wants a write, and when.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// The instant of the request.
    pub(crate) now: Timestamp,
    /// How the history names whoever wants it.
    pub(crate) actor: String,
    /// Whose idempotency keys apply.
    pub(crate) principal: String,
    /// The client's key for this write.
    pub(crate) key: Option<String>,
}

/// Runs writes.
pub(crate) struct Writer {
    tools: Arc<Tools>,
    authenticator: Arc<Authenticator>,
    feed: Arc<Feed>,
    group: Group,
}

/// What it takes to carry out a write.
pub(super) struct Tools {
    pub(super) db: Db,
    pub(super) ids: Arc<Ids>,
    pub(super) config: Arc<Config>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) metrics: Arc<Metrics>,
}

impl Writer {
    /// Must be called inside a Tokio runtime.
    pub(crate) fn new(
        db: Db,
        ids: Arc<Ids>,
        config: Arc<Config>,
        catalogue: Arc<Catalogue>,
        authenticator: Arc<Authenticator>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let feed = Feed::start(db.clone());
        let tools = Arc::new(Tools { db, ids, config, catalogue, metrics });
        let group = Group::start(&tools);
        Self { tools, authenticator, feed, group }
    }

    /// What is counted and measured.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.tools.metrics
    }

    /// Carries out `write`. When this returns it is on disk, and what it changed in the catalogue is visible.
    ///
    /// # Errors
    /// Whatever the use case fails with, [`Code::IdempotencyKeyReused`] when its key came before with another input,
    /// and [`Code::Unavailable`] when it lost against other writes too often.
    pub(crate) async fn run<W: Write>(&self, write: W, order: Order) -> Result<Written<W::Outcome>> {
        let running = self.tools.metrics.write(W::NAME);
        let span = tracing::debug_span!(target: trace::TARGET, "write", otel.name = W::NAME);
        let outcome = self.carry_out(write, order).instrument(span).await;
        running.ended(outcome.as_ref().map_or_else(End::of, |_| End::Done));
        outcome
    }

    async fn carry_out<W: Write>(&self, write: W, order: Order) -> Result<Written<W::Outcome>> {
        let idempotency = order.key.as_deref().map(|key| idempotency(&write, &order, key)).transpose()?;
        // SQLite has one writer, whatever is written. On PostgreSQL writes wait for each other only where that pays.
        let written = if self.tools.db.kind() == Kind::Sqlite || write.joins().is_some() {
            self.group.run(write, order, idempotency).await?
        } else {
            self.tools.run_alone(&write, &order, idempotency.as_ref()).await?
        };
        self.feed.tell(&written.events);
        if W::CATALOGUE {
            self.tools.catalogue.refresh().await?;
        }
        if W::CREDENTIALS {
            self.authenticator.clear();
        }
        Ok(written)
    }

    /// The newest state of the catalogue.
    pub(crate) fn catalogue(&self) -> Arc<Snapshot> {
        self.tools.catalogue.current()
    }

    /// Who waits for events of users.
    pub(crate) const fn feed(&self) -> &Arc<Feed> {
        &self.feed
    }

    /// Forgets idempotency keys that are older than seven days.
    pub(crate) async fn forget_keys(&self, now: Timestamp) -> Result<u64> {
        repo::forget_keys(self.tools.db.writes(), now.plus_seconds(-KEPT_SECONDS)).await
    }
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Writer({:?})", self.tools.db.kind())
    }
}

fn idempotency<W: Write>(write: &W, order: &Order, key: &str) -> Result<Idempotency> {
    if key.is_empty() || key.len() > LONGEST_KEY || key.chars().any(char::is_control) {
        return Err(Error::bad_input(format!("an idempotency key has 1 to {LONGEST_KEY} printable characters")));
    }
    let body = serde_json::to_vec(write).map_err(Error::internal)?;
    Ok(Idempotency {
        principal: order.principal.clone(),
        mutation: W::NAME,
        key: key.to_owned(),
        body_hash: Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect(),
    })
}

/// A write that is to be carried out, with who wants it.
pub(super) struct Wanted<'a, W> {
    pub(super) write: &'a W,
    pub(super) order: &'a Order,
    pub(super) idempotency: Option<&'a Idempotency>,
}

impl Tools {
    /// Carries out `write` in a transaction of its own, again when it lost against others.
    pub(super) async fn run_alone<W: Write>(
        &self,
        write: &W,
        order: &Order,
        idempotency: Option<&Idempotency>,
    ) -> Result<Written<W::Outcome>> {
        let began = Instant::now();
        let mut tries = 0;
        loop {
            tries += 1;
            match self.attempt_alone(write, order, idempotency).await {
                Err(error) if error.is_passing() && tries < TRIES && began.elapsed() < PATIENCE => {
                    tracing::debug!(error = error.chain(), tries, mutation = W::NAME, "a write is tried again");
                    self.metrics.write_retries.increment(1);
                    self.catalogue.refresh().await?;
                    tokio::time::sleep(self.jitter(tries)).await;
                }
                outcome => return outcome.map_err(given_up),
            }
        }
    }

    /// A few milliseconds, more with every try, and not the same for all who wait.
    fn jitter(&self, tries: u32) -> Duration {
        let [random] = self.ids.bytes::<1>();
        Duration::from_micros(u64::from(random) * 20 * u64::from(tries))
    }

    async fn attempt_alone<W: Write>(
        &self,
        write: &W,
        order: &Order,
        idempotency: Option<&Idempotency>,
    ) -> Result<Written<W::Outcome>> {
        let transaction = self.db.begin().await?;
        match self.attempt(&transaction, write, order, idempotency).await {
            Ok(written) => {
                transaction.commit().await?;
                Ok(written)
            }
            Err(error) => {
                // A connection that cannot even roll back is closed by its pool, which does the same.
                let _ = transaction.rollback().await;
                Err(error)
            }
        }
    }

    /// Carries out `write` in `transaction`, without ending it.
    pub(super) async fn attempt<W: Write>(
        &self,
        transaction: &Transaction,
        write: &W,
        order: &Order,
        idempotency: Option<&Idempotency>,
    ) -> Result<Written<W::Outcome>> {
        if let Some(idempotency) = idempotency
            && let Some(earlier) = earlier(transaction, idempotency, order.now).await?
        {
            return Ok(earlier);
        }
        let written = if write.may_be_abandoned() {
            // In a transaction of its own inside this one, so that it can be undone without the key.
            let inner = transaction.begin().await?;
            let mut unit =
                Unit::new(&inner, order.now, &self.ids, &self.config, &order.actor, self.catalogue.current());
            let outcome = write.perform(&mut unit).await?;
            if unit.is_abandoned() {
                drop(unit);
                inner.rollback().await?;
                Written { outcome, events: Vec::new() }
            } else {
                let events = unit.finish().await?;
                inner.commit().await?;
                Written { outcome, events }
            }
        } else {
            let mut unit =
                Unit::new(transaction, order.now, &self.ids, &self.config, &order.actor, self.catalogue.current());
            let outcome = write.perform(&mut unit).await?;
            Written { outcome, events: unit.finish().await? }
        };
        let kept = idempotency.map(|_| text(&written)).transpose()?;
        keep(transaction, idempotency, kept).await?;
        Ok(written)
    }

    /// Carries out several writes that [join](Write::joins), each for another user, in `transaction`, without ending it.
    /// Fails when one of them does otherwise than by its idempotency key.
    pub(super) async fn attempt_together<W: Write>(
        &self,
        transaction: &Transaction,
        wanted: &[Wanted<'_, W>],
    ) -> Result<Vec<Result<Written<W::Outcome>>>> {
        let mut answers = Vec::with_capacity(wanted.len());
        for Wanted { order, idempotency, .. } in wanted {
            answers.push(match idempotency {
                Some(idempotency) => match earlier(transaction, idempotency, order.now).await {
                    Err(error) if error.code() != Code::IdempotencyKeyReused => return Err(error),
                    answer => answer.transpose(),
                },
                None => None,
            });
        }
        // Those that are still to be done.
        let mut new = Vec::with_capacity(wanted.len());
        for (one, answer) in wanted.iter().zip(&answers) {
            if answer.is_none() {
                let user = one.write.joins().ok_or_else(|| Error::internal("a write that does not join"))?;
                new.push((user, one));
            }
        }
        let mut written = Vec::with_capacity(new.len());
        if let Some(latest) = new.iter().map(|(_, one)| one.order.now).max() {
            let mut unit = Unit::new(transaction, latest, &self.ids, &self.config, "", self.catalogue.current());
            for (user, one) in &new {
                unit.order(*user, one.order.now, &one.order.actor);
            }
            let writes: Vec<&W> = new.iter().map(|(_, one)| one.write).collect();
            let outcomes = W::perform_together(&writes, &mut unit).await?;
            let mut events: HashMap<i64, Vec<(i64, Event)>> = HashMap::new();
            for (user, event) in unit.finish().await? {
                events.entry(user).or_default().push((user, event));
            }
            for (outcome, (user, one)) in outcomes.into_iter().zip(new) {
                let done = Written { outcome, events: events.remove(&user).unwrap_or_default() };
                let kept = one.idempotency.map(|_| text(&done)).transpose()?;
                written.push(done);
                keep(transaction, one.idempotency, kept).await?;
            }
        }
        let mut written = written.into_iter();
        let mut answer = |answer: Option<Result<Written<W::Outcome>>>| {
            let none = || Err(Error::internal("a write has no outcome"));
            answer.unwrap_or_else(|| written.next().map_or_else(none, Ok))
        };
        Ok(answers.into_iter().map(&mut answer).collect())
    }
}

/// What came of the write that had this key before. When there was none, the key is taken.
async fn earlier<O: DeserializeOwned>(
    transaction: &Transaction,
    idempotency: &Idempotency,
    now: Timestamp,
) -> Result<Option<Written<O>>> {
    let since = now.plus_seconds(-KEPT_SECONDS);
    let Some(earlier) = repo::take_key(transaction, idempotency, now, since).await? else { return Ok(None) };
    if earlier.body_hash != idempotency.body_hash {
        return Err(Error::new(
            Code::IdempotencyKeyReused,
            "this idempotency key came before with another input; use a new key for a new write",
        ));
    }
    serde_json::from_str(&earlier.outcome).map(Some).map_err(Error::internal)
}

/// What came of a write, as it is kept under a key.
fn text<O: Serialize>(written: &Written<O>) -> Result<String> {
    serde_json::to_string(written).map_err(Error::internal)
}

/// Keeps what came of a write under its key, if it has one.
async fn keep(transaction: &Transaction, idempotency: Option<&Idempotency>, text: Option<String>) -> Result<()> {
    match idempotency.zip(text) {
        Some((idempotency, text)) => repo::keep_outcome(transaction, idempotency, text).await,
        None => Ok(()),
    }
}

/// What is told to the client when a write lost for the last time.
pub(super) fn given_up(error: Error) -> Error {
    if error.is_passing() && error.code() == Code::Internal {
        Error::caused(Code::Unavailable, "the write lost against others too often; try again", error)
    } else {
        error
    }
}
