//! The schema as a contract.

use apollo_compiler::Node;
use apollo_compiler::ast::{FieldDefinition, InputValueDefinition};
use apollo_compiler::schema::ExtendedType;
use serde_json::Value;
use waymark::auth::Scope;

use crate::everything;
use crate::harness::{Stage, tests};

tests! {
    once: [
        the_checked_in_schema_is_the_one_that_is_served,
        everything_in_the_schema_is_described,
        whatever_may_be_null_says_when,
        lists_hold_no_nulls_unless_they_answer_for_a_list_of_ids,
    ],
    demo: [
        the_server_hands_out_its_schema,
        introspection_can_be_turned_off,
    ],
    // Some of them write.
    own: [
        the_examples_of_the_playground_are_answered,
    ],
}

fn the_checked_in_schema_is_the_one_that_is_served() {
    let checked_in = include_str!("../../schema.graphql");
    assert!(checked_in == waymark::schema::sdl(), "schema.graphql is out of date: waymark schema > schema.graphql");
}

/// Every field of every type of ours, with its name.
fn fields() -> Vec<(String, Node<FieldDefinition>)> {
    let mut all = Vec::new();
    for (name, ty) in everything::schema().types.iter().filter(|(_, ty)| !ty.is_built_in()) {
        let fields = match ty {
            ExtendedType::Object(object) => &object.fields,
            ExtendedType::Interface(interface) => &interface.fields,
            _ => continue,
        };
        all.extend(fields.values().map(|field| (format!("{name}.{}", field.name), field.node.clone())));
    }
    all
}

fn everything_in_the_schema_is_described() {
    let mut bare = Vec::new();
    let mut check = |name: String, description: Option<&str>| {
        if description.is_none_or(|text| text.trim().is_empty()) {
            bare.push(name);
        }
    };
    let arguments =
        |place: &str, arguments: &[Node<InputValueDefinition>], check: &mut dyn FnMut(String, Option<&str>)| {
            arguments.iter().for_each(|one| check(format!("{place}({})", one.name), one.description.as_deref()));
        };
    for (name, ty) in everything::schema().types.iter().filter(|(_, ty)| !ty.is_built_in()) {
        check(name.to_string(), ty.description().map(|text| text.as_str()));
        match ty {
            ExtendedType::Enum(one) => one.values.values().for_each(|value| {
                check(format!("{name}.{}", value.value), value.description.as_deref());
            }),
            ExtendedType::InputObject(input) => input.fields.values().for_each(|field| {
                check(format!("{name}.{}", field.name), field.description.as_deref());
            }),
            _ => {}
        }
    }
    for (name, field) in fields() {
        check(name.clone(), field.description.as_deref());
        arguments(&name, &field.arguments, &mut check);
    }
    assert!(bare.is_empty(), "without a description: {bare:?}");
}

fn whatever_may_be_null_says_when() {
    let silent: Vec<_> = fields()
        .into_iter()
        .filter(|(_, field)| !field.ty.is_non_null())
        .filter(|(_, field)| !field.description.as_deref().unwrap_or_default().to_lowercase().contains("null"))
        .map(|(name, _)| name)
        .collect();
    assert!(silent.is_empty(), "may be null and does not say when: {silent:?}");
}

fn lists_hold_no_nulls_unless_they_answer_for_a_list_of_ids() {
    let holes: Vec<_> = fields()
        .into_iter()
        .filter(|(_, field)| field.ty.is_list() && !field.ty.item_type().is_non_null())
        .map(|(name, _)| name)
        .collect();
    assert_eq!(holes, ["Query.nodes", "Query.users", "User.gameSummaries", "User.resourceProgress"]);
}

async fn the_examples_of_the_playground_are_answered(stage: Stage) {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("playground/src/explore/examples");
    let mut examples: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    examples.retain(|path| path.extension().is_some_and(|extension| extension == "graphql"));
    assert!(examples.len() >= 5, "{examples:?}");
    for path in examples {
        let variables = std::fs::read_to_string(path.with_extension("json"));
        let variables = variables.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
        let text = std::fs::read_to_string(&path).unwrap();
        // Whoever tries them begins as grace; some are meant for another credential, which their names say.
        let stem = path.file_stem().unwrap().to_str().unwrap();
        let caller = match stem.split_once('.').map(|(_, credential)| credential) {
            None => stage.user("grace"),
            Some("app") => stage.app(&[Scope::ProgressWrite]).await,
            Some("admin") => stage.app(&[Scope::Admin]).await,
            Some(other) => panic!("{other} is no credential of the try-it mode"),
        };
        if text.contains("\nsubscription ") {
            crate::subscriptions::sse::stays_open(&stage, &caller, &text, variables).await;
            continue;
        }
        let data = caller.data(&text, variables).await;
        for (field, value) in data.as_object().unwrap() {
            assert!(!value.is_null(), "{}: {field}", path.display());
        }
    }
}

async fn the_server_hands_out_its_schema(stage: Stage) {
    use axum::{body::Body, http::Request};
    let answer = stage.anonymous().send(Request::get("/schema.graphql").body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.text), (200, waymark::schema::sdl()));
}

async fn introspection_can_be_turned_off(stage: Stage) {
    let query = "{ __schema { types { name } } }";
    let data = stage.anonymous().data(query, Value::Null).await;
    assert!(data["__schema"]["types"].as_array().unwrap().len() > 50);
    let closed = stage.with(&[("WAYMARK_INTROSPECTION", "false")]).await;
    for query in [query, r#"{ __type(name: "User") { name } }"#] {
        let answer = closed.anonymous().query(query, Value::Null).await;
        assert!(!answer.text.contains("\"name\":"), "{}", answer.text);
        assert!(!answer.codes().is_empty(), "it says so: {}", answer.text);
    }
    assert_eq!(closed.anonymous().data("{ __typename }", Value::Null).await["__typename"], "Query");
}
