//! HTTP: the router as a table of contents, and running it.

pub(crate) mod gate;
mod graphql;
mod health;
mod playground;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderName, Method, StatusCode, header};
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
use crate::error::{Code, Result};

/// Everything that is served.
pub fn router(app: Arc<App>, mode: Mode) -> Router {
    let timeout = Duration::from_secs(app.config.limits.request_timeout_seconds);
    let body = DefaultBodyLimit::max(app.config.limits.max_body_bytes);
    let cors = cors(&app.config.cors_origins);
    Router::new()
        .route("/graphql", get(graphql::get).post(graphql::post))
        .route("/schema.graphql", get(sdl))
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
}

/// Serves `router` on `listener` until the process is told to stop, and then lets running requests end.
///
/// # Errors
/// When the listener fails.
pub async fn run(listener: TcpListener, router: Router) -> Result<()> {
    axum::serve(listener, router).with_graceful_shutdown(stopped()).await.map_err(crate::error::Error::internal)
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
    CorsLayer::new().allow_origin(allowed).allow_methods([Method::GET, Method::POST]).allow_headers([
        header::CONTENT_TYPE,
        header::AUTHORIZATION,
        HeaderName::from_static("x-api-key"),
    ])
}
