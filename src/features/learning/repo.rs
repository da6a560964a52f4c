//! SQL of resources, study plans, instances and resource progress.

use std::collections::HashMap;

use sea_orm::{ColumnTrait as _, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _, QueryOrder as _};

use super::entity::{plan, plan_resource, resource};
use crate::clock::Timestamp;
use crate::db::owner::Merger;
use crate::db::page::{List, Slice};
use crate::db::records::{As, Records};
use crate::db::{PairSql, Param, Row, Sql, execute, fetch};
use crate::error::Result;
use crate::graphql::batcher::grouped;

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

/// A user's progress with a resource, as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    pub(crate) resource_id: i64,
    pub(crate) completed: bool,
    pub(crate) percent: i16,
    pub(crate) time_spent_minutes: i32,
    pub(crate) notes: String,
    pub(crate) completed_at: Option<Timestamp>,
    pub(crate) last_accessed_at: Timestamp,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// The resource's key, where it was asked for.
    pub(crate) resource_key: Option<String>,
}

fn read_progress(row: &mut Row) -> Result<(i64, Progress), DbErr> {
    let user = row.take()?;
    let progress = Progress {
        resource_id: row.take()?,
        completed: row.take()?,
        percent: row.take()?,
        time_spent_minutes: row.take()?,
        notes: row.take()?,
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

const PROGRESS: &str = "t.user_id, t.resource_id, t.completed, t.progress, t.time_spent_minutes, t.notes, \
    t.completed_at, t.last_accessed_at, t.created_at, t.updated_at";

const KEYED_PROGRESS: &str = "t.user_id, t.resource_id, t.completed, t.progress, t.time_spent_minutes, t.notes, \
    t.completed_at, t.last_accessed_at, t.created_at, t.updated_at, \
    (SELECT r.key FROM resources r WHERE r.id = t.resource_id)";

static BY_RESOURCE: PairSql = PairSql::new(PROGRESS, "resource_progress", "resource_id");

/// The progress of each user with these resources; resources never touched have none.
pub(super) async fn progress<'a>(
    connection: &impl ConnectionTrait,
    wanted: impl IntoIterator<Item = (i64, &'a [i64])>,
) -> Result<Vec<(i64, Progress)>> {
    BY_RESOURCE.fetch(connection, wanted, read_progress).await
}

static BY_EXTERNAL_ID: Sql = Sql::new(
    "SELECT t.user_id, t.resource_id, t.completed, t.progress, t.time_spent_minutes, t.notes, \
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
pub(crate) struct Instance {
    pub(crate) seq: i64,
    pub(crate) external_id: String,
    pub(crate) plan_id: i64,
    pub(crate) title: String,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// In the plan's order when the instance was made.
    pub(crate) items: Vec<Item>,
}

/// A resource of an instance, with the user's progress.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item {
    pub(crate) resource_id: i64,
    pub(crate) marked_at: Option<Timestamp>,
    pub(crate) completed: bool,
    pub(crate) completed_at: Option<Timestamp>,
}

static INSTANCES: Sql = Sql::new(
    "SELECT i.user_id, i.seq, i.external_id, i.plan_id, i.title, i.created_at, i.updated_at, \
     r.resource_id, r.marked_at, p.completed, p.completed_at \
     FROM study_plan_instances i \
     LEFT JOIN study_plan_instance_resources r ON r.user_id = i.user_id AND r.instance_seq = i.seq \
     LEFT JOIN resource_progress p ON p.user_id = r.user_id AND p.resource_id = r.resource_id \
     WHERE i.user_id = ANY($1) ORDER BY i.user_id, i.seq, r.position",
);

/// All instances of these users, each with its user, in the order in which they were made.
pub(super) async fn instances(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, Instance)>> {
    let rows = fetch(connection, &INSTANCES, [Param::Ints(users)], |row| {
        let user: i64 = row.take()?;
        let instance = Instance {
            seq: row.take()?,
            external_id: row.take()?,
            plan_id: row.take()?,
            title: row.take()?,
            created_at: row.take()?,
            updated_at: row.take()?,
            items: Vec::new(),
        };
        let resource: Option<i64> = row.take()?;
        let (marked_at, completed): (_, Option<bool>) = (row.take()?, row.take()?);
        let completed_at = row.take()?;
        let item = resource.map(|resource_id| Item {
            resource_id,
            marked_at,
            completed: completed.unwrap_or(false),
            completed_at,
        });
        Ok((user, instance, item))
    })
    .await?;
    let mut instances: Vec<(i64, Instance)> = Vec::new();
    for (user, instance, item) in rows {
        match instances.last_mut() {
            Some((last_user, last)) if *last_user == user && last.seq == instance.seq => last.items.extend(item),
            _ => instances.push((user, Instance { items: item.into_iter().collect(), ..instance })),
        }
    }
    Ok(instances)
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
pub(crate) static RECORDS: [Records; 3] = [
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
