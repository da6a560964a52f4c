//! What is written by a plan is what the engine would have answered.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::harness::{Stage, tests};

tests! {
    demo: [
        plans_and_the_engine_give_the_same_answers,
        a_field_says_the_same_however_much_of_its_row_is_read,
        a_place_without_a_user_stays_empty,
        what_one_user_may_not_see_fails_beside_the_others,
    ],
}

/// Fields without arguments that wait for something all the same, so that no plan has them.
const WAITING: [&str; 6] = [
    "Goal.season",
    "ResourceProgress.notes",
    "Collection.cards",
    "Collection.timeLeft",
    "CollectionProgress.cards",
    "RewardProgress.refusal",
];

const TYPES: &str = "{ __schema { types { name fields { name args { name } \
    type { name ofType { name ofType { name ofType { name } } } } } } } }";

/// All fields of a type that plans write, with those of the objects within it.
fn fields(types: &Value, name: &str) -> String {
    let of = named(types, name)["fields"].as_array().unwrap().iter();
    of.filter_map(|field| alone(types, name, field["name"].as_str().unwrap())).collect::<Vec<_>>().join(" ")
}

fn named<'a>(types: &'a Value, name: &str) -> &'a Value {
    types.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap()
}

/// One of them; `None` where no plan writes it.
fn alone(types: &Value, name: &str, field_name: &str) -> Option<String> {
    let field = named(types, name)["fields"].as_array().unwrap().iter().find(|field| field["name"] == field_name)?;
    if field["args"] != json!([]) || WAITING.contains(&&*format!("{name}.{field_name}")) {
        return None;
    }
    let mut ty = &field["type"];
    while ty["ofType"] != Value::Null {
        ty = &ty["ofType"];
    }
    let inner = ty["name"].as_str().unwrap();
    // Fields of the same name have other types in other kinds of progress.
    let as_of = format!("{name}_{field_name}: {field_name}");
    let within = named(types, inner)["fields"].is_array().then(|| fields(types, inner));
    Some(within.map_or(as_of.clone(), |within| format!("{as_of} {{ {within} }}")))
}

async fn plans_and_the_engine_give_the_same_answers(stage: Stage) {
    let app = stage.app(&[Scope::ProgressRead]).await;
    let types = app.data(TYPES, Value::Null).await["__schema"]["types"].clone();
    let of = |name: &str| format!("id {}", fields(&types, name));
    let kinds = ["GoalProgress", "ResourceProgress", "GameSummary", "CollectionProgress"];
    let [goal, resource, game, collection] = kinds.map(of);
    let planned_by = format!(
        "query($by: UserBy!) {{ user(by: $by) {{ goals {{ {goal} }} resources(first: 100) {{ nodes {{ {resource} }} }} \
         games(first: 100) {{ nodes {{ {game} }} }} collections(first: 100) {{ nodes {{ {collection} }} }} }} }}"
    );
    // Members of an interface are the engine's business.
    let engine_by = format!(
        "query($by: UserBy!, $after: String) {{ user(by: $by) {{ overview(first: 20, after: $after) {{ \
         pageInfo {{ hasNextPage endCursor }} nodes {{ \
         ... on GoalProgress {{ {goal} }} ... on ResourceProgress {{ {resource} }} \
         ... on GameSummary {{ {game} }} ... on CollectionProgress {{ {collection} }} }} }} }} }}"
    );
    let mut compared = BTreeMap::new();
    for user in ["grace", "ada", "MaxMilyin"] {
        let mut engine: BTreeMap<String, Value> = BTreeMap::new();
        let mut after = Value::Null;
        loop {
            let variables = json!({ "by": { "handle": user }, "after": after });
            let page = app.data(&engine_by, variables).await["user"]["overview"].clone();
            let nodes = page["nodes"].as_array().unwrap().iter().filter(|node| node["id"].is_string());
            engine.extend(nodes.map(|node| (node["id"].as_str().unwrap().to_owned(), node.clone())));
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = page["pageInfo"]["endCursor"].clone();
        }
        let planned = app.data(&planned_by, json!({ "by": { "handle": user } })).await["user"].clone();
        for list in [
            &planned["goals"],
            &planned["resources"]["nodes"],
            &planned["games"]["nodes"],
            &planned["collections"]["nodes"],
        ] {
            for one in list.as_array().unwrap() {
                let id = one["id"].as_str().unwrap();
                if let Some(other) = engine.get(id) {
                    assert_eq!(one, other);
                    *compared.entry(id.split(':').next().unwrap().to_owned()).or_insert(0) += 1;
                }
            }
        }
    }
    assert!(compared.len() == kinds.len() && compared.values().sum::<u32>() > 30, "{compared:?}");
}

async fn a_field_says_the_same_however_much_of_its_row_is_read(stage: Stage) {
    let app = stage.app(&[Scope::ProgressRead]).await;
    let types = app.data(TYPES, Value::Null).await["__schema"]["types"].clone();
    for (list, node, argument, multi, name) in [
        ("games(first: 100)", "game", "gameIds", "gameSummaries", "GameSummary"),
        ("resources(first: 100)", "resource", "resourceIds", "resourceProgress", "ResourceProgress"),
    ] {
        let touched =
            format!("{{ user(by: {{ handle: \"ada\" }}) {{ found: {list} {{ nodes {{ {node} {{ id }} }} }} }} }}");
        let touched = app.data(&touched, Value::Null).await["user"]["found"]["nodes"].clone();
        let ids: Vec<&Value> = touched.as_array().unwrap().iter().map(|one| &one[node]["id"]).collect();
        assert!(!ids.is_empty(), "{name}");
        let ask = async |fields: &str| {
            let query = format!(
                "query($ids: [ID!]!) {{ user(by: {{ handle: \"ada\" }}) {{ {multi}({argument}: $ids) {{ {fields} }} }} }}"
            );
            app.data(&query, json!({ "ids": ids })).await["user"][multi].as_array().unwrap().clone()
        };
        let whole = ask(&fields(&types, name)).await;
        for field in named(&types, name)["fields"].as_array().unwrap() {
            let field = field["name"].as_str().unwrap();
            let key = format!("{name}_{field}");
            let Some(alone) = alone(&types, name, field) else { continue };
            for (one, other) in ask(&alone).await.iter().zip(&whole) {
                assert_eq!(one[&key], other[&key], "{key}");
            }
        }
    }
}

async fn a_place_without_a_user_stays_empty(stage: Stage) {
    let app = stage.app(&[Scope::ProgressRead]).await;
    let by = json!([{ "handle": "nobodyofthatname" }, { "handle": "MaxMilyin" }, { "id": "malformed" }]);
    let answer = app.query("query($by: [UserBy!]!) { users(by: $by) { handle } }", json!({ "by": by })).await.json;
    assert_eq!(answer["data"]["users"], json!([null, { "handle": "MaxMilyin" }, null]));
    assert_eq!(answer["errors"][0]["path"], json!(["users", 2]));
}

async fn what_one_user_may_not_see_fails_beside_the_others(stage: Stage) {
    let query = "query($by: [UserBy!]!, $ids: [ID!]!) { users(by: $by) { handle resourceProgress(resourceIds: $ids) { done } } }";
    let variables = json!({ "by": [{ "handle": "MaxMilyin" }], "ids": ["nothing"] });
    let answer = stage.anonymous().query(query, variables).await.json;
    assert_eq!(answer["data"]["users"], json!([{ "handle": "MaxMilyin", "resourceProgress": null }]));
    assert_eq!(answer["errors"][0]["path"], json!(["users", 0, "resourceProgress"]));
    assert_eq!(answer["errors"][0]["extensions"]["code"], json!("FORBIDDEN"));
}
