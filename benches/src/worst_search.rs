//! What the worst documents take: known ones, the corpus of the tests, and what a search finds. In this process, so that
//! nothing but the server is measured.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use axum::body::{self, Body};
use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use waymark::app::App;
use waymark::clock::{Clock, Ids};
use waymark::config::Config;
use waymark::db::Db;
use waymark::demo::{self, Options, Scale};
use waymark::schema;
use waymark::server::{Mode, Server};
use waymark::transfer::{self, Source};

use crate::Result;
use crate::arguments::Arguments;
use crate::server::peak_memory_of;
use crate::worst::{self, Grammar, HANDLE, Names, Rng};

/// What a unit of cost may take of a processor's time, in microseconds.
const MICROS: f64 = 50.0;
/// What is taken for any request, whatever it costs: reading it, checking it, answering.
const FIXED: Duration = Duration::from_millis(10);
/// How many bytes an answer may have.
const BYTES: usize = 8_000_000;
/// How many bytes an answer has besides what was paid for.
const AROUND: u64 = 2000;
/// How much more memory an answer may take, in MiB.
const MEMORY: f64 = 64.0;
/// How often a document is run whose least counts: maintenance and other programs only ever add to it.
const MEASURED: u32 = 3;
const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/worst");

/// The server and who asks it.
struct Bench {
    server: Server,
    key: String,
    met: bool,
}

/// What came of one document.
#[derive(Debug, Clone, Copy)]
struct Taken {
    cost: u64,
    bytes: usize,
    cpu: Duration,
    memory: f64,
}

impl Taken {
    fn micros(&self) -> f64 {
        self.cpu.saturating_sub(FIXED).as_secs_f64() * 1e6 / self.cost.max(1) as f64
    }
}

/// Runs the known documents, the corpus, and a search. Whether all of them were within their bounds.
pub(crate) async fn run(arguments: &Arguments) -> Result<bool> {
    let directory = std::env::temp_dir().join(format!("waymark-worst-{}", std::process::id()));
    fs::create_dir_all(&directory)?;
    let outcome = search(arguments, &directory).await;
    fs::remove_dir_all(&directory)?;
    outcome
}

async fn search(arguments: &Arguments, directory: &Path) -> Result<bool> {
    let mut bench = Bench::open(directory).await?;
    println!("{:<48} {:>8} {:>10} {:>10} {:>10} {:>8}", "", "cost", "bytes", "CPU", "a unit", "memory");
    for (name, text, variables) in worst::known() {
        bench.measure(name, &text, variables).await?;
    }
    for entry in fs::read_dir(CORPUS)? {
        let path = entry?.path();
        let kept: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        bench.measure(&name, kept["query"].as_str().unwrap_or_default(), kept["variables"].clone()).await?;
    }
    let grammar = Grammar::new(&schema::sdl(), bench.names().await?);
    let mut rng = Rng::new(1);
    let mut worst = Vec::new();
    for _ in 0..arguments.rounds * 200 {
        let document = grammar.grow(&mut rng);
        if let Some(taken) = bench.run(&worst::text(&document), Value::Null).await? {
            worst.push((taken.micros(), document));
        }
    }
    worst.sort_by(|one, other| other.0.total_cmp(&one.0));
    for (mut most, mut document) in worst.into_iter().take(arguments.rounds * 2) {
        for _ in 0..100 {
            let (changed, _) = grammar.change(&document, &mut rng);
            if let Some(taken) =
                bench.run(&worst::text(&changed), Value::Null).await?.filter(|taken| taken.micros() > most)
            {
                (most, document) = (taken.micros(), changed);
            }
        }
        let text = worst::text(&document);
        let start: String = text.chars().take(44).collect();
        bench.measure(&start, &text, Value::Null).await?;
    }
    Ok(bench.met)
}

impl Bench {
    async fn open(directory: &Path) -> Result<Self> {
        let url = format!("sqlite://{}", directory.join("worst.db").display());
        let db = Db::connect(&url, 4).await?;
        db.migrate().await?;
        let now = Clock::System.now();
        demo::fill(&db, Options { users: None, scale: Scale::Demo }, now, &|_, _| {}).await?;
        let records = directory.join("riches.ndjson");
        fs::write(&records, worst::riches(1000, 1000, 300))?;
        let mut complain = |complaint: transfer::Complaint| eprintln!("{complaint}");
        transfer::import(&db, &Ids::system(), now, vec![Source::File(records)], &mut complain, &|_| {}).await?;
        db.close().await?;
        let made = Command::new(std::env::current_exe()?)
            .args(["waymark", "key", "create", "--name", "worst", "--scope", "admin"])
            .current_dir(directory)
            .env("WAYMARK_DATABASE_URL", &url)
            .output()?;
        let key = String::from_utf8_lossy(&made.stdout).lines().last().unwrap_or_default().trim().to_owned();
        if key.is_empty() {
            return Err(format!("no key was made: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        let settings = [
            ("WAYMARK_DATABASE_URL", url.as_str()),
            ("WAYMARK_RATE_PER_SECOND", "0"),
            ("WAYMARK_JWT_SECRET", "a secret that nobody has to guess"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let app = App::connect(Config::from_sources(None, settings)?, Ids::system()).await?;
        Ok(Self { server: Server::new(app, Mode::SERVE), key, met: true })
    }

    /// Runs a document and says what it took; `None` when it was refused.
    async fn run(&self, text: &str, variables: Value) -> Result<Option<Taken>> {
        let request = Request::post("/graphql")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.key))
            .body(Body::from(json!({ "query": text, "variables": variables }).to_string()))?;
        // What was the most is forgotten; where that is not possible, the most of all requests counts.
        let _ = fs::write("/proc/self/clear_refs", "5");
        let (had, before) = (peak_memory_of(std::process::id()).unwrap_or_default(), cpu().await);
        let response = self.server.clone().oneshot(request).await?;
        let bytes = body::to_bytes(response.into_body(), usize::MAX).await?;
        let (spent, has) = (cpu().await.saturating_sub(before), peak_memory_of(std::process::id()).unwrap_or_default());
        let answer: Value = serde_json::from_slice(&bytes).unwrap_or_default();
        let cost = answer["extensions"]["cost"]["requested"].as_u64();
        Ok(cost.map(|cost| Taken { cost, bytes: bytes.len(), cpu: spent, memory: has - had }))
    }

    /// Runs a document, prints what it took, and remembers whether it was too much.
    async fn measure(&mut self, name: &str, text: &str, variables: Value) -> Result<()> {
        // What is done once for a document is not looked at.
        let _ = self.run(text, variables.clone()).await?;
        let mut least: Option<Taken> = None;
        for _ in 0..MEASURED {
            let Some(taken) = self.run(text, variables.clone()).await? else {
                println!("{name:<48}  refused");
                return Ok(());
            };
            least = Some(least.filter(|least| least.cpu <= taken.cpu).unwrap_or(taken));
        }
        let Some(taken) = least else { return Ok(()) };
        let paid = taken.cost * worst::BYTES + AROUND;
        let long = taken.bytes > BYTES || taken.bytes as u64 > paid;
        let within = taken.micros() <= MICROS && !long && taken.memory <= MEMORY;
        self.met &= within;
        let note = if within { "" } else { "  too much" };
        println!(
            "{name:<48} {:>8} {:>10} {:>7.1} ms {:>7.1} µs {:>4.1} MiB{note}",
            taken.cost,
            taken.bytes,
            taken.cpu.as_secs_f64() * 1000.0,
            taken.micros(),
            taken.memory
        );
        if !within {
            println!("  {text}");
        }
        Ok(())
    }

    /// What there is to be named.
    async fn names(&self) -> Result<Names> {
        let query = format!(
            "{{ games(first: 100) {{ nodes {{ id key }} }} collections {{ nodes {{ id key cards {{ id }} }} }}
            resources(first: 100) {{ nodes {{ id key }} }} seasons {{ nodes {{ id key goals {{ id }} }} }}
            studyPlans {{ nodes {{ id key }} }} user(by: {{handle: \"{HANDLE}\"}}) {{ id studyPlanInstances {{ id }} }} }}"
        );
        let request = Request::post("/graphql")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.key))
            .body(Body::from(json!({ "query": query }).to_string()))?;
        let response = self.server.clone().oneshot(request).await?;
        let answer: Value = serde_json::from_slice(&body::to_bytes(response.into_body(), usize::MAX).await?)?;
        Ok(Names::of(&answer["data"]))
    }
}

/// The time that all threads of this process have spent on processors. It is counted when they stop for a moment.
async fn cpu() -> Duration {
    tokio::time::sleep(Duration::from_millis(2)).await;
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let spent = threads.filter_map(|thread| {
        let text = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}
