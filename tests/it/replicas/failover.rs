//! The primary is killed while clients write and others listen; a standby is promoted, and the server goes there by itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use waymark::db::Db;

use super::{Scene, code, grant, of, read, ready, send, sql, until, value};
use crate::cli::{SECRET, Server, output};
use crate::crash::{self, Field};
use crate::harness::{Cluster, free_port, rounds, tests};
use crate::subscriptions::{PROTOCOL, Wire};

tests! {
    once: [
        what_was_acknowledged_survives_every_failover,
    ],
}

/// How often the primary is killed, in a short and in a whole run.
const KILLS: (u32, u32) = (2, 12);
const CLIENTS: usize = 4;
const USERS_EACH: (u32, u32) = (60, 400);
const REST: Duration = Duration::from_millis(40);
/// How soon a server finds the new primary, on a machine that has time for it.
const FOUND: Duration = Duration::from_secs(5);
const SEED: u64 = 20_261_130;

fn what_was_acknowledged_survives_every_failover() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(fail_over());
}

async fn fail_over() {
    let each = rounds(USERS_EACH.0, USERS_EACH.1) as usize;
    let Some(scene) = Scene::set(CLIENTS * each + 1).await else { return };
    let Scene { cluster, world, users, credential } = scene;
    let kills = rounds(KILLS.0, KILLS.1);
    let mut ports = vec![cluster.port];
    ports.extend((0..kills).map(|_| free_port().expect("a port is free")));
    let url = of(&ports);
    let settings =
        [("WAYMARK_DATABASE_URL", &*url), ("WAYMARK_JWT_SECRET", SECRET), ("WAYMARK_APP_RATE_PER_SECOND", "0")];
    let mut primary = cluster;
    let mut standby = follow(&primary, ports[1]).await;
    let mut server = Server::start(&["serve"], &settings, "Serving on ");
    // The last user is written for by nobody else, and followed.
    let (watched, users) = (users.len() - 1, users);
    let clients = crash::clients(&world, &users[..watched], each);
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
    let handle = format!("crash{watched}");
    let heard = Arc::<Mutex<Vec<i64>>>::default();
    let following =
        tokio::spawn(listen(server.address.clone(), credential.clone(), handle.clone(), Arc::clone(&heard)));
    let mut dice = SEED;
    for kill in 1..=kills as usize {
        until("the standby is in step", async || {
            value(&primary.url, "SELECT count(*) FILTER (WHERE sync_state = 'sync')::text FROM pg_stat_replication")
                .await
                == "1"
        })
        .await;
        write_until_answered(&server, &credential, &handle).await;
        tokio::time::sleep(Duration::from_millis(300 + crash::draw(&mut dice, 700))).await;
        tokio::task::block_in_place(|| primary.kill());
        refused_at_once(&server, &credential, &handle, &[primary.port, standby.port]).await;
        tokio::time::sleep(Duration::from_millis(crash::draw(&mut dice, 1500))).await;
        tokio::task::block_in_place(|| standby.promote());
        let promoted = Instant::now();
        write_until_answered(&server, &credential, &handle).await;
        let took = promoted.elapsed();
        eprintln!("failover {kill}: written again {took:.1?} after the promotion");
        assert!(took < FOUND || busy(), "the new primary is found: {took:?}\n{}", server.log());
        until("it is ready", async || ready(&server.address).0 == 200).await;
        assert_eq!(code(&read(&server.address, &credential, &handle)), None);
        primary = standby;
        let Some(port) = ports.get(kill + 1) else { break };
        standby = follow(&primary, *port).await;
        if kill == kills as usize {
            break;
        }
    }
    write_until_answered(&server, &credential, &handle).await;
    field.stop.store(true, Ordering::Relaxed);
    tokio::task::block_in_place(|| threads.into_iter().for_each(|thread| thread.join().unwrap()));
    assert!(server.is_running(), "it was never started again");

    let direct = of(&[primary.port]);
    let settings = [("WAYMARK_DATABASE_URL", &*direct), ("WAYMARK_JWT_SECRET", SECRET)];
    let db = Db::connect(&direct, 2).await.unwrap();
    let mut stored = crash::histories(&db, users[0].0).await;
    stored.retain(|(user, ..), _| *user != users[watched].0);
    crash::compare(&stored, &clients);
    db.close().await.unwrap();
    assert_eq!(output(&["verify"], &settings), "");
    let last: i64 =
        value(&direct, &format!("SELECT history_seq::text FROM user_counters WHERE user_id = {}", users[watched].0))
            .await
            .parse()
            .unwrap();
    until("all events come", async || heard.lock().unwrap().last() == Some(&last)).await;
    following.abort();
    let expected: Vec<i64> = (1..=last).collect();
    assert_eq!(*heard.lock().unwrap(), expected, "nothing is lost, and nothing comes twice");
}

/// Whether the machine has so much else to do that times say nothing.
fn busy() -> bool {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get) as f64;
    load.split(' ').next().and_then(|load| load.parse::<f64>().ok()).is_some_and(|load| load > 1.5 * cores)
}

/// A standby at `port`, without which nothing is acknowledged from now on.
async fn follow(primary: &Cluster, port: u16) -> Cluster {
    let standby = tokio::task::block_in_place(|| primary.standby(port));
    sql(&primary.url, "ALTER SYSTEM SET synchronous_standby_names = '*'").await;
    sql(&primary.url, "SELECT pg_reload_conf()").await;
    standby
}

async fn write_until_answered(server: &Server, credential: &str, handle: &str) {
    until("it is written", async || {
        let answer = tokio::task::block_in_place(|| grant(&server.address, credential, handle));
        assert!(matches!(code(&answer), None | Some("UNAVAILABLE")), "{answer}");
        code(&answer).is_none()
    })
    .await;
}

/// Waits until it is known that there is no primary; then everybody is told so at once, and operators where and why.
async fn refused_at_once(server: &Server, credential: &str, handle: &str, ports: &[u16]) {
    tokio::task::block_in_place(|| {
        let began = Instant::now();
        let known =
            || ports.iter().all(|port| ready(&server.address).1.contains(&format!("127.0.0.1:{port} cannot be")));
        while !known() {
            assert!(began.elapsed() < super::SOON, "it is said where: {:?}", ready(&server.address));
            thread::sleep(Duration::from_millis(20));
        }
        let (status, text) = ready(&server.address);
        assert!(status == 503 && text.contains("it is a standby"), "{status} {text}");
        for ask in [grant, read] {
            let began = Instant::now();
            let answer = ask(&server.address, credential, handle);
            assert_eq!(code(&answer), Some("UNAVAILABLE"), "{answer}");
            assert!(began.elapsed() < Duration::from_secs(1) || busy(), "at once: {:?}", began.elapsed());
        }
        let metrics = send(&server.address, "/metrics", credential, None).1;
        assert!(metrics.contains("waymark_database_reachable 0"), "it is counted");
    });
}

/// Follows a user from the first event on, over one subscription.
async fn listen(address: String, credential: String, handle: String, heard: Arc<Mutex<Vec<i64>>>) {
    let at = address.trim_start_matches("http://");
    let mut wire = Wire::dial(at, &[("sec-websocket-protocol", PROTOCOL)]).await.unwrap();
    wire.say(json!({ "type": "connection_init", "payload": { "x-api-key": credential } })).await;
    assert_eq!(wire.hear().await["type"], "connection_ack");
    wire.follow("1", &handle, None).await;
    let mut others: BTreeMap<String, Value> = BTreeMap::new();
    loop {
        let Some(Ok(message)) = futures_util::StreamExt::next(&mut wire.0).await else { break };
        let Ok(text) = message.to_text() else { continue };
        let Ok(message) = serde_json::from_str::<Value>(text) else { continue };
        match message["payload"]["data"]["userProgress"]["number"].as_i64() {
            Some(number) => heard.lock().unwrap().push(number),
            None => drop(others.insert(message["type"].to_string(), message)),
        }
    }
    panic!("the subscription ended: {others:?}");
}
