//! Games, unlocks and awards: records, how they are exported, and as facts that the feature takes.

#![expect(missing_docs, reason = "docs/import.md describes every member, and a test compares the two")]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};

use crate::export::{Export, Users, at, each, each_of};
use crate::import::catalogue::{OPERATOR, retired, take, telling};
use crate::import::{Item, Work, only};
use crate::ranges::{Members, Said};
use crate::records::{At, Record, is_false, is_true, yes};
use crate::sql;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_kernel::limits;
pub use waymark_kinds::games::entity::{AchievementKind, Award};
use waymark_kinds::games::entity::{achievement, award_ground, award_set, game, summary, unlock};
use waymark_kinds::games::publish::{GivenAchievement, UpsertGame, take_achievements, take_games};
use waymark_kinds::games::rules;
use waymark_kinds::games::write::{ToldAwards, ToldUnlock, take_told};
use waymark_vocabulary::ids::Kind;
use waymark_write::Telling;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Game {
    pub key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub number: Option<i64>,
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Achievement {
    pub key: String,
    pub game: String,
    #[serde(default)]
    pub position: i32,
    pub title: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub badge: Option<String>,
    pub points: i32,
    #[serde(default = "standard")]
    pub kind: AchievementKind,
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub published: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<At>,
}

const fn standard() -> AchievementKind {
    AchievementKind::Standard
}

#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Awards {
    pub user: String,
    pub game: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beaten_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beaten_hardcore_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<At>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mastered_at: Option<At>,
    /// What the awards rest on whose dates follow from unlocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rests_on: Vec<Ground>,
}

/// The achievements that some awards required when they were earned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Ground {
    pub awards: Vec<Award>,
    /// Keys.
    pub achievements: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Unlock {
    pub user: String,
    /// Within which the key of the achievement is unique, where keys are scoped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub game: Option<String>,
    pub achievement: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<At>,
    /// Whether `at` was in hardcore mode.
    #[serde(default, skip_serializing_if = "is_false")]
    pub hardcore: bool,
    /// When it was unlocked in hardcore mode, where that was at another instant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hardcore_at: Option<At>,
}

impl Said for Game {
    fn ranged(&self, all: &mut Members) {
        let Game {
            key: _,
            number,
            title: _,
            platform: _,
            description: _,
            image: _,
            retired_at,
            created_at,
            updated_at,
        } = self;
        all.happened("retiredAt", *retired_at);
        all.number("number", *number, limits::GAME_NUMBER);
        all.happened("createdAt", *created_at);
        all.happened("updatedAt", *updated_at);
    }
}

impl Said for Achievement {
    fn ranged(&self, all: &mut Members) {
        let Achievement {
            key: _,
            game: _,
            position,
            title: _,
            description: _,
            badge: _,
            points,
            kind: _,
            published: _,
            created_at,
            updated_at,
        } = self;
        all.number("position", i64::from(*position), limits::POSITION);
        all.number("points", i64::from(*points), limits::POINTS);
        all.happened("createdAt", *created_at);
        all.happened("updatedAt", *updated_at);
    }
}

impl Said for Awards {
    fn ranged(&self, all: &mut Members) {
        let Awards { user: _, game: _, beaten_at, beaten_hardcore_at, completed_at, mastered_at, rests_on: _ } = self;
        all.happened("beatenAt", *beaten_at);
        all.happened("beatenHardcoreAt", *beaten_hardcore_at);
        all.happened("completedAt", *completed_at);
        all.happened("masteredAt", *mastered_at);
    }
}

impl Said for Unlock {
    fn ranged(&self, all: &mut Members) {
        let Unlock { user: _, game: _, achievement: _, at, hardcore: _, hardcore_at } = self;
        all.happened("at", *at);
        all.happened("hardcoreAt", *hardcore_at);
    }
}

impl Export<'_> {
    pub(super) async fn games(&mut self, wanted: bool) -> Result<()> {
        each!(self, game::Model, "true", row => {
            self.keys.note(Kind::Game, row.id, &row.key);
            wanted.then_some(Record::Game(Game {
                key: row.key,
                number: row.number,
                title: row.title,
                platform: row.platform,
                description: row.description,
                image: row.image,
                retired_at: row.retired_at.map(At),
                created_at: at(row.created_at),
                updated_at: at(row.updated_at),
            }))
        });
        each!(self, achievement::Model, "true", row => {
            self.keys.note(Kind::Achievement, row.id, &row.key);
            wanted.then_some(Record::Achievement(Achievement {
                game: self.keys.of(Kind::Game, row.game_id)?,
                key: row.key,
                position: row.position,
                title: row.title,
                description: row.description,
                badge: row.badge,
                points: row.points,
                kind: row.kind,
                published: row.published,
                created_at: at(row.created_at),
                updated_at: at(row.updated_at),
            }))
        });
        Ok(())
    }

    pub(super) async fn games_of(&mut self, users: &Users) -> Result<()> {
        let mut grounds = self.grounds_of(users).await?;
        each_of!(self, users, summary::Model, game_id, row => {
            let awards = Awards {
                user: users.ulid(row.user_id)?,
                game: self.keys.of(Kind::Game, row.game_id)?,
                beaten_at: row.beaten_at.map(At),
                beaten_hardcore_at: row.beaten_hardcore_at.map(At),
                completed_at: row.completed_at.map(At),
                mastered_at: row.mastered_at.map(At),
                rests_on: grounds.remove(&(row.user_id, row.game_id)).unwrap_or_default(),
            };
            let dates = [awards.beaten_at, awards.beaten_hardcore_at, awards.completed_at, awards.mastered_at];
            dates.iter().any(Option::is_some).then_some(Record::Awards(awards))
        });
        each_of!(self, users, unlock::Model, achievement_id, row => {
            let hardcore = row.unlocked_hardcore_at == Some(row.unlocked_at);
            Some(Record::Unlock(Unlock {
                user: users.ulid(row.user_id)?,
                game: None,
                achievement: self.keys.of(Kind::Achievement, row.achievement_id)?,
                at: at(row.unlocked_at),
                hardcore,
                hardcore_at: if hardcore { None } else { row.unlocked_hardcore_at.map(At) },
            }))
        });
        Ok(())
    }

    /// What the awards of some users rest on, by user and game.
    async fn grounds_of(&self, users: &Users) -> Result<HashMap<(i64, i64), Vec<Ground>>> {
        let ids: Vec<i64> = users.ulids.keys().copied().collect();
        let rows = sql::with_int::<award_ground::Model>(self.transaction, "user_id", &ids).await?;
        let sets: BTreeSet<i64> = rows.iter().map(|row| row.set_id).collect();
        let sets: Vec<i64> = sets.into_iter().collect();
        let mut achievements = HashMap::new();
        for set in sql::with_int::<award_set::Model>(self.transaction, "id", &sets).await? {
            let ids: Vec<i64> = serde_json::from_str(&set.achievements).map_err(Error::internal)?;
            let keys = ids.into_iter().map(|id| self.keys.of(Kind::Achievement, id)).collect::<Result<Vec<_>>>()?;
            achievements.insert(set.id, keys);
        }
        let mut grounds: HashMap<(i64, i64), BTreeMap<i64, Vec<Award>>> = HashMap::new();
        for row in rows {
            grounds.entry((row.user_id, row.game_id)).or_default().entry(row.set_id).or_default().push(row.award);
        }
        let mut named = HashMap::with_capacity(grounds.len());
        for (place, sets) in grounds {
            let ground = |(set, mut awards): (i64, Vec<Award>)| {
                awards.sort_unstable_by_key(|award| *award as u8);
                Ground { awards, achievements: achievements.get(&set).cloned().unwrap_or_default() }
            };
            let mut sets: Vec<Ground> = sets.into_iter().map(ground).collect();
            sets.sort_unstable_by_key(|ground| ground.awards.first().map(|award| *award as u8));
            named.insert(place, sets);
        }
        Ok(named)
    }
}

/// Takes games and their achievements.
pub(super) async fn take_catalogue(work: &mut Work<'_>) -> Result<()> {
    take!(work, Game, take_games, told_game);
    take!(work, Achievement, take_achievements, told_achievement);
    Ok(())
}

fn told_game(record: &Game, has_history: bool) -> (UpsertGame, Telling) {
    let game = UpsertGame {
        operator: OPERATOR,
        key: record.key.clone(),
        number: Some(record.number),
        title: Some(record.title.clone()),
        platform: Some(record.platform.clone()),
        description: Some(record.description.clone()),
        image: Some(record.image.clone()),
        retired: retired(record.retired_at),
        achievements: Vec::new(),
    };
    (game, telling(has_history, record.created_at, record.updated_at))
}

fn told_achievement(record: &Achievement, has_history: bool) -> (&str, GivenAchievement, Telling) {
    let achievement = GivenAchievement {
        key: record.key.clone(),
        position: Some(record.position),
        title: Some(record.title.clone()),
        description: Some(record.description.clone()),
        badge: Some(record.badge.clone()),
        points: Some(record.points),
        kind: Some(record.kind),
        published: Some(record.published),
    };
    (&record.game, achievement, telling(has_history, record.created_at, record.updated_at))
}

/// Takes unlocks and awards.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let awards = work.items(only!(Awards));
    let unlocks = work.items(only!(Unlock));
    if awards.is_empty() && unlocks.is_empty() {
        return Ok(());
    }
    let now = work.now;
    let told_unlocks: Vec<_> = unlocks
        .iter()
        .map(|Item { user, record, origin, .. }| {
            let at = record.at.or(record.hardcore_at).map_or(now, |at| at.0);
            let unlocked_hardcore_at = record.hardcore_at.map(|at| at.0).or(record.hardcore.then_some(at));
            let unlock = rules::Unlock { unlocked_at: at, unlocked_hardcore_at };
            ToldUnlock { user: *user, achievement: &record.achievement, unlock, origin: *origin }
        })
        .collect();
    let told_awards: Vec<_> = awards
        .iter()
        .map(|Item { user, record, origin, .. }| {
            let awards = awards_of(record);
            ToldAwards { user: *user, game: &record.game, awards, origin: *origin }
        })
        .collect();
    let (of_awards, of_unlocks) = take_told(&mut work.unit, &told_awards, &told_unlocks).await?;
    work.note(awards.iter().map(|item| item.at).zip(of_awards));
    work.note(unlocks.iter().map(|item| item.at).zip(of_unlocks));
    Ok(())
}

/// The awards of a record, each with its date and what it rests on.
fn awards_of(record: &Awards) -> Vec<(Award, Timestamp, Option<Vec<&str>>)> {
    let dates = [
        (Award::Beaten, record.beaten_at),
        (Award::BeatenHardcore, record.beaten_hardcore_at),
        (Award::Completed, record.completed_at),
        (Award::Mastered, record.mastered_at),
    ];
    let on = |award: Award| {
        let ground = record.rests_on.iter().find(|ground| ground.awards.contains(&award))?;
        Some(ground.achievements.iter().map(String::as_str).collect())
    };
    dates.into_iter().filter_map(|(award, at)| Some((award, at?.0, on(award)))).collect()
}
