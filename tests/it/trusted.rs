//! Operations that clients name instead of sending them.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use waymark::app::App;
use waymark::clock::Ids;
use waymark::config::Config;

use crate::harness::{Answer, Stage, tests};

tests! {
    demo: [
        a_trusted_document_is_run_by_its_id,
        with_trusted_documents_nothing_else_runs,
        without_trusted_documents_every_id_is_unknown,
        a_file_that_is_no_list_of_documents_stops_the_start,
    ],
}

const KIND: &str = "query Kind { viewer { kind } }";
const GAME: &str = "query Game($id: ID!) { game(id: $id) { id } }";
const BOTH: &str = "query A { viewer { kind } } query B { viewer { now } }";
const UNLOCK: &str = "mutation { unlockAchievements(input: {unlocks: []}) { __typename } }";
/// Does not fit the schema, and is refused like any other.
const OLD: &str = "{ goneLongAgo }";

fn hash(text: &str) -> String {
    Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn file(name: &str, content: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("waymark-{name}-{}-{}.json", std::process::id(), hash(content)));
    // Another test reads the same file meanwhile.
    static WRITTEN: Mutex<()> = Mutex::new(());
    let _written = WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    if !path.exists() {
        std::fs::write(&path, content).unwrap();
    }
    path
}

/// The stage with these documents. One has an id without prefix, as some generators write it.
async fn trusting(stage: &Stage) -> Stage {
    let id = |text: &str| format!("sha256:{}", hash(text));
    let list = json!({ id(KIND): KIND, hash(GAME): GAME, id(BOTH): BOTH, id(UNLOCK): UNLOCK, id(OLD): OLD });
    stage.with(&[("WAYMARK_TRUSTED_DOCUMENTS", file("trusted", &list.to_string()).to_str().unwrap())]).await
}

async fn ask(stage: &Stage, body: Value) -> Answer {
    let request = Request::post("/graphql").header(CONTENT_TYPE, "application/json");
    let request = request.header(ACCEPT, "application/graphql-response+json");
    stage.anonymous().send(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn a_trusted_document_is_run_by_its_id(stage: Stage) {
    let stage = trusting(&stage).await;
    let id = |text: &str| format!("sha256:{}", hash(text));
    assert_eq!(
        ask(&stage, json!({ "documentId": id(KIND) })).await.data(),
        json!({ "viewer": { "kind": "ANONYMOUS" } })
    );
    let game = json!({ "documentId": id(GAME), "variables": { "id": "1" } });
    assert_eq!(ask(&stage, game).await.data(), json!({ "game": { "id": "game:1" } }));
    let named = json!({ "documentId": id(BOTH), "operationName": "A" });
    assert_eq!(ask(&stage, named).await.data(), json!({ "viewer": { "kind": "ANONYMOUS" } }));
    ask(&stage, json!({ "documentId": id(BOTH) })).await.refused(400, "BAD_USER_INPUT");
    ask(&stage, json!({ "documentId": id(GAME) })).await.refused(400, "BAD_USER_INPUT");
    ask(&stage, json!({ "documentId": id(OLD) })).await.refused(400, "GRAPHQL_VALIDATION_FAILED");
    let get = |text: &str, rest: &str| {
        let request = Request::get(format!("/graphql?documentId={}{rest}", id(text)));
        request.header(ACCEPT, "application/graphql-response+json").body(Body::empty()).unwrap()
    };
    let answer = stage.anonymous().send(get(GAME, "&variables=%7B%22id%22:%221%22%7D")).await;
    assert_eq!(answer.data(), json!({ "game": { "id": "game:1" } }));
    stage.anonymous().send(get(UNLOCK, "")).await.refused(405, "BAD_USER_INPUT");
}

async fn with_trusted_documents_nothing_else_runs(stage: Stage) {
    let stage = trusting(&stage).await;
    for query in [KIND, "{ viewer { kind } }", "{ __schema { queryType { name } } }", "{ __typename }", "{", ""] {
        ask(&stage, json!({ "query": query })).await.refused(403, "FORBIDDEN");
    }
    for id in [hash("x"), format!("sha256:{}", hash("x")), "sha256:".to_owned(), String::new(), "sha1:x".to_owned()] {
        ask(&stage, json!({ "documentId": id })).await.refused(400, "PERSISTED_DOCUMENT_NOT_FOUND");
    }
    ask(&stage, json!({ "documentId": hash(KIND), "query": KIND })).await.refused(400, "BAD_USER_INPUT");
}

async fn without_trusted_documents_every_id_is_unknown(stage: Stage) {
    ask(&stage, json!({ "documentId": hash(KIND) })).await.refused(400, "PERSISTED_DOCUMENT_NOT_FOUND");
    ask(&stage, json!({ "documentId": 1 })).await.refused(400, "BAD_USER_INPUT");
    ask(&stage, json!({ "documentId": null })).await.refused(400, "BAD_USER_INPUT");
    // A client of plain JSON sees that nothing was wrong with what it named, but that it is not there.
    let body = json!({ "documentId": hash(KIND) }).to_string();
    let request = Request::post("/graphql").header(CONTENT_TYPE, "application/json").body(Body::from(body)).unwrap();
    stage.anonymous().send(request).await.refused(400, "PERSISTED_DOCUMENT_NOT_FOUND");
}

async fn a_file_that_is_no_list_of_documents_stops_the_start(stage: Stage) {
    for (content, reason) in [
        ("[]", "must be a JSON object"),
        ("{", "must be a JSON object"),
        (r#"{"sha256:1": "{ viewer { kind } }"}"#, "is no id"),
        (r#"{"x": 1}"#, "must be a JSON object"),
    ] {
        let path = file("untrusted", content);
        let settings = [
            ("WAYMARK_DATABASE_URL", stage.url.as_str()),
            ("WAYMARK_JWT_SECRET", "a secret of the tests, long enough for HS256"),
            ("WAYMARK_TRUSTED_DOCUMENTS", path.to_str().unwrap()),
        ];
        let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let config = Config::from_sources(None, settings).unwrap();
        let Err(error) = App::connect(config, Ids::seeded(1)).await else { panic!("{content} was taken") };
        assert!(error.message().contains(reason), "{}", error.message());
    }
}
