//! SQL of seasons, goals, enrolments and claims.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, EntityTrait as _, QueryOrder as _};

use super::catalogue::{Goal, Season};
use super::entity::{PauseMode as StoredPauseMode, goal, pause, season, week};
use super::rules::{Pause, PauseMode};
use crate::clock::Timestamp;
use crate::db::records::{As, Records};
use crate::db::{Param, Sql, execute, fetch};
use crate::error::Result;
use crate::graphql::batcher::grouped;

/// All seasons by their start, still without pauses, weeks and goals.
pub(super) async fn seasons(connection: &impl ConnectionTrait) -> Result<Vec<Season>> {
    let rows = season::Entity::find()
        .order_by_asc(season::Column::StartsAt)
        .order_by_asc(season::Column::Id)
        .all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Season {
            id: row.id,
            key: row.key,
            title: row.title,
            description: row.description,
            starts_at: row.starts_at,
            duration_seconds: row.duration_seconds,
            week_length_seconds: row.week_length_seconds,
            ended_at: row.ended_at,
            pause_mode: match row.pause_mode {
                StoredPauseMode::Freeze => PauseMode::Freeze,
                StoredPauseMode::RunOn => PauseMode::RunOn,
            },
            pauses: Vec::new(),
            week_titles: HashMap::new(),
            goals: Vec::new(),
        })
        .collect())
}

pub(super) async fn pauses(connection: &impl ConnectionTrait) -> Result<HashMap<i64, Vec<Pause>>> {
    let rows = pause::Entity::find().order_by_asc(pause::Column::FromAt).all(connection).await?;
    Ok(grouped(rows.into_iter().map(|row| (row.season_id, Pause { from: row.from_at, until: row.until_at }))))
}

pub(super) async fn week_titles(connection: &impl ConnectionTrait) -> Result<HashMap<i64, Vec<(i32, String)>>> {
    let rows = week::Entity::find().all(connection).await?;
    Ok(grouped(rows.into_iter().map(|row| (row.season_id, (row.number, row.title)))))
}

pub(super) async fn goals(connection: &impl ConnectionTrait) -> Result<Vec<Goal>> {
    let rows = goal::Entity::find()
        .order_by_asc(goal::Column::SeasonId)
        .order_by_asc(goal::Column::Position)
        .order_by_asc(goal::Column::Id)
        .all(connection)
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Goal {
            id: row.id,
            key: row.key,
            season_id: row.season_id,
            week: row.week,
            title: row.title,
            description: row.description,
            thumbnail: row.thumbnail,
            reward_micros: row.reward_micros,
            total_steps: row.total_steps,
        })
        .collect())
}

/// One fact about a user in a season.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fact {
    Enrolled(Timestamp),
    Goal(Steps),
}

/// How far a user is with a goal.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Steps {
    pub(crate) goal_id: i64,
    pub(crate) completed_steps: i32,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) claimed_at: Option<Timestamp>,
    /// What was given for it, once it was claimed.
    pub(crate) claimed_micros: Option<i64>,
}

static FACTS: Sql = Sql::new(
    "SELECT e.user_id, e.season_id, e.enrolled_at, CAST(NULL AS bigint), CAST(NULL AS integer), \
     CAST(NULL AS bigint), CAST(NULL AS bigint), CAST(NULL AS bigint) \
     FROM season_enrolments e WHERE e.user_id = ANY($1) AND e.season_id = ANY($2) \
     UNION ALL \
     SELECT p.user_id, g.season_id, p.updated_at, p.goal_id, p.completed_steps, p.completed_at, c.claimed_at, \
     c.reward_micros \
     FROM goal_progress p JOIN goals g ON g.id = p.goal_id \
     LEFT JOIN goal_claims c ON c.user_id = p.user_id AND c.goal_id = p.goal_id AND c.user_id = ANY($1) \
     WHERE p.user_id = ANY($1) AND g.season_id = ANY($2)",
);

/// Everything about these users in these seasons, each fact with its user and season.
pub(super) async fn facts(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    seasons: Vec<i64>,
) -> Result<Vec<((i64, i64), Fact)>> {
    fetch(connection, &FACTS, [Param::Ints(users), Param::Ints(seasons)], |row| {
        let place = (row.take()?, row.take()?);
        let at = row.take()?;
        let goal: Option<i64> = row.take()?;
        let steps: Option<i32> = row.take()?;
        let (completed_at, claimed_at, claimed_micros) = (row.take()?, row.take()?, row.take()?);
        let fact = match goal {
            None => Fact::Enrolled(at),
            Some(goal_id) => Fact::Goal(Steps {
                goal_id,
                completed_steps: steps.unwrap_or(0),
                completed_at,
                claimed_at,
                claimed_micros,
            }),
        };
        Ok((place, fact))
    })
    .await
}

static GIVE_BACK: Sql = Sql::new(
    "UPDATE season_budgets SET spent_micros = CASE WHEN spent_micros > $2 THEN spent_micros - $2 ELSE 0 END \
     WHERE season_id = (SELECT g.season_id FROM goals g WHERE g.id = $1) \
     AND week IN (0, (SELECT coalesce(g.week, 0) FROM goals g WHERE g.id = $1))",
);

/// Gives back to the budgets of a goal what a claim had taken that does not stand any more.
pub(super) async fn give_back_budget(connection: &impl ConnectionTrait, goal: i64, micros: i64) -> Result<u64> {
    execute(connection, &GIVE_BACK, [Param::Int(goal), Param::Int(micros)]).await
}

/// Everything that is stored about a user's seasons.
pub(crate) static RECORDS: [Records; 3] = [
    Records::new(
        "enrolments",
        "SELECT s.key, t.enrolled_at FROM season_enrolments t JOIN seasons s ON s.id = t.season_id WHERE \
         t.user_id = $1 ORDER BY t.enrolled_at, s.id",
        &[("season", As::Text), ("enrolledAt", As::Instant)],
    ),
    Records::new(
        "goals",
        "SELECT g.key, CAST(t.completed_steps AS bigint), t.completed_at, t.updated_at FROM goal_progress t \
         JOIN goals g ON g.id = t.goal_id WHERE t.user_id = $1 ORDER BY g.id",
        &[("goal", As::Text), ("completedSteps", As::Number), ("completedAt", As::Instant), ("updatedAt", As::Instant)],
    ),
    Records::new(
        "goalClaims",
        "SELECT g.key, t.lot_seq, t.reward_micros, t.claimed_at FROM goal_claims t JOIN goals g ON g.id = \
         t.goal_id WHERE t.user_id = $1 ORDER BY g.id",
        &[("goal", As::Text), ("lot", As::Number), ("rewardMicros", As::Number), ("claimedAt", As::Instant)],
    ),
];
