//! Takes connections in, and moves their bytes.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{CONNECTION, HOST};
use axum::http::{HeaderValue, StatusCode, Version};
use axum::response::Response;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutStream;
use tower::Service as _;

use super::lines::{Entry, Line, Lines};
use super::peer::Peer;
use super::{Server, refusal, unread};

/// The longest head of a request, in bytes.
const LONGEST_HEAD: usize = 32 * 1024;
/// How much is read or written at a time at the most, in bytes.
const LARGEST_BUFFER: usize = 64 * 1024;
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
        let connection = Connection { stream: Box::pin(stream), entry };
        tokio::spawn(serve(connection, line, self.server.clone(), self.stopping.clone()));
    }
}

/// Whether an error concerns one connection only.
fn is_of_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}

/// Serves a connection until it ends or becomes something else than HTTP.
async fn serve(connection: Connection, line: Arc<Line>, server: Server, mut stopping: watch::Receiver<bool>) {
    let answering = Arc::clone(&line);
    let service = service_fn(move |request| answer(server.clone(), Arc::clone(&answering), request));
    let mut http = http1::Builder::new();
    // The time is kept by `lines`.
    http.header_read_timeout(None).max_header_size(LONGEST_HEAD).max_buf_size(LARGEST_BUFFER);
    let mut connection = Box::pin(http.serve_connection(TokioIo::new(connection), service).with_upgrades());
    let stopped = async {
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopped => {
            connection.as_mut().graceful_shutdown();
            line.stop();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::trace!(%error, "a connection broke off");
    }
}

async fn answer(mut server: Server, line: Arc<Line>, request: Request<Incoming>) -> io::Result<Response<Answering>> {
    if !line.begin() {
        // The connection is being closed; the client must not believe that its request was begun.
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let mut request = unread::taken(request);
    let response = if names_its_host(&request) {
        request.extensions_mut().insert(Peer(Arc::clone(&line)));
        server.call(request).await.unwrap_or_else(|never| match never {})
    } else {
        let mut response = refusal(StatusCode::BAD_REQUEST, "a request of HTTP/1.1 names its host, once");
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response
    };
    Ok(response.map(|body| Answering { body, _line: Answered(line) }))
}

/// Whether a request says for whom it is, as HTTP/1.1 wants it.
fn names_its_host<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let one = matches!((hosts.next(), hosts.next()), (Some(_), None));
    one || (request.version() < Version::HTTP_11 && !request.headers().contains_key(HOST))
}

/// The body of an answer; the request counts as answered when it has been sent.
struct Answering {
    body: Body,
    _line: Answered,
}

struct Answered(Arc<Line>);

impl Drop for Answered {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl HttpBody for Answering {
    type Data = <Body as HttpBody>::Data;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection, which reads as closed when nothing comes of it.
struct Connection {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    entry: Entry,
}

impl Connection {
    fn note(&self, sent: &Poll<io::Result<usize>>) {
        if matches!(sent, Poll::Ready(Ok(1..))) {
            self.entry.line.sent();
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
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
    fn http_1_1_names_one_host_and_http_1_0_need_not() {
        let request = |version, hosts: &[&str]| {
            let mut request = Request::builder().version(version);
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
        ] {
            assert_eq!(names_its_host(&request(version, hosts)), fits, "{version:?} {hosts:?}");
        }
    }
}
