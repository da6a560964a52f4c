//! SQL of seasons, goals, enrolments and claims.

use super::catalogue::{Goal, Season};
use super::entity::{
    PauseMode as StoredPauseMode, budget, enrolment, goal, goal_claim, goal_progress, pause, season, week,
};
use super::rules::{Pause, PauseMode};
use sea_orm::{ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait as _, QueryFilter as _, QueryOrder as _};
use std::collections::{HashMap, HashSet};
use waymark_db::bulk;
use waymark_db::bulk::Stores;
use waymark_db::records::{As, Records};
use waymark_db::{PairSql, Param, Sql, execute, fetch, rows};
use waymark_graphql_kit::batcher::grouped;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;

/// All seasons by their start, still without pauses, weeks and goals.
pub(super) async fn seasons(connection: &impl ConnectionTrait) -> Result<Vec<Season>> {
    let rows = season::Entity::find()
        .order_by_asc(season::Column::StartsAt)
        .order_by_asc(season::Column::Id)
        .all(connection)
        .await?;
    Ok(rows.into_iter().map(Season::from).collect())
}

/// Still without pauses, weeks and goals.
impl From<season::Model> for Season {
    fn from(row: season::Model) -> Self {
        Self {
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
        }
    }
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
pub enum Fact {
    Enrolled(Timestamp),
    Goal(Steps),
}

/// How far a user is with a goal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Steps {
    pub goal_id: i64,
    pub completed_steps: i32,
    pub completed_at: Option<Timestamp>,
    pub claimed_at: Option<Timestamp>,
    /// What was given for it, once it was claimed.
    pub claimed_micros: Option<i64>,
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
    enrolments: impl IntoIterator<Item = (i64, i64, Timestamp)>,
) -> Result<()> {
    let rows: Vec<enrolment::Model> = enrolments
        .into_iter()
        .map(|(user_id, season_id, enrolled_at)| enrolment::Model { user_id, season_id, enrolled_at })
        .collect();
    bulk::insert(connection, &rows).await
}

/// Stores how far users are with goals, each with its user, as of an instant.
pub(super) fn store_steps(stores: &mut Stores, steps: impl IntoIterator<Item = (i64, Steps, Timestamp)>) {
    use goal_progress::Column;
    let rows = steps.into_iter().map(|(user_id, steps, updated_at)| goal_progress::Model {
        user_id,
        goal_id: steps.goal_id,
        completed_steps: steps.completed_steps,
        completed_at: steps.completed_at,
        updated_at,
    });
    stores.upsert(rows.collect(), &[Column::CompletedSteps, Column::CompletedAt, Column::UpdatedAt]);
}

/// A goal that was claimed.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewClaim {
    pub(super) goal_id: i64,
    /// The lot that was opened; 0 when the reward is nothing.
    pub(super) lot_seq: i64,
    pub(super) reward_micros: i64,
    pub(super) claimed_at: Timestamp,
}

/// Stores claims, each with its user.
pub(super) fn store_claims(stores: &mut Stores, claims: impl IntoIterator<Item = (i64, NewClaim)>) {
    let rows = claims.into_iter().map(|(user_id, claim)| goal_claim::Model {
        user_id,
        goal_id: claim.goal_id,
        lot_seq: claim.lot_seq,
        reward_micros: claim.reward_micros,
        claimed_at: claim.claimed_at,
    });
    stores.insert(rows.collect());
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
pub(super) fn store_spent(stores: &mut Stores, budgets: impl IntoIterator<Item = Budget>) {
    let rows = budgets.into_iter().map(|Budget { season_id, week, cap_micros, spent_micros }| budget::Model {
        season_id,
        week,
        cap_micros,
        spent_micros,
    });
    stores.upsert(rows.collect(), &[budget::Column::SpentMicros]);
}

/// The season of this key, as it is stored.
pub(super) async fn season(connection: &impl ConnectionTrait, key: &str) -> Result<Option<season::Model>> {
    Ok(season::Entity::find().filter(season::Column::Key.eq(key)).one(connection).await?)
}

static TOUCHED: Sql = Sql::new(
    "SELECT goal_id FROM goal_progress WHERE goal_id = ANY($1) \
     UNION SELECT goal_id FROM goal_claims WHERE goal_id = ANY($1)",
);

/// Those of these goals on which somebody made a step or has a claim.
pub(super) async fn touched_goals(connection: &impl ConnectionTrait, goals: Vec<i64>) -> Result<HashSet<i64>> {
    if goals.is_empty() {
        return Ok(HashSet::new());
    }
    let found = fetch(connection, &TOUCHED, [Param::Ints(goals)], |row| row.take()).await?;
    Ok(found.into_iter().collect())
}

static CLAIMED: Sql = Sql::new("SELECT DISTINCT goal_id FROM goal_claims WHERE goal_id = ANY($1)");

/// Those of these goals whose reward somebody has claimed.
pub(super) async fn claimed_goals(connection: &impl ConnectionTrait, goals: Vec<i64>) -> Result<HashSet<i64>> {
    if goals.is_empty() {
        return Ok(HashSet::new());
    }
    let found = fetch(connection, &CLAIMED, [Param::Ints(goals)], |row| row.take()).await?;
    Ok(found.into_iter().collect())
}

/// The budgets of a season.
pub(super) async fn budgets(connection: &impl ConnectionTrait, season: i64) -> Result<Vec<budget::Model>> {
    Ok(budget::Entity::find().filter(budget::Column::SeasonId.eq(season)).all(connection).await?)
}

static GRANTED: Sql = Sql::new(
    "SELECT COALESCE(g.week, 0), CAST(sum(c.reward_micros) AS bigint) FROM goals g \
     JOIN goal_claims c ON c.goal_id = g.id AND c.lot_seq > 0 WHERE g.season_id = $1 GROUP BY 1",
);

/// What the claims of a season's goals have granted, by the week of the goals; 0: goals of the whole season.
pub(super) async fn granted(connection: &impl ConnectionTrait, season: i64) -> Result<HashMap<i32, i64>> {
    let found = fetch(connection, &GRANTED, [Param::Int(season)], |row| Ok((row.take()?, row.take()?))).await?;
    Ok(found.into_iter().collect())
}

/// Stores a season under its id.
pub(super) async fn store_season(connection: &impl ConnectionTrait, row: season::Model) -> Result<()> {
    bulk::replace(connection, &[row]).await
}

static REMOVE_GOALS: Sql = Sql::new("DELETE FROM goals WHERE id = ANY($1)");

/// Removes goals that nobody has touched.
pub(super) async fn remove_goals(connection: &impl ConnectionTrait, goals: Vec<i64>) -> Result<()> {
    if goals.is_empty() {
        return Ok(());
    }
    execute(connection, &REMOVE_GOALS, [Param::Ints(goals)]).await.map(drop)
}

static REMOVE_WEEKS: Sql = Sql::new("DELETE FROM season_weeks WHERE season_id = $1 AND number = ANY($2)");

/// Names weeks of a season; those without a title lose the one they had.
pub(super) async fn store_weeks(
    connection: &impl ConnectionTrait,
    season: i64,
    titles: Vec<(i32, Option<String>)>,
) -> Result<()> {
    let (mut named, mut nameless) = (Vec::new(), Vec::new());
    for (number, title) in titles {
        match title {
            Some(title) => named.push(week::Model { season_id: season, number, title }),
            None => nameless.push(i64::from(number)),
        }
    }
    bulk::replace(connection, &named).await?;
    if nameless.is_empty() {
        return Ok(());
    }
    execute(connection, &REMOVE_WEEKS, [Param::Int(season), Param::Ints(nameless)]).await.map(drop)
}

static REMOVE_BUDGETS: Sql = Sql::new("DELETE FROM season_budgets WHERE season_id = $1 AND week = ANY($2)");

/// Stores budgets of a season, and removes those of some weeks.
pub(super) async fn store_budgets(
    connection: &impl ConnectionTrait,
    season: i64,
    rows: Vec<budget::Model>,
    removed: Vec<i64>,
) -> Result<()> {
    let rows: Vec<_> = rows.into_iter().map(|row| budget::Model { season_id: season, ..row }).collect();
    bulk::replace(connection, &rows).await?;
    if removed.is_empty() {
        return Ok(());
    }
    execute(connection, &REMOVE_BUDGETS, [Param::Int(season), Param::Ints(removed)]).await.map(drop)
}

static FORGET_PAUSES: Sql = Sql::new("DELETE FROM season_pauses WHERE season_id = $1 AND from_at = $2");
static END_PAUSES: Sql = Sql::new(
    "UPDATE season_pauses SET until_at = $2 WHERE season_id = $1 AND from_at < $2 \
     AND (until_at IS NULL OR until_at > $2)",
);

/// Stores the pauses of a season in the place of those that are there.
pub(super) async fn replace_pauses(connection: &impl ConnectionTrait, season: i64, pauses: Vec<Pause>) -> Result<()> {
    rows::remove::<pause::Model>(connection, "season_id", &[season]).await?;
    let of = |pause: Pause| pause::Model { season_id: season, from_at: pause.from, until_at: pause.until };
    bulk::insert(connection, &pauses.into_iter().map(of).collect::<Vec<_>>()).await
}

/// Begins a pause of a season.
pub(super) async fn add_pause(connection: &impl ConnectionTrait, season: i64, pause: Pause) -> Result<()> {
    let row = pause::Model { season_id: season, from_at: pause.from, until_at: pause.until };
    bulk::replace(connection, &[row]).await
}

/// Ends the pauses of a season that last, and forgets one that begins at this very instant.
pub(super) async fn end_pauses(connection: &impl ConnectionTrait, season: i64, now: Timestamp) -> Result<()> {
    let params = || [season, now.millis()].map(Param::Int);
    execute(connection, &FORGET_PAUSES, params()).await?;
    execute(connection, &END_PAUSES, params()).await.map(drop)
}

static REACHED: Sql = Sql::new(
    "SELECT user_id FROM goal_progress WHERE goal_id = $1 AND user_id > $2 AND completed_steps >= $3 \
     AND completed_at IS NULL ORDER BY user_id LIMIT 1000",
);

/// A thousand users behind the user `after`, by their ids, who have made `steps` steps of a goal that is not complete.
pub(super) async fn reached(connection: &impl ConnectionTrait, goal: i64, after: i64, steps: i32) -> Result<Vec<i64>> {
    fetch(connection, &REACHED, [goal, after, steps.into()].map(Param::Int), |row| row.take()).await
}

// Steps beyond those that a goal asks for do not stay: they would count again if it asked for more one day.
static COMPLETE: Sql = Sql::new(
    "UPDATE goal_progress SET completed_steps = $2, completed_at = COALESCE(completed_at, $3), updated_at = $3 \
     WHERE goal_id = $1 AND (completed_steps > $2 OR (completed_steps = $2 AND completed_at IS NULL))",
);
// The date stays that of the steps: exports that tell of more steps are compared by it.
static INCOMPLETE: Sql = Sql::new(
    "UPDATE goal_progress SET completed_at = NULL \
     WHERE goal_id = $1 AND completed_steps < $2 AND completed_at IS NOT NULL",
);

/// Stores how far users are with a goal that now takes this many steps.
pub(super) async fn complete(connection: &impl ConnectionTrait, goal: i64, steps: i32, now: Timestamp) -> Result<()> {
    execute(connection, &COMPLETE, [goal, steps.into(), now.millis()].map(Param::Int)).await?;
    execute(connection, &INCOMPLETE, [goal, steps.into()].map(Param::Int)).await.map(drop)
}

/// How many users an edit of a season concerns.
#[derive(Debug, Clone, Copy, Default)]
pub struct Concerned {
    /// Who take part.
    pub enrolled: i64,
    /// Goals of users on which steps were made, and steps are missing.
    pub under_way: i64,
    /// Goals of users that are complete, and the reward is not claimed.
    pub unclaimed: i64,
}

static ENROLLED: Sql =
    Sql::new("SELECT season_id, count(*) FROM season_enrolments WHERE season_id = ANY($1) GROUP BY season_id");
static UNDER_WAY: Sql = Sql::new(
    "SELECT g.season_id, count(CASE WHEN p.completed_steps > 0 AND p.completed_steps < g.total_steps THEN 1 END), \
     count(CASE WHEN p.completed_steps >= g.total_steps AND c.goal_id IS NULL THEN 1 END) \
     FROM goals g JOIN goal_progress p ON p.goal_id = g.id \
     LEFT JOIN goal_claims c ON c.user_id = p.user_id AND c.goal_id = p.goal_id \
     WHERE g.season_id = ANY($1) GROUP BY g.season_id",
);

/// How many users an edit of these seasons would concern.
pub(super) async fn concerned(connection: &impl ConnectionTrait, seasons: Vec<i64>) -> Result<HashMap<i64, Concerned>> {
    let mut all: HashMap<i64, Concerned> = HashMap::new();
    let params = [Param::Ints(seasons)];
    let enrolled = fetch(connection, &ENROLLED, params.clone(), |row| Ok((row.take()?, row.take()?))).await?;
    for (season, enrolled) in enrolled {
        all.entry(season).or_default().enrolled = enrolled;
    }
    let goals = fetch(connection, &UNDER_WAY, params, |row| Ok((row.take()?, row.take()?, row.take()?))).await?;
    for (season, under_way, unclaimed) in goals {
        let concerned = all.entry(season).or_default();
        concerned.under_way = under_way;
        concerned.unclaimed = unclaimed;
    }
    Ok(all)
}

static LOCK_BUDGETS_OF: Sql = Sql::new(
    "SELECT b.season_id FROM season_budgets b JOIN goals g ON g.season_id = b.season_id \
     AND b.week IN (0, COALESCE(g.week, 0)) WHERE g.id = ANY($1) ORDER BY b.season_id, b.week FOR UPDATE OF b",
);

/// Locks the budgets of these goals in the order in which claims lock them. SQLite has one writer and nothing to lock.
pub(super) async fn lock_budgets_of(connection: &impl ConnectionTrait, goals: Vec<i64>) -> Result<()> {
    if goals.is_empty() || connection.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    fetch(connection, &LOCK_BUDGETS_OF, [Param::Ints(goals)], |row| row.take::<i64>()).await.map(drop)
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
pub static RECORDS: [Records; 3] = [
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
