//! GraphQL over HTTP.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::gate::Refusal;
use super::operation::{self, Answer, Asked, Client, Kind, Prepared};
use super::sse;
use crate::app::App;
use crate::auth::signed_fetch::Signed;
use crate::auth::{Caller, extract};
use crate::clock::Timestamp;
use crate::error::{Code, Error};

const GRAPHQL: &str = "application/graphql-response+json; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";

/// `POST /graphql`.
pub(super) async fn post(
    State(app): State<Arc<App>>,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let media = Media::of(&headers);
    let body = match body {
        Ok(body) => body,
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let most = app.config.limits.max_body_bytes;
            let error = Error::limit(format!("the body is longer than the {most} bytes that are allowed"));
            return media.refuse(StatusCode::PAYLOAD_TOO_LARGE, &error);
        }
        Err(_) => return media.refuse(StatusCode::BAD_REQUEST, &Error::bad_input("the body could not be read")),
    };
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json") {
        let message = "send the request as application/json";
        return media.refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, &Error::bad_input(message));
    }
    // Serde would take an array for the object, member by member.
    let parsed = match body.trim_ascii_start().first() {
        Some(b'{') => serde_json::from_slice::<Asked>(&body).map_err(|error| error.to_string()),
        _ => Err("it is no object".to_owned()),
    };
    match parsed {
        Ok(Asked { query: None, .. }) => media.refuse(StatusCode::BAD_REQUEST, &Error::bad_input("query is missing")),
        Ok(asked) => {
            let sent = Sent { method: &Method::POST, path: uri.path(), headers: &headers, body: &body };
            run(&app, &sent, media, asked).await
        }
        Err(error) => media.refuse(
            StatusCode::BAD_REQUEST,
            &Error::bad_input(format!(
                "the body must be a JSON object with query, and optionally variables and operationName: {error}"
            )),
        ),
    }
}

/// `GET /graphql`: queries only.
pub(super) async fn get(State(app): State<Arc<App>>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let media = Media::of(&headers);
    match from_query(uri.query().unwrap_or_default()) {
        Ok(asked) => {
            let sent = Sent { method: &method, path: uri.path(), headers: &headers, body: &[] };
            run(&app, &sent, media, asked).await
        }
        Err(error) => media.refuse(StatusCode::BAD_REQUEST, &error),
    }
}

fn from_query(query: &str) -> Result<Asked, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Parameters {
        query: String,
        operation_name: Option<String>,
        variables: Option<String>,
    }
    let parameters: Parameters = serde_urlencoded::from_str(query).map_err(|error| {
        Error::bad_input(format!("the parameters query, variables and operationName are read: {error}"))
    })?;
    let variables = parameters.variables.filter(|text| !text.is_empty()).map(|text| serde_json::from_str(&text));
    Ok(Asked {
        query: Some(parameters.query),
        document_id: None,
        operation_name: parameters.operation_name,
        variables: variables
            .transpose()
            .map_err(|error| Error::bad_input(format!("variables must be a JSON object: {error}")))?,
        _extensions: None,
    })
}

/// The HTTP request in which a client asks.
struct Sent<'a> {
    method: &'a Method,
    path: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
}

async fn run(app: &Arc<App>, sent: &Sent<'_>, media: Media, asked: Asked) -> Response {
    let Shown { caller, expires_at, signed } = match shown(app, sent).await {
        Ok(shown) => shown,
        Err(error) => return media.refuse_caller(&error),
    };
    let prepared = match operation::prepare(app, asked) {
        Ok(prepared) => prepared,
        Err(refusal) => return media.refuse_document(refusal),
    };
    if sent.method != Method::POST && prepared.kind == Kind::Mutation {
        let message = "GET runs queries only; send mutations by POST";
        let mut response = media.refuse(StatusCode::METHOD_NOT_ALLOWED, &Error::bad_input(message));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    if let Some(signed) = signed.filter(|_| prepared.kind == Kind::Mutation)
        && let Err(error) = app.authenticator.spend(&signed, sent.body)
    {
        return media.refuse_caller(&error);
    }
    let client = Client { caller, peer: None };
    if prepared.kind == Kind::Subscription {
        return follow(app, client, expires_at, prepared, media);
    }
    match operation::execute(app, &client, prepared).await {
        Ok(answer) => media.answer(StatusCode::OK, &answer),
        Err(error) => media.refuse_caller(&error),
    }
}

/// Answers a subscription with a stream of events.
fn follow(
    app: &Arc<App>,
    client: Client,
    expires_at: Option<Timestamp>,
    prepared: Prepared,
    media: Media,
) -> Response {
    if media != Media::Events {
        let message = "send subscriptions with \"Accept: text/event-stream\", or over a WebSocket";
        return media.refuse(StatusCode::NOT_ACCEPTABLE, &Error::bad_input(message));
    }
    let Some(place) = app.streams.enter() else {
        return media.refuse_caller(&Error::new(Code::Unavailable, "there are too many connections; try again later"));
    };
    let standing = app.vigil.watch(Arc::clone(&client.caller), expires_at, app.clock.now());
    match operation::follow(app, &client, standing.clone(), prepared) {
        Ok(answers) => sse::follow(app, standing, place, answers),
        Err(error) => media.refuse_caller(&error),
    }
}

/// Who makes the request.
struct Shown {
    caller: Arc<Caller>,
    /// When the credential expires, if it does.
    expires_at: Option<Timestamp>,
    /// The signature, if the request is signed.
    signed: Option<Signed>,
}

async fn shown(app: &App, sent: &Sent<'_>) -> Result<Shown, Error> {
    let now = app.clock.now();
    if let Some(credential) = extract::credential(sent.headers)? {
        let (caller, expires_at) = app.authenticator.admit(credential, &app.db, now).await?;
        return Ok(Shown { caller, expires_at, signed: None });
    }
    match extract::signature(sent.headers) {
        Some(signature) => {
            let method = sent.method.as_str();
            let (caller, signed) =
                app.authenticator.authenticate_signed(&signature, method, sent.path, &app.db, now).await?;
            Ok(Shown { caller, expires_at: Some(signed.expires_at), signed: Some(signed) })
        }
        None => Ok(Shown { caller: Arc::new(Caller::Anonymous), expires_at: None, signed: None }),
    }
}

/// The media type of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    Graphql,
    Json,
    /// Server-sent events. What never becomes an operation is refused as plain JSON.
    Events,
}

impl Media {
    fn of(headers: &HeaderMap) -> Self {
        let accepted = || {
            let lists = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
            lists.flat_map(|list| list.split(',')).map(str::trim)
        };
        if accepted().any(|one| one.starts_with(sse::MEDIA)) {
            Self::Events
        } else if accepted().any(|one| one.starts_with("application/graphql-response+json")) {
            Self::Graphql
        } else {
            Self::Json
        }
    }

    fn answer(self, status: StatusCode, answer: &Answer) -> Response {
        let content_type = match self {
            Self::Graphql => GRAPHQL,
            Self::Json => JSON,
            Self::Events if status == StatusCode::OK => return sse::whole(answer),
            Self::Events => JSON,
        };
        match answer.to_json() {
            Ok(body) => (status, [(CONTENT_TYPE, content_type)], body).into_response(),
            Err(error) => {
                tracing::error!(%error, "an answer could not be written");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    /// Refuses a document. Clients that take plain JSON expect status 200 for it.
    fn refuse_document(self, refusal: Refusal) -> Response {
        let status = if self == Self::Graphql { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        self.answer(status, &refusal.into())
    }

    /// Refuses a request for who makes it.
    fn refuse_caller(self, error: &Error) -> Response {
        let (status, header) = match error.code() {
            Code::InvalidCredential => (StatusCode::UNAUTHORIZED, Some((WWW_AUTHENTICATE, "Bearer"))),
            Code::Forbidden => (StatusCode::FORBIDDEN, None),
            _ => (StatusCode::SERVICE_UNAVAILABLE, Some((RETRY_AFTER, "1"))),
        };
        let mut response = self.refuse(status, error);
        if let Some((name, value)) = header {
            response.headers_mut().insert(name, HeaderValue::from_static(value));
        }
        response
    }

    /// Refuses a request that is no GraphQL request.
    fn refuse(self, status: StatusCode, error: &Error) -> Response {
        self.answer(status, &Answer::of(error))
    }
}
