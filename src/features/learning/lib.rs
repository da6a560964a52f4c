//! Learning: resources whose progress a user has once, whatever study plan they are reached through.

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

pub use catalogue::{Learning, Plan, Resource};
pub use check::CHECKS;
pub use delete::DELETIONS;
pub use repo::STATEMENTS;
