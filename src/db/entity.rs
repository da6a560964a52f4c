//! The tables of the database itself.

/// One row whose number rises with every change of the catalogue: what changes it raises it in the same transaction.
pub mod catalogue_version {
    use sea_orm::entity::prelude::*;

    /// One row of `catalogue_version`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "catalogue_version")]
    pub struct Model {
        /// Always 1.
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i16,
        /// Higher than before whenever the catalogue has changed; by how much says nothing.
        pub version: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
