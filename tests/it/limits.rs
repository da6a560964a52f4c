//! What one request may ask for.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::harness::{Stage, tests};

tests! {
    demo: [
        more_ids_than_allowed_are_refused_with_the_numbers,
        as_many_ids_as_allowed_are_answered,
        a_document_may_not_nest_too_deeply,
        a_document_may_not_have_too_many_aliases,
        fragments_that_double_are_refused_at_once,
        a_document_may_not_have_too_many_tokens,
        a_body_may_not_be_too_large,
        limits_are_settings_and_the_viewer_sees_them,
    ],
}

/// Each field that takes ids: its place in `data`, the most it takes, and the document.
const FIELDS: [(&str, usize, &str); 4] = [
    ("/users", 200, "query($ids: [UserBy!]!) { users(by: $ids) { id } }"),
    ("/nodes", 200, "query($ids: [ID!]!) { nodes(ids: $ids) { id } }"),
    (
        "/viewer/user/gameSummaries",
        200,
        "query($ids: [ID!]!) { viewer { user { gameSummaries(gameIds: $ids) { id } } } }",
    ),
    (
        "/viewer/user/resourceProgress",
        500,
        "query($ids: [ID!]!) { viewer { user { resourceProgress(resourceIds: $ids) { id } } } }",
    ),
];

fn ids(document: &str, count: usize) -> Value {
    let one = if document.contains("UserBy") { json!({ "handle": "grace" }) } else { json!("1") };
    json!({ "ids": vec![one; count] })
}

async fn more_ids_than_allowed_are_refused_with_the_numbers(stage: Stage) {
    for (place, most, document) in FIELDS {
        for count in [most + 1, 10_000] {
            let answer = stage.user("grace").query(document, ids(document, count)).await;
            assert_eq!((answer.status.as_u16(), answer.codes()), (200, vec!["LIMIT_EXCEEDED"]), "{place}");
            let message = answer.message();
            assert!(message.contains(&count.to_string()) && message.contains(&most.to_string()), "{message}");
            assert!(answer.json["data"].pointer(place).unwrap_or(&Value::Null).is_null(), "{place}");
        }
    }
}

async fn as_many_ids_as_allowed_are_answered(stage: Stage) {
    for (place, most, document) in FIELDS {
        let answer = stage.user("grace").query(document, ids(document, most)).await;
        assert_eq!(answer.json["data"].pointer(place).unwrap().as_array().unwrap().len(), most, "{place}");
    }
}

async fn a_document_may_not_nest_too_deeply(stage: Stage) {
    let nested = |levels: usize| {
        let middle = (levels - 3) / 2;
        let (open, close) = ("game { achievements { nodes { ".repeat(middle / 2), " } } }".repeat(middle / 2));
        format!(r#"{{ node(id: "achievement:1-01") {{ ... on Achievement {{ {open} id {close} }} }} }}"#)
    };
    stage.anonymous().data(&nested(10), Value::Null).await;
    stage.anonymous().query(&nested(60), Value::Null).await.refused(400, "LIMIT_EXCEEDED");
    let bottomless = format!("{{ viewer {}", "{ user ".repeat(1000));
    stage.anonymous().query(&bottomless, Value::Null).await.refused(400, "LIMIT_EXCEEDED");
    // Not through fragments either.
    let mut through = String::from("{ viewer { user { ...F0 } } }");
    for n in 0..20 {
        through.push_str(&format!(
            " fragment F{n} on User {{ games {{ nodes {{ game {{ id }} }} }} season {{ season {{ id }} }} ...F{} }}",
            n + 1
        ));
    }
    through.push_str(" fragment F20 on User { id }");
    stage.user("grace").data(&through, Value::Null).await;
}

async fn a_document_may_not_have_too_many_aliases(stage: Stage) {
    let document = |count: usize| {
        let fields: String = (0..count).map(|n| format!("a{n}: viewer {{ kind }} ")).collect();
        format!("{{ {fields} }}")
    };
    stage.anonymous().data(&document(200), Value::Null).await;
    stage.anonymous().query(&document(201), Value::Null).await.refused(400, "LIMIT_EXCEEDED");
}

async fn fragments_that_double_are_refused_at_once(stage: Stage) {
    let mut document = String::from("query { ...F0 } fragment F40 on Query { viewer { kind } }");
    for n in 0..40 {
        document.push_str(&format!(" fragment F{n} on Query {{ ...F{} ...F{} }}", n + 1, n + 1));
    }
    let begun = std::time::Instant::now();
    stage.anonymous().query(&document, Value::Null).await.refused(400, "LIMIT_EXCEEDED");
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

async fn a_document_may_not_have_too_many_tokens(stage: Stage) {
    let document = format!("{{ viewer {{ {} }} }}", "kind ".repeat(20_000));
    stage.anonymous().query(&document, Value::Null).await.refused(400, "LIMIT_EXCEEDED");
}

async fn a_body_may_not_be_too_large(stage: Stage) {
    let body = json!({ "query": "{ viewer { kind } }", "extensions": { "x": "x".repeat(2 << 20) } }).to_string();
    let request = Request::post("/graphql").header(CONTENT_TYPE, "application/json");
    let answer = stage.anonymous().send(request.body(Body::from(body)).unwrap()).await;
    assert_eq!(answer.status.as_u16(), 413, "{}", answer.text);
}

async fn limits_are_settings_and_the_viewer_sees_them(stage: Stage) {
    let small =
        stage.with(&[("WAYMARK_MAX_IDS", "3"), ("WAYMARK_MAX_PAGE_SIZE", "5"), ("WAYMARK_MAX_ALIASES", "2")]).await;
    let limits = "{ viewer { limits { maxDepth maxAliases maxPageSize maxIds maxResourceIds } } }";
    assert_eq!(
        small.anonymous().data(limits, Value::Null).await["viewer"]["limits"],
        json!({ "maxDepth": 15, "maxAliases": 2, "maxPageSize": 5, "maxIds": 3, "maxResourceIds": 500 })
    );
    assert_eq!(
        small.anonymous().data("{ games { nodes { id } } }", Value::Null).await["games"]["nodes"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
    let answer = small.anonymous().query(FIELDS[1].2, ids(FIELDS[1].2, 4)).await;
    assert_eq!(answer.codes(), ["LIMIT_EXCEEDED"]);
    small
        .anonymous()
        .query("{ a: __typename b: __typename c: __typename }", Value::Null)
        .await
        .refused(400, "LIMIT_EXCEEDED");
}
