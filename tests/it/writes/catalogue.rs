//! To be replaced.
use crate::harness::tests;
tests! {}
