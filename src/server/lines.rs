//! The connections of a server: how many there may be, and which are closed because nothing comes of them.
//!
//! A `Line` is what is known of one connection: how far it has come, and since when. The tasks that move its bytes,
//! answer its requests or begin a WebSocket report it here; one task checks all lines at intervals and closes those
//! that have taken too long. A line is closed by its reader, which is woken for that; so no connection has a timer of
//! its own.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::task::AtomicWaker;

use waymark_auth::rate::network;
use waymark_kernel::config::Config;
use waymark_kernel::metrics::Metrics;

/// How often all lines are looked at.
const EVERY: Duration = Duration::from_millis(500);
/// How long the other end may take an answer for before it counts as silent.
pub(super) const LONGEST_ANSWER: Duration = Duration::from_secs(300);
/// How long the head of a request may take when there is no room for others.
const HURRY: Duration = Duration::from_secs(1);
/// One connection in this many is closed at once to make room, so that not every new connection has to look at all
/// lines.
const AT_ONCE: usize = 64;
/// How many connections that made room may not be closed yet, beyond those that there may be: each is closed by its own
/// task, which has to have its turn first.
pub(super) const LEAVING: usize = 16;
/// How often tasks are let go first when there are so many.
const TURNS: usize = 32;
/// How often the log says that connections were refused.
const SELDOM: Duration = Duration::from_secs(60);

/// How far a connection has come; kept in one number with the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    /// Nothing was read yet.
    New,
    /// The head of a request is coming.
    Head,
    /// So many requests are being answered, several at a time over HTTP/2.
    Busy,
    /// All requests were answered; there may be another.
    Idle,
    /// It is a WebSocket.
    Socket,
    /// It is to be closed.
    Closed,
}

impl Phase {
    const ALL: [Self; 6] = [Self::New, Self::Head, Self::Busy, Self::Idle, Self::Socket, Self::Closed];
    const BITS: u32 = 3;

    const fn at(self, millis: u64) -> u64 {
        millis << Self::BITS | self as u64
    }

    /// The phase, and the millisecond in which it began; of [`Phase::Busy`], how many requests there are.
    fn of(state: u64) -> (Self, u64) {
        let phase = Self::ALL.get((state & ((1 << Self::BITS) - 1)) as usize);
        (phase.copied().unwrap_or(Self::Closed), state >> Self::BITS)
    }
}

/// One connection.
pub(super) struct Line {
    number: u64,
    address: IpAddr,
    began: Instant,
    state: AtomicU64,
    /// When the last answer was there as a whole.
    answered: AtomicU64,
    /// Whether it speaks HTTP/2.
    multiplexed: AtomicBool,
    reader: AtomicWaker,
}

impl Line {
    fn new(number: u64, address: IpAddr, began: Instant) -> Self {
        let (state, answered, multiplexed) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let line = Self { number, address, began, state, answered, multiplexed, reader: AtomicWaker::new() };
        line.state.store(Phase::New.at(line.millis()), Ordering::Relaxed);
        line
    }

    /// The other end.
    pub(super) const fn address(&self) -> IpAddr {
        self.address
    }

    fn millis(&self) -> u64 {
        millis(self.began.elapsed())
    }

    /// Goes on to what `next` says, given the phase and since when.
    fn go(&self, next: impl Fn(Phase, u64) -> Option<u64>) -> bool {
        let change = |state| {
            let (phase, since) = Phase::of(state);
            next(phase, since)
        };
        self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, change).is_ok()
    }

    /// The connection speaks HTTP/2.
    pub(super) fn multiplex(&self) {
        self.multiplexed.store(true, Ordering::Relaxed);
    }

    /// Something was read.
    pub(super) fn read(&self) {
        if matches!(Phase::of(self.state.load(Ordering::Acquire)).0, Phase::New | Phase::Idle) {
            self.go(|phase, since| match phase {
                // A connection on which nothing was said has begun its first head when it began itself.
                Phase::New => Some(Phase::Head.at(since)),
                // Over HTTP/2 it need not be of a head; the next request has as long as silence may last.
                Phase::Idle if !self.multiplexed.load(Ordering::Relaxed) => Some(Phase::Head.at(self.millis())),
                _ => None,
            });
        }
    }

    /// A request has come. False when the connection is about to be closed, and it must not be answered.
    pub(super) fn begin(&self) -> bool {
        self.go(|phase, open| match phase {
            Phase::Closed => None,
            Phase::Busy => Some(Phase::Busy.at(open + 1)),
            _ => Some(Phase::Busy.at(1)),
        })
    }

    /// A request was answered: the answer is there as a whole, and may have still to be sent. Or it was given up.
    pub(super) fn end(&self) {
        let now = self.millis();
        self.answered.store(now, Ordering::Relaxed);
        let left = |open| if open > 1 { Phase::Busy.at(open - 1) } else { Phase::Idle.at(now) };
        self.go(|phase, open| (phase == Phase::Busy).then(|| left(open)));
    }

    /// Something was sent. As long as an answer is being taken, the other end need not ask for anything; but it must
    /// not take for ever.
    pub(super) fn sent(&self) {
        if Phase::of(self.state.load(Ordering::Acquire)).0 == Phase::Idle {
            let now = self.millis();
            if now.saturating_sub(self.answered.load(Ordering::Relaxed)) < millis(LONGEST_ANSWER) {
                self.go(|phase, _| (phase == Phase::Idle).then(|| Phase::Idle.at(now)));
            }
        }
    }

    /// The connection is a WebSocket from now on, and its own task watches its deadlines.
    pub(super) fn upgrade(&self) {
        self.go(|phase, _| (phase != Phase::Closed).then(|| Phase::Socket.at(0)));
    }

    /// Ready once the connection is to be closed; the reader polls this when there is nothing to read.
    pub(super) fn poll_closed(&self, context: &mut Context<'_>) -> Poll<()> {
        self.reader.register(context.waker());
        match Phase::of(self.state.load(Ordering::Acquire)).0 {
            Phase::Closed => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }

    /// Closes a connection on which no request is being answered, if `which` says so, given the phase and since when
    /// that is.
    fn close_if(&self, which: impl Fn(Phase, u64) -> bool) -> bool {
        let quiet = |phase| matches!(phase, Phase::New | Phase::Head | Phase::Idle);
        let closed = self.go(|phase, since| (quiet(phase) && which(phase, since)).then(|| Phase::Closed.at(0)));
        if closed {
            self.reader.wake();
        }
        closed
    }

    /// Closes a connection on which nothing was asked because the server stops. The HTTP layer closes others when they
    /// have been answered, and waits for the first request of such a one however long that takes; over HTTP/2, for the
    /// other end to agree, which may be gone: once nothing was asked on it for so long, it is closed too. Before that,
    /// its last answer may still be on its way.
    pub(super) fn stop(&self, silent: Duration) {
        let multiplexed = self.multiplexed.load(Ordering::Relaxed);
        let is_silent = |since| self.millis().saturating_sub(since) >= millis(silent);
        self.close_if(|phase, since| phase == Phase::New || (multiplexed && phase == Phase::Idle && is_silent(since)));
    }
}

/// Milliseconds, as they fit into a state.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX).min(u64::MAX >> Phase::BITS)
}

/// All connections.
pub struct Lines {
    most: usize,
    most_of_one: usize,
    head: Duration,
    idle: Duration,
    began: Instant,
    open: Mutex<Open>,
    refused: AtomicUsize,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Open {
    next: u64,
    lines: HashMap<u64, Arc<Line>>,
    /// Those that made room and are not closed yet. They are not counted among the lines.
    leaving: usize,
    /// How many requests over HTTP/2 are being answered.
    streams: usize,
    /// How many lines and streams there are of each network.
    origins: HashMap<IpAddr, usize>,
    /// When there was no room to be made.
    in_vain: Option<Instant>,
}

impl Open {
    /// Counts a line no longer that is closed; it may have made room before.
    fn gone(&mut self, line: &Line) {
        if !self.leave(line) {
            self.leaving = self.leaving.saturating_sub(1);
        }
    }

    /// Counts a line no longer. Whether it was counted.
    fn leave(&mut self, line: &Line) -> bool {
        if self.lines.remove(&line.number).is_none() {
            return false;
        }
        self.subtract(network(line.address));
        true
    }

    /// There is one less of this network.
    fn subtract(&mut self, origin: IpAddr) {
        if let Some(count) = self.origins.get_mut(&origin) {
            *count -= 1;
            if *count == 0 {
                self.origins.remove(&origin);
            }
        }
    }

    fn of(&self, origin: IpAddr) -> usize {
        self.origins.get(&origin).copied().unwrap_or_default()
    }
}

/// A connection among all; it is one of them as long as this is kept.
pub(super) struct Entry {
    lines: Arc<Lines>,
    pub(super) line: Arc<Line>,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.lines.open().gone(&self.line);
    }
}

/// A request over HTTP/2. It takes as much as a connection, so that what is true of connections is true of requests:
/// how many there may be, and how many from one address.
pub(super) struct Stream {
    lines: Arc<Lines>,
    origin: IpAddr,
}

impl Drop for Stream {
    fn drop(&mut self) {
        let mut open = self.lines.open();
        open.streams -= 1;
        open.subtract(self.origin);
    }
}

impl Lines {
    /// Room for `most` connections.
    pub fn new(config: &Config, most: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        let limits = &config.limits;
        let most_of_one = match limits.max_connections_per_address {
            // All come from the proxy.
            _ if config.proxies > 0 => most,
            0 => most - most / 4,
            set => set.min(most),
        };
        Arc::new(Self {
            most,
            most_of_one,
            head: Duration::from_secs(limits.header_timeout_seconds),
            idle: Duration::from_secs(limits.idle_timeout_seconds),
            began: Instant::now(),
            open: Mutex::default(),
            refused: AtomicUsize::new(0),
            metrics,
        })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many connections there are.
    pub fn count(&self) -> usize {
        self.open().lines.len()
    }

    /// A place for a connection from `address`; `None` when there is none.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Entry> {
        let origin = network(address);
        let mut open = self.open();
        if self.is_crowded(&open) {
            // Others are about to go.
        } else if open.of(origin) >= self.most_of_one {
            self.make_room(&mut open, Some(origin));
        } else if open.lines.len() >= self.most {
            self.make_room(&mut open, None);
        }
        if open.lines.len() >= self.most || open.of(origin) >= self.most_of_one || self.is_crowded(&open) {
            self.refused.fetch_add(1, Ordering::Relaxed);
            self.metrics.connection_closed("refused");
            return None;
        }
        let number = open.next;
        open.next += 1;
        let line = Arc::new(Line::new(number, address, self.began));
        open.lines.insert(number, Arc::clone(&line));
        *open.origins.entry(origin).or_default() += 1;
        Some(Entry { lines: Arc::clone(self), line })
    }

    /// A place for a request over HTTP/2 from `address`; `None` when there is none. The line on which it came is busy
    /// already, so that it is none of those that make room.
    pub(super) fn enter_stream(self: &Arc<Self>, address: IpAddr) -> Option<Stream> {
        let origin = network(address);
        let mut open = self.open();
        if self.is_crowded(&open) {
            // Others are about to go.
        } else if open.of(origin) >= self.most_of_one {
            self.make_room(&mut open, Some(origin));
        } else if open.lines.len() + open.streams >= self.most {
            self.make_room(&mut open, None);
        }
        if open.lines.len() + open.streams >= self.most || open.of(origin) >= self.most_of_one {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        open.streams += 1;
        *open.origins.entry(origin).or_default() += 1;
        Some(Stream { lines: Arc::clone(self), origin })
    }

    /// Whether those that made room take up what there is besides.
    fn is_crowded(&self, open: &Open) -> bool {
        open.lines.len() + open.leaving >= self.most + LEAVING
    }

    /// Lets those close their connections first that made room, as long as too many have not done so.
    pub(super) async fn let_go(&self) {
        for _ in 0..TURNS {
            if !self.is_crowded(&self.open()) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Closes those on which nothing has been asked for the longest time, of one origin or of all; few of them.
    fn make_room(&self, open: &mut Open, origin: Option<IpAddr>) {
        if open.in_vain.is_some_and(|since| since.elapsed() < EVERY / 5) {
            return;
        }
        let (now, hurry) = (self.now(), millis(HURRY));
        let mut quiet: Vec<(u64, Arc<Line>)> = open
            .lines
            .values()
            .filter(|line| origin.is_none_or(|origin| network(line.address) == origin))
            .filter_map(|line| match Phase::of(line.state.load(Ordering::Acquire)) {
                (Phase::New | Phase::Idle, since) => Some((since, Arc::clone(line))),
                (Phase::Head, since) if now.saturating_sub(since) >= hurry => Some((since, Arc::clone(line))),
                _ => None,
            })
            .collect();
        open.in_vain = quiet.is_empty().then(Instant::now);
        let wanted = quiet.len().min(1 + self.most / AT_ONCE);
        if wanted < quiet.len() {
            quiet.select_nth_unstable_by_key(wanted, |(since, _)| *since);
        }
        for (since, line) in quiet.into_iter().take(wanted) {
            if line.close_if(|_, still| still == since) {
                open.leave(&line);
                open.leaving += 1;
                self.metrics.connection_closed("crowded");
            }
        }
    }

    fn now(&self) -> u64 {
        millis(self.began.elapsed())
    }

    /// Closes what has taken too long.
    fn sweep(&self) {
        let lines: Vec<Arc<Line>> = self.open().lines.values().cloned().collect();
        let now = self.now();
        let over = |since: u64, most: Duration| now.saturating_sub(since) >= millis(most);
        for line in lines {
            if line.close_if(|phase, since| phase != Phase::Idle && over(since, self.head)) {
                self.metrics.connection_closed("slow");
            } else if line.close_if(|phase, since| phase == Phase::Idle && over(since, self.idle)) {
                self.metrics.connection_closed("idle");
            }
        }
    }

    /// Checks the deadlines of all connections, without an end.
    pub(super) async fn look_after(&self) {
        let mut said = Instant::now().checked_sub(SELDOM);
        loop {
            tokio::time::sleep(EVERY).await;
            self.sweep();
            if said.is_none_or(|said| said.elapsed() >= SELDOM) {
                let refused = self.refused.swap(0, Ordering::Relaxed);
                if refused > 0 {
                    said = Some(Instant::now());
                    tracing::warn!(
                        refused,
                        most = self.most,
                        most_of_one_address = self.most_of_one,
                        "there are too many connections; some were refused"
                    );
                }
            }
        }
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Lines({} of {})", self.count(), self.most)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::task::{Wake, Waker};

    use super::*;

    fn lines(settings: &[(&str, &str)], most: usize) -> Arc<Lines> {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let config = Config::from_sources(None, settings).unwrap();
        Lines::new(&config, most, Arc::new(Metrics::new().unwrap()))
    }

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    fn is_closed(line: &Line) -> bool {
        line.poll_closed(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn one_address_takes_three_quarters_and_behind_proxies_all_come_from_one() {
        for (settings, most) in [
            (&[][..], 6),
            (&[("WAYMARK_MAX_CONNECTIONS_PER_ADDRESS", "2")], 2),
            (&[("WAYMARK_MAX_CONNECTIONS_PER_ADDRESS", "2"), ("WAYMARK_PROXIES", "1")], 8),
        ] {
            let lines = lines(settings, 8);
            let entries: Vec<Entry> = std::iter::from_fn(|| {
                lines.enter(address(1)).inspect(|entry| assert!(entry.line.begin(), "it is busy"))
            })
            .collect();
            assert_eq!(entries.len(), most);
            assert_eq!(lines.enter(address(2)).is_some(), most < 8);
            drop(entries);
            assert_eq!((lines.count(), lines.open().origins.len()), (0, 0));
        }
    }

    #[test]
    fn who_has_said_nothing_for_the_longest_time_makes_room() {
        let lines = lines(&[], 4);
        let entries: Vec<Entry> = (1..=4).map(|last| lines.enter(address(last)).unwrap()).collect();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        assert!(entries[1].line.poll_closed(&mut Context::from_waker(&waker)).is_pending());
        let state = |entry: &Entry, phase: Phase, at| entry.line.state.store(phase.at(at), Ordering::SeqCst);
        state(&entries[0], Phase::Busy, 0);
        state(&entries[1], Phase::Idle, 0);
        state(&entries[2], Phase::Idle, lines.now() + 1000);
        entries[3].line.upgrade();
        let fifth = lines.enter(address(5)).unwrap();
        assert!(woken.0.load(Ordering::SeqCst) && is_closed(&entries[1].line));
        assert!(!entries[1].line.begin(), "what comes now is not answered");
        fifth.line.begin();
        let _sixth = lines.enter(address(6)).unwrap();
        assert!(is_closed(&entries[2].line) && !is_closed(&entries[0].line) && !is_closed(&entries[3].line));
        drop(entries);
        assert_eq!(lines.count(), 2, "those that made room are not counted twice");
    }

    #[test]
    fn a_connection_of_many_streams_is_busy_until_the_last_is_answered_and_then_silent_whatever_comes() {
        let lines = lines(&[], 9);
        let entry = lines.enter(address(1)).unwrap();
        let (line, phase) = (&entry.line, || Phase::of(entry.line.state.load(Ordering::SeqCst)).0);
        line.multiplex();
        line.read();
        assert_eq!(phase(), Phase::Head);
        assert!(line.begin() && line.begin());
        line.end();
        assert_eq!(phase(), Phase::Busy);
        line.end();
        line.read();
        assert_eq!(phase(), Phase::Idle);
        line.stop(Duration::from_secs(60));
        assert_eq!(phase(), Phase::Idle, "its last answer may not be out yet");
        line.stop(Duration::ZERO);
        assert!(is_closed(line) && !line.begin());
        line.end();
        assert_eq!(phase(), Phase::Closed);
    }

    #[test]
    fn requests_over_http_2_take_places_of_connections() {
        let lines = lines(&[("WAYMARK_MAX_CONNECTIONS_PER_ADDRESS", "4")], 8);
        let asking = |last| {
            let connection = lines.enter(address(last)).unwrap();
            assert!(connection.line.begin());
            connection
        };
        let connections = [1, 2].map(asking);
        let streams = |last| std::iter::from_fn(|| lines.enter_stream(address(last))).collect::<Vec<_>>();
        let mut one = streams(1);
        assert_eq!((one.len(), streams(2).len()), (3, 3), "its connection is the fourth");
        one.pop();
        let connection = asking(1);
        assert!(lines.enter_stream(address(1)).is_none(), "they share what one address has");
        drop((one, connection, connections));
        let open = lines.open();
        assert_eq!((open.streams, open.origins.len()), (0, 0));
    }

    #[test]
    fn connections_on_which_nothing_is_asked_make_room_for_requests_over_http_2() {
        let lines = lines(&[], 4);
        let entries: Vec<Entry> = (1..=4).map(|last| lines.enter(address(last)).unwrap()).collect();
        let asking = &entries[0].line;
        asking.multiplex();
        assert!(asking.begin());
        let _stream = lines.enter_stream(address(1)).unwrap();
        assert!(!is_closed(asking) && entries[1..].iter().any(|entry| is_closed(&entry.line)));
        for entry in &entries {
            entry.line.begin();
        }
        assert_eq!(std::iter::from_fn(|| lines.enter_stream(address(9))).count(), 0, "all others are busy");
    }

    #[tokio::test]
    async fn connections_that_made_room_and_are_not_closed_yet_are_not_forgotten() {
        let lines = lines(&[("WAYMARK_MAX_CONNECTIONS_PER_ADDRESS", "200")], 200);
        // Nobody has a turn to close anything.
        let mut entries: Vec<Entry> =
            (0..5).flat_map(|_| 1..=200).filter_map(|last| lines.enter(address(last))).collect();
        assert_eq!(entries.len(), 200 + LEAVING, "so many are open at a time");
        lines.let_go().await;
        assert!(lines.enter(address(1)).is_none());
        entries.retain(|entry| !is_closed(&entry.line));
        assert_eq!((lines.count(), lines.open().leaving), (entries.len(), 0));
        assert!(lines.enter(address(1)).is_some());
        drop(entries);
        let open = lines.open();
        assert_eq!((open.lines.len(), open.leaving, open.origins.len()), (0, 0, 0));
    }

    #[test]
    fn a_head_and_silence_have_their_times_and_an_answer_has_not() {
        let lines = lines(&[("WAYMARK_HEADER_TIMEOUT_SECONDS", "10"), ("WAYMARK_IDLE_TIMEOUT_SECONDS", "75")], 9);
        let began = Instant::now().checked_sub(Duration::from_secs(400)).unwrap();
        let lines = Arc::new(Lines { began, ..Arc::try_unwrap(lines).unwrap_or_else(|_| panic!("it is ours alone")) });
        let enter = |phase: Phase, seconds: u64| {
            let entry = lines.enter(address(1)).unwrap();
            entry.line.state.store(phase.at(lines.now() - seconds * 1000), Ordering::SeqCst);
            entry
        };
        let cases = [
            (Phase::New, 5, false),
            (Phase::New, 11, true),
            (Phase::Head, 9, false),
            (Phase::Head, 10, true),
            (Phase::Idle, 74, false),
            (Phase::Idle, 75, true),
        ];
        for (phase, seconds, closed) in cases {
            let entry = enter(phase, seconds);
            lines.sweep();
            assert_eq!(is_closed(&entry.line), closed, "{phase:?} for {seconds} s");
        }
        let busy = enter(Phase::Busy, 99);
        lines.sweep();
        assert!(!is_closed(&busy.line));
        // What is said first belongs to a head that began with the connection; later ones begin when they come.
        let (new, idle) = (enter(Phase::New, 9), enter(Phase::Idle, 60));
        new.line.read();
        idle.line.read();
        lines.sweep();
        assert!(!is_closed(&new.line) && !is_closed(&idle.line));
        assert_eq!(Phase::of(new.line.state.load(Ordering::SeqCst)).1 / 1000, (lines.now() - 9000) / 1000);
        // Who takes an answer slowly is not silent, but not for ever.
        let taking = enter(Phase::Idle, 74);
        taking.line.answered.store(lines.now() - 99_000, Ordering::SeqCst);
        taking.line.sent();
        assert!(Phase::of(taking.line.state.load(Ordering::SeqCst)).1 + 1000 > lines.now());
        let trickling = enter(Phase::Idle, 74);
        trickling.line.answered.store(lines.now() - millis(LONGEST_ANSWER), Ordering::SeqCst);
        trickling.line.sent();
        assert!(Phase::of(trickling.line.state.load(Ordering::SeqCst)).1 + 70_000 < lines.now());
        assert!(idle.line.begin());
        idle.line.end();
        assert_eq!(Phase::of(idle.line.state.load(Ordering::SeqCst)).0, Phase::Idle);
    }
}
