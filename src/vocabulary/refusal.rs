//! What a write refuses in the normal course of things, the same for GraphQL and REST.

use async_graphql::{Enum, SimpleObject};
use serde::{Deserialize, Serialize};
use waymark_kernel::text;

pub use crate::lists::UserErrorCode;

/// How many bytes the message of a refusal takes at most, as JSON.
pub const MOST_MESSAGE_BYTES: usize = 400;

/// The most bytes of an id in an answer, as JSON with its quotes: a key of 255 characters of four bytes, behind the
/// name of a type and of a user.
pub const MOST_ID_BYTES: usize = 1_076;

/// Something a mutation refused. Nothing was changed for it.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject, Serialize, Deserialize)]
#[graphql(name = "UserError")]
pub struct Refusal {
    /// Why, for programs.
    pub code: UserErrorCode,
    /// Why, for people.
    pub message: String,
    /// Where in the input the reason lies, from the input's own fields down, such as `["unlocks", "3"]`; empty when it
    /// lies in no single place.
    pub path: Vec<String>,
}

impl Refusal {
    /// Makes a refusal that names no place in the input. The message is cut behind [`MOST_MESSAGE_BYTES`]: keys that a
    /// client sent stand in it.
    pub fn new(code: UserErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: text::cut(message.into(), MOST_MESSAGE_BYTES), path: Vec::new() }
    }

    /// Makes the refusal of a write for a user who does not exist, named by this field of the input.
    pub fn unknown_user(field: &str) -> Self {
        Self::new(UserErrorCode::UnknownUser, "there is no such user").at([field])
    }

    /// The same refusal, of what stands in this place of the input.
    pub fn at(mut self, path: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.path = path.into_iter().map(Into::into).collect();
        self
    }
}

/// Whether an item of a write was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Serialize, Deserialize)]
pub enum WriteStatus {
    /// It was done.
    Applied,
    /// It had been done before, and nothing was changed.
    Unchanged,
    /// It was refused; the error says why.
    Refused,
}

/// The result of one item of a write.
#[derive(Debug, Clone, PartialEq, Eq, SimpleObject, Serialize, Deserialize)]
#[graphql(name = "WriteResult")]
pub struct ItemOutcome {
    /// The global id of what the item names, such as `achievement:101`.
    pub id: async_graphql::ID,
    /// Whether the item was done.
    pub status: WriteStatus,
    /// Why it was refused. Null when it was not.
    pub error: Option<Refusal>,
}

impl ItemOutcome {
    /// Makes the outcome of an item that was done.
    pub const fn applied(id: async_graphql::ID) -> Self {
        Self { id, status: WriteStatus::Applied, error: None }
    }

    /// Makes the outcome of an item that had been done before.
    pub const fn unchanged(id: async_graphql::ID) -> Self {
        Self { id, status: WriteStatus::Unchanged, error: None }
    }

    /// Makes the outcome of an item that was refused for this reason. The id may be anything that was sent, and is cut
    /// behind [`MOST_ID_BYTES`].
    pub fn refused(id: async_graphql::ID, refusal: Refusal) -> Self {
        let id = async_graphql::ID(text::cut(id.0, MOST_ID_BYTES));
        Self { id, status: WriteStatus::Refused, error: Some(refusal) }
    }
}

/// Whether the good items of a write are done when others are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Enum, Serialize)]
pub enum BulkMode {
    /// Each item by itself.
    #[default]
    PerItem,
    /// All items, or none when one is refused.
    AllOrNothing,
}

/// The refusals among `items`, each with its place in the input's list `name`.
pub fn refusals<'a>(name: &str, items: impl IntoIterator<Item = &'a ItemOutcome>) -> Vec<Refusal> {
    let numbered = items.into_iter().enumerate();
    numbered.filter_map(|(place, item)| Some(item.error.clone()?.at([name.to_owned(), place.to_string()]))).collect()
}

/// Turns what was done into what was not, because another item was refused and all or nothing was asked for.
pub fn not_applied<'a>(items: impl IntoIterator<Item = &'a mut ItemOutcome>) {
    for item in items.into_iter().filter(|item| item.status == WriteStatus::Applied) {
        item.status = WriteStatus::Refused;
        item.error = Some(Refusal::new(UserErrorCode::NotApplied, "another item was refused"));
    }
}
