//! Resources, study plans and progress with them: records, how they are exported, and as facts that the feature takes.

#![expect(missing_docs, reason = "docs/import.md describes every member, and a test compares the two")]

use std::collections::{BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::export::{Export, PAGE, USERS, Users, at, each, key};
use crate::import::catalogue::{OPERATOR, retired, take, telling};
use crate::import::{Item, Work, only};
use crate::ranges::{Members, Said};
use crate::records::{At, Record, is_false, is_true, yes};
use crate::sql;
use waymark_kernel::error::Result;
use waymark_kernel::limits;
use waymark_kinds::learning::entity::{
    instance, instance_resource, plan, plan_resource, progress as resource_progress, resource,
};
use waymark_kinds::learning::operate::{ToldResource, UpsertResource, UpsertStudyPlan, take_plans, take_resources};
use waymark_kinds::learning::told::{ToldInstance, ToldProgress, take_told};
use waymark_vocabulary::ids::Kind;
use waymark_write::Telling;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resource {
    pub key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    pub title: String,
    #[serde(default = "course")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_minutes: Option<i32>,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub catalogued: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

fn course() -> String {
    "course".to_owned()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StudyPlan {
    pub key: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Keys, in the plan's order.
    pub resources: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceProgress {
    pub user: String,
    pub resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub completed: bool,
    #[serde(default)]
    pub progress: i16,
    #[serde(default)]
    pub time_spent_minutes: i32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_accessed_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StudyPlanInstance {
    pub user: String,
    /// Absent: the user's instance of the plan, or the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    pub plan: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// In their order; absent: what the plan consists of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<InstanceResource>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstanceResource {
    pub resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marked_at: Option<At>,
}

impl Said for Resource {
    fn ranged(&self, all: &mut Members) {
        let Resource {
            key: _,
            external_id: _,
            title: _,
            kind: _,
            section: _,
            url: _,
            description: _,
            estimated_minutes,
            catalogued: _,
            retired_at,
            created_at,
            updated_at,
        } = self;
        all.happened("retiredAt", *retired_at);
        all.number("estimatedMinutes", estimated_minutes.map(i64::from), limits::ESTIMATED_MINUTES);
        all.happened("createdAt", *created_at);
        all.happened("updatedAt", *updated_at);
    }
}

impl Said for StudyPlan {
    fn ranged(&self, all: &mut Members) {
        let StudyPlan { key: _, title: _, description: _, resources: _, retired_at, created_at, updated_at } = self;
        all.happened("retiredAt", *retired_at);
        all.happened("createdAt", *created_at);
        all.happened("updatedAt", *updated_at);
    }
}

impl Said for ResourceProgress {
    fn ranged(&self, all: &mut Members) {
        let ResourceProgress {
            user: _,
            resource: _,
            external_id: _,
            completed: _,
            progress,
            time_spent_minutes,
            notes: _,
            completed_at,
            last_accessed_at,
            created_at,
            updated_at,
        } = self;
        all.number("progress", i64::from(*progress), limits::PERCENT);
        all.number("timeSpentMinutes", i64::from(*time_spent_minutes), limits::SPENT_MINUTES);
        all.happened("completedAt", *completed_at);
        all.happened("lastAccessedAt", *last_accessed_at);
        all.happened("createdAt", *created_at);
        all.happened("updatedAt", *updated_at);
    }
}

impl Said for StudyPlanInstance {
    fn ranged(&self, all: &mut Members) {
        let StudyPlanInstance { user: _, number, external_id: _, plan: _, title: _, resources, created_at, updated_at } =
            self;
        all.number("number", *number, limits::NUMBER);
        for InstanceResource { resource: _, marked_at } in resources.iter().flatten() {
            all.happened("resources.markedAt", *marked_at);
        }
        all.happened("createdAt", *created_at);
        all.happened("updatedAt", *updated_at);
    }
}

impl Export<'_> {
    pub(super) async fn learning(&mut self, wanted: bool) -> Result<()> {
        if wanted {
            each!(self, resource::Model, "true", row => Some(Record::Resource(Resource {
                key: row.key,
                external_id: Some(row.external_id),
                title: row.title,
                kind: row.kind,
                section: row.section,
                url: row.url,
                description: row.description,
                estimated_minutes: row.estimated_minutes,
                catalogued: row.catalogued,
                retired_at: row.retired_at.map(At),
                created_at: at(row.created_at),
                updated_at: at(row.updated_at),
            })));
        }
        let mut contents: HashMap<i64, Vec<i64>> = HashMap::new();
        let mut named = BTreeSet::new();
        if wanted {
            for row in sql::all::<plan_resource::Model>(self.transaction, "t.plan_id, t.position").await? {
                contents.entry(row.plan_id).or_default().push(row.resource_id);
                named.insert(row.resource_id);
            }
        }
        let resources: HashMap<i64, String> = sql::resource_keys(self.transaction, named).await?.into_iter().collect();
        each!(self, plan::Model, "true", row => {
            self.keys.note(Kind::StudyPlan, row.id, &row.key);
            let of_plan = contents.remove(&row.id).unwrap_or_default();
            let of_plan = of_plan.into_iter().map(|id| key(&resources, id)).collect::<Result<_>>()?;
            wanted.then_some(Record::StudyPlan(StudyPlan {
                key: row.key,
                title: row.title,
                description: row.description,
                resources: of_plan,
                retired_at: row.retired_at.map(At),
                created_at: at(row.created_at),
                updated_at: at(row.updated_at),
            }))
        });
        Ok(())
    }

    pub(super) async fn learning_of(&mut self, users: &Users) -> Result<()> {
        let mut behind = (0, 0);
        loop {
            let rows = sql::page_of_users::<resource_progress::Model>(
                self.transaction,
                users.range,
                "resource_id",
                behind,
                PAGE,
            )
            .await?;
            let Some(last) = rows.last() else { break };
            behind = (last.user_id, last.resource_id);
            let ids = rows.iter().map(|row| row.resource_id).collect();
            let keys: HashMap<i64, String> = sql::resource_keys(self.transaction, ids).await?.into_iter().collect();
            for row in rows {
                self.write(&Record::ResourceProgress(ResourceProgress {
                    user: users.ulid(row.user_id)?,
                    resource: key(&keys, row.resource_id)?,
                    external_id: Some(row.external_id),
                    completed: row.completed,
                    progress: row.progress,
                    time_spent_minutes: row.time_spent_minutes,
                    notes: row.notes,
                    completed_at: row.completed_at.map(At),
                    last_accessed_at: at(row.last_accessed_at),
                    created_at: at(row.created_at),
                    updated_at: at(row.updated_at),
                }))?;
            }
        }
        let mut behind = (0, 0);
        loop {
            let rows =
                sql::page_of_users::<instance::Model>(self.transaction, users.range, "seq", behind, USERS).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            behind = (last.user_id, last.seq);
            let pairs: BTreeSet<(i64, i64)> = rows.iter().map(|row| (row.user_id, row.seq)).collect();
            let mut contents: HashMap<(i64, i64), Vec<instance_resource::Model>> = HashMap::new();
            for row in sql::with_pairs::<instance_resource::Model>(self.transaction, "instance_seq", &pairs).await? {
                contents.entry((row.user_id, row.instance_seq)).or_default().push(row);
            }
            let ids = contents.values().flatten().map(|row| row.resource_id).collect();
            let keys: HashMap<i64, String> = sql::resource_keys(self.transaction, ids).await?.into_iter().collect();
            for row in rows {
                let mut resources = contents.remove(&(row.user_id, row.seq)).unwrap_or_default();
                resources.sort_by_key(|row| row.position);
                let resources = resources.into_iter().map(|row| {
                    let marked_at = row.marked_at.map(At);
                    Ok(InstanceResource { resource: key(&keys, row.resource_id)?, marked_at })
                });
                self.write(&Record::StudyPlanInstance(StudyPlanInstance {
                    user: users.ulid(row.user_id)?,
                    number: Some(row.seq),
                    external_id: Some(row.external_id),
                    plan: self.keys.of(Kind::StudyPlan, row.plan_id)?,
                    title: Some(row.title),
                    resources: Some(resources.collect::<Result<_>>()?),
                    created_at: at(row.created_at),
                    updated_at: at(row.updated_at),
                }))?;
            }
        }
    }
}

/// Takes resources and study plans.
pub(super) async fn take_catalogue(work: &mut Work<'_>) -> Result<()> {
    take!(work, Resource, take_resources, told_resource);
    take!(work, StudyPlan, take_plans, told_plan);
    Ok(())
}

fn told_resource(record: &Resource, has_history: bool) -> ToldResource {
    let resource = UpsertResource {
        operator: OPERATOR,
        key: record.key.clone(),
        title: Some(record.title.clone()),
        kind: Some(record.kind.clone()),
        section: Some(record.section.clone()),
        url: Some(record.url.clone()),
        description: Some(record.description.clone()),
        estimated_minutes: Some(record.estimated_minutes),
        retired: retired(record.retired_at),
    };
    let telling = telling(has_history, record.created_at, record.updated_at);
    ToldResource { resource, external_id: record.external_id.clone(), catalogued: record.catalogued, telling }
}

fn told_plan(record: &StudyPlan, has_history: bool) -> (UpsertStudyPlan, Telling) {
    let plan = UpsertStudyPlan {
        operator: OPERATOR,
        key: record.key.clone(),
        title: Some(record.title.clone()),
        description: Some(record.description.clone()),
        resources: Some(record.resources.clone()),
        retired: retired(record.retired_at),
    };
    (plan, telling(has_history, record.created_at, record.updated_at))
}

/// Takes progress and instances.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let progress = work.items(only!(ResourceProgress));
    let instances = work.items(only!(StudyPlanInstance));
    if progress.is_empty() && instances.is_empty() {
        return Ok(());
    }
    let told_progress: Vec<_> = progress
        .iter()
        .map(|Item { user, record, origin, .. }| ToldProgress {
            user: *user,
            resource: &record.resource,
            external_id: record.external_id.as_deref(),
            completed: record.completed,
            progress: record.progress,
            time_spent_minutes: record.time_spent_minutes,
            notes: &record.notes,
            erased: work.people.get(user).is_some_and(|person| person.erased),
            completed_at: record.completed_at.map(|at| at.0),
            last_accessed_at: record.last_accessed_at.map(|at| at.0),
            created_at: record.created_at.map(|at| at.0),
            updated_at: record.updated_at.map(|at| at.0),
            origin: *origin,
        })
        .collect();
    let told_instances: Vec<_> = instances
        .iter()
        .map(|Item { user, record, origin, .. }| ToldInstance {
            user: *user,
            number: record.number,
            external_id: record.external_id.as_deref(),
            plan: &record.plan,
            title: record.title.as_deref(),
            resources: record
                .resources
                .as_ref()
                .map(|some| some.iter().map(|one| (one.resource.as_str(), one.marked_at.map(|at| at.0))).collect()),
            created_at: record.created_at.map(|at| at.0),
            updated_at: record.updated_at.map(|at| at.0),
            origin: *origin,
        })
        .collect();
    let (of_progress, of_instances) = take_told(&mut work.unit, &told_progress, &told_instances).await?;
    work.note(progress.iter().map(|item| item.at).zip(of_progress));
    work.note(instances.iter().map(|item| item.at).zip(of_instances));
    Ok(())
}
