//! What every feature's GraphQL face is made of: batching, ids, scalars, pages and limits. Knows no feature.

pub mod batcher;
pub mod context;
pub mod list;
pub mod meter;
pub mod pagination;
pub mod plan;
pub mod scalars;
pub mod search;
