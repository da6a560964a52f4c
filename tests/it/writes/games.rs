//! Unlocking achievements and locking them again.

use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::harness::{Actor, Stage, tests};

tests! {
    own: [
        an_unlock_changes_the_summary_and_stands_in_the_history,
        unlocking_again_changes_nothing_but_adds_hardcore_mode,
        each_item_has_its_own_result_in_the_order_of_the_input,
        all_or_nothing_undoes_the_good_items_of_a_list_with_a_bad_one,
        the_last_achievement_earns_the_awards,
        locking_again_takes_the_unlock_and_the_awards_that_rest_on_it,
        more_items_than_allowed_are_refused_as_a_whole,
        only_apps_that_may_write_unlock_and_only_operators_lock_again,
        a_list_of_a_thousand_costs_as_many_statements_as_a_list_of_one,
    ],
}

const UNLOCK: &str = "mutation($input: UnlockAchievementsInput!) { unlockAchievements(input: $input) {
    user { handle } results { id status error { code } } userErrors { code path }
    gameSummaries { game { key } numAchieved scoreAchieved numAchievedHardcore awards { award } }
    changes { userId events { number kind subject changes occurredAt actor } gameSummaries { numAchieved } awards { game { key } award }
      goals { id } collections { id } resources { id } credits { available { __typename } } } } }";
const RELOCK: &str = "mutation($input: RelockAchievementsInput!) { relockAchievements(input: $input) {
    results { id status error { code } } gameSummaries { numAchieved numAchievedHardcore awards { award } }
    changes { events { kind subject changes } } } }";

async fn unlock(app: &Actor, items: Value) -> Value {
    let input = json!({ "user": { "handle": "xelnia" }, "unlocks": items });
    app.data(UNLOCK, json!({ "input": input })).await["unlockAchievements"].clone()
}

/// The keys of the published achievements of a game, with their points.
async fn achievements(stage: &Stage, game: &str) -> Vec<(String, i64)> {
    let query = "query($game: ID!) { game(id: $game) { achievements(first: 100) { nodes { key points } } } }";
    let data = stage.anonymous().data(query, json!({ "game": game })).await;
    let nodes = data["game"]["achievements"]["nodes"].as_array().unwrap().clone();
    nodes.iter().map(|one| (one["key"].as_str().unwrap().to_owned(), one["points"].as_i64().unwrap())).collect()
}

fn statuses(payload: &Value) -> Vec<&str> {
    payload["results"].as_array().unwrap().iter().map(|result| result["status"].as_str().unwrap()).collect()
}

async fn an_unlock_changes_the_summary_and_stands_in_the_history(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let (key, points) = achievements(&stage, "1").await[0].clone();
    let done = unlock(&app, json!([{ "achievementId": key, "unlockedAt": "2026-06-01T10:00:00Z" }])).await;
    assert_eq!(done["user"]["handle"], "xelnia");
    assert_eq!(done["results"], json!([{ "id": format!("achievement:{key}"), "status": "APPLIED", "error": null }]));
    assert_eq!(done["userErrors"], json!([]));
    let summary = &done["gameSummaries"][0];
    assert_eq!((&summary["numAchieved"], &summary["scoreAchieved"]), (&json!(1), &json!(points)));
    assert_eq!((&summary["game"]["key"], &summary["numAchievedHardcore"]), (&json!("1"), &json!(0)));
    let events = done["changes"]["events"].as_array().unwrap();
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["kind"], "ACHIEVEMENT_UNLOCKED");
    assert_eq!(events[0]["subject"], format!("achievement:{key}"));
    assert_eq!(events[0]["occurredAt"], "2026-06-01T10:00:00.000Z");
    assert_eq!(events[0]["actor"], "app:test app");
    assert_eq!(events[0]["changes"], json!({ "game": "1", "hardcore": false, "points": points }));
    assert_eq!(done["changes"]["gameSummaries"], json!([{ "numAchieved": 1 }]));
    assert_eq!(done["changes"]["goals"], json!([]));

    let history = "{ user(by: {handle: \"xelnia\"}) { history(first: 1) { nodes { number kind subject } } } }";
    let newest = app.data(history, Value::Null).await["user"]["history"]["nodes"][0].clone();
    assert_eq!(newest["number"], events[0]["number"]);
    assert_eq!(newest["kind"], "ACHIEVEMENT_UNLOCKED");
}

async fn unlocking_again_changes_nothing_but_adds_hardcore_mode(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let (key, _) = achievements(&stage, "1").await[0].clone();
    let soft = json!([{ "achievementId": key }]);
    let hard = json!([{ "achievementId": key, "hardcore": true }]);
    assert_eq!(statuses(&unlock(&app, soft.clone()).await), ["APPLIED"]);
    let again = unlock(&app, soft.clone()).await;
    assert_eq!((statuses(&again), &again["changes"]["events"]), (vec!["UNCHANGED"], &json!([])));
    let harder = unlock(&app, hard.clone()).await;
    assert_eq!(statuses(&harder), ["APPLIED"]);
    assert_eq!(harder["gameSummaries"][0]["numAchieved"], 1);
    assert_eq!(harder["gameSummaries"][0]["numAchievedHardcore"], 1);
    for list in [soft, hard] {
        assert_eq!(statuses(&unlock(&app, list).await), ["UNCHANGED"]);
    }
}

async fn each_item_has_its_own_result_in_the_order_of_the_input(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let all = achievements(&stage, "1").await;
    let (one, two) = (&all[0].0, &all[1].0);
    let done = unlock(
        &app,
        json!([
            { "achievementId": one },
            { "achievementId": "nothing" },
            { "achievementId": one },
            { "achievementId": two, "unlockedAt": "2026-06-17T12:00:00.001Z" },
            { "achievementId": two, "unlockedAt": "2020-06-17T12:00:00Z" },
            { "achievementId": format!("achievement:{two}"), "hardcore": true },
        ]),
    )
    .await;
    assert_eq!(statuses(&done), ["APPLIED", "REFUSED", "UNCHANGED", "REFUSED", "REFUSED", "APPLIED"]);
    assert_eq!(
        done["userErrors"],
        json!([
            { "code": "UNKNOWN_ACHIEVEMENT", "path": ["unlocks", "1"] },
            { "code": "DATE_OUT_OF_RANGE", "path": ["unlocks", "3"] },
            { "code": "DATE_OUT_OF_RANGE", "path": ["unlocks", "4"] },
        ])
    );
    assert_eq!(done["gameSummaries"][0]["numAchieved"], 2);
}

async fn all_or_nothing_undoes_the_good_items_of_a_list_with_a_bad_one(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let (key, _) = achievements(&stage, "1").await[0].clone();
    let input = |items: Value| json!({ "input": { "user": { "handle": "xelnia" }, "mode": "ALL_OR_NOTHING", "unlocks": items } });
    let bad = app.data(UNLOCK, input(json!([{ "achievementId": key }, { "achievementId": "nothing" }]))).await;
    let bad = &bad["unlockAchievements"];
    assert_eq!(statuses(bad), ["REFUSED", "REFUSED"]);
    assert_eq!(bad["results"][0]["error"]["code"], "NOT_APPLIED");
    assert_eq!((&bad["gameSummaries"][0]["numAchieved"], &bad["changes"]["events"]), (&json!(0), &json!([])));
    let good = app.data(UNLOCK, input(json!([{ "achievementId": key }]))).await;
    assert_eq!(statuses(&good["unlockAchievements"]), ["APPLIED"]);
}

async fn the_last_achievement_earns_the_awards(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let all = achievements(&stage, "1").await;
    let items = |hardcore: bool| {
        let items = all.iter().map(|(key, _)| json!({ "achievementId": key, "hardcore": hardcore }));
        Value::Array(items.collect())
    };
    let completed = unlock(&app, items(false)).await;
    let awards = completed["changes"]["awards"].as_array().unwrap();
    assert!(awards.contains(&json!({ "game": { "key": "1" }, "award": "COMPLETED" })), "{awards:?}");
    let mastered = unlock(&app, items(true)).await;
    let awards = mastered["changes"]["awards"].as_array().unwrap();
    assert!(awards.contains(&json!({ "game": { "key": "1" }, "award": "MASTERED" })), "{awards:?}");
    assert!(!awards.contains(&json!({ "game": { "key": "1" }, "award": "COMPLETED" })), "{awards:?}");
    assert_eq!(mastered["gameSummaries"][0]["awards"][0]["award"], "MASTERED");
}

async fn locking_again_takes_the_unlock_and_the_awards_that_rest_on_it(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let all = achievements(&stage, "1").await;
    let items = all.iter().map(|(key, _)| json!({ "achievementId": key, "hardcore": true }));
    unlock(&admin, Value::Array(items.collect())).await;
    let relock = async |hardcore_only: bool| {
        let input = json!({ "user": { "handle": "xelnia" }, "achievementIds": [all[0].0, "nothing"], "hardcoreOnly": hardcore_only });
        admin.data(RELOCK, json!({ "input": input })).await["relockAchievements"].clone()
    };
    let count = i64::try_from(all.len()).unwrap();
    let softened = relock(true).await;
    assert_eq!(statuses(&softened), ["APPLIED", "REFUSED"]);
    let summary = &softened["gameSummaries"][0];
    assert_eq!((&summary["numAchieved"], &summary["numAchievedHardcore"]), (&json!(count), &json!(count - 1)));
    assert_eq!(summary["awards"][0]["award"], "COMPLETED");
    assert_eq!(statuses(&relock(true).await), ["UNCHANGED", "REFUSED"]);
    let removed = relock(false).await;
    assert_eq!(removed["gameSummaries"][0]["numAchieved"], count - 1);
    assert_eq!(removed["changes"]["events"][0]["kind"], "ACHIEVEMENT_RELOCKED");
    let awards = removed["gameSummaries"][0]["awards"].as_array().unwrap();
    assert!(!awards.iter().any(|award| award["award"] == "COMPLETED"), "{awards:?}");
    assert_eq!(statuses(&relock(false).await), ["UNCHANGED", "REFUSED"]);
}

async fn more_items_than_allowed_are_refused_as_a_whole(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let (key, _) = achievements(&stage, "1").await[0].clone();
    let items = vec![json!({ "achievementId": key }); 1001];
    let input = json!({ "user": { "handle": "xelnia" }, "unlocks": items });
    let answer = app.query(UNLOCK, json!({ "input": input })).await;
    assert_eq!((answer.codes(), &answer.json["data"]["unlockAchievements"]), (vec!["LIMIT_EXCEEDED"], &Value::Null));
    let nothing = unlock(&app, json!([])).await;
    assert_eq!((&nothing["results"], &nothing["changes"]["events"]), (&json!([]), &json!([])));
}

async fn only_apps_that_may_write_unlock_and_only_operators_lock_again(stage: Stage) {
    let (key, _) = achievements(&stage, "1").await[0].clone();
    let unlock = json!({ "input": { "user": { "handle": "xelnia" }, "unlocks": [{ "achievementId": key }] } });
    let relock = json!({ "input": { "user": { "handle": "xelnia" }, "achievementIds": [key] } });
    let reader = stage.app(&[Scope::ProgressRead]).await;
    for actor in [stage.anonymous(), stage.user("xelnia"), reader] {
        assert_eq!(actor.query(UNLOCK, unlock.clone()).await.codes(), ["FORBIDDEN"]);
        assert_eq!(actor.query(RELOCK, relock.clone()).await.codes(), ["FORBIDDEN"]);
    }
    let writer = stage.app(&[Scope::ProgressWrite]).await;
    assert_eq!(writer.query(RELOCK, relock).await.codes(), ["FORBIDDEN"]);
    assert_eq!(statuses(&writer.data(UNLOCK, unlock).await["unlockAchievements"]), ["APPLIED"]);
}

async fn a_list_of_a_thousand_costs_as_many_statements_as_a_list_of_one(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let all = achievements(&stage, "1").await;
    let cost = async |user: &str, count: usize| {
        let items: Vec<Value> =
            all.iter().cycle().take(count).map(|(key, _)| json!({ "achievementId": key })).collect();
        let input = json!({ "input": { "user": { "handle": user }, "unlocks": items } });
        // The document, the credential and the user's name are known from then on.
        app.data(UNLOCK, json!({ "input": { "user": { "handle": user }, "unlocks": [] } })).await;
        let before = stage.db().statements(waymark::db::Asker::Request);
        app.data(
            "mutation($input: UnlockAchievementsInput!) { unlockAchievements(input: $input) { results { status } } }",
            input,
        )
        .await;
        stage.db().statements(waymark::db::Asker::Request) - before
    };
    let (one, thousand) = (cost("xelnia", 1).await, cost("ada", 1000).await);
    // Polls of the catalogue and of the credential may fall into either.
    assert!(thousand <= one + 3, "{one} for one, {thousand} for a thousand");
    assert!(one <= 12, "{one} for one");
}
