//! All kinds of progress: the lists that they join, and what is done to all of them.
//!
//! A kind of progress is a crate in `src/features`, with the same file names in each:
//!
//! - `entity`: the tables. `repo`: SQL, many keys in, rows out. `loader`: questions answered in batches.
//! - `catalogue`: what operators define, in memory. `rules`: pure functions. `service`: use cases.
//! - `write`: what changes users' progress. `told`: the same by dated facts that files tell. `operate` (for games
//!   `publish`): what operators write into the catalogue.
//! - `graphql`: objects, inputs and the feature's queries. `rest`: a dialect of REST. `check`: what has to hold of the
//!   tables.
//!
//! Inside a feature `graphql → service → {rules, repo}` and `loader → repo → entity`. Features reach each other only
//! through services. A new kind of progress is one folder, one migration, one test file, and one line in each list it
//! joins: those here, and those in `vocabulary/lists.rs`, `schema/kinds` and `transfer/kinds`.

pub mod delete;
pub mod erase;
pub mod merge;
pub mod record;

pub use waymark_collections as collections;
pub use waymark_credits as credits;
pub use waymark_games as games;
pub use waymark_history as history;
pub use waymark_learning as learning;
pub use waymark_seasons as seasons;
pub use waymark_users as users;

use std::pin::Pin;

use waymark_db::catalogue::{Reading, Snapshot};
use waymark_db::owner::Merger;
use waymark_kernel::error::Result;
use waymark_rest_kit::Part;
use waymark_verify::Check;
use waymark_write::{Deletion, Unit};

/// What the catalogue in memory consists of.
pub const CATALOGUE: &[Reading] = &[
    Reading::of::<seasons::Seasons>(),
    Reading::of::<learning::Learning>(),
    Reading::of::<games::Games>(),
    Reading::of::<collections::Collections>(),
];

/// Tells whether operators have defined nothing.
///
/// # Errors
/// When a part is missing.
pub fn is_undefined(catalogue: &Snapshot) -> Result<bool> {
    let learning = catalogue.part::<learning::Learning>()?;
    Ok(catalogue.part::<seasons::Seasons>()?.all().is_empty()
        && learning.resources().is_empty()
        && learning.plans().is_empty()
        && catalogue.part::<games::Games>()?.all().is_empty()
        && catalogue.part::<collections::Collections>()?.all().is_empty())
}

/// What operators may delete.
pub(crate) const DELETIONS: &[&[Deletion]] =
    &[seasons::DELETIONS, learning::DELETIONS, games::DELETIONS, collections::DELETIONS];

/// How a user's rows are handed over to another user.
pub(crate) type HandOver =
    for<'a, 'u> fn(&'a mut Unit<'u>, Merger) -> Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// How users' rows are handed over when one user is merged into another. Credits and seasons, whose rows name each
/// other, come before these.
pub(crate) const MERGES: &[HandOver] = &[
    |unit, merger| Box::pin(learning::owner::merge(unit, merger)),
    |unit, merger| Box::pin(games::owner::merge(unit, merger)),
    |unit, merger| Box::pin(collections::owner::merge(unit, merger)),
];

/// What `verify` goes through. What one of them mends may be the source of one behind it.
pub const CHECKS: &[&[Check]] = &[
    games::CHECKS,
    learning::CHECKS,
    collections::CHECKS,
    seasons::CHECKS,
    credits::CHECKS,
    history::CHECKS,
    users::CHECKS,
];

/// The dialects of REST.
pub fn rest() -> [Part; 4] {
    [seasons::rest::part(), learning::rest::part(), games::rest::part(), collections::rest::part()]
}
