//! The figures at `/metrics`.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::Request;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};
use waymark::auth::Scope;
use waymark::db::Kind;

use super::get;
use crate::harness::{Stage, tests};

tests! {
    demo: [
        figures_are_in_the_format_of_prometheus,
        figures_are_told_to_whoever_the_settings_name,
        operations_are_counted_by_name_once_their_document_has_passed,
        requests_are_counted_by_route_and_status,
        statements_and_batches_and_connections_are_counted,
        documents_that_passed_the_gate_before_are_told_apart,
    ],
    own: [
        writes_are_counted_by_name_and_outcome,
        differences_that_verify_finds_are_told,
    ],
}

/// Every sample by its name with its labels.
async fn samples(stage: &Stage) -> BTreeMap<String, f64> {
    let text = get(&stage.anonymous(), "/metrics").await.text;
    let samples = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap())
    });
    samples.collect()
}

/// A sample; 0 while there is none.
async fn sample(stage: &Stage, name: &str) -> f64 {
    samples(stage).await.get(name).copied().unwrap_or_default()
}

async fn figures_are_in_the_format_of_prometheus(stage: Stage) {
    stage.anonymous().data("query Named { viewer { kind } }", Value::Null).await;
    let answer = get(&stage.anonymous(), "/metrics").await;
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let described: Vec<&str> = answer.text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    for kind in ["counter", "gauge", "histogram"] {
        assert!(described.iter().any(|line| line.ends_with(kind)), "{kind}\n{}", answer.text);
    }
    for line in answer.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(value.parse::<f64>().is_ok(), "{line}");
        let name = name.split('{').next().unwrap();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        let is_described = |name: &str| described.iter().any(|line| line.split(' ').next() == Some(name));
        assert!(is_described(name) || is_described(base), "{line} is not described");
        assert!(answer.text.contains(&format!("# HELP {name} ")) || answer.text.contains(&format!("# HELP {base} ")));
        assert!(name.starts_with("waymark_"), "{line}");
    }
    let kind = if stage.db().kind() == Kind::Sqlite { "sqlite" } else { "postgres" };
    let version = env!("CARGO_PKG_VERSION");
    assert!(answer.text.contains(&format!("waymark_build_info{{version=\"{version}\",database=\"{kind}\"}} 1")));
}

async fn figures_are_told_to_whoever_the_settings_name(stage: Stage) {
    assert_eq!(get(&stage.anonymous(), "/metrics").await.status, 200);
    let off = stage.with(&[("WAYMARK_METRICS", "off")]).await;
    assert_eq!(get(&off.anonymous(), "/metrics").await.status, 404);
    let admin = stage.with(&[("WAYMARK_METRICS", "admin")]).await;
    get(&admin.anonymous(), "/metrics").await.refused(401, "INVALID_CREDENTIAL");
    get(&admin.with_credential(Some("wmk_nothing".to_owned())), "/metrics").await.refused(401, "INVALID_CREDENTIAL");
    get(&admin.user("grace"), "/metrics").await.refused(403, "FORBIDDEN");
    get(&admin.app(&[Scope::ProgressWrite]).await, "/metrics").await.refused(403, "FORBIDDEN");
    let answer = get(&admin.app(&[Scope::Admin]).await, "/metrics").await;
    assert!(answer.status == 200 && answer.text.contains("waymark_build_info"), "{}", answer.text);
}

async fn operations_are_counted_by_name_once_their_document_has_passed(stage: Stage) {
    let stage = stage.with(&[]).await;
    let anonymous = stage.anonymous();
    for _ in 0..3 {
        anonymous.data("query Mine { viewer { kind } }", Value::Null).await;
    }
    anonymous.data("{ viewer { kind } }", Value::Null).await;
    anonymous.query("query Nonsense { nothing }", Value::Null).await;
    anonymous.query("query Refused { user(by: { handle: \"grace\" }) { credits { expiresIn } } }", Value::Null).await;
    let samples = samples(&stage).await;
    let count = |operation: &str, outcome: &str| {
        let name = format!("waymark_graphql_operations_total{{operation=\"{operation}\",outcome=\"{outcome}\"}}");
        samples.get(&name).copied().unwrap_or_default()
    };
    assert_eq!((count("Mine", "done"), count("(unnamed)", "done"), count("Refused", "refused")), (3.0, 1.0, 1.0));
    assert!(samples.keys().all(|name| !name.contains("Nonsense")), "what was refused at the gate leaves no name");
    assert_eq!(samples["waymark_graphql_operation_seconds_count{operation=\"Mine\"}"], 3.0);
    assert!(samples["waymark_graphql_operation_seconds_sum{operation=\"Mine\"}"] > 0.0);
}

async fn requests_are_counted_by_route_and_status(stage: Stage) {
    let stage = stage.with(&[]).await;
    let anonymous = stage.anonymous();
    for ids in ["507f1f77bcf86cd799439011", "507f191e810c19729de860ea"] {
        let answer = get(&stage.user("ada"), &format!("/api/user-progress/check?resourceIds={ids}")).await;
        assert_eq!(answer.status, 200);
    }
    get(&anonymous, "/users/0x7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5/progress").await;
    get(&anonymous, "/nothing/at/all").await;
    get(&anonymous, "/api/v1/nothing").await;
    get(&anonymous, "/healthz").await;
    anonymous.data("{ viewer { kind } }", Value::Null).await;
    anonymous.send(Request::post("/graphql").body(Body::empty()).unwrap()).await;
    let samples = samples(&stage).await;
    for (route, status, count) in [
        ("/api/user-progress/check", "2xx", 2.0),
        ("/users/{address}/progress", "4xx", 1.0),
        ("(other)", "4xx", 2.0),
        ("/healthz", "2xx", 1.0),
        ("/graphql", "2xx", 1.0),
        ("/graphql", "4xx", 1.0),
    ] {
        let name = format!("waymark_http_requests_total{{route=\"{route}\",status=\"{status}\"}}");
        assert_eq!(samples.get(&name), Some(&count), "{name}");
    }
    assert!(samples.keys().all(|name| !name.contains("0x7949")), "routes are counted, not paths");
}

async fn statements_and_batches_and_connections_are_counted(stage: Stage) {
    let stage = stage.with(&[]).await;
    let before = sample(&stage, "waymark_sql_statement_seconds_count").await;
    let query = "{ user(by: { handle: \"grace\" }) { handle games(first: 3) { nodes { game { id } } } } }";
    let counted = stage.db().statements(waymark::db::Asker::Request);
    stage.user("grace").data(query, Value::Null).await;
    let run = stage.db().statements(waymark::db::Asker::Request) - counted;
    let samples = samples(&stage).await;
    // The catalogue's version is looked at meanwhile.
    assert!(samples["waymark_sql_statement_seconds_count"] - before >= run as f64 && run > 0);
    let batches: f64 = samples
        .iter()
        .filter(|(name, _)| name.starts_with("waymark_loader_batch_keys_count"))
        .map(|(_, value)| value)
        .sum();
    assert!(batches >= 1.0 && samples.keys().any(|name| name.starts_with("waymark_loader_batch_keys_count{loader=\"")));
    assert!(samples.keys().all(|name| !name.contains("::")), "loaders are named without their paths");
    let open = |pool: &str| {
        let of = |state| samples[&format!("waymark_database_connections{{pool=\"{pool}\",state=\"{state}\"}}")];
        of("used") + of("idle")
    };
    let most = |pool: &str| samples[&format!("waymark_database_connections_most{{pool=\"{pool}\"}}")];
    let pools: &[&str] = match stage.db().kind() {
        Kind::Sqlite => &["readers", "writer", "loaders"],
        Kind::Postgres => &["reads", "writes", "loaders"],
    };
    for pool in pools {
        assert!(open(pool) <= most(pool) && most(pool) >= 1.0, "{pool}");
    }
    assert!(open("loaders") >= 1.0);
    assert_eq!(samples["waymark_database_connections_waiting{pool=\"loaders\"}"], 0.0);
}

async fn documents_that_passed_the_gate_before_are_told_apart(stage: Stage) {
    let stage = stage.with(&[]).await;
    for _ in 0..4 {
        stage.anonymous().data("query Again { viewer { kind } }", Value::Null).await;
    }
    stage.anonymous().query("query Bad { nothing }", Value::Null).await;
    let samples = samples(&stage).await;
    let figures = ["hits_total", "misses_total", "documents"].map(|name| samples[&format!("waymark_gate_{name}")]);
    assert_eq!(figures, [3.0, 2.0, 1.0]);
}

async fn writes_are_counted_by_name_and_outcome(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let mutation = "mutation($input: EnrollInSeasonInput!) { enrollInSeason(input: $input) { status } }";
    app.query(mutation, json!({ "input": { "user": { "handle": "grace" } } })).await;
    let input = json!({ "user": { "handle": "grace" }, "idempotencyKey": "x".repeat(300) });
    let answer = app.query(mutation, json!({ "input": input })).await;
    assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{}", answer.text);
    let samples = samples(&stage).await;
    let count = |write: &str, outcome: &str| {
        samples.get(&format!("waymark_writes_total{{write=\"{write}\",outcome=\"{outcome}\"}}")).copied()
    };
    assert_eq!(count("enrollInSeason", "done"), Some(1.0), "{samples:?}");
    assert_eq!(count("enrollInSeason", "refused"), Some(1.0), "{samples:?}");
    assert_eq!(samples["waymark_write_seconds_count{write=\"enrollInSeason\"}"], 2.0);
    assert_eq!(samples["waymark_group_commit_writes_sum"], 1.0, "what was refused before was not carried out");
}

async fn differences_that_verify_finds_are_told(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    assert!(!samples(&stage).await.contains_key("waymark_verify_differences"), "nothing was looked at yet");
    let verify = "mutation { verify(input: {}) { differenceCount } }";
    admin.data(verify, Value::Null).await;
    assert_eq!(sample(&stage, "waymark_verify_differences").await, 0.0);
    let spoil = "UPDATE credit_lots SET remaining_micros = remaining_micros - 1 WHERE remaining_micros > 0";
    let spoiled = stage.db().writes().execute_unprepared(spoil).await.unwrap().rows_affected();
    let found = admin.data(verify, Value::Null).await["verify"]["differenceCount"].as_u64().unwrap();
    assert!(spoiled > 0 && found >= spoiled);
    assert_eq!(sample(&stage, "waymark_verify_differences").await, found as f64);
    assert!(sample(&stage, "waymark_verify_time_seconds").await > 1.7e9);
}
