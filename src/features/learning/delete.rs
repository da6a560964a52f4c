//! Deleting resources and study plans with which nobody has progress.

use super::entity::{instance, instance_resource, plan, plan_resource, progress, resource};
use super::operate::canonical;
use waymark_db::rows;
use waymark_kernel::error::Result;
use waymark_write::{Deleted, Unit};

/// Deletes a resource that no study plan lists.
///
/// # Errors
/// When the database fails.
pub async fn resource(unit: &Unit<'_>, key: &str) -> Result<Deleted> {
    let transaction = unit.transaction();
    let found = rows::by_key::<resource::Model>(transaction, &canonical(key)).await?;
    // Who only has progress with a resource has not put it into the catalogue.
    let Some(row) = found.filter(|row| row.catalogued) else { return Ok(Deleted::Unknown) };
    let id = [row.id];
    let in_progress = rows::any::<progress::Model>(transaction, "resource_id", &id).await?
        || rows::any::<instance_resource::Model>(transaction, "resource_id", &id).await?;
    if in_progress {
        return Ok(Deleted::IN_PROGRESS);
    }
    if rows::any::<plan_resource::Model>(transaction, "resource_id", &id).await? {
        return Ok(Deleted::InUse("a study plan lists it"));
    }
    rows::remove::<resource::Model>(transaction, "id", &id).await?;
    Ok(Deleted::Done)
}

/// Deletes a study plan of which nobody has an instance.
///
/// # Errors
/// When the database fails.
pub async fn plan(unit: &Unit<'_>, key: &str) -> Result<Deleted> {
    let transaction = unit.transaction();
    let Some(row) = rows::by_key::<plan::Model>(transaction, key).await? else { return Ok(Deleted::Unknown) };
    let id = [row.id];
    if rows::any::<instance::Model>(transaction, "plan_id", &id).await? {
        return Ok(Deleted::IN_PROGRESS);
    }
    rows::remove::<plan_resource::Model>(transaction, "plan_id", &id).await?;
    rows::remove::<plan::Model>(transaction, "id", &id).await?;
    Ok(Deleted::Done)
}
