//! Learning: resources whose progress a user has once, whatever study plan they are reached through.

mod catalogue;
pub mod entity;
pub(crate) mod graphql;
mod loader;
pub(crate) mod owner;
mod repo;
pub mod rules;
pub(crate) mod service;

pub(crate) use catalogue::{Learning, Plan, Resource};
