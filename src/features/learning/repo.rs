//! SQL of resources, study plans, instances and resource progress.

use super::entity::{instance, instance_owner, instance_resource, plan, plan_resource, progress, resource};
use sea_orm::sea_query::{Expr, ExprTrait as _};
use sea_orm::{
    ColumnTrait as _, ConnectionTrait, EntityTrait as _, QueryFilter as _, QueryOrder as _, QuerySelect as _, Select,
};
use std::collections::HashMap;
use waymark_db::bulk::Stores;
use waymark_db::owner::Merger;
use waymark_db::page::{List, Slice};
use waymark_db::records::{As, Records};
use waymark_db::{ColumnIsAny as _, Extent, Param, Sql, bulk, counts, fetch, pair_is_any, pairs, row, select, values};
use waymark_graphql_kit::batcher::grouped;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};

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

row!(Progress {
    resource_id, completed, percent: "progress", completed_at, resource_key: _;
    time_spent_minutes, last_accessed_at, created_at, updated_at
});

row! {
    /// Progress with what names its resource.
    struct Keyed {
        progress: Progress = (Progress),
        key: String = "(SELECT r.key FROM resources r WHERE r.id = t.resource_id) AS resource_key",
    }
}

impl From<Keyed> for Progress {
    fn from(Keyed { progress, key }: Keyed) -> Self {
        Self { resource_key: Some(key), ..progress }
    }
}

/// The progress of each user with these resources; resources never touched have none. The main part of it is how much
/// is done, and whether and when it was completed.
pub(super) async fn progress<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
    extent: Extent,
) -> Result<Vec<(i64, Progress)>> {
    pairs(connection, progress::Column::ResourceId, wanted, extent).await
}

row! {
    /// Progress and the notes on it.
    pub(super) struct Noted { pub(super) progress: Progress = (Progress), pub(super) notes: String }
}

/// The progress of each user with these resources, and the notes on it.
pub(super) async fn noted_progress<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<(i64, Noted)>> {
    pairs(connection, progress::Column::ResourceId, wanted, Extent::All).await
}

row! {
    /// The notes on a resource.
    pub(super) struct Notes { pub(super) resource_id: i64, pub(super) notes: String }
}

/// The notes of each user on these resources.
pub(super) async fn notes<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<(i64, Notes)>> {
    pairs(connection, progress::Column::ResourceId, wanted, Extent::All).await
}

/// The progress of users with resources, as far as both are meant.
fn progress_with(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    external_ids: Vec<String>,
) -> Select<progress::Entity> {
    progress::Entity::find()
        .inner_join(resource::Entity)
        .filter(progress::Column::UserId.is_any(connection, users))
        .filter(resource::Column::ExternalId.is_any(connection, external_ids))
}

row! {
    /// Progress with the 24-digit id of its resource.
    struct Numbered { progress: Progress = (Progress), id: String = "resources.external_id AS resource_external_id" }
}

/// The progress of each user with resources by their 24-digit ids, also those that nobody described.
pub(super) async fn progress_by_external_id(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    external_ids: Vec<String>,
) -> Result<Vec<(i64, Progress)>> {
    let found = select(connection, progress_with(connection, users, external_ids)).await?;
    let key = |(user, Numbered { progress, id })| (user, Progress { resource_key: Some(id), ..progress });
    Ok(found.into_iter().map(key).collect())
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

row!(Record {
    progress: (Progress),
    notes,
    id: "external_id",
    user_id: "(SELECT u.external_id FROM users u WHERE u.id = resource_progress.user_id) AS user_external_id",
    resource_id: "resources.external_id AS resource_external_id"
});

/// How many rows of a user's progress are read at a time. A row may have notes of 40 KB.
const ROWS_AT_A_TIME: u32 = 256;

/// A part of a user's progress, the oldest first, behind the row that was created then with that resource; and whether
/// there may be more.
pub(super) async fn records(
    connection: &impl ConnectionTrait,
    user: i64,
    (created_at, resource): (i64, i64),
) -> Result<(Vec<Record>, bool)> {
    use progress::{Column, Entity};
    let order = [Column::CreatedAt, Column::ResourceId];
    let behind = [created_at, resource].map(Expr::value);
    let rows = Entity::find()
        .inner_join(resource::Entity)
        .filter(Column::UserId.eq(user))
        .filter(Expr::tuple(order.map(|column| column.into_expr())).gt(Expr::tuple(behind)))
        .order_by_asc(Column::CreatedAt)
        .order_by_asc(Column::ResourceId)
        .limit(u64::from(ROWS_AT_A_TIME));
    let rows: Vec<Record> = select(connection, rows).await?;
    let more = rows.len() == ROWS_AT_A_TIME as usize;
    Ok((rows, more))
}

/// The progress of these users with the resources of these 24-digit ids, each with its user.
pub(super) async fn records_of_resources(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    resources: Vec<String>,
) -> Result<Vec<(i64, Record)>> {
    select(connection, progress_with(connection, users, resources)).await
}

row! {
    /// Whose an instance is.
    #[derive(Debug)]
    struct OwnerOf { external_id: String, user_id: i64 }
}

/// Whose these instances are, by their 24-digit ids.
pub(super) async fn instance_owners(
    connection: &impl ConnectionTrait,
    external_ids: Vec<String>,
) -> Result<Vec<(String, i64)>> {
    use instance_owner::{Column, Entity};
    let owners = select(connection, Entity::find().filter(Column::ExternalId.is_any(connection, external_ids))).await?;
    Ok(owners.into_iter().map(|OwnerOf { external_id, user_id }| (external_id, user_id)).collect())
}

const fn list(completed: Option<bool>) -> List {
    List {
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
    let rows = list(completed).fetch(connection, users, None, slice, Extent::All).await?;
    Ok(rows.into_iter().map(|(user, row): (i64, Keyed)| (user, row.into())).collect())
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

/// The hand-written statements of this file.
pub static STATEMENTS: [&Sql; 3] = [&AT_PLACES, &BY_ID, &BY_NUMBER];

// An instance is one row, with its resources as JSON: a user may have a thousand instances with a long title each,
// which would come along with each of their resources. The builder has no JSON of ordered rows.
macro_rules! instances {
    ($of:literal) => {
        Sql::new(instances!($of, "json_agg(json_build_array("))
            // The bundled SQLite knows the same under other names, and has no arrays.
            .on_sqlite(instances!($of, "json_group_array(json_array("))
    };
    ($of:literal, $items:literal) => {
        concat!(
            "SELECT i.user_id, i.seq, i.external_id, i.plan_id, i.title, i.created_at, i.updated_at, i.place, i.many, \
             CAST(COALESCE((SELECT ",
            $items,
            "r.resource_id, r.marked_at, CAST(p.completed AS integer), p.completed_at) ORDER BY r.position) \
             FROM study_plan_instance_resources r \
             LEFT JOIN resource_progress p ON p.user_id = r.user_id AND p.resource_id = r.resource_id \
             WHERE r.user_id = i.user_id AND r.instance_seq = i.seq), '[]') AS text) AS items FROM (",
            $of,
            ") i ORDER BY i.user_id, i.seq"
        )
    };
}

// Behind $2 and before $3, $4 of them at the most: the first ones, or the last ones if $5 is not 0.
// They are numbered before the rest of their rows is read: there may be a thousand with long titles.
static AT_PLACES: Sql = instances!(
    "SELECT t.*, n.place, n.many FROM (SELECT o.user_id, o.seq, \
     row_number() OVER (PARTITION BY o.user_id ORDER BY o.seq) AS place, \
     count(*) OVER (PARTITION BY o.user_id) AS many FROM study_plan_instances o WHERE o.user_id = ANY($1)) n \
     JOIN study_plan_instances t ON t.user_id = n.user_id AND t.seq = n.seq \
     WHERE n.place > $2 AND n.place < $3 AND CASE WHEN $5 = 0 THEN n.place - $2 - 1 \
     WHEN n.many < $3 THEN n.many - n.place ELSE $3 - 1 - n.place END < $4"
);
static BY_ID: Sql = instances!(
    "SELECT t.*, CAST(0 AS bigint) AS place, CAST(0 AS bigint) AS many FROM study_plan_instances t \
     WHERE t.user_id = ANY($1) AND t.external_id = ANY($2)"
);
static BY_NUMBER: Sql = instances!(
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
            let [behind, before, most, from_end] = [behind, before, most, from_end.into()].map(Param::Int);
            (&AT_PLACES, vec![users, behind, before, most, from_end])
        }
        Which::ExternalIds(ids) => (&BY_ID, vec![users, Param::Texts(ids)]),
        Which::Numbers(numbers) => (&BY_NUMBER, vec![users, Param::Ints(numbers)]),
    };
    let found: Vec<(i64, StoredInstance)> = fetch(connection, sql, params).await?;
    found.into_iter().map(|(user, stored)| Ok((user, stored.read()?))).collect()
}

row!(Instance { seq, external_id, plan_id, title, created_at, updated_at, place, many, items: _ });

row! {
    /// An instance whose resources are JSON.
    struct StoredInstance { instance: Instance = (Instance), items: String }
}

/// Of a resource of an instance: its key, when it was marked, whether it is completed (1 if it is), and when that was.
type ItemRow = (i64, Option<i64>, Option<i64>, Option<i64>);

impl StoredInstance {
    fn read(self) -> Result<Instance> {
        let items: Vec<ItemRow> = serde_json::from_str(&self.items).map_err(Error::internal)?;
        let item = |(resource_id, marked_at, completed, completed_at): ItemRow| Item {
            resource_id,
            marked_at: marked_at.map(Timestamp::from_millis),
            completed: completed == Some(1),
            completed_at: completed_at.map(Timestamp::from_millis),
        };
        Ok(Instance { items: items.into_iter().map(item).collect(), ..self.instance })
    }
}

/// How many instances these users have, each with its user; users without any are absent.
pub(super) async fn instance_count(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, i64)>> {
    use instance::{Column, Entity};
    counts(connection, Entity::find().filter(Column::UserId.is_any(connection, users)), Column::UserId).await
}

/// What resources are, unless somebody says otherwise.
pub(super) const COURSE: &str = "course";

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
    let new = missing.into_iter().map(|id| resource::Model {
        id: 0,
        key: id.clone(),
        external_id: id,
        title: String::new(),
        kind: COURSE.to_owned(),
        section: None,
        url: None,
        description: String::new(),
        estimated_minutes: None,
        catalogued: false,
        created_at: now,
        updated_at: now,
        retired_at: None,
    });
    bulk::add_new(connection, &new.collect::<Vec<_>>()).await?;
    by_24_digits(connection, &external_ids).await
}

row! {
    /// The ids of a resource.
    struct ResourceIds { id: i64, external_id: String }
}

async fn by_24_digits(connection: &impl ConnectionTrait, external_ids: &[String]) -> Result<HashMap<String, i64>> {
    let found = resource::Entity::find().filter(resource::Column::ExternalId.is_any(connection, external_ids.to_vec()));
    let found = select(connection, found).await?;
    Ok(found.into_iter().map(|ResourceIds { id, external_id }| (external_id, id)).collect())
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

row! {
    /// The number of an instance.
    struct NumberOf { user_id: i64, external_id: String, seq: i64 }
}

/// The numbers of the instances with these ids, by the user and the id. More may be found than pairs were wanted.
pub(super) async fn instance_numbers(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    external_ids: Vec<String>,
) -> Result<HashMap<(i64, String), i64>> {
    use instance::{Column, Entity};
    let found = Entity::find()
        .filter(Column::UserId.is_any(connection, users))
        .filter(Column::ExternalId.is_any(connection, external_ids));
    let found = select(connection, found).await?;
    Ok(found.into_iter().map(|row: NumberOf| ((row.user_id, row.external_id), row.seq)).collect())
}

/// A resource's place in an instance of a user.
pub(super) type Place = instance_resource::Model;

/// Where these resources stand in the instances of these users.
pub(super) async fn places(
    connection: &impl ConnectionTrait,
    users: Vec<i64>,
    resources: Vec<i64>,
) -> Result<Vec<Place>> {
    use instance_resource::{Column, Entity};
    let places = Entity::find()
        .filter(Column::UserId.is_any(connection, users))
        .filter(Column::ResourceId.is_any(connection, resources));
    Ok(places.all(connection).await?)
}

/// Stores the marks of these places; their instances change at `now`.
pub(super) async fn store_marks(connection: &impl ConnectionTrait, places: &[Place], now: Timestamp) -> Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    use instance::{Column, Entity};
    bulk::upsert(connection, places, &[instance_resource::Column::MarkedAt]).await?;
    let mut instances: Vec<(i64, i64)> = places.iter().map(|place| (place.user_id, place.instance_seq)).collect();
    instances.sort_unstable();
    instances.dedup();
    Entity::update_many()
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(pair_is_any(connection, [Column::UserId, Column::Seq], instances))
        .exec(connection)
        .await?;
    Ok(())
}

/// The numbers of a user's instances.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    /// The greatest of them, 0 when there is none.
    pub(super) last: i64,
    /// How many there are.
    pub(super) count: i64,
}

row!(Numbers { last: "COALESCE(MAX(seq), 0) AS last", count: "count(*) AS count" });

/// The numbers of this user's instances.
pub(super) async fn numbers(connection: &impl ConnectionTrait, user: i64) -> Result<Numbers> {
    let all = instance::Entity::find().filter(instance::Column::UserId.eq(user));
    Ok(select(connection, all).await?.pop().unwrap_or_default())
}

/// With how many resources that nobody described these users have progress.
pub(super) async fn elsewhere(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<HashMap<i64, i64>> {
    let with = progress::Entity::find()
        .inner_join(resource::Entity)
        .filter(progress::Column::UserId.is_any(connection, users))
        .filter(resource::Column::Catalogued.eq(false));
    Ok(counts(connection, with, progress::Column::UserId).await?.into_iter().collect())
}

/// Adds an instance with its resources.
pub(super) fn add_instance(stores: &mut Stores, user: i64, new: Instance) {
    let seq = new.seq;
    stores.insert(vec![instance_owner::Model { external_id: new.external_id.clone(), user_id: user }]);
    stores.insert(vec![instance::Model {
        user_id: user,
        seq,
        external_id: new.external_id,
        plan_id: new.plan_id,
        title: new.title,
        created_at: new.created_at,
        updated_at: new.updated_at,
    }]);
    stores.insert(places_of(user, seq, &new.items));
}

/// The places of an instance with these items, in their order.
fn places_of(user_id: i64, instance_seq: i64, items: &[Item]) -> Vec<Place> {
    let place = |(position, item): (i32, &Item)| Place {
        user_id,
        instance_seq,
        position,
        resource_id: item.resource_id,
        marked_at: item.marked_at,
    };
    (1..).zip(items).map(place).collect()
}

/// Sets the title of an instance, which changes at `now`.
pub(super) async fn rename_instance(
    connection: &impl ConnectionTrait,
    user: i64,
    instance: i64,
    title: String,
    now: Timestamp,
) -> Result<()> {
    use instance::{Column, Entity};
    Entity::update_many()
        .col_expr(Column::Title, Expr::value(title))
        .col_expr(Column::UpdatedAt, Expr::value(now))
        .filter(Column::UserId.eq(user))
        .filter(Column::Seq.eq(instance))
        .exec(connection)
        .await?;
    Ok(())
}

async fn remove_places(connection: &impl ConnectionTrait, user: i64, instance: i64) -> Result<()> {
    use instance_resource::{Column, Entity};
    let places = Entity::delete_many().filter(Column::UserId.eq(user)).filter(Column::InstanceSeq.eq(instance));
    Ok(places.exec(connection).await.map(drop)?)
}

/// Puts these resources, in this order, in the place of those of an instance.
pub(super) async fn replace_places(
    connection: &impl ConnectionTrait,
    user: i64,
    instance: i64,
    items: &[Item],
) -> Result<()> {
    remove_places(connection, user, instance).await?;
    bulk::insert(connection, &places_of(user, instance, items)).await
}

/// Removes an instance with its resources.
pub(super) async fn remove_instance(
    connection: &impl ConnectionTrait,
    user: i64,
    instance: i64,
    external_id: &str,
) -> Result<()> {
    remove_places(connection, user, instance).await?;
    instance::Entity::delete_by_id((user, instance)).exec(connection).await?;
    Ok(instance_owner::Entity::delete_by_id(external_id).exec(connection).await.map(drop)?)
}

/// Hands instances over to another user, numbered behind those that are there.
pub(super) async fn hand_over_instances(connection: &impl ConnectionTrait, merger: Merger) -> Result<()> {
    let handed_over = instance::Entity::find().filter(instance::Column::UserId.eq(merger.from));
    let ids: Vec<String> = values(connection, handed_over, instance::Column::ExternalId).await?;
    if ids.is_empty() {
        return Ok(());
    }
    let Numbers { last, .. } = numbers(connection, merger.into).await?;
    let of_instances = [(instance_resource::Column::InstanceSeq, last)];
    merger.renumbered::<instance_resource::Entity>(connection, &of_instances).await?;
    merger.renumbered::<instance::Entity>(connection, &[(instance::Column::Seq, last)]).await?;
    instance_owner::Entity::update_many()
        .col_expr(instance_owner::Column::UserId, Expr::value(merger.into))
        .filter(instance_owner::Column::ExternalId.is_any(connection, ids))
        .exec(connection)
        .await?;
    Ok(())
}

/// Takes away what a user wrote.
pub(super) async fn forget(connection: &impl ConnectionTrait, user: i64) -> Result<()> {
    progress::Entity::update_many()
        .col_expr(progress::Column::Notes, Expr::value(""))
        .filter(progress::Column::UserId.eq(user))
        .filter(progress::Column::Notes.ne(""))
        .exec(connection)
        .await?;
    instance::Entity::update_many()
        .col_expr(instance::Column::Title, Expr::value(""))
        .filter(instance::Column::UserId.eq(user))
        .exec(connection)
        .await?;
    Ok(())
}

/// Everything that is stored about a user's learning.
pub static RECORDS: [Records; 3] = [
    Records::new(
        "resources",
        "resource_progress t JOIN resources r ON r.id = t.resource_id WHERE t.user_id = $1 ORDER BY r.id",
        &[
            ("resource", "r.key", As::Text),
            ("externalId", "t.external_id", As::Text),
            ("completed", "t.completed", As::Truth),
            ("progress", "t.progress", As::Number),
            ("timeSpentMinutes", "t.time_spent_minutes", As::Number),
            ("notes", "t.notes", As::Text),
            ("completedAt", "t.completed_at", As::Instant),
            ("lastAccessedAt", "t.last_accessed_at", As::Instant),
            ("createdAt", "t.created_at", As::Instant),
            ("updatedAt", "t.updated_at", As::Instant),
        ],
    ),
    Records::new(
        "studyPlanInstances",
        "study_plan_instances t JOIN study_plans p ON p.id = t.plan_id WHERE t.user_id = $1 ORDER BY \
         t.seq",
        &[
            ("number", "t.seq", As::Number),
            ("externalId", "t.external_id", As::Text),
            ("studyPlan", "p.key", As::Text),
            ("title", "t.title", As::Text),
            ("createdAt", "t.created_at", As::Instant),
            ("updatedAt", "t.updated_at", As::Instant),
        ],
    ),
    Records::new(
        "studyPlanInstanceResources",
        "study_plan_instance_resources t JOIN resources r ON r.id = t.resource_id WHERE t.user_id = $1 \
         ORDER BY t.instance_seq, t.position",
        &[
            ("instance", "t.instance_seq", As::Number),
            ("position", "t.position", As::Number),
            ("resource", "r.key", As::Text),
            ("markedAt", "t.marked_at", As::Instant),
        ],
    ),
];
