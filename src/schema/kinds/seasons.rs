//! Mutations of seasons and goals.

pub(crate) mod catalogue;

use std::collections::HashMap;

use async_graphql::{ComplexObject, Context, ID, InputObject, Object, SimpleObject};

use super::{Found, GOALS, Overview, Progress};
use crate::mutation::given;
use crate::mutation::payload::{CreditsPayload, UserPayload};
use crate::mutation::pipeline::Items;
use waymark_auth::policy::{ActingUser, Operator, RecordedUser};
use waymark_graphql_kit::context::{Nullable, nullable};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::plan::Ready;
use waymark_graphql_kit::scalars::Lenient;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_kinds::credits::graphql::CreditAmount;
use waymark_kinds::seasons::graphql::{GoalProgress, SeasonProgress};
use waymark_kinds::seasons::rules::StepAmount;
use waymark_kinds::seasons::service::{self, GoalStatus};
use waymark_kinds::seasons::write::{
    Claim, ClaimGoals, ClaimStatus, CorrectGoalSteps, Corrected, EnrollInSeason, Enrolled, NewSteps, RecordGoalSteps,
    StepsOutcome,
};
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{BulkMode, Refusal, UserErrorCode, WriteStatus};

input! {
    /// Input of `enrollInSeason`.
    EnrollInSeasonInput, "The user who enrols; by default the caller.";

    /// The season's global id or its key; by default the current season.
    season_id: Option<ID>,
}

/// Payload of `enrollInSeason`.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct EnrollInSeasonPayload {
    #[graphql(flatten)]
    about: UserPayload,
    /// APPLIED when the user takes part from now on, UNCHANGED when the user did before.
    status: WriteStatus,
    #[graphql(skip)]
    season: Option<String>,
}

#[ComplexObject]
impl EnrollInSeasonPayload {
    /// The user in the season. Null when there is no such season or no such user.
    async fn season(&self, context: &Context<'_>) -> Nullable<Ready<SeasonProgress>> {
        nullable(async {
            let (Some((request, own)), Some(key)) = (self.about.own(context)?, &self.season) else { return Ok(None) };
            let Some(timed) = service::season(request, Some(key))? else { return Ok(None) };
            service::participation(request, &own, timed).await.map(SeasonProgress).map(Ready).map(Some)
        })
        .await
    }
}

input! {
    /// Input of `recordGoalSteps`.
    RecordGoalStepsInput, "The user who made the steps; by default the caller.";

    /// The steps, at most 1,000 items; the same goal may come more than once.
    steps: Vec<GoalStepsInput>,
    /// Whether the good items are done when others are refused.
    #[graphql(default)]
    mode: BulkMode,
}

/// Steps of a goal that are recorded: exactly one of `add` and `setTo`.
#[derive(Debug, InputObject)]
pub(crate) struct GoalStepsInput {
    /// The goal's global id or its key.
    pub(crate) goal_id: ID,
    /// How many steps to add, at least 1. Steps beyond what the goal has left are dropped.
    add: Option<i32>,
    /// How many steps are done in all, at least 0. Fewer than are done already change nothing; steps beyond what the
    /// goal has are dropped.
    set_to: Option<i32>,
    /// When they were done, not in the future and at most a year ago (a setting of the server); by default now. Steps
    /// of a week that is over are taken for another 24 hours when this lies in that week.
    occurred_at: Option<Lenient<Timestamp>>,
    /// The caller's reference of these steps, 1 to 255 characters. Steps with the same reference are recorded once for
    /// a user: a repetition records nothing, and is answered as the first time.
    #[graphql(name = "ref")]
    reference: Option<String>,
}

/// The result of one item of `recordGoalSteps`.
#[derive(Debug, SimpleObject)]
pub(crate) struct GoalStepsResult {
    /// The global id of the goal.
    id: ID,
    /// Whether the steps were recorded; UNCHANGED when the goal had no steps left, or the steps were recorded before
    /// under the same ref.
    status: WriteStatus,
    /// How many steps of the goal were done by then. Null when they were refused.
    completed_steps: Option<i32>,
    /// How many of the steps were dropped, because the goal has no more. Null when they were refused.
    clamped_by: Option<i32>,
    /// Why they were refused. Null when they were not.
    error: Option<Refusal>,
}

/// Payload of `recordGoalSteps`.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct RecordGoalStepsPayload {
    #[graphql(flatten)]
    about: UserPayload,
    /// The result of each item, in the order of the input.
    results: List<GoalStepsResult>,
    #[graphql(skip)]
    goals: Vec<ID>,
}

#[ComplexObject]
impl RecordGoalStepsPayload {
    /// The goals that were named, as they stand now, each once.
    async fn goals(&self, context: &Context<'_>) -> Result<List<Ready<GoalProgress>>> {
        let Some((request, own)) = self.about.own(context)? else { return Ok(List::default()) };
        let keys = Kind::Goal.keys(&self.goals);
        GoalProgress::of(request, &own, &keys.well_formed().collect::<Vec<_>>()).await
    }
}

input! {
    /// Input of `correctGoalSteps`.
    CorrectGoalStepsInput, "The user whose goal is corrected; by default the caller.";

    /// The goal's global id or its key.
    goal_id: ID,
    /// How many steps are done, from 0 to the goal's total; may be fewer than before.
    completed_steps: i32,
}

/// Payload of `correctGoalSteps`.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct CorrectGoalStepsPayload {
    #[graphql(flatten)]
    about: UserPayload,
    /// Whether the goal was changed; UNCHANGED when it had these steps before.
    status: WriteStatus,
    #[graphql(skip)]
    goal: ID,
}

#[ComplexObject]
impl CorrectGoalStepsPayload {
    /// The goal. Null when there is no such goal or no such user.
    async fn goal(&self, context: &Context<'_>) -> Nullable<Ready<GoalProgress>> {
        nullable(async {
            let Some((request, own)) = self.about.own(context)? else { return Ok(None) };
            let goal = service::goal(request, &own, Kind::Goal.key(&self.goal)?).await?;
            Ok(goal.map(GoalProgress).map(Ready))
        })
        .await
    }
}

input! {
    /// Input of `claimGoals`.
    ClaimGoalsInput, "The user who claims the rewards; by default the caller.";

    /// Global ids or keys of the goals, at most 1,000; duplicates are fine.
    goal_ids: Vec<ID>,
}

/// The result of claiming one goal's reward.
#[derive(Debug, SimpleObject)]
pub(crate) struct GoalClaimResult {
    /// The global id of the goal.
    id: ID,
    /// The goal as it stands now. Null when there is no such goal or no such user.
    goal: Option<Ready<GoalProgress>>,
    /// Whether the reward was claimed.
    status: ClaimStatus,
    /// What the user got for it, now or before. Null when it was refused.
    credits: Option<CreditAmount>,
    /// Why it was refused. Null when it was not.
    error: Option<Refusal>,
}

/// The outcome of `claimGoals`, from which the payload is made.
#[derive(Debug)]
pub(crate) struct ClaimGoalsPayload {
    about: CreditsPayload,
    claims: Vec<Claim>,
}

/// Payload of `claimGoals`.
#[Object]
impl ClaimGoalsPayload {
    #[graphql(flatten)]
    async fn about(&self) -> &CreditsPayload {
        &self.about
    }

    /// The result of each goal, in the order of the input.
    async fn results(&self, context: &Context<'_>) -> Result<List<GoalClaimResult>> {
        let own = if context.look_ahead().field("goal").exists() { self.about.own(context)? } else { None };
        let keys: Vec<&str> = self.claims.iter().map(|claim| claim.goal.as_str()).collect();
        let goals = match own {
            Some((request, own)) => service::goals(request, &own, &keys).await?,
            None => Vec::new(),
        };
        let goals: HashMap<&str, &GoalStatus> = goals.iter().map(|one| (one.goal.key.as_str(), one)).collect();
        let result = |claim: &Claim| GoalClaimResult {
            id: Kind::Goal.id(&claim.goal),
            goal: goals.get(claim.goal.as_str()).map(|goal| Ready(GoalProgress((*goal).clone()))),
            status: claim.status,
            credits: claim.micros.map(CreditAmount),
            error: claim.refusal.clone(),
        };
        Ok(self.claims.iter().map(result).collect())
    }
}

mutations! {
    /// Mutations of seasons and goals.
    SeasonMutation;

    /// Enrols a user in a season, which may be in the future. Enrolling twice is the same as once. For the user and for
    /// API keys with the scope progress:write. Null with an error when the whole was refused.
    enroll_in_season: about_user(EnrollInSeasonInput, "The season, and the user who enrols.")
        -> EnrollInSeasonPayload;

    /// Records steps of a user's goals. For API keys with the scope progress:write. Null with an error when the whole
    /// was refused.
    record_goal_steps: about_user(RecordGoalStepsInput, "The steps, and the user who made them.")
        -> RecordGoalStepsPayload;

    /// Corrects the steps of a user's goal, at any time. Fewer steps take back no reward. For API keys with the scope
    /// admin. Null with an error when the whole was refused.
    correct_goal_steps: about_user(CorrectGoalStepsInput, "The goal, its correct steps, and the user.")
        -> CorrectGoalStepsPayload;

    /// Claims the rewards of completed goals. Each reward is claimed once, and each goal is decided by itself. For the
    /// user and for API keys with the scope progress:write. Null with an error when the whole was refused.
    claim_goals: about_user(ClaimGoalsInput, "The goals, and the user who claims their rewards.")
        -> ClaimGoalsPayload;
}

about_user! {
    EnrollInSeasonInput: ActingUser => EnrollInSeason => EnrollInSeasonPayload {
        write: |input, user| {
            let season = input.season_id.as_ref().map(|id| Kind::Season.key(id).map(str::to_owned)).transpose()?;
            EnrollInSeason { user, season }
        },
        payload: |_, about, Enrolled { status, season, .. }| EnrollInSeasonPayload { about, status, season },
    }
    RecordGoalStepsInput: RecordedUser => RecordGoalSteps => RecordGoalStepsPayload {
        items: |input| Items::of("steps", Kind::Goal, input.steps.iter().map(|one| &one.goal_id)),
        write: |input, user| {
            RecordGoalSteps { user, steps: input.steps.iter().map(GoalStepsInput::read).collect(), mode: input.mode }
        },
        payload: |input, about, outcome| RecordGoalStepsPayload {
            about,
            results: outcome.into_iter().map(GoalStepsResult::from).collect(),
            goals: input.steps.into_iter().map(|one| one.goal_id).collect(),
        },
    }
    CorrectGoalStepsInput: (Operator, RecordedUser) => CorrectGoalSteps => CorrectGoalStepsPayload {
        write: |input, (operator, user)| {
            let goal = Kind::Goal.key(&input.goal_id)?.to_owned();
            CorrectGoalSteps { operator, user, goal, completed_steps: input.completed_steps }
        },
        payload: |input, about, Corrected { status, .. }| {
            CorrectGoalStepsPayload { about, status, goal: input.goal_id }
        },
    }
    ClaimGoalsInput: ActingUser => ClaimGoals => ClaimGoalsPayload {
        items: |input| Items::of("goalIds", Kind::Goal, &input.goal_ids),
        write: |input, user| {
            ClaimGoals { user, goals: input.goal_ids.iter().map(|id| Kind::Goal.key_or_all(id)).collect() }
        },
        payload: |_, about, claims| ClaimGoalsPayload { about: about.into(), claims },
    }
}

impl GoalStepsInput {
    /// Reads an item; a malformed one is to fail alone.
    pub(crate) fn read(&self) -> NewSteps {
        let invalid = |message: &str| Refusal::new(UserErrorCode::InvalidInput, message);
        let (amount, malformed) = match (self.add, self.set_to) {
            (Some(steps), None) => (StepAmount::Add(steps.into()), None),
            (None, Some(steps)) => (StepAmount::SetTo(steps.into()), None),
            _ => (StepAmount::Add(0), Some(invalid("steps take exactly one of add and setTo"))),
        };
        let (occurred_at, undated) = given(self.occurred_at.as_ref(), "occurredAt");
        NewSteps {
            goal: Kind::Goal.key_or_all(&self.goal_id),
            amount,
            occurred_at,
            reference: self.reference.clone(),
            malformed: malformed.or(undated),
        }
    }
}

impl From<StepsOutcome> for GoalStepsResult {
    fn from(outcome: StepsOutcome) -> Self {
        let StepsOutcome { item, recorded } = outcome;
        Self {
            id: item.id,
            status: item.status,
            completed_steps: recorded.map(|recorded| recorded.completed_steps),
            clamped_by: recorded.map(|recorded| i32::try_from(recorded.clamped_by).unwrap_or(i32::MAX)),
            error: item.error,
        }
    }
}

/// The goals of the current season.
pub(super) async fn overview(asked: &Overview<'_>) -> Result<Found> {
    let (Some(own), Some(timed)) = (asked.own, service::season(asked.request, None)?) else {
        return Ok(Found::default());
    };
    let goals = service::participation(asked.request, own, timed).await?.goals;
    let listed = goals.into_iter().filter(GoalStatus::is_listed);
    Ok(Found::whole(GOALS, listed.map(|goal| Progress::Goal(GoalProgress(goal)))))
}
