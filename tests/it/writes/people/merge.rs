//! Merging one user into another.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use waymark::auth::Scope;

use super::{execute, export, id_of, number, rows, sum};
use crate::harness::{Actor, Stage, tests};

tests! {
    own: [
        everything_goes_over_and_the_better_state_of_each_pair_wins,
        what_two_had_of_one_game_earns_them_its_awards,
        of_two_claims_of_one_goal_the_earlier_stays,
        of_two_claims_of_a_goal_without_reward_no_lot_is_revoked,
        a_collection_completed_by_the_cards_of_both_is_told_of,
        the_absorbed_user_is_gone_and_the_others_are_untouched,
        a_token_of_the_absorbed_user_is_the_survivors,
        merging_again_is_refused_or_answered_the_same,
        who_may_merge,
        merging_while_others_write_leaves_nothing_half_done,
    ],
    empty: [
        collections_are_as_the_dates_of_the_cards_of_both_say,
    ],
}

const MERGE: &str = "mutation($input: MergeUsersInput!) { mergeUsers(input: $input) { absorbedId user { id handle }
    userErrors { code path } changes { events { kind subject changes } } } }";

async fn merge(admin: &Actor, from: &str, into: &str) -> Value {
    let input = json!({ "from": { "handle": from }, "into": { "handle": into } });
    admin.data(MERGE, json!({ "input": input })).await["mergeUsers"].clone()
}

/// Rows by what they are about.
fn by<'a>(export: &'a Value, place: &str, member: &str) -> BTreeMap<&'a str, &'a Value> {
    rows(export, place).iter().map(|row| (row[member].as_str().unwrap(), row)).collect()
}

/// The rows about a thing in both, as pairs that may have a hole.
fn pairs<'a>(one: &'a Value, two: &'a Value, place: &str, member: &str) -> BTreeMap<&'a str, Vec<&'a Value>> {
    let mut all: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for export in [one, two] {
        for (key, row) in by(export, place, member) {
            all.entry(key).or_default().push(row);
        }
    }
    all
}

fn least(rows: &[&Value], member: &str) -> Value {
    let told = rows.iter().filter_map(|row| row[member].as_str()).min();
    told.map_or(Value::Null, Value::from)
}

fn most(rows: &[&Value], member: &str) -> Value {
    rows.iter().filter_map(|row| row[member].as_i64()).max().into()
}

/// What every survivor must have of two users; claims and what they gave apart.
fn check(from: &Value, into: &Value, survivor: &Value) {
    for (place, member, earliest, greatest) in [
        ("enrolments", "season", vec!["enrolledAt"], vec![]),
        ("goals", "goal", vec!["completedAt"], vec!["completedSteps"]),
        ("resources", "resource", vec!["completedAt", "createdAt"], vec!["progress", "timeSpentMinutes"]),
        ("achievements", "achievement", vec!["unlockedAt", "unlockedHardcoreAt"], vec![]),
        ("cards", "card", vec!["firstAcquiredAt"], vec![]),
        ("collections", "collection", vec!["rewardClaimedAt"], vec![]),
        ("goalClaims", "goal", vec!["claimedAt"], vec![]),
        ("accounts", "id", vec!["linkedAt"], vec![]),
    ] {
        let (pairs, merged) = (pairs(from, into, place, member), by(survivor, place, member));
        assert_eq!(pairs.keys().collect::<Vec<_>>(), merged.keys().collect::<Vec<_>>(), "{place}");
        for (key, rows) in pairs {
            for name in &earliest {
                assert_eq!(merged[key][*name], least(&rows, name), "{place} {key} {name}");
            }
            for name in &greatest {
                assert_eq!(merged[key][*name], most(&rows, name), "{place} {key} {name}");
            }
        }
    }
    for (card, rows) in pairs(from, into, "cards", "card") {
        let quantity: i64 = rows.iter().map(|row| row["quantity"].as_i64().unwrap()).sum();
        assert_eq!(by(survivor, "cards", "card")[card]["quantity"], quantity, "{card}");
    }
    for (key, row) in by(survivor, "collections", "collection") {
        let owned = rows(survivor, "cards").iter().filter(|card| card["collection"] == key && card["quantity"] != 0);
        assert_eq!(row["collectedCount"], owned.count(), "{key}");
    }
    for (game, summary) in by(survivor, "games", "game") {
        let unlocks: Vec<&Value> = rows(survivor, "achievements").iter().filter(|row| row["game"] == game).collect();
        let hardcore = unlocks.iter().filter(|row| row["unlockedHardcoreAt"].is_string()).count();
        assert_eq!(summary["numAchieved"], unlocks.len(), "{game}");
        assert_eq!(summary["numAchievedHardcore"], hardcore, "{game}");
        assert_eq!(summary["firstUnlockedAt"], least(&unlocks, "unlockedAt"), "{game}");
    }
    for place in ["creditLots", "blocks", "studyPlanInstances", "studyPlanInstanceResources"] {
        assert_eq!(rows(survivor, place).len(), rows(from, place).len() + rows(into, place).len(), "{place}");
    }
    assert_eq!(
        sum(survivor, "creditLots", "amountMicros"),
        sum(from, "creditLots", "amountMicros") + sum(into, "creditLots", "amountMicros")
    );
    // Whatever happened to a lot stands in the ledger.
    for lot in rows(survivor, "creditLots") {
        let entries = rows(survivor, "creditEntries").iter().filter(|entry| entry["lot"] == lot["number"]);
        let left = entries.fold(0, |left, entry| {
            let amount = entry["amountMicros"].as_i64().unwrap();
            if entry["kind"] == "GRANT" { left + amount } else { left - amount }
        });
        assert_eq!(lot["remainingMicros"], left, "{lot}");
    }
    for claim in rows(survivor, "goalClaims") {
        let lot = rows(survivor, "creditLots").iter().find(|lot| lot["number"] == claim["lot"]).unwrap();
        assert_eq!((&lot["goal"], &lot["amountMicros"]), (&claim["goal"], &claim["rewardMicros"]), "{claim}");
    }
}

async fn everything_goes_over_and_the_better_state_of_each_pair_wins(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    for (from, into) in [("grace", "ada"), ("MaxMilyin", "ada"), ("mallory", "cleo")] {
        let (absorbed, survivor) = (export(&admin, from).await, export(&admin, into).await);
        let ids = (id_of(&admin, from).await, id_of(&admin, into).await);
        let done = merge(&admin, from, into).await;
        assert_eq!((&done["userErrors"], &done["absorbedId"], &done["user"]["id"]), (&json!([]), &ids.0, &ids.1));
        let told = done["changes"]["events"].as_array().unwrap().last().unwrap().clone();
        assert_eq!(told, json!({ "kind": "MERGED", "subject": ids.0, "changes": { "into": false } }));
        let merged = export(&admin, into).await;
        check(&absorbed, &survivor, &merged);
        assert_eq!(rows(&merged, "user")[0]["handle"], rows(&survivor, "user")[0]["handle"]);
        let numbers: Vec<i64> =
            rows(&merged, "history").iter().map(|event| event["number"].as_i64().unwrap()).collect();
        assert_eq!(numbers, (1..=numbers.len().try_into().unwrap()).collect::<Vec<i64>>());
        let key =
            number(&stage, &format!("SELECT id FROM users WHERE ulid = '{}'", &ids.0.as_str().unwrap()[5..])).await;
        let last = format!(
            "SELECT count(*) FROM history_events e JOIN user_counters c ON c.user_id = e.user_id \
            WHERE c.user_id = {key} AND e.seq = c.history_seq AND e.kind = 'MERGED'"
        );
        assert_eq!(number(&stage, &last).await, 1, "MERGED closes the history of {from}");
        for table in [
            "accounts",
            "credit_lots",
            "credit_entries",
            "goal_claims",
            "goal_progress",
            "season_enrolments",
            "user_blocks",
            "resource_progress",
            "study_plan_instances",
            "study_plan_instance_resources",
            "achievement_unlocks",
            "game_summaries",
            "award_grounds",
            "owned_cards",
            "collection_progress",
            "write_refs",
        ] {
            assert_eq!(
                number(&stage, &format!("SELECT count(*) FROM {table} WHERE user_id = {key}")).await,
                0,
                "{table}"
            );
        }
    }
}

async fn what_two_had_of_one_game_earns_them_its_awards(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let query = "{ game(id: \"1\") { achievements(first: 100) { nodes { key } } } }";
    let all = admin.data(query, Value::Null).await["game"]["achievements"]["nodes"].as_array().unwrap().clone();
    let unlock =
        "mutation($input: UnlockAchievementsInput!) { unlockAchievements(input: $input) { userErrors { code } } }";
    for (handle, parity) in [("xelnia", 0), ("newton", 1)] {
        let half = all.iter().enumerate().filter(|(place, _)| place % 2 == parity);
        let half: Vec<Value> = half.map(|(_, one)| json!({ "achievementId": one["key"], "hardcore": true })).collect();
        admin.data(unlock, json!({ "input": { "user": { "handle": handle }, "unlocks": half } })).await;
    }
    let done = merge(&admin, "newton", "xelnia").await;
    let earned = done["changes"]["events"].as_array().unwrap().iter().filter(|event| event["kind"] == "AWARD_EARNED");
    let earned: Vec<&Value> = earned.map(|event| &event["changes"]["award"]).collect();
    assert_eq!(earned.last(), Some(&&json!("MASTERED")));
    let summary = "{ user(by: {handle: \"xelnia\"}) { gameSummaries(gameIds: [\"1\"]) { numAchieved numAwardedHighest: awards { award } } } }";
    let summary = admin.data(summary, Value::Null).await["user"]["gameSummaries"][0].clone();
    assert_eq!(summary["numAchieved"], all.len());
    assert_eq!(summary["numAwardedHighest"][0]["award"], "MASTERED");
}

async fn of_two_claims_of_one_goal_the_earlier_stays(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let grace = export(&admin, "grace").await;
    let claim = rows(&grace, "goalClaims").iter().max_by_key(|claim| claim["claimedAt"].as_str()).unwrap().clone();
    let reward = claim["rewardMicros"].as_i64().unwrap();
    // Newton has claimed the same, an hour after grace, and spent a part of it.
    let newton = number(&stage, "SELECT id FROM users WHERE handle = 'newton'").await;
    let goal = number(&stage, &format!("SELECT id FROM goals WHERE key = '{}'", claim["goal"].as_str().unwrap())).await;
    let at = number(
        &stage,
        &format!("SELECT claimed_at FROM goal_claims WHERE goal_id = {goal} ORDER BY claimed_at DESC LIMIT 1"),
    )
    .await
        + 3_600_000;
    for sql in [
        format!("UPDATE user_counters SET ledger_seq = 3 WHERE user_id = {newton}"),
        format!(
            "INSERT INTO credit_lots (user_id, seq, amount_micros, remaining_micros, granted_at, source, goal_id) VALUES ({newton}, 1, {reward}, {}, {at}, 'GOAL', {goal})",
            reward - 1
        ),
        format!(
            "INSERT INTO credit_entries (user_id, seq, lot_seq, kind, amount_micros, operation, recorded_at) VALUES ({newton}, 2, 1, 'GRANT', {reward}, 'a', {at}), ({newton}, 3, 1, 'SPEND', 1, 'b', {at})"
        ),
        format!(
            "INSERT INTO goal_claims (user_id, goal_id, lot_seq, reward_micros, claimed_at) VALUES ({newton}, {goal}, 1, {reward}, {at})"
        ),
    ] {
        execute(&stage, &sql).await;
    }
    let newton = export(&admin, "newton").await;
    let budgets = "SELECT CAST(sum(spent_micros) AS bigint) FROM season_budgets";
    let spent = number(&stage, budgets).await;
    let done = merge(&admin, "newton", "grace").await;
    let kinds: Vec<&str> =
        done["changes"]["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["CREDITS_REVOKED", "MERGED"]);
    let merged = export(&admin, "grace").await;
    check(&newton, &grace, &merged);
    assert_eq!(rows(&merged, "goalClaims"), rows(&grace, "goalClaims"));
    let revoked: Vec<&Value> =
        rows(&merged, "creditEntries").iter().filter(|entry| entry["kind"] == "REVOKE").collect();
    assert_eq!(revoked.last().unwrap()["amountMicros"], reward - 1);
    assert_eq!(sum(&merged, "creditLots", "remainingMicros"), sum(&grace, "creditLots", "remainingMicros"));
    assert!(number(&stage, budgets).await <= spent);
}

async fn of_two_claims_of_a_goal_without_reward_no_lot_is_revoked(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let goal = json!({ "key": "rising-tide", "goals": [{ "key": "walk", "title": "Walk", "totalSteps": 1 }] });
    let upsert = "mutation($input: UpsertSeasonInput!) { upsertSeason(input: $input) { userErrors { code } } }";
    admin.data(upsert, json!({ "input": goal })).await;
    for (handle, at) in [("grace", 1), ("newton", 2)] {
        let claim = format!(
            "INSERT INTO goal_claims (user_id, goal_id, lot_seq, reward_micros, claimed_at) \
             SELECT u.id, g.id, 0, 0, {at} FROM users u, goals g WHERE u.handle = '{handle}' AND g.key = 'walk'"
        );
        execute(&stage, &claim).await;
    }
    // The last number in the survivor's ledger is a lot.
    let grant = "mutation($input: GrantCreditsInput!) { grantCredits(input: $input) { userErrors { code } } }";
    let input = json!({ "user": { "handle": "grace" }, "amount": { "credits": "100" } });
    admin.data(grant, json!({ "input": input })).await;
    let grace = export(&admin, "grace").await;
    let done = merge(&admin, "newton", "grace").await;
    let kinds: Vec<&Value> = done["changes"]["events"].as_array().unwrap().iter().map(|event| &event["kind"]).collect();
    assert_eq!(kinds, ["MERGED"]);
    let merged = export(&admin, "grace").await;
    assert_eq!(sum(&merged, "creditLots", "remainingMicros"), sum(&grace, "creditLots", "remainingMicros"));
    let lots = "SELECT count(*) FROM goal_claims WHERE reward_micros = 0 AND lot_seq > 0";
    assert_eq!(number(&stage, lots).await, 0);
}

async fn a_collection_completed_by_the_cards_of_both_is_told_of(stage: Stage) {
    let app = stage.app(&[Scope::Admin, Scope::ProgressWrite]).await;
    let cards = "{ collection(id: \"founders\") { cards { key } } }";
    let cards = app.data(cards, Value::Null).await["collection"]["cards"].as_array().unwrap().clone();
    let grant = "mutation($input: GrantCardsInput!) { grantCards(input: $input) { userErrors { code } } }";
    for (handle, parity) in [("xelnia", 0), ("newton", 1)] {
        let half = cards.iter().enumerate().filter(|(place, _)| place % 2 == parity);
        let half: Vec<Value> = half.map(|(_, one)| json!({ "cardId": one["key"] })).collect();
        app.data(grant, json!({ "input": { "user": { "handle": handle }, "cards": half } })).await;
    }
    let done = merge(&app, "newton", "xelnia").await;
    let told = done["changes"]["events"].as_array().unwrap().iter();
    let told: Vec<&Value> = told.filter(|event| event["kind"] == "COLLECTION_COMPLETED").collect();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["subject"], "collection:founders");
}

async fn the_absorbed_user_is_gone_and_the_others_are_untouched(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let id = id_of(&admin, "grace").await;
    let others = [export(&admin, "ada").await, export(&admin, "cleo").await];
    let total = "SELECT CAST(sum(remaining_micros) AS bigint) FROM credit_lots";
    let before = number(&stage, total).await;
    merge(&admin, "grace", "xelnia").await;
    assert_eq!(number(&stage, total).await, before);
    assert_eq!([export(&admin, "ada").await, export(&admin, "cleo").await], others);
    for by in [json!({ "id": id }), json!({ "handle": "grace" })] {
        let found = admin.data("query($by: UserBy!) { user(by: $by) { id } }", json!({ "by": by })).await;
        assert_eq!(found["user"], Value::Null, "{by}");
    }
    let node = admin.data("query($id: ID!) { node(id: $id) { id } }", json!({ "id": id })).await;
    assert_eq!(node["node"], Value::Null);
    let by = json!({ "address": "0x7949f9f239d1a0816ce5eb364a1f588ae9cc1bf5" });
    let found = admin.data("query($by: UserBy!) { user(by: $by) { handle } }", json!({ "by": by })).await;
    assert_eq!(found["user"]["handle"], "xelnia");
}

async fn a_token_of_the_absorbed_user_is_the_survivors(stage: Stage) {
    let (admin, grace) = (stage.app(&[Scope::Admin]).await, stage.user("grace"));
    let viewer = "{ viewer { user { handle history(first: 1) { nodes { kind } } } } }";
    assert_eq!(grace.data(viewer, Value::Null).await["viewer"]["user"]["handle"], "grace");
    merge(&admin, "grace", "ada").await;
    let user = grace.data(viewer, Value::Null).await["viewer"]["user"].clone();
    assert_eq!((&user["handle"], &user["history"]["nodes"][0]["kind"]), (&json!("ada"), &json!("MERGED")));
    let write = "mutation { updateProfile(input: {handle: \"grace\"}) { user { handle } } }";
    assert_eq!(grace.data(write, Value::Null).await["updateProfile"]["user"]["handle"], "grace", "the handle is free");
}

async fn merging_again_is_refused_or_answered_the_same(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let input =
        json!({ "input": { "from": { "handle": "grace" }, "into": { "handle": "ada" }, "idempotencyKey": "k1" } });
    let first = admin.data(MERGE, input.clone()).await;
    assert_eq!(admin.data(MERGE, input).await, first);
    let again = merge(&admin, "grace", "nobody").await;
    assert_eq!(
        again["userErrors"],
        json!([{ "code": "UNKNOWN_USER", "path": ["from"] }, { "code": "UNKNOWN_USER", "path": ["into"] }])
    );
    assert_eq!((&again["user"], &again["absorbedId"], &again["changes"]), (&Value::Null, &Value::Null, &Value::Null));
    let same = merge(&admin, "ada", "ADA").await;
    assert_eq!(same["userErrors"], json!([{ "code": "INVALID_INPUT", "path": ["into"] }]));
}

async fn who_may_merge(stage: Stage) {
    let input = json!({ "input": { "from": { "handle": "grace" }, "into": { "handle": "ada" } } });
    for actor in [stage.anonymous(), stage.user("ada"), stage.app(&[Scope::ProgressWrite]).await] {
        assert_eq!(actor.query(MERGE, input.clone()).await.codes(), ["FORBIDDEN"]);
    }
}

async fn merging_while_others_write_leaves_nothing_half_done(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let query = "{ game(id: \"1\") { achievements(first: 32) { nodes { key } } } }";
    let all = admin.data(query, Value::Null).await["game"]["achievements"]["nodes"].as_array().unwrap().clone();
    assert!(all.len() >= 16);
    let unlock =
        "mutation($input: UnlockAchievementsInput!) { unlockAchievements(input: $input) { userErrors { code path } } }";
    let writes = (0..32).map(|place| {
        let handle = if place % 2 == 0 { "grace" } else { "xelnia" };
        let unlocks = json!([{ "achievementId": all[place / 2]["key"], "hardcore": true }]);
        admin.query(unlock, json!({ "input": { "user": { "handle": handle }, "unlocks": unlocks } }))
    });
    let merging = merge(&admin, "grace", "xelnia");
    let (answers, done) = futures_util::future::join(futures_util::future::join_all(writes), merging).await;
    assert_eq!(done["userErrors"], json!([]));
    // Who came too late for grace was told so; nothing else went wrong.
    for (place, answer) in answers.iter().enumerate() {
        let errors = &answer.data()["unlockAchievements"]["userErrors"];
        let late = json!([{ "code": "UNKNOWN_USER", "path": ["user"] }]);
        assert!(*errors == json!([]) || (place % 2 == 0 && *errors == late), "{place} {}", answer.text);
    }
    let merged = export(&admin, "xelnia").await;
    let unlocked = by(&merged, "achievements", "achievement");
    for (place, answer) in answers.iter().enumerate() {
        if answer.codes().is_empty() {
            let key = all[place / 2]["key"].as_str().unwrap();
            assert!(unlocked[key]["unlockedHardcoreAt"].is_string(), "{key} was answered as done");
        }
    }
    let none = json!({ "accounts": [], "enrolments": [], "goals": [], "resources": [], "achievements": [], "cards": [],
        "collections": [], "goalClaims": [], "creditLots": [], "blocks": [], "studyPlanInstances": [],
        "studyPlanInstanceResources": [] });
    // What the survivor has agrees with itself.
    check(&none, &merged, &merged);
}

/// The days of a merge of [`collections_are_as_the_dates_of_the_cards_of_both_say`], of June 2026, and when the collections run.
const DAYS: [u32; 4] = [10, 12, 14, 16];
const WINDOWS: [(Option<u32>, Option<u32>); 6] = [
    (None, None),
    (Some(11), Some(13)),
    (None, Some(11)),
    (Some(13), None),
    (Some(11), Some(15)),
    (Some(15), Some(20)),
];

fn noon(day: u32) -> String {
    format!("2026-06-{day:02}T12:00:00.000Z")
}

/// What comes of a mutation, nothing of which is refused.
async fn done(app: &Actor, mutation: &str, input: Value) {
    let name = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
    let document = format!("mutation($input: {name}!) {{ {mutation}(input: $input) {{ userErrors {{ code }} }} }}");
    let payload = app.data(&document, json!({ "input": input })).await[mutation].clone();
    assert_eq!(payload["userErrors"], json!([]), "{mutation} {input}: {payload}");
}

/// Two users get three cards of a collection on some days or never, lose some and get them back, and one is merged into the
/// other when the collection is still to come, runs or is over.
async fn collections_are_as_the_dates_of_the_cards_of_both_say(stage: Stage) {
    let mut state = 20_261_130_u64;
    let mut below = |count: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % count
    };
    let at = async |day: u32| {
        let stage = stage.with(&[("WAYMARK_CLOCK", &noon(day))]).await;
        let app = stage.app(&[Scope::Admin, Scope::ProgressWrite]).await;
        (stage, app)
    };
    let (_stage, first) = at(9).await;
    let cases: Vec<usize> = (0..24).collect();
    for case in &cases {
        let (starts, ends) = WINDOWS[case % WINDOWS.len()];
        let cards = (0..3).map(|card| json!({ "key": format!("c{case}-{card}"), "name": "Card" }));
        let input = json!({
            "key": format!("c{case}"), "name": "Cards", "startDate": starts.map(noon), "endDate": ends.map(noon),
            "cards": cards.collect::<Vec<_>>(),
        });
        done(&first, "upsertCollection", input).await;
        for handle in ["from", "into"] {
            done(&first, "upsertUser", json!({ "handle": format!("{handle}{case}") })).await;
        }
    }
    // By case, card and user: when the user got it first, and whether the user has it.
    let mut owned: BTreeMap<(usize, u64, usize), (u32, bool)> = BTreeMap::new();
    for day in &DAYS[..3] {
        let (_stage, app) = at(*day).await;
        for case in &cases {
            for card in 0..3 {
                for (place, handle) in ["from", "into"].iter().enumerate() {
                    let user = json!({ "handle": format!("{handle}{case}") });
                    let cards = json!([{ "cardId": format!("c{case}-{card}"), "quantity": 1 }]);
                    let before = owned.get(&(*case, card, place)).copied();
                    let has = before.is_some_and(|(_, has)| has);
                    if below(4) == 0 || (has && below(3) > 0) {
                        continue;
                    }
                    let mutation = if has { "removeCards" } else { "grantCards" };
                    done(&app, mutation, json!({ "user": user, "cards": cards })).await;
                    owned.insert((*case, card, place), (before.map_or(*day, |(first, _)| first), !has));
                }
            }
        }
        is_sound(&app).await;
    }
    let (_stage, app) = at(DAYS[3]).await;
    for case in &cases {
        let status = async |handle: &str| {
            let query = format!(
                "{{ user(by: {{handle: \"{handle}{case}\"}}) {{ collection(id: \"c{case}\") {{ status completedAt }} }} }}"
            );
            app.data(&query, Value::Null).await["user"]["collection"].clone()
        };
        let before = [status("from").await, status("into").await];
        let completed = before.iter().filter(|one| one["status"] == "COMPLETED");
        let completed = completed.map(|one| one["completedAt"].as_str().unwrap().to_owned()).min();
        merge(&app, &format!("from{case}"), &format!("into{case}")).await;
        let (starts, ends) = WINDOWS[case % WINDOWS.len()];
        let dates = (0..3).map(|card| {
            let both = [0, 1].map(|user| owned.get(&(*case, card, user)).copied());
            let first = both.iter().flatten().map(|(first, _)| *first).min();
            first.filter(|_| both.iter().flatten().any(|(_, has)| *has))
        });
        let last = dates.collect::<Option<Vec<u32>>>().map(|dates| dates.into_iter().max().unwrap());
        let by_dates = last.map(|last| last.max(starts.unwrap_or(0)));
        let by_dates = by_dates.filter(|at| *at <= DAYS[3] && ends.is_none_or(|ends| *at < ends)).map(noon);
        let merged = status("into").await;
        let expected = completed.or(by_dates);
        assert_eq!(merged["status"] == "COMPLETED", expected.is_some(), "{case}: {before:?} {merged}");
        assert_eq!(merged["completedAt"].as_str().map(str::to_owned), expected, "{case}: {before:?} {merged}");
    }
    is_sound(&app).await;
}

async fn is_sound(admin: &Actor) {
    let verify = "mutation { verify(input: {}) { differences { check what stored expected } } }";
    assert_eq!(admin.data(verify, Value::Null).await["verify"]["differences"], json!([]));
}
