//! What subscribers cost, and how soon they hear: many WebSockets, each of a user who follows their own progress, while
//! an app writes for them at a steady rate.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use waymark::auth::jwt;
use waymark::clock::Clock;
use waymark::config::Secret;

use crate::Result;
use crate::arguments::Arguments;
use crate::files;
use crate::follow::{Follower, Order, Scene, Spread, Written};
use crate::load::{Connection, Target};
use crate::stage::{Engine, SECRET, Stage, Usage};

/// Files that the server has open beside the subscribers' connections, and room that it keeps.
const OTHER_FILES: u64 = 1_700;

/// How long nothing is done, for memory that was in use to go back.
const REST: Duration = Duration::from_secs(15);

/// The process that follows and writes. Ends when dropped.
struct Followers {
    child: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Followers {
    fn start(stage: &Stage, count: u32) -> Result<Self> {
        let (secret, now) = (Secret::new(SECRET), Clock::System.now());
        let followers = (1..=count).map(|number| {
            let ulid = stage.people.ulid(number).to_owned();
            Ok(Follower { token: jwt::mint(&secret, &ulid, None, None, now, 86_400)?, ulid })
        });
        let Target { address, key, .. } = stage.waymark.target.clone();
        let scene = Scene { address, key, followers: followers.collect::<Result<_>>()? };
        let mut command = Command::new(std::env::current_exe()?);
        let mut child = command.arg("followers").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = child.stdin.take().ok_or("a process has no stdin")?;
        let answers = BufReader::new(child.stdout.take().ok_or("a process has no stdout")?);
        let mut process = Self { child, orders, answers };
        process.say(&scene)?;
        Ok(process)
    }

    fn say(&mut self, what: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(what)? + "\n";
        Ok(self.orders.write_all(line.as_bytes())?)
    }

    fn ask<T: DeserializeOwned>(&mut self, order: &Order) -> Result<T> {
        self.say(order)?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        serde_json::from_str(&line).map_err(|_| "the process that follows has ended".into())
    }

    /// Writes, and gives what came of it with what it cost.
    async fn write(&mut self, stage: &Stage, rate: u32, duration: Duration) -> Result<(Written, Cost)> {
        let before = stage.usage(&stage.waymark).await?;
        let written: Written = self.ask(&Order::Write { rate, duration })?;
        let cost = Cost::between(&before, &stage.usage(&stage.waymark).await?, written.writes as f64);
        Ok((written, cost))
    }
}

impl Drop for Followers {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Processor time in microseconds: of a write, or of a second.
#[derive(Debug, Clone, Copy)]
struct Cost {
    server: f64,
    postgres: Option<f64>,
}

impl Cost {
    fn between(before: &Usage, after: &Usage, count: f64) -> Self {
        let each = |before: Duration, after: Duration| after.saturating_sub(before).as_secs_f64() * 1e6 / count;
        Self {
            server: each(before.server, after.server),
            postgres: before.postgres.zip(after.postgres).map(|(before, after)| each(before, after)),
        }
    }

    fn cells(&self) -> String {
        let postgres = self.postgres.map_or_else(|| "–".to_owned(), |postgres| format!("{postgres:.0}"));
        format!("{:.0} | {postgres}", self.server)
    }

    /// What is left without `other`, for as many events as there are.
    fn without(&self, other: &Self, events_per_write: f64) -> Self {
        let rest = |own: f64, other: f64| (own - other) / events_per_write;
        let postgres = self.postgres.zip(other.postgres).map(|(own, other)| rest(own, other));
        Self { server: rest(self.server, other.server), postgres }
    }
}

pub(crate) async fn measure(arguments: &Arguments) -> Result<ExitCode> {
    let count = arguments.subscribers;
    files::make_room(u64::from(count) * 16 / 15 + OTHER_FILES)?;
    let engine = if arguments.sqlite { Engine::Sqlite } else { Engine::Postgres };
    let stage = Stage::set(arguments, engine).await?;
    let (rate, round) = (arguments.rate, arguments.round);
    let rest = REST.min(round);
    let mut followers = Followers::start(&stage, count)?;
    // Caches fill, and memory is taken that is kept.
    followers.write(&stage, rate, round.min(Duration::from_secs(5))).await?;
    let (alone, alone_cost) = followers.write(&stage, rate, round).await?;
    tokio::time::sleep(rest).await;
    let before = stage.waymark.memory().unwrap_or_default();
    let connecting: f64 = followers.ask(&Order::Connect)?;
    if !all_open(&stage.waymark.target, count).await? {
        let (written, _) = followers.write(&stage, rate, Duration::ZERO).await?;
        return Err(format!("not all subscriptions are open after a while: {:?}", written.refusals.first()).into());
    }
    tokio::time::sleep(rest).await;
    let idle = stage.usage(&stage.waymark).await?;
    tokio::time::sleep(rest).await;
    let waiting = Cost::between(&idle, &stage.usage(&stage.waymark).await?, rest.as_secs_f64());
    let after = stage.waymark.memory().unwrap_or_default();
    let (live, live_cost) = followers.write(&stage, rate, round).await?;

    let name = if arguments.sqlite { "SQLite" } else { "PostgreSQL" };
    println!("{count} subscribers on {name}, each to another user");
    println!("connected in {connecting:.1} s, {:.0} a second", f64::from(count) / connecting);
    let each = (after - before) * 1024.0 / f64::from(count);
    println!("resident memory of the server: {before:.0} MiB without, {after:.0} MiB with them: {each:.1} KB each");
    println!("\n| processor time, µs | server | PostgreSQL |\n| --- | ---: | ---: |");
    println!("| a second of waiting with all of them | {} |", waiting.cells());
    println!("| a write without subscribers ({:.0} writes/s) | {} |", per_second(&alone), alone_cost.cells());
    println!("| a write with them ({:.0} writes/s) | {} |", per_second(&live), live_cost.cells());
    let events = live.events as f64 / live.writes as f64;
    println!("| an event delivered: the difference | {} |", live_cost.without(&alone_cost, events).cells());
    println!("\n| ms | p50 | p99 | most |\n| --- | ---: | ---: | ---: |");
    print_spread("a write without subscribers, until answered", &alone.answer);
    print_spread("a write with them, until answered", &live.answer);
    print_spread("from sending a write to its event", &live.event);
    print_spread("from the answer to the event", &live.after_answer);
    let Written { writes, events, lost, doubled, disordered, strange, .. } = live;
    if let Some(refusal) = live.refusals.first() {
        println!("\n{} subscriptions had to begin twice: {refusal}", live.refusals.len());
    }
    println!(
        "\n{writes} writes, {events} events: {lost} lost, {doubled} twice, {disordered} out of order, {strange} not written; \
         {} subscriptions ended",
        live.failures.len()
    );
    live.failures.iter().take(3).for_each(|failure| eprintln!("{failure}"));
    let ended = live.refusals.len() + live.failures.len();
    let good = lost + doubled + disordered + strange + ended == 0 && events > 0;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn per_second(written: &Written) -> f64 {
    written.writes as f64 / written.seconds
}

fn print_spread(what: &str, spread: &Spread) {
    println!("| {what} | {:.2} | {:.2} | {:.2} |", spread.p50, spread.p99, spread.max);
}

/// Waits until the server says that so many subscriptions are open, for half a minute.
async fn all_open(target: &Target, count: u32) -> Result<bool> {
    const TRIES: u32 = 300;
    let open = format!("waymark_subscriptions_open {count}");
    for _ in 0..TRIES {
        let mut connection = Connection::open(target).await?;
        let metrics = connection.ask("GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n").await?;
        if std::str::from_utf8(metrics)?.lines().any(|line| line == open) {
            return Ok(true);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(false)
}
