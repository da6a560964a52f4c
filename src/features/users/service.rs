//! Finding users.

use std::sync::Arc;

use super::loader::{AccountsOf, FoundPage, KeysOf, RecordsOf, SurvivorOf};
pub use super::repo::{Account, RECORDS, User};
use super::rules;
pub use super::rules::UserWith;
use waymark_auth::UserId;
pub use waymark_auth::api_key::ApiKey;
use waymark_auth::policy;
use waymark_auth::policy::{DisposableUser, Operator, OwnUser};
use waymark_db::records;
use waymark_db::records::Records;
use waymark_graphql_kit::pagination::{Connection, Page};
use waymark_kernel::error::{Code, Error, Result};
use waymark_request::Request;
use waymark_vocabulary::ids::Kind;

/// What names a user, not checked yet.
#[derive(Debug, Clone)]
pub enum Name {
    /// A global id or a ULID.
    Id(String),
    /// The handle the user goes by, in any case.
    Handle(String),
    /// An Ethereum address that is linked to the user.
    Address(String),
    /// An account of the user somewhere else.
    Account {
        /// The place of the account, such as `discord`.
        platform: String,
        /// The account's id there.
        id: String,
    },
}

/// The user that `by` names; `None` when there is none. Says nothing yet about who may see the user.
pub async fn user(request: &Request, by: Name) -> Result<Option<Arc<User>>> {
    request.load.one(key(by)?).await
}

/// The user that `by` names, for whoever makes the request: `None` when there is none, or none whom they may see.
pub async fn visible(request: &Request, by: Name) -> Result<Option<Arc<User>>> {
    let found = user(request, by).await?;
    Ok(found.filter(|user| policy::see(&request.caller, &user.subject).is_some()))
}

/// What is said about a user who is not there, or whom the caller may not see.
pub fn unknown() -> Error {
    Error::bad_input("there is no such user")
}

/// The users that `by` name, in that order. A malformed name fails its own place only.
pub async fn users(request: &Request, by: Vec<Name>) -> Result<Vec<Result<Option<Arc<User>>>>> {
    request.check_ids("users", by.len(), request.config.limits.max_ids)?;
    let keys: Vec<Result<UserWith>> = by.into_iter().map(key).collect();
    let loaded = request.load.many(keys.iter().flatten().cloned().collect()).await?;
    let mut loaded = loaded.into_iter();
    Ok(keys.into_iter().map(|key| key.map(|_| loaded.next().flatten())).collect())
}

/// The user with this ULID.
pub async fn user_by_ulid(request: &Request, ulid: &str) -> Result<Option<Arc<User>>> {
    request.load.one(ulid_key(ulid)?).await
}

/// The user with this key in the database.
pub async fn user_by_id(request: &Request, id: UserId) -> Result<Option<Arc<User>>> {
    request.load.one(UserWith::Id(id.0)).await
}

/// The user whom a well-formed name asks for.
pub async fn user_with(request: &Request, name: UserWith) -> Result<Option<Arc<User>>> {
    request.load.one(name).await
}

/// The user into whom the one of this name, a key or a ULID, has been merged; `None` for anybody else.
pub async fn survivor(request: &Request, name: UserWith) -> Result<Option<Arc<User>>> {
    match request.load.one(SurvivorOf(name)).await? {
        Some(survivor) => user_by_id(request, UserId(survivor)).await,
        None => Ok(None),
    }
}

/// What is said about a user who has been merged into the one with this ULID.
pub fn merged(survivor: &str) -> Error {
    let survivor = Kind::User.id(survivor).0;
    Error::new(
        Code::UserMerged,
        format!("this user has been merged into {survivor}; begin anew with that one, and without a cursor"),
    )
}

/// The accounts of a user, sorted by provider.
pub async fn accounts(request: &Request, user: &OwnUser) -> Result<Vec<Account>> {
    Ok(request.load.one(AccountsOf(user.key())).await?.unwrap_or_default())
}

/// One page of the users whose handle begins with this text, who have this ULID or an account of this id.
pub async fn search(request: &Request, _operator: Operator, text: &str, page: Page) -> Result<Connection<Arc<User>>> {
    let text = text.trim();
    let text = text.strip_prefix("user:").unwrap_or(text).to_owned();
    let users = request.load.one(FoundPage { text, slice: page.slice() }).await?.unwrap_or_default();
    Ok(page.of_rows(users, |user| (user.subject.id.0, user.subject.id.0)))
}

/// One page of all API keys, the oldest first.
pub async fn api_keys(request: &Request, _operator: Operator, page: Page) -> Result<Connection<ApiKey>> {
    let keys = request.load.one(KeysOf::Page(page.slice())).await?.unwrap_or_default();
    Ok(page.of_rows(keys, |key| (key.id, key.id)))
}

/// The API key of this number.
pub async fn api_key(request: &Request, _operator: Operator, number: i64) -> Result<Option<ApiKey>> {
    Ok(request.load.one(KeysOf::Number(number)).await?.unwrap_or_default().pop())
}

/// Everything that is known about a user in these places, as a JSON object with a member for each. It is read part by
/// part, so that no more of it is in memory than may be answered. Refused where that is more than one answer holds.
pub async fn export(
    request: &Request,
    user: &DisposableUser,
    places: impl IntoIterator<Item = &'static Records>,
) -> Result<String> {
    let meter = request.load.meter();
    let mut places: Vec<(&Records, Option<u32>, String)> =
        places.into_iter().map(|records| (records, Some(0), format!("{:?}:[", records.name))).collect();
    let mut bytes = 0;
    loop {
        let (user, now) = (user.key(), request.now());
        let open =
            places.iter().filter_map(|(records, skip, _)| Some(RecordsOf { user, records, now, skip: (*skip)? }));
        let open: Vec<_> = open.collect();
        if open.is_empty() {
            break;
        }
        let parts = request.load.many(open).await?;
        let waiting = places.iter_mut().filter(|(_, skip, _)| skip.is_some());
        for ((_, skip, json), part) in waiting.zip(parts) {
            if skip.is_some_and(|skip| skip > 0) && part.as_ref().is_some_and(|part| !part.json.is_empty()) {
                json.push(',');
            }
            *skip = part.as_ref().and_then(|part| part.next);
            let part = part.as_ref().map_or("", |part| &part.json);
            json.push_str(part);
            meter.add(part.len());
            bytes += part.len();
        }
        records::check_length(bytes)?;
    }
    let members: Vec<String> = places.into_iter().map(|(_, _, json)| json + "]").collect();
    Ok(format!("{{{}}}", members.join(",")))
}

/// What a name asks for, when it is well-formed.
pub fn key(by: Name) -> Result<UserWith> {
    match by {
        Name::Id(id) => ulid_key(Kind::User.key(&id)?),
        Name::Handle(handle) => {
            if !rules::is_handle(&handle) {
                return Err(Error::bad_input(rules::HANDLE));
            }
            Ok(UserWith::Handle(handle.to_ascii_lowercase()))
        }
        Name::Address(address) => {
            let address = rules::address(&address)
                .ok_or_else(|| Error::bad_input("an Ethereum address is 0x and 40 hexadecimal digits"))?;
            Ok(UserWith::Account { provider: "ethereum".to_owned(), external_id: address })
        }
        Name::Account { platform, id } => {
            let fits = |text: &str| (1..=255).contains(&text.len()) && !text.chars().any(char::is_control);
            if !fits(&platform) || !fits(&id) {
                return Err(Error::bad_input("platform and id of an account have 1 to 255 characters each"));
            }
            let provider = platform.to_lowercase();
            let external_id = if provider == "ethereum" { id.to_ascii_lowercase() } else { id };
            Ok(UserWith::Account { provider, external_id })
        }
    }
}

fn ulid_key(ulid: &str) -> Result<UserWith> {
    // Crockford's alphabet; the first character holds three bits only.
    let well_formed = ulid.len() == 26
        && ulid.as_bytes().first().is_some_and(|first| first.is_ascii_digit() && *first <= b'7')
        && ulid.bytes().all(|byte| byte.is_ascii_alphanumeric() && !b"ILOUilou".contains(&byte));
    if well_formed {
        Ok(UserWith::Ulid(ulid.to_ascii_uppercase()))
    } else {
        Err(Error::bad_input("a user's id is a ULID of 26 characters, such as \"user:01J9ZK3V7Q8W6X5Y4T3S2R1P0N\""))
    }
}
