//! Writing resources and study plans.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde::Serialize;

use super::entity::{plan, plan_resource, resource};
use super::repo::COURSE;
use waymark_auth::policy::Operator;
use waymark_db::edits::Edits;
use waymark_db::{bulk, rows};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_kernel::limits;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::UserErrorCode;
use waymark_write::{Checks, Notes, Patch, Retire, Taken, Telling, Unit, Upserted, Write};

/// The most resources that a study plan may have.
pub const MOST_RESOURCES: usize = 1000;

/// The key under which a resource is kept: one of 24 hexadecimal digits is the same in either case.
pub(super) fn canonical(key: &str) -> String {
    if is_external_id(key) { key.to_ascii_lowercase() } else { key.to_owned() }
}

fn is_external_id(key: &str) -> bool {
    key.len() == 24 && key.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Adds a resource or changes it. What is not given stays as it is.
#[derive(Debug, Serialize)]
pub struct UpsertResource {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// The operator's key of the resource; one of 24 hexadecimal digits is kept in lower case.
    pub key: String,
    /// The title for people, 1 to 200 characters; `None`: unchanged.
    pub title: Option<String>,
    /// What it is, in the operator's words.
    pub kind: Option<String>,
    /// The heading it stands under; `None`: unchanged, `Some(None)`: no heading.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<Option<String>>,
    /// The address at which it is found; `None`: unchanged, `Some(None)`: no address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Option<String>>,
    /// The description for people, at most 5,000 characters; `None`: unchanged.
    pub description: Option<String>,
    /// How long it takes, in minutes; `None`: unchanged, `Some(None)`: unknown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_minutes: Option<Option<i32>>,
    /// Whether it is retired; `None`: unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<Retire>,
}

impl Write for UpsertResource {
    const NAME: &'static str = "upsertResource";
    const CATALOGUE: bool = true;

    type Outcome = Upserted;

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Upserted> {
        unit.lock_catalogue().await?;
        let mut checks = Checks::default();
        let mut shelf = Resources::read(unit, std::iter::once((self, None))).await?;
        let created = !shelf.rows.before(&canonical(&self.key)).is_some_and(|row| row.catalogued);
        shelf.put(&mut checks, self, (None, true), Telling::NOW, unit);
        if checks.failed() {
            return Ok(Upserted::refused(checks.into_refusals()));
        }
        shelf.store(unit).await?;
        Ok(Upserted::done(created))
    }
}

/// What a file tells of a resource.
#[derive(Debug)]
pub struct ToldResource {
    /// What it is like.
    pub resource: UpsertResource,
    /// Its id of 24 digits; `None`: its key where that is one, or a new one.
    pub external_id: Option<String>,
    /// Whether it is described, and not only there because somebody has progress with it.
    pub catalogued: bool,
    /// How it comes to be written.
    pub telling: Telling,
}

/// Takes what a file tells of resources.
pub async fn take_resources(unit: &mut Unit<'_>, told: &[ToldResource]) -> Result<Vec<Taken>> {
    let given = told.iter().map(|one| (&one.resource, one.external_id.as_deref()));
    let mut shelf = Resources::read(unit, given).await?;
    let mut taken = Vec::with_capacity(told.len());
    for one in told {
        let mut checks = one.telling.check(Kind::Resource, &one.resource.key);
        let more = (one.external_id.as_deref(), one.catalogued);
        let is_news = shelf.put(&mut checks, &one.resource, more, one.telling, unit);
        taken.push(checks.taken(is_news));
    }
    shelf.store(unit).await?;
    Ok(taken)
}

/// Resources as they are, and as they will be.
struct Resources {
    rows: Edits<resource::Model>,
    /// The keys of those that have these ids of 24 digits.
    owners: HashMap<String, String>,
    notes: Notes,
}

impl Resources {
    /// Reads resources, each with the id of 24 digits that is given for it.
    async fn read<'a>(
        unit: &Unit<'_>,
        given: impl Iterator<Item = (&'a UpsertResource, Option<&'a str>)>,
    ) -> Result<Self> {
        let given: Vec<(String, Option<&str>)> = given.map(|(one, id)| (canonical(&one.key), id)).collect();
        let keys = given.iter().map(|(key, _)| key.as_str());
        let rows = Edits::<resource::Model>::read(unit.transaction(), keys, |row| &row.key).await?;
        let new = given.iter().filter(|(key, _)| rows.before(key).is_none());
        let wanted = new.filter_map(|(key, id)| wanted_id(key, *id)).collect();
        let owners = rows::with_text::<resource::Model>(unit.transaction(), "external_id", wanted).await?;
        let owners = owners.into_iter().map(|row| (row.external_id, row.key)).collect();
        Ok(Self { rows, owners, notes: Notes::default() })
    }

    /// Puts what is given of a resource, with an id of 24 digits and whether it is described, in its place. Whether
    /// that is news.
    fn put(
        &mut self,
        checks: &mut Checks,
        given: &UpsertResource,
        (external_id, catalogued): (Option<&str>, bool),
        telling: Telling,
        unit: &Unit<'_>,
    ) -> bool {
        let key = canonical(&given.key);
        let before = self.rows.get(&key).cloned();
        // Somebody may have had progress with it before anybody described it.
        let described = catalogued && !before.as_ref().is_some_and(|row| row.catalogued);
        if described {
            checks.needed("title", given.title.as_ref());
        }
        let wanted = wanted_id(&key, external_id);
        if before.is_none() {
            let owner = wanted.as_ref().and_then(|id| Some((id, self.owners.get(id)?)));
            if let Some((id, other)) = owner.filter(|(_, owner)| **owner != key) {
                let message = format!("the resource {other:?} has the id of 24 digits {id:?}");
                checks.refuse("key", UserErrorCode::KeyTaken, message);
            }
            if wanted.as_ref().is_some_and(|id| !is_external_id(id)) {
                checks.invalid("externalId", "an externalId has 24 hexadecimal digits");
            }
        }
        given.check(checks);
        if checks.failed() {
            return false;
        }
        // A row that only has progress says nothing about a resource that is described here.
        if !catalogued && before.as_ref().is_some_and(|row| row.catalogued) {
            return false;
        }
        let is_new = before.is_none();
        let created_at = telling.created_at.unwrap_or(unit.now);
        let mut row = before.unwrap_or_else(|| resource::Model {
            id: self.rows.new_id(&key),
            external_id: wanted.unwrap_or_else(|| unit.ids.hex24(created_at)),
            key: key.clone(),
            title: String::new(),
            kind: COURSE.to_owned(),
            section: None,
            url: None,
            description: String::new(),
            estimated_minutes: None,
            catalogued,
            created_at,
            updated_at: created_at,
            retired_at: None,
        });
        let mut patch = Patch::default();
        let title = |title: &String| telling.title(title);
        patch.set("title", &mut row.title, given.title.as_ref().map(title).as_ref());
        patch.set("type", &mut row.kind, given.kind.as_ref());
        patch.set("section", &mut row.section, given.section.as_ref());
        patch.set("url", &mut row.url, given.url.as_ref());
        patch.set("description", &mut row.description, given.description.as_ref());
        patch.set("estimatedMinutes", &mut row.estimated_minutes, given.estimated_minutes.as_ref());
        patch.retire(&mut row.retired_at, given.retired, unit.now);
        if patch.is_empty() && !described && !is_new {
            return false;
        }
        // What was described once stays so.
        row.catalogued |= catalogued;
        row.updated_at = telling.updated_at.unwrap_or(unit.now);
        self.owners.insert(row.external_id.clone(), key.clone());
        self.rows.put(row);
        if telling.is_told() {
            self.notes.note(&key, described, patch);
        }
        true
    }

    async fn store(self, unit: &mut Unit<'_>) -> Result<()> {
        self.rows.store(unit.transaction()).await?;
        self.notes.audit(unit, "UPSERT_RESOURCE", Kind::Resource, "");
        Ok(())
    }
}

/// The id of 24 digits that a new resource is to have.
fn wanted_id(key: &str, given: Option<&str>) -> Option<String> {
    given.or_else(|| Some(key).filter(|key| is_external_id(key))).map(str::to_ascii_lowercase)
}

impl UpsertResource {
    fn check(&self, checks: &mut Checks) {
        checks.title("title", self.title.as_ref());
        checks.label("type", self.kind.as_ref());
        checks.title("section", self.section.as_ref().and_then(Option::as_ref));
        checks.url("url", self.url.as_ref().and_then(Option::as_ref));
        checks.description("description", self.description.as_ref());
        checks.range("estimatedMinutes", self.estimated_minutes.flatten().map(i64::from), limits::ESTIMATED_MINUTES);
    }
}

/// Adds a study plan or changes it. What is not given stays as it is, and instances keep the list they were made with.
#[derive(Debug, Serialize)]
pub struct UpsertStudyPlan {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// The operator's key of the study plan.
    pub key: String,
    /// The title for people, 1 to 200 characters; `None`: unchanged.
    pub title: Option<String>,
    /// The description for people, at most 5,000 characters; `None`: unchanged.
    pub description: Option<String>,
    /// The keys of all its resources, in their order.
    pub resources: Option<Vec<String>>,
    /// Whether it is retired; `None`: unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<Retire>,
}

impl Write for UpsertStudyPlan {
    const NAME: &'static str = "upsertStudyPlan";
    const CATALOGUE: bool = true;

    type Outcome = Upserted;

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Upserted> {
        unit.lock_catalogue().await?;
        let mut checks = Checks::default();
        let mut shelf = Plans::read(unit, std::iter::once(self)).await?;
        let created = shelf.rows.before(&self.key).is_none();
        shelf.put(&mut checks, self, Telling::NOW, unit.now);
        if checks.failed() {
            return Ok(Upserted::refused(checks.into_refusals()));
        }
        shelf.store(unit).await?;
        Ok(Upserted::done(created))
    }
}

/// Takes what a file tells of study plans.
pub async fn take_plans(unit: &mut Unit<'_>, told: &[(UpsertStudyPlan, Telling)]) -> Result<Vec<Taken>> {
    let mut shelf = Plans::read(unit, told.iter().map(|(plan, _)| plan)).await?;
    let mut taken = Vec::with_capacity(told.len());
    for (plan, telling) in told {
        let mut checks = telling.check(Kind::StudyPlan, &plan.key);
        let is_news = shelf.put(&mut checks, plan, *telling, unit.now);
        taken.push(checks.taken(is_news));
    }
    shelf.store(unit).await?;
    Ok(taken)
}

/// Study plans as they are, and as they will be.
struct Plans {
    rows: Edits<plan::Model>,
    /// Their resources in their order, by the plans' ids; and of those that change.
    resources: HashMap<i64, Vec<i64>>,
    changed: BTreeSet<i64>,
    /// The resources that are named, by their keys and ids of 24 digits: the id of each, and whether it is described.
    named: HashMap<String, (i64, bool)>,
    notes: Notes,
}

impl Plans {
    async fn read<'a>(unit: &Unit<'_>, given: impl Iterator<Item = &'a UpsertStudyPlan>) -> Result<Self> {
        let given: Vec<&UpsertStudyPlan> = given.collect();
        let keys = given.iter().map(|one| one.key.as_str());
        let rows = Edits::<plan::Model>::read(unit.transaction(), keys, |row| &row.key).await?;
        let ids: Vec<i64> = rows.all().map(|row| row.id).collect();
        let mut places = rows::with_int::<plan_resource::Model>(unit.transaction(), "plan_id", &ids).await?;
        places.sort_unstable_by_key(|row| row.position);
        let mut resources: HashMap<i64, Vec<i64>> = HashMap::new();
        for row in places {
            resources.entry(row.plan_id).or_default().push(row.resource_id);
        }
        let keys: BTreeSet<String> =
            given.iter().flat_map(|one| &one.resources).flatten().map(|key| canonical(key)).collect();
        let keys: Vec<String> = keys.into_iter().collect();
        let external_ids = keys.iter().filter(|key| is_external_id(key)).cloned().collect();
        let by_id = rows::with_text::<resource::Model>(unit.transaction(), "external_id", external_ids).await?;
        let by_key = rows::with_text::<resource::Model>(unit.transaction(), "key", keys).await?;
        // A key wins over another resource's id of 24 digits.
        let by_id = by_id.into_iter().map(|row| (row.external_id, (row.id, row.catalogued)));
        let named = by_id.chain(by_key.into_iter().map(|row| (row.key, (row.id, row.catalogued)))).collect();
        Ok(Self { rows, resources, changed: BTreeSet::new(), named, notes: Notes::default() })
    }

    /// Puts what is given of a study plan in its place. Whether that is news.
    fn put(&mut self, checks: &mut Checks, given: &UpsertStudyPlan, telling: Telling, now: Timestamp) -> bool {
        let before = self.rows.get(&given.key).cloned();
        let created = before.is_none();
        if created {
            checks.needed("title", given.title.as_ref());
        }
        checks.title("title", given.title.as_ref());
        checks.description("description", given.description.as_ref());
        let resources = given.resources.as_ref().map(|keys| self.find(checks, keys, telling));
        if checks.failed() {
            return false;
        }
        let created_at = telling.created_at.unwrap_or(now);
        let mut row = before.unwrap_or_else(|| plan::Model {
            id: self.rows.new_id(&given.key),
            key: given.key.clone(),
            title: String::new(),
            description: String::new(),
            created_at,
            updated_at: created_at,
            retired_at: None,
        });
        let mut patch = Patch::default();
        patch.set("title", &mut row.title, given.title.as_deref().map(|title| telling.title(title)).as_ref());
        patch.set("description", &mut row.description, given.description.as_ref());
        patch.retire(&mut row.retired_at, given.retired, now);
        let there = self.resources.entry(row.id).or_default();
        if let Some(resources) = resources.filter(|resources| resources != there) {
            *there = resources;
            patch.note("resources", &given.resources);
            self.changed.insert(row.id);
        }
        if patch.is_empty() && !created {
            return false;
        }
        row.updated_at = telling.updated_at.unwrap_or(now);
        self.rows.put(row);
        if telling.is_told() {
            self.notes.note(&given.key, created, patch);
        }
        true
    }

    /// The ids of resources. Those that nobody described get a row by somebody's progress, and are in no plan but in
    /// exports.
    fn find(&self, checks: &mut Checks, keys: &[String], telling: Telling) -> Vec<i64> {
        let (mut ids, mut seen) = (Vec::with_capacity(keys.len()), HashSet::new());
        for (place, key) in keys.iter().enumerate() {
            checks.enter("resourceIds", place);
            let known = self.named.get(&canonical(key)).filter(|(_, described)| *described || !telling.is_told());
            match known {
                Some((id, _)) if !seen.insert(*id) => {
                    checks.invalid("", format!("{key:?} stands twice in resourceIds"));
                }
                Some((id, _)) => ids.push(*id),
                None => {
                    let message = format!("there is no resource {key:?} in the catalogue");
                    checks.refuse("", UserErrorCode::UnknownResource, message);
                }
            }
        }
        checks.leave();
        if telling.is_told() && keys.len() > MOST_RESOURCES {
            checks.invalid("resourceIds", format!("a study plan has at most {MOST_RESOURCES} resources"));
        }
        ids
    }

    async fn store(self, unit: &mut Unit<'_>) -> Result<()> {
        self.rows.store(unit.transaction()).await?;
        let changed: Vec<i64> = self.changed.iter().copied().collect();
        if !changed.is_empty() {
            rows::remove::<plan_resource::Model>(unit.transaction(), "plan_id", &changed).await?;
        }
        let places = changed.iter().flat_map(|plan_id| {
            let resources = self.resources.get(plan_id).into_iter().flatten().zip(1..);
            resources.map(|(resource_id, position)| plan_resource::Model {
                plan_id: *plan_id,
                position,
                resource_id: *resource_id,
            })
        });
        bulk::insert(unit.transaction(), &places.collect::<Vec<_>>()).await?;
        self.notes.audit(unit, "UPSERT_STUDY_PLAN", Kind::StudyPlan, "");
        Ok(())
    }
}
