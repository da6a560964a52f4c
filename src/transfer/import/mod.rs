//! Importing: records to rows, by chunks of one transaction each.
//!
//! A chunk is taken kind by kind, first what others refer to. For each kind the stored rows are read by one statement,
//! every record is decided in memory, and the rows that changed are written by one statement. A record that makes no
//! sense is reported and left out. Should the database itself refuse a row, the chunk is done again in halves until the
//! record is found.

pub(crate) mod catalogue;
mod others;
mod restoring;
mod users;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::lines::{self, Line, Source};
use super::ranges;
use super::records::Record;
use super::sql;
use waymark_db::catalogue::{self as stored, Snapshot};
use waymark_db::{Db, Kind as Engine, Transaction, is_held};
use waymark_kernel::clock::{Ids, Timestamp};
use waymark_kernel::config::Config;
use waymark_kernel::error::{Code, Error, Result};
use waymark_kinds as features;
use waymark_kinds::credits::told::{Place as Lot, Unsettled};
use waymark_kinds::seasons::told::settle;
use waymark_kinds::users::told::{Names, Standing, find_named, lock, stored_account};
use waymark_write::{Origin, Taken, Unit, raise_catalogue};

pub use restoring::Restoring;

/// How often a transaction that loses against others is tried.
const TRIES: u32 = 5;
/// How long a chunk waits for what somebody else has locked, and for how long it is tried again. It is short, because
/// whoever waits to change the catalogue lets nobody pass.
const WAIT: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_secs(60);
/// What an import came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Imported {
    /// How many records were read, bad ones included.
    pub records: u64,
    /// How many of them changed something.
    pub new: u64,
    /// How many said nothing new.
    pub unchanged: u64,
    /// How many could not be imported.
    pub bad: u64,
}

/// A record that could not be imported, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// The file as it was named; `-` for standard input.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u64,
    /// What is wrong.
    pub reason: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.file, self.line, self.reason)
    }
}

/// Imports the records of `sources` into `db` at `now`, with keys as they are. Otherwise the same as [`import_scoped`].
///
/// # Errors
/// Those of [`import_scoped`].
pub async fn import(
    db: &Db,
    ids: &Ids,
    now: Timestamp,
    sources: Vec<Source>,
    complain: &mut (dyn FnMut(Complaint) + Send),
    progress: &(dyn Fn(Imported) + Sync),
) -> Result<Imported> {
    import_scoped(db, ids, now, sources, false, complain, progress).await
}

/// Imports the records of `sources` into `db` at `now`. With `scope_keys`, keys of achievements and cards are unique
/// only within their game or collection, and get its key in front. Bad records are given to `complain`; `progress` is
/// told how far it is after every transaction. What was done stays when this fails or is killed; the same import again
/// goes on.
///
/// # Errors
/// When a file cannot be read or has another version, and when the database fails.
pub async fn import_scoped(
    db: &Db,
    ids: &Ids,
    now: Timestamp,
    sources: Vec<Source>,
    scope_keys: bool,
    complain: &mut (dyn FnMut(Complaint) + Send),
    progress: &(dyn Fn(Imported) + Sync),
) -> Result<Imported> {
    sources.iter().try_for_each(Source::check)?;
    let profiles = (sources.len() > 1).then(HashMap::new);
    // What has happened is bound by no setting.
    let config = Config::from_sources(None, []).map_err(Error::internal)?;
    let mut import = Import { db, ids, config: &config, now, erased: HashSet::new(), unsettled: BTreeMap::new() };
    let mut done = Imported::default();
    let mut chunks = lines::read(sources, scope_keys);
    // Users are taken by the first alone.
    let mut workers = [Worker { profiles, ..Worker::default() }, Worker::default()];
    let mut following = None;
    while let Some(chunk) = if following.is_some() { following.take() } else { chunks.recv().await } {
        let chunk = chunk?;
        import.note_erased(&chunk);
        // PostgreSQL stores what different users have at the same time; SQLite has one writer.
        if db.kind() == Engine::Postgres && is_of_facts(&chunk) {
            following = chunks.recv().await;
        }
        let beside = match &following {
            Some(Ok(next)) if is_of_facts(next) && are_apart(&chunk, next) => following.take().transpose()?,
            _ => None,
        };
        let both: Vec<Vec<Line>> = std::iter::once(chunk).chain(beside).collect();
        let checked: Vec<Vec<(&Line, &Record)>> =
            both.iter().map(|chunk| checked(chunk, now, &mut done, complain)).collect();
        let [one, other] = &mut workers;
        let outcomes = match checked.as_slice() {
            [first, second] => {
                let (first, second) = tokio::join!(import.take(one, first), import.take(other, second));
                vec![first?, second?]
            }
            some => vec![import.take(one, some.first().map_or(&[], Vec::as_slice)).await?],
        };
        for ((line, _), outcome) in checked.iter().flatten().zip(outcomes.into_iter().flatten()) {
            match outcome {
                Outcome::New => done.new += 1,
                Outcome::Unchanged => done.unchanged += 1,
                Outcome::Bad(reason) => {
                    done.bad += 1;
                    complain(complaint(line, reason));
                }
            }
        }
        workers.iter_mut().for_each(|worker| import.gather(worker));
        done.records += both.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        progress(done);
    }
    for (complaint, was_new) in import.settle().await? {
        // It was counted with what landed before.
        *(if was_new { &mut done.new } else { &mut done.unchanged }) -= 1;
        done.bad += 1;
        complain(complaint);
    }
    if done.new > 0 {
        sql::tidy(db).await?;
    }
    Ok(done)
}

/// Whether all records of a chunk are facts that come to the same in any order.
fn is_of_facts(chunk: &[Line]) -> bool {
    chunk.iter().filter_map(|line| line.record.as_ref().ok()).all(Record::is_fact)
}

/// Whether two chunks are about different users, by the names that the records give them.
fn are_apart(one: &[Line], other: &[Line]) -> bool {
    users(one).is_disjoint(&users(other))
}

fn users(chunk: &[Line]) -> HashSet<&str> {
    chunk.iter().filter_map(|line| line.record.as_ref().ok()?.user()).collect()
}

/// The records of a chunk whose numbers and dates lie in their ranges.
fn checked<'a>(
    chunk: &'a [Line],
    now: Timestamp,
    done: &mut Imported,
    complain: &mut (dyn FnMut(Complaint) + Send),
) -> Vec<(&'a Line, &'a Record)> {
    let mut lines = Vec::with_capacity(chunk.len());
    for line in chunk {
        let checked = match &line.record {
            Ok(record) => ranges::check(record, now, line.has_history).map(|()| record),
            Err(reason) => Err(reason.clone()),
        };
        match checked {
            Ok(record) => lines.push((line, record)),
            Err(reason) => {
                done.bad += 1;
                complain(complaint(line, reason));
            }
        }
    }
    lines
}

fn complaint(line: &Line, reason: String) -> Complaint {
    Complaint { file: Arc::clone(&line.file), line: line.number, reason }
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    New,
    Unchanged,
    Bad(String),
}

struct Import<'a> {
    db: &'a Db,
    ids: &'a Ids,
    config: &'a Config,
    now: Timestamp,
    /// The files that know of an erasure, with the ULID of whoever was erased.
    erased: HashSet<(Arc<str>, String)>,
    /// Lots that did not follow from what had come by then, and the last record of each.
    unsettled: BTreeMap<Lot, (Place, Unsettled)>,
}

/// What takes one chunk after the other.
#[derive(Default)]
struct Worker {
    /// The catalogue as its last transaction left it.
    known: Option<Arc<Snapshot>>,
    /// How new the profiles are that it took from exports, while the events that say so are still to come. Several
    /// files may tell of one user; a single one does not.
    profiles: Option<HashMap<i64, Timestamp>>,
    unsettled: Vec<(Lot, (Place, Unsettled))>,
}

/// A file, a line in it, and whether that line changed something.
type Place = (Arc<str>, u64, bool);

/// How many lots are settled in one transaction.
const SETTLED_TOGETHER: usize = 1000;

impl Import<'_> {
    /// Settles what nothing came for.
    async fn settle(&mut self) -> Result<Vec<(Complaint, bool)>> {
        let mut complaints = Vec::new();
        let unsettled: Vec<_> = std::mem::take(&mut self.unsettled).into_iter().collect();
        for some in unsettled.chunks(SETTLED_TOGETHER) {
            let places: HashMap<Lot, &Place> = some.iter().map(|(lot, (place, _))| (*lot, place)).collect();
            let lots = some.iter().map(|(lot, (_, unsettled))| (*lot, *unsettled)).collect();
            let transaction = self.db.begin().await?;
            sql::lock_catalogue(&transaction, false).await?;
            let mut unit = Unit::of_facts(&transaction, self.now, self.ids, self.config);
            let users: BTreeSet<i64> = places.keys().map(|(user, _)| *user).collect();
            lock(&mut unit, users.into_iter().collect()).await?;
            let wrong = settle(&mut unit, &lots).await?;
            unit.finish().await?;
            transaction.commit().await?;
            complaints.extend(wrong.into_iter().filter_map(|(lot, reason)| {
                let (file, line, was_new) = places.get(&lot)?;
                Some((Complaint { file: Arc::clone(file), line: *line, reason }, *was_new))
            }));
        }
        Ok(complaints)
    }

    /// Notes which files know of which erasures.
    fn note_erased(&mut self, lines: &[Line]) {
        for line in lines {
            if let Ok(Record::User(user)) = &line.record
                && let (Some(id), Some(_), true) = (&user.id, user.erased_at, line.has_history)
            {
                self.erased.insert((Arc::clone(&line.file), id.to_ascii_uppercase()));
            }
        }
    }

    /// Takes over what a worker has found out.
    fn gather(&mut self, worker: &mut Worker) {
        self.unsettled.extend(worker.unsettled.drain(..));
    }

    /// Imports some records.
    async fn take(&self, worker: &mut Worker, lines: &[(&Line, &Record)]) -> Result<Vec<Outcome>> {
        let mut outcomes = vec![Outcome::Unchanged; lines.len()];
        let mut todo: Vec<_> = std::iter::once(0..lines.len()).collect();
        let mut again = None;
        while let Some(range) = todo.pop() {
            match self.attempt(worker, &lines[range.clone()]).await {
                Ok(some) => outcomes[range].clone_from_slice(&some),
                Err(error) => match refused(&error) {
                    // Somebody else may have come in between; then it is found the next time.
                    Some(_) if range.len() == 1 && error.is_passing() && again != Some(range.start) => {
                        again = Some(range.start);
                        todo.push(range);
                    }
                    Some(reason) if range.len() == 1 => outcomes[range.start] = Outcome::Bad(reason),
                    Some(_) => {
                        let middle = range.start + range.len() / 2;
                        todo.extend([middle..range.end, range.start..middle]);
                    }
                    None => return Err(error),
                },
            }
        }
        Ok(outcomes)
    }

    async fn attempt(&self, worker: &mut Worker, lines: &[(&Line, &Record)]) -> Result<Vec<Outcome>> {
        let (mut tries, began) = (1, Instant::now());
        loop {
            match self.once(worker, lines).await {
                // What the database refuses it refuses again.
                Err(error)
                    if error.is_passing() && sql::refused_row(&error).is_none() && goes_on(&error, tries, began) =>
                {
                    let [random] = self.ids.bytes::<1>();
                    tokio::time::sleep(Duration::from_millis(u64::from(random) * u64::from(tries.min(TRIES)))).await;
                    tries += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// One transaction.
    async fn once(&self, worker: &mut Worker, lines: &[(&Line, &Record)]) -> Result<Vec<Outcome>> {
        if lines.is_empty() {
            return Ok(Vec::new());
        }
        let transaction = self.db.begin_long(Some(WAIT)).await?;
        // What is known now may be undone with the transaction.
        let known = worker.known.take();
        let earlier = Earlier { erased: &self.erased, profiles: worker.profiles.as_ref() };
        let unit = Unit::of_facts(&transaction, self.now, self.ids, self.config);
        match Work::perform(unit, known, earlier, lines).await {
            Ok(done) => {
                transaction.commit().await?;
                worker.known = done.known;
                for (at, lot, unsettled) in done.unsettled {
                    let line = lines[at].0;
                    let was_new = done.outcomes[at] == Outcome::New;
                    worker.unsettled.push((lot, ((Arc::clone(&line.file), line.number, was_new), unsettled)));
                }
                if let Some(profiles) = &mut worker.profiles {
                    profiles.extend(done.profiles);
                }
                Ok(done.outcomes)
            }
            Err(error) => {
                transaction.rollback().await?;
                Err(error)
            }
        }
    }
}

/// Why a record, or one of several, cannot be taken, when a transaction failed because of it.
fn refused(error: &Error) -> Option<String> {
    let by_database = || sql::refused_row(error).map(|reason| format!("the database refuses it: {reason}"));
    let is_bad = error.code() == Code::BadUserInput;
    by_database().or_else(|| is_bad.then(|| error.message().to_owned()))
}

/// Whether a chunk that failed is tried again: so many times, and for longer what somebody else has locked.
fn goes_on(error: &Error, tries: u32, began: Instant) -> bool {
    if is_held(error) { began.elapsed() < PATIENCE } else { tries < TRIES }
}

/// What earlier chunks said.
#[derive(Debug, Clone, Copy)]
struct Earlier<'a> {
    erased: &'a HashSet<(Arc<str>, String)>,
    profiles: Option<&'a HashMap<i64, Timestamp>>,
}

/// What came of a transaction.
struct Done {
    known: Option<Arc<Snapshot>>,
    outcomes: Vec<Outcome>,
    /// How new the profiles are that were taken from exports.
    profiles: Vec<(i64, Timestamp)>,
    unsettled: Vec<(usize, Lot, Unsettled)>,
}

/// Somebody whom records of the chunk are about; their row is locked.
#[derive(Debug)]
pub(crate) struct Person {
    ulid: String,
    merged: bool,
    pub(crate) erased: bool,
}

impl From<Standing> for Person {
    fn from(user: Standing) -> Self {
        Self { ulid: user.ulid, merged: user.merged, erased: user.erased }
    }
}

/// A record of one kind, whom it is about, and where it stands in the chunk.
pub(crate) struct Item<'a, R> {
    pub(crate) at: usize,
    pub(crate) user: i64,
    pub(crate) record: &'a R,
    /// An export brings along what the histories say of it.
    pub(crate) origin: Origin,
}

impl<R> Clone for Item<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R> Copy for Item<'_, R> {}

/// One transaction of an import.
pub(crate) struct Work<'a> {
    transaction: &'a Transaction,
    /// What changes progress, and tells of it.
    pub(crate) unit: Unit<'a>,
    pub(crate) now: Timestamp,
    /// What features have in memory of the catalogue, as soon as somebody has asked for it.
    known: Option<Arc<Snapshot>>,
    earlier: Earlier<'a>,
    lines: &'a [(&'a Line, &'a Record)],
    outcomes: Vec<Outcome>,
    profiles: Vec<(i64, Timestamp)>,
    /// Users by the names under which the records know them.
    names: HashMap<String, i64>,
    pub(crate) people: BTreeMap<i64, Person>,
    /// Lots that do not follow from what has come so far, each with the place of its record.
    pub(crate) unsettled: Vec<(usize, Lot, Unsettled)>,
}

/// Picks the records of one kind.
macro_rules! only {
    ($kind:ident) => {
        |record| match record {
            $crate::records::Record::$kind(record) => Some(record),
            _ => None,
        }
    };
}
pub(crate) use only;

impl<'a> Work<'a> {
    async fn perform(
        unit: Unit<'a>,
        known: Option<Arc<Snapshot>>,
        earlier: Earlier<'a>,
        lines: &'a [(&'a Line, &'a Record)],
    ) -> Result<Done> {
        let (transaction, now) = (unit.transaction(), unit.now);
        let of_catalogue = lines.iter().any(|(_, record)| record.is_of_catalogue());
        let mut version = sql::lock_catalogue(transaction, of_catalogue).await?;
        let mut work = Work {
            transaction,
            unit,
            now,
            known,
            earlier,
            lines,
            outcomes: vec![Outcome::Unchanged; lines.len()],
            profiles: Vec::new(),
            names: HashMap::new(),
            people: BTreeMap::new(),
            unsettled: Vec::new(),
        };
        if of_catalogue {
            work.take_catalogue().await?;
            if work.outcomes.contains(&Outcome::New) {
                version = raise_catalogue(transaction).await?;
            }
        }
        users::take(&mut work).await?;
        work.find_people().await?;
        work.look_into_catalogue(version).await?;
        others::take_events(&mut work).await?;
        work.take_progress().await?;
        others::take_references(&mut work).await?;
        others::take_audit(&mut work).await?;
        users::take_api_keys(&mut work).await?;
        users::take_mergers(&mut work).await?;
        work.finish().await
    }

    async fn finish(self) -> Result<Done> {
        self.unit.finish().await?;
        Ok(Done { known: self.known, outcomes: self.outcomes, profiles: self.profiles, unsettled: self.unsettled })
    }

    /// Finds and locks everybody whom the records name.
    async fn find_people(&mut self) -> Result<()> {
        let mut names = Names::default();
        let mut seen = HashSet::new();
        let into = self.lines.iter().filter_map(|(_, record)| match record {
            Record::Merge(merge) => Some(&*merge.into),
            _ => None,
        });
        for name in self.lines.iter().filter_map(|(_, record)| record.user()).chain(into) {
            if !seen.insert(name) {
                continue;
            }
            match canonical(name) {
                Name::Ulid(ulid) => names.ulids.push(ulid),
                Name::Handle(handle) => names.handles.push(handle),
                Name::Account(provider, id) => names.accounts.push((provider, id)),
            }
        }
        self.names.extend(find_named(self.transaction, names).await?);
        self.lock(self.names.values().copied().collect()).await
    }

    /// Lets the unit see the catalogue as it is now, where somebody has progress in it.
    async fn look_into_catalogue(&mut self, version: i64) -> Result<()> {
        if self.lines.iter().any(|(_, record)| record.user().is_some()) {
            let snapshot = match self.known.take().filter(|snapshot| snapshot.version() == version) {
                Some(snapshot) => snapshot,
                None => Arc::new(stored::read_in(self.transaction, features::CATALOGUE).await?),
            };
            self.known = Some(Arc::clone(&snapshot));
            self.unit.know(snapshot);
        }
        Ok(())
    }

    async fn lock(&mut self, mut users: Vec<i64>) -> Result<()> {
        users.retain(|user| !self.people.contains_key(user));
        users.sort_unstable();
        users.dedup();
        let locked = lock(&mut self.unit, users).await?;
        self.people.extend(locked.into_iter().map(|user| (user.id, Person::from(user))));
        Ok(())
    }

    /// The user who goes by this name.
    fn user(&self, name: &str) -> Result<i64, String> {
        let found = match canonical(name) {
            Name::Ulid(name) | Name::Handle(name) => self.names.get(&name),
            Name::Account(provider, id) => self.names.get(&format!("{provider}:{id}")),
        };
        found.copied().ok_or_else(|| format!("there is no user {name:?}; a record of the type \"user\" makes one"))
    }

    /// The records of one kind.
    pub(crate) fn records<R>(&self, pick: impl Fn(&'a Record) -> Option<&'a R>) -> Vec<(usize, &'a R, bool)> {
        let lines = self.lines.iter().enumerate();
        lines.filter_map(|(at, (line, record))| Some((at, pick(record)?, line.has_history))).collect()
    }

    /// The records of one kind with whom they are about. Those about nobody are bad; those about users who were merged
    /// into others say nothing any more, nor do those about users who were erased, in files that do not know of it.
    pub(crate) fn items<R>(&mut self, pick: impl Fn(&'a Record) -> Option<&'a R>) -> Vec<Item<'a, R>> {
        let lines = self.lines;
        let mut items = Vec::new();
        for (at, (line, record)) in lines.iter().enumerate() {
            let (Some(picked), Some(name)) = (pick(record), record.user()) else { continue };
            let has_history = line.has_history;
            match self.user(name) {
                Err(reason) => self.bad(at, reason),
                Ok(user) => match self.people.get(&user) {
                    Some(person) if (person.merged || person.erased) && !has_history => {
                        let what = if person.merged { "merged into another one" } else { "erased" };
                        self.bad(at, format!("the user {name:?} was {what}"));
                    }
                    Some(person) if person.merged => {}
                    _ if self.is_erased_for(at, user) => {}
                    _ => {
                        let origin = if has_history { Origin::Restored } else { Origin::Told };
                        items.push(Item { at, user, record: picked, origin });
                    }
                },
            }
        }
        items
    }

    /// Whether the file of a record was made after somebody was erased. Only then it holds nothing personal.
    fn knows_of_erasure(&self, at: usize, person: &Person) -> bool {
        let file = Arc::clone(&self.lines[at].0.file);
        self.earlier.erased.contains(&(file, person.ulid.clone()))
    }

    /// Whether a user was erased, and the file of this record does not know of it.
    fn is_erased_for(&self, at: usize, user: i64) -> bool {
        self.people.get(&user).is_some_and(|person| person.erased && !self.knows_of_erasure(at, person))
    }

    fn bad(&mut self, at: usize, reason: String) {
        self.outcomes[at] = Outcome::Bad(reason);
    }

    /// Notes what became of records.
    pub(crate) fn note(&mut self, taken: impl IntoIterator<Item = (usize, Taken)>) {
        for (at, taken) in taken {
            match taken {
                Ok(true) => self.outcomes[at] = Outcome::New,
                Ok(false) => {}
                Err(reason) => self.bad(at, reason),
            }
        }
    }

    fn person(&mut self, user: i64) -> Result<&mut Person> {
        self.people.get_mut(&user).ok_or_else(|| Error::internal(format!("user {user} is not locked")))
    }
}

/// How a record names somebody.
enum Name {
    Ulid(String),
    /// In lower case.
    Handle(String),
    Account(String, String),
}

fn canonical(name: &str) -> Name {
    match name.split_once(':') {
        Some(("user", ulid)) => Name::Ulid(ulid.to_ascii_uppercase()),
        Some((provider, id)) => match stored_account(provider, id) {
            Ok((provider, id)) => Name::Account(provider, id),
            // Nobody has it.
            Err(_) => Name::Account(provider.to_owned(), id.to_owned()),
        },
        None if name.len() == 26 => Name::Ulid(name.to_ascii_uppercase()),
        None => Name::Handle(name.to_lowercase()),
    }
}
