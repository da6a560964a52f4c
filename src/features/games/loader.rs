//! Questions about users' games that are answered in batches.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::dataloader::Loader;

use super::repo::{self, Achieved, Listed, Sorted, Unlock};
use waymark_db::page::Slice;
use waymark_db::{Extent, Reader};
use waymark_graphql_kit::batcher::{Key, grouped, sorted};
use waymark_kernel::error::{Error, Result};

/// What a user achieved in these games. The list is shared by all who ask for the same games.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct SummariesOf {
    pub(super) user: i64,
    pub(super) games: Arc<[i64]>,
    pub(super) extent: Extent,
}

impl Key for SummariesOf {
    fn weight(&self) -> usize {
        self.games.len()
    }
}

impl Loader<SummariesOf> for Reader {
    /// Sorted by game.
    type Value = Arc<[Achieved]>;
    type Error = Error;

    async fn load(&self, keys: &[SummariesOf]) -> Result<HashMap<SummariesOf, Self::Value>> {
        let wanted = keys.iter().map(|key| (key.user, &*key.games));
        let extent = keys.iter().map(|key| key.extent).max().unwrap_or(Extent::All);
        let by_user = sorted(repo::summaries(self.connection(), wanted, extent).await?, |row| row.game_id);
        Ok(keys.iter().filter_map(|key| Some((key.clone(), Arc::clone(by_user.get(&key.user)?)))).collect())
    }
}

/// One page of a user's games.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct GamesOf {
    pub(super) user: i64,
    pub(super) listed: Listed,
    pub(super) sorted: Sorted,
    pub(super) slice: Slice,
}

impl Key for GamesOf {}

impl Loader<GamesOf> for Reader {
    type Value = Vec<Achieved>;
    type Error = Error;

    async fn load(&self, keys: &[GamesOf]) -> Result<HashMap<GamesOf, Self::Value>> {
        let mut pages = HashMap::new();
        for ((listed, sorted, slice), users) in
            grouped(keys.iter().map(|key| ((key.listed, key.sorted, key.slice), key.user)))
        {
            for (user, rows) in grouped(repo::page(self.connection(), users, listed, sorted, slice).await?) {
                pages.insert(GamesOf { user, listed, sorted, slice }, rows);
            }
        }
        Ok(pages)
    }
}

/// How many games a user has in a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct GameCountOf {
    pub(super) user: i64,
    pub(super) listed: Listed,
}

impl Key for GameCountOf {}

impl Loader<GameCountOf> for Reader {
    type Value = i64;
    type Error = Error;

    async fn load(&self, keys: &[GameCountOf]) -> Result<HashMap<GameCountOf, i64>> {
        let mut counts = HashMap::new();
        for (listed, users) in grouped(keys.iter().map(|key| (key.listed, key.user))) {
            for (user, count) in repo::count(self.connection(), users, listed).await? {
                counts.insert(GameCountOf { user, listed }, count);
            }
        }
        Ok(counts)
    }
}

/// What a user unlocked in a game.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct UnlocksOf {
    pub(super) user: i64,
    pub(super) game: i64,
}

impl Key for UnlocksOf {}

impl Loader<UnlocksOf> for Reader {
    type Value = Vec<Unlock>;
    type Error = Error;

    async fn load(&self, keys: &[UnlocksOf]) -> Result<HashMap<UnlocksOf, Self::Value>> {
        let wanted = keys.iter().map(|key| (key.user, std::slice::from_ref(&key.game)));
        let rows = repo::unlocks(self.connection(), wanted).await?;
        Ok(grouped(rows.into_iter().map(|(user, game, unlock)| (UnlocksOf { user, game }, unlock))))
    }
}
