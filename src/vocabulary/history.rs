//! What can happen in a user's history, by the names of the kinds of events.

use std::fmt;

use async_graphql::resolver_utils::EnumType as _;

pub use crate::lists::HistoryKind;

impl HistoryKind {
    /// Returns all kinds.
    pub fn all() -> impl Iterator<Item = Self> {
        Self::items().iter().map(|item| item.value)
    }

    /// Returns the name as it is stored and as clients see it, such as `GOAL_CLAIMED`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        // Every kind is one of the items.
        Self::items().iter().find(|item| item.value == self).map_or("", |item| item.name)
    }

    /// Reads a name as [`HistoryKind::as_str`] writes it; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::all().find(|kind| kind.as_str() == text)
    }
}

impl fmt::Display for HistoryKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_read_as_it_is_written() {
        for kind in HistoryKind::all() {
            assert_eq!(HistoryKind::parse(kind.as_str()), Some(kind));
        }
        for text in ["", "goal_claimed", "GOAL_CLAIMED ", "Merged"] {
            assert_eq!(HistoryKind::parse(text), None, "{text:?}");
        }
    }
}
