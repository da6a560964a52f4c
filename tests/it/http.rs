//! The server on a real port.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::net::TcpListener;
use waymark::server;

use crate::harness::{Stage, tests};

tests! {
    demo: [
        a_query_is_answered_over_a_real_connection,
        the_server_says_whether_it_is_alive_and_ready,
        browsers_of_other_origins_are_let_in_when_the_settings_say_so,
    ],
}

/// Serves the stage on a port of its own and says where.
async fn serve(stage: &Stage) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server::run(listener, Arc::clone(&stage.app), stage.server.clone()));
    format!("http://{address}")
}

/// Does something that blocks without holding up the server.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

async fn a_query_is_answered_over_a_real_connection(stage: Stage) {
    let (address, grace) = (serve(&stage).await, stage.user("grace"));
    let query = "{ viewer { kind user { handle } } }";
    let expected = grace.query(query, Value::Null).await;
    let credential = format!("Bearer {}", grace.credential());
    let answer: Value = blocking(move || {
        let request = ureq::post(format!("{address}/graphql")).header("authorization", credential);
        let request = request.header("content-type", "application/json");
        let mut response = request.send(json!({ "query": query }).to_string()).unwrap();
        serde_json::from_str(&response.body_mut().read_to_string().unwrap()).unwrap()
    })
    .await;
    assert_eq!(answer, expected.json);
    assert_eq!(answer["data"]["viewer"]["user"]["handle"], "grace");
}

async fn the_server_says_whether_it_is_alive_and_ready(stage: Stage) {
    let address = Arc::new(serve(&stage).await);
    for (path, text) in [("healthz", "alive\n"), ("readyz", "ready\n")] {
        let address = Arc::clone(&address);
        let got = blocking(move || {
            ureq::get(format!("{address}/{path}")).call().unwrap().body_mut().read_to_string().unwrap()
        });
        assert_eq!(got.await, text);
    }
}

async fn browsers_of_other_origins_are_let_in_when_the_settings_say_so(stage: Stage) {
    use axum::{body::Body, http::Request};
    let asked = |origin: &str| {
        Request::options("/graphql")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type")
            .body(Body::empty())
            .unwrap()
    };
    let allowed = async |stage: &Stage, origin: &str| {
        let answer = stage.anonymous().send(asked(origin)).await;
        answer.headers.get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(allowed(&stage, "https://example.org").await, None);
    let open = stage.with(&[("WAYMARK_CORS_ORIGINS", "https://example.org")]).await;
    assert_eq!(allowed(&open, "https://example.org").await.as_deref(), Some("https://example.org"));
    // Pages read answers and refusals alike.
    let strict = open.with(&[("WAYMARK_CORS_ORIGINS", "https://example.org"), ("WAYMARK_MAX_BODY_BYTES", "100")]).await;
    for (body, status) in
        [(r#"{"query":"{ __typename }"}"#.to_owned(), 200), ("{".to_owned(), 400), (" ".repeat(101), 413)]
    {
        let request = Request::post("/graphql")
            .header("origin", "https://example.org")
            .header("content-type", "application/json");
        let answer = strict.anonymous().send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        assert_eq!(answer.headers["access-control-allow-origin"], "https://example.org");
    }
    assert_eq!(allowed(&open, "https://example.com").await, None);
}
