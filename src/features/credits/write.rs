//! Changing credits: the ledger of locked users, what is granted, spent and taken away, expiries, and blocks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::entity::{EntryKind, LotSource, entry, lot};
use super::repo::{self, Holding, StoredBlock, StoredLot};
use super::rules::{self, Block, BlockScope, BlockedAction, Lot};
use waymark_auth::policy::RecordedUser;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_kernel::limits;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{Refusal, UserErrorCode, WriteStatus};
use waymark_write::{HistoryKind, Order, Reference, Unit, Write, Writer};

pub use super::rules::micros_to_decimal;

/// What locked users have, and what a write does to it. A lot has the number of the entry that opened it.
pub struct Ledger {
    /// Shared by all entries of the write, by user.
    operations: BTreeMap<i64, String>,
    lots: BTreeMap<i64, Vec<Held>>,
    blocks: BTreeMap<i64, Vec<StoredBlock>>,
    entries: Vec<entry::Model>,
}

/// A lot that had something left, or was opened by this write.
struct Held {
    stored: StoredLot,
    /// These two are known only of a lot that was opened by this write; of others they are not stored again.
    goal: Option<i64>,
    reason: Option<String>,
    changed: bool,
}

/// A lot that is to be opened.
struct Opening<'a> {
    micros: i64,
    expires_at: Option<Timestamp>,
    source: LotSource,
    goal: Option<i64>,
    reason: Option<&'a str>,
}

impl Ledger {
    /// What these users have; they must be locked.
    pub async fn read(unit: &Unit<'_>, users: Vec<i64>) -> Result<Self> {
        let mut ledger = Self {
            operations: users.iter().map(|user| (*user, unit.ids.ulid(unit.now))).collect(),
            lots: BTreeMap::new(),
            blocks: BTreeMap::new(),
            entries: Vec::new(),
        };
        if users.is_empty() {
            return Ok(ledger);
        }
        for (user, holding) in repo::holdings(unit.transaction(), users).await? {
            match holding {
                Holding::Lot(stored) => {
                    let held = Held { stored, goal: None, reason: None, changed: false };
                    ledger.lots.entry(user).or_default().push(held);
                }
                Holding::Block(block) => ledger.blocks.entry(user).or_default().push(block),
            }
        }
        // What is taken first of two lots that expire together does not depend on the engine.
        ledger.lots.values_mut().for_each(|lots| lots.sort_by_key(|held| held.stored.seq));
        Ok(ledger)
    }

    fn lots(&self, user: i64) -> Vec<Lot> {
        self.lots.get(&user).into_iter().flatten().map(|held| held.stored.lot).collect()
    }

    /// The same, with nothing left of all but the one of this number, if one is named.
    fn lots_of(&self, user: i64, number: Option<i64>) -> Vec<Lot> {
        let lots = self.lots.get(&user).into_iter().flatten().map(|held| match number {
            Some(number) if held.stored.seq != number => Lot { remaining_micros: 0, ..held.stored.lot },
            _ => held.stored.lot,
        });
        lots.collect()
    }

    fn is_blocked(&self, user: i64, action: BlockedAction, now: Timestamp) -> bool {
        let blocks: Vec<Block> = self.blocks.get(&user).into_iter().flatten().map(|stored| stored.block).collect();
        rules::is_blocked(&blocks, action, now)
    }

    /// Whether a user may not claim rewards.
    pub fn is_blocked_for_claiming(&self, user: i64, now: Timestamp) -> bool {
        self.is_blocked(user, BlockedAction::Claim, now)
    }

    /// Refuses so many credits more when a user would then have more than anybody may have.
    pub fn check_room(&self, user: i64, micros: i64, now: Timestamp) -> Result<(), Refusal> {
        if rules::has_room(&self.lots(user), micros, now) {
            return Ok(());
        }
        let most = micros_to_decimal(rules::MOST_MICROS);
        Err(Refusal::new(UserErrorCode::InvalidInput, format!("nobody may have more than {most} credits")))
    }

    /// Opens a lot with the reward of a goal whose season ends at `season_end` as far as is known, and gives its
    /// number. Whether there is room is checked before.
    pub fn reward(
        &mut self,
        unit: &mut Unit<'_>,
        user: i64,
        goal: i64,
        micros: i64,
        season_end: Timestamp,
    ) -> Result<i64> {
        let expires_at = Some(season_end.plus_seconds(rules::EXPIRES_AFTER_SEASON_SECONDS).min(limits::LATEST));
        self.open(unit, user, Opening { micros, expires_at, source: LotSource::Goal, goal: Some(goal), reason: None })
    }

    fn open(&mut self, unit: &mut Unit<'_>, user: i64, opening: Opening<'_>) -> Result<i64> {
        let Opening { micros, expires_at, source, goal, reason } = opening;
        let now = unit.now;
        let seq = unit.next_ledger_number(user)?;
        self.enter(user, (seq, seq), EntryKind::Grant, micros, reason, now);
        let lot = Lot { amount_micros: micros, remaining_micros: micros, granted_at: now, expires_at };
        let (stored, reason) = (StoredLot { seq, lot, source }, reason.map(str::to_owned));
        self.lots.entry(user).or_default().push(Held { stored, goal, reason, changed: true });
        Ok(seq)
    }

    /// Takes from lots what `plan` says, by their places.
    fn take(
        &mut self,
        unit: &mut Unit<'_>,
        user: i64,
        plan: Vec<(usize, i64)>,
        (kind, reason, at): (EntryKind, Option<&str>, Timestamp),
    ) -> Result<()> {
        for (place, micros) in plan {
            let Some(held) = self.lots.get_mut(&user).and_then(|lots| lots.get_mut(place)) else { continue };
            held.stored.lot.remaining_micros -= micros;
            held.changed = true;
            let lot = held.stored.seq;
            let seq = unit.next_ledger_number(user)?;
            self.enter(user, (seq, lot), kind, micros, reason, at);
        }
        Ok(())
    }

    fn enter(
        &mut self,
        user_id: i64,
        (seq, lot_seq): (i64, i64),
        kind: EntryKind,
        amount_micros: i64,
        reason: Option<&str>,
        recorded_at: Timestamp,
    ) {
        self.entries.push(entry::Model {
            user_id,
            seq,
            lot_seq,
            kind,
            amount_micros,
            reason: reason.map(str::to_owned),
            operation: self.operations.get(&user_id).cloned().unwrap_or_default(),
            recorded_at,
        });
    }

    /// Books what has expired of a user's lots, dated when it did, and says how many lots that were.
    fn expire(&mut self, unit: &mut Unit<'_>, user: i64) -> Result<usize> {
        let expired = rules::unswept(&self.lots(user), unit.now);
        for one in &expired {
            let plan = vec![(one.lot, one.micros)];
            self.take(unit, user, plan, (EntryKind::Expire, None, one.expired_at))?;
        }
        Ok(expired.len())
    }

    /// Stores what changed.
    pub fn store(self, unit: &mut Unit<'_>) {
        let changed = self.lots.into_iter().flat_map(|(user, lots)| lots.into_iter().map(move |held| (user, held)));
        let lots: Vec<lot::Model> = changed
            .filter(|(_, held)| held.changed)
            .map(|(user_id, Held { stored, goal, reason, .. })| lot::Model {
                user_id,
                seq: stored.seq,
                amount_micros: stored.lot.amount_micros,
                remaining_micros: stored.lot.remaining_micros,
                granted_at: stored.lot.granted_at,
                expires_at: stored.lot.expires_at,
                source: stored.source,
                goal_id: goal,
                reason,
            })
            .collect();
        repo::store_lots(unit.stores(), lots);
        repo::append(unit.stores(), self.entries);
    }
}

/// Appends an event whose subject is the user to the user's history.
fn tell(unit: &mut Unit<'_>, user: i64, kind: HistoryKind, changes: &Value) -> Result<()> {
    let ulid = unit.user(user)?.ulid.clone();
    unit.record(user, kind, (Kind::User, &ulid), changes)
}

fn invalid(message: impl Into<String>, field: &str) -> Refusal {
    Refusal::new(UserErrorCode::InvalidInput, message).at([field])
}

/// What is wrong with a reason.
pub(super) fn wrong_reason(reason: &str) -> Option<String> {
    let longest = rules::LONGEST_REASON;
    (!rules::is_reason(reason)).then(|| format!("a reason has 1 to {longest} printable characters"))
}

fn check_reason(reason: Option<&str>) -> Result<(), Refusal> {
    reason.and_then(wrong_reason).map_or(Ok(()), |wrong| Err(invalid(wrong, "reason")))
}

/// What a history tells of a lot that was granted.
pub(super) fn granted(micros: i64, lot: i64, expires_at: Option<Timestamp>) -> Value {
    let mut changes = json!({ "credits": micros_to_decimal(micros), "lot": lot });
    if let Some(expires_at) = expires_at {
        changes["expiresAt"] = expires_at.to_string().into();
    }
    changes
}

fn check_future(date: Option<Timestamp>, now: Timestamp, field: &str) -> Result<(), Refusal> {
    match date {
        Some(date) if date <= now => Err(invalid(format!("{date} is not in the future"), field)),
        Some(date) if date > limits::LATEST => Err(invalid(format!("{date} is after {}", limits::LATEST), field)),
        _ => Ok(()),
    }
}

/// What came of granting, spending or revoking; also what is kept under the reference.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Changed {
    /// Whether it was done now, had been done before, or was refused.
    pub status: WriteStatus,
    /// What was granted, spent or taken away.
    pub micros: i64,
    /// What was to be taken away and was not there.
    pub missing_micros: i64,
    /// The lot that was opened.
    pub lot: Option<i64>,
    /// Why it was refused; `None`: it was not.
    pub refusal: Option<Refusal>,
}

impl Changed {
    const fn by(micros: i64) -> Self {
        Self { status: WriteStatus::Applied, micros, missing_micros: 0, lot: None, refusal: None }
    }

    const fn refused(refusal: Refusal) -> Self {
        Self { status: WriteStatus::Refused, micros: 0, missing_micros: 0, lot: None, refusal: Some(refusal) }
    }
}

/// What granting, spending and revoking have in common.
#[derive(Debug, Serialize)]
pub struct Amount {
    /// Whose credits change.
    pub user: RecordedUser,
    /// How much is granted, spent or taken away, in micros of a credit; more than 0.
    pub micros: i64,
    /// Why, for people.
    pub reason: Option<String>,
    /// The caller's name for this change, so that it is made only once; `None`: made each time.
    pub reference: Option<String>,
}

impl Amount {
    /// Lets `work` change the ledger, unless that was done before under the same reference.
    async fn change(
        &self,
        unit: &mut Unit<'_>,
        kind: &'static str,
        work: impl FnOnce(&mut Unit<'_>, &mut Ledger) -> Result<Result<Changed, Refusal>> + Send,
    ) -> Result<Changed> {
        let user = self.user.key();
        unit.lock([user]).await?;
        let reference = match self.check(kind) {
            Ok(reference) => reference,
            Err(refusal) => return Ok(Changed::refused(refusal)),
        };
        if let Some(reference) = &reference
            && let Some(kept) = unit.referenced(std::slice::from_ref(reference)).await?.get(reference)
        {
            let kept: Changed = serde_json::from_str(kept).map_err(Error::internal)?;
            return Ok(Changed { status: WriteStatus::Unchanged, ..kept });
        }
        let mut ledger = Ledger::read(unit, vec![user]).await?;
        let changed = match work(unit, &mut ledger)? {
            Ok(changed) => changed,
            Err(refusal) => return Ok(Changed::refused(refusal)),
        };
        ledger.store(unit);
        if let Some(reference) = reference {
            unit.keep(reference, serde_json::to_string(&changed).map_err(Error::internal)?);
        }
        Ok(changed)
    }

    fn check(&self, kind: &'static str) -> Result<Option<Reference>, Refusal> {
        if self.micros < 1 {
            return Err(invalid("an amount is more than 0", "amount"));
        }
        if !limits::AMOUNT_MICROS.contains(&self.micros) {
            let most = micros_to_decimal(*limits::AMOUNT_MICROS.end());
            return Err(invalid(format!("an amount is at most {most} credits"), "amount"));
        }
        check_reason(self.reason.as_deref())?;
        let reference = self.reference.as_deref().map(|name| Reference::new(self.user.key(), kind, name)).transpose();
        reference.map_err(|refusal| refusal.at(["ref"]))
    }
}

/// Grants credits to a user.
#[derive(Debug, Serialize)]
pub struct GrantCredits {
    /// Who gets how much, and why.
    pub amount: Amount,
    /// From when on the credits can no longer be spent; `None`: they never expire.
    pub expires_at: Option<Timestamp>,
}

impl Write for GrantCredits {
    const NAME: &'static str = "grantCredits";

    type Outcome = Changed;

    fn concerns(&self) -> Option<i64> {
        Some(self.amount.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Changed> {
        let Amount { user, micros, reason, .. } = &self.amount;
        let (user, micros) = (user.key(), *micros);
        let grant = |unit: &mut Unit<'_>, ledger: &mut Ledger| {
            let room = ledger.check_room(user, micros, unit.now).map_err(|refusal| refusal.at(["amount"]));
            if let Err(refusal) = check_future(self.expires_at, unit.now, "expiresAt").and(room) {
                return Ok(Err(refusal));
            }
            let opening = Opening {
                micros,
                expires_at: self.expires_at,
                source: LotSource::Grant,
                goal: None,
                reason: reason.as_deref(),
            };
            let lot = ledger.open(unit, user, opening)?;
            tell(unit, user, HistoryKind::CreditsGranted, &granted(micros, lot, self.expires_at))?;
            Ok(Ok(Changed { lot: Some(lot), ..Changed::by(micros) }))
        };
        self.amount.change(unit, GRANTS[0], grant).await
    }
}

/// Spends credits of a user: all of the amount, or nothing.
#[derive(Debug, Serialize)]
pub struct SpendCredits(pub Amount);

impl Write for SpendCredits {
    const NAME: &'static str = "spendCredits";

    type Outcome = Changed;

    fn concerns(&self) -> Option<i64> {
        Some(self.0.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Changed> {
        let Amount { user, micros, reason, .. } = &self.0;
        let (user, micros) = (user.key(), *micros);
        let spend = |unit: &mut Unit<'_>, ledger: &mut Ledger| {
            if ledger.is_blocked(user, BlockedAction::Spend, unit.now) {
                return Ok(Err(Refusal::new(UserErrorCode::Blocked, "the user is blocked from spending credits")));
            }
            let plan = match rules::spend_plan(&ledger.lots(user), micros, unit.now) {
                Ok(plan) => plan,
                Err(rules::Insufficient { available }) => {
                    let available = micros_to_decimal(available);
                    let wanted = micros_to_decimal(micros);
                    let message = format!("{wanted} credits were to be spent, and {available} are available");
                    return Ok(Err(Refusal::new(UserErrorCode::InsufficientCredits, message).at(["amount"])));
                }
            };
            ledger.take(unit, user, plan, (EntryKind::Spend, reason.as_deref(), unit.now))?;
            let changes = json!({ "credits": micros_to_decimal(micros) });
            tell(unit, user, HistoryKind::CreditsSpent, &changes)?;
            Ok(Ok(Changed::by(micros)))
        };
        self.0.change(unit, "CREDIT_SPEND", spend).await
    }
}

/// Takes credits from a user, as far as they are there.
#[derive(Debug, Serialize)]
pub struct RevokeCredits {
    /// From whom how much is taken, and why.
    #[serde(flatten)]
    pub amount: Amount,
    /// The lot from which alone it is taken; `None`: from all, the earliest expiry first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lot: Option<LotBy>,
}

/// Names a lot of a user.
#[derive(Debug, Serialize)]
pub enum LotBy {
    /// By its number.
    Number(i64),
    /// By the reference of the grant that opened it.
    Reference(String),
}

/// The kind of the references of lots that files brought along.
pub(super) const BROUGHT_ALONG: &str = "IMPORT";
/// The kinds of the references of grants.
const GRANTS: [&str; 2] = ["CREDIT_GRANT", BROUGHT_ALONG];

impl LotBy {
    /// Returns the number of the lot among those of a locked user.
    async fn find(&self, unit: &Unit<'_>, user: i64) -> Result<Result<i64, Refusal>> {
        let number = match self {
            Self::Number(number) => Some(*number),
            Self::Reference(name) => {
                let references = GRANTS.map(|kind| Reference::new(user, kind, name));
                let references: Result<Vec<_>, Refusal> = references.into_iter().collect();
                let references = match references {
                    Ok(references) => references,
                    Err(refusal) => return Ok(Err(refusal.at(["lot", "ref"]))),
                };
                let known = unit.referenced(&references).await?;
                references.iter().find_map(|reference| lot_of(known.get(reference)?))
            }
        };
        let found = match number {
            Some(number) => repo::lots(unit.transaction(), user, vec![number]).await?,
            None => Vec::new(),
        };
        let unknown = || Refusal::new(UserErrorCode::UnknownCreditLot, "the user has no such lot of credits");
        Ok(found.first().map(|(seq, _)| *seq).ok_or_else(|| unknown().at(["lot"])))
    }
}

/// The number of the lot in the outcome of a grant.
fn lot_of(outcome: &str) -> Option<i64> {
    serde_json::from_str::<Value>(outcome).ok()?.get("lot")?.as_i64()
}

/// Returns the outcome of a grant once the numbers of the user's lots were raised by `offset`; that of any other write
/// as it is.
pub fn renumbered(kind: &str, outcome: String, offset: i64) -> String {
    let Some(lot) = lot_of(&outcome).filter(|_| GRANTS.contains(&kind)) else { return outcome };
    let renumbered = serde_json::from_str::<Value>(&outcome).map(|mut kept| {
        kept["lot"] = lot.saturating_add(offset).into();
        kept.to_string()
    });
    renumbered.unwrap_or(outcome)
}

impl Write for RevokeCredits {
    const NAME: &'static str = "revokeCredits";

    type Outcome = Changed;

    fn concerns(&self) -> Option<i64> {
        Some(self.amount.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Changed> {
        let Amount { user, micros, reason, .. } = &self.amount;
        let (user, micros) = (user.key(), *micros);
        unit.lock([user]).await?;
        let lot = match &self.lot {
            Some(lot) => lot.find(unit, user).await?.map(Some),
            None => Ok(None),
        };
        let revoke = |unit: &mut Unit<'_>, ledger: &mut Ledger| {
            let lot = match lot {
                Ok(lot) => lot,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let (plan, missing_micros) = rules::revoke_plan(&ledger.lots_of(user, lot), micros, unit.now);
            let changed = Changed { missing_micros, ..Changed::by(micros - missing_micros) };
            if changed.micros == 0 {
                return Ok(Ok(Changed { status: WriteStatus::Unchanged, ..changed }));
            }
            ledger.take(unit, user, plan, (EntryKind::Revoke, reason.as_deref(), unit.now))?;
            let mut changes = json!({ "credits": micros_to_decimal(changed.micros) });
            if let Some(lot) = lot {
                changes["lot"] = lot.into();
            }
            tell(unit, user, HistoryKind::CreditsRevoked, &changes)?;
            Ok(Ok(changed))
        };
        self.amount.change(unit, "CREDIT_REVOKE", revoke).await
    }
}

/// Blocks a user from claiming, from spending, or from both.
#[derive(Debug, Serialize)]
pub struct BlockUser {
    /// Who is blocked.
    pub user: RecordedUser,
    /// What the user is kept from.
    pub scope: BlockScope,
    /// Why, for people.
    pub reason: String,
    /// When the block ends by itself, in the future; `None`: not until it is lifted.
    pub until: Option<Timestamp>,
}

/// Lifts blocks of a user.
#[derive(Debug, Serialize)]
pub struct UnblockUser {
    /// Whose blocks are lifted.
    pub user: RecordedUser,
    /// Which of the user's blocks in force are lifted.
    pub blocks: Blocks,
}

/// Which blocks of a user.
#[derive(Debug, Clone, Copy, Serialize)]
pub enum Blocks {
    /// The one with this number.
    Number(i64),
    /// All of this scope.
    Scope(BlockScope),
}

/// The blocks that were added or lifted, by their numbers.
#[derive(Debug, Serialize, Deserialize)]
pub struct Blocked {
    /// The numbers of the blocks among those of the user; empty when it was refused.
    pub blocks: Vec<i64>,
    /// Why it was refused; `None`: it was not.
    pub refusal: Option<Refusal>,
}

impl Blocked {
    const fn refused(refusal: Refusal) -> Self {
        Self { blocks: Vec::new(), refusal: Some(refusal) }
    }
}

impl Write for BlockUser {
    const NAME: &'static str = "blockUser";

    type Outcome = Blocked;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Blocked> {
        let user = self.user.key();
        unit.lock([user]).await?;
        let fits = check_reason(Some(&self.reason)).and_then(|()| check_future(self.until, unit.now, "until"));
        if let Err(refusal) = fits {
            return Ok(Blocked::refused(refusal));
        }
        let ledger = Ledger::read(unit, vec![user]).await?;
        let in_force = ledger.blocks.get(&user).into_iter().flatten().filter(|stored| stored.block.is_active(unit.now));
        if in_force.count() >= rules::MOST_BLOCKS {
            let message =
                format!("{} blocks of the user are in force, and nobody has more; lift some first", rules::MOST_BLOCKS);
            return Ok(Blocked::refused(Refusal::new(UserErrorCode::TooMany, message)));
        }
        let last = repo::last_block(unit.transaction(), user).await?;
        let Some(seq) = limits::next_number(last) else {
            return Ok(Blocked::refused(invalid("the blocks of this user have their last number already", "user")));
        };
        let block = Block { scope: self.scope, from: unit.now, until: self.until, lifted_at: None };
        let stored = StoredBlock { seq, block, reason: self.reason.as_str().into() };
        repo::add_block(unit.transaction(), user, stored).await?;
        tell(unit, user, HistoryKind::Blocked, &json!({ "block": seq, "scope": self.scope }))?;
        Ok(Blocked { blocks: vec![seq], refusal: None })
    }
}

impl Write for UnblockUser {
    const NAME: &'static str = "unblockUser";

    type Outcome = Blocked;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Blocked> {
        let user = self.user.key();
        unit.lock([user]).await?;
        let ledger = Ledger::read(unit, vec![user]).await?;
        let meant = |stored: &&StoredBlock| {
            let named = match self.blocks {
                Blocks::Number(number) => stored.seq == number,
                Blocks::Scope(scope) => stored.block.scope == scope,
            };
            named && stored.block.is_active(unit.now)
        };
        let mut lifted: Vec<(i64, BlockScope)> = ledger
            .blocks
            .get(&user)
            .into_iter()
            .flatten()
            .filter(meant)
            .map(|stored| (stored.seq, stored.block.scope))
            .collect();
        if lifted.is_empty() {
            let refusal = Refusal::new(UserErrorCode::UnknownBlock, "the user has no such block in force");
            return Ok(Blocked::refused(refusal.at(["blocks"])));
        }
        lifted.sort_unstable_by_key(|(seq, _)| *seq);
        let blocks: Vec<i64> = lifted.iter().map(|(seq, _)| *seq).collect();
        repo::lift_blocks(unit.transaction(), user, blocks.clone(), unit.now).await?;
        for (seq, scope) in lifted {
            tell(unit, user, HistoryKind::BlockLifted, &json!({ "block": seq, "scope": scope }))?;
        }
        Ok(Blocked { blocks, refusal: None })
    }
}

/// How many users are swept in one write.
const SWEPT_TOGETHER: u64 = 200;

/// Writes the entries of lots that have expired. It changes no answer: what has expired is not available and is shown
/// as expired whether this has run or not.
#[derive(Debug, Serialize)]
struct BookExpiries {
    /// Only users behind this key.
    after: i64,
}

/// What a part of the sweep did.
#[derive(Debug, Serialize, Deserialize)]
struct Booked {
    lots: usize,
    /// The last user of this part; `None` when nobody was left.
    last: Option<i64>,
}

impl Write for BookExpiries {
    const NAME: &'static str = "bookExpiries";

    type Outcome = Booked;

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Booked> {
        let found = repo::users_with_expired(unit.transaction(), unit.now, self.after, SWEPT_TOGETHER).await?;
        let Some(last) = found.last().copied() else { return Ok(Booked { lots: 0, last: None }) };
        // Who was merged or erased in this very moment is left out.
        unit.lock_more(found.clone()).await?;
        let users: Vec<i64> = found.into_iter().filter(|user| unit.user(*user).is_ok()).collect();
        let mut ledger = Ledger::read(unit, users.clone()).await?;
        let mut lots = 0;
        for user in users {
            lots += ledger.expire(unit, user)?;
        }
        ledger.store(unit);
        Ok(Booked { lots, last: Some(last) })
    }
}

/// Writes the entries of all lots that have expired by `now`, some users at a time, and says how many lots that were.
pub async fn book_expiries(writer: &Writer, now: Timestamp) -> Result<usize> {
    let (mut lots, mut after) = (0, 0);
    loop {
        let order = Order {
            now,
            actor: "system".to_owned(),
            principal: "system".to_owned(),
            vouches: false,
            key: None,
            mark: None,
        };
        let booked = writer.run(BookExpiries { after }, order).await?.outcome;
        lots += booked.lots;
        match booked.last {
            Some(last) => after = last,
            None => return Ok(lots),
        }
    }
}
