//! Records in memory, taken as those of a file are that brings its histories along.

use std::collections::HashSet;
use std::sync::Arc;

use super::{Earlier, Outcome, Work};
use crate::lines::Line;
use crate::ranges;
use crate::records::Record;
use waymark_db::Db;
use waymark_db::catalogue::Snapshot;
use waymark_kernel::clock::{Ids, Timestamp};
use waymark_kernel::config::Config;
use waymark_kernel::error::{Error, Result};
use waymark_write::Unit;

/// Takes records into a database, some at a time.
#[derive(Debug)]
pub struct Restoring<'a> {
    db: &'a Db,
    now: Timestamp,
    ids: Ids,
    config: Config,
    /// The catalogue as the last transaction left it.
    known: Option<Arc<Snapshot>>,
}

impl<'a> Restoring<'a> {
    /// Begins to take records into `db` at `now`.
    ///
    /// # Errors
    /// When the default settings are wrong.
    pub fn new(db: &'a Db, now: Timestamp) -> Result<Self> {
        let config = Config::from_sources(None, []).map_err(Error::internal)?;
        Ok(Self { db, now, ids: Ids::system(), config, known: None })
    }

    /// Takes these records, all in one transaction.
    ///
    /// # Errors
    /// [`Code::BadUserInput`](waymark_kernel::error::Code::BadUserInput) when one of them cannot be taken, and when the
    /// database fails; then none is taken.
    pub async fn take(&mut self, records: Vec<Record>) -> Result<()> {
        let file: Arc<str> = "memory".into();
        let line = |(record, number)| Line { file: Arc::clone(&file), number, record: Ok(record), has_history: true };
        let lines: Vec<Line> = records.into_iter().zip(1..).map(line).collect();
        let lines: Vec<_> = lines.iter().filter_map(|line| Some((line, line.record.as_ref().ok()?))).collect();
        for (_, record) in &lines {
            ranges::check(record, self.now, true).map_err(|reason| refused(record, &reason))?;
        }
        let transaction = self.db.begin_long(None).await?;
        let unit = Unit::of_facts(&transaction, self.now, &self.ids, &self.config);
        let earlier = Earlier { erased: &HashSet::new(), profiles: None };
        let done = Work::perform(unit, self.known.take(), earlier, &lines).await.and_then(|done| {
            let bad = lines.iter().zip(&done.outcomes).find_map(|((_, record), outcome)| match outcome {
                Outcome::Bad(reason) => Some(refused(record, reason)),
                Outcome::New | Outcome::Unchanged => None,
            });
            // Nothing comes behind these records that would settle a lot.
            let open = done.unsettled.first().and_then(|(at, ..)| lines.get(*at));
            let open = open.map(|(_, record)| refused(record, "the lot does not follow from its entries"));
            bad.or(open).map_or(Ok(done.known), Err)
        });
        match done {
            Ok(known) => {
                transaction.commit().await?;
                self.known = known;
                Ok(())
            }
            Err(error) => {
                transaction.rollback().await?;
                Err(error)
            }
        }
    }
}

fn refused(record: &Record, reason: &str) -> Error {
    Error::bad_input(format!("{reason}: {record:?}"))
}
