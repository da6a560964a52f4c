//! Collections of cards, their rewards, and the cards each user owns.

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
        let collections = table("collections")
            .col(id())
            .col(text_uniq("key"))
            .col(text("name"))
            .col(text("description").default(""))
            .col(text_null("image"))
            .col(text("environment").default("production"))
            .col(big_integer("created_at"))
            .col(big_integer_null("starts_at"))
            .col(big_integer_null("ends_at"))
            .col(boolean("show_before").default(true))
            .col(boolean("show_after").default(true))
            .col(big_integer("updated_at"))
            .holds("ends_at > starts_at")
            .take();
        manager.create_table(collections).await?;

        let cards = table("cards")
            .col(id())
            .col(text_uniq("key"))
            .col(big_integer("collection_id"))
            .col(integer("position"))
            .col(text("name"))
            .col(text_null("image"))
            .col(text("rarity").default("common"))
            .references("collection_id", "collections")
            .take();
        manager.create_table(cards).await?;
        manager.create_index(index("cards", &["collection_id", "position"])).await?;

        let collection_rewards = table("collection_rewards")
            .col(big_integer("collection_id"))
            .col(text_uniq("key"))
            .col(text("name"))
            .col(text_null("image"))
            .col(text("description").default(""))
            .col(text("value"))
            .col(text("view_type").default("image"))
            .col(big_integer_null("stock"))
            .col(big_integer("claimed").default(0))
            .key(&["collection_id"])
            .references("collection_id", "collections")
            .holds("claimed <= stock")
            .take();
        manager.create_table(collection_rewards).await?;

        let owned_cards = user_table(manager, "owned_cards")
            .col(big_integer("card_id"))
            .col(big_integer("collection_id"))
            .col(at_least(0, integer("quantity")))
            .col(big_integer("first_acquired_at"))
            .col(big_integer("updated_at"))
            .key(&["user_id", "card_id"])
            .take();
        manager.create_table(owned_cards).await?;
        manager.create_index(index("owned_cards", &["user_id", "collection_id"])).await?;

        let collection_progress = user_table(manager, "collection_progress")
            .col(big_integer("collection_id"))
            .col(at_least(0, integer("collected_count")))
            .col(big_integer_null("completed_at"))
            .col(big_integer_null("reward_claimed_at"))
            .col(big_integer("updated_at"))
            .key(&["user_id", "collection_id"])
            .take();
        manager.create_table(collection_progress).await?;
        Ok(())
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        drop_tables(manager, &["collection_progress", "owned_cards", "collection_rewards", "cards", "collections"])
            .await
    }
}
