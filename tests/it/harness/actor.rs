//! Somebody who sends requests.

use axum::body::{self, Body};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Request, StatusCode};
use serde_json::{Value, json};
use tower::ServiceExt as _;
use waymark::server::Server;

/// Somebody who sends requests, with or without a credential.
#[derive(Clone)]
pub(crate) struct Actor {
    server: Server,
    credential: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    /// The text as JSON; null when it is none.
    pub(crate) json: Value,
}

impl Actor {
    pub(super) const fn new(server: Server, credential: Option<String>) -> Self {
        Self { server, credential }
    }

    /// What the credential is; empty without one.
    pub(crate) fn credential(&self) -> &str {
        self.credential.as_deref().unwrap_or_default()
    }

    /// Sends a GraphQL request; `variables` may be null.
    pub(crate) async fn query(&self, text: &str, variables: Value) -> Answer {
        let body = json!({ "query": text, "variables": variables }).to_string();
        let request = Request::post("/graphql")
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "application/graphql-response+json");
        self.send(request.body(Body::from(body)).expect("the request is well-formed")).await
    }

    /// The `data` of a query that must succeed in every part.
    pub(crate) async fn data(&self, text: &str, variables: Value) -> Value {
        self.query(text, variables).await.data()
    }

    /// Sends a request of any kind, with the credential.
    pub(crate) async fn send(&self, mut request: Request<Body>) -> Answer {
        if let Some(credential) = &self.credential {
            let value = format!("Bearer {credential}").parse().expect("the credential fits into a header");
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        let response = self.server.clone().oneshot(request).await.expect("the server always answers");
        let (parts, body) = response.into_parts();
        let bytes = body::to_bytes(body, usize::MAX).await.expect("the body is read");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let json = serde_json::from_str(&text).unwrap_or_default();
        Answer { status: parts.status, headers: parts.headers, text, json }
    }
}

impl Answer {
    /// The `data` of an answer without errors.
    #[track_caller]
    pub(crate) fn data(&self) -> Value {
        assert!(self.status == StatusCode::OK && self.json.get("errors").is_none(), "{} {}", self.status, self.text);
        self.json["data"].clone()
    }

    /// The codes of the errors, in their order.
    pub(crate) fn codes(&self) -> Vec<&str> {
        let errors = self.json["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
        errors.iter().map(|error| error["extensions"]["code"].as_str().unwrap_or("none")).collect()
    }

    /// The message of the first error.
    pub(crate) fn message(&self) -> &str {
        self.json["errors"][0]["message"].as_str().unwrap_or_default()
    }

    /// Asserts that nothing was executed, for the reason of this code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!((self.status.as_u16(), self.codes()), (status, vec![code]), "{}", self.text);
        assert!(self.json.get("data").is_none(), "{}", self.text);
    }
}
