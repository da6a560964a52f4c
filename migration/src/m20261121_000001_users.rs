//! Users, the accounts they are known by elsewhere, and the keys of applications.

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
        let users = table("users")
            .col(id())
            .col(text_uniq("ulid"))
            .col(text_uniq("external_id"))
            .col(text("handle"))
            .col(text_uniq("handle_lower"))
            .col(text_null("display_name"))
            .col(text_null("avatar_url"))
            .col(one_of("visibility", &["PRIVATE", "PUBLIC"]).default("PRIVATE"))
            .col(big_integer("created_at"))
            .col(big_integer("history_seq").default(0))
            .col(big_integer("ledger_seq").default(0))
            .col(big_integer_null("merged_into"))
            .col(big_integer_null("erased_at"))
            .references("merged_into", "users")
            .take();
        manager.create_table(users).await?;

        let accounts = user_table(manager, "accounts")
            .col(text("provider"))
            .col(text("external_id"))
            .col(big_integer("linked_at"))
            .key(&["user_id", "provider", "external_id"])
            .unique(&["provider", "external_id"])
            .take();
        manager.create_table(accounts).await?;

        let api_keys = table("api_keys")
            .col(id())
            .col(text("name"))
            .col(text("prefix"))
            .col(text_uniq("hash"))
            .col(text("scopes"))
            .col(big_integer_null("owner_id"))
            .col(big_integer("created_at"))
            .col(big_integer_null("expires_at"))
            .col(big_integer_null("revoked_at"))
            .references("owner_id", "users")
            .take();
        manager.create_table(api_keys).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["api_keys", "accounts", "users"]).await
    }
}
