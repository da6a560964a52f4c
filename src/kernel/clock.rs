//! Time and identity: the only places that read the system clock or a random source.
//!
//! Everything else receives a [`Clock`] and an [`Ids`], so that a test can fix both and an answer can be
//! reproduced. An instant is a [`Timestamp`]: UTC, in whole milliseconds, which is also what the database stores.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, Utc};
use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use serde::{Deserialize, Serialize};

/// An instant in UTC with millisecond precision, stored as milliseconds since 1970-01-01T00:00:00Z.
///
/// Ranges from the year 0001 to 9999, so that every value has an RFC 3339 form.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The first instant that can be written: 0001-01-01T00:00:00Z.
    pub const MIN: Self = Self(-62_135_596_800_000);
    /// The last instant that can be written: 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The instant `millis` milliseconds after the Unix epoch, clamped to [`Timestamp::MIN`]..=[`Timestamp::MAX`].
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        if millis < Self::MIN.0 {
            Self::MIN
        } else if millis > Self::MAX.0 {
            Self::MAX
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since the Unix epoch; negative before it.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// This instant moved by `millis` milliseconds, clamped to the range.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// This instant moved by `seconds` seconds, clamped to the range.
    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        self.plus_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds from `earlier` to this instant; negative when `earlier` is later.
    #[must_use]
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }

    /// Reads an RFC 3339 date and time with any offset; digits beyond milliseconds are cut off.
    ///
    /// # Errors
    /// Says what an instant looks like, when `text` is none or lies outside the range.
    pub fn parse(text: &str) -> Result<Self, ParseTimestampError> {
        let instant = DateTime::parse_from_rfc3339(text).map_err(|_| ParseTimestampError)?;
        let millis = instant.timestamp_millis();
        if (Self::MIN.0..=Self::MAX.0).contains(&millis) { Ok(Self(millis)) } else { Err(ParseTimestampError) }
    }
}

/// The forms of dates that programs write beside RFC 3339, with and without a time zone.
const ZONED: [&str; 4] =
    ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %z", "%Y-%m-%dT%H:%M%#z", "%a, %d %b %Y %H:%M:%S %z"];
const UNZONED: [&str; 4] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

impl Timestamp {
    /// The instant that `text` probably means, which is no RFC 3339 date and time: another form, a day, or seconds or
    /// milliseconds since 1970. Where it names no time zone, UTC. To be suggested, and not to be taken.
    #[must_use]
    pub fn guess(text: &str) -> Option<Self> {
        let text = text.trim();
        let zoned = ZONED.iter().find_map(|form| DateTime::parse_from_str(text, form).ok());
        let unzoned = || UNZONED.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
        let day = || NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
        let millis = match zoned {
            Some(instant) => instant.timestamp_millis(),
            None => match unzoned().or_else(day) {
                Some(instant) => instant.and_utc().timestamp_millis(),
                None => Self::counted(text)?,
            },
        };
        (Self::MIN.0..=Self::MAX.0).contains(&millis).then_some(Self(millis))
    }

    /// Milliseconds since 1970 of a number that counts them or seconds; from the year 5138 on seconds are milliseconds.
    fn counted(text: &str) -> Option<i64> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let count: i64 = whole.parse().ok().filter(|_| part.bytes().all(|digit| digit.is_ascii_digit()))?;
        if count.abs() < 100_000_000_000 { count.checked_mul(1000) } else { Some(count) }
    }
}

/// RFC 3339 in UTC with exactly three decimals: `2026-03-15T14:30:00.000Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        out.write_str(&instant.to_rfc3339_opts(SecondsFormat::Millis, true))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// The text is not an RFC 3339 date and time between the years 1 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseTimestampError;

impl fmt::Display for ParseTimestampError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("expected an RFC 3339 date and time such as 2026-03-15T14:30:00Z")
    }
}

impl std::error::Error for ParseTimestampError {}

/// Where `now` comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// The system's clock.
    #[default]
    System,
    /// The system's clock moved by this many milliseconds.
    Offset(i64),
    /// Always this instant.
    Fixed(Timestamp),
}

impl Clock {
    /// The present instant. Read once per request, so that one answer has one `now`.
    #[must_use]
    pub fn now(self) -> Timestamp {
        match self {
            Self::System => system_now(),
            Self::Offset(millis) => system_now().plus_millis(millis),
            Self::Fixed(instant) => instant,
        }
    }
}

/// Tells the time in one process. Cheap to clone; clones tell the same time.
///
/// Several servers on one database must agree on what is over and what is still to come, even when their own clocks
/// differ. So the database's clock decides where there is one: it is asked at intervals by the poll of the catalogue,
/// and between two answers the time goes on with the process's monotonic clock, which cannot be set. Until the first
/// answer, and where the database has no clock of its own, it is the system's time. A clock that was set for trying
/// things out is never corrected.
#[derive(Clone)]
pub struct Watch(Arc<Works>);

struct Works {
    clock: Clock,
    /// When the watch was made; what was measured counts from here.
    made: Instant,
    /// The database's clock less the time since then, in microseconds; [`UNKNOWN`] until it was asked.
    ahead: AtomicI64,
    /// What the answers leave open, in the same measure.
    range: Mutex<Option<Range>>,
    /// How far the system's clock is put wrong, in milliseconds, for tests.
    wrong: AtomicI64,
}

/// Between what the database's clock lies, less the time since the watch was made, and when that was known;
/// microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    least: i64,
    most: i64,
    at: i64,
}

const UNKNOWN: i64 = i64::MIN;

/// From when on two clocks are far apart, in milliseconds.
const FAR_APART: u64 = 1000;

/// How far two clocks may drift apart, in microseconds per second: more than any that are fit for use do.
const DRIFT: i64 = 200;

impl Range {
    /// What remains possible when a question sent at `sent` was answered with `told` by `received`. Each answer narrows
    /// it, the quicker ones more; one that contradicts the others tells of a clock that was set, and stands alone.
    fn narrowed(self, sent: i64, told: i64, received: i64) -> Self {
        let new = Self::of(sent, told, received);
        let drift = received.saturating_sub(self.at).max(0) / 1_000_000 * DRIFT + DRIFT;
        let (least, most) = (self.least.saturating_sub(drift), self.most.saturating_add(drift));
        if new.least > most || new.most < least {
            return new;
        }
        Self { least: least.max(new.least), most: most.min(new.most), at: received }
    }

    const fn of(sent: i64, told: i64, received: i64) -> Self {
        Self { least: told.saturating_sub(received), most: told.saturating_sub(sent), at: received }
    }
}

impl Watch {
    /// A watch that goes by `clock`.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        let works = Works {
            clock,
            made: Instant::now(),
            ahead: AtomicI64::new(UNKNOWN),
            range: Mutex::new(None),
            wrong: AtomicI64::new(0),
        };
        Self(Arc::new(works))
    }

    /// The present instant. Read once per request, so that one answer has one `now`. Where the database's clock decides
    /// it is never behind that clock: a stored instant is not in the future for any reader.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self.0.ahead.load(Ordering::Relaxed) {
            UNKNOWN => self.unchecked(),
            ahead => Timestamp::from_millis(self.elapsed().saturating_add(ahead).div_euclid(1000)),
        }
    }

    /// What the process's own clock says.
    #[must_use]
    pub fn unchecked(&self) -> Timestamp {
        match self.0.clock {
            Clock::System => system_now().plus_millis(self.0.wrong.load(Ordering::Relaxed)),
            clock => clock.now(),
        }
    }

    /// Whether it goes by the system's clock, and so by the database's where that has one.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.0.clock == Clock::System
    }

    /// How far the system's clock is ahead of the database's, in milliseconds; negative when it is behind, `None` when
    /// the database was not asked.
    #[must_use]
    pub fn system_ahead_millis(&self) -> Option<i64> {
        let ahead = self.0.ahead.load(Ordering::Relaxed);
        (ahead != UNKNOWN).then(|| self.unchecked().millis_since(self.now()))
    }

    /// [`Watch::system_ahead_millis`] when that is more than a second either way: what the system's clock says should
    /// not be trusted then.
    #[must_use]
    pub fn apart_millis(&self) -> Option<i64> {
        self.system_ahead_millis().filter(|millis| millis.unsigned_abs() > FAR_APART)
    }

    /// A point in time to give to [`Watch::heard`] later.
    pub fn mark(&self) -> i64 {
        self.elapsed()
    }

    /// Notes what the database's clock said, in microseconds since 1970, when it was asked after the mark `sent`.
    /// Nothing where a clock was set for trying things out.
    pub fn heard(&self, sent: i64, told: i64) {
        if !self.is_system() {
            return;
        }
        let received = self.elapsed();
        let mut range = self.0.range.lock().unwrap_or_else(PoisonError::into_inner);
        let now = range.map_or_else(|| Range::of(sent, told, received), |range| range.narrowed(sent, told, received));
        *range = Some(now);
        self.0.ahead.store(now.most, Ordering::Relaxed);
    }

    /// Shifts the system's clock by `millis` milliseconds, as far as this watch reads it. For tests.
    pub fn put_system_wrong(&self, millis: i64) {
        self.0.wrong.store(millis, Ordering::Relaxed);
    }

    /// Microseconds since the watch was made.
    fn elapsed(&self) -> i64 {
        i64::try_from(self.0.made.elapsed().as_micros()).unwrap_or(i64::MAX)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Watch({:?})", self.0.clock)
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system clock")]
fn system_now() -> Timestamp {
    Timestamp::from_millis(Utc::now().timestamp_millis())
}

/// Where new identifiers and secrets come from: the operating system's random source, or a fixed seed.
#[derive(Debug)]
pub struct Ids(Source);

#[derive(Debug)]
enum Source {
    System,
    Seeded(Mutex<SmallRng>),
}

impl Ids {
    /// Unpredictable identifiers, fit for secrets.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// The same identifiers in the same order for the same `seed`; for tests and demo data, never for secrets.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self(Source::Seeded(Mutex::new(SmallRng::seed_from_u64(seed))))
    }

    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            Source::System => system_random(&mut bytes),
            Source::Seeded(rng) => rng.lock().unwrap_or_else(std::sync::PoisonError::into_inner).fill(&mut bytes),
        }
        bytes
    }

    /// A ULID for something made at `now`: 26 characters that sort by creation.
    #[must_use]
    pub fn ulid(&self, now: Timestamp) -> String {
        let random = u128::from_be_bytes(self.bytes());
        ulid::Ulid::from_parts(u64::try_from(now.millis()).unwrap_or_default(), random).to_string()
    }

    /// A 24-digit lower-case hexadecimal id for something made at `now`: four bytes of seconds, eight random ones.
    #[must_use]
    pub fn hex24(&self, now: Timestamp) -> String {
        let seconds = u32::try_from(now.millis().max(0) / 1000).unwrap_or(u32::MAX);
        format!("{seconds:08x}{:016x}", u64::from_be_bytes(self.bytes()))
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the system's random source")]
fn system_random(bytes: &mut [u8]) {
    rand::rng().fill(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_written_with_three_decimals_and_read_back() {
        let instant = Timestamp::parse("2026-03-15T16:30:00.1239+02:00").unwrap();
        assert_eq!(instant.to_string(), "2026-03-15T14:30:00.123Z");
        assert_eq!(Timestamp::parse(&instant.to_string()), Ok(instant));
    }

    #[test]
    fn what_is_no_instant_is_refused() {
        for text in ["", "2026-03-15", "2026-03-15T14:30:00", "yesterday", "2026-02-30T00:00:00Z"] {
            assert_eq!(Timestamp::parse(text), Err(ParseTimestampError), "{text}");
        }
    }

    #[test]
    fn moving_an_instant_stays_within_what_can_be_written() {
        assert_eq!(Timestamp::MAX.plus_seconds(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MIN.plus_millis(i64::MIN), Timestamp::MIN);
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::MIN.to_string(), "0001-01-01T00:00:00.000Z");
    }

    #[test]
    fn the_database_decides_and_the_system_clock_may_be_wrong_by_any_amount() {
        let watch = Watch::new(Clock::System);
        assert_eq!(watch.system_ahead_millis(), None);
        let real = watch.now();
        watch.put_system_wrong(-4_200_000);
        assert!(watch.now() < real, "before the database was asked there is nothing better");
        let mark = watch.mark();
        watch.heard(mark, real.millis() * 1000);
        assert!((0..1000).contains(&watch.now().millis_since(real)));
        assert!(watch.system_ahead_millis().is_some_and(|ahead| (-4_200_100..-4_198_000).contains(&ahead)));
    }

    #[test]
    fn a_clock_that_was_set_is_not_corrected() {
        let watch = Watch::new(Clock::Fixed(Timestamp::from_millis(7)));
        watch.heard(watch.mark(), 1_000_000);
        assert_eq!((watch.now().millis(), watch.system_ahead_millis()), (7, None));
    }

    #[test]
    fn quick_answers_narrow_the_range_and_a_clock_that_was_set_begins_anew() {
        let slow = Range::of(0, 1_000_000, 40_000);
        assert_eq!(slow, Range { least: 960_000, most: 1_000_000, at: 40_000 });
        let quick = slow.narrowed(100_000, 1_090_000, 101_000);
        assert_eq!(quick, Range { least: 989_000, most: 990_000, at: 101_000 });
        let slow_again = quick.narrowed(200_000, 1_200_000, 260_000);
        assert_eq!(slow_again, Range { least: 988_800, most: 990_200, at: 260_000 }, "as much as it may have drifted");
        assert_eq!(slow_again.narrowed(300_000, 300_000, 301_000), Range { least: -1000, most: 0, at: 301_000 });
    }

    #[test]
    fn the_same_seed_gives_the_same_ids() {
        let now = Timestamp::from_millis(1_700_000_000_000);
        let (one, two) = (Ids::seeded(7), Ids::seeded(7));
        assert_eq!(one.ulid(now), two.ulid(now));
        assert_eq!(one.hex24(now), two.hex24(now));
        assert_ne!(one.hex24(now), Ids::seeded(8).hex24(now));
        assert_eq!(one.ulid(now).len(), 26);
        assert_eq!(one.hex24(now).len(), 24);
    }
}
