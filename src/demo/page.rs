//! One user's page in the book: the rows that are made for them, with history and ledger in the order of time.

use serde_json::{Value as Json, json};

use super::dice::Dice;
use super::ledger::{self, Operation};
use super::people::Person;
use super::rows::Rows;
use waymark_kernel::clock::Timestamp;
use waymark_users::entity::{Visibility, account, user};
use waymark_write::HistoryKind;
use waymark_write::entity::event;

/// Who did something, as the history names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Actor {
    /// The user.
    Themselves,
    /// The application that reports progress.
    App,
    /// The operator.
    Operator,
}

/// An event that has no number yet.
#[derive(Debug)]
struct Draft {
    at: Timestamp,
    kind: HistoryKind,
    actor: Actor,
    subject: (&'static str, String),
    changes: Json,
}

/// What is made for one user. Rows go straight to `rows`; events and changes of credits are collected in any order,
/// and get their numbers when the page is closed.
#[derive(Debug)]
pub(super) struct Page<'r> {
    /// The user.
    pub(super) person: Person,
    /// The user's ULID.
    pub(super) ulid: String,
    /// The day on which the data is made; everything happened before it began.
    pub(super) day: Timestamp,
    pub(super) rows: &'r mut Rows,
    pub(super) operations: Vec<Operation>,
    drafts: Vec<Draft>,
}

impl<'r> Page<'r> {
    /// Begins the page of a user who joined and linked their accounts.
    pub(super) fn open(person: Person, ulid: String, day: Timestamp, rows: &'r mut Rows) -> Self {
        let mut page = Self { person, ulid, day, rows, operations: Vec::new(), drafts: Vec::new() };
        let joined = page.person.joined_at;
        page.tell_user(joined, HistoryKind::UserCreated, Actor::Themselves, json!({}));
        for (provider, external_id) in page.person.accounts.clone() {
            page.tell_user(joined, HistoryKind::AccountLinked, Actor::Themselves, json!({ "provider": provider }));
            page.rows.accounts.push(account::Model { user_id: page.id(), provider, external_id, linked_at: joined });
        }
        if page.person.public {
            let at = joined.plus_seconds(600);
            let changes = json!({ "visibility": "PUBLIC" });
            page.tell_user(at, HistoryKind::ProfileChanged, Actor::Themselves, changes);
        }
        page
    }

    /// The user's id.
    pub(super) const fn id(&self) -> i64 {
        self.person.number
    }

    /// Adds to the history that something happened to the thing `key` of type `subject`.
    pub(super) fn tell(
        &mut self,
        at: Timestamp,
        kind: HistoryKind,
        actor: Actor,
        subject: &'static str,
        key: &str,
        changes: Json,
    ) {
        self.drafts.push(Draft { at, kind, actor, subject: (subject, key.to_owned()), changes });
    }

    /// Adds to the history that something happened to the user.
    pub(super) fn tell_user(&mut self, at: Timestamp, kind: HistoryKind, actor: Actor, changes: Json) {
        let ulid = self.ulid.clone();
        self.tell(at, kind, actor, "user", &ulid, changes);
    }

    /// Books the credits, numbers the events, and adds the user.
    pub(super) fn close(mut self) {
        let mut dice = Dice::new("close", self.id());
        let ledger_seq = ledger::book(&mut self, &mut dice);

        self.drafts.sort_by_key(|draft| draft.at);
        let mut history_seq = 0;
        for Draft { at, kind, actor, subject: (subject_type, subject_key), changes } in self.drafts {
            history_seq += 1;
            self.rows.events.push(event::Model {
                user_id: self.person.number,
                seq: history_seq,
                kind: kind.as_str().to_owned(),
                actor: match actor {
                    Actor::Themselves => format!("user:{}", self.ulid),
                    Actor::App => "app:demo".to_owned(),
                    Actor::Operator => "operator".to_owned(),
                },
                subject_type: subject_type.to_owned(),
                subject_key,
                changes: changes.to_string(),
                occurred_at: at,
                recorded_at: at,
            });
        }

        let person = self.person;
        self.rows.users.push(user::Model {
            id: person.number,
            ulid: self.ulid,
            external_id: dice.hex24(person.joined_at),
            handle_lower: person.handle.to_ascii_lowercase(),
            handle: person.handle,
            display_name: person.display_name,
            avatar_url: None,
            visibility: if person.public { Visibility::Public } else { Visibility::Members },
            created_at: person.joined_at,
            history_seq,
            ledger_seq,
            self_made: false,
            merged_into: None,
            erased_at: None,
        });
    }
}
