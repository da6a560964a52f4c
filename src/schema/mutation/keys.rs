//! Mutations of API keys.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use crate::auth::policy::{self, Operator};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::features::users;
use crate::features::users::graphql::UserBy;
use crate::features::users::keys::{CreateApiKey, KeyOutcome, RevokeApiKey, Shown};
use crate::graphql::context::{Ask as _, Nullable, present};
use crate::graphql::list::List;
use crate::graphql::refusal::Refusal;
use crate::request::Request;
use crate::schema::admin::ApiKey;
use crate::schema::viewer::Scope;

/// An API key that is to be made.
#[derive(Debug, InputObject)]
pub(crate) struct CreateApiKeyInput {
    /// What to call it, 1 to 100 characters. The history names the app so.
    name: String,
    /// What it allows, at least one; each includes the narrower ones.
    scopes: Vec<Scope>,
    /// The user it belongs to: the history then names the user, and the viewer is the user. By default the operator.
    owner: Option<UserBy>,
    /// From when on it is refused, in the future; by default never.
    expires_at: Option<Timestamp>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once. The secret is not shown again.
    idempotency_key: Option<String>,
}

/// An API key that is to be revoked.
#[derive(Debug, InputObject)]
pub(crate) struct RevokeApiKeyInput {
    /// The key's number or its prefix.
    key: String,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// What came of making an API key.
#[derive(Debug, SimpleObject)]
pub(crate) struct CreateApiKeyPayload {
    /// The key itself, shown this once and stored nowhere. Null when the whole was refused, and when the write was repeated.
    secret: Option<String>,
    /// What is known of the key. Null when the whole was refused.
    api_key: Option<ApiKey>,
    /// What was refused; nothing was changed then.
    user_errors: List<Refusal>,
}

/// What came of revoking an API key.
#[derive(Debug, SimpleObject)]
pub(crate) struct RevokeApiKeyPayload {
    /// What is known of the key. Null when the whole was refused.
    api_key: Option<ApiKey>,
    /// What was refused; nothing was changed then.
    user_errors: List<Refusal>,
}

/// Mutations of API keys.
#[derive(Debug, Default)]
pub(crate) struct KeyMutation;

#[Object]
impl KeyMutation {
    /// Makes an API key. For API keys with the scope admin. Null with an error when the whole was refused.
    async fn create_api_key(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "What it is called, and what it allows.")] input: CreateApiKeyInput,
    ) -> Nullable<CreateApiKeyPayload> {
        present(async {
            let request = context.ask()?;
            let operator = policy::operate(&request.caller)?;
            let secret = Shown::default();
            let write = CreateApiKey {
                operator,
                name: input.name,
                scopes: input.scopes.into_iter().map(Into::into).collect(),
                owner: input.owner.map(|by| users::service::key(by.into())).transpose()?,
                expires_at: input.expires_at,
                secret: secret.clone(),
            };
            let outcome = request.write(write, input.idempotency_key).await?.outcome;
            let secret = outcome.key.and_then(|key| secret.take(key));
            Ok(CreateApiKeyPayload {
                secret: secret.map(|secret| secret.expose().to_owned()),
                api_key: stored(request, operator, &outcome).await?,
                user_errors: outcome.refusals.into(),
            })
        })
        .await
    }

    /// Revokes an API key: it is refused from then on. Revoking again changes nothing. For API keys with the scope admin. Null
    /// with an error when the whole was refused.
    async fn revoke_api_key(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which key.")] input: RevokeApiKeyInput,
    ) -> Nullable<RevokeApiKeyPayload> {
        present(async {
            let request = context.ask()?;
            let operator = policy::operate(&request.caller)?;
            let outcome =
                request.write(RevokeApiKey { operator, key: input.key }, input.idempotency_key).await?.outcome;
            Ok(RevokeApiKeyPayload {
                api_key: stored(request, operator, &outcome).await?,
                user_errors: outcome.refusals.into(),
            })
        })
        .await
    }
}

async fn stored(request: &Request, operator: Operator, outcome: &KeyOutcome) -> Result<Option<ApiKey>> {
    let Some(number) = outcome.key else { return Ok(None) };
    Ok(users::service::api_key(request, operator, number).await?.map(ApiKey::from))
}
