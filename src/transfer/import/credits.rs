//! Lots, the ledger, claims and blocks. What the ledger says is never changed, and a goal is claimed once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;

use super::Outcome;
use super::catalogue::unknown;
use super::{Item, Work, only};
use crate::records::{CreditEntry, CreditLot, GoalClaim};
use crate::sql;
use waymark_credits::entity::{BlockScope, EntryKind, LotSource, block, entry, lot};
use waymark_credits::rules::{LONGEST_REASON, is_reason, micros_to_decimal};
use waymark_db::Transaction;
use waymark_kernel::clock::{Ids, Timestamp};
use waymark_kernel::error::Result;
use waymark_kernel::limits;
use waymark_seasons::entity::goal_claim;
use waymark_vocabulary::ids::Kind;
use waymark_write::HistoryKind;
use waymark_write::entity::write_ref;

/// The kind of the references of lots that were brought along.
const REFERENCE: &str = "IMPORT";

/// Takes everything about credits.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let lots = work.items(only!(CreditLot));
    let entries = work.items(only!(CreditEntry));
    let claims = work.items(only!(GoalClaim));
    if !(lots.is_empty() && entries.is_empty() && claims.is_empty()) {
        let mut ledger = Ledger::read(work, &lots, &entries, &claims).await?;
        for item in &lots {
            if let Err(reason) = ledger.take_lot(work, *item)? {
                work.bad(item.at, reason);
            }
        }
        for item in entries {
            if let Err(reason) = ledger.take_entry(work, item)? {
                work.bad(item.at, reason);
            }
        }
        for item in claims {
            if let Err(reason) = ledger.take_claim(work, item)? {
                work.bad(item.at, reason);
            }
        }
        ledger.settle(work, &lots);
        ledger.store(work).await?;
    }
    take_blocks(work).await
}

/// What the ledgers of some users hold, as far as the records concern it.
#[derive(Default)]
struct Ledger {
    lots: HashMap<(i64, i64), lot::Model>,
    entries: HashMap<(i64, i64), entry::Model>,
    /// What entries granted and took of the lots, by lot.
    sums: HashMap<(i64, i64), Sums>,
    /// What is left of all lots of a user that have not expired, as the records say.
    left: HashMap<i64, i128>,
    /// By user and goal.
    claims: HashMap<(i64, i64), goal_claim::Model>,
    references: BTreeSet<(i64, String)>,
    changed_lots: BTreeSet<(i64, i64)>,
    new_entries: Vec<entry::Model>,
    changed_claims: BTreeSet<(i64, i64)>,
    new_references: Vec<write_ref::Model>,
    /// What hand-made claims take from budgets, by season and week.
    spent: BTreeMap<(i64, i64), i64>,
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

/// What the file says of a lot that does not follow from the entries and claims that came so far. They may be in a later
/// chunk.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unsettled {
    /// What is left of it.
    remaining_micros: i64,
    /// The goal that it is the reward of.
    goal: Option<i64>,
}

/// What may not be in any file: what is left of a lot is what its entries leave, and the reward of a goal has a claim. Here
/// nothing comes any more, so the ledgers are made whole by what there is. Says what was wrong with which lot.
pub(super) async fn settle(
    transaction: &Transaction,
    ids: &Ids,
    unsettled: &BTreeMap<(i64, i64), Unsettled>,
) -> Result<Vec<((i64, i64), String)>> {
    let places: BTreeSet<(i64, i64)> = unsettled.keys().copied().collect();
    let users: BTreeSet<i64> = places.iter().map(|(user, _)| *user).collect();
    let mut numbers: BTreeMap<i64, (i64, i64)> = sql::lock_users(transaction, users.into_iter().collect())
        .await?
        .into_iter()
        .map(|user| (user.id, (user.history_seq, user.ledger_seq)))
        .collect();
    let mut sums: HashMap<(i64, i64), Sums> = HashMap::new();
    for row in sql::with_pairs::<entry::Model>(transaction, "lot_seq", &places).await? {
        let sum = sums.entry((row.user_id, row.lot_seq)).or_default();
        *sum = sum.with(row.kind, row.amount_micros);
    }
    // A number that no entry has; most often that of the lot.
    let entries_there = sql::with_pairs::<entry::Model>(transaction, "seq", &places).await?;
    let used: BTreeSet<(i64, i64)> = entries_there.into_iter().map(|row| (row.user_id, row.seq)).collect();
    let goals: BTreeSet<(i64, i64)> =
        unsettled.iter().filter_map(|((user, _), lot)| Some((*user, lot.goal?))).collect();
    let claims = sql::with_pairs::<goal_claim::Model>(transaction, "goal_id", &goals).await?;
    let claims: HashMap<(i64, i64), i64> =
        claims.into_iter().map(|row| ((row.user_id, row.goal_id), row.lot_seq)).collect();
    let (mut lots, mut entries, mut wrong) = (Vec::new(), Vec::new(), Vec::new());
    for mut lot in sql::with_pairs::<lot::Model>(transaction, "seq", &places).await? {
        let place = (lot.user_id, lot.seq);
        let Some(said) = unsettled.get(&place) else { continue };
        let mut reasons = Vec::new();
        let sum = sums.get(&place).copied().unwrap_or_default();
        if sum.granted.is_none()
            && let Some((_, last)) = numbers.get_mut(&lot.user_id)
            && let Some(number) = if used.contains(&place) { limits::next_number(*last) } else { Some(lot.seq) }
        {
            *last = number.max(*last);
            entries.push(grant_of(&lot, number, ids.ulid(lot.granted_at)));
            reasons.push("no entry grants it, and one was added");
        }
        let rewards = |goal: i64| match claims.get(&(lot.user_id, goal)) {
            Some(claimed) => *claimed == lot.seq || lot.remaining_micros == 0,
            None => false,
        };
        if lot.remaining_micros > said.remaining_micros {
            reasons.push("its entries leave more of it than the record says");
        }
        match said.goal.filter(|_| lot.source != LotSource::Goal) {
            Some(goal) if rewards(goal) => {
                (lot.source, lot.goal_id) = (LotSource::Goal, Some(goal));
                lots.push(lot.clone());
            }
            Some(_) => reasons.push("it is the reward of a goal, and nothing claims it"),
            None => {}
        }
        if !reasons.is_empty() {
            wrong.push((place, format!("lot {}: {}", place.1, reasons.join("; "))));
        }
    }
    sql::store(transaction, &lots).await?;
    sql::store(transaction, &entries).await?;
    let numbers: Vec<_> = numbers.into_iter().map(|(user, (history, ledger))| (user, history, ledger)).collect();
    sql::number_users(transaction, &numbers).await?;
    Ok(wrong)
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

impl Ledger {
    async fn read(
        work: &Work<'_>,
        lots: &[Item<'_, CreditLot>],
        entries: &[Item<'_, CreditEntry>],
        claims: &[Item<'_, GoalClaim>],
    ) -> Result<Self> {
        let mut ledger = Self::default();
        let users: BTreeSet<i64> = lots.iter().map(|item| item.user).collect();
        let users: Vec<i64> = users.into_iter().collect();
        let of_entries = entries.iter().map(|item| (item.user, item.record.lot));
        let claimed = claims.iter().filter_map(|item| Some((item.user, item.record.lot?)));
        let pairs: BTreeSet<(i64, i64)> = of_entries.chain(claimed).collect();
        let mut rows = sql::with_int::<lot::Model>(work.transaction, "user_id", &users).await?;
        rows.extend(sql::with_pairs::<lot::Model>(work.transaction, "seq", &pairs).await?);
        for row in rows {
            ledger.lots.insert((row.user_id, row.seq), row);
        }
        for row in ledger.lots.values().filter(|row| row.expires_at.is_none_or(|at| at > work.now)) {
            *ledger.left.entry(row.user_id).or_default() += i128::from(row.remaining_micros);
        }
        let numbered = lots.iter().filter_map(|item| Some((item.user, item.record.number?)));
        let pairs: BTreeSet<(i64, i64)> = pairs.into_iter().chain(numbered).collect();
        for row in sql::with_pairs::<entry::Model>(work.transaction, "lot_seq", &pairs).await? {
            ledger.count(&row);
        }
        let pairs: BTreeSet<(i64, i64)> = entries.iter().map(|item| (item.user, item.record.number)).collect();
        for row in sql::with_pairs::<entry::Model>(work.transaction, "seq", &pairs).await? {
            ledger.entries.insert((row.user_id, row.seq), row);
        }
        let goals = lots.iter().filter_map(|item| Some((item.user, item.record.goal.as_ref()?)));
        let goals = goals.chain(claims.iter().map(|item| (item.user, &item.record.goal)));
        let pairs: BTreeSet<(i64, i64)> =
            goals.filter_map(|(user, goal)| Some((user, work.known.goals.get(goal)?.id))).collect();
        for row in sql::with_pairs::<goal_claim::Model>(work.transaction, "goal_id", &pairs).await? {
            ledger.claims.insert((row.user_id, row.goal_id), row);
        }
        let unnumbered = || lots.iter().filter(|item| item.record.number.is_none());
        let users: BTreeSet<i64> = unnumbered().map(|item| item.user).collect();
        let names: BTreeSet<String> = unnumbered().filter_map(|item| item.record.reference.clone()).collect();
        for (user, kind, name) in sql::find_refs(work.transaction, users, names).await? {
            if kind == REFERENCE {
                ledger.references.insert((user, name));
            }
        }
        Ok(ledger)
    }

    fn take_lot(&mut self, work: &mut Work<'_>, item: Item<'_, CreditLot>) -> Result<Result<(), String>> {
        let record = item.record;
        let granted_at = record.granted_at.map_or(work.now, |at| at.0);
        let remaining_micros = record.remaining_micros.unwrap_or(record.amount_micros);
        if remaining_micros > record.amount_micros {
            return Ok(Err("no more is left of a lot than its amount".to_owned()));
        }
        let expires_at = record.expires_at.map(|at| at.0);
        if expires_at.is_some_and(|at| at <= granted_at) {
            return Ok(Err("a lot expires after it was granted".to_owned()));
        }
        if record.source == LotSource::Goal && (record.goal.is_none() || record.number.is_none()) {
            return Ok(Err("the reward of a goal has a goal and a number, and comes with its claim".to_owned()));
        }
        if record.source != LotSource::Goal && record.goal.is_some() {
            return Ok(Err("a lot with a goal has the source GOAL".to_owned()));
        }
        if let Err(reason) = check_reason(record.reason.as_deref()) {
            return Ok(Err(reason));
        }
        let goal_id = match &record.goal {
            None => None,
            Some(goal) => match work.known.goals.get(goal) {
                Some(goal) => Some(goal.id),
                None => return Ok(Err(unknown("goal", goal))),
            },
        };
        let (number, has_entry) = match (record.number, &record.reference) {
            (Some(number), _) => (number, false),
            (None, None) => {
                return Ok(Err("a lot without a number needs a ref, so that it is granted once".to_owned()));
            }
            (None, Some(_)) if remaining_micros < record.amount_micros => {
                return Ok(Err("of a lot without a number everything is left".to_owned()));
            }
            (None, Some(name)) => {
                if self.references.contains(&(item.user, name.clone())) {
                    return Ok(Ok(()));
                }
                if let Err(reason) = self.check_room(work, item.user, record.amount_micros, expires_at) {
                    return Ok(Err(reason));
                }
                let Some(number) = limits::next_number(work.unit.last_ledger_number(item.user)?) else {
                    return Ok(Err("the ledger has its last number already".to_owned()));
                };
                self.references.insert((item.user, name.clone()));
                self.new_references.push(write_ref::Model {
                    user_id: item.user,
                    kind: REFERENCE.to_owned(),
                    reference: name.clone(),
                    created_at: work.now,
                    outcome: json!({ "lot": number }).to_string(),
                });
                (number, true)
            }
        };
        let place = (item.user, number);
        if let Some(there) = self.lots.get(&place) {
            let source = there.source == record.source
                || (record.source == LotSource::Goal && there.source == LotSource::Import);
            let same = there.amount_micros == record.amount_micros
                && source
                && record.granted_at.is_none_or(|at| at.0 == there.granted_at);
            if !same {
                return Ok(Err(format!("lot {number} of {:?} is there already and is another", record.user)));
            }
            return Ok(Ok(()));
        }
        if !has_entry && let Err(reason) = self.check_room(work, item.user, remaining_micros, expires_at) {
            return Ok(Err(reason));
        }
        if goal_id.and_then(|goal| self.claims.get(&(item.user, goal))).is_some_and(|claim| claim.lot_seq != number) {
            return Ok(Err("the goal was claimed already, and its reward is in another lot".to_owned()));
        }
        self.lots.insert(
            place,
            lot::Model {
                user_id: item.user,
                seq: number,
                amount_micros: record.amount_micros,
                // What was taken of it is what its entries say.
                remaining_micros: record.amount_micros,
                granted_at,
                expires_at,
                // It becomes the reward of a goal with the claim.
                source: if goal_id.is_some() { LotSource::Import } else { record.source },
                goal_id: None,
                reason: record.reason.clone(),
            },
        );
        self.changed_lots.insert(place);
        work.unit.take_ledger_number(item.user, number)?;
        if has_entry && let Some(lot) = self.lots.get(&place) {
            let row = grant_of(lot, number, work.ids.ulid(work.now));
            self.enter(work, item.at, row)?;
        }
        let mut changes = json!({ "credits": micros_to_decimal(record.amount_micros), "lot": number });
        if let Some(expires_at) = record.expires_at {
            changes["expiresAt"] = expires_at.0.to_string().into();
        }
        let of = (item.user, item.has_history);
        work.tell_user(of, HistoryKind::CreditsGranted, &changes, granted_at)?;
        work.landed(item.at);
        Ok(Ok(()))
    }

    /// Refuses a lot with which a user would have more than anybody may have.
    fn check_room(
        &mut self,
        work: &Work<'_>,
        user: i64,
        micros: i64,
        expires_at: Option<Timestamp>,
    ) -> Result<(), String> {
        if expires_at.is_some_and(|at| at <= work.now) {
            return Ok(());
        }
        let left = self.left.entry(user).or_default();
        let after = *left + i128::from(micros);
        if after > i128::from(limits::MOST_MICROS) {
            return Err(format!("nobody may have more than {} credits", micros_to_decimal(limits::MOST_MICROS)));
        }
        *left = after;
        Ok(())
    }

    fn take_entry(&mut self, work: &mut Work<'_>, item: Item<'_, CreditEntry>) -> Result<Result<(), String>> {
        let record = item.record;
        let row = entry::Model {
            user_id: item.user,
            seq: record.number,
            lot_seq: record.lot,
            kind: record.kind,
            amount_micros: record.amount_micros,
            reason: record.reason.clone(),
            operation: record.operation.clone(),
            recorded_at: record.at.0,
        };
        if let Err(reason) = check_reason(record.reason.as_deref()) {
            return Ok(Err(reason));
        }
        let place = (item.user, record.lot);
        let Some(lot) = self.lots.get_mut(&place) else { return Ok(Err(unknown("lot", &record.lot.to_string()))) };
        match self.entries.get(&(item.user, record.number)) {
            Some(there) if *there == row => return Ok(Ok(())),
            Some(_) => return Ok(Err(format!("entry {} is there already and is another", record.number))),
            None => {}
        }
        let sum = self.sums.get(&place).copied().unwrap_or_default();
        if record.kind == EntryKind::Grant {
            if sum.granted.is_some() || record.amount_micros != lot.amount_micros {
                return Ok(Err(format!("one entry grants lot {}, and all of it", record.lot)));
            }
        } else {
            let Some(left) = lot.remaining_micros.checked_sub(record.amount_micros).filter(|left| *left >= 0) else {
                return Ok(Err(format!("more is taken of lot {} than is left of it", record.lot)));
            };
            lot.remaining_micros = left;
            self.changed_lots.insert(place);
        }
        self.enter(work, item.at, row)?;
        Ok(Ok(()))
    }

    /// Keeps what the records say of lots and does not follow from what has come so far.
    fn settle(&self, work: &mut Work<'_>, lots: &[Item<'_, CreditLot>]) {
        for item in lots {
            let record = item.record;
            let Some(number) = record.number.filter(|_| !matches!(work.outcomes[item.at], Outcome::Bad(_))) else {
                continue;
            };
            let Some(lot) = self.lots.get(&(item.user, number)) else { continue };
            let goal = record.goal.as_ref().and_then(|goal| work.known.goals.get(goal)).map(|goal| goal.id);
            let remaining_micros = record.remaining_micros.unwrap_or(record.amount_micros);
            let granted = self.sums.get(&(item.user, number)).is_some_and(|sums| sums.granted.is_some());
            if !granted || lot.remaining_micros > remaining_micros || (goal.is_some() && lot.goal_id != goal) {
                work.unsettled.push((item.at, (item.user, number), Unsettled { remaining_micros, goal }));
            }
        }
    }

    /// Counts an entry in what is known of its lot.
    fn count(&mut self, row: &entry::Model) {
        let sum = self.sums.entry((row.user_id, row.lot_seq)).or_default();
        *sum = sum.with(row.kind, row.amount_micros);
    }

    fn enter(&mut self, work: &mut Work<'_>, at: usize, row: entry::Model) -> Result<()> {
        work.unit.take_ledger_number(row.user_id, row.seq)?;
        self.entries.insert((row.user_id, row.seq), row.clone());
        self.count(&row);
        self.new_entries.push(row);
        work.landed(at);
        Ok(())
    }

    fn take_claim(&mut self, work: &mut Work<'_>, item: Item<'_, GoalClaim>) -> Result<Result<(), String>> {
        let record = item.record;
        let Some(goal) = work.known.goals.get(&record.goal).cloned() else {
            return Ok(Err(unknown("goal", &record.goal)));
        };
        // What was granted elsewhere was worth what the goal is worth, unless the record says otherwise.
        let unsaid = if item.has_history { 0 } else { goal.reward_micros };
        let reward_micros = record.reward_micros.unwrap_or(unsaid);
        if let Some(there) = self.claims.get_mut(&(item.user, goal.id)) {
            // Of two that were told the earlier stays.
            if let Some(at) =
                record.at.filter(|at| there.lot_seq == 0 && record.lot.is_none() && at.0 < there.claimed_at)
            {
                there.claimed_at = at.0;
                self.changed_claims.insert((item.user, goal.id));
                work.landed(item.at);
            }
            return Ok(Ok(()));
        }
        match (record.lot, reward_micros) {
            // Its credits were granted elsewhere, and come as a lot of their own, if at all.
            (None, _) => {}
            (Some(_), 0) => return Ok(Err("a claim that granted nothing has no lot".to_owned())),
            (Some(number), reward) => {
                let place = (item.user, number);
                let Some(lot) = self.lots.get_mut(&place) else { return Ok(Err(unknown("lot", &number.to_string()))) };
                let is_free = lot.source == LotSource::Import && lot.goal_id.is_none();
                if lot.amount_micros != reward || !(is_free || lot.goal_id == Some(goal.id)) {
                    return Ok(Err(format!("lot {number} is not the reward of this goal")));
                }
                (lot.source, lot.goal_id) = (LotSource::Goal, Some(goal.id));
                self.changed_lots.insert(place);
            }
        }
        let claimed_at = record.at.map_or(work.now, |at| at.0);
        let lot_seq = record.lot.unwrap_or(0);
        let row = goal_claim::Model { user_id: item.user, goal_id: goal.id, lot_seq, reward_micros, claimed_at };
        self.claims.insert((item.user, goal.id), row);
        self.changed_claims.insert((item.user, goal.id));
        // What opened no lot here was paid out of no budget here.
        if !item.has_history && lot_seq > 0 {
            for week in std::iter::once(0).chain(goal.week) {
                let spent = self.spent.entry((goal.season_id, week.into())).or_default();
                // A chunk of the highest rewards is far from the end of 64 bits.
                *spent = spent.saturating_add(reward_micros);
            }
        }
        let mut changes = json!({ "credits": micros_to_decimal(reward_micros) });
        if lot_seq > 0 {
            changes["lot"] = lot_seq.into();
        }
        let (of, subject) = ((item.user, item.has_history), (Kind::Goal, record.goal.as_str()));
        work.tell(of, HistoryKind::GoalClaimed, subject, &changes, claimed_at)?;
        work.landed(item.at);
        Ok(Ok(()))
    }

    async fn store(self, work: &Work<'_>) -> Result<()> {
        let lots: Vec<lot::Model> =
            self.changed_lots.iter().filter_map(|place| self.lots.get(place).cloned()).collect();
        sql::store(work.transaction, &lots).await?;
        sql::store(work.transaction, &self.new_entries).await?;
        let claims: Vec<goal_claim::Model> =
            self.changed_claims.iter().filter_map(|place| self.claims.get(place).cloned()).collect();
        sql::store(work.transaction, &claims).await?;
        sql::store(work.transaction, &self.new_references).await?;
        for ((season, week), micros) in self.spent {
            sql::spend(work.transaction, season, week, micros).await?;
        }
        Ok(())
    }
}

/// That people could have written this as a reason; an erasure leaves an empty one.
fn check_reason(reason: Option<&str>) -> Result<(), String> {
    match reason {
        Some(reason) if !reason.is_empty() && !is_reason(reason) => {
            Err(format!("a reason has 1 to {LONGEST_REASON} printable characters"))
        }
        _ => Ok(()),
    }
}

async fn take_blocks(work: &mut Work<'_>) -> Result<()> {
    let items = work.items(only!(Block));
    let users: BTreeSet<i64> = items.iter().map(|item| item.user).collect();
    let users: Vec<i64> = users.into_iter().collect();
    let mut blocks: BTreeMap<(i64, i64), block::Model> = BTreeMap::new();
    for row in sql::with_int::<block::Model>(work.transaction, "user_id", &users).await? {
        blocks.insert((row.user_id, row.seq), row);
    }
    let mut changed = BTreeSet::new();
    for item in items {
        let record = item.record;
        let own = || blocks.range((item.user, 0)..=(item.user, i64::MAX)).map(|(_, row)| row);
        let same = |row: &&block::Model| row.scope == record.scope && row.from_at == record.from.0;
        let number = record.number.or_else(|| own().find(same).map(|row| row.seq));
        let Some(number) = number.or_else(|| limits::next_number(own().next_back().map_or(0, |row| row.seq))) else {
            work.bad(item.at, "the blocks of this user have their last number already");
            continue;
        };
        if let Err(reason) = check_reason(Some(&record.reason)) {
            work.bad(item.at, reason);
            continue;
        }
        let from = record.from.0;
        if record.until.is_some_and(|until| until.0 <= from) || record.lifted_at.is_some_and(|at| at.0 < from) {
            work.bad(item.at, "a block ends, and is lifted, after it begins");
            continue;
        }
        let scope = match record.scope {
            BlockScope::Claim => "CLAIM",
            BlockScope::Spend => "SPEND",
            BlockScope::All => "ALL",
        };
        let changes = json!({ "block": number, "scope": scope });
        let of = (item.user, item.has_history);
        let lifted_at = record.lifted_at.map(|at| at.0);
        let place = (item.user, number);
        match blocks.get_mut(&place) {
            Some(row) if !same(&&*row) => {
                work.bad(item.at, format!("block {number} of {:?} is there already and is another", record.user));
                continue;
            }
            // One that was lifted stays so.
            Some(row) if row.lifted_at.is_some() || lifted_at.is_none() => continue,
            Some(row) => row.lifted_at = lifted_at,
            None => {
                let row = block::Model {
                    user_id: item.user,
                    seq: number,
                    scope: record.scope,
                    reason: record.reason.clone(),
                    from_at: record.from.0,
                    until_at: record.until.map(|at| at.0),
                    lifted_at,
                };
                blocks.insert(place, row);
                work.tell_user(of, HistoryKind::Blocked, &changes, record.from.0)?;
            }
        }
        changed.insert(place);
        work.landed(item.at);
        if let Some(at) = lifted_at {
            work.tell_user(of, HistoryKind::BlockLifted, &changes, at)?;
        }
    }
    let rows: Vec<block::Model> = changed.iter().filter_map(|place| blocks.get(place).cloned()).collect();
    sql::store(work.transaction, &rows).await
}
