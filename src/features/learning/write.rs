//! Learning: what users write about resources, and their instances of study plans.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use super::repo::{self, Instance, Item, Noted, Numbers, Place, Progress, Which};
use super::rules::{self, InvalidProgress, MarkChange, StoredCompletion};
use super::{Learning, Plan};
use waymark_auth::policy::ActingUser;
use waymark_kernel::error::Result;
use waymark_kernel::limits;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{BulkMode, ItemOutcome, Refusal, UserErrorCode, WriteStatus, not_applied};
use waymark_write::{HistoryKind, Unit, Write, in_one_list, only};

/// Writes a user's progress with a resource.
#[derive(Debug, Serialize)]
pub struct UpdateResourceProgress {
    /// Whose progress is written.
    pub user: ActingUser,
    /// Which resource, and what is written about it.
    pub progress: NewProgress,
}

/// The most instances of study plans that a user has. All of them are read for many an answer.
pub(super) const MOST_INSTANCES: i64 = 1_000;
/// With how many resources that the catalogue does not know a user has progress. Whoever has a token can name any id.
pub(super) const MOST_ELSEWHERE: i64 = 5_000;

/// What is written about a resource; what is `None` stays as it is.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewProgress {
    /// The resource's key, or its 24-digit id.
    pub resource: String,
    /// Whether the user has completed the resource; `None`: unchanged.
    pub completed: Option<bool>,
    /// In percent.
    pub progress: Option<i64>,
    /// The time spent on it, in minutes; `None`: unchanged.
    pub time_spent: Option<Minutes>,
    /// The user's own notes, at most 10,000 characters; `None`: unchanged.
    pub notes: Option<String>,
    /// The 24-digit id of the instance of a study plan through which it is done.
    pub instance: Option<String>,
}

impl NewProgress {
    /// Whether it says that the resource is complete, and nothing else.
    const fn is_completion_alone(&self) -> bool {
        matches!(
            self,
            Self { completed: Some(true), progress: None, time_spent: None, notes: None, instance: None, .. }
        )
    }
}

/// What is written about the minutes spent on a resource.
#[derive(Debug, Clone, Copy, Serialize)]
pub enum Minutes {
    /// So many in all.
    Set(i64),
    /// So many more.
    Add(i64),
}

impl Write for UpdateResourceProgress {
    const NAME: &'static str = "updateResourceProgress";

    type Outcome = ItemOutcome;

    fn joins(&self) -> Option<i64> {
        Some(self.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<ItemOutcome> {
        only(Self::perform_together(&[self], unit).await?)
    }

    async fn perform_together(writes: &[&Self], unit: &mut Unit<'_>) -> Result<Vec<ItemOutcome>> {
        unit.lock(writes.iter().map(|write| write.user.key())).await?;
        let items: Vec<_> = writes.iter().map(|write| (write.user.key(), write.progress.clone())).collect();
        learn(unit, &items).await
    }
}

/// Writes a user's progress with a resource that has a 24-digit id, and says whether there was any before.
#[derive(Debug, Serialize)]
pub struct PutResourceProgress {
    /// Whose progress is written.
    pub user: ActingUser,
    /// Which resource, by its 24-digit id, and what is written about it.
    pub progress: NewProgress,
}

/// What became of it, and whether it is the user's first progress with the resource.
#[derive(Debug, Serialize, Deserialize)]
pub struct Put {
    /// The outcome of the write.
    pub result: ItemOutcome,
    /// Whether the user had no progress with the resource before.
    pub created: bool,
}

impl Write for PutResourceProgress {
    const NAME: &'static str = "putResourceProgress";

    type Outcome = Put;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Put> {
        let user = self.user.key();
        unit.lock([user]).await?;
        let id = self.progress.resource.to_ascii_lowercase();
        let created = repo::progress_by_external_id(unit.transaction(), vec![user], vec![id]).await?.is_empty();
        let result = only(learn(unit, &[(user, self.progress.clone())]).await?)?;
        Ok(Put { result, created })
    }
}

/// Marks resources as complete or not complete for a user.
#[derive(Debug, Serialize)]
pub struct SetResourcesCompletion {
    /// Whose resources are marked.
    pub user: ActingUser,
    /// Keys or 24-digit ids, or whatever else was sent for one.
    pub resources: Vec<String>,
    /// Whether the resources become complete, or not complete.
    pub completed: bool,
    /// Whether the good items are done when others are refused.
    pub mode: BulkMode,
}

impl Write for SetResourcesCompletion {
    const NAME: &'static str = "setResourcesCompletion";

    type Outcome = Vec<ItemOutcome>;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    fn may_be_abandoned(&self) -> bool {
        self.mode == BulkMode::AllOrNothing
    }

    fn joins(&self) -> Option<i64> {
        (!self.may_be_abandoned()).then(|| self.user.key())
    }

    fn size(&self) -> usize {
        self.resources.len()
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Vec<ItemOutcome>> {
        let mut results = only(Self::perform_together(&[self], unit).await?)?;
        if self.may_be_abandoned() && results.iter().any(|result| result.status == WriteStatus::Refused) {
            not_applied(&mut results);
            unit.abandon();
        }
        Ok(results)
    }

    async fn perform_together(writes: &[&Self], unit: &mut Unit<'_>) -> Result<Vec<Vec<ItemOutcome>>> {
        unit.lock(writes.iter().map(|write| write.user.key())).await?;
        let of = |write: &&Self| {
            let item = |resource: &String| {
                let completed = Some(write.completed);
                NewProgress { resource: resource.clone(), completed, ..NewProgress::default() }
            };
            (write.user.key(), write.resources.iter().map(item).collect())
        };
        let mut results = learn(unit, &in_one_list(writes.iter().map(of))).await?;
        // An item is nothing but its resource.
        for refusal in results.iter_mut().filter_map(|result| result.error.as_mut()) {
            refusal.path.clear();
        }
        let mut results = results.into_iter();
        Ok(writes.iter().map(|write| results.by_ref().take(write.resources.len()).collect()).collect())
    }
}

/// Writes progress of locked users, in the order of `items`, each with its user. What is refused names the part of its
/// item.
pub async fn learn(unit: &mut Unit<'_>, items: &[(i64, NewProgress)]) -> Result<Vec<ItemOutcome>> {
    let mut checked = check(unit, items).await?;
    let mut learners = Learners::read(unit, items, &checked).await?;
    refuse_too_many(unit, items, &mut checked, &learners).await?;
    let mut results = Vec::with_capacity(items.len());
    for ((user, item), about) in items.iter().zip(checked) {
        let outcome = match about {
            Ok(about) => {
                let id = Kind::Resource.id(&about.key);
                match learners.learn(unit, *user, item, &about)? {
                    Ok(true) => ItemOutcome::applied(id),
                    Ok(false) => ItemOutcome::unchanged(id),
                    Err(refusal) => ItemOutcome::refused(id, refusal),
                }
            }
            Err(refusal) => ItemOutcome::refused(Kind::Resource.id(&item.resource), refusal),
        };
        results.push(outcome);
    }
    learners.store(unit).await?;
    Ok(results)
}

/// What an item is about.
#[derive(Debug)]
struct About {
    resource: i64,
    /// The resource's key as the history names it; the 24-digit id of one that the catalogue does not know.
    key: String,
    /// The number of the instance through which it is done.
    instance: Option<i64>,
    is_retired: bool,
}

/// What each item is about, or why it is refused whatever was written before. Adds resources that live elsewhere.
async fn check(unit: &Unit<'_>, items: &[(i64, NewProgress)]) -> Result<Vec<Result<About, Refusal>>> {
    let instances = named_instances(unit, items).await?;
    let learning = unit.catalogue::<Learning>()?;
    // The surrogate key is still to be found for what lives elsewhere.
    let check = |(user, item): &(i64, NewProgress)| {
        let (resource, key, is_retired) = match learning.resource(&item.resource) {
            Some(known) => (Some(known.id), known.key.clone(), known.retired_at.is_some()),
            None if !unit.config.strict_resources && rules::is_external_id(&item.resource) => {
                (None, item.resource.to_ascii_lowercase(), false)
            }
            None => return Err(unknown_resource(&item.resource)),
        };
        check_ranges(item)?;
        let instance = match &item.instance {
            Some(id) => {
                let found = instances.get(&(*user, id.clone())).copied();
                Some(found.ok_or_else(|| unknown_instance(id).at(["instanceId"]))?)
            }
            None => None,
        };
        Ok((resource, key, instance, is_retired))
    };
    let checked: Vec<Result<_, Refusal>> = items.iter().map(check).collect();
    let elsewhere = checked.iter().flatten().filter(|(resource, ..)| resource.is_none());
    let elsewhere = elsewhere.map(|(_, key, ..)| key.clone()).collect();
    let elsewhere = repo::known_or_added(unit.transaction(), elsewhere, unit.now).await?;
    let about = |found: Result<(Option<i64>, String, Option<i64>, bool), Refusal>| {
        let (resource, key, instance, is_retired) = found?;
        let resource = resource.or_else(|| elsewhere.get(&key).copied());
        let resource = resource.ok_or_else(|| unknown_resource(&key))?;
        Ok(About { resource, key, instance, is_retired })
    };
    Ok(checked.into_iter().map(about).collect())
}

/// Refuses progress with further resources that the catalogue does not know to those who have it with many already.
async fn refuse_too_many(
    unit: &Unit<'_>,
    items: &[(i64, NewProgress)],
    checked: &mut [Result<About, Refusal>],
    learners: &Learners,
) -> Result<()> {
    let learning = unit.catalogue::<Learning>()?;
    let is_new = |user: i64, about: &About| {
        !learners.progress.contains_key(&(user, about.resource)) && learning.resource(&about.key).is_none()
    };
    let mut new: BTreeSet<(i64, i64)> = BTreeSet::new();
    for ((user, _), about) in items.iter().zip(checked.iter()) {
        new.extend(about.as_ref().ok().filter(|about| is_new(*user, about)).map(|about| (*user, about.resource)));
    }
    if new.is_empty() {
        return Ok(());
    }
    let users: BTreeSet<i64> = new.iter().map(|(user, _)| *user).collect();
    let mut counts = repo::elsewhere(unit.transaction(), users.into_iter().collect()).await?;
    let mut admitted = BTreeSet::new();
    for ((user, _), about) in items.iter().zip(checked) {
        let Ok(resource) = about.as_ref().map(|about| about.resource) else { continue };
        if !new.contains(&(*user, resource)) || admitted.contains(&(*user, resource)) {
            continue;
        }
        let count = counts.entry(*user).or_default();
        if *count >= MOST_ELSEWHERE {
            let message = format!("a user has progress with at most {MOST_ELSEWHERE} resources outside the catalogue");
            *about = Err(Refusal::new(UserErrorCode::TooMany, message).at(["resourceId"]));
        } else {
            *count += 1;
            admitted.insert((*user, resource));
        }
    }
    Ok(())
}

async fn named_instances(unit: &Unit<'_>, items: &[(i64, NewProgress)]) -> Result<HashMap<(i64, String), i64>> {
    let named: Vec<(i64, String)> =
        items.iter().filter_map(|(user, item)| Some((*user, item.instance.clone()?))).collect();
    if named.is_empty() {
        return Ok(HashMap::new());
    }
    let (users, ids): (BTreeSet<i64>, BTreeSet<String>) = named.into_iter().unzip();
    repo::instance_numbers(unit.transaction(), users.into_iter().collect(), ids.into_iter().collect()).await
}

fn check_ranges(item: &NewProgress) -> Result<(), Refusal> {
    let (minutes, given_as) = match item.time_spent {
        Some(Minutes::Set(minutes)) => (Some(minutes), "timeSpentMinutes"),
        Some(Minutes::Add(minutes)) => (Some(minutes), "addTimeSpentMinutes"),
        None => (None, ""),
    };
    let (place, message) = match rules::check_progress(item.progress, minutes, item.notes.as_deref()) {
        Ok(()) => return Ok(()),
        Err(InvalidProgress::Progress) => ("progress", "progress lies between 0 and 100 percent".to_owned()),
        Err(InvalidProgress::TimeSpent) => (given_as, format!("{given_as} lies between 0 and {} minutes", i32::MAX)),
        Err(InvalidProgress::Notes) => {
            ("notes", format!("notes have at most {} characters, and no NUL among them", rules::MAX_NOTES_CHARACTERS))
        }
    };
    Err(Refusal::new(UserErrorCode::InvalidInput, message).at([place]))
}

fn unknown_resource(key: &str) -> Refusal {
    let message = format!("there is no resource {:?}", shortened(key));
    Refusal::new(UserErrorCode::UnknownResource, message).at(["resourceId"])
}

fn unknown_instance(id: &str) -> Refusal {
    let message = format!("this user has no instance {:?} of a study plan", shortened(id));
    Refusal::new(UserErrorCode::UnknownStudyPlanInstance, message)
}

/// What a client sent, short enough for a message.
fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}

/// The progress of locked users with some resources, and the places of these in the users' instances.
struct Learners {
    /// By user and resource, as they are stored.
    progress: HashMap<(i64, i64), (Progress, String)>,
    /// By user and resource; read only where marks may change.
    places: HashMap<(i64, i64), Vec<Place>>,
    written: BTreeSet<(i64, i64)>,
    /// By user, instance and position.
    marked: BTreeMap<(i64, i64, i32), Place>,
}

impl Learners {
    async fn read(unit: &Unit<'_>, items: &[(i64, NewProgress)], checked: &[Result<About, Refusal>]) -> Result<Self> {
        let mut resources: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        let (mut marking, mut marked) = (BTreeSet::new(), BTreeSet::new());
        for ((user, item), about) in items.iter().zip(checked) {
            let Ok(about) = about else { continue };
            resources.entry(*user).or_default().insert(about.resource);
            if item.completed == Some(false) || about.instance.is_some() {
                marking.insert(*user);
                marked.insert(about.resource);
            }
        }
        let mut learners = Self {
            progress: HashMap::new(),
            places: HashMap::new(),
            written: BTreeSet::new(),
            marked: BTreeMap::new(),
        };
        if resources.is_empty() {
            return Ok(learners);
        }
        let resources: Vec<(i64, Vec<i64>)> =
            resources.into_iter().map(|(user, resources)| (user, resources.into_iter().collect())).collect();
        let wanted = resources.iter().map(|(user, resources)| (*user, resources.as_slice()));
        for (user, Noted { progress, notes }) in repo::noted_progress(unit.transaction(), wanted).await? {
            learners.progress.insert((user, progress.resource_id), (progress, notes));
        }
        if !marking.is_empty() {
            let (users, resources) = (marking.into_iter().collect(), marked.into_iter().collect());
            for place in repo::places(unit.transaction(), users, resources).await? {
                learners.places.entry((place.user_id, place.resource_id)).or_default().push(place);
            }
        }
        Ok(learners)
    }

    /// Writes one item, and tells the history; whether anything changed besides the date of the last access.
    fn learn(
        &mut self,
        unit: &mut Unit<'_>,
        user: i64,
        item: &NewProgress,
        about: &About,
    ) -> Result<Result<bool, Refusal>> {
        let now = unit.now;
        let stored = self.progress.get(&(user, about.resource)).cloned();
        let completion = stored
            .as_ref()
            .map(|(row, _)| StoredCompletion { completed: row.completed, completed_at: row.completed_at });
        if about.is_retired {
            let is_done = completion.is_some_and(|stored| stored.completed) && item.is_completion_alone();
            let refusal = || Kind::Resource.retired(&about.key).at(["resourceId"]);
            return Ok(if is_done { Ok(false) } else { Err(refusal()) });
        }
        let (mut row, mut notes) = stored.unwrap_or_else(|| {
            let row = Progress {
                resource_id: about.resource,
                completed: false,
                percent: 0,
                time_spent_minutes: 0,
                completed_at: None,
                last_accessed_at: now,
                created_at: now,
                updated_at: now,
                resource_key: None,
            };
            (row, String::new())
        });
        let mut told = Map::new();
        if let Some(minutes) = item.time_spent {
            let minutes = match minutes {
                Minutes::Set(minutes) => minutes,
                Minutes::Add(minutes) => i64::from(row.time_spent_minutes) + minutes,
            };
            let Ok(minutes) = i32::try_from(minutes) else {
                let message = format!("no more than {} minutes can be kept for a resource", i32::MAX);
                return Ok(Err(Refusal::new(UserErrorCode::InvalidInput, message).at(["addTimeSpentMinutes"])));
            };
            if minutes != row.time_spent_minutes {
                told.insert("timeSpentMinutes".to_owned(), minutes.into());
                row.time_spent_minutes = minutes;
            }
        }
        if let Some(percent) = item.progress.and_then(|percent| i16::try_from(percent).ok())
            && percent != row.percent
        {
            told.insert("progress".to_owned(), percent.into());
            row.percent = percent;
        }
        if let Some(given) = item.notes.as_ref().filter(|given| **given != notes) {
            told.insert("notes".to_owned(), true.into());
            notes.clone_from(given);
        }
        let subject = (Kind::Resource, about.key.as_str());
        let mut changed = !told.is_empty();
        if changed {
            unit.record(user, HistoryKind::ResourceProgress, subject, &told.into())?;
        }

        let was_complete = row.completed;
        let StoredCompletion { completed, completed_at } = rules::transition(completion, item.completed, now);
        (row.completed, row.completed_at) = (completed, completed_at);
        let through = about.instance.filter(|instance| self.has_place(user, about.resource, *instance));
        let marked = self.mark(user, about.resource, through, item.completed, now);
        let becomes = match (was_complete, completed) {
            (true, false) => Some((HistoryKind::ResourceReopened, json!({}))),
            // Complete already, but now through this instance too.
            (true, true) if !marked => None,
            (_, true) => {
                let changes = through.map_or_else(|| json!({}), |instance| json!({ "instance": instance }));
                Some((HistoryKind::ResourceCompleted, changes))
            }
            (false, false) => None,
        };
        if let Some((kind, changes)) = becomes {
            unit.record(user, kind, subject, &changes)?;
            changed = true;
        }

        row.last_accessed_at = now;
        row.updated_at = now;
        self.progress.insert((user, about.resource), (row, notes));
        self.written.insert((user, about.resource));
        Ok(Ok(changed))
    }

    fn has_place(&self, user: i64, resource: i64, instance: i64) -> bool {
        self.places
            .get(&(user, resource))
            .is_some_and(|places| places.iter().any(|place| place.instance_seq == instance))
    }

    /// Changes the marks of a resource as a write through an instance asks for; whether there was anything to change.
    fn mark(
        &mut self,
        user: i64,
        resource: i64,
        through: Option<i64>,
        requested: Option<bool>,
        now: waymark_kernel::clock::Timestamp,
    ) -> bool {
        let change = rules::mark_change(requested, through.is_some());
        let mut changed = false;
        for place in self.places.get_mut(&(user, resource)).into_iter().flatten() {
            let marked_at = match change {
                MarkChange::Mark if through == Some(place.instance_seq) => place.marked_at.or(Some(now)),
                MarkChange::UnmarkEverywhere => None,
                MarkChange::Mark | MarkChange::Keep => place.marked_at,
            };
            if marked_at != place.marked_at {
                place.marked_at = marked_at;
                self.marked.insert((user, place.instance_seq, place.position), place.clone());
                changed = true;
            }
        }
        changed
    }

    async fn store(mut self, unit: &Unit<'_>) -> Result<()> {
        let rows = self.written.iter().filter_map(|place| {
            let (row, notes) = self.progress.remove(place)?;
            Some((place.0, unit.ids.hex24(unit.now), row, notes))
        });
        repo::store_progress(unit.transaction(), rows).await?;
        let marked: Vec<Place> = self.marked.into_values().collect();
        repo::store_marks(unit.transaction(), &marked, unit.now).await
    }
}

/// What came of a write of an instance of a study plan.
#[derive(Debug, Serialize, Deserialize)]
pub enum InstanceOutcome {
    /// The 24-digit id of the instance.
    Done(String),
    /// Nothing was changed; says why.
    Refused(Refusal),
}

impl InstanceOutcome {
    /// Returns the 24-digit id of the instance that was written.
    pub fn done(self) -> Option<String> {
        match self {
            Self::Done(id) => Some(id),
            Self::Refused(_) => None,
        }
    }
}

/// Begins an instance of a study plan for a user.
#[derive(Debug, Serialize)]
pub struct CreateStudyPlanInstance {
    /// Who begins the instance.
    pub user: ActingUser,
    /// The plan's key.
    pub plan: String,
    /// `None`: the plan's title.
    pub title: Option<String>,
}

impl Write for CreateStudyPlanInstance {
    const NAME: &'static str = "createStudyPlanInstance";

    type Outcome = InstanceOutcome;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<InstanceOutcome> {
        let user = self.user.key();
        unit.lock([user]).await?;
        let learning = unit.catalogue::<Learning>()?;
        let Some(plan) = learning.plan(&self.plan) else {
            let message = format!("there is no study plan {:?}", self.plan);
            let refusal = Refusal::new(UserErrorCode::UnknownStudyPlan, message);
            return Ok(InstanceOutcome::Refused(refusal.at(["studyPlanId"])));
        };
        if plan.row.retired_at.is_some() {
            let refusal = Kind::StudyPlan.retired(&plan.row.key);
            return Ok(InstanceOutcome::Refused(refusal.at(["studyPlanId"])));
        }
        if let Some(refusal) = self.title.as_deref().and_then(refused_title) {
            return Ok(InstanceOutcome::Refused(refusal));
        }
        // No number is used twice, so that what the history tells of an instance is never read as told of another one.
        let Numbers { last, count } = repo::numbers(unit.transaction(), user).await?;
        if count >= MOST_INSTANCES {
            let message = format!("a user has at most {MOST_INSTANCES} instances of study plans; delete one first");
            let refusal = Refusal::new(UserErrorCode::TooMany, message);
            return Ok(InstanceOutcome::Refused(refusal.at(["studyPlanId"])));
        }
        let Some(seq) = limits::next_number(unit.next_history_number(user)?.saturating_sub(1).max(last)) else {
            let message = "the instances of this user have their last number already";
            return Ok(InstanceOutcome::Refused(Refusal::new(UserErrorCode::TooMany, message).at(["studyPlanId"])));
        };
        let external_id = unit.ids.hex24(unit.now);
        let instance = Instance {
            seq,
            external_id: external_id.clone(),
            plan_id: plan.row.id,
            title: self.title.clone().unwrap_or_else(|| plan.row.title.clone()),
            created_at: unit.now,
            updated_at: unit.now,
            place: 0,
            many: 0,
            items: items_of(plan, &[]),
        };
        let changes = json!({ "instance": seq, "resources": instance.items.len() });
        repo::add_instance(unit.stores(), user, instance);
        unit.record(user, HistoryKind::InstanceCreated, (Kind::StudyPlan, &plan.row.key), &changes)?;
        Ok(InstanceOutcome::Done(external_id))
    }
}

/// The resources of a plan as an instance keeps them, with the marks that they had in it before.
fn items_of(plan: &Plan, before: &[Item]) -> Vec<Item> {
    let marks: HashMap<i64, &Item> = before.iter().map(|item| (item.resource_id, item)).collect();
    let item = |resource_id: i64| {
        let before = marks.get(&resource_id).copied().copied();
        before.unwrap_or(Item { resource_id, marked_at: None, completed: false, completed_at: None })
    };
    // One that is retired and was there before stays, unseen, so that its mark is there when it comes back.
    let kept = plan.resources.iter().filter(|one| one.retired_at.is_none() || marks.contains_key(&one.id));
    kept.map(|resource| item(resource.id)).collect()
}

fn refused_title(title: &str) -> Option<Refusal> {
    let message = format!("a title has 1 to {} printable characters", rules::MAX_TITLE_CHARACTERS);
    (!rules::is_title(title)).then(|| Refusal::new(UserErrorCode::InvalidInput, message).at(["title"]))
}

/// Renames a user's instance of a study plan, or brings it up to date with its plan.
#[derive(Debug, Serialize)]
pub struct UpdateStudyPlanInstance {
    /// Whose instance is changed.
    pub user: ActingUser,
    /// The instance's 24-digit id.
    pub instance: String,
    /// The new title, 1 to 200 printable characters; `None`: unchanged.
    pub title: Option<String>,
    /// Whether it takes over the resources that its plan has now; marks stay.
    pub refresh: bool,
}

impl Write for UpdateStudyPlanInstance {
    const NAME: &'static str = "updateStudyPlanInstance";

    type Outcome = InstanceOutcome;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<InstanceOutcome> {
        let user = self.user.key();
        unit.lock([user]).await?;
        let Some(instance) = instance(unit, user, &self.instance).await? else {
            return Ok(InstanceOutcome::Refused(unknown_instance(&self.instance).at(["instanceId"])));
        };
        if let Some(refusal) = self.title.as_deref().and_then(refused_title) {
            return Ok(InstanceOutcome::Refused(refusal));
        }
        let learning = unit.catalogue::<Learning>()?;
        let plan = learning.plan_by_id(instance.plan_id);
        if self.refresh && plan.is_none() {
            let message = "the study plan of this instance is gone; there is nothing to take over";
            let refusal = Refusal::new(UserErrorCode::UnknownStudyPlan, message);
            return Ok(InstanceOutcome::Refused(refusal.at(["refresh"])));
        }
        let resources = |items: &[Item]| items.iter().map(|item| item.resource_id).collect::<Vec<_>>();
        let items = plan.filter(|_| self.refresh).map(|plan| items_of(plan, &instance.items));
        let items = items.filter(|items| resources(items) != resources(&instance.items));
        if let Some(items) = &items {
            repo::replace_places(unit.transaction(), user, instance.seq, items).await?;
        }
        let title = self.title.as_ref().unwrap_or(&instance.title);
        if items.is_some() || *title != instance.title {
            repo::rename_instance(unit.transaction(), user, instance.seq, title.clone(), unit.now).await?;
            tell_of_instance(unit, user, HistoryKind::InstanceChanged, &instance)?;
        }
        Ok(InstanceOutcome::Done(instance.external_id))
    }
}

/// Gives up a user's instance of a study plan. The progress with its resources stays.
#[derive(Debug, Serialize)]
pub struct DeleteStudyPlanInstance {
    /// Whose instance is given up.
    pub user: ActingUser,
    /// The instance's 24-digit id.
    pub instance: String,
}

impl Write for DeleteStudyPlanInstance {
    const NAME: &'static str = "deleteStudyPlanInstance";

    type Outcome = InstanceOutcome;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<InstanceOutcome> {
        let user = self.user.key();
        unit.lock([user]).await?;
        let Some(instance) = instance(unit, user, &self.instance).await? else {
            return Ok(InstanceOutcome::Refused(unknown_instance(&self.instance).at(["instanceId"])));
        };
        repo::remove_instance(unit.transaction(), user, instance.seq, &instance.external_id).await?;
        tell_of_instance(unit, user, HistoryKind::InstanceDeleted, &instance)?;
        Ok(InstanceOutcome::Done(instance.external_id))
    }
}

async fn instance(unit: &Unit<'_>, user: i64, external_id: &str) -> Result<Option<Instance>> {
    let which = Which::ExternalIds(vec![external_id.to_owned()]);
    let found = repo::instances(unit.transaction(), vec![user], which).await?;
    Ok(found.into_iter().next().map(|(_, instance)| instance))
}

fn tell_of_instance(unit: &mut Unit<'_>, user: i64, kind: HistoryKind, instance: &Instance) -> Result<()> {
    let learning = unit.catalogue::<Learning>()?;
    let changes = json!({ "instance": instance.seq });
    match learning.plan_by_id(instance.plan_id) {
        Some(plan) => unit.record(user, kind, (Kind::StudyPlan, &plan.row.key), &changes),
        None => {
            // The plan is gone, and its key with it.
            let key = format!("{}:{}", unit.user(user)?.ulid, instance.external_id);
            unit.record(user, kind, (Kind::StudyPlanInstance, &key), &changes)
        }
    }
}
