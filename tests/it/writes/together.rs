//! Writes of many users that arrive at the same time and are carried out as one.

use std::sync::atomic::{AtomicU64, Ordering};

use axum::body::Body;
use axum::http::Request;
use futures_util::future::join_all;
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::{Value, json};
use waymark::auth::Scope;
use waymark::db::Kind;

use crate::harness::{Actor, Answer, Stage, tests};

tests! {
    own: [
        writes_that_arrive_together_share_their_statements,
        writes_with_keys_share_their_statements_too,
        of_two_users_with_one_key_at_once_one_gets_it,
        each_write_keeps_its_own_actor_key_and_answer,
        a_write_that_fails_takes_no_other_along,
        a_user_who_is_written_for_twice_at_once_gets_both,
        writes_go_on_while_the_catalogue_changes,
        writes_of_different_kinds_at_once_are_all_done,
    ],
}

const UNLOCK: &str = "mutation($input: UnlockAchievementsInput!) { unlockAchievements(input: $input) {
    results { status error { code } } gameSummaries { numAchieved }
    changes { userId events { number kind actor subject } } } }";

/// The ids of `count` new users, with their numbers in the database.
async fn somebodies(stage: &Stage, count: usize) -> Vec<(i64, String)> {
    let admin = stage.app(&[Scope::Admin]).await;
    let make =
        "mutation($input: UpsertUserInput!) { upsertUser(input: $input) { user { id } userErrors { message } } }";
    let mut users = Vec::with_capacity(count);
    for number in 0..count {
        let data = admin.data(make, json!({ "input": { "handle": format!("together{number}") } })).await;
        users.push(data["upsertUser"]["user"]["id"].as_str().unwrap_or_else(|| panic!("{data}")).to_owned());
    }
    let connection = stage.db().reads();
    let sql = "SELECT id FROM users WHERE handle LIKE 'together%' ORDER BY id";
    let rows = connection.query_all_raw(Statement::from_string(connection.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).zip(users).collect()
}

/// The keys of two published achievements of game 1.
async fn achievements(stage: &Stage) -> [String; 2] {
    let query = "{ game(id: \"1\") { achievements(first: 2) { nodes { key } } } }";
    let data = stage.anonymous().data(query, Value::Null).await;
    [0, 1].map(|place| data["game"]["achievements"]["nodes"][place]["key"].as_str().unwrap().to_owned())
}

async fn unlock(app: &Actor, user: &str, achievement: &str, key: Option<&str>) -> Answer {
    let input = json!({ "user": { "id": user }, "unlocks": [{ "achievementId": achievement }], "idempotencyKey": key });
    app.query(UNLOCK, json!({ "input": input })).await
}

fn payload(answer: &Answer) -> Value {
    answer.data()["unlockAchievements"].clone()
}

async fn verify(stage: &Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let found = admin.data("mutation { verify(input: {}) { differences { check what } } }", Value::Null).await;
    assert_eq!(found["verify"]["differences"], json!([]));
}

/// How many commits of joined writes there were.
async fn commits(stage: &Stage) -> u64 {
    let text = stage.anonymous().send(Request::get("/metrics").body(Body::empty()).unwrap()).await.text;
    let count = text.lines().find_map(|line| line.strip_prefix("waymark_group_commit_writes_count "));
    count.map_or(0, |count| count.parse().unwrap())
}

/// How often statements wrote into a table, on SQLite and on PostgreSQL. How many writes come together depends on what
/// else the machine does, and so does how many statements look for who asks; how often a commit writes does not.
type Written = [AtomicU64; 2];

/// Lets the listener of this engine know of every statement.
fn count(stage: &Stage, listeners: [fn(&str); 2]) {
    stage.db().on_statement(listeners[usize::from(stage.db().kind() == Kind::Postgres)]);
}

fn note(count: &AtomicU64, text: &str, wanted: &str) {
    count.fetch_add(text.contains(wanted).into(), Ordering::Relaxed);
}

fn written(stage: &Stage, written: &Written) -> u64 {
    written[usize::from(stage.db().kind() == Kind::Postgres)].load(Ordering::Relaxed)
}

async fn writes_that_arrive_together_share_their_statements(stage: Stage) {
    static UNLOCKS: Written = [AtomicU64::new(0), AtomicU64::new(0)];
    const TABLE: &str = "INSERT INTO achievement_unlocks";
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let ([one, two], users) = (achievements(&stage).await, somebodies(&stage, 64).await);
    payload(&unlock(&app, &users[0].1, &two, None).await);
    count(&stage, [|text| note(&UNLOCKS[0], text, TABLE), |text| note(&UNLOCKS[1], text, TABLE)]);
    let before = commits(&stage).await;
    let answers = join_all(users.iter().map(|(_, user)| unlock(&app, user, &one, None))).await;
    let commits = commits(&stage).await - before;
    let written = written(&stage, &UNLOCKS);
    assert!(0 < written && written <= commits && commits < 64, "{written} statements in {commits} commits");
    for (answer, (_, user)) in answers.iter().zip(&users) {
        let payload = payload(answer);
        assert_eq!(payload["results"], json!([{ "status": "APPLIED", "error": null }]));
        assert_eq!(payload["changes"]["userId"], *user);
        assert_eq!(payload["changes"]["events"].as_array().unwrap().len(), 1);
    }
    assert_eq!(payload(&answers[0])["gameSummaries"], json!([{ "numAchieved": 2 }]));
    assert_eq!(payload(&answers[1])["gameSummaries"], json!([{ "numAchieved": 1 }]));
    verify(&stage).await;
}

async fn writes_with_keys_share_their_statements_too(stage: Stage) {
    static KEYS: Written = [AtomicU64::new(0), AtomicU64::new(0)];
    const TABLE: &str = "idempotency_keys";
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let ([one, _], users) = (achievements(&stage).await, somebodies(&stage, 64).await);
    let keys: Vec<String> = (0..users.len()).map(|place| format!("key {place}")).collect();
    let send = || join_all(users.iter().zip(&keys).map(|((_, user), key)| unlock(&app, user, &one, Some(key))));
    count(&stage, [|text| note(&KEYS[0], text, TABLE), |text| note(&KEYS[1], text, TABLE)]);
    let before = commits(&stage).await;
    let answers = send().await;
    let commits = commits(&stage).await - before;
    let written = written(&stage, &KEYS);
    // They are taken by one, and the outcomes are kept by another.
    assert!(0 < written && written <= 2 * commits && commits < 64, "{written} statements in {commits} commits");
    for answer in &answers {
        assert_eq!(payload(answer)["results"], json!([{ "status": "APPLIED", "error": null }]));
    }
    for (answer, again) in answers.iter().zip(send().await) {
        assert_eq!(payload(answer), payload(&again), "the key gets the same answer");
    }
    verify(&stage).await;
}

async fn of_two_users_with_one_key_at_once_one_gets_it(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let ([one, _], users) = (achievements(&stage).await, somebodies(&stage, 32).await);
    let key = |place: usize| format!("key {}", place / 2);
    let send = users.iter().enumerate().map(|(place, (_, user))| {
        let (app, one, key) = (&app, &one, key(place));
        async move { unlock(app, user, one, Some(&key)).await }
    });
    for pair in join_all(send).await.chunks(2) {
        let (got, refused): (Vec<&Answer>, Vec<&Answer>) =
            pair.iter().partition(|answer| answer.json["errors"].is_null());
        assert_eq!(
            (got.len(), refused.len()),
            (1, 1),
            "{:?}",
            pair.iter().map(|answer| &answer.json).collect::<Vec<_>>()
        );
        assert_eq!(payload(got[0])["results"][0]["status"], "APPLIED");
        assert_eq!(refused[0].json["errors"][0]["extensions"]["code"], "IDEMPOTENCY_KEY_REUSED");
    }
    verify(&stage).await;
}

async fn each_write_keeps_its_own_actor_key_and_answer(stage: Stage) {
    let apps = [stage.app(&[Scope::ProgressWrite]).await, stage.user("newton")];
    let learn = "mutation($input: UpdateResourceProgressInput!) { updateResourceProgress(input: $input) {
        userErrors { code } changes { userId events { number kind actor } } } }";
    let users = somebodies(&stage, 24).await;
    let send = |place: usize| {
        let progress = if place.is_multiple_of(5) { 101 } else { 40 };
        let key = place.is_multiple_of(3).then(|| format!("k{place}"));
        // One of them is the user's own.
        let (app, user) = if place == 7 { (&apps[1], None) } else { (&apps[0], Some(json!({ "id": users[place].1 }))) };
        let input = json!({
            "user": user, "resourceId": "507f191e810c19729de860ea", "progress": progress, "idempotencyKey": key,
        });
        app.data(learn, json!({ "input": input }))
    };
    let first = join_all((0..users.len()).map(send)).await;
    for (place, data) in first.iter().enumerate() {
        let payload = &data["updateResourceProgress"];
        let (errors, events) =
            (payload["userErrors"].as_array().unwrap(), payload["changes"]["events"].as_array().unwrap());
        assert_eq!((errors.len(), events.len()), if place % 5 == 0 { (1, 0) } else { (0, 1) }, "{place}: {payload}");
        if place == 7 {
            assert!(events[0]["actor"].as_str().unwrap().starts_with("user:"), "{payload}");
        } else {
            assert_eq!(payload["changes"]["userId"], users[place].1);
            assert!(events.iter().all(|event| event["actor"] == "app:test app"));
        }
    }
    let again = join_all((0..users.len()).map(send)).await;
    for (place, (first, again)) in first.iter().zip(&again).enumerate() {
        let events = &again["updateResourceProgress"]["changes"]["events"];
        if place % 3 == 0 {
            assert_eq!(first, again, "the key gets the same answer");
        } else {
            assert_eq!(*events, json!([]), "nothing is new");
        }
    }
}

async fn a_write_that_fails_takes_no_other_along(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let ([one, _], users) = (achievements(&stage).await, somebodies(&stage, 32).await);
    let refused = users[9].0;
    let refuse = if stage.url.starts_with("sqlite") {
        format!(
            "CREATE TRIGGER refuse BEFORE INSERT ON achievement_unlocks WHEN NEW.user_id = {refused} \
             BEGIN SELECT RAISE(ABORT, 'refused'); END"
        )
    } else {
        format!("ALTER TABLE achievement_unlocks ADD CONSTRAINT refuse CHECK (user_id <> {refused}) NOT VALID")
    };
    stage.db().writes().execute_unprepared(&refuse).await.unwrap();
    let answers = join_all(users.iter().map(|(_, user)| unlock(&app, user, &one, None))).await;
    for (answer, (user, _)) in answers.iter().zip(&users) {
        if *user == refused {
            assert_eq!(answer.codes(), ["INTERNAL"]);
        } else {
            assert_eq!(payload(answer)["results"][0]["status"], "APPLIED");
        }
    }
    verify(&stage).await;
}

async fn a_user_who_is_written_for_twice_at_once_gets_both(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let ([one, two], users) = (achievements(&stage).await, somebodies(&stage, 8).await);
    let both = users.iter().flat_map(|(_, user)| [(user, &one), (user, &two), (user, &one)]);
    let answers = join_all(both.map(|(user, achievement)| unlock(&app, user, achievement, None))).await;
    for three in answers.chunks(3) {
        let numbers: Vec<i64> = three
            .iter()
            .flat_map(|answer| payload(answer)["changes"]["events"].as_array().unwrap().clone())
            .map(|event| event["number"].as_i64().unwrap())
            .collect();
        assert_eq!(numbers.len(), 2, "each achievement is unlocked once");
        assert_eq!((numbers[0] - numbers[1]).abs(), 1);
    }
    verify(&stage).await;
}

async fn writes_go_on_while_the_catalogue_changes(stage: Stage) {
    let (app, admin) = (stage.app(&[Scope::ProgressWrite]).await, stage.app(&[Scope::Admin]).await);
    let ([one, two], users) = (achievements(&stage).await, somebodies(&stage, 32).await);
    let upsert = "mutation($input: UpsertGameInput!) { upsertGame(input: $input) { userErrors { code } } }";
    let changes = join_all((0..4).map(|turn| {
        let input = json!({ "key": format!("new-{turn}"), "title": "New" });
        admin.data(upsert, json!({ "input": input }))
    }));
    let unlocks = users.iter().flat_map(|(_, user)| [(user, &one), (user, &two)]);
    let unlocks = join_all(unlocks.map(|(user, achievement)| unlock(&app, user, achievement, None)));
    let (changes, answers) = futures_util::future::join(changes, unlocks).await;
    assert!(changes.iter().all(|done| done["upsertGame"]["userErrors"] == json!([])));
    assert!(answers.iter().all(|answer| payload(answer)["results"][0]["status"] == "APPLIED"));
}

async fn writes_of_different_kinds_at_once_are_all_done(stage: Stage) {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let ([one, _], users) = (achievements(&stage).await, somebodies(&stage, 16).await);
    let send = |user: &str, mutation: &str, mut input: Value| {
        input["user"] = json!({ "id": user });
        let ty = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
        let query = format!(
            "mutation($input: {ty}!) {{ {mutation}(input: $input) {{ userErrors {{ code }} changes {{ events {{ kind }} }} }} }}"
        );
        let app = app.clone();
        async move { app.data(&query, json!({ "input": input })).await }
    };
    let all = users.iter().flat_map(|(_, user)| {
        [
            send(user, "enrollInSeason", json!({})),
            send(user, "unlockAchievements", json!({ "unlocks": [{ "achievementId": one }] })),
            send(user, "grantCards", json!({ "cards": [{ "cardId": "founders-01" }] })),
            send(user, "grantCredits", json!({ "amount": { "credits": "5" } })),
            send(
                user,
                "setResourcesCompletion",
                json!({ "resourceIds": ["507f191e810c19729de860ea"], "completed": true }),
            ),
            send(user, "removeCards", json!({ "cards": [{ "cardId": "founders-02" }], "mode": "ALL_OR_NOTHING" })),
        ]
    });
    for (place, data) in join_all(all).await.iter().enumerate() {
        let payload = data.as_object().unwrap().values().next().unwrap();
        let counts =
            (payload["userErrors"].as_array().unwrap().len(), payload["changes"]["events"].as_array().unwrap().len());
        assert_eq!(counts, if place % 6 == 5 { (1, 0) } else { (0, 1) }, "{data}");
    }
    verify(&stage).await;
}
