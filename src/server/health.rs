//! Whether the process lives, whether it can serve, and how it fares.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::refusal;
use crate::app::App;
use crate::auth::{extract, policy};
use crate::config::Figures;
use crate::error::{Code, Error, Result};

/// How long the database may take before it counts as away.
const PATIENCE: Duration = Duration::from_secs(5);

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// `GET /readyz`: the database can be reached, its schema is current, and the server does not stop.
pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    const UNREACHABLE: (StatusCode, &str) = (StatusCode::SERVICE_UNAVAILABLE, "the database cannot be reached\n");
    if *app.stopping.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n");
    }
    match tokio::time::timeout(PATIENCE, app.db.migrations()).await {
        Ok(Ok(migrations)) if migrations.iter().all(|(_, applied)| *applied) => (StatusCode::OK, "ready\n"),
        Ok(Ok(_)) => (StatusCode::SERVICE_UNAVAILABLE, "migrations are pending\n"),
        Ok(Err(error)) => {
            tracing::warn!(error = error.chain(), "not ready");
            UNREACHABLE
        }
        Err(_) => {
            tracing::warn!("not ready: the database does not answer");
            UNREACHABLE
        }
    }
}

/// `GET /metrics`: what was counted and measured, for Prometheus, as far as the settings let whoever asks know.
pub(super) async fn figures(State(app): State<Arc<App>>, headers: HeaderMap) -> Response {
    match app.config.metrics {
        Figures::Off => return refusal(StatusCode::NOT_FOUND, "there is nothing at this path"),
        Figures::Admin => {
            if let Err(error) = operator(&app, &headers).await {
                return refused(&error);
            }
        }
        Figures::Open => {}
    }
    let headers = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (headers, app.figures()).into_response()
}

async fn operator(app: &App, headers: &HeaderMap) -> Result<()> {
    let credential = extract::credential(headers)?
        .ok_or_else(|| Error::new(Code::InvalidCredential, "this needs an API key with the scope admin"))?;
    let caller = app.authenticator.authenticate(credential, &app.db, app.clock.now()).await?;
    policy::operate(&caller).map(drop)
}

fn refused(error: &Error) -> Response {
    let status = match error.code() {
        Code::InvalidCredential => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(error = error.chain(), "whoever asks for the figures could not be checked");
    }
    let mut response = super::refusal_of(None, status, error.code(), error.message());
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
    }
    response
}
