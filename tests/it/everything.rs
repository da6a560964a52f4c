//! The query that asks for everything there is about a user, made from the schema, so that no field is forgotten.

use std::fmt::Write as _;

use apollo_compiler::Schema;
use apollo_compiler::schema::ExtendedType;
use apollo_compiler::validation::Valid;

/// The arguments of every field of `Query` and `User`; empty where none are needed.
const ARGUMENTS: [(&str, &str); 39] = [
    ("Query.apiKeys", "first: 5"),
    ("Query.auditLog", "first: 5"),
    ("Query.collection", r#"id: "founders""#),
    ("Query.collections", "first: 5"),
    ("Query.currentSeason", ""),
    ("Query.exportUser", r#"user: {id: "$USER"}"#),
    ("Query.game", r#"id: "1""#),
    ("Query.games", "first: 5"),
    ("Query.node", r#"id: "$USER""#),
    ("Query.nodes", r#"ids: ["$USER", "game:1"]"#),
    ("Query.resource", r#"id: "507f1f77bcf86cd799439011""#),
    ("Query.resources", "first: 5"),
    ("Query.searchUsers", r#"text: "ada", first: 5"#),
    ("Query.season", r#"id: "rising-tide""#),
    ("Query.seasons", "first: 5"),
    ("Query.studyPlan", r#"id: "core-computing""#),
    ("Query.studyPlans", "first: 5"),
    ("Query.user", r#"by: {id: "$USER"}"#),
    ("Query.users", r#"by: [{id: "$USER"}]"#),
    ("Query.viewer", ""),
    ("User.accounts", ""),
    ("User.avatarUrl", ""),
    ("User.collection", r#"id: "founders""#),
    ("User.collections", "first: 5"),
    ("User.createdAt", ""),
    ("User.credits", ""),
    ("User.displayName", ""),
    ("User.gameSummaries", r#"gameIds: ["1", "101", "105"]"#),
    ("User.games", "first: 5"),
    ("User.goals", ""),
    ("User.handle", ""),
    ("User.history", "first: 5"),
    ("User.id", ""),
    ("User.overview", "first: 5"),
    ("User.profileVisibility", ""),
    ("User.resourceProgress", r#"resourceIds: ["507f1f77bcf86cd799439011", "507f191e810c19729de860ea"]"#),
    ("User.resources", "first: 5"),
    ("User.season", ""),
    ("User.studyPlanInstances", ""),
];

/// The schema that the server serves.
pub(crate) fn schema() -> Valid<Schema> {
    Schema::parse_and_validate(waymark::schema::sdl(), "schema.graphql").expect("the schema is valid")
}

/// A field of `Query` or `User` as it stands in a document, about the user with this id.
pub(crate) fn field(parent: &str, name: &str, user: &str) -> String {
    let known = ARGUMENTS.iter().find(|(field, _)| *field == format!("{parent}.{name}"));
    let (_, arguments) = known.unwrap_or_else(|| {
        panic!("{parent}.{name} is new: say in ARGUMENTS of {} with which arguments to ask for it", file!())
    });
    if arguments.is_empty() { name.to_owned() } else { format!("{name}({})", arguments.replace("$USER", user)) }
}

/// Everything there is to select of an object of this type. Types that lead back to themselves are left out, and of an
/// edge only its cursor is asked for: the nodes stand beside the edges.
pub(crate) fn selection(schema: &Schema, type_name: &str) -> String {
    selection_without(schema, type_name, &[])
}

/// The same without some fields, each as `Type.field`.
pub(crate) fn selection_without(schema: &Schema, type_name: &str, without: &[&str]) -> String {
    let mut text = String::new();
    select(schema, type_name, without, &mut vec![], &mut text);
    text
}

fn select<'a>(schema: &'a Schema, type_name: &str, without: &[&str], path: &mut Vec<&'a str>, text: &mut String) {
    let (name, fields) = match schema.types.get(type_name) {
        Some(ExtendedType::Object(object)) => (&object.name, &object.fields),
        Some(ExtendedType::Interface(interface)) => (&interface.name, &interface.fields),
        _ => return,
    };
    path.push(name);
    text.push_str(" { __typename");
    for (field, definition) in fields {
        let inner = definition.ty.inner_named_type();
        if path.contains(&inner.as_str()) || without.contains(&&*format!("{type_name}.{field}")) {
            continue;
        }
        let known = ["Query", "User"].contains(&type_name);
        let asked = if known { self::field(type_name, field, "") } else { field.to_string() };
        let _ = write!(text, " {asked}");
        if field == "edges" {
            text.push_str(" { cursor }");
        } else {
            select(schema, inner, without, path, text);
        }
    }
    text.push_str(" }");
    path.pop();
}
