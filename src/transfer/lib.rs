//! Data in and out: files of records, one JSON object a line, and copies of a live database.
//!
//! A file holds what operators defined and what users did, and nothing that only this database knows: things are named
//! by their keys, users by their ULIDs. So a file fits into any Waymark database, and hand-made ones have the same
//! records with fewer members. Importing is merging: what is there already stays, and importing a file again changes
//! nothing. What can be computed (summaries, counts) is in no file and computed on import.

// Its macro declares the types of records.
#[macro_use]
pub mod records;

mod backup;
mod export;
mod faults;
mod import;
mod kinds;
mod lines;
mod ranges;
mod sql;

use serde_json::Value;

use waymark_kernel::clock::Timestamp;

pub use backup::{backup, restore};
pub use export::{Exported, Scope, export};
pub use import::{Complaint, Imported, Restoring, import, import_scoped};
pub use lines::Source;
pub use sql::STATEMENTS;

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

/// The numbers and dates of a record that is imported at `now`, by name, each with what lies just below its range, the
/// least and the most of it, and what lies just above, as they stand in a line. What stands in a list or an object has
/// the name of that before its own, and a point.
///
/// # Errors
/// Why the line is no record.
pub fn ranges(line: &str, now: Timestamp, has_history: bool) -> Result<Vec<(&'static str, [Value; 4])>, String> {
    let record: records::Record = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let edges = |member: ranges::Member| {
        let (least, most) = (*member.range.start(), *member.range.end());
        let written = |value: i64| match member.is_date {
            true => Timestamp::from_millis(value).to_string().into(),
            false => value.into(),
        };
        (member.name, [least - 1, least, most, most + 1].map(written))
    };
    Ok(ranges::members(&record, now, has_history).into_iter().map(edges).collect())
}

/// The members that a record of this type may have, in their order; behind a point, those of what stands inside:
/// `user.accounts`.
#[must_use]
pub fn members(place: &str) -> Vec<String> {
    let (kind, inside) = place.split_once('.').unwrap_or((place, ""));
    let unknown = serde_json::json!({ "": null });
    let probes = match inside {
        "" => vec![serde_json::json!({ "type": kind, "": null })],
        inside => [unknown.clone(), serde_json::json!([unknown])]
            .map(|value| serde_json::json!({ "type": kind, inside: value }))
            .to_vec(),
    };
    let texts = probes.into_iter().filter_map(|probe| serde_json::from_value::<records::Record>(probe).err());
    let said = texts.map(|error| error.to_string()).find(|text| text.starts_with("unknown field ``, "));
    said.iter().flat_map(|text| text.split('`').skip(3).step_by(2)).map(str::to_owned).collect()
}

/// The names of all types of records.
#[must_use]
pub fn record_types() -> Vec<&'static str> {
    records::TYPES.iter().map(|(name, _)| *name).collect()
}
