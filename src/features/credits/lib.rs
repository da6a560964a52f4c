//! Credits: lots that expire, a ledger that is only ever appended to, and blocks.

pub mod blocks;
mod check;
pub mod delete;
pub mod entity;
pub mod graphql;
mod loader;
pub mod owner;
mod repo;
pub mod rules;
pub mod service;
pub mod told;
pub mod write;

pub use check::CHECKS;
pub use repo::STATEMENTS;
