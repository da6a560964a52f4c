//! History in GraphQL.

use async_graphql::{ID, SimpleObject};

use super::service::{self, Audited};
use waymark_graphql_kit::scalars::{BigInt, Unparsed};
use waymark_kernel::clock::Timestamp;
use waymark_write::{Event, HistoryKind as Kind};

/// One change that a user can see, from the user's history. Events are numbered per user without gaps, in the order in
/// which they were recorded, and never change.
#[derive(Debug, SimpleObject)]
pub struct ProgressEvent {
    /// Marks this event in the user's history: give it to `userProgress` as `after` to get everything that came later,
    /// or to `history` as `after` or `before`.
    cursor: String,
    /// The event's number in the user's history; the first is 1.
    number: BigInt,
    /// What happened. Null for a kind that this server does not know, recorded by a newer one.
    kind: Option<Kind>,
    /// Who did it: `user:<ULID>`, `app:<name of the API key>` or `operator`.
    actor: String,
    /// What it happened to, as a global id.
    subject: ID,
    /// What changed, as a small object whose members depend on the kind. Amounts of credits in it are decimal strings.
    changes: Unparsed,
    /// When it happened.
    occurred_at: Timestamp,
    /// When it was recorded.
    recorded_at: Timestamp,
}

impl ProgressEvent {
    /// An event of the user with this key in the database.
    pub fn of(user: i64, event: Event) -> Self {
        Self {
            cursor: service::cursor(user, event.seq),
            number: BigInt(event.seq),
            kind: Kind::parse(&event.kind),
            actor: event.actor,
            subject: ID(format!("{}:{}", event.subject_type, event.subject_key)),
            changes: Unparsed(event.changes),
            occurred_at: event.occurred_at,
            recorded_at: event.recorded_at,
        }
    }
}

/// Something an operator or an app did that belongs to no user: about keys, the catalogue or settings. Entries never
/// change.
#[derive(Debug, SimpleObject)]
pub struct AuditEntry {
    /// The entry's number; later entries have greater numbers.
    number: BigInt,
    /// Who did it: `user:<ULID>`, `app:<name of the API key>` or `operator`.
    actor: String,
    /// What was done, such as `API_KEY_CREATED`.
    action: String,
    /// What it was done to: the type, a colon and the key.
    subject: String,
    /// What changed, as a small object whose members depend on the action.
    changes: Unparsed,
    /// When it was recorded.
    recorded_at: Timestamp,
}

impl From<Audited> for AuditEntry {
    fn from(entry: Audited) -> Self {
        Self {
            number: BigInt(entry.id),
            actor: entry.actor,
            action: entry.action,
            subject: format!("{}:{}", entry.subject_type, entry.subject_key),
            changes: Unparsed(entry.changes),
            recorded_at: entry.recorded_at,
        }
    }
}
