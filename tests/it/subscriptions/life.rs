//! What ends a subscription or a connection.

use std::time::Duration;

use serde_json::{Value, json};
use waymark::auth::Scope;
use waymark::clock::Timestamp;

use super::{FOLLOW, LEEWAY, Wire, cursor, happen, serve};
use crate::harness::{Actor, NOW, Stage, tests, token};

tests! {
    own: [
        a_revoked_key_ends_a_connection_within_seconds,
        a_key_revoked_through_another_server_ends_it_too,
        an_expired_token_ends_a_connection,
        an_erased_user_is_told_of_no_longer,
        who_follows_a_user_who_is_merged_learns_into_whom,
        the_absorbed_users_own_token_learns_it_too,
        a_slow_reader_is_disconnected_and_nobody_else_is_held_up,
        subscribers_are_sent_away_when_the_server_stops,
    ],
}

const CREATE: &str = "mutation { createApiKey(input: { name: \"live\", scopes: [PROGRESS_READ] }) {
    secret apiKey { number } } }";

/// An app with a key of its own, and the number of the key.
async fn keyed(stage: &Stage, admin: &Actor) -> (Actor, Value) {
    let made = admin.data(CREATE, Value::Null).await["createApiKey"].clone();
    (stage.with_credential(Some(made["secret"].as_str().unwrap().to_owned())), made["apiKey"]["number"].clone())
}

async fn revoke(admin: &Actor, number: &Value) {
    let revoke = "mutation($key: String!) { revokeApiKey(input: { key: $key }) { userErrors { code } } }";
    let data = admin.data(revoke, json!({ "key": number.to_string() })).await;
    assert_eq!(data["revokeApiKey"]["userErrors"], json!([]));
}

async fn a_revoked_key_ends_a_connection_within_seconds(stage: Stage) {
    let (server, admin) = (serve(&stage).await, stage.app(&[Scope::Admin]).await);
    let (app, number) = keyed(&stage, &admin).await;
    let mut wire = Wire::open(&server.at, &app).await;
    wire.follow("1", "grace", None).await;
    let mut idle = Wire::open(&server.at, &app).await;
    let mut other = Wire::open(&server.at, &admin).await;
    other.follow("1", "grace", None).await;
    other.settled().await;
    let began = tokio::time::Instant::now();
    revoke(&admin, &number).await;
    for wire in [&mut wire, &mut idle] {
        let (code, reason) = wire.closed().await;
        assert!(code == 4403 && reason.contains("revoked"), "{code} {reason}");
    }
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let number = happen(&admin, "grace").await;
    assert_eq!(other.event().await["number"], number);
}

async fn a_key_revoked_through_another_server_ends_it_too(stage: Stage) {
    let elsewhere = stage.with(&[]).await;
    let (server, admin) = (serve(&stage).await, elsewhere.app(&[Scope::Admin]).await);
    let (app, number) = keyed(&stage, &admin).await;
    let mut wire = Wire::open(&server.at, &app).await;
    wire.follow("1", "grace", None).await;
    revoke(&admin, &number).await;
    assert_eq!(wire.closed().await.0, 4403);
}

async fn an_expired_token_ends_a_connection(stage: Stage) {
    let server = serve(&stage).await;
    let expires = Timestamp::parse(NOW).unwrap().millis() / 1000 + 2 - LEEWAY;
    let short = stage.with_credential(Some(token("grace", json!({ "exp": expires }))));
    let mut wire = Wire::open(&server.at, &short).await;
    wire.follow("1", "grace", None).await;
    wire.settled().await;
    assert_eq!(wire.closed().await, (4403, "the credential has expired".to_owned()));
}

async fn an_erased_user_is_told_of_no_longer(stage: Stage) {
    let (server, app) = (serve(&stage).await, stage.app(&[Scope::Admin]).await);
    let first = happen(&app, "grace").await;
    let after = cursor(&app, "grace", first).await;
    let id = app.data("{ user(by: {handle: \"grace\"}) { id } }", Value::Null).await["user"]["id"].clone();
    let mut wires = Vec::new();
    for actor in [stage.user("grace"), app.clone()] {
        let mut wire = Wire::open(&server.at, &actor).await;
        wire.follow("1", "grace", None).await;
        wire.settled().await;
        wires.push(wire);
    }
    let erase = "mutation($id: ID!) { eraseUser(input: { user: { id: $id } }) { userErrors { code } } }";
    assert_eq!(app.data(erase, json!({ "id": id })).await["eraseUser"]["userErrors"], json!([]));
    for wire in &mut wires {
        assert_eq!(wire.failed().await, "BAD_USER_INPUT");
    }
    wires[1].subscribe("1", FOLLOW, json!({ "user": { "id": id }, "after": after })).await;
    assert_eq!(wires[1].failed().await, "BAD_USER_INPUT");
}

const MERGE: &str = "mutation { mergeUsers(input: { from: { handle: \"ada\" }, into: { handle: \"newton\" } }) {
    user { id } absorbedId userErrors { code } } }";

async fn who_follows_a_user_who_is_merged_learns_into_whom(stage: Stage) {
    let (server, admin) = (serve(&stage).await, stage.app(&[Scope::Admin]).await);
    let first = happen(&admin, "ada").await;
    let before = cursor(&admin, "ada", first).await;
    let mut wire = Wire::open(&server.at, &admin).await;
    wire.follow("1", "ada", None).await;
    wire.settled().await;
    let merged = admin.data(MERGE, Value::Null).await["mergeUsers"].clone();
    let (survivor, absorbed) = (merged["user"]["id"].as_str().unwrap(), &merged["absorbedId"]);
    let event = wire.event().await;
    assert_eq!((&event["kind"], &event["subject"]), (&json!("MERGED"), &json!(survivor)));
    let last = event["cursor"].as_str().unwrap().to_owned();
    let message = wire.hear().await;
    let names = |message: &Value| {
        let error = &message["payload"][0];
        assert_eq!(
            (&message["type"], &error["extensions"]["code"]),
            (&json!("error"), &json!("USER_MERGED")),
            "{message}"
        );
        assert!(error["message"].as_str().unwrap().contains(survivor), "{message}");
    };
    names(&message);
    for after in [None, Some(&before), Some(&last)] {
        wire.subscribe("1", FOLLOW, json!({ "user": { "id": absorbed }, "after": after })).await;
        names(&wire.hear().await);
    }
    wire.follow("1", "newton", Some(&before)).await;
    names(&wire.hear().await);
    let history = "query($c: String) { user(by: {handle: \"newton\"}) { history(after: $c) { nodes { number } } } }";
    assert_eq!(admin.query(history, json!({ "c": before })).await.codes(), ["USER_MERGED"]);
    // Somebody who may not see the survivor learns nothing.
    let mut other = Wire::open(&server.at, &stage.user("grace")).await;
    other.subscribe("1", FOLLOW, json!({ "user": { "id": absorbed } })).await;
    assert_eq!(other.failed().await, "BAD_USER_INPUT");
}

async fn the_absorbed_users_own_token_learns_it_too(stage: Stage) {
    let (server, admin) = (serve(&stage).await, stage.app(&[Scope::Admin]).await);
    let mut wire = Wire::open(&server.at, &stage.user("ada")).await;
    wire.follow("1", "ada", None).await;
    wire.settled().await;
    admin.data(MERGE, Value::Null).await;
    assert_eq!(wire.event().await["kind"], "MERGED");
    assert_eq!(wire.failed().await, "USER_MERGED");
    // From now on it is the survivor's token.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    wire.follow("1", "newton", None).await;
    wire.settled().await;
    let number = happen(&admin, "newton").await;
    assert_eq!(wire.event().await["number"], number);
}

async fn a_slow_reader_is_disconnected_and_nobody_else_is_held_up(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_SLOW_READER_SECONDS", "1")]).await;
    let (server, app) = (serve(&stage).await, stage.app(&[Scope::ProgressWrite]).await);
    let mut quick = Wire::open(&server.at, &app).await;
    quick.follow("1", "grace", None).await;
    quick.settled().await;
    let mut slow = Wire::open(&server.at, &app).await;
    // Far more than any buffer on the way holds: each event many times over, and all events for each operation.
    let fields: String = (0..95).map(|number| format!(" f{number}: changes h{number}: actor")).collect();
    let query =
        format!("subscription($c: String) {{ userProgress(user: {{handle: \"grace\"}}, after: $c) {{ {fields} }} }}");
    let after = cursor(&app, "grace", 1).await;
    for number in 0..100 {
        slow.subscribe(&number.to_string(), &query, json!({ "c": after })).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    for _ in 0..3 {
        let number = happen(&app, "grace").await;
        assert_eq!(quick.event().await["number"], number);
    }
    for _ in 0..600 {
        if stage.app.figures().contains("waymark_subscriptions_open 1\n") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(slow.closed().await, (1013, "what is sent is not read".to_owned()));
}

async fn subscribers_are_sent_away_when_the_server_stops(stage: Stage) {
    let (server, app) = (serve(&stage).await, stage.app(&[Scope::ProgressWrite]).await);
    let mut wires = [Wire::open(&server.at, &app).await, Wire::silent(&server.at).await];
    wires[0].follow("1", "grace", None).await;
    wires[0].settled().await;
    let farewells = async {
        for wire in &mut wires {
            assert_eq!(wire.closed().await, (1001, "the server is going away".to_owned()));
            // Reading on answers the farewell.
            while let Some(Ok(_)) = wire.next().await {}
        }
    };
    let began = tokio::time::Instant::now();
    tokio::join!(server.stop(), farewells);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}
