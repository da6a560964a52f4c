//! Signed requests to the GraphQL endpoint.

use axum::body::Body;
use axum::http::Request;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::wallet::{Unsigned, Wallet, now};
use crate::harness::{Answer, Stage, tests};

tests! {
    demo: [
        a_signature_makes_its_wallet_the_viewer,
        a_bad_signature_is_refused_and_never_taken_for_none,
        another_credential_comes_first,
        what_is_signed_for_a_scene_is_not_the_players_own,
    ],
    own: [
        a_signed_mutation_names_its_body_and_counts_once,
    ],
}

const WHO: &str = "{ viewer { kind user { handle } } }";

fn body(query: &str) -> String {
    json!({ "query": query }).to_string()
}

/// Sends a body under the headers of another request, or the right one.
async fn post(stage: &Stage, headers: &[(String, String)], body: &str) -> Answer {
    let mut request = Request::post("/graphql")
        .header("content-type", "application/json")
        .header("accept", "application/graphql-response+json");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    stage.anonymous().send(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn a_signature_makes_its_wallet_the_viewer(stage: Stage) {
    let wallet = Wallet::new(8_000_001);
    let stranger = json!({ "viewer": { "kind": "USER", "user": null } });
    let signed = Unsigned::new("POST", "/graphql").headers(&[&wallet, &Wallet::new(2)]);
    // A query may be repeated.
    for _ in 0..2 {
        assert_eq!(post(&stage, &signed, &body(WHO)).await.data(), stranger);
    }
    let path = format!("/graphql?query={}", WHO.replace(' ', "%20").replace('{', "%7B").replace('}', "%7D"));
    let answer = stage.anonymous().send(Unsigned::new("GET", &path).signed(&[&wallet])).await;
    assert_eq!(answer.data(), stranger);
}

async fn a_bad_signature_is_refused_and_never_taken_for_none(stage: Stage) {
    let wallet = Wallet::new(8_000_001);
    let good = Unsigned::new("POST", "/graphql");
    for (unsigned, status, code) in [
        (Unsigned::new("GET", "/graphql"), 401, "INVALID_CREDENTIAL"),
        (Unsigned::new("POST", "/graphql/"), 401, "INVALID_CREDENTIAL"),
        (Unsigned { timestamp: now() - 61_000, ..good.clone() }, 401, "INVALID_CREDENTIAL"),
        (Unsigned { metadata: "[]", ..good.clone() }, 403, "FORBIDDEN"),
    ] {
        post(&stage, &unsigned.headers(&[&wallet]), &body(WHO)).await.refused(status, code);
    }
    for header in ["x-identity-timestamp", "x-identity-metadata", "x-identity-auth-chain-0"] {
        let headers = [(header.to_owned(), "{}".to_owned())];
        post(&stage, &headers, &body(WHO)).await.refused(401, "INVALID_CREDENTIAL");
    }
}

async fn what_is_signed_for_a_scene_is_not_the_players_own(stage: Stage) {
    let wallet = Wallet::new(8_000_001);
    let mutation = body("mutation { enrollInSeason(input: {}) { status } }");
    let hash: String = Sha256::digest(&mutation).iter().map(|byte| format!("{byte:02x}")).collect();
    let of_scene = format!(r#"{{"signer":" Decentraland-Kernel-Scene","body":"sha256:{hash}"}}"#);
    let progress = format!("/users/{}/progress", wallet.address());
    for (metadata, status) in [
        (r#"{"signer":"decentraland-kernel-scene","sceneId":"x"}"#, 403),
        (of_scene.as_str(), 403),
        (r#"{"signer":"dcl:explorer"}"#, 200),
        ("[]", 403),
        ("nonsense", 403),
    ] {
        let unsigned = |method, path| Unsigned { metadata, ..Unsigned::new(method, path) };
        let answer = stage.anonymous().send(unsigned("GET", &progress).signed(&[&wallet])).await;
        assert_eq!(answer.status.as_u16(), status, "{metadata} {}", answer.text);
        let get = format!("/graphql?query={}", WHO.replace(' ', "%20").replace('{', "%7B").replace('}', "%7D"));
        for media in ["application/json", "text/event-stream"] {
            let mut request = unsigned("GET", &get).signed(&[&wallet]);
            request.headers_mut().insert("accept", media.parse().unwrap());
            let answer = stage.anonymous().send(request).await;
            assert_eq!(answer.status.as_u16(), status, "{media} {metadata} {}", answer.text);
        }
        if status == 403 {
            for body in [&body(WHO), &mutation] {
                post(&stage, &unsigned("POST", "/graphql").headers(&[&wallet]), body).await.refused(403, "FORBIDDEN");
            }
        }
    }
}

async fn another_credential_comes_first(stage: Stage) {
    let mut headers = Unsigned::new("POST", "/graphql").headers(&[&Wallet::new(8_000_001)]);
    headers.push(("authorization".to_owned(), format!("Bearer {}", stage.user("grace").credential())));
    assert_eq!(post(&stage, &headers, &body(WHO)).await.data()["viewer"]["user"]["handle"], "grace");
    headers.last_mut().unwrap().1 = "Bearer nonsense".to_owned();
    post(&stage, &headers, &body(WHO)).await.refused(401, "INVALID_CREDENTIAL");
}

async fn a_signed_mutation_names_its_body_and_counts_once(stage: Stage) {
    let wallet = Wallet::new(1);
    wallet.link(&stage, 1).await;
    let mutation = body("mutation { enrollInSeason(input: {}) { status } }");
    let hash = |body: &str| Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let named = |body: &str| format!(r#"{{"body":"sha256:{}"}}"#, hash(body));
    let post = async |metadata: &str, timestamp: i64, body: &str| {
        let unsigned = Unsigned { metadata, timestamp, ..Unsigned::new("POST", "/graphql") };
        post(&stage, &unsigned.headers(&[&wallet]), body).await
    };
    for metadata in ["{}", r#"{"body":""}"#, r#"{"body":1}"#, &named("another"), &hash(&mutation).replace("0", "x")] {
        post(metadata, now(), &mutation).await.refused(403, "FORBIDDEN");
    }
    let metadata = named(&mutation);
    let first = post(&metadata, now(), &mutation).await;
    assert!(first.json.get("data").is_some(), "{}", first.text);
    post(&metadata, now(), &mutation).await.refused(401, "INVALID_CREDENTIAL");
    // Another server of this database, or this one after a restart, does not take it either.
    let other = stage.with(&[]).await;
    let unsigned = Unsigned { metadata: &metadata, timestamp: now(), ..Unsigned::new("POST", "/graphql") };
    self::post(&other, &unsigned.headers(&[&wallet]), &mutation).await.refused(401, "INVALID_CREDENTIAL");
    let again = post(&metadata, now() + 1, &mutation).await;
    assert!(again.json.get("data").is_some(), "{}", again.text);
    // What is no mutation is not used up.
    let query = body(WHO);
    for _ in 0..2 {
        let answer = post(&named(&query), now(), &query).await;
        assert_eq!(answer.data()["viewer"]["user"], json!({ "handle": "grace" }));
    }
    // Nor is what was refused for what it does, which is for apps.
    let forbidden = body("mutation { unlockAchievements(input: {unlocks: []}) { __typename } }");
    for _ in 0..2 {
        let answer = post(&named(&forbidden), now(), &forbidden).await;
        assert_eq!(answer.codes(), ["FORBIDDEN"], "{}", answer.text);
    }
    // Nor is what never ran.
    let wrong = body("mutation { nothing }");
    for _ in 0..2 {
        let answer = post(&named(&wrong), now(), &wrong).await;
        assert_eq!((answer.status.as_u16(), &answer.json["data"]), (400, &Value::Null), "{}", answer.text);
    }
    // Nor is what comes too often.
    let rates = [("WAYMARK_RATE_PER_SECOND", "1"), ("WAYMARK_RATE_BURST_SECONDS", "20")];
    let (strict, mut carried_out) = (stage.with(&rates).await, 2);
    for timestamp in now() + 2.. {
        let unsigned = Unsigned { metadata: &metadata, timestamp, ..Unsigned::new("POST", "/graphql") };
        let answer = self::post(&strict, &unsigned.headers(&[&wallet]), &mutation).await;
        if answer.status.as_u16() == 429 {
            break;
        }
        assert!(answer.json.get("data").is_some(), "{}", answer.text);
        carried_out += 1;
    }
    let marks = "SELECT count(*) FROM idempotency_keys WHERE principal = 'signature'";
    let connection = stage.db().reads();
    let marks = Statement::from_string(connection.get_database_backend(), marks);
    let marks: i64 = connection.query_one_raw(marks).await.unwrap().unwrap().try_get_by_index(0).unwrap();
    assert_eq!(marks, carried_out, "only what was carried out leaves a mark");
}
