//! Reading files: lines to records, some thousand at a time, on a thread of its own.

use std::fs::File;
use std::io::{BufRead, BufReader, Read as _};
use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;
use tokio::sync::mpsc;

use super::faults;
use super::records::{PASSES, Record, TYPES, VERSION};
use waymark_kernel::error::{Error, Result};
use waymark_kernel::text;

/// How many records one transaction takes.
pub(super) const CHUNK: usize = 5000;
/// The longest line, in bytes.
const LONGEST: u64 = 4 * 1024 * 1024;

/// Where records come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A file, which is read once per pass. What has a path and is no regular file, such as a pipe, is read as standard
    /// input is.
    File(PathBuf),
    /// Standard input, which is read once and after all files.
    Stdin,
}

impl Source {
    fn name(&self) -> Arc<str> {
        match self {
            Self::File(path) => path.display().to_string().into(),
            Self::Stdin => "-".into(),
        }
    }

    /// Fails when there is nothing to be read. Nothing is taken out of a pipe by this, and nobody waits for its writer.
    pub(super) fn check(&self) -> Result<()> {
        let Self::File(path) = self else { return Ok(()) };
        let unreadable =
            |error: &dyn std::fmt::Display| Error::bad_input(format!("cannot read {}: {error}", path.display()));
        let found = std::fs::metadata(path).map_err(|error| unreadable(&error))?;
        if found.is_dir() {
            return Err(unreadable(&"it is a directory"));
        }
        if found.is_file() {
            File::open(path).map_err(|error| unreadable(&error))?;
        }
        Ok(())
    }

    /// Whether it says the same whenever it is opened. What comes out of a pipe comes once.
    fn can_be_read_again(&self) -> bool {
        matches!(self, Self::File(path) if std::fs::metadata(path).is_ok_and(|found| found.is_file()))
    }

    fn open(&self) -> Result<Box<dyn BufRead + Send>> {
        match self {
            Self::File(path) => {
                let file = File::open(path)
                    .map_err(|error| Error::bad_input(format!("cannot read {}: {error}", path.display())))?;
                Ok(Box::new(BufReader::with_capacity(1 << 18, file)))
            }
            Self::Stdin => Ok(Box::new(BufReader::with_capacity(1 << 18, std::io::stdin()))),
        }
    }
}

/// A record and where it stands.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) file: Arc<str>,
    pub(super) number: u64,
    /// What it says, or why it says nothing.
    pub(super) record: Result<Record, String>,
    /// Whether the file brings along what the histories say of it.
    pub(super) has_history: bool,
}

/// Some records, all of the same pass unless they come from what is read once.
pub(super) type Chunk = Vec<Line>;

/// Starts to read. Every record comes once: first those that others refer to, from all files; standard input and pipes
/// last, in the order in which they were given.
pub(super) fn read(sources: Vec<Source>, scope_keys: bool) -> mpsc::Receiver<Result<Chunk>> {
    let (chunks, reader) = mpsc::channel(2);
    tokio::task::spawn_blocking(move || {
        let mut out = Out { chunks, chunk: Vec::with_capacity(CHUNK), bytes: 0, scope_keys };
        if let Err(error) = read_all(&sources, &mut out) {
            // Nobody listens any more when the import was given up.
            let _ = out.chunks.blocking_send(Err(error));
        }
    });
    reader
}

struct Out {
    chunks: mpsc::Sender<Result<Chunk>>,
    chunk: Chunk,
    bytes: usize,
    /// Whether keys of achievements and cards are unique only within their game or collection.
    scope_keys: bool,
}

impl Out {
    fn push(&mut self, line: Line, bytes: usize) -> Result<()> {
        self.chunk.push(line);
        self.bytes += bytes;
        if self.chunk.len() >= CHUNK || self.bytes >= 16 * 1024 * 1024 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        if self.chunk.is_empty() {
            return Ok(());
        }
        let chunk = std::mem::replace(&mut self.chunk, Vec::with_capacity(CHUNK));
        self.chunks.blocking_send(Ok(chunk)).map_err(|_| Error::internal("nobody reads the records any more"))
    }
}

fn read_all(sources: &[Source], out: &mut Out) -> Result<()> {
    let (files, read_once): (Vec<&Source>, Vec<&Source>) =
        sources.iter().partition(|source| source.can_be_read_again());
    for pass in 0..PASSES {
        for source in &files {
            read_one(source, Some(pass), out)?;
        }
        out.flush()?;
    }
    for source in read_once {
        read_one(source, None, out)?;
        out.flush()?;
    }
    Ok(())
}

/// Reads the records of one pass, or of all.
fn read_one(source: &Source, pass: Option<usize>, out: &mut Out) -> Result<()> {
    let name = source.name();
    let mut input = source.open()?;
    let mut buffer = Vec::new();
    let (mut number, mut has_history, mut version) = (0, false, VERSION);
    loop {
        buffer.clear();
        let failed = |error: std::io::Error| Error::bad_input(format!("cannot read {name}: {error}"));
        let read = (&mut input).take(LONGEST).read_until(b'\n', &mut buffer).map_err(failed)?;
        if read == 0 {
            return Ok(());
        }
        number += 1;
        let mut line = Line { file: Arc::clone(&name), number, record: Err(String::new()), has_history };
        let first = pass.unwrap_or(0) == 0;
        if buffer.last() != Some(&b'\n') && read as u64 == LONGEST {
            skip_line(&mut input).map_err(failed)?;
            if first {
                line.record = Err(format!("the line is longer than {LONGEST} bytes"));
                out.push(line, 0)?;
            }
            continue;
        }
        let text = if number == 1 { text::without_mark(&buffer) } else { &buffer }.trim_ascii();
        if text.is_empty() {
            continue;
        }
        let own_pass = kind_of(text);
        let may_be_header = number == 1 || text.starts_with(b"{\"type\":\"waymark\"");
        match &own_pass {
            Ok(own) if pass.is_some_and(|pass| pass != *own) && !may_be_header => continue,
            Err(_) if !first => continue,
            _ => {}
        }
        let record = own_pass.and_then(|_| read_record(text)).map(|record| record.of_version(version));
        line.record = record.and_then(|record| record.scoped(out.scope_keys));
        match &line.record {
            Ok(Record::Waymark(header)) => {
                if !(1..=VERSION).contains(&header.version) {
                    return Err(Error::bad_input(format!(
                        "{name} has version {} of the format, and this program reads versions 1 to {VERSION}",
                        header.version
                    )));
                }
                (has_history, version) = (header.history, header.version);
            }
            // A first line that is no header, and not of this pass.
            _ if pass.is_some_and(|pass| kind_of(text).is_ok_and(|own| own != pass)) => {}
            _ => out.push(line, text.len())?,
        }
    }
}

/// What a line says, unless a text in it cannot be stored.
fn read_record(line: &[u8]) -> Result<Record, String> {
    if text::may_hold_nul(line) {
        let value: Value = text::from_json(line).map_err(|error| faults::of_json(&error))?;
        if let Some(place) = text::place_of_nul(&value) {
            return Err(format!("{place} {}", text::HOLDS_NUL));
        }
    }
    serde_json::from_slice(line).map_err(|error| faults::of_record(line, &error))
}

fn skip_line(input: &mut impl BufRead) -> std::io::Result<()> {
    loop {
        let some = input.fill_buf()?;
        match some.iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                input.consume(end + 1);
                return Ok(());
            }
            None if some.is_empty() => return Ok(()),
            None => {
                let all = some.len();
                input.consume(all);
            }
        }
    }
}

/// The pass in which a line is read.
fn kind_of(line: &[u8]) -> Result<usize, String> {
    #[derive(Deserialize)]
    struct Kind<'a> {
        #[serde(rename = "type", borrow)]
        name: std::borrow::Cow<'a, str>,
    }
    // How exports write it; anything else is read as JSON.
    let prefix = line.strip_prefix(b"{\"type\":\"");
    let name = prefix.and_then(|rest| Some(&rest[..rest.iter().position(|byte| *byte == b'"')?]));
    if let Some(pass) = name.and_then(|name| std::str::from_utf8(name).ok()).and_then(Record::pass) {
        return Ok(pass);
    }
    // What halves of surrogate pairs make unreadable is told by the place where they stand.
    let line = text::without_halves(line);
    let kind: Kind<'_> = serde_json::from_slice(&line).map_err(|error| faults::of_json(&error))?;
    Record::pass(&kind.name).ok_or_else(|| {
        let nearest = faults::nearest(&kind.name, TYPES.iter().map(|(name, _)| *name));
        format!("there is no type of record {:?}{}", kind.name, faults::or_rather(nearest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pass_of_a_line_follows_from_its_type_wherever_that_stands() {
        assert_eq!(kind_of(br#"{"type":"user","handle":"grace"}"#), Ok(0));
        assert_eq!(kind_of(br#"{"handle": "grace", "type": "user"}"#), Ok(0));
        assert_eq!(kind_of(br#"{"type":"unlock"}"#), Ok(2));
        assert_eq!(kind_of(br#"{"type":"nothing"}"#), Err("there is no type of record \"nothing\"".to_owned()));
        assert!(kind_of(b"{").is_err() && kind_of(b"{}").is_err() && kind_of(b"[1]").is_err());
    }

    #[test]
    fn every_type_has_a_pass_and_every_pass_a_type() {
        for pass in 0..PASSES {
            assert!(super::super::records::TYPES.iter().any(|(_, own)| *own == pass));
        }
    }
}
