//! Erasing users.

use serde_json::{Value, json};
use waymark::auth::Scope;

use super::{execute, export, id_of, number};
use crate::harness::{Actor, Stage, tests};

tests! {
    own: [
        what_is_personal_goes_and_amounts_and_counts_stay,
        the_id_names_nobody_from_then_on,
        a_token_of_an_erased_user_is_a_strangers,
        keys_of_an_erased_user_are_revoked,
        erasing_again_is_refused_or_answered_the_same,
        who_erases_themselves_leaves_no_key_of_that,
        who_may_erase,
    ],
}

const ERASE: &str = "mutation($input: EraseUserInput!) { eraseUser(input: $input) { erasedId
    userErrors { code path } changes { user { id } events { kind subject changes } } } }";

async fn erase(actor: &Actor, input: Value) -> Value {
    actor.data(ERASE, json!({ "input": input })).await["eraseUser"].clone()
}

/// What must not be found anywhere once grace is gone.
const PERSONAL: [&str; 4] = ["grace", "7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5", "800000000000000001", "secret"];

async fn what_is_personal_goes_and_amounts_and_counts_stay(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let (id, ada) = (id_of(&admin, "grace").await, export(&admin, "ada").await);
    let user = number(&stage, "SELECT id FROM users WHERE handle = 'grace'").await;
    for sql in [
        "UPDATE users SET display_name = 'secret', avatar_url = 'https://secret' WHERE id = $",
        "UPDATE resource_progress SET notes = 'secret' WHERE user_id = $",
        "UPDATE study_plan_instances SET title = 'secret' WHERE user_id = $",
        "UPDATE credit_lots SET reason = 'secret' WHERE user_id = $",
        "UPDATE credit_entries SET reason = 'secret' WHERE user_id = $",
        "INSERT INTO user_blocks (user_id, seq, scope, reason, from_at) VALUES ($, 1, 'CLAIM', 'secret', 0)",
        "INSERT INTO write_refs (user_id, kind, reference, created_at, outcome) VALUES ($, 'GRANT', 'secret', 0, '{}')",
        "INSERT INTO idempotency_keys (principal, mutation, key, body_hash, outcome, created_at) VALUES ('jwt:|grace', 'm', 'secret', '', '', 0)",
    ] {
        execute(&stage, &sql.replace('$', &user.to_string())).await;
    }
    let counts = [
        "SELECT CAST(sum(remaining_micros) AS bigint) FROM credit_lots",
        "SELECT CAST(sum(amount_micros) AS bigint) FROM credit_entries",
        "SELECT count(*) FROM goal_claims",
        "SELECT count(*) FROM goal_progress",
        "SELECT CAST(sum(num_achieved) AS bigint) FROM game_summaries",
        "SELECT count(*) FROM achievement_unlocks",
        "SELECT count(*) FROM resource_progress WHERE completed",
        "SELECT CAST(sum(quantity) AS bigint) FROM owned_cards",
        "SELECT count(*) FROM users",
    ];
    let mut before = Vec::new();
    for sql in counts {
        before.push(number(&stage, sql).await);
    }
    let done = erase(&admin, json!({ "user": { "handle": "grace" } })).await;
    assert_eq!((&done["erasedId"], &done["userErrors"]), (&id, &json!([])));
    let events = json!([{ "kind": "ERASED", "subject": id, "changes": {} }]);
    assert_eq!((&done["changes"]["user"], &done["changes"]["events"]), (&Value::Null, &events));
    for (sql, before) in counts.into_iter().zip(before) {
        assert_eq!(number(&stage, sql).await, before, "{sql}");
    }
    let columns = [
        ("users", vec!["handle", "handle_lower", "display_name", "avatar_url"]),
        ("accounts", vec!["external_id"]),
        ("resource_progress", vec!["notes"]),
        ("study_plan_instances", vec!["title"]),
        ("credit_lots", vec!["reason"]),
        ("credit_entries", vec!["reason"]),
        ("user_blocks", vec!["reason"]),
        ("write_refs", vec!["reference"]),
        ("idempotency_keys", vec!["principal", "key", "outcome"]),
        ("history_events", vec!["actor", "subject_key", "changes"]),
        ("audit_log", vec!["actor", "subject_key", "changes"]),
    ];
    for (table, columns) in columns {
        for column in columns {
            for text in PERSONAL {
                let sql = format!("SELECT count(*) FROM {table} WHERE {column} LIKE '%{text}%'");
                assert_eq!(number(&stage, &sql).await, 0, "{sql}");
            }
        }
    }
    assert_eq!(number(&stage, &format!("SELECT count(*) FROM accounts WHERE user_id = {user}")).await, 0);
    assert_eq!(export(&admin, "ada").await, ada);
}

async fn the_id_names_nobody_from_then_on(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let id = id_of(&admin, "grace").await;
    erase(&admin, json!({ "user": { "id": id } })).await;
    for by in [
        json!({ "id": id }),
        json!({ "handle": "grace" }),
        json!({ "address": "0x7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5" }),
        json!({ "account": { "platform": "discord", "id": "800000000000000001" } }),
    ] {
        let found = admin.data("query($by: UserBy!) { user(by: $by) { id } }", json!({ "by": by })).await;
        assert_eq!(found["user"], Value::Null, "{by}");
    }
    let node = admin.data("query($id: ID!) { node(id: $id) { id } }", json!({ "id": id })).await;
    let found = admin.data("query($t: String!) { searchUsers(text: $t) { nodes { id } } }", json!({ "t": id })).await;
    assert_eq!((&node["node"], &found["searchUsers"]["nodes"]), (&Value::Null, &json!([])));
    let unlock =
        "mutation($id: ID!) { unlockAchievements(input: {user: {id: $id}, unlocks: []}) { userErrors { code } } }";
    let unlocked = admin.data(unlock, json!({ "id": id })).await;
    assert_eq!(unlocked["unlockAchievements"]["userErrors"], json!([{ "code": "UNKNOWN_USER" }]));
    let taken = stage
        .user("ada")
        .data("mutation { updateProfile(input: {handle: \"Grace\"}) { userErrors { code } } }", Value::Null)
        .await;
    assert_eq!(taken["updateProfile"]["userErrors"], json!([]), "the handle is free");
}

async fn a_token_of_an_erased_user_is_a_strangers(stage: Stage) {
    let grace = stage.user("grace");
    let admin = stage.app(&[Scope::Admin]).await;
    let id = id_of(&admin, "grace").await;
    assert_eq!(erase(&grace, json!({})).await["erasedId"], id);
    let viewer = "{ viewer { kind user { id } } }";
    assert_eq!(grace.data(viewer, Value::Null).await["viewer"], json!({ "kind": "USER", "user": null }));
    let write = "mutation { setProfileVisibility(input: {visibility: PRIVATE}) { user { id } } }";
    let anew = grace.data(write, Value::Null).await["setProfileVisibility"]["user"]["id"].clone();
    assert!(anew.is_string() && anew != id, "whoever comes back begins anew");
}

async fn keys_of_an_erased_user_are_revoked(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let create =
        "mutation { createApiKey(input: {name: \"grace's\", scopes: [PROGRESS_READ], owner: {handle: \"grace\"}}) {
        secret apiKey { number } } }";
    let made = admin.data(create, Value::Null).await["createApiKey"].clone();
    let app = stage.with_credential(made["secret"].as_str().map(str::to_owned));
    app.data("{ viewer { kind } }", Value::Null).await;
    erase(&admin, json!({ "user": { "handle": "grace" } })).await;
    app.query("{ viewer { kind } }", Value::Null).await.refused(401, "INVALID_CREDENTIAL");
    let keys =
        admin.data("{ apiKeys(first: 100) { nodes { number name owner { id } revokedAt } } }", Value::Null).await;
    let key = keys["apiKeys"]["nodes"].as_array().unwrap().iter().find(|key| key["number"] == made["apiKey"]["number"]);
    let key = key.unwrap();
    assert_eq!((&key["name"], &key["owner"], key["revokedAt"].is_string()), (&json!("erased"), &Value::Null, true));
}

async fn erasing_again_is_refused_or_answered_the_same(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let input = json!({ "user": { "handle": "grace" }, "idempotencyKey": "k1" });
    let first = erase(&admin, input.clone()).await;
    let again = erase(&admin, input).await;
    assert_eq!((&again["erasedId"], &again["changes"]), (&first["erasedId"], &Value::Null));
    let refused = erase(&admin, json!({ "user": { "id": first["erasedId"] } })).await;
    assert_eq!(refused["userErrors"], json!([{ "code": "UNKNOWN_USER", "path": ["user"] }]));
    assert_eq!((&refused["erasedId"], &refused["changes"]), (&Value::Null, &Value::Null));
}

async fn who_erases_themselves_leaves_no_key_of_that(stage: Stage) {
    let erased = erase(&stage.user("grace"), json!({ "idempotencyKey": "personal" })).await;
    assert_eq!(erased["userErrors"], json!([]));
    let kept = "SELECT count(*) FROM idempotency_keys WHERE principal LIKE '%grace%' OR key = 'personal'";
    assert_eq!(number(&stage, kept).await, 0);
}

async fn who_may_erase(stage: Stage) {
    let writer = stage.app(&[Scope::ProgressWrite]).await;
    for actor in [stage.anonymous(), stage.user("ada"), writer] {
        let answer = actor.query(ERASE, json!({ "input": { "user": { "handle": "grace" } } })).await;
        assert_eq!(answer.codes(), ["FORBIDDEN"]);
    }
    let admin = stage.app(&[Scope::Admin]).await;
    assert_eq!(admin.query(ERASE, json!({ "input": {} })).await.codes(), ["BAD_USER_INPUT"]);
    assert!(id_of(&admin, "grace").await.is_string());
}
