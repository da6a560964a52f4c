//! Traces, as a collector gets them.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use prost::Message as _;
use sea_orm::ConnectionTrait as _;
use serde_json::{Value, json};

use super::WRITE;
use crate::cli::{SECRET, Server, output};
use crate::harness::{Blank, tests};
use crate::subscriptions::{PROTOCOL, Wire};

tests! {
    blank: [
        the_trace_of_a_query_has_its_operation_its_batches_and_its_statements_and_nothing_that_was_sent,
        the_last_spans_are_delivered_before_the_process_ends,
        a_batch_of_several_requests_belongs_to_one_and_is_linked_with_the_others,
        an_operation_on_a_websocket_is_a_trace_of_its_own,
        a_collector_that_is_away_or_silent_holds_nobody_up,
        nothing_is_sent_unless_it_is_set,
    ],
}

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const ERROR: i32 = 2;

/// A collector of traces.
struct Collector {
    endpoint: String,
    received: Arc<Mutex<Vec<Received>>>,
}

/// What a collector was sent.
struct Received {
    head: String,
    body: Vec<u8>,
}

/// A span, as far as tests look.
#[derive(Debug, Clone)]
struct Span {
    name: String,
    kind: i32,
    trace: String,
    id: String,
    parent: String,
    took: Duration,
    is_error: bool,
    /// The traces and spans that it is linked with.
    links: Vec<(String, String)>,
    attributes: HashMap<String, String>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::<Mutex<Vec<Received>>>::default();
        let kept = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let one = receive(stream.unwrap());
                kept.lock().unwrap().push(one);
            }
        });
        Self { endpoint, received }
    }

    fn count(&self) -> usize {
        self.received.lock().unwrap().len()
    }

    /// Everything that was sent so far, with what the spans have in common.
    fn spans(&self) -> (Vec<Span>, HashMap<String, String>) {
        let mut spans = Vec::new();
        let mut resource = HashMap::new();
        for one in self.received.lock().unwrap().iter() {
            let request = ExportTraceServiceRequest::decode(&*one.body).unwrap();
            for part in request.resource_spans {
                resource = attributes(part.resource.unwrap().attributes);
                spans.extend(part.scope_spans.into_iter().flat_map(|scope| scope.spans).map(|span| Span {
                    name: span.name,
                    kind: span.kind,
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    took: Duration::from_nanos(span.end_time_unix_nano - span.start_time_unix_nano),
                    links: span.links.iter().map(|link| (hex(&link.trace_id), hex(&link.span_id))).collect(),
                    is_error: span.status.is_some_and(|status| status.code == ERROR),
                    attributes: attributes(span.attributes),
                }));
            }
        }
        (spans, resource)
    }

    /// The same once there is a span of this name in the trace.
    fn wait_for(&self, trace: &str, name: &str) -> (Vec<Span>, HashMap<String, String>) {
        let began = Instant::now();
        loop {
            let (spans, resource) = self.spans();
            if spans.iter().any(|span| span.trace == trace && span.name == name) {
                return (spans, resource);
            }
            assert!(began.elapsed() < Duration::from_secs(20), "no {name} in {spans:?}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// Takes one request in, and answers that all is well.
fn receive(stream: TcpStream) -> Received {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "the request ended: {head}");
    }
    let head = head.to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    reader.get_mut().write_all(answer).unwrap();
    Received { head, body }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(pairs: Vec<KeyValue>) -> HashMap<String, String> {
    let text = |value: Any| match value {
        Any::StringValue(text) => text,
        Any::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    let pair = |pair: KeyValue| (pair.key, pair.value.and_then(|value| value.value).map(text).unwrap_or_default());
    pairs.into_iter().map(pair).collect()
}

/// A started server over a migrated database with a few users, and an API key that may do everything.
fn started(blank: &Blank, more: &[(&str, &str)]) -> (Server, String) {
    let mut settings = vec![("WAYMARK_DATABASE_URL", &*blank.url), ("WAYMARK_JWT_SECRET", SECRET)];
    output(&["migrate"], &settings);
    output(&["demo", "--users", "3"], &settings);
    let key = output(&["key", "create", "--name", "tracer", "--scope", "admin"], &settings);
    settings.extend(more);
    (Server::start(&["serve"], &settings, "Serving on "), key.trim_end().to_owned())
}

/// Asks in the trace of somebody else.
fn ask(server: &Server, key: &str, query: &str, variables: &Value) -> Value {
    ask_in(TRACE, server, key, query, variables)
}

fn ask_in(trace: &str, server: &Server, key: &str, query: &str, variables: &Value) -> Value {
    let request = ureq::post(format!("{}/graphql?note=a-hidden-parameter", server.address));
    let request = request.header("content-type", "application/json").header("x-request-id", "traced-1");
    let request = request.header("traceparent", format!("00-{trace}-{PARENT}-01"));
    let request = request.header("authorization", format!("Bearer {key}"));
    let mut answer = request.send(json!({ "query": query, "variables": variables }).to_string()).unwrap();
    serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
}

const QUERY: &str = r#"query Traced($text: String!) {
    searchUsers(text: $text, first: 20) { nodes { handle } }
    others: searchUsers(text: "a-hidden-literal", first: 20) { nodes { handle } }
    users(by: [{ handle: "grace" }]) { handle games(first: 7) { nodes { game { id } } } }
}"#;

async fn the_trace_of_a_query_has_its_operation_its_batches_and_its_statements_and_nothing_that_was_sent(blank: Blank) {
    let collector = Collector::start();
    let (server, key) =
        started(&blank, &[("WAYMARK_OTLP_ENDPOINT", &collector.endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "100")]);
    let answer = ask(&server, &key, QUERY, &json!({ "text": "a-hidden-variable" }));
    assert_eq!(answer["data"]["users"][0]["handle"], "grace", "{answer}");
    assert!(answer["errors"].is_null(), "{answer}");
    assert!(ureq::get(format!("{}/healthz", server.address)).call().is_ok());
    collector.wait_for(TRACE, "POST /graphql");
    // What the server does on behalf of nobody, such as following the catalogue, would have come by now.
    thread::sleep(Duration::from_millis(1500));
    let (spans, resource) = collector.spans();
    assert_eq!((&*resource["service.name"], &*resource["service.version"]), ("waymark", env!("CARGO_PKG_VERSION")));
    let named = |name: &str| {
        let found: Vec<_> = spans.iter().filter(|span| span.trace == TRACE && span.name == name).cloned().collect();
        assert!(!found.is_empty(), "no {name} in {spans:?}");
        found
    };

    let request = named("POST /graphql").remove(0);
    assert_eq!((request.kind, &*request.parent), (SERVER, PARENT));
    for (name, value) in [
        ("http.request.method", "POST"),
        ("http.response.status_code", "200"),
        ("http.route", "/graphql"),
        ("url.path", "/graphql"),
        ("waymark.request.id", "traced-1"),
    ] {
        assert_eq!(request.attributes.get(name).map(String::as_str), Some(value), "{name}: {request:?}");
    }
    let operation = named("query").remove(0);
    assert_eq!(operation.parent, request.id);
    assert!(operation.took <= request.took && operation.took > Duration::ZERO, "{operation:?} {request:?}");
    for (name, value) in [
        ("graphql.operation.type", "query"),
        ("graphql.operation.name", "Traced"),
        ("waymark.caller", "app"),
        ("waymark.outcome", "done"),
    ] {
        assert_eq!(operation.attributes.get(name).map(String::as_str), Some(value), "{name}: {operation:?}");
    }
    assert_eq!(operation.attributes["graphql.document.hash"].len(), 64);
    assert!(operation.attributes["waymark.cost"].parse::<u32>().unwrap() > 1);
    let batches = named("batch");
    assert_eq!(operation.attributes["waymark.batches"], batches.len().to_string());
    let statements = named("SELECT");
    let engine = if blank.url.starts_with("sqlite") { "sqlite" } else { "postgresql" };
    for batch in &batches {
        assert_eq!(batch.parent, operation.id, "{batch:?}");
        assert!(batch.attributes["waymark.keys"].parse::<u32>().unwrap() > 0, "{batch:?}");
        assert!(batch.attributes["waymark.loader"].chars().all(char::is_alphanumeric), "{batch:?}");
        let below: Vec<_> = statements.iter().filter(|statement| statement.parent == batch.id).collect();
        assert!(!below.is_empty() && below.iter().all(|one| one.took <= batch.took), "{batch:?} {below:?}");
    }
    for statement in &statements {
        assert_eq!((statement.kind, &*statement.attributes["db.system.name"]), (CLIENT, engine));
        assert!(statement.attributes["db.query.text"].contains("SELECT"), "{statement:?}");
    }
    // Nothing stands alone: every span belongs to a request.
    for span in &spans {
        let whole =
            span.kind == SERVER || spans.iter().any(|other| other.id == span.parent && other.trace == span.trace);
        assert!(whole, "{span:?}");
    }
    let health = spans.iter().find(|span| span.name == "GET /healthz").unwrap();
    assert!(health.parent.is_empty() && health.trace != TRACE, "{health:?}");

    for one in collector.received.lock().unwrap().iter() {
        assert!(one.head.starts_with("post /v1/traces http/1.1"), "{}", one.head);
        assert!(one.head.contains("content-type: application/x-protobuf"), "{}", one.head);
        let text = String::from_utf8_lossy(&one.body);
        for hidden in ["a-hidden-", &key, SECRET, "grace", "Bearer"] {
            assert!(!text.contains(hidden), "{hidden} is in a trace");
        }
    }
    // What is traced is not logged.
    let log = server.log();
    assert!(!log.contains("DEBUG") && !log.contains("answered") && !log.contains("batch"), "{log}");
}

async fn the_last_spans_are_delivered_before_the_process_ends(blank: Blank) {
    let collector = Collector::start();
    let more =
        [("WAYMARK_OTLP_ENDPOINT", &*collector.endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "600000"), ("RUST_LOG", "debug")];
    let (mut server, key) = started(&blank, &more);
    let steps = json!([{ "goalId": "none", "add": 1 }]);
    let answer = ask(&server, &key, WRITE, &json!({ "input": { "user": { "handle": "grace" }, "steps": steps } }));
    assert!(answer["data"]["recordGoalSteps"].is_object(), "{answer}");
    // What no client may cause: a table is gone.
    blank.db.writes().execute_unprepared("ALTER TABLE game_summaries RENAME TO gone").await.unwrap();
    let answer = ask(&server, &key, QUERY, &json!({ "text": "e" }));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "INTERNAL", "{answer}");
    assert_eq!(collector.count(), 0, "they wait");
    assert_eq!(server.terminate(), Some(0));
    let (spans, _) = collector.spans();
    let one = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("{name}: {spans:?}"));
    let (request, operation, write) = (one("POST /graphql"), one("mutation"), one("recordGoalSteps"));
    assert_eq!((&operation.parent, &write.parent), (&request.id, &operation.id));
    assert_eq!(operation.attributes["graphql.operation.name"], "RecordOne");
    assert!(!operation.is_error && !write.is_error && !request.is_error);
    let failed: Vec<_> = spans.iter().filter(|span| span.is_error).map(|span| &*span.name).collect();
    assert!(failed.contains(&"query") && failed.contains(&"SELECT") && failed.len() == 2, "{failed:?}");
    assert_eq!(one("query").attributes["waymark.outcome"], "failed");
    // Whoever logs a lot has the lines as ever.
    let log = server.log();
    let line = log.lines().find(|line| line.contains("answered")).unwrap_or_else(|| panic!("{log}"));
    assert!(line.contains("DEBUG waymark_server::front: answered") && line.ends_with(" request=traced-1"), "{line}");
    assert!(!log.contains("graphql.") && !log.contains("batch{") && !log.contains("otel"), "{log}");
}

async fn a_batch_of_several_requests_belongs_to_one_and_is_linked_with_the_others(blank: Blank) {
    let collector = Collector::start();
    let (server, key) =
        started(&blank, &[("WAYMARK_OTLP_ENDPOINT", &collector.endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "50")]);
    let query = "{ users(by: [{ handle: \"grace\" }]) { handle games(first: 7) { nodes { game { id } } } } }";
    let began = Instant::now();
    let mut last = 0;
    // Whether requests meet is up to chance, so they try until they do.
    let batch = loop {
        assert!(began.elapsed() < Duration::from_secs(60), "no batch was shared");
        thread::scope(|scope| {
            for _ in 0..24 {
                last += 1;
                let (trace, server, key) = (format!("{last:032x}"), &server, &key);
                scope.spawn(move || ask_in(&trace, server, key, query, &Value::Null));
            }
        });
        let shared = collector.spans().0.into_iter().find(|span| !span.links.is_empty());
        if let Some(batch) = shared {
            break batch;
        }
    };
    assert_eq!(batch.name, "batch");
    let (trace, id) = &batch.links[0];
    assert_ne!(trace, &batch.trace);
    for (trace, id) in [(trace, id), (&batch.trace, &batch.parent)] {
        let (spans, _) = collector.wait_for(trace, "query");
        let query = spans.iter().find(|span| &span.trace == trace && span.name == "query").unwrap();
        assert_eq!(&query.id, id, "{batch:?}");
    }
}

async fn an_operation_on_a_websocket_is_a_trace_of_its_own(blank: Blank) {
    let collector = Collector::start();
    let (mut server, key) = started(&blank, &[("WAYMARK_OTLP_ENDPOINT", &collector.endpoint)]);
    let at = server.address.trim_start_matches("http://").to_owned();
    let mut wire = Wire::dial(&at, &[("sec-websocket-protocol", PROTOCOL)]).await.unwrap();
    wire.say(json!({ "type": "connection_init", "payload": { "x-api-key": key } })).await;
    assert_eq!(wire.hear().await["type"], "connection_ack");
    wire.subscribe("1", "query Wired { users(by: [{ handle: \"grace\" }]) { handle } }", Value::Null).await;
    assert_eq!(wire.hear().await["payload"]["data"]["users"][0]["handle"], "grace");
    assert_eq!(wire.hear().await["type"], "complete");
    drop(wire);
    assert_eq!(server.terminate(), Some(0));
    let (spans, _) = collector.spans();
    let operation = spans.iter().find(|span| span.name == "query").unwrap_or_else(|| panic!("{spans:?}"));
    assert!(operation.parent.is_empty() && operation.attributes["graphql.operation.name"] == "Wired", "{operation:?}");
    let statement = spans.iter().find(|span| span.name == "SELECT" && span.trace == operation.trace);
    let batch = spans.iter().find(|span| Some(&span.id) == statement.map(|statement| &statement.parent));
    assert_eq!(batch.map(|batch| (&*batch.name, &batch.parent)), Some(("batch", &operation.id)), "{spans:?}");
    // What stays of the request itself is that it was taken in.
    assert!(spans.iter().all(|span| span.kind != SERVER || span.attributes["http.response.status_code"] == "101"));
}

async fn a_collector_that_is_away_or_silent_holds_nobody_up(blank: Blank) {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = (format!("http://{}", silent.local_addr().unwrap()), Some(silent));
    let away = ("http://me:hunter2@127.0.0.1:1".to_owned(), None);
    for (endpoint, listener) in [away, silent] {
        let more = [("WAYMARK_OTLP_ENDPOINT", &*endpoint), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
        let (mut server, key) = started(&blank, &more);
        for _ in 0..20 {
            let began = Instant::now();
            let answer = ask(&server, &key, "{ viewer { kind } }", &Value::Null);
            assert_eq!(answer["data"]["viewer"]["kind"], "APP", "{answer}");
            assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
            thread::sleep(Duration::from_millis(100));
        }
        let began = Instant::now();
        assert_eq!(server.terminate(), Some(0));
        assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
        let log = server.log();
        assert!(!log.contains("hunter2"), "{log}");
        if listener.is_none() {
            assert_eq!(log.matches("traces cannot be delivered").count(), 1, "{log}");
            assert!(log.contains("http://[redacted]@127.0.0.1:1/v1/traces"), "{log}");
        }
    }
}

async fn nothing_is_sent_unless_it_is_set(blank: Blank) {
    let collector = Collector::start();
    let endpoint = ("WAYMARK_OTLP_ENDPOINT", &*collector.endpoint);
    let unset = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.endpoint)];
    let off = [endpoint, ("OTEL_TRACES_SAMPLER", "always_off")];
    for more in [&unset[..], &off] {
        let (mut server, key) = started(&blank, more);
        assert_eq!(ask(&server, &key, "{ viewer { kind } }", &Value::Null)["data"]["viewer"]["kind"], "APP");
        assert_eq!(server.terminate(), Some(0));
        assert_eq!(collector.count(), 0, "{more:?}");
    }
}
