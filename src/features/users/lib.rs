//! Users: who they are, and what they are known by elsewhere.

pub mod accounts;
mod check;
pub mod entity;
pub mod graphql;
pub mod keys;
mod loader;
pub mod repo;
pub mod rules;
pub mod service;
pub mod told;
pub mod write;

pub use check::CHECKS;
pub use waymark_auth::UserId;
