//! SQL of collections, cards and what users own.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, EntityTrait as _, QueryOrder as _};

use super::entity::{card, collection, progress, reward};
use crate::clock::Timestamp;
use crate::db::records::{As, Records};
use crate::db::{PairSql, Param, Sql, bulk, execute, fetch};
use crate::error::Result;

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
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Collected {
    pub(crate) collection_id: i64,
    pub(crate) count: i32,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) reward_claimed_at: Option<Timestamp>,
}

static COLLECTED: Sql = Sql::new(
    "SELECT user_id, collection_id, collected_count, completed_at, reward_claimed_at \
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
        };
        Ok((user, collected))
    })
    .await
}

/// A card that a user owns.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owned {
    pub(crate) card_id: i64,
    pub(crate) quantity: i32,
    pub(crate) first_acquired_at: Timestamp,
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

static CLAIMED: Sql = Sql::new("SELECT collection_id, claimed FROM collection_rewards WHERE collection_id = ANY($1)");

/// How often the reward of each of these collections has been claimed. The catalogue in memory does not follow this.
pub(super) async fn claimed(connection: &impl ConnectionTrait, collections: Vec<i64>) -> Result<Vec<(i64, i64)>> {
    fetch(connection, &CLAIMED, [Param::Ints(collections)], |row| Ok((row.take()?, row.take()?))).await
}

/// Stores how far users are with collections.
pub(super) async fn store_progress(connection: &impl ConnectionTrait, rows: &[progress::Model]) -> Result<()> {
    use progress::Column;
    let columns = [Column::CollectedCount, Column::CompletedAt, Column::RewardClaimedAt, Column::UpdatedAt];
    bulk::upsert(connection, rows, &columns).await
}

static UNCLAIM: Sql =
    Sql::new("UPDATE collection_rewards SET claimed = claimed - 1 WHERE collection_id = ANY($1) AND claimed > 0");

/// Takes one claim of the reward of each of these collections back.
pub(super) async fn unclaim(connection: &impl ConnectionTrait, collections: Vec<i64>) -> Result<()> {
    if collections.is_empty() {
        return Ok(());
    }
    execute(connection, &UNCLAIM, [Param::Ints(collections)]).await.map(drop)
}

/// Everything that is stored about a user's collections.
pub(crate) static RECORDS: [Records; 2] = [
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
