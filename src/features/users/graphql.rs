//! Users in GraphQL: how they are looked up, and their accounts. The `User` object itself stands in `schema::user`.

use async_graphql::{ID, InputObject, OneofObject, SimpleObject};

use super::service::{Account as Stored, Name};
use waymark_kernel::clock::Timestamp;

/// Names one user, by exactly one of these.
#[derive(Debug, Clone, OneofObject)]
pub enum UserBy {
    /// The user's id: `user:<ULID>` or the bare ULID.
    Id(ID),
    /// The user's handle; upper and lower case are the same.
    Handle(String),
    /// An Ethereum address linked to the user: `0x` and 40 hexadecimal digits, in any case.
    Address(String),
    /// An account linked to the user on another platform.
    Account(AccountBy),
}

impl From<UserBy> for Name {
    fn from(by: UserBy) -> Self {
        match by {
            UserBy::Id(id) => Self::Id(id.0),
            UserBy::Handle(handle) => Self::Handle(handle),
            UserBy::Address(address) => Self::Address(address),
            UserBy::Account(AccountBy { platform, id }) => Self::Account { platform, id },
        }
    }
}

/// Names an account on another platform.
#[derive(Debug, Clone, InputObject)]
pub struct AccountBy {
    /// The platform, such as `discord` or `roblox`.
    pub platform: String,
    /// The user's id on that platform.
    pub id: String,
}

/// An account of a user on another platform.
#[derive(Debug, SimpleObject)]
pub struct Account {
    /// The platform, such as `ethereum`, `discord` or `jwt`.
    platform: String,
    /// The user's id on that platform; an Ethereum address is in lower case.
    id: String,
    /// When the account was linked to the user.
    linked_at: Timestamp,
}

impl From<Stored> for Account {
    fn from(stored: Stored) -> Self {
        Self { platform: stored.provider, id: stored.external_id, linked_at: stored.linked_at }
    }
}
