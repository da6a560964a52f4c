//! Credits: what is available, when it expires, and the ledger.

use serde_json::{Value, json};

use crate::harness::{Stage, tests};

tests! {
    demo: [
        the_available_amount_is_what_the_lots_have_left,
        the_schedule_adds_up_lots_by_their_expiry,
        lots_are_listed_in_the_order_in_which_they_are_spent,
        the_ledger_adds_up_to_what_is_available,
        a_block_is_shown_with_what_it_forbids,
        whoever_has_nothing_has_zero,
        an_amount_is_a_decimal_string_and_an_integer,
        credits_of_grace,
    ],
}

async fn credits(stage: &Stage, handle: &str, selection: &str) -> Value {
    let query = format!("{{ viewer {{ user {{ credits {{ {selection} }} }} }} }}");
    stage.user(handle).data(&query, Value::Null).await["viewer"]["user"]["credits"].clone()
}

fn sum(amounts: &Value, field: &str) -> i64 {
    amounts.as_array().unwrap().iter().map(|one| one[field]["micros"].as_i64().unwrap()).sum()
}

async fn the_available_amount_is_what_the_lots_have_left(stage: Stage) {
    for handle in ["grace", "mallory", "cleo", "MaxMilyin", "newton"] {
        let credits = credits(&stage, handle, "available { micros } lots { remaining { micros } }").await;
        assert_eq!(credits["available"]["micros"], sum(&credits["lots"], "remaining"), "{handle}");
    }
}

async fn the_schedule_adds_up_lots_by_their_expiry(stage: Stage) {
    let credits =
        credits(&stage, "grace", "available { credits } expiresIn expirySchedule { expiresAt amount { credits } }")
            .await;
    let expires = |at: &str, credits: &str| json!({ "expiresAt": at, "amount": { "credits": credits } });
    assert_eq!(
        credits,
        json!({
            "available": { "credits": "70.5" },
            "expiresIn": 13 * 3600,
            "expirySchedule": [
                expires("2026-06-18T01:00:00.000Z", "0.25"),
                expires("2026-06-18T06:00:00.000Z", "1.5"),
                expires("2026-07-01T00:00:00.000Z", "2.75"),
                expires("2026-09-17T00:00:00.000Z", "56"),
                { "expiresAt": null, "amount": { "credits": "10" } },
            ],
        })
    );
}

async fn lots_are_listed_in_the_order_in_which_they_are_spent(stage: Stage) {
    let credits = credits(&stage, "grace", "lots { number expiresAt remaining { micros } amount { micros } }").await;
    let lots = credits["lots"].as_array().unwrap();
    let never = json!("9999");
    let order = |lot: &Value| {
        let expires = if lot["expiresAt"].is_null() { &never } else { &lot["expiresAt"] };
        (expires.as_str().unwrap().to_owned(), lot["number"].as_i64().unwrap())
    };
    assert!(lots.len() == 8 && lots.is_sorted_by_key(order), "{lots:?}");
    for lot in lots {
        let (left, amount) = (&lot["remaining"]["micros"], &lot["amount"]["micros"]);
        assert!(left.as_i64() > Some(0) && left.as_i64() <= amount.as_i64(), "{lot}");
    }
}

async fn the_ledger_adds_up_to_what_is_available(stage: Stage) {
    for handle in ["grace", "cleo", "mallory"] {
        let selection =
            "available { micros } ledger(first: 100) { totalCount nodes { kind amount { micros } recordedAt } }";
        let credits = credits(&stage, handle, selection).await;
        let entries = credits["ledger"]["nodes"].as_array().unwrap();
        assert_eq!(credits["ledger"]["totalCount"], entries.len(), "{handle}: one page holds the whole ledger");
        assert!(entries.iter().rev().is_sorted_by_key(|entry| entry["recordedAt"].as_str().unwrap()), "{handle}");
        let signed = |entry: &Value| {
            let micros = entry["amount"]["micros"].as_i64().unwrap();
            assert!(micros > 0);
            if entry["kind"] == "GRANT" { micros } else { -micros }
        };
        assert_eq!(credits["available"]["micros"], entries.iter().map(signed).sum::<i64>(), "{handle}");
    }
}

async fn a_block_is_shown_with_what_it_forbids(stage: Stage) {
    let selection = "isBlockedForClaiming isBlockedForSpending block { scope reason from until }";
    assert_eq!(
        credits(&stage, "mallory", selection).await,
        json!({
            "isBlockedForClaiming": true, "isBlockedForSpending": false,
            "block": {
                "scope": "CLAIM", "reason": "Reported by several players",
                "from": "2026-06-07T00:00:00.000Z", "until": null,
            },
        })
    );
    let free = json!({ "isBlockedForClaiming": false, "isBlockedForSpending": false, "block": null });
    assert_eq!(credits(&stage, "grace", selection).await, free);
}

async fn whoever_has_nothing_has_zero(stage: Stage) {
    let selection = "available { credits micros } expiresIn expirySchedule { expiresAt } lots { number } ledger { totalCount nodes { kind } }";
    assert_eq!(
        credits(&stage, "newton", selection).await,
        json!({
            "available": { "credits": "0", "micros": 0 }, "expiresIn": null, "expirySchedule": [], "lots": [],
            "ledger": { "totalCount": 0, "nodes": [] },
        })
    );
}

async fn an_amount_is_a_decimal_string_and_an_integer(stage: Stage) {
    let credits = credits(&stage, "grace", "available { credits micros }").await;
    assert_eq!(credits["available"], json!({ "credits": "70.5", "micros": 70_500_000 }));
}

async fn credits_of_grace(stage: Stage) {
    let selection = "lots { number amount { credits } remaining { credits } grantedAt expiresAt source reason }
        ledger(first: 12) { totalCount nodes { kind lot amount { credits } recordedAt reason } }";
    insta::assert_json_snapshot!("credits_of_grace", credits(&stage, "grace", selection).await);
}
