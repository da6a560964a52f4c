//! The tables of seasons: the catalogue of seasons and goals, and how far each user came.

use async_graphql::Enum;

waymark_db::names! {
    /// What a pause does to a season's clock.
    #[derive(Default, Enum)]
    pub enum PauseMode {
        /// The clock stands still, so that a pause moves the end.
        #[default]
        Freeze = "FREEZE",
        /// The clock runs on, so that a pause costs time.
        RunOn = "RUN_ON",
    }
}

/// Seasons: stretches of time in which goals can be reached. What state one is in follows from the time.
pub mod season {
    use sea_orm::entity::prelude::*;

    use super::PauseMode;
    use waymark_kernel::clock::Timestamp;

    /// One row of `seasons`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "seasons")]
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
        /// When the season begins.
        pub starts_at: Timestamp,
        /// How long the season runs, without its pauses where they freeze it; whole seconds, at least 1.
        pub duration_seconds: i64,
        /// How long a week of the season is; whole seconds, at least 1; 604,800 unless set.
        pub week_length_seconds: i64,
        /// When the operator ended it early; NULL: it runs its course.
        pub ended_at: Option<Timestamp>,
        /// What its pauses do to its clock.
        pub pause_mode: PauseMode,
        /// When the row was made.
        pub created_at: Timestamp,
        /// When the row last changed.
        pub updated_at: Timestamp,
        /// When it was retired: hidden, and without new progress from then on; NULL: it is not.
        pub retired_at: Option<Timestamp>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Pauses of a season, from an instant up to but not including another.
pub mod pause {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `season_pauses`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "season_pauses")]
    pub struct Model {
        /// The season that pauses.
        #[sea_orm(primary_key, auto_increment = false)]
        pub season_id: i64,
        /// When the pause begins.
        #[sea_orm(primary_key, auto_increment = false)]
        pub from_at: Timestamp,
        /// When the season goes on, later than `from_at`; NULL: nobody knows yet.
        pub until_at: Option<Timestamp>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Names of the weeks that have one.
pub mod week {
    use sea_orm::entity::prelude::*;

    /// One row of `season_weeks`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "season_weeks")]
    pub struct Model {
        /// The season the week is in.
        #[sea_orm(primary_key, auto_increment = false)]
        pub season_id: i64,
        /// Which week, counted from 1.
        #[sea_orm(primary_key, auto_increment = false)]
        pub number: i32,
        /// Title for people.
        pub title: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// How many credits the goals of a season, or of one of its weeks, may grant to all users together.
pub mod budget {
    use sea_orm::entity::prelude::*;

    /// One row of `season_budgets`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "season_budgets")]
    pub struct Model {
        /// The season that has the budget.
        #[sea_orm(primary_key, auto_increment = false)]
        pub season_id: i64,
        /// The week it is for, counted from 1; 0: the whole season.
        #[sea_orm(primary_key, auto_increment = false)]
        pub week: i32,
        /// The most that may be granted, in millionths of a credit.
        pub cap_micros: i64,
        /// What was granted so far, in millionths of a credit; from 0 to `cap_micros`.
        pub spent_micros: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Goals: what users can reach in a season, step by step, and what they get for it.
pub mod goal {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `goals`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "goals")]
    pub struct Model {
        /// Surrogate key; never leaves the database.
        #[sea_orm(primary_key)]
        pub id: i64,
        /// The operator's own key; unique in this table.
        pub key: String,
        /// The season the goal belongs to.
        pub season_id: i64,
        /// The week in which steps count, from 1; NULL: the whole season.
        pub week: Option<i32>,
        /// Place among the goals of the season, lowest first.
        pub position: i32,
        /// Title for people.
        pub title: String,
        /// Description for people; empty: none.
        pub description: String,
        /// Where its picture is; NULL: none.
        pub thumbnail: Option<String>,
        /// What a claim grants, in millionths of a credit; at least 0.
        pub reward_micros: i64,
        /// How many steps complete it; at least 1.
        pub total_steps: i32,
        /// When it was retired: hidden, and without new progress from then on; NULL: it is not.
        pub retired_at: Option<Timestamp>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Who takes part in which season.
pub mod enrolment {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `season_enrolments`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "season_enrolments")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The season they take part in.
        #[sea_orm(primary_key, auto_increment = false)]
        pub season_id: i64,
        /// Since when.
        pub enrolled_at: Timestamp,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// How far a user came with a goal. No row: not a step.
pub mod goal_progress {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `goal_progress`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "goal_progress")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The goal.
        #[sea_orm(primary_key, auto_increment = false)]
        pub goal_id: i64,
        /// Steps done, from 0 to the `total_steps` of the goal.
        pub completed_steps: i32,
        /// When the last step was done; NULL: steps are left.
        pub completed_at: Option<Timestamp>,
        /// When the row last changed.
        pub updated_at: Timestamp,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Goals whose reward was claimed: one row per user and goal, for ever.
pub mod goal_claim {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `goal_claims`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "goal_claims")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The goal.
        #[sea_orm(primary_key, auto_increment = false)]
        pub goal_id: i64,
        /// The same as a relation.
        #[sea_orm(belongs_to, from = "goal_id", to = "id")]
        pub goal: HasOne<super::goal::Entity>,
        /// The lot of credits that the claim opened; 0: the reward was nothing, and no lot was opened.
        pub lot_seq: i64,
        /// What was granted, in millionths of a credit, whatever the goal says today.
        pub reward_micros: i64,
        /// When it was claimed.
        pub claimed_at: Timestamp,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
