//! What has to hold of games. The unlocks are the source of the summaries.

use std::collections::{BTreeMap, BTreeSet};

use super::repo::{self, Achieved};
use super::rules::{self, Award, HeldAwards, Score, Unlock};
use super::{Game, Games};
use waymark_db::bulk::Stores;
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Result;
use waymark_verify::{Check, Found, Look};

/// The checks of this feature's tables, for the verifier.
pub const CHECKS: &[Check] = &[
    Check::of_nobody(
        "games.possible",
        "SELECT 'achievements of game:' || g.key AS what, CAST(g.num_possible AS bigint) AS stored,
             COALESCE(a.number, 0) AS expected
         FROM games g LEFT JOIN (
             SELECT game_id, count(*) AS number FROM achievements WHERE published GROUP BY game_id
         ) a ON a.game_id = g.id WHERE g.num_possible <> COALESCE(a.number, 0)
         UNION ALL
         SELECT 'points of game:' || g.key, CAST(g.possible_score AS bigint), COALESCE(a.points, 0)
         FROM games g LEFT JOIN (
             SELECT game_id, CAST(sum(points) AS bigint) AS points FROM achievements WHERE published GROUP BY game_id
         ) a ON a.game_id = g.id WHERE g.possible_score <> COALESCE(a.points, 0)",
    )
    .mended_by(
        "UPDATE games SET
             num_possible = (SELECT count(*) FROM achievements a WHERE a.game_id = games.id AND a.published),
             possible_score = (
                 SELECT COALESCE(sum(a.points), 0) FROM achievements a WHERE a.game_id = games.id AND a.published)
         WHERE num_possible <> (SELECT count(*) FROM achievements a WHERE a.game_id = games.id AND a.published)
             OR possible_score <> (
                 SELECT COALESCE(sum(a.points), 0) FROM achievements a WHERE a.game_id = games.id AND a.published)",
    ),
    Check::of_users(
        "games.hardcore",
        "SELECT u.user_id, 'first unlock of achievement:' || a.key AS what, u.unlocked_at AS stored,
             u.unlocked_hardcore_at AS expected
         FROM achievement_unlocks u JOIN achievements a ON a.id = u.achievement_id
         WHERE u.user_id = ANY($1) AND u.unlocked_at > u.unlocked_hardcore_at",
    )
    .of_instants(),
    Check::of_users(
        "games.unlocks",
        "SELECT u.user_id, 'game of achievement:' || COALESCE(a.key, CAST(u.achievement_id AS text)) || ', by its number' AS what,
             u.game_id AS stored, a.game_id AS expected
         FROM achievement_unlocks u LEFT JOIN achievements a ON a.id = u.achievement_id
         WHERE u.user_id = ANY($1) AND (a.game_id IS NULL OR u.game_id <> a.game_id)",
    )
    .mended_by(
        "UPDATE achievement_unlocks SET game_id = (SELECT a.game_id FROM achievements a WHERE a.id = achievement_id)
         WHERE user_id = ANY($1)
             AND game_id <> (SELECT a.game_id FROM achievements a WHERE a.id = achievement_id)",
    ),
    Check::by_rules(
        "games.summaries",
        |look| {
            Box::pin(async move {
                let mut found = Vec::new();
                visit(look, |user, game, achieved, _| differences(user, game, achieved, &mut found)).await?;
                Ok(found)
            })
        },
        |look| Box::pin(mend_summaries(look)),
    ),
];

/// Shows what users have unlocked and what is stored of it, game by game, for each that they ever touched: what is
/// stored, what it should be, and the awards of both with what they rest on.
async fn visit(look: Look<'_>, mut show: impl FnMut(i64, &Game, [&Achieved; 2], [HeldAwards; 2])) -> Result<()> {
    let games = look.catalogue::<Games>()?;
    let mut unlocked: BTreeMap<(i64, i64), BTreeMap<i64, Unlock>> = BTreeMap::new();
    for (user, game, unlock) in repo::all_unlocks(look.transaction, look.users.to_vec()).await? {
        unlocked.entry((user, game)).or_default().insert(unlock.achievement_id, unlock.into());
    }
    let mut held = repo::held_by(look.transaction, look.users.to_vec()).await?;
    let summaries = repo::all_summaries(look.transaction, look.users.to_vec()).await?;
    let mut stored: BTreeMap<(i64, i64), Achieved> =
        summaries.into_iter().map(|(user, achieved)| ((user, achieved.game_id), achieved)).collect();
    let touched: BTreeSet<(i64, i64)> = unlocked.keys().chain(stored.keys()).copied().collect();
    for place in touched {
        let Some(game) = games.by_id(place.1) else { continue };
        let unlocked = unlocked.remove(&place).unwrap_or_default();
        let stored = stored.remove(&place).unwrap_or(Achieved { game_id: game.id, ..Achieved::default() });
        let unlock = |id: i64| unlocked.get(&id).copied();
        let facts = game.facts(unlock);
        // An award once earned is kept with its date as long as what it rests on is unlocked, also when the game grows
        // or shrinks; what is missing is an error.
        let before = held.remove(&place).unwrap_or_default();
        let sound = Award::ALL.map(|award| before[award as usize].clone().filter(|held| held.is_sound(award, unlock)));
        let after = rules::with_earned(&sound, &facts);
        show(place.0, game, [&stored, &Achieved::of(game.id, &facts, &after)], [before, after]);
    }
    Ok(())
}

fn differences(user: i64, game: &Game, [stored, expected]: [&Achieved; 2], found: &mut Vec<Found>) {
    let mut compare = |what: &str, stored: String, expected: String| {
        if stored != expected {
            found.push(Found { user: Some(user), what: format!("{what} of game:{}", game.key), stored, expected });
        }
    };
    for (what, number) in [
        ("achieved", (|score| score.num_achieved) as fn(&Score) -> i32),
        ("points", |score| score.score_achieved),
        ("achieved in hardcore mode", |score| score.num_achieved_hardcore),
        ("points in hardcore mode", |score| score.score_achieved_hardcore),
    ] {
        compare(what, number(&stored.score).to_string(), number(&expected.score).to_string());
    }
    let instant = |at: Option<Timestamp>| at.map_or_else(|| "nothing".to_owned(), |at| at.to_string());
    compare("first unlock", instant(stored.first_unlocked_at), instant(expected.first_unlocked_at));
    compare("last unlock", instant(stored.last_unlocked_at), instant(expected.last_unlocked_at));
    for award in Award::ALL {
        compare(award.as_str(), instant(stored.awards.get(award)), instant(expected.awards.get(award)));
    }
}

async fn mend_summaries(look: Look<'_>) -> Result<()> {
    let (mut changed, mut grounds) = (Vec::new(), Vec::new());
    visit(look, |user, game, achieved, [before, after]| {
        let mut found = Vec::new();
        differences(user, game, achieved, &mut found);
        if !found.is_empty() {
            changed.push((user, *achieved[1]));
            grounds.push(((user, game.id), before, after));
        }
    })
    .await?;
    let mut stores = Stores::default();
    repo::store_grounds(look.transaction, &mut stores, grounds).await?;
    repo::store_summaries(&mut stores, changed);
    stores.flush(look.transaction, None).await
}
