//! What pages of other origins may send and read.

use std::time::Duration;

use axum::http::HeaderName;
use axum::http::header::RETRY_AFTER;
use tower_http::cors::{AllowOrigin, CorsLayer};

use waymark_kernel::config::Config;

/// Headers that what watches requests adds to each of them.
const OF_TRACES: [&str; 3] = ["traceparent", "tracestate", "x-request-id"];
/// Headers of answers that pages may read in any case.
const READ: [HeaderName; 2] = [RETRY_AFTER, HeaderName::from_static("x-request-id")];

/// Returns the origins of the settings.
pub fn origins(config: &Config) -> AllowOrigin {
    if config.cors_origins.iter().any(|origin| origin == "*") {
        return AllowOrigin::any();
    }
    AllowOrigin::list(config.cors_origins.iter().filter_map(|origin| origin.parse().ok()))
}

/// Returns what pages of `origins` may send, which is these headers and those that are always allowed, and what they
/// may read; still without methods.
pub fn cors(config: &Config, origins: AllowOrigin, headers: impl IntoIterator<Item = HeaderName>) -> CorsLayer {
    let always = OF_TRACES.map(HeaderName::from_static);
    let more = config.cors_headers.iter().filter_map(|name| name.parse().ok());
    let headers: Vec<HeaderName> = headers.into_iter().chain(always).chain(more).collect();
    let exposed = config.cors_exposed_headers.iter().filter_map(|name| name.parse().ok());
    CorsLayer::new()
        .allow_origin(origins)
        .allow_headers(headers)
        .expose_headers(READ.into_iter().chain(exposed).collect::<Vec<_>>())
        .max_age(Duration::from_secs(config.cors_max_age_seconds.into()))
}
