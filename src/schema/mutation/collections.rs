//! Mutations of collections: cards, and the rewards of collections.

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};

use super::changes::Changes;
use super::{check_items, shown, subject};
use crate::auth::policy;
use crate::error::Result;
use crate::features::collections;
use crate::features::collections::Collections;
use crate::features::collections::graphql::{CollectionProgress, Reward};
use crate::features::collections::write::{
    CardAmount, CardsChanged, ClaimCollectionReward, GrantCards, RemoveCards, RewardClaim,
};
use crate::features::users::graphql::UserBy;
use crate::features::users::service::User as Stored;
use crate::graphql::context::{Ask as _, Nullable, present};
use crate::graphql::ids::Kind;
use crate::graphql::list::List;
use crate::graphql::ready::Ready;
use crate::graphql::refusal::{BulkMode, ItemOutcome, Refusal, refusals};
use crate::request::Request;
use crate::schema::user::User;

/// Which cards are granted to whom.
#[derive(Debug, InputObject)]
pub(crate) struct GrantCardsInput {
    /// Who gets them; by default whoever asks.
    user: Option<UserBy>,
    /// The cards, at most 1,000 items; the same card may stand in several.
    cards: Vec<CardAmountInput>,
    /// Whether the good items are done when others are refused.
    #[graphql(default)]
    mode: BulkMode,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Which cards are taken away from whom.
#[derive(Debug, InputObject)]
pub(crate) struct RemoveCardsInput {
    /// Whose they are; by default those of whoever asks.
    user: Option<UserBy>,
    /// The cards, at most 1,000 items; the same card may stand in several.
    cards: Vec<CardAmountInput>,
    /// Whether the good items are done when others are refused.
    #[graphql(default)]
    mode: BulkMode,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// So many of a card.
#[derive(Debug, InputObject)]
pub(crate) struct CardAmountInput {
    /// The card's global id or its key. Its collection need not be shown, nor run.
    pub(super) card_id: ID,
    /// How many, 1 to 1,000,000.
    #[graphql(default = 1)]
    quantity: i32,
    /// What you call this item, 1 to 255 printable characters. Once it was done, another one with the same name for the same
    /// user changes nothing, whenever it comes, and is answered as the first one was.
    #[graphql(name = "ref")]
    reference: Option<String>,
}

/// Of which collection the reward is claimed, and for whom.
#[derive(Debug, InputObject)]
pub(crate) struct ClaimCollectionRewardInput {
    /// Who claims it; by default whoever asks.
    user: Option<UserBy>,
    /// The collection's global id or its key.
    collection_id: ID,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// What came of granting cards, or of taking them away.
#[derive(Debug, SimpleObject)]
pub(crate) struct CardsPayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// What became of each item, in the order of the input.
    results: List<ItemOutcome>,
    /// How far the user is with the collections of the cards that were named, as far as they are shown now.
    collections: List<Ready<CollectionProgress>>,
    /// What was refused; empty when all was done.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// What came of the claim of a reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub(crate) enum RewardClaimStatus {
    /// The reward was claimed now.
    Claimed,
    /// The user had claimed it before. Nothing is wrong: the reward is the same.
    AlreadyClaimed,
    /// It was refused; the user errors say why.
    Refused,
}

/// What came of claiming the reward of a collection.
#[derive(Debug, SimpleObject)]
pub(crate) struct ClaimCollectionRewardPayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// What came of it.
    status: RewardClaimStatus,
    /// The reward that the user has now. Null when the claim was refused, and when the collection has lost its reward since.
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
    /// Grants cards to a user. The last missing one completes its collection while that runs. For API keys with the scope
    /// progress:write. Null with an error when the whole was refused.
    async fn grant_cards(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which cards, and to whom.")] input: GrantCardsInput,
    ) -> Nullable<CardsPayload> {
        present(async {
            let request = context.ask()?;
            check_items(request, "cards", input.cards.len())?;
            let stored = subject(request, input.user).await?;
            let user = policy::record_for(&request.caller, &stored.subject)?;
            let cards = input.cards.into_iter().map(CardAmountInput::read).collect::<Result<_>>()?;
            let write = GrantCards { user, cards, mode: input.mode };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            payload(request, &stored, written.outcome, changes).await
        })
        .await
    }

    /// Takes cards away from a user, no more than there are. A collection that was completed stays so. For API keys with the
    /// scope progress:write. Null with an error when the whole was refused.
    async fn remove_cards(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which cards, and from whom.")] input: RemoveCardsInput,
    ) -> Nullable<CardsPayload> {
        present(async {
            let request = context.ask()?;
            check_items(request, "cards", input.cards.len())?;
            let stored = subject(request, input.user).await?;
            let user = policy::record_for(&request.caller, &stored.subject)?;
            let cards = input.cards.into_iter().map(CardAmountInput::read).collect::<Result<_>>()?;
            let write = RemoveCards { user, cards, mode: input.mode };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            payload(request, &stored, written.outcome, changes).await
        })
        .await
    }

    /// Claims the reward of a collection that a user has completed, once; claiming it again answers the same and changes
    /// nothing. For the user and for API keys with the scope progress:write. Null with an error when the whole was refused.
    async fn claim_collection_reward(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Of which collection, and for whom.")] input: ClaimCollectionRewardInput,
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
    pub(super) fn read(self) -> Result<CardAmount> {
        let card = Kind::Card.key(&self.card_id)?.to_owned();
        Ok(CardAmount { card, quantity: self.quantity.into(), reference: self.reference })
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
