//! All progress of a user in one list.

use serde_json::Value;
use waymark::auth::Scope;

use crate::harness::{Actor, Stage, tests};

tests! {
    demo: [
        every_kind_of_progress_is_in_the_overview,
        the_overview_agrees_with_the_lists_it_is_made_of,
        others_see_games_and_collections_only,
    ],
}

/// The whole overview of a user, as `actor` sees it: each with its kind and id, and what was counted.
async fn overview(actor: &Actor, handle: &str) -> (Vec<(String, String)>, Value) {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let query = format!(
            r#"{{ user(by: {{handle: "{handle}"}}) {{ overview(first: 100 {after}) {{
                totalCount nodes {{ kind id }} pageInfo {{ hasNextPage endCursor }} }} }} }}"#
        );
        let page = actor.data(&query, Value::Null).await["user"]["overview"].clone();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        all.extend(page["nodes"].as_array().unwrap().iter().map(|node| (text(&node["kind"]), text(&node["id"]))));
        if page["pageInfo"]["hasNextPage"] == false {
            return (all, page["totalCount"].clone());
        }
        after = format!(", after: {}", page["pageInfo"]["endCursor"]);
    }
}

fn count(all: &[(String, String)], kind: &str) -> usize {
    all.iter().filter(|(one, _)| one == kind).count()
}

async fn every_kind_of_progress_is_in_the_overview(stage: Stage) {
    let (all, total) = overview(&stage.user("grace"), "grace").await;
    let kinds = ["GOAL", "STUDY_PLAN", "RESOURCE", "GAME", "COLLECTION"];
    assert_eq!(kinds.map(|kind| count(&all, kind)), [40, 4, 19, 7, 6]);
    assert_eq!(total, all.len());
    assert!(all.is_sorted_by_key(|(kind, _)| kinds.iter().position(|one| one == kind)), "kind after kind");
    let (newtons, total) = overview(&stage.user("newton"), "newton").await;
    assert_eq!(kinds.map(|kind| count(&newtons, kind)), [40, 0, 0, 0, 6]);
    assert_eq!(total, newtons.len());
}

async fn the_overview_agrees_with_the_lists_it_is_made_of(stage: Stage) {
    let query =
        "{ viewer { user { goals(all: true) { id } studyPlanInstances { id } resources(first: 100) { nodes { id } }
        games(first: 100) { nodes { id } } collections(first: 100) { nodes { id } } } } }";
    let user = stage.user("grace").data(query, Value::Null).await["viewer"]["user"].clone();
    let lists = [
        &user["goals"],
        &user["studyPlanInstances"],
        &user["resources"]["nodes"],
        &user["games"]["nodes"],
        &user["collections"]["nodes"],
    ];
    let ids = lists.iter().flat_map(|list| list.as_array().unwrap()).map(|one| one["id"].as_str().unwrap());
    let (all, _) = overview(&stage.user("grace"), "grace").await;
    assert!(all.iter().map(|(_, id)| id.as_str()).eq(ids));
}

async fn others_see_games_and_collections_only(stage: Stage) {
    let kinds = ["GOAL", "STUDY_PLAN", "RESOURCE", "GAME", "COLLECTION"];
    for actor in [stage.anonymous(), stage.user("ada"), stage.app(&[]).await] {
        let (all, total) = overview(&actor, "grace").await;
        assert_eq!(kinds.map(|kind| count(&all, kind)), [0, 0, 0, 7, 6]);
        assert_eq!(total, all.len());
    }
    let app = stage.app(&[Scope::ProgressRead]).await;
    assert_eq!(overview(&app, "grace").await, overview(&stage.user("grace"), "grace").await);
}
