//! Measures Waymark on its workload, side by side with a handler written by hand for the same answers. See README.md.

#![allow(clippy::print_stdout, reason = "a command whose product is what it prints")]

mod against;
mod arguments;
mod attacks;
mod check;
mod cluster;
mod files;
mod floor;
mod follow;
mod gate;
mod import;
mod load;
mod queries;
mod report;
mod rivals;
mod rng;
mod server;
mod socket;
mod spelling;
mod stage;
mod subscribers;
mod worst;
mod worst_search;

use std::process::ExitCode;

use arguments::{Arguments, Mode};
use queries::Query;
use report::Report;
use spelling::Spelling;
use stage::{Engine, Stage};
use tokio::runtime::{Builder, Runtime};

/// The one that `waymark` has; the floor gets it too.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<ExitCode> {
    let arguments = Arguments::parse(std::env::args().skip(1))?;
    match arguments.mode {
        Mode::Help => {
            println!("{}", arguments::USAGE);
            Ok(ExitCode::SUCCESS)
        }
        Mode::Waymark => Ok(server_runtime()?.block_on(waymark::cli::run(std::env::args_os().skip(1).collect()))),
        Mode::Floor => server_runtime()?.block_on(floor::serve()).map(|()| ExitCode::SUCCESS),
        Mode::Gate => gate::measure().map(|met| if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        Mode::Worst => {
            let met = server_runtime()?.block_on(worst_search::run(&arguments))?;
            Ok(if met { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Mode::Import => {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(import::run(&arguments)).map(|()| ExitCode::SUCCESS)
        }
        Mode::Followers => {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(follow::run()).map(|()| ExitCode::SUCCESS)
        }
        // The generator takes one thread: what it leaves of the machine belongs to those it measures.
        _ => Builder::new_current_thread().enable_all().build()?.block_on(measure(&arguments)),
    }
}

/// What `#[tokio::main]` makes, and `waymark` has.
fn server_runtime() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

async fn measure(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.mode == Mode::Against {
        return against::measure(arguments).await;
    }
    if arguments.mode == Mode::Writes {
        return measure_writes(arguments).await;
    }
    if arguments.mode == Mode::Subscribers {
        return subscribers::measure(arguments).await;
    }
    if arguments.mode == Mode::Rivals {
        return rivals::measure(arguments).await;
    }
    let engine = if arguments.mode == Mode::Sqlite { Engine::Sqlite } else { Engine::Postgres };
    let stage = Stage::set(arguments, engine).await?;
    match (&arguments.mode, &stage.floor) {
        (Mode::Correctness, Some(floor)) => {
            let differences = check::correctness(&stage.waymark.target, &floor.target, &stage.people).await?;
            return Ok(if differences == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        (_, Some(floor)) => check::equality(&stage.waymark.target, &floor.target, &stage.people).await?,
        (_, None) => {}
    }
    let mut report = Report::default();
    for query in arguments.queries() {
        for spelling in arguments.spellings() {
            report.add(stage.measure(query, *spelling, arguments).await?);
        }
    }
    println!("{}", report.table(&stage));
    Ok(ExitCode::SUCCESS)
}

async fn measure_writes(arguments: &Arguments) -> Result<ExitCode> {
    for (engine, name) in [(Engine::Postgres, "PostgreSQL"), (Engine::Sqlite, "SQLite")] {
        let stage = Stage::set(arguments, engine).await?;
        let mut report = Report::default();
        for query in arguments.writes() {
            if query == Query::Claim {
                stage.prepare_claims(&stage.waymark, &stage.people, arguments).await?;
            }
            report.add(stage.measure(query, Spelling::Plain, arguments).await?);
            if query == Query::Claim && stage.all_is_claimed() {
                return Err(
                    "there was nothing left to claim before the end; measure fewer or shorter rounds, or more users"
                        .into(),
                );
            }
        }
        println!("\nWrites on {name}{}", report.table(&stage));
    }
    Ok(ExitCode::SUCCESS)
}
