//! SQL of collections, cards and what users own.

use super::entity::{card, collection, owned_card, progress, reward};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query, SelectStatement};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _,
    QueryTrait as _,
};
use std::collections::{BTreeSet, HashMap, HashSet};
use waymark_db::bulk;
use waymark_db::bulk::Stores;
use waymark_db::records::{As, Records};
use waymark_db::{ColumnIsAny as _, Extent, counts, pairs, row, rows, select, values};
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

row!(Collected {
    collection_id,
    count: "collected_count",
    completed_at,
    reward_claimed_at,
    updated_at,
    completed_told
});

/// How far these users are with every collection of which they ever owned a card, each with its user.
pub(super) async fn collected(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, Collected)>> {
    select(connection, progress::Entity::find().filter(progress::Column::UserId.is_any(connection, users))).await
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

row!(Owned { card_id, quantity, first_acquired_at });

row! {
    /// A card that a user owns, of a collection.
    struct OwnedOf { collection_id: i64, owned: Owned = (Owned) }
}

/// The cards each user owns of these collections, with the user and the collection.
pub(super) async fn owned<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<((i64, i64), Owned)>> {
    let found = pairs(connection, owned_card::Column::CollectionId, wanted, Extent::All).await?;
    Ok(found.into_iter().map(|(user, OwnedOf { collection_id, owned })| ((user, collection_id), owned)).collect())
}

/// A card that a user owns, as it is stored.
pub(crate) type OwnedRow = owned_card::Model;

row!(OwnedRow { user_id, card_id, collection_id, quantity, first_acquired_at, updated_at });

/// The same with all that is stored.
pub(super) async fn owned_rows<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<OwnedRow>> {
    pairs(connection, owned_card::Column::CollectionId, wanted, Extent::All).await
}

/// Stores cards that users own, whole.
pub(super) fn store_owned_rows(stores: &mut Stores, rows: Vec<OwnedRow>) {
    use owned_card::Column;
    stores.upsert(rows, &[Column::Quantity, Column::FirstAcquiredAt, Column::UpdatedAt]);
}

/// Adds to how often the reward of a collection has been claimed, where `condition` holds; whether it did.
async fn add_claims(connection: &impl ConnectionTrait, collection: i64, claims: i64, condition: Expr) -> Result<bool> {
    use reward::{Column, Entity};
    let counted = Entity::update_many()
        .col_expr(Column::Claimed, Expr::col(Column::Claimed).add(claims))
        .filter(Column::CollectionId.eq(collection))
        .filter(condition);
    Ok(counted.exec(connection).await?.rows_affected > 0)
}

/// Counts claims of the reward of a collection that were brought along; there were no fewer rewards than that.
pub(super) async fn count_claims(connection: &impl ConnectionTrait, collection: i64, claims: i64) -> Result<()> {
    use reward::{Column, Entity};
    let claimed = Expr::col(Column::Claimed).add(claims);
    let stock = Expr::case(Expr::col(Column::Stock).lt(claimed.clone()), claimed.clone());
    let counted = Entity::update_many()
        .col_expr(Column::Claimed, claimed)
        .col_expr(Column::Stock, stock.finally(Expr::col(Column::Stock)).into())
        .filter(Column::CollectionId.eq(collection));
    counted.exec(connection).await?;
    Ok(())
}

row! {
    /// How often a reward has been claimed.
    struct Claimed { collection_id: i64, claimed: i64 }
}

/// How often the reward of each of these collections has been claimed. The catalogue in memory does not follow this.
pub(super) async fn claimed(connection: &impl ConnectionTrait, collections: Vec<i64>) -> Result<Vec<(i64, i64)>> {
    let rewards = reward::Entity::find().filter(reward::Column::CollectionId.is_any(connection, collections));
    let rewards = select(connection, rewards).await?;
    Ok(rewards.into_iter().map(|Claimed { collection_id, claimed }| (collection_id, claimed)).collect())
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

/// Takes one reward of a collection from its stock; whether there was one. Another claim of the same reward waits until
/// this transaction has ended.
pub(super) async fn take_reward(connection: &impl ConnectionTrait, collection: i64) -> Result<bool> {
    use reward::Column;
    let in_stock = Column::Stock.is_null().or(Expr::col(Column::Claimed).lt(Expr::col(Column::Stock)));
    add_claims(connection, collection, 1, in_stock).await
}

/// Those of these cards that somebody owns.
pub(super) async fn owned_by_anybody(connection: &impl ConnectionTrait, cards: &[i64]) -> Result<BTreeSet<i64>> {
    use owned_card::Column;
    rows::named_by_users::<owned_card::Model>(connection, Column::CardId, cards, Some(Column::Quantity.gt(0))).await
}

/// Cards that are owned by the users of the rows of how far users are with collections.
fn owned_with_progress() -> SelectStatement {
    use owned_card::{Column, Entity};
    let mut owned = Query::select();
    owned.expr(Expr::val(1)).from(Entity);
    owned.and_where(Expr::col((Entity, Column::UserId)).equals((progress::Entity, progress::Column::UserId)));
    owned.and_where(Expr::col((Entity, Column::Quantity)).gt(0));
    owned
}

/// Whether somebody owns a card of a collection, has completed it, or has claimed its reward.
pub(super) async fn is_collected(connection: &impl ConnectionTrait, collection: i64) -> Result<bool> {
    use progress::Column;
    let mut owned = owned_with_progress();
    owned.and_where(owned_card::Column::CollectionId.eq(collection));
    let collected = Column::CompletedAt.is_not_null().or(Column::RewardClaimedAt.is_not_null()).or(Expr::exists(owned));
    rows::any_of_users::<progress::Model>(connection, Column::CollectionId.eq(collection).and(collected)).await
}

/// Removes cards that nobody owns, and the trace of whoever once did.
pub(super) async fn remove_cards(connection: &impl ConnectionTrait, cards: Vec<i64>) -> Result<()> {
    use owned_card::{Column, Entity};
    if cards.is_empty() {
        return Ok(());
    }
    let traces = Entity::delete_many().filter(Column::CardId.is_any(connection, cards.clone()));
    traces.filter(Column::Quantity.eq(0)).exec(connection).await?;
    Ok(card::Entity::delete_many()
        .filter(card::Column::Id.is_any(connection, cards))
        .exec(connection)
        .await
        .map(drop)?)
}

/// The first thousand of the users with these ids who own `size` cards or more and have not completed the collection by
/// `now`.
pub(super) async fn completing(
    connection: &impl ConnectionTrait,
    collection: i64,
    (first, last): (i64, i64),
    size: i64,
    now: Timestamp,
) -> Result<Vec<i64>> {
    use progress::{Column, Entity};
    let completing = Entity::find()
        .filter(Column::CollectionId.eq(collection))
        .filter(Column::UserId.between(first, last))
        .filter(Column::CollectedCount.gte(size))
        .filter(Column::CompletedAt.is_null().or(Column::CompletedAt.gt(now)))
        .order_by_asc(Column::UserId)
        .limit(1000);
    values(connection, completing, Column::UserId).await
}

/// The cards of a collection that are not retired.
pub(super) async fn counted(connection: &impl ConnectionTrait, collection: i64) -> Result<HashSet<i64>> {
    use card::{Column, Entity};
    let cards = Entity::find().filter(Column::CollectionId.eq(collection)).filter(Column::RetiredAt.is_null());
    Ok(values(connection, cards, Column::Id).await?.into_iter().collect())
}

/// Counts anew how many cards of a collection those of these users own who own one of `changed`, without cards that are
/// retired.
pub(super) async fn recount(
    connection: &impl ConnectionTrait,
    collection: i64,
    (first, last): (i64, i64),
    changed: Vec<i64>,
) -> Result<()> {
    use progress::{Column, Entity};
    let counting = card::Entity::find()
        .select_only()
        .column(card::Column::Id)
        .filter(card::Column::CollectionId.eq(collection))
        .filter(card::Column::RetiredAt.is_null());
    let mut owned = owned_card::Entity::find()
        .select_only()
        .column_as(Expr::cust("count(*)"), "count")
        .filter(Expr::col((owned_card::Entity, owned_card::Column::UserId)).equals((Entity, Column::UserId)))
        .filter(owned_card::Column::CardId.in_subquery(counting.into_query()))
        .filter(owned_card::Column::Quantity.gt(0))
        .into_query();
    let mut own = owned_with_progress();
    own.and_where(owned_card::Column::CardId.is_any(connection, changed));
    let rows = Entity::update_many()
        .col_expr(Column::CollectedCount, Expr::SubQuery(None, Box::new(owned.take().into())))
        .filter(Column::CollectionId.eq(collection))
        .filter(Column::UserId.between(first, last))
        .filter(Expr::exists(own));
    Ok(rows.exec(connection).await.map(drop)?)
}

/// How many cards these collections have, without those that are retired.
pub(super) async fn sizes(connection: &impl ConnectionTrait, collections: Vec<i64>) -> Result<Vec<(i64, usize)>> {
    use card::{Column, Entity};
    if collections.is_empty() {
        return Ok(Vec::new());
    }
    let cards = Entity::find().filter(Column::CollectionId.is_any(connection, collections));
    let cards = cards.filter(Column::RetiredAt.is_null());
    let sizes = counts(connection, cards, Column::CollectionId).await?;
    Ok(sizes.into_iter().map(|(collection, size)| (collection, usize::try_from(size).unwrap_or_default())).collect())
}

/// Stores what a change at `now` means for those of these users who own cards of a collection: `completion` is when
/// those have completed it who own `size` cards, `None` when nobody can. What was completed before `now` stays so.
pub(super) async fn complete(
    connection: &impl ConnectionTrait,
    collection: i64,
    (first, last): (i64, i64),
    size: i64,
    completion: Option<Timestamp>,
    now: Timestamp,
) -> Result<()> {
    use progress::{Column, Entity};
    let open = || Column::CompletedAt.gt(now);
    let set = |at: Option<Timestamp>| {
        Entity::update_many()
            .col_expr(Column::CompletedAt, Expr::value(at.map(|at| at.millis())))
            .col_expr(Column::UpdatedAt, Expr::value(now))
            .filter(Column::CollectionId.eq(collection))
            .filter(Column::UserId.between(first, last))
    };
    if completion.is_some() {
        let done = Column::CollectedCount.gte(size).and(Column::CompletedAt.is_null().or(open()));
        set(completion).filter(done).exec(connection).await?;
    }
    let mut undone = set(None).filter(open());
    if completion.is_some() {
        undone = undone.filter(Column::CollectedCount.lt(size));
    }
    Ok(undone.exec(connection).await.map(drop)?)
}

/// Stores how far users are with collections.
pub(super) async fn store_progress(connection: &impl ConnectionTrait, rows: &[progress::Model]) -> Result<()> {
    bulk::upsert(connection, rows, &PROGRESS).await
}

/// Takes one claim of the reward of each of these collections back, in the order in which rows are locked everywhere.
pub(super) async fn unclaim(connection: &impl ConnectionTrait, mut collections: Vec<i64>) -> Result<()> {
    collections.sort_unstable();
    for collection in collections {
        add_claims(connection, collection, -1, reward::Column::Claimed.gt(0)).await?;
    }
    Ok(())
}

/// Everything that is stored about a user's collections.
pub static RECORDS: [Records; 2] = [
    Records::new(
        "cards",
        "owned_cards t JOIN cards c ON c.id = t.card_id JOIN collections l ON l.id = t.collection_id \
         WHERE t.user_id = $1 ORDER BY c.id",
        &[
            ("collection", "l.key", As::Text),
            ("card", "c.key", As::Text),
            ("quantity", "t.quantity", As::Number),
            ("firstAcquiredAt", "t.first_acquired_at", As::Instant),
            ("updatedAt", "t.updated_at", As::Instant),
        ],
    ),
    Records::new(
        "collections",
        "collection_progress t JOIN collections l ON l.id = t.collection_id WHERE t.user_id = $1 ORDER BY \
         l.id",
        &[
            ("collection", "l.key", As::Text),
            ("collectedCount", "t.collected_count", As::Number),
            ("completedAt", "t.completed_at", As::Instant),
            ("rewardClaimedAt", "t.reward_claimed_at", As::Instant),
            ("updatedAt", "t.updated_at", As::Instant),
        ],
    ),
];
