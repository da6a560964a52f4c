//! What is left of a body that was refused.
//!
//! A connection on which there is something that nobody reads is closed, and a client that still sends then finds a
//! broken pipe instead of the answer. So what is left is read and thrown away for a moment.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::EXPECT;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::runtime::Handle;

/// What is left of a shorter body has come with what was read of it.
const SHORT: u64 = 16 * 1024;
/// How many bytes are thrown away at the most, and for how long.
const MOST: usize = 32 * 1024 * 1024;
const LONGEST: Duration = Duration::from_secs(3);

/// The request with a body of which nothing stays unread.
pub(super) fn taken(request: Request<Incoming>) -> Request {
    // Who asks first sends nothing that is not wanted.
    let asks = request.headers().contains_key(EXPECT);
    request.map(|body| match body.size_hint().upper() {
        Some(most) if most <= SHORT => Body::new(body),
        _ if asks => Body::new(body),
        _ => Body::new(Unread(Some(body))),
    })
}

/// A body that is read to its end after it was dropped; nothing once its end has come.
struct Unread(Option<Incoming>);

impl HttpBody for Unread {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        if matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.0 = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let rest = self.0.take().filter(|body| !body.is_end_stream());
        if let (Some(rest), Ok(runtime)) = (rest, Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(LONGEST, throw_away(rest)));
        }
    }
}

async fn throw_away(mut body: Incoming) {
    let mut left = MOST;
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Some(rest) = left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) else { return };
        left = rest;
    }
}
