//! Documents, variables, cursors and ids that nobody would write: whatever comes, the server answers or refuses.
//!
//! Each run takes the files of `tests/corpus`, which hold what was once found to be worth a look, and then a few hundred
//! random changes of them. `FUZZ_CASES` says how many instead.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::harness::{Actor, Stage, tests};

tests! {
    demo: [
        a_changed_document_is_answered_or_refused,
        a_document_of_random_words_is_answered_or_refused,
        a_cursor_of_any_kind_is_answered_or_refused,
        an_id_of_any_kind_is_answered_or_refused,
    ],
}

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus");

/// Words that mean something in a document.
const WORDS: &[&str] = &[
    "{",
    "}",
    "(",
    ")",
    "[",
    "]",
    ":",
    "!",
    "=",
    "@",
    "$",
    "...",
    "|",
    "&",
    ",",
    "\"",
    "\"\"\"",
    "#",
    "\n",
    "\\",
    "\\u{110000}",
    "query",
    "mutation",
    "subscription",
    "fragment",
    "on",
    "F",
    "Query",
    "User",
    "Game",
    "Node",
    "null",
    "true",
    "false",
    "0",
    "-1",
    "2147483648",
    "1e400",
    "1.5",
    "$x",
    "$n",
    "$by",
    "\"game:1\"",
    "\"\"",
    "id",
    "user",
    "users",
    "node",
    "nodes",
    "game",
    "games",
    "viewer",
    "first",
    "last",
    "after",
    "before",
    "edges",
    "pageInfo",
    "totalCount",
    "history",
    "overview",
    "credits",
    "ledger",
    "__schema",
    "__type",
    "__typename",
    "name",
    "by",
    "ids",
    "handle",
    "\"grace\"",
    "skip",
    "include",
    "if",
    "goals",
    "season",
    "é",
    "🦀",
];

/// A value for a variable.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(&["grace", "game:1", "user:x", "", "\u{0}", "🦀", "1|games|0|0"][..]).prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::from),
            vec((select(&["handle", "id", "account", "platform", "x"][..]), inner), 0..4)
                .prop_map(|members| members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Value>()),
        ]
    })
}

/// What is done to a text: at a place, so many signs are taken out, and words put in.
type Change = (Index, usize, Vec<&'static str>);

fn changes() -> impl Strategy<Value = Vec<Change>> {
    vec((any::<Index>(), 0..12_usize, vec(select(WORDS), 0..3)), 1..5)
}

fn changed(text: &str, changes: &[Change]) -> String {
    let mut signs: Vec<char> = text.chars().collect();
    for (place, out, words) in changes {
        let from = place.index(signs.len() + 1);
        let to = (from + out).min(signs.len());
        signs.splice(from..to, words.join(" ").chars());
    }
    signs.into_iter().collect()
}

fn corpus(name: &str) -> Vec<String> {
    let mut files: Vec<_> = std::fs::read_dir(CORPUS).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let found = files.iter().filter(|path| path.file_name().unwrap().to_str().unwrap().ends_with(name));
    let texts: Vec<String> = found.map(|path| std::fs::read_to_string(path).unwrap()).collect();
    assert!(!texts.is_empty(), "the corpus is found");
    texts
}

fn lines(name: &str) -> Vec<String> {
    corpus(name).iter().flat_map(|text| text.lines()).map(str::to_owned).collect()
}

/// Values that are the same in every run, and how many.
fn runner() -> (TestRunner, usize) {
    let cases = std::env::var("FUZZ_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(200);
    let seed = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    (TestRunner::new_with_rng(Config::default(), seed), cases)
}

/// Sends it, and sees to it that what comes back is an answer or a refusal, and no fault of the server.
async fn probe(actor: &Actor, document: &str, variables: Value) {
    let answer = actor.query(document, variables.clone()).await;
    let status = answer.status.as_u16();
    let about = || format!("{document}\n{variables}\n{status} {}", answer.text);
    assert!([200, 400].contains(&status), "{}", about());
    assert!(answer.json.get("data").is_some() || !answer.codes().is_empty(), "{}", about());
    assert_eq!(answer.json.get("data").is_some(), status == 200, "{}", about());
    for code in answer.codes() {
        assert!(!["INTERNAL", "UNAVAILABLE", "none"].contains(&code), "{}", about());
    }
}

async fn a_changed_document_is_answered_or_refused(stage: Stage) {
    let (seeds, grace) = (corpus(".graphql"), stage.user("grace"));
    for seed in &seeds {
        probe(&grace, seed, json!({})).await;
    }
    let (mut runner, cases) = runner();
    let variables = (json(), json(), json());
    let strategy = (select(seeds), changes(), variables);
    for _ in 0..cases {
        let (seed, changes, (x, n, by)) = strategy.new_tree(&mut runner).unwrap().current();
        probe(&grace, &changed(&seed, &changes), json!({ "x": x, "n": n, "by": by })).await;
        // The document as it was, with variables of any type.
        probe(&grace, &seed, json!({ "x": x, "n": n, "by": by })).await;
    }
}

async fn a_document_of_random_words_is_answered_or_refused(stage: Stage) {
    let (mut runner, cases) = runner();
    let strategy = vec(select(WORDS), 0..60);
    for _ in 0..cases {
        let words = strategy.new_tree(&mut runner).unwrap().current();
        probe(&stage.anonymous(), &words.join(" "), Value::Null).await;
    }
}

/// Numbers near the ends of what a cursor can hold, and of what it is taken apart by.
const EXTREMES: &[i64] = &[i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX, 1 << 52, -(1 << 52)];

/// Every list that is read page by page.
const LISTS: &str = "query($c: String!) {
  games(after: $c, first: 2) { nodes { id } } g: games(before: $c, last: 2) { nodes { id } }
  resources(after: $c, first: 2) { nodes { id } } seasons(before: $c, last: 2) { nodes { id } }
  collections(after: $c, first: 2) { nodes { id } } studyPlans(before: $c, last: 2) { nodes { id } }
  game(id: \"1\") { achievements(after: $c, first: 2) { nodes { id } } }
  viewer { user {
    games(after: $c, first: 2) { nodes { id } } s: games(before: $c, last: 2, orderBy: SCORE) { nodes { id } }
    resources(after: $c, first: 2) { nodes { id } } r: resources(before: $c, last: 2) { nodes { id } }
    collections(after: $c, first: 2) { nodes { id } } overview(after: $c, first: 2) { nodes { title } }
    o: overview(before: $c, last: 2) { nodes { title } } history(after: $c, first: 2) { nodes { number } }
    h: history(before: $c, last: 2) { nodes { number } } credits { ledger(after: $c, first: 2) { nodes { kind } } }
    gameSummaries(gameIds: [\"1\"]) { achievements(after: $c, first: 2) { nodes { unlockedAt } } }
  } } }";

/// The lists one by one, since a cursor of one is refused by the others.
fn lists() -> Vec<String> {
    let inner = |fields: &str| format!("query($c: String!) {{ viewer {{ user {{ {fields} }} }} }}");
    let mut all = vec![LISTS.to_owned()];
    for list in ["games", "resources", "collections", "seasons", "studyPlans"] {
        for page in ["after: $c, first: 2", "before: $c, last: 2"] {
            all.push(format!("query($c: String!) {{ {list}({page}) {{ nodes {{ id }} }} }}"));
        }
    }
    for list in ["games", "games(orderBy: SCORE)", "resources", "collections", "overview", "history"] {
        for page in ["after: $c, first: 2", "before: $c, last: 2"] {
            let (name, arguments) = list.split_once('(').unwrap_or((list, ""));
            let field = format!("{name}({page} {}) {{ edges {{ cursor }} }}", arguments.trim_end_matches(')'));
            all.push(inner(&field));
        }
    }
    all
}

async fn a_cursor_of_any_kind_is_answered_or_refused(stage: Stage) {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let (grace, lists) = (stage.user("grace"), lists());
    // Cursors of the server's own, to begin with.
    let mut seeds = lines("cursors.txt");
    for list in &lists[1..] {
        let open = list.replace("after: $c, ", "").replace("before: $c, ", "").replace("($c: String!)", "");
        let open = open.replace("nodes { id }", "edges { cursor }");
        let data = grace.data(&open, Value::Null).await;
        let mut cursors = Vec::new();
        collect(&data, &mut cursors);
        seeds.extend(cursors.into_iter().take(1));
    }
    let readable: Vec<String> =
        seeds.iter().filter_map(|seed| String::from_utf8(URL_SAFE_NO_PAD.decode(seed).ok()?).ok()).collect();
    assert!(readable.len() > 10, "{seeds:?}");
    let extremes = select(EXTREMES);
    let (mut runner, cases) = runner();
    let strategy = (select(readable), changes(), extremes.clone(), extremes, any::<bool>(), select(lists));
    for seed in &seeds {
        probe(&grace, LISTS, json!({ "c": seed })).await;
    }
    let open = grace.query(&LISTS.replace("($c: String!)", "($c: String)"), json!({})).await;
    assert_eq!(open.json.get("errors"), None, "the document is good: {}", open.text);
    for _ in 0..cases {
        let (seed, changes, sort, tie, extreme, list) = strategy.new_tree(&mut runner).unwrap().current();
        let inside = if extreme {
            let mut parts: Vec<String> = seed.split('|').map(str::to_owned).collect();
            let length = parts.len();
            if length >= 4 {
                (parts[length - 2], parts[length - 1]) = (sort.to_string(), tie.to_string());
            }
            parts.join("|")
        } else {
            changed(&seed, &changes)
        };
        let cursor = URL_SAFE_NO_PAD.encode(&inside);
        probe(&grace, &list, json!({ "c": cursor })).await;
        probe(&grace, &list, json!({ "c": changed(&cursor, &changes) })).await;
    }
}

fn collect(value: &Value, cursors: &mut Vec<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, cursors)),
        Value::Object(members) => {
            if let Some(Value::String(cursor)) = members.get("cursor") {
                cursors.push(cursor.clone());
            }
            members.values().for_each(|member| collect(member, cursors));
        }
        _ => {}
    }
}

async fn an_id_of_any_kind_is_answered_or_refused(stage: Stage) {
    let query = "query($x: ID!, $text: String!, $xs: [ID!]!) { node(id: $x) { id } nodes(ids: $xs) { id } game(id: $x) { id }
        collection(id: $x) { id } user(by: { id: $x }) { id } account: user(by: { account: { platform: \"discord\", id: $text } }) { id }
        season(id: $x) { id } viewer { user { gameSummaries(gameIds: $xs) { id } resourceProgress(resourceIds: $xs) { id }
        collection(id: $x) { title } season(id: $x) { state } } } }";
    let (grace, seeds) = (stage.user("grace"), lines("ids.txt"));
    for seed in &seeds {
        probe(&grace, query, json!({ "x": seed, "text": seed, "xs": [seed] })).await;
    }
    let (mut runner, cases) = runner();
    let strategy = (select(seeds), changes(), ".{0,40}");
    for _ in 0..cases {
        let (seed, changes, random) = strategy.new_tree(&mut runner).unwrap().current();
        probe(&grace, query, json!({ "x": changed(&seed, &changes), "text": random, "xs": [random, seed] })).await;
    }
}
