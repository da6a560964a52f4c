//! Runs every test on every database that is at hand.
//!
//! A file of tests lists them by what they need: `demo` (the shared demo data, which nobody changes), `own` (demo data of
//! their own), `few` (the same with 25 users), `empty` (a migrated database of their own), `blank` (a database of their own without a schema) or `once` (no database). All but the last run
//! on each engine, as `sqlite::games::…` and `postgres::games::…`.

mod actor;
mod databases;
mod postgres;
mod proxy;
mod stage;

use std::pin::Pin;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};

pub(crate) use actor::{Actor, Answer};
use databases::Engine;
pub(crate) use postgres::{Cluster, Pooler, free_port, through_a_pooler};
pub(crate) use proxy::{Cut, Proxy, Way};
pub(crate) use stage::{Blank, NOW, Stage, by_hand, count_anew, token};

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// How long a test may take, by far: one that waits for what never comes fails by its name instead of keeping all waiting.
const LONGEST: Duration = Duration::from_secs(1200);

/// How much of a long suite is run: `short`, which takes seconds, or `whole` when `TEST_WHOLE=1` is set, which takes minutes.
/// Both do the same things, the second more often.
pub(crate) fn rounds(short: u32, whole: u32) -> u32 {
    let asked = std::env::var("TEST_WHOLE").is_ok_and(|value| !value.is_empty() && value != "0");
    if asked { whole } else { short }
}

/// How long a test may take: a whole suite has the time that it needs.
fn longest() -> Duration {
    LONGEST * rounds(1, 12)
}

/// A test: its name and what it runs on.
#[derive(Clone, Copy)]
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) body: Body,
}

/// What a test needs.
#[derive(Clone, Copy)]
pub(crate) enum Body {
    Demo(fn(Stage) -> Work),
    Own(fn(Stage) -> Work),
    Few(fn(Stage) -> Work),
    Empty(fn(Stage) -> Work),
    Blank(fn(Blank) -> Work),
    Once(fn()),
}

/// Makes the list `TESTS` of a file.
macro_rules! tests {
    ($($needs:ident: [$($name:ident),* $(,)?]),* $(,)?) => {
        pub(crate) const TESTS: &[$crate::harness::Test] = &[$($(
            $crate::harness::Test { name: stringify!($name), body: $crate::harness::tests!(@ $needs $name) },
        )*)*];
    };
    (@ demo $name:ident) => { $crate::harness::Body::Demo(|stage| Box::pin($name(stage))) };
    (@ own $name:ident) => { $crate::harness::Body::Own(|stage| Box::pin($name(stage))) };
    (@ few $name:ident) => { $crate::harness::Body::Few(|stage| Box::pin($name(stage))) };
    (@ empty $name:ident) => { $crate::harness::Body::Empty(|stage| Box::pin($name(stage))) };
    (@ blank $name:ident) => { $crate::harness::Body::Blank(|blank| Box::pin($name(blank))) };
    (@ once $name:ident) => { $crate::harness::Body::Once($name) };
}
pub(crate) use tests;

/// Runs the tests of these files as the command line says.
pub(crate) fn run(files: &[(&str, &[Test])]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // Many tests wait for a server or a clock rather than for the processor.
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    arguments.test_threads.get_or_insert(2 * cores);
    let (engines, missing) = databases::discover();
    let mut trials = Vec::new();
    for (file, test) in files.iter().flat_map(|(file, tests)| tests.iter().map(move |test| (file, *test))) {
        let Test { name, body } = test;
        if let Body::Once(test) = body {
            let name = format!("{file}::{name}");
            trials.push(Trial::test(name.clone(), move || watched(name, test)));
            continue;
        }
        for engine in &engines {
            let on = Arc::clone(engine);
            let name = format!("{}::{file}::{name}", engine.name());
            trials.push(Trial::test(name.clone(), move || watched(name, move || perform(&on, body))));
        }
    }
    if !arguments.list {
        let selected = |engine: &&Arc<Engine>| {
            let prefix = format!("{}::", engine.name());
            trials.iter().any(|trial| trial.name().starts_with(&prefix) && !arguments.is_filtered_out(trial))
        };
        let started = engines.iter().filter(selected).map(|engine| engine.start()).collect::<Result<Vec<_>, _>>();
        match started {
            Ok(labels) if labels.is_empty() => println!("databases: none"),
            Ok(labels) => println!("databases: {}{missing}", labels.join(", ")),
            Err(reason) => {
                eprintln!("error: {reason}");
                return ExitCode::FAILURE;
            }
        }
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    engines.iter().for_each(|engine| engine.stop());
    let mut times = std::mem::take(&mut *TIMES.lock().expect("nobody panicked"));
    times.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    for (name, time) in times.iter().take(SLOWEST).filter(|_| !arguments.list) {
        println!("{:6.1} s {name}", time.as_secs_f64());
    }
    conclusion.exit_code()
}

/// How long each test took. The slowest are named in the end.
static TIMES: Mutex<Vec<(String, Duration)>> = Mutex::new(Vec::new());
const SLOWEST: usize = 10;

/// Runs a test, and leaves it behind when it does not end.
fn watched(name: String, test: impl FnOnce() + Send + 'static) -> Result<(), Failed> {
    let began = Instant::now();
    let (ended, end) = mpsc::channel::<()>();
    let work = thread::spawn(move || {
        let _ended = ended;
        test();
    });
    if end.recv_timeout(longest()) == Err(mpsc::RecvTimeoutError::Timeout) {
        return Err(format!("it is not done after {} s", longest().as_secs()).into());
    }
    TIMES.lock().expect("nobody panicked").push((name, began.elapsed()));
    work.join().map_err(|panic| {
        let words = panic.downcast_ref::<String>().map(String::as_str);
        words.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").into()
    })
}

/// Sets the stage and lets the test play on it, in a runtime of its own.
fn perform(engine: &Engine, body: Body) {
    let lent = match body {
        Body::Demo(_) => None,
        Body::Own(_) => Some(engine.lend(engine.own())),
        Body::Few(_) => Some(engine.lend(engine.few())),
        Body::Empty(_) => Some(engine.lend(engine.empty())),
        Body::Blank(_) => Some(engine.lend(engine.blank())),
        Body::Once(_) => return,
    };
    let url = lent.as_ref().map_or_else(|| engine.demo(), |lent| lent.url.clone());
    // Ends before its database is removed.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime starts").block_on(async {
        match body {
            Body::Demo(test) | Body::Own(test) | Body::Few(test) | Body::Empty(test) => {
                test(Stage::open(url).await).await
            }
            Body::Blank(test) => test(Blank::open(url).await).await,
            Body::Once(_) => {}
        }
    });
}
