//! Mutations of credits and blocks.

use async_graphql::{OneofObject, SimpleObject};

use crate::mutation::payload::{CreditsPayload, UserPayload};
use waymark_auth::policy::RecordedUser;
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::scalars::BigInt;
use waymark_kernel::clock::Timestamp;
use waymark_kinds::credits::graphql::{CreditAmount, CreditAmountInput, CreditBlockScope};
use waymark_kinds::credits::write::{
    Amount, BlockUser, Blocked, Blocks, Changed, GrantCredits, LotBy, RevokeCredits, SpendCredits, UnblockUser,
};
use waymark_vocabulary::refusal::WriteStatus;

input! {
    /// Input of `grantCredits`.
    GrantCreditsInput, "The user who gets the credits; by default the caller.";

    /// How many; more than 0. A user may have at most 9,000,000,000,000 credits.
    amount: CreditAmountInput,
    /// When what is left of them expires; in the future. By default never.
    expires_at: Option<Timestamp>,
    /// Why, for people; 1 to 500 characters.
    reason: Option<String>,
    /// The caller's reference of this grant, 1 to 255 characters. A grant with the same reference is carried out once
    /// for a user: a repetition grants nothing, and is answered as the first time.
    #[graphql(name = "ref")]
    reference: Option<String>,
}

input! {
    /// Input of `spendCredits`.
    SpendCreditsInput, "The user who spends the credits; by default the caller.";

    /// How many; more than 0.
    amount: CreditAmountInput,
    /// What for, for people; 1 to 500 characters.
    reason: Option<String>,
    /// The caller's reference of this spend, such as the number of an order; 1 to 255 characters. A spend with the same
    /// reference is carried out once for a user: a repetition spends nothing, and is answered as the first time.
    #[graphql(name = "ref")]
    reference: Option<String>,
}

input! {
    /// Input of `revokeCredits`.
    RevokeCreditsInput, "The user who loses the credits; by default the caller.";

    /// How many; more than 0. When fewer are available, all of those are taken.
    amount: CreditAmountInput,
    /// The lot from which alone they are taken; by default from all, the earliest expiry first.
    lot: Option<CreditLotBy>,
    /// Why, for people; 1 to 500 characters.
    reason: Option<String>,
    /// The caller's reference of this revocation, 1 to 255 characters. A revocation with the same reference is carried
    /// out once for a user: a repetition takes nothing, and is answered as the first time.
    #[graphql(name = "ref")]
    reference: Option<String>,
}

/// Names a lot of a user, by exactly one of these.
#[derive(Debug, Clone, OneofObject)]
pub(crate) enum CreditLotBy {
    /// The number of the lot.
    Number(BigInt),
    /// The ref of the grant that opened it.
    Ref(String),
}

/// Payload of `grantCredits`.
#[derive(Debug, SimpleObject)]
pub(crate) struct GrantCreditsPayload {
    #[graphql(flatten)]
    about: CreditsPayload,
    /// APPLIED when they were granted, UNCHANGED when that had been done before under the same ref.
    status: WriteStatus,
    /// What was granted, 0 when it was refused.
    granted: CreditAmount,
    /// The number of the lot that the grant opened. Null when it was refused.
    lot: Option<BigInt>,
}

/// Payload of `spendCredits`.
#[derive(Debug, SimpleObject)]
pub(crate) struct SpendCreditsPayload {
    #[graphql(flatten)]
    about: CreditsPayload,
    /// APPLIED when they were spent, UNCHANGED when that had been done before under the same ref.
    status: WriteStatus,
    /// What was spent: the whole amount, or 0 when it was refused.
    spent: CreditAmount,
}

/// Payload of `revokeCredits`.
#[derive(Debug, SimpleObject)]
pub(crate) struct RevokeCreditsPayload {
    #[graphql(flatten)]
    about: CreditsPayload,
    /// APPLIED when some were taken; UNCHANGED when there were none, or when it had been done before under the same
    /// ref.
    status: WriteStatus,
    /// What was taken away.
    revoked: CreditAmount,
    /// How much could not be taken away, because less was available, of the lot that was named if one was.
    shortfall: CreditAmount,
}

input! {
    /// Input of `blockUser`.
    BlockUserInput, "The user who is blocked; by default the caller.";

    /// What the user may not do.
    scope: CreditBlockScope,
    /// Why, for people; 1 to 500 characters.
    reason: String,
    /// When the block ends by itself; in the future. By default when it is lifted.
    until: Option<Timestamp>,
}

input! {
    /// Input of `unblockUser`.
    UnblockUserInput, "The user whose blocks are lifted; by default the caller.";

    /// Which blocks.
    blocks: BlocksBy,
}

/// Names blocks of a user, by exactly one of these.
#[derive(Debug, Clone, Copy, OneofObject)]
pub(crate) enum BlocksBy {
    /// The block with this number.
    Number(BigInt),
    /// All blocks of exactly this scope: CLAIM does not lift a block from ALL.
    Scope(CreditBlockScope),
}

/// Payload of `blockUser` and `unblockUser`.
#[derive(Debug, SimpleObject)]
pub(crate) struct BlocksPayload {
    #[graphql(flatten)]
    about: CreditsPayload,
    /// The numbers of the blocks that were made or lifted.
    blocks: List<BigInt>,
}

mutations! {
    /// Mutations of credits and blocks.
    CreditMutation;

    /// Grants credits to a user, as one lot. For API keys with the scope progress:write. Null with an error when the
    /// whole was refused.
    grant_credits: about_user(GrantCreditsInput, "The amount, and the user who gets it.") -> GrantCreditsPayload;

    /// Spends credits of a user, the earliest expiry first: the whole amount, or nothing when less is available or the
    /// user is blocked from spending. For API keys with the scope progress:write. Null with an error when the whole was
    /// refused.
    spend_credits: about_user(SpendCreditsInput, "The amount, and the user who spends it.") -> SpendCreditsPayload;

    /// Takes credits away from a user, from one lot or the earliest expiry first, at most what is available. For API
    /// keys with the scope progress:write. Null with an error when the whole was refused.
    revoke_credits: about_user(RevokeCreditsInput, "The amount, and the user who loses it.")
        -> RevokeCreditsPayload;

    /// Blocks a user from claiming rewards, from spending credits, or from both. The user keeps the balance and goes on
    /// making progress. For API keys with the scope progress:write. Null with an error when the whole was refused.
    block_user: about_user(BlockUserInput, "The user, the scope of the block and its reason.") -> BlocksPayload;

    /// Lifts blocks of a user. For API keys with the scope progress:write. Null with an error when the whole was
    /// refused.
    unblock_user: about_user(UnblockUserInput, "The blocks and their user.") -> BlocksPayload;
}

/// How credits of `user` are to change, as the inputs of all three changes say it.
macro_rules! amount {
    ($input:ident, $user:ident) => {{
        let (reason, reference) = ($input.reason.clone(), $input.reference.clone());
        Amount { user: $user, micros: $input.amount.micros(), reason, reference }
    }};
}

about_user! {
    GrantCreditsInput: RecordedUser => GrantCredits => GrantCreditsPayload {
        write: |input, user| GrantCredits { amount: amount!(input, user), expires_at: input.expires_at },
        payload: |_, about, Changed { status, micros, lot, .. }| GrantCreditsPayload {
            about: about.into(),
            status,
            granted: CreditAmount(micros),
            lot: lot.map(BigInt),
        },
    }
    SpendCreditsInput: RecordedUser => SpendCredits => SpendCreditsPayload {
        write: |input, user| SpendCredits(amount!(input, user)),
        payload: |_, about, Changed { status, micros, .. }| SpendCreditsPayload {
            about: about.into(),
            status,
            spent: CreditAmount(micros),
        },
    }
    RevokeCreditsInput: RecordedUser => RevokeCredits => RevokeCreditsPayload {
        write: |input, user| RevokeCredits { amount: amount!(input, user), lot: input.lot.clone().map(LotBy::from) },
        payload: |_, about, Changed { status, micros, missing_micros, .. }| RevokeCreditsPayload {
            about: about.into(),
            status,
            revoked: CreditAmount(micros),
            shortfall: CreditAmount(missing_micros),
        },
    }
    BlockUserInput: RecordedUser => BlockUser => BlocksPayload {
        write: |input, user| {
            BlockUser { user, scope: input.scope, reason: input.reason.clone(), until: input.until }
        },
        payload: |_, about, outcome| BlocksPayload::of(about, outcome),
    }
    UnblockUserInput: RecordedUser => UnblockUser => BlocksPayload {
        write: |input, user| UnblockUser { user, blocks: input.blocks.into() },
        payload: |_, about, outcome| BlocksPayload::of(about, outcome),
    }
}

impl BlocksPayload {
    fn of(about: UserPayload, outcome: Blocked) -> Self {
        Self { about: about.into(), blocks: outcome.blocks.into_iter().map(BigInt).collect() }
    }
}

impl From<CreditLotBy> for LotBy {
    fn from(by: CreditLotBy) -> Self {
        match by {
            CreditLotBy::Number(BigInt(number)) => Self::Number(number),
            CreditLotBy::Ref(name) => Self::Reference(name),
        }
    }
}

impl From<BlocksBy> for Blocks {
    fn from(by: BlocksBy) -> Self {
        match by {
            BlocksBy::Number(BigInt(number)) => Self::Number(number),
            BlocksBy::Scope(scope) => Self::Scope(scope),
        }
    }
}
