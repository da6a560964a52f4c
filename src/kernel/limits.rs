//! What counts, amounts and dates may be: one range for each kind, by which mutations, REST and imports all check. So a
//! value that one of them accepts is accepted by the others too, and sums of what is stored do not outgrow their
//! columns.

use std::ops::RangeInclusive;

use crate::clock::Timestamp;

/// Whole numbers from a least to a most, both included.
pub type Range = RangeInclusive<i64>;

const DAY: i64 = 24 * 60 * 60;

/// How long a season, a week or a planned pause lasts, in seconds: at most ten years.
pub const SEASON_SECONDS: Range = 1..=LONGEST_SECONDS;
/// The longest time that any of these lasts, in seconds: 3,660 days.
pub const LONGEST_SECONDS: i64 = 3660 * DAY;
/// How long from now a season starts at the most, before or after, in seconds: a hundred years.
const FARTHEST_SECONDS: i64 = 10 * LONGEST_SECONDS;
/// The number of a week: there is one for each second at the most.
pub const WEEK: Range = 1..=LONGEST_SECONDS;
/// The steps of a goal, and how many of them are done.
pub const TOTAL_STEPS: Range = 1..=1_000_000;
/// How many steps of a goal a user has done.
pub const COMPLETED_STEPS: Range = 0..=1_000_000;
/// The reward of a goal, in millionths of a credit: at most a million credits.
pub const REWARD_MICROS: Range = 0..=1_000_000_000_000;
/// What a season or a week has to give away, in millionths: at most a thousand million credits.
pub const BUDGET_MICROS: Range = 0..=1_000_000_000_000_000;
/// The most that a user has at once, in millionths: nine million million credits, which sums of 64 bits hold.
pub const MOST_MICROS: i64 = 9_000_000_000_000 * 1_000_000;
/// What is granted, spent or taken at once, in millionths.
pub const AMOUNT_MICROS: Range = 1..=MOST_MICROS;
/// What is left of a lot, in millionths; no more than was granted.
pub const REMAINING_MICROS: Range = 0..=MOST_MICROS;
/// The numbers of lots, entries of the ledger, events, blocks and instances of a user: whole numbers that every client
/// can hold, with room behind them. Nothing is added behind the last one.
pub const NUMBER: Range = 1..=LAST_NUMBER;
/// The last of these numbers, up to which every client holds whole numbers exactly.
pub const LAST_NUMBER: i64 = (1 << 53) - 1;
/// Where something stands among its like.
pub const POSITION: Range = 0..=1_000_000_000;
/// How long a resource takes, in minutes.
pub const ESTIMATED_MINUTES: Range = 0..=1_000_000;
/// How long a user spent on a resource, in minutes.
pub const SPENT_MINUTES: Range = 0..=i32::MAX as i64;
/// How far a user is with a resource, in percent.
pub const PERCENT: Range = 0..=100;
/// The number of a game.
pub const GAME_NUMBER: Range = 1..=i32::MAX as i64;
/// What an achievement is worth.
pub const POINTS: Range = 0..=1_000_000;
/// What the published achievements of a game are worth together at the most: what a column of 32 bits holds.
pub const MOST_SCORE: i64 = i32::MAX as i64;
/// How many rewards a collection has to give away, and has given away.
pub const STOCK: Range = 0..=1_000_000_000_000;
/// How many of a card are granted or removed at once, and how many a user owns.
pub const CARDS_AT_ONCE: Range = 1..=1_000_000;
/// How many of a card a user owns.
pub const CARDS: Range = 0..=i32::MAX as i64;

/// What each element of what is recorded costs, in GraphQL and REST: 1 for about forty bytes that stay for ever (a row,
/// an event of the history), so that the rate of a user bounds what the disk takes.
pub const COST_OF_RECORDED: u64 = 5;

/// The first instant that is recorded: 1970-01-01T00:00:00Z. An earlier date is a mistake.
pub const EARLIEST: Timestamp = Timestamp::from_millis(0);
/// The last instant that anything is planned for: the end of the year 2999.
pub const LATEST: Timestamp = Timestamp::from_millis(32_503_679_999_999);

/// When something may have happened that is told at `now`.
pub const fn happened(now: Timestamp) -> RangeInclusive<Timestamp> {
    EARLIEST..=now
}

/// When something may be planned for, whether that is past or to come.
pub const fn planned() -> RangeInclusive<Timestamp> {
    EARLIEST..=LATEST
}

/// When a season may start that is planned at `now`: within a hundred years.
pub fn starts(now: Timestamp) -> RangeInclusive<Timestamp> {
    now.plus_seconds(-FARTHEST_SECONDS).max(EARLIEST)..=now.plus_seconds(FARTHEST_SECONDS).min(LATEST)
}

/// What comes behind the number `last`, if anything may.
pub const fn next_number(last: i64) -> Option<i64> {
    if last < LAST_NUMBER { Some(last + 1) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dates_are_what_they_are_called() {
        assert_eq!(EARLIEST.to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(LATEST.to_string(), "2999-12-31T23:59:59.999Z");
        let now = Timestamp::from_millis(1_780_000_000_000);
        assert!(happened(now).contains(&now) && !happened(now).contains(&now.plus_millis(1)));
        assert!(starts(now).contains(&EARLIEST) && !starts(now).contains(&Timestamp::MAX));
    }

    #[test]
    fn nothing_comes_behind_the_last_number() {
        assert_eq!(next_number(0), Some(1));
        assert_eq!(next_number(LAST_NUMBER - 1), Some(LAST_NUMBER));
        assert_eq!((next_number(LAST_NUMBER), next_number(i64::MAX)), (None, None));
    }
}
