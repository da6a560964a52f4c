//! The achievements dialect.

use serde_json::{Value, json};
use waymark::auth::Scope;

use super::{get, header, send};
use crate::harness::{Actor, Answer, Stage, tests};

tests! {
    demo: [
        the_documented_examples_are_answered_to_the_letter,
        games_come_in_the_order_of_the_request_each_once,
        nothing_to_show_is_an_empty_array,
        every_user_has_the_figures_of_graphql,
        a_thousand_games_take_as_many_statements_as_one,
        a_form_is_as_good_as_a_query,
        without_a_good_key_nobody_is_shown,
        a_user_is_named_by_handle_or_ulid,
        any_origin_may_ask,
    ],
}

const PATH: &str = "/API/API_GetUserProgress.php";

/// Asks with a key that may read.
async fn ask(stage: &Stage, parameters: &str) -> Answer {
    let key = stage.app(&[Scope::ProgressRead]).await;
    get(&stage.anonymous(), &format!("{PATH}?z=me&y={}&{parameters}", key.credential()), &[]).await
}

fn zeros(possible: i32, score: i32) -> String {
    format!(
        r#"{{"NumPossibleAchievements":{possible},"PossibleScore":{score},"NumAchieved":0,"ScoreAchieved":0,"NumAchievedHardcore":0,"ScoreAchievedHardcore":0}}"#
    )
}

async fn the_documented_examples_are_answered_to_the_letter(stage: Stage) {
    let answer = ask(&stage, "u=MaxMilyin&i=1,2,3").await;
    let all = |number: i32, score: i32| {
        format!(
            r#"{{"NumPossibleAchievements":{number},"PossibleScore":{score},"NumAchieved":{number},"ScoreAchieved":{score},"NumAchievedHardcore":{number},"ScoreAchievedHardcore":{score}}}"#
        )
    };
    assert_eq!(answer.text, format!(r#"{{"1":{},"2":{},"3":{}}}"#, all(23, 251), all(22, 320), all(23, 335)));
    assert_eq!((answer.status.as_u16(), header(&answer, "content-type")), (200, "application/json"));
    let answer = ask(&stage, "u=xelnia&i=1,14402").await;
    assert_eq!(answer.text, format!(r#"{{"1":{},"14402":{}}}"#, zeros(23, 251), zeros(24, 255)));
}

async fn games_come_in_the_order_of_the_request_each_once(stage: Stage) {
    let answer = ask(&stage, "u=xelnia&i=14402,%201,x,0,-3,14402,999999,,1.5").await;
    assert_eq!(
        answer.text,
        format!(r#"{{"14402":{},"1":{},"999999":{}}}"#, zeros(24, 255), zeros(23, 251), zeros(0, 0))
    );
}

async fn nothing_to_show_is_an_empty_array(stage: Stage) {
    for parameters in
        ["u=xelnia", "u=xelnia&i=", "u=xelnia&i=x,0,-1", "u=nobody&i=1", "u=01J00000000000000000000000&i=1"]
    {
        let answer = ask(&stage, parameters).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "[]"), "{parameters}");
    }
}

async fn every_user_has_the_figures_of_graphql(stage: Stage) {
    let app = stage.app(&[Scope::ProgressRead]).await;
    let query = "query($after: String) { games(first: 100, after: $after) { nodes { key number } } }";
    let games = app.data(query, Value::Null).await;
    let games: Vec<_> =
        games["games"]["nodes"].as_array().unwrap().iter().filter(|game| !game["number"].is_null()).collect();
    assert!(games.len() > 20);
    let keys: Vec<&Value> = games.iter().map(|game| &game["key"]).collect();
    let numbers: Vec<String> = games
        .iter()
        .map(|game| game["number"].as_str().map_or_else(|| game["number"].to_string(), str::to_owned))
        .collect();
    for handle in crate::batching::handles(&stage).await {
        let query =
            "query($handle: String!, $keys: [ID!]!) { user(by: {handle: $handle}) { gameSummaries(gameIds: $keys) {
            numPossible possibleScore numAchieved scoreAchieved numAchievedHardcore scoreAchievedHardcore } } }";
        let data = app.data(query, json!({ "handle": handle, "keys": keys })).await;
        let answer = ask(&stage, &format!("u={handle}&i={}", numbers.join(","))).await;
        for (number, theirs) in numbers.iter().zip(data["user"]["gameSummaries"].as_array().unwrap()) {
            let ours = &answer.json[number];
            for (ours, theirs) in [
                (&ours["NumPossibleAchievements"], &theirs["numPossible"]),
                (&ours["PossibleScore"], &theirs["possibleScore"]),
                (&ours["NumAchieved"], &theirs["numAchieved"]),
                (&ours["ScoreAchieved"], &theirs["scoreAchieved"]),
                (&ours["NumAchievedHardcore"], &theirs["numAchievedHardcore"]),
                (&ours["ScoreAchievedHardcore"], &theirs["scoreAchievedHardcore"]),
            ] {
                assert!(ours.is_i64() && ours == theirs, "{handle} {number}: {ours} {theirs}");
            }
        }
    }
}

async fn form(actor: &Actor, path: &str, body: &str) -> Answer {
    send(actor, "POST", path, &[("content-type", "application/x-www-form-urlencoded")], body.to_owned()).await
}

async fn a_thousand_games_take_as_many_statements_as_one(stage: Stage) {
    let key = stage.app(&[Scope::ProgressRead]).await;
    let (anonymous, key) = (stage.anonymous(), key.credential().to_owned());
    let ids = |most: u32| (1..=most).map(|id| id.to_string()).collect::<Vec<_>>().join(",");
    let count = async |most: u32| {
        let body = format!("y={key}&u=MaxMilyin&i={}", ids(most));
        stage
            .statements(async || {
                let answer = form(&anonymous, PATH, &body).await;
                assert_eq!(answer.json.as_object().unwrap().len(), most as usize);
            })
            .await
    };
    assert_eq!((count(1).await, count(1000).await), (2, 2));
    let answer = ask(&stage, &format!("u=MaxMilyin&i={}", ids(1000))).await;
    assert_eq!(answer.json.as_object().unwrap().len(), 1000);
    assert!(answer.text.starts_with("{\"1\":{") && answer.text.contains(",\"1000\":{"));
    let answer = form(&anonymous, PATH, &format!("y={key}&u=MaxMilyin&i={}", ids(10_001))).await;
    assert_eq!(answer.status, 422);
}

async fn a_form_is_as_good_as_a_query(stage: Stage) {
    let key = stage.app(&[Scope::ProgressRead]).await.credential().to_owned();
    let anonymous = stage.anonymous();
    let expected = ask(&stage, "u=MaxMilyin&i=2,1").await.text;
    assert_eq!(form(&anonymous, PATH, &format!("z=me&y={key}&u=MaxMilyin&i=2%2C1")).await.text, expected);
    assert_eq!(form(&anonymous, &format!("{PATH}?y={key}&u=nobody"), "u=MaxMilyin&i=2,1").await.text, expected);
    let json = send(&anonymous, "POST", PATH, &[("content-type", "application/json")], "{\"u\":\"MaxMilyin\"}").await;
    assert_eq!(json.status, 401);
}

async fn without_a_good_key_nobody_is_shown(stage: Stage) {
    let anonymous = stage.anonymous();
    let refusal = json!({
        "message": "Unauthenticated.",
        "errors": [{ "status": 401, "code": "unauthorized", "title": "Unauthenticated." }],
    });
    for key in [
        "",
        "y=",
        "y=nonsense",
        "y=wmk_",
        "y=%00",
        "y=%FF",
        "y=wmk_0000000000000000000000000000000000000000000000000000000000000000",
    ] {
        let answer = get(&anonymous, &format!("{PATH}?u=MaxMilyin&i=1&{key}"), &[]).await;
        assert_eq!((answer.status.as_u16(), &answer.json), (401, &refusal), "{key}");
    }
    let powerless = stage.key("", None, None).await;
    let answer = get(&anonymous, &format!("{PATH}?u=MaxMilyin&i=1&y={}", powerless.credential()), &[]).await;
    assert_eq!((answer.status.as_u16(), &answer.json["errors"][0]["code"]), (403, &json!("forbidden")));
    // The usual headers do as well.
    let app = stage.app(&[Scope::ProgressRead]).await;
    assert_eq!(get(&app, &format!("{PATH}?u=MaxMilyin&i=1"), &[]).await.status, 200);
    // A profile that not everybody sees is read as well.
    assert_eq!(get(&app, &format!("{PATH}?u=ada&i=1"), &[]).await.json["1"]["NumPossibleAchievements"], 23);
}

async fn a_user_is_named_by_handle_or_ulid(stage: Stage) {
    let app = stage.app(&[Scope::ProgressRead]).await;
    let data = app.data(r#"{ user(by: {handle: "MaxMilyin"}) { id } }"#, Value::Null).await;
    let ulid = data["user"]["id"].as_str().unwrap().strip_prefix("user:").unwrap().to_owned();
    let expected = ask(&stage, "u=MaxMilyin&i=1").await.text;
    for user in ["maxmilyin", "MAXMILYIN", &ulid, &ulid.to_lowercase()] {
        assert_eq!(ask(&stage, &format!("u={user}&i=1")).await.text, expected, "{user}");
    }
    let refusal = json!({ "message": "The u field is required.", "errors": { "u": ["The u field is required."] } });
    let long = "x".repeat(100_000);
    for user in [
        "",
        "x",
        "a-b",
        "%00",
        "%FF",
        "a%2Fb",
        "user:01J00000000000000000000000",
        "012345678901234567890",
        &long[..1000],
    ] {
        let answer = ask(&stage, &format!("u={user}&i=1")).await;
        assert_eq!((answer.status.as_u16(), &answer.json), (422, &refusal), "{user}");
    }
    assert_eq!(ask(&stage, "i=1").await.json, refusal);
}

async fn any_origin_may_ask(stage: Stage) {
    let answer = get(&stage.anonymous(), PATH, &[("origin", "https://site.example")]).await;
    assert_eq!(header(&answer, "access-control-allow-origin"), "*");
    let preflight = [("origin", "https://site.example"), ("access-control-request-method", "POST")];
    let answer = send(&stage.anonymous(), "OPTIONS", PATH, &preflight, "").await;
    assert_eq!((answer.status.as_u16(), header(&answer, "access-control-allow-origin")), (200, "*"));
    let key = stage.app(&[Scope::ProgressRead]).await;
    let head = send(&key, "HEAD", &format!("{PATH}?u=MaxMilyin&i=1"), &[], "").await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}
