//! Reading a user's learning.

use std::collections::HashMap;
use std::sync::Arc;

use super::loader::{
    InstanceCountOf, InstancesOf, NotesOf, OwnerOfInstance, ProgressElsewhere, ProgressOf, RecordOf, RecordsBehind,
    ResourceCountOf, ResourcesOf,
};
pub use super::repo::RECORDS;
pub use super::repo::{Instance, Item, Places, Progress, Record};
use super::rules::{self, InstanceStatus};
use super::{Learning, Plan, Resource};
use waymark_auth::UserId;
use waymark_auth::policy::{self, OwnUser};
use waymark_db::Extent;
use waymark_db::page::Slice;
use waymark_graphql_kit::pagination::{Connection, Page, only_if};
use waymark_kernel::error::Result;
use waymark_request::Request;

/// A user's progress with a resource.
#[derive(Debug, Clone)]
pub struct Learned {
    /// Who learns, all of whose progress the caller may see.
    pub user: OwnUser,
    /// The operator's key of the resource.
    pub key: String,
    /// `None` for a resource that nobody described.
    pub resource: Option<Arc<Resource>>,
    /// `None` when the user has not touched the resource.
    pub progress: Option<Progress>,
}

/// The resources that the caller finds in lists, each with its title in lower case, in the order in which they were
/// added.
pub fn listed_resources(request: &Request) -> Result<impl Iterator<Item = (&Arc<Resource>, &str)>> {
    let all = policy::sees_retired(&request.caller);
    let resources = request.catalogue::<Learning>()?.titled();
    Ok(resources.filter(move |(resource, _)| all || resource.retired_at.is_none()))
}

/// The study plans that the caller finds in lists, in the order in which they were added.
pub fn listed_plans(request: &Request) -> Result<impl Iterator<Item = &Arc<Plan>>> {
    let all = policy::sees_retired(&request.caller);
    let plans = request.catalogue::<Learning>()?.plans().iter();
    Ok(plans.filter(move |plan| all || plan.row.retired_at.is_none()))
}

/// The resources of a study plan that the caller finds in it, in their order.
pub fn listed_in<'a>(request: &Request, plan: &'a Plan) -> impl Iterator<Item = &'a Arc<Resource>> + use<'a> {
    let all = policy::sees_retired(&request.caller);
    plan.resources.iter().filter(move |resource| all || resource.retired_at.is_none())
}

/// The progress of each user with the resources of these keys, in their order; `None` for a key that neither the
/// catalogue nor the user's progress knows. The main part of it is how much is done, and whether and when it was
/// completed.
pub async fn progress(
    request: &Request,
    users: &[&OwnUser],
    keys: impl IntoIterator<Item = &str>,
    extent: Extent,
) -> Result<Vec<Vec<Option<Learned>>>> {
    let learning = request.catalogue::<Learning>()?;
    let wanted: Vec<(&str, Option<&Arc<Resource>>)> =
        keys.into_iter().map(|key| (key, learning.resource(key))).collect();
    let mut ids: Vec<i64> = wanted.iter().filter_map(|(_, resource)| resource.map(|one| one.id)).collect();
    ids.sort_unstable();
    ids.dedup();
    let ids: Arc<[i64]> = ids.into();
    let known = async {
        let keys = users.iter().map(|user| ProgressOf { user: user.key(), resources: Arc::clone(&ids), extent });
        if ids.is_empty() { Ok(vec![None; users.len()]) } else { request.load.many(keys.collect()).await }
    };
    let elsewhere: Vec<String> = wanted
        .iter()
        .filter(|(key, resource)| resource.is_none() && rules::is_external_id(key))
        .map(|(key, _)| key.to_ascii_lowercase())
        .collect();
    let of_user = |user: &&OwnUser| {
        let user = user.key();
        elsewhere.iter().map(move |id| ProgressElsewhere { user, external_id: id.clone() })
    };
    let elsewhere = request.load.many(users.iter().flat_map(of_user).collect());
    let (known, elsewhere) = futures_util::try_join!(known, elsewhere)?;
    let elsewhere: HashMap<(i64, &str), &Progress> = users
        .iter()
        .flat_map(|user| std::iter::repeat_n(user.key(), elsewhere.len() / users.len()))
        .zip(&elsewhere)
        .filter_map(|(user, row)| row.as_ref().and_then(|row| Some(((user, row.resource_key.as_deref()?), row))))
        .collect();
    let of_user = |(user, known): (&&OwnUser, Option<Arc<[Progress]>>)| {
        let known = known.as_deref().unwrap_or_default();
        let learned = |(key, resource): &(&str, Option<&Arc<Resource>>)| match resource {
            Some(resource) => {
                let place = known.binary_search_by_key(&resource.id, |row| row.resource_id);
                Some(Learned {
                    user: (*user).clone(),
                    key: resource.key.clone(),
                    resource: Some(Arc::clone(resource)),
                    progress: place.ok().and_then(|place| known.get(place)).cloned(),
                })
            }
            None => {
                let key = key.to_ascii_lowercase();
                let row = (*elsewhere.get(&(user.key(), key.as_str()))?).clone();
                Some(Learned { user: (*user).clone(), key, resource: None, progress: Some(row) })
            }
        };
        wanted.iter().map(learned).collect()
    };
    Ok(users.iter().zip(known).map(of_user).collect())
}

/// The user's notes on a resource; empty where there are none.
pub async fn notes(request: &Request, learned: &Learned) -> Result<Arc<str>> {
    let Some(progress) = &learned.progress else { return Ok(Arc::default()) };
    let key = NotesOf { user: learned.user.key(), resource: progress.resource_id };
    Ok(request.load.one(key).await?.unwrap_or_default())
}

/// A user's progress with the resource of this 24-digit id.
pub async fn record(request: &Request, user: &OwnUser, resource: &str) -> Result<Option<Record>> {
    request.load.one(RecordOf { user: user.key(), resource: resource.to_ascii_lowercase() }).await
}

/// What a record takes in an answer at least, without its notes, in bytes.
const RECORD: usize = 200;

/// A user's progress with all resources, the oldest first. It is read part by part, so that no more of it is in memory
/// than may be answered.
pub async fn records(request: &Request, user: &OwnUser) -> Result<Vec<Record>> {
    let meter = request.load.meter();
    let (mut all, mut after) = (Vec::new(), (i64::MIN, i64::MIN));
    loop {
        let part = request.load.one(RecordsBehind { user: user.key(), after }).await?;
        let (records, more) = part.unwrap_or_default();
        if let Some(Record { progress, .. }) = records.last() {
            after = (progress.created_at.millis(), progress.resource_id);
        }
        meter.add(records.iter().map(|record| RECORD + record.notes.len()).sum());
        all.extend(records);
        if !more {
            return Ok(all);
        }
    }
}

/// Whose the study plan instance with this 24-digit id is; `None` when there is none.
pub async fn owner_of_instance(request: &Request, id: &str) -> Result<Option<UserId>> {
    Ok(request.load.one(OwnerOfInstance(id.to_ascii_lowercase())).await?.map(UserId))
}

/// A part of the resources a user has touched, the one touched last first.
pub async fn touched(request: &Request, user: &OwnUser, completed: Option<bool>, slice: Slice) -> Result<Vec<Learned>> {
    let learning = request.catalogue::<Learning>()?;
    let rows = request.load.one(ResourcesOf { user: user.key(), completed, slice }).await?;
    let learned = rows.unwrap_or_default().into_iter().map(|row| Learned {
        user: user.clone(),
        key: row.resource_key.clone().unwrap_or_default(),
        resource: learning.resource_by_id(row.resource_id).cloned(),
        progress: Some(row),
    });
    Ok(learned.collect())
}

impl Learned {
    /// Where it stands in the list of the resources a user has touched.
    pub fn place(&self) -> (i64, i64) {
        self.progress.as_ref().map_or((0, 0), |row| (row.last_accessed_at.millis(), row.resource_id))
    }
}

/// How many resources a user has touched.
pub async fn touched_count(request: &Request, user: &OwnUser, completed: Option<bool>) -> Result<i64> {
    Ok(request.load.one(ResourceCountOf { user: user.key(), completed }).await?.unwrap_or(0))
}

/// One page of the resources a user has touched, the one touched last first.
pub async fn touched_page(
    request: &Request,
    user: &OwnUser,
    completed: Option<bool>,
    page: Page,
    count: bool,
) -> Result<Connection<Learned>> {
    let total = only_if(count, touched_count(request, user, completed));
    let (rows, total) = futures_util::try_join!(touched(request, user, completed, page.slice()), total)?;
    Ok(page.of_rows(rows, Learned::place).with_total(total))
}

/// An instance of a study plan that a user follows.
#[derive(Debug, Clone)]
pub struct Followed {
    /// Who follows the study plan, all of whose progress the caller may see.
    pub user: OwnUser,
    /// The user's instance as it is stored, with its resources.
    pub instance: Arc<Instance>,
    /// `None` when the plan has been removed from the catalogue.
    pub plan: Option<Arc<Plan>>,
    /// How many resources of the instance the user has completed.
    pub done: u64,
    /// How many resources the instance has.
    pub total: u64,
}

impl Followed {
    /// Returns how far the instance has come, by its resources.
    pub const fn status(&self) -> InstanceStatus {
        rules::instance_status(self.done, self.total)
    }
}

/// Study plan instances of a user, in the order in which they were made.
pub async fn instances(request: &Request, user: &OwnUser, places: Places) -> Result<Vec<Followed>> {
    followed(request, user, InstancesOf::In(user.key(), places)).await
}

/// How many study plan instances a user has.
pub async fn instance_count(request: &Request, user: &OwnUser) -> Result<i64> {
    Ok(request.load.one(InstanceCountOf(user.key())).await?.unwrap_or(0))
}

/// The study plan instance of a user with this 24-digit id.
pub async fn instance(request: &Request, user: &OwnUser, external_id: &str) -> Result<Option<Followed>> {
    let key = InstancesOf::ExternalId(user.key(), external_id.to_owned());
    Ok(followed(request, user, key).await?.pop())
}

/// The study plan instances of a user with these numbers.
pub async fn numbered_instances(request: &Request, user: &OwnUser, numbers: Vec<i64>) -> Result<Vec<Followed>> {
    followed(request, user, InstancesOf::Numbers(user.key(), numbers)).await
}

async fn followed(request: &Request, user: &OwnUser, key: InstancesOf) -> Result<Vec<Followed>> {
    let learning = request.catalogue::<Learning>()?;
    let instances = request.load.one(key).await?;
    Ok(instances
        .iter()
        .flat_map(|instances| instances.iter())
        .map(|instance| {
            let instance = without_retired(learning, instance);
            Followed {
                user: user.clone(),
                plan: learning.plan_by_id(instance.plan_id).cloned(),
                done: instance.items.iter().filter(|item| item.completed).count() as u64,
                total: instance.items.len() as u64,
                instance,
            }
        })
        .collect())
}

/// The instance as it counts: a resource that was retired is neither to be done nor done in it.
fn without_retired(learning: &Learning, instance: &Arc<Instance>) -> Arc<Instance> {
    let is_retired =
        |item: &Item| learning.resource_by_id(item.resource_id).is_some_and(|one| one.retired_at.is_some());
    if !instance.items.iter().any(is_retired) {
        return Arc::clone(instance);
    }
    let mut counted = Instance::clone(instance);
    counted.items.retain(|item| !is_retired(item));
    Arc::new(counted)
}
