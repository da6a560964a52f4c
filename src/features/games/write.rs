//! Unlocking achievements, and what follows from it: summaries and awards.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::repo::{self, Achieved};
use super::rules::{self, AchievementFacts, Award, Held, HeldAwards, Unlock};
use super::{Achievement, Games};
use waymark_auth::policy::{Operator, RecordedUser};
use waymark_db::Extent;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_kernel::limits;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{BulkMode, ItemOutcome, Refusal, UserErrorCode, WriteStatus, not_applied};
use waymark_write::{HistoryKind, Origin, Taken, Unit, Write, in_one_list, only};

/// Unlocks achievements for a user.
#[derive(Debug, Serialize)]
pub struct UnlockAchievements {
    /// Whose unlocks are recorded.
    pub user: RecordedUser,
    /// The achievements to be unlocked, in the order of the input.
    pub unlocks: Vec<NewUnlock>,
    /// Whether the good items are done when others are refused.
    pub mode: BulkMode,
}

/// An achievement to be unlocked.
#[derive(Debug, Clone, Serialize)]
pub struct NewUnlock {
    /// The achievement's key.
    pub achievement: String,
    /// Whether it was unlocked in hardcore mode.
    pub hardcore: bool,
    /// When it happened; `None`: now.
    pub unlocked_at: Option<Timestamp>,
    /// Why the item cannot be read; `None`: it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub malformed: Option<Refusal>,
}

/// What became of each item, and the games that were named, as keys.
#[derive(Debug, Serialize, Deserialize)]
pub struct Unlocked {
    /// The outcome of each item, in the order of the input.
    pub results: Vec<ItemOutcome>,
    /// The operator's keys of the games, each once.
    pub games: Vec<String>,
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
    let ids: BTreeSet<i64> = achievements.filter_map(|key| games.any_achievement(key)).map(|one| one.game_id).collect();
    ids.into_iter().filter_map(|id| games.by_id(id)).map(|game| game.key.clone()).collect()
}

/// Unlocks achievements for locked users, in the order of `items`, each with its user.
pub async fn unlock(unit: &mut Unit<'_>, items: &[(i64, NewUnlock)]) -> Result<Vec<ItemOutcome>> {
    let games = unit.catalogue::<Games>()?;
    let wanted = items.iter().filter_map(|(user, item)| Some((*user, games.achievement(&item.achievement)?.game_id)));
    let mut players = Players::read(unit, wanted, false).await?;
    let oldest = i64::from(unit.config.limits.max_backdate_days) * 24 * 60 * 60;
    let mut results = Vec::with_capacity(items.len());
    for (user, item) in items {
        let id = Kind::Achievement.id(&item.achievement);
        let now = unit.now;
        let at = item.unlocked_at.unwrap_or(now);
        if let Some(refusal) = item.malformed.clone() {
            results.push(ItemOutcome::refused(id, refusal));
            continue;
        }
        let Some(achievement) = games.achievement(&item.achievement) else {
            results.push(ItemOutcome::refused(id, unknown_achievement(&item.achievement)));
            continue;
        };
        if at > now || at < now.plus_seconds(-oldest).max(limits::EARLIEST) {
            let days = unit.config.limits.max_backdate_days;
            let message = format!("an unlock lies between {days} days ago and now, and {at} does not");
            results.push(ItemOutcome::refused(id, Refusal::new(UserErrorCode::DateOutOfRange, message)));
            continue;
        }
        let before = players.unlock(*user, achievement);
        let after = rules::merge_unlock(before, item.hardcore, at);
        let retired = games.by_id(achievement.game_id).filter(|game| game.retired_at.is_some());
        if let Some(game) = retired.filter(|_| before != Some(after)) {
            results.push(ItemOutcome::refused(id, Kind::Game.retired(&game.key)));
        } else if players.put(*user, achievement, after, How::Asked) {
            tell_unlock(unit, &games, *user, achievement, item.hardcore, at)?;
            results.push(ItemOutcome::applied(id));
        } else {
            results.push(ItemOutcome::unchanged(id));
        }
    }
    players.store(unit, &games).await?;
    Ok(results)
}

fn unknown_achievement(key: &str) -> Refusal {
    let message = format!("there is no published achievement {key:?}");
    Kind::Achievement.refuse(key, UserErrorCode::UnknownAchievement, message)
}

fn tell_unlock(
    unit: &mut Unit<'_>,
    games: &Games,
    user: i64,
    achievement: &Achievement,
    hardcore: bool,
    at: Timestamp,
) -> Result<()> {
    let game = games.by_id(achievement.game_id).map_or("", |game| &game.key);
    let changes = json!({ "game": game, "hardcore": hardcore, "points": achievement.points });
    let subject = (Kind::Achievement, achievement.key.as_str());
    unit.record_at(user, HistoryKind::AchievementUnlocked, subject, &changes, at)
}

/// That a locked user unlocked an achievement some time.
#[derive(Debug)]
pub struct ToldUnlock<'a> {
    /// The internal id of the user.
    pub user: i64,
    /// The achievement's key.
    pub achievement: &'a str,
    /// When, in each mode.
    pub unlock: Unlock,
    /// Where the record comes from.
    pub origin: Origin,
}

/// That a locked user earned awards of a game some time.
#[derive(Debug)]
pub struct ToldAwards<'a> {
    /// The internal id of the user.
    pub user: i64,
    /// The game's key.
    pub game: &'a str,
    /// Each with the keys of the achievements that it rests on, if that is told too.
    pub awards: Vec<(Award, Timestamp, Option<Vec<&'a str>>)>,
    /// Where the record comes from.
    pub origin: Origin,
}

/// Takes what is told of awards and unlocks, in whatever order. Of two unlocks in one mode the earlier stays, of an
/// award what [`Held::merged`] says.
pub async fn take_told(
    unit: &mut Unit<'_>,
    awards: &[ToldAwards<'_>],
    unlocks: &[ToldUnlock<'_>],
) -> Result<(Vec<Taken>, Vec<Taken>)> {
    let games = unit.catalogue::<Games>()?;
    let of_awards = awards.iter().filter_map(|told| Some((told.user, games.by_key(told.game)?.id)));
    let of_unlocks =
        unlocks.iter().filter_map(|told| Some((told.user, games.any_achievement(told.achievement)?.game_id)));
    let mut players = Players::read(unit, of_awards.chain(of_unlocks), true).await?;
    let awards = awards.iter().map(|told| players.take_awards(&games, told)).collect();
    let mut taken = Vec::with_capacity(unlocks.len());
    for told in unlocks {
        // One that was withdrawn counts no more, but the unlock stays known.
        let found = games.any_achievement(told.achievement);
        let Some(achievement) = found.filter(|one| one.published || told.origin == Origin::Restored) else {
            taken.push(Err(unknown_achievement(told.achievement).message));
            continue;
        };
        let before = players.unlock(told.user, achievement);
        let after = rules::earlier_unlock(before, told.unlock);
        // What is news: the hardcore unlock may be later than the other one.
        let hardcore =
            after.unlocked_hardcore_at.filter(|at| before.and_then(|one| one.unlocked_hardcore_at) != Some(*at));
        let at = hardcore.unwrap_or(told.unlock.unlocked_at);
        let game = games.by_id(achievement.game_id).filter(|_| before != Some(after));
        let checked = game.map(|game| told.origin.check_retired(Kind::Game, &game.key, game.retired_at, at));
        if let Some(Err(reason)) = checked {
            taken.push(Err(reason));
            continue;
        }
        taken.push(Ok(players.put(told.user, achievement, after, told.origin.into())));
        if told.origin == Origin::Restored {
            continue;
        }
        let hardcore_at = after.unlocked_hardcore_at;
        if before.map(|unlock| unlock.unlocked_at) != Some(after.unlocked_at) && hardcore_at != Some(after.unlocked_at)
        {
            tell_unlock(unit, &games, told.user, achievement, false, after.unlocked_at)?;
        }
        if let Some(at) = hardcore_at.filter(|_| before.and_then(|unlock| unlock.unlocked_hardcore_at) != hardcore_at) {
            tell_unlock(unit, &games, told.user, achievement, true, at)?;
        }
    }
    players.store(unit, &games).await?;
    Ok((awards, taken))
}

/// Takes back unlocks of a user.
#[derive(Debug, Serialize)]
pub struct RelockAchievements {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// Whose unlocks are taken back.
    pub user: RecordedUser,
    /// The achievements' keys.
    pub achievements: Vec<String>,
    /// Whether what was unlocked stays unlocked, only not in hardcore mode.
    pub hardcore_only: bool,
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
        let wanted = named().filter_map(|key| Some((user, games.any_achievement(key)?.game_id)));
        let mut players = Players::read(unit, wanted, true).await?;
        let mut results = Vec::with_capacity(self.achievements.len());
        let mut removed = Vec::new();
        for key in named() {
            let id = Kind::Achievement.id(key);
            // One that was withdrawn after it was unlocked too.
            let found = games.any_achievement(key).and_then(|found| Some((found, games.by_id(found.game_id)?)));
            let Some((achievement, game)) = found else {
                results.push(ItemOutcome::refused(id, unknown_achievement(key)));
                continue;
            };
            if !players.relock(user, achievement, self.hardcore_only) {
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
        players.store(unit, &games).await?;
        Ok(Unlocked { results, games: games_of(&games, named()) })
    }
}

/// By what the unlocks of a user in a game have changed. What comes later in this order decides what the awards come
/// to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum How {
    /// Told by an export, which tells of the awards too.
    Restored,
    /// Asked for: what is there stays.
    Asked,
    /// Told by somebody's own file: awards follow unlocks that turn out to be earlier.
    Told,
    /// Taken back: awards that rest on it are lost.
    Relocked,
}

impl From<Origin> for How {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::Told => Self::Told,
            Origin::Restored => Self::Restored,
        }
    }
}

/// What locked users have unlocked in some games, and what they achieved there.
#[derive(Default)]
struct Players {
    /// By user and achievement.
    unlocks: BTreeMap<(i64, i64), Unlock>,
    /// The awards by user and game, as they are stored.
    stored: BTreeMap<(i64, i64), HeldAwards>,
    /// What was told of awards since.
    told: BTreeMap<(i64, i64), HeldAwards>,
    /// By user and achievement, with the game.
    changed_unlocks: BTreeMap<(i64, i64), i64>,
    /// By user and game.
    changed_games: BTreeMap<(i64, i64), How>,
    /// What was taken back, as it was before, by user and game; and whether in hardcore mode only.
    relocked: BTreeMap<(i64, i64), Vec<Relocked>>,
}

/// An achievement's id, its unlock as it was before it was taken back, and whether in hardcore mode only.
type Relocked = (i64, Unlock, bool);

impl Players {
    /// Everything of these users in these games. What awards rest on only `with_grounds`.
    async fn read(unit: &Unit<'_>, wanted: impl Iterator<Item = (i64, i64)>, with_grounds: bool) -> Result<Self> {
        let mut games: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        for (user, game) in wanted {
            games.entry(user).or_default().insert(game);
        }
        let games: Vec<(i64, Vec<i64>)> =
            games.into_iter().map(|(user, games)| (user, games.into_iter().collect())).collect();
        let mut players = Self::default();
        if games.is_empty() {
            return Ok(players);
        }
        let wanted = || games.iter().map(|(user, games)| (*user, games.as_slice()));
        for (user, _, unlock) in repo::unlocks(unit.transaction(), wanted()).await? {
            players.unlocks.insert((user, unlock.achievement_id), unlock.into());
        }
        let mut rest_on = HashMap::new();
        if with_grounds {
            let grounds = repo::grounds(unit.transaction(), wanted()).await?;
            rest_on = repo::with_sets(unit.transaction(), grounds).await?;
        }
        for (user, achieved) in repo::summaries(unit.transaction(), wanted(), Extent::All).await? {
            players.stored.insert((user, achieved.game_id), achieved.held(user, &mut rest_on));
        }
        Ok(players)
    }

    fn unlock(&self, user: i64, achievement: &Achievement) -> Option<Unlock> {
        self.unlocks.get(&(user, achievement.id)).copied()
    }

    /// Puts an unlock into its place; whether that changes anything.
    fn put(&mut self, user: i64, achievement: &Achievement, unlock: Unlock, how: How) -> bool {
        let place = (user, achievement.id);
        if self.unlocks.insert(place, unlock) == Some(unlock) {
            return false;
        }
        self.changed_unlocks.insert(place, achievement.game_id);
        self.touch(user, achievement.game_id, how);
        true
    }

    fn touch(&mut self, user: i64, game: i64, how: How) {
        let stored = self.changed_games.entry((user, game)).or_insert(how);
        *stored = how.max(*stored);
    }

    /// Takes what is told of awards.
    fn take_awards(&mut self, games: &Games, told: &ToldAwards<'_>) -> Taken {
        let game = games.by_key(told.game).ok_or_else(|| format!("there is no game {:?}", told.game))?;
        let id = |key: &&str| {
            let found = games.any_achievement(key).filter(|one| one.game_id == game.id);
            found.map(|one| one.id).ok_or_else(|| format!("there is no achievement {key:?} in the game {:?}", game.key))
        };
        let place = (told.user, game.id);
        let before = self.told.get(&place).or_else(|| self.stored.get(&place)).cloned().unwrap_or_default();
        let mut after = before.clone();
        for (award, at, on) in &told.awards {
            if after[*award as usize].is_none() {
                told.origin.check_retired(Kind::Game, &game.key, game.retired_at, *at)?;
            }
            let on = on.as_ref().map(|keys| keys.iter().map(id).collect::<Result<BTreeSet<i64>, _>>()).transpose()?;
            let held = &mut after[*award as usize];
            *held = Some(Held::merged(held.take(), Held { at: *at, on: on.map(|on| on.into_iter().collect()) }));
        }
        if after == before {
            return Ok(false);
        }
        self.told.insert(place, after);
        self.touch(told.user, game.id, told.origin.into());
        Ok(true)
    }

    /// Takes an unlock back; whether there was any. One that is taken back as a whole has still to be removed.
    fn relock(&mut self, user: i64, achievement: &Achievement, hardcore_only: bool) -> bool {
        let place = (user, achievement.id);
        let Some(unlock) = self.unlocks.get_mut(&place) else { return false };
        let before = *unlock;
        if !hardcore_only {
            self.unlocks.remove(&place);
            self.changed_unlocks.remove(&place);
        } else if unlock.unlocked_hardcore_at.take().is_some() {
            self.changed_unlocks.insert(place, achievement.game_id);
        } else {
            return false;
        }
        self.touch(user, achievement.game_id, How::Relocked);
        let relocked = self.relocked.entry((user, achievement.game_id)).or_default();
        relocked.push((achievement.id, before, hardcore_only));
        true
    }

    /// Stores what changed, with the summaries and awards that follow from it.
    async fn store(self, unit: &mut Unit<'_>, games: &Games) -> Result<()> {
        let (mut summaries, mut awards) = (Vec::with_capacity(self.changed_games.len()), Vec::new());
        for ((user, game), how) in &self.changed_games {
            let Some(game) = games.by_id(*game) else { continue };
            let place = (*user, game.id);
            let facts = game.facts(|id| self.unlocks.get(&(*user, id)).copied());
            let After { held, new } = self.awards_after(place, &facts, *how);
            for (award, at) in new.into_iter().filter(|_| *how != How::Restored) {
                let subject = (Kind::Game, game.key.as_str());
                unit.record_at(*user, HistoryKind::AwardEarned, subject, &json!({ "award": award.as_str() }), at)?;
            }
            summaries.push((*user, Achieved::of(game.id, &facts, &held)));
            awards.push((place, self.stored.get(&place).cloned().unwrap_or_default(), held));
        }
        repo::store_grounds(unit.transaction(), unit.stores(), awards).await?;
        let unlocks = self.changed_unlocks.iter().filter_map(|((user, achievement_id), game)| {
            let Unlock { unlocked_at, unlocked_hardcore_at } = *self.unlocks.get(&(*user, *achievement_id))?;
            Some((*user, *game, repo::Unlock { achievement_id: *achievement_id, unlocked_at, unlocked_hardcore_at }))
        });
        repo::store_unlocks(unit.stores(), unlocks);
        repo::store_summaries(unit.stores(), summaries);
        Ok(())
    }

    /// What the awards of a user in a game come to, and those that are new.
    fn awards_after(&self, place: (i64, i64), facts: &[AchievementFacts], how: How) -> After {
        let stored = self.stored.get(&place);
        let mut after = After { held: HeldAwards::default(), new: Vec::new() };
        for award in Award::ALL {
            let of = |awards: Option<&HeldAwards>| awards.and_then(|awards| awards[award as usize].clone());
            let relocked = self.relocked.get(&place).into_iter().flatten();
            let mut lost = relocked.filter(|(_, _, hardcore_only)| !hardcore_only || award.is_hardcore());
            let before = of(stored).filter(|held| !lost.any(|(id, unlock, _)| held.is_lost(award, *id, *unlock)));
            let held = match self.told.get(&place) {
                Some(told) => of(Some(told)),
                None => before.clone(),
            };
            let unlock = |id: i64| self.unlocks.get(&(place.0, id)).copied();
            let held = match held {
                Some(held) if how == How::Told => Some(held.redated(award, facts, unlock)),
                Some(held) => Some(held),
                None => rules::earned(award, facts),
            };
            if let (None, Some(held)) = (&before, &held) {
                after.new.push((award, held.at));
            }
            after.held[award as usize] = held;
        }
        after
    }
}

/// The awards of a user in a game after a change.
struct After {
    held: HeldAwards,
    new: Vec<(Award, Timestamp)>,
}
