//! How writes that are carried out together lock their users without waiting for those whom somebody else has locked.
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
            manager.get_connection().execute_unprepared(LOCK_FREE_USERS).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() == DatabaseBackend::Postgres {
            manager.get_connection().execute_unprepared("DROP FUNCTION lock_free_users(bigint[])").await?;
        }
        Ok(())
    }
}

/// `lock_users`, but for users whom another transaction has locked, who are left out.
pub(crate) const LOCK_FREE_USERS: &str = "
    CREATE FUNCTION lock_free_users(ids bigint[])
    RETURNS TABLE (id bigint, ulid text, history_seq bigint, ledger_seq bigint, version bigint)
    LANGUAGE plpgsql VOLATILE AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(8319);
        RETURN QUERY
            SELECT u.id, u.ulid, u.history_seq, u.ledger_seq, (SELECT c.version FROM catalogue_version c WHERE c.id = 1)
            FROM users u WHERE u.id = ANY(ids) AND u.merged_into IS NULL AND u.erased_at IS NULL
            ORDER BY u.id FOR NO KEY UPDATE OF u SKIP LOCKED;
    END $$";
