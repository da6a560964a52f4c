//! Steps of goals are as many as the goal asks for at most, also where it has come to ask for fewer.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

const CUT: &str = "UPDATE goal_progress SET completed_steps = (SELECT g.total_steps FROM goals g WHERE g.id = goal_id) \
    WHERE completed_steps > (SELECT g.total_steps FROM goals g WHERE g.id = goal_id)";

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    fn use_transaction(&self) -> Option<bool> {
        Some(true)
    }

    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.get_connection().execute_unprepared(CUT).await.map(drop)
    }

    /// What was cut is not known any more, and nobody needs it.
    async fn down(&self, _: &SchemaManager) -> Result<(), DbErr> {
        Ok(())
    }
}
