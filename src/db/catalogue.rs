//! The catalogue in memory: what operators define and every request reads (games, goals, seasons, …).
//!
//! Each feature has its part, built from the database in one go. Every write to the catalogue raises the number in
//! `catalogue_version` in its own transaction; a process that wrote calls [`Catalogue::refresh`] before it answers, and
//! every process compares the number twice a second. A request keeps the snapshot it began with.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use sea_orm::EntityTrait as _;
use tokio::sync::Mutex;

use super::entity::catalogue_version;
use super::{Asker, Db, Transaction, time};
use waymark_kernel::clock::Watch;
use waymark_kernel::error::{Error, Result};

/// How often the version is compared, so that a write by another process is seen within a second.
const POLL: Duration = Duration::from_millis(500);

/// The transaction in which all parts are read, so that they agree with each other.
pub type Source = Transaction;

/// A feature's part of the catalogue.
pub trait Part: Any + Send + Sync + Sized {
    /// Reads the part from the database.
    fn read(source: &Source) -> impl Future<Output = Result<Self>> + Send;
}

type Loaded<'a> = Pin<Box<dyn Future<Output = Result<(TypeId, Arc<dyn Any + Send + Sync>)>> + Send + 'a>>;

/// How to read one part; a list of these is what the catalogue consists of.
#[derive(Clone, Copy)]
pub struct Reading(fn(&Source) -> Loaded<'_>);

impl Reading {
    /// Returns how the part `P` is read.
    pub const fn of<P: Part>() -> Self {
        Self(|source| {
            Box::pin(async move {
                let part: Arc<dyn Any + Send + Sync> = Arc::new(P::read(source).await?);
                Ok((TypeId::of::<P>(), part))
            })
        })
    }
}

/// One state of the catalogue.
pub struct Snapshot {
    version: i64,
    parts: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
    /// What follows from the parts; made when it is first read.
    derived: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Snapshot({})", self.version)
    }
}

impl Snapshot {
    /// A state without any part.
    pub fn none() -> Arc<Self> {
        Arc::new(Self { version: 0, parts: HashMap::new(), derived: OnceLock::new() })
    }

    /// The number of this state; another one whenever the catalogue has changed.
    pub const fn version(&self) -> i64 {
        self.version
    }

    /// What follows from the parts: `make` works it out when it is asked for first. There is one thing that is derived.
    pub fn derived<T: Any + Send + Sync>(&self, make: impl FnOnce(&Self) -> Result<T>) -> Result<&T> {
        if self.derived.get().is_none() {
            let made = make(self)?;
            // A faster task made the same value.
            let _ = self.derived.set(Box::new(made));
        }
        let derived = self.derived.get().and_then(|derived| derived.downcast_ref());
        derived.ok_or_else(|| Error::internal("something else is derived from the catalogue"))
    }

    /// The part of type `P`, for as long as it is wanted.
    pub fn shared<P: Part>(&self) -> Result<Arc<P>> {
        let part = self.parts.get(&TypeId::of::<P>()).and_then(|part| Arc::clone(part).downcast().ok());
        part.ok_or_else(|| Error::internal(format!("the catalogue has no {}", std::any::type_name::<P>())))
    }

    /// The part of type `P`.
    pub fn part<P: Part>(&self) -> Result<&P> {
        self.parts
            .get(&TypeId::of::<P>())
            .and_then(|part| part.downcast_ref())
            .ok_or_else(|| Error::internal(format!("the catalogue has no {}", std::any::type_name::<P>())))
    }
}

/// The catalogue, kept up to date.
pub struct Catalogue {
    db: Db,
    readings: &'static [Reading],
    current: RwLock<Arc<Snapshot>>,
    refreshing: Mutex<()>,
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Catalogue({:?})", self.current())
    }
}

impl Catalogue {
    /// Reads the whole catalogue for the first time.
    pub async fn open(db: Db, readings: &'static [Reading]) -> Result<Self> {
        let current = RwLock::new(Arc::new(read(&db, readings).await?));
        Ok(Self { db, readings, current, refreshing: Mutex::default() })
    }

    /// The newest state known to this process.
    pub fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads the catalogue anew if it has changed. When this returns, every write that was committed before the call
    /// is visible.
    pub async fn refresh(&self) -> Result<()> {
        let _one_at_a_time = self.refreshing.lock().await;
        let newest = version(self.db.reads()).await?;
        self.keep_up(newest).await
    }

    /// Reads the catalogue anew unless it has this version.
    async fn keep_up(&self, newest: i64) -> Result<()> {
        if newest != self.current().version {
            let snapshot = Arc::new(read(&self.db, self.readings).await?);
            *self.current.write().unwrap_or_else(PoisonError::into_inner) = snapshot;
        }
        Ok(())
    }

    /// Like [`Catalogue::refresh`], and sets `watch` by the database's clock with the same statement.
    async fn refresh_and_set(&self, watch: &Watch) -> Result<()> {
        let _one_at_a_time = self.refreshing.lock().await;
        let newest = time::version_and_time(&self.db, watch).await?;
        self.keep_up(newest).await
    }

    /// Follows the writes of other processes, and the database's clock by `watch`, until `self` is dropped elsewhere.
    pub fn follow(self: &Arc<Self>, watch: Watch) {
        let catalogue = Arc::downgrade(self);
        tokio::spawn(Asker::Background.run(async move {
            let mut clocks = time::Clocks::default();
            loop {
                clocks.compare(&watch);
                tokio::time::sleep(POLL).await;
                let Some(catalogue) = catalogue.upgrade() else { break };
                if !catalogue.db.reach().0 {
                    // The log has it already.
                    continue;
                }
                if let Err(error) = catalogue.refresh_and_set(&watch).await {
                    tracing::warn!(
                        error = error.chain(),
                        "the catalogue could not be refreshed; the last one serves on"
                    );
                }
            }
        }));
    }
}

/// The number of the catalogue's state in the database.
pub async fn version(connection: &impl sea_orm::ConnectionTrait) -> Result<i64> {
    let row = catalogue_version::Entity::find_by_id(1_i16).one(connection).await?;
    row.map(|row| row.version).ok_or_else(no_version)
}

/// The error of a database that was never migrated.
pub fn no_version() -> Error {
    Error::internal("catalogue_version has no row; run the migrations")
}

async fn read(db: &Db, readings: &[Reading]) -> Result<Snapshot> {
    let source = db.snapshot().await?;
    let snapshot = read_in(&source, readings).await?;
    source.commit().await?;
    Ok(snapshot)
}

/// The catalogue as a transaction sees it, changes of its own included.
pub async fn read_in(source: &Source, readings: &[Reading]) -> Result<Snapshot> {
    let version = version(source).await?;
    let mut parts = HashMap::new();
    for reading in readings {
        let (kind, part) = (reading.0)(source).await?;
        parts.insert(kind, part);
    }
    Ok(Snapshot { version, parts, derived: OnceLock::new() })
}
