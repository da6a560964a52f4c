//! Merging one user into another: two rows in the books that are one person.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::repo;
use super::rules::{self, UserWith};
use crate::auth::api_key;
use crate::auth::policy::Operator;
use crate::db::owner::Merger;
use crate::error::Result;
use crate::features::{collections, credits, games, learning, seasons};
use crate::graphql::ids::Kind;
use crate::graphql::refusal::{Refusal, UserErrorCode};
use crate::write::{HistoryKind, Unit, Write};

/// Merges a user into another one, who takes over everything.
#[derive(Debug, Serialize)]
pub(crate) struct MergeUsers {
    pub(crate) operator: Operator,
    pub(crate) from: UserWith,
    pub(crate) into: UserWith,
}

/// What came of it.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct MergedUsers {
    /// The ULID of the survivor; `None` when the whole was refused.
    pub(crate) survivor: Option<String>,
    /// The ULID of the other one.
    pub(crate) absorbed: Option<String>,
    pub(crate) refusals: Vec<Refusal>,
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
                None => refusals.push(Refusal::new(UserErrorCode::UnknownUser, "there is no such user").at([field])),
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
        learning::owner::merge(unit, merger).await?;
        games::owner::merge(unit, merger).await?;
        collections::owner::merge(unit, merger).await?;
        unit.hand_over_references(merger).await?;
        api_key::hand_over(unit.transaction(), merger.from, merger.into).await?;
        repo::absorb(unit.transaction(), merger, &rules::tombstone(&from)).await?;
        unit.record(merger.into, HistoryKind::Merged, (Kind::User, &from), &json!({ "into": false }))?;
        unit.record(merger.from, HistoryKind::Merged, (Kind::User, &into), &json!({ "into": true }))?;
        Ok(MergedUsers { survivor: Some(into), absorbed: Some(from), refusals })
    }
}
