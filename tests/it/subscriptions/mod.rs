//! Subscriptions over WebSockets and server-sent events, against servers on real ports.

pub(crate) mod events;
pub(crate) mod life;
pub(crate) mod protocol;
pub(crate) mod run;
pub(crate) mod sse;

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use waymark::server;

use crate::harness::{Actor, Stage};

pub(crate) const PROTOCOL: &str = "graphql-transport-ws";
/// By how many seconds the clock of whoever made a token may be off: it is good for so much longer.
const LEEWAY: i64 = 60;
const PATIENCE: Duration = Duration::from_secs(15);

/// A server on a port of its own.
pub(crate) struct Served {
    /// The address and port.
    pub(crate) at: String,
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

/// Serves the stage.
pub(crate) async fn serve(stage: &Stage) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap().to_string();
    let (stop, stopped) = oneshot::channel();
    let (app, server) = (Arc::clone(&stage.app), stage.server.clone());
    let ended = tokio::spawn(async move {
        let stopped = async { drop(stopped.await) };
        server::serve(listener, app, server, stopped).await.unwrap();
    });
    Served { at, stop, ended }
}

impl Served {
    /// Stops the server, as SIGTERM does, and waits until it has ended.
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        timeout(PATIENCE, self.ended).await.expect("the server ends").unwrap();
    }
}

/// A client's side of a WebSocket.
pub(crate) struct Wire(pub(crate) WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Wire {
    /// Opens a socket with these headers.
    pub(crate) async fn dial(at: &str, headers: &[(&'static str, &str)]) -> Result<Self, Error> {
        let mut request = format!("ws://{at}/graphql").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        tokio_tungstenite::connect_async(request).await.map(|(stream, _)| Self(stream))
    }

    /// Opens a socket that speaks the protocol, and says nothing yet.
    pub(crate) async fn silent(at: &str) -> Self {
        Self::dial(at, &[("sec-websocket-protocol", PROTOCOL)]).await.unwrap()
    }

    /// Opens a socket and introduces `actor`.
    pub(crate) async fn open(at: &str, actor: &Actor) -> Self {
        let mut wire = Self::silent(at).await;
        let payload = match actor.credential() {
            "" => json!({}),
            credential => json!({ "Authorization": format!("Bearer {credential}") }),
        };
        wire.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(wire.hear().await, json!({ "type": "connection_ack" }));
        wire
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.say_text(&message.to_string()).await;
    }

    pub(crate) async fn say_text(&mut self, text: &str) {
        self.0.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Option<Result<Message, Error>> {
        timeout(PATIENCE, self.0.next()).await.expect("something comes")
    }

    /// The next message of the protocol.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match self.next().await {
                Some(Ok(Message::Text(text))) => return serde_json::from_str(&text).unwrap(),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                other => panic!("a message was expected, and {other:?} came"),
            }
        }
    }

    /// Why the server closes the socket, whatever it says before.
    pub(crate) async fn closed(&mut self) -> (u16, String) {
        loop {
            match self.next().await {
                Some(Ok(Message::Close(Some(CloseFrame { code, reason })))) => {
                    return (code.into(), reason.to_string());
                }
                Some(Ok(_)) => {}
                other => panic!("a farewell was expected, and {other:?} came"),
            }
        }
    }

    pub(crate) async fn subscribe(&mut self, id: &str, query: &str, variables: Value) {
        let payload = json!({ "query": query, "variables": variables });
        self.say(json!({ "id": id, "type": "subscribe", "payload": payload })).await;
    }

    /// Follows a user, behind a cursor or from now on.
    pub(crate) async fn follow(&mut self, id: &str, handle: &str, after: Option<&str>) {
        self.subscribe(id, FOLLOW, json!({ "user": { "handle": handle }, "after": after })).await;
    }

    /// The next event of the operation `1`.
    async fn event(&mut self) -> Value {
        let message = self.hear().await;
        assert_eq!((&message["id"], &message["type"]), (&json!("1"), &json!("next")), "{message}");
        assert!(message["payload"].get("errors").is_none(), "{message}");
        message["payload"]["data"]["userProgress"].clone()
    }

    /// The code of the error that ends the operation `1`.
    pub(crate) async fn failed(&mut self) -> String {
        let message = self.hear().await;
        assert_eq!((&message["id"], &message["type"]), (&json!("1"), &json!("error")), "{message}");
        message["payload"][0]["extensions"]["code"].as_str().unwrap().to_owned()
    }

    /// Asserts that nothing comes for a while.
    async fn quiet(&mut self) {
        if let Ok(message) = timeout(Duration::from_millis(700), self.0.next()).await {
            panic!("nothing was expected, and {message:?} came");
        }
    }

    /// Waits until what was said is being worked on.
    pub(crate) async fn settled(&mut self) {
        self.say(json!({ "type": "ping" })).await;
        assert_eq!(self.hear().await["type"], "pong");
        // A subscription begins to wait when it has looked the user up.
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

pub(crate) const FOLLOW: &str = "subscription($user: UserBy!, $after: String) {
    userProgress(user: $user, after: $after) { cursor number kind subject } }";

/// Something happens to a user: one event. Gives its number.
pub(crate) async fn happen(app: &Actor, handle: &str) -> i64 {
    let grant = "mutation($input: GrantCreditsInput!) { grantCredits(input: $input) {
        userErrors { message } changes { events { number } } } }";
    let input = json!({ "user": { "handle": handle }, "amount": { "micros": 1 } });
    let data = app.data(grant, json!({ "input": input })).await;
    data["grantCredits"]["changes"]["events"][0]["number"].as_i64().unwrap_or_else(|| panic!("{data}"))
}

/// The cursor of the event of a user with this number, one of the oldest or of the newest.
async fn cursor(app: &Actor, handle: &str, number: i64) -> String {
    let query = "query($h: String!) { user(by: {handle: $h}) {
        old: history(last: 100) { nodes { ...E } } new: history(first: 100) { nodes { ...E } } } }
        fragment E on ProgressEvent { number cursor }";
    let user = app.data(query, json!({ "h": handle })).await["user"].clone();
    let events = ["old", "new"].map(|side| user[side]["nodes"].as_array().unwrap().clone()).concat();
    let event = events.iter().find(|event| event["number"] == number).unwrap();
    event["cursor"].as_str().unwrap().to_owned()
}
