//! Whether those who stay connected are still who they were.
//!
//! A request is answered and over; a connection lasts, and its credential may be revoked, change hands or expire
//! meanwhile. All credentials in use are looked up at intervals, all keys by one statement and all identities by
//! another, so what a silent connection costs is a row of a look-up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::caller::Caller;
use super::{api_key, repo};
use waymark_db::{Asker, Db};
use waymark_kernel::clock::{Timestamp, Watch};
use waymark_kernel::error::{Code, Error, Result};

/// How often credentials are looked up.
const EVERY: Duration = Duration::from_secs(1);

/// What is looked up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Key(i64),
    Identity(String, String),
}

type Found = Result<Arc<Caller>>;

/// Watches the credentials of open connections.
#[derive(Debug)]
pub struct Vigil {
    db: Db,
    clock: Watch,
    watched: Mutex<HashMap<Who, watch::Sender<Found>>>,
}

/// Who a connection belongs to, now.
#[derive(Debug, Clone)]
pub struct Session {
    found: watch::Receiver<Found>,
    /// How long the credential is good, from the moment it was shown.
    until: Option<tokio::time::Instant>,
    _watched: Option<Arc<Watched>>,
}

/// Takes a credential off the list when no session uses it any more.
#[derive(Debug)]
struct Watched {
    who: Who,
    vigil: Arc<Vigil>,
}

impl Drop for Watched {
    fn drop(&mut self) {
        let mut watched = self.vigil.watched();
        // The receiver of the connection at hand stands before this in `Session`, so it is gone by now.
        if watched.get(&self.who).is_some_and(|sender| sender.receiver_count() == 0) {
            watched.remove(&self.who);
        }
    }
}

impl Vigil {
    /// Starts to look, which ends with the vigil. Must be called inside a Tokio runtime.
    pub fn start(db: Db, clock: Watch) -> Arc<Self> {
        let vigil = Arc::new(Self { db, clock, watched: Mutex::default() });
        let weak = Arc::downgrade(&vigil);
        tokio::spawn(Asker::Background.run(async move {
            loop {
                tokio::time::sleep(EVERY).await;
                let Some(vigil) = weak.upgrade() else { break };
                if let Err(error) = vigil.look().await {
                    tracing::warn!(error = error.chain(), "credentials in use could not be looked up; trying again");
                }
            }
        }));
        vigil
    }

    fn watched(&self) -> MutexGuard<'_, HashMap<Who, watch::Sender<Found>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches the credential of `caller`, which is good until `expires_at`.
    pub fn watch(self: &Arc<Self>, caller: Arc<Caller>, expires_at: Option<Timestamp>, now: Timestamp) -> Session {
        let who = match &*caller {
            Caller::Anonymous => return Session { found: watch::channel(Ok(caller)).1, until: None, _watched: None },
            Caller::App(key) => Who::Key(key.id),
            Caller::User(player) => Who::Identity(player.provider.clone(), player.external_id.clone()),
        };
        let until = expires_at.and_then(|end| {
            let millis = u64::try_from(end.millis_since(now)).unwrap_or_default();
            tokio::time::Instant::now().checked_add(Duration::from_millis(millis))
        });
        let found = {
            let mut watched = self.watched();
            let sender = watched.entry(who.clone()).or_insert_with(|| watch::Sender::new(Ok(Arc::clone(&caller))));
            sender.send_if_modified(|known| {
                let news = known.as_ref().is_ok_and(|before| before.user() != caller.user());
                if news {
                    *known = Ok(caller);
                }
                news
            });
            sender.subscribe()
        };
        Session { found, until, _watched: Some(Arc::new(Watched { who, vigil: Arc::clone(self) })) }
    }

    async fn look(&self) -> Result<()> {
        let asked = self.in_use();
        let (mut keys, mut providers, mut ids) = (Vec::new(), Vec::new(), Vec::new());
        for (who, _) in &asked {
            match who {
                Who::Key(key) => keys.push(*key),
                Who::Identity(provider, id) => {
                    if !providers.contains(provider) {
                        providers.push(provider.clone());
                    }
                    ids.push(id.clone());
                }
            }
        }
        if !keys.is_empty() {
            let found = api_key::valid(self.db.reads(), keys, self.clock.now()).await?;
            let revoked = || Error::new(Code::InvalidCredential, "the API key was revoked or has expired");
            self.publish(&asked, |who, _| {
                let Who::Key(key) = who else { return None };
                Some(found.get(key).cloned().map(Caller::App).ok_or_else(revoked))
            });
        }
        if !ids.is_empty() {
            let owners = repo::users_of(self.db.reads(), providers, ids).await?;
            self.publish(&asked, |who, before| {
                let (Who::Identity(provider, id), Caller::User(player)) = (who, before) else { return None };
                let owner = owners.get(&(provider.clone(), id.clone())).cloned();
                Some(Ok(Caller::User(player.clone().of(owner))))
            });
        }
        Ok(())
    }

    /// The credentials to look up, each with whose it is as far as is known.
    fn in_use(&self) -> Vec<(Who, Arc<Caller>)> {
        let mut watched = self.watched();
        watched.retain(|_, sender| sender.receiver_count() > 0);
        let good =
            watched.iter().filter_map(|(who, sender)| Some((who.clone(), sender.borrow().as_ref().ok()?.clone())));
        good.collect()
    }

    /// Tells what was found of those who were asked for, if it is another than before. What was refused once stays
    /// refused. Of a credential that was shown while the look-up was under way, the look-up knows nothing, or less.
    fn publish(&self, asked: &[(Who, Arc<Caller>)], find: impl Fn(&Who, &Caller) -> Option<Result<Caller>>) {
        for (who, before) in asked {
            let Some(found) = find(who, before).filter(|found| found.as_ref().ok() != Some(&**before)) else {
                continue;
            };
            let watched = self.watched();
            let Some(sender) = watched.get(who) else { continue };
            sender.send_if_modified(|known| {
                let as_asked = known.as_ref().is_ok_and(|known| Arc::ptr_eq(known, before));
                if as_asked {
                    *known = found.map(Arc::new);
                }
                as_asked
            });
        }
    }
}

impl Session {
    /// Who the connection belongs to.
    ///
    /// # Errors
    /// [`Code::InvalidCredential`] when the credential is good no longer.
    pub fn caller(&self) -> Result<Arc<Caller>> {
        if self.until.is_some_and(|until| until <= tokio::time::Instant::now()) {
            return Err(expired());
        }
        self.found.borrow().clone()
    }

    /// Waits until the caller is another one, or may do something else than before. May be given up at any time.
    pub async fn changed(&mut self) {
        if self.found.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until the credential is good no longer, and says why. May be given up at any time.
    pub async fn ended(&mut self) -> Error {
        let expiry = async {
            match self.until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        let revoked = async {
            // The sender is dropped only when the whole server ends.
            let found = self.found.wait_for(Result::is_err).await.ok().map(|found| found.clone());
            match found.and_then(Result::err) {
                Some(error) => error,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = expiry => expired(),
            error = revoked => error,
        }
    }
}

fn expired() -> Error {
    Error::new(Code::InvalidCredential, "the credential has expired")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caller::Owner;
    use crate::repo::testing::{TestDatabase, link, now};
    use crate::{Player, Scope, UserId};
    use waymark_kernel::clock::{Clock, Ids};

    fn stranger(external_id: &str) -> Arc<Caller> {
        Arc::new(Caller::User(Player {
            user: None,
            provider: "jwt".to_owned(),
            external_id: external_id.to_owned(),
            expires_at: None,
            handle_hint: None,
            member: true,
            actor: None,
        }))
    }

    #[tokio::test]
    async fn a_revoked_key_ends_a_standing_and_others_stand() {
        let db = TestDatabase::new().await;
        let vigil = Vigil::start(db.clone(), Watch::new(Clock::Fixed(now())));
        let mut sessions = Vec::new();
        let mut prefixes = Vec::new();
        for name in ["one", "two"] {
            let scopes = [Scope::ProgressRead];
            let ids = Ids::system();
            let (secret, key) = api_key::create(db.writes(), &ids, now(), name, &scopes, None, None).await.unwrap();
            let (app, _) = api_key::find(db.reads(), secret.expose(), now()).await.unwrap().unwrap();
            sessions.push(vigil.watch(Arc::new(Caller::App(app)), None, now()));
            prefixes.push(key.prefix);
        }
        vigil.look().await.unwrap();
        assert!(sessions.iter().all(|session| session.caller().is_ok()));
        api_key::revoke(db.writes(), &prefixes[0], now()).await.unwrap();
        let error = tokio::time::timeout(Duration::from_secs(5), sessions[0].ended()).await.unwrap();
        assert_eq!(error.code(), Code::InvalidCredential);
        assert!(sessions[0].caller().is_err() && sessions[1].caller().is_ok());
    }

    #[tokio::test]
    async fn somebody_who_becomes_a_user_is_one_from_then_on() {
        let db = TestDatabase::new().await;
        let vigil = Vigil::start(db.clone(), Watch::new(Clock::Fixed(now())));
        let mut session = vigil.watch(stranger("|ada"), None, now());
        let other = vigil.watch(stranger("|bob"), None, now());
        let ada = link(&db, "jwt", "|ada").await;
        tokio::time::timeout(Duration::from_secs(5), session.changed()).await.unwrap();
        assert_eq!((session.caller().unwrap().user(), other.caller().unwrap().user()), (Some(ada), None));
    }

    #[tokio::test]
    async fn who_comes_during_a_look_up_stays_who_they_are() {
        let db = TestDatabase::new().await;
        let vigil = Vigil::start(db.clone(), Watch::new(Clock::Fixed(now())));
        let known = |name: &str, id: UserId| {
            let Caller::User(player) = (*stranger(name)).clone() else { panic!("a stranger is a person") };
            let owner = Owner { user: id, ulid: name.to_owned(), self_made: false };
            Arc::new(Caller::User(player.of(Some(owner))))
        };
        let (ada, bob) = (link(&db, "jwt", "|ada").await, link(&db, "jwt", "|bob").await);
        let cleo = vigil.watch(stranger("|cleo"), None, now());
        let first = vigil.watch(known("|ada", ada), None, now());
        let asked = vigil.in_use();
        // One comes who was not asked for, and one becomes a user meanwhile.
        let second = vigil.watch(known("|bob", bob), None, now());
        let third = vigil.watch(known("|cleo", UserId(77)), None, now());
        vigil.publish(&asked, |_, before| match before {
            Caller::User(player) => Some(Ok(Caller::User(player.clone().of(None)))),
            _ => None,
        });
        let users = [first, second, third, cleo].map(|session| session.caller().unwrap().user());
        assert_eq!(users, [None, Some(bob), Some(UserId(77)), Some(UserId(77))]);
    }

    #[tokio::test]
    async fn a_standing_ends_when_the_credential_expires() {
        let db = TestDatabase::new().await;
        let vigil = Vigil::start(db.clone(), Watch::new(Clock::Fixed(now())));
        let mut session = vigil.watch(stranger("|ada"), Some(now().plus_millis(50)), now());
        assert!(session.caller().is_ok());
        session.ended().await;
        assert_eq!(session.caller().unwrap_err().code(), Code::InvalidCredential);
    }

    #[tokio::test]
    async fn a_credential_that_nobody_uses_is_looked_up_no_more() {
        let db = TestDatabase::new().await;
        let vigil = Vigil::start(db.clone(), Watch::new(Clock::Fixed(now())));
        let session = vigil.watch(stranger("|ada"), None, now());
        let copy = session.clone();
        drop(session);
        vigil.look().await.unwrap();
        assert_eq!(vigil.watched().len(), 1);
        drop(copy);
        vigil.look().await.unwrap();
        assert_eq!(vigil.watched().len(), 0);
    }
}
