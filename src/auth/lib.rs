//! The caller of a request, and what the caller may see and do.
//!
//! A credential becomes a [`Caller`] in `authenticator`; one file per scheme checks it. Only `policy` grants: it alone
//! makes the proofs without which no user's data can be loaded.

pub mod api_key;
mod authenticator;
mod caller;
pub mod entity;
pub mod extract;
pub mod jwt;
mod mark;
pub mod policy;
pub mod rate;
mod repo;
mod session;
pub mod signed_fetch;

pub use authenticator::Authenticator;
pub use authenticator::{JWT_PROVIDER, SIGNATURE, WALLET_PROVIDER};
pub use caller::{AppKey, Caller, ParseScopeError, Player, Scope, UserId};
pub use entity::Visibility;
pub use mark::Mark;
pub use session::{Session, Vigil};
