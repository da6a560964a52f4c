//! SQL of seasons, goals, enrolments and claims.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, EntityTrait as _, QueryOrder as _};

use super::catalogue::{Goal, Season};
use super::entity::{
    PauseMode as StoredPauseMode, budget, enrolment, goal, goal_claim, goal_progress, pause, season, week,
};
use super::rules::{Pause, PauseMode};
use crate::clock::Timestamp;
use crate::db::{PairSql, Param, Sql, bulk, fetch};
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

static ENROLMENTS: PairSql = PairSql::new("t.user_id, t.season_id", "season_enrolments", "season_id");

/// Who of these users takes part in which of the seasons beside them.
pub(super) async fn enrolments<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<(i64, i64)>> {
    ENROLMENTS.fetch(connection, wanted, |row| Ok((row.take()?, row.take()?))).await
}

/// Lets users take part in seasons, each with its user.
pub(super) async fn enrol(
    connection: &impl ConnectionTrait,
    enrolments: impl IntoIterator<Item = (i64, i64)>,
    now: Timestamp,
) -> Result<()> {
    let rows: Vec<enrolment::Model> = enrolments
        .into_iter()
        .map(|(user_id, season_id)| enrolment::Model { user_id, season_id, enrolled_at: now })
        .collect();
    bulk::insert(connection, &rows).await
}

/// Stores how far users are with goals, each with its user.
pub(super) async fn store_steps(
    connection: &impl ConnectionTrait,
    steps: impl IntoIterator<Item = (i64, Steps)>,
    now: Timestamp,
) -> Result<()> {
    use goal_progress::Column;
    let rows: Vec<goal_progress::Model> = steps
        .into_iter()
        .map(|(user_id, steps)| goal_progress::Model {
            user_id,
            goal_id: steps.goal_id,
            completed_steps: steps.completed_steps,
            completed_at: steps.completed_at,
            updated_at: now,
        })
        .collect();
    bulk::upsert(connection, &rows, &[Column::CompletedSteps, Column::CompletedAt, Column::UpdatedAt]).await
}

/// A goal that was claimed.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewClaim {
    pub(super) goal_id: i64,
    /// The lot that was opened; 0 when the reward is nothing.
    pub(super) lot_seq: i64,
    pub(super) reward_micros: i64,
}

/// Stores claims of a user.
pub(super) async fn store_claims(
    connection: &impl ConnectionTrait,
    user: i64,
    claims: &[NewClaim],
    now: Timestamp,
) -> Result<()> {
    let rows: Vec<goal_claim::Model> = claims
        .iter()
        .map(|claim| goal_claim::Model {
            user_id: user,
            goal_id: claim.goal_id,
            lot_seq: claim.lot_seq,
            reward_micros: claim.reward_micros,
            claimed_at: now,
        })
        .collect();
    bulk::insert(connection, &rows).await
}

/// What the goals of a season, or of one of its weeks, may still grant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) season_id: i64,
    /// 0: the whole season.
    pub(super) week: i32,
    pub(super) cap_micros: i64,
    pub(super) spent_micros: i64,
}

// One after the other in the order of their keys, so that two claims never wait for each other.
static LOCK_BUDGETS: Sql = Sql::new(
    "SELECT b.season_id, b.week, b.cap_micros, b.spent_micros FROM season_budgets b \
     WHERE b.season_id = ANY($1) AND b.week = ANY($2) ORDER BY b.season_id, b.week FOR UPDATE",
);
static LOCK_BUDGETS_ON_SQLITE: Sql = Sql::new(
    "SELECT b.season_id, b.week, b.cap_micros, b.spent_micros FROM season_budgets b \
     WHERE b.season_id = ANY($1) AND b.week = ANY($2) ORDER BY b.season_id, b.week",
);

/// Locks the budgets of these weeks in each of these seasons, as far as there are any.
pub(super) async fn lock_budgets(
    connection: &impl ConnectionTrait,
    seasons: Vec<i64>,
    weeks: Vec<i64>,
) -> Result<Vec<Budget>> {
    let postgres = connection.get_database_backend() == DbBackend::Postgres;
    let lock = if postgres { &LOCK_BUDGETS } else { &LOCK_BUDGETS_ON_SQLITE };
    fetch(connection, lock, [Param::Ints(seasons), Param::Ints(weeks)], |row| {
        Ok(Budget { season_id: row.take()?, week: row.take()?, cap_micros: row.take()?, spent_micros: row.take()? })
    })
    .await
}

/// Stores what was granted of budgets that are locked.
pub(super) async fn store_budgets(
    connection: &impl ConnectionTrait,
    budgets: impl IntoIterator<Item = Budget>,
) -> Result<()> {
    let rows: Vec<budget::Model> = budgets
        .into_iter()
        .map(|Budget { season_id, week, cap_micros, spent_micros }| budget::Model {
            season_id,
            week,
            cap_micros,
            spent_micros,
        })
        .collect();
    bulk::upsert(connection, &rows, &[budget::Column::SpentMicros]).await
}
