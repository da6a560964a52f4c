//! What stands in the books against deleting things of the catalogue.

use super::entity::lot;
use waymark_db::rows;
use waymark_kernel::error::Result;
use waymark_write::Unit;

/// Tells whether somebody has a lot with the reward of one of these goals.
///
/// # Errors
/// When the database fails.
pub async fn has_paid(unit: &Unit<'_>, goals: &[i64]) -> Result<bool> {
    rows::any::<lot::Model>(unit.transaction(), "goal_id", goals).await
}
