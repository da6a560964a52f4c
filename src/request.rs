//! One request, as the use cases see it.

use std::sync::Arc;

use crate::auth::Caller;
use crate::clock::Timestamp;
use crate::config::Config;
use crate::db::catalogue::{Part, Snapshot};
use crate::error::{Error, Result};
use crate::graphql::batcher::{Batcher, Gathering};

/// Who asks, when, and through what the answer is loaded: the same for GraphQL and for REST.
///
/// One request sees one instant and one state of the catalogue, so that its answer agrees with itself.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Who asks.
    pub(crate) caller: Arc<Caller>,
    /// The instant of the request.
    pub(crate) now: Timestamp,
    /// The settings that bound a request.
    pub(crate) config: Arc<Config>,
    /// Through this everything about users is loaded; the request's work runs inside it.
    pub(crate) load: Arc<Gathering>,
    /// Whether an answer that is ready may be written as JSON at once, because nothing is merged into it later.
    pub(crate) written: bool,
    catalogue: Arc<Snapshot>,
}

impl Request {
    pub(crate) fn new(
        caller: Arc<Caller>,
        now: Timestamp,
        config: Arc<Config>,
        catalogue: Arc<Snapshot>,
        batcher: &Arc<Batcher>,
    ) -> Self {
        Self { caller, now, config, written: false, catalogue, load: batcher.gather() }
    }

    /// The same request, whose ready answers may be written as JSON at once or not.
    pub(crate) fn writing(self, written: bool) -> Self {
        Self { written, ..self }
    }

    /// A feature's part of the catalogue.
    pub(crate) fn catalogue<P: Part>(&self) -> Result<&P> {
        self.catalogue.part()
    }

    /// Refuses a list of more than `most` ids.
    pub(crate) fn check_ids(&self, what: &str, count: usize, most: u32) -> Result<()> {
        if count <= most as usize {
            return Ok(());
        }
        Err(Error::limit(format!("{count} {what} were asked for, and one request may ask for {most}")))
    }
}
