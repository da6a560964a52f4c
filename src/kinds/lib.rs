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
//! joins: `CATALOGUE`, `CHECKS` and `rest` here, and those in `vocabulary` and `schema`.

pub mod delete;
pub mod erase;
pub mod merge;
pub mod record;

use waymark_db::catalogue::Reading;
use waymark_rest_kit::Part;
use waymark_verify::Check;

/// What the catalogue in memory consists of.
pub const CATALOGUE: &[Reading] = &[
    Reading::of::<waymark_seasons::Seasons>(),
    Reading::of::<waymark_learning::Learning>(),
    Reading::of::<waymark_games::Games>(),
    Reading::of::<waymark_collections::Collections>(),
];

/// What `verify` goes through. What one of them mends may be the source of one behind it.
pub const CHECKS: &[&[Check]] = &[
    waymark_games::CHECKS,
    waymark_learning::CHECKS,
    waymark_collections::CHECKS,
    waymark_seasons::CHECKS,
    waymark_credits::CHECKS,
    waymark_history::CHECKS,
    waymark_users::CHECKS,
];

/// The dialects of REST.
pub fn rest() -> [Part; 4] {
    [
        waymark_seasons::rest::part(),
        waymark_learning::rest::part(),
        waymark_games::rest::part(),
        waymark_collections::rest::part(),
    ]
}
