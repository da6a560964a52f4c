//! Deleting a thing of the catalogue, which is possible as long as nobody has progress with it.

use serde::{Deserialize, Serialize};
use serde_json::json;

use waymark_auth::policy::Operator;
use waymark_collections::delete as collections;
use waymark_games::delete as games;
use waymark_kernel::error::Result;
use waymark_learning::delete as learning;
use waymark_seasons::delete as seasons;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{Refusal, UserErrorCode};
use waymark_write::{Deleted, Unit, Write};

/// Deletes a thing of the catalogue, with all that belongs to it.
#[derive(Debug, Serialize)]
pub struct DeleteCatalogueItem {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// Its global id.
    pub id: String,
    /// Whether it is only tried: nothing changes, and the outcome says what would.
    pub dry_run: bool,
    /// The type in `id`.
    #[serde(skip)]
    pub kind: Kind,
    /// The key in `id`.
    #[serde(skip)]
    pub key: String,
}

/// The result of a deletion.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeletedItem {
    /// Why nothing was deleted; `None`: it was.
    pub refusal: Option<Refusal>,
}

impl Write for DeleteCatalogueItem {
    const NAME: &'static str = "deleteCatalogueItem";
    const CATALOGUE: bool = true;

    type Outcome = DeletedItem;

    fn may_be_abandoned(&self) -> bool {
        self.dry_run
    }

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<DeletedItem> {
        // All writes wait for the lock, and no index leads from things to progress with them: what is in use is refused
        // without.
        let refusal = match against(unit, self.kind, &self.key).await? {
            Some(stays) => refusal(stays, self.kind, &self.key),
            None => {
                unit.lock_catalogue().await?;
                delete(unit, self.kind, &self.key).await?
            }
        };
        if self.dry_run {
            unit.abandon();
        }
        Ok(DeletedItem { refusal: refusal.map(|refusal| refusal.at(["id"])) })
    }
}

/// Returns what stands against deleting a thing, by what is there now; `None`: nothing does.
async fn against(unit: &Unit<'_>, kind: Kind, key: &str) -> Result<Option<Deleted>> {
    Ok(match kind {
        Kind::Season => seasons::deletable_season(unit, key).await?.err(),
        Kind::Goal => seasons::deletable_goal(unit, key).await?.err(),
        Kind::Resource => learning::deletable_resource(unit, key).await?.err(),
        Kind::StudyPlan => learning::deletable_plan(unit, key).await?.err(),
        Kind::Game => games::deletable_game(unit, key).await?.err(),
        Kind::Achievement => games::deletable_achievement(unit, key).await?.err(),
        Kind::Collection => collections::deletable_collection(unit, key).await?.err(),
        Kind::Card => collections::deletable_card(unit, key).await?.err(),
        _ => None,
    })
}

/// Deletes the thing of this kind with `key`, and tells the audit log; or says why that cannot be. The catalogue is
/// locked.
async fn delete(unit: &mut Unit<'_>, kind: Kind, key: &str) -> Result<Option<Refusal>> {
    let (deleted, action) = match kind {
        Kind::Season => (seasons::season(unit, key).await?, "DELETE_SEASON"),
        Kind::Goal => (seasons::goal(unit, key).await?, "DELETE_GOAL"),
        Kind::Resource => (learning::resource(unit, key).await?, "DELETE_RESOURCE"),
        Kind::StudyPlan => (learning::plan(unit, key).await?, "DELETE_STUDY_PLAN"),
        Kind::Game => (games::game(unit, key).await?, "DELETE_GAME"),
        Kind::Achievement => (games::achievement(unit, key).await?, "DELETE_ACHIEVEMENT"),
        Kind::Collection => (collections::collection(unit, key).await?, "DELETE_COLLECTION"),
        Kind::Card => (collections::card(unit, key).await?, "DELETE_CARD"),
        _ => return Ok(Some(not_of_the_catalogue(kind))),
    };
    if deleted == Deleted::Done {
        unit.audit(action, (kind.name(), key), &json!({}));
    }
    Ok(refusal(deleted, kind, key))
}

fn not_of_the_catalogue(kind: Kind) -> Refusal {
    Refusal::new(UserErrorCode::InvalidInput, format!("a {} is not of the catalogue", kind.words()))
}

/// Returns the refusal that says what came of a deletion; `None`: the thing is gone.
fn refusal(deleted: Deleted, kind: Kind, key: &str) -> Option<Refusal> {
    use UserErrorCode as Code;
    let unknown = match kind {
        Kind::Season => Code::UnknownSeason,
        Kind::Goal => Code::UnknownGoal,
        Kind::Resource => Code::UnknownResource,
        Kind::StudyPlan => Code::UnknownStudyPlan,
        Kind::Game => Code::UnknownGame,
        Kind::Achievement => Code::UnknownAchievement,
        Kind::Collection => Code::UnknownCollection,
        Kind::Card => Code::UnknownCard,
        _ => return Some(not_of_the_catalogue(kind)),
    };
    match deleted {
        Deleted::Done => None,
        Deleted::Unknown => Some(Refusal::new(unknown, format!("there is no {} {key:?}", kind.words()))),
        Deleted::InUse(why) => Some(Refusal::new(Code::InUse, format!("the {} {key:?} stays: {why}", kind.words()))),
    }
}
