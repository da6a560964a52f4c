//! The closed lists that name every kind of progress. A new kind adds its names to each that it joins, here and nowhere
//! else in this room.

use async_graphql::Enum;
use serde::{Deserialize, Serialize};

/// The type part of a global id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[graphql(rename_items = "snake_case")]
pub enum Kind {
    /// A person whose progress is recorded; the key is the ULID.
    User,
    /// A stretch of time in which goals can be reached.
    Season,
    /// What users can reach in a season, step by step.
    Goal,
    /// What can be learned from, such as a course.
    Resource,
    /// An ordered list of resources.
    StudyPlan,
    /// A user's own copy of a study plan: the user's ULID and the 24-digit id.
    StudyPlanInstance,
    /// What is played, with its achievements.
    Game,
    /// What can be unlocked in a game.
    Achievement,
    /// A set of cards to be completed.
    Collection,
    /// What users own of a collection.
    Card,
    /// How far a user is with a goal: the user's ULID and the goal's key.
    GoalProgress,
    /// How far a user is with a resource: the user's ULID and the resource's key.
    ResourceProgress,
    /// What a user achieved in a game: the user's ULID and the game's key.
    GameSummary,
    /// How far a user is with a collection: the user's ULID and the collection's key.
    CollectionProgress,
}

impl Kind {
    /// Whether its ids name a user before the key.
    pub(crate) const fn is_of_users(self) -> bool {
        matches!(
            self,
            Self::StudyPlanInstance
                | Self::GoalProgress
                | Self::ResourceProgress
                | Self::GameSummary
                | Self::CollectionProgress
        )
    }
}

/// What kind of thing the progress is made in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Enum)]
pub enum ProgressKind {
    /// A goal of a season; counted in steps.
    Goal,
    /// An instance of a study plan; counted in resources.
    StudyPlan,
    /// A learning resource; counted in percent.
    Resource,
    /// A game; counted in achievements.
    Game,
    /// A collection; counted in distinct cards.
    Collection,
}

/// What happened in an event of a user's history. Clients may rely on these names; new ones may be added.
///
/// Every event names its subject, and carries in `changes` a small JSON object, which is given here for each kind.
/// Amounts of credits are decimal strings (`"2.5"`), instants RFC 3339. Nothing personal stands in it (no handle, no
/// account's id, no notes), so that erasing a user leaves the history as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[graphql(name = "ProgressEventKind")]
pub enum HistoryKind {
    /// The user was created. Subject: the user. `{}`.
    UserCreated,
    /// The user's handle, name, picture or visibility changed. Subject: the user. `{"visibility": "PUBLIC"}`, or
    /// `{"handle": true}` for what is personal.
    ProfileChanged,
    /// An account was linked. Subject: the user. `{"provider": "discord"}`.
    AccountLinked,
    /// An account was taken away. Subject: the user. `{"provider": "discord"}`.
    AccountUnlinked,
    /// The user takes part in a season. Subject: the season. `{}`.
    Enrolled,
    /// Steps of a goal were done. Subject: the goal. `{"added": 2, "completedSteps": 3, "totalSteps": 5}`.
    GoalSteps,
    /// An operator corrected the steps of a goal. Subject: the goal. `{"completedSteps": 1, "totalSteps": 5}`.
    GoalStepsCorrected,
    /// The last step of a goal was done. Subject: the goal. `{"totalSteps": 5}`.
    GoalCompleted,
    /// The reward of a goal was claimed. Subject: the goal. `{"credits": "5", "lot": 3}`, without a lot when the reward
    /// is nothing.
    GoalClaimed,
    /// Credits were granted otherwise than by a claim. Subject: the user. `{"credits": "10", "lot": 4}`, and
    /// `"expiresAt"` where they expire.
    CreditsGranted,
    /// Credits were spent. Subject: the user. `{"credits": "2.5"}`.
    CreditsSpent,
    /// Credits were taken away. Subject: the user. `{"credits": "2.5"}`.
    CreditsRevoked,
    /// The user was blocked. Subject: the user. `{"block": 1, "scope": "CLAIM"}`.
    Blocked,
    /// A block was lifted. Subject: the user. `{"block": 1, "scope": "CLAIM"}`.
    BlockLifted,
    /// Something about a resource changed other than its completion. Subject: the resource. `{"progress": 40}`,
    /// `{"timeSpentMinutes": 90}`, `{"notes": true}` or several of these.
    ResourceProgress,
    /// A resource was completed. Subject: the resource. `{}`, or `{"instance": 2}` when through an instance.
    ResourceCompleted,
    /// A resource is no longer complete. Subject: the resource. `{}`.
    ResourceReopened,
    /// The user began an instance of a study plan. Subject: the study plan. `{"instance": 2, "resources": 7}`.
    InstanceCreated,
    /// An instance of a study plan was renamed or brought up to date with its plan. Subject: the study plan.
    /// `{"instance": 2}`.
    InstanceChanged,
    /// An instance of a study plan was given up. Subject: the study plan. `{"instance": 2}`.
    InstanceDeleted,
    /// An achievement was unlocked, or unlocked again in hardcore mode. Subject: the achievement.
    /// `{"game": "14402", "hardcore": true, "points": 10}`.
    AchievementUnlocked,
    /// An operator took an unlock back. Subject: the achievement. `{"game": "14402", "hardcoreOnly": true}`.
    AchievementRelocked,
    /// An award of a game was earned. Subject: the game. `{"award": "MASTERED"}`.
    AwardEarned,
    /// The user got cards. Subject: the collection. `{"cards": {"snowflake": 1}, "collectedCount": 3}`.
    CardsGranted,
    /// An operator took cards away. Subject: the collection. `{"cards": {"snowflake": 1}, "collectedCount": 2}`.
    CardsRevoked,
    /// The user got the last missing card of a collection. Subject: the collection. `{"size": 10}`.
    CollectionCompleted,
    /// The reward of a collection was claimed. Subject: the collection. `{"reward": "winter-crown"}`.
    RewardClaimed,
    /// Another user was merged into this one, or this one into another; closes the history of the latter. Subject: the
    /// other user. `{"into": true}` in the history that closes, `{"into": false}` in the survivor's.
    Merged,
    /// The user's personal data was erased. Subject: the user. `{}`.
    Erased,
}

/// Why something was refused. New codes may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum UserErrorCode {
    /// A value is out of its range or malformed; the message says what would be right.
    InvalidInput,
    /// The date lies in the future, or further back than this server allows.
    DateOutOfRange,
    /// There is no such user.
    UnknownUser,
    /// There is no such season.
    UnknownSeason,
    /// There is no such goal.
    UnknownGoal,
    /// There is no such resource, and this server keeps progress for known ones only.
    UnknownResource,
    /// There is no such study plan.
    UnknownStudyPlan,
    /// The user has no such instance of a study plan.
    UnknownStudyPlanInstance,
    /// There is no such game.
    UnknownGame,
    /// There is no such published achievement.
    UnknownAchievement,
    /// There is no such collection.
    UnknownCollection,
    /// There is no such card.
    UnknownCard,
    /// The user has no such block in force.
    UnknownBlock,
    /// The user has no such lot of credits, and no grant of this `ref`.
    UnknownCreditLot,
    /// There is no such API key.
    UnknownApiKey,
    /// The handle belongs to another user.
    HandleTaken,
    /// The account belongs to another user.
    AccountTaken,
    /// The key belongs to something else of the same type.
    KeyTaken,
    /// What was to be removed is still in use.
    InUse,
    /// It was retired, and takes no new progress.
    Retired,
    /// The user has as many of these as one user may have.
    TooMany,
    /// The user does not take part in the season.
    NotEnrolled,
    /// The season has not begun.
    SeasonNotStarted,
    /// The season is paused.
    SeasonPaused,
    /// The season is not paused.
    SeasonNotPaused,
    /// The season is over.
    SeasonEnded,
    /// The season would overlap with another one.
    SeasonOverlap,
    /// The goal's week is still to come.
    WeekNotStarted,
    /// The goal's week is over.
    WeekOver,
    /// Not answered any more: `setTo` below what is done changes nothing and is UNCHANGED.
    #[graphql(deprecation = "Use `WriteStatus.UNCHANGED` instead; gone from 2027-12-31 on.")]
    StepsWouldLower,
    /// The goal is not complete.
    GoalIncomplete,
    /// The reward was claimed before. Nothing is wrong: the amount is the same.
    AlreadyClaimed,
    /// The user is blocked from this.
    Blocked,
    /// The budget of the season or of the week does not cover the reward.
    BudgetExhausted,
    /// The user has fewer credits available.
    InsufficientCredits,
    /// The collection is not complete.
    CollectionIncomplete,
    /// The collection has no reward.
    NoReward,
    /// All rewards in stock have been claimed.
    OutOfStock,
    /// The user owns fewer cards than were to be removed.
    NotEnoughCards,
    /// The item itself is good, but another item was refused, and the mode is ALL_OR_NOTHING.
    NotApplied,
}
