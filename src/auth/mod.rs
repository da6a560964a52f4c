//! Who asks, and what they may see and do.
//!
//! A credential becomes a [`Caller`] in `authenticator`; one file per scheme checks it. Only `policy` grants: it alone
//! makes the proofs without which nobody's data can be loaded.

pub(crate) mod api_key;
mod authenticator;
mod caller;
pub mod entity;
pub(crate) mod extract;
pub(crate) mod jwt;
mod mark;
pub(crate) mod policy;
pub(crate) mod rate;
mod repo;
pub(crate) mod signed_fetch;
mod standing;

pub use authenticator::Authenticator;
pub(crate) use authenticator::{JWT_PROVIDER, SIGNATURE, WALLET_PROVIDER};
pub use caller::{AppKey, Caller, ParseScopeError, Player, Scope, UserId};
pub use entity::Visibility;
pub(crate) use mark::Mark;
pub(crate) use standing::{Standing, Vigil};
