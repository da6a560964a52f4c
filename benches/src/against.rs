//! This tree and another program in turns: what a request costs the one, as a ratio to what it costs the other.
//!
//! Throughput depends on what else the machine does, and so does processor time a little. Both are asked right after each other,
//! pair by pair, and the median of the pairs' ratios is what is told.

use std::path::Path;
use std::process::{Command, ExitCode};
use std::rc::Rc;

use crate::Result;
use crate::arguments::Arguments;
use crate::load;
use crate::queries::{CLAIMABLE, People, Query};
use crate::report::median;
use crate::server::Server;
use crate::stage::{Engine, Stage};

/// The other program; one that is a benchmark itself serves as `waymark` when it is asked to.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if program.file_stem().is_some_and(|name| name == "waymark-bench") {
        command.arg("waymark");
    }
    command
}

/// Makes the other program's tables at `url`, and its demo data.
pub(crate) fn fill(program: &Path, url: &str, users: u32) -> Result<()> {
    let users = users.to_string();
    for arguments in [&["migrate"][..], &["demo", "--scale", "load", "--users", &users]] {
        eprintln!("{} {}", program.display(), arguments.join(" "));
        let run = command(program).args(arguments).env("WAYMARK_DATABASE_URL", url).output()?;
        if !run.status.success() {
            return Err(format!("{}: {}", program.display(), String::from_utf8_lossy(&run.stderr)).into());
        }
    }
    Ok(())
}

/// Measures every query and every write on both engines.
pub(crate) async fn measure(arguments: &Arguments) -> Result<ExitCode> {
    println!("| on | query | pairs | this, µs | other, µs | ratio: median (lowest to highest) |");
    println!("| --- | --- | ---: | ---: | ---: | ---: |");
    for (engine, name) in [(Engine::Postgres, "PostgreSQL"), (Engine::Sqlite, "SQLite")] {
        let stage = Stage::set(arguments, engine).await?;
        let Some((other, their_people)) = &stage.other else { return Err("there is no other program".into()) };
        let both = [(&stage.waymark, &stage.people), (other, their_people)];
        for query in arguments.queries().chain(arguments.writes()) {
            if query == Query::Claim {
                for (server, people) in both {
                    stage.prepare_claims(server, people, arguments).await?;
                }
            }
            println!("| {name} | {} {}", query.name(), pairs(&stage, both, query, arguments).await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn pairs(
    stage: &Stage,
    both: [(&Server, &Rc<People>); 2],
    query: Query,
    arguments: &Arguments,
) -> Result<String> {
    let (mut costs, mut ratios) = ([Vec::new(), Vec::new()], Vec::new());
    for pair in 0..=arguments.rounds {
        let mut pair_costs = [0.0; 2];
        // Who goes first changes, so that what one leaves behind meets both alike.
        let order = if pair % 2 == 0 { [0, 1] } else { [1, 0] };
        for place in order {
            let (server, people) = both[place];
            let before = stage.usage(server).await?;
            let seed = u64::try_from(pair)?;
            let round = load::run(&server.target, query, people, arguments.connections, arguments.round, seed).await?;
            let after = stage.usage(server).await?;
            pair_costs[place] = after.cpu_since(&before).as_secs_f64() * 1e6 / round.requests();
        }
        let claims_left = both.iter().all(|(_, people)| people.turns() < people.count() * CLAIMABLE);
        if query == Query::Claim && !claims_left {
            return Err("there was nothing left to claim before the end; measure fewer or shorter rounds".into());
        }
        // The first one warms up.
        if pair > 0 {
            ratios.push(pair_costs[0] / pair_costs[1]);
            costs.iter_mut().zip(pair_costs).for_each(|(costs, cost)| costs.push(cost));
        }
    }
    let middle = |values: &[f64]| median(values).unwrap_or_default();
    let (least, most) = ratios.iter().fold((f64::MAX, f64::MIN), |(least, most), r| (least.min(*r), most.max(*r)));
    let [ours, theirs] = costs.map(|costs| middle(&costs));
    Ok(format!("| {} | {ours:.0} | {theirs:.0} | {:.3} ({least:.2} to {most:.2}) |", ratios.len(), middle(&ratios)))
}
