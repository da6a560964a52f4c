//! All types of records, and what is done with them kind after kind. A new kind of progress adds its file here, and its
//! lines to the lists of this one.
//!
//! The file of a kind has its records, the numbers and dates in them, how rows are exported as records, and the facts
//! that an import makes of them.

#![expect(missing_docs, reason = "docs/import.md describes every type, and a test compares the two")]

mod collections;
mod credits;
mod games;
mod learning;
mod seasons;

use serde::{Deserialize, Serialize};

pub use collections::*;
pub use credits::*;
pub use games::*;
pub use learning::*;
pub use seasons::*;

use crate::export::{Export, Users};
use crate::import::Work;
use crate::ranges::Said;
use crate::records::{ApiKey, Audit, Event, Header, Merge, Named as _, User, WriteRef};
use waymark_kernel::error::Result;

// The name of a type, and the pass of an import in which its records are read: what others refer to comes first, so
// that files may be given in any order.
//
// `catalogue` is what operators define. `fact` is something that has happened to a user, and comes to the same before
// and after others of its kind. Behind `of` stands the member that says whom it is about.
records! {
    Waymark(Header) "waymark" 0 other;
    Season(Season) "season" 0 catalogue;
    Goal(Goal) "goal" 1 catalogue;
    Resource(Resource) "resource" 0 catalogue;
    StudyPlan(StudyPlan) "studyPlan" 1 catalogue;
    Game(Game) "game" 0 catalogue;
    Achievement(Achievement) "achievement" 1 catalogue;
    Collection(Collection) "collection" 0 catalogue;
    Card(Card) "card" 1 catalogue;
    User(User) "user" 0 other;
    Event(Event) "event" 2 other of user;
    Enrolment(Enrolment) "enrolment" 2 fact of user;
    GoalProgress(GoalProgress) "goalProgress" 2 fact of user;
    GoalClaim(GoalClaim) "goalClaim" 2 other of user;
    CreditLot(CreditLot) "creditLot" 2 other of user;
    CreditEntry(CreditEntry) "creditEntry" 2 other of user;
    Block(Block) "block" 2 other of user;
    ResourceProgress(ResourceProgress) "resourceProgress" 2 fact of user;
    StudyPlanInstance(StudyPlanInstance) "studyPlanInstance" 2 other of user;
    Awards(Awards) "awards" 2 fact of user;
    Unlock(Unlock) "unlock" 2 fact of user;
    CollectionProgress(CollectionProgress) "collectionProgress" 2 other of user;
    OwnedCard(OwnedCard) "ownedCard" 2 fact of user;
    WriteRef(WriteRef) "writeRef" 2 other of user;
    Merge(Merge) "merge" 3 other of user;
    Audit(Audit) "audit" 2 other;
    ApiKey(ApiKey) "apiKey" 2 other of owner;
}

impl Export<'_> {
    /// Reads the keys of the catalogue, and writes it when that is `wanted`.
    pub(crate) async fn catalogue(&mut self, wanted: bool) -> Result<()> {
        self.seasons(wanted).await?;
        self.learning(wanted).await?;
        self.games(wanted).await?;
        self.collections(wanted).await
    }

    /// Writes what these users have done.
    pub(crate) async fn progress_of(&mut self, users: &Users) -> Result<()> {
        self.seasons_of(users).await?;
        self.credits_of(users).await?;
        self.learning_of(users).await?;
        self.games_of(users).await?;
        self.collections_of(users).await
    }
}

impl Work<'_> {
    /// Takes the records of the catalogue, first what others belong to.
    pub(crate) async fn take_catalogue(&mut self) -> Result<()> {
        seasons::take_catalogue(self).await?;
        learning::take_catalogue(self).await?;
        games::take_catalogue(self).await?;
        collections::take_catalogue(self).await
    }

    /// Takes what users have done.
    pub(crate) async fn take_progress(&mut self) -> Result<()> {
        seasons::take(self).await?;
        credits::take(self).await?;
        learning::take(self).await?;
        games::take(self).await?;
        collections::take(self).await
    }
}
