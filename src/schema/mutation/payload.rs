//! What the payloads of mutations about one user have in common.

use std::sync::Arc;

use async_graphql::{ComplexObject, Context, ID, Object, SimpleObject};

use super::changes::Changes;
use crate::user::User;
use waymark_auth::policy::OwnUser;
use waymark_graphql_kit::context::{Nullable, nullable};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::plan::Ready;
use waymark_kernel::error::Result;
use waymark_kinds::credits::graphql::CreditAccount;
use waymark_kinds::users::service::User as Stored;
use waymark_request::Request;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::Refusal;
use waymark_write::Written;

/// The user, what was refused and what was changed: part of every payload of a mutation about one user.
#[derive(Debug)]
pub(crate) struct UserPayload {
    changes: Changes,
    refusals: List<Refusal>,
}

impl UserPayload {
    /// Of a write for `user`.
    pub(crate) fn of<O>(user: &Arc<Stored>, written: &Written<O>, refusals: Vec<Refusal>) -> Self {
        Self { changes: Changes::of(user, written), refusals: refusals.into() }
    }

    /// Of a write for a user who does not exist.
    pub(crate) fn nobody(refusal: Refusal) -> Self {
        Self { changes: Changes::default(), refusals: vec![refusal].into() }
    }

    /// Returns the user for whom something was written.
    pub(crate) fn shown<'a>(&self, context: &'a Context<'_>) -> Result<Option<(&'a Request, User)>> {
        self.changes.shown(context)
    }

    /// Returns the id of what the user has to do with the thing of `key`.
    pub(crate) fn id_of(&self, kind: Kind, key: &str) -> ID {
        kind.id_of(self.changes.ulid(), key)
    }

    /// Returns the user for whom something was written, with the proof that the caller may see everything about them.
    pub(crate) fn own<'a>(&self, context: &'a Context<'_>) -> Result<Option<(&'a Request, OwnUser)>> {
        let Some((request, user)) = self.shown(context)? else { return Ok(None) };
        Ok(Some((request, user.own()?.clone())))
    }
}

/// Payload of `updateProfile`, `setProfileVisibility`, `linkAccount` and `unlinkAccount`.
#[Object]
impl UserPayload {
    /// The user. Null when there is no such user, or none any longer.
    async fn user(&self, context: &Context<'_>) -> Nullable<User> {
        nullable(self.changes.read_again(context)).await
    }

    /// What was refused; empty when all was done.
    async fn user_errors(&self) -> &List<Refusal> {
        &self.refusals
    }

    /// What was changed for the user.
    async fn changes(&self) -> &Changes {
        &self.changes
    }
}

/// The same with the user's credits.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct CreditsPayload {
    #[graphql(flatten)]
    about: UserPayload,
}

impl From<UserPayload> for CreditsPayload {
    fn from(about: UserPayload) -> Self {
        Self { about }
    }
}

impl CreditsPayload {
    /// Returns the proof that the caller may see everything about the user.
    pub(crate) fn own<'a>(&self, context: &'a Context<'_>) -> Result<Option<(&'a Request, OwnUser)>> {
        self.about.own(context)
    }
}

#[ComplexObject]
impl CreditsPayload {
    /// The user's credits, with the blocks in force. Null when there is no such user.
    async fn credits(&self, context: &Context<'_>) -> Nullable<Ready<CreditAccount>> {
        nullable(async {
            let Some((request, own)) = self.about.own(context)? else { return Ok(None) };
            CreditAccount::of(request, &own).await.map(Ready).map(Some)
        })
        .await
    }
}
