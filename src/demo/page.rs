//! One user's page in the book: the records that are made for them, with history and ledger in the order of time.

use serde_json::{Value as Json, json};

use super::at;
use super::dice::Dice;
use super::ledger::{self, Operation};
use super::people::Person;
use waymark_kernel::clock::Timestamp;
use waymark_transfer::records::{Account, At, Event, Record, Subject, User, Visibility};
use waymark_vocabulary::HistoryKind;

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

/// What is made for one user. Records of facts go straight to `records`; events and changes of credits are collected in
/// any order, and get their numbers when the page is closed.
#[derive(Debug)]
pub(super) struct Page<'r> {
    /// The user.
    pub(super) person: Person,
    /// The user's ULID.
    pub(super) ulid: String,
    /// The day on which the data is made; everything happened before it began.
    pub(super) day: Timestamp,
    pub(super) records: &'r mut Vec<Record>,
    pub(super) operations: Vec<Operation>,
    /// The events, without their numbers.
    events: Vec<Event>,
}

impl<'r> Page<'r> {
    /// Begins the page of a user who joined and linked their accounts.
    pub(super) fn open(person: Person, ulid: String, day: Timestamp, records: &'r mut Vec<Record>) -> Self {
        let mut page = Self { person, ulid, day, records, operations: Vec::new(), events: Vec::new() };
        let joined = page.person.joined_at;
        page.tell_user(joined, HistoryKind::UserCreated, Actor::Themselves, json!({}));
        for (provider, _) in page.person.accounts.clone() {
            page.tell_user(joined, HistoryKind::AccountLinked, Actor::Themselves, json!({ "provider": provider }));
        }
        if page.person.public {
            let changes = json!({ "visibility": "PUBLIC" });
            page.tell_user(joined.plus_seconds(600), HistoryKind::ProfileChanged, Actor::Themselves, changes);
        }
        page
    }

    /// Adds to the history that something happened to the thing `key` of type `subject`.
    pub(super) fn tell(
        &mut self,
        at: Timestamp,
        kind: HistoryKind,
        actor: Actor,
        subject: &str,
        key: &str,
        changes: Json,
    ) {
        self.events.push(Event {
            user: self.ulid.clone(),
            number: 0,
            kind: kind.as_str().to_owned(),
            actor: match actor {
                Actor::Themselves => format!("user:{}", self.ulid),
                Actor::App => "app:demo".to_owned(),
                Actor::Operator => "operator".to_owned(),
            },
            subject: Subject { kind: subject.to_owned(), key: key.to_owned() },
            changes,
            occurred_at: At(at),
            recorded_at: At(at),
        });
    }

    /// Adds to the history that something happened to the user.
    pub(super) fn tell_user(&mut self, at: Timestamp, kind: HistoryKind, actor: Actor, changes: Json) {
        let ulid = self.ulid.clone();
        self.tell(at, kind, actor, "user", &ulid, changes);
    }

    /// Books the credits, numbers the events, and adds the user.
    pub(super) fn close(mut self) {
        let mut dice = Dice::new("close", self.person.number);
        ledger::book(&mut self, &mut dice);

        self.events.sort_by_key(|event| event.occurred_at);
        let events = self.events.into_iter().zip(1..).map(|(event, number)| Record::Event(Event { number, ..event }));
        self.records.extend(events);

        let person = self.person;
        let joined = at(person.joined_at);
        let accounts = person.accounts.into_iter().map(|(provider, id)| Account { provider, id, linked_at: joined });
        self.records.push(Record::User(User {
            id: Some(self.ulid),
            external_id: Some(dice.hex24(person.joined_at)),
            handle: Some(person.handle),
            display_name: person.display_name,
            avatar_url: None,
            visibility: Some(if person.public { Visibility::Public } else { Visibility::Members }),
            self_made: false,
            accounts: accounts.collect(),
            created_at: joined,
            updated_at: None,
            erased_at: None,
        }));
    }
}
