//! Requests that cannot be answered.

use axum::body::Body;
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use axum::http::{Method, Request};
use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::harness::{Answer, Stage, tests};

tests! {
    demo: [
        a_body_that_is_no_request_is_refused,
        only_json_is_taken,
        get_runs_queries_only,
        get_takes_its_parameters_from_the_address,
        a_document_that_is_no_graphql_is_refused,
        a_document_that_does_not_fit_the_schema_is_refused,
        variables_of_the_wrong_type_are_refused_before_anything_runs,
        variables_that_are_missing_are_refused_before_anything_runs,
        an_input_object_names_each_field_once,
        an_omitted_variable_stands_for_its_default,
        an_omitted_variable_leaves_the_argument_to_its_own_default,
        a_single_value_stands_for_a_list_and_a_number_for_an_id,
        an_operation_is_chosen_by_its_name,
        plain_json_clients_get_status_200_for_documents_that_are_refused,
        a_failed_field_leaves_the_rest_of_the_answer,
        an_address_that_is_not_there_is_not_found,
        skipped_fields_are_not_there,
    ],
    own: [
        nothing_is_carried_out_of_a_document_with_a_bad_value_anywhere,
        what_is_wrong_with_a_value_is_told_with_its_place_in_our_words,
        what_is_wrong_with_a_body_is_told_in_our_words,
        a_malformed_item_of_a_list_fails_alone_in_every_mutation,
        what_was_sent_for_an_id_is_answered_in_no_more_than_an_id_takes,
    ],
}

async fn nothing_is_carried_out_of_a_document_with_a_bad_value_anywhere(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let granted = async || {
        let query = "{ user(by: { handle: \"xelnia\" }) { credits { ledger(first: 1) { totalCount } } } }";
        app.data(query, Value::Null).await["user"]["credits"]["ledger"]["totalCount"].clone()
    };
    let before = granted().await;
    let good = r#"a: grantCredits(input: { user: { handle: "xelnia" }, amount: { micros: 7 } }) { status }"#;
    let grant =
        |rest: &str| format!(r#"b: grantCredits(input: {{ user: {{ handle: "xelnia" }}, {rest} }}) {{ status }}"#);
    let written = [
        grant(r#"amount: { credits: "1e3" }"#),
        grant("amount: { credits: 5 }"),
        grant("amount: { micros: 1.5 }"),
        grant("amount: { micros: 99999999999999999999 }"),
        grant(r#"amount: { micros: 1 }, expiresAt: "tomorrow""#),
        grant("amount: { micros: 1 }, expiresAt: true"),
        grant(r#"amount: { credits: ["1"] }"#),
        grant(r#"amount: { credits: { credits: "1" } }"#),
        grant("amount: { micros: [1] }"),
        grant("amount: { micros: {} }"),
        grant("amount: { micros: 1 }, expiresAt: []"),
        grant("amount: { micros: 1 }, expiresAt: SOON"),
r#"b: upsertSeason(input: { key: "s", goals: [{ key: "g", title: "G", totalSteps: 1, reward: "x" }] }) { created }"#.to_owned(),
    ];
    for field in written {
        for document in [
            format!("mutation {{ {good} {field} }}"),
            format!("mutation {{ {good} ...More }} fragment More on Mutation {{ {field} }}"),
        ] {
            let answer = app.query(&document, Value::Null).await;
            assert_eq!(answer.json["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{document}: {}", answer.text);
            assert!(answer.json.get("data").is_none(), "{document}: {}", answer.text);
        }
    }
    // What the scalars of GraphQL itself do not take.
    let cards = |rest: &str| {
        format!(
            r#"b: grantCards(input: {{ user: {{ handle: "xelnia" }}, cards: [{{ {rest} }}] }}) {{ results {{ status }} }}"#
        )
    };
    for field in [
        cards(r#"cardId: "founders-01", quantity: 3000000000"#),
        cards(r#"cardId: "founders-01", quantity: 1.5"#),
        cards(r#"cardId: "founders-01", quantity: "1""#),
        cards("cardId: 1.5"),
        cards(r#"cardId: ["founders-01"]"#),
        cards(r#"cardId: "founders-01", ref: 5"#),
        r#"b: unlockAchievements(input: { unlocks: [{ achievementId: "1-01", hardcore: 1 }] }) { results { status } }"#
            .to_owned(),
        r#"b: recordProgress(input: { events: [], mode: "PER_ITEM" }) { results { status } }"#.to_owned(),
        r#"b: recordProgress(input: { events: [], mode: NEVER }) { results { status } }"#.to_owned(),
    ] {
        let document = format!("mutation {{ {good} {field} }}");
        let answer = app.query(&document, Value::Null).await;
        assert!(answer.json["errors"].is_array() && answer.json.get("data").is_none(), "{document}: {}", answer.text);
    }
    let amount = |kind: &str| {
        let field = "b: grantCredits(input: { user: { handle: \"xelnia\" }, amount: { credits: $one } }) { status }";
        format!("mutation($one: {kind}) {{ {good} {field} }}")
    };
    let whole =
        format!("mutation($input: GrantCreditsInput!) {{ {good} b: grantCredits(input: $input) {{ status }} }}");
    let input = |amount: Value| json!({ "input": { "user": { "handle": "xelnia" }, "amount": amount } });
    for (document, variables) in [
        (amount("Credits!"), json!({ "one": "1e3" })),
        (amount("Credits!"), json!({ "one": 5 })),
        (amount("Credits! = \"x\""), json!({})),
        (whole.clone(), input(json!({ "credits": "1e3" }))),
        (whole.clone(), input(json!({ "micros": 1.5 }))),
        (whole.clone(), input(json!({ "micros": [1] }))),
        (whole.clone(), input(json!({ "credits": { "credits": "1" } }))),
        (amount("Credits!"), json!({ "one": ["1"] })),
        (amount("Credits!"), json!({ "one": {} })),
        (whole, input(json!({ "micros": "7" }))),
    ] {
        let answer = app.query(&document, variables.clone()).await;
        assert_eq!(answer.json["errors"][0]["extensions"]["code"], "BAD_USER_INPUT", "{variables}: {}", answer.text);
        assert!(answer.json.get("data").is_none(), "{variables}: {}", answer.text);
    }
    assert_eq!(granted().await, before);
}

async fn a_malformed_item_of_a_list_fails_alone_in_every_mutation(stage: Stage) {
    let admin = stage.app(&[Scope::Admin, Scope::ProgressWrite]).await;
    let ids = ["", " ", "..", "a\u{7}b", "\0", &"x".repeat(256)];
    let dates = [json!("tomorrow"), json!(5), json!(true), json!("2026-13-01T00:00:00Z"), json!("\0")];
    let unlock = |id: &str| json!({ "achievementId": id });
    let step = |id: &str| json!({ "goalId": id, "setTo": 8 });
    let card = |id: &str| json!({ "cardId": id });
    // The mutation, its list, a good item of which nothing is left to be done or that is refused by itself, and how it is refused.
    type Item<'a> = &'a dyn Fn(&str) -> Value;
    let bare: Item<'_> = &|id| json!(id);
    let mutations: [(&str, &str, Item<'_>, &str, &str); 6] = [
        ("unlockAchievements", "unlocks", &unlock, "1-01", "results { status error { code } }"),
        ("relockAchievements", "achievementIds", bare, "1-01", "results { status error { code } }"),
        ("recordGoalSteps", "steps", &step, "rising-tide-3", "results { status error { code } }"),
        ("claimGoals", "goalIds", bare, "rising-tide-4", "results { status error { code } }"),
        ("grantCards", "cards", &card, "founders-01", "results { status error { code } }"),
        ("removeCards", "cards", &card, "founders-01", "results { status error { code } }"),
    ];
    for (mutation, list, item, good, fields) in mutations {
        let kind = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
        let query =
            format!("mutation($input: {kind}!) {{ {mutation}(input: $input) {{ {fields} userErrors {{ path }} }} }}");
        let send = async |items: Vec<Value>| {
            let mut input = json!({ "user": { "handle": "grace" } });
            input[list] = items.into();
            admin.data(&query, json!({ "input": input })).await[mutation].clone()
        };
        let alone = send(vec![item(good)]).await["results"][0]["error"].clone();
        let items = ids.iter().map(|id| item(id)).chain([item(good)]).collect();
        let done = send(items).await;
        for place in 0..ids.len() {
            assert_eq!(done["results"][place]["error"]["code"], "INVALID_INPUT", "{mutation} {:?}: {done}", ids[place]);
            assert_eq!(done["userErrors"][place]["path"], json!([list, place.to_string()]), "{mutation}");
        }
        assert_eq!(done["results"][ids.len()]["error"], alone, "{mutation}");
    }

    let dated = |item: Value, name: &str, date: &Value| {
        let mut item = item;
        item[name] = date.clone();
        item
    };
    for (mutation, list, item, name, good) in [
        ("unlockAchievements", "unlocks", unlock("1-02"), "unlockedAt", unlock("1-02")),
        ("recordGoalSteps", "steps", step("rising-tide-3"), "occurredAt", step("rising-tide-3")),
        ("recordProgress", "events", unlock("1-03"), "unlockedAt", json!({ "achievementUnlock": unlock("1-03") })),
        (
            "recordProgress",
            "events",
            step("rising-tide-3"),
            "occurredAt",
            json!({ "goalSteps": step("rising-tide-3") }),
        ),
    ] {
        let kind = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
        let query = format!(
            "mutation($input: {kind}!) {{ {mutation}(input: $input) {{ results {{ status error {{ code }} }} }} }}"
        );
        let bad = |date: &Value| match good.as_object().unwrap().keys().next().unwrap().as_str() {
            kind @ ("achievementUnlock" | "goalSteps") => json!({ kind: dated(item.clone(), name, date) }),
            _ => dated(item.clone(), name, date),
        };
        let items: Vec<Value> = dates.iter().map(bad).chain([good.clone()]).collect();
        let send = async |mode: &str| {
            let mut input = json!({ "mode": mode });
            input[list] = items.clone().into();
            let user = json!({ "handle": "grace" });
            if mutation == "recordProgress" {
                for item in input[list].as_array_mut().unwrap() {
                    item.as_object_mut().unwrap().values_mut().for_each(|event| event["user"] = user.clone());
                }
            } else {
                input["user"] = user;
            }
            admin.data(&query, json!({ "input": input })).await[mutation]["results"].clone()
        };
        let all_or_nothing = send("ALL_OR_NOTHING").await;
        let done = send("PER_ITEM").await;
        for place in 0..dates.len() {
            assert_eq!(done[place]["error"]["code"], "INVALID_INPUT", "{mutation} {:?}", dates[place]);
            assert_eq!(all_or_nothing[place]["error"]["code"], "INVALID_INPUT", "{mutation} {:?}", dates[place]);
        }
        assert_eq!(done[dates.len()]["error"], Value::Null, "{mutation}");
    }
}

async fn what_was_sent_for_an_id_is_answered_in_no_more_than_an_id_takes(stage: Stage) {
    let admin = stage.app(&[Scope::Admin, Scope::ProgressWrite]).await;
    let long = ["x".repeat(100_000), "\u{1}".repeat(5_000), "🦀".repeat(10_000), "\"".repeat(50_000)];
    for (mutation, list, item) in [
        ("unlockAchievements", "unlocks", r#"{ "achievementId": ID }"#),
        ("relockAchievements", "achievementIds", "ID"),
        ("recordGoalSteps", "steps", r#"{ "goalId": ID, "add": 1 }"#),
        ("claimGoals", "goalIds", "ID"),
        ("grantCards", "cards", r#"{ "cardId": ID }"#),
        ("removeCards", "cards", r#"{ "cardId": ID }"#),
        ("setResourcesCompletion", "resourceIds", "ID"),
        ("recordProgress", "events", r#"{ "goalSteps": { "user": { "handle": "grace" }, "goalId": ID, "add": 1 } }"#),
        ("recordProgress", "events", r#"{ "card": { "user": { "handle": "nobody" }, "cardId": ID } }"#),
        ("recordProgress", "events", r#"{ "enrollment": { "user": { "handle": "grace" }, "seasonId": ID } }"#),
        ("recordProgress", "events", r#"{ "resourceProgress": { "user": { "handle": "grace" }, "resourceId": ID } }"#),
    ] {
        let kind = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
        let query = format!(
            "mutation($input: {kind}!) {{ {mutation}(input: $input) {{ results {{ id error {{ message }} }} userErrors {{ message }} }} }}"
        );
        for id in &long {
            let item: Value = serde_json::from_str(&item.replace("ID", &json!(id).to_string())).unwrap();
            let mut input = json!({ list: [item] });
            if mutation != "recordProgress" {
                input["user"] = json!({ "handle": "grace" });
            }
            if mutation == "setResourcesCompletion" {
                input["completed"] = true.into();
            }
            let done = admin.data(&query, json!({ "input": input })).await[mutation].clone();
            let (answered, error) = (&done["results"][0]["id"], &done["results"][0]["error"]["message"]);
            assert!(
                answered.to_string().len() <= 1_076,
                "{mutation} {item_start}",
                item_start = &answered.to_string()[..60]
            );
            assert!(error.is_string() && error.to_string().len() <= 400, "{mutation}: {error}");
        }
    }
}

async fn post(stage: &Stage, content_type: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post("/graphql").header(CONTENT_TYPE, content_type);
    stage.anonymous().send(request.body(body.into()).unwrap()).await
}

async fn get(stage: &Stage, query: &str) -> Answer {
    let request = Request::get(format!("/graphql{query}")).header(ACCEPT, "application/graphql-response+json");
    stage.anonymous().send(request.body(Body::empty()).unwrap()).await
}

async fn a_body_that_is_no_request_is_refused(stage: Stage) {
    for body in [
        "",
        " ",
        "{",
        "null",
        "[]",
        "1",
        "\"{ viewer { kind } }\"",
        "{}",
        r#"{"query": null}"#,
        r#"{"query": 1}"#,
        r#"{"query": ["{ viewer { kind } }"]}"#,
        r#"{"query": "{ viewer { kind } }", "variables": []}"#,
        r#"{"query": "{ viewer { kind } }", "variables": "{}"}"#,
        r#"{"query": "{ viewer { kind } }", "operationName": 1}"#,
        r#"{"query": "{ viewer { kind } }", "extensions": "x"}"#,
        r#"[{"query": "{ viewer { kind } }"}]"#,
    ] {
        post(&stage, "application/json", body).await.refused(400, "BAD_USER_INPUT");
    }
    let answer = post(&stage, "application/json", vec![0xff, 0xfe, b'{']).await;
    answer.refused(400, "BAD_USER_INPUT");
    // Nesting that would overflow a careless parser's stack.
    post(
        &stage,
        "application/json",
        format!(r#"{{"query": "{{ viewer {{ kind }} }}", "variables": {}"#, "[".repeat(200_000)),
    )
    .await
    .refused(400, "BAD_USER_INPUT");
}

async fn only_json_is_taken(stage: Stage) {
    let body = json!({ "query": "{ viewer { kind } }" }).to_string();
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/graphql",
        "",
    ] {
        post(&stage, content_type, body.clone()).await.refused(415, "BAD_USER_INPUT");
    }
    let none = stage.anonymous().send(Request::post("/graphql").body(Body::from(body.clone())).unwrap()).await;
    none.refused(415, "BAD_USER_INPUT");
    for content_type in ["application/json", "application/json; charset=utf-8", "Application/JSON ; charset=UTF-8"] {
        post(&stage, content_type, body.clone()).await.data();
    }
}

async fn get_runs_queries_only(stage: Stage) {
    for document in ["mutation%20%7B%20x%20%7D", "subscription%20%7B%20x%20%7D"] {
        let answer = get(&stage, &format!("?query={document}")).await;
        assert!([400, 405].contains(&answer.status.as_u16()), "{} {}", answer.status, answer.text);
        assert!(answer.json.get("data").is_none());
        assert!(answer.status.as_u16() != 405 || answer.headers.contains_key(ALLOW));
    }
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let request = Request::builder().method(method).uri("/graphql").body(Body::empty()).unwrap();
        assert_eq!(stage.anonymous().send(request).await.status.as_u16(), 405);
    }
}

async fn get_takes_its_parameters_from_the_address(stage: Stage) {
    let ok = get(&stage, "?query=query+Q(%24id:ID!)%7Bgame(id:%24id)%7Bid%7D%7Dquery+R%7Bviewer%7Bkind%7D%7D&operationName=Q&variables=%7B%22id%22:%221%22%7D").await;
    assert_eq!(ok.data(), json!({ "game": { "id": "game:1" } }));
    for query in [
        "",
        "?",
        "?variables=%7B%7D",
        "?query=%7Bviewer%7Bkind%7D%7D&variables=nonsense",
        "?query=%7Bviewer%7Bkind%7D%7D&variables=%5B%5D",
        "?query=%7Bviewer%7Bkind%7D%7D&query=x",
    ] {
        get(&stage, query).await.refused(400, "BAD_USER_INPUT");
    }
    get(&stage, "?query=").await.refused(400, "GRAPHQL_PARSE_FAILED");
    get(&stage, "?query=%ff%fe").await;
}

async fn a_document_that_is_no_graphql_is_refused(stage: Stage) {
    for document in [
        "",
        " ",
        "# nothing",
        "{",
        "}",
        "{ viewer { }",
        "{ viewer { kind } } }",
        "query Q(",
        "{ game(id: \"1) { id } }",
        "{ viewer { kind } \u{0} }",
        "\u{feff}{",
        "viewer { kind }",
        "{ game(id: \"\\u{110000}\") { id } }",
    ] {
        let answer = stage.anonymous().query(document, Value::Null).await;
        assert_eq!(answer.status.as_u16(), 400, "{document:?} {}", answer.text);
        assert!(answer.codes().iter().all(|code| *code == "GRAPHQL_PARSE_FAILED"), "{document:?} {}", answer.text);
        assert!(answer.json.get("data").is_none() && !answer.codes().is_empty(), "{document:?} {}", answer.text);
    }
}

async fn a_document_that_does_not_fit_the_schema_is_refused(stage: Stage) {
    for document in [
        "{ nothing }",
        "{ viewer }",
        "{ viewer { kind { x } } }",
        "{ viewer { user { id(x: 1) } } }",
        "{ game { id } }",
        "{ game(id: {}) { id } }",
        "{ game(id: null) { id } }",
        "{ game(id: \"1\", id: \"2\") { id } }",
        "{ games(first: \"1\") { nodes { id } } }",
        "{ games(first: 1.5) { nodes { id } } }",
        "{ games(first: 99999999999) { nodes { id } } }",
        "{ viewer { user { games(award: GOLD) { nodes { id } } } } }",
        "{ viewer { user { games(award: \"MASTERED\") { nodes { id } } } } }",
        "{ viewer { user { goals(all: null) { id } } } }",
        "{ user(by: {name: \"grace\"}) { id } }",
        "{ user(by: \"grace\") { id } }",
        "query($id: ID!) { viewer { kind } }",
        "query($id: Nothing) { game(id: $id) { id } }",
        "query($id: ID) { game(id: $id) { id } }",
        "query($id: Int!) { game(id: $id) { id } }",
        "{ game(id: $id) { id } }",
        "{ viewer { ...F } }",
        "{ viewer { kind } } fragment F on Viewer { kind }",
        "{ viewer { ...F } } fragment F on Viewer { ...F }",
        "{ viewer { ... on Game { id } } }",
        "{ viewer { kind @nothing } }",
        "{ viewer { kind @skip } }",
        "{ a: viewer { kind } a: __typename }",
        "{ viewer { kind: now kind } }",
        "query A { viewer { kind } } query A { viewer { kind } }",
        "{ viewer { kind } } query A { viewer { kind } }",
        "mutation { x }",
        "subscription { x }",
        "type T { x: Int }",
    ] {
        let answer = stage.anonymous().query(document, Value::Null).await;
        assert_eq!(answer.status.as_u16(), 400, "{document:?} {}", answer.text);
        assert!(answer.codes().iter().all(|code| *code == "GRAPHQL_VALIDATION_FAILED"), "{document:?} {}", answer.text);
        assert!(answer.json.get("data").is_none() && !answer.codes().is_empty(), "{document:?} {}", answer.text);
    }
}

async fn variables_of_the_wrong_type_are_refused_before_anything_runs(stage: Stage) {
    for (definition, field, value) in [
        ("$x: Int", "games(first: $x) { nodes { id } }", json!("1")),
        ("$x: Int", "games(first: $x) { nodes { id } }", json!(1.5)),
        ("$x: Int", "games(first: $x) { nodes { id } }", json!(3_000_000_000_u64)),
        ("$x: Int", "games(first: $x) { nodes { id } }", json!(true)),
        ("$x: String", "games(search: $x) { nodes { id } }", json!(1)),
        ("$x: String", "games(search: $x) { nodes { id } }", json!({})),
        ("$x: ID!", "game(id: $x) { id }", json!(null)),
        ("$x: ID!", "game(id: $x) { id }", json!(true)),
        ("$x: ID!", "game(id: $x) { id }", json!(["1"])),
        ("$x: [ID!]!", "nodes(ids: $x) { id }", json!([null])),
        ("$x: [ID!]!", "nodes(ids: $x) { id }", json!([["game:1"]])),
        ("$x: Award", "viewer { user { games(award: $x) { nodes { id } } } }", json!("GOLD")),
        ("$x: Award", "viewer { user { games(award: $x) { nodes { id } } } }", json!(1)),
        ("$x: UserBy!", "user(by: $x) { id }", json!("grace")),
        ("$x: UserBy!", "user(by: $x) { id }", json!({ "name": "grace" })),
        ("$x: UserBy!", "user(by: $x) { id }", json!({ "handle": 1 })),
        ("$x: UserBy!", "user(by: $x) { id }", json!({ "account": { "platform": "discord" } })),
        ("$x: Boolean!", "viewer { kind @include(if: $x) }", json!("true")),
    ] {
        let answer =
            stage.user("grace").query(&format!("query({definition}) {{ {field} }}"), json!({ "x": value })).await;
        answer.refused(400, "BAD_USER_INPUT");
    }
}

async fn variables_that_are_missing_are_refused_before_anything_runs(stage: Stage) {
    for (definition, field) in [
        ("$x: ID!", "game(id: $x) { id }"),
        ("$x: [ID!]!", "nodes(ids: $x) { id }"),
        ("$x: UserBy!", "user(by: $x) { id }"),
        ("$x: Boolean!", "viewer { kind @skip(if: $x) }"),
        ("$x: Int!", "games(first: $x) { nodes { id } }"),
    ] {
        for variables in [json!(null), json!({}), json!({ "y": 1 })] {
            let answer = stage.anonymous().query(&format!("query({definition}) {{ {field} }}"), variables).await;
            answer.refused(400, "BAD_USER_INPUT");
        }
    }
}

async fn an_input_object_names_each_field_once(stage: Stage) {
    let answer =
        stage.user("grace").query("{ user(by: {handle: \"grace\", handle: \"ada\"}) { id } }", Value::Null).await;
    answer.refused(400, "GRAPHQL_VALIDATION_FAILED");
}

async fn an_omitted_variable_stands_for_its_default(stage: Stage) {
    let query = "query($first: Int = 2, $show: Boolean = false, $order: GameSummaryOrder) {
        games(first: $first) { nodes { id } } viewer { kind @include(if: $show) now } }";
    let two = json!({ "nodes": [{ "id": "game:1" }, { "id": "game:2" }] });
    let data = stage.anonymous().data(&query.replace(", $order: GameSummaryOrder", ""), Value::Null).await;
    assert_eq!((&data["games"], data["viewer"].get("kind")), (&two, None));
    let query = "query($order: GameSummaryOrder! = SCORE, $all: Boolean! = true) { viewer { user {
        games(orderBy: $order, first: 1) { nodes { game { key } } } goals(all: $all) { id } } } }";
    let data = stage.user("grace").data(query, Value::Null).await;
    assert_eq!(data["viewer"]["user"]["games"]["nodes"][0]["game"]["key"], "2");
    assert_eq!(data["viewer"]["user"]["goals"].as_array().unwrap().len(), 40);
}

async fn an_omitted_variable_leaves_the_argument_to_its_own_default(stage: Stage) {
    let omitted = "query($order: GameSummaryOrder, $all: Boolean) { viewer { user {
        games(orderBy: $order, first: 1) { nodes { game { key } } } goals(all: $all) { id } } } }";
    let data = stage.user("grace").data(omitted, Value::Null).await;
    assert_eq!(data["viewer"]["user"]["games"]["nodes"][0]["game"]["key"], "1");
    assert_eq!(data["viewer"]["user"]["goals"].as_array().unwrap().len(), 7);
}

async fn a_single_value_stands_for_a_list_and_a_number_for_an_id(stage: Stage) {
    let data =
        stage.anonymous().data("query($ids: [ID!]!) { nodes(ids: $ids) { id } }", json!({ "ids": "game:1" })).await;
    assert_eq!(data, json!({ "nodes": [{ "id": "game:1" }] }));
    let data = stage.anonymous().data("query($id: ID!) { game(id: $id) { id } }", json!({ "id": 1 })).await;
    assert_eq!(data, json!({ "game": { "id": "game:1" } }));
}

async fn an_operation_is_chosen_by_its_name(stage: Stage) {
    let query = "query A { viewer { kind } } query B { viewer { now } }";
    let ask = async |name: Value| {
        let body = json!({ "query": query, "operationName": name }).to_string();
        let request = Request::post("/graphql").header(CONTENT_TYPE, "application/json");
        let request = request.header(ACCEPT, "application/graphql-response+json");
        stage.anonymous().send(request.body(Body::from(body)).unwrap()).await
    };
    assert_eq!(ask(json!("A")).await.data(), json!({ "viewer": { "kind": "ANONYMOUS" } }));
    assert_eq!(ask(json!("B")).await.data(), json!({ "viewer": { "now": "2026-06-17T12:00:00.000Z" } }));
    for name in [json!("C"), json!(null), json!("")] {
        ask(name).await.refused(400, "BAD_USER_INPUT");
    }
}

async fn plain_json_clients_get_status_200_for_documents_that_are_refused(stage: Stage) {
    let answer = post(&stage, "application/json", json!({ "query": "{ nothing }" }).to_string()).await;
    answer.refused(200, "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(answer.headers[CONTENT_TYPE], "application/json; charset=utf-8");
    let answer = stage.anonymous().query("{ nothing }", Value::Null).await;
    answer.refused(400, "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(answer.headers[CONTENT_TYPE], "application/graphql-response+json; charset=utf-8");
}

async fn a_failed_field_leaves_the_rest_of_the_answer(stage: Stage) {
    let answer = stage.anonymous().query(r#"{ user(by: {handle: "grace"}) { handle credits { available { credits } } } game(id: "") { id } viewer { kind } }"#, Value::Null).await;
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(
        answer.json["data"],
        json!({ "user": { "handle": "grace", "credits": null }, "game": null, "viewer": { "kind": "ANONYMOUS" } })
    );
    let mut codes = answer.codes();
    codes.sort_unstable();
    assert_eq!(codes, ["BAD_USER_INPUT", "FORBIDDEN"]);
    for error in answer.json["errors"].as_array().unwrap() {
        assert!(!error["path"].is_null() && !error["locations"].is_null() && !error["message"].is_null(), "{error}");
    }
}

async fn an_address_that_is_not_there_is_not_found(stage: Stage) {
    for address in ["/graphql/x", "/nothing", "/graphiql", "/../Cargo.toml", "/%2e%2e/Cargo.toml"] {
        let answer = stage.anonymous().send(Request::get(address).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), 404, "{address}");
    }
}

async fn skipped_fields_are_not_there(stage: Stage) {
    let query = "query($no: Boolean!) { viewer { kind @skip(if: true) now @include(if: $no) appName @include(if: true) @skip(if: $no) } }";
    assert_eq!(stage.anonymous().data(query, json!({ "no": false })).await, json!({ "viewer": { "appName": null } }));
}

/// Asserts that an answer has one error with a message of ours, and none of the libraries'.
#[track_caller]
fn is_ours(answer: &Answer, message: &str) {
    let errors = answer.json["errors"].as_array().unwrap_or_else(|| panic!("{message}: {}", answer.text));
    assert_eq!((errors.len(), answer.message()), (1, message), "{}", answer.text);
    for theirs in
        ["occurred while parsing", "Failed to parse", "Expected input type", "at line", "invalid type", "coerce"]
    {
        assert!(!answer.text.contains(theirs), "{}", answer.text);
    }
}

async fn what_is_wrong_with_a_value_is_told_with_its_place_in_our_words(stage: Stage) {
    let admin = stage.app(&[Scope::Admin, Scope::ProgressWrite]).await;
    let credits = "a decimal number in a string with at most six decimals, such as \"12.5\"";
    let date = "an RFC 3339 date and time in a string, such as \"2026-03-15T14:30:00Z\"";
    let season = "upsertSeason(input: { key: \"s\", ";
    let grant = "grantCredits(input: { user: { handle: \"xelnia\" }, amount: ";
    // Written into the document: the field, where the value begins in it, and what is said.
    let written = [
        (
            season,
            "budgets: [{ cap: @{credits: \"1\"} }] }) { created }",
            format!("input.budgets.0.cap takes {credits}, and not {{credits: \"1\"}}"),
        ),
        (
            season,
            "goals: [{ key: \"g\", reward: @5 }] }) { created }",
            format!("input.goals.0.reward takes {credits}, and not 5"),
        ),
        (season, "startDate: @[] }) { created }", format!("input.startDate takes {date}, and not []")),
        (
            season,
            "startDate: @\"tomorrow\" }) { created }",
            format!("input.startDate takes {date}, and not \"tomorrow\""),
        ),
        (
            grant,
            "{ credits: @\"1e3\" } }) { status }",
            format!("input.amount.credits takes {credits}, and not \"1e3\""),
        ),
        (
            grant,
            "{ micros: @1.5 } }) { status }",
            "input.amount.micros takes a whole number of 64 bits, and not 1.5".to_owned(),
        ),
        (
            grant,
            "{ micros: @[1] } }) { status }",
            "input.amount.micros takes a whole number of 64 bits, and not [1]".to_owned(),
        ),
        (grant, "{ micros: 1, micros: @2 } }) { status }", "input.amount.micros is given twice".to_owned()),
        (
            grant,
            "@{ micros: 1, credits: \"1\" } }) { status }",
            "input.amount takes exactly one of credits, micros, which is not null, and not {micros: 1, credits: \"1\"}"
                .to_owned(),
        ),
    ];
    for (before, field, message) in &written {
        let text = format!("mutation {{ {before}{field} }}");
        let column = text.find('@').unwrap() + 1;
        let answer = admin.query(&text.replacen('@', "", 1), Value::Null).await;
        is_ours(&answer, message);
        let place = json!([{ "line": 1, "column": column }]);
        assert_eq!(answer.json["errors"][0]["locations"], place, "{}", answer.text);
    }
    // The same and more in variables, which are named by the argument into which they go; the place is the variable's.
    let season = |more: Value| {
        let mut input = json!({ "key": "s" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("upsertSeason", "UpsertSeasonInput", "created", input)
    };
    let grant = |amount: Value| {
        let input = json!({ "user": { "handle": "xelnia" }, "amount": amount });
        ("grantCredits", "GrantCreditsInput", "status", input)
    };
    let cards = |item: Value| {
        let input = json!({ "user": { "handle": "xelnia" }, "cards": [{ "cardId": "founders-01" }, item] });
        ("grantCards", "GrantCardsInput", "results { status }", input)
    };
    for ((mutation, kind, asked, input), message) in [
        (
            season(json!({ "budgets": [{ "cap": { "credits": "1" } }] })),
            format!("input.budgets.0.cap takes {credits}, and not {{\"credits\":\"1\"}}"),
        ),
        (season(json!({ "startDate": [] })), format!("input.startDate takes {date}, and not []")),
        (season(json!({ "startDate": "tomorrow" })), format!("input.startDate takes {date}, and not \"tomorrow\"")),
        (
            season(json!({ "pauseMode": "NEVER" })),
            "input.pauseMode takes one of FREEZE, RUN_ON, and not \"NEVER\"".to_owned(),
        ),
        (
            season(json!({ "title": { "a": "b".repeat(100) } })),
            format!("input.title takes a text, and not {{\"a\":\"{}…", "b".repeat(74)),
        ),
        (season(json!({ "duration": 1.5 })), "input.duration takes a whole number of 32 bits, and not 1.5".to_owned()),
        (season(json!({ "dryRun": "no" })), "input.dryRun takes true or false, and not \"no\"".to_owned()),
        (
            season(json!({ "removeGoals": [["a"]] })),
            "input.removeGoals.0 takes an ID as a text, and not [\"a\"]".to_owned(),
        ),
        (
            season(json!({ "goals": 5 })),
            "input.goals takes an object with the members of GoalInput, and not 5".to_owned(),
        ),
        (
            grant(json!({ "micros": "7" })),
            "input.amount.micros takes a whole number of 64 bits, and not \"7\"".to_owned(),
        ),
        (
            grant(json!({ "micros": [1] })),
            "input.amount.micros takes a whole number of 64 bits, and not [1]".to_owned(),
        ),
        (
            grant(json!({})),
            "input.amount takes exactly one of credits, micros, which is not null, and not {}".to_owned(),
        ),
        (
            grant(json!(null)),
            "input.amount takes an object with the members of CreditAmountInput, and not null".to_owned(),
        ),
        (
            grant(json!({ "coins": 1 })),
            "input.amount.coins is unknown; CreditAmountInput has credits, micros".to_owned(),
        ),
        (cards(json!({ "quantity": 2 })), "input.cards.1.cardId is missing".to_owned()),
        (cards(json!({ "cardId": 1.5 })), "input.cards.1.cardId takes an ID as a text, and not 1.5".to_owned()),
        (cards(json!({ "cardId": null })), "input.cards.1.cardId takes an ID as a text, and not null".to_owned()),
    ] {
        let document = format!("mutation($any: {kind}!) {{ {mutation}(input: $any) {{ {asked} }} }}");
        let answer = admin.query(&document, json!({ "any": input })).await;
        is_ours(&answer, &message);
        let place = json!([{ "line": 1, "column": 10 }]);
        assert_eq!(answer.json["errors"][0]["locations"], place, "{}", answer.text);
    }
    for (document, variables, message) in [
        ("query($n: Int!) { games(first: $n) { nodes { id } } }", json!({}), "first needs a value, and $n has none"),
        (
            "query($by: UserBy!) { user(by: $by) { id } }",
            json!({ "by": { "handle": 3 } }),
            "by.handle takes a text, and not 3",
        ),
        (
            "query($at: Int = 5) { games(first: $at) { nodes { id } } }",
            json!({ "at": "x" }),
            "first takes a whole number of 32 bits, and not \"x\"",
        ),
        ("query($h: String) { user(by: { handle: $h }) { id } }", json!({ "h": null }), "by.handle takes no null"),
    ] {
        let answer = admin.query(document, variables).await;
        is_ours(&answer, message);
        assert!(answer.json["errors"][0]["locations"][0]["column"].is_u64(), "{}", answer.text);
    }
    // An item of a list fails alone, in the same words.
    let unlock = "mutation { unlockAchievements(input: { user: { handle: \"xelnia\" }, unlocks: [
        { achievementId: \"1-01\", unlockedAt: \"soon\" }] }) { results { error { message } } } }";
    let data = admin.data(unlock, Value::Null).await;
    let message = &data["unlockAchievements"]["results"][0]["error"]["message"];
    assert_eq!(message, &format!("unlockedAt takes {date}, and not \"soon\""));
}

async fn what_is_wrong_with_a_body_is_told_in_our_words(stage: Stage) {
    let wanted = "the body must be a JSON object with query or documentId, and optionally variables, operationName and extensions";
    for (body, reason) in [
        (r#"{"query": 5}"#, "query is a text, and not 5"),
        (r#"{"query": "{ a }", "operationName": {}}"#, "operationName is a text, and not {}"),
        (r#"{"query": "{ a }", "variables": "x"}"#, r#"variables is an object, and not "x""#),
        (r#"{"query": "{ a }", "extensions": [1]}"#, "extensions is an object, and not [1]"),
        (r#"{"query": "{ a }", "query": "{ b }"}"#, "a member is given twice"),
        (r#"{"query": "{ a }""#, "the JSON ends too early, in line 1, column 17"),
        ("{\"query\": \n nonsense}", "it is no JSON from line 2, column 3 on"),
        (
            r#"{"query": "{ a }", "variables": {"n": 1e999}}"#,
            "there is a number that is too large, in line 1, column 43",
        ),
        ("[]", "it is no object"),
    ] {
        let answer = post(&stage, "application/json", body.to_owned()).await;
        is_ours(&answer, &format!("{wanted}: {reason}"));
        answer.refused(400, "BAD_USER_INPUT");
    }
    for (address, message) in [
        ("query={a}&variables=[1]", "variables must be a JSON object: it is [1]"),
        ("query={a}&extensions={", "extensions must be a JSON object: the JSON ends too early, in line 1, column 1"),
        (
            "query={a}&query={b}",
            "the parameters query or documentId, variables, operationName and extensions are read, each given once",
        ),
    ] {
        let address = address.replace('{', "%7B").replace('}', "%7D").replace('[', "%5B").replace(']', "%5D");
        let request = Request::get(format!("/graphql?{address}")).body(Body::empty()).unwrap();
        is_ours(&stage.anonymous().send(request).await, message);
    }
}
