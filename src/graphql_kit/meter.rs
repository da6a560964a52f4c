//! How much a request has made of its answer, and how long it has worked without a break.
//!
//! The code that makes a part of an answer adds its bytes here. A request whose answer grows too long is stopped: every
//! task that would add more waits for ever, so the poll ends, and [`Meter::watch`] drops the work. Work that has gone
//! on for long is interrupted, so that others get their turn and a time-out can end it.
//!
//! Work is measured by what is made and not by a clock, so that a request does the same under every load of the server.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use waymark_kernel::error::Error;

/// After how much work others get a turn: bytes of the answer, and [`ELEMENT`] for each element of a list. A few
/// milliseconds.
const TURN: u64 = 64 * 1024;
/// What an element of a list is worth, however little there is to say about it.
const ELEMENT: u64 = 64;
/// How much may be begun and not done at a time, in fields. More of a list is begun when something is done.
const MOST_OPEN: u64 = 20_000;

/// The answer would be longer than it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TooLong {
    /// How many bytes it may have.
    pub most: u64,
    /// Under which name of the operation it got too long, where that is known.
    pub root: Option<String>,
}

impl TooLong {
    /// The refusal of such an answer.
    pub fn into_error(self) -> Error {
        Error::limit(format!("the answer would be longer than {} bytes; ask for less, or for smaller pages", self.most))
    }
}

/// How much a request has made of its answer.
///
/// A request is polled by one task at a time, so nothing here is ever waited for.
#[derive(Debug)]
pub struct Meter {
    most: AtomicU64,
    bytes: AtomicU64,
    /// Work since the request was polled.
    work: AtomicU64,
    /// Fields that are begun and not done.
    open: AtomicU64,
    over: AtomicBool,
    root: OnceLock<String>,
}

impl Default for Meter {
    /// Without a limit.
    fn default() -> Self {
        Self {
            most: AtomicU64::new(u64::MAX),
            bytes: AtomicU64::new(0),
            work: AtomicU64::new(0),
            open: AtomicU64::new(0),
            over: AtomicBool::new(false),
            root: OnceLock::new(),
        }
    }
}

impl Meter {
    /// Sets how many bytes the answer may have.
    pub fn limit(&self, most: u64) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Begins another answer of the same request, such as the one to the next event.
    pub(super) fn restart(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }

    /// Bytes that were made of the answer.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Adds bytes that were made.
    pub fn add(&self, bytes: usize) {
        let bytes = bytes as u64;
        raise(&self.work, bytes);
        if raise(&self.bytes, bytes) > self.most.load(Ordering::Relaxed) {
            self.over.store(true, Ordering::Relaxed);
        }
    }

    /// Adds an element of a list, whose bytes are added by themselves.
    pub fn add_element(&self) {
        raise(&self.work, ELEMENT);
    }

    /// Sets the count back to `bytes`, because what was added since is made anew.
    pub fn rewind(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Whether the answer is too long.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// Says under which name of the operation it got too long.
    pub fn blame(&self, root: impl FnOnce() -> Option<String>) {
        if self.root.get().is_none()
            && let Some(root) = root()
        {
            // The first root is kept.
            let _ = self.root.set(root);
        }
    }

    /// Whether it is time to let others have a turn.
    pub fn is_due(&self) -> bool {
        self.work.load(Ordering::Relaxed) >= TURN
    }

    /// Whether more may be begun.
    pub fn has_room(&self) -> bool {
        self.open.load(Ordering::Relaxed) < MOST_OPEN
    }

    /// Counts `fields` as begun for as long as the returned value lives.
    pub fn open(&self, fields: usize) -> Open<'_> {
        let fields = fields as u64;
        raise(&self.open, fields);
        Open { meter: self, fields }
    }

    /// Gives others a turn when that is due. For an answer that is too long already, nothing more happens.
    pub async fn pause(&self) {
        if self.is_over() {
            pending::<()>().await;
        }
        if self.is_due() {
            let mut had = false;
            poll_fn(|context| self.turn(context, &mut had)).await;
        }
    }

    fn turn(&self, context: &mut Context<'_>, had: &mut bool) -> Poll<()> {
        if self.is_over() {
            return Poll::Pending;
        }
        if *had && !self.is_due() {
            return Poll::Ready(());
        }
        *had = true;
        context.waker().wake_by_ref();
        Poll::Pending
    }

    /// Does the work of the request as long as its answer is not too long.
    ///
    /// # Errors
    /// [`TooLong`] when it is; the work was given up then, wherever it stood.
    pub async fn watch<F: Future>(&self, work: F) -> Result<F::Output, TooLong> {
        let mut work = pin!(work);
        poll_fn(|context| {
            self.work.store(0, Ordering::Relaxed);
            let polled = work.as_mut().poll(context);
            if self.is_over() {
                return Poll::Ready(Err(self.too_long()));
            }
            polled.map(Ok)
        })
        .await
    }

    /// The refusal of an answer that is too long.
    pub fn too_long(&self) -> TooLong {
        TooLong { most: self.most.load(Ordering::Relaxed), root: self.root.get().cloned() }
    }
}

/// Only the task that polls the request adds, so nothing is lost between the two steps.
fn raise(number: &AtomicU64, by: u64) -> u64 {
    let sum = number.load(Ordering::Relaxed).saturating_add(by);
    number.store(sum, Ordering::Relaxed);
    sum
}

/// Something that was begun, for as long as it is kept.
#[derive(Debug)]
pub struct Open<'a> {
    meter: &'a Meter,
    fields: u64,
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let open = &self.meter.open;
        open.store(open.load(Ordering::Relaxed).saturating_sub(self.fields), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[tokio::test]
    async fn work_goes_on_up_to_the_limit_and_not_beyond_it() {
        let meter = Meter::default();
        meter.limit(10);
        let work = async {
            meter.add(10);
            meter.pause().await;
            1
        };
        assert_eq!(meter.watch(work).await, Ok(1));
        let after = AtomicU32::new(0);
        let work = async {
            meter.add(1);
            meter.pause().await;
            after.store(1, Ordering::Relaxed);
        };
        assert_eq!(meter.watch(work).await, Err(TooLong { most: 10, root: None }));
        assert_eq!(after.load(Ordering::Relaxed), 0, "nothing is made for an answer that is not sent");
    }

    #[tokio::test]
    async fn what_is_too_long_when_it_is_done_is_too_long() {
        let meter = Meter::default();
        meter.limit(10);
        meter.blame(|| Some("a".to_owned()));
        meter.blame(|| Some("b".to_owned()));
        assert_eq!(meter.watch(async { meter.add(11) }).await, Err(TooLong { most: 10, root: Some("a".to_owned()) }));
    }

    #[tokio::test(flavor = "current_thread")]
    async fn long_work_lets_others_have_a_turn() {
        let meter = Arc::new(Meter::default());
        let turns = Arc::new(AtomicU32::new(0));
        let others = Arc::clone(&turns);
        let other = tokio::spawn(async move {
            loop {
                others.fetch_add(1, Ordering::Relaxed);
                tokio::task::yield_now().await;
            }
        });
        let work = async {
            for _ in 0..10 {
                meter.add(usize::try_from(TURN).unwrap());
                meter.pause().await;
            }
        };
        meter.watch(work).await.unwrap();
        other.abort();
        assert!(turns.load(Ordering::Relaxed) >= 9, "{turns:?}");
    }

    #[test]
    fn what_is_done_makes_room() {
        let meter = Meter::default();
        let open = meter.open(usize::try_from(MOST_OPEN).unwrap());
        assert!(!meter.has_room());
        drop(open);
        assert!(meter.has_room());
    }
}
