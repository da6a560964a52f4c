//! Deleting games and achievements with which nobody has progress.

use super::entity::{achievement, award_ground, award_set, game, summary, unlock};
use super::publish::count_anew;
use super::repo;
use waymark_db::rows;
use waymark_kernel::error::Result;
use waymark_write::{Deleted, Origin, Unit};

/// Deletes a game with its achievements.
///
/// # Errors
/// When the database fails.
pub async fn game(unit: &Unit<'_>, key: &str) -> Result<Deleted> {
    let transaction = unit.transaction();
    let Some(game) = rows::by_key::<game::Model>(transaction, key).await? else { return Ok(Deleted::Unknown) };
    let id = [game.id];
    if rows::any::<unlock::Model>(transaction, "game_id", &id).await? || repo::is_awarded(transaction, game.id).await? {
        return Ok(Deleted::IN_PROGRESS);
    }
    // Those who were relocked left rows of zeros behind.
    rows::remove::<award_ground::Model>(transaction, "game_id", &id).await?;
    rows::remove::<award_set::Model>(transaction, "game_id", &id).await?;
    rows::remove::<summary::Model>(transaction, "game_id", &id).await?;
    rows::remove::<achievement::Model>(transaction, "game_id", &id).await?;
    rows::remove::<game::Model>(transaction, "id", &id).await?;
    Ok(Deleted::Done)
}

/// Deletes an achievement. Its game is counted anew for those who play it.
///
/// # Errors
/// When the database fails.
pub async fn achievement(unit: &mut Unit<'_>, key: &str) -> Result<Deleted> {
    let transaction = unit.transaction();
    let Some(row) = rows::by_key::<achievement::Model>(transaction, key).await? else { return Ok(Deleted::Unknown) };
    let sets = rows::with_int::<award_set::Model>(transaction, "game_id", &[row.game_id]).await?;
    let sets: Vec<i64> = sets.iter().filter(|set| repo::has(set, row.id)).map(|set| set.id).collect();
    let in_progress = rows::any::<unlock::Model>(transaction, "achievement_id", &[row.id]).await?
        || rows::any::<award_ground::Model>(transaction, "set_id", &sets).await?;
    if in_progress {
        return Ok(Deleted::IN_PROGRESS);
    }
    rows::remove::<award_set::Model>(transaction, "id", &sets).await?;
    rows::remove::<achievement::Model>(transaction, "id", &[row.id]).await?;
    let Some(game) = rows::with_int::<game::Model>(transaction, "id", &[row.game_id]).await?.pop() else {
        return Ok(Deleted::Done);
    };
    let published = row.published.then_some(row.points);
    let game = game::Model {
        num_possible: game.num_possible - i32::from(published.is_some()),
        possible_score: game.possible_score - published.unwrap_or(0),
        updated_at: unit.now,
        ..game
    };
    rows::store(transaction, std::slice::from_ref(&game)).await?;
    if published.is_some() {
        count_anew(unit, game.id, &game.key, Origin::Told).await?;
    }
    Ok(Deleted::Done)
}
