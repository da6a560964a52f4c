//! Who writes next, where only one may.
//!
//! Writes for one user lock the same row, and changes of the catalogue one lock. Those of this server wait for each
//! other here and not in the database, where each would take a connection for as long as it waits: however many ask to
//! write for one user, they take one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use waymark_kernel::error::{Code, Error, Result};

/// How long a write waits for its turn: as long as a request may take unless the settings say otherwise.
const PATIENCE: Duration = Duration::from_secs(30);

/// What only one write at a time is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Whose {
    User(i64),
    Catalogue,
}

/// Who is at work, and who waits.
#[derive(Debug, Default)]
pub(super) struct Turns(Mutex<HashMap<Whose, Arc<Semaphore>>>);

/// One write's turn, until this is dropped.
#[derive(Debug)]
pub(super) struct Turn {
    turns: Arc<Turns>,
    whose: Whose,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    /// Waits for one's turn, in the order of coming. May be given up at any time.
    pub(super) async fn wait(self: &Arc<Self>, whose: Whose) -> Result<Turn> {
        self.wait_for(whose, PATIENCE).await
    }

    async fn wait_for(self: &Arc<Self>, whose: Whose, patience: Duration) -> Result<Turn> {
        let place = Arc::clone(self.all().entry(whose).or_insert_with(|| Arc::new(Semaphore::new(1))));
        // Made before anything is waited for, so that the entry goes away when this is given up.
        let mut turn = Turn { turns: Arc::clone(self), whose, permit: None };
        let permit = match Arc::clone(&place).try_acquire_owned() {
            Ok(permit) => Some(permit),
            // The places are never closed.
            Err(_) => tokio::time::timeout(patience, place.acquire_owned()).await.ok().and_then(Result::ok),
        };
        turn.permit = permit;
        if turn.permit.is_none() {
            let message = "other writes for the same user, or of the catalogue, take too long; try again";
            return Err(Error::new(Code::Unavailable, message));
        }
        Ok(turn)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<Whose, Arc<Semaphore>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut all = self.turns.all();
        self.permit = None;
        // No task begins to wait while the lock is held. A waiting task holds the place.
        if all.get(&self.whose).is_some_and(|place| Arc::strong_count(place) == 1) {
            all.remove(&self.whose);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_come_one_after_the_other_and_leave_nothing_behind() {
        let turns = Arc::new(Turns::default());
        let first = turns.wait(Whose::User(1)).await.unwrap();
        let other = turns.wait(Whose::User(2)).await.unwrap();
        let catalogue = turns.wait(Whose::Catalogue).await.unwrap();
        let mut second = Box::pin(turns.wait(Whose::User(1)));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(first);
        drop(second.await.unwrap());
        drop((other, catalogue));
        assert!(turns.all().is_empty());
    }

    #[tokio::test]
    async fn whoever_gives_up_waiting_is_forgotten() {
        let turns = Arc::new(Turns::default());
        let first = turns.wait(Whose::User(1)).await.unwrap();
        let mut second = Box::pin(turns.wait(Whose::User(1)));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(second);
        drop(first);
        assert!(turns.all().is_empty());
    }

    #[tokio::test]
    async fn nobody_waits_for_ever() {
        let turns = Arc::new(Turns::default());
        let first = turns.wait(Whose::User(1)).await.unwrap();
        let second = turns.wait_for(Whose::User(1), Duration::from_millis(5)).await;
        assert_eq!(second.unwrap_err().code(), Code::Unavailable);
        drop(first);
        assert!(turns.all().is_empty());
    }
}
