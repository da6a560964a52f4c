//! On SQLite, rows of `resource_progress` lie beside their key and no more in it: notes may be 40 KB long, and SQLite
//! reads a row that is longer than a quarter of a page as a whole to compare its key, several of them to find one.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

use crate::columns::redefine;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLE: &str = "resource_progress";
const IN_KEY: &str = " WITHOUT ROWID";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() != DatabaseBackend::Sqlite {
            return Ok(());
        }
        redefine(manager, TABLE, |sql| sql.trim_end().trim_end_matches(IN_KEY).to_owned()).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        if manager.get_database_backend() != DatabaseBackend::Sqlite {
            return Ok(());
        }
        redefine(manager, TABLE, |sql| format!("{sql}{IN_KEY}")).await
    }
}
