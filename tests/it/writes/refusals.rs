//! What every mutation of the schema refuses alike.

use apollo_compiler::Schema;
use apollo_compiler::schema::{ExtendedType, InputObjectType, Type};
use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::everything;
use crate::harness::{Stage, tests};

tests! {
    own: [
        every_mutation_refuses_a_user_who_does_not_exist_alike,
        callers_who_may_not_write_for_others_do_not_learn_who_exists,
    ],
}

/// Mutations in which no user is named.
const OF_NO_USER: [&str; 10] = [
    "deleteCatalogueItem",
    "endSeason",
    "pauseSeason",
    "resumeSeason",
    "revokeApiKey",
    "upsertCollection",
    "upsertGame",
    "upsertResource",
    "upsertSeason",
    "upsertStudyPlan",
];

/// Fields that name a user by an id alone.
const IDS_OF_USERS: [(&str, &str); 1] = [("UpsertUserInput", "id")];

const NOBODY: &str = "user:01J00000000000000000000000";

/// A mutation with the place of its input where a user is named.
struct Named {
    mutation: String,
    input: String,
    payload: String,
    path: Vec<String>,
    /// Whether the place takes an id and nothing else.
    by_id: bool,
}

/// Every place of every mutation where a user is named.
fn places(schema: &Schema) -> Vec<Named> {
    let Some(ExtendedType::Object(root)) = schema.types.get("Mutation") else { panic!("there are mutations") };
    let mut all = Vec::new();
    for (mutation, field) in &root.fields {
        let input = field.arguments[0].ty.inner_named_type();
        let mut paths = Vec::new();
        find(schema, input, &mut Vec::new(), &mut paths);
        assert_eq!(paths.is_empty(), OF_NO_USER.contains(&mutation.as_str()), "{mutation}");
        all.extend(paths.into_iter().map(|(path, by_id)| Named {
            mutation: mutation.to_string(),
            input: input.to_string(),
            payload: field.ty.inner_named_type().to_string(),
            path,
            by_id,
        }));
    }
    all
}

fn find(schema: &Schema, input: &str, path: &mut Vec<String>, found: &mut Vec<(Vec<String>, bool)>) {
    let Some(ExtendedType::InputObject(input)) = schema.types.get(input) else { return };
    for (name, field) in &input.fields {
        path.push(name.to_string());
        if field.ty.is_list() {
            path.push("0".to_owned());
        }
        let by_id = IDS_OF_USERS.contains(&(input.name.as_str(), name.as_str()));
        match field.ty.inner_named_type().as_str() {
            "UserBy" => found.push((path.clone(), false)),
            _ if by_id => found.push((path.clone(), true)),
            inner => find(schema, inner, path, found),
        }
        path.truncate(path.len() - 1 - usize::from(field.ty.is_list()));
    }
}

/// An input with everything that has to be given, and with `value` in the place `path`.
fn input(schema: &Schema, input: &InputObjectType, path: &[String], value: &Value) -> Value {
    let mut object = json!({});
    for (name, field) in &input.fields {
        let is_named = path.first().is_some_and(|first| first == name.as_str());
        let one_of = input.directives.has("oneOf");
        let needed = field.is_required() && !one_of;
        if is_named || needed || (one_of && path.is_empty() && object == json!({})) {
            let rest = if is_named { &path[1..] } else { &[] };
            object[name.as_str()] = sample(schema, &field.ty, rest, value, is_named);
        }
    }
    object
}

fn sample(schema: &Schema, ty: &Type, path: &[String], value: &Value, is_named: bool) -> Value {
    if ty.is_list() {
        let rest = if is_named { &path[1..] } else { path };
        return json!([sample(schema, ty.item_type(), rest, value, is_named)]);
    }
    if is_named && path.is_empty() {
        return value.clone();
    }
    match (schema.types.get(ty.inner_named_type()), ty.inner_named_type().as_str()) {
        (_, "UserBy") => json!({ "handle": "grace" }),
        (Some(ExtendedType::InputObject(object)), _) => input(schema, object, path, value),
        (Some(ExtendedType::Enum(one)), _) => json!(one.values.keys().next().unwrap().as_str()),
        (_, "Boolean") => json!(true),
        (_, "Int" | "BigInt") => json!(1),
        _ => json!("1"),
    }
}

/// Every mutation of the schema: its name, a document that asks for nothing but it, and variables with an input that
/// has what has to be given, and says whom it is about.
pub(crate) fn every_mutation(schema: &Schema) -> Vec<(String, String, Value)> {
    let Some(ExtendedType::Object(root)) = schema.types.get("Mutation") else { panic!("there are mutations") };
    let mutations = root.fields.iter().map(|(name, field)| {
        let ty = &field.arguments[0].ty;
        let document = format!("mutation($input: {ty}) {{ {name}(input: $input) {{ __typename }} }}");
        let mut input = sample(schema, ty, &[], &Value::Null, false);
        let object = schema.types.get(ty.inner_named_type());
        if matches!(object, Some(ExtendedType::InputObject(object)) if object.fields.contains_key("user")) {
            input["user"] = json!({ "handle": "grace" });
        }
        (name.to_string(), document, json!({ "input": input }))
    });
    mutations.collect()
}

fn document(named: &Named, selection: &str) -> String {
    let Named { mutation, input, .. } = named;
    format!("mutation($input: {input}!) {{ {mutation}(input: $input){selection} }}")
}

fn variables(schema: &Schema, named: &Named, by: &Value) -> Value {
    let Some(ExtendedType::InputObject(object)) = schema.types.get(named.input.as_str()) else {
        panic!("{} is an input", named.input)
    };
    json!({ "input": input(schema, object, &named.path, by) })
}

async fn every_mutation_refuses_a_user_who_does_not_exist_alike(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_MAX_COST", "1000000")]).await;
    let (schema, admin) = (everything::schema(), stage.app(&[Scope::Admin]).await);
    let places = places(&schema);
    assert!(places.len() >= 30, "{}", places.len());
    for named in &places {
        let names = [
            json!({ "id": NOBODY }),
            json!({ "handle": "nobody" }),
            json!({ "address": "0x0000000000000000000000000000000000000001" }),
            json!({ "account": { "platform": "discord", "id": "nobody" } }),
        ];
        let names = if named.by_id { vec![json!(NOBODY)] } else { names.to_vec() };
        for by in names {
            let variables = variables(&schema, named, &by);
            let refused = admin.data(&document(named, " { userErrors { code path } }"), variables.clone()).await;
            let expected = json!({ "userErrors": [{ "code": "UNKNOWN_USER", "path": named.path }] });
            assert_eq!(refused[&named.mutation], expected, "{} {variables}", named.mutation);
            // The payload answers all that it may be asked for.
            let whole = everything::selection(&schema, &named.payload);
            let answer = admin.query(&document(named, &whole), variables).await;
            assert!(answer.codes().is_empty(), "{}: {}", named.mutation, answer.text);
            let payload = &answer.json["data"][&named.mutation];
            for result in payload["results"].as_array().into_iter().flatten() {
                assert_eq!((&result["status"], &result["error"]["code"]), (&json!("REFUSED"), &json!("UNKNOWN_USER")));
            }
            assert!(payload["user"].is_null() && payload["changes"]["events"].as_array().is_none_or(Vec::is_empty));
        }
    }
}

async fn callers_who_may_not_write_for_others_do_not_learn_who_exists(stage: Stage) {
    let schema = everything::schema();
    let callers = [stage.anonymous(), stage.user("ada"), stage.app(&[Scope::ProgressRead]).await];
    // In its lists, users may name whom they like: each event is answered by itself.
    let places = places(&schema).into_iter().filter(|named| named.mutation != "recordProgress");
    for named in places.filter(|named| !named.by_id) {
        for by in [json!({ "handle": "grace" }), json!({ "handle": "nobody" })] {
            let variables = variables(&schema, &named, &by);
            for caller in &callers {
                let answer = caller.query(&document(&named, " { userErrors { code } }"), variables.clone()).await;
                assert_eq!(answer.codes(), ["FORBIDDEN"], "{} {variables}", named.mutation);
            }
        }
    }
}
