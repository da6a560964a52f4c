//! Objects written by plans.
//!
//! The engine looks each field of each object up by its name, gives it a boxed future and joins them all. A list of fifty
//! users with ten games each has thousands of fields that only hand out what their object holds, and this is then most
//! of the work of the request. A [`Plan`] looks a selection up once, and then writes one object after the other as JSON:
//! in a compiled document each key of an object stands once, so that nothing has to be merged into it.
//!
//! How an object's fields are written follows from its resolvers, see [`object`] and [`macro@Plain`]. An object with a
//! field that takes arguments or has to wait goes the engine's way. Extensions of the engine that look at single fields
//! do not see those written here; none is in use.

use std::any::{Any, TypeId};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::Write as _;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::registry::Registry;
use async_graphql::resolver_utils::{EnumType, resolve_container};
use async_graphql::{ContainerType, ContextSelectionSet, ID, OutputType, Positioned, ServerResult, Value};

use super::batcher::Gathering;
use super::list;
use super::scalars::BigInt;
use waymark_db::Extent;
use waymark_kernel::clock::Timestamp;

pub use waymark_graphql_derive::{Plain, object};

/// Writes one field of a `T`.
pub type Writer<T> = Box<dyn Fn(&T, &mut Json) + Send + Sync>;

/// JSON in the making.
pub type Json = Vec<u8>;

/// An object that can write fields itself. [`object`] and [`macro@Plain`] implement it.
pub trait Plain: OutputType + Sized + 'static {
    /// How `field` is written; `None` for one that is the engine's business.
    fn writer(field: &Field) -> Option<Writer<Self>>;

    /// Whether the field of this name takes no more of the object's row than [`Extent::Main`].
    fn is_main(name: &str) -> bool;

    /// How `field` or `__typename` is written; `None` for one that is the engine's business.
    fn any_writer(field: &Field) -> Option<Writer<Self>> {
        if field.name.node == TYPENAME {
            let name = Self::type_name();
            return Some(Box::new(move |_, json| write_text(json, &name)));
        }
        Self::writer(field)
    }
}

/// A selection of an object, worked out.
pub struct Plan<T> {
    /// What stands before each field's value, and what writes it.
    fields: Vec<(String, Writer<T>)>,
    /// How much of the objects' rows the fields take.
    pub extent: Extent,
}

impl<T: Plain> Plan<T> {
    /// `None` when the selection, of a compiled document, has a field that is the engine's business.
    pub fn of(selection: &SelectionSet) -> Option<Self> {
        let mut plan = Self { fields: Vec::with_capacity(selection.items.len()), extent: Extent::Main };
        for selection in &selection.items {
            let Selection::Field(field) = &selection.node else { return None };
            plan.fields.push((before(&field.node), T::any_writer(&field.node)?));
            let name = field.node.name.node.as_str();
            plan.extent = plan.extent.max(Extent::all_if(name != TYPENAME && !T::is_main(name)));
        }
        Some(plan)
    }

    /// Writes an object.
    #[inline]
    pub fn write(&self, object: &T, json: &mut Json) {
        json.push(b'{');
        for (place, (before, writer)) in self.fields.iter().enumerate() {
            if place > 0 {
                json.push(b',');
            }
            json.extend_from_slice(before.as_bytes());
            writer(object, json);
        }
        json.push(b'}');
    }
}

/// A plan of some type of object; `None` where the engine has to see to it.
type Planned = Option<Arc<dyn Any + Send + Sync>>;

/// The plans of a request by selection and type, each made once however many objects it is for.
#[derive(Debug, Default)]
pub struct Plans(Mutex<HashMap<(usize, TypeId), Planned>>);

impl Plans {
    /// Forgets them, as the document may be made anew.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The plan of a selection of the request's document, which stays where it is in memory as long as it is carried out.
    fn of<T: Plain>(&self, selection: &SelectionSet) -> Option<Arc<Plan<T>>> {
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (std::ptr::from_ref(selection).addr(), TypeId::of::<T>());
        let plan = plans.entry(place).or_insert_with(|| {
            let plan = Plan::<T>::of(selection)?;
            Some(Arc::new(plan))
        });
        plan.clone()?.downcast().ok()
    }
}

/// An object that is written by a plan where its selection allows it.
#[derive(Debug)]
pub struct Ready<T>(pub T);

impl<T: Plain + ContainerType> OutputType for Ready<T> {
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
        let request = context.data_opt::<Arc<Gathering>>();
        let Some((request, plan)) =
            request.and_then(|request| Some((request, request.plans().of(&context.item.node)?)))
        else {
            return resolve_container(context, &self.0).await;
        };
        let mut json = Vec::with_capacity(32 * plan.fields.len());
        plan.write(&self.0, &mut json);
        let meter = request.meter();
        meter.add(json.len());
        if meter.is_over() {
            meter.blame(|| list::root(context));
        }
        Ok(Value::Binary(json.into()))
    }
}

/// What stands before a field's value. Names need no escaping.
pub fn before(field: &Field) -> String {
    format!("\"{}\":", field.response_key().node)
}

/// Writes a list, and `null` in the places where nothing is.
pub fn write_list<T>(items: impl IntoIterator<Item = Option<T>>, json: &mut Json, mut write: impl FnMut(T, &mut Json)) {
    json.push(b'[');
    for (place, item) in items.into_iter().enumerate() {
        if place > 0 {
            json.push(b',');
        }
        match item {
            Some(item) => write(item, json),
            None => json.extend_from_slice(b"null"),
        }
    }
    json.push(b']');
}

/// A value that is written as it is.
pub trait Leaf {
    /// Writes the value as JSON.
    fn write(&self, json: &mut Json);
}

macro_rules! leaves {
    ($($of:ty),+) => {
        $(impl Leaf for $of {
            #[inline]
            fn write(&self, json: &mut Json) {
                // Neither texts and numbers nor a Vec can refuse.
                let _ = serde_json::to_writer(json, self);
            }
        })+
    };
}

leaves!(bool, i32, f64, str, String, ID);

impl Leaf for BigInt {
    fn write(&self, json: &mut Json) {
        let _ = write!(json, "{}", self.0);
    }
}

impl Leaf for Timestamp {
    fn write(&self, json: &mut Json) {
        let _ = write!(json, "\"{self}\"");
    }
}

/// A type whose values stand in an answer. What it is decides how they are written: as an object ([`AsObject`]), a name of
/// an enumeration ([`AsName`]) or a [`Leaf`] ([`AsValue`]). The macros call the methods of whichever is found first.
pub struct Of<T: ?Sized>(PhantomData<T>);

impl<T: ?Sized> Of<T> {
    /// The type.
    pub const NEW: Self = Self(PhantomData);
}

/// Objects, by plans of their own.
pub trait AsObject<T> {
    /// How its selection is written; `None` when that is the engine's business.
    fn plan(&self, selection: &SelectionSet) -> Option<Plan<T>>;

    /// Writes an object.
    fn write(&self, object: &T, plan: &Plan<T>, json: &mut Json);
}

impl<T: Plain> AsObject<T> for &&Of<T> {
    fn plan(&self, selection: &SelectionSet) -> Option<Plan<T>> {
        Plan::of(selection)
    }

    fn write(&self, object: &T, plan: &Plan<T>, json: &mut Json) {
        plan.write(object, json);
    }
}

/// Enumerations, by their names.
pub trait AsName<T> {
    /// There is nothing to be worked out.
    fn plan(&self, _: &SelectionSet) -> Option<()> {
        Some(())
    }

    /// Writes the name of a value.
    fn write(&self, value: &T, nothing: &(), json: &mut Json);
}

impl<T: EnumType> AsName<T> for &Of<T> {
    fn write(&self, value: &T, (): &(), json: &mut Json) {
        match T::items().iter().find(|item| item.value == *value) {
            Some(item) => write_text(json, item.name),
            None => json.extend_from_slice(b"null"),
        }
    }
}

/// All else, as it is.
pub trait AsValue<T: ?Sized> {
    /// There is nothing to be worked out.
    fn plan(&self, _: &SelectionSet) -> Option<()> {
        Some(())
    }

    /// Writes a value.
    fn write(&self, value: &T, nothing: &(), json: &mut Json);
}

impl<T: Leaf + ?Sized> AsValue<T> for Of<T> {
    fn write(&self, value: &T, (): &(), json: &mut Json) {
        value.write(json);
    }
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
