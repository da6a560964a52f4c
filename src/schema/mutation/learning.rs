//! Mutations of learning: progress with resources, and instances of study plans.

use async_graphql::{Context, ID, InputObject, Object, SimpleObject};

use super::changes::Changes;
use super::{check_items, shown, subject};
use crate::user::User;
use waymark_auth::policy;
use waymark_db::Extent;
use waymark_graphql_kit::context::{Nullable, present};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::ready::Ready;
use waymark_kernel::error::{Error, Result};
use waymark_learning as learning;
use waymark_learning::graphql::{ResourceProgress, StudyPlanInstance};
use waymark_learning::write::{
    CreateStudyPlanInstance, DeleteStudyPlanInstance, InstanceOutcome, Minutes, NewProgress, SetResourcesCompletion,
    UpdateResourceProgress, UpdateStudyPlanInstance,
};
use waymark_request::Ask as _;
use waymark_request::Request;
use waymark_users::graphql::UserBy;
use waymark_users::service::User as Stored;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{BulkMode, ItemOutcome, Refusal, refusals};

/// Input of `updateResourceProgress`. A field that is not given stays as it is.
#[derive(Debug, InputObject)]
pub(crate) struct UpdateResourceProgressInput {
    /// The user whose progress is written; by default the caller.
    user: Option<UserBy>,
    #[graphql(flatten)]
    progress: ResourceProgressInput,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// What is written about a resource.
#[derive(Debug, InputObject)]
pub(super) struct ResourceProgressInput {
    /// The resource's global id or its key. An id of 24 hexadecimal digits that the catalogue does not know gets
    /// progress too, for resources that live elsewhere, unless the server keeps progress for known ones only.
    pub(super) resource_id: ID,
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

/// Input of `setResourcesCompletion`.
#[derive(Debug, InputObject)]
pub(crate) struct SetResourcesCompletionInput {
    /// The user whose progress is written; by default the caller.
    user: Option<UserBy>,
    /// Global ids or keys of the resources, at most 1,000; duplicates are fine. A malformed id is refused alone.
    resource_ids: Vec<ID>,
    /// Whether they are complete. Completing again keeps the date, and marks nothing in instances of study plans;
    /// taking it back removes the marks from all of them.
    completed: bool,
    /// Whether the good items are done when others are refused.
    #[graphql(default)]
    mode: BulkMode,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Input of `createStudyPlanInstance`.
#[derive(Debug, InputObject)]
pub(crate) struct CreateStudyPlanInstanceInput {
    /// The user who follows the study plan; by default the caller.
    user: Option<UserBy>,
    /// The study plan's global id or its key.
    study_plan_id: ID,
    /// The instance's title, 1 to 500 characters; by default the study plan's.
    title: Option<String>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Input of `updateStudyPlanInstance`. A field that is not given stays as it is.
#[derive(Debug, InputObject)]
pub(crate) struct UpdateStudyPlanInstanceInput {
    /// The user whose instance it is; by default the caller.
    user: Option<UserBy>,
    /// The instance's global or external id.
    instance_id: ID,
    /// The new title, 1 to 500 characters.
    title: Option<String>,
    /// Whether the instance takes over the list of resources that its study plan has now. Marks of resources that stay
    /// on the list are kept.
    #[graphql(default)]
    refresh: bool,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Input of `deleteStudyPlanInstance`.
#[derive(Debug, InputObject)]
pub(crate) struct DeleteStudyPlanInstanceInput {
    /// The user whose instance it is; by default the caller.
    user: Option<UserBy>,
    /// The instance's global or external id.
    instance_id: ID,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Payload of `updateResourceProgress`.
#[derive(Debug, SimpleObject)]
pub(crate) struct UpdateResourceProgressPayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// How far the user is with the resource. Null when the resource is unknown.
    resource_progress: Option<Ready<ResourceProgress>>,
    /// The instance that was named. Null when none was, or the user has no such instance.
    study_plan_instance: Option<StudyPlanInstance>,
    /// What was refused; empty when all was done.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// Payload of `setResourcesCompletion`.
#[derive(Debug, SimpleObject)]
pub(crate) struct SetResourcesCompletionPayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// The result of each item, in the order of the input.
    results: List<ItemOutcome>,
    /// How far the user is with the resources that were named, each once; unknown ones are left out.
    resource_progress: List<Ready<ResourceProgress>>,
    /// What was refused; empty when all was done.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// Payload of `createStudyPlanInstance` and `updateStudyPlanInstance`.
#[derive(Debug, SimpleObject)]
pub(crate) struct StudyPlanInstancePayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// The instance. Null when the write was refused, and when the instance has been given up since.
    study_plan_instance: Option<StudyPlanInstance>,
    /// What was refused; empty when all was done.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// Payload of `deleteStudyPlanInstance`.
#[derive(Debug, SimpleObject)]
pub(crate) struct DeleteStudyPlanInstancePayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// The global id of the instance that is gone. Null when the write was refused.
    deleted_id: Option<ID>,
    /// What was refused; empty when all was done.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// Mutations of learning.
#[derive(Debug, Default)]
pub(crate) struct LearningMutation;

#[Object]
impl LearningMutation {
    /// Writes a user's progress with a resource. It counts in every study plan that has the resource. For the user and
    /// for API keys with the scope progress:write. Null with an error when the whole was refused.
    async fn update_resource_progress(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The resource, the user, and the fields to set.")] input: UpdateResourceProgressInput,
    ) -> Nullable<UpdateResourceProgressPayload> {
        present(async {
            let request = context.ask()?;
            let stored = subject(request, input.user).await?;
            let user = policy::act_for(&request.caller, &stored.subject)?;
            let progress = input.progress.read(user.ulid())?;
            let (resource, instance) = (progress.resource.clone(), progress.instance.clone());
            let write = UpdateResourceProgress { user, progress };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            let user = shown(request, &stored).await?;
            let study_plan_instance = match instance {
                Some(id) => study_plan_instance(request, user.as_ref(), &id).await?,
                None => None,
            };
            Ok(UpdateResourceProgressPayload {
                resource_progress: progress_of(request, user.as_ref(), [resource.as_str()]).await?.pop(),
                study_plan_instance,
                user,
                user_errors: written.outcome.error.into_iter().collect(),
                changes,
            })
        })
        .await
    }

    /// Marks many resources as complete or not complete for a user. For the user and for API keys with the scope
    /// progress:write. Null with an error when the whole was refused.
    async fn set_resources_completion(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The resources, whether they are complete, and the user.")] input: SetResourcesCompletionInput,
    ) -> Nullable<SetResourcesCompletionPayload> {
        present(async {
            let request = context.ask()?;
            check_items(request, "resources", input.resource_ids.len())?;
            let stored = subject(request, input.user).await?;
            let user = policy::act_for(&request.caller, &stored.subject)?;
            // A malformed id is no resource's, and is refused as such in its own place.
            let resource = |id: &ID| Kind::Resource.key(id).unwrap_or(id).to_owned();
            let resources: Vec<String> = input.resource_ids.iter().map(resource).collect();
            let named = resources.clone();
            let write = SetResourcesCompletion { user, resources, completed: input.completed, mode: input.mode };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            let user = shown(request, &stored).await?;
            let mut named: Vec<&str> = named.iter().map(String::as_str).collect();
            named.sort_unstable();
            named.dedup();
            Ok(SetResourcesCompletionPayload {
                resource_progress: progress_of(request, user.as_ref(), named).await?.into(),
                user,
                user_errors: refusals("resourceIds", &written.outcome).into(),
                results: written.outcome.into(),
                changes,
            })
        })
        .await
    }

    /// Begins an instance of a study plan for a user. It keeps the plan's list of resources as it is now; what the user
    /// has completed before counts. For the user and for API keys with the scope progress:write. Null with an error
    /// when the whole was refused.
    async fn create_study_plan_instance(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The study plan, and the user who follows it.")] input: CreateStudyPlanInstanceInput,
    ) -> Nullable<StudyPlanInstancePayload> {
        present(async {
            let request = context.ask()?;
            let stored = subject(request, input.user).await?;
            let user = policy::act_for(&request.caller, &stored.subject)?;
            let plan = Kind::StudyPlan.key(&input.study_plan_id)?.to_owned();
            let write = CreateStudyPlanInstance { user, plan, title: input.title };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            instance_payload(request, &stored, written.outcome, changes).await
        })
        .await
    }

    /// Renames a user's instance of a study plan, or brings it up to date with its plan. For the user and for API keys
    /// with the scope progress:write. Null with an error when the whole was refused.
    async fn update_study_plan_instance(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The instance, its user, and what changes.")] input: UpdateStudyPlanInstanceInput,
    ) -> Nullable<StudyPlanInstancePayload> {
        present(async {
            let request = context.ask()?;
            let stored = subject(request, input.user).await?;
            let user = policy::act_for(&request.caller, &stored.subject)?;
            let instance = Kind::StudyPlanInstance.key_of(user.ulid(), &input.instance_id)?.to_owned();
            let write = UpdateStudyPlanInstance { user, instance, title: input.title, refresh: input.refresh };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            instance_payload(request, &stored, written.outcome, changes).await
        })
        .await
    }

    /// Gives up a user's instance of a study plan. The progress with its resources stays. For the user and for API keys
    /// with the scope progress:write. Null with an error when the whole was refused.
    async fn delete_study_plan_instance(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The instance and its user.")] input: DeleteStudyPlanInstanceInput,
    ) -> Nullable<DeleteStudyPlanInstancePayload> {
        present(async {
            let request = context.ask()?;
            let stored = subject(request, input.user).await?;
            let user = policy::act_for(&request.caller, &stored.subject)?;
            let instance = Kind::StudyPlanInstance.key_of(user.ulid(), &input.instance_id)?.to_owned();
            let write = DeleteStudyPlanInstance { user, instance };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            let (deleted, user_errors) = split(written.outcome);
            Ok(DeleteStudyPlanInstancePayload {
                user: shown(request, &stored).await?,
                deleted_id: deleted.map(|id| Kind::StudyPlanInstance.id_of(&stored.subject.ulid, &id)),
                user_errors: user_errors.into(),
                changes,
            })
        })
        .await
    }
}

impl ResourceProgressInput {
    /// What is written, about the user with this ULID.
    pub(super) fn read(self, user: &str) -> Result<NewProgress> {
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
            notes: self.notes,
            instance: instance.transpose()?.map(str::to_owned),
        })
    }
}

/// How far a user is with the resources of these keys; unknown ones are left out.
async fn progress_of(
    request: &Request,
    user: Option<&User>,
    keys: impl IntoIterator<Item = &str>,
) -> Result<Vec<Ready<ResourceProgress>>> {
    let Some(user) = user else { return Ok(Vec::new()) };
    let learned = learning::service::progress(request, &[user.own()?], keys, Extent::All).await?;
    Ok(learned.into_iter().flatten().flatten().map(ResourceProgress).map(Ready).collect())
}

/// A user's instance by its external id.
async fn study_plan_instance(
    request: &Request,
    user: Option<&User>,
    external_id: &str,
) -> Result<Option<StudyPlanInstance>> {
    let Some(user) = user else { return Ok(None) };
    Ok(learning::service::instance(request, user.own()?, external_id).await?.map(StudyPlanInstance))
}

/// The external id of the instance that was written, or why it was not.
fn split(outcome: InstanceOutcome) -> (Option<String>, Vec<Refusal>) {
    match outcome {
        InstanceOutcome::Done(id) => (Some(id), Vec::new()),
        InstanceOutcome::Refused(refusal) => (None, vec![refusal]),
    }
}

async fn instance_payload(
    request: &Request,
    stored: &Stored,
    outcome: InstanceOutcome,
    changes: Changes,
) -> Result<StudyPlanInstancePayload> {
    let (id, user_errors) = split(outcome);
    let user = shown(request, stored).await?;
    let study_plan_instance = match id {
        Some(id) => study_plan_instance(request, user.as_ref(), &id).await?,
        None => None,
    };
    Ok(StudyPlanInstancePayload { user, study_plan_instance, user_errors: user_errors.into(), changes })
}
