//! What becomes of a user's seasons when the user is merged into another one.

use super::entity::{enrolment, goal_claim, goal_progress};
use super::repo;
use waymark_db::owner::Merger;
use waymark_kernel::error::Result;
use waymark_write::Unit;

/// Hands enrolments, steps and claims over. Of two claims of one goal the earlier stays. Gives the numbers of the lots
/// of the others in the survivor's ledger, into which the other one's was moved by `offset`.
pub async fn merge(unit: &Unit<'_>, merger: Merger, offset: i64) -> Result<Vec<i64>> {
    let (transaction, into) = (unit.transaction(), merger.into);
    merger
        .rows::<enrolment::Entity, _>(
            transaction,
            |row| row.user_id = into,
            |row| row.season_id,
            |own, other| if other.enrolled_at < own.enrolled_at { other } else { own },
        )
        .await?;
    merger
        .rows::<goal_progress::Entity, _>(
            transaction,
            |row| row.user_id = into,
            |row| row.goal_id,
            |own, other| goal_progress::Model {
                completed_steps: own.completed_steps.max(other.completed_steps),
                completed_at: own.completed_at.into_iter().chain(other.completed_at).min(),
                updated_at: own.updated_at.max(other.updated_at),
                ..own
            },
        )
        .await?;
    let mut undone = Vec::new();
    merger
        .rows::<goal_claim::Entity, _>(
            transaction,
            |row| {
                row.user_id = into;
                // 0 stands for a claim that opened no lot here: of a goal without reward, or made elsewhere.
                if row.lot_seq > 0 {
                    row.lot_seq += offset;
                }
            },
            |row| row.goal_id,
            |own, other| {
                let (stays, goes) = if other.claimed_at < own.claimed_at { (other, own) } else { (own, other) };
                undone.push(goes);
                stays
            },
        )
        .await?;
    repo::lock_budgets_of(transaction, undone.iter().map(|claim| claim.goal_id).collect()).await?;
    for claim in undone.iter().filter(|claim| claim.lot_seq > 0) {
        repo::give_back_budget(transaction, claim.goal_id, claim.reward_micros).await?;
    }
    Ok(undone.into_iter().map(|claim| claim.lot_seq).filter(|lot| *lot > 0).collect())
}
