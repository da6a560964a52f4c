//! One WebSocket: a single task that reads, runs the operations, and writes.
//!
//! Nothing is queued: an operation is asked for its next answer only when the last one has been written. So a client
//! that does not read holds up no other client, takes little memory, and is closed after a while.

use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, BoxStream, SelectAll, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep_until, timeout};

use super::frames::{Frames, Said};
use super::protocol::{self, Close, Protocol, Step};
use super::{FAREWELL, credential_in};
use crate::app::App;
use crate::gate::Refusal;
use crate::operation;
use crate::operation::{Answer, Asked, Client, Kind, Prepared};
use crate::streams::Place;
use waymark_auth::{Caller, Session};
use waymark_kernel::error::{Code, Error};
use waymark_request::admission::{Applicant, Held};

/// How many messages that cost nothing a client may send at once, and per second from then on. Operations have a cost,
/// and the caller's rate bounds them.
const MOST_FREE: f64 = 200.0;
const FREE_PER_SECOND: f64 = 20.0;
/// The length of a message that counts as one more, in bytes.
const LENGTH_OF_ONE: f64 = 4096.0;

/// What an operation has to say.
enum Piece {
    /// An answer; more may follow.
    Next(Answer),
    /// What stopped it.
    Failed(Answer),
    Done,
}

/// How many messages that cost nothing a client may still send.
struct Allowance {
    left: f64,
    at: Instant,
}

impl Allowance {
    fn new() -> Self {
        Self { left: MOST_FREE, at: Instant::now() }
    }

    /// Takes the price of a message of `bytes` bytes.
    ///
    /// # Errors
    /// When there are too many of them.
    fn take(&mut self, bytes: usize, now: Instant) -> Result<(), Close> {
        let since = now.duration_since(self.at).as_secs_f64();
        let left = (self.left + since * FREE_PER_SECOND).min(MOST_FREE) - 1.0 - bytes as f64 / LENGTH_OF_ONE;
        (self.left, self.at) = (left.max(0.0), now);
        if left < 0.0 { Err(Close::new(Close::POLICY, "too many messages that ask for nothing")) } else { Ok(()) }
    }
}

/// One connection.
pub(super) struct Socket {
    app: Arc<App>,
    frames: Frames<TokioIo<Upgraded>>,
    place: Place,
    /// Where the other end is, if that is known.
    peer: Option<IpAddr>,
    protocol: Protocol,
    allowance: Allowance,
    /// Who is at the other end, once that is known.
    session: Option<Session>,
    operations: SelectAll<BoxStream<'static, (String, Piece)>>,
    /// When the client was heard last.
    heard: Instant,
}

/// What there is to do next.
enum Event {
    Said(Said),
    Piece(String, Piece),
    /// The client has been silent for a while.
    Silence,
    Over(Close),
    /// The client has gone.
    Gone,
}

impl Socket {
    pub(super) fn new(app: Arc<App>, frames: Frames<TokioIo<Upgraded>>, place: Place, peer: Option<IpAddr>) -> Self {
        let protocol = Protocol::new(app.config.limits.max_socket_operations);
        let (operations, allowance, heard) = (SelectAll::new(), Allowance::new(), Instant::now());
        Self { app, frames, place, peer, protocol, allowance, session: None, operations, heard }
    }

    /// Talks until one side has had enough: why the socket is to be closed; `None` when it is.
    pub(super) async fn serve(&mut self, shown: Option<String>) -> Option<Close> {
        let limits = &self.app.config.limits;
        let keep_alive = Duration::from_secs(limits.keep_alive_seconds);
        let too_late = Instant::now() + Duration::from_secs(limits.socket_init_seconds);
        let mut ping_at = Instant::now() + keep_alive;
        loop {
            let done = match self.next(too_late, ping_at).await {
                Event::Said(said) => {
                    self.heard = Instant::now();
                    ping_at = self.heard + keep_alive;
                    // Boxed, like all that is large and hardly ever under way: most sockets wait.
                    Box::pin(self.hear(said, shown.as_deref())).await
                }
                Event::Piece(id, piece) => Box::pin(self.tell(&id, piece)).await,
                Event::Silence if self.heard.elapsed() > keep_alive * 2 => {
                    Err(Some(Close::new(Close::GOING_AWAY, "nothing was heard for too long")))
                }
                Event::Silence => {
                    ping_at = Instant::now() + keep_alive;
                    let patience = self.patience();
                    sent(timeout(patience, self.frames.ping()).await)
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
        let silent = self.protocol.is_silent();
        let longest = Duration::from_secs(self.app.config.limits.request_timeout_seconds);
        // One clock for all that may come too late.
        let unfinished = self.frames.unfinished_since().map(|since| since + longest);
        let introduction = silent.then_some(too_late);
        let first = [Some(ping_at), unfinished, introduction].into_iter().flatten().min().unwrap_or(ping_at);
        let ended = async {
            match &mut self.session {
                Some(session) => session.ended().await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = self.place.stopping() => Event::Over(Close::new(Close::GOING_AWAY, "the server is going away")),
            error = ended => Event::Over(Close::new(Close::FORBIDDEN, error.message())),
            () = sleep_until(first) => {
                let now = Instant::now();
                if introduction.is_some_and(|at| at <= now) {
                    Event::Over(Close::new(Close::TOO_LATE, "Connection initialisation timeout"))
                } else if unfinished.is_some_and(|at| at <= now) {
                    Event::Over(Close::new(Close::POLICY, "the message was not finished in time"))
                } else {
                    Event::Silence
                }
            }
            said = self.frames.hear() => match said {
                Ok(Some(said)) => Event::Said(said),
                Ok(None) => Event::Gone,
                Err(close) => Event::Over(close),
            },
            Some((id, piece)) = self.operations.next() => Event::Piece(id, piece),
        }
    }

    async fn hear(&mut self, said: Said, shown: Option<&str>) -> Result<(), Option<Close>> {
        let (text, held) = match said {
            Said::Text(text, held) => (text, held),
            Said::Ping(payload) => {
                self.allowance.take(payload.len(), self.heard)?;
                let patience = self.patience();
                return sent(timeout(patience, self.frames.pong(&payload)).await);
            }
            Said::Pong => return Ok(self.allowance.take(0, self.heard)?),
            Said::Begun => return Ok(()),
            Said::Farewell(code) => {
                // Clients go by the code that comes back.
                let close = code.map(|code| Close::new(code, ""));
                let _ = timeout(FAREWELL, self.frames.farewell(close.as_ref())).await;
                self.frames.shut().await;
                return Err(None);
            }
        };
        let step = self.protocol.take(&text)?;
        if matches!(step, Step::Introduce(_) | Step::Reply(_) | Step::Nothing) {
            self.allowance.take(text.len(), self.heard)?;
        }
        drop(text);
        match step {
            Step::Introduce(payload) => {
                let session = self.introduce(&payload, shown).await?;
                let caller = session.caller().map_err(|error| Close::new(Close::FORBIDDEN, error.message()))?;
                if !self.place.introduce(&caller, self.peer) {
                    let message = "there are too many connections; try again later";
                    return Err(Some(Close::new(Close::TRY_AGAIN, message)));
                }
                self.session = Some(session);
                let answer = self.protocol.acknowledge();
                self.send(answer).await
            }
            Step::Reply(text) => self.send(&text).await,
            Step::Refuse(text) => {
                if let Some(caller) = self.session.as_ref().and_then(|session| session.caller().ok()) {
                    let client = Client { caller, peer: self.peer };
                    operation::look(&self.app, &client).map_err(|error| Close::new(Close::POLICY, error.message()))?;
                }
                self.send(&text).await
            }
            Step::Start { id, asked } => {
                self.start(id, *asked, held);
                Ok(())
            }
            Step::Stopped => {
                // It may have been stopped before it cost anything. Apps have reasons of their own.
                let caller = self.session.as_ref().and_then(|session| session.caller().ok());
                if !matches!(caller.as_deref(), Some(Caller::App(_))) {
                    self.allowance.take(0, self.heard)?;
                }
                Ok(())
            }
            Step::Nothing => Ok(()),
        }
    }

    /// Who is there: by the payload, or else by the headers of the upgrade.
    async fn introduce(&mut self, payload: &Map<String, Value>, shown: Option<&str>) -> Result<Session, Close> {
        let now = self.app.clock.now();
        let refused = |error: Error| match error.code() {
            Code::InvalidCredential => Close::new(Close::FORBIDDEN, error.message()),
            Code::RateLimited => Close::new(Close::TRY_AGAIN, error.message()),
            _ => {
                tracing::error!(error = error.chain(), "a client could not be authenticated");
                Close::new(Close::TRY_AGAIN, error.message())
            }
        };
        let credential = credential_in(payload, self.app.authenticator.takes_signatures()).map_err(refused)?;
        let (caller, expires_at) = match credential.as_deref().or(shown) {
            Some(credential) => {
                self.app.authenticator.admit(credential, self.peer, &self.app.db, now).await.map_err(refused)?
            }
            None => (Arc::new(Caller::Anonymous), None),
        };
        Ok(self.app.vigil.watch(caller, expires_at, now))
    }

    /// Runs the operation of a message whose bytes `held` counts until it runs.
    fn start(&mut self, id: String, asked: Asked, held: Held) {
        let Some(session) = self.session.clone() else { return };
        let pieces = pieces(Arc::clone(&self.app), session, self.peer, asked, held);
        let (pieces, handle) = stream::abortable(pieces);
        self.protocol.begin(id.clone(), handle);
        self.operations.push(pieces.map(move |piece| (id.clone(), piece)).boxed());
    }

    async fn tell(&mut self, id: &str, piece: Piece) -> Result<(), Option<Close>> {
        let written = match &piece {
            Piece::Next(answer) => answer.to_json().map(|json| protocol::about(id, "next", Some(&json))),
            Piece::Failed(answer) => answer.errors_to_json().map(|json| protocol::about(id, "error", Some(&json))),
            Piece::Done => Ok(protocol::about(id, "complete", None)),
        };
        if !matches!(piece, Piece::Next(_)) {
            self.protocol.end(id);
        }
        if matches!(&piece, Piece::Failed(answer) if answer.is_limited()) {
            // A refusal for the rate costs the client nothing, so it counts as a free message.
            self.allowance.take(0, Instant::now())?;
        }
        drop(piece);
        match written {
            Ok(text) => self.send(&text).await,
            Err(error) => {
                tracing::error!(%error, "an answer could not be written");
                Err(Some(Close::new(1011, "internal error")))
            }
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_secs(self.app.config.limits.slow_reader_seconds)
    }

    async fn send(&mut self, text: &str) -> Result<(), Option<Close>> {
        sent(timeout(self.patience(), self.frames.say(text)).await)
    }

    /// Says farewell, and waits a moment for the answer.
    pub(super) async fn close(mut self, close: Close) {
        self.operations.clear();
        self.frames.forget();
        let farewell = async {
            if self.frames.farewell(Some(&close)).await.is_ok() {
                self.frames.shut().await;
                // Closing at once would take back what was sent while something is still coming.
                self.frames.drain().await;
            }
        };
        let _ = timeout(FAREWELL, farewell).await;
    }
}

/// What comes of sending something.
fn sent(outcome: Result<io::Result<()>, tokio::time::error::Elapsed>) -> Result<(), Option<Close>> {
    match outcome {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) => Err(None),
        Err(_) => {
            tracing::info!("a WebSocket is closed whose other end does not read");
            Err(Some(Close::new(Close::TRY_AGAIN, "what is sent is not read")))
        }
    }
}

/// Runs an operation, piece by piece.
fn pieces(
    app: Arc<App>,
    session: Session,
    peer: Option<IpAddr>,
    asked: Asked,
    held: Held,
) -> BoxStream<'static, Piece> {
    let begun = async move {
        let _held = held;
        let client = match session.caller() {
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
            Kind::Subscription => match operation::follow(&app, &client, session, prepared, None) {
                Ok(answers) => until_failed(answers),
                Err(refusal) => failed(refusal),
            },
        }
    };
    // Boxed, so that the memory for the beginning is freed once it has begun.
    stream::once(Box::pin(begun)).flatten().boxed()
}

/// Runs a query or a mutation in its turn, like one that comes by itself.
async fn run(app: &App, client: &Client, prepared: Prepared) -> Result<Answer, Refusal> {
    let cost = operation::take(app, client, &prepared)?;
    let applicant = Applicant { app: matches!(*client.caller, Caller::App(_)), origin: client.peer };
    let work = || operation::execute(app, client, prepared, cost, None);
    let answer = app.admission.work(applicant, work).await;
    answer.unwrap_or_else(|unanswered| {
        let code = if unanswered.is_ours() { Code::Internal } else { Code::Unavailable };
        Err(Error::new(code, unanswered.message()).into())
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_that_cost_nothing_are_counted_by_number_and_length() {
        let now = Instant::now();
        let fresh = || Allowance { left: MOST_FREE, at: now };
        let mut pings = fresh();
        assert!((0..200).all(|_| pings.take(0, now).is_ok()));
        assert_eq!(pings.take(0, now).unwrap_err().code, Close::POLICY);
        let later = now + Duration::from_secs(1);
        assert!((0..20).all(|_| pings.take(0, later).is_ok()) && pings.take(0, later).is_err());
        assert!(fresh().take(700_000, now).is_ok() && fresh().take(1_000_000, now).is_err());
        // A client that pings once a second may do so for ever.
        let mut slow = fresh();
        assert!((0..1000).all(|second| slow.take(100, now + Duration::from_secs(second)).is_ok()));
    }
}
