//! What stands between a request and its execution, measured without a server.

use std::hint::black_box;
use std::time::{Duration, Instant};

use waymark::config::Config;
use waymark::schema::bounds::Sizes;
use waymark::server::gate::{Gate, Values};

use crate::Result;
use crate::attacks;
use crate::queries::{People, Query};
use crate::rng::Rng;
use crate::server::peak_memory_of;

/// What a document that is known may take at the gate.
const KNOWN: Duration = Duration::from_micros(5);
/// What any one request may take.
const ATTACK: Duration = Duration::from_millis(50);
/// How much more memory it may take, in MiB.
const MEMORY: f64 = 64.0;

const TURNS: u32 = 20_000;
const NEW: u32 = 500;

/// Prints what the gate takes for the queries of the benchmark and for attacks; whether all of it is within its bounds.
pub(crate) fn measure() -> Result<bool> {
    let limits = Config::from_sources(None, [])?.limits;
    let gate = Gate::new(&waymark::schema::sdl(), &limits, true)?;
    let sizes = Sizes::all(50);
    let people = People::new(1000);
    let mut met = true;
    println!("{:<44} {:>10} {:>10} {:>10} {:>8}", "", "known", "copy", "new", "cost");
    for query in Query::ALL.into_iter().chain([Query::Unlock, Query::UnlockMany]) {
        let mut variables = String::new();
        query.variables(&people, &mut Rng::new(1), &mut variables);
        let values: Values = serde_json::from_str(&variables)?;
        let text = query.document();
        let refused = |refusal| format!("{} was refused: {refusal:?}", query.name());
        let cost = gate.pass(text, None, &values, &sizes).map_err(refused)?.cost;
        let known = mean(TURNS, |_| drop(black_box(gate.pass(text, None, &values, &sizes))));
        // With what the engine gets: its own copy of the document, and of the text.
        let whole = mean(TURNS, |_| {
            let request = gate.pass(text, None, &values, &sizes).map(|passed| passed.into_request());
            drop(black_box(request));
        });
        let new = mean(NEW, |turn| drop(black_box(gate.pass(&format!("{text} # {turn}"), None, &values, &sizes))));
        let within = known <= KNOWN;
        met &= within;
        let note = if within { "" } else { "  over 5 µs" };
        let copy = whole.saturating_sub(known);
        println!("{:<44} {:>10} {:>10} {:>10} {cost:>8}{note}", query.name(), micros(known), micros(copy), micros(new));
    }
    println!("\n{:<44} {:>10} {:>10}", "", "time", "memory");
    for (name, _, text) in attacks::documents() {
        let before = peak_memory_of(std::process::id()).unwrap_or_default();
        let begun = Instant::now();
        drop(black_box(gate.pass(&text, None, &Values::default(), &sizes)));
        let took = begun.elapsed();
        let memory = peak_memory_of(std::process::id()).unwrap_or_default() - before;
        let within = took <= ATTACK && memory <= MEMORY;
        met &= within;
        let note = if within { "" } else { "  over 50 ms or 64 MiB" };
        println!("{name:<52} {:>10} {memory:>6.1} MiB{note}", format!("{:.1} ms", took.as_secs_f64() * 1000.0));
    }
    Ok(met)
}

fn mean(turns: u32, mut work: impl FnMut(u32)) -> Duration {
    let begun = Instant::now();
    (0..turns).for_each(&mut work);
    begun.elapsed() / turns
}

fn micros(duration: Duration) -> String {
    format!("{:.1} µs", duration.as_secs_f64() * 1e6)
}
