//! Objects whose data is all there.
//!
//! The engine gives every field of every object a boxed future and joins them. A list of fifty users with ten games
//! each has thousands of fields that only hand out what their object holds, and this is then most of the work of the
//! request. [`Ready`] asks such fields one after the other and takes their answers at once. An object with a field that
//! has to wait, a fragment or a directive in its selection goes the engine's
//! way. Extensions of the engine that look at single fields do not see those answered here; none is in use.

use std::borrow::Cow;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{Field, Selection};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::resolve_container;
use async_graphql::{ContainerType, ContextSelectionSet, OutputType, Positioned, ServerResult, Value};

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
    let mut answer = IndexMap::with_capacity(selections.len());
    for selection in selections {
        let Selection::Field(field) = &selection.node else { return None };
        let context = context.with_field(field);
        let resolving = pin!(object.resolve_field(&context));
        match resolving.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(Ok(value)) => {
                // A key that comes twice has to be merged.
                if answer.insert(field.node.response_key().node.clone(), value.unwrap_or_default()).is_some() {
                    return None;
                }
            }
            Poll::Ready(Err(error)) => return Some(Err(error)),
            Poll::Pending => return None,
        }
    }
    Some(Ok(Value::Object(answer)))
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
