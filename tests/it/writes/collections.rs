//! Granting and removing cards, and claiming the rewards of collections.

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::harness::{Actor, Stage, by_hand, tests};

tests! {
    own: [
        granted_cards_are_owned_and_stand_in_the_history,
        a_duplicate_raises_the_quantity_only,
        the_last_card_completes_the_collection_for_good,
        each_item_has_its_own_result_in_the_order_of_the_input,
        one_event_tells_of_all_cards_of_a_collection,
        all_or_nothing_undoes_the_good_items_of_a_list_with_a_bad_one,
        a_reference_is_carried_out_once_and_for_all,
        cards_are_removed_as_long_as_there_are_some,
        cards_of_a_hidden_collection_are_owned_and_not_shown,
        cards_granted_before_the_start_complete_the_collection_at_its_start,
        cards_granted_after_the_end_complete_nothing,
        a_reward_is_claimed_once,
        a_claim_is_refused_for_the_first_reason_that_stands_against_it,
        whoever_completed_a_collection_claims_after_it_was_hidden,
        only_apps_grant_and_only_the_user_and_apps_claim,
        more_items_than_allowed_are_refused_as_a_whole,
        malformed_ids_of_cards_fail_alone_and_others_are_an_error,
        a_list_of_a_thousand_costs_as_many_statements_as_a_list_of_one,
        grants_at_once_add_up,
        removals_at_once_take_no_more_than_there_is,
        a_reward_claimed_at_once_by_one_user_is_claimed_once,
        as_many_users_as_there_are_rewards_claim_one,
    ],
}

const CHANGED: &str = "user { handle } results { id status error { code } } userErrors { code path }
    collections { collection { key } collectedCount status completedAt cards { quantity isOwned } }
    changes { events { kind subject changes occurredAt actor } collections { collectedCount } }";
const CLAIM: &str = "mutation($input: ClaimCollectionRewardInput!) { claimCollectionReward(input: $input) {
    status reward { key } userErrors { code path } collection { status reward { isClaimed claimedAt } }
    changes { events { kind subject changes occurredAt } } } }";

/// Runs `grantCards` or `removeCards` for a user.
async fn change(app: &Actor, mutation: &str, user: &str, cards: Value) -> Value {
    let ty = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
    let query = format!("mutation($input: {ty}!) {{ {mutation}(input: $input) {{ {CHANGED} }} }}");
    let input = json!({ "user": { "handle": user }, "cards": cards });
    app.data(&query, json!({ "input": input })).await[mutation].clone()
}

async fn grant(app: &Actor, user: &str, cards: Value) -> Value {
    change(app, "grantCards", user, cards).await
}

async fn claim(app: &Actor, user: &str, collection: &str) -> Value {
    let input = json!({ "user": { "handle": user }, "collectionId": collection });
    app.data(CLAIM, json!({ "input": input })).await["claimCollectionReward"].clone()
}

/// The first cards of a collection, one of each.
fn cards(collection: &str, count: usize) -> Value {
    Value::Array((1..=count).map(|n| json!({ "cardId": format!("{collection}-{n:02}") })).collect())
}

async fn writer(stage: &Stage) -> Actor {
    stage.app(&[Scope::ProgressWrite]).await
}

fn statuses(payload: &Value) -> Vec<&str> {
    payload["results"].as_array().unwrap().iter().map(|result| result["status"].as_str().unwrap()).collect()
}

/// The kinds of the events of a write, each with what it says.
fn told(payload: &Value) -> Vec<(&str, Value)> {
    let events = payload["changes"]["events"].as_array().unwrap();
    events.iter().map(|event| (event["kind"].as_str().unwrap(), event["changes"].clone())).collect()
}

/// How many of each card a user owns.
fn quantities(payload: &Value) -> Vec<i64> {
    let cards = payload["collections"][0]["cards"].as_array().unwrap();
    cards.iter().map(|card| card["quantity"].as_i64().unwrap()).collect()
}

async fn run(stage: &Stage, statement: &str) {
    by_hand(stage.db(), statement).await;
}

/// The handles of `count` users about whom nothing is known.
async fn somebodies(stage: &Stage, count: usize) -> Vec<String> {
    let connection = stage.db().reads();
    let sql = format!("SELECT handle FROM users WHERE id > 20 ORDER BY id LIMIT {count}");
    let rows = connection.query_all_raw(Statement::from_string(connection.get_database_backend(), sql)).await.unwrap();
    assert_eq!(rows.len(), count);
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn granted_cards_are_owned_and_stand_in_the_history(stage: Stage) {
    let app = writer(&stage).await;
    let done = grant(&app, "xelnia", json!([{ "cardId": "founders-02", "quantity": 3 }])).await;
    assert_eq!(done["results"], json!([{ "id": "card:founders-02", "status": "APPLIED", "error": null }]));
    assert_eq!((&done["userErrors"], &done["user"]["handle"]), (&json!([]), &json!("xelnia")));
    let shown = &done["collections"][0];
    assert_eq!((&shown["collection"]["key"], &shown["collectedCount"]), (&json!("founders"), &json!(1)));
    assert_eq!((&shown["status"], &shown["completedAt"]), (&json!("IN_PROGRESS"), &Value::Null));
    assert_eq!(quantities(&done), [0, 3, 0, 0, 0, 0]);
    assert_eq!(told(&done), [("CARDS_GRANTED", json!({ "cards": { "founders-02": 3 }, "collectedCount": 1 }))]);
    let event = &done["changes"]["events"][0];
    assert_eq!((&event["subject"], &event["actor"]), (&json!("collection:founders"), &json!("app:test app")));
    assert_eq!(done["changes"]["collections"], json!([{ "collectedCount": 1 }]));
}

async fn a_duplicate_raises_the_quantity_only(stage: Stage) {
    let app = writer(&stage).await;
    grant(&app, "xelnia", json!([{ "cardId": "founders-02" }])).await;
    let more = grant(&app, "xelnia", json!([{ "cardId": "card:founders-02", "quantity": 1_000_000 }])).await;
    assert_eq!((&more["collections"][0]["collectedCount"], quantities(&more)[1]), (&json!(1), 1_000_001));
    run(&stage, &format!("UPDATE owned_cards SET quantity = {} WHERE quantity = 1000001", i32::MAX)).await;
    let most = grant(&app, "xelnia", json!([{ "cardId": "founders-02" }])).await;
    assert_eq!(most["userErrors"], json!([{ "code": "INVALID_INPUT", "path": ["cards", "0"] }]));
    assert_eq!(quantities(&most)[1], i64::from(i32::MAX));
}

async fn the_last_card_completes_the_collection_for_good(stage: Stage) {
    let app = writer(&stage).await;
    assert_eq!(told(&grant(&app, "xelnia", cards("founders", 5)).await).len(), 1);
    let last = grant(&app, "xelnia", json!([{ "cardId": "founders-06" }])).await;
    assert_eq!(
        told(&last),
        [
            ("CARDS_GRANTED", json!({ "cards": { "founders-06": 1 }, "collectedCount": 6 })),
            ("COLLECTION_COMPLETED", json!({ "size": 6 })),
        ]
    );
    let shown = &last["collections"][0];
    assert_eq!((&shown["status"], &shown["completedAt"]), (&json!("COMPLETED"), &json!("2026-06-17T12:00:00.000Z")));
    let removed = change(&app, "removeCards", "xelnia", json!([{ "cardId": "founders-06" }])).await;
    let shown = &removed["collections"][0];
    assert_eq!((&shown["status"], &shown["collectedCount"]), (&json!("COMPLETED"), &json!(5)));
    assert_eq!(told(&grant(&app, "xelnia", json!([{ "cardId": "founders-06" }])).await).len(), 1, "once");
}

async fn each_item_has_its_own_result_in_the_order_of_the_input(stage: Stage) {
    let app = writer(&stage).await;
    let done = grant(
        &app,
        "xelnia",
        json!([
            { "cardId": "founders-01" },
            { "cardId": "nothing" },
            { "cardId": "founders-01", "quantity": 2 },
            { "cardId": "founders-03", "quantity": 0 },
            { "cardId": "founders-03", "quantity": -1 },
            { "cardId": "founders-03", "quantity": 1_000_001 },
            { "cardId": "founders-03", "ref": "" },
            { "cardId": "founders-03", "ref": "a\nb" },
            { "cardId": "founders-03", "ref": "a\u{0}b" },
            { "cardId": "founders-03", "ref": "x".repeat(256) },
            { "cardId": "program_123-01" },
        ]),
    )
    .await;
    let mut expected = ["REFUSED"; 11];
    for place in [0, 2, 10] {
        expected[place] = "APPLIED";
    }
    assert_eq!(statuses(&done), expected);
    assert_eq!(done["userErrors"][0], json!({ "code": "UNKNOWN_CARD", "path": ["cards", "1"] }));
    for (error, place) in done["userErrors"].as_array().unwrap()[1..].iter().zip(3..) {
        assert_eq!(*error, json!({ "code": "INVALID_INPUT", "path": ["cards", place.to_string()] }));
    }
    let counts = done["collections"].as_array().unwrap().iter().map(|one| &one["collectedCount"]);
    assert_eq!(counts.collect::<Vec<_>>(), [1, 1]);
    let nothing = grant(&app, "xelnia", json!([])).await;
    assert_eq!((&nothing["results"], told(&nothing)), (&json!([]), vec![]));
}

async fn one_event_tells_of_all_cards_of_a_collection(stage: Stage) {
    let app = writer(&stage).await;
    let list = json!([
        { "cardId": "founders-01" }, { "cardId": "program_123-02" }, { "cardId": "founders-02" },
        { "cardId": "founders-01", "quantity": 4 },
    ]);
    assert_eq!(
        told(&grant(&app, "xelnia", list).await),
        [
            ("CARDS_GRANTED", json!({ "cards": { "program_123-02": 1 }, "collectedCount": 1 })),
            ("CARDS_GRANTED", json!({ "cards": { "founders-01": 5, "founders-02": 1 }, "collectedCount": 2 })),
        ]
    );
}

async fn all_or_nothing_undoes_the_good_items_of_a_list_with_a_bad_one(stage: Stage) {
    let app = writer(&stage).await;
    let input =
        |cards: Value| json!({ "input": { "user": { "handle": "xelnia" }, "mode": "ALL_OR_NOTHING", "cards": cards } });
    let query = format!("mutation($input: GrantCardsInput!) {{ grantCards(input: $input) {{ {CHANGED} }} }}");
    let good = json!({ "cardId": "founders-01", "ref": "r1" });
    let bad = app.data(&query, input(json!([good, { "cardId": "nothing" }]))).await["grantCards"].clone();
    assert_eq!((statuses(&bad), told(&bad)), (vec!["REFUSED", "REFUSED"], vec![]));
    assert_eq!(bad["results"][0]["error"]["code"], "NOT_APPLIED");
    assert_eq!(bad["collections"][0]["collectedCount"], 0);
    // Nor is the reference taken.
    let done = app.data(&query, input(json!([good]))).await["grantCards"].clone();
    assert_eq!((statuses(&done), quantities(&done)[0]), (vec!["APPLIED"], 1));
}

async fn a_reference_is_carried_out_once_and_for_all(stage: Stage) {
    let app = writer(&stage).await;
    let item = |card: &str| json!([{ "cardId": card, "quantity": 2, "ref": "match 7, first prize" }]);
    let first = grant(&app, "xelnia", item("founders-01")).await;
    let again = grant(&app, "xelnia", item("founders-01")).await;
    assert_eq!((statuses(&first), statuses(&again)), (vec!["APPLIED"], vec!["UNCHANGED"]));
    assert_eq!(again["results"][0]["id"], first["results"][0]["id"]);
    assert_eq!((quantities(&again)[0], told(&again)), (2, vec![]));
    // Whatever else it says; but another user's is another one, and so is a removal's.
    let other = grant(&app, "xelnia", item("founders-02")).await;
    assert_eq!((&other["results"], quantities(&other)[1]), (&again["results"], 0));
    assert_eq!(quantities(&grant(&app, "newton", item("founders-01")).await)[0], 2);
    assert_eq!(quantities(&change(&app, "removeCards", "xelnia", item("founders-01")).await)[0], 0);
    let twice = json!([{ "cardId": "founders-03", "ref": "r1" }, { "cardId": "founders-03", "ref": "r1" }]);
    let twice = grant(&app, "xelnia", twice).await;
    assert_eq!((statuses(&twice), quantities(&twice)[2]), (vec!["APPLIED", "UNCHANGED"], 1));
    // What was refused may be tried again.
    let remove = json!([{ "cardId": "founders-05", "ref": "r2" }]);
    assert_eq!(statuses(&change(&app, "removeCards", "xelnia", remove.clone()).await), ["REFUSED"]);
    grant(&app, "xelnia", json!([{ "cardId": "founders-05" }])).await;
    assert_eq!(statuses(&change(&app, "removeCards", "xelnia", remove.clone()).await), ["APPLIED"]);
    let repeated = change(&app, "removeCards", "xelnia", remove).await;
    assert_eq!((statuses(&repeated), told(&repeated)), (vec!["UNCHANGED"], vec![]));
}

async fn cards_are_removed_as_long_as_there_are_some(stage: Stage) {
    let app = writer(&stage).await;
    grant(&app, "xelnia", json!([{ "cardId": "founders-01", "quantity": 5 }, { "cardId": "founders-02" }])).await;
    let list = json!([
        { "cardId": "founders-01", "quantity": 3 }, { "cardId": "founders-01", "quantity": 3 },
        { "cardId": "founders-01", "quantity": 2 }, { "cardId": "founders-04" },
    ]);
    let removed = change(&app, "removeCards", "xelnia", list).await;
    assert_eq!(statuses(&removed), ["APPLIED", "REFUSED", "APPLIED", "REFUSED"]);
    let refused = |place: &str| json!({ "code": "NOT_ENOUGH_CARDS", "path": ["cards", place] });
    assert_eq!(removed["userErrors"], json!([refused("1"), refused("3")]));
    assert_eq!(told(&removed), [("CARDS_REVOKED", json!({ "cards": { "founders-01": 5 }, "collectedCount": 1 }))]);
    assert_eq!(quantities(&removed), [0, 1, 0, 0, 0, 0]);
    assert_eq!(removed["collections"][0]["cards"][0]["isOwned"], false);
}

async fn cards_of_a_hidden_collection_are_owned_and_not_shown(stage: Stage) {
    let app = writer(&stage).await;
    let done = grant(&app, "xelnia", cards("secret-garden", 2)).await;
    assert_eq!((statuses(&done), &done["collections"]), (vec!["APPLIED", "APPLIED"], &json!([])));
    assert_eq!((told(&done)[0].0, &done["changes"]["collections"]), ("CARDS_GRANTED", &json!([])));
}

async fn cards_granted_before_the_start_complete_the_collection_at_its_start(stage: Stage) {
    let app = writer(&stage).await;
    for user in ["xelnia", "newton", "ada"] {
        let early = grant(&app, user, cards("starlight", 8)).await;
        let shown = &early["collections"][0];
        assert_eq!((&shown["status"], &shown["collectedCount"]), (&json!("UPCOMING"), &json!(8)));
        assert_eq!((told(&early).len(), &shown["completedAt"]), (1, &Value::Null));
        assert_eq!(claim(&app, user, "starlight").await["userErrors"][0]["code"], "COLLECTION_INCOMPLETE");
    }
    change(&app, "removeCards", "newton", json!([{ "cardId": "starlight-01" }])).await;

    let later = stage.with(&[("WAYMARK_CLOCK", "2026-07-05T00:00:00Z")]).await;
    let app = writer(&later).await;
    let claimed = claim(&app, "xelnia", "starlight").await;
    assert_eq!(claimed["status"], "CLAIMED");
    let events = claimed["changes"]["events"].as_array().unwrap();
    let dated: Vec<_> = events.iter().map(|event| (&event["kind"], &event["occurredAt"])).collect();
    assert_eq!(
        dated,
        [
            (&json!("COLLECTION_COMPLETED"), &json!("2026-07-01T00:00:00.000Z")),
            (&json!("REWARD_CLAIMED"), &json!("2026-07-05T00:00:00.000Z")),
        ]
    );
    assert_eq!(claim(&app, "newton", "starlight").await["userErrors"][0]["code"], "COLLECTION_INCOMPLETE");
    let removed = change(&app, "removeCards", "ada", json!([{ "cardId": "starlight-01" }])).await;
    assert_eq!(
        (told(&removed)[1].0, &removed["collections"][0]["status"]),
        ("COLLECTION_COMPLETED", &json!("COMPLETED"))
    );
    assert_eq!(told(&claim(&app, "ada", "starlight").await), [("REWARD_CLAIMED", json!({ "reward": "telescope" }))]);
}

async fn cards_granted_after_the_end_complete_nothing(stage: Stage) {
    let app = writer(&stage).await;
    let late = grant(&app, "newton", cards("harvest-fair", 12)).await;
    let shown = &late["collections"][0];
    assert_eq!((&shown["status"], &shown["collectedCount"], told(&late).len()), (&json!("EXPIRED"), &json!(12), 1));
    assert_eq!(claim(&app, "newton", "harvest-fair").await["userErrors"][0]["code"], "COLLECTION_INCOMPLETE");
}

async fn a_reward_is_claimed_once(stage: Stage) {
    let app = writer(&stage).await;
    grant(&app, "newton", cards("founders", 6)).await;
    let newton = stage.user("newton");
    let input = json!({ "input": { "collectionId": "collection:founders" } });
    let claimed = newton.data(CLAIM, input.clone()).await["claimCollectionReward"].clone();
    assert_eq!((&claimed["status"], &claimed["reward"]["key"]), (&json!("CLAIMED"), &json!("town-key")));
    assert_eq!(told(&claimed), [("REWARD_CLAIMED", json!({ "reward": "town-key" }))]);
    let shown = json!({ "isClaimed": true, "claimedAt": "2026-06-17T12:00:00.000Z" });
    assert_eq!((&claimed["collection"]["reward"], &claimed["userErrors"]), (&shown, &json!([])));
    // Also when it could not be claimed any more.
    run(&stage, "UPDATE collection_rewards SET stock = claimed WHERE key = 'town-key'").await;
    change(&app, "removeCards", "newton", cards("founders", 6)).await;
    let again = newton.data(CLAIM, input).await["claimCollectionReward"].clone();
    assert_eq!((&again["status"], &again["reward"]["key"]), (&json!("ALREADY_CLAIMED"), &json!("town-key")));
    assert_eq!((told(&again), &again["userErrors"]), (vec![], &json!([])));
    assert_eq!(claim(&app, "cleo", "founders").await["status"], "ALREADY_CLAIMED");
}

async fn a_claim_is_refused_for_the_first_reason_that_stands_against_it(stage: Stage) {
    let app = writer(&stage).await;
    for (user, collection, code) in [
        ("newton", "founders", "COLLECTION_INCOMPLETE"),
        // Blocked too, but with cards missing.
        ("mallory", "founders", "COLLECTION_INCOMPLETE"),
        ("grace", "polar-lights", "OUT_OF_STOCK"),
        ("newton", "nothing", "UNKNOWN_COLLECTION"),
        ("newton", "secret-garden", "UNKNOWN_COLLECTION"),
        ("newton", "lost-archive", "UNKNOWN_COLLECTION"),
        ("newton", "blank-canvas", "NO_REWARD"),
    ] {
        let refused = claim(&app, user, collection).await;
        assert_eq!((&refused["status"], &refused["reward"]), (&json!("REFUSED"), &Value::Null), "{user} {collection}");
        assert_eq!(refused["userErrors"], json!([{ "code": code, "path": ["collectionId"] }]), "{user} {collection}");
        assert_eq!(told(&refused), []);
    }
    grant(&app, "mallory", cards("founders", 6)).await;
    assert_eq!(claim(&app, "mallory", "founders").await["userErrors"][0]["code"], "BLOCKED");
    // Blocked and out of stock.
    run(&stage, "UPDATE collection_rewards SET stock = claimed WHERE key = 'town-key'").await;
    assert_eq!(claim(&app, "mallory", "founders").await["userErrors"][0]["code"], "BLOCKED");
}

async fn whoever_completed_a_collection_claims_after_it_was_hidden(stage: Stage) {
    let app = writer(&stage).await;
    grant(&app, "newton", cards("founders", 6)).await;
    let hide = "UPDATE collections SET ends_at = 1781600000000, show_after = false WHERE key = 'founders'";
    run(&stage, hide).await;
    let claimed = claim(&app, "newton", "founders").await;
    assert_eq!((&claimed["status"], &claimed["reward"]["key"]), (&json!("CLAIMED"), &json!("town-key")));
    assert_eq!(claimed["collection"], Value::Null);
    assert_eq!(claim(&app, "xelnia", "founders").await["userErrors"][0]["code"], "UNKNOWN_COLLECTION");
}

async fn only_apps_grant_and_only_the_user_and_apps_claim(stage: Stage) {
    let (reader, app) = (stage.app(&[Scope::ProgressRead]).await, writer(&stage).await);
    let user = json!({ "handle": "newton" });
    let list = cards("founders", 1);
    for (mutation, ty) in [("grantCards", "GrantCardsInput"), ("removeCards", "RemoveCardsInput")] {
        let query = format!("mutation($input: {ty}!) {{ {mutation}(input: $input) {{ userErrors {{ code }} }} }}");
        let input = json!({ "input": { "user": user, "cards": list } });
        for actor in [stage.anonymous(), stage.user("newton"), stage.user("ada"), reader.clone()] {
            assert_eq!(actor.query(&query, input.clone()).await.codes(), ["FORBIDDEN"], "{mutation}");
        }
        assert_eq!(app.data(&query, input).await[mutation]["userErrors"], json!([]));
    }
    let input = json!({ "input": { "user": user, "collectionId": "founders" } });
    for actor in [stage.anonymous(), stage.user("ada"), reader] {
        assert_eq!(actor.query(CLAIM, input.clone()).await.codes(), ["FORBIDDEN"]);
    }
    for actor in [stage.user("newton"), app] {
        assert_eq!(actor.data(CLAIM, input.clone()).await["claimCollectionReward"]["status"], "REFUSED");
    }
}

async fn more_items_than_allowed_are_refused_as_a_whole(stage: Stage) {
    let app = writer(&stage).await;
    let query = "mutation($input: GrantCardsInput!) { grantCards(input: $input) { userErrors { code } } }";
    let list = vec![json!({ "cardId": "founders-01" }); 1001];
    let answer = app.query(query, json!({ "input": { "user": { "handle": "newton" }, "cards": list } })).await;
    assert_eq!((answer.codes(), &answer.json["data"]["grantCards"]), (vec!["LIMIT_EXCEEDED"], &Value::Null));
}

async fn malformed_ids_of_cards_fail_alone_and_others_are_an_error(stage: Stage) {
    let app = writer(&stage).await;
    let query = "mutation($input: GrantCardsInput!) { grantCards(input: $input) { userErrors { code } } }";
    for id in ["", "..", "a\u{7}"] {
        let input = json!({ "user": { "handle": "newton" }, "cards": [{ "cardId": id }, { "cardId": "founders-01" }] });
        let granted = app.data(query, json!({ "input": input })).await["grantCards"].clone();
        assert_eq!(granted["userErrors"], json!([{ "code": "INVALID_INPUT" }]), "{id:?}");
        let input = json!({ "user": { "handle": "newton" }, "collectionId": id });
        assert_eq!(app.query(CLAIM, json!({ "input": input })).await.codes(), ["BAD_USER_INPUT"], "{id:?}");
    }
}

async fn a_list_of_a_thousand_costs_as_many_statements_as_a_list_of_one(stage: Stage) {
    let app = writer(&stage).await;
    let all: Vec<Value> = [("program_123", 10), ("founders", 6), ("harvest-fair", 12), ("polar-lights", 15)]
        .into_iter()
        .flat_map(|(collection, count)| cards(collection, count).as_array().unwrap().clone())
        .collect();
    for mutation in ["grantCards", "removeCards"] {
        let ty = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
        let query = format!("mutation($input: {ty}!) {{ {mutation}(input: $input) {{ results {{ status }} }} }}");
        let cost = async |user: &str, count: usize| {
            let list: Vec<Value> = all
                .iter()
                .cycle()
                .take(count)
                .zip(0..)
                .map(|(card, n)| json!({ "cardId": card["cardId"], "ref": format!("r{n}") }))
                .collect();
            let input = |list: &[Value]| json!({ "input": { "user": { "handle": user }, "cards": list } });
            // The document, the credential and the user's name are known from then on.
            app.data(&query, input(&[])).await;
            let before = stage.db().statements(waymark::db::Asker::Request);
            let done = app.data(&query, input(&list)).await;
            assert!(statuses(&done[mutation]).iter().all(|status| *status == "APPLIED"), "{done}");
            stage.db().statements(waymark::db::Asker::Request) - before
        };
        let (one, thousand) = (cost("newton", 1).await, cost("xelnia", 1000).await);
        // Polls of the catalogue and of the credential may fall into either; on SQLite a thousand references take four
        // statements.
        assert!(thousand <= one + 3 + 3, "{one} for one, {thousand} for a thousand");
        assert!(one <= 16, "{one} for one");
    }
}

async fn grants_at_once_add_up(stage: Stage) {
    let app = writer(&stage).await;
    let clients = (0..64).map(|_| grant(&app, "newton", json!([{ "cardId": "founders-01", "quantity": 2 }])));
    let answers = join_all(clients).await;
    assert_eq!(answers.iter().map(|answer| told(answer).len()).sum::<usize>(), 64);
    assert_eq!(quantities(&grant(&app, "newton", json!([{ "cardId": "founders-01" }])).await)[0], 129);
}

async fn removals_at_once_take_no_more_than_there_is(stage: Stage) {
    let app = writer(&stage).await;
    grant(&app, "newton", json!([{ "cardId": "founders-01", "quantity": 20 }])).await;
    let clients = (0..64).map(|_| change(&app, "removeCards", "newton", json!([{ "cardId": "founders-01" }])));
    let answers = join_all(clients).await;
    assert_eq!(answers.iter().filter(|answer| statuses(answer) == ["APPLIED"]).count(), 20);
    assert_eq!(quantities(&grant(&app, "newton", json!([{ "cardId": "founders-01" }])).await)[0], 1);
}

/// How often the rewards of the collection with this number were claimed.
async fn claims(stage: &Stage, collection: i64) -> i64 {
    let connection = stage.db().reads();
    let sql = format!("SELECT claimed FROM collection_rewards WHERE collection_id = {collection}");
    let row = connection.query_one_raw(Statement::from_string(connection.get_database_backend(), sql)).await.unwrap();
    row.unwrap().try_get_by_index(0).unwrap()
}

async fn a_reward_claimed_at_once_by_one_user_is_claimed_once(stage: Stage) {
    let app = writer(&stage).await;
    grant(&app, "newton", cards("program_123", 10)).await;
    let before = claims(&stage, 1).await;
    let answers = join_all((0..64).map(|_| claim(&app, "newton", "program_123"))).await;
    let count = |status: &str| answers.iter().filter(|answer| answer["status"] == status).count();
    assert_eq!((count("CLAIMED"), count("ALREADY_CLAIMED")), (1, 63));
    assert!(answers.iter().all(|answer| answer["reward"]["key"] == "winter-crown"), "{answers:?}");
    assert_eq!(answers.iter().map(|answer| told(answer).len()).sum::<usize>(), 1);
    assert_eq!(claims(&stage, 1).await, before + 1);
}

async fn as_many_users_as_there_are_rewards_claim_one(stage: Stage) {
    let app = writer(&stage).await;
    let users = somebodies(&stage, 64).await;
    for user in &users {
        let granted = grant(&app, user, cards("polar-lights", 15)).await;
        assert_eq!(granted["results"].as_array().unwrap().len(), 15);
    }
    // Two are gone already.
    run(&stage, "UPDATE collection_rewards SET stock = 22 WHERE key = 'polar-coat'").await;
    let answers = join_all(users.iter().map(|user| claim(&app, user, "polar-lights"))).await;
    let count = |status: &str| answers.iter().filter(|answer| answer["status"] == status).count();
    assert_eq!((count("CLAIMED"), count("REFUSED")), (20, 44));
    let refused = answers.iter().filter(|answer| answer["status"] == "REFUSED");
    for answer in refused {
        assert_eq!((&answer["userErrors"][0]["code"], told(answer)), (&json!("OUT_OF_STOCK"), vec![]));
    }
    assert_eq!(claims(&stage, 8).await, 22);
    assert_eq!(answers.iter().map(|answer| told(answer).len()).sum::<usize>(), 20);
}
