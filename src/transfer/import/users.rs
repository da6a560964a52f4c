//! Users and their accounts. What a record says of a user who is there replaces what was there, what it leaves out stays;
//! accounts are only added. The record of an export says all there is to say, of a user who is there only if it is the newer
//! one. Of a user who was erased nothing comes back.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::{Person, Work, only};
use crate::records::User;
use crate::sql;
use waymark_auth::JWT_PROVIDER;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_kinds::erase::forget;
use waymark_users::entity::{Visibility, account, user};
use waymark_users::rules;
use waymark_write::HistoryKind;

/// A user whom records are about.
struct Slot {
    row: user::Model,
    is_new: bool,
    changed: bool,
    /// When the profile or the accounts changed last. Looked up only where an export tells of the user.
    updated_at: Timestamp,
    /// Whether the export says that the user, who is there, was erased meanwhile.
    erased: bool,
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
    /// The ULIDs of those who have these ids of 24 digits.
    by_external_id: HashMap<String, String>,
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
    let mut records = Vec::new();
    for (at, record, has_history) in work.records(only!(User)) {
        match well_formed(record, has_history) {
            Ok(record) => records.push((at, record, has_history)),
            Err(reason) => work.bad(at, reason),
        }
    }
    if records.is_empty() {
        return Ok(());
    }
    let has_history = records.iter().any(|(_, _, has_history)| *has_history);
    let mut users = read(work, records.iter().map(|(_, record, _)| record), has_history).await?;
    for (at, record, has_history) in &records {
        match users.take(work, record, *has_history) {
            Ok(true) => work.landed(*at),
            Ok(false) => {}
            Err(reason) => work.bad(*at, reason),
        }
    }
    users.store(work).await
}

/// Reads and locks the users who are named.
async fn read<'a>(
    work: &mut Work<'_>,
    records: impl Iterator<Item = &'a User> + Clone,
    has_history: bool,
) -> Result<Users> {
    let ulids: BTreeSet<String> = records.clone().filter_map(|record| record.id.clone()).collect();
    let handles: BTreeSet<String> =
        records.clone().filter_map(|record| Some(record.handle.as_ref()?.to_lowercase())).collect();
    let external_ids: BTreeSet<String> = records.clone().filter_map(|record| record.external_id.clone()).collect();
    let accounts = || records.clone().flat_map(|record| &record.accounts);
    let providers: BTreeSet<String> = accounts().map(|account| account.provider.clone()).collect();
    let accounts: BTreeSet<String> = accounts().map(|account| account.id.clone()).collect();
    let transaction = work.transaction;
    let mut found = sql::with_text::<user::Model>(transaction, "ulid", ulids.into_iter().collect()).await?;
    found.extend(sql::with_text::<user::Model>(transaction, "handle_lower", handles.into_iter().collect()).await?);
    let ids: BTreeSet<i64> = found.iter().map(|row| row.id).collect();
    let ids: Vec<i64> = ids.into_iter().collect();
    work.lock(ids.clone()).await?;
    let updated = if has_history { sql::profiles_updated(transaction, &ids).await? } else { HashMap::new() };
    let mut users = Users::default();
    let mut places = HashMap::new();
    // Read again, now that nobody else can change them.
    for row in sql::with_int::<user::Model>(transaction, "id", &ids).await? {
        let slot = users.slots.len();
        places.insert(row.id, slot);
        users.by_ulid.insert(row.ulid.clone(), slot);
        users.by_handle.insert(row.handle_lower.clone(), slot);
        let taken = work.earlier.profiles.and_then(|profiles| profiles.get(&row.id));
        let updated_at = updated.get(&row.id).max(taken).copied().unwrap_or(row.created_at);
        users.slots.push(Slot { row, is_new: false, changed: false, updated_at, erased: false });
    }
    for row in sql::with_text::<user::Model>(transaction, "external_id", external_ids.into_iter().collect()).await? {
        users.by_external_id.insert(row.external_id, row.ulid);
    }
    for (user, provider, external_id) in sql::find_accounts(transaction, providers, accounts).await? {
        let owner = places.get(&user).map_or(Owner::Somebody, |slot| Owner::Slot(*slot));
        users.owners.insert((provider, external_id), owner);
    }
    Ok(users)
}

impl Users {
    /// Takes one record; whether it changed anything.
    fn take(&mut self, work: &Work<'_>, record: &User, has_history: bool) -> Result<bool, String> {
        let handle_lower = record.handle.as_ref().map(|handle| handle.to_lowercase());
        let holder = handle_lower.as_ref().and_then(|handle| self.by_handle.get(handle)).copied();
        let slot = match &record.id {
            Some(id) => self.by_ulid.get(id).copied(),
            None => holder,
        };
        let vouched = slot.is_some_and(|slot| self.slots[slot].is_vouched_for(record));
        if slot.is_some_and(|slot| self.slots[slot].has_nothing_to_learn(record, has_history)) {
            return Ok(vouched);
        }
        if let (Some(holder), Some(handle)) = (holder, &record.handle)
            && slot != Some(holder)
        {
            return Err(format!("the handle {handle:?} belongs to another user"));
        }
        for account in &record.accounts {
            let owner = self.owners.get(&(account.provider.clone(), account.id.clone()));
            if owner.is_some_and(|owner| slot.is_none_or(|slot| *owner != Owner::Slot(slot))) {
                return Err(format!("the {} account {:?} belongs to another user", account.provider, account.id));
            }
        }
        if slot.is_none()
            && let Some(id) = &record.external_id
            && self.by_external_id.contains_key(id)
        {
            return Err(format!("the externalId {id:?} belongs to another user"));
        }
        let created_at = record.created_at.map_or(work.now, |at| at.0);
        let (slot, mut changed) = match slot {
            Some(slot) => (slot, vouched),
            None => (self.add(work, record, created_at, has_history)?, true),
        };
        changed |= self.change(work, slot, record, has_history);
        changed |= self.link(work, slot, record, has_history);
        if let (true, Some(at)) = (has_history, record.updated_at) {
            self.slots[slot].updated_at = at.0;
        }
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
            visibility: record.visibility.unwrap_or(Visibility::Members),
            created_at: at,
            history_seq: 0,
            ledger_seq: 0,
            self_made: record.self_made,
            merged_into: None,
            erased_at: record.erased_at.map(|at| at.0),
        };
        let slot = self.slots.len();
        self.by_ulid.insert(row.ulid.clone(), slot);
        self.by_handle.insert(row.handle_lower.clone(), slot);
        self.by_external_id.insert(row.external_id.clone(), row.ulid.clone());
        let updated_at = if has_history { at } else { work.now };
        self.slots.push(Slot { row, is_new: true, changed: true, updated_at, erased: false });
        self.tales.push(Tale { slot, has_history, kind: HistoryKind::UserCreated, changes: json!({}), at });
        Ok(slot)
    }

    fn change(&mut self, work: &Work<'_>, slot: usize, record: &User, has_history: bool) -> bool {
        let Slot { row, is_new, changed, erased, .. } = &mut self.slots[slot];
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
        if (record.display_name.is_some() || has_history) && record.display_name != row.display_name {
            row.display_name.clone_from(&record.display_name);
            changes["displayName"] = true.into();
        }
        if (record.avatar_url.is_some() || has_history) && record.avatar_url != row.avatar_url {
            row.avatar_url.clone_from(&record.avatar_url);
            changes["avatarUrl"] = true.into();
        }
        if let Some(visibility) = record.visibility.filter(|visibility| *visibility != row.visibility) {
            row.visibility = visibility;
            changes["visibility"] = visibility.as_str().into();
        }
        if has_history && row.erased_at.is_none() && record.erased_at.is_some() {
            row.erased_at = record.erased_at.map(|at| at.0);
            *erased = !*is_new;
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
            let external_id = account.id.clone();
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
            let person = Person { ulid: slot.row.ulid.clone(), merged: false, erased: slot.row.erased_at.is_some() };
            work.unit.adopt(id, &slot.row.ulid, [0, 0]);
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
        for slot in self.slots.iter().filter(|slot| slot.erased) {
            forget(&mut work.unit, slot.row.id).await?;
            work.person(slot.row.id)?.erased = true;
        }
        if work.earlier.profiles.is_some() {
            work.profiles.extend(self.slots.iter().map(|slot| (slot.row.id, slot.updated_at)));
        }
        for tale in self.tales {
            let of = (self.slots[tale.slot].row.id, tale.has_history);
            work.tell_user(of, tale.kind, &tale.changes, tale.at)?;
        }
        Ok(())
    }
}

impl Slot {
    /// Notes that a file of the operator knows of the user, unless it says that nobody else did; whether that is news. It is,
    /// however old the file is: whoever was vouched for once stays so.
    fn is_vouched_for(&mut self, record: &User) -> bool {
        let news = self.row.self_made && !record.self_made && self.row.erased_at.is_none();
        self.row.self_made &= !news;
        self.changed |= news;
        news
    }

    /// Whether a record says nothing that is news of this user: nothing is of those who were erased or merged, and what an
    /// export says is only if it is newer than what is there. An erasure is news whenever it was.
    fn has_nothing_to_learn(&self, record: &User, has_history: bool) -> bool {
        let known = record.updated_at.is_none_or(|at| at.0 <= self.updated_at);
        self.row.erased_at.is_some()
            || self.row.merged_into.is_some()
            || (has_history && known && record.erased_at.is_none())
    }
}

/// A record with its names as they are stored.
fn well_formed(record: &User, has_history: bool) -> Result<User, String> {
    let mut record = record.clone();
    if let Some(id) = &mut record.id {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() && !b"ILOUilou".contains(&byte);
        if id.len() != 26 || !id.starts_with(|first| ('0'..='7').contains(&first)) || !id.bytes().all(fits) {
            return Err("the id of a user is a ULID: 26 letters and digits".to_owned());
        }
        id.make_ascii_uppercase();
    }
    if record.id.is_none() && record.handle.is_none() {
        return Err("a user has an id or a handle".to_owned());
    }
    if let Some(id) = &mut record.external_id {
        if !is_hex24(id) {
            return Err("an externalId has 24 hexadecimal digits".to_owned());
        }
        id.make_ascii_lowercase();
    }
    if let Some(handle) = &record.handle {
        // What stands in place of a handle in the export of somebody who was erased or merged.
        let stands_for = record.id.as_deref().filter(|_| has_history).map(rules::tombstone);
        if !rules::is_handle(handle) && stands_for.as_ref() != Some(handle) {
            return Err(rules::HANDLE.to_owned());
        }
    }
    if record.display_name.as_deref().is_some_and(|name| !rules::is_display_name(name)) {
        return Err(format!("displayName: {}", rules::DISPLAY_NAME));
    }
    if record.avatar_url.as_deref().is_some_and(|url| !rules::is_picture_url(url)) {
        return Err(format!("avatarUrl: {}", rules::PICTURE_URL));
    }
    for account in &mut record.accounts {
        (account.provider, account.id) = stored_account(&account.provider, &account.id)
            .map_err(|reason| format!("{:?} is no account of {:?}: {reason}", account.id, account.provider))?;
    }
    Ok(record)
}

/// Whether this is an id of 24 hexadecimal digits.
fn is_hex24(text: &str) -> bool {
    text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// An account as it is stored.
pub(super) fn stored_account(provider: &str, id: &str) -> Result<(String, String), &'static str> {
    // Issuer, a line, and subject, which have 255 characters each at most.
    const LONGEST_IDENTITY: usize = 511;
    if provider.eq_ignore_ascii_case(JWT_PROVIDER)
        && id.chars().count() <= LONGEST_IDENTITY
        && !id.chars().any(char::is_control)
    {
        return if id.is_empty() { Err("it is empty") } else { Ok((JWT_PROVIDER.to_owned(), id.to_owned())) };
    }
    rules::account(provider, id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str, has_history: bool) -> Result<User, String> {
        well_formed(&serde_json::from_str(json).unwrap(), has_history)
    }

    #[test]
    fn names_are_stored_in_one_spelling() {
        let text = r#"{"id":"01kc5t4vz8q6zj6gq0d8w7x5r1","externalId":"693A0F1C0000000000000001","handle":"Hopper",
            "accounts":[{"provider":"Discord","id":"Ab"},{"provider":"ETHEREUM","id":"0xABCDEFabcdefABCDEFabcdefABCDEFabcdefABCD"}]}"#;
        let user = read(text, false).unwrap();
        assert_eq!(user.id.as_deref(), Some("01KC5T4VZ8Q6ZJ6GQ0D8W7X5R1"));
        assert_eq!(user.external_id.as_deref(), Some("693a0f1c0000000000000001"));
        assert_eq!(user.handle.as_deref(), Some("Hopper"));
        let accounts: Vec<_> = user.accounts.iter().map(|one| (one.provider.as_str(), one.id.as_str())).collect();
        let address = "0xabcdefabcdefabcdefabcdefabcdefabcdefabcd";
        assert_eq!(accounts, [("discord", "Ab"), ("ethereum", address)]);
    }

    #[test]
    fn a_record_with_an_id_is_looked_at_as_closely_as_one_without() {
        let id = "01KC5T4VZ8Q6ZJ6GQ0D8W7X5R1";
        for wrong in [
            r#""handle":"not a handle! <b>""#,
            r#""handle":"~01kc5t4vz8q6zj6gq0d8w7x5r2""#,
            r#""handle":"hopper","avatarUrl":"javascript:alert(1)""#,
            r#""handle":"hopper","displayName":"""#,
            r#""handle":"hopper","displayName":"a\u0000b""#,
            r#""handle":"hopper","accounts":[{"provider":"dis cord","id":"1"}]"#,
            r#""handle":"hopper","accounts":[{"provider":"jwt","id":""}]"#,
        ] {
            for has_history in [false, true] {
                let record = format!(r#"{{"id":"{id}",{wrong}}}"#);
                assert!(read(&record, has_history).is_err(), "{record}");
            }
        }
        let tombstone = format!(r#"{{"id":"{id}","handle":"{}"}}"#, rules::tombstone(id));
        assert!(read(&tombstone, true).is_ok() && read(&tombstone, false).is_err());
        assert!(read(r#"{"id":"81KC5T4VZ8Q6ZJ6GQ0D8W7X5R1","handle":"hopper"}"#, true).is_err());
        assert!(read(r#"{"id":"0IKC5T4VZ8Q6ZJ6GQ0D8W7X5R1","handle":"hopper"}"#, true).is_err());
    }

    #[test]
    fn an_identity_of_a_token_may_be_long() {
        let id = format!("{}|{}", "i".repeat(255), "s".repeat(255));
        assert!(stored_account("jwt", &id).is_ok() && stored_account("jwt", &format!("{id}x")).is_err());
    }
}
