//! The credits dialect.

use serde_json::{Value, json};
use waymark::auth::Scope;

use super::wallet::{Unsigned, Wallet, now};
use super::{header, lines};
use crate::harness::{Answer, Stage, tests};

tests! {
    demo: [
        somebody_never_seen_has_not_started_and_is_not_made,
        a_signer_gets_no_further_than_their_own_address,
        what_is_signed_badly_is_refused_with_the_servers_time_where_that_helps,
        any_origin_may_ask,
        a_signed_read_takes_four_statements,
    ],
    own: [
        a_player_sees_season_goals_and_credits,
        every_player_sees_the_figures_of_graphql,
        a_path_prefix_is_part_of_what_is_signed,
    ],
    empty: [
        without_a_season_there_is_nothing,
    ],
}

fn path(wallet: &Wallet) -> String {
    format!("/users/{}/progress", wallet.address())
}

/// What the owner of a wallet sees, signed through a wallet for the moment as clients do.
async fn progress(stage: &Stage, wallet: &Wallet) -> Answer {
    let path = path(wallet);
    let moment = Wallet::new(1_000_000);
    stage.anonymous().send(Unsigned::new("GET", &path).signed(&[wallet, &moment])).await
}

async fn a_player_sees_season_goals_and_credits(stage: Stage) {
    let wallet = Wallet::new(1);
    wallet.link(&stage, 1).await;
    let answer = progress(&stage, &wallet).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "content-type")), (200, "application/json"));
    conforms(&answer.json);
    let claimed: Vec<bool> =
        answer.json["goals"].as_array().unwrap().iter().map(|goal| goal["isClaimed"] == json!(true)).collect();
    assert!(claimed.contains(&true) && claimed.contains(&false));
    insta::assert_snapshot!("rest_credits_of_grace", lines(&answer));
}

/// Asserts that a body fits what the service whose dialect this is says of its own.
#[track_caller]
fn conforms(body: &Value) {
    let number = |value: &Value| value.as_f64().is_some_and(|number| number >= 0.0);
    let whole = |value: &Value| value.as_u64().is_some();
    let date = |value: &Value| value.as_str().is_some_and(|text| text.ends_with('Z') && text.len() == 24);
    let keys = |value: &Value, keys: &[&str]| {
        let mut known: Vec<&str> = keys.to_vec();
        known.sort_unstable();
        value.as_object().unwrap().keys().map(String::as_str).eq(known)
    };
    assert!(keys(body, &["season", "currentWeek", "user", "credits", "goals"]), "{body}");
    let season = &body["season"];
    assert!(keys(season, &["timeLeft", "startDate", "endDate", "seasonState"]));
    assert!(whole(&season["timeLeft"]) && date(&season["startDate"]) && date(&season["endDate"]));
    assert!(["NOT_STARTED", "ACTIVE", "ENDED", "PAUSED"].contains(&season["seasonState"].as_str().unwrap()));
    assert!(keys(&body["currentWeek"], &["timeLeft"]) && whole(&body["currentWeek"]["timeLeft"]));
    assert!(keys(&body["user"], &["hasStartedProgram"]) && body["user"]["hasStartedProgram"].is_boolean());
    let credits = &body["credits"];
    assert!(keys(credits, &["available", "expiresIn", "isBlockedForClaiming"]));
    assert!(number(&credits["available"]) && whole(&credits["expiresIn"]));
    assert!(credits["isBlockedForClaiming"].is_boolean());
    for goal in body["goals"].as_array().unwrap() {
        assert!(keys(goal, &["id", "title", "description", "thumbnail", "progress", "reward", "isClaimed"]));
        assert!(["id", "title", "description", "thumbnail"].iter().all(|name| goal[name].is_string()), "{goal}");
        assert!(number(&goal["reward"]) && goal["isClaimed"].is_boolean());
        let (total, done) = (&goal["progress"]["totalSteps"], &goal["progress"]["completedSteps"]);
        assert!(keys(&goal["progress"], &["totalSteps", "completedSteps"]) && total.as_u64() >= Some(1));
        assert!(whole(done) && done.as_u64() <= total.as_u64(), "{goal}");
    }
}

async fn every_player_sees_the_figures_of_graphql(stage: Stage) {
    let handles = crate::batching::handles(&stage).await;
    let wallets: Vec<Wallet> = (1..).take(handles.len()).map(Wallet::new).collect();
    for (user, wallet) in (1..).zip(&wallets) {
        wallet.link(&stage, user).await;
    }
    let by: Vec<_> = wallets.iter().map(|wallet| json!({ "address": wallet.address() })).collect();
    let query = "query($by: [UserBy!]!) { users(by: $by) {
        season { season { state startDate endDate } timeLeft currentWeek { timeLeft } hasStartedProgram }
        credits { available { credits } expiresIn isBlockedForClaiming }
        goals { goal { key reward { credits } } completedSteps totalSteps isClaimed } } }";
    let app = stage.app(&[Scope::ProgressRead]).await;
    let users = app.data(query, json!({ "by": by })).await;
    let users = users["users"].as_array().unwrap();
    assert_eq!(users.len(), handles.len());
    let float = |value: &Value| value.as_str().unwrap().parse::<f64>().unwrap();
    for (wallet, user) in wallets.iter().zip(users) {
        let answer = progress(&stage, wallet).await;
        conforms(&answer.json);
        let (season, goals) = (&user["season"], user["goals"].as_array().unwrap());
        assert_eq!(
            answer.json["season"],
            json!({
                "timeLeft": season["timeLeft"],
                "startDate": season["season"]["startDate"],
                "endDate": season["season"]["endDate"],
                "seasonState": season["season"]["state"],
            })
        );
        assert_eq!(answer.json["currentWeek"]["timeLeft"], season["currentWeek"]["timeLeft"]);
        assert_eq!(answer.json["user"]["hasStartedProgram"], season["hasStartedProgram"]);
        let credits = &answer.json["credits"];
        assert_eq!(credits["available"].as_f64().unwrap(), float(&user["credits"]["available"]["credits"]));
        assert_eq!(credits["expiresIn"], json!(user["credits"]["expiresIn"].as_i64().unwrap_or(0)));
        assert_eq!(credits["isBlockedForClaiming"], user["credits"]["isBlockedForClaiming"]);
        let ours = answer.json["goals"].as_array().unwrap();
        assert_eq!(ours.len(), goals.len());
        for (ours, goal) in ours.iter().zip(goals) {
            assert_eq!(ours["id"], goal["goal"]["key"]);
            assert_eq!(ours["reward"].as_f64().unwrap(), float(&goal["goal"]["reward"]["credits"]));
            let steps = json!({ "totalSteps": goal["totalSteps"], "completedSteps": goal["completedSteps"] });
            assert_eq!((&ours["progress"], &ours["isClaimed"]), (&steps, &goal["isClaimed"]));
        }
    }
}

async fn somebody_never_seen_has_not_started_and_is_not_made(stage: Stage) {
    let wallet = Wallet::new(7_000_001);
    let answer = progress(&stage, &wallet).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    conforms(&answer.json);
    assert_eq!(answer.json["user"], json!({ "hasStartedProgram": false }));
    assert_eq!(answer.json["credits"], json!({ "available": 0, "expiresIn": 0, "isBlockedForClaiming": false }));
    let goals = answer.json["goals"].as_array().unwrap();
    assert!(!goals.is_empty());
    assert!(goals.iter().all(|goal| goal["progress"]["completedSteps"] == 0 && goal["isClaimed"] == false));
    let app = stage.app(&[Scope::ProgressRead]).await;
    let query = "query($address: String!) { user(by: {address: $address}) { id } }";
    assert_eq!(app.data(query, json!({ "address": wallet.address() })).await, json!({ "user": null }));
}

async fn a_signer_gets_no_further_than_their_own_address(stage: Stage) {
    let (wallet, other) = (Wallet::new(2), Wallet::new(3));
    let ask = async |path: &str, by: &Wallet| stage.anonymous().send(Unsigned::new("GET", path).signed(&[by])).await;
    // In whatever case.
    for address in [wallet.address(), wallet.checksummed(), wallet.address().to_uppercase().replace("0X", "0x")] {
        assert_eq!(ask(&format!("/users/{address}/progress"), &wallet).await.status, 200, "{address}");
        let refused = ask(&format!("/users/{address}/progress"), &other).await;
        assert_eq!(refused.status, 403);
        assert_eq!(refused.json["code"], "forbidden");
    }
    for address in ["0x", "0x1", "grace", "%00", "%FF", "0x7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5%2F", "%F0%9F%8E%AE"]
    {
        let path = format!("/users/{address}/progress");
        assert_eq!(ask(&path, &wallet).await.status, 403, "{address}");
        assert_eq!(super::get(&stage.anonymous(), &path, &[]).await.status, 401, "{address}");
    }
}

async fn what_is_signed_badly_is_refused_with_the_servers_time_where_that_helps(stage: Stage) {
    let wallet = Wallet::new(2);
    let path = path(&wallet);
    let good = Unsigned::new("GET", &path);
    let ask = async |unsigned: Unsigned<'_>| stage.anonymous().send(unsigned.signed(&[&wallet, &Wallet::new(4)])).await;
    assert_eq!(ask(good.clone()).await.status, 200);
    for (seconds, expected) in [(-60, 200), (60, 200), (-61, 401), (61, 401)] {
        let answer = ask(Unsigned { timestamp: now() + seconds * 1000, ..good.clone() }).await;
        assert_eq!(answer.status, expected, "{seconds}: {}", answer.text);
        if expected == 401 {
            assert!(answer.json["error"].as_str().unwrap().contains("2026-06-17T12:00:00.000Z"), "{}", answer.text);
        }
    }
    for (expires, expected) in [("2026-06-17T12:00:00.001Z", 200), ("2026-06-17T12:00:00.000Z", 401), ("soon", 401)] {
        let answer = ask(Unsigned { expires: expires.to_owned(), ..good.clone() }).await;
        assert_eq!(answer.status, expected, "{expires}: {}", answer.text);
    }
    assert_eq!(ask(Unsigned { metadata: r#"{"signer":"App","n":[1]}"#, ..good.clone() }).await.status, 200);
    assert_eq!(ask(Unsigned { metadata: "[]", ..good.clone() }).await.status, 403);
    let narrow = stage.with(&[("WAYMARK_SIGNED_FETCH_WINDOW", "5")]).await;
    let late = Unsigned { timestamp: now() - 6000, ..good.clone() };
    assert_eq!(narrow.anonymous().send(late.signed(&[&wallet])).await.status, 401);
    // The same signature for another request.
    let headers = good.headers(&[&wallet]);
    for (method, path) in [("HEAD", &*path), ("GET", "/users/0x1/progress")] {
        let answer = stage.anonymous().send(super::wallet::request(method, path, &headers)).await;
        assert_eq!(answer.status, 401, "{method} {path}");
    }
    let unsigned = super::get(&stage.anonymous(), &path, &[]).await;
    let words = "the request is not signed: x-identity-auth-chain-0 and so on are missing";
    assert_eq!(unsigned.json, json!({ "error": words, "code": "unauthorized" }));
    // A token is no signature.
    assert_eq!(super::get(&stage.user("grace"), &path, &[]).await.status, 401);
}

async fn any_origin_may_ask(stage: Stage) {
    let wallet = Wallet::new(2);
    let path = path(&wallet);
    let asked = [
        ("origin", "https://play.example"),
        ("access-control-request-method", "GET"),
        ("access-control-request-headers", "x-identity-auth-chain-0,x-identity-timestamp,x-identity-metadata"),
    ];
    let answer = super::send(&stage.anonymous(), "OPTIONS", &path, &asked, "").await;
    assert_eq!((answer.status.as_u16(), header(&answer, "access-control-allow-origin")), (200, "*"));
    let allowed = header(&answer, "access-control-allow-headers");
    for name in ["x-identity-auth-chain-0", "x-identity-auth-chain-9", "x-identity-timestamp", "content-type"] {
        assert!(allowed.contains(name), "{allowed}");
    }
    let refused = super::get(&stage.anonymous(), &path, &[("origin", "https://play.example")]).await;
    assert_eq!((refused.status.as_u16(), header(&refused, "access-control-allow-origin")), (401, "*"));
    let head = stage.anonymous().send(Unsigned::new("HEAD", &path).signed(&[&wallet])).await;
    assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
}

async fn a_signed_read_takes_four_statements(stage: Stage) {
    // Nobody's: whose the wallet is. The wallet of somebody takes the user, the season and the credits on top.
    let wallet = Wallet::new(7_000_002);
    let before = stage.db().statements(waymark::db::Asker::Credentials);
    let stranger = stage.statements(async || drop(progress(&stage, &wallet).await)).await;
    assert_eq!(stranger, 0);
    assert!(stage.db().statements(waymark::db::Asker::Credentials) > before, "whose the wallet is");
}

async fn a_path_prefix_is_part_of_what_is_signed(stage: Stage) {
    let wallet = Wallet::new(1);
    wallet.link(&stage, 1).await;
    let behind = stage.with(&[("WAYMARK_PATH_PREFIX", "/waymark")]).await;
    let (inner, outer) = (path(&wallet), format!("/waymark{}", path(&wallet)));
    for (signed, expected) in [(&inner, 401), (&outer, 200)] {
        let headers = Unsigned::new("GET", signed).headers(&[&wallet]);
        let answer = behind.anonymous().send(super::wallet::request("GET", &inner, &headers)).await;
        assert_eq!(answer.status, expected, "{}", answer.text);
    }
    let headers = Unsigned::new("GET", &outer).headers(&[&wallet]);
    let ask = async || drop(behind.anonymous().send(super::wallet::request("GET", &inner, &headers)).await);
    assert_eq!(behind.statements(ask).await, 3, "the user, the season, the credits, behind the wallet's user");
}

async fn without_a_season_there_is_nothing(stage: Stage) {
    let answer = progress(&stage, &Wallet::new(1)).await;
    assert_eq!((answer.status.as_u16(), &answer.json["error"]), (404, &json!("no season")));
}
