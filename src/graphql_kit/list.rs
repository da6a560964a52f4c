//! Lists, element by element.
//!
//! The engine begins all elements of a list at once and keeps all their answers as trees until the whole is done: a
//! list of lists takes many times the memory of the answer, and nothing can stop it. Here the elements are begun one
//! after the other, each is counted by the request's [`Meter`], and it is written as JSON as soon as it is done: in a
//! compiled document each key of an object stands once, so that nothing has to be merged into it later. All lists of
//! the schema are of this kind, which `tests/it/architecture.rs` sees to.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_graphql::parser::types::Field;
use async_graphql::registry::Registry;
use async_graphql::{
    ContextSelectionSet, OutputType, Pos, Positioned, QueryPathSegment, ServerError, ServerResult, Value,
};

use super::batcher::Gathering;
use super::meter::{Meter, Open};
use super::ready;
use waymark_kernel::error::Error;

/// A list of the schema.
#[derive(Debug, Clone)]
pub struct List<T>(Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        Self(items)
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        Self(items.into_iter().collect())
    }
}

impl<T: OutputType> OutputType for List<T> {
    fn type_name() -> Cow<'static, str> {
        <Vec<T> as OutputType>::type_name()
    }

    fn qualified_type_name() -> String {
        <Vec<T> as OutputType>::qualified_type_name()
    }

    fn create_type_info(registry: &mut Registry) -> String {
        <Vec<T> as OutputType>::create_type_info(registry)
    }

    async fn resolve(&self, context: &ContextSelectionSet<'_>, field: &Positioned<Field>) -> ServerResult<Value> {
        resolve(context, field, &self.0).await
    }
}

/// The answer of a list.
pub async fn resolve<T: OutputType>(
    context: &ContextSelectionSet<'_>,
    field: &Positioned<Field>,
    items: &[T],
) -> ServerResult<Value> {
    let load = context.data::<Arc<Gathering>>().map_err(|error| error.into_server_error(field.pos))?;
    let meter = load.meter();
    let mut elements = items.iter().enumerate().map(|(place, item)| async move {
        let context = context.with_index(place);
        item.resolve(&context, field).await.map_err(|error| context.set_error_path(error))
    });
    let fields = context.item.node.items.len() + 1;
    let mut resolving = Resolving { meter, fields, open: Vec::new(), spare: None, begun: 0 };
    let mut done = Done::new(meter);
    poll_fn(|task| resolving.poll(task, &mut elements, &mut done, context)).await?;
    Ok(done.finish())
}

/// The elements of a list that are under way.
struct Resolving<'a, F> {
    meter: &'a Meter,
    /// About how many fields an element has.
    fields: usize,
    open: Vec<(usize, Pin<Box<F>>, Open<'a>)>,
    /// Where one was that is done, for the next one.
    spare: Option<Pin<Box<F>>>,
    begun: usize,
}

impl<'a, F: Future<Output = ServerResult<Value>>> Resolving<'a, F> {
    fn poll(
        &mut self,
        task: &mut Context<'_>,
        elements: &mut impl Iterator<Item = F>,
        done: &mut Done<'_>,
        context: &ContextSelectionSet<'_>,
    ) -> Poll<ServerResult<()>> {
        let mut at = 0;
        while let Some((place, element, _)) = self.open.get_mut(at) {
            if self.meter.is_over() {
                return over(self.meter, context);
            }
            let (place, polled) = (*place, element.as_mut().poll(task));
            match polled {
                Poll::Ready(answer) => {
                    drop(self.open.swap_remove(at));
                    done.add(place, answer?)?;
                }
                Poll::Pending => at += 1,
            }
        }
        loop {
            if self.meter.is_over() {
                return over(self.meter, context);
            }
            if self.meter.is_due() {
                task.waker().wake_by_ref();
                return Poll::Pending;
            }
            // One element may always be under way, or no room would ever be made.
            if !self.meter.has_room() && !self.open.is_empty() {
                return Poll::Pending;
            }
            let Some(element) = elements.next() else { break };
            let place = self.begun;
            self.begun += 1;
            let mut element = match self.spare.take() {
                Some(mut spare) => {
                    spare.set(element);
                    spare
                }
                None => Box::pin(element),
            };
            match element.as_mut().poll(task) {
                Poll::Ready(answer) => {
                    self.spare = Some(element);
                    done.add(place, answer?)?;
                }
                Poll::Pending => self.open.push((place, element, self.meter.open(self.fields))),
            }
        }
        if self.open.is_empty() && !self.meter.is_over() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }
}

/// Waits for the end of the request, whose answer is too long.
fn over(meter: &Meter, context: &ContextSelectionSet<'_>) -> Poll<ServerResult<()>> {
    meter.blame(|| root(context));
    Poll::Pending
}

/// Under which name of the operation this stands.
pub fn root(context: &ContextSelectionSet<'_>) -> Option<String> {
    let mut node = &context.path_node?;
    while let Some(parent) = node.parent {
        node = parent;
    }
    match node.segment {
        QueryPathSegment::Name(name) => Some(name.to_owned()),
        QueryPathSegment::Index(_) => None,
    }
}

/// The elements that are done, as JSON.
struct Done<'a> {
    meter: &'a Meter,
    json: Vec<u8>,
    written: usize,
    /// Those that were done before their turn.
    early: BTreeMap<usize, Value>,
}

impl<'a> Done<'a> {
    fn new(meter: &'a Meter) -> Self {
        // Each element adds the comma or the bracket behind it.
        meter.add(1);
        Self { meter, json: vec![b'['], written: 0, early: BTreeMap::new() }
    }

    fn add(&mut self, place: usize, value: Value) -> ServerResult<()> {
        self.meter.add_element();
        if place != self.written {
            self.early.insert(place, compact(value, self.meter)?);
            return Ok(());
        }
        self.append(&value)?;
        while let Some(next) = self.early.remove(&self.written) {
            self.append(&next)?;
        }
        Ok(())
    }

    fn append(&mut self, value: &Value) -> ServerResult<()> {
        if self.written > 0 {
            self.json.push(b',');
        }
        self.written += 1;
        let own = ready::write_json(&mut self.json, value).map_err(unwritten)?;
        self.meter.add(own + 1);
        Ok(())
    }

    fn finish(mut self) -> Value {
        self.json.push(b']');
        Value::Binary(self.json.into())
    }
}

/// An element that waits for its turn, as JSON: it takes less memory.
fn compact(value: Value, meter: &Meter) -> ServerResult<Value> {
    if !matches!(value, Value::Object(_) | Value::List(_)) {
        return Ok(value);
    }
    let mut json = Vec::new();
    meter.add(ready::write_json(&mut json, &value).map_err(unwritten)?);
    Ok(Value::Binary(json.into()))
}

/// The error of an answer that cannot be written as JSON.
pub fn unwritten(error: serde_json::Error) -> ServerError {
    async_graphql::Error::from(Error::internal(error)).into_server_error(Pos::default())
}
