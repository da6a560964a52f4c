//! Recording progress of every kind and of many users at once.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use waymark_auth::policy::RecordedUsers;
use waymark_collections::write::{CardAmount, grant};
use waymark_games::write::{NewUnlock, unlock};
use waymark_kernel::error::{Error, Result};
use waymark_learning::write::{NewProgress, learn};
use waymark_seasons::write::{NewSteps, StepsOutcome, enrol, record_steps};
use waymark_vocabulary::refusal::{BulkMode, ItemOutcome, Refusal, WriteStatus, not_applied};
use waymark_write::{Unit, Write};

/// Records what happened to users.
///
/// Events of one kind are carried out in the order of the input, and the kinds one after the other: enrolments, goal
/// steps, progress with resources, unlocks, cards. So a user who enrols and makes steps in one write may name them in
/// any order.
#[derive(Debug, Serialize)]
pub struct RecordProgress {
    // The events hold the names as the input gives them: the same input is the same write, even when a name belongs to
    // another user by now.
    /// The users who are named in the events, whose progress the caller may record.
    #[serde(skip)]
    pub users: RecordedUsers,
    /// The events in the order of the input.
    pub events: Vec<NewEvent>,
    /// Whether the good events are recorded when others are refused.
    pub mode: BulkMode,
}

/// Something that happened to a user.
#[derive(Debug, Serialize)]
pub struct NewEvent {
    /// Whom the input names.
    pub named: String,
    /// The place of that user among the users; `None` when there is no such user.
    #[serde(skip)]
    pub user: Option<usize>,
    /// The field of the input's item in which it stands.
    pub field: &'static str,
    /// The global id of what it is about, as far as that is known before.
    #[serde(skip)]
    pub id: String,
    /// What happened, or what is wrong with the item itself.
    pub what: Result<Happening, Refusal>,
}

/// What happened.
#[derive(Debug, Serialize)]
pub enum Happening {
    /// The user takes part in the season of this key; `None`: the current season.
    Enrolment(Option<String>),
    /// The user made steps of a goal.
    Steps(NewSteps),
    /// The user made progress with a resource.
    Progress(NewProgress),
    /// The user unlocked an achievement.
    Unlock(NewUnlock),
    /// The user got one or several copies of a card.
    Card(CardAmount),
}

/// The result of one event.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Recorded {
    /// The user's ULID; `None` when there is no such user.
    pub user: Option<String>,
    /// The outcome of the event, with the steps done by then where it was one of steps.
    pub outcome: StepsOutcome,
}

/// The events of one kind: each with its place in the input, and with its user.
struct Batch<T> {
    places: Vec<usize>,
    items: Vec<(i64, T)>,
}

impl<T> Batch<T> {
    const fn new() -> Self {
        Self { places: Vec::new(), items: Vec::new() }
    }

    fn add(&mut self, place: usize, user: i64, item: T) {
        self.places.push(place);
        self.items.push((user, item));
    }
}

impl Write for RecordProgress {
    const NAME: &'static str = "recordProgress";

    type Outcome = Vec<Recorded>;

    fn concerns(&self) -> Option<i64> {
        match *self.users.keys() {
            [user] => Some(user),
            _ => None,
        }
    }

    fn may_be_abandoned(&self) -> bool {
        self.mode == BulkMode::AllOrNothing
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<Vec<Recorded>> {
        let present: BTreeSet<i64> = unit.lock_present(self.users.keys()).await?.into_iter().collect();
        let mut results = Results::of(self.events.len());
        let mut enrolments = Batch::new();
        let mut steps = Batch::new();
        let mut progress = Batch::new();
        let mut unlocks = Batch::new();
        let mut cards = Batch::new();
        for (place, event) in self.events.iter().enumerate() {
            // A user who was merged into another one or erased meanwhile does not exist any more.
            let user = event.user.and_then(|user| self.users.key(user)).filter(|user| present.contains(user));
            match (user, &event.what) {
                (Some(user), Ok(happening)) => match happening {
                    Happening::Enrolment(season) => enrolments.add(place, user, season.clone()),
                    Happening::Steps(item) => steps.add(place, user, item.clone()),
                    Happening::Progress(item) => progress.add(place, user, item.clone()),
                    Happening::Unlock(item) => unlocks.add(place, user, item.clone()),
                    Happening::Card(item) => cards.add(place, user, item.clone()),
                },
                (_, Err(refusal)) => results.refuse(place, event, refusal.clone()),
                (None, Ok(_)) => results.refuse(place, event, Refusal::unknown_user("user")),
            }
        }
        if !enrolments.items.is_empty() {
            results.put(&enrolments.places, enrol(unit, &enrolments.items).await?);
        }
        if !steps.items.is_empty() {
            results.put_steps(&steps.places, record_steps(unit, &steps.items).await?);
        }
        if !progress.items.is_empty() {
            results.put(&progress.places, learn(unit, &progress.items).await?);
        }
        if !unlocks.items.is_empty() {
            results.put(&unlocks.places, unlock(unit, &unlocks.items).await?);
        }
        if !cards.items.is_empty() {
            results.put(&cards.places, grant(unit, &cards.items).await?);
        }
        let mut recorded = results.of_events(self, &present)?;
        if self.may_be_abandoned() && recorded.iter().any(|one| one.outcome.item.status == WriteStatus::Refused) {
            not_applied(recorded.iter_mut().map(|one| &mut one.outcome.item));
            for (place, one) in recorded.iter_mut().enumerate() {
                if let Some(refusal) = one.outcome.item.error.as_mut().filter(|refusal| refusal.path.is_empty()) {
                    refusal.path = vec!["events".to_owned(), place.to_string()];
                    one.outcome.recorded = None;
                }
            }
            unit.abandon();
        }
        Ok(recorded)
    }
}

/// The results of the events, by their places in the input.
struct Results(Vec<Option<StepsOutcome>>);

impl Results {
    fn of(count: usize) -> Self {
        Self(std::iter::repeat_with(|| None).take(count).collect())
    }

    fn refuse(&mut self, place: usize, event: &NewEvent, refusal: Refusal) {
        let item = ItemOutcome::refused(event.id.clone().into(), refusal);
        self.put_steps(&[place], vec![StepsOutcome { item, recorded: None }]);
    }

    fn put(&mut self, places: &[usize], items: Vec<ItemOutcome>) {
        self.put_steps(places, items.into_iter().map(|item| StepsOutcome { item, recorded: None }).collect());
    }

    fn put_steps(&mut self, places: &[usize], items: Vec<StepsOutcome>) {
        for (place, item) in places.iter().zip(items) {
            if let Some(result) = self.0.get_mut(*place) {
                *result = Some(item);
            }
        }
    }

    /// The results with their users; each refusal names its place in the input.
    fn of_events(self, write: &RecordProgress, present: &BTreeSet<i64>) -> Result<Vec<Recorded>> {
        let numbered = write.events.iter().enumerate().zip(self.0);
        let recorded = numbered.map(|((place, event), outcome)| {
            let mut outcome = outcome.ok_or_else(|| Error::internal(format!("event {place} has no result")))?;
            if let Some(refusal) = &mut outcome.item.error {
                let inner = std::mem::take(&mut refusal.path);
                let field = (!inner.is_empty()).then(|| event.field.to_owned());
                refusal.path = ["events".to_owned(), place.to_string()].into_iter().chain(field).chain(inner).collect();
            }
            let there = |user: &usize| write.users.key(*user).is_some_and(|key| present.contains(&key));
            let user = event.user.filter(there).and_then(|user| write.users.ulid(user));
            Ok(Recorded { user: user.map(str::to_owned), outcome })
        });
        recorded.collect()
    }
}
