//! The caller of a request.

use async_graphql::{Context, Enum, Object};

use super::user::User;
use waymark_auth::{Caller, Scope};
use waymark_graphql_kit::context::{Nullable, nullable};
use waymark_graphql_kit::list::List;
use waymark_kernel::clock::Timestamp;
use waymark_kinds::users;
use waymark_request::Ask as _;
use waymark_request::Request;

/// Who makes a request.
#[derive(Debug)]
pub(crate) struct Viewer;

/// How a request was authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
pub enum ViewerKind {
    /// Without a credential.
    Anonymous,
    /// As a user, by a token or a signature.
    User,
    /// As an app, by an API key.
    App,
}

/// The caller of this request, and what the credential allows.
#[Object]
impl Viewer {
    /// How the request was authenticated.
    async fn kind(&self, context: &Context<'_>) -> waymark_kernel::error::Result<ViewerKind> {
        Ok(match *context.ask()?.caller {
            Caller::Anonymous => ViewerKind::Anonymous,
            Caller::User(_) => ViewerKind::User,
            Caller::App(_) => ViewerKind::App,
        })
    }

    /// The caller, or the user to whom the API key belongs. Null for an anonymous request, for a key without owner, and
    /// for a token of a user for whom nothing has been recorded yet: reading creates no user.
    async fn user(&self, context: &Context<'_>) -> Nullable<User> {
        nullable(async {
            let request = context.ask()?;
            let Some(id) = request.caller.user() else { return Ok(None) };
            let found = users::service::user_by_id(request, id).await?;
            Ok(found.and_then(|stored| User::show(request, stored)))
        })
        .await
    }

    /// What the API key allows; empty for users and anonymous requests.
    async fn scopes(&self, context: &Context<'_>) -> waymark_kernel::error::Result<List<Scope>> {
        Ok(match &*context.ask()?.caller {
            Caller::App(app) => app.scopes.clone().into(),
            Caller::Anonymous | Caller::User(_) => List::default(),
        })
    }

    /// The name of the API key. Null when none was used.
    async fn app_name(&self, context: &Context<'_>) -> waymark_kernel::error::Result<Option<String>> {
        Ok(match &*context.ask()?.caller {
            Caller::App(app) => Some(app.name.clone()),
            Caller::Anonymous | Caller::User(_) => None,
        })
    }

    /// The instant of this request, which everything in the answer agrees on.
    async fn now(&self, context: &Context<'_>) -> waymark_kernel::error::Result<Timestamp> {
        Ok(context.ask()?.now())
    }

    /// How much one request may ask for.
    async fn limits(&self, context: &Context<'_>) -> waymark_kernel::error::Result<Limits> {
        Ok(Limits::of(context.ask()?))
    }
}

/// How much one request may ask for.
#[derive(Debug, async_graphql::SimpleObject)]
pub(crate) struct Limits {
    /// How deep selections may be nested.
    max_depth: i32,
    /// How many aliases a document may have.
    max_aliases: i32,
    /// What an operation may cost: 1 for each object of its answer, and something for each field. `extensions.cost` of
    /// an answer says what it cost.
    max_cost: i32,
    /// How many elements a page may have.
    max_page_size: i32,
    /// How many ids a field that takes ids may be given.
    max_ids: i32,
    /// How many resource ids a field that takes them may be given.
    max_resource_ids: i32,
}

impl Limits {
    fn of(request: &Request) -> Self {
        let limit = |limit: u32| i32::try_from(limit).unwrap_or(i32::MAX);
        let config = &request.config;
        Self {
            max_depth: limit(config.limits.max_depth),
            max_aliases: limit(config.limits.max_aliases),
            max_cost: limit(config.limits.max_cost),
            max_page_size: limit(config.limits.max_page_size),
            max_ids: limit(config.limits.max_ids),
            max_resource_ids: limit(config.limits.max_resource_ids),
        }
    }
}
