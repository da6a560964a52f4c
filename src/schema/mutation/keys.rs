//! Mutations of API keys.

use async_graphql::SimpleObject;

use crate::admin::ApiKey;
use waymark_auth::Scope;
use waymark_auth::policy::Operator;
use waymark_graphql_kit::list::List;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_kinds::users;
use waymark_kinds::users::graphql::UserBy;
use waymark_kinds::users::keys::{CreateApiKey, KeyOutcome, RevokeApiKey, Shown};
use waymark_request::Request;
use waymark_vocabulary::refusal::Refusal;

input! {
    /// Input of `createApiKey`.
    CreateApiKeyInput;

    /// The key's name, 1 to 100 characters. The history shows it as the name of the app.
    name: String,
    /// What it allows, at least one; each includes the narrower ones.
    scopes: Vec<Scope>,
    /// The user it belongs to: the history then names the user, and the viewer is the user. By default the operator.
    owner: Option<UserBy>,
    /// From when on it is refused, in the future; by default never.
    expires_at: Option<Timestamp>,
}

input! {
    /// Input of `revokeApiKey`.
    RevokeApiKeyInput;

    /// The key's number or its prefix.
    key: String,
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

mutations! {
    /// Mutations of API keys.
    KeyMutation;

    /// Makes an API key. For API keys with the scope admin. Null with an error when the whole was refused.
    create_api_key: by_operator(CreateApiKeyInput, "The key's name and what it allows.") -> CreateApiKeyPayload;

    /// Revokes an API key: it is refused from then on. Revoking again changes nothing. For API keys with the scope
    /// admin. Null with an error when the whole was refused.
    revoke_api_key: by_operator(RevokeApiKeyInput, "The key that is revoked.") -> RevokeApiKeyPayload;
}

by_operator! {
    CreateApiKeyInput => CreateApiKey, Shown => CreateApiKeyPayload {
        write: |input, operator| {
            let secret = Shown::default();
            let write = CreateApiKey {
                operator,
                name: input.name,
                scopes: input.scopes,
                owner: input.owner.map(|by| users::service::key(by.into())).transpose()?,
                expires_at: input.expires_at,
                secret: secret.clone(),
            };
            (write, secret)
        },
        payload: |request, done| {
            let outcome = done.written.outcome;
            let secret = outcome.key.and_then(|key| done.kept.take(key));
            CreateApiKeyPayload {
                secret: secret.map(|secret| secret.expose().to_owned()),
                api_key: stored(request, done.operator, &outcome).await?,
                user_errors: outcome.refusals.into(),
            }
        },
    }
    RevokeApiKeyInput => RevokeApiKey, () => RevokeApiKeyPayload {
        write: |input, operator| (RevokeApiKey { operator, key: input.key }, ()),
        payload: |request, done| RevokeApiKeyPayload {
            api_key: stored(request, done.operator, &done.written.outcome).await?,
            user_errors: done.written.outcome.refusals.into(),
        },
    }
}

async fn stored(request: &Request, operator: Operator, outcome: &KeyOutcome) -> Result<Option<ApiKey>> {
    let Some(number) = outcome.key else { return Ok(None) };
    Ok(users::service::api_key(request, operator, number).await?.map(ApiKey::from))
}
