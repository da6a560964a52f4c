//! That the numbers and dates of a record lie in their ranges, before anything else is looked at.
//!
//! Every record is taken apart member by member, without a rest: a member that is new does not compile until it is
//! dealt with here, and a test goes through all numbers and dates of all records at the edges of their ranges.

use std::ops::RangeInclusive;

use super::records::{
    Account, Achievement, ApiKey, At, Audit, Awards, Block, Budget, Card, Collection, CollectionProgress, CreditEntry,
    CreditLot, Enrolment, Event, Game, Goal, GoalClaim, GoalProgress, InstanceResource, OwnedCard, Pause, Record,
    Resource, ResourceProgress, Reward, Season, StudyPlan, StudyPlanInstance, Unlock, User, WeekTitle, WriteRef,
};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::limits;
use waymark_kernel::limits::Range;

/// How far what an export tells may lie in the future, in seconds: the clock of wherever it was made may be ahead.
const LENIENCE_SECONDS: i64 = 24 * 60 * 60;

/// A number or a date of a record, and where it may lie; dates in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
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
struct Members {
    now: Timestamp,
    has_history: bool,
    found: Vec<Member>,
}

impl Members {
    fn number(&mut self, name: &'static str, value: impl Into<Option<i64>>, range: Range) {
        if let Some(value) = value.into() {
            self.found.push(Member { name, value, range, is_date: false });
        }
    }

    fn date(&mut self, name: &'static str, value: Option<At>, range: &RangeInclusive<Timestamp>) {
        if let Some(At(value)) = value {
            let range = range.start().millis()..=range.end().millis();
            self.found.push(Member { name, value: value.millis(), range, is_date: true });
        }
    }

    /// Something that has happened.
    fn happened(&mut self, name: &'static str, value: impl Into<Option<At>>) {
        let lenience = if self.has_history { LENIENCE_SECONDS } else { 0 };
        self.date(name, value.into(), &limits::happened(self.now.plus_seconds(lenience)));
    }

    /// Something that may be still to come.
    fn planned(&mut self, name: &'static str, value: impl Into<Option<At>>) {
        self.date(name, value.into(), &limits::planned());
    }
}

/// All numbers and dates of a record.
pub(super) fn members(record: &Record, now: Timestamp, has_history: bool) -> Vec<Member> {
    let mut members = Members { now, has_history, found: Vec::new() };
    let all = &mut members;
    match record {
        // Its version is looked at before all else.
        Record::Waymark(_) | Record::Merge(_) => {}
        Record::Season(record) => season(all, record),
        Record::Goal(Goal {
            key: _,
            season: _,
            week,
            position,
            title: _,
            description: _,
            thumbnail: _,
            reward_micros,
            total_steps,
            retired_at,
        }) => {
            all.happened("retiredAt", *retired_at);
            all.number("week", week.map(i64::from), limits::WEEK);
            all.number("position", i64::from(*position), limits::POSITION);
            all.number("rewardMicros", *reward_micros, limits::REWARD_MICROS);
            all.number("totalSteps", i64::from(*total_steps), limits::TOTAL_STEPS);
        }
        Record::Resource(Resource {
            key: _,
            external_id: _,
            title: _,
            kind: _,
            section: _,
            url: _,
            description: _,
            estimated_minutes,
            catalogued: _,
            retired_at,
            created_at,
            updated_at,
        }) => {
            all.happened("retiredAt", *retired_at);
            all.number("estimatedMinutes", estimated_minutes.map(i64::from), limits::ESTIMATED_MINUTES);
            all.happened("createdAt", *created_at);
            all.happened("updatedAt", *updated_at);
        }
        Record::StudyPlan(StudyPlan {
            key: _,
            title: _,
            description: _,
            resources: _,
            retired_at,
            created_at,
            updated_at,
        }) => {
            all.happened("retiredAt", *retired_at);
            all.happened("createdAt", *created_at);
            all.happened("updatedAt", *updated_at);
        }
        Record::Game(Game {
            key: _,
            number,
            title: _,
            platform: _,
            description: _,
            image: _,
            retired_at,
            created_at,
            updated_at,
        }) => {
            all.happened("retiredAt", *retired_at);
            all.number("number", *number, limits::GAME_NUMBER);
            all.happened("createdAt", *created_at);
            all.happened("updatedAt", *updated_at);
        }
        Record::Achievement(Achievement {
            key: _,
            game: _,
            position,
            title: _,
            description: _,
            badge: _,
            points,
            kind: _,
            published: _,
            created_at,
            updated_at,
        }) => {
            all.number("position", i64::from(*position), limits::POSITION);
            all.number("points", i64::from(*points), limits::POINTS);
            all.happened("createdAt", *created_at);
            all.happened("updatedAt", *updated_at);
        }
        Record::Collection(record) => collection(all, record),
        Record::Card(Card { key: _, collection: _, position, name: _, image: _, rarity: _, retired_at }) => {
            all.happened("retiredAt", *retired_at);
            all.number("position", i64::from(*position), limits::POSITION);
        }
        record => of_users(all, record),
    }
    members.found
}

fn season(all: &mut Members, record: &Season) {
    let Season {
        key: _,
        title: _,
        description: _,
        starts_at,
        duration_seconds,
        week_length_seconds,
        ended_at,
        pause_mode: _,
        weeks,
        pauses,
        budgets,
        retired_at,
        created_at,
        updated_at,
    } = record;
    let starts = if all.has_history { limits::planned() } else { limits::starts(all.now) };
    all.date("startsAt", Some(*starts_at), &starts);
    all.number("durationSeconds", *duration_seconds, limits::SEASON_SECONDS);
    all.number("weekLengthSeconds", *week_length_seconds, limits::SEASON_SECONDS);
    all.happened("endedAt", *ended_at);
    for WeekTitle { number, title: _ } in weeks {
        all.number("weeks.number", i64::from(*number), limits::WEEK);
    }
    for Pause { from, until } in pauses {
        all.planned("pauses.from", *from);
        all.planned("pauses.until", *until);
    }
    for Budget { week, cap_micros, spent_micros } in budgets {
        all.number("budgets.week", week.map(i64::from), limits::WEEK);
        all.number("budgets.capMicros", *cap_micros, limits::BUDGET_MICROS);
        all.number("budgets.spentMicros", *spent_micros, limits::BUDGET_MICROS);
    }
    all.happened("retiredAt", *retired_at);
    all.happened("createdAt", *created_at);
    all.happened("updatedAt", *updated_at);
}

fn collection(all: &mut Members, record: &Collection) {
    let Collection {
        key: _,
        name: _,
        description: _,
        image: _,
        environment: _,
        starts_at,
        ends_at,
        show_before: _,
        show_after: _,
        reward,
        retired_at,
        created_at,
        updated_at,
    } = record;
    all.planned("startsAt", *starts_at);
    all.planned("endsAt", *ends_at);
    if let Some(Reward { key: _, name: _, image: _, description: _, value: _, view_type: _, stock, claimed }) = reward {
        all.number("reward.stock", *stock, limits::STOCK);
        all.number("reward.claimed", *claimed, limits::STOCK);
    }
    all.happened("retiredAt", *retired_at);
    all.happened("createdAt", *created_at);
    all.happened("updatedAt", *updated_at);
}

/// The members of what is about users.
fn of_users(all: &mut Members, record: &Record) {
    match record {
        Record::User(User {
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
        }) => {
            for Account { provider: _, id: _, linked_at } in accounts {
                all.happened("accounts.linkedAt", *linked_at);
            }
            all.happened("createdAt", *created_at);
            all.happened("updatedAt", *updated_at);
            all.happened("erasedAt", *erased_at);
        }
        Record::Event(Event {
            user: _,
            number,
            kind: _,
            actor: _,
            subject: _,
            changes: _,
            occurred_at,
            recorded_at,
        }) => {
            all.number("number", *number, limits::NUMBER);
            all.happened("occurredAt", *occurred_at);
            all.happened("recordedAt", *recorded_at);
        }
        Record::Enrolment(Enrolment { user: _, season: _, at }) => all.happened("at", *at),
        Record::GoalProgress(GoalProgress { user: _, goal: _, completed_steps, completed_at, at }) => {
            all.number("completedSteps", i64::from(*completed_steps), limits::COMPLETED_STEPS);
            all.happened("completedAt", *completed_at);
            all.happened("at", *at);
        }
        Record::GoalClaim(GoalClaim { user: _, goal: _, lot, reward_micros, at }) => {
            all.number("lot", *lot, limits::NUMBER);
            all.number("rewardMicros", *reward_micros, limits::REWARD_MICROS);
            all.happened("at", *at);
        }
        Record::Block(Block { user: _, number, scope: _, reason: _, from, until, lifted_at }) => {
            all.number("number", *number, limits::NUMBER);
            all.happened("from", *from);
            all.planned("until", *until);
            all.happened("liftedAt", *lifted_at);
        }
        Record::Awards(Awards {
            user: _,
            game: _,
            beaten_at,
            beaten_hardcore_at,
            completed_at,
            mastered_at,
            rests_on: _,
        }) => {
            all.happened("beatenAt", *beaten_at);
            all.happened("beatenHardcoreAt", *beaten_hardcore_at);
            all.happened("completedAt", *completed_at);
            all.happened("masteredAt", *mastered_at);
        }
        Record::Unlock(Unlock { user: _, game: _, achievement: _, at, hardcore: _, hardcore_at }) => {
            all.happened("at", *at);
            all.happened("hardcoreAt", *hardcore_at);
        }
        Record::CollectionProgress(CollectionProgress {
            user: _,
            collection: _,
            completed_at,
            completed_told: _,
            reward_claimed_at,
            updated_at,
        }) => {
            all.happened("completedAt", *completed_at);
            all.happened("rewardClaimedAt", *reward_claimed_at);
            all.happened("updatedAt", *updated_at);
        }
        Record::OwnedCard(OwnedCard { user: _, collection: _, card: _, quantity, first_acquired_at, updated_at }) => {
            all.number("quantity", i64::from(*quantity), limits::CARDS);
            all.happened("firstAcquiredAt", *first_acquired_at);
            all.happened("updatedAt", *updated_at);
        }
        Record::WriteRef(WriteRef { user: _, kind: _, reference: _, outcome: _, created_at }) => {
            all.happened("createdAt", *created_at);
        }
        Record::Audit(Audit { actor: _, action: _, subject: _, changes: _, recorded_at }) => {
            all.happened("recordedAt", *recorded_at);
        }
        Record::ApiKey(ApiKey {
            name: _,
            prefix: _,
            hash: _,
            scopes: _,
            owner: _,
            created_at,
            expires_at,
            revoked_at,
        }) => {
            all.happened("createdAt", *created_at);
            all.planned("expiresAt", *expires_at);
            all.happened("revokedAt", *revoked_at);
        }
        record => of_ledgers_and_learning(all, record),
    }
}

fn of_ledgers_and_learning(all: &mut Members, record: &Record) {
    match record {
        Record::CreditLot(CreditLot {
            user: _,
            number,
            reference: _,
            amount_micros,
            remaining_micros,
            granted_at,
            expires_at,
            source: _,
            goal: _,
            reason: _,
        }) => {
            all.number("number", *number, limits::NUMBER);
            all.number("amountMicros", *amount_micros, limits::AMOUNT_MICROS);
            all.number("remainingMicros", *remaining_micros, limits::REMAINING_MICROS);
            all.happened("grantedAt", *granted_at);
            all.planned("expiresAt", *expires_at);
        }
        Record::CreditEntry(CreditEntry {
            user: _,
            number,
            lot,
            kind: _,
            amount_micros,
            reason: _,
            operation: _,
            at,
        }) => {
            all.number("number", *number, limits::NUMBER);
            all.number("lot", *lot, limits::NUMBER);
            all.number("amountMicros", *amount_micros, limits::AMOUNT_MICROS);
            all.happened("at", *at);
        }
        Record::ResourceProgress(ResourceProgress {
            user: _,
            resource: _,
            external_id: _,
            completed: _,
            progress,
            time_spent_minutes,
            notes: _,
            completed_at,
            last_accessed_at,
            created_at,
            updated_at,
        }) => {
            all.number("progress", i64::from(*progress), limits::PERCENT);
            all.number("timeSpentMinutes", i64::from(*time_spent_minutes), limits::SPENT_MINUTES);
            all.happened("completedAt", *completed_at);
            all.happened("lastAccessedAt", *last_accessed_at);
            all.happened("createdAt", *created_at);
            all.happened("updatedAt", *updated_at);
        }
        Record::StudyPlanInstance(StudyPlanInstance {
            user: _,
            number,
            external_id: _,
            plan: _,
            title: _,
            resources,
            created_at,
            updated_at,
        }) => {
            all.number("number", *number, limits::NUMBER);
            for InstanceResource { resource: _, marked_at } in resources.iter().flatten() {
                all.happened("resources.markedAt", *marked_at);
            }
            all.happened("createdAt", *created_at);
            all.happened("updatedAt", *updated_at);
        }
        // The others have been dealt with before.
        _ => {}
    }
}
