//! Who waits for events of which users, and how they are woken.
//!
//! The notifier carries no events. It knows the number of the newest event of each followed user, and wakes the
//! followers who are behind it; what happened is then read from the log, which has it in order and without gaps. So
//! nothing is kept per subscriber, and a hint that gets lost or comes twice does no harm.
//!
//! Numbers come from three sides. A write of this process tells its own at once. On PostgreSQL, processes tell each
//! other by `NOTIFY`: not inside the writing transaction, whose commit would then wait for one lock of the whole
//! server, but right behind it, for all writes of the last moments by one statement. And since a process may be killed
//! between the two, and other programs write too, the numbers of all followed users are read at intervals, by one
//! statement; that is also how the processes on one SQLite file learn of each other.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::{Event, repo};
use waymark_db::notices;
use waymark_db::notices::Notices;
use waymark_db::{Asker, Db, Kind};
use waymark_kernel::error::Result;

const CHANNEL: &str = "waymark_events";
/// A notice that says: look yourself, for there is too much to tell.
const EVERYBODY: &str = "*";
/// The shortest time from one notice to the next; what is written meanwhile goes into one.
const PAUSE: Duration = Duration::from_millis(20);
/// How often the numbers are read where notices come, and where none come.
const SELDOM: Duration = Duration::from_secs(1);
const OFTEN: Duration = Duration::from_millis(200);
/// By how much longer that is per followed user.
const PER_USER: Duration = Duration::from_micros(100);

/// Wakes those who wait for events.
pub struct Notifier {
    db: Db,
    /// The number of the newest known event of each followed user.
    newest: Mutex<HashMap<i64, watch::Sender<i64>>>,
    /// Wakes the task that listens when the first one begins to wait.
    first: Arc<Notify>,
    /// What other processes have still to be told: the newest number per user.
    untold: Mutex<HashMap<i64, i64>>,
    /// Wakes the task that tells them.
    more: Arc<Notify>,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Notifier({} users)", self.newest().len())
    }
}

/// A follower, who waits for events of one user.
#[derive(Debug)]
pub struct Following {
    user: i64,
    newest: watch::Receiver<i64>,
    notifier: Arc<Notifier>,
}

impl Following {
    /// Whether the user's history is known to go beyond the event of this number.
    pub fn is_beyond(&self, number: i64) -> bool {
        *self.newest.borrow() > number
    }

    /// Waits until the user's history is known to go beyond the event of this number. May be given up at any time.
    pub async fn beyond(&mut self, number: i64) {
        // The sender lives as long as there is a follower.
        let _ = self.newest.wait_for(|newest| *newest > number).await;
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let mut newest = self.notifier.newest();
        // No task begins to follow while the lock is held, so the last follower stays the last.
        if newest.get(&self.user).is_some_and(|sender| sender.receiver_count() <= 1) {
            newest.remove(&self.user);
        }
    }
}

impl Notifier {
    /// Starts the tasks that listen and tell, which end with the notifier. Must be called inside a Tokio runtime.
    pub fn start(db: Db) -> Arc<Self> {
        let postgres = db.kind() == Kind::Postgres;
        let notifier = Arc::new(Self {
            db,
            newest: Mutex::default(),
            first: Arc::default(),
            untold: Mutex::default(),
            more: Arc::default(),
        });
        tokio::spawn(Asker::Background.run(listen(Arc::downgrade(&notifier), Arc::clone(&notifier.first))));
        if postgres {
            tokio::spawn(Asker::Background.run(tell_others(Arc::downgrade(&notifier), Arc::clone(&notifier.more))));
        }
        notifier
    }

    fn newest(&self) -> MutexGuard<'_, HashMap<i64, watch::Sender<i64>>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn untold(&self) -> MutexGuard<'_, HashMap<i64, i64>> {
        self.untold.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to wait for events of `user`. What was committed before is not waited for: read the log after this.
    pub fn follow(self: &Arc<Self>, user: i64) -> Following {
        let receiver = {
            let mut newest = self.newest();
            if newest.is_empty() {
                self.first.notify_one();
            }
            newest.entry(user).or_insert_with(|| watch::Sender::new(0)).subscribe()
        };
        Following { user, newest: receiver, notifier: Arc::clone(self) }
    }

    /// Returns how many users are followed.
    fn followed(&self) -> usize {
        self.newest().len()
    }

    /// Tells of events that this process has committed.
    pub fn tell(&self, events: &[(i64, Event)]) {
        if events.is_empty() {
            return;
        }
        self.wake(events.iter().map(|(user, event)| (*user, event.seq)));
        if self.db.kind() == Kind::Postgres {
            let mut untold = self.untold();
            for (user, event) in events {
                let number = untold.entry(*user).or_default();
                *number = event.seq.max(*number);
            }
            drop(untold);
            self.more.notify_one();
        }
    }

    /// Wakes those who wait for an event of such a number, or of an earlier one.
    fn wake(&self, numbers: impl Iterator<Item = (i64, i64)>) {
        let newest = self.newest();
        if newest.is_empty() {
            return;
        }
        for (user, number) in numbers {
            if let Some(sender) = newest.get(&user) {
                sender.send_if_modified(|known| {
                    let news = number > *known;
                    *known = number.max(*known);
                    news
                });
            }
        }
    }

    /// Reads the numbers of all followed users.
    async fn look(&self) -> Result<()> {
        let users: Vec<i64> = self.newest().keys().copied().collect();
        if users.is_empty() {
            return Ok(());
        }
        let numbers = repo::last_numbers(self.db.reads(), users).await?;
        self.wake(numbers.into_iter());
        Ok(())
    }
}

/// Tells other processes what this one has written.
async fn tell_others(notifier: Weak<Notifier>, more: Arc<Notify>) {
    loop {
        // Without this the task would wait for ever once the notifier is gone.
        let _ = tokio::time::timeout(Duration::from_secs(60), more.notified()).await;
        let Some(notifier) = notifier.upgrade() else { return };
        let untold = std::mem::take(&mut *notifier.untold());
        if untold.is_empty() {
            continue;
        }
        if let Err(error) = notifier.db.notify(CHANNEL, &written(&untold)).await {
            tracing::warn!(error = error.chain(), "other servers were not told of events; they look by themselves");
        }
        drop(notifier);
        tokio::time::sleep(PAUSE).await;
    }
}

/// A notice: `user:number` for each user, with commas between.
fn written(numbers: &HashMap<i64, i64>) -> String {
    let mut text = String::new();
    for (user, number) in numbers {
        let comma = if text.is_empty() { "" } else { "," };
        // Writing to a string does not fail.
        let _ = write!(text, "{comma}{user}:{number}");
        if text.len() > notices::LONGEST {
            return EVERYBODY.to_owned();
        }
    }
    text
}

/// What a notice says; `None` when it says to look oneself.
fn read(text: &str) -> Option<Vec<(i64, i64)>> {
    let number = |pair: &str| {
        let (user, number) = pair.split_once(':')?;
        Some((user.parse().ok()?, number.parse().ok()?))
    };
    text.split(',').map(number).collect()
}

/// Listens to other processes and looks at the numbers, as long as there is a follower.
async fn listen(weak: Weak<Notifier>, first: Arc<Notify>) {
    let mut notices: Option<Notices> = None;
    loop {
        let Some(notifier) = weak.upgrade() else { return };
        let followed = notifier.followed();
        if followed == 0 && !notifier.db.has_replicas() {
            // Notifications that are not read would pile up in the database.
            notices = None;
            drop(notifier);
            let _ = tokio::time::timeout(Duration::from_secs(60), first.notified()).await;
            continue;
        }
        if !notifier.db.reach().0 {
            // The log has it already.
            notices = None;
            drop(notifier);
            tokio::time::sleep(OFTEN).await;
            continue;
        }
        if notices.is_none() {
            notices = notifier.db.listen(CHANNEL).await.unwrap_or_else(|error| {
                tracing::warn!(error = error.chain(), "cannot listen to other servers; looking more often");
                None
            });
        }
        if let Err(error) = notifier.look().await {
            tracing::warn!(error = error.chain(), "new events could not be looked for; trying again");
        }
        drop(notifier);
        let often = if notices.is_some() { SELDOM } else { OFTEN };
        let pause = often + PER_USER * u32::try_from(followed).unwrap_or(u32::MAX);
        match &mut notices {
            Some(listening) => {
                if tokio::time::timeout(pause, hear(&weak, listening)).await == Ok(Heard::Broken) {
                    notices = None;
                    tokio::time::sleep(OFTEN).await;
                }
            }
            None => tokio::time::sleep(pause).await,
        }
    }
}

/// Why listening ended.
#[derive(PartialEq, Eq)]
enum Heard {
    /// It is time to look oneself.
    Look,
    /// The connection is of no more use.
    Broken,
}

/// Wakes by what others tell. May be given up at any time: a notice that is lost is a hint that is lost.
async fn hear(notifier: &Weak<Notifier>, notices: &mut Notices) -> Heard {
    loop {
        let text = match notices.next().await {
            Ok(text) => text,
            Err(error) => {
                tracing::warn!(error = error.chain(), "the connection to other servers was lost");
                return Heard::Broken;
            }
        };
        let Some(notifier) = notifier.upgrade() else { return Heard::Look };
        let numbers = read(&text);
        if notifier.db.has_replicas() {
            let users = numbers.as_ref().map(|numbers| numbers.iter().map(|(user, _)| *user).collect::<Vec<_>>());
            notifier.db.wrote(None, users.as_deref());
        }
        let Some(numbers) = numbers else { return Heard::Look };
        notifier.wake(numbers.into_iter());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notice_is_read_as_it_was_written_and_says_less_when_it_grows_too_long() {
        let some = HashMap::from([(1, 5), (i64::MAX, i64::MAX), (7, 1)]);
        assert_eq!(read(&written(&some)).unwrap().into_iter().collect::<HashMap<_, _>>(), some);
        let many: HashMap<i64, i64> = (0..10_000).map(|user| (user, 1)).collect();
        assert_eq!(written(&many), EVERYBODY);
        for text in [EVERYBODY, "", "1", "1:", "a:1", "1:1,"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
