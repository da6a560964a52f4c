//! The rows of one transaction, table by table, in an order in which every reference finds its target.

use std::collections::BTreeMap;

use super::insert::{self, Transaction};
use waymark_collections::entity as collections;
use waymark_credits::entity as credits;
use waymark_games::entity as games;
use waymark_kernel::error::Result;
use waymark_learning::entity as learning;
use waymark_seasons::entity as seasons;
use waymark_users::entity as users;
use waymark_write::entity as history;

macro_rules! rows {
    ($($table:ident: $model:ty,)*) => {
        /// Rows to be inserted, and what they add to the counters that all users share.
        #[derive(Debug, Clone, Default)]
        pub(super) struct Rows {
            $(pub(super) $table: Vec<$model>,)*
            /// What claims of goals took from the budgets, in micros, by season and week (0: the whole season).
            pub(super) spent_micros: BTreeMap<(i64, i32), i64>,
            /// How often the rewards of collections were claimed.
            pub(super) rewards_claimed: BTreeMap<i64, i64>,
        }

        impl Rows {
            /// Inserts all rows and raises the counters.
            pub(super) async fn insert(self, transaction: &Transaction) -> Result<()> {
                $(insert::all(transaction, self.$table).await?;)*
                for ((season, week), micros) in self.spent_micros {
                    insert::spend_budget(transaction, season, week, micros).await?;
                }
                for (collection, claims) in self.rewards_claimed {
                    insert::count_reward_claims(transaction, collection, claims).await?;
                }
                Ok(())
            }
        }
    };
}

rows! {
    seasons: seasons::season::Model,
    pauses: seasons::pause::Model,
    weeks: seasons::week::Model,
    budgets: seasons::budget::Model,
    goals: seasons::goal::Model,
    resources: learning::resource::Model,
    plans: learning::plan::Model,
    plan_resources: learning::plan_resource::Model,
    games: games::game::Model,
    achievements: games::achievement::Model,
    collections: collections::collection::Model,
    cards: collections::card::Model,
    rewards: collections::reward::Model,
    users: users::user::Model,
    accounts: users::account::Model,
    enrolments: seasons::enrolment::Model,
    goal_progress: seasons::goal_progress::Model,
    goal_claims: seasons::goal_claim::Model,
    lots: credits::lot::Model,
    entries: credits::entry::Model,
    blocks: credits::block::Model,
    instances: learning::instance::Model,
    instance_resources: learning::instance_resource::Model,
    resource_progress: learning::progress::Model,
    unlocks: games::unlock::Model,
    game_summaries: games::summary::Model,
    owned_cards: collections::owned_card::Model,
    collection_progress: collections::progress::Model,
    events: history::event::Model,
}
