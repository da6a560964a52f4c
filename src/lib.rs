//! Waymark: a self-hosted server that records and shows users' progress.
//!
//! # The house
//!
//! | room | what is in it |
//! | --- | --- |
//! | [`error`], [`clock`], [`config`], `text`, `metrics`, `trace` | kernel: one error type, time and ids, settings, what may stand in texts, figures and traces for operators |
//! | [`db`], [`auth`], `graphql`, `rest`, [`mod@write`], `verify`, `request`, `admission` | platform: database, permissions, the toolkits of GraphQL and REST, how anything is changed and checked, how many requests are worked on at a time; knows no feature |
//! | [`features`] | one folder per kind of progress |
//! | [`schema`] | `User`, and the roots merged from the features |
//! | [`server`], [`app`], [`demo`], [`transfer`], `telemetry`, [`cli`] | assembly: HTTP, wiring, demo data, files in and out, the log and where traces go, commands |
//!
//! # The import rule
//!
//! kernel ← platform ← features ← schema ← assembly: a room imports only from rooms to its left. Inside a feature
//! `{graphql, rest} → service → {rules, repo}` and `loader → repo → entity`; other features are reached through their
//! `service` and the GraphQL objects they share. `sea_orm` is imported only where SQL is written, `axum` only by the
//! server and by REST, `async_graphql` only by GraphQL faces and loaders. A test reads the `use` lines and keeps it so.

mod admission;
pub mod app;
pub mod auth;
pub mod cli;
pub mod clock;
pub mod config;
pub mod db;
pub mod demo;
pub mod error;
pub mod features;
mod graphql;
mod limits;
mod metrics;
mod request;
mod rest;
pub mod schema;
pub mod server;
mod telemetry;
mod text;
mod trace;
pub mod transfer;
mod verify;
pub mod write;
