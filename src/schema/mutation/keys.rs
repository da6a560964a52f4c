//! Mutations of API keys.

use async_graphql::{Context, InputObject, Object, SimpleObject};

use crate::admin::ApiKey;
use crate::viewer::Scope;
use waymark_auth::policy;
use waymark_auth::policy::Operator;
use waymark_graphql_kit::context::{Nullable, present};
use waymark_graphql_kit::list::List;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_request::Ask as _;
use waymark_request::Request;
use waymark_users as users;
use waymark_users::graphql::UserBy;
use waymark_users::keys::{CreateApiKey, KeyOutcome, RevokeApiKey, Shown};
use waymark_vocabulary::refusal::Refusal;

/// Input of `createApiKey`.
#[derive(Debug, InputObject)]
pub(crate) struct CreateApiKeyInput {
    /// The key's name, 1 to 100 characters. The history shows it as the name of the app.
    name: String,
    /// What it allows, at least one; each includes the narrower ones.
    scopes: Vec<Scope>,
    /// The user it belongs to: the history then names the user, and the viewer is the user. By default the operator.
    owner: Option<UserBy>,
    /// From when on it is refused, in the future; by default never.
    expires_at: Option<Timestamp>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once. The secret is not shown
    /// again.
    idempotency_key: Option<String>,
}

/// Input of `revokeApiKey`.
#[derive(Debug, InputObject)]
pub(crate) struct RevokeApiKeyInput {
    /// The key's number or its prefix.
    key: String,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Payload of `createApiKey`.
#[derive(Debug, SimpleObject)]
pub(crate) struct CreateApiKeyPayload {
    /// The key itself, shown this once and stored nowhere. Null when the whole was refused, and when the write was
    /// repeated.
    secret: Option<String>,
    /// The API key without its secret. Null when the whole was refused.
    api_key: Option<ApiKey>,
    /// What was refused; nothing was changed then.
    user_errors: List<Refusal>,
}

/// Payload of `revokeApiKey`.
#[derive(Debug, SimpleObject)]
pub(crate) struct RevokeApiKeyPayload {
    /// The API key. Null when the whole was refused.
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
        #[graphql(desc = "The key's name and what it allows.")] input: CreateApiKeyInput,
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

    /// Revokes an API key: it is refused from then on. Revoking again changes nothing. For API keys with the scope
    /// admin. Null with an error when the whole was refused.
    async fn revoke_api_key(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The key that is revoked.")] input: RevokeApiKeyInput,
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
