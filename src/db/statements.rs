//! How many statements were run, and for how long.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::metrics::Sql as Observer;

/// Counts the statements of a database.
#[derive(Debug, Default)]
pub(super) struct Statements {
    count: AtomicU64,
    observer: OnceLock<Observer>,
}

impl Statements {
    /// A statement was run.
    pub(super) fn ran(&self, elapsed: Duration, failed: bool) {
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
