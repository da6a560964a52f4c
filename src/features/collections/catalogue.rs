//! The collections and cards that operators define, in memory.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::entity::{card, collection, reward};
use super::repo;
use super::rules::Window;
use waymark_db::catalogue::{Part, Source};
use waymark_kernel::error::Result;

/// A card of a collection.
pub type Card = card::Model;

/// A collection with its cards and reward.
#[derive(Debug)]
pub struct Collection {
    /// The collection itself as it is stored.
    pub row: collection::Model,
    /// Those that count, which one that is retired does not, in their order.
    pub cards: Vec<Arc<Card>>,
    /// Retired ones too.
    pub all_cards: Vec<Arc<Card>>,
    /// The reward for completing the collection; `None` when there is none.
    pub reward: Option<reward::Model>,
}

impl Collection {
    /// When it runs and when it is shown.
    pub const fn window(&self) -> Window {
        Window {
            starts_at: self.row.starts_at,
            ends_at: self.row.ends_at,
            show_before: self.row.show_before,
            show_after: self.row.show_after,
        }
    }

    /// How many distinct cards it has, without retired ones.
    pub fn size(&self) -> i32 {
        i32::try_from(self.cards.len()).unwrap_or(i32::MAX)
    }
}

/// All collections.
#[derive(Debug)]
pub struct Collections {
    /// In the order in which they were added.
    collections: Vec<Arc<Collection>>,
    by_key: HashMap<String, Arc<Collection>>,
    by_id: HashMap<i64, Arc<Collection>>,
    cards: HashMap<String, Arc<Card>>,
    retired_cards: HashSet<i64>,
}

impl Collections {
    /// Returns the collection with the operator's key `key`; `None`: there is none.
    pub fn by_key(&self, key: &str) -> Option<&Arc<Collection>> {
        self.by_key.get(key)
    }

    /// Returns the collection with this internal id; `None`: there is none.
    pub fn by_id(&self, id: i64) -> Option<&Arc<Collection>> {
        self.by_id.get(&id)
    }

    /// Returns the card with the operator's key `key`, of any collection; `None`: there is none.
    pub fn card(&self, key: &str) -> Option<&Arc<Card>> {
        self.cards.get(key)
    }

    /// Tells whether the card with this internal id counts for its collection: whether it is not retired.
    pub fn counts(&self, card: i64) -> bool {
        !self.retired_cards.contains(&card)
    }

    /// Returns all collections in the order in which they were added.
    pub fn all(&self) -> &[Arc<Collection>] {
        &self.collections
    }
}

impl Part for Collections {
    async fn read(source: &Source) -> Result<Self> {
        let mut rewards = repo::rewards(source).await?;
        let mut of_collection: HashMap<i64, Vec<Arc<Card>>> = HashMap::new();
        let (mut cards, mut retired_cards) = (HashMap::new(), HashSet::new());
        for card in repo::cards(source).await? {
            let card = Arc::new(card);
            cards.insert(card.key.clone(), Arc::clone(&card));
            retired_cards.extend(card.retired_at.map(|_| card.id));
            of_collection.entry(card.collection_id).or_default().push(card);
        }
        let collections: Vec<Arc<Collection>> = repo::collections(source)
            .await?
            .into_iter()
            .map(|row| {
                let all_cards = of_collection.remove(&row.id).unwrap_or_default();
                Arc::new(Collection {
                    cards: all_cards.iter().filter(|card| card.retired_at.is_none()).cloned().collect(),
                    all_cards,
                    reward: rewards.remove(&row.id),
                    row,
                })
            })
            .collect();
        let by_key = collections.iter().map(|one| (one.row.key.clone(), Arc::clone(one))).collect();
        let by_id = collections.iter().map(|one| (one.row.id, Arc::clone(one))).collect();
        Ok(Self { collections, by_key, by_id, cards, retired_cards })
    }
}
