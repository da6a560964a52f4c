//! Seasons and goals: records, how they are exported, and as facts that the feature takes.

#![expect(missing_docs, reason = "docs/import.md describes every member, and a test compares the two")]

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::export::{Export, Users, at, each, each_of};
use crate::import::catalogue::{OPERATOR, retired, take, telling};
use crate::import::{Item, Work, only};
use crate::ranges::{Members, Said};
use crate::records::{At, Record};
use crate::sql;
use waymark_kernel::error::Result;
use waymark_kernel::limits;
pub use waymark_kinds::seasons::entity::PauseMode;
use waymark_kinds::seasons::entity::{budget, enrolment, goal, goal_progress, pause, season, week};
use waymark_kinds::seasons::operate::{GivenBudget, GivenGoal, ToldSeason, UpsertSeason, take_goals, take_seasons};
use waymark_kinds::seasons::rules;
use waymark_kinds::seasons::told::{ToldEnrolment, ToldSteps, take_told};
use waymark_vocabulary::ids::Kind;
use waymark_write::Telling;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Season {
    pub key: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub starts_at: At,
    pub duration_seconds: i64,
    #[serde(default = "week")]
    pub week_length_seconds: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<At>,
    #[serde(default = "freeze")]
    pub pause_mode: PauseMode,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weeks: Vec<WeekTitle>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pauses: Vec<Pause>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

const fn week() -> i64 {
    604_800
}

const fn freeze() -> PauseMode {
    PauseMode::Freeze
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WeekTitle {
    pub number: i32,
    pub title: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pause {
    pub from: At,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// Absent: the whole season.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub week: Option<i32>,
    pub cap_micros: i64,
    #[serde(default)]
    pub spent_micros: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Goal {
    pub key: String,
    pub season: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub week: Option<i32>,
    #[serde(default)]
    pub position: i32,
    pub title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
    pub reward_micros: i64,
    pub total_steps: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Enrolment {
    pub user: String,
    pub season: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GoalProgress {
    pub user: String,
    pub goal: String,
    pub completed_steps: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
}

impl Said for Season {
    fn ranged(&self, all: &mut Members) {
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
        } = self;
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
}

impl Said for Goal {
    fn ranged(&self, all: &mut Members) {
        let Goal {
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
        } = self;
        all.happened("retiredAt", *retired_at);
        all.number("week", week.map(i64::from), limits::WEEK);
        all.number("position", i64::from(*position), limits::POSITION);
        all.number("rewardMicros", *reward_micros, limits::REWARD_MICROS);
        all.number("totalSteps", i64::from(*total_steps), limits::TOTAL_STEPS);
    }
}

impl Said for Enrolment {
    fn ranged(&self, all: &mut Members) {
        let Enrolment { user: _, season: _, at } = self;
        all.happened("at", *at);
    }
}

impl Said for GoalProgress {
    fn ranged(&self, all: &mut Members) {
        let GoalProgress { user: _, goal: _, completed_steps, completed_at, at } = self;
        all.number("completedSteps", i64::from(*completed_steps), limits::COMPLETED_STEPS);
        all.happened("completedAt", *completed_at);
        all.happened("at", *at);
    }
}

impl Export<'_> {
    pub(super) async fn seasons(&mut self, wanted: bool) -> Result<()> {
        let mut weeks: HashMap<i64, Vec<WeekTitle>> = HashMap::new();
        for row in sql::all::<week::Model>(self.transaction, "t.season_id, t.number").await? {
            weeks.entry(row.season_id).or_default().push(WeekTitle { number: row.number, title: row.title });
        }
        let mut pauses: HashMap<i64, Vec<Pause>> = HashMap::new();
        for row in sql::all::<pause::Model>(self.transaction, "t.season_id, t.from_at").await? {
            let pause = Pause { from: At(row.from_at), until: row.until_at.map(At) };
            pauses.entry(row.season_id).or_default().push(pause);
        }
        let mut budgets: HashMap<i64, Vec<Budget>> = HashMap::new();
        for row in sql::all::<budget::Model>(self.transaction, "t.season_id, t.week").await? {
            let week = (row.week > 0).then_some(row.week);
            let budget = Budget { week, cap_micros: row.cap_micros, spent_micros: row.spent_micros };
            budgets.entry(row.season_id).or_default().push(budget);
        }
        each!(self, season::Model, "true", row => {
            self.keys.note(Kind::Season, row.id, &row.key);
            wanted.then_some(Record::Season(Season {
                key: row.key,
                title: row.title,
                description: row.description,
                starts_at: At(row.starts_at),
                duration_seconds: row.duration_seconds,
                week_length_seconds: row.week_length_seconds,
                ended_at: row.ended_at.map(At),
                pause_mode: row.pause_mode,
                weeks: weeks.remove(&row.id).unwrap_or_default(),
                pauses: pauses.remove(&row.id).unwrap_or_default(),
                budgets: budgets.remove(&row.id).unwrap_or_default(),
                retired_at: row.retired_at.map(At),
                created_at: at(row.created_at),
                updated_at: at(row.updated_at),
            }))
        });
        each!(self, goal::Model, "true", row => {
            self.keys.note(Kind::Goal, row.id, &row.key);
            wanted.then_some(Record::Goal(Goal {
                season: self.keys.of(Kind::Season, row.season_id)?,
                key: row.key,
                week: row.week,
                position: row.position,
                title: row.title,
                description: row.description,
                thumbnail: row.thumbnail,
                reward_micros: row.reward_micros,
                total_steps: row.total_steps,
                retired_at: row.retired_at.map(At),
            }))
        });
        Ok(())
    }

    pub(super) async fn seasons_of(&mut self, users: &Users) -> Result<()> {
        each_of!(self, users, enrolment::Model, season_id, row => Some(Record::Enrolment(Enrolment {
            user: users.ulid(row.user_id)?,
            season: self.keys.of(Kind::Season, row.season_id)?,
            at: at(row.enrolled_at),
        })));
        each_of!(self, users, goal_progress::Model, goal_id, row => Some(Record::GoalProgress(GoalProgress {
            user: users.ulid(row.user_id)?,
            goal: self.keys.of(Kind::Goal, row.goal_id)?,
            completed_steps: row.completed_steps,
            completed_at: row.completed_at.map(At),
            at: at(row.updated_at),
        })));
        Ok(())
    }
}

/// Takes seasons and their goals.
pub(super) async fn take_catalogue(work: &mut Work<'_>) -> Result<()> {
    take!(work, Season, take_seasons, told_season);
    take!(work, Goal, take_goals, told_goal);
    Ok(())
}

fn told_season(record: &Season, has_history: bool) -> ToldSeason {
    let season = UpsertSeason {
        operator: OPERATOR,
        key: record.key.clone(),
        title: Some(record.title.clone()),
        description: Some(record.description.clone()),
        starts_at: Some(record.starts_at.0),
        duration_seconds: Some(record.duration_seconds),
        week_length_seconds: Some(record.week_length_seconds),
        pause_mode: Some(match record.pause_mode {
            PauseMode::Freeze => rules::PauseMode::Freeze,
            PauseMode::RunOn => rules::PauseMode::RunOn,
        }),
        retired: retired(record.retired_at),
        weeks: record.weeks.iter().map(|week| (week.number, Some(week.title.clone()))).collect(),
        budgets: record
            .budgets
            .iter()
            .map(|budget| GivenBudget { week: budget.week, cap_micros: Some(budget.cap_micros) })
            .collect(),
        goals: Vec::new(),
        remove_goals: Vec::new(),
        dry_run: false,
    };
    let pause = |pause: &Pause| rules::Pause { from: pause.from.0, until: pause.until.map(|at| at.0) };
    ToldSeason {
        season,
        ended_at: record.ended_at.map(|at| at.0),
        pauses: record.pauses.iter().map(pause).collect(),
        spent_micros: record.budgets.iter().map(|budget| budget.spent_micros).collect(),
        telling: telling(has_history, record.created_at, record.updated_at),
    }
}

fn told_goal(record: &Goal, has_history: bool) -> (&str, GivenGoal, Telling) {
    let goal = GivenGoal {
        key: record.key.clone(),
        position: Some(record.position),
        week: Some(record.week),
        title: Some(record.title.clone()),
        description: Some(record.description.clone()),
        thumbnail: Some(record.thumbnail.clone()),
        reward_micros: Some(record.reward_micros),
        total_steps: Some(record.total_steps),
        retired: retired(record.retired_at),
    };
    (&record.season, goal, telling(has_history, None, None))
}

/// Takes enrolments and steps.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let enrolments = work.items(only!(Enrolment));
    let steps = work.items(only!(GoalProgress));
    if enrolments.is_empty() && steps.is_empty() {
        return Ok(());
    }
    let told_enrolments: Vec<_> = enrolments
        .iter()
        .map(|Item { user, record, origin, .. }| ToldEnrolment {
            user: *user,
            season: &record.season,
            at: record.at.map(|at| at.0),
            origin: *origin,
        })
        .collect();
    let told_steps: Vec<_> = steps
        .iter()
        .map(|Item { user, record, origin, .. }| ToldSteps {
            user: *user,
            goal: &record.goal,
            completed_steps: record.completed_steps,
            completed_at: record.completed_at.map(|at| at.0),
            at: record.at.map(|at| at.0),
            origin: *origin,
        })
        .collect();
    let (of_enrolments, of_steps) = take_told(&mut work.unit, &told_enrolments, &told_steps).await?;
    work.note(enrolments.iter().map(|item| item.at).zip(of_enrolments));
    work.note(steps.iter().map(|item| item.at).zip(of_steps));
    Ok(())
}
