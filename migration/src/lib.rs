//! The schema of the Waymark database: one file per change, the same on SQLite and PostgreSQL.
//!
//! Imports nothing from the application, so that a migration keeps meaning what it meant on the day it was merged.
//! `README.md` beside this crate has the rules for adding one.
//!
//! Conventions of every table:
//! - An instant is a `BIGINT` of milliseconds since 1970-01-01T00:00:00Z in a column ending in `_at`; a duration is whole
//!   seconds in a column ending in `_seconds`; credits are millionths of a credit in a column ending in `_micros`.
//! - `id` is a surrogate key that never leaves the database; `key` is the operator's own name for a row, unique per table.
//! - An enumeration is text with a `CHECK` constraint that lists its values. JSON is text.
//! - A table that belongs to users has a primary key that starts with `user_id`, so that the rows of one user lie
//!   together, on a server of their own where users are spread over several. So whatever is unique there is unique for a
//!   user, and nothing is referenced from there: rows of the catalogue are never deleted while somebody has progress on
//!   them, and a foreign key would lock the same catalogue row in the transaction of every user; users are never deleted.

use sea_orm_migration::MigrationTrait;
pub use sea_orm_migration::{Migration, MigrationStatus, MigratorTrait};

mod columns;
mod m20261121_000001_users;
mod m20261121_000002_seasons;
mod m20261121_000003_credits;
mod m20261121_000004_learning;
mod m20261121_000005_games;
mod m20261121_000006_collections;
mod m20261121_000007_writes_and_history;
mod m20261121_000008_catalogue_version;
mod m20261121_000009_lock_users;
mod m20261130_000010_lock_free_users;
mod m20261130_000011_visibility;
mod m20261130_000012_grounds;
mod m20261130_000013_steps;
mod m20261130_000014_resource_keys;
mod m20261130_000015_retirement;
mod m20261201_000017_long_rows;
mod m20261201_000018_by_user;

/// All migrations, oldest first; each runs in a transaction of its own. [`MigratorTrait`] has the operations.
#[derive(Debug, Clone, Copy, Default)]
pub struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m20261121_000001_users::Migration),
            Box::new(m20261121_000002_seasons::Migration),
            Box::new(m20261121_000003_credits::Migration),
            Box::new(m20261121_000004_learning::Migration),
            Box::new(m20261121_000005_games::Migration),
            Box::new(m20261121_000006_collections::Migration),
            Box::new(m20261121_000007_writes_and_history::Migration),
            Box::new(m20261121_000008_catalogue_version::Migration),
            Box::new(m20261121_000009_lock_users::Migration),
            Box::new(m20261130_000010_lock_free_users::Migration),
            Box::new(m20261130_000011_visibility::Migration),
            Box::new(m20261130_000012_grounds::Migration),
            Box::new(m20261130_000013_steps::Migration),
            Box::new(m20261130_000014_resource_keys::Migration),
            Box::new(m20261130_000015_retirement::Migration),
            Box::new(m20261201_000017_long_rows::Migration),
            Box::new(m20261201_000018_by_user::Migration),
        ]
    }
}
