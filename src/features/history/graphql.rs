//! History in GraphQL.

use async_graphql::{Enum, ID, SimpleObject};

use super::service::{self, Audited};
use waymark_graphql_kit::scalars::{BigInt, Unparsed};
use waymark_kernel::clock::Timestamp;
use waymark_write::{Event, HistoryKind as Kind};

/// What an event says happened. New kinds may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Kind")]
pub enum ProgressEventKind {
    /// The user was created.
    UserCreated,
    /// The user's handle, name, picture or visibility changed.
    ProfileChanged,
    /// An account was linked.
    AccountLinked,
    /// An account was taken away.
    AccountUnlinked,
    /// The user takes part in a season.
    Enrolled,
    /// Steps of a goal were done.
    GoalSteps,
    /// An operator corrected the steps of a goal.
    GoalStepsCorrected,
    /// The last step of a goal was done.
    GoalCompleted,
    /// The reward of a goal was claimed.
    GoalClaimed,
    /// Credits were granted otherwise than by a claim.
    CreditsGranted,
    /// Credits were spent.
    CreditsSpent,
    /// Credits were taken away.
    CreditsRevoked,
    /// The user was blocked.
    Blocked,
    /// A block was lifted.
    BlockLifted,
    /// Something about a resource changed other than its completion.
    ResourceProgress,
    /// A resource was completed.
    ResourceCompleted,
    /// A resource is no longer complete.
    ResourceReopened,
    /// The user began an instance of a study plan.
    InstanceCreated,
    /// An instance of a study plan was renamed or brought up to date with its plan.
    InstanceChanged,
    /// An instance of a study plan was given up.
    InstanceDeleted,
    /// An achievement was unlocked, or unlocked again in hardcore mode.
    AchievementUnlocked,
    /// An operator took an unlock back.
    AchievementRelocked,
    /// An award of a game was earned.
    AwardEarned,
    /// The user got cards.
    CardsGranted,
    /// An operator took cards away.
    CardsRevoked,
    /// The user got the last missing card of a collection.
    CollectionCompleted,
    /// The reward of a collection was claimed.
    RewardClaimed,
    /// Another user was merged into this one, or this one into another; closes the history of the latter.
    Merged,
    /// The user's personal data was erased.
    Erased,
}

/// One change that a user can see, from the user's history. Events are numbered per user without gaps, in the order in
/// which they were recorded, and never change.
#[derive(Debug, SimpleObject)]
pub struct ProgressEvent {
    /// Marks this event in the user's history: give it to `userProgress` as `after` to get everything that came later,
    /// or to `history` as `after` or `before`.
    cursor: String,
    /// The event's number in the user's history; the first is 1.
    number: BigInt,
    /// What happened. Null for a kind that this server does not know, recorded by a newer one.
    kind: Option<ProgressEventKind>,
    /// Who did it: `user:<ULID>`, `app:<name of the API key>` or `operator`.
    actor: String,
    /// What it happened to, as a global id.
    subject: ID,
    /// What changed, as a small object whose members depend on the kind. Amounts of credits in it are decimal strings.
    changes: Unparsed,
    /// When it happened.
    occurred_at: Timestamp,
    /// When it was recorded.
    recorded_at: Timestamp,
}

impl ProgressEvent {
    /// An event of the user with this key in the database.
    pub fn of(user: i64, event: Event) -> Self {
        Self {
            cursor: service::cursor(user, event.seq),
            number: BigInt(event.seq),
            kind: Kind::parse(&event.kind).map(ProgressEventKind::from),
            actor: event.actor,
            subject: ID(format!("{}:{}", event.subject_type, event.subject_key)),
            changes: Unparsed(event.changes),
            occurred_at: event.occurred_at,
            recorded_at: event.recorded_at,
        }
    }
}

/// Something an operator or an app did that belongs to no user: about keys, the catalogue or settings. Entries never
/// change.
#[derive(Debug, SimpleObject)]
pub struct AuditEntry {
    /// The entry's number; later entries have greater numbers.
    number: BigInt,
    /// Who did it: `user:<ULID>`, `app:<name of the API key>` or `operator`.
    actor: String,
    /// What was done, such as `API_KEY_CREATED`.
    action: String,
    /// What it was done to: the type, a colon and the key.
    subject: String,
    /// What changed, as a small object whose members depend on the action.
    changes: Unparsed,
    /// When it was recorded.
    recorded_at: Timestamp,
}

impl From<Audited> for AuditEntry {
    fn from(entry: Audited) -> Self {
        Self {
            number: BigInt(entry.id),
            actor: entry.actor,
            action: entry.action,
            subject: format!("{}:{}", entry.subject_type, entry.subject_key),
            changes: Unparsed(entry.changes),
            recorded_at: entry.recorded_at,
        }
    }
}
