//! Lots, ledgers, claims and blocks: records, how they are exported, and as facts that the features take.

#![expect(missing_docs, reason = "docs/import.md describes every member, and a test compares the two")]

use serde::{Deserialize, Serialize};

use crate::export::{Export, Users, at, each_of};
use crate::import::{Item, Work, only};
use crate::ranges::{Members, Said};
use crate::records::{At, Record};
use waymark_kernel::error::Result;
use waymark_kernel::limits;
pub use waymark_kinds::credits::entity::{BlockScope, EntryKind, LotSource};
use waymark_kinds::credits::entity::{block, entry, lot};
use waymark_kinds::credits::told::{ToldBlock, ToldEntry, ToldLot, take_blocks};
use waymark_kinds::seasons::entity::goal_claim;
use waymark_kinds::seasons::told::{ToldClaim, take_credits};
use waymark_vocabulary::ids::Kind;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GoalClaim {
    pub user: String,
    pub goal: String,
    /// The number of the lot it opened; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<i64>,
    /// Absent: what the goal is worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward_micros: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreditLot {
    pub user: String,
    /// Absent: the next one, once per `ref`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    pub amount_micros: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_micros: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<At>,
    #[serde(default = "brought_along")]
    pub source: LotSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

const fn brought_along() -> LotSource {
    LotSource::Import
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreditEntry {
    pub user: String,
    pub number: i64,
    pub lot: i64,
    pub kind: EntryKind,
    pub amount_micros: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub operation: String,
    pub at: At,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Block {
    pub user: String,
    /// Absent: the block that begins at this instant with this scope, or the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    pub scope: BlockScope,
    pub reason: String,
    pub from: At,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifted_at: Option<At>,
}

impl Said for GoalClaim {
    fn ranged(&self, all: &mut Members) {
        let GoalClaim { user: _, goal: _, lot, reward_micros, at } = self;
        all.number("lot", *lot, limits::NUMBER);
        all.number("rewardMicros", *reward_micros, limits::REWARD_MICROS);
        all.happened("at", *at);
    }
}

impl Said for CreditLot {
    fn ranged(&self, all: &mut Members) {
        let CreditLot {
            user: _,
            number,
            reference: _,
            amount_micros,
            remaining_micros,
            granted_at,
            expires_at,
            source: _,
            goal: _,
            reason: _,
        } = self;
        all.number("number", *number, limits::NUMBER);
        all.number("amountMicros", *amount_micros, limits::AMOUNT_MICROS);
        all.number("remainingMicros", *remaining_micros, limits::REMAINING_MICROS);
        all.happened("grantedAt", *granted_at);
        all.planned("expiresAt", *expires_at);
    }
}

impl Said for CreditEntry {
    fn ranged(&self, all: &mut Members) {
        let CreditEntry { user: _, number, lot, kind: _, amount_micros, reason: _, operation: _, at } = self;
        all.number("number", *number, limits::NUMBER);
        all.number("lot", *lot, limits::NUMBER);
        all.number("amountMicros", *amount_micros, limits::AMOUNT_MICROS);
        all.happened("at", *at);
    }
}

impl Said for Block {
    fn ranged(&self, all: &mut Members) {
        let Block { user: _, number, scope: _, reason: _, from, until, lifted_at } = self;
        all.number("number", *number, limits::NUMBER);
        all.happened("from", *from);
        all.planned("until", *until);
        all.happened("liftedAt", *lifted_at);
    }
}

impl Export<'_> {
    pub(super) async fn credits_of(&mut self, users: &Users) -> Result<()> {
        each_of!(self, users, lot::Model, seq, row => Some(Record::CreditLot(CreditLot {
            user: users.ulid(row.user_id)?,
            number: Some(row.seq),
            reference: None,
            amount_micros: row.amount_micros,
            remaining_micros: Some(row.remaining_micros),
            granted_at: at(row.granted_at),
            expires_at: row.expires_at.map(At),
            source: row.source,
            goal: row.goal_id.map(|id| self.keys.of(Kind::Goal, id)).transpose()?,
            reason: row.reason,
        })));
        each_of!(self, users, entry::Model, seq, row => Some(Record::CreditEntry(CreditEntry {
            user: users.ulid(row.user_id)?,
            number: row.seq,
            lot: row.lot_seq,
            kind: row.kind,
            amount_micros: row.amount_micros,
            reason: row.reason,
            operation: row.operation,
            at: At(row.recorded_at),
        })));
        each_of!(self, users, goal_claim::Model, goal_id, row => Some(Record::GoalClaim(GoalClaim {
            user: users.ulid(row.user_id)?,
            goal: self.keys.of(Kind::Goal, row.goal_id)?,
            lot: (row.lot_seq != 0).then_some(row.lot_seq),
            reward_micros: Some(row.reward_micros),
            at: at(row.claimed_at),
        })));
        each_of!(self, users, block::Model, seq, row => Some(Record::Block(Block {
            user: users.ulid(row.user_id)?,
            number: Some(row.seq),
            scope: row.scope,
            reason: row.reason,
            from: At(row.from_at),
            until: row.until_at.map(At),
            lifted_at: row.lifted_at.map(At),
        })));
        Ok(())
    }
}

/// Takes everything about credits.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let lots = work.items(only!(CreditLot));
    let entries = work.items(only!(CreditEntry));
    let claims = work.items(only!(GoalClaim));
    if !(lots.is_empty() && entries.is_empty() && claims.is_empty()) {
        let told_lots = lots.iter().map(|Item { user, record, origin, .. }| {
            let lot = ToldLot {
                user: *user,
                number: record.number,
                reference: record.reference.as_deref(),
                amount_micros: record.amount_micros,
                remaining_micros: record.remaining_micros,
                granted_at: record.granted_at.map(|at| at.0),
                expires_at: record.expires_at.map(|at| at.0),
                source: record.source,
                reward: None,
                reason: record.reason.as_deref(),
                origin: *origin,
            };
            (lot, record.goal.as_deref())
        });
        let told_entries: Vec<_> = entries
            .iter()
            .map(|Item { user, record, .. }| ToldEntry {
                user: *user,
                number: record.number,
                lot: record.lot,
                kind: record.kind,
                amount_micros: record.amount_micros,
                reason: record.reason.as_deref(),
                operation: &record.operation,
                at: record.at.0,
            })
            .collect();
        let told_claims: Vec<_> = claims
            .iter()
            .map(|Item { user, record, origin, .. }| ToldClaim {
                user: *user,
                goal: &record.goal,
                lot: record.lot,
                reward_micros: record.reward_micros,
                at: record.at.map(|at| at.0),
                origin: *origin,
            })
            .collect();
        let taken = take_credits(&mut work.unit, told_lots.collect(), &told_entries, &told_claims).await?;
        work.note(lots.iter().map(|item| item.at).zip(taken.lots));
        work.note(entries.iter().map(|item| item.at).zip(taken.entries));
        work.note(claims.iter().map(|item| item.at).zip(taken.claims));
        let unsettled = taken.unsettled.into_iter().map(|(place, lot, unsettled)| (lots[place].at, lot, unsettled));
        work.unsettled.extend(unsettled);
    }
    let blocks = work.items(only!(Block));
    let told: Vec<_> = blocks
        .iter()
        .map(|Item { user, record, origin, .. }| ToldBlock {
            user: *user,
            number: record.number,
            scope: record.scope,
            reason: &record.reason,
            from: record.from.0,
            until: record.until.map(|at| at.0),
            lifted_at: record.lifted_at.map(|at| at.0),
            origin: *origin,
        })
        .collect();
    let taken = take_blocks(&mut work.unit, &told).await?;
    work.note(blocks.iter().map(|item| item.at).zip(taken));
    Ok(())
}
