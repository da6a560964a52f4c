//! Collections in GraphQL.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};

use super::entity::reward;
use super::rules;
pub use super::rules::{CollectionStatus, RewardRefusal};
use super::service::{self, Collecting, Owned};
use super::{Card as StoredCard, Collection as StoredCollection};
use waymark_auth::policy::VisibleUser;
use waymark_graphql_kit::context::{Nullable, nullable, present};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::pagination::{Connection, PageArgs};
use waymark_graphql_kit::plan::{Plain, Ready, object};
use waymark_graphql_kit::scalars::{BigInt, seconds};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_request::{Ask as _, Request};
use waymark_vocabulary::ids;
use waymark_vocabulary::progress;
use waymark_vocabulary::progress::{ProgressKind, ProgressState};

/// A programme of cards to collect.
#[derive(Debug, Clone)]
pub struct Collection(pub Arc<StoredCollection>);

/// A programme of cards to collect, with at most one reward.
#[object]
impl Collection {
    /// The global id: `collection:<key>`.
    pub async fn id(&self) -> ID {
        ids::Kind::Collection.id(&self.0.row.key)
    }

    /// The operator's own key of the collection, unique among collections.
    async fn key(&self) -> &str {
        &self.0.row.key
    }

    /// The collection's name.
    async fn name(&self) -> &str {
        &self.0.row.name
    }

    /// A description for people; may be empty.
    async fn description(&self) -> &str {
        &self.0.row.description
    }

    /// Where a picture of the collection is. Null when it has none.
    async fn image(&self) -> Option<&str> {
        self.0.row.image.as_deref()
    }

    /// The environment in which the collection runs, such as `production`.
    async fn environment(&self) -> &str {
        &self.0.row.environment
    }

    /// When the collection was added to the catalogue.
    async fn created_at(&self) -> Timestamp {
        self.0.row.created_at
    }

    /// When it starts. Null when it has always run.
    async fn start_date(&self) -> Option<Timestamp> {
        self.0.row.starts_at
    }

    /// When it ends. Null when it is open-ended.
    async fn end_date(&self) -> Option<Timestamp> {
        self.0.row.ends_at
    }

    /// Seconds until it ends; 0 once it has. Null when it is open-ended.
    async fn time_left(&self, context: &Context<'_>) -> Result<Option<i32>> {
        Ok(rules::time_left_seconds(&self.0.window(), context.ask()?.now()).map(seconds))
    }

    /// When the collection was retired: it is no longer listed and nobody gets cards of it any more; who has completed
    /// it can still claim its reward. Null when it is not retired.
    async fn retired_at(&self) -> Option<Timestamp> {
        self.0.row.retired_at
    }

    /// How many distinct cards it has, without retired ones.
    async fn size(&self) -> i32 {
        self.0.size()
    }

    /// Its cards, in the operator's order; retired ones for API keys with the scope admin only.
    async fn cards(&self, context: &Context<'_>) -> Result<List<Card>> {
        Ok(service::listed_in(context.ask()?, &self.0).iter().cloned().map(Card).collect())
    }

    /// The reward for completing the collection. Null when there is none.
    async fn reward(&self) -> Option<Reward> {
        self.0.reward.as_ref().map(Reward::from)
    }
}

/// A card of a collection.
#[derive(Debug, Clone)]
pub struct Card(pub Arc<StoredCard>);

/// A card of a collection.
#[object]
impl Card {
    /// The global id: `card:<key>`.
    pub async fn id(&self) -> ID {
        ids::Kind::Card.id(&self.0.key)
    }

    /// The operator's own key of the card, unique among cards.
    async fn key(&self) -> &str {
        &self.0.key
    }

    /// The card's name.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Where a picture of the card is. Null when it has none.
    async fn image(&self) -> Option<&str> {
        self.0.image.as_deref()
    }

    /// How rare the card is, in the operator's words.
    async fn rarity(&self) -> &str {
        &self.0.rarity
    }

    /// When the card was retired: it is listed for those alone who own it, does not count for its collection, and
    /// nobody gets it any more. Null when it is not retired.
    async fn retired_at(&self) -> Option<Timestamp> {
        self.0.retired_at
    }
}

/// A reward that each user who completed the collection may claim once.
#[derive(Debug, Plain, SimpleObject)]
pub struct Reward {
    /// The operator's own key of the reward, unique among rewards.
    key: String,
    /// The reward's name.
    name: String,
    /// A description for people; may be empty.
    description: String,
    /// Where a picture of the reward is. Null when it has none.
    image: Option<String>,
    /// What it is worth, in the operator's words.
    value: String,
    /// How it is meant to be shown, in the operator's words, such as `image`.
    view_type: String,
    /// How many there are in all. Null when they are unlimited.
    stock: Option<BigInt>,
}

impl From<&reward::Model> for Reward {
    fn from(row: &reward::Model) -> Self {
        Self {
            key: row.key.clone(),
            name: row.name.clone(),
            description: row.description.clone(),
            image: row.image.clone(),
            value: row.value.clone(),
            view_type: row.view_type.clone(),
            stock: row.stock.map(BigInt),
        }
    }
}

/// How far a user is with a collection.
#[derive(Debug)]
pub struct CollectionProgress(pub Collecting);

impl CollectionProgress {
    /// Loads how far a user is with those of the collections of these keys that are shown now.
    pub async fn of(
        request: &Request,
        user: &VisibleUser,
        keys: &[impl AsRef<str> + Sync],
    ) -> Result<List<Ready<Self>>> {
        let all = service::collections(request, user).await?;
        let named = |one: &Collecting| keys.iter().any(|key| key.as_ref() == one.collection.row.key);
        Ok(all.into_iter().filter(named).map(Self).map(Ready).collect())
    }
}

/// How far a user is with a collection.
#[object]
impl CollectionProgress {
    /// The global id: `collection_progress:<the user's ULID>:<the collection's key>`.
    pub async fn id(&self) -> ID {
        ids::Kind::CollectionProgress.id_of(self.0.user.ulid(), &self.0.collection.row.key)
    }

    /// Always COLLECTION.
    pub async fn kind(&self) -> ProgressKind {
        ProgressKind::Collection
    }

    /// The collection's name.
    pub async fn title(&self) -> String {
        self.0.collection.row.name.clone()
    }

    /// How many distinct cards the user owns; the same as `collectedCount`.
    pub async fn done(&self) -> i32 {
        self.0.count()
    }

    /// How many distinct cards there are; the same as `size`.
    pub async fn total(&self) -> i32 {
        self.0.collection.size()
    }

    /// `done` out of `total`, from 0 to 1; 0 when the collection has no cards.
    pub async fn ratio(&self) -> f64 {
        progress::ratio(self.0.count(), self.0.collection.size())
    }

    /// COMPLETED once all cards were collected while the collection ran, for good.
    pub async fn state(&self) -> ProgressState {
        progress::state(self.0.count(), self.0.is_completed())
    }

    /// When the collection was completed. Null when it is not.
    pub async fn completed_at(&self) -> Option<Timestamp> {
        self.0.collected.completed_at.filter(|_| self.0.is_completed())
    }

    /// The collection.
    async fn collection(&self) -> Ready<Collection> {
        Ready(Collection(Arc::clone(&self.0.collection)))
    }

    /// Where the collection stands for the user.
    async fn status(&self) -> CollectionStatus {
        self.0.status()
    }

    /// How many distinct cards the collection has.
    async fn size(&self) -> i32 {
        self.0.collection.size()
    }

    /// How many distinct cards the user owns, without retired ones.
    async fn collected_count(&self) -> i32 {
        self.0.count()
    }

    /// How much is collected, in whole percent, rounded down; 100 only when every card is owned, 0 when there is none.
    async fn progress_in_percentage(&self) -> i32 {
        rules::percent(self.0.count().into(), self.0.collection.size().into()).into()
    }

    /// Seconds until the collection ends; 0 once it has. Null when it is open-ended.
    async fn time_left(&self) -> Option<i32> {
        rules::time_left_seconds(&self.0.collection.window(), self.0.now).map(seconds)
    }

    /// Every card of the collection in the operator's order, with how many the user owns; retired ones, which do not
    /// count, only when the user owns them. Null when that could not be loaded.
    async fn cards(&self, context: &Context<'_>) -> Nullable<List<CardOwnership>> {
        present(async {
            let rows = service::cards(context.ask()?, &self.0).await?;
            let cards = service::with_owned(&self.0.collection, &rows);
            Ok(cards.map(|(card, owned)| CardOwnership::new(card, owned)).collect())
        })
        .await
    }

    /// The cards of the collection in the operator's order, with how many the user owns, in pages. Null when they could
    /// not be loaded.
    async fn cards_connection(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Only cards that the user owns (true), or does not own (false).")] is_owned: Option<bool>,
        #[graphql(desc = "How many cards from the start, 1 to 100; 20 when neither this nor last is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only cards behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many cards from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only cards before this cursor.")] before: Option<String>,
    ) -> Nullable<Connection<CardOwnership>> {
        nullable(async {
            let request = context.ask()?;
            let page = PageArgs { first, after, last, before }.check("cards", request)?;
            let rows = service::cards(request, &self.0).await?;
            let cards = service::with_owned(&self.0.collection, &rows);
            let cards = cards.filter(|(_, owned)| is_owned.is_none_or(|is_owned| is_owned == owned.is_some()));
            let place = |(card, _): &(&Arc<StoredCard>, Option<&Owned>)| (card.position.into(), card.id);
            Ok(Some(page.of_list(cards, place).map(|(card, owned)| CardOwnership::new(card, owned))))
        })
        .await
    }

    /// The reward, with what the user may do about it. Null when the collection has none.
    async fn reward(&self) -> Option<RewardProgress> {
        self.0.collection.reward.as_ref().map(|row| RewardProgress { row: row.clone(), collecting: self.0.clone() })
    }
}

/// How many of a card a user owns.
#[derive(Debug, Plain, SimpleObject)]
pub struct CardOwnership {
    /// The card.
    card: Card,
    /// How many the user owns; 0 when none. Only the first counts for the collection.
    quantity: i32,
    /// Whether the user owns at least one.
    is_owned: bool,
    /// When the user got the first one. Null when the user owns none.
    first_acquired_at: Option<Timestamp>,
}

impl CardOwnership {
    fn new(card: &Arc<StoredCard>, owned: Option<&Owned>) -> Self {
        Self {
            quantity: owned.map_or(0, |owned| owned.quantity),
            is_owned: owned.is_some(),
            first_acquired_at: owned.map(|owned| owned.first_acquired_at),
            card: Card(Arc::clone(card)),
        }
    }
}

/// The reward of a collection, as it stands for a user.
#[derive(Debug)]
pub struct RewardProgress {
    row: reward::Model,
    collecting: Collecting,
}

/// The reward of a collection, as it stands for a user.
#[object]
impl RewardProgress {
    /// The reward itself.
    async fn reward(&self) -> Reward {
        Reward::from(&self.row)
    }

    /// Whether the user has claimed it.
    async fn is_claimed(&self) -> bool {
        self.collecting.collected.reward_claimed_at.is_some()
    }

    /// When the user claimed it. Null when that has not happened.
    async fn claimed_at(&self) -> Option<Timestamp> {
        self.collecting.collected.reward_claimed_at
    }

    /// Why a claim would be refused now. Null when it would be granted, and to those who may not see it: only the user
    /// and apps may.
    async fn refusal(&self, context: &Context<'_>) -> Nullable<RewardRefusal> {
        nullable(async {
            let refusal = service::reward_refusal(context.ask()?, &self.collecting, self.row.stock).await?;
            Ok(refusal)
        })
        .await
    }
}

/// The collections of the catalogue.
#[derive(Debug, Default)]
pub struct CollectionQuery;

#[Object]
impl CollectionQuery {
    /// The collection with this id. Null when the catalogue has none, and outside the dates in which it is shown.
    async fn collection(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The collection's global id or its key.")] id: ID,
    ) -> Nullable<Collection> {
        nullable(async {
            let key = ids::Kind::Collection.key(&id)?;
            Ok(service::shown_by_key(context.ask()?, key)?.cloned().map(Collection))
        })
        .await
    }

    /// The collections that are shown now, in the order in which they were added; retired ones for API keys with the
    /// scope admin only.
    async fn collections(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many collections from the start, 1 to 100; 20 when neither this nor last is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only collections behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many collections from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only collections before this cursor.")] before: Option<String>,
    ) -> Result<Connection<Collection>> {
        let request = context.ask()?;
        let page = PageArgs { first, after, last, before }.check("collections", request)?;
        Ok(page.of_list(service::listed(request)?.cloned(), |one| (one.row.id, 0)).map(Collection))
    }
}
