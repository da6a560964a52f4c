//! Texts that no database takes, or that do more than to be read, on every way in.

use apollo_compiler::Schema;
use apollo_compiler::ast::Type;
use apollo_compiler::schema::ExtendedType;
use axum::body::Body;
use axum::http::Request;
use serde_json::{Map, Value, json};
use waymark::auth::Scope;

use crate::everything;
use crate::harness::{Actor, Answer, Stage, tests};

tests! {
    own: [
        no_argument_takes_a_nul_or_half_of_a_pair,
        names_and_pictures_stay_what_they_seem,
        a_repeated_ref_changes_nothing_and_says_so,
    ],
    demo: [
        what_is_written_in_a_document_is_looked_at_too,
        rest_refuses_them_by_name,
    ],
}

/// A text inside of the arguments of a field: the steps to it, and whether a list lies on the way.
#[derive(Clone, Default)]
struct Place {
    steps: Vec<String>,
    in_list: bool,
}

/// Every text that arguments of this type may hold. Types that lead back to themselves are followed once.
fn texts(schema: &Schema, ty: &Type, place: &Place, path: &mut Vec<String>, all: &mut Vec<Place>) {
    let place = Place { in_list: place.in_list || ty.is_list(), ..place.clone() };
    match schema.types.get(ty.inner_named_type()).unwrap() {
        ExtendedType::Scalar(scalar) if !["Int", "Float", "Boolean"].contains(&scalar.name.as_str()) => all.push(place),
        ExtendedType::InputObject(object) if !path.contains(&object.name.to_string()) => {
            path.push(object.name.to_string());
            for (name, field) in &object.fields {
                let mut place = place.clone();
                place.steps.push(name.to_string());
                texts(schema, &field.ty, &place, path, all);
            }
            path.pop();
        }
        _ => {}
    }
}

/// The least that fits a type, with `text` at the end of these steps.
fn value(schema: &Schema, ty: &Type, steps: Option<&[String]>, text: &str) -> Value {
    if ty.is_list() {
        return json!([value(schema, ty.item_type(), steps, text)]);
    }
    match schema.types.get(ty.inner_named_type()).unwrap() {
        ExtendedType::Scalar(_) if steps.is_some() => text.into(),
        ExtendedType::Scalar(scalar) => match scalar.name.as_str() {
            "Int" => 1.into(),
            "Float" => 1.5.into(),
            "Boolean" => false.into(),
            "DateTime" => "2026-06-01T00:00:00Z".into(),
            "BigInt" => 1.into(),
            "Credits" => "1".into(),
            _ => "x1".into(),
        },
        ExtendedType::Enum(one) => one.values.keys().next().unwrap().as_str().into(),
        ExtendedType::InputObject(object) => {
            let next = steps.and_then(|steps| steps.split_first());
            let one_of = object.directives.has("oneOf");
            let mut members = Map::new();
            for (name, field) in &object.fields {
                let chosen = next.filter(|(step, _)| *step == name.as_str());
                let needed = if one_of { next.is_none() && members.is_empty() } else { field.is_required() };
                if chosen.is_some() || needed {
                    let steps = chosen.map(|(_, rest)| rest);
                    members.insert(name.to_string(), value(schema, &field.ty, steps, text));
                }
            }
            members.into()
        }
        other => panic!("{other:?} is no input"),
    }
}

/// Sends a document with variables that are written as JSON already.
async fn post(actor: &Actor, text: &str, variables: &str) -> Answer {
    let body = format!(r#"{{"query": {}, "variables": {variables}}}"#, json!(text));
    let request = Request::post("/graphql")
        .header("content-type", "application/json")
        .header("accept", "application/graphql-response+json");
    actor.send(request.body(Body::from(body)).unwrap()).await
}

async fn no_argument_takes_a_nul_or_half_of_a_pair(stage: Stage) {
    let (schema, admin) = (everything::schema(), stage.app(&[Scope::Admin]).await);
    let (mut asked, mut listed) = (0, 0);
    for (kind, root) in [("query", "Query"), ("mutation", "Mutation")] {
        for (name, field) in &schema.get_object(root).unwrap().fields {
            let leaf = matches!(schema.types.get(field.ty.inner_named_type()), Some(ExtendedType::Scalar(_)));
            let selection = if leaf { "" } else { " { __typename }" };
            for argument in &field.arguments {
                let mut places = Vec::new();
                texts(&schema, &argument.ty, &Place::default(), &mut Vec::new(), &mut places);
                for place in places {
                    // The other arguments that are needed, each with the least that fits.
                    let others = field.arguments.iter().filter(|one| one.name == argument.name || one.is_required());
                    let others: Vec<_> = others.collect();
                    let declared: String = others.iter().map(|one| format!("${}: {} ", one.name, one.ty)).collect();
                    let given: String = others.iter().map(|one| format!("{0}: ${0} ", one.name)).collect();
                    let text = format!("{kind}({declared}) {{ {name}({given}){selection} }}");
                    let mut variables = Map::new();
                    for one in others {
                        let steps = (one.name == argument.name).then_some(place.steps.as_slice());
                        variables.insert(one.name.to_string(), value(&schema, &one.ty, steps, "@BAD@"));
                    }
                    let variables = Value::from(variables).to_string();
                    for bad in [r"a\u0000b", r"a\ud83eb", r"\udc00"] {
                        let answer = post(&admin, &text, &variables.replace("@BAD@", bad)).await;
                        let (codes, told) = (answer.codes(), &answer.text);
                        assert!(!answer.status.is_server_error(), "{text} {variables}: {told}");
                        assert!(
                            !codes.contains(&"INTERNAL") && !codes.contains(&"UNAVAILABLE"),
                            "{text} {variables}: {told}"
                        );
                        if place.in_list {
                            listed += 1;
                            continue;
                        }
                        asked += 1;
                        answer.refused(400, "BAD_USER_INPUT");
                        let path =
                            std::iter::once(argument.name.as_str()).chain(place.steps.iter().map(String::as_str));
                        let path = path.collect::<Vec<_>>().join(".");
                        assert!(answer.message().starts_with(&format!("{path} must not hold")), "{path}: {told}");
                    }
                }
            }
        }
    }
    assert!(asked > 300 && listed > 60, "the schema has many texts: {asked} and {listed}");
}

async fn what_is_written_in_a_document_is_looked_at_too(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    for (text, place) in [
        (r#"{ searchUsers(text: "\u0000") { nodes { id } } }"#, "text"),
        (r#"query($t: String! = "a\u0000") { searchUsers(text: $t) { nodes { id } } }"#, "t"),
        (r#"{ user(by: {account: {platform: "x", id: "\u0000"}}) { id } }"#, "by.account.id"),
        (r#"mutation { revokeApiKey(input: {key: "\u0000"}) { userErrors { code } } }"#, "input.key"),
    ] {
        let answer = admin.query(text, Value::Null).await;
        answer.refused(400, "GRAPHQL_VALIDATION_FAILED");
        assert!(answer.message().starts_with(&format!("{place} must not hold")), "{}", answer.text);
    }
    // A variable is named by the argument into which it goes.
    for (text, place) in [
        ("query($t: String!) { searchUsers(text: $t) { nodes { id } } }", "text"),
        (
            "query($t: String!) { ...F } fragment F on Query { user(by: {account: {platform: \"x\", id: $t}}) { id } }",
            "by.account.id",
        ),
    ] {
        let answer = admin.query(text, json!({ "t": "\u{0}" })).await;
        answer.refused(400, "BAD_USER_INPUT");
        assert!(answer.message().starts_with(&format!("{place} must not hold")), "{}", answer.text);
    }
    // Half of a pair is no text in a document.
    for text in
        [r#"{ searchUsers(text: "\uD800") { nodes { id } } }"#, r#"{ searchUsers(text: "a\uDC00b") { nodes { id } } }"#]
    {
        let answer = admin.query(text, Value::Null).await;
        assert!(answer.status.is_client_error() && answer.json.get("data").is_none(), "{}", answer.text);
    }
    // By GET it is the same; a whole pair is a text like any other.
    let query = "query%20Q(%24t%3A%20String!)%7BsearchUsers(text%3A%20%24t)%7Bnodes%7Bid%7D%7D%7D";
    for (value, status) in [(r"%5Cu0000", 400), (r"%5Cud83e", 400), (r"%5Cud83e%5Cudd80", 200)] {
        let path = format!("/graphql?query={query}&variables=%7B%22t%22%3A%22{value}%22%7D");
        let request = Request::get(path).header("accept", "application/graphql-response+json");
        let answer = admin.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
    }
}

async fn rest_refuses_them_by_name(stage: Stage) {
    let ada = stage.user("ada");
    let notes = |notes: &str| {
        format!(
            r#"{{"instanceId":"507f1f77bcf86cd799439011","resourceId":"507f191e810c19729de860ea","notes":"{notes}"}}"#
        )
    };
    for bad in [r"a\u0000b", r"\ud83e", r"\udc00x"] {
        let request = Request::post("/api/user-progress").header("content-type", "application/json");
        let answer = ada.send(request.body(Body::from(notes(bad))).unwrap()).await;
        assert_eq!(answer.status.as_u16(), 400, "{}", answer.text);
        assert!(answer.json["error"].as_str().unwrap().starts_with("notes"), "{}", answer.text);
    }
    let app = stage.app(&[Scope::ProgressRead]).await;
    for (platform, id, place) in [("discord", "1%00", "platformUserId"), ("d%00", "1", "platform")] {
        for program in ["", "/founders"] {
            let path = format!("/users/{platform}/{id}/progress/collection-challenges{program}");
            let answer = app.send(Request::get(path).body(Body::empty()).unwrap()).await;
            assert_eq!(answer.status.as_u16(), 400, "{}", answer.text);
            assert!(answer.text.contains(&format!("{place} must not hold")), "{}", answer.text);
        }
    }
    for path in ["/API/API_GetUserProgress.php?u=a%00&i=1", "/u/a%00/card.svg", "/api/user-progress?resourceId=%00"] {
        let answer = app.send(Request::get(path).body(Body::empty()).unwrap()).await;
        assert!(!answer.status.is_server_error(), "{path}: {}", answer.text);
    }
}

async fn names_and_pictures_stay_what_they_seem(stage: Stage) {
    let grace = stage.user("grace");
    let update = "mutation($i: UpdateProfileInput!) { updateProfile(input: $i) { user { displayName avatarUrl } userErrors { code path } } }";
    let told = async |input: Value| grace.data(update, json!({ "i": input })).await["updateProfile"].clone();
    for letter in [
        "\u{202e}",
        "\u{202a}",
        "\u{2066}",
        "\u{2069}",
        "\u{2028}",
        "\u{2029}",
        "\u{fffe}",
        "\u{ffff}",
        "\u{fdd0}",
        "\u{1fffe}",
        "\u{85}",
    ] {
        let done = told(json!({ "displayName": format!("Gr{letter}ace") })).await;
        assert_eq!(done["userErrors"], json!([{ "code": "INVALID_INPUT", "path": ["displayName"] }]), "{letter:?}");
    }
    for url in ["https://user:pass@example.org/a.png", "http://user@example.org", "https://a@b@example.org/?x"] {
        let done = told(json!({ "avatarUrl": url })).await;
        assert_eq!(done["userErrors"], json!([{ "code": "INVALID_INPUT", "path": ["avatarUrl"] }]), "{url}");
    }
    let done =
        told(json!({ "displayName": "عادة 👩\u{200d}🚀", "avatarUrl": "https://example.org/@grace?a=b@c" })).await;
    assert_eq!(done["userErrors"], json!([]));
    assert_eq!(
        done["user"],
        json!({ "displayName": "عادة 👩\u{200d}🚀", "avatarUrl": "https://example.org/@grace?a=b@c" })
    );
    // What operators call things is shown to people too.
    let admin = stage.app(&[Scope::Admin]).await;
    let upsert = "mutation($i: UpsertGameInput!) { upsertGame(input: $i) { userErrors { code path } } }";
    let done = admin.data(upsert, json!({ "i": { "key": "turned", "title": "a\u{202e}b" } })).await;
    assert_eq!(done["upsertGame"]["userErrors"][0]["path"], json!(["title"]), "{done}");
    let key = "mutation { createApiKey(input: {name: \"a\u{2028}b\", scopes: [PROFILES_READ]}) { apiKey { name } } }";
    assert_eq!(admin.query(key, Value::Null).await.codes(), ["BAD_USER_INPUT"]);
}

async fn a_repeated_ref_changes_nothing_and_says_so(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let goal = "query { user(by: {handle: \"grace\"}) { goals(state: OPEN) { goal { id } } } }";
    let goal = app.data(goal, Value::Null).await["user"]["goals"][0]["goal"]["id"].clone();
    let record = |what: &str| {
        format!("mutation {{ recordProgress(input: {{events: [{{{what}}}]}}) {{ results {{ status }} }} }}")
    };
    let user = "user: {handle: \"grace\"}";
    for (name, write) in [
        (
            "grantCredits",
            format!(
                "mutation {{ grantCredits(input: {{{user}, amount: {{credits: \"3\"}}, ref: \"r\"}}) {{ status }} }}"
            ),
        ),
        (
            "spendCredits",
            format!(
                "mutation {{ spendCredits(input: {{{user}, amount: {{credits: \"1\"}}, ref: \"r\"}}) {{ status }} }}"
            ),
        ),
        (
            "revokeCredits",
            format!(
                "mutation {{ revokeCredits(input: {{{user}, amount: {{credits: \"1\"}}, ref: \"r\"}}) {{ status }} }}"
            ),
        ),
        (
            "recordGoalSteps",
            format!(
                "mutation {{ recordGoalSteps(input: {{{user}, steps: [{{goalId: {goal}, add: 1, ref: \"r\"}}]}}) {{ results {{ status }} }} }}"
            ),
        ),
        (
            "grantCards",
            format!(
                "mutation {{ grantCards(input: {{{user}, cards: [{{cardId: \"founders-03\", quantity: 2, ref: \"r\"}}]}}) {{ results {{ status }} }} }}"
            ),
        ),
        (
            "removeCards",
            format!(
                "mutation {{ removeCards(input: {{{user}, cards: [{{cardId: \"founders-03\", quantity: 1, ref: \"r\"}}]}}) {{ results {{ status }} }} }}"
            ),
        ),
        ("recordProgress", record(&format!("goalSteps: {{{user}, goalId: {goal}, add: 1, ref: \"other\"}}"))),
        ("recordProgress", record(&format!("card: {{{user}, cardId: \"founders-03\", quantity: 1, ref: \"other\"}}"))),
    ] {
        for status in ["APPLIED", "UNCHANGED", "UNCHANGED"] {
            let data = app.data(&write, Value::Null).await;
            let done = &data[name];
            let told = done.get("status").unwrap_or(&done["results"][0]["status"]);
            assert_eq!(told, status, "{write}: {data}");
        }
    }
    // Twice in one list is once, too.
    let twice = "mutation { grantCards(input: {user: {handle: \"grace\"}, cards: [{cardId: \"founders-04\", ref: \"t\"}, {cardId: \"founders-04\", ref: \"t\"}]}) { results { status } } }";
    let data = app.data(twice, Value::Null).await;
    assert_eq!(data["grantCards"]["results"], json!([{ "status": "APPLIED" }, { "status": "UNCHANGED" }]));
}
