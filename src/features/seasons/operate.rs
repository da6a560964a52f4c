//! Writing seasons and their goals, and pausing, resuming and ending them.
//!
//! Whatever is done to a season may be tried first: then nothing changes, and the answer says what would have.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::delete::in_progress;
use super::entity::{budget, goal, goal_progress, season};
use super::repo;
use super::rules::{self, Pause, PauseMode, SeasonState};
use super::{Goal, Season, Seasons};
use waymark_auth::policy::Operator;
use waymark_db::catalogue::Part as _;
use waymark_db::edits::Edits;
use waymark_db::rows::{self, Spans};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_kernel::limits;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{Refusal, UserErrorCode};
use waymark_write::told as told_reasons;
use waymark_write::{Checks, HistoryKind, Notes, Origin, Patch, Retire, Taken, Telling, Unit, Write, arranged};

/// The most goals that a season may have.
pub const MOST_GOALS: usize = 1000;
/// The most weeks and budgets that one write may name.
pub const MOST_WEEKS: usize = 1000;
const WEEK_SECONDS: i64 = 7 * 24 * 60 * 60;

/// What came of an edit of a season.
#[derive(Debug, Serialize, Deserialize)]
pub struct SeasonEdited {
    /// Whether the season was not there before.
    pub created: bool,
    /// Why nothing was done; empty when it was, or would be.
    pub refusals: Vec<Refusal>,
    /// What it changes for the season's clock and for other seasons; `None` when it was refused.
    pub effect: Option<Effect>,
}

impl SeasonEdited {
    const fn refused(refusals: Vec<Refusal>) -> Self {
        Self { created: false, refusals, effect: None }
    }
}

/// What an edit changes for a season's clock and for other seasons.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Effect {
    /// `None` when the season is new.
    pub before: Option<Standing>,
    /// Where the season stands once it is edited.
    pub after: Standing,
    /// How many goals could be worked on before.
    pub open_goals: usize,
    /// Other seasons whose start moves.
    pub moved: Vec<Moved>,
}

/// Where a season stands.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Standing {
    /// Whether it is to come, running, paused or over.
    pub state: SeasonState,
    /// When it starts, pushed back where the season before it lasts longer.
    pub starts_at: Timestamp,
    /// With all pauses that are known.
    pub ends_at: Timestamp,
}

/// A season whose start moves because another one was edited.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Moved {
    /// The operator's key of the season.
    pub key: String,
    /// When it was to start before the edit.
    pub before: Timestamp,
    /// When it starts after the edit.
    pub after: Timestamp,
}

impl Effect {
    /// What it changes for the season of this key that `before` becomes `after`.
    fn of(before: &Seasons, after: &Seasons, key: &str, now: Timestamp) -> Result<Self> {
        let standing = |seasons: &Seasons| {
            let (_, schedule) = seasons.by_key(key, now)?;
            Some(Standing {
                state: schedule.clock(now).state,
                starts_at: schedule.starts_at,
                ends_at: schedule.planned_end_at(now),
            })
        };
        let open_goals = before.by_key(key, now).map_or(0, |(season, schedule)| {
            let clock = schedule.clock(now);
            let runs = matches!(clock.state, SeasonState::Active | SeasonState::Paused);
            let is_open =
                |goal: &&Arc<Goal>| runs && goal.retired_at.is_none() && rules::is_current_goal(goal.week, &clock);
            season.goals.iter().filter(is_open).count()
        });
        let starts: HashMap<i64, Timestamp> =
            before.scheduled(now).map(|(season, schedule)| (season.id, schedule.starts_at)).collect();
        let moved = after.scheduled(now).filter(|(season, _)| season.key != key).filter_map(|(season, schedule)| {
            let before = starts.get(&season.id).copied().filter(|before| *before != schedule.starts_at)?;
            Some(Moved { key: season.key.clone(), before, after: schedule.starts_at })
        });
        Ok(Self {
            before: standing(before),
            after: standing(after).ok_or_else(|| Error::internal("the season that was edited is not there"))?,
            open_goals,
            moved: moved.collect(),
        })
    }
}

/// Adds a season or changes it, with its goals, the names of its weeks and its budgets. What is not given stays as it
/// is.
#[derive(Debug, Serialize)]
pub struct UpsertSeason {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// The operator's key of the season.
    pub key: String,
    /// The title for people, 1 to 200 characters; `None`: unchanged.
    pub title: Option<String>,
    /// The description for people, at most 5,000 characters; `None`: unchanged.
    pub description: Option<String>,
    /// When it begins; `None`: unchanged.
    pub starts_at: Option<Timestamp>,
    /// How long it lasts without pauses, in seconds; `None`: unchanged.
    pub duration_seconds: Option<i64>,
    /// How long a week of it is, in seconds; `None`: unchanged, 604,800 for a new one.
    pub week_length_seconds: Option<i64>,
    /// What a pause does to its clock; `None`: unchanged, frozen for a new one.
    pub pause_mode: Option<PauseMode>,
    /// Whether it is retired; `None`: unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<Retire>,
    /// Weeks and their titles; `None` takes a title away.
    pub weeks: Vec<(i32, Option<String>)>,
    /// Budgets that change; the others stay.
    pub budgets: Vec<GivenBudget>,
    /// Goals to be added or changed, in their order; goals that are not listed stay.
    pub goals: Vec<GivenGoal>,
    /// Keys of goals to be removed.
    pub remove_goals: Vec<String>,
    /// Whether it is only tried: nothing is stored, and the outcome says what would change.
    pub dry_run: bool,
}

/// A budget of a season or of one of its weeks.
#[derive(Debug, Serialize)]
pub struct GivenBudget {
    /// `None`: the whole season.
    pub week: Option<i32>,
    /// `None`: without a bound from now on.
    pub cap_micros: Option<i64>,
}

/// A goal to be added or changed.
#[derive(Debug, Serialize)]
pub struct GivenGoal {
    /// The operator's key, unique among the goals of all seasons.
    pub key: String,
    /// Its place among those of the season; `None`: as it is listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i32>,
    /// The week in which its steps count, from 1; `None`: unchanged, `Some(None)`: the whole season.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub week: Option<Option<i32>>,
    /// The title for people, 1 to 200 characters; `None`: unchanged.
    pub title: Option<String>,
    /// What has to be done, at most 5,000 characters; `None`: unchanged.
    pub description: Option<String>,
    /// The address of its picture; `None`: unchanged, `Some(None)`: no picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<Option<String>>,
    /// What a claim grants, in micros of a credit; `None`: unchanged, 0 for a new one.
    pub reward_micros: Option<i64>,
    /// How many steps complete it, 1 to 1,000,000; `None`: unchanged.
    pub total_steps: Option<i32>,
    /// Whether it is retired; `None`: unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<Retire>,
}

impl Write for UpsertSeason {
    const NAME: &'static str = "upsertSeason";
    const CATALOGUE: bool = true;

    type Outcome = SeasonEdited;

    fn may_be_abandoned(&self) -> bool {
        self.dry_run
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<SeasonEdited> {
        // All writes wait for the lock, and no index leads from goals to progress with them.
        if self.removes_what_is_in_progress(unit).await?
            && let Err(refusals) =
                self.edit(unit, &Seasons::read(unit.transaction()).await?, None, Checks::default()).await?
        {
            return Ok(SeasonEdited::refused(refusals));
        }
        unit.lock_catalogue().await?;
        let seasons = Seasons::read(unit.transaction()).await?;
        let edit = match self.edit(unit, &seasons, None, Checks::default()).await? {
            Ok(edit) => edit,
            Err(refusals) => return Ok(SeasonEdited::refused(refusals)),
        };
        let edited = SeasonEdited { created: edit.created, refusals: Vec::new(), effect: Some(edit.effect.clone()) };
        if self.dry_run {
            unit.abandon();
        } else {
            edit.store(unit, Telling::NOW).await?;
        }
        Ok(edited)
    }
}

/// What a file tells of a season, without its goals: all there is to say of it.
#[derive(Debug)]
pub struct ToldSeason {
    /// What it is like. Weeks and budgets that are not named go.
    pub season: UpsertSeason,
    /// When the operator ended it; `None`: it runs its course.
    pub ended_at: Option<Timestamp>,
    /// Its pauses.
    pub pauses: Vec<Pause>,
    /// What was granted of each budget, in micros, as an export says.
    pub spent_micros: Vec<i64>,
    /// How it comes to be written.
    pub telling: Telling,
}

/// Takes what a file tells of seasons.
pub async fn take_seasons(unit: &mut Unit<'_>, told: &[ToldSeason]) -> Result<Vec<Taken>> {
    let mut taken = Vec::with_capacity(told.len());
    if told.is_empty() {
        return Ok(taken);
    }
    let mut seasons = Seasons::read(unit.transaction()).await?;
    for one in told {
        let checks = one.telling.check(Kind::Season, &one.season.key);
        taken.push(match one.season.edit(unit, &seasons, Some(one), checks).await? {
            Ok(mut edit) => {
                if let Some(after) = edit.after.take() {
                    seasons = after;
                }
                Ok(edit.store(unit, one.telling).await?)
            }
            Err(refusals) => Err(told_reasons(&refusals)),
        });
    }
    Ok(taken)
}

/// Takes what a file tells of goals, each with the key of its season.
pub async fn take_goals(unit: &mut Unit<'_>, told: &[(&str, GivenGoal, Telling)]) -> Result<Vec<Taken>> {
    let named = told.iter().map(|(season, ..)| *season);
    let seasons = Edits::<season::Model>::read(unit.transaction(), named, |row| &row.key).await?;
    let seasons: HashMap<String, Season> = seasons.all().map(|row| (row.key.clone(), row.clone().into())).collect();
    let given = told.iter().filter_map(|(season, goal, _)| Some((seasons.get(*season)?.id, goal)));
    let mut goals = Goals::read(unit, given, &[]).await?;
    let mut taken = Vec::with_capacity(told.len());
    for (season, goal, telling) in told {
        let mut checks = telling.check(Kind::Goal, &goal.key);
        let Some(season) = seasons.get(*season) else {
            taken.push(Err(format!("there is no season {season:?}")));
            continue;
        };
        let mut is_news = false;
        if !checks.failed() {
            let is_new = goals.rows.get(&goal.key).is_none();
            let position = goal.position.unwrap_or_default();
            is_news = goals.put(&mut checks, season, goal, position, *telling);
            if let Some(message) = goals.too_many(season.id, *telling).filter(|_| is_news && is_new) {
                goals.put_back(season.id, &goal.key);
                checks.invalid("", message);
            }
        }
        taken.push(checks.taken(is_news));
    }
    goals.store(unit).await?;
    Ok(taken)
}

/// A season as it will be, with all that belongs to it.
struct Edit {
    created: bool,
    row: season::Model,
    patch: Patch,
    /// All seasons.
    after: Option<Seasons>,
    effect: Effect,
    /// `None`: as they are.
    pauses: Option<Vec<Pause>>,
    /// Weeks that get a title, or lose it.
    titles: Vec<(i32, Option<String>)>,
    budgets: Budgets,
    goals: Goals,
    removed_goals: Vec<i64>,
}

impl Edit {
    /// Stores what changes. Whether anything does.
    async fn store(mut self, unit: &mut Unit<'_>, telling: Telling) -> Result<bool> {
        let transaction = unit.transaction();
        if !self.titles.is_empty() {
            self.patch.note("weeks", &self.titles);
        }
        if let Some(pauses) = &self.pauses {
            let pauses =
                pauses.iter().map(|pause| json!([pause.from.to_string(), pause.until.map(|at| at.to_string())]));
            self.patch.note("pauses", pauses.collect::<Vec<_>>());
        }
        self.budgets.note(&mut self.patch);
        if self.patch.is_empty() && self.goals.notes.is_empty() && !self.created {
            return Ok(false);
        }
        self.row.updated_at = telling.updated_at.unwrap_or(unit.now);
        let (id, key) = (self.row.id, self.row.key.clone());
        repo::store_season(transaction, self.row).await?;
        repo::store_weeks(transaction, id, self.titles).await?;
        repo::store_budgets(transaction, id, self.budgets.stored, self.budgets.removed).await?;
        if let Some(pauses) = self.pauses {
            repo::replace_pauses(transaction, id, pauses).await?;
        }
        repo::remove_goals(transaction, self.removed_goals).await?;
        if telling.is_told() {
            self.goals.notes.note(&key, self.created, self.patch);
        }
        self.goals.store(unit).await?;
        Ok(true)
    }
}

/// What the clock of a season depends on.
fn timing(one: &Season) -> impl PartialEq + use<> {
    let paused: Vec<_> = one.pauses.iter().map(|pause| (pause.from, pause.until)).collect();
    (one.starts_at, one.duration_seconds, one.week_length_seconds, one.pause_mode, one.ended_at, paused)
}

impl UpsertSeason {
    fn blank(&self, id: i64, telling: Telling, now: Timestamp) -> season::Model {
        let created_at = telling.created_at.unwrap_or(now);
        season::Model {
            id,
            key: self.key.clone(),
            title: String::new(),
            description: String::new(),
            starts_at: now,
            duration_seconds: 1,
            week_length_seconds: WEEK_SECONDS,
            ended_at: None,
            pause_mode: PauseMode::Freeze,
            created_at,
            updated_at: created_at,
            retired_at: None,
        }
    }

    /// The season as it will be among the others, or why it cannot be so.
    async fn edit(
        &self,
        unit: &Unit<'_>,
        seasons: &Seasons,
        told: Option<&ToldSeason>,
        mut checks: Checks,
    ) -> Result<Result<Edit, Vec<Refusal>>> {
        let (now, telling) = (unit.now, told.map_or(Telling::NOW, |told| told.telling));
        let stored = Edits::<season::Model>::read(unit.transaction(), [&*self.key], |row| &row.key).await?;
        let before = seasons.by_key(&self.key, now).map(|(season, _)| Arc::clone(season));
        let created = stored.before(&self.key).is_none();
        let mut row =
            stored.get(&self.key).cloned().unwrap_or_else(|| self.blank(stored.new_id(&self.key), telling, now));
        let mut patch = Patch::default();
        self.check(&mut checks, created, now);
        self.put(&mut patch, &mut row, created, telling);
        patch.retire(&mut row.retired_at, self.retired, now);
        let stored_pauses = before.as_ref().map(|season| season.pauses.clone()).unwrap_or_default();
        let mut pauses = stored_pauses.clone();
        if let Some(told) = told {
            if row.ended_at != told.ended_at {
                row.ended_at = told.ended_at;
                patch.note("endedAt", told.ended_at.map(|at| at.to_string()));
            }
            pauses = checked_pauses(&mut checks, &told.pauses);
        }
        let season = Season {
            // Behind another one that starts at the same instant.
            id: if created { i64::MAX } else { row.id },
            pauses: pauses.clone(),
            goals: before.as_ref().map(|season| season.goals.clone()).unwrap_or_default(),
            week_titles: before.as_ref().map(|season| season.week_titles.clone()).unwrap_or_default(),
            ..Season::from(row.clone())
        };
        let weeks = season.week_count();
        let (goals, removed_goals) =
            self.edit_goals(unit, &mut checks, &Season { id: row.id, ..season.clone() }).await?;
        let budgets = self.edit_budgets(unit, &mut checks, (row.id, created, weeks), told).await?;
        self.check_weeks(&mut checks, weeks);
        if checks.failed() {
            return Ok(Err(checks.into_refusals()));
        }
        let is_rescheduled = before.as_deref().map(timing) != Some(timing(&season));
        let is_back = before.as_deref().is_some_and(|before| before.retired_at > season.retired_at);
        let after = seasons.with(season);
        let effect = Effect::of(seasons, &after, &self.key, now)?;
        if (is_rescheduled || is_back)
            && telling.is_told()
            && let Some(refusal) = misplaced(&self.key, (seasons, &after), &effect, (is_rescheduled, is_back), now)
        {
            return Ok(Err(vec![refusal]));
        }
        let titles = self.titles(before.as_deref(), told);
        let pauses = (pauses != stored_pauses).then_some(pauses);
        let after = Some(after);
        Ok(Ok(Edit { created, row, patch, after, effect, pauses, titles, budgets, goals, removed_goals }))
    }

    /// The titles of weeks that change. A file says all there are.
    fn titles(&self, before: Option<&Season>, told: Option<&ToldSeason>) -> Vec<(i32, Option<String>)> {
        let telling = told.map_or(Telling::NOW, |told| told.telling);
        let given = self.weeks.iter().map(|(week, title)| (*week, title.as_deref().map(|title| telling.title(title))));
        let named: HashSet<i32> = self.weeks.iter().map(|(week, _)| *week).collect();
        let there = before.into_iter().flat_map(|season| season.week_titles.keys().copied());
        let gone = there.filter(|week| told.is_some() && !named.contains(week)).map(|week| (week, None));
        let is_news = |(week, title): &(i32, Option<String>)| {
            before.and_then(|season| season.week_titles.get(week)) != title.as_ref()
        };
        given.chain(gone).filter(is_news).collect()
    }

    fn check(&self, checks: &mut Checks, created: bool, now: Timestamp) {
        if created {
            checks.needed("title", self.title.as_ref());
            checks.needed("startDate", self.starts_at.as_ref());
            checks.needed("duration", self.duration_seconds.as_ref());
        }
        checks.title("title", self.title.as_ref());
        checks.description("description", self.description.as_ref());
        checks.range("duration", self.duration_seconds, limits::SEASON_SECONDS);
        checks.range("weekLength", self.week_length_seconds, limits::SEASON_SECONDS);
        if !checks.is_lenient() && self.starts_at.is_some_and(|starts| !limits::starts(now).contains(&starts)) {
            checks.invalid("startDate", "a season starts within a hundred years of now, and not before 1970");
        }
    }

    /// That the weeks that are named are weeks of the season.
    fn check_weeks(&self, checks: &mut Checks, weeks: i64) {
        let mut seen = HashSet::new();
        for (place, (number, title)) in self.weeks.iter().enumerate() {
            checks.enter("weeks", place);
            check_week(checks, "number", Some(*number), weeks);
            checks.title("title", title.as_ref());
            if !seen.insert(*number) {
                checks.invalid("number", format!("the week {number} stands twice in weeks"));
            }
        }
        checks.leave();
    }

    fn put(&self, patch: &mut Patch, row: &mut season::Model, created: bool, telling: Telling) {
        patch.set("title", &mut row.title, self.title.as_deref().map(|title| telling.title(title)).as_ref());
        patch.set("description", &mut row.description, self.description.as_ref());
        patch.set("duration", &mut row.duration_seconds, self.duration_seconds.as_ref());
        patch.set("weekLength", &mut row.week_length_seconds, self.week_length_seconds.as_ref());
        if let Some(starts_at) = self.starts_at.filter(|starts_at| *starts_at != row.starts_at || created) {
            row.starts_at = starts_at;
            patch.note("startDate", starts_at.to_string());
        }
        if let Some(mode) = self.pause_mode.filter(|mode| *mode != row.pause_mode) {
            row.pause_mode = mode;
            patch.note("pauseMode", self.pause_mode);
        }
    }

    /// Tells whether somebody has progress with a goal that is to be removed.
    async fn removes_what_is_in_progress(&self, unit: &Unit<'_>) -> Result<bool> {
        let removed = rows::with_text::<goal::Model>(unit.transaction(), "key", self.remove_goals.clone()).await?;
        let removed: Vec<i64> = removed.iter().map(|goal| goal.id).collect();
        Ok(!in_progress(unit, &removed).await?.is_empty())
    }

    /// The goals as they will be, and those that go.
    async fn edit_goals(&self, unit: &Unit<'_>, checks: &mut Checks, season: &Season) -> Result<(Goals, Vec<i64>)> {
        let mut goals = Goals::read(unit, self.goals.iter().map(|one| (season.id, one)), &self.remove_goals).await?;
        let own = self.remove_goals.iter().filter_map(|key| goals.rows.before(key));
        let own: HashMap<&str, i64> =
            own.filter(|row| row.season_id == season.id).map(|row| (row.key.as_str(), row.id)).collect();
        let removed: Vec<i64> = own.values().copied().collect();
        let touched = in_progress(unit, &removed).await?;
        for (place, key) in self.remove_goals.iter().enumerate() {
            checks.enter("removeGoals", place);
            match own.get(key.as_str()) {
                None => checks.refuse("", UserErrorCode::UnknownGoal, format!("the season has no goal {key:?}")),
                Some(id) if touched.contains(id) => {
                    checks.refuse("", UserErrorCode::InUse, format!("somebody has progress with the goal {key:?}"));
                }
                Some(_) if self.goals.iter().any(|goal| goal.key == *key) => {
                    checks.invalid("", format!("{key:?} stands in goals and in removeGoals"));
                }
                Some(_) => {}
            }
        }
        checks.leave();
        checks.distinct("goals", self.goals.iter().map(|one| one.key.as_str()));
        let positions = goals.positions(season.id, &self.goals);
        if let Some(set) = goals.sets.get_mut(&season.id) {
            for key in &self.remove_goals {
                set.remove(key);
            }
        }
        goals.notes.note_removed(&self.key, &self.remove_goals);
        for ((place, given), position) in self.goals.iter().enumerate().zip(positions) {
            checks.enter("goals", place);
            goals.put(checks, season, given, position, Telling::NOW);
        }
        checks.leave();
        if let Some(message) = goals.too_many(season.id, Telling::NOW) {
            checks.invalid("goals", message);
        }
        let weeks = season.week_count();
        let stays = |goal: &&Arc<Goal>| {
            !self.remove_goals.contains(&goal.key) && !self.goals.iter().any(|one| one.key == goal.key)
        };
        let late = season.goals.iter().filter(stays).find(|goal| goal.week.is_some_and(|week| i64::from(week) > weeks));
        if let Some(late) = late.filter(|_| !checks.is_lenient()) {
            let message = format!("the goal {:?} is of a week that the season would not have", late.key);
            checks.invalid("duration", message);
        }
        Ok((goals, removed))
    }

    /// The budgets as they will be.
    async fn edit_budgets(
        &self,
        unit: &Unit<'_>,
        checks: &mut Checks,
        (season, created, weeks): (i64, bool, i64),
        told: Option<&ToldSeason>,
    ) -> Result<Budgets> {
        let mut budgets = Budgets { stored: Vec::new(), removed: Vec::new(), changes: Vec::new() };
        if self.budgets.is_empty() && told.is_none() {
            return Ok(budgets);
        }
        let (before, granted) = if created {
            (Vec::new(), HashMap::new())
        } else {
            (repo::budgets(unit.transaction(), season).await?, repo::granted(unit.transaction(), season).await?)
        };
        let mut seen = HashSet::new();
        for (place, given) in self.budgets.iter().enumerate() {
            checks.enter("budgets", place);
            check_week(checks, "week", given.week, weeks);
            if !checks.is_lenient() && given.cap_micros.is_some_and(|cap| !limits::BUDGET_MICROS.contains(&cap)) {
                let most = limits::BUDGET_MICROS.end() / 1_000_000;
                checks.invalid("cap", format!("a budget is 0 to {most} credits"));
            }
            let week = given.week.unwrap_or(0);
            if !seen.insert(week) {
                checks.invalid("week", "a budget stands twice in budgets");
            }
            let known = before.iter().find(|row| row.week == week);
            let Some(cap_micros) = given.cap_micros else {
                if known.is_some() {
                    budgets.changes.push(json!({ "week": given.week, "capMicros": null }));
                    budgets.removed.push(week.into());
                }
                continue;
            };
            // A budget that comes late starts with what has been granted without it.
            let spent_micros = known.map_or_else(|| spent_before(&granted, week), |row| row.spent_micros);
            let mut row = budget::Model { season_id: season, week, cap_micros, spent_micros };
            let said = told.and_then(|told| told.spent_micros.get(place)).copied().unwrap_or(0);
            if said > cap_micros {
                checks.invalid("spent", "no more is spent of a budget than its cap");
            }
            if checks.is_lenient() {
                // What was granted since is not forgotten, even if the cap was lowered below it; claims that come along
                // count themselves.
                row.cap_micros = cap_micros.max(spent_micros);
            } else if known.is_none_or(|row| row.cap_micros != cap_micros) && (0..spent_micros).contains(&cap_micros) {
                checks.invalid("cap", "more than that has been granted already");
            }
            if known != Some(&row) {
                budgets.changes.push(json!({ "week": given.week, "capMicros": row.cap_micros }));
                budgets.stored.push(row);
            }
        }
        checks.leave();
        for row in before.iter().filter(|row| told.is_some() && !seen.contains(&row.week)) {
            budgets.changes.push(json!({ "week": Some(row.week).filter(|week| *week > 0), "capMicros": null }));
            budgets.removed.push(row.week.into());
        }
        Ok(budgets)
    }
}

/// Why the season cannot run when it would.
fn misplaced(
    key: &str,
    (before, after): (&Seasons, &Seasons),
    effect: &Effect,
    (is_rescheduled, is_back): (bool, bool),
    now: Timestamp,
) -> Option<Refusal> {
    if is_rescheduled && effect.before.is_some_and(|before| before.state == SeasonState::Ended) {
        let message = format!("the season {:?} is over, and does not run otherwise any more", key);
        return Some(Refusal::new(UserErrorCode::SeasonEnded, message));
    }
    let (season, schedule) = after.by_key(key, now)?;
    let starts_anew = before.by_key(key, now).is_none_or(|(old, scheduled)| {
        old.starts_at != season.starts_at || (is_back && scheduled.starts_at != schedule.starts_at)
    });
    let own = season.schedule();
    // It would have to make way itself, or another one would have to make way for it.
    let behind = (starts_anew && schedule.starts_at != season.starts_at).then(|| {
        let mut others = after.scheduled(now).filter(|(other, _)| other.key != key);
        others.find(|(_, other)| own.overlaps(other, now)).map_or("another one", |(other, _)| other.key.as_str())
    });
    let ahead = || effect.moved.iter().find(|moved| moved.after > moved.before).map(|moved| moved.key.as_str());
    let other = behind.or_else(ahead)?;
    let message = format!("the season {:?} would overlap with {other:?}", key);
    let place = match (is_back, starts_anew) {
        (true, _) => "retired",
        (false, true) => "startDate",
        (false, false) => "duration",
    };
    Some(Refusal::new(UserErrorCode::SeasonOverlap, message).at([place]))
}

/// That a week is one of the season's.
fn check_week(checks: &mut Checks, field: &str, week: Option<i32>, weeks: i64) {
    if let Some(week) = week.filter(|week| !checks.is_lenient() && !(1..=weeks).contains(&i64::from(*week))) {
        checks.invalid(field, format!("the season has {weeks} weeks, and {week} is none of them"));
    }
}

/// Returns the pauses of a season in their order, as a file tells them.
fn checked_pauses(checks: &mut Checks, told: &[Pause]) -> Vec<Pause> {
    let mut pauses = told.to_vec();
    pauses.sort_by_key(|pause| pause.from);
    let is_twice = pauses.windows(2).any(|pair| pair[0].from == pair[1].from);
    if is_twice || pauses.iter().any(|pause| pause.until.is_some_and(|until| until <= pause.from)) {
        checks.invalid("pauses", "pauses begin at different instants, and end after they begin");
    }
    pauses
}

impl GivenGoal {
    fn check(&self, checks: &mut Checks, weeks: i64) {
        check_week(checks, "week", self.week.flatten(), weeks);
        checks.title("title", self.title.as_ref());
        checks.description("description", self.description.as_ref());
        checks.url("thumbnail", self.thumbnail.as_ref().and_then(Option::as_ref));
        if !checks.is_lenient() && self.reward_micros.is_some_and(|reward| !limits::REWARD_MICROS.contains(&reward)) {
            let most = limits::REWARD_MICROS.end() / 1_000_000;
            checks.invalid("reward", format!("a reward is 0 to {most} credits"));
        }
        checks.range("totalSteps", self.total_steps.map(i64::from), limits::TOTAL_STEPS);
    }

    fn blank(&self, id: i64, season_id: i64) -> goal::Model {
        goal::Model {
            id,
            key: self.key.clone(),
            season_id,
            week: None,
            position: 0,
            title: String::new(),
            description: String::new(),
            thumbnail: None,
            reward_micros: 0,
            total_steps: 1,
            retired_at: None,
        }
    }

    /// Puts what was given at `now` into `row`; whether that changes it.
    fn put(&self, row: &mut goal::Model, position: i32, telling: Telling, now: Timestamp) -> bool {
        let before = row.clone();
        row.position = position;
        row.week = self.week.unwrap_or(row.week);
        if let Some(title) = &self.title {
            row.title = telling.title(title);
        }
        if let Some(description) = &self.description {
            row.description.clone_from(description);
        }
        if let Some(thumbnail) = &self.thumbnail {
            row.thumbnail.clone_from(thumbnail);
        }
        row.reward_micros = self.reward_micros.unwrap_or(row.reward_micros);
        row.total_steps = self.total_steps.unwrap_or(row.total_steps);
        row.retired_at = self.retired.map_or(row.retired_at, |retired| retired.of(row.retired_at, now));
        *row != before
    }
}

/// Goals as they are, and as they will be.
struct Goals {
    rows: Edits<goal::Model>,
    /// The positions of the goals of the seasons that get some or whose goals change, by the seasons' ids and the
    /// goals' keys.
    sets: HashMap<i64, HashMap<String, i32>>,
    /// Those that are to move into another week, and whose reward somebody has claimed out of the budget of theirs.
    claimed: BTreeSet<i64>,
    /// The keys of those that take more or fewer steps than before; whether histories are to tell of it.
    resized: Vec<(String, Origin)>,
    notes: Notes,
    now: Timestamp,
}

impl Goals {
    /// Reads goals, each with the id of its season, and those that are to be removed.
    async fn read<'a>(
        unit: &Unit<'_>,
        given: impl Iterator<Item = (i64, &'a GivenGoal)>,
        removed: &'a [String],
    ) -> Result<Self> {
        let transaction = unit.transaction();
        let (seasons, given): (BTreeSet<i64>, Vec<&GivenGoal>) = given.unzip();
        let keys = given.iter().map(|one| &one.key).chain(removed).map(String::as_str);
        let rows = Edits::<goal::Model>::read(transaction, keys, |row| &row.key).await?;
        let mut sets: HashMap<i64, HashMap<String, i32>> = HashMap::new();
        let seasons: Vec<i64> = seasons.into_iter().collect();
        for row in rows::with_int::<goal::Model>(transaction, "season_id", &seasons).await? {
            sets.entry(row.season_id).or_default().insert(row.key, row.position);
        }
        let moved = given.iter().filter_map(|one| {
            let row = rows.before(&one.key)?;
            one.week.is_some_and(|week| week != row.week).then_some(row.id)
        });
        let claimed = repo::claimed_goals(transaction, &moved.collect::<Vec<_>>()).await?;
        Ok(Self { rows, sets, claimed, resized: Vec::new(), notes: Notes::default(), now: unit.now })
    }

    /// The positions of goals in the order in which they are listed.
    fn positions(&self, season: i64, given: &[GivenGoal]) -> impl Iterator<Item = i32> + use<> {
        let there = self.sets.get(&season);
        let taken = given.iter().filter_map(|one| there?.get(&one.key).copied()).collect();
        let last = there.into_iter().flatten().map(|(_, position)| *position).max().unwrap_or(0);
        arranged(taken, last, given.len())
    }

    /// Puts what is given of a goal in its place. Whether that is news.
    fn put(
        &mut self,
        checks: &mut Checks,
        season: &Season,
        given: &GivenGoal,
        position: i32,
        telling: Telling,
    ) -> bool {
        let faults = checks.count();
        let before = self.rows.get(&given.key).cloned();
        let created = before.is_none();
        if let Some(row) = &before {
            if row.season_id != season.id {
                let message = format!("the goal {:?} belongs to another season", given.key);
                checks.refuse("key", UserErrorCode::KeyTaken, message);
            }
            if telling.is_told() && self.claimed.contains(&row.id) && given.week.is_some_and(|week| week != row.week) {
                let message = format!("the reward of {:?} has been claimed; it stays in its week", given.key);
                checks.refuse("week", UserErrorCode::InUse, message);
            }
            // An older export does not know that the goal has come to ask for more.
            if !telling.is_told() && given.total_steps.is_some_and(|steps| steps < row.total_steps) {
                checks.invalid("totalSteps", "an export cannot take steps away from a goal that is there");
            }
        }
        if before.as_ref().is_none_or(|row| row.season_id != season.id) {
            checks.needed("title", given.title.as_ref());
            checks.needed("totalSteps", given.total_steps.as_ref());
        }
        given.check(checks, season.week_count());
        if checks.count() > faults {
            return false;
        }
        let mut row = before.unwrap_or_else(|| given.blank(self.rows.new_id(&given.key), season.id));
        let steps = row.total_steps;
        let is_news = given.put(&mut row, position, telling, self.now) || created;
        if is_news {
            if telling.is_told() {
                self.notes.note_part(&season.key, &given.key, created);
            }
            if !created && row.total_steps != steps {
                self.resized.retain(|(key, _)| *key != given.key);
                self.resized.push((given.key.clone(), telling.origin));
            }
            self.sets.entry(season.id).or_default().insert(given.key.clone(), position);
            self.rows.put(row);
        }
        is_news
    }

    /// Takes a new goal out again.
    fn put_back(&mut self, season: i64, goal: &str) {
        self.sets.entry(season).or_default().remove(goal);
        self.rows.put_back(goal, None);
    }

    /// Why a season cannot have so many goals.
    fn too_many(&self, season: i64, telling: Telling) -> Option<String> {
        let count = self.sets.get(&season).map_or(0, HashMap::len);
        (telling.is_told() && count > MOST_GOALS).then(|| format!("a season has at most {MOST_GOALS} goals"))
    }

    /// Stores what changed, and what follows from it for everybody.
    async fn store(self, unit: &mut Unit<'_>) -> Result<()> {
        self.rows.store(unit.transaction()).await?;
        for (key, origin) in &self.resized {
            let Some(row) = self.rows.get(key) else { continue };
            resize(unit, (row.id, key), row.total_steps, *origin).await?;
        }
        self.notes.audit(unit, "UPSERT_SEASON", Kind::Season, "goals");
        Ok(())
    }
}

/// Carries over to everybody that a goal, by its id and key, takes more or fewer steps than before: who has done them
/// has completed it, and who has not has not.
async fn resize(unit: &mut Unit<'_>, (goal, key): (i64, &str), steps: i32, origin: Origin) -> Result<()> {
    if origin == Origin::Told {
        tell_completions(unit, (goal, key), steps).await?;
    }
    let mut spans = Spans::of::<goal_progress::Model>(unit.transaction()).await?;
    while let Some(span) = spans.next() {
        repo::complete(unit.transaction(), goal, span, steps, unit.now).await?;
        spans.pass(None);
    }
    Ok(())
}

/// Tells the histories of those who have made so many steps of a goal that is not complete yet.
async fn tell_completions(unit: &mut Unit<'_>, (goal, key): (i64, &str), steps: i32) -> Result<()> {
    let mut spans = Spans::of::<goal_progress::Model>(unit.transaction()).await?;
    while let Some(span) = spans.next() {
        let users = repo::reached(unit.transaction(), goal, span, steps).await?;
        spans.pass(users.last());
        unit.lock_more(users.clone()).await?;
        for user in users {
            // Whoever has been merged or erased has no history to go on.
            if unit.user(user).is_ok() {
                let changes = json!({ "totalSteps": steps });
                unit.record(user, HistoryKind::GoalCompleted, (Kind::Goal, key), &changes)?;
            }
        }
    }
    Ok(())
}

/// Returns what has been granted in a season, in micros, as a new budget for this week begins with it; 0: the whole
/// season.
fn spent_before(granted: &HashMap<i32, i64>, week: i32) -> i64 {
    if week == 0 {
        granted.values().copied().fold(0, i64::saturating_add)
    } else {
        granted.get(&week).copied().unwrap_or(0)
    }
}

/// The budgets of a season that change.
struct Budgets {
    stored: Vec<budget::Model>,
    /// Weeks, 0 for the whole season.
    removed: Vec<i64>,
    changes: Vec<Value>,
}

impl Budgets {
    fn note(&self, patch: &mut Patch) {
        if !self.changes.is_empty() {
            patch.note("budgets", &self.changes);
        }
    }
}

/// Pauses a season from now on.
#[derive(Debug, Serialize)]
pub struct PauseSeason {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// The operator's key of the season.
    pub key: String,
    /// `None`: until it is resumed.
    pub until: Option<Timestamp>,
    /// Whether it is only tried: nothing is stored, and the outcome says what would change.
    pub dry_run: bool,
}

/// Lets a paused season go on.
#[derive(Debug, Serialize)]
pub struct ResumeSeason {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// The operator's key of the season.
    pub key: String,
    /// Whether it is only tried: nothing is stored, and the outcome says what would change.
    pub dry_run: bool,
}

/// Ends a season now.
#[derive(Debug, Serialize)]
pub struct EndSeason {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// The operator's key of the season.
    pub key: String,
    /// Whether it is only tried: nothing is stored, and the outcome says what would change.
    pub dry_run: bool,
}

impl Write for PauseSeason {
    const NAME: &'static str = "pauseSeason";
    const CATALOGUE: bool = true;

    type Outcome = SeasonEdited;

    fn may_be_abandoned(&self) -> bool {
        self.dry_run
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<SeasonEdited> {
        turn(unit, &self.key, Turn::Pause(self.until), self.dry_run).await
    }
}

impl Write for ResumeSeason {
    const NAME: &'static str = "resumeSeason";
    const CATALOGUE: bool = true;

    type Outcome = SeasonEdited;

    fn may_be_abandoned(&self) -> bool {
        self.dry_run
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<SeasonEdited> {
        turn(unit, &self.key, Turn::Resume, self.dry_run).await
    }
}

impl Write for EndSeason {
    const NAME: &'static str = "endSeason";
    const CATALOGUE: bool = true;

    type Outcome = SeasonEdited;

    fn may_be_abandoned(&self) -> bool {
        self.dry_run
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<SeasonEdited> {
        turn(unit, &self.key, Turn::End, self.dry_run).await
    }
}

/// What is done to the clock of a season.
#[derive(Debug, Clone, Copy)]
enum Turn {
    Pause(Option<Timestamp>),
    Resume,
    End,
}

impl Turn {
    /// Why it cannot be done to a season in this state.
    fn refusal(self, state: SeasonState, now: Timestamp) -> Option<Refusal> {
        let (code, message) = match (state, self) {
            (SeasonState::NotStarted, _) => (UserErrorCode::SeasonNotStarted, "the season has not begun"),
            (SeasonState::Ended, _) => (UserErrorCode::SeasonEnded, "the season is over"),
            (SeasonState::Paused, Self::Pause(_)) => (UserErrorCode::SeasonPaused, "the season is paused already"),
            (SeasonState::Active, Self::Resume) => (UserErrorCode::SeasonNotPaused, "the season is not paused"),
            (SeasonState::Active, Self::Pause(Some(until)))
                if until <= now || until > now.plus_seconds(limits::LONGEST_SECONDS) =>
            {
                let message = "a pause ends after now, and within ten years";
                return Some(Refusal::new(UserErrorCode::InvalidInput, message).at(["until"]));
            }
            _ => return None,
        };
        Some(Refusal::new(code, message))
    }

    /// Does it to the season in memory.
    fn turn(self, season: &mut Season, now: Timestamp) {
        match self {
            Self::Pause(until) => season.pauses.push(Pause { from: now, until }),
            Self::Resume | Self::End => {
                season.pauses.retain(|pause| pause.from != now);
                for pause in season.pauses.iter_mut().filter(|pause| pause.from < now) {
                    pause.until = Some(pause.until.map_or(now, |until| until.min(now)));
                }
                if matches!(self, Self::End) {
                    season.ended_at = Some(now);
                }
            }
        }
    }
}

/// Does something to the clock of a season.
async fn turn(unit: &mut Unit<'_>, key: &str, turn: Turn, dry_run: bool) -> Result<SeasonEdited> {
    unit.lock_catalogue().await?;
    let before = Seasons::read(unit.transaction()).await?;
    let stored = repo::season(unit.transaction(), key).await?;
    let Some(((season, schedule), row)) = before.by_key(key, unit.now).zip(stored) else {
        let message = format!("there is no season {key:?}");
        return Ok(SeasonEdited::refused(vec![Refusal::new(UserErrorCode::UnknownSeason, message).at(["id"])]));
    };
    if let Some(refusal) = turn.refusal(schedule.clock(unit.now).state, unit.now) {
        return Ok(SeasonEdited::refused(vec![refusal]));
    }
    let mut edited = Season::clone(season);
    turn.turn(&mut edited, unit.now);
    let after = before.with(edited);
    let effect = Effect::of(&before, &after, key, unit.now)?;
    let outcome = SeasonEdited { created: false, refusals: Vec::new(), effect: Some(effect) };
    if dry_run {
        unit.abandon();
        return Ok(outcome);
    }
    let (action, changes) = match turn {
        Turn::Pause(until) => {
            repo::add_pause(unit.transaction(), row.id, Pause { from: unit.now, until }).await?;
            ("PAUSE_SEASON", until.map_or_else(|| json!({}), |until| json!({ "until": until.to_string() })))
        }
        Turn::Resume => {
            repo::end_pauses(unit.transaction(), row.id, unit.now).await?;
            ("RESUME_SEASON", json!({}))
        }
        Turn::End => {
            repo::end_pauses(unit.transaction(), row.id, unit.now).await?;
            let row = season::Model { ended_at: Some(unit.now), updated_at: unit.now, ..row };
            repo::store_season(unit.transaction(), row).await?;
            ("END_SEASON", json!({}))
        }
    };
    unit.audit(action, (Kind::Season.name(), key), &changes);
    Ok(outcome)
}
