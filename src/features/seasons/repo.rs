//! SQL of seasons, goals, enrolments and claims.

use super::catalogue::{Goal, Season};
use super::entity::{budget, enrolment, goal, goal_claim, goal_progress, pause, season, week};
use super::rules::Pause;
use sea_orm::sea_query::{Expr, ExprTrait as _, Func};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, EntityTrait as _, QueryFilter as _, QueryOrder as _,
    QuerySelect as _, QueryTrait as _, Select,
};
use std::collections::{BTreeSet, HashMap};
use waymark_db::bulk;
use waymark_db::bulk::Stores;
use waymark_db::records::{As, Records};
use waymark_db::{ColumnIsAny as _, Extent, Param, Sql, counts, execute, fetch, pairs, row, rows, select, values};
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
            pause_mode: row.pause_mode,
            retired_at: row.retired_at,
            pauses: Vec::new(),
            week_titles: HashMap::new(),
            goals: Vec::new(),
            created_at: row.created_at,
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

row!(Goal { id, key, season_id, week, title, description, thumbnail, reward_micros, total_steps, retired_at });

pub(super) async fn goals(connection: &impl ConnectionTrait) -> Result<Vec<Goal>> {
    use goal::{Column, Entity};
    let all = Entity::find().order_by_asc(Column::SeasonId).order_by_asc(Column::Position).order_by_asc(Column::Id);
    select(connection, all).await
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

/// The hand-written statements of this file.
pub static STATEMENTS: [&Sql; 3] = [&FACTS, &UNDER_WAY, &GIVE_BACK];

// A profile's season in one round trip, the rows of two tables one below the other.
static FACTS: Sql = Sql::new(
    "SELECT e.user_id, e.season_id, e.enrolled_at AS at, CAST(NULL AS bigint) AS goal_id, \
     CAST(NULL AS integer) AS completed_steps, CAST(NULL AS bigint) AS completed_at, CAST(NULL AS bigint) AS claimed_at, \
     CAST(NULL AS bigint) AS reward_micros \
     FROM season_enrolments e WHERE e.user_id = ANY($1) AND e.season_id = ANY($2) \
     UNION ALL \
     SELECT p.user_id, g.season_id, p.updated_at, p.goal_id, p.completed_steps, p.completed_at, c.claimed_at, \
     c.reward_micros \
     FROM goal_progress p JOIN goals g ON g.id = p.goal_id \
     LEFT JOIN goal_claims c ON c.user_id = p.user_id AND c.goal_id = p.goal_id AND c.user_id = ANY($1) \
     WHERE p.user_id = ANY($1) AND g.season_id = ANY($2)",
);

row! {
    /// A row of either: of an enrolment if it has no goal.
    struct FactRow {
        user_id: i64, season_id: i64, at: Timestamp, goal_id: Option<i64>, completed_steps: Option<i32>,
        completed_at: Option<Timestamp>, claimed_at: Option<Timestamp>, reward_micros: Option<i64>,
    }
}

/// Everything about these users in these seasons, each fact with its user and season.
pub(super) async fn facts(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    seasons: Vec<i64>,
) -> Result<Vec<((i64, i64), Fact)>> {
    let rows: Vec<FactRow> = fetch(connection, &FACTS, [Param::Ints(users), Param::Ints(seasons)]).await?;
    let fact = |row: FactRow| {
        let steps = |goal_id| Steps {
            goal_id,
            completed_steps: row.completed_steps.unwrap_or(0),
            completed_at: row.completed_at,
            claimed_at: row.claimed_at,
            claimed_micros: row.reward_micros,
        };
        let fact = row.goal_id.map_or(Fact::Enrolled(row.at), |goal| Fact::Goal(steps(goal)));
        ((row.user_id, row.season_id), fact)
    };
    Ok(rows.into_iter().map(fact).collect())
}

row! {
    /// That a user takes part in a season.
    struct Enrolment { season_id: i64 }
}

/// Who of these users takes part in which of the seasons beside them.
pub(super) async fn enrolments<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<(i64, i64)>> {
    let found = pairs(connection, enrolment::Column::SeasonId, wanted, Extent::All).await?;
    Ok(found.into_iter().map(|(user, Enrolment { season_id })| (user, season_id)).collect())
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
pub(super) type Budget = budget::Model;

/// Locks the budgets of these weeks in each of these seasons, as far as there are any: one after the other in the order
/// of their keys, so that two claims never wait for each other. SQLite has one writer and nothing to lock.
pub(super) async fn lock_budgets(
    connection: &impl ConnectionTrait,
    seasons: Vec<i64>,
    weeks: Vec<i64>,
) -> Result<Vec<Budget>> {
    use budget::{Column, Entity};
    let budgets = Entity::find()
        .filter(Column::SeasonId.is_any(connection, seasons))
        .filter(Column::Week.is_any(connection, weeks));
    Ok(lock(budgets).all(connection).await?)
}

fn lock(budgets: Select<budget::Entity>) -> Select<budget::Entity> {
    budgets.order_by_asc(budget::Column::SeasonId).order_by_asc(budget::Column::Week).lock_exclusive()
}

/// Stores what was granted of budgets that are locked, and their caps.
pub(super) fn store_spent(stores: &mut Stores, budgets: impl IntoIterator<Item = Budget>) {
    stores.upsert(budgets.into_iter().collect(), &[budget::Column::SpentMicros, budget::Column::CapMicros]);
}

/// The season of this key, as it is stored.
pub(super) async fn season(connection: &impl ConnectionTrait, key: &str) -> Result<Option<season::Model>> {
    Ok(season::Entity::find().filter(season::Column::Key.eq(key)).one(connection).await?)
}

/// Those of these goals on which somebody made a step or has a claim.
pub(super) async fn touched_goals(connection: &impl ConnectionTrait, goals: &[i64]) -> Result<BTreeSet<i64>> {
    let column = goal_progress::Column::GoalId;
    let mut touched = rows::named_by_users::<goal_progress::Model>(connection, column, goals, None).await?;
    touched.extend(claimed_goals(connection, goals).await?);
    Ok(touched)
}

/// Those of these goals whose reward somebody has claimed.
pub(super) async fn claimed_goals(connection: &impl ConnectionTrait, goals: &[i64]) -> Result<BTreeSet<i64>> {
    rows::named_by_users::<goal_claim::Model>(connection, goal_claim::Column::GoalId, goals, None).await
}

/// The budgets of a season.
pub(super) async fn budgets(connection: &impl ConnectionTrait, season: i64) -> Result<Vec<budget::Model>> {
    Ok(budget::Entity::find().filter(budget::Column::SeasonId.eq(season)).all(connection).await?)
}

row! {
    /// What claims have granted.
    struct Granted {
        week: i32 = "COALESCE(goals.week, 0) AS week", micros: i64 = "CAST(SUM(goal_claims.reward_micros) AS bigint) AS micros",
    }
}

/// What the claims of a season's goals have granted, by the week of the goals; 0: goals of the whole season.
pub(super) async fn granted(connection: &impl ConnectionTrait, season: i64) -> Result<HashMap<i32, i64>> {
    let claims = goal_claim::Entity::find()
        .inner_join(goal::Entity)
        .filter(goal_claim::Column::LotSeq.gt(0))
        .filter(goal::Column::SeasonId.eq(season))
        .group_by(goal::Column::Week);
    let found = select(connection, claims).await?;
    Ok(found.into_iter().map(|Granted { week, micros }| (week, micros)).collect())
}

/// Stores a season under its id.
pub(super) async fn store_season(connection: &impl ConnectionTrait, row: season::Model) -> Result<()> {
    bulk::replace(connection, &[row]).await
}

/// Removes goals that nobody has touched.
pub(super) async fn remove_goals(connection: &impl ConnectionTrait, goals: Vec<i64>) -> Result<()> {
    if !goals.is_empty() {
        goal::Entity::delete_many().filter(goal::Column::Id.is_any(connection, goals)).exec(connection).await?;
    }
    Ok(())
}

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
    if !nameless.is_empty() {
        let weeks = week::Entity::delete_many().filter(week::Column::SeasonId.eq(season));
        weeks.filter(week::Column::Number.is_any(connection, nameless)).exec(connection).await?;
    }
    Ok(())
}

/// Stores budgets of a season, and removes those of some weeks.
pub(super) async fn store_budgets(
    connection: &impl ConnectionTrait,
    season: i64,
    rows: Vec<budget::Model>,
    removed: Vec<i64>,
) -> Result<()> {
    let rows: Vec<_> = rows.into_iter().map(|row| budget::Model { season_id: season, ..row }).collect();
    bulk::replace(connection, &rows).await?;
    if !removed.is_empty() {
        let budgets = budget::Entity::delete_many().filter(budget::Column::SeasonId.eq(season));
        budgets.filter(budget::Column::Week.is_any(connection, removed)).exec(connection).await?;
    }
    Ok(())
}

/// Stores the pauses of a season in the place of those that are there.
pub(super) async fn replace_pauses(connection: &impl ConnectionTrait, season: i64, pauses: Vec<Pause>) -> Result<()> {
    pause::Entity::delete_many().filter(pause::Column::SeasonId.eq(season)).exec(connection).await?;
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
    use pause::{Column, Entity};
    Entity::delete_by_id((season, now)).exec(connection).await?;
    Entity::update_many()
        .col_expr(Column::UntilAt, Expr::value(now))
        .filter(Column::SeasonId.eq(season))
        .filter(Column::FromAt.lt(now))
        .filter(Column::UntilAt.is_null().or(Column::UntilAt.gt(now)))
        .exec(connection)
        .await?;
    Ok(())
}

/// The first thousand of the users with these ids who have made `steps` steps of a goal that is not complete.
pub(super) async fn reached(
    connection: &impl ConnectionTrait,
    goal: i64,
    (first, last): (i64, i64),
    steps: i32,
) -> Result<Vec<i64>> {
    use goal_progress::{Column, Entity};
    let reached = Entity::find()
        .filter(Column::GoalId.eq(goal))
        .filter(Column::UserId.between(first, last))
        .filter(Column::CompletedSteps.gte(steps))
        .filter(Column::CompletedAt.is_null())
        .order_by_asc(Column::UserId)
        .limit(1000);
    values(connection, reached, Column::UserId).await
}

/// Stores how far the users with these ids are with a goal that now takes this many steps.
pub(super) async fn complete(
    connection: &impl ConnectionTrait,
    goal: i64,
    (first, last): (i64, i64),
    steps: i32,
    now: Timestamp,
) -> Result<()> {
    use goal_progress::{Column, Entity};
    let reached = Column::CompletedSteps.eq(steps).and(Column::CompletedAt.is_null());
    // Steps beyond those that a goal asks for do not stay: they would count again if it asked for more one day.
    Entity::update_many()
        .col_expr(Column::CompletedSteps, Expr::value(steps))
        .col_expr(Column::CompletedAt, Func::coalesce([Expr::col(Column::CompletedAt), Expr::value(now)]).into())
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::GoalId.eq(goal))
        .filter(Column::UserId.between(first, last))
        .filter(Column::CompletedSteps.gt(steps).or(reached))
        .exec(connection)
        .await?;
    // The date stays that of the steps: exports that tell of more steps are compared by it.
    Entity::update_many()
        .col_expr(Column::CompletedAt, Expr::value(None::<i64>))
        .filter(Column::GoalId.eq(goal))
        .filter(Column::UserId.between(first, last))
        .filter(Column::CompletedSteps.lt(steps))
        .filter(Column::CompletedAt.is_not_null())
        .exec(connection)
        .await?;
    Ok(())
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

// Counts two things of a join at once.
static UNDER_WAY: Sql = Sql::new(
    "SELECT g.season_id, \
     count(CASE WHEN p.completed_steps > 0 AND p.completed_steps < g.total_steps THEN 1 END) AS under_way, \
     count(CASE WHEN p.completed_steps >= g.total_steps AND c.goal_id IS NULL THEN 1 END) AS unclaimed \
     FROM goals g JOIN goal_progress p ON p.goal_id = g.id \
     LEFT JOIN goal_claims c ON c.user_id = p.user_id AND c.goal_id = p.goal_id \
     WHERE g.season_id = ANY($1) GROUP BY g.season_id",
);

row!(Concerned { under_way, unclaimed, enrolled: _ });

row! { struct ConcernedBy { season_id: i64, concerned: Concerned = (Concerned) } }

/// How many users an edit of these seasons would concern.
pub(super) async fn concerned(connection: &impl ConnectionTrait, seasons: Vec<i64>) -> Result<HashMap<i64, Concerned>> {
    let mut all: HashMap<i64, Concerned> = HashMap::new();
    let taking_part = enrolment::Entity::find().filter(enrolment::Column::SeasonId.is_any(connection, seasons.clone()));
    for (season, enrolled) in counts(connection, taking_part, enrolment::Column::SeasonId).await? {
        all.entry(season).or_default().enrolled = enrolled;
    }
    let goals: Vec<ConcernedBy> = fetch(connection, &UNDER_WAY, [Param::Ints(seasons)]).await?;
    for ConcernedBy { season_id, concerned } in goals {
        let season = all.entry(season_id).or_default();
        *season = Concerned { enrolled: season.enrolled, ..concerned };
    }
    Ok(all)
}

/// Locks the budgets of these goals in the order in which claims lock them. SQLite has one writer and nothing to lock.
pub(super) async fn lock_budgets_of(connection: &impl ConnectionTrait, goals: Vec<i64>) -> Result<()> {
    use budget::{Column, Entity};
    if goals.is_empty() || connection.get_database_backend() != DbBackend::Postgres {
        return Ok(());
    }
    let of_goals = |column: goal::Column| {
        let goals = goal::Entity::find().filter(goal::Column::Id.is_any(connection, goals.clone()));
        goals.select_only().column(column).into_query()
    };
    let weeks = Column::Week.eq(0).or(Column::Week.in_subquery(of_goals(goal::Column::Week)));
    let budgets = Entity::find().filter(Column::SeasonId.in_subquery(of_goals(goal::Column::SeasonId))).filter(weeks);
    lock(budgets).all(connection).await?;
    Ok(())
}

// Finds the budgets by the goal in the same statement: they may be locked by nobody yet.
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
        "season_enrolments t JOIN seasons s ON s.id = t.season_id WHERE t.user_id = $1 ORDER BY \
         t.enrolled_at, s.id",
        &[("season", "s.key", As::Text), ("enrolledAt", "t.enrolled_at", As::Instant)],
    ),
    Records::new(
        "goals",
        "goal_progress t JOIN goals g ON g.id = t.goal_id WHERE t.user_id = $1 ORDER BY g.id",
        &[
            ("goal", "g.key", As::Text),
            ("completedSteps", "t.completed_steps", As::Number),
            ("completedAt", "t.completed_at", As::Instant),
            ("updatedAt", "t.updated_at", As::Instant),
        ],
    ),
    Records::new(
        "goalClaims",
        "goal_claims t JOIN goals g ON g.id = t.goal_id WHERE t.user_id = $1 ORDER BY g.id",
        &[
            ("goal", "g.key", As::Text),
            ("lot", "t.lot_seq", As::Number),
            ("rewardMicros", "t.reward_micros", As::Number),
            ("claimedAt", "t.claimed_at", As::Instant),
        ],
    ),
];
