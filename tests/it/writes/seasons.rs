//! Enrolling, steps of goals, and claims.

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::harness::{Actor, Stage, by_hand, tests};

tests! {
    own: [
        whoever_enrols_takes_part_in_the_current_season,
        a_season_to_come_can_be_entered_and_one_that_is_over_cannot,
        steps_are_added_and_set_up_to_the_goals_total,
        amounts_that_are_no_progress_are_refused,
        steps_count_only_while_the_season_and_the_week_run,
        steps_of_the_last_week_are_taken_for_another_day,
        all_or_nothing_records_no_steps_of_a_list_with_a_bad_item,
        steps_of_one_ref_are_recorded_once,
        many_clients_with_one_ref_record_steps_once_and_with_many_refs_each_time,
        a_goal_that_asks_for_fewer_steps_than_were_done_is_complete,
        an_operator_may_lower_steps_and_the_claim_stands,
        each_goal_is_claimed_by_itself_and_pays_a_lot,
        a_claim_names_the_first_reason_that_stands_against_it,
        what_was_claimed_before_stays_claimed_whatever_happens,
        a_goal_without_a_reward_is_claimed_without_a_lot,
        of_many_clients_who_claim_a_goal_one_gets_the_reward,
        a_budget_is_spent_to_the_last_claim_that_fits,
        only_those_who_may_enrol_claim_and_record,
        a_list_of_a_thousand_costs_as_many_statements_as_a_list_of_one,
    ],
}

const ENROL: &str = "mutation($input: EnrollInSeasonInput!) { enrollInSeason(input: $input) {
    user { handle } status season { season { key } hasStartedProgram enrolledAt } userErrors { code path }
    changes { events { kind subject changes } } } }";
const STEPS: &str = "mutation($input: RecordGoalStepsInput!) { recordGoalSteps(input: $input) {
    results { id status completedSteps clampedBy error { code } } userErrors { code path }
    goals { goal { key } completedSteps completedAt state }
    changes { events { kind subject changes occurredAt } goals { completedSteps } goalsCompleted { goal { key } } } } }";
const CORRECT: &str = "mutation($input: CorrectGoalStepsInput!) { correctGoalSteps(input: $input) {
    status goal { completedSteps completedAt isClaimed goalState } userErrors { code path }
    changes { events { kind subject changes } } } }";
const CLAIM: &str = "mutation($input: ClaimGoalsInput!) { claimGoals(input: $input) {
    results { id status credits { credits } error { code } goal { goal { key } isClaimed claimedAt } } userErrors { code path }
    credits { available { credits } lots { number amount { credits } expiresAt source } }
    changes { events { kind subject changes actor } goals { isClaimed } credits { available { credits } } } } }";

async fn enrol(actor: &Actor, handle: &str, season: Option<&str>) -> Value {
    let input = json!({ "user": { "handle": handle }, "seasonId": season });
    actor.data(ENROL, json!({ "input": input })).await["enrollInSeason"].clone()
}

async fn record(app: &Actor, handle: &str, steps: Value) -> Value {
    let input = json!({ "user": { "handle": handle }, "steps": steps });
    app.data(STEPS, json!({ "input": input })).await["recordGoalSteps"].clone()
}

async fn claim(actor: &Actor, handle: &str, goals: &[&str]) -> Value {
    let input = json!({ "user": { "handle": handle }, "goalIds": goals });
    actor.data(CLAIM, json!({ "input": input })).await["claimGoals"].clone()
}

/// The code of the refusal of each item, or its status when it was not refused.
fn outcomes(payload: &Value) -> Vec<&str> {
    let results = payload["results"].as_array().unwrap().iter();
    results.map(|one| one["error"]["code"].as_str().or(one["status"].as_str()).unwrap()).collect()
}

fn kinds(payload: &Value) -> Vec<&str> {
    payload["changes"]["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

/// The one number that a query answers.
async fn number(stage: &Stage, sql: &str) -> i64 {
    let connection = stage.db().writes();
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn execute(stage: &Stage, sql: &str) {
    by_hand(stage.db(), sql).await;
}

async fn spent(stage: &Stage, week: i32) -> i64 {
    let season = "(SELECT id FROM seasons WHERE key = 'rising-tide')";
    number(stage, &format!("SELECT spent_micros FROM season_budgets WHERE season_id = {season} AND week = {week}"))
        .await
}

async fn whoever_enrols_takes_part_in_the_current_season(stage: Stage) {
    let newton = stage.user("newton");
    let done = newton.data(ENROL, json!({ "input": {} })).await["enrollInSeason"].clone();
    assert_eq!(
        done,
        json!({
            "user": { "handle": "newton" }, "status": "APPLIED",
            "season": {
                "season": { "key": "rising-tide" }, "hasStartedProgram": true, "enrolledAt": "2026-06-17T12:00:00.000Z",
            },
            "userErrors": [],
            "changes": { "events": [{ "kind": "ENROLLED", "subject": "season:rising-tide", "changes": {} }] },
        })
    );
    let again = enrol(&newton, "newton", Some("season:rising-tide")).await;
    assert_eq!((&again["status"], &again["changes"]["events"]), (&json!("UNCHANGED"), &json!([])));
    let clients = join_all((0..16).map(|_| enrol(&newton, "newton", Some("high-summer")))).await;
    assert_eq!(clients.iter().filter(|payload| payload["status"] == "APPLIED").count(), 1);
}

async fn a_season_to_come_can_be_entered_and_one_that_is_over_cannot(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    assert_eq!(enrol(&app, "newton", Some("high-summer")).await["status"], "APPLIED");
    let over = enrol(&app, "newton", Some("first-light")).await;
    assert_eq!(over["userErrors"], json!([{ "code": "SEASON_ENDED", "path": ["seasonId"] }]));
    assert_eq!((&over["status"], &over["season"]["hasStartedProgram"]), (&json!("REFUSED"), &json!(false)));
    let unknown = enrol(&app, "newton", Some("winter")).await;
    assert_eq!((&unknown["userErrors"][0]["code"], &unknown["season"]), (&json!("UNKNOWN_SEASON"), &Value::Null));
    // Whoever is in it already stays in it.
    assert_eq!(enrol(&app, "grace", Some("first-light")).await["status"], "UNCHANGED");
}

async fn steps_are_added_and_set_up_to_the_goals_total(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let added = record(&app, "grace", json!([{ "goalId": "rising-tide-1", "add": 3 }])).await;
    assert_eq!(
        added["results"],
        json!([{ "id": "goal:rising-tide-1", "status": "APPLIED", "completedSteps": 3, "clampedBy": 0, "error": null }])
    );
    let event = json!({
        "kind": "GOAL_STEPS", "subject": "goal:rising-tide-1", "occurredAt": "2026-06-17T12:00:00.000Z",
        "changes": { "added": 3, "completedSteps": 3, "totalSteps": 20 },
    });
    assert_eq!(added["changes"]["events"], json!([event]));
    assert_eq!(
        (&added["changes"]["goals"][0]["completedSteps"], &added["changes"]["goalsCompleted"]),
        (&json!(3), &json!([]))
    );

    let steps = json!([
        { "goalId": "goal:rising-tide-1", "setTo": 5 },
        { "goalId": "rising-tide-1", "setTo": 5 },
        { "goalId": "rising-tide-1", "add": 100, "occurredAt": "2026-06-17T09:00:00+02:00" },
        { "goalId": "rising-tide-1", "add": 1 },
    ]);
    let done = record(&app, "grace", steps).await;
    let result = |place: usize| {
        let result = &done["results"][place];
        (result["status"].as_str().unwrap(), result["completedSteps"].as_i64(), result["clampedBy"].as_i64())
    };
    assert_eq!(result(0), ("APPLIED", Some(5), Some(0)));
    assert_eq!(result(1), ("UNCHANGED", Some(5), Some(0)));
    assert_eq!(result(2), ("APPLIED", Some(20), Some(85)));
    assert_eq!(result(3), ("UNCHANGED", Some(20), Some(1)));
    assert_eq!(kinds(&done), ["GOAL_STEPS", "GOAL_STEPS", "GOAL_COMPLETED"]);
    assert_eq!(done["changes"]["events"][2]["changes"], json!({ "totalSteps": 20 }));
    assert_eq!(done["changes"]["goalsCompleted"], json!([{ "goal": { "key": "rising-tide-1" } }]));
    assert_eq!(
        done["goals"],
        json!([{
            "goal": { "key": "rising-tide-1" }, "completedSteps": 20, "state": "COMPLETED",
            "completedAt": "2026-06-17T07:00:00.000Z",
        }])
    );
}

async fn amounts_that_are_no_progress_are_refused(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let steps = json!([
        { "goalId": "rising-tide-2", "add": 0 },
        { "goalId": "rising-tide-2", "add": -1 },
        { "goalId": "rising-tide-2", "setTo": -1 },
        { "goalId": "rising-tide-2", "setTo": 14 },
        { "goalId": "rising-tide-2", "setTo": 15 },
        { "goalId": "rising-tide-99", "add": 1 },
    ]);
    let done = record(&app, "grace", steps).await;
    assert_eq!(
        outcomes(&done),
        ["INVALID_INPUT", "INVALID_INPUT", "INVALID_INPUT", "UNCHANGED", "UNCHANGED", "UNKNOWN_GOAL"]
    );
    assert_eq!(done["userErrors"][3], json!({ "code": "UNKNOWN_GOAL", "path": ["steps", "5"] }));
    assert_eq!((&done["changes"]["events"], &done["results"][0]["completedSteps"]), (&json!([]), &Value::Null));
    for bad in [json!({ "add": 1, "setTo": 20 }), json!({}), json!({ "add": null })] {
        let mut item = bad.clone();
        item["goalId"] = json!("rising-tide-2");
        let input = json!({ "user": { "handle": "grace" }, "steps": [item] });
        let refused = app.data(STEPS, json!({ "input": input })).await["recordGoalSteps"].clone();
        assert_eq!(outcomes(&refused), ["INVALID_INPUT"], "{bad}");
    }
    for bad in [json!({ "add": 1.5 }), json!({ "add": "1" })] {
        let mut item = bad.clone();
        item["goalId"] = json!("rising-tide-2");
        let input = json!({ "user": { "handle": "grace" }, "steps": [item] });
        app.query(STEPS, json!({ "input": input })).await.refused(400, "BAD_USER_INPUT");
    }
}

async fn steps_count_only_while_the_season_and_the_week_run(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    enrol(&app, "grace", Some("high-summer")).await;
    let step = |goal: &str| json!({ "goalId": goal, "add": 1 });
    let at = |at: &str| json!({ "goalId": "rising-tide-1", "add": 1, "occurredAt": at });
    let steps = json!([
        step("first-light-2"),
        step("high-summer-1"),
        step("rising-tide-week-5-17"),
        step("rising-tide-week-3-13"),
        at("2026-06-17T12:00:00.001Z"),
        at("2025-06-17T11:59:59.999Z"),
        at("2025-06-17T12:00:00Z"),
    ]);
    assert_eq!(
        outcomes(&record(&app, "grace", steps).await),
        [
            "SEASON_ENDED",
            "SEASON_NOT_STARTED",
            "WEEK_NOT_STARTED",
            "WEEK_OVER",
            "DATE_OUT_OF_RANGE",
            "DATE_OUT_OF_RANGE",
            "APPLIED"
        ]
    );
    let one = json!([step("rising-tide-1")]);
    assert_eq!(outcomes(&record(&app, "newton", one.clone()).await), ["NOT_ENROLLED"]);
    let paused = stage.with(&[("WAYMARK_CLOCK", "2026-06-01T12:00:00Z")]).await;
    let app = paused.app(&[Scope::ProgressWrite]).await;
    assert_eq!(outcomes(&record(&app, "grace", one).await), ["SEASON_PAUSED"]);
}

async fn steps_of_the_last_week_are_taken_for_another_day(stage: Stage) {
    // The third week ended on June 16 at midnight.
    let late = async |now: &str, occurred_at: Option<&str>| {
        let then = stage.with(&[("WAYMARK_CLOCK", now)]).await;
        let app = then.app(&[Scope::ProgressWrite]).await;
        let step = json!([{ "goalId": "rising-tide-week-3-13", "add": 1, "occurredAt": occurred_at }]);
        outcomes(&record(&app, "grace", step).await)[0].to_owned()
    };
    assert_eq!(late("2026-06-16T10:00:00Z", None).await, "WEEK_OVER");
    assert_eq!(late("2026-06-16T10:00:00Z", Some("2026-06-16T00:00:00Z")).await, "WEEK_OVER");
    assert_eq!(late("2026-06-16T10:00:00Z", Some("2026-06-15T23:59:59Z")).await, "APPLIED");
    assert_eq!(late("2026-06-16T23:59:59Z", Some("2026-06-15T10:00:00Z")).await, "APPLIED");
    assert_eq!(late("2026-06-17T00:00:00Z", Some("2026-06-15T10:00:00Z")).await, "WEEK_OVER");
}

async fn all_or_nothing_records_no_steps_of_a_list_with_a_bad_item(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let record = async |steps: Value| {
        let input = json!({ "user": { "handle": "grace" }, "mode": "ALL_OR_NOTHING", "steps": steps });
        app.data(STEPS, json!({ "input": input })).await["recordGoalSteps"].clone()
    };
    let good = json!({ "goalId": "rising-tide-1", "add": 2, "ref": "r1" });
    let bad = record(json!([good, { "goalId": "nothing", "add": 1 }])).await;
    assert_eq!(outcomes(&bad), ["NOT_APPLIED", "UNKNOWN_GOAL"]);
    assert_eq!((&bad["goals"][0]["completedSteps"], &bad["changes"]["events"]), (&json!(0), &json!([])));
    assert_eq!(bad["results"][0]["completedSteps"], Value::Null);
    // Nothing was done under the ref either.
    let good = record(json!([good])).await;
    assert_eq!((outcomes(&good), &good["goals"][0]["completedSteps"]), (vec!["APPLIED"], &json!(2)));
}

async fn steps_of_one_ref_are_recorded_once(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let step = |add: i32, name: &str| json!({ "goalId": "rising-tide-1", "add": add, "ref": name });
    let done = record(&app, "grace", json!([step(0, "a"), step(2, "a"), step(3, "a"), step(1, "b")])).await;
    // What was refused has not been done, so the ref is free for another try.
    assert_eq!(outcomes(&done), ["INVALID_INPUT", "APPLIED", "UNCHANGED", "APPLIED"]);
    assert_eq!((&done["results"][2]["completedSteps"], &done["goals"][0]["completedSteps"]), (&json!(2), &json!(3)));
    let again = record(&app, "grace", json!([step(5, "a"), step(1, "b"), step(1, "c")])).await;
    assert_eq!(outcomes(&again), ["UNCHANGED", "UNCHANGED", "APPLIED"]);
    let steps: Vec<_> = again["results"].as_array().unwrap().iter().map(|one| &one["completedSteps"]).collect();
    assert_eq!(steps, [2, 3, 4]);
    // Another user's steps have nothing to do with it.
    assert_eq!(outcomes(&record(&app, "cleo", json!([step(1, "a")])).await), ["UNCHANGED"]);
    let long = "é".repeat(255);
    let done =
        record(&app, "grace", json!([step(1, ""), step(1, "a\nb"), step(1, &format!("{long}é")), step(1, &long)]))
            .await;
    assert_eq!(outcomes(&done), ["INVALID_INPUT", "INVALID_INPUT", "INVALID_INPUT", "APPLIED"]);
}

async fn many_clients_with_one_ref_record_steps_once_and_with_many_refs_each_time(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let step = |name: String| json!([{ "goalId": "rising-tide-1", "add": 1, "ref": name }]);
    let same = join_all((0..64).map(|_| record(&app, "grace", step("same".to_owned())))).await;
    assert_eq!(same.iter().filter(|payload| outcomes(payload) == ["APPLIED"]).count(), 1);
    assert!(same.iter().all(|payload| payload["results"][0]["completedSteps"] == 1));
    let each = join_all((0..16).map(|client| record(&app, "grace", step(format!("ref {client}"))))).await;
    let mut steps: Vec<_> =
        each.iter().map(|payload| payload["results"][0]["completedSteps"].as_i64().unwrap()).collect();
    steps.sort_unstable();
    assert_eq!(steps, (2..=17).collect::<Vec<_>>());
}

async fn a_goal_that_asks_for_fewer_steps_than_were_done_is_complete(stage: Stage) {
    // Eight steps were done.
    execute(&stage, "UPDATE goals SET total_steps = 3 WHERE key = 'rising-tide-3'").await;
    let now = stage.with(&[]).await;
    let app = now.app(&[Scope::ProgressWrite]).await;
    let step = |name: &str, steps: i32| json!({ "goalId": "rising-tide-3", name: steps });
    let done = record(&app, "grace", json!([step("setTo", 3), step("add", 2), step("setTo", 2)])).await;
    assert_eq!(outcomes(&done), ["UNCHANGED", "UNCHANGED", "UNCHANGED"]);
    let result = &done["results"][1];
    assert_eq!((&result["completedSteps"], &result["clampedBy"]), (&json!(3), &json!(2)));
    assert_eq!(outcomes(&claim(&app, "grace", &["rising-tide-3"]).await), ["CLAIMED"]);
}

async fn an_operator_may_lower_steps_and_the_claim_stands(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let correct = async |goal: &str, steps: i32| {
        let input = json!({ "user": { "handle": "grace" }, "goalId": goal, "completedSteps": steps });
        admin.data(CORRECT, json!({ "input": input })).await["correctGoalSteps"].clone()
    };
    let lowered = correct("rising-tide-4", 1).await;
    assert_eq!(lowered["status"], "APPLIED");
    assert_eq!(
        lowered["goal"],
        json!({ "completedSteps": 1, "completedAt": null, "isClaimed": true, "goalState": "CLAIMED" })
    );
    let changes = json!({ "completedSteps": 1, "totalSteps": 15 });
    let event = json!({ "kind": "GOAL_STEPS_CORRECTED", "subject": "goal:rising-tide-4", "changes": changes });
    assert_eq!(lowered["changes"]["events"], json!([event]));
    let again = correct("rising-tide-4", 1).await;
    assert_eq!((&again["status"], &again["changes"]["events"]), (&json!("UNCHANGED"), &json!([])));
    assert_eq!(outcomes(&claim(&admin, "grace", &["rising-tide-4"]).await), ["ALREADY_CLAIMED"]);

    // At any time, and up as well as down.
    let raised = correct("rising-tide-week-3-13", 1).await;
    assert_eq!(raised["status"], "APPLIED");
    let complete = correct("rising-tide-2", 30).await;
    assert_eq!(kinds(&complete), ["GOAL_STEPS_CORRECTED", "GOAL_COMPLETED"]);
    assert_eq!(complete["goal"]["completedAt"], "2026-06-17T12:00:00.000Z");

    for (goal, steps, code, path) in [
        ("rising-tide-2", -1, "INVALID_INPUT", "completedSteps"),
        ("rising-tide-2", 31, "INVALID_INPUT", "completedSteps"),
        ("nothing", 1, "UNKNOWN_GOAL", "goalId"),
    ] {
        assert_eq!(correct(goal, steps).await["userErrors"], json!([{ "code": code, "path": [path] }]));
    }
}

async fn each_goal_is_claimed_by_itself_and_pays_a_lot(stage: Stage) {
    let before = (spent(&stage, 0).await, spent(&stage, 4).await);
    let goals =
        ["rising-tide-3", "goal:rising-tide-4", "rising-tide-1", "nothing", "rising-tide-3", "rising-tide-week-4-15"];
    let done = claim(&stage.user("grace"), "grace", &goals).await;
    assert_eq!(
        outcomes(&done),
        ["CLAIMED", "ALREADY_CLAIMED", "GOAL_INCOMPLETE", "UNKNOWN_GOAL", "ALREADY_CLAIMED", "CLAIMED"]
    );
    let credits: Vec<_> = done["results"].as_array().unwrap().iter().map(|one| &one["credits"]["credits"]).collect();
    assert_eq!(credits, [&json!("20"), &json!("40"), &Value::Null, &Value::Null, &json!("20"), &json!("4")]);
    assert_eq!(
        done["results"][0]["goal"],
        json!({ "goal": { "key": "rising-tide-3" }, "isClaimed": true, "claimedAt": "2026-06-17T12:00:00.000Z" })
    );
    assert_eq!((&done["results"][3]["goal"], &done["results"][3]["id"]), (&Value::Null, &json!("goal:nothing")));
    let refused = |code: &str, place: &str| json!({ "code": code, "path": ["goalIds", place] });
    assert_eq!(done["userErrors"], json!([refused("GOAL_INCOMPLETE", "2"), refused("UNKNOWN_GOAL", "3")]));

    // 70.5 before; what is granted expires 30 days after the season.
    assert_eq!(done["credits"]["available"]["credits"], "94.5");
    assert_eq!(done["changes"]["credits"]["available"]["credits"], "94.5");
    assert_eq!(kinds(&done), ["GOAL_CLAIMED", "GOAL_CLAIMED"]);
    let event = &done["changes"]["events"][0];
    let number = &event["changes"]["lot"];
    assert_eq!((&event["subject"], &event["changes"]["credits"]), (&json!("goal:rising-tide-3"), &json!("20")));
    let lots = done["credits"]["lots"].as_array().unwrap();
    let lot = lots.iter().find(|lot| lot["number"] == *number).unwrap();
    assert_eq!(
        *lot,
        json!({ "number": number, "amount": { "credits": "20" }, "expiresAt": "2026-09-17T00:00:00.000Z", "source": "GOAL" })
    );
    assert_eq!((spent(&stage, 0).await - before.0, spent(&stage, 4).await - before.1), (24_000_000, 4_000_000));

    let ledger =
        "{ viewer { user { credits { ledger(first: 3) { nodes { kind lot amount { credits } recordedAt } } } } } }";
    let ledger = stage.user("grace").data(ledger, Value::Null).await["viewer"]["user"]["credits"]["ledger"].clone();
    let newest: Vec<_> = ledger["nodes"].as_array().unwrap().iter().map(|one| &one["amount"]["credits"]).collect();
    assert_eq!(newest[..2], ["4", "20"]);
    assert_eq!((&ledger["nodes"][1]["lot"], &ledger["nodes"][1]["kind"]), (number, &json!("GRANT")));
}

async fn a_claim_names_the_first_reason_that_stands_against_it(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    enrol(&app, "grace", Some("high-summer")).await;
    // Blocked comes before incomplete, not enrolled before the season, the season before the steps.
    assert_eq!(outcomes(&claim(&app, "mallory", &["rising-tide-1", "high-summer-1"]).await), ["BLOCKED", "BLOCKED"]);
    assert_eq!(outcomes(&claim(&app, "newton", &["rising-tide-1", "first-light-1"]).await), ["NOT_ENROLLED"; 2]);
    let goals = ["high-summer-1", "rising-tide-week-5-17", "rising-tide-week-3-13", "rising-tide-1"];
    assert_eq!(
        outcomes(&claim(&app, "grace", &goals).await),
        ["SEASON_NOT_STARTED", "WEEK_NOT_STARTED", "GOAL_INCOMPLETE", "GOAL_INCOMPLETE"]
    );
    let query = "{ viewer { user { season(id: \"first-light\") { goals(all: true) { goal { key } isClaimed } } } } }";
    let data = stage.user("grace").data(query, Value::Null).await;
    let goals = data["viewer"]["user"]["season"]["goals"].as_array().unwrap();
    let over = goals.iter().find(|goal| goal["isClaimed"] == false).unwrap()["goal"]["key"].as_str().unwrap();
    assert_eq!(outcomes(&claim(&app, "grace", &[over]).await), ["SEASON_ENDED"]);
    let paused = stage.with(&[("WAYMARK_CLOCK", "2026-06-01T12:00:00Z")]).await;
    let app = paused.app(&[Scope::ProgressWrite]).await;
    assert_eq!(outcomes(&claim(&app, "grace", &["rising-tide-3", "rising-tide-1"]).await), ["SEASON_PAUSED"; 2]);
}

async fn what_was_claimed_before_stays_claimed_whatever_happens(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    // Blocked, and the season is over.
    let query = "{ user(by: {handle: \"mallory\"}) { season(id: \"first-light\") { goals(all: true) {
        goal { key } isClaimed reward { credits } } } } }";
    let data = app.data(query, Value::Null).await;
    let goals = data["user"]["season"]["goals"].as_array().unwrap();
    let goal = goals.iter().find(|goal| goal["isClaimed"] == true).unwrap();
    let done = claim(&app, "mallory", &[goal["goal"]["key"].as_str().unwrap()]).await;
    assert_eq!(outcomes(&done), ["ALREADY_CLAIMED"]);
    assert_eq!(done["results"][0]["credits"], goal["reward"]);
    assert_eq!(done["changes"]["events"], json!([]));

    // The reward has changed since.
    execute(&stage, "UPDATE goals SET reward_micros = 1 WHERE key = 'rising-tide-4'").await;
    let now = stage.with(&[]).await;
    let done = claim(&now.app(&[Scope::ProgressWrite]).await, "grace", &["rising-tide-4"]).await;
    assert_eq!(done["results"][0]["credits"]["credits"], "40");
}

async fn a_goal_without_a_reward_is_claimed_without_a_lot(stage: Stage) {
    execute(&stage, "UPDATE goals SET reward_micros = 0 WHERE key = 'rising-tide-3'").await;
    let stage = stage.with(&[]).await;
    let before = (number(&stage, "SELECT COUNT(*) FROM credit_lots").await, spent(&stage, 0).await);
    let done = claim(&stage.user("grace"), "grace", &["rising-tide-3", "rising-tide-3"]).await;
    assert_eq!(outcomes(&done), ["CLAIMED", "ALREADY_CLAIMED"]);
    assert_eq!(done["results"][1]["credits"]["credits"], "0");
    assert_eq!(done["changes"]["events"][0]["changes"], json!({ "credits": "0" }));
    assert_eq!((number(&stage, "SELECT COUNT(*) FROM credit_lots").await, spent(&stage, 0).await), before);
    let claims = "SELECT lot_seq FROM goal_claims WHERE goal_id = (SELECT id FROM goals WHERE key = 'rising-tide-3') \
        AND user_id = (SELECT id FROM users WHERE handle = 'grace')";
    assert_eq!(number(&stage, claims).await, 0);
}

async fn of_many_clients_who_claim_a_goal_one_gets_the_reward(stage: Stage) {
    let rows = async |table: &str| number(&stage, &format!("SELECT COUNT(*) FROM {table}")).await;
    let before = [
        rows("credit_lots").await,
        rows("credit_entries").await,
        rows("goal_claims").await,
        rows("history_events").await,
    ];
    let grace = stage.user("grace");
    let claims = join_all((0..64).map(|_| claim(&grace, "grace", &["rising-tide-3"]))).await;
    assert_eq!(claims.iter().filter(|payload| outcomes(payload) == ["CLAIMED"]).count(), 1);
    assert_eq!(claims.iter().filter(|payload| outcomes(payload) == ["ALREADY_CLAIMED"]).count(), 63);
    assert!(claims.iter().all(|payload| payload["results"][0]["credits"]["credits"] == "20"));
    let after = [
        rows("credit_lots").await,
        rows("credit_entries").await,
        rows("goal_claims").await,
        rows("history_events").await,
    ];
    assert_eq!(after, before.map(|count| count + 1));
}

async fn a_budget_is_spent_to_the_last_claim_that_fits(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let season = "(SELECT id FROM seasons WHERE key = 'rising-tide')";
    let goal = "(SELECT id FROM goals WHERE key = 'rising-tide-week-4-15')";
    // 64 users who have completed a goal of this week, and a budget for 10 of its rewards, all but one millionth of one more.
    let users = "SELECT id FROM users WHERE id > 8 ORDER BY id LIMIT 64";
    execute(&stage, &format!("DELETE FROM goal_claims WHERE goal_id = {goal}")).await;
    execute(&stage, &format!("DELETE FROM goal_progress WHERE goal_id = {goal}")).await;
    execute(
        &stage,
        &format!(
            "INSERT INTO season_enrolments (user_id, season_id, enrolled_at) \
             SELECT u.id, {season}, 0 FROM ({users}) u WHERE true ON CONFLICT DO NOTHING"
        ),
    )
    .await;
    execute(
        &stage,
        &format!(
            "INSERT INTO goal_progress (user_id, goal_id, completed_steps, completed_at, updated_at) \
             SELECT u.id, {goal}, 2, 0, 0 FROM ({users}) u"
        ),
    )
    .await;
    let budget = format!(
        "UPDATE season_budgets SET cap_micros = spent_micros + 43999999 WHERE season_id = {season} AND week = 4"
    );
    execute(&stage, &budget).await;
    let before = (spent(&stage, 0).await, spent(&stage, 4).await);
    let handles: Vec<String> = crate::batching::handles(&stage).await.into_iter().skip(8).take(64).collect();
    assert_eq!(handles.len(), 64);
    let claims = join_all(handles.iter().map(|handle| claim(&app, handle, &["rising-tide-week-4-15"]))).await;
    assert_eq!(claims.iter().filter(|payload| outcomes(payload) == ["CLAIMED"]).count(), 10);
    assert_eq!(claims.iter().filter(|payload| outcomes(payload) == ["BUDGET_EXHAUSTED"]).count(), 54);
    assert_eq!((spent(&stage, 0).await - before.0, spent(&stage, 4).await - before.1), (40_000_000, 40_000_000));
    assert_eq!(number(&stage, &format!("SELECT COUNT(*) FROM goal_claims WHERE goal_id = {goal}")).await, 10);
    // The season's own budget bounds too, and a goal of another week does not need this week's.
    let grace = claim(&app, "grace", &["rising-tide-3"]).await;
    assert_eq!(outcomes(&grace), ["CLAIMED"]);
    let budget = format!("UPDATE season_budgets SET cap_micros = spent_micros WHERE season_id = {season} AND week = 0");
    execute(&stage, &budget).await;
    let steps = json!([{ "goalId": "rising-tide-1", "setTo": 20 }]);
    record(&app, "grace", steps).await;
    assert_eq!(outcomes(&claim(&app, "grace", &["rising-tide-1"]).await), ["BUDGET_EXHAUSTED"]);
}

async fn only_those_who_may_enrol_claim_and_record(stage: Stage) {
    let user = json!({ "handle": "newton" });
    let enrol = json!({ "input": { "user": user } });
    let claim = json!({ "input": { "user": user, "goalIds": ["rising-tide-1"] } });
    let steps = json!({ "input": { "user": user, "steps": [{ "goalId": "rising-tide-1", "add": 1 }] } });
    let correct = json!({ "input": { "user": user, "goalId": "rising-tide-1", "completedSteps": 1 } });
    let reader = stage.app(&[Scope::ProgressRead]).await;
    for actor in [stage.anonymous(), stage.user("grace"), reader] {
        for (query, input) in [(ENROL, &enrol), (CLAIM, &claim), (STEPS, &steps), (CORRECT, &correct)] {
            assert_eq!(actor.query(query, input.clone()).await.codes(), ["FORBIDDEN"]);
        }
    }
    let newton = stage.user("newton");
    newton.data(ENROL, enrol).await;
    newton.data(CLAIM, claim.clone()).await;
    let writer = stage.app(&[Scope::ProgressWrite]).await;
    writer.data(CLAIM, claim).await;
    writer.data(STEPS, steps.clone()).await;
    for (actor, query, input) in [(&newton, STEPS, &steps), (&newton, CORRECT, &correct), (&writer, CORRECT, &correct)]
    {
        assert_eq!(actor.query(query, input.clone()).await.codes(), ["FORBIDDEN"]);
    }
    stage.app(&[Scope::Admin]).await.data(CORRECT, correct).await;
    // Nobody is meant by a key that belongs to no user.
    assert_eq!(writer.query(CLAIM, json!({ "input": { "goalIds": [] } })).await.codes(), ["BAD_USER_INPUT"]);
    let malformed = json!({ "input": { "user": user, "goalIds": ["a\u{7}", "rising-tide-1"] } });
    let refused = writer.data(CLAIM, malformed).await["claimGoals"].clone();
    assert_eq!(outcomes(&refused), ["INVALID_INPUT", "GOAL_INCOMPLETE"]);
    assert_eq!(refused["userErrors"][0]["path"], json!(["goalIds", "0"]));
    let unknown = json!({ "input": { "user": { "handle": "nobody" }, "goalIds": ["rising-tide-1"] } });
    let refused = writer.data(CLAIM, unknown).await["claimGoals"].clone();
    assert_eq!((outcomes(&refused), &refused["userErrors"][0]["path"]), (vec!["UNKNOWN_USER"], &json!(["user"])));
}

async fn a_list_of_a_thousand_costs_as_many_statements_as_a_list_of_one(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let short = [
        "mutation($input: RecordGoalStepsInput!) { recordGoalSteps(input: $input) { results { status } } }",
        "mutation($input: ClaimGoalsInput!) { claimGoals(input: $input) { results { status } } }",
    ];
    let cost = async |mutation: usize, user: &str, count: usize| {
        let goals = (1..=4).map(|goal| format!("rising-tide-{goal}"));
        let goals: Vec<_> =
            goals.chain((0..9).map(|goal| format!("rising-tide-week-{}-{}", goal / 3 + 1, goal + 5))).collect();
        let goals: Vec<_> = goals.iter().cycle().take(count).collect();
        let steps: Vec<_> = goals
            .iter()
            .zip(0..)
            .map(|(goal, item)| json!({ "goalId": goal, "add": 1, "ref": format!("{item}") }))
            .collect();
        let list = |full: bool| {
            let user = json!({ "handle": user });
            let input = match mutation {
                0 => json!({ "user": user, "steps": if full { steps.clone() } else { vec![] } }),
                _ => json!({ "user": user, "goalIds": if full { goals.clone() } else { vec![] } }),
            };
            json!({ "input": input })
        };
        // The document, the credential and the user's name are known from then on.
        app.data(short[mutation], list(false)).await;
        let before = stage.db().statements(waymark::db::Asker::Request);
        app.data(short[mutation], list(true)).await;
        stage.db().statements(waymark::db::Asker::Request) - before
    };
    for mutation in 0..2 {
        let (one, thousand) = (cost(mutation, "ada", 1).await, cost(mutation, "grace", 1000).await);
        // Polls of the catalogue and of the credential may fall into either; a write that changes nothing ends earlier, and
        // SQLite takes some hundred rows in a statement.
        assert!(thousand <= one + 12, "{one} for one, {thousand} for a thousand");
        assert!(one <= 13, "{one} for one");
    }
    let many = json!({ "input": { "user": { "handle": "ada" }, "goalIds": vec!["rising-tide-1"; 1001] } });
    assert_eq!(app.query(CLAIM, many).await.codes(), ["LIMIT_EXCEEDED"]);
}
