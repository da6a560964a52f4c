//! Mutations of users: their profiles and their accounts.

use async_graphql::{ID, MaybeUndefined, SimpleObject};

use super::changes::Changes;
use super::payload::UserPayload;
use super::pipeline::{subject, write_for};
use crate::user::User;
use waymark_auth::Visibility;
use waymark_auth::policy::{self, ActingUser, Operator, RecordedUser};
use waymark_graphql_kit::list::List;
use waymark_kernel::error::Result;
use waymark_kinds::erase::{Erasable, EraseUser};
use waymark_kinds::merge::{MergeUsers, MergedUsers};
use waymark_kinds::users::graphql::{AccountBy, UserBy};
use waymark_kinds::users::service as people;
use waymark_kinds::users::write::{
    Change, LinkAccount, NewAccount, ProfileChange, SetProfileVisibility, UnlinkAccount, UpdateProfile, UpsertUser,
    Upserted,
};
use waymark_request::Request;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::Refusal;
use waymark_write::Written;

input! {
    /// Input of `upsertUser`. A field that is not given stays as it is.
    UpsertUserInput;

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
    visibility: Option<Visibility>,
    /// Accounts to link to the user, at most 100. Those already linked stay.
    #[graphql(default)]
    accounts: Vec<AccountBy>,
}

input! {
    /// Input of `updateProfile`. A field that is not given stays as it is.
    UpdateProfileInput, "The user whose profile is changed; by default the caller.";

    /// The new handle, 2 to 20 letters and digits. The old handle is free from then on.
    handle: Option<String>,
    /// A longer name to show, up to 100 characters; null takes it away.
    display_name: MaybeUndefined<String>,
    /// Where a picture of the user is, an http or https address of up to 2,000 characters; null takes it away.
    avatar_url: MaybeUndefined<String>,
}

input! {
    /// Input of `setProfileVisibility`.
    SetProfileVisibilityInput, "The user whose profile is changed; by default the caller.";

    /// Who may see it.
    visibility: Visibility,
}

input! {
    /// Input of `linkAccount`.
    LinkAccountInput, "The user to whom the account is linked; by default the caller.";

    /// The account. An Ethereum address may be written in any case.
    account: AccountBy,
}

input! {
    /// Input of `unlinkAccount`.
    UnlinkAccountInput, "The user from whom the account is taken away; by default the caller.";

    /// The account.
    account: AccountBy,
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

input! {
    /// Input of `mergeUsers`.
    MergeUsersInput;

    /// The user who is absorbed, and whose id names no user from then on.
    from: UserBy,
    /// The user who survives.
    into: UserBy,
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

input! {
    /// Input of `eraseUser`.
    EraseUserInput, "The user who is erased; by default the caller.";
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
const MOST_ACCOUNTS: usize = 100;

mutations! {
    /// Mutations of users.
    UserMutation;

    /// Creates a user, or changes an existing one. For API keys with the scope admin. Null with an error when the whole
    /// was refused.
    upsert_user: by_operator(UpsertUserInput, "The user to create or to change, and the fields to set.")
        -> UpsertUserPayload;

    /// Changes a user's handle, name or picture. For the users themselves, and for API keys with the scope
    /// progress:write. Null with an error when the whole was refused.
    update_profile: about_user(
        UpdateProfileInput,
        "The fields to set; a field that is not given stays as it is."
    ) -> UserPayload;

    /// Changes who may see that a user exists, with handle, avatar, games and collections. For the users themselves,
    /// and for API keys with the scope progress:write. Null with an error when the whole was refused.
    set_profile_visibility: about_user(SetProfileVisibilityInput, "The user, and who may see the profile.")
        -> UserPayload;

    /// Links an account on another platform to a user. An account belongs to one user. For API keys with the scope
    /// admin. Null with an error when the whole was refused.
    link_account: about_user(LinkAccountInput, "The account, and the user who gets it.") -> UserPayload;

    /// Takes an account away from a user. When the user does not have the account, nothing happens. For API keys with
    /// the scope admin. Null with an error when the whole was refused.
    unlink_account: about_user(UnlinkAccountInput, "The account, and the user who loses it.") -> UserPayload;

    /// Merges a user into another one. Accounts, credits, progress and everything else move to the survivor; of two
    /// states of one thing the better one stays; the absorbed user is removed for good. Of two claims of one goal the
    /// earlier one stays, and what is left of the other is revoked. For API keys with the scope admin. Null with an
    /// error when the whole was refused.
    merge_users: by_operator(MergeUsersInput, "The user who is absorbed and the user who survives.")
        -> MergeUsersPayload;

    /// Erases a user: handle, name, picture, accounts, notes and reasons go for good, the user's API keys are revoked,
    /// and the id names no user from then on. Amounts and counts stay without a name. For the users themselves, and for
    /// API keys with the scope admin. Null with an error when the whole was refused.
    erase_user: by_itself(EraseUserInput, "The user who is erased.") -> EraseUserPayload;
}

fn change(value: &MaybeUndefined<String>) -> Change {
    match value {
        MaybeUndefined::Undefined => Change::Keep,
        MaybeUndefined::Null => Change::Clear,
        MaybeUndefined::Value(value) => Change::Set(value.clone()),
    }
}

fn account(by: &AccountBy) -> NewAccount {
    NewAccount { platform: by.platform.clone(), id: by.id.clone() }
}

/// Returns the user of this ULID, whom the use case made or changed, and what it changed for the user.
async fn concerned<O>(
    request: &Request,
    ulid: Option<&str>,
    written: &Written<O>,
) -> Result<(Option<User>, Option<Changes>)> {
    let Some(ulid) = ulid else { return Ok((None, None)) };
    let Some(stored) = people::user_by_ulid(request, ulid).await? else { return Ok((None, None)) };
    let changes = Changes::of(&stored, written);
    Ok((User::show(request, stored), Some(changes)))
}

by_operator! {
    UpsertUserInput => UpsertUser, () => UpsertUserPayload {
        lists: |input| [("accounts", input.accounts.len(), MOST_ACCOUNTS)],
        write: |input, operator| {
            let change = ProfileChange {
                display_name: change(&input.display_name),
                avatar_url: change(&input.avatar_url),
                visibility: input.visibility,
                handle: input.handle,
            };
            let user = input.id.map(|id| people::key(people::Name::Id(id.0))).transpose()?;
            (UpsertUser { operator, user, change, accounts: input.accounts.iter().map(account).collect() }, ())
        },
        payload: |request, done| {
            let (user, changes) = concerned(request, done.written.outcome.user.as_deref(), &done.written).await?;
            let Upserted { created, refusals, .. } = done.written.outcome;
            UpsertUserPayload { user, created, user_errors: refusals.into(), changes }
        },
    }
    MergeUsersInput => MergeUsers, () => MergeUsersPayload {
        write: |input, operator| {
            (MergeUsers { operator, from: people::key(input.from.into())?, into: people::key(input.into.into())? }, ())
        },
        payload: |request, done| {
            let (user, changes) = concerned(request, done.written.outcome.survivor.as_deref(), &done.written).await?;
            let MergedUsers { absorbed, refusals, .. } = done.written.outcome;
            let absorbed_id = absorbed.map(|ulid| Kind::User.id(&ulid));
            MergeUsersPayload { user, absorbed_id, user_errors: refusals.into(), changes }
        },
    }
}

about_user! {
    UpdateProfileInput: ActingUser => UpdateProfile => UserPayload {
        write: |input, user| {
            let (display_name, avatar_url) = (change(&input.display_name), change(&input.avatar_url));
            let change = ProfileChange { handle: input.handle.clone(), display_name, avatar_url, visibility: None };
            UpdateProfile { user, change }
        },
        payload: |_, about, _| about,
    }
    SetProfileVisibilityInput: ActingUser => SetProfileVisibility => UserPayload {
        write: |input, user| SetProfileVisibility { user, visibility: input.visibility },
        payload: |_, about, _| about,
    }
    LinkAccountInput: (Operator, RecordedUser) => LinkAccount => UserPayload {
        write: |input, (operator, user)| LinkAccount { operator, user, account: account(&input.account) },
        payload: |_, about, _| about,
    }
    UnlinkAccountInput: (Operator, RecordedUser) => UnlinkAccount => UserPayload {
        write: |input, (operator, user)| UnlinkAccount { operator, user, account: account(&input.account) },
        payload: |_, about, _| about,
    }
}

impl EraseUserInput {
    /// Erases the user whom an operator names, or the caller. What an operator names is looked up by the use case, so
    /// that it is answered the same again under its idempotency key.
    async fn answer(self, request: &Request) -> Result<EraseUserPayload> {
        let (user, stored) = match (policy::operate(&request.caller), self.user) {
            (Ok(operator), Some(by)) => {
                let name = people::key(by.into())?;
                (Erasable::Named(operator, name.clone()), people::user_with(request, name).await?)
            }
            (operator, by) => match subject(request, by).await? {
                Some(stored) => (Erasable::This(policy::dispose_of(&request.caller, &stored.subject)?), Some(stored)),
                // A caller who may erase no other user does not learn who exists.
                None => return operator.map(|_| EraseUserPayload::nobody()),
            },
        };
        let id = stored.as_ref().map(|stored| stored.subject.id);
        let Some(written) = write_for(request, id, EraseUser { user }, self.idempotency_key).await? else {
            return Ok(EraseUserPayload::nobody());
        };
        Ok(EraseUserPayload {
            changes: stored.map(|stored| Changes::of(&stored, &written)),
            erased_id: written.outcome.user.map(|ulid| Kind::User.id(&ulid)),
            user_errors: written.outcome.refusals.into(),
        })
    }
}

impl EraseUserPayload {
    /// Of an erasure of a user who does not exist.
    fn nobody() -> Self {
        Self { erased_id: None, user_errors: vec![Refusal::unknown_user("user")].into(), changes: None }
    }
}
