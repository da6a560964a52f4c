//! Books a user's changes of credits in the order of time: lots, ledger entries, claims of goals.

use serde_json::json;

use super::dice::Dice;
use super::page::{Actor, Page};
use super::{at, number};
use waymark_kernel::clock::Timestamp;
use waymark_kinds::credits::rules;
use waymark_transfer::records::{
    At, Block, BlockScope, CreditEntry, CreditLot, EntryKind, GoalClaim, LotSource, Record,
};
use waymark_vocabulary::HistoryKind;

/// A change of a user's credits.
#[derive(Debug)]
pub(super) struct Operation {
    pub(super) at: Timestamp,
    pub(super) change: Change,
}

/// What a change of credits does. Amounts are in micros.
#[derive(Debug)]
pub(super) enum Change {
    /// Opens a lot.
    Grant { micros: i64, expires_at: Option<Timestamp>, source: LotSource, reason: &'static str },
    /// Claims the reward of a goal, which has this key.
    Claim { goal: String, micros: i64, expires_at: Timestamp },
    /// Spends; nothing happens when there is less.
    Spend { micros: i64, reason: &'static str },
    /// Takes away as much as there is.
    Revoke { micros: i64, reason: &'static str },
}

/// The state of a user's credits while they are booked.
struct Book {
    user: String,
    lots: Vec<rules::Lot>,
    /// What cannot be told from the lots above: source, goal, reason.
    origins: Vec<(LotSource, Option<String>, Option<&'static str>)>,
    entries: Vec<CreditEntry>,
}

impl Book {
    /// Opens a lot that is granted by one entry; returns its number.
    fn open(
        &mut self,
        (micros, expires_at): (i64, Option<Timestamp>),
        origin: (LotSource, Option<String>, Option<&'static str>),
        op: &str,
        granted_at: Timestamp,
    ) -> i64 {
        let reason = origin.2;
        self.lots.push(rules::Lot { amount_micros: micros, remaining_micros: micros, granted_at, expires_at });
        self.origins.push(origin);
        self.enter(self.lots.len() - 1, EntryKind::Grant, micros, reason, op, granted_at);
        number(self.lots.len())
    }

    fn enter(&mut self, lot: usize, kind: EntryKind, micros: i64, reason: Option<&str>, op: &str, at: Timestamp) {
        self.entries.push(CreditEntry {
            user: self.user.clone(),
            number: number(self.entries.len()) + 1,
            lot: number(lot) + 1,
            kind,
            amount_micros: micros,
            reason: reason.map(str::to_owned),
            operation: op.to_owned(),
            at: At(at),
        });
    }

    /// Books what had expired by `now`, dated when it did.
    fn sweep(&mut self, now: Timestamp, dice: &mut Dice) {
        for expired in rules::unswept(&self.lots, now) {
            self.lots[expired.lot].remaining_micros = 0;
            let op = dice.ulid(expired.expired_at);
            self.enter(expired.lot, EntryKind::Expire, expired.micros, None, &op, expired.expired_at);
        }
    }

    fn take(&mut self, plan: &[(usize, i64)], kind: EntryKind, reason: &str, op: &str, at: Timestamp) {
        for (lot, micros) in plan {
            self.lots[*lot].remaining_micros -= micros;
            self.enter(*lot, kind, *micros, Some(reason), op, at);
        }
    }

    fn into_records(self) -> impl Iterator<Item = Record> {
        let user = self.user;
        let lots = self.lots.into_iter().zip(self.origins).zip(1..).map(move |((lot, origin), number)| {
            let (source, goal, reason) = origin;
            Record::CreditLot(CreditLot {
                user: user.clone(),
                number: Some(number),
                reference: None,
                amount_micros: lot.amount_micros,
                remaining_micros: Some(lot.remaining_micros),
                granted_at: at(lot.granted_at),
                expires_at: lot.expires_at.map(At),
                source,
                goal,
                reason: reason.map(str::to_owned),
            })
        });
        lots.chain(self.entries.into_iter().map(Record::CreditEntry))
    }
}

/// Books all operations of the page and adds the records.
pub(super) fn book(page: &mut Page<'_>, dice: &mut Dice) {
    let mut book = Book { user: page.ulid.clone(), lots: Vec::new(), origins: Vec::new(), entries: Vec::new() };
    let mut operations = std::mem::take(&mut page.operations);
    operations.sort_by_key(|operation| operation.at);
    for Operation { at: now, change } in operations {
        book.sweep(now, dice);
        let op = dice.ulid(now);
        match change {
            Change::Grant { micros, expires_at, source, reason } => {
                let lot = book.open((micros, expires_at), (source, None, Some(reason)), &op, now);
                let mut changes = json!({ "credits": rules::micros_to_decimal(micros), "lot": lot });
                if let Some(expires_at) = expires_at {
                    changes["expiresAt"] = expires_at.to_string().into();
                }
                page.tell_user(now, HistoryKind::CreditsGranted, Actor::Operator, changes);
            }
            Change::Claim { goal, micros, expires_at } => {
                let origin = (LotSource::Goal, Some(goal.clone()), None);
                let lot = book.open((micros, Some(expires_at)), origin, &op, now);
                let changes = json!({ "credits": rules::micros_to_decimal(micros), "lot": lot });
                page.tell(now, HistoryKind::GoalClaimed, Actor::Themselves, "goal", &goal, changes);
                page.records.push(Record::GoalClaim(GoalClaim {
                    user: page.ulid.clone(),
                    goal,
                    lot: Some(lot),
                    reward_micros: Some(micros),
                    at: at(now),
                }));
            }
            Change::Spend { micros, reason } => {
                if let Ok(plan) = rules::spend_plan(&book.lots, micros, now) {
                    book.take(&plan, EntryKind::Spend, reason, &op, now);
                    let changes = json!({ "credits": rules::micros_to_decimal(micros) });
                    page.tell_user(now, HistoryKind::CreditsSpent, Actor::App, changes);
                }
            }
            Change::Revoke { micros, reason } => {
                let (plan, missing) = rules::revoke_plan(&book.lots, micros, now);
                if missing < micros {
                    book.take(&plan, EntryKind::Revoke, reason, &op, now);
                    let changes = json!({ "credits": rules::micros_to_decimal(micros - missing) });
                    page.tell_user(now, HistoryKind::CreditsRevoked, Actor::Operator, changes);
                }
            }
        }
    }
    book.sweep(page.day, dice);
    page.records.extend(book.into_records());
}

/// A block of a user, as it is told of.
#[derive(Debug, Clone)]
pub(super) struct Blocked {
    pub(super) scope: BlockScope,
    pub(super) reason: &'static str,
    pub(super) from: Timestamp,
    pub(super) lifted_at: Option<Timestamp>,
}

impl Blocked {
    /// Whether it kept the user from claiming at `at`.
    fn keeps_from_claiming(&self, at: Timestamp) -> bool {
        self.scope != BlockScope::Spend && self.from <= at && self.lifted_at.is_none_or(|lifted| at < lifted)
    }
}

/// Adds the user's blocks: records and events.
pub(super) fn block(page: &mut Page<'_>) {
    for (Blocked { scope, reason, from, lifted_at }, number) in page.person.blocks.clone().into_iter().zip(1..) {
        let changes = json!({ "block": number, "scope": scope });
        page.tell_user(from, HistoryKind::Blocked, Actor::Operator, changes.clone());
        if let Some(at) = lifted_at {
            page.tell_user(at, HistoryKind::BlockLifted, Actor::Operator, changes);
        }
        page.records.push(Record::Block(Block {
            user: page.ulid.clone(),
            number: Some(number),
            scope,
            reason: reason.to_owned(),
            from: At(from),
            until: None,
            lifted_at: lifted_at.map(At),
        }));
    }
}

/// Whether `blocks` kept the user from claiming at `at`.
pub(super) fn is_blocked_for_claiming(blocks: &[Blocked], at: Timestamp) -> bool {
    blocks.iter().any(|block| block.keeps_from_claiming(at))
}
