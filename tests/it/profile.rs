//! The whole of a user in one answer.

use serde_json::{Value, json};

use crate::everything;
use crate::harness::{Stage, tests};

tests! {
    demo: [
        the_whole_profile_of_grace,
        everything_of_a_user_is_answered_without_errors,
        a_user_without_any_progress_is_answered_without_errors,
    ],
}

async fn the_whole_profile_of_grace(stage: Stage) {
    let query = include_str!("../../playground/src/explore/examples/01-profile.graphql");
    let variables: Value =
        serde_json::from_str(include_str!("../../playground/src/explore/examples/01-profile.json")).unwrap();
    insta::assert_json_snapshot!("profile_of_grace", stage.user("grace").data(query, variables).await);
}

async fn everything_of_a_user_is_answered_without_errors(stage: Stage) {
    let query = format!("{{ viewer {{ user {} }} }}", everything::selection(&everything::schema(), "User"));
    for handle in ["grace", "ada", "cleo", "mallory"] {
        let data = stage.user(handle).data(&query, Value::Null).await;
        assert!(!data["viewer"]["user"]["credits"].is_null(), "{handle}");
    }
}

async fn a_user_without_any_progress_is_answered_without_errors(stage: Stage) {
    let query = format!("{{ viewer {{ user {} }} }}", everything::selection(&everything::schema(), "User"));
    let user = stage.user("newton").data(&query, Value::Null).await["viewer"]["user"].clone();
    for list in ["games", "resources"] {
        assert_eq!((&user[list]["totalCount"], &user[list]["nodes"]), (&json!(0), &json!([])), "{list}");
    }
    assert_eq!(user["studyPlanInstances"], json!([]));
}
