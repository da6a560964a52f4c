//! The pages: the editor at `/`, a user's progress at `/u/{handle}`, the operator's at `/admin`. All from the binary.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::{card, nowhere};
use crate::app::App;

/// What pages may load: files of this server only, and no script or style from inside a page.
const POLICY: &str =
    "default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// The editor's page: the editor writes its styles into the page, and makes its cursors and fonts of data.
const EDITOR_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self' data:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// What goes with every file, beside the policy.
const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    // Addresses of pages name people.
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
];

/// What the page tells its visitor.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "mode", rename_all = "lowercase")]
pub enum Mode {
    /// A server with demo data on this machine, which offers ready credentials.
    Try {
        /// One for each demo person and kind of app, the one to begin with first.
        credentials: Vec<Credential>,
    },
    /// A server in earnest: visitors bring their own token.
    Serve {
        /// Always empty.
        credentials: [Credential; 0],
    },
}

impl Mode {
    /// A server in earnest.
    pub const SERVE: Self = Self::Serve { credentials: [] };
}

/// A credential that the playground offers.
#[derive(Debug, Clone, Serialize)]
pub struct Credential {
    /// A short name.
    pub name: String,
    /// One line on who this is.
    pub title: String,
    /// What goes behind `Authorization: Bearer`.
    pub token: String,
}

#[derive(Serialize)]
struct Settings {
    graphql: &'static str,
    #[serde(flatten)]
    mode: Mode,
    /// Whether documents are run by their ids only.
    #[serde(rename = "trustedDocuments")]
    trusted_documents: bool,
}

pub(super) fn routes(mode: Mode) -> Router<Arc<App>> {
    let files = waymark_pages::router().layer(middleware::from_fn(protect));
    let settings = move |State(app): State<Arc<App>>| {
        let trusted_documents = app.config.trusted_documents.is_some();
        let settings = Settings { graphql: "/graphql", mode: mode.clone(), trusted_documents };
        async move { ([(header::CACHE_CONTROL, "no-store")], Json(settings)) }
    };
    Router::new().route("/playground.json", get(settings)).route("/u/{handle}/card.svg", get(card::get)).merge(files)
}

/// Says with each file what a browser may do with it.
async fn protect(request: Request, next: Next) -> Response {
    if nowhere::is_of_nobody(request.uri()) {
        return nowhere::page(request.uri());
    }
    let policy = match request.uri().path() {
        "/" | "/index.html" => EDITOR_POLICY,
        _ => POLICY,
    };
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.extend(HEADERS);
    response
}
