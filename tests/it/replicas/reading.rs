//! Loaders read from a standby, and whoever has to see a write sees it, however long its replay is held back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Scene, code, grant, of, query, read, send, sql, until, value};
use crate::cli::{SECRET, Server, output};
use crate::harness::{Cluster, free_port, tests};

tests! {
    once: [
        what_was_written_is_read_wherever_the_replica_is,
        one_replica_takes_the_place_of_another_that_is_far_behind,
    ],
}

/// How often somebody writes and reads while the replica comes and goes.
const TIMES: usize = 60;

/// A server with a replica, and two callers.
struct Field {
    primary: Cluster,
    standby: Cluster,
    server: Server,
    writer: String,
    reader: String,
}

fn what_was_written_is_read_wherever_the_replica_is() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(read_from_a_replica());
}

async fn read_from_a_replica() {
    let Some(Scene { cluster: primary, credential: writer, .. }) = Scene::set(4).await else { return };
    let standby = tokio::task::block_in_place(|| primary.standby(free_port().unwrap()));
    let (url, replica) = (of(&[primary.port]), of(&[standby.port]));
    let settings = [
        ("WAYMARK_DATABASE_URL", &*url),
        ("WAYMARK_DATABASE_READ_URL", &*replica),
        ("WAYMARK_JWT_SECRET", SECRET),
        ("WAYMARK_APP_RATE_PER_SECOND", "0"),
        ("WAYMARK_SLOW_OPERATION_MS", "0"),
    ];
    let reader = output(&["key", "create", "--name", "reader", "--scope", "progress:read"], &settings[..1]);
    let reader = reader.trim_end().to_owned();
    let server = Server::start(&["serve"], &settings, "Serving on ");
    let mut field = Field { primary, standby, server, writer, reader };
    field.is_in_step("to begin with").await;
    field.writers_and_those_who_ask_about_their_users_see_writes().await;
    field.a_replica_that_is_far_behind_is_left_out_and_comes_back().await;
    field.nobody_sees_less_than_was_answered().await;
    tokio::task::block_in_place(|| field.standby.kill());
    for _ in 0..20 {
        assert_eq!(field.picture("crash2"), field.picture("crash2"), "it is read without a replica");
    }
    tokio::task::block_in_place(|| field.standby.start_again());
    field.is_in_step("when it is started again").await;
    assert!(!field.server.log().contains(" failed"), "{}", field.server.log());
}

impl Field {
    /// Lets the standby replay, or hold back, what the primary writes.
    async fn replay(&self, goes_on: bool) {
        let word = if goes_on { "resume" } else { "pause" };
        sql(&self.standby.url, &format!("SELECT pg_wal_replay_{word}()")).await;
    }

    /// Gives a user a picture, behind the back of the server.
    async fn paint(&self, handle: &str, picture: &str) {
        let text = format!("UPDATE users SET avatar_url = '{picture}' WHERE handle = '{handle}'");
        sql(&of(&[self.primary.port]), &text).await;
    }

    /// The picture of a user, as somebody sees it who never writes.
    fn picture(&self, handle: &str) -> Value {
        let text = "query($h: String!) { user(by: { handle: $h }) { avatarUrl } }";
        let answer = query(&self.server.address, &self.reader, text, &json!({ "h": handle }));
        assert_eq!(code(&answer), None, "{answer}");
        answer["data"]["user"]["avatarUrl"].clone()
    }

    /// How much a user has, as this caller sees it.
    fn balance(&self, credential: &str, handle: &str) -> i64 {
        balance(&self.server.address, credential, handle)
    }

    /// Waits until it is the replica that is read, as a change shows that it has not got.
    async fn is_in_step(&self, when: &str) {
        let (mut turn, kind) = (0, when.replace(' ', "-"));
        until(when, async || {
            turn += 1;
            self.replay(false).await;
            let before = self.picture("crash3");
            self.paint("crash3", &format!("https://a.example/{kind}/{turn}")).await;
            let is_old = self.picture("crash3") == before;
            self.replay(true).await;
            let now = json!(format!("https://a.example/{kind}/{turn}"));
            until("it is replayed", async || self.picture("crash3") == now).await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            is_old
        })
        .await;
    }

    async fn writers_and_those_who_ask_about_their_users_see_writes(&self) {
        self.replay(false).await;
        let before = self.balance(&self.reader, "crash0");
        self.paint("crash1", "https://a.example/unseen").await;
        assert_eq!(self.picture("crash1"), Value::Null, "it is read from the replica");
        assert_eq!(code(&grant(&self.server.address, &self.writer, "crash0")), None);
        assert_eq!(self.balance(&self.writer, "crash0"), before + 1, "who wrote sees it");
        assert_eq!(self.balance(&self.reader, "crash0"), before + 1, "and who asks about that user");
        assert_eq!(self.picture("crash1"), Value::Null, "all others are read from the replica");
        self.replay(true).await;
        until("it is replayed", async || self.picture("crash1") == "https://a.example/unseen").await;
        self.is_in_step("when it has replayed").await;
    }

    async fn a_replica_that_is_far_behind_is_left_out_and_comes_back(&self) {
        self.replay(false).await;
        self.paint("crash2", "https://a.example/ahead").await;
        until("the primary is read", async || self.picture("crash2") == "https://a.example/ahead").await;
        assert!(self.server.log().contains("no replica is in step"), "{}", self.server.log());
        self.replay(true).await;
        self.is_in_step("when it is in step again").await;
    }

    /// Somebody writes and reads, others read what was answered, and replay is held back now and then.
    async fn nobody_sees_less_than_was_answered(&self) {
        let stop = Arc::new(AtomicBool::new(false));
        let answered = Arc::new(Mutex::new(self.balance(&self.reader, "crash1")));
        let (address, reader) = (self.server.address.clone(), self.reader.clone());
        let (stopping, known) = (Arc::clone(&stop), Arc::clone(&answered));
        let watching = thread::spawn(move || {
            let mut reads = 0;
            while !stopping.load(Ordering::Relaxed) {
                let least = *known.lock().unwrap();
                let seen = balance(&address, &reader, "crash1");
                assert!(seen >= least, "{seen} is less than {least}");
                reads += 1;
            }
            reads
        });
        for turn in 0..TIMES {
            if turn % 6 == 0 {
                self.replay(turn % 12 != 0).await;
            }
            tokio::task::block_in_place(|| {
                assert_eq!(code(&grant(&self.server.address, &self.writer, "crash1")), None);
                *answered.lock().unwrap() += 1;
                assert_eq!(self.balance(&self.writer, "crash1"), *answered.lock().unwrap());
            });
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.replay(true).await;
        stop.store(true, Ordering::Relaxed);
        let reads: usize = tokio::task::block_in_place(|| watching.join().unwrap());
        assert!(reads > TIMES / 2, "{reads}");
    }
}

fn balance(address: &str, credential: &str, handle: &str) -> i64 {
    let answer = read(address, credential, handle);
    assert_eq!(code(&answer), None, "{answer}");
    let micros = &answer["data"]["user"]["credits"]["available"]["micros"];
    micros.as_i64().or_else(|| micros.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{answer}"))
}

fn one_replica_takes_the_place_of_another_that_is_far_behind() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(take_turns());
}

/// A figure of a server, if it has that.
fn figure(server: &Server, name: &str) -> Option<f64> {
    let (_, text) = send(&server.address, "/metrics", "", None);
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned));
    line.map(|number| number.parse().unwrap())
}

async fn take_turns() {
    let Some(Scene { cluster: primary, credential, .. }) = Scene::set(2).await else { return };
    let standby = || tokio::task::block_in_place(|| primary.standby(free_port().unwrap()));
    let mut standbys = [standby(), standby()];
    let (url, replicas) = (of(&[primary.port]), of(&[standbys[0].port, standbys[1].port]));
    let alone = [("WAYMARK_DATABASE_URL", &*url), ("WAYMARK_JWT_SECRET", SECRET)];
    let settings = [&alone[..], &[("WAYMARK_DATABASE_READ_URL", &*replicas)]].concat();
    let server = Server::start(&["serve"], &settings, "Serving on ");
    let in_step = || figure(&server, "waymark_replica_in_step");
    let replay = async |standby: &Cluster, word: &str| {
        sql(&standby.url, &format!("SELECT pg_wal_replay_{word}()")).await;
    };
    // Only the one that is read from has sessions of the server for longer than a moment.
    let is_read = async |standby: &Cluster| {
        let sessions = "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'waymark'";
        value(&standby.url, sessions).await != "0"
    };
    until("a replica answers", async || in_step() == Some(1.0)).await;
    until("it is one of them", async || is_read(&standbys[0]).await != is_read(&standbys[1]).await).await;
    if is_read(&standbys[1]).await {
        standbys.reverse();
    }
    let [one, other] = &standbys;
    for (behind, ahead) in [(one, other), (other, one)] {
        replay(behind, "pause").await;
        assert_eq!(code(&grant(&server.address, &credential, "crash0")), None);
        until("how far it is behind is told", async || {
            figure(&server, "waymark_replica_behind_bytes").is_some_and(|bytes| bytes > 0.0)
        })
        .await;
        until("the other one takes its place", async || is_read(ahead).await && in_step() == Some(1.0)).await;
        until("it is left out", async || !is_read(behind).await).await;
        replay(behind, "resume").await;
    }
    replay(one, "pause").await;
    replay(other, "pause").await;
    assert_eq!(code(&grant(&server.address, &credential, "crash1")), None);
    until("none is in step", async || in_step() == Some(0.0)).await;
    assert_eq!(balance(&server.address, &credential, "crash1"), 1, "the primary answers");
    replay(other, "resume").await;
    until("the one that is in step is found", async || is_read(other).await && in_step() == Some(1.0)).await;
    // One that is gone is replaced too.
    tokio::task::block_in_place(|| standbys[1].kill());
    sql(&standbys[0].url, "SELECT pg_wal_replay_resume()").await;
    until("the last one answers", async || is_read(&standbys[0]).await && in_step() == Some(1.0)).await;
    assert!(!server.log().contains(" failed"), "{}", server.log());

    let single = Server::start(&["serve"], &alone, "Serving on ");
    assert_eq!(figure(&single, "waymark_replica_in_step"), None, "there are no replicas");
}
