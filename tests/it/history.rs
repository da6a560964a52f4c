//! The history of a user.

use serde_json::{Value, json};

use crate::harness::{Stage, tests};

tests! {
    demo: [
        events_are_numbered_without_gaps_from_the_newest,
        events_are_filtered_by_kind,
        a_filtered_history_counts_what_it_lists,
        every_unlock_and_claim_is_in_the_history,
        the_newest_events_of_grace,
    ],
}

async fn history(stage: &Stage, handle: &str, arguments: &str, nodes: &str) -> Value {
    let query = format!("{{ viewer {{ user {{ history({arguments}) {{ totalCount nodes {{ {nodes} }} }} }} }} }}");
    stage.user(handle).data(&query, Value::Null).await["viewer"]["user"]["history"].clone()
}

async fn events_are_numbered_without_gaps_from_the_newest(stage: Stage) {
    for handle in ["grace", "mallory", "newton"] {
        let history = history(&stage, handle, "first: 100", "number recordedAt").await;
        let newest = history["totalCount"].as_i64().unwrap();
        for (event, number) in history["nodes"].as_array().unwrap().iter().zip((1..=newest).rev()) {
            assert_eq!(event["number"], number, "{handle}");
        }
        let times =
            history["nodes"].as_array().unwrap().iter().rev().map(|event| event["recordedAt"].as_str().unwrap());
        assert!(times.is_sorted(), "{handle}");
    }
}

async fn events_are_filtered_by_kind(stage: Stage) {
    let history = history(&stage, "grace", "first: 100, kinds: [AWARD_EARNED, GOAL_CLAIMED]", "kind").await;
    let kinds: Vec<_> =
        history["nodes"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert!(kinds.iter().all(|kind| ["AWARD_EARNED", "GOAL_CLAIMED"].contains(kind)));
    assert!(kinds.contains(&"AWARD_EARNED") && kinds.contains(&"GOAL_CLAIMED"));
}

async fn a_filtered_history_counts_what_it_lists(stage: Stage) {
    for kinds in ["kinds: [GOAL_CLAIMED]", "kinds: [AWARD_EARNED, GOAL_CLAIMED]", "kinds: [ERASED]"] {
        let history = history(&stage, "grace", &format!("first: 100, {kinds}"), "number").await;
        assert_eq!(history["totalCount"], history["nodes"].as_array().unwrap().len(), "{kinds}");
    }
    let all = history(&stage, "grace", "first: 1", "number").await;
    assert_eq!(history(&stage, "grace", "first: 1, kinds: []", "number").await, all);
    assert_eq!(history(&stage, "grace", "first: 1, kinds: null", "number").await, all);
}

async fn every_unlock_and_claim_is_in_the_history(stage: Stage) {
    let query = "{ viewer { user {
        claimed: season { goals(all: true) { isClaimed } } before: season(id: \"first-light\") { goals(all: true) { isClaimed } }
        claims: history(kinds: [GOAL_CLAIMED]) { totalCount }
        games(first: 100) { nodes { awards { award } } } awards: history(kinds: [AWARD_EARNED]) { totalCount }
        started: history(kinds: [USER_CREATED]) { totalCount nodes { number } } } } }";
    let user = stage.user("grace").data(query, Value::Null).await["viewer"]["user"].clone();
    let seasons = [&user["claimed"], &user["before"]].map(|season| season["goals"].as_array().unwrap());
    let claimed = seasons.into_iter().flatten().filter(|goal| goal["isClaimed"] == true).count();
    assert_eq!(user["claims"]["totalCount"], claimed);
    let awards: usize =
        user["games"]["nodes"].as_array().unwrap().iter().map(|game| game["awards"].as_array().unwrap().len()).sum();
    assert_eq!(user["awards"]["totalCount"], awards);
    assert_eq!(user["started"], json!({ "totalCount": 1, "nodes": [{ "number": 1 }] }));
}

async fn the_newest_events_of_grace(stage: Stage) {
    let events = history(&stage, "grace", "first: 10", "number kind actor subject changes occurredAt recordedAt").await;
    insta::assert_json_snapshot!("newest_events_of_grace", events);
}
