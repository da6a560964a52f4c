//! What makes a write safe to repeat, and what is kept of every write.

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
        let idempotency_keys = table("idempotency_keys")
            .col(text("principal"))
            .col(text("mutation"))
            .col(text("key"))
            .col(text("body_hash"))
            .col(text("outcome"))
            .col(big_integer("created_at"))
            .key(&["principal", "mutation", "key"])
            .take();
        manager.create_table(idempotency_keys).await?;
        manager.create_index(index("idempotency_keys", &["created_at"])).await?;

        let write_refs = user_table(manager, "write_refs")
            .col(text("kind"))
            .col(text("reference"))
            .col(big_integer("created_at"))
            .col(text("outcome"))
            .key(&["user_id", "kind", "reference"])
            .take();
        manager.create_table(write_refs).await?;

        let history_events = user_table(manager, "history_events")
            .col(big_integer("seq"))
            .col(text("kind"))
            .col(text("actor"))
            .col(text("subject_type"))
            .col(text("subject_key"))
            .col(text("changes"))
            .col(big_integer("occurred_at"))
            .col(big_integer("recorded_at"))
            .key(&["user_id", "seq"])
            .take();
        manager.create_table(history_events).await?;

        let audit_log = table("audit_log")
            .col(id())
            .col(text("actor"))
            .col(text("action"))
            .col(text("subject_type"))
            .col(text("subject_key"))
            .col(text("changes"))
            .col(big_integer("recorded_at"))
            .take();
        manager.create_table(audit_log).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["audit_log", "history_events", "write_refs", "idempotency_keys"]).await
    }
}
