//! Answers that are compressed for clients that take them so.

use std::convert::Infallible;
use std::future::ready;

use axum::body::{Body, HttpBody as _};
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING};
use axum::response::Response;
use tower::{ServiceExt as _, service_fn};
use tower_http::CompressionLevel;
use tower_http::compression::Compression;
use tower_http::compression::predicate::{NotForContentType, Predicate as _, SizeAbove};

/// Shorter answers go out as they are: they fit into a packet either way.
const SHORTEST: u64 = 1024;

/// Marks a response whose body is there as a whole, which a compressed one does not tell.
#[derive(Clone, Copy)]
pub(super) struct Whole;

/// The response for a client that takes what `accepted` says. Events go out as they are, so that none waits for the
/// next.
pub(super) async fn answer(accepted: HeaderValue, response: Response) -> Response {
    let worthwhile = SizeAbove::new(SHORTEST).and(NotForContentType::SSE).and(NotForContentType::IMAGES);
    if response.headers().contains_key(CONTENT_ENCODING) || !worthwhile.should_compress(&response) {
        return response;
    }
    let (status, is_whole) = (response.status(), response.body().size_hint().exact().is_some());
    // Where both are as welcome: on older runtimes some clients say that they take zstd, and cannot read it.
    let takes_br = accepted.to_str().is_ok_and(|list| list.split(',').any(|one| one.trim().eq_ignore_ascii_case("br")));
    let mut asked = Request::new(());
    asked.headers_mut().insert(ACCEPT_ENCODING, accepted);
    let mut response = Some(response);
    let answered = service_fn(move |_| ready(Ok::<_, Infallible>(response.take().unwrap_or_default())));
    let compression = Compression::new(answered).quality(CompressionLevel::Fastest).zstd(!takes_br);
    let mut response = compression.oneshot(asked).await.unwrap_or_else(|never| match never {}).map(Body::new);
    // Who takes nothing at all, not even plain text, gets that: the request was carried out.
    *response.status_mut() = status;
    if is_whole {
        response.extensions_mut().insert(Whole);
    }
    response
}
