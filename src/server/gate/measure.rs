//! How large a document is, counted without spreading its fragments.

use std::collections::HashMap;

use apollo_compiler::Name;
use apollo_compiler::ast::{self, Definition, Selection};

use super::Refusal;
use waymark_kernel::config::Limits;
use waymark_kernel::error::Code;

/// The most fields of a document once its fragments are spread.
const MAX_FIELDS: u64 = 20_000;
/// The most directives on one document.
const MAX_DIRECTIVES: u32 = 200;
/// How deep questions about the schema may be nested, whatever the setting for fields is.
const MAX_INTROSPECTION_DEPTH: u32 = 30;
/// How deep selections may be nested, through fragments too, independent of the setting for fields. Bounds the stack.
const MAX_LEVELS: u32 = 100;

/// How large a document is.
#[derive(Debug, Clone, Copy, Default)]
struct Size {
    /// Fields, those of fragments counted wherever they are spread.
    fields: u64,
    /// How deep fields are nested, without those below `__schema` and `__type`.
    depth: u32,
    /// How deep those are nested.
    introspection: u32,
    /// How deep selections are nested, fields or not.
    levels: u32,
}

/// What was counted in a document.
pub(super) struct Measure<'a> {
    fragments: HashMap<&'a Name, &'a [Selection]>,
    /// Sizes of fragments; `None` while one is being measured, which a cycle runs into.
    sizes: HashMap<&'a Name, Option<Size>>,
    aliases: u32,
    directives: u32,
    /// Whether it asks for the schema.
    pub(super) introspection: bool,
    size: Size,
}

impl<'a> Measure<'a> {
    pub(super) fn of(document: &'a ast::Document) -> Self {
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
                // Unused fragments are refused by validation; they are measured to be safe until then. How deep fields
                // are nested counts where they are used.
                Definition::FragmentDefinition(fragment) => {
                    Size { depth: 0, introspection: 0, ..measure.fragment(&fragment.name, 1) }
                }
                _ => Size::default(),
            };
            measure.size.fields = measure.size.fields.max(size.fields);
            measure.size.depth = measure.size.depth.max(size.depth);
            measure.size.introspection = measure.size.introspection.max(size.introspection);
            measure.size.levels = measure.size.levels.max(size.levels);
        }
        measure
    }

    /// The size of selections that stand on this level, as far down as documents may go.
    fn selections(&mut self, selections: &'a [Selection], level: u32) -> Size {
        let mut sum = Size { levels: 1, ..Size::default() };
        if level > MAX_LEVELS {
            sum.levels = MAX_LEVELS + 1;
            return sum;
        }
        for selection in selections {
            let (size, directives) = match selection {
                Selection::Field(field) => {
                    self.aliases = self.aliases.saturating_add(u32::from(field.alias.is_some()));
                    let asks_schema = matches!(field.name.as_str(), "__schema" | "__type");
                    self.introspection |= asks_schema;
                    let inner = self.selections(&field.selection_set, level + 1);
                    let fields = inner.fields.saturating_add(1);
                    let size = if asks_schema {
                        Size { fields, depth: 1, introspection: inner.depth, ..inner }
                    } else {
                        Size { fields, depth: inner.depth.saturating_add(1), ..inner }
                    };
                    (size, field.directives.len())
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
            sum.introspection = sum.introspection.max(size.introspection);
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

    /// Refuses what is too large.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), Refusal> {
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
        if self.size.introspection > MAX_INTROSPECTION_DEPTH {
            let (is, most) = (self.size.introspection.into(), MAX_INTROSPECTION_DEPTH.into());
            return too_much("levels of nesting below __schema", is, most);
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
