//! SQL of collections, cards and what users own.

use super::entity::{card, collection, owned_card, progress, reward};
use sea_orm::{ConnectionTrait, EntityTrait as _, QueryOrder as _};
use std::collections::{HashMap, HashSet};
use waymark_db::bulk;
use waymark_db::bulk::Stores;
use waymark_db::records::{As, Records};
use waymark_db::{PairSql, Param, Sql, execute, fetch};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;

pub(super) async fn collections(connection: &impl ConnectionTrait) -> Result<Vec<collection::Model>> {
    Ok(collection::Entity::find().order_by_asc(collection::Column::Id).all(connection).await?)
}

pub(super) async fn cards(connection: &impl ConnectionTrait) -> Result<Vec<card::Model>> {
    Ok(card::Entity::find()
        .order_by_asc(card::Column::CollectionId)
        .order_by_asc(card::Column::Position)
        .order_by_asc(card::Column::Id)
        .all(connection)
        .await?)
}

pub(super) async fn rewards(connection: &impl ConnectionTrait) -> Result<HashMap<i64, reward::Model>> {
    let rows = reward::Entity::find().all(connection).await?;
    Ok(rows.into_iter().map(|row| (row.collection_id, row)).collect())
}

/// How far a user is with a collection, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Collected {
    /// The internal id of the collection.
    pub collection_id: i64,
    /// How many distinct cards of the collection the user owns.
    pub count: i32,
    /// When all cards were owned, which may lie ahead until the start; `None`: they never were.
    pub completed_at: Option<Timestamp>,
    /// When the user claimed the reward; `None`: not yet.
    pub reward_claimed_at: Option<Timestamp>,
    /// When it last changed; `None` when nothing is stored.
    pub updated_at: Option<Timestamp>,
    /// Whether the completion was told.
    pub completed_told: bool,
}

static COLLECTED: Sql = Sql::new(
    "SELECT user_id, collection_id, collected_count, completed_at, reward_claimed_at, updated_at, completed_told \
     FROM collection_progress WHERE user_id = ANY($1)",
);

/// How far these users are with every collection of which they ever owned a card, each with its user.
pub(super) async fn collected(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, Collected)>> {
    fetch(connection, &COLLECTED, [Param::Ints(users)], |row| {
        let user = row.take()?;
        let collected = Collected {
            collection_id: row.take()?,
            count: row.take()?,
            completed_at: row.take()?,
            reward_claimed_at: row.take()?,
            updated_at: row.take()?,
            completed_told: row.take()?,
        };
        Ok((user, collected))
    })
    .await
}

/// A card that a user owns.
#[derive(Debug, Clone, Copy)]
pub struct Owned {
    /// The internal id of the card.
    pub card_id: i64,
    /// How many of the card the user owns; 0: owned once, and not any more.
    pub quantity: i32,
    /// When the user got the first one.
    pub first_acquired_at: Timestamp,
}

static OWNED: PairSql = PairSql::new(
    "t.user_id, t.collection_id, t.card_id, t.quantity, t.first_acquired_at",
    "owned_cards",
    "collection_id",
);

/// The cards each user owns of these collections, with the user and the collection.
pub(super) async fn owned<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<((i64, i64), Owned)>> {
    OWNED
        .fetch(connection, wanted, |row| {
            let place = (row.take()?, row.take()?);
            Ok((place, Owned { card_id: row.take()?, quantity: row.take()?, first_acquired_at: row.take()? }))
        })
        .await
}

/// A card that a user owns, as it is stored.
pub(crate) type OwnedRow = owned_card::Model;

static OWNED_ROWS: PairSql = PairSql::new(
    "t.user_id, t.card_id, t.collection_id, t.quantity, t.first_acquired_at, t.updated_at",
    "owned_cards",
    "collection_id",
);

/// The same with all that is stored.
pub(super) async fn owned_rows<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<OwnedRow>> {
    OWNED_ROWS
        .fetch(connection, wanted, |row| {
            Ok(OwnedRow {
                user_id: row.take()?,
                card_id: row.take()?,
                collection_id: row.take()?,
                quantity: row.take()?,
                first_acquired_at: row.take()?,
                updated_at: row.take()?,
            })
        })
        .await
}

/// Stores cards that users own, whole.
pub(super) fn store_owned_rows(stores: &mut Stores, rows: Vec<OwnedRow>) {
    use owned_card::Column;
    stores.upsert(rows, &[Column::Quantity, Column::FirstAcquiredAt, Column::UpdatedAt]);
}

static COUNT_CLAIMS: Sql = Sql::new("UPDATE collection_rewards SET claimed = claimed + $2 WHERE collection_id = $1");

/// Counts claims of the reward of a collection that were brought along.
pub(super) async fn count_claims(connection: &impl ConnectionTrait, collection: i64, claims: i64) -> Result<()> {
    execute(connection, &COUNT_CLAIMS, [Param::Int(collection), Param::Int(claims)]).await.map(drop)
}

static CLAIMED: Sql = Sql::new("SELECT collection_id, claimed FROM collection_rewards WHERE collection_id = ANY($1)");

/// How often the reward of each of these collections has been claimed. The catalogue in memory does not follow this.
pub(super) async fn claimed(connection: &impl ConnectionTrait, collections: Vec<i64>) -> Result<Vec<(i64, i64)>> {
    fetch(connection, &CLAIMED, [Param::Ints(collections)], |row| Ok((row.take()?, row.take()?))).await
}

/// Stores cards that users own, each with its user and its collection, as of an instant.
pub(super) fn store_owned(stores: &mut Stores, owned: impl IntoIterator<Item = ((i64, i64), Owned, Timestamp)>) {
    let rows = owned.into_iter().map(|((user_id, collection_id), owned, updated_at)| owned_card::Model {
        user_id,
        card_id: owned.card_id,
        collection_id,
        quantity: owned.quantity,
        first_acquired_at: owned.first_acquired_at,
        updated_at,
    });
    stores.upsert(rows.collect(), &[owned_card::Column::Quantity, owned_card::Column::UpdatedAt]);
}

/// What changes of how far a user is with a collection.
const PROGRESS: [progress::Column; 5] = [
    progress::Column::CollectedCount,
    progress::Column::CompletedAt,
    progress::Column::RewardClaimedAt,
    progress::Column::UpdatedAt,
    progress::Column::CompletedTold,
];

/// Stores how far users are with collections, each with its user, as of an instant.
pub(super) fn store_collected(stores: &mut Stores, collected: impl IntoIterator<Item = (i64, Collected, Timestamp)>) {
    let rows = collected.into_iter().map(|(user_id, collected, updated_at)| progress::Model {
        user_id,
        collection_id: collected.collection_id,
        collected_count: collected.count,
        completed_at: collected.completed_at,
        reward_claimed_at: collected.reward_claimed_at,
        updated_at,
        completed_told: collected.completed_told,
    });
    stores.upsert(rows.collect(), &PROGRESS);
}

static TAKE_REWARD: Sql = Sql::new(
    "UPDATE collection_rewards SET claimed = claimed + 1 \
     WHERE collection_id = $1 AND (stock IS NULL OR claimed < stock)",
);

/// Takes one reward of a collection from its stock; whether there was one. Whoever claims the same reward waits until
/// this transaction has ended.
pub(super) async fn take_reward(connection: &impl ConnectionTrait, collection: i64) -> Result<bool> {
    Ok(execute(connection, &TAKE_REWARD, [Param::Int(collection)]).await? > 0)
}

static IN_HANDS: Sql = Sql::new("SELECT DISTINCT card_id FROM owned_cards WHERE card_id = ANY($1) AND quantity > 0");

/// Those of these cards that somebody owns.
pub(super) async fn owned_by_anybody(connection: &impl ConnectionTrait, cards: Vec<i64>) -> Result<HashSet<i64>> {
    if cards.is_empty() {
        return Ok(HashSet::new());
    }
    let found = fetch(connection, &IN_HANDS, [Param::Ints(cards)], |row| row.take()).await?;
    Ok(found.into_iter().collect())
}

static FORGET_CARDS: Sql = Sql::new("DELETE FROM owned_cards WHERE card_id = ANY($1) AND quantity = 0");
static REMOVE_CARDS: Sql = Sql::new("DELETE FROM cards WHERE id = ANY($1)");

/// Removes cards that nobody owns, and the trace of whoever once did.
pub(super) async fn remove_cards(connection: &impl ConnectionTrait, cards: Vec<i64>) -> Result<()> {
    if cards.is_empty() {
        return Ok(());
    }
    execute(connection, &FORGET_CARDS, [Param::Ints(cards.clone())]).await?;
    execute(connection, &REMOVE_CARDS, [Param::Ints(cards)]).await.map(drop)
}

static COMPLETING: Sql = Sql::new(
    "SELECT user_id FROM collection_progress WHERE collection_id = $1 AND user_id > $2 AND collected_count >= $3 \
     AND (completed_at IS NULL OR completed_at > $4) ORDER BY user_id LIMIT 1000",
);

/// A thousand users behind the user `after`, by their ids, who own `size` cards or more and have not completed the
/// collection by `now`.
pub(super) async fn completing(
    connection: &impl ConnectionTrait,
    collection: i64,
    after: i64,
    size: i64,
    now: Timestamp,
) -> Result<Vec<i64>> {
    fetch(connection, &COMPLETING, [collection, after, size, now.millis()].map(Param::Int), |row| row.take()).await
}

static SIZES: Sql =
    Sql::new("SELECT collection_id, count(*) FROM cards WHERE collection_id = ANY($1) GROUP BY collection_id");

/// How many cards these collections have.
pub(super) async fn sizes(connection: &impl ConnectionTrait, collections: Vec<i64>) -> Result<Vec<(i64, usize)>> {
    if collections.is_empty() {
        return Ok(Vec::new());
    }
    fetch(connection, &SIZES, [Param::Ints(collections)], |row| {
        let (collection, size): (i64, i64) = (row.take()?, row.take()?);
        Ok((collection, usize::try_from(size).unwrap_or_default()))
    })
    .await
}

static COMPLETE: Sql = Sql::new(
    "UPDATE collection_progress SET completed_at = $3, updated_at = $4 WHERE collection_id = $1 \
     AND collected_count >= $2 AND (completed_at IS NULL OR completed_at > $4)",
);
static INCOMPLETE: Sql = Sql::new(
    "UPDATE collection_progress SET completed_at = NULL, updated_at = $3 WHERE collection_id = $1 \
     AND collected_count < $2 AND completed_at > $3",
);

/// Stores what a change at `now` means for whoever owns cards of a collection: `completion` is when those have
/// completed it who own `size` cards, `None` when nobody can. What was completed before `now` stays so.
pub(super) async fn complete(
    connection: &impl ConnectionTrait,
    collection: i64,
    size: i64,
    completion: Option<Timestamp>,
    now: Timestamp,
) -> Result<()> {
    let now = now.millis();
    if let Some(at) = completion {
        execute(connection, &COMPLETE, [collection, size, at.millis(), now].map(Param::Int)).await?;
    }
    let least = if completion.is_some() { size } else { i64::MAX };
    execute(connection, &INCOMPLETE, [collection, least, now].map(Param::Int)).await.map(drop)
}

/// Stores how far users are with collections.
pub(super) async fn store_progress(connection: &impl ConnectionTrait, rows: &[progress::Model]) -> Result<()> {
    bulk::upsert(connection, rows, &PROGRESS).await
}

static UNCLAIM: Sql =
    Sql::new("UPDATE collection_rewards SET claimed = claimed - 1 WHERE collection_id = $1 AND claimed > 0");

/// Takes one claim of the reward of each of these collections back, in the order in which rows are locked everywhere.
pub(super) async fn unclaim(connection: &impl ConnectionTrait, mut collections: Vec<i64>) -> Result<()> {
    collections.sort_unstable();
    for collection in collections {
        execute(connection, &UNCLAIM, [Param::Int(collection)]).await?;
    }
    Ok(())
}

/// Everything that is stored about a user's collections.
pub static RECORDS: [Records; 2] = [
    Records::new(
        "cards",
        "SELECT l.key, c.key, CAST(t.quantity AS bigint), t.first_acquired_at, t.updated_at FROM \
         owned_cards t JOIN cards c ON c.id = t.card_id JOIN collections l ON l.id = t.collection_id WHERE \
         t.user_id = $1 ORDER BY c.id",
        &[
            ("collection", As::Text),
            ("card", As::Text),
            ("quantity", As::Number),
            ("firstAcquiredAt", As::Instant),
            ("updatedAt", As::Instant),
        ],
    ),
    Records::new(
        "collections",
        "SELECT l.key, CAST(t.collected_count AS bigint), t.completed_at, t.reward_claimed_at, t.updated_at \
         FROM collection_progress t JOIN collections l ON l.id = t.collection_id WHERE t.user_id = $1 ORDER \
         BY l.id",
        &[
            ("collection", As::Text),
            ("collectedCount", As::Number),
            ("completedAt", As::Instant),
            ("rewardClaimedAt", As::Instant),
            ("updatedAt", As::Instant),
        ],
    ),
];
