//! Writing seasons and their goals, and pausing, resuming and ending them.
//!
//! Whatever is done to a season may be tried first: then nothing changes, and the answer says what would have.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::entity::{budget, goal, season};
use super::repo;
use super::rules::{self, Pause, PauseMode, SeasonState};
use super::{Season, Seasons};
use waymark_auth::policy::Operator;
use waymark_db::catalogue::Part as _;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_kernel::limits;
use waymark_kernel::text::tidied;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{Refusal, UserErrorCode};
use waymark_write::{Checks, HistoryKind, Origin, Patch, Unit, Write, arranged};

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
            season.goals.iter().filter(|goal| runs && rules::is_current_goal(goal.week, &clock)).count()
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
}

impl Write for UpsertSeason {
    const NAME: &'static str = "upsertSeason";
    const CATALOGUE: bool = true;

    type Outcome = SeasonEdited;

    fn may_be_abandoned(&self) -> bool {
        self.dry_run
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<SeasonEdited> {
        unit.lock_catalogue().await?;
        let seasons = Seasons::read(unit.transaction()).await?;
        let stored = repo::season(unit.transaction(), &self.key).await?;
        let created = stored.is_none();
        let before = if created { None } else { seasons.by_key(&self.key, unit.now).map(|(season, _)| season) };
        let mut row = stored.unwrap_or_else(|| self.blank(unit.now));
        let scheduled = (row.starts_at, row.duration_seconds, row.week_length_seconds, row.pause_mode);

        let mut checks = Checks::default();
        let mut patch = Patch::default();
        self.check(&mut checks, created, unit.now);
        self.put(&mut patch, &mut row);
        let rescheduled =
            created || scheduled != (row.starts_at, row.duration_seconds, row.week_length_seconds, row.pause_mode);
        let weeks = Season::from(row.clone()).week_count();
        let goals = self.edit_goals(unit, &mut checks, row.id, weeks).await?;
        let budgets = self.edit_budgets(unit, &mut checks, row.id, weeks).await?;
        self.check_weeks(&mut checks, weeks);
        if checks.failed() {
            return Ok(SeasonEdited::refused(checks.into_refusals()));
        }

        let after = seasons.with(Season {
            // Behind another one that starts at the same instant.
            id: if created { i64::MAX } else { row.id },
            pauses: before.map(|season| season.pauses.clone()).unwrap_or_default(),
            ..Season::from(row.clone())
        });
        let effect = Effect::of(&seasons, &after, &self.key, unit.now)?;
        if rescheduled && let Some(refusal) = misplaced(&self.key, (&seasons, &after), &effect, unit.now) {
            return Ok(SeasonEdited::refused(vec![refusal]));
        }
        let edited = SeasonEdited { created, refusals: Vec::new(), effect: Some(effect) };
        if self.dry_run {
            unit.abandon();
            return Ok(edited);
        }

        goals.note(&mut patch);
        budgets.note(&mut patch);
        let titles: Vec<&(i32, Option<String>)> = self
            .weeks
            .iter()
            .filter(|(number, title)| {
                before.and_then(|season| season.week_titles.get(number)) != title.as_deref().map(tidied).as_ref()
            })
            .collect();
        if !titles.is_empty() {
            patch.note("weeks", &titles);
        }
        if patch.is_empty() && !created {
            return Ok(edited);
        }
        row.updated_at = unit.now;
        let season = repo::store_season(unit.transaction(), row).await?;
        let titles = titles.into_iter().map(|(number, title)| (*number, title.as_ref()));
        repo::store_weeks(unit.transaction(), season, titles).await?;
        repo::store_budgets(unit.transaction(), season, budgets.stored, budgets.removed).await?;
        goals.store(unit, season).await?;
        unit.audit("UPSERT_SEASON", (Kind::Season.name(), &self.key), &patch.into_changes(created));
        Ok(edited)
    }
}

impl UpsertSeason {
    fn blank(&self, now: Timestamp) -> season::Model {
        season::Model {
            id: 0,
            key: self.key.clone(),
            title: String::new(),
            description: String::new(),
            starts_at: now,
            duration_seconds: 1,
            week_length_seconds: WEEK_SECONDS,
            ended_at: None,
            pause_mode: PauseMode::Freeze,
            created_at: now,
            updated_at: now,
        }
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
        if self.starts_at.is_some_and(|starts| !limits::starts(now).contains(&starts)) {
            checks.invalid("startDate", "a season starts within a hundred years of now, and not before 1970");
        }
    }

    /// That the weeks that are named are weeks of the season.
    fn check_weeks(&self, checks: &mut Checks, weeks: i64) {
        let mut seen = HashSet::new();
        for (place, (number, title)) in self.weeks.iter().enumerate() {
            checks.enter("weeks", place);
            checks.range("number", Some(i64::from(*number)), 1..=weeks);
            checks.title("title", title.as_ref());
            if !seen.insert(*number) {
                checks.invalid("number", format!("the week {number} stands twice in weeks"));
            }
        }
        checks.leave();
    }

    fn put(&self, patch: &mut Patch, row: &mut season::Model) {
        patch.set_title("title", &mut row.title, self.title.as_ref());
        patch.set("description", &mut row.description, self.description.as_ref());
        patch.set("duration", &mut row.duration_seconds, self.duration_seconds.as_ref());
        patch.set("weekLength", &mut row.week_length_seconds, self.week_length_seconds.as_ref());
        if let Some(starts_at) = self.starts_at.filter(|starts_at| *starts_at != row.starts_at || row.id == 0) {
            row.starts_at = starts_at;
            patch.note("startDate", starts_at.to_string());
        }
        if let Some(mode) = self.pause_mode.filter(|mode| *mode != row.pause_mode) {
            row.pause_mode = mode;
            patch.note("pauseMode", self.pause_mode);
        }
    }

    /// The goals as they will be.
    async fn edit_goals(&self, unit: &Unit<'_>, checks: &mut Checks, season: i64, weeks: i64) -> Result<Goals> {
        let before = if season == 0 { Vec::new() } else { repo::goals_of(unit.transaction(), season).await? };
        let known: HashMap<&str, i64> = before.iter().map(|row| (row.key.as_str(), row.id)).collect();
        let removed: Vec<i64> = self.remove_goals.iter().filter_map(|key| known.get(key.as_str()).copied()).collect();
        let touched = repo::touched_goals(unit.transaction(), removed.clone()).await?;
        for (place, key) in self.remove_goals.iter().enumerate() {
            checks.enter("removeGoals", place);
            match known.get(key.as_str()) {
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

        let weeks_before: HashMap<&str, Option<i32>> = before.iter().map(|row| (row.key.as_str(), row.week)).collect();
        let moves = |one: &&GivenGoal| one.week.is_some_and(|week| weeks_before.get(one.key.as_str()) != Some(&week));
        let moved = self.goals.iter().filter(moves).filter_map(|one| known.get(one.key.as_str()).copied()).collect();
        // The reward of a claim was taken from the budget of the goal's week.
        let bound = repo::claimed_goals(unit.transaction(), moved).await?;
        let last = before.iter().map(|row| row.position).max().unwrap_or(0);
        let rows: Vec<goal::Model> = before.into_iter().filter(|row| !removed.contains(&row.id)).collect();
        let places: HashMap<String, usize> =
            rows.iter().enumerate().map(|(place, row)| (row.key.clone(), place)).collect();
        let taken = self.goals.iter().filter_map(|one| Some(rows.get(*places.get(&one.key)?)?.position)).collect();
        let positions = arranged(taken, last, self.goals.len());
        let mut goals = Goals {
            rows,
            added: HashSet::new(),
            changed: HashSet::new(),
            longer_or_shorter: Vec::new(),
            removed,
            removed_keys: self.remove_goals.clone(),
        };

        checks.distinct("goals", self.goals.iter().map(|one| one.key.as_str()));
        let keys = self.goals.iter().map(|one| one.key.clone()).collect();
        let elsewhere = repo::goals_elsewhere(unit.transaction(), keys, season).await?;
        for ((number, one), position) in self.goals.iter().enumerate().zip(positions) {
            checks.enter("goals", number);
            if elsewhere.contains(&one.key) {
                let message = format!("the goal {:?} belongs to another season", one.key);
                checks.refuse("key", UserErrorCode::KeyTaken, message);
            }
            one.check(checks, weeks);
            match places.get(&one.key).and_then(|place| goals.rows.get_mut(*place)) {
                Some(row) => {
                    if bound.contains(&row.id) {
                        let message = format!("the reward of {:?} has been claimed; it stays in its week", one.key);
                        checks.refuse("week", UserErrorCode::InUse, message);
                    }
                    let steps = row.total_steps;
                    if one.put(row, position) {
                        goals.changed.insert(one.key.clone());
                    }
                    if steps != row.total_steps {
                        goals.longer_or_shorter.push((row.id, row.key.clone(), row.total_steps));
                    }
                }
                None => {
                    checks.needed("title", one.title.as_ref());
                    checks.needed("totalSteps", one.total_steps.as_ref());
                    let mut row = one.blank();
                    one.put(&mut row, position);
                    goals.added.insert(one.key.clone());
                    goals.rows.push(row);
                }
            }
        }
        checks.leave();
        if goals.rows.len() > MOST_GOALS {
            checks.invalid("goals", format!("a season has at most {MOST_GOALS} goals"));
        }
        let given = |row: &&goal::Model| !self.goals.iter().any(|one| one.key == row.key);
        let late = goals.rows.iter().filter(given).find(|row| row.week.is_some_and(|week| i64::from(week) > weeks));
        if let Some(late) = late {
            let message = format!("the goal {:?} is of a week that the season would not have", late.key);
            checks.invalid("duration", message);
        }
        Ok(goals)
    }

    /// The budgets as they will be.
    async fn edit_budgets(&self, unit: &Unit<'_>, checks: &mut Checks, season: i64, weeks: i64) -> Result<Budgets> {
        let mut budgets = Budgets { stored: Vec::new(), removed: Vec::new(), changes: Vec::new() };
        if self.budgets.is_empty() {
            return Ok(budgets);
        }
        let (before, granted) = if season == 0 {
            (Vec::new(), HashMap::new())
        } else {
            (repo::budgets(unit.transaction(), season).await?, repo::granted(unit.transaction(), season).await?)
        };
        let mut seen = HashSet::new();
        for (place, given) in self.budgets.iter().enumerate() {
            checks.enter("budgets", place);
            checks.range("week", given.week.map(i64::from), 1..=weeks);
            if given.cap_micros.is_some_and(|cap| !limits::BUDGET_MICROS.contains(&cap)) {
                let most = limits::BUDGET_MICROS.end() / 1_000_000;
                checks.invalid("cap", format!("a budget is 0 to {most} credits"));
            }
            let week = given.week.unwrap_or(0);
            if !seen.insert(week) {
                checks.invalid("week", "a budget stands twice in budgets");
            }
            let known = before.iter().find(|row| row.week == week);
            if known.map(|row| row.cap_micros) == given.cap_micros {
                continue;
            }
            budgets.changes.push(json!({ "week": given.week, "capMicros": given.cap_micros }));
            let Some(cap_micros) = given.cap_micros else {
                budgets.removed.push(week.into());
                continue;
            };
            // A budget that comes late starts with what has been granted without it.
            let spent_micros = known.map_or_else(|| spent_before(&granted, week), |row| row.spent_micros);
            if (0..spent_micros).contains(&cap_micros) {
                checks.invalid("cap", "more than that has been granted already");
            }
            budgets.stored.push(budget::Model { season_id: season, week, cap_micros, spent_micros });
        }
        checks.leave();
        Ok(budgets)
    }
}

/// Why the season cannot run when it would.
fn misplaced(key: &str, (before, after): (&Seasons, &Seasons), effect: &Effect, now: Timestamp) -> Option<Refusal> {
    if effect.before.is_some_and(|before| before.state == SeasonState::Ended) {
        let message = format!("the season {:?} is over, and does not run otherwise any more", key);
        return Some(Refusal::new(UserErrorCode::SeasonEnded, message));
    }
    let (season, schedule) = after.by_key(key, now)?;
    let starts_anew = before.by_key(key, now).is_none_or(|(old, _)| old.starts_at != season.starts_at);
    let own = season.schedule();
    // It would have to make way itself, or another one would have to make way for it.
    let behind = (starts_anew && schedule.starts_at != season.starts_at).then(|| {
        let mut others = after.scheduled(now).filter(|(other, _)| other.key != key);
        others.find(|(_, other)| own.overlaps(other, now)).map_or("another one", |(other, _)| other.key.as_str())
    });
    let ahead = || effect.moved.iter().find(|moved| moved.after > moved.before).map(|moved| moved.key.as_str());
    let other = behind.or_else(ahead)?;
    let message = format!("the season {:?} would overlap with {other:?}", key);
    let place = if starts_anew { "startDate" } else { "duration" };
    Some(Refusal::new(UserErrorCode::SeasonOverlap, message).at([place]))
}

/// The seasons with this one, which a file tells of, in the place of that of its key if there is one.
///
/// # Errors
/// Why it cannot run when it would.
pub fn placed(seasons: &Seasons, season: Season, now: Timestamp) -> Result<Result<Seasons, String>> {
    let key = season.key.clone();
    let timing = |one: &Season| {
        let paused: Vec<_> = one.pauses.iter().map(|pause| (pause.from, pause.until)).collect();
        (one.starts_at, one.duration_seconds, one.week_length_seconds, one.pause_mode, one.ended_at, paused)
    };
    let before = seasons.by_key(&key, now).map(|(season, _)| timing(season));
    let rescheduled = before != Some(timing(&season));
    let after = seasons.with(season);
    let effect = Effect::of(seasons, &after, &key, now)?;
    let misplaced = misplaced(&key, (seasons, &after), &effect, now).filter(|_| rescheduled);
    Ok(misplaced.map_or(Ok(after), |refusal| Err(refusal.message)))
}

impl GivenGoal {
    fn check(&self, checks: &mut Checks, weeks: i64) {
        checks.range("week", self.week.flatten().map(i64::from), 1..=weeks);
        checks.title("title", self.title.as_ref());
        checks.description("description", self.description.as_ref());
        checks.url("thumbnail", self.thumbnail.as_ref().and_then(Option::as_ref));
        if self.reward_micros.is_some_and(|reward| !limits::REWARD_MICROS.contains(&reward)) {
            let most = limits::REWARD_MICROS.end() / 1_000_000;
            checks.invalid("reward", format!("a reward is 0 to {most} credits"));
        }
        checks.range("totalSteps", self.total_steps.map(i64::from), limits::TOTAL_STEPS);
    }

    fn blank(&self) -> goal::Model {
        goal::Model {
            id: 0,
            key: self.key.clone(),
            season_id: 0,
            week: None,
            position: 0,
            title: String::new(),
            description: String::new(),
            thumbnail: None,
            reward_micros: 0,
            total_steps: 1,
        }
    }

    /// Puts what was given into `row`; whether that changes it.
    fn put(&self, row: &mut goal::Model, position: i32) -> bool {
        let before = row.clone();
        row.position = position;
        row.week = self.week.unwrap_or(row.week);
        if let Some(title) = &self.title {
            row.title = tidied(title);
        }
        if let Some(description) = &self.description {
            row.description.clone_from(description);
        }
        if let Some(thumbnail) = &self.thumbnail {
            row.thumbnail.clone_from(thumbnail);
        }
        row.reward_micros = self.reward_micros.unwrap_or(row.reward_micros);
        row.total_steps = self.total_steps.unwrap_or(row.total_steps);
        *row != before
    }
}

/// The goals of a season as they will be.
struct Goals {
    /// All of them; those with the id 0 are new.
    rows: Vec<goal::Model>,
    /// The keys of those that are new, and of those that change.
    added: HashSet<String>,
    changed: HashSet<String>,
    /// Id and key of those that take more or fewer steps than before, and how many.
    longer_or_shorter: Vec<(i64, String, i32)>,
    removed: Vec<i64>,
    removed_keys: Vec<String>,
}

impl Goals {
    fn note(&self, patch: &mut Patch) {
        let of = |keys: &HashSet<String>| {
            self.rows.iter().map(|row| row.key.as_str()).filter(|key| keys.contains(*key)).collect()
        };
        let removed = self.removed_keys.iter().map(String::as_str).collect();
        patch.note_parts("goals", [of(&self.added), of(&self.changed), removed]);
    }

    async fn store(self, unit: &mut Unit<'_>, season: i64) -> Result<()> {
        let Self { rows, added, changed, longer_or_shorter, removed, .. } = self;
        let news = rows.into_iter().filter(|row| added.contains(&row.key) || changed.contains(&row.key));
        let news = news.map(|row| goal::Model { season_id: season, ..row });
        repo::remove_goals(unit.transaction(), removed).await?;
        repo::store_goals(unit.transaction(), news.collect()).await?;
        for (goal, key, steps) in longer_or_shorter {
            resize(unit, (goal, &key), steps, Origin::Told).await?;
        }
        Ok(())
    }
}

/// Carries over to everybody that a goal, by its id and key, takes more or fewer steps than before: who has done them has
/// completed it, and who has not has not.
pub async fn resize(unit: &mut Unit<'_>, (goal, key): (i64, &str), steps: i32, origin: Origin) -> Result<()> {
    if origin == Origin::Told {
        tell_completions(unit, (goal, key), steps).await?;
    }
    repo::complete(unit.transaction(), goal, steps, unit.now).await
}

/// Tells the histories of those who have made so many steps of a goal that is not complete yet.
async fn tell_completions(unit: &mut Unit<'_>, (goal, key): (i64, &str), steps: i32) -> Result<()> {
    let mut after = 0;
    loop {
        let users = repo::reached(unit.transaction(), goal, after, steps).await?;
        let Some(last) = users.last() else { return Ok(()) };
        after = *last;
        unit.lock_more(users.clone()).await?;
        for user in users {
            // Whoever has been merged or erased has no history to go on.
            if unit.user(user).is_ok() {
                let changes = json!({ "totalSteps": steps });
                unit.record(user, HistoryKind::GoalCompleted, (Kind::Goal, key), &changes)?;
            }
        }
    }
}

/// Returns those of these goals, by their ids, whose reward somebody has claimed; they stay in their week.
pub async fn claimed(unit: &Unit<'_>, goals: Vec<i64>) -> Result<HashSet<i64>> {
    repo::claimed_goals(unit.transaction(), goals).await
}

/// Returns what has been granted in a season, in micros, as a new budget for this week begins with it; 0: the whole season.
pub fn spent_before(granted: &HashMap<i32, i64>, week: i32) -> i64 {
    if week == 0 {
        granted.values().copied().fold(0, i64::saturating_add)
    } else {
        granted.get(&week).copied().unwrap_or(0)
    }
}

/// Returns what the claims of a season's goals have granted, in micros, by the week of the goals; 0: goals of the whole season.
pub async fn granted(unit: &Unit<'_>, season: i64) -> Result<HashMap<i32, i64>> {
    repo::granted(unit.transaction(), season).await
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
