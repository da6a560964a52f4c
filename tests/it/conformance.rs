//! One test for each place where the engine departs from the specification on its own.
//!
//! The gate or the server mends each. Should one of these fail after an update of the engine, the mending is to be looked
//! at again.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::harness::{Answer, Stage, tests};

tests! {
    demo: [
        a_failed_non_null_field_takes_its_parent_and_not_itself_alone,
        answers_keep_the_order_of_the_fields,
        exponential_fragments_are_counted_and_not_spread,
        a_variable_has_the_type_of_the_place_where_it_stands,
        skip_and_include_see_the_defaults_of_variables,
        an_omitted_variable_leaves_the_default_of_the_argument,
        a_one_of_input_counts_what_stands_in_the_document,
        aliases_that_conflict_deep_inside_are_refused,
        a_field_of_an_input_object_is_given_once,
        a_one_of_input_takes_exactly_one_field,
        a_request_error_has_no_data,
        an_error_has_a_status_of_its_own,
        the_answer_has_the_media_type_that_was_asked_for,
        get_reads_operation_name_as_the_specification_spells_it,
        directives_of_one_operation_say_nothing_about_another,
        a_mutation_over_get_is_refused,
        forms_of_web_pages_are_refused,
        a_batch_is_refused,
        whole_numbers_are_whole_however_json_writes_them,
        an_id_may_be_any_whole_number,
        malformed_json_is_explained_without_the_insides_of_the_server,
    ],
    own: [
        a_mutation_stops_nothing_that_came_before_it_and_runs_in_order,
        variables_are_coerced_before_anything_is_written,
        a_number_that_is_too_large_is_refused_before_anything_is_written,
        a_null_that_cannot_be_is_refused_before_anything_is_written,
        texts_are_read_as_the_specification_writes_them,
    ],
}

async fn post(stage: &Stage, content_type: &str, accept: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post("/graphql").header(CONTENT_TYPE, content_type).header(ACCEPT, accept);
    stage.anonymous().send(request.body(body.into()).unwrap()).await
}

async fn a_failed_non_null_field_takes_its_parent_and_not_itself_alone(stage: Stage) {
    // `users` is non-null at the root: when it fails, there is no data at all.
    let query = "query($by: [UserBy!]!) { viewer { kind } users(by: $by) { id } }";
    let answer = stage.anonymous().query(query, json!({ "by": vec![json!({ "handle": "grace" }); 201] })).await;
    assert_eq!((answer.status.as_u16(), &answer.json["data"]), (200, &Value::Null), "{}", answer.text);
    assert!(answer.json.as_object().unwrap().contains_key("data"));
    assert_eq!(answer.json["errors"][0]["path"], json!(["users"]));
}

async fn answers_keep_the_order_of_the_fields(stage: Stage) {
    // Fields that wait for the database stand before such that do not.
    let query = r#"{ z: user(by: {handle: "grace"}) { handle id } b: viewer { now kind } y: game(id: "1") { title id } a: __typename }"#;
    let text = stage.anonymous().query(query, Value::Null).await.text;
    let places: Vec<_> = ["\"z\":", "\"handle\":", "\"b\":", "\"now\":", "\"kind\":", "\"y\":", "\"title\":", "\"a\":"]
        .iter()
        .map(|key| text.find(key).unwrap_or_else(|| panic!("{key} {text}")))
        .collect();
    assert!(places.is_sorted(), "{text}");
}

async fn a_mutation_stops_nothing_that_came_before_it_and_runs_in_order(stage: Stage) {
    let query = r#"mutation {
        a: updateProfile(input: { user: { handle: "grace" }, displayName: "First" }) { user { displayName } }
        b: updateProfile(input: { user: { handle: "nobody" }, displayName: "None" }) { user { displayName } }
        c: updateProfile(input: { user: { handle: "grace" }, displayName: "Last" }) { user { displayName } }
    }"#;
    let answer = stage.user("grace").query(query, Value::Null).await;
    assert_eq!(answer.json["data"]["a"]["user"]["displayName"], "First", "{}", answer.text);
    assert_eq!(answer.json["data"]["c"]["user"]["displayName"], "Last", "{}", answer.text);
    let now = stage.user("grace").data("{ viewer { user { displayName } } }", Value::Null).await;
    assert_eq!(now["viewer"]["user"]["displayName"], "Last");
}

async fn exponential_fragments_are_counted_and_not_spread(stage: Stage) {
    let mut document = String::from("query { ...F0 } fragment F24 on Query { viewer { kind } }");
    for n in 0..24 {
        document.push_str(&format!(" fragment F{n} on Query {{ ...F{0} ...F{0} }}", n + 1));
    }
    assert!(document.len() < 1500);
    let begun = std::time::Instant::now();
    stage.anonymous().query(&document, Value::Null).await.refused(400, "LIMIT_EXCEEDED");
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
}

async fn a_variable_has_the_type_of_the_place_where_it_stands(stage: Stage) {
    for query in [
        "query($id: Int!) { game(id: $id) { id } }",
        "query($id: ID) { game(id: $id) { id } }",
        "query($ids: [ID]!) { nodes(ids: $ids) { id } }",
        "query($n: String) { games(first: $n) { nodes { id } } }",
        "query($by: ID!) { user(by: { id: $by, handle: $by }) { id } }",
    ] {
        stage.anonymous().query(query, json!({})).await.refused(400, "GRAPHQL_VALIDATION_FAILED");
    }
}

async fn variables_are_coerced_before_anything_is_written(stage: Stage) {
    // The second mutation lacks a variable; the first must not have happened.
    let query = "mutation($a: UpdateProfileInput!, $b: UpdateProfileInput!) {
        a: updateProfile(input: $a) { user { displayName } } b: updateProfile(input: $b) { user { displayName } } }";
    let before = stage.user("grace").data("{ viewer { user { displayName } } }", Value::Null).await;
    let first = json!({ "user": { "handle": "grace" }, "displayName": "Half" });
    for variables in
        [json!({ "a": first }), json!({ "a": first, "b": null }), json!({ "a": first, "b": { "user": 1 } })]
    {
        stage.user("grace").query(query, variables).await.refused(400, "BAD_USER_INPUT");
    }
    assert_eq!(stage.user("grace").data("{ viewer { user { displayName } } }", Value::Null).await, before);
}

async fn skip_and_include_see_the_defaults_of_variables(stage: Stage) {
    let query = "query($yes: Boolean! = true) { viewer { kind @skip(if: $yes) now @include(if: $yes) } }";
    let data = stage.anonymous().data(query, json!({})).await;
    assert_eq!(data["viewer"].as_object().unwrap().keys().collect::<Vec<_>>(), ["now"]);
    let data = stage.anonymous().data(query, json!({ "yes": false })).await;
    assert_eq!(data["viewer"].as_object().unwrap().keys().collect::<Vec<_>>(), ["kind"]);
}

async fn an_omitted_variable_leaves_the_default_of_the_argument(stage: Stage) {
    let query =
        "query($order: GameSummaryOrder) { viewer { user { games(orderBy: $order, first: 3) { nodes { id } } } } }";
    let plain = "{ viewer { user { games(first: 3) { nodes { id } } } } }";
    let grace = stage.user("grace");
    assert_eq!(grace.data(query, json!({})).await, grace.data(plain, Value::Null).await);
    // An explicit null is no omission, and the argument does not take it.
    assert!(!grace.query(query, json!({ "order": null })).await.codes().is_empty());
}

async fn a_one_of_input_counts_what_stands_in_the_document(stage: Stage) {
    let query = "query($handle: String!, $id: ID) { user(by: { handle: $handle, id: $id }) { id } }";
    let answer = stage.anonymous().query(query, json!({ "handle": "grace" })).await;
    answer.refused(400, "GRAPHQL_VALIDATION_FAILED");
}

async fn aliases_that_conflict_deep_inside_are_refused(stage: Stage) {
    for query in [
        "{ viewer { user { a: handle } } viewer { user { a: displayName } } }",
        "{ viewer { user { games(first: 1) { nodes { id } } } } viewer { user { games(first: 2) { nodes { id } } } } }",
        "{ viewer { user { ...A ...B } } } fragment A on User { a: handle } fragment B on User { a: id }",
        r#"{ node(id: "game:1") { ... on Game { x: title } ... on User { x: createdAt } ... on Game { x: id } } }"#,
    ] {
        let answer = stage.anonymous().query(query, Value::Null).await;
        assert_eq!((answer.status.as_u16(), answer.json.get("data")), (400, None), "{query} {}", answer.text);
        assert!(answer.codes().iter().all(|code| *code == "GRAPHQL_VALIDATION_FAILED"), "{query} {}", answer.text);
    }
}

async fn a_field_of_an_input_object_is_given_once(stage: Stage) {
    for query in [
        r#"{ user(by: { handle: "grace", handle: "ada" }) { id } }"#,
        r#"{ user(by: { account: { platform: "a", platform: "b", id: "1" } }) { id } }"#,
        r#"query($by: UserBy = { handle: "a", handle: "b" }) { user(by: $by) { id } }"#,
    ] {
        stage.anonymous().query(query, Value::Null).await.refused(400, "GRAPHQL_VALIDATION_FAILED");
    }
}

async fn a_one_of_input_takes_exactly_one_field(stage: Stage) {
    for by in ["{}", r#"{ handle: "grace", id: "x" }"#, "{ handle: null }", r#"{ handle: "grace", id: null }"#] {
        let query = format!("{{ user(by: {by}) {{ id }} }}");
        stage.anonymous().query(&query, Value::Null).await.refused(400, "GRAPHQL_VALIDATION_FAILED");
    }
    let query = "query($by: UserBy!) { user(by: $by) { handle } }";
    for by in [json!({}), json!({ "handle": "grace", "id": "x" }), json!({ "handle": null })] {
        stage.anonymous().query(query, json!({ "by": by })).await.refused(400, "BAD_USER_INPUT");
    }
    assert_eq!(stage.anonymous().data(query, json!({ "by": { "handle": "grace" } })).await["user"]["handle"], "grace");
}

async fn a_request_error_has_no_data(stage: Stage) {
    for query in ["{", "{ nothing }", "query($x: ID!) { game(id: $x) { id } }"] {
        for accept in ["application/graphql-response+json", "application/json"] {
            let answer = post(&stage, "application/json", accept, json!({ "query": query }).to_string()).await;
            let keys: Vec<_> = answer.json.as_object().unwrap().keys().cloned().collect();
            assert_eq!(keys, ["errors"], "{query} {}", answer.text);
        }
    }
}

async fn an_error_has_a_status_of_its_own(stage: Stage) {
    for (accept, status) in [("application/graphql-response+json", 400), ("application/json", 200)] {
        for query in ["{", "{ nothing }", "query($x: ID!) { game(id: $x) { id } }"] {
            let answer = post(&stage, "application/json", accept, json!({ "query": query }).to_string()).await;
            assert_eq!(answer.status.as_u16(), status, "{accept} {}", answer.text);
        }
        for body in ["", "{", "[]", "{}", r#"{"query": 1}"#, r#"{"query": "{ viewer { kind } }", "variables": 1}"#] {
            let answer = post(&stage, "application/json", accept, body).await;
            assert_eq!(answer.status.as_u16(), 400, "{accept} {body}");
        }
    }
}

async fn the_answer_has_the_media_type_that_was_asked_for(stage: Stage) {
    let body = json!({ "query": "{ viewer { kind } }" }).to_string();
    for (accept, expected) in [
        ("application/graphql-response+json", "application/graphql-response+json; charset=utf-8"),
        ("application/json", "application/json; charset=utf-8"),
        ("*/*", "application/json; charset=utf-8"),
        (
            "application/graphql-response+json, application/json;q=0.9",
            "application/graphql-response+json; charset=utf-8",
        ),
    ] {
        let answer = post(&stage, "application/json", accept, body.clone()).await;
        assert_eq!(answer.headers[CONTENT_TYPE], expected, "{accept}");
        answer.data();
    }
    for accept in ["text/html", "application/xml", "application/json;q=0"] {
        let answer = post(&stage, "application/json", accept, body.clone()).await;
        answer.refused(406, "BAD_USER_INPUT");
    }
}

async fn get_reads_operation_name_as_the_specification_spells_it(stage: Stage) {
    let get = async |name: &str| {
        let query = "query%20A%7Bviewer%7Bkind%7D%7Dquery%20B%7B__typename%7D";
        let request = Request::get(format!("/graphql?query={query}&{name}=B"));
        let request = request.header(ACCEPT, "application/graphql-response+json");
        stage.anonymous().send(request.body(Body::empty()).unwrap()).await
    };
    assert_eq!(get("operationName").await.data(), json!({ "__typename": "Query" }));
    get("operation_name").await.refused(400, "BAD_USER_INPUT");
}

async fn directives_of_one_operation_say_nothing_about_another(stage: Stage) {
    let query = r#"query A($is: Boolean) { __type(name: "Goal") { fields(includeDeprecated: $is) { name } } ...F }
                   query B($is: Boolean!) { viewer { kind @include(if: $is) } }
                   fragment F on Query { viewer { kind } }"#;
    let ask = async |variables: Value| {
        let body = json!({ "query": query, "operationName": "A", "variables": variables }).to_string();
        post(&stage, "application/json", "application/graphql-response+json", body).await
    };
    let answer = ask(json!({})).await;
    assert!(answer.json.get("errors").is_none(), "{}", answer.text);
    // What has a default cannot be `null`, in the introspection as elsewhere.
    ask(json!({ "is": null })).await.refused(400, "BAD_USER_INPUT");
}

async fn a_mutation_over_get_is_refused(stage: Stage) {
    let query = "mutation%7BunlockAchievements(input:%7Bunlocks:%5B%5D%7D)%7B__typename%7D%7D";
    for accept in ["application/graphql-response+json", "application/json"] {
        let request = Request::get(format!("/graphql?query={query}")).header(ACCEPT, accept);
        let answer = stage.anonymous().send(request.body(Body::empty()).unwrap()).await;
        answer.refused(405, "BAD_USER_INPUT");
        assert_eq!(answer.headers["allow"], "POST");
    }
}

async fn forms_of_web_pages_are_refused(stage: Stage) {
    let json = json!({ "query": "{ viewer { kind } }" }).to_string();
    let multipart = format!(
        "--x\r\ncontent-disposition: form-data; name=\"operations\"\r\n\r\n{json}\r\n--x\r\n\
         content-disposition: form-data; name=\"map\"\r\n\r\n{{}}\r\n--x--\r\n"
    );
    for (content_type, body) in [
        ("text/plain", json.as_str()),
        ("application/x-www-form-urlencoded", "query=%7Bviewer%7Bkind%7D%7D"),
        ("multipart/form-data; boundary=x", multipart.as_str()),
        ("application/graphql", "{ viewer { kind } }"),
        ("application/json; charset=utf-16", json.as_str()),
        ("application/jsonp", json.as_str()),
    ] {
        post(&stage, content_type, "*/*", body.to_owned()).await.refused(415, "BAD_USER_INPUT");
    }
}

async fn a_batch_is_refused(stage: Stage) {
    let one = json!({ "query": "{ viewer { kind } }" });
    for batch in [json!([]), json!([one]), json!([one, one])] {
        post(&stage, "application/json", "*/*", batch.to_string()).await.refused(400, "BAD_USER_INPUT");
    }
}

async fn malformed_json_is_explained_without_the_insides_of_the_server(stage: Stage) {
    for body in ["{", "{\"query\": }", "{\"query\": \"{ viewer { kind } }\", \"variables\": [}", "\u{0}"] {
        let answer = post(&stage, "application/json", "*/*", body).await;
        answer.refused(400, "BAD_USER_INPUT");
        for inside in ["Error(", "serde", "Syntax", "src/", "struct", "Asked"] {
            assert!(!answer.text.contains(inside), "{}", answer.text);
        }
    }
}

async fn texts_are_read_as_the_specification_writes_them(stage: Stage) {
    let grace = stage.user("grace");
    for (query, variables) in [
        ("query($a: [ UserBy! ]!) { users(by: $a) { handle } }", json!({ "a": [{ "handle": "grace" }] })),
        ("query($a: [UserBy!] !) { users(by: $a) { handle } }", json!({ "a": [{ "handle": "grace" }] })),
        ("{ viewer { ... on#c\n Viewer { kind } } }", Value::Null),
    ] {
        grace.data(query, variables).await;
    }
    let notes = "mutation($i: UpdateResourceProgressInput!) { updateResourceProgress(input: $i) { resourceProgress { notes } } }";
    for (written, is) in [
        (r#""\uD83D\uDE00""#, "\u{1F600}"),
        (r#""\u{1F600}""#, "\u{1F600}"),
        (r#""""a \""" b""""#, "a \"\"\" b"),
        ("\"\"\"\n      one\n        two\n\n      \"\"\"", "one\n  two"),
        (r#""\u00e9\n\t\\""#, "\u{e9}\n\t\\"),
    ] {
        let literal = notes
            .replace("($i: UpdateResourceProgressInput!)", "")
            .replace("$i", &format!("{{ resourceId: \"507f191e810c19729de860ea\", notes: {written} }}"));
        let answer = grace.data(&literal, Value::Null).await;
        assert_eq!(answer["updateResourceProgress"]["resourceProgress"]["notes"], is, "{literal}");
    }
}

async fn whole_numbers_are_whole_however_json_writes_them(stage: Stage) {
    let query = "query($n: Int!, $id: ID!) { games(first: $n) { nodes { id } } game(id: $id) { id } }";
    let body = |n: &str, id: &str| {
        json!({ "query": query }).to_string().replacen('{', &format!("{{\"variables\":{{\"n\":{n},\"id\":{id}}},"), 1)
    };
    let ask = async |n: &str, id: &str| post(&stage, "application/json", "application/json", body(n, id)).await;
    let plain = ask("2", "\"14402\"").await;
    assert_eq!(plain.data()["game"]["id"], "game:14402");
    for (n, id) in [("2.0", "14402"), ("2e0", "14402.0"), ("2", "1.4402e4")] {
        assert_eq!(ask(n, id).await.data(), plain.data(), "{n} {id}");
    }
    for (n, id) in [("2.5", "1"), ("2", "1.5"), ("3e9", "1"), ("2", "1e300"), ("2", "true")] {
        assert_eq!(ask(n, id).await.codes(), ["BAD_USER_INPUT"], "{n} {id}");
    }
}

async fn an_id_may_be_any_whole_number(stage: Stage) {
    let data = stage
        .anonymous()
        .data("{ game(id: 14402) { id } big: game(id: 123456789012345678901234567890) { id } }", Value::Null)
        .await;
    assert_eq!(data, json!({ "game": { "id": "game:14402" }, "big": null }));
    let query = "query($id: ID!) { game(id: $id) { id } }";
    let data = stage.anonymous().data(query, json!({ "id": u64::MAX })).await;
    assert_eq!(data, json!({ "game": null }));
}

async fn a_null_that_cannot_be_is_refused_before_anything_is_written(stage: Stage) {
    let app = stage.app(&[Scope::Admin]).await;
    let ledger = "{ user(by: { handle: \"grace\" }) { credits { ledger(first: 1) { totalCount } } } }";
    let before = app.data(ledger, Value::Null).await;
    let grant = "a: grantCredits(input: { user: { handle: \"grace\" }, amount: { micros: 1 } }) { status }";
    for (variables, second, values) in [
        // A member that is not null because it has a default.
        (
            "$q: Int",
            "b: grantCards(input: { user: { handle: \"grace\" }, cards: [{ cardId: \"x\", quantity: $q }] }) { userErrors { code } }",
            json!({ "q": null }),
        ),
        // The one member of an input, null or left out.
        (
            "$h: String",
            "b: grantCredits(input: { user: { handle: $h }, amount: { micros: 1 } }) { status }",
            json!({ "h": null }),
        ),
        ("$h: String", "b: grantCredits(input: { user: { handle: $h }, amount: { micros: 1 } }) { status }", json!({})),
        (
            "$m: BigInt",
            "b: grantCredits(input: { user: { handle: \"grace\" }, amount: { micros: $m } }) { status }",
            json!({ "m": null }),
        ),
        (
            "$m: BigInt",
            "b: grantCredits(input: { user: { handle: \"grace\" }, amount: { micros: $m } }) { status }",
            json!({}),
        ),
        // An item of a list whose items cannot be null.
        (
            "$a: ID",
            "b: relockAchievements(input: { user: { handle: \"grace\" }, achievementIds: [$a] }) { userErrors { code } }",
            json!({}),
        ),
        // An ID that no text stands for.
        (
            "$a: ID! = 99999999999999999999999",
            "b: relockAchievements(input: { user: { handle: \"grace\" }, achievementIds: [$a] }) { userErrors { code } }",
            json!({}),
        ),
    ] {
        let query = format!("mutation({variables}) {{ {grant} {second} }}");
        let answer = app.query(&query, values).await;
        assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{query}: {}", answer.text);
        assert!(answer.json.get("data").is_none(), "{query}: {}", answer.text);
    }
    assert_eq!(app.data(ledger, Value::Null).await, before);
}

async fn a_number_that_is_too_large_is_refused_before_anything_is_written(stage: Stage) {
    let app = stage.app(&[Scope::Admin]).await;
    let ledger = "{ user(by: { handle: \"grace\" }) { credits { ledger(first: 1) { totalCount } } } }";
    let before = app.data(ledger, Value::Null).await;
    for amount in ["micros: 1e400", "credits: 1e400", "micros: -1e400", "micros: 99999999999999999999999999"] {
        let grant = |amount: &str| {
            format!("grantCredits(input: {{ user: {{ handle: \"grace\" }}, amount: {{ {amount} }} }}) {{ status }}")
        };
        let answer =
            app.query(&format!("mutation {{ a: {} b: {} }}", grant("micros: 1"), grant(amount)), Value::Null).await;
        assert!(answer.json.get("data").is_none() && !answer.codes().is_empty(), "{amount}: {}", answer.text);
    }
    assert_eq!(app.data(ledger, Value::Null).await, before);
}
