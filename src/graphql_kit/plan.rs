//! Selections worked out for many objects.
//!
//! The engine looks each field of each object up by its name, in a future of its own. In a list of hundreds of objects
//! with the same selection, a [`Plan`] does this once, and then writes one object after the other as JSON.

use async_graphql::parser::types::{Field, Selection, SelectionSet};
use async_graphql::resolver_utils::EnumType;
use async_graphql::{OutputType, Positioned};
use serde::Serialize;

use super::ready;

use waymark_db::Extent;
use waymark_kernel::clock::Timestamp;

/// Writes one field of a `T`.
pub type Writer<T> = Box<dyn Fn(&T, &mut Json) + Send + Sync>;

/// JSON in the making.
pub type Json = Vec<u8>;

/// An object that can write fields itself.
pub trait Plain: OutputType + Sized + 'static {
    /// The fields for which it takes no more of its row than [`Extent::Main`].
    const MAIN: &'static [&'static str] = &[];

    /// How `field` is written; `None` for one that is the engine's business.
    fn writer(field: &Field) -> Option<Writer<Self>>;

    /// How `field` or `__typename` is written; `None` for one that is the engine's business.
    fn any_writer(field: &Field) -> Option<Writer<Self>> {
        if field.name.node == ready::TYPENAME {
            let name = Self::type_name();
            return Some(Box::new(move |_, json| ready::write_text(json, &name)));
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
        let fields = selection.items.iter().map(|selection| match &selection.node {
            Selection::Field(field) => Some((before(&field.node), T::any_writer(&field.node)?)),
            _ => None,
        });
        let main = |selection: &Positioned<Selection>| match &selection.node {
            Selection::Field(field) => {
                let name = field.node.name.node.as_str();
                name == ready::TYPENAME || T::MAIN.contains(&name)
            }
            _ => false,
        };
        let extent = if selection.items.iter().all(main) { Extent::Main } else { Extent::All };
        Some(Self { fields: fields.collect::<Option<_>>()?, extent })
    }

    /// Writes an object.
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

/// A field that is a number, a truth value, an instant, or absent.
pub fn value<T, V: Serialize>(get: impl Fn(&T) -> V + Send + Sync + 'static) -> Option<Writer<T>> {
    Some(Box::new(move |object, json| write_value(&get(object), json)))
}

/// A field that is a text the object holds.
pub fn text<T>(get: impl Fn(&T) -> &str + Send + Sync + 'static) -> Option<Writer<T>> {
    Some(Box::new(move |object, json| write_value(get(object), json)))
}

/// A field that is an instant or absent.
pub fn instant<T>(get: impl Fn(&T) -> Option<Timestamp> + Send + Sync + 'static) -> Option<Writer<T>> {
    value(move |object| get(object).map(|instant| instant.to_string()))
}

/// A field that is one of the names of an enumeration.
pub fn name<T, E: EnumType>(get: impl Fn(&T) -> E + Send + Sync + 'static) -> Option<Writer<T>> {
    value(move |object| {
        let value = get(object);
        E::items().iter().find(|item| item.value == value).map(|item| item.name)
    })
}

/// A field that is an object.
pub fn object<T, U: Plain>(field: &Field, get: impl Fn(&T) -> U + Send + Sync + 'static) -> Option<Writer<T>> {
    let plan = Plan::of(&field.selection_set.node)?;
    Some(Box::new(move |object, json| plan.write(&get(object), json)))
}

/// A field that is an object or absent.
pub fn optional<T, U: Plain>(
    field: &Field,
    get: impl Fn(&T) -> Option<U> + Send + Sync + 'static,
) -> Option<Writer<T>> {
    let plan = Plan::of(&field.selection_set.node)?;
    Some(Box::new(move |object, json| match get(object) {
        Some(object) => plan.write(&object, json),
        None => json.extend_from_slice(b"null"),
    }))
}

fn write_value(value: &(impl Serialize + ?Sized), json: &mut Json) {
    // Neither texts and numbers nor a Vec can refuse.
    let _ = serde_json::to_writer(json, value);
}
