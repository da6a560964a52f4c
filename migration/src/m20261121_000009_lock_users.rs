//! How a write locks the users it is about, as one statement.
//!
//! On PostgreSQL only: SQLite has one writer at a time, who need not lock anything.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            manager.get_connection().execute_unprepared(LOCK_USERS).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            manager.get_connection().execute_unprepared("DROP FUNCTION lock_users(bigint[])").await?;
        }
        Ok(())
    }
}

/// Shares the lock of the catalogue, which a change of the catalogue takes alone, and locks users in ascending order.
///
/// The second statement sees what was committed while the first one waited, since each statement of a volatile function
/// has a snapshot of its own. So the version is the one that holds until the transaction ends.
pub(crate) const LOCK_USERS: &str = "
    CREATE FUNCTION lock_users(ids bigint[])
    RETURNS TABLE (id bigint, ulid text, history_seq bigint, ledger_seq bigint, version bigint)
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(8319);
        RETURN QUERY
            SELECT u.id, u.ulid, u.history_seq, u.ledger_seq, (SELECT c.version FROM catalogue_version c WHERE c.id = 1)
            FROM users u WHERE u.id = ANY(ids) AND u.merged_into IS NULL AND u.erased_at IS NULL
            ORDER BY u.id FOR NO KEY UPDATE OF u;
    END $$";
