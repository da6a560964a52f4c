//! WebSockets on the wire (RFC 6455), as a server sees them: what comes in frames, and what goes out in them.
//!
//! Nothing is set aside for what a frame promises: a message takes what has come of it, counted with the bodies of all
//! requests, and gives it back as soon as it is dealt with. A connection on which nothing moves has no buffer at all.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::protocol::Close;
use waymark_request::admission::Held;

/// How much is read at a time, in bytes.
const READ: usize = 4 * 1024;
/// The longest head of a frame: two bytes, eight of length, four of the mask.
const LONGEST_HEAD: usize = 14;
/// The longest payload of a control frame.
const LONGEST_CONTROL: usize = 125;
/// By how much a message grows at a time at least, and a buffer that is larger than this is given back.
const STEP: usize = 16 * 1024;

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

/// The answer to the key with which a client asks for a WebSocket.
pub(super) fn accept(key: &[u8]) -> String {
    let digest = Sha1::new().chain_update(key).chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    STANDARD.encode(digest)
}

/// What the other end says.
#[derive(Debug)]
pub(super) enum Said {
    /// A message has begun and is not all there.
    Begun,
    /// A message, with what counts its bytes.
    Text(String, Held),
    Ping(Vec<u8>),
    Pong,
    /// A farewell, with the code that the client gives, if it gives one, which is to be said back.
    Farewell(Option<u16>),
}

/// A frame whose payload is coming.
#[derive(Debug)]
struct Frame {
    fin: bool,
    kind: u8,
    mask: [u8; 4],
    /// How much of the payload has come, and how much has not.
    at: usize,
    left: usize,
}

impl Frame {
    const fn is_control(&self) -> bool {
        self.kind >= CLOSE
    }
}

/// Puts together what comes in frames.
#[derive(Debug)]
struct Reader {
    /// The longest message.
    most: usize,
    head: [u8; LONGEST_HEAD],
    have: usize,
    frame: Option<Frame>,
    message: Option<Vec<u8>>,
    control: Vec<u8>,
    held: Held,
    /// Since when a message is coming.
    since: Option<Instant>,
    /// Whether that was told.
    told: bool,
}

impl Reader {
    fn new(most: usize, held: Held) -> Self {
        Self {
            most,
            head: [0; LONGEST_HEAD],
            have: 0,
            frame: None,
            message: None,
            control: Vec::new(),
            held,
            since: None,
            told: false,
        }
    }

    /// Reads from `input` until something is said, or there is no more.
    fn read(&mut self, input: &mut &[u8]) -> Result<Option<Said>, Close> {
        loop {
            if self.frame.is_none() && !self.read_head(input)? {
                return Ok(None);
            }
            if !self.read_payload(input)? {
                return Ok(None);
            }
            let Some(frame) = self.frame.take() else { return Ok(None) };
            if let Some(said) = self.ended(&frame)? {
                return Ok(Some(said));
            }
        }
    }

    /// Reads the head of a frame; whether it is all there.
    fn read_head(&mut self, input: &mut &[u8]) -> Result<bool, Close> {
        loop {
            let needed = match self.head {
                _ if self.have < 2 => 2,
                [_, length, ..] => match length & !MASKED {
                    126 => 8,
                    127 => LONGEST_HEAD,
                    _ => 6,
                },
            };
            if self.have == needed {
                break;
            }
            let take = input.len().min(needed - self.have);
            if take == 0 {
                return Ok(false);
            }
            let (taken, rest) = input.split_at(take);
            self.head[self.have..self.have + take].copy_from_slice(taken);
            *input = rest;
            self.have += take;
            if self.have == 2 {
                self.check_head()?;
            }
        }
        let (length, mask) = match self.head {
            [_, 0xfe, a, b, mask @ .., _, _, _, _, _, _] => (u64::from(u16::from_be_bytes([a, b])), mask),
            [_, 0xff, a, b, c, d, e, f, g, h, mask @ ..] => (u64::from_be_bytes([a, b, c, d, e, f, g, h]), mask),
            [_, length, mask @ .., _, _, _, _, _, _, _, _] => (u64::from(length & !MASKED), mask),
        };
        let (fin, kind) = (self.head[0] & FIN != 0, self.head[0] & !FIN);
        self.have = 0;
        let left = usize::try_from(length).unwrap_or(usize::MAX);
        if kind < CLOSE {
            let message = self.message.get_or_insert_default();
            if left > self.most.saturating_sub(message.len()) {
                return Err(Close::new(Close::TOO_BIG, "the message is too big"));
            }
            self.since.get_or_insert_with(Instant::now);
        }
        self.frame = Some(Frame { fin, kind, mask, at: 0, left });
        Ok(true)
    }

    /// Checks the first two bytes of a frame.
    fn check_head(&self) -> Result<(), Close> {
        let [first, second, ..] = self.head;
        let fits = match first & !FIN {
            CONTINUATION => self.message.is_some(),
            TEXT => self.message.is_none(),
            BINARY if self.message.is_none() => {
                return Err(Close::new(Close::BAD_REQUEST, "Invalid message: send text"));
            }
            CLOSE | PING | PONG => first & FIN != 0 && usize::from(second & !MASKED) <= LONGEST_CONTROL,
            _ => false,
        };
        if !fits || first & RESERVED != 0 || second & MASKED == 0 {
            return Err(misused());
        }
        Ok(())
    }

    /// Reads the payload of a frame; whether it is all there.
    fn read_payload(&mut self, input: &mut &[u8]) -> Result<bool, Close> {
        let Some(frame) = &mut self.frame else { return Ok(false) };
        let take = input.len().min(frame.left);
        let (taken, rest) = input.split_at(take);
        *input = rest;
        let payload = if frame.is_control() {
            &mut self.control
        } else {
            if !self.held.grow(take) {
                return Err(Close::new(Close::TRY_AGAIN, "too much is being sent to the server at the moment"));
            }
            self.message.get_or_insert_default()
        };
        if payload.capacity() - payload.len() < take {
            // Half as much again, and never more than is still to come.
            let more = (payload.len() / 2).max(STEP).min(frame.left);
            payload.reserve_exact(more.max(take));
        }
        let at = frame.at;
        payload.extend(taken.iter().zip(at..).map(|(byte, at)| byte ^ frame.mask[at % 4]));
        frame.at += take;
        frame.left -= take;
        Ok(frame.left == 0)
    }

    /// Returns what `frame` completes: a message or a control frame; `None` when more frames of its message follow.
    fn ended(&mut self, frame: &Frame) -> Result<Option<Said>, Close> {
        match frame.kind {
            PING => Ok(Some(Said::Ping(std::mem::take(&mut self.control)))),
            PONG => {
                self.control = Vec::new();
                Ok(Some(Said::Pong))
            }
            CLOSE => Ok(Some(Said::Farewell(check_farewell(&std::mem::take(&mut self.control))?))),
            _ if frame.fin => {
                (self.since, self.told) = (None, false);
                let held = self.held.take();
                let text = String::from_utf8(self.message.take().unwrap_or_default());
                let text = text.map_err(|_| Close::new(Close::NO_TEXT, "the message is no UTF-8"))?;
                Ok(Some(Said::Text(text, held)))
            }
            _ => Ok(None),
        }
    }
}

fn misused() -> Close {
    Close::new(Close::PROTOCOL, "this is not how WebSockets talk")
}

/// A farewell says nothing, or a code that may be sent and why.
fn check_farewell(payload: &[u8]) -> Result<Option<u16>, Close> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() { Ok(None) } else { Err(misused()) };
    };
    let code = u16::from_be_bytes(*code);
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(misused());
    }
    std::str::from_utf8(reason).map_err(|_| Close::new(Close::NO_TEXT, "the reason is no UTF-8"))?;
    Ok(Some(code))
}

/// A WebSocket over a stream.
pub(super) struct Frames<S> {
    stream: S,
    reader: Reader,
    /// What was read and not looked at, from `at` on.
    read: Vec<u8>,
    at: usize,
    /// What is to be sent, of which so much was.
    out: Vec<u8>,
    sent: usize,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// A WebSocket with messages of `most` bytes at the most, which `held` counts.
    pub(super) fn new(stream: S, most: usize, held: Held) -> Self {
        Self { stream, reader: Reader::new(most, held), read: Vec::new(), at: 0, out: Vec::new(), sent: 0 }
    }

    /// Since when a message is coming that is not all there.
    pub(super) const fn unfinished_since(&self) -> Option<Instant> {
        self.reader.since
    }

    /// Returns the next message; `None` when the client has gone. May be dropped at any time.
    ///
    /// # Errors
    /// Why the socket is to be closed.
    pub(super) async fn hear(&mut self) -> Result<Option<Said>, Close> {
        poll_fn(|context| self.poll_hear(context)).await
    }

    fn poll_hear(&mut self, context: &mut Context<'_>) -> Poll<Result<Option<Said>, Close>> {
        loop {
            let mut input = &self.read[self.at..];
            let said = self.reader.read(&mut input);
            self.at = self.read.len() - input.len();
            if self.at == self.read.len() {
                (self.read, self.at) = (Vec::new(), 0);
            }
            match said {
                Ok(None) => {}
                said => return Poll::Ready(said),
            }
            if self.reader.since.is_some() && !self.reader.told {
                self.reader.told = true;
                return Poll::Ready(Ok(Some(Said::Begun)));
            }
            let mut space = [0; READ];
            let mut space = ReadBuf::new(&mut space);
            match ready!(Pin::new(&mut self.stream).poll_read(context, &mut space)) {
                Ok(()) if !space.filled().is_empty() => self.read = space.filled().to_vec(),
                _ => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// Sends a message. When this is given up, the rest is sent before anything else.
    ///
    /// # Errors
    /// When the client has gone.
    pub(super) async fn say(&mut self, text: &str) -> io::Result<()> {
        self.put(TEXT, text.as_bytes());
        self.flush().await
    }

    /// Asks whether the client is still there; otherwise as [`Frames::say`].
    ///
    /// # Errors
    /// When the client has gone.
    pub(super) async fn ping(&mut self) -> io::Result<()> {
        self.put(PING, &[]);
        self.flush().await
    }

    /// Answers such a question; as [`Frames::say`].
    ///
    /// # Errors
    /// When the client has gone.
    pub(super) async fn pong(&mut self, payload: &[u8]) -> io::Result<()> {
        self.put(PONG, payload);
        self.flush().await
    }

    /// Says farewell; as [`Frames::say`]. Nothing is to be sent after it.
    ///
    /// # Errors
    /// When the client has gone.
    pub(super) async fn farewell(&mut self, close: Option<&Close>) -> io::Result<()> {
        let payload =
            close.map_or_else(Vec::new, |close| [&close.code.to_be_bytes(), close.reason.as_bytes()].concat());
        self.put(CLOSE, &payload);
        self.flush().await
    }

    /// Forgets what has come of a message, which is not to be heard any more.
    pub(super) fn forget(&mut self) {
        drop(self.reader.held.take());
        (self.reader.message, self.read, self.at) = (None, Vec::new(), 0);
    }

    /// Reads and forgets what comes, until the other end says farewell or is gone.
    pub(super) async fn drain(&mut self) {
        let mut space = [0; READ / 4];
        while let Ok(false) = poll_fn(|context| {
            let mut space = ReadBuf::new(&mut space);
            Pin::new(&mut self.stream).poll_read(context, &mut space).map_ok(|()| space.filled().is_empty())
        })
        .await
        {}
    }

    /// Ends the connection's sending side.
    pub(super) async fn shut(&mut self) {
        let _ = poll_fn(|context| Pin::new(&mut self.stream).poll_shutdown(context)).await;
    }

    fn put(&mut self, kind: u8, payload: &[u8]) {
        self.out.reserve_exact(payload.len() + LONGEST_HEAD);
        self.out.push(FIN | kind);
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(length), _) if length < 126 => self.out.push(length),
            (_, Ok(length)) => {
                self.out.push(126);
                self.out.extend_from_slice(&length.to_be_bytes());
            }
            _ => {
                self.out.push(127);
                self.out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
            }
        }
        self.out.extend_from_slice(payload);
    }

    async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|context| self.poll_flush(context)).await
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.out.len() {
            match ready!(Pin::new(&mut self.stream).poll_write(context, &self.out[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        (self.out, self.sent) = (Vec::new(), 0);
        Pin::new(&mut self.stream).poll_flush(context)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
    use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
    use tokio_tungstenite::tungstenite::{Message, WebSocket};

    use super::*;

    /// A frame as a client sends it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![first];
        match payload.len() {
            length @ 0..126 => frame.push(MASKED | length as u8),
            length @ 126..65536 => {
                frame.push(MASKED | 126);
                frame.extend_from_slice(&(length as u16).to_be_bytes());
            }
            length => {
                frame.push(MASKED | 127);
                frame.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
        let mask = [1, 2, 3, 0xf0];
        frame.extend_from_slice(&mask);
        frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
        frame
    }

    /// What is said by `bytes` that come in pieces of this size, and why the socket is closed, if it is.
    fn read(reader: &mut Reader, bytes: &[u8], piece: usize) -> (Vec<String>, Option<u16>) {
        let mut all = Vec::new();
        for mut piece in bytes.chunks(piece) {
            loop {
                match reader.read(&mut piece) {
                    Ok(None) => break,
                    Ok(Some(said)) => all.push(match said {
                        Said::Text(text, _) => text,
                        Said::Ping(payload) => format!("ping {}", String::from_utf8_lossy(&payload)),
                        other => format!("{other:?}"),
                    }),
                    Err(close) => return (all, Some(close.code)),
                }
            }
        }
        (all, None)
    }

    fn reader(most: usize) -> Reader {
        Reader::new(most, Held::alone(usize::MAX / 2))
    }

    #[test]
    fn the_key_is_answered_as_the_standard_says() {
        for key in ["dGhlIHNhbXBsZSBub25jZQ==", ""] {
            assert_eq!(accept(key.as_bytes()), derive_accept_key(key.as_bytes()));
        }
    }

    #[test]
    fn messages_are_put_together_whatever_the_pieces_and_what_comes_between() {
        let long = "ä".repeat(40_000);
        let bytes = [
            frame(FIN | TEXT, b"one"),
            frame(TEXT, "zw\u{f6}".as_bytes().split_at(3).0),
            frame(FIN | PING, b"?"),
            frame(CONTINUATION, b""),
            frame(FIN | CONTINUATION, "zw\u{f6}".as_bytes().split_at(3).1),
            frame(FIN | PONG, b"!"),
            frame(FIN | TEXT, long.as_bytes()),
            frame(FIN | TEXT, b""),
            frame(FIN | CLOSE, &[0x03, 0xe8, b'b']),
        ]
        .concat();
        for piece in [1, 2, 3, 7, 4096, bytes.len()] {
            let mut reader = reader(100_000);
            let (all, closed) = read(&mut reader, &bytes, piece);
            assert_eq!(all, ["one", "ping ?", "zw\u{f6}", "Pong", &long, "", "Farewell(Some(1000))"]);
            assert_eq!(closed, None);
            assert!(reader.since.is_none() && reader.held.bytes() == 0 && reader.control.capacity() == 0);
        }
    }

    #[test]
    fn what_is_no_websocket_or_too_much_is_closed_as_soon_as_it_shows() {
        let huge = [&[FIN | TEXT, MASKED | 127][..], &(1_u64 << 40).to_be_bytes(), &[0; 4]].concat();
        for (bytes, code) in [
            (vec![FIN | RESERVED | TEXT, MASKED], Close::PROTOCOL),
            (vec![FIN | 3, MASKED], Close::PROTOCOL),
            (vec![FIN | TEXT, 2], Close::PROTOCOL),
            (vec![PING, MASKED], Close::PROTOCOL),
            (vec![FIN | PING, MASKED | 126], Close::PROTOCOL),
            (vec![FIN | CONTINUATION, MASKED], Close::PROTOCOL),
            ([frame(TEXT, b"a"), vec![FIN | TEXT, MASKED]].concat(), Close::PROTOCOL),
            (frame(FIN | CLOSE, &[3]), Close::PROTOCOL),
            (frame(FIN | CLOSE, &1005_u16.to_be_bytes()), Close::PROTOCOL),
            (frame(FIN | CLOSE, &[0x03, 0xe8, 0xff]), Close::NO_TEXT),
            (frame(FIN | TEXT, &[0xff, 0xff]), Close::NO_TEXT),
            (vec![FIN | BINARY, MASKED | 1], Close::BAD_REQUEST),
            (huge, Close::TOO_BIG),
            (frame(FIN | TEXT, &[b'a'; 101])[..8].to_vec(), Close::TOO_BIG),
            ([frame(TEXT, &[b'a'; 60]), frame(CONTINUATION, &[b'a'; 41])[..6].to_vec()].concat(), Close::TOO_BIG),
        ] {
            assert_eq!(read(&mut reader(100), &bytes, 1).1, Some(code), "{bytes:x?}");
        }
    }

    #[test]
    fn what_has_come_of_a_message_is_counted_and_nothing_is_set_aside_for_the_rest() {
        let mut reader = Reader::new(1_000_000, Held::alone(100_000));
        let message = frame(FIN | TEXT, &[b'a'; 900_000]);
        assert_eq!(read(&mut reader, &message[..1014], 1014), (vec![], None));
        assert_eq!(reader.held.bytes(), 1000);
        assert!(reader.since.is_some());
        assert!(reader.message.as_ref().is_some_and(|message| message.capacity() <= 20_000));
        assert_eq!(read(&mut reader, &message[1014..200_000], 4096).1, Some(Close::TRY_AGAIN));
        assert!(reader.held.bytes() <= 100_000);
    }

    #[tokio::test]
    async fn a_client_understands_what_is_sent_and_no_buffer_is_left() {
        let (ours, theirs) = tokio::io::duplex(1000);
        let mut frames = Frames::new(ours, 1000, Held::alone(1000));
        let long = "x".repeat(70_000);
        let sent = async {
            for text in ["a", &"b".repeat(126), &long] {
                frames.say(text).await.unwrap();
            }
            frames.pong(b"c").await.unwrap();
            frames.ping().await.unwrap();
            frames.farewell(Some(&Close::new(4400, "because"))).await.unwrap();
            assert!(frames.out.capacity() == 0 && frames.read.capacity() == 0);
        };
        let heard = async {
            let mut bytes = vec![0; 100_000];
            let mut have = 0;
            let mut theirs = theirs;
            while !bytes[..have].ends_with(b"because") {
                let mut space = ReadBuf::new(&mut bytes[have..]);
                poll_fn(|context| Pin::new(&mut theirs).poll_read(context, &mut space)).await.unwrap();
                have += space.filled().len();
            }
            bytes.truncate(have);
            bytes
        };
        let ((), bytes) = tokio::join!(sent, heard);
        let stream = std::io::Cursor::new(bytes);
        let mut client = WebSocket::from_raw_socket(stream, Role::Client, None);
        let mut next = || client.read().unwrap();
        assert_eq!(next(), Message::text("a"));
        assert_eq!(next(), Message::text("b".repeat(126)));
        assert_eq!(next(), Message::text(&*long));
        assert_eq!(next(), Message::Pong(b"c".as_slice().into()));
        assert!(matches!(next(), Message::Ping(_)));
        let reason = CloseFrame { code: 4400.into(), reason: "because".into() };
        assert_eq!(next(), Message::Close(Some(reason)));
    }

    proptest! {
        #[test]
        fn no_bytes_break_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..300), piece in 1_usize..50) {
            read(&mut reader(100), &bytes, piece);
        }

        #[test]
        fn a_message_comes_through_as_it_was_sent(text in "(?s).{0,300}", cut in 0_usize..300, piece in 1_usize..50) {
            let (start, end) = text.as_bytes().split_at(cut.min(text.len()));
            let bytes = [frame(TEXT, start), frame(FIN | PING, b""), frame(FIN | CONTINUATION, end)].concat();
            let (all, closed) = read(&mut reader(2000), &bytes, piece);
            prop_assert_eq!((all, closed), (vec!["ping ".to_owned(), text], None));
        }
    }
}
