//! Games, their achievements, and what each user unlocked.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DatabaseBackend;

use crate::columns::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let games = table("games")
            .col(id())
            .col(text_uniq("key"))
            .col(big_integer_null("number").unique_key())
            .col(text("title"))
            .col(text_null("platform"))
            .col(text("description").default(""))
            .col(text_null("image"))
            .col(integer("num_possible").default(0))
            .col(integer("possible_score").default(0))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .take();
        manager.create_table(games).await?;

        let achievements = table("achievements")
            .col(id())
            .col(text_uniq("key"))
            .col(big_integer("game_id"))
            .col(integer("position"))
            .col(text("title"))
            .col(text("description").default(""))
            .col(text_null("badge"))
            .col(at_least(0, integer("points")))
            .col(one_of("kind", &["STANDARD", "PROGRESSION", "WIN_CONDITION"]).default("STANDARD"))
            .col(boolean("published").default(true))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .references("game_id", "games")
            .take();
        manager.create_table(achievements).await?;
        manager.create_index(index("achievements", &["game_id", "position"])).await?;

        let achievement_unlocks = user_table(manager, "achievement_unlocks")
            .col(big_integer("achievement_id"))
            .col(big_integer("game_id"))
            .col(big_integer("unlocked_at"))
            .col(big_integer_null("unlocked_hardcore_at"))
            .key(&["user_id", "achievement_id"])
            .holds("unlocked_at <= unlocked_hardcore_at")
            .take();
        manager.create_table(achievement_unlocks).await?;
        manager.create_index(index("achievement_unlocks", &["user_id", "game_id"])).await?;

        let game_summaries = user_table(manager, "game_summaries")
            .col(big_integer("game_id"))
            .col(at_least(0, integer("num_achieved")))
            .col(at_least(0, integer("score_achieved")))
            .col(at_least(0, integer("num_achieved_hardcore")))
            .col(at_least(0, integer("score_achieved_hardcore")))
            .col(big_integer_null("first_unlocked_at"))
            .col(big_integer_null("last_unlocked_at"))
            .col(big_integer_null("beaten_at"))
            .col(big_integer_null("beaten_hardcore_at"))
            .col(big_integer_null("completed_at"))
            .col(big_integer_null("mastered_at"))
            .primary_key(&mut summary_key(manager))
            .holds("num_achieved_hardcore <= num_achieved")
            .holds("score_achieved_hardcore <= score_achieved")
            .take();
        manager.create_table(game_summaries).await?;
        manager.create_index(index("game_summaries", &["user_id", "last_unlocked_at", "game_id"])).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["game_summaries", "achievement_unlocks", "achievements", "games"]).await
    }
}

/// The primary key of `game_summaries`. On PostgreSQL the index carries the whole row, so that a profile is read from the
/// index alone; on SQLite the table is that index.
fn summary_key(manager: &SchemaManager) -> IndexCreateStatement {
    let mut key = Index::create().col("user_id").col("game_id").take();
    if manager.get_database_backend() == DatabaseBackend::Postgres {
        for column in [
            "num_achieved",
            "score_achieved",
            "num_achieved_hardcore",
            "score_achieved_hardcore",
            "first_unlocked_at",
            "last_unlocked_at",
            "beaten_at",
            "beaten_hardcore_at",
            "completed_at",
            "mastered_at",
        ] {
            key.include(column);
        }
    }
    key
}
