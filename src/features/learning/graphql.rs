//! Learning in GraphQL.

use std::sync::Arc;

use async_graphql::{Context, ID, Object, SimpleObject};

pub use super::rules::InstanceStatus as StudyPlanInstanceStatus;
use super::rules::{self, InstanceStatus as Status};
use super::service::{self, Followed, Item, Learned};
use super::{Learning, Plan as StoredPlan, Resource as StoredResource};
use waymark_auth::policy::OwnUser;
use waymark_db::Extent;
use waymark_graphql_kit::context::{Nullable, nullable};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::pagination::{Connection, PageArgs};
use waymark_graphql_kit::plan::{Plain, Ready, object};
use waymark_graphql_kit::search::Search;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_request::{Ask as _, Request};
use waymark_vocabulary::ids;
use waymark_vocabulary::progress;
use waymark_vocabulary::progress::{ProgressKind, ProgressState};

/// Something to learn from.
#[derive(Debug, Clone)]
pub struct Resource(pub Arc<StoredResource>);

/// Something to learn from: a course, a text, a film. A user's progress with it is the same in every study plan.
#[object]
impl Resource {
    /// The global id: `resource:<key>`.
    pub async fn id(&self) -> ID {
        ids::Kind::Resource.id(&self.0.key)
    }

    /// The operator's own key of the resource, unique among resources.
    async fn key(&self) -> &str {
        &self.0.key
    }

    /// The resource's title.
    async fn title(&self) -> &str {
        &self.0.title
    }

    /// What it is, such as `course`.
    #[graphql(name = "type")]
    async fn resource_type(&self) -> &str {
        &self.0.kind
    }

    /// The part of the curriculum it belongs to. Null when the operator has not given it.
    async fn section(&self) -> Option<&str> {
        self.0.section.as_deref()
    }

    /// Where it is found. Null when the operator has not given it.
    async fn url(&self) -> Option<&str> {
        self.0.url.as_deref()
    }

    /// A description for people; may be empty.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// How long it takes, in minutes. Null when the operator has not given it.
    async fn estimated_minutes(&self) -> Option<i32> {
        self.0.estimated_minutes
    }

    /// When the resource was retired: it is no longer listed and takes no new progress. Null when it is not retired.
    async fn retired_at(&self) -> Option<Timestamp> {
        self.0.retired_at
    }
}

/// An ordered list of resources.
#[derive(Debug, Clone)]
pub struct StudyPlan(pub Arc<StoredPlan>);

/// An ordered list of resources. Users follow instances of it, which keep the list as it was when they were made.
#[object]
impl StudyPlan {
    /// The global id: `study_plan:<key>`.
    pub async fn id(&self) -> ID {
        ids::Kind::StudyPlan.id(&self.0.row.key)
    }

    /// The operator's own key of the study plan, unique among study plans.
    async fn key(&self) -> &str {
        &self.0.row.key
    }

    /// The study plan's title.
    async fn title(&self) -> &str {
        &self.0.row.title
    }

    /// A description for people; may be empty.
    async fn description(&self) -> &str {
        &self.0.row.description
    }

    /// When the study plan was retired: it is no longer listed and cannot be begun. Null when it is not retired.
    async fn retired_at(&self) -> Option<Timestamp> {
        self.0.row.retired_at
    }

    /// The resources in the order in which they are meant to be taken; retired ones for API keys with the scope admin
    /// only.
    async fn resources(&self, context: &Context<'_>) -> Result<List<Resource>> {
        Ok(service::listed_in(context.ask()?, &self.0).cloned().map(Resource).collect())
    }
}

/// How far a user is with a resource.
#[derive(Debug)]
pub struct ResourceProgress(pub Learned);

impl ResourceProgress {
    fn is_completed(&self) -> bool {
        self.0.progress.as_ref().is_some_and(|stored| stored.completed)
    }

    /// 100 when completed, else the percentage that was recorded.
    fn percent_done(&self) -> i32 {
        if self.is_completed() { 100 } else { self.0.progress.as_ref().map_or(0, |stored| i32::from(stored.percent)) }
    }

    /// Loads how far a user is with the resources of these keys; unknown ones are left out.
    pub async fn of(
        request: &Request,
        user: &OwnUser,
        keys: impl IntoIterator<Item = &str>,
    ) -> Result<List<Ready<Self>>> {
        let learned = service::progress(request, &[user], keys, Extent::All).await?;
        Ok(learned.into_iter().flatten().flatten().map(Self).map(Ready).collect())
    }

    /// Loads how far a user is with the resource of this key; `None` for an unknown one.
    pub async fn of_one(request: &Request, user: &OwnUser, key: &str) -> Result<Option<Ready<Self>>> {
        let mut learned = service::progress(request, &[user], [key], Extent::All).await?.into_iter().flatten();
        Ok(learned.next().flatten().map(Self).map(Ready))
    }
}

/// How far a user is with a resource. It is the same in every study plan that has the resource.
#[object]
impl ResourceProgress {
    /// The global id: `resource_progress:<the user's ULID>:<the resource's key>`.
    #[main]
    pub async fn id(&self) -> ID {
        ids::Kind::ResourceProgress.id_of(self.0.user.ulid(), &self.0.key)
    }

    /// Always RESOURCE.
    #[main]
    pub async fn kind(&self) -> ProgressKind {
        ProgressKind::Resource
    }

    /// The resource's title; its key where the catalogue does not describe it.
    #[main]
    pub async fn title(&self) -> &str {
        self.0.resource.as_ref().map_or(&self.0.key, |resource| &resource.title)
    }

    /// How much is done, in percent: 100 when completed, else the same as `progress`.
    #[main]
    pub async fn done(&self) -> i32 {
        self.percent_done()
    }

    /// Always 100.
    #[main]
    pub async fn total(&self) -> i32 {
        100
    }

    /// `done` out of `total`, from 0 to 1.
    #[main]
    pub async fn ratio(&self) -> f64 {
        progress::ratio(self.percent_done(), 100)
    }

    /// COMPLETED when the resource is marked complete; the percentage does not count.
    pub async fn state(&self) -> ProgressState {
        let touched =
            self.0.progress.as_ref().is_some_and(|stored| stored.percent > 0 || stored.time_spent_minutes > 0);
        progress::state(i32::from(touched), self.is_completed())
    }

    /// When it was marked complete. Null when it is not complete.
    #[main]
    pub async fn completed_at(&self) -> Option<Timestamp> {
        self.0.progress.as_ref().and_then(|stored| stored.completed_at)
    }

    /// The resource. Null when the catalogue does not describe it: progress is kept for resources that live elsewhere.
    #[main]
    async fn resource(&self) -> Option<Ready<Resource>> {
        self.0.resource.clone().map(Resource).map(Ready)
    }

    /// The operator's key of the resource.
    #[main]
    async fn resource_key(&self) -> &str {
        &self.0.key
    }

    /// Whether the resource is marked complete.
    #[main]
    async fn completed(&self) -> bool {
        self.is_completed()
    }

    /// How much of it was recorded as done, in percent from 0 to 100. It says nothing about `completed`.
    #[main]
    async fn progress(&self) -> i32 {
        self.0.progress.as_ref().map_or(0, |stored| i32::from(stored.percent))
    }

    /// The time spent on it, in minutes.
    async fn time_spent(&self) -> i32 {
        self.0.progress.as_ref().map_or(0, |stored| stored.time_spent_minutes)
    }

    /// The user's notes; empty when there are none.
    async fn notes(&self, context: &Context<'_>) -> Result<Arc<str>> {
        service::notes(context.ask()?, &self.0).await
    }

    /// When progress was last recorded. Null when the user has not touched the resource.
    async fn last_accessed_at(&self) -> Option<Timestamp> {
        self.0.progress.as_ref().map(|stored| stored.last_accessed_at)
    }

    /// When progress was first recorded. Null when the user has not touched the resource.
    async fn created_at(&self) -> Option<Timestamp> {
        self.0.progress.as_ref().map(|stored| stored.created_at)
    }

    /// When the record last changed. Null when the user has not touched the resource.
    async fn updated_at(&self) -> Option<Timestamp> {
        self.0.progress.as_ref().map(|stored| stored.updated_at)
    }
}

/// A study plan as one user follows it.
#[derive(Debug)]
pub struct StudyPlanInstance(pub Followed);

/// A study plan as one user follows it. It keeps the plan's list of resources as it was when it was made; what counts
/// as done is the user's progress with each resource, wherever it was made.
#[object]
impl StudyPlanInstance {
    /// The global id: `study_plan_instance:<the user's ULID>:<external id>`.
    pub async fn id(&self) -> ID {
        ids::Kind::StudyPlanInstance.id_of(self.0.user.ulid(), &self.0.instance.external_id)
    }

    /// The id for clients that know instances by 24 hexadecimal digits.
    async fn external_id(&self) -> &str {
        &self.0.instance.external_id
    }

    /// Always STUDY_PLAN.
    pub async fn kind(&self) -> ProgressKind {
        ProgressKind::StudyPlan
    }

    /// The instance's title.
    pub async fn title(&self) -> String {
        self.0.instance.title.clone()
    }

    /// How many resources are complete; the same as `completedCount`.
    pub async fn done(&self) -> i32 {
        clamped(self.0.done)
    }

    /// How many resources there are.
    pub async fn total(&self) -> i32 {
        clamped(self.0.total)
    }

    /// `done` out of `total`, from 0 to 1; 0 when the plan was empty.
    pub async fn ratio(&self) -> f64 {
        progress::ratio(clamped(self.0.done), clamped(self.0.total))
    }

    /// COMPLETED when every resource is complete.
    pub async fn state(&self) -> ProgressState {
        match self.0.status() {
            Status::NotStarted => ProgressState::NotStarted,
            Status::InProgress => ProgressState::InProgress,
            Status::Completed => ProgressState::Completed,
        }
    }

    /// When the last of its resources was completed. Null while one is not complete.
    pub async fn completed_at(&self) -> Option<Timestamp> {
        let items = self.0.instance.items.iter();
        (self.0.status() == Status::Completed).then(|| items.filter_map(|item| item.completed_at).max()).flatten()
    }

    /// The study plan it was made from. Null when that has been removed from the catalogue.
    async fn plan(&self) -> Option<StudyPlan> {
        self.0.plan.clone().map(StudyPlan)
    }

    /// How far the instance has come.
    async fn status(&self) -> StudyPlanInstanceStatus {
        self.0.status()
    }

    /// How many of its resources are complete.
    async fn completed_count(&self) -> i32 {
        clamped(self.0.done)
    }

    /// How much is complete by the number of resources, in whole percent, rounded down; 100 only when all is complete.
    async fn percent(&self) -> i32 {
        rules::percent(self.0.done, self.0.total).into()
    }

    /// How much is complete by the time the resources take, in whole percent, rounded down; 100 only when all is
    /// complete. By number where no resource has an estimate.
    async fn percent_by_minutes(&self, context: &Context<'_>) -> Result<i32> {
        let learning = context.ask()?.catalogue::<Learning>()?;
        let minutes = |item: &Item| {
            let estimate = learning.resource_by_id(item.resource_id).and_then(|one| one.estimated_minutes);
            estimate.and_then(|minutes| u32::try_from(minutes).ok())
        };
        let items = self.0.instance.items.iter().map(|item| (item.completed, minutes(item)));
        Ok(rules::percent_by_minutes(items).into())
    }

    /// Its resources in their order, with the user's progress; without those that have been retired, which do not
    /// count.
    async fn resources(&self, context: &Context<'_>) -> Result<List<StudyPlanInstanceResource>> {
        let learning = context.ask()?.catalogue::<Learning>()?;
        let items = self.0.instance.items.iter();
        Ok(items
            .map(|item| StudyPlanInstanceResource {
                resource: learning.resource_by_id(item.resource_id).cloned().map(Resource),
                completed: item.completed,
                completed_at: item.completed_at,
                marked_at: item.marked_at,
            })
            .collect())
    }

    /// When the instance was made.
    async fn created_at(&self) -> Timestamp {
        self.0.instance.created_at
    }

    /// When the instance itself last changed.
    async fn updated_at(&self) -> Timestamp {
        self.0.instance.updated_at
    }
}

fn clamped(count: u64) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// A resource of a study plan instance.
#[derive(Debug, Plain, SimpleObject)]
pub struct StudyPlanInstanceResource {
    /// The resource. Null when the catalogue does not describe it.
    resource: Option<Resource>,
    /// Whether the user has completed the resource, through this instance or otherwise.
    completed: bool,
    /// When the user completed it. Null when that has not happened.
    completed_at: Option<Timestamp>,
    /// When it was completed through this very instance. Null when it was not.
    marked_at: Option<Timestamp>,
}

/// The resources and study plans of the catalogue.
#[derive(Debug, Default)]
pub struct LearningQuery;

#[Object]
impl LearningQuery {
    /// The resource with this id. Null when the catalogue has none.
    async fn resource(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The resource's global id or its key.")] id: ID,
    ) -> Nullable<Resource> {
        nullable(async {
            let key = ids::Kind::Resource.key(&id)?;
            Ok(context.ask()?.catalogue::<Learning>()?.resource(key).cloned().map(Resource))
        })
        .await
    }

    /// The resources of the catalogue, in the order in which they were added; retired ones for API keys with the scope
    /// admin only.
    #[allow(clippy::too_many_arguments, reason = "the arguments of a connection")]
    async fn resources(
        &self,
        context: &Context<'_>,
        #[graphql(
            desc = "Only resources whose title contains this text of at most 200 characters; upper and lower case are the same."
        )]
        search: Option<String>,
        #[graphql(desc = "How many resources from the start, 1 to 100; 20 when neither this nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only resources behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many resources from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only resources before this cursor.")] before: Option<String>,
    ) -> Result<Connection<Resource>> {
        let request = context.ask()?;
        let page = PageArgs { first, after, last, before }.check("resources", request)?;
        let search = Search::of(search)?;
        let found = service::listed_resources(request)?.filter(|(_, title)| search.finds(title));
        let found = found.map(|(resource, _)| Arc::clone(resource));
        Ok(page.of_list(found, |resource| (resource.id, 0)).map(Resource))
    }

    /// The study plan with this id. Null when the catalogue has none.
    async fn study_plan(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The study plan's global id or its key.")] id: ID,
    ) -> Nullable<StudyPlan> {
        nullable(async {
            let key = ids::Kind::StudyPlan.key(&id)?;
            Ok(context.ask()?.catalogue::<Learning>()?.plan(key).cloned().map(StudyPlan))
        })
        .await
    }

    /// The study plans of the catalogue, in the order in which they were added; retired ones for API keys with the
    /// scope admin only.
    async fn study_plans(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many study plans from the start, 1 to 100; 20 when neither this nor last is given.")]
        first: Option<i32>,
        #[graphql(desc = "Only study plans behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many study plans from the end, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only study plans before this cursor.")] before: Option<String>,
    ) -> Result<Connection<StudyPlan>> {
        let request = context.ask()?;
        let page = PageArgs { first, after, last, before }.check("study-plans", request)?;
        let plans = service::listed_plans(request)?.cloned();
        Ok(page.of_list(plans, |plan| (plan.row.id, 0)).map(StudyPlan))
    }
}
