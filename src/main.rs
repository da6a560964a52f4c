//! The `waymark` command.

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    waymark::cli::run(std::env::args_os()).await
}
