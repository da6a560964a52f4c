//! Requests that are too many, or take too long.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};
use waymark::auth::Scope;

use super::{WRITE, get, lock, neighbour};
use crate::harness::{Actor, Answer, Stage, tests};

tests! {
    demo: [
        a_slow_sender_holds_no_place_and_is_given_up,
        a_body_in_pieces_is_put_together_up_to_the_limit,
    ],
    own: [
        a_request_that_takes_too_long_is_given_up_with_an_answer,
        requests_beyond_the_queue_are_turned_away_and_the_others_answered,
        a_server_without_a_queue_turns_away_at_once,
    ],
}

fn write(actor: Actor) -> impl Future<Output = Answer> + Send {
    let steps = json!([{ "goalId": "none", "add": 1 }]);
    async move { actor.query(WRITE, json!({ "input": { "user": { "handle": "grace" }, "steps": steps } })).await }
}

async fn figure(stage: &Stage, name: &str) -> f64 {
    let text = get(&stage.anonymous(), "/metrics").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {text}")).parse().unwrap()
}

/// Waits until a figure is what it should be.
async fn until(stage: &Stage, name: &str, value: f64) {
    let began = Instant::now();
    while figure(stage, name).await != value {
        assert!(began.elapsed() < Duration::from_secs(10), "{name} is {}", figure(stage, name).await);
        sleep(Duration::from_millis(10)).await;
    }
}

async fn a_request_that_takes_too_long_is_given_up_with_an_answer(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_REQUEST_TIMEOUT_SECONDS", "1")]).await;
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let ada = stage.user("ada");
    ada.data("{ viewer { kind } }", Value::Null).await;
    let other = neighbour(&stage).await;
    let held = lock(&other).await;
    let answer = write(app.clone()).await;
    answer.refused(503, "UNAVAILABLE");
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.headers["content-type"], "application/graphql-response+json; charset=utf-8");
    assert_eq!(answer.message(), "the answer took too long; try again");
    let update = json!({ "instanceId": "507f1f77bcf86cd799439011", "resourceId": "507f191e810c19729de860ea", "completed": true });
    let request = Request::post("/api/user-progress").header("content-type", "application/json");
    let answer = ada.send(request.body(Body::from(update.to_string())).unwrap()).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["retry-after"]), (503, &"1".parse().unwrap()));
    assert_eq!(answer.json, json!({ "error": "the answer took too long; try again" }));
    held.rollback().await.unwrap();
    assert_eq!(figure(&stage, "waymark_requests_timed_out_total").await, 2.0);
    let given_up = "waymark_graphql_operations_total{operation=\"RecordOne\",outcome=\"given_up\"}";
    assert_eq!(figure(&stage, given_up).await, 1.0);
    // The server is none the worse for it.
    let began = Instant::now();
    while write(app.clone()).await.status != 200 {
        assert!(began.elapsed() < Duration::from_secs(20), "writes go on once nothing is in their way");
    }
    other.close().await.unwrap();
}

async fn requests_beyond_the_queue_are_turned_away_and_the_others_answered(stage: Stage) {
    let few = [("WAYMARK_MAX_CONCURRENT_REQUESTS", "2"), ("WAYMARK_MAX_QUEUED_REQUESTS", "3")];
    let stage = stage.with(&few).await;
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let other = neighbour(&stage).await;
    let held = lock(&other).await;
    let running: Vec<_> = (0..2).map(|_| tokio::spawn(write(app.clone()))).collect();
    until(&stage, "waymark_requests_running", 2.0).await;
    let waiting: Vec<_> = (0..3).map(|_| tokio::spawn(write(app.clone()))).collect();
    until(&stage, "waymark_requests_waiting", 3.0).await;
    // Everybody else is told so at once, each in their own words.
    let began = Instant::now();
    let graphql = app.query("{ viewer { kind } }", Value::Null).await;
    graphql.refused(503, "UNAVAILABLE");
    assert_eq!((&graphql.headers["retry-after"], graphql.message()), (&"1".parse().unwrap(), TOO_MUCH));
    for (path, expected) in [
        ("/api/user-progress", json!({ "error": TOO_MUCH })),
        (
            "/users/0x7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5/progress",
            json!({ "error": TOO_MUCH, "code": "unavailable" }),
        ),
        (
            "/API/API_GetUserProgress.php",
            json!({ "message": TOO_MUCH, "errors": [{ "status": 503, "code": "unavailable", "title": TOO_MUCH }] }),
        ),
    ] {
        let answer = get(&stage.anonymous(), path).await;
        assert_eq!((answer.status.as_u16(), &answer.json), (503, &expected), "{path}");
        assert_eq!(answer.headers["retry-after"], "1", "{path}");
    }
    let collections = get(&stage.anonymous(), "/users/discord/1/progress/collection-challenges").await;
    assert_eq!((collections.status.as_u16(), &collections.json["status"]["errorMessage"]), (503, &json!(TOO_MUCH)));
    let ours =
        Request::get("/api/v1/users/discord/1/progress/collection-challenges").header("origin", "https://a.example");
    let from_a_page = stage.anonymous().send(ours.body(Body::empty()).unwrap()).await;
    assert_eq!(from_a_page.headers["access-control-allow-origin"], "*", "pages can read that they are turned away");
    for path in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(get(&stage.anonymous(), path).await.status, 200, "{path} is answered whatever happens");
    }
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    assert_eq!(figure(&stage, "waymark_requests_shed_total").await, 6.0);
    held.rollback().await.unwrap();
    for answer in running.into_iter().chain(waiting) {
        answer.await.unwrap().data();
    }
    assert_eq!(figure(&stage, "waymark_requests_running").await, 0.0);
    assert_eq!(figure(&stage, "waymark_requests_waiting").await, 0.0);
    other.close().await.unwrap();
}

const TOO_MUCH: &str = "the server has too much to do at the moment; try again";

async fn a_server_without_a_queue_turns_away_at_once(stage: Stage) {
    let few = [("WAYMARK_MAX_CONCURRENT_REQUESTS", "1"), ("WAYMARK_MAX_QUEUED_REQUESTS", "0")];
    let stage = stage.with(&few).await;
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let other = neighbour(&stage).await;
    let held = lock(&other).await;
    let running = tokio::spawn(write(app.clone()));
    until(&stage, "waymark_requests_running", 1.0).await;
    write(app.clone()).await.refused(503, "UNAVAILABLE");
    held.rollback().await.unwrap();
    running.await.unwrap().data();
    // A place that somebody gave up is free again.
    let held = lock(&other).await;
    let given_up = tokio::spawn(write(app.clone()));
    until(&stage, "waymark_requests_running", 1.0).await;
    given_up.abort();
    until(&stage, "waymark_requests_running", 0.0).await;
    held.rollback().await.unwrap();
    assert_eq!(app.query("{ viewer { kind } }", Value::Null).await.status, 200);
    other.close().await.unwrap();
}

async fn a_slow_sender_holds_no_place_and_is_given_up(stage: Stage) {
    let stage = stage
        .with(&[
            ("WAYMARK_MAX_CONCURRENT_REQUESTS", "1"),
            ("WAYMARK_MAX_QUEUED_REQUESTS", "0"),
            ("WAYMARK_REQUEST_TIMEOUT_SECONDS", "1"),
        ])
        .await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(waymark::server::run(listener, stage.app.clone(), stage.server.clone()));
    let slow = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let head = "POST /graphql HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n";
        stream.write_all(format!("{head}content-length: 100\r\n\r\n{{\"query\"").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    });
    sleep(Duration::from_millis(300)).await;
    stage.anonymous().data("{ viewer { kind } }", Value::Null).await;
    let answer = slow.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("the body did not come in time"), "{answer}");
}

async fn a_body_in_pieces_is_put_together_up_to_the_limit(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_MAX_BODY_BYTES", "1000")]).await;
    let send = async |path: &str, body: &str, piece: usize| {
        let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
            body.as_bytes().chunks(piece).map(|piece| Ok(piece.to_vec())).collect();
        let request = Request::post(path).header("content-type", "application/json");
        let request = request.header("transfer-encoding", "chunked");
        let body = Body::from_stream(futures_util::stream::iter(pieces));
        stage.user("ada").send(request.body(body).unwrap()).await
    };
    let query = json!({ "query": "{ viewer { kind } }" }).to_string();
    for piece in [1, 7, 500] {
        assert_eq!(send("/graphql", &query, piece).await.data(), json!({ "viewer": { "kind": "USER" } }));
    }
    let long = json!({ "query": format!("{{ viewer {{ kind }} }} # {}", "x".repeat(1000)) }).to_string();
    for piece in [1, 999, 1000, 5000] {
        assert_eq!(send("/graphql", &long, piece).await.status, 413, "{piece}");
        assert_eq!(send("/api/user-progress", &long, piece).await.status, 413, "{piece}");
    }
}
