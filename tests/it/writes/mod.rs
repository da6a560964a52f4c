//! Everything that changes something, a file per feature.

pub(crate) mod catalogue;
pub(crate) mod collections;
pub(crate) mod credits;
pub(crate) mod games;
pub(crate) mod idempotency;
pub(crate) mod learning;
pub(crate) mod people;
pub(crate) mod record;
pub(crate) mod refusals;
pub(crate) mod seasons;
pub(crate) mod together;
pub(crate) mod verify;
