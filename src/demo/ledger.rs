//! Books a user's changes of credits in the order of time: lots, ledger entries, claims of goals.

use serde_json::json;

use super::dice::Dice;
use super::page::{Actor, Page};
use waymark_credits::entity::{BlockScope, EntryKind, LotSource, block, entry, lot};
use waymark_credits::rules;
use waymark_kernel::clock::Timestamp;
use waymark_seasons::entity::goal_claim;
use waymark_write::HistoryKind;

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
    /// Claims the reward of a goal.
    Claim { goal: i64, goal_key: String, micros: i64, expires_at: Option<Timestamp>, season: i64, week: Option<i32> },
    /// Spends; nothing happens when there is less.
    Spend { micros: i64, reason: &'static str },
    /// Takes away as much as there is.
    Revoke { micros: i64, reason: &'static str },
}

/// The state of a user's credits while they are booked.
struct Book {
    user: i64,
    lots: Vec<rules::Lot>,
    /// What cannot be told from the lots above.
    origins: Vec<(LotSource, Option<i64>, Option<&'static str>)>,
    entries: Vec<entry::Model>,
}

impl Book {
    fn open_lot(&mut self, lot: rules::Lot, source: LotSource, goal: Option<i64>, reason: Option<&'static str>) -> i64 {
        self.lots.push(lot);
        self.origins.push((source, goal, reason));
        number(self.lots.len())
    }

    fn enter(&mut self, lot_seq: i64, kind: EntryKind, micros: i64, reason: Option<&str>, op: &str, at: Timestamp) {
        self.entries.push(entry::Model {
            user_id: self.user,
            seq: number(self.entries.len()) + 1,
            lot_seq,
            kind,
            amount_micros: micros,
            reason: reason.map(str::to_owned),
            operation: op.to_owned(),
            recorded_at: at,
        });
    }

    /// Books what had expired by `now`, dated when it did.
    fn sweep(&mut self, now: Timestamp, dice: &mut Dice) {
        for expired in rules::unswept(&self.lots, now) {
            self.lots[expired.lot].remaining_micros = 0;
            let op = dice.ulid(expired.expired_at);
            let lot = number(expired.lot) + 1;
            self.enter(lot, EntryKind::Expire, expired.micros, None, &op, expired.expired_at);
        }
    }

    fn take(&mut self, plan: &[(usize, i64)], kind: EntryKind, reason: &str, op: &str, at: Timestamp) {
        for (lot, micros) in plan {
            self.lots[*lot].remaining_micros -= micros;
            self.enter(number(*lot) + 1, kind, *micros, Some(reason), op, at);
        }
    }
}

/// Books all operations of the page and adds the rows; returns the number of the last ledger entry.
pub(super) fn book(page: &mut Page<'_>, dice: &mut Dice) -> i64 {
    let user = page.id();
    let mut book = Book { user, lots: Vec::new(), origins: Vec::new(), entries: Vec::new() };
    let mut operations = std::mem::take(&mut page.operations);
    operations.sort_by_key(|operation| operation.at);
    for Operation { at, change } in operations {
        book.sweep(at, dice);
        let op = dice.ulid(at);
        match change {
            Change::Grant { micros, expires_at, source, reason } => {
                let seq = book.open_lot(new_lot(micros, at, expires_at), source, None, Some(reason));
                book.enter(seq, EntryKind::Grant, micros, Some(reason), &op, at);
                let mut changes = json!({ "credits": rules::micros_to_decimal(micros), "lot": seq });
                if let Some(expires_at) = expires_at {
                    changes["expiresAt"] = expires_at.to_string().into();
                }
                page.tell_user(at, HistoryKind::CreditsGranted, Actor::Operator, changes);
            }
            Change::Claim { goal, goal_key, micros, expires_at, season, week } => {
                let seq = book.open_lot(new_lot(micros, at, expires_at), LotSource::Goal, Some(goal), None);
                book.enter(seq, EntryKind::Grant, micros, None, &op, at);
                for week in [Some(0), week].into_iter().flatten() {
                    *page.rows.spent_micros.entry((season, week)).or_default() += micros;
                }
                page.rows.goal_claims.push(goal_claim::Model {
                    user_id: user,
                    goal_id: goal,
                    lot_seq: seq,
                    reward_micros: micros,
                    claimed_at: at,
                });
                let changes = json!({ "credits": rules::micros_to_decimal(micros), "lot": seq });
                page.tell(at, HistoryKind::GoalClaimed, Actor::Themselves, "goal", &goal_key, changes);
            }
            Change::Spend { micros, reason } => {
                if let Ok(plan) = rules::spend_plan(&book.lots, micros, at) {
                    book.take(&plan, EntryKind::Spend, reason, &op, at);
                    let changes = json!({ "credits": rules::micros_to_decimal(micros) });
                    page.tell_user(at, HistoryKind::CreditsSpent, Actor::App, changes);
                }
            }
            Change::Revoke { micros, reason } => {
                let (plan, missing) = rules::revoke_plan(&book.lots, micros, at);
                if missing < micros {
                    book.take(&plan, EntryKind::Revoke, reason, &op, at);
                    let changes = json!({ "credits": rules::micros_to_decimal(micros - missing) });
                    page.tell_user(at, HistoryKind::CreditsRevoked, Actor::Operator, changes);
                }
            }
        }
    }
    book.sweep(page.day, dice);

    let last = number(book.entries.len());
    page.rows.entries.append(&mut book.entries);
    for (place, (lot, (source, goal_id, reason))) in book.lots.into_iter().zip(book.origins).enumerate() {
        page.rows.lots.push(lot::Model {
            user_id: user,
            seq: number(place) + 1,
            amount_micros: lot.amount_micros,
            remaining_micros: lot.remaining_micros,
            granted_at: lot.granted_at,
            expires_at: lot.expires_at,
            source,
            goal_id,
            reason: reason.map(str::to_owned),
        });
    }
    last
}

/// Adds the user's blocks: rows and events.
pub(super) fn block(page: &mut Page<'_>) {
    for (place, mut block) in page.person.blocks.clone().into_iter().enumerate() {
        block.user_id = page.id();
        block.seq = number(place) + 1;
        let scope = match block.scope {
            BlockScope::Claim => "CLAIM",
            BlockScope::Spend => "SPEND",
            BlockScope::All => "ALL",
        };
        let changes = json!({ "block": block.seq, "scope": scope });
        page.tell_user(block.from_at, HistoryKind::Blocked, Actor::Operator, changes.clone());
        if let Some(at) = block.lifted_at {
            page.tell_user(at, HistoryKind::BlockLifted, Actor::Operator, changes);
        }
        page.rows.blocks.push(block);
    }
}

/// Whether `blocks` kept the user from claiming at `at`.
pub(super) fn is_blocked_for_claiming(blocks: &[block::Model], at: Timestamp) -> bool {
    blocks.iter().any(|block| {
        block.scope != BlockScope::Spend && block.from_at <= at && block.lifted_at.is_none_or(|lifted| at < lifted)
    })
}

const fn new_lot(micros: i64, granted_at: Timestamp, expires_at: Option<Timestamp>) -> rules::Lot {
    rules::Lot { amount_micros: micros, remaining_micros: micros, granted_at, expires_at }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
