//! Making and revoking API keys.

use serde_json::{Value, json};
use waymark::auth::Scope;

use super::{id_of, number};
use crate::harness::{Actor, Stage, tests};

tests! {
    own: [
        a_key_works_and_is_shown_once,
        a_repeated_write_makes_no_second_key_and_shows_nothing,
        a_key_may_belong_to_a_user,
        a_revoked_key_is_refused_at_once,
        what_makes_no_key_is_refused,
        only_operators_make_and_revoke_keys,
    ],
}

const CREATE: &str = "mutation($input: CreateApiKeyInput!) { createApiKey(input: $input) { secret
    apiKey { number name prefix scopes owner { handle } createdAt expiresAt revokedAt } userErrors { code path } } }";
const REVOKE: &str = "mutation($input: RevokeApiKeyInput!) { revokeApiKey(input: $input) {
    apiKey { number revokedAt } userErrors { code path } } }";
const AUDIT: &str = "{ auditLog(first: 10) { nodes { actor action subject changes recordedAt } } }";

async fn create(admin: &Actor, input: Value) -> Value {
    admin.data(CREATE, json!({ "input": input })).await["createApiKey"].clone()
}

async fn a_key_works_and_is_shown_once(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let expires = "2026-07-01T00:00:00.000Z";
    let made =
        create(&admin, json!({ "name": "game server", "scopes": ["PROGRESS_WRITE"], "expiresAt": expires })).await;
    let (secret, key) = (made["secret"].as_str().unwrap(), &made["apiKey"]);
    assert!(secret.starts_with(key["prefix"].as_str().unwrap()) && secret.len() == 68);
    assert_eq!((&key["name"], &key["scopes"]), (&json!("game server"), &json!(["PROGRESS_WRITE"])));
    assert_eq!((&key["owner"], &key["expiresAt"], &key["revokedAt"]), (&Value::Null, &json!(expires), &Value::Null));
    let app = stage.with_credential(Some(secret.to_owned()));
    let viewer = app.data("{ viewer { kind appName scopes } }", Value::Null).await["viewer"].clone();
    assert_eq!(viewer, json!({ "kind": "APP", "appName": "game server", "scopes": ["PROGRESS_WRITE"] }));
    let log = admin.data(AUDIT, Value::Null).await["auditLog"]["nodes"].clone();
    let changes = json!({ "prefix": key["prefix"], "scopes": "progress:write", "owner": null });
    let entry = json!({ "actor": "app:test app", "action": "API_KEY_CREATED", "subject": format!("api_key:{}", key["number"]),
        "changes": changes, "recordedAt": "2026-06-17T12:00:00.000Z" });
    assert_eq!(log, json!([entry]));
    let keys = admin.data("{ apiKeys(first: 100) { nodes { number } } }", Value::Null).await;
    assert!(keys["apiKeys"]["nodes"].as_array().unwrap().contains(&json!({ "number": key["number"] })));
}

async fn a_repeated_write_makes_no_second_key_and_shows_nothing(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let input = json!({ "name": "one", "scopes": ["ADMIN"], "idempotencyKey": "k1" });
    let first = create(&admin, input.clone()).await;
    let again = create(&admin, input).await;
    assert_eq!((&again["secret"], &again["apiKey"]), (&Value::Null, &first["apiKey"]));
    let secret = first["secret"].as_str().unwrap();
    for table in ["idempotency_keys WHERE outcome", "audit_log WHERE changes"] {
        assert_eq!(number(&stage, &format!("SELECT count(*) FROM {table} LIKE '%{secret}%'")).await, 0);
    }
    let inputs = (0..16).map(|_| create(&admin, json!({ "name": "two", "scopes": ["ADMIN"], "idempotencyKey": "k2" })));
    let answers = futures_util::future::join_all(inputs).await;
    assert_eq!(answers.iter().filter(|answer| answer["secret"].is_string()).count(), 1);
    assert!(answers.iter().all(|answer| answer["apiKey"] == answers[0]["apiKey"]));
}

async fn a_key_may_belong_to_a_user(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let made =
        create(&admin, json!({ "name": "ada's", "scopes": ["PROGRESS_READ"], "owner": { "handle": "ada" } })).await;
    assert_eq!(made["apiKey"]["owner"]["handle"], "ada");
    let app = stage.with_credential(made["secret"].as_str().map(str::to_owned));
    assert_eq!(app.data("{ viewer { user { handle } } }", Value::Null).await["viewer"]["user"]["handle"], "ada");
    let log = admin.data(AUDIT, Value::Null).await["auditLog"]["nodes"][0]["changes"].clone();
    assert_eq!(format!("user:{}", log["owner"].as_str().unwrap()), id_of(&admin, "ada").await.as_str().unwrap());
    let nobody = create(&admin, json!({ "name": "x", "scopes": ["ADMIN"], "owner": { "handle": "nobody" } })).await;
    assert_eq!(nobody["userErrors"], json!([{ "code": "UNKNOWN_USER", "path": ["owner"] }]));
    assert_eq!((&nobody["secret"], &nobody["apiKey"]), (&Value::Null, &Value::Null));
}

async fn a_revoked_key_is_refused_at_once(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let revoke =
        async |key: String| admin.data(REVOKE, json!({ "input": { "key": key } })).await["revokeApiKey"].clone();
    for by_prefix in [true, false] {
        let made = create(&admin, json!({ "name": "one", "scopes": ["PROGRESS_READ"] })).await;
        let key = &made["apiKey"];
        let app = stage.with_credential(made["secret"].as_str().map(str::to_owned));
        app.data("{ viewer { kind } }", Value::Null).await;
        let which = if by_prefix { key["prefix"].as_str().unwrap().to_owned() } else { key["number"].to_string() };
        let revoked = revoke(which.clone()).await;
        assert_eq!(revoked["apiKey"], json!({ "number": key["number"], "revokedAt": "2026-06-17T12:00:00.000Z" }));
        app.query("{ viewer { kind } }", Value::Null).await.refused(401, "INVALID_CREDENTIAL");
        assert_eq!(revoke(which).await, revoked);
    }
    let log = admin.data(AUDIT, Value::Null).await["auditLog"]["nodes"].clone();
    let actions: Vec<&str> = log.as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["API_KEY_REVOKED", "API_KEY_CREATED", "API_KEY_REVOKED", "API_KEY_CREATED"]);
    for which in ["", "wmk_", "999999"] {
        let unknown = revoke(which.to_owned()).await;
        assert_eq!(unknown["userErrors"], json!([{ "code": "UNKNOWN_API_KEY", "path": ["key"] }]), "{which}");
    }
}

async fn what_makes_no_key_is_refused(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    for input in [
        json!({ "name": " ", "scopes": ["ADMIN"] }),
        json!({ "name": "x".repeat(101), "scopes": ["ADMIN"] }),
        json!({ "name": "x", "scopes": [] }),
        json!({ "name": "x", "scopes": ["ADMIN"], "expiresAt": "2026-06-17T12:00:00Z" }),
    ] {
        let answer = admin.query(CREATE, json!({ "input": input })).await;
        assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{input}");
    }
}

async fn only_operators_make_and_revoke_keys(stage: Stage) {
    let writer = stage.app(&[Scope::ProgressWrite]).await;
    for actor in [stage.anonymous(), stage.user("ada"), writer] {
        let input = json!({ "input": { "name": "x", "scopes": ["ADMIN"] } });
        assert_eq!(actor.query(CREATE, input).await.codes(), ["FORBIDDEN"]);
        assert_eq!(actor.query(REVOKE, json!({ "input": { "key": "1" } })).await.codes(), ["FORBIDDEN"]);
    }
}
