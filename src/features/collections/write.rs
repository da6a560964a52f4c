//! Granting and removing cards, and claiming the rewards of collections.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::repo::{self, Collected, Owned};
use super::rules::{self, RewardFacts, RewardRefusal};
use super::{Card, Collection, Collections};
use waymark_auth::policy::{ActingUser, RecordedUser};
use waymark_credits::blocks;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::{Error, Result};
use waymark_kernel::limits;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{BulkMode, ItemOutcome, Refusal, UserErrorCode, WriteStatus, not_applied};
use waymark_write::{HistoryKind, Reference, Unit, Write, in_one_list, only};

/// So many of a card.
#[derive(Debug, Clone, Serialize)]
pub struct CardAmount {
    /// The card's key.
    pub card: String,
    /// How many are granted or removed.
    pub quantity: i64,
    /// What the caller calls this, so that it is done once and for all.
    pub reference: Option<String>,
}

/// What became of each item, and the collections of the cards that were named, as keys.
#[derive(Debug, Serialize, Deserialize)]
pub struct CardsChanged {
    /// The outcome of each item, in the order of the input.
    pub results: Vec<ItemOutcome>,
    /// The operator's keys of the collections, each once.
    pub collections: Vec<String>,
}

/// Cards that a user is granted.
pub type GrantCards = ChangeCards<true>;

/// Cards that are taken away from a user.
pub type RemoveCards = ChangeCards<false>;

/// Cards of which a user gets more, or has fewer afterwards.
#[derive(Debug, Serialize)]
pub struct ChangeCards<const GRANT: bool> {
    /// Whose cards change.
    pub user: RecordedUser,
    /// Which cards, and how many of each.
    pub cards: Vec<CardAmount>,
    /// Whether the good items are done when others are refused.
    pub mode: BulkMode,
}

impl<const GRANT: bool> ChangeCards<GRANT> {
    const DIRECTION: Direction = if GRANT { Direction::Grant } else { Direction::Remove };
}

impl<const GRANT: bool> Write for ChangeCards<GRANT> {
    const NAME: &'static str = if GRANT { "grantCards" } else { "removeCards" };

    type Outcome = CardsChanged;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    fn may_be_abandoned(&self) -> bool {
        self.mode == BulkMode::AllOrNothing
    }

    fn joins(&self) -> Option<i64> {
        (!self.may_be_abandoned()).then(|| self.user.key())
    }

    fn size(&self) -> usize {
        self.cards.len()
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<CardsChanged> {
        let mut changed = only(Self::perform_together(&[self], unit).await?)?;
        if self.may_be_abandoned() && changed.results.iter().any(|result| result.status == WriteStatus::Refused) {
            not_applied(&mut changed.results);
            unit.abandon();
        }
        Ok(changed)
    }

    async fn perform_together(writes: &[&Self], unit: &mut Unit<'_>) -> Result<Vec<CardsChanged>> {
        let lists: Vec<_> = writes.iter().map(|write| (write.user.key(), write.cards.as_slice())).collect();
        change_together(unit, Self::DIRECTION, &lists).await
    }
}

/// Changes the cards of users by a list each.
async fn change_together(
    unit: &mut Unit<'_>,
    direction: Direction,
    lists: &[(i64, &[CardAmount])],
) -> Result<Vec<CardsChanged>> {
    unit.lock(lists.iter().map(|(user, _)| *user)).await?;
    let items = in_one_list(lists.iter().map(|(user, cards)| (*user, cards.to_vec())));
    let mut results = change(unit, direction, &items).await?.into_iter();
    let collections = unit.catalogue::<Collections>()?;
    let changed = lists.iter().map(|(_, cards)| {
        let named = cards.iter().filter_map(|item| collections.card(&item.card)).map(|card| card.collection_id);
        let named: BTreeSet<i64> = named.collect();
        let named = named.into_iter().filter_map(|id| collections.by_id(id)).map(|one| one.row.key.clone());
        CardsChanged { results: results.by_ref().take(cards.len()).collect(), collections: named.collect() }
    });
    Ok(changed.collect())
}

/// Grants cards to locked users, in the order of `items`, each with its user.
pub async fn grant(unit: &mut Unit<'_>, items: &[(i64, CardAmount)]) -> Result<Vec<ItemOutcome>> {
    change(unit, Direction::Grant, items).await
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    Grant,
    Remove,
}

impl Direction {
    /// Under which kind references are kept.
    const fn reference_kind(self) -> &'static str {
        match self {
            Self::Grant => "GRANT_CARDS",
            Self::Remove => "REMOVE_CARDS",
        }
    }

    const fn told_as(self) -> HistoryKind {
        match self {
            Self::Grant => HistoryKind::CardsGranted,
            Self::Remove => HistoryKind::CardsRevoked,
        }
    }

    fn reference(self, user: i64, item: &CardAmount) -> Result<Option<Reference>, Refusal> {
        let reference = |name: &String| Reference::new(user, self.reference_kind(), name);
        item.reference.as_ref().map(reference).transpose()
    }
}

/// Grants or removes cards of locked users, in the order of `items`, each with its user.
async fn change(unit: &mut Unit<'_>, direction: Direction, items: &[(i64, CardAmount)]) -> Result<Vec<ItemOutcome>> {
    let collections = unit.catalogue::<Collections>()?;
    let given = |(user, item): &(i64, CardAmount)| direction.reference(*user, item);
    let references: Vec<Reference> = items.iter().filter_map(|item| given(item).ok().flatten()).collect();
    let mut done = unit.referenced(&references).await?;
    let concerned = items.iter().filter_map(|(user, item)| Some((*user, collections.card(&item.card)?.collection_id)));
    let mut owners = Owners::read(unit, concerned).await?;
    let mut results = Vec::with_capacity(items.len());
    for (user, item) in items {
        let id = Kind::Card.id(&item.card);
        let reference = match direction.reference(*user, item) {
            Ok(reference) => reference,
            Err(refusal) => {
                results.push(ItemOutcome::refused(id, refusal));
                continue;
            }
        };
        if let Some(before) = reference.as_ref().and_then(|reference| done.get(reference)) {
            let before: ItemOutcome = serde_json::from_str(before).map_err(Error::internal)?;
            results.push(ItemOutcome { status: WriteStatus::Unchanged, ..before });
            continue;
        }
        let id = Kind::Card.id(&item.card);
        let changed =
            check(&collections, direction, item).and_then(|card| owners.change(direction, *user, card, item, unit.now));
        let outcome = match changed {
            Ok(()) => ItemOutcome::applied(id),
            Err(refusal) => ItemOutcome::refused(id, refusal),
        };
        // What was refused is no more than an attempt, and may succeed under the same reference later.
        if let Some(reference) = reference.filter(|_| outcome.status == WriteStatus::Applied) {
            let text = serde_json::to_string(&outcome).map_err(Error::internal)?;
            done.insert(reference.clone(), text.clone());
            unit.keep(reference, text);
        }
        results.push(outcome);
    }
    owners.store(unit, direction, &collections)?;
    Ok(results)
}

/// The card of an item whose amount is in order.
fn check<'a>(collections: &'a Collections, direction: Direction, item: &CardAmount) -> Result<&'a Card, Refusal> {
    let card = collections.card(&item.card).ok_or_else(|| {
        let message = format!("there is no card {:?}", item.card);
        Kind::Card.refuse(&item.card, UserErrorCode::UnknownCard, message)
    })?;
    if !limits::CARDS_AT_ONCE.contains(&item.quantity) {
        let most = limits::CARDS_AT_ONCE.end();
        let message = format!("a quantity lies between 1 and {most}, and {} does not", item.quantity);
        return Err(Refusal::new(UserErrorCode::InvalidInput, message));
    }
    match retired(collections, card) {
        Some(refusal) if direction == Direction::Grant => Err(refusal),
        _ => Ok(card),
    }
}

/// Why nobody gets a card any more: it was retired, or its collection was.
fn retired(collections: &Collections, card: &Card) -> Option<Refusal> {
    if card.retired_at.is_some() {
        return Some(Kind::Card.retired(&card.key));
    }
    let collection = &collections.by_id(card.collection_id)?.row;
    collection.retired_at.is_some().then(|| Kind::Collection.retired(&collection.key))
}

/// The cards that locked users own of some collections, and how far they are with these.
#[derive(Default)]
struct Owners {
    /// By user and card, also those of which none is left.
    owned: HashMap<(i64, i64), Owned>,
    /// By user and collection, as they are stored.
    collected: HashMap<(i64, i64), Collected>,
    /// How many of which card were granted or removed, by user and collection, and then by the card's key.
    moved: BTreeMap<(i64, i64), BTreeMap<String, i64>>,
    /// By user, collection and card.
    changed: BTreeSet<(i64, i64, i64)>,
}

impl Owners {
    /// Everything of these users in these collections.
    async fn read(unit: &Unit<'_>, concerned: impl Iterator<Item = (i64, i64)>) -> Result<Self> {
        let mut collections: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
        for (user, collection) in concerned {
            collections.entry(user).or_default().insert(collection);
        }
        let mut owners = Self::default();
        if collections.is_empty() {
            return Ok(owners);
        }
        let users: Vec<i64> = collections.keys().copied().collect();
        for (user, collected) in repo::collected(unit.transaction(), users).await? {
            owners.collected.insert((user, collected.collection_id), collected);
        }
        let collections: Vec<(i64, Vec<i64>)> =
            collections.into_iter().map(|(user, collections)| (user, collections.into_iter().collect())).collect();
        let wanted = collections.iter().map(|(user, collections)| (*user, collections.as_slice()));
        for ((user, _), owned) in repo::owned(unit.transaction(), wanted).await? {
            owners.owned.insert((user, owned.card_id), owned);
        }
        Ok(owners)
    }

    fn change(
        &mut self,
        direction: Direction,
        user: i64,
        card: &Card,
        item: &CardAmount,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let before = self.owned.get(&(user, card.id)).copied();
        let before = before.unwrap_or(Owned { card_id: card.id, quantity: 0, first_acquired_at: now });
        let quantity = i64::from(before.quantity);
        let after = match direction {
            Direction::Grant => quantity + item.quantity,
            Direction::Remove => quantity - item.quantity,
        };
        if after < 0 {
            let message = format!("the user owns {quantity} of this card, and {} were to be removed", item.quantity);
            return Err(Refusal::new(UserErrorCode::NotEnoughCards, message));
        }
        let quantity = i32::try_from(after).map_err(|_| {
            let message = format!("a user owns at most {} of a card", i32::MAX);
            Refusal::new(UserErrorCode::InvalidInput, message)
        })?;
        self.owned.insert((user, card.id), Owned { quantity, ..before });
        self.changed.insert((user, card.collection_id, card.id));
        let moved = self.moved.entry((user, card.collection_id)).or_default();
        *moved.entry(card.key.clone()).or_default() += item.quantity;
        Ok(())
    }

    /// Stores what changed, with what follows from it for the collections, and tells the history.
    fn store(self, unit: &mut Unit<'_>, direction: Direction, collections: &Collections) -> Result<()> {
        let mut progress = Vec::with_capacity(self.moved.len());
        for ((user, id), cards) in &self.moved {
            let Some(collection) = collections.by_id(*id) else { continue };
            let stored = self.collected.get(&(*user, *id)).copied().unwrap_or_default();
            let owned = collection.cards.iter().filter_map(|card| self.owned.get(&(*user, card.id)));
            let got = owned.filter(|owned| owned.quantity > 0).map(|owned| owned.first_acquired_at);
            let count = i32::try_from(got.clone().count()).unwrap_or(i32::MAX);
            let (window, size) = (collection.window(), i64::from(collection.size()));
            let completed_at = rules::completion_by_cards(stored.completed_at, &window, got, size, unit.now);
            let changes = json!({ "cards": cards, "collectedCount": count });
            unit.record(*user, direction.told_as(), (Kind::Collection, &collection.row.key), &changes)?;
            tell_completion(unit, *user, collection, &stored, completed_at)?;
            let completed_told = stored.completed_told && completed_at == stored.completed_at;
            let collected = Collected { collection_id: *id, count, completed_at, completed_told, ..stored };
            progress.push((*user, collected, unit.now));
        }
        let owned = self.changed.iter().filter_map(|(user, collection, card)| {
            let owned = self.owned.get(&(*user, *card))?;
            Some(((*user, *collection), *owned, unit.now))
        });
        let owned: Vec<_> = owned.collect();
        repo::store_owned(unit.stores(), owned);
        repo::store_collected(unit.stores(), progress);
        Ok(())
    }
}

/// Tells the history that a collection is completed, unless an earlier write did. Cards that were all owned before the
/// start complete a collection at its start, when nothing is written; then the next write tells of it.
pub(super) fn tell_completion(
    unit: &mut Unit<'_>,
    user: i64,
    collection: &Collection,
    before: &Collected,
    completed_at: Option<Timestamp>,
) -> Result<()> {
    let told = before.updated_at.is_some_and(|then| rules::is_completed(before.completed_at, then));
    let Some(at) = completed_at.filter(|_| !told && rules::is_completed(completed_at, unit.now)) else {
        return Ok(());
    };
    let subject = (Kind::Collection, collection.row.key.as_str());
    unit.record_at(user, HistoryKind::CollectionCompleted, subject, &json!({ "size": collection.size() }), at)
}

/// Claims the reward of a collection for a user.
#[derive(Debug, Serialize)]
pub struct ClaimCollectionReward {
    /// Who claims the reward.
    pub user: ActingUser,
    /// The collection's key.
    pub collection: String,
}

/// What came of a claim.
#[derive(Debug, Serialize, Deserialize)]
pub enum RewardClaim {
    /// The user got the reward.
    Claimed,
    /// The user had got the reward before.
    AlreadyClaimed,
    /// The reward was not given; says why.
    Refused(Refusal),
}

impl Write for ClaimCollectionReward {
    const NAME: &'static str = "claimCollectionReward";

    type Outcome = RewardClaim;

    fn concerns(&self) -> Option<i64> {
        Some(self.user.key())
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<RewardClaim> {
        let user = self.user.key();
        unit.lock([user]).await?;
        let collections = unit.catalogue::<Collections>()?;
        let unknown = || {
            let message = format!("there is no collection {:?}", self.collection);
            RewardClaim::Refused(Refusal::new(UserErrorCode::UnknownCollection, message).at(["collectionId"]))
        };
        let Some(collection) = collections.by_key(&self.collection) else { return Ok(unknown()) };
        let all = repo::collected(unit.transaction(), vec![user]).await?;
        let mut all = all.into_iter().map(|(_, collected)| collected);
        let stored = all.find(|collected| collected.collection_id == collection.row.id).unwrap_or_default();
        let completed = rules::is_completed(stored.completed_at, unit.now);
        // Nobody learns by this of a collection that is not shown; whoever completed it before it was hidden knows of
        // it.
        if !completed && !rules::is_shown(&collection.window(), unit.now) {
            return Ok(unknown());
        }
        let claimed = stored.reward_claimed_at.is_some();
        let reward = match &collection.reward {
            Some(reward) => reward,
            None if claimed => return Ok(RewardClaim::AlreadyClaimed),
            None => return Ok(refused(UserErrorCode::NoReward, "this collection has no reward")),
        };
        let facts = RewardFacts {
            claimed,
            completed,
            blocked: completed && !claimed && blocks::is_blocked_for_claiming(unit, user).await?,
            // Taken from the stock only when nothing else stands against it.
            stock: None,
            claims: 0,
        };
        let decision = match rules::can_claim(&facts) {
            Ok(()) if repo::take_reward(unit.transaction(), collection.row.id).await? => Ok(()),
            Ok(()) => Err(RewardRefusal::OutOfStock),
            Err(refusal) => Err(refusal),
        };
        match decision {
            Ok(()) => {}
            Err(RewardRefusal::AlreadyClaimed) => return Ok(RewardClaim::AlreadyClaimed),
            Err(RewardRefusal::NotCompleted) => {
                return Ok(refused(UserErrorCode::CollectionIncomplete, "the collection is not complete"));
            }
            Err(RewardRefusal::Blocked) => {
                return Ok(refused(UserErrorCode::Blocked, "the user is blocked from claiming"));
            }
            Err(RewardRefusal::OutOfStock) => {
                return Ok(refused(UserErrorCode::OutOfStock, "as many rewards as there were have been claimed"));
            }
        }
        tell_completion(unit, user, collection, &stored, stored.completed_at)?;
        let changes = json!({ "reward": reward.key });
        unit.record(user, HistoryKind::RewardClaimed, (Kind::Collection, &collection.row.key), &changes)?;
        let stored = Collected { reward_claimed_at: Some(unit.now), ..stored };
        let now = unit.now;
        repo::store_collected(unit.stores(), [(user, stored, now)]);
        Ok(RewardClaim::Claimed)
    }
}

fn refused(code: UserErrorCode, message: &str) -> RewardClaim {
    RewardClaim::Refused(Refusal::new(code, message).at(["collectionId"]))
}
