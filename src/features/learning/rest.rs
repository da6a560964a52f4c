//! The learning dialect: a user's own progress with learning resources, by ids of 24 digits.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use utoipa::{OpenApi, ToSchema};

use super::rules::{self, InvalidProgress, MAX_NOTES_CHARACTERS};
use super::service::{self, Record};
use super::write::{Minutes, NewProgress, PutResourceProgress, SetResourcesCompletion};
use waymark_auth::policy;
use waymark_auth::policy::Subject;
use waymark_auth::{Caller, UserId};
use waymark_db::Extent;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Code, Result};
use waymark_kernel::limits;
use waymark_kernel::text::from_json;
use waymark_request::Request;
use waymark_rest_kit as rest;
use waymark_rest_kit::{Answer, Date, Desk, Dialect, Fault, Part};
use waymark_users as users;
use waymark_vocabulary::refusal::{BulkMode, ItemOutcome, Refusal, UserErrorCode};

/// Returns the learning dialect: its routes with their handlers, and their description.
pub fn part() -> Part {
    Part {
        dialect: Dialect::Learning,
        routes: Router::new()
            .route("/api/user-progress", get(progress).post(update))
            .route("/api/user-progress/check", get(check))
            .route("/api/user-progress/bulk", post(bulk)),
        document: Document::openapi(),
    }
}

#[derive(OpenApi)]
#[openapi(paths(progress, update, check, bulk))]
struct Document;

/// A user's progress with a resource.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LearningProgress)]
struct ProgressRecord {
    #[serde(rename = "_id")]
    #[schema(pattern = "^[0-9a-f]{24}$")]
    id: String,
    #[schema(pattern = "^[0-9a-f]{24}$")]
    user_id: String,
    #[schema(pattern = "^[0-9a-f]{24}$")]
    resource_id: String,
    completed: bool,
    /// In percent.
    #[schema(minimum = 0, maximum = 100)]
    progress: i16,
    /// In minutes.
    #[schema(minimum = 0)]
    time_spent: i32,
    notes: String,
    /// When it was completed; null when it is not complete.
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<Date>,
    #[schema(value_type = String, format = DateTime)]
    last_accessed_at: Date,
    #[schema(value_type = String, format = DateTime)]
    created_at: Date,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Date,
}

impl From<Record> for ProgressRecord {
    fn from(record: Record) -> Self {
        let progress = record.progress;
        Self {
            id: record.id,
            user_id: record.user_id,
            resource_id: record.resource_id,
            completed: progress.completed,
            progress: progress.percent,
            time_spent: progress.time_spent_minutes,
            notes: record.notes,
            completed_at: progress.completed_at.map(Date),
            last_accessed_at: Date(progress.last_accessed_at),
            created_at: Date(progress.created_at),
            updated_at: Date(progress.updated_at),
        }
    }
}

/// A user's progress with resources.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LearningProgressList)]
struct ProgressList {
    progress: Vec<ProgressRecord>,
}

/// The result of an update.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LearningUpdate)]
struct Updated {
    /// Whether the progress is new.
    #[schema(value_type = String, example = "Progress updated successfully")]
    message: &'static str,
    progress: ProgressRecord,
}

/// Whether a resource is complete.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LearningCompletion)]
struct Completion {
    completed: bool,
    /// When it was completed; null when it is not complete.
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<Date>,
}

/// Resources in the order of the request.
#[derive(Debug)]
struct Completions(Vec<(String, Completion)>);

impl Serialize for Completions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(id, completion)| (id, completion)))
    }
}

/// The result of many updates.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LearningBulk)]
struct BulkUpdated {
    #[schema(value_type = String, example = "Bulk update completed")]
    message: &'static str,
    /// One for each id of the request, in its order.
    results: Vec<BulkResult>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct BulkResult {
    /// What was sent for an id.
    resource_id: Value,
    success: bool,
    /// Why not; left out when it was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    error: Option<&'static str>,
}

/// What is written about a resource. What is left out stays as it is.
#[derive(ToSchema)]
#[schema(as = LearningUpdateInput, rename_all = "camelCase")]
#[expect(dead_code, reason = "describes the body, which is read member by member")]
struct UpdateInput {
    /// The instance of a study plan through which it is done; the user's own.
    #[schema(pattern = "^[0-9a-fA-F]{24}$")]
    instance_id: String,
    #[schema(pattern = "^[0-9a-fA-F]{24}$")]
    resource_id: String,
    /// Whether the resource is complete, in all instances alike.
    completed: Option<bool>,
    /// In whole percent.
    #[schema(minimum = 0, maximum = 100)]
    progress: Option<i32>,
    /// In whole minutes, in all.
    #[schema(minimum = 0)]
    time_spent: Option<i32>,
    #[schema(max_length = 10_000)]
    notes: Option<String>,
}

/// What is written about many resources.
#[derive(ToSchema)]
#[schema(as = LearningBulkInput, rename_all = "camelCase")]
#[expect(dead_code, reason = "describes the body, which is read member by member")]
struct BulkInput {
    /// Ids of 24 hexadecimal digits. What is none is refused by itself, and says so in its result.
    #[schema(max_items = 1000)]
    resource_ids: Vec<Value>,
    /// Whether they are complete.
    completed: bool,
}

/// The user's progress, the oldest first.
///
/// With all resources, or with one; with none when the id of the one is malformed. The first valid token makes its
/// user.
#[utoipa::path(
    get,
    path = "/api/user-progress",
    operation_id = "getLearningProgress",
    params(("resourceId" = Option<String>, Query, description = "Only the progress with this resource.")),
    responses(
        (status = 200, description = "The user's progress.", body = ProgressList),
        (status = 400, description = "The answer would be longer than an answer may be; ask for one resource.", body = rest::LearningError),
        (status = 401, description = "The token is missing, malformed or expired.", body = rest::LearningError),
        (status = 403, description = "The key does not have the needed scope, or belongs to nobody.", body = rest::LearningError),
    ),
    security(("UserToken" = [])),
)]
async fn progress(desk: Desk, uri: Uri, headers: HeaderMap) -> Answer<ProgressList> {
    let now = desk.now();
    let caller = authenticate(&desk, &headers, now).await?;
    let parameters = rest::query(&uri);
    // An empty id is a malformed one, and not the same as none.
    let filter = rest::parameter(&parameters, "resourceId");
    let work = desk.work(caller, now, async |request| {
        let own = policy::see_everything(&request.caller, &user(&request).await?)?;
        Ok::<_, Fault>(match filter {
            Some(id) if rules::is_external_id(id) => {
                service::record(&request, &own, id).await?.into_iter().collect::<Vec<_>>()
            }
            Some(_) => Vec::new(),
            None => service::records(&request, &own).await?,
        })
    });
    Ok(Json(ProgressList { progress: work.await?.into_iter().map(ProgressRecord::from).collect() }))
}

/// Writes the user's progress with a resource.
///
/// Progress is the same in all instances; the instance named here marks the resource as completed through it.
#[utoipa::path(
    post,
    path = "/api/user-progress",
    operation_id = "updateLearningProgress",
    request_body = UpdateInput,
    responses(
        (status = 200, description = "The progress as it is now.", body = Updated, links(
            ("progress" = (operation_id = "getLearningProgress", parameters(("resourceId" = "$response.body#/progress/resourceId")))),
            ("completion" = (operation_id = "checkLearningProgress", parameters(("resourceIds" = "$response.body#/progress/resourceId")))),
        )),
        (status = 201, description = "The progress, which is the first with this resource.", body = Updated, links(
            ("progress" = (operation_id = "getLearningProgress", parameters(("resourceId" = "$response.body#/progress/resourceId")))),
            ("completion" = (operation_id = "checkLearningProgress", parameters(("resourceIds" = "$response.body#/progress/resourceId")))),
        )),
        (status = 400, description = "An id or another member is malformed or out of its range.", body = rest::LearningError),
        (status = 401, description = "The token is missing, malformed or expired.", body = rest::LearningError),
        (status = 403, description = "The instance belongs to another user, or the key does not have the needed scope.", body = rest::LearningError),
        (status = 404, description = "There is no such instance; or no such resource, where progress is kept for known ones only.", body = rest::LearningError),
    ),
    security(("UserToken" = [])),
)]
async fn update(
    desk: Desk,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<(StatusCode, Json<Updated>), Fault> {
    let now = desk.now();
    let caller = authenticate(&desk, &headers, now).await?;
    let new = read_update(&object(&body?)?)?;
    desk.work_to_write(caller, now, async |request| {
        let user = user(&request).await?;
        let owner = service::owner_of_instance(&request, new.instance.as_deref().unwrap_or_default()).await?;
        if owner.ok_or_else(no_instance)? != user.id {
            return Err(Fault::forbidden("You do not have permission to update this progress"));
        }
        let (id, acting) = (new.resource.clone(), policy::act_for(&request.caller, &user)?);
        let put = request.write(PutResourceProgress { user: acting, progress: new }, None).await?.outcome;
        if let Some(refusal) = put.result.error {
            return Err(refused(&refusal));
        }
        let own = policy::see_everything(&request.caller, &user)?;
        let record = service::record(&request, &own, &id).await?;
        // Another request may have erased the user since the write.
        let progress = record.ok_or_else(|| Fault::not_found("Progress not found"))?.into();
        Ok(if put.created {
            (StatusCode::CREATED, Json(Updated { message: "Progress created successfully", progress }))
        } else {
            (StatusCode::OK, Json(Updated { message: "Progress updated successfully", progress }))
        })
    })
    .await
}

/// Whether resources are complete.
///
/// An object with a member for each well-formed id, in the order of the request.
#[utoipa::path(
    get,
    path = "/api/user-progress/check",
    operation_id = "checkLearningProgress",
    params(("resourceIds" = String, Query, description = "Ids of 24 hexadecimal digits, separated by commas. What is none is left out.",
        pattern = r"(^|,)\s*[0-9a-fA-F]{24}\s*(,|$)")),
    responses(
        (status = 200, description = "Whether each resource is complete; those never touched are not.", body = std::collections::HashMap<String, Completion>),
        (status = 400, description = "The parameter is missing, or no id in it is well formed.", body = rest::LearningError),
        (status = 401, description = "The token is missing, malformed or expired.", body = rest::LearningError),
        (status = 403, description = "The key does not have the needed scope, or belongs to nobody.", body = rest::LearningError),
    ),
    security(("UserToken" = [])),
)]
async fn check(desk: Desk, uri: Uri, headers: HeaderMap) -> Answer<Completions> {
    let now = desk.now();
    let caller = authenticate(&desk, &headers, now).await?;
    let parameters = rest::query(&uri);
    let list = rest::parameter(&parameters, "resourceIds").filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| Fault::bad_request("resourceIds parameter is required"))?;
    let mut seen = std::collections::HashSet::new();
    let ids: Vec<&str> =
        list.split(',').map(str::trim).filter(|id| rules::is_external_id(id) && seen.insert(*id)).collect();
    if ids.is_empty() {
        return Err(Fault::bad_request("No valid resource IDs provided"));
    }
    let work = desk.work(caller, now, async |request| {
        let own = policy::see_everything(&request.caller, &user(&request).await?)?;
        Ok::<_, Fault>(service::progress(&request, &[&own], ids.iter().copied(), Extent::All).await?)
    });
    let completions = work.await?.into_iter().flatten().map(|learned| {
        let progress = learned.and_then(|learned| learned.progress);
        Completion {
            completed: progress.as_ref().is_some_and(|progress| progress.completed),
            completed_at: progress.and_then(|progress| progress.completed_at).map(Date),
        }
    });
    Ok(Json(Completions(ids.iter().map(|id| (*id).to_owned()).zip(completions).collect())))
}

/// Marks many resources as complete or not complete.
///
/// Each by itself: one that is refused does not keep the others.
#[utoipa::path(
    post,
    path = "/api/user-progress/bulk",
    operation_id = "updateLearningProgressInBulk",
    request_body = BulkInput,
    responses(
        (status = 200, description = "The result of each item.", body = BulkUpdated),
        (status = 400, description = "resourceIds or completed is missing or of another type, or there are more than 1,000 ids.", body = rest::LearningError),
        (status = 401, description = "The token is missing, malformed or expired.", body = rest::LearningError),
        (status = 403, description = "The key does not have the needed scope, or belongs to nobody.", body = rest::LearningError),
    ),
    security(("UserToken" = [])),
)]
async fn bulk(desk: Desk, headers: HeaderMap, body: Result<Bytes, BytesRejection>) -> Answer<BulkUpdated> {
    let now = desk.now();
    let caller = authenticate(&desk, &headers, now).await?;
    let mut body = object(&body?)?;
    let (ids, completed) = (body.remove("resourceIds"), boolean(&body, "completed")?);
    let (Some(Value::Array(ids)), Some(completed)) = (ids, completed) else {
        return Err(Fault::bad_request("resourceIds (array) and completed status are required"));
    };
    let most = desk.config.limits.max_bulk_items;
    if ids.len() > most as usize {
        return Err(Fault::bad_request(format!("resourceIds must not have more than {most} items")));
    }
    let cost = limits::COST_OF_RECORDED.saturating_mul(u64::try_from(ids.len()).unwrap_or(u64::MAX));
    desk.charge(&caller, cost)?;
    let is_id = |id: &Value| id.as_str().is_some_and(rules::is_external_id);
    let resources: Vec<String> =
        ids.iter().filter(|id| is_id(id)).filter_map(|id| id.as_str().map(str::to_owned)).collect();
    let outcomes = desk.work_to_write(caller, now, async |request| {
        let acting = policy::act_for(&request.caller, &user(&request).await?)?;
        if resources.is_empty() {
            return Ok(Vec::new());
        }
        let write = SetResourcesCompletion { user: acting, resources, completed, mode: BulkMode::PerItem };
        Ok::<_, Fault>(request.write(write, None).await?.outcome)
    });
    let mut outcomes = outcomes.await?.into_iter();
    let result = |id: Value| {
        let error = if is_id(&id) {
            outcomes.next().and_then(|ItemOutcome { error, .. }| error).map(|refusal| match refusal.code {
                UserErrorCode::Retired => RETIRED,
                _ => "Resource not found",
            })
        } else {
            Some("Invalid resource ID")
        };
        BulkResult { resource_id: id, success: error.is_none(), error }
    };
    Ok(Json(BulkUpdated { message: "Bulk update completed", results: ids.into_iter().map(result).collect() }))
}

/// Returns the caller; a person without a user gets one.
async fn authenticate(desk: &Desk, headers: &HeaderMap, now: Timestamp) -> Result<Arc<Caller>, Fault> {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, token) = value.split_once(' ')?;
        Some(token.trim()).filter(|token| scheme.eq_ignore_ascii_case("bearer") && !token.is_empty())
    });
    let token = token.ok_or_else(|| {
        let refusal = Fault::unauthorized("No token provided");
        if headers.contains_key(AUTHORIZATION) { desk.refuse(refusal) } else { refusal }
    })?;
    let caller = desk.authenticate(token, now).await.map_err(|error| match error.code() {
        Code::InvalidCredential => Fault::unauthorized("Invalid or expired token"),
        _ => error.into(),
    })?;
    Ok(users::write::known(&desk.writer, &desk.ids, caller, now).await?)
}

/// The user who asks.
async fn user(request: &Request) -> Result<Subject, Fault> {
    let nobody = || Fault::forbidden("this key belongs to no user");
    let id: UserId = request.caller.user().ok_or_else(nobody)?;
    Ok(users::service::user_by_id(request, id).await?.ok_or_else(nobody)?.subject.clone())
}

/// What is said of a resource that takes no new progress.
const RETIRED: &str = "Resource was retired";

fn no_instance() -> Fault {
    Fault::not_found("Instance not found")
}

fn refused(refusal: &Refusal) -> Fault {
    match refusal.code {
        UserErrorCode::UnknownStudyPlanInstance => no_instance(),
        UserErrorCode::UnknownResource => Fault::not_found("Resource not found"),
        UserErrorCode::Retired => Fault::bad_request(RETIRED),
        _ => Fault::bad_request(refusal.message.clone()),
    }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, Fault> {
    match from_json(body) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(Fault::bad_request("The body must be a JSON object")),
    }
}

fn read_update(body: &Map<String, Value>) -> Result<NewProgress, Fault> {
    let id = |name| body.get(name).and_then(Value::as_str).filter(|id| rules::is_external_id(id));
    let (Some(instance), Some(resource)) = (id("instanceId"), id("resourceId")) else {
        return Err(Fault::bad_request("Invalid instanceId or resourceId"));
    };
    let new = NewProgress {
        resource: resource.to_ascii_lowercase(),
        instance: Some(instance.to_ascii_lowercase()),
        completed: boolean(body, "completed")?,
        progress: whole(body, "progress")?,
        time_spent: whole(body, "timeSpent")?.map(Minutes::Set),
        notes: text(body, "notes")?,
    };
    let minutes = new.time_spent.map(|(Minutes::Set(minutes) | Minutes::Add(minutes))| minutes);
    match rules::check_progress(new.progress, minutes, new.notes.as_deref()) {
        Ok(()) => Ok(new),
        Err(InvalidProgress::Progress) => Err(Fault::bad_request("progress must be between 0 and 100")),
        Err(InvalidProgress::TimeSpent) => {
            Err(Fault::bad_request(format!("timeSpent must be between 0 and {} minutes", i32::MAX)))
        }
        Err(InvalidProgress::Notes) => Err(Fault::bad_request(format!(
            "notes must have at most {MAX_NOTES_CHARACTERS} characters, and no NUL among them"
        ))),
    }
}

/// A member of the body; `None` where there is none, or null.
fn member<'a>(body: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}

fn boolean(body: &Map<String, Value>, name: &str) -> Result<Option<bool>, Fault> {
    let wrong = || Fault::bad_request(format!("{name} must be true or false"));
    member(body, name).map(|value| value.as_bool().ok_or_else(wrong)).transpose()
}

fn text(body: &Map<String, Value>, name: &str) -> Result<Option<String>, Fault> {
    let wrong = || Fault::bad_request(format!("{name} must be a string"));
    member(body, name).map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong)).transpose()
}

/// A whole number, which may be written with a point and zeros.
fn whole(body: &Map<String, Value>, name: &str) -> Result<Option<i64>, Fault> {
    let read = |value: &Value| {
        // Whole, and what is too large becomes the largest integer.
        let written_with_point = || value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64);
        value.as_i64().or_else(written_with_point)
    };
    let wrong = || Fault::bad_request(format!("{name} must be a whole number"));
    member(body, name).map(|value| read(value).ok_or_else(wrong)).transpose()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(members: Value) -> Result<NewProgress, String> {
        let mut body = json!({ "instanceId": "507f1f77bcf86cd799439011", "resourceId": "507F191E810C19729DE860EA" });
        for (name, value) in members.as_object().unwrap() {
            body[name] = value.clone();
        }
        read_update(body.as_object().unwrap()).map_err(|fault| fault.message.into_owned())
    }

    #[test]
    fn a_body_is_read_member_by_member() {
        let new = read(json!({ "completed": false, "progress": 45.0, "timeSpent": null, "other": [] })).unwrap();
        assert_eq!((new.completed, new.progress, new.time_spent.is_none()), (Some(false), Some(45), true));
        assert_eq!(new.resource, "507f191e810c19729de860ea");
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        for (members, name) in [
            (json!({ "completed": "true" }), "completed"),
            (json!({ "completed": 1 }), "completed"),
            (json!({ "progress": -1 }), "progress"),
            (json!({ "progress": 101 }), "progress"),
            (json!({ "progress": 1e300 }), "progress"),
            (json!({ "progress": u64::MAX }), "progress"),
            (json!({ "progress": 12.5 }), "progress"),
            (json!({ "progress": "12" }), "progress"),
            (json!({ "timeSpent": -1 }), "timeSpent"),
            (json!({ "timeSpent": i64::MAX }), "timeSpent"),
            (json!({ "timeSpent": [] }), "timeSpent"),
            (json!({ "notes": 1 }), "notes"),
            (json!({ "notes": "a\u{0}b" }), "notes"),
            (json!({ "notes": "é".repeat(10_001) }), "notes"),
            (json!({ "instanceId": 1 }), "instanceId"),
            (json!({ "resourceId": "507f" }), "resourceId"),
        ] {
            let message = read(members.clone()).unwrap_err();
            assert!(message.contains(name), "{members}: {message}");
        }
        assert!(read(json!({ "notes": "é".repeat(10_000) })).is_ok());
    }
}
