//! History: the log of everything that changed for a user, gapless and in commit order.

pub(crate) mod graphql;
mod loader;
mod repo;
pub(crate) mod service;
