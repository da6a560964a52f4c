//! Metrics of one kind under many names.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Metrics by name, made when a name is first seen. Each of `N` groups of callers has a bounded number of names of its
/// own; further names are counted together.
pub(super) struct Family<T, const N: usize = 1> {
    known: RwLock<Known<T, N>>,
    most: [usize; N],
}

struct Known<T, const N: usize> {
    names: HashMap<Box<str>, Arc<T>>,
    /// How many names each group brought.
    brought: [usize; N],
}

impl<T, const N: usize> Family<T, N> {
    pub(super) fn new(most: [usize; N]) -> Self {
        Self { known: RwLock::new(Known { names: HashMap::new(), brought: [0; N] }), most }
    }

    /// Returns the metric of `name`, which counts among the names of `group`.
    pub(super) fn get(&self, name: &str, group: usize, make: impl FnOnce(&str) -> T) -> Arc<T> {
        {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            if let Some(metric) = known.names.get(name) {
                return Arc::clone(metric);
            }
            // Once there is no room for more, names are not written down, however many come.
            if !self.has_room(&known.brought, group)
                && let Some(together) = known.names.get(super::OTHER)
            {
                return Arc::clone(together);
            }
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let Known { names, brought } = &mut *known;
        let is_new = !names.contains_key(name);
        let name = if is_new && !self.has_room(brought, group) { super::OTHER } else { name };
        if is_new
            && name != super::OTHER
            && let Some(count) = brought.get_mut(group)
        {
            *count += 1;
        }
        Arc::clone(names.entry(name.into()).or_insert_with(|| Arc::new(make(name))))
    }

    fn has_room(&self, brought: &[usize; N], group: usize) -> bool {
        brought.get(group).zip(self.most.get(group)).is_some_and(|(count, most)| count < most)
    }
}
