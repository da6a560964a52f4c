//! What every room stands on: errors with a closed set of codes, the clock and new ids, settings, limits, texts,
//! metrics and traces. Depends on no other room.

pub mod clock;
pub mod config;
pub mod error;
pub mod failure;
pub mod limits;
pub mod metrics;
mod shown;
mod stored;
pub mod text;
pub mod trace;
