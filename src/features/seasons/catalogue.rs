//! The seasons and goals that operators define, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use super::repo;
use super::rules::{self, Pause, PauseMode, Schedule, SeasonState};
use waymark_db::catalogue::{Part, Source};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;

/// A season with its goals.
#[derive(Debug, Clone)]
pub struct Season {
    /// The internal id, which never leaves the database.
    pub id: i64,
    /// The operator's key of the season.
    pub key: String,
    /// The title for people.
    pub title: String,
    /// The description for people; empty: none.
    pub description: String,
    /// When it begins as it is stored; a pause of the season before it may push that back.
    pub starts_at: Timestamp,
    /// How long it lasts on its own clock, in seconds; more than 0.
    pub duration_seconds: i64,
    /// How long a week of it is on its own clock, in seconds; more than 0.
    pub week_length_seconds: i64,
    /// When the operator ended it early; `None`: it runs its course.
    pub ended_at: Option<Timestamp>,
    /// What its pauses do to its clock.
    pub pause_mode: PauseMode,
    /// When it was retired; `None`: it is not.
    pub retired_at: Option<Timestamp>,
    /// By their beginning.
    pub pauses: Vec<Pause>,
    /// The names of weeks that have one.
    pub week_titles: HashMap<i32, String>,
    /// In the operator's order.
    pub goals: Vec<Arc<Goal>>,
    /// When it was written down.
    pub created_at: Timestamp,
}

/// A goal of a season.
#[derive(Debug)]
pub struct Goal {
    /// The internal id, which never leaves the database.
    pub id: i64,
    /// The operator's key, unique among the goals of all seasons.
    pub key: String,
    /// The internal id of the season it belongs to.
    pub season_id: i64,
    /// The week in which its steps count, from 1; `None`: the whole season.
    pub week: Option<i32>,
    /// The title for people.
    pub title: String,
    /// What has to be done, for people; empty: nothing is said.
    pub description: String,
    /// The address of its picture; `None`: it has none.
    pub thumbnail: Option<String>,
    /// What a claim grants, in micros of a credit; 0 or more.
    pub reward_micros: i64,
    /// How many steps complete it; at least 1.
    pub total_steps: i32,
    /// When it was retired; `None`: it is not.
    pub retired_at: Option<Timestamp>,
}

/// All seasons.
#[derive(Debug)]
pub struct Seasons {
    /// By their start.
    seasons: Vec<Arc<Season>>,
    goals: HashMap<String, Arc<Goal>>,
}

impl Season {
    /// Returns how many weeks it has; the last one may be shorter.
    pub fn week_count(&self) -> i64 {
        let (duration, week) = (self.duration_seconds.max(1), self.week_length_seconds.max(1));
        duration / week + i64::from(duration % week > 0)
    }

    /// As it is stored, whatever other seasons do.
    pub fn schedule(&self) -> Schedule<'_> {
        Schedule {
            starts_at: self.starts_at,
            duration_seconds: self.duration_seconds,
            week_length_seconds: self.week_length_seconds,
            ended_at: self.ended_at,
            pause_mode: self.pause_mode,
            pauses: &self.pauses,
        }
    }
}

impl Seasons {
    /// All seasons by their start, each as it is scheduled at `now`: a season whose end is pushed back by a pause that
    /// still lasts pushes back the start of the next one. One that is retired is in no other's way, unless it was over
    /// by then: what it pushed back stays where it was.
    pub fn scheduled(&self, now: Timestamp) -> impl Iterator<Item = (&Arc<Season>, Schedule<'_>)> {
        self.seasons.iter().scan(None, move |previous: &mut Option<Schedule<'_>>, season| {
            let own = season.schedule();
            let schedule = previous.map_or(own, |previous| own.pushed_by(&previous, now));
            if season.retired_at.is_some_and(|at| schedule.clock(at).state != SeasonState::Ended) {
                return Some((season, own));
            }
            *previous = Some(schedule);
            Some((season, schedule))
        })
    }

    /// The season that is running; else the next; else the last; of those that are not retired.
    pub fn current(&self, now: Timestamp) -> Option<(&Arc<Season>, Schedule<'_>)> {
        let scheduled = self.scheduled(now).filter(|(season, _)| season.retired_at.is_none());
        rules::current(scheduled.map(|entry| (entry, entry.1)), now)
    }

    /// Returns the season with the operator's key `key`, as it is scheduled at `now`; `None`: there is none.
    pub fn by_key(&self, key: &str, now: Timestamp) -> Option<(&Arc<Season>, Schedule<'_>)> {
        self.scheduled(now).find(|(season, _)| season.key == key)
    }

    /// Returns the season with this internal id, as it is scheduled at `now`; `None`: there is none.
    pub fn by_id(&self, id: i64, now: Timestamp) -> Option<(&Arc<Season>, Schedule<'_>)> {
        self.scheduled(now).find(|(season, _)| season.id == id)
    }

    /// By their start as it is stored.
    pub fn all(&self) -> &[Arc<Season>] {
        &self.seasons
    }

    /// Returns the goal with the operator's key `key`, of any season; `None`: there is none.
    pub fn goal(&self, key: &str) -> Option<&Arc<Goal>> {
        self.goals.get(key)
    }

    /// The same seasons with this one among them, in the place of the one of its key if there is one.
    pub fn with(&self, season: Season) -> Self {
        let others = self.seasons.iter().filter(|other| other.key != season.key).cloned();
        let mut seasons: Vec<Arc<Season>> = others.collect();
        let place = (season.starts_at, season.id);
        let place = seasons.partition_point(|other| (other.starts_at, other.id) < place);
        seasons.insert(place, Arc::new(season));
        Self { seasons, goals: self.goals.clone() }
    }
}

impl Part for Seasons {
    async fn read(source: &Source) -> Result<Self> {
        let mut pauses = repo::pauses(source).await?;
        let mut weeks = repo::week_titles(source).await?;
        let mut goals: HashMap<i64, Vec<Arc<Goal>>> = HashMap::new();
        let mut by_key = HashMap::new();
        for goal in repo::goals(source).await? {
            let goal = Arc::new(goal);
            by_key.insert(goal.key.clone(), Arc::clone(&goal));
            goals.entry(goal.season_id).or_default().push(goal);
        }
        let seasons = repo::seasons(source).await?.into_iter().map(|season| {
            Arc::new(Season {
                pauses: pauses.remove(&season.id).unwrap_or_default(),
                week_titles: weeks.remove(&season.id).unwrap_or_default().into_iter().collect(),
                goals: goals.remove(&season.id).unwrap_or_default(),
                ..season
            })
        });
        Ok(Self { seasons: seasons.collect(), goals: by_key })
    }
}
