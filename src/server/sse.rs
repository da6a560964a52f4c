//! GraphQL over server-sent events: one operation per request, as `graphql-sse` does in distinct connections mode.
//!
//! The connection asks for the next piece when it has room for it, so nothing is queued for a client that does not
//! read.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, VARY};
use axum::http::{HeaderName, StatusCode};
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, BoxStream, StreamExt as _};

use super::gate::Refusal;
use super::operation::Answer;
use super::streams::Place;
use crate::app::App;
use waymark_auth::Session;

/// A comment, which no client shows.
const SIGN_OF_LIFE: &str = ":\n\n";
const COMPLETE: &str = "event: complete\ndata:\n\n";

/// An answer that is there, and nothing behind it.
pub(super) fn whole(answer: &Answer) -> Response {
    match next(answer) {
        Some(text) => respond(Body::from(text + COMPLETE)),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// One answer after the other.
struct Following {
    answers: BoxStream<'static, Answer>,
    session: Session,
    place: Place,
    keep_alive: Duration,
}

/// Answers one after the other, as long as the server runs and the credential is good.
pub(super) fn follow(app: &Arc<App>, session: Session, place: Place, answers: BoxStream<'static, Answer>) -> Response {
    let keep_alive = Duration::from_secs(app.config.limits.keep_alive_seconds);
    let following = Following { answers, session, place, keep_alive };
    let pieces = stream::unfold(Some(following), async |following| {
        let mut following = following?;
        let (text, last) = following.next().await;
        Some((text, (!last).then_some(following)))
    });
    // Some clients take the connection for open only when something has come.
    let pieces = stream::once(async { SIGN_OF_LIFE.to_owned() }).chain(pieces);
    respond(Body::from_stream(pieces.map(|text| Ok::<_, Infallible>(Bytes::from(text)))))
}

impl Following {
    /// What to send next, and whether it is the last.
    async fn next(&mut self) -> (String, bool) {
        tokio::select! {
            biased;
            // Without an event that says so, the client knows that there would have been more, and comes again.
            () = self.place.stopping() => (": the server is going away\n\n".to_owned(), true),
            error = self.session.ended() => (next(&Refusal::from(error).into()).unwrap_or_default() + COMPLETE, true),
            answer = self.answers.next() => match answer {
                Some(answer) => match next(&answer) {
                    Some(text) if answer.has_errors() => (text + COMPLETE, true),
                    Some(text) => (text, false),
                    None => (String::new(), true),
                },
                None => (COMPLETE.to_owned(), true),
            },
            () = tokio::time::sleep(self.keep_alive) => (SIGN_OF_LIFE.to_owned(), false),
        }
    }
}

/// An event that carries an answer; `None` when it cannot be written.
fn next(answer: &Answer) -> Option<String> {
    match answer.to_json() {
        // JSON has no line breaks, so it is one line of data.
        Ok(json) => {
            // By which a browser's own client comes back, see `Last-Event-ID`. One that came with a cursor that is of no
            // use here would come back with it again and again; an empty id makes it forget that.
            let id = match &answer.mark {
                Some(mark) => format!("id: {mark}\n"),
                None if answer.is_bad_input() => "id:\n".to_owned(),
                None => String::new(),
            };
            Some(format!("event: next\n{id}data: {}\n\n", String::from_utf8_lossy(&json)))
        }
        Err(error) => {
            tracing::error!(%error, "an answer could not be written");
            None
        }
    }
}

fn respond(body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (CACHE_CONTROL, "no-cache"),
        (VARY, "accept, accept-encoding"),
        // Asks nginx not to hold events back.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    (StatusCode::OK, headers, body).into_response()
}
