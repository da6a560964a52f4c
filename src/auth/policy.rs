//! The only place that grants.
//!
//! Each function answers one question about a caller and returns a proof; what loads personal data takes the proof
//! instead of an id, so a check cannot be forgotten.
//!
//! | | anonymous | user | key `profiles:read` | key `progress:read` | key `progress:write` | key `admin` |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | read the catalogue | yes | yes | yes | yes | yes | yes |
//! | find what was retired in its lists | no | no | no | no | no | yes |
//! | a user's public side | PUBLIC | PUBLIC, MEMBERS, own | PUBLIC, MEMBERS, the owner's | any | any | any |
//! | accounts, season, goals, credits, learning, history | no | own | the owner's | any | any | any |
//! | enrol, claim, own learning and instances, own visibility | no | own | no | no | for any | for any |
//! | goal steps, unlocks, cards, grants, spends, blocks | no | no | no | no | for any | for any |
//! | write the catalogue; users, accounts, merge, corrections; keys, audit log, verify | no | no | no | no | no | yes |
//! | export and erase one user | no | own | no | no | no | any |
//!
//! A user's public side is the id, handle, avatar, games and collections. PUBLIC and MEMBERS name the profiles for
//! which it may be read.
//!
//! A user whose wallet no other party knows of ([`Player::member`](super::Player)) sees of others what an anonymous
//! caller sees. A caller who may not see a user gets the same answer as for a user who does not exist: [`see`] gives no
//! reason.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use super::{Caller, Scope, UserId, Visibility};
use waymark_kernel::error::{Code, Error, Result};

/// The facts about a user that decide who sees what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The user.
    pub id: UserId,
    /// The user's ULID.
    pub ulid: Arc<str>,
    /// Whom the user lets see handle, avatar, games and collections.
    pub visibility: Visibility,
}

macro_rules! proof {
    ($(#[$doc:meta])* $name:ident $(, $(#[$more_doc:meta])* $more:ty)?) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct $name(Subject $(, $(#[$more_doc])* $more)?);

        impl $name {
            /// The user's key in the database.
            pub const fn key(&self) -> i64 {
                self.0.id.0
            }

            /// The user's ULID.
            #[must_use]
            pub fn ulid(&self) -> &str {
                &self.0.ulid
            }
        }

        /// Part of the input of a write: whom it is about.
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0.ulid)
            }
        }
    };
}

proof! {
    /// Proof that the caller may see a user's public side: handle, avatar, games and collections.
    VisibleUser,
    /// Whether it is shown as an anonymous caller sees it, for every caller.
    bool
}
proof! {
    /// Proof that the caller may see everything about a user.
    OwnUser
}

proof! {
    /// Proof that the caller may do for a user what users do for themselves: enrol, claim, learn.
    ActingUser
}
proof! {
    /// Proof that the caller may record what happened to a user: steps, unlocks, cards, credits, blocks.
    RecordedUser
}
proof! {
    /// Proof that the caller may take a user's whole data out, or away.
    DisposableUser
}

/// Proof that the caller may record what is to be recorded of each of these users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedUsers(Vec<Subject>);

impl RecordedUsers {
    /// The users' keys in the database, in ascending order, each once.
    pub fn keys(&self) -> Vec<i64> {
        let mut keys: Vec<i64> = self.0.iter().map(|user| user.id.0).collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// The key in the database of the user in this place.
    pub fn key(&self, place: usize) -> Option<i64> {
        self.0.get(place).map(|user| user.id.0)
    }

    /// The ULID of the user in this place.
    pub fn ulid(&self, place: usize) -> Option<&str> {
        self.0.get(place).map(|user| &*user.ulid)
    }
}

/// Proof that the caller is an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Operator(());

impl VisibleUser {
    /// May `caller` see everything about the user? Not while the user is shown as an anonymous caller sees them.
    ///
    /// # Errors
    /// [`Code::Forbidden`] with what would be needed.
    pub fn everything(&self, caller: &Caller) -> Result<OwnUser> {
        see_everything(if self.1 { &Caller::Anonymous } else { caller }, &self.0)
    }
}

/// May `caller` see the public side of `user`? `None` is to be answered as if there were no such user.
pub fn see(caller: &Caller, user: &Subject) -> Option<VisibleUser> {
    let allowed = match user.visibility {
        Visibility::Public => true,
        Visibility::Members => caller.is_member() || caller.has(Scope::ProfilesRead),
        Visibility::Private => caller.has(Scope::ProgressRead),
    };
    (allowed || is_own(caller, user)).then(|| VisibleUser(user.clone(), matches!(caller, Caller::Anonymous)))
}

/// Whether the user is the caller, or the owner of the caller's key with the scope `profiles:read`.
fn is_own(caller: &Caller, user: &Subject) -> bool {
    let may = matches!(caller, Caller::User(_)) || caller.has(Scope::ProfilesRead);
    may && caller.user() == Some(user.id)
}

/// May `caller` search for users at all, which no caller without a credential may?
///
/// # Errors
/// [`Code::Forbidden`] with what would be needed.
pub fn ask_for_people(caller: &Caller) -> Result<()> {
    match caller {
        Caller::User(_) => Ok(()),
        Caller::App(_) if caller.has(Scope::ProfilesRead) => Ok(()),
        Caller::Anonymous | Caller::App(_) => Err(forbidden("this needs an API key with the scope profiles:read")),
    }
}

/// May `caller` see everything about `user`?
///
/// # Errors
/// [`Code::Forbidden`] with what would be needed.
pub fn see_everything(caller: &Caller, user: &Subject) -> Result<OwnUser> {
    let granted = || Ok(OwnUser(user.clone()));
    match caller {
        _ if is_own(caller, user) => granted(),
        Caller::App(_) if caller.has(Scope::ProgressRead) => granted(),
        Caller::User(_) => Err(forbidden("only this user and apps may see this")),
        Caller::Anonymous => {
            Err(forbidden("this needs the user's own token, or an API key with the scope progress:read"))
        }
        Caller::App(_) => Err(forbidden("this needs an API key with the scope progress:read")),
    }
}

/// May `caller` do for `user` what users do for themselves?
///
/// # Errors
/// [`Code::Forbidden`] with what would be needed.
pub fn act_for(caller: &Caller, user: &Subject) -> Result<ActingUser> {
    if !matches!(caller, Caller::User(player) if player.user == Some(user.id)) {
        write_for_others(caller)?;
    }
    Ok(ActingUser(user.clone()))
}

/// May `caller` write anything for other users? A caller who may not gets this refusal also for a user who does not
/// exist, and so learns nothing from it.
///
/// # Errors
/// [`Code::Forbidden`] with what would be needed.
pub fn write_for_others(caller: &Caller) -> Result<()> {
    match caller {
        Caller::App(_) if caller.has(Scope::ProgressWrite) => Ok(()),
        Caller::User(_) => Err(forbidden("only this user and apps may do this")),
        Caller::Anonymous => {
            Err(forbidden("this needs the user's own token, or an API key with the scope progress:write"))
        }
        Caller::App(_) => Err(forbidden("this needs an API key with the scope progress:write")),
    }
}

/// May `caller` record what happened to `user`?
///
/// # Errors
/// [`Code::Forbidden`] with what would be needed.
pub fn record_for(caller: &Caller, user: &Subject) -> Result<RecordedUser> {
    if caller.has(Scope::ProgressWrite) {
        return Ok(RecordedUser(user.clone()));
    }
    Err(forbidden("this needs an API key with the scope progress:write"))
}

/// May `caller` record progress of all of these `users`: only what users do for themselves, or also what only happens
/// to them (`reported`)? A caller who may record for no user does not learn whether these users exist.
///
/// # Errors
/// [`Code::Forbidden`] with what would be needed.
pub fn record_all(caller: &Caller, users: Vec<Subject>, reported: bool) -> Result<RecordedUsers> {
    match caller {
        Caller::User(_) if !reported => {
            for user in &users {
                act_for(caller, user)?;
            }
            Ok(RecordedUsers(users))
        }
        _ if caller.has(Scope::ProgressWrite) => Ok(RecordedUsers(users)),
        Caller::Anonymous if !reported => {
            Err(forbidden("this needs the user's own token, or an API key with the scope progress:write"))
        }
        _ => Err(forbidden("this needs an API key with the scope progress:write")),
    }
}

/// May `caller` take out or away all data of `user`?
///
/// # Errors
/// [`Code::Forbidden`] with what would be needed.
pub fn dispose_of(caller: &Caller, user: &Subject) -> Result<DisposableUser> {
    match caller {
        Caller::User(player) if player.user == Some(user.id) => Ok(DisposableUser(user.clone())),
        _ if caller.has(Scope::Admin) => Ok(DisposableUser(user.clone())),
        _ => Err(forbidden("this needs the user's own token, or an API key with the scope admin")),
    }
}

/// May `caller` do what operators do?
///
/// # Errors
/// [`Code::Forbidden`] with what would be needed.
pub fn operate(caller: &Caller) -> Result<Operator> {
    if caller.has(Scope::Admin) {
        return Ok(Operator(()));
    }
    Err(forbidden("this needs an API key with the scope admin"))
}

/// Does `caller` see in the lists of the catalogue what was retired?
#[must_use]
pub fn sees_retired(caller: &Caller) -> bool {
    caller.has(Scope::Admin)
}

impl Operator {
    /// The operator at the command line, who has the database itself.
    pub const fn at_the_command_line() -> Self {
        Self(())
    }
}

fn forbidden(message: &'static str) -> Error {
    Error::new(Code::Forbidden, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AppKey, Player};

    const ADA: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    fn profile(id: UserId, visibility: Visibility) -> Subject {
        Subject { id, ulid: "01J00000000000000000000000".into(), visibility }
    }

    fn person(id: UserId, member: bool) -> Caller {
        Caller::User(Player {
            user: Some(id),
            provider: "jwt".to_owned(),
            external_id: "|x".to_owned(),
            expires_at: None,
            handle_hint: None,
            member,
            actor: None,
        })
    }

    fn user(id: UserId) -> Caller {
        person(id, true)
    }

    fn app(scopes: &[Scope]) -> Caller {
        Caller::App(AppKey {
            id: 1,
            name: "app".to_owned(),
            scopes: scopes.to_vec(),
            owner: Some(ADA),
            actor: "app:app".to_owned(),
        })
    }

    #[test]
    fn who_is_seen_follows_from_the_visibility_and_from_who_asks() {
        use Visibility::{Members, Private, Public};
        // Ada, who owns the keys, and Bob: each with PUBLIC, MEMBERS and PRIVATE.
        for (caller, ada, bob) in [
            (Caller::Anonymous, [true, false, false], [true, false, false]),
            (person(ADA, false), [true; 3], [true, false, false]),
            (user(ADA), [true; 3], [true, true, false]),
            (app(&[]), [true, false, false], [true, false, false]),
            (app(&[Scope::ProfilesRead]), [true; 3], [true, true, false]),
            (app(&[Scope::ProgressRead]), [true; 3], [true; 3]),
            (app(&[Scope::ProgressWrite]), [true; 3], [true; 3]),
            (app(&[Scope::Admin]), [true; 3], [true; 3]),
        ] {
            let seen =
                |id| [Public, Members, Private].map(|visibility| see(&caller, &profile(id, visibility)).is_some());
            assert_eq!((seen(ADA), seen(BOB)), (ada, bob), "{caller:?}");
        }
    }

    #[test]
    fn people_are_asked_for_by_whoever_has_a_credential_for_it() {
        for caller in [user(BOB), person(BOB, false), app(&[Scope::ProfilesRead]), app(&[Scope::Admin])] {
            assert!(ask_for_people(&caller).is_ok());
        }
        for caller in [Caller::Anonymous, app(&[])] {
            assert_eq!(ask_for_people(&caller).unwrap_err().code(), Code::Forbidden);
        }
    }

    #[test]
    fn everything_is_seen_by_the_user_and_by_apps_only() {
        assert!(see_everything(&user(ADA), &profile(ADA, Visibility::Public)).is_ok());
        for scope in [Scope::ProgressRead, Scope::ProgressWrite, Scope::Admin] {
            assert!(see_everything(&app(&[scope]), &profile(BOB, Visibility::Public)).is_ok());
        }
        for caller in [Caller::Anonymous, user(BOB), app(&[])] {
            assert_eq!(see_everything(&caller, &profile(ADA, Visibility::Public)).unwrap_err().code(), Code::Forbidden);
        }
    }

    #[test]
    fn a_key_that_may_read_profiles_reads_everything_of_its_owner_and_writes_nothing() {
        let (ada, key) = (profile(ADA, Visibility::Private), app(&[Scope::ProfilesRead]));
        assert!(see_everything(&key, &ada).is_ok());
        assert_eq!(see_everything(&key, &profile(BOB, Visibility::Public)).unwrap_err().code(), Code::Forbidden);
        assert!(act_for(&key, &ada).is_err() && record_for(&key, &ada).is_err() && dispose_of(&key, &ada).is_err());
    }

    #[test]
    fn owning_a_key_without_a_scope_grants_nothing() {
        assert!(see_everything(&app(&[]), &profile(ADA, Visibility::Public)).is_err());
        assert!(act_for(&app(&[]), &profile(ADA, Visibility::Public)).is_err());
        assert!(dispose_of(&app(&[Scope::ProgressWrite]), &profile(ADA, Visibility::Public)).is_err());
    }

    #[test]
    fn users_act_for_themselves_and_apps_that_may_write_for_anyone() {
        let ada = profile(ADA, Visibility::Public);
        assert!(act_for(&user(ADA), &ada).is_ok() && dispose_of(&user(ADA), &ada).is_ok());
        for caller in [Caller::Anonymous, user(BOB), app(&[]), app(&[Scope::ProgressRead])] {
            assert_eq!(act_for(&caller, &ada).unwrap_err().code(), Code::Forbidden);
            assert_eq!(dispose_of(&caller, &ada).unwrap_err().code(), Code::Forbidden);
        }
        assert!(act_for(&app(&[Scope::ProgressWrite]), &ada).is_ok());
    }

    #[test]
    fn what_happened_is_recorded_by_apps_and_the_rest_is_done_by_operators() {
        let ada = profile(ADA, Visibility::Public);
        for caller in [Caller::Anonymous, user(ADA), app(&[Scope::ProgressRead])] {
            assert!(record_for(&caller, &ada).is_err() && operate(&caller).is_err());
        }
        let (write, admin) = (app(&[Scope::ProgressWrite]), app(&[Scope::Admin]));
        assert!(record_for(&write, &ada).is_ok() && record_for(&admin, &ada).is_ok());
        assert!(operate(&write).is_err() && operate(&admin).is_ok() && dispose_of(&admin, &ada).is_ok());
    }

    #[test]
    fn of_many_users_that_is_recorded_which_may_be_recorded_of_each() {
        let (ada, bob) = (profile(ADA, Visibility::Public), profile(BOB, Visibility::Public));
        let both = || vec![ada.clone(), bob.clone()];
        let write = app(&[Scope::ProgressWrite]);
        assert_eq!(record_all(&write, both(), true).unwrap().keys(), [1, 2]);
        assert!(record_all(&write, both(), false).is_ok());
        assert!(record_all(&user(ADA), vec![ada.clone(), ada.clone()], false).is_ok());
        assert!(record_all(&user(ADA), both(), false).is_err());
        assert!(record_all(&user(ADA), vec![ada.clone()], true).is_err());
        for caller in [Caller::Anonymous, app(&[]), app(&[Scope::ProgressRead])] {
            assert!(record_all(&caller, Vec::new(), false).is_err() && record_all(&caller, Vec::new(), true).is_err());
        }
    }
}
