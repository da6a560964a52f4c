//! Making and revoking API keys. Both are told in the audit log, without the key's name, which may be personal.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::repo;
use super::rules::UserWith;
use waymark_auth::api_key;
use waymark_auth::api_key::ApiKey;
use waymark_auth::policy::Operator;
use waymark_auth::{Scope, UserId};
use waymark_db::Db;
use waymark_kernel::clock::{Ids, Timestamp};
use waymark_kernel::config::Secret;
use waymark_kernel::error::Result;
use waymark_vocabulary::refusal::{Refusal, UserErrorCode};
use waymark_write::{Unit, Write, append_entry};

/// How the audit log names what keys are.
const SUBJECT: &str = "api_key";
const CREATED: &str = "API_KEY_CREATED";
const REVOKED: &str = "API_KEY_REVOKED";
/// Who acts at the command line.
const OPERATOR: &str = "operator";

/// Makes an API key.
#[derive(Debug, Serialize)]
pub struct CreateApiKey {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// The name of the app that uses the key, 1 to 100 printable characters.
    pub name: String,
    /// What the key allows; at least one scope.
    pub scopes: Vec<Scope>,
    /// The user to whom the key belongs; `None`: it belongs to no user.
    pub owner: Option<UserWith>,
    /// From when on the key is refused, in the future; `None`: it never expires.
    pub expires_at: Option<Timestamp>,
    /// Where the secret is put for the answer, once the key is made.
    #[serde(skip)]
    pub secret: Shown,
}

/// Where the secret of a key is put when the key is made: beside the outcome, which is kept, so that a repeated write
/// finds nothing here.
#[derive(Debug, Clone, Default)]
pub struct Shown(Arc<Mutex<Option<(i64, Secret)>>>);

impl Shown {
    fn put(&self, key: i64, secret: Secret) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((key, secret));
    }

    /// The secret of this key, if it was made by the write at hand.
    pub fn take(&self, key: i64) -> Option<Secret> {
        let shown = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        shown.filter(|(made, _)| *made == key).map(|(_, secret)| secret)
    }
}

/// The result of making or revoking a key.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct KeyOutcome {
    /// The key's number; `None` when the whole was refused.
    pub key: Option<i64>,
    /// Why nothing was done; empty when it was.
    pub refusals: Vec<Refusal>,
}

impl KeyOutcome {
    fn refused(refusal: Refusal) -> Self {
        Self { key: None, refusals: vec![refusal] }
    }
}

fn told(prefix: &str, scopes: &str, owner: Option<&str>) -> Value {
    json!({ "prefix": prefix, "scopes": scopes, "owner": owner })
}

impl Write for CreateApiKey {
    const NAME: &'static str = "createApiKey";

    type Outcome = KeyOutcome;

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<KeyOutcome> {
        let owner = match &self.owner {
            Some(name) => match repo::named(unit.transaction(), name).await? {
                Some(user) => Some(user),
                None => return Ok(KeyOutcome::refused(Refusal::unknown_user("owner"))),
            },
            None => None,
        };
        unit.lock(owner.as_ref().map(|user| user.subject.id.0)).await?;
        let id = owner.as_ref().map(|user| user.subject.id);
        let (transaction, now) = (unit.transaction(), unit.now);
        let created =
            api_key::create(transaction, unit.ids, now, &self.name, &self.scopes, id, self.expires_at).await?;
        let (secret, key) = created;
        let owner = owner.as_ref().map(|user| &*user.subject.ulid);
        let changes = told(&key.prefix, &key.scopes, owner);
        unit.audit(CREATED, (SUBJECT, &key.id.to_string()), &changes);
        self.secret.put(key.id, secret);
        Ok(KeyOutcome { key: Some(key.id), refusals: Vec::new() })
    }
}

/// Revokes an API key.
#[derive(Debug, Serialize)]
pub struct RevokeApiKey {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// The key's number or its prefix.
    pub key: String,
}

impl Write for RevokeApiKey {
    const NAME: &'static str = "revokeApiKey";
    const CREDENTIALS: bool = true;

    type Outcome = KeyOutcome;

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<KeyOutcome> {
        let Some(key) = api_key::known_as(unit.transaction(), &self.key).await? else {
            let message = "that names no key, or several; name one by its number or its prefix";
            return Ok(KeyOutcome::refused(Refusal::new(UserErrorCode::UnknownApiKey, message).at(["key"])));
        };
        if key.revoked_at.is_none() {
            api_key::revoke(unit.transaction(), &self.key, unit.now).await?;
            unit.audit(REVOKED, (SUBJECT, &key.id.to_string()), &json!({ "prefix": key.prefix }));
        }
        Ok(KeyOutcome { key: Some(key.id), refusals: Vec::new() })
    }
}

/// Makes a key for the operator at the command line, as [`api_key::create`] does.
pub async fn create(
    db: &Db,
    now: Timestamp,
    name: &str,
    scopes: &[Scope],
    owner: Option<(UserId, String)>,
    expires_at: Option<Timestamp>,
) -> Result<(Secret, ApiKey)> {
    let transaction = db.begin().await?;
    let id = owner.as_ref().map(|(id, _)| *id);
    let (secret, key) = api_key::create(&transaction, &Ids::system(), now, name, scopes, id, expires_at).await?;
    let changes = told(&key.prefix, &key.scopes, owner.as_ref().map(|(_, ulid)| ulid.as_str()));
    append_entry(&transaction, CREATED, (SUBJECT, &key.id.to_string()), &changes, OPERATOR, now).await?;
    transaction.commit().await?;
    Ok((secret, key))
}

/// Revokes a key for the operator at the command line, as [`api_key::revoke`] does.
pub async fn revoke(db: &Db, which: &str, now: Timestamp) -> Result<ApiKey> {
    let transaction = db.begin().await?;
    let before = api_key::known_as(&transaction, which).await?;
    let key = api_key::revoke(&transaction, which, now).await?;
    if before.is_some_and(|key| key.revoked_at.is_none()) {
        let changes = json!({ "prefix": key.prefix });
        append_entry(&transaction, REVOKED, (SUBJECT, &key.id.to_string()), &changes, OPERATOR, now).await?;
    }
    transaction.commit().await?;
    Ok(key)
}
