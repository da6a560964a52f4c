//! The server on a real port.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{Request, Response};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tower::ServiceExt as _;
use waymark::auth::Scope;
use waymark::server;

use crate::harness::{Stage, tests};

tests! {
    demo: [
        a_query_is_answered_over_a_real_connection,
        the_server_says_whether_it_is_alive_and_ready,
        browsers_of_other_origins_are_let_in_when_the_settings_say_so,
        a_query_is_answered_as_json_by_those_who_take_events_too,
        a_query_by_its_hash_alone_is_asked_for_again,
        a_query_that_came_with_its_hash_is_known_by_it,
        an_offer_of_another_protocol_is_left_alone,
        what_stands_around_a_request_is_read_or_refused,
        documents_that_a_client_has_are_not_sent_again,
        who_sends_too_much_is_answered_all_the_same,
        answers_are_compressed_for_who_takes_that,
        answers_name_what_they_depend_on,
    ],
    own: [
        a_mutation_is_no_refusal_for_who_takes_no_encoding,
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

async fn who_sends_too_much_is_answered_all_the_same(stage: Stage) {
    const LENGTH: usize = 6 << 20;
    let address = serve(&stage).await.trim_start_matches("http://").to_owned();
    let status = move |path: &str, chunked: bool| {
        let mut stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let length =
            if chunked { "transfer-encoding: chunked".to_owned() } else { format!("content-length: {LENGTH}") };
        let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n{length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let piece = vec![b' '; 64 * 1024];
        // All of it first, as many clients do.
        for _ in 0..LENGTH / piece.len() {
            if chunked {
                stream.write_all(b"10000\r\n").unwrap();
            }
            stream.write_all(&piece).unwrap();
            if chunked {
                stream.write_all(b"\r\n").unwrap();
            }
        }
        if chunked {
            stream.write_all(b"0\r\n\r\n").unwrap();
        }
        // The connection goes on.
        stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let mut answers = String::new();
        stream.read_to_string(&mut answers).unwrap();
        assert!(answers.ends_with("alive\n"), "{answers}");
        answers.split(' ').nth(1).unwrap().to_owned()
    };
    blocking(move || {
        for chunked in [false, true] {
            assert_eq!(status("/graphql", chunked), "413");
            assert_eq!(status("/nothing", chunked), "404");
            assert_eq!(status("/users/0x7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5/progress", chunked), "405");
        }
    })
    .await;
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

async fn media(stage: &Stage, accept: &str) -> String {
    let request = Request::post("/graphql").header("content-type", "application/json").header("accept", accept);
    let body = Body::from(json!({ "query": "{ viewer { kind } }" }).to_string());
    let answer = stage.anonymous().send(request.body(body).unwrap()).await;
    answer.headers["content-type"].to_str().unwrap().to_owned()
}

async fn a_query_is_answered_as_json_by_those_who_take_events_too(stage: Stage) {
    let urql = "application/graphql-response+json, application/graphql+json, application/json, text/event-stream, multipart/mixed";
    assert_eq!(media(&stage, urql).await, "application/graphql-response+json; charset=utf-8");
    assert_eq!(media(&stage, "text/event-stream;q=0, application/json").await, "application/json; charset=utf-8");
}

async fn a_query_by_its_hash_alone_is_asked_for_again(stage: Stage) {
    let persisted = json!({ "persistedQuery": { "version": 1, "sha256Hash": "ab".repeat(32) } });
    let asked = async |body: Value| {
        let request = Request::post("/graphql").header("content-type", "application/json");
        stage.anonymous().send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let answer = asked(json!({ "extensions": persisted })).await;
    let code = json!({ "code": "PERSISTED_QUERY_NOT_SUPPORTED" });
    let error = json!({ "message": "PersistedQueryNotSupported", "extensions": code });
    assert_eq!((answer.status.as_u16(), answer.json), (200, json!({ "errors": [error] })));
    // Then it comes with the text.
    let answer = asked(json!({ "query": "{ viewer { kind } }", "extensions": persisted })).await;
    assert_eq!(answer.json["data"]["viewer"]["kind"], "ANONYMOUS");
    let answer = asked(json!({ "extensions": {} })).await;
    answer.refused(400, "BAD_USER_INPUT");
}

async fn an_offer_of_another_protocol_is_left_alone(stage: Stage) {
    // What Java offers with every request, and what was meant for a hop before this one.
    let h2c = [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__")];
    let passed_on = [("connection", "keep-alive"), ("upgrade", "websocket"), ("sec-websocket-version", "13")];
    for headers in [h2c, passed_on] {
        let request = Request::get("/graphql?query=%7B__typename%7D");
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = stage.anonymous().send(request.body(Body::empty()).unwrap()).await;
        assert_eq!((answer.status.as_u16(), &answer.json["data"]["__typename"]), (200, &json!("Query")), "{headers:?}");
    }
}

async fn what_stands_around_a_request_is_read_or_refused(stage: Stage) {
    let send = async |encoding: &str, body: &str| {
        let request = Request::post("/graphql").header("content-type", "application/json");
        let request = request.header("content-encoding", encoding).body(Body::from(body.to_owned()));
        stage.anonymous().send(request.unwrap()).await
    };
    let query = r#"{"query":"{ viewer { kind } }"}"#;
    for body in [query.to_owned(), format!("\u{feff}{query}"), format!("\u{feff} \r\n{query}")] {
        assert_eq!(send("identity", &body).await.json["data"]["viewer"]["kind"], "ANONYMOUS", "{body:?}");
    }
    send("gzip", query).await.refused(415, "BAD_USER_INPUT");
    for path in ["/api/user-progress", "/users/0x1/progress", "/API/API_GetUserProgress.php", "/api/v1/x"] {
        let request = Request::post(path).header("content-encoding", "br").body(Body::from("x")).unwrap();
        let answer = stage.anonymous().send(request).await;
        assert_eq!(answer.status.as_u16(), 415, "{path} {}", answer.text);
        assert!(answer.text.contains("compressed bodies are not read"), "{path} {}", answer.text);
    }
}

/// What is answered to a query of long or short answers, by a client that takes these encodings.
async fn encoded(stage: &Stage, accepted: Option<&str>, query: &str) -> Response<Bytes> {
    let mut request = Request::post("/graphql").header("content-type", "application/json");
    if let Some(accepted) = accepted {
        request = request.header("accept-encoding", accepted);
    }
    let request = request.body(Body::from(json!({ "query": query }).to_string())).unwrap();
    let (parts, body) = stage.server.clone().oneshot(request).await.unwrap().into_parts();
    Response::from_parts(parts, to_bytes(body, usize::MAX).await.unwrap())
}

async fn answers_are_compressed_for_who_takes_that(stage: Stage) {
    let (long, short) = ("{ games(first: 50) { nodes { id title description image } } }", "{ viewer { kind } }");
    let plain = encoded(&stage, None, long).await;
    assert!(plain.body().len() > 1024 && !plain.headers().contains_key("content-encoding"));
    for (accepted, encoding) in [
        ("gzip", Some("gzip")),
        ("gzip, deflate, br", Some("br")),
        ("zstd;q=0.9, br;q=0.5, *;q=0.1", Some("zstd")),
        ("gzip, deflate, br, zstd", Some("br")),
        ("gzip, zstd", Some("zstd")),
        ("gzip;q=0, identity", None),
        ("deflate", None),
        ("nonsense;;q=x", None),
    ] {
        let answer = encoded(&stage, Some(accepted), long).await;
        let named = answer.headers().get("content-encoding").map(|value| value.to_str().unwrap());
        assert_eq!(named, encoding, "{accepted}");
        assert_eq!(answer.status().as_u16(), 200, "{accepted}");
        match encoding {
            None => assert_eq!(answer.body(), plain.body(), "{accepted}"),
            Some(_) => assert!(answer.body().len() < plain.body().len() / 2, "{accepted} {}", answer.body().len()),
        }
        if encoding == Some("gzip") {
            let mut text = String::new();
            flate2::read::GzDecoder::new(&answer.body()[..]).read_to_string(&mut text).unwrap();
            assert_eq!(text.as_bytes(), plain.body());
        }
        let answer = encoded(&stage, Some(accepted), short).await;
        assert!(!answer.headers().contains_key("content-encoding"), "{accepted}");
    }
    // Events are not, and neither is what is compressed already.
    let request = Request::post("/graphql")
        .header("content-type", "application/json")
        .header("accept", "text/event-stream")
        .header("accept-encoding", "gzip");
    let request = request.body(Body::from(json!({ "query": long }).to_string())).unwrap();
    assert!(!stage.anonymous().send(request).await.headers.contains_key("content-encoding"));
    let request = Request::get("/openapi.json").header("accept-encoding", "br").body(Body::empty()).unwrap();
    assert_eq!(stage.anonymous().send(request).await.headers["content-encoding"], "br");
}

async fn a_mutation_is_no_refusal_for_who_takes_no_encoding(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let fields: String = (0..40).map(|number| format!(" field{number}: handle")).collect();
    let grant = format!(
        "mutation {{ grantCredits(input: {{ user: {{ handle: \"grace\" }}, amount: {{ micros: 1 }} }}) {{ user {{ {fields} }} }} }}"
    );
    let request = Request::post("/graphql")
        .header("content-type", "application/json")
        .header("accept-encoding", "identity;q=0, *;q=0");
    let answer = app.send(request.body(Body::from(json!({ "query": grant }).to_string())).unwrap()).await;
    assert_eq!(answer.data()["grantCredits"]["user"]["field39"], "grace");
}

async fn answers_name_what_they_depend_on(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_CORS_ORIGINS", "https://example.org")]).await;
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let post = |accept: &str, query: &str| {
        let request = Request::post("/graphql").header("content-type", "application/json").header("accept", accept);
        request.body(Body::from(json!({ "query": query }).to_string())).unwrap()
    };
    let negotiated = &["accept", "accept-encoding", "origin"][..];
    for (request, names) in [
        (get("/graphql?query=%7B__typename%7D"), negotiated),
        (post("*/*", "{ __typename }"), negotiated),
        (post("application/json", "{ nothing }"), negotiated),
        (post("text/event-stream", "{ __typename }"), negotiated),
        (post("image/png", "{ __typename }"), negotiated),
        (get("/schema.graphql"), &["accept-encoding", "origin"]),
        (get("/openapi.json"), &["accept-encoding", "origin"]),
    ] {
        let path = format!("{} {} {:?}", request.method(), request.uri(), request.headers().get("accept"));
        let mut request = request;
        request.headers_mut().insert("accept-encoding", "gzip".parse().unwrap());
        let answer = stage.anonymous().send(request).await;
        let vary = answer.headers.get_all("vary").iter().flat_map(|value| value.to_str().unwrap().split(','));
        let vary: Vec<String> = vary.map(|name| name.trim().to_ascii_lowercase()).collect();
        for name in names {
            assert_eq!(vary.iter().filter(|one| one == name).count(), 1, "{path} {name} {vary:?}");
        }
    }
}

async fn documents_that_a_client_has_are_not_sent_again(stage: Stage) {
    for path in ["/schema.graphql", "/openapi.json"] {
        let get = async |tag: &str| {
            let request = Request::get(path).header("if-none-match", tag).body(Body::empty()).unwrap();
            let answer = stage.server.clone().oneshot(request).await.unwrap();
            (answer.status().as_u16(), answer.headers()["etag"].to_str().unwrap().to_owned())
        };
        let (status, tag) = get("\"another\"").await;
        assert_eq!(status, 200, "{path}");
        // Weak, because it may come compressed; who leaves that away means the same.
        let opaque = tag.strip_prefix("W/").unwrap();
        for shown in [format!("\"another\", {tag}"), opaque.to_owned(), "*".to_owned()] {
            assert_eq!(get(&shown).await, (304, tag.clone()), "{path} {shown}");
        }
    }
}

async fn browsers_of_other_origins_are_let_in_when_the_settings_say_so(stage: Stage) {
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
    // What they may read of an answer, and for how long browsers remember it, is for the settings to say.
    let settings = [
        ("WAYMARK_CORS_ORIGINS", "https://example.org"),
        ("WAYMARK_CORS_EXPOSED_HEADERS", "X-Served-By, server-timing"),
        ("WAYMARK_CORS_MAX_AGE_SECONDS", "60"),
    ];
    let exposing = open.with(&settings).await;
    let answer = exposing.anonymous().send(asked("https://example.org")).await;
    assert_eq!(answer.headers["access-control-max-age"], "60");
    let request = Request::get("/graphql?query=%7B__typename%7D").header("origin", "https://example.org");
    let answer = exposing.anonymous().send(request.body(Body::empty()).unwrap()).await;
    let read = answer.headers["access-control-expose-headers"].to_str().unwrap().to_ascii_lowercase();
    let read: Vec<&str> = read.split(',').map(str::trim).collect();
    assert_eq!(read, ["retry-after", "x-request-id", "x-served-by", "server-timing"]);
    // Also what clients and what watches them send by themselves, and what the settings add, in REST too.
    let more =
        open.with(&[("WAYMARK_CORS_ORIGINS", "https://example.org"), ("WAYMARK_CORS_HEADERS", "X-Team, x-more")]).await;
    for (path, names) in [
        ("/graphql", "apollographql-client-name traceparent x-request-id x-team x-more authorization"),
        ("/api/user-progress", "authorization traceparent x-request-id x-team x-more"),
    ] {
        let request = Request::options(path)
            .header("origin", "https://example.org")
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", names.replace(' ', ","));
        let answer = more.anonymous().send(request.body(Body::empty()).unwrap()).await;
        let sent = answer.headers["access-control-allow-headers"].to_str().unwrap().to_ascii_lowercase();
        for name in names.split(' ') {
            assert!(sent.split(',').any(|one| one.trim() == name), "{path} {name}: {sent}");
        }
        assert_eq!(answer.headers["access-control-max-age"], "7200", "{path}");
    }
}

async fn a_query_that_came_with_its_hash_is_known_by_it(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_APQ", "true")]).await;
    let query = "{ viewer { kind } }";
    let hash: String = Sha256::digest(query).iter().map(|byte| format!("{byte:02x}")).collect();
    let persisted = |hash: &str| json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } });
    let post = async |body: Value| {
        let request = Request::post("/graphql").header("content-type", "application/json");
        stage.anonymous().send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let by_hash = async || post(json!({ "extensions": persisted(&hash) })).await;
    let answer = by_hash().await;
    let error = json!({ "message": "PersistedQueryNotFound", "extensions": { "code": "PERSISTED_QUERY_NOT_FOUND" } });
    assert_eq!((answer.status.as_u16(), answer.json), (200, json!({ "errors": [error] })));
    // A hash of something else keeps nothing, and neither does what may not run.
    let wrong = persisted(&"ab".repeat(32));
    assert_eq!(post(json!({ "query": query, "extensions": wrong })).await.codes(), ["BAD_USER_INPUT"]);
    assert_eq!(by_hash().await.codes(), ["PERSISTED_QUERY_NOT_FOUND"]);
    let kind = json!({ "viewer": { "kind": "ANONYMOUS" } });
    assert_eq!(post(json!({ "query": query, "extensions": persisted(&hash.to_uppercase()) })).await.data(), kind);
    assert_eq!(by_hash().await.data(), kind);
    // As links send it that use GET for hashes.
    let extensions = persisted(&hash).to_string().replace('{', "%7B").replace('}', "%7D").replace('"', "%22");
    let get = Request::get(format!("/graphql?extensions={extensions}")).body(Body::empty()).unwrap();
    assert_eq!(stage.anonymous().send(get).await.data(), kind);
}
