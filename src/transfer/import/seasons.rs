//! Enrolments and steps of goals, as facts that the feature takes.

use super::{Item, Work, only};
use waymark_kernel::error::Result;
use waymark_seasons::told::{ToldEnrolment, ToldSteps, take_told};

/// Takes enrolments and steps.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let enrolments = work.items(only!(Enrolment));
    let steps = work.items(only!(GoalProgress));
    if enrolments.is_empty() && steps.is_empty() {
        return Ok(());
    }
    let told_enrolments: Vec<_> = enrolments
        .iter()
        .map(|Item { user, record, origin, .. }| ToldEnrolment {
            user: *user,
            season: &record.season,
            at: record.at.map(|at| at.0),
            origin: *origin,
        })
        .collect();
    let told_steps: Vec<_> = steps
        .iter()
        .map(|Item { user, record, origin, .. }| ToldSteps {
            user: *user,
            goal: &record.goal,
            completed_steps: record.completed_steps,
            completed_at: record.completed_at.map(|at| at.0),
            at: record.at.map(|at| at.0),
            origin: *origin,
        })
        .collect();
    let (of_enrolments, of_steps) = take_told(&mut work.unit, &told_enrolments, &told_steps).await?;
    work.note(enrolments.iter().map(|item| item.at).zip(of_enrolments));
    work.note(steps.iter().map(|item| item.at).zip(of_steps));
    Ok(())
}
