//! Seasons and goals in GraphQL.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};

pub use super::rules::{ClaimRefusal, GoalState, PauseMode, SeasonState};
use super::service::{self, GoalStatus, Participation, Timed};
use super::{Goal as StoredGoal, Seasons};
use waymark_auth::policy::OwnUser;
use waymark_credits::graphql::CreditAmount;
use waymark_graphql_kit::context::{Nullable, nullable};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::pagination::{Connection, PageArgs};
use waymark_graphql_kit::plan::{Plain, Ready, object};
use waymark_graphql_kit::scalars::seconds;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_request::{Ask as _, Request};
use waymark_vocabulary::ids;
use waymark_vocabulary::progress;
use waymark_vocabulary::progress::{ProgressKind, ProgressState};

/// A season.
#[derive(Debug, Clone)]
pub struct Season(pub Timed);

/// A season: a stretch of time with weeks, pauses and goals. Seasons do not overlap.
#[object]
impl Season {
    /// The global id: `season:<key>`.
    pub async fn id(&self) -> ID {
        ids::Kind::Season.id(&self.0.season.key)
    }

    /// The operator's own key of the season, unique among seasons.
    async fn key(&self) -> &str {
        &self.0.season.key
    }

    /// The season's title.
    async fn title(&self) -> &str {
        &self.0.season.title
    }

    /// A description for people; may be empty.
    async fn description(&self) -> &str {
        &self.0.season.description
    }

    /// Where the season stands at the instant of the request.
    async fn state(&self) -> SeasonState {
        self.0.clock.state
    }

    /// When the season begins or began.
    async fn start_date(&self) -> Timestamp {
        self.0.starts_at
    }

    /// When the season ends if it runs on from now; once it has ended, when that was.
    async fn end_date(&self) -> Timestamp {
        self.0.clock.end_at
    }

    /// Seconds left on the season's clock: the whole duration before the start, 0 once it has ended, at least 1 else.
    async fn time_left(&self) -> i32 {
        seconds(self.0.clock.time_left_seconds)
    }

    /// How long the season is without pauses, in seconds.
    async fn duration(&self) -> i32 {
        seconds(self.0.season.duration_seconds)
    }

    /// How long a week of the season is, in seconds. The last week may be shorter.
    async fn week_length(&self) -> i32 {
        seconds(self.0.season.week_length_seconds)
    }

    /// The week that is running. Null before the season has begun and after it has ended.
    async fn current_week(&self) -> Option<Week> {
        Week::current(&self.0)
    }

    /// What a pause does to the season's clock.
    async fn pause_mode(&self) -> PauseMode {
        self.0.season.pause_mode
    }

    /// The pauses, past, present and planned, in order.
    async fn pauses(&self) -> List<SeasonPause> {
        let pauses = self.0.season.pauses.iter();
        pauses.map(|pause| SeasonPause { from: pause.from, until: pause.until }).collect()
    }

    /// When the season was retired: it is no longer listed, is never the current one and takes no new progress. Null
    /// when it is not retired.
    async fn retired_at(&self) -> Option<Timestamp> {
        self.0.season.retired_at
    }

    /// All goals of the season, in the operator's order; retired ones for API keys with the scope admin only.
    async fn goals(&self, context: &Context<'_>) -> Result<List<Goal>> {
        Ok(self.0.listed_goals(context.ask()?).cloned().map(Goal).collect())
    }
}

/// A week of a season.
#[derive(Debug, Plain, SimpleObject)]
pub struct Week {
    /// Its number; the first is 1.
    number: i32,
    /// Its title. Null when it has none.
    title: Option<String>,
    /// Seconds left of the week on the season's clock; at least 1.
    time_left: i32,
    /// When the week began.
    start_date: Timestamp,
    /// When the week ends if the season runs on from now.
    end_date: Timestamp,
}

impl Week {
    fn current(timed: &Timed) -> Option<Self> {
        timed.clock.week.map(|week| Self {
            number: week.number,
            title: timed.season.week_titles.get(&week.number).cloned(),
            time_left: seconds(week.time_left_seconds),
            start_date: week.starts_at,
            end_date: week.ends_at,
        })
    }
}

/// An interruption of a season.
#[derive(Debug, Plain, SimpleObject)]
pub struct SeasonPause {
    /// When it begins or began.
    from: Timestamp,
    /// When the season goes on. Null while the pause has no planned end.
    until: Option<Timestamp>,
}

/// A goal of a season.
#[derive(Debug, Clone)]
pub struct Goal(pub Arc<StoredGoal>);

/// Something to do in a season, counted in steps and rewarded with credits.
#[object]
impl Goal {
    /// The global id: `goal:<key>`.
    pub async fn id(&self) -> ID {
        ids::Kind::Goal.id(&self.0.key)
    }

    /// The operator's own key of the goal, unique among goals.
    async fn key(&self) -> &str {
        &self.0.key
    }

    /// The goal's title.
    async fn title(&self) -> &str {
        &self.0.title
    }

    /// What has to be done; may be empty.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// Where a picture of the goal is. Null when it has none.
    async fn thumbnail(&self) -> Option<&str> {
        self.0.thumbnail.as_deref()
    }

    /// The week to which the goal belongs. Null when it runs for the whole season.
    async fn week(&self) -> Option<i32> {
        self.0.week
    }

    /// How many steps complete the goal; at least 1.
    async fn total_steps(&self) -> i32 {
        self.0.total_steps
    }

    /// What a user gets for completing it.
    async fn reward(&self) -> CreditAmount {
        CreditAmount(self.0.reward_micros)
    }

    /// When the goal was retired: it is no longer listed and takes no new steps; who has completed it can still claim
    /// it. Null when it is not retired.
    async fn retired_at(&self) -> Option<Timestamp> {
        self.0.retired_at
    }

    /// The season it belongs to. Null only while the catalogue is being changed.
    async fn season(&self, context: &Context<'_>) -> Result<Option<Season>> {
        let request = context.ask()?;
        Ok(request.catalogue::<Seasons>()?.by_id(self.0.season_id, request.now()).map(|(season, schedule)| {
            Season(Timed {
                season: Arc::clone(season),
                starts_at: schedule.starts_at,
                clock: schedule.clock(request.now()),
            })
        }))
    }
}

/// A user in a season.
#[derive(Debug)]
pub struct SeasonProgress(pub Participation);

/// A user in a season: whether the user takes part, the season's clock, and the goals.
#[object]
impl SeasonProgress {
    /// The season.
    async fn season(&self) -> Season {
        Season(self.0.timed.clone())
    }

    /// Where the season stands at the instant of the request.
    async fn state(&self) -> SeasonState {
        self.0.timed.clock.state
    }

    /// Seconds left on the season's clock: the whole duration before the start, 0 once it has ended, at least 1 else.
    async fn time_left(&self) -> i32 {
        seconds(self.0.timed.clock.time_left_seconds)
    }

    /// The week that is running. Null before the season has begun and after it has ended.
    async fn current_week(&self) -> Option<Week> {
        Week::current(&self.0.timed)
    }

    /// Whether the user takes part in the season, that is: has enrolled.
    async fn has_started_program(&self) -> bool {
        self.0.enrolled_at.is_some()
    }

    /// When the user enrolled. Null when the user does not take part.
    async fn enrolled_at(&self) -> Option<Timestamp> {
        self.0.enrolled_at
    }

    /// The user's goals in this season, in the operator's order: by default the current ones, which are those of the
    /// whole season and of the current week. A goal that was retired is listed only when the user has made steps of it.
    async fn goals(
        &self,
        #[graphql(desc = "Only goals of this week; the first is 1.")] week: Option<i32>,
        #[graphql(desc = "Whether to list the goals of all weeks.", default = false)] all: bool,
    ) -> List<Ready<GoalProgress>> {
        goals(&self.0, week, None, all)
    }

    /// The goals whose reward can be claimed now, as far as the week's and the season's budgets allow.
    async fn claimable(&self) -> List<Ready<GoalProgress>> {
        let claimable = self.0.goals.iter().filter(|status| status.refusal.is_none());
        claimable.cloned().map(GoalProgress).map(Ready).collect()
    }
}

/// The goals of a participation: of one week, all of them, or the current ones; optionally in one state only.
pub fn goals(
    participation: &Participation,
    week: Option<i32>,
    state: Option<GoalState>,
    all: bool,
) -> List<Ready<GoalProgress>> {
    let goals: Vec<&GoalStatus> = match week {
        Some(week) => participation.listed_goals().filter(|status| status.goal.week == Some(week)).collect(),
        None if all => participation.listed_goals().collect(),
        None => participation.current_goals().collect(),
    };
    goals
        .into_iter()
        .filter(|status| state.is_none_or(|state| state == status.state))
        .cloned()
        .map(GoalProgress)
        .map(Ready)
        .collect()
}

/// How far a user is with a goal.
#[derive(Debug)]
pub struct GoalProgress(pub GoalStatus);

impl GoalProgress {
    /// Loads how far a user is with the goals of these keys, each once; unknown ones are left out.
    pub async fn of(request: &Request, user: &OwnUser, keys: &[&str]) -> Result<List<Ready<Self>>> {
        Ok(service::goals(request, user, keys).await?.into_iter().map(Self).map(Ready).collect())
    }
}

/// How far a user is with a goal.
#[object]
impl GoalProgress {
    /// The global id: `goal_progress:<the user's ULID>:<the goal's key>`.
    pub async fn id(&self) -> ID {
        ids::Kind::GoalProgress.id_of(self.0.user.ulid(), &self.0.goal.key)
    }

    /// Always GOAL.
    pub async fn kind(&self) -> ProgressKind {
        ProgressKind::Goal
    }

    /// The goal's title.
    pub async fn title(&self) -> String {
        self.0.goal.title.clone()
    }

    /// How many steps are done; the same as `completedSteps`.
    pub async fn done(&self) -> i32 {
        self.0.steps.completed_steps
    }

    /// How many steps there are; the same as `totalSteps`.
    pub async fn total(&self) -> i32 {
        self.0.goal.total_steps
    }

    /// `done` out of `total`, from 0 to 1.
    pub async fn ratio(&self) -> f64 {
        progress::ratio(self.0.steps.completed_steps, self.0.goal.total_steps)
    }

    /// COMPLETED when all steps are done.
    pub async fn state(&self) -> ProgressState {
        let done = self.0.steps.completed_steps;
        progress::state(done, done >= self.0.goal.total_steps)
    }

    /// When the last step was done. Null while steps are missing.
    pub async fn completed_at(&self) -> Option<Timestamp> {
        self.0.steps.completed_at.filter(|_| self.0.steps.completed_steps >= self.0.goal.total_steps)
    }

    /// The goal.
    async fn goal(&self) -> Ready<Goal> {
        Ready(Goal(Arc::clone(&self.0.goal)))
    }

    /// Where the goal stands for the user, its week and its reward considered.
    async fn goal_state(&self) -> GoalState {
        self.0.state
    }

    /// How many steps the user has done, from 0 to `totalSteps`.
    async fn completed_steps(&self) -> i32 {
        self.0.steps.completed_steps
    }

    /// How many steps complete the goal; at least 1.
    async fn total_steps(&self) -> i32 {
        self.0.goal.total_steps
    }

    /// What the user gets for completing it; once it is claimed, what the user got.
    async fn reward(&self) -> Ready<CreditAmount> {
        Ready(CreditAmount(self.0.steps.claimed_micros.unwrap_or(self.0.goal.reward_micros)))
    }

    /// Whether the user has claimed the reward.
    async fn is_claimed(&self) -> bool {
        self.0.steps.claimed_at.is_some()
    }

    /// When the user claimed the reward. Null when that has not happened.
    async fn claimed_at(&self) -> Option<Timestamp> {
        self.0.steps.claimed_at
    }

    /// Whether a claim would be granted now, as far as the week's and the season's budgets allow.
    async fn is_claimable(&self) -> bool {
        self.0.refusal.is_none()
    }

    /// Why a claim would be refused now. Null when it would be granted.
    async fn claim_refusal(&self) -> Option<ClaimRefusal> {
        self.0.refusal
    }
}

/// The seasons of the catalogue.
#[derive(Debug, Default)]
pub struct SeasonQuery;

#[Object]
impl SeasonQuery {
    /// The season that is running or paused; else the next one; else the last one. Null when there is no season at all,
    /// or only retired ones.
    async fn current_season(&self, context: &Context<'_>) -> Nullable<Season> {
        nullable(async { Ok(service::season(context.ask()?, None)?.map(Season)) }).await
    }

    /// The season with this id. Null when the catalogue has none.
    async fn season(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The season's global id or its key.")] id: ID,
    ) -> Nullable<Season> {
        nullable(async { Ok(service::season(context.ask()?, Some(&id))?.map(Season)) }).await
    }

    /// The seasons of the catalogue by their start; retired ones for API keys with the scope admin only.
    async fn seasons(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many seasons from the start, 1 to 100; 20 when neither this nor last is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only seasons behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many seasons from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only seasons before this cursor.")] before: Option<String>,
    ) -> Result<Connection<Season>> {
        let request = context.ask()?;
        let page = PageArgs { first, after, last, before }.check("seasons", request)?;
        let seasons = service::seasons(request)?;
        Ok(page.of_list(seasons, |timed| (timed.season.starts_at.millis(), timed.season.id)).map(Season))
    }
}
