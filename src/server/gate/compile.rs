//! The document that the engine runs, made of the checked one and never of its text.
//!
//! Fragments are spread, fields of one response key are put together, and `@skip` and `@include` are decided. What is
//! left for an object is a list of fields, each key once, in the order of the specification; for an interface or union
//! whose objects are asked for different fields, one such list for each type of object. So it does not matter to what
//! runs how a client spells its document.

use std::collections::HashMap;

use apollo_compiler::ast::{self, OperationType};
use apollo_compiler::executable::{Directive, DirectiveList, Field, Operation, Selection, SelectionSet};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};
use async_graphql::parser::types as engine;
use async_graphql::{Name as EngineName, Pos, Positioned, Value as Answer};
use async_graphql_value::indexmap::{IndexMap, IndexSet};
use async_graphql_value::{Number, Value as EngineValue};

/// The most fields of a compiled operation. Interfaces multiply fields by the types that implement them.
const MOST_FIELDS: u32 = 60_000;
/// The most bytes of the names and values in it. The longest document has fewer, but a fragment brings its own to each
/// place where it is spread.
const MOST_BYTES: usize = 3 * 1024 * 1024;
/// How many bytes the largest compiled operation takes, roughly.
pub(super) const MOST: u32 = MOST_FIELDS * FIELD as u32 + MOST_BYTES as u32;
/// How many bytes a field and a value take, roughly, without what they hold.
const FIELD: usize = 256;
const VALUE: usize = 64;

/// What the engine runs.
#[derive(Debug)]
pub struct Compiled {
    pub(super) engine: engine::ExecutableDocument,
    /// How many bytes it takes, roughly.
    pub(super) weight: u32,
    /// Under which names of the answer the schema's description stands.
    descriptions: Vec<(EngineName, EngineName)>,
}

impl Compiled {
    /// Puts the schema's own description in place of the one that the engine has for every schema.
    pub fn describe(&self, data: &mut Answer) {
        for (schema, description) in &self.descriptions {
            if let Answer::Object(roots) = data
                && let Some(Answer::Object(schema)) = roots.get_mut(schema)
                && let Some(description) = schema.get_mut(description)
            {
                *description = Answer::String(waymark_schema::DESCRIPTION.to_owned());
            }
        }
    }
}

/// Compiles one operation. `given` tells the values of the variables of directives.
///
/// Returns `None` when the operation grows beyond the most fields that are allowed.
pub(super) fn operation(
    schema: &Valid<Schema>,
    document: &ExecutableDocument,
    operation: &Operation,
    given: &dyn Fn(&str) -> bool,
) -> Option<Compiled> {
    let text = document.sources.values().find(|source| source.path() == std::path::Path::new(super::FILE));
    let places = Places::of(text.map_or("", |source| source.source_text()));
    let mut compiler = Compiler { schema, document, given, places, left: MOST_FIELDS, bytes: MOST_BYTES };
    let root = operation.object_type();
    let selection_set = compiler.selections(root, &[&operation.selection_set]);
    if compiler.is_over() {
        return None;
    }
    let schemas = fields_named(&selection_set, "__schema");
    let descriptions = schemas
        .flat_map(|schema| fields_named(&schema.selection_set.node, "description").map(|one| (key(schema), key(one))));
    let descriptions = descriptions.collect();
    let variables = operation.variables.iter().filter_map(|variable| {
        Some(at(
            Pos::default(),
            engine::VariableDefinition {
                name: at(Pos::default(), EngineName::new(&*variable.name)),
                var_type: at(Pos::default(), engine::Type::new(&variable.ty.to_string())?),
                directives: Vec::new(),
                // Coerced values hold the defaults.
                default_value: None,
            },
        ))
    });
    let definition = engine::OperationDefinition {
        ty: match operation.operation_type {
            OperationType::Query => engine::OperationType::Query,
            OperationType::Mutation => engine::OperationType::Mutation,
            OperationType::Subscription => engine::OperationType::Subscription,
        },
        variable_definitions: variables.collect(),
        directives: Vec::new(),
        selection_set: at(Pos::default(), selection_set),
    };
    let engine = engine::ExecutableDocument {
        operations: engine::DocumentOperations::Single(at(Pos::default(), definition)),
        fragments: HashMap::new(),
    };
    let fields = usize::try_from(MOST_FIELDS - compiler.left).unwrap_or(usize::MAX);
    let weight = fields.saturating_mul(FIELD).saturating_add(MOST_BYTES - compiler.bytes);
    Some(Compiled { engine, weight: u32::try_from(weight).unwrap_or(u32::MAX), descriptions })
}

fn fields_named<'a>(set: &'a engine::SelectionSet, name: &'static str) -> impl Iterator<Item = &'a engine::Field> {
    set.items.iter().filter_map(move |item| match &item.node {
        engine::Selection::Field(field) if field.node.name.node == name => Some(&field.node),
        _ => None,
    })
}

fn key(field: &engine::Field) -> EngineName {
    field.response_key().node.clone()
}

/// The variables that decide about `@skip` and `@include` in an operation and the fragments that it spreads.
pub(super) fn deciding(document: &ExecutableDocument, operation: &Operation) -> Vec<Name> {
    fn of_directives(directives: &DirectiveList, names: &mut Vec<Name>) {
        for directive in directives.iter().filter(|directive| is_condition(directive)) {
            if let Some(ast::Value::Variable(name)) = directive.specified_argument_by_name("if").map(|value| &**value)
                && !names.contains(name)
            {
                names.push(name.clone());
            }
        }
    }
    fn of_selections<'a>(selections: &'a SelectionSet, names: &mut Vec<Name>, spread: &mut IndexSet<&'a Name>) {
        for selection in &selections.selections {
            of_directives(selection.directives(), names);
            match selection {
                Selection::Field(field) => of_selections(&field.selection_set, names, spread),
                Selection::InlineFragment(inline) => of_selections(&inline.selection_set, names, spread),
                Selection::FragmentSpread(one) => drop(spread.insert(&one.fragment_name)),
            }
        }
    }
    let (mut names, mut spread) = (Vec::new(), IndexSet::new());
    of_selections(&operation.selection_set, &mut names, &mut spread);
    // Each once, in the order in which they are found.
    let mut next = 0;
    while let Some(fragment) = spread.get_index(next).and_then(|name| document.fragments.get(*name)) {
        of_selections(&fragment.selection_set, &mut names, &mut spread);
        next += 1;
    }
    names
}

fn is_condition(directive: &Directive) -> bool {
    matches!(directive.name.as_str(), "skip" | "include")
}

struct Compiler<'a> {
    schema: &'a Valid<Schema>,
    document: &'a ExecutableDocument,
    given: &'a dyn Fn(&str) -> bool,
    places: Places,
    /// How many fields may still come, and how many bytes of names and values.
    left: u32,
    bytes: usize,
}

/// The fields of one object by their response keys.
type Fields<'a> = IndexMap<Name, Vec<&'a Node<Field>>>;

impl<'a> Compiler<'a> {
    /// What is asked for of an object of this type by all of these selections together.
    fn selections(&mut self, ty: &Name, sets: &[&'a SelectionSet]) -> engine::SelectionSet {
        let mut fields = Fields::new();
        if self.collect(ty, sets, &mut fields) {
            return engine::SelectionSet { items: self.fields(fields) };
        }
        let mut items = Vec::new();
        for possible in self.possible(ty) {
            let mut fields = Fields::new();
            self.collect(&possible, sets, &mut fields);
            if fields.is_empty() || self.is_over() {
                continue;
            }
            let inline = engine::InlineFragment {
                type_condition: Some(at(
                    Pos::default(),
                    engine::TypeCondition { on: at(Pos::default(), EngineName::new(&*possible)) },
                )),
                directives: Vec::new(),
                selection_set: at(Pos::default(), engine::SelectionSet { items: self.fields(fields) }),
            };
            items.push(at(Pos::default(), engine::Selection::InlineFragment(at(Pos::default(), inline))));
        }
        engine::SelectionSet { items }
    }

    /// Collects the fields that are asked for of an object of this type. Gives whether they are the same for all
    /// objects of the type, which it need not be for an interface or union.
    fn collect(&self, ty: &Name, sets: &[&'a SelectionSet], fields: &mut Fields<'a>) -> bool {
        let mut is_same = true;
        for selection in sets.iter().flat_map(|set| &set.selections) {
            if !self.is_asked(selection.directives()) {
                continue;
            }
            let (condition, inner) = match selection {
                Selection::Field(field) => {
                    fields.entry(field.response_key().clone()).or_default().push(field);
                    continue;
                }
                Selection::InlineFragment(inline) => (inline.type_condition.as_ref(), &inline.selection_set),
                Selection::FragmentSpread(spread) => match self.document.fragments.get(&spread.fragment_name) {
                    Some(fragment) => (Some(fragment.type_condition()), &fragment.selection_set),
                    None => continue,
                },
            };
            if condition.is_none_or(|condition| condition == ty || self.schema.is_subtype(condition, ty)) {
                is_same &= self.collect(ty, &[inner], fields);
            } else if !self.schema.types.get(ty).is_some_and(ExtendedType::is_object) {
                is_same = false;
            }
        }
        is_same
    }

    fn is_asked(&self, directives: &DirectiveList) -> bool {
        directives.iter().filter(|directive| is_condition(directive)).all(|directive| {
            let is = match directive.specified_argument_by_name("if").map(|value| &**value) {
                Some(ast::Value::Boolean(is)) => *is,
                Some(ast::Value::Variable(name)) => (self.given)(name),
                _ => return true,
            };
            is == (directive.name == "include")
        })
    }

    fn possible(&self, ty: &Name) -> Vec<Name> {
        let objects = self.schema.types.iter().filter(|(_, one)| one.is_object());
        objects.map(|(name, _)| name).filter(|name| self.schema.is_subtype(ty, name)).cloned().collect()
    }

    fn fields(&mut self, fields: Fields<'a>) -> Vec<Positioned<engine::Selection>> {
        fields.into_values().filter_map(|same| self.field(&same)).collect()
    }

    /// One field, asked for in these places.
    fn field(&mut self, same: &[&'a Node<Field>]) -> Option<Positioned<engine::Selection>> {
        self.left = self.left.saturating_sub(1);
        let first = same.first()?;
        self.bytes = self.bytes.saturating_sub(first.name.len() + first.alias.as_ref().map_or(0, |alias| alias.len()));
        if self.is_over() {
            return None;
        }
        let pos = self.places.of_node(first.location());
        let named = |name: &Name| at(pos, EngineName::new(&**name));
        let sets: Vec<_> = same.iter().map(|field| &field.selection_set).collect();
        let arguments = first.arguments.iter().filter_map(|argument| {
            let ty = &first.definition.argument_by_name(&argument.name)?.ty;
            let value = self.value(ty, &argument.value);
            let value = at(self.places.of_node(argument.value.location()), value);
            Some((at(self.places.of_node(argument.location()), EngineName::new(&*argument.name)), value))
        });
        let arguments = arguments.collect();
        let field = engine::Field {
            alias: first.alias.as_ref().map(named),
            name: named(&first.name),
            arguments,
            directives: Vec::new(),
            selection_set: at(pos, self.selections(first.ty().inner_named_type(), &sets)),
        };
        Some(at(pos, engine::Selection::Field(at(pos, field))))
    }

    const fn is_over(&self) -> bool {
        self.left == 0 || self.bytes == 0
    }

    /// A value that is written in the document, as the engine takes it where a value of type `ty` is wanted.
    fn value(&mut self, ty: &ast::Type, written: &ast::Value) -> EngineValue {
        let text = match written {
            ast::Value::String(text) => text.len(),
            ast::Value::Int(number) => number.as_str().len(),
            ast::Value::Float(number) => number.as_str().len(),
            _ => 0,
        };
        self.bytes = self.bytes.saturating_sub(VALUE + text);
        if self.bytes == 0 {
            return EngineValue::Null;
        }
        let number = |text: &str| match text.parse::<Number>() {
            Ok(number) => EngineValue::Number(number),
            // Refused before by every scalar that takes numbers.
            Err(_) => EngineValue::String(text.to_owned()),
        };
        match written {
            ast::Value::Null => EngineValue::Null,
            ast::Value::Variable(name) => EngineValue::Variable(EngineName::new(&**name)),
            ast::Value::Boolean(is) => EngineValue::Boolean(*is),
            ast::Value::String(text) => EngineValue::String(text.clone()),
            ast::Value::Enum(name) => EngineValue::Enum(EngineName::new(&**name)),
            // An ID is a text, however long the number is.
            ast::Value::Int(text) if ty.inner_named_type() == "ID" => EngineValue::String(text.as_str().to_owned()),
            ast::Value::Int(text) => number(text.as_str()),
            ast::Value::Float(text) => number(text.as_str()),
            ast::Value::List(items) => {
                EngineValue::List(items.iter().map(|item| self.value(ty.item_type(), item)).collect())
            }
            ast::Value::Object(members) => {
                let object = self.schema.get_input_object(ty.inner_named_type());
                let members = members.iter().map(|(name, member)| {
                    let ty = object.and_then(|object| object.fields.get(name)).map_or(ty, |field| &field.ty);
                    (EngineName::new(&**name), self.value(ty, member))
                });
                EngineValue::Object(members.collect())
            }
        }
    }
}

const fn at<T>(pos: Pos, node: T) -> Positioned<T> {
    Positioned { pos, node }
}

/// Lines and columns of a text, looked up without reading it again for each.
struct Places {
    /// Where each line begins, in bytes.
    lines: Vec<usize>,
    /// How many characters stand before each byte; empty where it is as many as bytes.
    characters: Vec<usize>,
}

impl Places {
    fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(place, _)| place + 1);
        let lines = std::iter::once(0).chain(breaks).collect();
        let mut characters = Vec::new();
        if !text.is_ascii() {
            characters.reserve(text.len() + 1);
            for (count, character) in text.chars().enumerate() {
                characters.resize(characters.len() + character.len_utf8(), count);
            }
            characters.push(text.chars().count());
        }
        Self { lines, characters }
    }

    fn of_node(&self, span: Option<SourceSpan>) -> Pos {
        span.map_or_else(Pos::default, |span| self.at(span.offset()))
    }

    fn at(&self, offset: usize) -> Pos {
        let line = self.lines.partition_point(|start| *start <= offset);
        let start = line.checked_sub(1).and_then(|line| self.lines.get(line)).copied().unwrap_or_default();
        let characters = |place: usize| self.characters.get(place).copied().unwrap_or(place);
        Pos { line, column: 1 + characters(offset).saturating_sub(characters(start)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDL: &str = "
        type Query { a(x: Int = 1, id: ID, by: By): A n: N u: U b: Int }
        type Subscription { a: A }
        input By { id: ID list: [ID!] }
        interface N { id: ID n: N }
        type A implements N { id: ID n: N a: A c: Int d: Int }
        type B implements N { id: ID n: N b: B c(y: Int): Int }
        union U = A | B";

    fn compiled(text: &str, given: &[&str]) -> String {
        let schema = Schema::parse_and_validate(SDL, "schema.graphql").unwrap();
        let document = ExecutableDocument::parse_and_validate(&schema, text, crate::gate::FILE).unwrap();
        let one = document.operations.iter().next().unwrap();
        let compiled = operation(&schema, &document, one, &|name| given.contains(&name)).unwrap();
        let (_, operation) = compiled.engine.operations.iter().next().unwrap();
        shown(&operation.node.selection_set.node)
    }

    fn shown(set: &engine::SelectionSet) -> String {
        let items = set.items.iter().map(|item| match &item.node {
            engine::Selection::Field(Positioned { node: field, .. }) => {
                let alias = field.alias.as_ref().map(|alias| format!("{}:", alias.node)).unwrap_or_default();
                let arguments: Vec<_> =
                    field.arguments.iter().map(|(name, value)| format!("{}={}", name.node, value.node)).collect();
                let arguments = if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(",")) };
                format!("{alias}{}{arguments}{}", field.name.node, shown(&field.selection_set.node))
            }
            engine::Selection::InlineFragment(Positioned { node: inline, .. }) => {
                let on = inline.type_condition.as_ref().unwrap();
                format!("<{}>{}", on.node.on.node, shown(&inline.selection_set.node))
            }
            engine::Selection::FragmentSpread(_) => "?".to_owned(),
        });
        let items: Vec<_> = items.collect();
        if items.is_empty() { String::new() } else { format!("{{{}}}", items.join(" ")) }
    }

    #[test]
    fn fragments_are_spread_and_equal_keys_put_together_in_the_order_of_the_specification() {
        for (text, is) in [
            ("{ b ...F a { d } } fragment F on Query { a { c ... { e: c } } b }", "{b a{c e:c d}}"),
            ("{ a { ...G ...G c } } fragment G on N { id n { id } }", "{a{id n{id} c}}"),
            ("{ a { ... on N { n { id } } ... on A { a { c } a { d } } __typename } }", "{a{n{id} a{c d} __typename}}"),
            ("subscription { ...F } fragment F on Subscription { a { c ... { d c } } }", "{a{c d}}"),
        ] {
            assert_eq!(compiled(text, &[]), is, "{text}");
        }
    }

    #[test]
    fn objects_of_an_interface_have_a_list_each_where_they_differ() {
        for (text, is) in [
            ("{ n { id ... on N { n { id } } } }", "{n{id n{id}}}"),
            ("{ n { ... on A { c } id } }", "{n{<A>{c id} <B>{id}}}"),
            ("{ u { ... on N { id } ... on B { c(y: 2) } } }", "{u{<A>{id} <B>{id c(y=2)}}}"),
            ("{ u { __typename } }", "{u{__typename}}"),
        ] {
            assert_eq!(compiled(text, &[]), is, "{text}");
        }
    }

    #[test]
    fn directives_are_decided() {
        let text =
            "query($x: Boolean!) { b @skip(if: $x) a @include(if: $x) { c @skip(if: true) d } ...F @skip(if: $x) }
            fragment F on Query { a { id } }";
        assert_eq!(compiled(text, &[]), "{b a{id}}");
        assert_eq!(compiled(text, &["x"]), "{a{d}}");
    }

    #[test]
    fn values_are_of_the_types_that_are_wanted() {
        let text =
            "query($v: ID) { a(id: 123456789012345678901234567890) { c } e: a(by: { id: 1, list: [2, $v] }) { c } }";
        let text = text.replace("[2, $v]", "[2]");
        assert_eq!(
            compiled(&text.replace("query($v: ID) ", ""), &[]),
            "{a(id=\"123456789012345678901234567890\"){c} e:a(by={id: \"1\", list: [\"2\"]}){c}}"
        );
    }

    #[test]
    fn places_are_lines_and_characters() {
        let places = Places::of("{ a\n\u{e9}\u{1F600} b }");
        assert_eq!(places.at(2), Pos { line: 1, column: 3 });
        assert_eq!(places.at(4), Pos { line: 2, column: 1 });
        assert_eq!(places.at(11), Pos { line: 2, column: 4 });
    }
}
