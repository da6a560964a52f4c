//! What a write changed for a user, read off the events it appended to the user's history.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::{Context, Object};

use crate::user::User;
use waymark_collections as collections;
use waymark_collections::graphql::CollectionProgress;
use waymark_credits as credits;
use waymark_credits::graphql::CreditAccount;
use waymark_db::Extent;
use waymark_games as games;
use waymark_games::graphql::{GameSummary, NewAward};
use waymark_graphql_kit::context::{Nullable, nullable, present};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::ready::Ready;
use waymark_history::graphql::ProgressEvent;
use waymark_learning as learning;
use waymark_learning::graphql::{ResourceProgress, StudyPlanInstance};
use waymark_request::Ask as _;
use waymark_seasons as seasons;
use waymark_seasons::graphql::GoalProgress;
use waymark_users::service::User as Stored;
use waymark_vocabulary::ids::Kind;
use waymark_write::{Event, HistoryKind, Written};

/// What a write changed for a user.
#[derive(Debug)]
pub(crate) struct Changes {
    user: Arc<Stored>,
    events: Vec<Event>,
}

impl Changes {
    /// What `written` changed for `user`.
    pub(super) fn of<O>(user: &Arc<Stored>, written: &Written<O>) -> Self {
        let own = |(owner, event): &(i64, Event)| (*owner == user.subject.id.0).then(|| event.clone());
        Self { user: Arc::clone(user), events: written.events.iter().filter_map(own).collect() }
    }

    /// What `written` changed for each of `users` for whom it changed anything.
    pub(super) fn of_many<O>(users: impl Iterator<Item = Arc<Stored>>, written: &Written<O>) -> Vec<Self> {
        let mut events: HashMap<i64, Vec<Event>> = HashMap::new();
        for (owner, event) in &written.events {
            events.entry(*owner).or_default().push(event.clone());
        }
        users.filter_map(|user| Some(Self { events: events.remove(&user.subject.id.0)?, user })).collect()
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

    fn has(&self, kinds: &[HistoryKind]) -> bool {
        self.events.iter().any(|event| is_any(event, kinds))
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
    /// The user. Null only when the user has been merged or erased since.
    async fn user(&self, context: &Context<'_>) -> Nullable<User> {
        nullable(async { super::shown(context.ask()?, &self.user).await }).await
    }

    /// What was appended to the user's history, in its order; empty when nothing was changed.
    async fn events(&self) -> List<ProgressEvent> {
        self.events.iter().map(|event| ProgressEvent::of(self.user.subject.id.0, event.clone())).collect()
    }

    /// The goals whose steps or claim changed. Null when they could not be loaded.
    async fn goals(&self, context: &Context<'_>) -> Nullable<List<Ready<GoalProgress>>> {
        present(async {
            let keys = self.subjects(GOALS);
            if keys.is_empty() {
                return Ok(List::default());
            }
            let request = context.ask()?;
            let user = User::show_written(request, Arc::clone(&self.user))?;
            let goals = seasons::service::goals(request, user.own()?, &keys).await?;
            Ok(goals.into_iter().map(GoalProgress).map(Ready).collect())
        })
        .await
    }

    /// The goals whose last step was done. Null when they could not be loaded.
    async fn goals_completed(&self, context: &Context<'_>) -> Nullable<List<Ready<GoalProgress>>> {
        present(async {
            let keys = self.subjects(&[HistoryKind::GoalCompleted]);
            if keys.is_empty() {
                return Ok(List::default());
            }
            let request = context.ask()?;
            let user = User::show_written(request, Arc::clone(&self.user))?;
            let goals = seasons::service::goals(request, user.own()?, &keys).await?;
            Ok(goals.into_iter().map(GoalProgress).map(Ready).collect())
        })
        .await
    }

    /// The user's credits. Null when neither they nor the user's blocks changed.
    async fn credits(&self, context: &Context<'_>) -> Nullable<Ready<CreditAccount>> {
        nullable(async {
            if !self.has(CREDITS) {
                return Ok(None);
            }
            let request = context.ask()?;
            let user = User::show_written(request, Arc::clone(&self.user))?;
            let own = user.own()?;
            let wallet = credits::service::wallet(request, own).await?;
            Ok(Some(Ready(CreditAccount { user: own.clone(), wallet, now: request.now() })))
        })
        .await
    }

    /// The resources that changed. Null when they could not be loaded.
    async fn resources(&self, context: &Context<'_>) -> Nullable<List<Ready<ResourceProgress>>> {
        present(async {
            let keys = self.subjects(RESOURCES);
            if keys.is_empty() {
                return Ok(List::default());
            }
            let request = context.ask()?;
            let user = User::show_written(request, Arc::clone(&self.user))?;
            let learned = learning::service::progress(request, &[user.own()?], keys, Extent::All).await?;
            Ok(learned.into_iter().flatten().flatten().map(ResourceProgress).map(Ready).collect())
        })
        .await
    }

    /// The instances of study plans that were begun or changed. Null when they could not be loaded.
    async fn study_plan_instances(&self, context: &Context<'_>) -> Nullable<List<StudyPlanInstance>> {
        present(async {
            let numbers: Vec<i64> =
                self.told(INSTANCES, "instance").iter().filter_map(serde_json::Value::as_i64).collect();
            if numbers.is_empty() {
                return Ok(List::default());
            }
            let request = context.ask()?;
            let user = User::show_written(request, Arc::clone(&self.user))?;
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
            if keys.is_empty() {
                return Ok(List::default());
            }
            let request = context.ask()?;
            let user = User::show_written(request, Arc::clone(&self.user))?;
            let summaries = games::service::summaries(request, &[user.visible()], keys, Extent::All).await?;
            Ok(summaries.into_iter().flatten().flatten().map(GameSummary).map(Ready).collect())
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
    async fn collections(&self, context: &Context<'_>) -> Nullable<List<CollectionProgress>> {
        present(async {
            let keys = self.subjects(COLLECTIONS);
            let request = context.ask()?;
            let user = User::show_written(request, Arc::clone(&self.user))?;
            if keys.is_empty() {
                return Ok(List::default());
            }
            let all = collections::service::collections(request, user.visible()).await?;
            let changed = all.into_iter().filter(|one| keys.contains(&one.collection.row.key.as_str()));
            Ok(changed.map(CollectionProgress).collect())
        })
        .await
    }

    /// The global id of the user.
    async fn user_id(&self) -> async_graphql::ID {
        Kind::User.id(&self.user.subject.ulid)
    }
}
