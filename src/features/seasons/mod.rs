//! Seasons: a clock with weeks and pauses, goals counted in steps, and rewards that are claimed once.

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

pub(crate) use catalogue::{Goal, Season, Seasons};
pub(crate) use check::CHECKS;
