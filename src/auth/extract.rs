//! Finds the credential of an HTTP request. The schemes are tried in a fixed order, and the first that is present
//! decides: a bad credential is refused, and never taken for none.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;

use crate::error::{Code, Error, Result};

/// The header that may carry an API key.
const API_KEY: &str = "x-api-key";

/// The token or key of the request: `Authorization: Bearer …` first, then `X-Api-Key`. `None` when it has neither.
pub(crate) fn credential(headers: &HeaderMap) -> Result<Option<&str>> {
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
    fn a_malformed_header_is_refused_and_not_taken_for_none() {
        for value in ["abc", "Basic abc", "Bearer ", ""] {
            assert_eq!(credential(&headers(&[("authorization", value)])).unwrap_err().code(), Code::InvalidCredential);
        }
    }
}
