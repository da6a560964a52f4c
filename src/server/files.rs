//! How many connections the limit of open files leaves room for.

use std::fs;

use super::lines::LEAVING;
use waymark_kernel::config::Config;

/// Files for everything but connections and the database: logs, timers, keys and traces that are fetched and sent.
const OTHERS: usize = 32;
/// Files per connection to the database: SQLite opens three, and one is to spare.
const PER_DATABASE_CONNECTION: usize = 4;
/// Requests that ask how the server is, and connections on which nothing is asked at the moment.
const IDLE: usize = 256;
/// The least number of connections, even when the limit of files allows fewer.
const FEWEST: usize = 16;
/// The limit where none can be read.
const USUAL: usize = 1024;

/// How many connections there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// At the most.
    pub most: usize,
    wanted: usize,
    limit: usize,
}

impl Room {
    /// Room as the settings want it and this process's limit of open files allows.
    pub fn from_config(config: &Config) -> Self {
        Self::within(limit().unwrap_or(USUAL), config)
    }

    fn within(limit: usize, config: &Config) -> Self {
        let limits = &config.limits;
        let requests = limits.max_concurrent_requests.saturating_add(limits.max_queued_requests);
        let wanted = match limits.max_connections {
            0 => (limits.max_streams as usize).saturating_add(requests).saturating_add(IDLE),
            set => set,
        };
        let database = (config.database_max_connections as usize).saturating_add(1);
        let others = OTHERS + LEAVING;
        let left = limit.saturating_sub(others).saturating_sub(database.saturating_mul(PER_DATABASE_CONNECTION));
        Self { most: wanted.min(left.max(FEWEST)), wanted, limit }
    }

    /// Says so in the log when there is less room than the settings want.
    pub fn warn(self) {
        if self.most < self.wanted {
            tracing::warn!(
                limit = self.limit,
                most = self.most,
                "the limit of open files (ulimit -n) allows fewer connections than the {} that the settings allow; raise it by {}",
                self.wanted,
                self.wanted - self.most,
            );
        }
    }
}

/// How many files this process may have open at a time, where that can be found out.
fn limit() -> Option<usize> {
    read(&fs::read_to_string("/proc/self/limits").ok()?)
}

/// The soft limit in what Linux says about a process.
fn read(limits: &str) -> Option<usize> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(usize::MAX),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(limit: usize, settings: &[(&str, &str)]) -> Room {
        let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Room::within(limit, &Config::from_sources(None, settings).unwrap())
    }

    #[test]
    fn connections_stay_below_the_limit_of_files_and_leave_room_for_the_database() {
        assert_eq!(room(usize::MAX, &[]).most, 10_000 + 256 + 1024 + IDLE);
        assert_eq!(room(256, &[]).most, 256 - OTHERS - LEAVING - 11 * PER_DATABASE_CONNECTION);
        assert_eq!(room(256, &[("WAYMARK_MAX_CONNECTIONS", "100")]).most, 100);
        assert_eq!(room(256, &[("WAYMARK_MAX_CONNECTIONS", "1000")]).most, 164);
        assert_eq!(room(20, &[]).most, FEWEST);
        assert_eq!(room(4096, &[("WAYMARK_DATABASE_MAX_CONNECTIONS", "1000")]).most, 4096 - OTHERS - LEAVING - 4004);
    }

    #[test]
    fn the_limit_is_read_as_linux_says_it() {
        let text = "Limit                     Soft Limit           Hard Limit           Units     \n\
            Max processes             15360                15360                processes \n\
            Max open files            1024                 524288               files     \n";
        assert_eq!(read(text), Some(1024));
        assert_eq!(read(&text.replace("1024  ", "unlimited")), Some(usize::MAX));
        assert_eq!(read("Max open files"), None);
        assert_eq!(read(""), None);
        #[cfg(target_os = "linux")]
        assert!(limit().is_some_and(|limit| limit > 0));
    }
}
