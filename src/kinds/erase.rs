//! Erasing a user: what is personal goes, amounts and counts stay.

use serde::{Deserialize, Serialize};
use serde_json::json;

use waymark_auth::api_key;
use waymark_auth::policy::{DisposableUser, Operator};
use waymark_credits as credits;
use waymark_kernel::error::Result;
use waymark_learning as learning;
use waymark_users::repo;
use waymark_users::rules::{self, UserWith};
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::Refusal;
use waymark_write::{HistoryKind, Unit, Write, forget_writes};

/// Erases a user.
#[derive(Debug, Serialize)]
pub struct EraseUser {
    /// Who is erased, with the proof that the caller may do so.
    pub user: Erasable,
}

/// Whom a caller may erase.
#[derive(Debug, Serialize)]
pub enum Erasable {
    /// This user.
    This(DisposableUser),
    /// Whomever an operator names.
    Named(Operator, UserWith),
}

/// The result of an erasure.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct ErasedUser {
    /// The ULID; `None` when the whole was refused.
    pub user: Option<String>,
    /// Why the erasure was refused; empty when it was done.
    pub refusals: Vec<Refusal>,
}

impl Write for EraseUser {
    const NAME: &'static str = "eraseUser";
    const CREDENTIALS: bool = true;

    type Outcome = ErasedUser;

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<ErasedUser> {
        let (user, ulid) = match &self.user {
            Erasable::This(user) => (user.key(), user.ulid().to_owned()),
            Erasable::Named(_, name) => match repo::named(unit.transaction(), name).await? {
                Some(user) => (user.subject.id.0, user.subject.ulid.to_string()),
                None => return Ok(ErasedUser { refusals: vec![Refusal::unknown_user("user")], user: None }),
            },
        };
        unit.lock([user]).await?;
        forget(unit, user).await?;
        repo::erase(unit.transaction(), user, &rules::tombstone(&ulid), unit.now).await?;
        unit.close(user)?;
        unit.record(user, HistoryKind::Erased, (Kind::User, &ulid), &json!({}))?;
        Ok(ErasedUser { user: Some(ulid), refusals: Vec::new() })
    }
}

/// Takes away what is personal of a user beside the user's own row: accounts, API keys, texts that people wrote, and
/// what makes the user's writes safe to repeat.
pub async fn forget(unit: &mut Unit<'_>, user: i64) -> Result<()> {
    let transaction = unit.transaction();
    let accounts = repo::accounts(transaction, vec![user]).await?;
    let mut principals: Vec<String> =
        accounts.into_iter().map(|(_, account)| format!("{}:{}", account.provider, account.external_id)).collect();
    principals.extend(api_key::forget(transaction, user, unit.now).await?.iter().map(|key| format!("key:{key}")));
    forget_writes(transaction, user, principals).await?;
    credits::owner::forget(unit, user).await?;
    learning::owner::forget(unit, user).await?;
    repo::remove_accounts(transaction, user).await
}
