//! What operators define. A record says all there is to say of its thing: what it leaves out is set to its default. The
//! counters of budgets and rewards never fall.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::Arc;

use serde_json::json;

use super::{Outcome, Work, only};
use crate::records::{
    Achievement, At, Budget, Card, Collection, Game, Goal, Record, Resource, Reward, Season, StudyPlan,
};
use crate::sql;
use waymark_collections::entity::{card, collection, reward};
use waymark_collections::operate::{MOST_CARDS, complete};
use waymark_db::catalogue::Part as _;
use waymark_games::entity::{achievement, game};
use waymark_games::publish::{MOST_ACHIEVEMENTS, count_anew};
use waymark_kernel::clock::{Ids, Timestamp};
use waymark_kernel::error::Result;
use waymark_kernel::limits;
use waymark_kernel::text::{no_key, tidied};
use waymark_learning::entity::{plan, plan_resource, resource};
use waymark_learning::operate::MOST_RESOURCES;
use waymark_seasons as seasons;
use waymark_seasons::Seasons;
use waymark_seasons::entity::{budget, goal, pause, season, week};
use waymark_seasons::operate::{MOST_GOALS, placed, resize};
use waymark_seasons::rules::Pause;
use waymark_vocabulary::ids::Kind;
use waymark_write::{Checks, Origin};

use super::known::Known;

/// What a record is made a row of by.
struct Given<'a, R> {
    /// The row that is there.
    stored: Option<&'a R>,
    known: &'a Known,
    ids: &'a Ids,
    now: Timestamp,
    /// Whether it is somebody's own record; what an export tells stays as it is there.
    is_told: bool,
}

impl<R> Given<'_, R> {
    /// A title or a name as it is stored.
    fn title(&self, title: &str) -> String {
        if self.is_told { tidied(title) } else { title.to_owned() }
    }

    fn created(&self, stored: impl Fn(&R) -> Timestamp, said: Option<At>) -> Timestamp {
        self.stored.map_or_else(|| said.map_or(self.now, |at| at.0), stored)
    }
}

/// A record of the catalogue that has a table.
trait Thing {
    type Row: sql::Row;

    const KIND: Kind;

    fn key(&self) -> &str;
    /// The row with what the record says, with the dates of the stored row if there is one.
    fn row(&self, given: &Given<'_, Self::Row>) -> Result<Self::Row, String>;
    /// Looks at the texts as mutations do.
    fn check(&self, checks: &mut Checks);
    /// The instant of the change, as the record says.
    fn updated_at(&self) -> Option<At> {
        None
    }
    fn key_of(row: &Self::Row) -> &str;
    fn id(row: &Self::Row) -> i64;
    fn set_id(row: &mut Self::Row, id: i64);
    fn touch(_row: &mut Self::Row, _at: Timestamp) {}
    /// What the record asks for that only one thing can have, beside the key.
    fn wanted(&self) -> Option<Unique> {
        None
    }
    /// The same of a row.
    fn unique(_row: &Self::Row) -> Option<Unique> {
        None
    }
}

/// What only one thing of a kind can have, with its column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Unique {
    Number(i64),
    ExternalId(String),
}

impl fmt::Display for Unique {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(out, "the number {number}"),
            Self::ExternalId(id) => write!(out, "the externalId {id:?}"),
        }
    }
}

/// Who has what the records ask for, by key.
async fn holders<T: Thing>(work: &Work<'_>, wanted: BTreeSet<Unique>) -> Result<HashMap<Unique, String>> {
    let (mut numbers, mut ids) = (Vec::new(), Vec::new());
    for unique in wanted {
        match unique {
            Unique::Number(number) => numbers.push(number),
            Unique::ExternalId(id) => ids.push(id),
        }
    }
    let mut rows = sql::with_int::<T::Row>(work.transaction, "number", &numbers).await?;
    rows.extend(sql::with_text::<T::Row>(work.transaction, "external_id", ids).await?);
    Ok(rows.iter().filter_map(|row| Some((T::unique(row)?, T::key_of(row).to_owned()))).collect())
}

/// A thing after its records were taken.
struct Taken<R> {
    before: Option<R>,
    row: R,
    /// The last record about it: its place, and whether the file brings the audit log along.
    at: usize,
    has_history: bool,
    changed: bool,
}

/// What is wrong with the texts of a record. An export has what was taken once, and may be older than the rules of today.
fn wrong_texts<T: Thing>(record: &T, has_history: bool) -> Option<String> {
    let kind = if has_history { "" } else { T::KIND.name() };
    if let Some(reason) = no_key(kind, record.key()) {
        return Some(reason);
    }
    let mut checks = Checks::default();
    if !has_history {
        record.check(&mut checks);
    }
    let reasons: Vec<String> = checks.into_refusals().into_iter().map(|refusal| refusal.message).collect();
    (!reasons.is_empty()).then(|| reasons.join("; "))
}

/// Takes all records of one kind; gives the things they are about, in the order in which they are first named.
async fn things<'a, T: Thing + 'a>(
    work: &mut Work<'a>,
    pick: impl Fn(&'a Record) -> Option<&'a T>,
) -> Result<Vec<(&'a T, Taken<T::Row>)>> {
    let mut records = work.records(pick);
    // Some may have been found bad already.
    records.retain(|(at, ..)| !matches!(work.outcomes[*at], Outcome::Bad(_)));
    if records.is_empty() {
        return Ok(Vec::new());
    }
    let keys: BTreeSet<String> = records.iter().map(|(_, record, _)| record.key().to_owned()).collect();
    let stored = sql::with_text::<T::Row>(work.transaction, "key", keys.into_iter().collect()).await?;
    let mut stored: HashMap<String, T::Row> = stored.into_iter().map(|row| (T::key_of(&row).to_owned(), row)).collect();
    let mut holders = holders::<T>(work, records.iter().filter_map(|(_, record, _)| record.wanted()).collect()).await?;
    let mut places: HashMap<&str, usize> = HashMap::new();
    let mut taken: Vec<(&T, Taken<T::Row>)> = Vec::new();
    for (at, record, has_history) in records {
        let key = record.key();
        if let Some(reason) = wrong_texts(record, has_history) {
            work.bad(at, reason);
            continue;
        }
        let place = places.get(key).copied();
        let current = place.map(|place| &taken[place].1.row).or_else(|| stored.get(key));
        let is_told = !has_history;
        let given = Given { stored: current, known: &work.known, ids: work.ids, now: work.now, is_told };
        let mut row = match record.row(&given) {
            Ok(row) => row,
            Err(reason) => {
                work.bad(at, reason);
                continue;
            }
        };
        let unique = T::unique(&row);
        if let Some(unique) = &unique
            && let Some(holder) = holders.get(unique).filter(|holder| *holder != key)
        {
            work.bad(at, format!("{unique} belongs to {holder:?}"));
            continue;
        }
        if let Some(before) = current.and_then(T::unique).filter(|before| unique.as_ref() != Some(before)) {
            holders.remove(&before);
        }
        holders.extend(unique.map(|unique| (unique, key.to_owned())));
        let changed = match current {
            Some(current) => {
                T::set_id(&mut row, T::id(current));
                row != *current
            }
            None => true,
        };
        if changed {
            let touched = record.updated_at().map(|at| at.0);
            T::touch(&mut row, touched.unwrap_or(work.now));
            work.landed(at);
        }
        match place {
            Some(place) => {
                let (last, known) = &mut taken[place];
                *last = record;
                known.changed |= changed;
                (known.row, known.at, known.has_history) = (row, at, has_history);
            }
            None => {
                places.insert(key, taken.len());
                let before = stored.remove(key);
                taken.push((record, Taken { before, row, at, has_history, changed }));
            }
        }
    }
    let count = taken.iter().filter(|(_, thing)| thing.before.is_none()).count();
    let ids = sql::new_ids::<T::Row>(work.transaction, count).await?;
    for ((_, thing), id) in taken.iter_mut().filter(|(_, thing)| thing.before.is_none()).zip(ids) {
        T::set_id(&mut thing.row, id);
    }
    let changed: Vec<T::Row> =
        taken.iter().filter(|(_, thing)| thing.changed).map(|(_, thing)| thing.row.clone()).collect();
    sql::store(work.transaction, &changed).await?;
    for (record, thing) in &taken {
        if thing.changed {
            note::<T>(work, record, thing);
        }
    }
    Ok(taken)
}

/// Notes a change in the audit log, unless the file brings that along.
fn note<T: Thing>(work: &mut Work<'_>, record: &T, thing: &Taken<T::Row>) {
    if thing.has_history {
        return;
    }
    let subject = (T::KIND.name(), record.key());
    work.unit.audit("import", subject, &json!({ "new": thing.before.is_none() }));
}

/// Notes that what belongs to a thing changed, where its own row did not.
fn changed_too<T: Thing>(work: &mut Work<'_>, record: &T, thing: &Taken<T::Row>) {
    if !thing.changed {
        note::<T>(work, record, thing);
        work.landed(thing.at);
    }
}

/// Takes the records of the catalogue.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    take_seasons(work).await?;
    take_goals(work).await?;
    things::<Resource>(work, only!(Resource)).await?;
    take_plans(work).await?;
    for (_, game) in things::<Game>(work, only!(Game)).await? {
        work.known.put_game(&game.row);
    }
    take_achievements(work).await?;
    let mut changed = take_collections(work).await?;
    let stored = |known: &Known, collection: &str| {
        let size = known.collections.get(collection).and_then(|collection| known.sizes.get(collection));
        size.map_or(0, |size| usize::try_from(*size).unwrap_or_default())
    };
    let is_stored = |known: &Known, key: &str| known.cards.contains_key(key);
    let most = (MOST_CARDS, "the cards of a collection are");
    refuse_too_many::<Card>(work, only!(Card), |one| &one.collection, (stored, is_stored), most);
    for (_, card) in things::<Card>(work, only!(Card)).await? {
        let starts_at = work.known.collection_rows.get(&card.row.collection_id).and_then(|row| row.starts_at);
        // More cards take away what was to be completed at a start that lies ahead.
        if card.before.is_none() && starts_at.is_some_and(|at| at > work.now) {
            *changed.entry(card.row.collection_id).or_default() |= !card.has_history;
        }
        work.known.put_card(card.row);
    }
    for (id, is_told) in changed {
        let Some(row) = work.known.collection_rows.get(&id) else { continue };
        let size = work.known.sizes.get(&id).copied().unwrap_or_default();
        let origin = if is_told { Origin::Told } else { Origin::Restored };
        complete(&mut work.unit, row, usize::try_from(size).unwrap_or_default(), origin).await?;
    }
    Ok(())
}

impl Thing for Season {
    type Row = season::Model;

    const KIND: Kind = Kind::Season;

    fn key(&self) -> &str {
        &self.key
    }

    fn row(&self, given: &Given<'_, season::Model>) -> Result<season::Model, String> {
        let numbers: BTreeSet<i32> = self.weeks.iter().map(|week| week.number).collect();
        if numbers.len() < self.weeks.len() {
            return Err("weeks have different numbers".to_owned());
        }
        let pauses: BTreeSet<At> = self.pauses.iter().map(|pause| pause.from).collect();
        if pauses.len() < self.pauses.len() || self.pauses.iter().any(|one| one.until.is_some_and(|at| at <= one.from))
        {
            return Err("pauses begin at different instants, and end after they begin".to_owned());
        }
        let weeks: BTreeSet<Option<i32>> = self.budgets.iter().map(|budget| budget.week).collect();
        let fits = |budget: &Budget| budget.spent_micros <= budget.cap_micros;
        if weeks.len() < self.budgets.len() || !self.budgets.iter().all(fits) {
            return Err("budgets are for different weeks, and no more is spent than the cap says".to_owned());
        }
        let created_at = given.created(|row| row.created_at, self.created_at);
        let row = season::Model {
            id: 0,
            key: self.key.clone(),
            title: given.title(&self.title),
            description: self.description.clone(),
            starts_at: self.starts_at.0,
            duration_seconds: self.duration_seconds,
            week_length_seconds: self.week_length_seconds,
            ended_at: self.ended_at.map(|at| at.0),
            pause_mode: self.pause_mode,
            created_at,
            updated_at: given.stored.map_or(created_at, |row| row.updated_at),
        };
        let mut named = numbers.into_iter().chain(weeks.into_iter().flatten());
        match seasons::Season::from(row.clone()).week_count() {
            weeks if given.is_told && named.any(|week| i64::from(week) > weeks) => {
                Err(format!("the season has {weeks} weeks, and others are named"))
            }
            _ => Ok(row),
        }
    }

    fn check(&self, checks: &mut Checks) {
        checks.title("title", Some(&self.title));
        checks.description("description", Some(&self.description));
        for week in &self.weeks {
            checks.title("title", Some(&week.title));
        }
    }

    fn updated_at(&self) -> Option<At> {
        self.updated_at
    }

    fn key_of(row: &season::Model) -> &str {
        &row.key
    }

    fn id(row: &season::Model) -> i64 {
        row.id
    }

    fn set_id(row: &mut season::Model, id: i64) {
        row.id = id;
    }

    fn touch(row: &mut season::Model, at: Timestamp) {
        row.updated_at = at;
    }
}

/// Refuses seasons that cannot be as they are told, and those that would overlap with others, as mutations do.
async fn refuse_seasons(work: &mut Work<'_>) -> Result<()> {
    let records = work.records(only!(Season));
    if records.iter().all(|(_, _, has_history)| *has_history) {
        return Ok(());
    }
    let mut seasons = Seasons::read(work.transaction).await?;
    for (at, record, has_history) in records {
        let stored = work.known.seasons.get(&record.key).copied();
        let given = Given { stored: None, known: &work.known, ids: work.ids, now: work.now, is_told: true };
        // What is wrong otherwise is said later.
        let Ok(row) = record.row(&given) else { continue };
        let pauses = record.pauses.iter().map(|pause| Pause { from: pause.from.0, until: pause.until.map(|at| at.0) });
        let season =
            seasons::Season { id: stored.unwrap_or(i64::MAX), pauses: pauses.collect(), ..seasons::Season::from(row) };
        if has_history {
            seasons = seasons.with(season);
            continue;
        }
        let weeks = season.week_count();
        if let Some(reason) = low_budget(work, stored, &record.budgets).await? {
            work.bad(at, reason);
            continue;
        }
        let before = seasons.by_key(&record.key, work.now).map(|(season, _)| Arc::clone(season));
        let goals = before.iter().flat_map(|season| &season.goals);
        let late = goals.into_iter().find(|goal| goal.week.is_some_and(|week| i64::from(week) > weeks));
        if let Some(late) = late {
            work.bad(at, format!("the goal {:?} is of a week that the season would not have", late.key));
            continue;
        }
        match placed(&seasons, season, work.now)? {
            Ok(after) => seasons = after,
            Err(reason) => work.bad(at, reason),
        }
    }
    Ok(())
}

/// Why a season cannot have these budgets.
async fn low_budget(work: &Work<'_>, season: Option<i64>, budgets: &[Budget]) -> Result<Option<String>> {
    let Some(season) = season.filter(|_| !budgets.is_empty()) else { return Ok(None) };
    let granted = seasons::operate::granted(&work.unit, season).await?;
    let spent = |budget: &Budget| seasons::operate::spent_before(&granted, budget.week.unwrap_or(0));
    let low = budgets.iter().find(|budget| budget.cap_micros < spent(budget));
    Ok(low.map(|budget| format!("capMicros is {}, and more than that has been granted already", budget.cap_micros)))
}

async fn take_seasons(work: &mut Work<'_>) -> Result<()> {
    refuse_seasons(work).await?;
    let seasons = things::<Season>(work, only!(Season)).await?;
    let ids: Vec<i64> = seasons.iter().map(|(_, season)| season.row.id).collect();
    let mut weeks =
        grouped(sql::with_int::<week::Model>(work.transaction, "season_id", &ids).await?, |row| row.season_id);
    let mut pauses =
        grouped(sql::with_int::<pause::Model>(work.transaction, "season_id", &ids).await?, |row| row.season_id);
    let mut budgets =
        grouped(sql::with_int::<budget::Model>(work.transaction, "season_id", &ids).await?, |row| row.season_id);

    let (mut changed, mut new_weeks, mut new_pauses, mut new_budgets) =
        (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (record, season) in &seasons {
        let season_id = season.row.id;
        work.known.put_season(&season.row);
        let mut own_weeks: Vec<week::Model> = record
            .weeks
            .iter()
            .map(|week| {
                let title = if season.has_history { week.title.clone() } else { tidied(&week.title) };
                week::Model { season_id, number: week.number, title }
            })
            .collect();
        let mut own_pauses: Vec<pause::Model> = record
            .pauses
            .iter()
            .map(|pause| pause::Model { season_id, from_at: pause.from.0, until_at: pause.until.map(|at| at.0) })
            .collect();
        let mut stored_budgets = budgets.remove(&season_id).unwrap_or_default();
        let is_new = |budget: &Budget| !stored_budgets.iter().any(|row| row.week == budget.week.unwrap_or(0));
        let granted = if record.budgets.iter().any(is_new) {
            seasons::operate::granted(&work.unit, season_id).await?
        } else {
            HashMap::new()
        };
        let mut own_budgets: Vec<budget::Model> = record
            .budgets
            .iter()
            .map(|budget| {
                let week = budget.week.unwrap_or(0);
                // What was granted since is not forgotten, even if the cap was lowered below it.
                let spent = stored_budgets.iter().find(|row| row.week == week).map(|row| row.spent_micros);
                let spent = spent.unwrap_or_else(|| seasons::operate::spent_before(&granted, week));
                // What was granted elsewhere was paid out of no budget here. An export brings its claims along.
                let spent_micros = if season.has_history { spent.max(budget.spent_micros) } else { spent };
                budget::Model { season_id, week, cap_micros: budget.cap_micros.max(spent_micros), spent_micros }
            })
            .collect();
        own_weeks.sort_by_key(|row| row.number);
        own_pauses.sort_by_key(|row| row.from_at);
        own_budgets.sort_by_key(|row| row.week);
        let mut stored_weeks = weeks.remove(&season_id).unwrap_or_default();
        let mut stored_pauses = pauses.remove(&season_id).unwrap_or_default();
        stored_weeks.sort_by_key(|row| row.number);
        stored_pauses.sort_by_key(|row| row.from_at);
        stored_budgets.sort_by_key(|row| row.week);
        if own_weeks == stored_weeks && own_pauses == stored_pauses && own_budgets == stored_budgets {
            continue;
        }
        changed_too(work, *record, season);
        changed.push(season_id);
        new_weeks.append(&mut own_weeks);
        new_pauses.append(&mut own_pauses);
        new_budgets.append(&mut own_budgets);
    }
    if !changed.is_empty() {
        sql::remove::<week::Model>(work.transaction, "season_id", &changed).await?;
        sql::remove::<pause::Model>(work.transaction, "season_id", &changed).await?;
        sql::remove::<budget::Model>(work.transaction, "season_id", &changed).await?;
        sql::store(work.transaction, &new_weeks).await?;
        sql::store(work.transaction, &new_pauses).await?;
        sql::store(work.transaction, &new_budgets).await?;
    }
    Ok(())
}

/// Refuses what a season cannot have of goals, as mutations do.
async fn refuse_goals(work: &mut Work<'_>) -> Result<()> {
    let mut records = work.records(only!(Goal));
    records.retain(|(_, _, has_history)| !has_history);
    if records.is_empty() {
        return Ok(());
    }
    let seasons = Seasons::read(work.transaction).await?;
    let moved = records.iter().filter_map(|(_, record, _)| {
        let stored = work.known.goals.get(&record.key)?;
        (stored.week != record.week).then_some(stored.id)
    });
    let claimed = seasons::operate::claimed(&work.unit, moved.collect()).await?;
    let mut new: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for (at, record, _) in records {
        let Some((season, _)) = seasons.by_key(&record.season, work.now) else { continue };
        let stored = work.known.goals.get(&record.key);
        let weeks = season.week_count();
        if record.week.is_some_and(|week| i64::from(week) > weeks) {
            work.bad(at, format!("the season {:?} has {weeks} weeks", record.season));
        } else if stored.is_some_and(|stored| stored.week != record.week && claimed.contains(&stored.id)) {
            work.bad(at, format!("the reward of {:?} has been claimed; it stays in its week", record.key));
        } else if stored.is_none() {
            let new = new.entry(&record.season).or_default();
            if season.goals.len() + new.len() >= MOST_GOALS && !new.contains(record.key.as_str()) {
                work.bad(at, format!("a season has at most {MOST_GOALS} goals"));
                continue;
            }
            new.insert(&record.key);
        }
    }
    Ok(())
}

async fn take_goals(work: &mut Work<'_>) -> Result<()> {
    refuse_goals(work).await?;
    for (_, goal) in things::<Goal>(work, only!(Goal)).await? {
        let row = goal.row;
        if goal.before.is_some_and(|before| before.total_steps != row.total_steps) {
            let origin = if goal.has_history { Origin::Restored } else { Origin::Told };
            resize(&mut work.unit, (row.id, &row.key), row.total_steps, origin).await?;
        }
        work.known.put_goal(row);
    }
    Ok(())
}

impl Thing for Goal {
    type Row = goal::Model;

    const KIND: Kind = Kind::Goal;

    fn key(&self) -> &str {
        &self.key
    }

    fn row(&self, given: &Given<'_, goal::Model>) -> Result<goal::Model, String> {
        let season_id = *given.known.seasons.get(&self.season).ok_or_else(|| unknown("season", &self.season))?;
        if let Some(stored) = given.stored {
            if stored.season_id != season_id {
                return Err("the goal belongs to another season".to_owned());
            }
            // An older export does not know that the goal has come to ask for more.
            if !given.is_told && self.total_steps < stored.total_steps {
                return Err("an export cannot take steps away from a goal that is there".to_owned());
            }
        }
        Ok(goal::Model {
            id: 0,
            key: self.key.clone(),
            season_id,
            week: self.week,
            position: self.position,
            title: given.title(&self.title),
            description: self.description.clone(),
            thumbnail: self.thumbnail.clone(),
            reward_micros: self.reward_micros,
            total_steps: self.total_steps,
        })
    }

    fn check(&self, checks: &mut Checks) {
        checks.title("title", Some(&self.title));
        checks.description("description", Some(&self.description));
        checks.url("thumbnail", self.thumbnail.as_ref());
    }

    fn key_of(row: &goal::Model) -> &str {
        &row.key
    }

    fn id(row: &goal::Model) -> i64 {
        row.id
    }

    fn set_id(row: &mut goal::Model, id: i64) {
        row.id = id;
    }
}

impl Thing for Resource {
    type Row = resource::Model;

    const KIND: Kind = Kind::Resource;

    fn key(&self) -> &str {
        &self.key
    }

    fn row(&self, given: &Given<'_, resource::Model>) -> Result<resource::Model, String> {
        let created_at = given.created(|row| row.created_at, self.created_at);
        let external_id = given
            .stored
            .map(|row| row.external_id.clone())
            .or_else(|| self.wanted_id())
            .unwrap_or_else(|| given.ids.hex24(created_at));
        if !is_hex24(&external_id) {
            return Err("an externalId has 24 hexadecimal digits".to_owned());
        }
        Ok(resource::Model {
            id: 0,
            key: self.key.clone(),
            external_id,
            title: given.title(&self.title),
            kind: self.kind.clone(),
            section: self.section.clone(),
            url: self.url.clone(),
            description: self.description.clone(),
            estimated_minutes: self.estimated_minutes,
            // What was described once stays so.
            catalogued: self.catalogued || given.stored.is_some_and(|row| row.catalogued),
            created_at,
            updated_at: given.stored.map_or(created_at, |row| row.updated_at),
        })
    }

    fn check(&self, checks: &mut Checks) {
        checks.title("title", Some(&self.title));
        checks.description("description", Some(&self.description));
        checks.url("url", self.url.as_ref());
        checks.label("kind", Some(&self.kind));
        checks.title("section", self.section.as_ref());
    }

    fn updated_at(&self) -> Option<At> {
        self.updated_at
    }

    fn key_of(row: &resource::Model) -> &str {
        &row.key
    }

    fn id(row: &resource::Model) -> i64 {
        row.id
    }

    fn set_id(row: &mut resource::Model, id: i64) {
        row.id = id;
    }

    fn touch(row: &mut resource::Model, at: Timestamp) {
        row.updated_at = at;
    }

    fn wanted(&self) -> Option<Unique> {
        self.wanted_id().map(Unique::ExternalId)
    }

    fn unique(row: &resource::Model) -> Option<Unique> {
        Some(Unique::ExternalId(row.external_id.clone()))
    }
}

impl Resource {
    fn wanted_id(&self) -> Option<String> {
        let id = self.external_id.as_ref().or_else(|| is_hex24(&self.key).then_some(&self.key));
        id.map(|id| id.to_ascii_lowercase())
    }
}

/// Whether this is an id of 24 hexadecimal digits.
pub(super) fn is_hex24(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl Thing for StudyPlan {
    type Row = plan::Model;

    const KIND: Kind = Kind::StudyPlan;

    fn key(&self) -> &str {
        &self.key
    }

    fn row(&self, given: &Given<'_, plan::Model>) -> Result<plan::Model, String> {
        let distinct: BTreeSet<&String> = self.resources.iter().collect();
        if distinct.len() < self.resources.len() {
            return Err("a study plan has each resource once".to_owned());
        }
        let created_at = given.created(|row| row.created_at, self.created_at);
        Ok(plan::Model {
            id: 0,
            key: self.key.clone(),
            title: given.title(&self.title),
            description: self.description.clone(),
            created_at,
            updated_at: given.stored.map_or(created_at, |row| row.updated_at),
        })
    }

    fn check(&self, checks: &mut Checks) {
        checks.title("title", Some(&self.title));
        checks.description("description", Some(&self.description));
    }

    fn updated_at(&self) -> Option<At> {
        self.updated_at
    }

    fn key_of(row: &plan::Model) -> &str {
        &row.key
    }

    fn id(row: &plan::Model) -> i64 {
        row.id
    }

    fn set_id(row: &mut plan::Model, id: i64) {
        row.id = id;
    }

    fn touch(row: &mut plan::Model, at: Timestamp) {
        row.updated_at = at;
    }
}

async fn take_plans(work: &mut Work<'_>) -> Result<()> {
    // A plan that names a resource which is not there is bad as a whole, so this is looked at first.
    let records = work.records(only!(StudyPlan));
    if records.is_empty() {
        return Ok(());
    }
    let named: BTreeSet<String> = records.iter().flat_map(|(_, plan, _)| plan.resources.iter().cloned()).collect();
    let found = sql::with_text::<resource::Model>(work.transaction, "key", named.into_iter().collect()).await?;
    let described: BTreeSet<String> = found.iter().filter(|row| row.catalogued).map(|row| row.key.clone()).collect();
    let resources: HashMap<String, i64> = found.into_iter().map(|row| (row.key, row.id)).collect();
    for (at, plan, has_history) in &records {
        // Resources that nobody described get a row by somebody's progress, and are in no plan.
        let is_there = |key: &String| if *has_history { resources.contains_key(key) } else { described.contains(key) };
        if let Some(key) = plan.resources.iter().find(|key| !is_there(key)) {
            work.bad(*at, unknown("resource", key));
        } else if plan.resources.len() > MOST_RESOURCES {
            work.bad(*at, format!("a study plan has at most {MOST_RESOURCES} resources"));
        }
    }
    let plans = things::<StudyPlan>(work, only!(StudyPlan)).await?;
    let ids: Vec<i64> = plans.iter().map(|(_, plan)| plan.row.id).collect();
    let mut stored: BTreeMap<i64, Vec<(i32, i64)>> = BTreeMap::new();
    for row in sql::with_int::<plan_resource::Model>(work.transaction, "plan_id", &ids).await? {
        stored.entry(row.plan_id).or_default().push((row.position, row.resource_id));
    }
    let (mut changed, mut rows) = (Vec::new(), Vec::new());
    for (record, plan) in &plans {
        work.known.put_plan(plan.row.clone());
        let wanted: Vec<i64> = record.resources.iter().filter_map(|key| resources.get(key).copied()).collect();
        let mut there = stored.remove(&plan.row.id).unwrap_or_default();
        there.sort_unstable();
        if there.iter().map(|(_, resource)| *resource).eq(wanted.iter().copied()) {
            continue;
        }
        changed_too(work, *record, plan);
        changed.push(plan.row.id);
        let plan_id = plan.row.id;
        rows.extend(wanted.into_iter().zip(1..).map(|(resource_id, position)| plan_resource::Model {
            plan_id,
            position,
            resource_id,
        }));
    }
    if !changed.is_empty() {
        sql::remove::<plan_resource::Model>(work.transaction, "plan_id", &changed).await?;
        sql::store(work.transaction, &rows).await?;
    }
    Ok(())
}

impl Thing for Game {
    type Row = game::Model;

    const KIND: Kind = Kind::Game;

    fn key(&self) -> &str {
        &self.key
    }

    fn row(&self, given: &Given<'_, game::Model>) -> Result<game::Model, String> {
        let created_at = given.created(|row| row.created_at, self.created_at);
        Ok(game::Model {
            id: 0,
            key: self.key.clone(),
            number: self.number,
            title: given.title(&self.title),
            platform: self.platform.clone(),
            description: self.description.clone(),
            image: self.image.clone(),
            num_possible: given.stored.map_or(0, |row| row.num_possible),
            possible_score: given.stored.map_or(0, |row| row.possible_score),
            created_at,
            updated_at: given.stored.map_or(created_at, |row| row.updated_at),
        })
    }

    fn check(&self, checks: &mut Checks) {
        checks.title("title", Some(&self.title));
        checks.description("description", Some(&self.description));
        checks.url("image", self.image.as_ref());
        checks.label("platform", self.platform.as_ref());
    }

    fn updated_at(&self) -> Option<At> {
        self.updated_at
    }

    fn key_of(row: &game::Model) -> &str {
        &row.key
    }

    fn id(row: &game::Model) -> i64 {
        row.id
    }

    fn set_id(row: &mut game::Model, id: i64) {
        row.id = id;
    }

    fn touch(row: &mut game::Model, at: Timestamp) {
        row.updated_at = at;
    }

    fn wanted(&self) -> Option<Unique> {
        self.number.map(Unique::Number)
    }

    fn unique(row: &game::Model) -> Option<Unique> {
        row.number.map(Unique::Number)
    }
}

impl Thing for Achievement {
    type Row = achievement::Model;

    const KIND: Kind = Kind::Achievement;

    fn key(&self) -> &str {
        &self.key
    }

    fn row(&self, given: &Given<'_, achievement::Model>) -> Result<achievement::Model, String> {
        let game_id = *given.known.games.get(&self.game).ok_or_else(|| unknown("game", &self.game))?;
        if given.stored.is_some_and(|row| row.game_id != game_id) {
            return Err("the achievement belongs to another game".to_owned());
        }
        let created_at = given.created(|row| row.created_at, self.created_at);
        Ok(achievement::Model {
            id: 0,
            key: self.key.clone(),
            game_id,
            position: self.position,
            title: given.title(&self.title),
            description: self.description.clone(),
            badge: self.badge.clone(),
            points: self.points,
            kind: self.kind,
            published: self.published,
            created_at,
            updated_at: given.stored.map_or(created_at, |row| row.updated_at),
        })
    }

    fn check(&self, checks: &mut Checks) {
        checks.title("title", Some(&self.title));
        checks.description("description", Some(&self.description));
        checks.url("badge", self.badge.as_ref());
    }

    fn updated_at(&self) -> Option<At> {
        self.updated_at
    }

    fn key_of(row: &achievement::Model) -> &str {
        &row.key
    }

    fn id(row: &achievement::Model) -> i64 {
        row.id
    }

    fn set_id(row: &mut achievement::Model, id: i64) {
        row.id = id;
    }

    fn touch(row: &mut achievement::Model, at: Timestamp) {
        row.updated_at = at;
    }
}

/// Refuses achievements with which a game would be worth more than its players' scores can hold, one after the other.
fn refuse_too_many_points(work: &mut Work<'_>) {
    // By game, and what its published achievements in this chunk are worth by their last records.
    let mut sums: HashMap<i64, i64> = HashMap::new();
    let mut last: HashMap<&str, i64> = HashMap::new();
    for (at, record, _) in work.records(only!(Achievement)) {
        let Some(game) = work.known.games.get(&record.game).copied() else { continue };
        let sum = *sums.entry(game).or_insert_with(|| {
            let published = work.known.achievements_of(game).filter(|one| one.published);
            published.map(|one| i64::from(one.points)).sum()
        });
        let stored = work.known.achievements.get(&record.key).filter(|one| one.published);
        let before =
            last.get(record.key.as_str()).copied().unwrap_or_else(|| stored.map_or(0, |one| one.points.into()));
        let points = if record.published { i64::from(record.points) } else { 0 };
        let after = sum - before + points;
        if after > limits::MOST_SCORE {
            work.bad(at, format!("the points of a game are at most {} together", limits::MOST_SCORE));
            continue;
        }
        sums.insert(game, after);
        last.insert(&record.key, points);
    }
}

/// Refuses new things beyond the most that what they belong to may have. `stored` says how many there are.
fn refuse_too_many<'a, T: Thing + 'a>(
    work: &mut Work<'a>,
    pick: impl Fn(&'a Record) -> Option<&'a T>,
    place: impl Fn(&T) -> &str,
    (stored, is_stored): (impl Fn(&Known, &str) -> usize, impl Fn(&Known, &str) -> bool),
    (most, what): (usize, &str),
) {
    let mut new: HashMap<&str, BTreeSet<&str>> = HashMap::new();
    for (at, record, has_history) in work.records(pick) {
        if has_history || is_stored(&work.known, record.key()) {
            continue;
        }
        let new = new.entry(place(record)).or_default();
        if stored(&work.known, place(record)) + new.len() >= most && !new.contains(record.key()) {
            work.bad(at, format!("{what} at most {most}"));
        } else {
            new.insert(record.key());
        }
    }
}

async fn take_achievements(work: &mut Work<'_>) -> Result<()> {
    refuse_too_many_points(work);
    let stored =
        |known: &Known, game: &str| known.games.get(game).and_then(|game| known.of_game.get(game)).map_or(0, Vec::len);
    let is_stored = |known: &Known, key: &str| known.achievements.contains_key(key);
    let most = (MOST_ACHIEVEMENTS, "the achievements of a game are");
    refuse_too_many::<Achievement>(work, only!(Achievement), |one| &one.game, (stored, is_stored), most);
    let achievements = things::<Achievement>(work, only!(Achievement)).await?;
    let (mut counted, mut scored) = (BTreeSet::new(), BTreeMap::new());
    for (_, achievement) in achievements {
        let row = achievement.row;
        let counts = |row: &achievement::Model| (row.published, row.points, row.kind);
        match &achievement.before {
            None => drop(counted.insert(row.game_id)),
            Some(before) if counts(before) != counts(&row) => {
                counted.insert(row.game_id);
                let is_told = scored.entry(row.game_id).or_insert(false);
                *is_told |= !achievement.has_history;
            }
            Some(_) => {}
        }
        work.known.put_achievement(row);
    }
    let ids: Vec<i64> = counted.into_iter().collect();
    let mut rows = sql::with_int::<game::Model>(work.transaction, "id", &ids).await?;
    for row in &mut rows {
        let published = || work.known.achievements_of(row.id).filter(|achievement| achievement.published);
        row.num_possible = i32::try_from(published().count()).unwrap_or(i32::MAX);
        // What would not fit was refused before.
        row.possible_score = published().fold(0, |sum, achievement| sum.saturating_add(achievement.points));
    }
    sql::store(work.transaction, &rows).await?;
    for (game, is_told) in scored {
        let (key, origin) = (work.known.game_key(game), if is_told { Origin::Told } else { Origin::Restored });
        count_anew(&mut work.unit, game, &key, origin).await?;
    }
    work.unit.flush().await
}

impl Thing for Collection {
    type Row = collection::Model;

    const KIND: Kind = Kind::Collection;

    fn key(&self) -> &str {
        &self.key
    }

    fn row(&self, given: &Given<'_, collection::Model>) -> Result<collection::Model, String> {
        if self.starts_at.zip(self.ends_at).is_some_and(|(starts, ends)| ends <= starts) {
            return Err("a collection ends after it starts".to_owned());
        }
        let fits = |reward: &Reward| reward.stock.is_none_or(|stock| reward.claimed <= stock);
        if !self.reward.as_ref().is_none_or(fits) {
            return Err("no more rewards are claimed than there are".to_owned());
        }
        let created_at = given.created(|row| row.created_at, self.created_at);
        Ok(collection::Model {
            id: 0,
            key: self.key.clone(),
            name: given.title(&self.name),
            description: self.description.clone(),
            image: self.image.clone(),
            environment: self.environment.clone(),
            created_at,
            starts_at: self.starts_at.map(|at| at.0),
            ends_at: self.ends_at.map(|at| at.0),
            show_before: self.show_before,
            show_after: self.show_after,
            updated_at: given.stored.map_or(created_at, |row| row.updated_at),
        })
    }

    fn check(&self, checks: &mut Checks) {
        checks.title("name", Some(&self.name));
        checks.description("description", Some(&self.description));
        checks.url("image", self.image.as_ref());
        checks.label("environment", Some(&self.environment));
        if let Some(reward) = &self.reward {
            checks.title("name", Some(&reward.name));
            checks.description("description", Some(&reward.description));
            checks.url("image", reward.image.as_ref());
            checks.description("value", Some(&reward.value));
            checks.label("viewType", Some(&reward.view_type));
            if let Some(reason) = no_key("reward", &reward.key) {
                checks.invalid("key", reason);
            }
        }
    }

    fn updated_at(&self) -> Option<At> {
        self.updated_at
    }

    fn key_of(row: &collection::Model) -> &str {
        &row.key
    }

    fn id(row: &collection::Model) -> i64 {
        row.id
    }

    fn set_id(row: &mut collection::Model, id: i64) {
        row.id = id;
    }

    fn touch(row: &mut collection::Model, at: Timestamp) {
        row.updated_at = at;
    }
}

/// Refuses rewards of which fewer would be left than have been claimed, as mutations do.
async fn refuse_low_stocks(work: &mut Work<'_>) -> Result<()> {
    let mut records = work.records(only!(Collection));
    records.retain(|(_, record, has_history)| !has_history && record.reward.is_some());
    let id = |key: &str| work.known.collections.get(key).copied();
    let ids: Vec<i64> = records.iter().filter_map(|(_, record, _)| id(&record.key)).collect();
    let stored = sql::with_int::<reward::Model>(work.transaction, "collection_id", &ids).await?;
    let claimed: HashMap<i64, i64> = stored.into_iter().map(|row| (row.collection_id, row.claimed)).collect();
    for (at, record, _) in records {
        let claimed = work.known.collections.get(&record.key).and_then(|id| claimed.get(id)).copied().unwrap_or(0);
        if record.reward.as_ref().and_then(|reward| reward.stock).is_some_and(|stock| stock < claimed) {
            work.bad(at, format!("{claimed} have been claimed, and the stock cannot be less"));
        }
    }
    Ok(())
}

/// Takes collections; gives those whose dates have changed, and whether histories are to tell what follows.
async fn take_collections(work: &mut Work<'_>) -> Result<BTreeMap<i64, bool>> {
    refuse_low_stocks(work).await?;
    let collections = things::<Collection>(work, only!(Collection)).await?;
    let ids: Vec<i64> = collections.iter().map(|(_, collection)| collection.row.id).collect();
    let stored = sql::with_int::<reward::Model>(work.transaction, "collection_id", &ids).await?;
    let stored: HashMap<i64, reward::Model> = stored.into_iter().map(|row| (row.collection_id, row)).collect();
    let (mut rows, mut changed) = (Vec::new(), BTreeMap::new());
    for (record, collection) in &collections {
        let collection_id = collection.row.id;
        let dates = |row: &collection::Model| (row.starts_at, row.ends_at);
        if collection.before.as_ref().is_some_and(|before| dates(before) != dates(&collection.row)) {
            changed.insert(collection_id, !collection.has_history);
        }
        work.known.put_collection(collection.row.clone());
        // A reward that the record does not name stays: somebody may have claimed it.
        let Some(reward) = &record.reward else { continue };
        let there = stored.get(&collection_id);
        let counted = there.map_or(0, |row| row.claimed);
        // What was claimed elsewhere comes as progress, and is counted then. An export brings the count along.
        let claimed = if collection.has_history { reward.claimed.max(counted) } else { counted };
        let row = reward::Model {
            collection_id,
            key: reward.key.clone(),
            name: if collection.has_history { reward.name.clone() } else { tidied(&reward.name) },
            image: reward.image.clone(),
            description: reward.description.clone(),
            value: reward.value.clone(),
            view_type: reward.view_type.clone(),
            stock: reward.stock.map(|stock| stock.max(claimed)),
            claimed,
        };
        work.known.rewards.insert(collection_id, row.key.clone());
        if there != Some(&row) {
            changed_too(work, *record, collection);
            rows.push(row);
        }
    }
    sql::store(work.transaction, &rows).await?;
    Ok(changed)
}

impl Thing for Card {
    type Row = card::Model;

    const KIND: Kind = Kind::Card;

    fn key(&self) -> &str {
        &self.key
    }

    fn row(&self, given: &Given<'_, card::Model>) -> Result<card::Model, String> {
        let known = given.known.collections.get(&self.collection);
        let collection_id = *known.ok_or_else(|| unknown("collection", &self.collection))?;
        if given.stored.is_some_and(|row| row.collection_id != collection_id) {
            return Err("the card belongs to another collection".to_owned());
        }
        Ok(card::Model {
            id: 0,
            key: self.key.clone(),
            collection_id,
            position: self.position,
            name: given.title(&self.name),
            image: self.image.clone(),
            rarity: self.rarity.clone(),
        })
    }

    fn check(&self, checks: &mut Checks) {
        checks.title("name", Some(&self.name));
        checks.url("image", self.image.as_ref());
        checks.label("rarity", Some(&self.rarity));
    }

    fn key_of(row: &card::Model) -> &str {
        &row.key
    }

    fn id(row: &card::Model) -> i64 {
        row.id
    }

    fn set_id(row: &mut card::Model, id: i64) {
        row.id = id;
    }
}

fn grouped<R>(rows: Vec<R>, by: impl Fn(&R) -> i64) -> BTreeMap<i64, Vec<R>> {
    let mut groups: BTreeMap<i64, Vec<R>> = BTreeMap::new();
    for row in rows {
        groups.entry(by(&row)).or_default().push(row);
    }
    groups
}

/// What is said of something that is named and not there.
pub(super) fn unknown(kind: &str, key: &str) -> String {
    format!("there is no {kind} {key:?}")
}
