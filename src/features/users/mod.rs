//! Users: who they are, and what they are known by elsewhere.

pub(crate) mod accounts;
pub mod entity;
pub(crate) mod erase;
pub(crate) mod graphql;
pub(crate) mod keys;
mod loader;
pub(crate) mod merge;
mod repo;
pub mod rules;
pub(crate) mod service;
pub(crate) mod write;

pub use crate::auth::UserId;
