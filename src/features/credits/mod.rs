//! Credits: lots that expire, a ledger that is only ever appended to, and blocks.

pub(crate) mod blocks;
mod check;
pub mod entity;
pub(crate) mod graphql;
mod loader;
pub(crate) mod owner;
mod repo;
pub mod rules;
pub(crate) mod service;
pub(crate) mod write;

pub(crate) use check::CHECKS;
