//! Who may see what: every field of `Query` and of `User` for every kind of caller, as one table.

use std::fmt::Write as _;

use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::everything;
use crate::harness::{Actor, Answer, Stage, tests};

tests! {
    demo: [
        every_field_for_every_kind_of_caller,
    ],
}

const CALLERS: [&str; 7] =
    ["anonymous", "self", "other user", "app, no scope", "app, read", "app, write", "app, admin"];

async fn every_field_for_every_kind_of_caller(stage: Stage) {
    let mut table = String::new();
    for (parent, title, handle, other) in [
        ("User", "User: the profile is PRIVATE", "ada", "grace"),
        ("User", "User: the profile is PUBLIC", "grace", "ada"),
        ("Query", "Query: where a user is named, the profile is PRIVATE", "ada", "grace"),
    ] {
        let actors = [
            stage.anonymous(),
            stage.user(handle),
            stage.user(other),
            stage.app(&[]).await,
            stage.app(&[Scope::ProgressRead]).await,
            stage.app(&[Scope::ProgressWrite]).await,
            stage.app(&[Scope::Admin]).await,
        ];
        let data = actors[6].data("query($h: String!) { user(by: {handle: $h}) { id } }", json!({ "h": handle })).await;
        let user = data["user"]["id"].as_str().unwrap();
        let _ = writeln!(table, "{title}\n\n{}", row("", CALLERS));
        for (field, composite) in fields(&stage, parent).await {
            let selection = if composite { " { __typename }" } else { "" };
            let asked = format!("asked: {}{selection}", everything::field(parent, &field, user));
            let query = if parent == "User" {
                format!(r#"{{ user(by: {{id: "{user}"}}) {{ {asked} }} }}"#)
            } else {
                format!("{{ {asked} }}")
            };
            let outcomes = outcomes(&actors, &query, parent == "User").await;
            let _ = writeln!(table, "{}", row(&field, outcomes.each_ref().map(String::as_str)));
        }
        table.push('\n');
    }
    insta::assert_snapshot!("auth_matrix", table);
}

fn row(field: &str, cells: [&str; 7]) -> String {
    let mut line = format!("{field:<20}");
    for cell in cells {
        let _ = write!(line, " {cell:<14}");
    }
    line.trim_end().to_owned()
}

/// The fields of a type, each with whether a selection stands behind it.
async fn fields(stage: &Stage, parent: &str) -> Vec<(String, bool)> {
    let query = "query($name: String!) { __type(name: $name) { fields(includeDeprecated: true) {
        name type { kind ofType { kind ofType { kind ofType { kind } } } } } } }";
    let data = stage.anonymous().data(query, json!({ "name": parent })).await;
    let mut fields: Vec<_> = data["__type"]["fields"]
        .as_array()
        .unwrap()
        .iter()
        .map(|field| {
            let mut ty = &field["type"];
            while !ty["ofType"].is_null() {
                ty = &ty["ofType"];
            }
            let composite = ["OBJECT", "INTERFACE", "UNION"].contains(&ty["kind"].as_str().unwrap());
            (field["name"].as_str().unwrap().to_owned(), composite)
        })
        .collect();
    fields.sort();
    fields
}

async fn outcomes(actors: &[Actor; 7], query: &str, of_user: bool) -> [String; 7] {
    let mut outcomes = [const { String::new() }; 7];
    for (actor, outcome) in actors.iter().zip(&mut outcomes) {
        let answer = actor.query(query, Value::Null).await;
        let value = if of_user { &answer.json["data"]["user"]["asked"] } else { &answer.json["data"]["asked"] };
        *outcome = summary(&answer, value);
    }
    outcomes
}

/// `data` or `null`, or what went wrong; both where only a part did.
fn summary(answer: &Answer, value: &Value) -> String {
    let mut codes = answer.codes();
    codes.dedup();
    let some = match value {
        Value::Null => false,
        Value::Array(values) => values.is_empty() || values.iter().any(|value| !value.is_null()),
        _ => true,
    };
    match (some, codes.is_empty()) {
        (true, true) => "data".to_owned(),
        (false, true) => "null".to_owned(),
        (true, false) => format!("data+{}", codes.join("+")),
        (false, false) => codes.join("+"),
    }
}
