//! Exporting: everything as it was at one instant, page by page, in an order that follows from the data alone.
//!
//! The catalogue comes first, then users some hundred at a time with everything that is theirs, so that whoever reads
//! the file finds what a line refers to before it. Within a kind things keep the order in which they were added.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Debug;
use std::hash::Hash;
use std::io::Write;

use serde_json::Value;

use super::records::{Account, ApiKey, At, Audit, Event, Header, Merge, Record, Subject, User, VERSION, WriteRef};
use super::sql;
use waymark_auth::entity::api_key;
use waymark_db::{Db, Transaction};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_kinds::users::accounts;
use waymark_kinds::users::entity::{account, user};
use waymark_kinds::users::told::profiles_updated;
use waymark_vocabulary::ids::Kind;
use waymark_write::entity::{audit_entry, event};

/// How many rows are read at a time.
pub(crate) const PAGE: i64 = 5000;
/// How many users' rows are written together.
pub(crate) const USERS: i64 = 500;

/// What is exported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// Everything.
    #[default]
    All,
    /// What operators defined.
    Catalogue,
    /// All users and what is theirs.
    Progress,
    /// The user with this handle and what is theirs.
    User(String),
}

/// What an export came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// How many records were written, the header not counted.
    pub records: u64,
}

/// Writes what `scope` says of `db` to `out`, as it was at one instant; the keys of applications only `with_keys`, and
/// of one user only that user's.
/// `progress` is told how many records there are so far.
///
/// # Errors
/// When the database fails, when `out` cannot be written, and for a user who is not there.
pub async fn export(
    db: &Db,
    out: &mut (dyn Write + Send),
    scope: &Scope,
    with_keys: bool,
    progress: &(dyn Fn(Exported) + Sync),
) -> Result<Exported> {
    let transaction = db.long_snapshot().await?;
    let user = match scope {
        Scope::User(handle) => Some(
            accounts::find(&transaction, handle)
                .await?
                .map(|(id, _)| id.0)
                .ok_or_else(|| Error::bad_input(format!("there is no user with the handle {handle:?}")))?,
        ),
        _ => None,
    };
    let mut export =
        Export { transaction: &transaction, out, done: Exported::default(), progress, keys: Keys::default() };
    export.write(&Record::Waymark(Header { version: VERSION, history: true }))?;
    export.done.records = 0;
    export.catalogue(matches!(scope, Scope::All | Scope::Catalogue)).await?;
    let (users, keys) = match user {
        Some(id) => (format!("t.id = {id}"), format!("t.owner_id = {id}")),
        None => ("true".to_owned(), "true".to_owned()),
    };
    if *scope != Scope::Catalogue {
        export.users(&users).await?;
    }
    if matches!(scope, Scope::All | Scope::Progress) {
        export.merges().await?;
    }
    if *scope == Scope::All {
        export.audit().await?;
    }
    if with_keys {
        export.api_keys(&keys).await?;
    }
    export.out.flush().map_err(unwritten)?;
    let done = export.done;
    transaction.commit().await?;
    progress(done);
    Ok(done)
}

fn unwritten(error: std::io::Error) -> Error {
    Error::bad_input(format!("the export cannot be written: {error}"))
}

/// The keys of the catalogue by types and ids.
#[derive(Default)]
pub(crate) struct Keys(HashMap<(Kind, i64), String>);

impl Keys {
    /// Notes the key of a thing.
    pub(crate) fn note(&mut self, kind: Kind, id: i64, key: &str) {
        self.0.insert((kind, id), key.to_owned());
    }

    /// Returns the key of a thing.
    pub(crate) fn of(&self, kind: Kind, id: i64) -> Result<String> {
        key(&self.0, (kind, id))
    }
}

/// Returns what a row refers to.
pub(crate) fn key<I: Debug + Eq + Hash>(keys: &HashMap<I, String>, id: I) -> Result<String> {
    keys.get(&id).cloned().ok_or_else(|| Error::internal(format!("a row refers to {id:?}, which is not there")))
}

/// An export that is under way.
pub(crate) struct Export<'a> {
    pub(crate) transaction: &'a Transaction,
    out: &'a mut (dyn Write + Send),
    done: Exported,
    progress: &'a (dyn Fn(Exported) + Sync),
    pub(crate) keys: Keys,
}

/// All rows of a table with ids, page by page.
macro_rules! each {
    ($export:ident, $model:ty, $condition:expr, $row:ident => $record:expr) => {{
        let mut behind = 0;
        loop {
            let rows =
                $crate::sql::page::<$model>($export.transaction, behind, $condition, $crate::export::PAGE).await?;
            let Some(last) = rows.last() else { break };
            behind = last.id;
            for $row in rows {
                let record = $record;
                if let Some(record) = record {
                    $export.write(&record)?;
                }
            }
        }
    }};
}

/// All rows of a table of users, of some users, page by page.
macro_rules! each_of {
    ($export:ident, $block:ident, $model:ty, $column:ident, $row:ident => $record:expr) => {{
        let mut behind = (0, 0);
        loop {
            let rows = $crate::sql::page_of_users::<$model>(
                $export.transaction,
                $block.range,
                stringify!($column),
                behind,
                $crate::export::PAGE,
            )
            .await?;
            let Some(last) = rows.last() else { break };
            behind = (last.user_id, last.$column);
            for $row in rows {
                let record = $record;
                if let Some(record) = record {
                    $export.write(&record)?;
                }
            }
        }
    }};
}

pub(crate) use {each, each_of};

/// Some users whose rows are written together.
pub(crate) struct Users {
    pub(crate) range: (i64, i64),
    pub(crate) ulids: HashMap<i64, String>,
}

impl Users {
    /// Returns the ULID of one of them.
    pub(crate) fn ulid(&self, id: i64) -> Result<String> {
        key(&self.ulids, id)
    }
}

/// Returns an instant that is known.
pub(crate) const fn at(instant: Timestamp) -> Option<At> {
    Some(At(instant))
}

fn json(text: &str) -> Value {
    // What was written by hand and is no JSON goes along as text.
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

impl Export<'_> {
    /// Writes a record.
    pub(crate) fn write(&mut self, record: &Record) -> Result<()> {
        serde_json::to_writer(&mut *self.out, record).map_err(|error| unwritten(error.into()))?;
        self.out.write_all(b"\n").map_err(unwritten)?;
        self.done.records += 1;
        if self.done.records.is_multiple_of(1000) {
            (self.progress)(self.done);
        }
        Ok(())
    }

    /// Writes the users who meet a condition with everything that is theirs.
    async fn users(&mut self, condition: &str) -> Result<()> {
        let mut behind = 0;
        loop {
            let rows = sql::page::<user::Model>(self.transaction, behind, condition, USERS).await?;
            let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
            behind = last.id;
            let users = Users {
                range: (first.id, last.id),
                ulids: rows.iter().map(|row| (row.id, row.ulid.clone())).collect(),
            };
            let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
            let mut accounts: HashMap<i64, Vec<Account>> = HashMap::new();
            for row in sql::with_int::<account::Model>(self.transaction, "user_id", &ids).await? {
                let account = Account { provider: row.provider, id: row.external_id, linked_at: at(row.linked_at) };
                accounts.entry(row.user_id).or_default().push(account);
            }
            let updated = profiles_updated(self.transaction, &ids).await?;
            for row in rows {
                let mut accounts = accounts.remove(&row.id).unwrap_or_default();
                accounts.sort_by(|one, two| (&one.provider, &one.id).cmp(&(&two.provider, &two.id)));
                self.write(&Record::User(User {
                    id: Some(row.ulid),
                    external_id: Some(row.external_id),
                    handle: Some(row.handle),
                    display_name: row.display_name,
                    avatar_url: row.avatar_url,
                    visibility: Some(row.visibility),
                    self_made: row.self_made,
                    accounts,
                    created_at: at(row.created_at),
                    updated_at: at(updated.get(&row.id).copied().unwrap_or(row.created_at)),
                    erased_at: row.erased_at.map(At),
                }))?;
            }
            self.progress_of(&users).await?;
            self.history_of(&users).await?;
        }
    }

    async fn history_of(&mut self, users: &Users) -> Result<()> {
        let mut behind = (0, String::new(), String::new());
        loop {
            let rows = sql::page_of_refs(self.transaction, users.range, behind, PAGE).await?;
            let Some((user, kind, reference, ..)) = rows.last() else { break };
            behind = (*user, kind.clone(), reference.clone());
            for (user, kind, reference, created_at, outcome) in rows {
                let (user, outcome, created_at) = (users.ulid(user)?, json(&outcome), At(created_at));
                self.write(&Record::WriteRef(WriteRef { user, kind, reference, outcome, created_at }))?;
            }
        }
        each_of!(self, users, event::Model, seq, row => Some(Record::Event(Event {
            user: users.ulid(row.user_id)?,
            number: row.seq,
            kind: row.kind,
            actor: row.actor,
            subject: Subject { kind: row.subject_type, key: row.subject_key },
            changes: json(&row.changes),
            occurred_at: At(row.occurred_at),
            recorded_at: At(row.recorded_at),
        })));
        Ok(())
    }

    async fn merges(&mut self) -> Result<()> {
        let mut behind = 0;
        loop {
            let merges = sql::merges(self.transaction, behind, PAGE).await?;
            let Some((last, ..)) = merges.last() else { return Ok(()) };
            behind = *last;
            for (_, user, into) in merges {
                self.write(&Record::Merge(Merge { user, into }))?;
            }
        }
    }

    async fn audit(&mut self) -> Result<()> {
        each!(self, audit_entry::Model, "true", row => Some(Record::Audit(Audit {
            actor: row.actor,
            action: row.action,
            subject: Subject { kind: row.subject_type, key: row.subject_key },
            changes: json(&row.changes),
            recorded_at: At(row.recorded_at),
        })));
        Ok(())
    }

    /// Writes the keys of applications that meet a condition.
    async fn api_keys(&mut self, condition: &str) -> Result<()> {
        let mut behind = 0;
        loop {
            let rows = sql::page::<api_key::Model>(self.transaction, behind, condition, PAGE).await?;
            let Some(last) = rows.last() else { return Ok(()) };
            behind = last.id;
            let owners: BTreeSet<i64> = rows.iter().filter_map(|row| row.owner_id).collect();
            let owners: Vec<i64> = owners.into_iter().collect();
            let owners = sql::with_int::<user::Model>(self.transaction, "id", &owners).await?;
            let owners: HashMap<i64, String> = owners.into_iter().map(|row| (row.id, row.ulid)).collect();
            for row in rows {
                self.write(&Record::ApiKey(ApiKey {
                    name: row.name,
                    prefix: row.prefix,
                    hash: row.hash,
                    scopes: row.scopes,
                    owner: row.owner_id.map(|id| key(&owners, id)).transpose()?,
                    created_at: At(row.created_at),
                    expires_at: row.expires_at.map(At),
                    revoked_at: row.revoked_at.map(At),
                }))?;
            }
        }
    }
}
