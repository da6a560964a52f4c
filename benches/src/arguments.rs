//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use crate::Result;
use crate::queries::Query;
use crate::spelling::Spelling;

pub(crate) const USAGE: &str = "\
usage: cargo run --release -p waymark-bench -- [OPTIONS]

  (no option)      measure Q1 to Q4 on PostgreSQL, Waymark and the floor in turns
  --correctness    compare 1,000 concurrent answers of Waymark with the floor's; exit code 1 if any differs
  --sqlite         measure Waymark alone on SQLite with 10,000 users
  --writes         measure single unlocks, claims and 100 unlocks at a time, on PostgreSQL and on SQLite
  --gate           measure what stands before execution: known documents, new ones, and attacks
  --against FILE   measure processor time per request side by side with another waymark program, round by round, on
                   databases of its own: all queries and writes on both engines; prints the ratio to FILE's
  --worst          search for the document that takes most for what it costs; exit code 1 if one takes too much
  --subscribers N  measure N subscribers (default 10,000) over WebSockets, each to another user, while --rate writes a second
                   (default 500) are made for --seconds (default 30), on PostgreSQL or with --sqlite; exit code 1 if an event is
                   lost, comes twice or out of order. --quick: 200 subscribers for 3 seconds
  --rivals         measure Q1 to Q4 side by side with the servers in benches/rivals
  --import         measure `waymark import` on both: a million records of progress of 50,000 users
  --users N        how many users there are (default 100,000; with --sqlite 10,000, --writes and --against 20,000, --import 50,000)
  --query Q1       measure this query or write (unlock, claim, unlocks) only; may be repeated
  --connections N  how many requests are on their way at a time (default 32)
  --rounds N       how many rounds each query and server gets (default 5)
  --seconds N      how long a round is (default 4)
  --spellings      each query as different clients spell it: plain, apollo, fragments, relay
  --quick          two rounds of one second
  --help           show this

environment:
  BENCH_DATABASE_URL  an empty PostgreSQL database to use instead of a cluster of its own
  BENCH_SERVER        a waymark binary to measure instead of this tree";

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Measure,
    Correctness,
    Sqlite,
    Writes,
    Against,
    Import,
    Subscribers,
    Rivals,
    Gate,
    Worst,
    /// Be the floor: the benchmark starts itself so.
    Floor,
    /// Be the subscribers and the writers: the benchmark starts itself so.
    Followers,
    /// Be `waymark` with the arguments that follow: the benchmark starts itself so.
    Waymark,
    Help,
}

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) mode: Mode,
    /// The other program, with [`Mode::Against`].
    pub(crate) against: Option<PathBuf>,
    pub(crate) users: Option<u32>,
    pub(crate) connections: usize,
    pub(crate) rounds: usize,
    pub(crate) round: Duration,
    /// How many subscribers there are.
    pub(crate) subscribers: u32,
    /// Writes per second, with [`Mode::Subscribers`].
    pub(crate) rate: u32,
    /// With [`Mode::Subscribers`]: on SQLite.
    pub(crate) sqlite: bool,
    only: Vec<Query>,
    spellings: bool,
}

impl Arguments {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Self> {
        let mut words = words.peekable();
        let (mut seconds, mut quick) = (None, false);
        let mut arguments = Self {
            mode: Mode::Measure,
            against: None,
            users: None,
            connections: 32,
            rounds: 5,
            round: Duration::from_secs(4),
            subscribers: 0,
            rate: 500,
            sqlite: false,
            only: Vec::new(),
            spellings: false,
        };
        while let Some(word) = words.next() {
            let number = words.next_if(|next| word == "--subscribers" && !next.starts_with("--"));
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "floor" => arguments.mode = Mode::Floor,
                "followers" => arguments.mode = Mode::Followers,
                "waymark" => {
                    arguments.mode = Mode::Waymark;
                    break;
                }
                "--correctness" => arguments.mode = Mode::Correctness,
                "--sqlite" => arguments.sqlite = true,
                "--writes" => arguments.mode = Mode::Writes,
                "--against" => {
                    arguments.mode = Mode::Against;
                    arguments.against = Some(value()?.into());
                }
                "--subscribers" => {
                    arguments.mode = Mode::Subscribers;
                    arguments.subscribers = number.map_or(Ok(0), |number| number.replace([',', '_'], "").parse())?;
                }
                "--rate" => arguments.rate = value()?.parse()?,
                "--rivals" => arguments.mode = Mode::Rivals,
                "--gate" => arguments.mode = Mode::Gate,
                "--worst" => arguments.mode = Mode::Worst,
                "--import" => arguments.mode = Mode::Import,
                "--help" | "-h" => arguments.mode = Mode::Help,
                "--users" => arguments.users = Some(value()?.replace([',', '_'], "").parse()?),
                "--connections" => arguments.connections = value()?.parse()?,
                "--rounds" => arguments.rounds = value()?.parse()?,
                "--seconds" => seconds = Some(Duration::from_secs_f64(value()?.parse()?)),
                "--query" => {
                    let name = value()?;
                    let query = Query::ALL
                        .into_iter()
                        .chain(Query::WRITES)
                        .find(|query| query.name().eq_ignore_ascii_case(&name));
                    arguments.only.push(query.ok_or(format!("there is no query {name}"))?);
                }
                "--spellings" => arguments.spellings = true,
                "--quick" => quick = true,
                _ => return Err(format!("{word} is no option\n\n{USAGE}").into()),
            }
        }
        arguments.complete(seconds, quick);
        if arguments.connections == 0 || arguments.rounds == 0 || arguments.round.is_zero() || arguments.rate == 0 {
            return Err("connections, rounds, seconds and the rate must be more than 0".into());
        }
        if arguments.users.is_some_and(|users| !(1000..=1_000_000).contains(&users)) {
            return Err("--users takes 1,000 to 1,000,000".into());
        }
        Ok(arguments)
    }

    /// Sets what depends on other options.
    fn complete(&mut self, seconds: Option<Duration>, quick: bool) {
        if self.sqlite && self.mode == Mode::Measure {
            self.mode = Mode::Sqlite;
        }
        let (usual, usual_quick) = if self.mode == Mode::Subscribers { (30, 3) } else { (4, 1) };
        self.round = seconds.unwrap_or(Duration::from_secs(if quick { usual_quick } else { usual }));
        if quick {
            self.rounds = 2;
        }
        if self.subscribers == 0 {
            self.subscribers = if quick { 200 } else { 10_000 };
        }
    }

    pub(crate) fn queries(&self) -> impl Iterator<Item = Query> {
        self.wanted(Query::ALL)
    }

    pub(crate) fn spellings(&self) -> &'static [Spelling] {
        if self.spellings { &Spelling::ALL } else { &[Spelling::Plain] }
    }

    pub(crate) fn writes(&self) -> impl Iterator<Item = Query> {
        self.wanted(Query::WRITES)
    }

    fn wanted<const N: usize>(&self, all: [Query; N]) -> impl Iterator<Item = Query> {
        all.into_iter().filter(|query| self.only.is_empty() || self.only.contains(query))
    }
}
