//! What operators read: users by what is known of them, API keys and the audit log; and the whole of one user.

use async_graphql::{Context, Object, SimpleObject};

use super::user::User;
use waymark_auth::{Scope, UserId, api_key, policy};
use waymark_graphql_kit::context::{Nullable, elements_show, nullable, present};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::pagination::{Connection, PageArgs};
use waymark_graphql_kit::scalars::{BigInt, Written};
use waymark_graphql_kit::search::checked;
use waymark_kernel::clock::Timestamp;
use waymark_kinds::collections;
use waymark_kinds::credits;
use waymark_kinds::games;
use waymark_kinds::history;
use waymark_kinds::history::graphql::AuditEntry;
use waymark_kinds::learning;
use waymark_kinds::seasons;
use waymark_kinds::users;
use waymark_kinds::users::graphql::UserBy;
use waymark_kinds::users::service::ApiKey as Stored;
use waymark_request::Ask as _;

/// An application's API key. The key itself was shown once, when it was made.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct ApiKey {
    /// The key's number, by which it can be revoked.
    number: BigInt,
    /// What the operator called it.
    name: String,
    /// The first characters of the key, by which it is recognised and can be revoked.
    prefix: String,
    /// What it allows.
    scopes: List<Scope>,
    /// When it was made.
    created_at: Timestamp,
    /// From when on it is refused. Null when it does not expire.
    expires_at: Option<Timestamp>,
    /// When it was revoked. Null when it was not.
    revoked_at: Option<Timestamp>,
    #[graphql(skip)]
    owner: Option<i64>,
}

impl From<Stored> for ApiKey {
    fn from(stored: Stored) -> Self {
        Self {
            number: BigInt(stored.id),
            scopes: api_key::scopes(&stored).into(),
            name: stored.name,
            prefix: stored.prefix,
            created_at: stored.created_at,
            expires_at: stored.expires_at,
            revoked_at: stored.revoked_at,
            owner: stored.owner_id,
        }
    }
}

#[async_graphql::ComplexObject]
impl ApiKey {
    /// The user to whom the key belongs. Null when it belongs to the operator, or to a user who has been erased.
    async fn owner(&self, context: &Context<'_>) -> Nullable<User> {
        nullable(async {
            let request = context.ask()?;
            let Some(owner) = self.owner else { return Ok(None) };
            let found = users::service::user_by_id(request, UserId(owner)).await?;
            Ok(found.and_then(|stored| User::show(request, stored)))
        })
        .await
    }
}

/// How many characters the id of an account has at most, by which a user may be looked for.
const LONGEST: usize = 255;

/// What operators read.
#[derive(Debug, Default)]
pub(crate) struct AdminQuery;

#[Object]
impl AdminQuery {
    /// The users whose handle begins with this text, or who have this id or an account of this id; in the order in
    /// which they were created. Null for those who may not search: only API keys with the scope admin may.
    #[allow(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn search_users(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The beginning of a handle, a whole id or a whole id of an account; empty for all users.")]
        text: String,
        #[graphql(desc = "How many users from the start, 1 to 100; 20 when neither this nor last is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only users behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many users from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only users before this cursor.")] before: Option<String>,
    ) -> Nullable<Connection<User>> {
        present(async {
            let request = context.ask()?;
            let operator = policy::operate(&request.caller)?;
            let page = PageArgs { first, after, last, before }.check("found", request)?;
            let found = users::service::search(request, operator, checked(&text, LONGEST)?, page).await?;
            // Operators see all users.
            found.try_map(|stored| User::show_written(request, stored))
        })
        .await
    }

    /// All API keys, those too that were revoked or have expired, the oldest first. Null for those who may not see
    /// them: only API keys with the scope admin may.
    async fn api_keys(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many keys from the start, 1 to 100; 20 when neither this nor last is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only keys behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many keys from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only keys before this cursor.")] before: Option<String>,
    ) -> Nullable<Connection<ApiKey>> {
        present(async {
            let request = context.ask()?;
            let operator = policy::operate(&request.caller)?;
            let page = PageArgs { first, after, last, before }.check("keys", request)?;
            Ok(users::service::api_keys(request, operator, page).await?.map(ApiKey::from))
        })
        .await
    }

    /// What operators and apps did outside of the histories of users: changes of keys, the catalogue and settings; the
    /// newest first. Null for those who may not see it: only API keys with the scope admin may.
    async fn audit_log(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many entries from the newest, 1 to 100; 20 when neither this nor last is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only entries behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many entries from the oldest, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Nullable<Connection<AuditEntry>> {
        present(async {
            let request = context.ask()?;
            let operator = policy::operate(&request.caller)?;
            let page = PageArgs { first, after, last, before }.check("audit", request)?;
            let changes = elements_show(context, "changes");
            Ok(history::service::audit_log(request, operator, page, changes).await?.map(AuditEntry::from))
        })
        .await
    }

    /// Everything that is stored about one user, as one object: a list of rows for each place where something is. For
    /// the users themselves, and for API keys with the scope admin. Null when there is no such user whom the caller may
    /// see, and with a FORBIDDEN error for others. Refused with LIMIT_EXCEEDED where it has more than 2,000,000 bytes.
    async fn export_user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The user whose data is exported.")] user: UserBy,
    ) -> Nullable<Written> {
        nullable(async {
            let request = context.ask()?;
            let found = users::service::visible(request, user.into()).await?;
            let Some(stored) = found else { return Ok(None) };
            let user = policy::dispose_of(&request.caller, &stored.subject)?;
            let places = users::service::RECORDS
                .iter()
                .chain(&seasons::service::RECORDS)
                .chain(&credits::service::RECORDS)
                .chain(&learning::service::RECORDS)
                .chain(&games::service::RECORDS)
                .chain(&collections::service::RECORDS)
                .chain(&history::service::RECORDS);
            users::service::export(request, &user, places).await.map(Written::from).map(Some)
        })
        .await
    }
}
