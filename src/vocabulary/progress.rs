//! What all kinds of progress have in common.

use async_graphql::Enum;

pub use crate::lists::ProgressKind;

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
pub enum ProgressState {
    /// Nothing is done.
    NotStarted,
    /// Something is done, but not all.
    InProgress,
    /// All is done.
    Completed,
}

/// The state of something of which `done` in `total` is done, and which has ended as complete or not.
pub const fn state(done: i32, completed: bool) -> ProgressState {
    if completed {
        ProgressState::Completed
    } else if done > 0 {
        ProgressState::InProgress
    } else {
        ProgressState::NotStarted
    }
}

/// `done` out of `total` as a number from 0 to 1; 0 when there is nothing to do.
pub fn ratio(done: i32, total: i32) -> f64 {
    if total <= 0 { 0.0 } else { (f64::from(done) / f64::from(total)).clamp(0.0, 1.0) }
}
