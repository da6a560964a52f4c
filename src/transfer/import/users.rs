//! Users and their accounts. What a record says of a user who is there replaces what was there, what it leaves out stays;
//! accounts are only added. Of a user who was erased nothing comes back.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::catalogue::is_hex24;
use super::{Person, Work, only};
use crate::clock::Timestamp;
use crate::error::Result;
use crate::features::users::entity::{Visibility, account, user};
use crate::transfer::records::{Account, User};
use crate::transfer::sql;
use crate::write::HistoryKind;

/// A user whom records are about.
struct Slot {
    row: user::Model,
    is_new: bool,
    changed: bool,
}

/// Something for a history, as soon as the user has an id.
struct Tale {
    slot: usize,
    has_history: bool,
    kind: HistoryKind,
    changes: Value,
    at: Timestamp,
}

#[derive(Default)]
struct Users {
    slots: Vec<Slot>,
    by_ulid: HashMap<String, usize>,
    by_handle: HashMap<String, usize>,
    /// Whose an account is, by provider and id.
    owners: HashMap<(String, String), Owner>,
    accounts: Vec<(usize, account::Model)>,
    tales: Vec<Tale>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Slot(usize),
    Somebody,
}

/// Takes the records of users.
pub(super) async fn take(work: &mut Work<'_>) -> Result<()> {
    let records = work.records(only!(User));
    if records.is_empty() {
        return Ok(());
    }
    let mut users = read(work, records.iter().map(|(_, record, _)| *record)).await?;
    for (at, record, has_history) in records {
        match users.take(work, record, has_history) {
            Ok(true) => work.landed(at),
            Ok(false) => {}
            Err(reason) => work.bad(at, reason),
        }
    }
    users.store(work).await
}

/// Reads and locks the users who are named.
async fn read<'a>(work: &mut Work<'_>, records: impl Iterator<Item = &'a User> + Clone) -> Result<Users> {
    let ulids: BTreeSet<String> = records.clone().filter_map(|record| record.id.clone()).collect();
    let handles: BTreeSet<String> =
        records.clone().filter_map(|record| Some(record.handle.as_ref()?.to_lowercase())).collect();
    let accounts = || records.clone().flat_map(|record| &record.accounts);
    let providers: BTreeSet<String> = accounts().map(|account| account.provider.clone()).collect();
    let accounts: BTreeSet<String> = accounts().map(account_id).collect();
    let transaction = work.transaction;
    let mut found = sql::with_text::<user::Model>(transaction, "ulid", ulids.into_iter().collect()).await?;
    found.extend(sql::with_text::<user::Model>(transaction, "handle_lower", handles.into_iter().collect()).await?);
    let ids: BTreeSet<i64> = found.iter().map(|row| row.id).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    work.lock(ids.clone()).await?;
    let mut users = Users::default();
    let mut places = HashMap::new();
    // Read again, now that nobody else can change them.
    for row in sql::with_int::<user::Model>(transaction, "id", &ids).await? {
        let slot = users.slots.len();
        places.insert(row.id, slot);
        users.by_ulid.insert(row.ulid.clone(), slot);
        users.by_handle.insert(row.handle_lower.clone(), slot);
        users.slots.push(Slot { row, is_new: false, changed: false });
    }
    for (user, provider, external_id) in sql::find_accounts(transaction, providers, accounts).await? {
        let owner = places.get(&user).map_or(Owner::Somebody, |slot| Owner::Slot(*slot));
        users.owners.insert((provider, external_id), owner);
    }
    Ok(users)
}

/// An account's id as it is stored.
fn account_id(account: &Account) -> String {
    if account.provider == "ethereum" { account.id.to_ascii_lowercase() } else { account.id.clone() }
}

impl Users {
    /// Takes one record; whether it changed anything.
    fn take(&mut self, work: &Work<'_>, record: &User, has_history: bool) -> Result<bool, String> {
        check(record)?;
        let handle_lower = record.handle.as_ref().map(|handle| handle.to_lowercase());
        let holder = handle_lower.as_ref().and_then(|handle| self.by_handle.get(handle)).copied();
        let slot = match &record.id {
            Some(id) => self.by_ulid.get(id).copied(),
            None => holder,
        };
        if let (Some(holder), Some(handle)) = (holder, &record.handle)
            && slot != Some(holder)
        {
            return Err(format!("the handle {handle:?} belongs to another user"));
        }
        for account in &record.accounts {
            let owner = self.owners.get(&(account.provider.clone(), account_id(account)));
            if owner.is_some_and(|owner| slot.is_none_or(|slot| *owner != Owner::Slot(slot))) {
                return Err(format!("the {} account {:?} belongs to another user", account.provider, account.id));
            }
        }
        let created_at = record.created_at.map_or(work.now, |at| at.0);
        let (slot, mut changed) = match slot {
            Some(slot) => (slot, false),
            None => (self.add(work, record, created_at, has_history)?, true),
        };
        if self.slots[slot].row.erased_at.is_some() && !self.slots[slot].is_new
            || self.slots[slot].row.merged_into.is_some()
        {
            return Ok(false);
        }
        changed |= self.change(work, slot, record, has_history);
        changed |= self.link(work, slot, record, has_history);
        Ok(changed)
    }

    /// A new user with nothing but names.
    fn add(&mut self, work: &Work<'_>, record: &User, at: Timestamp, has_history: bool) -> Result<usize, String> {
        let handle = record.handle.clone().ok_or("a new user needs a handle")?;
        let row = user::Model {
            id: 0,
            ulid: record.id.clone().unwrap_or_else(|| work.ids.ulid(at)),
            external_id: record.external_id.clone().unwrap_or_else(|| work.ids.hex24(at)),
            handle_lower: handle.to_lowercase(),
            handle,
            display_name: None,
            avatar_url: None,
            visibility: record.visibility.unwrap_or(Visibility::Private),
            created_at: at,
            history_seq: 0,
            ledger_seq: 0,
            merged_into: None,
            erased_at: record.erased_at.map(|at| at.0),
        };
        let slot = self.slots.len();
        self.by_ulid.insert(row.ulid.clone(), slot);
        self.by_handle.insert(row.handle_lower.clone(), slot);
        self.slots.push(Slot { row, is_new: true, changed: true });
        self.tales.push(Tale { slot, has_history, kind: HistoryKind::UserCreated, changes: json!({}), at });
        Ok(slot)
    }

    fn change(&mut self, work: &Work<'_>, slot: usize, record: &User, has_history: bool) -> bool {
        let Slot { row, is_new, changed } = &mut self.slots[slot];
        let before = row.clone();
        let mut changes = json!({});
        if let Some(handle) = &record.handle
            && *handle != row.handle
        {
            self.by_handle.remove(&row.handle_lower);
            row.handle.clone_from(handle);
            row.handle_lower = handle.to_lowercase();
            self.by_handle.insert(row.handle_lower.clone(), slot);
            changes["handle"] = true.into();
        }
        if record.display_name.is_some() && record.display_name != row.display_name {
            row.display_name.clone_from(&record.display_name);
            changes["displayName"] = true.into();
        }
        if record.avatar_url.is_some() && record.avatar_url != row.avatar_url {
            row.avatar_url.clone_from(&record.avatar_url);
            changes["avatarUrl"] = true.into();
        }
        if let Some(visibility) = record.visibility.filter(|visibility| *visibility != row.visibility) {
            row.visibility = visibility;
            changes["visibility"] = if visibility == Visibility::Public { "PUBLIC" } else { "PRIVATE" }.into();
        }
        if has_history && row.erased_at.is_none() {
            row.erased_at = record.erased_at.map(|at| at.0);
        }
        if *row == before {
            return false;
        }
        *changed = true;
        if !*is_new {
            let (kind, at) = (HistoryKind::ProfileChanged, work.now);
            self.tales.push(Tale { slot, has_history, kind, changes, at });
        }
        true
    }

    /// Links the accounts that are not linked yet.
    fn link(&mut self, work: &Work<'_>, slot: usize, record: &User, has_history: bool) -> bool {
        let mut changed = false;
        for account in &record.accounts {
            let external_id = account_id(account);
            if self.owners.insert((account.provider.clone(), external_id.clone()), Owner::Slot(slot)).is_some() {
                continue;
            }
            let linked_at = account.linked_at.or(record.created_at).map_or(work.now, |at| at.0);
            let provider = account.provider.clone();
            let changes = json!({ "provider": provider });
            self.accounts.push((slot, account::Model { user_id: 0, provider, external_id, linked_at }));
            self.tales.push(Tale { slot, has_history, kind: HistoryKind::AccountLinked, changes, at: linked_at });
            changed = true;
        }
        changed
    }

    async fn store(mut self, work: &mut Work<'_>) -> Result<()> {
        let count = self.slots.iter().filter(|slot| slot.is_new).count();
        let ids = sql::new_ids::<user::Model>(work.transaction, count).await?;
        for (slot, id) in self.slots.iter_mut().filter(|slot| slot.is_new).zip(ids) {
            slot.row.id = id;
            let person = Person {
                ulid: slot.row.ulid.clone(),
                history_seq: 0,
                ledger_seq: 0,
                merged: false,
                erased: slot.row.erased_at.is_some(),
                changed: false,
            };
            work.people.insert(id, person);
        }
        let changed: Vec<user::Model> =
            self.slots.iter().filter(|slot| slot.changed).map(|slot| slot.row.clone()).collect();
        sql::store(work.transaction, &changed).await?;
        for (slot, account) in &mut self.accounts {
            account.user_id = self.slots[*slot].row.id;
        }
        let accounts: Vec<account::Model> = self.accounts.into_iter().map(|(_, account)| account).collect();
        sql::store(work.transaction, &accounts).await?;
        for tale in self.tales {
            let of = (self.slots[tale.slot].row.id, tale.has_history);
            work.tell_user(of, tale.kind, &tale.changes, tale.at)?;
        }
        Ok(())
    }
}

fn check(record: &User) -> Result<(), String> {
    if record.id.as_ref().is_some_and(|id| id.len() != 26 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        return Err("the id of a user is a ULID: 26 letters and digits".to_owned());
    }
    if record.id.is_none() && record.handle.is_none() {
        return Err("a user has an id or a handle".to_owned());
    }
    if record.external_id.as_ref().is_some_and(|id| !is_hex24(id)) {
        return Err("an externalId has 24 hexadecimal digits".to_owned());
    }
    if let (Some(handle), None) = (&record.handle, record.erased_at)
        && !((2..=20).contains(&handle.len()) && handle.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        && record.id.is_none()
    {
        return Err("a handle has 2 to 20 letters and digits".to_owned());
    }
    for account in &record.accounts {
        let fits = match &*account.provider {
            "ethereum" => account
                .id
                .strip_prefix("0x")
                .is_some_and(|hex| hex.len() == 40 && hex.bytes().all(|byte| byte.is_ascii_hexdigit())),
            provider => !provider.is_empty() && !provider.contains(':') && !account.id.is_empty(),
        };
        if !fits {
            return Err(format!("{:?} is no account of {:?}", account.id, account.provider));
        }
    }
    Ok(())
}
