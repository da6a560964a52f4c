//! Deleting what nobody has progress with.

use async_graphql::{ID, SimpleObject};

use waymark_graphql_kit::list::List;
use waymark_kinds::delete::DeleteCatalogueItem;
use waymark_vocabulary::ids;
use waymark_vocabulary::refusal::Refusal;

input! {
    /// Input of `deleteCatalogueItem`.
    DeleteCatalogueItemInput;

    /// The global id of a season, a goal, a resource, a study plan, a game, an achievement, a collection or a card,
    /// such as `game:14402`.
    id: ID,
    /// Whether the deletion is only tried: nothing changes, and the answer says whether it would.
    #[graphql(default)]
    dry_run: bool,
}

/// Payload of `deleteCatalogueItem`.
#[derive(Debug, SimpleObject)]
pub(crate) struct DeleteCatalogueItemPayload {
    /// The global id of what was deleted, or would be in a dry run. Null when it was refused.
    deleted_id: Option<ID>,
    /// What was refused; nothing was changed then.
    user_errors: List<Refusal>,
}

mutations! {
    /// The mutation that deletes things of the catalogue.
    CatalogueDeletionMutation;

    /// Deletes something from the catalogue, with all that belongs to it: a season with its goals, a game with its
    /// achievements, a collection with its cards and its reward. Refused with IN_USE as long as a user has progress
    /// with it; it can be retired then. For API keys with the scope admin. Null with an error when the whole was
    /// refused.
    delete_catalogue_item: by_operator(DeleteCatalogueItemInput, "What is deleted.") -> DeleteCatalogueItemPayload;
}

by_operator! {
    DeleteCatalogueItemInput => DeleteCatalogueItem, ID => DeleteCatalogueItemPayload {
        write: |input, operator| {
            let (kind, key) = ids::parse(&input.id)?;
            let (id, key) = (input.id.to_string(), key.to_owned());
            (DeleteCatalogueItem { operator, id, dry_run: input.dry_run, kind, key }, input.id)
        },
        payload: |_request, done| {
            let refusal = done.written.outcome.refusal;
            DeleteCatalogueItemPayload {
                deleted_id: refusal.is_none().then_some(done.kept),
                user_errors: refusal.into_iter().collect::<Vec<_>>().into(),
            }
        },
    }
}
