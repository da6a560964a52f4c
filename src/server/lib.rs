//! HTTP: the router as a table of contents, and running it.

pub mod app;
mod card;
mod compressed;
pub mod documents;
mod drain;
pub mod files;
mod front;
pub mod gate;
mod graphql;
mod health;
pub mod lines;
mod listener;
mod media;
mod nowhere;
mod operation;
mod peer;
mod playground;
mod sending;
mod sse;
pub mod streams;
mod tagged;
mod traced;
mod unread;
mod watch;
mod websocket;

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::json;
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_http::cors::CorsLayer;

use front::Front;
use media::Media;
use tagged::Tagged;

pub use drain::{run, serve, signalled};
pub use front::request_id;
pub use playground::{Credential, Mode};

use crate::app::App;
use waymark_auth::extract;
use waymark_kernel::config::Config;
use waymark_kernel::error::{Code, Error, Result};
use waymark_kinds as features;
use waymark_rest_kit as rest;

/// Everything that is served, as one service.
#[derive(Clone)]
pub struct Server(Arc<Parts>);

struct Parts {
    app: Arc<App>,
    front: Front,
    dialects: rest::Server,
    cors: CorsLayer,
    routes: Router,
}

impl Server {
    /// Serves `app`.
    #[must_use]
    pub fn new(app: Arc<App>, mode: Mode) -> Self {
        Self::assemble(routes(mode, &app), features::rest(), app)
    }

    /// What stands before `routes` and the `parts` of REST, and behind them.
    fn assemble(routes: Router<Arc<App>>, parts: impl IntoIterator<Item = rest::Part>, app: Arc<App>) -> Self {
        let cors = cors(&app.config);
        let routes = routes
            .fallback(nowhere::answer)
            .method_not_allowed_fallback(async || {
                refusal(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
            })
            .layer((cors.clone(), middleware::from_fn_with_state(Arc::clone(&app), front::admit)))
            .with_state(Arc::clone(&app));
        let dialects = rest::Server::new(parts, &app.desk());
        Self(Arc::new(Parts { front: Front::new(Arc::clone(&app)), dialects, cors, routes, app }))
    }
}

impl Service<Request> for Server {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let parts = Arc::clone(&self.0);
        Box::pin(async move { Ok(parts.front.answer(request, |request| parts.answer_as_taken(request)).await) })
    }
}

impl Parts {
    /// Answers, compressed where the client takes that.
    async fn answer_as_taken(&self, request: Request) -> Response {
        let accepted = request.headers().get(header::ACCEPT_ENCODING).cloned();
        let response = self.answer(request).await;
        match accepted {
            Some(accepted) => compressed::answer(accepted, response).await,
            None => response,
        }
    }

    /// Lets those answer whose path it is.
    async fn answer(&self, request: Request) -> Response {
        let path = request.uri().path();
        let answer = if path == "/graphql" && request.method() == Method::POST {
            self.answer_operation(request).await
        } else if let Some(dialect) = self.dialects.at(path) {
            let dialect = dialect.clone();
            dialect.oneshot(self.with_peer(request)).await
        } else {
            self.routes.clone().oneshot(request).await
        };
        answer.unwrap_or_else(|never| match never {})
    }

    /// Notes with a request where it comes from, for layers that do not know connections.
    fn with_peer(&self, mut request: Request) -> Request {
        let connection = request.extensions().get().cloned().map(Extension);
        let peer = peer::of(&connection, request.headers(), self.app.config.proxies);
        request.extensions_mut().insert(rest::Sender(peer));
        request
    }

    /// Answers the most frequent requests without the router, which boxes a service for every layer and clones each of
    /// them for every request.
    async fn answer_operation(&self, request: Request) -> Result<Response, Infallible> {
        let post = |request| graphql::post(State(Arc::clone(&self.app)), request);
        let admitted = service_fn(async |request| Ok(front::admitted(&self.app, request, post).await));
        self.cors.layer(admitted).oneshot(request).await
    }
}

fn routes(mode: Mode, app: &Arc<App>) -> Router<Arc<App>> {
    Router::new()
        .route("/graphql", get(websocket::get).post(graphql::post))
        .route("/schema.graphql", get(sdl))
        .route("/openapi.json", get(openapi_json))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::figures))
        .merge(playground::routes(mode, app))
}

/// What REST clients can ask, as an OpenAPI document.
///
/// # Errors
/// When the document cannot be written.
pub fn openapi() -> Result<String> {
    let document = rest::document(features::rest());
    // utoipa writes this member of links, and of nothing else, as its own field is called.
    let json = document.to_pretty_json().map_err(Error::internal)?;
    let mut json = json.replace("\"operation_id\":", "\"operationId\":");
    json.push('\n');
    Ok(json)
}

async fn openapi_json(headers: HeaderMap) -> Response {
    static DOCUMENT: OnceLock<Tagged> = OnceLock::new();
    let document = match DOCUMENT.get() {
        Some(document) => Ok(document),
        None => openapi().map(|text| DOCUMENT.get_or_init(|| Tagged::new(text))),
    };
    match document {
        Ok(document) => document.answer(&headers, [REVALIDATED], [(header::CONTENT_TYPE, "application/json")]),
        Err(error) => {
            tracing::error!(error = error.chain(), "the OpenAPI document could not be written");
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
        }
    }
}

/// An answer to what never became a GraphQL request, in the shape of one that was refused.
fn refusal(status: StatusCode, message: &str) -> Response {
    refusal_as(None, status, message)
}

/// The same in the media type that the client takes, where it is known.
fn refusal_as(media: Option<Media>, status: StatusCode, message: &str) -> Response {
    let code = match status {
        StatusCode::INTERNAL_SERVER_ERROR => Code::Internal,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        _ => Code::BadUserInput,
    };
    refusal_of(media, status, code, message)
}

fn refusal_of(media: Option<Media>, status: StatusCode, code: Code, message: &str) -> Response {
    let mut extensions = json!({ "code": code.as_str() });
    if let Some(id) = front::request_id().filter(|_| code == Code::Internal) {
        extensions["id"] = id.into();
    }
    let body = json!({ "errors": [{ "message": message, "extensions": extensions }] });
    let media = media.unwrap_or(Media::Json);
    (status, [(header::CONTENT_TYPE, media.as_str())], body.to_string()).into_response()
}

/// A document of ours may be kept, and changes with the next version.
const REVALIDATED: (HeaderName, &str) = (header::CACHE_CONTROL, "no-cache");

async fn sdl(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    // The schema is that of the program.
    static DOCUMENT: OnceLock<Tagged> = OnceLock::new();
    match &app.sdl {
        Some(sdl) => {
            let described = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            let document = DOCUMENT.get_or_init(|| Tagged::new(sdl.to_string()));
            document.answer(&headers, [REVALIDATED], described)
        }
        None => refusal(StatusCode::NOT_FOUND, "this server does not tell its schema"),
    }
}

/// Headers that GraphQL clients send by themselves.
const OF_CLIENTS: [&str; 4] =
    ["apollographql-client-name", "apollographql-client-version", "apollo-require-preflight", "last-event-id"];

fn cors(config: &Config) -> CorsLayer {
    let ours = extract::CHAIN.iter().copied().chain([extract::TIMESTAMP, extract::METADATA, "x-api-key"]);
    let known = ours.chain(OF_CLIENTS).map(HeaderName::from_static);
    let headers = known.chain([header::CONTENT_TYPE, header::AUTHORIZATION]);
    rest::cors(config, rest::origins(config), headers).allow_methods([Method::GET, Method::POST])
}
