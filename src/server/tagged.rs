//! Answers that clients keep: each has a tag, and who shows it again is told that nothing has changed.

use axum::http::header::{ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, IntoResponseParts, Response};
use sha2::{Digest as _, Sha256};

/// A text with its tag, which follows from the text.
#[derive(Debug, Clone)]
pub(super) struct Tagged {
    text: String,
    tag: String,
}

impl Tagged {
    pub(super) fn new(text: String) -> Self {
        let digest = Sha256::digest(text.as_bytes());
        let tag: String = digest.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        // Weak, because the same text may be sent compressed.
        Self { text, tag: format!("W/\"{tag}\"") }
    }

    /// Answers with the text, or with 304 when the client of these request headers has it. `headers` stand on either
    /// answer, `described` on the first alone.
    pub(super) fn answer(
        &self,
        asked: &HeaderMap,
        headers: impl IntoResponseParts,
        described: impl IntoResponseParts,
    ) -> Response {
        let mut shown = asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
        let is_known = shown
            .any(|value| value.split(',').map(str::trim).any(|one| one == "*" || opaque(one) == opaque(&self.tag)));
        let tag = [(ETAG, self.tag.as_str()), (VARY, "accept-encoding")];
        if is_known {
            return (StatusCode::NOT_MODIFIED, tag, headers, ()).into_response();
        }
        (tag, headers, described, self.text.clone()).into_response()
    }
}

/// What tags are compared by.
fn opaque(tag: &str) -> &str {
    tag.strip_prefix("W/").unwrap_or(tag)
}
