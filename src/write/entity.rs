//! The tables of what happened, and of what makes a write safe to repeat.

/// The users' histories: one event per change that a user can see, numbered without gaps, never changed.
pub mod event {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `history_events`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "history_events")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The number of the event in the user's history, from 1, in the order of the commits.
        #[sea_orm(primary_key, auto_increment = false)]
        pub seq: i64,
        /// What happened.
        pub kind: String,
        /// Who did it: a user, an application or the operator.
        pub actor: String,
        /// What kind of thing it was done to.
        pub subject_type: String,
        /// Which one.
        pub subject_key: String,
        /// What changed, as JSON.
        pub changes: String,
        /// When it happened, as the client said.
        pub occurred_at: Timestamp,
        /// When it was written.
        pub recorded_at: Timestamp,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// What is counted for a user, and what a write about the user locks.
pub mod counters {
    use sea_orm::entity::prelude::*;

    /// One row of `user_counters`. Every user has one.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "user_counters")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The last number given to an event of the user's history; 0: none yet.
        pub history_seq: i64,
        /// The last number given in the user's ledger of credits; 0: none yet.
        pub ledger_seq: i64,
        /// Whether the user was merged into another one or erased, so that nothing is written for the user any more.
        pub gone: bool,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// What operators did that belongs to no user: keys, the catalogue, settings.
pub mod audit_entry {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `audit_log`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_log")]
    pub struct Model {
        /// Surrogate key; never leaves the database.
        #[sea_orm(primary_key)]
        pub id: i64,
        /// Who did it: a user, an application or the operator.
        pub actor: String,
        /// What was done.
        pub action: String,
        /// What kind of thing it was done to.
        pub subject_type: String,
        /// Which one.
        pub subject_key: String,
        /// What changed, as JSON.
        pub changes: String,
        /// When it was written.
        pub recorded_at: Timestamp,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Writes that came with an idempotency key, and their outcomes; kept for 7 days.
pub mod idempotency_key {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `idempotency_keys`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "idempotency_keys")]
    pub struct Model {
        /// Who sent it.
        #[sea_orm(primary_key, auto_increment = false)]
        pub principal: String,
        /// Which write it is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub mutation: String,
        /// The key that came with it.
        #[sea_orm(primary_key, auto_increment = false)]
        pub key: String,
        /// A hash of the input; the same key with another input is refused.
        pub body_hash: String,
        /// The outcome as JSON: ids and codes.
        pub outcome: String,
        /// When it was written.
        pub created_at: Timestamp,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// References of writes that add something: each is carried out once per user and kind, for ever.
pub mod write_ref {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `write_refs`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "write_refs")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// What kind of write it is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub kind: String,
        /// The reference that came with it.
        #[sea_orm(primary_key, auto_increment = false)]
        pub reference: String,
        /// When it was written.
        pub created_at: Timestamp,
        /// The outcome as JSON: ids and codes.
        pub outcome: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
