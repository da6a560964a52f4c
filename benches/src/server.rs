//! The server processes that are measured, and what the operating system knows of them.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Result;
use crate::load::{Dialect, Target};

/// A server in a process of its own. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) target: Target,
}

impl Server {
    /// Runs `command` until it says on stderr which address it serves on.
    pub(crate) fn start(mut command: Command, key: &str, dialect: Dialect) -> Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let mut lines = BufReader::new(child.stderr.take().ok_or("a server has no stderr")?).lines();
        let mut said = Vec::new();
        for line in lines.by_ref() {
            let line = line?;
            if let Some(address) = line.split("http://").nth(1) {
                let address = address.trim_end_matches('/').parse()?;
                // Whoever closes the pipe ends the server with its next message; what it says is passed on.
                std::thread::spawn(move || lines.map_while(std::io::Result::ok).for_each(|line| eprintln!("{line}")));
                return Ok(Self { child, target: Target { address, key: key.to_owned(), dialect } });
            }
            said.push(line);
        }
        child.wait()?;
        Err(format!("{command:?} does not serve: {}", said.join("\n")).into())
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The most memory it ever had, pages of mapped files included, in MiB.
    pub(crate) fn peak_memory(&self) -> Option<f64> {
        peak_memory_of(self.pid())
    }

    /// The memory it has now, in MiB.
    pub(crate) fn memory(&self) -> Option<f64> {
        status(self.pid(), "VmRSS:")
    }

    /// The memory it has now without pages of mapped files, in MiB.
    pub(crate) fn own_memory(&self) -> Option<f64> {
        status(self.pid(), "RssAnon:")
    }
}

/// The most memory a running process ever had, in MiB.
pub(crate) fn peak_memory_of(pid: u32) -> Option<f64> {
    status(pid, "VmHWM:")
}

fn status(pid: u32, name: &str) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes / 1024.0)
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The time a process and its children have spent on processors.
pub(crate) fn cpu(pid: u32) -> Duration {
    stat(&Path::new("/proc").join(pid.to_string())).map_or(Duration::ZERO, |(_, cpu)| cpu) + cpu_of_children(pid)
}

/// The time the children of a process have spent on processors.
pub(crate) fn cpu_of_children(parent: u32) -> Duration {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    processes.filter_map(|entry| stat(&entry.path())).filter(|(of, _)| *of == parent).map(|(_, cpu)| cpu).sum()
}

/// The parent of a process, and the time it has spent on processors.
fn stat(directory: &Path) -> Option<(u32, Duration)> {
    const TICK: u64 = 10;
    let text = fs::read_to_string(directory.join("stat")).ok()?;
    // The name may hold spaces, and is in parentheses.
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let user: u64 = fields.nth(9)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((parent, Duration::from_millis((user + system) * TICK)))
}
