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
        a_long_document_is_paid_by_its_length_unless_it_is_known,
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
    assert_eq!(answer.json["extensions"], json!({ "cost": { "requested": 3, "limit": 20_000 } }));
    // Whatever was not executed has no price.
    let refused = stage.anonymous().query("{ nothing }", Value::Null).await;
    assert_eq!(refused.json.get("extensions"), None);
}

async fn what_stands_in_a_list_counts_once_per_element(stage: Stage) {
    let cost = async |query: &str| cost(&stage, query, Value::Null).await;
    assert_eq!(cost("{ __typename }").await, 1);
    assert_eq!(cost("{ viewer { kind } }").await, 2);
    // An object each, and something for its id.
    let (few, many) =
        (cost("{ games(first: 1) { nodes { id } } }").await, cost("{ games(first: 31) { nodes { id } } }").await);
    assert!((30 + 3..30 + 12).contains(&(many - few)), "{few} {many}");
    assert_eq!(cost("{ games(last: 31) { nodes { id } } }").await, many);
    // A connection has 20 elements when nobody says, and no more than there are.
    assert_eq!(cost("{ games { nodes { id } } }").await, cost("{ games(first: 20) { nodes { id } } }").await);
    let seasons = cost("{ seasons(first: 100) { nodes { id } } }").await;
    assert!(seasons < 20, "there are not so many seasons: {seasons}");
    // Counting costs something.
    let counted = cost("{ games(first: 1) { totalCount nodes { id } } }").await;
    assert!((5..=6).contains(&(counted - few)), "{few} {counted}");
    // As many as are named.
    let named = async |count: usize| {
        let names = "{handle: \"grace\"} ".repeat(count);
        cost(&format!("{{ users(by: [{names}]) {{ credits {{ expiresIn }} }} }}")).await
    };
    let (one, eleven) = (named(1).await, named(11).await);
    assert!((20..=24).contains(&(eleven - one)), "{one} {eleven}");
    // As many as the catalogue has.
    let cards = r#"{ collection(id: "program_123") { cards { id } } }"#;
    let size = stage.anonymous().data("{ collection(id: \"program_123\") { size } }", Value::Null).await;
    let size = size["collection"]["size"].as_u64().unwrap();
    assert!(cost(cards).await >= size, "{size}");
    let cycle = |levels: usize| {
        format!("{{ currentSeason {{ {} id {} }} }}", "goals { season { ".repeat(levels), "} } ".repeat(levels))
    };
    let (once, twice) = (cost(&cycle(1)).await, cost(&cycle(2)).await);
    assert!(twice > 20 * once, "a cycle of lists is as long as its lists: {once} {twice}");
    // What long texts there are in the catalogue, and what users may write.
    let notes = cost(r#"{ user(by: {handle: "grace"}) { resources(first: 10) { nodes { notes } } } }"#).await;
    assert!((1000..1100).contains(&notes), "{notes}");
    // What is left out costs nothing.
    assert_eq!(cost("{ games(first: 30) @skip(if: true) { nodes { id } } viewer { kind } }").await, 2);
    let query = "query($all: Boolean!) { viewer { kind } games(first: 31) @include(if: $all) { nodes { id } } }";
    let requested = async |all: bool| self::cost(&stage, query, json!({ "all": all })).await;
    assert_eq!(requested(false).await, 2);
    assert!(requested(true).await > many);
}

async fn elements_that_variables_ask_for_are_counted(stage: Stage) {
    let cost = async |query: &str, variables: Value| cost(&stage, query, variables).await;
    let literal =
        async |argument: &str| cost(&format!("{{ games{argument} {{ nodes {{ id }} }} }}"), Value::Null).await;
    let page = "query($n: Int) { games(first: $n) { nodes { id } } }";
    assert_eq!(cost(page, json!({ "n": 7 })).await, literal("(first: 7)").await);
    assert_eq!(cost(page, json!({})).await, literal("").await);
    let with_default = "query($n: Int = 9) { games(last: $n) { nodes { id } } }";
    assert_eq!(cost(with_default, json!({})).await, literal("(first: 9)").await);
    let nested = "query($ids: [ID!]!, $n: Int!) { nodes(ids: $ids) { ... on Game { achievements(first: $n) { nodes { id } } } } }";
    let variables = json!({ "ids": ["game:1", "game:2", "game:3"], "n": 4 });
    let spelled =
        r#"{ nodes(ids: ["game:1", "game:2", "game:3"]) { ... on Game { achievements(first: 4) { nodes { id } } } } }"#;
    assert_eq!(cost(nested, variables).await, cost(spelled, Value::Null).await);
    // All goals, or those of now.
    let goals = "query($all: Boolean!) { user(by: {handle: \"grace\"}) { goals(all: $all) { title } } }";
    let (all, now) = (cost(goals, json!({ "all": true })).await, cost(goals, json!({ "all": false })).await);
    assert!(all > now, "{all} {now}");
}

async fn whatever_a_fragment_or_an_alias_repeats_is_paid_again(stage: Stage) {
    let cost = async |query: &str| cost(&stage, query, Value::Null).await;
    let query = "{ a: viewer { ...V } b: viewer { ...V ...V } } fragment V on Viewer { user { id } }";
    let spelled = "{ a: viewer { user { id } } b: viewer { user { id } user { id } } }";
    assert_eq!(cost(query).await, cost(spelled).await);
    let page = "{ games(first: 2) { ...P } c: games(first: 5) { ...P } } fragment P on GameConnection { nodes { id } }";
    let spelled = "{ games(first: 2) { nodes { id } } c: games(first: 5) { nodes { id } } }";
    assert_eq!(cost(page).await, cost(spelled).await);
    // A long name stands in the answer as often as its field.
    let (short, long) = (
        cost("{ games(first: 20) { nodes { id } } }").await,
        cost(&format!("{{ games(first: 20) {{ nodes {{ {}: id }} }} }}", "a".repeat(600))).await,
    );
    assert!((20..=40).contains(&(long - short)), "{short} {long}");
    // And so does a field that is asked for again.
    let again = cost(&format!("{{ games(first: 20) {{ nodes {{ {} }} }} }}", "id ".repeat(101))).await;
    assert!(again - short >= 200, "{short} {again}");
}

async fn nested_pages_are_refused_before_anything_runs_with_the_numbers(stage: Stage) {
    let bomb = "{ games(first: 100) { nodes { achievements(first: 100) { nodes { game { achievements(first: 100) { nodes { id } } } } } } } }";
    let answer = stage.anonymous().query(bomb, Value::Null).await;
    answer.refused(400, "LIMIT_EXCEEDED");
    let numbers = answer.json["errors"][0]["extensions"]["cost"].clone();
    assert_eq!(numbers["limit"], 20_000);
    let requested = numbers["requested"].as_u64().unwrap();
    assert!(requested > 20_000, "{requested}");
    // The message has both, and says what would help.
    for part in ["20000", &requested.to_string(), "`first`"] {
        assert!(answer.message().contains(part), "{}", answer.text);
    }
    // By variables too.
    let query =
        "query($n: Int) { games(first: $n) { nodes { achievements(first: $n) { nodes { game { achievements(first: $n) {
        nodes { id } } } } } } } }";
    stage.anonymous().query(query, json!({ "n": 100 })).await.refused(400, "LIMIT_EXCEEDED");
    stage.anonymous().data(query, json!({ "n": 5 })).await;
    let tight = stage.with(&[("WAYMARK_MAX_COST", "10")]).await;
    tight.anonymous().data("{ games(first: 2) { nodes { id } } }", Value::Null).await;
    tight.anonymous().query("{ games(first: 13) { nodes { id } } }", Value::Null).await.refused(400, "LIMIT_EXCEEDED");
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
        assert_eq!(answer.json["extensions"]["cost"]["requested"], 10 + 2 + 5 * count, "{}", answer.text);
    }
}

async fn a_caller_who_has_asked_for_too_much_is_told_how_long_to_wait(stage: Stage) {
    let slow = stage.with(&[("WAYMARK_RATE_PER_SECOND", "1"), ("WAYMARK_RATE_BURST_SECONDS", "100")]).await;
    let query = "{ games(first: 30) { nodes { id } } }";
    let answer = slow.anonymous().query(query, Value::Null).await;
    let requested = answer.json["extensions"]["cost"]["requested"].as_u64().unwrap();
    assert!((34..49).contains(&requested), "{requested}");
    // The look at it, and what it costs.
    let remaining = 100 - 1 - requested;
    let told = json!({ "requested": requested, "limit": 20_000, "remaining": remaining });
    assert_eq!(answer.json["extensions"]["cost"], told);
    slow.anonymous().query(query, Value::Null).await.data();
    let refused = slow.anonymous().query(query, Value::Null).await;
    refused.refused(429, "RATE_LIMITED");
    let seconds: u32 = refused.headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
    let missing = 3 * (requested + 1) - 100;
    assert!((missing..=missing + 2).contains(&seconds.into()), "{seconds} for {missing}");
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
    assert_eq!(left.json["extensions"]["cost"]["remaining"], 30 - 2 * 11 - 3, "{}", left.text);
}

async fn a_long_document_is_paid_by_its_length_unless_it_is_known(stage: Stage) {
    let slow = stage.with(&[("WAYMARK_RATE_PER_SECOND", "1"), ("WAYMARK_RATE_BURST_SECONDS", "2500")]).await;
    let ask = async |bytes: usize, name: &str| {
        let query = format!("query {name} {{ viewer {{ kind }} }}");
        slow.anonymous().query(&format!("{query}{}", " ".repeat(bytes - query.len())), Value::Null).await
    };
    let remaining = |answer: Answer| {
        let cost = &answer.json["extensions"]["cost"];
        cost["remaining"].as_i64().unwrap_or_else(|| panic!("{}", answer.text))
    };
    // What may come in meanwhile, however slow this is: one a second.
    let slack = 300;
    let short = remaining(ask(4000, "a").await);
    assert!(short >= 2500 - 3, "{short}");
    let long = remaining(ask(4096 + 128 * 900, "a").await);
    assert!((short - 903..short - 900 + slack).contains(&long), "{long} after {short}");
    // Nothing has to be checked once more.
    let again = remaining(ask(4096 + 128 * 900, "a").await);
    assert!(again >= long - 3, "{again} after {long}");
    ask(4096 + 128 * 900, "b").await.data();
    ask(4096 + 128 * 900, "c").await.refused(429, "RATE_LIMITED");
    ask(4096 + 128 * 900, "a").await.data();
}

async fn rest_answers_429_in_the_words_of_each_dialect(stage: Stage) {
    let limits =
        [("WAYMARK_RATE_PER_SECOND", "1"), ("WAYMARK_APP_RATE_PER_SECOND", "1"), ("WAYMARK_RATE_BURST_SECONDS", "12")];
    let slow = stage.with(&limits).await;
    let check = |answer: &Answer, shape: &Value, place: &str| {
        assert_eq!(answer.status.as_u16(), 429, "{}", answer.text);
        let seconds: u32 = answer.headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        // What the first answer cost beyond what was left is owed.
        assert!((1..=23).contains(&seconds), "{seconds}");
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
