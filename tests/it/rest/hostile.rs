//! What nobody with good intentions sends.

use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Request};
use waymark::auth::Scope;

use super::wallet::{Unsigned, Wallet, request};
use super::{get, send};
use crate::harness::{Answer, Stage, tests};

tests! {
    demo: [
        chains_of_any_length_and_form_are_refused,
        every_last_byte_of_a_signature_is_an_answer,
        bombs_of_headers_are_refused_quickly,
        bytes_that_are_no_text_are_refused_in_words,
        paths_and_queries_of_any_bytes_are_answered_in_words,
    ],
}

/// Asserts that an answer is one of a server in good health, in JSON.
#[track_caller]
fn sound(answer: &Answer, what: &str) {
    assert!(answer.status.as_u16() < 500, "{what}: {} {}", answer.status, answer.text);
    assert!(!answer.json.is_null(), "{what}: {}", answer.text);
    for word in ["panicked", "src/", "SELECT", "sqlx", "DbErr"] {
        assert!(!answer.text.contains(word), "{what}: {}", answer.text);
    }
}

fn path(wallet: &Wallet) -> String {
    format!("/users/{}/progress", wallet.address())
}

async fn chains_of_any_length_and_form_are_refused(stage: Stage) {
    let wallets: Vec<Wallet> = (1..=20).map(Wallet::new).collect();
    let path = path(&wallets[0]);
    let good = Unsigned::new("GET", &path);
    for length in 1..=20 {
        let chain: Vec<&Wallet> = wallets.iter().take(length).collect();
        let answer = stage.anonymous().send(good.signed(&chain)).await;
        // With the first link a chain is one longer than the wallets that sign.
        assert_eq!(answer.status, if length <= 9 { 200 } else { 401 }, "{length}: {}", answer.text);
    }
    let headers = good.headers(&[&wallets[0], &wallets[1]]);
    for bad in [
        "",
        "x",
        "null",
        "[]",
        "{}",
        "[\"SIGNER\",\"0x\",\"\"]",
        "{\"type\":\"SIGNER\"}",
        "{\"type\":\"SIGNER\",\"payload\":1}",
        "{\"type\":\"SIGNER\",\"payload\":\"\",\"signature\":null}",
        "{\"type\":\"ECDSA_EPHEMERAL\",\"payload\":\"\",\"signature\":\"\"}",
        "{\"type\":\"ECDSA_SIGNED_ENTITY\",\"payload\":\"\\u0000\",\"signature\":\"0x\"}",
        "{\"type\":\"ECDSA_EIP_1654_EPHEMERAL\",\"payload\":\"\",\"signature\":\"\"}",
    ] {
        // The metadata come last, and these are what they were.
        for at in 0..headers.len() - usize::from(bad == "{}") {
            let mut headers = headers.clone();
            headers[at].1 = bad.to_owned();
            let answer = stage.anonymous().send(request("GET", &path, &headers)).await;
            sound(&answer, bad);
            assert!([401, 403].contains(&answer.status.as_u16()), "{at} {bad}: {}", answer.text);
        }
    }
    for missing in 0..headers.len() - 1 {
        let mut headers = headers.clone();
        headers.remove(missing);
        let answer = stage.anonymous().send(request("GET", &path, &headers)).await;
        assert_eq!(answer.status, 401, "{missing}");
    }
}

async fn every_last_byte_of_a_signature_is_an_answer(stage: Stage) {
    let wallet = Wallet::new(1);
    let path = path(&wallet);
    let headers = Unsigned::new("GET", &path).headers(&[&wallet]);
    let mut good = 0;
    for v in 0..=u8::MAX {
        let mut headers = headers.clone();
        let mut link: serde_json::Value = serde_json::from_str(&headers[1].1).unwrap();
        let signature = link["signature"].as_str().unwrap().to_owned();
        link["signature"] = format!("{}{v:02x}", &signature[..signature.len() - 2]).into();
        headers[1].1 = link.to_string();
        let answer = stage.anonymous().send(request("GET", &path, &headers)).await;
        sound(&answer, &v.to_string());
        good += usize::from(answer.status == 200);
    }
    assert_eq!(good, 2, "the parity in either spelling");
}

async fn bombs_of_headers_are_refused_quickly(stage: Stage) {
    let wallet = Wallet::new(1);
    let path = path(&wallet);
    let begun = std::time::Instant::now();
    let large = "x".repeat(1 << 20);
    let deep = format!("{{\"a\":{}", "[".repeat(1 << 20));
    for text in [&large, &deep] {
        for at in 0..4 {
            let mut headers = Unsigned::new("GET", &path).headers(&[&wallet]);
            headers[at].1.clone_from(text);
            let answer = stage.anonymous().send(request("GET", &path, &headers)).await;
            sound(&answer, "a long header");
            assert_eq!(answer.status, 401);
            assert!(answer.text.len() < 1000);
        }
    }
    let headers: Vec<_> = (0..5000).map(|at| (format!("x-identity-auth-chain-{at}"), "{}".to_owned())).collect();
    let answer = stage.anonymous().send(request("GET", &path, &headers)).await;
    assert_eq!(answer.status, 401);
    for name in ["x-gft_api_key", "gft-api-key", "x-api-key", "authorization"] {
        for path in ["/users/discord/1/progress/collection-challenges", "/API/API_GetUserProgress.php?u=grace"] {
            let answer = get(&stage.anonymous(), path, &[(name, &large)]).await;
            sound(&answer, name);
            assert!([400, 401].contains(&answer.status.as_u16()));
        }
    }
    assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

async fn bytes_that_are_no_text_are_refused_in_words(stage: Stage) {
    let wallet = Wallet::new(1);
    let signed = path(&wallet);
    let names = ["x-identity-auth-chain-0", "x-identity-auth-chain-1", "x-identity-timestamp", "x-identity-metadata"];
    let keys = ["x-gft_api_key", "x-gft-api-key", "gft-api-key", "x-api-key", "authorization"];
    let paths =
        [&*signed, "/users/discord/1/progress/collection-challenges", "/API/API_GetUserProgress.php?u=grace&i=1"];
    for name in names.into_iter().chain(keys) {
        for bytes in [&b"\xff\xfe"[..], b"\xc3\x28", b"\xf0\x9f\x8e\xae", b"Bearer \xff", b"\x80"] {
            for path in paths {
                let mut request = Request::get(path);
                for (name, value) in Unsigned::new("GET", &signed).headers(&[&wallet]) {
                    request = request.header(name, value);
                }
                let mut request = request.body(Body::empty()).unwrap();
                request.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_bytes(bytes).unwrap());
                let answer = stage.anonymous().send(request).await;
                sound(&answer, name);
            }
        }
    }
}

async fn paths_and_queries_of_any_bytes_are_answered_in_words(stage: Stage) {
    let key = stage.app(&[Scope::ProgressRead]).await;
    for piece in [
        "%00",
        "%FF",
        "%C3%28",
        "%2F",
        "%2e%2e",
        "..",
        "%",
        "%zz",
        "+",
        "%20",
        "%F0%9F%8E%AE",
        "'--",
        "%0d%0aX:1",
        "a%00b",
    ] {
        for path in [
            format!("/users/{piece}/progress"),
            format!("/users/{piece}/{piece}/progress/collection-challenges"),
            format!("/users/discord/1/progress/collection-challenges/{piece}"),
            format!("/api/v1/users/{piece}/1/progress/collection-challenges"),
            format!("/API/API_GetUserProgress.php?u={piece}&i={piece}&z={piece}"),
            format!("/API/API_GetUserProgress.php?u=grace&i=1,{piece}&{piece}={piece}"),
            format!("/API/{piece}"),
        ] {
            sound(&get(&key, &path, &[]).await, &path);
            sound(&send(&key, "POST", &path, &[], piece).await, &path);
        }
    }
    for body in [&b"\xff\xfe=\x00&u=\xff&i=%"[..], b"u=grace&i=%00%FF,1", b"&&&===", b"\0"] {
        let form = [("content-type", "application/x-www-form-urlencoded")];
        sound(&send(&key, "POST", "/API/API_GetUserProgress.php", &form, body.to_vec()).await, "a form");
    }
}
