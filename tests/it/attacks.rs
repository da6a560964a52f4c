//! Requests that are made to cost the server much, over HTTP.

use std::time::Instant;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};

use crate::harness::{Answer, Stage, tests};

#[path = "../../benches/src/attacks.rs"]
mod documents;

use documents::Fate;

tests! {
    demo: [
        every_attack_by_a_document_is_refused_or_harmless,
        every_refusal_of_an_attack_is_short,
        bodies_of_five_megabytes_are_refused_unread,
        variables_that_nest_without_end_are_refused,
        numbers_that_no_type_holds_are_refused,
        what_may_be_asked_at_most_is_answered,
    ],
}

async fn send(stage: &Stage, body: String) -> Answer {
    let request = Request::post("/graphql").header(CONTENT_TYPE, "application/json");
    let request = request.header(ACCEPT, "application/graphql-response+json");
    stage.anonymous().send(request.body(Body::from(body)).unwrap()).await
}

async fn every_attack_by_a_document_is_refused_or_harmless(stage: Stage) {
    for (name, fate, document) in documents::documents() {
        let begun = Instant::now();
        let answer = stage.anonymous().query(&document, Value::Null).await;
        let (status, codes, took) = (answer.status.as_u16(), answer.codes(), begun.elapsed());
        let start: String = answer.text.chars().take(300).collect();
        match fate {
            Fate::TooMuch => {
                assert_eq!((status, answer.json.get("data")), (400, None), "{name}: {start}");
                assert!(codes.iter().all(|code| *code == "LIMIT_EXCEEDED"), "{name}: {start}");
            }
            Fate::Wrong => {
                assert_eq!((status, answer.json.get("data")), (400, None), "{name}: {start}");
                assert!(codes.iter().all(|code| code.starts_with("GRAPHQL_")), "{name}: {start}");
            }
            Fate::Answered => {
                // Some ask for what there is not, and some do not say which of their operations they mean.
                assert!(codes.iter().all(|code| *code == "BAD_USER_INPUT"), "{name}: {start}");
            }
        }
        // The limit for an optimised server is in the benchmark; this finds what takes minutes on a busy machine.
        assert!(took.as_secs() < 60, "{name} took {took:?}");
    }
}

async fn every_refusal_of_an_attack_is_short(stage: Stage) {
    for (name, fate, document) in documents::documents() {
        if fate != Fate::Answered {
            let answer = stage.anonymous().query(&document, Value::Null).await;
            assert!(answer.text.len() < 20_000, "{name}: {} bytes", answer.text.len());
        }
    }
}

async fn bodies_of_five_megabytes_are_refused_unread(stage: Stage) {
    for body in [
        json!({ "query": format!("{{ viewer {{ kind }} }} #{}", "x".repeat(5 << 20)) }).to_string(),
        json!({ "query": "{ viewer { kind } }", "variables": { "x": vec![1; 2 << 20] } }).to_string(),
        " ".repeat(5 << 20),
    ] {
        send(&stage, body).await.refused(413, "LIMIT_EXCEEDED");
    }
}

async fn variables_that_nest_without_end_are_refused(stage: Stage) {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for depth in [200, 100_000] {
            let value = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let body = format!(
                r#"{{"query": "query($x: [ID!]!) {{ nodes(ids: $x) {{ id }} }}", "variables": {{"x": {value}}}}}"#
            );
            send(&stage, body).await.refused(400, "BAD_USER_INPUT");
        }
        let value = format!("{}1{}", open.repeat(100), close.repeat(100));
        let body =
            format!(r#"{{"query": "query($x: [ID!]!) {{ nodes(ids: $x) {{ id }} }}", "variables": {{"x": {value}}}}}"#);
        send(&stage, body).await.refused(400, "BAD_USER_INPUT");
    }
}

async fn numbers_that_no_type_holds_are_refused(stage: Stage) {
    let asked = async |number: &str| {
        let body = format!(
            r#"{{"query": "query($n: Int) {{ games(first: $n) {{ nodes {{ id }} }} }}", "variables": {{"n": {number}}}}}"#
        );
        send(&stage, body).await
    };
    for number in ["1e400", "-1e400", "99999999999999999999999999", "2147483648", "1.5", &"9".repeat(10_000)] {
        asked(number).await.refused(400, "BAD_USER_INPUT");
    }
    // What JSON calls whole is whole.
    for number in ["1", "1.0", "1e0", "10e-1"] {
        assert_eq!(asked(number).await.data()["games"]["nodes"].as_array().unwrap().len(), 1, "{number}");
    }
    // What is too small to be told from 0 is 0.
    let nothing = asked("0").await;
    assert!(nothing.message().contains("first"), "{}", nothing.text);
    for number in ["0.0", "-0.0", "1e-400", "-1e-400"] {
        assert_eq!(asked(number).await.json["errors"], nothing.json["errors"], "{number}");
    }
}

async fn what_may_be_asked_at_most_is_answered(stage: Stage) {
    // Just below the limit of cost, in as few words as possible.
    let query = "{ games(first: 99) { nodes { achievements(first: 99) { nodes { id title } } } } }";
    let answer = stage.anonymous().query(query, Value::Null).await;
    assert!(answer.json["extensions"]["cost"]["requested"].as_u64().unwrap() > 1000, "{}", &answer.text[..200]);
    answer.data();
}
