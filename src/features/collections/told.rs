//! What files tell of cards and collections: facts with their dates, which come to the same in whatever order they are
//! taken.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::repo::{self, Collected, OwnedRow};
use super::rules::Completion;
use super::write::tell_completion;
use super::{Collection, Collections};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_vocabulary::ids::Kind;
use waymark_write::{HistoryKind, Origin, Taken, Unit};

/// How many of a card a locked user has.
#[derive(Debug)]
pub struct ToldCard<'a> {
    /// The internal id of the user.
    pub user: i64,
    /// The card's key.
    pub card: &'a str,
    /// How many of it the user has, 0 or more.
    pub quantity: i32,
    /// When the first one came; `None`: the record does not say.
    pub first_acquired_at: Option<Timestamp>,
    /// When the row changed last; `None`: the record does not say.
    pub updated_at: Option<Timestamp>,
    /// Where the record comes from.
    pub origin: Origin,
}

/// When a locked user completed a collection, and claimed its reward.
#[derive(Debug)]
pub struct ToldProgress<'a> {
    /// The internal id of the user.
    pub user: i64,
    /// The collection's key.
    pub collection: &'a str,
    /// When the collection was completed, and how that is known.
    pub completion: Completion,
    /// When its reward was claimed; `None`: it was not.
    pub reward_claimed_at: Option<Timestamp>,
    /// When the row changed last; `None`: the record does not say.
    pub updated_at: Option<Timestamp>,
    /// Where the record comes from.
    pub origin: Origin,
}

/// Takes what is told of collections and cards. Of quantities the largest stays, of dates the earliest; what an export
/// says of a card that is there counts if it is newer.
pub async fn take_told(
    unit: &mut Unit<'_>,
    progress: &[ToldProgress<'_>],
    cards: &[ToldCard<'_>],
) -> Result<(Vec<Taken>, Vec<Taken>)> {
    let collections = unit.catalogue::<Collections>()?;
    let of_progress = progress.iter().filter_map(|told| Some((told.user, collections.by_key(told.collection)?.row.id)));
    let of_cards = cards.iter().filter_map(|told| Some((told.user, collections.card(told.card)?.collection_id)));
    let mut owners = Owners::read(unit, of_progress.chain(of_cards).collect()).await?;
    let claiming = progress.iter().filter(|told| told.reward_claimed_at.is_some());
    let claiming = claiming.filter_map(|told| Some(collections.by_key(told.collection)?.row.id));
    owners.claimed = repo::claimed(unit.transaction(), claiming.collect()).await?.into_iter().collect();
    let progress = progress.iter().map(|told| owners.take_progress(&collections, told, unit.now)).collect();
    let cards = cards.iter().map(|told| owners.take_card(&collections, told, unit.now)).collect();
    owners.store(unit, &collections).await?;
    Ok((progress, cards))
}

/// What some users own of some collections, and how far they came.
#[derive(Default)]
struct Owners {
    /// By user and collection, and then by card.
    owned: HashMap<(i64, i64), BTreeMap<i64, OwnedRow>>,
    /// By user and collection, as they are stored.
    stored: HashMap<(i64, i64), Collected>,
    /// The same with what was told.
    told: BTreeMap<(i64, i64), Change>,
    changed: BTreeSet<(i64, i64, i64)>,
    /// How often rewards have been claimed, and how often by what was told, by collection.
    claimed: HashMap<i64, i64>,
    claims: BTreeMap<i64, i64>,
}

/// What was told of a collection of a user.
#[derive(Default)]
struct Change {
    progress: Collected,
    /// By how many the cards changed, by their keys, and when.
    cards: BTreeMap<String, i64>,
    cards_at: Option<Timestamp>,
    /// Whether histories are to tell of it.
    is_told: bool,
}

impl Owners {
    async fn read(unit: &Unit<'_>, places: BTreeSet<(i64, i64)>) -> Result<Self> {
        let mut owners = Self::default();
        let mut wanted: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
        for (user, collection) in places {
            wanted.entry(user).or_default().push(collection);
        }
        if wanted.is_empty() {
            return Ok(owners);
        }
        let users = wanted.keys().copied().collect();
        for (user, collected) in repo::collected(unit.transaction(), users).await? {
            owners.stored.insert((user, collected.collection_id), collected);
        }
        let wanted = wanted.iter().map(|(user, collections)| (*user, collections.as_slice()));
        for row in repo::owned_rows(unit.transaction(), wanted).await? {
            owners.owned.entry((row.user_id, row.collection_id)).or_default().insert(row.card_id, row);
        }
        Ok(owners)
    }

    fn change(&mut self, user: i64, collection: i64, origin: Origin) -> &mut Change {
        let stored = self.stored.get(&(user, collection)).copied();
        let change = self.told.entry((user, collection)).or_insert_with(|| Change {
            progress: stored.unwrap_or(Collected { collection_id: collection, ..Collected::default() }),
            ..Change::default()
        });
        change.is_told |= origin == Origin::Told;
        change
    }

    fn take_progress(&mut self, collections: &Collections, told: &ToldProgress<'_>, now: Timestamp) -> Taken {
        let found = collections.by_key(told.collection);
        let collection = found.ok_or_else(|| format!("there is no collection {:?}", told.collection))?;
        let id = collection.row.id;
        let place = (told.user, id);
        let before = self.told.get(&place).map(|change| change.progress).or_else(|| self.stored.get(&place).copied());
        let before = before.unwrap_or(Collected { collection_id: id, ..Collected::default() });
        if let Some(at) = told.completion.at.filter(|_| before.completed_at.is_none()) {
            told.origin.check_retired(Kind::Collection, &collection.row.key, collection.row.retired_at, at)?;
        }
        if told.reward_claimed_at.is_some() && before.reward_claimed_at.is_none() {
            self.claim(collection, told.origin)?;
        }
        let completion = completion_of(&before).merged(told.completion);
        let mut after = Collected {
            completed_at: completion.at,
            completed_told: completion.told,
            reward_claimed_at: before.reward_claimed_at.into_iter().chain(told.reward_claimed_at).min(),
            ..before
        };
        let said = told.updated_at.max(told.reward_claimed_at).max(told.completion.at);
        after.updated_at = before.updated_at.max(said).or(Some(now));
        if after == before {
            return Ok(false);
        }
        self.change(told.user, id, told.origin).progress = after;
        Ok(true)
    }

    /// Counts a claim that was made elsewhere. What was claimed already as an export says raises the stock.
    fn claim(&mut self, collection: &Collection, origin: Origin) -> Result<(), String> {
        let Some(reward) = &collection.reward else {
            return Err(format!("the collection {:?} has no reward to be claimed", collection.row.key));
        };
        let claimed = self.claimed.entry(collection.row.id).or_default();
        if origin == Origin::Told && reward.stock.is_some_and(|stock| stock <= *claimed) {
            return Err("as many rewards as there were have been claimed".to_owned());
        }
        *claimed += 1;
        *self.claims.entry(collection.row.id).or_default() += 1;
        Ok(())
    }

    fn take_card(&mut self, collections: &Collections, told: &ToldCard<'_>, now: Timestamp) -> Taken {
        let card = collections.card(told.card).ok_or_else(|| format!("there is no card {:?}", told.card))?;
        let said = told.updated_at.max(told.first_acquired_at);
        let owned = self.owned.entry((told.user, card.collection_id)).or_default();
        let before = owned.get(&card.id);
        let first = told.first_acquired_at.unwrap_or(now);
        let row = match before {
            None => OwnedRow {
                user_id: told.user,
                card_id: card.id,
                collection_id: card.collection_id,
                quantity: told.quantity,
                first_acquired_at: first,
                updated_at: said.unwrap_or(now),
            },
            // An export that is older than what is there reverts nothing.
            Some(before) if told.origin == Origin::Restored => match said.filter(|at| *at > before.updated_at) {
                Some(at) => OwnedRow {
                    quantity: told.quantity,
                    first_acquired_at: before.first_acquired_at.min(first),
                    updated_at: at,
                    ..before.clone()
                },
                None => before.clone(),
            },
            Some(before) => {
                let quantity = before.quantity.max(told.quantity);
                let first_acquired_at = before.first_acquired_at.min(first);
                let is_news = (quantity, first_acquired_at) != (before.quantity, before.first_acquired_at);
                let updated_at = before.updated_at.max(said.unwrap_or(if is_news { now } else { Timestamp::MIN }));
                OwnedRow { quantity, first_acquired_at, updated_at, ..before.clone() }
            }
        };
        if before == Some(&row) {
            return Ok(false);
        }
        let got_at = said.unwrap_or(now);
        told.origin.check_retired(Kind::Card, &card.key, card.retired_at, got_at)?;
        if let Some(collection) = collections.by_id(card.collection_id) {
            let row = &collection.row;
            told.origin.check_retired(Kind::Collection, &row.key, row.retired_at, got_at)?;
        }
        let by = i64::from(row.quantity) - before.map_or(0, |row| i64::from(row.quantity));
        let at = row.updated_at;
        owned.insert(card.id, row);
        self.changed.insert((told.user, card.collection_id, card.id));
        let change = self.change(told.user, card.collection_id, told.origin);
        change.cards_at = change.cards_at.max(Some(at));
        if told.origin == Origin::Told {
            change.progress.updated_at = change.progress.updated_at.max(Some(at));
        }
        if by != 0 {
            *change.cards.entry(card.key.clone()).or_default() += by;
        }
        Ok(true)
    }

    /// Stores what changed, with what follows from it for the collections, and tells the histories.
    async fn store(self, unit: &mut Unit<'_>, collections: &Collections) -> Result<()> {
        let now = unit.now;
        let mut progress = Vec::with_capacity(self.told.len());
        for (place, Change { progress: mut after, cards, cards_at, is_told }) in self.told {
            let Some(collection) = collections.by_id(place.1) else { continue };
            let before = self.stored.get(&place).copied().unwrap_or_default();
            let owned = self.owned.get(&place);
            let got = collection.cards.iter().filter_map(|card| owned?.get(&card.id)).filter(|row| row.quantity > 0);
            let got = got.map(|row| row.first_acquired_at);
            after.count = i32::try_from(got.clone().count()).unwrap_or(i32::MAX);
            let claims = [before.reward_claimed_at, after.reward_claimed_at];
            let size = i64::from(collection.size());
            let completion = completion_of(&after).by_cards(&collection.window(), got, size, claims);
            (after.completed_at, after.completed_told) = (completion.at, completion.told);
            if is_told {
                tell(unit, place.0, collection, (&before, &after), (cards, cards_at.unwrap_or(now)))?;
            }
            progress.push((place.0, after, after.updated_at.or(cards_at).unwrap_or(now)));
        }
        let rows = self
            .changed
            .iter()
            .filter_map(|(user, collection, card)| self.owned.get(&(*user, *collection))?.get(card).cloned());
        repo::store_owned_rows(unit.stores(), rows.collect());
        repo::store_collected(unit.stores(), progress);
        for (collection, claims) in self.claims {
            repo::count_claims(unit.transaction(), collection, claims).await?;
        }
        Ok(())
    }
}

const fn completion_of(collected: &Collected) -> Completion {
    Completion { at: collected.completed_at, told: collected.completed_told }
}

/// Tells a history what changed.
fn tell(
    unit: &mut Unit<'_>,
    user: i64,
    collection: &Collection,
    (before, after): (&Collected, &Collected),
    (cards, at): (BTreeMap<String, i64>, Timestamp),
) -> Result<()> {
    let subject = (Kind::Collection, collection.row.key.as_str());
    let changed = |is_more: bool| {
        let some = cards.iter().filter(|(_, by)| (**by > 0) == is_more && **by != 0);
        some.map(|(key, by)| (key.clone(), Value::from(by.abs()))).collect::<Map<_, _>>()
    };
    for (kind, cards) in [(HistoryKind::CardsGranted, changed(true)), (HistoryKind::CardsRevoked, changed(false))] {
        if !cards.is_empty() {
            unit.record_at(user, kind, subject, &json!({ "cards": cards, "collectedCount": after.count }), at)?;
        }
    }
    tell_completion(unit, user, collection, before, after.completed_at)?;
    if let (None, Some(at), Some(reward)) = (before.reward_claimed_at, after.reward_claimed_at, &collection.reward) {
        unit.record_at(user, HistoryKind::RewardClaimed, subject, &json!({ "reward": reward.key }), at)?;
    }
    Ok(())
}
