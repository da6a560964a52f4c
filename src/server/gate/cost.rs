//! What an operation costs, known before it runs.
//!
//! An object costs 1, and a scalar nothing. What stands inside a list is counted once per element: as many as `first` or
//! `last` says, as there are ids in the argument, and [`ASSUMED`] where nobody can know. A list that is counted
//! (`totalCount`) and a write have prices of their own. Everything that stands in the document counts, also what a
//! directive or the type of an object leaves out in the end, so the cost is never less than what is done.
//!
//! Most of it is worked out once per document; only how many elements a variable asks for is looked up per request.

use std::collections::HashMap;
use std::sync::Arc;

use apollo_compiler::ast::{Type, Value};
use apollo_compiler::executable::{Field, Operation, Selection, SelectionSet};
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Name, Schema};
use async_graphql::{Value as EngineValue, Variables};

use crate::config::Limits;
use crate::graphql::pagination::DEFAULT_PAGE;

/// How many elements are assumed of a list whose length nobody asks for: the goals of a week, the cards of a collection.
const ASSUMED: u64 = 10;
/// What `totalCount` costs: a list is counted.
const TOTAL_COUNT: u64 = 5;
/// What a mutation costs; each element of its input costs 1 more.
const WRITE: u64 = 10;

/// What something costs, as far as it is known without variables.
#[derive(Debug, Clone, Default)]
pub(super) struct Cost {
    fixed: u64,
    /// What depends on variables.
    parts: Vec<(Times, Arc<Self>)>,
}

/// How often something is done.
#[derive(Debug, Clone)]
enum Times {
    Fixed(u64),
    /// As often as the list in this variable has elements.
    Length(Name),
    /// As often as the value of this variable has elements, in all of its lists.
    Elements(Name),
    /// As often as a page has elements whose size is in these variables.
    Page {
        sizes: Vec<Name>,
        most: u64,
    },
}

impl Cost {
    const fn fixed(fixed: u64) -> Self {
        Self { fixed, parts: Vec::new() }
    }

    fn add(&mut self, times: Times, each: Self) {
        match times {
            Times::Fixed(times) if each.parts.is_empty() => {
                self.fixed = self.fixed.saturating_add(each.fixed.saturating_mul(times));
            }
            times => self.parts.push((times, Arc::new(each))),
        }
    }

    /// What it costs with these variables.
    pub(super) fn with(&self, variables: &Variables) -> u64 {
        let parts = self.parts.iter().map(|(times, each)| times.with(variables).saturating_mul(each.with(variables)));
        parts.fold(self.fixed, u64::saturating_add)
    }
}

impl Times {
    fn with(&self, variables: &Variables) -> u64 {
        match self {
            Self::Fixed(times) => *times,
            Self::Length(name) => match variables.get(name.as_str()) {
                Some(EngineValue::List(items)) => length(items.len()),
                _ => 1,
            },
            Self::Elements(name) => variables.get(name.as_str()).map_or(0, elements),
            Self::Page { sizes, most } => {
                let given = sizes.iter().filter_map(|name| match variables.get(name.as_str()) {
                    Some(EngineValue::Number(size)) => Some(size.as_u64().unwrap_or(0)),
                    _ => None,
                });
                given.max().unwrap_or(u64::from(DEFAULT_PAGE)).min(*most)
            }
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
    /// What fragments cost whose place does not matter.
    fragments: HashMap<&'a Name, Cost>,
}

impl<'a> Pricing<'a> {
    pub(super) fn new(schema: &'a Valid<Schema>, document: &'a ExecutableDocument, limits: &Limits) -> Self {
        Self { schema, document, most: limits.max_page_size.into(), fragments: HashMap::new() }
    }

    pub(super) fn operation(&mut self, operation: &'a Operation) -> Cost {
        let mut cost = self.selections(&operation.selection_set, &Times::Fixed(ASSUMED));
        if operation.is_mutation() {
            for field in operation.root_fields(self.document) {
                cost.fixed = cost.fixed.saturating_add(WRITE);
                for argument in &field.arguments {
                    count_input(&argument.value, &mut cost);
                }
            }
        }
        cost
    }

    /// What selections cost that stand in a connection with a page of this size, or somewhere else.
    fn selections(&mut self, selections: &'a SelectionSet, page: &Times) -> Cost {
        let mut sum = Cost::default();
        for selection in &selections.selections {
            match selection {
                Selection::Field(field) => self.field(&selections.ty, field, page, &mut sum),
                Selection::InlineFragment(inline) => {
                    sum.add(Times::Fixed(1), self.selections(&inline.selection_set, page));
                }
                Selection::FragmentSpread(spread) => {
                    sum.add(Times::Fixed(1), self.fragment(&spread.fragment_name, page));
                }
            }
        }
        sum
    }

    fn fragment(&mut self, name: &'a Name, page: &Times) -> Cost {
        let document = self.document;
        let Some((name, fragment)) = document.fragments.get_key_value(name) else { return Cost::default() };
        if is_connection(&fragment.selection_set.ty) {
            return self.selections(&fragment.selection_set, page);
        }
        if let Some(known) = self.fragments.get(name) {
            return known.clone();
        }
        let cost = self.selections(&fragment.selection_set, page);
        self.fragments.insert(name, cost.clone());
        cost
    }

    fn field(&mut self, parent: &Name, field: &'a Field, page: &Times, sum: &mut Cost) {
        let name = field.definition.ty.inner_named_type();
        let in_connection = is_connection(parent);
        if matches!(self.schema.types.get(name), None | Some(ExtendedType::Scalar(_) | ExtendedType::Enum(_))) {
            if in_connection && field.name == "totalCount" {
                sum.fixed = sum.fixed.saturating_add(TOTAL_COUNT);
            }
            return;
        }
        let list = field.definition.ty.is_list();
        let page = if is_connection(name) { self.page(field) } else { page.clone() };
        let times = match (list, in_connection) {
            (false, _) => Times::Fixed(1),
            (true, true) => page.clone(),
            (true, false) => by_argument(field).unwrap_or(Times::Fixed(ASSUMED)),
        };
        let mut each = self.selections(&field.selection_set, &page);
        // What only wraps others is free: the object that an edge leads to is counted.
        if !is_edge(name) && name != "PageInfo" {
            each.fixed = each.fixed.saturating_add(1);
        }
        sum.add(times, each);
    }

    /// How many elements the page of a connection may have.
    fn page(&self, field: &Field) -> Times {
        let given = ["first", "last"].into_iter().filter_map(|name| field.specified_argument_by_name(name));
        let (mut sizes, mut literal) = (Vec::new(), None);
        for value in given {
            match &**value {
                Value::Variable(name) => sizes.push(name.clone()),
                Value::Int(size) => literal = literal.max(Some(size.try_to_i32().map_or(0, |size| size.max(0)))),
                _ => {}
            }
        }
        match (literal, sizes.is_empty()) {
            (Some(size), _) => Times::Fixed(u64::try_from(size).unwrap_or(0).min(self.most)),
            (None, true) => Times::Fixed(u64::from(DEFAULT_PAGE).min(self.most)),
            (None, false) => Times::Page { sizes, most: self.most },
        }
    }
}

/// How many things a field names in the list that it is given.
fn by_argument(field: &Field) -> Option<Times> {
    field.arguments.iter().find_map(|argument| {
        let ty: &Type = &field.definition.argument_by_name(&argument.name)?.ty;
        match &*argument.value {
            _ if !ty.is_list() => None,
            Value::List(items) => Some(Times::Fixed(length(items.len()))),
            Value::Variable(name) => Some(Times::Length(name.clone())),
            _ => Some(Times::Fixed(1)),
        }
    })
}

/// Adds what the elements of an input cost.
fn count_input(value: &Value, cost: &mut Cost) {
    match value {
        Value::Variable(name) => cost.add(Times::Elements(name.clone()), Cost::fixed(1)),
        Value::List(items) => {
            cost.fixed = cost.fixed.saturating_add(length(items.len()));
            items.iter().for_each(|item| count_input(item, cost));
        }
        Value::Object(members) => members.iter().for_each(|(_, member)| count_input(member, cost)),
        _ => {}
    }
}

fn is_connection(name: &Name) -> bool {
    name.ends_with("Connection")
}

fn is_edge(name: &Name) -> bool {
    name.ends_with("Edge")
}
