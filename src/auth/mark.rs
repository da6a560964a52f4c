//! What a signature leaves behind, so that it is good for one request that changes something.

use std::sync::atomic::{AtomicBool, Ordering};

use super::repo;
use waymark_db::{Db, Transaction};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Code, Error, Result};

/// The mark of a signed request. It is kept in the transaction of what the request writes first: either both are there
/// or neither is, whenever the server is killed. So what was carried out is never carried out again, and a signature
/// whose request failed may be sent again. What the request writes after that needs no mark any more.
#[derive(Debug)]
pub struct Mark {
    name: String,
    /// Whether this request has kept it.
    is_kept: AtomicBool,
}

impl Mark {
    /// The mark of this name, unless a request has left it before.
    pub(super) async fn unused(name: String, db: &Db) -> Result<Self> {
        if repo::is_marked(db.reads(), name.clone()).await? {
            return Err(used());
        }
        Ok(Self { name, is_kept: AtomicBool::new(false) })
    }

    /// Keeps the mark in the transaction of a write.
    ///
    /// # Errors
    /// [`Code::InvalidCredential`] when another request with the same signature came first, which this waits for.
    pub async fn keep(&self, transaction: &Transaction, now: Timestamp) -> Result<()> {
        if self.is_kept.load(Ordering::Acquire) || repo::keep_mark(transaction, self.name.clone(), now).await? {
            return Ok(());
        }
        Err(used())
    }

    /// A write that has kept the mark was committed.
    pub fn is_committed(&self) {
        self.is_kept.store(true, Ordering::Release);
    }
}

fn used() -> Error {
    Error::new(Code::InvalidCredential, "this signature has been used; sign the request again with a new timestamp")
}
