//! The achievements dialect: how many of the achievements of games a user has.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Serialize, Serializer};
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Schema};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{OpenApi, PartialSchema, ToSchema};

use super::service::{self, Summary};
use waymark_auth::{extract, policy};
use waymark_kernel::error::{Code, Result};
use waymark_request::Request;
use waymark_rest_kit as rest;
use waymark_rest_kit::{Answer, Desk, Dialect, Fault, Part};
use waymark_users::service as users;
use waymark_users::service::Name;

/// The most games that one request may ask about.
const MOST_GAMES: usize = 10_000;

/// Returns the achievements dialect: its routes with their handlers, and their description.
pub fn part() -> Part {
    Part {
        dialect: Dialect::Achievements,
        routes: Router::new().route("/API/API_GetUserProgress.php", get(progress).post(progress_by_form)),
        document: Document::openapi(),
    }
}

#[derive(OpenApi)]
#[openapi(paths(progress, progress_by_form), components(schemas(Progress, GameProgress)))]
struct Document;

/// What a user has in a game.
#[derive(Debug, Default, Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
struct GameProgress {
    /// How many achievements the game has.
    num_possible_achievements: i32,
    /// What they are worth together.
    possible_score: i32,
    /// How many of them the user has, in hardcore mode or not.
    num_achieved: i32,
    score_achieved: i32,
    /// How many of them the user has in hardcore mode.
    num_achieved_hardcore: i32,
    score_achieved_hardcore: i32,
}

impl From<Summary> for GameProgress {
    fn from(summary: Summary) -> Self {
        let score = summary.achieved.score;
        Self {
            num_possible_achievements: summary.game.num_possible,
            possible_score: summary.game.possible_score,
            num_achieved: score.num_achieved,
            score_achieved: score.score_achieved,
            num_achieved_hardcore: score.num_achieved_hardcore,
            score_achieved_hardcore: score.score_achieved_hardcore,
        }
    }
}

/// Games by their numbers, in the order in which they were asked for. Nothing at all is an empty array, as it is in the
/// language of the service whose dialect this is.
#[derive(Debug, Default)]
struct Progress(Vec<(i64, GameProgress)>);

impl Serialize for Progress {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            serializer.collect_seq([(); 0])
        } else {
            serializer.collect_map(self.0.iter().map(|(game, progress)| (game, progress)))
        }
    }
}

impl PartialSchema for Progress {
    fn schema() -> RefOr<Schema> {
        let of_games = ObjectBuilder::new()
            .description(Some("What the user has in each game, by the game's number, in the order of the request."))
            .additional_properties(Some(Ref::from_schema_name("GameProgress")));
        let nothing = ArrayBuilder::new()
            .description(Some("Always empty: there is no such user, or no game was named."))
            .max_items(Some(0));
        OneOfBuilder::new().item(of_games).item(nothing).into()
    }
}

impl ToSchema for Progress {
    fn name() -> std::borrow::Cow<'static, str> {
        "AchievementsProgress".into()
    }
}

/// How many of the achievements of these games a user has.
///
/// A game that is not known has six zeros. An empty array where no game is named, or nobody is known by this name.
#[utoipa::path(
    get,
    path = "/API/API_GetUserProgress.php",
    operation_id = "getAchievementsProgress",
    params(
        ("y" = Option<String>, Query, description = "An API key with the scope profiles:read, unless it stands in a header."),
        ("z" = Option<String>, Query, description = "The name of the caller. Not looked at."),
        ("u" = String, Query, description = "The user's handle, 2 to 20 letters and digits in any case, or ULID.",
            pattern = "^([A-Za-z0-9]{2,20}|[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25})$"),
        ("i" = Option<String>, Query, description = "The numbers of games, separated by commas. What is no number above 0 is left out."),
    ),
    responses(
        (status = 200, description = "What the user has in each game.", body = Progress),
        (status = 401, description = "The key is missing, unknown, revoked or expired.", body = rest::AchievementsError),
        (status = 403, description = "The key does not have the scope profiles:read.", body = rest::AchievementsError),
        (status = 422, description = "u is missing or malformed, or there are too many games.", body = rest::ParameterError),
    ),
    security(("WebApiKey" = []), ("ApiKey" = [])),
)]
async fn progress(desk: Desk, uri: Uri, headers: HeaderMap) -> Answer<Progress> {
    answer(&desk, &headers, &rest::query(&uri)).await
}

/// The same, with the parameters in a form, for long lists of games.
///
/// Parameters may also stand in the query; those of the form count more.
#[utoipa::path(
    post,
    path = "/API/API_GetUserProgress.php",
    operation_id = "getAchievementsProgressByForm",
    request_body(content = Form, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "What the user has in each game.", body = Progress),
        (status = 401, description = "The key is missing, unknown, revoked or expired.", body = rest::AchievementsError),
        (status = 403, description = "The key does not have the scope profiles:read.", body = rest::AchievementsError),
        (status = 422, description = "u is missing or malformed, or there are too many games.", body = rest::ParameterError),
    ),
    security(("WebApiKey" = []), ("ApiKey" = [])),
)]
async fn progress_by_form(
    desk: Desk,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer<Progress> {
    let mut parameters = rest::query(&uri);
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let body = body?;
    if kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        parameters.extend(rest::parameters(&body));
    }
    answer(&desk, &headers, &parameters).await
}

/// The parameters as a form has them.
#[derive(ToSchema)]
#[schema(as = AchievementsForm)]
#[expect(dead_code, reason = "describes the form, which is read parameter by parameter")]
struct Form {
    /// An API key with the scope profiles:read, unless it stands in a header.
    y: Option<String>,
    /// The name of the caller. Not looked at.
    z: Option<String>,
    /// The user's handle, 2 to 20 letters and digits in any case, or ULID.
    #[schema(pattern = "^([A-Za-z0-9]{2,20}|[0-7][0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{25})$")]
    u: String,
    /// The numbers of games, separated by commas. What is no number above 0 is left out.
    i: Option<String>,
}

async fn answer(desk: &Desk, headers: &HeaderMap, parameters: &[(String, String)]) -> Answer<Progress> {
    let now = desk.now();
    let unauthenticated = || Fault::unauthorized("Unauthenticated.");
    let key = rest::parameter(parameters, "y").filter(|key| !key.is_empty());
    let credential = match key {
        Some(key) => Some(key),
        None => extract::credential(headers).map_err(|_| desk.refuse(unauthenticated()))?,
    };
    let caller = desk.authenticate(credential.ok_or_else(unauthenticated)?, now).await;
    let caller = caller.map_err(|error| match error.code() {
        Code::InvalidCredential => unauthenticated(),
        _ => error.into(),
    })?;
    policy::ask_for_people(&caller)?;
    let user = rest::parameter(parameters, "u").unwrap_or_default().to_owned();
    let games = numbers(rest::parameter(parameters, "i").unwrap_or_default());
    if games.len() > MOST_GAMES {
        return Err(unprocessable("i", format!("The i field must not have more than {MOST_GAMES} items.")));
    }
    desk.charge(&caller, u64::try_from(games.len()).unwrap_or(u64::MAX))?;
    desk.work(caller, now, async |request| read(&request, user, games).await).await.map(Json)
}

async fn read(request: &Request, user: String, games: Vec<i64>) -> Result<Progress, Fault> {
    let name = if user.len() == 26 { Name::Id(user) } else { Name::Handle(user) };
    let user = users::user(request, name).await.map_err(|error| match error.code() {
        Code::BadUserInput => unprocessable("u", "The u field is required."),
        _ => error.into(),
    })?;
    let visible = user.and_then(|user| policy::see(&request.caller, &user.subject));
    let Some(visible) = visible else { return Ok(Progress::default()) };
    let summaries = service::summaries_by_number(request, &visible, &games).await?;
    let progress = summaries.into_iter().map(|summary| summary.map_or_else(GameProgress::default, GameProgress::from));
    Ok(Progress(games.into_iter().zip(progress).collect()))
}

fn unprocessable(parameter: &'static str, message: impl Into<std::borrow::Cow<'static, str>>) -> Fault {
    Fault::new(StatusCode::UNPROCESSABLE_ENTITY, message).of_parameter(parameter)
}

/// The numbers above 0 in a list, each once, in their order.
fn numbers(list: &str) -> Vec<i64> {
    let mut seen = std::collections::HashSet::new();
    let number = |item: &str| {
        let item = item.trim();
        let digits = !item.is_empty() && item.bytes().all(|byte| byte.is_ascii_digit());
        item.parse().ok().filter(|number| digits && *number > 0)
    };
    list.split(',').filter_map(number).filter(|number| seen.insert(*number)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_above_0_is_left_out_and_each_number_counts_once() {
        assert_eq!(numbers("14402,1, 3 ,1,007,x,,0,-2,+4,1.5,1e3,99999999999999999999,２"), [14402, 1, 3, 7]);
        assert_eq!(numbers(""), [0; 0]);
        assert_eq!(numbers(&"5,".repeat(5000)), [5]);
    }

    #[test]
    fn nothing_is_an_array_and_everything_else_an_object_in_order() {
        let json = |progress: &Progress| serde_json::to_string(progress).unwrap();
        assert_eq!(json(&Progress::default()), "[]");
        let two = Progress(vec![(14402, GameProgress::default()), (1, GameProgress::default())]);
        assert!(json(&two).starts_with(r#"{"14402":{"NumPossibleAchievements":0,"PossibleScore":0,"#));
    }
}
