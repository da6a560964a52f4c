//! Requests that cannot be answered.

use axum::body::Body;
use axum::http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use axum::http::{Method, Request};
use serde_json::{Value, json};

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
