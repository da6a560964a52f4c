//! Reading a user's games.

use std::sync::Arc;

use super::loader::{GameCountOf, GamesOf, SummariesOf, UnlocksOf};
pub use super::repo::RECORDS;
pub use super::repo::{Achieved, Listed, Sorted, Unlock};
use super::{Game, Games};
use waymark_auth::policy::{self, VisibleUser};
use waymark_db::Extent;
use waymark_db::page::Slice;
use waymark_graphql_kit::pagination::{Connection, Page, only_if};
use waymark_kernel::error::Result;
use waymark_request::Request;

/// What a user achieved in a game.
#[derive(Debug)]
pub struct Summary {
    /// Who plays, whose public side the caller may see.
    pub user: VisibleUser,
    /// The game as the catalogue has it.
    pub game: Arc<Game>,
    /// The user's score and awards in the game; zeros when it was never played.
    pub achieved: Achieved,
}

/// The games that the caller finds in lists, in the order in which they were added.
pub fn listed(request: &Request) -> Result<impl Iterator<Item = &Arc<Game>>> {
    let all = policy::sees_retired(&request.caller);
    let games = request.catalogue::<Games>()?.all().iter();
    Ok(games.filter(move |game| all || game.retired_at.is_none()))
}

/// The summaries of each user in the games with these keys, in their order; `None` for a game that is not in the
/// catalogue, zeros for one that was never played. The main part of a summary has no dates.
pub async fn summaries(
    request: &Request,
    users: &[&VisibleUser],
    keys: impl IntoIterator<Item = &str>,
    extent: Extent,
) -> Result<Vec<Vec<Option<Summary>>>> {
    let games = request.catalogue::<Games>()?;
    summaries_of(request, users, keys.into_iter().map(|key| games.by_key(key)).collect(), extent).await
}

/// The same for one user, and for games by the numbers under which some dialects know them.
pub async fn summaries_by_number(
    request: &Request,
    user: &VisibleUser,
    numbers: &[i64],
) -> Result<Vec<Option<Summary>>> {
    let games = request.catalogue::<Games>()?;
    let wanted = numbers.iter().map(|number| games.by_number(*number)).collect();
    Ok(summaries_of(request, &[user], wanted, Extent::All).await?.pop().unwrap_or_default())
}

async fn summaries_of(
    request: &Request,
    users: &[&VisibleUser],
    wanted: Vec<Option<&Arc<Game>>>,
    extent: Extent,
) -> Result<Vec<Vec<Option<Summary>>>> {
    let mut ids: Vec<i64> = wanted.iter().flatten().map(|game| game.id).collect();
    ids.sort_unstable();
    ids.dedup();
    let ids: Arc<[i64]> = ids.into();
    let keys = users.iter().map(|user| SummariesOf { user: user.key(), games: Arc::clone(&ids), extent });
    let achieved = if ids.is_empty() { vec![None; users.len()] } else { request.load.many(keys.collect()).await? };
    let of_user = |(user, achieved): (&&VisibleUser, Option<Arc<[Achieved]>>)| {
        let achieved = achieved.as_deref().unwrap_or_default();
        let summary = |game: &Arc<Game>| {
            let place = achieved.binary_search_by_key(&game.id, |row| row.game_id);
            let achieved = place.ok().and_then(|place| achieved.get(place)).copied().unwrap_or_default();
            Summary { user: (*user).clone(), game: Arc::clone(game), achieved }
        };
        wanted.iter().map(|game| game.map(summary)).collect()
    };
    Ok(users.iter().zip(achieved).map(of_user).collect())
}

impl Achieved {
    /// Where it stands in the list of the games a user has played.
    pub fn place(&self, sorted: Sorted) -> (i64, i64) {
        let sort = match sorted {
            Sorted::LastUnlocked => self.last_unlocked_at.map_or(0, |at| at.millis()),
            Sorted::Score => i64::from(self.score.score_achieved),
        };
        (sort, self.game_id)
    }
}

/// A part of the games a user has played.
pub async fn played(
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
pub async fn played_count(request: &Request, user: &VisibleUser, listed: Listed) -> Result<i64> {
    Ok(request.load.one(GameCountOf { user: user.key(), listed }).await?.unwrap_or(0))
}

/// One page of the games a user has played.
pub async fn played_page(
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
pub async fn unlocks(request: &Request, user: &VisibleUser, game: &Game) -> Result<Vec<Unlock>> {
    Ok(request.load.one(UnlocksOf { user: user.key(), game: game.id }).await?.unwrap_or_default())
}
