//! What goes wrong, in the words of each dialect.

use axum::http::Method;
use serde_json::{Value, json};
use waymark::auth::Scope;

use super::{get, header, send};
use crate::harness::{Answer, Stage, tests};

tests! {
    demo: [
        what_does_not_exist_is_refused_in_the_dialect_of_its_path,
        another_method_is_refused_with_those_that_there_are,
        a_body_that_is_too_long_is_refused_before_anything_else,
        options_and_head_work_everywhere,
    ],
    own: [
        a_database_that_fails_leaks_nothing,
    ],
}

/// A path of each dialect that exists, and one below it that does not.
const PATHS: [(&str, &str); 5] = [
    (
        "/users/0x7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5/progress",
        "/users/0x7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5/nothing",
    ),
    ("/api/user-progress", "/api/user-progress/nothing"),
    ("/API/API_GetUserProgress.php", "/API/API_Nothing.php"),
    ("/users/discord/1/progress/collection-challenges", "/users/discord/1/nothing/"),
    ("/api/v1/users/discord/1/progress/collection-challenges", "/api/v1/nothing"),
];

/// Asserts that a refusal of this status has the form of the dialect with this place in [`PATHS`], and gives its message.
#[track_caller]
pub(super) fn refused(answer: &Answer, dialect: usize, status: u16, code: &str) -> String {
    assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    assert_eq!(header(answer, "content-type"), "application/json");
    let message = match dialect {
        0 => answer.json["error"].clone(),
        1 => answer.json["error"].clone(),
        2 => answer.json["message"].clone(),
        _ => answer.json["status"]["errorMessage"].clone(),
    };
    let message = message.as_str().unwrap_or_else(|| panic!("{}", answer.text)).to_owned();
    let expected = match dialect {
        0 => json!({ "error": message, "code": code }),
        1 => json!({ "error": message }),
        2 => json!({ "message": message, "errors": [{ "status": status, "code": code, "title": message }] }),
        _ => {
            let timestamp = super::wallet::now().to_string();
            json!({ "status": { "timestamp": timestamp, "errorCode": status, "errorMessage": message } })
        }
    };
    assert_eq!(answer.json, expected);
    message
}

async fn what_does_not_exist_is_refused_in_the_dialect_of_its_path(stage: Stage) {
    for (dialect, (_, path)) in PATHS.iter().enumerate() {
        for method in ["GET", "POST", "DELETE"] {
            let answer = send(&stage.anonymous(), method, path, &[], "").await;
            refused(&answer, dialect, 404, "not_found");
        }
    }
    // Elsewhere as before.
    let answer = get(&stage.anonymous(), "/nothing", &[]).await;
    assert_eq!(answer.codes(), ["BAD_USER_INPUT"]);
}

async fn another_method_is_refused_with_those_that_there_are(stage: Stage) {
    for (dialect, (path, _)) in PATHS.iter().enumerate() {
        for method in [Method::PUT, Method::DELETE, Method::PATCH] {
            let answer = send(&stage.anonymous(), method.as_str(), path, &[], "").await;
            refused(&answer, dialect, 405, "method_not_allowed");
            assert!(header(&answer, "allow").contains("GET,HEAD"), "{:?}", answer.headers);
        }
    }
}

async fn a_body_that_is_too_long_is_refused_before_anything_else(stage: Stage) {
    let small = stage.with(&[("WAYMARK_MAX_BODY_BYTES", "1000")]).await;
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let answer = send(&small.anonymous(), "POST", "/API/API_GetUserProgress.php", &form, "i=".repeat(1000)).await;
    refused(&answer, 2, 413, "payload_too_large");
}

async fn options_and_head_work_everywhere(stage: Stage) {
    for (path, missing) in PATHS {
        for path in [path, missing] {
            let answer = send(&stage.anonymous(), "OPTIONS", path, &[], "").await;
            assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""), "{path}");
            let (head, get) =
                (send(&stage.anonymous(), "HEAD", path, &[], "").await, get(&stage.anonymous(), path, &[]).await);
            assert_eq!((head.status, head.text.as_str()), (get.status, ""), "{path}");
        }
    }
}

async fn a_database_that_fails_leaks_nothing(stage: Stage) {
    use sea_orm::ConnectionTrait as _;
    let key = stage.app(&[Scope::ProgressRead]).await;
    let grace = stage.user("grace");
    // So that the credentials are known, and what fails comes behind.
    for _ in 0..2 {
        assert_eq!(get(&key, PATHS[3].0, &[]).await.status, 200);
    }
    for table in ["game_summaries", "collection_progress", "resource_progress"] {
        let sql = format!("ALTER TABLE {table} RENAME TO hidden_{table}");
        stage.db().writes().execute_unprepared(&sql).await.unwrap();
    }
    let answers = [
        (2, get(&key, "/API/API_GetUserProgress.php?u=MaxMilyin&i=1", &[]).await),
        (3, get(&key, "/users/discord/123456789012345678/progress/collection-challenges", &[]).await),
        (1, get(&grace, "/api/user-progress", &[]).await),
    ];
    for (dialect, answer) in &answers {
        assert_eq!(refused(answer, *dialect, 500, "internal_error"), "internal error");
        assert!(!answer.text.contains("game_summaries") && answer.json != Value::Null);
    }
}
