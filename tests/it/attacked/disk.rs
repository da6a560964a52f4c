//! Disks that run full and have room again, and databases that take no writes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use waymark::auth::Scope;
use waymark::db::{Db, Kind};

use super::hang_ups::{GRANT, LONGEST, PROGRESS, Place, SEED, draw, until};
use crate::cli::{Server, output};
use crate::harness::{Blank, Stage, rounds, tests};

tests! {
    blank: [
        a_disk_that_fills_and_empties_loses_nothing,
    ],
    own: [
        a_read_only_database_says_so,
    ],
}

/// How much room there is, in MB, and how long the text is that one write stores.
const ROOM: (u32, u32) = (24, 160);
const NOTES: usize = 9_000;

/// Where the database is stored, which can be made full.
enum Disk {
    /// A file system of its own with little room: what fills it is a file.
    Mounted(PathBuf),
    /// Where nobody may mount: no file that the server writes may grow longer.
    Limited(PathBuf),
    /// PostgreSQL, which says that its disk is full for as long as a row says so.
    Told(Box<Db>),
}

impl Disk {
    async fn new(blank: &Blank) -> (Self, String) {
        if blank.db.kind() == Kind::Postgres {
            return (Self::Told(Box::new(blank.db.clone())), blank.url.clone());
        }
        let directory = std::env::temp_dir().join(format!("waymark-disk-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let size = format!("size={}m", rounds(ROOM.0, ROOM.1));
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "tmpfs"]).arg(&directory).output();
        let url = format!("sqlite://{}/waymark.db?mode=rwc", directory.display());
        if mounted.is_ok_and(|done| done.status.success()) {
            (Self::Mounted(directory), url)
        } else {
            (Self::Limited(directory), url)
        }
    }

    /// Called when the schema is there.
    async fn prepare(&self) {
        let Self::Told(db) = self else { return };
        for sql in [
            "CREATE TABLE disk (is_full boolean NOT NULL)",
            "INSERT INTO disk VALUES (false)",
            "CREATE FUNCTION disk_is_full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                 IF (SELECT is_full FROM disk) THEN RAISE EXCEPTION 'could not extend file: No space left on device'
                     USING ERRCODE = '53100'; END IF;
                 RETURN NEW; END $$",
            "CREATE TRIGGER full1 BEFORE INSERT ON history_events FOR EACH ROW EXECUTE FUNCTION disk_is_full()",
            "CREATE TRIGGER full2 BEFORE INSERT ON idempotency_keys FOR EACH ROW EXECUTE FUNCTION disk_is_full()",
        ] {
            db.writes().execute_unprepared(sql).await.unwrap();
        }
    }

    async fn fill(&self, server: &Server, left: u64) {
        match self {
            Self::Mounted(directory) => {
                let filler = vec![1_u8; 1 << 16];
                let mut file = std::fs::File::create(directory.join("filler")).unwrap();
                // Until there is no room, and then with a little of it again.
                while std::io::Write::write_all(&mut file, &filler).is_ok() {}
                let length = file.metadata().unwrap().len();
                file.set_len(length.saturating_sub(left)).unwrap();
            }
            Self::Limited(directory) => {
                let wal = std::fs::metadata(directory.join("waymark.db-wal")).map_or(0, |file| file.len());
                limit(server, &format!("{}:unlimited", wal + left));
            }
            Self::Told(db) => {
                db.writes().execute_unprepared("UPDATE disk SET is_full = true").await.unwrap();
            }
        }
    }

    async fn empty(&self, server: &Server) {
        match self {
            Self::Mounted(directory) => std::fs::remove_file(directory.join("filler")).unwrap(),
            Self::Limited(_) => limit(server, "unlimited:unlimited"),
            Self::Told(db) => {
                db.writes().execute_unprepared("UPDATE disk SET is_full = false").await.unwrap();
            }
        }
    }

    fn directory(&self) -> Option<&Path> {
        match self {
            Self::Mounted(directory) | Self::Limited(directory) => Some(directory),
            Self::Told(_) => None,
        }
    }
}

/// Sets how long a file may grow that the server writes.
fn limit(server: &Server, bytes: &str) {
    let done = Command::new("prlimit").args(["--pid", &server.id().to_string(), &format!("--fsize={bytes}")]).status();
    assert!(done.unwrap().success());
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Self::Mounted(directory) = self {
            let _ = Command::new("umount").arg("-l").arg(directory).status();
        }
        if let Some(directory) = self.directory() {
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

/// What the writers know and find out.
struct Writers {
    place: Place,
    server: Server,
    users: Vec<String>,
    next: AtomicU32,
    pause: AtomicBool,
    stop: AtomicBool,
    refused: AtomicU32,
    /// What was acknowledged: the numbers of resources, and references of grants.
    acknowledged: Mutex<Vec<(bool, u32)>>,
    unexpected: Mutex<Vec<String>>,
}

impl Writers {
    /// Writes what was never written before, again and again.
    fn write(&self) {
        while !self.stop.load(Ordering::Acquire) {
            if self.pause.load(Ordering::Acquire) {
                thread::sleep(Duration::from_millis(5));
                continue;
            }
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let user = &self.users[number as usize % self.users.len()];
            let grant = number.is_multiple_of(4);
            let (text, input) = if grant {
                (GRANT, json!({ "amount": { "micros": 1 }, "ref": format!("disk{number}") }))
            } else {
                let notes = "n".repeat(NOTES);
                (PROGRESS, json!({ "resourceId": format!("{number:024x}"), "completed": true, "notes": notes }))
            };
            let mut input = input;
            input["user"] = json!({ "id": user });
            let Some(answer) = self.place.query(&self.server, text, json!({ "input": input })) else {
                self.unexpected.lock().unwrap().push(format!("{number}: no answer"));
                continue;
            };
            if answer.get("errors").is_none() {
                self.acknowledged.lock().unwrap().push((grant, number));
            } else if answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE" {
                self.refused.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(2));
            } else {
                self.unexpected.lock().unwrap().push(format!("{number}: {answer}"));
            }
        }
    }

    fn is_ready(&self) -> (u16, String) {
        let agent = ureq::Agent::config_builder().timeout_global(Some(LONGEST)).http_status_as_error(false).build();
        let mut answer = agent.new_agent().get(format!("{}/readyz", self.server.address)).call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
    }

    /// Waits until `check` says so, in a thread.
    fn until(&self, what: &str, check: impl Fn() -> bool) {
        let began = Instant::now();
        while !check() {
            let unexpected = self.unexpected.lock().unwrap();
            assert!(began.elapsed() < LONGEST, "{what}: {:?}, {unexpected:?}\n{}", self.is_ready(), self.server.log());
            drop(unexpected);
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// How many of these writes are stored.
async fn missing(db: &Db, acknowledged: &[(bool, u32)]) -> Vec<(bool, u32)> {
    let read = async |sql: &str| {
        let statement = Statement::from_string(db.reads().get_database_backend(), sql);
        let rows = db.reads().query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index::<String>(0).unwrap()).collect::<std::collections::HashSet<_>>()
    };
    let resources =
        read("SELECT r.external_id FROM resource_progress p JOIN resources r ON r.id = p.resource_id").await;
    let grants = read("SELECT reference FROM write_refs WHERE kind = 'CREDIT_GRANT'").await;
    let is_there = |(grant, number): &(bool, u32)| {
        if *grant { grants.contains(&format!("disk{number}")) } else { resources.contains(&format!("{number:024x}")) }
    };
    acknowledged.iter().filter(|one| !is_there(one)).copied().collect()
}

async fn a_disk_that_fills_and_empties_loses_nothing(blank: Blank) {
    let (disk, url) = Disk::new(&blank).await;
    let place = Place::new(&url);
    disk.prepare().await;
    let server = place.serve();
    let users = (0..8).map(|number| place.user(&server, &format!("writer{number}"))).collect();
    let writers = Arc::new(Writers {
        place,
        server,
        users,
        next: AtomicU32::new(1),
        pause: AtomicBool::new(false),
        stop: AtomicBool::new(false),
        refused: AtomicU32::new(0),
        acknowledged: Mutex::default(),
        unexpected: Mutex::default(),
    });
    let threads: Vec<_> = (0..4).map(|_| Arc::clone(&writers)).map(|one| thread::spawn(move || one.write())).collect();
    let db = Db::connect(&url, 2).await.unwrap();
    let mut dice = SEED;
    let mut recoveries = Vec::new();
    for round in 0..rounds(6, 50) {
        let before = writers.acknowledged.lock().unwrap().len();
        let more = 1 + draw(&mut dice, 20) as usize;
        writers.until("writes go on", || writers.acknowledged.lock().unwrap().len() >= before + more);
        thread::sleep(Duration::from_micros(draw(&mut dice, 20_000)));
        let refused = writers.refused.load(Ordering::Relaxed);
        disk.fill(&writers.server, draw(&mut dice, 200_000)).await;
        writers.until("the disk runs full", || writers.refused.load(Ordering::Relaxed) > refused + 3);
        // With a little room it goes back and forth.
        let words = ["the database has no room to write\n", "the database cannot write its files\n"];
        writers.until("it is not ready", || {
            let (status, said) = writers.is_ready();
            status == 503 && words.contains(&&*said)
        });
        // Reads go on, and agree with what was answered.
        let acknowledged = writers.acknowledged.lock().unwrap().clone();
        assert_eq!(missing(&db, &acknowledged).await, [], "round {round}: what was acknowledged is there");
        let read =
            writers.place.query(&writers.server, "{ user(by: { handle: \"writer1\" }) { handle } }", Value::Null);
        assert_eq!(read.unwrap()["data"]["user"]["handle"], "writer1");
        // Every other time nobody writes when there is room again.
        writers.pause.store(round.is_multiple_of(2), Ordering::Release);
        disk.empty(&writers.server).await;
        let since = Instant::now();
        writers.until("it is ready again by itself", || writers.is_ready() == (200, "ready\n".to_owned()));
        recoveries.push(since.elapsed());
        writers.pause.store(false, Ordering::Release);
        // Other processes can write: no lock was left behind.
        until("another process can write", async || match db.begin().await {
            Ok(transaction) => transaction.commit().await.is_ok(),
            Err(_) => false,
        })
        .await;
    }
    writers.stop.store(true, Ordering::Release);
    threads.into_iter().for_each(|one| one.join().unwrap());
    let Some(mut writers) = Arc::into_inner(writers) else { panic!("the threads have ended") };
    assert_eq!(writers.unexpected.into_inner().unwrap(), Vec::<String>::new(), "writes are done, or UNAVAILABLE");
    let (acknowledged, refused) = (writers.acknowledged.into_inner().unwrap(), writers.refused.into_inner());
    assert_eq!(writers.server.terminate(), Some(0));
    assert_eq!(missing(&db, &acknowledged).await, [], "after a stop what was acknowledged is there");
    recoveries.sort_unstable();
    println!(
        "full {} times: {} acknowledged, none missing; {refused} refused; ready again after {:?}, at most {:?}",
        recoveries.len(),
        acknowledged.len(),
        recoveries[recoveries.len() / 2],
        recoveries[recoveries.len() - 1]
    );
    // The log tells of each time, and not of each write.
    let log = writers.server.log();
    assert!(!log.contains("a field failed"), "{log}");
    assert!(log.contains("no room") || log.contains("cannot write its files"), "{log}");
    output(&["verify"], &writers.place.settings());
}

async fn a_read_only_database_says_so(stage: Stage) {
    let write = async |stage: &Stage| {
        let admin = stage.app(&[Scope::Admin]).await;
        let input = json!({ "user": { "handle": "grace" }, "amount": { "micros": 1 } });
        admin.query(GRANT, json!({ "input": input })).await
    };
    let is_ready = async |stage: &Stage| {
        let request = axum::http::Request::get("/readyz").body(axum::body::Body::empty()).unwrap();
        let answer = stage.anonymous().send(request).await;
        (answer.status.as_u16(), answer.text)
    };
    assert_eq!(write(&stage).await.data()["grantCredits"]["status"], "APPLIED");
    if stage.db().kind() == Kind::Sqlite {
        // The key is there, and cannot be stored there once more.
        let admin = stage.app(&[Scope::Admin]).await.credential().to_owned();
        let locked = Stage::at(format!("{}?mode=ro", stage.url)).await;
        let admin = locked.with_credential(Some(admin));
        let input = json!({ "user": { "handle": "grace" }, "amount": { "micros": 1 } });
        for _ in 0..3 {
            let answer = admin.query(GRANT, json!({ "input": input })).await;
            assert_eq!(answer.codes(), ["UNAVAILABLE"], "{}", answer.text);
            assert!(answer.message().contains("read-only"), "{}", answer.text);
        }
        assert_eq!(is_ready(&locked).await, (503, "the database is read-only\n".to_owned()));
        assert_eq!(
            admin.data("{ user(by: { handle: \"grace\" }) { handle } }", Value::Null).await["user"]["handle"],
            "grace"
        );
        return;
    }
    let name = stage.url.rsplit('/').next().unwrap().to_owned();
    let other = Db::connect(&stage.url, 1).await.unwrap();
    let say = async |how: &str| {
        // The session that says so has to be allowed to write.
        let transaction = other.begin().await.unwrap();
        transaction.execute_unprepared("SET TRANSACTION READ WRITE").await.unwrap();
        let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = {how}");
        transaction.execute_unprepared(&sql).await.unwrap();
        transaction.commit().await.unwrap();
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                      WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = 'waymark'";
        other.writes().execute_unprepared(others).await.unwrap();
    };
    let admin = stage.app(&[Scope::Admin]).await;
    let input = json!({ "user": { "handle": "grace" }, "amount": { "micros": 1 } });
    say("on").await;
    // Connections that were cut show themselves by their first statement.
    until("the database is read-only", async || {
        let answer = admin.query(GRANT, json!({ "input": input })).await;
        answer.text.contains("UNAVAILABLE") && answer.text.contains("read-only")
    })
    .await;
    assert_eq!(is_ready(&stage).await, (503, "the database is read-only\n".to_owned()));
    say("off").await;
    until("it goes back by itself", async || is_ready(&stage).await == (200, "ready\n".to_owned())).await;
    until("writes go on", async || admin.query(GRANT, json!({ "input": input })).await.codes().is_empty()).await;
}
