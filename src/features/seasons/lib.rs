//! Seasons: a clock with weeks and pauses, goals counted in steps, and rewards that are claimed once.

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

pub use catalogue::{Goal, Season, Seasons};
pub use check::CHECKS;
pub use delete::DELETIONS;
pub use repo::STATEMENTS;
