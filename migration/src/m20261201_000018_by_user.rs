//! Tables of users can lie on other servers than `users`: what changes with every write of a user stands in a table of
//! its own, nothing in tables of users refers to `users`, and ids in them are unique for a user.
//!
//! The version of the catalogue is raised by what changes the catalogue and no longer by triggers, which no table that is
//! on all servers can have.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

use crate::columns::*;
use crate::m20261121_000008_catalogue_version::{unwatch, watch};
use crate::m20261121_000009_lock_users::LOCK_USERS;
use crate::m20261130_000010_lock_free_users::LOCK_FREE_USERS;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The tables whose rows belong to users. `accounts` is none of them: it leads from accounts to users.
const OF_USERS: [&str; 16] = [
    "season_enrolments",
    "goal_progress",
    "goal_claims",
    "credit_lots",
    "credit_entries",
    "user_blocks",
    "study_plan_instances",
    "study_plan_instance_resources",
    "resource_progress",
    "achievement_unlocks",
    "game_summaries",
    "award_grounds",
    "owned_cards",
    "collection_progress",
    "write_refs",
    "history_events",
];

/// Those with an `external_id`, which was unique among those of all users.
const WITH_IDS: [&str; 2] = ["study_plan_instances", "resource_progress"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let db = manager.get_connection();
        unwatch(manager).await?;
        let counters = table_by_user(manager, "user_counters")
            .col(big_integer("history_seq").default(0))
            .col(big_integer("ledger_seq").default(0))
            .col(boolean("gone").default(false))
            .key(&["user_id"])
            .take();
        manager.create_table(counters).await?;
        db.execute_unprepared(
            "INSERT INTO user_counters (user_id, history_seq, ledger_seq, gone)
             SELECT id, history_seq, ledger_seq, merged_into IS NOT NULL OR erased_at IS NOT NULL FROM users",
        )
        .await?;
        for column in ["history_seq", "ledger_seq"] {
            manager.alter_table(Table::alter().table("users").drop_column(column).to_owned()).await?;
        }
        let owners =
            table("instance_owners").col(text("external_id")).col(big_integer("user_id")).key(&["external_id"]).take();
        manager.create_table(owners).await?;
        db.execute_unprepared(
            "INSERT INTO instance_owners (external_id, user_id) SELECT external_id, user_id FROM study_plan_instances",
        )
        .await?;
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            lock_by(manager, &lock("lock_users", ""), &lock("lock_free_users", "SKIP LOCKED")).await?;
            return each(manager, &FREED).await;
        }
        for table in OF_USERS {
            redefine(manager, table, |sql| {
                let sql = sql.replacen(REFERENCE, "", 1);
                if WITH_IDS.contains(&table) { with(&sql.replacen(UNIQUE, NOT_UNIQUE, 1), UNIQUE_OF_USER) } else { sql }
            })
            .await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for column in ["history_seq", "ledger_seq"] {
            let column = big_integer(column).default(0).to_owned();
            manager.alter_table(Table::alter().table("users").add_column(column).to_owned()).await?;
        }
        let db = manager.get_connection();
        db.execute_unprepared(
            "UPDATE users SET history_seq = c.history_seq, ledger_seq = c.ledger_seq
             FROM user_counters c WHERE c.user_id = users.id",
        )
        .await?;
        drop_tables(manager, &["instance_owners", "user_counters"]).await?;
        watch(manager).await?;
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            lock_by(manager, LOCK_USERS, LOCK_FREE_USERS).await?;
            return each(manager, &BOUND).await;
        }
        for table in OF_USERS {
            redefine(manager, table, |sql| {
                let sql = with(sql, REFERENCE);
                if !WITH_IDS.contains(&table) {
                    return sql;
                }
                sql.replacen(UNIQUE_OF_USER, "", 1).replacen(NOT_UNIQUE, UNIQUE, 1)
            })
            .await?;
        }
        Ok(())
    }
}

// As SQLite keeps them.
const REFERENCE: &str = r#", FOREIGN KEY ("user_id") REFERENCES "users" ("id")"#;
const UNIQUE: &str = r#""external_id" text NOT NULL UNIQUE"#;
const NOT_UNIQUE: &str = r#""external_id" text NOT NULL"#;
const UNIQUE_OF_USER: &str = r#", UNIQUE ("user_id", "external_id")"#;

/// A definition of a table with another constraint.
fn with(definition: &str, constraint: &str) -> String {
    let (columns, rest) = definition.split_at(definition.rfind(')').unwrap_or(definition.len()));
    format!("{columns}{constraint}{rest}")
}

/// What PostgreSQL does with a table of users, and with one that has ids.
type Steps = [&'static str; 2];

const FREED: Steps = [
    "ALTER TABLE {table} DROP CONSTRAINT {table}_user_id_fkey",
    "ALTER TABLE {table} DROP CONSTRAINT {table}_external_id_key, ADD UNIQUE (user_id, external_id)",
];
const BOUND: Steps = [
    "ALTER TABLE {table} ADD FOREIGN KEY (user_id) REFERENCES users (id)",
    "ALTER TABLE {table} DROP CONSTRAINT {table}_user_id_external_id_key, ADD UNIQUE (external_id)",
];

async fn each(manager: &SchemaManager<'_>, [of_users, with_ids]: &Steps) -> Result<(), DbErr> {
    for (step, tables) in [(of_users, &OF_USERS[..]), (with_ids, &WITH_IDS[..])] {
        for table in tables {
            manager.get_connection().execute_unprepared(&step.replace("{table}", table)).await?;
        }
    }
    Ok(())
}

/// Puts these functions in the place of those that lock users.
async fn lock_by(manager: &SchemaManager<'_>, users: &str, free_users: &str) -> Result<(), DbErr> {
    let db = manager.get_connection();
    for sql in ["DROP FUNCTION lock_users(bigint[])", "DROP FUNCTION lock_free_users(bigint[])", users, free_users] {
        db.execute_unprepared(sql).await?;
    }
    Ok(())
}

/// As before, but for where the lock is: on the counters. Whether somebody is gone stands there too, since only the row
/// that is locked is read anew when the lock was waited for.
fn lock(name: &str, how: &str) -> String {
    format!(
        "CREATE FUNCTION {name}(ids bigint[])
        RETURNS TABLE (id bigint, ulid text, history_seq bigint, ledger_seq bigint, self_made boolean, version bigint)
        LANGUAGE plpgsql VOLATILE AS $$
        BEGIN
            PERFORM pg_advisory_xact_lock_shared(8319);
            RETURN QUERY
                SELECT c.user_id, u.ulid, c.history_seq, c.ledger_seq, u.self_made,
                    (SELECT v.version FROM catalogue_version v WHERE v.id = 1)
                FROM user_counters c JOIN users u ON u.id = c.user_id WHERE c.user_id = ANY(ids) AND NOT c.gone
                ORDER BY c.user_id FOR NO KEY UPDATE OF c {how};
        END $$"
    )
}
