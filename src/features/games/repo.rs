//! SQL of games, unlocks and summaries.

use super::catalogue::Achievement;
use super::entity::{achievement, game, summary, unlock};
use super::rules::{AchievementKind, Awards, Score};
use crate::clock::Timestamp;
use crate::db::bulk::Stores;
use crate::db::page::{List, Slice};
use crate::db::records::{As, Records};
use crate::db::{Extent, PairSql, Param, Row, Sql, bulk, execute, fetch};
use crate::error::{Error, Result};
use sea_orm::{ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _};
use std::collections::HashSet;

pub(super) async fn games(connection: &impl ConnectionTrait) -> Result<Vec<game::Model>> {
    Ok(game::Entity::find().order_by_asc(game::Column::Id).all(connection).await?)
}

pub(super) async fn published_achievements(connection: &impl ConnectionTrait) -> Result<Vec<Achievement>> {
    let rows = achievement::Entity::find()
        .filter(achievement::Column::Published.eq(true))
        .order_by_asc(achievement::Column::GameId)
        .order_by_asc(achievement::Column::Position)
        .order_by_asc(achievement::Column::Id)
        .all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Achievement {
            id: row.id,
            key: row.key,
            game_id: row.game_id,
            position: row.position,
            title: row.title,
            description: row.description,
            badge: row.badge,
            points: row.points,
            kind: row.kind,
        })
        .collect())
}

impl From<super::entity::AchievementKind> for AchievementKind {
    fn from(stored: super::entity::AchievementKind) -> Self {
        match stored {
            super::entity::AchievementKind::Standard => Self::Standard,
            super::entity::AchievementKind::Progression => Self::Progression,
            super::entity::AchievementKind::WinCondition => Self::WinCondition,
        }
    }
}

/// What a user has achieved in a game, as it is stored.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Achieved {
    pub(crate) game_id: i64,
    pub(crate) score: Score,
    pub(crate) first_unlocked_at: Option<Timestamp>,
    pub(crate) last_unlocked_at: Option<Timestamp>,
    pub(crate) awards: Awards,
}

const SUMMARY: &str = "t.user_id, t.game_id, t.num_achieved, t.score_achieved, t.num_achieved_hardcore, \
    t.score_achieved_hardcore, t.first_unlocked_at, t.last_unlocked_at, t.beaten_at, t.beaten_hardcore_at, \
    t.completed_at, t.mastered_at";

static SUMMARIES: PairSql = PairSql::new(SUMMARY, "game_summaries", "game_id");

static SCORES: PairSql = PairSql::new(
    "t.user_id, t.game_id, t.num_achieved, t.score_achieved, t.num_achieved_hardcore, t.score_achieved_hardcore",
    "game_summaries",
    "game_id",
);

/// The summaries of each user in these games; games never played have none. The main part of a summary has no dates.
pub(super) async fn summaries<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
    extent: Extent,
) -> Result<Vec<(i64, Achieved)>> {
    match extent {
        Extent::Main => SCORES.fetch(connection, wanted, read_scores).await,
        Extent::All => SUMMARIES.fetch(connection, wanted, read_summary).await,
    }
}

fn read_scores(row: &mut Row) -> Result<(i64, Achieved), DbErr> {
    let (user, game_id) = (row.take()?, row.take()?);
    let score = Score {
        num_achieved: row.take()?,
        score_achieved: row.take()?,
        num_achieved_hardcore: row.take()?,
        score_achieved_hardcore: row.take()?,
    };
    Ok((user, Achieved { game_id, score, ..Achieved::default() }))
}

static ALL_SUMMARIES: Sql = Sql::new(
    "SELECT t.user_id, t.game_id, t.num_achieved, t.score_achieved, t.num_achieved_hardcore, \
     t.score_achieved_hardcore, t.first_unlocked_at, t.last_unlocked_at, t.beaten_at, t.beaten_hardcore_at, \
     t.completed_at, t.mastered_at FROM game_summaries t WHERE t.user_id = ANY($1)",
);

/// All summaries of these users.
pub(super) async fn all_summaries(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, Achieved)>> {
    fetch(connection, &ALL_SUMMARIES, [Param::Ints(users)], read_summary).await
}

fn read_summary(row: &mut Row) -> Result<(i64, Achieved), DbErr> {
    let (user, scores) = read_scores(row)?;
    let achieved = Achieved {
        first_unlocked_at: row.take()?,
        last_unlocked_at: row.take()?,
        awards: Awards {
            beaten: row.take()?,
            beaten_hardcore: row.take()?,
            completed: row.take()?,
            mastered: row.take()?,
        },
        ..scores
    };
    Ok((user, achieved))
}

/// Which of a user's games are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Listed {
    Played,
    Beaten,
    BeatenHardcore,
    Completed,
    Mastered,
}

impl Listed {
    const fn condition(self) -> &'static str {
        match self {
            Self::Played => "t.last_unlocked_at IS NOT NULL",
            Self::Beaten => "t.last_unlocked_at IS NOT NULL AND t.beaten_at IS NOT NULL",
            Self::BeatenHardcore => "t.last_unlocked_at IS NOT NULL AND t.beaten_hardcore_at IS NOT NULL",
            Self::Completed => "t.last_unlocked_at IS NOT NULL AND t.completed_at IS NOT NULL",
            Self::Mastered => "t.last_unlocked_at IS NOT NULL AND t.mastered_at IS NOT NULL",
        }
    }
}

/// How a user's games are sorted; each from the greatest down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sorted {
    LastUnlocked,
    Score,
}

fn played(listed: Listed, sorted: Sorted) -> List {
    List {
        columns: SUMMARY,
        table: "game_summaries t",
        condition: listed.condition(),
        sort: match sorted {
            Sorted::LastUnlocked => "last_unlocked_at",
            Sorted::Score => "score_achieved",
        },
        tie: "game_id",
        descending: true,
    }
}

/// One page of each user's games.
pub(super) async fn page(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    listed: Listed,
    sorted: Sorted,
    slice: Slice,
) -> Result<Vec<(i64, Achieved)>> {
    played(listed, sorted).fetch(connection, users, None, slice, read_summary).await
}

/// How many games each user has in the list.
pub(super) async fn count(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    listed: Listed,
) -> Result<Vec<(i64, i64)>> {
    played(listed, Sorted::LastUnlocked).count(connection, users, None).await
}

/// When a user unlocked an achievement.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Unlock {
    pub(crate) achievement_id: i64,
    pub(crate) unlocked_at: Timestamp,
    pub(crate) unlocked_hardcore_at: Option<Timestamp>,
}

static UNLOCKS: PairSql = PairSql::new(
    "t.user_id, t.game_id, t.achievement_id, t.unlocked_at, t.unlocked_hardcore_at",
    "achievement_unlocks",
    "game_id",
);

/// What each user unlocked in these games, with the user and the game.
pub(super) async fn unlocks<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<(i64, i64, Unlock)>> {
    UNLOCKS.fetch(connection, wanted, read_unlock).await
}

fn read_unlock(row: &mut Row) -> Result<(i64, i64, Unlock), DbErr> {
    let (user, game) = (row.take()?, row.take()?);
    let unlock = Unlock { achievement_id: row.take()?, unlocked_at: row.take()?, unlocked_hardcore_at: row.take()? };
    Ok((user, game, unlock))
}

static ALL_UNLOCKS: Sql = Sql::new(
    "SELECT t.user_id, t.game_id, t.achievement_id, t.unlocked_at, t.unlocked_hardcore_at \
     FROM achievement_unlocks t WHERE t.user_id = ANY($1)",
);

/// All that these users unlocked, with the user and the game.
pub(super) async fn all_unlocks(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, i64, Unlock)>> {
    fetch(connection, &ALL_UNLOCKS, [Param::Ints(users)], read_unlock).await
}

/// Stores unlocks, each with its user and its game.
pub(super) fn store_unlocks(stores: &mut Stores, unlocks: impl IntoIterator<Item = (i64, i64, Unlock)>) {
    let rows = unlocks.into_iter().map(|(user_id, game_id, unlock)| unlock::Model {
        user_id,
        game_id,
        achievement_id: unlock.achievement_id,
        unlocked_at: unlock.unlocked_at,
        unlocked_hardcore_at: unlock.unlocked_hardcore_at,
    });
    stores.upsert(rows.collect(), &[unlock::Column::UnlockedAt, unlock::Column::UnlockedHardcoreAt]);
}

/// Stores summaries, each with its user.
pub(super) fn store_summaries(stores: &mut Stores, summaries: impl IntoIterator<Item = (i64, Achieved)>) {
    use summary::Column;
    let rows = summaries
        .into_iter()
        .map(|(user_id, achieved)| summary::Model {
            user_id,
            game_id: achieved.game_id,
            num_achieved: achieved.score.num_achieved,
            score_achieved: achieved.score.score_achieved,
            num_achieved_hardcore: achieved.score.num_achieved_hardcore,
            score_achieved_hardcore: achieved.score.score_achieved_hardcore,
            first_unlocked_at: achieved.first_unlocked_at,
            last_unlocked_at: achieved.last_unlocked_at,
            beaten_at: achieved.awards.beaten,
            beaten_hardcore_at: achieved.awards.beaten_hardcore,
            completed_at: achieved.awards.completed,
            mastered_at: achieved.awards.mastered,
        })
        .collect();
    let columns = [
        Column::NumAchieved,
        Column::ScoreAchieved,
        Column::NumAchievedHardcore,
        Column::ScoreAchievedHardcore,
        Column::FirstUnlockedAt,
        Column::LastUnlockedAt,
        Column::BeatenAt,
        Column::BeatenHardcoreAt,
        Column::CompletedAt,
        Column::MasteredAt,
    ];
    stores.upsert(rows, &columns);
}

static REMOVE_UNLOCKS: Sql =
    Sql::new("DELETE FROM achievement_unlocks WHERE user_id = $1 AND achievement_id = ANY($2)");

/// Removes a user's unlocks of these achievements.
pub(super) async fn remove_unlocks(
    connection: &impl ConnectionTrait,
    user: i64,
    achievements: Vec<i64>,
) -> Result<u64> {
    execute(connection, &REMOVE_UNLOCKS, [Param::Int(user), Param::Ints(achievements)]).await
}

/// The game of this key, as it is stored.
pub(super) async fn game(connection: &impl ConnectionTrait, key: &str) -> Result<Option<game::Model>> {
    Ok(game::Entity::find().filter(game::Column::Key.eq(key)).one(connection).await?)
}

/// The key of the game that has this number.
pub(super) async fn numbered(connection: &impl ConnectionTrait, number: i64) -> Result<Option<String>> {
    let found = game::Entity::find().filter(game::Column::Number.eq(number)).one(connection).await?;
    Ok(found.map(|game| game.key))
}

/// All achievements of a game, published or not, in their order.
pub(super) async fn achievements(connection: &impl ConnectionTrait, game: i64) -> Result<Vec<achievement::Model>> {
    Ok(achievement::Entity::find()
        .filter(achievement::Column::GameId.eq(game))
        .order_by_asc(achievement::Column::Position)
        .order_by_asc(achievement::Column::Id)
        .all(connection)
        .await?)
}

static ELSEWHERE: Sql = Sql::new("SELECT key FROM achievements WHERE key = ANY($1) AND game_id <> $2");

/// Those of these keys that achievements of other games have.
pub(super) async fn achievements_elsewhere(
    connection: &impl ConnectionTrait,
    keys: Vec<String>,
    game: i64,
) -> Result<HashSet<String>> {
    let found = fetch(connection, &ELSEWHERE, [Param::Texts(keys), Param::Int(game)], |row| row.take()).await?;
    Ok(found.into_iter().collect())
}

/// Stores a game and gives its id; one with the id 0 is new.
pub(super) async fn store_game(connection: &impl ConnectionTrait, row: game::Model) -> Result<i64> {
    if row.id != 0 {
        let id = row.id;
        return bulk::replace(connection, &[row]).await.map(|()| id);
    }
    bulk::add(connection, std::slice::from_ref(&row)).await?;
    let stored = game(connection, &row.key).await?;
    stored.map(|game| game.id).ok_or_else(|| Error::internal("a game that was just added is not there"))
}

/// Stores achievements; those with the id 0 are new, and get theirs in this order.
pub(super) async fn store_achievements(connection: &impl ConnectionTrait, rows: Vec<achievement::Model>) -> Result<()> {
    let (new, known): (Vec<_>, Vec<_>) = rows.into_iter().partition(|row| row.id == 0);
    bulk::replace(connection, &known).await?;
    bulk::add(connection, &new).await
}

// An unlock in hardcore mode is never earlier than the unlock itself.
static SUMMARISE: Sql = Sql::new(
    "UPDATE game_summaries SET (num_achieved, score_achieved, num_achieved_hardcore, score_achieved_hardcore, \
     first_unlocked_at, last_unlocked_at) = (\
     SELECT count(*), COALESCE(sum(a.points), 0), count(u.unlocked_hardcore_at), \
     COALESCE(sum(CASE WHEN u.unlocked_hardcore_at IS NOT NULL THEN a.points END), 0), min(u.unlocked_at), \
     max(COALESCE(u.unlocked_hardcore_at, u.unlocked_at)) \
     FROM achievement_unlocks u JOIN achievements a ON a.id = u.achievement_id \
     WHERE u.user_id = game_summaries.user_id AND u.game_id = game_summaries.game_id AND a.published) \
     WHERE game_id = $1",
);

/// Counts anew what every player of a game has achieved, awards left alone.
pub(super) async fn summarise_all(connection: &impl ConnectionTrait, game: i64) -> Result<u64> {
    execute(connection, &SUMMARISE, [Param::Int(game)]).await
}

static CONTENDERS: Sql = Sql::new(
    "SELECT user_id FROM game_summaries WHERE game_id = $1 AND user_id > $2 AND (\
     (completed_at IS NULL AND num_achieved >= $3) OR (mastered_at IS NULL AND num_achieved_hardcore >= $3) \
     OR (beaten_at IS NULL AND num_achieved >= $4) OR (beaten_hardcore_at IS NULL AND num_achieved_hardcore >= $4)) \
     ORDER BY user_id LIMIT 1000",
);

/// A thousand players of a game behind the user `after`, by their ids, who lack an award and have as many achievements
/// as it takes: `all` for one over all achievements, `some` for beating the game.
pub(super) async fn contenders(
    connection: &impl ConnectionTrait,
    game: i64,
    after: i64,
    [all, some]: [i64; 2],
) -> Result<Vec<i64>> {
    let params = [game, after, all, some].map(Param::Int);
    fetch(connection, &CONTENDERS, params, |row| row.take()).await
}

/// Everything that is stored about a user's games.
pub(crate) static RECORDS: [Records; 2] = [
    Records::new(
        "achievements",
        "SELECT g.key, a.key, t.unlocked_at, t.unlocked_hardcore_at FROM achievement_unlocks t JOIN \
         achievements a ON a.id = t.achievement_id JOIN games g ON g.id = t.game_id WHERE t.user_id = $1 \
         ORDER BY a.id",
        &[
            ("game", As::Text),
            ("achievement", As::Text),
            ("unlockedAt", As::Instant),
            ("unlockedHardcoreAt", As::Instant),
        ],
    ),
    Records::new(
        "games",
        "SELECT g.key, CAST(t.num_achieved AS bigint), CAST(t.score_achieved AS bigint), \
         CAST(t.num_achieved_hardcore AS bigint), CAST(t.score_achieved_hardcore AS bigint), \
         t.first_unlocked_at, t.last_unlocked_at, t.beaten_at, t.beaten_hardcore_at, t.completed_at, \
         t.mastered_at FROM game_summaries t JOIN games g ON g.id = t.game_id WHERE t.user_id = $1 ORDER BY \
         g.id",
        &[
            ("game", As::Text),
            ("numAchieved", As::Number),
            ("scoreAchieved", As::Number),
            ("numAchievedHardcore", As::Number),
            ("scoreAchievedHardcore", As::Number),
            ("firstUnlockedAt", As::Instant),
            ("lastUnlockedAt", As::Instant),
            ("beatenAt", As::Instant),
            ("beatenHardcoreAt", As::Instant),
            ("completedAt", As::Instant),
            ("masteredAt", As::Instant),
        ],
    ),
];
