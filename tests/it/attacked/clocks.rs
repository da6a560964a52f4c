//! Servers whose clocks are wrong: on PostgreSQL the database's clock decides, so that it makes no difference. On SQLite all
//! processes share the clock of one machine; there the same is asked of two servers whose clock is right.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use waymark::auth::Scope;
use waymark::clock::Timestamp;
use waymark::db::Kind;

use crate::harness::{Actor, Stage, tests};

tests! {
    empty: [
        what_one_server_writes_another_one_goes_by_at_once,
        a_clock_that_is_set_back_takes_nothing_away,
        a_clock_that_is_far_ahead_forgets_no_keys,
        the_history_of_a_user_never_goes_back,
        a_clock_that_is_wrong_is_told,
        an_answer_shows_what_its_own_write_left,
    ],
}

const DAY: i64 = 24 * 60 * 60 * 1000;

/// A server on the database of `stage` that goes by the time of today, with a clock that is wrong by so many milliseconds
/// where there is a database whose clock decides.
async fn server(stage: &Stage, wrong_millis: i64) -> Stage {
    let server = stage.by_the_system_clock().await;
    put_wrong(&server, wrong_millis);
    server
}

fn put_wrong(server: &Stage, millis: i64) {
    if server.db().kind() == Kind::Postgres {
        server.app.clock.put_system_wrong(millis);
    }
}

async fn operator(stage: &Stage) -> Actor {
    stage.app(&[Scope::Admin]).await
}

/// The payload of a mutation about the user; `input` is its input.
async fn write(actor: &Actor, mutation: &str, mut input: Value) -> Value {
    input["user"] = json!({ "handle": "skewed" });
    let (name, selection) = mutation.split_once('{').unwrap();
    let kind = name[..1].to_uppercase() + &name[1..];
    let text = format!("mutation($i: {kind}Input!) {{ {name}(input: $i) {{ {selection} }}");
    let data = actor.data(&text, json!({ "i": input })).await;
    data.as_object().unwrap().values().next().unwrap().clone()
}

async fn make_user(actor: &Actor) {
    actor.data("mutation { upsertUser(input: { handle: \"skewed\" }) { userErrors { code } } }", Value::Null).await;
}

fn micros(micros: i64) -> Value {
    json!({ "amount": { "micros": micros } })
}

async fn balance(actor: &Actor) -> i64 {
    let text = "{ user(by: { handle: \"skewed\" }) { credits { available { micros } } } }";
    actor.data(text, Value::Null).await["user"]["credits"]["available"]["micros"].as_i64().unwrap()
}

/// What verify finds, which has to be nothing.
async fn verify(actor: &Actor) {
    let found =
        actor.data("mutation { verify(input: {}) { differences { check what stored expected } } }", Value::Null).await;
    assert_eq!(found["verify"]["differences"], json!([]));
}

const GRANT: &str = "grantCredits{ status lot credits { available { micros } } }";
const SPEND: &str = "spendCredits{ status userErrors { code } }";

async fn what_one_server_writes_another_one_goes_by_at_once(stage: Stage) {
    let (ahead, right) = (server(&stage, 5000).await, server(&stage, 0).await);
    let (a, b) = (operator(&ahead).await, operator(&right).await);
    make_user(&a).await;
    assert_eq!(write(&a, GRANT, micros(10)).await["status"], "APPLIED");
    assert_eq!(balance(&b).await, 10);
    assert_eq!(write(&b, SPEND, micros(4)).await, json!({ "status": "APPLIED", "userErrors": [] }));
    assert_eq!(balance(&a).await, 6);

    let block = json!({ "reason": "fraud", "scope": "ALL" });
    assert_eq!(write(&a, "blockUser{ userErrors { code } }", block).await["userErrors"], json!([]));
    assert_eq!(write(&b, SPEND, micros(1)).await["userErrors"], json!([{ "code": "BLOCKED" }]));
    let text = "{ user(by: { handle: \"skewed\" }) { credits { isBlockedForSpending isBlockedForClaiming } } }";
    let seen = b.data(text, Value::Null).await;
    assert_eq!(seen["user"]["credits"], json!({ "isBlockedForSpending": true, "isBlockedForClaiming": true }));

    // What the one calls now the other does not call the future.
    let game = "mutation { upsertGame(input: { key: \"g\", title: \"G\", achievements: [{ key: \"a\", title: \"A\" }] }) \
                { userErrors { code } } }";
    a.data(game, Value::Null).await;
    let now = a.data("{ viewer { now } }", Value::Null).await["viewer"]["now"].clone();
    let unlock = json!({ "unlocks": [{ "achievementId": "a", "unlockedAt": now }] });
    right.app.refresh_catalogue().await.unwrap();
    let unlocked = write(&b, "unlockAchievements{ results { status error { code } } }", unlock).await;
    assert_eq!(unlocked["results"], json!([{ "status": "APPLIED", "error": null }]));
    verify(&a).await;
}

async fn a_clock_that_is_set_back_takes_nothing_away(stage: Stage) {
    let server = server(&stage, 0).await;
    let app = operator(&server).await;
    make_user(&app).await;
    let keyed = json!({ "amount": { "micros": 7 }, "idempotencyKey": "once" });
    let lot = write(&app, GRANT, keyed.clone()).await["lot"].clone();
    put_wrong(&server, -70 * 60 * 1000);
    assert_eq!(balance(&app).await, 7);
    assert_eq!(write(&app, SPEND, micros(3)).await, json!({ "status": "APPLIED", "userErrors": [] }));
    assert_eq!(write(&app, GRANT, keyed).await["lot"], lot);
    assert_eq!(balance(&app).await, 4);
    // A server that starts with such a clock goes by the database's from the beginning.
    let other = self::server(&stage, -70 * 60 * 1000).await;
    assert_eq!(balance(&operator(&other).await).await, 4);
    verify(&app).await;
}

async fn a_clock_that_is_far_ahead_forgets_no_keys(stage: Stage) {
    let (ahead, right) = (server(&stage, 8 * DAY).await, server(&stage, 0).await);
    let (a, b) = (operator(&ahead).await, operator(&right).await);
    make_user(&b).await;
    let keyed = json!({ "amount": { "micros": 1 }, "idempotencyKey": "once" });
    let lot = write(&b, GRANT, keyed.clone()).await["lot"].clone();
    ahead.app.maintain().await.unwrap();
    for app in [&a, &b] {
        assert_eq!(write(app, GRANT, keyed.clone()).await["lot"], lot);
    }
    assert_eq!(balance(&b).await, 1);
    // A lot that ends before that clock's today has not expired.
    let soon = Timestamp::from_millis(right.app.clock.now().millis() + 2 * DAY).to_string();
    write(&a, GRANT, json!({ "amount": { "micros": 5 }, "expiresAt": soon })).await;
    ahead.app.maintain().await.unwrap();
    assert_eq!((balance(&a).await, balance(&b).await), (6, 6));
    verify(&b).await;
}

async fn the_history_of_a_user_never_goes_back(stage: Stage) {
    let servers = [server(&stage, 5000).await, server(&stage, 0).await, server(&stage, -5000).await];
    let mut actors = Vec::new();
    for server in &servers {
        actors.push(operator(server).await);
    }
    make_user(&actors[0]).await;
    for round in 1..=10 {
        let writes = actors.iter().map(|actor| async move { write(actor, GRANT, micros(round)).await });
        for written in join_all(writes).await {
            assert_eq!(written["status"], "APPLIED");
        }
    }
    let connection = stage.db().reads();
    let sql = "SELECT count(*) FROM history_events one JOIN history_events next \
               ON next.user_id = one.user_id AND next.seq = one.seq + 1 WHERE next.recorded_at < one.recorded_at";
    let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), sql)).await.unwrap();
    assert_eq!(row.unwrap().try_get_by_index::<i64>(0).unwrap(), 0);
    assert_eq!(balance(&actors[2]).await, 3 * 55);
    verify(&actors[0]).await;
}

async fn ready(actor: &Actor) -> String {
    let answer = actor.send(Request::get("/readyz").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, 200);
    answer.text
}

async fn a_clock_that_is_wrong_is_told(stage: Stage) {
    let server = server(&stage, 0).await;
    let actor = operator(&server).await;
    assert_eq!(ready(&actor).await, "ready\n");
    put_wrong(&server, 5500);
    let (said, figures) = (ready(&actor).await, server.app.figures());
    let offset = figures.lines().find_map(|line| line.strip_prefix("waymark_clock_offset_seconds ")).map(str::to_owned);
    if server.db().kind() == Kind::Sqlite {
        assert_eq!((said.as_str(), offset), ("ready\n", None));
        return;
    }
    assert_eq!(said, "ready\nwarning: the clock of this machine is 5 s ahead of the database's\n");
    let offset: f64 = offset.unwrap().parse().unwrap();
    assert!((5.0..6.0).contains(&offset), "{offset}");
    put_wrong(&server, -5500);
    assert_eq!(ready(&actor).await, "ready\nwarning: the clock of this machine is 5 s behind the database's\n");
}

async fn an_answer_shows_what_its_own_write_left(stage: Stage) {
    let behind = server(&stage, -5000).await;
    let app = operator(&behind).await;
    make_user(&app).await;
    for round in 1..=20 {
        let granted = write(&app, GRANT, micros(1)).await;
        assert_eq!(granted["credits"]["available"]["micros"], round);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
