//! Collections: programmes of cards that users own, complete once, and may claim a reward for.

mod catalogue;
mod check;
pub mod entity;
pub(crate) mod graphql;
mod loader;
pub(crate) mod operate;
pub(crate) mod owner;
mod repo;
pub(crate) mod rest;
pub mod rules;
pub(crate) mod service;
pub(crate) mod told;
pub(crate) mod write;

pub(crate) use catalogue::{Card, Collection, Collections};
pub(crate) use check::CHECKS;
