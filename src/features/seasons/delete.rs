//! Deleting seasons and goals with which nobody has progress.

use super::Seasons;
use super::entity::{budget, enrolment, goal, pause, season, week};
use super::repo;
use waymark_credits::delete::has_paid;
use waymark_db::rows;
use waymark_kernel::error::Result;
use waymark_write::{Deleted, Unit};

/// Deletes a season, in which nobody takes part, with its goals.
///
/// # Errors
/// When the database fails.
pub async fn season(unit: &Unit<'_>, key: &str) -> Result<Deleted> {
    let transaction = unit.transaction();
    let Some(row) = rows::by_key::<season::Model>(transaction, key).await? else { return Ok(Deleted::Unknown) };
    let id = [row.id];
    let goals = rows::with_int::<goal::Model>(transaction, "season_id", &id).await?;
    let goals = goals.into_iter().map(|goal| goal.id).collect();
    if rows::any::<enrolment::Model>(transaction, "season_id", &id).await? || is_touched(unit, goals).await? {
        return Ok(Deleted::IN_PROGRESS);
    }
    let seasons = unit.catalogue::<Seasons>()?;
    let mut next = seasons.scheduled(unit.now).skip_while(|(season, _)| season.key != key).skip(1);
    if next.next().is_some_and(|(season, schedule)| season.starts_at != schedule.starts_at) {
        return Ok(Deleted::InUse("its pauses push back the season behind it"));
    }
    rows::remove::<pause::Model>(transaction, "season_id", &id).await?;
    rows::remove::<week::Model>(transaction, "season_id", &id).await?;
    rows::remove::<budget::Model>(transaction, "season_id", &id).await?;
    rows::remove::<goal::Model>(transaction, "season_id", &id).await?;
    rows::remove::<season::Model>(transaction, "id", &id).await?;
    Ok(Deleted::Done)
}

/// Deletes a goal.
///
/// # Errors
/// When the database fails.
pub async fn goal(unit: &Unit<'_>, key: &str) -> Result<Deleted> {
    let transaction = unit.transaction();
    let Some(row) = rows::by_key::<goal::Model>(transaction, key).await? else { return Ok(Deleted::Unknown) };
    if is_touched(unit, vec![row.id]).await? {
        return Ok(Deleted::IN_PROGRESS);
    }
    rows::remove::<goal::Model>(transaction, "id", &[row.id]).await?;
    Ok(Deleted::Done)
}

/// Whether somebody has made steps of one of these goals, claimed it, or has a lot that it paid.
async fn is_touched(unit: &Unit<'_>, goals: Vec<i64>) -> Result<bool> {
    let touched = repo::touched_goals(unit.transaction(), goals.clone()).await?;
    Ok(!touched.is_empty() || has_paid(unit, &goals).await?)
}
