//! Mutations of games.

use std::sync::Arc;

use async_graphql::{Context, ID, InputObject, Object};

use super::changes::Changes;
use super::{check_items, given, shown, subject};
use crate::user::User;
use waymark_auth::policy;
use waymark_db::Extent;
use waymark_games as games;
use waymark_games::graphql::GameSummary;
use waymark_games::write::{NewUnlock, RelockAchievements, UnlockAchievements, Unlocked};
use waymark_graphql_kit::context::{Nullable, nullable, present};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::ready::Ready;
use waymark_graphql_kit::scalars::Lenient;
use waymark_kernel::clock::Timestamp;
use waymark_request::Ask as _;
use waymark_users::graphql::UserBy;
use waymark_users::service::User as Stored;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{BulkMode, ItemOutcome, Refusal, refusals};

/// Input of `unlockAchievements`.
#[derive(Debug, InputObject)]
pub(crate) struct UnlockAchievementsInput {
    /// The user for whom the achievements are unlocked; by default the caller.
    user: Option<UserBy>,
    /// The achievements, at most 1,000; duplicates are fine.
    unlocks: Vec<AchievementUnlockInput>,
    /// Whether the good items are done when others are refused.
    #[graphql(default)]
    mode: BulkMode,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// An achievement that is unlocked.
#[derive(Debug, InputObject)]
pub(crate) struct AchievementUnlockInput {
    /// The achievement's global id or its key.
    pub(super) achievement_id: ID,
    /// Whether it was unlocked in hardcore mode, which counts as unlocked in either mode.
    #[graphql(default)]
    hardcore: bool,
    /// When it was unlocked, not in the future and at most a year ago (a setting of the server); by default now.
    unlocked_at: Option<Lenient<Timestamp>>,
}

/// Input of `relockAchievements`.
#[derive(Debug, InputObject)]
pub(crate) struct RelockAchievementsInput {
    /// The user for whom the achievements are locked again; by default the caller.
    user: Option<UserBy>,
    /// Global ids or keys of the achievements, at most 1,000.
    achievement_ids: Vec<ID>,
    /// Whether they stay unlocked, only not in hardcore mode.
    #[graphql(default)]
    hardcore_only: bool,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// The result of `unlockAchievements` or `relockAchievements`, from which the payload is built.
#[derive(Debug)]
pub(crate) struct AchievementsPayload {
    stored: Arc<Stored>,
    /// Where in the input the items stand.
    list: &'static str,
    outcome: Unlocked,
    changes: Changes,
}

/// Payload of `unlockAchievements` and `relockAchievements`.
#[Object]
impl AchievementsPayload {
    /// The user. Null only when the user has been merged or erased since.
    async fn user(&self, context: &Context<'_>) -> Nullable<User> {
        nullable(async { shown(context.ask()?, &self.stored).await }).await
    }

    /// The result of each item, in the order of the input.
    async fn results(&self) -> List<ItemOutcome> {
        self.outcome.results.clone().into()
    }

    /// The summaries of the games that were named. Null when they could not be loaded.
    async fn game_summaries(&self, context: &Context<'_>) -> Nullable<List<Ready<GameSummary>>> {
        present(async {
            let request = context.ask()?;
            let user = User::show_written(request, Arc::clone(&self.stored))?;
            let games = self.outcome.games.iter().map(String::as_str);
            let summaries = games::service::summaries(request, &[user.visible()], games, Extent::All).await?;
            Ok(summaries.into_iter().flatten().flatten().map(GameSummary).map(Ready).collect())
        })
        .await
    }

    /// What was refused; empty when all was done.
    async fn user_errors(&self) -> List<Refusal> {
        refusals(self.list, &self.outcome.results).into()
    }

    /// What was changed for the user.
    async fn changes(&self) -> &Changes {
        &self.changes
    }
}

/// Mutations of games.
#[derive(Debug, Default)]
pub(crate) struct GameMutation;

#[Object]
impl GameMutation {
    /// Unlocks achievements for a user. Unlocking again changes nothing, except that hardcore mode is added. For API
    /// keys with the scope progress:write. Null with an error when the whole was refused.
    async fn unlock_achievements(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The achievements, and the user who unlocked them.")] input: UnlockAchievementsInput,
    ) -> Nullable<AchievementsPayload> {
        present(async {
            let request = context.ask()?;
            check_items(request, "unlocks", input.unlocks.len())?;
            let stored = subject(request, input.user).await?;
            let user = policy::record_for(&request.caller, &stored.subject)?;
            let unlocks = input.unlocks.into_iter().map(AchievementUnlockInput::read).collect();
            let write = UnlockAchievements { user, unlocks, mode: input.mode };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            Ok(AchievementsPayload { stored, list: "unlocks", outcome: written.outcome, changes })
        })
        .await
    }

    /// Locks achievements of a user again, as a correction. Awards that rest on them are lost. For API keys with the
    /// scope admin. Null with an error when the whole was refused.
    async fn relock_achievements(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The achievements and their user.")] input: RelockAchievementsInput,
    ) -> Nullable<AchievementsPayload> {
        present(async {
            let request = context.ask()?;
            check_items(request, "achievements", input.achievement_ids.len())?;
            let operator = policy::operate(&request.caller)?;
            let stored = subject(request, input.user).await?;
            let user = policy::record_for(&request.caller, &stored.subject)?;
            let keys = input.achievement_ids.iter().map(|id| Kind::Achievement.key_or_all(id));
            let achievements = keys.collect();
            let write = RelockAchievements { operator, user, achievements, hardcore_only: input.hardcore_only };
            let written = request.write(write, input.idempotency_key).await?;
            let changes = Changes::of(&stored, &written);
            Ok(AchievementsPayload { stored, list: "achievementIds", outcome: written.outcome, changes })
        })
        .await
    }
}

impl AchievementUnlockInput {
    /// Reads an item; a malformed one is to fail alone.
    pub(super) fn read(self) -> NewUnlock {
        let (unlocked_at, malformed) = given(self.unlocked_at, "unlockedAt");
        NewUnlock {
            achievement: Kind::Achievement.key_or_all(&self.achievement_id),
            hardcore: self.hardcore,
            unlocked_at,
            malformed,
        }
    }
}
