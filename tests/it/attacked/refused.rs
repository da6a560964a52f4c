//! Credentials that are refused cost the address from which they come.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::harness::{Answer, Stage, tests, token};
use crate::rest::wallet::{Unsigned, Wallet};
use crate::subscriptions::{Wire, serve};

tests! {
    demo: [
        whoever_tries_out_credentials_is_told_to_wait,
        what_is_refused_for_its_rate_is_not_looked_at,
        who_was_good_before_is_let_in_and_so_are_other_addresses,
        a_refused_credential_costs_by_what_it_took_to_find_out,
        documents_are_not_paid_from_what_credentials_cost,
        rest_says_so_in_the_words_of_each_dialect,
        a_socket_is_closed_whose_credential_is_not_looked_at,
    ],
}

const HERE: &str = "192.0.2.1";

/// An app behind a proxy, in which an address may spend 40 on refused credentials, and one a second after that.
async fn tight(stage: &Stage) -> Stage {
    let settings = [("WAYMARK_RATE_PER_SECOND", "10"), ("WAYMARK_RATE_BURST_SECONDS", "40"), ("WAYMARK_PROXIES", "1")];
    stage.with(&settings).await
}

fn operation(from: &str, headers: &[(String, String)]) -> Request<Body> {
    let mut request =
        Request::post("/graphql").header(CONTENT_TYPE, "application/json").header("x-forwarded-for", from);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    request.body(Body::from(json!({ "query": "{ viewer { kind } }" }).to_string())).unwrap()
}

fn bearer(credential: &str) -> Vec<(String, String)> {
    vec![(AUTHORIZATION.to_string(), format!("Bearer {credential}"))]
}

async fn send(stage: &Stage, from: &str, headers: &[(String, String)]) -> Answer {
    stage.anonymous().send(operation(from, headers)).await
}

/// A key that nobody has.
fn unknown(number: usize) -> String {
    format!("wmk_{number:064x}")
}

/// A token that is signed with another secret.
fn forged(number: usize) -> String {
    let good = token(&format!("user{number}"), Value::Null);
    let (start, signature) = good.rsplit_once('.').unwrap();
    let other = if signature.starts_with('A') { "B" } else { "A" };
    format!("{start}.{other}{}", &signature[1..])
}

/// A chain of good delegations whose last link is signed by somebody else.
fn badly_signed(number: usize, delegations: usize) -> Vec<(String, String)> {
    let first = u64::try_from(number * 100).unwrap() + 1000;
    let wallets: Vec<Wallet> = (first..).take(delegations + 1).map(Wallet::new).collect();
    let wallets: Vec<&Wallet> = wallets.iter().collect();
    let request = Unsigned::new("POST", "/graphql");
    let (mut good, others) = (request.headers(&wallets), request.headers(&[&Wallet::new(7)]));
    // The last link of another chain, over the same text.
    good.iter_mut().find(|(name, _)| *name == format!("x-identity-auth-chain-{}", wallets.len())).unwrap().1 =
        others[1].1.clone();
    good
}

/// Each kind of credential that is refused, by a number.
type Kind = (&'static str, fn(usize) -> Vec<(String, String)>);
const KINDS: &[Kind] = &[
    ("an unknown key", |number| bearer(&unknown(number))),
    ("the same unknown key", |_| bearer(&unknown(0))),
    ("an unknown key in its own header", |number| vec![("x-api-key".to_owned(), unknown(number))]),
    ("what looks like nothing", |number| bearer(&format!("x{number}"))),
    ("a malformed header", |_| vec![(AUTHORIZATION.to_string(), "Basic x".to_owned())]),
    ("a forged token", |number| bearer(&forged(number))),
    ("an expired token", |number| bearer(&token(&format!("u{number}"), json!({ "exp": 1 })))),
    ("a token of another algorithm", |number| bearer(&format!("eyJhbGciOiJFUzI1NiJ9.e30.{number}"))),
    ("a bad signature", |number| badly_signed(number, 0)),
    ("a bad signature behind good delegations", |number| badly_signed(number, 8)),
    ("half of a signature", |_| vec![("x-identity-timestamp".to_owned(), "1".to_owned())]),
];

async fn whoever_tries_out_credentials_is_told_to_wait(stage: Stage) {
    for (what, headers) in KINDS {
        let stage = tight(&stage).await;
        let mut refused = 0;
        let told = loop {
            let answer = send(&stage, HERE, &headers(refused)).await;
            if answer.status.as_u16() == 429 {
                break answer;
            }
            answer.refused(401, "INVALID_CREDENTIAL");
            refused += 1;
            // 40, by at least 10 each, and one more a second, however slow this is.
            assert!(refused < 50, "{what} is refused for nothing");
        };
        assert!(refused > 0, "{what}");
        told.refused(429, "RATE_LIMITED");
        let wait: u32 = told.headers[RETRY_AFTER].to_str().unwrap().parse().unwrap();
        assert!((1..=81).contains(&wait), "{what}: {wait}");
    }
}

/// Tries out credentials until no more are looked at.
async fn exhaust(stage: &Stage, from: &str) {
    for number in 0..100 {
        // Nine signatures each, which are far more than comes in the time that they take.
        if send(stage, from, &badly_signed(number, 8)).await.status.as_u16() == 429 {
            return;
        }
    }
    panic!("all of them are looked at");
}

async fn what_is_refused_for_its_rate_is_not_looked_at(stage: Stage) {
    let stage = tight(&stage).await;
    exhaust(&stage, HERE).await;
    // A key that exists, and that this server has not seen.
    let key = stage.app(&[Scope::ProgressRead]).await;
    send(&stage, HERE, &bearer(&unknown(1))).await.refused(429, "RATE_LIMITED");
    send(&stage, HERE, &bearer(key.credential())).await.refused(429, "RATE_LIMITED");
    let wallet = Wallet::new(50);
    let signed = Unsigned::new("POST", "/graphql").headers(&[&wallet]);
    send(&stage, HERE, &signed).await.refused(429, "RATE_LIMITED");
    assert_eq!(send(&stage, "192.0.2.2", &signed).await.status.as_u16(), 200);
}

async fn who_was_good_before_is_let_in_and_so_are_other_addresses(stage: Stage) {
    let stage = tight(&stage).await;
    let (key, user) = (stage.app(&[Scope::ProgressRead]).await, stage.user("grace"));
    for one in [&key, &user] {
        assert_eq!(send(&stage, HERE, &bearer(one.credential())).await.status.as_u16(), 200);
    }
    exhaust(&stage, HERE).await;
    // Longer than the outcome itself is kept.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    exhaust(&stage, HERE).await;
    for one in [&key, &user] {
        assert_eq!(send(&stage, HERE, &bearer(one.credential())).await.status.as_u16(), 200);
    }
    let other = stage.user("ada");
    send(&stage, HERE, &bearer(other.credential())).await.refused(429, "RATE_LIMITED");
    assert_eq!(send(&stage, "192.0.2.2", &bearer(other.credential())).await.status.as_u16(), 200);
    // Whoever has no credential does not pay for the others.
    assert_eq!(send(&stage, HERE, &[]).await.status.as_u16(), 200);
}

/// How many such credentials are looked at, where an address may spend 2,000 on them.
async fn looked_at(stage: &Stage, headers: fn(usize) -> Vec<(String, String)>) -> usize {
    let settings =
        [("WAYMARK_RATE_PER_SECOND", "10"), ("WAYMARK_RATE_BURST_SECONDS", "2000"), ("WAYMARK_PROXIES", "1")];
    let stage = stage.with(&settings).await;
    let mut count = 0;
    while send(&stage, HERE, &headers(count)).await.status.as_u16() != 429 {
        count += 1;
        assert!(count < 1000, "all of them are looked at");
    }
    count
}

async fn a_refused_credential_costs_by_what_it_took_to_find_out(stage: Stage) {
    // One a second comes back meanwhile, so there may be more of them on a slow machine, and never fewer.
    let cheap = looked_at(&stage, |number| bearer(&format!("x{number}"))).await;
    let key = looked_at(&stage, |number| bearer(&unknown(number))).await;
    let forged = looked_at(&stage, |number| bearer(&forged(number))).await;
    let signed = looked_at(&stage, |number| badly_signed(number, 8)).await;
    assert!(cheap >= 200 && key >= 100 && forged >= 80 && signed >= 24, "{cheap} {key} {forged} {signed}");
    assert!(cheap > key && key > forged && forged > signed, "{cheap} {key} {forged} {signed}");
}

async fn documents_are_not_paid_from_what_credentials_cost(stage: Stage) {
    let stage = tight(&stage).await;
    exhaust(&stage, HERE).await;
    for _ in 0..20 {
        assert_eq!(send(&stage, HERE, &[]).await.status.as_u16(), 200);
    }
}

async fn rest_says_so_in_the_words_of_each_dialect(stage: Stage) {
    let wallet = Wallet::new(5);
    let credits = format!("/users/{}/progress", wallet.address());
    let key = |name: &str| vec![(name.to_owned(), unknown(3))];
    let signed = |path: &str| {
        let mut headers = Unsigned::new("GET", path).headers(&[&wallet]);
        headers[1].1 = headers[1].1.replace(r#""signature":"0x"#, r#""signature":"0x00"#);
        headers
    };
    for (path, headers, body) in [
        (credits.clone(), signed(&credits), "/code"),
        ("/api/user-progress".to_owned(), bearer(&forged(1)), "/error"),
        ("/api/user-progress".to_owned(), vec![(AUTHORIZATION.to_string(), "Bearer".to_owned())], "/error"),
        ("/API/API_GetUserProgress.php?u=grace&i=1".to_owned(), bearer(&unknown(2)), "/errors/0/code"),
        ("/users/discord/1/progress/collection-challenges".to_owned(), key("x-gft-api-key"), "/status/errorMessage"),
    ] {
        let stage = tight(&stage).await;
        let mut refused = 0;
        let told = loop {
            let mut request = Request::get(&path).header("x-forwarded-for", HERE);
            for (name, value) in &headers {
                request = request.header(name, value);
            }
            let answer = stage.anonymous().send(request.body(Body::empty()).unwrap()).await;
            if answer.status.as_u16() == 429 {
                break answer;
            }
            assert!([400, 401].contains(&answer.status.as_u16()), "{path}: {} {}", answer.status, answer.text);
            refused += 1;
            assert!(refused < 50, "{path} is refused for nothing");
        };
        assert!(refused > 0 && told.headers.contains_key(RETRY_AFTER), "{path}");
        assert!(told.json.pointer(body).is_some_and(Value::is_string), "{path}: {}", told.text);
    }
}

async fn a_socket_is_closed_whose_credential_is_not_looked_at(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_RATE_PER_SECOND", "10"), ("WAYMARK_RATE_BURST_SECONDS", "40")]).await;
    let served = serve(&stage).await;
    let mut refused = 0;
    let reason = loop {
        let mut wire = Wire::silent(&served.at).await;
        wire.say(json!({ "type": "connection_init", "payload": { "x-api-key": unknown(refused) } })).await;
        match wire.closed().await {
            (4403, _) => refused += 1,
            (1013, reason) => break reason,
            other => panic!("{other:?}"),
        }
        assert!(refused < 50, "all of them are looked at");
    };
    assert!(refused > 0 && reason.contains("try again in"), "{refused} {reason}");
    served.stop().await;
}
