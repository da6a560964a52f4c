//! GraphQL over WebSockets: `graphql-transport-ws` on the upgrade of `/graphql`.

mod protocol;
mod socket;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{State, WebSocketUpgrade};
use axum::http::header::{AUTHORIZATION, HOST, ORIGIN, RETRY_AFTER, UPGRADE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::Response;
use serde_json::{Map, Value};

use super::peer::{self, Connection};
use super::{graphql, refusal};
use crate::app::App;
use crate::auth::extract;
use crate::error::Result;
use protocol::Close;
use socket::Socket;

/// How long the other end has to answer when a socket is closed.
const FAREWELL: Duration = Duration::from_secs(3);

/// `GET /graphql`, with or without an upgrade.
pub(super) async fn get(
    State(app): State<Arc<App>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    connection: Connection,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    if !headers.contains_key(UPGRADE) {
        return graphql::get(State(app), connection, method, uri, headers).await;
    }
    match upgrade {
        Ok(upgrade) => {
            let peer = peer::of(&connection, &headers, app.config.proxies);
            open(app, upgrade, peer, &headers)
        }
        Err(rejection) => refusal(rejection.status(), "this is no upgrade to a WebSocket"),
    }
}

fn open(app: Arc<App>, upgrade: WebSocketUpgrade, peer: Option<IpAddr>, headers: &HeaderMap) -> Response {
    if !is_welcome(headers, &app.config.cors_origins) {
        return refusal(StatusCode::FORBIDDEN, "pages of this origin may not connect; see the setting cors_origins");
    }
    if extract::signature(headers).is_some() {
        return refusal(StatusCode::BAD_REQUEST, "a signature is good for one request and not for a WebSocket");
    }
    let shown = match extract::credential(headers) {
        Ok(credential) => credential.map(str::to_owned),
        Err(error) => return refusal(StatusCode::UNAUTHORIZED, error.message()),
    };
    let Some(place) = app.streams.enter() else {
        let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, "there are too many connections; try again later");
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        return response;
    };
    let most = app.config.limits.max_body_bytes;
    let mut upgrade = upgrade.max_message_size(most).max_frame_size(most).write_buffer_size(0);
    let speaks = upgrade.requested_protocols().any(|requested| requested == protocol::NAME);
    // A client that speaks something else learns why by a closing frame, which it can read only if we seem to agree.
    let answer = if speaks {
        Some(HeaderValue::from_static(protocol::NAME))
    } else {
        upgrade.requested_protocols().next().cloned()
    };
    if let Some(answer) = answer {
        upgrade.set_selected_protocol(answer);
    }
    upgrade.on_failed_upgrade(|error| tracing::debug!(%error, "an upgrade to a WebSocket failed")).on_upgrade(
        move |stream| async move {
            let mut socket = Socket::new(app, stream, place, peer);
            let close = if speaks {
                socket.serve(shown).await
            } else {
                Some(Close::new(Close::NO_PROTOCOL, "Subprotocol not acceptable"))
            };
            if let Some(close) = close {
                socket.close(close).await;
            }
        },
    )
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

/// The credential in the payload of `connection_init`, where members are named as headers are; `None` when there is none.
fn credential_in(payload: &Map<String, Value>) -> Result<Option<String>> {
    let mut headers = HeaderMap::new();
    for (name, value) in payload {
        let name = name.to_ascii_lowercase();
        if name != AUTHORIZATION.as_str() && name != "x-api-key" {
            continue;
        }
        // What fits into no header is a credential that cannot be read.
        let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
        if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
            headers.insert(name, value.unwrap_or_else(|| HeaderValue::from_static("")));
        }
    }
    Ok(extract::credential(&headers)?.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
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
        let read = |json: Value| credential_in(json.as_object().unwrap());
        assert_eq!(read(serde_json::json!({ "Authorization": "Bearer abc" })).unwrap().as_deref(), Some("abc"));
        assert_eq!(read(serde_json::json!({ "X-API-Key": "wmk_1" })).unwrap().as_deref(), Some("wmk_1"));
        assert_eq!(read(serde_json::json!({ "other": 1 })).unwrap(), None);
        for bad in [serde_json::json!({ "authorization": 7 }), serde_json::json!({ "authorization": "abc" })] {
            assert!(read(bad).is_err());
        }
    }
}
