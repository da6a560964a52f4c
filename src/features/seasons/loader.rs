//! Questions about users' seasons that are answered in batches.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::repo::{self, Concerned, Fact};
use waymark_db::Reader;
use waymark_graphql_kit::batcher::{Key, grouped};
use waymark_kernel::error::{Error, Result};

/// Whether a user takes part in a season, and how far the goals are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SeasonOf {
    pub(super) user: i64,
    pub(super) season: i64,
}

impl Key for SeasonOf {}

impl Loader<SeasonOf> for Reader {
    type Value = Arc<[Fact]>;
    type Error = Error;

    async fn load(&self, keys: &[SeasonOf]) -> Result<HashMap<SeasonOf, Self::Value>> {
        let users: HashSet<i64> = keys.iter().map(|key| key.user).collect();
        let seasons: HashSet<i64> = keys.iter().map(|key| key.season).collect();
        let facts = repo::facts(self.connection(), users.into_iter().collect(), seasons.into_iter().collect()).await?;
        Ok(grouped(facts)
            .into_iter()
            .map(|((user, season), facts)| (SeasonOf { user, season }, facts.into()))
            .collect())
    }
}

/// How many users an edit of a season concerns.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct ConcernedBy(pub(super) i64);

impl Key for ConcernedBy {}

impl Loader<ConcernedBy> for Reader {
    type Value = Concerned;
    type Error = Error;

    async fn load(&self, keys: &[ConcernedBy]) -> Result<HashMap<ConcernedBy, Concerned>> {
        let rows = repo::concerned(self.connection(), keys.iter().map(|key| key.0).collect()).await?;
        Ok(rows.into_iter().map(|(season, concerned)| (ConcernedBy(season), concerned)).collect())
    }
}
