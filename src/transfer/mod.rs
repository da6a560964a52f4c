//! Data in and out: files of records, one JSON object a line, and copies of a live database.
//!
//! A file holds what operators defined and what users did, and nothing that only this database knows: things are named
//! by their keys, users by their ULIDs. So a file fits into any Waymark database, and hand-made ones have the same
//! records with fewer members. Importing is merging: what is there already stays, and importing a file again changes
//! nothing. What can be computed (summaries, counts) is in no file and computed on import.

mod backup;
mod export;
mod import;
mod lines;
mod records;
mod sql;

pub use backup::backup;
pub use export::{Exported, Scope, export};
pub use import::{Complaint, Imported, import};
pub use lines::Source;

/// Checks that every line of `text` is a record as this program writes it: a line that is read and written again is the
/// same but for members that have their default value.
///
/// # Errors
/// The first line that is none, with the reason.
pub fn check(text: &str) -> Result<(), String> {
    text.lines().filter(|line| !line.trim().is_empty()).try_for_each(|line| {
        serde_json::from_str::<records::Record>(line).map(drop).map_err(|error| format!("{line}\n{error}"))
    })
}

/// The names of all types of records.
#[must_use]
pub fn record_types() -> Vec<&'static str> {
    records::TYPES.iter().map(|(name, _)| *name).collect()
}
