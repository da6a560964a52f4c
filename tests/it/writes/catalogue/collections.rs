//! Writing collections, and what it means for whoever owns the cards.

use serde_json::{Value, json};
use waymark::auth::Scope;

use super::{audit_log, execute, newest_events, number, perform, refusals};
use crate::harness::{Actor, Stage, tests};

tests! {
    own: [
        cards_that_somebody_owns_stay,
        whoever_owns_all_that_is_left_has_completed_it_for_good,
        dates_decide_whether_it_is_completed,
        a_completion_is_told_of_once_and_not_before_the_start,
        a_reward_covers_what_has_been_claimed,
    ],
    empty: [
        a_collection_is_added_with_its_cards_and_changed_in_part,
    ],
}

const COLLECTION: &str = "collection { key name description image environment startDate endDate size
    cards { key name rarity } reward { key name value viewType stock } }";

async fn upsert(app: &Actor, input: Value) -> Value {
    perform(app, "upsertCollection", COLLECTION, &input).await
}

/// Lets a user own these cards of a collection.
async fn own(stage: &Stage, handle: &str, collection: &str, cards: &[&str]) {
    let listed = cards.iter().map(|card| format!("'{card}'")).collect::<Vec<_>>().join(", ");
    execute(
        stage,
        &format!(
            "INSERT INTO owned_cards (user_id, card_id, collection_id, quantity, first_acquired_at, updated_at) \
             SELECT u.id, c.id, c.collection_id, 1, 0, 0 FROM users u, cards c WHERE u.handle = '{handle}' AND c.key IN ({listed})"
        ),
    )
    .await;
    execute(
        stage,
        &format!(
            "INSERT INTO collection_progress (user_id, collection_id, collected_count, updated_at) \
             SELECT u.id, c.id, {}, 0 FROM users u, collections c WHERE u.handle = '{handle}' AND c.key = '{collection}'",
            cards.len()
        ),
    )
    .await;
}

async fn progress(app: &Actor, handle: &str, collection: &str) -> Value {
    let query = "query($handle: String!, $id: ID!) { user(by: {handle: $handle}) {
        collection(id: $id) { status size collectedCount } } }";
    app.data(query, json!({ "handle": handle, "id": collection })).await["user"]["collection"].clone()
}

fn cards(keys: &[&str]) -> Vec<Value> {
    keys.iter().map(|key| json!({ "key": key, "name": key })).collect()
}

async fn a_collection_is_added_with_its_cards_and_changed_in_part(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let added = upsert(
        &admin,
        json!({
            "key": "collection:coins", "name": "Coins", "startDate": "2026-07-01T00:00:00Z", "showBefore": false,
            "cards": [{ "key": "penny", "name": "Penny" }, { "key": "crown", "name": "Crown", "rarity": "rare" }],
            "reward": { "key": "purse", "name": "Purse", "stock": 10 },
        }),
    )
    .await;
    let expected = json!({
        "key": "coins", "name": "Coins", "description": "", "image": null, "environment": "production",
        "startDate": "2026-07-01T00:00:00.000Z", "endDate": null, "size": 2,
        "cards": [{ "key": "penny", "name": "Penny", "rarity": "common" }, { "key": "crown", "name": "Crown", "rarity": "rare" }],
        "reward": { "key": "purse", "name": "Purse", "value": "", "viewType": "image", "stock": 10 },
    });
    assert_eq!(
        (&added["collection"], &added["created"]),
        (&expected, &json!(true)),
        "also when it is not shown to others"
    );
    let shown = "{ collection(id: \"coins\") { name } }";
    assert_eq!(stage.anonymous().data(shown, Value::Null).await["collection"], Value::Null);
    let changed = upsert(
        &admin,
        json!({
            "key": "coins", "startDate": null, "removeCards": ["card:penny"], "reward": { "key": "purse", "value": "Leather" },
            "cards": [{ "key": "crown", "name": "Old Crown" }, { "key": "groat", "name": "Groat" }],
        }),
    )
    .await;
    let changed = &changed["collection"];
    assert_eq!((&changed["startDate"], &changed["size"]), (&Value::Null, &json!(2)));
    assert_eq!(changed["cards"][0], json!({ "key": "crown", "name": "Old Crown", "rarity": "rare" }));
    assert_eq!(
        changed["reward"],
        json!({ "key": "purse", "name": "Purse", "value": "Leather", "viewType": "image", "stock": 10 })
    );
    let parts = json!({ "added": ["groat"], "changed": ["crown"], "removed": ["penny"] });
    assert_eq!(audit_log(&stage).await[1].2, json!({ "startDate": null, "cards": parts, "reward": "purse" }));
    assert_eq!(upsert(&admin, json!({ "key": "coins", "reward": null })).await["collection"]["reward"], Value::Null);

    let wrong = json!({
        "key": "notes", "startDate": "2026-07-01T00:00:00Z", "endDate": "2026-07-01T00:00:00Z",
        "cards": [{ "key": "crown" }], "removeCards": ["penny"], "reward": { "key": "note" },
    });
    let mut places = refusals(&upsert(&admin, wrong).await);
    places.sort();
    let expected = [
        "INVALID_INPUT cards.0.name",
        "INVALID_INPUT endDate",
        "INVALID_INPUT name",
        "INVALID_INPUT reward.name",
        "KEY_TAKEN cards.0.key",
        "UNKNOWN_CARD removeCards.0",
    ];
    assert_eq!(places, expected);
}

async fn cards_that_somebody_owns_stay(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    upsert(&admin, json!({ "key": "coins", "name": "Coins", "cards": cards(&["penny", "crown"]) })).await;
    own(&stage, "grace", "coins", &["penny"]).await;
    let both = json!({ "key": "coins", "removeCards": ["penny", "crown"] });
    assert_eq!(refusals(&upsert(&admin, both).await), ["IN_USE removeCards.0"]);
    // Whoever had one and has none any more is no obstacle.
    execute(&stage, "UPDATE owned_cards SET quantity = 0 WHERE card_id = (SELECT id FROM cards WHERE key = 'penny')")
        .await;
    let left = upsert(&admin, json!({ "key": "coins", "removeCards": ["penny"] })).await;
    assert_eq!((&left["collection"]["size"], &left["userErrors"]), (&json!(1), &json!([])));
}

async fn whoever_owns_all_that_is_left_has_completed_it_for_good(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    upsert(&admin, json!({ "key": "coins", "name": "Coins", "cards": cards(&["penny", "crown", "groat"]) })).await;
    own(&stage, "grace", "coins", &["penny", "crown"]).await;
    own(&stage, "ada", "coins", &["penny"]).await;
    assert_eq!(progress(&admin, "grace", "coins").await["status"], "IN_PROGRESS");
    upsert(&admin, json!({ "key": "coins", "removeCards": ["groat"] })).await;
    assert_eq!(
        progress(&admin, "grace", "coins").await,
        json!({ "status": "COMPLETED", "size": 2, "collectedCount": 2 })
    );
    assert_eq!(
        progress(&admin, "ada", "coins").await,
        json!({ "status": "IN_PROGRESS", "size": 2, "collectedCount": 1 })
    );
    let newest = newest_events(&admin, "grace", 1).await;
    assert_eq!(newest, [("COLLECTION_COMPLETED".to_owned(), "collection:coins".to_owned(), json!({ "size": 2 }))]);
    upsert(&admin, json!({ "key": "coins", "cards": cards(&["farthing"]) })).await;
    assert_eq!(
        progress(&admin, "grace", "coins").await,
        json!({ "status": "COMPLETED", "size": 3, "collectedCount": 2 })
    );
    upsert(&admin, json!({ "key": "coins", "removeCards": ["farthing"] })).await;
    assert_eq!(newest_events(&admin, "grace", 1).await, newest, "it is completed once");
}

async fn dates_decide_whether_it_is_completed(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let coins =
        json!({ "key": "coins", "name": "Coins", "endDate": "2026-06-01T00:00:00Z", "cards": cards(&["penny"]) });
    upsert(&admin, coins).await;
    own(&stage, "grace", "coins", &["penny"]).await;
    assert_eq!(progress(&admin, "grace", "coins").await["status"], "EXPIRED");
    // It is to come now: completed at its start, if nothing changes until then.
    upsert(&admin, json!({ "key": "coins", "startDate": "2026-07-01T00:00:00Z", "endDate": null })).await;
    assert_eq!(progress(&admin, "grace", "coins").await["status"], "UPCOMING");
    assert_eq!(number(&stage, "SELECT count(*) FROM collection_progress WHERE completed_at = 1782864000000").await, 1);
    upsert(&admin, json!({ "key": "coins", "cards": cards(&["crown"]) })).await;
    assert_eq!(number(&stage, "SELECT count(*) FROM collection_progress WHERE completed_at = 1782864000000").await, 0);
    upsert(&admin, json!({ "key": "coins", "startDate": null, "removeCards": ["crown"] })).await;
    assert_eq!(progress(&admin, "grace", "coins").await["status"], "COMPLETED");
    upsert(&admin, json!({ "key": "coins", "endDate": "2026-06-01T00:00:00Z" })).await;
    assert_eq!(progress(&admin, "grace", "coins").await["status"], "COMPLETED");
}

async fn a_completion_is_told_of_once_and_not_before_the_start(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let july = "2026-07-01T00:00:00Z";
    upsert(&admin, json!({ "key": "coins", "name": "Coins", "startDate": july, "cards": cards(&["penny", "crown"]) }))
        .await;
    own(&stage, "grace", "coins", &["penny"]).await;
    let told = "SELECT count(*) FROM history_events WHERE kind = 'COLLECTION_COMPLETED' AND subject_key = 'coins'";
    upsert(&admin, json!({ "key": "coins", "removeCards": ["crown"] })).await;
    assert_eq!(number(&stage, told).await, 0);
    upsert(&admin, json!({ "key": "coins", "startDate": "2026-06-01T00:00:00Z" })).await;
    assert_eq!(progress(&admin, "grace", "coins").await["status"], "COMPLETED");
    assert_eq!(number(&stage, told).await, 1);
    upsert(&admin, json!({ "key": "coins", "startDate": null })).await;
    assert_eq!(number(&stage, told).await, 1);
}

async fn a_reward_covers_what_has_been_claimed(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let claimed = number(&stage, "SELECT claimed FROM collection_rewards WHERE key = 'winter-crown'").await;
    assert!(claimed > 0);
    let reward =
        async |reward: Value| refusals(&upsert(&admin, json!({ "key": "program_123", "reward": reward })).await);
    assert_eq!(reward(json!({ "key": "winter-crown", "stock": claimed - 1 })).await, ["INVALID_INPUT reward.stock"]);
    assert_eq!(reward(json!({ "key": "winter-crown", "stock": claimed })).await, Vec::<String>::new());
    assert_eq!(reward(json!({ "key": "winter-crown", "stock": null })).await, Vec::<String>::new());
    assert_eq!(reward(Value::Null).await, ["IN_USE reward"]);
    assert_eq!(reward(json!({ "key": "other", "name": "Other" })).await, ["IN_USE reward"]);
    let refused = reward(json!({ "key": "town-key", "name": "Taken" })).await;
    assert_eq!(refused, ["IN_USE reward", "KEY_TAKEN reward.key"]);
    assert_eq!(number(&stage, "SELECT claimed FROM collection_rewards WHERE key = 'winter-crown'").await, claimed);
}
