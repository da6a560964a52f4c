//! The pages: the editor at `/`, a user's progress at `/u/{handle}`, the operator's at `/admin`. All from the binary.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::peer::{self, Connection};
use super::{card, nowhere};
use crate::app::App;
use waymark_auth::Caller;
use waymark_kinds::users;
use waymark_kinds::users::rules::is_handle;
use waymark_kinds::users::service::Name;

/// What pages may load: files of this server only, and no script or style from inside a page. Pictures of other hosts
/// come on top where the settings name them.
const POLICY: &str =
    "default-src 'self'; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// The editor's page: the editor writes its styles into the page, and makes its cursors and fonts of data.
const EDITOR_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self' data:; object-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

/// What the page of a profile costs of what an address may ask for: one user is looked up.
const COST: u64 = 1;

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
    /// Where pictures may come from.
    #[serde(rename = "imageOrigins")]
    image_origins: Vec<String>,
}

pub(super) fn routes(mode: Mode, app: &Arc<App>) -> Router<Arc<App>> {
    let pages = Arc::new(Pages { policy: policy(&app.config.image_origins), app: Arc::clone(app) });
    let files = waymark_pages::router().layer(middleware::from_fn_with_state(pages, protect));
    let settings = move |State(app): State<Arc<App>>| {
        let trusted_documents = app.config.trusted_documents.is_some();
        let image_origins = app.config.image_origins.clone();
        let settings = Settings { graphql: "/graphql", mode: mode.clone(), trusted_documents, image_origins };
        async move { ([(header::CACHE_CONTROL, "no-store")], Json(settings)) }
    };
    Router::new().route("/playground.json", get(settings)).route("/u/{handle}/card.svg", get(card::get)).merge(files)
}

/// What the pages need beside their files.
struct Pages {
    app: Arc<App>,
    policy: HeaderValue,
}

/// The policy of pages that show pictures from these origins.
fn policy(image_origins: &[String]) -> HeaderValue {
    let policy = match image_origins {
        [] => POLICY.to_owned(),
        origins => format!("{POLICY}; img-src 'self' {}", origins.join(" ")),
    };
    // Origins hold nothing that cannot stand in a header; with others, no picture of another host is shown.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static(POLICY))
}

/// Says with each file what a browser may do with it, and answers for profiles that there are not.
async fn protect(
    State(pages): State<Arc<Pages>>,
    connection: Connection,
    mut request: Request,
    next: Next,
) -> Response {
    let handle = nowhere::handle(request.uri()).map(str::to_owned);
    if handle.as_deref().is_some_and(|handle| !is_handle(handle)) {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        return nowhere::refuse(is_read, request.uri(), request.headers());
    }
    let policy = match request.uri().path() {
        "/" | "/index.html" => HeaderValue::from_static(EDITOR_POLICY),
        _ => pages.policy.clone(),
    };
    let is_nobody = match handle {
        Some(handle) => {
            // The page is the same for all, its status is not.
            request.headers_mut().remove(header::IF_NONE_MATCH);
            is_nobody(&pages.app, handle, &connection, request.headers()).await
        }
        None => false,
    };
    let mut response = next.run(request).await;
    if is_nobody && response.status() == StatusCode::OK {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    headers.extend(HEADERS);
    response
}

/// Whether an anonymous caller sees no user of this handle: there is none, or the profile is not public, between which
/// nothing tells. Where that cannot be found out now, the page is left to say so.
async fn is_nobody(app: &App, handle: String, connection: &Connection, headers: &HeaderMap) -> bool {
    let peer = peer::of(connection, headers, app.config.proxies);
    if app.rates.charge(&Caller::Anonymous, peer, COST).is_err() {
        return false;
    }
    let request = app.request(Arc::new(Caller::Anonymous), app.clock.now());
    let load = Arc::clone(&request.load);
    load.run(async { matches!(users::service::visible(&request, Name::Handle(handle)).await, Ok(None)) }).await
}
