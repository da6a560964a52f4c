//! Media types: in which one a client wants the answer, and in which one it sends the request.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_TYPE};

/// The media type of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/graphql-response+json`.
    Graphql,
    /// `application/json`.
    Json,
    /// `text/event-stream`: the answers of an operation, event by event. What never becomes an operation is refused as
    /// `application/json`.
    Events,
}

/// What a client takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Accepts {
    /// In what it wants an answer most.
    pub(super) media: Media,
    /// Whether it takes events too, in which a subscription is answered.
    pub(super) events: bool,
}

impl Accepts {
    /// What the header `Accept` asks for; `None` when it takes nothing that there is. Plain JSON is for those who do
    /// not say.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let accepted = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let ranges: Vec<Range<'_>> = accepted.flat_map(|list| list.split(',')).filter_map(Range::parse).collect();
        if ranges.is_empty() {
            return Some(Self { media: Media::Json, events: false });
        }
        let events = ranges.iter().filter(|range| range.is_events).map(|range| range.weight).max().unwrap_or(0);
        let best = |subtype: &str| {
            let fitting = ranges.iter().filter(|range| range.takes(subtype));
            fitting.max_by_key(|range| range.exactness).map(|range| (range.weight, range.exactness))
        };
        let acceptable = |subtype| best(subtype).filter(|(weight, _)| *weight > 0);
        let whole = match (acceptable("graphql-response+json"), acceptable("json")) {
            (None, None) => None,
            (Some(graphql), None) => Some((Media::Graphql, graphql.0)),
            (None, Some(json)) => Some((Media::Json, json.0)),
            // Both are welcome alike: the newer one where it is named.
            (Some(graphql), Some(json)) if graphql == json && graphql.1 < EXACT => Some((Media::Json, json.0)),
            (Some(graphql), Some(json)) if graphql >= json => Some((Media::Graphql, graphql.0)),
            (Some(_), Some(json)) => Some((Media::Json, json.0)),
        };
        // Clients for all kinds of operations list events behind JSON on every query.
        let media = match whole {
            Some((media, weight)) if weight >= events => media,
            _ if events > 0 => Media::Events,
            _ => return None,
        };
        Some(Self { media, events: events > 0 })
    }
}

impl Media {
    /// As the header `Content-Type` has it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Graphql => "application/graphql-response+json; charset=utf-8",
            Self::Json | Self::Events => "application/json; charset=utf-8",
        }
    }
}

/// How exact a range is that names a type and a subtype.
const EXACT: u8 = 2;

/// An entry of the header `Accept`.
struct Range<'a> {
    subtype: &'a str,
    /// Whether it is `text/event-stream`.
    is_events: bool,
    exactness: u8,
    /// In thousandths.
    weight: u16,
}

impl<'a> Range<'a> {
    /// `None` for types that this server does not know.
    fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';');
        let range = parts.next()?.trim();
        let (kind, subtype) = range.split_once('/')?;
        let is = |name: &str, wanted: &str| name.eq_ignore_ascii_case(wanted);
        let is_events = is(kind, "text") && is(subtype, "event-stream");
        let exactness = match (kind, subtype) {
            ("*", "*") => 0,
            (kind, "*") if is(kind, "application") => 1,
            (kind, _) if is(kind, "application") || is_events => EXACT,
            // It stands for something that we have not.
            _ => return Some(Self { subtype: "", is_events, exactness: EXACT, weight: 0 }),
        };
        let weight = parts.find_map(|part| {
            let (name, value) = part.split_once('=')?;
            let weight: f32 = value.trim().parse().ok()?;
            // At most 1,000 by now.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1,000")]
            let thousandths = (weight.clamp(0.0, 1.0) * 1000.0) as u16;
            name.trim().eq_ignore_ascii_case("q").then_some(thousandths)
        });
        Some(Self { subtype, is_events, exactness, weight: weight.unwrap_or(1000) })
    }

    fn takes(&self, subtype: &str) -> bool {
        !self.is_events && (self.exactness < EXACT || self.subtype.eq_ignore_ascii_case(subtype))
    }
}

/// Whether the body is said to be JSON, in the one encoding that it can have.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let Some(text) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let mut parts = text.split(';').map(str::trim);
    parts.next().is_some_and(|media| media.eq_ignore_ascii_case("application/json"))
        && parts.filter_map(|part| part.split_once('=')).all(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_the_media_type_that_is_wanted_most() {
        let graphql = "application/graphql-response+json";
        for (accept, media) in [
            ("*/*", Some(Media::Json)),
            ("", Some(Media::Json)),
            ("application/*", Some(Media::Json)),
            ("application/json", Some(Media::Json)),
            ("APPLICATION/JSON; charset=utf-8", Some(Media::Json)),
            (graphql, Some(Media::Graphql)),
            ("application/graphql-response+json, application/json;q=0.9", Some(Media::Graphql)),
            ("application/json, application/graphql-response+json", Some(Media::Graphql)),
            ("application/json, application/graphql-response+json;q=0.5", Some(Media::Json)),
            ("application/graphql-response+json;q=0.5, */*;q=0.1", Some(Media::Graphql)),
            ("application/json, */*", Some(Media::Json)),
            ("application/json;q=0, */*", Some(Media::Graphql)),
            ("text/html, application/xhtml+xml, */*;q=0.8", Some(Media::Json)),
            ("text/event-stream", Some(Media::Events)),
            ("text/event-stream, application/json;q=0.9", Some(Media::Events)),
            ("text/event-stream; charset=utf-8, application/json", Some(Media::Json)),
            ("application/json, text/event-stream, multipart/mixed", Some(Media::Json)),
            ("text/event-stream;q=0, application/json;q=0.1", Some(Media::Json)),
            ("text/event-stream;q=0", None),
            ("text/html", None),
            ("application/xml", None),
            ("application/json;q=0", None),
            ("*/*;q=0", None),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, accept.parse().unwrap())]);
            assert_eq!(Accepts::of(&headers).map(|accepts| accepts.media), media, "{accept:?}");
            let named = accept.contains("event-stream") && !accept.contains("event-stream;q=0");
            assert_eq!(Accepts::of(&headers).is_some_and(|accepts| accepts.events), named, "{accept:?}");
        }
    }

    #[test]
    fn a_request_is_json_in_utf_8() {
        let is = |content_type: &str| is_json(&HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]));
        for content_type in ["application/json", "Application/JSON ; charset=\"UTF-8\"", "application/json; x=y"] {
            assert!(is(content_type), "{content_type}");
        }
        for content_type in ["", "text/plain", "application/json; charset=utf-16", "application/jsonx", "json"] {
            assert!(!is(content_type), "{content_type}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
