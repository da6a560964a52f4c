//! The part of the query root that joins all kinds: users and nodes.

use async_graphql::{Context, ID, Object};

use super::kinds::{self, Node};
use super::together::{Alone, Together};
use super::user::{ProfileSide, User};
use super::viewer::Viewer;
use waymark_graphql_kit::context::{Nullable, nullable};
use waymark_graphql_kit::list::List;
use waymark_kernel::error::Result;
use waymark_kinds::users;
use waymark_kinds::users::graphql::UserBy;
use waymark_request::Ask as _;

/// Users and nodes.
#[derive(Debug, Default)]
pub(crate) struct UserQuery;

#[Object]
impl UserQuery {
    /// The caller of this request, and what the credential allows.
    async fn viewer(&self) -> Viewer {
        Viewer
    }

    /// The user that `by` names. Null when there is none, and when the caller may not see the profile. Null with a
    /// FORBIDDEN error when the caller may see the user, but not the view that `as` asks for.
    async fn user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Names the user by exactly one of id, handle, address and account.")] by: UserBy,
        #[graphql(
            name = "as",
            desc = "From whose view the user is shown: PUBLIC as a caller without a credential sees it, SELF as the user \
                    sees it, for the users themselves and for API keys with the scope admin. By default the \
                    caller's view."
        )]
        side: Option<ProfileSide>,
    ) -> Nullable<Alone> {
        nullable(async {
            let request = context.ask()?;
            let found = users::service::user(request, by.into()).await?;
            let shown = found.map(|stored| User::show_as(request, stored, side)).transpose()?;
            Ok(shown.flatten().map(Alone))
        })
        .await
    }

    /// The users that `by` names, in the same order; null in place of a user who does not exist or whom the caller may
    /// not see.
    async fn users(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Names of users, at most 200; duplicates are fine.")] by: Vec<UserBy>,
    ) -> Result<Together> {
        let request = context.ask()?;
        let found = users::service::users(request, by.into_iter().map(Into::into).collect()).await?;
        let show = |found: Result<Option<_>>| {
            found.map(|stored| stored.and_then(|stored| User::show(request, stored))).transpose()
        };
        Ok(Together(found.into_iter().map(show).collect()))
    }

    /// The object with this global id. Null when there is none, and when it belongs to a user whose profile the caller
    /// may not see. Null with a FORBIDDEN error when the caller may see the user, but not this object.
    async fn node(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "A global id, such as `game:14402`.")] id: ID,
    ) -> Nullable<Node> {
        nullable(async { kinds::find(context.ask()?, &id).await }).await
    }

    /// The objects with these global ids, in the same order; null in place of an object that does not exist or that the
    /// caller may not see.
    async fn nodes(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Global ids, at most 200; duplicates are fine.")] ids: Vec<ID>,
    ) -> Result<List<Nullable<Node>>> {
        let request = context.ask()?;
        request.check_ids("nodes", ids.len(), request.config.limits.max_ids)?;
        let found = ids.iter().map(|id| nullable(kinds::find(request, id)));
        Ok(futures_util::future::join_all(found).await.into())
    }
}
