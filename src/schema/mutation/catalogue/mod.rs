//! Mutations of the catalogue, a file per kind of thing; all for operators.

mod collections;
mod delete;
mod games;
mod learning;
mod seasons;

use async_graphql::{ID, MaybeUndefined, MergedObject, SimpleObject};

use waymark_graphql_kit::list::List;
use waymark_kernel::error::Result;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::Refusal;
use waymark_write::Upserted;

/// Mutations of the catalogue.
#[derive(Debug, Default, MergedObject)]
pub(crate) struct CatalogueMutation(
    seasons::CatalogueSeasonMutation,
    learning::CatalogueLearningMutation,
    games::CatalogueGameMutation,
    collections::CatalogueCollectionMutation,
    delete::CatalogueDeletionMutation,
);

/// What was given for something that may be without a value: `None` when nothing was, `Some(None)` for null.
fn given<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// The keys of things of one kind, each given as a global id or a key.
fn keys(kind: Kind, ids: &[ID]) -> Result<Vec<String>> {
    ids.iter().map(|id| kind.key(id).map(str::to_owned)).collect()
}

/// Whether something was added, and why it was not: part of the payloads of writes to the catalogue.
#[derive(Debug, SimpleObject)]
pub(crate) struct Edited {
    /// Whether it is new, or would be in a dry run.
    created: bool,
    /// What was refused; nothing was changed then.
    user_errors: List<Refusal>,
}

impl From<Upserted> for Edited {
    fn from(outcome: Upserted) -> Self {
        Self { created: outcome.created, user_errors: outcome.refusals.into() }
    }
}
