//! Resources whose key is an id of 24 hexadecimal digits have it in lower case, as every way in reads it.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

// The external id of such a resource is its key in lower case.
const LOWER: &str = "UPDATE resources SET key = external_id WHERE key <> external_id AND lower(key) = external_id";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(LOWER).await.map(drop)
    }

    /// Nobody needs the case of a digit.
    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }
}
