//! However a client spells a question, it gets the same answer by the same statements.

use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::everything;
use crate::harness::{Stage, tests};
use crate::spelling::Spelling;

tests! {
    demo: [
        every_spelling_gets_the_same_answer_by_as_many_statements,
        fields_of_an_interface_come_in_the_order_of_the_document_whatever_fragments_they_stand_in,
        conditions_are_decided_wherever_they_stand,
        definitions_may_be_described,
    ],
}

/// What is asked for; [`everything_of_a_user`] comes to it.
const QUERIES: &[&str] = &[
    "query { user(by: {handle: \"grace\"}) { id handle displayName avatarUrl createdAt } }",
    "query { viewer { user { season { state timeLeft hasStartedProgram currentWeek { number } } \
        credits { available { credits } expiresIn isBlockedForClaiming } \
        goals { title completedSteps totalSteps isClaimed } \
        resourceProgress(resourceIds: [\"507f1f77bcf86cd799439011\"]) { completed progress completedAt resource { title } } \
        gameSummaries(gameIds: [\"1\", \"2\", \"3\", \"nowhere\"]) { game { title } numAchieved numPossible scoreAchieved } \
        collections { nodes { collection { id } title size collectedCount progressInPercentage status } } } } }",
    "query($by: [UserBy!]!, $games: [ID!]!, $resources: [ID!]!) { users(by: $by) { handle \
        gameSummaries(gameIds: $games) { game { id } numAchieved numPossible scoreAchieved possibleScore } \
        resourceProgress(resourceIds: $resources) { completed progress } } }",
    "query { viewer { user { overview(first: 50) { nodes { title done total ratio state } pageInfo { hasNextPage } } } } }",
    "query { nodes(ids: [\"game:1\", \"collection:program_123\", \"game:nowhere\"]) { id } }",
    "query { viewer { user { games(first: 3) { edges { cursor node { id dates: lastUnlockedAt game { achievements(first: 2) { nodes { id title points } } } } } totalCount } } } }",
];

/// Every field of a user, and what stands behind them.
fn everything_of_a_user() -> String {
    format!(
        "query {{ viewer {{ user {} }} }}",
        everything::selection_without(&everything::schema(), "User", &["RewardProgress.refusal"])
    )
}

fn variables() -> Value {
    json!({
        "by": [{ "handle": "grace" }, { "handle": "ada" }, { "handle": "nobody" }],
        "games": ["1", "2", "3"],
        "resources": ["507f1f77bcf86cd799439011"],
    })
}

/// An answer without what only some spellings ask for.
fn bare(mut value: Value, plain: &Value) -> Value {
    fn strip(value: &mut Value, plain: &Value) {
        match (value, plain) {
            (Value::Object(members), Value::Object(plain)) => {
                members.retain(|key, _| plain.contains_key(key));
                members.iter_mut().for_each(|(key, member)| strip(member, &plain[key]));
            }
            (Value::Array(items), Value::Array(plain)) => {
                items.iter_mut().zip(plain).for_each(|(item, plain)| strip(item, plain));
            }
            _ => {}
        }
    }
    strip(&mut value, plain);
    value
}

async fn every_spelling_gets_the_same_answer_by_as_many_statements(stage: Stage) {
    let sdl = waymark::schema::sdl();
    let everything = everything_of_a_user();
    for query in QUERIES.iter().copied().chain([&*everything]) {
        let is_app = query.contains("$by");
        let variables = if is_app { variables() } else { Value::Null };
        let reader = if is_app { stage.app(&[Scope::ProgressRead]).await } else { stage.user("grace") };
        let plain = reader.data(query, variables.clone()).await;
        let count =
            async |query: &str| stage.statements(async || drop(reader.data(query, variables.clone()).await)).await;
        let statements = count(query).await;
        for spelling in Spelling::ALL {
            let spelled = spelling.of(&sdl, query).unwrap();
            let answer = reader.data(&spelled, variables.clone()).await;
            let count = count(&spelled).await;
            let is_named = matches!(spelling, Spelling::Apollo | Spelling::Relay);
            assert_eq!(
                is_named || query.contains("__typename"),
                answer.to_string().contains("__typename"),
                "{spelled}"
            );
            assert_eq!(bare(answer, &plain), plain, "{}: {spelled}", spelling.name());
            // Two lists of so much may ask the same table together, or one after the other.
            assert!(count == statements || *query == *everything, "{}: {spelled}", spelling.name());
        }
    }
}

async fn fields_of_an_interface_come_in_the_order_of_the_document_whatever_fragments_they_stand_in(stage: Stage) {
    let query = "query($ids: [ID!]!) { nodes(ids: $ids) { ... on Collection { size } ...N ... on Game { title key: id } __typename } } \
        fragment N on Node { ... on Game { achievementCount: id } id ... on Node { id } }";
    let ids = json!({ "ids": ["game:1", "collection:program_123", "game:nowhere"] });
    let answer = stage.anonymous().query(query, ids).await;
    let nodes = answer.text.split("\"nodes\":").nth(1).unwrap_or_else(|| panic!("{}", answer.text));
    let expected = "[{\"achievementCount\":\"game:1\",\"id\":\"game:1\",\"title\":";
    assert!(nodes.starts_with(expected), "{nodes}");
    let game = &answer.data()["nodes"][0];
    assert_eq!((&game["key"], &game["__typename"]), (&json!("game:1"), &json!("Game")), "{nodes}");
    let collection = ",\"id\":\"collection:program_123\",\"__typename\":\"Collection\"}";
    assert!(nodes.contains(",{\"size\":") && nodes.contains(collection), "{nodes}");
    assert_eq!(answer.data()["nodes"][2], Value::Null);
}

async fn conditions_are_decided_wherever_they_stand(stage: Stage) {
    let query = "query($yes: Boolean!, $no: Boolean! = false) { game(id: \"1\") { id @include(if: $no) ...G @skip(if: $no) \
        ... on Game @include(if: $yes) { achievements(first: 1) { totalCount @skip(if: $yes) nodes { points } } } } } \
        fragment G on Game { title @skip(if: $no) achievements(first: 1) { nodes { title @include(if: $yes) } } }";
    let all = stage
        .anonymous()
        .data(
            "{ game(id: \"1\") { id title achievements(first: 1) { totalCount nodes { title points } } } }",
            Value::Null,
        )
        .await;
    let (game, list) = (&all["game"], &all["game"]["achievements"]);
    let one = &list["nodes"][0];
    for (yes, no, expected) in [
        (true, false, json!({ "title": game["title"], "achievements": { "nodes": [one] } })),
        (false, false, json!({ "title": game["title"], "achievements": { "nodes": [{}] } })),
        (true, true, json!({ "id": game["id"], "achievements": { "nodes": [{ "points": one["points"] }] } })),
        (false, true, json!({ "id": game["id"] })),
    ] {
        let answer = stage.anonymous().data(query, json!({ "yes": yes, "no": no })).await;
        assert_eq!(answer["game"], expected, "{yes} {no}");
    }
}

async fn definitions_may_be_described(stage: Stage) {
    let documents = [
        "query First($n: Int = 1) { games(first: $n) { ...Some } } fragment Some on GameConnection { totalCount }",
        "\"First of all\" query First(\"how many\" $n: Int = 1) { games(first: $n) { ...Some } }
         \"\"\"
         Some of them, \\\"\"\" too
         \"\"\" # indeed
         fragment Some on GameConnection { totalCount }",
    ];
    let mut answers = Vec::new();
    for document in documents {
        answers.push(stage.anonymous().query(document, Value::Null).await.data());
    }
    assert_eq!(answers[0], answers[1]);
    // What is wrong is told where it stands.
    let wrong = "\"What it is\" query { nothing }";
    let answer = stage.anonymous().query(wrong, Value::Null).await;
    answer.refused(400, "GRAPHQL_VALIDATION_FAILED");
    let column = wrong.find("nothing").unwrap() + 1;
    assert_eq!(answer.json["errors"][0]["locations"], json!([{ "line": 1, "column": column }]));
    // Nothing else may be described.
    for document in ["\"x\" { viewer { kind } }", "{ \"x\" viewer { kind } }", "query(\"x\") { viewer { kind } }"] {
        let answer = stage.anonymous().query(document, Value::Null).await;
        assert_eq!((answer.status.as_u16(), answer.codes()[0]), (400, "GRAPHQL_PARSE_FAILED"), "{}", answer.text);
    }
}
