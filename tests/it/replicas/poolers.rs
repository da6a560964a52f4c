//! PgBouncer in transaction mode, which gives each transaction another session.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use sea_orm::ConnectionTrait as _;
use serde_json::json;
use waymark::db::Db;

use super::{Scene, code, grant, of, query, read, sql};
use crate::cli::{SECRET, Server, fails, output, run};
use crate::crash::{self, Field};
use crate::harness::{Pooler, tests};
use crate::subscriptions::{PROTOCOL, Wire};

tests! {
    once: [
        a_pooler_between_changes_no_answer,
    ],
}

const CLIENTS: usize = 6;
const USERS_EACH: usize = 10;
/// How many answers the clients get at least.
const ANSWERS: usize = 150;

fn a_pooler_between_changes_no_answer() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(through_a_pooler());
}

async fn through_a_pooler() {
    let Some(scene) = Scene::set(CLIENTS * USERS_EACH + 1).await else { return };
    let Scene { cluster, world, users, credential } = scene;
    let Some(pooler) = Pooler::before(&cluster) else { return };
    let (direct, pooled) = (of(&[cluster.port]), of(&[pooler.port]));
    let through =
        [("WAYMARK_DATABASE_URL", &*pooled), ("WAYMARK_JWT_SECRET", SECRET), ("WAYMARK_APP_RATE_PER_SECOND", "0")];
    let quiet = ("WAYMARK_SLOW_OPERATION_MS", "0");
    let told = [&through[..], &[("WAYMARK_DATABASE_POOLER", "transaction"), quiet]].concat();
    let past = [&told[..], &[("WAYMARK_DATABASE_LISTEN_URL", &*direct)]].concat();
    fails(1, &["verify"], &through, "set WAYMARK_DATABASE_POOLER=transaction");
    fails(1, &["migrate"], &told, "set WAYMARK_DATABASE_LISTEN_URL");
    let migrated = run(&["migrate"], &past);
    assert_eq!(migrated.code, 0, "{}", migrated.err);

    let (one, other) =
        (Server::start(&["serve"], &past, "Serving on "), Server::start(&["serve"], &told, "Serving on "));
    let clients = crash::clients(&world, &users[..CLIENTS * USERS_EACH], USERS_EACH);
    let field = |server: &Server| {
        Arc::new(Field {
            address: Mutex::new(Some(server.address.clone())),
            stop: AtomicBool::new(false),
            credential: credential.clone(),
            pause: Duration::ZERO,
        })
    };
    let fields = [field(&one), field(&other)];
    let threads: Vec<_> = clients
        .iter()
        .enumerate()
        .map(|(number, client)| {
            let (field, client) = (Arc::clone(&fields[number % 2]), Arc::clone(client));
            thread::spawn(move || crash::run(&field, &client))
        })
        .collect();
    // Readers and followers meanwhile, of either server.
    let handle = format!("crash{}", CLIENTS * USERS_EACH);
    let mut wires = Vec::new();
    for server in [&one, &other] {
        let at = server.address.trim_start_matches("http://");
        let mut wire = Wire::dial(at, &[("sec-websocket-protocol", PROTOCOL)]).await.unwrap();
        wire.say(json!({ "type": "connection_init", "payload": { "x-api-key": credential } })).await;
        assert_eq!(wire.hear().await["type"], "connection_ack");
        wire.follow("1", &handle, None).await;
        wires.push(wire);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let answered = || clients.iter().map(|client| client.lock().unwrap().answered).sum::<usize>();
    let mut grants = 0;
    while answered() < ANSWERS || grants < 10 {
        tokio::task::block_in_place(|| {
            assert_eq!(code(&grant([&one, &other][grants % 2].address.as_str(), &credential, &handle)), None);
            grants += 1;
            for server in [&one, &other] {
                for number in 0..10 {
                    let answer = read(&server.address, &credential, &format!("crash{number}"));
                    assert!(answer.get("errors").is_none(), "{answer}");
                }
                let many = "{ users(by: [{ handle: \"ada\" }, { handle: \"grace\" }]) { handle games(first: 3) { nodes { id } } collections { nodes { id } } } }";
                let answer = query(&server.address, &credential, many, &json!({}));
                assert!(answer.get("errors").is_none(), "{answer}");
            }
        });
        assert!(threads.iter().all(|thread| !thread.is_finished()) || answered() >= ANSWERS, "{}", one.log());
    }
    for wire in &mut wires {
        for number in 1..=grants {
            let event = wire.hear().await;
            assert_eq!(event["payload"]["data"]["userProgress"]["number"], number, "{event}");
        }
    }
    fields.iter().for_each(|field| field.stop.store(true, Ordering::Relaxed));
    tokio::task::block_in_place(|| threads.into_iter().for_each(|thread| thread.join().unwrap()));
    for server in [&one, &other] {
        assert!(!server.log().contains("WARN") && !server.log().contains("ERROR"), "{}", server.log());
    }

    let db = Db::connect(&direct, 2).await.unwrap();
    let mut stored = crash::histories(&db, users[0].0).await;
    stored.retain(|(user, ..), _| *user != users[CLIENTS * USERS_EACH].0);
    crash::compare(&stored, &clients);
    db.close().await.unwrap();
    assert_eq!(output(&["verify"], &told), "");
    // Data goes out and in by the same way.
    let exported = output(&["export"], &told);
    assert!(exported.lines().count() > 100);
    let scratch = crate::cli::Scratch::new();
    let file = scratch.0.join("all.ndjson");
    std::fs::write(&file, exported).unwrap();
    let imported = run(&["import", file.to_str().unwrap()], &told);
    assert_eq!(imported.code, 0, "{}", imported.err);
    a_limit_of_the_database_does_not_count(&cluster.url, &direct, &one, &credential).await;
}

/// What is set for a transaction counts, and not what the database says.
async fn a_limit_of_the_database_does_not_count(cluster: &str, direct: &str, server: &Server, credential: &str) {
    sql(cluster, "ALTER DATABASE waymark SET statement_timeout = '700ms'").await;
    sql(cluster, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'waymark' AND state = 'idle'")
        .await;
    let other = super::connection(direct).await;
    let lock = sea_orm::TransactionTrait::begin(&other).await.unwrap();
    lock.execute_unprepared("LOCK TABLE game_summaries IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (address, credential) = (server.address.clone(), credential.to_owned());
    let games = "{ user(by: { handle: \"grace\" }) { games(first: 1) { nodes { id } } } }";
    let waiting = thread::spawn(move || query(&address, &credential, games, &json!({})));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    lock.rollback().await.unwrap();
    let answer = tokio::task::block_in_place(|| waiting.join().unwrap());
    assert!(matches!(code(&answer), None | Some("UNAVAILABLE")), "{answer}");
    assert_ne!(answer["errors"][0]["message"], "the database took too long; try again", "{answer}");
    sql(cluster, "ALTER DATABASE waymark RESET statement_timeout").await;
}
