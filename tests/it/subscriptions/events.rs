//! What subscribers of a user's progress get: every event once, in order.

use std::time::Duration;

use serde_json::json;
use waymark::auth::Scope;

use super::{Wire, cursor, happen, serve};
use crate::harness::{Stage, tests};

tests! {
    own: [
        what_happens_is_told_from_then_on,
        who_comes_back_with_a_cursor_misses_nothing_and_sees_nothing_twice,
        what_another_server_writes_is_told_too,
        two_servers_that_both_write_tell_everybody_everything_once_in_order,
        a_history_longer_than_is_read_at_a_time_comes_whole,
        each_follows_their_own_user,
    ],
    demo: [
        a_cursor_of_nobody_of_another_user_or_from_the_future_is_refused,
        a_user_whom_nobody_knows_and_one_whom_the_caller_may_not_see_are_refused,
        a_subscription_by_fragment_is_one_too,
    ],
}

async fn what_happens_is_told_from_then_on(stage: Stage) {
    let (server, app) = (serve(&stage).await, stage.app(&[Scope::ProgressWrite]).await);
    happen(&app, "grace").await;
    let mut wire = Wire::open(&server.at, &stage.user("grace")).await;
    wire.follow("1", "grace", None).await;
    wire.settled().await;
    let number = happen(&app, "grace").await;
    let event = wire.event().await;
    assert_eq!((&event["number"], &event["kind"]), (&json!(number), &json!("CREDITS_GRANTED")));
    assert_eq!(event["cursor"], json!(cursor(&app, "grace", number).await), "as the history has it");
    wire.say(json!({ "id": "1", "type": "complete" })).await;
    happen(&app, "grace").await;
    wire.quiet().await;
}

async fn who_comes_back_with_a_cursor_misses_nothing_and_sees_nothing_twice(stage: Stage) {
    let (server, app) = (serve(&stage).await, stage.app(&[Scope::ProgressWrite]).await);
    let first = happen(&app, "grace").await;
    let mut after = cursor(&app, "grace", first).await;
    let mut expected = first + 1;
    for round in 0..5 {
        // Some while nobody is there, some while somebody is.
        for _ in 0..round {
            happen(&app, "grace").await;
        }
        let mut wire = Wire::open(&server.at, &stage.user("grace")).await;
        wire.follow("1", "grace", Some(&after)).await;
        let newest = happen(&app, "grace").await;
        for number in expected..=newest {
            let event = wire.event().await;
            assert_eq!(event["number"], number, "round {round}");
            after = event["cursor"].as_str().unwrap().to_owned();
        }
        expected = newest + 1;
    }
}

async fn what_another_server_writes_is_told_too(stage: Stage) {
    let other = stage.with(&[]).await;
    let (server, app) = (serve(&stage).await, other.app(&[Scope::ProgressWrite]).await);
    let mut wire = Wire::open(&server.at, &stage.user("grace")).await;
    wire.follow("1", "grace", None).await;
    wire.settled().await;
    let mut slowest = Duration::ZERO;
    for _ in 0..5 {
        let number = happen(&app, "grace").await;
        let began = tokio::time::Instant::now();
        assert_eq!(wire.event().await["number"], number);
        slowest = slowest.max(began.elapsed());
    }
    assert!(slowest < Duration::from_secs(5), "{slowest:?}");
}

async fn two_servers_that_both_write_tell_everybody_everything_once_in_order(stage: Stage) {
    const EACH: i64 = 25;
    let handles = ["grace", "ada", "newton"];
    let other = stage.with(&[]).await;
    let servers = [serve(&stage).await, serve(&other).await];
    let apps = [stage.app(&[Scope::ProgressWrite]).await, other.app(&[Scope::ProgressWrite]).await];
    let mut wires = Vec::new();
    for handle in handles {
        let first = happen(&apps[0], handle).await;
        let after = cursor(&apps[0], handle, first).await;
        for server in &servers {
            for _ in 0..2 {
                let mut wire = Wire::open(&server.at, &apps[0]).await;
                wire.follow("1", handle, Some(&after)).await;
                wires.push((wire, first));
            }
        }
    }
    let writes = handles.into_iter().flat_map(|handle| {
        apps.iter().map(move |app| async move {
            for _ in 0..EACH {
                happen(app, handle).await;
            }
        })
    });
    let reads = wires.into_iter().map(|(mut wire, first)| async move {
        for number in first + 1..=first + 2 * EACH {
            assert_eq!(wire.event().await["number"], number);
        }
        wire.quiet().await;
    });
    tokio::join!(futures_util::future::join_all(writes), futures_util::future::join_all(reads));
}

async fn a_history_longer_than_is_read_at_a_time_comes_whole(stage: Stage) {
    let (server, app) = (serve(&stage).await, stage.app(&[Scope::ProgressWrite]).await);
    let first = happen(&app, "grace").await;
    let after = cursor(&app, "grace", first).await;
    let mut newest = first;
    for _ in 0..230 {
        newest = happen(&app, "grace").await;
    }
    let mut wire = Wire::open(&server.at, &stage.user("grace")).await;
    wire.follow("1", "grace", Some(&after)).await;
    for number in first + 1..=newest {
        assert_eq!(wire.event().await["number"], number);
    }
    wire.quiet().await;
}

async fn each_follows_their_own_user(stage: Stage) {
    let (server, app) = (serve(&stage).await, stage.app(&[Scope::ProgressWrite]).await);
    let mut wires = Vec::new();
    for handle in ["grace", "ada"] {
        let mut wire = Wire::open(&server.at, &stage.user(handle)).await;
        wire.follow("1", handle, None).await;
        wire.settled().await;
        wires.push(wire);
    }
    let number = happen(&app, "ada").await;
    assert_eq!(wires[1].event().await["number"], number);
    wires[0].quiet().await;
}

async fn a_cursor_of_nobody_of_another_user_or_from_the_future_is_refused(stage: Stage) {
    let (server, app) = (serve(&stage).await, stage.app(&[Scope::ProgressRead]).await);
    let mut wire = Wire::open(&server.at, &app).await;
    let (own, foreign) = (cursor(&app, "grace", 1).await, cursor(&app, "ada", 1).await);
    let ahead = ahead_of(&own);
    for bad in ["", "x", "MXxnYW1lc3wxfDE", &foreign, &ahead] {
        wire.follow("1", "grace", Some(bad)).await;
        assert_eq!(wire.failed().await, "BAD_USER_INPUT", "{bad}");
    }
    wire.follow("1", "grace", Some(&own)).await;
    assert_eq!(wire.event().await["number"], 2);
    // The history itself takes the same cursors, and no others.
    let query = "query($after: String) { user(by: {handle: \"grace\"}) { history(before: $after, last: 1) { nodes { number } edges { cursor } } } }";
    let page = app.data(query, json!({ "after": own })).await;
    assert_eq!(page["user"]["history"]["nodes"], json!([{ "number": 2 }]));
    assert_eq!(page["user"]["history"]["edges"][0]["cursor"], json!(cursor(&app, "grace", 2).await));
    assert_eq!(app.query(query, json!({ "after": foreign })).await.codes(), ["BAD_USER_INPUT"]);
}

/// The same cursor with a number that no history has.
fn ahead_of(cursor: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).unwrap()).unwrap();
    URL_SAFE_NO_PAD.encode(text.replace("|1|", "|1000000|"))
}

async fn a_user_whom_nobody_knows_and_one_whom_the_caller_may_not_see_are_refused(stage: Stage) {
    let server = serve(&stage).await;
    for (actor, handle, code) in [
        (stage.user("ada"), "nobody", "BAD_USER_INPUT"),
        (stage.user("ada"), "no handle", "BAD_USER_INPUT"),
        (stage.user("ada"), "grace", "FORBIDDEN"),
        (stage.anonymous(), "grace", "FORBIDDEN"),
        (stage.app(&[]).await, "grace", "FORBIDDEN"),
    ] {
        let mut wire = Wire::open(&server.at, &actor).await;
        wire.follow("1", handle, None).await;
        assert_eq!(wire.failed().await, code, "{handle}");
    }
    let mut wire = Wire::open(&server.at, &stage.user("ada")).await;
    let unknown = json!({ "id": "user:01J9ZK3V7Q8W6X5Y4T3S2R1P0N" });
    wire.subscribe("1", super::FOLLOW, json!({ "user": unknown })).await;
    assert_eq!(wire.failed().await, "BAD_USER_INPUT");
}

async fn a_subscription_by_fragment_is_one_too(stage: Stage) {
    let (server, app) = (serve(&stage).await, stage.app(&[Scope::ProgressRead]).await);
    let mut wire = Wire::open(&server.at, &app).await;
    let after = cursor(&app, "grace", 1).await;
    for query in [
        "subscription($c: String) { ...F } fragment F on Subscription { ...G } fragment G on Subscription { userProgress(user: {handle: \"grace\"}, after: $c) { ...E } } fragment E on ProgressEvent { number }",
        "subscription($c: String) { ... on Subscription { ... { userProgress(user: {handle: \"grace\"}, after: $c) { number } } } }",
    ] {
        wire.subscribe("1", query, json!({ "c": after })).await;
        assert_eq!(wire.event().await, json!({ "number": 2 }), "{query}");
        wire.say(json!({ "id": "1", "type": "complete" })).await;
        wire = Wire::open(&server.at, &app).await;
    }
}
