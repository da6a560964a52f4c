//! How answers are sent: as they are over HTTP/1.1, whose connection says when nothing is taken; in pieces over HTTP/2.
//!
//! There a client says of each stream how much it takes, so that a stream may stand still on a connection that does
//! not. A stream of which a piece is not taken in time is given up, and with it what it holds.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::{Instant, Sleep, sleep_until};

use super::lines::LONGEST_ANSWER;
use super::listener::Answered;

/// How long a piece of an answer is, in bytes: a frame of HTTP/2.
const PIECE: usize = 16 * 1024;

tokio::task_local! {
    /// Until when the last piece that the stream of this task was given has to be taken; `None`: it was.
    static TAKEN_UNTIL: Cell<Option<Instant>>;
}

/// The body of an answer; the request counts as answered when it has been sent.
pub(super) struct Answering {
    body: Body,
    /// What is to be sent of the last frame.
    rest: Bytes,
    pace: Pace,
    _answered: Answered,
}

/// How fast an answer has to be taken.
struct Pace {
    /// How long each piece may take over HTTP/2.
    patience: Option<Duration>,
    /// When the whole has to be taken; `None`: it is no whole, or nothing has been sent.
    end: Option<Instant>,
    is_whole: bool,
}

impl Pace {
    /// Until when a piece has to be taken that is given now; `None`: that is watched elsewhere.
    fn next(&mut self) -> Option<Instant> {
        let now = Instant::now();
        if self.is_whole {
            self.end.get_or_insert(now + LONGEST_ANSWER);
        }
        let until = now + self.patience?;
        Some(self.end.map_or(until, |end| end.min(until)))
    }

    fn is_over(&self) -> bool {
        self.end.is_some_and(|end| Instant::now() >= end)
    }
}

impl Answering {
    /// A body of HTTP/1.1, or of HTTP/2 where there is a `patience` with each piece. What is there as a whole has to be
    /// taken as a whole in time, also where it is compressed piece by piece.
    pub(super) fn new(body: Body, answered: Answered, is_whole: bool, patience: Option<Duration>) -> Self {
        Self { body, rest: Bytes::new(), pace: Pace { patience, end: None, is_whole }, _answered: answered }
    }

    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                end => return Poll::Ready(end),
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.pace.is_over() {
            return Poll::Ready(Some(Err(axum::Error::new(io::Error::from(io::ErrorKind::TimedOut)))));
        }
        let is_http2 = self.pace.patience.is_some();
        let piece = if is_http2 { self.poll_piece(context) } else { Pin::new(&mut self.body).poll_frame(context) };
        let until = if matches!(piece, Poll::Ready(Some(Ok(_)))) { self.pace.next() } else { None };
        // Outside of such a task nobody waits for it.
        let _ = TAKEN_UNTIL.try_with(|taken| taken.set(until));
        piece
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // Asked for before anything is sent.
        self.body.size_hint()
    }
}

/// Runs the streams of a connection of HTTP/2, and gives up those of which a piece is not taken in time.
#[derive(Clone, Copy)]
pub(super) struct Patient;

impl<F: Future + Send + 'static> Executor<F> for Patient {
    fn execute(&self, stream: F) {
        tokio::spawn(TAKEN_UNTIL.scope(Cell::new(None), as_long_as_taken(stream)));
    }
}

async fn as_long_as_taken(stream: impl Future) {
    let mut stream = pin!(stream);
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|context| {
        if stream.as_mut().poll(context).is_ready() {
            return Poll::Ready(());
        }
        let Some(until) = TAKEN_UNTIL.with(Cell::get) else { return Poll::Pending };
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if timer.deadline() != until {
            timer.as_mut().reset(until);
        }
        timer.as_mut().poll(context)
    })
    .await;
}
