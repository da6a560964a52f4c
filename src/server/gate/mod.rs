//! What stands between a client's document and its execution.
//!
//! A document is measured first (tokens, nesting, aliases, directives, and how many fields it has once its fragments are
//! spread, counted without spreading them), then parsed and validated against our own schema, and kept, with what the
//! engine needs, under its text. A request for a document seen before costs a look-up and the coercion of its variables.

mod inputs;
mod measure;
mod subscriptions;

use std::sync::Arc;

use apollo_compiler::executable::Operation;
use apollo_compiler::parser::Parser;
use apollo_compiler::response::{GraphQLError, JsonMap, JsonValue};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Node, Schema};
use async_graphql::parser::types::ExecutableDocument as EngineDocument;
use async_graphql::{Name as EngineName, Value, Variables};
use measure::Measure;
use moka::sync::Cache;

use crate::config::Limits;
use crate::error::{Code, Error, Result};

/// The most tokens of a document.
const MAX_TOKENS: usize = 15_000;
/// How many faults of one document are told.
const MAX_FAULTS: usize = 10;
/// How deep the parser goes before it gives up; selections are bounded more tightly by a setting.
const MAX_RECURSION: usize = 200;

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
    /// Whether no two answers in it have to be merged.
    pub(crate) plain: bool,
}

/// Why a document or its variables were refused: one or more faults of one kind.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) faults: Vec<GraphQLError>,
}

impl Refusal {
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
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
        let plain = measure.plain;
        if measure.introspection && !self.introspection {
            return Err(Refusal::new(Code::GraphqlValidationFailed, "this server does not tell its schema"));
        }
        let checked = syntax
            .to_executable_validate(&self.schema)
            .map_err(|faults| Refusal::of(Code::GraphqlValidationFailed, &faults.errors))?;
        inputs::check_document(&self.schema, &checked)?;
        let mut engine = async_graphql::parser::parse_query(text)
            .map_err(|error| Refusal::new(Code::GraphqlParseFailed, error.to_string()))?;
        subscriptions::flatten_all(&mut engine);
        Ok(Document { checked, engine, plain })
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
        let coerced = coerced.into_inner();
        inputs::check_variables(&self.schema, operation, &coerced)?;
        let mut variables = Variables::default();
        for (name, value) in coerced {
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

    /// What the engine runs, given the variables that have a value. Where a variable has none, the argument it stands
    /// for is as good as not given, and falls back to its own default.
    pub(crate) fn engine(&self, operation: &Operation, variables: &Variables) -> EngineDocument {
        let mut engine = self.engine.clone();
        let given = |name: &str| variables.contains_key(name);
        if operation.variables.iter().any(|variable| !given(&variable.name)) {
            inputs::drop_omitted(&mut engine, &given);
        }
        engine
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
