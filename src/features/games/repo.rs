//! SQL of games, unlocks and summaries.

use sea_orm::{ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _};

use super::catalogue::Achievement;
use super::entity::{achievement, game, summary, unlock};
use super::rules::{AchievementKind, Awards, Score};
use crate::clock::Timestamp;
use crate::db::page::{List, Slice};
use crate::db::records::{As, Records};
use crate::db::{PairSql, Param, Row, Sql, bulk, execute};
use crate::error::Result;

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

/// The summaries of each user in these games; games never played have none.
pub(super) async fn summaries<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<(i64, Achieved)>> {
    SUMMARIES.fetch(connection, wanted, read_summary).await
}

fn read_summary(row: &mut Row) -> Result<(i64, Achieved), DbErr> {
    let user = row.take()?;
    let achieved = Achieved {
        game_id: row.take()?,
        score: Score {
            num_achieved: row.take()?,
            score_achieved: row.take()?,
            num_achieved_hardcore: row.take()?,
            score_achieved_hardcore: row.take()?,
        },
        first_unlocked_at: row.take()?,
        last_unlocked_at: row.take()?,
        awards: Awards {
            beaten: row.take()?,
            beaten_hardcore: row.take()?,
            completed: row.take()?,
            mastered: row.take()?,
        },
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
    UNLOCKS
        .fetch(connection, wanted, |row| {
            let (user, game) = (row.take()?, row.take()?);
            let unlock =
                Unlock { achievement_id: row.take()?, unlocked_at: row.take()?, unlocked_hardcore_at: row.take()? };
            Ok((user, game, unlock))
        })
        .await
}

/// Stores unlocks, each with its user and its game.
pub(super) async fn store_unlocks(
    connection: &impl ConnectionTrait,
    unlocks: impl IntoIterator<Item = (i64, i64, Unlock)>,
) -> Result<()> {
    let rows: Vec<unlock::Model> = unlocks
        .into_iter()
        .map(|(user_id, game_id, unlock)| unlock::Model {
            user_id,
            game_id,
            achievement_id: unlock.achievement_id,
            unlocked_at: unlock.unlocked_at,
            unlocked_hardcore_at: unlock.unlocked_hardcore_at,
        })
        .collect();
    bulk::upsert(connection, &rows, &[unlock::Column::UnlockedAt, unlock::Column::UnlockedHardcoreAt]).await
}

/// Stores summaries, each with its user.
pub(super) async fn store_summaries(
    connection: &impl ConnectionTrait,
    summaries: impl IntoIterator<Item = (i64, Achieved)>,
) -> Result<()> {
    use summary::Column;
    let rows: Vec<summary::Model> = summaries
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
    bulk::upsert(connection, &rows, &columns).await
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
