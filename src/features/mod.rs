//! One folder per kind of progress, with the same file names in each.
//!
//! - `entity`: the tables. `repo`: SQL, many keys in, rows out. `loader`: questions answered in batches.
//! - `catalogue`: what operators define, in memory. `rules`: pure functions. `service`: use cases.
//! - `write`: what changes users' progress. `told`: the same by facts that files tell, with their dates. `operate` (for games
//!   `publish`): what operators write into the catalogue.
//! - `graphql`: objects, inputs and the feature's queries. `rest`: a dialect of REST. `check`: what has to hold of the tables.
//!
//! Inside a feature `graphql → service → {rules, repo}` and `loader → repo → entity`. Features reach each other only
//! through services. A new kind of progress is one folder, one migration, one test file, and one line in each list it
//! joins: this one, `CATALOGUE`, `CHECKS`, and those in `schema`.

pub mod collections;
pub mod credits;
pub mod games;
pub mod history;
pub mod learning;
pub(crate) mod record;
pub mod seasons;
pub mod users;

use crate::db::catalogue::Reading;
use crate::rest::Part;
use crate::verify::Check;

/// What the catalogue in memory consists of.
pub(crate) const CATALOGUE: &[Reading] = &[
    Reading::of::<seasons::Seasons>(),
    Reading::of::<learning::Learning>(),
    Reading::of::<games::Games>(),
    Reading::of::<collections::Collections>(),
];

/// What `verify` goes through. What one of them mends may be the source of one behind it.
pub(crate) const CHECKS: &[&[Check]] =
    &[games::CHECKS, learning::CHECKS, collections::CHECKS, seasons::CHECKS, credits::CHECKS, history::CHECKS];

/// The dialects of REST.
pub(crate) fn rest() -> [Part; 4] {
    [seasons::rest::part(), learning::rest::part(), games::rest::part(), collections::rest::part()]
}
