//! One write while it is carried out.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::entity::counters;
use super::repo::{self, AuditEntry};
use super::{Event, HistoryKind};
use waymark_db::Transaction;
use waymark_db::bulk::Stores;
use waymark_db::catalogue::{Part, Snapshot};
use waymark_db::owner::Merger;
use waymark_kernel::clock::{Ids, Timestamp};
use waymark_kernel::config::Config;
use waymark_kernel::error::{Error, Result};
use waymark_kernel::limits;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{Refusal, UserErrorCode};

/// A transaction, and what is to be told of it.
///
/// Users are locked before anything about them is read: writes for one user then come one after the other, and the
/// numbers of the events have no gaps.
pub struct Unit<'a> {
    transaction: &'a Transaction,
    /// The instant of what is written, the only one. On PostgreSQL the database tells it once the locks are taken, so
    /// it is to be read after them; what was written before for the same users is not later.
    pub now: Timestamp,
    by_database: bool,
    /// Where new identifiers come from.
    pub ids: &'a Ids,
    /// The settings that bound a write.
    pub config: &'a Config,
    wish: Wish<'a>,
    /// Who wants what is written for a user, where the unit carries out several writes.
    wishes: BTreeMap<i64, Wish<'a>>,
    catalogue: Arc<Snapshot>,
    users: BTreeMap<i64, Locked>,
    /// Whether the catalogue is locked for a change.
    has_catalogue: bool,
    /// Whether all who are to be locked were locked before the unit began.
    locked_before: bool,
    events: Vec<(i64, Event)>,
    audit: Vec<AuditEntry>,
    references: Vec<(Reference, String)>,
    stores: Stores,
    abandoned: bool,
}

/// Who wants something to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish<'a> {
    /// How the history names them.
    pub(super) actor: &'a str,
    /// Whether it is an app or an operator.
    pub(super) vouches: bool,
}

/// The instant of a write, as far as it is known before the locks are taken.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    /// Whether the database's clock decides.
    pub(super) by_database: bool,
}

/// A user whose row is locked.
#[derive(Debug, Clone)]
pub struct Locked {
    /// The user's ULID.
    pub ulid: Arc<str>,
    pub(super) history_seq: i64,
    pub(super) ledger_seq: i64,
    pub(super) changed: bool,
    /// Whether the user was made by this very write, and has no counters yet.
    pub(super) is_new: bool,
    /// Whether nothing is written for the user any more after this write.
    pub(super) gone: bool,
    /// Whether the user came to be by a wallet, and nobody has vouched for the user before.
    pub(super) self_made: bool,
    /// Whether an app or an operator has written for the user.
    pub(super) vouched: bool,
}

impl Locked {
    /// A user with these last numbers of the history and the ledger.
    pub(super) fn new(ulid: &str, [history_seq, ledger_seq]: [i64; 2]) -> Self {
        Self {
            ulid: ulid.into(),
            history_seq,
            ledger_seq,
            changed: false,
            is_new: false,
            gone: false,
            self_made: false,
            vouched: false,
        }
    }

    /// The counters as they are stored.
    pub(super) const fn counters(&self, user_id: i64) -> counters::Model {
        let Self { history_seq, ledger_seq, gone, .. } = *self;
        counters::Model { user_id, history_seq, ledger_seq, gone }
    }
}

/// What a caller calls one of its additive writes, so that it is carried out once and for all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    /// The internal id of the user whom the write is about.
    pub user: i64,
    /// What kind of write it is, such as `GOAL_STEPS`; references of different kinds do not meet.
    pub kind: &'static str,
    /// The caller's name for the write: 1 to 255 printable characters.
    pub name: String,
}

/// Returns the error for a list whose numbers are used up, which only imported numbers can cause.
fn full(what: &str) -> Error {
    Error::bad_input(format!("the {what} of this user has the number {} already, the last one", limits::LAST_NUMBER))
}

/// The longest reference, in characters.
const LONGEST_REFERENCE: usize = 255;

impl Reference {
    /// The reference `name` for a write of this kind.
    pub fn new(user: i64, kind: &'static str, name: &str) -> Result<Self, Refusal> {
        if name.is_empty() || name.chars().count() > LONGEST_REFERENCE || name.chars().any(char::is_control) {
            let message = format!("a ref has 1 to {LONGEST_REFERENCE} printable characters");
            return Err(Refusal::new(UserErrorCode::InvalidInput, message));
        }
        Ok(Self { user, kind, name: name.to_owned() })
    }
}

impl<'a> Unit<'a> {
    pub(super) fn new(
        transaction: &'a Transaction,
        Moment { now, by_database }: Moment,
        wish: Wish<'a>,
        ids: &'a Ids,
        config: &'a Config,
        catalogue: Arc<Snapshot>,
    ) -> Self {
        Self {
            transaction,
            now,
            by_database,
            ids,
            config,
            wish,
            wishes: BTreeMap::new(),
            catalogue,
            users: BTreeMap::new(),
            has_catalogue: false,
            locked_before: false,
            events: Vec::new(),
            audit: Vec::new(),
            references: Vec::new(),
            stores: Stores::default(),
            abandoned: false,
        }
    }

    /// A unit for facts that a file tells, at this instant and in the operator's name. It knows no catalogue, and no
    /// users but those whom it is told of.
    pub fn of_facts(transaction: &'a Transaction, now: Timestamp, ids: &'a Ids, config: &'a Config) -> Self {
        let moment = Moment { now, by_database: false };
        Self::new(transaction, moment, Wish { actor: "operator", vouches: true }, ids, config, Snapshot::none())
    }

    /// Goes by this state of the catalogue, which is that of the transaction.
    pub fn know(&mut self, catalogue: Arc<Snapshot>) {
        self.catalogue = catalogue;
    }

    /// Takes over a user whom the transaction has locked or made, with the last numbers of the history and the ledger,
    /// and whether the user came to be by a wallet and nobody vouched for the user yet.
    pub fn adopt(&mut self, user: i64, ulid: &str, numbers: [i64; 2], self_made: bool) {
        self.users.entry(user).or_insert_with(|| Locked { self_made, ..Locked::new(ulid, numbers) });
    }

    /// Notes that a locked user was merged into another one or erased by this write: nothing is written for the user any
    /// more.
    pub fn close(&mut self, user: i64) -> Result<()> {
        let locked = self.locked(user)?;
        (locked.changed, locked.gone) = (true, true);
        Ok(())
    }

    /// Says who wants what is written for this user.
    pub(super) fn order(&mut self, user: i64, wish: Wish<'a>) {
        self.wishes.insert(user, wish);
    }

    /// Takes over users whom the transaction has locked already, at this instant by the database's clock:
    /// [`Unit::lock`] has nothing to do for them.
    pub(super) fn take_over(&mut self, locked: impl IntoIterator<Item = (i64, Locked)>, time: Option<Timestamp>) {
        self.users.extend(locked);
        self.locked_before = true;
        self.told(time);
    }

    /// Goes by the database's clock, where that decides, as it was when the first lock had been taken: the catalogue's
    /// lock keeps all other writes waiting, so that users who are locked behind it have nothing newer.
    const fn told(&mut self, time: Option<Timestamp>) {
        if let (true, Some(time)) = (self.by_database, time) {
            self.now = time;
            self.by_database = false;
        }
    }

    /// The transaction, for statements of repositories.
    pub const fn transaction(&self) -> &'a Transaction {
        self.transaction
    }

    /// Where repositories put rows that are to be stored at the end, all by one statement where the engine can.
    pub const fn stores(&mut self) -> &mut Stores {
        &mut self.stores
    }

    /// A feature's part of the catalogue, which does not change before the end of a write that has locked users. Cheap
    /// to clone, so that the unit can be used beside it.
    pub fn catalogue<P: Part>(&self) -> Result<Arc<P>> {
        self.catalogue.shared()
    }

    /// All of the catalogue, as [`Unit::catalogue`] gives its parts.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.catalogue)
    }

    /// Locks these users, all at once, and with them the catalogue against changes. Call this once, before
    /// anything is read; a user who was merged into another or erased meanwhile is an error.
    pub async fn lock(&mut self, users: impl IntoIterator<Item = i64>) -> Result<()> {
        let mut users: Vec<i64> = users.into_iter().collect();
        users.sort_unstable();
        users.dedup();
        if self.locked_before && users.iter().all(|user| self.users.contains_key(user)) {
            return Ok(());
        }
        let locked = self.lock_them(users.clone()).await?;
        if locked.len() < users.len() {
            return Err(Error::bad_input("a user of this write has been merged into another one or erased meanwhile"));
        }
        self.users.extend(locked);
        Ok(())
    }

    async fn lock_them(&mut self, users: Vec<i64>) -> Result<Vec<(i64, Locked)>> {
        let locked = repo::lock_users(self.transaction, users).await?;
        if locked.version != self.catalogue.version() {
            return Err(Error::internal("the catalogue in memory is behind").passing());
        }
        self.told(locked.time);
        Ok(locked.users)
    }

    /// Locks those of these users who have not been merged into others or erased, like [`Unit::lock`], and says who
    /// they are.
    pub async fn lock_present(&mut self, users: Vec<i64>) -> Result<Vec<i64>> {
        let locked = self.lock_them(users).await?;
        let present = locked.iter().map(|(user, _)| *user).collect();
        self.users.extend(locked);
        Ok(present)
    }

    /// Locks the catalogue for a change. Every other write waits until this one has ended. What the change is decided
    /// by has to be read from the database: the catalogue in memory is behind when another change has just been made,
    /// and operators who write a lot at a time would be told to try again and again. Every process reads the catalogue
    /// anew after it if the audit log tells of a change.
    pub async fn lock_catalogue(&mut self) -> Result<()> {
        let time = repo::take_catalogue(self.transaction).await?;
        self.told(time);
        self.has_catalogue = true;
        Ok(())
    }

    /// Locks further users after [`Unit::lock_catalogue`]; those who are gone are left out.
    pub async fn lock_more(&mut self, users: Vec<i64>) -> Result<()> {
        let locked = repo::lock_users(self.transaction, users).await?;
        self.told(locked.time);
        for (user, locked) in locked.users {
            // A user who is locked already may have got numbers that are not stored yet.
            self.users.entry(user).or_insert(locked);
        }
        Ok(())
    }

    /// A locked user.
    pub fn user(&self, user: i64) -> Result<&Locked> {
        self.users.get(&user).ok_or_else(|| Error::internal(format!("user {user} is not locked")))
    }

    /// Notes down a user made by this very write, as locked by it; whether by a wallet, and by nobody else. The counters
    /// are stored at the end.
    pub fn add_user(&mut self, user: i64, ulid: &str, self_made: bool) {
        self.users.insert(user, Locked { is_new: true, self_made, ..Locked::new(ulid, [0, 0]) });
    }

    /// Takes the next number in a user's ledger, for a lot or an entry.
    pub fn next_ledger_number(&mut self, user: i64) -> Result<i64> {
        let user = self.locked(user)?;
        user.changed = true;
        user.ledger_seq = limits::next_number(user.ledger_seq).ok_or_else(|| full("ledger"))?;
        Ok(user.ledger_seq)
    }

    /// The last number in a user's history.
    pub fn last_history_number(&self, user: i64) -> Result<i64> {
        Ok(self.user(user)?.history_seq)
    }

    /// The last number in a user's ledger.
    pub fn last_ledger_number(&self, user: i64) -> Result<i64> {
        Ok(self.user(user)?.ledger_seq)
    }

    /// Notes that a number of a user's ledger was brought along from elsewhere.
    pub fn take_ledger_number(&mut self, user: i64, number: i64) -> Result<()> {
        let user = self.locked(user)?;
        user.changed = true;
        user.ledger_seq = user.ledger_seq.max(number);
        Ok(())
    }

    /// The number that the next event in a locked user's history gets. Greater than any before, also when events were
    /// deleted since.
    pub fn next_history_number(&self, user: i64) -> Result<i64> {
        limits::next_number(self.user(user)?.history_seq).ok_or_else(|| full("history"))
    }

    /// Makes room behind the ledger of `into` for that of `from`, both locked: what has number `n` there gets `n` and
    /// this more.
    pub fn join_ledgers(&mut self, from: i64, into: i64) -> Result<i64> {
        let taken = self.user(from)?.ledger_seq;
        let into = self.locked(into)?;
        let offset = into.ledger_seq;
        let joined = into.ledger_seq.checked_add(taken).filter(|last| limits::NUMBER.contains(last) || *last == 0);
        into.ledger_seq = joined.ok_or_else(|| full("ledger"))?;
        into.changed = true;
        Ok(offset)
    }

    /// Hands the references of one user's additive writes over to another, so that none is carried out again there.
    /// What they came to is kept as `renumbered` says, by the kind of the reference.
    pub async fn hand_over_references(
        &self,
        merger: Merger,
        renumbered: impl Fn(&str, String) -> String,
    ) -> Result<()> {
        repo::hand_over_references(self.transaction, merger, renumbered).await
    }

    fn locked(&mut self, user: i64) -> Result<&mut Locked> {
        self.users.get_mut(&user).ok_or_else(|| Error::internal(format!("user {user} is not locked")))
    }

    /// Appends an event to the history of a locked user.
    pub fn record(&mut self, user: i64, kind: HistoryKind, subject: (Kind, &str), changes: &Value) -> Result<()> {
        self.record_at(user, kind, subject, changes, self.now)
    }

    /// Appends an event to the history of a locked user, of something that happened at another instant.
    pub fn record_at(
        &mut self,
        user: i64,
        kind: HistoryKind,
        (subject_type, subject_key): (Kind, &str),
        changes: &Value,
        occurred_at: Timestamp,
    ) -> Result<()> {
        let Wish { actor, vouches } = self.wishes.get(&user).copied().unwrap_or(self.wish);
        let recorded_at = self.now;
        let locked = self.locked(user)?;
        locked.changed = true;
        locked.vouched |= vouches;
        locked.history_seq = limits::next_number(locked.history_seq).ok_or_else(|| full("history"))?;
        let event = Event {
            seq: locked.history_seq,
            kind: kind.as_str().to_owned(),
            actor: actor.to_owned(),
            subject_type: subject_type.name().to_owned(),
            subject_key: subject_key.to_owned(),
            changes: changes.to_string(),
            occurred_at,
            recorded_at,
        };
        self.events.push((user, event));
        Ok(())
    }

    /// Puts back an event that was brought along, which is the next one of the history.
    pub fn restore_event(&mut self, user: i64, event: Event) -> Result<()> {
        let locked = self.locked(user)?;
        locked.changed = true;
        locked.history_seq = event.seq;
        self.events.push((user, event));
        Ok(())
    }

    /// Notes that the author of this write vouches for the locked user, although nothing may be recorded; see
    /// [`Order::vouches`](super::Order).
    pub fn vouch(&mut self, user: i64) -> Result<()> {
        let vouches = self.wishes.get(&user).unwrap_or(&self.wish).vouches;
        let locked = self.locked(user)?;
        locked.vouched |= vouches;
        Ok(())
    }

    /// Appends an entry to the audit log: something an operator did that belongs to no user.
    pub fn audit(&mut self, action: &'static str, (subject_type, subject_key): (&str, &str), changes: &Value) {
        self.audit.push(AuditEntry {
            actor: self.wish.actor.to_owned(),
            action,
            subject_type: subject_type.to_owned(),
            subject_key: subject_key.to_owned(),
            changes: changes.to_string(),
        });
    }

    /// Returns the outcomes of the additive writes that were carried out under these references before, as JSON.
    pub async fn referenced(&self, references: &[Reference]) -> Result<BTreeMap<Reference, String>> {
        let mut known = repo::referenced(self.transaction, references).await?;
        known.extend(self.references.iter().cloned());
        Ok(known)
    }

    /// Keeps the outcome of an additive write under its reference.
    pub fn keep(&mut self, reference: Reference, outcome: String) {
        self.references.push((reference, outcome));
    }

    /// Undoes everything when the use case has ended, events too, but keeps its outcome: one part of something that was
    /// to be done as a whole was refused. For use cases that say so by [`Write::may_be_abandoned`](super::Write).
    pub const fn abandon(&mut self) {
        self.abandoned = true;
    }

    pub(super) const fn is_abandoned(&self) -> bool {
        self.abandoned
    }

    /// Stores the rows that were collected so far, for statements that are to find them.
    pub async fn flush(&mut self) -> Result<()> {
        std::mem::take(&mut self.stores).flush(self.transaction, None).await
    }

    /// Writes what was reported.
    pub async fn finish(mut self) -> Result<Vec<(i64, Event)>> {
        repo::keep_references(&mut self.stores, self.references, self.now);
        repo::store(self.transaction, self.stores, &self.events, &self.users).await?;
        if self.has_catalogue && !self.audit.is_empty() {
            repo::raise_catalogue(self.transaction).await?;
        }
        repo::append_audit(self.transaction, self.audit, self.now).await?;
        Ok(self.events)
    }
}
