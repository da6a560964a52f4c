//! What awards rest on, and which dates of completion were told and which follow from other dates.

use sea_orm_migration::prelude::*;

use crate::columns::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

/// The tables with a date of completion.
const COMPLETED: [&str; 1] = ["collection_progress"];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let sets = table("award_sets")
            .col(id())
            .col(big_integer("game_id"))
            .col(text("digest"))
            .col(text("achievements"))
            .unique(&["game_id", "digest"])
            .references("game_id", "games")
            .take();
        manager.create_table(sets).await?;
        let grounds = user_table(manager, "award_grounds")
            .col(big_integer("game_id"))
            .col(one_of("award", &["BEATEN", "BEATEN_HARDCORE", "COMPLETED", "MASTERED"]))
            .col(big_integer("set_id"))
            .key(&["user_id", "game_id", "award"])
            .take();
        manager.create_table(grounds).await?;
        for table in COMPLETED {
            let told = boolean("completed_told").default(false).to_owned();
            manager.alter_table(Table::alter().table(table).add_column(told).to_owned()).await?;
        }
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in COMPLETED {
            manager.alter_table(Table::alter().table(table).drop_column("completed_told").to_owned()).await?;
        }
        drop_tables(manager, &["award_grounds", "award_sets"]).await
    }
}
