//! What has to hold of games. The unlocks are the source of the summaries.

use std::collections::{BTreeMap, BTreeSet};

use super::repo::{self, Achieved};
use super::rules::{self, AchievementFacts, Awards, Summary};
use super::{Game, Games};
use crate::clock::Timestamp;
use crate::db::bulk::Stores;
use crate::error::Result;
use crate::verify::{Check, Found, Look};

pub(crate) const CHECKS: &[Check] = &[
    Check::of_nobody(
        "games.possible",
        "SELECT 'achievements of game:' || g.key, CAST(g.num_possible AS bigint), COALESCE(a.number, 0)
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
        "SELECT u.user_id, 'first unlock of achievement:' || a.key, u.unlocked_at, u.unlocked_hardcore_at
         FROM achievement_unlocks u JOIN achievements a ON a.id = u.achievement_id
         WHERE u.user_id = ANY($1) AND u.unlocked_at > u.unlocked_hardcore_at",
    )
    .of_instants(),
    Check::of_users(
        "games.unlocks",
        "SELECT u.user_id, 'game of achievement:' || COALESCE(a.key, CAST(u.achievement_id AS text)) || ', by its number',
             u.game_id, a.game_id
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
                visit(look, |user, game, stored, facts| differences(user, game, stored, facts, &mut found)).await?;
                Ok(found)
            })
        },
        |look| Box::pin(mend_summaries(look)),
    ),
];

/// Shows what users have unlocked and what is stored of it, game by game; for each that they ever touched.
async fn visit(look: Look<'_>, mut show: impl FnMut(i64, &Game, &Achieved, &[AchievementFacts])) -> Result<()> {
    let games = look.catalogue::<Games>()?;
    let mut unlocked: BTreeMap<(i64, i64), BTreeMap<i64, repo::Unlock>> = BTreeMap::new();
    for (user, game, unlock) in repo::all_unlocks(look.transaction, look.users.to_vec()).await? {
        unlocked.entry((user, game)).or_default().insert(unlock.achievement_id, unlock);
    }
    let summaries = repo::all_summaries(look.transaction, look.users.to_vec()).await?;
    let mut stored: BTreeMap<(i64, i64), Achieved> =
        summaries.into_iter().map(|(user, achieved)| ((user, achieved.game_id), achieved)).collect();
    let touched: BTreeSet<(i64, i64)> = unlocked.keys().chain(stored.keys()).copied().collect();
    let none = BTreeMap::new();
    for (user, game) in touched {
        let unlocked = unlocked.get(&(user, game)).unwrap_or(&none);
        let stored = stored.remove(&(user, game)).unwrap_or(Achieved { game_id: game, ..Achieved::default() });
        let Some(game) = games.by_id(game) else { continue };
        let facts: Vec<AchievementFacts> = game
            .achievements
            .iter()
            .map(|achievement| {
                let unlock = unlocked.get(&achievement.id);
                AchievementFacts {
                    kind: achievement.kind.into(),
                    points: achievement.points,
                    published: true,
                    unlocked_at: unlock.map(|unlock| unlock.unlocked_at),
                    unlocked_hardcore_at: unlock.and_then(|unlock| unlock.unlocked_hardcore_at),
                }
            })
            .collect();
        show(user, game, &stored, &facts);
    }
    Ok(())
}

fn differences(user: i64, game: &Game, stored: &Achieved, facts: &[AchievementFacts], found: &mut Vec<Found>) {
    let Summary { score, first_unlocked_at, last_unlocked_at } = rules::summarise(facts);
    let mut compare = |what: &str, stored: String, expected: String| {
        if stored != expected {
            found.push(Found { user: Some(user), what: format!("{what} of game:{}", game.key), stored, expected });
        }
    };
    for (what, stored, expected) in [
        ("achieved", stored.score.num_achieved, score.num_achieved),
        ("points", stored.score.score_achieved, score.score_achieved),
        ("achieved in hardcore mode", stored.score.num_achieved_hardcore, score.num_achieved_hardcore),
        ("points in hardcore mode", stored.score.score_achieved_hardcore, score.score_achieved_hardcore),
    ] {
        compare(what, stored.to_string(), expected.to_string());
    }
    let instant = |at: Option<Timestamp>| at.map_or_else(|| "nothing".to_owned(), |at| at.to_string());
    compare("first unlock", instant(stored.first_unlocked_at), instant(first_unlocked_at));
    compare("last unlock", instant(stored.last_unlocked_at), instant(last_unlocked_at));
    // An award once earned is kept with its date, also when the game grows or shrinks; what is missing is an error.
    let (kept, earned) = (stored.awards, rules::awards(facts));
    let with_earned = kept.with(earned);
    let Awards { beaten, beaten_hardcore, completed, mastered } = with_earned;
    compare("BEATEN", instant(kept.beaten), instant(beaten));
    compare("BEATEN_HARDCORE", instant(kept.beaten_hardcore), instant(beaten_hardcore));
    compare("COMPLETED", instant(kept.completed), instant(completed));
    compare("MASTERED", instant(kept.mastered), instant(mastered));
}

async fn mend_summaries(look: Look<'_>) -> Result<()> {
    let mut changed = Vec::new();
    visit(look, |user, game, stored, facts| {
        let mut found = Vec::new();
        differences(user, game, stored, facts, &mut found);
        if !found.is_empty() {
            let Summary { score, first_unlocked_at, last_unlocked_at } = rules::summarise(facts);
            let awards = stored.awards.with(rules::awards(facts));
            changed.push((user, Achieved { game_id: game.id, score, first_unlocked_at, last_unlocked_at, awards }));
        }
    })
    .await?;
    let mut stores = Stores::default();
    repo::store_summaries(&mut stores, changed);
    stores.flush(look.transaction, None).await
}
