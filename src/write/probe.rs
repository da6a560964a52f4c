//! Tries to write while nothing can be written, so that the end of that state is noticed even when no client writes.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::repo;
use super::writer::Tools;
use waymark_db::{Asker, Db, Storage};
use waymark_kernel::clock::{Ids, Timestamp};
use waymark_kernel::error::Result;

/// How often it is tried.
const OFTEN: Duration = Duration::from_secs(1);
/// How much is written: more than most writes do, so that there is room for them when there is for this.
const PIECES: usize = 2048;

/// Starts the task, which ends with the tools.
pub(super) fn start(tools: &Arc<Tools>) {
    tokio::spawn(Asker::Background.run(keep_trying(Arc::downgrade(tools), tools.db.storage())));
}

async fn keep_trying(weak: Weak<Tools>, storage: Arc<Storage>) {
    loop {
        // Without an end to the waiting the task would be there for ever once the tools are gone.
        let _ = tokio::time::timeout(Duration::from_secs(60), storage.begun()).await;
        let Some(tools) = weak.upgrade() else { return };
        if storage.trouble().is_none() {
            continue;
        }
        if let Err(error) = attempt(&tools.db, &tools.ids).await {
            tracing::debug!(error = error.chain(), "nothing can be written yet");
        }
        drop(tools);
        tokio::time::sleep(OFTEN).await;
    }
}

/// Writes some 64 KB and takes them away again.
///
/// # Errors
/// When they cannot be written.
pub async fn attempt(db: &Db, ids: &Ids) -> Result<()> {
    // Nothing that could be compressed.
    let filler = (0..PIECES).map(|_| format!("{:032x}", u128::from_ne_bytes(ids.bytes::<16>()))).collect();
    let transaction = db.begin().await?;
    repo::put_filler(&transaction, filler, Timestamp::from_millis(0)).await?;
    transaction.commit().await?;
    let transaction = db.begin().await?;
    repo::remove_filler(&transaction).await?;
    transaction.commit().await
}
