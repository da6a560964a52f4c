//! What the gate makes of random documents, compared with what graphql-js makes of them.
//!
//! The cases come from `tests/oracle/generate.js`: some are kept beside it, and `ORACLE_CASES` names a file of more.

use std::collections::HashMap;
use std::path::Path;

use apollo_compiler::ast::{InputValueDefinition, Type};
use apollo_compiler::response::JsonMap;
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Node, Schema};
use async_graphql::Variables;
use async_graphql::parser::types as engine;
use async_graphql_value::{ConstValue, Name as EngineName, Value as EngineValue};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Code, Gate};
use waymark_kernel::config::Config;
use waymark_schema::bounds::Sizes;

#[derive(Deserialize)]
struct Case {
    query: String,
    variables: JsonMap,
    refused: Option<String>,
    why: Option<String>,
    asked: Option<Value>,
}

/// Reads what the engine is given as it is meant: for each type of object the fields that are asked for.
struct Reader<'a> {
    schema: &'a Valid<Schema>,
    variables: &'a Variables,
}

impl Reader<'_> {
    fn asked(&self, ty: &str, set: &engine::SelectionSet) -> Value {
        let ty = Name::new(ty).unwrap();
        let objects = self.schema.types.iter().filter(|(_, one)| one.is_object()).map(|(name, _)| name);
        let possible = objects.filter(|name| **name == ty || self.schema.is_subtype(&ty, name));
        let lists = possible.map(|name| (name.to_string(), self.fields(name, set)));
        Value::Object(lists.filter(|(_, fields)| !fields.is_empty()).map(|(name, list)| (name, list.into())).collect())
    }

    fn fields(&self, object: &Name, set: &engine::SelectionSet) -> Vec<Value> {
        let mut fields = Vec::new();
        for item in &set.items {
            match &item.node {
                engine::Selection::Field(field) => fields.push(self.field(object, &field.node)),
                engine::Selection::InlineFragment(inline) => {
                    let on = &inline.node.type_condition.as_ref().unwrap().node.on.node;
                    if *on == **object {
                        fields.extend(self.fields(object, &inline.node.selection_set.node));
                    }
                }
                engine::Selection::FragmentSpread(_) => panic!("a fragment is left"),
            }
        }
        fields
    }

    fn field(&self, object: &Name, field: &engine::Field) -> Value {
        let key = field.response_key().node.to_string();
        let name = &*field.name.node;
        let definition = self.schema.type_field(object, name).unwrap();
        let given: HashMap<&str, &EngineValue> =
            field.arguments.iter().map(|(name, value)| (&*name.node, &value.node)).collect();
        let arguments = self.members(definition.arguments.iter(), &|name| given.get(name).copied());
        let set = &field.selection_set.node;
        let below = if set.items.is_empty() { Value::Null } else { self.asked(definition.ty.inner_named_type(), set) };
        // A list of an object of which nothing is asked is as good as none.
        let is_composite = self
            .schema
            .types
            .get(definition.ty.inner_named_type())
            .is_some_and(|ty| ty.is_object() || ty.is_interface() || ty.is_union());
        json!([key, name, arguments, if is_composite && below.is_null() { json!({}) } else { below }])
    }

    /// The values of arguments or members, with their defaults.
    fn members<'a>(
        &self,
        definitions: impl Iterator<Item = &'a Node<InputValueDefinition>>,
        given: &dyn Fn(&str) -> Option<&'a EngineValue>,
    ) -> Value {
        let values = definitions.filter_map(|definition| {
            let value = given(&definition.name).filter(|value| match value {
                EngineValue::Variable(name) => self.variables.contains_key(name),
                _ => true,
            });
            let value = match (value, &definition.default_value) {
                (Some(value), _) => self.value(&definition.ty, value),
                (None, Some(default)) => written(default),
                (None, None) => return None,
            };
            Some((definition.name.to_string(), value))
        });
        Value::Object(values.collect())
    }

    fn value(&self, ty: &Type, value: &EngineValue) -> Value {
        match value {
            EngineValue::Variable(name) => self.variables.get(name).map_or(Value::Null, |value| self.sent(ty, value)),
            EngineValue::Null => Value::Null,
            EngineValue::List(items) if ty.is_list() => {
                items.iter().map(|item| self.value(ty.item_type(), item)).collect()
            }
            // One value stands for a list of one.
            value if ty.is_list() => json!([self.value(ty.item_type(), value)]),
            EngineValue::Object(members) => match self.schema.get_input_object(ty.inner_named_type()) {
                Some(object) => {
                    let given = |name: &str| members.get(&EngineName::new(name));
                    // Members that the schema does not know must not get lost here.
                    assert!(members.keys().all(|name| object.fields.contains_key(&**name)), "{members:?}");
                    self.members(object.fields.values().map(|field| &field.node), &given)
                }
                None => {
                    Value::Object(members.iter().map(|(name, one)| (name.to_string(), self.value(ty, one))).collect())
                }
            },
            EngineValue::List(items) => items.iter().map(|item| self.value(ty, item)).collect(),
            EngineValue::Number(number) if ty.inner_named_type() == "ID" => json!(number.to_string()),
            EngineValue::Number(number) => json!(number),
            EngineValue::String(text) => json!(text),
            EngineValue::Boolean(is) => json!(is),
            EngineValue::Enum(name) => json!(&**name),
            EngineValue::Binary(_) => panic!("bytes"),
        }
    }

    /// The value of a variable.
    fn sent(&self, ty: &Type, value: &ConstValue) -> Value {
        self.value(ty, &value.clone().into_value())
    }
}

/// A default as the schema writes it.
fn written(value: &apollo_compiler::ast::Value) -> Value {
    use apollo_compiler::ast::Value as Written;
    match value {
        Written::Null | Written::Variable(_) => Value::Null,
        Written::Enum(name) => json!(name.as_str()),
        Written::String(text) => json!(text),
        Written::Float(number) => json!(number.try_to_f64().unwrap()),
        Written::Int(number) => json!(number.try_to_f64().unwrap()),
        Written::Boolean(is) => json!(is),
        Written::List(items) => items.iter().map(|item| written(item)).collect(),
        Written::Object(members) => {
            Value::Object(members.iter().map(|(name, value)| (name.to_string(), written(value))).collect())
        }
    }
}

/// The same with every number as JavaScript has it.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(name, value)| (name, plain(value))).collect())
        }
        other => other,
    }
}

fn judged(gate: &Gate, case: &Case) -> Result<Value, &'static str> {
    let passed =
        gate.pass(&case.query, None, &case.variables, &Sizes::all(0)).map_err(|refusal| match refusal.code {
            Code::GraphqlParseFailed | Code::GraphqlValidationFailed => "document",
            Code::BadUserInput => "variables",
            Code::LimitExceeded => "limit",
            _ => "something else",
        })?;
    let root = gate.schema.root_operation(passed.kind).unwrap().to_string();
    let mut request = passed.into_request();
    let variables = std::mem::take(&mut request.variables);
    let document = request.parsed_query().unwrap();
    let (_, operation) = document.operations.iter().next().unwrap();
    let reader = Reader { schema: &gate.schema, variables: &variables };
    Ok(reader.asked(&root, &operation.node.selection_set.node))
}

#[test]
fn documents_mean_what_they_mean_to_graphql_js() {
    let limits = [("DEPTH", "100"), ("COST", "4000000000"), ("ALIASES", "10000")];
    let limits = limits.map(|(name, most)| (format!("WAYMARK_MAX_{name}"), most.to_owned()));
    let gate = Gate::new(&waymark_schema::sdl(), &Config::from_sources(None, limits).unwrap().limits, true).unwrap();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/cases.ndjson");
    let file = std::env::var_os("ORACLE_CASES").map_or(kept, Into::into);
    let cases = std::fs::read_to_string(file).unwrap();
    let (mut faults, mut count, mut limited, mut carried_out) = (Vec::new(), 0, 0, 0);
    for case in cases.lines().map(|line| serde_json::from_str::<Case>(line).unwrap()) {
        count += 1;
        let is = judged(&gate, &case).map(plain);
        let wanted = match (&case.refused, &case.asked) {
            (Some(kind), _) => Err(kind.as_str()),
            (None, asked) => Ok(plain(asked.clone().unwrap())),
        };
        limited += usize::from(is == Err("limit"));
        carried_out += usize::from(is.is_ok());
        if is != wanted && is != Err("limit") {
            let why = case.why.unwrap_or_default();
            faults.push(format!("{}\n{:?}\nis:     {is:?}\nwanted: {wanted:?} {why}", case.query, case.variables));
        }
    }
    assert!(faults.is_empty(), "{} of {count} differ:\n{}", faults.len(), faults[..faults.len().min(10)].join("\n\n"));
    assert!(count >= 200 && carried_out > count / 2 && limited < count / 50, "{count}, {carried_out}, {limited}");
}
