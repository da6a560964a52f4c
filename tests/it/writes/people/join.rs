//! The first write of a valid token makes the user.

use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::harness::{Actor, Answer, Stage, tests, token};

tests! {
    empty: [
        reading_makes_nobody_and_the_first_write_makes_the_user,
        many_first_writes_at_once_make_one_user,
        many_people_with_one_name_get_handles_of_their_own,
        a_name_that_is_no_handle_is_replaced_by_a_generated_one,
        a_mutation_that_is_no_mutation_of_ours_makes_nobody,
    ],
}

const WRITE: &str = "mutation { setProfileVisibility(input: {visibility: PUBLIC}) {
    user { id handle profileVisibility accounts { platform id } } userErrors { code }
    changes { events { number kind actor subject changes } } } }";

fn person(stage: &Stage, subject: &str, name: Value) -> Actor {
    stage.with_credential(Some(token(subject, json!({ "preferred_username": name }))))
}

async fn viewer(actor: &Actor) -> Value {
    actor.data("{ viewer { kind user { id handle } } }", Value::Null).await["viewer"].clone()
}

async fn users(stage: &Stage) -> usize {
    let admin = stage.app(&[Scope::Admin]).await;
    let found = admin.data("{ searchUsers(text: \"\", first: 100) { nodes { id } } }", Value::Null).await;
    found["searchUsers"]["nodes"].as_array().unwrap().len()
}

async fn reading_makes_nobody_and_the_first_write_makes_the_user(stage: Stage) {
    let newton = person(&stage, "newton", json!("Isaac"));
    assert_eq!(viewer(&newton).await, json!({ "kind": "USER", "user": null }));
    let done = newton.data(WRITE, Value::Null).await["setProfileVisibility"].clone();
    let user = &done["user"];
    assert_eq!((&user["handle"], &user["profileVisibility"]), (&json!("Isaac"), &json!("PUBLIC")));
    assert_eq!(user["accounts"], json!([{ "platform": "jwt", "id": "|newton" }]));
    assert_eq!(viewer(&newton).await["user"], json!({ "id": user["id"], "handle": "Isaac" }));
    let events = "{ viewer { user { history(last: 10) { nodes { number kind actor subject changes } } } } }";
    let events = newton.data(events, Value::Null).await["viewer"]["user"]["history"]["nodes"].clone();
    let event = |number: i64, kind: &str, changes: Value| json!({ "number": number, "kind": kind, "actor": user["id"], "subject": user["id"], "changes": changes });
    assert_eq!(
        events,
        json!([
            event(3, "PROFILE_CHANGED", json!({ "visibility": "PUBLIC" })),
            event(2, "ACCOUNT_LINKED", json!({ "provider": "jwt" })),
            event(1, "USER_CREATED", json!({})),
        ])
    );
    let again = newton.data(WRITE, Value::Null).await["setProfileVisibility"].clone();
    assert_eq!((&again["user"], &again["changes"]["events"]), (user, &json!([])));
}

async fn many_first_writes_at_once_make_one_user(stage: Stage) {
    let newton = person(&stage, "newton", json!("Isaac"));
    let answers = futures_util::future::join_all((0..64).map(|_| newton.query(WRITE, Value::Null))).await;
    let ids: Vec<Value> =
        answers.iter().map(|answer| answer.data()["setProfileVisibility"]["user"]["id"].clone()).collect();
    assert!(ids[0].is_string() && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(users(&stage).await, 1);
}

async fn many_people_with_one_name_get_handles_of_their_own(stage: Stage) {
    let people: Vec<Actor> = (0..8).map(|number| person(&stage, &format!("p{number}"), json!("Isaac"))).collect();
    let answers = futures_util::future::join_all(people.iter().map(|one| one.query(WRITE, Value::Null))).await;
    let mut handles: Vec<String> = answers
        .iter()
        .map(Answer::data)
        .map(|data| data["setProfileVisibility"]["user"]["handle"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(handles.iter().filter(|handle| *handle == "Isaac").count(), 1, "{handles:?}");
    handles.sort_unstable();
    handles.dedup();
    assert_eq!((handles.len(), users(&stage).await), (8, 8));
}

async fn a_name_that_is_no_handle_is_replaced_by_a_generated_one(stage: Stage) {
    for (number, name) in [json!("a b"), json!("x"), json!("~01"), Value::Null].into_iter().enumerate() {
        let one = person(&stage, &format!("p{number}"), name.clone());
        let handle = one.data(WRITE, Value::Null).await["setProfileVisibility"]["user"]["handle"].clone();
        let handle = handle.as_str().unwrap();
        assert!(handle.len() == 12 && handle.starts_with("user"), "{name}: {handle}");
    }
}

async fn a_mutation_that_is_no_mutation_of_ours_makes_nobody(stage: Stage) {
    let newton = person(&stage, "newton", json!("Isaac"));
    for text in ["mutation { nothing }", "mutation { setProfileVisibility(input: {}) { userErrors { code } } }", "mutation {"] {
        assert!(!newton.query(text, Value::Null).await.codes().is_empty());
    }
    let text = "mutation($v: ProfileVisibility!) { setProfileVisibility(input: {visibility: $v}) { userErrors { code } } }";
    assert!(!newton.query(text, json!({ "v": "SECRET" })).await.codes().is_empty());
    assert_eq!((viewer(&newton).await["user"].clone(), users(&stage).await), (Value::Null, 0));
}
