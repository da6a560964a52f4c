//! Measures `waymark import`: a million records of progress of 50,000 users into empty databases of both kinds.
//!
//! The records are as another system would hand them over: users by handle, no history, so that every record also
//! appends its events and changes its summary.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::arguments::Arguments;
use crate::cluster::Cluster;
use crate::rng::Rng;
use crate::{server, stage};

const GAMES: u64 = 200;
const ACHIEVEMENTS: u64 = 25;
const RESOURCES: u64 = 200;
const GOALS: u64 = 10;
const COLLECTIONS: u64 = 10;
const CARDS: u64 = 30;
/// What each user has of each kind; 20 records together.
const UNLOCKS: u64 = 8;
const STUDIED: u64 = 4;
const PURSUED: u64 = 3;
const OWNED: u64 = 5;
const PER_USER: u64 = UNLOCKS + STUDIED + PURSUED + OWNED;

/// Writes the files, imports them into both databases, and prints what that took.
pub(crate) async fn run(arguments: &Arguments) -> Result<()> {
    let (directory, _lock) = stage::directory()?;
    let users = u64::from(arguments.users.unwrap_or(50_000));
    let (base, progress) = (directory.join("import-base.ndjson"), directory.join("import-progress.ndjson"));
    write_base(&base, users)?;
    write_progress(&progress, users)?;
    println!(
        "{} records of progress, {users} users, {} MB",
        users * PER_USER,
        fs::metadata(&progress)?.len() / 1_000_000
    );

    let cluster = Cluster::start(&directory.join("pg"))?;
    let server = stage::connect(&cluster.url("postgres")).await?;
    server.batch_execute("DROP DATABASE IF EXISTS import WITH (FORCE)").await?;
    server.batch_execute("CREATE DATABASE import").await?;
    measure("PostgreSQL", &cluster.url("import"), &base, &progress, users)?;
    server.batch_execute("DROP DATABASE import WITH (FORCE)").await?;
    drop(cluster);

    let file = directory.join("import.db");
    let remove = || {
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(format!("{}{suffix}", file.display()));
        }
    };
    remove();
    measure("SQLite", &format!("sqlite://{}", file.display()), &base, &progress, users)?;
    remove();
    Ok(())
}

fn measure(name: &str, url: &str, base: &Path, progress: &Path, users: u64) -> Result<()> {
    waymark(url, &["migrate"])?;
    let (took, _) = waymark(url, &["import", &base.to_string_lossy()])?;
    println!("{name}: catalogue and users in {:.1} s", took.as_secs_f64());
    for what in ["new", "again, nothing new"] {
        let (took, peak) = waymark(url, &["import", &progress.to_string_lossy()])?;
        let records = users * PER_USER;
        let rate = records as f64 / took.as_secs_f64();
        println!(
            "{name}: {records} records, {what}: {:.1} s, {rate:.0} records/s, peak {peak:.0} MiB",
            took.as_secs_f64()
        );
    }
    let (took, peak) = waymark(url, &["export", "--output", &format!("{}.out", progress.display())])?;
    println!("{name}: exported with the histories in {:.1} s, peak {peak:.0} MiB", took.as_secs_f64());
    fs::remove_file(format!("{}.out", progress.display()))?;
    Ok(())
}

/// Runs the command; how long it took, and the most memory it had, in MiB.
fn waymark(url: &str, arguments: &[&str]) -> Result<(Duration, f64)> {
    let mut command = match std::env::var_os("BENCH_SERVER") {
        Some(other) => Command::new(other),
        None => {
            let mut command = Command::new(std::env::current_exe()?);
            command.arg("waymark");
            command
        }
    };
    let began = Instant::now();
    command.args(arguments).env("WAYMARK_DATABASE_URL", url).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn()?;
    let mut peak: f64 = 0.0;
    loop {
        peak = peak.max(server::peak_memory_of(child.id()).unwrap_or_default());
        if let Some(status) = child.try_wait()? {
            if !status.success() {
                return Err(format!("waymark {arguments:?} failed").into());
            }
            return Ok((began.elapsed(), peak));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn write_base(path: &Path, users: u64) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(
        out,
        r#"{{"type":"season","key":"import","title":"Import","startsAt":"2026-01-01T00:00:00Z","durationSeconds":31536000}}"#
    )?;
    for n in 1..=GOALS {
        writeln!(
            out,
            r#"{{"type":"goal","key":"goal-{n}","season":"import","position":{n},"title":"Goal {n}","rewardMicros":1000000,"totalSteps":10}}"#
        )?;
    }
    for n in 1..=RESOURCES {
        writeln!(out, r#"{{"type":"resource","key":"{n:024x}","title":"Resource {n}"}}"#)?;
    }
    for n in 1..=GAMES {
        writeln!(out, r#"{{"type":"game","key":"{n}","number":{n},"title":"Game {n}"}}"#)?;
        for m in 1..=ACHIEVEMENTS {
            writeln!(
                out,
                r#"{{"type":"achievement","key":"{n}-{m}","game":"{n}","position":{m},"title":"Achievement {m}","points":5}}"#
            )?;
        }
    }
    for n in 1..=COLLECTIONS {
        writeln!(out, r#"{{"type":"collection","key":"collection-{n}","name":"Collection {n}"}}"#)?;
        for m in 1..=CARDS {
            writeln!(
                out,
                r#"{{"type":"card","key":"card-{n}-{m}","collection":"collection-{n}","position":{m},"name":"Card {m}"}}"#
            )?;
        }
    }
    for n in 1..=users {
        writeln!(out, r#"{{"type":"user","handle":"user{n:06}","createdAt":"2026-01-01T00:00:00Z"}}"#)?;
    }
    Ok(out.flush()?)
}

fn write_progress(path: &Path, users: u64) -> Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut rng = Rng::new(7);
    for n in 1..=users {
        let user = format!("user{n:06}");
        // Equally far apart, so that nobody has the same thing twice.
        let mut place = |of: u64, count: u64, k: u64| {
            let apart = of / count;
            u64::from(rng.up_to(u32::try_from(apart).unwrap_or(u32::MAX))) - 1 + k * apart
        };
        for k in 0..UNLOCKS {
            let at = place(GAMES * ACHIEVEMENTS, UNLOCKS, k);
            let (game, achievement) = (at / ACHIEVEMENTS + 1, at % ACHIEVEMENTS + 1);
            let hardcore = k % 2 == 0;
            writeln!(
                out,
                r#"{{"type":"unlock","user":"{user}","achievement":"{game}-{achievement}","at":"2026-03-{:02}T12:00:00Z","hardcore":{hardcore}}}"#,
                k + 1
            )?;
        }
        for k in 0..STUDIED {
            let at = place(RESOURCES, STUDIED, k) + 1;
            let completed = k % 2 == 0;
            writeln!(
                out,
                r#"{{"type":"resourceProgress","user":"{user}","resource":"{at:024x}","completed":{completed},"progress":{},"timeSpentMinutes":{},"lastAccessedAt":"2026-04-{:02}T12:00:00Z"}}"#,
                if completed { 100 } else { 40 },
                at * 3,
                k + 1
            )?;
        }
        for k in 0..PURSUED {
            let at = place(GOALS, PURSUED, k) + 1;
            writeln!(
                out,
                r#"{{"type":"goalProgress","user":"{user}","goal":"goal-{at}","completedSteps":{},"at":"2026-05-{:02}T12:00:00Z"}}"#,
                4 + 3 * k,
                k + 1
            )?;
        }
        for k in 0..OWNED {
            let at = place(COLLECTIONS * CARDS, OWNED, k);
            writeln!(
                out,
                r#"{{"type":"ownedCard","user":"{user}","card":"card-{}-{}","quantity":{},"firstAcquiredAt":"2026-05-{:02}T12:00:00Z"}}"#,
                at / CARDS + 1,
                at % CARDS + 1,
                k % 3 + 1,
                k + 1
            )?;
        }
    }
    Ok(out.flush()?)
}
