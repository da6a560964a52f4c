//! What every request passes first: its id, and the count of its answer.
//!
//! The id is the client's own `X-Request-Id` where it is fit for a log, else a new one. It stands in every line that is
//! logged on behalf of the request, in the answer, and beside the code of an error that is a fault of ours.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use tracing::Instrument as _;

use super::media::{Accepts, Media};
use super::peer::{self, Peer};
use super::traced::Traced;
use crate::app::App;
use waymark_kernel::metrics::Route;
use waymark_kernel::trace;
use waymark_request::admission::{Origin, Unanswered};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken from a client.
const LONGEST_ID: usize = 128;
/// Our own paths; all others are counted by the route that answered, or together.
const PATHS: [&str; 6] = ["/graphql", "/healthz", "/readyz", "/metrics", "/schema.graphql", "/openapi.json"];
/// What is answered also when the server has too much to do.
const ALWAYS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];
/// Files of the playground, and paths at which there is nothing.
const OTHER: &str = "(other)";

tokio::task_local! {
    static ID: HeaderValue;
}

/// The id of the request that is being answered; `None` outside of a request.
pub fn request_id() -> Option<String> {
    ID.try_with(|id| id.to_str().map(str::to_owned).ok()).ok().flatten()
}

/// Takes every request in.
pub(super) struct Front {
    app: Arc<App>,
    graphql: Arc<Route>,
    /// What ids of this process begin with.
    prefix: String,
    next: AtomicU64,
}

impl Front {
    pub(super) fn new(app: Arc<App>) -> Self {
        let prefix = app.ids.bytes::<6>().iter().map(|byte| format!("{byte:02x}")).collect();
        Self { graphql: app.metrics.route("/graphql"), prefix, next: AtomicU64::new(0), app }
    }

    /// Lets `next` answer.
    pub(super) async fn answer<F: Future<Output = Response>>(
        &self,
        mut request: Request,
        next: impl FnOnce(Request) -> F,
    ) -> Response {
        let began = Instant::now();
        let id = self.id(request.headers());
        if let Some(Peer(line)) = request.extensions().get() {
            let origin = peer::address(Some(line.address()), request.headers(), self.app.config.proxies);
            request.extensions_mut().insert(Origin(origin));
        }
        let path = request.uri().path();
        let known = PATHS.into_iter().find(|known| *known == path);
        let logged = tracing::enabled!(tracing::Level::DEBUG).then(|| (request.method().clone(), path.to_owned()));
        let traced = Traced::begin(&request, &id);
        let work = async {
            let mut response = next(request).await;
            let (status, took) = (response.status(), began.elapsed());
            if let Some(traced) = &traced {
                let matched = response.extensions().get::<MatchedPath>();
                traced.answered(known.or(matched.map(MatchedPath::as_str)), status);
            }
            let route = match known {
                Some("/graphql") => Arc::clone(&self.graphql),
                Some(path) => self.app.metrics.route(path),
                None => {
                    let matched = response.extensions().get::<MatchedPath>();
                    self.app.metrics.route(matched.map_or(OTHER, MatchedPath::as_str))
                }
            };
            route.answered(status.as_u16(), took);
            if status == StatusCode::TOO_MANY_REQUESTS {
                self.app.metrics.rate_limited.increment(1);
            }
            if let Some((method, path)) = logged {
                // Without the query, which may hold a key.
                tracing::debug!(%method, path = trace::bounded(&path), status = status.as_u16(), micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX), "answered");
            }
            response.headers_mut().insert(REQUEST_ID, id.clone());
            response
        };
        match &traced {
            None => ID.scope(id.clone(), work).await,
            // Boxed, so that a request that is not traced has no larger future than without this.
            Some(traced) => ID.scope(id.clone(), Box::pin(work).instrument(traced.span())).await,
        }
    }

    /// The id of a request with these headers.
    fn id(&self, headers: &HeaderMap) -> HeaderValue {
        if let Some(theirs) = headers.get(REQUEST_ID).filter(|theirs| is_fit(theirs.as_bytes())) {
            return theirs.clone();
        }
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let id = format!("{}-{number:x}", self.prefix);
        // Hexadecimal digits always fit into a header.
        HeaderValue::try_from(id).unwrap_or(HeaderValue::from_static("none"))
    }
}

/// Whether an id can stand in a log as it is.
fn is_fit(id: &[u8]) -> bool {
    (1..=LONGEST_ID).contains(&id.len())
        && id.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte))
}

/// The same as [`admitted`] for a router.
pub(super) async fn admit(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    admitted(&app, request, |request| next.run(request)).await
}

/// Answers a request that belongs to no dialect by `next`, in its turn and within the time limit.
pub(super) async fn admitted<F: Future<Output = Response>>(
    app: &App,
    request: Request,
    next: impl FnOnce(Request) -> F,
) -> Response {
    let path = request.uri().path();
    let media = if path == "/graphql" { Accepts::of(request.headers()).map(|accepts| accepts.media) } else { None };
    let answer = if ALWAYS.contains(&path) {
        app.admission.answer_always(next(request)).await
    } else {
        app.admission.answer(request, next).await
    };
    answer.unwrap_or_else(|unanswered| refuse(unanswered, media))
}

fn refuse(unanswered: Unanswered, media: Option<Media>) -> Response {
    let (status, message) = (unanswered.status(), unanswered.message());
    let mut response = super::refusal_as(media, status, message);
    if status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::{Body, to_bytes};
    use axum::routing::get;
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use super::*;
    use waymark_db::Db;
    use waymark_kernel::clock::Ids;
    use waymark_kernel::config::Config;
    use waymark_rest_kit as rest;
    use waymark_rest_kit::{Desk, Dialect, Part};

    /// Handlers that never answer, and handlers that panic.
    fn handlers<S: Clone + Send + Sync + 'static>(prefix: &str) -> Router<S> {
        let never = async || std::future::pending::<()>().await;
        let panics = async || -> () { panic!("a secret of the handler") };
        Router::new().route(&format!("{prefix}/never"), get(never)).route(&format!("{prefix}/panics"), get(panics))
    }

    #[tokio::test]
    async fn whoever_panics_or_never_ends_is_answered_for_in_the_words_of_the_interface() {
        let directory = std::env::temp_dir().join(format!("waymark-front-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let db = Db::connect(&format!("sqlite://{}/test.db", directory.display()), 2).await.unwrap();
        db.migrate().await.unwrap();
        let settings = [
            ("WAYMARK_JWT_SECRET", "a secret of the tests, long enough for HS256"),
            ("WAYMARK_REQUEST_TIMEOUT_SECONDS", "1"),
            ("WAYMARK_CLOCK", "2026-03-15T14:30:00Z"),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let app = App::new(Config::from_sources(None, settings).unwrap(), db, Ids::seeded(1)).await.unwrap();
        let dialects = [
            (Dialect::Credits, "/users/x/progress"),
            (Dialect::Learning, "/api/user-progress"),
            (Dialect::Achievements, "/API"),
            (Dialect::Collections, "/api/v1"),
        ];
        let parts = dialects.map(|(dialect, prefix)| Part {
            dialect,
            routes: handlers::<Desk>(prefix),
            document: rest::document([]),
        });
        let server = super::super::Server::assemble(handlers("/graphql"), parts, Arc::clone(&app));
        let ask = async |path: String| {
            let request = Request::get(path).header("x-request-id", "mine");
            let response = server.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            assert_eq!(headers["x-request-id"], "mine");
            assert_eq!(headers.contains_key("retry-after"), status == 503);
            let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
            (status, serde_json::from_slice::<Value>(&body).unwrap())
        };
        let (slow, fault) = ("the answer took too long; try again", "internal error");
        let late = |body: Value| (503, body);
        let broken = |body: Value| (500, body);
        let graphql =
            |message: &str, extensions: Value| json!({ "errors": [{ "message": message, "extensions": extensions }] });
        let credits = |message: &str, code: &str| json!({ "error": message, "code": code });
        let achievements = |message: &str, status: u16, code: &str| json!({ "message": message, "errors": [{ "status": status, "code": code, "title": message }] });
        let collections = |message: &str, status: u16| {
            let timestamp = "1773585000000";
            json!({ "status": { "timestamp": timestamp, "errorCode": status, "errorMessage": message } })
        };
        let expected = [
            (
                "/graphql",
                late(graphql(slow, json!({ "code": "UNAVAILABLE" }))),
                broken(graphql(fault, json!({ "code": "INTERNAL", "id": "mine" }))),
            ),
            ("/users/x/progress", late(credits(slow, "unavailable")), broken(credits(fault, "internal_error"))),
            ("/api/user-progress", late(json!({ "error": slow })), broken(json!({ "error": fault }))),
            ("/API", late(achievements(slow, 503, "unavailable")), broken(achievements(fault, 500, "internal_error"))),
            ("/api/v1", late(collections(slow, 503)), broken(collections(fault, 500))),
        ];
        let count = expected.len();
        for (prefix, never, panics) in expected {
            assert_eq!(ask(format!("{prefix}/never")).await, never);
            assert_eq!(ask(format!("{prefix}/panics")).await, panics);
        }
        let figures = app.figures();
        for name in ["timed_out", "panicked"] {
            assert!(figures.contains(&format!("waymark_requests_{name}_total {count}\n")), "{name}: {figures}");
        }
        assert!(figures.contains("waymark_requests_running 0\n"), "their places are free again: {figures}");
        std::fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn an_id_of_a_client_is_taken_when_it_is_short_and_harmless() {
        for fit in ["1", "0af7651916cd43dd8448eb211c80319c", "req_a.b:c-D", "a/b+c=@"] {
            assert!(is_fit(fit.as_bytes()), "{fit}");
        }
        let long = "a".repeat(LONGEST_ID + 1);
        for unfit in ["", " ", "a b", "a\tb", "a\"b", "a\u{1b}[31m", "é", "{}", long.as_str()] {
            assert!(!is_fit(unfit.as_bytes()), "{unfit}");
        }
    }
}
