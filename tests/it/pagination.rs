//! Connections: pages of every list.

use serde_json::{Value, json};

use crate::harness::{Actor, Stage, tests};

tests! {
    demo: [
        pages_in_both_directions_visit_every_element_once,
        a_page_says_what_lies_around_it,
        a_page_is_bounded_and_neither_empty_nor_negative,
        twenty_elements_are_a_page_when_nobody_says,
        a_cursor_is_good_for_its_own_list_only,
        what_is_no_cursor_is_refused,
        a_page_lies_between_two_cursors,
    ],
}

/// Every list there is: where it stands, with `PAGE` for the arguments of its page, and how to tell its elements apart.
const LISTS: [(&str, &str); 17] = [
    ("seasons(PAGE)", "id"),
    ("games(PAGE)", "id"),
    (r#"games(search: "o" PAGE)"#, "id"),
    ("resources(PAGE)", "id"),
    ("studyPlans(PAGE)", "id"),
    ("collections(PAGE)", "id"),
    (r#"game(id: "1") { achievements(PAGE)"#, "id"),
    ("viewer { user { resources(PAGE)", "id"),
    ("viewer { user { resources(completed: true PAGE)", "id"),
    ("viewer { user { games(PAGE)", "id"),
    ("viewer { user { games(orderBy: SCORE PAGE)", "id"),
    ("viewer { user { collections(PAGE)", "id"),
    ("viewer { user { overview(PAGE)", "id"),
    ("viewer { user { history(PAGE)", "number"),
    ("viewer { user { history(kinds: [ACHIEVEMENT_UNLOCKED] PAGE)", "number"),
    ("viewer { user { credits { ledger(PAGE)", "lot kind recordedAt"),
    (r#"viewer { user { collection(id: "founders") { __typename } games(award: BEATEN PAGE)"#, "id"),
];

const PAGE: &str =
    "totalCount edges { cursor } nodes { NODE } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }";

/// One page of a list.
async fn page(actor: &Actor, (list, node): (&str, &str), arguments: &str) -> Value {
    let answer = ask(actor, (list, node), arguments).await;
    let mut value = answer.data();
    // The connection stands at the end of a chain of objects.
    while value.get("pageInfo").is_none() {
        let next = value.as_object_mut().and_then(|fields| {
            let name = fields.keys().find(|name| fields[*name].get("__typename").is_none())?.clone();
            fields.remove(&name)
        });
        value = next.unwrap_or_else(|| panic!("{list}: no connection in {}", answer.text));
    }
    value
}

async fn ask(actor: &Actor, (list, node): (&str, &str), arguments: &str) -> crate::harness::Answer {
    let open = list.matches('{').count() - list.matches('}').count();
    let (list, page) = (list.replace("PAGE", arguments), PAGE.replace("NODE", node));
    // Braces of input objects are balanced, so that what is open are selections.
    actor.query(&format!("{{ {list} {{ {page} }} {} }}", "}".repeat(open)), Value::Null).await
}

async fn pages_in_both_directions_visit_every_element_once(stage: Stage) {
    let grace = stage.user("grace");
    for list in LISTS {
        let total = page(&grace, list, "first: 1").await["totalCount"].as_u64().unwrap();
        assert!(total > 1, "{list:?} has something to page through");
        let size = (total / 4).clamp(1, 7);
        let mut forward = Vec::new();
        let mut cursors = Vec::new();
        let mut arguments = format!("first: {size}");
        loop {
            let page = page(&grace, list, &arguments).await;
            assert_eq!(page["totalCount"], total, "{list:?}");
            forward.extend(page["nodes"].as_array().unwrap().clone());
            cursors.extend(page["edges"].as_array().unwrap().iter().map(|edge| edge["cursor"].to_string()));
            if page["pageInfo"]["hasNextPage"] == false {
                break;
            }
            assert_eq!(page["nodes"].as_array().unwrap().len() as u64, size, "{list:?}: a full page");
            arguments = format!("first: {size}, after: {}", page["pageInfo"]["endCursor"]);
        }
        assert_eq!(forward.len() as u64, total, "{list:?}");
        let mut distinct = cursors.clone();
        distinct.sort();
        distinct.dedup();
        assert_eq!(distinct.len() as u64, total, "{list:?}: every element once");

        let mut backward = Vec::new();
        arguments = format!("last: {size}");
        loop {
            let page = page(&grace, list, &arguments).await;
            backward.splice(0..0, page["nodes"].as_array().unwrap().clone());
            if page["pageInfo"]["hasPreviousPage"] == false {
                break;
            }
            arguments = format!("last: {size}, before: {}", page["pageInfo"]["startCursor"]);
        }
        assert_eq!(backward, forward, "{list:?}");
    }
}

async fn a_page_says_what_lies_around_it(stage: Stage) {
    let grace = stage.user("grace");
    let list = ("games(PAGE)", "id");
    let first = page(&grace, list, "first: 2").await;
    assert_eq!(first["nodes"], json!([{ "id": "game:1" }, { "id": "game:2" }]));
    assert_eq!(
        (&first["pageInfo"]["hasPreviousPage"], &first["pageInfo"]["hasNextPage"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(first["pageInfo"]["startCursor"], first["edges"][0]["cursor"]);
    assert_eq!(first["pageInfo"]["endCursor"], first["edges"][1]["cursor"]);
    let second = page(&grace, list, &format!("first: 1, after: {}", first["pageInfo"]["endCursor"])).await;
    assert_eq!(second["nodes"], json!([{ "id": "game:3" }]));
    assert_eq!(second["pageInfo"]["hasPreviousPage"], true);
    let back = page(&grace, list, &format!("last: 1, before: {}", second["pageInfo"]["startCursor"])).await;
    assert_eq!(back["nodes"], json!([{ "id": "game:2" }]));
    let empty = page(&grace, ("viewer { user { history(kinds: [ERASED] PAGE)", "number"), "first: 5").await;
    assert_eq!(
        empty,
        json!({
            "totalCount": 0, "nodes": [], "edges": [],
            "pageInfo": { "hasNextPage": false, "hasPreviousPage": false, "startCursor": null, "endCursor": null },
        })
    );
}

async fn a_page_is_bounded_and_neither_empty_nor_negative(stage: Stage) {
    let grace = stage.user("grace");
    for list in LISTS {
        for arguments in [
            "first: -1",
            "first: 0",
            "first: 101",
            "last: -1",
            "last: 0",
            "last: 101",
            "first: 1, last: 1",
            "first: 2147483647",
        ] {
            let answer = ask(&grace, list, arguments).await;
            assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{list:?} {arguments} {}", answer.text);
        }
        assert!(page(&grace, list, "first: 100").await["totalCount"].is_number());
    }
}

async fn twenty_elements_are_a_page_when_nobody_says(stage: Stage) {
    let data = stage
        .user("grace")
        .data("{ games { nodes { id } } viewer { user { history { nodes { number } } } } }", Value::Null)
        .await;
    assert_eq!(data["games"]["nodes"].as_array().unwrap().len(), 20);
    assert_eq!(data["viewer"]["user"]["history"]["nodes"].as_array().unwrap().len(), 20);
    let nulls = "{ games(first: null, last: null, after: null, before: null) { nodes { id } } }";
    assert_eq!(stage.anonymous().data(nulls, Value::Null).await["games"], data["games"]);
}

async fn a_cursor_is_good_for_its_own_list_only(stage: Stage) {
    let grace = stage.user("grace");
    let cursor = page(&grace, LISTS[13], "first: 1").await["pageInfo"]["endCursor"].to_string();
    for list in LISTS.iter().filter(|(list, _)| !list.contains("history")) {
        for argument in ["after", "before"] {
            let answer = ask(&grace, *list, &format!("first: 5, {argument}: {cursor}")).await;
            assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{list:?} {}", answer.text);
            assert!(answer.message().contains("another list"), "{}", answer.message());
        }
    }
    let by_date = page(&grace, LISTS[9], "first: 1").await["pageInfo"]["endCursor"].to_string();
    let answer = ask(&grace, LISTS[10], &format!("first: 1, after: {by_date}")).await;
    assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "another order is another list");
}

async fn what_is_no_cursor_is_refused(stage: Stage) {
    let grace = stage.user("grace");
    let huge = "A".repeat(10_000);
    for cursor in ["", "x", "🦀", "null", "MXxnYW1lc3wxfDE", "Mnxoi", "' OR 1=1 --", "\\u0000", &huge] {
        for list in [LISTS[1], LISTS[9], LISTS[12], LISTS[13]] {
            let answer = ask(&grace, list, &format!(r#"first: 5, after: "{cursor}""#)).await;
            // One of them is a cursor of the catalogue's games, where it is good.
            let good = cursor == "MXxnYW1lc3wxfDE" && list == LISTS[1];
            // No text holds a NUL.
            let refused = if cursor == "\\u0000" { "GRAPHQL_VALIDATION_FAILED" } else { "BAD_USER_INPUT" };
            assert_eq!(answer.codes(), if good { vec![] } else { vec![refused] }, "{cursor:.20} {list:?}");
        }
    }
    // The sort key of a cursor may be anything; it must not overflow anything.
    let first = page(&grace, LISTS[13], "first: 1").await["edges"][0]["cursor"].as_str().unwrap().to_owned();
    let first = from_base64(&first);
    let whose = first.split('|').nth(3).unwrap();
    for key in ["9223372036854775807", "-9223372036854775808"] {
        for side in ["after", "before"] {
            let cursor = base64(&format!("1|history|{key}|{whose}"));
            let list = page(&grace, LISTS[13], &format!(r#"first: 5, {side}: "{cursor}""#)).await;
            assert_eq!(list["totalCount"], 335);
            let of_another = base64(&format!("1|history|{key}|{key}"));
            let answer = ask(&grace, LISTS[13], &format!(r#"first: 5, {side}: "{of_another}""#)).await;
            assert_eq!(answer.codes(), ["BAD_USER_INPUT"]);
        }
        let cursor = base64(&format!("1|overview|{key}|{key}"));
        for side in ["after", "before"] {
            let list = page(&grace, LISTS[12], &format!(r#"first: 5, {side}: "{cursor}""#)).await;
            assert_eq!(list["totalCount"], 76);
        }
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

fn from_base64(text: &str) -> String {
    use base64::Engine as _;
    String::from_utf8(base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()).unwrap()
}

async fn a_page_lies_between_two_cursors(stage: Stage) {
    let grace = stage.user("grace");
    for list in LISTS {
        let all = page(&grace, list, "first: 100").await;
        let cursors: Vec<_> = all["edges"].as_array().unwrap().iter().map(|edge| edge["cursor"].to_string()).collect();
        let nodes = all["nodes"].as_array().unwrap();
        if nodes.len() < 3 {
            continue;
        }
        let (start, end) = (0, nodes.len() - 1);
        let between = format!("after: {}, before: {}", cursors[start], cursors[end]);
        let inner = page(&grace, list, &format!("first: 100, {between}")).await;
        assert_eq!(*inner["nodes"].as_array().unwrap(), nodes[1..end], "{list:?}");
        let inner = page(&grace, list, &format!("last: 1, {between}")).await;
        assert_eq!(*inner["nodes"].as_array().unwrap(), nodes[end - 1..end], "{list:?}");
    }
}
