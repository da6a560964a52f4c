//! Whether parts of an answer have to be merged.
//!
//! A document may ask for one object in several places: by fragments, or by naming a field twice. What is then found of
//! it has to be put together, so it cannot be written before all of it is there. Documents that do so are few: most
//! fragments bring fields that stand nowhere else, or plain values that are the same wherever they are asked for.

use std::collections::{HashMap, HashSet};

use apollo_compiler::Name;
use apollo_compiler::ast::{Definition, Document, Selection};

/// How many selections are looked at; a document of more counts as one that needs it.
const MOST: u32 = 50_000;

/// Whether the answer to this document, whose fragments are no circle, may have parts that have to be merged.
pub(super) fn is_needed(document: &Document) -> bool {
    let mut look = Look { fragments: HashMap::new(), left: MOST };
    for definition in &document.definitions {
        if let Definition::FragmentDefinition(fragment) = definition {
            look.fragments.insert(&fragment.name, &fragment.selection_set);
        }
    }
    document.definitions.iter().any(|definition| match definition {
        Definition::OperationDefinition(operation) => look.merges_in(&operation.selection_set),
        Definition::FragmentDefinition(fragment) => look.merges_in(&fragment.selection_set),
        _ => false,
    })
}

struct Look<'a> {
    fragments: HashMap<&'a Name, &'a [Selection]>,
    left: u32,
}

impl<'a> Look<'a> {
    /// Whether something has to be merged in an object that is asked for by these selections, or in one inside of it.
    fn merges_in(&mut self, selections: &'a [Selection]) -> bool {
        self.merges(selections, &mut HashSet::new()) || selections.iter().any(|selection| self.merges_below(selection))
    }

    fn merges_below(&mut self, selection: &'a Selection) -> bool {
        match selection {
            Selection::Field(field) => !field.selection_set.is_empty() && self.merges_in(&field.selection_set),
            Selection::InlineFragment(inline) => self.merges_in(&inline.selection_set),
            // Looked at where it is defined.
            Selection::FragmentSpread(_) => false,
        }
    }

    /// Whether two of the selections of one object have to be merged. `objects` are the names of the objects so far.
    fn merges(&mut self, selections: &'a [Selection], objects: &mut HashSet<&'a Name>) -> bool {
        // Fields that stand side by side are written as they come.
        let mut beside = HashSet::new();
        selections.iter().any(|selection| {
            self.left = self.left.saturating_sub(1);
            if self.left == 0 {
                return true;
            }
            match selection {
                Selection::Field(field) => {
                    let is_object = !field.selection_set.is_empty();
                    !beside.insert(field.response_name()) || (is_object && !objects.insert(field.response_name()))
                }
                Selection::InlineFragment(inline) => self.merges(&inline.selection_set, objects),
                Selection::FragmentSpread(spread) => {
                    let fragment = self.fragments.get(&spread.fragment_name).copied();
                    fragment.is_some_and(|selections| self.merges(selections, objects))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_needed_in(text: &str) -> bool {
        is_needed(&apollo_compiler::parser::Parser::new().parse_ast(text, "x.graphql").unwrap())
    }

    #[test]
    fn what_is_asked_for_once_needs_no_merging() {
        for text in [
            "{ a { b c { d } } e: a { b } }",
            "{ a { ...F } } fragment F on A { b c { d } }",
            // The same value is found everywhere.
            "{ a { __typename ...F ...G } } fragment F on A { __typename b } fragment G on A { b c { d } }",
            "{ a { ... on A { b } ... on B { b } } }",
            "{ a { ...F } e { ...F } } fragment F on A { c { d } }",
            "query A { a { b } } query B { a { b } }",
        ] {
            assert!(!is_needed_in(text), "{text}");
        }
    }

    #[test]
    fn what_is_found_in_two_places_needs_it() {
        for text in [
            "{ a { b } a { c } }",
            "{ a { b b } }",
            "{ a { ...F c { e } } } fragment F on A { c { d } }",
            "{ a { ...F ...F } } fragment F on A { c { d } }",
            "{ a { ... on A { c { d } } ... { c { e } } } }",
            "{ x { y { ...F } } } fragment F on A { ...G c { d } } fragment G on A { c { e } }",
            "{ a { c { f { d } ...G } } } fragment G on C { f { e } }",
        ] {
            assert!(is_needed_in(text), "{text}");
        }
    }

    #[test]
    fn fragments_that_double_are_not_followed_to_their_ends() {
        let mut text = String::from("{ ...F0 } fragment F40 on Query { a }");
        for n in 0..40 {
            text.push_str(&format!(" fragment F{n} on Query {{ ...F{} ...F{} }}", n + 1, n + 1));
        }
        assert!(is_needed_in(&text));
    }
}
