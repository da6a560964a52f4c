//! GraphQL over WebSockets: `graphql-transport-ws` on the upgrade of `/graphql`.

mod frames;
mod protocol;
mod socket;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{
    AUTHORIZATION, CONNECTION, HOST, ORIGIN, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::Response;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};

use super::peer::{self, Peer};
use super::{graphql, refusal, refusal_of};
use crate::app::App;
use frames::Frames;
use protocol::Close;
use socket::Socket;
use waymark_auth::extract;
use waymark_kernel::error::{Code, Error, Result};

/// What a client with a signature is told.
const SIGNED: &str = "a signature is good for one request and not for a WebSocket";

/// How long the other end has to answer when a socket is closed.
const FAREWELL: Duration = Duration::from_secs(3);

/// `GET /graphql`, with or without an upgrade.
pub(super) async fn get(State(app): State<Arc<App>>, request: Request) -> Response {
    let (mut parts, _) = request.into_parts();
    let connection = parts.extensions.get::<Peer>().cloned().map(Extension);
    // Another protocol than ours, such as the `h2c` that Java offers with every request, is left alone; and so is what
    // `Connection` does not name, which was meant for another hop, where there is a query to be answered.
    let is_named = names(&parts.headers, &CONNECTION, "upgrade") || parts.uri.query().is_none();
    if !is_named || !names(&parts.headers, &UPGRADE, "websocket") {
        return graphql::get(State(app), connection, parts.method, parts.uri, parts.headers).await;
    }
    let peer = peer::of(&connection, &parts.headers, app.config.proxies);
    let upgrade = parts.extensions.remove::<OnUpgrade>();
    match (upgrade, connection, asked_for(&parts)) {
        (Some(upgrade), Some(Extension(line)), Some(accept)) => {
            let mut response = open(app, Upgrade { upgrade, accept, line, peer }, &parts.headers);
            // In which the HTTP layer notes how the client writes the names of headers.
            *response.extensions_mut() = parts.extensions;
            response
        }
        _ => {
            let message = "this is no upgrade to a WebSocket of version 13";
            let mut response = refusal(StatusCode::BAD_REQUEST, message);
            response.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            response
        }
    }
}

/// A connection that is to become a WebSocket.
struct Upgrade {
    upgrade: OnUpgrade,
    accept: HeaderValue,
    line: Peer,
    peer: Option<IpAddr>,
}

/// What answers to a request for a WebSocket; `None` when it is none.
fn asked_for(parts: &Parts) -> Option<HeaderValue> {
    let headers = &parts.headers;
    let fits = parts.method == Method::GET
        && names(headers, &CONNECTION, "upgrade")
        && names(headers, &UPGRADE, "websocket")
        && names(headers, &SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|_| fits)?;
    HeaderValue::try_from(frames::accept(key.as_bytes())).ok()
}

/// Whether a header that is a list names this, in whatever case.
fn names(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    tokens(headers, name).any(|token| token.eq_ignore_ascii_case(wanted))
}

/// The parts of a header that is a list.
fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).filter(|token| !token.is_empty())
}

fn open(app: Arc<App>, asked: Upgrade, headers: &HeaderMap) -> Response {
    if !is_welcome(headers, &app.config.cors_origins) {
        return refusal(StatusCode::FORBIDDEN, "pages of this origin may not connect; see the setting cors_origins");
    }
    if extract::signature(headers).is_some() {
        return match app.authenticator.takes_signatures() {
            Ok(()) => refusal(StatusCode::BAD_REQUEST, SIGNED),
            Err(error) => refusal_of(None, StatusCode::UNAUTHORIZED, error.code(), error.message()),
        };
    }
    let shown = match extract::credential(headers) {
        Ok(credential) => credential.map(str::to_owned),
        Err(error) => return refusal(StatusCode::UNAUTHORIZED, error.message()),
    };
    let Some(place) = app.streams.enter_unknown(asked.peer) else {
        let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, "there are too many connections; try again later");
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        return response;
    };
    let speaks = tokens(headers, &SEC_WEBSOCKET_PROTOCOL).any(|requested| requested == protocol::NAME);
    // A client that speaks something else learns why by a closing frame, which it can read only if we seem to agree.
    let agreed = if speaks { Some(protocol::NAME) } else { tokens(headers, &SEC_WEBSOCKET_PROTOCOL).next() };
    let agreed = agreed.and_then(|name| HeaderValue::from_str(name).ok());
    let Upgrade { upgrade, accept, line: Peer(line), peer } = asked;
    tokio::spawn(async move {
        let stream = match upgrade.await {
            Ok(stream) => TokioIo::new(stream),
            Err(error) => return tracing::debug!(%error, "an upgrade to a WebSocket failed"),
        };
        line.upgrade();
        let frames = Frames::new(stream, app.config.limits.max_body_bytes, app.admission.hold(peer));
        let mut socket = Socket::new(app, frames, place, peer);
        let close = if speaks {
            socket.serve(shown).await
        } else {
            Some(Close::new(Close::NO_PROTOCOL, "Subprotocol not acceptable"))
        };
        // Boxed, because it comes once and last.
        if let Some(close) = close {
            Box::pin(socket.close(close)).await;
        }
    });
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let ours = [
        (CONNECTION, Some(HeaderValue::from_static("upgrade"))),
        (UPGRADE, Some(HeaderValue::from_static("websocket"))),
        (SEC_WEBSOCKET_ACCEPT, Some(accept)),
        (SEC_WEBSOCKET_PROTOCOL, agreed),
    ];
    response.headers_mut().extend(ours.into_iter().filter_map(|(name, value)| Some((name, value?))));
    response
}

/// Whether a page of this origin may connect. Browsers let any page open a socket, cookies or not, and leave it to the
/// server to look at where the page comes from; other clients send no origin.
fn is_welcome(headers: &HeaderMap, allowed: &[String]) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return false };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let same =
        origin.split_once("://").is_some_and(|(_, from)| host.is_some_and(|host| host.eq_ignore_ascii_case(from)));
    same || allowed.iter().any(|one| one == "*" || one.eq_ignore_ascii_case(origin))
}

/// The credential in the payload of `connection_init`, where members are named as headers are; `None` when there is
/// none. A signature instead of one is refused: it is none that would be taken.
fn credential_in(payload: &Map<String, Value>, signatures: Result<()>) -> Result<Option<String>> {
    let (mut headers, mut signed) = (HeaderMap::new(), false);
    for (name, value) in payload {
        let name = name.to_ascii_lowercase();
        signed |= name.starts_with("x-identity-");
        if name != AUTHORIZATION.as_str() && name != "x-api-key" {
            continue;
        }
        // What fits into no header is a credential that cannot be read.
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            headers.insert(name, value.unwrap_or_else(|| HeaderValue::from_static("")));
        }
    }
    match extract::credential(&headers)? {
        None if signed => signatures.and(Err(Error::new(Code::InvalidCredential, SIGNED))),
        credential => Ok(credential.map(str::to_owned)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_websocket_is_asked_for_by_all_of_its_headers() {
        let good = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let asked = |method: Method, headers: &[(&str, &str)]| {
            let mut request = Request::builder().method(method);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            asked_for(&request.body(()).unwrap().into_parts().0)
        };
        assert_eq!(asked(Method::GET, &good).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(asked(Method::HEAD, &good).is_none());
        for missing in 0..good.len() {
            let mut headers = good.to_vec();
            headers.remove(missing);
            assert!(asked(Method::GET, &headers).is_none(), "{missing}");
        }
        let other = [good[0], good[1], ("sec-websocket-version", "8"), good[3]];
        assert!(asked(Method::GET, &other).is_none());
    }

    #[test]
    fn pages_of_our_own_and_of_allowed_origins_are_welcome() {
        let allowed = ["https://app.example".to_owned()];
        for (origin, host, welcome) in [
            ("http://waymark.example", "waymark.example", true),
            ("https://Waymark.example", "waymark.example", true),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", true),
            ("http://127.0.0.1:8081", "127.0.0.1:8080", false),
            ("https://app.example", "waymark.example", true),
            ("https://app.example.evil", "waymark.example", false),
            ("https://waymark.example.evil", "waymark.example", false),
            ("null", "waymark.example", false),
            ("", "waymark.example", false),
        ] {
            assert_eq!(is_welcome(&headers(&[(ORIGIN, origin), (HOST, host)]), &allowed), welcome, "{origin}");
        }
        assert!(is_welcome(&headers(&[(HOST, "waymark.example")]), &[]), "no browser");
        assert!(is_welcome(&headers(&[(ORIGIN, "null")]), &["*".to_owned()]));
    }

    #[test]
    fn a_credential_is_read_off_the_payload_whatever_its_case() {
        let read = |json: Value| credential_in(json.as_object().unwrap(), Ok(()));
        assert_eq!(read(serde_json::json!({ "Authorization": "Bearer abc" })).unwrap().as_deref(), Some("abc"));
        assert_eq!(read(serde_json::json!({ "X-API-Key": "wmk_1" })).unwrap().as_deref(), Some("wmk_1"));
        assert_eq!(read(serde_json::json!({ "other": 1 })).unwrap(), None);
        for bad in [
            serde_json::json!({ "authorization": 7 }),
            serde_json::json!({ "authorization": "abc" }),
            serde_json::json!({ "X-Identity-Auth-Chain-0": "{}" }),
        ] {
            assert!(read(bad).is_err());
        }
        let off = Err(Error::new(Code::InvalidCredential, "off"));
        let signed = serde_json::json!({ "x-identity-timestamp": "1" });
        assert_eq!(credential_in(signed.as_object().unwrap(), off).unwrap_err().message(), "off");
    }
}
