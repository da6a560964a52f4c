//! Who takes part in seasons, and steps of goals, which only ever rise.

use std::collections::{BTreeSet, HashMap};

use serde_json::json;

use super::catalogue::unknown;
use super::{Work, only};
use crate::sql;
use waymark_kernel::error::Result;
use waymark_seasons::entity::{enrolment, goal_progress};
use waymark_vocabulary::ids::Kind;
use waymark_write::HistoryKind;

/// Takes enrolments and steps.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    take_enrolments(work).await?;
    take_steps(work).await
}

async fn take_enrolments(work: &mut Work<'_>) -> Result<()> {
    let items = work.items(only!(Enrolment));
    let pairs: BTreeSet<(i64, i64)> =
        items.iter().filter_map(|item| Some((item.user, *work.known.seasons.get(&item.record.season)?))).collect();
    let stored = sql::with_pairs::<enrolment::Model>(work.transaction, "season_id", &pairs).await?;
    let mut stored: BTreeSet<(i64, i64)> = stored.into_iter().map(|row| (row.user_id, row.season_id)).collect();
    let mut rows = Vec::new();
    for item in items {
        let Some(season_id) = work.known.seasons.get(&item.record.season).copied() else {
            work.bad(item.at, unknown("season", &item.record.season));
            continue;
        };
        if !stored.insert((item.user, season_id)) {
            continue;
        }
        let enrolled_at = item.record.at.map_or(work.now, |at| at.0);
        rows.push(enrolment::Model { user_id: item.user, season_id, enrolled_at });
        let subject = (Kind::Season, item.record.season.as_str());
        work.tell((item.user, item.has_history), HistoryKind::Enrolled, subject, &json!({}), enrolled_at)?;
        work.landed(item.at);
    }
    sql::store(work.transaction, &rows).await
}

async fn take_steps(work: &mut Work<'_>) -> Result<()> {
    let items = work.items(only!(GoalProgress));
    let pairs: BTreeSet<(i64, i64)> =
        items.iter().filter_map(|item| Some((item.user, work.known.goals.get(&item.record.goal)?.id))).collect();
    let stored = sql::with_pairs::<goal_progress::Model>(work.transaction, "goal_id", &pairs).await?;
    let mut stored: HashMap<(i64, i64), goal_progress::Model> =
        stored.into_iter().map(|row| ((row.user_id, row.goal_id), row)).collect();
    let mut changed = BTreeSet::new();
    for item in items {
        let record = item.record;
        let Some((goal_id, total_steps)) = work.known.goals.get(&record.goal).map(|goal| (goal.id, goal.total_steps))
        else {
            work.bad(item.at, unknown("goal", &record.goal));
            continue;
        };
        if !(0..=total_steps).contains(&record.completed_steps) {
            work.bad(item.at, format!("the goal {:?} has {total_steps} steps", record.goal));
            continue;
        }
        let place = (item.user, goal_id);
        let before = stored.get(&place);
        if before.is_some_and(|row| row.completed_steps >= record.completed_steps) {
            continue;
        }
        // An older export does not know that steps were taken back.
        if item.has_history && before.is_some_and(|row| record.at.is_none_or(|at| at.0 <= row.updated_at)) {
            continue;
        }
        let steps = before.map_or(0, |row| row.completed_steps);
        let at = record.at.or(record.completed_at).map_or(work.now, |at| at.0);
        let complete = record.completed_steps == total_steps;
        let completed_at = record.completed_at.map_or(at, |at| at.0);
        let row = goal_progress::Model {
            user_id: item.user,
            goal_id,
            completed_steps: record.completed_steps,
            completed_at: complete.then_some(completed_at),
            updated_at: at,
        };
        stored.insert(place, row);
        changed.insert(place);
        let (of, subject) = ((item.user, item.has_history), (Kind::Goal, record.goal.as_str()));
        if record.completed_steps > steps {
            let changes = json!({
                "added": record.completed_steps - steps,
                "completedSteps": record.completed_steps,
                "totalSteps": total_steps,
            });
            work.tell(of, HistoryKind::GoalSteps, subject, &changes, at)?;
        }
        if complete {
            let changes = json!({ "totalSteps": total_steps });
            work.tell(of, HistoryKind::GoalCompleted, subject, &changes, completed_at)?;
        }
        work.landed(item.at);
    }
    let rows: Vec<goal_progress::Model> = changed.iter().filter_map(|place| stored.get(place).cloned()).collect();
    sql::store(work.transaction, &rows).await
}
