//! That the numbers and dates of a record lie in their ranges, before anything else is looked at.
//!
//! Every record is taken apart member by member, without a rest: a member that is new does not compile until it is
//! dealt with. A test goes through all numbers and dates of all records at the edges of their ranges.

use std::ops::RangeInclusive;

use super::records::{Account, ApiKey, At, Audit, Event, Header, Merge, Record, User, WriteRef};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::limits;
use waymark_kernel::limits::Range;

/// How far what an export tells may lie in the future, in seconds: the clock of wherever it was made may be ahead.
const LENIENCE_SECONDS: i64 = 24 * 60 * 60;

/// A number or a date of a record, and where it may lie; dates in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its name, behind that of the list or object in which it stands and a point.
    pub(super) name: &'static str,
    pub(super) value: i64,
    pub(super) range: Range,
    pub(super) is_date: bool,
}

/// Says what is wrong when a number or a date of `record` is out of its range.
pub(super) fn check(record: &Record, now: Timestamp, has_history: bool) -> Result<(), String> {
    match members(record, now, has_history).into_iter().find(|member| !member.range.contains(&member.value)) {
        None => Ok(()),
        Some(Member { name, value, range, is_date: false }) => {
            Err(format!("{name} is a number from {} to {}, and not {value}", range.start(), range.end()))
        }
        Some(Member { name, value, range, is_date: true }) => {
            let [value, start, end] = [value, *range.start(), *range.end()].map(Timestamp::from_millis);
            Err(format!("{name} lies between {start} and {end}, and {value} does not"))
        }
    }
}

/// The members of a record as they are found.
pub(crate) struct Members {
    pub(crate) now: Timestamp,
    pub(crate) has_history: bool,
    found: Vec<Member>,
}

impl Members {
    pub(crate) fn number(&mut self, name: &'static str, value: impl Into<Option<i64>>, range: Range) {
        if let Some(value) = value.into() {
            self.found.push(Member { name, value, range, is_date: false });
        }
    }

    pub(crate) fn date(&mut self, name: &'static str, value: Option<At>, range: &RangeInclusive<Timestamp>) {
        if let Some(At(value)) = value {
            let range = range.start().millis()..=range.end().millis();
            self.found.push(Member { name, value: value.millis(), range, is_date: true });
        }
    }

    /// Something that has happened.
    pub(crate) fn happened(&mut self, name: &'static str, value: impl Into<Option<At>>) {
        let lenience = if self.has_history { LENIENCE_SECONDS } else { 0 };
        self.date(name, value.into(), &limits::happened(self.now.plus_seconds(lenience)));
    }

    /// Something that may be still to come.
    pub(crate) fn planned(&mut self, name: &'static str, value: impl Into<Option<At>>) {
        self.date(name, value.into(), &limits::planned());
    }
}

/// All numbers and dates of a record.
pub(super) fn members(record: &Record, now: Timestamp, has_history: bool) -> Vec<Member> {
    let mut members = Members { now, has_history, found: Vec::new() };
    record.said().ranged(&mut members);
    members.found
}

/// What a record says.
pub(crate) trait Said {
    /// Adds its numbers and dates.
    fn ranged(&self, all: &mut Members);
}

impl Said for Header {
    // Its version is looked at before all else.
    fn ranged(&self, _: &mut Members) {}
}

impl Said for Merge {
    fn ranged(&self, _: &mut Members) {}
}

impl Said for User {
    fn ranged(&self, all: &mut Members) {
        let User {
            id: _,
            external_id: _,
            handle: _,
            display_name: _,
            avatar_url: _,
            visibility: _,
            accounts,
            created_at,
            updated_at,
            self_made: _,
            erased_at,
        } = self;
        for Account { provider: _, id: _, linked_at } in accounts {
            all.happened("accounts.linkedAt", *linked_at);
        }
        all.happened("createdAt", *created_at);
        all.happened("updatedAt", *updated_at);
        all.happened("erasedAt", *erased_at);
    }
}

impl Said for Event {
    fn ranged(&self, all: &mut Members) {
        let Event { user: _, number, kind: _, actor: _, subject: _, changes: _, occurred_at, recorded_at } = self;
        all.number("number", *number, limits::NUMBER);
        all.happened("occurredAt", *occurred_at);
        all.happened("recordedAt", *recorded_at);
    }
}

impl Said for WriteRef {
    fn ranged(&self, all: &mut Members) {
        let WriteRef { user: _, kind: _, reference: _, outcome: _, created_at } = self;
        all.happened("createdAt", *created_at);
    }
}

impl Said for Audit {
    fn ranged(&self, all: &mut Members) {
        let Audit { actor: _, action: _, subject: _, changes: _, recorded_at } = self;
        all.happened("recordedAt", *recorded_at);
    }
}

impl Said for ApiKey {
    fn ranged(&self, all: &mut Members) {
        let ApiKey { name: _, prefix: _, hash: _, scopes: _, owner: _, created_at, expires_at, revoked_at } = self;
        all.happened("createdAt", *created_at);
        all.planned("expiresAt", *expires_at);
        all.happened("revokedAt", *revoked_at);
    }
}
