//! The share card: the public progress of a user, as a picture to put into other pages.

mod picture;

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{OriginalUri, Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::try_join;

use self::picture::{Card, GameLine};
use super::peer::{self, Connection};
use super::tagged::Tagged;
use super::{nowhere, refusal, refusal_of};
use crate::app::App;
use waymark_auth::{Caller, policy};
use waymark_db::page::Slice;
use waymark_kernel::error::{Code, Result};
use waymark_kinds::collections;
use waymark_kinds::games;
use waymark_kinds::games::service::{Listed, Sorted};
use waymark_kinds::users;
use waymark_kinds::users::service::Name;
use waymark_request::Request;

/// A profile that is hidden is hidden everywhere a minute later.
const CACHED: &str = "public, max-age=60";
/// A picture that runs nothing and loads nothing, also when it is opened by itself.
const POLICY: &str = "default-src 'none'; frame-ancestors 'none'; sandbox";
/// Pages elsewhere may show it, as the picture it is.
const SHARED: [(HeaderName, HeaderValue); 2] = [
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin")),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
];

/// How many games the card names.
const GAMES: u32 = 3;

/// What a card costs of what an address may ask for: about as much as an operation that asks for the same.
const COST: u64 = 20;

/// `GET /u/{handle}/card.svg`: what an anonymous caller may see, for every caller.
pub(super) async fn get(
    State(app): State<Arc<App>>,
    handle: Result<Path<String>, PathRejection>,
    OriginalUri(uri): OriginalUri,
    connection: Connection,
    headers: HeaderMap,
) -> Response {
    let Ok(Path(handle)) = handle else { return nowhere::refuse(true, &uri, &headers) };
    let peer = peer::of(&connection, &headers, app.config.proxies);
    if let Err(error) = app.rates.charge(&Caller::Anonymous, peer, COST) {
        let mut response = refusal_of(None, StatusCode::TOO_MANY_REQUESTS, error.code(), error.message());
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(error.retry_after().unwrap_or(1)));
        return response;
    }
    let request = app.request(Arc::new(Caller::Anonymous), app.clock.now());
    let load = Arc::clone(&request.load);
    match load.run(card(&request, handle)).await {
        Ok(Some(card)) => answer(card.draw(), &headers),
        Ok(None) => nowhere::refuse(true, &uri, &headers),
        Err(error) => {
            tracing::error!(error = error.chain(), "a card could not be drawn");
            refusal(StatusCode::SERVICE_UNAVAILABLE, "the card cannot be drawn now")
        }
    }
}

/// What the card of a user says. Profiles that are not PUBLIC have no card; the answer is the same as for a user who
/// does not exist.
async fn card(request: &Request, handle: String) -> Result<Option<Card>> {
    let user = match users::service::user(request, Name::Handle(handle)).await {
        Ok(Some(user)) => user,
        Ok(None) => return Ok(None),
        // No user has a handle of this form.
        Err(error) if error.code() == Code::BadUserInput => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(visible) = policy::see(&request.caller, &user.subject) else { return Ok(None) };
    let best = Slice { after: None, before: None, limit: GAMES, from_end: false };
    let (played, mastered, best, collecting) = try_join!(
        games::service::played_count(request, &visible, Listed::Played),
        games::service::played_count(request, &visible, Listed::Mastered),
        games::service::played(request, &visible, Listed::Played, Sorted::Score, best),
        collections::service::collections(request, &visible),
    )?;
    let line = |summary: games::service::Summary| GameLine {
        title: summary.game.title.clone(),
        achieved: summary.achieved.score.num_achieved,
        hardcore: summary.achieved.score.num_achieved_hardcore,
        possible: summary.game.num_possible,
    };
    Ok(Some(Card {
        name: user.display_name.clone().unwrap_or_else(|| user.handle.clone()),
        handle: user.handle.clone(),
        played,
        mastered,
        completed: collecting.iter().filter(|one| one.is_completed()).count(),
        cards: collecting.iter().map(|one| i64::from(one.count())).sum(),
        games: best.into_iter().map(line).collect(),
    }))
}

fn answer(svg: String, headers: &HeaderMap) -> Response {
    let media = [(CONTENT_TYPE, "image/svg+xml; charset=utf-8"), (CONTENT_SECURITY_POLICY, POLICY)];
    Tagged::new(svg).answer(headers, [(CACHE_CONTROL, CACHED)], (media, SHARED))
}
