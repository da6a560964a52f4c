//! Games in GraphQL.

use std::sync::Arc;

use async_graphql::{Context, Enum, ID, Object, SimpleObject};

pub use super::entity::AchievementKind;
use super::rules;
pub use super::rules::Award;
use super::service::{self, Listed, Sorted, Summary};
use super::{Achievement as StoredAchievement, Game as StoredGame, Games};
use waymark_auth::policy::VisibleUser;
use waymark_db::Extent;
use waymark_graphql_kit::context::{Nullable, nullable};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::pagination::{Connection, PageArgs};
use waymark_graphql_kit::plan::{Plain, Ready, object};
use waymark_graphql_kit::search::Search;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_request::{Ask as _, Request};
use waymark_vocabulary::ids;
use waymark_vocabulary::progress;
use waymark_vocabulary::progress::{ProgressKind, ProgressState};
use waymark_write::Event;

/// A game with achievements.
#[derive(Debug, Clone)]
pub struct Game(pub Arc<StoredGame>);

/// A game with achievements that players unlock.
#[object]
impl Game {
    /// The global id: `game:<key>`.
    pub async fn id(&self) -> ID {
        ids::Kind::Game.id(&self.0.key)
    }

    /// The operator's own key of the game, unique among games.
    async fn key(&self) -> &str {
        &self.0.key
    }

    /// The number under which clients that know games by numbers find it. Null when it has none.
    async fn number(&self) -> Option<i32> {
        self.0.number.and_then(|number| i32::try_from(number).ok())
    }

    /// The game's title.
    async fn title(&self) -> &str {
        &self.0.title
    }

    /// What the game is played on. Null when the operator has not given it.
    async fn platform(&self) -> Option<&str> {
        self.0.platform.as_deref()
    }

    /// A description for people; may be empty.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// Where a picture of the game is. Null when it has none.
    async fn image(&self) -> Option<&str> {
        self.0.image.as_deref()
    }

    /// When the game was added to the catalogue.
    async fn created_at(&self) -> Timestamp {
        self.0.created_at
    }

    /// When the game was retired: it is no longer listed and takes no new progress. Null when it is not retired.
    async fn retired_at(&self) -> Option<Timestamp> {
        self.0.retired_at
    }

    /// How many published achievements the game has.
    async fn num_possible(&self) -> i32 {
        self.0.num_possible
    }

    /// The points of all published achievements together.
    async fn possible_score(&self) -> i32 {
        self.0.possible_score
    }

    /// The published achievements, in the order the operator gave them.
    async fn achievements(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many achievements from the start, 1 to 100; 20 when neither this nor last is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only achievements behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many achievements from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only achievements before this cursor.")] before: Option<String>,
    ) -> Result<Connection<Achievement>> {
        let page = PageArgs { first, after, last, before }.check("achievements", context.ask()?)?;
        Ok(page.of_list(self.0.achievements.iter().cloned(), place).map(Achievement))
    }
}

/// An achievement of a game.
#[derive(Debug, Clone)]
pub struct Achievement(pub Arc<StoredAchievement>);

/// Something to achieve in a game. Only published achievements are shown and count.
#[object]
impl Achievement {
    /// The global id: `achievement:<key>`.
    pub async fn id(&self) -> ID {
        ids::Kind::Achievement.id(&self.0.key)
    }

    /// The operator's own key of the achievement, unique among achievements.
    async fn key(&self) -> &str {
        &self.0.key
    }

    /// The achievement's title.
    async fn title(&self) -> &str {
        &self.0.title
    }

    /// What has to be done; may be empty.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// Where the badge of the achievement is. Null when it has none.
    async fn badge(&self) -> Option<&str> {
        self.0.badge.as_deref()
    }

    /// How many points it is worth; 0 or more.
    async fn points(&self) -> i32 {
        self.0.points
    }

    /// What it means for beating the game.
    async fn kind(&self) -> AchievementKind {
        self.0.kind
    }

    /// The game it belongs to. Null only while the catalogue is being changed.
    async fn game(&self, context: &Context<'_>) -> Result<Option<Game>> {
        Ok(context.ask()?.catalogue::<Games>()?.by_id(self.0.game_id).cloned().map(Game))
    }
}

impl From<Award> for Listed {
    fn from(award: Award) -> Self {
        match award {
            Award::Beaten => Self::Beaten,
            Award::BeatenHardcore => Self::BeatenHardcore,
            Award::Completed => Self::Completed,
            Award::Mastered => Self::Mastered,
        }
    }
}

/// An award with the day it was earned. Awards are kept when a game gets new achievements.
#[derive(Debug, Clone, Copy, Plain, SimpleObject)]
pub struct EarnedAward {
    /// Which award.
    award: Award,
    /// When it was earned.
    earned_at: Timestamp,
}

/// An award that a write earned.
#[derive(Debug, Plain, SimpleObject)]
pub struct NewAward {
    /// The game it was earned in.
    game: Game,
    /// Which award.
    award: Award,
    /// When it was recorded.
    recorded_at: Timestamp,
}

impl NewAward {
    /// The award that an event of the user's history tells of; `None` when the catalogue has lost the game.
    pub fn told_by(event: &Event, games: &Games) -> Option<Self> {
        let game = Game(Arc::clone(games.by_key(&event.subject_key)?));
        let changes: serde_json::Value = serde_json::from_str(&event.changes).ok()?;
        let name = changes.get("award")?.as_str()?;
        let award = Award::ALL.into_iter().find(|award| award.as_str() == name)?;
        Some(Self { game, award, recorded_at: event.recorded_at })
    }
}

/// How a user's games are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum GameSummaryOrder {
    /// The game in which something was unlocked last comes first.
    LastUnlocked,
    /// The game with the highest score comes first.
    Score,
}

impl GameSummaryOrder {
    /// The sort order, and the name of the list it makes.
    pub const fn sorted(self) -> (Sorted, &'static str) {
        match self {
            Self::LastUnlocked => (Sorted::LastUnlocked, "played-by-date"),
            Self::Score => (Sorted::Score, "played-by-score"),
        }
    }
}

/// What a user achieved in a game.
#[derive(Debug)]
pub struct GameSummary(pub Summary);

impl GameSummary {
    fn is_complete(&self) -> bool {
        self.0.game.num_possible > 0 && self.0.achieved.score.num_achieved >= self.0.game.num_possible
    }

    /// Loads what a user achieved in the games of these keys; unknown ones are left out.
    pub async fn of(
        request: &Request,
        user: &VisibleUser,
        keys: impl IntoIterator<Item = &str>,
    ) -> Result<List<Ready<Self>>> {
        let summaries = service::summaries(request, &[user], keys, Extent::All).await?;
        Ok(summaries.into_iter().flatten().flatten().map(Self).map(Ready).collect())
    }
}

/// What a user achieved in a game. Each achievement counts once; unlocked in hardcore mode, it counts as unlocked too.
#[object]
impl GameSummary {
    /// The global id: `game_summary:<the user's ULID>:<the game's key>`.
    #[main]
    pub async fn id(&self) -> ID {
        ids::Kind::GameSummary.id_of(self.0.user.ulid(), &self.0.game.key)
    }

    /// Always GAME.
    #[main]
    pub async fn kind(&self) -> ProgressKind {
        ProgressKind::Game
    }

    /// The game's title.
    #[main]
    pub async fn title(&self) -> &str {
        &self.0.game.title
    }

    /// How many achievements are unlocked; the same as `numAchieved`.
    #[main]
    pub async fn done(&self) -> i32 {
        self.0.achieved.score.num_achieved
    }

    /// How many achievements there are; the same as `numPossible`.
    #[main]
    pub async fn total(&self) -> i32 {
        self.0.game.num_possible
    }

    /// `done` out of `total`, from 0 to 1; 0 when the game has no achievements.
    #[main]
    pub async fn ratio(&self) -> f64 {
        progress::ratio(self.0.achieved.score.num_achieved, self.0.game.num_possible)
    }

    /// COMPLETED when every published achievement is unlocked.
    #[main]
    pub async fn state(&self) -> ProgressState {
        progress::state(self.0.achieved.score.num_achieved, self.is_complete())
    }

    /// When all achievements were unlocked for the first time. Null while one is locked, also one that is new; the
    /// award that was earned before stays in `awards`.
    pub async fn completed_at(&self) -> Option<Timestamp> {
        self.0.achieved.awards.completed.filter(|_| self.is_complete())
    }

    /// The game.
    #[main]
    async fn game(&self) -> Ready<Game> {
        Ready(Game(Arc::clone(&self.0.game)))
    }

    /// How many published achievements the game has.
    #[main]
    async fn num_possible(&self) -> i32 {
        self.0.game.num_possible
    }

    /// The points of all published achievements together.
    #[main]
    async fn possible_score(&self) -> i32 {
        self.0.game.possible_score
    }

    /// How many achievements the user unlocked, in hardcore mode or not.
    #[main]
    async fn num_achieved(&self) -> i32 {
        self.0.achieved.score.num_achieved
    }

    /// The points of the unlocked achievements.
    #[main]
    async fn score_achieved(&self) -> i32 {
        self.0.achieved.score.score_achieved
    }

    /// How many achievements the user unlocked in hardcore mode.
    #[main]
    async fn num_achieved_hardcore(&self) -> i32 {
        self.0.achieved.score.num_achieved_hardcore
    }

    /// The points of the achievements unlocked in hardcore mode.
    #[main]
    async fn score_achieved_hardcore(&self) -> i32 {
        self.0.achieved.score.score_achieved_hardcore
    }

    /// When the user first unlocked something in the game. Null when nothing is unlocked.
    async fn first_unlocked_at(&self) -> Option<Timestamp> {
        self.0.achieved.first_unlocked_at
    }

    /// When the user last unlocked something in the game. Null when nothing is unlocked.
    async fn last_unlocked_at(&self) -> Option<Timestamp> {
        self.0.achieved.last_unlocked_at
    }

    /// The highest award the user earned in the game. Null when none.
    async fn highest_award(&self) -> Option<EarnedAward> {
        rules::highest(&self.0.achieved.awards).map(|(award, earned_at)| EarnedAward { award, earned_at })
    }

    /// Every award the user earned in the game, the highest first.
    async fn awards(&self) -> List<EarnedAward> {
        let awards = self.0.achieved.awards;
        [
            (Award::Mastered, awards.mastered),
            (Award::Completed, awards.completed),
            (Award::BeatenHardcore, awards.beaten_hardcore),
            (Award::Beaten, awards.beaten),
        ]
        .into_iter()
        .filter_map(|(award, earned_at)| earned_at.map(|earned_at| EarnedAward { award, earned_at }))
        .collect()
    }

    /// The game's achievements in the operator's order, each with what the user made of it. Null when they could not
    /// be loaded.
    async fn achievements(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many achievements from the start, 1 to 100; 20 when neither this nor last is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only achievements behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many achievements from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only achievements before this cursor.")] before: Option<String>,
    ) -> Nullable<Connection<AchievementProgress>> {
        nullable(async {
            let request = context.ask()?;
            let page = PageArgs { first, after, last, before }.check("unlocks", request)?;
            let unlocks = service::unlocks(request, &self.0.user, &self.0.game).await?;
            let achievements = self.0.game.achievements.iter().cloned();
            Ok(Some(page.of_list(achievements, place).map(|achievement| {
                let unlock = unlocks.iter().find(|unlock| unlock.achievement_id == achievement.id);
                AchievementProgress {
                    unlocked_at: unlock.map(|unlock| unlock.unlocked_at),
                    unlocked_hardcore_at: unlock.and_then(|unlock| unlock.unlocked_hardcore_at),
                    achievement: Achievement(achievement),
                }
            })))
        })
        .await
    }
}

/// Where an achievement stands in its game.
fn place(achievement: &Arc<StoredAchievement>) -> (i64, i64) {
    (achievement.position.into(), achievement.id)
}

/// A user's progress with an achievement.
#[derive(Debug, Plain, SimpleObject)]
pub struct AchievementProgress {
    /// The achievement.
    achievement: Achievement,
    /// When it was unlocked, in hardcore mode or not. Null when it is locked.
    unlocked_at: Option<Timestamp>,
    /// When it was unlocked in hardcore mode. Null when it was not.
    unlocked_hardcore_at: Option<Timestamp>,
}

/// The games of the catalogue.
#[derive(Debug, Default)]
pub struct GameQuery;

#[Object]
impl GameQuery {
    /// The game with this id. Null when the catalogue has none.
    async fn game(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The game's global id or its key.")] id: ID,
    ) -> Nullable<Game> {
        nullable(async {
            let key = ids::Kind::Game.key(&id)?;
            Ok(context.ask()?.catalogue::<Games>()?.by_key(key).cloned().map(Game))
        })
        .await
    }

    /// The games of the catalogue, in the order in which they were added; retired ones for API keys with the scope
    /// admin only.
    #[allow(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn games(
        &self,
        context: &Context<'_>,
        #[graphql(
            desc = "Only games whose title contains this text of at most 200 characters; upper and lower case are the same."
        )]
        search: Option<String>,
        #[graphql(desc = "How many games from the start, 1 to 100; 20 when neither this nor last is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only games behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many games from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only games before this cursor.")] before: Option<String>,
    ) -> Result<Connection<Game>> {
        let request = context.ask()?;
        let page = PageArgs { first, after, last, before }.check("games", request)?;
        let search = Search::of(search)?;
        let found = service::listed(request)?.filter(|game| search.finds(&game.title_in_lower_case));
        Ok(page.of_list(found.cloned(), |game| (game.id, 0)).map(Game))
    }
}
