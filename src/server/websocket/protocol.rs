//! The protocol `graphql-transport-ws` without a socket: what a message asks for, and how the answers are written.

use std::collections::HashMap;

use futures_util::future::AbortHandle;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::operation::Asked;
use waymark_kernel::error::Code;
use waymark_kernel::text;

/// What clients call the protocol.
pub(super) const NAME: &str = "graphql-transport-ws";

/// The longest reason that fits into a frame, in bytes.
const LONGEST_REASON: usize = 123;

/// Why a socket is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Close {
    pub(super) code: u16,
    pub(super) reason: String,
}

impl Close {
    pub(super) const GOING_AWAY: u16 = 1001;
    pub(super) const PROTOCOL: u16 = 1002;
    pub(super) const NO_TEXT: u16 = 1007;
    pub(super) const POLICY: u16 = 1008;
    pub(super) const TOO_BIG: u16 = 1009;
    pub(super) const TRY_AGAIN: u16 = 1013;
    pub(super) const BAD_REQUEST: u16 = 4400;
    const UNAUTHORIZED: u16 = 4401;
    pub(super) const FORBIDDEN: u16 = 4403;
    pub(super) const NO_PROTOCOL: u16 = 4406;
    pub(super) const TOO_LATE: u16 = 4408;
    const ID_IN_USE: u16 = 4409;
    const TOO_MANY_INITS: u16 = 4429;

    /// Closes with this reason, cut to what a frame takes.
    pub(super) fn new(code: u16, reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        while reason.len() > LONGEST_REASON {
            reason.pop();
        }
        Self { code, reason }
    }
}

/// What a message of the client asks for.
#[derive(Debug)]
pub(super) enum Step {
    /// Find out who it is, by this payload, and then [acknowledge][Protocol::acknowledge].
    Introduce(Map<String, Value>),
    /// Send this.
    Reply(String),
    /// Send this, in place of running the operation.
    Refuse(String),
    /// Run this, and note it down by [`Protocol::begin`].
    Start { id: String, asked: Box<Asked> },
    /// An operation was stopped.
    Stopped,
    /// Nothing any more.
    Nothing,
}

/// How far a client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Silent,
    Introduced,
    Acknowledged,
}

/// One client's side of the conversation, and ours.
#[derive(Debug)]
pub(super) struct Protocol {
    state: State,
    running: HashMap<String, AbortHandle>,
    most: usize,
}

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    payload: Option<Value>,
}

impl Protocol {
    /// Returns a protocol of at most `most` operations at a time.
    pub(super) fn new(most: u32) -> Self {
        Self { state: State::Silent, running: HashMap::new(), most: most as usize }
    }

    /// Whether the client has still to introduce itself.
    pub(super) fn is_silent(&self) -> bool {
        self.state == State::Silent
    }

    /// What a message asks for.
    ///
    /// # Errors
    /// When the socket has to be closed for it.
    pub(super) fn take(&mut self, text: &str) -> Result<Step, Close> {
        // Serde would take an array for the object, member by member.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(bad("a message is a JSON object"));
        }
        let message: Message =
            text::from_json(text.as_bytes()).map_err(|_| bad("a message has a type, and maybe id and payload"))?;
        match message.kind.as_str() {
            "connection_init" => {
                let payload = object(message.payload)?;
                if self.state != State::Silent {
                    return Err(Close::new(Close::TOO_MANY_INITS, "Too many initialisation requests"));
                }
                self.state = State::Introduced;
                Ok(Step::Introduce(payload))
            }
            "ping" => {
                let payload = object(message.payload)?;
                let mut pong = json!({ "type": "pong" });
                if !payload.is_empty() {
                    pong["payload"] = payload.into();
                }
                Ok(Step::Reply(pong.to_string()))
            }
            "pong" => object(message.payload).map(|_| Step::Nothing),
            "subscribe" => self.subscribe(message),
            "complete" => {
                let id = message.id.ok_or_else(|| bad("complete needs the id of an operation"))?;
                let Some(running) = self.running.remove(&id) else { return Ok(Step::Nothing) };
                running.abort();
                Ok(Step::Stopped)
            }
            _ => Err(bad("there is no such type of message")),
        }
    }

    fn subscribe(&self, message: Message) -> Result<Step, Close> {
        let id = message.id.filter(|id| !id.is_empty()).ok_or_else(|| bad("subscribe needs an id"))?;
        let payload = object(message.payload)?;
        let asked: Asked = serde_json::from_value(payload.into())
            .map_err(|_| bad("subscribe needs query, and maybe variables and operationName"))?;
        if asked.query.is_none() && asked.document_id.is_none() {
            return Err(bad("subscribe needs query"));
        }
        if self.state != State::Acknowledged {
            return Err(Close::new(Close::UNAUTHORIZED, "Unauthorized"));
        }
        if self.running.contains_key(&id) {
            return Err(Close::new(Close::ID_IN_USE, format!("Subscriber for {id} already exists")));
        }
        if self.running.len() >= self.most {
            let message = format!("{} operations run on this socket, and there may be no more", self.most);
            let fault = json!({ "message": message, "extensions": { "code": Code::LimitExceeded.as_str() } });
            return Ok(Step::Refuse(json!({ "id": id, "type": "error", "payload": [fault] }).to_string()));
        }
        Ok(Step::Start { id, asked: Box::new(asked) })
    }

    /// The client is known now: what to tell it.
    pub(super) fn acknowledge(&mut self) -> &'static str {
        self.state = State::Acknowledged;
        r#"{"type":"connection_ack"}"#
    }

    /// Notes down that an operation runs.
    pub(super) fn begin(&mut self, id: String, handle: AbortHandle) {
        self.running.insert(id, handle);
    }

    /// Notes down that an operation has come to its end.
    pub(super) fn end(&mut self, id: &str) {
        self.running.remove(id);
    }
}

fn bad(reason: &str) -> Close {
    Close::new(Close::BAD_REQUEST, format!("Invalid message: {reason}"))
}

/// A payload, which is an object where there is one.
fn object(payload: Option<Value>) -> Result<Map<String, Value>, Close> {
    match payload {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(members)) => Ok(members),
        Some(_) => Err(bad("a payload is a JSON object")),
    }
}

/// A message about an operation, with a payload that is JSON already.
pub(super) fn about(id: &str, kind: &str, payload: Option<&[u8]>) -> String {
    let mut text = format!(r#"{{"id":{},"type":"{kind}""#, Value::from(id));
    if let Some(payload) = payload {
        text.push_str(r#","payload":"#);
        // What was written as JSON is UTF-8.
        text.push_str(&String::from_utf8_lossy(payload));
    }
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const INIT: &str = r#"{"type":"connection_init"}"#;
    const SUBSCRIBE: &str = r#"{"id":"1","type":"subscribe","payload":{"query":"{ viewer { kind } }"}}"#;

    fn open(most: u32) -> Protocol {
        let mut protocol = Protocol::new(most);
        assert!(matches!(protocol.take(INIT), Ok(Step::Introduce(_))));
        protocol.acknowledge();
        protocol
    }

    fn code(protocol: &mut Protocol, text: &str) -> u16 {
        protocol.take(text).map(|step| format!("{step:?}")).expect_err("the socket stays open").code
    }

    #[test]
    fn what_is_no_message_closes_4400() {
        let long = format!(r#"{{"type":"{}"}}"#, "x".repeat(100_000));
        for text in [
            "",
            "x",
            "[]",
            r#"["connection_init"]"#,
            "{}",
            r#"{"type":1}"#,
            r#"{"type":"start"}"#,
            r#"{"type":"next","id":"1"}"#,
            r#"{"type":"connection_init","payload":[]}"#,
            r#"{"type":"ping","payload":"x"}"#,
            r#"{"type":"pong","payload":7}"#,
            r#"{"type":"subscribe"}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"subscribe","id":"","payload":{"query":"{ x }"}}"#,
            r#"{"type":"subscribe","id":1,"payload":{"query":"{ x }"}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":7}}"#,
            r#"{"type":"subscribe","id":"1","payload":{"query":"{ x }","variables":[]}}"#,
            r#"{"type":"subscribe","id":"1","payload":["{ x }"]}"#,
            r#"{"type":"complete"}"#,
            &long,
        ] {
            assert_eq!(code(&mut open(1), text), 4400, "{text}");
        }
    }

    #[test]
    fn one_introduces_oneself_once_and_first() {
        let mut protocol = Protocol::new(1);
        assert!(protocol.is_silent());
        assert_eq!(code(&mut protocol, SUBSCRIBE), 4401);
        assert!(matches!(protocol.take(INIT), Ok(Step::Introduce(payload)) if payload.is_empty()));
        assert_eq!(code(&mut protocol, SUBSCRIBE), 4401, "it is not acknowledged yet");
        assert_eq!(code(&mut protocol, INIT), 4429);
        protocol.acknowledge();
        assert_eq!(code(&mut protocol, INIT), 4429);
        assert!(matches!(protocol.take(SUBSCRIBE), Ok(Step::Start { id, .. }) if id == "1"));
    }

    #[test]
    fn an_id_is_free_again_when_its_operation_has_ended() {
        let mut protocol = open(10);
        let (handle, _) = AbortHandle::new_pair();
        protocol.begin("1".to_owned(), handle.clone());
        assert_eq!(code(&mut protocol, SUBSCRIBE), 4409);
        assert!(matches!(protocol.take(r#"{"type":"complete","id":"1"}"#), Ok(Step::Stopped)));
        assert!(handle.is_aborted());
        assert!(matches!(protocol.take(SUBSCRIBE), Ok(Step::Start { .. })));
        protocol.begin("1".to_owned(), AbortHandle::new_pair().0);
        protocol.end("1");
        assert!(matches!(protocol.take(SUBSCRIBE), Ok(Step::Start { .. })));
        assert!(matches!(protocol.take(r#"{"type":"complete","id":"unknown"}"#), Ok(Step::Nothing)));
    }

    #[test]
    fn one_operation_too_many_is_refused_and_the_others_go_on() {
        let mut protocol = open(1);
        protocol.begin("0".to_owned(), AbortHandle::new_pair().0);
        let Ok(Step::Refuse(text)) = protocol.take(SUBSCRIBE) else { panic!("it is refused by a message") };
        let message: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&message["id"], &message["type"]), (&"1".into(), &"error".into()));
        assert_eq!(message["payload"][0]["extensions"]["code"], "LIMIT_EXCEEDED");
    }

    #[test]
    fn a_ping_is_answered_with_what_it_brought() {
        let mut protocol = Protocol::new(1);
        for (ping, pong) in [
            (r#"{"type":"ping"}"#, r#"{"type":"pong"}"#),
            (r#"{"type":"ping","payload":null}"#, r#"{"type":"pong"}"#),
            (r#"{"type":"ping","payload":{"a":1}}"#, r#"{"payload":{"a":1},"type":"pong"}"#),
        ] {
            let Ok(Step::Reply(text)) = protocol.take(ping) else { panic!("a ping is answered") };
            assert_eq!(text.parse::<Value>().unwrap(), pong.parse::<Value>().unwrap());
        }
        assert!(matches!(protocol.take(r#"{"type":"pong"}"#), Ok(Step::Nothing)));
    }

    #[test]
    fn a_reason_fits_into_a_frame_and_ids_are_escaped() {
        let close = Close::new(4400, "ä".repeat(200));
        assert!(close.reason.len() <= LONGEST_REASON && close.reason.chars().all(|it| it == 'ä'));
        let text = about("a\"b", "next", Some(b"{\"data\":null}"));
        assert_eq!(text, r#"{"id":"a\"b","type":"next","payload":{"data":null}}"#);
        assert_eq!(about("1", "complete", None), r#"{"id":"1","type":"complete"}"#);
    }
}
