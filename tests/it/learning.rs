//! Resources, study plans and their instances.

use serde_json::{Value, json};

use crate::harness::{Stage, tests};

tests! {
    demo: [
        progress_comes_in_the_order_asked_for_with_holes,
        a_resource_never_touched_stands_at_zero,
        progress_is_the_same_in_every_instance_and_marks_are_not,
        instances_are_filtered_by_their_status,
        percentages_are_rounded_down_and_one_hundred_only_when_all_is_done,
        touched_resources_come_last_touched_first,
        touched_resources_are_filtered_by_completion,
        an_instance_reports_what_its_plan_held,
        study_plans_list_their_resources_in_order,
        resources_are_searched_by_title,
    ],
}

const ADAS: [&str; 3] = ["507f1f77bcf86cd799439011", "507f191e810c19729de860ea", "507f191e810c19729de860eb"];

async fn own(stage: &Stage, handle: &str, selection: &str) -> Value {
    let query = format!("{{ viewer {{ user {{ {selection} }} }} }}");
    stage.user(handle).data(&query, Value::Null).await["viewer"]["user"].clone()
}

async fn progress_comes_in_the_order_asked_for_with_holes(stage: Stage) {
    let query =
        "query($ids: [ID!]!) { viewer { user { resourceProgress(resourceIds: $ids) { resourceKey completed } } } }";
    let ids = json!([ADAS[1], "unknown", format!("resource:{}", ADAS[0]), ADAS[1]]);
    let data = stage.user("ada").data(query, json!({ "ids": ids })).await;
    assert_eq!(
        data["viewer"]["user"]["resourceProgress"],
        json!([
            { "resourceKey": ADAS[1], "completed": false }, null, { "resourceKey": ADAS[0], "completed": true },
            { "resourceKey": ADAS[1], "completed": false },
        ])
    );
    let none = stage.user("ada").data(query, json!({ "ids": [] })).await;
    assert_eq!(none["viewer"]["user"]["resourceProgress"], json!([]));
    for id in ["", "resource:", "a\u{7}"] {
        let answer = stage.user("ada").query(query, json!({ "ids": [ADAS[0], id] })).await;
        assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{id:?}");
    }
}

async fn a_resource_never_touched_stands_at_zero(stage: Stage) {
    let selection = format!(
        r#"resourceProgress(resourceIds: ["{}"]) {{
            completed progress timeSpent notes createdAt updatedAt lastAccessedAt completedAt state ratio done total
            resource {{ key }} }}"#,
        ADAS[0]
    );
    assert_eq!(
        own(&stage, "newton", &selection).await["resourceProgress"],
        json!([{
            "completed": false, "progress": 0, "timeSpent": 0, "notes": "", "createdAt": null, "updatedAt": null,
            "lastAccessedAt": null, "completedAt": null, "state": "NOT_STARTED", "ratio": 0.0, "done": 0, "total": 100,
            "resource": { "key": ADAS[0] },
        }])
    );
}

async fn progress_is_the_same_in_every_instance_and_marks_are_not(stage: Stage) {
    let selection = "studyPlanInstances { externalId completedCount total percent status
        resources { completed completedAt markedAt resource { key } } }";
    let user = own(&stage, "ada", selection).await;
    let instance = |id: &str, marked: Value| {
        json!({
            "externalId": id, "completedCount": 1, "total": 3, "percent": 33, "status": "IN_PROGRESS",
            "resources": [
                {
                    "completed": true, "completedAt": "2026-03-15T14:30:00.000Z", "markedAt": marked,
                    "resource": { "key": ADAS[0] },
                },
                { "completed": false, "completedAt": null, "markedAt": null, "resource": { "key": ADAS[1] } },
                { "completed": false, "completedAt": null, "markedAt": null, "resource": { "key": ADAS[2] } },
            ],
        })
    };
    assert_eq!(
        user["studyPlanInstances"],
        json!([
            instance("507f1f77bcf86cd799439011", json!("2026-03-15T14:30:00.000Z")),
            instance("507f1f77bcf86cd799439012", Value::Null),
        ])
    );
}

async fn instances_are_filtered_by_their_status(stage: Stage) {
    let selection = "completed: studyPlanInstances(status: COMPLETED) { title }
        inProgress: studyPlanInstances(status: IN_PROGRESS) { title }
        notStarted: studyPlanInstances(status: NOT_STARTED) { title }";
    let titles = |titles: &[&str]| json!(titles.iter().map(|title| json!({ "title": title })).collect::<Vec<_>>());
    assert_eq!(
        own(&stage, "grace", selection).await,
        json!({
            "completed": titles(&["Web Developer"]),
            "inProgress": titles(&["Core Computing", "Algorithms", "Security Basics"]),
            "notStarted": [],
        })
    );
}

async fn percentages_are_rounded_down_and_one_hundred_only_when_all_is_done(stage: Stage) {
    let user = own(&stage, "grace", "studyPlanInstances { title completedCount total percent percentByMinutes }").await;
    let instance = |title: &str, completed: i64, total: i64, percent: i64, by_minutes: i64| {
        json!({
            "title": title, "completedCount": completed, "total": total, "percent": percent,
            "percentByMinutes": by_minutes,
        })
    };
    assert_eq!(
        user["studyPlanInstances"],
        json!([
            instance("Core Computing", 8, 14, 57, 55),
            instance("Algorithms", 3, 7, 42, 39),
            instance("Web Developer", 8, 8, 100, 100),
            instance("Security Basics", 2, 6, 33, 27),
        ])
    );
}

async fn touched_resources_come_last_touched_first(stage: Stage) {
    let user = own(&stage, "grace", "resources(first: 100) { totalCount nodes { lastAccessedAt } }").await;
    let nodes = user["resources"]["nodes"].as_array().unwrap();
    assert_eq!((nodes.len(), &user["resources"]["totalCount"]), (19, &json!(19)));
    assert!(nodes.iter().rev().is_sorted_by_key(|node| node["lastAccessedAt"].as_str().unwrap()));
}

async fn touched_resources_are_filtered_by_completion(stage: Stage) {
    let selection = "done: resources(completed: true, first: 100) { totalCount nodes { completed } }
        open: resources(completed: false, first: 100) { totalCount nodes { completed } }";
    let user = own(&stage, "grace", selection).await;
    assert_eq!((&user["done"]["totalCount"], &user["open"]["totalCount"]), (&json!(17), &json!(2)));
    for (list, completed) in [("done", true), ("open", false)] {
        assert!(user[list]["nodes"].as_array().unwrap().iter().all(|node| node["completed"] == completed));
    }
}

async fn an_instance_reports_what_its_plan_held(stage: Stage) {
    let selection = "studyPlanInstances { title plan { title resources { key } } resources { resource { key } } }";
    let user = own(&stage, "grace", selection).await;
    for instance in user["studyPlanInstances"].as_array().unwrap() {
        let of_instance: Vec<_> =
            instance["resources"].as_array().unwrap().iter().map(|one| &one["resource"]).collect();
        assert_eq!(json!(of_instance), instance["plan"]["resources"], "{}", instance["title"]);
    }
}

async fn study_plans_list_their_resources_in_order(stage: Stage) {
    let query =
        "{ studyPlans(first: 100) { totalCount nodes { key title resources { key title estimatedMinutes type } } } }";
    let data = stage.anonymous().data(query, Value::Null).await;
    assert_eq!(data["studyPlans"]["totalCount"], 12);
    let mut lines = String::new();
    for plan in data["studyPlans"]["nodes"].as_array().unwrap() {
        lines.push_str(&format!("{} {}\n", plan["key"], plan["title"]));
        for one in plan["resources"].as_array().unwrap() {
            lines.push_str(&format!(
                "    {} {} {} {}\n",
                one["key"], one["type"], one["title"], one["estimatedMinutes"]
            ));
        }
    }
    insta::assert_snapshot!("study_plans", lines.replace('"', ""));
}

async fn resources_are_searched_by_title(stage: Stage) {
    let query = "query($search: String) { resources(search: $search, first: 100) { totalCount nodes { title } } }";
    let all = stage.anonymous().data(query, Value::Null).await;
    let title = all["resources"]["nodes"][0]["title"].as_str().unwrap();
    for search in [title.to_lowercase(), title.to_uppercase()] {
        let data = stage.anonymous().data(query, json!({ "search": search })).await;
        assert_eq!(data["resources"]["nodes"][0]["title"], title, "{search}");
        assert!(data["resources"]["totalCount"].as_i64() < all["resources"]["totalCount"].as_i64());
    }
    // Nothing in it is a pattern.
    for search in ["%", "_", "no such resource"] {
        let data = stage.anonymous().data(query, json!({ "search": search })).await;
        assert_eq!(data["resources"]["totalCount"], 0, "{search}");
    }
}
