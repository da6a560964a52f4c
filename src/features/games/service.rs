//! Reading a user's games.

use std::collections::HashMap;
use std::sync::Arc;

use super::loader::{GameCountOf, GamesOf, SummariesOf, UnlocksOf};
pub(crate) use super::repo::{Achieved, Listed, Sorted, Unlock};
use super::{Game, Games};
use crate::auth::policy::VisibleUser;
use crate::db::page::Slice;
use crate::error::Result;
use crate::graphql::pagination::{Connection, Page, only_if};
use crate::request::Request;

/// What a user achieved in a game.
#[derive(Debug)]
pub(crate) struct Summary {
    pub(crate) user: VisibleUser,
    pub(crate) game: Arc<Game>,
    pub(crate) achieved: Achieved,
}

/// The summaries of a user in the games with these keys, in their order; `None` for a game that is not in the
/// catalogue, zeros for one that was never played.
pub(crate) async fn summaries(
    request: &Request,
    user: &VisibleUser,
    keys: impl IntoIterator<Item = &str>,
) -> Result<Vec<Option<Summary>>> {
    let games = request.catalogue::<Games>()?;
    summaries_of(request, user, keys.into_iter().map(|key| games.by_key(key)).collect()).await
}

/// The same, for games by the numbers under which some dialects know them.
pub(crate) async fn summaries_by_number(
    request: &Request,
    user: &VisibleUser,
    numbers: &[i64],
) -> Result<Vec<Option<Summary>>> {
    let games = request.catalogue::<Games>()?;
    summaries_of(request, user, numbers.iter().map(|number| games.by_number(*number)).collect()).await
}

async fn summaries_of(
    request: &Request,
    user: &VisibleUser,
    wanted: Vec<Option<&Arc<Game>>>,
) -> Result<Vec<Option<Summary>>> {
    let mut ids: Vec<i64> = wanted.iter().flatten().map(|game| game.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let achieved = if ids.is_empty() {
        None
    } else {
        request.load.one(SummariesOf { user: user.key(), games: ids.into() }).await?
    };
    let achieved: HashMap<i64, &Achieved> =
        achieved.iter().flat_map(|rows| rows.iter()).map(|row| (row.game_id, row)).collect();
    Ok(wanted
        .into_iter()
        .map(|game| {
            game.map(|game| Summary {
                user: user.clone(),
                game: Arc::clone(game),
                achieved: achieved.get(&game.id).map_or_else(Achieved::default, |row| **row),
            })
        })
        .collect())
}

impl Achieved {
    /// Where it stands in the list of the games a user has played.
    pub(crate) fn place(&self, sorted: Sorted) -> (i64, i64) {
        let sort = match sorted {
            Sorted::LastUnlocked => self.last_unlocked_at.map_or(0, |at| at.millis()),
            Sorted::Score => i64::from(self.score.score_achieved),
        };
        (sort, self.game_id)
    }
}

/// A part of the games a user has played.
pub(crate) async fn played(
    request: &Request,
    user: &VisibleUser,
    listed: Listed,
    sorted: Sorted,
    slice: Slice,
) -> Result<Vec<Summary>> {
    let games = request.catalogue::<Games>()?;
    let rows = request.load.one(GamesOf { user: user.key(), listed, sorted, slice }).await?;
    Ok(rows.unwrap_or_default().into_iter().filter_map(|achieved| summary(games, user, achieved)).collect())
}

/// The summary of what was achieved in a game; `None` when the catalogue has lost the game.
fn summary(games: &Games, user: &VisibleUser, achieved: Achieved) -> Option<Summary> {
    let game = Arc::clone(games.by_id(achieved.game_id)?);
    Some(Summary { user: user.clone(), game, achieved })
}

/// How many games a user has played.
pub(crate) async fn played_count(request: &Request, user: &VisibleUser, listed: Listed) -> Result<i64> {
    Ok(request.load.one(GameCountOf { user: user.key(), listed }).await?.unwrap_or(0))
}

/// One page of the games a user has played.
pub(crate) async fn played_page(
    request: &Request,
    user: &VisibleUser,
    listed: Listed,
    sorted: Sorted,
    page: Page,
    count: bool,
) -> Result<Connection<Summary>> {
    let total = only_if(count, played_count(request, user, listed));
    let key = GamesOf { user: user.key(), listed, sorted, slice: page.slice() };
    let (rows, total) = futures_util::try_join!(request.load.one(key), total)?;
    let games = request.catalogue::<Games>()?;
    // Games missing from the catalogue are left out only here, so that they do not end the paging.
    let page = page.of_rows(rows.unwrap_or_default(), |achieved| achieved.place(sorted));
    Ok(page.with_total(total).filter_map(|achieved| summary(games, user, achieved)))
}

/// What a user unlocked in a game.
pub(crate) async fn unlocks(request: &Request, user: &VisibleUser, game: &Game) -> Result<Vec<Unlock>> {
    Ok(request.load.one(UnlocksOf { user: user.key(), game: game.id }).await?.unwrap_or_default())
}
