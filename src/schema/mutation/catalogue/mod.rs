//! Mutations of the catalogue, a file per kind of thing; all for operators.

mod collections;
mod games;
mod learning;
mod seasons;

use async_graphql::{MaybeUndefined, MergedObject};

use waymark_kernel::error::{Error, Result};

/// Mutations of the catalogue.
#[derive(Debug, Default, MergedObject)]
pub(crate) struct CatalogueMutation(
    seasons::CatalogueSeasonMutation,
    learning::CatalogueLearningMutation,
    games::CatalogueGameMutation,
    collections::CatalogueCollectionMutation,
);

/// What was given for something that may be without a value: `None` when nothing was, `Some(None)` for null.
fn given<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// Refuses a list of more items than there may be.
fn check_count(what: &str, count: usize, most: usize) -> Result<()> {
    if count <= most {
        return Ok(());
    }
    Err(Error::limit(format!("{count} {what} were sent, and there may be {most}")))
}
