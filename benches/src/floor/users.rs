//! One user, and many.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::{Connection, OneUser, Parameters, key, keys};
use crate::Result;

#[derive(Deserialize)]
pub(super) struct One {
    id: String,
}

#[derive(Serialize)]
pub(super) struct User {
    id: String,
    handle: String,
}

/// Q1.
pub(super) async fn one(connection: &Connection, variables: One) -> Result<OneUser<User>> {
    let Connection { client, statements } = connection;
    let row = client.query_opt(&statements.one, &[&key(&variables.id)]).await?;
    Ok(OneUser { user: row.map(|row| User { id: format!("user:{}", row.get::<_, &str>(0)), handle: row.get(1) }) })
}

#[derive(Deserialize)]
pub(super) struct Many {
    by: Vec<By>,
    games: Vec<String>,
    resources: Vec<String>,
}

#[derive(Deserialize)]
struct By {
    id: String,
}

#[derive(Serialize)]
pub(super) struct Users {
    users: Vec<Option<Player>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Player {
    handle: String,
    game_summaries: Vec<Option<Summary>>,
    resource_progress: Vec<Option<Progress>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    game: Game,
    num_achieved: i32,
    num_possible: i32,
    score_achieved: i32,
    possible_score: i32,
    num_achieved_hardcore: i32,
    score_achieved_hardcore: i32,
}

#[derive(Serialize)]
struct Game {
    id: String,
}

#[derive(Serialize)]
struct Progress {
    completed: bool,
    progress: i16,
}

/// Q3.
pub(super) async fn many(connection: &Connection, variables: Many) -> Result<Users> {
    let Connection { client, statements } = connection;
    let ulids: Vec<&str> = variables.by.iter().map(|by| key(&by.id)).collect();
    let game_keys = keys(&variables.games);
    let resource_keys = keys(&variables.resources);
    let [by_ulid, by_game, by_resource]: [Parameters<'_, 1>; 3] = [[&ulids], [&game_keys], [&resource_keys]];
    let [of_games, of_resources]: [Parameters<'_, 2>; 2] = [[&ulids, &game_keys], [&ulids, &resource_keys]];
    let (users, games, summaries, resources, progress) = tokio::try_join!(
        client.query(&statements.many, &by_ulid),
        client.query(&statements.many_games, &by_game),
        client.query(&statements.many_summaries, &of_games),
        client.query(&statements.many_resources, &by_resource),
        client.query(&statements.many_progress, &of_resources),
    )?;
    let users: HashMap<&str, &Row> = users.iter().map(|row| (row.get(1), row)).collect();
    let games: HashMap<&str, &Row> = games.iter().map(|row| (row.get(1), row)).collect();
    let resources: HashMap<&str, i64> = resources.iter().map(|row| (row.get(1), row.get(0))).collect();
    let summaries: HashMap<(i64, i64), &Row> = summaries.iter().map(|row| ((row.get(0), row.get(1)), row)).collect();
    let progress: HashMap<(i64, i64), &Row> = progress.iter().map(|row| ((row.get(0), row.get(1)), row)).collect();

    let game_rows: Vec<Option<&Row>> = game_keys.iter().map(|key| games.get(key).copied()).collect();
    let resource_ids: Vec<Option<i64>> = resource_keys.iter().map(|key| resources.get(key).copied()).collect();
    let player = |row: &&Row| {
        let user: i64 = row.get(0);
        let summary = |game: &Row| {
            let stored = summaries.get(&(user, game.get(0)));
            let achieved = |column: usize| stored.map_or(0, |row| row.get(column));
            Summary {
                game: Game { id: format!("game:{}", game.get::<_, &str>(1)) },
                num_achieved: achieved(2),
                num_possible: game.get(2),
                score_achieved: achieved(3),
                possible_score: game.get(3),
                num_achieved_hardcore: achieved(4),
                score_achieved_hardcore: achieved(5),
            }
        };
        let progress = |resource: i64| {
            let stored = progress.get(&(user, resource));
            Progress { completed: stored.is_some_and(|row| row.get(2)), progress: stored.map_or(0, |row| row.get(3)) }
        };
        Player {
            handle: row.get(2),
            game_summaries: game_rows.iter().map(|game| game.map(summary)).collect(),
            resource_progress: resource_ids.iter().map(|resource| resource.map(progress)).collect(),
        }
    };
    Ok(Users { users: ulids.iter().map(|ulid| users.get(ulid).map(player)).collect() })
}
