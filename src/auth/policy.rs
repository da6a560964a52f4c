//! The only place that grants.
//!
//! Each function answers one question about a caller and returns a proof; what loads personal data takes the proof
//! instead of an id, so a check cannot be forgotten.
//!
//! | | anonymous | user | key `progress:read` | key `progress:write` | key `admin` |
//! | --- | --- | --- | --- | --- | --- |
//! | read the catalogue | yes | yes | yes | yes | yes |
//! | a user's id, handle, avatar, games, collections | of PUBLIC profiles | any | any | any | any |
//! | accounts, season, goals, credits, learning, history | no | own | any | any | any |

use std::sync::Arc;

use super::{Caller, Scope, UserId};
use crate::error::{Code, Error, Result};

/// The facts about a user that decide who sees what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Subject {
    /// The user.
    pub(crate) id: UserId,
    /// The user's ULID.
    pub(crate) ulid: Arc<str>,
    /// Whether the user lets anyone see handle, avatar, games and collections.
    pub(crate) public: bool,
}

macro_rules! proof {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct $name(Subject);

        impl $name {
            /// The user's key in the database.
            pub(crate) const fn key(&self) -> i64 {
                self.0.id.0
            }

            /// The user's ULID.
            #[must_use]
            pub(crate) fn ulid(&self) -> &str {
                &self.0.ulid
            }
        }
    };
}

proof! {
    /// Proof that the caller may see a user's public side: handle, avatar, games and collections.
    VisibleUser
}
proof! {
    /// Proof that the caller may see everything about a user.
    OwnUser
}

impl VisibleUser {
    /// The facts the proof was given for, to ask for more.
    pub(crate) const fn subject(&self) -> &Subject {
        &self.0
    }
}

/// May `caller` see the public side of `user`?
///
/// # Errors
/// [`Code::Forbidden`] with what would be needed.
pub(crate) fn see(caller: &Caller, user: &Subject) -> Result<VisibleUser> {
    let granted = || Ok(VisibleUser(user.clone()));
    match caller {
        _ if user.public => granted(),
        Caller::User(_) => granted(),
        Caller::App(_) if caller.has(Scope::ProgressRead) => granted(),
        Caller::Anonymous => Err(forbidden("this profile is private; send a token or an API key")),
        Caller::App(_) => Err(forbidden("this needs an API key with the scope progress:read")),
    }
}

/// May `caller` see everything about `user`?
///
/// # Errors
/// [`Code::Forbidden`] with what would be needed.
pub(crate) fn see_everything(caller: &Caller, user: &Subject) -> Result<OwnUser> {
    let granted = || Ok(OwnUser(user.clone()));
    match caller {
        Caller::User(player) if player.user == Some(user.id) => granted(),
        Caller::App(_) if caller.has(Scope::ProgressRead) => granted(),
        Caller::User(_) => Err(forbidden("only this user and apps may see this")),
        Caller::Anonymous => {
            Err(forbidden("this needs the user's own token, or an API key with the scope progress:read"))
        }
        Caller::App(_) => Err(forbidden("this needs an API key with the scope progress:read")),
    }
}

fn forbidden(message: &'static str) -> Error {
    Error::new(Code::Forbidden, message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{AppKey, Player};

    const ADA: UserId = UserId(1);
    const BOB: UserId = UserId(2);

    fn profile(id: UserId, public: bool) -> Subject {
        Subject { id, ulid: "01J00000000000000000000000".into(), public }
    }

    fn user(id: UserId) -> Caller {
        Caller::User(Player {
            user: Some(id),
            provider: "jwt".to_owned(),
            external_id: "|x".to_owned(),
            expires_at: None,
            handle_hint: None,
        })
    }

    fn app(scopes: &[Scope]) -> Caller {
        Caller::App(AppKey { id: 1, name: "app".to_owned(), scopes: scopes.to_vec(), owner: Some(ADA) })
    }

    #[test]
    fn a_public_profile_is_seen_by_all_and_a_private_one_by_whoever_is_known() {
        assert!(see(&Caller::Anonymous, &profile(ADA, true)).is_ok());
        assert!(see(&app(&[]), &profile(ADA, true)).is_ok());
        assert_eq!(see(&Caller::Anonymous, &profile(ADA, false)).unwrap_err().code(), Code::Forbidden);
        assert_eq!(see(&app(&[]), &profile(ADA, false)).unwrap_err().code(), Code::Forbidden);
        assert!(see(&user(BOB), &profile(ADA, false)).is_ok());
        for scope in [Scope::ProgressRead, Scope::ProgressWrite, Scope::Admin] {
            assert!(see(&app(&[scope]), &profile(ADA, false)).is_ok());
        }
    }

    #[test]
    fn everything_is_seen_by_the_user_and_by_apps_only() {
        assert!(see_everything(&user(ADA), &profile(ADA, true)).is_ok());
        for scope in [Scope::ProgressRead, Scope::ProgressWrite, Scope::Admin] {
            assert!(see_everything(&app(&[scope]), &profile(BOB, true)).is_ok());
        }
        for caller in [Caller::Anonymous, user(BOB), app(&[])] {
            assert_eq!(see_everything(&caller, &profile(ADA, true)).unwrap_err().code(), Code::Forbidden);
        }
    }

    #[test]
    fn owning_a_key_grants_nothing() {
        assert!(see_everything(&app(&[]), &profile(ADA, true)).is_err());
    }
}
