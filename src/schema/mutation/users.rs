//! Mutations of users: their profiles and their accounts.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};

use super::changes::Changes;
use super::{shown, subject};
use crate::user::{ProfileVisibility, User};
use waymark_auth::policy;
use waymark_graphql_kit::context::{Nullable, present};
use waymark_graphql_kit::list::List;
use waymark_kernel::error::Result;
use waymark_kinds::erase::{Erasable, EraseUser};
use waymark_kinds::merge::MergeUsers;
use waymark_request::Ask as _;
use waymark_request::Request;
use waymark_users as users;
use waymark_users::graphql::{AccountBy, UserBy};
use waymark_users::service::User as Stored;
use waymark_users::write::{
    Change, LinkAccount, NewAccount, ProfileChange, SetProfileVisibility, UnlinkAccount, UpdateProfile, UpsertUser,
};
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::Refusal;

/// Input of `upsertUser`. A field that is not given stays as it is.
#[derive(Debug, InputObject)]
pub(crate) struct UpsertUserInput {
    /// The id of the user to change. Without it, the user with this handle is changed; without a handle too, the user
    /// of the first account that belongs to a user. When there is none, a user is created.
    id: Option<ID>,
    /// The handle, 2 to 20 letters and digits. A user who is created without one gets a generated one.
    handle: Option<String>,
    /// A longer name to show, up to 100 characters; null takes it away.
    display_name: MaybeUndefined<String>,
    /// Where a picture of the user is, an http or https address of up to 2,000 characters; null takes it away.
    avatar_url: MaybeUndefined<String>,
    /// Who may see the profile; MEMBERS for a user who is created.
    visibility: Option<ProfileVisibility>,
    /// Accounts to link to the user, at most 100. Those already linked stay.
    #[graphql(default)]
    accounts: Vec<AccountBy>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Input of `updateProfile`. A field that is not given stays as it is.
#[derive(Debug, InputObject)]
pub(crate) struct UpdateProfileInput {
    /// The user whose profile is changed; by default the caller.
    user: Option<UserBy>,
    /// The new handle, 2 to 20 letters and digits. The old handle is free from then on.
    handle: Option<String>,
    /// A longer name to show, up to 100 characters; null takes it away.
    display_name: MaybeUndefined<String>,
    /// Where a picture of the user is, an http or https address of up to 2,000 characters; null takes it away.
    avatar_url: MaybeUndefined<String>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Input of `setProfileVisibility`.
#[derive(Debug, InputObject)]
pub(crate) struct SetProfileVisibilityInput {
    /// The user whose profile is changed; by default the caller.
    user: Option<UserBy>,
    /// Who may see it.
    visibility: ProfileVisibility,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Input of `linkAccount`.
#[derive(Debug, InputObject)]
pub(crate) struct LinkAccountInput {
    /// The user to whom the account is linked; by default the caller.
    user: Option<UserBy>,
    /// The account. An Ethereum address may be written in any case.
    account: AccountBy,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Input of `unlinkAccount`.
#[derive(Debug, InputObject)]
pub(crate) struct UnlinkAccountInput {
    /// The user from whom the account is taken away; by default the caller.
    user: Option<UserBy>,
    /// The account.
    account: AccountBy,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Payload of `upsertUser`.
#[derive(Debug, SimpleObject)]
pub(crate) struct UpsertUserPayload {
    /// The user. Null when the whole was refused, and when the user has been merged or erased since.
    user: Option<User>,
    /// Whether the user was created by this.
    created: bool,
    /// What was refused; nothing was changed then.
    user_errors: List<Refusal>,
    /// What was changed for the user. Null when `user` is null.
    changes: Option<Changes>,
}

/// Payload of `updateProfile`, `setProfileVisibility`, `linkAccount` and `unlinkAccount`.
#[derive(Debug, SimpleObject)]
pub(crate) struct UserPayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// What was refused; nothing was changed then.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// Input of `mergeUsers`.
#[derive(Debug, InputObject)]
pub(crate) struct MergeUsersInput {
    /// The user who is absorbed, and whose id names no user from then on.
    from: UserBy,
    /// The user who survives.
    into: UserBy,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Payload of `mergeUsers`.
#[derive(Debug, SimpleObject)]
pub(crate) struct MergeUsersPayload {
    /// The survivor. Null when the whole was refused, and when the survivor has been merged or erased since.
    user: Option<User>,
    /// The global id of the user who was absorbed. Null when the whole was refused.
    absorbed_id: Option<ID>,
    /// What was refused; nothing was changed then.
    user_errors: List<Refusal>,
    /// What was changed for the survivor. Null when `user` is null.
    changes: Option<Changes>,
}

/// Input of `eraseUser`.
#[derive(Debug, InputObject)]
pub(crate) struct EraseUserInput {
    /// The user who is erased; by default the caller.
    user: Option<UserBy>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Payload of `eraseUser`.
#[derive(Debug, SimpleObject)]
pub(crate) struct EraseUserPayload {
    /// The global id of the user, which names no user from now on. Null when the whole was refused.
    erased_id: Option<ID>,
    /// What was refused; nothing was changed then.
    user_errors: List<Refusal>,
    /// What was changed for the user. Null when there is no such user.
    changes: Option<Changes>,
}

/// How many accounts one write may link.
const MOST_ACCOUNTS: u32 = 100;

fn change(value: MaybeUndefined<String>) -> Change {
    match value {
        MaybeUndefined::Undefined => Change::Keep,
        MaybeUndefined::Null => Change::Clear,
        MaybeUndefined::Value(value) => Change::Set(value),
    }
}

fn account(by: AccountBy) -> NewAccount {
    NewAccount { platform: by.platform, id: by.id }
}

/// Mutations of users.
#[derive(Debug, Default)]
pub(crate) struct UserMutation;

#[Object]
impl UserMutation {
    /// Creates a user, or changes an existing one. For API keys with the scope admin. Null with an error when the whole
    /// was refused.
    async fn upsert_user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The user to create or to change, and the fields to set.")] input: UpsertUserInput,
    ) -> Nullable<UpsertUserPayload> {
        present(async {
            let request = context.ask()?;
            let operator = policy::operate(&request.caller)?;
            request.check_ids("accounts", input.accounts.len(), MOST_ACCOUNTS)?;
            let user = input.id.map(|id| users::service::key(users::service::Name::Id(id.0))).transpose()?;
            let change = ProfileChange {
                handle: input.handle,
                display_name: change(input.display_name),
                avatar_url: change(input.avatar_url),
                visibility: input.visibility.map(Into::into),
            };
            let accounts = input.accounts.into_iter().map(account).collect();
            let write = UpsertUser { operator, user, change, accounts };
            let written = request.write(write, input.idempotency_key).await?;
            let stored = match &written.outcome.user {
                Some(ulid) => users::service::user_by_ulid(request, ulid).await?,
                None => None,
            };
            Ok(UpsertUserPayload {
                changes: stored.as_ref().map(|stored| Changes::of(stored, &written)),
                user: stored.and_then(|stored| User::show(request, stored)),
                created: written.outcome.created,
                user_errors: written.outcome.refusals.into(),
            })
        })
        .await
    }

    /// Changes a user's handle, name or picture. For the users themselves, and for API keys with the scope
    /// progress:write. Null with an error when the whole was refused.
    async fn update_profile(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The fields to set; a field that is not given stays as it is.")] input: UpdateProfileInput,
    ) -> Nullable<UserPayload> {
        present(async {
            let request = context.ask()?;
            let stored = subject(request, input.user).await?;
            let user = policy::act_for(&request.caller, &stored.subject)?;
            let change = ProfileChange {
                handle: input.handle,
                display_name: change(input.display_name),
                avatar_url: change(input.avatar_url),
                visibility: None,
            };
            let written = request.write(UpdateProfile { user, change }, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            payload(request, &stored, written.outcome, changes).await
        })
        .await
    }

    /// Changes who may see that a user exists, with handle, avatar, games and collections. For the users themselves,
    /// and for API keys with the scope progress:write. Null with an error when the whole was refused.
    async fn set_profile_visibility(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The user, and who may see the profile.")] input: SetProfileVisibilityInput,
    ) -> Nullable<UserPayload> {
        present(async {
            let request = context.ask()?;
            let stored = subject(request, input.user).await?;
            let user = policy::act_for(&request.caller, &stored.subject)?;
            let write = SetProfileVisibility { user, visibility: input.visibility.into() };
            let written = request.write(write, input.idempotency_key).await?;
            payload(request, &stored, Vec::new(), Changes::of(&stored, &written)).await
        })
        .await
    }

    /// Links an account on another platform to a user. An account belongs to one user. For API keys with the scope
    /// admin. Null with an error when the whole was refused.
    async fn link_account(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The account, and the user who gets it.")] input: LinkAccountInput,
    ) -> Nullable<UserPayload> {
        present(async {
            let request = context.ask()?;
            let operator = policy::operate(&request.caller)?;
            let stored = subject(request, input.user).await?;
            let user = policy::record_for(&request.caller, &stored.subject)?;
            let write = LinkAccount { operator, user, account: account(input.account) };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            payload(request, &stored, written.outcome, changes).await
        })
        .await
    }

    /// Takes an account away from a user. When the user does not have the account, nothing happens. For API keys with
    /// the scope admin. Null with an error when the whole was refused.
    async fn unlink_account(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The account, and the user who loses it.")] input: UnlinkAccountInput,
    ) -> Nullable<UserPayload> {
        present(async {
            let request = context.ask()?;
            let operator = policy::operate(&request.caller)?;
            let stored = subject(request, input.user).await?;
            let user = policy::record_for(&request.caller, &stored.subject)?;
            let write = UnlinkAccount { operator, user, account: account(input.account) };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            payload(request, &stored, written.outcome, changes).await
        })
        .await
    }

    /// Merges a user into another one. Accounts, credits, progress and everything else move to the survivor; of two
    /// states of one thing the better one stays; the absorbed user is removed for good. Of two claims of one goal the
    /// earlier one stays, and what is left of the other is revoked. For API keys with the scope admin. Null with an
    /// error when the whole was refused.
    async fn merge_users(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The user who is absorbed and the user who survives.")] input: MergeUsersInput,
    ) -> Nullable<MergeUsersPayload> {
        present(async {
            let request = context.ask()?;
            let operator = policy::operate(&request.caller)?;
            let (from, into) = (users::service::key(input.from.into())?, users::service::key(input.into.into())?);
            let written = request.write(MergeUsers { operator, from, into }, input.idempotency_key).await?;
            let stored = match &written.outcome.survivor {
                Some(ulid) => users::service::user_by_ulid(request, ulid).await?,
                None => None,
            };
            Ok(MergeUsersPayload {
                changes: stored.as_ref().map(|stored| Changes::of(stored, &written)),
                user: stored.and_then(|stored| User::show(request, stored)),
                absorbed_id: written.outcome.absorbed.map(|ulid| Kind::User.id(&ulid)),
                user_errors: written.outcome.refusals.into(),
            })
        })
        .await
    }

    /// Erases a user: handle, name, picture, accounts, notes and reasons go for good, the user's API keys are revoked,
    /// and the id names no user from then on. Amounts and counts stay without a name. For the users themselves, and for
    /// API keys with the scope admin. Null with an error when the whole was refused.
    async fn erase_user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The user who is erased.")] input: EraseUserInput,
    ) -> Nullable<EraseUserPayload> {
        present(async {
            let request = context.ask()?;
            let (user, stored) = match (policy::operate(&request.caller), input.user) {
                (Ok(operator), Some(by)) => {
                    let name = users::service::key(by.into())?;
                    (Erasable::Named(operator, name.clone()), users::service::user_with(request, name).await?)
                }
                (_, by) => {
                    let stored = subject(request, by).await?;
                    (Erasable::This(policy::dispose_of(&request.caller, &stored.subject)?), Some(stored))
                }
            };
            let written = request.write(EraseUser { user }, input.idempotency_key).await?;
            Ok(EraseUserPayload {
                changes: stored.map(|stored| Changes::of(&stored, &written)),
                erased_id: written.outcome.user.map(|ulid| Kind::User.id(&ulid)),
                user_errors: written.outcome.refusals.into(),
            })
        })
        .await
    }
}

async fn payload(
    request: &Request,
    stored: &Arc<Stored>,
    user_errors: Vec<Refusal>,
    changes: Changes,
) -> Result<UserPayload> {
    Ok(UserPayload { user: shown(request, stored).await?, user_errors: user_errors.into(), changes })
}
