//! The tables of credits: the lots a balance consists of, the ledger of their changes, and blocks.

use async_graphql::Enum;

waymark_db::names! {
    /// Where a lot comes from.
    #[derive(Enum)]
    #[graphql(name = "CreditLotSource")]
    pub enum LotSource {
        /// The reward of a goal.
        Goal = "GOAL",
        /// Granted by an app or an operator.
        Grant = "GRANT",
        /// Brought along from another system.
        Import = "IMPORT",
    }
}

waymark_db::names! {
    /// What a ledger entry did.
    #[derive(Enum)]
    #[graphql(name = "CreditEntryKind")]
    pub enum EntryKind {
        /// Opened a lot.
        Grant = "GRANT",
        /// Spent from a lot.
        Spend = "SPEND",
        /// Took away what was left of a lot when it expired.
        Expire = "EXPIRE",
        /// Took back from a lot.
        Revoke = "REVOKE",
    }
}

waymark_db::names! {
    /// What a blocked user may not do.
    #[derive(Enum)]
    #[graphql(name = "CreditBlockScope")]
    pub enum BlockScope {
        /// Claim rewards.
        Claim = "CLAIM",
        /// Spend credits.
        Spend = "SPEND",
        /// Claim rewards and spend credits.
        All = "ALL",
    }
}

/// Lots: credits granted together, which expire together.
pub mod lot {
    use sea_orm::entity::prelude::*;

    use super::LotSource;
    use waymark_kernel::clock::Timestamp;

    /// One row of `credit_lots`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "credit_lots")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The number of the lot in the user's ledger: that of the entry that opened it, or less.
        #[sea_orm(primary_key, auto_increment = false)]
        pub seq: i64,
        /// What was granted, in millionths of a credit; at least 1.
        pub amount_micros: i64,
        /// What is left, in millionths of a credit; from 0 to `amount_micros`.
        pub remaining_micros: i64,
        /// From when on the credits are available.
        pub granted_at: Timestamp,
        /// From when on they are not, fixed when granted; NULL: they do not expire.
        pub expires_at: Option<Timestamp>,
        /// Where they come from.
        pub source: LotSource,
        /// The goal they are the reward of; NULL: of none.
        pub goal_id: Option<i64>,
        /// Why they were granted, for people; NULL: nobody said.
        pub reason: Option<String>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// The ledger: one entry per change of a lot, never changed and never deleted.
pub mod entry {
    use sea_orm::entity::prelude::*;

    use super::EntryKind;
    use waymark_kernel::clock::Timestamp;

    /// One row of `credit_entries`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "credit_entries")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The number of the entry in the user's ledger, from 1.
        #[sea_orm(primary_key, auto_increment = false)]
        pub seq: i64,
        /// The lot that changed.
        pub lot_seq: i64,
        /// What was done to it.
        pub kind: EntryKind,
        /// By how much, in millionths of a credit; at least 1, whichever the direction.
        pub amount_micros: i64,
        /// Why, for people; NULL: nobody said.
        pub reason: Option<String>,
        /// A ULID that all entries of one write share.
        pub operation: String,
        /// When it was written.
        pub recorded_at: Timestamp,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Blocks: times in which a user may not claim, or not spend. One is active until it ends or is lifted.
pub mod block {
    use sea_orm::entity::prelude::*;

    use super::BlockScope;
    use waymark_kernel::clock::Timestamp;

    /// One row of `user_blocks`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "user_blocks")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The number of the block among those of the user, from 1.
        #[sea_orm(primary_key, auto_increment = false)]
        pub seq: i64,
        /// What it keeps the user from.
        pub scope: BlockScope,
        /// Why, for people.
        pub reason: String,
        /// When it begins.
        pub from_at: Timestamp,
        /// When it ends by itself; NULL: it does not.
        pub until_at: Option<Timestamp>,
        /// When it was lifted before its end; NULL: it was not.
        pub lifted_at: Option<Timestamp>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
