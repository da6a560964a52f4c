//! HTTP: the router as a table of contents, and running it.

pub(crate) mod documents;
pub mod gate;
mod graphql;
mod health;
mod listener;
mod media;
mod operation;
mod peer;
mod playground;
mod sse;
pub(crate) mod streams;
mod websocket;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, Method, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::timeout::TimeoutLayer;

pub use playground::{Credential, Mode};

use crate::app::App;
use crate::auth::extract;
use crate::error::{Code, Error, Result};
use crate::{features, rest};

/// Everything that is served.
pub fn router(app: Arc<App>, mode: Mode) -> Router {
    let timeout = Duration::from_secs(app.config.limits.request_timeout_seconds);
    let body = DefaultBodyLimit::max(app.config.limits.max_body_bytes);
    let cors = cors(&app.config.cors_origins);
    let dialects = rest::Server::new(features::rest(), &app.desk());
    Router::new()
        .route("/graphql", get(websocket::get).post(graphql::post))
        .route("/schema.graphql", get(sdl))
        .route("/openapi.json", get(openapi_json))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .merge(playground::routes(mode))
        .fallback(async || refusal(StatusCode::NOT_FOUND, "there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            refusal(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
        })
        // From the outside in. One layer of four, because the router boxes a service per layer and copies it per request.
        .layer((
            CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
                tracing::error!("a request panicked");
                refusal(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
            }),
            cors,
            TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, timeout),
            body,
        ))
        .with_state(app)
        .layer(middleware::from_fn(move |request, next| dialects.clone().answer(request, next)))
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

async fn openapi_json() -> Response {
    static DOCUMENT: OnceLock<String> = OnceLock::new();
    let document = DOCUMENT.get().map_or_else(openapi, |text| Ok(text.clone()));
    match document {
        Ok(text) => {
            let text = DOCUMENT.get_or_init(|| text);
            ([(header::CONTENT_TYPE, "application/json")], text.clone()).into_response()
        }
        Err(error) => {
            tracing::error!(error = error.chain(), "the OpenAPI document could not be written");
            refusal(StatusCode::INTERNAL_SERVER_ERROR, "internal error")
        }
    }
}

/// How long the server waits for subscribers to go when it stops.
const FAREWELL: Duration = Duration::from_secs(5);

/// Serves `router` on `listener` until the process is told to stop, and then lets running requests end. Subscribers are
/// told to come again.
///
/// # Errors
/// When the listener fails.
pub async fn run(listener: TcpListener, app: Arc<App>, router: Router) -> Result<()> {
    serve(listener, app, router, stopped()).await
}

/// As [`run`], until `stopped` has come to its end.
///
/// # Errors
/// When the listener fails.
pub async fn serve(
    listener: TcpListener,
    app: Arc<App>,
    router: Router,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> Result<()> {
    // A subscriber who does not read is told so first, see `websocket`; that takes as long again at the most.
    let patience = Duration::from_secs(2 * app.config.limits.slow_reader_seconds);
    let listener = listener::Patient { listener, patience };
    let told = Arc::clone(&app);
    let stopped = async move {
        stopped.await;
        told.stop();
    };
    let service = router.into_make_service_with_connect_info::<peer::Peer>();
    axum::serve(listener, service).with_graceful_shutdown(stopped).await.map_err(Error::internal)?;
    // Sockets live beyond their request; each holds a receiver until it is closed.
    if tokio::time::timeout(FAREWELL, app.stopping.closed()).await.is_err() {
        tracing::warn!("some subscribers did not go in time");
    }
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
async fn stopped() {
    let interrupted = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!(%error, "Ctrl-C cannot be heard");
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(error) => {
                tracing::warn!(%error, "SIGTERM cannot be heard");
                std::future::pending::<()>().await;
            }
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
    tracing::info!("stopping; running requests may end");
}

/// An answer to what never became a GraphQL request, in the shape of one that was refused.
fn refusal(status: StatusCode, message: &str) -> Response {
    let code = match status {
        StatusCode::INTERNAL_SERVER_ERROR => Code::Internal,
        _ => Code::BadUserInput,
    };
    let body = json!({ "errors": [{ "message": message, "extensions": { "code": code.as_str() } }] });
    (status, Json(body)).into_response()
}

async fn sdl(State(app): State<Arc<App>>) -> Response {
    match &app.sdl {
        Some(sdl) => ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], sdl.to_string()).into_response(),
        None => refusal(StatusCode::NOT_FOUND, "this server does not tell its schema"),
    }
}

fn cors(origins: &[String]) -> CorsLayer {
    let allowed = if origins.iter().any(|origin| origin == "*") {
        AllowOrigin::any()
    } else {
        AllowOrigin::list(origins.iter().filter_map(|origin| origin.parse().ok()))
    };
    let ours = extract::CHAIN.iter().copied().chain([extract::TIMESTAMP, extract::METADATA, "x-api-key"]);
    let headers = ours.map(HeaderName::from_static).chain([header::CONTENT_TYPE, header::AUTHORIZATION]);
    CorsLayer::new()
        .allow_origin(allowed)
        .allow_methods([Method::GET, Method::POST])
        .allow_headers(headers.collect::<Vec<_>>())
}
