//! Learning: resources whose progress a user has once, whatever study plan they are reached through.

mod catalogue;
pub mod entity;
pub(crate) mod graphql;
mod loader;
mod repo;
pub(crate) mod rest;
pub mod rules;
pub(crate) mod service;
pub(crate) mod write;

pub(crate) use catalogue::{Learning, Plan, Resource};
