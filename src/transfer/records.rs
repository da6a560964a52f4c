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

pub use super::kinds::*;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::text::resource_key;
pub use waymark_kinds::users::entity::Visibility;
use waymark_kinds::users::rules;

/// The version of the format that this program writes, and reads with all before it.
///
/// 1: a user's visibility is PUBLIC, or PRIVATE for what has been called MEMBERS since; more could stand in names and
/// addresses of pictures. 2: as it is described.
pub(crate) const VERSION: u32 = 2;

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

/// Declares the types of records: [`Record`](crate::records::Record), and what is known of each type.
macro_rules! records {
    ($($kind:ident($record:ident) $name:literal $pass:literal $sort:ident $(of $user:ident)?;)+) => {
        /// One line.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "type")]
        pub enum Record {
            $(#[serde(rename = $name)]
            $kind($record),)+
        }

        /// The names of all types, each with its pass.
        pub(crate) const TYPES: &[(&str, usize)] = &[$(($name, $pass)),+];

        impl Record {
            /// Whether this is something that has happened to a user, and comes to the same before and after others of
            /// its kind.
            pub(crate) const fn is_fact(&self) -> bool {
                match self { $(Self::$kind(_) => records!(@is_fact $sort)),+ }
            }

            /// Whether it says something about the catalogue.
            pub(crate) const fn is_of_catalogue(&self) -> bool {
                match self { $(Self::$kind(_) => records!(@is_of_catalogue $sort)),+ }
            }

            /// Whom it is about, as it is written; `None` for what is about nobody, and for the user itself.
            pub(crate) fn user(&self) -> Option<&str> {
                match self { $(Self::$kind(_record) => records!(@user _record $($user)?)),+ }
            }

            /// What it says.
            pub(crate) fn said(&self) -> &dyn Said {
                match self { $(Self::$kind(record) => record),+ }
            }
        }
    };
    (@is_fact fact) => { true };
    (@is_fact $sort:ident) => { false };
    (@is_of_catalogue catalogue) => { true };
    (@is_of_catalogue $sort:ident) => { false };
    (@user $record:ident) => { None };
    (@user $record:ident $user:ident) => { $record.$user.named() };
}

/// What names a user.
pub(crate) trait Named {
    /// Returns the name; `None`: nobody is named.
    fn named(&self) -> Option<&str>;
}

impl Named for String {
    fn named(&self) -> Option<&str> {
        Some(self)
    }
}

impl Named for Option<String> {
    fn named(&self) -> Option<&str> {
        self.as_deref()
    }
}

/// How many passes there are.
pub(crate) const PASSES: usize = 4;

/// The first line of a file that was exported.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    pub version: u32,
    /// Whether the file brings along what the histories say of its records.
    #[serde(default)]
    pub history: bool,
}

pub(crate) const fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
pub(crate) const fn is_true(value: &bool) -> bool {
    *value
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
pub(crate) const fn is_false(value: &bool) -> bool {
    !*value
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
    pub(crate) fn of_version(mut self, version: u32) -> Self {
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
    pub(crate) fn scoped(mut self, scope: bool) -> Result<Self, String> {
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
    pub(crate) fn pass(kind: &str) -> Option<usize> {
        TYPES.iter().find(|(name, _)| *name == kind).map(|(_, pass)| *pass)
    }
}
