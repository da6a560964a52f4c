//! Finds the credential of an HTTP request. The schemes are tried in a fixed order, `Authorization`, `X-Api-Key`, the
//! headers of signed fetch, and the first that is present decides: a bad credential is refused, and never taken for
//! none.

use std::borrow::Cow;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderValue};

use super::api_key::MARK;
use super::signed_fetch::{MOST_LINKS, Sent};
use waymark_kernel::error::{Code, Error, Result};

/// The header that may carry an API key.
const API_KEY: &str = "x-api-key";

/// The headers that carry the chain of a signed request, and one beyond the longest chain.
pub const CHAIN: [&str; MOST_LINKS + 1] = [
    "x-identity-auth-chain-0",
    "x-identity-auth-chain-1",
    "x-identity-auth-chain-2",
    "x-identity-auth-chain-3",
    "x-identity-auth-chain-4",
    "x-identity-auth-chain-5",
    "x-identity-auth-chain-6",
    "x-identity-auth-chain-7",
    "x-identity-auth-chain-8",
    "x-identity-auth-chain-9",
    "x-identity-auth-chain-10",
];
/// The header with the instant of a signed request, in milliseconds since 1970-01-01T00:00:00Z.
pub const TIMESTAMP: &str = "x-identity-timestamp";
/// The header with the metadata of a signed request: a JSON object as text.
pub const METADATA: &str = "x-identity-metadata";

/// What signed fetch sends along with a request; `None` when it has none of its headers.
pub fn signature(headers: &HeaderMap) -> Option<Sent<'_>> {
    let sent = Sent {
        links: CHAIN.iter().map_while(|name| headers.get(*name)).map(text).collect(),
        timestamp: headers.get(TIMESTAMP).map(text),
        metadata: headers.get(METADATA).map(text),
    };
    (!sent.links.is_empty() || sent.timestamp.is_some() || sent.metadata.is_some()).then_some(sent)
}

/// A header as text. Browsers and Node send the characters of Latin-1 as one byte each.
fn text(value: &HeaderValue) -> Cow<'_, str> {
    let bytes = value.as_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes.iter().copied().map(char::from).collect::<String>().into(),
    }
}

/// The token or key of the request: `Authorization: Bearer …` first, then `X-Api-Key`. `None` when it has neither.
pub fn credential(headers: &HeaderMap) -> Result<Option<&str>> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let text = value.to_str().map_err(|_| malformed())?;
        let (scheme, credential) = text.split_once(' ').ok_or_else(malformed)?;
        if !scheme.eq_ignore_ascii_case("bearer") || credential.trim().is_empty() {
            return Err(malformed());
        }
        return Ok(Some(credential.trim()));
    }
    headers
        .get(API_KEY)
        .map(|value| {
            value.to_str().map(str::trim).map_err(|_| Error::new(Code::InvalidCredential, "the API key is malformed"))
        })
        .transpose()
}

/// Something in a request that looks like an API key, wherever any of our interfaces takes one.
pub fn api_key<'a>(headers: &'a HeaderMap, query: Option<&'a str>) -> Option<&'a str> {
    let in_headers = headers.values().filter_map(|value| value.to_str().ok()).map(|text| {
        let (scheme, rest) = text.split_at_checked("bearer ".len()).unwrap_or_default();
        if scheme.eq_ignore_ascii_case("bearer ") { rest.trim() } else { text.trim() }
    });
    let in_query =
        query.into_iter().flat_map(|query| query.split('&')).filter_map(|pair| Some(pair.split_once('=')?.1));
    in_headers.chain(in_query).find(|text| text.starts_with(MARK))
}

fn malformed() -> Error {
    Error::new(Code::InvalidCredential, "the Authorization header must read \"Bearer \" and a token or an API key")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn the_bearer_token_comes_before_the_api_key() {
        let both = headers(&[("x-api-key", "wmk_1"), ("authorization", "bearer abc")]);
        assert_eq!(credential(&both).unwrap(), Some("abc"));
        assert_eq!(credential(&headers(&[("x-api-key", "wmk_1")])).unwrap(), Some("wmk_1"));
        assert_eq!(credential(&headers(&[])).unwrap(), None);
    }

    #[test]
    fn a_chain_is_read_up_to_its_first_gap_and_never_beyond_its_longest() {
        assert!(signature(&headers(&[("x-api-key", "wmk_1")])).is_none());
        let gap = headers(&[("x-identity-auth-chain-0", "a"), ("x-identity-auth-chain-2", "c")]);
        assert_eq!(signature(&gap).unwrap().links, ["a"]);
        assert!(signature(&headers(&[("x-identity-timestamp", "1")])).unwrap().links.is_empty());
        let names: Vec<String> = (0..100).map(|number| format!("x-identity-auth-chain-{number}")).collect();
        let all: HeaderMap = names.iter().map(|name| (name.parse().unwrap(), "x".parse().unwrap())).collect();
        assert_eq!(signature(&all).unwrap().links.len(), MOST_LINKS + 1);
    }

    #[test]
    fn what_is_no_utf8_is_read_as_latin_1() {
        let mut map = HeaderMap::new();
        map.insert("x-identity-metadata", HeaderValue::from_bytes(b"{\"a\":\"\xe9\"}").unwrap());
        assert_eq!(signature(&map).unwrap().metadata.unwrap(), "{\"a\":\"é\"}");
    }

    #[test]
    fn an_api_key_is_found_wherever_it_may_stand() {
        let key = |pairs: &[(&'static str, &str)], query| api_key(&headers(pairs), query).map(str::to_owned);
        assert_eq!(key(&[("authorization", "bEARER wmk_1")], None).as_deref(), Some("wmk_1"));
        assert_eq!(key(&[("accept", "*/*"), ("x-gft_api_key", "wmk_2")], None).as_deref(), Some("wmk_2"));
        assert_eq!(key(&[("x-api-key", "abc")], Some("u=ada&y=wmk_3")).as_deref(), Some("wmk_3"));
        assert_eq!(key(&[("authorization", "Bearer eyJ")], Some("i=1")), None);
    }

    #[test]
    fn a_malformed_header_is_refused_and_not_taken_for_none() {
        for value in ["abc", "Basic abc", "Bearer ", ""] {
            assert_eq!(credential(&headers(&[("authorization", value)])).unwrap_err().code(), Code::InvalidCredential);
        }
    }
}
