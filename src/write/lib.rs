//! How anything is changed.
//!
//! A use case that changes something is a value of its own that implements `Write`: it names who and what, and performs
//! itself in a `Unit`, which is one transaction. What it reports to the unit (events of users' histories, entries of
//! the audit log) is written in the same transaction. The `Writer` runs it: alone or in one commit with others; again
//! when it lost against another write; and not at all when its idempotency key came before.
//!
//! A use case works on many things at once: it locks the users, reads what it needs by a few statements, decides in
//! memory, and writes the rows that changed by a few statements. So a write of a thousand items is no other code than a
//! write of one, and many small writes of one kind that wait at the same time are carried out as one (`group`).

mod deletion;
pub mod entity;
mod group;
mod input;
mod notifier;
mod packed;
mod probe;
mod repo;
mod restored;
mod seam;
mod turns;
mod unit;
mod writer;

use std::future::Future;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_vocabulary::ids::Kind;

pub use deletion::Deletion;
pub use input::{Checks, Deletable, Deleted, Notes, Patch, Retire, Telling, Upserted, arranged, told};
pub use notifier::Following;
pub use probe::attempt as try_to_write;
pub use repo::{
    STATEMENTS, append_entry, append_event, audited, forget_writes, raise_catalogue, share_catalogue, take_catalogue,
};
pub use restored::{restore_audit, restore_events, restore_references};
pub use unit::{Reference, Unit};
pub use waymark_vocabulary::HistoryKind;
pub use writer::{Order, Writer};

/// A use case that changes something. Its own fields are its input: equal inputs have equal JSON.
pub trait Write: Serialize + Send + Sync + 'static {
    /// The name of the mutation, under which idempotency keys are kept.
    const NAME: &'static str;
    /// Whether it changes the catalogue, which all other writes then wait for.
    const CATALOGUE: bool = false;
    /// Whether it changes who a credential belongs to or whether it is good; what is known of credentials is then
    /// forgotten.
    const CREDENTIALS: bool = false;
    /// Whether it changes what a user is found by, or who may see the user: it then concerns everybody who asks for a
    /// user.
    const IDENTITY: bool = false;

    /// The outcome: ids and codes, from which an answer is built; kept under the idempotency key, so no secrets.
    type Outcome: Serialize + DeserializeOwned + Send + 'static;

    /// Whether it may call [`Unit::abandon`].
    fn may_be_abandoned(&self) -> bool {
        false
    }

    /// The one user whom it is about, when it may be carried out by [`Write::perform_together`]. Such a write is never
    /// abandoned.
    fn joins(&self) -> Option<i64> {
        None
    }

    /// The one user whom it is about, where that is known before. What this server writes for one user is written one
    /// after the other, and what waits for its turn waits without a connection.
    fn concerns(&self) -> Option<i64> {
        self.joins()
    }

    /// How many things it does. Bounds how many writes are carried out together.
    fn size(&self) -> usize {
        1
    }

    /// Carries it out. An expected refusal is part of the outcome; an error undoes everything and is not kept.
    fn perform(&self, unit: &mut Unit<'_>) -> impl Future<Output = Result<Self::Outcome>> + Send;

    /// Carries out several writes at once, each for another user, and returns the outcome of each. What one of them
    /// does must not depend on the others, but for what they share with all writes. An error undoes all of them, and
    /// then each is carried out by itself.
    fn perform_together(
        writes: &[&Self],
        unit: &mut Unit<'_>,
    ) -> impl Future<Output = Result<Vec<Self::Outcome>>> + Send {
        let _ = (writes, unit);
        async { Err(Error::internal(format!("{} is not carried out together with others", Self::NAME))) }
    }
}

/// Where a fact comes from that nobody asks for now: it is told of, with the instant at which it happened. No window,
/// no budget and no order of things keeps it out, and it is merged with what is there so that the order in which facts
/// come does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Somebody's own file: histories tell of what it changes.
    Told,
    /// An export, which brings along what the histories tell of it.
    Restored,
}

impl Origin {
    /// Refuses a fact of this instant about a thing that was retired by then. An export has what was there.
    pub fn check_retired(
        self,
        kind: Kind,
        key: &str,
        retired_at: Option<Timestamp>,
        at: Timestamp,
    ) -> std::result::Result<(), String> {
        match retired_at {
            Some(retired_at) if self == Self::Told && at >= retired_at => Err(kind.retired(key).message),
            _ => Ok(()),
        }
    }
}

/// Whether a fact was news, or what is wrong with it.
pub type Taken = std::result::Result<bool, String>;

/// The items of several writes in one list, each with its user.
pub fn in_one_list<T>(writes: impl Iterator<Item = (i64, Vec<T>)>) -> Vec<(i64, T)> {
    writes.flat_map(|(user, items)| items.into_iter().map(move |item| (user, item))).collect()
}

/// Returns the outcome of the only write.
pub fn only<O>(outcomes: Vec<O>) -> Result<O> {
    outcomes.into_iter().next().ok_or_else(|| Error::internal("a write has no outcome"))
}

/// What was written.
#[derive(Debug, Clone)]
pub struct Written<O> {
    /// The outcome of the use case.
    pub outcome: O,
    /// The events that were appended to histories, each with its user, in their order.
    pub events: Vec<(i64, Event)>,
    /// The instant of the write.
    pub at: Timestamp,
}

/// An event of a user's history as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The number of the event in the user's history; the first is 1.
    pub seq: i64,
    /// A name of a [`HistoryKind`].
    pub kind: String,
    /// Who did it: `user:<ULID>`, `app:<name of the API key>` or `operator`.
    pub actor: String,
    /// The type of what it happened to, as global ids begin with it.
    pub subject_type: String,
    /// The key of what it happened to, as global ids end with it: the operator's, or a user's ULID.
    pub subject_key: String,
    /// A JSON object.
    pub changes: String,
    /// When it happened, which may be before it was recorded.
    pub occurred_at: Timestamp,
    /// When it was recorded: the instant of the write.
    pub recorded_at: Timestamp,
}

impl Event {
    /// The event that a row holds.
    pub fn of(row: entity::event::Model) -> Self {
        Self {
            seq: row.seq,
            kind: row.kind,
            actor: row.actor,
            subject_type: row.subject_type,
            subject_key: row.subject_key,
            changes: row.changes,
            occurred_at: row.occurred_at,
            recorded_at: row.recorded_at,
        }
    }
}
