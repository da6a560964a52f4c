//! The collections dialect: how far the user of an account is with collections.

use std::sync::Arc;

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::HeaderMap;
use axum::routing::get;
use axum::{Json, Router};
use futures_util::future::try_join_all;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use super::rules::{self, CollectionStatus};
use super::service::{self, Collected, Collecting, Owned};
use super::{Card, Collection};
use waymark_auth::policy;
use waymark_auth::policy::VisibleUser;
use waymark_auth::{Caller, extract};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Code, Result};
use waymark_kernel::text::HOLDS_NUL;
use waymark_request::Request;
use waymark_rest_kit as rest;
use waymark_rest_kit::{Answer, Desk, Dialect, Fault, Part};
use waymark_users::service as users;
use waymark_users::service::Name;

/// Returns the collections dialect: its routes with their handlers, and their description.
pub fn part() -> Part {
    const LIST: &str = "/users/{platform}/{platformUserId}/progress/collection-challenges";
    let both = |routes: Router<Desk>, prefix: &str| {
        routes
            .route(&format!("{prefix}{LIST}"), get(collections))
            .route(&format!("{prefix}{LIST}/{{programId}}"), get(collection))
    };
    Part {
        dialect: Dialect::Collections,
        routes: both(both(Router::new(), ""), "/api/v1"),
        document: Document::openapi(),
    }
}

#[derive(OpenApi)]
#[openapi(paths(collections, collection))]
struct Document;

/// How far a user is with a programme of cards. All instants are in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct CollectionChallenge {
    #[schema(example = "program_123")]
    id: String,
    name: String,
    /// Where a picture of it is; left out when it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    description: String,
    /// How many distinct cards it has.
    size: i32,
    /// How much the user has of it, in whole percent, rounded down; 100 only with all cards.
    #[schema(minimum = 0, maximum = 100)]
    progress_in_percentage: u8,
    /// Where it is meant to be shown.
    #[schema(example = "production")]
    environment: String,
    /// When it was made.
    created_timestamp: i64,
    /// Milliseconds until it ends, 0 once it has; left out when it has no end.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_left: Option<i64>,
    status: Status,
    /// How many distinct cards of it the user has.
    collected_count: i32,
    /// Its cards, in their order.
    cards: Vec<OwnedCard>,
    /// What completing it is rewarded with; left out when there is no reward.
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<Reward>,
    duration: Duration,
}

/// Where a programme stands for a user.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    NotStarted,
    InProgress,
    Completed,
    Expired,
    Upcoming,
}

impl From<CollectionStatus> for Status {
    fn from(status: CollectionStatus) -> Self {
        match status {
            CollectionStatus::NotStarted => Self::NotStarted,
            CollectionStatus::InProgress => Self::InProgress,
            CollectionStatus::Completed => Self::Completed,
            CollectionStatus::Expired => Self::Expired,
            CollectionStatus::Upcoming => Self::Upcoming,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OwnedCard {
    name: String,
    id: String,
    /// Where a picture of it is; left out when it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    /// How many of it the user has.
    owned_quantity: i32,
    is_owned: bool,
    rarity: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Reward {
    id: String,
    name: String,
    /// Where a picture of it is; left out when it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    image: Option<String>,
    description: String,
    is_claimed: bool,
    /// Whether the user can claim it now.
    can_claim: bool,
    value: String,
    /// When the user claimed it; null when that has not happened.
    claimed_timestamp: Option<i64>,
    view_type: String,
}

#[derive(Debug, Serialize, ToSchema)]
struct Duration {
    start: Start,
    end: End,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Start {
    /// From when on it can be completed.
    date: i64,
    /// Whether it is shown before that.
    show_before: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct End {
    /// From when on it can no longer be completed; null when it has no end.
    date: Option<i64>,
    /// Whether it is shown after that.
    show_after: bool,
}

/// How far a user is with all programmes that are shown now.
///
/// An unknown user has collected nothing. Also served with the prefix /api/v1.
#[utoipa::path(
    get,
    path = "/users/{platform}/{platformUserId}/progress/collection-challenges",
    operation_id = "getCollectionChallenges",
    params(
        ("platform" = String, Path, description = "Where the user has an account.", example = "discord"),
        ("platformUserId" = String, Path, description = "The id of the account there.", example = "123456789012345678"),
    ),
    responses(
        (status = 200, description = "The programmes, in the order in which they were added.", body = [CollectionChallenge], links(
            ("programme" = (operation_id = "getCollectionChallenge", parameters(
                ("platform" = "$request.path.platform"),
                ("platformUserId" = "$request.path.platformUserId"),
                ("programId" = "$response.body#/0/id"),
            ))),
        )),
        (status = 400, description = "The key is not valid (1001), or the path is malformed.", body = rest::CollectionsError),
        (status = 401, description = "There is no key (1002).", body = rest::CollectionsError),
        (status = 403, description = "The key does not have the scope profiles:read.", body = rest::CollectionsError),
    ),
    security(("GftApiKey_" = []), ("GftApiKey" = []), ("PlainGftApiKey" = []), ("ApiKey" = [])),
)]
async fn collections(
    desk: Desk,
    headers: HeaderMap,
    path: Result<Path<(String, String)>, PathRejection>,
) -> Answer<Vec<CollectionChallenge>> {
    let now = desk.now();
    let caller = authenticate(&desk, &headers, now).await?;
    let Path((platform, id)) = path.map_err(|_| malformed())?;
    legible([("platform", &platform), ("platformUserId", &id)])?;
    let work = desk.work(caller, now, async |request| {
        let user = user(&request, platform, id).await?;
        match &user {
            Some(user) => read(&request, service::collections(&request, user).await?).await,
            None => Ok(service::listed(&request)?.map(|one| of_stranger(one, request.now())).collect()),
        }
    });
    Ok(Json(work.await?))
}

/// How far a user is with one programme.
///
/// An unknown user has collected nothing. Also served with the prefix /api/v1.
#[utoipa::path(
    get,
    path = "/users/{platform}/{platformUserId}/progress/collection-challenges/{programId}",
    operation_id = "getCollectionChallenge",
    params(
        ("platform" = String, Path, description = "Where the user has an account.", example = "discord"),
        ("platformUserId" = String, Path, description = "The id of the account there.", example = "123456789012345678"),
        ("programId" = String, Path, description = "The id of the programme.", example = "program_123"),
    ),
    responses(
        (status = 200, description = "The programme.", body = CollectionChallenge),
        (status = 400, description = "The key is not valid (1001), or the path is malformed.", body = rest::CollectionsError),
        (status = 401, description = "There is no key (1002).", body = rest::CollectionsError),
        (status = 403, description = "The key does not have the scope profiles:read.", body = rest::CollectionsError),
        (status = 404, description = "There is no such programme, or it is not shown now (5250).", body = rest::CollectionsError),
    ),
    security(("GftApiKey_" = []), ("GftApiKey" = []), ("PlainGftApiKey" = []), ("ApiKey" = [])),
)]
async fn collection(
    desk: Desk,
    headers: HeaderMap,
    path: Result<Path<(String, String, String)>, PathRejection>,
) -> Answer<CollectionChallenge> {
    let now = desk.now();
    let caller = authenticate(&desk, &headers, now).await?;
    let Path((platform, id, program)) = path.map_err(|_| malformed())?;
    legible([("platform", &platform), ("platformUserId", &id), ("programId", &program)])?;
    let unknown = || Fault::not_found("Campaign not found").numbered(5250);
    let work = desk.work(caller, now, async |request| {
        let found = service::shown_by_key(&request, &program)?.cloned().ok_or_else(unknown)?;
        match user(&request, platform, id).await? {
            Some(user) => {
                Ok::<_, Fault>(read(&request, service::collecting(&request, &user, [&found]).await?).await?.pop())
            }
            None => Ok(Some(of_stranger(&found, request.now()))),
        }
    });
    work.await?.map(Json).ok_or_else(unknown)
}

/// Said only to callers with a key.
fn malformed() -> Fault {
    Fault::bad_request("bad request")
}

/// Refuses what no text can hold.
fn legible<const N: usize>(parameters: [(&str, &str); N]) -> Result<(), Fault> {
    match parameters.iter().find(|(_, value)| value.contains('\0')) {
        Some((name, _)) => Err(Fault::bad_request(format!("{name} {HOLDS_NUL}"))),
        None => Ok(()),
    }
}

async fn authenticate(desk: &Desk, headers: &HeaderMap, now: Timestamp) -> Result<Arc<Caller>, Fault> {
    let missing = || Fault::unauthorized("API key missing.").numbered(1002);
    let invalid = || Fault::bad_request("This API Key is invalid.").numbered(1001);
    let sent = rest::KEY_HEADERS.iter().filter_map(|name| headers.get(*name)).find(|value| !value.is_empty());
    let credential = match sent {
        Some(value) => Some(value.to_str().map_err(|_| desk.refuse(invalid()))?.trim()),
        None => extract::credential(headers).map_err(|_| desk.refuse(invalid()))?,
    };
    let caller = desk.authenticate(credential.ok_or_else(missing)?, now).await;
    let caller = caller.map_err(|error| match error.code() {
        Code::InvalidCredential => invalid(),
        _ => error.into(),
    })?;
    policy::ask_for_people(&caller)?;
    Ok(caller)
}

/// Returns the user of an account; `None` when no user has it, when it is malformed, and when the caller may not see
/// the user.
async fn user(request: &Request, platform: String, id: String) -> Result<Option<VisibleUser>> {
    match users::user(request, Name::Account { platform, id }).await {
        Ok(found) => Ok(found.and_then(|user| policy::see(&request.caller, &user.subject))),
        Err(error) if error.code() == Code::BadUserInput => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns what is shown of a user who has collected nothing.
fn of_stranger(collection: &Collection, now: Timestamp) -> CollectionChallenge {
    challenge(collection, &Collected::default(), &[], false, now)
}

async fn read(request: &Request, collecting: Vec<Collecting>) -> Result<Vec<CollectionChallenge>, Fault> {
    let challenges = collecting.into_iter().map(async |one| {
        let (owned, can_claim) = futures_util::try_join!(service::cards(request, &one), can_claim(request, &one))?;
        Ok::<_, Fault>(challenge(&one.collection, &one.collected, &owned, can_claim, request.now()))
    });
    try_join_all(challenges).await
}

/// Whether the user can claim the reward now. `false` for those who may not know, as for collections without a reward.
async fn can_claim(request: &Request, collecting: &Collecting) -> Result<bool> {
    let Some(reward) = &collecting.collection.reward else { return Ok(false) };
    match service::reward_refusal(request, collecting, reward.stock).await {
        Ok(refusal) => Ok(refusal.is_none()),
        Err(error) if error.code() == Code::Forbidden => Ok(false),
        Err(error) => Err(error),
    }
}

fn challenge(
    collection: &Collection,
    collected: &Collected,
    owned: &[Owned],
    can_claim: bool,
    now: Timestamp,
) -> CollectionChallenge {
    let (row, window, size) = (&collection.row, collection.window(), collection.size());
    let count = collected.count_in(collection);
    let card = |(card, owned): (&Arc<Card>, Option<&Owned>)| {
        let quantity = owned.map_or(0, |owned| owned.quantity);
        OwnedCard {
            name: card.name.clone(),
            id: card.key.clone(),
            image: card.image.clone(),
            owned_quantity: quantity,
            is_owned: quantity > 0,
            rarity: card.rarity.clone(),
        }
    };
    CollectionChallenge {
        id: row.key.clone(),
        name: row.name.clone(),
        image: row.image.clone(),
        description: row.description.clone(),
        size,
        progress_in_percentage: rules::percent(count.into(), size.into()),
        environment: row.environment.clone(),
        created_timestamp: row.created_at.millis(),
        time_left: rules::time_left_millis(&window, now),
        status: collected.status_of(collection, now).into(),
        collected_count: count,
        cards: service::with_owned(collection, owned).map(card).collect(),
        reward: collection.reward.as_ref().map(|reward| Reward {
            id: reward.key.clone(),
            name: reward.name.clone(),
            image: reward.image.clone(),
            description: reward.description.clone(),
            is_claimed: collected.reward_claimed_at.is_some(),
            can_claim,
            value: reward.value.clone(),
            claimed_timestamp: collected.reward_claimed_at.map(Timestamp::millis),
            view_type: reward.view_type.clone(),
        }),
        duration: Duration {
            start: Start { date: row.starts_at.unwrap_or(row.created_at).millis(), show_before: row.show_before },
            end: End { date: row.ends_at.map(Timestamp::millis), show_after: row.show_after },
        },
    }
}
