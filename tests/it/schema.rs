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
        introspection_has_limits_of_its_own,
        introspection_tells_what_the_schema_says,
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

/// What tools ask: the query of graphql-js with all of its options.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { description queryType { name kind } mutationType { name kind } \
    subscriptionType { name kind } types { ...FullType } directives { name description isRepeatable locations \
    args(includeDeprecated: true) { ...InputValue } } } } \
    fragment FullType on __Type { kind name description isOneOf specifiedByURL \
    fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef } \
    isDeprecated deprecationReason } inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef } \
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } possibleTypes { ...TypeRef } } \
    fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason } \
    fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name \
    ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";

async fn introspection_has_limits_of_its_own(stage: Stage) {
    let strict = stage.with(&[("WAYMARK_MAX_COST", "100"), ("WAYMARK_MAX_DEPTH", "5")]).await;
    let data = strict.anonymous().data(INTROSPECTION, Value::Null).await;
    assert!(data["__schema"]["types"].as_array().unwrap().len() > 100);
    // What leads in circles is too much by itself, and so is what is too deep.
    let circle = |levels: usize| {
        let (open, close) = ("{ interfaces { possibleTypes ".repeat(levels), " } }".repeat(levels));
        format!("{{ __schema {{ types {open}{{ name }}{close} }} }}")
    };
    for levels in [6, 20] {
        strict.anonymous().query(&circle(levels), Value::Null).await.refused(400, "LIMIT_EXCEEDED");
    }
    // Beside it, and through fragments, fields count as they do alone.
    let deep =
        "{ __typename currentSeason { goals { ...G } } } fragment G on Goal { season { goals { season { id } } } }";
    strict.anonymous().query(deep, Value::Null).await.refused(400, "LIMIT_EXCEEDED");
}

async fn introspection_tells_what_the_schema_says(stage: Stage) {
    let data = stage.anonymous().data(INTROSPECTION, Value::Null).await;
    let told = &data["__schema"];
    let schema = everything::schema();
    assert_eq!(told["description"], waymark::schema::DESCRIPTION);
    let types: Vec<_> = told["types"].as_array().unwrap().iter().collect();
    let ours = schema.types.values().filter(|ty| !ty.is_built_in());
    for ty in ours {
        let told = types.iter().find(|told| told["name"] == ty.name().as_str()).unwrap();
        assert_eq!(told["description"].as_str(), ty.description().map(|text| &**text), "{}", ty.name());
        let is_one_of = ty.as_input_object().map(|object| object.directives.has("oneOf"));
        assert_eq!(told["isOneOf"].as_bool(), is_one_of, "{}", ty.name());
    }
    assert!(types.iter().any(|ty| ty["isOneOf"] == true));
}
