//! Granting, spending and revoking credits, blocks, and the sweep of what has expired.

use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::harness::{Actor, Stage, count_anew, tests};

tests! {
    own: [
        a_grant_opens_a_lot,
        what_is_no_grant_is_refused,
        nobody_gets_more_than_the_most,
        spending_takes_the_earliest_expiry_first,
        a_lot_keeps_its_reason_while_it_is_spent,
        more_than_is_available_is_not_spent_at_all,
        many_clients_never_spend_more_than_there_is,
        revoking_takes_what_is_there_and_reports_the_rest,
        of_a_lot_that_is_named_alone_credits_are_revoked,
        a_lot_is_found_by_its_ref_after_a_merge,
        a_ref_is_carried_out_once_for_each_kind_and_user,
        many_clients_with_one_ref_change_credits_once,
        a_block_holds_until_it_is_lifted,
        blocks_are_lifted_by_number_or_by_scope,
        what_is_no_block_is_refused,
        the_sweep_changes_no_answer,
        the_sweep_leaves_out_who_is_gone,
        old_idempotency_keys_are_forgotten,
        only_apps_that_may_write_change_credits_and_blocks,
    ],
}

const GRANT: &str = "mutation($input: GrantCreditsInput!) { grantCredits(input: $input) {
    user { handle } status granted { credits micros } lot userErrors { code path message }
    credits { available { credits } lots { number amount { credits } grantedAt expiresAt source reason } }
    changes { events { kind subject changes actor } credits { available { credits } } } } }";
const SPEND: &str = "mutation($input: SpendCreditsInput!) { spendCredits(input: $input) {
    status spent { credits } userErrors { code path message }
    credits { available { credits } lots { remaining { credits } } ledger(first: 4) { nodes { kind amount { credits } lot reason } } }
    changes { events { kind subject changes } } } }";
const REVOKE: &str = "mutation($input: RevokeCreditsInput!) { revokeCredits(input: $input) {
    status revoked { credits } shortfall { credits } userErrors { code path message }
    credits { available { credits } } changes { events { kind changes } } } }";
const BLOCK: &str = "mutation($input: BlockUserInput!) { blockUser(input: $input) {
    blocks userErrors { code path } credits { isBlockedForClaiming isBlockedForSpending
    blocks { number scope reason from until } } changes { events { kind changes } credits { isBlockedForSpending } } } }";
const UNBLOCK: &str = "mutation($input: UnblockUserInput!) { unblockUser(input: $input) {
    blocks userErrors { code path } credits { isBlockedForClaiming isBlockedForSpending blocks { number } }
    changes { events { kind changes } } } }";

/// The payload of a mutation about a user; `name` is that of its field.
async fn change(app: &Actor, mutation: &str, handle: &str, mut input: Value) -> Value {
    input["user"] = json!({ "handle": handle });
    let data = app.data(mutation, json!({ "input": input })).await;
    data.as_object().unwrap().values().next().unwrap().clone()
}

fn amount(credits: &str) -> Value {
    json!({ "amount": { "credits": credits } })
}

fn code(payload: &Value) -> &str {
    payload["userErrors"][0]["code"].as_str().unwrap_or("none")
}

/// The one number that a query answers.
async fn number(stage: &Stage, sql: &str) -> i64 {
    let connection = stage.db().writes();
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn a_grant_opens_a_lot(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let input = json!({
        "amount": { "credits": "12.5" }, "expiresAt": "2026-07-01T00:00:00+02:00", "reason": "Event host",
    });
    assert_eq!(
        change(&app, GRANT, "newton", input).await,
        json!({
            "user": { "handle": "newton" }, "status": "APPLIED",
            "granted": { "credits": "12.5", "micros": 12_500_000 }, "lot": 1, "userErrors": [],
            "credits": {
                "available": { "credits": "12.5" },
                "lots": [{
                    "number": 1, "amount": { "credits": "12.5" }, "grantedAt": "2026-06-17T12:00:00.000Z",
                    "expiresAt": "2026-06-30T22:00:00.000Z", "source": "GRANT", "reason": "Event host",
                }],
            },
            "changes": {
                "events": [{
                    "kind": "CREDITS_GRANTED", "subject": ulid(&app, "newton").await, "actor": "app:test app",
                    "changes": { "credits": "12.5", "lot": 1, "expiresAt": "2026-06-30T22:00:00.000Z" },
                }],
                "credits": { "available": { "credits": "12.5" } },
            },
        })
    );
    let never = change(&app, GRANT, "newton", json!({ "amount": { "micros": 1 } })).await;
    assert_eq!(
        (&never["granted"]["credits"], &never["credits"]["lots"][1]["expiresAt"]),
        (&json!("0.000001"), &Value::Null)
    );
    assert_eq!(never["changes"]["events"][0]["changes"], json!({ "credits": "0.000001", "lot": 2 }));
    // Whoever has credits from long ago gets a new number, too.
    let grace = change(&app, GRANT, "grace", amount("1")).await;
    assert_eq!(grace["credits"]["available"]["credits"], "71.5");
}

async fn ulid(app: &Actor, handle: &str) -> Value {
    let query = "query($handle: String!) { user(by: {handle: $handle}) { id } }";
    app.data(query, json!({ "handle": handle })).await["user"]["id"].clone()
}

async fn what_is_no_grant_is_refused(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let before = number(&stage, "SELECT COUNT(*) FROM credit_entries").await;
    for (field, value) in [
        ("amount", json!({ "credits": "0" })),
        ("amount", json!({ "credits": "-1" })),
        ("amount", json!({ "micros": 0 })),
        ("expiresAt", json!("2026-06-17T12:00:00Z")),
        ("expiresAt", json!("2020-01-01T00:00:00Z")),
        ("reason", json!("")),
        ("reason", json!("a\nb")),
        ("reason", json!("x".repeat(501))),
        ("ref", json!("")),
        ("ref", json!("x".repeat(256))),
    ] {
        let mut input = amount("1");
        input[field] = value;
        let refused = change(&app, GRANT, "newton", input.clone()).await;
        assert_eq!((code(&refused), &refused["userErrors"][0]["path"]), ("INVALID_INPUT", &json!([field])), "{input}");
        assert_eq!((&refused["status"], &refused["lot"]), (&json!("REFUSED"), &Value::Null));
        assert_eq!(refused["changes"]["events"], json!([]));
    }
    assert_eq!(number(&stage, "SELECT COUNT(*) FROM credit_entries").await, before);
    for bad in
        [json!({}), json!({ "credits": "1", "micros": 1 }), json!({ "credits": "1.0000001" }), json!({ "credits": 1 })]
    {
        let input = json!({ "input": { "user": { "handle": "newton" }, "amount": bad } });
        assert_eq!(app.query(GRANT, input).await.codes(), ["BAD_USER_INPUT"]);
    }
}

async fn nobody_gets_more_than_the_most(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    for too_much in [json!({ "credits": "9000000000000.000001" }), json!({ "micros": i64::MAX })] {
        assert_eq!(code(&change(&app, GRANT, "newton", json!({ "amount": too_much })).await), "INVALID_INPUT");
    }
    let most = change(&app, GRANT, "newton", amount("9000000000000")).await;
    assert_eq!(most["credits"]["available"]["credits"], "9000000000000");
    assert_eq!(code(&change(&app, GRANT, "newton", amount("0.000001")).await), "INVALID_INPUT");
    // A reward counts like any other grant.
    change(&app, GRANT, "grace", amount("8999999999929")).await;
    let claim = "mutation { claimGoals(input: {goalIds: [\"rising-tide-3\"]}) { results { status error { code } } } }";
    let refused = stage.user("grace").data(claim, Value::Null).await;
    assert_eq!(refused["claimGoals"]["results"][0]["error"]["code"], "INVALID_INPUT");
}

async fn spending_takes_the_earliest_expiry_first(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    // There are 0.25 and 1.5 that expire tomorrow, 2.75 that expire in July, and more.
    let mut input = amount("2");
    input["reason"] = json!("Emote: bow");
    let spent = change(&app, SPEND, "grace", input).await;
    assert_eq!((&spent["status"], &spent["spent"]["credits"]), (&json!("APPLIED"), &json!("2")));
    assert_eq!(spent["credits"]["available"]["credits"], "68.5");
    assert_eq!(spent["credits"]["lots"][0]["remaining"]["credits"], "2.5");
    let entries = spent["credits"]["ledger"]["nodes"].as_array().unwrap();
    let told: Vec<_> =
        entries.iter().map(|one| (one["kind"].as_str().unwrap(), one["amount"]["credits"].as_str().unwrap())).collect();
    assert_eq!(told[..3], [("SPEND", "0.25"), ("SPEND", "1.5"), ("SPEND", "0.25")]);
    assert_ne!(told[3].0, "SPEND");
    assert!(entries[..3].iter().all(|one| one["reason"] == "Emote: bow"));
    assert_eq!(spent["changes"]["events"][0]["changes"], json!({ "credits": "2" }));
    assert_eq!(spent["changes"]["events"][0]["kind"], "CREDITS_SPENT");
    // The three entries belong together.
    let operations = "SELECT COUNT(DISTINCT operation) FROM credit_entries WHERE reason = 'Emote: bow'";
    assert_eq!(number(&stage, operations).await, 1);
}

async fn a_lot_keeps_its_reason_while_it_is_spent(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    for reason in ["First", "Second"] {
        let mut input = amount("3");
        input["reason"] = json!(reason);
        assert_eq!(code(&change(&app, GRANT, "newton", input).await), "none");
    }
    assert_eq!(code(&change(&app, SPEND, "newton", amount("4")).await), "none");
    let query = "{ user(by: { handle: \"newton\" }) { credits { lots { reason remaining { credits } } } } }";
    let data = app.data(query, Value::Null).await;
    assert_eq!(data["user"]["credits"]["lots"], json!([{ "reason": "Second", "remaining": { "credits": "2" } }]));
    let stored = "SELECT COUNT(*) FROM credit_lots WHERE reason = 'First' AND remaining_micros = 0";
    assert_eq!(number(&stage, stored).await, 1);
}

async fn more_than_is_available_is_not_spent_at_all(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let refused = change(&app, SPEND, "grace", amount("70.500001")).await;
    assert_eq!((code(&refused), &refused["status"]), ("INSUFFICIENT_CREDITS", &json!("REFUSED")));
    let message = "70.500001 credits were to be spent, and 70.5 are available";
    assert_eq!(refused["userErrors"][0]["message"], message);
    assert_eq!(
        (&refused["spent"]["credits"], &refused["credits"]["available"]["credits"]),
        (&json!("0"), &json!("70.5"))
    );
    assert_eq!(refused["changes"]["events"], json!([]));
    let all = change(&app, SPEND, "grace", amount("70.5")).await;
    assert_eq!((&all["status"], &all["credits"]["available"]["credits"]), (&json!("APPLIED"), &json!("0")));
    assert_eq!(code(&change(&app, SPEND, "newton", amount("1")).await), "INSUFFICIENT_CREDITS");
    assert_eq!(code(&change(&app, SPEND, "newton", amount("0")).await), "INVALID_INPUT");
}

async fn many_clients_never_spend_more_than_there_is(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    change(&app, GRANT, "newton", amount("7")).await;
    change(&app, GRANT, "newton", amount("3.5")).await;
    let spends = join_all((0..64).map(|_| change(&app, SPEND, "newton", amount("1")))).await;
    assert_eq!(spends.iter().filter(|payload| payload["status"] == "APPLIED").count(), 10);
    assert_eq!(spends.iter().filter(|payload| code(payload) == "INSUFFICIENT_CREDITS").count(), 54);
    let newton = "user_id = (SELECT id FROM users WHERE handle = 'newton')";
    let left = format!("SELECT CAST(SUM(remaining_micros) AS bigint) FROM credit_lots WHERE {newton}");
    assert_eq!(number(&stage, &left).await, 500_000);
    let spent =
        format!("SELECT CAST(SUM(amount_micros) AS bigint) FROM credit_entries WHERE kind = 'SPEND' AND {newton}");
    assert_eq!(number(&stage, &spent).await, 10_000_000);
    // The ledger is numbered without gaps.
    let (count, last) = (
        format!("SELECT COUNT(*) FROM credit_entries WHERE {newton}"),
        format!("SELECT MAX(seq) FROM credit_entries WHERE {newton}"),
    );
    assert_eq!(number(&stage, &count).await, number(&stage, &last).await);
}

async fn revoking_takes_what_is_there_and_reports_the_rest(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let some = change(&app, REVOKE, "grace", amount("70")).await;
    assert_eq!((&some["revoked"]["credits"], &some["shortfall"]["credits"]), (&json!("70"), &json!("0")));
    let rest = change(&app, REVOKE, "grace", amount("2")).await;
    assert_eq!((&rest["revoked"]["credits"], &rest["shortfall"]["credits"]), (&json!("0.5"), &json!("1.5")));
    assert_eq!((&rest["status"], &rest["credits"]["available"]["credits"]), (&json!("APPLIED"), &json!("0")));
    let event = json!({ "kind": "CREDITS_REVOKED", "changes": { "credits": "0.5" } });
    assert_eq!(rest["changes"]["events"], json!([event]));
    let nothing = change(&app, REVOKE, "grace", amount("2")).await;
    assert_eq!((&nothing["status"], &nothing["shortfall"]["credits"]), (&json!("UNCHANGED"), &json!("2")));
    assert_eq!(nothing["changes"]["events"], json!([]));
}

/// What each lot of a user has left, by its number.
async fn lots(app: &Actor, handle: &str) -> Vec<(i64, String)> {
    let query =
        "query($handle: String!) { user(by: {handle: $handle}) { credits { lots { number remaining { credits } } } } }";
    let data = app.data(query, json!({ "handle": handle })).await;
    let lots = data["user"]["credits"]["lots"].as_array().unwrap().clone();
    let mut lots: Vec<_> = lots
        .iter()
        .map(|lot| {
            let number = lot["number"].as_i64().unwrap_or_else(|| lot["number"].as_str().unwrap().parse().unwrap());
            (number, lot["remaining"]["credits"].as_str().unwrap().to_owned())
        })
        .collect();
    lots.sort();
    lots
}

async fn of_a_lot_that_is_named_alone_credits_are_revoked(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let expires = "2026-07-01T00:00:00Z";
    change(&app, GRANT, "newton", json!({ "amount": { "credits": "10" }, "expiresAt": expires })).await;
    let fraud = json!({ "amount": { "credits": "20" }, "ref": "fraud" });
    assert_eq!(change(&app, GRANT, "newton", fraud).await["lot"], 2);
    let revoke = async |credits: &str, lot: Value| {
        let input = json!({ "amount": { "credits": credits }, "lot": lot });
        change(&app, REVOKE, "newton", input).await
    };
    let taken = revoke("15", json!({ "ref": "fraud" })).await;
    assert_eq!((&taken["status"], &taken["revoked"]["credits"]), (&json!("APPLIED"), &json!("15")));
    assert_eq!(taken["changes"]["events"][0]["changes"], json!({ "credits": "15", "lot": 2 }));
    assert_eq!(lots(&app, "newton").await, [(1, "10".to_owned()), (2, "5".to_owned())]);
    // What is not there is not taken from another one.
    let taken = revoke("7", json!({ "number": 2 })).await;
    assert_eq!((&taken["revoked"]["credits"], &taken["shortfall"]["credits"]), (&json!("5"), &json!("2")));
    let taken = revoke("7", json!({ "number": 2 })).await;
    assert_eq!((&taken["status"], &taken["shortfall"]["credits"]), (&json!("UNCHANGED"), &json!("7")));
    assert_eq!(taken["credits"]["available"]["credits"], "10");
    for (lot, path) in [(json!({ "number": 9 }), "lot"), (json!({ "ref": "none" }), "lot")] {
        let refused = revoke("1", lot).await;
        assert_eq!((code(&refused), &refused["userErrors"][0]["path"]), ("UNKNOWN_CREDIT_LOT", &json!([path])));
    }
    let refused = revoke("1", json!({ "ref": "" })).await;
    assert_eq!((code(&refused), &refused["userErrors"][0]["path"]), ("INVALID_INPUT", &json!(["lot", "ref"])));
    // A lot that has expired has nothing to be taken.
    let later = stage.with(&[("WAYMARK_CLOCK", "2026-07-02T00:00:00Z")]).await.app(&[Scope::ProgressWrite]).await;
    let input = json!({ "amount": { "credits": "1" }, "lot": { "number": 1 } });
    assert_eq!(change(&later, REVOKE, "newton", input).await["status"], "UNCHANGED");
}

async fn a_lot_is_found_by_its_ref_after_a_merge(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let granted = json!({ "amount": { "credits": "3" }, "ref": "order 7" });
    change(&admin, GRANT, "newton", granted.clone()).await;
    let merge = "mutation { mergeUsers(input: {from: {handle: \"newton\"}, into: {handle: \"grace\"}}) {
        userErrors { code } } }";
    assert_eq!(admin.data(merge, Value::Null).await["mergeUsers"]["userErrors"], json!([]));
    let before = lots(&admin, "grace").await;
    let again = change(&admin, GRANT, "grace", granted).await;
    assert_eq!(again["status"], "UNCHANGED");
    let lot = again["lot"].as_i64().unwrap_or_else(|| again["lot"].as_str().unwrap().parse().unwrap());
    let revoked = json!({ "amount": { "credits": "9" }, "lot": { "ref": "order 7" } });
    let taken = change(&admin, REVOKE, "grace", revoked).await;
    assert_eq!((&taken["revoked"]["credits"], &taken["shortfall"]["credits"]), (&json!("3"), &json!("6")));
    let expected: Vec<_> = before.into_iter().filter(|(number, _)| *number != lot).collect();
    let after: Vec<_> = lots(&admin, "grace").await.into_iter().filter(|(number, _)| *number != lot).collect();
    assert_eq!(after, expected);
}

async fn a_ref_is_carried_out_once_for_each_kind_and_user(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let named = |credits: &str| json!({ "amount": { "credits": credits }, "ref": "order 7" });
    let first = change(&app, GRANT, "newton", named("5")).await;
    let again = change(&app, GRANT, "newton", named("6")).await;
    assert_eq!(
        (&again["status"], &again["granted"], &again["lot"]),
        (&json!("UNCHANGED"), &first["granted"], &first["lot"])
    );
    assert_eq!((&again["credits"]["available"]["credits"], &again["changes"]["events"]), (&json!("5"), &json!([])));
    // What was refused was not carried out, so it may be tried again.
    assert_eq!(code(&change(&app, SPEND, "newton", named("6")).await), "INSUFFICIENT_CREDITS");
    assert_eq!(change(&app, SPEND, "newton", named("2")).await["status"], "APPLIED");
    assert_eq!(change(&app, SPEND, "newton", named("2")).await["status"], "UNCHANGED");
    let revoked = change(&app, REVOKE, "newton", named("4")).await;
    assert_eq!((&revoked["revoked"]["credits"], &revoked["shortfall"]["credits"]), (&json!("3"), &json!("1")));
    let again = change(&app, REVOKE, "newton", named("4")).await;
    assert_eq!((&again["status"], &again["shortfall"]), (&json!("UNCHANGED"), &revoked["shortfall"]));
    assert_eq!(change(&app, GRANT, "xelnia", named("5")).await["status"], "APPLIED");
}

async fn many_clients_with_one_ref_change_credits_once(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let named = json!({ "amount": { "credits": "1.5" }, "ref": "once" });
    for (mutation, available) in [(GRANT, "3"), (SPEND, "1.5"), (REVOKE, "0")] {
        if mutation == GRANT {
            change(&app, GRANT, "newton", amount("1.5")).await;
        }
        let payloads = join_all((0..32).map(|_| change(&app, mutation, "newton", named.clone()))).await;
        assert_eq!(payloads.iter().filter(|payload| payload["status"] == "APPLIED").count(), 1);
        assert_eq!(payloads.iter().filter(|payload| payload["status"] == "UNCHANGED").count(), 31);
        assert_eq!(payloads[0]["credits"]["available"]["credits"], available);
    }
}

async fn a_block_holds_until_it_is_lifted(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let input = json!({ "scope": "SPEND", "reason": "Disputed purchase", "until": "2026-06-18T00:00:00Z" });
    let blocked = change(&app, BLOCK, "grace", input).await;
    assert_eq!(
        blocked,
        json!({
            "blocks": [1], "userErrors": [],
            "credits": {
                "isBlockedForClaiming": false, "isBlockedForSpending": true,
                "blocks": [{
                    "number": 1, "scope": "SPEND", "reason": "Disputed purchase",
                    "from": "2026-06-17T12:00:00.000Z", "until": "2026-06-18T00:00:00.000Z",
                }],
            },
            "changes": {
                "events": [{ "kind": "BLOCKED", "changes": { "block": 1, "scope": "SPEND" } }],
                "credits": { "isBlockedForSpending": true },
            },
        })
    );
    let refused = change(&app, SPEND, "grace", amount("1")).await;
    assert_eq!((code(&refused), &refused["credits"]["available"]["credits"]), ("BLOCKED", &json!("70.5")));
    // The balance may still change otherwise, and progress goes on.
    assert_eq!(change(&app, GRANT, "grace", amount("1")).await["status"], "APPLIED");
    let claim = "mutation { claimGoals(input: {goalIds: [\"rising-tide-3\"]}) { results { status } } }";
    assert_eq!(stage.user("grace").data(claim, Value::Null).await["claimGoals"]["results"][0]["status"], "CLAIMED");
    assert_eq!(change(&app, REVOKE, "grace", amount("1")).await["status"], "APPLIED");
    // Ends by itself.
    let tomorrow = stage.with(&[("WAYMARK_CLOCK", "2026-06-18T00:00:00Z")]).await;
    let then = tomorrow.app(&[Scope::ProgressWrite]).await;
    assert_eq!(change(&then, SPEND, "grace", amount("1")).await["status"], "APPLIED");
    assert_eq!(code(&change(&then, UNBLOCK, "grace", json!({ "blocks": { "number": 1 } })).await), "UNKNOWN_BLOCK");
    let lifted = change(&app, UNBLOCK, "grace", json!({ "blocks": { "number": 1 } })).await;
    assert_eq!((&lifted["blocks"], &lifted["credits"]["isBlockedForSpending"]), (&json!([1]), &json!(false)));
    assert_eq!(change(&app, SPEND, "grace", amount("1")).await["status"], "APPLIED");
}

async fn blocks_are_lifted_by_number_or_by_scope(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    // Mallory has a block from long ago and one from claiming that holds.
    for scope in ["ALL", "SPEND", "ALL"] {
        change(&app, BLOCK, "mallory", json!({ "scope": scope, "reason": "x" })).await;
    }
    let lift = async |blocks: Value| change(&app, UNBLOCK, "mallory", json!({ "blocks": blocks })).await;
    assert_eq!(code(&lift(json!({ "number": 1 })).await), "UNKNOWN_BLOCK");
    assert_eq!(code(&lift(json!({ "number": 99 })).await), "UNKNOWN_BLOCK");
    let all = lift(json!({ "scope": "ALL" })).await;
    assert_eq!(all["blocks"], json!([3, 5]));
    let event = |block: i32| json!({ "kind": "BLOCK_LIFTED", "changes": { "block": block, "scope": "ALL" } });
    assert_eq!(all["changes"]["events"], json!([event(3), event(5)]));
    assert_eq!(all["credits"]["blocks"], json!([{ "number": 2 }, { "number": 4 }]));
    let again = lift(json!({ "scope": "ALL" })).await;
    assert_eq!((code(&again), &again["userErrors"][0]["path"]), ("UNKNOWN_BLOCK", &json!(["blocks"])));
    let claiming = lift(json!({ "number": 2 })).await;
    assert_eq!(
        claiming["credits"],
        json!({ "isBlockedForClaiming": false, "isBlockedForSpending": true, "blocks": [{ "number": 4 }] })
    );
    let claim = json!({ "input": { "goalIds": ["rising-tide-1"] } });
    let query = "mutation($input: ClaimGoalsInput!) { claimGoals(input: $input) { results { status } } }";
    assert_eq!(stage.user("mallory").data(query, claim).await["claimGoals"]["results"][0]["status"], "CLAIMED");
    // Numbers are not used again.
    assert_eq!(change(&app, BLOCK, "mallory", json!({ "scope": "ALL", "reason": "x" })).await["blocks"], json!([6]));
}

async fn what_is_no_block_is_refused(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    for (field, value) in [
        ("reason", json!("")),
        ("reason", json!(" ")),
        ("reason", json!("é".repeat(501))),
        ("until", json!("2026-06-17T12:00:00Z")),
    ] {
        let mut input = json!({ "scope": "ALL", "reason": "é".repeat(500) });
        input[field] = value;
        let refused = change(&app, BLOCK, "grace", input).await;
        assert_eq!(refused["userErrors"], json!([{ "code": "INVALID_INPUT", "path": [field] }]));
        assert_eq!((&refused["blocks"], &refused["changes"]["events"]), (&json!([]), &json!([])));
    }
    let both = json!({ "input": { "user": { "handle": "grace" }, "blocks": { "number": 1, "scope": "ALL" } } });
    app.query(UNBLOCK, both).await.refused(400, "BAD_USER_INPUT");
}

/// Everything that is to be seen of the credits of many users, page by page.
async fn everything(stage: &Stage) -> Vec<Value> {
    let app = stage.app(&[Scope::ProgressRead]).await;
    let query = "query($handle: String!, $after: String) { user(by: {handle: $handle}) { credits {
        available { micros } expiresIn expirySchedule { expiresAt amount { micros } } lots { number remaining { micros } }
        ledger(first: 7, after: $after) { totalCount pageInfo { endCursor hasNextPage }
          nodes { kind lot amount { micros } recordedAt reason } edges { cursor } } } } }";
    let mut all = Vec::new();
    for handle in crate::batching::handles(stage).await.iter().take(20) {
        let mut after = Value::Null;
        loop {
            let data = app.data(query, json!({ "handle": handle, "after": after })).await;
            let page = data["user"]["credits"]["ledger"]["pageInfo"].clone();
            all.push(data);
            if page["hasNextPage"] == false {
                break;
            }
            after = page["endCursor"].clone();
        }
    }
    all
}

async fn the_sweep_changes_no_answer(stage: Stage) {
    // After the rewards of the season that is over have expired.
    let later = stage.with(&[("WAYMARK_CLOCK", "2026-09-18T00:00:00Z")]).await;
    let app = later.app(&[Scope::ProgressWrite]).await;
    let open = "SELECT COUNT(*) FROM credit_lots WHERE remaining_micros > 0 AND expires_at IS NOT NULL";
    let expired = number(&stage, open).await;
    let entries = number(&stage, "SELECT COUNT(*) FROM credit_entries").await;
    let before = everything(&later).await;
    // Two servers sweep at once.
    let other = stage.with(&[("WAYMARK_CLOCK", "2026-09-18T00:00:00Z")]).await;
    let (one, two) = tokio::join!(later.app.maintain(), other.app.maintain());
    assert_eq!(i64::try_from(one.unwrap() + two.unwrap()).unwrap(), expired);
    assert!(expired > 200, "{expired}");
    assert_eq!(number(&stage, "SELECT COUNT(*) FROM credit_entries").await, entries + expired);
    assert_eq!(number(&stage, open).await, 0);
    let after = everything(&later).await;
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(after, before);
    }
    assert_eq!(later.app.maintain().await.unwrap(), 0);
    // Credits go on from there.
    assert_eq!(change(&app, SPEND, "grace", amount("1")).await["status"], "APPLIED");
}

async fn the_sweep_leaves_out_who_is_gone(stage: Stage) {
    let gone = "UPDATE users SET erased_at = 0 WHERE handle = 'grace'";
    stage.db().writes().execute_unprepared(gone).await.unwrap();
    count_anew(stage.db()).await;
    let later = stage.with(&[("WAYMARK_CLOCK", "2026-09-18T00:00:00Z")]).await;
    assert!(later.app.maintain().await.unwrap() > 100);
    assert_eq!(later.app.maintain().await.unwrap(), 0);
}

async fn old_idempotency_keys_are_forgotten(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let keyed = json!({ "amount": { "credits": "1" }, "idempotencyKey": "k1" });
    let granted = change(&app, GRANT, "newton", keyed.clone()).await;
    assert_eq!(change(&app, GRANT, "newton", keyed).await, granted);
    let keys = "SELECT COUNT(*) FROM idempotency_keys";
    for (now, left) in [("2026-06-24T11:59:59Z", 1), ("2026-06-24T12:00:00Z", 0)] {
        let then = stage.with(&[("WAYMARK_CLOCK", now)]).await;
        then.app.maintain().await.unwrap();
        assert_eq!(number(&stage, keys).await, left, "{now}");
    }
}

async fn only_apps_that_may_write_change_credits_and_blocks(stage: Stage) {
    let user = json!({ "handle": "grace" });
    let amount = json!({ "input": { "user": user, "amount": { "micros": 1 } } });
    let block = json!({ "input": { "user": user, "scope": "ALL", "reason": "x" } });
    let unblock = json!({ "input": { "user": user, "blocks": { "scope": "ALL" } } });
    let all = [(GRANT, &amount), (SPEND, &amount), (REVOKE, &amount), (BLOCK, &block), (UNBLOCK, &unblock)];
    let reader = stage.app(&[Scope::ProgressRead]).await;
    for actor in [stage.anonymous(), stage.user("grace"), stage.user("ada"), reader] {
        for (mutation, input) in all {
            assert_eq!(actor.query(mutation, input.clone()).await.codes(), ["FORBIDDEN"]);
        }
    }
    let admin = stage.app(&[Scope::Admin]).await;
    for (mutation, input) in all {
        let data = admin.data(mutation, input.clone()).await;
        assert_eq!(data.as_object().unwrap().values().next().unwrap()["userErrors"], json!([]), "{mutation}");
    }
}
