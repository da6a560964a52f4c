//! Mutations of games.

pub(crate) mod catalogue;

use async_graphql::{ComplexObject, Context, ID, InputObject, SimpleObject};

use super::{Found, GAMES, Overview, Progress};
use crate::mutation::given;
use crate::mutation::payload::UserPayload;
use crate::mutation::pipeline::Items;
use waymark_auth::policy::{Operator, RecordedUser};
use waymark_graphql_kit::context::{Nullable, present};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::pagination::only_if;
use waymark_graphql_kit::plan::Ready;
use waymark_graphql_kit::scalars::Lenient;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_kinds::games::graphql::GameSummary;
use waymark_kinds::games::service::{self, Listed, Sorted, Summary};
use waymark_kinds::games::write::{NewUnlock, RelockAchievements, UnlockAchievements, Unlocked};
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{BulkMode, ItemOutcome};

input! {
    /// Input of `unlockAchievements`.
    UnlockAchievementsInput, "The user for whom the achievements are unlocked; by default the caller.";

    /// The achievements, at most 1,000; duplicates are fine.
    unlocks: Vec<AchievementUnlockInput>,
    /// Whether the good items are done when others are refused.
    #[graphql(default)]
    mode: BulkMode,
}

/// An achievement that is unlocked.
#[derive(Debug, InputObject)]
pub(crate) struct AchievementUnlockInput {
    /// The achievement's global id or its key.
    pub(crate) achievement_id: ID,
    /// Whether it was unlocked in hardcore mode, which counts as unlocked in either mode.
    #[graphql(default)]
    hardcore: bool,
    /// When it was unlocked, not in the future and at most a year ago (a setting of the server); by default now.
    unlocked_at: Option<Lenient<Timestamp>>,
}

input! {
    /// Input of `relockAchievements`.
    RelockAchievementsInput, "The user for whom the achievements are locked again; by default the caller.";

    /// Global ids or keys of the achievements, at most 1,000.
    achievement_ids: Vec<ID>,
    /// Whether they stay unlocked, only not in hardcore mode.
    #[graphql(default)]
    hardcore_only: bool,
}

/// Payload of `unlockAchievements` and `relockAchievements`.
#[derive(Debug, SimpleObject)]
#[graphql(complex)]
pub(crate) struct AchievementsPayload {
    #[graphql(flatten)]
    about: UserPayload,
    /// The result of each item, in the order of the input.
    results: List<ItemOutcome>,
    #[graphql(skip)]
    games: Vec<String>,
}

#[ComplexObject]
impl AchievementsPayload {
    /// The summaries of the games that were named. Null when they could not be loaded.
    async fn game_summaries(&self, context: &Context<'_>) -> Nullable<List<Ready<GameSummary>>> {
        present(async {
            let Some((request, user)) = self.about.shown(context)? else { return Ok(List::default()) };
            GameSummary::of(request, user.visible(), self.games.iter().map(String::as_str)).await
        })
        .await
    }
}

impl AchievementsPayload {
    fn of(about: UserPayload, Unlocked { results, games }: Unlocked) -> Self {
        Self { about, results: results.into(), games }
    }
}

mutations! {
    /// Mutations of games.
    GameMutation;

    /// Unlocks achievements for a user. Unlocking again changes nothing, except that hardcore mode is added. For API
    /// keys with the scope progress:write. Null with an error when the whole was refused.
    unlock_achievements: about_user(UnlockAchievementsInput, "The achievements, and the user who unlocked them.")
        -> AchievementsPayload;

    /// Locks achievements of a user again, as a correction. Awards that rest on them are lost. For API keys with the
    /// scope admin. Null with an error when the whole was refused.
    relock_achievements: about_user(RelockAchievementsInput, "The achievements and their user.")
        -> AchievementsPayload;
}

about_user! {
    UnlockAchievementsInput: RecordedUser => UnlockAchievements => AchievementsPayload {
        items: |input| Items::of("unlocks", Kind::Achievement, input.unlocks.iter().map(|one| &one.achievement_id)),
        write: |input, user| {
            let unlocks = input.unlocks.iter().map(AchievementUnlockInput::read).collect();
            UnlockAchievements { user, unlocks, mode: input.mode }
        },
        payload: |_, about, outcome| AchievementsPayload::of(about, outcome),
    }
    RelockAchievementsInput: (Operator, RecordedUser) => RelockAchievements => AchievementsPayload {
        items: |input| Items::of("achievementIds", Kind::Achievement, &input.achievement_ids),
        write: |input, (operator, user)| {
            let achievements = input.achievement_ids.iter().map(|id| Kind::Achievement.key_or_all(id)).collect();
            RelockAchievements { operator, user, achievements, hardcore_only: input.hardcore_only }
        },
        payload: |_, about, outcome| AchievementsPayload::of(about, outcome),
    }
}

impl AchievementUnlockInput {
    /// Reads an item; a malformed one is to fail alone.
    pub(crate) fn read(&self) -> NewUnlock {
        let (unlocked_at, malformed) = given(self.unlocked_at.as_ref(), "unlockedAt");
        NewUnlock {
            achievement: Kind::Achievement.key_or_all(&self.achievement_id),
            hardcore: self.hardcore,
            unlocked_at,
            malformed,
        }
    }
}

/// The games that were played, as many as the page may need, from where its cursors stand.
pub(super) async fn overview(asked: &Overview<'_>) -> Result<Found> {
    let Overview { request, visible, page, count, .. } = *asked;
    let games = async {
        match page.slice_of(GAMES) {
            Some(slice) => service::played(request, visible, Listed::Played, Sorted::LastUnlocked, slice).await,
            None => Ok(Vec::new()),
        }
    };
    let total = only_if(count, service::played_count(request, visible, Listed::Played));
    let (games, total) = futures_util::try_join!(games, total)?;
    let place = |summary: &Summary| GAMES.outer(summary.achieved.place(Sorted::LastUnlocked));
    let rows = games.into_iter().map(|one| (place(&one), Progress::Game(GameSummary(one))));
    Ok(Found { rows: rows.collect(), total: total.unwrap_or_default() })
}
