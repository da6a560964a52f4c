//! How many statements were run, for how long, and on whose behalf.

use std::future::Future;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use waymark_kernel::metrics::Sql as Observer;
use waymark_kernel::trace;

/// On whose behalf a statement is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// A request, a command or a write.
    Request,
    /// The look-up of a credential, which is remembered for a second.
    Credentials,
    /// A task that looks by itself every so often.
    Background,
}

tokio::task_local! {
    static ASKER: Asker;
}

impl Asker {
    /// Runs `work`, whose statements are counted as those of this asker.
    pub fn run<F: Future>(self, work: F) -> impl Future<Output = F::Output> {
        ASKER.scope(self, work)
    }

    fn current() -> Self {
        ASKER.try_with(|asker| *asker).unwrap_or(Self::Request)
    }
}

/// Counts the statements of a database.
#[derive(Debug)]
pub(super) struct Statements {
    /// The engine, as traces call it.
    engine: &'static str,
    /// By asker.
    counts: [AtomicU64; 3],
    observer: OnceLock<Observer>,
    listener: OnceLock<fn(&str)>,
}

impl Statements {
    pub(super) const fn new(engine: &'static str) -> Self {
        let counts = [const { AtomicU64::new(0) }; 3];
        Self { engine, counts, observer: OnceLock::new(), listener: OnceLock::new() }
    }

    /// Whether the text of a statement is wanted when it was run.
    pub(super) fn want_text(&self) -> bool {
        trace::is_on() || self.listener.get().is_some()
    }

    /// A statement was run. Its text is for traces and the listener.
    pub(super) fn ran(&self, sql: Option<&str>, elapsed: Duration, failed: bool) {
        if let Some(sql) = sql {
            if let Some(listener) = self.listener.get() {
                listener(sql);
            }
            trace::statement(self.engine, sql, elapsed, failed);
        }
        self.of(Asker::current()).fetch_add(1, Ordering::Relaxed);
        if let Some(observer) = self.observer.get() {
            observer.ran(elapsed, failed);
        }
    }

    fn of(&self, asker: Asker) -> &AtomicU64 {
        let [request, credentials, background] = &self.counts;
        match asker {
            Asker::Request => request,
            Asker::Credentials => credentials,
            Asker::Background => background,
        }
    }

    pub(super) fn count(&self, asker: Asker) -> u64 {
        self.of(asker).load(Ordering::Relaxed)
    }

    pub(super) fn listen(&self, listener: fn(&str)) {
        // The first one stays.
        let _ = self.listener.set(listener);
    }

    pub(super) fn observe(&self, observer: &Observer) {
        // The first observer stays.
        let _ = self.observer.set(observer.clone());
    }
}
