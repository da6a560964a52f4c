//! Learning resources and study plans, the users' instances of plans, and their progress.

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
        let resources = table("resources")
            .col(id())
            .col(text_uniq("key"))
            .col(text_uniq("external_id"))
            .col(text("title"))
            .col(text("kind").default("course"))
            .col(text_null("section"))
            .col(text_null("url"))
            .col(text("description").default(""))
            .col(integer_null("estimated_minutes"))
            .col(boolean("catalogued").default(true))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .take();
        manager.create_table(resources).await?;

        let study_plans = table("study_plans")
            .col(id())
            .col(text_uniq("key"))
            .col(text("title"))
            .col(text("description").default(""))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .take();
        manager.create_table(study_plans).await?;

        let study_plan_resources = table("study_plan_resources")
            .col(big_integer("plan_id"))
            .col(integer("position"))
            .col(big_integer("resource_id"))
            .key(&["plan_id", "position"])
            .unique(&["plan_id", "resource_id"])
            .references("plan_id", "study_plans")
            .references("resource_id", "resources")
            .take();
        manager.create_table(study_plan_resources).await?;

        let study_plan_instances = user_table(manager, "study_plan_instances")
            .col(big_integer("seq"))
            .col(text_uniq("external_id"))
            .col(big_integer("plan_id"))
            .col(text("title"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .key(&["user_id", "seq"])
            .take();
        manager.create_table(study_plan_instances).await?;

        let study_plan_instance_resources = user_table(manager, "study_plan_instance_resources")
            .col(big_integer("instance_seq"))
            .col(integer("position"))
            .col(big_integer("resource_id"))
            .col(big_integer_null("marked_at"))
            .key(&["user_id", "instance_seq", "position"])
            .unique(&["user_id", "instance_seq", "resource_id"])
            .take();
        manager.create_table(study_plan_instance_resources).await?;

        let resource_progress = user_table(manager, "resource_progress")
            .col(big_integer("resource_id"))
            .col(text_uniq("external_id"))
            .col(boolean("completed"))
            .col(small_integer("progress").check(Expr::col("progress").between(0, 100)).default(0))
            .col(at_least(0, integer("time_spent_minutes")).default(0))
            .col(text("notes").default(""))
            .col(big_integer_null("completed_at"))
            .col(big_integer("last_accessed_at"))
            .col(big_integer("created_at"))
            .col(big_integer("updated_at"))
            .key(&["user_id", "resource_id"])
            .take();
        manager.create_table(resource_progress).await?;
        manager.create_index(index("resource_progress", &["user_id", "last_accessed_at", "resource_id"])).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(
            manager,
            &[
                "resource_progress",
                "study_plan_instance_resources",
                "study_plan_instances",
                "study_plan_resources",
                "study_plans",
                "resources",
            ],
        )
        .await
    }
}
