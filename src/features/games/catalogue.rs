//! The games and achievements that operators define, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use super::entity::AchievementKind;
use super::repo;
use super::rules::{AchievementFacts, Unlock};
use waymark_db::catalogue::{Part, Source};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;

/// A game with its achievements.
#[derive(Debug)]
pub struct Game {
    /// The internal id, which never leaves the database.
    pub id: i64,
    /// The operator's key of the game.
    pub key: String,
    /// The number by which some dialects know the game; `None`: it has none.
    pub number: Option<i64>,
    /// The title for people.
    pub title: String,
    /// What a search looks in.
    pub title_in_lower_case: String,
    /// What the game is played on; `None` when the operator has not given it.
    pub platform: Option<String>,
    /// The description for people; empty: none.
    pub description: String,
    /// The address of its picture; `None`: it has none.
    pub image: Option<String>,
    /// When the operator added the game.
    pub created_at: Timestamp,
    /// When it was retired; `None`: it is not.
    pub retired_at: Option<Timestamp>,
    /// How many published achievements there are, and their points.
    pub num_possible: i32,
    /// The points of the published achievements together.
    pub possible_score: i32,
    /// Published ones, in their order.
    pub achievements: Vec<Arc<Achievement>>,
}

impl Game {
    /// The published achievements with a player's unlocks.
    pub fn facts(&self, unlock: impl Fn(i64) -> Option<Unlock>) -> Vec<AchievementFacts> {
        let facts = self.achievements.iter().map(|achievement| {
            let unlock = unlock(achievement.id);
            AchievementFacts {
                id: achievement.id,
                kind: achievement.kind,
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
pub struct Achievement {
    /// The internal id, which never leaves the database.
    pub id: i64,
    /// The operator's key, unique among the achievements of all games.
    pub key: String,
    /// The internal id of the game it belongs to.
    pub game_id: i64,
    /// The place among the game's achievements, lowest first.
    pub position: i32,
    /// The title for people.
    pub title: String,
    /// What has to be done, for people; empty: nothing is said.
    pub description: String,
    /// The address of its picture; `None`: it has none.
    pub badge: Option<String>,
    /// What it adds to the score; 0 or more.
    pub points: i32,
    /// What it means for beating the game.
    pub kind: AchievementKind,
    /// Whether it can be unlocked and counts.
    pub published: bool,
}

/// All games.
#[derive(Debug)]
pub struct Games {
    /// In the order in which they were created.
    games: Vec<Arc<Game>>,
    by_id: HashMap<i64, Arc<Game>>,
    by_key: HashMap<String, Arc<Game>>,
    by_number: HashMap<i64, Arc<Game>>,
    /// Unpublished ones too.
    achievements: HashMap<String, Arc<Achievement>>,
}

impl Games {
    /// Returns the game with the operator's key `key`; `None`: there is none.
    pub fn by_key(&self, key: &str) -> Option<&Arc<Game>> {
        self.by_key.get(key)
    }

    /// Returns the game with this internal id; `None`: there is none.
    pub fn by_id(&self, id: i64) -> Option<&Arc<Game>> {
        self.by_id.get(&id)
    }

    /// Returns the game that dialects know by this number; `None`: there is none.
    pub fn by_number(&self, number: i64) -> Option<&Arc<Game>> {
        self.by_number.get(&number)
    }

    /// Returns the published achievement with the operator's key `key`; `None`: there is none.
    pub fn achievement(&self, key: &str) -> Option<&Arc<Achievement>> {
        self.any_achievement(key).filter(|achievement| achievement.published)
    }

    /// The achievement of this key, also one that is not published, or not any more.
    pub fn any_achievement(&self, key: &str) -> Option<&Arc<Achievement>> {
        self.achievements.get(key)
    }

    /// Returns all games in the order in which they were added.
    pub fn all(&self) -> &[Arc<Game>] {
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
                    retired_at: game.retired_at,
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
