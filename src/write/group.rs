//! Several writes in one commit.
//!
//! What a small write costs is mostly what does not depend on its size: round trips, locks, and the wait for the disk.
//! So writes of one kind that wait at the same time, each for another user, are carried out as one: locked, read,
//! decided and stored by the same statements (`Write::perform_together`). A write that comes while nothing is under way
//! goes at once, and the busier the database is, the more writes come together: a second transaction goes beside the
//! first one when enough wait, or after some milliseconds. When one of them fails, all are undone, and each is carried
//! out by itself.
//!
//! On PostgreSQL a few workers share what waits; each transaction has writes of one kind, so that locks are taken in
//! one order. No transaction waits there for a user whom another one has locked: a write for such a user is left out,
//! and carried out by itself, beside the others, as soon as that is possible. SQLite has one writer at a time, so one
//! worker carries out all writes, of all kinds: as many as are waiting go into the same transaction, in savepoints, and
//! are answered after its commit.

use std::any::TypeId;
use std::collections::{HashSet, VecDeque};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Mutex, Notify, mpsc, oneshot};
use tokio::time::Instant;

use super::Written;
use super::repo::Idempotency;
use super::seam::{Outcome, UseCase};
use super::writer::{Order, Tools, Wanted, given_up, is_in_the_way};
use waymark_db::{Kind, Transaction};
use waymark_kernel::error::{Error, Result};

/// How many writes one commit carries at most, so that the first of them is not kept waiting.
const MOST: usize = 128;
/// How many things they do at most, unless one of them does more by itself.
const MOST_THINGS: usize = 2000;
/// How many writes may wait before those who ask have to wait for a place.
const WAITING: usize = 1024;
/// How many transactions of joined writes run at a time on PostgreSQL: while one waits for the disk, another one works.
const WORKERS: usize = 2;
/// How many writes must wait to go beside others; fewer wait for those and grow, for so long at most. A transaction has
/// a price of its own, which few writes would pay for little.
const WORTHWHILE: usize = 24;
const LONGEST_WAIT: Duration = Duration::from_millis(20);
/// How often a write is tried whose catalogue was behind.
const TRIES: u32 = 3;
/// How often, and after which pause, a commit is begun that finds the database locked by another process.
const BEGINNINGS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(50);
/// How long a transaction on PostgreSQL waits for what others have locked, which is no user, and for how long it is
/// tried again while a change of the catalogue is in the way.
const WAIT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(10);

/// The tasks that carry out writes together.
pub(super) struct WriteGroup {
    jobs: mpsc::Sender<Job>,
}

impl WriteGroup {
    /// Starts the tasks, which end when the group is dropped.
    pub(super) fn start(tools: &Arc<Tools>) -> Self {
        let (jobs, waiting) = mpsc::channel(WAITING);
        let queue = Queue { waiting, ready: VecDeque::new(), under_way: Arc::default() };
        let queue = Arc::new(Mutex::new(queue));
        let workers = if tools.db.kind() == Kind::Sqlite { 1 } else { WORKERS };
        for _ in 0..workers {
            tokio::spawn(work(Arc::clone(tools), Arc::clone(&queue)));
        }
        Self { jobs }
    }

    /// A place in the queue. May be given up at any time.
    pub(super) async fn place(&self) -> Result<Place> {
        let place = self.jobs.clone().reserve_owned().await;
        place.map(Place).map_err(|_| stopped())
    }
}

/// A place in the queue.
pub(super) struct Place(mpsc::OwnedPermit<Job>);

impl Place {
    /// Carries out `write` together with others.
    pub(super) async fn run(
        self,
        write: Arc<dyn UseCase>,
        order: Order,
        idempotency: Option<Idempotency>,
    ) -> Result<Written<Outcome>> {
        let (answer, answered) = oneshot::channel();
        self.0.send(Job { write, order, idempotency, written: None, answer });
        answered.await.map_err(|_| stopped())?
    }
}

fn stopped() -> Error {
    Error::internal("the task that writes has stopped")
}

/// Writes that are carried out as one; several only when they join.
type Batch = Vec<Job>;

/// What waits to be carried out.
struct Queue {
    waiting: mpsc::Receiver<Job>,
    /// What was taken from there, and did not fit into a batch.
    ready: VecDeque<Job>,
    under_way: Arc<UnderWay>,
}

/// How many commits are being prepared.
#[derive(Default)]
struct UnderWay {
    count: AtomicUsize,
    one_less: Notify,
}

/// One of them, until it is dropped.
struct Commit(Arc<UnderWay>);

impl Drop for Commit {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.one_less.notify_one();
    }
}

impl Queue {
    /// What goes into the next commit, as soon as there is anything, or beside another commit enough; `None` when
    /// nothing will come any more.
    async fn next(&mut self, several: bool) -> Option<(Vec<Batch>, Commit)> {
        if self.ready.is_empty() {
            let job = self.waiting.recv().await?;
            self.ready.push_back(job);
        }
        let mut long_enough = pin!(tokio::time::sleep(LONGEST_WAIT));
        loop {
            while self.ready.len() < MOST {
                let Ok(job) = self.waiting.try_recv() else { break };
                self.ready.push_back(job);
            }
            if self.ready.len() >= WORTHWHILE || self.under_way.count.load(Ordering::Acquire) == 0 {
                break;
            }
            tokio::select! {
                job = self.waiting.recv() => match job {
                    Some(job) => self.ready.push_back(job),
                    None => break,
                },
                () = self.under_way.one_less.notified() => {}
                () = &mut long_enough => break,
            }
        }
        self.under_way.count.fetch_add(1, Ordering::AcqRel);
        let commit = Commit(Arc::clone(&self.under_way));
        let mut batches = Vec::new();
        while let Some(first) = self.ready.pop_front() {
            // A change of the catalogue goes alone: what comes after it is to find the new one in memory.
            let alone = first.changes_catalogue();
            if alone && !batches.is_empty() {
                self.ready.push_front(first);
                break;
            }
            batches.push(self.batch(first));
            if alone || !several {
                break;
            }
        }
        Some((batches, commit))
    }

    /// `first` with those that join it. A second write for the same user has to wait for the first one.
    fn batch(&mut self, first: Job) -> Batch {
        let Some((kind, user)) = first.joins() else { return vec![first] };
        let mut users = HashSet::from([user]);
        let mut things = first.size();
        let mut batch = vec![first];
        for job in std::mem::take(&mut self.ready) {
            match job.joins() {
                Some((other, user)) if other == kind && things + job.size() <= MOST_THINGS && users.insert(user) => {
                    things += job.size();
                    batch.push(job);
                }
                _ => self.ready.push_back(job),
            }
        }
        batch
    }
}

async fn work(tools: Arc<Tools>, queue: Arc<Mutex<Queue>>) {
    let sqlite = tools.db.kind() == Kind::Sqlite;
    loop {
        let next = queue.lock().await.next(sqlite).await;
        let Some((mut batches, commit)) = next else { return };
        let outcome = if sqlite { all(&tools, &mut batches).await } else { one(&tools, &mut batches).await };
        drop(commit);
        let writes: usize = batches.iter().map(Vec::len).sum();
        tools.metrics.group_commit.record(u32::try_from(writes).unwrap_or(u32::MAX));
        for job in batches.into_iter().flatten() {
            if sqlite || job.is_done() {
                job.answer(outcome.clone());
            } else {
                tokio::spawn(alone(Arc::clone(&tools), job));
            }
        }
    }
}

/// Carries out one write by itself, and answers the task that waits for it.
async fn alone(tools: Arc<Tools>, mut job: Job) {
    let done = AssertUnwindSafe(job.perform_alone(&tools)).catch_unwind().await;
    done.unwrap_or_else(|_| job.fail(panicked()));
    job.answer(Ok(()));
}

/// Carries out a batch in a transaction of its own. What has no outcome then is still to be done.
async fn one(tools: &Tools, batches: &mut [Batch]) -> Result<()> {
    let began = Instant::now();
    let Some(batch) = batches.first_mut() else { return Ok(()) };
    loop {
        let error = match together(tools, batch).await {
            Ok(()) => return Ok(()),
            Err(Undone::No(error)) => {
                batch.iter_mut().for_each(|job| job.fail(error.clone()));
                return Ok(());
            }
            Err(Undone::Yes(error)) => error,
        };
        batch.iter_mut().for_each(|job| job.forget());
        if is_in_the_way(&error) && began.elapsed() < PATIENCE {
            continue;
        }
        // Tried by itself each of them would fail for the same.
        if is_in_the_way(&error) || error.is_noted() || (batch.len() == 1 && !error.is_passing()) {
            batch.iter_mut().for_each(|job| job.fail(error.clone()));
            return Ok(());
        }
        tracing::debug!(error = error.chain(), writes = batch.len(), "joined writes are done one by one");
        // It may be behind, which would fail each of them once more.
        return tools.catalogue.refresh().await;
    }
}

/// Whether what failed is known to have left nothing behind.
enum Undone {
    Yes(Error),
    No(Error),
}

async fn together(tools: &Tools, batch: &mut [Job]) -> Result<(), Undone> {
    let transaction = begin(tools).await.map_err(Undone::Yes)?;
    match joined(tools, &transaction, batch).await {
        Ok(()) => transaction
            .commit()
            .await
            .map_err(|error| if error.is_passing() { Undone::Yes(error) } else { Undone::No(error) }),
        Err(error) => {
            transaction.rollback().await.map_err(Undone::Yes)?;
            Err(Undone::Yes(error))
        }
    }
}

/// Carries out everything in one transaction, several batches each in a savepoint. Fails only when the whole is of no
/// use any more.
async fn all(tools: &Tools, batches: &mut [Batch]) -> Result<()> {
    if let [batch] = batches {
        return by_itself(tools, batch).await;
    }
    let transaction = begin(tools).await?;
    match fill(tools, &transaction, batches).await {
        Ok(()) => transaction.commit().await,
        Err(error) => {
            transaction.rollback().await?;
            Err(error)
        }
    }
}

/// Carries out a batch in a transaction, or each of its writes in one.
async fn by_itself(tools: &Tools, batch: &mut Batch) -> Result<()> {
    if batch.len() > 1 {
        match together(tools, batch).await {
            Ok(()) => {}
            Err(Undone::No(error)) => return Err(error),
            Err(Undone::Yes(error)) => {
                tracing::debug!(error = error.chain(), writes = batch.len(), "joined writes are done one by one");
                batch.iter_mut().for_each(|job| job.forget());
                // It may be behind, which would fail each of them once more.
                tools.catalogue.refresh().await?;
            }
        }
    }
    for job in batch.iter_mut().filter(|job| !job.is_done()) {
        let done = AssertUnwindSafe(job.perform_alone(tools)).catch_unwind().await;
        done.unwrap_or_else(|_| job.fail(panicked()));
    }
    Ok(())
}

async fn fill(tools: &Tools, transaction: &Transaction, batches: &mut [Batch]) -> Result<()> {
    for batch in batches {
        if batch.len() > 1 {
            let savepoint = transaction.savepoint().await?;
            match joined(tools, &savepoint, batch).await {
                Ok(()) => savepoint.commit().await?,
                Err(_) => savepoint.rollback().await?,
            }
        }
        for job in batch.iter_mut().filter(|job| !job.is_done()) {
            perform(tools, transaction, job).await?;
        }
    }
    Ok(())
}

/// Carries out a batch of several writes as one in `transaction`.
async fn joined(tools: &Tools, transaction: &Transaction, batch: &mut [Job]) -> Result<()> {
    let performed = {
        let wanted: Vec<Wanted<'_>> = batch.iter().map(|job| job.wanted()).collect();
        AssertUnwindSafe(tools.attempt_together(transaction, &wanted)).catch_unwind().await
    };
    let answers = performed.unwrap_or_else(|_| Err(panicked()))?;
    for (job, answer) in batch.iter_mut().zip(answers) {
        job.written = answer;
    }
    Ok(())
}

async fn begin(tools: &Tools) -> Result<Transaction> {
    let mut beginnings = 1;
    loop {
        match tools.db.begin_waiting(WAIT).await {
            Err(error) if error.is_passing() && beginnings < BEGINNINGS => {
                beginnings += 1;
                tokio::time::sleep(PAUSE).await;
            }
            begun => return begun,
        }
    }
}

/// Carries out one job in a savepoint. Fails only when the whole transaction is of no use any more.
async fn perform(tools: &Tools, transaction: &Transaction, job: &mut Job) -> Result<()> {
    let mut tries = 1;
    loop {
        let savepoint = transaction.savepoint().await?;
        // A panic of one write must not take the others along, nor those to come.
        let performed = AssertUnwindSafe(job.perform(tools, &savepoint)).catch_unwind().await;
        let outcome = performed.unwrap_or_else(|_| Err(panicked()));
        match outcome {
            Ok(()) => return savepoint.commit().await,
            Err(error) => {
                savepoint.rollback().await?;
                if error.is_passing() && tries < TRIES {
                    tries += 1;
                    tools.metrics.write_retries.increment(1);
                    tools.catalogue.refresh().await?;
                    continue;
                }
                job.fail(error);
                return Ok(());
            }
        }
    }
}

fn panicked() -> Error {
    Error::internal("a write panicked")
}

/// A write that waits to be carried out, and who waits for it.
struct Job {
    write: Arc<dyn UseCase>,
    order: Order,
    idempotency: Option<Idempotency>,
    /// The outcome, until it is on disk.
    written: Option<Result<Written<Outcome>>>,
    answer: oneshot::Sender<Result<Written<Outcome>>>,
}

impl Job {
    fn wanted(&self) -> Wanted<'_> {
        Wanted { write: &*self.write, order: &self.order, idempotency: self.idempotency.as_ref() }
    }

    fn changes_catalogue(&self) -> bool {
        self.write.traits().catalogue
    }

    /// Returns what kind of write it is and the user whom it is about, when it may be carried out together with others.
    fn joins(&self) -> Option<(TypeId, i64)> {
        Some((self.write.traits().kind, self.write.joins()?))
    }

    /// Returns how many things it does.
    fn size(&self) -> usize {
        self.write.size()
    }

    /// Carries it out, and keeps the outcome until it is on disk.
    async fn perform(&mut self, tools: &Tools, transaction: &Transaction) -> Result<()> {
        let attempt = tools.attempt(transaction, &*self.write, &self.order, self.idempotency.as_ref());
        self.written = Some(Ok(attempt.await?));
        Ok(())
    }

    /// Carries it out in a transaction of its own.
    async fn perform_alone(&mut self, tools: &Tools) {
        let place = match tools.place().await {
            Ok(place) => place,
            Err(error) => return self.fail(error),
        };
        let (write, order, idempotency) = (&*self.write, &self.order, self.idempotency.as_ref());
        self.written = Some(tools.run_alone(write, order, idempotency, Some(place)).await);
    }

    /// Keeps the failure as the answer.
    fn fail(&mut self, error: Error) {
        self.written = Some(Err(given_up(error)));
    }

    /// Returns whether it was carried out or has failed.
    fn is_done(&self) -> bool {
        self.written.is_some()
    }

    /// Forgets its outcome, because that was undone.
    fn forget(&mut self) {
        self.written = None;
    }

    /// Answers the client that waits: with the outcome, unless the commit failed.
    fn answer(self, committed: Result<()>) {
        let never = || Err(Error::internal("a write was not carried out"));
        let answer = match (committed, self.written) {
            // What failed by itself failed whether or not the others did.
            (_, Some(Err(error))) | (Err(error), _) => Err(error),
            (Ok(()), written) => written.unwrap_or_else(never),
        };
        // When the client has gone, the answer is dropped; the write stands.
        let _ = self.answer.send(answer);
    }
}
