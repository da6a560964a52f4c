//! Connections that last: how many there may be, whose they are, and that they end when the server does.
//!
//! Most places are common; a bounded number of them may belong to one user, or to one address without a credential. The
//! others are for API keys. A WebSocket shows its credential only after it was opened, so when the common places are
//! taken, a few WebSockets from each address are let in all the same, and closed unless they turn out to be an app.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use waymark_auth::Caller;
use waymark_auth::rate::network;

/// One place in this many is for API keys only.
const FOR_APPS: u32 = 16;
/// How many WebSockets of one address may show their credential when all common places are taken.
const MOST_GUESSED: u32 = 4;

/// All connections of a server that last for longer than a request: WebSockets and streams of events.
#[derive(Debug)]
pub struct Streams {
    stopping: watch::Sender<bool>,
    places: Arc<Places>,
}

#[derive(Debug)]
struct Places {
    most: u32,
    most_of_one: u32,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: u32,
    /// How many of them are common.
    common: u32,
    by: HashMap<Holder, u32>,
}

/// Whose a place is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Holder {
    App,
    User(i64),
    /// A person who has no user yet: provider and identity.
    Stranger(String),
    /// A client without a credential, at this address where it is known.
    Address(Option<IpAddr>),
    /// A client that gets a place only if it proves to be an app.
    Guess(Option<IpAddr>),
}

impl Holder {
    fn of(caller: &Caller, peer: Option<IpAddr>) -> Self {
        match caller {
            Caller::App(_) => Self::App,
            Caller::User(player) => {
                player.user.map_or_else(|| Self::Stranger(caller.principal()), |id| Self::User(id.0))
            }
            Caller::Anonymous => Self::Address(peer.map(network)),
        }
    }

    const fn is_common(&self) -> bool {
        !matches!(self, Self::App | Self::Guess(_))
    }
}

/// The place of one connection among those that last; held as long as it does.
#[derive(Debug)]
pub struct Place {
    stopping: watch::Receiver<bool>,
    places: Arc<Places>,
    holder: Holder,
}

impl Streams {
    /// Room for `most`, of which one user or address may have `most_of_one`, until `stopping` says that there is none.
    pub fn new(most: u32, most_of_one: u32, stopping: watch::Sender<bool>) -> Self {
        Self { stopping, places: Arc::new(Places { most, most_of_one, taken: Mutex::default() }) }
    }

    /// A place for `caller`; `None` when there is none, or when the server stops.
    pub fn enter(&self, caller: &Caller, peer: Option<IpAddr>) -> Option<Place> {
        self.enter_as(Holder::of(caller, peer))
    }

    /// Takes a place for a client that has not shown its credential yet.
    pub fn enter_unknown(&self, peer: Option<IpAddr>) -> Option<Place> {
        let peer = peer.map(network);
        self.enter_as(Holder::Address(peer)).or_else(|| self.enter_as(Holder::Guess(peer)))
    }

    fn enter_as(&self, holder: Holder) -> Option<Place> {
        if *self.stopping.borrow() || !self.places.taken().add(&self.places, &holder) {
            return None;
        }
        Some(Place { stopping: self.stopping.subscribe(), places: Arc::clone(&self.places), holder })
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        self.places.taken().all
    }
}

impl Places {
    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many places are common.
    const fn common(&self) -> u32 {
        self.most - self.most / FOR_APPS
    }

    const fn most_of(&self, holder: &Holder) -> u32 {
        match holder {
            Holder::App => self.most,
            Holder::Guess(_) => MOST_GUESSED,
            // Those without an address are not one.
            Holder::Address(None) => self.most,
            _ => self.most_of_one,
        }
    }
}

impl Taken {
    /// Whether there is a place for `holder`, which is taken then.
    fn add(&mut self, places: &Places, holder: &Holder) -> bool {
        let full = self.all >= places.most || (holder.is_common() && self.common >= places.common());
        if full || self.by.get(holder).is_some_and(|count| *count >= places.most_of(holder)) {
            return false;
        }
        self.all += 1;
        self.common += u32::from(holder.is_common());
        *self.by.entry(holder.clone()).or_default() += 1;
        true
    }

    fn remove(&mut self, holder: &Holder) {
        self.all -= 1;
        self.common -= u32::from(holder.is_common());
        if let Some(count) = self.by.get_mut(holder) {
            *count -= 1;
            if *count == 0 {
                self.by.remove(holder);
            }
        }
    }
}

impl Place {
    /// The place is `caller`'s from now on. False when there is none for it; the old one is kept then.
    pub fn introduce(&mut self, caller: &Caller, peer: Option<IpAddr>) -> bool {
        let holder = Holder::of(caller, peer);
        let mut taken = self.places.taken();
        taken.remove(&self.holder);
        let fits = taken.add(&self.places, &holder);
        if fits {
            drop(taken);
            self.holder = holder;
        } else {
            // It was there a moment ago.
            taken.add(&self.places, &self.holder);
        }
        fits
    }

    /// Waits until the server stops. May be given up at any time.
    pub async fn stopping(&mut self) {
        // The sender is gone when the whole server is.
        let _ = self.stopping.wait_for(|stopping| *stopping).await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().remove(&self.holder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waymark_auth::{AppKey, Player, UserId};

    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    fn app() -> Caller {
        let name = "app".to_owned();
        Caller::App(AppKey { id: 1, actor: name.clone(), name, scopes: Vec::new(), owner: None })
    }

    fn user(id: i64) -> Caller {
        Caller::User(Player {
            user: Some(UserId(id)),
            provider: "jwt".to_owned(),
            external_id: id.to_string(),
            expires_at: None,
            member: true,
            handle_hint: None,
            actor: None,
        })
    }

    #[tokio::test]
    async fn there_is_room_for_so_many_and_for_nobody_once_the_server_stops() {
        let stopping = watch::Sender::new(false);
        let streams = Streams::new(2, 2, stopping.clone());
        let enter = || streams.enter(&Caller::Anonymous, None);
        let (mut one, two) = (enter().unwrap(), enter().unwrap());
        assert!(enter().is_none() && streams.count() == 2);
        drop(two);
        assert!(enter().is_some());
        stopping.send_replace(true);
        one.stopping().await;
        assert!(enter().is_none());
        drop(one);
        stopping.closed().await;
        assert_eq!(streams.count(), 0);
    }

    #[test]
    fn one_caller_takes_so_many_and_an_app_as_many_as_there_are() {
        let streams = Streams::new(32, 3, watch::Sender::new(false));
        let mut places = Vec::new();
        for (caller, peer) in [
            (Caller::Anonymous, address(1)),
            (Caller::Anonymous, address(2)),
            (user(1), address(1)),
            (user(2), address(1)),
        ] {
            let fitting: Vec<Place> = std::iter::from_fn(|| streams.enter(&caller, peer)).collect();
            assert_eq!(fitting.len(), 3, "{caller:?} {peer:?}");
            places.extend(fitting);
        }
        places.extend(std::iter::from_fn(|| streams.enter(&app(), address(1))));
        assert_eq!(streams.count(), 32);
        drop(places);
        assert_eq!((streams.count(), streams.places.taken().by.len()), (0, 0));
    }

    #[test]
    fn an_app_finds_a_place_when_all_others_are_taken_and_nobody_else_does() {
        let streams = Streams::new(160, 1000, watch::Sender::new(false));
        let mut all: Vec<Place> = std::iter::from_fn(|| streams.enter(&user(1), None)).collect();
        assert_eq!(all.len(), 150);
        assert!(streams.enter(&Caller::Anonymous, address(1)).is_none());
        let mut guesses: Vec<Place> = std::iter::from_fn(|| streams.enter_unknown(address(1))).collect();
        assert_eq!(guesses.len(), 4, "few from one address are heard");
        assert!(!guesses[0].introduce(&Caller::Anonymous, address(1)));
        assert!(!guesses[0].introduce(&user(2), address(1)));
        assert!(guesses[0].introduce(&app(), address(1)));
        assert!(streams.enter_unknown(address(1)).is_some(), "the next one is heard");
        all.pop();
        assert!(guesses[1].introduce(&user(2), address(1)), "somebody left");
        drop((all, guesses));
        assert_eq!((streams.count(), streams.places.taken().common), (0, 0));
    }
}
