//! Unlocking achievements, and what follows from it: summaries and awards.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::repo::{self, Achieved};
use super::rules::{self, AchievementFacts, Awards, Unlock};
use super::{Achievement, Game, Games};
use crate::auth::policy::{Operator, RecordedUser};
use crate::clock::Timestamp;
use crate::db::Extent;
use crate::error::Result;
use crate::graphql::ids::Kind;
use crate::graphql::refusal::{BulkMode, ItemOutcome, Refusal, UserErrorCode, WriteStatus, not_applied};
use crate::limits;
use crate::write::{HistoryKind, Unit, Write, in_one_list, only};

/// Unlocks achievements for a user.
#[derive(Debug, Serialize)]
pub(crate) struct UnlockAchievements {
    pub(crate) user: RecordedUser,
    pub(crate) unlocks: Vec<NewUnlock>,
    pub(crate) mode: BulkMode,
}

/// An achievement to be unlocked.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NewUnlock {
    /// The achievement's key.
    pub(crate) achievement: String,
    pub(crate) hardcore: bool,
    /// When it happened; `None`: now.
    pub(crate) unlocked_at: Option<Timestamp>,
}

/// What became of each item, and the games that were named, as keys.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Unlocked {
    pub(crate) results: Vec<ItemOutcome>,
    pub(crate) games: Vec<String>,
}

impl Write for UnlockAchievements {
    const NAME: &'static str = "unlockAchievements";

    type Outcome = Unlocked;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    fn may_be_abandoned(&self) -> bool {
        self.mode == BulkMode::AllOrNothing
    }

    fn joins(&self) -> Option<i64> {
        (!self.may_be_abandoned()).then(|| self.user.key())
    }

    fn size(&self) -> usize {
        self.unlocks.len()
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Unlocked> {
        let mut unlocked = only(Self::perform_together(&[self], unit).await?)?;
        if self.may_be_abandoned() && unlocked.results.iter().any(|result| result.status == WriteStatus::Refused) {
            not_applied(&mut unlocked.results);
            unit.abandon();
        }
        Ok(unlocked)
    }

    async fn perform_together(writes: &[&Self], unit: &mut Unit<'_>) -> Result<Vec<Unlocked>> {
        unit.lock(writes.iter().map(|write| write.user.key())).await?;
        let of = |write: &&Self| (write.user.key(), write.unlocks.clone());
        let mut results = unlock(unit, &in_one_list(writes.iter().map(of))).await?.into_iter();
        let games = unit.catalogue::<Games>()?;
        let unlocked = writes.iter().map(|write| Unlocked {
            results: results.by_ref().take(write.unlocks.len()).collect(),
            games: games_of(&games, write.unlocks.iter().map(|item| item.achievement.as_str())),
        });
        Ok(unlocked.collect())
    }
}

/// The keys of the games of these achievements, each once.
fn games_of<'a>(games: &Games, achievements: impl Iterator<Item = &'a str>) -> Vec<String> {
    let ids: BTreeSet<i64> = achievements.filter_map(|key| games.achievement(key)).map(|one| one.game_id).collect();
    ids.into_iter().filter_map(|id| games.by_id(id)).map(|game| game.key.clone()).collect()
}

/// Unlocks achievements for locked users, in the order of `items`, each with its user.
pub(crate) async fn unlock(unit: &mut Unit<'_>, items: &[(i64, NewUnlock)]) -> Result<Vec<ItemOutcome>> {
    let games = unit.catalogue::<Games>()?;
    let mut players = Players::read(
        unit,
        items.iter().filter_map(|(user, item)| Some((*user, games.achievement(&item.achievement)?.game_id))),
    )
    .await?;
    let oldest = i64::from(unit.config.limits.max_backdate_days) * 24 * 60 * 60;
    let mut results = Vec::with_capacity(items.len());
    for (user, item) in items {
        let id = Kind::Achievement.id(&item.achievement);
        let now = unit.now;
        let at = item.unlocked_at.unwrap_or(now);
        let Some(achievement) = games.achievement(&item.achievement) else {
            let message = format!("there is no published achievement {:?}", item.achievement);
            results.push(ItemOutcome::refused(id, Refusal::new(UserErrorCode::UnknownAchievement, message)));
            continue;
        };
        if at > now || at < now.plus_seconds(-oldest).max(limits::EARLIEST) {
            let days = unit.config.limits.max_backdate_days;
            let message = format!("an unlock lies between {days} days ago and now, and {at} does not");
            results.push(ItemOutcome::refused(id, Refusal::new(UserErrorCode::DateOutOfRange, message)));
            continue;
        }
        if players.unlock(*user, achievement, item.hardcore, at) {
            let game = games.by_id(achievement.game_id).map_or("", |game| &game.key);
            let changes = json!({ "game": game, "hardcore": item.hardcore, "points": achievement.points });
            let subject = (Kind::Achievement, achievement.key.as_str());
            unit.record_at(*user, HistoryKind::AchievementUnlocked, subject, &changes, at)?;
            results.push(ItemOutcome::applied(id));
        } else {
            results.push(ItemOutcome::unchanged(id));
        }
    }
    players.store(unit, &games)?;
    Ok(results)
}

/// Takes back unlocks of a user.
#[derive(Debug, Serialize)]
pub(crate) struct RelockAchievements {
    pub(crate) operator: Operator,
    pub(crate) user: RecordedUser,
    /// The achievements' keys.
    pub(crate) achievements: Vec<String>,
    /// Whether what was unlocked stays unlocked, only not in hardcore mode.
    pub(crate) hardcore_only: bool,
}

impl Write for RelockAchievements {
    const NAME: &'static str = "relockAchievements";

    type Outcome = Unlocked;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Unlocked> {
        let user = self.user.key();
        unit.lock([user]).await?;
        let games = unit.catalogue::<Games>()?;
        let named = || self.achievements.iter().map(String::as_str);
        let wanted = named().filter_map(|key| Some((user, games.achievement(key)?.game_id)));
        let mut players = Players::read(unit, wanted).await?;
        let mut results = Vec::with_capacity(self.achievements.len());
        let mut removed = Vec::new();
        for key in named() {
            let id = Kind::Achievement.id(key);
            let found = games.achievement(key).and_then(|found| Some((found, games.by_id(found.game_id)?)));
            let Some((achievement, game)) = found else {
                let message = format!("there is no published achievement {key:?}");
                results.push(ItemOutcome::refused(id, Refusal::new(UserErrorCode::UnknownAchievement, message)));
                continue;
            };
            if !players.relock(user, game, achievement, self.hardcore_only) {
                results.push(ItemOutcome::unchanged(id));
                continue;
            }
            if !self.hardcore_only {
                removed.push(achievement.id);
            }
            let changes = json!({ "game": game.key, "hardcoreOnly": self.hardcore_only });
            unit.record(user, HistoryKind::AchievementRelocked, (Kind::Achievement, key), &changes)?;
            results.push(ItemOutcome::applied(id));
        }
        if !removed.is_empty() {
            repo::remove_unlocks(unit.transaction(), user, removed).await?;
        }
        players.store(unit, &games)?;
        Ok(Unlocked { results, games: games_of(&games, named()) })
    }
}

/// What locked users have unlocked in some games, and what they achieved there.
struct Players {
    /// By user and achievement.
    unlocks: BTreeMap<(i64, i64), Unlock>,
    /// By user and game, as they are stored.
    achieved: BTreeMap<(i64, i64), Achieved>,
    /// By user and achievement, with the game.
    changed_unlocks: BTreeMap<(i64, i64), i64>,
    changed_games: BTreeSet<(i64, i64)>,
    /// The awards that the unlocks had earned before some were taken back, by user and game.
    relocked: BTreeMap<(i64, i64), Awards>,
}

impl Players {
    /// Everything of these users in these games.
    async fn read(unit: &Unit<'_>, wanted: impl Iterator<Item = (i64, i64)>) -> Result<Self> {
        let mut games: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        for (user, game) in wanted {
            games.entry(user).or_default().insert(game);
        }
        let games: Vec<(i64, Vec<i64>)> =
            games.into_iter().map(|(user, games)| (user, games.into_iter().collect())).collect();
        let mut players = Self {
            unlocks: BTreeMap::new(),
            achieved: BTreeMap::new(),
            changed_unlocks: BTreeMap::new(),
            changed_games: BTreeSet::new(),
            relocked: BTreeMap::new(),
        };
        if games.is_empty() {
            return Ok(players);
        }
        let wanted = || games.iter().map(|(user, games)| (*user, games.as_slice()));
        for (user, _, unlock) in repo::unlocks(unit.transaction(), wanted()).await? {
            let repo::Unlock { achievement_id, unlocked_at, unlocked_hardcore_at } = unlock;
            players.unlocks.insert((user, achievement_id), Unlock { unlocked_at, unlocked_hardcore_at });
        }
        for (user, achieved) in repo::summaries(unit.transaction(), wanted(), Extent::All).await? {
            players.achieved.insert((user, achieved.game_id), achieved);
        }
        Ok(players)
    }

    /// Unlocks an achievement; whether that changed anything.
    fn unlock(&mut self, user: i64, achievement: &Achievement, hardcore: bool, at: Timestamp) -> bool {
        let place = (user, achievement.id);
        let before = self.unlocks.get(&place).copied();
        let after = rules::merge_unlock(before, hardcore, at);
        if before == Some(after) {
            return false;
        }
        self.unlocks.insert(place, after);
        self.changed_unlocks.insert(place, achievement.game_id);
        self.changed_games.insert((user, achievement.game_id));
        true
    }

    /// Takes an unlock back; whether there was any. One that is taken back as a whole has still to be removed.
    fn relock(&mut self, user: i64, game: &Game, achievement: &Achievement, hardcore_only: bool) -> bool {
        let place = (user, achievement.id);
        let earned = rules::awards(&self.facts(user, game));
        let Some(unlock) = self.unlocks.get_mut(&place) else { return false };
        if !hardcore_only {
            self.unlocks.remove(&place);
        } else if unlock.unlocked_hardcore_at.take().is_some() {
            self.changed_unlocks.insert(place, game.id);
        } else {
            return false;
        }
        self.changed_games.insert((user, game.id));
        self.relocked.entry((user, game.id)).or_insert(earned);
        true
    }

    /// Stores what changed, with the summaries and awards that follow from it.
    fn store(self, unit: &mut Unit<'_>, games: &Games) -> Result<()> {
        let mut summaries = Vec::with_capacity(self.changed_games.len());
        for (user, game) in &self.changed_games {
            let Some(game) = games.by_id(*game) else { continue };
            let stored = self.achieved.get(&(*user, game.id)).copied().unwrap_or_default();
            let facts = self.facts(*user, game);
            let kept = match self.relocked.get(&(*user, game.id)) {
                Some(before) => stored.awards.without_lost(before, &rules::awards(&facts)),
                None => stored.awards,
            };
            let achieved = summary_of(game.id, &facts, kept);
            for (award, _) in rules::new_awards(&stored.awards, &achieved.awards) {
                let subject = (Kind::Game, game.key.as_str());
                unit.record(*user, HistoryKind::AwardEarned, subject, &json!({ "award": award }))?;
            }
            summaries.push((*user, achieved));
        }
        let unlocks = self.changed_unlocks.iter().filter_map(|((user, achievement_id), game)| {
            let Unlock { unlocked_at, unlocked_hardcore_at } = *self.unlocks.get(&(*user, *achievement_id))?;
            Some((*user, *game, repo::Unlock { achievement_id: *achievement_id, unlocked_at, unlocked_hardcore_at }))
        });
        repo::store_unlocks(unit.stores(), unlocks);
        repo::store_summaries(unit.stores(), summaries);
        Ok(())
    }

    fn facts(&self, user: i64, game: &Game) -> Vec<AchievementFacts> {
        let facts = game.achievements.iter().map(|achievement| {
            let unlock = self.unlocks.get(&(user, achievement.id));
            AchievementFacts {
                kind: achievement.kind.into(),
                points: achievement.points,
                published: true,
                unlocked_at: unlock.map(|unlock| unlock.unlocked_at),
                unlocked_hardcore_at: unlock.and_then(|unlock| unlock.unlocked_hardcore_at),
            }
        });
        facts.collect()
    }
}

/// What a player achieved in a game with these achievements, who had `awards` before.
pub(super) fn summary_of(game: i64, facts: &[AchievementFacts], awards: Awards) -> Achieved {
    let summary = rules::summarise(facts);
    Achieved {
        game_id: game,
        score: summary.score,
        first_unlocked_at: summary.first_unlocked_at,
        last_unlocked_at: summary.last_unlocked_at,
        awards: awards.with(rules::awards(facts)),
    }
}
