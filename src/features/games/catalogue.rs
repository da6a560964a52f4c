//! The games and achievements that operators define, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use super::entity::AchievementKind;
use super::repo;
use super::rules::{AchievementFacts, Unlock};
use crate::clock::Timestamp;
use crate::db::catalogue::{Part, Source};
use crate::error::Result;

/// A game with its achievements.
#[derive(Debug)]
pub(crate) struct Game {
    pub(crate) id: i64,
    pub(crate) key: String,
    pub(crate) number: Option<i64>,
    pub(crate) title: String,
    /// What a search looks in.
    pub(crate) title_in_lower_case: String,
    pub(crate) platform: Option<String>,
    pub(crate) description: String,
    pub(crate) image: Option<String>,
    pub(crate) created_at: Timestamp,
    /// How many published achievements there are, and their points.
    pub(crate) num_possible: i32,
    pub(crate) possible_score: i32,
    /// Published ones, in their order.
    pub(crate) achievements: Vec<Arc<Achievement>>,
}

impl Game {
    /// The published achievements with a player's unlocks.
    pub(crate) fn facts(&self, unlock: impl Fn(i64) -> Option<Unlock>) -> Vec<AchievementFacts> {
        let facts = self.achievements.iter().map(|achievement| {
            let unlock = unlock(achievement.id);
            AchievementFacts {
                id: achievement.id,
                kind: achievement.kind.into(),
                points: achievement.points,
                published: true,
                unlocked_at: unlock.map(|unlock| unlock.unlocked_at),
                unlocked_hardcore_at: unlock.and_then(|unlock| unlock.unlocked_hardcore_at),
            }
        });
        facts.collect()
    }
}

/// An achievement.
#[derive(Debug)]
pub(crate) struct Achievement {
    pub(crate) id: i64,
    pub(crate) key: String,
    pub(crate) game_id: i64,
    pub(crate) position: i32,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) badge: Option<String>,
    pub(crate) points: i32,
    pub(crate) kind: AchievementKind,
    /// Whether it can be unlocked and counts.
    pub(crate) published: bool,
}

/// All games.
#[derive(Debug)]
pub(crate) struct Games {
    /// In the order in which they were created.
    games: Vec<Arc<Game>>,
    by_id: HashMap<i64, Arc<Game>>,
    by_key: HashMap<String, Arc<Game>>,
    by_number: HashMap<i64, Arc<Game>>,
    /// Unpublished ones too.
    achievements: HashMap<String, Arc<Achievement>>,
}

impl Games {
    pub(crate) fn by_key(&self, key: &str) -> Option<&Arc<Game>> {
        self.by_key.get(key)
    }

    pub(crate) fn by_id(&self, id: i64) -> Option<&Arc<Game>> {
        self.by_id.get(&id)
    }

    pub(crate) fn by_number(&self, number: i64) -> Option<&Arc<Game>> {
        self.by_number.get(&number)
    }

    /// The published achievement of this key.
    pub(crate) fn achievement(&self, key: &str) -> Option<&Arc<Achievement>> {
        self.any_achievement(key).filter(|achievement| achievement.published)
    }

    /// The achievement of this key, also one that is not published, or not any more.
    pub(crate) fn any_achievement(&self, key: &str) -> Option<&Arc<Achievement>> {
        self.achievements.get(key)
    }

    pub(crate) fn all(&self) -> &[Arc<Game>] {
        &self.games
    }
}

impl Part for Games {
    async fn read(source: &Source) -> Result<Self> {
        let mut of_game: HashMap<i64, Vec<Arc<Achievement>>> = HashMap::new();
        let mut achievements = HashMap::new();
        for achievement in repo::all_achievements(source).await? {
            let achievement = Arc::new(achievement);
            achievements.insert(achievement.key.clone(), Arc::clone(&achievement));
            if achievement.published {
                of_game.entry(achievement.game_id).or_default().push(achievement);
            }
        }
        let games: Vec<Arc<Game>> = repo::games(source)
            .await?
            .into_iter()
            .map(|game| {
                let achievements = of_game.remove(&game.id).unwrap_or_default();
                Arc::new(Game {
                    id: game.id,
                    key: game.key,
                    number: game.number,
                    title_in_lower_case: game.title.to_lowercase(),
                    title: game.title,
                    platform: game.platform,
                    description: game.description,
                    image: game.image,
                    created_at: game.created_at,
                    num_possible: i32::try_from(achievements.len()).unwrap_or(i32::MAX),
                    possible_score: achievements.iter().fold(0, |sum, one| sum.saturating_add(one.points)),
                    achievements,
                })
            })
            .collect();
        let by_id = games.iter().map(|game| (game.id, Arc::clone(game))).collect();
        let by_key = games.iter().map(|game| (game.key.clone(), Arc::clone(game))).collect();
        let by_number = games.iter().filter_map(|game| Some((game.number?, Arc::clone(game)))).collect();
        Ok(Self { games, by_id, by_key, by_number, achievements })
    }
}
