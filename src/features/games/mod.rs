//! Games: achievements that users unlock, the summary kept per user and game, and the awards that follow.

mod catalogue;
mod check;
pub mod entity;
pub(crate) mod graphql;
mod loader;
pub(crate) mod owner;
pub(crate) mod publish;
mod repo;
pub(crate) mod rest;
pub mod rules;
pub(crate) mod service;
pub(crate) mod write;

pub(crate) use catalogue::{Achievement, Game, Games};
pub(crate) use check::CHECKS;
