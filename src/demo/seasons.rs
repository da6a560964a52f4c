//! Demo seasons: one that is over, one that runs, one to come; and how users do in them.

use serde_json::json;

use super::dice::Dice;
use super::ledger::{self, Change, Operation};
use super::page::{Actor, Page};
use super::{at, days};
use waymark_kernel::clock::Timestamp;
use waymark_kinds::credits::rules::EXPIRES_AFTER_SEASON_SECONDS;
use waymark_kinds::seasons::rules;
use waymark_kinds::seasons::rules::Schedule;
use waymark_transfer::records::{self, At, Budget, Enrolment, Goal, GoalProgress, Pause, PauseMode, Record, WeekTitle};
use waymark_vocabulary::HistoryKind;

const DAY_SECONDS: i64 = 24 * 60 * 60;
const WEEK_SECONDS: i64 = 7 * DAY_SECONDS;
const CREDIT: i64 = 1_000_000;

/// The key of the first season, by which demo data is recognized.
pub(super) const FIRST_KEY: &str = "first-light";
/// How long before the day of the data its seasons were written down.
pub(super) const CREATED_DAYS_AGO: i64 = 200;

/// How a user does in a season.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effort {
    /// Never enrolled.
    Absent,
    /// Reached and claimed everything there was to reach.
    All,
    /// Has goals in every state: untouched, under way, complete, claimed, and so on in turn.
    EveryState,
    /// Reaches so many goals of a hundred.
    Some(i64),
}

/// A season of the demo catalogue with all that belongs to it.
#[derive(Debug)]
pub(super) struct Season {
    record: records::Season,
    pauses: Vec<rules::Pause>,
    goals: Vec<Goal>,
}

/// What is particular about a season.
struct Outline {
    key: &'static str,
    title: &'static str,
    description: &'static str,
    starts_in_days: i64,
    weeks: i64,
    /// First day, counted from the season's start, and length of its pause.
    pause_days: Option<(i64, i64)>,
    week_titles: &'static [&'static str],
    budgets: bool,
}

const OUTLINES: [Outline; 3] = [
    Outline {
        key: FIRST_KEY,
        title: "Season 1: First Light",
        description: "Twelve weeks to get to know the place.",
        starts_in_days: -140,
        weeks: 12,
        pause_days: Some((30, 3)),
        week_titles: &["Arrivals", "Settling In", "Neighbours"],
        budgets: true,
    },
    Outline {
        key: "rising-tide",
        title: "Season 2: Rising Tide",
        description: "Bigger goals, better rewards, and something new every week.",
        starts_in_days: -24,
        weeks: 12,
        pause_days: Some((7, 2)),
        week_titles: &["Low Water", "Slack Tide", "First Swell", "Spring Tide", "Driftwood", "Lighthouse Week"],
        budgets: true,
    },
    Outline {
        key: "high-summer",
        title: "Season 3: High Summer",
        description: "Ten long days disguised as ten weeks.",
        starts_in_days: 69,
        weeks: 10,
        pause_days: None,
        week_titles: &[],
        budgets: false,
    },
];

/// Title, description, steps and reward in whole credits.
type Task = (&'static str, &'static str, i32, i64);

const SEASON_GOALS: [Task; 4] = [
    ("Regular", "Be there on twenty different days.", 20, 25),
    ("Explorer", "Visit thirty places you have not seen before.", 30, 30),
    ("Good Company", "Attend eight events together with friends.", 8, 20),
    ("Curator", "Collect fifteen wearables made by others.", 15, 40),
];

const WEEKLY_GOALS: [Task; 14] = [
    ("Show Your Face", "Log in on three days of the week.", 3, 2),
    ("Jump In", "Visit five places.", 5, 3),
    ("Small Talk", "Chat with four people nearby.", 4, 2),
    ("Front Row", "Attend two live events.", 2, 5),
    ("Snapshot", "Take six photos worth keeping.", 6, 3),
    ("Dressed Up", "Change your outfit and go out in it.", 1, 1),
    ("Dance Floor", "Dance for ten minutes, one minute at a time.", 10, 4),
    ("Treasure Hunt", "Find seven hidden tokens.", 7, 6),
    ("Helping Hand", "Answer three questions of newcomers.", 3, 5),
    ("Marathon", "Walk twelve kilometres.", 12, 6),
    ("Quiz Night", "Win two rounds of any quiz.", 2, 4),
    ("Builder", "Place eight items in your own scene.", 8, 5),
    ("Postcard", "Send two invitations.", 2, 2),
    ("Early Bird", "Be among the first five at an event.", 1, 3),
];

/// How many goals a week has.
const GOALS_PER_WEEK: i64 = 3;

/// The most that the goals of a season may grant in a database of `users` users, in micros.
const fn budget_micros(users: i64) -> i64 {
    250_000 * CREDIT * (users / 2000 + 1)
}

/// The seasons as seen from `day`, with budgets for so many users.
pub(super) fn catalogue(day: Timestamp, users: i64) -> Vec<Season> {
    OUTLINES.iter().map(|outline| Season::new(outline, day, budget_micros(users))).collect()
}

impl Season {
    fn new(outline: &Outline, day: Timestamp, cap_micros: i64) -> Self {
        let starts_at = days(day, outline.starts_in_days);
        let created_at = at(days(day, -CREATED_DAYS_AGO));
        let pauses = outline.pause_days.map(|(first, length)| rules::Pause {
            from: days(starts_at, first),
            until: Some(days(starts_at, first + length)),
        });
        let budget = |week: i32| Budget { week: Some(week).filter(|week| *week > 0), cap_micros, spent_micros: 0 };
        let weeks = (0..=i32::try_from(outline.weeks).unwrap_or_default()).filter(|_| outline.budgets);
        let record = records::Season {
            retired_at: None,
            key: outline.key.to_owned(),
            title: outline.title.to_owned(),
            description: outline.description.to_owned(),
            starts_at: At(starts_at),
            duration_seconds: outline.weeks * WEEK_SECONDS,
            week_length_seconds: WEEK_SECONDS,
            ended_at: None,
            pause_mode: PauseMode::Freeze,
            weeks: outline
                .week_titles
                .iter()
                .zip(1..)
                .map(|(title, number)| WeekTitle { number, title: (*title).to_owned() })
                .collect(),
            pauses: pauses.iter().map(|pause| Pause { from: At(pause.from), until: pause.until.map(At) }).collect(),
            budgets: weeks.map(budget).collect(),
            created_at,
            updated_at: created_at,
        };

        let mut goals = Vec::new();
        let mut add = |(title, description, total_steps, credits): Task, week: Option<i32>| {
            let position = i32::try_from(goals.len()).unwrap_or(i32::MAX) + 1;
            let key = match week {
                None => format!("{}-{position}", outline.key),
                Some(week) => format!("{}-week-{week}-{position}", outline.key),
            };
            goals.push(Goal {
                key,
                season: outline.key.to_owned(),
                week,
                position,
                title: title.to_owned(),
                description: description.to_owned(),
                thumbnail: None,
                reward_micros: credits * CREDIT,
                total_steps,
                retired_at: None,
            });
        };
        for goal in SEASON_GOALS {
            add(goal, None);
        }
        let weekly = (0..outline.weeks * GOALS_PER_WEEK).zip(WEEKLY_GOALS.into_iter().cycle());
        for (place, goal) in weekly {
            add(goal, i32::try_from(place / GOALS_PER_WEEK + 1).ok());
        }
        Self { record, pauses: pauses.into_iter().collect(), goals }
    }

    /// The record of the season.
    pub(super) fn record(&self) -> Record {
        Record::Season(self.record.clone())
    }

    /// The records of its goals.
    pub(super) fn goals(&self) -> impl Iterator<Item = Record> {
        self.goals.iter().cloned().map(Record::Goal)
    }

    fn schedule(&self) -> Schedule<'_> {
        Schedule {
            starts_at: self.record.starts_at.0,
            duration_seconds: self.record.duration_seconds,
            week_length_seconds: self.record.week_length_seconds,
            ended_at: None,
            pause_mode: rules::PauseMode::Freeze,
            pauses: &self.pauses,
        }
    }

    /// When the season's clock has run for `active` milliseconds; never inside a pause.
    fn at(&self, active: i64) -> Timestamp {
        let at = self.record.starts_at.0.plus_millis(active);
        self.pauses.iter().fold(at, |at, pause| match pause.until {
            Some(until) if pause.from <= at => at.plus_millis(until.millis_since(pause.from)),
            _ => at,
        })
    }

    /// Lets the user of `page` take part.
    pub(super) fn take_part(&self, page: &mut Page<'_>, effort: Effort, dice: &mut Dice) {
        let schedule = self.schedule();
        let over = schedule.clock(page.day).active_millis;
        let joined = schedule.clock(page.person.joined_at.plus_seconds(3600)).active_millis;
        if effort == Effort::Absent || joined >= over {
            return;
        }
        let enrolled = match effort {
            Effort::Some(_) => joined + dice.below((over - joined) / 3),
            _ => joined + 1,
        };
        let (season, enrolled_at) = (&self.record.key, self.at(enrolled));
        let enrolment = Enrolment { user: page.ulid.clone(), season: season.clone(), at: at(enrolled_at) };
        page.records.push(Record::Enrolment(enrolment));
        page.tell(enrolled_at, HistoryKind::Enrolled, Actor::Themselves, "season", season, json!({}));

        let mut reachable = 0;
        for goal in &self.goals {
            let (from, until) = goal.week.map_or((0, over), |week| {
                let week = i64::from(week) * WEEK_SECONDS * 1000;
                (week - WEEK_SECONDS * 1000, week.min(over))
            });
            let from = from.max(enrolled + 1);
            if from >= until {
                continue;
            }
            let (steps, claims) = aims(effort, goal.total_steps, reachable, dice);
            reachable += 1;
            if let Some(last) = self.make_steps(page, goal, steps, (from, until), dice)
                && claims
            {
                let latest = over.min(last + 20 * 3600 * 1000);
                let claimed_at = self.at(last + 1 + dice.below(latest - last - 1));
                self.claim(page, goal, claimed_at);
            }
        }
    }

    /// Records `steps` of the goal within a stretch of the season's clock; returns when they completed it.
    fn make_steps(
        &self,
        page: &mut Page<'_>,
        goal: &Goal,
        steps: i32,
        (from, until): (i64, i64),
        dice: &mut Dice,
    ) -> Option<i64> {
        let times = dice.ascending(usize::try_from(steps.clamp(0, 3)).unwrap_or_default(), from, until);
        let parts = i32::try_from(times.len()).unwrap_or_default();
        let last = *times.last()?;
        let mut completed_steps = 0;
        for (time, part) in times.into_iter().zip(1..) {
            let added = steps * part / parts - completed_steps;
            completed_steps += added;
            let changes = json!({ "added": added, "completedSteps": completed_steps, "totalSteps": goal.total_steps });
            page.tell(self.at(time), HistoryKind::GoalSteps, Actor::App, "goal", &goal.key, changes);
        }
        let completed_at = (completed_steps >= goal.total_steps).then(|| self.at(last));
        if let Some(at) = completed_at {
            let changes = json!({ "totalSteps": goal.total_steps });
            page.tell(at, HistoryKind::GoalCompleted, Actor::App, "goal", &goal.key, changes);
        }
        page.records.push(Record::GoalProgress(GoalProgress {
            user: page.ulid.clone(),
            goal: goal.key.clone(),
            completed_steps,
            completed_at: completed_at.map(At),
            at: at(self.at(last)),
        }));
        completed_at.map(|_| last)
    }

    fn claim(&self, page: &mut Page<'_>, goal: &Goal, at: Timestamp) {
        if ledger::is_blocked_for_claiming(&page.person.blocks, at) {
            return;
        }
        let ends_at = self.schedule().clock(at).end_at;
        let change = Change::Claim {
            goal: goal.key.clone(),
            micros: goal.reward_micros,
            expires_at: ends_at.plus_seconds(EXPIRES_AFTER_SEASON_SECONDS),
        };
        page.operations.push(Operation { at, change });
    }
}

/// How many steps of a goal a user makes, and whether they claim it; `place` counts the goals they could reach.
fn aims(effort: Effort, total_steps: i32, place: usize, dice: &mut Dice) -> (i32, bool) {
    match (effort, place % 4) {
        (Effort::Absent, _) | (Effort::EveryState, 0) => (0, false),
        (Effort::EveryState, 1) => (total_steps / 2, false),
        (Effort::EveryState, 2) => (total_steps, false),
        (Effort::All | Effort::EveryState, _) => (total_steps, true),
        (Effort::Some(percent), _) => {
            if dice.chance(percent) {
                (total_steps, dice.chance(75))
            } else if dice.chance(50) {
                (i32::try_from(dice.below(total_steps.into())).unwrap_or_default(), false)
            } else {
                (0, false)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use waymark_kinds::seasons::rules::SeasonState;

    fn day() -> Timestamp {
        Timestamp::parse("2026-06-01T00:00:00Z").unwrap()
    }

    #[test]
    fn one_season_is_over_one_runs_and_one_is_to_come_all_day_long() {
        let seasons = catalogue(day(), 0);
        for hour in [0, 23] {
            let now = day().plus_seconds(hour * 3600 + 3599);
            let states: Vec<_> = seasons.iter().map(|season| season.schedule().clock(now).state).collect();
            assert_eq!(states, [SeasonState::Ended, SeasonState::Active, SeasonState::NotStarted]);
            assert_eq!(seasons[1].schedule().clock(now).week.map(|week| week.number), Some(4));
        }
        assert!(!seasons[1].schedule().overlaps(&seasons[2].schedule(), day()));
        assert!(!seasons[0].schedule().overlaps(&seasons[1].schedule(), day()));
    }

    #[test]
    fn every_week_of_every_season_has_goals() {
        for season in catalogue(day(), 0) {
            for week in 1..=season.record.duration_seconds / WEEK_SECONDS {
                let goals = season.goals.iter().filter(|goal| goal.week.map(i64::from) == Some(week)).count();
                assert_eq!(goals, 3, "week {week} of {}", season.record.key);
            }
            assert_eq!(season.goals.iter().filter(|goal| goal.week.is_none()).count(), 4);
        }
    }

    #[test]
    fn an_instant_of_the_seasons_clock_is_found_behind_its_pause() {
        for season in catalogue(day(), 0) {
            for active in [0, 1, 6 * 86_400_000, 7 * 86_400_000, 30 * 86_400_000 + 5, 60 * 86_400_000] {
                let clock = season.schedule().clock(season.at(active));
                assert_eq!((clock.active_millis, clock.state), (active, SeasonState::Active));
            }
        }
    }
}
