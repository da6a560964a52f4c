//! SQL of lots, ledger entries and blocks.

use std::sync::Arc;

use super::entity::{EntryKind, LotSource, block, entry, lot};
use super::rules::{Block, BlockScope, Lot};
use sea_orm::{ConnectionTrait, DbErr};
use waymark_db::bulk;
use waymark_db::bulk::Stores;
use waymark_db::owner::Merger;
use waymark_db::page::{List, Slice};
use waymark_db::records::{As, Records};
use waymark_db::{Param, Row, Sql, execute, fetch};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;

/// A lot with something left.
#[derive(Debug, Clone)]
pub struct StoredLot {
    /// The number of the lot in the user's ledger.
    pub seq: i64,
    /// Its amounts in micros of a credit, and its dates.
    pub lot: Lot,
    /// Where its credits come from.
    pub source: LotSource,
    /// Why they were granted, for people; `None`: no reason was given. Shared with what shows the lot: a reason may have
    /// 2 KB.
    pub reason: Option<Arc<str>>,
}

/// A block with its number and its reason.
#[derive(Debug, Clone)]
pub struct StoredBlock {
    /// The number of the block among the user's blocks, from 1.
    pub seq: i64,
    /// What it keeps the user from, and from when until when.
    pub block: Block,
    /// Why the user is blocked, for people. Shared with what shows the block.
    pub reason: Arc<str>,
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
                reason: reason.map(Arc::from),
            }),
            Some(scope) => Holding::Block(StoredBlock {
                seq,
                block: Block { scope: scope.into(), from, until, lifted_at: None },
                reason: reason.unwrap_or_default().into(),
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

impl From<BlockScope> for super::entity::BlockScope {
    fn from(scope: BlockScope) -> Self {
        match scope {
            BlockScope::Claim => Self::Claim,
            BlockScope::Spend => Self::Spend,
            BlockScope::All => Self::All,
        }
    }
}

/// Inserts lots; of those that are there already, stores what remains.
pub(super) fn store_lots(stores: &mut Stores, lots: Vec<lot::Model>) {
    stores.upsert(lots, &[lot::Column::RemainingMicros]);
}

/// Appends entries to ledgers.
pub(super) fn append(stores: &mut Stores, entries: Vec<entry::Model>) {
    stores.insert(entries);
}

// A user who was merged has no lots, and whose data were erased needs no ledger that is up to date.
static EXPIRED: Sql = Sql::new(
    "SELECT DISTINCT l.user_id FROM credit_lots l JOIN users u ON u.id = l.user_id \
     WHERE l.remaining_micros > 0 AND l.expires_at <= $1 AND l.user_id > $2 \
     AND u.merged_into IS NULL AND u.erased_at IS NULL ORDER BY l.user_id LIMIT $3",
);

/// The first users behind `after`, in the order of their keys, who have a lot that has expired with something left.
pub(super) async fn users_with_expired(
    connection: &impl ConnectionTrait,
    now: Timestamp,
    after: i64,
    limit: i64,
) -> Result<Vec<i64>> {
    let params = [Param::Int(now.millis()), Param::Int(after), Param::Int(limit)];
    fetch(connection, &EXPIRED, params, |row| row.take()).await
}

static LAST_BLOCK: Sql =
    Sql::new("SELECT CAST(COALESCE(MAX(b.seq), 0) AS bigint) FROM user_blocks b WHERE b.user_id = $1");

/// The number of a user's last block; 0 when there was none.
pub(super) async fn last_block(connection: &impl ConnectionTrait, user: i64) -> Result<i64> {
    let numbers = fetch(connection, &LAST_BLOCK, [Param::Int(user)], |row| row.take()).await?;
    Ok(numbers.first().copied().unwrap_or(0))
}

/// Adds a block of a user.
pub(super) async fn add_block(
    connection: &impl ConnectionTrait,
    user: i64,
    StoredBlock { seq, block, reason }: StoredBlock,
) -> Result<()> {
    let row = block::Model {
        user_id: user,
        seq,
        scope: block.scope.into(),
        reason: reason.to_string(),
        from_at: block.from,
        until_at: block.until,
        lifted_at: block.lifted_at,
    };
    bulk::insert(connection, &[row]).await
}

static LIFT: Sql = Sql::new("UPDATE user_blocks SET lifted_at = $3 WHERE user_id = $1 AND seq = ANY($2)");

/// Lifts blocks of a user.
pub(super) async fn lift_blocks(
    connection: &impl ConnectionTrait,
    user: i64,
    blocks: Vec<i64>,
    now: Timestamp,
) -> Result<u64> {
    execute(connection, &LIFT, [Param::Int(user), Param::Ints(blocks), Param::Int(now.millis())]).await
}

/// An entry of the ledger.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Where it stands among entries of the same instant. For an expiry it follows from the lot, so that the entry
    /// stands in the same place before and after it was written.
    pub tie: i64,
    /// The number of the lot that changed, in the user's ledger.
    pub lot_seq: i64,
    /// What was done to the lot.
    pub kind: EntryKind,
    /// By how much the lot changed, in micros of a credit; more than 0 in either direction.
    pub amount_micros: i64,
    /// Why, for people; `None`: no reason was given.
    pub reason: Option<String>,
    /// When the entry was written; for an expiry that no sweep has written, when it took place.
    pub recorded_at: Timestamp,
}

impl Entry {
    /// The place in the ledger of the expiry of a lot.
    pub const fn expiry_tie(lot_seq: i64) -> i64 {
        -lot_seq
    }
}

const fn ledger(reasons: bool) -> List {
    List {
        columns: if reasons {
            "t.user_id, t.tie, t.lot_seq, t.kind, t.amount_micros, t.recorded_at, t.reason"
        } else {
            "t.user_id, t.tie, t.lot_seq, t.kind, t.amount_micros, t.recorded_at, CAST(NULL AS text)"
        },
        table: "(SELECT e.*, CASE WHEN e.kind = 'EXPIRE' THEN -e.lot_seq ELSE e.seq END AS tie FROM credit_entries e) t",
        condition: "true",
        sort: "recorded_at",
        tie: "tie",
        descending: true,
    }
}

/// One page of each user's ledger, as far as it is written. Reasons are read only where they are wanted.
pub(super) async fn entries(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    slice: Slice,
    reasons: bool,
) -> Result<Vec<(i64, Entry)>> {
    ledger(reasons).fetch(connection, users, None, slice, read_entry).await
}

/// How many entries each user's ledger has, as far as it is written.
pub(super) async fn entry_count(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, i64)>> {
    ledger(false).count(connection, users, None).await
}

fn read_entry(row: &mut Row) -> Result<(i64, Entry), DbErr> {
    let user = row.take()?;
    let entry = Entry {
        tie: row.take()?,
        lot_seq: row.take()?,
        kind: row.take_entity()?,
        amount_micros: row.take()?,
        recorded_at: row.take()?,
        reason: row.take()?,
    };
    Ok((user, entry))
}

static MOVE_LOTS: Sql = Sql::new("UPDATE credit_lots SET user_id = $2, seq = seq + $3 WHERE user_id = $1");
static MOVE_ENTRIES: Sql =
    Sql::new("UPDATE credit_entries SET user_id = $2, seq = seq + $3, lot_seq = lot_seq + $3 WHERE user_id = $1");
static MOVE_BLOCKS: Sql = Sql::new(
    "UPDATE user_blocks SET user_id = $2, \
     seq = seq + (SELECT coalesce(max(b.seq), 0) FROM user_blocks b WHERE b.user_id = $2) WHERE user_id = $1",
);

/// Hands everything over to another user, whose numbers of lots and entries end at `offset`.
pub(super) async fn hand_over(connection: &impl ConnectionTrait, merger: Merger, offset: i64) -> Result<()> {
    let users = || [Param::Int(merger.from), Param::Int(merger.into)];
    let numbered = || users().into_iter().chain([Param::Int(offset)]);
    execute(connection, &MOVE_LOTS, numbered()).await?;
    execute(connection, &MOVE_ENTRIES, numbered()).await?;
    execute(connection, &MOVE_BLOCKS, users()).await.map(drop)
}

static LOTS: Sql = Sql::new(
    "SELECT seq, amount_micros, remaining_micros, granted_at, expires_at FROM credit_lots \
     WHERE user_id = $1 AND seq = ANY($2) ORDER BY seq",
);

/// These lots of a user, each with its number.
pub(super) async fn lots(connection: &impl ConnectionTrait, user: i64, seqs: Vec<i64>) -> Result<Vec<(i64, Lot)>> {
    fetch(connection, &LOTS, [Param::Int(user), Param::Ints(seqs)], |row| {
        let seq = row.take()?;
        let (amount_micros, remaining_micros) = (row.take()?, row.take()?);
        Ok((seq, Lot { amount_micros, remaining_micros, granted_at: row.take()?, expires_at: row.take()? }))
    })
    .await
}

/// What is taken away of a lot.
pub(super) struct Revocation {
    /// The number of the entry.
    pub(super) seq: i64,
    pub(super) lot_seq: i64,
    pub(super) amount_micros: i64,
}

static EMPTY_LOTS: Sql = Sql::new("UPDATE credit_lots SET remaining_micros = 0 WHERE user_id = $1 AND seq = ANY($2)");

/// Takes away all that is left of lots.
pub(super) async fn revoke(
    connection: &impl ConnectionTrait,
    user: i64,
    revoked: &[Revocation],
    operation: &str,
    now: Timestamp,
) -> Result<()> {
    let lots = revoked.iter().map(|one| one.lot_seq).collect();
    execute(connection, &EMPTY_LOTS, [Param::Int(user), Param::Ints(lots)]).await?;
    let entries: Vec<_> = revoked
        .iter()
        .map(|one| super::entity::entry::Model {
            user_id: user,
            seq: one.seq,
            lot_seq: one.lot_seq,
            kind: EntryKind::Revoke,
            amount_micros: one.amount_micros,
            reason: None,
            operation: operation.to_owned(),
            recorded_at: now,
        })
        .collect();
    bulk::insert(connection, &entries).await
}

static FORGET_LOTS: Sql = Sql::new("UPDATE credit_lots SET reason = NULL WHERE user_id = $1 AND reason IS NOT NULL");
static FORGET_ENTRIES: Sql =
    Sql::new("UPDATE credit_entries SET reason = NULL WHERE user_id = $1 AND reason IS NOT NULL");
static FORGET_BLOCKS: Sql = Sql::new("UPDATE user_blocks SET reason = '' WHERE user_id = $1");

/// Takes away the reasons that were given for a user's lots, entries and blocks.
pub(super) async fn forget(connection: &impl ConnectionTrait, user: i64) -> Result<()> {
    for sql in [&FORGET_LOTS, &FORGET_ENTRIES, &FORGET_BLOCKS] {
        execute(connection, sql, [Param::Int(user)]).await?;
    }
    Ok(())
}

/// Everything that is known about a user's credits. What has expired counts as expired, whether a sweep has written
/// that or not; numbers and operations of such entries depend on the sweep and are left out.
pub static RECORDS: [Records; 3] = [
    Records::dated(
        "creditLots",
        "SELECT t.seq, t.amount_micros, CASE WHEN t.expires_at <= $2 THEN 0 ELSE t.remaining_micros END, \
         t.granted_at, t.expires_at, t.source, g.key, t.reason \
         FROM credit_lots t LEFT JOIN goals g ON g.id = t.goal_id WHERE t.user_id = $1 ORDER BY t.seq",
        &[
            ("number", As::Number),
            ("amountMicros", As::Number),
            ("remainingMicros", As::Number),
            ("grantedAt", As::Instant),
            ("expiresAt", As::Instant),
            ("source", As::Text),
            ("goal", As::Text),
            ("reason", As::Text),
        ],
    ),
    Records::dated(
        "creditEntries",
        "SELECT e.seq, e.lot_seq, e.kind, e.amount_micros, e.reason, e.operation, e.recorded_at FROM (\
         SELECT CASE WHEN kind <> 'EXPIRE' THEN seq END AS seq, lot_seq, kind, amount_micros, reason, \
         CASE WHEN kind <> 'EXPIRE' THEN operation END AS operation, recorded_at, \
         CASE WHEN kind <> 'EXPIRE' THEN seq ELSE -lot_seq END AS tie FROM credit_entries WHERE user_id = $1 \
         UNION ALL \
         SELECT NULL, seq, 'EXPIRE', remaining_micros, NULL, NULL, expires_at, -seq FROM credit_lots \
         WHERE user_id = $1 AND remaining_micros > 0 AND expires_at <= $2) e ORDER BY e.recorded_at, e.tie",
        &[
            ("number", As::Number),
            ("lot", As::Number),
            ("kind", As::Text),
            ("amountMicros", As::Number),
            ("reason", As::Text),
            ("operation", As::Text),
            ("recordedAt", As::Instant),
        ],
    ),
    Records::new(
        "blocks",
        "SELECT seq, scope, reason, from_at, until_at, lifted_at FROM user_blocks WHERE user_id = $1 ORDER \
         BY seq",
        &[
            ("number", As::Number),
            ("scope", As::Text),
            ("reason", As::Text),
            ("from", As::Instant),
            ("until", As::Instant),
            ("liftedAt", As::Instant),
        ],
    ),
];
