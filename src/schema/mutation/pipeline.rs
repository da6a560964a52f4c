//! What all mutations have in common, done once: permission, limits, the user, idempotency, refusals, changes.
//!
//! A mutation is its input, its payload, and an implementation of [`AboutUser`] or [`ByOperator`] on the input, which
//! says what the caller needs to be, makes the use case, and makes the payload of its outcome. [`mutations!`] puts it
//! into the schema. What goes wrong is refused in this order: an operator's permission, lists that are too long, the
//! user, the permission for the user, the rest of the input, and what the use case itself refuses.

use std::sync::Arc;

use async_graphql::ID;

use super::outcome::Outcome;
use super::payload::UserPayload;
use waymark_auth::policy::{self, ActingUser, Operator, RecordedUser, Subject};
use waymark_auth::{Caller, UserId};
use waymark_kernel::error::{Code, Error, Result};
use waymark_kinds::users::graphql::UserBy;
use waymark_kinds::users::service::{self as people, User as Stored};
use waymark_request::Request;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{ItemOutcome, Refusal};
use waymark_write::{Write, Written};

/// Puts mutations into the schema, each with the name of its field, the way in which it is carried out (a function of
/// this module, or `by_itself` for an `answer` of the input), its input with the argument's description, and its
/// payload.
macro_rules! mutations {
    ($(#[$doc:meta])* $part:ident;
    $($(#[$about:meta])* $name:ident: $way:ident($input:ty, $description:tt) -> $payload:ty;)+) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        pub(crate) struct $part;

        #[async_graphql::Object]
        impl $part {
            $($(#[$about])*
            async fn $name(
                &self,
                context: &async_graphql::Context<'_>,
                #[graphql(desc = $description)] input: $input,
            ) -> waymark_graphql_kit::context::Nullable<$payload> {
                waymark_graphql_kit::context::present(async {
                    let request = waymark_request::Ask::ask(context)?;
                    mutations!(@$way request, input).await
                })
                .await
            })+
        }
    };
    (@about_user $request:ident, $input:ident) => {{
        let (user, key) = ($input.user.clone(), $input.idempotency_key.clone());
        $crate::mutation::pipeline::about_user($request, user, key, $input)
    }};
    (@by_operator $request:ident, $input:ident) => {{
        let key = $input.idempotency_key.clone();
        $crate::mutation::pipeline::by_operator($request, key, $input)
    }};
    (@by_itself $request:ident, $input:ident) => { $input.answer($request) };
}

/// Declares the input of a mutation: its own fields, an idempotency key, and with a description of it `user`.
macro_rules! input {
    ($(#[$doc:meta])* $name:ident $(, $user:tt)?; $($fields:tt)*) => {
        $(#[$doc])*
        #[derive(Debug, async_graphql::InputObject)]
        pub(crate) struct $name {
            $(#[doc = $user]
            user: Option<waymark_kinds::users::graphql::UserBy>,)?
            #[doc = "Makes the write safe to repeat: the same key with the same input is carried out once and answered \
                     the same."]
            idempotency_key: Option<String>,
            $($fields)*
        }
    };
}

/// Implements [`AboutUser`] for inputs: each with what the caller has to prove, its use case and its payload.
macro_rules! about_user {
    ($($input:ident: $proof:ty => $write:ident => $payload:ident {
        $(items: |$list:ident| $items:expr,)?
        write: |$one:ident, $user:pat_param| $make:expr,
        payload: |$it:pat_param, $about:ident, $outcome:pat_param| $show:expr,
    })+) => {
        $(impl $crate::mutation::pipeline::AboutUser for $input {
            type Proof = $proof;
            type Write = $write;
            type Payload = $payload;

            $(fn items(&self) -> $crate::mutation::pipeline::Items<'_> {
                let $list = self;
                $items
            })?

            fn write(&self, $user: $proof) -> waymark_kernel::error::Result<$write> {
                let $one = self;
                Ok($make)
            }

            fn payload(
                self,
                $about: $crate::mutation::payload::UserPayload,
                $outcome: <$write as waymark_write::Write>::Outcome,
            ) -> $payload {
                let $it = self;
                $show
            }
        })+
    };
}

/// Implements [`ByOperator`] for inputs: each with its use case, what it keeps for the payload, and its payload.
macro_rules! by_operator {
    ($($input:ident => $write:ident, $kept:ty => $payload:ident {
        $(lists: |$own:ident| $lists:expr,)?
        write: |$one:ident, $operator:ident| $make:expr,
        payload: |$request:ident, $done:ident| $show:expr,
    })+) => {
        $(impl $crate::mutation::pipeline::ByOperator for $input {
            type Write = $write;
            type Kept = $kept;
            type Payload = $payload;

            $(fn lists(&self) -> Vec<(&'static str, usize, usize)> {
                let $own = self;
                Vec::from($lists)
            })?

            fn write(
                self,
                $operator: waymark_auth::policy::Operator,
            ) -> waymark_kernel::error::Result<($write, $kept)> {
                let $one = self;
                Ok($make)
            }

            async fn payload(
                $request: &waymark_request::Request,
                $done: $crate::mutation::pipeline::Done<Self>,
            ) -> waymark_kernel::error::Result<$payload> {
                Ok($show)
            }
        })+
    };
}

/// The input of a mutation about one user, whom its field `user` names.
pub(crate) trait AboutUser: Sized + Send + Sync {
    /// What the caller has to prove.
    type Proof: Proof;
    /// The use case.
    type Write: Write<Outcome: Outcome>;
    /// The payload.
    type Payload;

    /// Returns the list of the input whose items are answered one by one.
    fn items(&self) -> Items<'_> {
        Items::NONE
    }

    /// Makes the use case.
    fn write(&self, user: Self::Proof) -> Result<Self::Write>;

    /// Makes the payload.
    fn payload(self, about: UserPayload, outcome: <Self::Write as Write>::Outcome) -> Self::Payload;
}

/// The input of a mutation for operators.
pub(crate) trait ByOperator: Sized + Send {
    /// The use case.
    type Write: Write;
    /// What of the input the payload needs.
    type Kept: Send;
    /// The payload.
    type Payload;

    /// Returns how many items each list of the input has, and how many it may have.
    fn lists(&self) -> Vec<(&'static str, usize, usize)> {
        Vec::new()
    }

    /// Makes the use case.
    fn write(self, operator: Operator) -> Result<(Self::Write, Self::Kept)>;

    /// Makes the payload.
    fn payload(request: &Request, done: Done<Self>) -> impl Future<Output = Result<Self::Payload>> + Send;
}

/// A mutation for operators that was carried out.
pub(crate) struct Done<M: ByOperator> {
    pub(crate) operator: Operator,
    pub(crate) kept: M::Kept,
    pub(crate) written: Written<<M::Write as Write>::Outcome>,
}

/// A proof about one user that a mutation needs.
pub(crate) trait Proof: Sized + Send {
    /// Refuses a caller who may not do this for any user.
    fn check(_caller: &Caller) -> Result<()> {
        Ok(())
    }

    /// Asks the policy for the proof.
    fn of(caller: &Caller, user: &Subject) -> Result<Self>;
}

impl Proof for ActingUser {
    fn of(caller: &Caller, user: &Subject) -> Result<Self> {
        policy::act_for(caller, user)
    }
}

impl Proof for RecordedUser {
    fn of(caller: &Caller, user: &Subject) -> Result<Self> {
        policy::record_for(caller, user)
    }
}

impl Proof for (Operator, RecordedUser) {
    fn check(caller: &Caller) -> Result<()> {
        policy::operate(caller).map(drop)
    }

    fn of(caller: &Caller, user: &Subject) -> Result<Self> {
        Ok((policy::operate(caller)?, policy::record_for(caller, user)?))
    }
}

/// The list of an input whose items are answered one by one: its field, and what each item names.
pub(crate) struct Items<'a> {
    field: &'static str,
    kind: Kind,
    ids: Vec<&'a ID>,
}

impl<'a> Items<'a> {
    /// Of an input without such a list.
    const NONE: Self = Self { field: "", kind: Kind::User, ids: Vec::new() };

    /// The list in this field, whose items name things of this kind.
    pub(crate) fn of(field: &'static str, kind: Kind, ids: impl IntoIterator<Item = &'a ID>) -> Self {
        Self { field, kind, ids: ids.into_iter().collect() }
    }

    /// Returns the results of the items of which none was done for this reason.
    pub(crate) fn refused(&self, refusal: &Refusal) -> impl Iterator<Item = ItemOutcome> {
        let id = |id: &&ID| self.kind.id(&self.kind.key_or_all(id));
        self.ids.iter().map(move |one| ItemOutcome::refused(id(one), refusal.clone()))
    }
}

/// Refuses a list of more items than there may be.
pub(crate) fn check_count(field: &str, count: usize, most: usize) -> Result<()> {
    if count <= most {
        return Ok(());
    }
    Err(Error::limit(format!("{count} {field} were sent, and there may be {most}")))
}

/// Refuses a list of more items than one write may have.
pub(crate) fn check_items(request: &Request, field: &str, count: usize) -> Result<()> {
    check_count(field, count, request.config.limits.max_bulk_items as usize)
}

/// Carries out a mutation about one user.
pub(crate) async fn about_user<M: AboutUser>(
    request: &Request,
    user: Option<UserBy>,
    key: Option<String>,
    input: M,
) -> Result<M::Payload> {
    M::Proof::check(&request.caller)?;
    let Items { field, ids, .. } = input.items();
    check_items(request, field, ids.len())?;
    let Some(stored) = subject(request, user).await? else { return Ok(about_nobody(input)) };
    let write = input.write(M::Proof::of(&request.caller, &stored.subject)?)?;
    let Some(written) = write_for(request, Some(stored.subject.id), write, key).await? else {
        return Ok(about_nobody(input));
    };
    let about = UserPayload::of(&stored, &written, written.outcome.refusals(field));
    Ok(input.payload(about, written.outcome))
}

/// Returns the payload of a mutation about a user who does not exist.
fn about_nobody<M: AboutUser>(input: M) -> M::Payload {
    let refusal = Refusal::unknown_user("user");
    let outcome = Outcome::refused(&refusal, &input.items());
    input.payload(UserPayload::nobody(refusal), outcome)
}

/// Carries out a mutation for operators.
pub(crate) async fn by_operator<M: ByOperator>(request: &Request, key: Option<String>, input: M) -> Result<M::Payload> {
    let operator = policy::operate(&request.caller)?;
    for (field, count, most) in input.lists() {
        check_count(field, count, most)?;
    }
    let (write, kept) = input.write(operator)?;
    let written = request.write(write, key).await?;
    M::payload(request, Done { operator, kept, written }).await
}

/// Returns the user whom a mutation is about: the user that `by` names, else the caller; `None` when there is none whom
/// the caller may see. A caller who may not write for others is refused alike for every other user.
pub(crate) async fn subject(request: &Request, by: Option<UserBy>) -> Result<Option<Arc<Stored>>> {
    let found = match by {
        Some(by) => people::visible(request, by.into()).await?,
        None => match request.caller.user() {
            Some(viewer) => people::user_by_id(request, viewer).await?,
            None => return Err(Error::bad_input("say whom this is about: this credential belongs to no user")),
        },
    };
    if found.is_none() {
        policy::write_for_others(&request.caller)?;
    }
    Ok(found)
}

/// Carries out a write for a user; `None` when the user has been merged or erased meanwhile.
pub(crate) async fn write_for<W: Write>(
    request: &Request,
    user: Option<UserId>,
    write: W,
    key: Option<String>,
) -> Result<Option<Written<W::Outcome>>> {
    match (request.write(write, key).await, user) {
        (Err(error), Some(user)) if error.code() == Code::BadUserInput => {
            let is_gone = people::user_by_id(request, user).await?.is_none();
            if is_gone { Ok(None) } else { Err(error) }
        }
        (written, _) => written.map(Some),
    }
}
