//! What files tell of credits: lots, entries of ledgers and blocks. What a ledger says is never changed, and lots,
//! entries and blocks come to the same in whatever order they are taken.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;

use super::entity::{BlockScope, EntryKind, LotSource, block, entry, lot};
use super::rules::{self, MOST_BLOCKS, micros_to_decimal};
use super::write::{BROUGHT_ALONG, granted, wrong_reason};
use waymark_db::rows;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_kernel::limits;
use waymark_vocabulary::ids::Kind;
use waymark_write::{HistoryKind, Origin, Reference, Taken, Unit};

/// A user, by the internal id, and the number of something of the user's.
pub type Place = (i64, i64);

/// That a locked user was granted credits.
#[derive(Debug)]
pub struct ToldLot<'a> {
    /// The internal id of the user.
    pub user: i64,
    /// Its number in the ledger; `None`: the next one, once per `reference`.
    pub number: Option<i64>,
    /// What the file calls the grant.
    pub reference: Option<&'a str>,
    /// What was granted, in micros.
    pub amount_micros: i64,
    /// What is left of it, in micros; `None`: all.
    pub remaining_micros: Option<i64>,
    /// When it was granted; `None`: the record does not say.
    pub granted_at: Option<Timestamp>,
    /// When it expires; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// Where the credits come from.
    pub source: LotSource,
    /// The goal that it is the reward of.
    pub reward: Option<Reward>,
    /// Why, for people.
    pub reason: Option<&'a str>,
    /// Where the record comes from.
    pub origin: Origin,
}

/// A goal that a lot is the reward of.
#[derive(Debug, Clone, Copy)]
pub struct Reward {
    /// The internal id of the goal.
    pub goal: i64,
    /// The lot that the user's claim of it opened, as far as that is known.
    pub claimed: Option<i64>,
}

/// An entry of a locked user's ledger.
#[derive(Debug)]
pub struct ToldEntry<'a> {
    /// The internal id of the user.
    pub user: i64,
    /// Its number.
    pub number: i64,
    /// The lot that changed.
    pub lot: i64,
    /// What was done to it.
    pub kind: EntryKind,
    /// By how much it changed, in micros.
    pub amount_micros: i64,
    /// Why, for people.
    pub reason: Option<&'a str>,
    /// A ULID that all entries of one write share.
    pub operation: &'a str,
    /// When it was written.
    pub at: Timestamp,
}

/// That a locked user was blocked.
#[derive(Debug)]
pub struct ToldBlock<'a> {
    /// The internal id of the user.
    pub user: i64,
    /// Its number among those of the user; `None`: that of the block of this scope and beginning, or the next one.
    pub number: Option<i64>,
    /// What it keeps the user from.
    pub scope: BlockScope,
    /// Why, for people.
    pub reason: &'a str,
    /// When it begins.
    pub from: Timestamp,
    /// When it ends by itself; `None`: it does not.
    pub until: Option<Timestamp>,
    /// When it was lifted; `None`: it was not.
    pub lifted_at: Option<Timestamp>,
    /// Where the record comes from.
    pub origin: Origin,
}

/// What a file says of a lot that does not follow from the entries and claims that came so far. They may be in a later
/// part of it.
#[derive(Debug, Clone, Copy)]
pub struct Unsettled {
    /// What is left of it.
    remaining_micros: i64,
    /// The goal that it is the reward of.
    pub goal: Option<i64>,
}

/// What the ledgers of some locked users hold, as far as what is told concerns it.
#[derive(Default)]
pub struct Books {
    lots: HashMap<Place, lot::Model>,
    entries: HashMap<Place, entry::Model>,
    /// What entries granted and took of the lots, by lot.
    sums: HashMap<Place, Sums>,
    /// What is left of all lots of a user that have not expired, as the records say.
    left: HashMap<i64, i128>,
    references: BTreeSet<Reference>,
    changed_lots: BTreeSet<Place>,
    new_entries: Vec<entry::Model>,
}

/// What the entries of a lot come to, in millionths.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    granted: Option<i64>,
    taken: i64,
}

impl Sums {
    /// With one more entry. What is stored sums up to no more than a lot holds; anything else stays at the end.
    const fn with(self, kind: EntryKind, micros: i64) -> Self {
        match kind {
            EntryKind::Grant => Self { granted: Some(micros), ..self },
            EntryKind::Spend | EntryKind::Expire | EntryKind::Revoke => {
                Self { taken: self.taken.saturating_add(micros), ..self }
            }
        }
    }
}

/// The entry that grants a lot.
fn grant_of(lot: &lot::Model, number: i64, operation: String) -> entry::Model {
    entry::Model {
        user_id: lot.user_id,
        seq: number,
        lot_seq: lot.seq,
        kind: EntryKind::Grant,
        amount_micros: lot.amount_micros,
        reason: lot.reason.clone(),
        operation,
        recorded_at: lot.granted_at,
    }
}

impl Books {
    /// Reads what is there of lots and entries, and of the lots that claims name.
    pub async fn read(
        unit: &Unit<'_>,
        lots: &[ToldLot<'_>],
        entries: &[ToldEntry<'_>],
        claimed: impl Iterator<Item = Place>,
    ) -> Result<Self> {
        let transaction = unit.transaction();
        let mut books = Self::default();
        let users: BTreeSet<i64> = lots.iter().map(|lot| lot.user).collect();
        let users: Vec<i64> = users.into_iter().collect();
        let named: BTreeSet<Place> = entries.iter().map(|entry| (entry.user, entry.lot)).chain(claimed).collect();
        let mut stored = rows::with_int::<lot::Model>(transaction, "user_id", &users).await?;
        stored.extend(rows::with_pairs::<lot::Model>(transaction, "seq", &named).await?);
        books.lots = stored.into_iter().map(|row| ((row.user_id, row.seq), row)).collect();
        for row in books.lots.values().filter(|row| row.expires_at.is_none_or(|at| at > unit.now)) {
            *books.left.entry(row.user_id).or_default() += i128::from(row.remaining_micros);
        }
        let numbered = lots.iter().filter_map(|lot| Some((lot.user, lot.number?)));
        let named: BTreeSet<Place> = named.into_iter().chain(numbered).collect();
        for row in rows::with_pairs::<entry::Model>(transaction, "lot_seq", &named).await? {
            books.count(&row);
        }
        let named = entries.iter().map(|entry| (entry.user, entry.number)).collect();
        let stored = rows::with_pairs::<entry::Model>(transaction, "seq", &named).await?;
        books.entries = stored.into_iter().map(|row| ((row.user_id, row.seq), row)).collect();
        let unnumbered = lots.iter().filter(|lot| lot.number.is_none());
        let references: Vec<Reference> = unnumbered.filter_map(|lot| reference(lot)?.ok()).collect();
        books.references = unit.referenced(&references).await?.into_keys().collect();
        Ok(books)
    }

    /// Takes what is told of a lot. One with a number gets the entry that grants it by itself; one without is granted
    /// with its entry, once per reference.
    pub fn take_lot(&mut self, unit: &mut Unit<'_>, told: &ToldLot<'_>) -> Result<Taken> {
        if let Err(reason) = check_lot(told, unit.now) {
            return Ok(Err(reason));
        }
        let remaining_micros = told.remaining_micros.unwrap_or(told.amount_micros);
        let reference = match reference(told).transpose() {
            Ok(reference) => reference.filter(|_| told.number.is_none()),
            Err(reason) => return Ok(Err(reason)),
        };
        if reference.as_ref().is_some_and(|reference| self.references.contains(reference)) {
            return Ok(Ok(false));
        }
        let Some(number) = told.number.or_else(|| limits::next_number(unit.last_ledger_number(told.user).ok()?)) else {
            return Ok(Err("the ledger has its last number already".to_owned()));
        };
        let place = (told.user, number);
        if let Some(there) = self.lots.get(&place) {
            return Ok(if is_same(there, told) {
                Ok(false)
            } else {
                Err(format!("lot {number} is there already and is another"))
            });
        }
        let is_elsewhere = told.reward.is_some_and(|reward| reward.claimed.is_some_and(|claimed| claimed != number));
        if is_elsewhere && remaining_micros > 0 {
            return Ok(Err("the goal was claimed already, and its reward is in another lot".to_owned()));
        }
        if let Err(reason) = self.make_room(unit.now, told, remaining_micros) {
            return Ok(Err(reason));
        }
        let lot = lot::Model {
            user_id: told.user,
            seq: number,
            amount_micros: told.amount_micros,
            // What was taken of it is what its entries say.
            remaining_micros: told.amount_micros,
            granted_at: told.granted_at.unwrap_or(unit.now),
            expires_at: told.expires_at,
            // It becomes the reward of a goal with the claim.
            source: if told.reward.is_some() { LotSource::Import } else { told.source },
            goal_id: None,
            reason: told.reason.map(str::to_owned),
        };
        unit.take_ledger_number(told.user, number)?;
        if let Some(reference) = reference {
            self.enter(unit, grant_of(&lot, number, unit.ids.ulid(unit.now)))?;
            self.references.insert(reference.clone());
            unit.keep(reference, json!({ "lot": number }).to_string());
        }
        if told.origin == Origin::Told {
            let changes = granted(told.amount_micros, number, told.expires_at);
            tell(unit, told.user, HistoryKind::CreditsGranted, &changes, lot.granted_at)?;
        }
        self.lots.insert(place, lot);
        self.changed_lots.insert(place);
        Ok(Ok(true))
    }

    /// Counts a lot among what the user has, which is no more than anybody may have.
    fn make_room(&mut self, now: Timestamp, told: &ToldLot<'_>, micros: i64) -> Result<(), String> {
        if told.expires_at.is_some_and(|at| at <= now) {
            return Ok(());
        }
        let left = self.left.entry(told.user).or_default();
        let after = *left + i128::from(micros);
        if after > i128::from(rules::MOST_MICROS) {
            return Err(format!("nobody may have more than {} credits", micros_to_decimal(rules::MOST_MICROS)));
        }
        *left = after;
        Ok(())
    }

    /// Takes what is told of an entry, whose lot is there.
    pub fn take_entry(&mut self, unit: &mut Unit<'_>, told: &ToldEntry<'_>) -> Result<Taken> {
        if let Some(reason) = told.reason.and_then(wrong_told_reason) {
            return Ok(Err(reason));
        }
        let place = (told.user, told.lot);
        let Some(lot) = self.lots.get_mut(&place) else { return Ok(Err(format!("there is no lot {}", told.lot))) };
        let row = entry::Model {
            user_id: told.user,
            seq: told.number,
            lot_seq: told.lot,
            kind: told.kind,
            amount_micros: told.amount_micros,
            reason: told.reason.map(str::to_owned),
            operation: told.operation.to_owned(),
            recorded_at: told.at,
        };
        match self.entries.get(&(told.user, told.number)) {
            Some(there) if *there == row => return Ok(Ok(false)),
            Some(_) => return Ok(Err(format!("entry {} is there already and is another", told.number))),
            None => {}
        }
        if told.kind == EntryKind::Grant {
            let is_granted = self.sums.get(&place).is_some_and(|sums| sums.granted.is_some());
            if is_granted || told.amount_micros != lot.amount_micros {
                return Ok(Err(format!("one entry grants lot {}, and all of it", told.lot)));
            }
        } else {
            let Some(left) = lot.remaining_micros.checked_sub(told.amount_micros).filter(|left| *left >= 0) else {
                return Ok(Err(format!("more is taken of lot {} than is left of it", told.lot)));
            };
            lot.remaining_micros = left;
            self.changed_lots.insert(place);
        }
        self.enter(unit, row)?;
        Ok(Ok(true))
    }

    fn enter(&mut self, unit: &mut Unit<'_>, row: entry::Model) -> Result<()> {
        unit.take_ledger_number(row.user_id, row.seq)?;
        self.count(&row);
        self.entries.insert((row.user_id, row.seq), row.clone());
        self.new_entries.push(row);
        Ok(())
    }

    /// Counts an entry in what is known of its lot.
    fn count(&mut self, row: &entry::Model) {
        let sum = self.sums.entry((row.user_id, row.lot_seq)).or_default();
        *sum = sum.with(row.kind, row.amount_micros);
    }

    /// Makes a lot the reward of a goal, which was so much.
    ///
    /// # Errors
    /// Why it cannot be.
    pub fn reward(&mut self, place: Place, goal: i64, micros: i64) -> Result<(), String> {
        let number = place.1;
        let lot = self.lots.get_mut(&place).ok_or_else(|| format!("there is no lot {number}"))?;
        let is_free = lot.source == LotSource::Import && lot.goal_id.is_none();
        if lot.amount_micros != micros || !(is_free || lot.goal_id == Some(goal)) {
            return Err(format!("lot {number} is not the reward of this goal"));
        }
        if is_free {
            (lot.source, lot.goal_id) = (LotSource::Goal, Some(goal));
            self.changed_lots.insert(place);
        }
        Ok(())
    }

    /// Returns what is told of a lot that was taken and does not follow from what has come so far.
    pub fn unsettled(&self, told: &ToldLot<'_>) -> Option<(Place, Unsettled)> {
        let place = (told.user, told.number?);
        let lot = self.lots.get(&place)?;
        let goal = told.reward.map(|reward| reward.goal);
        let remaining_micros = told.remaining_micros.unwrap_or(told.amount_micros);
        let is_granted = self.sums.get(&place).is_some_and(|sums| sums.granted.is_some());
        let is_settled =
            is_granted && lot.remaining_micros <= remaining_micros && (goal.is_none() || lot.goal_id == goal);
        (!is_settled).then_some((place, Unsettled { remaining_micros, goal }))
    }

    /// Stores what changed.
    pub fn store(self, unit: &mut Unit<'_>) {
        use lot::Column;
        let lots = self.changed_lots.iter().filter_map(|place| self.lots.get(place).cloned()).collect();
        unit.stores().upsert(lots, &[Column::RemainingMicros, Column::Source, Column::GoalId]);
        unit.stores().insert(self.new_entries);
    }
}

/// What is wrong with a lot, whatever else there is.
fn check_lot(told: &ToldLot<'_>, now: Timestamp) -> Result<(), String> {
    let remaining_micros = told.remaining_micros.unwrap_or(told.amount_micros);
    let granted_at = told.granted_at.unwrap_or(now);
    let is_goal = told.source == LotSource::Goal;
    let wrong = if remaining_micros > told.amount_micros {
        "no more is left of a lot than its amount"
    } else if told.expires_at.is_some_and(|at| at <= granted_at) {
        "a lot expires after it was granted"
    } else if is_goal && (told.reward.is_none() || told.number.is_none()) {
        "the reward of a goal has a goal and a number, and comes with its claim"
    } else if !is_goal && told.reward.is_some() {
        "a lot with a goal has the source GOAL"
    } else if told.number.is_none() && told.reference.is_none() {
        "a lot without a number needs a ref, so that it is granted once"
    } else if told.number.is_none() && remaining_micros < told.amount_micros {
        "of a lot without a number everything is left"
    } else {
        return told.reason.and_then(wrong_told_reason).map_or(Ok(()), Err);
    };
    Err(wrong.to_owned())
}

fn is_same(there: &lot::Model, told: &ToldLot<'_>) -> bool {
    let source = there.source == told.source || (told.source == LotSource::Goal && there.source == LotSource::Import);
    source && there.amount_micros == told.amount_micros && told.granted_at.is_none_or(|at| at == there.granted_at)
}

fn reference(told: &ToldLot<'_>) -> Option<Result<Reference, String>> {
    let reference = Reference::new(told.user, BROUGHT_ALONG, told.reference?);
    Some(reference.map_err(|refusal| refusal.message))
}

/// What is wrong with a reason. An erasure leaves an empty one.
fn wrong_told_reason(reason: &str) -> Option<String> {
    Some(reason).filter(|reason| !reason.is_empty()).and_then(wrong_reason)
}

/// Appends an event about a user to the user's history.
fn tell(unit: &mut Unit<'_>, user: i64, kind: HistoryKind, changes: &serde_json::Value, at: Timestamp) -> Result<()> {
    let ulid = unit.user(user)?.ulid.clone();
    unit.record_at(user, kind, (Kind::User, &ulid), changes, at)
}

/// Settles lots for which nothing comes any more: what is left of a lot is what its entries leave, and the reward of a
/// goal has a claim; `claims` says in which lots those are, by user and goal. The ledgers are made whole by what there
/// is. Returns what was wrong with which lot.
pub async fn settle(
    unit: &mut Unit<'_>,
    unsettled: &BTreeMap<Place, Unsettled>,
    claims: &HashMap<(i64, i64), i64>,
) -> Result<Vec<(Place, String)>> {
    let places: BTreeSet<Place> = unsettled.keys().copied().collect();
    let mut sums: HashMap<Place, Sums> = HashMap::new();
    for row in rows::with_pairs::<entry::Model>(unit.transaction(), "lot_seq", &places).await? {
        let sum = sums.entry((row.user_id, row.lot_seq)).or_default();
        *sum = sum.with(row.kind, row.amount_micros);
    }
    // A number that no entry has; most often that of the lot.
    let entries_there = rows::with_pairs::<entry::Model>(unit.transaction(), "seq", &places).await?;
    let used: BTreeSet<Place> = entries_there.into_iter().map(|row| (row.user_id, row.seq)).collect();
    let (mut lots, mut entries, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for mut lot in rows::with_pairs::<lot::Model>(unit.transaction(), "seq", &places).await? {
        let place = (lot.user_id, lot.seq);
        let Some(said) = unsettled.get(&place) else { continue };
        let mut reasons = Vec::new();
        let next = || limits::next_number(unit.last_ledger_number(lot.user_id).ok()?);
        if sums.get(&place).is_none_or(|sum| sum.granted.is_none())
            && let Some(number) = if used.contains(&place) { next() } else { Some(lot.seq) }
        {
            unit.take_ledger_number(lot.user_id, number)?;
            entries.push(grant_of(&lot, number, unit.ids.ulid(lot.granted_at)));
            reasons.push("no entry grants it, and one was added");
        }
        let claimed = |goal| claims.get(&(lot.user_id, goal)).copied();
        if lot.remaining_micros > said.remaining_micros {
            reasons.push("its entries leave more of it than the record says");
        }
        match said.goal.filter(|_| lot.source != LotSource::Goal) {
            Some(goal) if claimed(goal).is_some_and(|claimed| claimed == lot.seq || lot.remaining_micros == 0) => {
                (lot.source, lot.goal_id) = (LotSource::Goal, Some(goal));
                lots.push(lot);
            }
            Some(_) => reasons.push("it is the reward of a goal, and nothing claims it"),
            None => {}
        }
        if !reasons.is_empty() {
            wrong.push((place, format!("lot {}: {}", place.1, reasons.join("; "))));
        }
    }
    unit.stores().upsert(lots, &[lot::Column::Source, lot::Column::GoalId]);
    unit.stores().insert(entries);
    Ok(wrong)
}

/// Takes what is told of blocks: one per user, scope and beginning. Of two ends and of two dates on which it was lifted
/// the earlier stays.
pub async fn take_blocks(unit: &mut Unit<'_>, told: &[ToldBlock<'_>]) -> Result<Vec<Taken>> {
    let users: BTreeSet<i64> = told.iter().map(|block| block.user).collect();
    let users: Vec<i64> = users.into_iter().collect();
    let stored = rows::with_int::<block::Model>(unit.transaction(), "user_id", &users).await?;
    let mut blocks: BTreeMap<Place, block::Model> =
        stored.into_iter().map(|row| ((row.user_id, row.seq), row)).collect();
    let mut changed = BTreeSet::new();
    let mut taken = Vec::with_capacity(told.len());
    for one in told {
        let (before, after) = match block_of(&blocks, one, unit.now) {
            Ok(rows) => rows,
            Err(reason) => {
                taken.push(Err(reason));
                continue;
            }
        };
        if before.as_ref() == Some(&after) {
            taken.push(Ok(false));
            continue;
        }
        if one.origin == Origin::Told {
            let changes = json!({ "block": after.seq, "scope": after.scope });
            if before.is_none() {
                tell(unit, one.user, HistoryKind::Blocked, &changes, after.from_at)?;
            }
            if let (None, Some(at)) = (before.and_then(|before| before.lifted_at), after.lifted_at) {
                tell(unit, one.user, HistoryKind::BlockLifted, &changes, at)?;
            }
        }
        changed.insert((one.user, after.seq));
        blocks.insert((one.user, after.seq), after);
        taken.push(Ok(true));
    }
    use block::Column;
    let rows = changed.iter().filter_map(|place| blocks.remove(place)).collect();
    unit.stores().upsert(rows, &[Column::Reason, Column::UntilAt, Column::LiftedAt]);
    Ok(taken)
}

/// Returns the block that something is told of as it is there, and as it is then.
fn block_of(
    blocks: &BTreeMap<Place, block::Model>,
    told: &ToldBlock<'_>,
    now: Timestamp,
) -> Result<(Option<block::Model>, block::Model), String> {
    if let Some(reason) = wrong_told_reason(told.reason) {
        return Err(reason);
    }
    if told.until.is_some_and(|until| until <= told.from) || told.lifted_at.is_some_and(|at| at < told.from) {
        return Err("a block ends, and is lifted, after it begins".to_owned());
    }
    let own = || blocks.range((told.user, 0)..=(told.user, i64::MAX)).map(|(_, row)| row);
    let is_it = |row: &&block::Model| row.scope == told.scope && row.from_at == told.from;
    let number = told.number.or_else(|| own().find(is_it).map(|row| row.seq));
    let next = || limits::next_number(own().next_back().map_or(0, |row| row.seq));
    let number = number.or_else(next).ok_or("the blocks of this user have their last number already")?;
    let row = block::Model {
        user_id: told.user,
        seq: number,
        scope: told.scope,
        reason: told.reason.to_owned(),
        from_at: told.from,
        until_at: told.until,
        lifted_at: told.lifted_at,
    };
    let Some(before) = blocks.get(&(told.user, number)) else {
        let in_force = |row: &&block::Model| {
            let (scope, from, until, lifted_at) = (row.scope, row.from_at, row.until_at, row.lifted_at);
            rules::Block { scope, from, until, lifted_at }.is_active(now)
        };
        if told.origin == Origin::Told && in_force(&&row) && own().filter(in_force).count() >= MOST_BLOCKS {
            return Err(format!("{MOST_BLOCKS} blocks of the user are in force, and nobody has more"));
        }
        return Ok((None, row));
    };
    if !is_it(&before) {
        return Err(format!("block {number} is there already and is another"));
    }
    let earlier = |one: Option<Timestamp>, other: Option<Timestamp>| one.into_iter().chain(other).min();
    let after = block::Model {
        // An erasure leaves none, and none comes back.
        reason: before.reason.clone().min(row.reason),
        until_at: earlier(before.until_at, row.until_at),
        lifted_at: earlier(before.lifted_at, row.lifted_at),
        ..before.clone()
    };
    Ok((Some(before.clone()), after))
}
