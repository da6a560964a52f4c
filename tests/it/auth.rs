//! Credentials.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use waymark::auth::Scope;
use waymark::clock::Timestamp;

use crate::harness::{Answer, NOW, Stage, tests, token};

tests! {
    demo: [
        a_token_makes_its_user_the_viewer,
        what_is_no_credential_is_refused_and_never_taken_for_none,
        a_token_counts_from_its_beginning_to_its_end,
        a_token_must_be_signed_with_our_secret,
        issuer_and_audience_are_checked_when_they_are_set,
        an_api_key_may_come_in_a_header_of_its_own,
        an_expired_key_is_refused,
        an_owner_gives_a_key_no_rights,
    ],
    empty: [
        a_token_of_a_stranger_makes_nobody,
        a_revoked_key_is_refused_within_a_second,
    ],
}

const WHO: &str = "{ viewer { kind user { handle } } }";

fn now_seconds() -> i64 {
    Timestamp::parse(NOW).unwrap().millis() / 1000
}

/// What whoever shows this token is.
async fn shown(stage: &Stage, token: String) -> Answer {
    stage.with_credential(Some(token)).query(WHO, Value::Null).await
}

async fn a_token_makes_its_user_the_viewer(stage: Stage) {
    let data = shown(&stage, token("grace", json!({}))).await.data();
    assert_eq!(data, json!({ "viewer": { "kind": "USER", "user": { "handle": "grace" } } }));
}

async fn what_is_no_credential_is_refused_and_never_taken_for_none(stage: Stage) {
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Basic Zm9vOmJhcg==",
        "nonsense",
        "Bearer nonsense",
        "Bearer a.b.c",
        "Bearer ..",
        "Bearer wmk_",
        "Bearer wmk_0000000000000000000000000000000000000000000000000000000000000000",
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJncmFjZSIsImV4cCI6OTk5OTk5OTk5OX0.",
    ] {
        let request = Request::post("/graphql").header(CONTENT_TYPE, "application/json").header(AUTHORIZATION, value);
        let request = request.header(ACCEPT, "application/graphql-response+json");
        let body = Body::from(json!({ "query": "{ __typename }" }).to_string());
        let answer = stage.anonymous().send(request.body(body).unwrap()).await;
        answer.refused(401, "INVALID_CREDENTIAL");
        assert!(value.len() < 20 || !answer.text.contains(&value[10..]), "the credential is not echoed");
    }
}

async fn a_token_counts_from_its_beginning_to_its_end(stage: Stage) {
    // Clocks may be a minute apart.
    let now = now_seconds();
    for (claims, good) in [
        (json!({ "exp": now + 1 }), true),
        (json!({ "exp": now - 59 }), true),
        (json!({ "exp": now - 60 }), false),
        (json!({ "exp": 0 }), false),
        (json!({ "exp": -1 }), false),
        (json!({ "exp": null }), false),
        (json!({ "exp": "never" }), false),
        (json!({ "nbf": now + 60 }), true),
        (json!({ "nbf": now + 61 }), false),
    ] {
        let answer = shown(&stage, token("grace", claims.clone())).await;
        if good {
            assert_eq!(answer.data()["viewer"]["user"]["handle"], "grace", "{claims}");
        } else {
            answer.refused(401, "INVALID_CREDENTIAL");
        }
    }
}

async fn a_token_must_be_signed_with_our_secret(stage: Stage) {
    let good = token("grace", json!({}));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = message.split_once('.').unwrap();
    let others = token("ada", json!({}));
    let (_, others_signature) = others.rsplit_once('.').unwrap();
    for forged in [
        format!("{message}."),
        format!("{message}.{others_signature}"),
        format!("{message}.{}", signature.to_uppercase()),
        format!("{header}.{}.{signature}", payload.replace('e', "f")),
        format!("{good}.x"),
        message.to_owned(),
    ] {
        shown(&stage, forged).await.refused(401, "INVALID_CREDENTIAL");
    }
    let other = stage.with(&[("WAYMARK_JWT_SECRET", "another secret, which is long enough as well")]).await;
    shown(&other, good).await.refused(401, "INVALID_CREDENTIAL");
}

async fn issuer_and_audience_are_checked_when_they_are_set(stage: Stage) {
    let strict =
        stage.with(&[("WAYMARK_JWT_ISSUER", "https://login.example.org"), ("WAYMARK_JWT_AUDIENCE", "waymark")]).await;
    let (issuer, audience) = ("https://login.example.org", "waymark");
    for (claims, good) in [
        (json!({ "iss": issuer, "aud": audience }), true),
        (json!({ "iss": issuer, "aud": ["other", audience] }), true),
        (json!({ "iss": issuer }), false),
        (json!({ "iss": issuer, "aud": "other" }), false),
        (json!({ "aud": audience }), false),
        (json!({ "iss": "https://elsewhere.example.org", "aud": audience }), false),
    ] {
        let answer = shown(&strict, token("grace", claims.clone())).await;
        if good {
            // The identity is the issuer's: nobody's yet.
            assert_eq!(answer.data()["viewer"], json!({ "kind": "USER", "user": null }), "{claims}");
        } else {
            answer.refused(401, "INVALID_CREDENTIAL");
        }
    }
}

async fn an_api_key_may_come_in_a_header_of_its_own(stage: Stage) {
    let key = stage.app(&[Scope::ProgressRead]).await.credential().to_owned();
    let ask = async |credential: &str, authorization: Option<&str>| {
        let mut request =
            Request::post("/graphql").header(CONTENT_TYPE, "application/json").header("x-api-key", credential);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let body = Body::from(json!({ "query": "{ viewer { kind scopes } }" }).to_string());
        stage.anonymous().send(request.body(body).unwrap()).await
    };
    assert_eq!(ask(&key, None).await.data()["viewer"], json!({ "kind": "APP", "scopes": ["PROGRESS_READ"] }));
    ask("nonsense", None).await.refused(401, "INVALID_CREDENTIAL");
    ask("", None).await.refused(401, "INVALID_CREDENTIAL");
    // The first one present decides.
    ask(&key, Some("Bearer nonsense")).await.refused(401, "INVALID_CREDENTIAL");
}

async fn an_expired_key_is_refused(stage: Stage) {
    let now = Timestamp::parse(NOW).unwrap();
    let last = stage.key("admin", None, Some(now.plus_millis(1))).await;
    assert_eq!(last.data(WHO, Value::Null).await["viewer"]["kind"], "APP");
    let over = stage.key("admin", None, Some(now)).await;
    over.query(WHO, Value::Null).await.refused(401, "INVALID_CREDENTIAL");
}

async fn an_owner_gives_a_key_no_rights(stage: Stage) {
    let key = stage.key("", Some(1), None).await;
    let answer = key.query("{ viewer { user { handle credits { available { micros } } } } }", Value::Null).await;
    assert_eq!(answer.codes(), ["FORBIDDEN"]);
    assert_eq!(answer.json["data"]["viewer"]["user"], json!({ "handle": "grace", "credits": null }));
}

async fn a_token_of_a_stranger_makes_nobody(stage: Stage) {
    let stranger = stage.user("somebody");
    let data = stranger.data(WHO, Value::Null).await;
    assert_eq!(data, json!({ "viewer": { "kind": "USER", "user": null } }));
    let found = stranger.data(r#"{ user(by: {handle: "somebody"}) { id } }"#, Value::Null).await;
    assert_eq!(found, json!({ "user": null }));
    assert_eq!(crate::batching::handles(&stage).await, [""; 0]);
}

async fn a_revoked_key_is_refused_within_a_second(stage: Stage) {
    let key = stage.app(&[Scope::Admin]).await;
    key.data(WHO, Value::Null).await;
    stage.db().writes().execute_unprepared("UPDATE api_keys SET revoked_at = 1").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1050)).await;
    key.query(WHO, Value::Null).await.refused(401, "INVALID_CREDENTIAL");
    // In the process that revoked it, at once.
    stage.db().writes().execute_unprepared("UPDATE api_keys SET revoked_at = NULL").await.unwrap();
    stage.app.authenticator.clear();
    key.data(WHO, Value::Null).await;
}
