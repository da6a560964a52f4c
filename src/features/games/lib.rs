//! Games: achievements that users unlock, the summary kept per user and game, and the awards that follow.

mod catalogue;
mod check;
mod delete;
pub mod entity;
pub mod graphql;
mod loader;
pub mod owner;
pub mod publish;
mod repo;
pub mod rest;
pub mod rules;
pub mod service;
pub mod write;

pub use catalogue::{Achievement, Game, Games};
pub use check::CHECKS;
pub use delete::DELETIONS;
pub use repo::STATEMENTS;
