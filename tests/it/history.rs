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
    own: [
        long_texts_are_there_wherever_they_are_asked_for,
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

async fn long_texts_are_there_wherever_they_are_asked_for(stage: Stage) {
    let admin = stage.app(&[waymark::auth::Scope::Admin]).await;
    let grant = "mutation { grantCredits(input: {user: {handle: \"grace\"}, amount: {micros: 7}, reason: \"for texts\"}) { status } }";
    admin.data(grant, Value::Null).await;
    let key = "mutation { createApiKey(input: {name: \"for texts\", scopes: [PROGRESS_READ]}) { secret } }";
    admin.data(key, Value::Null).await;
    // The same page without the text, with it, and with it in another place: what one asks for is not missing in the other.
    let list = |field: &str, shown: &str, of: &str| {
        format!(
            "none: {field}(first: 1) {{ nodes {{ recordedAt }} }} nodes: {field}(first: 1) {{ nodes {{ recordedAt other: {shown} }} }}
            edges: {field}(first: 1) {{ edges {{ node {{ ... on {of} {{ ...{of}Text }} }} }} }}"
        )
    };
    let [history, ledger, audit] = [
        list("history", "changes", "ProgressEvent"),
        list("ledger", "reason", "CreditEntry"),
        list("auditLog", "changes", "AuditEntry"),
    ];
    let query = format!(
        "query($is: Boolean!) {{ user(by: {{handle: \"grace\"}}) {{ {history} credits {{ {ledger} }} }} {audit} }}
        fragment ProgressEventText on ProgressEvent {{ changes @include(if: $is) }}
        fragment CreditEntryText on CreditEntry {{ reason @include(if: $is) }}
        fragment AuditEntryText on AuditEntry {{ changes @include(if: $is) }}"
    );
    let data = admin.data(&query, json!({ "is": true })).await;
    let without = admin.data(&query, json!({ "is": false })).await;
    for (list, place, field, text) in [
        ("history", "/user", "changes", "0.000007"),
        ("ledger", "/user/credits", "reason", "for texts"),
        ("auditLog", "", "changes", "progress:read"),
    ] {
        let lists = data.pointer(place).unwrap();
        assert!(lists["none"]["nodes"][0]["recordedAt"].is_string(), "{list}");
        let shown = &lists["nodes"]["nodes"][0]["other"];
        assert!(shown.to_string().contains(text), "{list}: {shown}");
        assert_eq!(lists["edges"]["edges"][0]["node"], json!({ field: shown }), "{list}");
        assert_eq!(without.pointer(place).unwrap()["edges"]["edges"][0]["node"], json!({}), "{list}");
    }
}
