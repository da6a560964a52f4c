//! Writing resources and study plans.

use std::sync::Arc;

use async_graphql::{ID, MaybeUndefined, SimpleObject};

use crate::mutation::catalogue::{Edited, given, keys};
use waymark_kinds::learning::Learning;
use waymark_kinds::learning::graphql::{Resource, StudyPlan};
use waymark_kinds::learning::operate::{MOST_RESOURCES, UpsertResource, UpsertStudyPlan};
use waymark_vocabulary::ids::Kind;
use waymark_write::Retire;

input! {
    /// Input of `upsertResource`. A field that is not given stays as it is; of a new resource only the title has to be
    /// given.
    UpsertResourceInput;

    /// The resource's key or its global id: 1 to 255 characters without control characters. A key of 24 hexadecimal
    /// digits is kept in lower case.
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
    /// Whether it is retired: no longer listed, and without new progress. It does not count in instances of study plans
    /// until false brings it back; the progress that users have stays.
    retired: Option<bool>,
}

/// Payload of `upsertResource`.
#[derive(Debug, SimpleObject)]
pub(crate) struct UpsertResourcePayload {
    /// The resource as it now is; users may have had progress with it before it was added. Null when the catalogue has
    /// none, because adding it was refused.
    resource: Option<Resource>,
    #[graphql(flatten)]
    edited: Edited,
}

input! {
    /// Input of `upsertStudyPlan`. A field that is not given stays as it is; of a new study plan only the title has to
    /// be given.
    UpsertStudyPlanInput;

    /// The study plan's key or its global id: 1 to 255 characters without control characters.
    key: ID,
    /// The title, 1 to 500 characters.
    title: Option<String>,
    /// A description, at most 10,000 characters.
    description: Option<String>,
    /// Global ids or keys of all its resources in their order, at most 1,000, each once and each in the catalogue.
    resource_ids: Option<Vec<ID>>,
    /// Whether it is retired: no longer listed, and cannot be begun. Instances that users have begun go on, and false
    /// brings it back.
    retired: Option<bool>,
}

/// Payload of `upsertStudyPlan`.
#[derive(Debug, SimpleObject)]
pub(crate) struct UpsertStudyPlanPayload {
    /// The study plan as it now is. Null when there is none, because adding it was refused.
    study_plan: Option<StudyPlan>,
    #[graphql(flatten)]
    edited: Edited,
}

mutations! {
    /// Mutations of resources and study plans in the catalogue.
    CatalogueLearningMutation;

    /// Adds a resource or changes it. Progress that users have had with it under the same key counts. For API keys with
    /// the scope admin. Null with an error when the whole was refused.
    upsert_resource: by_operator(UpsertResourceInput, "The resource to add or to change.")
        -> UpsertResourcePayload;

    /// Adds a study plan or changes it. Instances that users have begun keep the list they began with. For API keys
    /// with the scope admin. Null with an error when the whole was refused.
    upsert_study_plan: by_operator(UpsertStudyPlanInput, "The study plan to add or to change.")
        -> UpsertStudyPlanPayload;
}

by_operator! {
    UpsertResourceInput => UpsertResource, String => UpsertResourcePayload {
        write: |input, operator| {
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
                retired: input.retired.map(Retire::now),
            };
            (write, key)
        },
        payload: |request, done| UpsertResourcePayload {
            resource: request.catalogue::<Learning>()?.resource(&done.kept).map(Arc::clone).map(Resource),
            edited: done.written.outcome.into(),
        },
    }
    UpsertStudyPlanInput => UpsertStudyPlan, String => UpsertStudyPlanPayload {
        lists: |input| [("resourceIds", input.resource_ids.as_ref().map_or(0, Vec::len), MOST_RESOURCES)],
        write: |input, operator| {
            let key = Kind::StudyPlan.key(&input.key)?.to_owned();
            let resources = input.resource_ids.as_deref().map(|ids| keys(Kind::Resource, ids)).transpose()?;
            let (title, description) = (input.title, input.description);
            let retired = input.retired.map(Retire::now);
            (UpsertStudyPlan { operator, key: key.clone(), title, description, resources, retired }, key)
        },
        payload: |request, done| UpsertStudyPlanPayload {
            study_plan: request.catalogue::<Learning>()?.plan(&done.kept).map(Arc::clone).map(StudyPlan),
            edited: done.written.outcome.into(),
        },
    }
}
