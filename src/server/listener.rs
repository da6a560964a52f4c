//! Takes connections in, and moves their bytes.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::HttpBody as _;
use axum::extract::Request;
use axum::http::header::{CONNECTION, HOST, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode, Version};
use axum::response::{IntoResponse as _, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutStream;
use tower::Service as _;

use super::compressed::Whole;
use super::lines::{Entry, Line, Lines, Stream};
use super::peer::Peer;
use super::sending::{Answering, Patient};
use super::{Server, refusal, unread};

/// The longest head of a request, in bytes.
const LONGEST_HEAD: u32 = 32 * 1024;
/// How much is read or written at a time at the most, in bytes.
const LARGEST_BUFFER: usize = 64 * 1024;
/// The same for a connection of HTTP/2, where it is what clients may send before it has been read.
const WINDOW: u32 = 64 * 1024;
/// How many requests a connection of HTTP/2 may make at a time: the least that its specification advises.
const MOST_STREAMS: u32 = 100;
/// How HTTP/2 begins where a client knows that it is spoken.
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// How long the last answer on a connection of HTTP/2 has to go out when the server stops.
const GRACE: Duration = Duration::from_secs(2);
/// How long it is waited for when no connection can be taken in, as when there are too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// Takes connections in and serves them.
pub(super) struct Door {
    pub(super) listener: TcpListener,
    pub(super) server: Server,
    pub(super) lines: Arc<Lines>,
    /// After how long a connection is broken off when nothing of what is to be sent has been taken.
    pub(super) patience: Duration,
    /// Whether the server stops. Each connection has one until its last request is answered.
    pub(super) stopping: watch::Receiver<bool>,
}

impl Door {
    /// Accepts connections until the server stops.
    pub(super) async fn keep_open(self) {
        let mut stopping = self.stopping.clone();
        loop {
            let accepted = tokio::select! {
                biased;
                _ = stopping.wait_for(|stopping| *stopping) => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                // Who finds no place is hung up on at once.
                Ok((stream, address)) => {
                    self.lines.let_go().await;
                    if let Some(entry) = self.lines.enter(address.ip()) {
                        self.take(stream, entry);
                    }
                }
                // It was gone before it was taken in.
                Err(error) if is_of_one(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be taken in");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn take(&self, stream: TcpStream, entry: Entry) {
        // Events are small, and each is to arrive at once.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small packets may come late");
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.patience));
        let line = Arc::clone(&entry.line);
        let connection = Connection { stream: Box::pin(stream), entry, start: Start::default() };
        let (server, lines) = (self.server.clone(), Arc::clone(&self.lines));
        let serving = Serving { line, lines, server, patience: self.patience };
        tokio::spawn(serving.serve(connection, self.stopping.clone()));
    }
}

/// Whether an error concerns one connection only.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// What a connection is served with.
#[derive(Clone)]
struct Serving {
    line: Arc<Line>,
    lines: Arc<Lines>,
    server: Server,
    patience: Duration,
}

impl Serving {
    /// Serves a connection until it ends or becomes something else than HTTP.
    async fn serve(self, mut connection: Connection, mut stopping: watch::Receiver<bool>) {
        let is_http2 = tokio::select! {
            is_http2 = connection.begins_as_http2() => is_http2,
            () = stopped(&mut stopping) => {
                self.line.stop(GRACE);
                connection.begins_as_http2().await
            }
        };
        let line = Arc::clone(&self.line);
        let service = service_fn(move |request| self.clone().answer(request));
        let ended = if is_http2 {
            line.multiplex();
            let mut http = http2::Builder::new(Patient);
            http.max_concurrent_streams(MOST_STREAMS)
                .max_header_list_size(LONGEST_HEAD)
                .initial_stream_window_size(WINDOW)
                .initial_connection_window_size(WINDOW)
                .max_send_buf_size(LARGEST_BUFFER);
            let serving = http.serve_connection(TokioIo::new(connection), service);
            until_stopped(serving, http2::Connection::graceful_shutdown, &line, stopping).await
        } else {
            let mut http = http1::Builder::new();
            // Some clients find the answer to an upgrade only under the names that they use, in their case.
            http.preserve_header_case(connection.start.read().starts_with(b"G"));
            // The time is kept by `lines`.
            http.header_read_timeout(None).max_header_size(LONGEST_HEAD as usize).max_buf_size(LARGEST_BUFFER);
            let serving = http.serve_connection(TokioIo::new(connection), service).with_upgrades();
            until_stopped(serving, http1::UpgradeableConnection::graceful_shutdown, &line, stopping).await
        };
        if let Err(error) = ended {
            tracing::trace!(%error, "a connection broke off");
        }
    }

    async fn answer(mut self, request: Request<Incoming>) -> io::Result<Response<Answering>> {
        let is_http2 = request.version() == Version::HTTP_2;
        let Some(mut answered) = Answered::of(self.line) else {
            // The connection is being closed; the client must not believe that its request was begun.
            return Err(io::ErrorKind::ConnectionAborted.into());
        };
        let has_place = !is_http2 || answered.takes_place(&self.lines);
        let mut request = unread::taken(request);
        let response = if !has_place {
            let refused = refusal(StatusCode::SERVICE_UNAVAILABLE, "there are too many requests at a time; try again");
            ([(RETRY_AFTER, "1")], refused).into_response()
        } else if names_its_host(&request) {
            request.extensions_mut().insert(Peer(Arc::clone(&answered.line)));
            self.server.call(request).await.unwrap_or_else(|never| match never {})
        } else {
            let mut response = refusal(StatusCode::BAD_REQUEST, "a request names its host, once");
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            response
        };
        let patience = is_http2.then_some(self.patience);
        let is_whole = response.body().size_hint().exact().is_some() || response.extensions().get::<Whole>().is_some();
        Ok(response.map(|body| Answering::new(body, answered, is_whole, patience)))
    }
}

/// Waits until the server stops.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    // The sender is gone when the whole server is.
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

/// Serves until the connection ends, and no further request from when the server stops.
async fn until_stopped<C: Future<Output = hyper::Result<()>>>(
    serving: C,
    shut: impl FnOnce(Pin<&mut C>),
    line: &Line,
    mut stopping: watch::Receiver<bool>,
) -> hyper::Result<()> {
    let mut serving = Box::pin(serving);
    tokio::select! {
        ended = &mut serving => ended,
        () = stopped(&mut stopping) => {
            shut(serving.as_mut());
            loop {
                line.stop(GRACE);
                tokio::select! {
                    ended = &mut serving => return ended,
                    () = tokio::time::sleep(GRACE) => {}
                }
            }
        }
    }
}

/// A request that counts as answered when this is dropped.
pub(super) struct Answered {
    line: Arc<Line>,
    /// The place that it takes over HTTP/2.
    stream: Option<Stream>,
}

impl Answered {
    /// `None` when the connection is about to be closed.
    fn of(line: Arc<Line>) -> Option<Self> {
        line.begin().then(|| Self { line, stream: None })
    }

    /// Takes a place among the requests over HTTP/2. Whether there is one.
    fn takes_place(&mut self, lines: &Arc<Lines>) -> bool {
        self.stream = lines.enter_stream(self.line.address());
        self.stream.is_some()
    }
}

impl Drop for Answered {
    fn drop(&mut self) {
        self.line.end();
    }
}

/// Whether a request says for whom it is, as HTTP/1.1 and HTTP/2 want it.
fn names_its_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let one = match (hosts.next(), hosts.next()) {
        (None, _) => request.version() == Version::HTTP_2 && request.uri().authority().is_some(),
        (Some(_), another) => another.is_none(),
    };
    one || (request.version() < Version::HTTP_11 && !request.headers().contains_key(HOST))
}

/// A connection, which reads as closed when nothing comes of it.
struct Connection {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    entry: Entry,
    start: Start,
}

/// What was read of a connection to find out what is spoken, and is still to be handed on.
#[derive(Default)]
struct Start {
    bytes: [u8; PREFACE.len()],
    have: usize,
    given: usize,
}

impl Start {
    fn read(&self) -> &[u8] {
        &self.bytes[..self.have]
    }
}

impl Connection {
    /// Whether the client begins with HTTP/2. May be given up and asked again.
    async fn begins_as_http2(&mut self) -> bool {
        while self.start.have < PREFACE.len() && PREFACE.starts_with(self.start.read()) {
            let Start { mut bytes, have, .. } = self.start;
            let mut buf = ReadBuf::new(&mut bytes[have..]);
            let read = poll_fn(|context| self.poll_stream(context, &mut buf)).await;
            let more = buf.filled().len();
            if read.is_err() || more == 0 {
                break;
            }
            self.start = Start { bytes, have: have + more, given: 0 };
        }
        self.start.read() == PREFACE
    }

    fn poll_stream(&mut self, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match self.stream.as_mut().poll_read(context, buf) {
            Poll::Ready(Ok(())) => {
                if buf.filled().len() > before {
                    self.entry.line.read();
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(error) => Poll::Ready(error),
            // Nothing read is how a connection ends.
            Poll::Pending => self.entry.line.poll_closed(context).map(Ok),
        }
    }

    fn note(&self, sent: &Poll<io::Result<usize>>) {
        if matches!(sent, Poll::Ready(Ok(1..))) {
            self.entry.line.sent();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Start { bytes, have, given } = self.start;
        if given < have {
            let part = &bytes[given..have];
            let part = &part[..part.len().min(buf.remaining())];
            buf.put_slice(part);
            self.start.given += part.len();
            return Poll::Ready(Ok(()));
        }
        self.poll_stream(context, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let sent = self.stream.as_mut().poll_write(context, buf);
        self.note(&sent);
        sent
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.as_mut().poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = self.stream.as_mut().poll_write_vectored(context, bufs);
        self.note(&sent);
        sent
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_1_1_names_one_host_http_2_an_authority_and_http_1_0_need_not() {
        let request = |version, hosts: &[&str]| {
            let mut request = Request::builder().version(version);
            if version == Version::HTTP_2 && hosts.first() == Some(&"authority") {
                return request.uri("http://authority/").body(()).unwrap();
            }
            for host in hosts {
                request = request.header(HOST, *host);
            }
            request.body(()).unwrap()
        };
        for (version, hosts, fits) in [
            (Version::HTTP_11, &["a"][..], true),
            (Version::HTTP_11, &[], false),
            (Version::HTTP_11, &["a", "a"], false),
            (Version::HTTP_10, &[], true),
            (Version::HTTP_10, &["a"], true),
            (Version::HTTP_10, &["a", "b"], false),
            (Version::HTTP_2, &["authority"], true),
            (Version::HTTP_2, &["a"], true),
            (Version::HTTP_2, &[], false),
        ] {
            assert_eq!(names_its_host(&request(version, hosts)), fits, "{version:?} {hosts:?}");
        }
    }
}
