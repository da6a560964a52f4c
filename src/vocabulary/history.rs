//! What can happen in a user's history: the closed list of kinds of events, and what each of them tells.

use std::fmt;

use async_graphql::Enum;
use async_graphql::resolver_utils::EnumType as _;

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

impl HistoryKind {
    /// Returns all kinds.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::items().iter().map(|item| item.value)
    }

    /// Returns the name as it is stored and as clients see it, such as `GOAL_CLAIMED`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        // Every kind is one of the items.
        Self::items().iter().find(|item| item.value == self).map_or("", |item| item.name)
    }

    /// Reads a name as [`HistoryKind::as_str`] writes it; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::all().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for HistoryKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_is_written() {
        for kind in HistoryKind::all() {
            assert_eq!(HistoryKind::parse(kind.as_str()), Some(kind));
        }
        for text in ["", "goal_claimed", "GOAL_CLAIMED ", "Merged"] {
            assert_eq!(HistoryKind::parse(text), None, "{text:?}");
        }
    }
}
