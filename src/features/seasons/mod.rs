//! Seasons: a clock with weeks and pauses, goals counted in steps, and rewards that are claimed once.

mod catalogue;
pub mod entity;
pub(crate) mod graphql;
mod loader;
pub(crate) mod owner;
mod repo;
pub mod rules;
pub(crate) mod service;

pub(crate) use catalogue::{Goal, Season, Seasons};
