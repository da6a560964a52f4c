//! What the engine does not see of a subscription: fields that stand in a fragment, and fields that stand there twice.

use std::collections::HashMap;

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, FragmentDefinition, OperationType, Selection,
};
use async_graphql::{Name, Positioned};

/// Puts the fields of a subscription, of which the engine sees only those that stand there themselves, in place of the
/// fragments that name them, and those of one answer together.
pub(super) fn flatten_all(document: &mut ExecutableDocument) {
    let ExecutableDocument { operations, fragments } = document;
    let operations: Vec<_> = match operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    };
    for operation in operations.into_iter().filter(|operation| operation.node.ty == OperationType::Subscription) {
        let root = &mut operation.node.selection_set.node.items;
        let mut fields = Vec::new();
        flatten(std::mem::take(root), fragments, &mut fields);
        *root = fields;
    }
}

fn flatten(
    selections: Vec<Positioned<Selection>>,
    fragments: &HashMap<Name, Positioned<FragmentDefinition>>,
    fields: &mut Vec<Positioned<Selection>>,
) {
    for Positioned { pos, node: selection } in selections {
        match selection {
            Selection::InlineFragment(inline) => {
                flatten(inline.node.selection_set.node.items, fragments, fields);
            }
            Selection::FragmentSpread(spread) => {
                if let Some(fragment) = fragments.get(&spread.node.fragment_name.node) {
                    flatten(fragment.node.selection_set.node.items.clone(), fragments, fields);
                }
            }
            Selection::Field(mut field) => {
                let key = field.node.response_key().node.clone();
                let same = fields.iter_mut().find_map(|known| match &mut known.node {
                    Selection::Field(known) if known.node.response_key().node == key => Some(known),
                    _ => None,
                });
                match same {
                    Some(known) => {
                        known.node.selection_set.node.items.append(&mut field.node.selection_set.node.items);
                    }
                    None => fields.push(Positioned { pos, node: Selection::Field(field) }),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_take_the_place_of_fragments_and_those_of_one_answer_go_together() {
        let text = "subscription { ...F a: x { d } } fragment F on S { ...G x { b } ... on S { a: x { c } } }
            fragment G on S { x { a } }";
        let mut document = async_graphql::parser::parse_query(text).unwrap();
        flatten_all(&mut document);
        let DocumentOperations::Single(operation) = &document.operations else { panic!("it has one operation") };
        let names = |items: &[Positioned<Selection>]| -> Vec<String> {
            let name = |item: &Positioned<Selection>| match &item.node {
                Selection::Field(field) => field.node.response_key().node.to_string(),
                _ => "fragment".to_owned(),
            };
            items.iter().map(name).collect()
        };
        let root = &operation.node.selection_set.node.items;
        assert_eq!(names(root), ["x", "a"]);
        let inner: Vec<_> = root
            .iter()
            .map(|item| match &item.node {
                Selection::Field(field) => names(&field.node.selection_set.node.items),
                _ => Vec::new(),
            })
            .collect();
        assert_eq!(inner, [["a", "b"], ["c", "d"]]);
    }
}
