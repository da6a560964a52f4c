//! Connections that end when nothing can come of them: whose other end does not read for ever, or has not asked anything
//! when the server stops.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutStream;

/// Accepts connections that break off when nothing of what is to be sent has been taken for so long.
pub(super) struct Patient {
    pub(super) listener: TcpListener,
    pub(super) patience: Duration,
    /// Whether the server stops.
    pub(super) stopping: watch::Receiver<bool>,
}

impl Listener for Patient {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Events are small, and each is to arrive at once.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small packets may come late");
        }
        let mut stream = TimeoutStream::new(stream);
        stream.set_write_timeout(Some(self.patience));
        let mut stopping = self.stopping.clone();
        let stopping = async move {
            let _ = stopping.wait_for(|stopping| *stopping).await;
        };
        (Connection { stream: Box::pin(stream), silent: Some(Box::pin(stopping)) }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection, which reads as closed when the server stops before anything was asked. The HTTP layer waits for the first
/// request of such a one, however long that takes.
pub(super) struct Connection {
    stream: Pin<Box<TimeoutStream<TcpStream>>>,
    /// While nothing has been read: until the server stops.
    silent: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = buf.filled().len();
        let polled = self.stream.as_mut().poll_read(context, buf);
        if polled.is_ready() && buf.filled().len() > read {
            self.silent = None;
        }
        if polled.is_pending() && self.silent.as_mut().is_some_and(|stop| stop.as_mut().poll(context).is_ready()) {
            self.silent = None;
            return Poll::Ready(Ok(()));
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.stream.as_mut().poll_write(context, buf)
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
        self.stream.as_mut().poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
