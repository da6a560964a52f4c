//! Writing the catalogue.

pub(crate) mod collections;
pub(crate) mod games;
pub(crate) mod learning;
pub(crate) mod retire;
pub(crate) mod seasons;

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::harness::{Actor, Stage, tests};

tests! {
    own: [
        only_operators_write_the_catalogue,
        the_audit_log_says_what_was_changed_and_by_whom,
        what_changes_nothing_leaves_no_trace,
        what_changes_the_catalogue_raises_its_version,
        the_same_idempotency_key_is_carried_out_once,
        another_app_on_the_same_database_sees_it_soon,
        an_unlock_that_races_with_a_catalogue_write_is_counted_once,
    ],
    empty: [
        malformed_input_is_told_with_its_place,
        many_operators_at_once_all_come_through,
    ],
}

/// The mutations of the catalogue: their names, what is asked of the answer, and an input that is accepted.
fn mutations() -> [(&'static str, &'static str, Value); 8] {
    let season = json!({ "key": "late", "title": "Late", "startDate": "2030-01-01T00:00:00Z", "duration": 86400 });
    [
        ("upsertSeason", "season { key title }", season),
        ("pauseSeason", "season { key state }", json!({ "id": "rising-tide" })),
        ("resumeSeason", "season { key state }", json!({ "id": "rising-tide" })),
        ("endSeason", "season { key state }", json!({ "id": "rising-tide" })),
        ("upsertGame", "game { key title }", json!({ "key": "new", "title": "New" })),
        ("upsertResource", "resource { key title }", json!({ "key": "new", "title": "New" })),
        ("upsertStudyPlan", "studyPlan { key title }", json!({ "key": "new", "title": "New" })),
        ("upsertCollection", "collection { key name }", json!({ "key": "new", "name": "New" })),
    ]
}

/// The document of a mutation, which asks for this besides what all have in common.
pub(super) fn document(mutation: &str, asked: &str) -> String {
    let input = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
    format!(
        "mutation($input: {input}!) {{ {mutation}(input: $input) {{ {asked} created userErrors {{ code path message }} }} }}"
    )
}

/// What comes of a mutation that must not fail.
pub(super) async fn perform(app: &Actor, mutation: &str, asked: &str, input: &Value) -> Value {
    app.data(&document(mutation, asked), json!({ "input": input })).await[mutation].clone()
}

/// The codes of what was refused, each with its place.
pub(super) fn refusals(payload: &Value) -> Vec<String> {
    let errors = payload["userErrors"].as_array().unwrap().iter();
    errors
        .map(|error| {
            let path: Vec<&str> = error["path"].as_array().unwrap().iter().map(|step| step.as_str().unwrap()).collect();
            format!("{} {}", error["code"].as_str().unwrap(), path.join(".")).trim().to_owned()
        })
        .collect()
}

/// The one number that a statement gives.
pub(super) async fn number(stage: &Stage, sql: &str) -> i64 {
    let db = stage.db().writes();
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

pub(super) async fn execute(stage: &Stage, sql: &str) {
    stage.db().writes().execute_unprepared(sql).await.unwrap();
}

/// The actions of the audit log, each with its subject and what was changed.
pub(super) async fn audit_log(stage: &Stage) -> Vec<(String, String, Value)> {
    let db = stage.db().writes();
    let sql = "SELECT action, subject_type, subject_key, changes FROM audit_log ORDER BY id";
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
    rows.iter()
        .map(|row| {
            let text = |column| row.try_get_by_index::<String>(column).unwrap();
            (text(0), format!("{}:{}", text(1), text(2)), serde_json::from_str(&text(3)).unwrap())
        })
        .collect()
}

/// The newest events of a user, each with its kind, subject and changes.
pub(super) async fn newest_events(app: &Actor, handle: &str, count: usize) -> Vec<(String, String, Value)> {
    let query = "query($handle: String!, $first: Int!) { user(by: {handle: $handle}) {
        history(first: $first) { nodes { kind subject changes } } } }";
    let data = app.data(query, json!({ "handle": handle, "first": count })).await;
    let nodes = data["user"]["history"]["nodes"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    nodes.iter().map(|node| (text(&node["kind"]), text(&node["subject"]), node["changes"].clone())).collect()
}

async fn only_operators_write_the_catalogue(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let others = [
        stage.anonymous(),
        stage.user("grace"),
        stage.app(&[Scope::ProgressRead]).await,
        stage.app(&[Scope::ProgressWrite]).await,
    ];
    for (mutation, asked, input) in mutations() {
        for other in &others {
            let answer = other.query(&document(mutation, asked), json!({ "input": input })).await;
            assert_eq!(
                (answer.codes(), &answer.json["data"][mutation]),
                (vec!["FORBIDDEN"], &Value::Null),
                "{mutation}"
            );
        }
        let payload = perform(&admin, mutation, asked, &input).await;
        assert_eq!(payload["userErrors"], json!([]), "{mutation}");
        let thing = asked.split(' ').next().unwrap();
        assert!(payload[thing]["key"].is_string(), "{mutation}: {payload}");
        assert_eq!(payload["created"], mutation.starts_with("upsert"), "{mutation}");
    }
}

async fn the_audit_log_says_what_was_changed_and_by_whom(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    for (mutation, asked, input) in mutations() {
        perform(&admin, mutation, asked, &input).await;
    }
    let log = audit_log(&stage).await;
    let actions: Vec<(&str, &str)> = log.iter().map(|(action, subject, _)| (&**action, &**subject)).collect();
    let expected = [
        ("UPSERT_SEASON", "season:late"),
        ("PAUSE_SEASON", "season:rising-tide"),
        ("RESUME_SEASON", "season:rising-tide"),
        ("END_SEASON", "season:rising-tide"),
        ("UPSERT_GAME", "game:new"),
        ("UPSERT_RESOURCE", "resource:new"),
        ("UPSERT_STUDY_PLAN", "study_plan:new"),
        ("UPSERT_COLLECTION", "collection:new"),
    ];
    assert_eq!(actions, expected);
    assert_eq!(log[4].2, json!({ "created": true, "title": "New" }));
    let image =
        json!({ "key": "new", "image": "https://example.com/a.png", "achievements": [{ "key": "a", "title": "A" }] });
    perform(&admin, "upsertGame", "game { key }", &image).await;
    perform(&admin, "upsertGame", "game { key }", &json!({ "key": "new", "image": null })).await;
    let log = audit_log(&stage).await;
    assert_eq!(log[8].2, json!({ "image": "https://example.com/a.png", "achievements": { "added": ["a"] } }));
    assert_eq!(log[9].2, json!({ "image": null }));
    assert_eq!(number(&stage, "SELECT count(*) FROM audit_log WHERE actor <> 'app:test app'").await, 0);
}

async fn what_changes_nothing_leaves_no_trace(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let upserts = || mutations().into_iter().filter(|(mutation, ..)| mutation.starts_with("upsert"));
    for (mutation, asked, input) in upserts() {
        perform(&admin, mutation, asked, &input).await;
    }
    let version = "SELECT version FROM catalogue_version";
    let before = (audit_log(&stage).await.len(), number(&stage, version).await);
    for (mutation, asked, input) in upserts() {
        let payload = perform(&admin, mutation, asked, &input).await;
        assert_eq!((&payload["created"], &payload["userErrors"]), (&json!(false), &json!([])), "{mutation}");
    }
    assert_eq!((audit_log(&stage).await.len(), number(&stage, version).await), before);
}

async fn the_same_idempotency_key_is_carried_out_once(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    for (mutation, asked, mut input) in mutations() {
        input["idempotencyKey"] = json!("k");
        let first = perform(&admin, mutation, asked, &input).await;
        let again = perform(&admin, mutation, asked, &input).await;
        assert_eq!((&again["created"], &again["userErrors"]), (&first["created"], &first["userErrors"]), "{mutation}");
        // Null and nothing at all are different inputs.
        if mutation == "upsertGame" {
            input["image"] = Value::Null;
            let answer = admin.query(&document(mutation, asked), json!({ "input": input })).await;
            assert_eq!(answer.codes(), ["IDEMPOTENCY_KEY_REUSED"]);
        }
    }
    assert_eq!(audit_log(&stage).await.len(), 8);
}

async fn another_app_on_the_same_database_sees_it_soon(stage: Stage) {
    let other = stage.with(&[]).await;
    let admin = stage.app(&[Scope::Admin]).await;
    let title = async |stage: &Stage| {
        stage.anonymous().data("{ game(id: \"1\") { title } }", Value::Null).await["game"]["title"].clone()
    };
    perform(&admin, "upsertGame", "game { key }", &json!({ "key": "1", "title": "Renamed" })).await;
    let begun = Instant::now();
    assert_eq!(title(&stage).await, "Renamed", "this one sees it at once");
    while title(&other).await != "Renamed" {
        assert!(begun.elapsed() < Duration::from_secs(60), "not visible after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Sends a mutation again for as long as it lost against others.
async fn patiently(app: &Actor, document: &str, input: Value) -> Value {
    for _ in 0..50 {
        let answer = app.query(document, json!({ "input": input })).await;
        if answer.codes() != ["UNAVAILABLE"] {
            return answer.data();
        }
    }
    panic!("a write is never carried out");
}

async fn an_unlock_that_races_with_a_catalogue_write_is_counted_once(stage: Stage) {
    let (admin, app) = (stage.app(&[Scope::Admin]).await, stage.app(&[Scope::ProgressWrite]).await);
    let unlock = "mutation($input: UnlockAchievementsInput!) { unlockAchievements(input: $input) { results { status error { code } } } }";
    let publish = document("upsertGame", "game { key }");
    let users = ["grace", "ada", "MaxMilyin", "xelnia", "snowfall", "mallory", "cleo", "newton"];
    let keys: Vec<String> = (1..=6).map(|place| format!("14402-{place:02}")).collect();
    let unlocks = (0..96_usize).map(|turn| {
        let item = json!({ "achievementId": keys[turn / 8 % 6], "hardcore": turn % 3 == 0 });
        patiently(&app, unlock, json!({ "user": { "handle": users[turn % 8] }, "unlocks": [item] }))
    });
    let publications = (0..24_usize).map(|turn| {
        let one = json!({ "key": keys[turn % 6], "published": turn % 4 < 2, "points": turn });
        patiently(&admin, &publish, json!({ "key": "14402", "achievements": [one] }))
    });
    let (done, _) = tokio::join!(futures_util::future::join_all(unlocks), futures_util::future::join_all(publications));
    for answer in done {
        let result = &answer["unlockAchievements"]["results"][0];
        // Whoever came while it was not published was told so.
        assert!(result["error"].is_null() || result["error"]["code"] == "UNKNOWN_ACHIEVEMENT", "{result}");
    }
    games::assert_summaries(&stage).await;
}

async fn what_changes_the_catalogue_raises_its_version(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let version = async || number(&stage, "SELECT version FROM catalogue_version").await;
    for (mutation, asked, input) in mutations() {
        let before = version().await;
        assert_eq!(refusals(&perform(&admin, mutation, asked, &input).await), [""; 0], "{mutation}");
        assert_eq!(version().await, before + 1, "{mutation}");
        // Again it changes nothing, or is refused.
        perform(&admin, mutation, asked, &input).await;
        assert_eq!(version().await, before + 1, "{mutation}");
    }
    let before = version().await;
    let delete =
        "mutation($input: DeleteCatalogueItemInput!) { deleteCatalogueItem(input: $input) { userErrors { code } } }";
    for (dry_run, raised) in [(true, 0), (false, 1), (false, 1)] {
        admin.data(delete, json!({ "input": { "id": "game:new", "dryRun": dry_run } })).await;
        assert_eq!(version().await, before + raised, "{dry_run}");
    }
    let game = r#"{"type":"game","key":"told","title":"Told"}"#;
    for _ in 0..2 {
        crate::transfer::import(stage.db(), game).await;
        assert_eq!(version().await, before + 2);
    }
    // What users change of it is no news: rewards that are left, and resources that nobody described.
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let cards: Vec<Value> = (1..=6).map(|place| json!({ "cardId": format!("founders-{place:02}") })).collect();
    let grant = "mutation($input: GrantCardsInput!) { grantCards(input: $input) { results { status } } }";
    let user = json!({ "handle": "newton" });
    app.data(grant, json!({ "input": { "user": user, "cards": cards } })).await;
    let claim = "mutation($input: ClaimCollectionRewardInput!) { claimCollectionReward(input: $input) { status } }";
    let claimed = app.data(claim, json!({ "input": { "user": user, "collectionId": "collection:founders" } })).await;
    assert_eq!(claimed["claimCollectionReward"]["status"], "CLAIMED");
    let update = "mutation($input: UpdateResourceProgressInput!) { updateResourceProgress(input: $input) { userErrors { code } } }";
    let elsewhere = json!({ "resourceId": "eeee00000000000000000001", "completed": true });
    let done = stage.user("newton").data(update, json!({ "input": elsewhere })).await;
    assert_eq!(done["updateResourceProgress"]["userErrors"], json!([]));
    assert_eq!(version().await, before + 2);
}

async fn malformed_input_is_told_with_its_place(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    for (mutation, asked, ..) in mutations() {
        let name = if ["pauseSeason", "resumeSeason", "endSeason"].contains(&mutation) { "id" } else { "key" };
        for key in ["", " ", "..", "a\u{7}", &"x".repeat(256)] {
            let answer = admin.query(&document(mutation, asked), json!({ "input": { name: key } })).await;
            assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{mutation} {key:?}");
        }
    }
    let long = "x".repeat(501);
    let achievements = json!([
        { "key": "a", "title": "A", "points": -1 },
        { "key": "a", "title": "B", "points": 1_000_001, "badge": "not an address" },
        { "key": "b" },
    ]);
    let game =
        json!({ "key": "g", "title": long, "number": 0, "description": "bell\u{7}", "achievements": achievements });
    let payload = perform(&admin, "upsertGame", "game { key }", &game).await;
    let mut places = refusals(&payload);
    places.sort();
    let expected = [
        "INVALID_INPUT achievements.0.points",
        "INVALID_INPUT achievements.1",
        "INVALID_INPUT achievements.1.badge",
        "INVALID_INPUT achievements.1.points",
        "INVALID_INPUT achievements.2.title",
        "INVALID_INPUT description",
        "INVALID_INPUT number",
        "INVALID_INPUT title",
    ];
    assert_eq!((places.as_slice(), &payload["game"]), (expected.map(str::to_owned).as_slice(), &Value::Null));
    assert_eq!((audit_log(&stage).await.len(), number(&stage, "SELECT count(*) FROM games").await), (0, 0));

    let many: Vec<Value> = (0..5001).map(|place| json!({ "key": format!("a{place}") })).collect();
    let input = json!({ "input": { "key": "g", "title": "G", "achievements": many } });
    let answer = admin.query(&document("upsertGame", "game { key }"), input).await;
    assert_eq!(answer.codes(), ["LIMIT_EXCEEDED"]);
}

async fn many_operators_at_once_all_come_through(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let writes = (0..24).map(|turn| {
        let one = json!({ "key": format!("a{turn}"), "title": "One", "points": 1 });
        let input = json!({ "key": "shared", "title": "Shared", "achievements": [one] });
        let admin = admin.clone();
        async move { perform(&admin, "upsertGame", "game { numPossible }", &input).await }
    });
    let payloads = futures_util::future::join_all(writes).await;
    assert_eq!(payloads.iter().filter(|payload| payload["created"] == true).count(), 1);
    let query = "{ game(id: \"shared\") { numPossible possibleScore } }";
    let data = stage.anonymous().data(query, Value::Null).await;
    assert_eq!(data["game"], json!({ "numPossible": 24, "possibleScore": 24 }));
    assert_eq!(number(&stage, "SELECT count(DISTINCT position) FROM achievements").await, 24);
}
