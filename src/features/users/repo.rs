//! SQL of users and accounts.

use std::collections::HashMap;
use std::sync::Arc;

use sea_orm::ActiveValue::{NotSet, Set, Unchanged};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, ConnectionTrait, DbErr, EntityTrait as _, QueryFilter as _,
};

use super::entity::{Visibility, account, user};
use super::rules::UserWith;
use waymark_auth::UserId;
use waymark_auth::policy::Subject;
use waymark_db::owner::Merger;
use waymark_db::page::Slice;
use waymark_db::records::{As, Records};
use waymark_db::{Param, Row, Sql, bulk, execute, fetch};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;

/// A user as it is stored.
#[derive(Debug)]
pub struct User {
    /// The user's internal id, ULID and visibility.
    pub subject: Subject,
    /// The name the user goes by, as it was written.
    pub handle: String,
    /// A longer name to show; `None`: the handle is shown.
    pub display_name: Option<String>,
    /// The address of the user's picture; `None`: there is none.
    pub avatar_url: Option<String>,
    /// When the user came to be.
    pub created_at: Timestamp,
}

/// An account of a user somewhere else.
#[derive(Debug, Clone)]
pub struct Account {
    /// The place of the account, in lower case, such as `ethereum` or `discord`.
    pub provider: String,
    /// The account's id there; an Ethereum address in lower case.
    pub external_id: String,
    /// When the account was linked to the user.
    pub linked_at: Timestamp,
}

/// A user who was found, with the account by which that happened.
pub(super) struct Found {
    pub(super) user: Arc<User>,
    pub(super) handle_lower: String,
    pub(super) account: Option<(String, String)>,
}

static BY_ULID: Sql = Sql::new(
    "SELECT u.id, u.ulid, u.visibility, u.handle, u.handle_lower, u.display_name, u.avatar_url, u.created_at, \
     CAST(NULL AS text), CAST(NULL AS text) \
     FROM users u WHERE u.ulid = ANY($1) AND u.erased_at IS NULL AND u.merged_into IS NULL",
);

static BY_ANYTHING: Sql = Sql::new(
    "SELECT u.id, u.ulid, u.visibility, u.handle, u.handle_lower, u.display_name, u.avatar_url, u.created_at, \
     CAST(NULL AS text), CAST(NULL AS text) \
     FROM users u WHERE u.ulid = ANY($1) AND u.erased_at IS NULL AND u.merged_into IS NULL \
     UNION ALL \
     SELECT u.id, u.ulid, u.visibility, u.handle, u.handle_lower, u.display_name, u.avatar_url, u.created_at, \
     NULL, NULL \
     FROM users u WHERE u.handle_lower = ANY($2) AND u.erased_at IS NULL AND u.merged_into IS NULL \
     UNION ALL \
     SELECT u.id, u.ulid, u.visibility, u.handle, u.handle_lower, u.display_name, u.avatar_url, u.created_at, \
     a.provider, a.external_id \
     FROM accounts a JOIN users u ON u.id = a.user_id \
     WHERE a.provider = ANY($3) AND a.external_id = ANY($4) AND u.erased_at IS NULL AND u.merged_into IS NULL \
     UNION ALL \
     SELECT u.id, u.ulid, u.visibility, u.handle, u.handle_lower, u.display_name, u.avatar_url, u.created_at, \
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

impl Wanted {
    pub(super) fn add(&mut self, name: UserWith) {
        match name {
            UserWith::Id(id) => self.ids.push(id),
            UserWith::Ulid(ulid) => self.ulids.push(ulid),
            UserWith::Handle(handle) => self.handles.push(handle),
            UserWith::Account { provider, external_id } => {
                if !self.providers.contains(&provider) {
                    self.providers.push(provider);
                }
                self.external_ids.push(external_id);
            }
        }
    }
}

/// The users whom these name, by whichever name. May find more accounts than were asked for, since providers and ids
/// are compared one by one.
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
    let subject = Subject { id, ulid: ulid.into(), visibility: row.take_entity()? };
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
pub async fn accounts(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, Account)>> {
    fetch(connection, &ACCOUNTS, [Param::Ints(users)], |row| {
        let user = row.take()?;
        Ok((user, Account { provider: row.take()?, external_id: row.take()?, linked_at: row.take()? }))
    })
    .await
}

/// The user whom this names, inside a transaction.
pub async fn named(connection: &impl ConnectionTrait, name: &UserWith) -> Result<Option<Arc<User>>> {
    let mut wanted = Wanted::default();
    wanted.add(name.clone());
    Ok(find(connection, wanted).await?.into_iter().next().map(|found| found.user))
}

/// What a user says about themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Profile {
    pub(super) handle: String,
    pub(super) display_name: Option<String>,
    pub(super) avatar_url: Option<String>,
    pub(super) visibility: Visibility,
}

/// The profile of a user who is there.
pub(super) async fn profile(connection: &impl ConnectionTrait, id: i64) -> Result<Option<Profile>> {
    let row = user::Entity::find_by_id(id).one(connection).await?;
    Ok(row.map(|row| Profile {
        handle: row.handle,
        display_name: row.display_name,
        avatar_url: row.avatar_url,
        visibility: row.visibility,
    }))
}

/// Stores what a user says about themselves.
pub(super) async fn store_profile(connection: &impl ConnectionTrait, id: i64, profile: Profile) -> Result<()> {
    let row = user::ActiveModel {
        id: Unchanged(id),
        visibility: Set(profile.visibility),
        handle_lower: Set(profile.handle.to_ascii_lowercase()),
        handle: Set(profile.handle),
        display_name: Set(profile.display_name),
        avatar_url: Set(profile.avatar_url),
        ..Default::default()
    };
    user::Entity::update(row).validate()?.exec(connection).await?;
    Ok(())
}

/// Inserts a user, who came to be by a wallet of their own or not, and gives the key in the database.
pub(super) async fn insert(
    connection: &impl ConnectionTrait,
    ulid: &str,
    external_id: String,
    profile: Profile,
    self_made: bool,
    now: Timestamp,
) -> Result<i64> {
    let row = user::ActiveModel {
        id: NotSet,
        ulid: Set(ulid.to_owned()),
        external_id: Set(external_id),
        visibility: Set(profile.visibility),
        handle_lower: Set(profile.handle.to_ascii_lowercase()),
        handle: Set(profile.handle),
        display_name: Set(profile.display_name),
        avatar_url: Set(profile.avatar_url),
        created_at: Set(now),
        history_seq: Set(0),
        ledger_seq: Set(0),
        self_made: Set(self_made),
        merged_into: Set(None),
        erased_at: Set(None),
    };
    Ok(row.insert(connection).await?.id)
}

/// Who has this handle, which is in lower case.
pub(super) async fn owner_of_handle(connection: &impl ConnectionTrait, handle_lower: &str) -> Result<Option<i64>> {
    let row = user::Entity::find().filter(user::Column::HandleLower.eq(handle_lower)).one(connection).await?;
    Ok(row.map(|row| row.id))
}

static OWNERS: Sql = Sql::new(
    "SELECT a.provider, a.external_id, u.id, u.ulid FROM accounts a JOIN users u ON u.id = a.user_id \
     WHERE a.provider = ANY($1) AND a.external_id = ANY($2)",
);

/// An account's provider and its id there.
pub(super) type AccountKey = (String, String);

/// Whose these accounts are, with the ULID; accounts of nobody are left out.
pub(super) async fn owners_of_accounts(
    connection: &impl ConnectionTrait,
    accounts: &[AccountKey],
) -> Result<HashMap<AccountKey, (i64, String)>> {
    let (providers, ids) = accounts.iter().cloned().unzip();
    let rows = fetch(connection, &OWNERS, [Param::Texts(providers), Param::Texts(ids)], |row| {
        Ok(((row.take()?, row.take()?), (row.take()?, row.take()?)))
    })
    .await?;
    Ok(rows.into_iter().filter(|(account, _)| accounts.contains(account)).collect())
}

/// Links accounts to a user.
pub(super) async fn link(
    connection: &impl ConnectionTrait,
    user: i64,
    accounts: &[AccountKey],
    now: Timestamp,
) -> Result<()> {
    let rows: Vec<_> = accounts
        .iter()
        .cloned()
        .map(|(provider, external_id)| account::Model { user_id: user, provider, external_id, linked_at: now })
        .collect();
    bulk::insert(connection, &rows).await
}

static UNLINK: Sql = Sql::new("DELETE FROM accounts WHERE user_id = $1 AND provider = $2 AND external_id = $3");

/// Takes an account away from a user; whether the user had it.
pub(super) async fn unlink(connection: &impl ConnectionTrait, user: i64, account: AccountKey) -> Result<bool> {
    let (provider, id) = account;
    let params = [Param::Int(user), Param::Text(provider), Param::Text(id)];
    Ok(execute(connection, &UNLINK, params).await? > 0)
}

static MOVE_ACCOUNTS: Sql = Sql::new("UPDATE accounts SET user_id = $2 WHERE user_id = $1");
static ABSORB: Sql = Sql::new(
    "UPDATE users SET merged_into = $2, handle = $3, handle_lower = $3, display_name = NULL, avatar_url = NULL, \
     visibility = 'PRIVATE' WHERE id = $1",
);

/// Hands the accounts of a user over to another, and marks the user as merged.
pub async fn absorb(connection: &impl ConnectionTrait, merger: Merger, tombstone: &str) -> Result<()> {
    let users = || [Param::Int(merger.from), Param::Int(merger.into)];
    execute(connection, &MOVE_ACCOUNTS, users()).await?;
    execute(connection, &ABSORB, users().into_iter().chain([Param::Text(tombstone.to_owned())])).await.map(drop)
}

static SURVIVORS: Sql = Sql::new(
    "WITH RECURSIVE chain(id, ulid, next) AS (\
         SELECT u.id, u.ulid, u.merged_into FROM users u \
         WHERE (u.id = ANY($1) OR u.ulid = ANY($2)) AND u.merged_into IS NOT NULL \
         UNION \
         SELECT c.id, c.ulid, u.merged_into FROM chain c JOIN users u ON u.id = c.next WHERE u.merged_into IS NOT NULL) \
     SELECT c.id, c.ulid, u.id FROM chain c JOIN users u ON u.id = c.next WHERE u.merged_into IS NULL",
);

/// Those of the users with these keys or ULIDs who have been merged into others, each with the key, the ULID, and the
/// key of who is left in the end.
pub(super) async fn survivors(
    connection: &impl ConnectionTrait,
    ids: Vec<i64>,
    ulids: Vec<String>,
) -> Result<Vec<(i64, String, i64)>> {
    fetch(connection, &SURVIVORS, [Param::Ints(ids), Param::Texts(ulids)], |row| {
        Ok((row.take()?, row.take()?, row.take()?))
    })
    .await
}

static REMOVE_ACCOUNTS: Sql = Sql::new("DELETE FROM accounts WHERE user_id = $1");
static ERASE: Sql = Sql::new(
    "UPDATE users SET erased_at = $2, handle = $3, handle_lower = $3, display_name = NULL, avatar_url = NULL, \
     visibility = 'PRIVATE' WHERE id = $1",
);

/// Takes away the accounts of a user.
pub async fn remove_accounts(connection: &impl ConnectionTrait, user: i64) -> Result<()> {
    execute(connection, &REMOVE_ACCOUNTS, [Param::Int(user)]).await.map(drop)
}

/// Takes away the profile of a user, and marks the user as erased.
pub async fn erase(connection: &impl ConnectionTrait, user: i64, tombstone: &str, now: Timestamp) -> Result<()> {
    let params = [Param::Int(user), Param::Int(now.millis()), Param::Text(tombstone.to_owned())];
    execute(connection, &ERASE, params).await.map(drop)
}

/// One page of the users whose handle begins with this, who have this ULID or an account of this id; the oldest first.
pub(super) async fn search(connection: &impl ConnectionTrait, text: &str, slice: Slice) -> Result<Vec<Arc<User>>> {
    let mut found = Condition::any().add(user::Column::Ulid.eq(text.to_ascii_uppercase())).add(
        user::Column::Id.in_subquery(
            Query::select()
                .column("user_id")
                .from("accounts")
                .and_where(Expr::col("external_id").is_in([text.to_owned(), text.to_ascii_lowercase()]))
                .to_owned(),
        ),
    );
    // Nothing that stands for something else in a pattern.
    if text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        found = found.add(user::Column::HandleLower.like(format!("{}%", text.to_ascii_lowercase())));
    }
    let all = user::Entity::find()
        .filter(found)
        .filter(user::Column::ErasedAt.is_null())
        .filter(user::Column::MergedInto.is_null());
    let rows = slice.of(all, user::Column::Id, false).all(connection).await?;
    let users = rows.into_iter().map(|row| {
        Arc::new(User {
            subject: Subject { id: UserId(row.id), ulid: row.ulid.into(), visibility: row.visibility },
            handle: row.handle,
            display_name: row.display_name,
            avatar_url: row.avatar_url,
            created_at: row.created_at,
        })
    });
    Ok(users.collect())
}

/// Everything that is stored about who a user is.
pub static RECORDS: [Records; 3] = [
    Records::new(
        "user",
        "SELECT ulid, external_id, handle, display_name, avatar_url, visibility, created_at FROM users WHERE id = $1",
        &[
            ("id", As::Text),
            ("externalId", As::Text),
            ("handle", As::Text),
            ("displayName", As::Text),
            ("avatarUrl", As::Text),
            ("profileVisibility", As::Text),
            ("createdAt", As::Instant),
        ],
    ),
    Records::new(
        "accounts",
        "SELECT provider, external_id, linked_at FROM accounts WHERE user_id = $1 ORDER BY provider, external_id",
        &[("platform", As::Text), ("id", As::Text), ("linkedAt", As::Instant)],
    ),
    Records::new(
        "apiKeys",
        "SELECT name, prefix, scopes, created_at, expires_at, revoked_at FROM api_keys WHERE owner_id = $1 ORDER BY id",
        &[
            ("name", As::Text),
            ("prefix", As::Text),
            ("scopes", As::Text),
            ("createdAt", As::Instant),
            ("expiresAt", As::Instant),
            ("revokedAt", As::Instant),
        ],
    ),
];
