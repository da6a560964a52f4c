//! The playground: GraphiQL and its files, from the binary.

use std::sync::Arc;

use axum::http::{HeaderValue, header};
use axum::routing::get;
use axum::{Json, Router};
use memory_serve::CacheControl;
use serde::Serialize;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::app::App;

/// What the page may load: its own files only. The editor needs inline styles and a worker of its own.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; frame-ancestors 'none'; base-uri 'self'";

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
}

pub(super) fn routes(mode: Mode) -> Router<Arc<App>> {
    let files = memory_serve::load!()
        .index_file(Some("/index.html"))
        .html_cache_control(CacheControl::NoCache)
        .cache_control(CacheControl::Long)
        .into_router()
        .layer(SetResponseHeaderLayer::if_not_present(
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static(POLICY),
        ))
        .layer(SetResponseHeaderLayer::if_not_present(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ));
    let settings = move || {
        let settings = Settings { graphql: "/graphql", mode: mode.clone() };
        async move { ([(header::CACHE_CONTROL, "no-store")], Json(settings)) }
    };
    Router::new().route("/playground.json", get(settings)).merge(files)
}
