//! Collections: programmes of cards that users own, complete once, and may claim a reward for.

mod catalogue;
mod check;
mod delete;
pub mod entity;
pub mod graphql;
mod loader;
pub mod operate;
pub mod owner;
mod repo;
pub mod rest;
pub mod rules;
pub mod service;
pub mod told;
pub mod write;

pub use catalogue::{Card, Collection, Collections};
pub use check::CHECKS;
pub use delete::DELETIONS;
