//! Seasons with their pauses, weeks, budgets and goals, and how far each user came.

use sea_orm_migration::prelude::*;

use crate::columns::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let seasons = table("seasons")
            .col(id())
            .col(text_uniq("key"))
            .col(text("title"))
            .col(text("description").default(""))
            .col(big_integer("starts_at"))
            .col(at_least(1, big_integer("duration_seconds")))
            .col(at_least(1, big_integer("week_length_seconds")).default(604_800))
            .col(big_integer_null("ended_at"))
            .col(one_of("pause_mode", &["FREEZE", "RUN_ON"]).default("FREEZE"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .take();
        manager.create_table(seasons).await?;

        let season_pauses = table("season_pauses")
            .col(big_integer("season_id"))
            .col(big_integer("from_at"))
            .col(big_integer_null("until_at"))
            .key(&["season_id", "from_at"])
            .references("season_id", "seasons")
            .holds("until_at > from_at")
            .take();
        manager.create_table(season_pauses).await?;

        let season_weeks = table("season_weeks")
            .col(big_integer("season_id"))
            .col(at_least(1, integer("number")))
            .col(text("title"))
            .key(&["season_id", "number"])
            .references("season_id", "seasons")
            .take();
        manager.create_table(season_weeks).await?;

        let season_budgets = table("season_budgets")
            .col(big_integer("season_id"))
            // 0 is the whole season.
            .col(at_least(0, integer("week")))
            .col(big_integer("cap_micros"))
            .col(at_least(0, big_integer("spent_micros")).default(0))
            .key(&["season_id", "week"])
            .references("season_id", "seasons")
            .holds("spent_micros <= cap_micros")
            .take();
        manager.create_table(season_budgets).await?;

        let goals = table("goals")
            .col(id())
            .col(text_uniq("key"))
            .col(big_integer("season_id"))
            .col(at_least(1, integer_null("week")))
            .col(integer("position"))
            .col(text("title"))
            .col(text("description").default(""))
            .col(text_null("thumbnail"))
            .col(at_least(0, big_integer("reward_micros")))
            .col(at_least(1, integer("total_steps")))
            .references("season_id", "seasons")
            .take();
        manager.create_table(goals).await?;
        manager.create_index(index("goals", &["season_id", "position"])).await?;

        let season_enrolments = user_table(manager, "season_enrolments")
            .col(big_integer("season_id"))
            .col(big_integer("enrolled_at"))
            .key(&["user_id", "season_id"])
            .take();
        manager.create_table(season_enrolments).await?;

        let goal_progress = user_table(manager, "goal_progress")
            .col(big_integer("goal_id"))
            .col(at_least(0, integer("completed_steps")))
            .col(big_integer_null("completed_at"))
            .col(big_integer("updated_at"))
            .key(&["user_id", "goal_id"])
            .take();
        manager.create_table(goal_progress).await?;

        let goal_claims = user_table(manager, "goal_claims")
            .col(big_integer("goal_id"))
            .col(big_integer("lot_seq"))
            .col(big_integer("reward_micros"))
            .col(big_integer("claimed_at"))
            .key(&["user_id", "goal_id"])
            .take();
        manager.create_table(goal_claims).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(
            manager,
            &[
                "goal_claims",
                "goal_progress",
                "season_enrolments",
                "goals",
                "season_budgets",
                "season_weeks",
                "season_pauses",
                "seasons",
            ],
        )
        .await
    }
}
