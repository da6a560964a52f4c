//! Reading a user's collections.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::try_join_all;

use super::loader::{CardsOf, ClaimsOf, CollectedBy};
pub use super::repo::RECORDS;
pub use super::repo::{Collected, Owned};
use super::rules::{self, CollectionStatus, RewardFacts, RewardRefusal};
use super::{Card, Collection, Collections};
use waymark_auth::policy::{self, VisibleUser};
use waymark_credits as credits;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_request::Request;

/// A user with a collection.
#[derive(Debug, Clone)]
pub struct Collecting {
    /// Who collects, whose public side the caller may see.
    pub user: VisibleUser,
    /// The collection as the catalogue has it.
    pub collection: Arc<Collection>,
    /// How far the user is with the collection.
    pub collected: Collected,
    /// The instant of the request, by which the status is decided.
    pub now: Timestamp,
}

impl Collecting {
    /// Returns where the user's collection stands at the instant of the request.
    pub fn status(&self) -> CollectionStatus {
        self.collected.status_of(&self.collection, self.now)
    }

    /// Tells whether the user has completed the collection by the instant of the request.
    pub fn is_completed(&self) -> bool {
        rules::is_completed(self.collected.completed_at, self.now)
    }

    /// How many cards are collected, at most as many as there are.
    pub fn count(&self) -> i32 {
        self.collected.count_in(&self.collection)
    }
}

impl Collected {
    /// Where a collection stands that was collected as far as this.
    pub fn status_of(&self, collection: &Collection, now: Timestamp) -> CollectionStatus {
        rules::status(self.completed_at, &collection.window(), self.count.into(), now)
    }

    /// How many cards of a collection are collected, at most as many as there are.
    pub fn count_in(&self, collection: &Collection) -> i32 {
        self.count.clamp(0, collection.size())
    }
}

/// The collections that are shown now, retired ones too, in the order in which they were added.
fn shown(request: &Request) -> Result<impl Iterator<Item = &Arc<Collection>>> {
    let now = request.now();
    let all = request.catalogue::<Collections>()?.all();
    Ok(all.iter().filter(move |collection| rules::is_shown(&collection.window(), now)))
}

/// The collections that are shown now and that the caller finds in lists, in the order in which they were added.
pub fn listed(request: &Request) -> Result<impl Iterator<Item = &Arc<Collection>>> {
    let all = policy::sees_retired(&request.caller);
    Ok(shown(request)?.filter(move |collection| all || collection.row.retired_at.is_none()))
}

/// The cards that the caller finds in a collection, in their order.
pub fn listed_in<'a>(request: &Request, collection: &'a Collection) -> &'a [Arc<Card>] {
    if policy::sees_retired(&request.caller) { &collection.all_cards } else { &collection.cards }
}

/// The collection with this key, if it is shown now.
pub fn shown_by_key<'a>(request: &'a Request, key: &str) -> Result<Option<&'a Arc<Collection>>> {
    let found = request.catalogue::<Collections>()?.by_key(key);
    Ok(found.filter(|collection| rules::is_shown(&collection.window(), request.now())))
}

/// The card with this key, if its collection is shown now.
pub fn shown_card<'a>(request: &'a Request, key: &str) -> Result<Option<&'a Arc<Card>>> {
    let collections = request.catalogue::<Collections>()?;
    Ok(collections.card(key).filter(|card| {
        let collection = collections.by_id(card.collection_id);
        collection.is_some_and(|collection| rules::is_shown(&collection.window(), request.now()))
    }))
}

/// How far a user is with each of the collections that are shown now; retired ones only where the user has cards, or
/// has completed them.
pub async fn collections(request: &Request, user: &VisibleUser) -> Result<Vec<Collecting>> {
    let collecting = collecting(request, user, shown(request)?).await?;
    let listed = try_join_all(collecting.iter().map(|one| is_listed(request, one))).await?;
    Ok(collecting.into_iter().zip(listed).filter_map(|(one, is_listed)| is_listed.then_some(one)).collect())
}

/// Tells whether a collection stands in the user's list: one that was retired does not where the user has nothing of
/// it.
async fn is_listed(request: &Request, collecting: &Collecting) -> Result<bool> {
    let Collected { count, completed_at, reward_claimed_at, updated_at, .. } = collecting.collected;
    if collecting.collection.row.retired_at.is_none() || updated_at.is_none() {
        return Ok(collecting.collection.row.retired_at.is_none());
    }
    if count > 0 || completed_at.is_some() || reward_claimed_at.is_some() {
        return Ok(true);
    }
    // Cards that are retired too do not count.
    Ok(cards(request, collecting).await?.iter().any(|owned| owned.quantity > 0))
}

/// How far a user is with each of these collections.
pub async fn collecting(
    request: &Request,
    user: &VisibleUser,
    collections: impl IntoIterator<Item = &Arc<Collection>>,
) -> Result<Vec<Collecting>> {
    let rows = request.load.one(CollectedBy(user.key())).await?;
    let rows: HashMap<i64, &Collected> =
        rows.iter().flat_map(|rows| rows.iter()).map(|row| (row.collection_id, row)).collect();
    Ok(collections
        .into_iter()
        .map(|collection| Collecting {
            user: user.clone(),
            collected: rows.get(&collection.row.id).map_or_else(Collected::default, |row| **row),
            collection: Arc::clone(collection),
            now: request.now(),
        })
        .collect())
}

/// How far a user is with the collection of this key; `None` when there is none or it is not shown now.
pub async fn collection(request: &Request, user: &VisibleUser, key: &str) -> Result<Option<Collecting>> {
    let Some(collection) = shown_by_key(request, key)? else { return Ok(None) };
    Ok(collecting(request, user, [collection]).await?.pop())
}

/// The cards of a collection that a user owns.
pub async fn cards(request: &Request, collecting: &Collecting) -> Result<Arc<[Owned]>> {
    let key = CardsOf { user: collecting.user.key(), collection: collecting.collection.row.id };
    Ok(request.load.one(key).await?.unwrap_or_else(|| Arc::from([])))
}

/// The cards that stand in a user's list of a collection, with what the user has of each: those that count, and
/// retired ones that the user owns.
pub fn with_owned<'a>(
    collection: &'a Collection,
    owned: &'a [Owned],
) -> impl Iterator<Item = (&'a Arc<Card>, Option<&'a Owned>)> {
    let owned: HashMap<i64, &Owned> =
        owned.iter().filter(|owned| owned.quantity > 0).map(|owned| (owned.card_id, owned)).collect();
    let cards = collection.all_cards.iter().map(move |card| (card, owned.get(&card.id).copied()));
    cards.filter(|(card, owned)| card.retired_at.is_none() || owned.is_some())
}

/// Why the reward of a collection, of which there are `stock`, cannot be claimed now; `None` when it can.
pub async fn reward_refusal(
    request: &Request,
    collecting: &Collecting,
    stock: Option<i64>,
) -> Result<Option<RewardRefusal>> {
    let user = collecting.user.everything(&request.caller)?;
    let claims = async {
        match stock {
            Some(_) => request.load.one(ClaimsOf(collecting.collection.row.id)).await.map(Option::unwrap_or_default),
            None => Ok(0),
        }
    };
    let (blocked, claims) = futures_util::try_join!(credits::service::is_blocked_for_claiming(request, &user), claims)?;
    let facts = RewardFacts {
        claimed: collecting.collected.reward_claimed_at.is_some(),
        completed: collecting.is_completed(),
        blocked,
        stock,
        claims,
    };
    Ok(rules::can_claim(&facts).err())
}
