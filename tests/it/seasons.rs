//! Seasons and goals.

use serde_json::{Value, json};

use crate::harness::{Stage, tests};

tests! {
    demo: [
        the_current_season_is_the_one_that_runs,
        every_season_shows_its_state_and_its_clock,
        a_season_is_found_by_key_and_by_global_id,
        the_current_goals_are_those_of_the_season_and_of_the_week,
        goals_of_other_weeks_are_listed_on_request,
        goals_are_filtered_by_their_state,
        a_user_who_has_not_enrolled_has_goals_and_no_claims,
        a_blocked_user_keeps_the_goals_and_cannot_claim,
        a_season_that_is_over_refuses_every_claim,
        claimable_goals_are_complete_and_not_claimed,
        goals_in_every_state,
    ],
    empty: [
        without_a_season_there_is_none,
    ],
}

async fn the_current_season_is_the_one_that_runs(stage: Stage) {
    let query = "{ currentSeason {
        key title state startDate endDate duration weekLength timeLeft pauseMode pauses { from until }
        currentWeek { number title startDate endDate timeLeft } } }";
    // Begun on May 24, interrupted for two days; the fourth week has run for a day and a half.
    assert_eq!(
        stage.anonymous().data(query, Value::Null).await["currentSeason"],
        json!({
            "key": "rising-tide", "title": "Season 2: Rising Tide", "state": "ACTIVE",
            "startDate": "2026-05-24T00:00:00.000Z", "endDate": "2026-08-18T00:00:00.000Z",
            "duration": 12 * 604_800, "weekLength": 604_800, "timeLeft": 5_313_600,
            "pauseMode": "FREEZE",
            "pauses": [{ "from": "2026-05-31T00:00:00.000Z", "until": "2026-06-02T00:00:00.000Z" }],
            "currentWeek": {
                "number": 4, "title": "Spring Tide", "timeLeft": 475_200,
                "startDate": "2026-06-16T00:00:00.000Z", "endDate": "2026-06-23T00:00:00.000Z",
            },
        })
    );
}

async fn every_season_shows_its_state_and_its_clock(stage: Stage) {
    let query = "{ seasons { nodes { key state timeLeft endDate currentWeek { number } } } }";
    assert_eq!(
        stage.anonymous().data(query, Value::Null).await["seasons"]["nodes"],
        json!([
            {
                "key": "first-light", "state": "ENDED", "timeLeft": 0,
                "endDate": "2026-04-25T00:00:00.000Z", "currentWeek": null,
            },
            {
                "key": "rising-tide", "state": "ACTIVE", "timeLeft": 5_313_600,
                "endDate": "2026-08-18T00:00:00.000Z", "currentWeek": { "number": 4 },
            },
            {
                "key": "high-summer", "state": "NOT_STARTED", "timeLeft": 10 * 604_800,
                "endDate": "2026-11-03T00:00:00.000Z", "currentWeek": null,
            },
        ])
    );
}

async fn a_season_is_found_by_key_and_by_global_id(stage: Stage) {
    let query = "query($id: ID!) { season(id: $id) { id } }";
    for id in ["first-light", "season:first-light"] {
        let data = stage.anonymous().data(query, json!({ "id": id })).await;
        assert_eq!(data, json!({ "season": { "id": "season:first-light" } }));
    }
    assert_eq!(stage.anonymous().data(query, json!({ "id": "winter" })).await, json!({ "season": null }));
    // The id of something else is the key of no season.
    assert_eq!(stage.anonymous().data(query, json!({ "id": "game:first-light" })).await, json!({ "season": null }));
    let answer = stage.anonymous().query(query, json!({ "id": "season:" })).await;
    assert_eq!((answer.codes(), &answer.json["data"]), (vec!["BAD_USER_INPUT"], &json!({ "season": null })));
}

/// The keys of the goals that grace's `field` lists.
async fn goals(stage: &Stage, field: &str) -> Vec<String> {
    let query = format!("{{ viewer {{ user {{ {field} {{ goal {{ key }} }} }} }} }}");
    let data = stage.user("grace").data(&query, Value::Null).await;
    let field = field.split('(').next().unwrap();
    let goals = data["viewer"]["user"][field].as_array().unwrap();
    goals.iter().map(|goal| goal["goal"]["key"].as_str().unwrap().replace("rising-tide-", "")).collect()
}

async fn the_current_goals_are_those_of_the_season_and_of_the_week(stage: Stage) {
    let expected = ["1", "2", "3", "4", "week-4-14", "week-4-15", "week-4-16"];
    assert_eq!(goals(&stage, "goals").await, expected);
    let data =
        stage.user("grace").data("{ viewer { user { season { goals { id } } goals { id } } } }", Value::Null).await;
    assert_eq!(data["viewer"]["user"]["season"]["goals"], data["viewer"]["user"]["goals"]);
}

async fn goals_of_other_weeks_are_listed_on_request(stage: Stage) {
    assert_eq!(goals(&stage, "goals(week: 1)").await, ["week-1-5", "week-1-6", "week-1-7"]);
    assert_eq!(goals(&stage, "goals(all: true)").await.len(), 4 + 12 * 3);
    for week in [0, -1, 13] {
        assert_eq!(goals(&stage, &format!("goals(week: {week})")).await, [""; 0], "week {week}");
    }
}

async fn goals_are_filtered_by_their_state(stage: Stage) {
    assert_eq!(goals(&stage, "goals(state: CLAIMED)").await, ["4", "week-4-16"]);
    assert_eq!(goals(&stage, "goals(state: LOCKED)").await, [""; 0]);
    assert_eq!(goals(&stage, "goals(all: true, state: LOCKED)").await.len(), 8 * 3);
}

async fn a_user_who_has_not_enrolled_has_goals_and_no_claims(stage: Stage) {
    let query = "{ viewer { user { season { hasStartedProgram enrolledAt claimable { id } goals { claimRefusal completedSteps } } } } }";
    let season = stage.user("newton").data(query, Value::Null).await["viewer"]["user"]["season"].clone();
    assert_eq!((&season["hasStartedProgram"], &season["enrolledAt"]), (&json!(false), &Value::Null));
    assert_eq!((&season["claimable"], season["goals"].as_array().unwrap().len()), (&json!([]), 7));
    for goal in season["goals"].as_array().unwrap() {
        assert_eq!(*goal, json!({ "claimRefusal": "NOT_ENROLLED", "completedSteps": 0 }));
    }
}

async fn a_blocked_user_keeps_the_goals_and_cannot_claim(stage: Stage) {
    let query = "{ viewer { user { season { claimable { id } goals { goalState isClaimable claimRefusal } } } } }";
    let season = stage.user("mallory").data(query, Value::Null).await["viewer"]["user"]["season"].clone();
    assert_eq!(season["claimable"], json!([]));
    for goal in season["goals"].as_array().unwrap() {
        assert_eq!(*goal, json!({ "goalState": "COMPLETE", "isClaimable": false, "claimRefusal": "BLOCKED" }));
    }
}

async fn a_season_that_is_over_refuses_every_claim(stage: Stage) {
    let query = r#"{ viewer { user { season(id: "first-light") {
        state timeLeft currentWeek { number } claimable { id } goals(all: true) { goalState isClaimed claimRefusal } } } } }"#;
    let season = stage.user("grace").data(query, Value::Null).await["viewer"]["user"]["season"].clone();
    assert_eq!(
        (&season["state"], &season["timeLeft"], &season["currentWeek"]),
        (&json!("ENDED"), &json!(0), &Value::Null)
    );
    assert_eq!(season["claimable"], json!([]));
    for goal in season["goals"].as_array().unwrap() {
        let claimed = goal["isClaimed"] == true;
        assert_eq!(goal["claimRefusal"], if claimed { "ALREADY_CLAIMED" } else { "SEASON_ENDED" });
        assert!(["CLAIMED", "COMPLETE", "MISSED"].contains(&goal["goalState"].as_str().unwrap()), "{goal}");
    }
}

async fn claimable_goals_are_complete_and_not_claimed(stage: Stage) {
    let query = "{ viewer { user { season { claimable { id } goals(all: true) { id goalState claimRefusal } } } } }";
    let season = stage.user("grace").data(query, Value::Null).await["viewer"]["user"]["season"].clone();
    let complete = season["goals"].as_array().unwrap().iter().filter(|goal| goal["goalState"] == "COMPLETE");
    let expected: Vec<_> = complete.clone().map(|goal| json!({ "id": goal["id"] })).collect();
    assert!(complete.clone().all(|goal| goal["claimRefusal"].is_null()) && expected.len() == 4);
    assert_eq!(season["claimable"], json!(expected));
}

async fn goals_in_every_state(stage: Stage) {
    let query = "{ viewer { user { goals(all: true) {
        id goalState completedSteps totalSteps isClaimed isClaimable claimRefusal completedAt claimedAt ratio state } } } }";
    let data = stage.user("grace").data(query, Value::Null).await;
    let mut lines = String::new();
    for goal in data["viewer"]["user"]["goals"].as_array().unwrap() {
        let text = |field: &str| goal[field].as_str().unwrap_or("-");
        lines.push_str(&format!(
            "{:<17} {:<8} {:>2}/{:<2} {:<4} {:<11} claimed: {:<5} claimable: {:<5} {:<16} completed {}, claimed {}\n",
            text("id").rsplit(':').next().unwrap().replace("rising-tide-", ""),
            text("goalState"),
            goal["completedSteps"],
            goal["totalSteps"],
            format!("{:.2}", goal["ratio"].as_f64().unwrap()),
            text("state"),
            goal["isClaimed"],
            goal["isClaimable"],
            text("claimRefusal"),
            text("completedAt"),
            text("claimedAt"),
        ));
    }
    insta::assert_snapshot!("goals_of_grace", lines);
}

async fn without_a_season_there_is_none(stage: Stage) {
    let data =
        stage.anonymous().data("{ currentSeason { id } seasons { totalCount nodes { id } } }", Value::Null).await;
    assert_eq!(data, json!({ "currentSeason": null, "seasons": { "totalCount": 0, "nodes": [] } }));
}
