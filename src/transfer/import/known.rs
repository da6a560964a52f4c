//! The catalogue as an import needs it: ids by keys.

use std::collections::HashMap;
use std::sync::Arc;

use crate::sql;
use waymark_collections::entity::{card, collection, reward};
use waymark_db::Transaction;
use waymark_db::catalogue::Snapshot;
use waymark_games::entity::{achievement, game};
use waymark_kernel::error::Result;
use waymark_learning::entity::plan;
use waymark_seasons::entity::{goal, season};

/// One state of the catalogue.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) version: i64,
    /// What features have in memory of it, as soon as somebody has asked for it.
    pub(super) snapshot: Option<Arc<Snapshot>>,
    pub(super) seasons: HashMap<String, i64>,
    pub(super) goals: HashMap<String, goal::Model>,
    pub(super) plans: HashMap<String, plan::Model>,
    pub(super) games: HashMap<String, i64>,
    pub(super) game_keys: HashMap<i64, String>,
    pub(super) achievements: HashMap<String, achievement::Model>,
    /// The keys of the achievements of each game.
    pub(super) of_game: HashMap<i64, Vec<String>>,
    pub(super) collections: HashMap<String, i64>,
    pub(super) collection_rows: HashMap<i64, collection::Model>,
    pub(super) cards: HashMap<String, card::Model>,
    /// How many cards each collection has.
    pub(super) sizes: HashMap<i64, i32>,
    /// The keys of rewards by collection.
    pub(super) rewards: HashMap<i64, String>,
}

impl Known {
    pub(super) async fn read(transaction: &Transaction, version: i64) -> Result<Self> {
        let mut known = Self { version, ..Self::default() };
        for row in sql::all::<season::Model>(transaction, "t.id").await? {
            known.put_season(&row);
        }
        for row in sql::all::<goal::Model>(transaction, "t.id").await? {
            known.put_goal(row);
        }
        for row in sql::all::<plan::Model>(transaction, "t.id").await? {
            known.put_plan(row);
        }
        for row in sql::all::<game::Model>(transaction, "t.id").await? {
            known.put_game(&row);
        }
        for row in sql::all::<achievement::Model>(transaction, "t.id").await? {
            known.put_achievement(row);
        }
        for row in sql::all::<collection::Model>(transaction, "t.id").await? {
            known.put_collection(row);
        }
        for row in sql::all::<card::Model>(transaction, "t.id").await? {
            known.put_card(row);
        }
        for row in sql::all::<reward::Model>(transaction, "t.collection_id").await? {
            known.rewards.insert(row.collection_id, row.key);
        }
        Ok(known)
    }

    pub(super) fn put_season(&mut self, row: &season::Model) {
        self.seasons.insert(row.key.clone(), row.id);
    }

    pub(super) fn put_goal(&mut self, row: goal::Model) {
        self.goals.insert(row.key.clone(), row);
    }

    pub(super) fn put_plan(&mut self, row: plan::Model) {
        self.plans.insert(row.key.clone(), row);
    }

    pub(super) fn put_game(&mut self, row: &game::Model) {
        self.games.insert(row.key.clone(), row.id);
        self.game_keys.insert(row.id, row.key.clone());
    }

    pub(super) fn put_achievement(&mut self, row: achievement::Model) {
        let (game, key) = (row.game_id, row.key.clone());
        if self.achievements.insert(key.clone(), row).is_none() {
            self.of_game.entry(game).or_default().push(key);
        }
    }

    pub(super) fn put_collection(&mut self, row: collection::Model) {
        self.collections.insert(row.key.clone(), row.id);
        self.collection_rows.insert(row.id, row);
    }

    pub(super) fn put_card(&mut self, row: card::Model) {
        let collection = row.collection_id;
        if self.cards.insert(row.key.clone(), row).is_none() {
            *self.sizes.entry(collection).or_default() += 1;
        }
    }

    /// The achievements of a game.
    pub(super) fn achievements_of(&self, game: i64) -> impl Iterator<Item = &achievement::Model> {
        let keys = self.of_game.get(&game).map(Vec::as_slice).unwrap_or_default();
        keys.iter().filter_map(|key| self.achievements.get(key))
    }

    /// The key of a game.
    pub(super) fn game_key(&self, game: i64) -> String {
        self.game_keys.get(&game).cloned().unwrap_or_default()
    }
}
