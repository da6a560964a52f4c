//! How long operations take, and a line in the log for those that take too long.

use std::sync::Arc;
use std::time::Duration;

use apollo_compiler::Name;

use super::gate::Document;
use crate::app::App;
use crate::auth::Caller;
use crate::graphql::batcher::Gathering;
use crate::metrics::{End, Running};

/// An operation under way.
pub(super) struct Watch<'a> {
    app: &'a App,
    name: Option<Name>,
    document: Arc<Document>,
    principal: &'static str,
    load: Arc<Gathering>,
    running: Running,
}

impl<'a> Watch<'a> {
    /// Begins an operation of `document` that loads by `load`.
    pub(super) fn begin(
        app: &'a App,
        name: Option<Name>,
        document: Arc<Document>,
        caller: &Caller,
        load: Arc<Gathering>,
    ) -> Self {
        let principal = match caller {
            Caller::Anonymous => "anonymous",
            Caller::User(_) => "user",
            Caller::App(_) => "app",
        };
        let running = app.metrics.operation(name.as_ref().map(Name::as_str));
        Self { app, name, document, principal, load, running }
    }

    /// The operation has ended. One that is dropped before that was given up.
    pub(super) fn ended(mut self, end: End) {
        self.running.end(end);
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let longest = self.app.config.slow_operation_ms;
        let took = self.running.elapsed();
        if longest == 0 || took < Duration::from_millis(longest) {
            return;
        }
        self.app.metrics.slow_operations.increment(1);
        // No variables: they hold what users wrote.
        tracing::warn!(
            operation = self.name.as_ref().map(Name::as_str),
            document = self.document.hash(),
            millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            statements = self.load.batches(),
            principal = self.principal,
            outcome = self.running.outcome(),
            "an operation was slow"
        );
    }
}
