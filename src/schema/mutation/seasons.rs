//! Mutations of seasons and goals.

use std::collections::HashMap;

use async_graphql::{Context, Enum, ID, InputObject, Object, SimpleObject};

use super::changes::Changes;
use super::credits::account;
use super::{check_items, given, shown, shown_for, subject};
use crate::user::User;
use waymark_auth::policy;
use waymark_credits::graphql::{CreditAccount, CreditAmount};
use waymark_graphql_kit::context::{Nullable, present};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::ready::Ready;
use waymark_graphql_kit::scalars::Lenient;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_request::Ask as _;
use waymark_request::Request;
use waymark_seasons::graphql::{GoalProgress, SeasonProgress};
use waymark_seasons::rules::StepAmount;
use waymark_seasons::service;
use waymark_seasons::service::GoalStatus;
use waymark_seasons::write::{
    ClaimGoals, ClaimStatus as Claimed, CorrectGoalSteps, EnrollInSeason, NewSteps, RecordGoalSteps, StepsOutcome,
};
use waymark_users::graphql::UserBy;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{BulkMode, Refusal, UserErrorCode, WriteStatus, refusals};

/// Input of `enrollInSeason`.
#[derive(Debug, InputObject)]
pub(crate) struct EnrollInSeasonInput {
    /// The user who enrols; by default the caller.
    user: Option<UserBy>,
    /// The season's global id or its key; by default the current season.
    season_id: Option<ID>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Payload of `enrollInSeason`.
#[derive(Debug, SimpleObject)]
pub(crate) struct EnrollInSeasonPayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// APPLIED when the user takes part from now on, UNCHANGED when the user did before.
    status: WriteStatus,
    /// The user in the season. Null when there is no such season, or when the user has been merged or erased since.
    season: Option<Ready<SeasonProgress>>,
    /// What was refused; empty when all was done.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// Input of `recordGoalSteps`.
#[derive(Debug, InputObject)]
pub(crate) struct RecordGoalStepsInput {
    /// The user who made the steps; by default the caller.
    user: Option<UserBy>,
    /// The steps, at most 1,000 items; the same goal may come more than once.
    steps: Vec<GoalStepsInput>,
    /// Whether the good items are done when others are refused.
    #[graphql(default)]
    mode: BulkMode,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Steps of a goal that are recorded: exactly one of `add` and `setTo`.
#[derive(Debug, InputObject)]
pub(crate) struct GoalStepsInput {
    /// The goal's global id or its key.
    pub(super) goal_id: ID,
    /// How many steps to add, at least 1. Steps beyond what the goal has left are dropped.
    add: Option<i32>,
    /// How many steps are done in all, at least 0. Fewer than are done already change nothing; steps beyond what the goal
    /// has are dropped.
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
pub(crate) struct RecordGoalStepsPayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// The result of each item, in the order of the input.
    results: List<GoalStepsResult>,
    /// The goals that were named, as they stand now, each once.
    goals: List<Ready<GoalProgress>>,
    /// What was refused; empty when all was done.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// Input of `correctGoalSteps`.
#[derive(Debug, InputObject)]
pub(crate) struct CorrectGoalStepsInput {
    /// The user whose goal is corrected; by default the caller.
    user: Option<UserBy>,
    /// The goal's global id or its key.
    goal_id: ID,
    /// How many steps are done, from 0 to the goal's total; may be fewer than before.
    completed_steps: i32,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Payload of `correctGoalSteps`.
#[derive(Debug, SimpleObject)]
pub(crate) struct CorrectGoalStepsPayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// Whether the goal was changed; UNCHANGED when it had these steps before.
    status: WriteStatus,
    /// The goal. Null when there is no such goal, or when the user has been merged or erased since.
    goal: Option<Ready<GoalProgress>>,
    /// What was refused; empty when all was done.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// Input of `claimGoals`.
#[derive(Debug, InputObject)]
pub(crate) struct ClaimGoalsInput {
    /// The user who claims the rewards; by default the caller.
    user: Option<UserBy>,
    /// Global ids or keys of the goals, at most 1,000; duplicates are fine.
    goal_ids: Vec<ID>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// The result of claiming a goal's reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[graphql(remote = "Claimed")]
pub enum ClaimStatus {
    /// The user got the reward.
    Claimed,
    /// The user had got the reward before, and got nothing now. Nothing is wrong.
    AlreadyClaimed,
    /// It was refused; the error says why.
    Refused,
}

/// The result of claiming one goal's reward.
#[derive(Debug, SimpleObject)]
pub(crate) struct GoalClaimResult {
    /// The global id of the goal.
    id: ID,
    /// The goal as it stands now. Null when there is no such goal, or when the user has been merged or erased since.
    goal: Option<Ready<GoalProgress>>,
    /// Whether the reward was claimed.
    status: ClaimStatus,
    /// What the user got for it, now or before. Null when it was refused.
    credits: Option<CreditAmount>,
    /// Why it was refused. Null when it was not.
    error: Option<Refusal>,
}

/// Payload of `claimGoals`.
#[derive(Debug, SimpleObject)]
pub(crate) struct ClaimGoalsPayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// The result of each goal, in the order of the input.
    results: List<GoalClaimResult>,
    /// The user's credits. Null only when the user has been merged or erased since.
    credits: Option<Ready<CreditAccount>>,
    /// What was refused; empty when all was done.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// Mutations of seasons and goals.
#[derive(Debug, Default)]
pub(crate) struct SeasonMutation;

#[Object]
impl SeasonMutation {
    /// Enrols a user in a season, which may be in the future. Enrolling twice is the same as once. For the user and for
    /// API keys with the scope progress:write. Null with an error when the whole was refused.
    async fn enroll_in_season(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The season, and the user who enrols.")] input: EnrollInSeasonInput,
    ) -> Nullable<EnrollInSeasonPayload> {
        present(async {
            let request = context.ask()?;
            let stored = subject(request, input.user).await?;
            let user = policy::act_for(&request.caller, &stored.subject)?;
            let key = input.season_id.as_ref().map(|id| Kind::Season.key(id).map(str::to_owned)).transpose()?;
            let written = request.write(EnrollInSeason { user, season: key }, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            let user = shown(request, &stored).await?;
            let outcome = written.outcome;
            let season = match (&user, &outcome.season) {
                (Some(user), Some(key)) => participation(request, user, key).await?,
                _ => None,
            };
            let at = |refusal: Refusal| refusal.at(["seasonId"]);
            let user_errors = outcome.refusal.map(at).into_iter().collect();
            Ok(EnrollInSeasonPayload { user, status: outcome.status, season, user_errors, changes })
        })
        .await
    }

    /// Records steps of a user's goals. For API keys with the scope progress:write. Null with an error when the whole
    /// was refused.
    async fn record_goal_steps(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The steps, and the user who made them.")] input: RecordGoalStepsInput,
    ) -> Nullable<RecordGoalStepsPayload> {
        present(async {
            let request = context.ask()?;
            check_items(request, "steps", input.steps.len())?;
            let stored = subject(request, input.user).await?;
            let user = policy::record_for(&request.caller, &stored.subject)?;
            let steps: Vec<NewSteps> = input.steps.into_iter().map(GoalStepsInput::read).collect();
            let keys: Vec<String> = steps.iter().map(|steps| steps.goal.clone()).collect();
            let write = RecordGoalSteps { user, steps, mode: input.mode };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            let user = shown_for(context, &stored, &["user", "goals"]).await?;
            let asked = user.as_ref().filter(|_| context.look_ahead().field("goals").exists());
            let goals = goals(request, asked, keys.iter().map(String::as_str)).await?;
            Ok(RecordGoalStepsPayload {
                user,
                user_errors: refusals("steps", written.outcome.iter().map(|result| &result.item)).into(),
                results: written.outcome.into_iter().map(GoalStepsResult::from).collect(),
                goals: goals.into_iter().map(GoalProgress).map(Ready).collect(),
                changes,
            })
        })
        .await
    }

    /// Corrects the steps of a user's goal, at any time. Fewer steps take back no reward. For API keys with the scope
    /// admin. Null with an error when the whole was refused.
    async fn correct_goal_steps(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The goal, its correct steps, and the user.")] input: CorrectGoalStepsInput,
    ) -> Nullable<CorrectGoalStepsPayload> {
        present(async {
            let request = context.ask()?;
            let operator = policy::operate(&request.caller)?;
            let stored = subject(request, input.user).await?;
            let user = policy::record_for(&request.caller, &stored.subject)?;
            let goal = Kind::Goal.key(&input.goal_id)?.to_owned();
            let write = CorrectGoalSteps { operator, user, goal: goal.clone(), completed_steps: input.completed_steps };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            let user = shown(request, &stored).await?;
            let goals = goals(request, user.as_ref(), std::iter::once(goal.as_str())).await?;
            Ok(CorrectGoalStepsPayload {
                user,
                status: written.outcome.status,
                goal: goals.into_iter().next().map(GoalProgress).map(Ready),
                user_errors: written.outcome.refusal.into_iter().collect(),
                changes,
            })
        })
        .await
    }

    /// Claims the rewards of completed goals. Each reward is claimed once, and each goal is decided by itself. For the
    /// user and for API keys with the scope progress:write. Null with an error when the whole was refused.
    async fn claim_goals(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The goals, and the user who claims their rewards.")] input: ClaimGoalsInput,
    ) -> Nullable<ClaimGoalsPayload> {
        present(async {
            let request = context.ask()?;
            check_items(request, "goals", input.goal_ids.len())?;
            let stored = subject(request, input.user).await?;
            let user = policy::act_for(&request.caller, &stored.subject)?;
            let keys = input.goal_ids.iter().map(|id| Kind::Goal.key_or_all(id)).collect();
            let written = request.write(ClaimGoals { user, goals: keys }, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            let user = shown_for(context, &stored, &["user", "credits", "results.goal"]).await?;
            let claims = written.outcome;
            let asked = user.as_ref().filter(|_| context.look_ahead().field("results").field("goal").exists());
            let goals = goals(request, asked, claims.iter().map(|claim| claim.goal.as_str())).await?;
            let goals: HashMap<&str, &GoalStatus> = goals.iter().map(|one| (one.goal.key.as_str(), one)).collect();
            let mut user_errors = Vec::new();
            let mut results = Vec::with_capacity(claims.len());
            for (place, claim) in claims.into_iter().enumerate() {
                let at = |refusal: &Refusal| refusal.clone().at(["goalIds".to_owned(), place.to_string()]);
                user_errors.extend(claim.refusal.as_ref().map(at));
                results.push(GoalClaimResult {
                    id: Kind::Goal.id(&claim.goal),
                    goal: goals.get(claim.goal.as_str()).map(|goal| Ready(GoalProgress((*goal).clone()))),
                    status: claim.status.into(),
                    credits: claim.micros.map(CreditAmount),
                    error: claim.refusal,
                });
            }
            let credits = account(context, user.as_ref()).await?;
            Ok(ClaimGoalsPayload { user, results: results.into(), credits, user_errors: user_errors.into(), changes })
        })
        .await
    }
}

impl GoalStepsInput {
    /// Reads an item; a malformed one is to fail alone.
    pub(super) fn read(self) -> NewSteps {
        let invalid = |message: &str| Refusal::new(UserErrorCode::InvalidInput, message);
        let (amount, malformed) = match (self.add, self.set_to) {
            (Some(steps), None) => (StepAmount::Add(steps.into()), None),
            (None, Some(steps)) => (StepAmount::SetTo(steps.into()), None),
            _ => (StepAmount::Add(0), Some(invalid("steps take exactly one of add and setTo"))),
        };
        let (occurred_at, undated) = given(self.occurred_at, "occurredAt");
        NewSteps {
            goal: Kind::Goal.key_or_all(&self.goal_id),
            amount,
            occurred_at,
            reference: self.reference,
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

/// How far a user is with the goals of these keys, each once; those that the catalogue does not have are left out.
async fn goals<'a>(
    request: &Request,
    user: Option<&User>,
    keys: impl Iterator<Item = &'a str>,
) -> Result<Vec<GoalStatus>> {
    let Some(user) = user else { return Ok(Vec::new()) };
    service::goals(request, user.own()?, &keys.collect::<Vec<_>>()).await
}

async fn participation(request: &Request, user: &User, season: &str) -> Result<Option<Ready<SeasonProgress>>> {
    let Some(timed) = service::season(request, Some(season))? else { return Ok(None) };
    let participation = service::participation(request, user.own()?, timed).await?;
    Ok(Some(Ready(SeasonProgress(participation))))
}
