//! Writing progress with resources, and beginning, changing and giving up instances of study plans.

use futures_util::future::join_all;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::harness::{Actor, Answer, Stage, by_hand, tests};

tests! {
    own: [
        progress_is_written_part_by_part_and_stands_in_the_history,
        completion_follows_the_table_and_keeps_its_first_date,
        time_is_set_or_added,
        a_write_of_nothing_new_only_dates_the_last_access,
        values_out_of_their_range_are_refused_and_change_nothing,
        malformed_input_is_an_error,
        a_resource_that_lives_elsewhere_gets_progress,
        a_strict_server_keeps_progress_for_known_resources_only,
        completing_through_an_instance_marks_it_there_and_taking_back_unmarks_everywhere,
        completing_a_complete_resource_through_an_instance_marks_it_and_keeps_its_date,
        a_resource_outside_the_instance_leaves_its_marks_alone,
        an_instance_of_nobody_or_of_somebody_else_is_unknown,
        many_resources_are_completed_each_with_its_own_result,
        many_resources_are_taken_back_with_their_marks,
        all_or_nothing_undoes_the_good_items_of_a_list_with_a_bad_one,
        an_instance_keeps_the_list_of_its_plan_until_it_is_refreshed,
        an_instance_is_renamed,
        a_deleted_instance_is_gone_and_its_progress_stays,
        the_number_of_a_deleted_instance_is_never_used_again,
        a_user_has_a_thousand_instances_and_no_more,
        a_user_has_progress_with_so_many_resources_that_live_elsewhere,
        only_the_user_and_apps_that_may_write_learn_for_a_user,
        a_write_with_an_idempotency_key_is_carried_out_once,
        more_items_than_allowed_are_refused_as_a_whole,
        a_list_of_a_thousand_costs_as_many_statements_as_a_list_of_one,
        writes_through_two_instances_at_once_lose_no_transition,
        minutes_added_at_once_add_up,
        many_users_begin_with_one_resource_that_nobody_described,
    ],
}

const RESOURCES: [&str; 3] = ["507f1f77bcf86cd799439011", "507f191e810c19729de860ea", "507f191e810c19729de860eb"];
/// The plan of these three, of which ada has two instances; the first resource is complete through the first one.
const PLAN: &str = "algorithms-in-a-week";
const INSTANCES: [&str; 2] = ["507f1f77bcf86cd799439011", "507f1f77bcf86cd799439012"];
const COMPLETED_AT: &str = "2026-03-15T14:30:00.000Z";
const NOW_WRITTEN: &str = "2026-06-17T12:00:00.000Z";

const UPDATE: &str = "mutation($input: UpdateResourceProgressInput!) { updateResourceProgress(input: $input) {
    user { handle }
    resourceProgress { resourceKey title completed progress timeSpent notes completedAt lastAccessedAt createdAt updatedAt
      resource { key } }
    studyPlanInstance { externalId updatedAt completedCount resources { markedAt completed } }
    userErrors { code path }
    changes { events { kind subject changes actor } resources { resourceKey } } } }";
const SET: &str = "mutation($input: SetResourcesCompletionInput!) { setResourcesCompletion(input: $input) {
    results { id status error { code path } } resourceProgress { resourceKey completed completedAt }
    userErrors { code path } changes { events { kind subject changes } } } }";
const INSTANCE: &str = "studyPlanInstance { id externalId title plan { key } completedCount total createdAt updatedAt
    resources { resource { key } markedAt completed } }
    userErrors { code path } changes { events { kind subject changes } studyPlanInstances { externalId } }";

async fn update(actor: &Actor, input: Value) -> Value {
    actor.data(UPDATE, json!({ "input": input })).await["updateResourceProgress"].clone()
}

async fn set(actor: &Actor, resources: &[&str], completed: bool) -> Value {
    let input = json!({ "resourceIds": resources, "completed": completed });
    actor.data(SET, json!({ "input": input })).await["setResourcesCompletion"].clone()
}

/// Runs `createStudyPlanInstance` or `updateStudyPlanInstance`.
async fn instance(actor: &Actor, mutation: &str, input: Value) -> Value {
    let ty = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
    let query = format!("mutation($input: {ty}!) {{ {mutation}(input: $input) {{ {INSTANCE} }} }}");
    actor.data(&query, json!({ "input": input })).await[mutation].clone()
}

async fn delete(actor: &Actor, input: Value) -> Value {
    let query = "mutation($input: DeleteStudyPlanInstanceInput!) { deleteStudyPlanInstance(input: $input) {
        deletedId userErrors { code path } changes { events { kind subject changes } } } }";
    actor.data(query, json!({ "input": input })).await["deleteStudyPlanInstance"].clone()
}

async fn viewer(actor: &Actor, selection: &str) -> Value {
    actor.data(&format!("{{ viewer {{ user {{ {selection} }} }} }}"), Value::Null).await["viewer"]["user"].clone()
}

/// The marks of each of a user's instances.
async fn marks(actor: &Actor) -> Vec<Vec<bool>> {
    let user = viewer(actor, "studyPlanInstances { resources { markedAt } }").await;
    let marked = |instance: &Value| {
        let resources = instance["resources"].as_array().unwrap();
        resources.iter().map(|one| !one["markedAt"].is_null()).collect()
    };
    user["studyPlanInstances"].as_array().unwrap().iter().map(marked).collect()
}

fn statuses(payload: &Value) -> Vec<&str> {
    payload["results"].as_array().unwrap().iter().map(|result| result["status"].as_str().unwrap()).collect()
}

/// The kinds of the events of a write, each with what it says.
fn told(payload: &Value) -> Vec<(&str, Value)> {
    let events = payload["changes"]["events"].as_array().unwrap();
    events.iter().map(|event| (event["kind"].as_str().unwrap(), event["changes"].clone())).collect()
}

fn subject(resource: &str) -> String {
    format!("resource:{resource}")
}

async fn progress_is_written_part_by_part_and_stands_in_the_history(stage: Stage) {
    let newton = stage.user("newton");
    let first = update(&newton, json!({ "resourceId": RESOURCES[0], "progress": 40, "timeSpentMinutes": 90 })).await;
    assert_eq!(
        first["resourceProgress"],
        json!({
            "resourceKey": RESOURCES[0], "title": "Sorting and Searching", "completed": false, "progress": 40, "timeSpent": 90,
            "notes": "", "completedAt": null, "lastAccessedAt": NOW_WRITTEN, "createdAt": NOW_WRITTEN,
            "updatedAt": NOW_WRITTEN, "resource": { "key": RESOURCES[0] },
        })
    );
    assert_eq!((&first["user"]["handle"], &first["userErrors"]), (&json!("newton"), &json!([])));
    assert_eq!(first["changes"]["resources"], json!([{ "resourceKey": RESOURCES[0] }]));
    assert_eq!(told(&first), [("RESOURCE_PROGRESS", json!({ "progress": 40, "timeSpentMinutes": 90 }))]);
    assert_eq!(first["changes"]["events"][0]["subject"], subject(RESOURCES[0]));
    let actor = first["changes"]["events"][0]["actor"].as_str().unwrap();
    assert!(actor.starts_with("user:"), "{actor}");

    let noted = update(&newton, json!({ "resourceId": subject(RESOURCES[0]), "notes": "Read chapter 2 again." })).await;
    assert_eq!(told(&noted), [("RESOURCE_PROGRESS", json!({ "notes": true }))]);
    let both = update(&newton, json!({ "resourceId": RESOURCES[0], "progress": 90, "completed": true })).await;
    assert_eq!(told(&both), [("RESOURCE_PROGRESS", json!({ "progress": 90 })), ("RESOURCE_COMPLETED", json!({}))]);
    let shown = &both["resourceProgress"];
    assert_eq!((&shown["progress"], &shown["timeSpent"]), (&json!(90), &json!(90)));
    assert_eq!((&shown["notes"], &shown["completedAt"]), (&json!("Read chapter 2 again."), &json!(NOW_WRITTEN)));
    let history = viewer(&newton, "history(first: 2) { nodes { kind subject } }").await;
    assert_eq!(
        history["history"]["nodes"][0],
        json!({ "kind": "RESOURCE_COMPLETED", "subject": subject(RESOURCES[0]) })
    );
}

async fn completion_follows_the_table_and_keeps_its_first_date(stage: Stage) {
    let ada = stage.user("ada");
    for (resource, completed, becomes, events) in [
        (RESOURCES[0], json!(true), json!([true, COMPLETED_AT]), vec![]),
        (RESOURCES[0], Value::Null, json!([true, COMPLETED_AT]), vec![]),
        (RESOURCES[0], json!(false), json!([false, null]), vec![("RESOURCE_REOPENED", json!({}))]),
        (RESOURCES[0], json!(false), json!([false, null]), vec![]),
        (RESOURCES[0], json!(true), json!([true, NOW_WRITTEN]), vec![("RESOURCE_COMPLETED", json!({}))]),
        (RESOURCES[1], json!(false), json!([false, null]), vec![]),
        (RESOURCES[1], Value::Null, json!([false, null]), vec![]),
        (RESOURCES[2], Value::Null, json!([false, null]), vec![]),
        (RESOURCES[2], json!(true), json!([true, NOW_WRITTEN]), vec![("RESOURCE_COMPLETED", json!({}))]),
    ] {
        let done = update(&ada, json!({ "resourceId": resource, "completed": completed })).await;
        let progress = &done["resourceProgress"];
        assert_eq!(json!([progress["completed"], progress["completedAt"]]), becomes, "{resource} {completed}");
        assert_eq!(told(&done), events, "{resource} {completed}");
        assert_eq!(progress["lastAccessedAt"], NOW_WRITTEN);
    }
}

async fn time_is_set_or_added(stage: Stage) {
    let newton = stage.user("newton");
    for (input, minutes) in [
        (json!({ "addTimeSpentMinutes": 15 }), 15),
        (json!({ "timeSpentMinutes": 60 }), 60),
        (json!({ "addTimeSpentMinutes": 15 }), 75),
        (json!({ "addTimeSpentMinutes": 0 }), 75),
        (json!({ "timeSpentMinutes": 5 }), 5),
        (json!({ "timeSpentMinutes": i32::MAX }), i32::MAX),
    ] {
        let mut input = input;
        input["resourceId"] = json!(RESOURCES[0]);
        assert_eq!(update(&newton, input.clone()).await["resourceProgress"]["timeSpent"], minutes, "{input}");
    }
    let more = update(&newton, json!({ "resourceId": RESOURCES[0], "addTimeSpentMinutes": 1 })).await;
    assert_eq!(more["userErrors"], json!([{ "code": "INVALID_INPUT", "path": ["addTimeSpentMinutes"] }]));
    assert_eq!(more["resourceProgress"]["timeSpent"], i32::MAX);
}

async fn a_write_of_nothing_new_only_dates_the_last_access(stage: Stage) {
    let ada = stage.user("ada");
    let before = viewer(&ada, "history(first: 1) { nodes { number } }").await;
    let same = json!({ "resourceId": RESOURCES[0], "completed": true, "progress": 100, "notes": "" });
    let done = update(&ada, same).await;
    assert_eq!(told(&done), []);
    assert_eq!(done["resourceProgress"]["lastAccessedAt"], NOW_WRITTEN);
    assert_eq!(viewer(&ada, "history(first: 1) { nodes { number } }").await, before);
    let newton = stage.user("newton");
    assert_eq!(told(&update(&newton, json!({ "resourceId": RESOURCES[0] })).await), []);
    assert_eq!(viewer(&newton, "resources(first: 5) { totalCount }").await["resources"]["totalCount"], 1);
}

async fn values_out_of_their_range_are_refused_and_change_nothing(stage: Stage) {
    let newton = stage.user("newton");
    for (field, value) in [
        ("progress", json!(-1)),
        ("progress", json!(101)),
        ("timeSpentMinutes", json!(-1)),
        ("addTimeSpentMinutes", json!(-5)),
        ("notes", json!("x".repeat(10_001))),
    ] {
        let refused = update(&newton, json!({ "resourceId": RESOURCES[0], "completed": true, field: value })).await;
        assert_eq!(refused["userErrors"], json!([{ "code": "INVALID_INPUT", "path": [field] }]), "{field} {value}");
        assert_eq!((told(&refused), &refused["resourceProgress"]["completed"]), (vec![], &json!(false)));
    }
    let longest = "é".repeat(10_000);
    let noted = update(&newton, json!({ "resourceId": RESOURCES[0], "notes": longest })).await;
    assert_eq!(noted["resourceProgress"]["notes"], longest);
}

async fn malformed_input_is_an_error(stage: Stage) {
    let ada = stage.user("ada");
    for input in [
        json!({ "resourceId": "a\u{7}" }),
        json!({ "resourceId": "resource:" }),
        json!({ "resourceId": RESOURCES[0], "instanceId": "study_plan_instance:" }),
        json!({ "resourceId": RESOURCES[0], "instanceId": "a\u{7}" }),
        json!({ "resourceId": RESOURCES[0], "timeSpentMinutes": 1, "addTimeSpentMinutes": 1 }),
    ] {
        let answer = ada.query(UPDATE, json!({ "input": input.clone() })).await;
        assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{input}");
    }
}

async fn a_resource_that_lives_elsewhere_gets_progress(stage: Stage) {
    let newton = stage.user("newton");
    let elsewhere = "ABCDEFabcdef012345678901";
    let key = elsewhere.to_lowercase();
    let done = update(&newton, json!({ "resourceId": elsewhere, "completed": true, "progress": 10 })).await;
    let progress = &done["resourceProgress"];
    assert_eq!((&progress["resourceKey"], &progress["title"]), (&json!(key), &json!(key)));
    assert_eq!((&progress["resource"], &progress["completed"]), (&Value::Null, &json!(true)));
    assert_eq!(done["changes"]["events"][1]["subject"], subject(&key));
    assert_eq!(done["changes"]["resources"], json!([{ "resourceKey": key }]));
    let again = update(&newton, json!({ "resourceId": key, "completed": false })).await;
    assert_eq!(told(&again), [("RESOURCE_REOPENED", json!({}))]);
    assert_eq!(viewer(&newton, "resources(first: 5) { totalCount }").await["resources"]["totalCount"], 1);

    for key in ["nothing", "507f1f77bcf86cd79943901", "507f1f77bcf86cd79943901g"] {
        let refused = update(&newton, json!({ "resourceId": key, "completed": true })).await;
        assert_eq!(refused["userErrors"], json!([{ "code": "UNKNOWN_RESOURCE", "path": ["resourceId"] }]), "{key}");
        assert_eq!((&refused["resourceProgress"], told(&refused)), (&Value::Null, vec![]), "{key}");
    }
}

async fn a_strict_server_keeps_progress_for_known_resources_only(stage: Stage) {
    let newton = stage.with(&[("WAYMARK_STRICT_RESOURCES", "true")]).await.user("newton");
    let refused = update(&newton, json!({ "resourceId": "abcdefabcdef012345678901", "completed": true })).await;
    assert_eq!(refused["userErrors"][0]["code"], "UNKNOWN_RESOURCE");
    let known = update(&newton, json!({ "resourceId": RESOURCES[0].to_uppercase(), "completed": true })).await;
    assert_eq!(known["resourceProgress"]["resourceKey"], RESOURCES[0]);
}

async fn completing_through_an_instance_marks_it_there_and_taking_back_unmarks_everywhere(stage: Stage) {
    let ada = stage.user("ada");
    let through = async |instance: &str, completed: bool| {
        let input = json!({ "resourceId": RESOURCES[1], "completed": completed, "instanceId": instance });
        update(&ada, input).await
    };
    let done = through(INSTANCES[1], true).await;
    assert_eq!(told(&done), [("RESOURCE_COMPLETED", json!({ "instance": 2 }))]);
    let shown = &done["studyPlanInstance"];
    assert_eq!((&shown["externalId"], &shown["completedCount"]), (&json!(INSTANCES[1]), &json!(2)));
    assert_eq!((&shown["resources"][1]["markedAt"], &shown["updatedAt"]), (&json!(NOW_WRITTEN), &json!(NOW_WRITTEN)));
    assert_eq!(marks(&ada).await, [[true, false, false], [false, true, false]]);

    // The other instance by its global id.
    let ids = viewer(&ada, "studyPlanInstances { id }").await;
    let id = ids["studyPlanInstances"][0]["id"].as_str().unwrap();
    through(id, true).await;
    assert_eq!(marks(&ada).await, [[true, true, false], [false, true, false]]);
    assert_eq!(told(&through(id, true).await), []);

    let reopened = through(INSTANCES[0], false).await;
    assert_eq!(told(&reopened), [("RESOURCE_REOPENED", json!({}))]);
    assert_eq!(marks(&ada).await, [[true, false, false], [false, false, false]]);
    // Neither does progress without a word about completion touch the marks.
    update(&ada, json!({ "resourceId": RESOURCES[0], "progress": 5, "instanceId": INSTANCES[1] })).await;
    assert_eq!(marks(&ada).await, [[true, false, false], [false, false, false]]);
}

async fn completing_a_complete_resource_through_an_instance_marks_it_and_keeps_its_date(stage: Stage) {
    let ada = stage.user("ada");
    let done = update(&ada, json!({ "resourceId": RESOURCES[0], "completed": true, "instanceId": INSTANCES[1] })).await;
    assert_eq!(done["resourceProgress"]["completedAt"], COMPLETED_AT);
    assert_eq!(told(&done), [("RESOURCE_COMPLETED", json!({ "instance": 2 }))]);
    assert_eq!(marks(&ada).await, [[true, false, false], [true, false, false]]);
    // Without an instance nothing is marked.
    update(&ada, json!({ "resourceId": RESOURCES[2], "completed": true })).await;
    assert_eq!(marks(&ada).await, [[true, false, false], [true, false, false]]);
}

async fn a_resource_outside_the_instance_leaves_its_marks_alone(stage: Stage) {
    let ada = stage.user("ada");
    let outside = stage.anonymous().data("{ studyPlan(id: \"mathematics\") { resources { key } } }", Value::Null).await;
    let key = outside["studyPlan"]["resources"][0]["key"].as_str().unwrap();
    for resource in [key, "abcdefabcdef012345678901"] {
        let done = update(&ada, json!({ "resourceId": resource, "completed": true, "instanceId": INSTANCES[0] })).await;
        assert_eq!(done["resourceProgress"]["completed"], true);
        assert_eq!(told(&done), [("RESOURCE_COMPLETED", json!({}))]);
    }
    assert_eq!(marks(&ada).await, [[true, false, false], [false, false, false]]);
}

async fn an_instance_of_nobody_or_of_somebody_else_is_unknown(stage: Stage) {
    let ada = stage.user("ada");
    let graces =
        viewer(&stage.user("grace"), "studyPlanInstances { id externalId }").await["studyPlanInstances"].clone();
    let unknown = json!([{ "code": "UNKNOWN_STUDY_PLAN_INSTANCE", "path": ["instanceId"] }]);
    for id in [&json!("ffffffffffffffffffffffff"), &graces[0]["id"], &graces[0]["externalId"]] {
        let refused = update(&ada, json!({ "resourceId": RESOURCES[1], "completed": true, "instanceId": id })).await;
        assert_eq!((&refused["userErrors"], &refused["studyPlanInstance"]), (&unknown, &Value::Null), "{id}");
        assert_eq!((told(&refused), &refused["resourceProgress"]["completed"]), (vec![], &json!(false)), "{id}");
        let renamed = instance(&ada, "updateStudyPlanInstance", json!({ "instanceId": id, "title": "Mine" })).await;
        assert_eq!((&renamed["userErrors"], &renamed["studyPlanInstance"]), (&unknown, &Value::Null), "{id}");
        let deleted = delete(&ada, json!({ "instanceId": id })).await;
        assert_eq!((&deleted["userErrors"], &deleted["deletedId"]), (&unknown, &Value::Null), "{id}");
    }
    let graces_now = viewer(&stage.user("grace"), "studyPlanInstances { id externalId }").await;
    assert_eq!(graces_now["studyPlanInstances"], graces);
}

async fn many_resources_are_completed_each_with_its_own_result(stage: Stage) {
    let ada = stage.user("ada");
    let elsewhere = "abcdefabcdef012345678901";
    let list = [RESOURCES[1], "a b", RESOURCES[0], elsewhere, RESOURCES[1], "nothing", "resource:nothing"];
    let done = set(&ada, &list, true).await;
    assert_eq!(statuses(&done), ["APPLIED", "REFUSED", "UNCHANGED", "APPLIED", "UNCHANGED", "REFUSED", "REFUSED"]);
    assert_eq!(done["results"][0]["id"], subject(RESOURCES[1]));
    assert_eq!(done["results"][5]["error"], json!({ "code": "UNKNOWN_RESOURCE", "path": [] }));
    let refused = |place: &str| json!({ "code": "UNKNOWN_RESOURCE", "path": ["resourceIds", place] });
    assert_eq!(done["userErrors"], json!([refused("1"), refused("5"), refused("6")]));
    assert_eq!(
        done["resourceProgress"],
        json!([
            { "resourceKey": RESOURCES[1], "completed": true, "completedAt": NOW_WRITTEN },
            { "resourceKey": RESOURCES[0], "completed": true, "completedAt": COMPLETED_AT },
            { "resourceKey": elsewhere, "completed": true, "completedAt": NOW_WRITTEN },
        ])
    );
    assert_eq!(told(&done), [("RESOURCE_COMPLETED", json!({})), ("RESOURCE_COMPLETED", json!({}))]);
    // It goes through no instance.
    assert_eq!(marks(&ada).await, [[true, false, false], [false, false, false]]);
    assert_eq!(set(&ada, &[], true).await["results"], json!([]));
}

async fn many_resources_are_taken_back_with_their_marks(stage: Stage) {
    let ada = stage.user("ada");
    update(&ada, json!({ "resourceId": RESOURCES[0], "completed": true, "instanceId": INSTANCES[1] })).await;
    update(&ada, json!({ "resourceId": RESOURCES[1], "completed": true, "instanceId": INSTANCES[1] })).await;
    let done = set(&ada, &[RESOURCES[0], RESOURCES[2]], false).await;
    assert_eq!((statuses(&done), told(&done)), (vec!["APPLIED", "UNCHANGED"], vec![("RESOURCE_REOPENED", json!({}))]));
    assert_eq!(marks(&ada).await, [[false, false, false], [false, true, false]]);
}

async fn all_or_nothing_undoes_the_good_items_of_a_list_with_a_bad_one(stage: Stage) {
    let newton = stage.user("newton");
    let input = |resources: &[&str]| json!({ "input": { "resourceIds": resources, "completed": true, "mode": "ALL_OR_NOTHING" } });
    let bad = newton.data(SET, input(&[RESOURCES[0], "nothing"])).await["setResourcesCompletion"].clone();
    assert_eq!((statuses(&bad), told(&bad)), (vec!["REFUSED", "REFUSED"], vec![]));
    assert_eq!(bad["results"][0]["error"]["code"], "NOT_APPLIED");
    assert_eq!(bad["resourceProgress"][0]["completed"], false);
    let good = newton.data(SET, input(&[RESOURCES[0]])).await["setResourcesCompletion"].clone();
    assert_eq!(statuses(&good), ["APPLIED"]);
}

async fn an_instance_keeps_the_list_of_its_plan_until_it_is_refreshed(stage: Stage) {
    let ada = stage.user("ada");
    let made = instance(&ada, "createStudyPlanInstance", json!({ "studyPlanId": PLAN })).await;
    let shown = &made["studyPlanInstance"];
    assert_eq!((&shown["title"], &shown["plan"]["key"]), (&json!("Algorithms in a Week"), &json!(PLAN)));
    assert_eq!((&shown["completedCount"], &shown["total"]), (&json!(1), &json!(3)), "what was done before counts");
    assert_eq!(marks(&ada).await[2], [false, false, false], "but nothing is marked");
    let events = told(&made);
    assert_eq!((events[0].0, &events[0].1["resources"], events.len()), ("INSTANCE_CREATED", &json!(3), 1));
    assert_eq!(made["changes"]["events"][0]["subject"], format!("study_plan:{PLAN}"));
    assert_eq!(made["changes"]["studyPlanInstances"], json!([{ "externalId": shown["externalId"] }]));
    assert_eq!(shown["externalId"].as_str().unwrap().len(), 24);

    let id = shown["externalId"].clone();
    for resource in &RESOURCES[..2] {
        update(&ada, json!({ "resourceId": resource, "completed": true, "instanceId": id })).await;
    }
    // The plan loses its first resource, gets another one, and has them in another order.
    for statement in [
        "DELETE FROM study_plan_resources WHERE plan_id = 1 AND position = 1",
        "UPDATE study_plan_resources SET position = 1 WHERE plan_id = 1 AND position = 3",
        "INSERT INTO study_plan_resources (plan_id, position, resource_id) VALUES (1, 4, 10)",
    ] {
        by_hand(stage.db(), statement).await;
    }
    let same = instance(&ada, "updateStudyPlanInstance", json!({ "instanceId": id })).await;
    assert_eq!((&same["studyPlanInstance"]["total"], told(&same)), (&json!(3), vec![]));
    let refreshed = instance(&ada, "updateStudyPlanInstance", json!({ "instanceId": id, "refresh": true })).await;
    let list = refreshed["studyPlanInstance"]["resources"].as_array().unwrap();
    let marked: Vec<_> = list.iter().map(|one| (&one["resource"]["key"], !one["markedAt"].is_null())).collect();
    assert_eq!(marked[..2], [(&json!(RESOURCES[2]), false), (&json!(RESOURCES[1]), true)]);
    assert_eq!((marked.len(), marked[2].1), (3, false));
    assert_eq!(told(&refreshed), [("INSTANCE_CHANGED", json!({ "instance": events[0].1["instance"] }))]);
    let again = instance(&ada, "updateStudyPlanInstance", json!({ "instanceId": id, "refresh": true })).await;
    assert_eq!(told(&again), []);
    assert_eq!(marks(&ada).await[..2], [[true, false, false], [false, false, false]], "others stay as they are");

    let unknown = instance(&ada, "createStudyPlanInstance", json!({ "studyPlanId": "nothing" })).await;
    assert_eq!(unknown["userErrors"], json!([{ "code": "UNKNOWN_STUDY_PLAN", "path": ["studyPlanId"] }]));
    assert_eq!((&unknown["studyPlanInstance"], told(&unknown)), (&Value::Null, vec![]));
}

async fn an_instance_is_renamed(stage: Stage) {
    let ada = stage.user("ada");
    let input = |title: &str| json!({ "instanceId": INSTANCES[1], "title": title });
    let renamed = instance(&ada, "updateStudyPlanInstance", input("Second try")).await;
    let shown = &renamed["studyPlanInstance"];
    assert_eq!((&shown["title"], &shown["updatedAt"]), (&json!("Second try"), &json!(NOW_WRITTEN)));
    assert_eq!(told(&renamed), [("INSTANCE_CHANGED", json!({ "instance": 2 }))]);
    assert_eq!(told(&instance(&ada, "updateStudyPlanInstance", input("Second try")).await), []);
    let named = json!({ "studyPlanId": PLAN, "title": "Third try" });
    assert_eq!(instance(&ada, "createStudyPlanInstance", named).await["studyPlanInstance"]["title"], "Third try");
    for title in ["", "  ", "a\nb", &"x".repeat(501)] {
        for (mutation, input) in [
            ("updateStudyPlanInstance", input(title)),
            ("createStudyPlanInstance", json!({ "studyPlanId": PLAN, "title": title })),
        ] {
            let refused = instance(&ada, mutation, input).await;
            assert_eq!(refused["userErrors"], json!([{ "code": "INVALID_INPUT", "path": ["title"] }]), "{title:?}");
        }
    }
    let titles = viewer(&ada, "studyPlanInstances { title }").await;
    let title = |title: &str| json!({ "title": title });
    let expected = json!([title("Algorithms in a Week"), title("Second try"), title("Third try")]);
    assert_eq!(titles["studyPlanInstances"], expected);
}

async fn a_deleted_instance_is_gone_and_its_progress_stays(stage: Stage) {
    let ada = stage.user("ada");
    let deleted = delete(&ada, json!({ "instanceId": INSTANCES[0] })).await;
    assert!(deleted["deletedId"].as_str().unwrap().ends_with(INSTANCES[0]), "{deleted}");
    assert_eq!(told(&deleted), [("INSTANCE_DELETED", json!({ "instance": 1 }))]);
    let left = viewer(&ada, "studyPlanInstances { externalId completedCount }").await;
    assert_eq!(left["studyPlanInstances"], json!([{ "externalId": INSTANCES[1], "completedCount": 1 }]));
    let again = delete(&ada, json!({ "instanceId": INSTANCES[0] })).await;
    assert_eq!(again["userErrors"][0]["code"], "UNKNOWN_STUDY_PLAN_INSTANCE");
}

async fn the_number_of_a_deleted_instance_is_never_used_again(stage: Stage) {
    let newton = stage.user("newton");
    let mut numbers = Vec::new();
    for _ in 0..3 {
        let made = instance(&newton, "createStudyPlanInstance", json!({ "studyPlanId": PLAN })).await;
        numbers.push(told(&made)[0].1["instance"].as_i64().unwrap());
        let id = &made["studyPlanInstance"]["id"];
        assert_eq!(&delete(&newton, json!({ "instanceId": id })).await["deletedId"], id);
    }
    assert!(numbers[0] < numbers[1] && numbers[1] < numbers[2], "{numbers:?}");
}

async fn only_the_user_and_apps_that_may_write_learn_for_a_user(stage: Stage) {
    let user = json!({ "handle": "ada" });
    let reader = stage.app(&[Scope::ProgressRead]).await;
    let writer = stage.app(&[Scope::ProgressWrite]).await;
    let mutations = [
        ("updateResourceProgress", json!({ "user": user, "resourceId": RESOURCES[0] })),
        ("setResourcesCompletion", json!({ "user": user, "resourceIds": [RESOURCES[0]], "completed": true })),
        ("createStudyPlanInstance", json!({ "user": user, "studyPlanId": PLAN })),
        ("updateStudyPlanInstance", json!({ "user": user, "instanceId": INSTANCES[0] })),
        ("deleteStudyPlanInstance", json!({ "user": user, "instanceId": INSTANCES[0] })),
    ];
    for (mutation, input) in mutations {
        let ty = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
        let query = format!("mutation($input: {ty}!) {{ {mutation}(input: $input) {{ userErrors {{ code }} }} }}");
        let variables = json!({ "input": input });
        for actor in [stage.anonymous(), stage.user("grace"), reader.clone()] {
            assert_eq!(actor.query(&query, variables.clone()).await.codes(), ["FORBIDDEN"], "{mutation}");
        }
        assert_eq!(writer.data(&query, variables).await[mutation]["userErrors"], json!([]), "{mutation}");
    }
    let nobody = writer.query(UPDATE, json!({ "input": { "resourceId": RESOURCES[0] } })).await;
    assert_eq!(nobody.codes(), ["BAD_USER_INPUT"]);
}

async fn a_write_with_an_idempotency_key_is_carried_out_once(stage: Stage) {
    let newton = stage.user("newton");
    let add = json!({ "resourceId": RESOURCES[0], "addTimeSpentMinutes": 15, "idempotencyKey": "k1" });
    let first = update(&newton, add.clone()).await;
    assert_eq!(update(&newton, add).await, first);
    assert_eq!(first["resourceProgress"]["timeSpent"], 15);
    let create = json!({ "studyPlanId": PLAN, "idempotencyKey": "k1" });
    let made = instance(&newton, "createStudyPlanInstance", create.clone()).await;
    assert_eq!(instance(&newton, "createStudyPlanInstance", create).await, made);
    let all = viewer(&newton, "studyPlanInstances { externalId }").await["studyPlanInstances"].clone();
    assert_eq!(all.as_array().unwrap().len(), 1);
    let other = json!({ "input": { "resourceId": RESOURCES[0], "addTimeSpentMinutes": 16, "idempotencyKey": "k1" } });
    assert_eq!(newton.query(UPDATE, other).await.codes(), ["IDEMPOTENCY_KEY_REUSED"]);
}

async fn more_items_than_allowed_are_refused_as_a_whole(stage: Stage) {
    let input = json!({ "input": { "resourceIds": vec![RESOURCES[0]; 1001], "completed": true } });
    let answer = stage.user("newton").query(SET, input).await;
    assert_eq!(
        (answer.codes(), &answer.json["data"]["setResourcesCompletion"]),
        (vec!["LIMIT_EXCEEDED"], &Value::Null)
    );
}

async fn a_list_of_a_thousand_costs_as_many_statements_as_a_list_of_one(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let cost = async |user: &str, from: usize, count: usize, completed: bool| {
        let ids: Vec<String> = (from..from + count).map(|n| format!("{n:024x}")).collect();
        let input = |ids: &[String]| json!({ "input": { "user": { "handle": user }, "resourceIds": ids, "completed": completed } });
        let query = "mutation($input: SetResourcesCompletionInput!) { setResourcesCompletion(input: $input) { results { status } } }";
        // The document, the credential and the user's name are known from then on.
        app.data(query, input(&[])).await;
        let before = stage.db().statements(waymark::db::Asker::Request);
        let done = app.data(query, input(&ids)).await;
        assert_eq!(done["setResourcesCompletion"]["results"].as_array().unwrap().len(), count);
        stage.db().statements(waymark::db::Asker::Request) - before
    };
    // Polls of the catalogue and of the credential may fall into either.
    for completed in [true, false] {
        let (one, thousand) = (cost("xelnia", 5000, 1, completed).await, cost("ada", 1, 1000, completed).await);
        assert!(thousand <= one + 3, "{one} for one, {thousand} for a thousand");
        assert!(one <= 15, "{one} for one");
    }
}

async fn writes_through_two_instances_at_once_lose_no_transition(stage: Stage) {
    let ada = stage.user("ada");
    let known = viewer(&ada, "history(first: 1) { nodes { number } }").await["history"]["nodes"][0]["number"].clone();
    let clients = (0..64).map(|client: usize| {
        let input = json!({
            "resourceId": RESOURCES[1], "completed": client % 3 != 2, "instanceId": INSTANCES[client % 2],
            "addTimeSpentMinutes": 1,
        });
        update(&ada, input)
    });
    join_all(clients).await;

    let user = viewer(
        &ada,
        "history(first: 100, kinds: [RESOURCE_COMPLETED, RESOURCE_REOPENED]) { nodes { number kind changes } }
         resources(first: 1) { nodes { resourceKey completed timeSpent } }",
    )
    .await;
    // What the history tells, from the oldest event on, is a way from the first state to the last one.
    let (mut completed, mut marked) = (false, [false; 2]);
    let events = user["history"]["nodes"].as_array().unwrap();
    for event in events.iter().rev().filter(|event| event["number"].as_i64() > known.as_i64()) {
        match event["kind"].as_str().unwrap() {
            "RESOURCE_COMPLETED" => {
                let instance = event["changes"]["instance"].as_i64().unwrap();
                let mark = &mut marked[usize::try_from(instance - 1).unwrap()];
                assert!(!*mark, "an instance is marked once: {events:?}");
                (completed, *mark) = (true, true);
            }
            "RESOURCE_REOPENED" => {
                assert!(completed, "only what is complete is taken back: {events:?}");
                (completed, marked) = (false, [false; 2]);
            }
            kind => panic!("{kind} was not asked for"),
        }
    }
    let expected = json!({ "resourceKey": RESOURCES[1], "completed": completed, "timeSpent": 64 });
    assert_eq!(user["resources"]["nodes"][0], expected);
    assert_eq!(marks(&ada).await, [[true, marked[0], false], [false, marked[1], false]]);
}

async fn minutes_added_at_once_add_up(stage: Stage) {
    let newton = stage.user("newton");
    let clients = (0..64).map(|_| update(&newton, json!({ "resourceId": RESOURCES[0], "addTimeSpentMinutes": 5 })));
    let answers = join_all(clients).await;
    let most = answers.iter().map(|answer| answer["resourceProgress"]["timeSpent"].as_i64().unwrap()).max();
    assert_eq!(most, Some(320));
    assert_eq!(answers.iter().map(|answer| told(answer).len()).sum::<usize>(), 64);
}

async fn many_users_begin_with_one_resource_that_nobody_described(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let users = ["grace", "ada", "MaxMilyin", "xelnia", "snowfall", "mallory", "cleo", "newton"];
    let ids: Vec<String> = (1..=20).map(|n| format!("{n:024x}")).collect();
    let clients = (0..64).map(|client: usize| {
        let mut ids = ids.clone();
        ids.rotate_left(client % 20);
        let input = json!({ "user": { "handle": users[client % 8] }, "resourceIds": ids, "completed": true });
        let (app, variables) = (&app, json!({ "input": input }));
        async move { app.query(SET, variables).await }
    });
    let answers: Vec<Value> = join_all(clients).await.iter().map(Answer::data).collect();
    let applied = answers.iter().flat_map(|answer| statuses(&answer["setResourcesCompletion"]));
    assert_eq!(applied.filter(|status| *status == "APPLIED").count(), users.len() * ids.len());
}

async fn a_user_has_a_thousand_instances_and_no_more(stage: Stage) {
    let values = (0..998).map(|n| {
        format!(
            "((SELECT id FROM users WHERE handle = 'ada'), {}, '{n:024x}', 'Many', \
        (SELECT id FROM study_plans WHERE key = '{PLAN}'), 0, 0)",
            1000 + n
        )
    });
    let sql = format!(
        "INSERT INTO study_plan_instances (user_id, seq, external_id, title, plan_id, created_at, updated_at) VALUES {}",
        values.collect::<Vec<_>>().join(", ")
    );
    stage.db().writes().execute_unprepared(&sql).await.unwrap();
    let owned = "INSERT INTO instance_owners (external_id, user_id) \
        SELECT external_id, user_id FROM study_plan_instances WHERE seq > 1000";
    stage.db().writes().execute_unprepared(owned).await.unwrap();
    let ada = stage.user("ada");
    let refused = instance(&ada, "createStudyPlanInstance", json!({ "studyPlanId": PLAN })).await;
    assert_eq!(refused["userErrors"], json!([{ "code": "TOO_MANY", "path": ["studyPlanId"] }]));
    ada.data("mutation($input: DeleteStudyPlanInstanceInput!) { deleteStudyPlanInstance(input: $input) { userErrors { code } } }",
        json!({ "input": { "instanceId": INSTANCES[1] } })).await;
    let made = instance(&ada, "createStudyPlanInstance", json!({ "studyPlanId": PLAN })).await;
    assert_eq!(made["userErrors"], json!([]));
}

async fn a_user_has_progress_with_so_many_resources_that_live_elsewhere(stage: Stage) {
    let db = stage.db().writes();
    let (resources, rows): (Vec<String>, Vec<String>) = (0..4_999)
        .map(|n| {
            let id = format!("eeee{n:020x}");
            let row = format!(
                "((SELECT id FROM users WHERE handle = 'newton'), (SELECT id FROM resources WHERE key = '{id}'), 'ffff{n:020x}', false, 0, 0, '', 0, 0, 0)"
            );
            (format!("('{id}', '{id}', '', false, 0, 0)"), row)
        })
        .unzip();
    for (resources, rows) in resources.chunks(500).zip(rows.chunks(500)) {
        let add = "INSERT INTO resources (key, external_id, title, catalogued, created_at, updated_at) VALUES";
        db.execute_unprepared(&format!("{add} {}", resources.join(", "))).await.unwrap();
        let add = "INSERT INTO resource_progress (user_id, resource_id, external_id, completed, progress, time_spent_minutes, notes, last_accessed_at, created_at, updated_at) VALUES";
        db.execute_unprepared(&format!("{add} {}", rows.join(", "))).await.unwrap();
    }
    let newton = stage.user("newton");
    let (one, two) = ("dddd00000000000000000001", "dddd00000000000000000002");
    let done = set(&newton, &[one, two, one, RESOURCES[0]], true).await;
    let statuses: Vec<&Value> = done["results"].as_array().unwrap().iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses, ["APPLIED", "REFUSED", "UNCHANGED", "APPLIED"]);
    assert_eq!(done["results"][1]["error"]["code"], "TOO_MANY");
}
