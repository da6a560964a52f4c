//! GraphQL over HTTP.

use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Extension;
use axum::body;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER, VARY, WWW_AUTHENTICATE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::gate::Refusal;
use super::media::{self, Accepts, Media};
use super::operation::{self, Answer, Asked, Client, Kind};
use super::peer::{self, Connection};
use super::sse;
use crate::app::App;
use waymark_auth::signed_fetch::Signed;
use waymark_auth::{Caller, SIGNATURE, extract};
use waymark_graphql_kit::scalars::beginning;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Code, Error};
use waymark_kernel::text;
use waymark_kinds::history::live::Marks;
use waymark_rest_kit as rest;

/// The id of the last event that a client of server-sent events has seen.
const LAST_EVENT_ID: &str = "last-event-id";

/// `POST /graphql`.
pub(super) async fn post(State(app): State<Arc<App>>, request: Request) -> Response {
    let (Parts { method, uri, headers, extensions, .. }, body) = request.into_parts();
    let Some(accepts) = Accepts::of(&headers) else { return not_acceptable() };
    let media = accepts.media;
    let most = app.config.limits.max_body_bytes;
    let body = match body::to_bytes(body, most).await {
        Ok(body) => body,
        Err(error) if error.source().is_some_and(|source| source.is::<LengthLimitError>()) => {
            let error = Error::limit(format!("the body is longer than the {most} bytes that are allowed"));
            return refuse(media, StatusCode::PAYLOAD_TOO_LARGE, &error);
        }
        Err(_) => return refuse(media, StatusCode::BAD_REQUEST, &Error::bad_input("the body could not be read")),
    };
    if rest::is_encoded(&headers) {
        return refuse(media, StatusCode::UNSUPPORTED_MEDIA_TYPE, &Error::bad_input(rest::ENCODED));
    }
    if !media::is_json(&headers) {
        let message = "send the request as application/json in UTF-8";
        return refuse(media, StatusCode::UNSUPPORTED_MEDIA_TYPE, &Error::bad_input(message));
    }
    let json = text::without_mark(&body);
    // Serde would take an array for the object, member by member.
    let parsed = match json.trim_ascii_start().first() {
        Some(b'{') => text::from_json::<Asked>(json).map_err(|_| why_not(json)),
        _ => Err("it is no object".to_owned()),
    };
    match parsed {
        Ok(asked) => {
            let connection = extensions.get().cloned().map(Extension);
            let peer = peer::of(&connection, &headers, app.config.proxies);
            run(&app, &Sent { method: &method, path: uri.path(), headers: &headers, body: &body, peer }, accepts, asked)
                .await
        }
        Err(error) => refuse(
            media,
            StatusCode::BAD_REQUEST,
            &Error::bad_input(format!(
                "the body must be a JSON object with query or documentId, and optionally variables, operationName and \
                 extensions: {error}"
            )),
        ),
    }
}

/// Says why an object is not what is asked.
fn why_not(json: &[u8]) -> String {
    let members: Map<String, Value> = match text::from_json(json) {
        Ok(members) => members,
        Err(error) => return text::no_json(&error),
    };
    let wrong = |(name, wanted, fits): (&str, &str, fn(&Value) -> bool)| {
        let found = members.get(name).filter(|value| !value.is_null() && !fits(value))?;
        Some(format!("{name} is {wanted}, and not {}", beginning(&found.to_string())))
    };
    let texts = ["query", "documentId", "operationName"].map(|name| (name, "a text", Value::is_string as _));
    let objects = ["variables", "extensions"].map(|name| (name, "an object", Value::is_object as _));
    let wrong = texts.into_iter().chain(objects).find_map(wrong);
    // Of members that are given twice the last one is kept.
    wrong.unwrap_or_else(|| "a member is given twice".to_owned())
}

/// `GET /graphql`: queries, and subscriptions as events.
pub(super) async fn get(
    State(app): State<Arc<App>>,
    connection: Connection,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let Some(accepts) = Accepts::of(&headers) else { return not_acceptable() };
    match from_query(uri.query().unwrap_or_default()) {
        Ok(asked) => {
            let peer = peer::of(&connection, &headers, app.config.proxies);
            run(&app, &Sent { method: &method, path: uri.path(), headers: &headers, body: &[], peer }, accepts, asked)
                .await
        }
        Err(error) => refuse(accepts.media, StatusCode::BAD_REQUEST, &error),
    }
}

fn from_query(query: &str) -> Result<Asked, Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Parameters {
        query: Option<String>,
        document_id: Option<String>,
        operation_name: Option<String>,
        variables: Option<String>,
        extensions: Option<String>,
    }
    let parameters: Parameters = serde_urlencoded::from_str(query).map_err(|_| {
        Error::bad_input(
            "the parameters query or documentId, variables, operationName and extensions are read, each given once",
        )
    })?;
    let map = |name: &str, text: Option<String>| {
        let text = text.filter(|text| !text.is_empty());
        text.as_ref().map(|text| text::from_json(text.as_bytes())).transpose().map_err(|error| {
            let found: Option<Value> = text.and_then(|text| text::from_json(text.as_bytes()).ok());
            let it_is = |found: Value| format!("it is {}", beginning(&found.to_string()));
            let reason = found.map_or_else(|| text::no_json(&error), it_is);
            Error::bad_input(format!("{name} must be a JSON object: {reason}"))
        })
    };
    Ok(Asked {
        query: parameters.query,
        document_id: parameters.document_id,
        operation_name: parameters.operation_name,
        variables: map("variables", parameters.variables)?,
        extensions: map("extensions", parameters.extensions)?,
    })
}

/// The HTTP request in which a client asks.
struct Sent<'a> {
    method: &'a Method,
    path: &'a str,
    headers: &'a HeaderMap,
    body: &'a [u8],
    peer: Option<IpAddr>,
}

async fn run(app: &Arc<App>, sent: &Sent<'_>, accepts: Accepts, asked: Asked) -> Response {
    let media = accepts.media;
    if let Some(refusal) = asked.nothing_to_run() {
        return respond(media, StatusCode::BAD_REQUEST, &refusal.into());
    }
    // Boxed, because it is large, and would be moved with every layer's future that holds it.
    match Box::pin(answer(app, sent, accepts, asked)).await {
        Ok(Answered::Whole(answer)) => respond(media, StatusCode::OK, &answer),
        Ok(Answered::Following(response)) => response,
        Err(Unanswered::Refused(refusal)) => refuse_operation(media, refusal),
        Err(Unanswered::Elsewhere(status, error)) => {
            let mut response = refuse(media, status, &error);
            if status == StatusCode::METHOD_NOT_ALLOWED {
                response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            }
            response
        }
    }
}

/// What an operation is answered with.
enum Answered {
    Whole(Answer),
    /// One answer after the other.
    Following(Response),
}

/// Why there is no answer.
enum Unanswered {
    Refused(Refusal),
    /// It would be answered to another kind of request.
    Elsewhere(StatusCode, Error),
}

impl<T: Into<Refusal>> From<T> for Unanswered {
    fn from(refusal: T) -> Self {
        Self::Refused(refusal.into())
    }
}

async fn answer(app: &Arc<App>, sent: &Sent<'_>, accepts: Accepts, asked: Asked) -> Result<Answered, Unanswered> {
    let Shown { caller, expires_at, signed } = shown(app, sent).await?;
    let client = Client { caller, peer: sent.peer };
    let prepared = operation::prepare(app, &client, asked)?;
    let elsewhere = |status, message| Err(Unanswered::Elsewhere(status, Error::bad_input(message)));
    match prepared.kind {
        Kind::Subscription if accepts.events => {
            let full = || Error::new(Code::Unavailable, "there are too many connections; try again later");
            let place = app.streams.enter(&client.caller, client.peer).ok_or_else(full)?;
            let session = app.vigil.watch(Arc::clone(&client.caller), expires_at, app.clock.now());
            // An empty one says that there is none.
            let seen = sent.headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok()).filter(|id| !id.is_empty());
            let seen = seen.map(str::to_owned);
            let marks = Some(Marks::behind(seen));
            let answers = operation::follow(app, &client, session.clone(), prepared, marks)?;
            return Ok(Answered::Following(sse::follow(app, session, place, answers)));
        }
        Kind::Subscription => {
            let message = "a subscription is answered over a WebSocket, or as text/event-stream";
            return elsewhere(StatusCode::NOT_ACCEPTABLE, message);
        }
        Kind::Mutation if sent.method != Method::POST => {
            return elsewhere(StatusCode::METHOD_NOT_ALLOWED, "GET runs queries only; send mutations by POST");
        }
        Kind::Query | Kind::Mutation => {}
    }
    let cost = operation::take(app, &client, &prepared)?;
    let mark = match signed.filter(|_| prepared.kind == Kind::Mutation) {
        Some(signed) => Some(Arc::new(Box::pin(app.authenticator.mark(&signed, sent.body, &app.db)).await?)),
        None => None,
    };
    Ok(Answered::Whole(operation::execute(app, &client, prepared, cost, mark).await?))
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
    let (now, peer) = (app.clock.now(), sent.peer);
    let credential = match extract::credential(sent.headers) {
        Ok(credential) => credential,
        Err(refusal) => return Err(app.authenticator.refuse(peer, 0).err().unwrap_or(refusal)),
    };
    if let Some(credential) = credential {
        let (caller, expires_at) = app.authenticator.admit(credential, peer, &app.db, now).await?;
        return Ok(Shown { caller, expires_at, signed: None });
    }
    match extract::signature(sent.headers) {
        Some(signature) => {
            let asked = (sent.method.as_str(), sent.path);
            let authenticated = app.authenticator.authenticate_signed(&signature, asked, peer, &app.db, now);
            let (caller, signed) = Box::pin(authenticated).await?;
            app.rates.charge(&caller, peer, SIGNATURE * signed.verified)?;
            Ok(Shown { caller, expires_at: Some(signed.expires_at), signed: Some(signed) })
        }
        None => Ok(Shown { caller: Arc::new(Caller::Anonymous), expires_at: None, signed: None }),
    }
}

fn respond(media: Media, status: StatusCode, answer: &Answer) -> Response {
    if media == Media::Events && status == StatusCode::OK {
        return sse::whole(answer);
    }
    match answer.to_json() {
        Ok(body) => (status, [(CONTENT_TYPE, media.as_str()), (VARY, "accept, accept-encoding")], body).into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// Refuses an operation, for what it says or for who sends it. Clients that take plain JSON expect status 200 for the
/// former.
fn refuse_operation(media: Media, refusal: Refusal) -> Response {
    let (status, header) = match refusal.code {
        Code::InvalidCredential => {
            (StatusCode::UNAUTHORIZED, Some((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))))
        }
        Code::Forbidden => (StatusCode::FORBIDDEN, None),
        Code::RateLimited => {
            let seconds = HeaderValue::from(refusal.retry_after.unwrap_or(1));
            (StatusCode::TOO_MANY_REQUESTS, Some((RETRY_AFTER, seconds)))
        }
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, Some((RETRY_AFTER, HeaderValue::from_static("1")))),
        Code::Internal => (StatusCode::INTERNAL_SERVER_ERROR, None),
        Code::PersistedDocumentNotFound => (StatusCode::BAD_REQUEST, None),
        // Clients read it as an answer, and send the text then.
        Code::PersistedQueryNotSupported | Code::PersistedQueryNotFound => (StatusCode::OK, None),
        _ if media == Media::Graphql => (StatusCode::BAD_REQUEST, None),
        _ => (StatusCode::OK, None),
    };
    let mut response = respond(media, status, &refusal.into());
    if let Some((name, value)) = header {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Refuses a request that is no GraphQL request.
fn refuse(media: Media, status: StatusCode, error: &Error) -> Response {
    respond(media, status, &Refusal::new(error.code(), error.message()).into())
}

/// Refuses a request whose answer the client would not take.
fn not_acceptable() -> Response {
    let message = "answers are application/graphql-response+json, application/json or text/event-stream";
    refuse(Media::Json, StatusCode::NOT_ACCEPTABLE, &Error::bad_input(message))
}
