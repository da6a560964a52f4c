//! The mutation root, merged from the parts of the features, and what all mutations have in common.
//!
//! The parts stand here and not in the features' folders, because each payload shows the user and what the write
//! changed for the user, and both join all features. A resolver checks who may, and hands its input to the feature's
//! use case.

mod catalogue;
mod changes;
mod collections;
mod credits;
mod games;
mod keys;
mod learning;
mod record;
mod seasons;
mod users;
mod verify;

use std::sync::Arc;

use async_graphql::{Context, MergedObject};

use super::user::User;
use waymark_auth::policy;
use waymark_graphql_kit::scalars::Lenient;
use waymark_kernel::error::{Error, Result};
use waymark_request::Ask as _;
use waymark_request::Request;
use waymark_users as people;
use waymark_users::graphql::UserBy;
use waymark_users::service::User as Stored;
use waymark_vocabulary::refusal::{Refusal, UserErrorCode};

/// The members of items of lists that are read with the item, so that one that is malformed fails alone: the type of the item
/// and the member's name.
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

/// Returns the user whom a mutation is about: the user that `by` names, else the caller. A caller who may not see a
/// user cannot name that user.
async fn subject(request: &Request, by: Option<UserBy>) -> Result<Arc<Stored>> {
    let found = match by {
        Some(by) => people::service::visible(request, by.into()).await?,
        None => match request.caller.user() {
            Some(viewer) => people::service::user_by_id(request, viewer).await?,
            None => return Err(Error::bad_input("say whom this is about: this credential belongs to no user")),
        },
    };
    found.ok_or_else(|| policy::write_for_others(&request.caller).err().unwrap_or_else(people::service::unknown))
}

/// A user as the payload of a mutation shows one: read again, since the write may have changed the profile.
async fn shown(request: &Request, user: &Stored) -> Result<Option<User>> {
    let found = people::service::user_by_id(request, user.subject.id).await?;
    Ok(found.and_then(|stored| User::show(request, stored)))
}

/// Like [`shown`], but returns `None` when none of `fields`, which need the user, is selected in the payload.
async fn shown_for(context: &Context<'_>, user: &Stored, fields: &[&str]) -> Result<Option<User>> {
    let is_asked = |path: &&str| path.split('.').fold(context.look_ahead(), |at, field| at.field(field)).exists();
    let asked = fields.iter().any(is_asked);
    if asked { shown(context.ask()?, user).await } else { Ok(None) }
}

/// What was given for the member `name` of an item, and why it cannot be read.
fn given<T>(value: Option<Lenient<T>>, name: &str) -> (Option<T>, Option<Refusal>) {
    match value.map(|value| value.0).transpose() {
        Ok(value) => (value, None),
        Err(message) => (None, Some(Refusal::new(UserErrorCode::InvalidInput, message).at([name]))),
    }
}

/// Refuses a list of more items than one write may have.
fn check_items(request: &Request, what: &str, count: usize) -> Result<()> {
    let most = request.config.limits.max_bulk_items;
    if count <= most as usize {
        return Ok(());
    }
    Err(Error::limit(format!("{count} {what} were sent, and one write may have {most}")))
}
