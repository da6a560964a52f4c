//! What operators read, and a user's data as a whole.

use serde_json::{Value, json};
use waymark::auth::Scope;

use super::{export, id_of, rows};
use crate::harness::{Stage, tests};

tests! {
    demo: [
        users_are_found_by_the_beginning_of_a_handle_an_account_and_an_id,
        a_search_is_read_page_by_page,
        a_user_is_shown_as_a_stranger_and_as_the_user_sees_it,
        users_take_their_own_data_out_and_nobody_elses,
        only_operators_look_behind_the_scenes,
    ],
    // Others give the user a key in the shared data.
    own: [the_whole_of_a_user_is_taken_out, the_sweeper_changes_nothing_of_what_is_taken_out],
}

const SEARCH: &str = "query($text: String!) { searchUsers(text: $text, first: 100) { nodes { handle } } }";

async fn users_are_found_by_the_beginning_of_a_handle_an_account_and_an_id(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let found = async |text: &str| {
        let data = admin.data(SEARCH, json!({ "text": text })).await;
        let nodes = data["searchUsers"]["nodes"].as_array().unwrap().clone();
        nodes.iter().map(|user| user["handle"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(found("MAXM").await, ["MaxMilyin"]);
    assert!(found("ada").await.contains(&"ada".to_owned()));
    for text in ["0x7949F9F239D1A0816CE5EB364A1F588AE9CC1BF5", "800000000000000001"] {
        assert_eq!(found(text).await, ["grace"], "{text}");
    }
    let id = id_of(&admin, "ada").await;
    let id = id.as_str().unwrap();
    for text in [id, &id["user:".len()..], &id["user:".len()..].to_lowercase()] {
        assert_eq!(found(text).await, ["ada"], "{text}");
    }
    for text in ["%", "_", "nobodyhasthis", "a%", "'"] {
        assert!(found(text).await.is_empty(), "{text}");
    }
    assert_eq!(found("").await.len(), 100);
}

async fn a_search_is_read_page_by_page(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let query = "query($first: Int, $after: String, $last: Int, $before: String) {
        searchUsers(text: \"\", first: $first, after: $after, last: $last, before: $before) {
            nodes { id } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }";
    let page = async |variables: Value| admin.data(query, variables).await["searchUsers"].clone();
    let all = page(json!({ "first": 50 })).await["nodes"].as_array().unwrap().clone();
    let (mut seen, mut after) = (Vec::new(), Value::Null);
    while seen.len() < 50 {
        let one = page(json!({ "first": 20, "after": after })).await;
        seen.extend(one["nodes"].as_array().unwrap().clone());
        after = one["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(seen[..50], all[..]);
    let back = page(json!({ "last": 10, "before": after })).await["nodes"].as_array().unwrap().clone();
    assert_eq!(back[..], seen[seen.len() - 11..seen.len() - 1]);
}

async fn a_user_is_shown_as_a_stranger_and_as_the_user_sees_it(stage: Stage) {
    let query = "query($h: String!, $as: ProfileSide) { user(by: {handle: $h}, as: $as) { handle accounts { id } } }";
    let admin = stage.app(&[Scope::Admin]).await;
    let public = admin.query(query, json!({ "h": "grace", "as": "PUBLIC" })).await;
    assert_eq!(
        (public.codes(), &public.json["data"]["user"]),
        (vec!["FORBIDDEN"], &json!({ "handle": "grace", "accounts": null }))
    );
    let members = stage.user("ada").data(query, json!({ "h": "ada", "as": "PUBLIC" })).await;
    assert_eq!(members["user"], Value::Null, "the public sees nobody");
    // What a stranger cannot see is not shown to an operator who looks as a stranger.
    let rewards = "query($as: ProfileSide) { user(by: {handle: \"grace\"}, as: $as) {
        collections(first: 100) { nodes { reward { refusal isClaimed } } } } }";
    let stranger = stage.anonymous().query(rewards, Value::Null).await;
    let looking = admin.query(rewards, json!({ "as": "PUBLIC" })).await;
    assert!(stranger.codes().contains(&"FORBIDDEN"));
    assert_eq!(looking.json, stranger.json);
    let own = stage.user("grace").query(rewards, json!({ "as": "PUBLIC" })).await;
    assert_eq!(own.json, stranger.json);
    admin.data(rewards, Value::Null).await;
    for actor in [admin, stage.user("ada")] {
        assert!(actor.data(query, json!({ "h": "ada", "as": "SELF" })).await["user"]["accounts"].is_array());
    }
    let nobody = stage.anonymous().data(query, json!({ "h": "ada", "as": "SELF" })).await;
    assert_eq!(nobody["user"], Value::Null);
    for actor in [stage.user("grace"), stage.app(&[Scope::ProgressWrite]).await] {
        let refused = actor.query(query, json!({ "h": "ada", "as": "SELF" })).await;
        assert_eq!((refused.codes(), &refused.json["data"]["user"]), (vec!["FORBIDDEN"], &Value::Null));
    }
}

async fn the_whole_of_a_user_is_taken_out(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let grace = export(&admin, "grace").await;
    assert_eq!(rows(&grace, "user")[0]["handle"], "grace");
    for place in [
        "accounts",
        "enrolments",
        "goals",
        "goalClaims",
        "creditLots",
        "creditEntries",
        "resources",
        "studyPlanInstances",
        "studyPlanInstanceResources",
        "achievements",
        "games",
        "cards",
        "collections",
        "history",
    ] {
        assert!(!rows(&grace, place).is_empty(), "{place}");
    }
    for place in ["apiKeys", "blocks", "references"] {
        assert!(rows(&grace, place).is_empty(), "{place}");
    }
    assert_eq!(rows(&grace, "history")[0]["kind"], "USER_CREATED");
    assert!(rows(&grace, "history")[0]["changes"].is_object());
    assert_eq!(grace, export(&admin, "grace").await);
}

async fn the_sweeper_changes_nothing_of_what_is_taken_out(stage: Stage) {
    // After the rewards of the season that is over have expired.
    let later = stage.with(&[("WAYMARK_CLOCK", "2026-09-18T00:00:00Z")]).await;
    let admin = later.app(&[Scope::Admin]).await;
    let before = export(&admin, "grace").await;
    assert!(later.app.maintain().await.unwrap() > 0);
    let after = export(&admin, "grace").await;
    for place in ["creditLots", "creditEntries"] {
        assert_eq!(rows(&after, place), rows(&before, place), "{place}");
    }
    assert_eq!(after, before);
    let expired: Vec<_> = rows(&after, "creditEntries").iter().filter(|entry| entry["kind"] == "EXPIRE").collect();
    assert!(!expired.is_empty());
    for entry in expired {
        let lot = rows(&after, "creditLots").iter().find(|lot| lot["number"] == entry["lot"]).unwrap();
        assert_eq!((&lot["remainingMicros"], &entry["recordedAt"]), (&json!(0), &lot["expiresAt"]));
    }
}

async fn users_take_their_own_data_out_and_nobody_elses(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    assert_eq!(export(&stage.user("grace"), "grace").await, export(&admin, "grace").await);
    let query = "{ exportUser(user: {handle: \"grace\"}) }";
    for actor in [stage.anonymous(), stage.user("ada"), stage.app(&[Scope::ProgressWrite]).await] {
        assert_eq!(actor.query(query, Value::Null).await.codes(), ["FORBIDDEN"]);
    }
    assert_eq!(admin.data("{ exportUser(user: {handle: \"nobody\"}) }", Value::Null).await["exportUser"], Value::Null);
}

async fn only_operators_look_behind_the_scenes(stage: Stage) {
    let writer = stage.app(&[Scope::ProgressWrite]).await;
    for actor in [stage.anonymous(), stage.user("ada"), writer] {
        for query in [
            "{ searchUsers(text: \"\") { nodes { id } } }",
            "{ apiKeys { nodes { name } } }",
            "{ auditLog { nodes { action } } }",
        ] {
            let answer = actor.query(query, Value::Null).await;
            assert_eq!(answer.codes(), ["FORBIDDEN"], "{query}");
        }
    }
    let admin = stage.app(&[Scope::Admin]).await;
    let refused = admin.query("{ apiKeys(first: 0) { nodes { name } } }", Value::Null).await;
    assert_eq!(refused.codes(), ["BAD_USER_INPUT"]);
}
