//! What is wrong with a line, in words that say where and what to write.

use serde::Deserialize as _;
use serde_json::error::Category;
use serde_json::{Error, Value};

use super::records::Record;

/// The longest line in which the member is looked for that is to blame, in bytes.
const LONGEST: usize = 4 * 1024;
/// How many members of a line are looked at: for each, the line is read once more without it.
const MOST_TRIES: u32 = 200;
/// What stands in messages of the reader, and what people call it.
const WORDS: [(&str, &str); 8] = [
    ("i64", "a whole number"),
    ("i32", "a whole number"),
    ("i16", "a whole number"),
    ("u32", "a whole number"),
    ("a string", "a text"),
    ("a boolean", "true or false"),
    ("a sequence", "a list"),
    ("a map", "an object"),
];

/// What is wrong with a line that is no JSON, or no object with a type.
pub(super) fn of_json(error: &Error) -> String {
    match (error.classify(), said(error)) {
        (Category::Syntax | Category::Eof, _) => format!("no JSON: {error}"),
        (_, said) if said.starts_with("missing field") => in_words(&said),
        _ => "a record is an object whose `type` is a text".to_owned(),
    }
}

/// What is wrong with a line that is no record, and which member of it.
pub(super) fn of_record(line: &[u8], error: &Error) -> String {
    if error.classify() != Category::Data {
        return of_json(error);
    }
    // Of several faults, the first one of the members in their order in a `Value`: so it is read with and without some.
    let whole = if line.len() <= LONGEST { serde_json::from_slice::<Value>(line).ok() } else { None };
    let first = whole.as_ref().and_then(|whole| Record::deserialize(whole).err());
    let said = said(first.as_ref().unwrap_or(error));
    let place = whole.and_then(|whole| {
        if said.starts_with("unknown field") || said.starts_with("missing field") {
            inside(&whole, &said)
        } else {
            blamed(&whole, &said)
        }
    });
    place.map(|place| format!("`{place}`: ")).unwrap_or_default() + &in_words(&said)
}

/// What the reader says, without the place in the line.
fn said(error: &Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(reason, _)| reason.to_owned())
}

/// The same for people, with the name that was probably meant.
fn in_words(said: &str) -> String {
    let names: Vec<&str> = said.split('`').skip(1).step_by(2).collect();
    match names.as_slice() {
        [name, known @ ..] if said.starts_with("unknown field") => {
            let nearest = nearest(name, known.iter().copied());
            let all = if nearest.is_none() { format!("; there are {}", known.join(", ")) } else { String::new() };
            format!("there is no member `{name}`{}{all}", or_rather(nearest))
        }
        [name, known @ ..] if said.starts_with("unknown variant") => {
            let nearest = nearest(name, known.iter().copied());
            let all = if nearest.is_none() { format!("; there are {}", known.join(", ")) } else { String::new() };
            format!("there is no {name:?}{}{all}", or_rather(nearest))
        }
        [name] if said.starts_with("missing field") => format!("the member `{name}` is missing"),
        _ => match said.split_once(", expected ") {
            Some((found, expected)) => {
                let words = WORDS.iter().find(|(theirs, _)| *theirs == expected).map_or(expected, |(_, ours)| *ours);
                format!("{found}, expected {words}")
            }
            None => said.to_owned(),
        },
    }
}

/// The one of `known` that `name` was probably meant to be: whatever the case, with or without underscores.
pub(super) fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.replace(['_', '-', ' '], "").to_lowercase();
    let name = plain(name);
    let near = known.into_iter().map(|known| (strsim::damerau_levenshtein(&name, &plain(known)), known));
    let (distance, known) = near.min_by_key(|(distance, _)| *distance)?;
    (distance <= name.chars().count() / 3).then_some(known)
}

/// The end of a sentence that suggests a name.
pub(super) fn or_rather(nearest: Option<&str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// The place of the member without which a line is not wrong in the same way.
fn blamed(whole: &Value, said: &str) -> Option<String> {
    let (mut place, mut left) = (String::new(), MOST_TRIES);
    // What lacks a member is no text or number.
    let can_be = |step: &String| !said.starts_with("missing field") || is_container(whole, step);
    loop {
        let mut tried = steps(whole, &place).into_iter().filter(can_be);
        let step = tried.find(|step| {
            left = left.saturating_sub(1);
            left > 0 && is_to_blame(whole, step, said)
        });
        match step {
            Some(step) => place = step,
            None => break,
        }
    }
    Some(place.strip_prefix('/')?.replace('/', "."))
}

/// Where in a line a name is unknown or missing, when that is not the record itself.
fn inside(whole: &Value, said: &str) -> Option<String> {
    let place = blamed(whole, said)?;
    let (outer, name) = place.rsplit_once('.').unwrap_or(("", &place));
    let outer = if said.starts_with("unknown field") { outer } else { &place };
    (!outer.is_empty() && !name.is_empty()).then(|| outer.to_owned())
}

fn is_container(whole: &Value, place: &str) -> bool {
    whole.pointer(place).is_some_and(|value| value.is_object() || value.is_array())
}

/// The places of what stands inside of `place`.
fn steps(whole: &Value, place: &str) -> Vec<String> {
    match whole.pointer(place) {
        Some(Value::Object(members)) => members
            .keys()
            .filter(|name| !name.contains(['/', '~']) && (!place.is_empty() || *name != "type"))
            .map(|name| format!("{place}/{name}"))
            .collect(),
        Some(Value::Array(items)) => (0..items.len()).map(|number| format!("{place}/{number}")).collect(),
        _ => Vec::new(),
    }
}

fn is_to_blame(whole: &Value, step: &str, before: &str) -> bool {
    let mut without = whole.clone();
    let Some((place, name)) = step.rsplit_once('/') else { return false };
    match without.pointer_mut(place) {
        Some(Value::Object(members)) => drop(members.remove(name)),
        Some(Value::Array(items)) => drop(name.parse::<usize>().map(|number| items.remove(number))),
        _ => return false,
    }
    Record::deserialize(without).map_or_else(|error| said(&error) != before, |_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_fault(line: &str, fault: &str) {
        let error = serde_json::from_str::<Record>(line).unwrap_err();
        assert_eq!(of_record(line.as_bytes(), &error), fault, "{line}");
    }

    #[test]
    fn a_fault_names_the_member_and_what_to_write() {
        assert_fault(
            r#"{"type":"unlock","user":"a","achievement":"1","unlocked_at":"2026-03-15T14:30:00Z"}"#,
            "there is no member `unlocked_at`; there are user, game, achievement, at, hardcore, hardcoreAt",
        );
        assert_fault(
            r#"{"type":"unlock","user":"a","achievement":"1","hardcore_at":"2026-03-15T14:30:00Z"}"#,
            "there is no member `hardcore_at`; did you mean `hardcoreAt`?",
        );
        assert_fault(r#"{"type":"unlock","user":"a"}"#, "the member `achievement` is missing");
        // Of several faults one is named, and it is the one that is told.
        assert_fault(
            r#"{"type":"goalProgress","user":5,"goal":"g","completedSteps":"3"}"#,
            "`completedSteps`: invalid type: string \"3\", expected a whole number",
        );
        assert_fault(
            r#"{"type":"user","handle":"a","accounts":[{"provider":"p","id":"1"},{"zz":1,"bb":2}]}"#,
            "`accounts.1`: there is no member `bb`; there are provider, id, linkedAt",
        );
        assert_fault(
            r#"{"type":"goalProgress","user":"a","goal":"g","completedSteps":"3"}"#,
            "`completedSteps`: invalid type: string \"3\", expected a whole number",
        );
        assert_fault(
            r#"{"type":"achievement","key":"a","game":"g","title":"A","points":1,"kind":"PROGRESION"}"#,
            "`kind`: there is no \"PROGRESION\"; did you mean `PROGRESSION`?",
        );
        assert_fault(
            r#"{"type":"user","handle":"a","accounts":[{"provider":"x","id":"1"},{"provider":"y","externalId":"2"}]}"#,
            "`accounts.1`: there is no member `externalId`; there are provider, id, linkedAt",
        );
        assert_fault(
            r#"{"type":"season","key":"s","title":"S","startsAt":"2026-06-01T00:00:00Z","durationSeconds":1,"pauses":[{"from":17}]}"#,
            "`pauses.0.from`: \"17\" is not written as RFC 3339; if it is meant so, write \"1970-01-01T00:00:17.000Z\"",
        );
    }

    #[test]
    fn dates_in_other_forms_are_told_as_they_have_to_be_written() {
        for (written, meant) in [
            ("\"2026-03-15\"", "2026-03-15T00:00:00.000Z"),
            ("\"2026-03-15 14:30:00\"", "2026-03-15T14:30:00.000Z"),
            ("\"2026-03-15T14:30:00\"", "2026-03-15T14:30:00.000Z"),
            ("\"2026-03-15 14:30:00.5+02\"", "2026-03-15T12:30:00.500Z"),
            ("\"2026-03-15 14:30:00 +0000\"", "2026-03-15T14:30:00.000Z"),
            ("\"Sun, 15 Mar 2026 14:30:00 +0000\"", "2026-03-15T14:30:00.000Z"),
            ("1773585000", "2026-03-15T14:30:00.000Z"),
            ("1773585000123", "2026-03-15T14:30:00.123Z"),
            ("1773585000.5", "2026-03-15T14:30:00.000Z"),
            ("\"1773585000\"", "2026-03-15T14:30:00.000Z"),
        ] {
            let line = format!(r#"{{"type":"enrolment","user":"a","season":"s","at":{written}}}"#);
            let error = serde_json::from_str::<Record>(&line).unwrap_err();
            let fault = of_record(line.as_bytes(), &error);
            assert!(fault.starts_with("`at`: ") && fault.ends_with(&format!("write \"{meant}\"")), "{fault}");
        }
    }
}
