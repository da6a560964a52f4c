//! Writing resources and study plans.

use std::collections::HashMap;

use serde::Serialize;

use super::entity::{plan, resource};
use super::repo;
use waymark_auth::policy::Operator;
use waymark_kernel::error::Result;
use waymark_kernel::limits;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::UserErrorCode;
use waymark_write::{Checks, Patch, Unit, Upserted, Write};

/// The most resources that a study plan may have.
pub const MOST_RESOURCES: usize = 1000;

/// The key under which a resource is kept: one of 24 hexadecimal digits is the same in either case.
fn canonical(key: &str) -> String {
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
}

impl Write for UpsertResource {
    const NAME: &'static str = "upsertResource";
    const CATALOGUE: bool = true;

    type Outcome = Upserted;

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Upserted> {
        unit.lock_catalogue().await?;
        let key = canonical(&self.key);
        let stored = repo::resource(unit.transaction(), &key).await?;
        // Somebody may have had progress with it before anybody described it.
        let created = !stored.as_ref().is_some_and(|row| row.catalogued);

        let mut checks = Checks::default();
        if created {
            checks.needed("title", self.title.as_ref());
        }
        if stored.is_none() && is_external_id(&key) {
            let owner = repo::resource_with_external_id(unit.transaction(), &key).await?;
            if let Some(other) = owner {
                let message = format!("the resource {other:?} has this key as its id of 24 digits");
                checks.refuse("key", UserErrorCode::KeyTaken, message);
            }
        }
        checks.title("title", self.title.as_ref());
        checks.label("type", self.kind.as_ref());
        checks.title("section", self.section.as_ref().and_then(Option::as_ref));
        checks.url("url", self.url.as_ref().and_then(Option::as_ref));
        checks.description("description", self.description.as_ref());
        checks.range("estimatedMinutes", self.estimated_minutes.flatten().map(i64::from), limits::ESTIMATED_MINUTES);
        if checks.failed() {
            return Ok(Upserted::refused(checks.into_refusals()));
        }

        let mut row = stored.unwrap_or_else(|| resource::Model {
            id: 0,
            external_id: if is_external_id(&key) { key.clone() } else { unit.ids.hex24(unit.now) },
            key: key.clone(),
            title: String::new(),
            kind: repo::COURSE.to_owned(),
            section: None,
            url: None,
            description: String::new(),
            estimated_minutes: None,
            catalogued: true,
            created_at: unit.now,
            updated_at: unit.now,
        });
        let mut patch = Patch::default();
        patch.set_title("title", &mut row.title, self.title.as_ref());
        patch.set("type", &mut row.kind, self.kind.as_ref());
        patch.set("section", &mut row.section, self.section.as_ref());
        patch.set("url", &mut row.url, self.url.as_ref());
        patch.set("description", &mut row.description, self.description.as_ref());
        patch.set("estimatedMinutes", &mut row.estimated_minutes, self.estimated_minutes.as_ref());
        if patch.is_empty() && !created {
            return Ok(Upserted::done(false));
        }
        row.catalogued = true;
        row.updated_at = unit.now;
        repo::store_resource(unit.transaction(), row).await?;
        unit.audit("UPSERT_RESOURCE", (Kind::Resource.name(), &key), &patch.into_changes(created));
        Ok(Upserted::done(created))
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
}

impl Write for UpsertStudyPlan {
    const NAME: &'static str = "upsertStudyPlan";
    const CATALOGUE: bool = true;

    type Outcome = Upserted;

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Upserted> {
        unit.lock_catalogue().await?;
        let stored = repo::plan(unit.transaction(), &self.key).await?;
        let created = stored.is_none();

        let mut checks = Checks::default();
        if created {
            checks.needed("title", self.title.as_ref());
        }
        checks.title("title", self.title.as_ref());
        checks.description("description", self.description.as_ref());
        let resources = self.find_resources(unit, &mut checks).await?;
        if checks.failed() {
            return Ok(Upserted::refused(checks.into_refusals()));
        }

        let mut row = stored.unwrap_or_else(|| plan::Model {
            id: 0,
            key: self.key.clone(),
            title: String::new(),
            description: String::new(),
            created_at: unit.now,
            updated_at: unit.now,
        });
        let mut patch = Patch::default();
        patch.set_title("title", &mut row.title, self.title.as_ref());
        patch.set("description", &mut row.description, self.description.as_ref());
        let before = if created { Vec::new() } else { repo::resources_of_plan(unit.transaction(), row.id).await? };
        let resources = resources.filter(|resources| *resources != before);
        if resources.is_some() {
            patch.note("resources", &self.resources);
        }
        if patch.is_empty() && !created {
            return Ok(Upserted::done(false));
        }
        row.updated_at = unit.now;
        repo::store_plan(unit.transaction(), row, resources).await?;
        unit.audit("UPSERT_STUDY_PLAN", (Kind::StudyPlan.name(), &self.key), &patch.into_changes(created));
        Ok(Upserted::done(created))
    }
}

impl UpsertStudyPlan {
    /// The ids of the resources that were given; `None` when none were.
    async fn find_resources(&self, unit: &Unit<'_>, checks: &mut Checks) -> Result<Option<Vec<i64>>> {
        let Some(keys) = &self.resources else { return Ok(None) };
        let keys: Vec<String> = keys.iter().map(|key| canonical(key)).collect();
        let mut known = HashMap::new();
        let found = repo::catalogued(unit.transaction(), keys.clone()).await?;
        // A key wins over another resource's id of 24 digits.
        known.extend(found.iter().map(|row| (row.external_id.clone(), row.id)));
        known.extend(found.into_iter().map(|row| (row.key, row.id)));
        let mut ids = Vec::with_capacity(keys.len());
        for (place, key) in keys.iter().enumerate() {
            checks.enter("resourceIds", place);
            match known.get(key) {
                Some(id) if ids.contains(id) => checks.invalid("", format!("{key:?} stands twice in resourceIds")),
                Some(id) => ids.push(*id),
                None => {
                    let message = format!("there is no resource {key:?} in the catalogue");
                    checks.refuse("", UserErrorCode::UnknownResource, message);
                }
            }
        }
        checks.leave();
        Ok(Some(ids))
    }
}
