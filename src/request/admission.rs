//! How many requests are worked on at a time, and for how long.
//!
//! A request gets a place once its body has come, so that slow senders hold none. When all places are taken it waits
//! with a bounded number of others, and is turned away at once when those are too many: a server that has more to do
//! than it can says so, instead of answering every request too late. Each interface (GraphQL, a REST dialect) writes
//! [`Unanswered`] in its own words.
//!
//! One address takes at most half of what there is to take: of the room for bodies, and of the queue. Some places are
//! for API keys only, so that those find one under every load of others.

use std::collections::HashMap;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody as _};
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use axum::response::Response;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{Semaphore, SemaphorePermit};

use waymark_auth::rate::network;
use waymark_auth::{Authenticator, extract};
use waymark_kernel::config::Limits;
use waymark_kernel::metrics::Metrics;

/// How many bodies of the greatest length all requests together may bring.
const BODIES: usize = 64;
/// Bodies that are longer than this many bytes leave a quarter of that to the others, so that a few slow senders of
/// long bodies keep no other client out.
const SHORT: usize = 16 * 1024;
/// This many bytes of each body are not counted for its address.
const OWN: usize = 4 * 1024;
/// One place in this many, and one seat in the queue, come on top for API keys.
const FOR_APPS: usize = 8;

/// Lets requests in.
pub struct Admission {
    places: Semaphore,
    most: usize,
    /// Further places, for API keys.
    spare: Semaphore,
    queue: Queue,
    longest: Duration,
    max_body: usize,
    budget: Arc<Budget>,
    authenticator: Arc<Authenticator>,
    metrics: Arc<Metrics>,
}

/// The address a request comes from, as the listener found it.
#[derive(Debug, Clone, Copy)]
pub struct Origin(pub Option<IpAddr>);

/// Who wants a place.
#[derive(Debug, Clone, Copy)]
pub struct Applicant {
    /// Whether it is known to be an app.
    pub app: bool,
    /// From where it comes, where that is known.
    pub origin: Option<IpAddr>,
}

/// Why a request has no answer of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// Too many others are being answered.
    Overloaded,
    /// The answer took too long.
    TimedOut,
    /// The body took too long.
    BodyTimedOut,
    /// The handler panicked.
    Panicked,
}

impl Unanswered {
    /// The status of the answer that says so.
    pub const fn status(self) -> StatusCode {
        match self {
            Self::Overloaded | Self::TimedOut => StatusCode::SERVICE_UNAVAILABLE,
            Self::BodyTimedOut => StatusCode::REQUEST_TIMEOUT,
            Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Whether it is a fault of ours.
    pub const fn is_ours(self) -> bool {
        matches!(self, Self::Panicked)
    }

    /// The same in words fit for the client.
    pub const fn message(self) -> &'static str {
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
    /// Makes the admission with as many places and seats in the queue as `limits` say.
    pub fn new(limits: &Limits, authenticator: Arc<Authenticator>, metrics: Arc<Metrics>) -> Self {
        let most = limits.max_concurrent_requests.min(Semaphore::MAX_PERMITS / 2);
        Self {
            places: Semaphore::new(most),
            most,
            spare: Semaphore::new(most / FOR_APPS),
            queue: Queue::new(limits.max_queued_requests),
            longest: Duration::from_secs(limits.request_timeout_seconds),
            max_body: limits.max_body_bytes,
            budget: Arc::new(Budget::new(limits.max_body_bytes.saturating_mul(BODIES))),
            authenticator,
            metrics,
        }
    }

    /// How many requests are worked on, and how many wait.
    pub fn figures(&self) -> (u64, u64) {
        let free = self.places.available_permits() + self.spare.available_permits();
        let working = (self.most + self.most / FOR_APPS).saturating_sub(free);
        (working as u64, self.queue.waiting.load(Ordering::Relaxed) as u64)
    }

    /// Lets `next` answer when there is a place.
    pub async fn answer<F: Future<Output = Response>>(
        &self,
        request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> Result<Response, Unanswered> {
        let stage = Stage::new(Stage::BODY);
        let origin = request.extensions().get::<Origin>().and_then(|origin| origin.0);
        let mut held = self.hold(origin);
        self.in_time(&stage, async {
            let request = self.with_body(request, &mut held).await?;
            stage.set(Stage::QUEUE);
            let _place = match self.free_place() {
                Some(place) => place,
                None => {
                    let applicant = Applicant { app: self.is_of_app(&request), origin };
                    self.wait_for_place(applicant).await?
                }
            };
            stage.set(Stage::WORK);
            Ok(next(request).await)
        })
        .await
    }

    /// Does `work` that belongs to no request of its own when there is a place.
    pub async fn work<F: Future>(
        &self,
        applicant: Applicant,
        work: impl FnOnce() -> F,
    ) -> Result<F::Output, Unanswered> {
        let stage = Stage::new(Stage::QUEUE);
        let done = async {
            let _place = match self.free_place() {
                Some(place) => place,
                None => self.wait_for_place(applicant).await?,
            };
            stage.set(Stage::WORK);
            Ok(work().await)
        };
        self.in_time(&stage, done).await
    }

    /// Counts what `origin` sends, as long as what this gives is kept.
    pub fn hold(&self, origin: Option<IpAddr>) -> Held {
        Held { budget: Arc::clone(&self.budget), origin: origin.map(network), bytes: 0, shared: 0 }
    }

    /// Whether a request shows an API key that was good a short while ago.
    fn is_of_app(&self, request: &Request) -> bool {
        extract::api_key(request.headers(), request.uri().query())
            .is_some_and(|key| self.authenticator.has_seen_app(key))
    }

    /// Waits for `answer` at once: how the server is has to be told also when it has too much to do.
    pub async fn answer_always(&self, answer: impl Future<Output = Response>) -> Result<Response, Unanswered> {
        self.in_time(&Stage::new(Stage::WORK), async { Ok(answer.await) }).await
    }

    async fn in_time<T>(
        &self,
        stage: &Stage,
        work: impl Future<Output = Result<T, Unanswered>>,
    ) -> Result<T, Unanswered> {
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

    /// A place among those who are worked on, if one is free.
    fn free_place(&self) -> Option<SemaphorePermit<'_>> {
        self.places.try_acquire().ok()
    }

    /// A place when one gets free.
    async fn wait_for_place(&self, applicant: Applicant) -> Result<SemaphorePermit<'_>, Unanswered> {
        if applicant.app
            && let Ok(place) = self.spare.try_acquire()
        {
            return Ok(place);
        }
        let _waiting = self.queue.enter(&applicant).ok_or(Unanswered::Overloaded)?;
        let place = if applicant.app {
            tokio::select! {
                place = self.places.acquire() => place,
                place = self.spare.acquire() => place,
            }
        } else {
            self.places.acquire().await
        };
        place.map_err(|_| Unanswered::Overloaded)
    }

    /// The request with its body in memory. What is longer than allowed, or breaks off, is left to the extractor that
    /// reads the body later, which refuses it in its own words.
    ///
    /// # Errors
    /// [`Unanswered::Overloaded`] when the bodies of all requests together would take too much memory: senders hold no
    /// place while they send, so places do not bound it.
    async fn with_body(&self, request: Request, held: &mut Held) -> Result<Request, Unanswered> {
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

/// Those who wait for a place.
struct Queue {
    most: usize,
    waiting: AtomicUsize,
    /// How many of them are of each network.
    origins: Mutex<HashMap<IpAddr, usize>>,
}

impl Queue {
    fn new(most: usize) -> Self {
        Self { most, waiting: AtomicUsize::new(0), origins: Mutex::default() }
    }

    fn origins(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A seat in the queue; `None` when it is full, or full of this origin.
    fn enter(&self, applicant: &Applicant) -> Option<Waiting<'_>> {
        let most = if applicant.app { self.most.saturating_add(self.most / FOR_APPS) } else { self.most };
        let origin = applicant.origin.filter(|_| !applicant.app).map(network);
        if let Some(origin) = origin {
            let mut origins = self.origins();
            let waiting = origins.entry(origin).or_default();
            if *waiting >= self.most.div_ceil(2) {
                return None;
            }
            *waiting += 1;
        }
        let mut seat = Waiting { queue: self, origin, counted: false };
        let more = |waiting| (waiting < most).then_some(waiting + 1);
        seat.counted = self.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok();
        seat.counted.then_some(seat)
    }
}

/// A seat in the queue, for as long as it is kept.
struct Waiting<'a> {
    queue: &'a Queue,
    origin: Option<IpAddr>,
    counted: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.queue.waiting.fetch_sub(1, Ordering::Relaxed);
        }
        if let Some(origin) = self.origin {
            subtract(&mut self.queue.origins(), origin, 1);
        }
    }
}

fn subtract(counts: &mut HashMap<IpAddr, usize>, origin: IpAddr, less: usize) {
    if let Some(count) = counts.get_mut(&origin) {
        *count = count.saturating_sub(less);
        if *count == 0 {
            counts.remove(&origin);
        }
    }
}

/// How many bytes all senders together may have sent that are not answered yet.
struct Budget {
    most: usize,
    all: AtomicUsize,
    /// How many of them, beyond [`OWN`] of each sender, are of each network.
    origins: Mutex<HashMap<IpAddr, usize>>,
}

impl Budget {
    fn new(most: usize) -> Self {
        Self { most, all: AtomicUsize::new(0), origins: Mutex::default() }
    }

    fn origins(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.origins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The bytes of one sender, counted with those of all others as long as this is kept.
pub struct Held {
    budget: Arc<Budget>,
    origin: Option<IpAddr>,
    bytes: usize,
    /// How many of them are counted as the origin's.
    shared: usize,
}

impl std::fmt::Debug for Held {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Held({} bytes)", self.bytes)
    }
}

impl Held {
    /// Counts the bytes of one sender with a budget of its own, up to `most`.
    #[must_use]
    pub fn alone(most: usize) -> Self {
        Self { budget: Arc::new(Budget::new(most)), origin: None, bytes: 0, shared: 0 }
    }

    /// Returns how many bytes are counted.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Counts `bytes` more, when there is room for them; returns whether there was.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let Budget { most, .. } = *self.budget;
        let grown = self.bytes.saturating_add(bytes);
        let most = if grown <= SHORT { most } else { most - most / 4 };
        let more = |all: usize| all.checked_add(bytes).filter(|all| *all <= most);
        if self.budget.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return false;
        }
        if !self.share(grown) {
            self.budget.all.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes = grown;
        true
    }

    /// Counts `grown` bytes for the origin, except the first [`OWN`] of each body; returns whether the origin may have
    /// them.
    fn share(&mut self, grown: usize) -> bool {
        let shared = grown.saturating_sub(OWN);
        let Some(origin) = self.origin.filter(|_| shared > self.shared) else { return true };
        let mut origins = self.budget.origins();
        let all = origins.get(&origin).copied().unwrap_or_default() + shared - self.shared;
        // One body of the greatest length fits always.
        if all > self.budget.most / 2 {
            return false;
        }
        origins.insert(origin, all);
        self.shared = shared;
        true
    }

    /// Gives `bytes` back.
    pub fn shrink(&mut self, bytes: usize) {
        let less = bytes.min(self.bytes);
        self.bytes -= less;
        self.budget.all.fetch_sub(less, Ordering::Relaxed);
        let shared = self.bytes.saturating_sub(OWN).min(self.shared);
        if let Some(origin) = self.origin.filter(|_| shared < self.shared) {
            subtract(&mut self.budget.origins(), origin, self.shared - shared);
            self.shared = shared;
        }
    }

    /// Takes out what is counted here, for another owner.
    pub fn take(&mut self) -> Self {
        let rest = Self { budget: Arc::clone(&self.budget), origin: self.origin, bytes: 0, shared: 0 };
        std::mem::replace(self, rest)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.shrink(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::CONTENT_LENGTH;

    use super::*;
    use waymark_kernel::config::Config;

    fn admission(settings: &[(&str, &str)]) -> Admission {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::from_sources(None, settings).unwrap();
        let authenticator = Arc::new(Authenticator::from_config(&config).unwrap());
        Admission::new(&config.limits, authenticator, Arc::new(Metrics::new().unwrap()))
    }

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[tokio::test]
    async fn the_bodies_of_all_requests_together_are_bounded() {
        let admission = admission(&[("WAYMARK_MAX_BODY_BYTES", "10")]);
        let body = || {
            let pieces = futures_util::stream::iter(["12345", "67890"].map(Ok::<_, std::io::Error>));
            Request::builder().header(CONTENT_LENGTH, 10).body(Body::from_stream(pieces)).unwrap()
        };
        let mut all: Vec<Held> = std::iter::repeat_with(|| admission.hold(None)).take(BODIES).collect();
        for held in &mut all {
            assert!(admission.with_body(body(), held).await.is_ok());
        }
        let mut one_more = admission.hold(None);
        assert_eq!(admission.with_body(body(), &mut one_more).await.unwrap_err(), Unanswered::Overloaded);
        all.pop();
        assert!(admission.with_body(body(), &mut one_more).await.is_ok());
        drop((all, one_more));
        assert_eq!(admission.budget.all.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn long_bodies_leave_room_for_short_ones() {
        let budget = Arc::new(Budget::new(64 * SHORT));
        let begin = || Held { budget: Arc::clone(&budget), origin: None, bytes: 0, shared: 0 };
        let mut long: Vec<Held> = std::iter::repeat_with(begin).take(24).collect();
        assert!(long.iter_mut().all(|held| held.grow(SHORT) && held.grow(SHORT)));
        let (mut longer, mut short) = (begin(), begin());
        assert!(longer.grow(SHORT) && !longer.grow(1), "a body that grows long is one");
        assert!(short.grow(SHORT));
        drop((long, longer, short));
        assert_eq!(budget.all.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn one_address_takes_half_of_the_room_and_what_it_gives_back_is_free_again() {
        let budget = Arc::new(Budget::new(1024 * 1024));
        let begin = |origin| Held { budget: Arc::clone(&budget), origin, bytes: 0, shared: 0 };
        let mut many: Vec<Held> = Vec::new();
        while many.last().is_none_or(|held| held.bytes() > 0) {
            let mut held = begin(address(1));
            held.grow(OWN + 64 * 1024);
            many.push(held);
        }
        assert_eq!(many.len(), 8 + 1, "half of the room for what is more than a few bytes");
        assert!(begin(address(1)).grow(OWN), "a few bytes are taken from everybody");
        assert!(begin(address(2)).grow(128 * 1024) && begin(None).grow(128 * 1024));
        let mut kept = many[0].take();
        kept.shrink(64 * 1024);
        assert_eq!((kept.bytes(), many[0].bytes()), (OWN, 0));
        assert!(many[0].grow(OWN + 64 * 1024));
        drop((many, kept));
        assert_eq!((budget.all.load(Ordering::Relaxed), budget.origins().len()), (0, 0));
    }

    #[test]
    fn one_address_takes_half_of_the_queue_and_apps_have_seats_of_their_own() {
        let queue = Queue::new(16);
        let guest = |last| Applicant { app: false, origin: address(last) };
        let app = Applicant { app: true, origin: address(1) };
        let mut seats: Vec<Waiting<'_>> = (0..8).map(|_| queue.enter(&guest(1)).unwrap()).collect();
        assert!(queue.enter(&guest(1)).is_none());
        seats.extend((0..8).map(|_| queue.enter(&guest(2)).unwrap()));
        assert!(queue.enter(&guest(3)).is_none(), "it is full");
        let apps: Vec<Waiting<'_>> = (0..2).map(|_| queue.enter(&app).unwrap()).collect();
        assert!(queue.enter(&app).is_none());
        drop((seats, apps));
        assert_eq!((queue.waiting.load(Ordering::Relaxed), queue.origins().len()), (0, 0));
    }

    #[tokio::test]
    async fn an_app_finds_a_place_when_others_have_taken_theirs() {
        let few = [("WAYMARK_MAX_CONCURRENT_REQUESTS", "8"), ("WAYMARK_MAX_QUEUED_REQUESTS", "0")];
        let admission = admission(&few);
        let (guest, app) = (Applicant { app: false, origin: None }, Applicant { app: true, origin: None });
        let mut places: Vec<_> = std::iter::from_fn(|| admission.free_place()).collect();
        assert_eq!(places.len(), 8);
        assert!(admission.wait_for_place(guest).await.is_err());
        places.push(admission.wait_for_place(app).await.unwrap());
        assert!(admission.wait_for_place(app).await.is_err());
        assert_eq!(admission.figures(), (9, 0));
        drop(places);
        assert_eq!(admission.figures(), (0, 0));
    }
}
