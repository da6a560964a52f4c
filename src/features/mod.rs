//! One folder per kind of progress, with the same file names in each.
//!
//! - `entity`: the tables. `repo`: SQL, many keys in, rows out. `loader`: questions answered in batches.
//! - `catalogue`: what operators define, in memory. `rules`: pure functions. `service`: use cases.
//! - `graphql`: objects, inputs and the feature's queries. `rest`: a dialect of REST.
//!
//! Inside a feature `graphql → service → {rules, repo}` and `loader → repo → entity`. Features reach each other only
//! through services. A new kind of progress is one folder, one migration, one test file, and one line in each list it
//! joins: this one, `CATALOGUE`, and those in `schema`.

pub mod collections;
pub mod credits;
pub mod games;
pub mod history;
pub mod learning;
pub mod seasons;
pub mod users;

use crate::db::catalogue::Reading;
use crate::rest::Part;

/// What the catalogue in memory consists of.
pub(crate) const CATALOGUE: &[Reading] = &[
    Reading::of::<seasons::Seasons>(),
    Reading::of::<learning::Learning>(),
    Reading::of::<games::Games>(),
    Reading::of::<collections::Collections>(),
];

/// The dialects of REST.
pub(crate) fn rest() -> [Part; 4] {
    [seasons::rest::part(), learning::rest::part(), games::rest::part(), collections::rest::part()]
}
