//! What stands in the books against deleting things of the catalogue.

use std::collections::BTreeSet;

use super::entity::lot;
use waymark_db::rows;
use waymark_kernel::error::Result;
use waymark_write::Unit;

/// Returns those of these goals of whose reward somebody has a lot.
///
/// # Errors
/// When the database fails.
pub async fn paid(unit: &Unit<'_>, goals: &[i64]) -> Result<BTreeSet<i64>> {
    rows::named_by_users::<lot::Model>(unit.transaction(), lot::Column::GoalId, goals, None).await
}
