//! Erasing a user: what is personal goes, amounts and counts stay.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::repo;
use super::rules::{self, UserWith};
use crate::auth::api_key;
use crate::auth::policy::{DisposableUser, Operator};
use crate::error::Result;
use crate::features::{credits, learning};
use crate::graphql::ids::Kind;
use crate::graphql::refusal::{Refusal, UserErrorCode};
use crate::write::{HistoryKind, Unit, Write, forget_writes};

/// Erases a user.
#[derive(Debug, Serialize)]
pub(crate) struct EraseUser {
    pub(crate) user: Erasable,
}

/// Whom a caller may erase.
#[derive(Debug, Serialize)]
pub(crate) enum Erasable {
    /// This user.
    This(DisposableUser),
    /// Whomever an operator names.
    Named(Operator, UserWith),
}

/// What came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct ErasedUser {
    /// The ULID; `None` when the whole was refused.
    pub(crate) user: Option<String>,
    pub(crate) refusals: Vec<Refusal>,
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
                None => {
                    let refusal = Refusal::new(UserErrorCode::UnknownUser, "there is no such user").at(["user"]);
                    return Ok(ErasedUser { refusals: vec![refusal], ..ErasedUser::default() });
                }
            },
        };
        unit.lock([user]).await?;
        forget(unit, user).await?;
        repo::erase(unit.transaction(), user, &rules::tombstone(&ulid), unit.now).await?;
        unit.record(user, HistoryKind::Erased, (Kind::User, &ulid), &json!({}))?;
        Ok(ErasedUser { user: Some(ulid), refusals: Vec::new() })
    }
}

/// Takes away what is personal of a user beside the user's own row: accounts, API keys, texts that people wrote, and what makes
/// the user's writes safe to repeat.
pub(crate) async fn forget(unit: &mut Unit<'_>, user: i64) -> Result<()> {
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
