//! The records of a file: the closed set of lines that are written and read. `docs/import.md` describes each.
//!
//! Things are named by the operators' keys, users by their ULID (when read also by handle or account), amounts are
//! micros, instants RFC 3339. What is absent is null, empty or the default.

#![expect(missing_docs, reason = "docs/import.md describes every member, and a test compares the two")]

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use waymark_credits::entity::{BlockScope, EntryKind, LotSource};
pub use waymark_games::entity::{AchievementKind, Award};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::text::resource_key;
pub use waymark_seasons::entity::PauseMode;
pub use waymark_users::entity::Visibility;
use waymark_users::rules;

/// The version of the format that this program writes, and reads with all before it.
///
/// 1: a user's visibility is PUBLIC, or PRIVATE for what has been called MEMBERS since; more could stand in names and
/// addresses of pictures. 2: as it is described.
pub(super) const VERSION: u32 = 2;

/// An instant as it stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct At(pub Timestamp);

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for At {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = At;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an RFC 3339 date and time such as \"2026-03-15T14:30:00Z\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<At, E> {
                Timestamp::parse(text).map(At).map_err(|error| match Timestamp::guess(text) {
                    Some(at) => {
                        E::custom(format!("{text:?} is not written as RFC 3339; if it is meant so, write \"{at}\""))
                    }
                    None => E::custom(format!("{text:?} is no date: {error}")),
                })
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<At, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<At, E> {
                self.visit_str(&number.to_string())
            }

            fn visit_f64<E: de::Error>(self, number: f64) -> Result<At, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(Text)
    }
}

/// One line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Record {
    Waymark(Header),
    Season(Season),
    Goal(Goal),
    Resource(Resource),
    StudyPlan(StudyPlan),
    Game(Game),
    Achievement(Achievement),
    Collection(Collection),
    Card(Card),
    User(User),
    Event(Event),
    Enrolment(Enrolment),
    GoalProgress(GoalProgress),
    GoalClaim(GoalClaim),
    CreditLot(CreditLot),
    CreditEntry(CreditEntry),
    Block(Block),
    ResourceProgress(ResourceProgress),
    StudyPlanInstance(StudyPlanInstance),
    Awards(Awards),
    Unlock(Unlock),
    CollectionProgress(CollectionProgress),
    OwnedCard(OwnedCard),
    WriteRef(WriteRef),
    Merge(Merge),
    Audit(Audit),
    ApiKey(ApiKey),
}

/// The names of all types, each with the pass of an import in which its records are read: what others refer to comes
/// first, so that files may be given in any order.
pub(super) const TYPES: [(&str, usize); 27] = [
    ("waymark", 0),
    ("season", 0),
    ("resource", 0),
    ("game", 0),
    ("collection", 0),
    ("user", 0),
    ("goal", 1),
    ("studyPlan", 1),
    ("achievement", 1),
    ("card", 1),
    ("event", 2),
    ("enrolment", 2),
    ("goalProgress", 2),
    ("goalClaim", 2),
    ("creditLot", 2),
    ("creditEntry", 2),
    ("block", 2),
    ("resourceProgress", 2),
    ("studyPlanInstance", 2),
    ("awards", 2),
    ("unlock", 2),
    ("collectionProgress", 2),
    ("ownedCard", 2),
    ("writeRef", 2),
    ("audit", 2),
    ("apiKey", 2),
    ("merge", 3),
];

/// How many passes there are.
pub(super) const PASSES: usize = 4;

/// The first line of a file that was exported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    pub version: u32,
    /// Whether the file brings along what the histories say of its records.
    #[serde(default)]
    pub history: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Season {
    pub key: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub starts_at: At,
    pub duration_seconds: i64,
    #[serde(default = "week")]
    pub week_length_seconds: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<At>,
    #[serde(default = "freeze")]
    pub pause_mode: PauseMode,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weeks: Vec<WeekTitle>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pauses: Vec<Pause>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub budgets: Vec<Budget>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

const fn week() -> i64 {
    604_800
}

const fn freeze() -> PauseMode {
    PauseMode::Freeze
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WeekTitle {
    pub number: i32,
    pub title: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Pause {
    pub from: At,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Budget {
    /// Absent: the whole season.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub week: Option<i32>,
    pub cap_micros: i64,
    #[serde(default)]
    pub spent_micros: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Goal {
    pub key: String,
    pub season: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub week: Option<i32>,
    #[serde(default)]
    pub position: i32,
    pub title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail: Option<String>,
    pub reward_micros: i64,
    pub total_steps: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resource {
    pub key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    pub title: String,
    #[serde(default = "course")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub section: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub estimated_minutes: Option<i32>,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub catalogued: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

fn course() -> String {
    "course".to_owned()
}

const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_true(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_false(value: &bool) -> bool {
    !*value
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StudyPlan {
    pub key: String,
    pub title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Keys, in the plan's order.
    pub resources: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Game {
    pub key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Achievement {
    pub key: String,
    pub game: String,
    #[serde(default)]
    pub position: i32,
    pub title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub badge: Option<String>,
    pub points: i32,
    #[serde(default = "standard")]
    pub kind: AchievementKind,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub published: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

const fn standard() -> AchievementKind {
    AchievementKind::Standard
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Collection {
    pub key: String,
    pub name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(default = "production")]
    pub environment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<At>,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub show_before: bool,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub show_after: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward: Option<Reward>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

fn production() -> String {
    "production".to_owned()
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Reward {
    pub key: String,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub value: String,
    #[serde(default = "image")]
    pub view_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock: Option<i64>,
    #[serde(default)]
    pub claimed: i64,
}

fn image() -> String {
    "image".to_owned()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Card {
    pub key: String,
    pub collection: String,
    #[serde(default)]
    pub position: i32,
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(default = "common")]
    pub rarity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<At>,
}

fn common() -> String {
    "common".to_owned()
}

/// Somebody; what is absent stays as it is where the user is there already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct User {
    /// The ULID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// Whether the user came to be by a wallet, and neither an app nor an operator has written for the user since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub self_made: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<Account>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    /// When the profile or the accounts changed last, as the history says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Account {
    pub provider: String,
    pub id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linked_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Event {
    pub user: String,
    pub number: i64,
    pub kind: String,
    pub actor: String,
    pub subject: Subject,
    pub changes: Value,
    pub occurred_at: At,
    pub recorded_at: At,
}

/// What something was done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Subject {
    #[serde(rename = "type")]
    pub kind: String,
    pub key: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Enrolment {
    pub user: String,
    pub season: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GoalProgress {
    pub user: String,
    pub goal: String,
    pub completed_steps: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GoalClaim {
    pub user: String,
    pub goal: String,
    /// The number of the lot it opened; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<i64>,
    /// Absent: what the goal is worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward_micros: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreditLot {
    pub user: String,
    /// Absent: the next one, once per `ref`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    pub amount_micros: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remaining_micros: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<At>,
    #[serde(default = "brought_along")]
    pub source: LotSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

const fn brought_along() -> LotSource {
    LotSource::Import
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CreditEntry {
    pub user: String,
    pub number: i64,
    pub lot: i64,
    pub kind: EntryKind,
    pub amount_micros: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub operation: String,
    pub at: At,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Block {
    pub user: String,
    /// Absent: the block that begins at this instant with this scope, or the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    pub scope: BlockScope,
    pub reason: String,
    pub from: At,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lifted_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ResourceProgress {
    pub user: String,
    pub resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub completed: bool,
    #[serde(default)]
    pub progress: i16,
    #[serde(default)]
    pub time_spent_minutes: i32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_accessed_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StudyPlanInstance {
    pub user: String,
    /// Absent: the user's instance of the plan, or the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    pub plan: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// In their order; absent: what the plan consists of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Vec<InstanceResource>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InstanceResource {
    pub resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub marked_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Awards {
    pub user: String,
    pub game: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beaten_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beaten_hardcore_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mastered_at: Option<At>,
    /// What the awards rest on whose dates follow from unlocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rests_on: Vec<Ground>,
}

/// The achievements that some awards required when they were earned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ground {
    pub awards: Vec<Award>,
    /// Keys.
    pub achievements: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unlock {
    pub user: String,
    /// Within which the key of the achievement is unique, where keys are scoped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub game: Option<String>,
    pub achievement: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// Whether `at` was in hardcore mode.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hardcore: bool,
    /// When it was unlocked in hardcore mode, where that was at another instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardcore_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CollectionProgress {
    pub user: String,
    pub collection: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<At>,
    /// Whether that date was told, and does not follow from the cards. Only in exports; elsewhere it always was.
    #[serde(default, skip_serializing_if = "is_false")]
    pub completed_told: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward_claimed_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct OwnedCard {
    pub user: String,
    /// Within which the key of the card is unique, where keys are scoped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<String>,
    pub card: String,
    #[serde(default = "one")]
    pub quantity: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_acquired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

const fn one() -> i32 {
    1
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WriteRef {
    pub user: String,
    pub kind: String,
    #[serde(rename = "ref")]
    pub reference: String,
    pub outcome: Value,
    pub created_at: At,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Merge {
    pub user: String,
    pub into: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Audit {
    pub actor: String,
    pub action: String,
    pub subject: Subject,
    pub changes: Value,
    pub recorded_at: At,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ApiKey {
    pub name: String,
    pub prefix: String,
    /// SHA-256 of the key in hexadecimal digits.
    pub hash: String,
    pub scopes: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    pub created_at: At,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<At>,
}

impl Record {
    /// The same, from a file of this version of the format, with the names of resources as they are stored.
    pub(super) fn of_version(mut self, version: u32) -> Self {
        let lower = |key: &mut String| *key = resource_key(key).into_owned();
        match &mut self {
            Self::Resource(record) => lower(&mut record.key),
            Self::StudyPlan(record) => record.resources.iter_mut().for_each(lower),
            Self::ResourceProgress(record) => lower(&mut record.resource),
            Self::StudyPlanInstance(record) => {
                record.resources.iter_mut().flatten().for_each(|one| lower(&mut one.resource));
            }
            _ => {}
        }
        if let Self::User(user) = &mut self
            && version < 2
        {
            if user.visibility == Some(Visibility::Private) {
                user.visibility = Some(Visibility::Members);
            }
            // What is malformed in another way is left to be refused.
            let mended = user.display_name.as_deref().and_then(rules::mended_name);
            user.display_name = mended.or(user.display_name.take());
            let mended = user.avatar_url.as_deref().and_then(rules::mended_url);
            user.avatar_url = mended.or(user.avatar_url.take());
        }
        self
    }

    /// The same with keys of achievements and cards that are unique everywhere, if `scope`: `game/key` and
    /// `collection/key`, which is what a key that begins so is already.
    ///
    /// # Errors
    /// When the record does not say within what its key is unique, or says so where keys are taken as they are.
    pub(super) fn scoped(mut self, scope: bool) -> Result<Self, String> {
        let within = |outer: &str, key: &mut String| {
            if !key.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/')) {
                *key = format!("{outer}/{key}");
            }
        };
        let told = |outer: &Option<String>, key: &mut String, name: &str| match outer {
            Some(outer) if scope => {
                within(outer, key);
                Ok(())
            }
            Some(_) => Err(format!("`{name}` is for `waymark import --scope-keys` only; the key is taken as it is")),
            None if scope && !key.contains('/') => Err(format!("with --scope-keys this needs `{name}` beside the key")),
            None => Ok(()),
        };
        match &mut self {
            Self::Unlock(record) => told(&record.game, &mut record.achievement, "game")?,
            Self::OwnedCard(record) => told(&record.collection, &mut record.card, "collection")?,
            Self::Achievement(record) if scope => within(&record.game, &mut record.key),
            Self::Card(record) if scope => within(&record.collection, &mut record.key),
            Self::Awards(record) if scope => {
                let keys = record.rests_on.iter_mut().flat_map(|ground| &mut ground.achievements);
                keys.for_each(|key| within(&record.game, key));
            }
            _ => {}
        }
        Ok(self)
    }

    /// The pass of an import in which records of this type are read.
    pub(super) fn pass(kind: &str) -> Option<usize> {
        TYPES.iter().find(|(name, _)| *name == kind).map(|(_, pass)| *pass)
    }

    /// Whether this is something that has happened to a user, and comes to the same before and after others of its
    /// kind.
    pub(super) const fn is_fact(&self) -> bool {
        matches!(
            self,
            Self::Enrolment(_)
                | Self::GoalProgress(_)
                | Self::ResourceProgress(_)
                | Self::Awards(_)
                | Self::Unlock(_)
                | Self::OwnedCard(_)
        )
    }

    /// Whether it says something about the catalogue.
    pub(super) const fn is_of_catalogue(&self) -> bool {
        matches!(
            self,
            Self::Season(_)
                | Self::Goal(_)
                | Self::Resource(_)
                | Self::StudyPlan(_)
                | Self::Game(_)
                | Self::Achievement(_)
                | Self::Collection(_)
                | Self::Card(_)
        )
    }

    /// Whom it is about, as it is written; `None` for what is about nobody, and for the user itself.
    pub(super) fn user(&self) -> Option<&str> {
        Some(match self {
            Self::Event(record) => &record.user,
            Self::Enrolment(record) => &record.user,
            Self::GoalProgress(record) => &record.user,
            Self::GoalClaim(record) => &record.user,
            Self::CreditLot(record) => &record.user,
            Self::CreditEntry(record) => &record.user,
            Self::Block(record) => &record.user,
            Self::ResourceProgress(record) => &record.user,
            Self::StudyPlanInstance(record) => &record.user,
            Self::Awards(record) => &record.user,
            Self::Unlock(record) => &record.user,
            Self::CollectionProgress(record) => &record.user,
            Self::OwnedCard(record) => &record.user,
            Self::WriteRef(record) => &record.user,
            Self::Merge(record) => &record.user,
            Self::ApiKey(record) => record.owner.as_deref()?,
            _ => return None,
        })
    }
}
