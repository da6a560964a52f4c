//! One request, as the use cases see it, and how many requests are worked on at a time.

pub mod admission;
mod ask;

pub use ask::Ask;

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};

use waymark_auth::{Caller, Mark};
use waymark_db::catalogue::{Part, Snapshot};
use waymark_graphql_kit::batcher::{Batcher, Gathering};
use waymark_graphql_kit::pagination::Bounded;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::config::Config;
use waymark_kernel::error::{Error, Result};
use waymark_kernel::metrics::Subscription;
use waymark_verify::Verifier;
use waymark_write::{Following, Order, Write, Writer, Written};

/// The caller, the instant, and the loaders of the answer: the same for GraphQL and for REST.
///
/// One request sees one instant and one state of the catalogue, so that its answer agrees with itself; after a write of
/// its own, the instant of the write and the state that it left.
#[derive(Debug, Clone)]
pub struct Request {
    /// The caller.
    pub caller: Arc<Caller>,
    /// The settings that bound a request.
    pub config: Arc<Config>,
    /// Through this everything about users is loaded; the request's work runs inside it.
    pub load: Arc<Gathering>,
    /// Checks and mends what is kept beside its source.
    pub verifier: Arc<Verifier>,
    seen: Arc<Seen>,
    writer: Arc<Writer>,
    /// What a signed request leaves behind with what it writes.
    mark: Option<Arc<Mark>>,
}

/// What a request sees: an instant and a state of the catalogue.
#[derive(Debug)]
struct Seen {
    now: AtomicI64,
    catalogue: State,
}

/// The state of the catalogue that a request sees, and after a write of its own the state after that.
#[derive(Debug)]
struct State {
    snapshot: Arc<Snapshot>,
    next: OnceLock<Box<Self>>,
}

impl State {
    fn new(snapshot: Arc<Snapshot>) -> Self {
        Self { snapshot, next: OnceLock::new() }
    }

    fn newest(&self) -> &Self {
        let mut state = self;
        while let Some(next) = state.next.get() {
            state = next;
        }
        state
    }
}

impl Bounded for Request {
    fn max_page_size(&self) -> u32 {
        self.config.limits.max_page_size
    }
}

impl Request {
    /// Begins a request of `caller` at `now` in this state of the catalogue.
    pub fn new(
        caller: Arc<Caller>,
        now: Timestamp,
        config: Arc<Config>,
        catalogue: Arc<Snapshot>,
        batcher: &Arc<Batcher>,
        writer: &Arc<Writer>,
        verifier: Arc<Verifier>,
    ) -> Self {
        let seen = Arc::new(Seen { now: AtomicI64::new(now.millis()), catalogue: State::new(catalogue) });
        let (load, writer) = (batcher.gather(), Arc::clone(writer));
        load.meter().limit(config.limits.max_answer_bytes as u64);
        Self { caller, config, verifier, seen, load, writer, mark: None }
    }

    /// The instant of the request; after a write of its own not before the instant of that write, which on PostgreSQL
    /// the database tells.
    pub fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.seen.now.load(Ordering::Relaxed))
    }

    /// Carries out `write` for the caller of this request; under a key that came before, nothing is done again. When
    /// this returns, the write is on disk and visible.
    pub async fn write<W: Write>(&self, write: W, key: Option<String>) -> Result<Written<W::Outcome>> {
        // No write is begun for a request whose answer is too long already: the error says what was done.
        self.load.meter().pause().await;
        let written = self.writer.run(write, self.order(key)).await?;
        self.seen.now.fetch_max(written.at.millis(), Ordering::Relaxed);
        let state = self.seen.catalogue.newest();
        let current = self.writer.catalogue();
        if current.version() != state.snapshot.version() {
            // Lost against nothing: the writes of one request come one after the other.
            let _ = state.next.set(Box::new(State::new(current)));
        }
        Ok(written)
    }

    /// Returns who wants a write, and when: the caller of this request, at its instant.
    pub fn order(&self, key: Option<String>) -> Order {
        Order {
            now: self.now(),
            actor: self.caller.actor().to_owned(),
            principal: self.caller.principal(),
            vouches: matches!(*self.caller, Caller::App(_)),
            key,
            mark: self.mark.clone(),
        }
    }

    /// The same request, signed: what it writes keeps this mark.
    pub fn signed(self, mark: Option<Arc<Mark>>) -> Self {
        Self { mark, ..self }
    }

    /// Waits from now on for news of a user's history.
    pub fn follow(&self, user: i64) -> Following {
        self.writer.notifier().follow(user)
    }

    /// Counts a subscription as open for as long as what this gives is kept.
    pub fn subscription(&self) -> Subscription {
        self.writer.metrics().subscription()
    }

    /// A feature's part of the catalogue.
    pub fn catalogue<P: Part>(&self) -> Result<&P> {
        self.seen.catalogue.newest().snapshot.part()
    }

    /// Refuses a list of more than `most` ids.
    pub fn check_ids(&self, what: &str, count: usize, most: u32) -> Result<()> {
        if count <= most as usize {
            return Ok(());
        }
        Err(Error::limit(format!("{count} {what} were asked for, and one request may ask for {most}")))
    }
}
