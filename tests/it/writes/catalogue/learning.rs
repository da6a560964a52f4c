//! Writing resources and study plans.

use serde_json::{Value, json};
use waymark::auth::Scope;

use super::{audit_log, execute, perform, refusals};
use crate::harness::{Actor, Stage, tests};

tests! {
    own: [
        a_study_plan_is_a_list_of_resources_and_its_instances_keep_theirs,
    ],
    empty: [
        a_resource_is_added_and_changed_in_part,
        a_key_of_24_digits_is_the_same_in_either_case,
        a_resource_that_nobody_described_joins_the_catalogue,
    ],
}

const RESOURCE: &str = "resource { key title type section url description estimatedMinutes }";
const PLAN: &str = "studyPlan { key title description resources { key } }";

async fn resource(app: &Actor, input: Value) -> Value {
    perform(app, "upsertResource", RESOURCE, &input).await
}

async fn plan(app: &Actor, input: Value) -> Value {
    perform(app, "upsertStudyPlan", PLAN, &input).await
}

async fn a_resource_is_added_and_changed_in_part(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let added = resource(
        &admin,
        json!({ "key": "rust", "title": "Rust", "section": "Languages", "url": "https://doc.rust-lang.org/book", "estimatedMinutes": 600 }),
    )
    .await;
    let expected = json!({
        "key": "rust", "title": "Rust", "type": "course", "section": "Languages",
        "url": "https://doc.rust-lang.org/book", "description": "", "estimatedMinutes": 600,
    });
    assert_eq!((&added["resource"], &added["created"]), (&expected, &json!(true)));
    let changed =
        resource(&admin, json!({ "key": "resource:rust", "type": "book", "section": null, "estimatedMinutes": null }))
            .await;
    let expected = json!({
        "key": "rust", "title": "Rust", "type": "book", "section": null,
        "url": "https://doc.rust-lang.org/book", "description": "", "estimatedMinutes": null,
    });
    assert_eq!((&changed["resource"], &changed["created"]), (&expected, &json!(false)));
    let wrong = json!({ "key": "go", "url": "no address", "estimatedMinutes": -1, "type": "" });
    let mut places = refusals(&resource(&admin, wrong).await);
    places.sort();
    let expected = ["INVALID_INPUT estimatedMinutes", "INVALID_INPUT title", "INVALID_INPUT type", "INVALID_INPUT url"];
    assert_eq!(places, expected);
}

async fn a_key_of_24_digits_is_the_same_in_either_case(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let added = resource(&admin, json!({ "key": "507F1F77BCF86CD799439011", "title": "One" })).await;
    assert_eq!((&added["resource"]["key"], &added["created"]), (&json!("507f1f77bcf86cd799439011"), &json!(true)));
    let again = resource(&admin, json!({ "key": "507f1f77bcf86cd799439011", "title": "Two" })).await;
    assert_eq!((&again["resource"]["title"], &again["created"]), (&json!("Two"), &json!(false)));
    let planned = plan(&admin, json!({ "key": "p", "title": "P", "resourceIds": ["507F1F77BCF86CD799439011"] })).await;
    assert_eq!(planned["studyPlan"]["resources"], json!([{ "key": "507f1f77bcf86cd799439011" }]));
}

async fn a_resource_that_nobody_described_joins_the_catalogue(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    execute(
        &stage,
        "INSERT INTO resources (key, external_id, title, catalogued, created_at, updated_at) \
         VALUES ('elsewhere', '507f191e810c19729de860ea', '', false, 0, 0)",
    )
    .await;
    let unknown = plan(&admin, json!({ "key": "p", "title": "P", "resourceIds": ["elsewhere"] })).await;
    assert_eq!(refusals(&unknown), ["UNKNOWN_RESOURCE resourceIds.0"]);
    assert_eq!(refusals(&resource(&admin, json!({ "key": "elsewhere" })).await), ["INVALID_INPUT title"]);
    let taken = resource(&admin, json!({ "key": "507f191e810c19729de860ea", "title": "Taken" })).await;
    assert_eq!(refusals(&taken), ["KEY_TAKEN key"]);
    let described = resource(&admin, json!({ "key": "elsewhere", "title": "Here" })).await;
    assert_eq!((&described["created"], &described["resource"]["title"]), (&json!(true), &json!("Here")));
    let known = plan(&admin, json!({ "key": "p", "title": "P", "resourceIds": ["elsewhere"] })).await;
    assert_eq!(known["studyPlan"]["resources"], json!([{ "key": "elsewhere" }]));
}

async fn a_study_plan_is_a_list_of_resources_and_its_instances_keep_theirs(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    for key in ["a", "b", "c"] {
        resource(&admin, json!({ "key": key, "title": key })).await;
    }
    let instances =
        "{ user(by: {handle: \"ada\"}) { studyPlanInstances { plan { key } total resources { completed } } } }";
    let before = admin.data(instances, Value::Null).await;
    let core = before["user"]["studyPlanInstances"][0]["plan"]["key"].clone();
    let replaced = plan(&admin, json!({ "key": core, "resourceIds": ["c", "resource:a", "b"] })).await;
    assert_eq!(replaced["studyPlan"]["resources"], json!([{ "key": "c" }, { "key": "a" }, { "key": "b" }]));
    assert_eq!(admin.data(instances, Value::Null).await, before);
    let renamed = plan(&admin, json!({ "key": core, "title": "Renamed" })).await;
    assert_eq!(renamed["studyPlan"]["resources"].as_array().unwrap().len(), 3);
    let log = audit_log(&stage).await;
    assert_eq!(log[3].2, json!({ "resources": ["c", "a", "b"] }));
    assert_eq!(log[4].2, json!({ "title": "Renamed" }));

    let wrong = plan(&admin, json!({ "key": core, "resourceIds": ["a", "nothing", "a"] })).await;
    assert_eq!(refusals(&wrong), ["UNKNOWN_RESOURCE resourceIds.1", "INVALID_INPUT resourceIds.2"]);
    let emptied = plan(&admin, json!({ "key": core, "resourceIds": [] })).await;
    assert_eq!((&emptied["studyPlan"]["resources"], &emptied["userErrors"]), (&json!([]), &json!([])));
}
