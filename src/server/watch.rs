//! How long operations take, their spans in traces, and a line in the log for those that take too long.

use std::sync::Arc;
use std::time::Duration;

use apollo_compiler::Name;
use tracing::Span;
use tracing::field::Empty;

use super::gate::Document;
use super::operation::Kind;
use crate::app::App;
use waymark_auth::Caller;
use waymark_graphql_kit::batcher::Gathering;
use waymark_kernel::metrics::{End, NamedBy, Running, shown};
use waymark_kernel::trace;

/// An operation under way.
pub(super) struct Watch<'a> {
    app: &'a App,
    name: Option<Name>,
    document: Arc<Document>,
    principal: &'static str,
    load: Arc<Gathering>,
    running: Running,
    span: Span,
}

impl<'a> Watch<'a> {
    /// Begins an operation of `document` that loads by `load`.
    pub(super) fn begin(
        app: &'a App,
        kind: Kind,
        cost: u64,
        name: Option<Name>,
        document: Arc<Document>,
        caller: &Caller,
        load: Arc<Gathering>,
    ) -> Self {
        let (principal, by) = match caller {
            Caller::Anonymous => ("anonymous", NamedBy::Anybody),
            Caller::User(_) => ("user", NamedBy::User),
            Caller::App(_) => ("app", NamedBy::App),
        };
        let by = if app.documents.are_all_there_are() { NamedBy::Operator } else { by };
        let running = app.metrics.operation(name.as_ref().map(Name::as_str), by);
        let span = tracing::debug_span!(
            target: trace::TARGET,
            "operation",
            otel.name = kind.as_str(),
            otel.status_code = Empty,
            "graphql.operation.type" = kind.as_str(),
            "graphql.operation.name" = name.as_ref().map(|name| shown(name)),
            "graphql.document.hash" = document.hash(),
            "waymark.caller" = principal,
            "waymark.cost" = i64::try_from(cost).unwrap_or(i64::MAX),
            "waymark.batches" = Empty,
            "waymark.outcome" = Empty,
        );
        Self { app, name, document, principal, load, running, span }
    }

    /// What the operation does is to be done inside of this.
    pub(super) fn span(&self) -> Span {
        self.span.clone()
    }

    /// The operation has ended. One that is dropped before that was given up.
    pub(super) fn ended(mut self, end: End) {
        self.running.end(end);
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if !self.span.is_disabled() {
            let outcome = self.running.outcome();
            self.span.record("waymark.batches", i64::from(self.load.batches())).record("waymark.outcome", outcome);
            if self.running.is_bad() {
                self.span.record("otel.status_code", "ERROR");
            }
        }
        let longest = self.app.config.slow_operation_ms;
        let took = self.running.elapsed();
        if longest == 0 || took < Duration::from_millis(longest) {
            return;
        }
        self.app.metrics.slow_operations.increment(1);
        // No variables: they hold what users wrote.
        tracing::warn!(
            operation = self.name.as_ref().map(|name| shown(name)),
            document = self.document.hash(),
            millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            statements = self.load.batches(),
            principal = self.principal,
            outcome = self.running.outcome(),
            "an operation was slow"
        );
    }
}
