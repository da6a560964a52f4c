//! A WebSocket as a client has it, no more than it takes: messages are short, whole, and not masked by chance.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Result;

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;
const PING: u8 = 0x89;
const PONG: u8 = 0x8a;

/// An open socket that speaks `graphql-transport-ws`.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    received: Vec<u8>,
    /// When the last of it came.
    came: Instant,
}

impl Socket {
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET /graphql HTTP/1.1\r\nhost: {address}\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: d2F5bWFyayBiZW5jaG1hcg==\r\n\
             sec-websocket-protocol: graphql-transport-ws\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut socket = Self { stream, received: Vec::new(), came: Instant::now() };
        let end = loop {
            socket.read().await?;
            if let Some(place) = socket.received.windows(4).position(|four| four == b"\r\n\r\n") {
                break place + 4;
            }
        };
        if !socket.received.starts_with(b"HTTP/1.1 101") {
            return Err(format!("no WebSocket: {}", String::from_utf8_lossy(&socket.received)).into());
        }
        socket.received.drain(..end);
        Ok(socket)
    }

    pub(crate) async fn send(&mut self, message: &str) -> Result<()> {
        self.send_frame(TEXT, message.as_bytes()).await
    }

    /// Gives the next message and when it came. Answers pings meanwhile.
    ///
    /// # Errors
    /// When the server closes the socket.
    pub(crate) async fn hear(&mut self) -> Result<(String, Instant)> {
        loop {
            let Some((kind, start, end)) = frame(&self.received) else {
                self.read().await?;
                continue;
            };
            let payload = self.received[start..end].to_vec();
            self.received.drain(..end);
            match kind {
                TEXT => return Ok((String::from_utf8(payload)?, self.came)),
                PING => self.send_frame(PONG, &payload).await?,
                CLOSE => return Err(format!("the server closed: {}", String::from_utf8_lossy(&payload)).into()),
                _ => {}
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.received).await? == 0 {
            return Err("the server hung up".into());
        }
        self.came = Instant::now();
        Ok(())
    }

    async fn send_frame(&mut self, kind: u8, payload: &[u8]) -> Result<()> {
        const MASKED: u8 = 0x80;
        // A mask of zeros leaves everything as it is.
        const MASK: [u8; 4] = [0; 4];
        let mut frame = vec![kind];
        match u16::try_from(payload.len())? {
            short @ ..126 => frame.push(MASKED | u8::try_from(short)?),
            long => {
                frame.push(MASKED | 126);
                frame.extend(long.to_be_bytes());
            }
        }
        frame.extend(MASK);
        frame.extend(payload);
        Ok(self.stream.write_all(&frame).await?)
    }
}

/// The kind of the first frame in `bytes` and where its payload is; `None` when it is not all there.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let (&kind, &length) = (bytes.first()?, bytes.get(1)?);
    let (start, length) = match length {
        126 => (4, u64::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?))),
        127 => (10, u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)),
        short => (2, u64::from(short)),
    };
    let end = start + usize::try_from(length).ok()?;
    (bytes.len() >= end).then_some((kind, start, end))
}
