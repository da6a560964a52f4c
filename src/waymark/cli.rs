//! The command line: what a user types.
//!
//! stdout carries only what was asked for, such as a token; everything said along the way goes to stderr.

mod admin;
mod data;
mod doctor;
mod health;
mod help;
mod serve;
mod transfer;
mod verify;

use std::ffi::OsString;
use std::path::PathBuf;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::telemetry;
use waymark_db::{Db, Opening};
use waymark_demo::Scale;
use waymark_kernel::clock::{Clock, Timestamp, Watch};
use waymark_kernel::config;
use waymark_kernel::config::Config;
use waymark_kernel::error::{Error, Result};
use waymark_schema as schema;
use waymark_server as server;

/// Records and shows users' progress: seasons, goals, credits, learning, games and collections in one GraphQL API.
///
/// Without a command it starts a server with demo data on this machine, to try things out.
#[derive(Debug, Parser)]
#[command(name = "waymark", version, arg_required_else_help = false, max_term_width = 100)]
#[command(after_help = "Examples:
  waymark                                     try it: demo data, GraphiQL at http://127.0.0.1:8080
  export WAYMARK_DATABASE_URL=postgres://localhost/waymark WAYMARK_JWT_SECRET=$(openssl rand -hex 32)
  waymark migrate && waymark serve            the real thing
  waymark token --user grace                  a token to try it with
  waymark config --default                    every setting, explained")]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Read settings from this file instead of waymark.toml in the working directory.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How log lines look; they go to stderr. RUST_LOG says which ones, for example RUST_LOG=waymark=debug.
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

impl Cli {
    /// Refuses what fits the grammar and makes no sense.
    fn checked(self) -> Result<Self, clap::Error> {
        if let Some(Command::Export(ExportOptions { user: Some(_), only: Some(only), .. })) = &self.command
            && *only != Only::User
        {
            let mut command = Self::command();
            return Err(command.error(ErrorKind::ArgumentConflict, "--user HANDLE goes with --only user"));
        }
        if let Some(Command::Man { command }) = &self.command {
            help::named(command)?;
        }
        Ok(self)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the configured database. Needs WAYMARK_DATABASE_URL and a way to authenticate users.
    #[command(after_help = "Example:
  export WAYMARK_DATABASE_URL=postgres://localhost/waymark WAYMARK_JWT_SECRET=$(openssl rand -hex 32)
  waymark serve --migrate")]
    Serve {
        /// Bring the database's schema up to date first, instead of refusing to start when it is not.
        #[arg(long)]
        migrate: bool,
        /// Refuse everything that writes: for a copy of the database, such as a standby.
        #[arg(long, conflicts_with = "migrate")]
        read_only: bool,
    },
    /// Change the schema of the configured database, or show where it stands.
    #[command(after_help = "Examples:
  waymark migrate            bring it up to date
  waymark migrate status     what has been applied
  waymark migrate down       undo the newest migration")]
    Migrate {
        /// What to do.
        #[arg(value_enum, default_value_t = MigrateTo::Up)]
        to: MigrateTo,
        /// Lay the rows of users on several servers too, where the database has the extension Citus. Goes on where it
        /// was interrupted; no server may run meanwhile.
        #[arg(long, conflicts_with = "to")]
        distribute: bool,
    },
    /// Fill the configured database with demo data. Goes on where it stopped; changes nothing when all is there.
    #[command(after_help = "Examples:
  waymark demo                         200 users, to look at
  waymark demo --scale load --users 10000    to measure with")]
    Demo {
        /// How many users to make.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
        users: Option<u32>,
        /// What the data is for.
        #[arg(long, default_value = "demo", value_parser = ["demo", "team", "load"])]
        scale: String,
    },
    /// Import files of records, one JSON object a line. Importing a file again changes nothing.
    #[command(after_help = "Examples:
  waymark import courses.ndjson people.ndjson
  old-system --dump | waymark import -

A bad record is reported as file:line: reason and left out; the exit code is 1 then. docs/import.md describes the records.")]
    Import {
        /// The files; - is standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Keys of achievements and cards are unique only within their game or collection in these files: import them
        /// as GAME/KEY and COLLECTION/KEY. Unlocks and owned cards then name the game or collection too.
        #[arg(long)]
        scope_keys: bool,
    },
    /// Export the configured database as records, one JSON object a line, to stdout or to a file.
    #[command(after_help = "Examples:
  waymark export --output waymark.ndjson
  waymark export --only user --user grace
  WAYMARK_DATABASE_URL=sqlite://old.db waymark export | waymark import -")]
    Export(ExportOptions),
    /// Copy the configured SQLite database into a new file while it is in use.
    #[command(after_help = "Example:
  waymark backup /backups/waymark-$(date +%F).db

PostgreSQL: pg_dump --format=custom --file=waymark.dump \"$WAYMARK_DATABASE_URL\"")]
    Backup {
        /// The new file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Put a backup in the place of the configured SQLite database, and verify it. Stop the server first.
    #[command(after_help = "Example:
  waymark restore /backups/waymark-2026-11-30.db

The copy is checked first; then it takes the place of the file, and what belongs to the old one (-wal, -shm) is removed.

PostgreSQL: pg_restore --clean --if-exists --dbname=\"$WAYMARK_DATABASE_URL\" waymark.dump")]
    Restore {
        /// The backup; it stays as it is.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Look whether a server could run: settings, connection, migrations, rights, clock and disk.
    #[command(after_help = "Each is a line on stdout that begins with ok or wrong.
Exit code 0: all are ok. 1: something is wrong.")]
    Doctor,
    /// Ask the running server whether it is ready, as health checks of containers do.
    #[command(after_help = "Asks /readyz at WAYMARK_LISTEN on this machine, and prints the answer.
Exit code 0: it is ready. 1: it is not, or there is none.")]
    Health,
    /// Look whether every summary and balance follows from its source, and print what does not. Changes nothing.
    #[command(
        after_help = "Each difference is a line on stdout: the user, the check, what differs, what is stored, what should be.
What was acknowledged is printed behind `acknowledged:`, and counts as none.
Exit code 0: there are none. 1: there are some."
    )]
    Verify,
    /// Mend what `waymark verify` finds, as far as it follows from a source, and print the rest.
    #[command(after_help = "Unlocks, entries of the ledger and events are sources, and are never changed.
Exit code 0: nothing is left. 1: something is.

Example:
  waymark repair --acknowledge \"events 7 to 9 were lost with the old server\"")]
    Repair {
        /// Acknowledge what cannot be mended: it stays as it is, stands in the audit log with this reason, and counts
        /// as no difference any more.
        #[arg(long, value_name = "REASON")]
        acknowledge: Option<String>,
    },
    /// Work with what operators defined: seasons, goals, resources, plans, games and collections.
    Catalogue {
        #[command(subcommand)]
        command: CatalogueCommand,
    },
    /// Make, list and revoke API keys.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Print a token for a user, to try things out. Needs WAYMARK_JWT_SECRET.
    #[command(after_help = "Example:
  curl localhost:8080/graphql -H \"Authorization: Bearer $(waymark token --user grace)\" \\
    -H 'Content-Type: application/json' -d '{\"query\": \"{ viewer { user { handle } } }\"}'")]
    Token {
        /// The user's handle.
        #[arg(long, value_name = "HANDLE")]
        user: String,
        /// How long the token is good, such as 90s, 15m, 1h or 7d.
        #[arg(long, default_value = "1h", value_parser = seconds)]
        ttl: i64,
    },
    /// Print the GraphQL schema.
    Schema,
    /// Print what REST clients can ask, as an OpenAPI document.
    Openapi,
    /// Print the effective configuration, secrets left out.
    Config {
        /// Print every setting with its default and what it means.
        #[arg(long)]
        default: bool,
    },
    /// Print the script by which a shell completes commands and options.
    #[command(after_help = "Examples:
  waymark completions bash > /usr/share/bash-completion/completions/waymark
  waymark completions zsh > /usr/local/share/zsh/site-functions/_waymark
  waymark completions fish > ~/.config/fish/completions/waymark.fish")]
    Completions {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print a page of the manual: on all commands, or on one.
    #[command(after_help = "Examples:
  waymark man | man -l -
  waymark man key create > /usr/local/share/man/man1/waymark-key-create.1")]
    Man {
        /// The command, such as serve or key create.
        #[arg(value_name = "COMMAND")]
        command: Vec<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MigrateTo {
    /// Apply everything that is pending.
    Up,
    /// Undo the newest migration.
    Down,
    /// Show what has been applied.
    Status,
}

#[derive(Debug, Args)]
struct ExportOptions {
    /// Write to this file instead of stdout; it appears when it is whole.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Export a part: what operators defined, all users with what is theirs, or one user.
    #[arg(long, value_enum, requires_if("user", "user"))]
    only: Option<Only>,
    /// The user's handle, with --only user.
    #[arg(long, value_name = "HANDLE", requires = "only")]
    user: Option<String>,
    /// Export API keys too, as hashes: the owner of a key can go on using it after an import.
    #[arg(long)]
    with_keys: bool,
}

/// A part of the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Only {
    /// What operators defined.
    Catalogue,
    /// All users and what is theirs.
    Progress,
    /// One user and what is theirs.
    User,
}

#[derive(Debug, Subcommand)]
enum CatalogueCommand {
    /// Let all servers read the catalogue anew, after it was changed by hand.
    #[command(after_help = "Mutations and imports do this by themselves; SQL does not.

Example:
  psql \"$WAYMARK_DATABASE_URL\" -c \"UPDATE games SET title = 'Tetris' WHERE key = '14'\" && waymark catalogue touch")]
    Touch,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key and print it, once, alone on stdout.
    #[command(after_help = "Example:
  waymark key create --name game-server --scope progress:write")]
    Create(NewKey),
    /// List the keys, without the keys themselves.
    List,
    /// Revoke a key.
    #[command(after_help = "Example:
  waymark key revoke wmk_1a2b3c4d")]
    Revoke {
        /// The key's number or its first characters, as `waymark key list` shows them.
        key: String,
    },
}

#[derive(Debug, Args)]
struct NewKey {
    /// What to call the key; it names the actor in histories.
    #[arg(long)]
    name: String,
    /// What the key allows: profiles:read, progress:read, progress:write or admin. May be given more than once.
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = scope)]
    scopes: Vec<waymark_auth::Scope>,
    /// The user the key belongs to. It narrows nothing; `viewer.user` is this user then.
    #[arg(long, value_name = "HANDLE")]
    user: Option<String>,
    /// How long the key is good, such as 12h or 90d; without an end when not given.
    #[arg(long, value_parser = seconds)]
    ttl: Option<i64>,
}

fn scope(text: &str) -> Result<waymark_auth::Scope, String> {
    text.parse().map_err(|error: waymark_auth::ParseScopeError| error.to_string())
}

fn seconds(text: &str) -> Result<i64, String> {
    let malformed = || "expected a number and s, m, h or d, such as 1h".to_owned();
    let (number, unit) = text.split_at(text.len() - text.chars().next_back().map_or(0, char::len_utf8));
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(malformed()),
    };
    let number: i64 = number.parse().map_err(|_| malformed())?;
    match number.checked_mul(unit) {
        Some(seconds) if (1..=10 * 365 * 86_400).contains(&seconds) => Ok(seconds),
        _ => Err("expected at least one second and at most ten years".to_owned()),
    }
}

/// Runs the command in `arguments`. Exit code 0: done. 1: it failed, and stderr says why. 2: the arguments make no
/// sense.
///
/// An async function is compiled once more by every crate that awaits it, with all that it awaits itself: this one
/// would be the whole server. So the future is boxed here.
pub fn run(arguments: Vec<OsString>) -> Pin<Box<dyn Future<Output = ExitCode>>> {
    Box::pin(carry_out(arguments))
}

async fn carry_out(arguments: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments).and_then(Cli::checked) {
        Ok(cli) => cli,
        Err(error) => {
            let code = if error.use_stderr() { 2 } else { 0 };
            // Nothing can be done about a closed stdout.
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    JSON.store(cli.log_format == LogFormat::Json, Ordering::Relaxed);
    match execute(cli).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(Some("error"), &error.chain());
            ExitCode::FAILURE
        }
    }
}

async fn execute(cli: Cli) -> Result<()> {
    let file = cli.config.as_deref();
    let json = cli.log_format == LogFormat::Json;
    let Some(command) = cli.command else { return serve::traced(load(file)?, json, serve::try_it).await };
    if !matches!(command, Command::Serve { .. }) {
        telemetry::log(json);
    }
    match command {
        Command::Serve { migrate, read_only } => {
            serve::traced(load(file)?, json, |config| serve::serve(config, migrate, read_only)).await
        }
        Command::Migrate { to, distribute } => data::migrate(&load(file)?, to, distribute).await,
        Command::Demo { users, scale } => {
            let scale: Scale =
                scale.parse().map_err(|error: waymark_demo::ParseScaleError| Error::bad_input(error.to_string()))?;
            data::demo(&load(file)?, users, scale).await
        }
        Command::Import { files, scope_keys } => transfer::import(&load(file)?, files, scope_keys).await,
        Command::Export(options) => transfer::export(&load(file)?, options).await,
        Command::Backup { file: to } => transfer::backup(&load(file)?, &to).await,
        Command::Restore { file: from } => transfer::restore(load(file)?, &from).await,
        Command::Doctor => doctor::doctor(file).await,
        Command::Health => health::health(&load(file)?),
        Command::Verify => verify::verify(load(file)?).await,
        Command::Repair { acknowledge } => verify::repair(load(file)?, acknowledge).await,
        Command::Catalogue { command: CatalogueCommand::Touch } => data::touch_catalogue(&load(file)?).await,
        Command::Key { command } => admin::key(&load(file)?, command).await,
        Command::Token { user, ttl } => admin::token(&load(file)?, &user, ttl).await,
        Command::Schema => print(schema::sdl().trim_end()),
        Command::Openapi => print(server::openapi()?.trim_end()),
        Command::Config { default: true } => print(config::DEFAULTS.trim_end()),
        Command::Config { default: false } => print(load(file)?.to_toml().trim_end()),
        Command::Completions { shell } => help::completions(shell),
        Command::Man { command } => help::man(&command),
    }
}

fn load(file: Option<&std::path::Path>) -> Result<Config> {
    Config::load(file).map_err(|error| Error::bad_input(error.to_string()))
}

/// Opens the configured database, which has to be there with all that this program expects of it.
async fn open(config: &Config) -> Result<Db> {
    let db = open_whatever(config).await?;
    check_schema(&db).await?;
    Ok(db)
}

/// Does the same for what only reads, which works on a file too that may not be written.
async fn open_to_read(config: &Config) -> Result<Db> {
    let db = open_whatever_to_read(config).await?;
    check_schema(&db).await?;
    Ok(db)
}

/// Opens the configured database for a server that refuses writes.
async fn open_to_serve_reads(config: &Config) -> Result<Db> {
    let db = Db::open(database_url(config)?, Opening::of(config, false).to_serve_reads()).await?;
    check_schema(&db).await?;
    Ok(db)
}

/// Does the same with any version of the tables.
async fn open_whatever_to_read(config: &Config) -> Result<Db> {
    Db::open(database_url(config)?, Opening::of(config, false).to_read()).await
}

/// Opens the configured database, which has to exist, with any version of the tables.
async fn open_whatever(config: &Config) -> Result<Db> {
    Db::open(database_url(config)?, Opening::of(config, false)).await
}

/// Opens the configured database, and makes it when it is a file that is missing.
async fn open_or_make(config: &Config) -> Result<Db> {
    Db::open(database_url(config)?, Opening::of(config, true)).await
}

fn database_url(config: &Config) -> Result<&str> {
    config.database_url.as_deref().ok_or_else(|| {
        Error::bad_input("no database is configured; set WAYMARK_DATABASE_URL, for example to sqlite://waymark.db")
    })
}

/// Refuses a database whose schema is not up to date.
async fn check_schema(db: &Db) -> Result<()> {
    let pending = db.migrations().await?.into_iter().filter(|(_, applied)| !applied).count();
    if pending == 0 {
        return Ok(());
    }
    Err(Error::bad_input(format!(
        "{pending} migrations are pending; run `waymark migrate`, or `waymark serve --migrate`"
    )))
}

/// The present instant: by the database's clock, where it has one and no other was set.
async fn now(config: &Config, db: &Db) -> Result<Timestamp> {
    let watch = Watch::new(config.clock());
    db.set(&watch).await?;
    Ok(watch.now())
}

/// Refuses another clock than the system's: what is written, or good for a time, goes by the real time.
fn check_clock(config: &Config) -> Result<()> {
    if config.clock.is_none() {
        return Ok(());
    }
    Err(Error::bad_input(
        "WAYMARK_CLOCK is for demo data and trying things out; this goes by the real time, so unset it",
    ))
}

/// Writes what was asked for to stdout.
fn print(text: &str) -> Result<()> {
    use std::io::Write as _;
    match writeln!(std::io::stdout(), "{text}") {
        // The reader has closed the pipe.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(Error::internal),
    }
}

/// Whether what is told goes to stderr as JSON, as the log does.
static JSON: AtomicBool = AtomicBool::new(false);

/// Tells the user something on stderr.
fn say(text: &str) {
    tell(None, text);
}

fn tell(failure: Option<&str>, text: &str) {
    use std::io::Write as _;
    let line = match (JSON.load(Ordering::Relaxed), failure) {
        (false, None) => text.to_owned(),
        (false, Some(word)) => format!("{word}: {text}"),
        (true, _) => {
            let (level, now) = (if failure.is_some() { "ERROR" } else { "INFO" }, Clock::System.now());
            let fields = serde_json::json!({ "message": text.trim() });
            format!(r#"{{"timestamp":"{now}","level":"{level}","fields":{fields},"target":"waymark"}}"#)
        }
    };
    // Nothing can be done about a closed stderr.
    let _ = writeln!(std::io::stderr(), "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_span_of_time_is_a_number_and_a_unit() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("1h"), Ok(3600));
        assert_eq!(seconds("7d"), Ok(604_800));
        for text in ["", "h", "1", "1w", "-1h", "0s", "99999999999999999999d", "9223372036854775807d", "1ä"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
