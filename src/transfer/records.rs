//! The records of a file: the closed set of lines that are written and read. `docs/import.md` describes each.
//!
//! Things are named by the operators' keys, users by their ULID (when read also by handle or account), amounts are
//! micros, instants RFC 3339. What is absent is null, empty or the default.

use std::fmt;

use serde::de::{self, Deserializer, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use waymark_credits::entity::{BlockScope, EntryKind, LotSource};
use waymark_games::entity::{AchievementKind, Award};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::text::resource_key;
use waymark_seasons::entity::PauseMode;
use waymark_users::entity::Visibility;
use waymark_users::rules;

/// The version of the format that this program writes, and reads with all before it.
///
/// 1: a user's visibility is PUBLIC, or PRIVATE for what has been called MEMBERS since; more could stand in names and
/// addresses of pictures. 2: as it is described.
pub(super) const VERSION: u32 = 2;

/// An instant as it stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At(pub(super) Timestamp);

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
pub(super) enum Record {
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
pub(super) struct Header {
    pub(super) version: u32,
    /// Whether the file brings along what the histories say of its records.
    #[serde(default)]
    pub(super) history: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Season {
    pub(super) key: String,
    pub(super) title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    pub(super) starts_at: At,
    pub(super) duration_seconds: i64,
    #[serde(default = "week")]
    pub(super) week_length_seconds: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ended_at: Option<At>,
    #[serde(default = "freeze")]
    pub(super) pause_mode: PauseMode,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) weeks: Vec<WeekTitle>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) pauses: Vec<Pause>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) budgets: Vec<Budget>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<At>,
}

const fn week() -> i64 {
    604_800
}

const fn freeze() -> PauseMode {
    PauseMode::Freeze
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WeekTitle {
    pub(super) number: i32,
    pub(super) title: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Pause {
    pub(super) from: At,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Budget {
    /// Absent: the whole season.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) week: Option<i32>,
    pub(super) cap_micros: i64,
    #[serde(default)]
    pub(super) spent_micros: i64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Goal {
    pub(super) key: String,
    pub(super) season: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) week: Option<i32>,
    #[serde(default)]
    pub(super) position: i32,
    pub(super) title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) thumbnail: Option<String>,
    pub(super) reward_micros: i64,
    pub(super) total_steps: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retired_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Resource {
    pub(super) key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) external_id: Option<String>,
    pub(super) title: String,
    #[serde(default = "course")]
    pub(super) kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) section: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) estimated_minutes: Option<i32>,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub(super) catalogued: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<At>,
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
pub(super) struct StudyPlan {
    pub(super) key: String,
    pub(super) title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    /// Keys, in the plan's order.
    pub(super) resources: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Game {
    pub(super) key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<i64>,
    pub(super) title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) platform: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Achievement {
    pub(super) key: String,
    pub(super) game: String,
    #[serde(default)]
    pub(super) position: i32,
    pub(super) title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) badge: Option<String>,
    pub(super) points: i32,
    #[serde(default = "standard")]
    pub(super) kind: AchievementKind,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub(super) published: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<At>,
}

const fn standard() -> AchievementKind {
    AchievementKind::Standard
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Collection {
    pub(super) key: String,
    pub(super) name: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<String>,
    #[serde(default = "production")]
    pub(super) environment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) starts_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ends_at: Option<At>,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub(super) show_before: bool,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub(super) show_after: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reward: Option<Reward>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<At>,
}

fn production() -> String {
    "production".to_owned()
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Reward {
    pub(super) key: String,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) description: String,
    pub(super) value: String,
    #[serde(default = "image")]
    pub(super) view_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stock: Option<i64>,
    #[serde(default)]
    pub(super) claimed: i64,
}

fn image() -> String {
    "image".to_owned()
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Card {
    pub(super) key: String,
    pub(super) collection: String,
    #[serde(default)]
    pub(super) position: i32,
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) image: Option<String>,
    #[serde(default = "common")]
    pub(super) rarity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retired_at: Option<At>,
}

fn common() -> String {
    "common".to_owned()
}

/// Somebody; what is absent stays as it is where the user is there already.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct User {
    /// The ULID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) external_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) handle: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) display_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) avatar_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) visibility: Option<Visibility>,
    /// Whether the user came to be by a wallet, and neither an app nor an operator has written for the user since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) self_made: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) accounts: Vec<Account>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_at: Option<At>,
    /// When the profile or the accounts changed last, as the history says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) erased_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Account {
    pub(super) provider: String,
    pub(super) id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) linked_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Event {
    pub(super) user: String,
    pub(super) number: i64,
    pub(super) kind: String,
    pub(super) actor: String,
    pub(super) subject: Subject,
    pub(super) changes: Value,
    pub(super) occurred_at: At,
    pub(super) recorded_at: At,
}

/// What something was done to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Subject {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) key: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Enrolment {
    pub(super) user: String,
    pub(super) season: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GoalProgress {
    pub(super) user: String,
    pub(super) goal: String,
    pub(super) completed_steps: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) completed_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct GoalClaim {
    pub(super) user: String,
    pub(super) goal: String,
    /// The number of the lot it opened; absent: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lot: Option<i64>,
    /// Absent: what the goal is worth.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reward_micros: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreditLot {
    pub(super) user: String,
    /// Absent: the next one, once per `ref`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<i64>,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<String>,
    pub(super) amount_micros: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remaining_micros: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) granted_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<At>,
    #[serde(default = "brought_along")]
    pub(super) source: LotSource,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) goal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
}

const fn brought_along() -> LotSource {
    LotSource::Import
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CreditEntry {
    pub(super) user: String,
    pub(super) number: i64,
    pub(super) lot: i64,
    pub(super) kind: EntryKind,
    pub(super) amount_micros: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    pub(super) operation: String,
    pub(super) at: At,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Block {
    pub(super) user: String,
    /// Absent: the block that begins at this instant with this scope, or the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<i64>,
    pub(super) scope: BlockScope,
    pub(super) reason: String,
    pub(super) from: At,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) until: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lifted_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ResourceProgress {
    pub(super) user: String,
    pub(super) resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) external_id: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) completed: bool,
    #[serde(default)]
    pub(super) progress: i16,
    #[serde(default)]
    pub(super) time_spent_minutes: i32,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) notes: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) completed_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) last_accessed_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct StudyPlanInstance {
    pub(super) user: String,
    /// Absent: the user's instance of the plan, or the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) number: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) external_id: Option<String>,
    pub(super) plan: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) title: Option<String>,
    /// In their order; absent: what the plan consists of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) resources: Option<Vec<InstanceResource>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct InstanceResource {
    pub(super) resource: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) marked_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Awards {
    pub(super) user: String,
    pub(super) game: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) beaten_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) beaten_hardcore_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) completed_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mastered_at: Option<At>,
    /// What the awards rest on whose dates follow from unlocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rests_on: Vec<Ground>,
}

/// The achievements that some awards required when they were earned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Ground {
    pub(super) awards: Vec<Award>,
    /// Keys.
    pub(super) achievements: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Unlock {
    pub(super) user: String,
    /// Within which the key of the achievement is unique, where keys are scoped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) game: Option<String>,
    pub(super) achievement: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) at: Option<At>,
    /// Whether `at` was in hardcore mode.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) hardcore: bool,
    /// When it was unlocked in hardcore mode, where that was at another instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hardcore_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct CollectionProgress {
    pub(super) user: String,
    pub(super) collection: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) completed_at: Option<At>,
    /// Whether that date was told, and does not follow from the cards. Only in exports; elsewhere it always was.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(super) completed_told: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reward_claimed_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct OwnedCard {
    pub(super) user: String,
    /// Within which the key of the card is unique, where keys are scoped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) collection: Option<String>,
    pub(super) card: String,
    #[serde(default = "one")]
    pub(super) quantity: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) first_acquired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) updated_at: Option<At>,
}

const fn one() -> i32 {
    1
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct WriteRef {
    pub(super) user: String,
    pub(super) kind: String,
    #[serde(rename = "ref")]
    pub(super) reference: String,
    pub(super) outcome: Value,
    pub(super) created_at: At,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Merge {
    pub(super) user: String,
    pub(super) into: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Audit {
    pub(super) actor: String,
    pub(super) action: String,
    pub(super) subject: Subject,
    pub(super) changes: Value,
    pub(super) recorded_at: At,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct ApiKey {
    pub(super) name: String,
    pub(super) prefix: String,
    /// SHA-256 of the key in hexadecimal digits.
    pub(super) hash: String,
    pub(super) scopes: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) owner: Option<String>,
    pub(super) created_at: At,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expires_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) revoked_at: Option<At>,
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

    /// Whether this is something that has happened to a user, and comes to the same before and after others of its kind.
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
