//! SQL of lots, ledger entries and blocks.

use sea_orm::{ConnectionTrait, DbErr};

use super::entity::{EntryKind, LotSource};
use super::rules::{Block, BlockScope, Lot};
use crate::clock::Timestamp;
use crate::db::page::{List, Slice};
use crate::db::{Param, Row, Sql, fetch};
use crate::error::Result;

/// A lot with something left.
#[derive(Debug, Clone)]
pub(crate) struct StoredLot {
    pub(crate) seq: i64,
    pub(crate) lot: Lot,
    pub(crate) source: LotSource,
    pub(crate) reason: Option<String>,
}

/// A block with its reason.
#[derive(Debug, Clone)]
pub(crate) struct StoredBlock {
    pub(crate) block: Block,
    pub(crate) reason: String,
}

/// A part of what a user has.
#[derive(Debug, Clone)]
pub(super) enum Holding {
    Lot(StoredLot),
    Block(StoredBlock),
}

// One statement for both, because whoever shows credits needs both.
static HOLDINGS: Sql = Sql::new(
    "SELECT l.user_id, l.seq, l.amount_micros, l.remaining_micros, l.granted_at, l.expires_at, l.source, l.reason, \
     CAST(NULL AS text) \
     FROM credit_lots l WHERE l.user_id = ANY($1) AND l.remaining_micros > 0 \
     UNION ALL \
     SELECT b.user_id, b.seq, 0, 0, b.from_at, b.until_at, NULL, b.reason, b.scope \
     FROM user_blocks b WHERE b.user_id = ANY($1) AND b.lifted_at IS NULL",
);

/// The lots with something left, expired or not, and the blocks that were not lifted, each with its user.
pub(super) async fn holdings(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, Holding)>> {
    fetch(connection, &HOLDINGS, [Param::Ints(users)], |row| {
        let (user, seq) = (row.take()?, row.take()?);
        let (amount_micros, remaining_micros) = (row.take()?, row.take()?);
        let (from, until) = (row.take()?, row.take()?);
        let (source, reason): (Option<LotSource>, Option<String>) = (row.take_entity()?, row.take()?);
        let scope: Option<super::entity::BlockScope> = row.take_entity()?;
        let holding = match scope {
            None => Holding::Lot(StoredLot {
                seq,
                lot: Lot { amount_micros, remaining_micros, granted_at: from, expires_at: until },
                source: source.unwrap_or(LotSource::Grant),
                reason,
            }),
            Some(scope) => Holding::Block(StoredBlock {
                block: Block { scope: scope.into(), from, until, lifted_at: None },
                reason: reason.unwrap_or_default(),
            }),
        };
        Ok((user, holding))
    })
    .await
}

impl From<super::entity::BlockScope> for BlockScope {
    fn from(stored: super::entity::BlockScope) -> Self {
        match stored {
            super::entity::BlockScope::Claim => Self::Claim,
            super::entity::BlockScope::Spend => Self::Spend,
            super::entity::BlockScope::All => Self::All,
        }
    }
}

/// An entry of the ledger.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Where it stands among entries of the same instant. For an expiry it follows from the lot, so that the entry
    /// stands in the same place before and after it was written.
    pub(crate) tie: i64,
    pub(crate) lot_seq: i64,
    pub(crate) kind: EntryKind,
    pub(crate) amount_micros: i64,
    pub(crate) reason: Option<String>,
    pub(crate) recorded_at: Timestamp,
}

impl Entry {
    /// The place in the ledger of the expiry of a lot.
    pub(crate) const fn expiry_tie(lot_seq: i64) -> i64 {
        -lot_seq
    }
}

const LEDGER: List = List {
    columns: "t.user_id, t.tie, t.lot_seq, t.kind, t.amount_micros, t.reason, t.recorded_at",
    table: "(SELECT e.*, CASE WHEN e.kind = 'EXPIRE' THEN -e.lot_seq ELSE e.seq END AS tie FROM credit_entries e) t",
    condition: "true",
    sort: "recorded_at",
    tie: "tie",
    descending: true,
};

/// One page of each user's ledger, as far as it is written.
pub(super) async fn entries(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    slice: Slice,
) -> Result<Vec<(i64, Entry)>> {
    LEDGER.fetch(connection, users, None, slice, read_entry).await
}

/// How many entries each user's ledger has, as far as it is written.
pub(super) async fn entry_count(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, i64)>> {
    LEDGER.count(connection, users, None).await
}

fn read_entry(row: &mut Row) -> Result<(i64, Entry), DbErr> {
    let user = row.take()?;
    let entry = Entry {
        tie: row.take()?,
        lot_seq: row.take()?,
        kind: row.take_entity()?,
        amount_micros: row.take()?,
        reason: row.take()?,
        recorded_at: row.take()?,
    };
    Ok((user, entry))
}
