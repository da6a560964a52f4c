//! The dialects of REST, a file per dialect.

pub(crate) mod achievements;
pub(crate) mod collections;
pub(crate) mod credits;
pub(crate) mod hostile;
pub(crate) mod learning;
pub(crate) mod openapi;
pub(crate) mod shapes;
pub(crate) mod signed_graphql;
pub(crate) mod wallet;

use axum::body::Body;
use axum::http::Request;

use crate::harness::{Actor, Answer};

/// The answer to a GET with these headers.
async fn get(actor: &Actor, path: &str, headers: &[(&str, &str)]) -> Answer {
    send(actor, "GET", path, headers, Body::empty()).await
}

async fn send(actor: &Actor, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    actor.send(request.body(body.into()).unwrap()).await
}

/// A header of the answer; empty when it has none of this name.
fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    answer.headers.get(name).map_or("", |value| value.to_str().unwrap())
}

/// JSON with a line for each member, and the members in their order.
fn lines(answer: &Answer) -> String {
    answer.text.replace(",\"", ",\n\"").replace("},{", "},\n{")
}
