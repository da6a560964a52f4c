//! Metrics of one kind under many names.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// What is counted under each of several names, made when a name is first seen. Names beyond the most are counted
/// together.
pub(super) struct Family<T> {
    known: RwLock<HashMap<Box<str>, Arc<T>>>,
    most: usize,
}

impl<T> Family<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { known: RwLock::default(), most }
    }

    /// What is counted under `name`.
    pub(super) fn get(&self, name: &str, make: impl FnOnce(&str) -> T) -> Arc<T> {
        if let Some(known) = self.known.read().unwrap_or_else(PoisonError::into_inner).get(name) {
            return Arc::clone(known);
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let name = if known.len() < self.most || known.contains_key(name) { name } else { super::OTHER };
        Arc::clone(known.entry(name.into()).or_insert_with(|| Arc::new(make(name))))
    }
}
