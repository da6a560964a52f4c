//! Several writes in one commit.
//!
//! SQLite has one writer at a time, and what a commit costs is mostly the wait for the disk. So one task carries out all
//! writes: as long as more are waiting, they go into the same transaction, each in a savepoint of its own, and
//! each is answered only after the commit.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use sea_orm::TransactionTrait as _;
use tokio::sync::{mpsc, oneshot};

use super::repo::Idempotency;
use super::writer::{Order, Tools, given_up};
use super::{Write, Written};
use crate::db::Transaction;
use crate::error::{Error, Result};

/// How many writes one commit carries at most, so that the first of them is not kept waiting.
const MOST: usize = 128;
/// How many writes may wait before those who ask have to wait for a place.
const WAITING: usize = 1024;
/// How often a write is tried whose catalogue was behind.
const TRIES: u32 = 3;
/// How often, and after which pause, a commit is begun that finds the database locked by another process.
const BEGINNINGS: u32 = 3;
const PAUSE: Duration = Duration::from_millis(50);

/// The task that carries out all writes.
pub(super) struct Group {
    jobs: mpsc::Sender<Box<dyn Job>>,
}

impl Group {
    /// Starts the task, which ends when the group is dropped.
    pub(super) fn start(tools: Arc<Tools>) -> Self {
        let (jobs, waiting) = mpsc::channel(WAITING);
        tokio::spawn(work(tools, waiting));
        Self { jobs }
    }

    /// Carries out `write` together with others.
    pub(super) async fn run<W: Write>(
        &self,
        write: W,
        order: Order,
        idempotency: Option<Idempotency>,
    ) -> Result<Written<W::Outcome>> {
        let (answer, answered) = oneshot::channel();
        let job = Box::new(Task { write, order, idempotency, written: None, answer });
        let stopped = || Error::internal("the task that writes has stopped");
        self.jobs.send(job).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

async fn work(tools: Arc<Tools>, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
    let mut next = None;
    loop {
        let first = match next.take() {
            Some(job) => job,
            None => match waiting.recv().await {
                Some(job) => job,
                None => return,
            },
        };
        let mut done = Vec::new();
        let outcome = together(&tools, first, &mut waiting, &mut done, &mut next).await;
        tools.metrics.group_commit.record(u32::try_from(done.len()).unwrap_or(u32::MAX));
        for job in done {
            job.answer(outcome.clone());
        }
    }
}

/// Carries out `first` and what waits behind it in one transaction. A change of the catalogue goes alone: what comes
/// after it is to find the new one in memory. `next` is then what has to wait for the next commit.
async fn together(
    tools: &Tools,
    first: Box<dyn Job>,
    waiting: &mut mpsc::Receiver<Box<dyn Job>>,
    done: &mut Vec<Box<dyn Job>>,
    next: &mut Option<Box<dyn Job>>,
) -> Result<()> {
    let alone = first.changes_catalogue();
    done.push(first);
    let transaction = begin(tools).await?;
    if let Some(job) = done.last_mut() {
        perform(tools, &transaction, job).await?;
    }
    while !alone && done.len() < MOST {
        let Ok(mut job) = waiting.try_recv() else { break };
        if job.changes_catalogue() {
            *next = Some(job);
            break;
        }
        let performed = perform(tools, &transaction, &mut job).await;
        done.push(job);
        performed?;
    }
    transaction.commit().await?;
    Ok(())
}

async fn begin(tools: &Tools) -> Result<Transaction> {
    let mut beginnings = 1;
    loop {
        match tools.db.begin().await {
            Err(error) if error.is_passing() && beginnings < BEGINNINGS => {
                beginnings += 1;
                tokio::time::sleep(PAUSE).await;
            }
            begun => return begun,
        }
    }
}

/// Carries out one job in a savepoint. Fails only when the whole transaction is of no use any more.
async fn perform(tools: &Tools, transaction: &Transaction, job: &mut Box<dyn Job>) -> Result<()> {
    let mut tries = 1;
    loop {
        let savepoint = transaction.begin().await?;
        // A panic of one write must not take the others along, nor those to come.
        let performed = AssertUnwindSafe(job.perform(tools, &savepoint)).catch_unwind().await;
        let outcome = performed.unwrap_or_else(|_| Err(Error::internal("a write panicked")));
        match outcome {
            Ok(()) => return Ok(savepoint.commit().await?),
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

/// A write whose type is not named.
trait Job: Send {
    fn changes_catalogue(&self) -> bool;
    /// Carries it out, and keeps the outcome until it is on disk.
    fn perform<'a>(&'a mut self, tools: &'a Tools, transaction: &'a Transaction) -> BoxFuture<'a, Result<()>>;
    /// Keeps the failure as the answer.
    fn fail(&mut self, error: Error);
    /// Answers whoever waits: with the outcome, unless the commit failed.
    fn answer(self: Box<Self>, committed: Result<()>);
}

struct Task<W: Write> {
    write: W,
    order: Order,
    idempotency: Option<Idempotency>,
    written: Option<Result<Written<W::Outcome>>>,
    answer: oneshot::Sender<Result<Written<W::Outcome>>>,
}

impl<W: Write> Job for Task<W> {
    fn changes_catalogue(&self) -> bool {
        W::CATALOGUE
    }

    fn perform<'a>(&'a mut self, tools: &'a Tools, transaction: &'a Transaction) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            let attempt = tools.attempt(transaction, &self.write, &self.order, self.idempotency.as_ref());
            self.written = Some(Ok(attempt.await?));
            Ok(())
        })
    }

    fn fail(&mut self, error: Error) {
        self.written = Some(Err(given_up(error)));
    }

    fn answer(self: Box<Self>, committed: Result<()>) {
        let never = || Err(Error::internal("a write was not carried out"));
        let answer = match (committed, self.written) {
            // What failed by itself failed whatever became of the others.
            (_, Some(Err(error))) | (Err(error), _) => Err(error),
            (Ok(()), written) => written.unwrap_or_else(never),
        };
        // Nobody waits any more when the client has gone; the write stands.
        let _ = self.answer.send(answer);
    }
}
