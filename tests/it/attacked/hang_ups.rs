//! Clients that go away in the middle of a write, servers that are killed then, and locks that somebody else holds.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpSocket;
use tokio::time::{Instant, sleep, timeout};
use waymark::auth::Scope;
use waymark::db::{Db, Kind};

use crate::cli::{SECRET, Server, output};
use crate::harness::{Actor, Blank, Stage, rounds, tests, token};
use crate::rest::wallet::{Unsigned, Wallet};

tests! {
    blank: [
        a_connection_left_in_a_transaction_is_not_used_again,
        clients_that_hang_up_leave_nothing_open,
        a_signed_mutation_is_carried_out_once_by_a_server_that_is_killed,
    ],
    own: [
        a_signed_mutation_whose_client_hangs_up_is_carried_out_once,
        a_signature_is_good_for_all_of_its_document,
        a_locked_user_keeps_nobody_else_waiting,
        one_users_writes_keep_nobody_else_waiting,
        a_change_of_the_catalogue_that_waits_lets_others_pass,
    ],
}

/// What every run draws from, so that all are alike.
pub(super) const SEED: u64 = 20_261_130;
/// How long anything may take that is waited for.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

/// The next number below `most` that is drawn.
pub(super) fn draw(dice: &mut u64, most: u64) -> u64 {
    *dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*dice >> 33) % most
}

/// Waits until `check` says so.
pub(super) async fn until(what: &str, check: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !check().await {
        assert!(began.elapsed() < LONGEST, "{what}");
        sleep(Duration::from_millis(20)).await;
    }
}

pub(super) async fn number(db: &Db, sql: &str) -> i64 {
    let statement = Statement::from_string(db.reads().get_database_backend(), sql);
    db.reads().query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

/// Waits until no connection is left in a transaction, as the engine sees it, and others can write.
async fn nothing_is_open(db: &Db) {
    if db.kind() == Kind::Postgres {
        let sql = "SELECT count(*) FROM pg_stat_activity \
                   WHERE datname = current_database() AND state LIKE 'idle in transaction%'";
        until("a session is idle in transaction", async || number(db, sql).await == 0).await;
    }
    db.begin().await.unwrap().commit().await.unwrap();
}

/// Gives something up after it was polled so many times.
async fn polled<T>(times: u32, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut left = times;
    std::future::poll_fn(|context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        match work.as_mut().poll(context) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if left == 0 => {
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn a_connection_left_in_a_transaction_is_not_used_again(blank: Blank) {
    let Blank { db, url } = &blank;
    let other = Db::connect(url, 2).await.unwrap();
    db.writes().execute_unprepared("CREATE TABLE kept (n integer PRIMARY KEY)").await.unwrap();
    let insert = async |n: u32| {
        let transaction = db.begin().await.unwrap();
        transaction.execute_unprepared(&format!("INSERT INTO kept VALUES ({n})")).await.unwrap();
        transaction
    };
    let stored = async || number(&other, "SELECT count(*) FROM kept").await;
    let mut expected = 0;
    for n in (0..60).step_by(6) {
        // Given up while it begins, at every step of that.
        drop(polled(n / 6 + 1, db.begin()).await);
        // Dropped without an end.
        drop(insert(n).await);
        // Given up in the middle of its end, which may or may not be done.
        polled(1, insert(n + 1).await.rollback()).await;
        // With a statement that failed: nothing goes on, and it cannot be committed.
        let transaction = insert(n + 2).await;
        assert!(transaction.execute_unprepared("INSERT INTO nowhere VALUES (1)").await.is_err());
        assert!(transaction.execute_unprepared(&format!("INSERT INTO kept VALUES ({})", n + 3)).await.is_err());
        assert!(transaction.commit().await.is_err());
        // What is answered as done after all that is done.
        insert(n + 4).await.commit().await.unwrap();
        db.writes().execute_unprepared(&format!("INSERT INTO kept VALUES ({})", n + 5)).await.unwrap();
        expected += 2;
        assert_eq!(stored().await, expected);
    }
    nothing_is_open(db).await;
    nothing_is_open(&other).await;
}

pub(super) const GRANT: &str = "mutation($input: GrantCreditsInput!) { grantCredits(input: $input) { status } }";

/// Another way to send what `query` sends: over a socket that is reset after a moment.
async fn abort(address: &str, credential: &str, body: &Value, after: Duration) {
    let body = body.to_string();
    let request = format!(
        "POST /graphql HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {credential}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_zero_linger().unwrap();
    let Ok(mut stream) = socket.connect(address.trim_start_matches("http://").parse().unwrap()).await else { return };
    // The server may be quicker with closing.
    let _ = stream.write_all(request.as_bytes()).await;
    sleep(after).await;
}

pub(super) fn post(address: &str, headers: &[(String, String)], body: &str) -> Option<(u16, Value)> {
    let agent = ureq::Agent::config_builder().timeout_global(Some(LONGEST)).http_status_as_error(false).build();
    let mut request = agent.new_agent().post(format!("{address}/graphql")).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let mut response = request.send(body).ok()?;
    let text = response.body_mut().read_to_string().ok()?;
    Some((response.status().as_u16(), serde_json::from_str(&text).unwrap_or_default()))
}

/// A migrated database with somebody in it, an admin's key, and the settings of servers for it.
pub(super) struct Place {
    settings: [(&'static str, String); 4],
    admin: String,
}

impl Place {
    pub(super) fn new(url: &str) -> Self {
        let settings = [
            ("WAYMARK_DATABASE_URL", url.to_owned()),
            ("WAYMARK_JWT_SECRET", SECRET.to_owned()),
            ("WAYMARK_RATE_PER_SECOND", "0".to_owned()),
            ("WAYMARK_SIGNED_FETCH", "true".to_owned()),
        ];
        let mut place = Self { settings, admin: String::new() };
        output(&["migrate"], &place.settings());
        place.admin =
            output(&["key", "create", "--name", "admin", "--scope", "admin"], &place.settings()).trim().to_owned();
        place
    }

    pub(super) fn settings(&self) -> Vec<(&str, &str)> {
        self.settings.iter().map(|(name, value)| (*name, value.as_str())).collect()
    }

    pub(super) fn serve(&self) -> Server {
        Server::start(&["serve"], &self.settings(), "Serving on ")
    }

    pub(super) fn query(&self, server: &Server, query: &str, variables: Value) -> Option<Value> {
        let bearer = [("authorization".to_owned(), format!("Bearer {}", self.admin))];
        let body = json!({ "query": query, "variables": variables }).to_string();
        post(&server.address, &bearer, &body).map(|(_, answer)| answer)
    }

    pub(super) fn user(&self, server: &Server, handle: &str) -> String {
        let made = "mutation($input: UpsertUserInput!) { upsertUser(input: $input) { user { id } } }";
        let made = self.query(server, made, json!({ "input": { "handle": handle } })).unwrap();
        made["data"]["upsertUser"]["user"]["id"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned()
    }
}

async fn clients_that_hang_up_leave_nothing_open(blank: Blank) {
    let place = Arc::new(Place::new(&blank.url));
    let server = place.serve();
    let users: Vec<String> = (0..4).map(|number| place.user(&server, &format!("patient{number}"))).collect();
    let acknowledged = AtomicU32::new(0);
    let mut dice = SEED;
    for round in 0..rounds(6, 60) {
        let address = &*server.address;
        let clients = (0..12).map(|client| {
            let mut dice = draw(&mut dice, u64::MAX);
            let user = &users[client % 2];
            let admin = &place.admin;
            async move {
                for number in 0..8 {
                    let query = format!(
                        "mutation {{ updateProfile(input: {{ user: {{ id: \"{user}\" }}, \
                                         displayName: \"x{number}\" }}) {{ user {{ id }} }} }}"
                    );
                    let after = Duration::from_micros(draw(&mut dice, 12_000));
                    abort(address, admin, &json!({ "query": query }), after).await;
                }
            }
        });
        // Beside them, one who waits for the answers.
        let patient = async {
            for number in 0..8 {
                let user = &users[2 + number % 2];
                let input =
                    json!({ "user": { "id": user }, "amount": { "micros": 1 }, "ref": format!("{round}.{number}") });
                let body = json!({ "query": GRANT, "variables": { "input": input } }).to_string();
                let bearer = [("authorization".to_owned(), format!("Bearer {}", place.admin))];
                let address = address.to_owned();
                let answer =
                    tokio::task::spawn_blocking(move || post(&address, &bearer, &body)).await.unwrap().unwrap();
                assert_eq!(answer.1["data"]["grantCredits"]["status"], "APPLIED", "{answer:?}");
                acknowledged.fetch_add(1, Ordering::Relaxed);
            }
        };
        futures_util::future::join(join_all(clients), patient).await;
    }
    nothing_is_open(&blank.db).await;
    let granted = number(&blank.db, "SELECT count(*) FROM credit_entries").await;
    assert_eq!(granted, i64::from(acknowledged.load(Ordering::Relaxed)), "what was acknowledged is there, once");
    println!(
        "{} writes given up, no session left open; {granted} acknowledged, all there once",
        rounds(6, 60) * 12 * 8
    );
    server.kill();
    output(&["verify"], &place.settings());
}

/// Lets a transaction stand still for as long as it likes, as those of others may; ours are ended by the database.
async fn stays_idle(held: &waymark::db::Transaction) {
    held.execute_unprepared("SET LOCAL idle_in_transaction_session_timeout = 0").await.unwrap();
}

/// The headers and the body of a signed mutation, which adds to the time that the wallet's user spent with a resource.
fn signed(wallet: &Wallet, resource: &str, timestamp: i64) -> (Vec<(String, String)>, String) {
    let query = format!(
        "mutation {{ updateResourceProgress(input: {{ resourceId: \"{resource}\", addTimeSpentMinutes: 7 }}) {{
            resourceProgress {{ timeSpent }} userErrors {{ message }} }} }}"
    );
    let body = json!({ "query": query }).to_string();
    (sign(wallet, &body, timestamp), body)
}

fn sign(wallet: &Wallet, body: &str, timestamp: i64) -> Vec<(String, String)> {
    let hash: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    let metadata = format!(r#"{{"body":"sha256:{hash}"}}"#);
    Unsigned { metadata: &metadata, timestamp, ..Unsigned::new("POST", "/graphql") }.headers(&[wallet])
}

/// How many minutes were spent with each resource that is not in the catalogue.
async fn spent(db: &Db, resource: &str) -> i64 {
    let sql = format!(
        "SELECT COALESCE(SUM(p.time_spent_minutes), 0) FROM resource_progress p JOIN resources r ON r.id = p.resource_id \
         WHERE r.external_id = '{resource}'"
    );
    let sql = if db.kind() == Kind::Postgres {
        sql.replace("COALESCE(SUM(p.time_spent_minutes), 0)", "COALESCE(SUM(p.time_spent_minutes), 0)::bigint")
    } else {
        sql
    };
    number(db, &sql).await
}

async fn a_signed_mutation_is_carried_out_once_by_a_server_that_is_killed(blank: Blank) {
    let (place, wallet) = (Place::new(&blank.url), Wallet::new(77));
    let mut server = place.serve();
    let mut dice = SEED + 1;
    let (mut before, mut after) = (0, 0);
    for round in 0..rounds(4, 50) {
        let resource = format!("{:024x}", 0x5157_0000 + round);
        let millis = waymark::clock::Clock::System.now().millis();
        let (headers, body) = signed(&wallet, &resource, millis);
        let first = {
            let (address, headers, body) = (server.address.clone(), headers.clone(), body.clone());
            std::thread::spawn(move || post(&address, &headers, &body))
        };
        sleep(Duration::from_micros(draw(&mut dice, 60_000))).await;
        server.kill();
        let first = first.join().unwrap();
        server = place.serve();
        let (status, second) = post(&server.address, &headers, &body).unwrap();
        if status == 401 {
            assert_eq!(second["errors"][0]["extensions"]["code"], "INVALID_CREDENTIAL");
            before += 1;
        } else {
            assert_eq!(second["data"]["updateResourceProgress"]["resourceProgress"]["timeSpent"], 7, "{second}");
            assert!(!first.is_some_and(|(_, answer)| answer["data"]["updateResourceProgress"].is_object()));
            after += 1;
        }
        assert_eq!(spent(&blank.db, &resource).await, 7, "round {round}: it was carried out once");
        let (status, _) = post(&server.address, &headers, &body).unwrap();
        assert_eq!(status, 401);
    }
    println!("carried out before the server was killed: {before}, after that: {after}");
}

async fn send(stage: &Stage, headers: &[(String, String)], body: &str) -> crate::harness::Answer {
    let mut request = Request::post("/graphql")
        .header("content-type", "application/json")
        .header("accept", "application/graphql-response+json");
    for (name, value) in headers {
        request = request.header(name, value);
    }
    stage.anonymous().send(request.body(Body::from(body.to_owned())).unwrap()).await
}

async fn a_signed_mutation_whose_client_hangs_up_is_carried_out_once(stage: Stage) {
    let wallet = Wallet::new(78);
    wallet.link(&stage, 1).await;
    let other = stage.with(&[]).await;
    let mut dice = SEED + 2;
    for round in 0..rounds(20, 400) {
        let resource = format!("{:024x}", 0x5158_0000 + round);
        let (headers, body) = signed(&wallet, &resource, crate::rest::wallet::now() + i64::from(round));
        let moment = Duration::from_micros(draw(&mut dice, 8_000));
        let first = timeout(moment, send(&stage, &headers, &body)).await.ok();
        // The write may still be under way, and this one waits for it or comes before it.
        let second = send(&other, &headers, &body).await;
        let refused = second.codes().contains(&"INVALID_CREDENTIAL");
        if first.is_some_and(|answer| answer.json["data"]["updateResourceProgress"].is_object()) {
            assert!(refused, "{}", second.text);
        } else if !refused {
            assert_eq!(second.data()["updateResourceProgress"]["resourceProgress"]["timeSpent"], 7);
        }
        send(&stage, &headers, &body).await.refused(401, "INVALID_CREDENTIAL");
        assert_eq!(spent(stage.db(), &resource).await, 7, "round {round}: it was carried out once");
    }
    nothing_is_open(stage.db()).await;
}

async fn a_signature_is_good_for_all_of_its_document(stage: Stage) {
    let wallet = Wallet::new(79);
    wallet.link(&stage, 1).await;
    let resource = "0000000000000000000a11ce";
    let write = |name: &str, input: &str| {
        format!(
            "{name}: updateResourceProgress(input: {{ resourceId: \"{resource}\", {input} }}) {{ userErrors {{ code }} }}"
        )
    };
    let now = crate::rest::wallet::now();
    let body = |fields: &[String]| json!({ "query": format!("mutation {{ {} }}", fields.join(" ")) }).to_string();
    let three = body(&["a", "b", "c"].map(|name| write(name, "addTimeSpentMinutes: 1")));
    let headers = sign(&wallet, &three, now);
    let answer = send(&stage, &headers, &three).await.data();
    assert!(["a", "b", "c"].iter().all(|name| answer[name]["userErrors"] == json!([])), "{answer}");
    send(&stage, &headers, &three).await.refused(401, "INVALID_CREDENTIAL");
    assert_eq!(spent(stage.db(), resource).await, 3);

    // What fails leaves the signature as it was, and so does what is not allowed.
    let body = body(&[write("a", "addTimeSpentMinutes: 1")]);
    let headers = sign(&wallet, &body, now + 1);
    let held = stage.db().begin().await.unwrap();
    if stage.db().kind() == Kind::Postgres {
        stays_idle(&held).await;
        held.execute_unprepared("SELECT user_id FROM user_counters WHERE user_id = 1 FOR UPDATE").await.unwrap();
        assert_eq!(send(&stage, &headers, &body).await.codes(), ["UNAVAILABLE"]);
    } else {
        // Whoever goes away before the turn comes may have come so far that it is carried out all the same.
        assert!(timeout(Duration::from_millis(50), send(&stage, &headers, &body)).await.is_err());
    }
    held.rollback().await.unwrap();
    let answer = send(&stage, &headers, &body).await;
    if stage.db().kind() == Kind::Postgres || !answer.codes().contains(&"INVALID_CREDENTIAL") {
        assert_eq!(answer.data()["a"]["userErrors"], json!([]));
    }
    send(&stage, &headers, &body).await.refused(401, "INVALID_CREDENTIAL");
    assert_eq!(spent(stage.db(), resource).await, 4);
}

pub(super) const PROGRESS: &str =
    "mutation($input: UpdateResourceProgressInput!) { updateResourceProgress(input: $input) {
    userErrors { code } } }";

/// The ids of new users.
async fn somebodies(admin: &Actor, count: usize) -> Vec<String> {
    let make = "mutation($input: UpsertUserInput!) { upsertUser(input: $input) { user { id } } }";
    let mut users = Vec::with_capacity(count);
    for number in 0..count {
        let data = admin.data(make, json!({ "input": { "handle": format!("somebody{number}") } })).await;
        users.push(data["upsertUser"]["user"]["id"].as_str().unwrap_or_else(|| panic!("{data}")).to_owned());
    }
    users
}

/// One write that joins others and one that does not, for a user.
async fn two_writes(admin: &Actor, user: &str, name: String) {
    let joined = json!({ "user": { "id": user }, "resourceId": "507f191e810c19729de860ea", "progress": 40 });
    let single = json!({ "user": { "id": user }, "amount": { "micros": 1 }, "ref": name });
    let (joined, single) = futures_util::future::join(
        admin.data(PROGRESS, json!({ "input": joined })),
        admin.data(GRANT, json!({ "input": single })),
    )
    .await;
    assert_eq!(joined["updateResourceProgress"]["userErrors"], json!([]), "{joined}");
    assert_eq!(single["grantCredits"]["status"], "APPLIED", "{single}");
}

/// Others write, and know new credentials, until all is done.
async fn others_go_on(stage: &Stage, admin: &Actor, users: &[String], name: &str) {
    for round in 0..4 {
        join_all(users.iter().map(|user| two_writes(admin, user, format!("{name}{round}")))).await;
        let viewer = stage.with_credential(Some(token("grace", json!({ "round": format!("{name}{round}") }))));
        assert_eq!(
            viewer.data("{ viewer { user { handle } } }", Value::Null).await["viewer"]["user"]["handle"],
            "grace"
        );
    }
}

async fn a_locked_user_keeps_nobody_else_waiting(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let users = somebodies(&admin, 20).await;
    let neighbour = Db::connect(&stage.url, 2).await.unwrap();
    let held = if neighbour.kind() == Kind::Postgres {
        let held = neighbour.begin().await.unwrap();
        stays_idle(&held).await;
        let both = "SELECT user_id FROM user_counters WHERE user_id IN \
            (SELECT id FROM users WHERE handle IN ('somebody0', 'somebody1')) FOR UPDATE";
        held.execute_unprepared(both).await.unwrap();
        Some(held)
    } else {
        // There is one writer at a time, so that nobody can hold one user.
        None
    };
    let locked = (0..12).map(|number| {
        let (admin, user) = (admin.clone(), users[number % 2].clone());
        tokio::spawn(async move {
            let grant = json!({ "user": { "id": user }, "amount": { "micros": 1 }, "ref": format!("held{number}") });
            let progress = json!({ "user": { "id": user }, "resourceId": format!("{number:024x}"), "progress": 40 });
            let (text, input) = if number < 6 { (PROGRESS, progress) } else { (GRANT, grant) };
            admin.query(text, json!({ "input": input })).await
        })
    });
    let locked: Vec<_> = locked.collect();
    // All of this ends while the users are locked.
    timeout(LONGEST, others_go_on(&stage, &admin, &users[2..], "free")).await.expect("others go on");
    if let Some(held) = held {
        held.rollback().await.unwrap();
    }
    for one in locked {
        let answer = one.await.unwrap();
        assert!(answer.codes().is_empty() || answer.codes() == ["UNAVAILABLE"], "{}", answer.text);
    }
    // Afterwards they are written for as ever.
    others_go_on(&stage, &admin, &users, "freed").await;
}

async fn one_users_writes_keep_nobody_else_waiting(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let users = somebodies(&admin, 6).await;
    let profile = "mutation($input: UpdateProfileInput!) { updateProfile(input: $input) { userErrors { code } } }";
    let flood = (0..120).map(|number| {
        let (admin, input) = (&admin, json!({ "user": { "id": users[0] }, "displayName": format!("name {number}") }));
        admin.query(profile, json!({ "input": input }))
    });
    let (answers, ()) =
        futures_util::future::join(join_all(flood), others_go_on(&stage, &admin, &users[1..], "calm")).await;
    for answer in &answers {
        // Those who come last may have to wait for too long.
        assert!(answer.codes().is_empty() || answer.codes() == ["UNAVAILABLE"], "{}", answer.text);
    }
    assert!(answers.iter().any(|answer| answer.codes().is_empty()));
}

async fn a_change_of_the_catalogue_that_waits_lets_others_pass(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let users = somebodies(&admin, 8).await;
    let neighbour = Db::connect(&stage.url, 2).await.unwrap();
    let held = if neighbour.kind() == Kind::Postgres {
        // As a server that is paused in the middle of a write.
        let held = neighbour.begin().await.unwrap();
        stays_idle(&held).await;
        held.execute_unprepared("SELECT pg_advisory_xact_lock_shared(8319)").await.unwrap();
        Some(held)
    } else {
        None
    };
    let change = {
        let admin = admin.clone();
        let upsert = "mutation($input: UpsertResourceInput!) { upsertResource(input: $input) { userErrors { code } } }";
        let input = json!({ "key": "0123456789abcdef01234567", "title": "A new one" });
        tokio::spawn(async move { admin.query(upsert, json!({ "input": input })).await })
    };
    timeout(LONGEST, others_go_on(&stage, &admin, &users, "passing")).await.expect("others go on");
    if let Some(held) = held {
        // It is told, and nothing was changed, when that takes too long.
        let answer = change.await.unwrap();
        assert_eq!(answer.codes(), ["UNAVAILABLE"], "{}", answer.text);
        held.rollback().await.unwrap();
    } else {
        assert_eq!(change.await.unwrap().data()["upsertResource"]["userErrors"], json!([]));
    }
    others_go_on(&stage, &admin, &users, "passed").await;
}
