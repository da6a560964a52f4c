//! Operations over server-sent events.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Request, StatusCode};
use futures_util::StreamExt as _;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower::ServiceExt as _;
use waymark::auth::Scope;
use waymark::clock::Timestamp;

use super::{FOLLOW, LEEWAY, cursor, happen, serve};
use crate::harness::{Actor, NOW, Stage, tests, token};

tests! {
    own: [
        what_happens_comes_event_by_event,
        who_comes_back_with_a_cursor_gets_the_rest,
        events_have_ids_and_who_names_the_last_one_gets_the_rest,
        a_mutation_is_answered_by_events_too,
        a_revoked_key_ends_a_stream,
        an_expired_token_ends_a_stream,
        a_stream_that_nobody_reads_is_cut_off,
        a_stream_ends_without_completion_when_the_server_stops,
    ],
    demo: [
        a_query_is_answered_by_one_event,
        what_is_refused_is_told_by_an_event_and_who_is_refused_by_a_status,
        a_stream_outlives_the_time_limit_of_requests_and_shows_signs_of_life,
        a_subscription_needs_a_stream,
    ],
}

/// A stream of events.
struct Events {
    status: StatusCode,
    headers: HeaderMap,
    body: BodyDataStream,
    text: String,
    /// The id of the last event; `None`: it says nothing of one.
    id: Option<String>,
}

async fn send(stage: &Stage, actor: &Actor, mut request: Request<Body>) -> Events {
    request.headers_mut().insert(ACCEPT, "text/event-stream".parse().unwrap());
    if !actor.credential().is_empty() {
        request.headers_mut().insert(AUTHORIZATION, format!("Bearer {}", actor.credential()).parse().unwrap());
    }
    let (parts, body) = stage.server.clone().oneshot(request).await.unwrap().into_parts();
    Events {
        status: parts.status,
        headers: parts.headers,
        body: body.into_data_stream(),
        text: String::new(),
        id: None,
    }
}

async fn post(stage: &Stage, actor: &Actor, query: &str, variables: Value) -> Events {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let request = Request::post("/graphql").header(CONTENT_TYPE, "application/json").body(Body::from(body));
    send(stage, actor, request.unwrap()).await
}

impl Events {
    /// The next block, a comment or an event; `None` at the end.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return Some(block);
            }
            match timeout(Duration::from_secs(15), self.body.next()).await.expect("something comes") {
                Some(bytes) => self.text.push_str(std::str::from_utf8(&bytes.unwrap()).unwrap()),
                None => {
                    assert_eq!(self.text, "");
                    return None;
                }
            }
        }
    }

    /// The next event, its name and its data; `None` at the end.
    async fn event(&mut self) -> Option<(String, Value)> {
        loop {
            let block = self.block().await?;
            if block.starts_with(':') {
                continue;
            }
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
            self.id = field("id:").map(str::to_owned);
            let (event, data) = (field("event:").unwrap(), field("data:").unwrap());
            let data = if data.is_empty() { Value::Null } else { serde_json::from_str(data).unwrap() };
            return Some((event.to_owned(), data));
        }
    }

    async fn next(&mut self) -> Value {
        let (event, data) = self.event().await.expect("there is another event");
        assert_eq!(event, "next");
        data
    }

    async fn completed(&mut self) {
        assert_eq!(self.event().await, Some(("complete".to_owned(), Value::Null)));
        assert_eq!(self.event().await, None);
    }

    /// What has come when nothing has for a while.
    async fn settled(&mut self) {
        assert_eq!(self.block().await.unwrap(), ":");
        let more = timeout(Duration::from_millis(300), self.body.next()).await;
        assert!(more.is_err(), "nothing has happened");
    }
}

/// Asserts that a subscription is not refused.
pub(crate) async fn stays_open(stage: &Stage, actor: &Actor, query: &str, variables: Value) {
    post(stage, actor, query, variables).await.settled().await;
}

async fn what_happens_comes_event_by_event(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let mut events = post(&stage, &stage.user("grace"), FOLLOW, json!({ "user": { "handle": "grace" } })).await;
    assert_eq!(events.status, StatusCode::OK);
    assert_eq!(events.headers[CONTENT_TYPE], "text/event-stream; charset=utf-8");
    events.settled().await;
    for _ in 0..3 {
        let number = happen(&app, "grace").await;
        let next = events.next().await;
        assert_eq!(next["data"]["userProgress"]["number"], number);
        assert!(next.get("errors").is_none());
    }
}

async fn who_comes_back_with_a_cursor_gets_the_rest(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let first = happen(&app, "grace").await;
    let after = cursor(&app, "grace", first).await;
    let newest = [happen(&app, "grace").await, happen(&app, "grace").await];
    // By GET, as browsers' own EventSource does.
    let encoded = serde_urlencoded::to_string([
        ("query", FOLLOW),
        ("variables", &json!({ "user": { "handle": "grace" }, "after": after }).to_string()),
    ]);
    let request = Request::get(format!("/graphql?{}", encoded.unwrap())).body(Body::empty()).unwrap();
    let mut events = send(&stage, &app, request).await;
    for number in newest {
        assert_eq!(events.next().await["data"]["userProgress"]["number"], number);
    }
}

async fn events_have_ids_and_who_names_the_last_one_gets_the_rest(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let first = happen(&app, "grace").await;
    let after = cursor(&app, "grace", first).await;
    let numbers = [happen(&app, "grace").await, happen(&app, "grace").await, happen(&app, "grace").await];
    // Whether the cursor is asked for or not; the address stays as it was, as that of a browser's own client does.
    let query = "subscription($after: String) { userProgress(user: {handle: \"grace\"}, after: $after) { number } }";
    let variables = json!({ "after": after }).to_string();
    let encoded = serde_urlencoded::to_string([("query", query), ("variables", &variables)]).unwrap();
    let request = async |last: Option<&str>| {
        let mut request = Request::get(format!("/graphql?{encoded}"));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        send(&stage, &app, request.body(Body::empty()).unwrap()).await
    };
    let mut events = request(None).await;
    assert_eq!(events.next().await["data"]["userProgress"]["number"], numbers[0]);
    let id = events.id.clone().unwrap();
    assert_eq!(id, cursor(&app, "grace", numbers[0]).await);
    assert_eq!(events.next().await["data"]["userProgress"]["number"], numbers[1]);
    assert_eq!(events.id, Some(cursor(&app, "grace", numbers[1]).await));
    drop(events);
    let mut events = request(Some(&id)).await;
    for number in &numbers[1..] {
        assert_eq!(events.next().await["data"]["userProgress"]["number"], *number);
    }
    let mut events = request(Some("nonsense")).await;
    assert_eq!(events.next().await["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    assert_eq!(events.id.as_deref(), Some(""), "a browser does not come back with it");
    events.completed().await;
    // Neither with one from before a backup was put back.
    let ahead = cursor(&app, "grace", numbers[2]).await;
    for sql in [
        "DELETE FROM history_events WHERE (user_id, seq) = (SELECT c.user_id, c.history_seq \
         FROM user_counters c JOIN users u ON u.id = c.user_id WHERE u.handle = 'grace')",
        "UPDATE user_counters SET history_seq = history_seq - 1 \
         WHERE user_id = (SELECT id FROM users WHERE handle = 'grace')",
    ] {
        stage.db().writes().execute_unprepared(sql).await.unwrap();
    }
    let mut events = request(Some(&ahead)).await;
    let next = events.next().await;
    assert_eq!(next["errors"][0]["extensions"]["code"], "BAD_USER_INPUT");
    assert!(next["errors"][0]["message"].as_str().unwrap().contains("ahead"), "{next}");
    assert_eq!(events.id.as_deref(), Some(""));
    events.completed().await;
    // What is refused for another reason is asked for again from where it stood.
    let mut events = post(&stage, &stage.user("grace"), FOLLOW, json!({ "user": { "handle": "ada" } })).await;
    assert_eq!(events.next().await["errors"][0]["extensions"]["code"], "FORBIDDEN");
    assert_eq!(events.id, None);
}

async fn a_mutation_is_answered_by_events_too(stage: Stage) {
    let change = "mutation { setProfileVisibility(input: { visibility: PRIVATE }) { user { profileVisibility } } }";
    let grace = stage.user("grace");
    let encoded = serde_urlencoded::to_string([("query", change)]).unwrap();
    let request = Request::get(format!("/graphql?{encoded}")).body(Body::empty()).unwrap();
    assert_eq!(send(&stage, &grace, request).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let mut events = post(&stage, &grace, change, Value::Null).await;
    let next = events.next().await;
    assert_eq!(next["data"]["setProfileVisibility"]["user"]["profileVisibility"], "PRIVATE");
    events.completed().await;
}

async fn a_query_is_answered_by_one_event(stage: Stage) {
    let grace = stage.user("grace");
    let query =
        "{ viewer { user { handle credits { expiresIn } } } user(by: {handle: \"ada\"}) { credits { expiresIn } } }";
    let expected = grace.query(query, Value::Null).await.json;
    let mut events = post(&stage, &grace, query, Value::Null).await;
    let next = events.next().await;
    assert_eq!((&next["data"], &next["errors"]), (&expected["data"], &expected["errors"]));
    events.completed().await;
}

async fn what_is_refused_is_told_by_an_event_and_who_is_refused_by_a_status(stage: Stage) {
    let grace = stage.user("grace");
    for (query, code) in [
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ viewer {", "GRAPHQL_PARSE_FAILED"),
        ("subscription { userProgress(user: {handle: \"nobody\"}) { number } }", "BAD_USER_INPUT"),
        ("subscription { userProgress(user: {handle: \"ada\"}) { number } }", "FORBIDDEN"),
    ] {
        let mut events = post(&stage, &grace, query, Value::Null).await;
        assert_eq!(events.status, StatusCode::OK);
        let next = events.next().await;
        assert_eq!(next["errors"][0]["extensions"]["code"], code, "{query}");
        events.completed().await;
    }
    let stranger = stage.with_credential(Some("nonsense".to_owned()));
    assert_eq!(post(&stage, &stranger, "{ viewer { kind } }", Value::Null).await.status, StatusCode::UNAUTHORIZED);
    let request = Request::post("/graphql").header(CONTENT_TYPE, "application/json").body(Body::from("["));
    assert_eq!(send(&stage, &grace, request.unwrap()).await.status, StatusCode::BAD_REQUEST);
}

async fn a_stream_outlives_the_time_limit_of_requests_and_shows_signs_of_life(stage: Stage) {
    let settings = [("WAYMARK_REQUEST_TIMEOUT_SECONDS", "1"), ("WAYMARK_KEEP_ALIVE_SECONDS", "1")];
    let stage = stage.with(&settings).await;
    let mut events = post(&stage, &stage.user("grace"), FOLLOW, json!({ "user": { "handle": "grace" } })).await;
    for _ in 0..4 {
        assert_eq!(events.block().await.unwrap(), ":");
    }
}

async fn a_subscription_needs_a_stream(stage: Stage) {
    let answer = stage.user("grace").query(FOLLOW, json!({ "user": { "handle": "grace" } })).await;
    answer.refused(406, "BAD_USER_INPUT");
}

async fn a_revoked_key_ends_a_stream(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let app = stage.app(&[Scope::ProgressRead]).await;
    let mut events = post(&stage, &app, FOLLOW, json!({ "user": { "handle": "grace" } })).await;
    events.settled().await;
    let keys = admin.data("{ apiKeys(last: 100) { nodes { number scopes } } }", Value::Null).await;
    let keys = keys["apiKeys"]["nodes"].as_array().unwrap().clone();
    let key = keys.iter().rfind(|key| key["scopes"] == json!(["PROGRESS_READ"])).unwrap();
    let revoke = "mutation($key: String!) { revokeApiKey(input: { key: $key }) { userErrors { code } } }";
    admin.data(revoke, json!({ "key": key["number"].to_string() })).await;
    assert_eq!(events.next().await["errors"][0]["extensions"]["code"], "INVALID_CREDENTIAL");
    events.completed().await;
}

async fn an_expired_token_ends_a_stream(stage: Stage) {
    let expires = Timestamp::parse(NOW).unwrap().millis() / 1000 + 1 - LEEWAY;
    let short = stage.with_credential(Some(token("grace", json!({ "exp": expires }))));
    let mut events = post(&stage, &short, FOLLOW, json!({ "user": { "handle": "grace" } })).await;
    assert_eq!(events.next().await["errors"][0]["extensions"]["code"], "INVALID_CREDENTIAL");
    events.completed().await;
}

/// Sends a subscription over a connection of its own.
async fn raw(at: &str, actor: &Actor, query: &str, variables: Value) -> TcpStream {
    let body = json!({ "query": query, "variables": variables }).to_string();
    let mut stream = TcpStream::connect(at).await.unwrap();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: {at}\r\naccept: text/event-stream\r\ncontent-type: application/json\r\n\
         authorization: Bearer {}\r\ncontent-length: {}\r\n\r\n",
        actor.credential(),
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body.as_bytes()).await.unwrap();
    stream
}

async fn a_stream_that_nobody_reads_is_cut_off(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_SLOW_READER_SECONDS", "1")]).await;
    let (server, app) = (serve(&stage).await, stage.app(&[Scope::ProgressWrite]).await);
    // Each event is blown up until the history is far more than any buffer on the way holds.
    let fields: String = (0..195).map(|number| format!(" f{number}: changes")).collect();
    let query =
        format!("subscription($c: String) {{ userProgress(user: {{handle: \"grace\"}}, after: $c) {{ {fields} }} }}");
    for _ in 0..500 {
        happen(&app, "grace").await;
    }
    let after = cursor(&app, "grace", 1).await;
    let mut stream = raw(&server.at, &app, &query, json!({ "c": after })).await;
    // Not before it is cut off is anything read, however long the server takes to fill the buffers.
    let cut_off = async {
        while !stage.app.figures().contains("waymark_subscriptions_closed_total{") {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(Duration::from_secs(60), cut_off).await.expect("it is cut off");
    let mut all = Vec::new();
    // Whether it ends or is reset, what has come is not the whole.
    let _ = timeout(Duration::from_secs(10), stream.read_to_end(&mut all)).await.expect("what has come ends");
    assert!(!all.ends_with(b"\r\n0\r\n\r\n"), "{} bytes", all.len());
}

async fn a_stream_ends_without_completion_when_the_server_stops(stage: Stage) {
    let (server, app) = (serve(&stage).await, stage.app(&[Scope::ProgressWrite]).await);
    let mut stream = raw(&server.at, &app, FOLLOW, json!({ "user": { "handle": "grace" } })).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let number = happen(&app, "grace").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut text = String::new();
    let (_, read) = tokio::join!(server.stop(), stream.read_to_string(&mut text));
    read.unwrap();
    assert!(text.contains(&format!("\"number\":{number}")), "{text}");
    assert!(text.contains(": the server is going away") && !text.contains("event: complete"), "{text}");
    assert!(text.ends_with("\r\n0\r\n\r\n"), "the answer ends as it should: {text}");
}
