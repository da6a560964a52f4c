//! REST for clients of other services: what the dialects share.
//!
//! A dialect is the HTTP interface of a service that has clients already. Its handlers stand in `rest.rs` of the
//! feature that answers; they translate names and units, and ask the same services as GraphQL. What is here makes a
//! server of them: the desk that handlers work at, faults that the dialect puts into its own words, and the OpenAPI
//! document.

mod cors;
mod desk;
mod dialect;
mod fault;
mod openapi;

use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, Uri};
use serde::{Serialize, Serializer};

pub use cors::{cors, origins};
pub use desk::{Desk, Sender, Tab};
pub use dialect::*;
pub use fault::{Answer, Fault};
pub use openapi::document;

use waymark_kernel::clock::Timestamp;

/// An instant, written in ISO 8601 with milliseconds and `Z`.
#[derive(Debug, Clone, Copy)]
pub struct Date(pub Timestamp);

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// What a client is told whose body [is encoded][is_encoded].
pub const ENCODED: &str = "send the request without Content-Encoding; compressed bodies are not read";

/// Whether the body of a request with these headers is compressed, or said to be.
pub fn is_encoded(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_ENCODING).is_some_and(|encoding| !encoding.as_bytes().eq_ignore_ascii_case(b"identity"))
}

/// The last value of a parameter in a query or a form.
pub fn parameter<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    parameters.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// The parameters of a query or a form. What is no UTF-8 comes out as replacement characters.
pub fn parameters(encoded: &[u8]) -> Vec<(String, String)> {
    // Pairs of texts can be read from anything.
    serde_urlencoded::from_bytes(encoded).unwrap_or_default()
}

/// The parameters in the query of an address.
pub fn query(uri: &Uri) -> Vec<(String, String)> {
    parameters(uri.query().unwrap_or_default().as_bytes())
}
