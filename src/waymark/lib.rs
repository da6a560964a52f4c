//! Waymark: a self-hosted server that records and shows users' progress.
//!
//! This crate is the command line and the wiring. The rest stands in rooms of their own, each a crate under `src/`, in
//! the order in which they may depend on each other:
//!
//! | room | what is in it |
//! | --- | --- |
//! | `kernel` | one error type with a closed set of codes, clock and ids, settings, limits, texts, metrics, traces |
//! | `db` | connections, transactions, statements, pages, bulk writes; knows no table of a feature |
//! | `auth` | the caller of a request, and what the caller may see and do, and how much |
//! | `vocabulary` | the closed lists over all kinds of progress: types of ids, kinds of events, refusal codes |
//! | `graphql_kit` | the batcher, scalars, lists, pages: what GraphQL faces are made of |
//! | `write`, `verify` | one way to change anything; what must be true of the tables, and how it is mended |
//! | `request`, `rest_kit` | one request and how many at a time; what REST dialects are made of |
//! | `features/*` | one crate per kind of progress, with the same file names in each |
//! | `kinds` | the list of all kinds, and what is done to all of them |
//! | `schema`, `transfer`, `demo` | the GraphQL roots; files in and out; demo data |
//! | `pages`, `server` | the built pages; HTTP, the gate, WebSocket, SSE |
//!
//! Cargo keeps circles out, and a test keeps the order. `docs/architecture.md` says more.

pub mod cli;
mod telemetry;

pub use waymark_auth as auth;
pub use waymark_db as db;
pub use waymark_demo as demo;
pub use waymark_kernel::{clock, config, error};
pub use waymark_kinds as features;
pub use waymark_schema as schema;
pub use waymark_server as server;
pub use waymark_server::app;
pub use waymark_transfer as transfer;
pub use waymark_verify as verify;
pub use waymark_write as write;
