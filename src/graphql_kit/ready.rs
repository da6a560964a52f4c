//! Objects whose data is all there.
//!
//! The engine gives every field of every object a boxed future and joins them. A list of fifty users with ten games
//! each has thousands of fields that only hand out what their object holds, and this is then most of the work of the
//! request. [`Ready`] asks such fields one after the other and takes their answers at once. An object with a field that
//! has to wait, a fragment or a directive in its selection goes the engine's
//! way. Where nothing in a document has to be merged, such an answer is written as JSON right away. Extensions of the
//! engine that look at single fields do not see those answered here; none is in use.

use std::borrow::Cow;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{Field, Selection};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::resolve_container;
use async_graphql::{ContainerType, ContextSelectionSet, Name, OutputType, Positioned, ServerResult, Value};

use super::batcher::Gathering;
use super::list;
use super::meter::Meter;

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
    let load = context.data_opt::<Arc<Gathering>>();
    let written = load.is_some_and(|load| load.is_written_at_once());
    let meter = load.map(|load| load.meter());
    // What is not done at once is made anew by the engine.
    let bytes = meter.map(Meter::bytes);
    let again = || {
        if let (Some(meter), Some(bytes)) = (meter, bytes) {
            meter.rewind(bytes);
        }
    };
    let mut answer = Answer::new(written, selections.len());
    for selection in selections {
        let Selection::Field(field) = &selection.node else { return None };
        let context = context.with_field(field);
        let resolving = pin!(object.resolve_field(&context));
        match resolving.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(value)) => {
                if answer.add(&field.node.response_key().node, value.unwrap_or_default()).is_none() {
                    again();
                    return None;
                }
            }
            Poll::Ready(Err(error)) => return Some(Err(error)),
            Poll::Pending => {
                again();
                return None;
            }
        }
    }
    if let Some(meter) = meter {
        meter.add(answer.own());
        if meter.is_over() {
            meter.blame(|| list::root(context));
        }
    }
    Some(Ok(answer.finish()))
}

/// The answer of an object in the making.
enum Answer {
    /// As JSON, where nothing can have to be merged into it.
    Written {
        json: Vec<u8>,
        /// How much of it was not written here, and counts already.
        inner: usize,
    },
    Fields(IndexMap<Name, Value>),
}

impl Answer {
    fn new(written: bool, fields: usize) -> Self {
        if written {
            let mut json = Vec::with_capacity(32 * fields);
            json.push(b'{');
            Self::Written { json, inner: 0 }
        } else {
            Self::Fields(IndexMap::with_capacity(fields))
        }
    }

    /// Adds a field. `None` when the key is there already, and the two would have to be merged.
    fn add(&mut self, key: &Name, value: Value) -> Option<()> {
        match self {
            Self::Written { json, inner } => {
                json.extend_from_slice(if json.len() > 1 { b",\"" } else { b"\"" });
                json.extend_from_slice(key.as_bytes());
                json.extend_from_slice(b"\":");
                let start = json.len();
                let own = write_json(json, &value).ok()?;
                *inner += json.len() - start - own;
                Some(())
            }
            Self::Fields(fields) => fields.insert(key.clone(), value).is_none().then_some(()),
        }
    }

    /// How many bytes it has once it is [finished][Self::finish], without those that count already; fields are counted
    /// by the code that takes them.
    fn own(&self) -> usize {
        match self {
            Self::Written { json, inner } => json.len() + 1 - inner,
            Self::Fields(_) => 0,
        }
    }

    fn finish(self) -> Value {
        match self {
            Self::Written { mut json, .. } => {
                json.push(b'}');
                Value::Binary(json.into())
            }
            Self::Fields(fields) => Value::Object(fields),
        }
    }
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

/// How many bytes a value has at least as JSON, without the lists of objects in it, whose elements count by themselves.
pub fn weight(value: &Value) -> usize {
    match value {
        Value::Binary(_) => 0,
        Value::List(items) if matches!(items.first(), Some(Value::Object(_) | Value::List(_) | Value::Null)) => 2,
        Value::List(items) => items.iter().map(|item| weight(item) + 1).sum::<usize>() + 1,
        Value::Object(fields) => fields.iter().map(|(key, field)| key.len() + 4 + weight(field)).sum::<usize>() + 1,
        Value::String(text) => text.len() + 2,
        Value::Enum(name) => name.len() + 2,
        Value::Null | Value::Boolean(_) => 4,
        Value::Number(_) => 1,
    }
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
