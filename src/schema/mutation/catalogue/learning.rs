//! Writing resources and study plans.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, MaybeUndefined, Object, SimpleObject};

use super::{check_count, given};
use waymark_auth::policy;
use waymark_graphql_kit::context::{Nullable, present};
use waymark_graphql_kit::list::List;
use waymark_kernel::error::Result;
use waymark_learning::Learning;
use waymark_learning::graphql::{Resource, StudyPlan};
use waymark_learning::operate::{MOST_RESOURCES, UpsertResource, UpsertStudyPlan};
use waymark_request::Ask as _;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::Refusal;

/// Input of `upsertResource`. A field that is not given stays as it is; of a new resource only the title has to be
/// given.
#[derive(Debug, InputObject)]
pub(crate) struct UpsertResourceInput {
    /// The resource's key or its global id: 1 to 255 characters without control characters. A key of 24 hexadecimal digits is
    /// kept in lower case.
    key: ID,
    /// The title, 1 to 500 characters.
    title: Option<String>,
    /// What it is, 1 to 100 characters; `course` for a new one unless given.
    #[graphql(name = "type")]
    resource_type: Option<String>,
    /// The part of the curriculum it belongs to, 1 to 500 characters; null for none.
    section: MaybeUndefined<String>,
    /// Where it is found, an http or https address of at most 2,000 characters; null for none.
    url: MaybeUndefined<String>,
    /// A description, at most 10,000 characters.
    description: Option<String>,
    /// How long it takes, in minutes, 0 to 1,000,000; null for unknown.
    estimated_minutes: MaybeUndefined<i32>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Payload of `upsertResource`.
#[derive(Debug, SimpleObject)]
pub(crate) struct UpsertResourcePayload {
    /// The resource as it now is. Null when the catalogue has none, because adding it was refused.
    resource: Option<Resource>,
    /// Whether the catalogue did not describe it before. Users may have had progress with it all the same.
    created: bool,
    /// Why the write was refused; empty when it was done.
    user_errors: List<Refusal>,
}

/// Input of `upsertStudyPlan`. A field that is not given stays as it is; of a new study plan only the title has to be
/// given.
#[derive(Debug, InputObject)]
pub(crate) struct UpsertStudyPlanInput {
    /// The study plan's key or its global id: 1 to 255 characters without control characters.
    key: ID,
    /// The title, 1 to 500 characters.
    title: Option<String>,
    /// A description, at most 10,000 characters.
    description: Option<String>,
    /// Global ids or keys of all its resources in their order, at most 1,000, each once and each in the catalogue.
    resource_ids: Option<Vec<ID>>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Payload of `upsertStudyPlan`.
#[derive(Debug, SimpleObject)]
pub(crate) struct UpsertStudyPlanPayload {
    /// The study plan as it now is. Null when there is none, because adding it was refused.
    study_plan: Option<StudyPlan>,
    /// Whether it is new.
    created: bool,
    /// Why the write was refused; empty when it was done.
    user_errors: List<Refusal>,
}

/// Mutations of resources and study plans in the catalogue.
#[derive(Debug, Default)]
pub(crate) struct CatalogueLearningMutation;

#[Object]
impl CatalogueLearningMutation {
    /// Adds a resource or changes it. Progress that users have had with it under the same key counts. For API keys with
    /// the scope admin. Null with an error when the whole was refused.
    async fn upsert_resource(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The resource to add or to change.")] input: UpsertResourceInput,
    ) -> Nullable<UpsertResourcePayload> {
        present(async {
            let request = context.ask()?;
            let operator = policy::operate(&request.caller)?;
            let key = Kind::Resource.key(&input.key)?.to_owned();
            let write = UpsertResource {
                operator,
                key: key.clone(),
                title: input.title,
                kind: input.resource_type,
                section: given(input.section),
                url: given(input.url),
                description: input.description,
                estimated_minutes: given(input.estimated_minutes),
            };
            let outcome = request.write(write, input.idempotency_key).await?.outcome;
            let resource = request.catalogue::<Learning>()?.resource(&key).map(Arc::clone).map(Resource);
            Ok(UpsertResourcePayload { resource, created: outcome.created, user_errors: outcome.refusals.into() })
        })
        .await
    }

    /// Adds a study plan or changes it. Instances that users have begun keep the list they began with. For API keys
    /// with the scope admin. Null with an error when the whole was refused.
    async fn upsert_study_plan(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The study plan to add or to change.")] input: UpsertStudyPlanInput,
    ) -> Nullable<UpsertStudyPlanPayload> {
        present(async {
            let request = context.ask()?;
            let operator = policy::operate(&request.caller)?;
            let key = Kind::StudyPlan.key(&input.key)?.to_owned();
            let resources = match &input.resource_ids {
                None => None,
                Some(ids) => {
                    check_count("resources", ids.len(), MOST_RESOURCES)?;
                    let keys = ids.iter().map(|id| Kind::Resource.key(id).map(str::to_owned));
                    Some(keys.collect::<Result<_>>()?)
                }
            };
            let write = UpsertStudyPlan {
                operator,
                key: key.clone(),
                title: input.title,
                description: input.description,
                resources,
            };
            let outcome = request.write(write, input.idempotency_key).await?.outcome;
            let study_plan = request.catalogue::<Learning>()?.plan(&key).map(Arc::clone).map(StudyPlan);
            Ok(UpsertStudyPlanPayload { study_plan, created: outcome.created, user_errors: outcome.refusals.into() })
        })
        .await
    }
}
