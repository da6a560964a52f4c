//! Mutations of credits and blocks.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, OneofObject, SimpleObject};

use super::changes::Changes;
use super::{shown, subject};
use crate::user::User;
use waymark_auth::policy;
use waymark_credits as credits;
use waymark_credits::graphql::{CreditAccount, CreditAmount, CreditAmountInput, CreditBlockScope};
use waymark_credits::write::{
    Amount, BlockUser, Blocked, Blocks, Changed, GrantCredits, RevokeCredits, SpendCredits, UnblockUser,
};
use waymark_graphql_kit::context::{Nullable, present};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::ready::Ready;
use waymark_graphql_kit::scalars::BigInt;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_request::Ask as _;
use waymark_request::Request;
use waymark_users::graphql::UserBy;
use waymark_users::service::User as Stored;
use waymark_vocabulary::refusal::{Refusal, WriteStatus};
use waymark_write::{Write, Written};

/// Input of `grantCredits`.
#[derive(Debug, InputObject)]
pub(crate) struct GrantCreditsInput {
    /// The user who gets the credits; by default the caller.
    user: Option<UserBy>,
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
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Input of `spendCredits`.
#[derive(Debug, InputObject)]
pub(crate) struct SpendCreditsInput {
    /// The user who spends the credits; by default the caller.
    user: Option<UserBy>,
    /// How many; more than 0.
    amount: CreditAmountInput,
    /// What for, for people; 1 to 500 characters.
    reason: Option<String>,
    /// The caller's reference of this spend, such as the number of an order; 1 to 255 characters. A spend with the same
    /// reference is carried out once for a user: a repetition spends nothing, and is answered as the first time.
    #[graphql(name = "ref")]
    reference: Option<String>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Input of `revokeCredits`.
#[derive(Debug, InputObject)]
pub(crate) struct RevokeCreditsInput {
    /// The user who loses the credits; by default the caller.
    user: Option<UserBy>,
    /// How many; more than 0. When fewer are available, all of those are taken.
    amount: CreditAmountInput,
    /// Why, for people; 1 to 500 characters.
    reason: Option<String>,
    /// The caller's reference of this revocation, 1 to 255 characters. A revocation with the same reference is carried
    /// out once for a user: a repetition takes nothing, and is answered as the first time.
    #[graphql(name = "ref")]
    reference: Option<String>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Payload of `grantCredits`.
#[derive(Debug, SimpleObject)]
pub(crate) struct GrantCreditsPayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// APPLIED when they were granted, UNCHANGED when that had been done before under the same ref.
    status: WriteStatus,
    /// What was granted, 0 when it was refused.
    granted: CreditAmount,
    /// The number of the lot that the grant opened. Null when it was refused.
    lot: Option<BigInt>,
    /// The user's credits. Null only when the user has been merged or erased since.
    credits: Option<Ready<CreditAccount>>,
    /// What was refused; empty when all was done.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// Payload of `spendCredits`.
#[derive(Debug, SimpleObject)]
pub(crate) struct SpendCreditsPayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// APPLIED when they were spent, UNCHANGED when that had been done before under the same ref.
    status: WriteStatus,
    /// What was spent: the whole amount, or 0 when it was refused.
    spent: CreditAmount,
    /// The user's credits. Null only when the user has been merged or erased since.
    credits: Option<Ready<CreditAccount>>,
    /// What was refused; empty when all was done.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// Payload of `revokeCredits`.
#[derive(Debug, SimpleObject)]
pub(crate) struct RevokeCreditsPayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// APPLIED when some were taken; UNCHANGED when there were none, or when it had been done before under the same
    /// ref.
    status: WriteStatus,
    /// What was taken away.
    revoked: CreditAmount,
    /// How much could not be taken away, because less was available.
    shortfall: CreditAmount,
    /// The user's credits. Null only when the user has been merged or erased since.
    credits: Option<Ready<CreditAccount>>,
    /// What was refused; empty when all was done.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// Input of `blockUser`.
#[derive(Debug, InputObject)]
pub(crate) struct BlockUserInput {
    /// The user who is blocked; by default the caller.
    user: Option<UserBy>,
    /// What the user may not do.
    scope: CreditBlockScope,
    /// Why, for people; 1 to 500 characters.
    reason: String,
    /// When the block ends by itself; in the future. By default when it is lifted.
    until: Option<Timestamp>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// Input of `unblockUser`.
#[derive(Debug, InputObject)]
pub(crate) struct UnblockUserInput {
    /// The user whose blocks are lifted; by default the caller.
    user: Option<UserBy>,
    /// Which blocks.
    blocks: BlocksBy,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
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
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// The numbers of the blocks that were made or lifted.
    blocks: List<BigInt>,
    /// The user's credits, with the blocks in force. Null only when the user has been merged or erased since.
    credits: Option<Ready<CreditAccount>>,
    /// What was refused; empty when all was done.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// Mutations of credits and blocks.
#[derive(Debug, Default)]
pub(crate) struct CreditMutation;

#[Object]
impl CreditMutation {
    /// Grants credits to a user, as one lot. For API keys with the scope progress:write. Null with an error when the
    /// whole was refused.
    async fn grant_credits(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The amount, and the user who gets it.")] input: GrantCreditsInput,
    ) -> Nullable<GrantCreditsPayload> {
        present(async {
            let request = context.ask()?;
            let (stored, amount) = amount(request, input.user, (input.amount, input.reason, input.reference)).await?;
            let write = GrantCredits { amount, expires_at: input.expires_at };
            let done = Done::of(context, &stored, write, input.idempotency_key).await?;
            Ok(GrantCreditsPayload {
                user: done.user,
                status: done.changed.status,
                granted: CreditAmount(done.changed.micros),
                lot: done.changed.lot.map(BigInt),
                credits: done.credits,
                user_errors: done.changed.refusal.into_iter().collect(),
                changes: done.changes,
            })
        })
        .await
    }

    /// Spends credits of a user, the earliest expiry first: the whole amount, or nothing when less is available or the
    /// user is blocked from spending. For API keys with the scope progress:write. Null with an error when the whole was
    /// refused.
    async fn spend_credits(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The amount, and the user who spends it.")] input: SpendCreditsInput,
    ) -> Nullable<SpendCreditsPayload> {
        present(async {
            let request = context.ask()?;
            let (stored, amount) = amount(request, input.user, (input.amount, input.reason, input.reference)).await?;
            let done = Done::of(context, &stored, SpendCredits(amount), input.idempotency_key).await?;
            Ok(SpendCreditsPayload {
                user: done.user,
                status: done.changed.status,
                spent: CreditAmount(done.changed.micros),
                credits: done.credits,
                user_errors: done.changed.refusal.into_iter().collect(),
                changes: done.changes,
            })
        })
        .await
    }

    /// Takes credits away from a user, the earliest expiry first, at most what is available. For API keys with the
    /// scope progress:write. Null with an error when the whole was refused.
    async fn revoke_credits(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The amount, and the user who loses it.")] input: RevokeCreditsInput,
    ) -> Nullable<RevokeCreditsPayload> {
        present(async {
            let request = context.ask()?;
            let (stored, amount) = amount(request, input.user, (input.amount, input.reason, input.reference)).await?;
            let done = Done::of(context, &stored, RevokeCredits(amount), input.idempotency_key).await?;
            Ok(RevokeCreditsPayload {
                user: done.user,
                status: done.changed.status,
                revoked: CreditAmount(done.changed.micros),
                shortfall: CreditAmount(done.changed.missing_micros),
                credits: done.credits,
                user_errors: done.changed.refusal.into_iter().collect(),
                changes: done.changes,
            })
        })
        .await
    }

    /// Blocks a user from claiming rewards, from spending credits, or from both. The user keeps the balance and goes on
    /// making progress. For API keys with the scope progress:write. Null with an error when the whole was refused.
    async fn block_user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The user, the scope of the block and its reason.")] input: BlockUserInput,
    ) -> Nullable<BlocksPayload> {
        present(async {
            let request = context.ask()?;
            let stored = subject(request, input.user).await?;
            let user = policy::record_for(&request.caller, &stored.subject)?;
            let write = BlockUser { user, scope: input.scope.into(), reason: input.reason, until: input.until };
            let written = request.write(write, input.idempotency_key).await?;
            blocks(context, &stored, written).await
        })
        .await
    }

    /// Lifts blocks of a user. For API keys with the scope progress:write. Null with an error when the whole was
    /// refused.
    async fn unblock_user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The blocks and their user.")] input: UnblockUserInput,
    ) -> Nullable<BlocksPayload> {
        present(async {
            let request = context.ask()?;
            let stored = subject(request, input.user).await?;
            let user = policy::record_for(&request.caller, &stored.subject)?;
            let blocks = match input.blocks {
                BlocksBy::Number(BigInt(number)) => Blocks::Number(number),
                BlocksBy::Scope(scope) => Blocks::Scope(scope.into()),
            };
            let written = request.write(UnblockUser { user, blocks }, input.idempotency_key).await?;
            self::blocks(context, &stored, written).await
        })
        .await
    }
}

/// Whom a change of credits is about, and the change.
async fn amount(
    request: &Request,
    by: Option<UserBy>,
    (amount, reason, reference): (CreditAmountInput, Option<String>, Option<String>),
) -> Result<(Arc<Stored>, Amount)> {
    let stored = subject(request, by).await?;
    let user = policy::record_for(&request.caller, &stored.subject)?;
    Ok((stored, Amount { user, micros: amount.micros(), reason, reference }))
}

/// What the payloads of changes of credits have in common.
struct Done {
    user: Option<User>,
    changed: Changed,
    credits: Option<Ready<CreditAccount>>,
    changes: Changes,
}

impl Done {
    /// Carries out `write`, which is about the user `stored`.
    async fn of<W: Write<Outcome = Changed>>(
        context: &Context<'_>,
        stored: &Arc<Stored>,
        write: W,
        key: Option<String>,
    ) -> Result<Self> {
        let request = context.ask()?;
        let written = request.write(write, key).await?;
        let changes = Changes::of(stored, &written);
        let user = shown(request, stored).await?;
        let credits = account(context, user.as_ref()).await?;
        Ok(Self { user, changed: written.outcome, credits, changes })
    }
}

/// The credits of a user as they stand after a write, if the payload is asked for them.
pub(super) async fn account(context: &Context<'_>, user: Option<&User>) -> Result<Option<Ready<CreditAccount>>> {
    let Some(user) = user.filter(|_| context.look_ahead().field("credits").exists()) else { return Ok(None) };
    let request = context.ask()?;
    let own = user.own()?;
    let wallet = credits::service::wallet(request, own).await?;
    Ok(Some(Ready(CreditAccount { user: own.clone(), wallet, now: request.now() })))
}

async fn blocks(context: &Context<'_>, stored: &Arc<Stored>, written: Written<Blocked>) -> Result<BlocksPayload> {
    let request = context.ask()?;
    let changes = Changes::of(stored, &written);
    let user = shown(request, stored).await?;
    let credits = account(context, user.as_ref()).await?;
    Ok(BlocksPayload {
        user,
        blocks: written.outcome.blocks.into_iter().map(BigInt).collect(),
        credits,
        user_errors: written.outcome.refusal.into_iter().collect(),
        changes,
    })
}
