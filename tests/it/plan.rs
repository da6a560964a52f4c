//! What is written by a plan is what the engine would have answered.

use serde_json::json;
use waymark::auth::Scope;

use crate::batching::handles;
use crate::harness::{Stage, tests};

tests! {
    demo: [
        plans_and_the_engine_give_the_same_answers,
        a_place_without_a_user_stays_empty,
        what_one_user_may_not_see_fails_beside_the_others,
    ],
}

/// All fields that plans write, and some that they leave to the engine.
const FIELDS: &str = "id handle displayName avatarUrl createdAt profileVisibility credits { available { credits } }
    gameSummaries(gameIds: $games) { title total possibleScore done numAchieved scoreAchieved numAchievedHardcore
        scoreAchievedHardcore firstUnlockedAt lastUnlockedAt
        game { id key title platform image numPossible possibleScore } }
    scores: gameSummaries(gameIds: $games) { game { id } points: scoreAchieved numPossible }
    resourceProgress(resourceIds: $resources) { resourceKey completed done progress timeSpent notes completedAt
        lastAccessedAt resource { id key title type section url estimatedMinutes } }
    marks: resourceProgress(resourceIds: $resources) { completed percent: progress completedAt resource { title } }";

async fn plans_and_the_engine_give_the_same_answers(stage: Stage) {
    let app = stage.app(&[Scope::ProgressRead]).await;
    let games = app.data("{ games(first: 10) { nodes { key } } }", json!({})).await;
    let resources = app.data("{ resources(first: 10) { nodes { key } } }", json!({})).await;
    let keys = |list: &serde_json::Value| -> Vec<String> {
        let nodes = list["nodes"].as_array().unwrap().iter();
        nodes.map(|node| node["key"].as_str().unwrap().to_owned()).chain(["nothing".to_owned()]).collect()
    };
    let by: Vec<_> = handles(&stage).await.into_iter().take(12).map(|handle| json!({ "handle": handle })).collect();
    let variables = json!({ "by": by, "games": keys(&games["games"]), "resources": keys(&resources["resources"]) });
    let arguments = "query($by: [UserBy!]!, $games: [ID!]!, $resources: [ID!]!)";
    // Fragments are the engine's business.
    let planned = app.data(&format!("{arguments} {{ users(by: $by) {{ {FIELDS} }} }}"), variables.clone()).await;
    let engine = app.data(&format!("{arguments} {{ users(by: $by) {{ ... {{ {FIELDS} }} }} }}"), variables).await;
    assert_eq!(planned, engine);
    assert_eq!(planned["users"].as_array().unwrap().len(), by.len());
}

async fn a_place_without_a_user_stays_empty(stage: Stage) {
    let app = stage.app(&[Scope::ProgressRead]).await;
    let by = json!([{ "handle": "nobodyofthatname" }, { "handle": "MaxMilyin" }, { "id": "malformed" }]);
    let answer = app.query("query($by: [UserBy!]!) { users(by: $by) { handle } }", json!({ "by": by })).await.json;
    assert_eq!(answer["data"]["users"], json!([null, { "handle": "MaxMilyin" }, null]));
    assert_eq!(answer["errors"][0]["path"], json!(["users", 2]));
}

async fn what_one_user_may_not_see_fails_beside_the_others(stage: Stage) {
    let query = "query($by: [UserBy!]!, $ids: [ID!]!) { users(by: $by) { handle resourceProgress(resourceIds: $ids) { done } } }";
    let variables = json!({ "by": [{ "handle": "MaxMilyin" }], "ids": ["nothing"] });
    let answer = stage.anonymous().query(query, variables).await.json;
    assert_eq!(answer["data"]["users"], json!([{ "handle": "MaxMilyin", "resourceProgress": null }]));
    assert_eq!(answer["errors"][0]["path"], json!(["users", 0, "resourceProgress"]));
    assert_eq!(answer["errors"][0]["extensions"]["code"], json!("FORBIDDEN"));
}
