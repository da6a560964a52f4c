//! The database's clock, which decides where several servers meet.
//!
//! PostgreSQL has one; SQLite goes by that of the machine, as do all processes that share the file.

use super::catalogue::no_version;
use super::{Db, Kind, Sql, fetch, fetch_values};
use waymark_kernel::clock::Watch;
use waymark_kernel::error::Result;

/// How often the clock is asked before the server answers requests; the quickest answer is the most exact.
const FIRST_QUESTIONS: u32 = 4;

/// The statements of this file.
pub static STATEMENTS: [&Sql; 2] = [&TIME, &VERSION_AND_TIME];

// The clock of PostgreSQL is no table.
static TIME: Sql =
    Sql::new("SELECT floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint").on_postgres_alone();
static VERSION_AND_TIME: Sql = Sql::new(
    "SELECT version, floor(extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS micros \
     FROM catalogue_version WHERE id = 1",
)
.on_postgres_alone();

crate::row! { struct VersionAndTime { version: i64, micros: i64 } }

impl Db {
    /// Sets `watch` by the database's clock, where it has one.
    ///
    /// # Errors
    /// When the database cannot be reached.
    pub async fn set(&self, watch: &Watch) -> Result<()> {
        if !decides(self, watch) {
            return Ok(());
        }
        for _ in 0..FIRST_QUESTIONS {
            let sent = watch.mark();
            let told = fetch_values(&self.reads, &TIME, []).await?;
            if let Some(told) = told.first() {
                watch.heard(sent, *told);
            }
        }
        Ok(())
    }
}

/// Whether the time of the database is asked for at all.
fn decides(db: &Db, watch: &Watch) -> bool {
    db.kind == Kind::Postgres && watch.is_system()
}

/// The number of the catalogue's state; on the way `watch` is set by the database's clock, where it has one.
pub(super) async fn version_and_time(db: &Db, watch: &Watch) -> Result<i64> {
    if !decides(db, watch) {
        return super::catalogue::version(&db.reads).await;
    }
    let sent = watch.mark();
    let told = fetch(&db.reads, &VERSION_AND_TIME, []).await?.pop();
    let VersionAndTime { version, micros } = told.ok_or_else(no_version)?;
    watch.heard(sent, micros);
    Ok(version)
}

/// How far the clocks of the system and the database were apart when it was last said.
#[derive(Debug, Default)]
pub(super) struct Clocks(Option<i64>);

/// By how much that has to change to be said again, in milliseconds.
const NEWS: u64 = 1000;

impl Clocks {
    /// Says in the log when the clocks come to be far apart, by how much, and when they no longer are.
    pub(super) fn compare(&mut self, watch: &Watch) {
        let apart = watch.apart_millis();
        let news = match (self.0, apart) {
            (None, None) => false,
            (Some(before), Some(now)) => before.abs_diff(now) > NEWS,
            _ => true,
        };
        if !news {
            return;
        }
        self.0 = apart;
        match apart {
            Some(millis) => tracing::warn!(
                ahead_seconds = seconds(millis),
                "the clock of this machine and that of the database are apart; the database's decides, and this one should be set"
            ),
            None => tracing::info!("the clocks of this machine and of the database agree again"),
        }
    }
}

/// Milliseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "milliseconds of some years are exact in 53 bits")]
fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}
