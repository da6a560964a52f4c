//! GraphQL over HTTP.

use std::sync::Arc;

use apollo_compiler::response::{GraphQLError, JsonMap};
use async_graphql::{ServerError, Value};
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::gate::Refusal;
use crate::app::App;
use crate::auth::signed_fetch::Signed;
use crate::auth::{Caller, extract};
use crate::clock::Timestamp;
use crate::error::{Code, Error};
use crate::graphql::ready;

const GRAPHQL: &str = "application/graphql-response+json; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";

/// What a client asks for.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    query: String,
    #[serde(default)]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Option<JsonMap>,
    #[serde(default, rename = "extensions")]
    _extensions: Option<JsonMap>,
}

/// An answer. One without `data` was never executed.
struct Answer<'a> {
    errors: Vec<Fault<'a>>,
    data: Option<&'a Value>,
}

impl Answer<'_> {
    fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut json = Vec::with_capacity(1024);
        json.push(b'{');
        if !self.errors.is_empty() {
            json.extend_from_slice(b"\"errors\":");
            serde_json::to_writer(&mut json, &self.errors)?;
        }
        if let Some(data) = self.data {
            json.extend_from_slice(if self.errors.is_empty() { b"\"data\":" } else { b",\"data\":" });
            ready::write_json(&mut json, data)?;
        }
        json.push(b'}');
        Ok(json)
    }
}

#[derive(Serialize)]
#[serde(untagged)]
enum Fault<'a> {
    Document(&'a GraphQLError),
    Execution(&'a ServerError),
}

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
        query: parameters.query,
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

async fn run(app: &App, sent: &Sent<'_>, media: Media, asked: Asked) -> Response {
    let now = app.clock.now();
    let (caller, signed) = match caller(app, sent, now).await {
        Ok(caller) => caller,
        Err(error) => return media.refuse_caller(&error),
    };
    match prepare(app, asked, sent, signed.as_ref()) {
        Ok(Prepared { request, plain, writes }) => {
            let caller = match if writes { app.known(caller, now).await } else { Ok(caller) } {
                Ok(caller) => caller,
                Err(error) => return media.refuse_caller(&error),
            };
            let context = app.request(caller, now).writing(plain);
            let work = app.schema.execute(request.data(context.clone()));
            let mut response = context.load.run(work).await;
            response.errors.iter_mut().for_each(|error| explain(app, now, error));
            let errors = response.errors.iter().map(Fault::Execution).collect();
            media.answer(StatusCode::OK, &Answer { errors, data: Some(&response.data) })
        }
        Err(Unprepared::MutationOverGet) => {
            let message = "GET runs queries only; send mutations by POST";
            let mut response = media.refuse(StatusCode::METHOD_NOT_ALLOWED, &Error::bad_input(message));
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
            response
        }
        Err(Unprepared::BadSignature(error)) => media.refuse_caller(&error),
        Err(Unprepared::Refused(refusal)) => media.refuse_document(refusal),
    }
}

/// Who makes the request, and the signature if it is signed.
async fn caller(app: &App, sent: &Sent<'_>, now: Timestamp) -> Result<(Arc<Caller>, Option<Signed>), Error> {
    if let Some(credential) = extract::credential(sent.headers)? {
        return Ok((app.authenticator.authenticate(credential, &app.db, now).await?, None));
    }
    match extract::signature(sent.headers) {
        Some(signature) => {
            let method = sent.method.as_str();
            let (caller, signed) =
                app.authenticator.authenticate_signed(&signature, method, sent.path, &app.db, now).await?;
            Ok((caller, Some(signed)))
        }
        None => Ok((Arc::new(Caller::Anonymous), None)),
    }
}

/// What is to be run.
struct Prepared {
    request: async_graphql::Request,
    /// Whether ready answers may be written at once.
    plain: bool,
    /// Whether it is a mutation.
    writes: bool,
}

enum Unprepared {
    Refused(Refusal),
    MutationOverGet,
    /// The signature is good for queries only, or used up.
    BadSignature(Error),
}

impl From<Refusal> for Unprepared {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What the engine is to run, with everything checked that can be checked before it runs.
fn prepare(app: &App, asked: Asked, sent: &Sent<'_>, signed: Option<&Signed>) -> Result<Prepared, Unprepared> {
    let document = app.gate.document(&asked.query)?;
    let name = asked.operation_name.as_deref().filter(|name| !name.is_empty());
    let operation = document.operation(name)?;
    if sent.method != Method::POST && !operation.is_query() {
        return Err(Unprepared::MutationOverGet);
    }
    let variables = app.gate.variables(&document, operation, &asked.variables.unwrap_or_default())?;
    if let Some(signed) = signed.filter(|_| !operation.is_query()) {
        app.authenticator.spend(signed, sent.body).map_err(Unprepared::BadSignature)?;
    }
    let engine = document.engine(operation, &variables);
    let writes = operation.is_mutation();
    let mut request = async_graphql::Request::new(asked.query).variables(variables);
    // Without a name the engine runs the only operation; the gate has seen to it that there is one.
    request.operation_name = name.map(str::to_owned);
    request.set_parsed_query(engine);
    Ok(Prepared { request, plain: document.plain, writes })
}

/// Gives an error of the execution its code. What is a fault of ours goes to the log, and the client gets its id.
fn explain(app: &App, now: Timestamp, error: &mut ServerError) {
    let extensions = error.extensions.get_or_insert_default();
    match error.source.as_deref().and_then(|source| source.downcast_ref::<Error>()) {
        Some(ours) if ours.code() != Code::Internal && ours.code() != Code::Unavailable => {
            extensions.set("code", ours.code().as_str());
        }
        Some(ours) => {
            let id = app.ids.ulid(now);
            tracing::error!(id, error = ours.chain(), path = ?error.path, "a field failed");
            extensions.set("code", ours.code().as_str());
            extensions.set("id", id);
        }
        // The engine's own: an argument that no type could take.
        None => extensions.set("code", Code::BadUserInput.as_str()),
    }
}

/// The media type of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Media {
    Graphql,
    Json,
}

impl Media {
    fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        if accepted
            .flat_map(|list| list.split(','))
            .any(|one| one.trim().starts_with("application/graphql-response+json"))
        {
            Self::Graphql
        } else {
            Self::Json
        }
    }

    fn answer(self, status: StatusCode, answer: &Answer<'_>) -> Response {
        let content_type = match self {
            Self::Graphql => GRAPHQL,
            Self::Json => JSON,
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
        let mut faults = refusal.faults;
        for fault in &mut faults {
            fault.extensions.insert("code", refusal.code.as_str().into());
        }
        let status = if self == Self::Graphql { StatusCode::BAD_REQUEST } else { StatusCode::OK };
        self.answer(status, &Answer { errors: faults.iter().map(Fault::Document).collect(), data: None })
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
        if matches!(error.code(), Code::Internal | Code::Unavailable) {
            tracing::error!(error = error.chain(), "a request failed");
        }
        let mut fault = ServerError::new(error.message(), None);
        fault.extensions.get_or_insert_default().set("code", error.code().as_str());
        self.answer(status, &Answer { errors: vec![Fault::Execution(&fault)], data: None })
    }
}
