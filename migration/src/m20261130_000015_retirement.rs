//! Things of the catalogue can be retired. An achievement that is not published is; the others get the date.

use sea_orm_migration::prelude::*;

use crate::columns::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const TABLES: [&str; 7] = ["seasons", "goals", "resources", "study_plans", "games", "collections", "cards"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            let retired = big_integer_null("retired_at");
            manager.alter_table(Table::alter().table(table).add_column(retired).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in TABLES {
            manager.alter_table(Table::alter().table(table).drop_column("retired_at").to_owned()).await?;
        }
        Ok(())
    }
}
