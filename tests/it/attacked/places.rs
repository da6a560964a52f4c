//! Connections, sockets and names: what one client can take of what is there for all.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::{Error, Message};
use waymark::auth::Scope;

use crate::cli::{self, output};
use crate::harness::{Actor, Blank, Stage, rounds, tests};
use crate::subscriptions::{FOLLOW, PROTOCOL, Wire, serve};

tests! {
    demo: [
        unfinished_messages_have_bounded_room_and_time,
        silent_and_slow_connections_are_closed,
        heads_are_bounded_and_name_their_host,
        places_are_shared_out_and_apps_find_one,
        an_address_is_known_behind_proxies,
        messages_that_cost_nothing_are_limited,
        names_of_operations_do_not_fill_the_figures,
    ],
    blank: [
        an_idle_subscriber_costs_what_the_manual_says,
        connections_stay_below_the_limit_of_files,
        keys_without_an_audience_are_warned_of,
    ],
}

/// How long anything is waited for, by far.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "never: {what}");
        sleep(Duration::from_millis(20)).await;
    }
}

/// The value of a figure, 0 where it was never counted.
fn figure(text: &str, name: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0.0, |value| value.parse().unwrap())
}

/// The head of a frame of a client, whose mask changes nothing.
fn head(first: u8, length: usize) -> Vec<u8> {
    let mut frame = vec![first];
    match length {
        0..126 => frame.push(0x80 | u8::try_from(length).unwrap()),
        126..65536 => {
            frame.push(0xfe);
            frame.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        _ => {
            frame.push(0xff);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame
}

async fn write(wire: &mut Wire, bytes: &[u8]) {
    // The server may have had enough before all is sent.
    let _ = wire.0.get_mut().write_all(bytes).await;
}

async fn unfinished_messages_have_bounded_room_and_time(stage: Stage) {
    const MESSAGE: usize = 90_000;
    let settings = [("WAYMARK_MAX_BODY_BYTES", "100000"), ("WAYMARK_REQUEST_TIMEOUT_SECONDS", "6")];
    let stage = stage.with(&[&settings[..], &[("WAYMARK_KEEP_ALIVE_SECONDS", "4")]].concat()).await;
    let server = serve(&stage).await;
    let anonymous = stage.anonymous();
    let mut wires = join_all((0..100).map(|_| Wire::open(&server.at, &anonymous))).await;
    // A message of two frames, and the second one.
    let message = [head(0x01, MESSAGE), vec![b' '; MESSAGE]].concat();
    let end = [head(0x80, 1), vec![b' ']].concat();
    let message = &*message;
    let ended = join_all(wires.iter_mut().map(|wire| async move {
        let began = Instant::now();
        write(wire, message).await;
        let mut pings = 0;
        loop {
            match timeout(PATIENCE, wire.0.next_message()).await.expect("nobody is kept for ever") {
                // Whoever answers gains no time by it.
                Message::Ping(_) => pings += 1,
                Message::Close(Some(frame)) => return (u16::from(frame.code), began.elapsed(), pings),
                _ => {}
            }
        }
    }))
    .await;
    let with = |code| ended.iter().filter(|(other, ..)| *other == code).count();
    let (late, crowded) = (with(1008), with(1013));
    assert_eq!(late + crowded, 100, "{ended:?}");
    // Half of the room of 64 bodies is for one address.
    assert!((20..=37).contains(&late), "{late} were held");
    assert!(ended.iter().filter(|(code, ..)| *code == 1008).all(|(_, took, _)| *took < PATIENCE / 2));
    // All is given back.
    let mut wire = Wire::open(&server.at, &anonymous).await;
    let long = format!("{{ viewer {{ kind }} }} # {}", "x".repeat(50_000));
    for id in ["1", "2"] {
        wire.subscribe(id, &long, Value::Null).await;
        assert_eq!(wire.hear().await["type"], "next");
        assert_eq!(wire.hear().await["type"], "complete");
    }
    let mut more = join_all((0..20).map(|_| Wire::open(&server.at, &anonymous))).await;
    for wire in &mut more {
        write(wire, message).await;
        write(wire, &end).await;
        assert_eq!(wire.closed().await.0, 4400, "a message that is finished is read");
    }
}

/// A connection with this sent on it.
async fn raw(at: &str, text: &str) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    stream
}

/// What is answered until the server ends the connection.
async fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is cut while something is under way is at its end too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("the server ends it");
    String::from_utf8(answer).unwrap()
}

async fn silent_and_slow_connections_are_closed(stage: Stage) {
    let settings = [("WAYMARK_HEADER_TIMEOUT_SECONDS", "1"), ("WAYMARK_IDLE_TIMEOUT_SECONDS", "3")];
    let stage = stage.with(&settings).await;
    let server = serve(&stage).await;
    let app = stage.app(&[Scope::ProgressRead]).await;
    let mut lasting = Wire::open(&server.at, &app).await;
    let dripping = async {
        let mut stream = raw(&server.at, "GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: ").await;
        while stream.write_all(b"a").await.is_ok() {
            sleep(Duration::from_millis(100)).await;
        }
    };
    let began = Instant::now();
    let kept = async {
        let answer = rest(raw(&server.at, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await).await;
        (answer, began.elapsed())
    };
    let (silent, half, again, (answer, took), ()) = tokio::join!(
        async { rest(raw(&server.at, "").await).await },
        async { rest(raw(&server.at, "GET /healthz HTTP/1.1\r\nhost:").await).await },
        async {
            let mut stream = raw(&server.at, "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await;
            sleep(Duration::from_millis(300)).await;
            stream.write_all(b"GET /healthz HTTP/1.1\r\nhost").await.unwrap();
            rest(stream).await
        },
        kept,
        dripping,
    );
    assert_eq!((silent.as_str(), half.as_str()), ("", ""));
    assert_eq!(again.matches("HTTP/1.1 200 OK").count(), 1, "{again}");
    assert!(answer.starts_with("HTTP/1.1 200 OK") && took >= Duration::from_secs(3), "{took:?} {answer}");
    let of = |name: &str| figure(&stage.app.figures(), name);
    let closed = |reason: &str| of(&format!("waymark_connections_closed_total{{reason=\"{reason}\"}}"));
    assert_eq!((closed("slow"), closed("idle")), (4.0, 1.0));
    until("they are gone", async || of("waymark_connections_open") == 1.0).await;
    // A socket has its own rules.
    lasting.subscribe("1", "{ viewer { kind } }", Value::Null).await;
    assert_eq!(lasting.hear().await["payload"]["data"]["viewer"]["kind"], "APP");
}

async fn heads_are_bounded_and_name_their_host(stage: Stage) {
    let server = serve(&stage).await;
    let get = |version: &str, lines: String| format!("GET /healthz HTTP/{version}\r\nconnection: close\r\n{lines}\r\n");
    let many = |count: usize| (0..count).map(|number| format!("x-{number}: a\r\n")).collect::<String>();
    let long = |bytes: usize| format!("x-a: {}\r\n", "a".repeat(bytes));
    for (version, lines, status) in [
        ("1.1", "host: x\r\n".to_owned(), 200),
        ("1.1", String::new(), 400),
        ("1.1", "host: x\r\nhost: y\r\n".to_owned(), 400),
        ("1.0", String::new(), 200),
        ("1.1", format!("host: x\r\n{}", long(30_000)), 200),
        ("1.1", format!("host: x\r\n{}", long(33_000)), 431),
        ("1.1", format!("host: x\r\n{}", many(95)), 200),
        ("1.1", format!("host: x\r\n{}", many(120)), 431),
    ] {
        let request = get(version, lines);
        let answer = rest(raw(&server.at, &request).await).await;
        let start: String = request.chars().take(80).collect();
        assert!(answer.starts_with(&format!("HTTP/{version} {status} ")), "{start}: {answer}");
    }
}

/// Whether a socket is let in at all.
async fn dial(at: &str, headers: &[(&'static str, &str)]) -> Option<Wire> {
    let headers = [&[("sec-websocket-protocol", PROTOCOL)][..], headers].concat();
    match Wire::dial(at, &headers).await {
        Ok(wire) => Some(wire),
        Err(Error::Http(response)) => {
            assert_eq!(response.status(), 503);
            None
        }
        Err(error) => panic!("{error}"),
    }
}

async fn introduce(wire: &mut Wire, actor: &Actor) {
    let payload = match actor.credential() {
        "" => json!({}),
        credential => json!({ "Authorization": format!("Bearer {credential}") }),
    };
    wire.say(json!({ "type": "connection_init", "payload": payload })).await;
}

async fn places_are_shared_out_and_apps_find_one(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_MAX_STREAMS", "48"), ("WAYMARK_MAX_STREAMS_PER_CALLER", "6")]).await;
    let (server, app) = (serve(&stage).await, stage.app(&[Scope::ProgressRead]).await);
    let (anonymous, grace) = (stage.anonymous(), stage.user("grace"));
    let mut held = Vec::new();
    for _ in 0..6 {
        held.push(Wire::open(&server.at, &anonymous).await);
    }
    // Further ones are heard, and sent away unless they are somebody.
    let mut more = Vec::new();
    while let Some(wire) = dial(&server.at, &[]).await {
        more.push(wire);
        assert!(more.len() < 10);
    }
    assert_eq!(more.len(), 4);
    introduce(&mut more[0], &anonymous).await;
    assert_eq!(more[0].closed().await, (1013, "there are too many connections; try again later".to_owned()));
    for (wire, actor) in more[1..3].iter_mut().zip([&grace, &app]) {
        introduce(wire, actor).await;
        assert_eq!(wire.hear().await["type"], "connection_ack");
    }
    held.append(&mut more);
    // One user has no more than one address.
    for _ in 0..5 {
        held.push(Wire::open(&server.at, &grace).await);
    }
    let mut one_more = dial(&server.at, &[]).await.unwrap();
    introduce(&mut one_more, &grace).await;
    assert_eq!(one_more.closed().await.0, 1013);
    let places = |stage: &Stage| figure(&stage.app.figures(), "waymark_streams_open");
    until("those who were sent away are gone", async || places(&stage) <= held.len() as f64).await;
    // When all others are taken, apps still find some.
    for user in ["ada", "newton", "turing", "curie", "noether", "lovelace", "euler", "gauss"] {
        for _ in 0..6 {
            let Some(mut wire) = dial(&server.at, &[]).await else { break };
            introduce(&mut wire, &stage.user(user)).await;
            if wire.0.next_message().await.is_close() {
                break;
            }
            held.push(wire);
        }
    }
    until("those who were sent away are gone", async || places(&stage) <= 47.0).await;
    let mut wire = dial(&server.at, &[]).await.unwrap();
    introduce(&mut wire, &stage.user("hopper")).await;
    assert_eq!(wire.closed().await.0, 1013, "there is none for people");
    until("who was sent away is gone", async || places(&stage) <= 47.0).await;
    let mut last = Wire::open(&server.at, &app).await;
    last.subscribe("1", FOLLOW, json!({ "user": { "handle": "grace" } })).await;
    last.subscribe("2", "{ viewer { kind } }", Value::Null).await;
    assert_eq!(last.hear().await["payload"]["data"]["viewer"]["kind"], "APP");
}

async fn an_address_is_known_behind_proxies(stage: Stage) {
    let settings = [("WAYMARK_MAX_STREAMS_PER_CALLER", "2"), ("WAYMARK_PROXIES", "1")];
    let stage = stage.with(&settings).await;
    let server = serve(&stage).await;
    let mut held = Vec::new();
    for address in ["192.0.2.1", "192.0.2.2"] {
        // Two, and four that may still say who they are.
        while let Some(wire) = dial(&server.at, &[("x-forwarded-for", address)]).await {
            held.push(wire);
        }
    }
    assert_eq!(held.len(), 12);
}

async fn messages_that_cost_nothing_are_limited(stage: Stage) {
    let server = serve(&stage).await;
    let anonymous = stage.anonymous();
    let ping = head(0x89, 0);
    let mut calm = Wire::open(&server.at, &anonymous).await;
    write(&mut calm, &ping.repeat(100)).await;
    let protocol = json!({ "type": "ping" }).to_string();
    let said = |text: &str| [head(0x81, text.len()), text.as_bytes().to_vec()].concat();
    let follow = "subscription { userProgress(user: {handle: \"grace\"}) { number } }";
    let begin = json!({ "id": "1", "type": "subscribe", "payload": { "query": follow } }).to_string();
    let churn = [said(&begin), said(r#"{"type":"complete","id":"1"}"#)].concat();
    for flood in [
        ping.repeat(1000),
        head(0x8a, 0).repeat(1000),
        said(&protocol).repeat(1000),
        said(r#"{"type":"pong"}"#).repeat(1000),
        said(r#"{"type":"complete","id":"none"}"#).repeat(1000),
        churn.repeat(1000),
        said(&json!({ "type": "ping", "payload": { "x": "x".repeat(900_000) } }).to_string()),
    ] {
        let mut wire = Wire::open(&server.at, &anonymous).await;
        write(&mut wire, &flood).await;
        assert_eq!(wire.closed().await, (1008, "too many messages that ask for nothing".to_owned()));
    }
    calm.subscribe("1", "{ viewer { kind } }", Value::Null).await;
    assert_eq!(calm.hear().await["type"], "next");
}

async fn names_of_operations_do_not_fill_the_figures(stage: Stage) {
    let stage = stage.with(&[]).await;
    let (anonymous, grace, app) = (stage.anonymous(), stage.user("grace"), stage.app(&[Scope::ProgressRead]).await);
    let run = async |actor: &Actor, name: &str| {
        actor.data(&format!("query {name} {{ viewer {{ kind }} }}"), Value::Null).await;
    };
    for number in 0..rounds(500, 10_000) {
        run(&anonymous, &format!("{}{number}", "A".repeat(90))).await;
    }
    for number in 0..20 {
        run(&anonymous, &format!("{}{number}", "B".repeat(100_000))).await;
        run(&grace, &format!("{}{number}", "C".repeat(100_000))).await;
    }
    run(&grace, "OfAUser").await;
    run(&app, "OfAnApp").await;
    let figures = stage.app.figures();
    assert!(figures.len() < 250_000, "{} bytes", figures.len());
    assert!(!figures.contains("BBB") && !figures.contains("CCC"));
    for name in ["OfAUser", "OfAnApp"] {
        let count = format!("waymark_graphql_operations_total{{operation=\"{name}\",outcome=\"done\"}}");
        assert_eq!(figure(&figures, &count), 1.0, "{name}");
    }
}

/// A server of its own over demo data, and an API key that reads.
fn settings(blank: &Blank) -> (Vec<(&'static str, String)>, String) {
    let settings = vec![("WAYMARK_DATABASE_URL", blank.url.clone()), ("WAYMARK_JWT_SECRET", cli::SECRET.to_owned())];
    let given: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    output(&["migrate"], &given);
    output(&["demo", "--users", "3"], &given);
    let key = output(&["key", "create", "--name", "reader", "--scope", "progress:read"], &given);
    (settings, key.trim_end().to_owned())
}

fn given<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

async fn an_idle_subscriber_costs_what_the_manual_says(blank: Blank) {
    const MOST: u64 = 20 * 1024;
    let (mut settings, key) = settings(&blank);
    // Nobody answers pings here while others are still connecting.
    settings.push(("WAYMARK_KEEP_ALIVE_SECONDS", "3600".to_owned()));
    let server = cli::Server::start(&["serve"], &given(&settings), "Serving on ");
    let at = server.address.trim_start_matches("http://").to_owned();
    let subscribe = async || {
        let mut wire = Wire::dial(&at, &[("sec-websocket-protocol", PROTOCOL)]).await.unwrap();
        let payload = json!({ "Authorization": format!("Bearer {key}") });
        wire.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(wire.hear().await["type"], "connection_ack");
        wire.subscribe("1", FOLLOW, json!({ "user": { "handle": "grace" } })).await;
        wire
    };
    let open = async |count: f64| {
        let text = rest(raw(&at, "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await).await;
        figure(&text, "waymark_subscriptions_open") == count
    };
    let mut warm = join_all((0..50).map(|_| subscribe())).await;
    until("all have subscribed", async || open(50.0).await).await;
    let before = server.resident();
    let many = rounds(1000, 2000);
    for _ in 0..many / 50 {
        warm.extend(join_all((0..50).map(|_| subscribe())).await);
    }
    let all = f64::from(50 + many);
    until("all have subscribed", async || open(all).await).await;
    let each = server.resident().saturating_sub(before) / u64::from(many);
    println!("an idle subscriber costs {each} bytes");
    assert!(each <= MOST, "{each} bytes each");
}

async fn connections_stay_below_the_limit_of_files(blank: Blank) {
    let (mut settings, key) = settings(&blank);
    // Only the want of room closes anything.
    settings.push(("WAYMARK_HEADER_TIMEOUT_SECONDS", "600".to_owned()));
    let mut server = cli::Server::start_with_files(256, &["serve"], &given(&settings), "Serving on ");
    let at = server.address.trim_start_matches("http://").to_owned();
    let asks = async |path: &str, status: u16| {
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-api-key: {key}\r\n\r\n");
        let Ok(mut stream) = TcpStream::connect(&at).await else { return false };
        let mut answer = String::new();
        let asked = stream.write_all(request.as_bytes()).await.is_ok();
        asked
            && timeout(PATIENCE, stream.read_to_string(&mut answer)).await.is_ok_and(|read| read.is_ok())
            && answer.starts_with(&format!("HTTP/1.1 {status}"))
    };
    for start in ["", "GET /healthz HTTP/1.1\r\nhost: x\r\nx-a: "] {
        let mut held = Vec::new();
        for _ in 0..400 {
            let mut stream = TcpStream::connect(&at).await.unwrap();
            // Some were refused already.
            let _ = stream.write_all(start.as_bytes()).await;
            held.push(stream);
        }
        until("the server answers", async || asks("/healthz", 200).await).await;
        until("the database is there", async || asks("/readyz", 200).await).await;
        drop(held);
    }
    until("a query is answered", async || asks("/graphql?query=%7Bviewer%7Bkind%7D%7D", 200).await).await;
    assert_eq!(server.terminate(), Some(0));
    let log = server.log();
    assert!(log.contains("the limit of open files (ulimit -n) allows fewer connections"), "{log}");
    assert!(!log.contains("no connection can be taken in"), "{log}");
}

async fn keys_without_an_audience_are_warned_of(blank: Blank) {
    const WORDS: &str = "WAYMARK_JWT_AUDIENCE";
    let (mut settings, _) = settings(&blank);
    let keys = concat!(env!("CARGO_MANIFEST_DIR"), "/src/auth/testdata/jwks.json");
    settings.push(("WAYMARK_JWT_JWKS_FILE", keys.to_owned()));
    let said = |settings: &[(&'static str, String)]| {
        let mut server = cli::Server::start(&["serve"], &given(settings), "Serving on ");
        assert_eq!(server.terminate(), Some(0));
        server.log()
    };
    let log = said(&settings);
    assert!(log.contains(WORDS), "{log}");
    settings.push(("WAYMARK_JWT_AUDIENCE", "waymark".to_owned()));
    let log = said(&settings);
    assert!(!log.contains(WORDS), "{log}");
}

/// The next message of a stream, whatever it is.
trait Listen {
    async fn next_message(&mut self) -> Message;
}

impl<S> Listen for S
where
    S: futures_util::Stream<Item = Result<Message, Error>> + Unpin,
{
    async fn next_message(&mut self) -> Message {
        let next = timeout(PATIENCE, futures_util::StreamExt::next(self)).await;
        next.expect("something comes").expect("the socket is there").expect("it is a message")
    }
}
