//! The tables of learning: resources and study plans, the users' instances of plans, and their progress.

/// Resources: what can be learned from, such as a course.
pub mod resource {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `resources`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "resources")]
    pub struct Model {
        /// Surrogate key; never leaves the database.
        #[sea_orm(primary_key)]
        pub id: i64,
        /// The operator's own key; unique in this table.
        pub key: String,
        /// The id for dialects that want 24 hexadecimal digits: the key where it is such an id; unique.
        pub external_id: String,
        /// Title for people.
        pub title: String,
        /// What it is, in the operator's own words; `course` unless set.
        pub kind: String,
        /// The heading it stands under; NULL: none.
        pub section: Option<String>,
        /// Where it is; NULL: nobody said.
        pub url: Option<String>,
        /// Description for people; empty: none.
        pub description: String,
        /// How long it takes, in minutes; NULL: unknown.
        pub estimated_minutes: Option<i32>,
        /// Whether the operator described it; false: the row exists because somebody has progress on it.
        pub catalogued: bool,
        /// When the row was made.
        pub created_at: Timestamp,
        /// When the row last changed.
        pub updated_at: Timestamp,
        /// When it was retired: hidden, and without new progress from then on; NULL: it is not.
        pub retired_at: Option<Timestamp>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Study plans: ordered lists of resources.
pub mod plan {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `study_plans`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "study_plans")]
    pub struct Model {
        /// Surrogate key; never leaves the database.
        #[sea_orm(primary_key)]
        pub id: i64,
        /// The operator's own key; unique in this table.
        pub key: String,
        /// Title for people.
        pub title: String,
        /// Description for people; empty: none.
        pub description: String,
        /// When the row was made.
        pub created_at: Timestamp,
        /// When the row last changed.
        pub updated_at: Timestamp,
        /// When it was retired: hidden, and without new progress from then on; NULL: it is not.
        pub retired_at: Option<Timestamp>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// What a study plan consists of.
pub mod plan_resource {
    use sea_orm::entity::prelude::*;

    /// One row of `study_plan_resources`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "study_plan_resources")]
    pub struct Model {
        /// The plan.
        #[sea_orm(primary_key, auto_increment = false)]
        pub plan_id: i64,
        /// Place in the plan, lowest first.
        #[sea_orm(primary_key, auto_increment = false)]
        pub position: i32,
        /// The resource at that place; at most once in a plan.
        pub resource_id: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// A user's own copy of a study plan, as the plan was when the copy was made.
pub mod instance {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `study_plan_instances`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "study_plan_instances")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The number of the instance among those of the user; never used again when the instance is gone.
        #[sea_orm(primary_key, auto_increment = false)]
        pub seq: i64,
        /// The id for dialects that want 24 hexadecimal digits; unique, which `instance_owners` sees to.
        pub external_id: String,
        /// The plan it is a copy of.
        pub plan_id: i64,
        /// Title for people; the plan's unless the user gave another.
        pub title: String,
        /// When the row was made.
        pub created_at: Timestamp,
        /// When the row last changed.
        pub updated_at: Timestamp,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Whose an instance is, for dialects that name instances without their users.
pub mod instance_owner {
    use sea_orm::entity::prelude::*;

    /// One row of `instance_owners`. Every instance has one.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "instance_owners")]
    pub struct Model {
        /// The instance's id of 24 hexadecimal digits.
        #[sea_orm(primary_key, auto_increment = false)]
        pub external_id: String,
        /// Whose the instance is.
        pub user_id: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// What an instance consists of.
pub mod instance_resource {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `study_plan_instance_resources`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "study_plan_instance_resources")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The instance of that user.
        #[sea_orm(primary_key, auto_increment = false)]
        pub instance_seq: i64,
        /// Place in the instance, lowest first.
        #[sea_orm(primary_key, auto_increment = false)]
        pub position: i32,
        /// The resource at that place; at most once in an instance.
        pub resource_id: i64,
        /// When it was completed through this instance; NULL: it was not, though it may be complete.
        pub marked_at: Option<Timestamp>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// How far a user came with a resource, in all instances alike. No row: never touched.
pub mod progress {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `resource_progress`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "resource_progress")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The resource.
        #[sea_orm(primary_key, auto_increment = false)]
        pub resource_id: i64,
        /// The same as a relation.
        #[sea_orm(belongs_to, from = "resource_id", to = "id")]
        pub resource: HasOne<super::resource::Entity>,
        /// The id for dialects that want 24 hexadecimal digits; unique for a user.
        pub external_id: String,
        /// Whether the user is done with it; independent of `progress`.
        pub completed: bool,
        /// How much of it is done, in percent; 0 to 100.
        pub progress: i16,
        /// Time spent on it, in minutes; at least 0.
        pub time_spent_minutes: i32,
        /// The user's own notes; empty: none.
        pub notes: String,
        /// When it was completed; NULL: it is not complete.
        pub completed_at: Option<Timestamp>,
        /// When the user last wrote anything about it.
        pub last_accessed_at: Timestamp,
        /// When the row was made.
        pub created_at: Timestamp,
        /// When the row last changed.
        pub updated_at: Timestamp,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
