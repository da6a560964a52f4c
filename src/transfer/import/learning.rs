//! Progress on resources and instances of study plans, as facts that the feature takes.

use super::{Item, Work, only};
use waymark_kernel::error::Result;
use waymark_learning::told::{ToldInstance, ToldProgress, take_told};

/// Takes progress and instances.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let progress = work.items(only!(ResourceProgress));
    let instances = work.items(only!(StudyPlanInstance));
    if progress.is_empty() && instances.is_empty() {
        return Ok(());
    }
    let told_progress: Vec<_> = progress
        .iter()
        .map(|Item { user, record, origin, .. }| ToldProgress {
            user: *user,
            resource: &record.resource,
            external_id: record.external_id.as_deref(),
            completed: record.completed,
            progress: record.progress,
            time_spent_minutes: record.time_spent_minutes,
            notes: &record.notes,
            erased: work.people.get(user).is_some_and(|person| person.erased),
            completed_at: record.completed_at.map(|at| at.0),
            last_accessed_at: record.last_accessed_at.map(|at| at.0),
            created_at: record.created_at.map(|at| at.0),
            updated_at: record.updated_at.map(|at| at.0),
            origin: *origin,
        })
        .collect();
    let told_instances: Vec<_> = instances
        .iter()
        .map(|Item { user, record, origin, .. }| ToldInstance {
            user: *user,
            number: record.number,
            external_id: record.external_id.as_deref(),
            plan: &record.plan,
            title: record.title.as_deref(),
            resources: record
                .resources
                .as_ref()
                .map(|some| some.iter().map(|one| (one.resource.as_str(), one.marked_at.map(|at| at.0))).collect()),
            created_at: record.created_at.map(|at| at.0),
            updated_at: record.updated_at.map(|at| at.0),
            origin: *origin,
        })
        .collect();
    let (of_progress, of_instances) = take_told(&mut work.unit, &told_progress, &told_instances).await?;
    work.note(progress.iter().map(|item| item.at).zip(of_progress));
    work.note(instances.iter().map(|item| item.at).zip(of_instances));
    Ok(())
}
