//! What mutations of the catalogue have in common; all of them are for operators.

pub(crate) mod delete;

use async_graphql::{ID, MaybeUndefined, SimpleObject};

use waymark_graphql_kit::list::List;
use waymark_kernel::error::Result;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::Refusal;
use waymark_write::Upserted;

/// What was given for something that may be without a value: `None` when nothing was, `Some(None)` for null.
pub(crate) fn given<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

/// The keys of things of one kind, each given as a global id or a key.
pub(crate) fn keys(kind: Kind, ids: &[ID]) -> Result<Vec<String>> {
    ids.iter().map(|id| kind.key(id).map(str::to_owned)).collect()
}

/// Whether something was added, and why it was not: part of the payloads of writes to the catalogue.
#[derive(Debug, SimpleObject)]
pub(crate) struct Edited {
    /// Whether it is new, or would be in a dry run.
    pub(crate) created: bool,
    /// What was refused; nothing was changed then.
    pub(crate) user_errors: List<Refusal>,
}

impl From<Upserted> for Edited {
    fn from(outcome: Upserted) -> Self {
        Self { created: outcome.created, user_errors: outcome.refusals.into() }
    }
}
