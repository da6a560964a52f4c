//! A PostgreSQL cluster of our own, kept under `target/` between runs.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

/// A running cluster. Stops when dropped.
#[derive(Debug)]
pub(crate) struct Cluster {
    programs: PathBuf,
    data: PathBuf,
    /// Whom the server runs as, where we are root: PostgreSQL refuses to be root.
    owner: Option<(u32, u32)>,
    port: u16,
}

impl Cluster {
    /// Starts the cluster in `directory`, making it if there is none.
    pub(crate) fn start(directory: &Path) -> Result<Self> {
        let programs = programs()?;
        fs::create_dir_all(directory)?;
        let owner = if fs::metadata(directory)?.uid() == 0 || id(&["-u"])? == 0 {
            let owner = (id(&["-u", "postgres"])?, id(&["-g", "postgres"])?);
            chown(directory, Some(owner.0), Some(owner.1))?;
            Some(owner)
        } else {
            None
        };
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let cluster = Self { programs, data: directory.join("data"), owner, port };
        if !cluster.data.join("PG_VERSION").exists() {
            let data = cluster.data.to_string_lossy().into_owned();
            let arguments = ["-D", &data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C"];
            cluster.run("initdb", &arguments)?;
        }
        // A run that was killed may have left it running on a port that nobody knows.
        if cluster.pg_ctl(&["status"]).is_ok() {
            cluster.pg_ctl(&["stop", "-m", "fast", "-w"])?;
        }
        // Everything is in memory, and pages in any order cost the same there. Durability is as it comes.
        let mut options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c shared_buffers=1GB \
             -c random_page_cost=1.1 -c max_wal_size=4GB -c max_connections=100"
        );
        if cluster.programs.with_file_name("lib").join("pg_stat_statements.so").exists() {
            options.push_str(" -c shared_preload_libraries=pg_stat_statements");
        }
        let log = directory.join("log").to_string_lossy().into_owned();
        cluster.pg_ctl(&["start", "-w", "-l", &log, "-o", &options])?;
        Ok(cluster)
    }

    /// The address of a database in it.
    pub(crate) fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// The id of the process that all others of the server descend from.
    pub(crate) fn pid(&self) -> Result<u32> {
        let text = fs::read_to_string(self.data.join("postmaster.pid"))?;
        Ok(text.lines().next().unwrap_or_default().trim().parse()?)
    }

    fn pg_ctl(&self, arguments: &[&str]) -> Result<()> {
        let data = self.data.to_string_lossy().into_owned();
        self.run("pg_ctl", &[&["-D", &data], arguments].concat())
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<()> {
        let mut command = Command::new(self.programs.join(program));
        command.args(arguments).current_dir(self.data.parent().unwrap_or(Path::new("/")));
        if let Some((user, group)) = self.owner {
            command.uid(user).gid(group);
        }
        // Into files and not pipes: the server that pg_ctl starts would keep a pipe open.
        let said = std::env::temp_dir().join(format!("waymark-bench-{}.log", std::process::id()));
        let file = fs::File::create(&said)?;
        let status = command.stdout(file.try_clone()?).stderr(file).status();
        let text = fs::read_to_string(&said).unwrap_or_default();
        let _ = fs::remove_file(&said);
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(_) => Err(format!("{program} failed: {}", text.trim()).into()),
            Err(error) => Err(format!("{program} cannot be run: {error}").into()),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if let Err(error) = self.pg_ctl(&["stop", "-m", "fast", "-w"]) {
            eprintln!("warning: {error}");
        }
    }
}

/// Where PostgreSQL's programs are: the newest that Debian has installed, or those on the path.
fn programs() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((version, entry.path().join("bin")))
    });
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|directory| (0, directory));
    let installed = debian.chain(on_path).filter(|(_, directory)| directory.join("initdb").exists());
    let found = installed.max_by_key(|(version, _)| *version).map(|(_, directory)| directory);
    found.ok_or_else(|| "PostgreSQL is not installed; apt-get install postgresql, or set BENCH_DATABASE_URL".into())
}

fn id(arguments: &[&str]) -> Result<u32> {
    let output = Command::new("id").args(arguments).output()?;
    if !output.status.success() {
        return Err("run as root, the benchmark starts PostgreSQL as the user postgres, whom this machine lacks".into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().parse()?)
}
