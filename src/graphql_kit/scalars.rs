//! Scalars beyond GraphQL's own.

use std::borrow::Cow;

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    ContextSelectionSet, InputType, InputValueError, InputValueResult, OutputType, Positioned, Scalar, ScalarType,
    ServerResult, Value,
};

/// A 64-bit signed integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BigInt(pub i64);

/// A 64-bit signed integer, written as a JSON number. Values beyond 2^53 lose digits in JavaScript; amounts of credits
/// stay below that up to nine thousand million credits.
#[Scalar]
impl ScalarType for BigInt {
    fn parse(value: Value) -> InputValueResult<Self> {
        match &value {
            Value::Number(number) => number.as_i64().map(Self).ok_or_else(|| InputValueError::expected_type(value)),
            _ => Err(InputValueError::expected_type(value)),
        }
    }

    fn to_value(&self) -> Value {
        Value::Number(self.0.into())
    }
}

/// What a scalar takes, in words that follow "takes".
#[must_use]
pub fn expected(scalar: &str) -> &'static str {
    match scalar {
        "Int" => "a whole number of 32 bits",
        "BigInt" => "a whole number of 64 bits",
        "Float" => "a number",
        "Boolean" => "true or false",
        "ID" => "an ID as a text",
        "Credits" => "a decimal number in a string with at most six decimals, such as \"12.5\"",
        "DateTime" => "an RFC 3339 date and time in a string, such as \"2026-03-15T14:30:00Z\"",
        "String" => "a text",
        _ => "another value",
    }
}

/// The beginning of a text that is shown to say what was found.
#[must_use]
pub fn beginning(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A value of a member of an item of a list, where one that cannot be read refuses the item and not the whole request.
#[derive(Debug, Clone)]
pub struct Lenient<T>(
    /// What was read, or why it could not be.
    pub std::result::Result<T, String>,
);

impl<T: InputType> InputType for Lenient<T> {
    type RawValueType = T;

    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    fn parse(value: Option<Value>) -> InputValueResult<Self> {
        let found = value.clone().unwrap_or_default();
        let reason = |_| format!("takes {}, and not {}", expected(&T::type_name()), beginning(&found.to_string()));
        Ok(Self(T::parse(value).map_err(reason)))
    }

    fn to_value(&self) -> Value {
        self.0.as_ref().map_or(Value::Null, T::to_value)
    }

    fn as_raw_value(&self) -> Option<&T> {
        self.0.as_ref().ok()
    }
}

/// Any JSON value.
#[derive(Debug, Clone)]
pub struct Json(pub Value);

/// Any JSON value; which members an object has stands with the field.
#[Scalar(name = "JSON", specified_by_url = "https://www.rfc-editor.org/rfc/rfc8259")]
impl ScalarType for Json {
    fn parse(value: Value) -> InputValueResult<Self> {
        Ok(Self(value))
    }

    fn to_value(&self) -> Value {
        self.0.clone()
    }
}

/// A JSON value that was already serialized, and counted as part of the answer then.
#[derive(Debug, Clone)]
pub struct Written(Value);

impl From<String> for Written {
    fn from(json: String) -> Self {
        Self(Value::Binary(json.into_bytes().into()))
    }
}

impl OutputType for Written {
    fn type_name() -> Cow<'static, str> {
        <Json as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Json as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        Ok(self.0.clone())
    }
}

/// A JSON value as it is stored, which is parsed where it is asked for.
#[derive(Debug, Clone)]
pub struct Unparsed(pub String);

impl OutputType for Unparsed {
    fn type_name() -> Cow<'static, str> {
        <Json as OutputType>::type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Json as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, _: &ContextSelectionSet<'_>, _: &Positioned<Field>) -> ServerResult<Value> {
        let json = serde_json::from_str(&self.0).ok();
        Ok(json.and_then(|json| Value::from_json(json).ok()).unwrap_or_default())
    }
}

/// A span of time as GraphQL shows it: whole seconds, cut off where a GraphQL integer ends (68 years).
pub fn seconds(span: i64) -> i32 {
    i32::try_from(span).unwrap_or(if span < 0 { i32::MIN } else { i32::MAX })
}
