//! The credits dialect: a player's season, goals and credits, asked for by a signed request.

use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, Method, Uri};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::Number;
use utoipa::{OpenApi, ToSchema};

use super::Goal;
use super::rules::SeasonState;
use super::service::{self, Timed};
use waymark_auth::policy;
use waymark_credits as credits;
use waymark_kernel::error::Result;
use waymark_request::Request;
use waymark_rest_kit::{Answer, Date, Desk, Dialect, Fault, Part};
use waymark_users as users;

/// Returns the credits dialect: its routes with their handlers, and their description.
pub fn part() -> Part {
    Part {
        dialect: Dialect::Credits,
        routes: Router::new().route("/users/{address}/progress", get(progress)),
        document: Document::openapi(),
    }
}

#[derive(OpenApi)]
#[openapi(paths(progress))]
struct Document;

/// How far a player is in the current season.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UserProgress {
    season: SeasonTime,
    current_week: WeekTime,
    user: Enrolment,
    credits: Credits,
    /// The goals of the whole season and of the current week.
    goals: Vec<GoalProgress>,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SeasonTime {
    /// Seconds that are left of the season; 0 once it has ended.
    time_left: i64,
    #[schema(value_type = String, format = DateTime)]
    start_date: Date,
    /// When the season ends if it runs on from now; once it has ended, when that was.
    #[schema(value_type = String, format = DateTime)]
    end_date: Date,
    #[schema(value_type = String, pattern = "^(NOT_STARTED|ACTIVE|ENDED|PAUSED)$")]
    season_state: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct WeekTime {
    /// Seconds that are left of the current week; 0 when there is none.
    time_left: i64,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Enrolment {
    /// Whether the user takes part in the season.
    has_started_program: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Credits {
    /// What the user can spend now, in credits.
    #[schema(value_type = f64)]
    available: Number,
    /// Seconds until the next of them expire; 0 when nothing is going to.
    expires_in: i64,
    /// Whether the user may not claim rewards at the moment.
    is_blocked_for_claiming: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct GoalProgress {
    id: String,
    title: String,
    description: String,
    /// Where a picture of the goal is; empty when it has none.
    thumbnail: String,
    progress: Steps,
    /// In credits.
    #[schema(value_type = f64)]
    reward: Number,
    is_claimed: bool,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Steps {
    #[schema(minimum = 1)]
    total_steps: i32,
    #[schema(minimum = 0)]
    completed_steps: i32,
}

impl GoalProgress {
    fn new(goal: &Goal, completed_steps: i32, is_claimed: bool) -> Self {
        Self {
            id: goal.key.clone(),
            title: goal.title.clone(),
            description: goal.description.clone(),
            thumbnail: goal.thumbnail.clone().unwrap_or_default(),
            progress: Steps { total_steps: goal.total_steps, completed_steps },
            reward: credits::service::as_number(goal.reward_micros),
            is_claimed,
        }
    }
}

/// How far the player who signs the request is.
///
/// Season, current week, goals and credits. A player without a user has not started, owns nothing, and sees the current
/// goals.
#[utoipa::path(
    get,
    path = "/users/{address}/progress",
    operation_id = "getUserProgress",
    params(("address" = String, Path, pattern = "^0x[a-fA-F0-9]{40}$", description = "The player's Ethereum address, in any case.")),
    responses(
        (status = 200, description = "The player's progress.", body = UserProgress),
        (status = 401, description = "The request is not signed, or not well: no chain, a malformed one, a bad or expired signature, a timestamp too far away. Or this server takes no signed requests.", body = waymark_rest_kit::CreditsError),
        (status = 403, description = "The signed metadata are no JSON object, or say that the request is signed for a scene; or the signer is another address.", body = waymark_rest_kit::CreditsError),
        (status = 404, description = "There is no season.", body = waymark_rest_kit::CreditsError),
    ),
    security(("SignedFetch" = [])),
)]
async fn progress(
    desk: Desk,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    address: Result<Path<String>, PathRejection>,
) -> Answer<UserProgress> {
    let now = desk.now();
    // A GET that is answered without its body is signed as the HEAD that it is.
    let (caller, signed) = desk.signed((&method, &uri), &headers, now).await?;
    if !address.is_ok_and(|Path(address)| address.eq_ignore_ascii_case(&signed.address)) {
        return Err(Fault::forbidden("the request is signed by another address"));
    }
    desk.work(caller, now, async |request| read(&request).await).await.map(Json)
}

async fn read(request: &Request) -> Result<UserProgress, Fault> {
    let timed = service::season(request, None)?.ok_or_else(|| Fault::not_found("no season"))?;
    let user = match request.caller.user() {
        Some(id) => users::service::user_by_id(request, id).await?,
        None => None,
    };
    let Some(user) = user else { return Ok(of_stranger(&timed)) };
    let own = policy::see_everything(&request.caller, &user.subject)?;
    let (participation, wallet) = futures_util::try_join!(
        service::participation(request, &own, timed.clone()),
        credits::service::wallet(request, &own),
    )?;
    let goals = participation.current_goals();
    Ok(UserProgress {
        user: Enrolment { has_started_program: participation.enrolled_at.is_some() },
        credits: Credits {
            available: credits::service::as_number(wallet.available(request.now())),
            expires_in: wallet.expires_in(request.now()).unwrap_or(0),
            is_blocked_for_claiming: wallet.is_blocked_for_claiming(request.now()),
        },
        goals: goals
            .map(|one| GoalProgress::new(&one.goal, one.steps.completed_steps, one.steps.claimed_at.is_some()))
            .collect(),
        ..of_stranger(&timed)
    })
}

/// Returns what a player without a user sees.
fn of_stranger(timed: &Timed) -> UserProgress {
    UserProgress {
        season: SeasonTime {
            time_left: timed.clock.time_left_seconds,
            start_date: Date(timed.starts_at),
            end_date: Date(timed.clock.end_at),
            season_state: match timed.clock.state {
                SeasonState::NotStarted => "NOT_STARTED",
                SeasonState::Active => "ACTIVE",
                SeasonState::Paused => "PAUSED",
                SeasonState::Ended => "ENDED",
            },
        },
        current_week: WeekTime { time_left: timed.clock.week.map_or(0, |week| week.time_left_seconds) },
        user: Enrolment { has_started_program: false },
        credits: Credits { available: Number::from(0), expires_in: 0, is_blocked_for_claiming: false },
        goals: timed.current_goals().map(|goal| GoalProgress::new(goal, 0, false)).collect(),
    }
}
