//! SQL of resources, study plans, instances and resource progress.

use super::entity::{instance, instance_resource, plan, plan_resource, progress, resource};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, DbBackend, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _,
};
use std::collections::HashMap;
use waymark_db::owner::Merger;
use waymark_db::page::{List, Slice};
use waymark_db::records::{As, Records};
use waymark_db::{Extent, PairSql, Param, Row, Sql, bulk, execute, fetch};
use waymark_graphql_kit::batcher::grouped;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;

/// The resources that somebody described, in the order in which they were added.
pub(super) async fn resources(connection: &impl ConnectionTrait) -> Result<Vec<resource::Model>> {
    Ok(resource::Entity::find()
        .filter(resource::Column::Catalogued.eq(true))
        .order_by_asc(resource::Column::Id)
        .all(connection)
        .await?)
}

pub(super) async fn plans(connection: &impl ConnectionTrait) -> Result<Vec<plan::Model>> {
    Ok(plan::Entity::find().order_by_asc(plan::Column::Id).all(connection).await?)
}

pub(super) async fn plan_resources(connection: &impl ConnectionTrait) -> Result<HashMap<i64, Vec<i64>>> {
    let rows = plan_resource::Entity::find().order_by_asc(plan_resource::Column::Position).all(connection).await?;
    Ok(grouped(rows.into_iter().map(|row| (row.plan_id, row.resource_id))))
}

/// A user's progress with a resource, as it is stored. Its notes may be long, and are read where they are asked for.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    /// The internal id of the resource.
    pub resource_id: i64,
    /// Whether the user is done with it, independent of the percentage.
    pub completed: bool,
    /// How much of it is done, in percent, 0–100.
    pub percent: i16,
    /// The time spent on it, in minutes; 0 or more.
    pub time_spent_minutes: i32,
    /// When it was completed; `None`: it is not complete.
    pub completed_at: Option<Timestamp>,
    /// When the user's progress with it was last written, even if nothing changed.
    pub last_accessed_at: Timestamp,
    /// When the user's progress with it was first written.
    pub created_at: Timestamp,
    /// When the row last changed.
    pub updated_at: Timestamp,
    /// The resource's key, where it was asked for.
    pub resource_key: Option<String>,
}

fn read_progress(row: &mut Row) -> Result<(i64, Progress), DbErr> {
    let user = row.take()?;
    let progress = Progress {
        resource_id: row.take()?,
        completed: row.take()?,
        percent: row.take()?,
        time_spent_minutes: row.take()?,
        completed_at: row.take()?,
        last_accessed_at: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        resource_key: None,
    };
    Ok((user, progress))
}

fn read_keyed_progress(row: &mut Row) -> Result<(i64, Progress), DbErr> {
    let (user, progress) = read_progress(row)?;
    Ok((user, Progress { resource_key: Some(row.take()?), ..progress }))
}

const PROGRESS: &str = "t.user_id, t.resource_id, t.completed, t.progress, t.time_spent_minutes, \
    t.completed_at, t.last_accessed_at, t.created_at, t.updated_at";

const KEYED_PROGRESS: &str = "t.user_id, t.resource_id, t.completed, t.progress, t.time_spent_minutes, \
    t.completed_at, t.last_accessed_at, t.created_at, t.updated_at, \
    (SELECT r.key FROM resources r WHERE r.id = t.resource_id)";

static BY_RESOURCE: PairSql = PairSql::new(PROGRESS, "resource_progress", "resource_id");

static MAIN_BY_RESOURCE: PairSql = PairSql::new(
    "t.user_id, t.resource_id, t.completed, t.progress, t.completed_at",
    "resource_progress",
    "resource_id",
);

/// The progress of each user with these resources; resources never touched have none. The main part of it is how much
/// is done, and whether and when it was completed.
pub(super) async fn progress<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
    extent: Extent,
) -> Result<Vec<(i64, Progress)>> {
    match extent {
        Extent::Main => MAIN_BY_RESOURCE.fetch(connection, wanted, read_main_progress).await,
        Extent::All => BY_RESOURCE.fetch(connection, wanted, read_progress).await,
    }
}

fn read_main_progress(row: &mut Row) -> Result<(i64, Progress), DbErr> {
    let user = row.take()?;
    let progress = Progress {
        resource_id: row.take()?,
        completed: row.take()?,
        percent: row.take()?,
        completed_at: row.take()?,
        ..Progress::default()
    };
    Ok((user, progress))
}

static NOTED: PairSql = PairSql::new(
    "t.user_id, t.resource_id, t.completed, t.progress, t.time_spent_minutes, t.completed_at, t.last_accessed_at, \
     t.created_at, t.updated_at, t.notes",
    "resource_progress",
    "resource_id",
);

/// The progress of each user with these resources, and the notes on it.
pub(super) async fn noted_progress<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<(i64, (Progress, String))>> {
    let read = |row: &mut Row| {
        let (user, progress) = read_progress(row)?;
        Ok((user, (progress, row.take()?)))
    };
    NOTED.fetch(connection, wanted, read).await
}

static NOTES: PairSql = PairSql::new("t.user_id, t.resource_id, t.notes", "resource_progress", "resource_id");

/// The notes of each user on these resources.
pub(super) async fn notes<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<(i64, (i64, String))>> {
    NOTES.fetch(connection, wanted, |row| Ok((row.take()?, (row.take()?, row.take()?)))).await
}

static BY_EXTERNAL_ID: Sql = Sql::new(
    "SELECT t.user_id, t.resource_id, t.completed, t.progress, t.time_spent_minutes, \
     t.completed_at, t.last_accessed_at, t.created_at, t.updated_at, r.external_id \
     FROM resources r JOIN resource_progress t ON t.resource_id = r.id \
     WHERE r.external_id = ANY($2) AND t.user_id = ANY($1)",
);

/// The progress of each user with resources by their 24-digit ids, also those that nobody described.
pub(super) async fn progress_by_external_id(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    external_ids: Vec<String>,
) -> Result<Vec<(i64, Progress)>> {
    fetch(connection, &BY_EXTERNAL_ID, [Param::Ints(users), Param::Texts(external_ids)], read_keyed_progress).await
}

/// A user's progress with a resource, with the 24-digit ids of all that it is about.
#[derive(Debug, Clone)]
pub struct Record {
    /// The 24-digit id of the user's progress with the resource.
    pub id: String,
    /// The 24-digit id of the user.
    pub user_id: String,
    /// The 24-digit id of the resource.
    pub resource_id: String,
    /// The user's own notes; empty: none.
    pub notes: String,
    /// How far the user is with the resource.
    pub progress: Progress,
}

static ROWS: Sql = Sql::new(
    "SELECT t.user_id, t.resource_id, t.completed, t.progress, t.time_spent_minutes, \
     t.completed_at, t.last_accessed_at, t.created_at, t.updated_at, t.notes, t.external_id, u.external_id, r.external_id \
     FROM resource_progress t JOIN users u ON u.id = t.user_id JOIN resources r ON r.id = t.resource_id \
     WHERE t.user_id = $1 AND (t.created_at, t.resource_id) > ($2, $3) ORDER BY t.created_at, t.resource_id LIMIT $4",
);

/// How many rows of a user's progress are read at a time. A row may have notes of 40 KB.
const ROWS_AT_A_TIME: i64 = 256;

static ROWS_OF_RESOURCES: Sql = Sql::new(
    "SELECT t.user_id, t.resource_id, t.completed, t.progress, t.time_spent_minutes, \
     t.completed_at, t.last_accessed_at, t.created_at, t.updated_at, t.notes, t.external_id, u.external_id, r.external_id \
     FROM resources r JOIN resource_progress t ON t.resource_id = r.id JOIN users u ON u.id = t.user_id \
     WHERE t.user_id = ANY($1) AND r.external_id = ANY($2)",
);

/// A part of a user's progress, the oldest first, behind the row that was created then with that resource; and whether
/// there may be more.
pub(super) async fn records(
    connection: &impl ConnectionTrait,
    user: i64,
    (created_at, resource): (i64, i64),
) -> Result<(Vec<Record>, bool)> {
    let params = [user, created_at, resource, ROWS_AT_A_TIME].map(Param::Int);
    let rows = fetch(connection, &ROWS, params, |row| Ok(read_record(row)?.1)).await?;
    let more = i64::try_from(rows.len()).is_ok_and(|rows| rows == ROWS_AT_A_TIME);
    Ok((rows, more))
}

/// The progress of these users with the resources of these 24-digit ids, each with its user.
pub(super) async fn records_of_resources(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    resources: Vec<String>,
) -> Result<Vec<(i64, Record)>> {
    let params = [Param::Ints(users), Param::Texts(resources)];
    fetch(connection, &ROWS_OF_RESOURCES, params, read_record).await
}

fn read_record(row: &mut Row) -> Result<(i64, Record), DbErr> {
    let (user, progress) = read_progress(row)?;
    let notes = row.take()?;
    Ok((user, Record { id: row.take()?, user_id: row.take()?, resource_id: row.take()?, notes, progress }))
}

static OWNERS: Sql = Sql::new("SELECT external_id, user_id FROM study_plan_instances WHERE external_id = ANY($1)");

/// Whose these instances are, by their 24-digit ids.
pub(super) async fn instance_owners(
    connection: &impl ConnectionTrait,
    external_ids: Vec<String>,
) -> Result<Vec<(String, i64)>> {
    fetch(connection, &OWNERS, [Param::Texts(external_ids)], |row| Ok((row.take()?, row.take()?))).await
}

const fn list(completed: Option<bool>) -> List {
    List {
        columns: KEYED_PROGRESS,
        table: "resource_progress t",
        condition: match completed {
            None => "true",
            Some(true) => "t.completed",
            Some(false) => "NOT t.completed",
        },
        sort: "last_accessed_at",
        tie: "resource_id",
        descending: true,
    }
}

/// One page of the resources each user has touched, the one touched last first.
pub(super) async fn page(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    completed: Option<bool>,
    slice: Slice,
) -> Result<Vec<(i64, Progress)>> {
    list(completed).fetch(connection, users, None, slice, read_keyed_progress).await
}

/// How many resources each user has touched.
pub(super) async fn count(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    completed: Option<bool>,
) -> Result<Vec<(i64, i64)>> {
    list(completed).count(connection, users, None).await
}

/// An instance of a study plan, as it is stored.
#[derive(Debug, Clone)]
pub struct Instance {
    /// The number of the instance among those of the user; never used again.
    pub seq: i64,
    /// The 24-digit id of the instance.
    pub external_id: String,
    /// The internal id of the study plan it was made from.
    pub plan_id: i64,
    /// The title for people: the plan's, unless the user gave another.
    pub title: String,
    /// When the user began the instance.
    pub created_at: Timestamp,
    /// When its title, its resources or its marks last changed.
    pub updated_at: Timestamp,
    /// Its place among the user's instances, the first being 1, and how many there are; 0 where that was not asked for.
    pub place: i64,
    /// How many instances the user has; 0 where that was not asked for.
    pub many: i64,
    /// In the plan's order when the instance was made.
    pub items: Vec<Item>,
}

/// A resource of an instance, with the user's progress.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// The internal id of the resource.
    pub resource_id: i64,
    /// When it was completed through this instance; `None`: it was not.
    pub marked_at: Option<Timestamp>,
    /// Whether the user has completed it, through this instance or not.
    pub completed: bool,
    /// When the user completed it; `None`: it is not complete.
    pub completed_at: Option<Timestamp>,
}

/// Some of the instances of a user, by their places in the list of all: the first has place 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Places {
    /// Only those behind this place.
    pub behind: i64,
    /// Only those before this place.
    pub before: i64,
    /// How many at most.
    pub most: i64,
    /// Whether to take them from the end.
    pub from_end: bool,
}

impl Places {
    /// More than anybody has.
    const END: i64 = 1_000_000_000;

    /// All of them.
    pub const ALL: Self = Self { behind: 0, before: Self::END, most: Self::END, from_end: false };

    /// So many, behind so many others.
    pub fn first(skip: u32, first: u32) -> Self {
        Self { behind: skip.into(), most: first.into(), ..Self::ALL }
    }

    /// The part of the list that a slice by places means, of which the first is 0 and stands there negative.
    pub fn of(slice: Slice) -> Self {
        let place = |(sort, _): (i64, i64)| sort.saturating_neg().clamp(-1, Self::END - 1) + 1;
        Self {
            behind: slice.after.map_or(0, place),
            before: slice.before.map_or(Self::END, place),
            most: slice.limit.into(),
            from_end: slice.from_end,
        }
    }
}

/// Which instances of users are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Which {
    In(Places),
    /// Of these ids of 24 digits.
    ExternalIds(Vec<String>),
    /// Of these numbers.
    Numbers(Vec<i64>),
}

// An instance is one row, with its resources as JSON: a user may have a thousand instances with a long title each, which
// would come along with each of their resources.
macro_rules! instances {
    ($of:literal) => {
        [
            instances!($of, "json_agg(json_build_array("),
            // The bundled SQLite knows the same under other names.
            instances!($of, "json_group_array(json_array("),
        ]
    };
    ($of:literal, $items:literal) => {
        Sql::new(concat!(
            "SELECT i.user_id, i.seq, i.external_id, i.plan_id, i.title, i.created_at, i.updated_at, i.place, i.many, \
             CAST(COALESCE((SELECT ",
            $items,
            "r.resource_id, r.marked_at, CAST(p.completed AS integer), p.completed_at) ORDER BY r.position) \
             FROM study_plan_instance_resources r \
             LEFT JOIN resource_progress p ON p.user_id = r.user_id AND p.resource_id = r.resource_id \
             WHERE r.user_id = i.user_id AND r.instance_seq = i.seq), '[]') AS text) FROM (",
            $of,
            ") i ORDER BY i.user_id, i.seq"
        ))
    };
}

static FROM_START: [Sql; 2] = instances!(
    "SELECT n.* FROM (SELECT t.*, row_number() OVER (PARTITION BY t.user_id ORDER BY t.seq) AS place, \
     count(*) OVER (PARTITION BY t.user_id) AS many FROM study_plan_instances t WHERE t.user_id = ANY($1)) n \
     WHERE n.place > $2 AND n.place < $3 AND n.place - $2 <= $4"
);
static FROM_END: [Sql; 2] = instances!(
    "SELECT n.* FROM (SELECT t.*, row_number() OVER (PARTITION BY t.user_id ORDER BY t.seq) AS place, \
     count(*) OVER (PARTITION BY t.user_id) AS many FROM study_plan_instances t WHERE t.user_id = ANY($1)) n \
     WHERE n.place > $2 AND n.place < $3 AND CASE WHEN n.many < $3 THEN n.many ELSE $3 - 1 END - n.place < $4"
);
static BY_ID: [Sql; 2] = instances!(
    "SELECT t.*, CAST(0 AS bigint) AS place, CAST(0 AS bigint) AS many FROM study_plan_instances t \
     WHERE t.user_id = ANY($1) AND t.external_id = ANY($2)"
);
static BY_NUMBER: [Sql; 2] = instances!(
    "SELECT t.*, CAST(0 AS bigint) AS place, CAST(0 AS bigint) AS many FROM study_plan_instances t \
     WHERE t.user_id = ANY($1) AND t.seq = ANY($2)"
);

/// Instances of these users, each with its user, in the order in which they were made.
pub(super) async fn instances(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    which: Which,
) -> Result<Vec<(i64, Instance)>> {
    let users = Param::Ints(users);
    let (sql, params) = match which {
        Which::In(Places { behind, before, most, from_end }) => {
            let sql = if from_end { &FROM_END } else { &FROM_START };
            (sql, vec![users, Param::Int(behind), Param::Int(before), Param::Int(most)])
        }
        Which::ExternalIds(ids) => (&BY_ID, vec![users, Param::Texts(ids)]),
        Which::Numbers(numbers) => (&BY_NUMBER, vec![users, Param::Ints(numbers)]),
    };
    let [postgres, sqlite] = sql;
    let sql = if connection.get_database_backend() == DbBackend::Sqlite { sqlite } else { postgres };
    fetch(connection, sql, params, read_instance).await
}

/// Of a resource of an instance: its key, when it was marked, whether it is completed (1 if it is), and when that was.
type ItemRow = (i64, Option<i64>, Option<i64>, Option<i64>);

fn read_instance(row: &mut Row) -> Result<(i64, Instance), DbErr> {
    let user = row.take()?;
    let mut instance = Instance {
        seq: row.take()?,
        external_id: row.take()?,
        plan_id: row.take()?,
        title: row.take()?,
        created_at: row.take()?,
        updated_at: row.take()?,
        place: row.take()?,
        many: row.take()?,
        items: Vec::new(),
    };
    let items: String = row.take()?;
    let items: Vec<ItemRow> = serde_json::from_str(&items).map_err(|error| DbErr::Json(error.to_string()))?;
    let item = |(resource_id, marked_at, completed, completed_at): ItemRow| Item {
        resource_id,
        marked_at: marked_at.map(Timestamp::from_millis),
        completed: completed == Some(1),
        completed_at: completed_at.map(Timestamp::from_millis),
    };
    instance.items = items.into_iter().map(item).collect();
    Ok((user, instance))
}

static INSTANCE_COUNT: Sql =
    Sql::new("SELECT user_id, count(*) FROM study_plan_instances WHERE user_id = ANY($1) GROUP BY user_id");

/// How many instances these users have, each with its user; users without any are absent.
pub(super) async fn instance_count(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, i64)>> {
    fetch(connection, &INSTANCE_COUNT, [Param::Ints(users)], |row| Ok((row.take()?, row.take()?))).await
}

static BY_24_DIGITS: Sql = Sql::new("SELECT external_id, id FROM resources WHERE external_id = ANY($1)");
static ADD_ON_POSTGRES: Sql = Sql::new(
    "INSERT INTO resources (key, external_id, title, catalogued, created_at, updated_at) \
     SELECT k.id, k.id, '', false, $2, $2 FROM unnest($1::text[]) AS k(id) ON CONFLICT DO NOTHING",
);
// Without a condition the parser would take ON for a part of a join.
static ADD_ON_SQLITE: Sql = Sql::new(
    "INSERT INTO resources (key, external_id, title, catalogued, created_at, updated_at) \
     SELECT value, value, '', false, $2, $2 FROM json_each($1) WHERE true ON CONFLICT DO NOTHING",
);

/// The surrogate keys of resources by their 24-digit ids, in lower case. Resources that nobody described get a row, in
/// the order of their ids, so that writes that add the same ones do not wait for each other in a circle.
pub(super) async fn known_or_added(
    connection: &impl ConnectionTrait,
    mut external_ids: Vec<String>,
    now: Timestamp,
) -> Result<HashMap<String, i64>> {
    if external_ids.is_empty() {
        return Ok(HashMap::new());
    }
    external_ids.sort_unstable();
    external_ids.dedup();
    let known = by_24_digits(connection, &external_ids).await?;
    let missing: Vec<String> = external_ids.iter().filter(|id| !known.contains_key(*id)).cloned().collect();
    if missing.is_empty() {
        return Ok(known);
    }
    let postgres = connection.get_database_backend() == DbBackend::Postgres;
    let add = if postgres { &ADD_ON_POSTGRES } else { &ADD_ON_SQLITE };
    execute(connection, add, [Param::Texts(missing), Param::Int(now.millis())]).await?;
    by_24_digits(connection, &external_ids).await
}

async fn by_24_digits(connection: &impl ConnectionTrait, external_ids: &[String]) -> Result<HashMap<String, i64>> {
    let ids = Param::Texts(external_ids.to_vec());
    let rows = fetch(connection, &BY_24_DIGITS, [ids], |row| Ok((row.take()?, row.take()?))).await?;
    Ok(rows.into_iter().collect())
}

/// Stores progress, each with its user, the id that its row gets when it is a new one, and its notes.
pub(super) async fn store_progress(
    connection: &impl ConnectionTrait,
    rows: impl IntoIterator<Item = (i64, String, Progress, String)>,
) -> Result<()> {
    use progress::Column;
    let rows: Vec<progress::Model> = rows
        .into_iter()
        .map(|(user_id, external_id, row, notes)| progress::Model {
            user_id,
            resource_id: row.resource_id,
            external_id,
            completed: row.completed,
            progress: row.percent,
            time_spent_minutes: row.time_spent_minutes,
            notes,
            completed_at: row.completed_at,
            last_accessed_at: row.last_accessed_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
        .collect();
    let columns = [
        Column::Completed,
        Column::Progress,
        Column::TimeSpentMinutes,
        Column::Notes,
        Column::CompletedAt,
        Column::LastAccessedAt,
        Column::UpdatedAt,
    ];
    bulk::upsert(connection, &rows, &columns).await
}

static NUMBERS: Sql = Sql::new(
    "SELECT user_id, external_id, seq FROM study_plan_instances WHERE user_id = ANY($1) AND external_id = ANY($2)",
);

/// The numbers of the instances with these ids, by the user and the id. More may be found than pairs were wanted.
pub(super) async fn instance_numbers(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    external_ids: Vec<String>,
) -> Result<HashMap<(i64, String), i64>> {
    let rows = fetch(connection, &NUMBERS, [Param::Ints(users), Param::Texts(external_ids)], |row| {
        Ok(((row.take()?, row.take()?), row.take()?))
    });
    Ok(rows.await?.into_iter().collect())
}

/// A resource's place in an instance of a user.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) user: i64,
    pub(super) instance: i64,
    pub(super) position: i32,
    pub(super) resource_id: i64,
    pub(super) marked_at: Option<Timestamp>,
}

static PLACES: Sql = Sql::new(
    "SELECT user_id, instance_seq, position, resource_id, marked_at FROM study_plan_instance_resources \
     WHERE user_id = ANY($1) AND resource_id = ANY($2)",
);

/// Where these resources stand in the instances of these users.
pub(super) async fn places(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    resources: Vec<i64>,
) -> Result<Vec<Place>> {
    fetch(connection, &PLACES, [Param::Ints(users), Param::Ints(resources)], |row| {
        Ok(Place {
            user: row.take()?,
            instance: row.take()?,
            position: row.take()?,
            resource_id: row.take()?,
            marked_at: row.take()?,
        })
    })
    .await
}

static TOUCH_ON_POSTGRES: Sql = Sql::new(
    "UPDATE study_plan_instances SET updated_at = $3 FROM unnest($1::bigint[], $2::bigint[]) AS k(u, s) \
     WHERE user_id = k.u AND seq = k.s",
);
static TOUCH_ON_SQLITE: Sql = Sql::new(
    "UPDATE study_plan_instances SET updated_at = $2 WHERE (user_id, seq) IN \
     (SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each($1))",
);

/// Stores the marks of these places; their instances change at `now`.
pub(super) async fn store_marks(connection: &impl ConnectionTrait, places: &[Place], now: Timestamp) -> Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    let rows: Vec<instance_resource::Model> = places.iter().map(in_instance).collect();
    bulk::upsert(connection, &rows, &[instance_resource::Column::MarkedAt]).await?;
    let mut instances: Vec<(i64, i64)> = places.iter().map(|place| (place.user, place.instance)).collect();
    instances.sort_unstable();
    instances.dedup();
    let now = Param::Int(now.millis());
    if connection.get_database_backend() == DbBackend::Postgres {
        let (users, numbers) = instances.into_iter().unzip();
        execute(connection, &TOUCH_ON_POSTGRES, [Param::Ints(users), Param::Ints(numbers), now]).await?;
    } else {
        execute(connection, &TOUCH_ON_SQLITE, [Param::Pairs(instances), now]).await?;
    }
    Ok(())
}

fn in_instance(place: &Place) -> instance_resource::Model {
    instance_resource::Model {
        user_id: place.user,
        instance_seq: place.instance,
        position: place.position,
        resource_id: place.resource_id,
        marked_at: place.marked_at,
    }
}

static LAST_INSTANCE: Sql =
    Sql::new("SELECT COALESCE(MAX(seq), 0), count(*) FROM study_plan_instances WHERE user_id = $1");

/// The greatest number of an instance of this user, 0 when there is none, and how many there are.
pub(super) async fn last_instance(connection: &impl ConnectionTrait, user: i64) -> Result<(i64, i64)> {
    let numbers = fetch(connection, &LAST_INSTANCE, [Param::Int(user)], |row| Ok((row.take()?, row.take()?))).await?;
    Ok(numbers.first().copied().unwrap_or_default())
}

static ELSEWHERE: Sql = Sql::new(
    "SELECT p.user_id, count(*) FROM resource_progress p JOIN resources r ON r.id = p.resource_id \
     WHERE p.user_id = ANY($1) AND NOT r.catalogued GROUP BY p.user_id",
);

/// With how many resources that nobody described these users have progress.
pub(super) async fn elsewhere(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<HashMap<i64, i64>> {
    let found = fetch(connection, &ELSEWHERE, [Param::Ints(users)], |row| Ok((row.take()?, row.take()?))).await?;
    Ok(found.into_iter().collect())
}

/// Adds an instance with its resources.
pub(super) async fn add_instance(connection: &impl ConnectionTrait, user: i64, new: Instance) -> Result<()> {
    let seq = new.seq;
    let row = instance::Model {
        user_id: user,
        seq,
        external_id: new.external_id,
        plan_id: new.plan_id,
        title: new.title,
        created_at: new.created_at,
        updated_at: new.updated_at,
    };
    bulk::insert(connection, &[row]).await?;
    add_places(connection, user, seq, &new.items).await
}

async fn add_places(connection: &impl ConnectionTrait, user: i64, instance: i64, items: &[Item]) -> Result<()> {
    let rows: Vec<instance_resource::Model> = items
        .iter()
        .zip(1..)
        .map(|(item, position)| {
            let Item { resource_id, marked_at, .. } = *item;
            in_instance(&Place { user, instance, position, resource_id, marked_at })
        })
        .collect();
    bulk::insert(connection, &rows).await
}

static RENAME: Sql =
    Sql::new("UPDATE study_plan_instances SET title = $3, updated_at = $4 WHERE user_id = $1 AND seq = $2");

/// Sets the title of an instance, which changes at `now`.
pub(super) async fn rename_instance(
    connection: &impl ConnectionTrait,
    user: i64,
    instance: i64,
    title: String,
    now: Timestamp,
) -> Result<()> {
    let params = [Param::Int(user), Param::Int(instance), Param::Text(title), Param::Int(now.millis())];
    execute(connection, &RENAME, params).await.map(drop)
}

static REMOVE_PLACES: Sql =
    Sql::new("DELETE FROM study_plan_instance_resources WHERE user_id = $1 AND instance_seq = $2");
static REMOVE_INSTANCE: Sql = Sql::new("DELETE FROM study_plan_instances WHERE user_id = $1 AND seq = $2");

/// Puts these resources, in this order, in the place of those of an instance.
pub(super) async fn replace_places(
    connection: &impl ConnectionTrait,
    user: i64,
    instance: i64,
    items: &[Item],
) -> Result<()> {
    execute(connection, &REMOVE_PLACES, [Param::Int(user), Param::Int(instance)]).await?;
    add_places(connection, user, instance, items).await
}

/// Removes an instance with its resources.
pub(super) async fn remove_instance(connection: &impl ConnectionTrait, user: i64, instance: i64) -> Result<()> {
    for statement in [&REMOVE_PLACES, &REMOVE_INSTANCE] {
        execute(connection, statement, [Param::Int(user), Param::Int(instance)]).await?;
    }
    Ok(())
}

static MOVE_INSTANCE_RESOURCES: Sql = Sql::new(
    "UPDATE study_plan_instance_resources SET user_id = $2, instance_seq = instance_seq + \
     (SELECT coalesce(max(i.seq), 0) FROM study_plan_instances i WHERE i.user_id = $2) WHERE user_id = $1",
);
static MOVE_INSTANCES: Sql = Sql::new(
    "UPDATE study_plan_instances SET user_id = $2, seq = seq + \
     (SELECT coalesce(max(i.seq), 0) FROM study_plan_instances i WHERE i.user_id = $2) WHERE user_id = $1",
);

/// Hands instances over to another user, numbered behind those that are there.
pub(super) async fn hand_over_instances(connection: &impl ConnectionTrait, merger: Merger) -> Result<()> {
    // The resources first: they are numbered by the instances that are there.
    for sql in [&MOVE_INSTANCE_RESOURCES, &MOVE_INSTANCES] {
        execute(connection, sql, [Param::Int(merger.from), Param::Int(merger.into)]).await?;
    }
    Ok(())
}

static FORGET_NOTES: Sql = Sql::new("UPDATE resource_progress SET notes = '' WHERE user_id = $1 AND notes <> ''");
static FORGET_TITLES: Sql = Sql::new("UPDATE study_plan_instances SET title = '' WHERE user_id = $1");

/// Takes away what a user wrote.
pub(super) async fn forget(connection: &impl ConnectionTrait, user: i64) -> Result<()> {
    for sql in [&FORGET_NOTES, &FORGET_TITLES] {
        execute(connection, sql, [Param::Int(user)]).await?;
    }
    Ok(())
}

/// Everything that is stored about a user's learning.
pub static RECORDS: [Records; 3] = [
    Records::new(
        "resources",
        "SELECT r.key, t.external_id, t.completed, CAST(t.progress AS bigint), CAST(t.time_spent_minutes AS \
         bigint), t.notes, t.completed_at, t.last_accessed_at, t.created_at, t.updated_at FROM \
         resource_progress t JOIN resources r ON r.id = t.resource_id WHERE t.user_id = $1 ORDER BY r.id",
        &[
            ("resource", As::Text),
            ("externalId", As::Text),
            ("completed", As::Truth),
            ("progress", As::Number),
            ("timeSpentMinutes", As::Number),
            ("notes", As::Text),
            ("completedAt", As::Instant),
            ("lastAccessedAt", As::Instant),
            ("createdAt", As::Instant),
            ("updatedAt", As::Instant),
        ],
    ),
    Records::new(
        "studyPlanInstances",
        "SELECT t.seq, t.external_id, p.key, t.title, t.created_at, t.updated_at FROM study_plan_instances \
         t JOIN study_plans p ON p.id = t.plan_id WHERE t.user_id = $1 ORDER BY t.seq",
        &[
            ("number", As::Number),
            ("externalId", As::Text),
            ("studyPlan", As::Text),
            ("title", As::Text),
            ("createdAt", As::Instant),
            ("updatedAt", As::Instant),
        ],
    ),
    Records::new(
        "studyPlanInstanceResources",
        "SELECT t.instance_seq, CAST(t.position AS bigint), r.key, t.marked_at FROM \
         study_plan_instance_resources t JOIN resources r ON r.id = t.resource_id WHERE t.user_id = $1 \
         ORDER BY t.instance_seq, t.position",
        &[("instance", As::Number), ("position", As::Number), ("resource", As::Text), ("markedAt", As::Instant)],
    ),
];
