//! Wiring: everything a running server consists of. Tests build the same one.

use std::sync::Arc;

use crate::auth::{Authenticator, Caller};
use crate::clock::{Clock, Ids, Timestamp};
use crate::config::Config;
use crate::db::catalogue::Catalogue;
use crate::db::{Db, Reader};
use crate::error::{Error, Result};
use crate::features::{self, users};
use crate::graphql::batcher::Batcher;
use crate::request::Request;
use crate::rest::Desk;
use crate::schema::{self, Schema};
use crate::server::gate::Gate;
use crate::write::Writer;

/// A running Waymark without its listener.
pub struct App {
    /// The effective configuration.
    pub config: Arc<Config>,
    /// The database.
    pub db: Db,
    /// Where `now` comes from.
    pub clock: Clock,
    /// Where new identifiers come from.
    pub ids: Arc<Ids>,
    /// Checks credentials.
    pub authenticator: Arc<Authenticator>,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) schema: Schema,
    pub(crate) gate: Gate,
    /// The schema as clients may read it; `None` when the server keeps it to itself.
    pub(crate) sdl: Option<Arc<str>>,
    batcher: Arc<Batcher>,
    pub(crate) writer: Arc<Writer>,
}

impl App {
    /// Puts an app together over an open and migrated database. Must be called inside a Tokio runtime.
    ///
    /// # Errors
    /// When the catalogue cannot be read or the configured keys cannot be used.
    pub async fn new(config: Config, db: Db, ids: Ids) -> Result<Arc<Self>> {
        let authenticator = Arc::new(Authenticator::from_config(&config)?);
        let catalogue = Arc::new(Catalogue::open(db.clone(), features::CATALOGUE).await?);
        catalogue.follow();
        let sdl = Arc::<str>::from(schema::sdl());
        let (ids, config) = (Arc::new(ids), Arc::new(config));
        Ok(Arc::new(Self {
            clock: config.clock(),
            schema: schema::build(),
            gate: Gate::new(&sdl, &config.limits, config.introspection)?,
            sdl: config.introspection.then_some(sdl),
            batcher: Batcher::new(Reader::new(db.clone())),
            writer: Arc::new(Writer::new(
                db.clone(),
                Arc::clone(&ids),
                Arc::clone(&config),
                Arc::clone(&catalogue),
                Arc::clone(&authenticator),
            )),
            config,
            db,
            ids,
            authenticator,
            catalogue,
        }))
    }

    /// Opens the configured database and puts an app together over it.
    ///
    /// # Errors
    /// When no database is configured, when it cannot be opened, and like [`App::new`].
    pub async fn connect(config: Config, ids: Ids) -> Result<Arc<Self>> {
        let url = config.database_url.as_deref().ok_or_else(|| {
            Error::bad_input("no database is configured; set WAYMARK_DATABASE_URL, for example to sqlite://waymark.db")
        })?;
        let db = Db::connect(url, config.database_max_connections).await?;
        Self::new(config, db, ids).await
    }

    /// Begins a request of `caller` at `now`.
    pub(crate) fn request(&self, caller: Arc<Caller>, now: Timestamp) -> Request {
        Request::new(caller, now, Arc::clone(&self.config), self.catalogue.current(), &self.batcher, &self.writer)
    }

    /// The caller as somebody who may write: a person of whom nothing has been recorded yet becomes a user. Called before a
    /// write only; reading creates nobody.
    pub(crate) async fn known(&self, caller: Arc<Caller>, now: Timestamp) -> Result<Arc<Caller>> {
        users::write::known(&self.writer, &self.ids, caller, now).await
    }

    /// What REST handlers work with.
    pub(crate) fn desk(&self) -> Desk {
        Desk {
            config: Arc::clone(&self.config),
            clock: self.clock,
            db: self.db.clone(),
            ids: Arc::clone(&self.ids),
            authenticator: Arc::clone(&self.authenticator),
            catalogue: Arc::clone(&self.catalogue),
            batcher: Arc::clone(&self.batcher),
            writer: Arc::clone(&self.writer),
        }
    }

    /// Makes what this process has just written to the catalogue visible to the requests that follow.
    ///
    /// # Errors
    /// When the catalogue cannot be read; the last one serves on.
    pub async fn refresh_catalogue(&self) -> Result<()> {
        self.catalogue.refresh().await
    }
}
