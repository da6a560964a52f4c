//! Reading from replicas, and never what is older than what its reader has to see.
//!
//! A write marks whom it concerns with the instant of its end: its author, and the user whom it is about, or everybody
//! where it is not about one user. What is marked is read from the primary until a replica is known to have replayed
//! all that was committed by that instant. That is found out without a statement per write: a position of the
//! primary's log that was asked for after the instant lies behind the write, and a replica that has replayed up to
//! there has the write.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use sea_orm::sea_query::Value;
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, QueryResult, Statement};
use tokio::sync::Notify;

use super::lane::{Lane, Purpose};
use super::line::{Approach, Deadlines, Line, Use};
use super::pool::ConnectionPool;
use super::statements::{Asker, Statements};
use super::{Sql, fetch_values};
use waymark_kernel::config::Secret;
use waymark_kernel::error::{Error, Result};

/// The hand-written statements of this file.
pub static STATEMENTS: [&Sql; 2] = [&WRITTEN, &REPLAYED];

// The log of PostgreSQL is no table.
static WRITTEN: Sql =
    Sql::new("SELECT CAST(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') AS bigint)").on_postgres_alone();
static REPLAYED: Sql = Sql::new(
    "SELECT CAST(pg_wal_lsn_diff(CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()
         ELSE pg_current_wal_insert_lsn() END, '0/0') AS bigint)",
)
.on_postgres_alone();

/// How often it is asked what was replayed: while somebody waits for it, and else.
const OFTEN: Duration = Duration::from_millis(50);
const SELDOM: Duration = Duration::from_secs(1);
/// How far a replica may be behind. One that is further is left out until it is in step again.
const MOST: Duration = Duration::from_secs(10);
/// The page of a log, and the longest head of one: where a page begins, positions before and behind its head are one.
const PAGE: i64 = 8192;
const HEAD: i64 = 40;

/// How replicas are reached.
pub(super) struct Replicas {
    /// What the instants of marks are counted from.
    began: Instant,
    /// `None` until one was reached.
    pool: OnceLock<(ConnectionPool, Arc<Line>)>,
    /// Whether one is in step.
    in_step: AtomicBool,
    /// All that was committed by this instant is there, on the connections of the number `looked_at`.
    caught_up: AtomicU64,
    /// The number of the connections that were looked at; others may lead to a replica that is further behind.
    looked_at: AtomicU64,
    /// How much of the log a replica had yet to replay when it was last asked; less than 0 until one was.
    behind: AtomicI64,
    marks: Mutex<Marks>,
    marked: Arc<Notify>,
}

/// Until when whose writes are not known to be replayed.
#[derive(Default)]
struct Marks {
    everybody: u64,
    users: HashMap<i64, u64>,
    principals: HashMap<String, u64>,
}

impl std::fmt::Debug for Replicas {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Replicas(in step: {:?})", self.in_step)
    }
}

/// What is needed to reach them.
pub(super) struct Way {
    pub(super) url: Secret,
    pub(super) pooler: bool,
    pub(super) max_connections: u32,
    pub(super) deadlines: Deadlines,
}

impl Replicas {
    /// Begins to look for them, and to watch how far they are behind `primary`, for as long as this is kept.
    pub(super) fn start(way: Way, primary: Lane, statements: &Arc<Statements>) -> Arc<Self> {
        let replicas = Arc::new(Self {
            began: Instant::now(),
            pool: OnceLock::new(),
            in_step: AtomicBool::new(false),
            caught_up: AtomicU64::new(0),
            looked_at: AtomicU64::new(0),
            behind: AtomicI64::new(-1),
            marks: Mutex::default(),
            marked: Arc::default(),
        });
        let watch = watch(Arc::downgrade(&replicas), way, primary, Arc::clone(statements));
        tokio::spawn(Asker::Background.run(watch));
        replicas
    }

    /// The present instant; never 0.
    fn now(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX).saturating_add(1)
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, Marks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A write has ended, of this author, about these users; about everybody when they are not known.
    pub(super) fn mark(&self, principal: Option<&str>, users: Option<&[i64]>) {
        let (now, caught_up) = (self.now(), self.caught_up.load(Ordering::Acquire));
        let mut marks = self.marks();
        if let Some(principal) = principal {
            put(&mut marks.principals, principal.to_owned(), now, caught_up);
        }
        match users {
            Some(users) => users.iter().for_each(|user| put(&mut marks.users, *user, now, caught_up)),
            None => marks.everybody = now,
        }
        drop(marks);
        self.marked.notify_one();
    }

    /// Whether this caller reads what others have written only.
    pub(super) fn may_serve(&self, principal: &str) -> bool {
        let caught_up = self.caught_up.load(Ordering::Acquire);
        let marks = self.marks();
        self.in_step.load(Ordering::Acquire)
            && marks.everybody < caught_up
            && marks.principals.get(principal).is_none_or(|mark| *mark < caught_up)
    }

    /// The answer of a replica; `None` when the primary has to be asked, because the statement names somebody about
    /// whom something was written, or no replica can answer.
    pub(super) async fn ask(&self, statement: &Statement) -> Option<Vec<QueryResult>> {
        let (pool, line) = self.pool.get()?;
        if !self.was_looked_at(line) || !self.may_answer(statement) {
            return None;
        }
        match pool.query_all_raw(statement.clone()).await {
            // Another replica may have taken over in the midst of it.
            Ok(rows) => self.was_looked_at(line).then_some(rows),
            Err(error) => {
                tracing::debug!(%error, "a replica could not answer; the primary is asked");
                None
            }
        }
    }

    /// Whether one answers reads, and how many bytes of the log it had yet to replay when it was last asked.
    pub(super) fn figures(&self) -> (bool, Option<u64>) {
        (self.in_step.load(Ordering::Relaxed), u64::try_from(self.behind.load(Ordering::Relaxed)).ok())
    }

    /// Whether it is known how far the replica is that answers now.
    fn was_looked_at(&self, line: &Line) -> bool {
        line.number() == self.looked_at.load(Ordering::Acquire)
    }

    /// Whether nobody whom a statement may name is marked. Any number may be a user's.
    fn may_answer(&self, statement: &Statement) -> bool {
        let caught_up = self.caught_up.load(Ordering::Acquire);
        let marks = self.marks();
        let is_marked = |value: &Value| matches!(value, Value::BigInt(Some(id)) if marks.users.get(id).is_some_and(|mark| *mark >= caught_up));
        let names_marked = |value: &Value| match value {
            Value::Array(_, Some(items)) => items.iter().any(is_marked),
            value => is_marked(value),
        };
        self.in_step.load(Ordering::Acquire)
            && marks.everybody < caught_up
            && !statement.values.iter().flat_map(|values| &values.0).any(names_marked)
    }

    /// Whether somebody waits for what was written to be replayed.
    fn is_waited_for(&self) -> bool {
        let caught_up = self.caught_up.load(Ordering::Acquire);
        let mut marks = self.marks();
        marks.users.retain(|_, mark| *mark >= caught_up);
        marks.principals.retain(|_, mark| *mark >= caught_up);
        marks.everybody >= caught_up || !marks.users.is_empty() || !marks.principals.is_empty()
    }

    /// Closes the connections to them.
    pub(super) async fn close(&self) -> Result<(), DbErr> {
        match self.pool.get() {
            Some((_, line)) => line.close().await,
            None => Ok(()),
        }
    }

    fn steps(&self, in_step: bool, why: &str) {
        if self.in_step.swap(in_step, Ordering::AcqRel) != in_step {
            match in_step {
                true => tracing::info!("replicas answer reads"),
                false => tracing::warn!("the primary answers all reads: {why}"),
            }
        }
    }
}

fn put<K: Eq + Hash>(marks: &mut HashMap<K, u64>, key: K, now: u64, caught_up: u64) {
    // So that they are no more than those of the last seconds, however seldom it is looked.
    if marks.len() >= 1024 && marks.len().is_power_of_two() {
        marks.retain(|_, mark| *mark >= caught_up);
    }
    marks.insert(key, now);
}

/// A position of the primary's log behind all that was committed at an instant.
#[derive(Clone, Copy)]
struct Position {
    at: u64,
    log: i64,
}

/// Looks how far replicas are, for as long as there is a use of them.
async fn watch(weak: Weak<Replicas>, way: Way, primary: Lane, statements: Arc<Statements>) {
    let mut next: Option<Position> = None;
    let mut left: Option<Instant> = None;
    loop {
        let Some(replicas) = weak.upgrade() else { return };
        let looked = look(&replicas, &way, &primary, &statements, &mut next).await;
        let failed = looked.is_err();
        match (looked, next) {
            (Err(error), _) => replicas.steps(false, &error.chain()),
            (Ok(()), None) => replicas.steps(true, ""),
            (Ok(()), Some(next)) if replicas.now().saturating_sub(next.at) > micros(MOST) => {
                replicas.steps(false, "no replica is in step");
                // Each has its time to show that it is nearer.
                if let Some((_, line)) = replicas.pool.get().filter(|_| left.is_none_or(|left| left.elapsed() > MOST)) {
                    left = Some(Instant::now());
                    line.leave();
                }
            }
            (Ok(()), Some(_)) => {}
        }
        let soon = next.is_some() || replicas.is_waited_for();
        let marked = Arc::clone(&replicas.marked);
        drop(replicas);
        if failed {
            tokio::time::sleep(SELDOM).await;
        } else if soon {
            tokio::time::sleep(OFTEN).await;
        } else {
            let _ = tokio::time::timeout(SELDOM, marked.notified()).await;
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// Asks how far both are; `next` is the position that is waited for, if a replica has not replayed it yet.
async fn look(
    replicas: &Replicas,
    way: &Way,
    primary: &Lane,
    statements: &Arc<Statements>,
    next: &mut Option<Position>,
) -> Result<()> {
    let (pool, line) = match replicas.pool.get() {
        Some(pool) => pool,
        None => {
            let reached = reach(way, statements).await?;
            replicas.pool.get_or_init(|| reached)
        }
    };
    let number = line.number();
    let now = Position { at: replicas.now(), log: position(fetch_values(primary, &WRITTEN, []).await?.pop())? };
    // After a failover the new primary may lack what the old one had.
    let wanted = next.filter(|next| next.log <= now.log).unwrap_or(now);
    let replayed = position(fetch_values(pool, &REPLAYED, []).await?.pop())?;
    replicas.behind.store((now.log - replayed).max(0), Ordering::Relaxed);
    let has_all = replayed >= wanted.log;
    // Where others took over meanwhile, nobody knows which of them has answered.
    let has_all = has_all && line.number() == number;
    if has_all {
        replicas.caught_up.store(wanted.at, Ordering::Release);
        replicas.looked_at.store(number, Ordering::Release);
    }
    *next = (!has_all).then_some(wanted);
    Ok(())
}

/// A place in the log, without the head of a page that only begins.
fn position(answer: Option<i64>) -> Result<i64> {
    let place = answer.ok_or_else(|| Error::internal("the database does not say where its log is"))?;
    let within = place % PAGE;
    Ok(if within <= HEAD { place - within } else { place })
}

async fn reach(way: &Way, statements: &Arc<Statements>) -> Result<(ConnectionPool, Arc<Line>)> {
    let approach = Approach {
        url: way.url.expose(),
        listen_url: None,
        pooler: way.pooler,
        purpose: Use::Replica,
        max_connections: way.max_connections,
        deadlines: way.deadlines,
    };
    let line = Line::to_postgres(approach, Arc::clone(statements)).await?;
    let reads = Lane::new(Arc::clone(&line), Purpose::Reads, DbBackend::Postgres);
    Ok((ConnectionPool::new(Arc::clone(&line), reads), line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_page_is_no_place_of_its_own() {
        for (place, same) in
            [(8192, 8192), (8192 + 24, 8192), (16384 + 40, 16384), (8192 + 41, 8192 + 41), (8191, 8191)]
        {
            assert_eq!(position(Some(place)).unwrap(), same);
        }
        assert!(position(None).is_err());
    }

    #[test]
    fn what_was_marked_is_read_from_the_primary_until_it_was_replayed() {
        let replicas = Replicas {
            began: Instant::now(),
            pool: OnceLock::new(),
            in_step: AtomicBool::new(true),
            caught_up: AtomicU64::new(1),
            looked_at: AtomicU64::new(0),
            behind: AtomicI64::new(-1),
            marks: Mutex::default(),
            marked: Arc::default(),
        };
        let asks = |ids: &[i64]| {
            let ids: Vec<Value> = ids.iter().map(|id| (*id).into()).collect();
            let values = [Value::Array(sea_orm::sea_query::ArrayType::BigInt, Some(Box::new(ids))), 9_i64.into()];
            Statement::from_sql_and_values(DbBackend::Postgres, "SELECT 1", values)
        };
        assert!(replicas.may_serve("ada") && replicas.may_answer(&asks(&[1, 2])));
        replicas.mark(Some("ada"), Some(&[2]));
        assert!(!replicas.may_serve("ada") && replicas.may_serve("grace"));
        assert!(!replicas.may_answer(&asks(&[1, 2])) && replicas.may_answer(&asks(&[1, 3])));
        assert!(replicas.is_waited_for());
        replicas.caught_up.store(replicas.now() + 1, Ordering::Relaxed);
        assert!(replicas.may_serve("ada") && replicas.may_answer(&asks(&[1, 2])) && !replicas.is_waited_for());
        std::thread::sleep(Duration::from_millis(2));
        replicas.mark(Some("grace"), None);
        assert!(!replicas.may_serve("ada") && !replicas.may_answer(&asks(&[3])));
    }
}
