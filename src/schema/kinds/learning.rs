//! Mutations of learning: progress with resources, and instances of study plans.

pub(crate) mod catalogue;

use std::collections::BTreeSet;

use async_graphql::{ComplexObject, Context, ID, InputObject, SimpleObject};

use super::{Found, INSTANCES, Overview, Progress, RESOURCES};
use crate::mutation::payload::UserPayload;
use crate::mutation::pipeline::Items;
use waymark_auth::policy::ActingUser;
use waymark_graphql_kit::context::{Nullable, nullable};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::pagination::only_if;
use waymark_graphql_kit::plan::Ready;
use waymark_kernel::error::{Error, Result};
use waymark_kinds::learning::graphql::{ResourceProgress, StudyPlanInstance};
use waymark_kinds::learning::service::{self, Places};
use waymark_kinds::learning::write::{
    CreateStudyPlanInstance, DeleteStudyPlanInstance, Minutes, NewProgress, SetResourcesCompletion,
    UpdateResourceProgress, UpdateStudyPlanInstance,
};
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{BulkMode, ItemOutcome};

input! {
    /// Input of `updateResourceProgress`. A field that is not given stays as it is.
    UpdateResourceProgressInput, "The user whose progress is written; by default the caller.";

    #[graphql(flatten)]
    progress: ResourceProgressInput,
}

/// What is written about a resource.
#[derive(Debug, InputObject)]
pub(crate) struct ResourceProgressInput {
    /// The resource's global id or its key. An id of 24 hexadecimal digits that the catalogue does not know gets
    /// progress too, for resources that live elsewhere, unless the server keeps progress for known ones only.
    pub(crate) resource_id: ID,
    /// Whether it is complete. Completing again keeps the date; it says nothing about `progress`.
    completed: Option<bool>,
    /// How much of it is done, in percent from 0 to 100. It says nothing about `completed`.
    progress: Option<i32>,
    /// The minutes spent on it in all.
    time_spent_minutes: Option<i32>,
    /// Minutes to be added to those spent on it; not together with `timeSpentMinutes`.
    add_time_spent_minutes: Option<i32>,
    /// The user's notes, at most 10,000 characters; empty to remove them.
    notes: Option<String>,
    /// The global or external id of the user's study plan instance through which this is done: completing the resource
    /// marks it there, when the instance has it.
    instance_id: Option<ID>,
}

input! {
    /// Input of `setResourcesCompletion`.
    SetResourcesCompletionInput, "The user whose progress is written; by default the caller.";

    /// Global ids or keys of the resources, at most 1,000; duplicates are fine. A malformed id is refused alone.
    resource_ids: Vec<ID>,
    /// Whether they are complete. Completing again keeps the date, and marks nothing in instances of study plans;
    /// taking it back removes the marks from all of them.
    completed: bool,
    /// Whether the good items are done when others are refused.
    #[graphql(default)]
    mode: BulkMode,
}

input! {
    /// Input of `createStudyPlanInstance`.
    CreateStudyPlanInstanceInput, "The user who follows the study plan; by default the caller.";

    /// The study plan's global id or its key.
    study_plan_id: ID,
    /// The instance's title, 1 to 500 characters; by default the study plan's.
    title: Option<String>,
}

input! {
    /// Input of `updateStudyPlanInstance`. A field that is not given stays as it is.
    UpdateStudyPlanInstanceInput, "The user whose instance it is; by default the caller.";

    /// The instance's global or external id.
    instance_id: ID,
    /// The new title, 1 to 500 characters.
    title: Option<String>,
    /// Whether the instance takes over the list of resources that its study plan has now. Marks of resources that stay
    /// on the list are kept.
    #[graphql(default)]
    refresh: bool,
}

input! {
    /// Input of `deleteStudyPlanInstance`.
    DeleteStudyPlanInstanceInput, "The user whose instance it is; by default the caller.";

    /// The instance's global or external id.
    instance_id: ID,
}

/// Payload of `updateResourceProgress`.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct UpdateResourceProgressPayload {
    #[graphql(flatten)]
    about: UserPayload,
    #[graphql(skip)]
    resource: ID,
    #[graphql(skip)]
    instance: Option<ID>,
}

#[ComplexObject]
impl UpdateResourceProgressPayload {
    /// How far the user is with the resource. Null when there is no such resource or no such user.
    async fn resource_progress(&self, context: &Context<'_>) -> Nullable<Ready<ResourceProgress>> {
        nullable(async {
            let Some((request, own)) = self.about.own(context)? else { return Ok(None) };
            ResourceProgress::of_one(request, &own, Kind::Resource.key(&self.resource)?).await
        })
        .await
    }

    /// The instance that was named. Null when none was, or the user has no such instance.
    async fn study_plan_instance(&self, context: &Context<'_>) -> Nullable<StudyPlanInstance> {
        nullable(instance(context, &self.about, self.instance.as_ref().map(|id| id.as_str()))).await
    }
}

/// Payload of `setResourcesCompletion`.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct SetResourcesCompletionPayload {
    #[graphql(flatten)]
    about: UserPayload,
    /// The result of each item, in the order of the input.
    results: List<ItemOutcome>,
    #[graphql(skip)]
    resources: Vec<ID>,
}

#[ComplexObject]
impl SetResourcesCompletionPayload {
    /// How far the user is with the resources that were named, each once; unknown ones are left out.
    async fn resource_progress(&self, context: &Context<'_>) -> Result<List<Ready<ResourceProgress>>> {
        let Some((request, own)) = self.about.own(context)? else { return Ok(List::default()) };
        let keys = Kind::Resource.keys(&self.resources);
        let named: BTreeSet<&str> = keys.well_formed().collect();
        ResourceProgress::of(request, &own, named).await
    }
}

/// Payload of `createStudyPlanInstance` and `updateStudyPlanInstance`.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct StudyPlanInstancePayload {
    #[graphql(flatten)]
    about: UserPayload,
    #[graphql(skip)]
    instance: Option<String>,
}

#[ComplexObject]
impl StudyPlanInstancePayload {
    /// The instance. Null when the write was refused, and when the instance has been given up since.
    async fn study_plan_instance(&self, context: &Context<'_>) -> Nullable<StudyPlanInstance> {
        nullable(instance(context, &self.about, self.instance.as_deref())).await
    }
}

/// Payload of `deleteStudyPlanInstance`.
#[derive(Debug, SimpleObject)]
pub(crate) struct DeleteStudyPlanInstancePayload {
    #[graphql(flatten)]
    about: UserPayload,
    /// The global id of the instance that is gone. Null when the write was refused.
    deleted_id: Option<ID>,
}

/// Loads the user's instance with this id, if one is given.
async fn instance(context: &Context<'_>, about: &UserPayload, id: Option<&str>) -> Result<Option<StudyPlanInstance>> {
    let (Some((request, own)), Some(id)) = (about.own(context)?, id) else { return Ok(None) };
    let key = Kind::StudyPlanInstance.key_of(own.ulid(), id)?;
    Ok(service::instance(request, &own, key).await?.map(StudyPlanInstance))
}

mutations! {
    /// Mutations of learning.
    LearningMutation;

    /// Writes a user's progress with a resource. It counts in every study plan that has the resource. For the user and
    /// for API keys with the scope progress:write. Null with an error when the whole was refused.
    update_resource_progress: about_user(
        UpdateResourceProgressInput,
        "The resource, the user, and the fields to set."
    ) -> UpdateResourceProgressPayload;

    /// Marks many resources as complete or not complete for a user. For the user and for API keys with the scope
    /// progress:write. Null with an error when the whole was refused.
    set_resources_completion: about_user(
        SetResourcesCompletionInput,
        "The resources, whether they are complete, and the user."
    ) -> SetResourcesCompletionPayload;

    /// Begins an instance of a study plan for a user. It keeps the plan's list of resources as it is now; what the user
    /// has completed before counts. For the user and for API keys with the scope progress:write. Null with an error
    /// when the whole was refused.
    create_study_plan_instance: about_user(
        CreateStudyPlanInstanceInput,
        "The study plan, and the user who follows it."
    ) -> StudyPlanInstancePayload;

    /// Renames a user's instance of a study plan, or brings it up to date with its plan. For the user and for API keys
    /// with the scope progress:write. Null with an error when the whole was refused.
    update_study_plan_instance: about_user(
        UpdateStudyPlanInstanceInput,
        "The instance, its user, and what changes."
    ) -> StudyPlanInstancePayload;

    /// Gives up a user's instance of a study plan. The progress with its resources stays. For the user and for API keys
    /// with the scope progress:write. Null with an error when the whole was refused.
    delete_study_plan_instance: about_user(DeleteStudyPlanInstanceInput, "The instance and its user.")
        -> DeleteStudyPlanInstancePayload;
}

about_user! {
    UpdateResourceProgressInput: ActingUser => UpdateResourceProgress => UpdateResourceProgressPayload {
        write: |input, user| UpdateResourceProgress { progress: input.progress.read(user.ulid())?, user },
        payload: |input, about, _| {
            let ResourceProgressInput { resource_id: resource, instance_id: instance, .. } = input.progress;
            UpdateResourceProgressPayload { about, resource, instance }
        },
    }
    SetResourcesCompletionInput: ActingUser => SetResourcesCompletion => SetResourcesCompletionPayload {
        items: |input| Items::of("resourceIds", Kind::Resource, &input.resource_ids),
        write: |input, user| {
            // A malformed id is no resource's, and is refused as such in its own place.
            let resource = |id: &ID| Kind::Resource.key_or_all(id);
            let resources = input.resource_ids.iter().map(resource).collect();
            SetResourcesCompletion { user, resources, completed: input.completed, mode: input.mode }
        },
        payload: |input, about, results| {
            SetResourcesCompletionPayload { about, results: results.into(), resources: input.resource_ids }
        },
    }
    CreateStudyPlanInstanceInput: ActingUser => CreateStudyPlanInstance => StudyPlanInstancePayload {
        write: |input, user| {
            let plan = Kind::StudyPlan.key(&input.study_plan_id)?.to_owned();
            CreateStudyPlanInstance { user, plan, title: input.title.clone() }
        },
        payload: |_, about, outcome| StudyPlanInstancePayload { about, instance: outcome.done() },
    }
    UpdateStudyPlanInstanceInput: ActingUser => UpdateStudyPlanInstance => StudyPlanInstancePayload {
        write: |input, user| {
            let instance = Kind::StudyPlanInstance.key_of(user.ulid(), &input.instance_id)?.to_owned();
            UpdateStudyPlanInstance { user, instance, title: input.title.clone(), refresh: input.refresh }
        },
        payload: |_, about, outcome| StudyPlanInstancePayload { about, instance: outcome.done() },
    }
    DeleteStudyPlanInstanceInput: ActingUser => DeleteStudyPlanInstance => DeleteStudyPlanInstancePayload {
        write: |input, user| {
            let instance = Kind::StudyPlanInstance.key_of(user.ulid(), &input.instance_id)?.to_owned();
            DeleteStudyPlanInstance { user, instance }
        },
        payload: |_, about, outcome| {
            let deleted_id = outcome.done().map(|id| about.id_of(Kind::StudyPlanInstance, &id));
            DeleteStudyPlanInstancePayload { about, deleted_id }
        },
    }
}

impl ResourceProgressInput {
    /// What is written, about the user with this ULID.
    pub(crate) fn read(&self, user: &str) -> Result<NewProgress> {
        let time_spent = match (self.time_spent_minutes, self.add_time_spent_minutes) {
            (Some(_), Some(_)) => {
                return Err(Error::bad_input("send either timeSpentMinutes or addTimeSpentMinutes, and not both"));
            }
            (Some(minutes), None) => Some(Minutes::Set(minutes.into())),
            (None, minutes) => minutes.map(|minutes| Minutes::Add(minutes.into())),
        };
        let instance = self.instance_id.as_ref().map(|id| Kind::StudyPlanInstance.key_of(user, id));
        Ok(NewProgress {
            resource: Kind::Resource.key(&self.resource_id)?.to_owned(),
            completed: self.completed,
            progress: self.progress.map(i64::from),
            time_spent,
            notes: self.notes.clone(),
            instance: instance.transpose()?.map(str::to_owned),
        })
    }
}

/// Instances and resources, as many of each as the page may need, from where its cursors stand.
pub(super) async fn overview(asked: &Overview<'_>) -> Result<Found> {
    let Overview { request, own: Some(own), page, count, .. } = *asked else { return Ok(Found::default()) };
    let slice = page.slice_of(INSTANCES);
    let instances = async {
        match slice {
            Some(slice) => service::instances(request, own, Places::of(slice)).await,
            None => Ok(Vec::new()),
        }
    };
    // Instances that are shown say how many there are; where all could stand and none is, there are none.
    let uncounted = count && slice.is_none_or(|slice| slice.after.is_some() || slice.before.is_some());
    let instance_count = only_if(uncounted, service::instance_count(request, own));
    let resources = async {
        match page.slice_of(RESOURCES) {
            Some(slice) => service::touched(request, own, None, slice).await,
            None => Ok(Vec::new()),
        }
    };
    let resource_count = only_if(count, service::touched_count(request, own, None));
    let (instances, instance_count, resources, resource_count) =
        futures_util::try_join!(instances, instance_count, resources, resource_count)?;
    let many = instance_count.or_else(|| instances.first().map(|followed| followed.instance.many));
    let total = many.unwrap_or_default() + resource_count.unwrap_or_default();
    let instances = instances.into_iter().map(|followed| {
        let place = INSTANCES.outer((1 - followed.instance.place, 0));
        (place, Progress::StudyPlan(StudyPlanInstance(followed)))
    });
    let resources = resources
        .into_iter()
        .map(|learned| (RESOURCES.outer(learned.place()), Progress::Resource(ResourceProgress(learned))));
    Ok(Found { rows: instances.chain(resources).collect(), total })
}
