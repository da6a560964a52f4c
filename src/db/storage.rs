//! Whether the database can store anything at the moment.
//!
//! Every transaction tells: one that fails because there is no room, or because nothing may be written, sets the state, and one that
//! has written something ends it. While it lasts, `write/probe.rs` tries every so often, so that it ends though nobody writes. The
//! log gets a line when the state changes, and not for every write that fails meanwhile.

use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

use super::failure::Failure;

/// Why nothing can be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// There is no room.
    Full,
    /// The file, its directory or the server takes no writes.
    ReadOnly,
    /// The engine cannot use its files or lacks memory.
    Faulty,
}

impl Trouble {
    const ALL: [Self; 3] = [Self::Full, Self::ReadOnly, Self::Faulty];

    /// For clients and the log.
    pub(super) const fn message(self) -> &'static str {
        match self {
            Self::Full => "the database has no room to write; try again later",
            Self::ReadOnly => "the database is read-only at the moment; try again later",
            Self::Faulty => "the database cannot write its files at the moment; try again later",
        }
    }

    /// For operators, as `/readyz` says it.
    pub(crate) const fn line(self) -> &'static str {
        match self {
            Self::Full => "the database has no room to write\n",
            Self::ReadOnly => "the database is read-only\n",
            Self::Faulty => "the database cannot write its files\n",
        }
    }
}

/// The state.
#[derive(Debug, Default)]
pub(crate) struct Storage {
    /// 0 when all is well, else the place of the trouble in the list, counted from 1.
    state: AtomicU8,
    /// Wakes whoever waits for trouble.
    begun: Notify,
}

impl Storage {
    /// What keeps the database from storing anything, as far as is known.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
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
    pub(crate) async fn begun(&self) {
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
