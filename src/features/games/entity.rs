//! The tables of games: the catalogue of games and achievements, and what each user unlocked.

use async_graphql::Enum;

waymark_db::names! {
    /// What an achievement means for beating its game.
    #[derive(Default, Enum)]
    pub enum AchievementKind {
        /// Nothing: it counts for completing the game only.
        #[default]
        Standard = "STANDARD",
        /// All achievements of this kind are needed to beat the game.
        Progression = "PROGRESSION",
        /// One achievement of this kind is needed to beat the game, where there are any.
        WinCondition = "WIN_CONDITION",
    }
}

waymark_db::names! {
    /// How completely a game was won. From the highest to the lowest: MASTERED, COMPLETED, BEATEN_HARDCORE, BEATEN.
    #[derive(Enum)]
    pub enum Award {
        /// All progression achievements and one win condition are unlocked.
        Beaten = "BEATEN",
        /// The same in hardcore mode.
        BeatenHardcore = "BEATEN_HARDCORE",
        /// All achievements are unlocked.
        Completed = "COMPLETED",
        /// All achievements are unlocked in hardcore mode.
        Mastered = "MASTERED",
    }
}

/// Games.
pub mod game {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `games`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "games")]
    pub struct Model {
        /// Surrogate key; never leaves the database.
        #[sea_orm(primary_key)]
        pub id: i64,
        /// The operator's own key; unique in this table.
        pub key: String,
        /// The id for dialects that know games by a number; unique; NULL: none.
        pub number: Option<i64>,
        /// Title for people.
        pub title: String,
        /// What it is played on; NULL: nobody said.
        pub platform: Option<String>,
        /// Description for people; empty: none.
        pub description: String,
        /// Where its picture is; NULL: none.
        pub image: Option<String>,
        /// How many published achievements it has; kept by whoever writes one.
        pub num_possible: i32,
        /// The points of its published achievements together; kept by whoever writes one.
        pub possible_score: i32,
        /// When the row was made.
        pub created_at: Timestamp,
        /// When the row last changed.
        pub updated_at: Timestamp,
        /// When it was retired: hidden, and without new progress from then on; NULL: it is not.
        pub retired_at: Option<Timestamp>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Achievements of games.
pub mod achievement {
    use sea_orm::entity::prelude::*;

    use super::AchievementKind;
    use waymark_kernel::clock::Timestamp;

    /// One row of `achievements`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "achievements")]
    pub struct Model {
        /// Surrogate key; never leaves the database.
        #[sea_orm(primary_key)]
        pub id: i64,
        /// The operator's own key; unique in this table.
        pub key: String,
        /// The game it belongs to.
        pub game_id: i64,
        /// Place among the achievements of the game, lowest first.
        pub position: i32,
        /// Title for people.
        pub title: String,
        /// Description for people; empty: none.
        pub description: String,
        /// Where its picture is; NULL: none.
        pub badge: Option<String>,
        /// What it adds to the score; at least 0.
        pub points: i32,
        /// What it means for beating the game.
        pub kind: AchievementKind,
        /// Whether it can be unlocked and counts.
        pub published: bool,
        /// When the row was made.
        pub created_at: Timestamp,
        /// When the row last changed.
        pub updated_at: Timestamp,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Achievements that users unlocked.
pub mod unlock {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `achievement_unlocks`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "achievement_unlocks")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The achievement.
        #[sea_orm(primary_key, auto_increment = false)]
        pub achievement_id: i64,
        /// The game of the achievement.
        pub game_id: i64,
        /// When it was first unlocked, in whichever mode.
        pub unlocked_at: Timestamp,
        /// When it was unlocked in hardcore mode, not before `unlocked_at`; NULL: it was not.
        pub unlocked_hardcore_at: Option<Timestamp>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// What the unlocks of a user in a game come to; changes in the transaction of the unlock. No row: never played.
pub mod summary {
    use sea_orm::entity::prelude::*;

    use waymark_kernel::clock::Timestamp;

    /// One row of `game_summaries`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, Default, DeriveEntityModel)]
    #[sea_orm(table_name = "game_summaries")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The game.
        #[sea_orm(primary_key, auto_increment = false)]
        pub game_id: i64,
        /// How many published achievements are unlocked, in whichever mode.
        pub num_achieved: i32,
        /// Their points together.
        pub score_achieved: i32,
        /// How many of them are unlocked in hardcore mode.
        pub num_achieved_hardcore: i32,
        /// Their points together.
        pub score_achieved_hardcore: i32,
        /// When the first one was unlocked; NULL: none is.
        pub first_unlocked_at: Option<Timestamp>,
        /// When the latest one was unlocked; NULL: none is.
        pub last_unlocked_at: Option<Timestamp>,
        /// When the game was beaten, kept even if the set grows; NULL: it was not.
        pub beaten_at: Option<Timestamp>,
        /// The same for hardcore mode alone.
        pub beaten_hardcore_at: Option<Timestamp>,
        /// When all were unlocked, kept even if the set grows; NULL: they never were.
        pub completed_at: Option<Timestamp>,
        /// The same for hardcore mode alone.
        pub mastered_at: Option<Timestamp>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Sets of achievements that awards rest on, each once for all players.
pub mod award_set {
    use sea_orm::entity::prelude::*;

    /// One row of `award_sets`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "award_sets")]
    pub struct Model {
        /// Surrogate key; never leaves the database.
        #[sea_orm(primary_key)]
        pub id: i64,
        /// The game.
        pub game_id: i64,
        /// A hash of the achievements; unique for the game.
        pub digest: String,
        /// The ids of the achievements in ascending order, as JSON.
        pub achievements: String,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// What the awards of users rest on; those whose dates were told rest on no set and have no row.
pub mod award_ground {
    use sea_orm::entity::prelude::*;

    use super::Award;

    /// One row of `award_grounds`.
    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "award_grounds")]
    pub struct Model {
        /// Whose row this is.
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: i64,
        /// The game.
        #[sea_orm(primary_key, auto_increment = false)]
        pub game_id: i64,
        /// The award.
        #[sea_orm(primary_key, auto_increment = false)]
        pub award: Award,
        /// The set of achievements that the award required when it was earned.
        pub set_id: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}
