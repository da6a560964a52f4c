//! Objects whose data is all there.
//!
//! The engine gives every field of every object a boxed future and joins them. A list of fifty users with ten games
//! each has thousands of fields that only hand out what their object holds, and this is then most of the work of the
//! request. [`Ready`] asks such fields one after the other and takes their answers at once. An object with a field that
//! has to wait, a fragment or a directive in its selection goes the engine's
//! way. Where nothing in a document has to be merged, such an answer is written as JSON right away. Extensions of the engine that look at single fields do not see those answered here; none is in use.

use std::borrow::Cow;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{Field, Selection};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::resolve_container;
use async_graphql::{ContainerType, ContextSelectionSet, Name, OutputType, Positioned, ServerResult, Value};

use crate::request::Request;

/// An object most of whose fields hold their data.
pub(crate) trait MostlyReady: ContainerType {
    /// The fields that have to wait for the database.
    const WAITING: &'static [&'static str];
}

/// The object, answered at once where its selection allows it.
#[derive(Debug)]
pub(crate) struct Ready<T>(pub(crate) T);

impl<T: MostlyReady> OutputType for Ready<T> {
    fn type_name() -> Cow<'static, str> {
        T::type_name()
    }

    fn introspection_type_name(&self) -> Cow<'static, str> {
        self.0.introspection_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        T::create_type_info(registry)
    }

    async fn resolve(&self, context: &ContextSelectionSet<'_>, _field: &Positioned<Field>) -> ServerResult<Value> {
        match at_once(context, &self.0) {
            Some(answer) => answer,
            None => resolve_container(context, &self.0).await,
        }
    }
}

/// The answer, or `None` when the selection asks for something that may have to wait.
fn at_once<T: MostlyReady>(context: &ContextSelectionSet<'_>, object: &T) -> Option<ServerResult<Value>> {
    let selections = &context.item.node.items;
    if !selections.iter().all(|selection| is_ready::<T>(&selection.node)) {
        return None;
    }
    let written = context.data_opt::<Request>().is_some_and(|request| request.written);
    let mut answer = Answer::new(written, selections.len());
    for selection in selections {
        let Selection::Field(field) = &selection.node else { return None };
        let context = context.with_field(field);
        let resolving = pin!(object.resolve_field(&context));
        match resolving.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(value)) => {
                answer.add(&field.node.response_key().node, value.unwrap_or_default())?;
            }
            Poll::Ready(Err(error)) => return Some(Err(error)),
            Poll::Pending => return None,
        }
    }
    Some(Ok(answer.finish()))
}

/// The answer of an object in the making.
enum Answer {
    /// As JSON, where nothing can have to be merged into it.
    Written(Vec<u8>),
    Fields(IndexMap<Name, Value>),
}

impl Answer {
    fn new(written: bool, fields: usize) -> Self {
        if written {
            let mut json = Vec::with_capacity(32 * fields);
            json.push(b'{');
            Self::Written(json)
        } else {
            Self::Fields(IndexMap::with_capacity(fields))
        }
    }

    /// Adds a field. `None` when the key is there already, and the two would have to be merged.
    fn add(&mut self, key: &Name, value: Value) -> Option<()> {
        match self {
            Self::Written(json) => {
                json.extend_from_slice(if json.len() > 1 { b",\"" } else { b"\"" });
                json.extend_from_slice(key.as_bytes());
                json.extend_from_slice(b"\":");
                write_json(json, &value).ok()
            }
            Self::Fields(fields) => fields.insert(key.clone(), value).is_none().then_some(()),
        }
    }

    fn finish(self) -> Value {
        match self {
            Self::Written(mut json) => {
                json.push(b'}');
                Value::Binary(json.into())
            }
            Self::Fields(fields) => Value::Object(fields),
        }
    }
}

/// Writes a value as JSON. What was written before, which a [`Value::Binary`] holds, goes in as it is; no scalar of ours
/// is binary.
pub(crate) fn write_json(json: &mut Vec<u8>, value: &Value) -> serde_json::Result<()> {
    match value {
        Value::Binary(written) => json.extend_from_slice(written),
        Value::List(items) => {
            json.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    json.push(b',');
                }
                write_json(json, item)?;
            }
            json.push(b']');
        }
        Value::Object(fields) => {
            json.push(b'{');
            for (place, (key, field)) in fields.iter().enumerate() {
                if place > 0 {
                    json.push(b',');
                }
                serde_json::to_writer(&mut *json, key.as_str())?;
                json.push(b':');
                write_json(json, field)?;
            }
            json.push(b'}');
        }
        Value::Null => json.extend_from_slice(b"null"),
        Value::Boolean(value) => json.extend_from_slice(if *value { b"true" } else { b"false" }),
        Value::String(text) => serde_json::to_writer(json, text)?,
        Value::Enum(name) => serde_json::to_writer(json, name.as_str())?,
        Value::Number(number) => serde_json::to_writer(json, number)?,
    }
    Ok(())
}

fn is_ready<T: MostlyReady>(selection: &Selection) -> bool {
    match selection {
        Selection::Field(field) => {
            let name = field.node.name.node.as_str();
            field.node.directives.is_empty() && name != "__typename" && !T::WAITING.contains(&name)
        }
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => false,
    }
}
