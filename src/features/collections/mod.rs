//! Collections: programmes of cards that users own, complete once, and may claim a reward for.

mod catalogue;
pub mod entity;
pub(crate) mod graphql;
mod loader;
mod repo;
pub(crate) mod rest;
pub mod rules;
pub(crate) mod service;

pub(crate) use catalogue::{Card, Collection, Collections};
