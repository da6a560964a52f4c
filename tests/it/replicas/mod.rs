//! Several servers of PostgreSQL, by its own replication, and what may be before them.

pub(crate) mod encrypted;
pub(crate) mod failover;
pub(crate) mod poolers;
pub(crate) mod read_only;
pub(crate) mod reading;

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Statement};
use serde_json::{Value, json};
use waymark::db::Db;

use crate::cli::{SECRET, output};
use crate::crash::{self, World};
use crate::harness::Cluster;

/// How soon what has to come comes. By far: the machine may have much else to do.
const SOON: Duration = Duration::from_secs(45);

/// A primary with users to write for, and the key of an operator.
struct Scene {
    cluster: Cluster,
    world: World,
    users: Vec<(i64, String)>,
    credential: String,
}

impl Scene {
    /// `None` where PostgreSQL is not installed.
    async fn set(users: usize) -> Option<Self> {
        let cluster = Cluster::to_be_killed("-c max_connections=80")?;
        sql(&cluster.url, "CREATE DATABASE waymark").await;
        let url = of(&[cluster.port]);
        let db = Db::connect(&url, 4).await.unwrap();
        let (world, users) = crash::prepare(&db, users).await;
        db.close().await.unwrap();
        let settings = [("WAYMARK_DATABASE_URL", &*url), ("WAYMARK_JWT_SECRET", SECRET)];
        let credential = output(&["key", "create", "--name", "replicas", "--scope", "admin"], &settings);
        Some(Self { cluster, world, users, credential: credential.trim_end().to_owned() })
    }
}

/// The URL of the database at these ports.
fn of(ports: &[u16]) -> String {
    let hosts: Vec<String> = ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
    format!("postgres://waymark@{}/waymark", hosts.join(","))
}

async fn connection(url: &str) -> DatabaseConnection {
    Database::connect(url).await.unwrap()
}

async fn sql(url: &str, text: &str) {
    let connection = connection(url).await;
    connection.execute_unprepared(text).await.unwrap();
    connection.close().await.unwrap();
}

/// The first value of the answer.
async fn value(url: &str, text: &str) -> String {
    let connection = connection(url).await;
    let statement = Statement::from_string(connection.get_database_backend(), text.to_owned());
    let row = connection.query_one_raw(statement).await.unwrap().expect("there is a row");
    connection.close().await.unwrap();
    row.try_get_by_index(0).unwrap()
}

/// Waits until this is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) -> Duration {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < SOON, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    began.elapsed()
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(20)));
    config.http_status_as_error(false).build().new_agent()
}

/// The status and the body of an answer.
fn send(address: &str, path: &str, credential: &str, body: Option<&Value>) -> (u16, String) {
    let url = format!("{address}{path}");
    let credential = format!("Bearer {credential}");
    let answer = match body {
        Some(body) => {
            let request = agent().post(url).header("authorization", credential);
            request.header("content-type", "application/json").send(body.to_string())
        }
        None => agent().get(url).header("authorization", credential).call(),
    };
    let mut answer = answer.unwrap();
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap())
}

fn ready(address: &str) -> (u16, String) {
    send(address, "/readyz", "", None)
}

fn query(address: &str, credential: &str, query: &str, variables: &Value) -> Value {
    let body = json!({ "query": query, "variables": variables });
    let (_, text) = send(address, "/graphql", credential, Some(&body));
    serde_json::from_str(&text).unwrap_or_else(|_| panic!("it is JSON: {text}"))
}

fn code(answer: &Value) -> Option<&str> {
    answer["errors"][0]["extensions"]["code"].as_str()
}

const GRANT: &str = "mutation($i: GrantCreditsInput!) { grantCredits(input: $i) { status } }";
const READ: &str = "query($h: String!) { user(by: { handle: $h }) { credits { available { micros } } history(first: 1) { nodes { number } } } }";

/// Grants one micro to a user.
fn grant(address: &str, credential: &str, handle: &str) -> Value {
    let input = json!({ "user": { "handle": handle }, "amount": { "micros": 1 } });
    query(address, credential, GRANT, &json!({ "i": input }))
}

fn read(address: &str, credential: &str, handle: &str) -> Value {
    query(address, credential, READ, &json!({ "h": handle }))
}
