//! History: the log of everything that changed for a user, gapless and in commit order.

pub mod entity;
pub(crate) mod graphql;
mod loader;
mod repo;
pub mod rules;
pub(crate) mod service;
