//! Answers have a greatest length, whoever makes them, and execution lets others have a turn.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use crate::cli::{SECRET, Server, output};
use crate::harness::{Actor, Answer, Blank, Stage, rounds, tests};
use crate::subscriptions::{Wire, happen, serve};

tests! {
    demo: [
        an_answer_is_refused_from_one_byte_too_many,
        an_answer_whose_parts_are_merged_may_be_as_long_as_any,
        what_is_too_long_is_given_up_while_it_is_made,
        a_time_out_ends_an_execution_and_others_have_their_turn_meanwhile,
    ],
    own: [
        a_write_whose_answer_is_too_long_says_that_it_was_carried_out,
        an_export_and_notes_count_as_they_are_made,
        rest_answers_are_read_in_parts_bounded_and_paid,
        sockets_and_streams_are_told_what_is_too_long,
    ],
    blank: [
        the_worst_answers_take_little_memory,
    ],
}

/// Documents that are answered by each of the ways in which parts of answers are made.
const WAYS: &[(&str, &str)] = &[
    ("lists", "{ games(first: 30) { nodes { id title achievements(first: 5) { nodes { id title } } } } }"),
    ("edges", "{ games(first: 30) { edges { cursor node { id title } } pageInfo { endCursor } } }"),
    (
        "objects that are ready",
        "{ viewer { user { goals(all: true) { id title state completedSteps goal { title } } } } }",
    ),
    (
        "users side by side",
        r#"{ users(by: [{handle: "grace"}, {handle: "ada"}, {handle: "nobody"}]) { id handle
             gameSummaries(gameIds: ["1", "2", "3", "4", "5", "6"]) { id title } collections { nodes { id title } } } }"#,
    ),
    (
        "fragments",
        "{ games(first: 30) { nodes { ...G ... on Game { __typename title } } } } \
         fragment G on Game { __typename id achievements(first: 5) { nodes { id title } } }",
    ),
    ("unions and nodes", r#"{ viewer { user { overview(first: 50) { nodes { __typename title done total } } } } }"#),
    ("an export", r#"{ exportUser(user: {handle: "grace"}) }"#),
    ("documents", "{ viewer { user { history(first: 40) { nodes { __typename cursor kind occurredAt changes } } } } }"),
];

async fn ask(stage: &Stage, query: &str) -> Answer {
    stage.user("grace").query(query, Value::Null).await
}

async fn within(stage: &Stage, bytes: usize) -> Stage {
    stage.with(&[("WAYMARK_MAX_ANSWER_BYTES", &bytes.to_string())]).await
}

async fn an_answer_is_refused_from_one_byte_too_many(stage: Stage) {
    for (way, query) in WAYS {
        let answer = ask(&stage, query).await;
        assert!(answer.json.get("data").is_some(), "{way}: {}", answer.text);
        let length = answer.text.len();
        assert!(length > 1024, "{way}: {length}");
        let same = ask(&within(&stage, length).await, query).await;
        assert_eq!(same.text, answer.text, "{way}");
        let refused = ask(&within(&stage, length - 1).await, query).await;
        refused.refused(400, "LIMIT_EXCEEDED");
        assert!(refused.message().contains(&format!("{} bytes", length - 1)), "{way}: {}", refused.text);
        // By half of it, it is noticed long before the end.
        ask(&within(&stage, (length / 2).max(1024)).await, query).await.refused(400, "LIMIT_EXCEEDED");
    }
}

async fn an_answer_whose_parts_are_merged_may_be_as_long_as_any(stage: Stage) {
    let merged = "{ games(first: 30) { nodes { id } } games(first: 30) { nodes { title } } }";
    let (once, answer) = (ask(&stage, "{ games(first: 30) { nodes { id title } } }").await, ask(&stage, merged).await);
    assert_eq!(answer.data(), once.data());
    let length = answer.text.len();
    ask(&within(&stage, length).await, merged).await.data();
    ask(&within(&stage, length - 1).await, merged).await.refused(400, "LIMIT_EXCEEDED");
}

/// Goals of the season of each goal, and so on: answers that grow with the fourth power of a season.
const CYCLE: &str =
    "{ currentSeason { goals { season { goals { season { goals { season { goals { id key title } } } } } } } } }";
const ANY_COST: (&str, &str) = ("WAYMARK_MAX_COST", "4294967295");

async fn what_is_too_long_is_given_up_while_it_is_made(stage: Stage) {
    // The whole would have hundreds of megabytes, and a test could not wait for it.
    let stage = stage.with(&[ANY_COST, ("WAYMARK_MAX_ANSWER_BYTES", "100000")]).await;
    let fragment = format!("{} fragment G on Goal {{ id key title }}", CYCLE.replace("id key title", "...G"));
    for query in [CYCLE, &fragment] {
        let answer = stage.anonymous().query(query, Value::Null).await;
        answer.refused(400, "LIMIT_EXCEEDED");
        assert!(answer.message().contains("100000"), "{}", answer.text);
    }
}

async fn a_time_out_ends_an_execution_and_others_have_their_turn_meanwhile(stage: Stage) {
    let settings = [ANY_COST, ("WAYMARK_MAX_ANSWER_BYTES", "4000000000"), ("WAYMARK_REQUEST_TIMEOUT_SECONDS", "1")];
    let stage = stage.with(&settings).await;
    let done = std::cell::Cell::new(false);
    // In one task: nobody else is asked as long as the execution goes on without a break.
    let execution = async {
        let answer = stage.anonymous().query(CYCLE, Value::Null).await;
        done.set(true);
        answer
    };
    let others = async {
        let mut answered = 0;
        while !done.get() {
            let health = stage.anonymous().send(Request::get("/healthz").body(Body::empty()).unwrap()).await;
            assert_eq!(health.status.as_u16(), 200);
            answered += 1;
            tokio::task::yield_now().await;
        }
        answered
    };
    let (answer, answered) = tokio::join!(execution, others);
    assert_eq!((answer.status.as_u16(), answer.codes()), (503, vec!["UNAVAILABLE"]), "{}", answer.text);
    assert!(answered > 2, "{answered}");
}

/// Ids of 24 digits.
fn resources(count: usize) -> Vec<String> {
    (1..=count).map(|number| format!("{number:024x}")).collect()
}

async fn completed(reader: &Actor, ids: &[String]) -> Vec<Value> {
    let query = "query($ids: [ID!]!) { viewer { user { resourceProgress(resourceIds: $ids) { completed } } } }";
    let found = reader.data(query, json!({ "ids": ids })).await;
    found["viewer"]["user"]["resourceProgress"].as_array().unwrap().iter().map(|one| one["completed"].clone()).collect()
}

async fn a_write_whose_answer_is_too_long_says_that_it_was_carried_out(stage: Stage) {
    let tight = within(&stage, 2000).await;
    let ids = resources(60);
    let query = "mutation($a: SetResourcesCompletionInput!, $b: SetResourcesCompletionInput!, $c: SetResourcesCompletionInput!) {
        first: setResourcesCompletion(input: $a) { userErrors { code } }
        second: setResourcesCompletion(input: $b) { results { id status } }
        third: setResourcesCompletion(input: $c) { userErrors { code } }
    }";
    let input = |ids: &[String]| json!({ "resourceIds": ids, "completed": true });
    let variables = json!({ "a": input(&ids[..1]), "b": input(&ids[1..59]), "c": input(&ids[59..]) });
    let answer = tight.user("ada").query(query, variables).await;
    assert_eq!((answer.status.as_u16(), answer.codes()), (200, vec!["LIMIT_EXCEEDED"]), "{}", answer.text);
    assert_eq!((answer.json.get("data"), &answer.json["errors"][0]["path"]), (Some(&Value::Null), &json!(["second"])));
    assert!(answer.message().contains("\"second\" was carried out"), "{}", answer.text);
    let mut found = completed(&stage.user("ada"), &ids).await;
    assert_ne!(found.pop(), Some(Value::Bool(true)), "nothing behind it was carried out");
    assert_eq!(found, vec![Value::Bool(true); 59]);
    // What fits is answered as ever.
    let one = "mutation($a: SetResourcesCompletionInput!) { setResourcesCompletion(input: $a) { results { status } } }";
    tight.user("ada").data(one, json!({ "a": input(&ids[..1]) })).await;
}

async fn write_notes(stage: &Stage, user: &str, count: usize, notes: &str) {
    let query =
        "mutation($i: UpdateResourceProgressInput!) { updateResourceProgress(input: $i) { userErrors { code } } }";
    for id in resources(count) {
        stage.user(user).data(query, json!({ "i": { "resourceId": id, "notes": notes } })).await;
    }
}

async fn an_export_and_notes_count_as_they_are_made(stage: Stage) {
    let notes = "€".repeat(2000);
    write_notes(&stage, "ada", 12, &notes).await;
    let tight = within(&stage, 60_000).await;
    let export = r#"exportUser(user: {handle: "ada"})"#;
    for query in [
        format!("{{ {export} }}"),
        format!("{{ a: {export} b: {export} }}"),
        "{ viewer { user { resources(first: 20) { nodes { notes } } } } }".to_owned(),
        "{ viewer { user { resources(first: 4) { nodes { a: notes b: notes c: notes d: notes } } } } }".to_owned(),
        "{ viewer { user { resources(first: 20) { nodes { ...N } } } } } fragment N on ResourceProgress { notes }"
            .to_owned(),
    ] {
        tight.user("ada").query(&query, Value::Null).await.refused(400, "LIMIT_EXCEEDED");
    }
    tight.user("ada").data("{ viewer { user { resources(first: 4) { nodes { notes } } } } }", Value::Null).await;
    // More rows than are read at a time come whole, and once.
    let ids = resources(600);
    let all =
        "mutation($a: SetResourcesCompletionInput!) { setResourcesCompletion(input: $a) { userErrors { code } } }";
    stage.user("eve").data(all, json!({ "a": { "resourceIds": ids, "completed": true } })).await;
    let exported = stage.user("eve").data("{ viewer { user { id } } }", Value::Null).await;
    let id = exported["viewer"]["user"]["id"].clone();
    let query = "query($id: ID!) { exportUser(user: {id: $id}) }";
    let export = stage.user("eve").data(query, json!({ "id": id })).await["exportUser"].clone();
    let mut found: Vec<&str> =
        export["resources"].as_array().unwrap().iter().filter_map(|row| row["resource"].as_str()).collect();
    found.sort_unstable();
    found.retain(|key| ids.iter().any(|id| id == key));
    assert_eq!(found, ids);
}

async fn learning(stage: &Stage, path: &str) -> Answer {
    stage.user("ada").send(Request::get(path).body(Body::empty()).unwrap()).await
}

async fn rest_answers_are_read_in_parts_bounded_and_paid(stage: Stage) {
    let before = learning(&stage, "/api/user-progress").await.json["progress"].as_array().unwrap().len();
    let ids = resources(600);
    let body = json!({ "resourceIds": ids, "completed": true }).to_string();
    let bulk = Request::post("/api/user-progress/bulk").header(CONTENT_TYPE, "application/json").body(Body::from(body));
    assert_eq!(stage.user("ada").send(bulk.unwrap()).await.status.as_u16(), 200);
    let answer = learning(&stage, "/api/user-progress").await;
    let rows = answer.json["progress"].as_array().unwrap();
    assert_eq!(rows.len(), before + 600);
    let mut found: Vec<&str> = rows.iter().filter_map(|row| row["resourceId"].as_str()).collect();
    found.sort_unstable();
    found.dedup();
    assert_eq!(found.len(), rows.len(), "each comes once");
    let order: Vec<_> = rows.iter().map(|row| row["createdAt"].as_str().unwrap()).collect();
    assert!(order.is_sorted(), "the oldest first");

    let length = answer.text.len();
    assert_eq!(learning(&within(&stage, length).await, "/api/user-progress").await.text, answer.text);
    for bytes in [length - 1, length / 3] {
        let refused = learning(&within(&stage, bytes).await, "/api/user-progress").await;
        assert_eq!(refused.status.as_u16(), 400, "{}", refused.text);
        let message = refused.json["error"].as_str().unwrap();
        assert!(
            message.contains(&format!("{bytes} bytes")) && refused.json.as_object().unwrap().len() == 1,
            "{message}"
        );
        let one = format!("/api/user-progress?resourceId={}", ids[0]);
        assert_eq!(learning(&within(&stage, 1024).await, &one).await.status.as_u16(), 200);
    }
    // An answer of about 200 KB costs some hundreds, which the next request finds missing.
    let slow = stage.with(&[("WAYMARK_RATE_PER_SECOND", "1"), ("WAYMARK_RATE_BURST_SECONDS", "500")]).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(learning(&slow, "/api/user-progress").await.status.as_u16());
    }
    assert_eq!((statuses[0], statuses[3]), (200, 429), "{statuses:?}");
    // Small answers cost little.
    let small = stage.with(&[("WAYMARK_RATE_PER_SECOND", "1"), ("WAYMARK_RATE_BURST_SECONDS", "500")]).await;
    let one = format!("/api/user-progress?resourceId={}", ids[0]);
    for _ in 0..4 {
        assert_eq!(learning(&small, &one).await.status.as_u16(), 200);
    }
}

async fn sockets_and_streams_are_told_what_is_too_long(stage: Stage) {
    let app = stage.app(&[waymark::auth::Scope::ProgressWrite]).await;
    let tight = within(&stage, 1024).await;
    let served = serve(&tight).await;
    let mut wire = Wire::open(&served.at, &tight.user("grace")).await;
    wire.subscribe("1", "{ games(first: 60) { nodes { id title } } }", Value::Null).await;
    assert_eq!(wire.failed().await, "LIMIT_EXCEEDED");
    // A subscription ends with the event whose answer is too long, and others go on.
    let cursors: String = (0..60).map(|n| format!("c{n}: cursor ")).collect();
    let follow = |fields: &str| format!(r#"subscription {{ userProgress(user: {{handle: "grace"}}) {{ {fields} }} }}"#);
    wire.subscribe("1", &follow(&cursors), Value::Null).await;
    wire.settled().await;
    happen(&app, "grace").await;
    assert_eq!(wire.failed().await, "LIMIT_EXCEEDED");
    wire.subscribe("2", &follow("cursor"), Value::Null).await;
    wire.settled().await;
    happen(&app, "grace").await;
    assert_eq!(wire.hear().await["type"], "next");
    drop(wire);
    served.stop().await;
    let body = json!({ "query": "{ games(first: 60) { nodes { id title } } }" }).to_string();
    let request =
        Request::post("/graphql").header(CONTENT_TYPE, "application/json").header("accept", "text/event-stream");
    let events = tight.anonymous().send(request.body(Body::from(body)).unwrap()).await;
    assert!(events.text.contains("LIMIT_EXCEEDED") && events.text.len() < 1024, "{}", events.text);
}

/// The most memory that the process has had since this was asked for last, in bytes.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = line.trim().trim_end_matches("kB").trim().parse().unwrap();
    std::fs::write(format!("/proc/{process}/clear_refs"), "5").unwrap();
    kilobytes * 1024
}

fn resident(process: u32) -> u64 {
    peak(process);
    peak(process)
}

async fn the_worst_answers_take_little_memory(blank: Blank) {
    if !cfg!(target_os = "linux") {
        return;
    }
    tokio::task::spawn_blocking(move || measure(&blank.url)).await.unwrap();
}

fn measure(url: &str) {
    let settings =
        [("WAYMARK_DATABASE_URL", url), ("WAYMARK_JWT_SECRET", SECRET), ("WAYMARK_RATE_PER_SECOND", "0"), ANY_COST];
    output(&["migrate"], &settings);
    output(&["demo", "--users", "20"], &settings);
    let key = output(&["key", "create", "--name", "x", "--scope", "admin", "--scope", "progress:write"], &settings);
    let server = Server::start(&["serve"], &settings, "Serving on ");
    let post = |query: &str, variables: Value| {
        let request = ureq::post(format!("{}/graphql", server.address)).header("content-type", "application/json");
        let request = request.header("authorization", format!("Bearer {}", key.trim_end()));
        let mut response = request.send(json!({ "query": query, "variables": variables }).to_string()).unwrap();
        response.body_mut().with_config().limit(1 << 30).read_to_string().unwrap()
    };
    let notes = "€".repeat(10_000);
    let write =
        "mutation($i: UpdateResourceProgressInput!) { updateResourceProgress(input: $i) { userErrors { code } } }";
    for id in resources(rounds(400, 1000) as usize) {
        let input = json!({ "user": { "handle": "grace" }, "resourceId": id, "notes": notes });
        assert!(!post(write, json!({ "i": input })).contains("errors\":["), "{id}");
    }
    let exports: String = (0..40).map(|n| format!(r#"a{n}: exportUser(user: {{handle: "grace"}}) "#)).collect();
    let pages: String = (0..40)
        .map(|n| format!(r#"a{n}: user(by: {{handle: "grace"}}) {{ resources(first: 100) {{ nodes {{ notes }} }} }} "#))
        .collect();
    let merged = CYCLE.replacen("{ currentSeason {", "{ currentSeason { goals { id }", 1);
    for query in [CYCLE.to_owned(), merged, format!("{{ {exports} }}"), format!("{{ {pages} }}")] {
        post("{ viewer { kind } }", Value::Null);
        let idle = resident(server.process_id());
        let answer = post(&query, Value::Null);
        assert!(answer.contains("LIMIT_EXCEEDED"), "{}", &answer[..answer.len().min(300)]);
        let more = peak(server.process_id()).saturating_sub(idle) / 1024 / 1024;
        println!("{} MB more: {}", more, &query[..query.len().min(80)]);
        assert!(more <= 64, "{more} MB: {}", &query[..query.len().min(200)]);
    }
}
