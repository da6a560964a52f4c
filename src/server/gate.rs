//! What stands between a client's document and its execution.
//!
//! A document is measured first (tokens, nesting, aliases, directives, and how many fields it has once its fragments are
//! spread, counted without spreading them), then parsed and validated against our own schema, and kept, with what the
//! engine needs, under its text. A request for a document seen before costs a look-up and the coercion of its variables.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::ast::{self, Definition, Selection};
use apollo_compiler::executable::Operation;
use apollo_compiler::parser::Parser;
use apollo_compiler::response::{GraphQLError, JsonMap, JsonValue};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};
use async_graphql::parser::types::ExecutableDocument as EngineDocument;
use async_graphql::{Name as EngineName, Value, Variables};
use moka::sync::Cache;

use crate::config::Limits;
use crate::error::{Code, Error, Result};

/// The most tokens of a document.
const MAX_TOKENS: usize = 15_000;
/// The most fields of a document once its fragments are spread.
const MAX_FIELDS: u64 = 20_000;
/// The most directives on one document.
const MAX_DIRECTIVES: u32 = 200;
/// How many faults of one document are told.
const MAX_FAULTS: usize = 10;
/// How deep the parser goes before it gives up; selections are bounded more tightly by a setting.
const MAX_RECURSION: usize = 200;
/// How deep selections may be nested, through fragments too and whatever the setting for fields says. Bounds the stack.
const MAX_LEVELS: u32 = 100;

/// Checks documents and remembers those that passed.
#[derive(Debug)]
pub(crate) struct Gate {
    schema: Valid<Schema>,
    limits: Limits,
    introspection: bool,
    passed: Cache<String, Arc<Document>>,
}

/// A document that may be executed.
#[derive(Debug)]
pub(crate) struct Document {
    checked: Valid<ExecutableDocument>,
    engine: EngineDocument,
}

/// Why a document or its variables were refused: one or more faults of one kind.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) faults: Vec<GraphQLError>,
}

impl Refusal {
    fn new(code: Code, message: impl Into<String>) -> Self {
        let fault = GraphQLError {
            message: message.into(),
            locations: Vec::new(),
            path: Vec::new(),
            extensions: JsonMap::default(),
        };
        Self { code, faults: vec![fault] }
    }

    fn of(code: Code, faults: &DiagnosticList) -> Self {
        Self { code, faults: faults.iter().take(MAX_FAULTS).map(|fault| fault.to_json()).collect() }
    }
}

impl Gate {
    /// A gate for the schema in `sdl`, with or without questions about the schema itself.
    pub(crate) fn new(sdl: &str, limits: &Limits, introspection: bool) -> Result<Self> {
        let schema = Schema::parse_and_validate(sdl, "schema.graphql")
            .map_err(|faults| Error::internal(format!("our own schema is not valid: {}", faults.errors)))?;
        // Weighed by length, so that a few huge documents cannot take more memory than many small ones.
        let passed = Cache::builder()
            .weigher(|text: &String, _| u32::try_from(text.len()).unwrap_or(u32::MAX).max(1024))
            .max_capacity(limits.document_cache.saturating_mul(1024))
            .build();
        Ok(Self { schema, limits: limits.clone(), introspection, passed })
    }

    /// The document of this text, checked now or before.
    pub(crate) fn document(&self, text: &str) -> Result<Arc<Document>, Refusal> {
        if let Some(document) = self.passed.get(text) {
            return Ok(document);
        }
        let document = Arc::new(self.check(text)?);
        self.passed.insert(text.to_owned(), Arc::clone(&document));
        Ok(document)
    }

    fn check(&self, text: &str) -> Result<Document, Refusal> {
        let mut parser = Parser::new().token_limit(MAX_TOKENS).recursion_limit(MAX_RECURSION);
        let parsed = parser.parse_ast(text, "document.graphql");
        let syntax = parsed.map_err(|faults| {
            let too_long = parser.tokens_reached() > MAX_TOKENS || parser.recursion_reached() > MAX_RECURSION;
            let code = if too_long { Code::LimitExceeded } else { Code::GraphqlParseFailed };
            Refusal::of(code, &faults.errors)
        })?;
        let measure = Measure::of(&syntax);
        measure.check(&self.limits)?;
        if measure.introspection && !self.introspection {
            return Err(Refusal::new(Code::GraphqlValidationFailed, "this server does not tell its schema"));
        }
        let checked = syntax
            .to_executable_validate(&self.schema)
            .map_err(|faults| Refusal::of(Code::GraphqlValidationFailed, &faults.errors))?;
        let engine = async_graphql::parser::parse_query(text)
            .map_err(|error| Refusal::new(Code::GraphqlParseFailed, error.to_string()))?;
        Ok(Document { checked, engine })
    }

    /// The values of an operation's variables as the engine takes them, each of the type the operation declares.
    pub(crate) fn variables(
        &self,
        document: &Document,
        operation: &Operation,
        values: &JsonMap,
    ) -> Result<Variables, Refusal> {
        if operation.variables.is_empty() {
            return Ok(Variables::default());
        }
        let coerced =
            apollo_compiler::request::coerce_variable_values(&self.schema, operation, values).map_err(|error| {
                Refusal { code: Code::BadUserInput, faults: vec![error.to_graphql_error(&document.checked.sources)] }
            })?;
        let mut variables = Variables::default();
        for (name, value) in coerced.into_inner() {
            variables.insert(EngineName::new(name.as_str()), engine_value(value));
        }
        Ok(variables)
    }
}

impl Document {
    /// The operation to run: the one of this name, or the only one.
    pub(crate) fn operation(&self, name: Option<&str>) -> Result<&Node<Operation>, Refusal> {
        self.checked.operations.get(name).map_err(|_| {
            Refusal::new(
                Code::BadUserInput,
                match name {
                    Some(name) => format!("the document has no operation named {name:?}"),
                    None => "the document has several operations; say by operationName which one to run".to_owned(),
                },
            )
        })
    }

    /// What the engine runs.
    pub(crate) fn engine(&self) -> EngineDocument {
        self.engine.clone()
    }
}

fn engine_value(value: JsonValue) -> Value {
    match value {
        JsonValue::Null => Value::Null,
        JsonValue::Bool(value) => Value::Boolean(value),
        JsonValue::Number(value) => Value::Number(value),
        JsonValue::String(value) => Value::String(value.as_str().to_owned()),
        JsonValue::Array(values) => Value::List(values.into_iter().map(engine_value).collect()),
        JsonValue::Object(members) => Value::Object(
            members.into_iter().map(|(name, value)| (EngineName::new(name.as_str()), engine_value(value))).collect(),
        ),
    }
}

/// How large a document is.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// Fields, those of fragments counted wherever they are spread.
    fields: u64,
    /// How deep fields are nested.
    depth: u32,
    /// How deep selections are nested, fields or not.
    levels: u32,
}

struct Measure<'a> {
    fragments: HashMap<&'a Name, &'a [Selection]>,
    /// Sizes of fragments; `None` while one is being measured, which a cycle runs into.
    sizes: HashMap<&'a Name, Option<Size>>,
    aliases: u32,
    directives: u32,
    introspection: bool,
    size: Size,
}

impl<'a> Measure<'a> {
    fn of(document: &'a ast::Document) -> Self {
        let mut measure = Self {
            fragments: HashMap::new(),
            sizes: HashMap::new(),
            aliases: 0,
            directives: 0,
            introspection: false,
            size: Size::default(),
        };
        for definition in &document.definitions {
            if let Definition::FragmentDefinition(fragment) = definition {
                measure.fragments.insert(&fragment.name, &fragment.selection_set);
                measure.directives = measure.directives.saturating_add(count(fragment.directives.len()));
            }
        }
        for definition in &document.definitions {
            let size = match definition {
                Definition::OperationDefinition(operation) => {
                    measure.directives = measure.directives.saturating_add(count(operation.directives.len()));
                    measure.selections(&operation.selection_set, 1)
                }
                // Unused fragments are refused by validation; they are measured to be safe until then.
                Definition::FragmentDefinition(fragment) => measure.fragment(&fragment.name, 1),
                _ => Size::default(),
            };
            measure.size.fields = measure.size.fields.max(size.fields);
            measure.size.depth = measure.size.depth.max(size.depth);
            measure.size.levels = measure.size.levels.max(size.levels);
        }
        measure
    }

    /// The size of selections that stand on this level, as far down as documents may go.
    fn selections(&mut self, selections: &'a [Selection], level: u32) -> Size {
        let mut sum = Size { fields: 0, depth: 0, levels: 1 };
        if level > MAX_LEVELS {
            sum.levels = MAX_LEVELS + 1;
            return sum;
        }
        for selection in selections {
            let (size, directives) = match selection {
                Selection::Field(field) => {
                    self.aliases = self.aliases.saturating_add(u32::from(field.alias.is_some()));
                    self.introspection |= matches!(field.name.as_str(), "__schema" | "__type");
                    let inner = self.selections(&field.selection_set, level + 1);
                    let (fields, depth) = (inner.fields.saturating_add(1), inner.depth.saturating_add(1));
                    (Size { fields, depth, ..inner }, field.directives.len())
                }
                Selection::FragmentSpread(spread) => {
                    (self.fragment(&spread.fragment_name, level + 1), spread.directives.len())
                }
                Selection::InlineFragment(inline) => {
                    (self.selections(&inline.selection_set, level + 1), inline.directives.len())
                }
            };
            self.directives = self.directives.saturating_add(count(directives));
            sum.fields = sum.fields.saturating_add(size.fields);
            sum.depth = sum.depth.max(size.depth);
            sum.levels = sum.levels.max(size.levels.saturating_add(1));
        }
        sum
    }

    fn fragment(&mut self, name: &'a Name, level: u32) -> Size {
        if let Some(known) = self.sizes.get(name) {
            // A cycle counts as nothing here; validation refuses it.
            return known.unwrap_or_default();
        }
        let Some(selections) = self.fragments.get(name).copied() else { return Size::default() };
        self.sizes.insert(name, None);
        let size = self.selections(selections, level);
        self.sizes.insert(name, Some(size));
        size
    }

    fn check(&self, limits: &Limits) -> Result<(), Refusal> {
        let too_much = |what: &str, is: u64, most: u64| {
            Err(Refusal::new(Code::LimitExceeded, format!("the document has {is} {what}, and {most} are allowed")))
        };
        if self.size.fields > MAX_FIELDS {
            return too_much("fields with its fragments spread", self.size.fields, MAX_FIELDS);
        }
        if self.size.levels > MAX_LEVELS {
            return too_much("levels of selections", self.size.levels.into(), MAX_LEVELS.into());
        }
        if self.size.depth > limits.max_depth {
            return too_much("levels of nesting", self.size.depth.into(), limits.max_depth.into());
        }
        if self.aliases > limits.max_aliases {
            return too_much("aliases", self.aliases.into(), limits.max_aliases.into());
        }
        if self.directives > MAX_DIRECTIVES {
            return too_much("directives", self.directives.into(), MAX_DIRECTIVES.into());
        }
        Ok(())
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn gate() -> Gate {
        let limits = Config::from_sources(None, []).unwrap().limits;
        Gate::new(&crate::schema::sdl(), &limits, true).unwrap()
    }

    fn refused(text: &str) -> Refusal {
        gate().document(text).expect_err("the document passed")
    }

    #[test]
    fn a_document_is_checked_once() {
        let gate = gate();
        let (one, two) = (gate.document("{ viewer { kind } }").unwrap(), gate.document("{ viewer { kind } }").unwrap());
        assert!(Arc::ptr_eq(&one, &two));
    }

    #[test]
    fn what_is_no_graphql_and_what_does_not_fit_the_schema_is_refused() {
        assert_eq!(refused("{ viewer {").code, Code::GraphqlParseFailed);
        assert_eq!(refused("{ nothing }").code, Code::GraphqlValidationFailed);
    }

    #[test]
    fn fragments_that_double_are_counted_without_being_spread() {
        let mut text = String::from("query { ...F0 } fragment F30 on Query { viewer { kind } }");
        for n in 0..30 {
            text.push_str(&format!(" fragment F{n} on Query {{ ...F{} ...F{} }}", n + 1, n + 1));
        }
        assert_eq!(refused(&text).code, Code::LimitExceeded);
    }

    #[test]
    fn circular_fragments_are_refused() {
        let text = "query { ...A } fragment A on Query { ...B } fragment B on Query { ...A }";
        assert_eq!(refused(text).code, Code::GraphqlValidationFailed);
    }

    #[test]
    fn nesting_aliases_and_directives_are_bounded() {
        let deep = format!("{{ viewer {} kind {} }}", "{ user { season { season".repeat(5), "} } }".repeat(5));
        assert!(matches!(refused(&deep).code, Code::LimitExceeded | Code::GraphqlParseFailed));
        let aliases: String = (0..1000).map(|n| format!("a{n}: viewer {{ kind }} ")).collect();
        assert_eq!(refused(&format!("{{ {aliases} }}")).code, Code::LimitExceeded);
        let directives = "@include(if: true)".repeat(1000);
        assert_eq!(refused(&format!("{{ viewer {directives} {{ kind }} }}")).code, Code::LimitExceeded);
        let bottomless = format!("{{ viewer {} }}", "{ user ".repeat(10_000));
        assert_eq!(refused(&bottomless).code, Code::LimitExceeded);
        let long = format!("{{ {} }}", "viewer { kind } ".repeat(10_000));
        assert_eq!(refused(&long).code, Code::LimitExceeded);
    }

    #[test]
    fn fragments_nested_in_fragments_do_not_exhaust_the_stack() {
        for backwards in [false, true] {
            let mut fragments: Vec<String> = (0..80)
                .map(|n| {
                    let (open, close) = ("...{ ".repeat(90), " }".repeat(90));
                    let next = if n == 79 { "viewer { kind }".to_owned() } else { format!("...F{}", n + 1) };
                    format!("fragment F{n} on Query {{ {open}{next}{close} }} ")
                })
                .collect();
            if backwards {
                fragments.reverse();
            }
            let text = format!("{} query {{ ...F0 }}", fragments.concat());
            let refusal = std::thread::Builder::new()
                .stack_size(1024 * 1024)
                .spawn(move || refused(&text))
                .unwrap()
                .join()
                .expect("the stack was exhausted");
            assert_eq!(refusal.code, Code::LimitExceeded);
        }
    }

    #[test]
    fn a_server_that_keeps_its_schema_to_itself_refuses_to_be_asked_for_it() {
        let limits = Config::from_sources(None, []).unwrap().limits;
        let gate = Gate::new(&crate::schema::sdl(), &limits, false).unwrap();
        assert!(gate.document("{ __schema { queryType { name } } }").is_err());
        assert!(gate.document("{ viewer { __typename kind } }").is_ok());
    }
}
