//! What becomes of a user's learning when the user is merged into another one, or erased.

use super::entity::progress;
use super::repo;
use super::rules;
use waymark_db::owner::Merger;
use waymark_kernel::error::Result;
use waymark_write::Unit;

/// Hands instances and progress over. Of two rows about one resource the better of each figure stays, and the notes of
/// both.
pub async fn merge(unit: &Unit<'_>, merger: Merger) -> Result<()> {
    repo::hand_over_instances(unit.transaction(), merger).await?;
    merger
        .rows::<progress::Entity, _>(
            unit.transaction(),
            |row| row.user_id = merger.into,
            |row| row.resource_id,
            |own, other| progress::Model {
                completed: own.completed || other.completed,
                progress: own.progress.max(other.progress),
                time_spent_minutes: own.time_spent_minutes.max(other.time_spent_minutes),
                notes: rules::joined_notes(&own.notes, &other.notes),
                completed_at: own.completed_at.into_iter().chain(other.completed_at).min(),
                last_accessed_at: own.last_accessed_at.max(other.last_accessed_at),
                created_at: own.created_at.min(other.created_at),
                updated_at: own.updated_at.max(other.updated_at),
                ..own
            },
        )
        .await?;
    Ok(())
}

/// Takes away what a user wrote: notes, and the titles of instances.
pub async fn forget(unit: &Unit<'_>, user: i64) -> Result<()> {
    repo::forget(unit.transaction(), user).await
}
