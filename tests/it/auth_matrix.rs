//! Who may see what: every field of `Query` and of `User` for every kind of caller, as one table.

use std::fmt::Write as _;

use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::attacked::strangers::Stranger;
use crate::everything;
use crate::harness::{Actor, Answer, Stage, tests};

tests! {
    own: [
        every_field_for_every_kind_of_caller,
    ],
}

const CALLERS: [&str; 11] = [
    "anonymous",
    "wallet",
    "known wallet",
    "self",
    "other user",
    "app, no scope",
    "app, profiles",
    "key of self",
    "app, read",
    "app, write",
    "app, admin",
];

/// Somebody who asks.
enum Asker<'a> {
    Actor(Actor),
    Wallet(Stranger<'a>),
}

impl Asker<'_> {
    async fn query(&self, text: &str) -> Answer {
        match self {
            Self::Actor(actor) => actor.query(text, Value::Null).await,
            Self::Wallet(stranger) => stranger.query(text, Value::Null).await,
        }
    }
}

async fn every_field_for_every_kind_of_caller(stage: Stage) {
    let mut table = String::new();
    let (admin, write) = (stage.app(&[Scope::Admin]).await, stage.app(&[Scope::ProgressWrite]).await);
    let (wallet, known) = (|| Stranger::new(&stage, 9_500_001), || Stranger::new(&stage, 9_500_002));
    for stranger in [wallet(), known()] {
        stranger.join().await;
    }
    let vouch = "mutation($u: UserBy!) { grantCredits(input: {user: $u, amount: {credits: \"1\"}}) { status } }";
    write.data(vouch, json!({ "u": { "address": known().address() } })).await;
    for (parent, visibility, handle, other) in [
        ("User", "PUBLIC", "grace", "ada"),
        ("User", "MEMBERS", "ada", "grace"),
        ("Query", "MEMBERS", "ada", "grace"),
        ("User", "PRIVATE", "ada", "grace"),
        ("Query", "PRIVATE", "ada", "grace"),
    ] {
        let set = "mutation($h: String!, $v: ProfileVisibility!) {
            setProfileVisibility(input: {user: {handle: $h}, visibility: $v}) { user { id } } }";
        let data = write.data(set, json!({ "h": handle, "v": visibility })).await;
        let user = data["setProfileVisibility"]["user"]["id"].as_str().unwrap();
        let number = number_of(&stage, handle).await;
        let askers = [
            Asker::Actor(stage.anonymous()),
            Asker::Wallet(wallet()),
            Asker::Wallet(known()),
            Asker::Actor(stage.user(handle)),
            Asker::Actor(stage.user(other)),
            Asker::Actor(stage.app(&[]).await),
            Asker::Actor(stage.app(&[Scope::ProfilesRead]).await),
            Asker::Actor(stage.key("profiles:read", Some(number), None).await),
            Asker::Actor(stage.app(&[Scope::ProgressRead]).await),
            Asker::Actor(write.clone()),
            Asker::Actor(admin.clone()),
        ];
        let whose = if parent == "User" { "User" } else { "Query: where a user is named" };
        let _ = writeln!(table, "{whose}, the profile is {visibility}\n\n{}", row("", CALLERS));
        for (field, composite) in fields(&stage, parent).await {
            let selection = if composite { " { __typename }" } else { "" };
            let asked = format!("asked: {}{selection}", everything::field(parent, &field, user));
            let query = if parent == "User" {
                format!(r#"{{ user(by: {{id: "{user}"}}) {{ {asked} }} }}"#)
            } else {
                format!("{{ {asked} }}")
            };
            let outcomes = outcomes(&askers, &query, parent == "User").await;
            let _ = writeln!(table, "{}", row(&field, outcomes.each_ref().map(String::as_str)));
        }
        table.push('\n');
    }
    insta::assert_snapshot!("auth_matrix", table);
}

async fn number_of(stage: &Stage, handle: &str) -> i64 {
    let sql = format!("SELECT id FROM users WHERE handle = '{handle}'");
    let connection = stage.db().reads();
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

fn row(field: &str, cells: [&str; 11]) -> String {
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

async fn outcomes(askers: &[Asker<'_>; 11], query: &str, of_user: bool) -> [String; 11] {
    let mut outcomes = [const { String::new() }; 11];
    for (asker, outcome) in askers.iter().zip(&mut outcomes) {
        let answer = asker.query(query).await;
        let data = &answer.json["data"];
        *outcome = match of_user {
            true if data["user"].is_null() && answer.codes().is_empty() => "nobody".to_owned(),
            true => summary(&answer, &data["user"]["asked"]),
            false => summary(&answer, &data["asked"]),
        };
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
