//! Time and identity: the only places that read the system clock or a random source.
//!
//! Everything else receives a [`Clock`] and an [`Ids`], so that a test can fix both and an answer can be
//! reproduced. An instant is a [`Timestamp`]: UTC, in whole milliseconds, which is also what the database stores.

use std::fmt;
use std::sync::Mutex;

use chrono::{DateTime, SecondsFormat, Utc};
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
