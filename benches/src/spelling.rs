//! The same question as different clients spell it.

use apollo_compiler::executable::{Field, Selection, SelectionSet};
use apollo_compiler::validation::Valid;
use apollo_compiler::{ExecutableDocument, Schema};

/// How a client spells a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spelling {
    /// As it is written.
    Plain,
    /// With `__typename` in every object, as Apollo Client and urql ask by default.
    Apollo,
    /// With a named fragment for what is asked of each object, as code generators make one per component.
    Fragments,
    /// With both, and with the `id` of every object that has one, as Relay asks.
    Relay,
}

impl Spelling {
    pub(crate) const ALL: [Self; 4] = [Self::Plain, Self::Apollo, Self::Fragments, Self::Relay];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Apollo => "apollo",
            Self::Fragments => "fragments",
            Self::Relay => "relay",
        }
    }

    /// Spells a document of one operation, without named fragments, that asks the schema in `sdl`.
    pub(crate) fn of(self, sdl: &str, document: &str) -> Result<String, String> {
        if self == Self::Plain {
            return Ok(document.to_owned());
        }
        let schema = Schema::parse_and_validate(sdl, "schema.graphql").map_err(|error| error.to_string())?;
        let parsed = ExecutableDocument::parse_and_validate(&schema, document, "document.graphql");
        let parsed = parsed.map_err(|error| error.to_string())?;
        let operation = parsed.operations.iter().next().ok_or("there is no operation")?;
        let mut writer = Writer { spelling: self, schema: &schema, fragments: Vec::new() };
        let selections = writer.fields(&operation.selection_set);
        let variables: Vec<_> =
            operation.variables.iter().map(|variable| variable.serialize().no_indent().to_string()).collect();
        let variables = if variables.is_empty() { String::new() } else { format!("({})", variables.join(", ")) };
        let head = format!("{} Spelled{variables} {{ {selections} }}", operation.operation_type);
        Ok(std::iter::once(head).chain(writer.fragments).collect::<Vec<_>>().join(" "))
    }
}

struct Writer<'a> {
    spelling: Spelling,
    schema: &'a Valid<Schema>,
    fragments: Vec<String>,
}

impl Writer<'_> {
    fn fields(&mut self, set: &SelectionSet) -> String {
        let fields = set.selections.iter().filter_map(|selection| match selection {
            Selection::Field(field) => Some(self.field(field)),
            Selection::InlineFragment(inline) => {
                Some(format!("... on {}{}", inline.selection_set.ty, self.object(&inline.selection_set)))
            }
            Selection::FragmentSpread(_) => None,
        });
        fields.collect::<Vec<_>>().join(" ")
    }

    fn field(&mut self, field: &Field) -> String {
        let alias = field.alias.as_ref().map(|alias| format!("{alias}: ")).unwrap_or_default();
        let arguments: Vec<_> =
            field.arguments.iter().map(|one| format!("{}: {}", one.name, one.value.serialize().no_indent())).collect();
        let arguments = if arguments.is_empty() { String::new() } else { format!("({})", arguments.join(", ")) };
        let object = if field.selection_set.is_empty() { String::new() } else { self.object(&field.selection_set) };
        format!("{alias}{}{arguments}{object}", field.name)
    }

    fn object(&mut self, set: &SelectionSet) -> String {
        let mut fields = self.fields(set);
        let has_id = self.schema.type_field(&set.ty, "id").is_ok();
        if self.spelling == Spelling::Relay && has_id && !fields.split(' ').any(|field| field == "id") {
            fields.push_str(" id");
        }
        let typename = if self.spelling == Spelling::Fragments { "" } else { " __typename" };
        if self.spelling == Spelling::Apollo {
            return format!(" {{ {fields}{typename} }}");
        }
        let name = format!("F{}", self.fragments.len());
        self.fragments.push(format!("fragment {name} on {} {{ {fields}{typename} }}", set.ty));
        format!(" {{ ...{name}{typename} }}")
    }
}
