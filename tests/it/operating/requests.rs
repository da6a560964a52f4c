//! The id of a request, and what is said about it.

use axum::body::Body;
use axum::http::Request;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use super::get;
use crate::cli::{SECRET, Server, output};
use crate::harness::{Answer, Blank, Stage, tests};

tests! {
    demo: [
        every_answer_has_the_id_of_its_request,
        an_id_of_the_client_is_kept_when_it_is_fit_for_a_log,
    ],
    own: [
        an_error_of_ours_carries_the_id_of_its_request,
        a_server_without_its_database_is_alive_and_not_ready,
    ],
    blank: [
        what_is_logged_names_the_request_and_no_secret,
    ],
}

fn id(answer: &Answer) -> &str {
    answer.headers["x-request-id"].to_str().unwrap()
}

async fn with_id(stage: &Stage, path: &str, id: &[u8]) -> Answer {
    let request = Request::get(path).header("x-request-id", id);
    stage.anonymous().send(request.body(Body::empty()).unwrap()).await
}

async fn every_answer_has_the_id_of_its_request(stage: Stage) {
    let mut ids = Vec::new();
    for path in ["/healthz", "/graphql", "/nothing", "/api/user-progress", "/users/x/progress", "/", "/metrics"] {
        ids.push(id(&get(&stage.anonymous(), path).await).to_owned());
    }
    ids.push(id(&stage.anonymous().query("{ viewer { kind } }", Value::Null).await).to_owned());
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "no two are alike: {ids:?}");
}

async fn an_id_of_the_client_is_kept_when_it_is_fit_for_a_log(stage: Stage) {
    for path in ["/graphql", "/healthz", "/api/user-progress"] {
        assert_eq!(id(&with_id(&stage, path, b"0af7651916cd43dd-b7ad6b71").await), "0af7651916cd43dd-b7ad6b71");
        for unfit in [&b""[..], b"two words", b"\xc3\xa9", b"quote\"", b"{json}", &[b'a'; 129]] {
            let answer = with_id(&stage, path, unfit).await;
            assert!(answer.headers["x-request-id"] != unfit && id(&answer).len() > 8, "{unfit:?}");
        }
    }
}

async fn an_error_of_ours_carries_the_id_of_its_request(stage: Stage) {
    // What no client may cause: a table is gone.
    stage.db().writes().execute_unprepared("ALTER TABLE game_summaries RENAME TO gone").await.unwrap();
    let query = "{ viewer { user { handle games(first: 1) { nodes { game { id } } } } } }";
    let body = json!({ "query": query }).to_string();
    let request = Request::post("/graphql").header("content-type", "application/json").header("x-request-id", "mine-1");
    let answer = stage.user("grace").send(request.body(Body::from(body)).unwrap()).await;
    let extensions = answer.json["errors"][0]["extensions"].clone();
    assert_eq!(extensions, json!({ "code": "INTERNAL", "id": "mine-1" }), "{}", answer.text);
    assert_eq!(id(&answer), "mine-1");
    let answer = stage.user("grace").query(query, Value::Null).await;
    assert_eq!(answer.json["errors"][0]["extensions"]["id"], id(&answer), "{}", answer.text);
    assert!(!answer.text.contains("game_summaries"), "{}", answer.text);
}

async fn a_server_without_its_database_is_alive_and_not_ready(stage: Stage) {
    assert_eq!(get(&stage.anonymous(), "/readyz").await.status, 200);
    stage.db().clone().close().await.unwrap();
    let answer = get(&stage.anonymous(), "/readyz").await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (503, "the database was closed\n"));
    assert_eq!(get(&stage.anonymous(), "/healthz").await.status, 200);
    assert_eq!(get(&stage.anonymous(), "/metrics").await.status, 200);
}

async fn what_is_logged_names_the_request_and_no_secret(blank: Blank) {
    let settings = [
        ("WAYMARK_DATABASE_URL", &*blank.url),
        ("WAYMARK_JWT_SECRET", SECRET),
        ("RUST_LOG", "waymark=debug"),
        ("WAYMARK_SLOW_OPERATION_MS", "1"),
    ];
    output(&["migrate"], &settings);
    output(&["demo", "--users", "30"], &settings);
    let key = output(&["key", "create", "--name", "reader", "--scope", "admin"], &settings);
    let mut server = Server::start(&["--log-format", "json", "serve"], &settings, "Serving on ");
    let document = "query Slow($text: String!) { searchUsers(text: $text, first: 20) { nodes { handle
        games(first: 20) { nodes { game { id } } } overview(first: 20) { nodes { __typename } } } } }";
    let body = json!({ "query": document, "variables": { "text": "a-hidden-word" } }).to_string();
    let (url, credential) = (format!("{}/graphql", server.address), format!("Bearer {}", key.trim_end()));
    for word in ["a-hidden-word", "a", "e"] {
        let request = ureq::post(&url).header("content-type", "application/json").header("x-request-id", "slow-1");
        let request = request.header("authorization", &credential);
        request.send(body.replace("a-hidden-word", word)).unwrap();
    }
    let secret_in_query = format!("{}/API/API_GetUserProgress.php?u=ada&i=1&y={}", server.address, key.trim_end());
    ureq::get(secret_in_query).call().unwrap();
    assert_eq!(server.terminate(), Some(0));
    let log = server.log();
    let lines: Vec<Value> = log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let said = |words: &str| {
        let line = lines.iter().find(|line| line["fields"]["message"] == words && line["request"] == "slow-1");
        line.unwrap_or_else(|| panic!("{words} is not in the log: {log}"))["fields"].clone()
    };
    let answered = said("answered");
    assert_eq!(
        (&answered["method"], &answered["path"], &answered["status"]),
        (&json!("POST"), &json!("/graphql"), &json!(200))
    );
    let slow = said("an operation was slow");
    assert_eq!(
        (&slow["operation"], &slow["principal"], &slow["outcome"]),
        (&json!("Slow"), &json!("app"), &json!("done"))
    );
    assert!(slow["millis"].as_u64().unwrap() >= 1 && slow["statements"].as_u64().is_some(), "{slow}");
    assert_eq!(slow["document"].as_str().unwrap().len(), 64, "{slow}");
    assert!(!log.contains("a-hidden-word") && !log.contains(key.trim_end()) && !log.contains(SECRET), "{log}");
}
