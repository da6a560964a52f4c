//! Users: who they are, and what they are known by elsewhere.

pub(crate) mod accounts;
pub mod entity;
pub(crate) mod graphql;
mod loader;
mod repo;
pub(crate) mod rules;
pub(crate) mod service;
pub(crate) mod write;

pub use crate::auth::UserId;
