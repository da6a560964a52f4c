//! Progress of every kind and of many users, recorded by one write.

pub(crate) mod write;
