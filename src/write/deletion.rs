//! How things of one type of the catalogue are deleted, as a value that features list.

use std::fmt;
use std::pin::Pin;

use super::{Deleted, Unit};
use waymark_kernel::error::Result;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::UserErrorCode;

type Doing<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

/// How things of one type of the catalogue are deleted.
#[derive(Clone, Copy)]
pub struct Deletion {
    /// The type.
    pub kind: Kind,
    /// The refusal where there is no such thing.
    pub unknown: UserErrorCode,
    /// What the audit log calls it.
    pub action: &'static str,
    /// Returns what stands against it; `None`: nothing does.
    pub against: for<'a, 'u> fn(&'a Unit<'u>, &'a str) -> Doing<'a, Option<Deleted>>,
    /// Deletes the thing, unless something stands against it. The catalogue is locked.
    pub delete: for<'a, 'u> fn(&'a mut Unit<'u>, &'a str) -> Doing<'a, Deleted>,
}

impl fmt::Debug for Deletion {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.action)
    }
}
