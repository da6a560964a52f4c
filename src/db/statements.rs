//! How many statements were run, for how long, and on whose behalf.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::metrics::Sql as Observer;
use crate::trace;

/// Counts the statements of a database.
#[derive(Debug)]
pub(super) struct Statements {
    /// The engine, as traces call it.
    engine: &'static str,
    count: AtomicU64,
    observer: OnceLock<Observer>,
}

impl Statements {
    pub(super) const fn new(engine: &'static str) -> Self {
        Self { engine, count: AtomicU64::new(0), observer: OnceLock::new() }
    }

    /// A statement was run. Its text is for traces.
    pub(super) fn ran(&self, sql: Option<&str>, elapsed: Duration, failed: bool) {
        if let Some(sql) = sql {
            trace::statement(self.engine, sql, elapsed, failed);
        }
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(observer) = self.observer.get() {
            observer.ran(elapsed, failed);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(super) fn observe(&self, observer: &Observer) {
        // Whoever came first goes on counting.
        let _ = self.observer.set(observer.clone());
    }
}
