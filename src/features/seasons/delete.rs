//! Deleting seasons and goals with which nobody has progress.

use std::collections::BTreeSet;

use super::Seasons;
use super::entity::{budget, enrolment, goal, pause, season, week};
use super::repo;
use waymark_credits::delete::paid;
use waymark_db::catalogue::Part as _;
use waymark_db::rows;
use waymark_kernel::error::Result;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::UserErrorCode;
use waymark_write::{Deletable, Deleted, Deletion, Unit};

/// What can be deleted, type by type.
pub const DELETIONS: &[Deletion] = &[
    Deletion {
        kind: Kind::Season,
        unknown: UserErrorCode::UnknownSeason,
        action: "DELETE_SEASON",
        against: |unit, key| Box::pin(async move { Ok(deletable_season(unit, key).await?.err()) }),
        delete: |unit, key| Box::pin(season(unit, key)),
    },
    Deletion {
        kind: Kind::Goal,
        unknown: UserErrorCode::UnknownGoal,
        action: "DELETE_GOAL",
        against: |unit, key| Box::pin(async move { Ok(deletable_goal(unit, key).await?.err()) }),
        delete: |unit, key| Box::pin(goal(unit, key)),
    },
];

/// Returns the season with this key, if nobody takes part in it and nothing else stands against deleting it.
///
/// # Errors
/// When the database fails.
async fn deletable_season(unit: &Unit<'_>, key: &str) -> Result<Deletable<season::Model>> {
    let transaction = unit.transaction();
    let Some(row) = rows::by_key::<season::Model>(transaction, key).await? else { return Ok(Err(Deleted::Unknown)) };
    let goals = rows::with_int::<goal::Model>(transaction, "season_id", &[row.id]).await?;
    let goals: Vec<i64> = goals.into_iter().map(|goal| goal.id).collect();
    if rows::anybody::<enrolment::Model>(transaction, "season_id", row.id).await?
        || !in_progress(unit, &goals).await?.is_empty()
    {
        return Ok(Err(Deleted::IN_PROGRESS));
    }
    let seasons = Seasons::read(transaction).await?;
    let mut next = seasons.scheduled(unit.now).skip_while(|(season, _)| season.key != key).skip(1);
    if next.next().is_some_and(|(season, schedule)| season.starts_at != schedule.starts_at) {
        return Ok(Err(Deleted::InUse("its pauses push back the season behind it")));
    }
    Ok(Ok(row))
}

/// Deletes a season with its goals.
///
/// # Errors
/// When the database fails.
async fn season(unit: &Unit<'_>, key: &str) -> Result<Deleted> {
    let transaction = unit.transaction();
    let id = match deletable_season(unit, key).await? {
        Ok(row) => [row.id],
        Err(stays) => return Ok(stays),
    };
    rows::remove::<pause::Model>(transaction, "season_id", &id).await?;
    rows::remove::<week::Model>(transaction, "season_id", &id).await?;
    rows::remove::<budget::Model>(transaction, "season_id", &id).await?;
    rows::remove::<goal::Model>(transaction, "season_id", &id).await?;
    rows::remove::<season::Model>(transaction, "id", &id).await?;
    Ok(Deleted::Done)
}

/// Returns the goal with this key, if nobody has progress with it.
///
/// # Errors
/// When the database fails.
async fn deletable_goal(unit: &Unit<'_>, key: &str) -> Result<Deletable<goal::Model>> {
    let Some(row) = rows::by_key::<goal::Model>(unit.transaction(), key).await? else {
        return Ok(Err(Deleted::Unknown));
    };
    let is_in_progress = !in_progress(unit, &[row.id]).await?.is_empty();
    Ok(if is_in_progress { Err(Deleted::IN_PROGRESS) } else { Ok(row) })
}

/// Deletes a goal.
///
/// # Errors
/// When the database fails.
async fn goal(unit: &Unit<'_>, key: &str) -> Result<Deleted> {
    Ok(match deletable_goal(unit, key).await? {
        Ok(row) => {
            repo::remove_goals(unit.transaction(), vec![row.id]).await?;
            Deleted::Done
        }
        Err(stays) => stays,
    })
}

/// Returns those of these goals that stay: somebody has made steps of them, claimed them, or has a lot that they paid.
pub(super) async fn in_progress(unit: &Unit<'_>, goals: &[i64]) -> Result<BTreeSet<i64>> {
    let mut touched = repo::touched_goals(unit.transaction(), goals).await?;
    touched.extend(paid(unit, goals).await?);
    Ok(touched)
}
