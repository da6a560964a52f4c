//! SQL of users and accounts.

use std::sync::Arc;

use sea_orm::{ConnectionTrait, DbErr};

use crate::auth::UserId;
use crate::auth::policy::Subject;
use crate::clock::Timestamp;
use crate::db::{Param, Row, Sql, fetch};
use crate::error::Result;

/// A user as it is stored.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) subject: Subject,
    pub(crate) handle: String,
    pub(crate) display_name: Option<String>,
    pub(crate) avatar_url: Option<String>,
    pub(crate) created_at: Timestamp,
}

/// An account of a user somewhere else.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) provider: String,
    pub(crate) external_id: String,
    pub(crate) linked_at: Timestamp,
}

/// A user who was found, with the account by which that happened.
pub(super) struct Found {
    pub(super) user: Arc<User>,
    pub(super) handle_lower: String,
    pub(super) account: Option<(String, String)>,
}

static BY_ULID: Sql = Sql::new(
    "SELECT u.id, u.ulid, u.visibility = 'PUBLIC', u.handle, u.handle_lower, u.display_name, u.avatar_url, u.created_at, \
     CAST(NULL AS text), CAST(NULL AS text) \
     FROM users u WHERE u.ulid = ANY($1) AND u.erased_at IS NULL AND u.merged_into IS NULL",
);

static BY_ANYTHING: Sql = Sql::new(
    "SELECT u.id, u.ulid, u.visibility = 'PUBLIC', u.handle, u.handle_lower, u.display_name, u.avatar_url, u.created_at, \
     CAST(NULL AS text), CAST(NULL AS text) \
     FROM users u WHERE u.ulid = ANY($1) AND u.erased_at IS NULL AND u.merged_into IS NULL \
     UNION ALL \
     SELECT u.id, u.ulid, u.visibility = 'PUBLIC', u.handle, u.handle_lower, u.display_name, u.avatar_url, u.created_at, \
     NULL, NULL \
     FROM users u WHERE u.handle_lower = ANY($2) AND u.erased_at IS NULL AND u.merged_into IS NULL \
     UNION ALL \
     SELECT u.id, u.ulid, u.visibility = 'PUBLIC', u.handle, u.handle_lower, u.display_name, u.avatar_url, u.created_at, \
     a.provider, a.external_id \
     FROM accounts a JOIN users u ON u.id = a.user_id \
     WHERE a.provider = ANY($3) AND a.external_id = ANY($4) AND u.erased_at IS NULL AND u.merged_into IS NULL \
     UNION ALL \
     SELECT u.id, u.ulid, u.visibility = 'PUBLIC', u.handle, u.handle_lower, u.display_name, u.avatar_url, u.created_at, \
     NULL, NULL \
     FROM users u WHERE u.id = ANY($5) AND u.erased_at IS NULL AND u.merged_into IS NULL",
);

/// What names users.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) ulids: Vec<String>,
    /// In lower case.
    pub(super) handles: Vec<String>,
    pub(super) providers: Vec<String>,
    pub(super) external_ids: Vec<String>,
    pub(super) ids: Vec<i64>,
}

/// The users whom these name, by whichever name. May find more accounts than were asked for, since providers and ids are
/// compared one by one.
pub(super) async fn find(connection: &impl ConnectionTrait, wanted: Wanted) -> Result<Vec<Found>> {
    let Wanted { ulids, handles, providers, external_ids, ids } = wanted;
    if handles.is_empty() && providers.is_empty() && ids.is_empty() {
        return fetch(connection, &BY_ULID, [Param::Texts(ulids)], read_found).await;
    }
    let params = [
        Param::Texts(ulids),
        Param::Texts(handles),
        Param::Texts(providers),
        Param::Texts(external_ids),
        Param::Ints(ids),
    ];
    fetch(connection, &BY_ANYTHING, params, read_found).await
}

fn read_found(row: &mut Row) -> Result<Found, DbErr> {
    let id = UserId(row.take()?);
    let ulid: String = row.take()?;
    let subject = Subject { id, ulid: ulid.into(), public: row.take()? };
    let handle = row.take()?;
    let handle_lower = row.take()?;
    let user = User { subject, handle, display_name: row.take()?, avatar_url: row.take()?, created_at: row.take()? };
    let (provider, external_id): (Option<String>, Option<String>) = (row.take()?, row.take()?);
    Ok(Found { user: Arc::new(user), handle_lower, account: provider.zip(external_id) })
}

static ACCOUNTS: Sql = Sql::new(
    "SELECT user_id, provider, external_id, linked_at FROM accounts WHERE user_id = ANY($1) \
     ORDER BY provider, external_id",
);

/// The accounts of these users, each with its user.
pub(super) async fn accounts(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, Account)>> {
    fetch(connection, &ACCOUNTS, [Param::Ints(users)], |row| {
        let user = row.take()?;
        Ok((user, Account { provider: row.take()?, external_id: row.take()?, linked_at: row.take()? }))
    })
    .await
}
