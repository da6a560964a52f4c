//! The tables of users: who they are, and the accounts they are known by elsewhere.

pub use waymark_auth::Visibility;

/// People whose progress is recorded.
pub mod user {
    use sea_orm::entity::prelude::*;

    use super::Visibility;
    use waymark_kernel::clock::Timestamp;

    /// One row of `users`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "users")]
    pub struct Model {
        /// Surrogate key; never leaves the database.
        #[sea_orm(primary_key)]
        pub id: i64,
        /// The id that everybody knows the user by: 26 characters, never changes.
        pub ulid: String,
        /// The id for dialects that want 24 hexadecimal digits; unique.
        pub external_id: String,
        /// The name the user goes by, as it was written.
        pub handle: String,
        /// The handle in lower case; unique, so that two handles never differ in case alone.
        pub handle_lower: String,
        /// A longer name to show; NULL: show the handle.
        pub display_name: Option<String>,
        /// Where the picture of the user is; NULL: none.
        pub avatar_url: Option<String>,
        /// Who may read the profile; the user decides.
        pub visibility: Visibility,
        /// When the row was made.
        pub created_at: Timestamp,
        /// Whether the user came to be by a wallet of their own, and no app or operator has written for the user since,
        /// or linked an account: anybody can make a wallet, so this one counts as nobody who is known.
        pub self_made: bool,
        /// The user who took over everything of this one; NULL: not merged.
        pub merged_into: Option<i64>,
        /// When the user's personal data was erased; NULL: it was not.
        pub erased_at: Option<Timestamp>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// What a user is known by elsewhere. An account belongs to one user, a user may have many.
pub mod account {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `accounts`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "accounts")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The same as a relation.
        #[sea_orm(belongs_to, from = "user_id", to = "id")]
        pub user: HasOne<super::user::Entity>,
        /// Where the account is, such as `ethereum`, `discord` or `jwt`.
        #[sea_orm(primary_key, auto_increment = false)]
        pub provider: String,
        /// The account's id there, unique per provider; an Ethereum address in lower case.
        #[sea_orm(primary_key, auto_increment = false)]
        pub external_id: String,
        /// When the account was linked to the user.
        pub linked_at: Timestamp,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
