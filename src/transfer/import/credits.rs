//! Lots, the ledger, claims and blocks. What the ledger says is never changed, and a goal is claimed once.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Value, json};

use super::catalogue::unknown;
use super::{Item, Work, only};
use crate::error::Result;
use crate::features::credits::entity::{BlockScope, EntryKind, block, entry, lot};
use crate::features::credits::rules::micros_to_decimal;
use crate::features::seasons::entity::goal_claim;
use crate::graphql::ids::Kind;
use crate::transfer::records::{CreditLot, GoalClaim};
use crate::transfer::sql;
use crate::write::HistoryKind;
use crate::write::entity::write_ref;

/// The kind of the references of lots that were brought along.
const REFERENCE: &str = "IMPORT";

/// Takes everything about credits.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let lots = work.items(only!(CreditLot));
    let entries = work.items(only!(CreditEntry));
    let claims = work.items(only!(GoalClaim));
    if !(lots.is_empty() && entries.is_empty() && claims.is_empty()) {
        let mut ledger =
            Ledger::read(work, &lots, entries.iter().map(|item| (item.user, item.record.lot)), &claims).await?;
        for item in lots {
            if let Err(reason) = ledger.take_lot(work, item)? {
                work.bad(item.at, reason);
            }
        }
        let pairs: BTreeSet<(i64, i64)> = entries.iter().map(|item| (item.user, item.record.number)).collect();
        for row in sql::with_pairs::<entry::Model>(work.transaction, "seq", &pairs).await? {
            ledger.entries.insert((row.user_id, row.seq), row);
        }
        for item in entries {
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
            if record.amount_micros < 1 || record.number < 1 {
                work.bad(item.at, "an entry has a number and an amount of 1 or more");
            } else if !ledger.lots.contains_key(&(item.user, record.lot)) {
                work.bad(item.at, unknown("lot", &record.lot.to_string()));
            } else {
                match ledger.entries.get(&(item.user, record.number)) {
                    Some(there) if *there == row => {}
                    Some(_) => work.bad(item.at, format!("entry {} is there already and is another", record.number)),
                    None => ledger.enter(work, item.at, row)?,
                }
            }
        }
        for item in claims {
            if let Err(reason) = ledger.take_claim(work, item)? {
                work.bad(item.at, reason);
            }
        }
        ledger.store(work).await?;
    }
    take_blocks(work).await
}

/// What the ledgers of some users hold, as far as the records concern it.
#[derive(Default)]
struct Ledger {
    lots: HashMap<(i64, i64), lot::Model>,
    entries: HashMap<(i64, i64), entry::Model>,
    /// By user and goal.
    claims: HashMap<(i64, i64), goal_claim::Model>,
    references: BTreeSet<(i64, String)>,
    changed_lots: BTreeSet<(i64, i64)>,
    new_entries: Vec<entry::Model>,
    new_claims: Vec<goal_claim::Model>,
    new_references: Vec<write_ref::Model>,
    /// What hand-made claims take from budgets, by season and week.
    spent: BTreeMap<(i64, i64), i64>,
}

impl Ledger {
    async fn read(
        work: &Work<'_>,
        lots: &[Item<'_, CreditLot>],
        of_entries: impl Iterator<Item = (i64, i64)>,
        claims: &[Item<'_, GoalClaim>],
    ) -> Result<Self> {
        let mut ledger = Self::default();
        let numbered = lots.iter().filter_map(|item| Some((item.user, item.record.number?)));
        let claimed = claims.iter().filter_map(|item| Some((item.user, item.record.lot?)));
        let pairs: BTreeSet<(i64, i64)> = numbered.chain(of_entries).chain(claimed).collect();
        for row in sql::with_pairs::<lot::Model>(work.transaction, "seq", &pairs).await? {
            ledger.lots.insert((row.user_id, row.seq), row);
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
        if record.amount_micros < 1 || !(0..=record.amount_micros).contains(&remaining_micros) {
            return Ok(Err("a lot has an amount of 1 or more, of which something may be left".to_owned()));
        }
        let goal_id = match &record.goal {
            None => None,
            Some(goal) => match work.known.goals.get(goal) {
                Some(goal) => Some(goal.id),
                None => return Ok(Err(unknown("goal", goal))),
            },
        };
        let (number, has_entry) = match (record.number, &record.reference) {
            (Some(number), _) if number < 1 => return Ok(Err("lots are numbered from 1".to_owned())),
            (Some(number), _) => (number, false),
            (None, None) => {
                return Ok(Err("a lot without a number needs a ref, so that it is granted once".to_owned()));
            }
            (None, Some(_)) if remaining_micros < record.amount_micros => {
                return Ok(Err("of a lot without a number everything is left".to_owned()));
            }
            (None, Some(name)) => {
                if !self.references.insert((item.user, name.clone())) {
                    return Ok(Ok(()));
                }
                let person = work.person(item.user)?;
                let number = person.ledger_seq + 1;
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
        if let Some(there) = self.lots.get_mut(&place) {
            let same = there.amount_micros == record.amount_micros
                && there.source == record.source
                && record.granted_at.is_none_or(|at| at.0 == there.granted_at);
            if !same {
                return Ok(Err(format!("lot {number} of {:?} is there already and is another", record.user)));
            }
            // Of a lot less and less is left.
            if remaining_micros < there.remaining_micros {
                there.remaining_micros = remaining_micros;
                self.changed_lots.insert(place);
                work.landed(item.at);
            }
            return Ok(Ok(()));
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
                remaining_micros,
                granted_at,
                expires_at: record.expires_at.map(|at| at.0),
                source: record.source,
                goal_id,
                reason: record.reason.clone(),
            },
        );
        self.changed_lots.insert(place);
        let person = work.person(item.user)?;
        person.ledger_seq = person.ledger_seq.max(number);
        person.changed = true;
        if has_entry {
            let row = entry::Model {
                user_id: item.user,
                seq: number,
                lot_seq: number,
                kind: EntryKind::Grant,
                amount_micros: record.amount_micros,
                reason: record.reason.clone(),
                operation: work.ids.ulid(work.now),
                recorded_at: granted_at,
            };
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

    fn enter(&mut self, work: &mut Work<'_>, at: usize, row: entry::Model) -> Result<()> {
        let person = work.person(row.user_id)?;
        person.ledger_seq = person.ledger_seq.max(row.seq);
        person.changed = true;
        self.entries.insert((row.user_id, row.seq), row.clone());
        self.new_entries.push(row);
        work.landed(at);
        Ok(())
    }

    fn take_claim(&mut self, work: &mut Work<'_>, item: Item<'_, GoalClaim>) -> Result<Result<(), String>> {
        let record = item.record;
        let Some(goal) = work.known.goals.get(&record.goal).cloned() else {
            return Ok(Err(unknown("goal", &record.goal)));
        };
        if self.claims.contains_key(&(item.user, goal.id)) {
            return Ok(Ok(()));
        }
        match record.lot {
            Some(lot) if !self.lots.contains_key(&(item.user, lot)) => {
                return Ok(Err(unknown("lot", &lot.to_string())));
            }
            None if record.reward_micros != 0 => {
                return Ok(Err("a claim that granted something names its lot".to_owned()));
            }
            _ => {}
        }
        if record.reward_micros < 0 {
            return Ok(Err("a reward is 0 or more".to_owned()));
        }
        let claimed_at = record.at.map_or(work.now, |at| at.0);
        let lot_seq = record.lot.unwrap_or(0);
        let row = goal_claim::Model {
            user_id: item.user,
            goal_id: goal.id,
            lot_seq,
            reward_micros: record.reward_micros,
            claimed_at,
        };
        self.claims.insert((item.user, goal.id), row.clone());
        self.new_claims.push(row);
        if !item.has_history && record.reward_micros > 0 {
            for week in std::iter::once(0).chain(goal.week) {
                *self.spent.entry((goal.season_id, week.into())).or_default() += record.reward_micros;
            }
        }
        let changes: Value = json!({ "credits": micros_to_decimal(record.reward_micros), "lot": lot_seq });
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
        sql::store(work.transaction, &self.new_claims).await?;
        sql::store(work.transaction, &self.new_references).await?;
        for ((season, week), micros) in self.spent {
            sql::spend(work.transaction, season, week, micros).await?;
        }
        Ok(())
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
        let number = number.unwrap_or_else(|| own().next_back().map_or(1, |row| row.seq + 1));
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
