//! Merging one user into another: two rows in the books that are one person.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::MERGES;
use waymark_auth::api_key;
use waymark_auth::policy::Operator;
use waymark_credits as credits;
use waymark_db::owner::Merger;
use waymark_kernel::error::Result;
use waymark_seasons as seasons;
use waymark_users::repo;
use waymark_users::rules::{self, UserWith};
use waymark_vocabulary::ids::Kind;
use waymark_vocabulary::refusal::{Refusal, UserErrorCode};
use waymark_write::{HistoryKind, Unit, Write};

/// Merges a user into another one, who takes over everything.
#[derive(Debug, Serialize)]
pub struct MergeUsers {
    /// Proof that the caller is an operator.
    pub operator: Operator,
    /// The user who is merged away.
    pub from: UserWith,
    /// The user who survives and takes over everything.
    pub into: UserWith,
}

/// The result of a merge.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct MergedUsers {
    /// The ULID of the survivor; `None` when the whole was refused.
    pub survivor: Option<String>,
    /// The ULID of the other one.
    pub absorbed: Option<String>,
    /// Why the merge was refused; empty when it was done.
    pub refusals: Vec<Refusal>,
}

impl Write for MergeUsers {
    const NAME: &'static str = "mergeUsers";
    const CREDENTIALS: bool = true;

    type Outcome = MergedUsers;

    async fn perform(&self, unit: &mut Unit<'_>) -> Result<MergedUsers> {
        let mut refusals = Vec::new();
        let mut users = Vec::new();
        for (field, name) in [("from", &self.from), ("into", &self.into)] {
            match repo::named(unit.transaction(), name).await? {
                Some(user) => users.push(user),
                None => refusals.push(Refusal::unknown_user(field)),
            }
        }
        let [from, into] = users.as_slice() else { return Ok(MergedUsers { refusals, ..MergedUsers::default() }) };
        if from.subject.id == into.subject.id {
            let refusal = Refusal::new(UserErrorCode::InvalidInput, "both are the same user").at(["into"]);
            return Ok(MergedUsers { refusals: vec![refusal], ..MergedUsers::default() });
        }
        let merger = Merger { from: from.subject.id.0, into: into.subject.id.0 };
        let (from, into) = (from.subject.ulid.to_string(), into.subject.ulid.to_string());
        unit.lock([merger.from, merger.into]).await?;
        let offset = credits::owner::merge(unit, merger).await?;
        let undone = seasons::owner::merge(unit, merger, offset).await?;
        credits::owner::revoke_lots(unit, merger.into, &undone).await?;
        for hand_over in MERGES {
            hand_over(unit, merger).await?;
        }
        unit.hand_over_references(merger, |kind, outcome| credits::write::renumbered(kind, outcome, offset)).await?;
        api_key::hand_over(unit.transaction(), merger.from, merger.into).await?;
        repo::absorb(unit.transaction(), merger, &rules::tombstone(&from)).await?;
        unit.close(merger.from)?;
        unit.record(merger.into, HistoryKind::Merged, (Kind::User, &from), &json!({ "into": false }))?;
        unit.record(merger.from, HistoryKind::Merged, (Kind::User, &into), &json!({ "into": true }))?;
        Ok(MergedUsers { survivor: Some(into), absorbed: Some(from), refusals })
    }
}
