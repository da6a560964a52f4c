//! The seasons and goals that operators define, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use super::repo;
use super::rules::{self, Pause, PauseMode, Schedule};
use crate::clock::Timestamp;
use crate::db::catalogue::{Part, Source};
use crate::error::Result;

/// A season with its goals.
#[derive(Debug, Clone)]
pub(crate) struct Season {
    pub(crate) id: i64,
    pub(crate) key: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) starts_at: Timestamp,
    pub(crate) duration_seconds: i64,
    pub(crate) week_length_seconds: i64,
    pub(crate) ended_at: Option<Timestamp>,
    pub(crate) pause_mode: PauseMode,
    /// By their beginning.
    pub(crate) pauses: Vec<Pause>,
    /// The names of weeks that have one.
    pub(crate) week_titles: HashMap<i32, String>,
    /// In the operator's order.
    pub(crate) goals: Vec<Arc<Goal>>,
}

/// A goal of a season.
#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) id: i64,
    pub(crate) key: String,
    pub(crate) season_id: i64,
    pub(crate) week: Option<i32>,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) thumbnail: Option<String>,
    pub(crate) reward_micros: i64,
    pub(crate) total_steps: i32,
}

/// All seasons.
#[derive(Debug)]
pub(crate) struct Seasons {
    /// By their start.
    seasons: Vec<Arc<Season>>,
    goals: HashMap<String, Arc<Goal>>,
}

impl Season {
    /// As it is stored, whatever other seasons do.
    pub(crate) fn schedule(&self) -> Schedule<'_> {
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
    /// still lasts pushes back the start of the next one.
    pub(crate) fn scheduled(&self, now: Timestamp) -> impl Iterator<Item = (&Arc<Season>, Schedule<'_>)> {
        self.seasons.iter().scan(None, move |previous: &mut Option<Schedule<'_>>, season| {
            let own = season.schedule();
            let schedule = previous.map_or(own, |previous| own.pushed_by(&previous, now));
            *previous = Some(schedule);
            Some((season, schedule))
        })
    }

    /// The season that is running; else the next; else the last.
    pub(crate) fn current(&self, now: Timestamp) -> Option<(&Arc<Season>, Schedule<'_>)> {
        rules::current(self.scheduled(now).map(|entry| (entry, entry.1)), now)
    }

    pub(crate) fn by_key(&self, key: &str, now: Timestamp) -> Option<(&Arc<Season>, Schedule<'_>)> {
        self.scheduled(now).find(|(season, _)| season.key == key)
    }

    pub(crate) fn by_id(&self, id: i64, now: Timestamp) -> Option<(&Arc<Season>, Schedule<'_>)> {
        self.scheduled(now).find(|(season, _)| season.id == id)
    }

    /// By their start as it is stored.
    pub(crate) fn all(&self) -> &[Arc<Season>] {
        &self.seasons
    }

    pub(crate) fn goal(&self, key: &str) -> Option<&Arc<Goal>> {
        self.goals.get(key)
    }

    /// The same seasons with this one among them, in the place of the one of its key if there is one.
    pub(crate) fn with(&self, season: Season) -> Self {
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
