//! What makes a write safe to repeat.

use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::harness::{Actor, Answer, Stage, tests};

tests! {
    own: [
        the_same_key_with_the_same_input_is_carried_out_once_and_answered_the_same,
        the_same_key_with_another_input_is_refused,
        keys_of_different_apps_do_not_meet,
        many_clients_with_one_key_write_once,
        a_write_that_was_refused_as_a_whole_does_not_take_its_key,
    ],
}

const UNLOCK: &str = "mutation($input: UnlockAchievementsInput!) { unlockAchievements(input: $input) {
    results { status } userErrors { code } changes { events { number kind } } } }";

async fn unlock(app: &Actor, achievement: &str, key: &str) -> Answer {
    let input =
        json!({ "user": { "handle": "xelnia" }, "unlocks": [{ "achievementId": achievement }], "idempotencyKey": key });
    app.query(UNLOCK, json!({ "input": input })).await
}

/// Two achievements that xelnia has not unlocked.
async fn locked(stage: &Stage) -> (String, String) {
    let query = "{ game(id: \"1\") { achievements(first: 2) { nodes { key } } } }";
    let data = stage.anonymous().data(query, Value::Null).await;
    let key = |place: usize| data["game"]["achievements"]["nodes"][place]["key"].as_str().unwrap().to_owned();
    (key(0), key(1))
}

async fn the_same_key_with_the_same_input_is_carried_out_once_and_answered_the_same(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let (one, _) = locked(&stage).await;
    let first = unlock(&app, &one, "k1").await.data();
    assert_eq!(first["unlockAchievements"]["results"][0]["status"], "APPLIED");
    assert_eq!(unlock(&app, &one, "k1").await.data(), first);
    assert_eq!(unlock(&app, &one, "k2").await.data()["unlockAchievements"]["results"][0]["status"], "UNCHANGED");
}

async fn the_same_key_with_another_input_is_refused(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let (one, two) = locked(&stage).await;
    unlock(&app, &one, "k1").await.data();
    assert_eq!(unlock(&app, &two, "k1").await.codes(), ["IDEMPOTENCY_KEY_REUSED"]);
    assert_eq!(unlock(&app, &two, "k2").await.data()["unlockAchievements"]["results"][0]["status"], "APPLIED");
    for key in ["", "a\nb", &"x".repeat(256)] {
        assert_eq!(unlock(&app, &two, key).await.codes(), ["BAD_USER_INPUT"]);
    }
}

async fn keys_of_different_apps_do_not_meet(stage: Stage) {
    let (app, other) = (stage.app(&[Scope::ProgressWrite]).await, stage.app(&[Scope::Admin]).await);
    let (one, two) = locked(&stage).await;
    assert_eq!(unlock(&app, &one, "k1").await.data()["unlockAchievements"]["results"][0]["status"], "APPLIED");
    assert_eq!(unlock(&other, &two, "k1").await.data()["unlockAchievements"]["results"][0]["status"], "APPLIED");
}

async fn many_clients_with_one_key_write_once(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let (one, _) = locked(&stage).await;
    let clients = (0..64).map(|_| unlock(&app, &one, "k1"));
    let answers: Vec<Value> = futures_util::future::join_all(clients).await.iter().map(Answer::data).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(answers[0]["unlockAchievements"]["results"][0]["status"], "APPLIED");
    let history =
        "{ user(by: {handle: \"xelnia\"}) { history(first: 1, kinds: [ACHIEVEMENT_UNLOCKED]) { nodes { number } } } }";
    let newest = app.data(history, Value::Null).await["user"]["history"]["nodes"][0]["number"].clone();
    assert_eq!(newest, answers[0]["unlockAchievements"]["changes"]["events"][0]["number"]);
}

async fn a_write_that_was_refused_as_a_whole_does_not_take_its_key(stage: Stage) {
    let (reader, app) = (stage.app(&[Scope::ProgressRead]).await, stage.app(&[Scope::ProgressWrite]).await);
    let (one, _) = locked(&stage).await;
    assert_eq!(unlock(&reader, &one, "k1").await.codes(), ["FORBIDDEN"]);
    let nobody =
        json!({ "user": { "handle": "nobody" }, "unlocks": [{ "achievementId": one }], "idempotencyKey": "k1" });
    let refused = app.data(UNLOCK, json!({ "input": nobody })).await["unlockAchievements"].clone();
    assert_eq!(refused["userErrors"], json!([{ "code": "UNKNOWN_USER" }]));
    assert_eq!(unlock(&app, &one, "k1").await.data()["unlockAchievements"]["results"][0]["status"], "APPLIED");
}
