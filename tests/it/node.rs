//! Global ids: every object with an id is found by it.

use std::collections::{BTreeMap, BTreeSet};

use apollo_compiler::schema::ExtendedType;
use serde_json::{Value, json};

use crate::everything;
use crate::harness::{Stage, tests};

tests! {
    demo: [
        every_id_in_a_profile_resolves_to_the_object_it_came_with,
        nodes_come_in_the_order_asked_for_with_duplicates_and_holes,
        what_is_no_id_is_refused_with_a_reason,
        an_id_of_nothing_finds_nothing,
        progress_of_others_is_found_by_those_who_may_see_it,
    ],
}

const NODES: &str = "query($ids: [ID!]!) { nodes(ids: $ids) { id __typename } }";

/// The id of a user of the demo data.
async fn user_id(stage: &Stage, handle: &str) -> String {
    let query = "query($handle: String!) { user(by: {handle: $handle}) { id } }";
    let data = stage.user("newton").data(query, json!({ "handle": handle })).await;
    data["user"]["id"].as_str().unwrap().to_owned()
}

/// Collects the ids of objects by their types.
fn collect(value: &Value, ids: &mut BTreeMap<String, BTreeSet<String>>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| collect(value, ids)),
        Value::Object(fields) => {
            if let (Some(Value::String(kind)), Some(Value::String(id))) = (fields.get("__typename"), fields.get("id")) {
                ids.entry(kind.clone()).or_default().insert(id.clone());
            }
            fields.values().for_each(|value| collect(value, ids));
        }
        _ => {}
    }
}

async fn every_id_in_a_profile_resolves_to_the_object_it_came_with(stage: Stage) {
    let schema = everything::schema();
    let query = format!("{{ viewer {{ user {} }} }}", everything::selection(&schema, "User"));
    let mut ids = BTreeMap::new();
    collect(&stage.user("grace").data(&query, Value::Null).await, &mut ids);
    // An account's id is the other platform's own.
    ids.remove("Account");
    let implementers = schema.types.values().filter_map(|ty| match ty {
        ExtendedType::Object(object) if object.implements_interfaces.contains("Node") => Some(object.name.to_string()),
        _ => None,
    });
    assert_eq!(
        ids.keys().cloned().collect::<BTreeSet<_>>(),
        implementers.collect(),
        "every type of node is in the profile"
    );
    for (kind, ids) in ids {
        for ids in ids.into_iter().collect::<Vec<_>>().chunks(200) {
            let expected: Vec<_> = ids.iter().map(|id| json!({ "id": id, "__typename": kind })).collect();
            let data = stage.user("grace").data(NODES, json!({ "ids": ids })).await;
            assert_eq!(data["nodes"], json!(expected), "{kind}");
            let one = "query($id: ID!) { node(id: $id) { id __typename } }";
            assert_eq!(stage.user("grace").data(one, json!({ "id": ids[0] })).await["node"], expected[0]);
        }
    }
}

async fn nodes_come_in_the_order_asked_for_with_duplicates_and_holes(stage: Stage) {
    let ids = ["game:2", "season:rising-tide", "game:unknown", "game:2", "nonsense", "card:founders-01"];
    let answer = stage.anonymous().query(NODES, json!({ "ids": ids })).await;
    let game = json!({ "id": "game:2", "__typename": "Game" });
    assert_eq!(
        answer.json["data"]["nodes"],
        json!([
            game, { "id": "season:rising-tide", "__typename": "Season" }, null, game, null,
            { "id": "card:founders-01", "__typename": "Card" },
        ])
    );
    assert_eq!((answer.codes(), &answer.json["errors"][0]["path"]), (vec!["BAD_USER_INPUT"], &json!(["nodes", 4])));
}

async fn what_is_no_id_is_refused_with_a_reason(stage: Stage) {
    let grace = user_id(&stage, "grace").await;
    let ulid = grace.replace("user:", "");
    for id in [
        "",
        ":",
        "1",
        "game",
        "game:",
        "Game:1",
        "unknown:1",
        "game:a\u{7}",
        "game: ",
        "game:game:1",
        "user:grace",
        "user:",
        &format!("game_summary:{ulid}"),
        &format!("game_summary:{ulid}:"),
        "game_summary::1",
        "game_summary:grace:1",
        "game_summary:1:2:3",
        &format!("game:{}", "1".repeat(500)),
    ] {
        let answer = stage.user("grace").query("query($id: ID!) { node(id: $id) { id } }", json!({ "id": id })).await;
        assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{id:?} {}", answer.text);
        assert_eq!(answer.json["data"], json!({ "node": null }), "{id:?}");
    }
}

async fn an_id_of_nothing_finds_nothing(stage: Stage) {
    let ulid = user_id(&stage, "grace").await.replace("user:", "");
    let nobody = "01J00000000000000000000000";
    let ids = [
        format!("user:{nobody}"),
        "game:unknown".to_owned(),
        "season:unknown".to_owned(),
        "goal:unknown".to_owned(),
        "resource:unknown".to_owned(),
        "study_plan:unknown".to_owned(),
        "achievement:unknown".to_owned(),
        "collection:unknown".to_owned(),
        "card:unknown".to_owned(),
        format!("game_summary:{ulid}:unknown"),
        format!("game_summary:{nobody}:1"),
        format!("goal_progress:{ulid}:unknown"),
        format!("resource_progress:{ulid}:unknown"),
        format!("collection_progress:{ulid}:unknown"),
        format!("study_plan_instance:{ulid}:507f1f77bcf86cd799439011"),
    ];
    let data = stage.user("grace").data(NODES, json!({ "ids": ids })).await;
    assert_eq!(data["nodes"], json!(vec![Value::Null; ids.len()]));
}

async fn progress_of_others_is_found_by_those_who_may_see_it(stage: Stage) {
    let ulid = user_id(&stage, "grace").await.replace("user:", "");
    let ids = [
        format!("user:{ulid}"),
        format!("game_summary:{ulid}:1"),
        format!("collection_progress:{ulid}:founders"),
        format!("goal_progress:{ulid}:rising-tide-1"),
        format!("resource_progress:{ulid}:507f1f77bcf86cd799439011"),
        format!("study_plan_instance:{ulid}:6936c65461428d2b4ef7556e"),
    ];
    for (actor, seen) in [
        (stage.anonymous(), 3),
        (stage.user("ada"), 3),
        (stage.user("grace"), 6),
        (stage.app(&[waymark::auth::Scope::ProgressRead]).await, 6),
    ] {
        let answer = actor.query(NODES, json!({ "ids": ids })).await;
        let nodes = answer.json["data"]["nodes"].as_array().unwrap();
        let visible: Vec<_> = nodes.iter().map(|node| !node.is_null()).collect();
        assert_eq!(visible, (0..ids.len()).map(|place| place < seen).collect::<Vec<_>>(), "{}", answer.text);
        assert_eq!(answer.codes(), vec!["FORBIDDEN"; ids.len() - seen]);
    }
    let ada = user_id(&stage, "ada").await.replace("user:", "");
    // Of somebody whom the caller may not see there is nothing.
    let hidden = json!({ "ids": [format!("user:{ada}"), format!("game_summary:{ada}:105")] });
    assert_eq!(stage.anonymous().data(NODES, hidden).await["nodes"], json!([null, null]));
}
