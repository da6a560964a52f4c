//! Writing collections with their cards and rewards, and what that means for whoever owns the cards.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use serde_json::json;

use super::entity::{card, collection, reward};
use super::repo;
use super::rules::{self, Window};
use waymark_auth::policy::Operator;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_kernel::limits;
use waymark_kernel::text::tidied;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::UserErrorCode;
use waymark_write::{Checks, HistoryKind, Origin, Patch, Unit, Upserted, Write, arranged};

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
    /// The name for people, 1 to 200 characters; `None`: unchanged.
    pub name: Option<String>,
    /// The address of its picture; `None`: unchanged, `Some(None)`: no picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Option<String>>,
    /// How rare it is, in the operator's words; `None`: unchanged, `common` for a new one.
    pub rarity: Option<String>,
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
        unit.lock_catalogue().await?;
        let stored = repo::collection(unit.transaction(), &self.key).await?;
        let created = stored.is_none();
        let mut row = stored.unwrap_or_else(|| self.blank(unit.now));
        let (before, reward) = if created {
            (Vec::new(), None)
        } else {
            (repo::cards_of(unit.transaction(), row.id).await?, repo::reward(unit.transaction(), row.id).await?)
        };

        let mut checks = Checks::default();
        let mut patch = Patch::default();
        let (window, size) = (window(&row), before.len());
        self.check(&mut checks, created);
        self.put(&mut patch, &mut row);
        if row.starts_at.zip(row.ends_at).is_some_and(|(starts, ends)| ends <= starts) {
            checks.invalid("endDate", "a collection ends after its start");
        }
        let removed = self.removed(unit, &mut checks, &before).await?;
        let edit = self.edit_cards(unit, &mut checks, row.id, before, &removed).await?;
        let reward = self.edit_reward(unit, &mut checks, row.id, reward).await?;
        if checks.failed() {
            return Ok(Upserted::refused(checks.into_refusals()));
        }
        patch.note_parts("cards", [edit.keys(&edit.added), edit.keys(&edit.changed), removed.keys()]);
        if let Some(reward) = &reward {
            patch.note("reward", reward.as_ref().map(|reward| &reward.key));
        }
        if patch.is_empty() && !created {
            return Ok(Upserted::done(false));
        }

        row.updated_at = unit.now;
        let after = edit.cards.len();
        row.id = repo::store_collection(unit.transaction(), row.clone()).await?;
        repo::remove_cards(unit.transaction(), removed.ids).await?;
        edit.store(unit, row.id).await?;
        if let Some(reward) = reward {
            repo::store_reward(unit.transaction(), row.id, reward).await?;
        }
        if !created && (after != size || self::window(&row) != window) {
            complete(unit, &row, after, Origin::Told).await?;
        }
        unit.audit("UPSERT_COLLECTION", (Kind::Collection.name(), &self.key), &patch.into_changes(created));
        Ok(Upserted::done(created))
    }
}

const fn window(row: &collection::Model) -> Window {
    Window { starts_at: row.starts_at, ends_at: row.ends_at, show_before: row.show_before, show_after: row.show_after }
}

impl UpsertCollection {
    fn blank(&self, now: Timestamp) -> collection::Model {
        collection::Model {
            id: 0,
            key: self.key.clone(),
            name: String::new(),
            description: String::new(),
            image: None,
            environment: "production".to_owned(),
            created_at: now,
            starts_at: None,
            ends_at: None,
            show_before: true,
            show_after: true,
            updated_at: now,
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

    fn put(&self, patch: &mut Patch, row: &mut collection::Model) {
        patch.set_title("name", &mut row.name, self.name.as_ref());
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

    /// The cards that are to be removed.
    async fn removed(&self, unit: &Unit<'_>, checks: &mut Checks, before: &[card::Model]) -> Result<Removed> {
        let known: HashMap<&str, i64> = before.iter().map(|row| (row.key.as_str(), row.id)).collect();
        let ids: Vec<i64> = self.remove_cards.iter().filter_map(|key| known.get(key.as_str()).copied()).collect();
        let owned = repo::owned_by_anybody(unit.transaction(), ids.clone()).await?;
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
        Ok(Removed { keys: self.remove_cards.clone(), ids })
    }

    /// The cards as they will be.
    async fn edit_cards(
        &self,
        unit: &Unit<'_>,
        checks: &mut Checks,
        collection: i64,
        before: Vec<card::Model>,
        removed: &Removed,
    ) -> Result<Edit> {
        let last = before.iter().map(|row| row.position).max().unwrap_or(0);
        let cards: Vec<card::Model> = before.into_iter().filter(|row| !removed.ids.contains(&row.id)).collect();
        let places: HashMap<String, usize> =
            cards.iter().enumerate().map(|(place, row)| (row.key.clone(), place)).collect();
        let taken = self.cards.iter().filter_map(|one| Some(cards.get(*places.get(&one.key)?)?.position)).collect();
        let positions = arranged(taken, last, self.cards.len());
        let mut edit = Edit { cards, added: HashSet::new(), changed: HashSet::new() };

        checks.distinct("cards", self.cards.iter().map(|one| one.key.as_str()));
        let keys = self.cards.iter().map(|one| one.key.clone()).collect();
        let elsewhere = repo::cards_elsewhere(unit.transaction(), keys, collection).await?;
        for ((number, one), position) in self.cards.iter().enumerate().zip(positions) {
            checks.enter("cards", number);
            if elsewhere.contains(&one.key) {
                let message = format!("the card {:?} belongs to another collection", one.key);
                checks.refuse("key", UserErrorCode::KeyTaken, message);
            }
            checks.title("name", one.name.as_ref());
            checks.url("image", one.image.as_ref().and_then(Option::as_ref));
            checks.label("rarity", one.rarity.as_ref());
            match places.get(&one.key).and_then(|place| edit.cards.get_mut(*place)) {
                Some(row) => {
                    if one.put(row, position) {
                        edit.changed.insert(one.key.clone());
                    }
                }
                None => {
                    checks.needed("name", one.name.as_ref());
                    let mut row = one.blank();
                    one.put(&mut row, position);
                    edit.added.insert(one.key.clone());
                    edit.cards.push(row);
                }
            }
        }
        checks.leave();
        if edit.cards.len() > MOST_CARDS {
            checks.invalid("cards", format!("a collection has at most {MOST_CARDS} cards"));
        }
        Ok(edit)
    }

    /// The reward as it will be; `None` when it stays as it is.
    async fn edit_reward(
        &self,
        unit: &Unit<'_>,
        checks: &mut Checks,
        collection: i64,
        stored: Option<reward::Model>,
    ) -> Result<Option<Option<reward::Model>>> {
        let claimed = stored.as_ref().map_or(0, |row| row.claimed);
        let Some(given) = &self.reward else { return Ok(None) };
        checks.enter_member("reward");
        let same = given.as_ref().zip(stored.as_ref()).is_some_and(|(given, stored)| given.key == stored.key);
        if !same && claimed > 0 {
            let message = format!("the reward has been claimed {claimed} times, and cannot be taken away or replaced");
            checks.refuse("", UserErrorCode::InUse, message);
        }
        let edited = match given {
            None => None,
            Some(given) => {
                let owner = repo::collection_of_reward(unit.transaction(), &given.key).await?;
                if owner.is_some_and(|owner| owner != collection) {
                    let message = format!("the reward {:?} belongs to another collection", given.key);
                    checks.refuse("key", UserErrorCode::KeyTaken, message);
                }
                if !same {
                    checks.needed("name", given.name.as_ref());
                }
                given.check(checks, claimed);
                let kept = stored.clone().filter(|_| same);
                let mut row = kept.unwrap_or_else(|| given.blank(collection));
                given.put(&mut row);
                Some(row)
            }
        };
        checks.leave();
        Ok(Some(edited).filter(|edited| *edited != stored))
    }
}

/// Cards that are to be removed.
struct Removed {
    keys: Vec<String>,
    ids: Vec<i64>,
}

impl Removed {
    fn keys(&self) -> Vec<&str> {
        self.keys.iter().map(String::as_str).collect()
    }
}

/// The cards of a collection as they will be.
struct Edit {
    /// All of them; those with the id 0 are new.
    cards: Vec<card::Model>,
    /// The keys of those that are new, and of those that change.
    added: HashSet<String>,
    changed: HashSet<String>,
}

impl Edit {
    fn keys(&self, of: &HashSet<String>) -> Vec<&str> {
        self.cards.iter().map(|row| row.key.as_str()).filter(|key| of.contains(*key)).collect()
    }

    async fn store(self, unit: &Unit<'_>, collection: i64) -> Result<()> {
        let Self { cards, added, changed } = self;
        let news = cards.into_iter().filter(|row| added.contains(&row.key) || changed.contains(&row.key));
        let news = news.map(|row| card::Model { collection_id: collection, ..row });
        repo::store_cards(unit.transaction(), news.collect()).await
    }
}

impl GivenCard {
    fn blank(&self) -> card::Model {
        card::Model {
            id: 0,
            key: self.key.clone(),
            collection_id: 0,
            position: 0,
            name: String::new(),
            image: None,
            rarity: "common".to_owned(),
        }
    }

    /// Puts what was given into `row`; whether that changes it.
    fn put(&self, row: &mut card::Model, position: i32) -> bool {
        let before = row.clone();
        row.position = position;
        if let Some(name) = &self.name {
            row.name = tidied(name);
        }
        if let Some(image) = &self.image {
            row.image.clone_from(image);
        }
        if let Some(rarity) = &self.rarity {
            row.rarity.clone_from(rarity);
        }
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

    fn check(&self, checks: &mut Checks, claimed: i64) {
        checks.title("name", self.name.as_ref());
        checks.description("description", self.description.as_ref());
        checks.url("image", self.image.as_ref().and_then(Option::as_ref));
        checks.description("value", self.value.as_ref());
        checks.label("viewType", self.view_type.as_ref());
        let stock = self.stock.flatten();
        checks.range("stock", stock, limits::STOCK);
        if stock.is_some_and(|stock| (0..claimed).contains(&stock)) {
            checks.invalid("stock", format!("{claimed} have been claimed, and the stock cannot be less"));
        }
    }

    fn put(&self, row: &mut reward::Model) {
        if let Some(name) = &self.name {
            row.name = tidied(name);
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

/// Completes a collection, which now has `size` cards, for every user who owns as many, if it runs or is still to start.
/// Who had completed it stays so. What is completed at a start that lies ahead is not told of before.
pub async fn complete(unit: &mut Unit<'_>, row: &collection::Model, size: usize, origin: Origin) -> Result<()> {
    let size = i64::try_from(size).unwrap_or(i64::MAX);
    let completion = rules::completion(None, &window(row), size, size, unit.now);
    let mut after = 0;
    while rules::is_completed(completion, unit.now) {
        let users = repo::completing(unit.transaction(), row.id, after, size, unit.now).await?;
        let Some(last) = users.last() else { break };
        after = *last;
        unit.lock_more(users.clone()).await?;
        for user in users {
            // Whoever has been merged or erased has no history to go on.
            if origin == Origin::Told && unit.user(user).is_ok() {
                let subject = (Kind::Collection, row.key.as_str());
                unit.record(user, HistoryKind::CollectionCompleted, subject, &json!({ "size": size }))?;
            }
        }
    }
    repo::complete(unit.transaction(), row.id, size, completion, unit.now).await
}
