//! What files tell of users, their accounts, keys and mergers. What a record says of a user who is there replaces what
//! was there, what it leaves out stays; accounts are only added. The record of an export says all there is to say, of a
//! user who is there only if it is the newer one. Of a user who was erased nothing comes back.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use super::entity::{Visibility, account, user};
use super::{repo, rules};
use waymark_auth::entity::api_key;
use waymark_auth::{JWT_PROVIDER, Scope};
use waymark_db::{bulk, rows};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_vocabulary::ids::Kind;
use waymark_write::entity::counters;
use waymark_write::{HistoryKind, Origin, Taken, Unit};

pub use super::repo::{Names, Standing, find_named, profiles_updated};

/// A user as a file tells of one. What is `None` stays as it is where the user is there already.
#[derive(Debug, Clone)]
pub struct ToldUser {
    /// The ULID.
    pub id: Option<String>,
    /// The id of 24 hexadecimal digits.
    pub external_id: Option<String>,
    /// The handle.
    pub handle: Option<String>,
    /// The name that is shown.
    pub display_name: Option<String>,
    /// The address of the picture.
    pub avatar_url: Option<String>,
    /// Who may read the profile.
    pub visibility: Option<Visibility>,
    /// Whether the user came to be by a wallet, and neither an app nor an operator has written for the user since.
    pub self_made: bool,
    /// The accounts.
    pub accounts: Vec<ToldAccount>,
    /// When the user came to be.
    pub created_at: Option<Timestamp>,
    /// When the profile or the accounts changed last.
    pub updated_at: Option<Timestamp>,
    /// When the user was erased; `None`: not.
    pub erased_at: Option<Timestamp>,
    /// Where the record comes from.
    pub origin: Origin,
}

/// An account of a user as a file tells of one.
#[derive(Debug, Clone)]
pub struct ToldAccount {
    /// The place of the account.
    pub provider: String,
    /// The account's id there.
    pub id: String,
    /// When it was linked; `None`: when the user came to be.
    pub linked_at: Option<Timestamp>,
}

/// What became of what was told of users.
#[derive(Debug, Default)]
pub struct TakenUsers {
    /// Of each record.
    pub taken: Vec<Taken>,
    /// The users who are locked now, as they are after it.
    pub users: Vec<Standing>,
    /// The internal ids of users who are there and whom an export tells of as erased. The caller deletes what they
    /// have.
    pub erased: Vec<i64>,
    /// When the profile or the accounts of each changed last.
    pub profiles: Vec<(i64, Timestamp)>,
}

/// Locks users in ascending order, those who were merged or erased too, and lets the unit know them.
pub async fn lock(unit: &mut Unit<'_>, users: Vec<i64>) -> Result<Vec<Standing>> {
    let locked = repo::lock(unit.transaction(), users).await?;
    for user in &locked {
        unit.adopt(user.id, &user.ulid, [user.history_seq, user.ledger_seq], user.self_made);
    }
    Ok(locked)
}

/// A user whom records are about.
struct Slot {
    row: user::Model,
    is_new: bool,
    changed: bool,
    /// When the profile or the accounts changed last. Looked up only where an export tells of the user.
    updated_at: Timestamp,
    /// Whether the user was there, and an export tells that the user was erased since.
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

/// Takes what is told of users. `profiles`: how new those are, by internal ids, that were told of before, where
/// histories do not say it yet.
pub async fn take_users(
    unit: &mut Unit<'_>,
    told: Vec<ToldUser>,
    profiles: Option<&HashMap<i64, Timestamp>>,
) -> Result<TakenUsers> {
    let told: Vec<Result<ToldUser, String>> = told.into_iter().map(well_formed).collect();
    let (mut users, locked) = Users::read(unit, told.iter().filter_map(|told| told.as_ref().ok()), profiles).await?;
    let taken = told.into_iter().map(|told| users.take(unit, &told?)).collect();
    let done = users.store(unit).await?;
    Ok(TakenUsers { taken, users: locked.into_iter().chain(done.users).collect(), ..done })
}

impl Users {
    /// Reads and locks the users who are named.
    async fn read<'a>(
        unit: &mut Unit<'_>,
        told: impl Iterator<Item = &'a ToldUser> + Clone,
        profiles: Option<&HashMap<i64, Timestamp>>,
    ) -> Result<(Self, Vec<Standing>)> {
        let texts = |of: fn(&ToldUser) -> Option<String>| -> Vec<String> {
            told.clone().filter_map(of).collect::<BTreeSet<_>>().into_iter().collect()
        };
        let (ulids, external_ids) = (texts(|told| told.id.clone()), texts(|told| told.external_id.clone()));
        let handles = texts(|told| told.handle.as_ref().map(|handle| handle.to_lowercase()));
        let accounts = || told.clone().flat_map(|told| &told.accounts);
        let providers = accounts().map(|account| account.provider.clone()).collect();
        let accounts = accounts().map(|account| account.id.clone()).collect();
        let transaction = unit.transaction();
        let mut found = rows::with_text::<user::Model>(transaction, "ulid", ulids).await?;
        found.extend(rows::with_text::<user::Model>(transaction, "handle_lower", handles).await?);
        let ids: BTreeSet<i64> = found.iter().map(|row| row.id).collect();
        let ids: Vec<i64> = ids.into_iter().collect();
        let locked = lock(unit, ids.clone()).await?;
        let of_exports = told.clone().any(|told| told.origin == Origin::Restored);
        let updated = if of_exports { profiles_updated(transaction, &ids).await? } else { HashMap::new() };
        let mut users = Self::default();
        let mut places = HashMap::new();
        // Read again, now that nobody else can change them.
        for row in rows::with_int::<user::Model>(transaction, "id", &ids).await? {
            let slot = users.slots.len();
            places.insert(row.id, slot);
            users.by_ulid.insert(row.ulid.clone(), slot);
            users.by_handle.insert(row.handle_lower.clone(), slot);
            let taken = profiles.and_then(|profiles| profiles.get(&row.id));
            let updated_at = updated.get(&row.id).max(taken).copied().unwrap_or(row.created_at);
            users.slots.push(Slot { row, is_new: false, changed: false, updated_at, erased: false });
        }
        for row in rows::with_text::<user::Model>(transaction, "external_id", external_ids).await? {
            users.by_external_id.insert(row.external_id, row.ulid);
        }
        for (user, provider, external_id) in repo::find_accounts(transaction, providers, accounts).await? {
            let owner = places.get(&user).map_or(Owner::Somebody, |slot| Owner::Slot(*slot));
            users.owners.insert((provider, external_id), owner);
        }
        Ok((users, locked))
    }

    /// Takes one record; whether it changed anything.
    fn take(&mut self, unit: &Unit<'_>, record: &ToldUser) -> Result<bool, String> {
        let has_history = record.has_history();
        let handle_lower = record.handle.as_ref().map(|handle| handle.to_lowercase());
        let holder = handle_lower.as_ref().and_then(|handle| self.by_handle.get(handle)).copied();
        let slot = match &record.id {
            Some(id) => self.by_ulid.get(id).copied(),
            None => holder,
        };
        let vouched = slot.is_some_and(|slot| self.slots[slot].is_vouched_for(record));
        if slot.is_some_and(|slot| self.slots[slot].has_nothing_to_learn(record)) {
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
        let created_at = record.created_at.unwrap_or(unit.now);
        let (slot, mut changed) = match slot {
            Some(slot) => (slot, vouched),
            None => (self.add(unit, record, created_at)?, true),
        };
        changed |= self.change(unit, slot, record);
        changed |= self.link(unit, slot, record);
        if let (true, Some(at)) = (has_history, record.updated_at) {
            self.slots[slot].updated_at = at;
        }
        Ok(changed)
    }

    /// A new user with nothing but names.
    fn add(&mut self, unit: &Unit<'_>, record: &ToldUser, at: Timestamp) -> Result<usize, String> {
        let has_history = record.has_history();
        let needed =
            || format!("a new user needs a handle, and {:?} has none", record.id.as_deref().unwrap_or_default());
        let handle = record.handle.clone().ok_or_else(needed)?;
        let row = user::Model {
            id: 0,
            ulid: record.id.clone().unwrap_or_else(|| unit.ids.ulid(at)),
            external_id: record.external_id.clone().unwrap_or_else(|| unit.ids.hex24(at)),
            handle_lower: handle.to_lowercase(),
            handle,
            display_name: None,
            avatar_url: None,
            visibility: record.visibility.unwrap_or(Visibility::Members),
            created_at: at,
            self_made: record.self_made,
            merged_into: None,
            erased_at: record.erased_at,
        };
        let slot = self.slots.len();
        self.by_ulid.insert(row.ulid.clone(), slot);
        self.by_handle.insert(row.handle_lower.clone(), slot);
        self.by_external_id.insert(row.external_id.clone(), row.ulid.clone());
        let updated_at = if has_history { at } else { unit.now };
        self.slots.push(Slot { row, is_new: true, changed: true, updated_at, erased: false });
        self.tales.push(Tale { slot, has_history, kind: HistoryKind::UserCreated, changes: json!({}), at });
        Ok(slot)
    }

    fn change(&mut self, unit: &Unit<'_>, slot: usize, record: &ToldUser) -> bool {
        let has_history = record.has_history();
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
            row.erased_at = record.erased_at;
            *erased = !*is_new;
        }
        if *row == before {
            return false;
        }
        *changed = true;
        if !*is_new {
            let (kind, at) = (HistoryKind::ProfileChanged, unit.now);
            self.tales.push(Tale { slot, has_history, kind, changes, at });
        }
        true
    }

    /// Links the accounts that are not linked yet.
    fn link(&mut self, unit: &Unit<'_>, slot: usize, record: &ToldUser) -> bool {
        let has_history = record.has_history();
        let mut changed = false;
        for account in &record.accounts {
            let external_id = account.id.clone();
            if self.owners.insert((account.provider.clone(), external_id.clone()), Owner::Slot(slot)).is_some() {
                continue;
            }
            let linked_at = account.linked_at.or(record.created_at).unwrap_or(unit.now);
            let provider = account.provider.clone();
            let changes = json!({ "provider": provider });
            self.accounts.push((slot, account::Model { user_id: 0, provider, external_id, linked_at }));
            self.tales.push(Tale { slot, has_history, kind: HistoryKind::AccountLinked, changes, at: linked_at });
            changed = true;
        }
        changed
    }

    /// Stores what changed, and tells the histories.
    async fn store(mut self, unit: &mut Unit<'_>) -> Result<TakenUsers> {
        let mut done = TakenUsers::default();
        let count = self.slots.iter().filter(|slot| slot.is_new).count();
        let ids = rows::new_ids::<user::Model>(unit.transaction(), count).await?;
        let mut new = Vec::with_capacity(count);
        for (slot, id) in self.slots.iter_mut().filter(|slot| slot.is_new).zip(ids) {
            slot.row.id = id;
            unit.adopt(id, &slot.row.ulid, [0, 0], slot.row.self_made);
            done.users.push(Standing::of(&slot.row));
            let gone = slot.row.erased_at.is_some();
            new.push(counters::Model { user_id: id, history_seq: 0, ledger_seq: 0, gone });
        }
        bulk::insert(unit.transaction(), &new).await?;
        let changed: Vec<user::Model> =
            self.slots.iter().filter(|slot| slot.changed).map(|slot| slot.row.clone()).collect();
        rows::store(unit.transaction(), &changed).await?;
        for (slot, account) in &mut self.accounts {
            account.user_id = self.slots[*slot].row.id;
        }
        let accounts: Vec<account::Model> = self.accounts.into_iter().map(|(_, account)| account).collect();
        rows::store(unit.transaction(), &accounts).await?;
        done.erased = self.slots.iter().filter(|slot| slot.erased).map(|slot| slot.row.id).collect();
        for user in &done.erased {
            unit.close(*user)?;
        }
        done.profiles = self.slots.iter().map(|slot| (slot.row.id, slot.updated_at)).collect();
        for tale in self.tales.into_iter().filter(|tale| !tale.has_history) {
            let row = &self.slots[tale.slot].row;
            unit.record_at(row.id, tale.kind, (Kind::User, &row.ulid), &tale.changes, tale.at)?;
        }
        Ok(done)
    }
}

impl ToldUser {
    /// Whether the file brings along what the histories say of it.
    fn has_history(&self) -> bool {
        self.origin == Origin::Restored
    }
}

impl Slot {
    /// Notes that a file of the operator knows of the user, unless it says that nobody else did; whether that is news.
    /// It is, however old the file is: whoever was vouched for once stays so.
    fn is_vouched_for(&mut self, record: &ToldUser) -> bool {
        let news = self.row.self_made && !record.self_made && self.row.erased_at.is_none();
        self.row.self_made &= !news;
        self.changed |= news;
        news
    }

    /// Whether a record says nothing that is news of this user: nothing is of those who were erased or merged, and what
    /// an export says is only if it is newer than what is there. An erasure is news whenever it was.
    fn has_nothing_to_learn(&self, record: &ToldUser) -> bool {
        let known = record.updated_at.is_none_or(|at| at <= self.updated_at);
        self.row.erased_at.is_some()
            || self.row.merged_into.is_some()
            || (record.has_history() && known && record.erased_at.is_none())
    }
}

/// A record with its names as they are stored.
fn well_formed(mut record: ToldUser) -> Result<ToldUser, String> {
    let has_history = record.has_history();
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
pub fn stored_account(provider: &str, id: &str) -> Result<(String, String), &'static str> {
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

/// Takes keys of applications that a file tells of; their ids are given here. One that was revoked stays so.
pub async fn take_keys(unit: &Unit<'_>, told: Vec<api_key::Model>) -> Result<Vec<Taken>> {
    let hashes = told.iter().map(|row| row.hash.clone()).collect();
    let stored = rows::with_text::<api_key::Model>(unit.transaction(), "hash", hashes).await?;
    let mut stored: HashMap<String, api_key::Model> = stored.into_iter().map(|row| (row.hash.clone(), row)).collect();
    let (mut new, mut revoked, mut taken) = (Vec::new(), Vec::new(), Vec::with_capacity(told.len()));
    for row in told {
        let is_hash = row.hash.len() == 64 && row.hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_known = row.scopes.split(' ').all(|scope| scope.parse::<Scope>().is_ok());
        taken.push(match stored.get_mut(&row.hash) {
            _ if !is_hash || !is_known => Err("a key has a hash of 64 hexadecimal digits and known scopes".to_owned()),
            Some(there) if there.revoked_at.is_some() || row.revoked_at.is_none() => Ok(false),
            Some(there) => {
                there.revoked_at = row.revoked_at;
                match new.iter_mut().find(|one: &&mut api_key::Model| one.hash == row.hash) {
                    Some(one) => one.revoked_at = row.revoked_at,
                    None => revoked.push(there.clone()),
                }
                Ok(true)
            }
            None => {
                stored.insert(row.hash.clone(), row.clone());
                new.push(row);
                Ok(true)
            }
        });
    }
    let ids = rows::new_ids::<api_key::Model>(unit.transaction(), new.len()).await?;
    new.iter_mut().zip(ids).for_each(|(row, id)| row.id = id);
    new.extend(revoked);
    rows::store(unit.transaction(), &new).await?;
    Ok(taken)
}

/// Takes that a locked user was merged into another one, as an export says; both by their internal ids, with what the
/// file calls them.
pub async fn take_merger(
    unit: &mut Unit<'_>,
    (user, name): (i64, &str),
    (into, survivor): (i64, &str),
    origin: Origin,
) -> Result<Taken> {
    if origin == Origin::Told {
        // What was theirs would be nobody's.
        return Ok(Err("only an export says that users were merged; the mutation mergeUsers merges them".to_owned()));
    }
    if repo::leads_to(unit.transaction(), into, user).await? {
        return Ok(Err(if into == user {
            format!("the user {name:?} cannot be merged into itself")
        } else {
            format!("the user {survivor:?} was merged into {name:?}")
        }));
    }
    let is_news = repo::mark_merged(unit.transaction(), user, into).await?;
    if is_news {
        unit.close(user)?;
    }
    Ok(Ok(is_news))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01KC5T4VZ8Q6ZJ6GQ0D8W7X5R1";

    /// What is stored of a user with this ULID and handle, who is told of in both ways, with some more.
    fn read(id: &str, handle: &str, more: impl Fn(&mut ToldUser)) -> [Result<ToldUser, String>; 2] {
        [Origin::Told, Origin::Restored].map(|origin| {
            let mut told = ToldUser {
                id: Some(id.to_owned()),
                external_id: None,
                handle: Some(handle.to_owned()),
                display_name: None,
                avatar_url: None,
                visibility: None,
                self_made: false,
                accounts: Vec::new(),
                created_at: None,
                updated_at: None,
                erased_at: None,
                origin,
            };
            more(&mut told);
            well_formed(told)
        })
    }

    fn account(provider: &str, id: &str) -> ToldAccount {
        ToldAccount { provider: provider.to_owned(), id: id.to_owned(), linked_at: None }
    }

    #[test]
    fn names_are_stored_in_one_spelling() {
        let address = "0xabcdefabcdefabcdefabcdefabcdefabcdefabcd";
        for user in read(&ID.to_lowercase(), "Hopper", |told| {
            told.external_id = Some("693A0F1C0000000000000001".to_owned());
            told.accounts = vec![account("Discord", "Ab"), account("ETHEREUM", &address.replace("abcdef", "ABCDEF"))];
        }) {
            let user = user.unwrap();
            assert_eq!(user.id.as_deref(), Some(ID));
            assert_eq!(user.external_id.as_deref(), Some("693a0f1c0000000000000001"));
            assert_eq!(user.handle.as_deref(), Some("Hopper"));
            let accounts: Vec<_> = user.accounts.iter().map(|one| (one.provider.as_str(), one.id.as_str())).collect();
            assert_eq!(accounts, [("discord", "Ab"), ("ethereum", address)]);
        }
    }

    #[test]
    fn a_record_with_an_id_is_looked_at_as_closely_as_one_without() {
        let is_refused = |handle: &str, more: &dyn Fn(&mut ToldUser)| read(ID, handle, more).iter().all(Result::is_err);
        assert!(is_refused("not a handle! <b>", &|_| {}));
        assert!(is_refused("~01kc5t4vz8q6zj6gq0d8w7x5r2", &|_| {}));
        assert!(is_refused("hopper", &|told| told.avatar_url = Some("javascript:alert(1)".to_owned())));
        for name in ["", "a\0b"] {
            assert!(is_refused("hopper", &|told| told.display_name = Some(name.to_owned())));
        }
        for (provider, id) in [("dis cord", "1"), ("jwt", "")] {
            assert!(is_refused("hopper", &|told| told.accounts = vec![account(provider, id)]));
        }
        let [told, restored] = read(ID, &rules::tombstone(ID), |_| {});
        assert!(told.is_err() && restored.is_ok());
        for id in ["81KC5T4VZ8Q6ZJ6GQ0D8W7X5R1", "0IKC5T4VZ8Q6ZJ6GQ0D8W7X5R1"] {
            assert!(read(id, "hopper", |_| {}).iter().all(Result::is_err));
        }
    }

    #[test]
    fn an_identity_of_a_token_may_be_long() {
        let id = format!("{}|{}", "i".repeat(255), "s".repeat(255));
        assert!(stored_account("jwt", &id).is_ok() && stored_account("jwt", &format!("{id}x")).is_err());
    }
}
