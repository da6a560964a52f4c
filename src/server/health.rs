//! Whether the process lives, whether it can serve, and how it fares.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::peer::{self, Connection};
use super::refusal;
use crate::app::App;
use waymark_auth::{extract, policy};
use waymark_kernel::config::Figures;
use waymark_kernel::error::{Code, Error, Result};

/// How long the database may take before it counts as away.
const PATIENCE: Duration = Duration::from_secs(3);

/// `GET /healthz`: the process answers.
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// `GET /readyz`: the database can be reached and written (or only reads, as it is meant to), its schema is current, and
/// the server does not stop. A wrong clock of this machine is reported, and harmless: the database's clock decides.
pub(super) async fn ready(State(app): State<Arc<App>>) -> (StatusCode, String) {
    let (status, said) = readiness(&app).await;
    match app.clock.apart_millis() {
        Some(millis) if status == StatusCode::OK => {
            let (seconds, way) = (millis.unsigned_abs() / 1000, if millis < 0 { "behind" } else { "ahead of" });
            (status, format!("{said}warning: the clock of this machine is {seconds} s {way} the database's\n"))
        }
        _ => (status, said),
    }
}

async fn readiness(app: &App) -> (StatusCode, String) {
    let not = |why: &str| (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
    if *app.stopping.borrow() {
        return not("stopping");
    }
    let only_reads = app.db.only_reads();
    if let Some(trouble) = app.db.storage().trouble().filter(|_| only_reads.is_none()) {
        return (StatusCode::SERVICE_UNAVAILABLE, trouble.line().to_owned());
    }
    match tokio::time::timeout(PATIENCE, app.db.migrations()).await {
        Ok(Ok(migrations)) if migrations.iter().all(|(_, applied)| *applied) => {
            let only_reads = only_reads.map_or_else(String::new, |why| format!("read-only: {why}\n"));
            (StatusCode::OK, format!("ready\n{only_reads}"))
        }
        Ok(Ok(_)) => not("migrations are pending"),
        Ok(Err(error)) => {
            tracing::warn!(error = error.chain(), "not ready");
            // Other causes are for the log.
            not(app.db.away().as_deref().unwrap_or_else(|| error.message()))
        }
        Err(_) => {
            tracing::warn!("not ready: the database does not answer");
            not("the database does not answer")
        }
    }
}

/// `GET /metrics`: the figures for Prometheus, when the settings let the caller read them.
pub(super) async fn figures(State(app): State<Arc<App>>, connection: Connection, headers: HeaderMap) -> Response {
    match app.config.metrics {
        Figures::Off => return refusal(StatusCode::NOT_FOUND, "there is nothing at this path"),
        Figures::Admin => {
            if let Err(error) = operator(&app, peer::of(&connection, &headers, app.config.proxies), &headers).await {
                return refused(&error);
            }
        }
        Figures::Open => {}
    }
    let headers = [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"), (CACHE_CONTROL, "no-store")];
    (headers, app.figures()).into_response()
}

async fn operator(app: &App, peer: Option<IpAddr>, headers: &HeaderMap) -> Result<()> {
    let credential = extract::credential(headers)?
        .ok_or_else(|| Error::new(Code::InvalidCredential, "this needs an API key with the scope admin"))?;
    let caller = app.authenticator.authenticate(credential, peer, &app.db, app.clock.now()).await?;
    policy::operate(&caller).map(drop)
}

fn refused(error: &Error) -> Response {
    let status = match error.code() {
        Code::InvalidCredential => StatusCode::UNAUTHORIZED,
        Code::Forbidden => StatusCode::FORBIDDEN,
        Code::RateLimited => StatusCode::TOO_MANY_REQUESTS,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    };
    if status == StatusCode::SERVICE_UNAVAILABLE {
        tracing::warn!(error = error.chain(), "the caller of /metrics could not be checked");
    }
    let mut response = super::refusal_of(None, status, error.code(), error.message());
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, axum::http::HeaderValue::from_static("Bearer"));
    }
    response
}
