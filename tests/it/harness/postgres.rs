//! A PostgreSQL cluster of our own, for as long as this process lives.
//!
//! A shell script makes the cluster in a temporary directory, as an unprivileged user where this process runs as root,
//! does as it is told on its standard input, and waits for that to end. That happens when the tests are over, however they end, so nothing is ever
//! left behind.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

const SCRIPT: &str = r#"
set -e
bin=$1 port=$2 more=$3 primary=$4
directory=$(mktemp -d "${TMPDIR:-/tmp}/waymark-postgres.XXXXXX")
finish() {
    status=$?
    [ $status = 0 ] || cat "$directory/log" >&2
    "$bin/pg_ctl" -D "$directory/data" -m immediate stop >/dev/null 2>&1 || true
    rm -rf "$directory"
}
trap finish EXIT
trap '' INT
if [ -n "$primary" ]; then
    # A link on the PATH need not have all programs beside it.
    programs=$(dirname "$(readlink -f "$bin/postgres")")
    "$programs/pg_basebackup" -h 127.0.0.1 -p "$primary" -U waymark -D "$directory/data" -R -c fast -X stream >"$directory/log" 2>&1
else
    "$bin/initdb" -D "$directory/data" -U waymark -A trust -E UTF8 --locale=C --no-sync >"$directory/log" 2>&1
fi
start() {
    "$bin/pg_ctl" -D "$directory/data" -l "$directory/log" -w -t 60 \
        -o "-c port=$port -c listen_addresses=127.0.0.1 -c unix_socket_directories=$directory -c max_connections=300" \
        -o "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c autovacuum=off" -o "$more" \
        start >/dev/null 2>&1
}
ours() {
    for process in /proc/[0-9]*; do
        [ "$(readlink "$process/cwd" 2>/dev/null)" != "$directory/data" ] || echo "${process#/proc/}"
    done
}
# A certificate for localhost and the authority behind it: authority.crt, or one of the first version of X.509.
certify() {
    cd "$directory/data"
    openssl req -new -x509 -nodes -newkey rsa:2048 -days 2 -subj /CN=authority -keyout authority.key -out authority.crt
    openssl req -new -nodes -newkey rsa:2048 -subj /CN=localhost -keyout server.key -out server.csr
    printf 'subjectAltName=DNS:localhost\n' >extensions
    if [ "$1" = third ]; then set -- -extfile extensions; else set --; fi
    openssl x509 -req -in server.csr -CA authority.crt -CAkey authority.key -CAcreateserial -days 2 "$@" -out server.crt
    chmod 600 server.key
    cp authority.crt "$directory/authority.crt"
    chmod 755 "$directory" && chmod 644 "$directory/authority.crt"
    echo 'ssl = on' >>postgresql.auto.conf
    cd /
    "$bin/pg_ctl" -D "$directory/data" reload
}
start
echo "ready $directory"
while read -r word; do
    case $word in
        kill)
            while processes=$(ours) && [ -n "$processes" ]; do
                kill -9 $processes 2>/dev/null || true
                sleep 0.02
            done
            # Who is dead and was not waited for yet counts as running: for the directory, and for the socket.
            rm -f "$directory/data/postmaster.pid" "$directory/.s.PGSQL.$port.lock" ;;
        start) start || { sleep 0.5; start; } ;;
        promote) "$bin/pg_ctl" -D "$directory/data" -w promote >/dev/null 2>&1 ;;
        first|third) certify "$word" >>"$directory/log" 2>&1 ;;
    esac
    echo "$word"
done
"#;

/// A running cluster; stopped and removed when dropped.
pub(crate) struct Cluster {
    script: Child,
    said: BufReader<ChildStdout>,
    /// Where its files are.
    pub(crate) directory: PathBuf,
    pub(crate) port: u16,
    /// Where the database that every cluster has is found.
    pub(crate) url: String,
}

/// Where the server's programs are: on the PATH, or where Linux distributions put them.
pub(super) fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .map(|versions| versions.flatten().map(|version| version.path().join("bin")).collect())
        .unwrap_or_default();
    places.sort_by_key(|place| {
        let version = place.parent().and_then(Path::file_name).and_then(|name| name.to_str()?.parse::<u32>().ok());
        std::cmp::Reverse(version)
    });
    std::env::split_paths(&path)
        .chain(places)
        .find(|place| ["initdb", "postgres", "pg_ctl"].iter().all(|program| place.join(program).is_file()))
}

impl Cluster {
    /// Starts a cluster that keeps what it has acknowledged even when it is killed, with further settings as arguments of
    /// `postgres`; `None` where its programs are not installed.
    pub(crate) fn to_be_killed(settings: &str) -> Option<Self> {
        let settings = format!("-c synchronous_commit=on -c full_page_writes=on {settings}");
        let port = free_port().expect("a port is free");
        installed().map(|bin| Self::start_with(&bin, &settings, port, None).expect("PostgreSQL starts"))
    }

    /// Starts a standby of this cluster at `port`, which keeps what it has acknowledged too.
    pub(crate) fn standby(&self, port: u16) -> Self {
        let bin = installed().expect("PostgreSQL is installed");
        let settings = "-c synchronous_commit=on -c full_page_writes=on";
        Self::start_with(&bin, settings, port, Some(self.port)).expect("a standby starts")
    }

    /// Makes a standby the primary.
    pub(crate) fn promote(&mut self) {
        self.tell("promote");
    }

    /// Takes encrypted connections from now on, by a certificate for localhost in the `first` or the `third` version.
    pub(crate) fn encrypt(&mut self, version: &str) {
        self.tell(version);
    }

    /// Kills all its processes, as a crash does.
    pub(crate) fn kill(&mut self) {
        self.tell("kill");
    }

    /// Starts it again, and waits until it takes connections.
    pub(crate) fn start_again(&mut self) {
        self.tell("start");
    }

    fn tell(&mut self, word: &str) {
        let input = self.script.stdin.as_mut().expect("the script reads");
        writeln!(input, "{word}").expect("the script runs");
        let mut line = String::new();
        self.said.read_line(&mut line).expect("the script answers");
        if line.trim() != word {
            let mut reason = String::new();
            if let Some(mut errors) = self.script.stderr.take() {
                let _ = errors.read_to_string(&mut reason);
            }
            panic!("the cluster does as it is told ({word}): {line}\n{reason}");
        }
    }

    /// Starts a cluster with the programs in `bin`.
    pub(super) fn start(bin: &Path) -> Result<Self, String> {
        Self::start_with(bin, "", free_port().ok_or("there is no free port")?, None)
    }

    fn start_with(bin: &Path, settings: &str, port: u16, primary: Option<u16>) -> Result<Self, String> {
        let primary = primary.map(|port| port.to_string()).unwrap_or_default();
        let mut command = unprivileged()?;
        command.args(["sh", "-c", SCRIPT, "sh"]).arg(bin).arg(port.to_string()).arg(settings).arg(primary);
        command.current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut script = command.spawn().map_err(|error| format!("PostgreSQL cannot be started: {error}"))?;
        let mut line = String::new();
        let mut said = BufReader::new(script.stdout.take().ok_or("the script has no output")?);
        // An unreadable line is as good as none: what went wrong stands on stderr.
        let _ = said.read_line(&mut line);
        let Some(directory) = line.trim().strip_prefix("ready ").map(PathBuf::from) else {
            let mut reason = String::new();
            if let Some(mut errors) = script.stderr.take() {
                let _ = errors.read_to_string(&mut reason);
            }
            return Err(format!("PostgreSQL in {} did not start (or set TEST_DATABASE_URL):\n{reason}", bin.display()));
        };
        Ok(Self { script, said, directory, port, url: format!("postgres://waymark@127.0.0.1:{port}/postgres") })
    }
}

/// A port that no connection gets by chance, as it might while the cluster is down that is to come back there.
pub(crate) fn free_port() -> Option<u16> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let numbers = std::iter::repeat_with(|| {
        std::process::id().wrapping_mul(31).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed))
    });
    numbers.take(10_000).filter_map(|number| u16::try_from(20_000 + number % 10_000).ok()).find(is_free)
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.script.stdin.take());
        let _ = self.script.wait();
    }
}

/// PgBouncer in transaction mode before a cluster, as distributions package it.
pub(crate) struct Pooler {
    process: Child,
    directory: PathBuf,
    pub(crate) port: u16,
}

/// The ports of the cluster and of the pooler before it, where the tests go through one.
static BETWEEN: OnceLock<(u16, u16)> = OnceLock::new();

/// The URL by which servers reach a database through PgBouncer; `None` unless `TEST_PGBOUNCER=1` is set, and for
/// databases of other clusters than that of the tests.
pub(crate) fn through_a_pooler(url: &str) -> Option<String> {
    let (direct, pooled) = BETWEEN.get()?;
    let direct = format!("127.0.0.1:{direct}/");
    url.contains(&direct).then(|| url.replace(&direct, &format!("127.0.0.1:{pooled}/")))
}

impl Pooler {
    /// Starts one for all tests, when `TEST_PGBOUNCER=1` is set.
    pub(super) fn between(cluster: &Cluster) -> Result<Option<Self>, String> {
        if !std::env::var("TEST_PGBOUNCER").is_ok_and(|value| !value.is_empty() && value != "0") {
            return Ok(None);
        }
        let pooler = Self::with(cluster, 16).ok_or("PgBouncer is not installed")?;
        let _ = BETWEEN.set((cluster.port, pooler.port));
        Ok(Some(pooler))
    }

    /// Starts it; `None` where it is not installed.
    pub(crate) fn before(cluster: &Cluster) -> Option<Self> {
        Self::with(cluster, 4)
    }

    /// Starts it with so many sessions for each database.
    fn with(cluster: &Cluster, sessions: u32) -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let places = std::env::split_paths(&path).chain(["/usr/sbin".into()]);
        let program = places.map(|place| place.join("pgbouncer")).find(|program| program.is_file())?;
        let port = free_port().expect("a port is free");
        let directory = std::env::temp_dir().join(format!("waymark-pgbouncer-{port}"));
        std::fs::create_dir_all(&directory).expect("a directory is made");
        let settings = directory.join("pgbouncer.ini");
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=waymark\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\npool_mode = transaction\n\
             default_pool_size = {sessions}\nmax_client_conn = 500\n",
            cluster.port
        );
        std::fs::write(&settings, text).expect("the settings are written");
        let mut command = unprivileged().expect("somebody may run it");
        command.arg(program).arg("-q").arg(settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let pooler = Self { process: command.spawn().expect("PgBouncer starts"), directory, port };
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(pooler);
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        panic!("PgBouncer takes no connections");
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// A command that runs what follows as somebody else where we are root, since PostgreSQL refuses to run as root.
fn unprivileged() -> Result<Command, String> {
    let answer = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if answer(&["-u"]).as_deref() != Some("0") {
        return Ok(Command::new("env"));
    }
    let user = ["postgres", "nobody"].into_iter().find(|user| answer(&["-u", user]).is_some());
    let user = user.ok_or("PostgreSQL does not run as root, and there is no user `postgres` or `nobody`")?;
    let group = answer(&["-g", user]).unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |program: &str| std::env::split_paths(&path).any(|place| place.join(program).is_file());
    let words: Vec<OsString> = if has("setpriv") {
        vec![
            "setpriv".into(),
            format!("--reuid={user}").into(),
            format!("--regid={group}").into(),
            "--clear-groups".into(),
            "--".into(),
        ]
    } else if has("runuser") {
        vec!["runuser".into(), "-u".into(), user.into(), "--".into()]
    } else {
        return Err("PostgreSQL does not run as root, and neither setpriv nor runuser is there to change users".into());
    };
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).env("HOME", "/tmp").env_remove("TMPDIR");
    Ok(command)
}
