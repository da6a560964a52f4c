//! Mutations of credits and blocks.

use std::sync::Arc;

use async_graphql::{Context, InputObject, Object, OneofObject, SimpleObject};

use super::changes::Changes;
use super::{shown, subject};
use crate::auth::policy;
use crate::clock::Timestamp;
use crate::error::Result;
use crate::features::credits;
use crate::features::credits::graphql::{CreditAccount, CreditAmount, CreditAmountInput, CreditBlockScope};
use crate::features::credits::write::{
    Amount, BlockUser, Blocked, Blocks, Changed, GrantCredits, RevokeCredits, SpendCredits, UnblockUser,
};
use crate::features::users::graphql::UserBy;
use crate::features::users::service::User as Stored;
use crate::graphql::context::{Ask as _, Nullable, present};
use crate::graphql::list::List;
use crate::graphql::ready::Ready;
use crate::graphql::refusal::{Refusal, WriteStatus};
use crate::graphql::scalars::BigInt;
use crate::request::Request;
use crate::schema::user::User;
use crate::write::{Write, Written};

/// How many credits are granted to whom.
#[derive(Debug, InputObject)]
pub(crate) struct GrantCreditsInput {
    /// Who gets them; by default whoever asks.
    user: Option<UserBy>,
    /// How many; more than 0. Nobody may have more than 9,000,000,000,000 credits.
    amount: CreditAmountInput,
    /// When what is left of them expires; in the future. By default never.
    expires_at: Option<Timestamp>,
    /// Why, for people; 1 to 500 characters.
    reason: Option<String>,
    /// What the caller calls this grant. A user gets a grant of the same ref once and for all: when it comes again, nothing
    /// is granted, and the answer is that of the first time. 1 to 255 characters.
    #[graphql(name = "ref")]
    reference: Option<String>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// How many credits who spends.
#[derive(Debug, InputObject)]
pub(crate) struct SpendCreditsInput {
    /// Who spends; by default whoever asks.
    user: Option<UserBy>,
    /// How many; more than 0.
    amount: CreditAmountInput,
    /// What for, for people; 1 to 500 characters.
    reason: Option<String>,
    /// What the caller calls this spend, such as the number of an order. A spend of the same ref is carried out once and for
    /// all for a user: when it comes again, nothing is spent, and the answer is that of the first time. 1 to 255 characters.
    #[graphql(name = "ref")]
    reference: Option<String>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// How many credits are taken away from whom.
#[derive(Debug, InputObject)]
pub(crate) struct RevokeCreditsInput {
    /// Who loses them; by default whoever asks.
    user: Option<UserBy>,
    /// How many; more than 0. When fewer are available, all of those are taken.
    amount: CreditAmountInput,
    /// Why, for people; 1 to 500 characters.
    reason: Option<String>,
    /// What the caller calls this. A revocation of the same ref is carried out once and for all for a user: when it comes
    /// again, nothing is taken, and the answer is that of the first time. 1 to 255 characters.
    #[graphql(name = "ref")]
    reference: Option<String>,
    /// Makes the write safe to repeat: the same key with the same input is carried out once and answered the same.
    idempotency_key: Option<String>,
}

/// What came of granting credits.
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

/// What came of spending credits.
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

/// What came of taking credits away.
#[derive(Debug, SimpleObject)]
pub(crate) struct RevokeCreditsPayload {
    /// The user. Null only when the user has been merged or erased since.
    user: Option<User>,
    /// APPLIED when some were taken; UNCHANGED when there were none, or when it had been done before under the same ref.
    status: WriteStatus,
    /// What was taken away.
    revoked: CreditAmount,
    /// What was to be taken away and was not there.
    shortfall: CreditAmount,
    /// The user's credits. Null only when the user has been merged or erased since.
    credits: Option<Ready<CreditAccount>>,
    /// What was refused; empty when all was done.
    user_errors: List<Refusal>,
    /// What was changed for the user.
    changes: Changes,
}

/// Who is blocked from what.
#[derive(Debug, InputObject)]
pub(crate) struct BlockUserInput {
    /// Who is blocked; by default whoever asks.
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

/// Which blocks of whom are lifted.
#[derive(Debug, InputObject)]
pub(crate) struct UnblockUserInput {
    /// Whose blocks they are; by default those of whoever asks.
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

/// What came of blocking a user, or of lifting blocks.
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
    /// Grants credits to a user, as one lot. For API keys with the scope progress:write. Null with an error when the whole
    /// was refused.
    async fn grant_credits(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many to whom.")] input: GrantCreditsInput,
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

    /// Spends credits of a user, the earliest expiry first: the whole amount, or nothing when less is available or the user
    /// is blocked from spending. For API keys with the scope progress:write. Null with an error when the whole was refused.
    async fn spend_credits(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many of whom.")] input: SpendCreditsInput,
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

    /// Takes credits away from a user, the earliest expiry first, as far as they are there. For API keys with the scope
    /// progress:write. Null with an error when the whole was refused.
    async fn revoke_credits(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many of whom.")] input: RevokeCreditsInput,
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

    /// Blocks a user from claiming rewards, from spending credits, or from both. The user keeps the balance and goes on making
    /// progress. For API keys with the scope progress:write. Null with an error when the whole was refused.
    async fn block_user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Who, and from what.")] input: BlockUserInput,
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

    /// Lifts blocks of a user. For API keys with the scope progress:write. Null with an error when the whole was refused.
    async fn unblock_user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Which blocks of whom.")] input: UnblockUserInput,
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
