//! Collections, cards and what they come to: records, how they are exported, and as facts that the feature takes.

#![expect(missing_docs, reason = "docs/import.md describes every member, and a test compares the two")]

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::export::{Export, Users, at, each, each_of};
use crate::import::catalogue::{OPERATOR, retired, take, telling};
use crate::import::{Item, Work, only};
use crate::ranges::{Members, Said};
use crate::records::{At, Record, is_false, is_true, yes};
use crate::sql;
use waymark_kernel::error::Result;
use waymark_kernel::limits;
use waymark_kinds::collections::entity::{card, collection, owned_card, progress as collection_progress, reward};
use waymark_kinds::collections::operate::{GivenCard, GivenReward, UpsertCollection, take_cards, take_collections};
use waymark_kinds::collections::rules::Completion;
use waymark_kinds::collections::told::{ToldCard, ToldProgress, take_told};
use waymark_vocabulary::ids::Kind;
use waymark_write::{Origin, Telling};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Collection {
    pub key: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(default = "production")]
    pub environment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<At>,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub show_before: bool,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub show_after: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward: Option<Reward>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

fn production() -> String {
    "production".to_owned()
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reward {
    pub key: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub value: String,
    #[serde(default = "image")]
    pub view_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock: Option<i64>,
    #[serde(default)]
    pub claimed: i64,
}

fn image() -> String {
    "image".to_owned()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Card {
    pub key: String,
    pub collection: String,
    #[serde(default)]
    pub position: i32,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(default = "common")]
    pub rarity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<At>,
}

fn common() -> String {
    "common".to_owned()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CollectionProgress {
    pub user: String,
    pub collection: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<At>,
    /// Whether that date was told, and does not follow from the cards. Only in exports; elsewhere it always was.
    #[serde(default, skip_serializing_if = "is_false")]
    pub completed_told: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward_claimed_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OwnedCard {
    pub user: String,
    /// Within which the key of the card is unique, where keys are scoped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    pub card: String,
    #[serde(default = "one")]
    pub quantity: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_acquired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

const fn one() -> i32 {
    1
}

impl Said for Collection {
    fn ranged(&self, all: &mut Members) {
        let Collection {
            key: _,
            name: _,
            description: _,
            image: _,
            environment: _,
            starts_at,
            ends_at,
            show_before: _,
            show_after: _,
            reward,
            retired_at,
            created_at,
            updated_at,
        } = self;
        all.planned("startsAt", *starts_at);
        all.planned("endsAt", *ends_at);
        if let Some(Reward { key: _, name: _, image: _, description: _, value: _, view_type: _, stock, claimed }) =
            reward
        {
            all.number("reward.stock", *stock, limits::STOCK);
            all.number("reward.claimed", *claimed, limits::STOCK);
        }
        all.happened("retiredAt", *retired_at);
        all.happened("createdAt", *created_at);
        all.happened("updatedAt", *updated_at);
    }
}

impl Said for Card {
    fn ranged(&self, all: &mut Members) {
        let Card { key: _, collection: _, position, name: _, image: _, rarity: _, retired_at } = self;
        all.happened("retiredAt", *retired_at);
        all.number("position", i64::from(*position), limits::POSITION);
    }
}

impl Said for CollectionProgress {
    fn ranged(&self, all: &mut Members) {
        let CollectionProgress {
            user: _,
            collection: _,
            completed_at,
            completed_told: _,
            reward_claimed_at,
            updated_at,
        } = self;
        all.happened("completedAt", *completed_at);
        all.happened("rewardClaimedAt", *reward_claimed_at);
        all.happened("updatedAt", *updated_at);
    }
}

impl Said for OwnedCard {
    fn ranged(&self, all: &mut Members) {
        let OwnedCard { user: _, collection: _, card: _, quantity, first_acquired_at, updated_at } = self;
        all.number("quantity", i64::from(*quantity), limits::CARDS);
        all.happened("firstAcquiredAt", *first_acquired_at);
        all.happened("updatedAt", *updated_at);
    }
}

impl Export<'_> {
    pub(super) async fn collections(&mut self, wanted: bool) -> Result<()> {
        let rewards = sql::all::<reward::Model>(self.transaction, "t.collection_id").await?;
        let mut rewards: HashMap<i64, reward::Model> =
            rewards.into_iter().map(|row| (row.collection_id, row)).collect();
        each!(self, collection::Model, "true", row => {
            self.keys.note(Kind::Collection, row.id, &row.key);
            let reward = rewards.remove(&row.id).map(|reward| Reward {
                key: reward.key,
                name: reward.name,
                image: reward.image,
                description: reward.description,
                value: reward.value,
                view_type: reward.view_type,
                stock: reward.stock,
                claimed: reward.claimed,
            });
            wanted.then_some(Record::Collection(Collection {
                key: row.key,
                name: row.name,
                description: row.description,
                image: row.image,
                environment: row.environment,
                starts_at: row.starts_at.map(At),
                ends_at: row.ends_at.map(At),
                show_before: row.show_before,
                show_after: row.show_after,
                reward,
                retired_at: row.retired_at.map(At),
                created_at: at(row.created_at),
                updated_at: at(row.updated_at),
            }))
        });
        each!(self, card::Model, "true", row => {
            self.keys.note(Kind::Card, row.id, &row.key);
            wanted.then_some(Record::Card(Card {
                collection: self.keys.of(Kind::Collection, row.collection_id)?,
                key: row.key,
                position: row.position,
                name: row.name,
                image: row.image,
                rarity: row.rarity,
                retired_at: row.retired_at.map(At),
            }))
        });
        Ok(())
    }

    pub(super) async fn collections_of(&mut self, users: &Users) -> Result<()> {
        each_of!(self, users, collection_progress::Model, collection_id, row => {
            Some(Record::CollectionProgress(CollectionProgress {
                user: users.ulid(row.user_id)?,
                collection: self.keys.of(Kind::Collection, row.collection_id)?,
                completed_at: row.completed_at.map(At),
                completed_told: row.completed_told,
                reward_claimed_at: row.reward_claimed_at.map(At),
                updated_at: at(row.updated_at),
            }))
        });
        each_of!(self, users, owned_card::Model, card_id, row => Some(Record::OwnedCard(OwnedCard {
            user: users.ulid(row.user_id)?,
            collection: None,
            card: self.keys.of(Kind::Card, row.card_id)?,
            quantity: row.quantity,
            first_acquired_at: at(row.first_acquired_at),
            updated_at: at(row.updated_at),
        })));
        Ok(())
    }
}

/// Takes collections and their cards.
pub(super) async fn take_catalogue(work: &mut Work<'_>) -> Result<()> {
    take!(work, Collection, take_collections, told_collection);
    take!(work, Card, take_cards, told_card);
    Ok(())
}

fn told_collection(record: &Collection, has_history: bool) -> (UpsertCollection, i64, Telling) {
    let reward = record.reward.as_ref().map(|reward| GivenReward {
        key: reward.key.clone(),
        name: Some(reward.name.clone()),
        description: Some(reward.description.clone()),
        image: Some(reward.image.clone()),
        value: Some(reward.value.clone()),
        view_type: Some(reward.view_type.clone()),
        stock: Some(reward.stock),
    });
    let collection = UpsertCollection {
        operator: OPERATOR,
        key: record.key.clone(),
        name: Some(record.name.clone()),
        description: Some(record.description.clone()),
        image: Some(record.image.clone()),
        environment: Some(record.environment.clone()),
        starts_at: Some(record.starts_at.map(|at| at.0)),
        ends_at: Some(record.ends_at.map(|at| at.0)),
        show_before: Some(record.show_before),
        show_after: Some(record.show_after),
        retired: retired(record.retired_at),
        cards: Vec::new(),
        remove_cards: Vec::new(),
        reward: reward.map(Some),
    };
    let claimed = record.reward.as_ref().map_or(0, |reward| reward.claimed);
    (collection, claimed, telling(has_history, record.created_at, record.updated_at))
}

fn told_card(record: &Card, has_history: bool) -> (&str, GivenCard, Telling) {
    let card = GivenCard {
        key: record.key.clone(),
        position: Some(record.position),
        name: Some(record.name.clone()),
        image: Some(record.image.clone()),
        rarity: Some(record.rarity.clone()),
        retired: retired(record.retired_at),
    };
    (&record.collection, card, telling(has_history, None, None))
}

/// Takes cards and what is known of collections.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let progress = work.items(only!(CollectionProgress));
    let cards = work.items(only!(OwnedCard));
    if progress.is_empty() && cards.is_empty() {
        return Ok(());
    }
    let told_progress: Vec<_> = progress
        .iter()
        .map(|Item { user, record, origin, .. }| ToldProgress {
            user: *user,
            collection: &record.collection,
            completion: Completion {
                at: record.completed_at.map(|at| at.0),
                told: record.completed_told || *origin == Origin::Told,
            },
            reward_claimed_at: record.reward_claimed_at.map(|at| at.0),
            updated_at: record.updated_at.map(|at| at.0),
            origin: *origin,
        })
        .collect();
    let told_cards: Vec<_> = cards
        .iter()
        .map(|Item { user, record, origin, .. }| ToldCard {
            user: *user,
            card: &record.card,
            quantity: record.quantity,
            first_acquired_at: record.first_acquired_at.map(|at| at.0),
            updated_at: record.updated_at.map(|at| at.0),
            origin: *origin,
        })
        .collect();
    let (of_progress, of_cards) = take_told(&mut work.unit, &told_progress, &told_cards).await?;
    work.note(progress.iter().map(|item| item.at).zip(of_progress));
    work.note(cards.iter().map(|item| item.at).zip(of_cards));
    Ok(())
}
