//! What operators write into the catalogue: checking it, and laying it over what is there.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use waymark_kernel::clock::Timestamp;
use waymark_kernel::limits;
use waymark_kernel::text;
use waymark_kernel::text::tidied;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{Refusal, UserErrorCode};

use super::{Origin, Taken, Unit};

/// How something of the catalogue comes to be written.
#[derive(Debug, Clone, Copy)]
pub struct Telling {
    /// Whose word it is. What an export brings along was taken once, and may be older than the rules of today.
    pub origin: Origin,
    /// When the thing came to be; `None`: now.
    pub created_at: Option<Timestamp>,
    /// When it changed last; `None`: now.
    pub updated_at: Option<Timestamp>,
}

impl Telling {
    /// An operator writes it now.
    pub const NOW: Self = Self { origin: Origin::Told, created_at: None, updated_at: None };

    /// Begins to check what is told of the thing with this key.
    pub fn check(&self, kind: Kind, key: &str) -> Checks {
        let mut checks = Checks { is_lenient: !self.is_told(), ..Checks::default() };
        if let Some(reason) = text::no_key(if self.is_told() { kind.name() } else { "" }, key) {
            checks.refuse("key", UserErrorCode::InvalidInput, reason);
        }
        checks
    }

    /// Returns a title or a name as it is stored.
    pub fn title(&self, title: &str) -> String {
        if self.is_told() { tidied(title) } else { title.to_owned() }
    }

    /// Tells whether histories and the audit log are to tell of it.
    pub fn is_told(&self) -> bool {
        self.origin == Origin::Told
    }
}

/// What is said of whether a thing of the catalogue is retired: hidden, and without new progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Retire {
    /// It is not.
    No,
    /// It is from now on, or stays so.
    Now,
    /// It has been since then.
    Since(Timestamp),
}

impl Retire {
    /// What an operator says.
    pub const fn now(retired: bool) -> Self {
        if retired { Self::Now } else { Self::No }
    }

    /// What a file says.
    pub fn since(retired_at: Option<Timestamp>) -> Self {
        retired_at.map_or(Self::No, Self::Since)
    }

    /// Returns when the thing was retired, as it is stored from `now` on.
    pub fn of(self, stored: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::No => None,
            Self::Now => stored.or(Some(now)),
            Self::Since(at) => Some(at),
        }
    }
}

/// The result of a write to the catalogue.
#[derive(Debug, Serialize, Deserialize)]
pub struct Upserted {
    /// Whether it was not there before.
    pub created: bool,
    /// Why the write was refused; empty when it was done.
    pub refusals: Vec<Refusal>,
}

impl Upserted {
    /// Makes the outcome of a write that was done; `created` says whether the thing is new.
    pub const fn done(created: bool) -> Self {
        Self { created, refusals: Vec::new() }
    }

    /// Makes the outcome of a write of which nothing was done, for these reasons.
    pub const fn refused(refusals: Vec<Refusal>) -> Self {
        Self { created: false, refusals }
    }
}

/// What came of deleting a thing of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It is gone, with all that belonged to it.
    Done,
    /// There is no such thing.
    Unknown,
    /// It stays: says who needs it.
    InUse(&'static str),
}

impl Deleted {
    /// Somebody has progress with the thing.
    pub const IN_PROGRESS: Self = Self::InUse("somebody has progress with it");
}

/// A thing of the catalogue that may be deleted, or why it may not.
pub type Deletable<M> = std::result::Result<M, Deleted>;

/// Collects all faults of an input, so that they are reported at once.
#[derive(Debug, Default)]
pub struct Checks {
    place: Vec<String>,
    refusals: Vec<Refusal>,
    /// Whether texts and numbers are taken as they are.
    is_lenient: bool,
}

impl Checks {
    /// What follows is about this item of a list of the input.
    pub fn enter(&mut self, list: &str, item: usize) {
        self.place = vec![list.to_owned(), item.to_string()];
    }

    /// What follows is about this member of the input.
    pub fn enter_member(&mut self, member: &str) {
        self.place = vec![member.to_owned()];
    }

    /// What follows is about the input itself.
    pub fn leave(&mut self) {
        self.place.clear();
    }

    /// Refuses `field` of the place entered, or the place itself where that is empty.
    pub fn refuse(&mut self, field: &str, code: UserErrorCode, message: impl Into<String>) {
        let field = Some(field).filter(|field| !field.is_empty());
        let path = self.place.iter().map(String::as_str).chain(field);
        self.refusals.push(Refusal::new(code, message).at(path));
    }

    /// Refuses a value of `field`.
    pub fn invalid(&mut self, field: &str, message: impl Into<String>) {
        self.refuse(field, UserErrorCode::InvalidInput, message);
    }

    /// What has to be given of something new.
    pub fn needed<T>(&mut self, field: &str, given: Option<&T>) {
        if given.is_none() {
            self.invalid(field, format!("{field} has to be given, because this is new"));
        }
    }

    /// A title or a name, which is stored [`tidied`].
    pub fn title(&mut self, field: &str, text: Option<&String>) {
        self.text(field, text, text::no_title);
    }

    /// A word of the operator's own.
    pub fn label(&mut self, field: &str, text: Option<&String>) {
        self.text(field, text, text::no_label);
    }

    /// Where something is.
    pub fn url(&mut self, field: &str, text: Option<&String>) {
        self.text(field, text, text::no_url);
    }

    /// A description: it may have lines, and be empty.
    pub fn description(&mut self, field: &str, text: Option<&String>) {
        self.text(field, text, text::no_description);
    }

    fn text(&mut self, field: &str, text: Option<&String>, wrong: fn(&str, &str) -> Option<String>) {
        if let Some(message) = text.filter(|_| !self.is_lenient).and_then(|text| wrong(field, text)) {
            self.invalid(field, message);
        }
    }

    /// A number within bounds.
    pub fn range(&mut self, field: &str, value: Option<i64>, range: RangeInclusive<i64>) {
        let Some(value) = value.filter(|value| !self.is_lenient && !range.contains(value)) else { return };
        let (least, most) = (range.start(), range.end());
        self.invalid(field, format!("{field} is a number from {least} to {most}, and not {value}"));
    }

    /// A date that something is planned for.
    pub fn planned(&mut self, field: &str, date: Option<Timestamp>) {
        let range = limits::planned();
        if let Some(date) = date.filter(|date| !self.is_lenient && !range.contains(date)) {
            let (start, end) = (range.start(), range.end());
            self.invalid(field, format!("{field} lies between {start} and {end}, and {date} does not"));
        }
    }

    /// That no two items of `list` have the same key.
    pub fn distinct<'a>(&mut self, list: &str, keys: impl Iterator<Item = &'a str>) {
        let mut seen = HashSet::new();
        for (item, key) in keys.enumerate() {
            if !seen.insert(key) {
                self.enter(list, item);
                self.invalid("", format!("{key:?} stands twice in {list}"));
            }
        }
        self.leave();
    }

    /// Tells whether anything was found to be wrong.
    pub const fn failed(&self) -> bool {
        !self.refusals.is_empty()
    }

    /// Tells whether texts and numbers are taken as they are, because an export has them.
    pub const fn is_lenient(&self) -> bool {
        self.is_lenient
    }

    /// Returns how many faults were found so far.
    pub const fn count(&self) -> usize {
        self.refusals.len()
    }

    /// Returns whether a record was news, or all that was found to be wrong with it.
    pub fn taken(self, is_news: bool) -> Taken {
        if self.refusals.is_empty() { Ok(is_news) } else { Err(told(&self.refusals)) }
    }

    /// Returns all that was found to be wrong, in the order in which it was found.
    pub fn into_refusals(self) -> Vec<Refusal> {
        self.refusals
    }
}

/// How many faults of one record are told.
const MOST_TOLD: usize = 10;

/// Returns what is wrong with a record in one line.
pub fn told(refusals: &[Refusal]) -> String {
    let reason = |Refusal { message, path, .. }: &Refusal| {
        // Messages say which field they are about.
        let is_item = path.last().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        let place = &path[..path.len() - usize::from(!is_item && !path.is_empty())];
        if place.is_empty() { message.clone() } else { format!("{}: {message}", place.join(".")) }
    };
    let all = refusals.iter().take(MOST_TOLD).map(reason);
    let rest = refusals.len().saturating_sub(MOST_TOLD);
    let rest = (rest > 0).then(|| format!("and {rest} more"));
    all.chain(rest).collect::<Vec<_>>().join("; ")
}

/// What an upsert changes, as the audit log tells it.
#[derive(Debug, Default)]
pub struct Patch(Map<String, Value>);

impl Patch {
    /// Puts what was given, if it was, into its place. Whether that is news.
    pub fn set<T: PartialEq + Clone + Serialize>(&mut self, name: &str, place: &mut T, given: Option<&T>) -> bool {
        let Some(given) = given.filter(|given| **given != *place) else { return false };
        place.clone_from(given);
        self.note(name, given);
        true
    }

    /// Retires a thing, or takes that back, if it was given.
    pub fn retire(&mut self, place: &mut Option<Timestamp>, given: Option<Retire>, now: Timestamp) {
        let after = given.map_or(*place, |given| given.of(*place, now));
        if after != *place {
            *place = after;
            self.note("retiredAt", after.map(|at| at.to_string()));
        }
    }

    /// Notes something else that changes.
    pub fn note(&mut self, name: &str, value: impl Serialize) {
        self.0.insert(name.to_owned(), serde_json::to_value(value).unwrap_or_default());
    }

    /// Notes which of the things that belong to it are new, changed or removed, if any are.
    pub fn note_parts(&mut self, name: &str, [added, changed, removed]: [Vec<&str>; 3]) {
        let parts = [("added", added), ("changed", changed), ("removed", removed)];
        let parts: Map<String, Value> = parts
            .into_iter()
            .filter(|(_, keys)| !keys.is_empty())
            .map(|(how, keys)| (how.to_owned(), keys.into()))
            .collect();
        if !parts.is_empty() {
            self.0.insert(name.to_owned(), Value::Object(parts));
        }
    }

    /// Tells whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The changes, for the audit log.
    pub fn into_changes(self, created: bool) -> Value {
        let mut changes = self.0;
        if created {
            changes.insert("created".to_owned(), true.into());
        }
        Value::Object(changes)
    }
}

/// What the audit log is to tell of things that were written, by their keys.
#[derive(Debug, Default)]
pub struct Notes(BTreeMap<String, Note>);

/// What changed of a thing.
#[derive(Debug, Default)]
struct Note {
    created: bool,
    patch: Patch,
    parts: [Vec<String>; 3],
}

impl Notes {
    /// Notes that a thing is new, or what changes about it.
    pub fn note(&mut self, key: &str, created: bool, patch: Patch) {
        let note = self.0.entry(key.to_owned()).or_default();
        note.created |= created;
        note.patch.0.extend(patch.0);
    }

    /// Notes that something that belongs to a thing is new or changes.
    pub fn note_part(&mut self, key: &str, part: &str, is_new: bool) {
        let [added, changed, _] = &mut self.0.entry(key.to_owned()).or_default().parts;
        if is_new { added } else { changed }.push(part.to_owned());
    }

    /// Notes that things that belong to a thing go.
    pub fn note_removed(&mut self, key: &str, parts: &[String]) {
        if !parts.is_empty() {
            self.0.entry(key.to_owned()).or_default().parts[2].extend_from_slice(parts);
        }
    }

    /// Tells whether nothing was noted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells the audit log; `parts` is how it calls what belongs to the things.
    pub fn audit(self, unit: &mut Unit<'_>, action: &'static str, kind: Kind, parts: &str) {
        for (key, Note { created, mut patch, parts: lists }) in self.0 {
            let mut seen = HashSet::new();
            let lists = lists
                .each_ref()
                .map(|keys| keys.iter().map(String::as_str).filter(|key| seen.insert(*key)).collect::<Vec<_>>());
            patch.note_parts(parts, lists);
            unit.audit(action, (kind.name(), &key), &patch.into_changes(created));
        }
    }
}

/// The positions of `count` things in the order in which they are listed: first those that some of them had before,
/// then new ones behind `last`. So what is not listed stays where it is.
pub fn arranged(mut taken: Vec<i32>, last: i32, count: usize) -> impl Iterator<Item = i32> {
    taken.sort_unstable();
    taken.into_iter().chain(last.saturating_add(1)..).take(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_takes_its_own_places_in_the_new_order_and_what_is_new_comes_last() {
        assert_eq!(arranged(vec![3, 1], 3, 3).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(arranged(vec![], 0, 2).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn all_that_is_wrong_is_told_with_its_place() {
        let mut checks = Checks::default();
        checks.title("title", Some(&"x".repeat(501)));
        checks.enter("goals", 2);
        checks.range("totalSteps", Some(0), 1..=10);
        checks.leave();
        checks.url("image", Some(&"a b".to_owned()));
        checks.title("title", Some(&" ".to_owned()));
        checks.description("description", Some(&"one\ntwo\0".to_owned()));
        let places: Vec<_> = checks.into_refusals().into_iter().map(|refusal| refusal.path.join(".")).collect();
        assert_eq!(places, ["title", "goals.2.totalSteps", "image", "title", "description"]);
    }

    #[test]
    fn only_what_differs_is_a_change() {
        let mut patch = Patch::default();
        let (mut title, mut image) = ("old".to_owned(), Some("a".to_owned()));
        assert!(!patch.set("title", &mut title, None) && !patch.set("title", &mut title, Some(&"old".to_owned())));
        assert!(patch.is_empty());
        assert!(patch.set("image", &mut image, Some(&None)) && image.is_none());
        assert_eq!(patch.into_changes(true), serde_json::json!({ "created": true, "image": null }));
    }
}
