//! Making users, their profiles and their accounts.

use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::harness::{Actor, Stage, tests, token};

tests! {
    own: [
        an_operator_makes_a_user_and_making_the_user_again_changes_nothing,
        whoever_is_there_is_changed,
        what_is_malformed_or_taken_is_refused_and_changes_nothing,
        users_change_their_profile,
        a_handle_that_was_given_up_is_free,
        many_who_want_one_handle_get_it_once,
        null_takes_a_name_away_and_what_is_not_given_stays,
        an_account_is_linked_once_and_unlinked_again,
        a_linked_token_is_the_users_at_once,
        who_may_change_users,
        a_repeated_write_is_answered_the_same,
    ],
}

const UPSERT: &str = "mutation($input: UpsertUserInput!) { upsertUser(input: $input) { created
    user { id handle displayName avatarUrl profileVisibility accounts { platform id } }
    userErrors { code path } changes { events { kind changes } } } }";
const UPDATE: &str = "mutation($input: UpdateProfileInput!) { updateProfile(input: $input) {
    user { handle displayName avatarUrl } userErrors { code path } changes { events { kind actor changes } } } }";
const LINK: &str = "mutation($input: LinkAccountInput!) { linkAccount(input: $input) {
    user { handle accounts { platform id } } userErrors { code path } changes { events { kind changes } } } }";
const UNLINK: &str = "mutation($input: UnlinkAccountInput!) { unlinkAccount(input: $input) {
    user { accounts { platform id } } userErrors { code path } changes { events { kind changes } } } }";

async fn upsert(admin: &Actor, input: Value) -> Value {
    admin.data(UPSERT, json!({ "input": input })).await["upsertUser"].clone()
}

async fn an_operator_makes_a_user_and_making_the_user_again_changes_nothing(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let wallet = "0xABCDEF0123456789ABCDEF0123456789ABCDEF01";
    let input = json!({
        "handle": "Neo", "displayName": "Thomas Anderson", "avatarUrl": "https://example.org/neo.png",
        "visibility": "PUBLIC", "accounts": [
            { "platform": "Discord", "id": "42" }, { "platform": "ethereum", "id": wallet },
            { "platform": "discord", "id": "42" },
        ],
    });
    let made = upsert(&admin, input.clone()).await;
    assert_eq!((&made["created"], &made["userErrors"]), (&json!(true), &json!([])));
    let user = &made["user"];
    assert_eq!(
        user["accounts"],
        json!([{ "platform": "discord", "id": "42" }, { "platform": "ethereum", "id": wallet.to_lowercase() }])
    );
    assert_eq!((&user["handle"], &user["displayName"]), (&json!("Neo"), &json!("Thomas Anderson")));
    assert_eq!(
        (&user["avatarUrl"], &user["profileVisibility"]),
        (&json!("https://example.org/neo.png"), &json!("PUBLIC"))
    );
    assert_eq!(
        made["changes"]["events"],
        json!([
            { "kind": "USER_CREATED", "changes": {} },
            { "kind": "ACCOUNT_LINKED", "changes": { "provider": "discord" } },
            { "kind": "ACCOUNT_LINKED", "changes": { "provider": "ethereum" } },
            { "kind": "PROFILE_CHANGED", "changes": { "visibility": "PUBLIC" } },
        ])
    );
    let again = upsert(&admin, input).await;
    assert_eq!((&again["created"], &again["user"], &again["changes"]["events"]), (&json!(false), user, &json!([])));
    let nameless = upsert(&admin, json!({ "accounts": [{ "platform": "roblox", "id": "7" }] })).await;
    assert!(nameless["created"] == true && nameless["user"]["handle"].as_str().unwrap().starts_with("user"));
}

async fn whoever_is_there_is_changed(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let ada = admin.data("{ user(by: {handle: \"ada\"}) { id } }", Value::Null).await["user"]["id"].clone();
    let by_id = upsert(&admin, json!({ "id": ada, "handle": "AdaL" })).await;
    assert_eq!((&by_id["created"], &by_id["user"]["handle"]), (&json!(false), &json!("AdaL")));
    assert_eq!(by_id["changes"]["events"], json!([{ "kind": "PROFILE_CHANGED", "changes": { "handle": true } }]));
    let by_handle = upsert(&admin, json!({ "handle": "ADAl", "displayName": "Ada" })).await;
    assert_eq!((&by_handle["user"]["id"], &by_handle["user"]["handle"]), (&ada, &json!("ADAl")));
    let account = json!([{ "platform": "discord", "id": "800000000000000001" }, { "platform": "roblox", "id": "9" }]);
    let by_account = upsert(&admin, json!({ "accounts": account, "visibility": "PRIVATE" })).await;
    assert_eq!((&by_account["user"]["handle"], &by_account["created"]), (&json!("grace"), &json!(false)));
    assert_eq!(by_account["user"]["profileVisibility"], "PRIVATE");
}

async fn what_is_malformed_or_taken_is_refused_and_changes_nothing(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let long = "x".repeat(101);
    let discord = json!([{ "platform": "roblox", "id": "9" }, { "platform": "discord", "id": "800000000000000001" }]);
    for (input, code, path) in [
        (json!({ "handle": "a b" }), "INVALID_INPUT", json!(["handle"])),
        (json!({ "handle": "neo", "displayName": long }), "INVALID_INPUT", json!(["displayName"])),
        (json!({ "handle": "neo", "displayName": " " }), "INVALID_INPUT", json!(["displayName"])),
        (json!({ "handle": "neo", "avatarUrl": "javascript:alert(1)" }), "INVALID_INPUT", json!(["avatarUrl"])),
        (
            json!({ "handle": "neo", "accounts": [{ "platform": "a b", "id": "1" }] }),
            "INVALID_INPUT",
            json!(["accounts", "0"]),
        ),
        (
            json!({ "handle": "neo", "accounts": [{ "platform": "ethereum", "id": "0x1" }] }),
            "INVALID_INPUT",
            json!(["accounts", "0"]),
        ),
        (json!({ "handle": "neo", "accounts": discord }), "ACCOUNT_TAKEN", json!(["accounts", "1"])),
        (json!({ "id": "01J00000000000000000000000", "handle": "neo" }), "UNKNOWN_USER", json!(["id"])),
    ] {
        let refused = upsert(&admin, input.clone()).await;
        assert_eq!(refused["userErrors"], json!([{ "code": code, "path": path }]), "{input}");
        assert_eq!(
            (&refused["user"], &refused["created"], &refused["changes"]),
            (&Value::Null, &json!(false), &Value::Null)
        );
    }
    for name in ["neo", "roblox"] {
        let by = if name == "neo" {
            json!({ "handle": "neo" })
        } else {
            json!({ "account": { "platform": name, "id": "9" } })
        };
        let found = admin.data("query($by: UserBy!) { user(by: $by) { id } }", json!({ "by": by })).await;
        assert_eq!(found["user"], Value::Null);
    }
    let ada = admin.data("{ user(by: {handle: \"ada\"}) { id } }", Value::Null).await["user"]["id"].clone();
    let taken = upsert(&admin, json!({ "id": ada, "handle": "GRACE" })).await;
    assert_eq!(taken["userErrors"], json!([{ "code": "HANDLE_TAKEN", "path": ["handle"] }]));
    let many = vec![json!({ "platform": "x", "id": "1" }); 101];
    let answer = admin.query(UPSERT, json!({ "input": { "accounts": many } })).await;
    assert_eq!(answer.codes(), ["LIMIT_EXCEEDED"]);
}

async fn users_change_their_profile(stage: Stage) {
    let ada = stage.user("ada");
    let input = json!({ "handle": "Lovelace", "displayName": "Ada L.", "avatarUrl": "http://example.org/a.png" });
    let done = ada.data(UPDATE, json!({ "input": input })).await["updateProfile"].clone();
    assert_eq!(
        done["user"],
        json!({ "handle": "Lovelace", "displayName": "Ada L.", "avatarUrl": "http://example.org/a.png" })
    );
    let event = &done["changes"]["events"][0];
    assert_eq!(event["changes"], json!({ "handle": true, "displayName": true, "avatarUrl": true }));
    let text = done["changes"].to_string();
    assert!(!text.contains("Lovelace") && !text.contains("example"), "{text}");
    let taken = ada.data(UPDATE, json!({ "input": { "handle": "Grace", "displayName": "x" } })).await;
    assert_eq!(taken["updateProfile"]["userErrors"], json!([{ "code": "HANDLE_TAKEN", "path": ["handle"] }]));
    assert_eq!(taken["updateProfile"]["user"]["displayName"], "Ada L.");
    let worse = ada.data(UPDATE, json!({ "input": { "handle": "!", "avatarUrl": "x" } })).await;
    let codes =
        json!([{ "code": "INVALID_INPUT", "path": ["handle"] }, { "code": "INVALID_INPUT", "path": ["avatarUrl"] }]);
    assert_eq!(worse["updateProfile"]["userErrors"], codes);
    let cased = ada.data(UPDATE, json!({ "input": { "handle": "LOVELACE" } })).await;
    assert_eq!(cased["updateProfile"]["user"]["handle"], "LOVELACE");
}

async fn a_handle_that_was_given_up_is_free(stage: Stage) {
    stage.user("ada").data(UPDATE, json!({ "input": { "handle": "Lovelace" } })).await;
    let grace = stage.user("grace").data(UPDATE, json!({ "input": { "handle": "ada" } })).await;
    assert_eq!(grace["updateProfile"]["user"]["handle"], "ada");
}

async fn many_who_want_one_handle_get_it_once(stage: Stage) {
    let people = ["ada", "grace", "MaxMilyin", "xelnia", "cleo", "mallory", "newton"];
    let wanted = people.map(|name| {
        let actor = stage.user(name);
        async move { actor.data(UPDATE, json!({ "input": { "handle": "One" } })).await["updateProfile"].clone() }
    });
    let answers = futures_util::future::join_all(wanted).await;
    let got = answers.iter().filter(|answer| answer["userErrors"] == json!([])).count();
    let taken = answers.iter().filter(|answer| answer["userErrors"][0]["code"] == "HANDLE_TAKEN").count();
    assert_eq!((got, taken), (1, people.len() - 1), "{answers:?}");
}

async fn null_takes_a_name_away_and_what_is_not_given_stays(stage: Stage) {
    let ada = stage.user("ada");
    let input = json!({ "displayName": "Ada L.", "avatarUrl": "http://example.org/a.png" });
    ada.data(UPDATE, json!({ "input": input })).await;
    let done = ada.data(UPDATE, json!({ "input": { "displayName": null } })).await["updateProfile"].clone();
    assert_eq!(done["user"], json!({ "handle": "ada", "displayName": "ada", "avatarUrl": "http://example.org/a.png" }));
    let nothing = ada.data(UPDATE, json!({ "input": {} })).await["updateProfile"].clone();
    assert_eq!((&nothing["user"], &nothing["changes"]["events"]), (&done["user"], &json!([])));
}

async fn an_account_is_linked_once_and_unlinked_again(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let account = json!({ "platform": "Steam-1", "id": "42" });
    let input = json!({ "input": { "user": { "handle": "xelnia" }, "account": account } });
    let linked = admin.data(LINK, input.clone()).await["linkAccount"].clone();
    assert_eq!(
        linked["changes"]["events"],
        json!([{ "kind": "ACCOUNT_LINKED", "changes": { "provider": "steam-1" } }])
    );
    assert!(linked["user"]["accounts"].as_array().unwrap().contains(&json!({ "platform": "steam-1", "id": "42" })));
    let again = admin.data(LINK, input.clone()).await["linkAccount"].clone();
    assert_eq!((&again["userErrors"], &again["changes"]["events"]), (&json!([]), &json!([])));
    let other = json!({ "input": { "user": { "handle": "ada" }, "account": account } });
    let taken = admin.data(LINK, other.clone()).await["linkAccount"].clone();
    assert_eq!(taken["userErrors"], json!([{ "code": "ACCOUNT_TAKEN", "path": ["account"] }]));
    let not_hers = admin.data(UNLINK, other).await["unlinkAccount"].clone();
    assert_eq!((&not_hers["userErrors"], &not_hers["changes"]["events"]), (&json!([]), &json!([])));
    let gone = admin.data(UNLINK, input.clone()).await["unlinkAccount"].clone();
    assert_eq!(
        gone["changes"]["events"],
        json!([{ "kind": "ACCOUNT_UNLINKED", "changes": { "provider": "steam-1" } }])
    );
    assert_eq!(admin.data(UNLINK, input).await["unlinkAccount"]["changes"]["events"], json!([]));
    let bad = json!({ "input": { "user": { "handle": "ada" }, "account": { "platform": "ethereum", "id": "0x0" } } });
    for (text, field) in [(LINK, "linkAccount"), (UNLINK, "unlinkAccount")] {
        let refused = admin.data(text, bad.clone()).await[field]["userErrors"].clone();
        assert_eq!(refused, json!([{ "code": "INVALID_INPUT", "path": ["account"] }]));
    }
}

async fn a_linked_token_is_the_users_at_once(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let other = stage.with_credential(Some(token("ada-at-work", json!({}))));
    let viewer = "{ viewer { user { handle } } }";
    assert_eq!(other.data(viewer, Value::Null).await["viewer"]["user"], Value::Null);
    let input =
        json!({ "input": { "user": { "handle": "ada" }, "account": { "platform": "jwt", "id": "|ada-at-work" } } });
    admin.data(LINK, input.clone()).await;
    assert_eq!(other.data(viewer, Value::Null).await["viewer"]["user"]["handle"], "ada");
    admin.data(UNLINK, input).await;
    assert_eq!(other.data(viewer, Value::Null).await["viewer"]["user"], Value::Null);
}

async fn who_may_change_users(stage: Stage) {
    let account = json!({ "platform": "steam", "id": "42" });
    let operators = [
        (UPSERT, json!({ "handle": "neo" })),
        (LINK, json!({ "user": { "handle": "grace" }, "account": account })),
        (UNLINK, json!({ "user": { "handle": "grace" }, "account": account })),
    ];
    let (read, write) = (stage.app(&[Scope::ProgressRead]).await, stage.app(&[Scope::ProgressWrite]).await);
    for (text, input) in operators {
        for actor in [stage.anonymous(), stage.user("grace"), read.clone(), write.clone()] {
            assert_eq!(actor.query(text, json!({ "input": input })).await.codes(), ["FORBIDDEN"], "{text}");
        }
    }
    let visibility = "mutation($input: SetProfileVisibilityInput!) { setProfileVisibility(input: $input) {
        user { profileVisibility } userErrors { code } changes { events { changes } } } }";
    let users = [
        (UPDATE, json!({ "user": { "handle": "grace" }, "displayName": "G" })),
        (visibility, json!({ "user": { "handle": "grace" }, "visibility": "PRIVATE" })),
    ];
    for (text, input) in users {
        for actor in [stage.anonymous(), stage.user("ada"), read.clone()] {
            assert_eq!(actor.query(text, json!({ "input": input })).await.codes(), ["FORBIDDEN"], "{text}");
        }
        for actor in [stage.user("grace"), write.clone()] {
            actor.data(text, json!({ "input": input })).await;
        }
    }
    let nobody = json!({ "input": { "user": { "handle": "nobody" }, "visibility": "PRIVATE" } });
    let refused = write.data(visibility, nobody).await["setProfileVisibility"].clone();
    assert_eq!(refused["userErrors"], json!([{ "code": "UNKNOWN_USER" }]));
    assert_eq!(
        write.query(visibility, json!({ "input": { "visibility": "PRIVATE" } })).await.codes(),
        ["BAD_USER_INPUT"]
    );
    let seen = stage.anonymous().data("{ user(by: {handle: \"grace\"}) { id } }", Value::Null).await;
    assert_eq!(seen["user"], Value::Null);
}

async fn a_repeated_write_is_answered_the_same(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let input = json!({ "handle": "Neo", "idempotencyKey": "k1" });
    let first = upsert(&admin, input.clone()).await;
    assert_eq!(first["created"], true);
    assert_eq!(upsert(&admin, input).await, first);
    let other = json!({ "input": { "handle": "Neo2", "idempotencyKey": "k1" } });
    assert_eq!(admin.query(UPSERT, other).await.codes(), ["IDEMPOTENCY_KEY_REUSED"]);
    // What is taken away is not the same as what stays.
    let ada = stage.user("ada");
    ada.data(UPDATE, json!({ "input": { "displayName": null, "idempotencyKey": "k2" } })).await;
    let reused = ada.query(UPDATE, json!({ "input": { "idempotencyKey": "k2" } })).await;
    assert_eq!(reused.codes(), ["IDEMPOTENCY_KEY_REUSED"]);
}
