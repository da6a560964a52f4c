//! What questions about the schema weigh.
//!
//! The answer is known, and so is its cost: it is counted out with the schema itself. Only what leads in circles, such
//! as types of fields of types, would take long to count, and is given up as too much.

use std::collections::HashMap;

use apollo_compiler::ast::{
    DirectiveDefinition, DirectiveList, EnumValueDefinition, FieldDefinition, InputValueDefinition, Type, Value,
};
use apollo_compiler::executable::{Field, Selection, SelectionSet};
use apollo_compiler::schema::{Component, ExtendedType};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Node, Schema, name};

use super::cost::{FIELD, OBJECT};

/// Adds what the engine answers and the validator does not know yet: `__Type.isOneOf`.
pub(super) fn completed(schema: Valid<Schema>) -> Valid<Schema> {
    let mut schema = schema.into_inner();
    if let Some(ExtendedType::Object(one)) = schema.types.get_mut("__Type") {
        let field = FieldDefinition {
            description: Some("Whether exactly one field of the input object has to be given.".into()),
            name: name!("isOneOf"),
            arguments: Vec::new(),
            ty: Type::Named(name!("Boolean")),
            directives: DirectiveList::new(),
        };
        one.make_mut().fields.insert(name!("isOneOf"), Component::new(field));
    }
    // A nullable field of a scalar makes no valid schema invalid.
    Valid::assume_valid(schema)
}

/// How many fields of things are looked at before a document is given up as too much.
const MOST_STEPS: u32 = 100_000;

/// How long the longest name of a type is, as JSON.
pub(super) fn longest_name(schema: &Schema) -> u64 {
    schema.types.keys().map(|name| quoted(name)).max().unwrap_or(0)
}

impl<'a> Counting<'a> {
    pub(super) fn new(schema: &'a Schema, document: &'a ExecutableDocument) -> Self {
        Self { schema, document, known: HashMap::new(), steps: 0 }
    }

    /// What a field weighs without its key, which is `__schema` or `__type`.
    pub(super) fn weight(&mut self, field: &Field) -> u64 {
        match field.name.as_str() {
            "__schema" => self.thing(&field.selection_set, Thing::Schema),
            "__type" => {
                // By a variable it may be any type.
                let name = match field.specified_argument_by_name("name").map(|name| &**name) {
                    Some(Value::String(name)) => Some(name.as_str()),
                    _ => None,
                };
                let schema = self.schema;
                let meant = schema.types.iter().filter(|(key, _)| name.is_none_or(|name| key.as_str() == name));
                let meant = meant.map(|(_, one)| self.thing(&field.selection_set, Thing::Type(one)));
                meant.max().unwrap_or(OBJECT)
            }
            _ => u64::MAX,
        }
    }
}

/// Something that a schema has.
#[derive(Clone, Copy)]
enum Thing<'a> {
    Schema,
    Type(&'a ExtendedType),
    /// A list or what is not null; of a list that is not null the list itself when this is true.
    Wrapper(&'a Type, bool),
    Field(&'a FieldDefinition),
    Input(&'a InputValueDefinition),
    EnumValue(&'a EnumValueDefinition),
    Directive(&'a DirectiveDefinition),
}

impl Thing<'_> {
    /// What no other thing of the schema has.
    fn place(self) -> (usize, bool) {
        match self {
            Self::Schema => (0, false),
            Self::Type(one) => (std::ptr::from_ref(one).addr(), false),
            Self::Wrapper(one, inner) => (std::ptr::from_ref(one).addr(), inner),
            Self::Field(one) => (std::ptr::from_ref(one).addr(), false),
            Self::Input(one) => (std::ptr::from_ref(one).addr(), false),
            Self::EnumValue(one) => (std::ptr::from_ref(one).addr(), false),
            Self::Directive(one) => (std::ptr::from_ref(one).addr(), false),
        }
    }
}

/// The weights of one document's questions.
pub(super) struct Counting<'a> {
    schema: &'a Schema,
    document: &'a ExecutableDocument,
    /// What a selection weighs of a thing.
    known: HashMap<(usize, usize, bool), u64>,
    steps: u32,
}

impl<'a> Counting<'a> {
    /// What one thing weighs.
    fn thing(&mut self, selections: &SelectionSet, thing: Thing<'a>) -> u64 {
        let (place, inner) = thing.place();
        let key = (std::ptr::from_ref(selections).addr(), place, inner);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let document = self.document;
        let mut sum = OBJECT;
        for selection in &selections.selections {
            let weight = match selection {
                Selection::Field(field) => self.field(field, thing),
                Selection::InlineFragment(inline) => self.thing(&inline.selection_set, thing),
                Selection::FragmentSpread(spread) => document
                    .fragments
                    .get(&spread.fragment_name)
                    .map_or(0, |fragment| self.thing(&fragment.selection_set, thing)),
            };
            sum = sum.saturating_add(weight);
        }
        self.known.insert(key, sum);
        sum
    }

    fn field(&mut self, field: &Field, thing: Thing<'a>) -> u64 {
        self.steps += 1;
        if self.steps > MOST_STEPS {
            return u64::MAX;
        }
        let key = field.response_key().len() as u64 + 4;
        let leaf = if field.selection_set.is_empty() { text(&field.name, thing) } else { 0 };
        let things = if field.selection_set.is_empty() { Vec::new() } else { self.things(&field.name, thing) };
        let things = things.into_iter().map(|thing| self.thing(&field.selection_set, thing));
        things.fold(key.saturating_add(leaf).max(FIELD), u64::saturating_add)
    }

    /// The things that a field of a thing leads to.
    fn things(&self, field: &str, thing: Thing<'a>) -> Vec<Thing<'a>> {
        let schema = self.schema;
        let root = |name: &Option<apollo_compiler::schema::ComponentName>| {
            name.as_ref().and_then(|name| schema.types.get(&name.name)).map(Thing::Type).into_iter().collect()
        };
        match (thing, field) {
            (Thing::Schema, "types") => schema.types.values().map(Thing::Type).collect(),
            (Thing::Schema, "directives") => {
                schema.directive_definitions.values().map(|one| Thing::Directive(one)).collect()
            }
            (Thing::Schema, "queryType") => root(&schema.schema_definition.query),
            (Thing::Schema, "mutationType") => root(&schema.schema_definition.mutation),
            (Thing::Schema, "subscriptionType") => root(&schema.schema_definition.subscription),
            (Thing::Type(ExtendedType::Object(one)), "fields") => {
                one.fields.values().map(|one| Thing::Field(one)).collect()
            }
            (Thing::Type(ExtendedType::Interface(one)), "fields") => {
                one.fields.values().map(|one| Thing::Field(one)).collect()
            }
            (Thing::Type(ExtendedType::InputObject(one)), "inputFields") => {
                one.fields.values().map(|one| Thing::Input(one)).collect()
            }
            (Thing::Type(ExtendedType::Enum(one)), "enumValues") => {
                one.values.values().map(|one| Thing::EnumValue(one)).collect()
            }
            (Thing::Type(ExtendedType::Object(one)), "interfaces") => one
                .implements_interfaces
                .iter()
                .filter_map(|one| schema.types.get(&one.name))
                .map(Thing::Type)
                .collect(),
            (Thing::Type(one), "possibleTypes") => self.possible(one),
            (Thing::Wrapper(one, inner), "ofType") => vec![self.inside(one, inner)],
            (Thing::Field(one), "type") => vec![self.named(&one.ty)],
            (Thing::Input(one), "type") => vec![self.named(&one.ty)],
            (Thing::Field(one), "args") => one.arguments.iter().map(|one| Thing::Input(one)).collect(),
            (Thing::Directive(one), "args") => one.arguments.iter().map(|one| Thing::Input(one)).collect(),
            _ => Vec::new(),
        }
    }

    fn named(&self, ty: &'a Type) -> Thing<'a> {
        match ty {
            Type::Named(name) => self.of(name),
            _ => Thing::Wrapper(ty, false),
        }
    }

    fn inside(&self, ty: &'a Type, inner: bool) -> Thing<'a> {
        match ty {
            Type::Named(name) | Type::NonNullNamed(name) => self.of(name),
            Type::NonNullList(_) if !inner => Thing::Wrapper(ty, true),
            Type::List(item) | Type::NonNullList(item) => self.named(item),
        }
    }

    fn of(&self, name: &Name) -> Thing<'a> {
        self.schema.types.get(name).map_or(Thing::Schema, Thing::Type)
    }

    fn possible(&self, of: &ExtendedType) -> Vec<Thing<'a>> {
        let is_one = |one: &&'a ExtendedType| match one {
            ExtendedType::Object(object) => object.implements_interfaces.iter().any(|name| name.name == *of.name()),
            _ => false,
        };
        self.schema.types.values().filter(is_one).map(Thing::Type).collect()
    }
}

/// How long the value of a field is that has no fields of its own.
fn text(field: &str, thing: Thing<'_>) -> u64 {
    let described = |text: Option<&Node<str>>| text.map_or(4, |text| quoted(text));
    match (thing, field) {
        (Thing::Type(one), "name") => quoted(one.name()),
        (Thing::Type(one), "description") => described(one.description()),
        (Thing::Field(one), "name") => quoted(&one.name),
        (Thing::Field(one), "description") => described(one.description.as_ref()),
        (Thing::Input(one), "name") => quoted(&one.name),
        (Thing::Input(one), "description") => described(one.description.as_ref()),
        (Thing::Input(one), "defaultValue") => one.default_value.as_ref().map_or(4, |value| quoted(&value.to_string())),
        (Thing::EnumValue(one), "name") => quoted(&one.value),
        (Thing::EnumValue(one), "description") => described(one.description.as_ref()),
        (Thing::Directive(one), "name") => quoted(&one.name),
        (Thing::Directive(one), "description") => described(one.description.as_ref()),
        (Thing::Directive(one), "locations") => one.locations.len() as u64 * 30,
        // Truth values, kinds, reasons and addresses.
        _ => 80,
    }
}

/// How many bytes a text takes as JSON; most of it needs no escapes.
fn quoted(text: &str) -> u64 {
    let escapes = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n'));
    (2 + text.len() + escapes.count()) as u64
}
