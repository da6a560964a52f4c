//! What an operation costs, known before it runs.
//!
//! Costs are worked out in a small unit: a byte of the answer. [`UNIT`] of them make one unit of cost, which also
//! stands for 50 microseconds of a processor's time. An object weighs one unit, a field what it can take up in the
//! answer and [`FIELD`] at least, and what stands inside a list counts once per element. How long lists and texts can
//! be is stated in [`bounds`]; the numbers come from the document, its variables, and the catalogue as it is when the
//! request comes.
//!
//! A document is turned into a formula once. With the variables and the catalogue's measures that is then worked out
//! per request, which takes a few additions.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::{DirectiveList, Field, Operation, Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Schema};
use async_graphql::{Value as EngineValue, Variables};

use super::introspection;
use waymark_graphql_kit::pagination::DEFAULT_PAGE;
use waymark_kernel::config::Limits;
use waymark_kernel::limits;
use waymark_schema::bounds;
use waymark_schema::bounds::{Bound, Measure, Sizes, Text};

/// How many of the small unit are one unit of cost.
pub(super) const UNIT: u64 = 400;
/// What an object weighs.
pub(super) const OBJECT: u64 = UNIT;
/// What a field weighs at least.
pub(super) const FIELD: u64 = UNIT / 10;
/// What stands around a field in the answer: quotes, a colon and a comma.
const AROUND: u64 = 4;
/// What `totalCount` weighs: a list is counted.
const TOTAL_COUNT: u64 = 5 * UNIT;
/// What a mutation weighs.
const WRITE: u64 = 10 * UNIT;
/// What each element of a mutation's input weighs, and the same of what operators define, which leaves no events.
const RECORDED: u64 = limits::COST_OF_RECORDED * UNIT;
const DEFINED: u64 = UNIT;

/// What something weighs, as far as it is known without variables and the catalogue.
#[derive(Debug, Clone, Default)]
pub(super) struct Cost {
    fixed: u64,
    /// So much for each that is measured.
    sized: Vec<(Measure, u64)>,
    /// What is done several times, or depends on variables.
    parts: Vec<(Times, Arc<Self>)>,
}

/// What an operation weighs.
#[derive(Debug, Clone, Default)]
pub(super) struct Costs {
    rest: Cost,
    /// What its questions about the schema weigh, which have a limit of their own.
    introspection: u64,
    /// The fields of a mutation.
    writes: Vec<Writing>,
}

/// A field of a mutation.
#[derive(Debug, Clone)]
struct Writing {
    /// How many elements its input has, and what each of them weighs.
    elements: Cost,
    each: u64,
    /// What its answer weighs.
    answer: Cost,
}

/// How often something is done.
#[derive(Debug, Clone)]
enum Times {
    Fixed(u64),
    /// As often as the list in this variable has elements.
    Length(Name),
    /// As often as the value of this variable has elements, in all of its lists.
    Elements(Name),
    /// As often as a page has elements whose size is in these variables or `otherwise` so, and no more often than this.
    Page {
        sizes: Vec<Name>,
        otherwise: u64,
        most: u64,
        of: Option<Measure>,
    },
    Catalogue(Measure),
    /// As often as the one says when this variable is true, and as the other when it is not.
    Chosen(Name, Measure, Measure),
    /// So often for each item of a write, and so often at least.
    Items(u64, u64),
    /// Once for each item of a write; what depends on items in it, once in all.
    Shared,
    /// Once if this variable is as it is said, and else not.
    When(Name, bool),
}

/// What a formula is worked out with.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    variables: &'a Variables,
    sizes: &'a Sizes,
    /// How many items a write has. `None` where those of the write are counted elsewhere, and outside of writes.
    items: Option<u64>,
}

impl Given<'_> {
    /// A write may make the catalogue longer by what it is given, before its answer shows it.
    fn size(&self, measure: Measure) -> u64 {
        let size = self.sizes.get(measure);
        if measure.is_count() { size.max(self.items.unwrap_or(0)) } else { size }
    }
}

impl Cost {
    const fn fixed(fixed: u64) -> Self {
        Self { fixed, sized: Vec::new(), parts: Vec::new() }
    }

    fn weigh(&mut self, fixed: u64) {
        self.fixed = self.fixed.saturating_add(fixed);
    }

    fn weigh_each(&mut self, measure: Measure, weight: u64) {
        match self.sized.iter_mut().find(|(known, _)| *known == measure) {
            Some((_, known)) => *known = known.saturating_add(weight),
            None => self.sized.push((measure, weight)),
        }
    }

    fn add(&mut self, times: Times, each: Self) {
        let Times::Fixed(times) = times else { return self.parts.push((times, Arc::new(each))) };
        self.weigh(each.fixed.saturating_mul(times));
        for (measure, weight) in each.sized {
            self.weigh_each(measure, weight.saturating_mul(times));
        }
        if times == 1 {
            self.parts.extend(each.parts);
        } else if times > 0 && !each.parts.is_empty() {
            let parts = Self { parts: each.parts, ..Self::default() };
            self.parts.push((Times::Fixed(times), Arc::new(parts)));
        }
    }

    fn with(&self, given: Given<'_>) -> u64 {
        let sized = self.sized.iter().map(|(measure, weight)| given.size(*measure).saturating_mul(*weight));
        let parts = self.parts.iter().map(|(times, each)| match times {
            Times::Shared => {
                let apart = each.with(Given { items: None, ..given });
                given.items.unwrap_or(0).saturating_mul(apart).saturating_add(each.with(given))
            }
            times => match times.with(given) {
                0 => 0,
                times => times.saturating_mul(each.with(given)),
            },
        });
        sized.chain(parts).fold(self.fixed, u64::saturating_add)
    }
}

impl Costs {
    /// What the operation costs with these variables while the catalogue is like this.
    pub(super) fn with(&self, variables: &Variables, sizes: &Sizes) -> u64 {
        let given = Given { variables, sizes, items: None };
        let writes = self.writes.iter().map(|Writing { elements, each, answer }| {
            let elements = elements.with(given);
            let items = Some(elements.saturating_add(1));
            let answer = answer.with(Given { items, ..given });
            elements.saturating_mul(*each).saturating_add(answer).saturating_add(WRITE)
        });
        writes.fold(self.rest.with(given), u64::saturating_add).div_ceil(UNIT)
    }

    /// What its questions about the schema cost.
    pub(super) const fn introspection(&self) -> u64 {
        self.introspection.div_ceil(UNIT)
    }
}

impl Times {
    fn with(&self, given: Given<'_>) -> u64 {
        let value = |name: &Name| given.variables.get(name.as_str());
        match self {
            Self::Fixed(times) => *times,
            Self::Length(name) => match value(name) {
                Some(EngineValue::List(items)) => length(items.len()),
                Some(EngineValue::Null) | None => 0,
                Some(_) => 1,
            },
            Self::Elements(name) => value(name).map_or(0, elements),
            Self::Page { sizes, otherwise, most, of } => {
                let asked = sizes.iter().filter_map(|name| match value(name) {
                    Some(EngineValue::Number(size)) => Some(size.as_u64().unwrap_or(0)),
                    _ => None,
                });
                let most = of.map_or(*most, |measure| given.size(measure).min(*most));
                asked.max().unwrap_or(*otherwise).min(most)
            }
            Self::Catalogue(measure) => given.size(*measure),
            Self::Chosen(name, then, otherwise) => {
                let is_true = matches!(value(name), Some(EngineValue::Boolean(true)));
                given.size(if is_true { *then } else { *otherwise })
            }
            Self::Items(each, least) => given.items.map_or(0, |items| items.saturating_mul(*each).max(*least)),
            Self::Shared => given.items.unwrap_or(0),
            Self::When(name, is) => u64::from(matches!(value(name), Some(EngineValue::Boolean(true))) == *is),
        }
    }
}

/// The elements of all lists in a value.
fn elements(value: &EngineValue) -> u64 {
    match value {
        EngineValue::List(items) => items.iter().map(elements).fold(length(items.len()), u64::saturating_add),
        EngineValue::Object(members) => members.values().map(elements).fold(0, u64::saturating_add),
        _ => 0,
    }
}

fn length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// Works out costs of one document.
pub(super) struct Pricing<'a> {
    schema: &'a Valid<Schema>,
    document: &'a ExecutableDocument,
    most: u64,
    /// What fragments cost whose place does not matter, and their questions about the schema.
    fragments: HashMap<&'a Name, (Cost, u64)>,
    introspection: u64,
    counting: introspection::Counting<'a>,
}

impl<'a> Pricing<'a> {
    pub(super) fn new(schema: &'a Valid<Schema>, document: &'a ExecutableDocument, limits: &Limits) -> Self {
        let counting = introspection::Counting::new(schema, document);
        let most = limits.max_page_size.into();
        Self { schema, document, most, fragments: HashMap::new(), introspection: 0, counting }
    }

    pub(super) fn operation(&mut self, operation: &'a Operation) -> Costs {
        let mut costs = Costs::default();
        self.introspection = 0;
        if operation.is_mutation() {
            for field in operation.root_fields(self.document) {
                let mut elements = Cost::default();
                for argument in &field.arguments {
                    count_input(&argument.value, &mut elements);
                }
                let mut answer = Cost::default();
                self.field(&operation.selection_set.ty, field, &Times::Fixed(0), &mut answer);
                let each = if field.name.starts_with("upsert") { DEFINED } else { RECORDED };
                costs.writes.push(Writing { elements, each, answer });
            }
        } else {
            costs.rest = self.selections(&operation.selection_set, &Times::Fixed(0));
        }
        costs.introspection = self.introspection;
        costs
    }

    /// What selections cost that stand in a connection with a page of this size, or outside of one.
    fn selections(&mut self, selections: &'a SelectionSet, page: &Times) -> Cost {
        let mut sum = Cost::default();
        for selection in &selections.selections {
            let (directives, each) = match selection {
                Selection::Field(field) => {
                    if field.directives.is_empty() {
                        self.field(&selections.ty, field, page, &mut sum);
                        continue;
                    }
                    let mut each = Cost::default();
                    self.field(&selections.ty, field, page, &mut each);
                    (&field.directives, each)
                }
                Selection::InlineFragment(inline) => (&inline.directives, self.selections(&inline.selection_set, page)),
                Selection::FragmentSpread(spread) => (&spread.directives, self.fragment(&spread.fragment_name, page)),
            };
            add_conditionally(&mut sum, directives, each);
        }
        sum
    }

    fn fragment(&mut self, name: &'a Name, page: &Times) -> Cost {
        let document = self.document;
        let Some((name, fragment)) = document.fragments.get_key_value(name) else { return Cost::default() };
        if is_connection(&fragment.selection_set.ty) {
            return self.selections(&fragment.selection_set, page);
        }
        if let Some((known, introspection)) = self.fragments.get(name) {
            self.introspection = self.introspection.saturating_add(*introspection);
            return known.clone();
        }
        let before = std::mem::take(&mut self.introspection);
        let cost = self.selections(&fragment.selection_set, page);
        self.fragments.insert(name, (cost.clone(), self.introspection));
        self.introspection = self.introspection.saturating_add(before);
        cost
    }

    fn field(&mut self, parent: &'a Name, field: &'a Field, page: &Times, sum: &mut Cost) {
        let key = length(field.response_key().len()).saturating_add(AROUND);
        if field.name == "__typename" {
            return sum.weigh(introspection::longest_name(self.schema).saturating_add(key).max(FIELD));
        }
        if field.name.starts_with("__") {
            let weight = self.counting.weight(field).saturating_add(key);
            self.introspection = self.introspection.saturating_add(weight);
            return;
        }
        for (measure, weight) in bounds::work(parent, &field.name, |name| is_given(field, name)) {
            sum.weigh_each(measure, weight);
        }
        let ty = &field.definition.ty;
        let name = ty.inner_named_type();
        match self.schema.types.get(name) {
            None => sum.weigh(u64::MAX),
            Some(ExtendedType::Scalar(_) | ExtendedType::Enum(_)) => self.leaf(parent, field, key, sum),
            Some(_) => {
                // A list that may be missing can bring an error in its place.
                sum.weigh(if ty.is_list() && !ty.is_non_null() { OBJECT.max(key) } else { key.max(FIELD) });
                let page = if is_connection(name) { self.page(parent, field) } else { page.clone() };
                let mut each = self.selections(&field.selection_set, &page);
                // What only wraps others weighs what its fields do.
                if !is_edge(name) && name != "PageInfo" {
                    each.weigh(OBJECT);
                }
                for (measure, weight) in bounds::work(name, "*", |_| true) {
                    each.weigh_each(measure, weight);
                }
                if ty.is_list() {
                    sum.add(self.times(parent, field, page), each);
                } else {
                    sum.add(Times::Fixed(1), each);
                }
            }
        }
    }

    /// A field without fields of its own, whose key takes up so much.
    fn leaf(&self, parent: &'a Name, field: &'a Field, key: u64, sum: &mut Cost) {
        let text = self.text(parent, field);
        let mut each = Cost::fixed(text.most);
        if let Some(measure) = text.catalogue {
            each.weigh_each(measure, 1);
        }
        if field.definition.ty.is_list() {
            // Each with a comma.
            each.weigh(1);
            sum.weigh(key.max(FIELD));
            return sum.add(self.times(parent, field, Times::Fixed(0)), each);
        }
        each.fixed = each.fixed.saturating_add(key).max(FIELD);
        sum.add(Times::Fixed(1), each);
        if field.name == "totalCount" && is_connection(parent) {
            sum.weigh(TOTAL_COUNT);
        }
    }

    /// How many bytes the value of a field can have.
    fn text(&self, parent: &Name, field: &Field) -> Text {
        let most = |most| Text { most, catalogue: None };
        let name = field.definition.ty.inner_named_type();
        match name.as_str() {
            "Boolean" => most(5),
            "Int" => most(11),
            "BigInt" | "Float" => most(24),
            "Credits" | "DateTime" => most(26),
            _ => match self.schema.types.get(name) {
                Some(ExtendedType::Enum(values)) => {
                    most(2 + values.values.keys().map(|value| length(value.len())).max().unwrap_or(0))
                }
                _ => bounds::text(parent, &field.name).unwrap_or_else(|| most(u64::MAX)),
            },
        }
    }

    /// How many elements the list of a field can have; `page` says it of a connection's.
    fn times(&self, parent: &Name, field: &'a Field, page: Times) -> Times {
        if is_connection(parent) {
            return page;
        }
        match bounds::list(parent, &field.name) {
            None => Times::Fixed(u64::MAX),
            Some(Bound::Most(most)) => Times::Fixed(most),
            Some(Bound::Catalogue(measure)) => Times::Catalogue(measure),
            Some(Bound::Given(argument)) => by_argument(field, argument),
            Some(Bound::First(otherwise)) => self.sized(field, &["first"], otherwise, None),
            Some(Bound::Chosen(argument, then, otherwise)) => {
                match field.argument_by_name(argument).map(|value| &**value) {
                    Ok(Value::Boolean(true)) => Times::Catalogue(then),
                    Ok(Value::Variable(name)) => Times::Chosen(name.clone(), then, otherwise),
                    _ => Times::Catalogue(otherwise),
                }
            }
            Some(Bound::Items(each)) => Times::Items(each, 0),
            Some(Bound::ItemsOr(each, least)) => Times::Items(each, least),
            Some(Bound::Shared) => Times::Shared,
        }
    }

    /// How many elements the page of a connection may have.
    fn page(&self, parent: &Name, field: &Field) -> Times {
        let of = bounds::connection(parent, &field.name);
        self.sized(field, &["first", "last"], DEFAULT_PAGE.into(), of)
    }

    /// How many elements a list may have whose length is given by one of these arguments, and otherwise is this.
    fn sized(&self, field: &Field, arguments: &[&str], otherwise: u64, of: Option<Measure>) -> Times {
        let given = arguments.iter().filter_map(|name| field.specified_argument_by_name(name));
        let (mut sizes, mut literal) = (Vec::new(), None);
        for value in given {
            match &**value {
                Value::Variable(name) => sizes.push(name.clone()),
                Value::Int(size) => literal = literal.max(Some(size.try_to_i32().map_or(0, |size| size.max(0)))),
                _ => {}
            }
        }
        let literal = literal.map(|size| u64::try_from(size).unwrap_or(0));
        let otherwise = literal.unwrap_or(otherwise);
        if sizes.is_empty() && of.is_none() {
            return Times::Fixed(otherwise.min(self.most));
        }
        Times::Page { sizes, otherwise, most: self.most, of }
    }
}

/// Adds what is done if directives allow it.
fn add_conditionally(sum: &mut Cost, directives: &DirectiveList, mut each: Cost) {
    for directive in directives.iter() {
        let is = match directive.name.as_str() {
            "include" => true,
            "skip" => false,
            _ => continue,
        };
        match directive.specified_argument_by_name("if").map(|value| &**value) {
            Some(Value::Boolean(value)) if *value != is => return,
            Some(Value::Variable(name)) => {
                let mut conditional = Cost::default();
                conditional.add(Times::When(name.clone(), is), each);
                each = conditional;
            }
            _ => {}
        }
    }
    sum.add(Times::Fixed(1), each);
}

/// Whether something stands for an argument.
fn is_given(field: &Field, name: &str) -> bool {
    field.specified_argument_by_name(name).is_some_and(|value| !value.is_null())
}

/// How many things a field names in the list that it is given.
fn by_argument(field: &Field, name: &str) -> Times {
    let Some(value) = field.specified_argument_by_name(name) else { return Times::Fixed(0) };
    let is_list = field.definition.argument_by_name(name).is_some_and(|argument| {
        let ty: &Type = &argument.ty;
        ty.is_list()
    });
    match &**value {
        _ if !is_list => Times::Fixed(u64::MAX),
        Value::List(items) => Times::Fixed(length(items.len())),
        Value::Variable(name) => Times::Length(name.clone()),
        _ => Times::Fixed(1),
    }
}

/// Counts the elements of an input.
fn count_input(value: &Value, elements: &mut Cost) {
    match value {
        Value::Variable(name) => elements.add(Times::Elements(name.clone()), Cost::fixed(1)),
        Value::List(items) => {
            elements.weigh(length(items.len()));
            items.iter().for_each(|item| count_input(item, elements));
        }
        Value::Object(members) => members.iter().for_each(|(_, member)| count_input(member, elements)),
        _ => {}
    }
}

fn is_connection(name: &Name) -> bool {
    name.ends_with("Connection")
}

fn is_edge(name: &Name) -> bool {
    name.ends_with("Edge")
}
