//! The tables of authentication, and what decides who sees whom.

waymark_db::names! {
    /// Who may read a user's handle, avatar, games and collections. The user decides, and apps may read all of them.
    pub enum Visibility {
        /// The user, and apps that may read every user.
        Private = "PRIVATE",
        /// Signed-in users, and apps.
        Members = "MEMBERS",
        /// Anyone.
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
