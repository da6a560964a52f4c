//! Reading a user's season.

use std::collections::HashMap;
use std::sync::Arc;

use super::loader::{ConcernedBy, SeasonOf};
pub use super::repo::Concerned;
pub use super::repo::RECORDS;
use super::repo::{Fact, Steps};
use super::rules::{self, ClaimFacts, ClaimRefusal, GoalState, SeasonClock};
use super::{Goal, Season, Seasons};
use waymark_auth::policy::{self, Operator, OwnUser};
use waymark_credits as credits;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_request::Request;
use waymark_vocabulary::ids::Kind;

/// A season with its clock read.
#[derive(Debug, Clone)]
pub struct Timed {
    /// The season as the catalogue has it.
    pub season: Arc<Season>,
    /// When it starts, pushed back where the season before it lasts longer.
    pub starts_at: Timestamp,
    /// What its clock says at the instant of the request.
    pub clock: SeasonClock,
}

/// A user in a season.
#[derive(Debug, Clone)]
pub struct Participation {
    /// The season, with its clock at the instant of the request.
    pub timed: Timed,
    /// When the user enrolled in the season; `None`: not at all.
    pub enrolled_at: Option<Timestamp>,
    /// One for each goal of the season, in the operator's order.
    pub goals: Vec<GoalStatus>,
}

/// How far a user is with a goal.
#[derive(Debug, Clone)]
pub struct GoalStatus {
    /// Whose goal it is, all of whose progress the caller may see.
    pub user: OwnUser,
    /// The goal as the catalogue has it.
    pub goal: Arc<Goal>,
    /// The steps the user has made, and whether the reward was claimed.
    pub steps: Steps,
    /// Where the goal stands for the user at the instant of the request.
    pub state: GoalState,
    /// What a claim would be refused with now, before budgets are looked at.
    pub refusal: Option<ClaimRefusal>,
}

impl GoalStatus {
    /// Whether it stands in lists: a goal that was retired only does for who has made steps of it, or claimed it.
    pub fn is_listed(&self) -> bool {
        self.goal.retired_at.is_none() || self.steps.completed_steps > 0 || self.steps.claimed_at.is_some()
    }
}

/// The season with this id; without one, the current season. `None` when there is none.
pub fn season(request: &Request, id: Option<&str>) -> Result<Option<Timed>> {
    let seasons = request.catalogue::<Seasons>()?;
    let found = match id {
        Some(id) => seasons.by_key(Kind::Season.key(id)?, request.now()),
        None => seasons.current(request.now()),
    };
    Ok(found.map(|(season, schedule)| Timed {
        season: Arc::clone(season),
        starts_at: schedule.starts_at,
        clock: schedule.clock(request.now()),
    }))
}

/// The seasons that the caller finds in lists, by their start.
pub fn seasons(request: &Request) -> Result<Vec<Timed>> {
    let all = policy::sees_retired(&request.caller);
    let seasons = request.catalogue::<Seasons>()?.scheduled(request.now());
    Ok(seasons
        .filter(|(season, _)| all || season.retired_at.is_none())
        .map(|(season, schedule)| Timed {
            season: Arc::clone(season),
            starts_at: schedule.starts_at,
            clock: schedule.clock(request.now()),
        })
        .collect())
}

/// A user in a season.
pub async fn participation(request: &Request, user: &OwnUser, timed: Timed) -> Result<Participation> {
    let (facts, blocked) = futures_util::try_join!(
        request.load.one(SeasonOf { user: user.key(), season: timed.season.id }),
        credits::service::is_blocked_for_claiming(request, user),
    )?;
    let facts = facts.unwrap_or_default();
    let enrolled_at = facts.iter().find_map(|fact| match fact {
        Fact::Enrolled(at) => Some(*at),
        Fact::Goal(_) => None,
    });
    let steps: HashMap<i64, Steps> = facts
        .iter()
        .filter_map(|fact| match fact {
            Fact::Goal(steps) => Some((steps.goal_id, *steps)),
            Fact::Enrolled(_) => None,
        })
        .collect();
    let goals = timed.season.goals.iter().map(|goal| {
        let mut steps = steps.get(&goal.id).copied().unwrap_or_default();
        // The operator may have lowered the total since.
        steps.completed_steps = steps.completed_steps.clamp(0, goal.total_steps);
        let claimed = steps.claimed_at.is_some();
        let is_retired = goal.retired_at.is_some() || timed.season.retired_at.is_some();
        let facts = ClaimFacts {
            week: goal.week,
            total_steps: goal.total_steps,
            completed_steps: steps.completed_steps,
            claimed,
            blocked,
            enrolled: enrolled_at.is_some(),
        };
        GoalStatus {
            user: user.clone(),
            goal: Arc::clone(goal),
            steps,
            state: match rules::goal_state(goal.week, goal.total_steps, steps.completed_steps, claimed, &timed.clock) {
                // No more steps are taken.
                GoalState::Locked | GoalState::Open if is_retired => GoalState::Missed,
                state => state,
            },
            refusal: rules::claimable(&facts, &timed.clock).err(),
        }
    });
    Ok(Participation { enrolled_at, goals: goals.collect(), timed })
}

/// How far a user is with the goal of this key; `None` when the catalogue has none.
pub async fn goal(request: &Request, user: &OwnUser, key: &str) -> Result<Option<GoalStatus>> {
    let seasons = request.catalogue::<Seasons>()?;
    let Some((season, schedule)) = seasons.goal(key).and_then(|goal| seasons.by_id(goal.season_id, request.now()))
    else {
        return Ok(None);
    };
    let clock = schedule.clock(request.now());
    let timed = Timed { season: Arc::clone(season), starts_at: schedule.starts_at, clock };
    let goals = participation(request, user, timed).await?.goals;
    Ok(goals.into_iter().find(|status| status.goal.key == key))
}

/// How far a user is with the goals of these keys, in their order; those that the catalogue does not have are left out.
pub async fn goals(request: &Request, user: &OwnUser, keys: &[&str]) -> Result<Vec<GoalStatus>> {
    let seasons = request.catalogue::<Seasons>()?;
    let mut concerned: Vec<i64> = keys.iter().filter_map(|key| seasons.goal(key)).map(|goal| goal.season_id).collect();
    concerned.sort_unstable();
    concerned.dedup();
    let mut all = HashMap::new();
    for id in concerned {
        let Some((season, schedule)) = seasons.by_id(id, request.now()) else { continue };
        let clock = schedule.clock(request.now());
        let timed = Timed { season: Arc::clone(season), starts_at: schedule.starts_at, clock };
        let goals = participation(request, user, timed).await?.goals;
        all.extend(goals.into_iter().map(|status| (status.goal.key.clone(), status)));
    }
    Ok(keys.iter().filter_map(|key| all.remove(*key)).collect())
}

impl Timed {
    /// The goals that the caller finds in the season, in the operator's order.
    pub fn listed_goals(&self, request: &Request) -> impl Iterator<Item = &Arc<Goal>> + use<'_> {
        let all = policy::sees_retired(&request.caller);
        self.season.goals.iter().filter(move |goal| all || goal.retired_at.is_none())
    }

    /// The season-wide goals and those of the current week, without retired ones.
    pub fn current_goals(&self) -> impl Iterator<Item = &Arc<Goal>> {
        let goals = self.season.goals.iter().filter(|goal| goal.retired_at.is_none());
        goals.filter(|goal| rules::is_current_goal(goal.week, &self.clock))
    }
}

impl Participation {
    /// The goals of the season; retired ones only where the user has made steps.
    pub fn listed_goals(&self) -> impl Iterator<Item = &GoalStatus> {
        self.goals.iter().filter(|status| status.is_listed())
    }

    /// Of these the season-wide ones and those of the current week.
    pub fn current_goals(&self) -> impl Iterator<Item = &GoalStatus> {
        self.listed_goals().filter(|status| rules::is_current_goal(status.goal.week, &self.timed.clock))
    }
}

/// How many users an edit of the season of this key concerns; none when there is no such season.
pub async fn concerned(request: &Request, _operator: Operator, key: &str) -> Result<Concerned> {
    let seasons = request.catalogue::<Seasons>()?;
    let Some((season, _)) = seasons.by_key(key, request.now()) else { return Ok(Concerned::default()) };
    Ok(request.load.one(ConcernedBy(season.id)).await?.unwrap_or_default())
}
