//! The learning dialect.

use futures_util::future::join_all;
use serde_json::{Value, json};
use waymark::auth::Scope;

use super::{get, header, lines, send};
use crate::harness::{Actor, Answer, Stage, by_hand, tests, token};

tests! {
    demo: [
        the_documented_check_is_answered_to_the_letter,
        progress_is_listed_and_filtered,
        without_a_good_token_nothing_is_told,
        every_user_has_the_figures_of_graphql,
        a_thousand_ids_are_checked_by_as_many_statements_as_one,
        only_the_configured_origins_may_ask,
    ],
    own: [
        an_update_makes_progress_once_and_changes_it_afterwards,
        completing_through_one_instance_shows_in_both,
        updates_are_checked_in_order,
        what_does_not_fit_is_refused_by_name_and_changes_nothing,
        a_bulk_answers_for_each_id_in_order,
        a_bulk_of_many_takes_as_many_statements_as_one,
        keys_read_and_write_for_the_user_they_belong_to,
        only_catalogued_resources_where_the_settings_say_so,
        a_retired_resource_takes_no_progress,
        many_updates_at_once_make_one_progress,
    ],
    empty: [
        the_first_valid_token_makes_its_user_once,
    ],
}

const PATH: &str = "/api/user-progress";
const ONE: &str = "507f1f77bcf86cd799439011";
const OTHER: &str = "507f1f77bcf86cd799439012";
const DONE: &str = "507f1f77bcf86cd799439011";
const OPEN: &str = "507f191e810c19729de860ea";
const OPEN_TOO: &str = "507f191e810c19729de860eb";
const NOWHERE: &str = "00000000000000000000000f";

async fn post(actor: &Actor, path: &str, body: Value) -> Answer {
    send(actor, "POST", path, &[("content-type", "application/json")], body.to_string()).await
}

/// The completion of these resources.
async fn check(actor: &Actor, ids: &[&str]) -> Value {
    get(actor, &format!("{PATH}/check?resourceIds={}", ids.join(",")), &[]).await.json
}

#[track_caller]
fn refused(answer: &Answer, status: u16, error: &str) {
    assert_eq!((answer.status.as_u16(), &answer.json), (status, &json!({ "error": error })));
}

async fn the_documented_check_is_answered_to_the_letter(stage: Stage) {
    let ada = stage.user("ada");
    let answer = get(&ada, &format!("{PATH}/check?resourceIds={DONE},{OPEN}"), &[]).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "content-type")), (200, "application/json"));
    let expected = format!(
        r#"{{"{DONE}":{{"completed":true,"completedAt":"2026-03-15T14:30:00.000Z"}},"{OPEN}":{{"completed":false,"completedAt":null}}}}"#
    );
    assert_eq!(answer.text, expected);
    // In the order of the request, each once; what is no id is left out.
    let answer = get(&ada, &format!("{PATH}/check?resourceIds=x,{NOWHERE},{DONE},,{NOWHERE},%00"), &[]).await;
    let expected = format!(
        r#"{{"{NOWHERE}":{{"completed":false,"completedAt":null}},"{DONE}":{{"completed":true,"completedAt":"2026-03-15T14:30:00.000Z"}}}}"#
    );
    assert_eq!(answer.text, expected);
    for query in ["", "?resourceIds=", "?resourceId=1"] {
        refused(&get(&ada, &format!("{PATH}/check{query}"), &[]).await, 400, "resourceIds parameter is required");
    }
    for query in ["x", ",", "507f", "%00", "%FF"] {
        let answer = get(&ada, &format!("{PATH}/check?resourceIds={query}"), &[]).await;
        refused(&answer, 400, "No valid resource IDs provided");
    }
}

async fn progress_is_listed_and_filtered(stage: Stage) {
    let ada = stage.user("ada");
    let all = get(&ada, PATH, &[]).await;
    let list = all.json["progress"].as_array().unwrap();
    assert!(list.iter().any(|one| one["resourceId"] == DONE));
    assert!(list.is_sorted_by_key(|one| one["createdAt"].as_str().unwrap()));
    let one = get(&ada, &format!("{PATH}?resourceId={}", DONE.to_uppercase()), &[]).await;
    assert_eq!(one.json["progress"].as_array().unwrap().len(), 1);
    insta::assert_snapshot!("rest_learning_of_ada", lines(&one));
    let user = &list[0]["userId"];
    for record in list {
        assert_eq!(&record["userId"], user);
        assert!(["_id", "userId", "resourceId"].iter().all(|name| record[name].as_str().unwrap().len() == 24));
        assert_eq!(record["completed"] == true, !record["completedAt"].is_null());
    }
    for filter in ["", "x", "%00", "%FF", "507f1f77bcf86cd79943901", NOWHERE] {
        let answer = get(&ada, &format!("{PATH}?resourceId={filter}"), &[]).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, r#"{"progress":[]}"#), "{filter}");
    }
}

async fn without_a_good_token_nothing_is_told(stage: Stage) {
    let anonymous = stage.anonymous();
    for path in [PATH.to_owned(), format!("{PATH}/check?resourceIds={DONE}")] {
        for headers in [
            &[][..],
            &[("authorization", "Basic eDp5")],
            &[("authorization", "Bearer")],
            &[("authorization", "Bearer ")],
            &[("x-api-key", "x")],
        ] {
            refused(&get(&anonymous, &path, headers).await, 401, "No token provided");
        }
        for credential in ["Bearer x", "bearer a.b.c", "Bearer wmk_"] {
            refused(&get(&anonymous, &path, &[("authorization", credential)]).await, 401, "Invalid or expired token");
        }
        let expired = stage.with_credential(Some(token("ada", json!({ "exp": 1 }))));
        refused(&get(&expired, &path, &[]).await, 401, "Invalid or expired token");
    }
    for path in [PATH.to_owned(), format!("{PATH}/bulk")] {
        refused(&post(&anonymous, &path, json!({})).await, 401, "No token provided");
    }
    let nobodys = stage.app(&[Scope::Admin]).await;
    assert_eq!(get(&nobodys, PATH, &[]).await.status, 403);
}

async fn every_user_has_the_figures_of_graphql(stage: Stage) {
    let mut seen = 0;
    for person in ["grace", "ada", "MaxMilyin", "xelnia", "cleo", "newton"] {
        let user = stage.user(person);
        let query = "{ viewer { user { resources(first: 100) { totalCount nodes {
            resourceKey completed progress timeSpent notes completedAt lastAccessedAt } } } } }";
        let data = user.data(query, Value::Null).await;
        let theirs = &data["viewer"]["user"]["resources"];
        let answer = get(&user, PATH, &[]).await;
        let ours = answer.json["progress"].as_array().unwrap();
        assert_eq!(json!(ours.len()), theirs["totalCount"]);
        for theirs in theirs["nodes"].as_array().unwrap() {
            let Some(ours) = ours.iter().find(|ours| ours["resourceId"] == theirs["resourceKey"]) else { continue };
            for (name, other) in [
                ("completed", "completed"),
                ("progress", "progress"),
                ("timeSpent", "timeSpent"),
                ("notes", "notes"),
                ("completedAt", "completedAt"),
                ("lastAccessedAt", "lastAccessedAt"),
            ] {
                assert_eq!(ours[name], theirs[other], "{person} {name}");
            }
            seen += 1;
        }
    }
    assert!(seen > 0);
}

async fn a_thousand_ids_are_checked_by_as_many_statements_as_one(stage: Stage) {
    let ada = stage.user("ada");
    let ids: Vec<String> = (0..1000).map(|number| format!("{number:024x}")).chain([DONE.to_owned()]).collect();
    let count = async |ids: &[String]| {
        let path = format!("{PATH}/check?resourceIds={}", ids.join(","));
        stage
            .statements(async || assert_eq!(get(&ada, &path, &[]).await.json.as_object().unwrap().len(), ids.len()))
            .await
    };
    let (one, many) = (count(&ids[1000..]).await, count(&ids).await);
    // The user and the progress; and the progress with what lives elsewhere.
    assert_eq!((one, many), (2, 3));
}

async fn only_the_configured_origins_may_ask(stage: Stage) {
    let asked = [
        ("origin", "https://site.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,content-type"),
    ];
    let allowed = async |stage: &Stage| {
        let answer = send(&stage.anonymous(), "OPTIONS", PATH, &asked, "").await;
        assert_eq!(answer.status, 200);
        header(&answer, "access-control-allow-origin").to_owned()
    };
    assert_eq!(allowed(&stage).await, "");
    for (setting, expected) in
        [("https://site.example", "https://site.example"), ("https://other.example", ""), ("*", "*")]
    {
        assert_eq!(allowed(&stage.with(&[("WAYMARK_CORS_ORIGINS", setting)]).await).await, expected, "{setting}");
    }
}

async fn an_update_makes_progress_once_and_changes_it_afterwards(stage: Stage) {
    let ada = stage.user("ada");
    let new = "0000000000000000000000aa";
    let answer =
        post(&ada, PATH, json!({ "instanceId": ONE, "resourceId": new, "progress": 10, "timeSpent": 5 })).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(answer.json["message"], "Progress created successfully");
    let first = answer.json["progress"].clone();
    let now = "2026-06-17T12:00:00.000Z";
    assert_eq!(
        first,
        json!({
            "_id": first["_id"], "userId": first["userId"], "resourceId": new, "completed": false, "progress": 10,
            "timeSpent": 5, "notes": "", "completedAt": null, "lastAccessedAt": now, "createdAt": now, "updatedAt": now,
        })
    );
    let members = [
        "_id",
        "userId",
        "resourceId",
        "completed",
        "progress",
        "timeSpent",
        "notes",
        "completedAt",
        "lastAccessedAt",
        "createdAt",
        "updatedAt",
    ];
    let record = &answer.text[answer.text.find("\"_id\"").unwrap()..];
    let places: Vec<_> = members.iter().map(|name| record.find(&format!("\"{name}\":")).unwrap()).collect();
    assert!(places.is_sorted(), "{}", answer.text);
    let body =
        json!({ "instanceId": ONE, "resourceId": new, "completed": true, "notes": "Great explanation of quicksort!" });
    for _ in 0..2 {
        let answer = post(&ada, PATH, body.clone()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.json["message"], "Progress updated successfully");
        let progress = &answer.json["progress"];
        assert_eq!((&progress["_id"], &progress["completedAt"]), (&first["_id"], &json!(now)));
        // The percentage is independent of the completion.
        assert_eq!((&progress["progress"], &progress["notes"]), (&json!(10), &body["notes"]));
    }
    let answer = post(&ada, PATH, json!({ "instanceId": ONE, "resourceId": new, "completed": false })).await;
    assert_eq!((answer.status.as_u16(), &answer.json["progress"]["completedAt"]), (200, &Value::Null));
}

async fn completing_through_one_instance_shows_in_both(stage: Stage) {
    let ada = stage.user("ada");
    let answer = post(
        &ada,
        PATH,
        json!({ "instanceId": ONE, "resourceId": OPEN, "completed": true, "timeSpent": 45, "notes": "Great explanation of quicksort!" }),
    )
    .await;
    assert_eq!(answer.json["progress"]["completed"], true, "{}", answer.text);
    let query = "{ viewer { user { studyPlanInstances { completedCount completedResources { id } } } } }";
    let answer = ada.query(query, Value::Null).await;
    let instances = answer.json["data"]["viewer"]["user"]["studyPlanInstances"].as_array().cloned();
    if let Some(instances) = instances {
        assert_eq!(instances[0]["completedCount"], instances[1]["completedCount"]);
    }
    assert_eq!(check(&ada, &[OPEN]).await[OPEN]["completed"], true);
    // Completed before: the date stays.
    let answer = post(&ada, PATH, json!({ "instanceId": OTHER, "resourceId": DONE, "completed": true })).await;
    assert_eq!(answer.json["progress"]["completedAt"], "2026-03-15T14:30:00.000Z");
}

async fn updates_are_checked_in_order(stage: Stage) {
    let (ada, grace) = (stage.user("ada"), stage.user("grace"));
    for body in [
        json!({}),
        json!({ "instanceId": ONE }),
        json!({ "resourceId": OPEN }),
        json!({ "instanceId": "x", "resourceId": OPEN }),
        json!({ "instanceId": ONE, "resourceId": "x" }),
        json!({ "instanceId": [ONE], "resourceId": OPEN }),
        json!({ "instanceId": ONE, "resourceId": format!("{OPEN}\u{0}") }),
        json!({ "instanceId": NOWHERE, "resourceId": 1 }),
    ] {
        refused(&post(&ada, PATH, body.clone()).await, 400, "Invalid instanceId or resourceId");
    }
    let update = |instance: &str| json!({ "instanceId": instance, "resourceId": OPEN, "completed": true });
    let before = get(&grace, PATH, &[]).await.text;
    refused(&post(&ada, PATH, update(NOWHERE)).await, 404, "Instance not found");
    refused(&post(&grace, PATH, update(ONE)).await, 403, "You do not have permission to update this progress");
    assert_eq!(get(&grace, PATH, &[]).await.text, before);
    assert_eq!(check(&ada, &[OPEN]).await[OPEN]["completed"], false);
    assert!(post(&ada, PATH, update(&ONE.to_uppercase())).await.status.is_success());
}

async fn what_does_not_fit_is_refused_by_name_and_changes_nothing(stage: Stage) {
    let ada = stage.user("ada");
    let before = get(&ada, PATH, &[]).await.text;
    for (name, value) in [
        ("completed", json!("yes")),
        ("progress", json!(101)),
        ("progress", json!(-1)),
        ("progress", json!(12.5)),
        ("timeSpent", json!(-1)),
        ("timeSpent", json!("5")),
        ("notes", json!("x".repeat(10_001))),
        ("notes", json!("a\u{0}b")),
        ("notes", json!({})),
    ] {
        let mut body = json!({ "instanceId": ONE, "resourceId": OPEN });
        body[name] = value;
        let answer = post(&ada, PATH, body).await;
        assert_eq!(answer.status, 400, "{name}: {}", answer.text);
        let error = answer.json["error"].as_str().unwrap();
        assert!(error.contains(name) && error.len() < 200 && answer.json.as_object().unwrap().len() == 1, "{error}");
    }
    let deep = "[".repeat(100_000);
    for body in [&b""[..], b"x", b"[]", b"null", b"1", b"{", b"\xff\xfe", b"{\"instanceId\":\"\xff\"}", deep.as_bytes()]
    {
        for path in [PATH.to_owned(), format!("{PATH}/bulk")] {
            let answer = send(&ada, "POST", &path, &[("content-type", "application/json")], body.to_vec()).await;
            refused(&answer, 400, "The body must be a JSON object");
        }
    }
    let small = stage.with(&[("WAYMARK_MAX_BODY_BYTES", "1000")]).await;
    let answer = post(&small.user("ada"), PATH, json!({ "notes": "x".repeat(1000) })).await;
    refused(&answer, 413, "the body is too long");
    assert_eq!(get(&ada, PATH, &[]).await.text, before);
}

async fn a_bulk_answers_for_each_id_in_order(stage: Stage) {
    let (ada, path) = (stage.user("ada"), format!("{PATH}/bulk"));
    let ids = json!([DONE, OPEN, "invalid-id", OPEN_TOO, OPEN, null, 5, ["x"]]);
    let answer = post(&ada, &path, json!({ "resourceIds": ids, "completed": true })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(answer.text.starts_with(&format!(
        r#"{{"message":"Bulk update completed","results":[{{"resourceId":"{DONE}","success":true}},{{"resourceId":"{OPEN}","success":true}},{{"resourceId":"invalid-id","success":false,"error":"Invalid resource ID"}},"#
    )));
    let results = answer.json["results"].as_array().unwrap();
    let success: Vec<_> = results.iter().map(|result| result["success"].as_bool().unwrap()).collect();
    assert_eq!(success, [true, true, false, true, true, false, false, false]);
    let state = check(&ada, &[DONE, OPEN, OPEN_TOO]).await;
    assert_eq!(state[DONE]["completedAt"], "2026-03-15T14:30:00.000Z", "kept");
    assert_eq!((&state[OPEN]["completed"], &state[OPEN_TOO]["completed"]), (&json!(true), &json!(true)));
    let answer = post(&ada, &path, json!({ "resourceIds": [DONE], "completed": false })).await;
    assert_eq!(answer.json["results"], json!([{ "resourceId": DONE, "success": true }]));
    assert_eq!(check(&ada, &[DONE]).await[DONE], json!({ "completed": false, "completedAt": null }));
    let answer = post(&ada, &path, json!({ "resourceIds": [], "completed": true })).await;
    assert_eq!(answer.text, r#"{"message":"Bulk update completed","results":[]}"#);
    for body in [
        json!({}),
        json!({ "resourceIds": [DONE] }),
        json!({ "completed": true }),
        json!({ "resourceIds": DONE, "completed": true }),
        json!({ "resourceIds": { "0": DONE }, "completed": true }),
        json!({ "resourceIds": [DONE], "completed": null }),
    ] {
        refused(&post(&ada, &path, body).await, 400, "resourceIds (array) and completed status are required");
    }
    let answer = post(&ada, &path, json!({ "resourceIds": [DONE], "completed": "true" })).await;
    refused(&answer, 400, "completed must be true or false");
    let answer = post(&ada, &path, json!({ "resourceIds": vec![DONE; 1001], "completed": true })).await;
    refused(&answer, 400, "resourceIds must not have more than 1000 items");
}

async fn a_bulk_of_many_takes_as_many_statements_as_one(stage: Stage) {
    let (ada, path) = (stage.user("ada"), format!("{PATH}/bulk"));
    let count = async |most: u32| {
        let ids: Vec<String> = (0..most).map(|number| format!("{number:024x}")).collect();
        let body = json!({ "resourceIds": ids, "completed": true });
        stage.statements(async || assert_eq!(post(&ada, &path, body.clone()).await.status, 200)).await
    };
    assert_eq!(count(1).await, count(1000).await);
}

async fn keys_read_and_write_for_the_user_they_belong_to(stage: Stage) {
    // Ada is the second user of the demo data.
    let read = stage.key("progress:read", Some(2), None).await;
    let write = stage.key("progress:write", Some(2), None).await;
    let powerless = stage.key("", Some(2), None).await;
    let update = json!({ "instanceId": ONE, "resourceId": OPEN, "completed": true });
    assert_eq!(check(&read, &[DONE]).await[DONE]["completed"], true);
    for (actor, path, body) in [
        (&read, PATH.to_owned(), update.clone()),
        (&read, format!("{PATH}/bulk"), json!({ "resourceIds": [OPEN], "completed": true })),
        (&powerless, PATH.to_owned(), update.clone()),
    ] {
        assert_eq!(post(actor, &path, body).await.status, 403);
    }
    assert_eq!(get(&powerless, PATH, &[]).await.status, 403);
    assert_eq!(check(&read, &[OPEN]).await[OPEN]["completed"], false);
    assert!(post(&write, PATH, update).await.status.is_success());
    assert_eq!(check(&stage.user("ada"), &[OPEN]).await[OPEN]["completed"], true);
}

async fn only_catalogued_resources_where_the_settings_say_so(stage: Stage) {
    let strict = stage.with(&[("WAYMARK_STRICT_RESOURCES", "true")]).await;
    let ada = strict.user("ada");
    let answer = post(&ada, PATH, json!({ "instanceId": ONE, "resourceId": NOWHERE, "completed": true })).await;
    refused(&answer, 404, "Resource not found");
    let body = json!({ "resourceIds": [NOWHERE, OPEN], "completed": true });
    let answer = post(&ada, &format!("{PATH}/bulk"), body).await;
    assert_eq!(
        answer.json["results"],
        json!([
            { "resourceId": NOWHERE, "success": false, "error": "Resource not found" },
            { "resourceId": OPEN, "success": true },
        ])
    );
    // A resource that has no such id is not reached by its key.
    let answer = post(&ada, &format!("{PATH}/bulk"), json!({ "resourceIds": ["course-1"], "completed": true })).await;
    assert_eq!(answer.json["results"][0]["error"], "Invalid resource ID");
}

async fn a_retired_resource_takes_no_progress(stage: Stage) {
    let retire = format!("UPDATE resources SET retired_at = 0 WHERE external_id = '{OPEN}'");
    by_hand(stage.db(), &retire).await;
    stage.app.refresh_catalogue().await.unwrap();
    let ada = stage.user("ada");
    let before = check(&ada, &[OPEN]).await;
    let answer = post(&ada, PATH, json!({ "instanceId": ONE, "resourceId": OPEN, "completed": true })).await;
    refused(&answer, 400, "Resource was retired");
    let body = json!({ "resourceIds": [OPEN, DONE], "completed": true });
    let answer = post(&ada, &format!("{PATH}/bulk"), body).await;
    assert_eq!(
        answer.json["results"],
        json!([
            { "resourceId": OPEN, "success": false, "error": "Resource was retired" },
            { "resourceId": DONE, "success": true },
        ])
    );
    assert_eq!(check(&ada, &[OPEN]).await, before);
}

async fn many_updates_at_once_make_one_progress(stage: Stage) {
    let ada = stage.user("ada");
    let new = "0000000000000000000000bb";
    let body = json!({ "instanceId": ONE, "resourceId": new, "completed": true });
    let answers = join_all((0..32).map(|_| post(&ada, PATH, body.clone()))).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert!(answers.iter().all(|answer| [200, 201].contains(&answer.status.as_u16())));
    assert_eq!(created, 1);
    let list = get(&ada, &format!("{PATH}?resourceId={new}"), &[]).await;
    assert_eq!(list.json["progress"].as_array().unwrap().len(), 1);
}

async fn the_first_valid_token_makes_its_user_once(stage: Stage) {
    let somebody = stage.with_credential(Some(token("somebody", json!({ "preferred_username": "Newcomer" }))));
    let answers = join_all((0..16).map(|_| get(&somebody, PATH, &[]))).await;
    assert!(answers.iter().all(|answer| answer.text == r#"{"progress":[]}"#), "{}", answers[0].text);
    assert_eq!(crate::batching::handles(&stage).await, ["Newcomer"]);
    let body = json!({ "resourceIds": [DONE], "completed": true });
    let another = stage.with_credential(Some(token("another", json!({}))));
    assert_eq!(post(&another, &format!("{PATH}/bulk"), body).await.json["results"][0]["success"], true);
    assert_eq!(check(&another, &[DONE]).await[DONE]["completed"], true);
    assert_eq!(crate::batching::handles(&stage).await.len(), 2);
}
