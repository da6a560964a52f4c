//! Waymark from the outside: every test on every database that is at hand.
//!
//! `cargo test --test it`, with the usual arguments behind `--`, such as `games::` or `sqlite::`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "a test that cannot go on panics"
)]

mod harness;

mod migrations;
mod users;

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::run(&[("migrations", migrations::TESTS), ("users", users::TESTS)])
}
