//! The closed lists over all kinds of progress: types of global ids, kinds of events, refusal codes, kinds of progress.
//!
//! A new kind of progress adds its names in `lists`, in one line of each list that it joins.

pub mod history;
pub mod ids;
mod lists;
pub mod progress;
pub mod refusal;

pub use history::HistoryKind;
