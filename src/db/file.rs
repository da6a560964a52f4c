//! The file of an SQLite database and what stands beside it.
//!
//! SQLite replays whatever write-ahead log it finds beside a file. When a copy was put in the place of the file, that
//! is the log of another one: its pages come over those of the copy, which is malformed then, or shows what was undone.
//! So the log is looked at before SQLite sees it. Before a database is opened of which no log is left, its number in
//! the first page (`user_version`) is raised, in the file itself and while nobody else can open it. So a first page in
//! a log tells whether the file is of the same time; a log need not have one. A copy of ours has a [mark](mark_copy) on
//! top of that, as long as it was not opened.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use sea_orm::sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sea_orm::sqlx::{self, Connection as _};

use waymark_kernel::error::{Error, Result};

/// What is added to the number of a copy that was never opened.
const MARK: u32 = 1 << 30;
/// How the file of a database begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Where the number stands in a file.
const NUMBER_AT: u64 = 60;
/// How often a file and a log are looked at that do not fit: another process may write them meanwhile.
const LOOKS: u32 = 4;

/// The file that `url` names.
///
/// # Errors
/// [`Code::BadUserInput`](waymark_kernel::error::Code::BadUserInput) when it names none.
pub fn path(url: &str) -> Result<PathBuf> {
    let file = SqliteConnectOptions::from_str(url)
        .map_err(|_| Error::bad_input("the database URL is no SQLite path; try sqlite://waymark.db"))?;
    let file = file.get_filename();
    if file.to_string_lossy().contains(":memory:") {
        return Err(Error::bad_input("an in-memory SQLite database cannot be shared; name a file"));
    }
    // Where the file is a link, its log stands beside what the link leads to.
    Ok(std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned()))
}

/// What tells the file in this place from another one that is put there; `None` where there is none, or no way to tell.
pub(super) fn identity(file: &Path) -> Option<(u64, u64)> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(file).ok().map(|found| (found.dev(), found.ino()))
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        None
    }
}

/// The file of this name and `suffix`, such as `-wal`.
#[must_use]
pub fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(suffix);
    name.into()
}

/// Marks a database that nobody has open as a copy, to which no log belongs.
///
/// # Errors
/// When the file cannot be written.
pub fn mark_copy(file: &Path) -> io::Result<()> {
    renumber(&mut File::options().read(true).write(true).open(file)?, |number| number | MARK)
}

/// Raises the number of a database that is about to be opened, unless there is a log or another process has it open.
pub(super) fn begin(file: &Path) -> io::Result<()> {
    let Ok(mut claim) = claim(file) else { return Ok(()) };
    let mut begins = [0; MAGIC.len()];
    let is_database = claim.0.read_exact(&mut begins).is_ok() && begins == *MAGIC;
    // An empty file becomes a database when it is opened, and what is none stays as it is.
    if !is_quiet(file) || !is_database {
        return Ok(());
    }
    renumber(&mut claim.0, |number| (number & !MARK).wrapping_add(1) & (MARK - 1))
}

/// Puts another number into the first page, where no log has that page.
fn renumber(file: &mut File, next: impl FnOnce(u32) -> u32) -> io::Result<()> {
    let mut number = [0; 4];
    file.seek(SeekFrom::Start(NUMBER_AT))?;
    file.read_exact(&mut number)?;
    file.seek(SeekFrom::Start(NUMBER_AT))?;
    file.write_all(&next(u32::from_be_bytes(number)).to_be_bytes())?;
    file.sync_all()
}

/// Holds a database that no other process has open; none can open it meanwhile.
#[derive(Debug)]
pub struct Claim(File);

/// Claims the database in `file`.
///
/// # Errors
/// [`Code::BadUserInput`](waymark_kernel::error::Code::BadUserInput) when another process has it open, or the file
/// cannot be written.
pub fn claim(file: &Path) -> Result<Claim> {
    let unwritable = |error| Error::bad_input(format!("cannot write {}: {error}", file.display()));
    let open = File::options().read(true).write(true).open(file).map_err(unwritable)?;
    // Whoever has the database open holds a lock of this kind on a part of the file.
    #[cfg(unix)]
    rustix::fs::fcntl_lock(&open, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(|_| {
        Error::bad_input(format!("{} is in use: stop the server, and whatever else has it open, first", file.display()))
    })?;
    Ok(Claim(open))
}

/// Whether SQLite can write the database in `file`; `true` where that is not known.
#[cfg(unix)]
pub(super) fn is_writable(file: &Path) -> bool {
    use rustix::fs::{Access, access};
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let may_write =
        |path: &Path| !matches!(access(path, Access::WRITE_OK), Err(error) if error != rustix::io::Errno::NOENT);
    may_write(file) && (may_write(folder) || beside(file, "-wal").exists())
}

#[cfg(not(unix))]
pub(super) const fn is_writable(_file: &Path) -> bool {
    true
}

/// How many bytes are free where `file` is, as far as the system says.
#[must_use]
pub fn free_bytes(file: &Path) -> Option<u64> {
    #[cfg(unix)]
    return rustix::fs::statvfs(file).ok().map(|found| found.f_bavail.saturating_mul(found.f_frsize));
    #[cfg(not(unix))]
    return None;
}

/// Whether nobody can be writing what stands beside `file`: there is no log.
pub(super) fn is_quiet(file: &Path) -> bool {
    let log = std::fs::metadata(beside(file, "-wal")).map_or(0, |found| found.len());
    log == 0 && !beside(file, "-shm").exists()
}

/// Refuses a log that belongs to another file.
pub(super) async fn check(url: &str, file: &Path) -> Result<()> {
    for look in 1.. {
        match fits(url, file).await {
            Ok(false) if look == LOOKS => break,
            Ok(false) => tokio::time::sleep(Duration::from_millis(20)).await,
            // What cannot be read is told when it is opened.
            Ok(true) | Err(_) => return Ok(()),
        }
    }
    let file = file.display();
    Err(Error::bad_input(format!(
        "{file}-wal does not belong to {file}, into whose place a copy was put: put that back by `waymark restore COPY`, or \
         remove {file}-wal and {file}-shm if nothing in them is needed"
    )))
}

/// Whether the log beside `file` can be its own.
async fn fits(url: &str, file: &Path) -> Result<bool, sqlx::Error> {
    let log = beside(file, "-wal");
    if std::fs::metadata(&log).map_or(0, |found| found.len()) == 0 {
        return Ok(true);
    }
    // By SQLite: where this process has the file open elsewhere, closing it would end the locks on it. Without its log,
    // and before that is read: what is written meanwhile comes into the log first.
    let options = SqliteConnectOptions::from_str(url)?.read_only(true).immutable(true);
    let mut connection = SqliteConnection::connect_with(&options).await?;
    let number: i32 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut connection).await?;
    let cookie: i32 = sqlx::query_scalar("PRAGMA schema_version").fetch_one(&mut connection).await?;
    connection.close().await?;
    let head = Head { number: number.cast_unsigned(), cookie: cookie.cast_unsigned() };
    Ok(Log::read(&log)?.is_none_or(|log| log.may_follow(head)))
}

/// What the first page of a database says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Head {
    number: u32,
    /// How often the schema has changed. A copy by `VACUUM` begins with one more.
    cookie: u32,
}

impl Head {
    fn of(page: &[u8]) -> Self {
        Self { number: word(page, 60, u32::from_be_bytes), cookie: word(page, 40, u32::from_be_bytes) }
    }
}

/// What was committed in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Log {
    /// The latest first page in it.
    head: Option<Head>,
}

impl Log {
    /// Whether it can be the log of a file with this first page. The number of a copy is none that a log has.
    fn may_follow(self, head: Head) -> bool {
        self.head.map_or(head.number & MARK == 0, |last| head.number == last.number && head.cookie <= last.cookie)
    }

    /// Reads a log; `None` where nothing was committed.
    fn read(file: &Path) -> io::Result<Option<Self>> {
        let input = match File::open(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            input => input?,
        };
        let mut input = BufReader::with_capacity(1 << 18, input);
        let mut header = [0; 32];
        if input.read_exact(&mut header).is_err() {
            return Ok(None);
        }
        let big_endian = match word(&header, 0, u32::from_be_bytes) {
            0x377f_0682 => false,
            0x377f_0683 => true,
            _ => return Ok(None),
        };
        let mut sum = Sum { big_endian, of: (0, 0) };
        sum.add(&header[..24]);
        let size = word(&header, 8, u32::from_be_bytes) as usize;
        if !sum.is(&header[24..]) || !(512..=65_536).contains(&size) {
            return Ok(None);
        }
        let (mut frame, mut page) = ([0; 24], vec![0; size]);
        let (mut found, mut committed) = (Self { head: None }, None);
        while input.read_exact(&mut frame).is_ok() && input.read_exact(&mut page).is_ok() {
            sum.add(&frame[..8]);
            sum.add(&page);
            if frame[8..16] != header[16..24] || !sum.is(&frame[16..]) {
                break;
            }
            if word(&frame, 0, u32::from_be_bytes) == 1 {
                found.head = Some(Head::of(&page));
            }
            if word(&frame, 4, u32::from_be_bytes) != 0 {
                committed = Some(found);
            }
        }
        Ok(committed)
    }
}

/// The checksum of a log, each of whose frames goes on with that of the one before.
struct Sum {
    big_endian: bool,
    of: (u32, u32),
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let read = if self.big_endian { u32::from_be_bytes } else { u32::from_le_bytes };
        for pair in bytes.chunks_exact(8) {
            self.of.0 = self.of.0.wrapping_add(word(pair, 0, read)).wrapping_add(self.of.1);
            self.of.1 = self.of.1.wrapping_add(word(pair, 4, read)).wrapping_add(self.of.0);
        }
    }

    fn is(&self, stored: &[u8]) -> bool {
        self.of == (word(stored, 0, u32::from_be_bytes), word(stored, 4, u32::from_be_bytes))
    }
}

fn word(bytes: &[u8], at: usize, read: fn([u8; 4]) -> u32) -> u32 {
    let four = bytes.get(at..at + 4).and_then(|four| four.try_into().ok());
    read(four.unwrap_or_default())
}
