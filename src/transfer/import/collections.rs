//! Cards and what they come to, as facts that the feature takes.

use super::{Item, Work, only};
use waymark_collections::rules::Completion;
use waymark_collections::told::{ToldCard, ToldProgress, take_told};
use waymark_kernel::error::Result;
use waymark_write::Origin;

/// Takes cards and what is known of collections.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let progress = work.items(only!(CollectionProgress));
    let cards = work.items(only!(OwnedCard));
    if progress.is_empty() && cards.is_empty() {
        return Ok(());
    }
    let told_progress: Vec<_> = progress
        .iter()
        .map(|Item { user, record, origin, .. }| ToldProgress {
            user: *user,
            collection: &record.collection,
            completion: Completion {
                at: record.completed_at.map(|at| at.0),
                told: record.completed_told || *origin == Origin::Told,
            },
            reward_claimed_at: record.reward_claimed_at.map(|at| at.0),
            updated_at: record.updated_at.map(|at| at.0),
            origin: *origin,
        })
        .collect();
    let told_cards: Vec<_> = cards
        .iter()
        .map(|Item { user, record, origin, .. }| ToldCard {
            user: *user,
            card: &record.card,
            quantity: record.quantity,
            first_acquired_at: record.first_acquired_at.map(|at| at.0),
            updated_at: record.updated_at.map(|at| at.0),
            origin: *origin,
        })
        .collect();
    let (of_progress, of_cards) = take_told(&mut work.unit, &told_progress, &told_cards).await?;
    work.note(progress.iter().map(|item| item.at).zip(of_progress));
    work.note(cards.iter().map(|item| item.at).zip(of_cards));
    Ok(())
}
