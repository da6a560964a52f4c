//! One WebSocket: a single task that reads, runs what is asked, and writes.
//!
//! Nothing is queued: an operation is asked for its next answer only when the last one has been written. So whoever does
//! not read holds up nobody else, keeps little in memory, and is closed after a while.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::stream::{self, BoxStream, SelectAll, StreamExt as _};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite;

use super::protocol::{self, Close, Session, Step};
use super::{FAREWELL, credential_in};
use crate::app::App;
use crate::auth::{Caller, Standing};
use crate::error::{Code, Error};
use crate::server::gate::Refusal;
use crate::server::operation::{self, Answer, Asked, Client, Kind, Prepared};
use crate::server::streams::Place;

/// What an operation has to say.
enum Piece {
    /// An answer; more may follow.
    Next(Answer),
    /// What stopped it.
    Failed(Answer),
    Done,
}

/// One connection.
pub(super) struct Socket {
    app: Arc<App>,
    stream: WebSocket,
    place: Place,
    /// Where the other end is, if that is known.
    peer: Option<IpAddr>,
    session: Session,
    /// Who is at the other end, once that is known.
    standing: Option<Standing>,
    operations: SelectAll<BoxStream<'static, (String, Piece)>>,
    /// When the client was heard last.
    heard: Instant,
}

/// What there is to do next.
enum Event {
    Said(Message),
    Piece(String, Piece),
    /// The client has been silent for a while.
    Silence,
    Over(Close),
    /// There is nobody any more.
    Gone,
}

impl Socket {
    pub(super) fn new(app: Arc<App>, stream: WebSocket, place: Place, peer: Option<IpAddr>) -> Self {
        let session = Session::new(app.config.limits.max_socket_operations);
        let operations = SelectAll::new();
        Self { app, stream, place, peer, session, standing: None, operations, heard: Instant::now() }
    }

    /// Talks until one side has had enough: why the socket is to be closed; `None` when it is.
    pub(super) async fn serve(&mut self, shown: Option<String>) -> Option<Close> {
        let limits = &self.app.config.limits;
        let keep_alive = Duration::from_secs(limits.keep_alive_seconds);
        let too_late = Instant::now() + Duration::from_secs(limits.socket_init_seconds);
        let mut ping_at = Instant::now() + keep_alive;
        loop {
            let done = match self.next(too_late, ping_at).await {
                Event::Said(message) => {
                    self.heard = Instant::now();
                    ping_at = self.heard + keep_alive;
                    self.hear(message, shown.as_deref()).await
                }
                Event::Piece(id, piece) => self.tell(&id, piece).await,
                Event::Silence if self.heard.elapsed() > keep_alive * 2 => {
                    Err(Some(Close::new(Close::GOING_AWAY, "nothing was heard for too long")))
                }
                Event::Silence => {
                    ping_at = Instant::now() + keep_alive;
                    self.send(Message::Ping(Default::default())).await
                }
                Event::Over(close) => Err(Some(close)),
                Event::Gone => Err(None),
            };
            if let Err(close) = done {
                return close;
            }
        }
    }

    async fn next(&mut self, too_late: Instant, ping_at: Instant) -> Event {
        let silent = self.session.is_silent();
        let ended = async {
            match &mut self.standing {
                Some(standing) => standing.ended().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.place.stopping() => Event::Over(Close::new(Close::GOING_AWAY, "the server is going away")),
            error = ended => Event::Over(Close::new(Close::FORBIDDEN, error.message())),
            () = sleep_until(too_late), if silent => {
                Event::Over(Close::new(Close::TOO_LATE, "Connection initialisation timeout"))
            }
            said = self.stream.recv() => match said {
                Some(Ok(message)) => Event::Said(message),
                Some(Err(error)) => misheard(error).map_or(Event::Gone, Event::Over),
                None => Event::Gone,
            },
            Some((id, piece)) = self.operations.next() => Event::Piece(id, piece),
            () = sleep_until(ping_at) => Event::Silence,
        }
    }

    async fn hear(&mut self, message: Message, shown: Option<&str>) -> Result<(), Option<Close>> {
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(Some(Close::new(4400, "Invalid message: send text"))),
            // Pings and farewells are answered when more is read.
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) => return Ok(()),
        };
        match self.session.take(text.as_str())? {
            Step::Introduce(payload) => {
                self.standing = Some(self.introduce(&payload, shown).await?);
                let answer = self.session.acknowledge();
                self.send(Message::text(answer)).await
            }
            Step::Reply(text) => self.send(Message::text(text)).await,
            Step::Start { id, asked } => {
                self.start(id, *asked);
                Ok(())
            }
            Step::Nothing => Ok(()),
        }
    }

    /// Who is there: by the payload, or else by the headers of the upgrade.
    async fn introduce(&mut self, payload: &Map<String, Value>, shown: Option<&str>) -> Result<Standing, Close> {
        let now = self.app.clock.now();
        let refused = |error: Error| match error.code() {
            Code::InvalidCredential => Close::new(Close::FORBIDDEN, error.message()),
            _ => {
                tracing::error!(error = error.chain(), "a client could not be authenticated");
                Close::new(Close::TRY_AGAIN, error.message())
            }
        };
        let credential = credential_in(payload).map_err(refused)?;
        let (caller, expires_at) = match credential.as_deref().or(shown) {
            Some(credential) => self.app.authenticator.admit(credential, &self.app.db, now).await.map_err(refused)?,
            None => (Arc::new(Caller::Anonymous), None),
        };
        Ok(self.app.vigil.watch(caller, expires_at, now))
    }

    fn start(&mut self, id: String, asked: Asked) {
        let Some(standing) = self.standing.clone() else { return };
        let pieces = pieces(Arc::clone(&self.app), standing, self.peer, asked);
        let (pieces, handle) = stream::abortable(pieces);
        self.session.begin(id.clone(), handle);
        self.operations.push(pieces.map(move |piece| (id.clone(), piece)).boxed());
    }

    async fn tell(&mut self, id: &str, piece: Piece) -> Result<(), Option<Close>> {
        let written = match &piece {
            Piece::Next(answer) => answer.to_json().map(|json| protocol::about(id, "next", Some(&json))),
            Piece::Failed(answer) => answer.errors_to_json().map(|json| protocol::about(id, "error", Some(&json))),
            Piece::Done => Ok(protocol::about(id, "complete", None)),
        };
        if !matches!(piece, Piece::Next(_)) {
            self.session.end(id);
        }
        match written {
            Ok(text) => self.send(Message::text(text)).await,
            Err(error) => {
                tracing::error!(%error, "an answer could not be written");
                Err(Some(Close::new(1011, "internal error")))
            }
        }
    }

    async fn send(&mut self, message: Message) -> Result<(), Option<Close>> {
        let patience = Duration::from_secs(self.app.config.limits.slow_reader_seconds);
        match timeout(patience, self.stream.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(None),
            Err(_) => {
                tracing::info!("a WebSocket is closed whose other end does not read");
                Err(Some(Close::new(Close::TRY_AGAIN, "what is sent is not read")))
            }
        }
    }

    /// Says farewell, and waits a moment for the answer.
    pub(super) async fn close(mut self, close: Close) {
        self.operations.clear();
        let frame = CloseFrame { code: close.code, reason: close.reason.into() };
        let farewell = async {
            if self.stream.send(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.stream.recv().await {}
                // A stream that was broken off is read no further, and closing it at once would take back what was sent.
                tokio::time::sleep(FAREWELL / 10).await;
            }
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}

/// Why a socket is to be closed whose stream cannot be read; `None` when there is nobody to be told.
fn misheard(error: axum::Error) -> Option<Close> {
    let error = error.into_inner();
    match error.downcast_ref::<tungstenite::Error>()? {
        tungstenite::Error::Capacity(_) => Some(Close::new(Close::TOO_BIG, "the message is too big")),
        tungstenite::Error::Utf8(_) => Some(Close::new(Close::NO_TEXT, "the message is no UTF-8")),
        tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake) => None,
        tungstenite::Error::Protocol(_) => Some(Close::new(Close::PROTOCOL, "this is not how WebSockets talk")),
        _ => None,
    }
}

/// Runs what is asked, piece by piece.
fn pieces(app: Arc<App>, standing: Standing, peer: Option<IpAddr>, asked: Asked) -> BoxStream<'static, Piece> {
    let begun = async move {
        let client = match standing.caller() {
            Ok(caller) => Client { caller, peer },
            Err(error) => return failed(error.into()),
        };
        let prepared = match operation::prepare(&app, &client, asked) {
            Ok(prepared) => prepared,
            Err(refusal) => return failed(refusal),
        };
        match prepared.kind {
            Kind::Query | Kind::Mutation => match run(&app, &client, prepared).await {
                Ok(answer) => stream::iter([Piece::Next(answer), Piece::Done]).boxed(),
                Err(refusal) => failed(refusal),
            },
            Kind::Subscription => match operation::follow(&app, &client, standing, prepared) {
                Ok(answers) => until_failed(answers),
                Err(refusal) => failed(refusal),
            },
        }
    };
    stream::once(begun).flatten().boxed()
}

async fn run(app: &App, client: &Client, prepared: Prepared) -> Result<Answer, Refusal> {
    let limit = Duration::from_secs(app.config.limits.request_timeout_seconds);
    let cost = operation::take(app, client, &prepared)?;
    let answer = timeout(limit, operation::execute(app, client, prepared, cost)).await;
    let too_long = || Error::new(Code::Unavailable, "the answer took too long; try again");
    answer.unwrap_or_else(|_| Err(too_long().into()))
}

fn failed(refusal: Refusal) -> BoxStream<'static, Piece> {
    stream::once(async { Piece::Failed(refusal.into()) }).boxed()
}

/// The answers of a subscription; one with errors is the last.
fn until_failed(answers: BoxStream<'static, Answer>) -> BoxStream<'static, Piece> {
    stream::unfold(Some(answers), async |answers| {
        let mut answers = answers?;
        Some(match answers.next().await {
            Some(answer) if answer.has_errors() => (Piece::Failed(answer), None),
            Some(answer) => (Piece::Next(answer), Some(answers)),
            None => (Piece::Done, None),
        })
    })
    .boxed()
}
