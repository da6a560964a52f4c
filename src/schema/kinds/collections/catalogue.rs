//! Writing collections.

use std::sync::Arc;

use async_graphql::{ID, InputObject, MaybeUndefined, SimpleObject};

use crate::mutation::catalogue::{Edited, given, keys};
use waymark_graphql_kit::scalars::BigInt;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_kinds::collections::Collections;
use waymark_kinds::collections::graphql::Collection;
use waymark_kinds::collections::operate::{GivenCard, GivenReward, MOST_CARDS, UpsertCollection};
use waymark_vocabulary::ids;
use waymark_vocabulary::ids::Kind;
use waymark_write::Retire;

input! {
    /// Input of `upsertCollection`. A field that is not given stays as it is; of a new collection only the name has to
    /// be given.
    UpsertCollectionInput;

    /// The collection's key or its global id: 1 to 255 characters without control characters.
    key: ID,
    /// The name, 1 to 500 characters.
    name: Option<String>,
    /// A description, at most 10,000 characters.
    description: Option<String>,
    /// Where a picture is, an http or https address of at most 2,000 characters; null for none.
    image: MaybeUndefined<String>,
    /// The environment in which it runs, 1 to 100 characters; `production` for a new one unless given.
    environment: Option<String>,
    /// From when on it can be completed; null for always.
    start_date: MaybeUndefined<Timestamp>,
    /// From when on it cannot be completed any more, later than the start; null for never.
    end_date: MaybeUndefined<Timestamp>,
    /// Whether it is shown before its start; true for a new one unless given.
    show_before: Option<bool>,
    /// Whether it is shown from its end on; true for a new one unless given.
    show_after: Option<bool>,
    /// Whether it is retired: no longer listed, and nobody gets cards of it any more. What users own stays, who has
    /// completed it can still claim its reward, and false brings it back.
    retired: Option<bool>,
    /// Cards to be added or changed, in their order; those that are not listed stay as and where they are. A collection
    /// has at most 10,000.
    #[graphql(default)]
    cards: Vec<CardInput>,
    /// Global ids or keys of cards to be removed; only cards that no user owns can be removed.
    #[graphql(default)]
    remove_cards: Vec<ID>,
    /// The reward for completing the collection. Null for no reward, which is refused when the reward has been claimed.
    reward: MaybeUndefined<RewardInput>,
}

/// A card to add or to change. A field that is not given stays as it is; of a new card only the name has to be given.
#[derive(Debug, InputObject)]
pub(crate) struct CardInput {
    /// The card's key or its global id, unique among the cards of all collections.
    key: ID,
    /// The name, 1 to 500 characters.
    name: Option<String>,
    /// Where a picture is, an http or https address of at most 2,000 characters; null for none.
    image: MaybeUndefined<String>,
    /// How rare it is, 1 to 100 characters; `common` for a new one unless given.
    rarity: Option<String>,
    /// Whether it is retired: listed for those alone who own it, not counted for its collection, and given to nobody
    /// any more. Users who own all others have completed the collection by that, if it runs; false brings it back.
    retired: Option<bool>,
}

/// A reward to add or to change. A field that is not given stays as it is; of a new reward only the name has to be
/// given. Another key makes it another reward, which is refused when the reward that is there has been claimed.
#[derive(Debug, InputObject)]
pub(crate) struct RewardInput {
    /// The reward's key, unique among the rewards of all collections.
    key: ID,
    /// The name, 1 to 500 characters.
    name: Option<String>,
    /// A description, at most 10,000 characters.
    description: Option<String>,
    /// Where a picture is, an http or https address of at most 2,000 characters; null for none.
    image: MaybeUndefined<String>,
    /// What it is worth, in the operator's words, at most 10,000 characters.
    value: Option<String>,
    /// How it is meant to be shown, 1 to 100 characters; `image` for a new one unless given.
    view_type: Option<String>,
    /// How many there are in all, not fewer than have been claimed; null for unlimited.
    stock: MaybeUndefined<BigInt>,
}

/// Payload of `upsertCollection`.
#[derive(Debug, SimpleObject)]
pub(crate) struct UpsertCollectionPayload {
    /// The collection as it now is, also outside the dates in which it is shown to others. Null when there is none,
    /// because adding it was refused.
    collection: Option<Collection>,
    #[graphql(flatten)]
    edited: Edited,
}

mutations! {
    /// Mutations of collections in the catalogue.
    CatalogueCollectionMutation;

    /// Adds a collection or changes it. Users who own all cards once some are removed, or once it runs, have completed
    /// it; users who have completed it stay so. For API keys with the scope admin. Null with an error when the whole
    /// was refused.
    upsert_collection: by_operator(UpsertCollectionInput, "The collection to add or to change.")
        -> UpsertCollectionPayload;
}

by_operator! {
    UpsertCollectionInput => UpsertCollection, String => UpsertCollectionPayload {
        lists: |input| [("cards", input.cards.len(), MOST_CARDS), ("removeCards", input.remove_cards.len(), MOST_CARDS)],
        write: |input, operator| {
            let key = Kind::Collection.key(&input.key)?.to_owned();
            let write = UpsertCollection {
                operator,
                key: key.clone(),
                name: input.name,
                description: input.description,
                image: given(input.image),
                environment: input.environment,
                starts_at: given(input.start_date),
                ends_at: given(input.end_date),
                show_before: input.show_before,
                show_after: input.show_after,
                retired: input.retired.map(Retire::now),
                remove_cards: keys(Kind::Card, &input.remove_cards)?,
                cards: input.cards.into_iter().map(CardInput::read).collect::<Result<_>>()?,
                reward: given(input.reward).map(|reward| reward.map(RewardInput::read).transpose()).transpose()?,
            };
            (write, key)
        },
        payload: |request, done| UpsertCollectionPayload {
            collection: request.catalogue::<Collections>()?.by_key(&done.kept).map(Arc::clone).map(Collection),
            edited: done.written.outcome.into(),
        },
    }
}

impl CardInput {
    fn read(self) -> Result<GivenCard> {
        Ok(GivenCard {
            position: None,
            key: Kind::Card.key(&self.key)?.to_owned(),
            name: self.name,
            image: given(self.image),
            rarity: self.rarity,
            retired: self.retired.map(Retire::now),
        })
    }
}

impl RewardInput {
    fn read(self) -> Result<GivenReward> {
        ids::check("reward", &self.key)?;
        Ok(GivenReward {
            key: self.key.0,
            name: self.name,
            description: self.description,
            image: given(self.image),
            value: self.value,
            view_type: self.view_type,
            stock: given(self.stock).map(|stock| stock.map(|BigInt(stock)| stock)),
        })
    }
}
