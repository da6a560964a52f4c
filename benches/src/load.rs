//! The load generator: keep-alive connections that each send one request after the other.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use crate::Result;
use crate::queries::{self, People, Query};
use crate::rng::Rng;
use crate::spelling::Spelling;

/// How a server is told what is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Dialect {
    /// By the path.
    Paths,
    /// By Waymark's documents, spelled so.
    Waymark(Spelling),
    /// By the documents of the schema that PostGraphile makes.
    PostGraphile,
}

/// Whom to ask, and how.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: SocketAddr,
    pub(crate) key: String,
    pub(crate) dialect: Dialect,
}

impl Target {
    /// The same target, asked in another spelling, where it is asked by documents.
    pub(crate) fn spelled(&self, spelling: Spelling) -> Self {
        let dialect = match self.dialect {
            Dialect::Waymark(_) => Dialect::Waymark(spelling),
            other => other,
        };
        Self { dialect, ..self.clone() }
    }

    /// Writes a whole request.
    pub(crate) fn write(&self, query: Query, variables: &str, out: &mut String) {
        let documented = |document: &str| format!("{{\"query\":\"{document}\",\"variables\":");
        let (path, before, after) = match self.dialect {
            Dialect::Paths => (query.name(), String::new(), ""),
            Dialect::Waymark(spelling) => ("graphql", documented(query.spelled(spelling)), "}"),
            Dialect::PostGraphile => ("graphql", documented(query.to_postgraphile()), "}"),
        };
        let variables = match self.dialect {
            Dialect::PostGraphile => Cow::Owned(queries::to_postgraphile(query, variables)),
            _ => Cow::Borrowed(variables),
        };
        let length = before.len() + variables.len() + after.len();
        out.push_str("POST /");
        out.push_str(path);
        out.push_str(" HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nauthorization: Bearer ");
        out.push_str(&self.key);
        out.push_str("\r\ncontent-length: ");
        out.push_str(&length.to_string());
        out.push_str("\r\n\r\n");
        out.push_str(&before);
        out.push_str(&variables);
        out.push_str(after);
    }
}

/// A connection that is kept alive.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(target: &Target) -> Result<Self> {
        let stream = TcpStream::connect(target.address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, received: Vec::with_capacity(64 * 1024) })
    }

    /// Sends a request and gives the body of the answer.
    ///
    /// # Errors
    /// When the server hangs up, answers with another status than 200, or names errors.
    pub(crate) async fn ask(&mut self, request: &str) -> Result<&[u8]> {
        self.stream.write_all(request.as_bytes()).await?;
        self.received.clear();
        let (start, end) = loop {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the server hung up".into());
            }
            if let Some(start) = end_of_head(&self.received) {
                break (start, start + content_length(&self.received[..start])?);
            }
        };
        while self.received.len() < end {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the server hung up".into());
            }
        }
        let body = &self.received[start..end];
        if !self.received.starts_with(b"HTTP/1.1 200") || body.starts_with(b"{\"errors\"") {
            let answer = String::from_utf8_lossy(&self.received);
            return Err(format!("an answer is an error: {answer}").into());
        }
        Ok(body)
    }
}

fn end_of_head(received: &[u8]) -> Option<usize> {
    received.windows(4).position(|four| four == b"\r\n\r\n").map(|place| place + 4)
}

fn content_length(head: &[u8]) -> Result<usize> {
    let head = std::str::from_utf8(head)?;
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, length) = length.ok_or("an answer does not say how long it is")?;
    Ok(length.trim().parse()?)
}

/// What a round came to.
#[derive(Debug, Default)]
pub(crate) struct Round {
    /// In seconds.
    pub(crate) duration: f64,
    /// In microseconds, ascending.
    latencies: Vec<u32>,
}

impl Round {
    pub(crate) fn requests(&self) -> f64 {
        self.latencies.len() as f64
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.requests() / self.duration
    }

    /// The latency, in milliseconds, that `share` (0 to 1) of the requests did not exceed.
    pub(crate) fn percentile(&self, share: f64) -> f64 {
        let place = (self.requests() * share) as usize;
        let found = self.latencies.get(place.min(self.latencies.len().saturating_sub(1)));
        f64::from(found.copied().unwrap_or_default()) / 1000.0
    }
}

/// Sends random requests over so many connections for so long.
pub(crate) async fn run(
    target: &Target,
    query: Query,
    people: &Rc<People>,
    connections: usize,
    duration: Duration,
    seed: u64,
) -> Result<Round> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(target).await?);
    }
    let local = LocalSet::new();
    let begin = Instant::now();
    let deadline = begin + duration;
    let tasks: Vec<_> = (seed * 1000..)
        .zip(open)
        .map(|(seed, connection)| {
            let (target, people) = (target.clone(), Rc::clone(people));
            local.spawn_local(async move { drive(connection, &target, query, &people, deadline, seed).await })
        })
        .collect();
    let mut round = Round::default();
    let all = async {
        for task in tasks {
            round.latencies.append(&mut task.await??);
        }
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    };
    local.run_until(all).await?;
    round.duration = begin.elapsed().as_secs_f64();
    round.latencies.sort_unstable();
    Ok(round)
}

async fn drive(
    mut connection: Connection,
    target: &Target,
    query: Query,
    people: &People,
    deadline: Instant,
    seed: u64,
) -> Result<Vec<u32>> {
    let mut rng = Rng::new(seed);
    let mut latencies = Vec::with_capacity(8192);
    let (mut variables, mut request) = (String::new(), String::new());
    loop {
        variables.clear();
        request.clear();
        query.variables(people, &mut rng, &mut variables);
        target.write(query, &variables, &mut request);
        let sent = Instant::now();
        if sent >= deadline {
            return Ok(latencies);
        }
        connection.ask(&request).await?;
        latencies.push(u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
}
