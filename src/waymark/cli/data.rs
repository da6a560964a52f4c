//! `waymark migrate`, `waymark demo` and `waymark catalogue`.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{MigrateTo, open, open_or_make, open_whatever, open_whatever_to_read, print, say};
use waymark_db::Db;
use waymark_demo as demo;
use waymark_demo::{Options, Scale};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::config::Config;
use waymark_kernel::error::Result;
use waymark_write::{raise_catalogue, take_catalogue};

/// Changes the schema, or shows where it stands; distributes users over servers behind it.
pub(super) async fn migrate(config: &Config, to: MigrateTo, distribute: bool) -> Result<()> {
    let db = match to {
        MigrateTo::Up => open_or_make(config).await?,
        MigrateTo::Down => open_whatever(config).await?,
        MigrateTo::Status => open_whatever_to_read(config).await?,
    };
    let before = applied(&db).await?;
    match to {
        MigrateTo::Up => db.migrate().await?,
        MigrateTo::Down => db.migrate_down().await?,
        MigrateTo::Status => {}
    }
    let migrations = db.migrations().await?;
    for (name, applied) in &migrations {
        match to {
            MigrateTo::Status => print(&format!("{} {name}", if *applied { "applied" } else { "pending" }))?,
            _ if *applied && !before.contains(name) => say(&format!("applied {name}")),
            _ if !*applied && before.contains(name) => say(&format!("undone  {name}")),
            _ => {}
        }
    }
    if to == MigrateTo::Up && migrations.len() == before.len() {
        say("The schema is up to date.");
    }
    if distribute {
        db.distribute(say).await?;
        say("Users are distributed.");
    }
    db.close().await
}

async fn applied(db: &Db) -> Result<Vec<String>> {
    Ok(db.migrations().await?.into_iter().filter_map(|(name, applied)| applied.then_some(name)).collect())
}

/// Lets all servers read the catalogue anew. Waits for writes that go by the old one.
pub(super) async fn touch_catalogue(config: &Config) -> Result<()> {
    let db = open(config).await?;
    let transaction = db.begin_long(None).await?;
    take_catalogue(&transaction).await?;
    raise_catalogue(&transaction).await?;
    transaction.commit().await?;
    say("All servers read the catalogue anew, within about a second.");
    db.close().await
}

/// Fills the configured database with demo data.
pub(super) async fn demo(config: &Config, users: Option<u32>, scale: Scale) -> Result<()> {
    let db = open(config).await?;
    fill(&db, users, scale, super::now(config, &db).await?).await?;
    db.close().await
}

/// Fills `db` and shows how far it is.
pub(super) async fn fill(db: &Db, users: Option<u32>, scale: Scale, now: Timestamp) -> Result<()> {
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} users, {eta} left") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    let show = |done: u64, total: u64| {
        bar.set_length(total);
        bar.set_position(done);
    };
    let report = demo::fill(db, Options { users, scale }, now, &show).await?;
    bar.finish_and_clear();
    if report.changed() {
        say(&format!("{} users are there now, {} of them new.", report.users, report.added_users));
    } else {
        say(&format!("All {} users were there already; nothing was changed.", report.users));
    }
    Ok(())
}
