//! What files tell of seasons and goals: facts with their dates, which come to the same in whatever order they are taken.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::entity::{enrolment, goal_progress};
use super::{Goal, Seasons};
use waymark_db::rows;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_vocabulary::ids::Kind;
use waymark_write::{HistoryKind, Origin, Taken, Unit};

/// That a locked user takes part in a season.
#[derive(Debug)]
pub struct ToldEnrolment<'a> {
    /// The internal id of the user.
    pub user: i64,
    /// The season's key.
    pub season: &'a str,
    /// Since when; `None`: the record does not say.
    pub at: Option<Timestamp>,
    /// Where the record comes from.
    pub origin: Origin,
}

/// How many steps of a goal a locked user has done.
#[derive(Debug)]
pub struct ToldSteps<'a> {
    /// The internal id of the user.
    pub user: i64,
    /// The goal's key.
    pub goal: &'a str,
    /// How many steps are done, 0 or more.
    pub completed_steps: i32,
    /// When the last step was done; `None`: the record does not say, or there are steps left.
    pub completed_at: Option<Timestamp>,
    /// When the steps changed last; `None`: the record does not say.
    pub at: Option<Timestamp>,
    /// Where the record comes from.
    pub origin: Origin,
}

/// Takes what is told of enrolments and steps. Of enrolments and completions the earliest date stays, of steps the most; what
/// an export says of steps that are there counts if it is newer.
pub async fn take_told(
    unit: &mut Unit<'_>,
    enrolments: &[ToldEnrolment<'_>],
    steps: &[ToldSteps<'_>],
) -> Result<(Vec<Taken>, Vec<Taken>)> {
    Ok((take_enrolments(unit, enrolments).await?, take_steps(unit, steps).await?))
}

async fn take_enrolments(unit: &mut Unit<'_>, told: &[ToldEnrolment<'_>]) -> Result<Vec<Taken>> {
    let seasons = unit.catalogue::<Seasons>()?;
    let season = |key| seasons.by_key(key, unit.now).map(|(season, _)| season.id);
    let places: BTreeSet<(i64, i64)> = told.iter().filter_map(|told| Some((told.user, season(told.season)?))).collect();
    let stored = rows::with_pairs::<enrolment::Model>(unit.transaction(), "season_id", &places).await?;
    let mut stored: BTreeMap<(i64, i64), enrolment::Model> =
        stored.into_iter().map(|row| ((row.user_id, row.season_id), row)).collect();
    let mut changed = BTreeSet::new();
    let mut taken = Vec::with_capacity(told.len());
    for one in told {
        let Some(season_id) = seasons.by_key(one.season, unit.now).map(|(season, _)| season.id) else {
            taken.push(Err(format!("there is no season {:?}", one.season)));
            continue;
        };
        let place = (one.user, season_id);
        let enrolled_at = one.at.unwrap_or(unit.now);
        let before = stored.get(&place).map(|row| row.enrolled_at);
        if before.is_some_and(|before| before <= enrolled_at) {
            taken.push(Ok(false));
            continue;
        }
        if before.is_none() && one.origin == Origin::Told {
            unit.record_at(one.user, HistoryKind::Enrolled, (Kind::Season, one.season), &json!({}), enrolled_at)?;
        }
        stored.insert(place, enrolment::Model { user_id: one.user, season_id, enrolled_at });
        changed.insert(place);
        taken.push(Ok(true));
    }
    let rows = changed.iter().filter_map(|place| stored.remove(place)).collect();
    unit.stores().upsert(rows, &[enrolment::Column::EnrolledAt]);
    Ok(taken)
}

async fn take_steps(unit: &mut Unit<'_>, told: &[ToldSteps<'_>]) -> Result<Vec<Taken>> {
    let seasons = unit.catalogue::<Seasons>()?;
    let places = told.iter().filter_map(|told| Some((told.user, seasons.goal(told.goal)?.id))).collect();
    let stored = rows::with_pairs::<goal_progress::Model>(unit.transaction(), "goal_id", &places).await?;
    let mut stored: BTreeMap<(i64, i64), goal_progress::Model> =
        stored.into_iter().map(|row| ((row.user_id, row.goal_id), row)).collect();
    let mut changed = BTreeSet::new();
    let mut taken = Vec::with_capacity(told.len());
    for one in told {
        let Some(goal) = seasons.goal(one.goal) else {
            taken.push(Err(format!("there is no goal {:?}", one.goal)));
            continue;
        };
        // Exports may be older than a goal that has come to ask for fewer steps.
        let is_possible = (0..=goal.total_steps).contains(&one.completed_steps) || one.origin == Origin::Restored;
        if !is_possible {
            taken.push(Err(format!("the goal {:?} has {} steps", one.goal, goal.total_steps)));
            continue;
        }
        let place = (one.user, goal.id);
        let before = stored.get(&place);
        let after = merged(goal, before, one, unit.now);
        let is_nothing = before.is_none() && after.completed_steps == 0 && one.origin == Origin::Told;
        if is_nothing || before == Some(&after) {
            taken.push(Ok(false));
            continue;
        }
        if one.origin == Origin::Told {
            tell(unit, goal, before, &after)?;
        }
        stored.insert(place, after);
        changed.insert(place);
        taken.push(Ok(true));
    }
    use goal_progress::Column;
    let rows = changed.iter().filter_map(|place| stored.remove(place)).collect();
    unit.stores().upsert(rows, &[Column::CompletedSteps, Column::CompletedAt, Column::UpdatedAt]);
    Ok(taken)
}

/// Returns what is stored of steps after something was told of them.
fn merged(
    goal: &Goal,
    before: Option<&goal_progress::Model>,
    told: &ToldSteps<'_>,
    now: Timestamp,
) -> goal_progress::Model {
    let completed_steps = told.completed_steps.clamp(0, goal.total_steps);
    let at = told.at.or(told.completed_at).unwrap_or(now);
    let completed_at = (completed_steps == goal.total_steps).then(|| told.completed_at.unwrap_or(at));
    let row =
        goal_progress::Model { user_id: told.user, goal_id: goal.id, completed_steps, completed_at, updated_at: at };
    let Some(before) = before else { return row };
    match told.origin {
        Origin::Restored if (at, completed_steps) > (before.updated_at, before.completed_steps) => row,
        Origin::Restored => before.clone(),
        Origin::Told if completed_steps < before.completed_steps => before.clone(),
        Origin::Told if completed_steps > before.completed_steps => row,
        Origin::Told => goal_progress::Model {
            completed_at: before.completed_at.into_iter().chain(completed_at).min(),
            updated_at: before.updated_at.min(at),
            ..row
        },
    }
}

/// Tells a history what changed.
fn tell(
    unit: &mut Unit<'_>,
    goal: &Goal,
    before: Option<&goal_progress::Model>,
    after: &goal_progress::Model,
) -> Result<()> {
    let subject = (Kind::Goal, goal.key.as_str());
    let (steps, completed_at) = before.map_or((0, None), |row| (row.completed_steps, row.completed_at));
    let total = goal.total_steps;
    if after.completed_steps > steps {
        let added = after.completed_steps - steps;
        let changes = json!({ "added": added, "completedSteps": after.completed_steps, "totalSteps": total });
        unit.record_at(after.user_id, HistoryKind::GoalSteps, subject, &changes, after.updated_at)?;
    }
    if let Some(at) = after.completed_at.filter(|at| completed_at != Some(*at)) {
        let changes = json!({ "totalSteps": total });
        unit.record_at(after.user_id, HistoryKind::GoalCompleted, subject, &changes, at)?;
    }
    Ok(())
}
