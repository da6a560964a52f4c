//! What a good engineer writes by hand for exactly these four answers: a handler per answer, prepared statements that
//! take arrays, all statements of a request sent at once, and structs that become the JSON.
//!
//! Everything comes from the database in each request. The floor knows neither GraphQL nor permissions beyond one key.

mod games;
mod profile;
mod statements;
mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::net::TcpListener;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};

use crate::Result;
use statements::Statements;

/// Many requests share a connection, because statements are sent without waiting for the answers to those before.
const CONNECTIONS: usize = 8;

struct Floor {
    key: String,
    connections: Vec<Connection>,
    next: AtomicUsize,
}

/// What a statement is run with.
type Parameters<'a, const N: usize> = [&'a (dyn ToSql + Sync); N];

/// A connection with what is prepared on it.
struct Connection {
    client: Client,
    statements: Statements,
}

impl Floor {
    fn connection(&self) -> &Connection {
        let place = self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len();
        &self.connections[place]
    }
}

/// The JSON of an answer.
#[derive(Serialize)]
struct Answer<T> {
    data: T,
}

#[derive(Serialize)]
struct OneUser<T> {
    user: Option<T>,
}

/// Serves until it is killed.
pub(crate) async fn serve() -> Result<()> {
    let url = std::env::var("FLOOR_DATABASE_URL")?;
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await?;
        tokio::spawn(connection);
        let statements = Statements::prepare(&client).await?;
        connections.push(Connection { client, statements });
    }
    let floor =
        Floor { key: format!("Bearer {}", std::env::var("FLOOR_KEY")?), connections, next: AtomicUsize::new(0) };
    let router = Router::new()
        .route("/Q1", post(async |State(floor), headers, body| answer(floor, headers, body, users::one).await))
        .route("/Q2", post(async |State(floor), headers, body| answer(floor, headers, body, profile::profile).await))
        .route("/Q3", post(async |State(floor), headers, body| answer(floor, headers, body, users::many).await))
        .route("/Q4", post(async |State(floor), headers, body| answer(floor, headers, body, games::of_one).await))
        .with_state(Arc::new(floor));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("Serving on http://{}/", listener.local_addr()?);
    axum::serve(listener, router).await?;
    Ok(())
}

/// Checks the key, reads the variables, and lets `handler` find the data.
async fn answer<V: DeserializeOwned, T: Serialize>(
    floor: Arc<Floor>,
    headers: HeaderMap,
    body: Bytes,
    handler: impl AsyncFn(&Connection, V) -> Result<T>,
) -> Response {
    if headers.get(AUTHORIZATION).is_none_or(|shown| shown.as_bytes() != floor.key.as_bytes()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let Ok(variables) = serde_json::from_slice(&body) else { return StatusCode::BAD_REQUEST.into_response() };
    let answered = handler(floor.connection(), variables).await;
    match answered.and_then(|data| Ok(serde_json::to_vec(&Answer { data })?)) {
        Ok(json) => ([(CONTENT_TYPE, "application/json")], json).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// The key in a global id such as `game:12`; the text itself when it is a bare key.
fn key(id: &str) -> &str {
    id.split_once(':').map_or(id, |(_, key)| key)
}

fn keys(ids: &[String]) -> Vec<&str> {
    ids.iter().map(|id| key(id)).collect()
}
