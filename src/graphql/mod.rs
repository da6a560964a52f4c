//! What every feature's GraphQL face is made of: batching, ids, scalars, pages and limits. Knows no feature.

pub(crate) mod batcher;
pub(crate) mod context;
pub(crate) mod ids;
pub(crate) mod list;
pub(crate) mod meter;
pub(crate) mod pagination;
pub(crate) mod plan;
pub(crate) mod progress;
pub(crate) mod ready;
pub(crate) mod refusal;
pub(crate) mod scalars;
pub(crate) mod search;
