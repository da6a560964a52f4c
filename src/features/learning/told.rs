//! What files tell of learning: facts with their dates, which come to the same in whatever order they are taken.
//! Nothing is taken back by them: what is complete stays so.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, json};

use super::entity::{instance, instance_owner, instance_resource, progress};
use super::repo;
use super::rules::{self, MAX_NOTES_CHARACTERS};
use super::write::{MOST_ELSEWHERE, MOST_INSTANCES};
use super::{Learning, Plan};
use waymark_db::{bulk, rows};
use waymark_kernel::clock::{Ids, Timestamp};
use waymark_kernel::error::Result;
use waymark_kernel::limits;
use waymark_vocabulary::ids::Kind;
use waymark_write::{HistoryKind, Origin, Taken, Unit};

/// How far a locked user is with a resource.
#[derive(Debug)]
pub struct ToldProgress<'a> {
    /// The internal id of the user.
    pub user: i64,
    /// The resource's key, or its 24-digit id.
    pub resource: &'a str,
    /// The 24-digit id of the progress; `None`: a new one.
    pub external_id: Option<&'a str>,
    /// Whether the resource is complete.
    pub completed: bool,
    /// In percent, 0 to 100.
    pub progress: i16,
    /// In minutes, 0 or more.
    pub time_spent_minutes: i32,
    /// The user's own notes; empty: the record has none.
    pub notes: &'a str,
    /// Whether the user has been erased, so that no notes come back.
    pub erased: bool,
    /// When it was completed; `None`: the record does not say, or it is not complete.
    pub completed_at: Option<Timestamp>,
    /// When the user last wrote about it; `None`: the record does not say.
    pub last_accessed_at: Option<Timestamp>,
    /// When the user first wrote about it; `None`: the record does not say.
    pub created_at: Option<Timestamp>,
    /// When the row changed last; `None`: the record does not say.
    pub updated_at: Option<Timestamp>,
    /// Where the record comes from.
    pub origin: Origin,
}

/// That a locked user has an instance of a study plan.
#[derive(Debug)]
pub struct ToldInstance<'a> {
    /// The internal id of the user.
    pub user: i64,
    /// Its number among those of the user; `None`: that of the user's instance of the plan, or the next one.
    pub number: Option<i64>,
    /// The 24-digit id of the instance; `None`: a new one.
    pub external_id: Option<&'a str>,
    /// The plan's key.
    pub plan: &'a str,
    /// Its title; `None`: the plan's.
    pub title: Option<&'a str>,
    /// The keys of its resources in their order, each with when it was marked; `None`: those of the plan, unmarked.
    pub resources: Option<Vec<(&'a str, Option<Timestamp>)>>,
    /// When it was made; `None`: the record does not say.
    pub created_at: Option<Timestamp>,
    /// When it changed last; `None`: the record does not say.
    pub updated_at: Option<Timestamp>,
    /// Where the record comes from.
    pub origin: Origin,
}

/// Takes what is told of progress and instances. Of figures the greatest stay, of dates of completion the earliest, and
/// of notes the newest; what an export says of progress that is there counts if it is newer.
pub async fn take_told(
    unit: &mut Unit<'_>,
    progress: &[ToldProgress<'_>],
    instances: &[ToldInstance<'_>],
) -> Result<(Vec<Taken>, Vec<Taken>)> {
    let of_instances = instances.iter().flat_map(|told| told.resources.iter().flatten().map(|(key, _)| *key));
    let resources = Resources::find(unit, progress.iter().map(|told| told.resource).chain(of_instances)).await?;
    Ok((take_progress(unit, &resources, progress).await?, take_instances(unit, &resources, instances).await?))
}

/// The resources that are named.
struct Resources<'a> {
    /// Each with its id and the key that the history names it by.
    named: HashMap<&'a str, (i64, String)>,
    /// When those were retired that are, by their ids.
    retired: HashMap<i64, Timestamp>,
    /// The ids of those that nobody described.
    elsewhere: BTreeSet<i64>,
}

impl<'a> Resources<'a> {
    /// Finds resources. One that nobody described gets a row, as it does when progress on it is written otherwise.
    async fn find(unit: &Unit<'_>, named: impl Iterator<Item = &'a str>) -> Result<Self> {
        let learning = unit.catalogue::<Learning>()?;
        let (mut found, mut elsewhere, mut retired) = (HashMap::new(), BTreeMap::new(), HashMap::new());
        for key in named {
            if let Some(known) = learning.resource(key) {
                retired.extend(known.retired_at.map(|at| (known.id, at)));
                found.insert(key, (known.id, known.key.clone()));
            } else if rules::is_external_id(key) {
                elsewhere.insert(key, key.to_ascii_lowercase());
            }
        }
        let ids = repo::known_or_added(unit.transaction(), elsewhere.values().cloned().collect(), unit.now).await?;
        found.extend(elsewhere.into_iter().filter_map(|(key, id)| Some((key, (*ids.get(&id)?, id)))));
        Ok(Self { named: found, retired, elsewhere: ids.into_values().collect() })
    }

    fn is_elsewhere(&self, resource: i64) -> bool {
        self.elsewhere.contains(&resource)
    }

    /// With how many resources that nobody described those users have progress who are told to have it with more.
    async fn had(
        &self,
        unit: &Unit<'_>,
        stored: &HashMap<(i64, i64), progress::Model>,
        told: &[ToldProgress<'_>],
    ) -> Result<HashMap<i64, i64>> {
        let is_new = |told: &&ToldProgress<'_>| {
            let found = self.get(told.resource).map(|(id, _)| *id).ok().filter(|id| self.is_elsewhere(*id));
            found.is_some_and(|id| !stored.contains_key(&(told.user, id)))
        };
        let users: BTreeSet<i64> = told.iter().filter(is_new).map(|told| told.user).collect();
        if users.is_empty() {
            return Ok(HashMap::new());
        }
        let mut counts = repo::elsewhere(unit.transaction(), users.iter().copied().collect()).await?;
        Ok(users.into_iter().map(|user| (user, counts.remove(&user).unwrap_or(0))).collect())
    }

    fn get(&self, key: &str) -> Result<&(i64, String), String> {
        self.named.get(key).ok_or_else(|| format!("there is no resource {key:?}"))
    }
}

async fn take_progress(
    unit: &mut Unit<'_>,
    resources: &Resources<'_>,
    told: &[ToldProgress<'_>],
) -> Result<Vec<Taken>> {
    let places = told.iter().filter_map(|told| Some((told.user, resources.get(told.resource).ok()?.0))).collect();
    let stored = rows::with_pairs::<progress::Model>(unit.transaction(), "resource_id", &places).await?;
    let mut stored: HashMap<(i64, i64), progress::Model> =
        stored.into_iter().map(|row| ((row.user_id, row.resource_id), row)).collect();
    let mut elsewhere = resources.had(unit, &stored, told).await?;
    let mut changed = BTreeSet::new();
    let mut taken = Vec::with_capacity(told.len());
    for one in told {
        let resource = resources.get(one.resource).and_then(|resource| check(one).map(|()| resource));
        let (resource, key) = match resource {
            Ok((resource, key)) => (*resource, key),
            Err(reason) => {
                taken.push(Err(reason));
                continue;
            }
        };
        let place = (one.user, resource);
        let before = stored.get(&place);
        if let Some(count) =
            elsewhere.get_mut(&one.user).filter(|_| before.is_none() && resources.is_elsewhere(resource))
        {
            if one.origin == Origin::Told && *count >= MOST_ELSEWHERE {
                taken.push(Err(format!(
                    "a user has progress with at most {MOST_ELSEWHERE} resources outside the catalogue"
                )));
                continue;
            }
            *count += 1;
        }
        let after = merged(resource, before, one, unit.now, unit.ids);
        if before == Some(&after) {
            taken.push(Ok(false));
            continue;
        }
        let at = said(one).unwrap_or(unit.now);
        let retired_at = resources.retired.get(&resource).copied();
        if let Err(reason) = one.origin.check_retired(Kind::Resource, key, retired_at, at) {
            taken.push(Err(reason));
            continue;
        }
        if one.origin == Origin::Told {
            tell_progress(unit, key, before, &after)?;
        }
        stored.insert(place, after);
        changed.insert(place);
        taken.push(Ok(true));
    }
    let rows: Vec<_> = changed.iter().filter_map(|place| stored.remove(place)).collect();
    rows::store(unit.transaction(), &rows).await?;
    Ok(taken)
}

fn check(told: &ToldProgress<'_>) -> Result<(), String> {
    let is_good = rules::check_progress(None, None, Some(told.notes)).is_ok()
        && told.external_id.is_none_or(rules::is_external_id);
    is_good.then_some(()).ok_or_else(|| {
        format!("notes have at most {MAX_NOTES_CHARACTERS} characters, and an externalId has 24 hexadecimal digits")
    })
}

/// When something was recorded, as far as a record says.
fn said(told: &ToldProgress<'_>) -> Option<Timestamp> {
    told.last_accessed_at.or(told.updated_at).or(told.completed_at)
}

/// Returns what is stored of progress after something was told of it.
fn merged(
    resource_id: i64,
    before: Option<&progress::Model>,
    told: &ToldProgress<'_>,
    now: Timestamp,
    ids: &Ids,
) -> progress::Model {
    let said = said(told);
    let at = said.unwrap_or(now);
    let completed_at = told.completed.then(|| told.completed_at.unwrap_or(at));
    let Some(before) = before else {
        return progress::Model {
            user_id: told.user,
            resource_id,
            external_id: told.external_id.map_or_else(|| ids.hex24(at), str::to_ascii_lowercase),
            completed: told.completed,
            progress: told.progress,
            time_spent_minutes: told.time_spent_minutes,
            notes: told.notes.to_owned(),
            completed_at,
            last_accessed_at: at,
            created_at: told.created_at.unwrap_or(at),
            updated_at: told.updated_at.unwrap_or(at),
        };
    };
    // An older export does not know that a completion was taken back.
    if told.origin == Origin::Restored && told.updated_at.is_none_or(|at| at <= before.updated_at) {
        return before.clone();
    }
    let is_newer = said.is_some_and(|said| (said, told.notes) > (before.last_accessed_at, &before.notes));
    // What was erased does not come back.
    let keeps_notes = told.erased || told.notes.is_empty() || !(is_newer || before.notes.is_empty());
    let mut after = progress::Model {
        completed: before.completed || told.completed,
        progress: before.progress.max(told.progress),
        time_spent_minutes: before.time_spent_minutes.max(told.time_spent_minutes),
        notes: if keeps_notes { before.notes.clone() } else { told.notes.to_owned() },
        completed_at: before.completed_at.into_iter().chain(completed_at).min(),
        last_accessed_at: before.last_accessed_at.max(said.unwrap_or(Timestamp::MIN)),
        created_at: told.created_at.or(said).map_or(before.created_at, |at| at.min(before.created_at)),
        ..before.clone()
    };
    let is_news = after != *before;
    let updated_at = told.updated_at.or(said).or(is_news.then_some(now));
    after.updated_at = before.updated_at.max(updated_at.unwrap_or(Timestamp::MIN));
    after
}

/// Tells a history what changed of progress.
fn tell_progress(
    unit: &mut Unit<'_>,
    key: &str,
    before: Option<&progress::Model>,
    after: &progress::Model,
) -> Result<()> {
    let (user, subject) = (after.user_id, (Kind::Resource, key));
    let mut changes = Map::new();
    if after.progress != before.map_or(0, |row| row.progress) {
        changes.insert("progress".to_owned(), after.progress.into());
    }
    if after.time_spent_minutes != before.map_or(0, |row| row.time_spent_minutes) {
        changes.insert("timeSpentMinutes".to_owned(), after.time_spent_minutes.into());
    }
    if after.notes != before.map_or("", |row| &row.notes) {
        changes.insert("notes".to_owned(), true.into());
    }
    if !changes.is_empty() {
        unit.record_at(user, HistoryKind::ResourceProgress, subject, &changes.into(), after.last_accessed_at)?;
    }
    match after.completed_at {
        Some(at) if before.and_then(|row| row.completed_at) != Some(at) => {
            unit.record_at(user, HistoryKind::ResourceCompleted, subject, &json!({}), at)
        }
        _ => Ok(()),
    }
}

/// The instances of some users as they are stored, and which of them changed.
#[derive(Default)]
struct Instances {
    /// By user and number.
    rows: BTreeMap<(i64, i64), instance::Model>,
    /// By user, number of the instance, and resource.
    resources: BTreeMap<(i64, i64, i64), instance_resource::Model>,
    changed: BTreeSet<(i64, i64)>,
    changed_resources: BTreeSet<(i64, i64, i64)>,
    /// Of those that were made.
    owners: Vec<instance_owner::Model>,
}

async fn take_instances(
    unit: &mut Unit<'_>,
    resources: &Resources<'_>,
    told: &[ToldInstance<'_>],
) -> Result<Vec<Taken>> {
    let learning = unit.catalogue::<Learning>()?;
    let users: BTreeSet<i64> = told.iter().map(|told| told.user).collect();
    let users: Vec<i64> = users.into_iter().collect();
    let mut instances = Instances::default();
    for row in rows::with_int::<instance::Model>(unit.transaction(), "user_id", &users).await? {
        instances.rows.insert((row.user_id, row.seq), row);
    }
    for row in rows::with_int::<instance_resource::Model>(unit.transaction(), "user_id", &users).await? {
        instances.resources.insert((row.user_id, row.instance_seq, row.resource_id), row);
    }
    let mut taken = Vec::with_capacity(told.len());
    for one in told {
        let plan = learning.plan(one.plan).ok_or_else(|| format!("there is no study plan {:?}", one.plan));
        let made = plan.and_then(|plan| Ok((plan, instances.take(plan, resources, one, unit)?)));
        taken.push(match made {
            Ok((plan, Some(change))) => {
                if let (Change::Made { number, resources }, Origin::Told) = (change, one.origin) {
                    let changes = json!({ "instance": number, "resources": resources });
                    let at = one.created_at.unwrap_or(unit.now);
                    let subject = (Kind::StudyPlan, plan.row.key.as_str());
                    unit.record_at(one.user, HistoryKind::InstanceCreated, subject, &changes, at)?;
                }
                Ok(true)
            }
            Ok((_, None)) => Ok(false),
            Err(reason) => Err(reason),
        });
    }
    bulk::insert(unit.transaction(), &instances.owners).await?;
    let changed: Vec<_> = instances.changed.iter().filter_map(|place| instances.rows.remove(place)).collect();
    rows::store(unit.transaction(), &changed).await?;
    let changed: Vec<_> =
        instances.changed_resources.iter().filter_map(|place| instances.resources.remove(place)).collect();
    rows::store(unit.transaction(), &changed).await?;
    Ok(taken)
}

/// What became of an instance that was told.
enum Change {
    /// It was made, under this number and with so many resources.
    Made { number: i64, resources: usize },
    /// One that was there has further marks, or is older.
    Marked,
}

impl Instances {
    fn take(
        &mut self,
        plan: &Plan,
        resources: &Resources<'_>,
        told: &ToldInstance<'_>,
        unit: &Unit<'_>,
    ) -> Result<Option<Change>, String> {
        let wanted = wanted(plan, resources, told)?;
        let own = || self.rows.range((told.user, 0)..=(told.user, i64::MAX)).map(|(_, row)| row);
        let number = told.number.or_else(|| own().find(|row| row.plan_id == plan.row.id).map(|row| row.seq));
        let number = number.or_else(|| limits::next_number(own().next_back().map_or(0, |row| row.seq)));
        let number = number.ok_or_else(|| "the instances of this user have their last number already".to_owned())?;
        let has_most = i64::try_from(own().count()).is_ok_and(|count| count >= MOST_INSTANCES);
        let place = (told.user, number);
        if let Some(row) = self.rows.get_mut(&place) {
            let is_another = told.external_id.is_some_and(|id| !id.eq_ignore_ascii_case(&row.external_id));
            if row.plan_id != plan.row.id || is_another {
                return Err(format!("instance {number} of this user is there already and is another"));
            }
            let before = row.clone();
            row.created_at = row.created_at.min(told.created_at.unwrap_or(row.created_at));
            let mut is_marked = false;
            for (resource_id, marked_at) in wanted {
                let Some(stored) = self.resources.get_mut(&(told.user, number, resource_id)) else { continue };
                let earliest = stored.marked_at.into_iter().chain(marked_at).min();
                if earliest != stored.marked_at {
                    stored.marked_at = earliest;
                    self.changed_resources.insert((told.user, number, resource_id));
                    is_marked = true;
                }
            }
            let updated_at = told.updated_at.or(is_marked.then_some(unit.now));
            row.updated_at = row.updated_at.max(updated_at.unwrap_or(Timestamp::MIN));
            let is_news = is_marked || *row != before;
            if is_news {
                self.changed.insert(place);
            }
            return Ok(is_news.then_some(Change::Marked));
        }
        if !told.external_id.is_none_or(rules::is_external_id) {
            return Err("an externalId has 24 hexadecimal digits".to_owned());
        }
        if told.origin == Origin::Told && has_most {
            return Err(format!("a user has at most {MOST_INSTANCES} instances of study plans"));
        }
        let created_at = told.created_at.unwrap_or(unit.now);
        told.origin.check_retired(Kind::StudyPlan, &plan.row.key, plan.row.retired_at, created_at)?;
        let row = instance::Model {
            user_id: told.user,
            seq: number,
            external_id: told.external_id.map_or_else(|| unit.ids.hex24(created_at), str::to_ascii_lowercase),
            plan_id: plan.row.id,
            title: told.title.unwrap_or(&plan.row.title).to_owned(),
            created_at,
            updated_at: told.updated_at.unwrap_or(created_at),
        };
        self.owners.push(instance_owner::Model { external_id: row.external_id.clone(), user_id: row.user_id });
        self.rows.insert(place, row);
        self.changed.insert(place);
        let count = wanted.len();
        for ((resource_id, marked_at), position) in wanted.into_iter().zip(1..) {
            let row =
                instance_resource::Model { user_id: told.user, instance_seq: number, position, resource_id, marked_at };
            self.resources.insert((told.user, number, resource_id), row);
            self.changed_resources.insert((told.user, number, resource_id));
        }
        Ok(Some(Change::Made { number, resources: count }))
    }
}

/// The resources of an instance with their marks: those of the record, else those that the plan offered when it was
/// made.
fn wanted(
    plan: &Plan,
    resources: &Resources<'_>,
    told: &ToldInstance<'_>,
) -> Result<Vec<(i64, Option<Timestamp>)>, String> {
    let Some(said) = &told.resources else {
        let offered = |retired_at: Option<Timestamp>| match (retired_at, told.created_at) {
            (Some(retired_at), Some(at)) => retired_at > at,
            (retired_at, _) => retired_at.is_none(),
        };
        let offered = plan.resources.iter().filter(|resource| offered(resource.retired_at));
        return Ok(offered.map(|resource| (resource.id, None)).collect());
    };
    let mut seen = BTreeSet::new();
    let one = |(key, marked_at): &(&str, Option<Timestamp>)| {
        let (id, _) = resources.get(key)?;
        if seen.insert(*id) { Ok((*id, *marked_at)) } else { Err("an instance has each resource once".to_owned()) }
    };
    said.iter().map(one).collect()
}
