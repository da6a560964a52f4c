//! Deleting a thing of the catalogue, which is possible as long as nobody has progress with it.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::DELETIONS;
use waymark_auth::policy::Operator;
use waymark_kernel::error::Result;
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{Refusal, UserErrorCode};
use waymark_write::{Deleted, Deletion, Unit, Write};

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

/// Returns how things of this type are deleted; `None`: they are not of the catalogue.
fn deletion(kind: Kind) -> Option<&'static Deletion> {
    DELETIONS.iter().copied().flatten().find(|deletion| deletion.kind == kind)
}

/// Returns what stands against deleting a thing, by what is there now; `None`: nothing does.
async fn against(unit: &Unit<'_>, kind: Kind, key: &str) -> Result<Option<Deleted>> {
    match deletion(kind) {
        Some(deletion) => (deletion.against)(unit, key).await,
        None => Ok(None),
    }
}

/// Deletes the thing of this kind with `key`, and tells the audit log; or says why that cannot be. The catalogue is
/// locked.
async fn delete(unit: &mut Unit<'_>, kind: Kind, key: &str) -> Result<Option<Refusal>> {
    let Some(deletion) = deletion(kind) else { return Ok(Some(not_of_the_catalogue(kind))) };
    let deleted = (deletion.delete)(unit, key).await?;
    if deleted == Deleted::Done {
        unit.audit(deletion.action, (kind.name(), key), &json!({}));
    }
    Ok(refusal(deleted, kind, key))
}

fn not_of_the_catalogue(kind: Kind) -> Refusal {
    Refusal::new(UserErrorCode::InvalidInput, format!("a {} is not of the catalogue", kind.words()))
}

/// Returns the refusal that says what came of a deletion; `None`: the thing is gone.
fn refusal(deleted: Deleted, kind: Kind, key: &str) -> Option<Refusal> {
    let Some(Deletion { unknown, .. }) = deletion(kind) else { return Some(not_of_the_catalogue(kind)) };
    match deleted {
        Deleted::Done => None,
        Deleted::Unknown => Some(Refusal::new(*unknown, format!("there is no {} {key:?}", kind.words()))),
        Deleted::InUse(why) => {
            Some(Refusal::new(UserErrorCode::InUse, format!("the {} {key:?} stays: {why}", kind.words())))
        }
    }
}
