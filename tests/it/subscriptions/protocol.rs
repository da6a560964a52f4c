//! `graphql-transport-ws`: how a conversation goes, and how each way out of it is called.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use waymark::auth::Scope;

use super::{Wire, serve};
use crate::harness::{Stage, tests, token};

tests! {
    demo: [
        queries_and_refusals_come_over_a_socket_as_over_http,
        what_is_no_message_closes_4400,
        who_asks_before_introducing_themselves_is_closed_4401,
        a_bad_credential_is_closed_4403,
        another_protocol_is_closed_4406,
        who_stays_silent_is_closed_4408,
        an_id_in_use_is_closed_4409,
        a_second_introduction_is_closed_4429,
        pings_are_answered,
        pages_of_other_origins_may_not_connect,
        a_credential_in_the_headers_is_as_good_and_one_in_the_payload_better,
        what_is_too_big_or_no_websocket_is_closed_with_a_reason,
        operations_beyond_the_bound_are_refused_and_the_others_run,
        a_thousand_silent_sockets_are_held,
        connections_beyond_the_bound_are_turned_away,
    ],
    own: [
        a_mutation_runs_over_a_socket,
    ],
}

async fn queries_and_refusals_come_over_a_socket_as_over_http(stage: Stage) {
    let (server, grace) = (serve(&stage).await, stage.user("grace"));
    let mut wire = Wire::open(&server.at, &grace).await;
    let good = "query($n: Int) { viewer { user { handle history(first: $n) { nodes { number kind cursor } } } } }";
    wire.subscribe("a", good, json!({ "n": 3 })).await;
    let expected = grace.query(good, json!({ "n": 3 })).await.json;
    let message = wire.hear().await;
    assert_eq!((&message["id"], &message["type"]), (&json!("a"), &json!("next")));
    assert_eq!((&message["payload"]["data"], message["payload"].get("errors")), (&expected["data"], None));
    assert_eq!(message["payload"]["extensions"]["cost"]["requested"], expected["extensions"]["cost"]["requested"]);
    assert_eq!(wire.hear().await, json!({ "id": "a", "type": "complete" }));
    for (query, variables) in [
        ("{ nothing }", Value::Null),
        ("{ viewer {", Value::Null),
        (good, json!({ "n": "x" })),
        (
            "subscription { a: userProgress(user: {handle: \"x\"}) { number } b: userProgress(user: {handle: \"y\"}) { number } }",
            Value::Null,
        ),
    ] {
        let expected = grace.query(query, variables.clone()).await.json;
        wire.subscribe("a", query, variables).await;
        let message = wire.hear().await;
        assert_eq!(message, json!({ "id": "a", "type": "error", "payload": expected["errors"] }), "{query}");
    }
    // What failed within an answer comes with it.
    wire.subscribe("a", "{ user(by: {handle: \"ada\"}) { handle credits { expiresIn } } }", Value::Null).await;
    let message = wire.hear().await;
    assert_eq!((&message["type"], &message["payload"]["data"]["user"]["handle"]), (&json!("next"), &json!("ada")));
    assert_eq!(message["payload"]["errors"][0]["extensions"]["code"], "FORBIDDEN");
}

async fn a_mutation_runs_over_a_socket(stage: Stage) {
    let server = serve(&stage).await;
    let mut wire = Wire::open(&server.at, &stage.user("grace")).await;
    let change = "mutation { setProfileVisibility(input: { visibility: PRIVATE }) { user { profileVisibility } } }";
    wire.subscribe("a", change, Value::Null).await;
    let message = wire.hear().await;
    assert_eq!(message["payload"]["data"]["setProfileVisibility"]["user"]["profileVisibility"], "PRIVATE", "{message}");
    assert_eq!(wire.hear().await["type"], "complete");
}

async fn what_is_no_message_closes_4400(stage: Stage) {
    let server = serve(&stage).await;
    for text in ["", "x", "[]", "{}", r#"{"type":"start"}"#, r#"{"type":"subscribe","id":"1"}"#] {
        let mut wire = Wire::open(&server.at, &stage.anonymous()).await;
        wire.say_text(text).await;
        let (code, reason) = wire.closed().await;
        assert!(code == 4400 && reason.starts_with("Invalid message"), "{text}: {code} {reason}");
    }
    let mut wire = Wire::open(&server.at, &stage.anonymous()).await;
    futures_util::SinkExt::send(&mut wire.0, Message::binary(b"{}".as_slice())).await.unwrap();
    assert_eq!(wire.closed().await.0, 4400);
}

async fn who_asks_before_introducing_themselves_is_closed_4401(stage: Stage) {
    let server = serve(&stage).await;
    let mut wire = Wire::silent(&server.at).await;
    wire.subscribe("1", "{ viewer { kind } }", Value::Null).await;
    assert_eq!(wire.closed().await, (4401, "Unauthorized".to_owned()));
}

async fn a_bad_credential_is_closed_4403(stage: Stage) {
    let server = serve(&stage).await;
    for payload in [
        json!({ "Authorization": "Bearer nonsense" }),
        json!({ "authorization": "nonsense" }),
        json!({ "x-api-key": "wmk_nonsense" }),
        json!({ "Authorization": format!("Bearer {}", token("grace", json!({ "exp": 1000 }))) }),
        json!({ "Authorization": 7 }),
    ] {
        let mut wire = Wire::silent(&server.at).await;
        wire.say(json!({ "type": "connection_init", "payload": payload })).await;
        let (code, reason) = wire.closed().await;
        assert!(code == 4403 && !reason.is_empty() && !reason.contains("nonsense"), "{payload}: {code} {reason}");
    }
}

async fn another_protocol_is_closed_4406(stage: Stage) {
    let server = serve(&stage).await;
    for headers in [vec![], vec![("sec-websocket-protocol", "graphql-ws")]] {
        let mut wire = Wire::dial(&server.at, &headers).await.unwrap();
        assert_eq!(wire.closed().await, (4406, "Subprotocol not acceptable".to_owned()));
    }
    Wire::dial(&server.at, &[("sec-websocket-protocol", "graphql-ws, graphql-transport-ws")]).await.unwrap();
}

async fn who_stays_silent_is_closed_4408(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_SOCKET_INIT_SECONDS", "1")]).await;
    let server = serve(&stage).await;
    let mut introduced = Wire::open(&server.at, &stage.anonymous()).await;
    let mut wire = Wire::silent(&server.at).await;
    wire.say(json!({ "type": "ping" })).await;
    assert_eq!(wire.hear().await["type"], "pong");
    assert_eq!(wire.closed().await, (4408, "Connection initialisation timeout".to_owned()));
    introduced.subscribe("1", "{ viewer { kind } }", Value::Null).await;
    assert_eq!(introduced.hear().await["type"], "next");
}

async fn an_id_in_use_is_closed_4409(stage: Stage) {
    let server = serve(&stage).await;
    let mut wire = Wire::open(&server.at, &stage.user("grace")).await;
    wire.follow("1", "grace", None).await;
    wire.say(json!({ "id": "1", "type": "complete" })).await;
    wire.follow("1", "grace", None).await;
    wire.settled().await;
    wire.follow("1", "grace", None).await;
    assert_eq!(wire.closed().await, (4409, "Subscriber for 1 already exists".to_owned()));
}

async fn a_second_introduction_is_closed_4429(stage: Stage) {
    let server = serve(&stage).await;
    let mut wire = Wire::open(&server.at, &stage.anonymous()).await;
    wire.say(json!({ "type": "connection_init" })).await;
    assert_eq!(wire.closed().await, (4429, "Too many initialisation requests".to_owned()));
}

async fn pings_are_answered(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_KEEP_ALIVE_SECONDS", "1")]).await;
    let server = serve(&stage).await;
    let mut wire = Wire::open(&server.at, &stage.anonymous()).await;
    wire.say(json!({ "type": "ping", "payload": { "n": 1 } })).await;
    assert_eq!(wire.hear().await, json!({ "type": "pong", "payload": { "n": 1 } }));
    // The server pings too; whoever answers stays, whoever does not is gone.
    let end = tokio::time::Instant::now() + std::time::Duration::from_secs(4);
    let mut pings = 0;
    while tokio::time::Instant::now() < end {
        match wire.next().await {
            Some(Ok(Message::Ping(_))) => pings += 1,
            other => panic!("a ping was expected, and {other:?} came"),
        }
    }
    assert!(pings >= 3, "{pings}");
    let mut deaf = Wire::open(&server.at, &stage.anonymous()).await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert_eq!(deaf.closed().await.0, 1001);
}

async fn pages_of_other_origins_may_not_connect(stage: Stage) {
    let server = serve(&stage).await;
    let dial = async |at: &str, origin: &str| {
        Wire::dial(at, &[("sec-websocket-protocol", super::PROTOCOL), ("origin", origin)]).await
    };
    let own = format!("http://{}", server.at);
    assert!(dial(&server.at, &own).await.is_ok());
    for origin in ["https://evil.example", "null", "http://127.0.0.1:1"] {
        match dial(&server.at, origin).await.map(drop) {
            Err(Error::Http(response)) => assert_eq!(response.status(), 403),
            other => panic!("{origin}: {other:?}"),
        }
    }
    let stage = stage.with(&[("WAYMARK_CORS_ORIGINS", "https://good.example")]).await;
    let open = serve(&stage).await;
    assert!(dial(&open.at, "https://good.example").await.is_ok());
    assert!(dial(&open.at, "https://evil.example").await.is_err());
}

async fn a_credential_in_the_headers_is_as_good_and_one_in_the_payload_better(stage: Stage) {
    let server = serve(&stage).await;
    let (grace, app) = (stage.user("grace"), stage.app(&[Scope::ProgressRead]).await);
    let bearer = format!("Bearer {}", grace.credential());
    for (payload, kind) in [(json!({}), "USER"), (json!({ "X-Api-Key": app.credential() }), "APP")] {
        let headers = [("sec-websocket-protocol", super::PROTOCOL), ("authorization", &*bearer)];
        let mut wire = Wire::dial(&server.at, &headers).await.unwrap();
        wire.say(json!({ "type": "connection_init", "payload": payload })).await;
        assert_eq!(wire.hear().await["type"], "connection_ack");
        wire.subscribe("1", "{ viewer { kind } }", Value::Null).await;
        assert_eq!(wire.hear().await["payload"]["data"]["viewer"]["kind"], kind);
    }
}

async fn what_is_too_big_or_no_websocket_is_closed_with_a_reason(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_MAX_BODY_BYTES", "10000")]).await;
    let server = serve(&stage).await;
    let mut wire = Wire::open(&server.at, &stage.anonymous()).await;
    wire.say_text(&"x".repeat(20_000)).await;
    assert_eq!(wire.closed().await.0, 1009);

    // A header that promises more than any memory has: nothing is set aside for it.
    let mut wire = Wire::open(&server.at, &stage.anonymous()).await;
    let mut frame = vec![0x81, 0xff];
    frame.extend_from_slice(&(1_u64 << 40).to_be_bytes());
    frame.extend_from_slice(&[0; 4]);
    wire.0.get_mut().write_all(&frame).await.unwrap();
    assert_eq!(wire.closed().await.0, 1009);

    // Reserved bits, an unknown kind of frame, a frame without a mask, a fragmented ping, text that is no UTF-8.
    for (frame, code) in [
        (&[0xf1, 0x80, 0, 0, 0, 0][..], 1002),
        (&[0x83, 0x80, 0, 0, 0, 0], 1002),
        (&[0x81, 0x02, b'{', b'}'], 1002),
        (&[0x09, 0x80, 0, 0, 0, 0], 1002),
        (&[0x81, 0x82, 0, 0, 0, 0, 0xff, 0xff], 1007),
    ] {
        let mut wire = Wire::open(&server.at, &stage.anonymous()).await;
        wire.0.get_mut().write_all(frame).await.unwrap();
        assert_eq!(wire.closed().await.0, code, "{frame:x?}");
    }
    let mut wire = Wire::open(&server.at, &stage.anonymous()).await;
    wire.subscribe("1", "{ viewer { kind } }", Value::Null).await;
    assert_eq!(wire.hear().await["type"], "next", "the server goes on");
}

async fn operations_beyond_the_bound_are_refused_and_the_others_run(stage: Stage) {
    let server = serve(&stage).await;
    let mut wire = Wire::open(&server.at, &stage.user("grace")).await;
    for number in 0..1000 {
        wire.follow(&number.to_string(), "grace", None).await;
    }
    let mut refused = Vec::new();
    for _ in 0..900 {
        let message = wire.hear().await;
        assert_eq!(
            (&message["type"], &message["payload"][0]["extensions"]["code"]),
            (&json!("error"), &json!("LIMIT_EXCEEDED"))
        );
        refused.push(message["id"].as_str().unwrap().parse::<u32>().unwrap());
    }
    assert_eq!(refused, (100..1000).collect::<Vec<_>>());
    wire.say(json!({ "id": "7", "type": "complete" })).await;
    wire.subscribe("new", "{ viewer { kind } }", Value::Null).await;
    assert_eq!(wire.hear().await["id"], "new");
}

async fn a_thousand_silent_sockets_are_held(stage: Stage) {
    let server = serve(&stage).await;
    let grace = stage.user("grace");
    let mut wires = Vec::new();
    for _ in 0..20 {
        let some = (0..50).map(|_| Wire::open(&server.at, &grace));
        wires.extend(futures_util::future::join_all(some).await);
    }
    for wire in wires.iter_mut().step_by(97) {
        wire.subscribe("1", "{ viewer { user { handle } } }", Value::Null).await;
        assert_eq!(wire.hear().await["payload"]["data"]["viewer"]["user"]["handle"], "grace");
    }
}

async fn connections_beyond_the_bound_are_turned_away(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_MAX_STREAMS", "2")]).await;
    let server = serve(&stage).await;
    let one = Wire::silent(&server.at).await;
    let _two = Wire::silent(&server.at).await;
    match Wire::dial(&server.at, &[("sec-websocket-protocol", super::PROTOCOL)]).await.map(drop) {
        Err(Error::Http(response)) => assert_eq!(response.status(), 503),
        other => panic!("{other:?}"),
    }
    drop(one);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    Wire::silent(&server.at).await;
}
