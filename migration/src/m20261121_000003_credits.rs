//! The ledger of credits: lots, the entries that change them, and blocks.

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
        let credit_lots = user_table(manager, "credit_lots")
            .col(big_integer("seq"))
            .col(at_least(1, big_integer("amount_micros")))
            .col(at_least(0, big_integer("remaining_micros")))
            .col(big_integer("granted_at"))
            .col(big_integer_null("expires_at"))
            .col(one_of("source", &["GOAL", "GRANT", "IMPORT"]))
            .col(big_integer_null("goal_id"))
            .col(text_null("reason"))
            .key(&["user_id", "seq"])
            .holds("remaining_micros <= amount_micros")
            .take();
        manager.create_table(credit_lots).await?;
        // Balances, spending and the sweep of expired lots ask only for those with something left.
        let open_lots =
            index("credit_lots", &["user_id", "expires_at"]).and_where(Expr::col("remaining_micros").gt(0)).take();
        manager.create_index(open_lots).await?;

        let credit_entries = user_table(manager, "credit_entries")
            .col(big_integer("seq"))
            .col(big_integer("lot_seq"))
            .col(one_of("kind", &["GRANT", "SPEND", "EXPIRE", "REVOKE"]))
            .col(at_least(1, big_integer("amount_micros")))
            .col(text_null("reason"))
            .col(text("operation"))
            .col(big_integer("recorded_at"))
            .key(&["user_id", "seq"])
            .take();
        manager.create_table(credit_entries).await?;

        let user_blocks = user_table(manager, "user_blocks")
            .col(big_integer("seq"))
            .col(one_of("scope", &["CLAIM", "SPEND", "ALL"]))
            .col(text("reason"))
            .col(big_integer("from_at"))
            .col(big_integer_null("until_at"))
            .col(big_integer_null("lifted_at"))
            .key(&["user_id", "seq"])
            .take();
        manager.create_table(user_blocks).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["user_blocks", "credit_entries", "credit_lots"]).await
    }
}
