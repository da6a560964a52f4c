//! A server that is told to stop.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{WRITE, get, lock};
use crate::cli::{SECRET, Server, output};
use crate::harness::{Blank, Stage, tests};

tests! {
    demo: [
        a_server_that_stops_says_that_it_is_not_ready,
        a_server_that_stops_waits_for_connections_that_stay_open,
    ],
    blank: [
        running_requests_end_and_nothing_new_is_taken_in,
        what_does_not_end_is_given_up_at_the_deadline,
        an_idle_server_stops_at_once,
    ],
}

async fn a_server_that_stops_says_that_it_is_not_ready(stage: Stage) {
    let stage = stage.with(&[]).await;
    assert_eq!(get(&stage.anonymous(), "/readyz").await.status, 200);
    stage.app.stop();
    let answer = get(&stage.anonymous(), "/readyz").await;
    assert_eq!((answer.status.as_u16(), &*answer.text), (503, "stopping\n"));
    assert_eq!(get(&stage.anonymous(), "/healthz").await.status, 200);
    assert!(get(&stage.anonymous(), "/metrics").await.text.contains("waymark_stopping 1"));
    // What is under way is still answered.
    stage.anonymous().data("{ viewer { kind } }", Value::Null).await;
}

async fn a_server_that_stops_waits_for_connections_that_stay_open(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_SHUTDOWN_SECONDS", "30")]).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let served = tokio::spawn(waymark::server::run(listener, stage.app.clone(), stage.server.clone()));
    let open = stage.app.subscribe_to_stop();
    stage.app.stop();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!served.is_finished(), "somebody still has to say good-bye");
    drop(open);
    tokio::time::timeout(Duration::from_secs(5), served).await.unwrap().unwrap().unwrap();
}

/// A started server over a migrated database with two users, and an API key that may write.
fn started<'a>(blank: &'a Blank, more: &[(&'a str, &'a str)]) -> (Server, String) {
    let mut settings = vec![("WAYMARK_DATABASE_URL", &*blank.url), ("WAYMARK_JWT_SECRET", SECRET)];
    output(&["migrate"], &settings);
    output(&["demo", "--users", "3"], &settings);
    let key = output(&["key", "create", "--name", "writer", "--scope", "progress:write"], &settings);
    settings.extend(more);
    (Server::start(&["serve"], &settings, "Serving on "), key.trim_end().to_owned())
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(server.address.trim_start_matches("http://")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    stream
}

/// Sends a write on a connection that is kept alive, without waiting for the answer.
fn send_write(stream: &mut TcpStream, key: &str) {
    let steps = json!([{ "goalId": "none", "add": 1 }]);
    let variables = json!({ "input": { "user": { "handle": "grace" }, "steps": steps } });
    let body = json!({ "query": WRITE, "variables": variables }).to_string();
    let head = format!(
        "POST /graphql HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).unwrap();
}

/// The head of the answer, and its body to the end of the connection.
fn read_to_end(stream: TcpStream) -> (String, String) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "the connection ended: {head}");
    }
    let mut body = String::new();
    reader.read_to_string(&mut body).unwrap();
    (head.to_lowercase(), body)
}

async fn running_requests_end_and_nothing_new_is_taken_in(blank: Blank) {
    let (mut server, key) = started(&blank, &[]);
    let held = lock(&blank.db).await;
    let mut running = connect(&server);
    send_write(&mut running, &key);
    let mut idle = connect(&server);
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut first = [0; 15];
    idle.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200 OK");
    thread::sleep(Duration::from_millis(300));
    server.tell_to_stop();
    thread::sleep(Duration::from_millis(500));
    assert!(server.is_running(), "a request is still running");
    assert!(TcpStream::connect(server.address.trim_start_matches("http://")).is_err(), "nobody listens any more");
    let mut rest = String::new();
    idle.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("alive\n"), "an idle connection is closed: {rest}");
    held.rollback().await.unwrap();
    let (head, body) = tokio::task::spawn_blocking(|| read_to_end(running)).await.unwrap();
    assert!(head.starts_with("http/1.1 200 ok") && head.contains("connection: close"), "{head}");
    assert!(body.contains("\"recordGoalSteps\""), "{body}");
    assert_eq!(server.wait(), Some(0));
}

async fn what_does_not_end_is_given_up_at_the_deadline(blank: Blank) {
    let (mut server, key) = started(&blank, &[("WAYMARK_SHUTDOWN_SECONDS", "1")]);
    let held = lock(&blank.db).await;
    let mut running = connect(&server);
    send_write(&mut running, &key);
    thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    assert_eq!(server.terminate(), Some(0));
    let took = began.elapsed();
    assert!((1.0..15.0).contains(&took.as_secs_f64()), "{took:?}");
    assert!(server.log().contains("stopped before all requests had ended"), "{}", server.log());
    held.rollback().await.unwrap();
}

async fn an_idle_server_stops_at_once(blank: Blank) {
    let (mut server, _) = started(&blank, &[]);
    let _idle = connect(&server);
    let began = Instant::now();
    assert_eq!(server.terminate(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
}
