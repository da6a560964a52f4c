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

mod everything;
mod harness;

mod architecture;
mod attacked;
mod attacks;
mod auth;
mod auth_matrix;
mod batching;
mod by_user;
mod catalogue;
mod cli;
mod collections;
mod conformance;
mod cost;
mod crash;
mod credits;
mod deploy;
mod docs;
mod errors;
mod facts;
mod fuzz;
mod games;
mod hand_written;
mod history;
mod http;
mod http2;
mod learning;
mod limits;
mod migrations;
mod model;
mod node;
mod operating;
mod overview;
mod pages;
mod pagination;
mod plan;
mod profile;
mod replicas;
mod rest;
mod schema;
mod seasons;
#[path = "../../benches/src/spelling.rs"]
mod spelling;
mod spellings;
mod statements;
mod subscriptions;
mod transfer;
mod trusted;
mod upgrade;
mod users;
mod writes;

use std::process::ExitCode;

fn main() -> ExitCode {
    harness::run(&[
        ("architecture", architecture::TESTS),
        ("attacked::answers", attacked::answers::TESTS),
        ("attacked::clocks", attacked::clocks::TESTS),
        ("attacked::disk", attacked::disk::TESTS),
        ("attacked::hang_ups", attacked::hang_ups::TESTS),
        ("attacked::outages", attacked::outages::TESTS),
        ("attacked::places", attacked::places::TESTS),
        ("attacked::ranges", attacked::ranges::TESTS),
        ("attacked::refused", attacked::refused::TESTS),
        ("attacked::stored", attacked::stored::TESTS),
        ("attacked::strangers", attacked::strangers::TESTS),
        ("attacked::texts", attacked::texts::TESTS),
        ("attacked::worst", attacked::worst::TESTS),
        ("attacks", attacks::TESTS),
        ("auth", auth::TESTS),
        ("auth_matrix", auth_matrix::TESTS),
        ("batching", batching::TESTS),
        ("by_user", by_user::TESTS),
        ("catalogue", catalogue::TESTS),
        ("cli", cli::TESTS),
        ("collections", collections::TESTS),
        ("conformance", conformance::TESTS),
        ("cost", cost::TESTS),
        ("crash", crash::TESTS),
        ("credits", credits::TESTS),
        ("deploy", deploy::TESTS),
        ("docs", docs::TESTS),
        ("errors", errors::TESTS),
        ("facts", facts::TESTS),
        ("fuzz", fuzz::TESTS),
        ("games", games::TESTS),
        ("hand_written", hand_written::TESTS),
        ("history", history::TESTS),
        ("http", http::TESTS),
        ("http2", http2::TESTS),
        ("learning", learning::TESTS),
        ("limits", limits::TESTS),
        ("migrations", migrations::TESTS),
        ("model", model::TESTS),
        ("node", node::TESTS),
        ("operating::figures", operating::figures::TESTS),
        ("operating::files", operating::files::TESTS),
        ("operating::load", operating::load::TESTS),
        ("operating::requests", operating::requests::TESTS),
        ("operating::stopping", operating::stopping::TESTS),
        ("operating::traces", operating::traces::TESTS),
        ("overview", overview::TESTS),
        ("pages", pages::TESTS),
        ("pagination", pagination::TESTS),
        ("plan", plan::TESTS),
        ("profile", profile::TESTS),
        ("replicas::encrypted", replicas::encrypted::TESTS),
        ("replicas::failover", replicas::failover::TESTS),
        ("replicas::poolers", replicas::poolers::TESTS),
        ("replicas::read_only", replicas::read_only::TESTS),
        ("replicas::reading", replicas::reading::TESTS),
        ("rest::achievements", rest::achievements::TESTS),
        ("rest::collections", rest::collections::TESTS),
        ("rest::credits", rest::credits::TESTS),
        ("rest::hostile", rest::hostile::TESTS),
        ("rest::learning", rest::learning::TESTS),
        ("rest::openapi", rest::openapi::TESTS),
        ("rest::shapes", rest::shapes::TESTS),
        ("rest::signed_graphql", rest::signed_graphql::TESTS),
        ("schema", schema::TESTS),
        ("seasons", seasons::TESTS),
        ("spellings", spellings::TESTS),
        ("statements", statements::TESTS),
        ("subscriptions::events", subscriptions::events::TESTS),
        ("subscriptions::life", subscriptions::life::TESTS),
        ("subscriptions::protocol", subscriptions::protocol::TESTS),
        ("subscriptions::run", subscriptions::run::TESTS),
        ("subscriptions::sse", subscriptions::sse::TESTS),
        ("transfer", transfer::TESTS),
        ("trusted", trusted::TESTS),
        ("upgrade", upgrade::TESTS),
        ("users", users::TESTS),
        ("writes::catalogue", writes::catalogue::TESTS),
        ("writes::catalogue::collections", writes::catalogue::collections::TESTS),
        ("writes::catalogue::games", writes::catalogue::games::TESTS),
        ("writes::catalogue::learning", writes::catalogue::learning::TESTS),
        ("writes::catalogue::retire", writes::catalogue::retire::TESTS),
        ("writes::catalogue::seasons", writes::catalogue::seasons::TESTS),
        ("writes::collections", writes::collections::TESTS),
        ("writes::credits", writes::credits::TESTS),
        ("writes::games", writes::games::TESTS),
        ("writes::idempotency", writes::idempotency::TESTS),
        ("writes::learning", writes::learning::TESTS),
        ("writes::people::accounts", writes::people::accounts::TESTS),
        ("writes::people::erase", writes::people::erase::TESTS),
        ("writes::people::join", writes::people::join::TESTS),
        ("writes::people::keys", writes::people::keys::TESTS),
        ("writes::people::merge", writes::people::merge::TESTS),
        ("writes::people::reads", writes::people::reads::TESTS),
        ("writes::record", writes::record::TESTS),
        ("writes::refusals", writes::refusals::TESTS),
        ("writes::seasons", writes::seasons::TESTS),
        ("writes::together", writes::together::TESTS),
        ("writes::verify", writes::verify::TESTS),
    ])
}
