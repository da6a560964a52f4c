//! The query root: users and nodes here, the catalogue from the features.

use async_graphql::{Context, ID, MergedObject, Object};

use super::admin::AdminQuery;
use super::node::{self, Node};
use super::together::{Alone, Together};
use super::user::{ProfileSide, User};
use super::viewer::Viewer;
use crate::error::Result;
use crate::features::collections::graphql::CollectionQuery;
use crate::features::games::graphql::GameQuery;
use crate::features::learning::graphql::LearningQuery;
use crate::features::seasons::graphql::SeasonQuery;
use crate::features::users;
use crate::features::users::graphql::UserBy;
use crate::graphql::context::{Ask as _, Nullable, nullable};
use crate::graphql::list::List;

/// Everything that can be read.
#[derive(Debug, Default, MergedObject)]
pub(crate) struct Query(UserQuery, SeasonQuery, LearningQuery, GameQuery, CollectionQuery, AdminQuery);

/// Users and nodes.
#[derive(Debug, Default)]
pub(crate) struct UserQuery;

#[Object]
impl UserQuery {
    /// Who makes this request, and what the credential allows.
    async fn viewer(&self) -> Viewer {
        Viewer
    }

    /// The user whom this names. Null when there is none, and likewise when the caller may not see the profile. With a
    /// FORBIDDEN error when the caller may see the user, and not the side that was asked for.
    async fn user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Names the user by exactly one of id, handle, address and account.")] by: UserBy,
        #[graphql(
            name = "as",
            desc = "As whom the user is looked at: PUBLIC shows what anybody sees, SELF what the user sees, for the users \
                    themselves and for API keys with the scope admin. By default as whoever asks."
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

    /// The users whom these name, in the same order; null in place of one who does not exist or may not be seen.
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

    /// The object with this global id. Null when there is none, and likewise when it belongs to a user whose profile the caller
    /// may not see. With a FORBIDDEN error when the caller may see the user, and not this.
    async fn node(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "A global id, such as `game:14402`.")] id: ID,
    ) -> Nullable<Node> {
        nullable(async { node::find(context.ask()?, &id).await }).await
    }

    /// The objects with these global ids, in the same order; null in place of one that does not exist or may not be seen.
    async fn nodes(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Global ids, at most 200; duplicates are fine.")] ids: Vec<ID>,
    ) -> Result<List<Nullable<Node>>> {
        let request = context.ask()?;
        request.check_ids("nodes", ids.len(), request.config.limits.max_ids)?;
        let found = ids.iter().map(|id| nullable(node::find(request, id)));
        Ok(futures_util::future::join_all(found).await.into())
    }
}
