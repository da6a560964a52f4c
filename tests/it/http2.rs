//! HTTP/2 without encryption, by clients that know that it is spoken.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{Method, Request, Response, StatusCode};
use h2::client::{Builder, SendRequest};
use h2::{Reason, RecvStream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};
use waymark::auth::Scope;

use crate::harness::{Actor, Stage, tests};
use crate::subscriptions::{FOLLOW, Wire, happen, serve};

tests! {
    demo: [
        requests_share_a_connection_of_http_2,
        http_1_is_spoken_as_ever_however_its_first_bytes_come,
        an_answer_that_is_not_taken_is_given_up_and_the_connection_stays,
        silent_connections_of_http_2_are_closed,
        bodies_and_heads_are_bounded_over_http_2,
    ],
    own: [
        events_come_over_http_2_and_end_with_the_server,
    ],
}

const PATIENCE: Duration = Duration::from_secs(30);

/// A client's side of a connection.
struct Connection {
    requests: SendRequest<Bytes>,
    ended: JoinHandle<Result<(), h2::Error>>,
}

impl Connection {
    async fn open(at: &str, window: u32) -> Self {
        let stream = TcpStream::connect(at).await.unwrap();
        let client = Builder::new().initial_window_size(window).handshake::<_, Bytes>(stream).await;
        let (requests, connection) = client.unwrap();
        Self { requests, ended: tokio::spawn(connection) }
    }

    /// Sends a request; the answer's head.
    async fn send(&self, request: Request<()>, body: Option<Bytes>) -> Result<Response<RecvStream>, h2::Error> {
        let mut requests = self.requests.clone().ready().await?;
        let (answer, mut sender) = requests.send_request(request, body.is_none())?;
        if let Some(body) = body {
            sender.send_data(body, true)?;
        }
        timeout(PATIENCE, answer).await.expect("it is answered")
    }

    async fn get(&self, path: &str) -> Result<Response<RecvStream>, h2::Error> {
        self.send(Request::get(format!("http://waymark.example{path}")).body(()).unwrap(), None).await
    }

    async fn post(&self, actor: &Actor, accept: &str, query: &str, variables: Value) -> Response<RecvStream> {
        let request = Request::post("http://waymark.example/graphql")
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", actor.credential()))
            .header("accept", accept);
        let body = json!({ "query": query, "variables": variables }).to_string();
        self.send(request.body(()).unwrap(), Some(body.into())).await.unwrap()
    }
}

/// The next piece of an answer; `None` at its end.
async fn piece(body: &mut RecvStream) -> Option<Result<Bytes, h2::Error>> {
    let piece = timeout(PATIENCE, body.data()).await.expect("something comes")?;
    Some(piece.inspect(|bytes| body.flow_control().release_capacity(bytes.len()).unwrap()))
}

async fn text(answer: Response<RecvStream>) -> String {
    let (mut body, mut all) = (answer.into_body(), Vec::new());
    while let Some(piece) = piece(&mut body).await {
        all.extend_from_slice(&piece.unwrap());
    }
    String::from_utf8(all).unwrap()
}

async fn requests_share_a_connection_of_http_2(stage: Stage) {
    let (server, grace) = (serve(&stage).await, stage.user("grace"));
    let connection = Connection::open(&server.at, 1 << 20).await;
    let query = "query($n: Int!) { viewer { user { handle } } games(first: $n) { nodes { id } } }";
    let ask = async |count: i32| {
        let answer = connection.post(&grace, "application/json", query, json!({ "n": count })).await;
        assert_eq!(answer.status(), StatusCode::OK);
        serde_json::from_str::<Value>(&text(answer).await).unwrap()
    };
    for (count, answer) in (1..).zip(futures_util::future::join_all((1..=20).map(ask)).await) {
        assert_eq!(answer["data"]["viewer"]["user"]["handle"], "grace");
        assert_eq!(answer["data"]["games"]["nodes"].as_array().unwrap().len(), count);
    }
    let schema = text(connection.get("/schema.graphql").await.unwrap()).await;
    assert!(schema.contains("type Query"), "an answer of many pieces is whole: {} bytes", schema.len());
    assert_eq!(stage.app.lines.count(), 1);
    assert_eq!(connection.requests.current_max_send_streams(), 100, "so many requests at a time");
}

async fn http_1_is_spoken_as_ever_however_its_first_bytes_come(stage: Stage) {
    let server = serve(&stage).await;
    // What begins like HTTP/2 is none until it is all there.
    for pieces in [
        &["G", "ET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"][..],
        &["PRI * HTTP/2.0\r\n\r\nS", "X\r\n\r\n"],
    ] {
        let mut stream = TcpStream::connect(&server.at).await.unwrap();
        for piece in pieces {
            stream.write_all(piece.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut answer = String::new();
        // What is no HTTP may be hung up on.
        let _ = timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap();
        assert_eq!(answer.starts_with("HTTP/1.1 200 OK"), pieces[0] == "G", "{pieces:?} {answer}");
    }
    // Names of headers come back as a client writes them that looks for them only so.
    let mut stream = TcpStream::connect(&server.at).await.unwrap();
    let upgrade = "GET /graphql HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: graphql-ws, graphql-transport-ws\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    assert!(answer.contains("\r\nSec-WebSocket-Protocol: graphql-transport-ws\r\n"), "{answer}");
    let mut wire = Wire::open(&server.at, &stage.anonymous()).await;
    wire.subscribe("1", "{ viewer { kind } }", Value::Null).await;
    assert_eq!(wire.hear().await["payload"]["data"]["viewer"]["kind"], "ANONYMOUS");
}

async fn an_answer_that_is_not_taken_is_given_up_and_the_connection_stays(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_SLOW_READER_SECONDS", "1")]).await;
    let server = serve(&stage).await;
    // The client says that it takes no more than this of each answer.
    let connection = Connection::open(&server.at, 1000).await;
    let began = Instant::now();
    let mut body = connection.get("/schema.graphql").await.unwrap().into_body();
    let mut taken = 0;
    let reason = loop {
        match timeout(PATIENCE, body.data()).await.expect("it is given up").expect("it is not whole") {
            Ok(bytes) => taken += bytes.len(),
            Err(error) => break error.reason(),
        }
        assert_eq!(text(connection.get("/healthz").await.unwrap()).await, "alive\n");
    };
    assert_eq!((taken, reason), (1000, Some(Reason::CANCEL)));
    assert!((1..20).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    assert_eq!(text(connection.get("/healthz").await.unwrap()).await, "alive\n");
}

async fn silent_connections_of_http_2_are_closed(stage: Stage) {
    let settings = [("WAYMARK_HEADER_TIMEOUT_SECONDS", "1"), ("WAYMARK_IDLE_TIMEOUT_SECONDS", "3")];
    let stage = stage.with(&settings).await;
    let server = serve(&stage).await;
    let closed = async |asks: bool| {
        let began = Instant::now();
        let connection = Connection::open(&server.at, 65_535).await;
        if asks {
            assert_eq!(text(connection.get("/healthz").await.unwrap()).await, "alive\n");
        }
        let _kept = connection.requests;
        let _ = timeout(PATIENCE, connection.ended).await.expect("it is closed").unwrap();
        began.elapsed()
    };
    let (silent, idle) = tokio::join!(closed(false), closed(true));
    assert!(silent < Duration::from_secs(3) && idle >= Duration::from_secs(3), "{silent:?} {idle:?}");
    let figures = stage.app.figures();
    for reason in ["slow", "idle"] {
        let line = format!("waymark_connections_closed_total{{reason=\"{reason}\"}} 1");
        assert!(figures.contains(&line), "{figures}");
    }
    assert_eq!(stage.app.lines.count(), 0);
}

async fn bodies_and_heads_are_bounded_over_http_2(stage: Stage) {
    let server = serve(&stage).await;
    let connection = Connection::open(&server.at, 65_535).await;
    let post = |bytes: usize| {
        let mut request = Request::builder().method(Method::POST).uri("http://waymark.example/graphql");
        request = request.header("content-type", "application/json").header("x-a", "a".repeat(bytes));
        request.body(()).unwrap()
    };
    let answer = connection.send(post(1), Some(Bytes::from(vec![b' '; 6 << 20]))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let answer = connection.send(post(30_000), Some(Bytes::from_static(b"{"))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
    match connection.send(post(40_000), Some(Bytes::from_static(b"{"))).await {
        Ok(answer) => assert_eq!(answer.status(), StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE),
        Err(error) => assert!(error.reason().is_some(), "{error}"),
    }
}

async fn events_come_over_http_2_and_end_with_the_server(stage: Stage) {
    let (server, app) = (serve(&stage).await, stage.app(&[Scope::ProgressWrite]).await);
    let connection = Connection::open(&server.at, 65_535).await;
    let silent = Connection::open(&server.at, 65_535).await;
    assert_eq!(text(silent.get("/healthz").await.unwrap()).await, "alive\n");
    let variables = json!({ "user": { "handle": "grace" } });
    let mut events = connection.post(&app, "text/event-stream", FOLLOW, variables).await.into_body();
    assert_eq!(piece(&mut events).await.unwrap().unwrap(), ":\n\n");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let number = happen(&app, "grace").await;
    let event = String::from_utf8(piece(&mut events).await.unwrap().unwrap().to_vec()).unwrap();
    assert!(event.contains(&format!("\"number\":{number}")), "{event}");
    let (_, rest) = tokio::join!(server.stop(), async {
        let mut rest = String::new();
        while let Some(Ok(piece)) = piece(&mut events).await {
            rest.push_str(std::str::from_utf8(&piece).unwrap());
        }
        rest
    });
    assert!(rest.contains("the server is going away"), "{rest}");
    let _ = timeout(PATIENCE, silent.ended).await.expect("nobody who says nothing holds up the end");
}
