//! The tables of authentication, and what decides who sees whom.

use async_graphql::Enum;

waymark_db::names! {
    /// Who may see that a user exists, with handle, avatar, games and collections. For all other callers it is as if
    /// there were no such user.
    #[derive(Enum)]
    #[graphql(name = "ProfileVisibility")]
    pub enum Visibility {
        /// The user, and API keys with the scope progress:read.
        Private = "PRIVATE",
        /// Every signed-in user, and API keys; the default. A user with a wallet is signed in once an app or operator
        /// has written for the user or linked an account.
        Members = "MEMBERS",
        /// Everyone, also without a credential.
        Public = "PUBLIC",
    }
}

/// Keys of applications. The key itself is shown once and not stored.
pub mod api_key {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `api_keys`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "api_keys")]
    pub struct Model {
        /// Surrogate key; never leaves the database.
        #[sea_orm(primary_key)]
        pub id: i64,
        /// What the operator calls the key.
        pub name: String,
        /// The first characters of the key, to recognize it in a list.
        pub prefix: String,
        /// SHA-256 of the key in lower-case hexadecimal digits; unique.
        pub hash: String,
        /// What the key allows, separated by single spaces.
        pub scopes: String,
        /// The user the key belongs to; NULL: the operator.
        pub owner_id: Option<i64>,
        /// When the key was made.
        pub created_at: Timestamp,
        /// From when on the key is refused; NULL: never.
        pub expires_at: Option<Timestamp>,
        /// When the key was revoked; NULL: it was not.
        pub revoked_at: Option<Timestamp>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
