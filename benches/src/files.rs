//! The limit of open files.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::Result;

/// Makes sure that this program and those it starts may have `needed` files open: begins the program anew with a
/// higher limit where it is too low.
///
/// # Errors
/// When the system allows fewer.
pub(crate) fn make_room(needed: u64) -> Result<()> {
    let limits = fs::read_to_string("/proc/self/limits")?;
    let (soft, hard) = read(&limits).ok_or("the limit of open files cannot be read")?;
    if soft >= needed {
        return Ok(());
    }
    if hard < needed {
        return Err(format!(
            "so many connections need {needed} open files, and this process may have {hard} at most (ulimit -Hn). Raise that as \
             root (ulimit -n {needed}; in a container docker run --ulimit nofile={needed}; under systemd LimitNOFILE={needed}), \
             or ask for {} fewer",
            needed - hard
        )
        .into());
    }
    let mut anew = Command::new("sh");
    anew.args(["-c", "ulimit -n \"$0\" && exec \"$@\"", &needed.to_string()]).arg(std::env::current_exe()?);
    Err(anew.args(std::env::args_os().skip(1)).exec().into())
}

/// The soft and the hard limit in what Linux says about a process.
fn read(limits: &str) -> Option<(u64, u64)> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let mut numbers = line.split_whitespace().map(|number| match number {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    });
    Some((numbers.next()??, numbers.next()??))
}
