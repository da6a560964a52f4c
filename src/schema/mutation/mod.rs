//! What all mutations have in common, and those that belong to no kind of progress. Those of the kinds stand in
//! [`crate::kinds`].

#[macro_use]
pub(crate) mod pipeline;

pub(crate) mod catalogue;
pub(crate) mod changes;
pub(crate) mod keys;
mod outcome;
pub(crate) mod payload;
pub(crate) mod record;
pub(crate) mod users;
pub(crate) mod verify;

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

/// What was given for the member `name` of an item, and why it cannot be read.
pub(crate) fn given<T: Clone>(value: Option<&Lenient<T>>, name: &str) -> (Option<T>, Option<Refusal>) {
    match value.map(|value| &value.0) {
        None => (None, None),
        Some(Ok(value)) => (Some(value.clone()), None),
        Some(Err(reason)) => {
            let message = format!("{name} {reason}");
            (None, Some(Refusal::new(UserErrorCode::InvalidInput, message).at([name])))
        }
    }
}
