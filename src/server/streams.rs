//! Connections that last: how many there may be, and that they end when the server does.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

/// All connections of a server that last for longer than a request: WebSockets and streams of events.
#[derive(Debug)]
pub(crate) struct Streams {
    stopping: watch::Sender<bool>,
    places: Arc<Semaphore>,
    most: u32,
}

/// The place of one connection among those that last; held as long as it does.
#[derive(Debug)]
pub(crate) struct Place {
    stopping: watch::Receiver<bool>,
    _permit: OwnedSemaphorePermit,
}

impl Streams {
    /// Room for this many, until `stopping` says that there is none.
    pub(crate) fn new(most: u32, stopping: watch::Sender<bool>) -> Self {
        let most = most.min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        let places = Arc::new(Semaphore::new(most as usize));
        Self { stopping, places, most }
    }

    /// A place for one more; `None` when there is none, or when the server stops.
    pub(crate) fn enter(&self) -> Option<Place> {
        if *self.stopping.borrow() {
            return None;
        }
        let permit = Arc::clone(&self.places).try_acquire_owned().ok()?;
        Some(Place { stopping: self.stopping.subscribe(), _permit: permit })
    }

    /// How many there are.
    #[allow(dead_code, reason = "for figures about the server")]
    pub(crate) fn count(&self) -> usize {
        (self.most as usize).saturating_sub(self.places.available_permits())
    }
}

impl Place {
    /// Waits until the server stops. May be given up at any time.
    pub(crate) async fn stopping(&mut self) {
        // The sender is gone when the whole server is.
        let _ = self.stopping.wait_for(|stopping| *stopping).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn there_is_room_for_so_many_and_for_nobody_once_the_server_stops() {
        let stopping = watch::Sender::new(false);
        let streams = Streams::new(2, stopping.clone());
        let (mut one, two) = (streams.enter().unwrap(), streams.enter().unwrap());
        assert!(streams.enter().is_none() && streams.count() == 2);
        drop(two);
        assert!(streams.enter().is_some());
        stopping.send_replace(true);
        one.stopping().await;
        assert!(streams.enter().is_none());
        drop(one);
        stopping.closed().await;
        assert_eq!(streams.count(), 0);
    }
}
