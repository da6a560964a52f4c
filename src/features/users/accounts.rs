//! Accounts as operators need them: finding a user by handle, and the identity under which a token names one.

use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, ConnectionTrait, EntityTrait as _, PaginatorTrait as _, QueryFilter as _,
};

use serde_json::json;

use super::UserId;
use super::entity::{account, user};
use waymark_db::Db;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_write::{HistoryKind, append_event};

/// The user with this handle and the user's ULID.
pub async fn find(connection: &impl ConnectionTrait, handle: &str) -> Result<Option<(UserId, String)>> {
    let found = user::Entity::find()
        .filter(user::Column::HandleLower.eq(handle.to_lowercase()))
        .filter(user::Column::ErasedAt.is_null())
        .filter(user::Column::MergedInto.is_null())
        .one(connection)
        .await?;
    Ok(found.map(|row| (UserId(row.id), row.ulid)))
}

/// Counts the users, with those who were merged or erased.
pub async fn count(connection: &impl ConnectionTrait) -> Result<u64> {
    Ok(user::Entity::find().count(connection).await?)
}

/// Tells whether there is a user with this ULID, who may have been merged or erased.
pub async fn is_known(connection: &impl ConnectionTrait, ulid: &str) -> Result<bool> {
    Ok(user::Entity::find().filter(user::Column::Ulid.eq(ulid)).count(connection).await? > 0)
}

/// The subject under which tokens of `issuer` name the user with this handle. A user who has none yet gets an account
/// with the ULID as the subject. `None` when there is no such user.
pub async fn jwt_subject(db: &Db, handle: &str, issuer: &str, now: Timestamp) -> Result<Option<String>> {
    let transaction = db.begin().await?;
    let Some((user, ulid)) = find(&transaction, handle).await? else { return Ok(None) };
    let prefix = format!("{issuer}|");
    let accounts = account::Entity::find()
        .filter(account::Column::UserId.eq(user.0))
        .filter(account::Column::Provider.eq("jwt"))
        .all(&transaction)
        .await?;
    let known = accounts.iter().find_map(|row| row.external_id.strip_prefix(&prefix));
    if let Some(subject) = known {
        return Ok(Some(subject.to_owned()));
    }
    let row = account::ActiveModel {
        user_id: Set(user.0),
        provider: Set("jwt".to_owned()),
        external_id: Set(format!("{prefix}{ulid}")),
        linked_at: Set(now),
    };
    account::Entity::insert(row).exec_without_returning(&transaction).await?;
    append_event(
        &transaction,
        user.0,
        HistoryKind::AccountLinked,
        ("user", &ulid),
        &json!({ "provider": "jwt" }),
        "operator",
        now,
    )
    .await?;
    transaction.commit().await?;
    Ok(Some(ulid))
}
