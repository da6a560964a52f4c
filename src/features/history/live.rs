//! A user's history as it grows.
//!
//! Whoever follows it has a position, the number of an event, and reads the log from there on, whenever there is news
//! and before any news is waited for. So it makes no difference whether an event came before or after somebody began to
//! follow, by which process, or while nobody was connected: each comes once, in order. What is read at a time is
//! bounded, and nothing more is read before it has been taken.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::stream::{self, Stream};

use super::loader::{EventsBehind, HistoryStateOf};
use super::service::{LIST, check_owner, cursor};
use waymark_auth::Session;
use waymark_auth::policy;
use waymark_auth::policy::OwnUser;
use waymark_graphql_kit::pagination::cursor_key;
use waymark_kernel::error::{Code, Error, Result};
use waymark_kernel::metrics::Subscription;
use waymark_request::Request;
use waymark_users as users;
use waymark_users::service::{Name, User, UserWith, unknown};
use waymark_write::{Event, Following};

/// How often in a row it is tried to reach a database that is away, and after which pause.
const PATIENCE: u32 = 30;
const PAUSE: Duration = Duration::from_secs(1);
/// How long it is waited for what was told of and is not there yet.
const EARLY: Duration = Duration::from_millis(100);

/// The marks of a stream whose client keeps account of them: behind which event it begins, and which was told last.
#[derive(Debug, Clone, Default)]
pub struct Marks(Arc<Mutex<Option<String>>>);

impl Marks {
    /// Begins behind the event with this cursor, whatever the subscription says; `None`: as it says.
    #[must_use]
    pub fn behind(cursor: Option<String>) -> Self {
        Self(Arc::new(Mutex::new(cursor)))
    }

    /// Takes out the last mark that was set and not taken.
    pub fn take(&self) -> Option<String> {
        self.last().take()
    }

    /// An event was told.
    pub fn set(&self, user: i64, event: &Event) {
        *self.last() = Some(cursor(user, event.seq));
    }

    fn last(&self) -> MutexGuard<'_, Option<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of a user from now on, or behind a cursor.
struct Live {
    request: Request,
    session: Session,
    user: Arc<User>,
    following: Following,
    figures: Subscription,
    /// The number of the last event that was taken or waits to be.
    position: i64,
    /// The number of the newest event when the log was read last.
    newest: i64,
    /// How often in a row the log could not be read.
    failures: u32,
    /// How often in a row it had nothing, though there was news: a standby has not got it yet.
    early: u32,
    waiting: VecDeque<Event>,
    /// What the stream ends with when all that waits has been taken.
    end: Option<Error>,
    ended: bool,
}

/// Follows the history of a user: the user's key in the database, and the events in their order. The stream ends with
/// an error when the caller may not see them any longer, or when no more can come.
///
/// # Errors
/// When there is no such user, the caller may not see everything about the user, or the cursor is none of this history.
pub async fn follow(
    request: &Request,
    session: Session,
    by: Name,
    after: Option<String>,
) -> Result<(i64, impl Stream<Item = Result<Event>> + use<>)> {
    let (user, own) = find(request, by).await?;
    // Before anything is read: what comes while it is read is news.
    let following = request.follow(own.key());
    let newest = request.load.one(HistoryStateOf(own.key())).await?.map_or(0, |state| state.newest);
    let position = match after {
        None => newest,
        Some(cursor) => {
            let (number, owner) = cursor_key(LIST, &cursor)?;
            check_owner(request, &own, owner).await?;
            if number > newest {
                return Err(Error::bad_input("this cursor lies ahead of the user's history; begin without one"));
            }
            number
        }
    };
    let live = Live {
        request: request.clone(),
        session,
        user,
        following,
        figures: request.subscription(),
        position,
        newest,
        failures: 0,
        early: 0,
        waiting: VecDeque::new(),
        end: None,
        ended: false,
    };
    Ok((own.key(), stream::unfold(live, async |mut live| live.next().await.map(|event| (event, live)))))
}

/// The user whom this names, if the caller may see everything about the user.
async fn find(request: &Request, by: Name) -> Result<(Arc<User>, OwnUser)> {
    let name = users::service::key(by)?;
    let is_seen = |user: &Arc<User>| policy::see(&request.caller, &user.subject).is_some();
    // Whoever may not be seen is looked for as long as somebody who does not exist.
    if let Some(user) = users::service::user_with(request, name.clone()).await?.filter(is_seen) {
        let own = policy::see_everything(&request.caller, &user.subject)?;
        return Ok((user, own));
    }
    if matches!(name, UserWith::Ulid(_))
        && let Some(survivor) = users::service::survivor(request, name).await?.filter(is_seen)
    {
        // Who was merged into whom is told only to those who may see it; to all others the id is nobody's any more.
        let own = policy::see_everything(&request.caller, &survivor.subject).map_err(|_| unknown())?;
        return Err(users::service::merged(own.ulid()));
    }
    Err(unknown())
}

impl Live {
    /// The next event; an error is the last one.
    async fn next(&mut self) -> Option<Result<Event>> {
        loop {
            if self.ended {
                return None;
            }
            let behind = i64::try_from(self.waiting.len()).unwrap_or(i64::MAX);
            self.figures.is_behind(behind.saturating_add(self.newest.saturating_sub(self.position).max(0)));
            if let Some(event) = self.waiting.pop_front() {
                self.figures.has_told();
                return Some(Ok(event));
            }
            if let Some(error) = self.end.take() {
                self.ended = true;
                self.figures.ends("failed");
                return Some(Err(error));
            }
            // Boxed, so that what reading takes is given back while nothing happens.
            match Box::pin(self.read()).await {
                Ok(()) => {
                    self.failures = 0;
                    if self.waiting.is_empty() && self.end.is_none() {
                        self.rest().await;
                        self.wait().await;
                    } else {
                        self.early = 0;
                    }
                }
                Err(error) if error.code() == Code::Unavailable && self.failures < PATIENCE => {
                    self.failures += 1;
                    tokio::time::sleep(PAUSE).await;
                }
                Err(error) => self.end = Some(error),
            }
        }
    }

    /// Reads what comes next in the log, for somebody who may still see it.
    async fn read(&mut self) -> Result<()> {
        let user = self.user.subject.id.0;
        // How the user stands is read first: events that come in between are read, and closed histories do not grow.
        let stands = self.request.load.one(HistoryStateOf(user)).await?.ok_or_else(unknown)?;
        if stands.erased {
            return Err(unknown());
        }
        self.newest = stands.newest;
        let caller = self.session.caller()?;
        let end = if stands.merged {
            let survivor = users::service::survivor(&self.request, UserWith::Id(user)).await?.ok_or_else(unknown)?;
            // Whose credential it is may have been looked up before the merger, and not since.
            policy::see_everything(&caller, &self.user.subject)
                .or_else(|_| policy::see_everything(&caller, &survivor.subject))?;
            Some(users::service::merged(&survivor.subject.ulid))
        } else {
            policy::see_everything(&caller, &self.user.subject)?;
            None
        };
        let behind = EventsBehind { user, after: self.position };
        match self.request.load.one(behind).await? {
            Some(events) => {
                self.position = events.last().map_or(self.position, |event| event.seq);
                self.waiting.extend(events.iter().cloned());
            }
            None => self.end = end,
        }
        Ok(())
    }

    /// Pauses when there is news that cannot be read yet. Not the first time: it may have come just now.
    async fn rest(&mut self) {
        if !self.following.is_beyond(self.position.max(self.newest)) {
            self.early = 0;
        } else if self.early == 0 {
            self.early = 1;
        } else {
            tokio::time::sleep(EARLY).await;
        }
    }

    /// Waits until there may be something to read, or somebody else to read it.
    async fn wait(&mut self) {
        tokio::select! {
            () = self.following.beyond(self.position.max(self.newest)) => {}
            () = self.session.changed() => {}
        }
    }
}
