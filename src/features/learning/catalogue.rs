//! The resources and study plans that operators define, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use super::entity::{plan, resource};
use super::repo;
use waymark_db::catalogue::{Part, Source};
use waymark_kernel::error::Result;

/// A resource that the catalogue describes.
pub type Resource = resource::Model;

/// A study plan with its resources.
#[derive(Debug)]
pub struct Plan {
    /// The study plan itself as it is stored.
    pub row: plan::Model,
    /// In their order.
    pub resources: Vec<Arc<Resource>>,
}

impl Plan {
    /// The resources that an instance that is made now has: those that are not retired, in their order.
    pub fn offered(&self) -> impl Iterator<Item = &Arc<Resource>> {
        self.resources.iter().filter(|resource| resource.retired_at.is_none())
    }
}

/// All resources and study plans.
#[derive(Debug)]
pub struct Learning {
    /// In the order in which they were added.
    resources: Vec<Arc<Resource>>,
    /// Their titles in lower case, in which a search looks.
    titles: Vec<String>,
    by_id: HashMap<i64, Arc<Resource>>,
    by_key: HashMap<String, Arc<Resource>>,
    /// In the order in which they were added.
    plans: Vec<Arc<Plan>>,
    plans_by_id: HashMap<i64, Arc<Plan>>,
    plans_by_key: HashMap<String, Arc<Plan>>,
}

impl Learning {
    /// The resource with this key, or with this 24-digit id in any case.
    pub fn resource(&self, key: &str) -> Option<&Arc<Resource>> {
        self.by_key.get(key).or_else(|| {
            self.by_key.get(&key.to_ascii_lowercase()).filter(|found| found.external_id.eq_ignore_ascii_case(key))
        })
    }

    /// Returns the resource with this internal id; `None`: the catalogue has none.
    pub fn resource_by_id(&self, id: i64) -> Option<&Arc<Resource>> {
        self.by_id.get(&id)
    }

    /// Returns all resources in the order in which they were added.
    pub fn resources(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    /// The resources, each with its title in lower case.
    pub fn titled(&self) -> impl Iterator<Item = (&Arc<Resource>, &str)> {
        self.resources.iter().zip(self.titles.iter().map(String::as_str))
    }

    /// Returns the study plan with the operator's key `key`; `None`: there is none.
    pub fn plan(&self, key: &str) -> Option<&Arc<Plan>> {
        self.plans_by_key.get(key)
    }

    /// Returns the study plan with this internal id; `None`: there is none.
    pub fn plan_by_id(&self, id: i64) -> Option<&Arc<Plan>> {
        self.plans_by_id.get(&id)
    }

    /// Returns all study plans in the order in which they were added.
    pub fn plans(&self) -> &[Arc<Plan>] {
        &self.plans
    }
}

impl Part for Learning {
    async fn read(source: &Source) -> Result<Self> {
        let resources: Vec<Arc<Resource>> = repo::resources(source).await?.into_iter().map(Arc::new).collect();
        let titles = resources.iter().map(|one| one.title.to_lowercase()).collect();
        let by_id: HashMap<_, _> = resources.iter().map(|one| (one.id, Arc::clone(one))).collect();
        // A key wins over another resource's external id of the same text.
        let mut by_key: HashMap<_, _> =
            resources.iter().map(|one| (one.external_id.clone(), Arc::clone(one))).collect();
        by_key.extend(resources.iter().map(|one| (one.key.clone(), Arc::clone(one))));
        let mut of_plan = repo::plan_resources(source).await?;
        let plans: Vec<Arc<Plan>> = repo::plans(source)
            .await?
            .into_iter()
            .map(|row| {
                let ids = of_plan.remove(&row.id).unwrap_or_default();
                let resources = ids.iter().filter_map(|id| by_id.get(id).cloned()).collect();
                Arc::new(Plan { row, resources })
            })
            .collect();
        let plans_by_id = plans.iter().map(|plan| (plan.row.id, Arc::clone(plan))).collect();
        let plans_by_key = plans.iter().map(|plan| (plan.row.key.clone(), Arc::clone(plan))).collect();
        Ok(Self { resources, titles, by_id, by_key, plans, plans_by_id, plans_by_key })
    }
}
