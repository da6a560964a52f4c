//! Two server processes on one database, both taking writes and both with subscribers, one of which is killed and started
//! again in the middle: every subscriber gets every event of their user once, in order.
//!
//! `SUBSCRIBERS`, `WRITES_PER_SECOND` and `SECONDS` make it a larger run, which says what it saw.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;
use waymark::clock::{Clock, Timestamp};
use waymark::db::Db;
use waymark::demo;

use super::Wire;
use crate::cli::{SECRET, Server, output};
use crate::harness::{Blank, tests};

tests! {
    blank: [
        every_subscriber_gets_every_event_though_a_server_is_killed,
    ],
}

/// How many subscribers each user has, half of them with either server.
const EACH: usize = 2;
/// How many writes are under way at a time at the most.
const WRITERS: usize = 24;

/// A number from the environment.
fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// What everybody on the field has to know.
struct Field {
    /// Where the servers are; `None` for one that is away.
    servers: Mutex<[Option<String>; 2]>,
    key: String,
    begun: Instant,
    per_second: u64,
    most: u64,
    next: AtomicU64,
    /// Milliseconds from the recording of an event to its arrival.
    delays: Mutex<Vec<i64>>,
}

impl Field {
    /// Opens a socket and introduces itself: to this server, or when it is away to the other one.
    async fn open(&self, first: usize) -> Option<Wire> {
        let servers = self.servers.lock().unwrap().clone();
        let at = servers[first].clone().or_else(|| servers[1 - first].clone())?;
        let mut wire = Wire::dial(&at, &[("sec-websocket-protocol", super::PROTOCOL)]).await.ok()?;
        wire.try_say(json!({ "type": "connection_init", "payload": { "x-api-key": self.key } })).await?;
        (wire.try_hear().await?["type"] == "connection_ack").then_some(wire)
    }

    /// Grants credits to one user after the other, as often as there are turns, each once whatever happens.
    async fn write(&self, users: &[String], writer: usize) {
        let grant = "mutation($input: GrantCreditsInput!) { grantCredits(input: $input) { userErrors { message } } }";
        let mut wire = None;
        loop {
            let turn = self.next.fetch_add(1, Ordering::Relaxed);
            if turn >= self.most {
                return;
            }
            sleep_until(self.begun + Duration::from_millis(turn * 1000 / self.per_second)).await;
            let user = &users[turn as usize % users.len()];
            let input = json!({ "user": { "handle": user }, "amount": { "micros": 1 }, "idempotencyKey": format!("run {turn}") });
            for tries in 0.. {
                if wire.is_none() {
                    wire = self.open((writer + tries) % 2).await;
                }
                let Some(open) = &mut wire else {
                    sleep(Duration::from_millis(20)).await;
                    continue;
                };
                match open.ask(grant, json!({ "input": input })).await {
                    Some(answer) if answer.get("errors").is_none() => {
                        assert_eq!(answer["data"]["grantCredits"]["userErrors"], json!([]), "{answer}");
                        break;
                    }
                    Some(answer) => assert_eq!(answer["errors"][0]["extensions"]["code"], "UNAVAILABLE", "{answer}"),
                    None => wire = None,
                }
            }
        }
    }

    /// Follows a user until the event of the last number has come, wherever there is a server.
    async fn follow(
        &self,
        user: String,
        from: (i64, String),
        server: usize,
        mut last: watch::Receiver<Option<Vec<i64>>>,
        place: usize,
    ) -> u64 {
        let (mut number, mut after) = from;
        let mut came_back = 0;
        let mut delays = Vec::new();
        'away: loop {
            let Some(mut wire) = self.open(server).await else {
                sleep(Duration::from_millis(20)).await;
                continue;
            };
            let variables = json!({ "user": { "handle": user }, "after": after });
            let subscribe =
                json!({ "id": "1", "type": "subscribe", "payload": { "query": LIVE, "variables": variables } });
            if wire.try_say(subscribe).await.is_none() {
                continue;
            }
            loop {
                if last.borrow().as_ref().is_some_and(|last| last[place] <= number) {
                    assert_eq!(last.borrow().as_ref().map(|last| last[place]), Some(number), "there is nothing more");
                    self.delays.lock().unwrap().append(&mut delays);
                    return came_back;
                }
                let message = tokio::select! {
                    message = wire.try_hear() => message,
                    _ = last.changed() => continue,
                };
                let Some(message) = message else {
                    came_back += 1;
                    continue 'away;
                };
                assert_eq!(message["type"], "next", "{message}");
                let event = &message["payload"]["data"]["userProgress"];
                number += 1;
                assert_eq!(event["number"], number, "of {user}: none is missing, none comes twice");
                after = event["cursor"].as_str().unwrap().to_owned();
                let recorded = Timestamp::parse(event["recordedAt"].as_str().unwrap()).unwrap();
                delays.push(Clock::System.now().millis_since(recorded));
            }
        }
    }
}

const LIVE: &str = "subscription($user: UserBy!, $after: String) {
    userProgress(user: $user, after: $after) { cursor number recordedAt } }";

impl Wire {
    async fn try_say(&mut self, message: Value) -> Option<()> {
        futures_util::SinkExt::send(&mut self.0, Message::text(message.to_string())).await.ok()
    }

    /// The next message; `None` when there will be none.
    async fn try_hear(&mut self) -> Option<Value> {
        loop {
            match futures_util::StreamExt::next(&mut self.0).await? {
                Ok(Message::Text(text)) => return serde_json::from_str(&text).ok(),
                Ok(Message::Ping(_) | Message::Pong(_)) => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }

    /// The answer to an operation that has one; `None` when the server goes away before.
    async fn ask(&mut self, query: &str, variables: Value) -> Option<Value> {
        let payload = json!({ "query": query, "variables": variables });
        self.try_say(json!({ "id": "w", "type": "subscribe", "payload": payload })).await?;
        let answer = self.try_hear().await?;
        if answer["type"] == "error" {
            return Some(json!({ "errors": answer["payload"] }));
        }
        (self.try_hear().await?["type"] == "complete").then(|| answer["payload"].clone())
    }
}

/// The newest event of each user: its number and its cursor.
async fn newest(field: &Field, users: &[String]) -> Vec<(i64, String)> {
    let mut wire = field.open(0).await.expect("there is a server");
    let mut newest = Vec::new();
    for user in users {
        let query = "query($h: String!) { user(by: {handle: $h}) { history(first: 1) { nodes { number cursor } } } }";
        let answer = wire.ask(query, json!({ "h": user })).await.unwrap();
        let event = &answer["data"]["user"]["history"]["nodes"][0];
        newest.push((event["number"].as_i64().unwrap(), event["cursor"].as_str().unwrap().to_owned()));
    }
    newest
}

async fn prepare(db: &Db, count: usize) -> Vec<String> {
    db.migrate().await.unwrap();
    let options = demo::Options { users: Some(2 * u32::try_from(count).unwrap()), ..demo::Options::default() };
    demo::fill(db, options, Clock::System.now(), &|_, _| {}).await.unwrap();
    let connection = db.reads();
    let sql = format!(
        "SELECT u.handle FROM users u JOIN user_counters c ON c.user_id = u.id \
         WHERE c.history_seq > 0 ORDER BY u.id LIMIT {count}"
    );
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let rows = connection.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn every_subscriber_gets_every_event_though_a_server_is_killed(blank: Blank) {
    let Blank { url, db } = blank;
    let (subscribers, per_second, seconds) =
        (setting("SUBSCRIBERS", 40) as usize, setting("WRITES_PER_SECOND", 40), setting("SECONDS", 6));
    let users = prepare(&db, subscribers / EACH).await;
    assert_eq!(users.len(), subscribers / EACH);
    let settings = [("WAYMARK_DATABASE_URL", &*url), ("WAYMARK_JWT_SECRET", SECRET)];
    let key = output(&["key", "create", "--name", "run", "--scope", "progress:write"], &settings).trim().to_owned();
    db.close().await.unwrap();
    let begin = || Server::start(&["serve"], &settings, "Serving on ");
    let place = |server: &Server| server.address.strip_prefix("http://").map(str::to_owned);
    let (staying, killed) = (begin(), begin());
    let field = Arc::new(Field {
        servers: Mutex::new([place(&staying), place(&killed)]),
        key,
        begun: Instant::now() + Duration::from_secs(1),
        per_second,
        most: per_second * seconds,
        next: AtomicU64::new(0),
        delays: Mutex::default(),
    });
    let before = newest(&field, &users).await;

    let (tell, last) = watch::channel(None);
    let following: Vec<_> = (0..subscribers)
        .map(|number| {
            let place = number % users.len();
            let (field, user, from, last) =
                (Arc::clone(&field), users[place].clone(), before[place].clone(), last.clone());
            let server = number / users.len() % 2;
            tokio::spawn(async move { field.follow(user, from, server, last, place).await })
        })
        .collect();
    let writing = join_all((0..WRITERS).map(|writer| field.write(&users, writer)));
    let killing = async {
        sleep_until(field.begun + Duration::from_secs(seconds) / 2).await;
        field.servers.lock().unwrap()[1] = None;
        killed.kill();
        sleep(Duration::from_secs(1)).await;
        let again = tokio::task::block_in_place(begin);
        field.servers.lock().unwrap()[1] = place(&again);
        again
    };
    let (_, again) = tokio::join!(writing, killing);
    let took = field.begun.elapsed();

    let after: Vec<i64> = newest(&field, &users).await.into_iter().map(|(number, _)| number).collect();
    let written: i64 = after.iter().zip(&before).map(|(after, (before, _))| after - before).sum();
    assert_eq!(written, i64::try_from(field.most).unwrap(), "each write was carried out once");
    tell.send_replace(Some(after));
    let came_back: u64 = timeout(Duration::from_secs(60), join_all(following))
        .await
        .expect("all events come")
        .into_iter()
        .map(|count| count.expect("a subscriber gets what they should"))
        .sum();
    let mut delays = std::mem::take(&mut *field.delays.lock().unwrap());
    delays.sort_unstable();
    let share = |share: usize| delays[(delays.len() * share / 1000).min(delays.len() - 1)];
    assert_eq!(delays.len() as u64, field.most * EACH as u64);
    assert!(came_back > 0, "somebody was with the server that was killed");
    println!(
        "{subscribers} subscribers, {written} writes in {took:.1?} ({:.0}/s), {} events told, {came_back} times back; \
         from recording to arrival: half within {} ms, 99 % within {} ms, all within {} ms",
        written as f64 / took.as_secs_f64(),
        delays.len(),
        share(500),
        share(990),
        share(1000),
    );
    staying.kill();
    again.kill();
}
