//! Unlocks and awards, as facts that the feature takes.

use super::{Item, Work, only};
use crate::records;
use waymark_games::rules::{Award, Unlock};
use waymark_games::write::{ToldAwards, ToldUnlock, take_told};
use waymark_kernel::error::Result;

/// Takes unlocks and awards.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let awards = work.items(only!(Awards));
    let unlocks = work.items(only!(Unlock));
    if awards.is_empty() && unlocks.is_empty() {
        return Ok(());
    }
    let now = work.now;
    let told_unlocks: Vec<_> = unlocks
        .iter()
        .map(|Item { user, record, origin, .. }| {
            let at = record.at.or(record.hardcore_at).map_or(now, |at| at.0);
            let unlocked_hardcore_at = record.hardcore_at.map(|at| at.0).or(record.hardcore.then_some(at));
            let unlock = Unlock { unlocked_at: at, unlocked_hardcore_at };
            ToldUnlock { user: *user, achievement: &record.achievement, unlock, origin: *origin }
        })
        .collect();
    let told_awards: Vec<_> = awards
        .iter()
        .map(|Item { user, record, origin, .. }| {
            let awards = awards_of(record);
            ToldAwards { user: *user, game: &record.game, awards, origin: *origin }
        })
        .collect();
    let (of_awards, of_unlocks) = take_told(&mut work.unit, &told_awards, &told_unlocks).await?;
    work.note(awards.iter().map(|item| item.at).zip(of_awards));
    work.note(unlocks.iter().map(|item| item.at).zip(of_unlocks));
    Ok(())
}

/// The awards of a record, each with its date and what it rests on.
fn awards_of(record: &records::Awards) -> Vec<(Award, waymark_kernel::clock::Timestamp, Option<Vec<&str>>)> {
    let dates = [
        (Award::Beaten, record.beaten_at),
        (Award::BeatenHardcore, record.beaten_hardcore_at),
        (Award::Completed, record.completed_at),
        (Award::Mastered, record.mastered_at),
    ];
    let on = |award: Award| {
        let ground = record.rests_on.iter().find(|ground| ground.awards.contains(&award))?;
        Some(ground.achievements.iter().map(String::as_str).collect())
    };
    dates.into_iter().filter_map(|(award, at)| Some((award, at?.0, on(award)))).collect()
}
