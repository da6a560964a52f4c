//! API keys: how applications authenticate.
//!
//! A key is `wmk_` and 256 random bits in hexadecimal digits. It is shown once, when it is made; the database has only
//! its SHA-256. A plain hash is enough, because nobody can guess 256 random bits, and looking a key up by its hash
//! takes the same time for every input.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::caller::{AppKey, Scope, UserId};
use super::entity::api_key::Model;
pub use super::entity::api_key::Model as ApiKey;
use super::repo::{self, ConnectionTrait};
use waymark_db::page::Slice;
use waymark_kernel::clock::{Ids, Timestamp};
use waymark_kernel::config::Secret;
use waymark_kernel::error::{Error, Result};
use waymark_kernel::limits;
use waymark_kernel::text::is_unprintable;

/// What every key begins with.
pub const MARK: &str = "wmk_";

const RANDOM_BYTES: usize = 32;
const PREFIX_LENGTH: usize = MARK.len() + 8;
const LONGEST_NAME: usize = 100;

/// Makes a key and stores its hash. The secret is in this answer and nowhere else.
///
/// # Errors
/// [`Code::BadUserInput`](waymark_kernel::error::Code::BadUserInput) when `name` is empty, longer than 100 characters
/// or holds control characters, when there are no `scopes`, or when `expires_at` is not in the future.
pub async fn create(
    conn: &impl ConnectionTrait,
    ids: &Ids,
    now: Timestamp,
    name: &str,
    scopes: &[Scope],
    owner: Option<UserId>,
    expires_at: Option<Timestamp>,
) -> Result<(Secret, Model)> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(is_unprintable) {
        return Err(Error::bad_input(format!("a key's name is 1 to {LONGEST_NAME} printable characters")));
    }
    if scopes.is_empty() {
        return Err(Error::bad_input("a key needs a scope: profiles:read, progress:read, progress:write or admin"));
    }
    if expires_at.is_some_and(|instant| instant <= now || instant > limits::LATEST) {
        return Err(Error::bad_input("a key must expire in the future, and before the year 3000"));
    }
    let mut scopes = scopes.to_vec();
    scopes.sort_unstable();
    scopes.dedup();
    let secret = format!("{MARK}{}", hex(&ids.bytes::<RANDOM_BYTES>()));
    let key = Model {
        id: 0,
        name: name.to_owned(),
        prefix: secret[..PREFIX_LENGTH].to_owned(),
        hash: hash(&secret),
        scopes: scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" "),
        owner_id: owner.map(|user| user.0),
        created_at: now,
        expires_at,
        revoked_at: None,
    };
    Ok((Secret::new(secret), repo::insert_key(conn, key).await?))
}

/// All keys, the oldest first, with those that were revoked or have expired.
///
/// # Errors
/// When the database cannot be read.
pub async fn list(conn: &impl ConnectionTrait) -> Result<Vec<Model>> {
    repo::keys(conn).await
}

/// The key known as `which`: its id, its prefix, or the whole key; `None` when there is no such key, or several.
///
/// # Errors
/// When the database cannot be read.
pub async fn known_as(conn: &impl ConnectionTrait, which: &str) -> Result<Option<Model>> {
    let which = which.trim();
    let mut keys = repo::keys_known_as(conn, which.parse().ok(), which, &hash(which)).await?;
    Ok(match (keys.pop(), keys.pop()) {
        (Some(key), None) => Some(key),
        _ => None,
    })
}

/// One page of all keys, the oldest first.
///
/// # Errors
/// When the database cannot be read.
pub async fn page(conn: &impl ConnectionTrait, slice: Slice) -> Result<Vec<Model>> {
    repo::page(conn, slice).await
}

/// The key with this id.
///
/// # Errors
/// When the database cannot be read.
pub async fn by_id(conn: &impl ConnectionTrait, id: i64) -> Result<Option<Model>> {
    repo::key_by_id(conn, id).await
}

/// Revokes the key known as `which`: its id, its prefix as [`list`] gives it, or the whole key. Revoking twice is
/// the same as once.
///
/// # Errors
/// [`Code::BadUserInput`](waymark_kernel::error::Code::BadUserInput) when there is no such key, or several.
pub async fn revoke(conn: &impl ConnectionTrait, which: &str, now: Timestamp) -> Result<Model> {
    let key = known_as(conn, which).await?;
    let mut key =
        key.ok_or_else(|| Error::bad_input("that names no key, or several; name one by its id or its prefix"))?;
    repo::revoke_key(conn, key.id, now).await?;
    key.revoked_at = key.revoked_at.or(Some(now));
    Ok(key)
}

/// Revokes every key of this name that is still good.
///
/// # Errors
/// When the database cannot be written.
pub async fn revoke_named(conn: &impl ConnectionTrait, name: &str, now: Timestamp) -> Result<()> {
    for key in repo::keys(conn).await? {
        if key.name == name && key.revoked_at.is_none() {
            repo::revoke_key(conn, key.id, now).await?;
        }
    }
    Ok(())
}

/// Hands the keys of one user over to another.
pub async fn hand_over(conn: &impl ConnectionTrait, from: i64, into: i64) -> Result<()> {
    repo::hand_over(conn, from, into).await
}

/// Revokes the keys of a user who is erased, and takes their names away, which may be personal; gives their ids.
pub async fn forget(conn: &impl ConnectionTrait, user: i64, now: Timestamp) -> Result<Vec<i64>> {
    repo::forget(conn, user, now).await
}

/// The key with this secret, if it is neither revoked nor expired at `now`, with the instant at which it expires.
///
/// # Errors
/// When the database cannot be read.
pub async fn find(
    conn: &impl ConnectionTrait,
    secret: &str,
    now: Timestamp,
) -> Result<Option<(AppKey, Option<Timestamp>)>> {
    if !is_well_formed(secret) {
        return Ok(None);
    }
    let Some(key) = repo::key_by_hash(conn, &hash(secret)).await? else { return Ok(None) };
    if key.revoked_at.is_some() || key.expires_at.is_some_and(|instant| instant <= now) {
        return Ok(None);
    }
    let scopes = known_scopes(&key.scopes);
    let owner = match key.owner_id {
        Some(owner) => repo::ulid_of(conn, owner).await?.map(|ulid| (UserId(owner), ulid)),
        None => None,
    };
    Ok(Some((app(key.id, key.name, scopes, owner), key.expires_at)))
}

fn app(id: i64, name: String, scopes: Vec<Scope>, owner: Option<(UserId, String)>) -> AppKey {
    let actor = owner.as_ref().map_or_else(|| format!("app:{name}"), |(_, ulid)| format!("user:{ulid}"));
    AppKey { id, name, scopes, owner: owner.map(|(id, _)| id), actor }
}

/// Those of these keys that are neither revoked nor expired at `now`.
///
/// # Errors
/// When the database cannot be read.
pub(super) async fn valid(conn: &impl ConnectionTrait, ids: Vec<i64>, now: Timestamp) -> Result<HashMap<i64, AppKey>> {
    let good = repo::good_keys(conn, ids, now).await?.into_iter();
    let app = |key: repo::GoodKey| {
        let owner = key.owner_id.map(UserId).zip(key.ulid);
        (key.id, app(key.id, key.name, known_scopes(&key.scopes), owner))
    };
    Ok(good.map(app).collect())
}

/// The scopes of a stored key. A word this version does not know grants nothing.
#[must_use]
pub fn scopes(key: &Model) -> Vec<Scope> {
    known_scopes(&key.scopes)
}

fn known_scopes(words: &str) -> Vec<Scope> {
    words.split_whitespace().filter_map(|word| Scope::parse(word).ok()).collect()
}

fn is_well_formed(secret: &str) -> bool {
    secret.strip_prefix(MARK).is_some_and(|digits| {
        digits.len() == 2 * RANDOM_BYTES && digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

fn hash(secret: &str) -> String {
    hex(&Sha256::digest(secret))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repo::testing::{TestDatabase, now};

    #[tokio::test]
    async fn a_key_is_found_by_its_secret_and_only_its_hash_is_stored() {
        let db = TestDatabase::new().await;
        let ids = Ids::system();
        let scopes = [Scope::Admin, Scope::ProgressRead, Scope::Admin];
        let (secret, stored) = create(db.writes(), &ids, now(), " game server ", &scopes, None, None).await.unwrap();
        let secret = secret.expose();
        assert!(is_well_formed(secret));
        assert!(secret.starts_with(&stored.prefix) && stored.prefix.len() == 12);
        assert!(!format!("{stored:?}").contains(secret));
        assert_eq!(stored.scopes, "progress:read admin");

        let (app, expires_at) = find(db.reads(), secret, now()).await.unwrap().unwrap();
        assert_eq!((app.id, app.name.as_str(), expires_at), (stored.id, "game server", None));
        assert_eq!(app.scopes, [Scope::ProgressRead, Scope::Admin]);
        assert_eq!(list(db.reads()).await.unwrap(), [stored]);
    }

    #[tokio::test]
    async fn an_expired_a_revoked_and_an_unknown_key_are_not_found() {
        let db = TestDatabase::new().await;
        let ids = Ids::seeded(1);
        let later = now().plus_seconds(60);
        let scopes = [Scope::ProgressRead];
        let (short, _) = create(db.writes(), &ids, now(), "short", &scopes, None, Some(later)).await.unwrap();
        let (revoked, model) = create(db.writes(), &ids, now(), "revoked", &scopes, None, None).await.unwrap();

        let before = later.plus_millis(-1);
        assert_eq!(find(db.reads(), short.expose(), before).await.unwrap().unwrap().1, Some(later));
        assert_eq!(find(db.reads(), short.expose(), later).await.unwrap(), None);

        assert!(find(db.reads(), revoked.expose(), now()).await.unwrap().is_some());
        assert_eq!(revoke(db.writes(), &model.prefix, now()).await.unwrap().revoked_at, Some(now()));
        assert_eq!(find(db.reads(), revoked.expose(), now()).await.unwrap(), None);

        let unknown = format!("{MARK}{}", "0".repeat(64));
        assert_eq!(find(db.reads(), &unknown, now()).await.unwrap(), None);
        assert_eq!(find(db.reads(), "wmk_", now()).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_key_is_revoked_by_id_prefix_or_secret_and_keeps_its_first_instant() {
        let db = TestDatabase::new().await;
        let ids = Ids::seeded(2);
        let (secret, key) = create(db.writes(), &ids, now(), "one", &[Scope::Admin], None, None).await.unwrap();
        let (_, other) = create(db.writes(), &ids, now(), "two", &[Scope::Admin], None, None).await.unwrap();
        for which in [&key.id.to_string(), &key.prefix, secret.expose()] {
            let later = now().plus_seconds(if *which == key.id.to_string() { 0 } else { 9 });
            assert_eq!(revoke(db.writes(), which, later).await.unwrap().revoked_at, Some(now()), "{which}");
        }
        for which in ["", "999", "wmk_", "two"] {
            assert!(revoke(db.writes(), which, now()).await.is_err(), "{which}");
        }
        let revoked: Vec<_> = list(db.reads()).await.unwrap().into_iter().map(|key| key.revoked_at).collect();
        assert_eq!(revoked, [Some(now()), None]);
        assert_eq!(other.revoked_at, None);
    }

    #[tokio::test]
    async fn a_key_without_name_scope_or_future_is_refused() {
        let db = TestDatabase::new().await;
        let ids = Ids::seeded(3);
        let admin = [Scope::Admin];
        for name in ["", "  ", "line\nbreak", &"x".repeat(101)] {
            assert!(create(db.writes(), &ids, now(), name, &admin, None, None).await.is_err(), "{name:?}");
        }
        assert!(create(db.writes(), &ids, now(), "none", &[], None, None).await.is_err());
        assert!(create(db.writes(), &ids, now(), "past", &admin, None, Some(now())).await.is_err());
        assert!(list(db.reads()).await.unwrap().is_empty());
    }

    #[test]
    fn only_what_has_the_shape_of_a_key_is_looked_up() {
        let good = format!("{MARK}{}", "0a".repeat(32));
        assert!(is_well_formed(&good));
        for bad in ["", "wmk_", &good[1..], &good[..67], &format!("{good}0"), &good.replace('a', "A"), "wmk_é"] {
            assert!(!is_well_formed(bad), "{bad}");
        }
    }
}
