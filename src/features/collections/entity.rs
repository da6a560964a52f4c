//! The tables of collections: the catalogue of cards and rewards, and what each user owns.

/// Collections: sets of cards to be completed, perhaps within dates.
pub mod collection {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `collections`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "collections")]
    pub struct Model {
        /// Surrogate key; never leaves the database.
        #[sea_orm(primary_key)]
        pub id: i64,
        /// The operator's own key; unique in this table.
        pub key: String,
        /// Name for people.
        pub name: String,
        /// Description for people; empty: none.
        pub description: String,
        /// Where its picture is; NULL: none.
        pub image: Option<String>,
        /// Where it is meant to be shown; `production` unless set.
        pub environment: String,
        /// When the row was made.
        pub created_at: Timestamp,
        /// From when on it can be completed; NULL: it always could.
        pub starts_at: Option<Timestamp>,
        /// From when on it cannot any more, later than `starts_at`; NULL: never.
        pub ends_at: Option<Timestamp>,
        /// Whether it is shown before `starts_at`.
        pub show_before: bool,
        /// Whether it is shown from `ends_at` on.
        pub show_after: bool,
        /// When the row last changed.
        pub updated_at: Timestamp,
        /// When it was retired: hidden, and without new progress from then on; NULL: it is not.
        pub retired_at: Option<Timestamp>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Cards of collections.
pub mod card {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `cards`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "cards")]
    pub struct Model {
        /// Surrogate key; never leaves the database.
        #[sea_orm(primary_key)]
        pub id: i64,
        /// The operator's own key; unique in this table.
        pub key: String,
        /// The collection it belongs to.
        pub collection_id: i64,
        /// Place in the collection, lowest first.
        pub position: i32,
        /// Name for people.
        pub name: String,
        /// Where its picture is; NULL: none.
        pub image: Option<String>,
        /// How rare it is, in the operator's own words; `common` unless set.
        pub rarity: String,
        /// When it was retired: hidden, and without new progress from then on; NULL: it is not.
        pub retired_at: Option<Timestamp>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// What completing a collection is rewarded with; at most one reward each.
pub mod reward {
    use sea_orm::entity::prelude::*;

    /// One row of `collection_rewards`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "collection_rewards")]
    pub struct Model {
        /// The collection.
        #[sea_orm(primary_key, auto_increment = false)]
        pub collection_id: i64,
        /// The operator's own key; unique in this table.
        pub key: String,
        /// Name for people.
        pub name: String,
        /// Where its picture is; NULL: none.
        pub image: Option<String>,
        /// Description for people; empty: none.
        pub description: String,
        /// What it is worth, in the operator's own words.
        pub value: String,
        /// How to show it; `image` unless set.
        pub view_type: String,
        /// How many there are; NULL: as many as are claimed.
        pub stock: Option<i64>,
        /// How many were claimed; never more than `stock`.
        pub claimed: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Cards that users own. No row: never had it.
pub mod owned_card {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `owned_cards`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "owned_cards")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The card.
        #[sea_orm(primary_key, auto_increment = false)]
        pub card_id: i64,
        /// The collection of the card.
        pub collection_id: i64,
        /// How many of it; 0: had it once.
        pub quantity: i32,
        /// When the user got the first one.
        pub first_acquired_at: Timestamp,
        /// When the row last changed.
        pub updated_at: Timestamp,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// How far a user came with a collection; changes in the transaction of the cards. No row: no card.
pub mod progress {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `collection_progress`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "collection_progress")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The collection.
        #[sea_orm(primary_key, auto_increment = false)]
        pub collection_id: i64,
        /// How many distinct cards of it the user owns.
        pub collected_count: i32,
        /// When all were owned, kept from then on; NULL: they never were.
        pub completed_at: Option<Timestamp>,
        /// When its reward was claimed; NULL: it was not.
        pub reward_claimed_at: Option<Timestamp>,
        /// When the row last changed.
        pub updated_at: Timestamp,
        /// Whether `completed_at` was told, and does not follow from the dates of the cards.
        pub completed_told: bool,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
