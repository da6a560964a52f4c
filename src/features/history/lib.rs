//! History: the log of everything that changed for a user, gapless and in commit order.

mod check;
pub mod graphql;
pub mod live;
mod loader;
mod repo;
pub mod service;

pub use check::CHECKS;
pub use repo::STATEMENTS;
