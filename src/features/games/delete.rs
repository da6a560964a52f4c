//! Deleting games and achievements with which nobody has progress.

use super::entity::{achievement, award_ground, award_set, game, summary};
use super::publish::count_anew;
use super::repo;
use waymark_db::rows;
use waymark_kernel::error::Result;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::UserErrorCode;
use waymark_write::{Deletable, Deleted, Deletion, Origin, Unit};

/// What can be deleted, type by type.
pub const DELETIONS: &[Deletion] = &[
    Deletion {
        kind: Kind::Game,
        unknown: UserErrorCode::UnknownGame,
        action: "DELETE_GAME",
        against: |unit, key| Box::pin(async move { Ok(deletable_game(unit, key).await?.err()) }),
        delete: |unit, key| Box::pin(game(unit, key)),
    },
    Deletion {
        kind: Kind::Achievement,
        unknown: UserErrorCode::UnknownAchievement,
        action: "DELETE_ACHIEVEMENT",
        against: |unit, key| Box::pin(async move { Ok(deletable_achievement(unit, key).await?.err()) }),
        delete: |unit, key| Box::pin(achievement(unit, key)),
    },
];

/// Returns the game with this key, if nobody has progress with it.
///
/// # Errors
/// When the database fails.
async fn deletable_game(unit: &Unit<'_>, key: &str) -> Result<Deletable<game::Model>> {
    let transaction = unit.transaction();
    let Some(row) = rows::by_key::<game::Model>(transaction, key).await? else { return Ok(Err(Deleted::Unknown)) };
    Ok(if repo::is_played(transaction, row.id).await? { Err(Deleted::IN_PROGRESS) } else { Ok(row) })
}

/// Deletes a game with its achievements.
///
/// # Errors
/// When the database fails.
async fn game(unit: &Unit<'_>, key: &str) -> Result<Deleted> {
    let transaction = unit.transaction();
    let id = match deletable_game(unit, key).await? {
        Ok(row) => [row.id],
        Err(stays) => return Ok(stays),
    };
    // Those who were relocked left rows of zeros behind.
    rows::remove::<award_ground::Model>(transaction, "game_id", &id).await?;
    rows::remove::<award_set::Model>(transaction, "game_id", &id).await?;
    rows::remove::<summary::Model>(transaction, "game_id", &id).await?;
    rows::remove::<achievement::Model>(transaction, "game_id", &id).await?;
    rows::remove::<game::Model>(transaction, "id", &id).await?;
    Ok(Deleted::Done)
}

/// Returns the achievement with this key and the sets that it is in, if nobody has progress with it.
///
/// # Errors
/// When the database fails.
async fn deletable_achievement(unit: &Unit<'_>, key: &str) -> Result<Deletable<(achievement::Model, Vec<i64>)>> {
    let transaction = unit.transaction();
    let Some(row) = rows::by_key::<achievement::Model>(transaction, key).await? else {
        return Ok(Err(Deleted::Unknown));
    };
    let sets = rows::with_int::<award_set::Model>(transaction, "game_id", &[row.game_id]).await?;
    let sets: Vec<i64> = sets.iter().filter(|set| repo::has(set, row.id)).map(|set| set.id).collect();
    let is_achieved = repo::is_achieved(transaction, (row.game_id, row.id), &sets).await?;
    Ok(if is_achieved { Err(Deleted::IN_PROGRESS) } else { Ok((row, sets)) })
}

/// Deletes an achievement. Those who play its game get the awards that they have earned by that.
///
/// # Errors
/// When the database fails.
async fn achievement(unit: &mut Unit<'_>, key: &str) -> Result<Deleted> {
    let transaction = unit.transaction();
    let (row, sets) = match deletable_achievement(unit, key).await? {
        Ok(found) => found,
        Err(stays) => return Ok(stays),
    };
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
        count_anew(unit, (game.id, &game.key), Vec::new(), Origin::Told).await?;
    }
    Ok(Deleted::Done)
}
