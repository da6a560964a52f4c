//! Recording progress of every kind and of many users by one write.

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::harness::{Actor, Answer, Stage, tests};

tests! {
    own: [
        every_kind_is_recorded_and_shown_by_what_it_changed,
        an_enrolment_counts_for_steps_that_stand_before_it,
        each_user_sees_what_was_changed_for_that_user,
        each_event_has_its_own_result_in_the_order_of_the_input,
        what_is_malformed_fails_alone,
        all_or_nothing_undoes_the_good_events_of_a_list_with_a_bad_one,
        a_ref_is_recorded_once_and_for_all_for_each_user,
        the_same_key_replays_the_answer_and_refuses_another_body,
        an_answer_is_replayed_for_those_who_were_named_the_first_time,
        users_record_their_own_enrolments_and_learning_and_nothing_else,
        more_events_than_allowed_are_refused_as_a_whole,
        an_erased_user_is_nobody,
        writes_of_the_same_users_at_once_lose_nothing,
        a_list_of_a_thousand_costs_as_many_statements_as_a_list_of_one_of_each_kind,
    ],
}

const RECORD: &str = "mutation($input: RecordProgressInput!) { recordProgress(input: $input) {
    results { userId id status completedSteps clampedBy error { code path } } userErrors { code path }
    changes { userId user { handle } events { number kind subject occurredAt actor }
      goals { goal { key } completedSteps } goalsCompleted { goal { key } } resources { resourceKey completed }
      gameSummaries { game { key } numAchieved } collections { collection { key } collectedCount } credits { expiresIn } } } }";
const BRIEF: &str = "mutation($input: RecordProgressInput!) { recordProgress(input: $input) { results { status } } }";
const RESOURCE: &str = "507f191e810c19729de860ea";
const GOAL: &str = "rising-tide-1";

async fn send(actor: &Actor, input: Value) -> Answer {
    actor.query(RECORD, json!({ "input": input })).await
}

async fn record(actor: &Actor, events: Value) -> Value {
    send(actor, json!({ "events": events })).await.data()["recordProgress"].clone()
}

async fn writer(stage: &Stage) -> Actor {
    stage.app(&[Scope::ProgressWrite]).await
}

fn named(handle: &str) -> Value {
    json!({ "handle": handle })
}

fn enrolment(handle: &str) -> Value {
    json!({ "enrollment": { "user": named(handle) } })
}

fn steps(handle: &str, add: i32) -> Value {
    json!({ "goalSteps": { "user": named(handle), "goalId": GOAL, "add": add } })
}

fn completion(handle: &str, resource: &str) -> Value {
    json!({ "resourceProgress": { "user": named(handle), "resourceId": resource, "completed": true } })
}

fn unlock(handle: &str, achievement: &str) -> Value {
    json!({ "achievementUnlock": { "user": named(handle), "achievementId": achievement } })
}

fn card(handle: &str, card: &str) -> Value {
    json!({ "card": { "user": named(handle), "cardId": card } })
}

/// The key of a published achievement of game 1.
async fn achievement(stage: &Stage) -> String {
    let query = "{ game(id: \"1\") { achievements(first: 1) { nodes { key } } } }";
    let data = stage.anonymous().data(query, Value::Null).await;
    data["game"]["achievements"]["nodes"][0]["key"].as_str().unwrap().to_owned()
}

/// One event of each kind, of somebody about whom little is known.
async fn one_of_each(stage: &Stage, handle: &str) -> Vec<Value> {
    vec![
        enrolment(handle),
        steps(handle, 3),
        completion(handle, RESOURCE),
        unlock(handle, &achievement(stage).await),
        card(handle, "founders-02"),
    ]
}

/// The code of the refusal of each event, or its status when it was not refused.
fn outcomes(payload: &Value) -> Vec<&str> {
    let results = payload["results"].as_array().unwrap().iter();
    results.map(|one| one["error"]["code"].as_str().or(one["status"].as_str()).unwrap()).collect()
}

fn kinds(changes: &Value) -> Vec<&str> {
    changes["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect()
}

/// The handles of `count` users about whom nothing is known.
async fn somebodies(stage: &Stage, count: usize) -> Vec<String> {
    let connection = stage.db().reads();
    let sql = format!("SELECT handle FROM users WHERE id > 20 ORDER BY id LIMIT {count}");
    let rows = connection.query_all_raw(Statement::from_string(connection.get_database_backend(), sql)).await.unwrap();
    assert_eq!(rows.len(), count);
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

/// The handles of `count` users who have not made a step towards the goal.
async fn beginners(stage: &Stage, count: usize) -> Vec<String> {
    let connection = stage.db().reads();
    let sql = format!(
        "SELECT handle FROM users WHERE id > 20 AND NOT EXISTS (SELECT 1 FROM goal_progress p JOIN goals g ON g.id = p.goal_id \
         WHERE p.user_id = users.id AND g.key = '{GOAL}') ORDER BY id LIMIT {count}"
    );
    let rows = connection.query_all_raw(Statement::from_string(connection.get_database_backend(), sql)).await.unwrap();
    assert_eq!(rows.len(), count);
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

/// How many events a user's history has.
async fn history(app: &Actor, handle: &str) -> i64 {
    let query = "query($by: UserBy!) { user(by: $by) { history(first: 1) { totalCount } } }";
    app.data(query, json!({ "by": named(handle) })).await["user"]["history"]["totalCount"].as_i64().unwrap()
}

async fn verify(stage: &Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let found = admin.data("mutation { verify(input: {}) { differenceCount } }", Value::Null).await;
    assert_eq!(found["verify"]["differenceCount"], 0, "{found}");
}

async fn every_kind_is_recorded_and_shown_by_what_it_changed(stage: Stage) {
    let app = writer(&stage).await;
    let events = one_of_each(&stage, "xelnia").await;
    let done = record(&app, Value::Array(events.clone())).await;
    assert_eq!(done["userErrors"], json!([]), "{done}");
    assert_eq!(outcomes(&done), ["APPLIED"; 5]);
    let achievement = format!("achievement:{}", achievement(&stage).await);
    let ids: Vec<&str> = done["results"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(
        ids,
        ["season:rising-tide", "goal:rising-tide-1", &format!("resource:{RESOURCE}"), &achievement, "card:founders-02"]
    );
    assert_eq!((&done["results"][1]["completedSteps"], &done["results"][1]["clampedBy"]), (&json!(3), &json!(0)));
    assert_eq!(done["results"][0]["completedSteps"], Value::Null);

    assert_eq!(done["changes"].as_array().unwrap().len(), 1);
    let changes = &done["changes"][0];
    assert_eq!((&changes["user"]["handle"], &changes["userId"]), (&json!("xelnia"), &done["results"][0]["userId"]));
    assert_eq!(
        kinds(changes),
        ["ENROLLED", "GOAL_STEPS", "RESOURCE_COMPLETED", "ACHIEVEMENT_UNLOCKED", "CARDS_GRANTED"]
    );
    let events_told = changes["events"].as_array().unwrap();
    let numbers: Vec<i64> = events_told.iter().map(|event| event["number"].as_i64().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    assert!(events_told.iter().all(|event| event["actor"] == "app:test app"));
    assert_eq!(changes["goals"], json!([{ "goal": { "key": GOAL }, "completedSteps": 3 }]));
    assert_eq!(changes["goalsCompleted"], json!([]));
    assert_eq!(changes["resources"], json!([{ "resourceKey": RESOURCE, "completed": true }]));
    assert_eq!(changes["gameSummaries"], json!([{ "game": { "key": "1" }, "numAchieved": 1 }]));
    assert_eq!(changes["collections"], json!([{ "collection": { "key": "founders" }, "collectedCount": 1 }]));
    assert_eq!(changes["credits"], Value::Null);

    // Steps and cards add up; what is what it is stays.
    let again = record(&app, Value::Array(events)).await;
    assert_eq!(outcomes(&again), ["UNCHANGED", "APPLIED", "UNCHANGED", "UNCHANGED", "APPLIED"]);
    assert_eq!(again["results"][1]["completedSteps"], 6);
    verify(&stage).await;
}

async fn an_enrolment_counts_for_steps_that_stand_before_it(stage: Stage) {
    let app = writer(&stage).await;
    let not_yet = record(&app, json!([steps("xelnia", 1)])).await;
    assert_eq!(outcomes(&not_yet), ["NOT_ENROLLED"]);
    let done = record(&app, json!([steps("xelnia", 1), enrolment("xelnia"), steps("xelnia", 2)])).await;
    assert_eq!(outcomes(&done), ["APPLIED", "APPLIED", "APPLIED"]);
    let counts: Vec<&Value> = done["results"].as_array().unwrap().iter().map(|one| &one["completedSteps"]).collect();
    assert_eq!(counts, [&json!(1), &Value::Null, &json!(3)]);
    assert_eq!(kinds(&done["changes"][0]), ["ENROLLED", "GOAL_STEPS", "GOAL_STEPS"]);
}

async fn each_user_sees_what_was_changed_for_that_user(stage: Stage) {
    let app = writer(&stage).await;
    let key = achievement(&stage).await;
    let events = json!([
        unlock("xelnia", &key),
        card("newton", "founders-01"),
        unlock("XELNIA", &key),
        completion("newton", RESOURCE),
        unlock("nobody1", &key),
        enrolment("grace"),
    ]);
    let done = record(&app, events).await;
    assert_eq!(outcomes(&done), ["APPLIED", "APPLIED", "UNCHANGED", "APPLIED", "UNKNOWN_USER", "UNCHANGED"]);
    // Nothing was changed for grace, who had enrolled before.
    let changes = done["changes"].as_array().unwrap();
    let users: Vec<&str> = changes.iter().map(|one| one["user"]["handle"].as_str().unwrap()).collect();
    assert_eq!(users, ["xelnia", "newton"]);
    assert_eq!(kinds(&changes[0]), ["ACHIEVEMENT_UNLOCKED"]);
    assert_eq!(kinds(&changes[1]), ["RESOURCE_COMPLETED", "CARDS_GRANTED"]);
    assert_eq!((&changes[0]["collections"], &changes[1]["gameSummaries"]), (&json!([]), &json!([])));
    assert_eq!(done["results"][0]["userId"], done["results"][2]["userId"]);
    assert_eq!(done["results"][4]["userId"], Value::Null);
    assert_eq!(done["results"][4]["id"], format!("achievement:{key}"));
}

async fn each_event_has_its_own_result_in_the_order_of_the_input(stage: Stage) {
    let app = writer(&stage).await;
    let key = achievement(&stage).await;
    let before = history(&app, "xelnia").await;
    let events = json!([
        card("xelnia", "nothing"),
        unlock("xelnia", "nothing"),
        completion("xelnia", "nothing"),
        { "goalSteps": { "user": named("xelnia"), "goalId": "nothing", "add": 1 } },
        { "enrollment": { "user": named("xelnia"), "seasonId": "nothing" } },
        { "card": { "user": named("xelnia"), "cardId": "founders-01", "quantity": 0 } },
        { "resourceProgress": { "user": named("xelnia"), "resourceId": RESOURCE, "progress": 101 } },
        { "achievementUnlock": { "user": named("xelnia"), "achievementId": key, "unlockedAt": "2027-01-01T00:00:00Z" } },
        { "goalSteps": { "user": named("grace"), "goalId": GOAL, "add": -1 } },
        { "enrollment": { "user": named("newton"), "seasonId": "first-light" } },
    ]);
    let done = record(&app, events).await;
    assert_eq!(
        outcomes(&done),
        [
            "UNKNOWN_CARD",
            "UNKNOWN_ACHIEVEMENT",
            "UNKNOWN_RESOURCE",
            "UNKNOWN_GOAL",
            "UNKNOWN_SEASON",
            "INVALID_INPUT",
            "INVALID_INPUT",
            "DATE_OUT_OF_RANGE",
            "INVALID_INPUT",
            "SEASON_ENDED",
        ]
    );
    let paths: Vec<&Value> = done["userErrors"].as_array().unwrap().iter().map(|error| &error["path"]).collect();
    assert_eq!(paths[2], &json!(["events", "2", "resourceProgress", "resourceId"]));
    assert_eq!(paths[6], &json!(["events", "6", "resourceProgress", "progress"]));
    for place in [0, 1, 3, 4, 5, 7, 8, 9] {
        assert_eq!(paths[place], &json!(["events", place.to_string()]));
    }
    assert_eq!((&done["changes"], history(&app, "xelnia").await), (&json!([]), before));
}

async fn what_is_malformed_fails_alone(stage: Stage) {
    let app = writer(&stage).await;
    let key = achievement(&stage).await;
    let events = json!([
        { "achievementUnlock": { "user": named("xelnia"), "achievementId": "a\u{7}" } },
        { "goalSteps": { "user": named("grace"), "goalId": GOAL, "add": 1, "setTo": 1 } },
        { "achievementUnlock": { "achievementId": key } },
        { "achievementUnlock": { "user": named("a b"), "achievementId": key } },
        { "achievementUnlock": { "user": { "id": "user:x" }, "achievementId": key } },
        unlock("xelnia", &key),
    ]);
    let done = record(&app, events).await;
    assert_eq!(
        outcomes(&done),
        ["INVALID_INPUT", "INVALID_INPUT", "INVALID_INPUT", "INVALID_INPUT", "INVALID_INPUT", "APPLIED"]
    );
    assert_eq!(done["userErrors"][3]["path"], json!(["events", "3", "achievementUnlock", "user"]));
    // What is against the schema is an error of the request.
    let two = json!({ "card": { "cardId": "founders-01" }, "enrollment": {} });
    for event in [two, json!({}), json!({ "card": null }), json!({ "nothing": {} })] {
        send(&app, json!({ "events": [event] })).await.refused(400, "BAD_USER_INPUT");
    }
}

async fn all_or_nothing_undoes_the_good_events_of_a_list_with_a_bad_one(stage: Stage) {
    let app = writer(&stage).await;
    let before = history(&app, "xelnia").await;
    let mut events = one_of_each(&stage, "xelnia").await;
    events.push(completion("newton", "0123456789abcdef01234567"));
    events.push(card("xelnia", "nothing"));
    let input = |events: &[Value]| json!({ "events": events, "mode": "ALL_OR_NOTHING" });
    let bad = send(&app, input(&events)).await.data()["recordProgress"].clone();
    let refused = "NOT_APPLIED";
    assert_eq!(outcomes(&bad), [refused, refused, refused, refused, refused, refused, "UNKNOWN_CARD"]);
    assert_eq!((&bad["results"][1]["completedSteps"], &bad["changes"]), (&Value::Null, &json!([])));
    assert_eq!(bad["userErrors"][1]["path"], json!(["events", "1"]));
    assert_eq!(history(&app, "xelnia").await, before);
    events.pop();
    let good = send(&app, input(&events)).await.data()["recordProgress"].clone();
    assert_eq!(outcomes(&good), ["APPLIED"; 6]);
    assert_eq!(good["results"][1]["completedSteps"], 3);
    assert_eq!(history(&app, "xelnia").await, before + 5);
    verify(&stage).await;
}

async fn a_ref_is_recorded_once_and_for_all_for_each_user(stage: Stage) {
    let app = writer(&stage).await;
    let of = |handle: &str| {
        let (steps, card) = (
            json!({ "user": named(handle), "goalId": GOAL, "add": 2, "ref": "match-1" }),
            json!({ "user": named(handle), "cardId": "founders-01", "ref": "match-1" }),
        );
        [json!({ "goalSteps": steps }), json!({ "card": card })]
    };
    let mut events = vec![enrolment("xelnia"), enrolment("newton")];
    events.extend(of("xelnia").into_iter().chain(of("newton")).chain(of("xelnia")));
    let first = record(&app, Value::Array(events.clone())).await;
    let steps: Vec<_> = first["results"].as_array().unwrap().iter().map(|one| one["completedSteps"].as_i64()).collect();
    assert_eq!(steps, [None, None, Some(2), None, Some(2), None, Some(2), None]);
    for _ in 0..2 {
        let again = record(&app, Value::Array(events.clone())).await;
        assert_eq!((&again["changes"], &again["userErrors"]), (&json!([]), &json!([])));
        assert_eq!(again["results"][2]["completedSteps"], 2);
    }
    // The mutations of single kinds know them too.
    let grant = "mutation($input: GrantCardsInput!) { grantCards(input: $input) { changes { events { number } } } }";
    let input = json!({ "user": named("newton"), "cards": [{ "cardId": "founders-01", "ref": "match-1" }] });
    let granted = app.data(grant, json!({ "input": input })).await;
    assert_eq!(granted["grantCards"]["changes"]["events"], json!([]));
}

async fn the_same_key_replays_the_answer_and_refuses_another_body(stage: Stage) {
    let app = writer(&stage).await;
    let mut events = one_of_each(&stage, "xelnia").await;
    events.push(card("nobody1", "founders-01"));
    let input = json!({ "events": events, "idempotencyKey": "k1" });
    let answers = join_all((0..16).map(|_| send(&app, input.clone()))).await;
    let first = answers[0].data();
    assert_eq!(outcomes(&first["recordProgress"])[1..], ["APPLIED", "APPLIED", "APPLIED", "APPLIED", "UNKNOWN_USER"]);
    assert!(answers.iter().all(|answer| answer.data() == first));
    for other in [json!([events[0]]), json!([])] {
        let other = send(&app, json!({ "events": other, "idempotencyKey": "k1" })).await;
        assert_eq!(other.codes(), ["IDEMPOTENCY_KEY_REUSED"]);
    }
    let mode = send(&app, json!({ "events": events, "idempotencyKey": "k1", "mode": "ALL_OR_NOTHING" })).await;
    assert_eq!(mode.codes(), ["IDEMPOTENCY_KEY_REUSED"]);
    assert_eq!(record(&app, json!([steps("xelnia", 1)])).await["results"][0]["completedSteps"], 4);
}

async fn an_answer_is_replayed_for_those_who_were_named_the_first_time(stage: Stage) {
    let (app, admin) = (writer(&stage).await, stage.app(&[Scope::Admin]).await);
    let input =
        json!({ "events": [card("xelnia", "founders-01"), card("later", "founders-01")], "idempotencyKey": "k1" });
    let first = send(&app, input.clone()).await.data()["recordProgress"].clone();
    assert_eq!(outcomes(&first), ["APPLIED", "UNKNOWN_USER"]);
    let rename =
        "mutation($input: UpsertUserInput!) { upsertUser(input: $input) { user { handle } userErrors { code } } }";
    let id = &first["results"][0]["userId"];
    admin.data(rename, json!({ "input": { "id": id, "handle": "renamed" } })).await;
    admin.data(rename, json!({ "input": { "handle": "later" } })).await;
    let again = send(&app, input).await.data()["recordProgress"].clone();
    assert_eq!(again["results"], first["results"]);
    assert_eq!(again["changes"][0]["user"]["handle"], "renamed");
    assert_eq!(again["changes"][0]["events"], first["changes"][0]["events"]);
    assert_eq!(again["changes"].as_array().unwrap().len(), 1);
}

async fn users_record_their_own_enrolments_and_learning_and_nothing_else(stage: Stage) {
    let newton = stage.user("newton");
    let own = json!([
        { "enrollment": {} }, { "resourceProgress": { "resourceId": RESOURCE, "completed": true } },
        completion("newton", RESOURCE), completion("nobody1", RESOURCE),
    ]);
    let done = record(&newton, own.clone()).await;
    assert_eq!(outcomes(&done), ["APPLIED", "APPLIED", "UNCHANGED", "UNKNOWN_USER"]);
    assert_eq!(done["changes"][0]["events"][0]["actor"].as_str().map(|actor| actor.starts_with("user:")), Some(true));
    let key = achievement(&stage).await;
    let of_others = json!([completion("newton", RESOURCE), completion("grace", RESOURCE)]);
    let refused = |events: Value| {
        let newton = newton.clone();
        async move { assert_eq!(send(&newton, json!({ "events": events })).await.codes(), ["FORBIDDEN"], "{events}") }
    };
    refused(of_others).await;
    for event in [steps("newton", 1), unlock("newton", &key), card("newton", "founders-01"), card("nobody1", "nothing")]
    {
        refused(json!([{ "enrollment": {} }, event])).await;
    }
    let reader = stage.app(&[Scope::ProgressRead]).await;
    for actor in [stage.anonymous(), reader] {
        for events in [json!([]), own.clone(), json!([card("grace", "founders-01")]), json!([card("nobody1", "x")])] {
            assert_eq!(send(&actor, json!({ "events": events })).await.codes(), ["FORBIDDEN"]);
        }
    }
    assert_eq!(
        record(&writer(&stage).await, json!([])).await,
        json!({ "results": [], "userErrors": [], "changes": [] })
    );
}

async fn more_events_than_allowed_are_refused_as_a_whole(stage: Stage) {
    let app = writer(&stage).await;
    let before = history(&app, "xelnia").await;
    let answer = send(&app, json!({ "events": vec![card("xelnia", "founders-01"); 1001] })).await;
    assert_eq!((answer.codes(), &answer.json["data"]["recordProgress"]), (vec!["LIMIT_EXCEEDED"], &Value::Null));
    assert_eq!(history(&app, "xelnia").await, before);
}

async fn an_erased_user_is_nobody(stage: Stage) {
    let (app, admin) = (writer(&stage).await, stage.app(&[Scope::Admin]).await);
    let id = record(&app, json!([card("xelnia", "founders-01")])).await["results"][0]["userId"].clone();
    let erase = "mutation($input: EraseUserInput!) { eraseUser(input: $input) { userErrors { code } } }";
    admin.data(erase, json!({ "input": { "user": { "handle": "xelnia" } } })).await;
    let event = json!({ "card": { "user": { "id": id }, "cardId": "founders-01" } });
    let done = record(&app, json!([event, card("newton", "founders-01")])).await;
    assert_eq!(outcomes(&done), ["UNKNOWN_USER", "APPLIED"]);
}

async fn writes_of_the_same_users_at_once_lose_nothing(stage: Stage) {
    let app = writer(&stage).await;
    let handles = beginners(&stage, 4).await;
    record(&app, Value::Array(handles.iter().map(|handle| enrolment(handle)).collect())).await;
    // Each client names the users in another order.
    let client = |turn: usize| {
        let mut events: Vec<Value> = handles.iter().map(|handle| steps(handle, 1)).collect();
        events.extend(handles.iter().map(|handle| card(handle, "founders-01")));
        let count = events.len();
        events.rotate_left(turn % count);
        record(&app, Value::Array(events))
    };
    for payload in join_all((0..16).map(client)).await {
        assert_eq!(outcomes(&payload), ["APPLIED"; 8]);
    }
    let done = record(&app, Value::Array(handles.iter().map(|handle| steps(handle, 1)).collect())).await;
    assert!(done["results"].as_array().unwrap().iter().all(|one| one["completedSteps"] == 17), "{done}");
    verify(&stage).await;
}

async fn a_list_of_a_thousand_costs_as_many_statements_as_a_list_of_one_of_each_kind(stage: Stage) {
    let app = writer(&stage).await;
    let handles = somebodies(&stage, 60).await;
    let one_of_each = {
        let mut all = Vec::new();
        for handle in &handles {
            all.extend(one_of_each(&stage, handle).await);
        }
        all
    };
    let cost = async |events: Vec<Value>| {
        app.data(BRIEF, json!({ "input": { "events": [] } })).await;
        let before = stage.db().statements(waymark::db::Asker::Request);
        let done = app.data(BRIEF, json!({ "input": { "events": events } })).await;
        assert!(done["recordProgress"]["results"].as_array().unwrap().iter().all(|one| one["status"] != "REFUSED"));
        stage.db().statements(waymark::db::Asker::Request) - before
    };
    let one = cost(one_of_each[..5].to_vec()).await;
    let thousand = cost(one_of_each[5..].iter().cycle().take(1000).cloned().collect()).await;
    // Polls of the catalogue and of the credential may fall into either; one for a thousand may have more than one lot of
    // events to store.
    assert!(thousand <= one + 4, "{one} for one of each kind, {thousand} for a thousand");
    assert!(one <= 30, "{one} for one of each kind");
    let all = record(&app, Value::Array(one_of_each)).await;
    assert_eq!(all["userErrors"], json!([]));
}
