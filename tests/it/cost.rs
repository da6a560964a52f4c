//! What operations cost, how much one may cost, and how much may be asked for in a time.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use serde_json::{Value, json};

use crate::harness::{Answer, Stage, tests};

tests! {
    demo: [
        an_answer_says_what_it_cost_and_what_is_allowed,
        what_stands_in_a_list_counts_once_per_element,
        elements_that_variables_ask_for_are_counted,
        whatever_a_fragment_or_an_alias_repeats_is_paid_again,
        nested_pages_are_refused_before_anything_runs_with_the_numbers,
        the_viewer_sees_how_much_an_operation_may_cost,
        a_caller_who_has_asked_for_too_much_is_told_how_long_to_wait,
        a_refused_document_is_paid_too,
        rest_answers_429_in_the_words_of_each_dialect,
    ],
    own: [
        the_examples_and_lists_of_two_hundred_users_can_be_paid,
        a_write_costs_by_its_items,
    ],
}

async fn cost(stage: &Stage, query: &str, variables: Value) -> u64 {
    let answer = stage.anonymous().query(query, variables).await;
    assert!(answer.json.get("data").is_some(), "{query} {}", answer.text);
    answer.json["extensions"]["cost"]["requested"].as_u64().unwrap()
}

async fn an_answer_says_what_it_cost_and_what_is_allowed(stage: Stage) {
    let answer = stage.anonymous().query("{ viewer { kind user { handle } } }", Value::Null).await;
    assert_eq!(answer.json["extensions"], json!({ "cost": { "requested": 2, "limit": 20_000 } }));
    // Whatever was not executed has no price.
    let refused = stage.anonymous().query("{ nothing }", Value::Null).await;
    assert_eq!(refused.json.get("extensions"), None);
}

async fn what_stands_in_a_list_counts_once_per_element(stage: Stage) {
    for (query, expected) in [
        ("{ __typename }", 0),
        ("{ viewer { kind now scopes } }", 1),
        (r#"{ game(id: "1") { id title } }"#, 1),
        // A connection, and 20 elements when nobody says.
        ("{ games { nodes { id } } }", 1 + 20),
        ("{ games(first: 3) { nodes { id } } }", 1 + 3),
        ("{ games(last: 3) { nodes { id } pageInfo { hasNextPage } } }", 1 + 3),
        ("{ games(first: 3) { edges { cursor node { id } } } }", 1 + 3),
        ("{ games(first: 3) { totalCount } }", 1 + 5),
        (
            "{ games(first: 3) { totalCount nodes { id achievements(first: 4) { nodes { id } } } } }",
            1 + 5 + 3 * (1 + 1 + 4),
        ),
        // As many as are named.
        (r#"{ nodes(ids: ["game:1", "game:2"]) { id } }"#, 2),
        (r#"{ users(by: [{handle: "grace"}, {handle: "ada"}, {handle: "x"}]) { season { state } } }"#, 3 * 2),
        (r#"{ users(by: {handle: "grace"}) { id } }"#, 1),
        // Nobody knows how many.
        (r#"{ collection(id: "program_123") { cards { id } } }"#, 1 + 10),
        // What is left out is counted too.
        ("{ games(first: 3) @skip(if: true) { nodes { id } } viewer { kind } }", 1 + 3 + 1),
    ] {
        assert_eq!(cost(&stage, query, Value::Null).await, expected, "{query}");
    }
}

async fn elements_that_variables_ask_for_are_counted(stage: Stage) {
    let page = "query($n: Int) { games(first: $n) { nodes { id } } }";
    assert_eq!(cost(&stage, page, json!({ "n": 7 })).await, 1 + 7);
    assert_eq!(cost(&stage, page, json!({})).await, 1 + 20);
    let with_default = "query($n: Int = 9) { games(last: $n) { nodes { id } } }";
    assert_eq!(cost(&stage, with_default, json!({})).await, 1 + 9);
    let nested = "query($ids: [ID!]!, $n: Int!) { nodes(ids: $ids) { ... on Game { achievements(first: $n) { nodes { id } } } } }";
    let variables = json!({ "ids": ["game:1", "game:2", "game:3"], "n": 4 });
    assert_eq!(cost(&stage, nested, variables).await, 3 * (1 + 1 + 4));
}

async fn whatever_a_fragment_or_an_alias_repeats_is_paid_again(stage: Stage) {
    let query = "{ a: viewer { ...V } b: viewer { ...V ...V } } fragment V on Viewer { user { id } }";
    assert_eq!(cost(&stage, query, Value::Null).await, 2 + 3);
    let page = "{ games(first: 2) { ...P } c: games(first: 5) { ...P } } fragment P on GameConnection { nodes { id } }";
    assert_eq!(cost(&stage, page, Value::Null).await, 1 + 2 + 1 + 5);
}

async fn nested_pages_are_refused_before_anything_runs_with_the_numbers(stage: Stage) {
    let bomb = "{ games(first: 100) { nodes { achievements(first: 100) { nodes { game { achievements(first: 100) { nodes { id } } } } } } } }";
    let answer = stage.anonymous().query(bomb, Value::Null).await;
    answer.refused(400, "LIMIT_EXCEEDED");
    let numbers = answer.json["errors"][0]["extensions"]["cost"].clone();
    assert_eq!(numbers, json!({ "requested": 1 + 100 * (2 + 100 * (3 + 100)), "limit": 20_000 }));
    assert!(answer.message().contains("20000"), "{}", answer.text);
    // By variables too.
    let query = "query($n: Int) { games(first: $n) { nodes { achievements(first: $n) { nodes { game { id } } } } } }";
    stage.anonymous().query(query, json!({ "n": 100 })).await.refused(400, "LIMIT_EXCEEDED");
    stage.anonymous().data(query, json!({ "n": 30 })).await;
    let tight = stage.with(&[("WAYMARK_MAX_COST", "3")]).await;
    tight.anonymous().data("{ games(first: 2) { nodes { id } } }", Value::Null).await;
    tight.anonymous().query("{ games(first: 3) { nodes { id } } }", Value::Null).await.refused(400, "LIMIT_EXCEEDED");
}

async fn the_examples_and_lists_of_two_hundred_users_can_be_paid(stage: Stage) {
    let examples = concat!(env!("CARGO_MANIFEST_DIR"), "/playground/src/explore/examples");
    let mut count = 0;
    for entry in std::fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "graphql") {
            let query = std::fs::read_to_string(&path).unwrap();
            if query.contains("\nsubscription ") {
                // It is answered by events.
                continue;
            }
            let variables = std::fs::read_to_string(path.with_extension("json")).unwrap_or("null".to_owned());
            let answer = stage.user("grace").query(&query, serde_json::from_str(&variables).unwrap()).await;
            assert!(answer.json.get("data").is_some(), "{} {}", path.display(), answer.text);
            count += 1;
        }
    }
    assert!(count >= 5);
    let many = "query($by: [UserBy!]!, $games: [ID!]!, $resources: [ID!]!) { users(by: $by) { handle
        season { state currentWeek { number } } credits { available { credits } expiresIn } goals { title isClaimed }
        gameSummaries(gameIds: $games) { game { title } numAchieved } resourceProgress(resourceIds: $resources) { completed }
        collections(first: 10) { nodes { collection { id } status } } } }";
    let variables = json!({ "by": vec![json!({ "handle": "grace" }); 200], "games": vec!["1"; 10], "resources": vec!["507f1f77bcf86cd799439011"; 5] });
    let answer = stage.anonymous().query(many, variables).await;
    let requested =
        answer.json["extensions"]["cost"]["requested"].as_u64().unwrap_or_else(|| panic!("{}", answer.text));
    assert!((5000..20_000).contains(&requested), "{requested}");
}

async fn the_viewer_sees_how_much_an_operation_may_cost(stage: Stage) {
    let own = stage.with(&[("WAYMARK_MAX_COST", "77")]).await;
    let data = own.anonymous().data("{ viewer { limits { maxCost } } }", Value::Null).await;
    assert_eq!(data["viewer"]["limits"]["maxCost"], 77);
}

async fn a_write_costs_by_its_items(stage: Stage) {
    let app = stage.app(&[waymark::auth::Scope::ProgressWrite]).await;
    let unlock = |count: usize| {
        let unlocks: Vec<_> = (1..=count).map(|number| json!({ "achievementId": format!("1-{number:02}") })).collect();
        json!({ "input": { "user": { "handle": "grace" }, "unlocks": unlocks } })
    };
    let query = "mutation($input: UnlockAchievementsInput!) { unlockAchievements(input: $input) { __typename } }";
    for count in [1, 5] {
        let answer = app.query(query, unlock(count)).await;
        assert_eq!(answer.json["extensions"]["cost"]["requested"], 10 + 1 + count, "{}", answer.text);
    }
}

async fn a_caller_who_has_asked_for_too_much_is_told_how_long_to_wait(stage: Stage) {
    let slow = stage.with(&[("WAYMARK_RATE_PER_SECOND", "1"), ("WAYMARK_RATE_BURST_SECONDS", "100")]).await;
    let query = "{ games(first: 39) { nodes { id } } }";
    let answer = slow.anonymous().query(query, Value::Null).await;
    // The look at it, and what it costs.
    assert_eq!(answer.json["extensions"]["cost"], json!({ "requested": 40, "limit": 20_000, "remaining": 59 }));
    slow.anonymous().query(query, Value::Null).await.data();
    let refused = slow.anonymous().query(query, Value::Null).await;
    refused.refused(429, "RATE_LIMITED");
    let seconds: u32 = refused.headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    assert!((20..=25).contains(&seconds), "{seconds}");
    assert!(refused.message().contains(&seconds.to_string()), "{}", refused.text);
    // Under plain JSON too: nothing is wrong with the document.
    let body = json!({ "query": query }).to_string();
    let plain = Request::post("/graphql").header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json");
    slow.anonymous().send(plain.body(Body::from(body)).unwrap()).await.refused(429, "RATE_LIMITED");
    // Others are not concerned, and apps have a rate of their own.
    slow.user("grace").query(query, Value::Null).await.data();
    let app = slow.app(&[waymark::auth::Scope::ProgressRead]).await;
    for _ in 0..5 {
        let answer = app.query(query, Value::Null).await;
        assert_eq!(answer.json["extensions"]["cost"].get("remaining"), None, "{}", answer.text);
    }
}

async fn a_refused_document_is_paid_too(stage: Stage) {
    let slow = stage.with(&[("WAYMARK_RATE_PER_SECOND", "1"), ("WAYMARK_RATE_BURST_SECONDS", "30")]).await;
    for _ in 0..2 {
        slow.anonymous().query("{ nothing }", Value::Null).await.refused(400, "GRAPHQL_VALIDATION_FAILED");
    }
    let left = slow.anonymous().query("{ viewer { kind } }", Value::Null).await;
    assert_eq!(left.json["extensions"]["cost"]["remaining"], 30 - 2 * 11 - 2, "{}", left.text);
}

async fn rest_answers_429_in_the_words_of_each_dialect(stage: Stage) {
    let limits =
        [("WAYMARK_RATE_PER_SECOND", "1"), ("WAYMARK_APP_RATE_PER_SECOND", "1"), ("WAYMARK_RATE_BURST_SECONDS", "12")];
    let slow = stage.with(&limits).await;
    let check = |answer: &Answer, shape: &Value, place: &str| {
        assert_eq!(answer.status.as_u16(), 429, "{}", answer.text);
        let seconds: u32 = answer.headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=10).contains(&seconds), "{seconds}");
        let mut body = answer.json.clone();
        assert!(body.pointer(place).unwrap().as_str().unwrap().contains("try again in"), "{}", answer.text);
        *body.pointer_mut(place).unwrap() = json!("…");
        if let Some(timestamp) = body.pointer_mut("/status/timestamp") {
            *timestamp = json!("…");
        }
        if let Some(title) = body.pointer_mut("/errors/0/title") {
            *title = json!("…");
        }
        assert_eq!(&body, shape);
    };
    let learning = || Request::get("/api/user-progress").body(Body::empty()).unwrap();
    let grace = slow.user("grace");
    assert_eq!(grace.send(learning()).await.status.as_u16(), 200);
    check(&grace.send(learning()).await, &json!({ "error": "…" }), "/error");

    let achievements = |key: &str| {
        Request::get(format!("/API/API_GetUserProgress.php?y={key}&u=grace&i=1")).body(Body::empty()).unwrap()
    };
    let app = slow.app(&[waymark::auth::Scope::ProgressRead]).await;
    let (nobody, key) = (slow.anonymous(), app.credential());
    assert_eq!(nobody.send(achievements(key)).await.status.as_u16(), 200);
    let shape = json!({ "message": "…", "errors": [{ "status": 429, "code": "too_many_requests", "title": "…" }] });
    check(&nobody.send(achievements(key)).await, &shape, "/message");

    let other = slow.key("progress:read", Some(1), None).await;
    let collections = || {
        let request = Request::get("/users/discord/123456789012345678/progress/collection-challenges");
        request.header("x-gft-api-key", other.credential()).body(Body::empty()).unwrap()
    };
    assert_eq!(nobody.send(collections()).await.status.as_u16(), 200);
    let shape = json!({ "status": { "timestamp": "…", "errorCode": 429, "errorMessage": "…" } });
    check(&nobody.send(collections()).await, &shape, "/status/errorMessage");
}
