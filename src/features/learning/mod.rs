//! Learning: resources whose progress a user has once, whatever study plan they are reached through.

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
pub(crate) mod write;

pub(crate) use catalogue::{Learning, Plan, Resource};
pub(crate) use check::CHECKS;
