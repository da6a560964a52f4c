//! Questions about users' learning that are answered in batches.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::repo::{self, Instance, Places, Progress, Record, Which};
use waymark_db::page::Slice;
use waymark_db::{Extent, Reader};
use waymark_graphql_kit::batcher::{Key, grouped, sorted};
use waymark_kernel::error::{Error, Result};

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

/// The notes of a user on a resource.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct NotesOf {
    pub(super) user: i64,
    pub(super) resource: i64,
}

impl Key for NotesOf {}

impl Loader<NotesOf> for Reader {
    /// Shared by all who ask for the same ones: notes may have 40 KB.
    type Value = Arc<str>;
    type Error = Error;

    async fn load(&self, keys: &[NotesOf]) -> Result<HashMap<NotesOf, Arc<str>>> {
        let resources = grouped(keys.iter().map(|key| (key.user, key.resource)));
        let wanted = resources.iter().map(|(user, resources)| (*user, resources.as_slice()));
        let found = repo::notes(self.connection(), wanted).await?;
        Ok(found
            .into_iter()
            .map(|(user, row)| (NotesOf { user, resource: row.resource_id }, row.notes.into()))
            .collect())
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

/// A part of a user's progress with ids of 24 digits, the oldest first, behind the row that was created then with that
/// resource; and whether there may be more.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RecordsBehind {
    pub(super) user: i64,
    pub(super) after: (i64, i64),
}

impl Key for RecordsBehind {}

impl Loader<RecordsBehind> for Reader {
    type Value = (Vec<Record>, bool);
    type Error = Error;

    async fn load(&self, keys: &[RecordsBehind]) -> Result<HashMap<RecordsBehind, Self::Value>> {
        let mut all = HashMap::new();
        for key in keys {
            all.insert(key.clone(), repo::records(self.connection(), key.user, key.after).await?);
        }
        Ok(all)
    }
}

/// A user's progress with the resource of this id of 24 digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RecordOf {
    pub(super) user: i64,
    pub(super) resource: String,
}

impl Key for RecordOf {}

impl Loader<RecordOf> for Reader {
    type Value = Record;
    type Error = Error;

    async fn load(&self, keys: &[RecordOf]) -> Result<HashMap<RecordOf, Self::Value>> {
        let users: HashSet<i64> = keys.iter().map(|key| key.user).collect();
        let resources: HashSet<String> = keys.iter().map(|key| key.resource.clone()).collect();
        let (users, resources) = (users.into_iter().collect(), resources.into_iter().collect());
        let rows = repo::records_of_resources(self.connection(), users, resources).await?;
        Ok(rows
            .into_iter()
            .map(|(user, record)| (RecordOf { user, resource: record.resource_id.clone() }, record))
            .collect())
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

/// Study plan instances of a user.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum InstancesOf {
    In(i64, Places),
    /// The one of this id of 24 digits.
    ExternalId(i64, String),
    /// Those of these numbers.
    Numbers(i64, Vec<i64>),
}

impl Key for InstancesOf {}

impl Loader<InstancesOf> for Reader {
    type Value = Arc<[Arc<Instance>]>;
    type Error = Error;

    async fn load(&self, keys: &[InstancesOf]) -> Result<HashMap<InstancesOf, Self::Value>> {
        // Parts that begin at the same place are read as one.
        let mut parts: HashMap<Places, (HashSet<i64>, i64)> = HashMap::new();
        let mut numbered: HashMap<&[i64], Vec<i64>> = HashMap::new();
        let (mut users, mut ids) = (HashSet::new(), HashSet::new());
        for key in keys {
            match key {
                InstancesOf::In(user, places) => {
                    let (users, most) = parts.entry(Places { most: 0, ..*places }).or_default();
                    users.insert(*user);
                    *most = (*most).max(places.most);
                }
                InstancesOf::Numbers(user, numbers) => numbered.entry(numbers).or_default().push(*user),
                InstancesOf::ExternalId(user, id) => {
                    users.insert(*user);
                    ids.insert(id.clone());
                }
            }
        }
        let mut all = HashMap::new();
        for (part, (users, most)) in parts {
            let which = Which::In(Places { most, ..part });
            let found = repo::instances(self.connection(), users.into_iter().collect(), which).await?;
            let found = grouped(found.into_iter().map(|(user, one)| (user, Arc::new(one))));
            for key in keys {
                let InstancesOf::In(user, places) = key else { continue };
                let Some(found) = found.get(user).filter(|_| Places { most: 0, ..*places } == part) else { continue };
                let most = usize::try_from(places.most).unwrap_or(usize::MAX).min(found.len());
                let from = if places.from_end { found.len() - most } else { 0 };
                all.insert(key.clone(), found.iter().skip(from).take(most).map(Arc::clone).collect());
            }
        }
        for (numbers, users) in numbered {
            let found = repo::instances(self.connection(), users, Which::Numbers(numbers.to_vec())).await?;
            for (user, instances) in grouped(found.into_iter().map(|(user, one)| (user, Arc::new(one)))) {
                all.insert(InstancesOf::Numbers(user, numbers.to_vec()), instances.into());
            }
        }
        if !ids.is_empty() {
            let which = Which::ExternalIds(ids.into_iter().collect());
            for (user, one) in repo::instances(self.connection(), users.into_iter().collect(), which).await? {
                all.insert(InstancesOf::ExternalId(user, one.external_id.clone()), [Arc::new(one)].into());
            }
        }
        Ok(all)
    }
}

/// How many study plan instances a user has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct InstanceCountOf(pub(super) i64);

impl Key for InstanceCountOf {}

impl Loader<InstanceCountOf> for Reader {
    type Value = i64;
    type Error = Error;

    async fn load(&self, keys: &[InstanceCountOf]) -> Result<HashMap<InstanceCountOf, i64>> {
        let counts = repo::instance_count(self.connection(), keys.iter().map(|key| key.0).collect()).await?;
        Ok(counts.into_iter().map(|(user, count)| (InstanceCountOf(user), count)).collect())
    }
}
