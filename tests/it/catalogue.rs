//! The catalogue in memory follows the database.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use waymark::db::Db;

use crate::harness::{Stage, by_hand, tests};

tests! {
    empty: [
        what_this_process_wrote_is_visible_once_refreshed,
        what_another_process_wrote_becomes_visible,
        what_is_taken_away_is_gone,
    ],
}

const ADD: &str = "INSERT INTO games (key, title, created_at, updated_at) VALUES ('new', 'New Game', 0, 0)";

async fn titles(stage: &Stage) -> Value {
    stage.anonymous().data("{ games { nodes { title } } }", Value::Null).await["games"]["nodes"].clone()
}

/// Waits until the titles are these: half a second, and the time that a busy machine adds.
async fn becomes(stage: &Stage, expected: Value) {
    let begun = Instant::now();
    while titles(stage).await != expected {
        assert!(begun.elapsed() < Duration::from_secs(60), "not visible after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn what_this_process_wrote_is_visible_once_refreshed(stage: Stage) {
    assert_eq!(titles(&stage).await, json!([]));
    by_hand(stage.db(), ADD).await;
    stage.app.refresh_catalogue().await.unwrap();
    assert_eq!(titles(&stage).await, json!([{ "title": "New Game" }]));
    by_hand(stage.db(), "UPDATE games SET title = 'Newer Game'").await;
    stage.app.refresh_catalogue().await.unwrap();
    assert_eq!(titles(&stage).await, json!([{ "title": "Newer Game" }]));
}

async fn what_another_process_wrote_becomes_visible(stage: Stage) {
    assert_eq!(titles(&stage).await, json!([]));
    let other = Db::connect(&stage.url, 1).await.unwrap();
    by_hand(&other, ADD).await;
    becomes(&stage, json!([{ "title": "New Game" }])).await;
}

async fn what_is_taken_away_is_gone(stage: Stage) {
    by_hand(stage.db(), ADD).await;
    becomes(&stage, json!([{ "title": "New Game" }])).await;
    by_hand(stage.db(), "DELETE FROM games").await;
    becomes(&stage, json!([])).await;
}
