//! The mutation root, merged from the parts of the features.
//!
//! The parts stand here and not in the features' folders, because each payload shows the user and what the write
//! changed for the user, and both join all features. What all mutations have in common is done in [`pipeline`].

#[macro_use]
mod pipeline;

mod catalogue;
mod changes;
mod collections;
mod credits;
mod games;
mod keys;
mod learning;
mod outcome;
mod payload;
mod record;
mod seasons;
mod users;
mod verify;

use async_graphql::MergedObject;

use waymark_graphql_kit::scalars::Lenient;
use waymark_vocabulary::refusal::{Refusal, UserErrorCode};

/// The members of items of lists that are read with the item, so that one that is malformed fails alone: the type of
/// the item and the member's name.
pub const READ_WITH_THE_ITEM: [(&str, &str); 4] = [
    ("GoalStepsInput", "occurredAt"),
    ("GoalStepsEventInput", "occurredAt"),
    ("AchievementUnlockInput", "unlockedAt"),
    ("AchievementUnlockEventInput", "unlockedAt"),
];

/// Everything that can be changed.
#[derive(Debug, Default, MergedObject)]
pub struct Mutation(
    catalogue::CatalogueMutation,
    collections::CollectionMutation,
    credits::CreditMutation,
    games::GameMutation,
    keys::KeyMutation,
    learning::LearningMutation,
    record::RecordMutation,
    seasons::SeasonMutation,
    users::UserMutation,
    verify::VerifyMutation,
);

/// What was given for the member `name` of an item, and why it cannot be read.
fn given<T: Clone>(value: Option<&Lenient<T>>, name: &str) -> (Option<T>, Option<Refusal>) {
    match value.map(|value| &value.0) {
        None => (None, None),
        Some(Ok(value)) => (Some(value.clone()), None),
        Some(Err(reason)) => {
            let message = format!("{name} {reason}");
            (None, Some(Refusal::new(UserErrorCode::InvalidInput, message).at([name])))
        }
    }
}
