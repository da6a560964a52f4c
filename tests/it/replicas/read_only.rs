//! Servers that only read: because they were told to, or because their database is a standby.

use std::time::Duration;

use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use waymark::db::{Db, Kind};

use super::{Scene, code, grant, of, query, read, ready, send, until};
use crate::cli::{SECRET, Server, fails, output};
use crate::everything;
use crate::harness::{Stage, tests};
use crate::subscriptions::{PROTOCOL, Wire};
use crate::writes::refusals::every_mutation;

tests! {
    own: [
        a_server_that_was_told_to_read_refuses_what_writes,
        every_mutation_is_refused_where_nothing_is_written,
    ],
    once: [
        a_server_on_a_standby_reads_until_it_is_promoted,
    ],
}

const WORDS: &str = "this server only reads";

async fn a_server_that_was_told_to_read_refuses_what_writes(stage: Stage) {
    let settings = [("WAYMARK_DATABASE_URL", &*stage.url), ("WAYMARK_JWT_SECRET", SECRET)];
    let key = output(&["key", "create", "--name", "one", "--scope", "admin"], &settings);
    let key = key.trim_end();
    let token = output(&["token", "--user", "ada"], &settings);
    let counts = async || {
        let sql = "SELECT (SELECT count(*) FROM history_events) + (SELECT count(*) FROM users) + (SELECT count(*) FROM audit_log)";
        let connection = stage.db().reads();
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        connection.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index::<i64>(0).unwrap()
    };
    let before = counts().await;
    let server = Server::start(&["serve", "--read-only"], &settings, "Serving on ");
    tokio::task::block_in_place(|| {
        let at = &*server.address;
        assert_eq!(ready(at), (200, format!("ready\nread-only: {WORDS}\n")));
        assert_eq!(code(&read(at, key, "grace")), None);
        assert_eq!(code(&grant(at, key, "grace")), Some("READ_ONLY"));
        let update = json!({ "instanceId": "507f1f77bcf86cd799439011", "resourceId": "507f191e810c19729de860ea", "completed": true });
        let (status, text) = send(at, "/api/user-progress", token.trim_end(), Some(&update));
        assert_eq!((status, serde_json::from_str(&text).ok()), (503, Some(json!({ "error": WORDS }))));
        // A person of whom nothing is recorded is not recorded by it.
        let newcomer = crate::harness::token("newcomer", json!({ "exp": 4_000_000_000_i64 }));
        let (status, text) = send(at, "/api/user-progress", &newcomer, Some(&update));
        assert!(status == 503 || status == 401, "{status} {text}");
    });
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    assert_eq!(counts().await, before, "nothing was written");
    fails(2, &["serve", "--read-only", "--migrate"], &settings, "cannot be used with");
    // Meanwhile others write, and what they write is read.
    if stage.db().kind() == Kind::Postgres {
        let writer = Server::start(&["serve"], &settings, "Serving on ");
        tokio::task::block_in_place(|| assert_eq!(code(&grant(&writer.address, key, "grace")), None));
    }
}

/// The only mutation that writes nothing.
const READS: &str = "verify";

async fn every_mutation_is_refused_where_nothing_is_written(stage: Stage) {
    let settings = [("WAYMARK_DATABASE_URL", &*stage.url), ("WAYMARK_JWT_SECRET", SECRET)];
    let key = output(&["key", "create", "--name", "one", "--scope", "admin"], &settings);
    let kept = || output(&["export", "--with-keys"], &settings);
    let counted = async || {
        let connection = stage.db().reads();
        let sql = "SELECT count(*) FROM idempotency_keys";
        let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), sql)).await;
        row.unwrap().unwrap().try_get_by_index::<i64>(0).unwrap()
    };
    let (before, keys) = (kept(), counted().await);
    let server = Server::start(&["serve", "--read-only"], &settings, "Serving on ");
    let all = every_mutation(&everything::schema());
    assert!(all.len() >= 40 && all.iter().any(|(name, ..)| name == READS), "{}", all.len());
    tokio::task::block_in_place(|| {
        for (name, document, mut variables) in all.into_iter().filter(|(name, ..)| name != READS) {
            if name == "deleteCatalogueItem" {
                variables["input"]["id"] = json!("game:1");
            }
            let answer = query(&server.address, key.trim_end(), &document, &variables);
            assert_eq!(code(&answer), Some("READ_ONLY"), "{name}: {answer}");
            assert!(answer["data"][&name].is_null() && answer["errors"].as_array().unwrap().len() == 1, "{answer}");
        }
    });
    assert!(kept() == before, "nothing was written");
    assert_eq!(counted().await, keys, "no key is used up");
}

fn a_server_on_a_standby_reads_until_it_is_promoted() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(on_a_standby());
}

async fn on_a_standby() {
    let Some(scene) = Scene::set(2).await else { return };
    let Scene { cluster, credential, .. } = scene;
    let mut standby = tokio::task::block_in_place(|| cluster.standby(crate::harness::free_port().unwrap()));
    let (one, other) = (of(&[cluster.port]), of(&[standby.port]));
    let settings = |url| [("WAYMARK_DATABASE_URL", url), ("WAYMARK_JWT_SECRET", SECRET)];
    let writer = Server::start(&["serve"], &settings(&*one), "Serving on ");
    let reader = Server::start(&["serve"], &settings(&*other), "Serving on ");
    let words = "the database is a standby, which only reads";
    let at = reader.address.trim_start_matches("http://");
    let mut wire = Wire::dial(at, &[("sec-websocket-protocol", PROTOCOL)]).await.unwrap();
    wire.say(json!({ "type": "connection_init", "payload": { "x-api-key": credential } })).await;
    assert_eq!(wire.hear().await["type"], "connection_ack");
    wire.follow("1", "crash1", None).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    tokio::task::block_in_place(|| {
        assert_eq!(ready(&reader.address), (200, format!("ready\nread-only: {words}\n")));
        assert_eq!(code(&grant(&reader.address, &credential, "crash0")), Some("READ_ONLY"));
        for _ in 0..3 {
            assert_eq!(code(&grant(&writer.address, &credential, "crash1")), None);
        }
    });
    for number in 1..=3 {
        let event: Value = wire.hear().await;
        assert_eq!(event["payload"]["data"]["userProgress"]["number"], number, "{event}");
    }
    let doctor = crate::cli::run(&["doctor"], &settings(&*other));
    assert!(doctor.code == 0 && doctor.out.contains(&format!("not tried: {words}")), "{}{}", doctor.out, doctor.err);
    fails(1, &["migrate"], &settings(&*other), words);
    assert!(!reader.log().contains("ERROR"), "{}", reader.log());

    tokio::task::block_in_place(|| standby.promote());
    until("it writes", async || {
        let answer = tokio::task::block_in_place(|| grant(&reader.address, &credential, "crash0"));
        assert!(matches!(code(&answer), None | Some("READ_ONLY" | "UNAVAILABLE")), "{answer}");
        code(&answer).is_none()
    })
    .await;
    until("it is ready", async || ready(&reader.address) == (200, "ready\n".to_owned())).await;
    let db = Db::connect(&other, 1).await.unwrap();
    assert_eq!(db.only_reads(), None);
    db.close().await.unwrap();
}
