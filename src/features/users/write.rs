//! Making users, and changing their profiles and accounts.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::repo::{self, AccountKey, Profile};
use super::rules::{self, UserWith};
use waymark_auth::policy::{ActingUser, Operator, RecordedUser};
use waymark_auth::{Caller, Player, UserId, Visibility, WALLET_PROVIDER};
use waymark_kernel::clock::{Ids, Timestamp};
use waymark_kernel::error::{Error, Result};
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{Refusal, UserErrorCode};
use waymark_write::{HistoryKind, Order, Unit, Write, Writer};

/// The caller as somebody who may write: a person of whom nothing has been recorded yet becomes a user.
pub async fn known(writer: &Writer, ids: &Ids, caller: Arc<Caller>, now: Timestamp) -> Result<Arc<Caller>> {
    match &*caller {
        Caller::User(player) if player.user.is_none() => {
            Ok(Arc::new(Caller::User(join(writer, ids, player, now).await?)))
        }
        _ => Ok(caller),
    }
}

/// The user of an identity that has just shown a valid credential; a user is made when there is none yet. However many
/// ask at once, they get the same one.
pub async fn join(writer: &Writer, ids: &Ids, player: &Player, now: Timestamp) -> Result<Player> {
    let ulid = ids.ulid(now);
    let order = Order {
        now,
        actor: format!("user:{ulid}"),
        principal: format!("{}:{}", player.provider, player.external_id),
        vouches: false,
        key: None,
        mark: None,
    };
    let write = Join {
        ulid,
        account: (player.provider.clone(), player.external_id.clone()),
        handle_hint: player.handle_hint.clone(),
    };
    let (id, ulid) = writer.run(write, order).await?.outcome;
    // Whether a wallet is known to anybody else has not changed by this.
    Ok(Player { user: Some(UserId(id)), actor: Some(format!("user:{ulid}")), ..player.clone() })
}

/// Makes the user of an identity.
#[derive(Debug, Serialize)]
struct Join {
    /// The ULID of a user to be made.
    ulid: String,
    account: AccountKey,
    handle_hint: Option<String>,
}

impl Write for Join {
    const NAME: &'static str = "join";
    const CREDENTIALS: bool = true;

    type Outcome = (i64, String);

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<(i64, String)> {
        let accounts = [self.account.clone()];
        let owners = repo::owners_of_accounts(unit.transaction(), &accounts).await?;
        if let Some(owner) = owners.into_values().next() {
            return Ok(owner);
        }
        let handle = match self.handle_hint.as_ref().filter(|hint| rules::is_handle(hint)) {
            Some(hint) if is_free(unit, hint).await? => hint.clone(),
            _ => free_handle(unit).await?,
        };
        let id = create(unit, &self.ulid, blank(handle), &accounts, self.account.0 == WALLET_PROVIDER).await?;
        Ok((id, self.ulid.clone()))
    }
}

async fn is_free(unit: &Unit<'_>, handle: &str) -> Result<bool> {
    let owner = repo::owner_of_handle(unit.transaction(), &handle.to_ascii_lowercase()).await?;
    Ok(owner.is_none())
}

/// A handle that nobody has.
async fn free_handle(unit: &Unit<'_>) -> Result<String> {
    for _ in 0..8 {
        let handle = rules::generated_handle(unit.ids.bytes());
        if is_free(unit, &handle).await? {
            return Ok(handle);
        }
    }
    Err(Error::internal("no handle was found that nobody has"))
}

/// The profile of somebody of whom no more is known.
const fn blank(handle: String) -> Profile {
    Profile { handle, display_name: None, avatar_url: None, visibility: Visibility::Members }
}

/// Makes a user with these accounts, which are nobody's. `self_made`: whether by a wallet, and by nobody else.
async fn create(
    unit: &mut Unit<'_>,
    ulid: &str,
    profile: Profile,
    accounts: &[AccountKey],
    self_made: bool,
) -> Result<i64> {
    let (transaction, now) = (unit.transaction(), unit.now);
    let visibility = profile.visibility;
    let id = repo::insert(transaction, ulid, unit.ids.hex24(now), profile, self_made, now).await?;
    unit.add_user(id, ulid, self_made);
    unit.record(id, HistoryKind::UserCreated, (Kind::User, ulid), &json!({}))?;
    link(unit, id, ulid, accounts).await?;
    if visibility != Visibility::Members {
        unit.record(id, HistoryKind::ProfileChanged, (Kind::User, ulid), &json!({ "visibility": visibility }))?;
    }
    Ok(id)
}

async fn link(unit: &mut Unit<'_>, id: i64, ulid: &str, accounts: &[AccountKey]) -> Result<()> {
    repo::link(unit.transaction(), id, accounts, unit.now).await?;
    for (provider, _) in accounts {
        unit.record(id, HistoryKind::AccountLinked, (Kind::User, ulid), &json!({ "provider": provider }))?;
    }
    Ok(())
}

/// What becomes of a part of a profile that may be without a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Change {
    /// It stays as it is.
    Keep,
    /// It is taken away.
    Clear,
    /// It gets this value.
    Set(String),
}

/// What is changed in a profile.
#[derive(Debug, Clone, Serialize)]
pub struct ProfileChange {
    /// The new handle; `None`: unchanged.
    pub handle: Option<String>,
    /// What becomes of the longer name to show.
    pub display_name: Change,
    /// What becomes of the address of the user's picture.
    pub avatar_url: Change,
    /// Who may see the profile from now on; `None`: unchanged.
    pub visibility: Option<Visibility>,
}

impl ProfileChange {
    /// Only who may see the profile.
    pub const fn visibility(visibility: Visibility) -> Self {
        Self { handle: None, display_name: Change::Keep, avatar_url: Change::Keep, visibility: Some(visibility) }
    }

    /// What is malformed in it.
    fn refusals(&self) -> Vec<Refusal> {
        let handle = self.handle.as_ref().filter(|handle| !rules::is_handle(handle));
        let name = matches!(&self.display_name, Change::Set(name) if !rules::is_display_name(name));
        let url = matches!(&self.avatar_url, Change::Set(url) if !rules::is_picture_url(url));
        [
            (handle.is_some(), "handle", rules::HANDLE),
            (name, "displayName", rules::DISPLAY_NAME),
            (url, "avatarUrl", rules::PICTURE_URL),
        ]
        .into_iter()
        .filter(|(wrong, ..)| *wrong)
        .map(|(_, field, message)| Refusal::new(UserErrorCode::InvalidInput, message).at([field]))
        .collect()
    }

    /// The profile after the change.
    fn of(&self, stored: Profile) -> Profile {
        let changed = |change: &Change, stored: Option<String>| match change {
            Change::Keep => stored,
            Change::Clear => None,
            Change::Set(value) => Some(value.clone()),
        };
        Profile {
            handle: self.handle.clone().unwrap_or(stored.handle),
            display_name: changed(&self.display_name, stored.display_name),
            avatar_url: changed(&self.avatar_url, stored.avatar_url),
            visibility: self.visibility.unwrap_or(stored.visibility),
        }
    }
}

/// What the history says of a change; nothing when nothing changed.
fn told(before: &Profile, after: &Profile) -> Option<Value> {
    let mut changes = Map::new();
    for (name, changed) in [
        ("handle", before.handle != after.handle),
        ("displayName", before.display_name != after.display_name),
        ("avatarUrl", before.avatar_url != after.avatar_url),
    ] {
        if changed {
            changes.insert(name.to_owned(), true.into());
        }
    }
    if before.visibility != after.visibility {
        changes.insert("visibility".to_owned(), after.visibility.as_str().into());
    }
    (!changes.is_empty()).then_some(Value::Object(changes))
}

/// Why a handle that is asked for cannot be had.
async fn handle_refusal(unit: &Unit<'_>, user: Option<i64>, handle: Option<&String>) -> Result<Option<Refusal>> {
    let Some(handle) = handle else { return Ok(None) };
    let owner = repo::owner_of_handle(unit.transaction(), &handle.to_ascii_lowercase()).await?;
    let taken = owner.is_some_and(|owner| Some(owner) != user);
    Ok(taken.then(|| Refusal::new(UserErrorCode::HandleTaken, "this handle belongs to another user").at(["handle"])))
}

/// Changes the profile of a locked user.
async fn change_profile(unit: &mut Unit<'_>, user: i64, change: &ProfileChange) -> Result<()> {
    let ulid = unit.user(user)?.ulid.clone();
    let stored = repo::profile(unit.transaction(), user).await?;
    let stored = stored.ok_or_else(|| Error::internal(format!("user {user} has no row")))?;
    let changed = change.of(stored.clone());
    if let Some(changes) = told(&stored, &changed) {
        repo::store_profile(unit.transaction(), user, changed).await?;
        unit.record(user, HistoryKind::ProfileChanged, (Kind::User, &ulid), &changes)?;
    }
    Ok(())
}

/// Changes what users say about themselves.
#[derive(Debug, Serialize)]
pub struct UpdateProfile {
    /// Whose profile is changed.
    pub user: ActingUser,
    /// What is changed in the profile.
    pub change: ProfileChange,
}

impl Write for UpdateProfile {
    const NAME: &'static str = "updateProfile";
    const IDENTITY: bool = true;

    type Outcome = Vec<Refusal>;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Vec<Refusal>> {
        let user = self.user.key();
        unit.lock([user]).await?;
        let mut refusals = self.change.refusals();
        if refusals.is_empty() {
            refusals.extend(handle_refusal(unit, Some(user), self.change.handle.as_ref()).await?);
        }
        if refusals.is_empty() {
            change_profile(unit, user, &self.change).await?;
        }
        Ok(refusals)
    }
}

/// Changes who may see a profile.
#[derive(Debug, Serialize)]
pub struct SetProfileVisibility {
    /// Whose profile is shown to more or fewer people.
    pub user: ActingUser,
    /// Who may see the profile from now on.
    pub visibility: Visibility,
}

impl Write for SetProfileVisibility {
    const NAME: &'static str = "setProfileVisibility";
    const IDENTITY: bool = true;

    type Outcome = ();

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<()> {
        unit.lock([self.user.key()]).await?;
        change_profile(unit, self.user.key(), &ProfileChange::visibility(self.visibility)).await
    }
}

/// An account as it was sent.
#[derive(Debug, Clone, Serialize)]
pub struct NewAccount {
    /// The place of the account, such as `discord`, in any case.
    pub platform: String,
    /// The account's id there.
    pub id: String,
}

impl NewAccount {
    fn key(&self) -> Result<AccountKey, Refusal> {
        let refused = |message| Refusal::new(UserErrorCode::InvalidInput, message);
        rules::account(&self.platform, &self.id).map_err(refused)
    }
}

/// Makes a user, or changes the one who is there.
#[derive(Debug, Serialize)]
pub struct UpsertUser {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// Who is to be changed; nobody is made then.
    pub user: Option<UserWith>,
    /// What the profile says afterwards.
    pub change: ProfileChange,
    /// Accounts to be linked.
    pub accounts: Vec<NewAccount>,
}

/// What came of making or changing a user.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Upserted {
    /// The ULID; `None` when the whole was refused.
    pub user: Option<String>,
    /// Whether the user was made by this write.
    pub created: bool,
    /// Why nothing was done; empty when it was.
    pub refusals: Vec<Refusal>,
}

impl From<Vec<Refusal>> for Upserted {
    fn from(refusals: Vec<Refusal>) -> Self {
        Self { refusals, ..Self::default() }
    }
}

impl UpsertUser {
    /// The accounts, each once, or what is malformed in the input.
    fn check(&self) -> Result<Vec<AccountKey>, Vec<Refusal>> {
        let mut refusals = self.change.refusals();
        let mut accounts = Vec::new();
        for (place, account) in self.accounts.iter().enumerate() {
            match account.key() {
                Ok(key) if accounts.contains(&key) => {}
                Ok(key) => accounts.push(key),
                Err(refusal) => refusals.push(refusal.at(["accounts".to_owned(), place.to_string()])),
            }
        }
        if refusals.is_empty() { Ok(accounts) } else { Err(refusals) }
    }

    /// Who is there: by the id; without one by the handle, and without that by the first account of anybody.
    async fn existing(&self, unit: &Unit<'_>, accounts: &[AccountKey]) -> Result<Option<i64>> {
        let name = self.user.clone();
        let name = name.or_else(|| Some(UserWith::Handle(self.change.handle.as_ref()?.to_ascii_lowercase())));
        if let Some(name) = name {
            let found = repo::named(unit.transaction(), &name).await?;
            return Ok(found.map(|user| user.subject.id.0));
        }
        let owners = repo::owners_of_accounts(unit.transaction(), accounts).await?;
        Ok(accounts.iter().find_map(|account| Some(owners.get(account)?.0)))
    }
}

impl Write for UpsertUser {
    const NAME: &'static str = "upsertUser";
    const CREDENTIALS: bool = true;

    type Outcome = Upserted;

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Upserted> {
        let accounts = match self.check() {
            Ok(accounts) => accounts,
            Err(refusals) => return Ok(refusals.into()),
        };
        let existing = self.existing(unit, &accounts).await?;
        if self.user.is_some() && existing.is_none() {
            return Ok(vec![Refusal::unknown_user("id")].into());
        }
        unit.lock(existing).await?;
        let owners = repo::owners_of_accounts(unit.transaction(), &accounts).await?;
        let mut refusals: Vec<Refusal> =
            handle_refusal(unit, existing, self.change.handle.as_ref()).await?.into_iter().collect();
        for (place, account) in self.accounts.iter().enumerate() {
            let owner = account.key().ok().and_then(|key| owners.get(&key));
            if owner.is_some_and(|(owner, _)| Some(*owner) != existing) {
                refusals.push(account_taken().at(["accounts".to_owned(), place.to_string()]));
            }
        }
        if !refusals.is_empty() {
            return Ok(refusals.into());
        }
        let new: Vec<AccountKey> = accounts.into_iter().filter(|account| !owners.contains_key(account)).collect();
        let Some(user) = existing else {
            let ulid = unit.ids.ulid(unit.now);
            let handle = match &self.change.handle {
                Some(handle) => handle.clone(),
                None => free_handle(unit).await?,
            };
            create(unit, &ulid, self.change.of(blank(handle)), &new, false).await?;
            return Ok(Upserted { user: Some(ulid), created: true, refusals });
        };
        let ulid = unit.user(user)?.ulid.to_string();
        change_profile(unit, user, &self.change).await?;
        link(unit, user, &ulid, &new).await?;
        // Whoever stands in the operator's books is known, whether that changed anything or not.
        unit.vouch(user)?;
        Ok(Upserted { user: Some(ulid), created: false, refusals })
    }
}

fn account_taken() -> Refusal {
    Refusal::new(UserErrorCode::AccountTaken, "this account belongs to another user")
}

/// Links an account to a user.
#[derive(Debug, Serialize)]
pub struct LinkAccount {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// Who gets the account.
    pub user: RecordedUser,
    /// The account to be linked; refused when it belongs to another user.
    pub account: NewAccount,
}

impl Write for LinkAccount {
    const NAME: &'static str = "linkAccount";
    const CREDENTIALS: bool = true;

    type Outcome = Vec<Refusal>;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Vec<Refusal>> {
        let user = self.user.key();
        unit.lock([user]).await?;
        let account = match self.account.key() {
            Ok(account) => [account],
            Err(refusal) => return Ok(vec![refusal.at(["account"])]),
        };
        let owners = repo::owners_of_accounts(unit.transaction(), &account).await?;
        match owners.into_values().next() {
            None => link(unit, user, self.user.ulid(), &account).await?,
            // The user's own wallet, say, which is known from now on.
            Some((owner, _)) if owner == user => unit.vouch(user)?,
            Some(_) => return Ok(vec![account_taken().at(["account"])]),
        }
        Ok(Vec::new())
    }
}

/// Takes an account away from a user.
#[derive(Debug, Serialize)]
pub struct UnlinkAccount {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// Who loses the account.
    pub user: RecordedUser,
    /// The account to be taken away.
    pub account: NewAccount,
}

impl Write for UnlinkAccount {
    const NAME: &'static str = "unlinkAccount";
    const CREDENTIALS: bool = true;

    type Outcome = Vec<Refusal>;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Vec<Refusal>> {
        let user = self.user.key();
        unit.lock([user]).await?;
        let account = match self.account.key() {
            Ok(account) => account,
            Err(refusal) => return Ok(vec![refusal.at(["account"])]),
        };
        let changes = json!({ "provider": account.0 });
        if repo::unlink(unit.transaction(), user, account).await? {
            unit.record(user, HistoryKind::AccountUnlinked, (Kind::User, self.user.ulid()), &changes)?;
        }
        Ok(Vec::new())
    }
}
