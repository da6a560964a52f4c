//! What stands between a client's document and its execution.
//!
//! A document is measured first (tokens, nesting, aliases, directives, and how many fields it has once its fragments
//! are spread, counted without spreading them), then parsed and validated against our own schema, and kept under its
//! text. What the engine runs is compiled from that and kept too. A request for a document seen before costs two
//! look-ups and the coercion of its variables.

mod compile;
mod cost;
mod descriptions;
mod faults;
mod inputs;
mod introspection;
mod measure;
#[cfg(test)]
mod oracle;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use apollo_compiler::executable::{Operation, OperationType};
use apollo_compiler::parser::Parser;
use apollo_compiler::response::{GraphQLError, JsonMap, JsonValue};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Name, Node, Schema};
use async_graphql::{Name as EngineName, Request, Value, Variables};
pub use compile::Compiled;
use cost::{Costs, Pricing};
use inputs::Strict;
use measure::Measure;
use moka::sync::Cache;
use sha2::{Digest as _, Sha256};

use super::documents::Documents;
use waymark_kernel::config::Limits;
use waymark_kernel::error::{Code, Error, Result};
use waymark_schema::bounds::Sizes;

/// The most bytes of a document. Long texts belong into variables.
const MAX_BYTES: usize = 128 * 1024;
/// The most tokens of a document, with the white space between them.
const MAX_TOKENS: usize = 15_000;
/// How many faults of one document are reported.
const MAX_FAULTS: usize = 10;
/// What a document is called where its text is kept.
const FILE: &str = "document.graphql";
/// How deep the parser goes before it gives up; selections are bounded more tightly by a setting.
const MAX_RECURSION: usize = 200;
/// What questions about the schema may cost, whatever the setting for operations is: tools ask for all of it at once.
const MAX_INTROSPECTION: u64 = 20_000;
/// How many bytes of what is compiled are copied in the time that one unit of cost stands for.
const COPIED: u32 = 32 * 1024;
/// How many bytes of what is compiled of a kept document are kept, on average.
const COMPILED_BYTES: u64 = 16 * 1024;

/// The values of variables as a client sends them: a JSON object.
pub type Values = JsonMap;

/// Checks documents and remembers those that passed.
#[derive(Debug)]
pub struct Gate {
    schema: Valid<Schema>,
    limits: Limits,
    introspection: bool,
    passed: Cache<String, Arc<Document>>,
    /// `None` for what grows beyond what is allowed.
    compiled: Cache<Variant, Option<Arc<Compiled>>>,
    documents: AtomicU64,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// A document that may be executed.
#[derive(Debug)]
pub struct Document {
    number: u64,
    checked: Valid<ExecutableDocument>,
    /// The text with its descriptions, if it has some.
    described: Option<String>,
    operations: Vec<Known>,
}

/// What is known of an operation.
#[derive(Debug)]
struct Known {
    name: Option<Name>,
    costs: Costs,
    /// The places of variables where `null` cannot be.
    strict: Vec<Strict>,
    /// The variables that `@skip` and `@include` ask for.
    deciding: Vec<Name>,
}

/// An operation of a document, with the values of the variables that decide which fields it has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Variant {
    document: u64,
    operation: Option<Name>,
    given: Vec<bool>,
}

/// An operation that may be executed, with the values of its variables.
#[derive(Debug)]
pub struct Passed {
    /// What it costs.
    pub cost: u64,
    /// Whether it is a query, a mutation or a subscription.
    pub kind: OperationType,
    /// The document in which the operation stands.
    pub document: Arc<Document>,
    /// What the operation is called.
    pub name: Option<Name>,
    /// What the engine runs.
    pub compiled: Arc<Compiled>,
    variables: Variables,
    /// Whether variables are left without a value.
    omits: bool,
}

/// Why a document or its variables were refused: one or more faults of one kind.
#[derive(Debug)]
pub struct Refusal {
    /// The kind.
    pub code: Code,
    /// What is wrong, each as it stands in the answer's errors; at least one.
    pub faults: Vec<GraphQLError>,
    /// In how many seconds trying again may help, where that is known.
    pub retry_after: Option<u32>,
    /// What it cost to find that out, beyond what every refusal costs.
    pub work: u64,
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        if matches!(error.code(), Code::Internal | Code::Unavailable) && !error.is_noted() {
            tracing::error!(error = error.chain(), "a request failed");
        }
        Self { retry_after: error.retry_after(), ..Self::new(error.code(), error.message()) }
    }
}

impl Refusal {
    /// Makes a refusal of one fault, which names no place in the document.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let fault = GraphQLError {
            message: message.into(),
            locations: Vec::new(),
            path: Vec::new(),
            extensions: JsonMap::default(),
        };
        Self { code, faults: vec![fault], retry_after: None, work: 0 }
    }

    fn of(code: Code, faults: &DiagnosticList) -> Self {
        let faults = faults.iter().take(MAX_FAULTS).map(|fault| fault.to_json()).collect();
        Self { code, faults, retry_after: None, work: 0 }
    }
}

impl Gate {
    /// A gate for the schema in `sdl`, with or without questions about the schema itself.
    ///
    /// # Errors
    /// When `sdl` is no valid schema.
    pub fn new(sdl: &str, limits: &Limits, introspection: bool) -> Result<Self> {
        let schema = introspection::completed(
            Schema::parse_and_validate(sdl, "schema.graphql")
                .map_err(|faults| Error::internal(format!("our own schema is not valid: {}", faults.errors)))?,
        );
        // Weighed by length, so that a few huge documents cannot take more memory than many small ones.
        let passed = Cache::builder()
            .weigher(|text: &String, _| u32::try_from(text.len()).unwrap_or(u32::MAX).max(1024))
            .max_capacity(limits.document_cache.saturating_mul(1024))
            .build();
        let compiled = Cache::builder()
            .weigher(|_: &Variant, compiled: &Option<Arc<Compiled>>| {
                compiled.as_ref().map_or(0, |compiled| compiled.weight).max(1024)
            })
            .max_capacity(limits.document_cache.saturating_mul(COMPILED_BYTES))
            .build();
        let (documents, hits, misses) = <(AtomicU64, AtomicU64, AtomicU64)>::default();
        Ok(Self { schema, limits: limits.clone(), introspection, passed, compiled, documents, hits, misses })
    }

    /// How many documents had passed before, how many had to be checked, and how many are kept.
    pub fn figures(&self) -> (u64, u64, u64) {
        self.passed.run_pending_tasks();
        (self.hits.load(Ordering::Relaxed), self.misses.load(Ordering::Relaxed), self.passed.entry_count())
    }

    /// Lets an operation pass: the one of this name in the document, or its only one. `sizes` says how large the
    /// catalogue is, for what it costs.
    ///
    /// # Errors
    /// When the document, the name or the values are refused, and when it costs too much.
    pub fn pass(&self, text: &str, name: Option<&str>, values: &Values, sizes: &Sizes) -> Result<Passed, Refusal> {
        let document = self.document(text)?;
        let operation = document.operation(name)?;
        let variables = self.variables(&document, operation, values)?;
        let cost = self.cost(&document, operation, &variables, sizes)?;
        let compiled = self.compiled(&document, operation, &variables)?;
        // The engine takes a copy, however little there turns out to be asked.
        let cost = cost.max(u64::from(compiled.weight / COPIED));
        let omits = operation.variables.iter().any(|variable| !variables.contains_key(&*variable.name));
        let (kind, name) = (operation.operation_type, operation.name.clone());
        Ok(Passed { cost, kind, document, name, compiled, variables, omits })
    }

    /// What the engine runs for an operation with these variables, compiled now or before.
    fn compiled(
        &self,
        document: &Document,
        operation: &Operation,
        variables: &Variables,
    ) -> Result<Arc<Compiled>, Refusal> {
        let is = |name: &str| variables.get(name) == Some(&Value::Boolean(true));
        let deciding = document.known(operation).map_or(&[][..], |known| &known.deciding);
        let given = deciding.iter().map(|name| is(name)).collect();
        let variant = Variant { document: document.number, operation: operation.name.clone(), given };
        let too_much = |work| {
            let message =
                "the document has too many fields or values with its fragments spread; put values into variables";
            Refusal { work, ..Refusal::new(Code::LimitExceeded, message) }
        };
        if let Some(known) = self.compiled.get(&variant) {
            return known.ok_or_else(|| too_much(0));
        }
        let compiled = compile::operation(&self.schema, &document.checked, operation, &is).map(Arc::new);
        self.compiled.insert(variant, compiled.clone());
        compiled.ok_or_else(|| too_much(u64::from(compile::MOST / COPIED)))
    }

    /// Whether the document of this text passed before, and is still known.
    pub fn knows(&self, text: &str) -> bool {
        self.passed.contains_key(text)
    }

    /// The document of this text, checked now or before.
    fn document(&self, text: &str) -> Result<Arc<Document>, Refusal> {
        if text.len() > MAX_BYTES {
            let message = format!("the document has {} bytes, and {MAX_BYTES} are allowed", text.len());
            return Err(Refusal::new(Code::LimitExceeded, message));
        }
        if let Some(document) = self.passed.get(text) {
            self.hits.fetch_add(1, Ordering::Relaxed);
            return Ok(document);
        }
        self.misses.fetch_add(1, Ordering::Relaxed);
        let document = Arc::new(self.check(text)?);
        self.passed.insert(text.to_owned(), Arc::clone(&document));
        Ok(document)
    }

    fn check(&self, text: &str) -> Result<Document, Refusal> {
        let mut parser = Parser::new().token_limit(MAX_TOKENS).recursion_limit(MAX_RECURSION);
        let mut described = None;
        let parsed = parser.parse_ast(text, FILE).or_else(|faults| match descriptions::without(text) {
            Some(plain) => {
                described = Some(text.to_owned());
                parser.parse_ast(plain, FILE)
            }
            None => Err(faults),
        });
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
        inputs::check_document(&self.schema, &checked)?;
        let mut pricing = Pricing::new(&self.schema, &checked, &self.limits);
        let operations = checked.operations.iter().map(|one| Known {
            name: one.name.clone(),
            costs: pricing.operation(one),
            strict: inputs::strict_places(&self.schema, &checked, one),
            deciding: compile::deciding(&checked, one),
        });
        let operations = operations.collect();
        let number = self.documents.fetch_add(1, Ordering::Relaxed);
        Ok(Document { number, checked, described, operations })
    }

    /// Logs which trusted documents would be refused.
    pub fn look_over(&self, documents: &Documents) {
        for (id, text) in documents.iter() {
            if let Err(refusal) = self.document(text) {
                let reason = refusal.faults.first().map_or("", |fault| &fault.message);
                tracing::warn!(id, reason, "a trusted document does not fit this server and is refused");
            }
        }
    }

    /// What the operation costs with these variables.
    fn cost(
        &self,
        document: &Document,
        operation: &Operation,
        variables: &Variables,
        sizes: &Sizes,
    ) -> Result<u64, Refusal> {
        let known = document.known(operation);
        let cost = known.map_or(0, |known| known.costs.with(variables, sizes));
        let introspection = known.map_or(0, |known| known.costs.introspection());
        if introspection > MAX_INTROSPECTION {
            let message = format!(
                "the questions about the schema cost {introspection}, and {MAX_INTROSPECTION} is allowed; the whole \
                 schema is at /schema.graphql too"
            );
            return Err(Refusal::new(Code::LimitExceeded, message));
        }
        let most = u64::from(self.limits.max_cost);
        if cost <= most {
            return Ok(cost.saturating_add(introspection));
        }
        let mut refusal = Refusal::new(
            Code::LimitExceeded,
            format!(
                "the operation costs {cost}, and {most} is allowed; ask for smaller pages (`first`), for fewer things or long \
                 texts inside of lists, or for the rest in another request"
            ),
        );
        for fault in &mut refusal.faults {
            let mut numbers = JsonMap::new();
            numbers.insert("requested", cost.into());
            numbers.insert("limit", most.into());
            fault.extensions.insert("cost", JsonValue::Object(numbers));
        }
        Err(refusal)
    }

    /// The values of an operation's variables as the engine takes them, each of the type the operation declares.
    fn variables(&self, document: &Document, operation: &Operation, values: &JsonMap) -> Result<Variables, Refusal> {
        if operation.variables.is_empty() {
            return Ok(Variables::default());
        }
        let values = inputs::with_whole_numbers(&self.schema, operation, values);
        let coerced =
            apollo_compiler::request::coerce_variable_values(&self.schema, operation, &values).map_err(|error| {
                faults::of_variables(&self.schema, &document.checked, operation, &values).unwrap_or_else(|| {
                    let fault = error.to_graphql_error(&document.checked.sources);
                    Refusal { faults: vec![fault], ..Refusal::new(Code::BadUserInput, "") }
                })
            })?;
        let coerced = coerced.into_inner();
        inputs::check_variables(&self.schema, &document.checked, operation, &coerced)?;
        let strict = document.known(operation).map_or(&[][..], |known| &known.strict);
        inputs::check_strict(strict, &coerced, &document.checked.sources)?;
        let mut variables = Variables::default();
        for (name, value) in coerced {
            variables.insert(EngineName::new(name.as_str()), engine_value(value));
        }
        Ok(variables)
    }
}

impl Document {
    /// The SHA-256 of its text, in hexadecimal digits.
    pub fn hash(&self) -> String {
        let text = self.checked.sources.values().find(|source| source.path() == Path::new(FILE));
        let text = text.map(|source| source.source_text()).unwrap_or_default();
        let text = self.described.as_deref().unwrap_or(text);
        Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn known(&self, operation: &Operation) -> Option<&Known> {
        self.operations.iter().find(|known| known.name == operation.name)
    }

    /// The operation to run: the one of this name, or the only one.
    fn operation(&self, name: Option<&str>) -> Result<&Node<Operation>, Refusal> {
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
}

impl Passed {
    /// What the engine runs. Where a variable has no value, the argument it stands for counts as not given, and falls
    /// back to its own default.
    #[must_use]
    pub fn into_request(self) -> Request {
        // The engine takes the document for itself.
        let mut engine = self.compiled.engine.clone();
        if self.omits {
            inputs::drop_omitted(&mut engine, &|name: &str| self.variables.contains_key(name));
        }
        let mut request = Request::new("").variables(self.variables);
        request.set_parsed_query(engine);
        request
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
    use waymark_kernel::config::Config;

    fn gate() -> Gate {
        let limits = Config::from_sources(None, []).unwrap().limits;
        Gate::new(&waymark_schema::sdl(), &limits, true).unwrap()
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
    fn questions_about_the_schema_cost_as_much_in_every_operation_that_spreads_them() {
        let circle = "{ interfaces { possibleTypes ".repeat(6) + "{ name }" + &" } }".repeat(6);
        let text = format!(
            "query A {{ ...F }} query B {{ ...F }} query C {{ __typename }} fragment F on Query {{ __schema {{ types {circle} }} }}"
        );
        let gate = gate();
        let pass =
            |name: &str| gate.pass(&text, Some(name), &Values::default(), &Sizes::all(1)).map(|passed| passed.cost);
        for name in ["A", "B", "A"] {
            assert_eq!(pass(name).unwrap_err().code, Code::LimitExceeded, "{name}");
        }
        assert_eq!(pass("C").unwrap(), 1);
    }

    #[test]
    fn values_that_fragments_multiply_are_bounded() {
        let gate = gate();
        let pass = |text: &str| gate.pass(text, None, &Values::default(), &Sizes::all(1)).map(|passed| passed.cost);
        let search = |length: usize| format!("games(search: {:?}) {{ nodes {{ id }} }}", "a".repeat(length));
        let spread: String = (0..100).map(|n| format!("a{n}: viewer {{ ...V }} ")).collect();
        let fragment = |length: usize| {
            format!(
                "fragment V on Viewer {{ user {{ games(first: 1, after: {:?}) {{ totalCount }} }} }}",
                "a".repeat(length)
            )
        };
        assert!(pass(&format!("{{ {} }}", search(100_000))).is_ok(), "once it is as long as a document may be");
        assert!(pass(&format!("{{ {spread} }} {}", fragment(1000))).is_ok());
        assert_eq!(pass(&format!("{{ {spread} }} {}", fragment(100_000))).unwrap_err().code, Code::LimitExceeded);
    }

    #[test]
    fn a_subscription_has_one_root() {
        let sdl = "type Query { x: Int } type Subscription { a: Int b: Int }";
        let gate = Gate::new(sdl, &Config::from_sources(None, []).unwrap().limits, true).unwrap();
        let kind = |text: &str| gate.pass(text, None, &Values::default(), &Sizes::all(1)).map(|passed| passed.kind);
        assert_eq!(kind("subscription { a }").unwrap(), OperationType::Subscription);
        for text in [
            "subscription { a b }",
            "subscription { one: a two: a }",
            "subscription { a ...F } fragment F on Subscription { b }",
            "subscription { ... { a } ... { b } }",
            "subscription { __typename }",
            "subscription { a @skip(if: false) }",
            "subscription { ... @include(if: true) { a } }",
        ] {
            assert_eq!(kind(text).expect_err(text).code, Code::GraphqlValidationFailed, "{text}");
        }
    }

    #[test]
    fn an_operation_passes_with_its_cost() {
        let gate = gate();
        let values = serde_json::from_str(r#"{"n": 3}"#).unwrap();
        let text = "query A($n: Int) { games(first: $n) { nodes { id } } } query B { viewer { kind } }";
        let sizes = Sizes::all(100);
        let cost =
            |name| gate.pass(text, name, &values, &sizes).map(|passed| passed.cost).map_err(|refusal| refusal.code);
        assert_eq!(cost(Some("A")), Ok(6));
        assert_eq!(cost(Some("B")), Ok(2));
        assert_eq!(cost(Some("C")), Err(Code::BadUserInput));
        assert_eq!(cost(None), Err(Code::BadUserInput));
    }

    #[test]
    fn an_operation_costs_what_its_answer_can_hold() {
        let (gate, sizes) = (gate(), Sizes::all(10));
        let long = format!("{{ viewer {{ {}: kind }} }}", "a".repeat(600));
        for (text, cost) in [
            ("{ __typename }", 1),
            ("{ viewer { kind } }", 2),
            // Three objects with ids of 68 bytes, and one for the connection.
            ("{ games(first: 3) { nodes { id } } }", 5),
            // There are ten, independent of the arguments.
            ("{ games { nodes { id } } }", 13),
            ("{ games(first: 3) { totalCount } }", 7),
            (r#"{ collection(id: "c") { cards { id } } }"#, 13),
            ("{ currentSeason { goals { season { goals { id } } } } }", 141),
            (r#"{ nodes(ids: ["game:1", "game:2"]) { id } }"#, 4),
            ("{ games(first: 3) @skip(if: true) { nodes { id } } viewer { kind } }", 2),
            (&long, 3),
        ] {
            let passed = gate.pass(text, None, &Values::default(), &sizes);
            assert_eq!(passed.map(|passed| passed.cost).map_err(|refusal| refusal.code), Ok(cost), "{text}");
        }
    }

    #[test]
    fn a_write_costs_by_its_items_and_what_it_can_change() {
        let limits =
            Config::from_sources(None, [("WAYMARK_MAX_COST".to_owned(), "1000000".to_owned())]).unwrap().limits;
        let gate = Gate::new(&waymark_schema::sdl(), &limits, true).unwrap();
        let cost = |items: usize, selection: &str| {
            let text = format!(
                "mutation($e: [ProgressEventInput!]!) {{ recordProgress(input: {{ events: $e }}) {{ {selection} }} }}"
            );
            let event = r#"{"enrollment": {"user": {"handle": "grace"}}}"#;
            let values = format!(r#"{{"e": [{}]}}"#, vec![event; items].join(","));
            let passed = gate.pass(&text, None, &serde_json::from_str(&values).unwrap(), &Sizes::all(10));
            passed.unwrap().cost
        };
        let events = "changes { user { handle } events { kind } }";
        let (ten, thousand) = (cost(10, events), cost(1000, events));
        // The events of all users together are no more than the items can make, so it grows as the input does, which is
        // a little less than the cost: a write costs something by itself.
        assert!((80 * ten..110 * ten).contains(&thousand), "{ten} {thousand}");
        let results = cost(1000, "results { id status } userErrors { code }");
        assert!((5 * 1000..10 * 1000).contains(&results), "{results}");
        assert!(thousand < 20_000, "{thousand}");
    }

    #[test]
    fn a_server_that_keeps_its_schema_to_itself_refuses_to_be_asked_for_it() {
        let limits = Config::from_sources(None, []).unwrap().limits;
        let gate = Gate::new(&waymark_schema::sdl(), &limits, false).unwrap();
        assert!(gate.document("{ __schema { queryType { name } } }").is_err());
        assert!(gate.document("{ viewer { __typename kind } }").is_ok());
    }
}
