//! Seasons: a clock with weeks and pauses, goals counted in steps, and rewards that are claimed once.

mod catalogue;
pub mod entity;
pub(crate) mod graphql;
mod loader;
mod repo;
pub(crate) mod rest;
pub mod rules;
pub(crate) mod service;

pub(crate) use catalogue::{Goal, Season, Seasons};
