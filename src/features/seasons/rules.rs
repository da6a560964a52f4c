//! What a season's clock says, and what that allows: state, weeks, goals, steps and claims.
//!
//! Everything is derived from the stored dates at the instant asked for; nothing has to run for a season to start or
//! end. All intervals are half-open: `from` belongs to them, `until` does not.

use async_graphql::Enum;
use std::borrow::Cow;
use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

pub use super::entity::PauseMode;
use waymark_kernel::clock::Timestamp;

/// How long after the end of a goal's week a step that happened in that week is still recorded, in milliseconds.
pub const LATE_STEPS_MILLIS: i64 = 24 * 60 * 60 * 1000;

/// A time in which a season is suspended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// The first instant of the pause.
    pub from: Timestamp,
    /// The first instant after the pause; `None` while nobody has said when it ends.
    pub until: Option<Timestamp>,
}

/// The stored dates of a season.
#[derive(Debug, Clone, Copy)]
pub struct Schedule<'a> {
    /// When it starts.
    pub starts_at: Timestamp,
    /// How long it lasts on its own clock, in seconds; more than 0.
    pub duration_seconds: i64,
    /// How long a week is on its own clock, in seconds; more than 0.
    pub week_length_seconds: i64,
    /// When it was ended early. Says nothing before that instant.
    pub ended_at: Option<Timestamp>,
    /// What its pauses do to its clock.
    pub pause_mode: PauseMode,
    /// Its pauses, best in ascending order; any order and overlaps are understood.
    pub pauses: &'a [Pause],
}

/// Where a season stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum SeasonState {
    /// It has not begun.
    NotStarted,
    /// It is running.
    Active,
    /// It is interrupted; goals make no progress and nothing can be claimed.
    Paused,
    /// It is over, because its time has run out or because it was ended early.
    Ended,
}

/// The week a season is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Week {
    /// Counted from 1.
    pub number: i32,
    /// Seconds until the next week or the season's end, rounded up, so at least 1.
    pub time_left_seconds: i64,
    /// When the week began.
    pub starts_at: Timestamp,
    /// When it would end if the season ran on from now; moves while a pause stops the clock.
    pub ends_at: Timestamp,
}

/// What a season's clock says at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeasonClock {
    /// Where the season stands.
    pub state: SeasonState,
    /// How much of its duration is used up, in milliseconds: 0 before the start, at most the duration.
    pub active_millis: i64,
    /// Seconds left, rounded up: the whole duration before the start, at least 1 until it has ended, then 0.
    pub time_left_seconds: i64,
    /// When it would end if it ran on from now; once it has ended, when that was.
    pub end_at: Timestamp,
    /// The current week; `None` before the start and after the end.
    pub week: Option<Week>,
}

impl Schedule<'_> {
    /// What the clock says at `now`.
    #[must_use]
    pub fn clock(&self, now: Timestamp) -> SeasonClock {
        let duration = self.duration_millis();
        let runs = self.runs(Timestamp::MAX);
        let active = self.active_millis(&runs, now);
        let left = duration.saturating_sub(active);

        let ended_early = self.ended_at.filter(|ended| *ended <= now);
        if ended_early.is_some() || left == 0 {
            let used_up = instant_at(&runs, duration);
            return SeasonClock {
                state: SeasonState::Ended,
                active_millis: active,
                time_left_seconds: 0,
                end_at: ended_early.into_iter().chain(used_up).min().unwrap_or(now),
                week: None,
            };
        }
        if now < self.starts_at {
            return SeasonClock {
                state: SeasonState::NotStarted,
                active_millis: 0,
                time_left_seconds: self.duration_seconds,
                end_at: self.starts_at.plus_millis(duration),
                week: None,
            };
        }
        let paused = self.pauses.iter().any(|pause| pause.from <= now && pause.until.is_none_or(|until| now < until));
        SeasonClock {
            state: if paused { SeasonState::Paused } else { SeasonState::Active },
            active_millis: active,
            time_left_seconds: ceil_seconds(left),
            end_at: now.plus_millis(left),
            week: Some(self.week(&runs, active, now)),
        }
    }

    /// When the season ends with all pauses known at `now`, those to come included; a pause without an end counts as
    /// if it ended now. Later than [`SeasonClock::end_at`] when pauses are planned.
    #[must_use]
    pub fn planned_end_at(&self, now: Timestamp) -> Timestamp {
        let used_up = instant_at(&self.runs(now), self.duration_millis());
        used_up.into_iter().chain(self.ended_at).min().unwrap_or(Timestamp::MAX)
    }

    /// This season, started no earlier than `previous` ends: a pause of one season pushes the next.
    #[must_use]
    pub fn pushed_by(self, previous: &Schedule<'_>, now: Timestamp) -> Self {
        Self { starts_at: self.starts_at.max(previous.planned_end_at(now)), ..self }
    }

    /// Whether both seasons would run at some instant, as far as is known at `now`.
    #[must_use]
    pub fn overlaps(&self, other: &Schedule<'_>, now: Timestamp) -> bool {
        self.starts_at < other.planned_end_at(now) && other.starts_at < self.planned_end_at(now)
    }

    fn duration_millis(&self) -> i64 {
        self.duration_seconds.max(0).saturating_mul(1000)
    }

    /// Where week `number` ends on the season's clock; the last week may be short.
    fn week_end_millis(&self, number: i64) -> i64 {
        number.saturating_mul(self.week_length_millis()).min(self.duration_millis())
    }

    fn week_length_millis(&self) -> i64 {
        self.week_length_seconds.max(1).saturating_mul(1000)
    }

    fn week(&self, runs: &[Run], active: i64, now: Timestamp) -> Week {
        let past = active / self.week_length_millis();
        let left = self.week_end_millis(past.saturating_add(1)).saturating_sub(active);
        Week {
            number: i32::try_from(past.saturating_add(1)).unwrap_or(i32::MAX),
            time_left_seconds: ceil_seconds(left),
            starts_at: instant_at(runs, self.week_end_millis(past)).unwrap_or(self.starts_at),
            ends_at: now.plus_millis(left),
        }
    }

    fn active_millis(&self, runs: &[Run], now: Timestamp) -> i64 {
        let horizon = self.ended_at.map_or(now, |ended| ended.min(now));
        let active = runs
            .iter()
            .fold(0_i64, |sum, run| sum.saturating_add(run.until.min(horizon).millis_since(run.from).max(0)));
        active.min(self.duration_millis())
    }

    /// The times from the start on in which the clock runs, ascending; the first may be empty, the last has no end.
    /// Pauses without an end are taken to end at `open_until`.
    fn runs(&self, open_until: Timestamp) -> Vec<Run> {
        let pauses = match self.pause_mode {
            PauseMode::Freeze => ascending(self.pauses),
            PauseMode::RunOn => Cow::default(),
        };
        let mut runs = Vec::with_capacity(pauses.len() + 1);
        let mut from = self.starts_at;
        for pause in pauses.iter() {
            let until = pause.until.unwrap_or(open_until);
            if until <= from || until <= pause.from {
                continue;
            }
            runs.push(Run { from, until: pause.from.max(from) });
            from = until;
        }
        runs.push(Run { from, until: Timestamp::MAX });
        runs
    }
}

/// A time in which a season's clock runs.
struct Run {
    from: Timestamp,
    until: Timestamp,
}

/// The first instant at which the clock has run for `active` milliseconds; `None` when it never gets there.
fn instant_at(runs: &[Run], active: i64) -> Option<Timestamp> {
    let mut left = active;
    for run in runs {
        let length = run.until.millis_since(run.from);
        if left <= length {
            return Some(run.from.plus_millis(left));
        }
        left = left.saturating_sub(length);
    }
    None
}

fn ascending(pauses: &[Pause]) -> Cow<'_, [Pause]> {
    if pauses.is_sorted_by_key(|pause| pause.from) {
        return Cow::Borrowed(pauses);
    }
    let mut sorted = pauses.to_vec();
    sorted.sort_by_key(|pause| pause.from);
    Cow::Owned(sorted)
}

const fn ceil_seconds(millis: i64) -> i64 {
    millis / 1000 + (millis % 1000 > 0) as i64
}

/// The season that counts as current: the one that is active or paused; else the next to start; else the last that
/// ended. `None` only when there are no seasons. Should two run at once, the earlier one has not made way yet.
pub fn current<'a, T>(seasons: impl Iterator<Item = (T, Schedule<'a>)>, now: Timestamp) -> Option<T> {
    let rank = |schedule: &Schedule<'_>| {
        let clock = schedule.clock(now);
        match clock.state {
            SeasonState::Active | SeasonState::Paused => Rank::Running(schedule.starts_at),
            SeasonState::NotStarted => Rank::Upcoming(schedule.starts_at),
            SeasonState::Ended => Rank::Ended(Reverse(clock.end_at)),
        }
    };
    seasons.min_by_key(|(_, schedule)| rank(schedule)).map(|(season, _)| season)
}

/// The order in which seasons are preferred as the current one, best first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Running(Timestamp),
    Upcoming(Timestamp),
    Ended(Reverse<Timestamp>),
}

/// Where a user's goal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
pub enum GoalState {
    /// Its week or season has not begun.
    Locked,
    /// It can be worked on.
    Open,
    /// All steps are done, and the reward has not been claimed.
    Complete,
    /// The reward has been claimed.
    Claimed,
    /// Its week or season ended, or it was retired, before all steps were done.
    Missed,
}

/// Where a goal stands for a user; `week` is `None` for a goal of the whole season.
#[must_use]
pub fn goal_state(
    week: Option<i32>,
    total_steps: i32,
    completed_steps: i32,
    claimed: bool,
    clock: &SeasonClock,
) -> GoalState {
    if claimed {
        return GoalState::Claimed;
    }
    match goal_phase(week, clock) {
        Phase::ToCome => GoalState::Locked,
        Phase::Running | Phase::Over if completed_steps >= total_steps => GoalState::Complete,
        Phase::Running => GoalState::Open,
        Phase::Over => GoalState::Missed,
    }
}

/// Whether a goal is one of the current goals: it belongs to the whole season or to the current week.
#[must_use]
pub fn is_current_goal(goal_week: Option<i32>, clock: &SeasonClock) -> bool {
    goal_week.is_none_or(|goal_week| clock.week.is_some_and(|week| week.number == goal_week))
}

/// Whether the time for a goal is to come, running or over.
#[derive(Clone, Copy)]
enum Phase {
    ToCome,
    Running,
    Over,
}

fn goal_phase(goal_week: Option<i32>, clock: &SeasonClock) -> Phase {
    let Some(current) = clock.week else {
        return if clock.state == SeasonState::Ended { Phase::Over } else { Phase::ToCome };
    };
    match goal_week {
        Some(week) if week > current.number => Phase::ToCome,
        Some(week) if week < current.number => Phase::Over,
        _ => Phase::Running,
    }
}

/// Why a goal's reward cannot be claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
pub enum ClaimRefusal {
    // In the order in which the reasons are looked for.
    /// It has been claimed already.
    AlreadyClaimed,
    /// The user is blocked from claiming.
    Blocked,
    /// The user has not enrolled in the season.
    NotEnrolled,
    /// The season has not begun.
    SeasonNotStarted,
    /// The season is paused.
    SeasonPaused,
    /// The season is over.
    SeasonEnded,
    /// The goal's week has not begun.
    WeekNotStarted,
    /// Steps are missing.
    GoalIncomplete,
}

/// What decides about a claim, apart from the season's clock and its budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClaimFacts {
    /// The week of the goal; `None` for a goal of the whole season.
    pub week: Option<i32>,
    /// The steps the goal asks for.
    pub total_steps: i32,
    /// The steps the user has made.
    pub completed_steps: i32,
    /// Whether the user has claimed the reward before.
    pub claimed: bool,
    /// Whether the user is blocked from claiming.
    pub blocked: bool,
    /// Whether the user has enrolled in the season.
    pub enrolled: bool,
}

/// Whether a claim would be granted now, as long as the budget lasts.
///
/// # Errors
/// The first reason that stands against it.
pub fn claimable(facts: &ClaimFacts, clock: &SeasonClock) -> Result<(), ClaimRefusal> {
    if facts.claimed {
        return Err(ClaimRefusal::AlreadyClaimed);
    }
    if facts.blocked {
        return Err(ClaimRefusal::Blocked);
    }
    if !facts.enrolled {
        return Err(ClaimRefusal::NotEnrolled);
    }
    match clock.state {
        SeasonState::NotStarted => return Err(ClaimRefusal::SeasonNotStarted),
        SeasonState::Paused => return Err(ClaimRefusal::SeasonPaused),
        SeasonState::Ended => return Err(ClaimRefusal::SeasonEnded),
        SeasonState::Active => {}
    }
    if matches!(goal_phase(facts.week, clock), Phase::ToCome) {
        return Err(ClaimRefusal::WeekNotStarted);
    }
    if facts.completed_steps < facts.total_steps {
        return Err(ClaimRefusal::GoalIncomplete);
    }
    Ok(())
}

/// The result of claiming a goal's reward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize, Deserialize)]
pub enum ClaimStatus {
    /// The user got the reward.
    Claimed,
    /// The user had got the reward before, and got nothing now. Nothing is wrong.
    AlreadyClaimed,
    /// It was refused; the error says why.
    Refused,
}

/// Why steps are not recorded, in the order in which the reasons are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepRefusal {
    /// The user has not enrolled in the season.
    NotEnrolled,
    /// The season is still to come.
    SeasonNotStarted,
    /// The season is paused.
    SeasonPaused,
    /// The season is over.
    SeasonEnded,
    /// The goal's week is still to come.
    WeekNotStarted,
    /// The goal's week is over, and the steps are not known to have happened in it or are too late.
    WeekOver,
}

/// Whether steps may be recorded now. `clock` is what `schedule` says at `now`; `occurred_at` is when the steps
/// happened, as far as the caller knows, and matters only when the goal's week is over: steps of that week may arrive
/// until [`LATE_STEPS_MILLIS`] after its end.
///
/// # Errors
/// The first reason that stands against it.
pub fn may_record_steps(
    goal_week: Option<i32>,
    enrolled: bool,
    clock: &SeasonClock,
    occurred_at: Option<Timestamp>,
    schedule: &Schedule<'_>,
    now: Timestamp,
) -> Result<(), StepRefusal> {
    if !enrolled {
        return Err(StepRefusal::NotEnrolled);
    }
    match clock.state {
        SeasonState::NotStarted => return Err(StepRefusal::SeasonNotStarted),
        SeasonState::Paused => return Err(StepRefusal::SeasonPaused),
        SeasonState::Ended => return Err(StepRefusal::SeasonEnded),
        SeasonState::Active => {}
    }
    match (goal_phase(goal_week, clock), goal_week) {
        (Phase::ToCome, _) => Err(StepRefusal::WeekNotStarted),
        (Phase::Over, Some(week)) if !is_late_but_in_time(week, occurred_at, schedule, now) => {
            Err(StepRefusal::WeekOver)
        }
        _ => Ok(()),
    }
}

fn is_late_but_in_time(week: i32, occurred_at: Option<Timestamp>, schedule: &Schedule<'_>, now: Timestamp) -> bool {
    let happened_in_week =
        occurred_at.and_then(|at| schedule.clock(at).week).is_some_and(|occurred| occurred.number == week);
    let week_ended_at = instant_at(&schedule.runs(Timestamp::MAX), schedule.week_end_millis(week.into()));
    happened_in_week && week_ended_at.is_some_and(|ended| now.millis_since(ended) < LATE_STEPS_MILLIS)
}

/// How many steps are to be recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum StepAmount {
    /// So many more; at least 1.
    Add(i64),
    /// At least so many in all; 0 or more. Fewer than there are say nothing new.
    SetTo(i64),
}

/// What recording steps came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedSteps {
    /// The steps made by now, at most the goal's total.
    pub completed_steps: i32,
    /// The steps asked for beyond the goal's total, which were dropped.
    pub clamped_by: i64,
}

/// An amount of steps that is out of its range: adding takes at least 1, setting at least 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OutOfRange;

/// The steps of a user after `amount` is recorded.
///
/// # Errors
/// When the amount is out of its range.
pub fn record_steps(total_steps: i32, completed_steps: i32, amount: StepAmount) -> Result<RecordedSteps, OutOfRange> {
    let before = i64::from(completed_steps);
    let wanted = match amount {
        StepAmount::Add(steps) if steps < 1 => return Err(OutOfRange),
        StepAmount::Add(steps) => before.saturating_add(steps),
        StepAmount::SetTo(steps) if steps < 0 => return Err(OutOfRange),
        StepAmount::SetTo(steps) => steps.max(before),
    };
    // A goal may have come to ask for fewer steps than were made before: those stay.
    let limit = total_steps.max(completed_steps);
    let completed_steps = i32::try_from(wanted).unwrap_or(i32::MAX).min(limit);
    Ok(RecordedSteps { completed_steps, clamped_by: wanted.saturating_sub(completed_steps.into()) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: i64 = 86_400;
    const WEEK: i64 = 7 * DAY;

    /// So many seconds after the start of [`SEASON`].
    fn at(seconds: i64) -> Timestamp {
        SEASON.starts_at.plus_seconds(seconds)
    }

    fn pause(from: i64, until: i64) -> Pause {
        Pause { from: at(from), until: Some(at(until)) }
    }

    /// Two weeks and a half.
    const SEASON: Schedule<'static> = Schedule {
        starts_at: Timestamp::from_millis(1_767_225_600_000),
        duration_seconds: 2 * WEEK + 4 * DAY,
        week_length_seconds: WEEK,
        ended_at: None,
        pause_mode: PauseMode::Freeze,
        pauses: &[],
    };

    fn week_number(schedule: &Schedule<'_>, seconds: i64) -> Option<i32> {
        schedule.clock(at(seconds)).week.map(|week| week.number)
    }

    #[test]
    fn a_season_to_come_has_its_whole_duration_left_and_no_week() {
        let clock = SEASON.clock(at(-1));
        assert_eq!(clock.state, SeasonState::NotStarted);
        assert_eq!(clock.active_millis, 0);
        assert_eq!(clock.time_left_seconds, SEASON.duration_seconds);
        assert_eq!(clock.end_at, at(SEASON.duration_seconds));
        assert_eq!(clock.week, None);
    }

    #[test]
    fn a_season_starts_at_its_start_exactly() {
        let clock = SEASON.clock(at(0));
        assert_eq!(clock.state, SeasonState::Active);
        assert_eq!(clock.time_left_seconds, SEASON.duration_seconds);
        assert_eq!(clock.week.map(|week| week.number), Some(1));
        assert_eq!(SEASON.clock(at(0).plus_millis(-1)).state, SeasonState::NotStarted);
    }

    #[test]
    fn a_season_ends_when_its_duration_is_used_up_exactly() {
        let last = SEASON.clock(at(SEASON.duration_seconds).plus_millis(-1));
        assert_eq!((last.state, last.time_left_seconds), (SeasonState::Active, 1));
        let over = SEASON.clock(at(SEASON.duration_seconds));
        assert_eq!((over.state, over.time_left_seconds, over.week), (SeasonState::Ended, 0, None));
        assert_eq!(over.end_at, at(SEASON.duration_seconds));
        assert_eq!(SEASON.clock(at(SEASON.duration_seconds + DAY)).end_at, at(SEASON.duration_seconds));
    }

    #[test]
    fn time_left_is_rounded_up() {
        let clock = SEASON.clock(at(WEEK).plus_millis(1));
        assert_eq!(clock.time_left_seconds, SEASON.duration_seconds - WEEK);
        assert_eq!(clock.week.map(|week| week.time_left_seconds), Some(WEEK));
    }

    #[test]
    fn on_a_boundary_the_new_week_has_begun_and_the_last_may_be_short() {
        let before = SEASON.clock(at(WEEK).plus_millis(-1)).week.unwrap();
        assert_eq!((before.number, before.time_left_seconds), (1, 1));
        let second = SEASON.clock(at(WEEK)).week.unwrap();
        assert_eq!((second.number, second.time_left_seconds), (2, WEEK));
        assert_eq!((second.starts_at, second.ends_at), (at(WEEK), at(2 * WEEK)));
        let last = SEASON.clock(at(2 * WEEK + DAY)).week.unwrap();
        assert_eq!((last.number, last.time_left_seconds), (3, 3 * DAY));
        assert_eq!((last.starts_at, last.ends_at), (at(2 * WEEK), at(SEASON.duration_seconds)));
    }

    #[test]
    fn a_pause_stops_the_clock_and_moves_the_end() {
        let pauses = [pause(DAY, 3 * DAY)];
        let season = Schedule { pauses: &pauses, ..SEASON };
        let paused = season.clock(at(2 * DAY));
        assert_eq!((paused.state, paused.active_millis), (SeasonState::Paused, DAY * 1000));
        assert_eq!(paused.time_left_seconds, SEASON.duration_seconds - DAY);
        assert_eq!(paused.end_at, at(SEASON.duration_seconds + DAY));
        let resumed = season.clock(at(3 * DAY));
        assert_eq!((resumed.state, resumed.active_millis), (SeasonState::Active, DAY * 1000));
        assert_eq!(resumed.end_at, at(SEASON.duration_seconds + 2 * DAY));
        assert_eq!(season.clock(at(DAY)).state, SeasonState::Paused);
        assert_eq!(season.clock(at(SEASON.duration_seconds + 2 * DAY)).end_at, resumed.end_at);
    }

    #[test]
    fn a_week_begins_at_the_boundary_even_when_a_pause_does() {
        let pauses = [pause(WEEK, WEEK + DAY)];
        let season = Schedule { pauses: &pauses, ..SEASON };
        let week = season.clock(at(WEEK + DAY + 5)).week.unwrap();
        assert_eq!((week.number, week.starts_at, week.ends_at), (2, at(WEEK), at(2 * WEEK + DAY)));
        let paused = season.clock(at(WEEK)).week.unwrap();
        assert_eq!((paused.number, paused.time_left_seconds), (2, WEEK));
    }

    #[test]
    fn under_run_on_a_pause_shows_but_takes_nothing() {
        let pauses = [pause(DAY, 3 * DAY)];
        let season = Schedule { pauses: &pauses, pause_mode: PauseMode::RunOn, ..SEASON };
        let paused = season.clock(at(2 * DAY));
        assert_eq!((paused.state, paused.active_millis), (SeasonState::Paused, 2 * DAY * 1000));
        assert_eq!(paused.end_at, at(SEASON.duration_seconds));
        let open = [Pause { from: at(DAY), until: None }];
        let season = Schedule { pauses: &open, pause_mode: PauseMode::RunOn, ..SEASON };
        assert_eq!(season.clock(at(SEASON.duration_seconds)).state, SeasonState::Ended);
    }

    #[test]
    fn an_open_pause_lasts() {
        let pauses = [Pause { from: at(DAY), until: None }];
        let season = Schedule { pauses: &pauses, ..SEASON };
        let clock = season.clock(at(1000 * DAY));
        assert_eq!((clock.state, clock.active_millis), (SeasonState::Paused, DAY * 1000));
        assert_eq!(clock.end_at, at(1000 * DAY + SEASON.duration_seconds - DAY));
    }

    #[test]
    fn a_pause_before_the_start_counts_from_the_start_only() {
        let pauses = [pause(-DAY, DAY)];
        let season = Schedule { pauses: &pauses, ..SEASON };
        assert_eq!(season.clock(at(-1)).state, SeasonState::NotStarted);
        let clock = season.clock(at(0));
        assert_eq!((clock.state, clock.active_millis), (SeasonState::Paused, 0));
        assert_eq!(season.clock(at(2 * DAY)).active_millis, DAY * 1000);
    }

    #[test]
    fn pauses_in_any_order_and_overlapping_count_once() {
        let pauses = [pause(5 * DAY, 6 * DAY), pause(DAY, 3 * DAY), pause(2 * DAY, 4 * DAY), pause(8, 7)];
        let season = Schedule { pauses: &pauses, ..SEASON };
        assert_eq!(season.clock(at(7 * DAY)).active_millis, 3 * DAY * 1000);
    }

    #[test]
    fn ending_early_ends_at_that_instant_and_not_before() {
        let season = Schedule { ended_at: Some(at(5 * DAY)), ..SEASON };
        assert_eq!(season.clock(at(5 * DAY).plus_millis(-1)).state, SeasonState::Active);
        let clock = season.clock(at(9 * DAY));
        assert_eq!((clock.state, clock.active_millis), (SeasonState::Ended, 5 * DAY * 1000));
        assert_eq!((clock.time_left_seconds, clock.end_at, clock.week), (0, at(5 * DAY), None));
    }

    #[test]
    fn ending_early_comes_before_pause_and_start() {
        let pauses = [Pause { from: at(DAY), until: None }];
        let season = Schedule { ended_at: Some(at(2 * DAY)), pauses: &pauses, ..SEASON };
        assert_eq!(season.clock(at(2 * DAY)).state, SeasonState::Ended);
        let cancelled = Schedule { ended_at: Some(at(-2 * DAY)), ..SEASON };
        let clock = cancelled.clock(at(-DAY));
        assert_eq!((clock.state, clock.end_at, clock.active_millis), (SeasonState::Ended, at(-2 * DAY), 0));
    }

    #[test]
    fn an_early_end_after_the_regular_one_changes_nothing() {
        let season = Schedule { ended_at: Some(at(SEASON.duration_seconds + DAY)), ..SEASON };
        let clock = season.clock(at(SEASON.duration_seconds + 2 * DAY));
        assert_eq!((clock.state, clock.end_at), (SeasonState::Ended, at(SEASON.duration_seconds)));
    }

    #[test]
    fn planned_pauses_show_in_the_planned_end_only() {
        let pauses = [pause(5 * DAY, 6 * DAY)];
        let season = Schedule { pauses: &pauses, ..SEASON };
        assert_eq!(season.clock(at(DAY)).end_at, at(SEASON.duration_seconds));
        assert_eq!(season.planned_end_at(at(DAY)), at(SEASON.duration_seconds + DAY));
    }

    #[test]
    fn a_pause_pushes_the_start_of_the_next_season() {
        let open = [Pause { from: at(DAY), until: None }];
        let paused = Schedule { pauses: &open, ..SEASON };
        let next = Schedule { starts_at: at(SEASON.duration_seconds + DAY), ..SEASON };
        assert_eq!(next.pushed_by(&SEASON, at(DAY)).starts_at, next.starts_at);
        assert!(!next.overlaps(&paused, at(2 * DAY)));
        assert!(next.overlaps(&paused, at(2 * DAY + 1)) && paused.overlaps(&next, at(2 * DAY + 1)));
        let pushed = next.pushed_by(&paused, at(4 * DAY));
        assert_eq!(pushed.starts_at, at(SEASON.duration_seconds + 3 * DAY));
        assert!(!pushed.overlaps(&paused, at(4 * DAY)));
    }

    #[test]
    fn seasons_that_touch_do_not_overlap() {
        let next = Schedule { starts_at: at(SEASON.duration_seconds), ..SEASON };
        assert!(!SEASON.overlaps(&next, at(0)) && !next.overlaps(&SEASON, at(0)));
        assert!(SEASON.overlaps(&SEASON, at(0)));
        let ended = Schedule { ended_at: Some(at(DAY)), ..SEASON };
        assert!(!ended.overlaps(&Schedule { starts_at: at(DAY), ..SEASON }, at(DAY)));
    }

    #[test]
    fn current_is_the_running_season_else_the_next_else_the_last() {
        let year = 365 * DAY;
        let seasons = [("third", 2 * year), ("first", 0), ("second", year)]
            .map(|(name, start)| (name, Schedule { starts_at: at(start), ..SEASON }));
        let current_at = |seconds| current(seasons.into_iter(), at(seconds));
        assert_eq!(current_at(-1), Some("first"));
        assert_eq!(current_at(DAY), Some("first"));
        assert_eq!(current_at(100 * DAY), Some("second"));
        assert_eq!(current_at(year), Some("second"));
        assert_eq!(current_at(3 * year), Some("third"));
        assert_eq!(current(std::iter::empty::<((), Schedule<'_>)>(), at(0)), None);
    }

    #[test]
    fn a_paused_season_is_current_and_keeps_the_next_one_waiting() {
        let open = [Pause { from: at(DAY), until: None }];
        let paused = Schedule { pauses: &open, ..SEASON };
        let next = Schedule { starts_at: at(30 * DAY), ..SEASON };
        assert_eq!(current([("next", next), ("paused", paused)].into_iter(), at(31 * DAY)), Some("paused"));
    }

    #[test]
    fn the_current_goals_are_the_season_wide_ones_and_those_of_the_week() {
        let second = SEASON.clock(at(WEEK));
        assert!(is_current_goal(None, &second) && is_current_goal(Some(2), &second));
        assert!(!is_current_goal(Some(1), &second) && !is_current_goal(Some(3), &second));
        for clock in [SEASON.clock(at(-1)), SEASON.clock(at(SEASON.duration_seconds))] {
            assert!(is_current_goal(None, &clock) && !is_current_goal(Some(1), &clock));
        }
    }

    #[test]
    fn a_goal_stands_where_its_week_and_steps_put_it() {
        let (before, second) = (SEASON.clock(at(-1)), SEASON.clock(at(WEEK)));
        let over = SEASON.clock(at(SEASON.duration_seconds));
        for (week, done, claimed, clock, expected) in [
            (None, 0, false, &before, GoalState::Locked),
            (Some(1), 0, false, &before, GoalState::Locked),
            (None, 4, false, &second, GoalState::Open),
            (Some(2), 0, false, &second, GoalState::Open),
            (Some(2), 5, false, &second, GoalState::Complete),
            (Some(1), 5, false, &second, GoalState::Complete),
            (Some(1), 4, false, &second, GoalState::Missed),
            (Some(3), 0, false, &second, GoalState::Locked),
            (Some(3), 5, false, &second, GoalState::Locked),
            (Some(1), 5, true, &second, GoalState::Claimed),
            (None, 4, false, &over, GoalState::Missed),
            (None, 5, false, &over, GoalState::Complete),
            (None, 5, true, &over, GoalState::Claimed),
        ] {
            assert_eq!(goal_state(week, 5, done, claimed, clock), expected, "{week:?} {done} {claimed} {clock:?}");
        }
        let pauses = [pause(WEEK, WEEK + DAY)];
        let paused = Schedule { pauses: &pauses, ..SEASON }.clock(at(WEEK));
        assert_eq!(goal_state(Some(2), 5, 1, false, &paused), GoalState::Open);
    }

    const CLAIM: ClaimFacts =
        ClaimFacts { week: None, total_steps: 5, completed_steps: 5, claimed: false, blocked: false, enrolled: true };

    #[test]
    fn a_complete_goal_can_be_claimed_while_the_season_runs() {
        let second = SEASON.clock(at(WEEK));
        for week in [None, Some(1), Some(2)] {
            assert_eq!(claimable(&ClaimFacts { week, ..CLAIM }, &second), Ok(()));
        }
        assert_eq!(claimable(&ClaimFacts { week: Some(3), ..CLAIM }, &second), Err(ClaimRefusal::WeekNotStarted));
        let incomplete = ClaimFacts { completed_steps: 4, ..CLAIM };
        assert_eq!(claimable(&incomplete, &second), Err(ClaimRefusal::GoalIncomplete));
    }

    #[test]
    fn the_reasons_against_a_claim_are_looked_for_in_order() {
        let over = SEASON.clock(at(SEASON.duration_seconds));
        let mut facts = ClaimFacts { completed_steps: 0, claimed: true, blocked: true, enrolled: false, ..CLAIM };
        assert_eq!(claimable(&facts, &over), Err(ClaimRefusal::AlreadyClaimed));
        facts.claimed = false;
        assert_eq!(claimable(&facts, &over), Err(ClaimRefusal::Blocked));
        facts.blocked = false;
        assert_eq!(claimable(&facts, &over), Err(ClaimRefusal::NotEnrolled));
        facts.enrolled = true;
        assert_eq!(claimable(&facts, &over), Err(ClaimRefusal::SeasonEnded));
        assert_eq!(claimable(&facts, &SEASON.clock(at(-1))), Err(ClaimRefusal::SeasonNotStarted));
        let open = [Pause { from: at(DAY), until: None }];
        let paused = Schedule { pauses: &open, ..SEASON }.clock(at(DAY));
        assert_eq!(claimable(&facts, &paused), Err(ClaimRefusal::SeasonPaused));
        assert_eq!(claimable(&facts, &SEASON.clock(at(0))), Err(ClaimRefusal::GoalIncomplete));
    }

    fn may_record(
        schedule: &Schedule<'_>,
        week: Option<i32>,
        enrolled: bool,
        occurred_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), StepRefusal> {
        may_record_steps(week, enrolled, &schedule.clock(now), occurred_at, schedule, now)
    }

    #[test]
    fn steps_are_recorded_while_the_season_and_the_week_run() {
        for week in [None, Some(2)] {
            assert_eq!(may_record(&SEASON, week, true, None, at(WEEK)), Ok(()));
            assert_eq!(may_record(&SEASON, week, false, None, at(WEEK)), Err(StepRefusal::NotEnrolled));
            assert_eq!(may_record(&SEASON, week, true, None, at(-1)), Err(StepRefusal::SeasonNotStarted));
            let over = at(SEASON.duration_seconds);
            assert_eq!(may_record(&SEASON, week, true, Some(at(WEEK)), over), Err(StepRefusal::SeasonEnded));
        }
        assert_eq!(may_record(&SEASON, Some(3), true, None, at(WEEK)), Err(StepRefusal::WeekNotStarted));
        assert_eq!(may_record(&SEASON, Some(1), true, None, at(WEEK)), Err(StepRefusal::WeekOver));
        let pauses = [pause(WEEK, WEEK + DAY)];
        let paused = Schedule { pauses: &pauses, ..SEASON };
        assert_eq!(may_record(&paused, None, true, None, at(WEEK)), Err(StepRefusal::SeasonPaused));
        assert_eq!(may_record(&paused, None, false, None, at(WEEK)), Err(StepRefusal::NotEnrolled));
    }

    #[test]
    fn steps_of_a_past_week_are_recorded_up_to_a_day_late() {
        let in_week = Some(at(WEEK).plus_millis(-1));
        let last_chance = at(WEEK + DAY).plus_millis(-1);
        assert_eq!(may_record(&SEASON, Some(1), true, in_week, at(WEEK)), Ok(()));
        assert_eq!(may_record(&SEASON, Some(1), true, in_week, last_chance), Ok(()));
        assert_eq!(may_record(&SEASON, Some(1), true, in_week, at(WEEK + DAY)), Err(StepRefusal::WeekOver));
        for elsewhere in [None, Some(at(-1)), Some(at(WEEK))] {
            assert_eq!(may_record(&SEASON, Some(1), true, elsewhere, at(WEEK)), Err(StepRefusal::WeekOver));
        }
        let twice_past = at(2 * WEEK);
        assert_eq!(may_record(&SEASON, Some(1), true, in_week, twice_past), Err(StepRefusal::WeekOver));
    }

    #[test]
    fn what_is_left_of_a_goal_limits_the_steps() {
        let recorded = |completed_steps, clamped_by| Ok(RecordedSteps { completed_steps, clamped_by });
        assert_eq!(record_steps(5, 2, StepAmount::Add(3)), recorded(5, 0));
        assert_eq!(record_steps(5, 2, StepAmount::Add(4)), recorded(5, 1));
        assert_eq!(record_steps(5, 2, StepAmount::SetTo(9)), recorded(5, 4));
        assert_eq!(record_steps(5, 2, StepAmount::SetTo(2)), recorded(2, 0));
        assert_eq!(record_steps(5, 2, StepAmount::SetTo(1)), recorded(2, 0));
        assert_eq!(record_steps(5, 0, StepAmount::SetTo(0)), recorded(0, 0));
    }

    #[test]
    fn amounts_out_of_range_are_refused() {
        for amount in [StepAmount::Add(0), StepAmount::Add(-1), StepAmount::SetTo(-1)] {
            assert_eq!(record_steps(5, 2, amount), Err(OutOfRange));
        }
    }

    fn any_pauses() -> impl Strategy<Value = Vec<Pause>> {
        let pause = (-20_i64..80, prop::option::weighted(0.9, -2_i64..30))
            .prop_map(|(from, length)| Pause { from: at(from), until: length.map(|length| at(from + length)) });
        prop::collection::vec(pause, 0..6)
    }

    fn any_instant() -> impl Strategy<Value = Timestamp> {
        prop_oneof![any::<i64>(), any::<i32>().prop_map(i64::from)].prop_map(Timestamp::from_millis)
    }

    proptest! {
        #[test]
        fn the_clock_counts_every_second_outside_the_pauses(
            pauses in any_pauses(),
            duration_seconds in 1_i64..60,
            week_length_seconds in 1_i64..20,
            ended in prop::option::of(-10_i64..80),
            run_on: bool,
            now in -20_i64..120,
        ) {
            let pause_mode = if run_on { PauseMode::RunOn } else { PauseMode::Freeze };
            let season = Schedule {
                duration_seconds, week_length_seconds, ended_at: ended.map(at), pause_mode, pauses: &pauses, ..SEASON
            };
            let paused = |second| pauses.iter().any(|p| p.from <= at(second) && p.until.is_none_or(|u| at(second) < u));
            let horizon = ended.map_or(now, |ended| ended.min(now));
            let counted = (0..horizon).filter(|second| run_on || !paused(*second)).count();
            let active = i64::try_from(counted).unwrap().min(duration_seconds);

            let clock = season.clock(at(now));
            prop_assert_eq!(clock.active_millis, active * 1000);
            let state = if ended.is_some_and(|ended| ended <= now) || active == duration_seconds {
                SeasonState::Ended
            } else if now < 0 {
                SeasonState::NotStarted
            } else if paused(now) {
                SeasonState::Paused
            } else {
                SeasonState::Active
            };
            prop_assert_eq!(clock.state, state);
            match state {
                SeasonState::Ended => {
                    prop_assert_eq!(clock.time_left_seconds, 0);
                    prop_assert!(clock.end_at <= at(now));
                    prop_assert_eq!(season.clock(clock.end_at).state, SeasonState::Ended);
                    prop_assert_ne!(season.clock(clock.end_at.plus_millis(-1)).state, SeasonState::Ended);
                }
                SeasonState::NotStarted => prop_assert_eq!(clock.time_left_seconds, duration_seconds),
                SeasonState::Active | SeasonState::Paused => {
                    prop_assert_eq!(clock.time_left_seconds, duration_seconds - active);
                    prop_assert_eq!(clock.end_at, at(now + clock.time_left_seconds));
                }
            }
            if let Some(week) = clock.week {
                let number = active / week_length_seconds + 1;
                prop_assert_eq!(i64::from(week.number), number);
                prop_assert_eq!(week.time_left_seconds, (number * week_length_seconds).min(duration_seconds) - active);
                prop_assert!(week.starts_at <= at(now) && at(now) < week.ends_at);
                prop_assert_eq!(season.clock(week.starts_at).week.map(|week| week.number), Some(week.number));
                let before = season.clock(week.starts_at.plus_millis(-1)).week.map_or(0, |week| week.number);
                prop_assert_eq!(before, week.number - 1);
            }
        }

        #[test]
        fn no_dates_make_the_clock_panic(
            starts_at in any_instant(),
            duration_seconds: i64,
            week_length_seconds: i64,
            ended_at in prop::option::of(any_instant()),
            run_on: bool,
            pauses in prop::collection::vec((any_instant(), prop::option::of(any_instant())), 0..5),
            goal_week in prop::option::of(any::<i32>()),
            occurred_at in prop::option::of(any_instant()),
            now in any_instant(),
        ) {
            let pauses: Vec<_> = pauses.into_iter().map(|(from, until)| Pause { from, until }).collect();
            let pause_mode = if run_on { PauseMode::RunOn } else { PauseMode::Freeze };
            let season =
                Schedule { starts_at, duration_seconds, week_length_seconds, ended_at, pause_mode, pauses: &pauses };
            let clock = season.clock(now);
            if duration_seconds > 0 {
                prop_assert_eq!(clock.time_left_seconds == 0, clock.state == SeasonState::Ended);
            }
            prop_assert!(season.overlaps(&season, now) == (season.starts_at < season.planned_end_at(now)));
            let _ = may_record_steps(goal_week, true, &clock, occurred_at, &season, now);
            let _ = goal_state(goal_week, 1, 0, false, &clock);
        }

        #[test]
        fn recording_steps_never_loses_or_invents_any(total in 1_i32.., done: i32, steps in 1_i64..) {
            let done = done.rem_euclid(total);
            let recorded = record_steps(total, done, StepAmount::Add(steps)).unwrap();
            prop_assert!((done..=total).contains(&recorded.completed_steps));
            let sum = i128::from(recorded.completed_steps) + i128::from(recorded.clamped_by);
            prop_assert_eq!(sum, (i128::from(done) + i128::from(steps)).min(i128::from(i64::MAX)));
        }
    }

    #[test]
    fn weeks_are_counted_on_the_clock_and_not_on_the_calendar() {
        let pauses = [pause(DAY, WEEK + DAY)];
        let season = Schedule { pauses: &pauses, ..SEASON };
        assert_eq!(week_number(&season, WEEK), Some(1));
        assert_eq!(week_number(&season, 2 * WEEK), Some(2));
        assert_eq!(week_number(&season, -1), None);
    }
}
