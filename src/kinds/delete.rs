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
        unit.lock_catalogue().await?;
        let refusal = delete(unit, self.kind, &self.key).await?.map(|refusal| refusal.at(["id"]));
        if self.dry_run {
            unit.abandon();
        }
        Ok(DeletedItem { refusal })
    }
}

/// Deletes the thing of this kind with `key`, and tells the audit log; or says why that cannot be. The catalogue is locked.
///
/// # Errors
/// When the database fails.
pub async fn delete(unit: &mut Unit<'_>, kind: Kind, key: &str) -> Result<Option<Refusal>> {
    use UserErrorCode as Code;
    let (deleted, unknown, action) = match kind {
        Kind::Season => (seasons::season(unit, key).await?, Code::UnknownSeason, "DELETE_SEASON"),
        Kind::Goal => (seasons::goal(unit, key).await?, Code::UnknownGoal, "DELETE_GOAL"),
        Kind::Resource => (learning::resource(unit, key).await?, Code::UnknownResource, "DELETE_RESOURCE"),
        Kind::StudyPlan => (learning::plan(unit, key).await?, Code::UnknownStudyPlan, "DELETE_STUDY_PLAN"),
        Kind::Game => (games::game(unit, key).await?, Code::UnknownGame, "DELETE_GAME"),
        Kind::Achievement => (games::achievement(unit, key).await?, Code::UnknownAchievement, "DELETE_ACHIEVEMENT"),
        Kind::Collection => (collections::collection(unit, key).await?, Code::UnknownCollection, "DELETE_COLLECTION"),
        Kind::Card => (collections::card(unit, key).await?, Code::UnknownCard, "DELETE_CARD"),
        _ => {
            let message = format!("a {} is not of the catalogue", kind.words());
            return Ok(Some(Refusal::new(Code::InvalidInput, message)));
        }
    };
    Ok(match deleted {
        Deleted::Done => {
            unit.audit(action, (kind.name(), key), &json!({}));
            None
        }
        Deleted::Unknown => Some(Refusal::new(unknown, format!("there is no {} {key:?}", kind.words()))),
        Deleted::InUse(why) => {
            let message = format!("the {} {key:?} stays: {why}", kind.words());
            Some(Refusal::new(Code::InUse, message))
        }
    })
}
