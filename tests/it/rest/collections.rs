//! The collections dialect.

use serde_json::{Value, json};
use waymark::auth::Scope;

use super::{get, header, lines, send};
use crate::harness::{Answer, Stage, tests};

tests! {
    demo: [
        the_documented_example_is_answered,
        one_collection_is_what_the_list_says_of_it,
        both_prefixes_and_all_three_headers_are_understood,
        whoever_is_unknown_has_collected_nothing,
        every_user_has_the_figures_of_graphql,
        all_collections_take_as_many_statements_as_one,
        keys_and_programs_are_refused_by_number,
        any_origin_may_ask,
    ],
}

const DISCORD: &str = "/users/discord/123456789012345678/progress/collection-challenges";

/// Asks with a key that may read.
async fn ask(stage: &Stage, path: &str) -> Answer {
    let key = stage.app(&[Scope::ProgressRead]).await;
    get(&stage.anonymous(), path, &[("x-gft_api_key", key.credential())]).await
}

async fn the_documented_example_is_answered(stage: Stage) {
    let answer = ask(&stage, &format!("{DISCORD}/program_123")).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "content-type")), (200, "application/json"));
    let expected = json!({ "size": 10, "collectedCount": 3, "progressInPercentage": 30, "status": "in_progress" });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&answer.json[name], value, "{name}");
    }
    insta::assert_snapshot!("rest_program_123", lines(&answer));
}

async fn one_collection_is_what_the_list_says_of_it(stage: Stage) {
    let list = ask(&stage, DISCORD).await;
    let list = list.json.as_array().unwrap();
    assert!(list.len() > 3);
    let mut open_ended = 0;
    for one in list {
        let single = ask(&stage, &format!("{DISCORD}/{}", one["id"].as_str().unwrap())).await;
        assert_eq!(&single.json, one);
        assert_eq!(one.get("timeLeft").is_none(), one["duration"]["end"]["date"].is_null());
        open_ended += usize::from(one.get("timeLeft").is_none());
        let owned = one["cards"].as_array().unwrap().iter().filter(|card| card["isOwned"] == true).count();
        assert_eq!(json!(owned), one["collectedCount"]);
    }
    assert!(open_ended > 0 && open_ended < list.len());
}

async fn both_prefixes_and_all_three_headers_are_understood(stage: Stage) {
    let key = stage.app(&[Scope::ProgressRead]).await.credential().to_owned();
    let anonymous = stage.anonymous();
    let expected = ask(&stage, DISCORD).await.text;
    for name in ["x-gft_api_key", "x-gft-api-key", "gft-api-key", "x-api-key"] {
        for path in [DISCORD.to_owned(), format!("/api/v1{DISCORD}"), DISCORD.replace("discord", "Discord")] {
            assert_eq!(get(&anonymous, &path, &[(name, &key)]).await.text, expected, "{name} {path}");
        }
    }
    let one_is_empty = [("x-gft_api_key", ""), ("x-gft-api-key", &*key)];
    assert_eq!(get(&anonymous, DISCORD, &one_is_empty).await.text, expected, "an empty header hides no key");
}

async fn whoever_is_unknown_has_collected_nothing(stage: Stage) {
    for user in ["discord/1", "nothing/1", "discord/a%2Fb", "discord/%F0%9F%8E%AE", "ethereum/0x1", "jwt/%7Cnobody"] {
        let answer = ask(&stage, &format!("/users/{user}/progress/collection-challenges")).await;
        let list = answer.json.as_array().unwrap_or_else(|| panic!("{user}: {}", answer.text));
        assert!(list.len() > 3);
        for one in list {
            assert_eq!((&one["collectedCount"], &one["progressInPercentage"]), (&json!(0), &json!(0)), "{user}");
            assert!(one["cards"].as_array().unwrap().iter().all(|card| card["ownedQuantity"] == 0));
            assert!(one["reward"].is_null() || one["reward"]["canClaim"] == false);
        }
    }
}

async fn every_user_has_the_figures_of_graphql(stage: Stage) {
    let app = stage.app(&[Scope::ProgressRead]).await;
    for handle in crate::batching::handles(&stage).await {
        let query = "query($handle: String!) { user(by: {handle: $handle}) { accounts { platform id }
            collections(first: 100) { nodes { collection { key } size collectedCount progressInPercentage status timeLeft
                cards { quantity isOwned card { key } } reward { isClaimed claimedAt refusal } } } } }";
        let data = app.data(query, json!({ "handle": handle })).await;
        let Some(account) =
            data["user"]["accounts"].as_array().unwrap().iter().find(|one| one["platform"] == "discord")
        else {
            continue;
        };
        let id = account["id"].as_str().unwrap();
        let answer = ask(&stage, &format!("/users/discord/{id}/progress/collection-challenges")).await;
        let theirs = data["user"]["collections"]["nodes"].as_array().unwrap();
        assert_eq!(answer.json.as_array().unwrap().len(), theirs.len());
        for (ours, theirs) in answer.json.as_array().unwrap().iter().zip(theirs) {
            assert_eq!(ours["id"], theirs["collection"]["key"]);
            for name in ["size", "collectedCount", "progressInPercentage"] {
                assert_eq!(ours[name], theirs[name], "{handle} {name}");
            }
            assert_eq!(ours["status"], json!(theirs["status"].as_str().unwrap().to_lowercase()));
            let seconds = ours["timeLeft"].as_i64().map(|millis| (millis + 999) / 1000);
            assert_eq!(seconds, theirs["timeLeft"].as_i64(), "{handle}");
            let quantities = |cards: &Value, name: &str| -> Vec<Value> {
                cards.as_array().unwrap().iter().map(|card| card[name].clone()).collect()
            };
            assert_eq!(quantities(&ours["cards"], "ownedQuantity"), quantities(&theirs["cards"], "quantity"));
            if theirs["reward"].is_null() {
                assert!(ours.get("reward").is_none());
            } else {
                assert_eq!(ours["reward"]["isClaimed"], theirs["reward"]["isClaimed"]);
                assert_eq!(ours["reward"]["canClaim"], json!(theirs["reward"]["refusal"].is_null()));
                assert_eq!(ours["reward"]["claimedTimestamp"].is_null(), theirs["reward"]["claimedAt"].is_null());
            }
        }
    }
}

async fn all_collections_take_as_many_statements_as_one(stage: Stage) {
    let key = stage.app(&[Scope::ProgressRead]).await.credential().to_owned();
    let count = async |path: String| {
        stage.statements(async || drop(get(&stage.anonymous(), &path, &[("gft-api-key", &key)]).await)).await
    };
    // The user, the progress, the cards, the blocks, and how often limited rewards have been claimed.
    let list = count(DISCORD.to_owned()).await;
    assert!(list <= 5, "{list}");
    assert!(count(format!("{DISCORD}/program_123")).await <= list);
}

async fn keys_and_programs_are_refused_by_number(stage: Stage) {
    let anonymous = stage.anonymous();
    let now = super::wallet::now().to_string();
    let refusal = |number: i32, message: &str| json!({ "status": { "timestamp": now, "errorCode": number, "errorMessage": message } });
    let answer = get(&anonymous, DISCORD, &[]).await;
    assert_eq!((answer.status.as_u16(), &answer.json), (401, &refusal(1002, "API key missing.")));
    for key in ["nonsense", "wmk_", "wmk_0000000000000000000000000000000000000000000000000000000000000000"] {
        let answer = get(&anonymous, DISCORD, &[("gft-api-key", key)]).await;
        assert_eq!((answer.status.as_u16(), &answer.json), (400, &refusal(1001, "This API Key is invalid.")), "{key}");
    }
    let powerless = stage.key("", None, None).await;
    let answer = get(&anonymous, DISCORD, &[("gft-api-key", powerless.credential())]).await;
    assert_eq!((answer.status.as_u16(), &answer.json["status"]["errorCode"]), (403, &json!(403)));
    for program in ["nothing", "program_123%2F", "%20", "PROGRAM_123", "%F0%9F%8E%AE"] {
        let answer = ask(&stage, &format!("{DISCORD}/{program}")).await;
        assert_eq!((answer.status.as_u16(), &answer.json), (404, &refusal(5250, "Campaign not found")), "{program}");
    }
    for path in ["/users/discord/%00/progress/collection-challenges", &format!("{DISCORD}/%00")] {
        let answer = ask(&stage, path).await;
        assert_eq!((answer.status.as_u16(), &answer.json["status"]["errorCode"]), (400, &json!(400)), "{path}");
        assert!(answer.text.contains("must not hold a NUL character"), "{}", answer.text);
    }
    for path in ["/users/discord/%FF/progress/collection-challenges", &format!("{DISCORD}/%FF")] {
        let answer = ask(&stage, path).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json["status"]["errorCode"]),
            (400, &json!(400)),
            "{}",
            answer.text
        );
        // Without a key that is what is wrong first.
        let answer = get(&anonymous, path, &[]).await;
        assert_eq!((answer.status.as_u16(), &answer.json), (401, &refusal(1002, "API key missing.")), "{path}");
    }
}

async fn any_origin_may_ask(stage: Stage) {
    for path in [DISCORD.to_owned(), format!("/api/v1{DISCORD}/program_123")] {
        let asked = [
            ("origin", "https://site.example"),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "x-gft_api_key"),
        ];
        let answer = send(&stage.anonymous(), "OPTIONS", &path, &asked, "").await;
        assert_eq!((answer.status.as_u16(), header(&answer, "access-control-allow-origin")), (200, "*"));
        let allowed = header(&answer, "access-control-allow-headers");
        assert!(
            ["x-gft_api_key", "x-gft-api-key", "gft-api-key"].iter().all(|name| allowed.contains(name)),
            "{allowed}"
        );
        let key = stage.app(&[Scope::ProgressRead]).await;
        let head = send(&key, "HEAD", &path, &[], "").await;
        assert_eq!((head.status.as_u16(), head.text.as_str()), (200, ""));
    }
}
