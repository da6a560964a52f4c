//! Copies of a live SQLite database.

use std::path::Path;

use super::sql;
use waymark_db::{Db, Kind};
use waymark_kernel::error::{Error, Result};

/// Copies the live SQLite database `db` into the new file `to`, while others read and write: the copy is the database as
/// it was at one instant.
///
/// # Errors
/// [`Code::BadUserInput`](waymark_kernel::error::Code::BadUserInput) when `to` is there already or cannot be written, or the
/// database is no SQLite or has no schema; otherwise when the database fails.
pub async fn backup(db: &Db, to: &Path) -> Result<()> {
    if db.kind() == Kind::Postgres {
        return Err(Error::bad_input(
            "PostgreSQL has its own tool for backups: pg_dump --format=custom --file=waymark.dump \"$WAYMARK_DATABASE_URL\"",
        ));
    }
    if !db.migrations().await?.iter().any(|(_, applied)| *applied) {
        return Err(Error::bad_input("there is nothing to copy: the database has no schema; is it the right one?"));
    }
    let taken = || Error::bad_input(format!("{} is there already; name a new file", to.display()));
    if to.symlink_metadata().is_ok() {
        return Err(taken());
    }
    let failed = |error: std::io::Error| Error::bad_input(format!("cannot write {}: {error}", to.display()));
    // Under another name until it is whole, so that what has the name is a backup.
    let mut partial = to.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    remove(partial);
    // Also says what is wrong with the folder.
    std::fs::File::create_new(partial).map_err(failed)?;
    let path = partial.to_str().ok_or_else(|| Error::bad_input("the name of the file is no Unicode"))?;
    let made = async {
        sql::copy_into(db, path).await?;
        check(db, path).await
    };
    let made = made.await.and_then(|()| {
        std::fs::File::open(partial).and_then(|file| file.sync_all()).map_err(failed)?;
        // Fails when the name was taken meanwhile, which a renaming would not.
        std::fs::hard_link(partial, to)
            .map_err(|error| if error.kind() == std::io::ErrorKind::AlreadyExists { taken() } else { failed(error) })
    });
    remove(partial);
    made
}

/// Checks that a copy is a sound database with the schema of the original.
async fn check(db: &Db, path: &str) -> Result<()> {
    let copy = Db::connect_existing(&format!("sqlite://{path}"), 1).await?;
    let same = copy.migrations().await? == db.migrations().await?;
    let sound = same && sql::is_sound(&copy).await?;
    copy.close().await?;
    if sound { Ok(()) } else { Err(Error::internal("the copy is not the database")) }
}

fn remove(partial: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = partial.as_os_str().to_owned();
        name.push(suffix);
        // Usually there is nothing to remove.
        let _ = std::fs::remove_file(name);
    }
}
