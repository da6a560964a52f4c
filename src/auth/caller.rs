//! Who makes a request, and what the credential they showed is good for.

use std::fmt;

use async_graphql::Enum;
use serde::Serialize;

use super::authenticator::WALLET_PROVIDER;
use waymark_kernel::clock::Timestamp;

/// A user's number inside the database. Never shown to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub i64);

/// What an API key allows.
// Each scope includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Enum, Serialize)]
pub enum Scope {
    /// Read the games, awards and collections of users whose profile is PUBLIC or MEMBERS, and everything of the key's
    /// owner.
    ProfilesRead,
    /// Read the progress of any user.
    ProgressRead,
    /// Record progress for any user; includes reading it.
    ProgressWrite,
    /// Everything, the catalogue, users and keys included.
    Admin,
}

impl Scope {
    /// All scopes, the narrowest first.
    pub const ALL: [Self; 4] = [Self::ProfilesRead, Self::ProgressRead, Self::ProgressWrite, Self::Admin];

    /// The name as operators write it: `profiles:read`, `progress:read`, `progress:write` or `admin`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ProfilesRead => "profiles:read",
            Self::ProgressRead => "progress:read",
            Self::ProgressWrite => "progress:write",
            Self::Admin => "admin",
        }
    }

    /// Reads a scope's name, as [`Scope::as_str`] writes it.
    ///
    /// # Errors
    /// Lists the scopes there are, when `text` is none of them.
    pub fn parse(text: &str) -> Result<Self, ParseScopeError> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text).ok_or(ParseScopeError)
    }

    /// Whether holding this scope is enough for what `needed` allows.
    #[must_use]
    pub fn includes(self, needed: Self) -> bool {
        self >= needed
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl std::str::FromStr for Scope {
    type Err = ParseScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text)
    }
}

/// The text is not the name of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseScopeError;

impl fmt::Display for ParseScopeError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a scope is one of profiles:read, progress:read, progress:write, admin")
    }
}

impl std::error::Error for ParseScopeError {}

/// Who makes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// Anonymous: no credential was shown.
    Anonymous,
    /// A person, known by an identity.
    User(Player),
    /// An application, known by its API key.
    App(AppKey),
}

impl Caller {
    /// Whether the caller's API key allows what `needed` names. A person has no scopes: what they may do to their
    /// own progress does not come from a key.
    #[must_use]
    pub fn has(&self, needed: Scope) -> bool {
        match self {
            Self::Anonymous | Self::User(_) => false,
            Self::App(key) => key.scopes.iter().any(|scope| scope.includes(needed)),
        }
    }

    /// How the history names the caller.
    #[must_use]
    pub fn actor(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::User(player) => player.actor.as_deref().unwrap_or("stranger"),
            Self::App(key) => &key.actor,
        }
    }

    /// Who the caller is when it comes to repeating a write: an API key, or an identity.
    #[must_use]
    pub fn principal(&self) -> String {
        match self {
            Self::Anonymous => "anonymous".to_owned(),
            Self::User(player) => format!("{}:{}", player.provider, player.external_id),
            Self::App(key) => format!("key:{}", key.id),
        }
    }

    /// Whether the caller counts as signed in: a person who did more than to make a wallet.
    #[must_use]
    pub const fn is_member(&self) -> bool {
        matches!(self, Self::User(player) if player.member)
    }

    /// The user behind the caller: the person themselves, or whom the API key belongs to. `None` for a person who has
    /// no user yet.
    #[must_use]
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::Anonymous => None,
            Self::User(player) => player.user,
            Self::App(key) => key.owner,
        }
    }
}

/// A person who showed a valid credential of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Player {
    /// The user this identity belongs to; `None` when there is none yet.
    pub user: Option<UserId>,
    /// The kind of identity: `jwt`, or `ethereum` for a wallet.
    pub provider: String,
    /// The identity within its provider; for `jwt` the issuer (possibly empty), `|` and the subject, for a wallet its
    /// address in lower case.
    pub external_id: String,
    /// The instant from which the credential counts no longer; `None` when it does not expire.
    pub expires_at: Option<Timestamp>,
    /// The handle the credential suggests for a user that has still to be made; not checked.
    pub handle_hint: Option<String>,
    /// Whether another party knows the person: the issuer of a token, or, for a wallet, which anybody can make, an app
    /// or operator that has written for the user or linked an account.
    pub member: bool,
    /// How the history names the user: `user:<ULID>`. `None` for a person who has no user yet.
    pub actor: Option<String>,
}

/// Whose an identity is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) user: UserId,
    pub(super) ulid: String,
    /// Whether the user was created by a wallet, and no other party knows the user.
    pub(super) self_made: bool,
}

impl Player {
    /// The same person, whose identity belongs to `owner`.
    pub(super) fn of(self, owner: Option<Owner>) -> Self {
        let member = self.provider != WALLET_PROVIDER || owner.as_ref().is_some_and(|owner| !owner.self_made);
        let (user, actor) = owner.map(|owner| (owner.user, format!("user:{}", owner.ulid))).unzip();
        Self { user, actor, member, ..self }
    }
}

/// An application's API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppKey {
    /// The key's number in the database.
    pub id: i64,
    /// What the operator called it.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// The user it belongs to.
    pub owner: Option<UserId>,
    /// How the history names the actor of writes with this key: `app:<name>`, or `user:<ULID>` when it belongs to a
    /// user.
    pub actor: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(scopes: &[Scope]) -> Caller {
        Caller::App(AppKey {
            id: 1,
            name: "game server".to_owned(),
            scopes: scopes.to_vec(),
            owner: None,
            actor: "app:x".to_owned(),
        })
    }

    #[test]
    fn each_scope_includes_the_narrower_ones() {
        use Scope::{Admin, ProfilesRead, ProgressRead, ProgressWrite};
        let table = [
            (ProfilesRead, [true, false, false, false]),
            (ProgressRead, [true, true, false, false]),
            (ProgressWrite, [true, true, true, false]),
            (Admin, [true; 4]),
        ];
        for (held, allowed) in table {
            assert_eq!(Scope::ALL.map(|needed| key(&[held]).has(needed)), allowed, "{held}");
        }
        assert_eq!(Scope::ALL.map(|needed| key(&[]).has(needed)), [false; 4]);
    }

    #[test]
    fn a_person_and_a_stranger_have_no_scopes() {
        let player = Player {
            user: Some(UserId(7)),
            provider: "jwt".to_owned(),
            external_id: "|ada".to_owned(),
            expires_at: None,
            handle_hint: None,
            member: true,
            actor: None,
        };
        for caller in [Caller::Anonymous, Caller::User(player)] {
            assert_eq!(Scope::ALL.map(|needed| caller.has(needed)), [false; 4]);
        }
    }

    #[test]
    fn a_scope_is_read_as_it_is_written() {
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Ok(scope));
        }
        for text in ["", "Admin", "progress", "progress:read ", "progress:read progress:write"] {
            assert_eq!(Scope::parse(text), Err(ParseScopeError), "{text:?}");
        }
    }
}
