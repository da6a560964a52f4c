//! Demo data: a believable catalogue and people who have made progress, the same in every run.
//!
//! Everything is derived from the day on which it is made and the number of a user, so that the same day gives the same
//! records, and filling can go on where it stopped. Records are those of an export, histories included, and an import
//! takes them: users in chunks, each in one transaction. [`load`] is another matter. Only databases that are empty or
//! hold this data are filled.

mod collections;
mod dice;
mod games;
mod learning;
mod ledger;
pub mod load;
mod page;
mod people;
mod seasons;
mod world;

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

pub use people::DemoPerson;
use waymark_db::{Db, Kind, catalogue};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_kinds::seasons::Seasons;
use waymark_kinds::users::accounts;
use waymark_transfer::Restoring;
use waymark_transfer::records::{At, Record};

/// How much data to make, and for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// To look at: 200 users unless told otherwise.
    #[default]
    Demo,
    /// To try it out with many: 2,000 users unless told otherwise.
    Team,
    /// To measure with, see [`load`]: 100,000 users unless told otherwise.
    Load,
}

impl Scale {
    /// All scales.
    pub const ALL: [Self; 3] = [Self::Demo, Self::Team, Self::Load];

    /// The name as it is written on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Team => "team",
            Self::Load => "load",
        }
    }

    /// How many users there are unless told otherwise.
    #[must_use]
    pub const fn default_users(self) -> u32 {
        match self {
            Self::Demo => 200,
            Self::Team => 2000,
            Self::Load => 100_000,
        }
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl FromStr for Scale {
    type Err = ParseScaleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|scale| scale.as_str() == text).ok_or(ParseScaleError)
    }
}

/// The text is not the name of a scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseScaleError;

impl fmt::Display for ParseScaleError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a scale is one of demo, team, load")
    }
}

impl std::error::Error for ParseScaleError {}

/// What to fill a database with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Options {
    /// How many users there are to be in the end, at most 1,000,000; `None`: as many as the scale says.
    pub users: Option<u32>,
    /// How much data to make.
    pub scale: Scale,
}

/// What filling came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// How many users there are now.
    pub users: u64,
    /// How many of them were added; 0: the data was there already, and nothing was changed.
    pub added_users: u64,
    /// Whether the catalogue was added.
    pub added_catalogue: bool,
    /// The day from which the data is seen: everything it tells of happened before.
    pub day: Timestamp,
}

impl Report {
    /// Whether anything was added.
    #[must_use]
    pub const fn changed(&self) -> bool {
        self.added_catalogue || self.added_users > 0
    }
}

/// The most users that can be asked for.
const MAX_USERS: u32 = 1_000_000;

/// The people of the demo data worth looking at, the most interesting first.
#[must_use]
pub const fn people() -> &'static [DemoPerson] {
    &people::PEOPLE
}

/// Whether there are neither users nor a catalogue.
///
/// # Errors
/// When the database cannot be read.
pub async fn is_empty(db: &Db) -> Result<bool> {
    Ok(Found::read(db).await?.is_empty)
}

/// Fills `db` with demo data as seen from the day of `now`; data that is there already keeps the day it was made on.
/// Calls `progress` with how many users are done and how many there are to be.
///
/// # Errors
/// [`Code::BadUserInput`](waymark_kernel::error::Code::BadUserInput) when the database holds data that is not this
/// data, or more users are asked for than can be made; otherwise when the database fails. What was done by then stays,
/// and a further call goes on from there.
pub async fn fill(db: &Db, options: Options, now: Timestamp, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Report> {
    let wanted = options.users.unwrap_or(options.scale.default_users());
    if wanted > MAX_USERS {
        return Err(Error::bad_input(format!("{wanted} users were asked for, and at most {MAX_USERS} can be made")));
    }
    let wanted = i64::from(wanted);

    let found = Found::read(db).await?;
    let day = match &found.first_season {
        Some((key, created_at)) if key == first_season(options.scale) => days(*created_at, seasons::CREATED_DAYS_AGO),
        None if found.is_empty => start_of_day(now),
        _ => return Err(foreign(options.scale)),
    };
    let mut data = Data::new(options.scale, day, wanted);
    let mut done = data.users_in(db, found.users, wanted).await?;
    let mut report = Report { users: unsigned(done.max(found.users)), added_users: 0, added_catalogue: false, day };
    progress(unsigned(done.min(wanted)), unsigned(wanted));

    // Some things have dates of their own, which a clock of one's own may be behind.
    let mut restoring = Restoring::new(db, now.max(day).max(learning::KNOWN_COMPLETION))?;
    if found.first_season.is_none() {
        restoring.take(data.catalogue()).await?;
        report.added_catalogue = true;
    }
    while done < wanted {
        let until = wanted.min(done + options.scale.chunk());
        data.store(db, &mut restoring, done + 1..=until).await?;
        report.added_users += unsigned(until - done);
        report.users = unsigned(until);
        done = until;
        progress(unsigned(done), unsigned(wanted));
    }
    // Lets PostgreSQL know what it holds now, so that the first queries are planned well and answered from indexes
    // alone.
    if report.changed() && db.kind() == Kind::Postgres {
        db.run_long("VACUUM (ANALYZE)").await?;
    }
    Ok(report)
}

/// What a database holds, as far as demo data is recognized by it.
struct Found {
    /// Key and creation of the season that was written down first.
    first_season: Option<(String, Timestamp)>,
    /// Whether there are neither users nor a catalogue.
    is_empty: bool,
    /// How many users there are.
    users: i64,
}

impl Found {
    async fn read(db: &Db) -> Result<Self> {
        let transaction = db.snapshot().await?;
        let users = i64::try_from(accounts::count(&transaction).await?).unwrap_or(i64::MAX);
        let snapshot = catalogue::read_in(&transaction, waymark_kinds::CATALOGUE).await?;
        transaction.commit().await?;
        let seasons = snapshot.part::<Seasons>()?.all();
        let is_empty = users == 0 && waymark_kinds::is_undefined(&snapshot)?;
        let first = seasons.iter().min_by_key(|season| season.id);
        Ok(Self { first_season: first.map(|first| (first.key.clone(), first.created_at)), is_empty, users })
    }
}

impl Scale {
    /// How many users one transaction inserts.
    const fn chunk(self) -> i64 {
        match self {
            Self::Demo | Self::Team => 100,
            Self::Load => 1000,
        }
    }
}

/// The data of a scale.
enum Data {
    People(world::World),
    Load(load::Load),
}

impl Data {
    fn new(scale: Scale, day: Timestamp, users: i64) -> Self {
        match scale {
            Scale::Demo | Scale::Team => Self::People(world::World::new(day, users)),
            Scale::Load => Self::Load(load::Load::new(day)),
        }
    }

    fn catalogue(&self) -> Vec<Record> {
        match self {
            Self::People(world) => world.catalogue(),
            Self::Load(load) => load.catalogue(),
        }
    }

    /// Stores the users of these numbers.
    async fn store(&mut self, db: &Db, restoring: &mut Restoring<'_>, numbers: RangeInclusive<i64>) -> Result<()> {
        match self {
            Self::People(world) => restoring.take(world.users(numbers)).await,
            Self::Load(load) => load.store(db, numbers).await,
        }
    }

    fn ulid(&self, number: i64) -> String {
        match self {
            Self::People(world) => world.ulid(number),
            Self::Load(_) => load::ulid(u32::try_from(number).unwrap_or_default()),
        }
    }

    /// How many users of this data are among the `found` ones, as far as it matters for making `wanted`. Others may
    /// have joined behind them, but then no more are made: they might have what belongs to one of these.
    async fn users_in(&self, db: &Db, found: i64, wanted: i64) -> Result<i64> {
        if found == 0 || wanted == 0 {
            return Ok(0);
        }
        for number in [wanted, found] {
            if number <= found && accounts::is_known(db.writes(), &self.ulid(number)).await? {
                return Ok(number);
            }
        }
        Err(Error::bad_input(
            "the database holds users who are not in the demo data; it cannot be added to, fill an empty database",
        ))
    }
}

const fn first_season(scale: Scale) -> &'static str {
    match scale {
        Scale::Demo | Scale::Team => seasons::FIRST_KEY,
        Scale::Load => load::FIRST_KEY,
    }
}

fn foreign(scale: Scale) -> Error {
    Error::bad_input(format!(
        "the database holds data that is not demo data of scale {scale}; demo data goes into an empty database only"
    ))
}

/// `at` moved by so many days.
const fn days(at: Timestamp, days: i64) -> Timestamp {
    at.plus_seconds(days * 24 * 60 * 60)
}

const fn start_of_day(now: Timestamp) -> Timestamp {
    const DAY_MILLIS: i64 = 24 * 60 * 60 * 1000;
    Timestamp::from_millis(now.millis().div_euclid(DAY_MILLIS) * DAY_MILLIS)
}

/// An instant as it stands in a record.
const fn at(at: Timestamp) -> Option<At> {
    Some(At(at))
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scale_is_read_as_it_is_written() {
        for scale in Scale::ALL {
            assert_eq!(scale.as_str().parse(), Ok(scale));
        }
        assert_eq!("Demo".parse::<Scale>(), Err(ParseScaleError));
    }

    #[test]
    fn the_day_begins_at_midnight() {
        let now = Timestamp::parse("2026-06-01T17:45:12.345Z").unwrap();
        assert_eq!(start_of_day(now).to_string(), "2026-06-01T00:00:00.000Z");
    }
}
