//! Finding users.

use serde_json::{Value, json};

use crate::harness::{Stage, tests};

tests! {
    demo: [
        a_user_is_found_by_id_handle_address_and_account,
        handles_and_addresses_are_found_in_any_case,
        a_name_of_nobody_finds_nobody,
        a_malformed_name_is_refused_with_a_reason,
        exactly_one_name_is_asked_for,
        many_users_come_in_the_order_asked_for_with_duplicates_and_holes,
        an_account_is_found_by_its_platform_and_id_together,
        accounts_are_sorted_by_platform,
        the_viewer_is_whoever_asks,
    ],
}

const FIND: &str = "query($by: UserBy!) { user(by: $by) { handle } }";

/// The handle of the user whom `by` names.
async fn found(stage: &Stage, by: Value) -> Value {
    stage.anonymous().data(FIND, json!({ "by": by })).await["user"]["handle"].clone()
}

async fn a_user_is_found_by_id_handle_address_and_account(stage: Stage) {
    let id =
        stage.anonymous().data(r#"{ user(by: {handle: "grace"}) { id } }"#, Value::Null).await["user"]["id"].clone();
    let ulid = id.as_str().unwrap().strip_prefix("user:").unwrap();
    for by in [
        json!({ "id": id }),
        json!({ "id": ulid }),
        json!({ "id": ulid.to_lowercase() }),
        json!({ "handle": "grace" }),
        json!({ "address": "0x7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5" }),
        json!({ "account": { "platform": "discord", "id": "800000000000000001" } }),
        json!({ "account": { "platform": "ethereum", "id": "0x7949F9F239D1A0816CE5EB364A1F588AE9CC1BF5" } }),
    ] {
        assert_eq!(found(&stage, by.clone()).await, "grace", "{by}");
    }
}

async fn handles_and_addresses_are_found_in_any_case(stage: Stage) {
    assert_eq!(found(&stage, json!({ "handle": "maxMILYIN" })).await, "MaxMilyin");
    for address in ["0x7949F9F239D1A0816CE5EB364A1F588AE9CC1BF5", "0x7949f9F239d1a0816cE5eb364a1f588aE9cc1bF5"] {
        assert_eq!(found(&stage, json!({ "address": address })).await, "grace");
    }
}

async fn a_name_of_nobody_finds_nobody(stage: Stage) {
    for by in [
        json!({ "id": "user:01J00000000000000000000000" }),
        json!({ "handle": "nobody" }),
        json!({ "address": "0x0000000000000000000000000000000000000000" }),
        json!({ "account": { "platform": "discord", "id": "1" } }),
        json!({ "account": { "platform": "unheard-of", "id": "800000000000000001" } }),
    ] {
        assert_eq!(found(&stage, by.clone()).await, Value::Null, "{by}");
    }
}

async fn a_malformed_name_is_refused_with_a_reason(stage: Stage) {
    for by in [
        json!({ "id": "" }),
        json!({ "id": "user:" }),
        json!({ "id": "game:1" }),
        json!({ "id": "user:01J0000000000000000000000U" }),
        json!({ "id": "81J00000000000000000000000" }),
        json!({ "handle": "" }),
        json!({ "handle": "g" }),
        json!({ "handle": "with space" }),
        json!({ "handle": "grâce" }),
        json!({ "handle": "x".repeat(21) }),
        json!({ "handle": "grace\n" }),
        json!({ "address": "" }),
        json!({ "address": "0x12" }),
        json!({ "address": "7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5" }),
        json!({ "address": "0xg949f9f239d1a0816ce5eb364a1f588ae9cc1bf5" }),
        json!({ "account": { "platform": "discord", "id": "" } }),
        json!({ "account": { "platform": "", "id": "1" } }),
        json!({ "account": { "platform": "discord", "id": "1\n" } }),
    ] {
        let answer = stage.anonymous().query(FIND, json!({ "by": by })).await;
        assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{by} {}", answer.text);
        assert_eq!(answer.json["data"], json!({ "user": null }), "{by}");
    }
}

async fn exactly_one_name_is_asked_for(stage: Stage) {
    for by in [json!({}), json!({ "handle": "grace", "id": "x" }), json!({ "handle": null })] {
        stage.anonymous().query(FIND, json!({ "by": by })).await.refused(400, "BAD_USER_INPUT");
    }
    for by in ["{}", r#"{handle: "grace", id: "x"}"#, "{handle: null}"] {
        let answer = stage.anonymous().query(&format!("{{ user(by: {by}) {{ id }} }}"), Value::Null).await;
        answer.refused(400, "GRAPHQL_VALIDATION_FAILED");
    }
}

async fn many_users_come_in_the_order_asked_for_with_duplicates_and_holes(stage: Stage) {
    let by = json!([
        { "handle": "xelnia" }, { "handle": "nobody" }, { "handle": "grace" }, { "handle": "XELNIA" },
        { "account": { "platform": "discord", "id": "123456789012345678" } }, { "handle": "not a handle" },
        { "handle": "ada" },
    ]);
    let query = "query($by: [UserBy!]!) { users(by: $by) { handle } }";
    let user = |handle: &str| json!({ "handle": handle });
    let answer = stage.anonymous().query(query, json!({ "by": by })).await;
    let expected =
        [user("xelnia"), Value::Null, user("grace"), user("xelnia"), user("snowfall"), Value::Null, Value::Null];
    assert_eq!(answer.json["data"]["users"], json!(expected));
    // What is malformed fails in its own place; somebody who does not exist or may not be seen is no error.
    assert_eq!(answer.codes(), ["BAD_USER_INPUT"]);
    assert_eq!(answer.json["errors"][0]["path"], json!(["users", 5]));

    let seen = stage.user("newton").query(query, json!({ "by": by })).await;
    assert_eq!(seen.json["data"]["users"][6], user("ada"));
    assert_eq!(stage.anonymous().data(query, json!({ "by": [] })).await, json!({ "users": [] }));
}

/// Two accounts asked for at once do not lend each other their platform.
async fn an_account_is_found_by_its_platform_and_id_together(stage: Stage) {
    let query = "query($by: [UserBy!]!) { users(by: $by) { handle } }";
    let account = |platform: &str, id: &str| json!({ "account": { "platform": platform, "id": id } });
    let (discord, roblox) = ("123456789012345678", "900000004");
    let by = [
        account("discord", discord),
        account("roblox", roblox),
        account("roblox", discord),
        account("discord", roblox),
    ];
    let data = stage.anonymous().data(query, json!({ "by": by })).await;
    assert_eq!(data["users"], json!([{ "handle": "snowfall" }, { "handle": "xelnia" }, null, null]));
}

async fn accounts_are_sorted_by_platform(stage: Stage) {
    let data = stage.user("grace").data("{ viewer { user { accounts { platform id } } } }", Value::Null).await;
    assert_eq!(
        data["viewer"]["user"]["accounts"],
        json!([
            { "platform": "discord", "id": "800000000000000001" },
            { "platform": "ethereum", "id": "0x7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5" },
            { "platform": "jwt", "id": "|grace" },
        ])
    );
}

async fn the_viewer_is_whoever_asks(stage: Stage) {
    let query = "{ viewer { kind appName scopes now user { handle } } }";
    let now = "2026-06-17T12:00:00.000Z";
    let anonymous = json!({ "kind": "ANONYMOUS", "appName": null, "scopes": [], "now": now, "user": null });
    assert_eq!(stage.anonymous().data(query, Value::Null).await["viewer"], anonymous);
    let user = json!({ "kind": "USER", "appName": null, "scopes": [], "now": now, "user": { "handle": "grace" } });
    assert_eq!(stage.user("grace").data(query, Value::Null).await["viewer"], user);
    let key = stage.key("progress:read admin", Some(1), None).await;
    let app = json!({
        "kind": "APP", "appName": "test app", "scopes": ["PROGRESS_READ", "ADMIN"], "now": now, "user": { "handle": "grace" },
    });
    assert_eq!(key.data(query, Value::Null).await["viewer"], app);
}
