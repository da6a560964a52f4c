//! People: how users come to be, change, are merged and are erased; keys, and what operators read.

pub(crate) mod accounts;
pub(crate) mod join;
