//! The mutation that records progress of every kind and of many users.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{ID, InputObject, OneofObject, SimpleObject};

use super::changes::Changes;
use super::pipeline::check_items;
use crate::kinds::collections::CardAmountInput;
use crate::kinds::games::AchievementUnlockInput;
use crate::kinds::learning::ResourceProgressInput;
use crate::kinds::seasons::GoalStepsInput;
use waymark_auth::policy;
use waymark_graphql_kit::list::List;
use waymark_kernel::error::{Error, Result};
use waymark_kinds::record::{Happening, NewEvent, RecordProgress, Recorded};
use waymark_kinds::seasons::Seasons;
use waymark_kinds::users::graphql::UserBy;
use waymark_kinds::users::service as people;
use waymark_kinds::users::service::User as Stored;
use waymark_request::Request;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{BulkMode, Refusal, UserErrorCode, WriteStatus};
use waymark_write::Written;

input! {
    /// Input of `recordProgress`.
    RecordProgressInput;

    /// What happened, at most 1,000 events, of any users and kinds. Events of one kind are recorded in the order of the
    /// list, and the kinds one after the other: enrolments, goal steps, progress with resources, unlocks, cards. So an
    /// enrolment counts for the steps of the same list wherever it stands.
    events: Vec<ProgressEventInput>,
    /// Whether the good events are recorded when others are refused.
    #[graphql(default)]
    mode: BulkMode,
}

/// Something that happened to a user: exactly one of these.
#[derive(Debug, OneofObject)]
pub(crate) enum ProgressEventInput {
    /// The user takes part in a season.
    Enrollment(EnrollmentEventInput),
    /// The user made steps of a goal.
    GoalSteps(GoalStepsEventInput),
    /// The user worked on a resource.
    ResourceProgress(ResourceProgressEventInput),
    /// The user unlocked an achievement.
    AchievementUnlock(AchievementUnlockEventInput),
    /// The user got a card, once or several times.
    Card(CardEventInput),
}

/// A user enrols in a season.
#[derive(Debug, InputObject)]
pub(crate) struct EnrollmentEventInput {
    /// The user who enrols; by default the caller.
    user: Option<UserBy>,
    /// The season's global id or its key; by default the current season.
    season_id: Option<ID>,
}

/// Steps of a goal that are recorded: exactly one of `add` and `setTo`.
#[derive(Debug, InputObject)]
pub(crate) struct GoalStepsEventInput {
    /// The user who made the steps; by default the caller.
    user: Option<UserBy>,
    #[graphql(flatten)]
    steps: GoalStepsInput,
}

/// Progress with a resource. A field that is not given stays as it is.
#[derive(Debug, InputObject)]
pub(crate) struct ResourceProgressEventInput {
    /// The user whose progress is written; by default the caller.
    user: Option<UserBy>,
    #[graphql(flatten)]
    progress: ResourceProgressInput,
}

/// An achievement that a user unlocked.
#[derive(Debug, InputObject)]
pub(crate) struct AchievementUnlockEventInput {
    /// The user who unlocked the achievement; by default the caller.
    user: Option<UserBy>,
    #[graphql(flatten)]
    unlock: AchievementUnlockInput,
}

/// A user got one or several copies of a card.
#[derive(Debug, InputObject)]
pub(crate) struct CardEventInput {
    /// The user who got the card; by default the caller.
    user: Option<UserBy>,
    #[graphql(flatten)]
    card: CardAmountInput,
}

/// The result of one event of `recordProgress`.
#[derive(Debug, SimpleObject)]
pub(crate) struct ProgressEventResult {
    /// The global id of the user. Null when there is no such user.
    user_id: Option<ID>,
    /// The global id of what the event is about: a season, a goal, a resource, an achievement or a card.
    id: ID,
    /// Whether the event was recorded; UNCHANGED when it had been recorded before.
    status: WriteStatus,
    /// How many steps of the goal were done by then. Null when it is not about a goal, and when it was refused.
    completed_steps: Option<i32>,
    /// How many of the steps were dropped, because the goal has no more. Null when it is not about a goal, and when it
    /// was refused.
    clamped_by: Option<i32>,
    /// Why it was refused. Null when it was not.
    error: Option<Refusal>,
}

/// Payload of `recordProgress`.
#[derive(Debug, SimpleObject)]
pub(crate) struct RecordProgressPayload {
    /// The result of each event, in the order of the input.
    results: List<ProgressEventResult>,
    /// What was refused; empty when all was recorded.
    user_errors: List<Refusal>,
    /// What was changed, for each user for whom anything was, in the order in which the input first names them.
    changes: List<Changes>,
}

mutations! {
    /// The mutation that records progress of every kind.
    RecordMutation;

    /// Records progress of every kind and of many users by one write. An event that is refused fails alone, unless all
    /// or nothing is asked for. For API keys with the scope progress:write; enrolments and progress with resources also
    /// for the user, when there is nothing else in the list. Null with an error when the whole was refused.
    record_progress: by_itself(RecordProgressInput, "The events, each with its user.") -> RecordProgressPayload;
}

impl RecordProgressInput {
    async fn answer(self, request: &Request) -> Result<RecordProgressPayload> {
        check_items(request, "events", self.events.len())?;
        let reported = self.events.iter().any(ProgressEventInput::is_reported);
        let People { known, named } = People::of(request, &self.events).await?;
        let subjects = known.iter().map(|user| user.subject.clone()).collect();
        let users = policy::record_all(&request.caller, subjects, reported)?;
        let season = request.catalogue::<Seasons>()?.current(request.now()).map_or("", |(season, _)| &season.key);
        let named = self.events.into_iter().zip(named);
        let events = named.map(|(event, named)| event.read(named, &known, season)).collect();
        let written = request.write(RecordProgress { users, events, mode: self.mode }, self.idempotency_key).await?;
        let changes = changes(request, known, &written).await?;
        Ok(RecordProgressPayload {
            user_errors: written.outcome.iter().filter_map(|one| one.outcome.item.error.clone()).collect(),
            results: written.outcome.into_iter().map(ProgressEventResult::from).collect(),
            changes: changes.into(),
        })
    }
}

/// Whom a list of events names.
struct People {
    /// Each user who was found, once.
    known: Vec<Arc<Stored>>,
    /// By the places of the events.
    named: Vec<Named>,
}

/// Whom an event names.
struct Named {
    /// As the input says it.
    name: String,
    /// The place among the found users, `None` when there is no such user, or why the name was refused.
    user: Result<Option<usize>, Refusal>,
}

impl People {
    /// Looks all users of the events up at once. A user whom the caller may not see counts as not found.
    async fn of(request: &Request, events: &[ProgressEventInput]) -> Result<Self> {
        let keys = events.iter().map(|event| match event.user() {
            Some(by) => people::key(by.clone().into()).map_err(|error| error.message().to_owned()),
            None => match request.caller.user() {
                Some(viewer) => Ok(people::UserWith::Id(viewer.0)),
                None => Err("say whom this is about: this credential belongs to no user".to_owned()),
            },
        });
        let keys: Vec<Result<people::UserWith, String>> = keys.collect();
        let found = request.load.many(keys.iter().flatten().cloned().collect()).await?;
        let mut found = found.into_iter();
        let mut known: Vec<Arc<Stored>> = Vec::new();
        let mut places: HashMap<i64, usize> = HashMap::new();
        let mut named = Vec::with_capacity(keys.len());
        for (key, event) in keys.into_iter().zip(events) {
            let user = match &key {
                Ok(_) => Ok(found.next().flatten().filter(|user| is_seen(request, user)).map(|user| {
                    *places.entry(user.subject.id.0).or_insert_with(|| {
                        known.push(user);
                        known.len() - 1
                    })
                })),
                Err(message) => Err(Refusal::new(UserErrorCode::InvalidInput, message.as_str()).at(["user"])),
            };
            let name = event.user().map(|_| serde_json::to_string(&key)).transpose().map_err(Error::internal)?;
            named.push(Named { name: name.unwrap_or_default(), user });
        }
        Ok(Self { known, named })
    }
}

fn is_seen(request: &Request, user: &Stored) -> bool {
    policy::see(&request.caller, &user.subject).is_some()
}

/// What was written, for each user for whom anything was.
async fn changes(request: &Request, known: Vec<Arc<Stored>>, written: &Written<Vec<Recorded>>) -> Result<Vec<Changes>> {
    let mut known: HashMap<String, Arc<Stored>> =
        known.into_iter().map(|user| (user.subject.ulid.to_string(), user)).collect();
    // An answer that is given again is about those who were named so the first time.
    let told = written.outcome.iter().filter_map(|one| one.user.as_ref());
    let others: Vec<people::UserWith> = told
        .clone()
        .filter(|ulid| !known.contains_key(*ulid))
        .map(|ulid| people::UserWith::Ulid(ulid.clone()))
        .collect();
    let others = request.load.many(others).await?;
    known.extend(others.into_iter().flatten().map(|user| (user.subject.ulid.to_string(), user)));
    let users = told.filter_map(|ulid| known.remove(ulid));
    Ok(Changes::of_many(users, written))
}

impl ProgressEventInput {
    const fn user(&self) -> Option<&UserBy> {
        match self {
            Self::Enrollment(event) => event.user.as_ref(),
            Self::GoalSteps(event) => event.user.as_ref(),
            Self::ResourceProgress(event) => event.user.as_ref(),
            Self::AchievementUnlock(event) => event.user.as_ref(),
            Self::Card(event) => event.user.as_ref(),
        }
    }

    /// Whether users do not record such a thing for themselves.
    const fn is_reported(&self) -> bool {
        match self {
            Self::Enrollment(_) | Self::ResourceProgress(_) => false,
            Self::GoalSteps(_) | Self::AchievementUnlock(_) | Self::Card(_) => true,
        }
    }

    /// Reads an event of the user whom it names, where `current` is the current season. A malformed one fails alone.
    fn read(self, Named { name, user }: Named, known: &[Arc<Stored>], current: &str) -> NewEvent {
        let (found, nobody) = match user {
            Ok(found) => (found, None),
            Err(refusal) => (None, Some(refusal)),
        };
        let ulid = found.and_then(|place| known.get(place)).map_or("", |user| &*user.subject.ulid);
        let (field, kind, sent, read) = match self {
            Self::Enrollment(event) => {
                let sent = event.season_id.clone().unwrap_or_else(|| current.into());
                let season = event.season_id.map(|id| Kind::Season.key(&id).map(str::to_owned)).transpose();
                ("enrollment", Kind::Season, sent, season.map(Happening::Enrolment))
            }
            Self::GoalSteps(event) => {
                let sent = event.steps.goal_id.clone();
                ("goalSteps", Kind::Goal, sent, Ok(Happening::Steps(event.steps.read())))
            }
            Self::ResourceProgress(event) => {
                let sent = event.progress.resource_id.clone();
                ("resourceProgress", Kind::Resource, sent, event.progress.read(ulid).map(Happening::Progress))
            }
            Self::AchievementUnlock(event) => {
                let sent = event.unlock.achievement_id.clone();
                ("achievementUnlock", Kind::Achievement, sent, Ok(Happening::Unlock(event.unlock.read())))
            }
            Self::Card(event) => {
                let sent = event.card.card_id.clone();
                ("card", Kind::Card, sent, Ok(Happening::Card(event.card.read())))
            }
        };
        let key = kind.key(&sent);
        let id = key.as_ref().map_or(sent.clone(), |key| kind.id(key));
        let read = key.map(drop).and(read);
        let malformed = |error: Error| Refusal::new(UserErrorCode::InvalidInput, error.message());
        let what = nobody.map_or_else(|| read.map_err(malformed), Err);
        NewEvent { named: name, user: found, field, id: id.0, what }
    }
}

impl From<Recorded> for ProgressEventResult {
    fn from(recorded: Recorded) -> Self {
        let (item, steps) = (recorded.outcome.item, recorded.outcome.recorded);
        Self {
            user_id: recorded.user.map(|ulid| Kind::User.id(&ulid)),
            id: item.id,
            status: item.status,
            completed_steps: steps.map(|steps| steps.completed_steps),
            clamped_by: steps.map(|steps| i32::try_from(steps.clamped_by).unwrap_or(i32::MAX)),
            error: item.error,
        }
    }
}
