//! Mutations of collections: cards, and the rewards of collections.

pub(crate) mod catalogue;

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, SimpleObject};

use super::{COLLECTIONS, Found, Overview, Progress};
use crate::mutation::payload::UserPayload;
use crate::mutation::pipeline::Items;
use waymark_auth::policy::{ActingUser, RecordedUser};
use waymark_graphql_kit::context::{Nullable, nullable};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::plan::Ready;
use waymark_kernel::error::Result;
use waymark_kinds::collections;
use waymark_kinds::collections::Collections;
use waymark_kinds::collections::graphql::{CollectionProgress, Reward};
use waymark_kinds::collections::write::{
    CardAmount, CardsChanged, ClaimCollectionReward, GrantCards, RemoveCards, RewardClaim,
};
use waymark_request::Ask as _;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{BulkMode, ItemOutcome};

input! {
    /// Input of `grantCards`.
    GrantCardsInput, "The user who gets the cards; by default the caller.";

    /// The cards, at most 1,000 items; the same card may stand in several.
    cards: Vec<CardAmountInput>,
    /// Whether the good items are done when others are refused.
    #[graphql(default)]
    mode: BulkMode,
}

input! {
    /// Input of `removeCards`.
    RemoveCardsInput, "The user who loses the cards; by default the caller.";

    /// The cards, at most 1,000 items; the same card may stand in several.
    cards: Vec<CardAmountInput>,
    /// Whether the good items are done when others are refused.
    #[graphql(default)]
    mode: BulkMode,
}

/// A number of copies of one card.
#[derive(Debug, InputObject)]
pub(crate) struct CardAmountInput {
    /// The card's global id or its key. Its collection need not be shown, nor run.
    pub(crate) card_id: ID,
    /// How many, 1 to 1,000,000.
    #[graphql(default = 1)]
    quantity: i32,
    /// The caller's reference of this item, 1 to 255 printable characters. A later item with the same reference for the
    /// same user changes nothing, and is answered as the first one was.
    #[graphql(name = "ref")]
    reference: Option<String>,
}

input! {
    /// Input of `claimCollectionReward`.
    ClaimCollectionRewardInput, "The user who claims the reward; by default the caller.";

    /// The collection's global id or its key.
    collection_id: ID,
}

/// Payload of `grantCards` and `removeCards`.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct CardsPayload {
    #[graphql(flatten)]
    about: UserPayload,
    /// The result of each item, in the order of the input.
    results: List<ItemOutcome>,
    #[graphql(skip)]
    collections: Vec<String>,
}

#[ComplexObject]
impl CardsPayload {
    /// How far the user is with the collections of the cards that were named, as far as they are shown now.
    async fn collections(&self, context: &Context<'_>) -> Result<List<Ready<CollectionProgress>>> {
        let Some((request, user)) = self.about.shown(context)? else { return Ok(List::default()) };
        CollectionProgress::of(request, user.visible(), &self.collections).await
    }
}

impl CardsPayload {
    fn of(about: UserPayload, CardsChanged { results, collections }: CardsChanged) -> Self {
        Self { about, results: results.into(), collections }
    }
}

/// The result of claiming the reward of a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum RewardClaimStatus {
    /// The reward was claimed now.
    Claimed,
    /// The user had claimed it before. Nothing is wrong: the reward is the same.
    AlreadyClaimed,
    /// It was refused; the user errors say why.
    Refused,
}

/// Payload of `claimCollectionReward`.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct ClaimCollectionRewardPayload {
    #[graphql(flatten)]
    about: UserPayload,
    /// Whether the reward was claimed.
    status: RewardClaimStatus,
    #[graphql(skip)]
    collection: ID,
}

#[ComplexObject]
impl ClaimCollectionRewardPayload {
    /// The reward that the user has now. Null when the claim was refused, and when the collection has lost its reward
    /// since.
    async fn reward(&self, context: &Context<'_>) -> Nullable<Reward> {
        nullable(async {
            let all = context.ask()?.catalogue::<Collections>()?;
            let claimed = (self.status != RewardClaimStatus::Refused).then_some(&self.collection);
            let key = claimed.map(|id| Kind::Collection.key(id)).transpose()?;
            Ok(key.and_then(|key| all.by_key(key)?.reward.as_ref()).map(Reward::from))
        })
        .await
    }

    /// How far the user is with the collection. Null when there is none with this id, when it is not shown now, and
    /// when there is no such user.
    async fn collection(&self, context: &Context<'_>) -> Nullable<Ready<CollectionProgress>> {
        nullable(async {
            let Some((request, user)) = self.about.shown(context)? else { return Ok(None) };
            let key = Kind::Collection.key(&self.collection)?;
            let collecting = collections::service::collection(request, user.visible(), key).await?;
            Ok(collecting.map(CollectionProgress).map(Ready))
        })
        .await
    }
}

mutations! {
    /// Mutations of collections.
    CollectionMutation;

    /// Grants cards to a user. The last missing card completes its collection, while the collection runs. For API keys
    /// with the scope progress:write. Null with an error when the whole was refused.
    grant_cards: about_user(GrantCardsInput, "The cards, and the user who gets them.") -> CardsPayload;

    /// Takes cards away from a user; more than the user owns are refused. A collection that was completed stays so. For
    /// API keys with the scope progress:write. Null with an error when the whole was refused.
    remove_cards: about_user(RemoveCardsInput, "The cards, and the user who loses them.") -> CardsPayload;

    /// Claims the reward of a collection that a user has completed, once; claiming it again answers the same and
    /// changes nothing. For the user and for API keys with the scope progress:write. Null with an error when the whole
    /// was refused.
    claim_collection_reward: about_user(
        ClaimCollectionRewardInput,
        "The collection, and the user who claims its reward."
    ) -> ClaimCollectionRewardPayload;
}

about_user! {
    GrantCardsInput: RecordedUser => GrantCards => CardsPayload {
        items: |input| Items::of("cards", Kind::Card, input.cards.iter().map(|one| &one.card_id)),
        write: |input, user| {
            GrantCards { user, cards: input.cards.iter().map(CardAmountInput::read).collect(), mode: input.mode }
        },
        payload: |_, about, outcome| CardsPayload::of(about, outcome),
    }
    RemoveCardsInput: RecordedUser => RemoveCards => CardsPayload {
        items: |input| Items::of("cards", Kind::Card, input.cards.iter().map(|one| &one.card_id)),
        write: |input, user| {
            RemoveCards { user, cards: input.cards.iter().map(CardAmountInput::read).collect(), mode: input.mode }
        },
        payload: |_, about, outcome| CardsPayload::of(about, outcome),
    }
    ClaimCollectionRewardInput: ActingUser => ClaimCollectionReward => ClaimCollectionRewardPayload {
        write: |input, user| {
            ClaimCollectionReward { user, collection: Kind::Collection.key(&input.collection_id)?.to_owned() }
        },
        payload: |input, about, outcome| {
            ClaimCollectionRewardPayload { about, status: outcome.into(), collection: input.collection_id }
        },
    }
}

impl From<RewardClaim> for RewardClaimStatus {
    fn from(outcome: RewardClaim) -> Self {
        match outcome {
            RewardClaim::Claimed => Self::Claimed,
            RewardClaim::AlreadyClaimed => Self::AlreadyClaimed,
            RewardClaim::Refused(_) => Self::Refused,
        }
    }
}

impl CardAmountInput {
    /// Reads an item; a malformed one is to fail alone.
    pub(crate) fn read(&self) -> CardAmount {
        let card = Kind::Card.key_or_all(&self.card_id);
        CardAmount { card, quantity: self.quantity.into(), reference: self.reference.clone() }
    }
}

/// The collections that are shown.
pub(super) async fn overview(asked: &Overview<'_>) -> Result<Found> {
    let all = collections::service::collections(asked.request, asked.visible).await?;
    Ok(Found::whole(COLLECTIONS, all.into_iter().map(|one| Progress::Collection(CollectionProgress(one)))))
}
