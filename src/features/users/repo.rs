//! SQL of users and accounts.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sea_orm::ActiveValue::{NotSet, Set, Unchanged};
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, Condition, ConnectionTrait, EntityTrait as _, QueryFilter as _,
    QueryOrder as _, QuerySelect as _, QueryTrait as _, Select,
};

use super::entity::{Visibility, account, user};
use super::rules::UserWith;
use waymark_auth::UserId;
use waymark_auth::policy::Subject;
use waymark_db::owner::Merger;
use waymark_db::page::Slice;
use waymark_db::records::{As, Records};
use waymark_db::{ColumnIsAny as _, Param, Sql, bulk, fetch, fetch_values, query, row, select};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_write::HistoryKind;
use waymark_write::entity::event;

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

/// The hand-written statements of this file.
pub static STATEMENTS: [&Sql; 5] = [&BY_ULID, &BY_ANYTHING, &SURVIVORS, &LOCK_ALL, &LEADS_TO];

// Nearly every query begins with it: the builder would make its text each time, which costs more than to run it.
static BY_ULID: Sql = Sql::new(
    "SELECT u.id, u.ulid, u.visibility, u.handle, u.handle_lower, u.display_name, u.avatar_url, u.created_at \
     FROM users u WHERE u.ulid = ANY($1) AND u.erased_at IS NULL AND u.merged_into IS NULL",
);

// Each name by its own index, and all in one round trip.
static BY_ANYTHING: Sql = Sql::new(
    "SELECT u.id, u.ulid, u.visibility, u.handle, u.handle_lower, u.display_name, u.avatar_url, u.created_at, \
     CAST(NULL AS text) AS provider, CAST(NULL AS text) AS external_id \
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

row! {
    /// What is read of a user.
    struct UserRow {
        id: i64, ulid: String, visibility: Visibility, handle: String, handle_lower: String,
        display_name: Option<String>, avatar_url: Option<String>, created_at: Timestamp,
    }
}

row! { struct FoundRow { user: UserRow = (UserRow), provider: Option<String>, external_id: Option<String> } }

impl From<UserRow> for Found {
    fn from(row: UserRow) -> Self {
        let subject = Subject { id: UserId(row.id), ulid: row.ulid.into(), visibility: row.visibility };
        let UserRow { handle, handle_lower, display_name, avatar_url, created_at, .. } = row;
        let user = Arc::new(User { subject, handle, display_name, avatar_url, created_at });
        Self { user, handle_lower, account: None }
    }
}

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
        let users: Vec<UserRow> = fetch(connection, &BY_ULID, [Param::Texts(ulids)]).await?;
        return Ok(users.into_iter().map(Found::from).collect());
    }
    let params = [
        Param::Texts(ulids),
        Param::Texts(handles),
        Param::Texts(providers),
        Param::Texts(external_ids),
        Param::Ints(ids),
    ];
    let rows: Vec<FoundRow> = fetch(connection, &BY_ANYTHING, params).await?;
    let found = rows.into_iter().map(|FoundRow { user, provider, external_id }| {
        let account = provider.zip(external_id);
        Found { account, ..user.into() }
    });
    Ok(found.collect())
}

/// The users who are neither merged into others nor erased.
fn there() -> Select<user::Entity> {
    user::Entity::find().filter(user::Column::ErasedAt.is_null()).filter(user::Column::MergedInto.is_null())
}

row!(Account { provider, external_id, linked_at });

/// The accounts of these users, each with its user.
pub async fn accounts(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<(i64, Account)>> {
    use account::{Column, Entity};
    let accounts = Entity::find().filter(Column::UserId.is_any(connection, users));
    select(connection, accounts.order_by_asc(Column::Provider).order_by_asc(Column::ExternalId)).await
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
    Ok(select(connection, user::Entity::find_by_id(id)).await?.pop())
}

row!(Profile { handle, display_name, avatar_url, visibility });

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
    Ok(user::Entity::update(row).validate()?.exec(connection).await.map(drop)?)
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

row! {
    /// Whose an account is.
    struct OwnerOf { provider: String, external_id: String, user_id: i64, ulid: String = "users.ulid AS ulid" }
}

/// An account's provider and its id there.
pub(super) type AccountKey = (String, String);

/// Whose these accounts are, with the ULID; accounts of nobody are left out.
pub(super) async fn owners_of_accounts(
    connection: &impl ConnectionTrait,
    accounts: &[AccountKey],
) -> Result<HashMap<AccountKey, (i64, String)>> {
    use account::{Column, Entity};
    let (providers, ids): (Vec<_>, Vec<_>) = accounts.iter().cloned().unzip();
    let owners = Entity::find()
        .inner_join(user::Entity)
        .filter(Column::Provider.is_any(connection, providers))
        .filter(Column::ExternalId.is_any(connection, ids));
    let owners = select(connection, owners).await?;
    let owner = |row: OwnerOf| ((row.provider, row.external_id), (row.user_id, row.ulid));
    Ok(owners.into_iter().map(owner).filter(|(account, _)| accounts.contains(account)).collect())
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

/// Takes an account away from a user; whether the user had it.
pub(super) async fn unlink(connection: &impl ConnectionTrait, user: i64, account: AccountKey) -> Result<bool> {
    let (provider, id) = account;
    let unlinked = account::Entity::delete_by_id((user, provider, id)).exec(connection).await?;
    Ok(unlinked.rows_affected > 0)
}

/// Hands the accounts of a user over to another, and marks the user as merged.
pub async fn absorb(connection: &impl ConnectionTrait, merger: Merger, tombstone: &str) -> Result<()> {
    use account::{Column, Entity};
    let accounts = Entity::update_many().col_expr(Column::UserId, Expr::value(merger.into));
    accounts.filter(Column::UserId.eq(merger.from)).exec(connection).await?;
    let mark = user::ActiveModel { merged_into: Set(Some(merger.into)), ..gone(merger.from, tombstone) };
    Ok(user::Entity::update_many()
        .set(mark)
        .filter(user::Column::Id.eq(merger.from))
        .exec(connection)
        .await
        .map(drop)?)
}

/// What is left of a user who is there no more.
fn gone(user: i64, tombstone: &str) -> user::ActiveModel {
    user::ActiveModel {
        id: Unchanged(user),
        handle: Set(tombstone.to_owned()),
        handle_lower: Set(tombstone.to_owned()),
        display_name: Set(None),
        avatar_url: Set(None),
        visibility: Set(Visibility::Private),
        ..Default::default()
    }
}

// Follows each user from merger to merger until the end.
static SURVIVORS: Sql = Sql::new(
    "WITH RECURSIVE chain(id, ulid, next) AS (\
         SELECT u.id, u.ulid, u.merged_into FROM users u \
         WHERE (u.id = ANY($1) OR u.ulid = ANY($2)) AND u.merged_into IS NOT NULL \
         UNION \
         SELECT c.id, c.ulid, u.merged_into FROM chain c JOIN users u ON u.id = c.next WHERE u.merged_into IS NOT NULL) \
     SELECT c.id, c.ulid, u.id AS survivor FROM chain c JOIN users u ON u.id = c.next WHERE u.merged_into IS NULL",
);

/// Those of the users with these keys or ULIDs who have been merged into others, each with the key, the ULID, and the
/// key of who is left in the end.
pub(super) async fn survivors(
    connection: &impl ConnectionTrait,
    ids: Vec<i64>,
    ulids: Vec<String>,
) -> Result<Vec<(i64, String, i64)>> {
    let found = fetch(connection, &SURVIVORS, [Param::Ints(ids), Param::Texts(ulids)]).await?;
    Ok(found.into_iter().map(|Survivor { id, ulid, survivor }| (id, ulid, survivor)).collect())
}

row! {
    /// A user who was merged, and who is left.
    struct Survivor { id: i64, ulid: String, survivor: i64 }
}

/// Takes away the accounts of a user.
pub async fn remove_accounts(connection: &impl ConnectionTrait, user: i64) -> Result<()> {
    Ok(account::Entity::delete_many().filter(account::Column::UserId.eq(user)).exec(connection).await.map(drop)?)
}

/// Takes away the profile of a user, and marks the user as erased.
pub async fn erase(connection: &impl ConnectionTrait, user: i64, tombstone: &str, now: Timestamp) -> Result<()> {
    let mark = user::ActiveModel { erased_at: Set(Some(now)), ..gone(user, tombstone) };
    Ok(user::Entity::update_many().set(mark).filter(user::Column::Id.eq(user)).exec(connection).await.map(drop)?)
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
    let rows = select(connection, slice.of(there().filter(found), user::Column::Id, false)).await?;
    Ok(rows.into_iter().map(|row: UserRow| Found::from(row).user).collect())
}

/// Everything that is stored about who a user is.
pub static RECORDS: [Records; 3] = [
    Records::new(
        "user",
        "users WHERE id = $1",
        &[
            ("id", "ulid", As::Text),
            ("externalId", "external_id", As::Text),
            ("handle", "handle", As::Text),
            ("displayName", "display_name", As::Text),
            ("avatarUrl", "avatar_url", As::Text),
            ("profileVisibility", "visibility", As::Text),
            ("createdAt", "created_at", As::Instant),
        ],
    ),
    Records::new(
        "accounts",
        "accounts WHERE user_id = $1 ORDER BY provider, external_id",
        &[("platform", "provider", As::Text), ("id", "external_id", As::Text), ("linkedAt", "linked_at", As::Instant)],
    ),
    Records::new(
        "apiKeys",
        "api_keys WHERE owner_id = $1 ORDER BY id",
        &[
            ("name", "name", As::Text),
            ("prefix", "prefix", As::Text),
            ("scopes", "scopes", As::Text),
            ("createdAt", "created_at", As::Instant),
            ("expiresAt", "expires_at", As::Instant),
            ("revokedAt", "revoked_at", As::Instant),
        ],
    ),
];

/// How files name users.
#[derive(Debug, Default)]
pub struct Names {
    /// ULIDs.
    pub ulids: Vec<String>,
    /// Handles, in lower case.
    pub handles: Vec<String>,
    /// Accounts: provider and id.
    pub accounts: Vec<(String, String)>,
}

row! {
    /// A user by the name that was asked for.
    struct Named { id: i64, name: String }
}

/// The users who go by these names, each with the name: a ULID, a handle in lower case, or `provider:id`.
pub async fn find_named(connection: &impl ConnectionTrait, names: Names) -> Result<Vec<(String, i64)>> {
    use user::Column;
    let named = |users: Select<user::Entity>, name: Column| {
        users.select_only().column(Column::Id).column_as(name, "name").into_query()
    };
    let mut found = Vec::new();
    if !names.ulids.is_empty() {
        let users = user::Entity::find().filter(Column::Ulid.is_any(connection, names.ulids));
        found.extend(query(connection, &named(users, Column::Ulid)).await?);
    }
    if !names.handles.is_empty() {
        let users = there().filter(Column::HandleLower.is_any(connection, names.handles));
        found.extend(query(connection, &named(users, Column::HandleLower)).await?);
    }
    let mut found: Vec<_> = found.into_iter().map(|Named { id, name }| (name, id)).collect();
    if !names.accounts.is_empty() {
        let (providers, ids): (BTreeSet<String>, BTreeSet<String>) = names.accounts.into_iter().unzip();
        let accounts = with_accounts(connection, providers, ids).inner_join(user::Entity);
        let accounts = accounts.filter(Column::MergedInto.is_null()).filter(Column::ErasedAt.is_null());
        let accounts = accounts.all(connection).await?;
        found.extend(accounts.into_iter().map(|row| (format!("{}:{}", row.provider, row.external_id), row.user_id)));
    }
    Ok(found)
}

fn with_accounts(
    connection: &impl ConnectionTrait,
    providers: BTreeSet<String>,
    ids: BTreeSet<String>,
) -> Select<account::Entity> {
    let (providers, ids): (Vec<String>, Vec<String>) = (providers.into_iter().collect(), ids.into_iter().collect());
    account::Entity::find()
        .filter(account::Column::Provider.is_any(connection, providers))
        .filter(account::Column::ExternalId.is_any(connection, ids))
}

/// Whose accounts these are, with provider and id; may find more, since providers and ids are compared one by one.
pub(super) async fn find_accounts(
    connection: &impl ConnectionTrait,
    providers: BTreeSet<String>,
    ids: BTreeSet<String>,
) -> Result<Vec<(i64, String, String)>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let found = with_accounts(connection, providers, ids).all(connection).await?;
    Ok(found.into_iter().map(|row| (row.user_id, row.provider, row.external_id)).collect())
}

row! {
    /// A user whose row is locked.
    #[derive(Debug)]
    pub struct Standing {
        /// The internal id.
        pub id: i64,
        /// The ULID.
        pub ulid: String,
        /// The last number of the history.
        pub history_seq: i64,
        /// The last number of the ledger.
        pub ledger_seq: i64,
        /// Whether the user came to be by a wallet, and nobody has vouched for the user.
        pub self_made: bool,
        /// Whether the user was merged into another one.
        pub merged: bool,
        /// Whether the user was erased.
        pub erased: bool,
        /// Whether the counters say that the user was merged or erased.
        gone: bool,
    }
}

impl Standing {
    /// The user of a new row.
    pub(super) fn of(row: &user::Model) -> Self {
        Self {
            id: row.id,
            ulid: row.ulid.clone(),
            history_seq: 0,
            ledger_seq: 0,
            self_made: row.self_made,
            merged: row.merged_into.is_some(),
            erased: row.erased_at.is_some(),
            gone: row.merged_into.is_some() || row.erased_at.is_some(),
        }
    }
}

// The lock is on the counters, as that of every write is; the builder locks all tables of a statement.
static LOCK_ALL: Sql = Sql::new(
    "SELECT c.user_id AS id, u.ulid, c.history_seq, c.ledger_seq, u.self_made, \
     u.merged_into IS NOT NULL AS merged, u.erased_at IS NOT NULL AS erased, c.gone \
     FROM user_counters c JOIN users u ON u.id = c.user_id WHERE c.user_id = ANY($1) \
     ORDER BY c.user_id FOR UPDATE OF c",
)
.on_sqlite(
    "SELECT c.user_id AS id, u.ulid, c.history_seq, c.ledger_seq, u.self_made, \
     u.merged_into IS NOT NULL AS merged, u.erased_at IS NOT NULL AS erased, c.gone \
     FROM user_counters c JOIN users u ON u.id = c.user_id WHERE c.user_id = ANY($1) ORDER BY c.user_id",
);

/// Locks users in ascending order, those who were merged or erased too.
pub(super) async fn lock(connection: &impl ConnectionTrait, users: Vec<i64>) -> Result<Vec<Standing>> {
    if users.is_empty() {
        return Ok(Vec::new());
    }
    let locked: Vec<Standing> = fetch(connection, &LOCK_ALL, [Param::Ints(users)]).await?;
    // Only what is locked is read anew after a lock was waited for.
    if locked.iter().any(|user| user.gone && !user.merged && !user.erased) {
        return Err(Error::internal("a user was merged or erased while the lock was waited for").passing());
    }
    Ok(locked)
}

row! {
    /// When something of a user changed last.
    struct Changed { user_id: i64, at: Timestamp = "max(recorded_at) AS at" }
}

/// When the profile or the accounts of each of these users changed last, as the histories say.
pub async fn profiles_updated(connection: &impl ConnectionTrait, users: &[i64]) -> Result<HashMap<i64, Timestamp>> {
    use HistoryKind::{AccountLinked, AccountUnlinked, Erased, Merged, ProfileChanged, UserCreated};
    let kinds = [UserCreated, ProfileChanged, AccountLinked, AccountUnlinked, Merged, Erased];
    let kinds = kinds.map(|kind| kind.as_str().to_owned()).to_vec();
    let changes = event::Entity::find()
        .filter(event::Column::UserId.is_any(connection, users.to_vec()))
        .filter(event::Column::Kind.is_any(connection, kinds))
        .group_by(event::Column::UserId);
    let found = select(connection, changes).await?;
    Ok(found.into_iter().map(|Changed { user_id, at }| (user_id, at)).collect())
}

// Follows a user from merger to merger.
static LEADS_TO: Sql = Sql::new(
    "WITH RECURSIVE way(id) AS (SELECT CAST($1 AS bigint) UNION SELECT u.merged_into FROM users u \
     JOIN way ON u.id = way.id WHERE u.merged_into IS NOT NULL) SELECT id FROM way WHERE id = $2",
);

/// Whether `user` is, or was merged on into, `other`.
pub(super) async fn leads_to(connection: &impl ConnectionTrait, user: i64, other: i64) -> Result<bool> {
    let found: Vec<i64> = fetch_values(connection, &LEADS_TO, [Param::Int(user), Param::Int(other)]).await?;
    Ok(!found.is_empty())
}

/// Notes that a user was merged into another, unless the user was already; whether that is news.
pub(super) async fn mark_merged(connection: &impl ConnectionTrait, user: i64, into: i64) -> Result<bool> {
    use user::{Column, Entity};
    let merged = Entity::update_many().col_expr(Column::MergedInto, Expr::value(into));
    let merged = merged.filter(Column::Id.eq(user)).filter(Column::MergedInto.is_null()).exec(connection).await?;
    Ok(merged.rows_affected > 0)
}
