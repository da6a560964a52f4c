//! Whether the database can store anything at the moment.
//!
//! Every transaction reports: one that fails because there is no room, or because nothing may be written, sets the
//! state, and one that has written something ends it. While it lasts, `write/probe.rs` tries a write at intervals, so
//! that it ends even when no client writes. The log gets a line when the state changes, and not for every write that
//! fails meanwhile.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

use waymark_kernel::failure::{Failure, Trouble};

/// The state.
#[derive(Debug, Default)]
pub struct Storage {
    /// 0 when all is well, else the place of the trouble in the list, counted from 1.
    state: AtomicU8,
    /// Wakes the tasks that wait for trouble to begin.
    begun: Notify,
}

impl Storage {
    /// What keeps the database from storing anything, as far as is known.
    pub fn trouble(&self) -> Option<Trouble> {
        let place = usize::from(self.state.load(Ordering::Acquire)).checked_sub(1)?;
        Trouble::ALL.get(place).copied()
    }

    /// Something has failed.
    pub(super) fn note(&self, failure: Failure) {
        let Failure::Storage(trouble) = failure else { return };
        let place = Trouble::ALL.iter().zip(1..).find(|(one, _)| **one == trouble).map_or(0, |(_, place)| place);
        if self.state.swap(place, Ordering::AcqRel) != place {
            tracing::error!(
                "{}; writes are refused until that is over, and tried again by themselves",
                trouble.line().trim_end()
            );
            self.begun.notify_one();
        }
    }

    /// Something was written.
    pub(super) fn wrote(&self) {
        if self.state.load(Ordering::Acquire) != 0 && self.state.swap(0, Ordering::AcqRel) != 0 {
            tracing::info!("the database can write again");
        }
    }

    /// Waits until there is trouble.
    pub async fn begun(&self) {
        while self.trouble().is_none() {
            self.begun.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_trouble_is_known_until_something_was_written() {
        let storage = Storage::default();
        assert_eq!(storage.trouble(), None);
        for trouble in Trouble::ALL {
            storage.note(Failure::Storage(trouble));
            assert_eq!(storage.trouble(), Some(trouble));
            storage.note(Failure::Statement);
            assert_eq!(storage.trouble(), Some(trouble));
        }
        storage.wrote();
        assert_eq!(storage.trouble(), None);
    }
}
