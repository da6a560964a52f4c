//! The span of a request in its trace.

use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode};
use tracing::Span;
use tracing::field::Empty;

use waymark_kernel::trace;

/// A request that is traced.
pub(super) struct Traced {
    method: &'static str,
    span: Span,
}

impl Traced {
    /// Begins the span of the request with this id, in the trace that its headers name; `None` where nothing is traced.
    pub(super) fn begin(request: &Request, id: &HeaderValue) -> Option<Self> {
        // Without the query, which may hold a key.
        let span = tracing::debug_span!(
            target: trace::TARGET,
            "request",
            otel.kind = "server",
            otel.status_code = Empty,
            "error.type" = Empty,
            "http.request.method" = known(request.method()),
            "http.response.status_code" = Empty,
            "http.route" = Empty,
            "url.path" = trace::bounded(request.uri().path()),
            "url.scheme" = "http",
            "waymark.request.id" = id.to_str().unwrap_or_default(),
        );
        if span.is_disabled() {
            return None;
        }
        trace::continue_from(&span, &|name| request.headers().get(name)?.to_str().ok());
        Some(Self { method: known(request.method()), span })
    }

    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The request was answered, by this route where it is known.
    pub(super) fn answered(&self, route: Option<&str>, status: StatusCode) {
        if let Some(route) = route {
            self.span.record("http.route", route);
            trace::rename(&self.span, format!("{} {route}", self.method));
        } else {
            trace::rename(&self.span, self.method.to_owned());
        }
        self.span.record("http.response.status_code", i64::from(status.as_u16()));
        if status.is_server_error() {
            self.span.record("error.type", status.as_str());
            self.span.record("otel.status_code", "ERROR");
        }
    }
}

/// The method's name, which is a client's own choice, where it is one of HTTP's.
fn known(method: &Method) -> &'static str {
    const KNOWN: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}
