//! How many requests are worked on at a time, and for how long.
//!
//! A request gets a place once its body has come, so that slow senders hold none. When all places are taken it waits
//! with a bounded number of others, and is turned away at once when those are too many: a server that has more to do
//! than it can says so, instead of answering everybody too late. Whoever answers for the interface puts
//! [`Unanswered`] into its own words.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::response::Response;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::config::Limits;
use crate::metrics::Metrics;

/// How many bodies of the greatest length all requests together may bring.
const BODIES: usize = 64;
/// Bodies that are longer than so many bytes leave a quarter of that to the others, so that a few slow senders of long
/// bodies keep nobody else out.
const SHORT: usize = 16 * 1024;

/// Lets requests in.
pub(crate) struct Admission {
    places: Semaphore,
    most: usize,
    waiting: AtomicUsize,
    most_waiting: usize,
    longest: Duration,
    max_body: usize,
    /// Bytes of the bodies of all requests that are not answered yet.
    held: AtomicUsize,
    metrics: Arc<Metrics>,
}

/// Why a request has no answer of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unanswered {
    /// Too many others are being answered.
    Overloaded,
    /// The answer took too long.
    TimedOut,
    /// The body took too long.
    BodyTimedOut,
    /// Whoever should have answered panicked.
    Panicked,
}

impl Unanswered {
    /// The status of the answer that says so.
    pub(crate) const fn status(self) -> StatusCode {
        match self {
            Self::Overloaded | Self::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
            Self::BodyTimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The same in words fit for the client.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Overloaded => "the server has too much to do at the moment; try again",
            Self::TimedOut => "the answer took too long; try again",
            Self::BodyTimedOut => "the body did not come in time",
            Self::Panicked => "internal error",
        }
    }
}

/// How far a request has come.
struct Stage(AtomicU8);

impl Stage {
    const BODY: u8 = 0;
    const QUEUE: u8 = 1;
    const WORK: u8 = 2;

    const fn new(stage: u8) -> Self {
        Self(AtomicU8::new(stage))
    }

    fn set(&self, stage: u8) {
        self.0.store(stage, Ordering::Relaxed);
    }

    fn get(&self) -> u8 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Admission {
    pub(crate) fn new(limits: &Limits, metrics: Arc<Metrics>) -> Self {
        let most = limits.max_concurrent_requests.min(Semaphore::MAX_PERMITS);
        Self {
            places: Semaphore::new(most),
            most,
            waiting: AtomicUsize::new(0),
            most_waiting: limits.max_queued_requests,
            longest: Duration::from_secs(limits.request_timeout_seconds),
            max_body: limits.max_body_bytes,
            held: AtomicUsize::new(0),
            metrics,
        }
    }

    /// How many requests are worked on, and how many wait.
    pub(crate) fn figures(&self) -> (u64, u64) {
        let working = self.most.saturating_sub(self.places.available_permits());
        (working as u64, self.waiting.load(Ordering::Relaxed) as u64)
    }

    /// Lets `next` answer when there is a place.
    pub(crate) async fn answer<F: Future<Output = Response>>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> Result<Response, Unanswered> {
        let stage = Stage::new(Stage::BODY);
        let mut held = Held::new(&self.held, self.max_body.saturating_mul(BODIES));
        self.in_time(&stage, async {
            let request = self.with_body(request, &mut held).await?;
            stage.set(Stage::QUEUE);
            let _place = self.place().await?;
            stage.set(Stage::WORK);
            Ok(next(request).await)
        })
        .await
    }

    /// Waits for `answer` at once: how the server is has to be told also when it has too much to do.
    pub(crate) async fn answer_always(&self, answer: impl Future<Output = Response>) -> Result<Response, Unanswered> {
        self.in_time(&Stage::new(Stage::WORK), async { Ok(answer.await) }).await
    }

    async fn in_time(
        &self,
        stage: &Stage,
        work: impl Future<Output = Result<Response, Unanswered>>,
    ) -> Result<Response, Unanswered> {
        // Boxed, because it is large, and would be moved into every future around it.
        let work = AssertUnwindSafe(Box::pin(work)).catch_unwind();
        let answer = match tokio::time::timeout(self.longest, work).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Unanswered::Panicked),
            Err(_) => Err(match stage.get() {
                Stage::BODY => Unanswered::BodyTimedOut,
                Stage::QUEUE => Unanswered::Overloaded,
                _ => Unanswered::TimedOut,
            }),
        };
        match answer {
            Err(Unanswered::Overloaded) => self.metrics.shed.increment(1),
            Err(Unanswered::TimedOut | Unanswered::BodyTimedOut) => {
                tracing::warn!(seconds = self.longest.as_secs(), "a request took too long and was given up");
                self.metrics.timed_out.increment(1);
            }
            Err(Unanswered::Panicked) => {
                tracing::error!("a request panicked");
                self.metrics.panicked.increment(1);
            }
            Ok(_) => {}
        }
        answer
    }

    /// A place among those who are worked on, now or when one gets free.
    async fn place(&self) -> Result<SemaphorePermit<'_>, Unanswered> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let _waiting = Waiting::new(&self.waiting, self.most_waiting).ok_or(Unanswered::Overloaded)?;
        self.places.acquire().await.map_err(|_| Unanswered::Overloaded)
    }

    /// The request with its body in memory. What is longer than allowed, or breaks off, is left to whoever reads the body
    /// later: they know how to say so.
    ///
    /// # Errors
    /// [`Unanswered::Overloaded`] when the bodies of all requests together would take too much memory: senders hold no
    /// place while they send, so places do not bound it.
    async fn with_body(&self, request: Request, held: &mut Held<'_>) -> Result<Request, Unanswered> {
        let headers = request.headers();
        if !headers.contains_key(CONTENT_LENGTH) && !headers.contains_key(TRANSFER_ENCODING) {
            return Ok(request);
        }
        // What is in memory already is not read again; what is too long need not be.
        let hint = request.body().size_hint();
        if request.body().is_end_stream() || hint.lower() > self.max_body as u64 {
            return Ok(request);
        }
        let (parts, body) = request.into_parts();
        let mut chunks = body.into_data_stream();
        // Most bodies come as one chunk, which is then handed on as it is.
        let mut first = Bytes::new();
        let mut whole = Vec::new();
        while first.len().max(whole.len()) <= self.max_body {
            let chunk = chunks.next().await;
            if let Some(Ok(chunk)) = &chunk
                && !held.grow(chunk.len())
            {
                return Err(Unanswered::Overloaded);
            }
            match chunk {
                Some(Ok(chunk)) if first.is_empty() => first = chunk,
                Some(Ok(chunk)) => {
                    if whole.is_empty() {
                        whole.extend_from_slice(&first);
                    }
                    whole.extend_from_slice(&chunk);
                }
                Some(Err(error)) => return Ok(Request::from_parts(parts, broken(error))),
                None => break,
            }
        }
        let body = if whole.is_empty() { first } else { Bytes::from(whole) };
        Ok(Request::from_parts(parts, Body::from(body)))
    }
}

/// A body that breaks off.
fn broken(error: axum::Error) -> Body {
    Body::from_stream(futures_util::stream::once(async { Err::<Bytes, _>(error) }))
}

/// A place in the queue, for as long as it is kept.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize, most: usize) -> Option<Self> {
        let more = |waiting| (waiting < most).then_some(waiting + 1);
        count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The bytes of one request's body, counted with all others as long as this is kept.
struct Held<'a> {
    all: &'a AtomicUsize,
    most: usize,
    bytes: usize,
}

impl<'a> Held<'a> {
    const fn new(all: &'a AtomicUsize, most: usize) -> Self {
        Self { all, most, bytes: 0 }
    }

    /// Whether there is room for so many bytes more, which are counted then.
    fn grow(&mut self, bytes: usize) -> bool {
        let is_short = self.bytes.saturating_add(bytes) <= SHORT;
        let most = if is_short { self.most } else { self.most - self.most / 4 };
        let more = |all: usize| all.checked_add(bytes).filter(|all| *all <= most);
        let fits = self.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        if fits {
            self.bytes += bytes;
        }
        fits
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::CONTENT_LENGTH;

    use super::*;
    use crate::config::Config;

    #[tokio::test]
    async fn the_bodies_of_all_requests_together_are_bounded() {
        let settings = [("WAYMARK_MAX_BODY_BYTES".to_owned(), "10".to_owned())];
        let limits = Config::from_sources(None, settings).unwrap().limits;
        let admission = Admission::new(&limits, Arc::new(Metrics::new().unwrap()));
        let begin = || Held::new(&admission.held, 10 * BODIES);
        let body = || {
            let pieces = futures_util::stream::iter(["12345", "67890"].map(Ok::<_, std::io::Error>));
            Request::builder().header(CONTENT_LENGTH, 10).body(Body::from_stream(pieces)).unwrap()
        };
        let mut all: Vec<Held<'_>> = std::iter::repeat_with(begin).take(BODIES).collect();
        for held in &mut all {
            assert!(admission.with_body(body(), held).await.is_ok());
        }
        let mut one_more = begin();
        assert_eq!(admission.with_body(body(), &mut one_more).await.unwrap_err(), Unanswered::Overloaded);
        all.pop();
        assert!(admission.with_body(body(), &mut one_more).await.is_ok());
        drop((all, one_more));
        assert_eq!(admission.held.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn long_bodies_leave_room_for_short_ones() {
        let (all, most) = (AtomicUsize::new(0), 64 * SHORT);
        let begin = || Held::new(&all, most);
        let mut long: Vec<Held<'_>> = std::iter::repeat_with(begin).take(24).collect();
        assert!(long.iter_mut().all(|held| held.grow(SHORT) && held.grow(SHORT)));
        let (mut longer, mut short) = (begin(), begin());
        assert!(longer.grow(SHORT) && !longer.grow(1), "a body that grows long is one");
        assert!(short.grow(SHORT));
        drop((long, longer, short));
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }
}
