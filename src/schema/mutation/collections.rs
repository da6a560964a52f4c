//! Mutations of collections: cards, and the rewards of collections.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};

use super::changes::Changes;
use super::{check_items, shown, subject};
use crate::user::User;
use waymark_auth::policy;
use waymark_collections as collections;
use waymark_collections::Collections;
use waymark_collections::graphql::{CollectionProgress, Reward};
use waymark_collections::write::{
    CardAmount, CardsChanged, ClaimCollectionReward, GrantCards, RemoveCards, RewardClaim,
};
use waymark_graphql_kit::context::{Nullable, present};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::ready::Ready;
use waymark_kernel::error::Result;
use waymark_request::Ask as _;
use waymark_request::Request;
use waymark_users::graphql::UserBy;
use waymark_users::service::User as Stored;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{BulkMode, ItemOutcome, Refusal, refusals};

/// Input of `grantCards`.
#[derive(Debug, InputObject)]
pub(crate) struct GrantCardsInput {
    /// The user who gets the cards; by default the caller.
    user: Option<UserBy>,
    /// The cards, at most 1,000 items; the same card may stand in several.
    cards: Vec<CardAmountInput>,
    /// Whether the good items are done when others are refused.
    #[graphql(default)]
    mode: BulkMode,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Input of `removeCards`.
#[derive(Debug, InputObject)]
pub(crate) struct RemoveCardsInput {
    /// The user who loses the cards; by default the caller.
    user: Option<UserBy>,
    /// The cards, at most 1,000 items; the same card may stand in several.
    cards: Vec<CardAmountInput>,
    /// Whether the good items are done when others are refused.
    #[graphql(default)]
    mode: BulkMode,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// A number of copies of one card.
#[derive(Debug, InputObject)]
pub(crate) struct CardAmountInput {
    /// The card's global id or its key. Its collection need not be shown, nor run.
    pub(super) card_id: ID,
    /// How many, 1 to 1,000,000.
    #[graphql(default = 1)]
    quantity: i32,
    /// The caller's reference of this item, 1 to 255 printable characters. A later item with the same reference for the
    /// same user changes nothing, and is answered as the first one was.
    #[graphql(name = "ref")]
    reference: Option<String>,
}

/// Input of `claimCollectionReward`.
#[derive(Debug, InputObject)]
pub(crate) struct ClaimCollectionRewardInput {
    /// The user who claims the reward; by default the caller.
    user: Option<UserBy>,
    /// The collection's global id or its key.
    collection_id: ID,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Payload of `grantCards` and `removeCards`.
#[derive(Debug, SimpleObject)]
pub(crate) struct CardsPayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// The result of each item, in the order of the input.
    results: List<ItemOutcome>,
    /// How far the user is with the collections of the cards that were named, as far as they are shown now.
    collections: List<Ready<CollectionProgress>>,
    /// What was refused; empty when all was done.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
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
pub(crate) struct ClaimCollectionRewardPayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// Whether the reward was claimed.
    status: RewardClaimStatus,
    /// The reward that the user has now. Null when the claim was refused, and when the collection has lost its reward
    /// since.
    reward: Option<Reward>,
    /// How far the user is with the collection. Null when there is none with this id, and when it is not shown now.
    collection: Option<Ready<CollectionProgress>>,
    /// What was refused; empty when the reward was claimed, now or before.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// Mutations of collections.
#[derive(Debug, Default)]
pub(crate) struct CollectionMutation;

#[Object]
impl CollectionMutation {
    /// Grants cards to a user. The last missing card completes its collection, while the collection runs. For API keys
    /// with the scope progress:write. Null with an error when the whole was refused.
    async fn grant_cards(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The cards, and the user who gets them.")] input: GrantCardsInput,
    ) -> Nullable<CardsPayload> {
        present(async {
            let request = context.ask()?;
            check_items(request, "cards", input.cards.len())?;
            let stored = subject(request, input.user).await?;
            let user = policy::record_for(&request.caller, &stored.subject)?;
            let cards = input.cards.into_iter().map(CardAmountInput::read).collect();
            let write = GrantCards { user, cards, mode: input.mode };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            payload(request, &stored, written.outcome, changes).await
        })
        .await
    }

    /// Takes cards away from a user; more than the user owns are refused. A collection that was completed stays so. For
    /// API keys with the scope progress:write. Null with an error when the whole was refused.
    async fn remove_cards(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The cards, and the user who loses them.")] input: RemoveCardsInput,
    ) -> Nullable<CardsPayload> {
        present(async {
            let request = context.ask()?;
            check_items(request, "cards", input.cards.len())?;
            let stored = subject(request, input.user).await?;
            let user = policy::record_for(&request.caller, &stored.subject)?;
            let cards = input.cards.into_iter().map(CardAmountInput::read).collect();
            let write = RemoveCards { user, cards, mode: input.mode };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            payload(request, &stored, written.outcome, changes).await
        })
        .await
    }

    /// Claims the reward of a collection that a user has completed, once; claiming it again answers the same and
    /// changes nothing. For the user and for API keys with the scope progress:write. Null with an error when the whole
    /// was refused.
    async fn claim_collection_reward(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The collection, and the user who claims its reward.")] input: ClaimCollectionRewardInput,
    ) -> Nullable<ClaimCollectionRewardPayload> {
        present(async {
            let request = context.ask()?;
            let stored = subject(request, input.user).await?;
            let user = policy::act_for(&request.caller, &stored.subject)?;
            let key = Kind::Collection.key(&input.collection_id)?.to_owned();
            let write = ClaimCollectionReward { user, collection: key.clone() };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            let (status, refusal) = match written.outcome {
                RewardClaim::Claimed => (RewardClaimStatus::Claimed, None),
                RewardClaim::AlreadyClaimed => (RewardClaimStatus::AlreadyClaimed, None),
                RewardClaim::Refused(refusal) => (RewardClaimStatus::Refused, Some(refusal)),
            };
            let reward = request.catalogue::<Collections>()?.by_key(&key).and_then(|one| one.reward.as_ref());
            let user = shown(request, &stored).await?;
            let collection = match &user {
                Some(user) => collections::service::collection(request, user.visible(), &key).await?,
                None => None,
            };
            Ok(ClaimCollectionRewardPayload {
                user,
                status,
                reward: reward.filter(|_| refusal.is_none()).map(Reward::from),
                collection: collection.map(CollectionProgress).map(Ready),
                user_errors: refusal.into_iter().collect(),
                changes,
            })
        })
        .await
    }
}

impl CardAmountInput {
    /// Reads an item; a malformed one is to fail alone.
    pub(super) fn read(self) -> CardAmount {
        let card = Kind::Card.key_or_all(&self.card_id);
        CardAmount { card, quantity: self.quantity.into(), reference: self.reference }
    }
}

async fn payload(
    request: &Request,
    stored: &Stored,
    CardsChanged { results, collections: named }: CardsChanged,
    changes: Changes,
) -> Result<CardsPayload> {
    let user = shown(request, stored).await?;
    let all = match &user {
        Some(user) => collections::service::collections(request, user.visible()).await?,
        None => Vec::new(),
    };
    let concerned = all.into_iter().filter(|one| named.contains(&one.collection.row.key));
    Ok(CardsPayload {
        user,
        collections: concerned.map(CollectionProgress).map(Ready).collect(),
        user_errors: refusals("cards", &results).into(),
        results: results.into(),
        changes,
    })
}
