//! Objects whose data is all there.
//!
//! The engine gives every field of every object a boxed future and joins them. A list of fifty users with ten games
//! each has thousands of fields that only hand out what their object holds, and this is then most of the work of the
//! request. [`Ready`] asks such fields one after the other and writes their answers as JSON at once: in a compiled
//! document each key of an object stands once, so that nothing has to be merged into it. An object with a field that
//! has to wait goes the engine's way. Extensions of the engine that look at single fields do not see those answered
//! here; none is in use.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_graphql::parser::types::{Field, Selection};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::resolve_container;
use async_graphql::{ContainerType, ContextSelectionSet, OutputType, Positioned, ServerResult, Value};

use super::batcher::Gathering;
use super::list;

/// An object most of whose fields hold their data.
pub trait MostlyReady: ContainerType {
    /// The fields that have to wait for the database.
    const WAITING: &'static [&'static str];
}

/// The object, answered at once where its selection allows it.
#[derive(Debug)]
pub struct Ready<T>(pub T);

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
    let meter = context.data_opt::<Arc<Gathering>>()?.meter();
    let bytes = meter.bytes();
    let mut json = Vec::with_capacity(32 * selections.len());
    json.push(b'{');
    // How much of it was not written here, and counts already.
    let mut inner = 0;
    for selection in selections {
        let Selection::Field(field) = &selection.node else { return None };
        json.extend_from_slice(if json.len() > 1 { b",\"" } else { b"\"" });
        json.extend_from_slice(field.node.response_key().node.as_bytes());
        json.extend_from_slice(b"\":");
        if field.node.name.node == TYPENAME {
            write_text(&mut json, &object.introspection_type_name());
            continue;
        }
        let context = context.with_field(field);
        let resolving = pin!(object.resolve_field(&context));
        match resolving.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(value)) => {
                let start = json.len();
                let own = write_json(&mut json, &value.unwrap_or_default()).ok()?;
                inner += json.len() - start - own;
            }
            Poll::Ready(Err(error)) => return Some(Err(error)),
            Poll::Pending => {
                // What is not done at once is made anew by the engine.
                meter.rewind(bytes);
                return None;
            }
        }
    }
    json.push(b'}');
    meter.add(json.len() - inner);
    if meter.is_over() {
        meter.blame(|| list::root(context));
    }
    Some(Ok(Value::Binary(json.into())))
}

/// The field that every object has.
pub const TYPENAME: &str = "__typename";

/// Writes a text as JSON.
pub fn write_text(json: &mut Vec<u8>, text: &str) {
    // Neither texts nor a Vec can refuse.
    let _ = serde_json::to_writer(json, text);
}

/// Writes a value as JSON. What was written before, which a [`Value::Binary`] holds, goes in as it is; no scalar of
/// ours is binary otherwise. Gives the number of bytes without such parts, which were counted when they were written.
pub fn write_json(json: &mut Vec<u8>, value: &Value) -> serde_json::Result<usize> {
    let start = json.len();
    let mut inner = 0;
    write(json, value, &mut inner)?;
    Ok(json.len() - start - inner)
}

fn write(json: &mut Vec<u8>, value: &Value, inner: &mut usize) -> serde_json::Result<()> {
    match value {
        Value::Binary(written) => {
            *inner += written.len();
            json.extend_from_slice(written);
        }
        Value::List(items) => {
            json.push(b'[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    json.push(b',');
                }
                write(json, item, inner)?;
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
                write(json, field, inner)?;
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
        Selection::Field(field) => !T::WAITING.contains(&field.node.name.node.as_str()),
        Selection::FragmentSpread(_) | Selection::InlineFragment(_) => false,
    }
}
