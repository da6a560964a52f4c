//! `waymark import`, `waymark export` and `waymark backup`.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::{ExportOptions, Only, check_clock, database_url, open, open_to_read, open_whatever, say, verify};
use waymark_kernel::clock::Ids;
use waymark_kernel::config::Config;
use waymark_kernel::error::{Error, Result};
use waymark_transfer as transfer;
use waymark_transfer::{Exported, Imported, Scope, Source};

/// Imports files, `-` being standard input. Every bad record is reported as it is found.
pub(super) async fn import(config: &Config, files: Vec<PathBuf>, scope_keys: bool) -> Result<()> {
    check_clock(config)?;
    let sources = files.into_iter().map(|file| if file == Path::new("-") { Source::Stdin } else { Source::File(file) });
    let db = open(config).await?;
    let bar = bar();
    let mut complain = |complaint: transfer::Complaint| bar.suspend(|| say(&complaint.to_string()));
    let show = |done: Imported| bar.set_position(done.records);
    let now = super::now(config, &db).await?;
    let (ids, sources) = (Ids::system(), sources.collect());
    let done = transfer::import_scoped(&db, &ids, now, sources, scope_keys, &mut complain, &show).await?;
    bar.finish_and_clear();
    db.close().await?;
    let Imported { records, new, unchanged, bad } = done;
    say(&format!("{records} records, {new} new, {unchanged} unchanged, {bad} bad"));
    if bad > 0 { Err(Error::bad_input(format!("{bad} records were not imported"))) } else { Ok(()) }
}

/// Exports to standard output, or to a file that appears when it is whole.
pub(super) async fn export(config: &Config, options: ExportOptions) -> Result<()> {
    let scope = match (options.only, options.user) {
        (Some(Only::Catalogue), None) => Scope::Catalogue,
        (Some(Only::Progress), None) => Scope::Progress,
        (Some(Only::User), Some(handle)) => Scope::User(handle),
        (None, None) => Scope::All,
        // Refused before it comes here.
        (Some(Only::User), None) | (_, Some(_)) => {
            return Err(Error::bad_input("--only user and --user HANDLE go together"));
        }
    };
    let db = open_to_read(config).await?;
    let bar = bar();
    let show = |done: Exported| bar.set_position(done.records);
    let done = match &options.output {
        None => {
            let mut out = BufWriter::with_capacity(1 << 16, std::io::stdout());
            transfer::export(&db, &mut out, &scope, options.with_keys, &show).await?
        }
        Some(path) => {
            let unwritten =
                |error: std::io::Error| Error::bad_input(format!("cannot write {}: {error}", path.display()));
            let mut partial = path.as_os_str().to_owned();
            partial.push(".partial");
            let mut out = BufWriter::with_capacity(1 << 16, File::create(&partial).map_err(unwritten)?);
            let exported = transfer::export(&db, &mut out, &scope, options.with_keys, &show).await;
            let kept = exported.and_then(|done| {
                out.flush().and_then(|()| out.get_ref().sync_all()).map_err(unwritten)?;
                std::fs::rename(&partial, path).map_err(unwritten)?;
                Ok(done)
            });
            if kept.is_err() {
                // Half an export is of no use.
                let _ = std::fs::remove_file(&partial);
            }
            kept?
        }
    };
    bar.finish_and_clear();
    db.close().await?;
    say(&format!("{} records", done.records));
    Ok(())
}

/// Copies the configured SQLite database.
pub(super) async fn backup(config: &Config, file: &Path) -> Result<()> {
    // Before an upgrade, too, when migrations are pending.
    let db = open_whatever(config).await?;
    transfer::backup(&db, file).await?;
    say(&format!("{} is a copy of the database as it was a moment ago.", file.display()));
    db.close().await
}

/// Puts a copy in the place of the configured SQLite database, and verifies it.
pub(super) async fn restore(config: Config, from: &Path) -> Result<()> {
    check_clock(&config)?;
    let url = database_url(&config)?;
    if !url.starts_with("sqlite:") {
        return Err(Error::bad_input(
            "PostgreSQL has its own tool: pg_restore --clean --if-exists --dbname=\"$WAYMARK_DATABASE_URL\" waymark.dump",
        ));
    }
    let to = transfer::restore(url, from).await?;
    say(&format!("{} is what {} was.", to.display(), from.display()));
    let db = open_whatever(&config).await?;
    let pending = db.migrations().await?.iter().filter(|(_, applied)| !applied).count();
    db.close().await?;
    if pending > 0 {
        say(&format!("{pending} migrations are pending; run `waymark migrate`, and then `waymark verify`."));
        return Ok(());
    }
    verify::verify(config).await
}

/// Shows how many records are done, when the output is a terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {human_pos} records, {per_sec}, {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
