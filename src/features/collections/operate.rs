//! Writing collections with their cards and rewards, and what that means for whoever owns the cards.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde::Serialize;
use serde_json::json;

use super::entity::{card, collection, progress, reward};
use super::repo;
use super::rules::{self, Completion, Window};
use waymark_auth::policy::Operator;
use waymark_db::edits::Edits;
use waymark_db::rows::{self, Spans};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_kernel::limits;
use waymark_kernel::text::no_key;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{Refusal, UserErrorCode};
use waymark_write::{
    Checks, HistoryKind, Notes, Origin, Patch, Retire, Taken, Telling, Unit, Upserted, Write, arranged,
};

/// The most cards that a collection may have.
pub const MOST_CARDS: usize = 10_000;

/// Adds a collection or changes it, with its cards and its reward. What is not given stays as it is.
#[derive(Debug, Serialize)]
pub struct UpsertCollection {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// The operator's key of the collection.
    pub key: String,
    /// The name for people, 1 to 200 characters; `None`: unchanged.
    pub name: Option<String>,
    /// The description for people, at most 5,000 characters; `None`: unchanged.
    pub description: Option<String>,
    /// The address of its picture; `None`: unchanged, `Some(None)`: no picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Option<String>>,
    /// The environment in which it runs, 1 to 100 characters; `None`: unchanged, `production` for a new one.
    pub environment: Option<String>,
    /// From when on it can be completed; `None`: unchanged, `Some(None)`: always.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<Option<Timestamp>>,
    /// From when on it can no longer be completed; `None`: unchanged, `Some(None)`: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<Option<Timestamp>>,
    /// Whether it is shown before its start; `None`: unchanged, shown for a new one.
    pub show_before: Option<bool>,
    /// Whether it is shown from its end on; `None`: unchanged, shown for a new one.
    pub show_after: Option<bool>,
    /// Whether it is retired; `None`: unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<Retire>,
    /// Cards to be added or changed, in their order; cards that are not listed stay.
    pub cards: Vec<GivenCard>,
    /// Keys of cards to be removed.
    pub remove_cards: Vec<String>,
    /// The reward to be added or changed; `None`: unchanged, `Some(None)`: taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reward: Option<Option<GivenReward>>,
}

/// A card to be added or changed.
#[derive(Debug, Serialize)]
pub struct GivenCard {
    /// The operator's key of the card, unique among the cards of all collections.
    pub key: String,
    /// Its place among those of the collection; `None`: as it is listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<i32>,
    /// The name for people, 1 to 200 characters; `None`: unchanged.
    pub name: Option<String>,
    /// The address of its picture; `None`: unchanged, `Some(None)`: no picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Option<String>>,
    /// How rare it is, in the operator's words; `None`: unchanged, `common` for a new one.
    pub rarity: Option<String>,
    /// Whether it is retired; `None`: unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retired: Option<Retire>,
}

/// A reward to be added or changed.
#[derive(Debug, Serialize)]
pub struct GivenReward {
    /// The operator's key of the reward, unique among all rewards; another key makes it another reward.
    pub key: String,
    /// The name for people, 1 to 200 characters; `None`: unchanged.
    pub name: Option<String>,
    /// The description for people, at most 5,000 characters; `None`: unchanged.
    pub description: Option<String>,
    /// The address of its picture; `None`: unchanged, `Some(None)`: no picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Option<String>>,
    /// What it is worth, in the operator's words; `None`: unchanged.
    pub value: Option<String>,
    /// How it is meant to be shown; `None`: unchanged, `image` for a new one.
    pub view_type: Option<String>,
    /// How many there are in all; `None`: unchanged, `Some(None)`: as many as are claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stock: Option<Option<i64>>,
}

impl Write for UpsertCollection {
    const NAME: &'static str = "upsertCollection";
    const CATALOGUE: bool = true;

    type Outcome = Upserted;

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Upserted> {
        // All writes wait for the lock, and no index leads from cards to their owners.
        if self.removes_what_is_owned(unit).await?
            && let Err(refusals) = self.edit(unit).await?
        {
            return Ok(Upserted::refused(refusals));
        }
        unit.lock_catalogue().await?;
        let (mut shelf, removed) = match self.edit(unit).await? {
            Ok(edit) => edit,
            Err(refusals) => return Ok(Upserted::refused(refusals)),
        };
        if shelf.notes.is_empty() {
            return Ok(Upserted::done(false));
        }
        let created = shelf.collections.before(&self.key).is_none();
        if let Some(row) = shelf.collections.get(&self.key).cloned() {
            shelf.collections.put(collection::Model { updated_at: unit.now, ..row });
        }
        repo::remove_cards(unit.transaction(), removed).await?;
        shelf.store(unit).await?;
        Ok(Upserted::done(created))
    }
}

/// Takes what a file tells of collections and their rewards, without their cards. A reward that is not named stays.
/// Beside each stands how often the reward was claimed, as an export says.
pub async fn take_collections(unit: &mut Unit<'_>, told: &[(UpsertCollection, i64, Telling)]) -> Result<Vec<Taken>> {
    let mut shelf = Shelf::read(unit, told.iter().map(|(one, ..)| one), std::iter::empty()).await?;
    let mut taken = Vec::with_capacity(told.len());
    for (collection, claimed, telling) in told {
        let mut checks = telling.check(Kind::Collection, &collection.key);
        let reward = shelf.edit_reward(&mut checks, collection, *claimed, *telling);
        let mut is_news = shelf.put_collection(&mut checks, collection, *telling, unit.now);
        if !checks.failed() {
            is_news |= shelf.put_reward(&collection.key, reward, *telling);
        }
        taken.push(checks.taken(is_news));
    }
    shelf.store(unit).await?;
    Ok(taken)
}

/// Takes what a file tells of cards, each with the key of its collection.
pub async fn take_cards(unit: &mut Unit<'_>, told: &[(&str, GivenCard, Telling)]) -> Result<Vec<Taken>> {
    let keys = told.iter().map(|(collection, card, _)| (*collection, card.key.as_str()));
    let mut shelf = Shelf::read(unit, [], keys).await?;
    let mut taken = Vec::with_capacity(told.len());
    for (collection, card, telling) in told {
        let mut checks = telling.check(Kind::Card, &card.key);
        if shelf.collections.get(collection).is_none() {
            checks.invalid("collection", format!("there is no collection {collection:?}"));
        }
        let mut is_news = false;
        if !checks.failed() {
            let before = shelf.cards.get(&card.key).cloned();
            let position = card.position.unwrap_or_default();
            is_news = shelf.put_card(&mut checks, (collection, card), position, *telling, unit.now);
            if let Some(message) = shelf.too_many(collection, *telling).filter(|_| is_news && before.is_none()) {
                shelf.put_back(collection, &card.key);
                checks.invalid("", message);
            }
        }
        taken.push(checks.taken(is_news));
    }
    shelf.store(unit).await?;
    Ok(taken)
}

/// How many cards of a set count.
fn counted(set: &HashMap<String, (i32, bool)>) -> usize {
    set.values().filter(|(_, counts)| *counts).count()
}

const fn window(row: &collection::Model) -> Window {
    Window { starts_at: row.starts_at, ends_at: row.ends_at, show_before: row.show_before, show_after: row.show_after }
}

/// Collections with their cards and rewards as they are, and as they will be.
struct Shelf {
    collections: Edits<collection::Model>,
    cards: Edits<card::Model>,
    /// The cards of the collections that get some or whose cards change, by the collections' ids: by the key of each
    /// its position, and whether it counts, which one that is retired does not.
    sets: HashMap<i64, HashMap<String, (i32, bool)>>,
    /// By collections, the cards that are stored and came to count, or not to.
    recounted: BTreeMap<i64, Vec<i64>>,
    /// How many cards count in the collections that are stored.
    sizes: HashMap<i64, usize>,
    /// By the ids of the collections.
    rewards: HashMap<i64, reward::Model>,
    changed_rewards: BTreeMap<i64, Option<reward::Model>>,
    /// The collections whose rewards have these keys.
    reward_keys: HashMap<String, i64>,
    /// Collections of which more may have come to be complete, or not to be; whether histories are to tell of it.
    told: BTreeMap<i64, Origin>,
    notes: Notes,
}

impl Shelf {
    /// Reads collections, and cards by the keys of their collections and their own.
    async fn read<'a>(
        unit: &Unit<'_>,
        given: impl IntoIterator<Item = &'a UpsertCollection>,
        cards: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self> {
        let transaction = unit.transaction();
        let given: Vec<&UpsertCollection> = given.into_iter().collect();
        let (of, keys): (Vec<&str>, Vec<&str>) = cards.unzip();
        let named = given.iter().map(|one| one.key.as_str());
        let collections =
            Edits::<collection::Model>::read(transaction, named.chain(of.iter().copied()), |row| &row.key).await?;
        let cards = Edits::<card::Model>::read(transaction, keys, |row| &row.key).await?;
        let id = |key: &str| collections.get(key).map(|row| row.id);
        let ids = |keys: Vec<&str>| keys.into_iter().filter_map(id).collect::<BTreeSet<i64>>();
        let with_cards: Vec<i64> = ids(of).into_iter().collect();
        let mut sets: HashMap<i64, HashMap<String, (i32, bool)>> = HashMap::new();
        for row in rows::with_int::<card::Model>(transaction, "collection_id", &with_cards).await? {
            let place = (row.position, row.retired_at.is_none());
            sets.entry(row.collection_id).or_default().insert(row.key, place);
        }
        let mut sizes: HashMap<i64, usize> =
            with_cards.iter().map(|id| (*id, sets.get(id).map_or(0, counted))).collect();
        let others = ids(given.iter().map(|one| one.key.as_str()).collect());
        let others: Vec<i64> = others.into_iter().filter(|id| !sizes.contains_key(id)).collect();
        sizes.extend(repo::sizes(transaction, others).await?);
        let with_reward: Vec<i64> =
            given.iter().filter(|one| one.reward.is_some()).filter_map(|one| id(&one.key)).collect();
        let keys = given.iter().filter_map(|one| Some(one.reward.as_ref()?.as_ref()?.key.clone())).collect();
        let mut stored = rows::with_int::<reward::Model>(transaction, "collection_id", &with_reward).await?;
        stored.extend(rows::with_text::<reward::Model>(transaction, "key", keys).await?);
        let reward_keys = stored.iter().map(|row| (row.key.clone(), row.collection_id)).collect();
        Ok(Self {
            rewards: stored.into_iter().map(|row| (row.collection_id, row)).collect(),
            changed_rewards: BTreeMap::new(),
            told: BTreeMap::new(),
            recounted: BTreeMap::new(),
            notes: Notes::default(),
            collections,
            cards,
            sets,
            sizes,
            reward_keys,
        })
    }

    /// The id of a collection that is there, or will be.
    fn id(&self, collection: &str) -> i64 {
        self.collections.get(collection).map_or_else(|| self.collections.new_id(collection), |row| row.id)
    }

    /// Notes whether histories are to tell what comes of a change.
    fn touch(&mut self, collection: i64, telling: Telling) {
        let origin = self.told.entry(collection).or_insert(telling.origin);
        *origin = if telling.is_told() { telling.origin } else { *origin };
    }

    /// Puts what is given of a collection in its place. Whether that is news.
    fn put_collection(
        &mut self,
        checks: &mut Checks,
        given: &UpsertCollection,
        telling: Telling,
        now: Timestamp,
    ) -> bool {
        let before = self.collections.get(&given.key).cloned();
        let created = before.is_none();
        given.check(checks, created);
        let id = self.collections.new_id(&given.key);
        let mut row = before.unwrap_or_else(|| given.blank(id, telling, now));
        let mut patch = Patch::default();
        given.put(&mut patch, &mut row, telling);
        patch.retire(&mut row.retired_at, given.retired, now);
        if row.starts_at.zip(row.ends_at).is_some_and(|(starts, ends)| ends <= starts) {
            checks.invalid("endDate", "a collection ends after its start");
        }
        if checks.failed() || (patch.is_empty() && !created) {
            return false;
        }
        row.updated_at = telling.updated_at.unwrap_or(now);
        self.touch(row.id, telling);
        self.collections.put(row);
        if telling.is_told() {
            self.notes.note(&given.key, created, patch);
        }
        true
    }

    /// The positions of cards in the order in which they are listed.
    fn positions(&self, collection: &str, given: &[GivenCard]) -> impl Iterator<Item = i32> + use<> {
        let there = self.sets.get(&self.id(collection));
        let taken = given.iter().filter_map(|one| Some(there?.get(&one.key)?.0)).collect();
        let last = there.into_iter().flatten().map(|(_, (position, _))| *position).max().unwrap_or(0);
        arranged(taken, last, given.len())
    }

    /// Puts what is given of a card in its place. Whether that is news.
    fn put_card(
        &mut self,
        checks: &mut Checks,
        (collection, given): (&str, &GivenCard),
        position: i32,
        telling: Telling,
        now: Timestamp,
    ) -> bool {
        let faults = checks.count();
        let id = self.id(collection);
        let before = self.cards.get(&given.key).cloned();
        if before.as_ref().is_some_and(|row| row.collection_id != id) {
            let message = format!("the card {:?} belongs to another collection", given.key);
            checks.refuse("key", UserErrorCode::KeyTaken, message);
        }
        let created = before.is_none();
        if before.as_ref().is_none_or(|row| row.collection_id != id) {
            checks.needed("name", given.name.as_ref());
        }
        checks.title("name", given.name.as_ref());
        checks.url("image", given.image.as_ref().and_then(Option::as_ref));
        checks.label("rarity", given.rarity.as_ref());
        if checks.count() > faults {
            return false;
        }
        let counted = before.as_ref().map(|row| row.retired_at.is_none());
        let mut row = before.unwrap_or_else(|| given.blank(self.cards.new_id(&given.key), id));
        let is_news = given.put(&mut row, position, telling, now) || created;
        let counts = row.retired_at.is_none();
        if counted.is_some_and(|counted| counted != counts) {
            self.recounted.entry(id).or_default().push(row.id);
        }
        if is_news {
            if telling.is_told() {
                self.notes.note_part(collection, &given.key, created);
            }
            self.touch(id, telling);
            self.sets.entry(id).or_default().insert(given.key.clone(), (position, counts));
            self.cards.put(row);
        }
        is_news
    }

    /// Takes a new card out again.
    fn put_back(&mut self, collection: &str, card: &str) {
        let id = self.id(collection);
        self.sets.entry(id).or_default().remove(card);
        self.cards.put_back(card, None);
    }

    /// Why a collection cannot have so many cards.
    fn too_many(&self, collection: &str, telling: Telling) -> Option<String> {
        let count = self.sets.get(&self.id(collection)).map_or(0, HashMap::len);
        (telling.is_told() && count > MOST_CARDS).then(|| format!("a collection has at most {MOST_CARDS} cards"))
    }

    /// The reward as it will be; `None` when it stays as it is. What an export says of claims counts if it says more;
    /// what was claimed elsewhere comes as progress, and is counted then.
    fn edit_reward(
        &self,
        checks: &mut Checks,
        given: &UpsertCollection,
        claims: i64,
        telling: Telling,
    ) -> Option<Option<reward::Model>> {
        let reward = given.reward.as_ref()?;
        let id = self.id(&given.key);
        let stored = self.rewards.get(&id).cloned();
        let claimed = stored.as_ref().map_or(0, |row| row.claimed);
        let same = reward.as_ref().zip(stored.as_ref()).is_some_and(|(given, stored)| given.key == stored.key);
        if !same && claimed > 0 && telling.is_told() {
            let message = format!("the reward has been claimed {claimed} times, and cannot be taken away or replaced");
            checks.refuse("", UserErrorCode::InUse, message);
        }
        let edited = reward.as_ref().map(|reward| {
            if self.reward_keys.get(&reward.key).is_some_and(|owner| *owner != id) {
                let message = format!("the reward {:?} belongs to another collection", reward.key);
                checks.refuse("key", UserErrorCode::KeyTaken, message);
            }
            if !same {
                checks.needed("name", reward.name.as_ref());
            }
            if reward.stock.flatten().is_some_and(|stock| stock < claims) {
                checks.invalid("stock", "no more rewards are claimed than there are");
            }
            reward.check(checks, claimed, telling);
            let mut row = stored.clone().filter(|_| same).unwrap_or_else(|| reward.blank(id));
            reward.put(&mut row, telling);
            if !telling.is_told() {
                // Claims that come along count themselves.
                row.claimed = claimed;
                row.stock = row.stock.map(|stock| stock.max(claimed));
            }
            row
        });
        Some(edited).filter(|edited| *edited != stored)
    }

    /// Puts a reward as it was edited in its place. Whether that is news.
    fn put_reward(&mut self, collection: &str, edited: Option<Option<reward::Model>>, telling: Telling) -> bool {
        let Some(edited) = edited else { return false };
        let id = self.id(collection);
        if telling.is_told() {
            let mut patch = Patch::default();
            patch.note("reward", edited.as_ref().map(|reward| &reward.key));
            self.notes.note(collection, false, patch);
        }
        if let Some(before) = self.rewards.remove(&id) {
            self.reward_keys.remove(&before.key);
        }
        if let Some(row) = &edited {
            self.reward_keys.insert(row.key.clone(), id);
            self.rewards.insert(id, row.clone());
        }
        self.changed_rewards.insert(id, edited);
        true
    }

    /// Stores what changed, and what follows from it for whoever owns the cards.
    async fn store(self, unit: &mut Unit<'_>) -> Result<()> {
        self.collections.store(unit.transaction()).await?;
        self.cards.store(unit.transaction()).await?;
        let removed: Vec<i64> =
            self.changed_rewards.iter().filter(|(_, row)| row.is_none()).map(|(id, _)| *id).collect();
        if !removed.is_empty() {
            rows::remove::<reward::Model>(unit.transaction(), "collection_id", &removed).await?;
        }
        let rewards: Vec<reward::Model> = self.changed_rewards.into_values().flatten().collect();
        rows::store(unit.transaction(), &rewards).await?;
        for row in self.collections.all() {
            let (Some(before), Some(origin)) = (self.collections.before(&row.key), self.told.get(&row.id)) else {
                continue;
            };
            let size = self.sizes.get(&row.id).copied().unwrap_or(0);
            let after = self.sets.get(&row.id).map_or(size, counted);
            let recounted = self.recounted.get(&row.id);
            if let Some(changed) = recounted {
                recount(unit, row.id, changed).await?;
            }
            // More cards take away what was to be completed at a start that lies ahead, and nothing else.
            let takes_away = after > size && row.starts_at.is_some_and(|at| at > unit.now);
            if window(row) != window(before) || after < size || takes_away || recounted.is_some() {
                complete(unit, row, after, *origin).await?;
            }
        }
        self.notes.audit(unit, "UPSERT_COLLECTION", Kind::Collection, "cards");
        Ok(())
    }
}

impl UpsertCollection {
    fn blank(&self, id: i64, telling: Telling, now: Timestamp) -> collection::Model {
        collection::Model {
            id,
            key: self.key.clone(),
            name: String::new(),
            description: String::new(),
            image: None,
            environment: "production".to_owned(),
            created_at: telling.created_at.unwrap_or(now),
            starts_at: None,
            ends_at: None,
            show_before: true,
            show_after: true,
            updated_at: now,
            retired_at: None,
        }
    }

    fn check(&self, checks: &mut Checks, created: bool) {
        if created {
            checks.needed("name", self.name.as_ref());
        }
        checks.title("name", self.name.as_ref());
        checks.description("description", self.description.as_ref());
        checks.url("image", self.image.as_ref().and_then(Option::as_ref));
        checks.label("environment", self.environment.as_ref());
        checks.planned("startDate", self.starts_at.flatten());
        checks.planned("endDate", self.ends_at.flatten());
    }

    fn put(&self, patch: &mut Patch, row: &mut collection::Model, telling: Telling) {
        patch.set("name", &mut row.name, self.name.as_deref().map(|name| telling.title(name)).as_ref());
        patch.set("description", &mut row.description, self.description.as_ref());
        patch.set("image", &mut row.image, self.image.as_ref());
        patch.set("environment", &mut row.environment, self.environment.as_ref());
        patch.set("showBefore", &mut row.show_before, self.show_before.as_ref());
        patch.set("showAfter", &mut row.show_after, self.show_after.as_ref());
        // Written as dates and not as they are stored.
        for (name, place, given) in
            [("startDate", &mut row.starts_at, self.starts_at), ("endDate", &mut row.ends_at, self.ends_at)]
        {
            if let Some(given) = given.filter(|given| given != place) {
                *place = given;
                patch.note(name, given.map(|at| at.to_string()));
            }
        }
    }

    /// Tells whether somebody owns a card that is to be removed.
    async fn removes_what_is_owned(&self, unit: &Unit<'_>) -> Result<bool> {
        let removed = rows::with_text::<card::Model>(unit.transaction(), "key", self.remove_cards.clone()).await?;
        let removed: Vec<i64> = removed.iter().map(|card| card.id).collect();
        Ok(!repo::owned_by_anybody(unit.transaction(), &removed).await?.is_empty())
    }

    /// Returns the collection as it will be, and the ids of the cards that go; or why that cannot be.
    async fn edit(&self, unit: &Unit<'_>) -> Result<Result<(Shelf, Vec<i64>), Vec<Refusal>>> {
        let cards = self.cards.iter().map(|one| &one.key).chain(&self.remove_cards);
        let mut shelf = Shelf::read(unit, [self], cards.map(|key| (self.key.as_str(), key.as_str()))).await?;
        let mut checks = Checks::default();
        shelf.put_collection(&mut checks, self, Telling::NOW, unit.now);
        let removed = self.removed(unit, &mut checks, &shelf).await?;
        shelf.notes.note_removed(&self.key, &self.remove_cards);
        checks.distinct("cards", self.cards.iter().map(|one| one.key.as_str()));
        let positions = shelf.positions(&self.key, &self.cards);
        let id = shelf.id(&self.key);
        for key in &self.remove_cards {
            shelf.sets.entry(id).or_default().remove(key);
            shelf.touch(id, Telling::NOW);
        }
        for ((place, given), position) in self.cards.iter().enumerate().zip(positions) {
            checks.enter("cards", place);
            shelf.put_card(&mut checks, (&self.key, given), position, Telling::NOW, unit.now);
        }
        checks.leave();
        if let Some(message) = shelf.too_many(&self.key, Telling::NOW) {
            checks.invalid("cards", message);
        }
        checks.enter_member("reward");
        let reward = shelf.edit_reward(&mut checks, self, 0, Telling::NOW);
        if checks.failed() {
            return Ok(Err(checks.into_refusals()));
        }
        shelf.put_reward(&self.key, reward, Telling::NOW);
        Ok(Ok((shelf, removed)))
    }

    /// Returns the ids of the cards that are to be removed.
    async fn removed(&self, unit: &Unit<'_>, checks: &mut Checks, shelf: &Shelf) -> Result<Vec<i64>> {
        let own = self.remove_cards.iter().filter_map(|key| shelf.cards.before(key));
        let own = own.filter(|row| row.collection_id == shelf.id(&self.key));
        let known: HashMap<&str, i64> = own.map(|row| (row.key.as_str(), row.id)).collect();
        let ids: Vec<i64> = known.values().copied().collect();
        let owned = repo::owned_by_anybody(unit.transaction(), &ids).await?;
        for (place, key) in self.remove_cards.iter().enumerate() {
            checks.enter("removeCards", place);
            match known.get(key.as_str()) {
                None => checks.refuse("", UserErrorCode::UnknownCard, format!("the collection has no card {key:?}")),
                Some(id) if owned.contains(id) => {
                    checks.refuse("", UserErrorCode::InUse, format!("somebody owns the card {key:?}"));
                }
                Some(_) if self.cards.iter().any(|card| card.key == *key) => {
                    checks.invalid("", format!("{key:?} stands in cards and in removeCards"));
                }
                Some(_) => {}
            }
        }
        checks.leave();
        Ok(ids)
    }
}

impl GivenCard {
    fn blank(&self, id: i64, collection_id: i64) -> card::Model {
        card::Model {
            id,
            key: self.key.clone(),
            collection_id,
            position: 0,
            name: String::new(),
            image: None,
            rarity: "common".to_owned(),
            retired_at: None,
        }
    }

    /// Puts what was given at `now` into `row`; whether that changes it.
    fn put(&self, row: &mut card::Model, position: i32, telling: Telling, now: Timestamp) -> bool {
        let before = row.clone();
        row.position = position;
        if let Some(name) = &self.name {
            row.name = telling.title(name);
        }
        if let Some(image) = &self.image {
            row.image.clone_from(image);
        }
        if let Some(rarity) = &self.rarity {
            row.rarity.clone_from(rarity);
        }
        row.retired_at = self.retired.map_or(row.retired_at, |retired| retired.of(row.retired_at, now));
        *row != before
    }
}

impl GivenReward {
    fn blank(&self, collection: i64) -> reward::Model {
        reward::Model {
            collection_id: collection,
            key: self.key.clone(),
            name: String::new(),
            image: None,
            description: String::new(),
            value: String::new(),
            view_type: "image".to_owned(),
            stock: None,
            claimed: 0,
        }
    }

    fn check(&self, checks: &mut Checks, claimed: i64, telling: Telling) {
        if let Some(reason) = no_key("reward", &self.key).filter(|_| telling.is_told()) {
            checks.invalid("key", reason);
        }
        checks.title("name", self.name.as_ref());
        checks.description("description", self.description.as_ref());
        checks.url("image", self.image.as_ref().and_then(Option::as_ref));
        checks.description("value", self.value.as_ref());
        checks.label("viewType", self.view_type.as_ref());
        let stock = self.stock.flatten();
        checks.range("stock", stock, limits::STOCK);
        if telling.is_told() && stock.is_some_and(|stock| (0..claimed).contains(&stock)) {
            checks.invalid("stock", format!("{claimed} have been claimed, and the stock cannot be less"));
        }
    }

    fn put(&self, row: &mut reward::Model, telling: Telling) {
        if let Some(name) = &self.name {
            row.name = telling.title(name);
        }
        if let Some(description) = &self.description {
            row.description.clone_from(description);
        }
        if let Some(image) = &self.image {
            row.image.clone_from(image);
        }
        if let Some(value) = &self.value {
            row.value.clone_from(value);
        }
        if let Some(view_type) = &self.view_type {
            row.view_type.clone_from(view_type);
        }
        if let Some(stock) = self.stock {
            row.stock = stock;
        }
    }
}

/// Counts anew how many cards of a collection those own who own one of `changed`.
async fn recount(unit: &Unit<'_>, collection: i64, changed: &[i64]) -> Result<()> {
    let mut spans = Spans::of::<progress::Model>(unit.transaction()).await?;
    while let Some(span) = spans.next() {
        repo::recount(unit.transaction(), collection, span, changed.to_vec()).await?;
        spans.pass(None);
    }
    Ok(())
}

/// Completes a collection, which now has `size` cards, for every user who owns as many, if it runs or is still to
/// start. Who had completed it stays so. What is completed at a start that lies ahead is not told of before.
pub async fn complete(unit: &mut Unit<'_>, row: &collection::Model, size: usize, origin: Origin) -> Result<()> {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let completion = rules::completion(None, &window(row), size, size, unit.now);
    if size > 0 && row.ends_at.is_some_and(|ends| ends <= unit.now) {
        complete_late(unit, row, size, origin).await?;
    }
    let mut spans = Spans::of::<progress::Model>(unit.transaction()).await?;
    while let Some(span) = spans.next().filter(|_| rules::is_completed(completion, unit.now)) {
        let users = repo::completing(unit.transaction(), row.id, span, size, unit.now).await?;
        spans.pass(users.last());
        unit.lock_more(users.clone()).await?;
        for user in users {
            // Whoever has been merged or erased has no history to go on.
            if origin == Origin::Told && unit.user(user).is_ok() {
                let subject = (Kind::Collection, row.key.as_str());
                unit.record(user, HistoryKind::CollectionCompleted, subject, &json!({ "size": size }))?;
            }
        }
    }
    let mut spans = Spans::of::<progress::Model>(unit.transaction()).await?;
    while let Some(span) = spans.next() {
        repo::complete(unit.transaction(), row.id, span, size, completion, unit.now).await?;
        spans.pass(None);
    }
    Ok(())
}

/// Completes a collection that is over for every user who owns all cards that it has now, and got the last of them
/// inside its dates.
async fn complete_late(unit: &mut Unit<'_>, row: &collection::Model, size: i64, origin: Origin) -> Result<()> {
    let counted = repo::counted(unit.transaction(), row.id).await?;
    let ids = [row.id];
    let mut spans = Spans::of::<progress::Model>(unit.transaction()).await?;
    while let Some(span) = spans.next() {
        let users = repo::completing(unit.transaction(), row.id, span, size, unit.now).await?;
        spans.pass(users.last());
        unit.lock_more(users.clone()).await?;
        let mut got: HashMap<i64, Vec<Timestamp>> = HashMap::new();
        let wanted = users.iter().map(|user| (*user, ids.as_slice()));
        for ((user, _), owned) in repo::owned(unit.transaction(), wanted).await? {
            if owned.quantity > 0 && counted.contains(&owned.card_id) {
                got.entry(user).or_default().push(owned.first_acquired_at);
            }
        }
        let places = users.iter().map(|user| (*user, row.id)).collect();
        let mut done = rows::with_pairs::<progress::Model>(unit.transaction(), "collection_id", &places).await?;
        for progress in &mut done {
            let got = got.remove(&progress.user_id).unwrap_or_default();
            let at = Completion::default().by_cards(&window(row), got.into_iter(), size, [None, None]).at;
            if let Some(at) = at.filter(|_| origin == Origin::Told && unit.user(progress.user_id).is_ok()) {
                let subject = (Kind::Collection, row.key.as_str());
                let changes = json!({ "size": size });
                unit.record_at(progress.user_id, HistoryKind::CollectionCompleted, subject, &changes, at)?;
            }
            (progress.completed_at, progress.updated_at) = (at, unit.now);
        }
        done.retain(|progress| progress.completed_at.is_some());
        done.sort_unstable_by_key(|progress| progress.user_id);
        repo::store_progress(unit.transaction(), &done).await?;
    }
    Ok(())
}
