//! The API: the `User` object that joins all features, and the roots merged from the features' parts.

mod admin;
pub mod bounds;
// Its macros declare the mutations of the kinds.
#[macro_use]
mod mutation;
mod kinds;
mod query;
mod subscription;
mod together;
mod user;
mod viewer;

use async_graphql::{SDLExportOptions, SchemaBuilder, ValidationMode};

use kinds::Mutation;
pub use kinds::Query;
pub use mutation::READ_WITH_THE_ITEM;
use subscription::Subscription;

/// The schema as the server runs it.
pub type Schema = async_graphql::Schema<Query, Mutation, Subscription>;

fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    // A document is validated once, by the gate, before it comes here.
    Schema::build(Query::default(), Mutation::default(), Subscription).validation_mode(ValidationMode::Fast)
}

/// The schema to be run. How deep a document may be nested is the gate's business.
pub fn build() -> Schema {
    builder().limit_recursive_depth(usize::MAX).finish()
}

/// What the API is, as introspection tells it. It does not stand in the SDL: `graphql_client`, for one, reads no schema
/// that is described there.
pub const DESCRIPTION: &str = "Users' progress in seasons, credits, learning, games and collections: who may see it, \
how it is recorded, and what it comes to.";

/// The schema in the schema definition language, sorted, as it stands in `schema.graphql`.
#[must_use]
pub fn sdl() -> String {
    let options = SDLExportOptions::new()
        .sorted_fields()
        .sorted_arguments()
        .sorted_enum_items()
        .include_specified_by()
        .prefer_single_line_descriptions();
    let sdl = builder().finish().sdl_with_options(options);
    format!("{}\n", sdl.trim())
}
