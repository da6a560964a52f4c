//! A user's games.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use tokio_postgres::Row;

use super::{Connection, OneUser, key, keys};
use crate::Result;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Summary {
    game: Game,
    num_achieved: i32,
    num_possible: i32,
    score_achieved: i32,
    possible_score: i32,
    num_achieved_hardcore: i32,
    score_achieved_hardcore: i32,
}

#[derive(Clone, Serialize)]
struct Game {
    title: String,
}

/// The summaries in the order of the ids, from rows in any order.
pub(super) fn summaries(rows: &[Row], ids: &[String]) -> Vec<Option<Summary>> {
    let rows: HashMap<&str, &Row> = rows.iter().filter_map(|row| Some((row.get::<_, Option<&str>>(0)?, row))).collect();
    let summary = |row: &&Row| Summary {
        game: Game { title: row.get(1) },
        num_achieved: row.get(2),
        num_possible: row.get(3),
        score_achieved: row.get(4),
        possible_score: row.get(5),
        num_achieved_hardcore: row.get(6),
        score_achieved_hardcore: row.get(7),
    };
    ids.iter().map(|id| rows.get(key(id)).map(summary)).collect()
}

#[derive(Deserialize)]
pub(super) struct Variables {
    id: String,
    games: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct User {
    game_summaries: Vec<Option<Summary>>,
}

/// Q4.
pub(super) async fn of_one(connection: &Connection, variables: Variables) -> Result<OneUser<User>> {
    let Connection { client, statements } = connection;
    let ulid = key(&variables.id);
    let keys = keys(&variables.games);
    let rows = client.query(&statements.games, &[&ulid, &keys]).await?;
    let user = User { game_summaries: summaries(&rows, &variables.games) };
    Ok(OneUser { user: (!rows.is_empty()).then_some(user) })
}
