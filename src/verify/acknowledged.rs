//! Differences that cannot be mended and that operators have acknowledged: they stand in the audit log.

use std::collections::HashSet;

use super::Difference;

/// The action under which they stand in the audit log.
pub(super) const ACTION: &str = "acknowledge";

/// What was acknowledged so far.
#[derive(Debug)]
pub(super) struct Acknowledged(HashSet<Difference>);

impl Acknowledged {
    /// Takes what the audit log says under [`ACTION`].
    pub(super) fn of(texts: &[String]) -> Self {
        // What an import has brought along may be anything.
        let known = texts.iter().filter_map(|text| serde_json::from_str::<Difference>(text).ok());
        Self(known.map(|one| lasting(&one)).collect())
    }

    pub(super) fn has(&self, difference: &Difference) -> bool {
        self.0.contains(&lasting(difference))
    }
}

/// What stays of a difference while other writes go on: where both numbers grow, by how much they differ.
fn lasting(difference: &Difference) -> Difference {
    let (stored, expected) = (difference.stored.parse::<i64>(), difference.expected.parse::<i64>());
    let (Ok(stored), Ok(expected)) = (stored, expected) else { return difference.clone() };
    let by = expected.wrapping_sub(stored).to_string();
    Difference { stored: String::new(), expected: by, ..difference.clone() }
}
