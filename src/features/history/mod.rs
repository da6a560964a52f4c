//! History: the log of everything that changed for a user, gapless and in commit order.

mod check;
pub(crate) mod graphql;
pub(crate) mod live;
mod loader;
mod repo;
pub(crate) mod service;

pub(crate) use check::CHECKS;
