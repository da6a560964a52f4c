//! Whether everything that is kept beside its source still follows from it.
//!
//! A [`Check`] is a small value: a name, and a SELECT of the rows that differ. Each feature has those of its own tables
//! in its `check.rs`; together they are the list that a [`Verifier`] goes through, a few hundred users at a time, so
//! that neither the number of users nor that of their rows matters for memory. What it reads of one lot of users is one
//! state of the database, and every write leaves such a state whole, so writes may go on meanwhile.
//!
//! What follows from something else is mended by [`Verifier::repair`]; what it follows from (unlocks, entries of the
//! ledger, events) is never touched.

mod acknowledged;
mod check;
mod repair;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use acknowledged::{ACTION, Acknowledged};
pub use check::{Check, Found, Look};

use waymark_db::catalogue;
use waymark_db::catalogue::Catalogue;
use waymark_db::{Db, Param, Sql, Transaction, fetch, fetch_values, row};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Code, Error, Result};
use waymark_write::{Writer, audited};

/// How many users are looked at together.
const USERS: i64 = 200;
/// How often a lot of users is begun anew because the catalogue changed under it.
const TRIES: u32 = 20;

/// A stored value that does not follow from its source.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Difference {
    /// The ULID of the user it belongs to; `None` where it belongs to no user.
    pub user: Option<String>,
    /// The name of the check that found it.
    pub check: String,
    /// What differs.
    pub what: String,
    /// What is stored.
    pub stored: String,
    /// What follows from the source.
    pub expected: String,
}

/// One line: whose, what, what is stored, what should be.
impl fmt::Display for Difference {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { user, check, what, stored, expected } = self;
        write!(out, "{} {check}: {what}: {stored}, should be {expected}", user.as_deref().unwrap_or("-"))
    }
}

/// Whose rows are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// Those of all users, and those that belong to no user.
    All,
    /// Those of one user.
    User(i64),
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Count {
    /// The check's name.
    pub check: &'static str,
    /// How many differences it found.
    pub found: u64,
    /// How many of them were mended.
    pub mended: u64,
}

/// What a whole pass came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// How many users were looked at.
    pub users: u64,
    /// Every check, in its order.
    pub counts: Vec<Count>,
    /// How many differences are acknowledged; they count as none.
    pub acknowledged: u64,
}

impl Report {
    fn new(checks: &[&[Check]]) -> Self {
        let counts = all(checks).map(|check| Count { check: check.name, found: 0, mended: 0 }).collect();
        Self { users: 0, counts, acknowledged: 0 }
    }

    /// How many differences were found.
    pub fn found(&self) -> u64 {
        self.counts.iter().map(|count| count.found).sum()
    }

    /// How many of them were mended.
    pub fn mended(&self) -> u64 {
        self.counts.iter().map(|count| count.mended).sum()
    }

    fn add(&mut self, check: &str, found: u64, mended: u64) {
        if let Some(count) = self.counts.iter_mut().find(|count| count.check == check) {
            count.found += found;
            count.mended += mended;
        }
    }
}

/// One lot of users that was looked at, or the rows that belong to no user.
#[derive(Debug)]
pub struct Step {
    /// What was found; after a repair, what could not be mended.
    pub differences: Vec<Difference>,
    /// What was mended.
    pub mended: Vec<Difference>,
    /// What cannot be mended and is acknowledged.
    pub acknowledged: Vec<Difference>,
    /// How many users were looked at so far.
    pub done: u64,
    /// How many there are.
    pub total: u64,
}

/// What the last pass over everything came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Last {
    /// When it ended.
    pub at: Timestamp,
    /// How many differences it found.
    pub differences: u64,
}

/// Goes through the checks.
pub struct Verifier {
    db: Db,
    catalogue: Arc<Catalogue>,
    writer: Arc<Writer>,
    /// A list per feature.
    checks: &'static [&'static [Check]],
    last: Mutex<Option<Last>>,
}

impl fmt::Debug for Verifier {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Verifier({:?})", self.last())
    }
}

/// The hand-written statements of this file.
pub static STATEMENTS: [&Sql; 3] = [&COUNT, &USERS_AFTER, &SOME_USERS];

// The table of users is of a room that stands above this one.
static COUNT: Sql = Sql::new("SELECT count(*) FROM users");
static USERS_AFTER: Sql = Sql::new("SELECT id, ulid FROM users WHERE id > $1 ORDER BY id LIMIT $2");
static SOME_USERS: Sql = Sql::new("SELECT id, ulid FROM users WHERE id = ANY($1)");

row! {
    /// A user's id and ULID.
    struct Name { id: i64, ulid: String }
}

impl Verifier {
    /// Makes a verifier that goes through `checks`, a list per feature, and mends by `writer`.
    pub fn new(db: Db, catalogue: Arc<Catalogue>, writer: Arc<Writer>, checks: &'static [&'static [Check]]) -> Self {
        Self { db, catalogue, writer, checks, last: Mutex::default() }
    }

    /// What the last pass over everything came to; `None` when there was none since the start.
    pub fn last(&self) -> Option<Last> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks for differences and tells each lot of users as it goes.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn verify(&self, whose: Whose, now: Timestamp, told: &mut (dyn FnMut(&Step) + Send)) -> Result<Report> {
        let mut report = Report::new(self.checks);
        let mut pass = self.pass(whose).await?;
        let known = Acknowledged::of(&audited(self.db.reads(), ACTION).await?);
        while let Some(lot) = self.next(&mut pass).await? {
            let found = lot.found.into_iter().map(|(_, found)| found);
            let (acknowledged, differences): (Vec<_>, Vec<_>) = found.partition(|found| known.has(found));
            for difference in &differences {
                report.add(&difference.check, 1, 0);
            }
            report.acknowledged += acknowledged.len() as u64;
            let (mended, total) = (Vec::new(), pass.total.max(pass.done));
            told(&Step { differences, mended, acknowledged, done: pass.done, total });
        }
        report.users = pass.done;
        if whose == Whose::All {
            let last = Last { at: now, differences: report.found() };
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(last);
        }
        Ok(report)
    }

    async fn pass(&self, whose: Whose) -> Result<Pass> {
        let total = match whose {
            Whose::All => fetch_values::<i64>(self.db.reads(), &COUNT, []).await?,
            Whose::User(_) => vec![1],
        };
        let total = total.first().and_then(|count| u64::try_from(*count).ok()).unwrap_or_default();
        Ok(Pass { whose, after: Some(i64::MIN), done: 0, total, with_nobodys: whose == Whose::All })
    }

    /// The next lot of users; `None` when all were looked at.
    async fn next(&self, pass: &mut Pass) -> Result<Option<Lot>> {
        if let Some(after) = pass.after {
            let (users, found) = self.look(Some((pass.whose, after))).await?;
            let full = i64::try_from(users.len()).is_ok_and(|count| count == USERS);
            pass.after = users.last().copied().filter(|_| full && pass.whose == Whose::All);
            pass.done += users.len() as u64;
            return Ok(Some(Lot { of_users: true, found }));
        }
        if std::mem::take(&mut pass.with_nobodys) {
            let (_, found) = self.look(None).await?;
            return Ok(Some(Lot { of_users: false, found }));
        }
        Ok(None)
    }

    /// Checks the next users behind one, or the rows that belong to no user, in one state of the database for which the
    /// catalogue in memory is the right one.
    async fn look(&self, next: Option<(Whose, i64)>) -> Result<(Vec<i64>, Vec<(Option<i64>, Difference)>)> {
        for _ in 0..TRIES {
            let current = self.catalogue.current();
            let transaction = self.db.long_snapshot().await?;
            if catalogue::version(&transaction).await? != current.version() {
                transaction.rollback().await?;
                self.catalogue.refresh().await?;
                continue;
            }
            let users = match next {
                None => HashMap::new(),
                Some((Whose::User(user), _)) => names(&transaction, vec![user]).await?,
                Some((Whose::All, after)) => {
                    let names = fetch(&transaction, &USERS_AFTER, [Param::Int(after), Param::Int(USERS)]).await?;
                    names.into_iter().map(|Name { id, ulid }| (id, ulid)).collect()
                }
            };
            let mut ids: Vec<i64> = users.keys().copied().collect();
            ids.sort_unstable();
            let checks: Vec<Check> = all(self.checks).filter(|check| check.is_of_users() == next.is_some()).collect();
            let mut differences = Vec::new();
            for check in checks {
                let look = Look { transaction: &transaction, users: &ids, catalogue: &current };
                let found = check.find(look).await?;
                differences.extend(found.into_iter().map(|found| (found.user, found.named(&check, &users))));
            }
            transaction.commit().await?;
            return Ok((ids, differences));
        }
        Err(Error::new(Code::Unavailable, "the catalogue changes too often at the moment; try again"))
    }
}

/// All checks of these lists.
fn all(lists: &[&[Check]]) -> impl Iterator<Item = Check> {
    lists.iter().copied().flatten().copied()
}

/// How far a pass is.
struct Pass {
    whose: Whose,
    /// The last user that was looked at; `None` when there are no more.
    after: Option<i64>,
    done: u64,
    total: u64,
    /// Whether the rows that belong to no user are still to be checked.
    with_nobodys: bool,
}

/// What was found in one lot of users.
struct Lot {
    of_users: bool,
    found: Vec<(Option<i64>, Difference)>,
}

/// The ULIDs of these users.
async fn names(transaction: &Transaction, users: Vec<i64>) -> Result<HashMap<i64, String>> {
    let names = fetch(transaction, &SOME_USERS, [Param::Ints(users)]).await?;
    Ok(names.into_iter().map(|Name { id, ulid }| (id, ulid)).collect())
}

impl Found {
    fn named(self, check: &Check, users: &HashMap<i64, String>) -> Difference {
        let Self { user, what, stored, expected } = self;
        let user = user.and_then(|user| users.get(&user).cloned());
        Difference { user, check: check.name.to_owned(), what, stored, expected }
    }
}
