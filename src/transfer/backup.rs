//! Copies of a live SQLite database, and putting them back.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::sql;
use waymark_db::file::{self, beside};
use waymark_db::{Db, Kind};
use waymark_kernel::error::{Error, Result};

/// Copies the live SQLite database `db` into the new file `to`, while others read and write: the copy is the database
/// as it was at one instant.
///
/// # Errors
/// [`Code::BadUserInput`](waymark_kernel::error::Code::BadUserInput) when `to` is there already or cannot be written,
/// or the database is no SQLite or has no schema; otherwise when the database fails.
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
    let failed = |error: io::Error| unwritten(to, &error);
    // Under another name until it is whole, so that what has the name is a backup.
    let partial = &partial_of(to);
    // Also says what is wrong with the folder.
    File::create_new(partial).map_err(failed)?;
    let path = partial.to_str().ok_or_else(|| Error::bad_input("the name of the file is no Unicode"))?;
    let made = async {
        sql::copy_into(db, path).await?;
        check(db, path).await
    };
    let made = made.await.and_then(|()| {
        file::mark_copy(partial).map_err(failed)?;
        // Fails when the name was taken meanwhile, which a renaming would not.
        fs::hard_link(partial, to)
            .map_err(|error| if error.kind() == io::ErrorKind::AlreadyExists { taken() } else { failed(error) })
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

/// Puts the copy `from` in the place of the SQLite database at `url`, and gives that place. Nothing is changed before
/// the copy was found to be sound, and what is interrupted is refused when it is opened.
///
/// # Errors
/// [`Code::BadUserInput`](waymark_kernel::error::Code::BadUserInput) when another process has the database open, `from`
/// is no sound database of this program or has a log of its own, or a file cannot be written; otherwise when the
/// database fails.
pub async fn restore(url: &str, from: &Path) -> Result<PathBuf> {
    let to = file::path(url)?;
    check_source(from, &to)?;
    let unwritten = |error: io::Error| unwritten(&to, &error);
    let old = if to.exists() { Some(file::claim(&to)?) } else { None };
    let partial = &partial_of(&to);
    let mut copy = File::create_new(partial).map_err(unwritten)?;
    let made = async {
        io::copy(&mut File::open(from).map_err(unwritten)?, &mut copy).map_err(unwritten)?;
        check_copy(partial, from).await?;
        // From here to where the old log is gone, a start finds that the two do not belong together, and waits for
        // both.
        file::mark_copy(partial)
            .and_then(|()| if old.is_some() { own_as(&to, partial) } else { Ok(()) })
            .map_err(unwritten)?;
        // Whoever closes a file gives up all locks on it, so nothing may have it open any more.
        drop(copy);
        let new = file::claim(partial)?;
        fs::rename(partial, &to).map_err(unwritten)?;
        Ok(new)
    };
    let made: Result<file::Claim> = made.await;
    if made.is_err() {
        remove(partial);
    }
    let _new = made?;
    for suffix in ["-wal", "-shm", "-journal"] {
        match fs::remove_file(beside(&to, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unwritten(error)),
            _ => {}
        }
    }
    if let Some(folder) = to.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(unwritten)?;
    }
    Ok(to)
}

fn unwritten(to: &Path, error: &io::Error) -> Error {
    Error::bad_input(format!("cannot write {}: {error}", to.display()))
}

/// Refuses what cannot be a whole copy of a database.
fn check_source(from: &Path, to: &Path) -> Result<()> {
    let no = |why: &str| Err(Error::bad_input(format!("{} {why}", from.display())));
    match fs::metadata(from) {
        Err(error) => return Err(Error::bad_input(format!("cannot read {}: {error}", from.display()))),
        Ok(found) if !found.is_file() => return no("is no file"),
        Ok(_) => {}
    }
    if fs::canonicalize(from).ok() == fs::canonicalize(to).ok() {
        return no("is the database itself; name a copy of it");
    }
    if fs::metadata(beside(from, "-wal")).is_ok_and(|log| log.len() > 0) {
        return no(
            "is in use or was not closed: what was written last is in the -wal beside it. Copy it by `waymark backup`",
        );
    }
    Ok(())
}

/// Gives a file the permissions and the owner of another one: who restores need not be who serves.
fn own_as(one: &Path, file: &Path) -> io::Result<()> {
    let wanted = fs::metadata(one)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt as _, chown};
        let found = fs::metadata(file)?;
        if (wanted.uid(), wanted.gid()) != (found.uid(), found.gid()) {
            chown(file, Some(wanted.uid()), Some(wanted.gid()))?;
        }
    }
    fs::set_permissions(file, wanted.permissions())
}

/// Checks that a copy is a sound database with a schema that this program knows.
async fn check_copy(copy: &Path, from: &Path) -> Result<()> {
    let no = |why: String| Error::bad_input(format!("{} is no database to restore: {why}", from.display()));
    let path = copy.to_str().ok_or_else(|| Error::bad_input("the name of the file is no Unicode"))?;
    let copy = Db::connect_existing(&format!("sqlite://{path}"), 1).await;
    let copy = copy.map_err(|error| no(error.chain().replace(path, &from.display().to_string())))?;
    let checked = async {
        let sound = sql::is_sound(&copy).await?;
        let migrations = copy.migrations().await?;
        Ok((sound, migrations.iter().any(|(_, applied)| *applied)))
    };
    let checked: Result<_> = checked.await;
    copy.close().await?;
    match checked.map_err(|error| no(error.chain()))? {
        (true, true) => Ok(()),
        (false, _) => Err(no("it is damaged".to_owned())),
        (_, false) => Err(no("it has no schema of this program".to_owned())),
    }
}

/// Where a copy is made before it gets its name; no other process uses it.
fn partial_of(to: &Path) -> PathBuf {
    beside(to, &format!(".partial-{}", std::process::id()))
}

fn remove(partial: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        // Usually there is nothing to remove.
        let _ = fs::remove_file(beside(partial, suffix));
    }
}
