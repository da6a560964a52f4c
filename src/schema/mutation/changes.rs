//! What a write changed for a user, read off the events it appended to the user's history.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, Object};

use crate::user::User;
use waymark_graphql_kit::context::{Nullable, nullable, present};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::plan::Ready;
use waymark_kernel::error::Result;
use waymark_kinds::collections::graphql::CollectionProgress;
use waymark_kinds::credits::graphql::CreditAccount;
use waymark_kinds::games;
use waymark_kinds::games::graphql::{GameSummary, NewAward};
use waymark_kinds::history::graphql::ProgressEvent;
use waymark_kinds::learning;
use waymark_kinds::learning::graphql::{ResourceProgress, StudyPlanInstance};
use waymark_kinds::seasons::graphql::GoalProgress;
use waymark_kinds::users::service::{self as people, User as Stored};
use waymark_request::{Ask as _, Request};
use waymark_vocabulary::ids::Kind;
use waymark_write::{Event, HistoryKind, Written};

/// The id that names no user.
const NOBODY: &str = "00000000000000000000000000";

/// What a write changed for a user; by default for a user who does not exist.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    user: Option<Arc<Stored>>,
    events: Vec<Event>,
}

impl Changes {
    /// What `written` changed for `user`.
    pub(crate) fn of<O>(user: &Arc<Stored>, written: &Written<O>) -> Self {
        let own = |(owner, event): &(i64, Event)| (*owner == user.subject.id.0).then(|| event.clone());
        Self { user: Some(Arc::clone(user)), events: written.events.iter().filter_map(own).collect() }
    }

    /// What `written` changed for each of `users` for whom it changed anything.
    pub(crate) fn of_many<O>(users: impl Iterator<Item = Arc<Stored>>, written: &Written<O>) -> Vec<Self> {
        let mut events: HashMap<i64, Vec<Event>> = HashMap::new();
        for (owner, event) in &written.events {
            events.entry(*owner).or_default().push(event.clone());
        }
        users.filter_map(|user| Some(Self { events: events.remove(&user.subject.id.0)?, user: Some(user) })).collect()
    }

    /// Returns the user's ULID, or the one that names no user.
    pub(crate) fn ulid(&self) -> &str {
        self.user.as_ref().map_or(NOBODY, |user| &user.subject.ulid)
    }

    /// Returns the user as the caller, who has just written for the user, may see them.
    pub(crate) fn shown<'a>(&self, context: &'a Context<'_>) -> Result<Option<(&'a Request, User)>> {
        let (request, Some(user)) = (context.ask()?, &self.user) else { return Ok(None) };
        Ok(Some((request, User::show_written(request, Arc::clone(user))?)))
    }

    /// Loads the user again, since the write may have changed the profile.
    pub(crate) async fn read_again(&self, context: &Context<'_>) -> Result<Option<User>> {
        let (request, Some(user)) = (context.ask()?, &self.user) else { return Ok(None) };
        let found = people::user_by_id(request, user.subject.id).await?;
        Ok(found.and_then(|stored| User::show(request, stored)))
    }

    /// Returns the user, of whom something of `told` is to be loaded; `None` when nothing is.
    fn changed<'a, T>(&self, context: &'a Context<'_>, told: &[T]) -> Result<Option<(&'a Request, User)>> {
        if told.is_empty() { Ok(None) } else { self.shown(context) }
    }

    /// Loads the goals that events of these kinds are about.
    async fn goals_told(&self, context: &Context<'_>, kinds: &[HistoryKind]) -> Result<List<Ready<GoalProgress>>> {
        let keys = self.subjects(kinds);
        let Some((request, user)) = self.changed(context, &keys)? else { return Ok(List::default()) };
        GoalProgress::of(request, user.own()?, &keys).await
    }

    /// The keys of the subjects of the events of these kinds, each once, in the order of the events.
    fn subjects(&self, kinds: &[HistoryKind]) -> Vec<&str> {
        let mut keys: Vec<&str> = Vec::new();
        for event in self.events.iter().filter(|event| is_any(event, kinds)) {
            if !keys.contains(&event.subject_key.as_str()) {
                keys.push(&event.subject_key);
            }
        }
        keys
    }

    /// What the events of these kinds say under `name`, each once.
    fn told(&self, kinds: &[HistoryKind], name: &str) -> Vec<serde_json::Value> {
        let mut all = Vec::new();
        for event in self.events.iter().filter(|event| is_any(event, kinds)) {
            let changes: serde_json::Value = serde_json::from_str(&event.changes).unwrap_or_default();
            if let Some(value) = changes.get(name).filter(|value| !all.contains(*value)) {
                all.push(value.clone());
            }
        }
        all
    }
}

fn is_any(event: &Event, kinds: &[HistoryKind]) -> bool {
    HistoryKind::parse(&event.kind).is_some_and(|kind| kinds.contains(&kind))
}

const GOALS: &[HistoryKind] =
    &[HistoryKind::GoalSteps, HistoryKind::GoalStepsCorrected, HistoryKind::GoalCompleted, HistoryKind::GoalClaimed];
const RESOURCES: &[HistoryKind] =
    &[HistoryKind::ResourceProgress, HistoryKind::ResourceCompleted, HistoryKind::ResourceReopened];
const INSTANCES: &[HistoryKind] = &[HistoryKind::InstanceCreated, HistoryKind::InstanceChanged];
const UNLOCKS: &[HistoryKind] = &[HistoryKind::AchievementUnlocked, HistoryKind::AchievementRelocked];
const COLLECTIONS: &[HistoryKind] = &[
    HistoryKind::CardsGranted,
    HistoryKind::CardsRevoked,
    HistoryKind::CollectionCompleted,
    HistoryKind::RewardClaimed,
];
const CREDITS: &[HistoryKind] = &[
    HistoryKind::GoalClaimed,
    HistoryKind::CreditsGranted,
    HistoryKind::CreditsSpent,
    HistoryKind::CreditsRevoked,
    HistoryKind::Blocked,
    HistoryKind::BlockLifted,
];

/// What one write changed for one user, so that a client needs no second query. Everything is shown as it stands after
/// the write; a write that came before under the same idempotency key shows the same again.
#[Object]
impl Changes {
    /// The user. Null when there is no such user, or none any longer.
    async fn user(&self, context: &Context<'_>) -> Nullable<User> {
        nullable(self.read_again(context)).await
    }

    /// What was appended to the user's history, in its order; empty when nothing was changed.
    async fn events(&self) -> List<ProgressEvent> {
        let user = self.user.as_ref().map_or(0, |user| user.subject.id.0);
        self.events.iter().map(|event| ProgressEvent::of(user, event.clone())).collect()
    }

    /// The goals whose steps or claim changed. Null when they could not be loaded.
    async fn goals(&self, context: &Context<'_>) -> Nullable<List<Ready<GoalProgress>>> {
        present(self.goals_told(context, GOALS)).await
    }

    /// The goals whose last step was done. Null when they could not be loaded.
    async fn goals_completed(&self, context: &Context<'_>) -> Nullable<List<Ready<GoalProgress>>> {
        present(self.goals_told(context, &[HistoryKind::GoalCompleted])).await
    }

    /// The user's credits. Null when neither they nor the user's blocks changed.
    async fn credits(&self, context: &Context<'_>) -> Nullable<Ready<CreditAccount>> {
        nullable(async {
            let told: Vec<_> = self.events.iter().filter(|event| is_any(event, CREDITS)).collect();
            let Some((request, user)) = self.changed(context, &told)? else { return Ok(None) };
            CreditAccount::of(request, user.own()?).await.map(Ready).map(Some)
        })
        .await
    }

    /// The resources that changed. Null when they could not be loaded.
    async fn resources(&self, context: &Context<'_>) -> Nullable<List<Ready<ResourceProgress>>> {
        present(async {
            let keys = self.subjects(RESOURCES);
            let Some((request, user)) = self.changed(context, &keys)? else { return Ok(List::default()) };
            ResourceProgress::of(request, user.own()?, keys).await
        })
        .await
    }

    /// The instances of study plans that were begun or changed. Null when they could not be loaded.
    async fn study_plan_instances(&self, context: &Context<'_>) -> Nullable<List<StudyPlanInstance>> {
        present(async {
            let numbers = self.told(INSTANCES, "instance");
            let numbers: Vec<i64> = numbers.iter().filter_map(serde_json::Value::as_i64).collect();
            let Some((request, user)) = self.changed(context, &numbers)? else { return Ok(List::default()) };
            let changed = learning::service::numbered_instances(request, user.own()?, numbers).await?;
            Ok(changed.into_iter().map(StudyPlanInstance).collect())
        })
        .await
    }

    /// The summaries of the games in which achievements were unlocked or locked again. Null when they could not be
    /// loaded.
    async fn game_summaries(&self, context: &Context<'_>) -> Nullable<List<Ready<GameSummary>>> {
        present(async {
            let keys = self.told(UNLOCKS, "game");
            let keys: Vec<&str> = keys.iter().filter_map(serde_json::Value::as_str).collect();
            let Some((request, user)) = self.changed(context, &keys)? else { return Ok(List::default()) };
            GameSummary::of(request, user.visible(), keys).await
        })
        .await
    }

    /// The awards that were earned. Null when they could not be loaded.
    async fn awards(&self, context: &Context<'_>) -> Nullable<List<NewAward>> {
        present(async {
            let all = context.ask()?.catalogue::<games::Games>()?;
            let earned = self.events.iter().filter(|event| is_any(event, &[HistoryKind::AwardEarned]));
            Ok(earned.filter_map(|event| NewAward::told_by(event, all)).collect())
        })
        .await
    }

    /// The collections of which cards were granted or removed, or whose reward was claimed, as far as they are shown
    /// now. Null when they could not be loaded.
    async fn collections(&self, context: &Context<'_>) -> Nullable<List<Ready<CollectionProgress>>> {
        present(async {
            let keys = self.subjects(COLLECTIONS);
            let Some((request, user)) = self.changed(context, &keys)? else { return Ok(List::default()) };
            CollectionProgress::of(request, user.visible(), &keys).await
        })
        .await
    }

    /// The global id of the user; `user:00000000000000000000000000`, which names no user, when there is no such user.
    async fn user_id(&self) -> async_graphql::ID {
        Kind::User.id(self.ulid())
    }
}
