//! Answers that clients keep: each has a tag, and who shows it again is told that nothing has changed.

use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, IntoResponseParts, Response};
use sha2::{Digest as _, Sha256};

/// Answers with `body`, or with 304 when the client of these request headers has it. `headers` stand on either answer, `described`
/// on the first alone.
pub(super) fn answer(
    body: String,
    asked: &HeaderMap,
    headers: impl IntoResponseParts,
    described: impl IntoResponseParts,
) -> Response {
    let digest = Sha256::digest(body.as_bytes());
    let tag: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{tag}\"");
    let mut shown = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let is_known = shown.any(|value| {
        value.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == tag || one == "*")
    });
    let headers = ([(ETAG, tag)], headers);
    if is_known {
        return (StatusCode::NOT_MODIFIED, headers.0, headers.1, ()).into_response();
    }
    (headers.0, headers.1, described, body).into_response()
}
