//! Traces: what becomes of single requests, for OpenTelemetry.
//!
//! A span belongs to a trace when its target is [`TARGET`]. It is recorded only when the process has a collector (see
//! `telemetry`): otherwise a span costs the check of a flag. The log never has it. A trace begins with one of
//! [`ROOTS`]; what is done on behalf of no request, such as looking after the catalogue, makes no spans.
//!
//! What users sent stays out of spans: no variable, no literal of a document, no parameter of a statement, no
//! credential.

use std::time::Duration;

use opentelemetry::propagation::{Extractor, TextMapPropagator as _};
use opentelemetry::trace::{Span as _, SpanBuilder, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, global};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::{Level, Span};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The target of spans that are traced, and of nothing else.
pub const TARGET: &str = "traces";

/// The spans that a trace may begin with.
pub const ROOTS: [&str; 2] = ["request", "operation"];

/// The instrumentation scope of the spans.
pub const SCOPE: &str = "waymark";

/// How much of a text from outside a span keeps, in bytes: spans wait in memory.
const LONGEST_TEXT: usize = 512;
/// How much of a statement a span keeps, in bytes.
const LONGEST_STATEMENT: usize = 2000;
/// What statements do; also what their spans are called.
const VERBS: [&str; 5] = ["SELECT", "INSERT", "UPDATE", "DELETE", "WITH"];
/// What the spans of other statements are called.
const OTHER: &str = "statement";

/// Whether what runs now is part of a trace.
pub fn is_on() -> bool {
    tracing::enabled!(target: TARGET, Level::DEBUG)
}

/// The beginning of a text from outside, for a span.
pub fn bounded(text: &str) -> &str {
    &text[..text.floor_char_boundary(LONGEST_TEXT)]
}

/// What finds a header by its name.
type Find<'f, 'h> = &'f dyn Fn(&str) -> Option<&'h str>;

/// Headers in which a trace may be named. Those that are too long are passed over.
struct Headers<'f, 'h>(Find<'f, 'h>);

impl Extractor for Headers<'_, '_> {
    fn get(&self, name: &str) -> Option<&str> {
        (self.0)(name).filter(|value| value.len() <= LONGEST_TEXT)
    }

    fn keys(&self) -> Vec<&str> {
        Vec::new()
    }
}

/// Makes `span`, which was not entered yet, part of the trace that headers name, if they do (W3C Trace Context).
pub fn continue_from(span: &Span, header: Find<'_, '_>) {
    let context = TraceContextPropagator::new().extract_with_context(&Context::new(), &Headers(header));
    if context.span().span_context().is_valid() {
        // Fails only for a span that has begun.
        let _ = span.set_parent(context);
    }
}

/// Gives `span` another name than the one in the code.
pub fn rename(span: &Span, name: String) {
    span.context().span().update_name(name);
}

/// Adds a statement that has just been run on `engine`, if it is part of a trace.
pub fn statement(engine: &'static str, sql: &str, took: Duration, failed: bool) {
    if !is_on() {
        return;
    }
    let parent = Context::current();
    if !parent.span().is_recording() {
        return;
    }
    let ended = opentelemetry::time::now();
    let name = verb(sql);
    let mut attributes = vec![KeyValue::new("db.system.name", engine), KeyValue::new("db.query.text", shown(sql))];
    if name != OTHER {
        attributes.push(KeyValue::new("db.operation.name", name));
    }
    let tracer = global::tracer(SCOPE);
    let span = SpanBuilder::from_name(name).with_kind(SpanKind::Client).with_attributes(attributes);
    let began = ended.checked_sub(took).unwrap_or(ended);
    let mut span = tracer.build_with_context(span.with_start_time(began), &parent);
    if failed {
        span.set_status(Status::error(""));
    }
    span.end_with_timestamp(ended);
}

/// What a statement does.
fn verb(sql: &str) -> &'static str {
    let word = sql.trim_start().split(|letter: char| !letter.is_ascii_alphabetic()).next().unwrap_or_default();
    VERBS.into_iter().find(|verb| verb.eq_ignore_ascii_case(word)).unwrap_or(OTHER)
}

/// The beginning of a statement with `?` for texts in it. Our statements have parameters for all input of users; this
/// hides the texts of a statement that has not.
fn shown(sql: &str) -> String {
    let mut text = String::with_capacity(sql.len().min(LONGEST_STATEMENT));
    for (index, part) in sql.split('\'').enumerate() {
        if index % 2 == 0 {
            text.push_str(part);
        } else {
            text.push('?');
        }
        if text.len() > LONGEST_STATEMENT {
            text.truncate(text.floor_char_boundary(LONGEST_STATEMENT));
            text.push('…');
            break;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_traced_unless_somebody_listens() {
        assert!(!is_on());
        assert!(tracing::debug_span!(target: TARGET, "request").is_disabled());
    }

    #[test]
    fn a_trace_goes_on_by_its_headers_and_endless_ones_are_passed_over() {
        let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let read = |parent: &str, state: &str| {
            let find =
                |name: &str| [("traceparent", parent), ("tracestate", state)].into_iter().find(|it| it.0 == name);
            let context = TraceContextPropagator::new()
                .extract_with_context(&Context::new(), &Headers(&|name| find(name).map(|found| found.1)));
            let span = context.span().span_context().clone();
            (span.is_valid(), span.trace_id().to_string(), span.trace_state().header())
        };
        let trace = "0af7651916cd43dd8448eb211c80319c".to_owned();
        assert_eq!(read(parent, "a=b"), (true, trace.clone(), "a=b".to_owned()));
        let long = format!("a={}", "b".repeat(LONGEST_TEXT));
        assert_eq!(read(parent, &long), (true, trace, String::new()));
        for bad in ["", "00", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331", "é", &parent.repeat(20)] {
            assert!(!read(bad, "").0, "{bad}");
        }
    }

    #[test]
    fn a_text_from_outside_is_cut_between_letters() {
        assert_eq!(bounded("short"), "short");
        assert_eq!(bounded(&"é".repeat(300)).len(), LONGEST_TEXT);
        assert_eq!(bounded(&format!("a{}", "é".repeat(300))).len(), LONGEST_TEXT - 1);
    }

    #[test]
    fn a_statement_is_shown_without_texts_and_not_beyond_measure() {
        assert_eq!(shown("SELECT a FROM t WHERE b = $1"), "SELECT a FROM t WHERE b = $1");
        assert_eq!(shown("SELECT 'a secret', b = 'it''s' FROM t"), "SELECT ?, b = ?? FROM t");
        assert_eq!(shown("SELECT 'never closed"), "SELECT ?");
        let long = shown(&format!("SELECT {}", "é".repeat(LONGEST_STATEMENT)));
        assert!(long.len() < LONGEST_STATEMENT + 5 && long.ends_with("é…"), "{}", long.len());
    }

    #[test]
    fn a_statement_is_called_by_what_it_does() {
        for (sql, name) in [
            ("SELECT 1", "SELECT"),
            ("  insert INTO t", "INSERT"),
            ("WITH s AS (SELECT 1) DELETE FROM t", "WITH"),
            ("SELECTED", OTHER),
            ("PRAGMA x", OTHER),
            ("", OTHER),
        ] {
            assert_eq!(verb(sql), name, "{sql}");
        }
    }
}
