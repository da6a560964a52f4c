//! Questions about users' learning that are answered in batches.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::repo::{self, Instance, Progress, Record};
use crate::db::page::Slice;
use crate::db::{Extent, Reader};
use crate::error::{Error, Result};
use crate::graphql::batcher::{Key, grouped, sorted};

/// A user's progress with these resources. The list is shared by all who ask for the same resources.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ProgressOf {
    pub(super) user: i64,
    pub(super) resources: Arc<[i64]>,
    pub(super) extent: Extent,
}

impl Key for ProgressOf {
    fn weight(&self) -> usize {
        self.resources.len()
    }
}

impl Loader<ProgressOf> for Reader {
    /// Sorted by resource.
    type Value = Arc<[Progress]>;
    type Error = Error;

    async fn load(&self, keys: &[ProgressOf]) -> Result<HashMap<ProgressOf, Self::Value>> {
        let wanted = keys.iter().map(|key| (key.user, &*key.resources));
        let extent = keys.iter().map(|key| key.extent).max().unwrap_or(Extent::All);
        let by_user = sorted(repo::progress(self.connection(), wanted, extent).await?, |row| row.resource_id);
        Ok(keys.iter().filter_map(|key| Some((key.clone(), Arc::clone(by_user.get(&key.user)?)))).collect())
    }
}

/// A user's progress with a resource that is not in the catalogue, by its 24-digit id.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ProgressElsewhere {
    pub(super) user: i64,
    pub(super) external_id: String,
}

impl Key for ProgressElsewhere {}

impl Loader<ProgressElsewhere> for Reader {
    type Value = Progress;
    type Error = Error;

    async fn load(&self, keys: &[ProgressElsewhere]) -> Result<HashMap<ProgressElsewhere, Progress>> {
        let users: HashSet<i64> = keys.iter().map(|key| key.user).collect();
        let ids: HashSet<String> = keys.iter().map(|key| key.external_id.clone()).collect();
        let rows =
            repo::progress_by_external_id(self.connection(), users.into_iter().collect(), ids.into_iter().collect())
                .await?;
        Ok(rows
            .into_iter()
            .filter_map(|(user, row)| {
                let external_id = row.resource_key.clone()?;
                Some((ProgressElsewhere { user, external_id }, row))
            })
            .collect())
    }
}

/// A user's progress with ids of 24 digits, the oldest first: with the resource of this id, or with all resources.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RecordsOf {
    pub(super) user: i64,
    pub(super) resource: Option<String>,
}

impl Key for RecordsOf {}

impl Loader<RecordsOf> for Reader {
    type Value = Vec<Record>;
    type Error = Error;

    async fn load(&self, keys: &[RecordsOf]) -> Result<HashMap<RecordsOf, Self::Value>> {
        let mut records: HashMap<RecordsOf, Vec<Record>> = HashMap::new();
        let (of_one, of_all): (Vec<_>, Vec<_>) = keys.iter().partition(|key| key.resource.is_some());
        if !of_all.is_empty() {
            let users = of_all.into_iter().map(|key| key.user).collect();
            for (user, record) in repo::records(self.connection(), users, None).await? {
                records.entry(RecordsOf { user, resource: None }).or_default().push(record);
            }
        }
        if !of_one.is_empty() {
            let users: HashSet<i64> = of_one.iter().map(|key| key.user).collect();
            let resources: HashSet<String> = of_one.into_iter().filter_map(|key| key.resource.clone()).collect();
            let (users, resources) = (users.into_iter().collect(), resources.into_iter().collect());
            for (user, record) in repo::records(self.connection(), users, Some(resources)).await? {
                let resource = Some(record.resource_id.clone());
                records.entry(RecordsOf { user, resource }).or_default().push(record);
            }
        }
        Ok(records)
    }
}

/// Whose the study plan instance with this 24-digit id is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct OwnerOfInstance(pub(super) String);

impl Key for OwnerOfInstance {}

impl Loader<OwnerOfInstance> for Reader {
    type Value = i64;
    type Error = Error;

    async fn load(&self, keys: &[OwnerOfInstance]) -> Result<HashMap<OwnerOfInstance, i64>> {
        let owners = repo::instance_owners(self.connection(), keys.iter().map(|key| key.0.clone()).collect()).await?;
        Ok(owners.into_iter().map(|(id, owner)| (OwnerOfInstance(id), owner)).collect())
    }
}

/// One page of the resources a user has touched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ResourcesOf {
    pub(super) user: i64,
    pub(super) completed: Option<bool>,
    pub(super) slice: Slice,
}

impl Key for ResourcesOf {}

impl Loader<ResourcesOf> for Reader {
    type Value = Vec<Progress>;
    type Error = Error;

    async fn load(&self, keys: &[ResourcesOf]) -> Result<HashMap<ResourcesOf, Self::Value>> {
        let mut pages = HashMap::new();
        for ((completed, slice), users) in grouped(keys.iter().map(|key| ((key.completed, key.slice), key.user))) {
            for (user, rows) in grouped(repo::page(self.connection(), users, completed, slice).await?) {
                pages.insert(ResourcesOf { user, completed, slice }, rows);
            }
        }
        Ok(pages)
    }
}

/// How many resources a user has touched.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ResourceCountOf {
    pub(super) user: i64,
    pub(super) completed: Option<bool>,
}

impl Key for ResourceCountOf {}

impl Loader<ResourceCountOf> for Reader {
    type Value = i64;
    type Error = Error;

    async fn load(&self, keys: &[ResourceCountOf]) -> Result<HashMap<ResourceCountOf, i64>> {
        let mut counts = HashMap::new();
        for (completed, users) in grouped(keys.iter().map(|key| (key.completed, key.user))) {
            for (user, count) in repo::count(self.connection(), users, completed).await? {
                counts.insert(ResourceCountOf { user, completed }, count);
            }
        }
        Ok(counts)
    }
}

/// The study plan instances of a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct InstancesOf(pub(super) i64);

impl Key for InstancesOf {}

impl Loader<InstancesOf> for Reader {
    type Value = Arc<[Arc<Instance>]>;
    type Error = Error;

    async fn load(&self, keys: &[InstancesOf]) -> Result<HashMap<InstancesOf, Self::Value>> {
        let instances = repo::instances(self.connection(), keys.iter().map(|key| key.0).collect()).await?;
        let instances = instances.into_iter().map(|(user, instance)| (user, Arc::new(instance)));
        Ok(grouped(instances).into_iter().map(|(user, instances)| (InstancesOf(user), instances.into())).collect())
    }
}
