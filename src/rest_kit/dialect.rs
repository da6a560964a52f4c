//! The dialects: where they are served, who may call them from a browser, and how they put faults.

use axum::body::{Body, HttpBody as _};
use axum::extract::{DefaultBodyLimit, MatchedPath, Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde::Serialize;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::ToSchema;
use utoipa::openapi::Components;

use super::cors::{cors, origins};
use super::desk::{Sender, Tab};
use super::{Desk, ENCODED, Fault, is_encoded};
use waymark_auth::extract;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::config::Config;

/// A service whose clients are understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Seasons, goals and credits of players with a wallet.
    Credits,
    /// Progress with learning resources.
    Learning,
    /// Achievements in games.
    Achievements,
    /// Collections of cards.
    Collections,
}

/// A dialect with the handlers that speak it.
pub struct Part {
    /// The dialect that the routes speak.
    pub dialect: Dialect,
    /// The paths with their handlers, still without a desk.
    pub routes: Router<Desk>,
    /// What the handlers say about themselves.
    pub document: utoipa::openapi::OpenApi,
}

impl Dialect {
    /// The dialect in which `path` is answered, also when there is nothing at it; `None` when it is none of theirs.
    pub fn of(path: &str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/');
        match (segments.next()?, segments.next(), segments.next(), segments.next()) {
            ("API", ..) => Some(Self::Achievements),
            ("api", Some("user-progress"), ..) => Some(Self::Learning),
            ("api", Some("v1"), ..) => Some(Self::Collections),
            ("users", Some(_), Some("progress"), Some("progress")) => Some(Self::Collections),
            ("users", Some(_), Some("progress"), _) | ("users", _, _, None) => Some(Self::Credits),
            ("users", ..) => Some(Self::Collections),
            _ => None,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Credits => "Credits",
            Self::Learning => "Learning",
            Self::Achievements => "Achievements",
            Self::Collections => "Collections",
        }
    }

    /// The fault as this dialect's clients know it.
    fn put(self, fault: &Fault, now: Timestamp) -> Response {
        let Fault { status, number, parameter, .. } = *fault;
        let (message, code) = (fault.message.to_string(), fault.code());
        let body = match self {
            Self::Credits => Json(CreditsError { error: message, code: code.to_owned() }).into_response(),
            Self::Learning => Json(LearningError { error: message }).into_response(),
            Self::Achievements => match parameter {
                Some(name) => {
                    let errors = [(name, [message.clone()])].into();
                    Json(ParameterError { message, errors }).into_response()
                }
                None => {
                    let error =
                        AchievementsFault { status: status.as_u16(), code: code.to_owned(), title: message.clone() };
                    Json(AchievementsError { message, errors: vec![error] }).into_response()
                }
            },
            Self::Collections => {
                let error_code = number.unwrap_or(status.as_u16());
                let timestamp = now.millis().to_string();
                let status = CollectionsFault { timestamp, error_code, error_message: message };
                Json(CollectionsError { status }).into_response()
            }
        };
        (status, body).into_response()
    }

    /// Who may call this dialect from a browser.
    fn cors(self, config: &Config) -> CorsLayer {
        let named = HeaderName::from_static;
        let (origins, headers) = match self {
            Self::Credits => {
                let chain = extract::CHAIN.iter().copied().chain([extract::TIMESTAMP, extract::METADATA]).map(named);
                (AllowOrigin::any(), chain.chain([CONTENT_TYPE]).collect::<Vec<_>>())
            }
            Self::Learning => (origins(config), vec![AUTHORIZATION, CONTENT_TYPE]),
            Self::Achievements => (AllowOrigin::any(), vec![CONTENT_TYPE]),
            Self::Collections => {
                (AllowOrigin::any(), KEY_HEADERS.into_iter().map(named).chain([CONTENT_TYPE]).collect())
            }
        };
        let methods = [Method::GET, Method::HEAD, Method::POST];
        cors(config, origins, headers).allow_methods(methods)
    }
}

/// The headers in which the collections dialect takes its key.
pub const KEY_HEADERS: [&str; 3] = ["x-gft_api_key", "x-gft-api-key", "gft-api-key"];

/// What the credits dialect says about a fault.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreditsError {
    /// What is wrong, for people.
    error: String,
    /// The same in one word, for programs.
    #[schema(example = "unauthorized")]
    code: String,
}

/// What the learning dialect says about a fault.
#[derive(Debug, Serialize, ToSchema)]
pub struct LearningError {
    /// What is wrong, for people.
    error: String,
}

/// What the achievements dialect says about a fault.
#[derive(Debug, Serialize, ToSchema)]
pub struct AchievementsError {
    /// What is wrong, for people.
    message: String,
    errors: Vec<AchievementsFault>,
}

/// A fault in the achievements dialect.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AchievementsFault {
    /// The status of the answer.
    status: u16,
    /// What is wrong in one word, for programs.
    #[schema(example = "unauthorized")]
    code: String,
    /// What is wrong, for people.
    title: String,
}

/// What the achievements dialect says about a parameter that is missing or malformed.
#[derive(Debug, Serialize, ToSchema)]
pub struct ParameterError {
    /// What is wrong, for people.
    message: String,
    /// What is wrong with each parameter.
    #[schema(value_type = std::collections::HashMap<String, Vec<String>>)]
    errors: std::collections::BTreeMap<&'static str, [String; 1]>,
}

/// What the collections dialect says about a fault.
#[derive(Debug, Serialize, ToSchema)]
pub struct CollectionsError {
    status: CollectionsFault,
}

/// A fault in the collections dialect.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct CollectionsFault {
    /// The instant of the answer in milliseconds since 1970-01-01T00:00:00Z, as a text.
    timestamp: String,
    /// 1001: the key is not valid. 1002: there is no key. 5250: there is no such program. Else the status.
    error_code: u16,
    /// What is wrong, for people.
    error_message: String,
}

/// Adds what the dialects say about faults to the OpenAPI document. The whole of a dialect's fault is named after it, with
/// `Error` behind.
pub(super) fn describe_faults(components: &mut Components) {
    fn schema<T: ToSchema>(components: &mut Components) {
        components.schemas.insert(T::name().into_owned(), T::schema());
    }
    schema::<CreditsError>(components);
    schema::<LearningError>(components);
    schema::<AchievementsError>(components);
    schema::<AchievementsFault>(components);
    schema::<ParameterError>(components);
    schema::<CollectionsError>(components);
    schema::<CollectionsFault>(components);
}

/// Serves all dialects.
pub struct Server(Vec<(Dialect, Router)>);

impl Server {
    /// Puts together the dialects of `parts`, whose handlers work at `desk`.
    pub fn new(parts: impl IntoIterator<Item = Part>, desk: &Desk) -> Self {
        let serve = |part: Part| (part.dialect, serve(part.dialect, part.routes, desk.clone()));
        Self(parts.into_iter().map(serve).collect())
    }

    /// What answers at `path`; `None` when that belongs to no dialect.
    pub fn at(&self, path: &str) -> Option<&Router> {
        let dialect = Dialect::of(path)?;
        self.0.iter().find(|(known, _)| *known == dialect).map(|(_, router)| router)
    }
}

fn serve(dialect: Dialect, routes: Router<Desk>, desk: Desk) -> Router {
    let (body, cors) = (DefaultBodyLimit::max(desk.config.limits.max_body_bytes), dialect.cors(&desk.config));
    routes
        .fallback(async || Fault::not_found("there is nothing at this path"))
        .method_not_allowed_fallback(async || {
            Fault::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not take this method")
        })
        .with_state(desk.clone())
        .layer(body)
        .layer(middleware::from_fn_with_state((dialect, desk), finish))
        .layer(cors)
}

/// Answers within the time limit, and writes every failure in the words of the dialect, from whichever layer it comes.
async fn finish(State((dialect, desk)): State<(Dialect, Desk)>, mut request: Request, next: Next) -> Response {
    let is_head = request.method() == Method::HEAD;
    // What writes is answered with little more than was sent, and is not refused when it has been done.
    let is_read = dialect == Dialect::Achievements || request.method() != Method::POST;
    let peer = request.extensions().get::<Sender>().and_then(|Sender(peer)| *peer);
    let (desk, tab) = (Desk { peer, ..desk }, Tab::default());
    request.extensions_mut().insert(tab.clone());
    let route = request.extensions().get::<MatchedPath>().cloned();
    let response = if is_encoded(request.headers()) {
        Fault::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, ENCODED).into_response()
    } else {
        let answer = desk.admission.answer(request, |request| next.run(request)).await;
        answer.unwrap_or_else(|unanswered| Fault::new(unanswered.status(), unanswered.message()).into_response())
    };
    let bytes = length(&response);
    desk.bill(&tab, bytes);
    let most = desk.config.limits.max_answer_bytes;
    let response = if bytes > most && is_read { Fault::too_long(most).into_response() } else { response };
    let status = response.status();
    let (mut parts, body) = response.into_parts();
    // For the layer that counts the answers.
    if let Some(route) = route {
        parts.extensions.insert(route);
    }
    let fault = parts.extensions.remove::<Fault>().or_else(|| {
        // Found by the framework, such as a path that is no UTF-8.
        let found = status.is_client_error() || status.is_server_error();
        found.then(|| Fault::new(status, status.canonical_reason().unwrap_or("the request was refused").to_lowercase()))
    });
    let Some(fault) = fault else { return Response::from_parts(parts, body) };
    let mut response = dialect.put(&fault, desk.now());
    *response.extensions_mut() = parts.extensions;
    // What stood beside the fault, such as the methods that are allowed.
    parts.headers.remove(CONTENT_TYPE);
    parts.headers.remove(CONTENT_LENGTH);
    response.headers_mut().extend(parts.headers);
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        let seconds = HeaderValue::from(fault.retry_after.unwrap_or(1));
        response.headers_mut().entry(RETRY_AFTER).or_insert(seconds);
    }
    if is_head {
        *response.body_mut() = Body::empty();
    }
    response
}

/// How many bytes an answer has, or would have if it was sent with its body.
fn length(response: &Response) -> usize {
    let said = response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    said.unwrap_or_else(|| usize::try_from(response.body().size_hint().lower()).unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_belongs_to_one_dialect_or_to_none() {
        for (path, dialect) in [
            ("/users/0x7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5/progress", Some(Dialect::Credits)),
            ("/users/0x7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5/progress/", Some(Dialect::Credits)),
            ("/users/0x7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5", Some(Dialect::Credits)),
            ("/users", Some(Dialect::Credits)),
            ("/users/discord/1/progress/collection-challenges", Some(Dialect::Collections)),
            ("/users/discord/progress/progress/collection-challenges/p", Some(Dialect::Collections)),
            ("/users/discord/1/nothing", Some(Dialect::Collections)),
            ("/api/v1/users/discord/1/progress/collection-challenges", Some(Dialect::Collections)),
            ("/api/v1", Some(Dialect::Collections)),
            ("/api/user-progress", Some(Dialect::Learning)),
            ("/api/user-progress/nothing", Some(Dialect::Learning)),
            ("/API/API_GetUserProgress.php", Some(Dialect::Achievements)),
            ("/API/nothing", Some(Dialect::Achievements)),
            ("/graphql", None),
            ("/", None),
            ("/u/grace", None),
            ("/api", None),
            ("/usersx", None),
            ("*", None),
            ("", None),
        ] {
            assert_eq!(Dialect::of(path), dialect, "{path}");
        }
    }
}
