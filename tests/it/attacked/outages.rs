//! PostgreSQL is killed, cut off, refused and slow; the server is never started again.
//!
//! Clients write all the while, each repeating a write with its key until it is answered. Whatever happens, what was
//! answered is there once, and soon after new connections work the server answers again, by itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sea_orm::sqlx::{Connection as _, PgConnection};
use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection};
use serde_json::{Value, json};
use waymark::auth::Scope;
use waymark::db::{Db, Kind};

use crate::cli::{SECRET, Server, output};
use crate::crash::{self, Client, Field};
use crate::harness::{Blank, Cluster, Cut, Proxy, Stage, Way, rounds, tests, token};

tests! {
    once: [
        what_was_answered_survives_every_outage,
    ],
    blank: [
        a_database_that_cannot_be_reached_is_named_at_once,
        a_role_without_rights_is_not_told_of_pending_migrations,
    ],
    own: [
        writes_that_wait_for_a_lock_keep_no_reads_waiting,
        few_connections_are_enough,
        a_statement_that_takes_too_long_is_ended,
    ],
}

/// How many clients write, how many users each of them writes for (in a whole run), and how long it rests after an answer.
const CLIENTS: usize = 6;
const USERS_EACH: (u32, u32) = (60, 400);
const REST: Duration = Duration::from_millis(40);
/// How long the clients write between two outages, at the least and by how much more at most, in milliseconds.
const CALM: (u64, u64) = (150, 500);
/// How soon everything has to work again. By far: the machine may have much else to do.
const SOON: Duration = Duration::from_secs(45);
const SEED: u64 = 20_261_129;

/// What becomes of the database, and how often in a short and in a whole run.
const KINDS: &[(&str, (u32, u32), Trouble)] = &[
    ("killed (all processes, kill -9) and started again", (1, 16), killed),
    ("all sessions terminated", (1, 12), terminated),
    ("connections cut with FIN", (1, 12), |scene| scene.cut(Cut::Fin)),
    ("connections cut with RST", (1, 12), |scene| scene.cut(Cut::Reset)),
    ("open connections silent, new ones work", (1, 14), |scene| scene.open(Way::Silent)),
    ("open connections carry nothing to the database", (0, 6), |scene| scene.open(Way::FromDatabase)),
    ("open connections carry nothing from the database", (1, 6), |scene| scene.open(Way::ToDatabase)),
    ("open connections half closed", (1, 6), |scene| scene.open(Way::HalfClosed)),
    ("everything silent for 6 s", (0, 6), all_silent),
    ("no new connections for 4 s", (1, 6), not_accepting),
    ("connections refused for 3 s", (0, 6), refused),
    ("all slots taken for 3 s", (1, 6), no_slots),
    ("everything 150 ms late for 2 s", (0, 4), late),
    ("statement_timeout of the database at 30 ms", (1, 3), impatient),
];

/// Makes trouble, and gives the instant from which new connections work.
type Trouble = fn(&mut Scene) -> Instant;

/// A server, its database, and what is between them.
struct Scene {
    cluster: Cluster,
    proxy: Proxy,
    server: Server,
    /// The way to the database without what is between.
    direct: String,
    credential: String,
    runtime: tokio::runtime::Runtime,
    dice: u64,
    /// The longest time that anybody waited for a refusal while the database was known to be away.
    slowest_refusal: Duration,
}

impl Scene {
    fn sql(&self, database: &str, sql: &str) {
        self.runtime.block_on(async {
            let connection = administrator(&self.direct, database).await;
            connection.execute_unprepared(sql).await.unwrap();
            connection.close().await.unwrap();
        });
    }

    fn cut(&mut self, cut: Cut) -> Instant {
        self.proxy.cut(cut);
        Instant::now()
    }

    fn open(&mut self, way: Way) -> Instant {
        self.proxy.ways(way, Way::Open);
        Instant::now()
    }

    /// Waits, and looks whether requests are refused at once when it has been known for a while that nothing works.
    fn outage(&mut self, longest: Duration) {
        thread::sleep(longest - Duration::from_millis(500));
        for ask in [write, read] {
            let began = Instant::now();
            if !ask(&self.server.address, &self.credential) {
                self.slowest_refusal = self.slowest_refusal.max(began.elapsed());
            }
        }
    }
}

async fn administrator(url: &str, database: &str) -> DatabaseConnection {
    let (place, _) = url.rsplit_once('/').unwrap();
    Database::connect(format!("{place}/{database}")).await.unwrap()
}

const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = 'waymark' AND pid <> pg_backend_pid()";

fn killed(scene: &mut Scene) -> Instant {
    scene.cluster.kill();
    thread::sleep(Duration::from_millis([0, 500, 3000][crash::draw(&mut scene.dice, 3) as usize]));
    scene.cluster.start_again();
    Instant::now()
}

fn terminated(scene: &mut Scene) -> Instant {
    scene.sql("postgres", TERMINATE);
    Instant::now()
}

fn all_silent(scene: &mut Scene) -> Instant {
    scene.proxy.ways(Way::Silent, Way::Silent);
    scene.outage(Duration::from_secs(6));
    scene.proxy.clears_up();
    Instant::now()
}

fn not_accepting(scene: &mut Scene) -> Instant {
    scene.sql("postgres", "ALTER DATABASE waymark ALLOW_CONNECTIONS false");
    scene.sql("postgres", TERMINATE);
    scene.outage(Duration::from_secs(4));
    scene.sql("postgres", "ALTER DATABASE waymark ALLOW_CONNECTIONS true");
    Instant::now()
}

fn refused(scene: &mut Scene) -> Instant {
    scene.proxy.takes(false);
    scene.proxy.cut(Cut::Reset);
    scene.outage(Duration::from_secs(3));
    scene.proxy.clears_up();
    Instant::now()
}

fn no_slots(scene: &mut Scene) -> Instant {
    scene.sql("postgres", TERMINATE);
    let url = scene.direct.clone();
    let taken = scene.runtime.block_on(async {
        let mut taken = Vec::new();
        while let Ok(connection) = PgConnection::connect(&url).await {
            taken.push(connection);
        }
        taken
    });
    assert!(!taken.is_empty());
    thread::sleep(Duration::from_secs(3));
    scene.runtime.block_on(async {
        for connection in taken {
            let _ = connection.close().await;
        }
    });
    Instant::now()
}

fn late(scene: &mut Scene) -> Instant {
    scene.proxy.delay(Duration::from_millis(150));
    thread::sleep(Duration::from_secs(2));
    scene.proxy.clears_up();
    Instant::now()
}

fn impatient(scene: &mut Scene) -> Instant {
    scene.sql("postgres", "ALTER DATABASE waymark SET statement_timeout = '30ms'");
    scene.sql("postgres", TERMINATE);
    thread::sleep(Duration::from_secs(1));
    scene.sql("postgres", "ALTER DATABASE waymark RESET statement_timeout");
    // The server asks for its own limit, so nothing has to be over.
    Instant::now()
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(20))).build().new_agent()
}

/// Whether a GraphQL request is answered without an error. One that is not may only be told that the database is away.
fn ask(address: &str, credential: &str, body: &Value) -> bool {
    let request = agent().post(format!("{address}/graphql")).header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {credential}")).config().http_status_as_error(false);
    let Ok(mut answer) = request.build().send(body.to_string()) else { return false };
    let Ok(text) = answer.body_mut().read_to_string() else { return false };
    let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("it is JSON: {text}"));
    let code = answer["errors"][0]["extensions"]["code"].as_str();
    assert!(matches!(code, None | Some("UNAVAILABLE")), "{text}");
    code.is_none()
}

fn write(address: &str, credential: &str) -> bool {
    let input = json!({ "user": { "handle": "grace" }, "amount": { "micros": 1 } });
    let query = "mutation($i: GrantCreditsInput!) { grantCredits(input: $i) { status } }";
    ask(address, credential, &json!({ "query": query, "variables": { "i": input } }))
}

fn read(address: &str, credential: &str) -> bool {
    let query =
        "{ user(by: { handle: \"grace\" }) { credits { available { micros } } games(first: 2) { nodes { id } } } }";
    ask(address, credential, &json!({ "query": query }))
}

fn is_ready(address: &str, _: &str) -> bool {
    agent().get(format!("{address}/readyz")).call().is_ok()
}

/// After which time each of these is answered again, counted from `since`.
fn recovery(scene: &Scene, since: Instant) -> [Duration; 3] {
    let asks: [fn(&str, &str) -> bool; 3] = [write, read, is_ready];
    thread::scope(|scope| {
        let again = asks.map(|ask| {
            scope.spawn(move || {
                while !ask(&scene.server.address, &scene.credential) {
                    assert!(since.elapsed() < SOON, "it works again: {}", scene.server.log());
                    thread::sleep(Duration::from_millis(5));
                }
                since.elapsed()
            })
        });
        again.map(|again| again.join().unwrap())
    })
}

fn what_was_answered_survives_every_outage() {
    let Some(cluster) = Cluster::to_be_killed("-c max_connections=80") else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let direct = cluster.url.replace("/postgres", "/waymark");
    let users_each = rounds(USERS_EACH.0, USERS_EACH.1) as usize;
    let (world, users) = runtime.block_on(async {
        let connection = administrator(&direct, "postgres").await;
        connection.execute_unprepared("CREATE DATABASE waymark").await.unwrap();
        connection.close().await.unwrap();
        let db = Db::connect(&direct, 4).await.unwrap();
        let made = crash::prepare(&db, CLIENTS * users_each).await;
        db.close().await.unwrap();
        made
    });
    let settings = [("WAYMARK_DATABASE_URL", &*direct), ("WAYMARK_JWT_SECRET", SECRET)];
    let credential = output(&["key", "create", "--name", "outage", "--scope", "admin"], &settings);
    let credential = credential.trim_end().to_owned();
    let proxy = Proxy::before(cluster.port);
    let between = direct.replace(&format!(":{}/", cluster.port), &format!(":{}/", proxy.address.port()));
    // Whoever asks all the time is not to be held up.
    let served = [("WAYMARK_DATABASE_URL", &*between), settings[1], ("WAYMARK_APP_RATE_PER_SECOND", "0")];
    let server = Server::start(&["serve"], &served, "Serving on ");
    let clients = crash::clients(&world, &users, users_each);
    let field = Arc::new(Field {
        address: Mutex::new(Some(server.address.clone())),
        stop: AtomicBool::new(false),
        credential: credential.clone(),
        pause: REST,
    });
    let threads: Vec<_> = clients
        .iter()
        .map(|client| {
            let (field, client) = (Arc::clone(&field), Arc::clone(client));
            thread::spawn(move || crash::run(&field, &client))
        })
        .collect();
    let mut scene = Scene {
        cluster,
        proxy,
        server,
        direct: direct.clone(),
        credential,
        runtime,
        dice: SEED,
        slowest_refusal: Duration::ZERO,
    };

    let figures = disturb(&mut scene, &clients, || threads.iter().all(|thread| !thread.is_finished()));
    field.stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(scene.server.is_running(), "it was never started again");
    let answered: usize = clients.iter().map(|client| client.lock().unwrap().answered).sum();
    scene.runtime.block_on(async {
        let db = Db::connect(&scene.direct, 2).await.unwrap();
        crash::compare(&crash::histories(&db, users[0].0).await, &clients);
        db.close().await.unwrap();
    });
    assert_eq!(output(&["verify"], &settings), "");
    assert!(scene.slowest_refusal < Duration::from_secs(10), "refused at once: {:?}", scene.slowest_refusal);
    if rounds(0, 1) == 1 {
        for (kind, times) in figures {
            eprintln!("{kind}: {}", summary(&times));
        }
        eprintln!("{answered} writes answered, none lost, none twice; slowest refusal {:?}", scene.slowest_refusal);
    }
}

/// Makes every kind of trouble as often as it is to be made, one after the other in turns. How long it took to recover.
fn disturb(
    scene: &mut Scene,
    clients: &[Arc<Mutex<Client>>],
    all_write: impl Fn() -> bool,
) -> BTreeMap<&'static str, Vec<[Duration; 3]>> {
    let mut figures: BTreeMap<&str, Vec<[Duration; 3]>> = BTreeMap::new();
    let most = KINDS.iter().map(|(_, (short, whole), _)| rounds(*short, *whole)).max().unwrap_or_default();
    for round in 0..most {
        for (kind, (short, whole), trouble) in KINDS {
            if round >= rounds(*short, *whole) {
                continue;
            }
            thread::sleep(Duration::from_millis(CALM.0 + crash::draw(&mut scene.dice, CALM.1)));
            let before: Vec<usize> = clients.iter().map(|client| client.lock().unwrap().answered).collect();
            let since = trouble(scene);
            let times = recovery(scene, since);
            if rounds(0, 1) == 1 {
                eprintln!("{round} {kind}: writes, reads, ready again after {times:?}");
            }
            figures.entry(*kind).or_default().push(times);
            // Those who repeat a write are answered in the end, too.
            for (client, before) in clients.iter().zip(before) {
                while client.lock().unwrap().answered == before && all_write() {
                    assert!(since.elapsed() < 2 * SOON, "{kind}: {}", scene.server.log());
                    thread::sleep(Duration::from_millis(5));
                }
            }
            assert!(all_write(), "{kind}: no client failed, and none is done early");
        }
    }
    figures
}

/// How often, and the median and the longest time until writes, reads and `/readyz` were answered again.
fn summary(times: &[[Duration; 3]]) -> String {
    let mut text = format!("{} times", times.len());
    for (place, what) in ["writes", "reads", "ready"].iter().enumerate() {
        let mut all: Vec<u128> = times.iter().map(|times| times[place].as_millis()).collect();
        all.sort_unstable();
        let (median, longest) = (all[all.len() / 2], all[all.len() - 1]);
        text.push_str(&format!("; {what} again after {median} ms, at most {longest} ms"));
    }
    text
}

async fn a_database_that_cannot_be_reached_is_named_at_once(blank: Blank) {
    if blank.db.kind() == Kind::Sqlite {
        return;
    }
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = blank.url.split(['@', '/']).nth(3).unwrap().to_owned();
    let other = |user: &str, place: &str, database: &str| format!("postgres://{user}:hunter2@{place}/{database}");
    for (url, words) in [
        (other("waymark", &free.to_string(), "waymark"), "refused"),
        (other("waymark", &place, "nowhere"), "database \"nowhere\" does not exist"),
        (other("nobody_at_all", &place, "postgres"), "role \"nobody_at_all\" does not exist"),
    ] {
        let error = Db::connect(&url, 4).await.unwrap_err();
        assert_eq!(error.code().as_str(), "UNAVAILABLE");
        let said = error.chain();
        let named = url.split(['@', '/']).nth(3).unwrap();
        assert!(said.contains(named) && said.contains(words), "{said}");
        assert_eq!(said.matches(words).count(), 1, "it is said once: {said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let error = Db::connect("postgres://me:hunter2@one,two/waymark?x=%", 4).await.unwrap_err();
    assert!(!error.chain().contains("hunter2"), "{}", error.chain());
}

async fn a_role_without_rights_is_not_told_of_pending_migrations(blank: Blank) {
    if blank.db.kind() == Kind::Sqlite {
        return;
    }
    blank.db.migrate().await.unwrap();
    let sql = async |sql: &str| blank.db.writes().execute_unprepared(sql).await.unwrap();
    let role = format!("limited_{}", blank.url.rsplit('/').next().unwrap());
    sql(&format!("CREATE ROLE {role} LOGIN")).await;
    sql(&format!("GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")).await;
    let (before, rest) = blank.url.split_once("://").unwrap();
    let (_, place) = rest.split_once('@').unwrap();
    let stage = Stage::at(format!("{before}://{role}@{place}")).await;
    let ready = async || {
        let request = axum::http::Request::get("/readyz").body(axum::body::Body::empty()).unwrap();
        let answer = stage.anonymous().send(request).await;
        (answer.status.as_u16(), answer.text)
    };
    assert_eq!(ready().await, (200, "ready\n".to_owned()));
    sql(&format!("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}")).await;
    let (status, text) = ready().await;
    assert!(status == 503 && !text.contains("migrations") && text.contains("grant"), "{status} {text}");
    stage.db().clone().close().await.unwrap();
    sql(&format!("DROP OWNED BY {role}")).await;
    sql(&format!("DROP ROLE {role}")).await;
}

const SPEND: &str = "mutation($i: SpendCreditsInput!) { spendCredits(input: $i) { status } }";
const GRANT: &str = "mutation($i: GrantCreditsInput!) { grantCredits(input: $i) { status } }";
const READ: &str = "{ user(by: { handle: \"grace\" }) { credits { available { micros } } } }";

async fn writes_that_wait_for_a_lock_keep_no_reads_waiting(stage: Stage) {
    if stage.db().kind() == Kind::Sqlite {
        return;
    }
    let app = stage.app(&[Scope::Admin]).await;
    let input = |handle: &str| json!({ "i": { "user": { "handle": handle }, "amount": { "micros": 1 } } });
    assert_eq!(app.data(GRANT, input("grace")).await["grantCredits"]["status"], "APPLIED");
    // Somebody else, who has no deadlines, keeps a user to himself.
    const ADA: &str = "SELECT 1 FROM user_counters \
        WHERE user_id = (SELECT id FROM users WHERE handle_lower = 'ada') FOR UPDATE";
    let other = Database::connect(&stage.url).await.unwrap();
    let lock = sea_orm::TransactionTrait::begin(&other).await.unwrap();
    lock.execute_unprepared(ADA).await.unwrap();
    let waiting: Vec<_> = (0..12)
        .map(|number| {
            let (app, query) = (app.clone(), if number % 2 == 0 { GRANT } else { SPEND });
            let input = input("ada");
            tokio::spawn(async move { app.query(query, input).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(300)).await;
    for number in 0..20 {
        // Each with a credential that was never seen.
        let reader = stage.with_credential(Some(token(&format!("nobody{number}"), json!({}))));
        let began = Instant::now();
        reader
            .data("{ user(by: { handle: \"grace\" }) { handle games(first: 2) { nodes { id } } } }", Value::Null)
            .await;
        assert!(began.elapsed() < Duration::from_secs(9), "a read waits: {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    lock.rollback().await.unwrap();
    for write in waiting {
        let answer = write.await.unwrap();
        let code = answer.json["errors"][0]["extensions"]["code"].as_str();
        assert!(matches!(code, None | Some("UNAVAILABLE")), "{}", answer.text);
    }
    assert_eq!(app.data(GRANT, input("ada")).await["grantCredits"]["status"], "APPLIED");
}

async fn few_connections_are_enough(stage: Stage) {
    for most in ["1", "2", "3", "4"] {
        let stage = stage.with(&[("WAYMARK_DATABASE_MAX_CONNECTIONS", most)]).await;
        let app = stage.app(&[Scope::Admin]).await;
        let input = json!({ "i": { "user": { "handle": "grace" }, "amount": { "micros": 1 } } });
        let all: Vec<_> = (0..30)
            .map(|number| {
                let (app, input) = (app.clone(), input.clone());
                tokio::spawn(async move {
                    match number % 3 {
                        0 => app.data(GRANT, input).await["grantCredits"]["status"].clone(),
                        1 => app.data(SPEND, input).await["spendCredits"]["status"].clone(),
                        _ => app.data(READ, Value::Null).await["user"]["credits"]["available"]["micros"].clone(),
                    }
                })
            })
            .collect();
        for answer in all {
            assert_ne!(answer.await.unwrap(), Value::Null, "{most} connections");
        }
    }
}

async fn a_statement_that_takes_too_long_is_ended(stage: Stage) {
    if stage.db().kind() == Kind::Sqlite {
        return;
    }
    let other = Database::connect(&stage.url).await.unwrap();
    // It is the server's own limit that counts, and not that of the database.
    let database = stage.url.rsplit('/').next().unwrap().to_owned();
    let sql = format!("ALTER DATABASE {database} SET statement_timeout = '1ms'");
    stage.db().writes().execute_unprepared(&sql).await.unwrap();
    let patient = stage.with(&[("WAYMARK_DATABASE_STATEMENT_SECONDS", "1")]).await;
    let reader = patient.app(&[Scope::ProgressRead]).await;
    let query = "{ user(by: { handle: \"grace\" }) { games(first: 1) { nodes { id } } } }";
    reader.data(query, Value::Null).await;
    let lock = sea_orm::TransactionTrait::begin(&other).await.unwrap();
    lock.execute_unprepared("LOCK TABLE game_summaries IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let answer = reader.query(query, Value::Null).await;
    let error = &answer.json["errors"][0];
    assert_eq!(error["extensions"]["code"], "UNAVAILABLE", "{}", answer.text);
    assert_eq!(error["message"], "the database took too long; try again", "{}", answer.text);
    lock.rollback().await.unwrap();
    reader.data(query, Value::Null).await;
}
