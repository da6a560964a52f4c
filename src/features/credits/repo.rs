//! SQL of lots, ledger entries and blocks.

use std::sync::Arc;

use super::entity::{EntryKind, LotSource, block, entry, lot};
use super::rules::{Block, BlockScope, Lot};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
};
use waymark_db::bulk;
use waymark_db::bulk::Stores;
use waymark_db::owner::Merger;
use waymark_db::page::{List, Slice};
use waymark_db::records::{As, Records};
use waymark_db::{ColumnIsAny as _, Extent, Param, Sql, fetch, pairs, row, select, values};
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

/// The hand-written statements of this file.
pub static STATEMENTS: [&Sql; 1] = [&HOLDINGS];

// One statement for both, the rows of one table below those of the other, because what shows credits needs both. Of lots
// there may be thousands, and reasons are long: they are read where they are shown.
static HOLDINGS: Sql = Sql::new(
    "SELECT l.user_id, l.seq, l.amount_micros, l.remaining_micros, l.granted_at, l.expires_at, l.source, \
     CAST(NULL AS text) AS reason, CAST(NULL AS text) AS scope \
     FROM credit_lots l WHERE l.user_id = ANY($1) AND l.remaining_micros > 0 \
     UNION ALL \
     SELECT b.user_id, b.seq, 0, 0, b.from_at, b.until_at, NULL, b.reason, b.scope \
     FROM user_blocks b WHERE b.user_id = ANY($2) AND b.lifted_at IS NULL",
);

row! {
    /// A row of either: of a block if it has a scope.
    struct HoldingRow {
        seq: i64, lot: Lot = (Lot), source: Option<LotSource>, reason: Option<String>, scope: Option<BlockScope>,
    }
}

row!(Lot { amount_micros, remaining_micros, granted_at, expires_at });

impl From<HoldingRow> for Holding {
    fn from(HoldingRow { seq, lot, source, reason, scope }: HoldingRow) -> Self {
        let Some(scope) = scope else {
            let source = source.unwrap_or(LotSource::Grant);
            return Self::Lot(StoredLot { seq, lot, source });
        };
        let block = Block { scope, from: lot.granted_at, until: lot.expires_at, lifted_at: None };
        Self::Block(StoredBlock { seq, block, reason: reason.unwrap_or_default().into() })
    }
}

/// The lots with something left, expired or not, and the blocks that were not lifted, each with its user.
pub(super) async fn holdings(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, Holding)>> {
    holdings_of(connection, users.clone(), users).await
}

/// The same: the lots of some users, and the blocks of others.
pub(super) async fn holdings_of(
    connection: &impl ConnectionTrait,
    lots_of: Vec<i64>,
    blocks_of: Vec<i64>,
) -> Result<Vec<(i64, Holding)>> {
    let params = [Param::Ints(lots_of), Param::Ints(blocks_of)];
    let rows: Vec<(i64, HoldingRow)> = fetch(connection, &HOLDINGS, params).await?;
    Ok(rows.into_iter().map(|(user, row)| (user, row.into())).collect())
}

/// Inserts lots; of those that are there already, stores what remains.
pub(super) fn store_lots(stores: &mut Stores, lots: Vec<lot::Model>) {
    stores.upsert(lots, &[lot::Column::RemainingMicros]);
}

/// Appends entries to ledgers.
pub(super) fn append(stores: &mut Stores, entries: Vec<entry::Model>) {
    stores.insert(entries);
}

/// The first users behind `after`, in the order of their keys, who have a lot that has expired with something left.
pub(super) async fn users_with_expired(
    connection: &impl ConnectionTrait,
    now: Timestamp,
    after: i64,
    limit: u64,
) -> Result<Vec<i64>> {
    use lot::{Column, Entity};
    // A user who was merged has no lots, and whose data were erased needs no ledger that is up to date.
    let there = Query::select()
        .expr(Expr::val(1))
        .from("users")
        .and_where(Expr::col(("users", "id")).equals(Column::UserId.as_column_ref()))
        .and_where(Expr::col(("users", "merged_into")).is_null())
        .and_where(Expr::col(("users", "erased_at")).is_null())
        .to_owned();
    let expired = Entity::find()
        .filter(Column::RemainingMicros.gt(0))
        .filter(Column::ExpiresAt.lte(now))
        .filter(Column::UserId.gt(after))
        .filter(Expr::exists(there))
        .distinct()
        .order_by_asc(Column::UserId)
        .limit(limit);
    values(connection, expired, Column::UserId).await
}

/// The number of a user's last block; 0 when there was none.
pub(super) async fn last_block(connection: &impl ConnectionTrait, user: i64) -> Result<i64> {
    use block::{Column, Entity};
    let last = Entity::find().filter(Column::UserId.eq(user)).order_by_desc(Column::Seq).limit(1);
    Ok(values(connection, last, Column::Seq).await?.pop().unwrap_or(0))
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
        scope: block.scope,
        reason: reason.to_string(),
        from_at: block.from,
        until_at: block.until,
        lifted_at: block.lifted_at,
    };
    bulk::insert(connection, &[row]).await
}

/// Lifts blocks of a user.
pub(super) async fn lift_blocks(
    connection: &impl ConnectionTrait,
    user: i64,
    blocks: Vec<i64>,
    now: Timestamp,
) -> Result<u64> {
    let lifted = block::Entity::update_many()
        .col_expr(block::Column::LiftedAt, Expr::value(now))
        .filter(block::Column::UserId.eq(user))
        .filter(block::Column::Seq.is_any(connection, blocks));
    Ok(lifted.exec(connection).await?.rows_affected)
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

row!(Entry { tie, lot_seq, kind, amount_micros, recorded_at; reason });

const LEDGER: List = List {
    table: "(SELECT e.*, CASE WHEN e.kind = 'EXPIRE' THEN -e.lot_seq ELSE e.seq END AS tie FROM credit_entries e) t",
    condition: "true",
    sort: "recorded_at",
    tie: "tie",
    descending: true,
};

/// One page of each user's ledger, as far as it is written. The main part of it has no reasons.
pub(super) async fn entries(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    slice: Slice,
    extent: Extent,
) -> Result<Vec<(i64, Entry)>> {
    LEDGER.fetch(connection, users, None, slice, extent).await
}

/// How many entries each user's ledger has, as far as it is written.
pub(super) async fn entry_count(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, i64)>> {
    LEDGER.count(connection, users, None).await
}

/// Hands everything over to another user, whose numbers of lots and entries end at `offset`.
pub(super) async fn hand_over(connection: &impl ConnectionTrait, merger: Merger, offset: i64) -> Result<()> {
    merger.renumbered::<lot::Entity>(connection, &[(lot::Column::Seq, offset)]).await?;
    let numbers = [(entry::Column::Seq, offset), (entry::Column::LotSeq, offset)];
    merger.renumbered::<entry::Entity>(connection, &numbers).await?;
    let last = last_block(connection, merger.into).await?;
    merger.renumbered::<block::Entity>(connection, &[(block::Column::Seq, last)]).await
}

row! {
    /// A lot with its number.
    struct Numbered { seq: i64, lot: Lot = (Lot) }
}

/// These lots of a user, each with its number.
pub(super) async fn lots(connection: &impl ConnectionTrait, user: i64, seqs: Vec<i64>) -> Result<Vec<(i64, Lot)>> {
    use lot::{Column, Entity};
    let lots = Entity::find().filter(Column::UserId.eq(user)).filter(Column::Seq.is_any(connection, seqs));
    let lots = select(connection, lots.order_by_asc(Column::Seq)).await?;
    Ok(lots.into_iter().map(|Numbered { seq, lot }| (seq, lot)).collect())
}

row! {
    /// Why a lot was granted.
    struct LotReason { seq: i64, reason: Option<String> }
}

/// Why these lots were granted, each with its user and number: of each user in `wanted` the lots beside it.
pub(super) async fn lot_reasons<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<((i64, i64), Option<String>)>> {
    let found = pairs(connection, lot::Column::Seq, wanted, Extent::All).await?;
    Ok(found.into_iter().map(|(user, LotReason { seq, reason })| ((user, seq), reason)).collect())
}

/// What is taken away of a lot.
pub(super) struct Revocation {
    /// The number of the entry.
    pub(super) seq: i64,
    pub(super) lot_seq: i64,
    pub(super) amount_micros: i64,
}

/// Takes away all that is left of lots.
pub(super) async fn revoke(
    connection: &impl ConnectionTrait,
    user: i64,
    revoked: &[Revocation],
    operation: &str,
    now: Timestamp,
) -> Result<()> {
    let lots: Vec<i64> = revoked.iter().map(|one| one.lot_seq).collect();
    lot::Entity::update_many()
        .col_expr(lot::Column::RemainingMicros, Expr::value(0_i64))
        .filter(lot::Column::UserId.eq(user))
        .filter(lot::Column::Seq.is_any(connection, lots))
        .exec(connection)
        .await?;
    let entries: Vec<_> = revoked
        .iter()
        .map(|one| entry::Model {
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

/// Takes away the reasons that were given for a user's lots, entries and blocks.
pub(super) async fn forget(connection: &impl ConnectionTrait, user: i64) -> Result<()> {
    lot::Entity::update_many()
        .col_expr(lot::Column::Reason, Expr::value(None::<String>))
        .filter(lot::Column::UserId.eq(user))
        .filter(lot::Column::Reason.is_not_null())
        .exec(connection)
        .await?;
    entry::Entity::update_many()
        .col_expr(entry::Column::Reason, Expr::value(None::<String>))
        .filter(entry::Column::UserId.eq(user))
        .filter(entry::Column::Reason.is_not_null())
        .exec(connection)
        .await?;
    block::Entity::update_many()
        .col_expr(block::Column::Reason, Expr::value(""))
        .filter(block::Column::UserId.eq(user))
        .exec(connection)
        .await?;
    Ok(())
}

/// Everything that is known about a user's credits. What has expired counts as expired, whether a sweep has written
/// that or not; numbers and operations of such entries depend on the sweep and are left out.
pub static RECORDS: [Records; 3] = [
    Records::new(
        "creditLots",
        "credit_lots t LEFT JOIN goals g ON g.id = t.goal_id WHERE t.user_id = $1 ORDER BY t.seq",
        &[
            ("number", "t.seq", As::Number),
            ("amountMicros", "t.amount_micros", As::Number),
            ("remainingMicros", "CASE WHEN t.expires_at <= $2 THEN 0 ELSE t.remaining_micros END", As::Number),
            ("grantedAt", "t.granted_at", As::Instant),
            ("expiresAt", "t.expires_at", As::Instant),
            ("source", "t.source", As::Text),
            ("goal", "g.key", As::Text),
            ("reason", "t.reason", As::Text),
        ],
    )
    .dated(),
    Records::new(
        "creditEntries",
        "(SELECT CASE WHEN kind <> 'EXPIRE' THEN seq END AS seq, lot_seq, kind, amount_micros, reason, \
         CASE WHEN kind <> 'EXPIRE' THEN operation END AS operation, recorded_at, CASE WHEN kind <> \
         'EXPIRE' THEN seq ELSE -lot_seq END AS tie FROM credit_entries WHERE user_id = $1 UNION ALL \
         SELECT NULL, seq, 'EXPIRE', remaining_micros, NULL, NULL, expires_at, -seq FROM credit_lots \
         WHERE user_id = $1 AND remaining_micros > 0 AND expires_at <= $2) e ORDER BY e.recorded_at, \
         e.tie",
        &[
            ("number", "e.seq", As::Number),
            ("lot", "e.lot_seq", As::Number),
            ("kind", "e.kind", As::Text),
            ("amountMicros", "e.amount_micros", As::Number),
            ("reason", "e.reason", As::Text),
            ("operation", "e.operation", As::Text),
            ("recordedAt", "e.recorded_at", As::Instant),
        ],
    )
    .dated(),
    Records::new(
        "blocks",
        "user_blocks WHERE user_id = $1 ORDER BY seq",
        &[
            ("number", "seq", As::Number),
            ("scope", "scope", As::Text),
            ("reason", "reason", As::Text),
            ("from", "from_at", As::Instant),
            ("until", "until_at", As::Instant),
            ("liftedAt", "lifted_at", As::Instant),
        ],
    ),
];
