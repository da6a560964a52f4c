//! Collections and cards.

use serde_json::{Value, json};

use crate::harness::{Stage, tests};

tests! {
    demo: [
        three_of_ten_cards_are_thirty_percent,
        collections_outside_their_dates_are_shown_as_they_wish,
        every_status_of_a_collection,
        collections_are_filtered_by_status,
        a_collection_without_cards_never_completes,
        cards_are_listed_with_how_many_are_owned,
        cards_are_listed_in_pages_of_all_of_the_owned_and_of_the_missing,
        an_open_ended_collection_has_no_time_left,
        a_completed_collection_stays_completed_after_its_end,
        a_reward_is_refused_for_a_reason,
        only_the_user_and_apps_learn_why_a_reward_is_refused,
    ],
}

async fn three_of_ten_cards_are_thirty_percent(stage: Stage) {
    let query = r#"{ user(by: {account: {platform: "discord", id: "123456789012345678"}}) {
        handle collection(id: "program_123") { status progressInPercentage collectedCount size done total ratio state timeLeft } } }"#;
    assert_eq!(
        stage.anonymous().data(query, Value::Null).await["user"],
        json!({
            "handle": "snowfall",
            "collection": {
                "status": "IN_PROGRESS", "progressInPercentage": 30, "collectedCount": 3, "size": 10,
                "done": 3, "total": 10, "ratio": 0.3, "state": "IN_PROGRESS", "timeLeft": 648_000,
            },
        })
    );
}

async fn collections_outside_their_dates_are_shown_as_they_wish(stage: Stage) {
    let query = "{ collections { totalCount nodes { key } } }";
    // Hidden: lost-archive, which is over, and secret-garden, which has not begun. Shown though it is over: harvest-fair;
    // shown before it begins: starlight.
    let shown = ["program_123", "founders", "harvest-fair", "starlight", "blank-canvas", "polar-lights"];
    let nodes: Vec<_> = shown.iter().map(|key| json!({ "key": key })).collect();
    let data = stage.anonymous().data(query, Value::Null).await;
    assert_eq!(data["collections"], json!({ "totalCount": 6, "nodes": nodes }));

    let single = "query($id: ID!) { collection(id: $id) { key } viewer { user { collection(id: $id) { id } } } }";
    for hidden in ["lost-archive", "secret-garden", "unknown"] {
        let data = stage.user("grace").data(single, json!({ "id": hidden })).await;
        assert_eq!(data, json!({ "collection": null, "viewer": { "user": { "collection": null } } }), "{hidden}");
    }
    let nodes = r#"{ nodes(ids: ["collection:lost-archive", "card:lost-archive-01", "card:program_123-01"]) { id } }"#;
    let data = stage.anonymous().data(nodes, Value::Null).await;
    assert_eq!(data["nodes"], json!([null, null, { "id": "card:program_123-01" }]));
}

async fn every_status_of_a_collection(stage: Stage) {
    let query = r#"query($handle: String!) { user(by: {handle: $handle}) { collections {
        nodes { collection { key } status progressInPercentage collectedCount size state completedAt timeLeft } } } }"#;
    let data = stage.anonymous().data(query, json!({ "handle": "grace" })).await;
    insta::assert_json_snapshot!("collections_of_grace", data["user"]["collections"]["nodes"]);
    let data = stage.user("ada").data(query, json!({ "handle": "newton" })).await;
    let nodes = data["user"]["collections"]["nodes"].as_array().unwrap();
    let statuses: Vec<_> = nodes.iter().map(|one| one["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["NOT_STARTED", "NOT_STARTED", "EXPIRED", "UPCOMING", "NOT_STARTED", "NOT_STARTED"]);
}

async fn collections_are_filtered_by_status(stage: Stage) {
    let query = r#"query($status: CollectionStatus) { user(by: {handle: "grace"}) { collections(status: $status) {
        totalCount nodes { collection { key } } } } }"#;
    for (status, keys) in [
        ("COMPLETED", vec!["founders", "harvest-fair", "polar-lights"]),
        ("IN_PROGRESS", vec!["program_123"]),
        ("NOT_STARTED", vec!["blank-canvas"]),
        ("UPCOMING", vec!["starlight"]),
        ("EXPIRED", vec![]),
    ] {
        let data = stage.anonymous().data(query, json!({ "status": status })).await;
        let nodes: Vec<_> = keys.into_iter().map(|key| json!({ "collection": { "key": key } })).collect();
        assert_eq!(data["user"]["collections"], json!({ "totalCount": nodes.len(), "nodes": nodes }), "{status}");
    }
}

async fn a_collection_without_cards_never_completes(stage: Stage) {
    let query = r#"{ user(by: {handle: "cleo"}) { collection(id: "blank-canvas") {
        status progressInPercentage size ratio completedAt cards { quantity } reward { isClaimed } } } }"#;
    assert_eq!(
        stage.anonymous().data(query, Value::Null).await["user"]["collection"],
        json!({
            "status": "NOT_STARTED", "progressInPercentage": 0, "size": 0, "ratio": 0.0, "completedAt": null, "cards": [],
            "reward": null,
        })
    );
}

async fn cards_are_listed_with_how_many_are_owned(stage: Stage) {
    let query = r#"{ user(by: {handle: "snowfall"}) { collection(id: "program_123") {
        collectedCount collection { cards { key } } cards { isOwned quantity firstAcquiredAt card { key } } } } }"#;
    let collection = stage.anonymous().data(query, Value::Null).await["user"]["collection"].clone();
    let cards = collection["cards"].as_array().unwrap();
    let keys: Vec<_> = cards.iter().map(|card| card["card"].clone()).collect();
    assert_eq!(json!(keys), collection["collection"]["cards"]);
    assert_eq!(cards.iter().filter(|card| card["isOwned"] == true).count(), 3);
    for card in cards {
        let owned = card["isOwned"] == true;
        assert_eq!((card["quantity"].as_i64() > Some(0), !card["firstAcquiredAt"].is_null()), (owned, owned), "{card}");
    }
}

async fn cards_are_listed_in_pages_of_all_of_the_owned_and_of_the_missing(stage: Stage) {
    let query = r#"query($owned: Boolean, $after: String) { user(by: {handle: "snowfall"}) { collection(id: "program_123") {
        cards { card { key } isOwned quantity firstAcquiredAt }
        cardsConnection(first: 4, isOwned: $owned, after: $after) {
            totalCount pageInfo { hasNextPage endCursor } nodes { card { key } isOwned quantity firstAcquiredAt }
        } } } }"#;
    for (owned, total) in [(Value::Null, 10), (json!(true), 3), (json!(false), 7)] {
        let (mut seen, mut after) = (Vec::new(), Value::Null);
        let all = loop {
            let variables = json!({ "owned": owned, "after": after });
            let collection = stage.anonymous().data(query, variables).await["user"]["collection"].clone();
            let page = &collection["cardsConnection"];
            assert_eq!(page["totalCount"], total, "{owned}");
            seen.extend(page["nodes"].as_array().unwrap().iter().cloned());
            if page["pageInfo"]["hasNextPage"] != true {
                break collection["cards"].as_array().unwrap().clone();
            }
            after = page["pageInfo"]["endCursor"].clone();
        };
        let wanted: Vec<_> = all.into_iter().filter(|card| owned.is_null() || card["isOwned"] == owned).collect();
        assert_eq!(seen, wanted, "in the operator's order");
    }
    let refused = query.replace("first: 4", "first: 101");
    let answer = stage.anonymous().query(&refused, json!({})).await;
    assert_eq!(
        (answer.codes(), answer.json["data"]["user"]["collection"]["cardsConnection"].is_null()),
        (vec!["BAD_USER_INPUT"], true)
    );
}

async fn an_open_ended_collection_has_no_time_left(stage: Stage) {
    let query = r#"{ open: collection(id: "founders") { startDate endDate timeLeft }
        over: collection(id: "harvest-fair") { endDate timeLeft } runs: collection(id: "program_123") { startDate timeLeft } }"#;
    assert_eq!(
        stage.anonymous().data(query, Value::Null).await,
        json!({
            "open": { "startDate": "2025-08-21T00:00:00.000Z", "endDate": null, "timeLeft": null },
            "over": { "endDate": "2026-05-18T00:00:00.000Z", "timeLeft": 0 },
            "runs": { "startDate": null, "timeLeft": 648_000 },
        })
    );
}

async fn a_completed_collection_stays_completed_after_its_end(stage: Stage) {
    let query = r#"{ user(by: {handle: "grace"}) { collection(id: "harvest-fair") { status timeLeft progressInPercentage } } }"#;
    let data = stage.anonymous().data(query, Value::Null).await;
    let expected = json!({ "status": "COMPLETED", "timeLeft": 0, "progressInPercentage": 100 });
    assert_eq!(data["user"]["collection"], expected);
}

async fn a_reward_is_refused_for_a_reason(stage: Stage) {
    let query = "{ viewer { user { collections { nodes { collection { key } reward { isClaimed refusal reward { key } } } } } } }";
    let data = stage.user("grace").data(query, Value::Null).await;
    let rewards: Vec<_> = data["viewer"]["user"]["collections"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let key = one["collection"]["key"].as_str().unwrap();
            (key, one["reward"]["isClaimed"].as_bool(), one["reward"]["refusal"].as_str())
        })
        .collect();
    assert_eq!(
        rewards,
        [
            ("program_123", Some(false), Some("NOT_COMPLETED")),
            ("founders", Some(true), Some("ALREADY_CLAIMED")),
            ("harvest-fair", Some(true), Some("ALREADY_CLAIMED")),
            ("starlight", Some(false), Some("NOT_COMPLETED")),
            ("blank-canvas", None, None),
            ("polar-lights", Some(false), Some("OUT_OF_STOCK")),
        ]
    );
}

async fn only_the_user_and_apps_learn_why_a_reward_is_refused(stage: Stage) {
    let query =
        r#"{ user(by: {handle: "grace"}) { collection(id: "polar-lights") { reward { isClaimed refusal } } } }"#;
    let app = stage.app(&[waymark::auth::Scope::ProgressRead]).await;
    for (actor, allowed) in
        [(stage.anonymous(), false), (stage.user("ada"), false), (stage.user("grace"), true), (app, true)]
    {
        let answer = actor.query(query, Value::Null).await;
        let refusal = if allowed { json!("OUT_OF_STOCK") } else { Value::Null };
        assert_eq!(
            answer.json["data"]["user"]["collection"]["reward"],
            json!({ "isClaimed": false, "refusal": refusal }),
            "{}",
            answer.text
        );
        assert_eq!(answer.codes(), if allowed { vec![] } else { vec!["FORBIDDEN"] });
    }
}
