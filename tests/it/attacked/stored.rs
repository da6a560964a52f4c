//! What writes take of the disk for ever, for what they cost.

use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::harness::{Actor, Stage, tests};

tests! {
    own: [
        toggling_a_thousand_resources_keeps_little_for_its_cost,
        a_replayed_write_answers_with_its_events,
    ],
}

const SET: &str = "mutation($i: SetResourcesCompletionInput!) { setResourcesCompletion(input: $i) {
    results { id status error { code message } } changes { events { number kind subject recordedAt } } } }";

async fn number(stage: &Stage, sql: &str) -> i64 {
    let connection = stage.db().reads();
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn set(actor: &Actor, ids: &[String], completed: bool, key: &str) -> (Value, i64) {
    let input =
        json!({ "user": { "handle": "newton" }, "resourceIds": ids, "completed": completed, "idempotencyKey": key });
    let answer = actor.query(SET, json!({ "i": input })).await;
    let cost = answer.json["extensions"]["cost"]["requested"].as_i64().unwrap();
    (answer.data()["setResourcesCompletion"].clone(), cost)
}

async fn toggling_a_thousand_resources_keeps_little_for_its_cost(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let ids: Vec<String> = (0..1000_u64).map(|n| format!("{:024x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let kept = "SELECT CAST(coalesce(sum(length(outcome)), 0) AS bigint) FROM idempotency_keys";
    // What a row takes besides its texts: two numbers, two instants, headers and its place in an index.
    let events = "SELECT CAST(sum(length(kind) + length(actor) + length(subject_type) + length(subject_key) \
                  + length(changes) + 80) AS bigint) FROM history_events";
    let before = (number(&stage, kept).await, number(&stage, events).await);
    let mut costs = 0;
    for round in 0..4 {
        let (answer, cost) = set(&app, &ids, round % 2 == 0, &format!("round {round}")).await;
        assert_eq!(answer["results"].as_array().unwrap().len(), 1000);
        assert_eq!(answer["changes"]["events"].as_array().map_or(0, Vec::len), 1000, "each is told");
        costs += cost;
    }
    let (kept, events) = (number(&stage, kept).await - before.0, number(&stage, events).await - before.1);
    println!("kept outcomes {} bytes, events {} bytes, for a cost of {}", kept / 4, events / 4, costs / 4);
    assert!(kept / 4 < 20_000, "{kept} bytes are kept of four writes");
    // It was 439 for each unit of cost.
    assert!((kept + events) / costs < 43, "{kept} and {events} bytes for {costs}");
}

async fn a_replayed_write_answers_with_its_events(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let mut ids: Vec<String> = (0..40).map(|n| format!("{:024x}", n + 7_000_000)).collect();
    ids.push("no such resource".to_owned());
    let (first, _) = set(&app, &ids, true, "again").await;
    assert_eq!(first["changes"]["events"].as_array().unwrap().len(), 40);
    assert_eq!(first["results"][40]["error"]["code"], "UNKNOWN_RESOURCE");
    let (again, _) = set(&app, &ids, true, "again").await;
    assert_eq!(again, first);
    // A key of an earlier version, whose events were kept with the outcome.
    let old = json!({
        "outcome": [{ "id": "resource:x", "status": "Applied", "error": null }],
        "events": [],
    });
    let connection = stage.db().writes();
    let sql = format!("UPDATE idempotency_keys SET outcome = '{old}' WHERE key = 'again'");
    connection.execute_unprepared(&sql).await.unwrap();
    let (kept, _) = set(&app, &ids, true, "again").await;
    assert_eq!(kept["results"], json!([{ "id": "resource:x", "status": "APPLIED", "error": null }]));
}
