//! What validation leaves open about input: objects of which exactly one field is to be given, fields given twice,
//! values of our own scalars, texts that cannot be stored, and variables without a value.
//!
//! The engine reads the values of scalars field by field while it executes. What it would refuse then is refused here,
//! so that no mutation has been carried out when a later one cannot be.
//!
//! A text that holds a NUL refuses the whole request and is named by its place, unless it stands in a list: items of
//! lists are checked one by one by the resolver, and fail one by one.

use std::borrow::Cow;

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::{Operation, Selection, SelectionSet};
use apollo_compiler::parser::{SourceMap, SourceSpan};
use apollo_compiler::response::{JsonMap, JsonValue};
use apollo_compiler::schema::InputObjectType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument as EngineDocument, Selection as EngineSelection,
    SelectionSet as EngineSelectionSet,
};
use async_graphql::{Positioned, ScalarType};
use async_graphql_value::indexmap::IndexMap;
use async_graphql_value::{ConstValue, Value as EngineValue};

use super::Refusal;
use super::faults::Fault;
use waymark_graphql_kit::scalars::{BigInt, beginning, expected};
use waymark_kernel::clock::Timestamp;
use waymark_kernel::error::Code;
use waymark_kernel::text;
use waymark_kinds::credits::graphql::Credits;
use waymark_schema::READ_WITH_THE_ITEM;

/// Checks every value that is written in a document.
pub(super) fn check_document(schema: &Valid<Schema>, document: &ExecutableDocument) -> Result<(), Refusal> {
    let check = |name: &Name, ty: &Type, value: &Node<Value>| {
        let fault = match nul_in_value(value) {
            Some(fault) => Err(fault),
            None => check_value(schema, ty, value),
        };
        fault.map_err(|fault| fault.at(value.location()).refuse(name, &document.sources))
    };
    for operation in document.operations.iter() {
        for variable in &operation.variables {
            if let Some(default) = &variable.default_value {
                check(&variable.name, &variable.ty, default)?;
            }
        }
        check_selections(&operation.selection_set, &check)?;
    }
    document.fragments.values().try_for_each(|fragment| check_selections(&fragment.selection_set, &check))
}

fn check_selections(
    selections: &SelectionSet,
    check: &impl Fn(&Name, &Type, &Node<Value>) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    for selection in &selections.selections {
        match selection {
            Selection::Field(field) => {
                for argument in &field.arguments {
                    if let Some(definition) = field.definition.argument_by_name(&argument.name) {
                        check(&argument.name, &definition.ty, &argument.value)?;
                    }
                }
                check_selections(&field.selection_set, check)?;
            }
            Selection::InlineFragment(inline) => check_selections(&inline.selection_set, check)?,
            Selection::FragmentSpread(_) => {}
        }
    }
    Ok(())
}

fn check_value(schema: &Valid<Schema>, ty: &Type, value: &Node<Value>) -> Result<(), Fault> {
    let found = || value.serialize().no_indent().to_string();
    let scalar = |read| check_scalar(ty, read, found).map_err(|fault| fault.at(value.location()));
    match &**value {
        Value::List(items) if ty.is_list() => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(place, item)| {
                check_value(schema, ty.item_type(), item).map_err(|fault| fault.inside(place))
            })
        }
        Value::List(_) => scalar(ConstValue::List(Vec::new())),
        Value::Object(members) => {
            let Some(object) = schema.get_input_object(ty.inner_named_type()) else {
                return scalar(ConstValue::Object(IndexMap::new()));
            };
            if let Some((name, value)) = first_twice(members) {
                let twice = Fault::new(Code::GraphqlValidationFailed, value.location(), "is given twice");
                return Err(twice.inside(name));
            }
            if is_one_of(object) && (members.len() != 1 || members.iter().any(|(_, value)| value.is_null())) {
                let message = one_of(object, &found());
                return Err(Fault::new(Code::GraphqlValidationFailed, value.location(), message));
            }
            members.iter().try_for_each(|(name, value)| match object.fields.get(name) {
                Some(field) if !is_read_later(object, name) => {
                    check_value(schema, &field.ty, value).map_err(|fault| fault.inside(name))
                }
                _ => Ok(()),
            })
        }
        single => literal(single).map_or(Ok(()), scalar),
    }
}

/// A value that is written in a document and is no list, object, variable or null.
fn literal(value: &Value) -> Option<ConstValue> {
    // What is too large for a number is no number for the engine either.
    let number =
        |text: &str| Some(text.parse().map_or_else(|_| ConstValue::String(text.to_owned()), ConstValue::Number));
    match value {
        Value::String(text) => Some(ConstValue::String(text.clone())),
        Value::Boolean(is) => Some(ConstValue::Boolean(*is)),
        Value::Enum(name) => Some(ConstValue::String(name.to_string())),
        Value::Int(value) => number(value.as_str()),
        Value::Float(value) => number(value.as_str()),
        Value::Null | Value::Variable(_) | Value::List(_) | Value::Object(_) => None,
    }
}

/// Reads a value as the engine will where it is of a scalar of ours.
fn check_scalar(ty: &Type, value: ConstValue, found: impl Fn() -> String) -> Result<(), Fault> {
    let name = ty.inner_named_type().as_str();
    let is_read = match name {
        "BigInt" => <BigInt as ScalarType>::parse(value).is_ok(),
        "Credits" => <Credits as ScalarType>::parse(value).is_ok(),
        "DateTime" => <Timestamp as ScalarType>::parse(value).is_ok(),
        _ => true,
    };
    if is_read { Ok(()) } else { Err(Fault::of_type(expected(name), found())) }
}

/// Whether a member of an item of a list is read by the resolver, which refuses the item alone.
fn is_read_later(object: &InputObjectType, member: &str) -> bool {
    READ_WITH_THE_ITEM.iter().any(|(parent, name)| object.name == *parent && member == *name)
}

fn first_twice(members: &[(Name, Node<Value>)]) -> Option<&(Name, Node<Value>)> {
    members
        .iter()
        .enumerate()
        .find(|(place, one)| members.iter().take(*place).any(|other| other.0 == one.0))
        .map(|(_, one)| one)
}

/// Checks the coerced values of an operation's variables.
pub(super) fn check_variables(
    schema: &Valid<Schema>,
    document: &ExecutableDocument,
    operation: &Operation,
    values: &JsonMap,
) -> Result<(), Refusal> {
    operation.variables.iter().try_for_each(|variable| {
        let Some(value) = values.get(variable.name.as_str()) else { return Ok(()) };
        let fault = match nul_in_json(value) {
            Some(fault) => Err(fault),
            None => check_json(schema, &variable.ty, value),
        };
        fault.map_err(|fault| {
            let name = argument_of(document, operation, &variable.name);
            fault.at(variable.location()).refuse(&name, &document.sources)
        })
    })
}

/// The argument into which a variable goes first, with the steps inside of it; of one that goes nowhere its own name.
pub(super) fn argument_of(document: &ExecutableDocument, operation: &Operation, variable: &Name) -> String {
    let fragments = document.fragments.values().map(|fragment| &fragment.selection_set);
    let argument =
        std::iter::once(&operation.selection_set).chain(fragments).find_map(|set| argument_in(set, variable));
    argument.unwrap_or_else(|| variable.to_string())
}

fn argument_in(selections: &SelectionSet, variable: &Name) -> Option<String> {
    selections.selections.iter().find_map(|selection| match selection {
        Selection::Field(field) => {
            let mut arguments = field.arguments.iter();
            let argument =
                arguments.find_map(|one| Some(format!("{}{}", one.name, variable_in(&one.value, variable)?)));
            argument.or_else(|| argument_in(&field.selection_set, variable))
        }
        Selection::InlineFragment(inline) => argument_in(&inline.selection_set, variable),
        Selection::FragmentSpread(_) => None,
    })
}

/// The steps to a variable in a value.
fn variable_in(value: &Value, variable: &Name) -> Option<String> {
    match value {
        Value::Variable(name) => (name == variable).then(String::new),
        Value::Object(members) => {
            members.iter().find_map(|(name, member)| variable_in(member, variable).map(in_member(name)))
        }
        Value::List(items) => items.iter().find_map(|item| variable_in(item, variable)),
        _ => None,
    }
}

/// The fault of a text that is written in a document and holds a NUL, outside of lists.
fn nul_in_value(value: &Node<Value>) -> Option<Fault> {
    match &**value {
        Value::String(text) => {
            text.contains('\0').then(|| Fault::new(Code::GraphqlValidationFailed, value.location(), text::HOLDS_NUL))
        }
        Value::Object(members) => members.iter().find_map(|(name, member)| Some(nul_in_value(member)?.inside(name))),
        _ => None,
    }
}

/// The same of the value of a variable.
fn nul_in_json(value: &JsonValue) -> Option<Fault> {
    match value {
        JsonValue::String(text) => {
            text.as_str().contains('\0').then(|| Fault::new(Code::BadUserInput, None, text::HOLDS_NUL))
        }
        JsonValue::Object(members) => {
            members.iter().find_map(|(name, member)| Some(nul_in_json(member)?.inside(name.as_str())))
        }
        _ => None,
    }
}

fn in_member(name: &str) -> impl FnOnce(String) -> String {
    move |rest| format!(".{name}{rest}")
}

fn check_json(schema: &Valid<Schema>, ty: &Type, value: &JsonValue) -> Result<(), Fault> {
    let scalar = |read| check_scalar(ty, read, || value.to_string());
    match value {
        JsonValue::Array(items) if ty.is_list() => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(place, item)| {
                check_json(schema, ty.item_type(), item).map_err(|fault| fault.inside(place))
            })
        }
        JsonValue::Array(_) => scalar(ConstValue::List(Vec::new())),
        JsonValue::Object(members) => {
            let Some(object) = schema.get_input_object(ty.inner_named_type()) else {
                return scalar(ConstValue::Object(IndexMap::new()));
            };
            if is_one_of(object) && (members.len() != 1 || members.values().any(JsonValue::is_null)) {
                return Err(Fault::new(Code::BadUserInput, None, one_of(object, &value.to_string())));
            }
            members.iter().try_for_each(|(name, value)| match object.fields.get(name.as_str()) {
                Some(field) if !is_read_later(object, name.as_str()) => {
                    check_json(schema, &field.ty, value).map_err(|fault| fault.inside(name.as_str()))
                }
                _ => Ok(()),
            })
        }
        JsonValue::Null => Ok(()),
        JsonValue::Bool(is) => scalar(ConstValue::Boolean(*is)),
        // As it comes from a default.
        JsonValue::Number(number) if ty.inner_named_type() == "ID" && !number.is_i64() => {
            Err(Fault::of_type(expected("ID"), number))
        }
        JsonValue::Number(number) => scalar(ConstValue::Number(number.clone())),
        JsonValue::String(text) => scalar(ConstValue::String(text.as_str().to_owned())),
    }
}

fn is_one_of(object: &InputObjectType) -> bool {
    object.directives.has("oneOf")
}

fn one_of(object: &InputObjectType, found: &str) -> String {
    let fields: Vec<&str> = object.fields.keys().map(Name::as_str).collect();
    format!("takes exactly one of {}, which is not null, and not {}", fields.join(", "), beginning(found))
}

/// Removes the arguments that stand for a variable without a value, so that they fall back to their defaults. Members
/// of input objects are left out by the engine itself.
pub(super) fn drop_omitted(document: &mut EngineDocument, given: &impl Fn(&str) -> bool) {
    if let DocumentOperations::Single(operation) = &mut document.operations {
        drop_in_selections(&mut operation.node.selection_set.node, given);
    }
}

fn drop_in_selections(selections: &mut EngineSelectionSet, given: &impl Fn(&str) -> bool) {
    for Positioned { node: selection, .. } in &mut selections.items {
        match selection {
            EngineSelection::Field(field) => {
                let is_given = |value: &EngineValue| !matches!(value, EngineValue::Variable(name) if !given(name));
                field.node.arguments.retain(|(_, value)| is_given(&value.node));
                drop_in_selections(&mut field.node.selection_set.node, given);
            }
            EngineSelection::InlineFragment(inline) => {
                drop_in_selections(&mut inline.node.selection_set.node, given);
            }
            EngineSelection::FragmentSpread(_) => {}
        }
    }
}

/// The values of variables with whole numbers as such where an `Int` or `ID` is wanted: JSON writes 1 as `1.0` too, and
/// an `ID` may be any whole number.
pub(super) fn with_whole_numbers<'a>(
    schema: &Valid<Schema>,
    operation: &Operation,
    values: &'a JsonMap,
) -> Cow<'a, JsonMap> {
    if !values.values().any(has_wide_number) {
        return Cow::Borrowed(values);
    }
    let mut values = values.clone();
    for variable in &operation.variables {
        if let Some(value) = values.get_mut(variable.name.as_str()) {
            make_whole(schema, &variable.ty, value);
        }
    }
    Cow::Owned(values)
}

/// Whether there is a number in it that is not simply an integer of 64 bits with a sign.
fn has_wide_number(value: &JsonValue) -> bool {
    match value {
        JsonValue::Number(number) => !number.is_i64(),
        JsonValue::Array(items) => items.iter().any(has_wide_number),
        JsonValue::Object(members) => members.values().any(has_wide_number),
        _ => false,
    }
}

fn make_whole(schema: &Valid<Schema>, ty: &Type, value: &mut JsonValue) {
    /// Every whole number up to here is a different `f64`.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match value {
        JsonValue::Array(items) => items.iter_mut().for_each(|item| make_whole(schema, ty.item_type(), item)),
        JsonValue::Object(members) => {
            let Some(object) = schema.get_input_object(ty.inner_named_type()) else { return };
            for (name, member) in members.iter_mut() {
                if let Some(field) = object.fields.get(name.as_str()) {
                    make_whole(schema, &field.ty, member);
                }
            }
        }
        JsonValue::Number(number) => {
            let float = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < EXACT);
            let whole = float.and_then(|float| format!("{float:.0}").parse::<i64>().ok());
            match (ty.inner_named_type().as_str(), whole) {
                ("ID", _) if number.is_u64() => *value = number.to_string().into(),
                ("ID" | "Int", Some(whole)) => *value = whole.into(),
                _ => {}
            }
        }
        _ => {}
    }
}

/// The argument of the introspection where the engine takes no `null`, and later editions of the specification neither.
const INCLUDE_DEPRECATED: &str = "includeDeprecated";

/// A place of a variable where `null` cannot be, though the variable itself may be.
#[derive(Debug)]
pub(super) struct Strict {
    variable: Name,
    /// The argument, with the steps inside of it.
    place: String,
    /// Whether it has to have a value there, because nothing stands in for it.
    needs_value: bool,
    at: Option<SourceSpan>,
}

/// The places of an operation where `null` cannot be.
pub(super) fn strict_places(
    schema: &Valid<Schema>,
    document: &ExecutableDocument,
    operation: &Operation,
) -> Vec<Strict> {
    let mut found = Vec::new();
    for field in operation.all_fields(document) {
        for argument in &field.arguments {
            if let Some(definition) = field.definition.argument_by_name(&argument.name) {
                let (mut ty, needs_value) = (Cow::Borrowed(&*definition.ty), definition.default_value.is_none());
                if argument.name == INCLUDE_DEPRECATED {
                    ty = Cow::Owned(ty.into_owned().non_null());
                }
                strict_in(schema, &ty, needs_value, &argument.value, argument.name.to_string(), &mut found);
            }
        }
    }
    for variable in super::compile::deciding(document, operation) {
        found.push(Strict { variable, place: "if".to_owned(), needs_value: true, at: None });
    }
    found.retain(|strict| {
        let variable = operation.variables.iter().find(|variable| variable.name == strict.variable);
        variable.is_some_and(|variable| !variable.ty.is_non_null())
    });
    found
}

fn strict_in(
    schema: &Valid<Schema>,
    ty: &Type,
    needs_value: bool,
    value: &Node<Value>,
    place: String,
    found: &mut Vec<Strict>,
) {
    match &**value {
        Value::Variable(variable) if ty.is_non_null() => {
            found.push(Strict { variable: variable.clone(), place, needs_value, at: value.location() });
        }
        Value::List(items) => {
            items.iter().for_each(|item| strict_in(schema, ty.item_type(), true, item, place.clone(), found));
        }
        Value::Object(members) => {
            let Some(object) = schema.get_input_object(ty.inner_named_type()) else { return };
            for (name, member) in members {
                let Some(field) = object.fields.get(name) else { continue };
                let place = format!("{place}.{name}");
                match &**member {
                    Value::Variable(variable) if is_one_of(object) => {
                        found.push(Strict {
                            variable: variable.clone(),
                            place,
                            needs_value: true,
                            at: member.location(),
                        });
                    }
                    _ => {
                        strict_in(schema, &field.ty, field.default_value.is_none(), member, place, found);
                    }
                }
            }
        }
        _ => {}
    }
}

/// Refuses `null` where it cannot be.
pub(super) fn check_strict(places: &[Strict], values: &JsonMap, sources: &SourceMap) -> Result<(), Refusal> {
    places.iter().try_for_each(|strict| {
        let message = match values.get(strict.variable.as_str()) {
            Some(JsonValue::Null) => "takes no null".to_owned(),
            None if strict.needs_value => format!("needs a value, and ${} has none", strict.variable),
            _ => return Ok(()),
        };
        Err(Fault::new(Code::BadUserInput, strict.at, message).refuse(&strict.place, sources))
    })
}
