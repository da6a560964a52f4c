//! Credits in GraphQL.

use std::sync::Arc;

use async_graphql::{Context, InputValueError, InputValueResult, OneofObject, Scalar, ScalarType, SimpleObject, Value};

pub use super::entity::{EntryKind as CreditEntryKind, LotSource as CreditLotSource};
pub use super::rules::BlockScope as CreditBlockScope;
use super::rules::{self, BlockedAction, MOST_BLOCKS};
use super::service::{self, Entry, StoredBlock, StoredLot, Wallet};
use waymark_auth::policy::OwnUser;
use waymark_graphql_kit::context::{Nullable, elements_show, present};
use waymark_graphql_kit::list::List;
use waymark_graphql_kit::pagination::{Connection, PageArgs, Portion};
use waymark_graphql_kit::plan::{Json, Leaf, Plain, Ready, object};
use waymark_graphql_kit::scalars::{BigInt, seconds};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_request::{Ask as _, Request};

/// An exact decimal number of credits as a string with at most six decimals, such as `"12.5"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credits(pub i64);

/// An exact decimal number of credits, written as a string with at most six decimals and no exponent, such as `"12.5"`.
#[Scalar]
impl ScalarType for Credits {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::String(text) => rules::decimal_to_micros(text).map(Self).ok_or_else(|| {
                InputValueError::custom(
                    "expected a decimal number in a string with at most six decimals, such as \"12.5\"",
                )
            }),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::String(rules::micros_to_decimal(self.0))
    }
}

impl Leaf for Credits {
    fn write(&self, json: &mut Json) {
        rules::micros_to_decimal(self.0).write(json);
    }
}

/// An amount of credits, in millionths.
#[derive(Debug, Clone, Copy)]
pub struct CreditAmount(pub i64);

/// An amount of credits.
#[object]
impl CreditAmount {
    /// The amount in credits, as an exact decimal.
    async fn credits(&self) -> Credits {
        Credits(self.0)
    }

    /// The same amount in millionths of a credit, as an integer.
    async fn micros(&self) -> BigInt {
        BigInt(self.0)
    }
}

/// An amount of credits, given in exactly one of these ways.
#[derive(Debug, Clone, Copy, OneofObject)]
pub enum CreditAmountInput {
    /// In credits, as an exact decimal.
    Credits(Credits),
    /// In millionths of a credit, as an integer.
    Micros(BigInt),
}

impl CreditAmountInput {
    /// The amount in millionths of a credit.
    pub const fn micros(self) -> i64 {
        match self {
            Self::Credits(Credits(micros)) | Self::Micros(BigInt(micros)) => micros,
        }
    }
}

/// How many lots, and dates on which they expire, are shown where nobody says.
pub const DEFAULT_LOTS: u64 = 100;

/// The credits of a user.
#[derive(Debug)]
pub struct CreditAccount {
    /// Whose credits these are, all of which the caller may see.
    pub user: OwnUser,
    /// The user's lots with something left, and the blocks.
    pub wallet: Arc<Wallet>,
    /// The instant at which balances and expiries are told.
    pub now: Timestamp,
}

impl CreditAccount {
    /// Loads the credits of a user as they stand now.
    pub async fn of(request: &Request, user: &OwnUser) -> Result<Self> {
        let wallet = service::wallet(request, user).await?;
        Ok(Self { user: user.clone(), wallet, now: request.now() })
    }
}

/// The credits of a user: lots that expire each on its own date, the ledger of every change, and blocks.
#[object]
impl CreditAccount {
    /// What the user can spend now.
    async fn available(&self) -> Ready<CreditAmount> {
        Ready(CreditAmount(self.wallet.available(self.now)))
    }

    /// Seconds until the next lot with something left expires; at least 1. Null when nothing is going to expire.
    async fn expires_in(&self) -> Option<i32> {
        self.wallet.expires_in(self.now).map(seconds)
    }

    /// What expires when, the earliest first; what never expires comes last.
    async fn expiry_schedule(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many dates, 1 to 100; 100 when this is not given.")] first: Option<i32>,
        #[graphql(desc = "How many dates are left out before.")] skip: Option<i32>,
    ) -> Result<List<CreditExpiry>> {
        let portion = Portion::check(first, skip, DEFAULT_LOTS, context.ask()?)?;
        let schedule = portion.of(rules::expiry_schedule(&self.wallet.lots(), self.now));
        Ok(schedule.map(|(expires_at, micros)| CreditExpiry { expires_at, amount: CreditAmount(micros) }).collect())
    }

    /// Whether the user may not claim rewards at the moment.
    async fn is_blocked_for_claiming(&self) -> bool {
        self.wallet.is_blocked_for_claiming(self.now)
    }

    /// Whether the user may not spend credits at the moment.
    async fn is_blocked_for_spending(&self) -> bool {
        self.wallet.is_blocked(BlockedAction::Spend, self.now)
    }

    /// The block that is in force, the one that lasts longest first when there are several. Null when there is none.
    async fn block(&self) -> Option<CreditBlock> {
        let active = self.wallet.blocks.iter().filter(|stored| stored.block.is_active(self.now));
        active.max_by_key(|stored| stored.block.until.unwrap_or(Timestamp::MAX)).map(Into::into)
    }

    /// All blocks that are in force, of which there are 20 at most, in the order in which they were made.
    async fn blocks(&self) -> List<CreditBlock> {
        let mut active: Vec<&StoredBlock> =
            self.wallet.blocks.iter().filter(|stored| stored.block.is_active(self.now)).collect();
        active.sort_by_key(|stored| stored.seq);
        // An import may have brought more.
        active.into_iter().take(MOST_BLOCKS).map(Into::into).collect()
    }

    /// The lots that can be spent now, in the order in which they are spent: the earliest expiry first.
    async fn lots(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many lots, 1 to 100; 100 when this is not given.")] first: Option<i32>,
        #[graphql(desc = "How many lots are left out before.")] skip: Option<i32>,
    ) -> Result<List<CreditLot>> {
        let request = context.ask()?;
        let portion = Portion::check(first, skip, DEFAULT_LOTS, request)?;
        let mut lots: Vec<&StoredLot> =
            self.wallet.lots.iter().filter(|stored| stored.lot.available_micros(self.now) > 0).collect();
        lots.sort_by_key(|stored| (stored.lot.expires_at.unwrap_or(Timestamp::MAX), stored.lot.granted_at, stored.seq));
        let lots: Vec<&StoredLot> = portion.of(lots).collect();
        let reasons = match context.look_ahead().field("reason").exists() {
            true => service::lot_reasons(request, &self.user, &lots).await?,
            false => vec![None; lots.len()],
        };
        Ok(lots.into_iter().zip(reasons).map(|(stored, reason)| CreditLot::new(stored, reason)).collect())
    }

    /// Every change of the user's credits, the newest first. Null when it could not be loaded.
    async fn ledger(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many entries from the newest, 1 to 100; 20 when neither this nor last is given.")] first: Option<i32>,
        #[graphql(desc = "Only entries behind this cursor.")] after: Option<String>,
        #[graphql(desc = "How many entries from the oldest, 1 to 100.")] last: Option<i32>,
        #[graphql(desc = "Only entries before this cursor.")] before: Option<String>,
    ) -> Nullable<Connection<CreditEntry>> {
        present(async {
            let request = context.ask()?;
            let page = PageArgs { first, after, last, before }.check("ledger", request)?;
            let count = context.look_ahead().field("totalCount").exists();
            let shown = (count, elements_show(context, "reason"));
            Ok(service::ledger(request, &self.user, &self.wallet, page, shown).await?.map(CreditEntry::from))
        })
        .await
    }
}

/// What expires at one instant.
#[derive(Debug, Plain, SimpleObject)]
pub struct CreditExpiry {
    /// When it expires. Null when it never does.
    expires_at: Option<Timestamp>,
    /// How much.
    amount: CreditAmount,
}

/// Credits that were granted together and expire together.
#[derive(Debug, Plain, SimpleObject)]
pub struct CreditLot {
    /// The lot's number in the user's ledger. Later lots have greater numbers, not always the next.
    number: BigInt,
    /// How much was granted.
    amount: CreditAmount,
    /// How much of it is left.
    remaining: CreditAmount,
    /// When it was granted.
    granted_at: Timestamp,
    /// When what is left of it expires. Null when it never does.
    expires_at: Option<Timestamp>,
    /// Where it comes from.
    source: CreditLotSource,
    /// Why it was granted, for people. Null when no reason was given.
    reason: Option<Arc<str>>,
}

impl CreditLot {
    fn new(stored: &StoredLot, reason: Option<Arc<str>>) -> Self {
        Self {
            number: BigInt(stored.seq),
            amount: CreditAmount(stored.lot.amount_micros),
            remaining: CreditAmount(stored.lot.remaining_micros),
            granted_at: stored.lot.granted_at,
            expires_at: stored.lot.expires_at,
            source: stored.source,
            reason,
        }
    }
}

/// One change of one lot. Entries are never changed or removed.
#[derive(Debug, Plain, SimpleObject)]
pub struct CreditEntry {
    /// What happened.
    kind: CreditEntryKind,
    /// How much; always positive. GRANT adds it, the other kinds take it away.
    amount: CreditAmount,
    /// The number of the lot that changed.
    lot: BigInt,
    /// Why, for people. Null when no reason was given.
    reason: Option<String>,
    /// When it happened.
    recorded_at: Timestamp,
}

impl From<Entry> for CreditEntry {
    fn from(entry: Entry) -> Self {
        Self {
            kind: entry.kind,
            amount: CreditAmount(entry.amount_micros),
            lot: BigInt(entry.lot_seq),
            reason: entry.reason,
            recorded_at: entry.recorded_at,
        }
    }
}

/// A block of a user. The user keeps the balance and goes on making progress.
#[derive(Debug, Plain, SimpleObject)]
pub struct CreditBlock {
    /// The block's number among the user's blocks; the first is 1.
    number: BigInt,
    /// What the user may not do.
    scope: CreditBlockScope,
    /// Why, for people.
    reason: Arc<str>,
    /// When the block began.
    from: Timestamp,
    /// When the block ends by itself. Null when it ends only by being lifted.
    until: Option<Timestamp>,
}

impl From<&StoredBlock> for CreditBlock {
    fn from(stored: &StoredBlock) -> Self {
        Self {
            number: BigInt(stored.seq),
            scope: stored.block.scope,
            reason: stored.reason.clone(),
            from: stored.block.from,
            until: stored.block.until,
        }
    }
}
