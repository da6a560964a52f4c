//! Deleting resources and study plans with which nobody has progress.

use super::entity::{instance, instance_resource, plan, plan_resource, progress, resource};
use super::operate::canonical;
use waymark_db::rows;
use waymark_kernel::error::Result;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::UserErrorCode;
use waymark_write::{Deletable, Deleted, Deletion, Unit};

/// What can be deleted, type by type.
pub const DELETIONS: &[Deletion] = &[
    Deletion {
        kind: Kind::Resource,
        unknown: UserErrorCode::UnknownResource,
        action: "DELETE_RESOURCE",
        against: |unit, key| Box::pin(async move { Ok(deletable_resource(unit, key).await?.err()) }),
        delete: |unit, key| Box::pin(resource(unit, key)),
    },
    Deletion {
        kind: Kind::StudyPlan,
        unknown: UserErrorCode::UnknownStudyPlan,
        action: "DELETE_STUDY_PLAN",
        against: |unit, key| Box::pin(async move { Ok(deletable_plan(unit, key).await?.err()) }),
        delete: |unit, key| Box::pin(plan(unit, key)),
    },
];

/// Returns the resource with this key, if nobody has progress with it and no study plan lists it.
///
/// # Errors
/// When the database fails.
async fn deletable_resource(unit: &Unit<'_>, key: &str) -> Result<Deletable<resource::Model>> {
    let transaction = unit.transaction();
    let found = rows::by_key::<resource::Model>(transaction, &canonical(key)).await?;
    // Who only has progress with a resource has not put it into the catalogue.
    let Some(row) = found.filter(|row| row.catalogued) else { return Ok(Err(Deleted::Unknown)) };
    if rows::anybody::<progress::Model>(transaction, "resource_id", row.id).await?
        || rows::anybody::<instance_resource::Model>(transaction, "resource_id", row.id).await?
    {
        return Ok(Err(Deleted::IN_PROGRESS));
    }
    if rows::any::<plan_resource::Model>(transaction, "resource_id", &[row.id]).await? {
        return Ok(Err(Deleted::InUse("a study plan lists it")));
    }
    Ok(Ok(row))
}

/// Deletes a resource that no study plan lists.
///
/// # Errors
/// When the database fails.
async fn resource(unit: &Unit<'_>, key: &str) -> Result<Deleted> {
    Ok(match deletable_resource(unit, key).await? {
        Ok(row) => {
            rows::remove::<resource::Model>(unit.transaction(), "id", &[row.id]).await?;
            Deleted::Done
        }
        Err(stays) => stays,
    })
}

/// Returns the study plan with this key, if nobody has an instance of it.
///
/// # Errors
/// When the database fails.
async fn deletable_plan(unit: &Unit<'_>, key: &str) -> Result<Deletable<plan::Model>> {
    let transaction = unit.transaction();
    let Some(row) = rows::by_key::<plan::Model>(transaction, key).await? else { return Ok(Err(Deleted::Unknown)) };
    let is_in_progress = rows::anybody::<instance::Model>(transaction, "plan_id", row.id).await?;
    Ok(if is_in_progress { Err(Deleted::IN_PROGRESS) } else { Ok(row) })
}

/// Deletes a study plan with the list of its resources.
///
/// # Errors
/// When the database fails.
async fn plan(unit: &Unit<'_>, key: &str) -> Result<Deleted> {
    let id = match deletable_plan(unit, key).await? {
        Ok(row) => [row.id],
        Err(stays) => return Ok(stays),
    };
    rows::remove::<plan_resource::Model>(unit.transaction(), "plan_id", &id).await?;
    rows::remove::<plan::Model>(unit.transaction(), "id", &id).await?;
    Ok(Deleted::Done)
}
