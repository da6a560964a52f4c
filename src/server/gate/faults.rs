//! What is wrong with a value of a document or of a variable: where it stands, what is taken there, and what was found.

use std::fmt::Display;

use apollo_compiler::executable::Operation;
use apollo_compiler::parser::{SourceMap, SourceSpan};
use apollo_compiler::response::{GraphQLError, JsonMap, JsonValue};
use apollo_compiler::schema::{ExtendedType, Type};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Schema};

use super::Refusal;
use super::inputs::argument_of;
use waymark_graphql_kit::scalars::{beginning, expected};
use waymark_kernel::error::Code;

/// A fault of a value.
#[derive(Debug)]
pub(super) struct Fault {
    code: Code,
    /// The steps from the argument or variable to the value, each behind a dot.
    place: String,
    message: String,
    at: Option<SourceSpan>,
}

impl Fault {
    pub(super) fn new(code: Code, at: Option<SourceSpan>, message: impl Into<String>) -> Self {
        Self { code, place: String::new(), message: message.into(), at }
    }

    /// The fault of a value that is not of its type.
    pub(super) fn of_type(expected: impl Display, found: impl Display) -> Self {
        let message = format!("takes {expected}, and not {}", beginning(&found.to_string()));
        Self::new(Code::BadUserInput, None, message)
    }

    /// The same, of a member or an item of a value.
    pub(super) fn inside(mut self, step: impl Display) -> Self {
        self.place.insert_str(0, &format!(".{step}"));
        self
    }

    /// The same at this place of the document, unless one is known.
    pub(super) fn at(self, at: Option<SourceSpan>) -> Self {
        Self { at: self.at.or(at), ..self }
    }

    /// The refusal of the argument or variable that is called so.
    pub(super) fn refuse(self, name: &str, sources: &SourceMap) -> Refusal {
        let message = format!("{name}{} {}", self.place, self.message);
        let faults = vec![GraphQLError::new(message, self.at, sources)];
        Refusal { faults, ..Refusal::new(self.code, "") }
    }
}

/// The refusal of values of variables that are not of the variables' types; `None`: they are.
pub(super) fn of_variables(
    schema: &Valid<Schema>,
    document: &ExecutableDocument,
    operation: &Operation,
    values: &JsonMap,
) -> Option<Refusal> {
    operation.variables.iter().find_map(|variable| {
        let fault = match values.get(variable.name.as_str()) {
            Some(value) => fit(schema, &variable.ty, value).err()?,
            None if variable.default_value.is_none() && variable.ty.is_non_null() => {
                Fault::new(Code::BadUserInput, None, format!("needs a value, and ${} has none", variable.name))
            }
            None => return None,
        };
        let name = argument_of(document, operation, &variable.name);
        Some(fault.at(variable.location()).refuse(&name, &document.sources))
    })
}

fn fit(schema: &Valid<Schema>, ty: &Type, value: &JsonValue) -> Result<(), Fault> {
    match (value, schema.types.get(ty.inner_named_type())) {
        (JsonValue::Null, _) if !ty.is_non_null() => Ok(()),
        (JsonValue::Null, definition) => Err(Fault::of_type(wanted(ty, definition), "null")),
        (JsonValue::Array(items), _) if ty.is_list() => {
            let mut items = items.iter().enumerate();
            items.try_for_each(|(place, item)| fit(schema, ty.item_type(), item).map_err(|fault| fault.inside(place)))
        }
        (_, _) if ty.is_list() => fit(schema, ty.item_type(), value),
        (JsonValue::Object(members), Some(ExtendedType::InputObject(object))) => {
            if let Some((name, _)) = members.iter().find(|(name, _)| !object.fields.contains_key(name.as_str())) {
                let known: Vec<&str> = object.fields.keys().map(Name::as_str).collect();
                let message = format!("is unknown; {} has {}", object.name, known.join(", "));
                return Err(Fault::new(Code::BadUserInput, None, message).inside(beginning(name.as_str())));
            }
            object.fields.iter().try_for_each(|(name, field)| match members.get(name.as_str()) {
                Some(value) => fit(schema, &field.ty, value).map_err(|fault| fault.inside(name)),
                None if field.default_value.is_none() && field.ty.is_non_null() => {
                    Err(Fault::new(Code::BadUserInput, None, "is missing").inside(name))
                }
                None => Ok(()),
            })
        }
        (value, Some(definition)) if is_of(definition, ty.inner_named_type(), value) => Ok(()),
        (value, definition) => Err(Fault::of_type(wanted(ty, definition), value)),
    }
}

/// Whether a value that is no null is of a scalar, as GraphQL coerces it, or of an enumeration.
fn is_of(definition: &ExtendedType, name: &Name, value: &JsonValue) -> bool {
    match (definition, name.as_str()) {
        (ExtendedType::Enum(known), _) => value.as_str().is_some_and(|value| known.values.contains_key(value)),
        (ExtendedType::Scalar(_), "Int") => value.as_i64().is_some_and(|value| i32::try_from(value).is_ok()),
        (ExtendedType::Scalar(_), "Float") => value.is_number(),
        (ExtendedType::Scalar(_), "String") => value.is_string(),
        (ExtendedType::Scalar(_), "Boolean") => value.is_boolean(),
        (ExtendedType::Scalar(_), "ID") => value.is_string() || value.is_i64(),
        (ExtendedType::Scalar(_), _) => true,
        _ => false,
    }
}

/// What a place of this type takes, in words.
fn wanted(ty: &Type, definition: Option<&ExtendedType>) -> String {
    if ty.is_list() {
        return "a list".to_owned();
    }
    match definition {
        Some(ExtendedType::Enum(known)) => {
            let names: Vec<&str> = known.values.keys().map(Name::as_str).collect();
            format!("one of {}", names.join(", "))
        }
        Some(ExtendedType::InputObject(object)) => format!("an object with the members of {}", object.name),
        _ => expected(ty.inner_named_type()).to_owned(),
    }
}
