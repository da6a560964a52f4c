//! Requests that share statements do not share anything else.

use serde_json::{Value, json};
use tokio::task::JoinSet;
use waymark::auth::Scope;

use crate::harness::{Actor, Stage, tests};

tests! {
    demo: [
        two_hundred_requests_at_once_get_their_own_answers,
        requests_given_up_do_not_disturb_the_others,
        a_thousand_answers_at_once_equal_those_given_one_by_one,
        callers_who_may_see_different_things_do_not_share_them,
    ],
}

/// The handles of all users of the demo data.
pub(crate) async fn handles(stage: &Stage) -> Vec<String> {
    use sea_orm::{EntityTrait as _, QueryOrder as _};
    use waymark::features::users::entity::user;
    let users = user::Entity::find().order_by_asc(user::Column::Id).all(stage.db().reads()).await.unwrap();
    users.into_iter().map(|user| user.handle).collect()
}

/// Numbers that look random and are the same in every run.
fn dice(seed: u64) -> impl FnMut(usize) -> usize {
    let mut state = seed;
    move |below| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    }
}

async fn two_hundred_requests_at_once_get_their_own_answers(stage: Stage) {
    let app = stage.app(&[Scope::ProgressRead]).await;
    let handles = handles(&stage).await;
    let mut dice = dice(1);
    let mut requests = JoinSet::new();
    for _ in 0..200 {
        let (app, handle) = (app.clone(), handles[dice(handles.len())].clone());
        requests.spawn(async move {
            let query = "query($handle: String!) { user(by: {handle: $handle}) { handle accounts { platform } overview(first: 1) { totalCount } } }";
            let data = app.data(query, json!({ "handle": handle })).await;
            assert_eq!(data["user"]["handle"], json!(handle));
        });
    }
    requests.join_all().await;
}

const SHAPES: [&str; 3] = [
    "query($handle: String!, $games: [ID!]!) { user(by: {handle: $handle}) { id handle
        gameSummaries(gameIds: $games) { game { key } numAchieved scoreAchievedHardcore lastUnlockedAt } } }",
    "query($handle: String!, $games: [ID!]!) { user(by: {handle: $handle}) { handle credits { available { micros } }
        season { hasStartedProgram goals { completedSteps } } gameSummaries(gameIds: $games) { numAchieved } } }",
    "query($handle: String!, $games: [ID!]!) { user(by: {handle: $handle}) { handle
        resources(first: 5) { totalCount nodes { resourceKey progress } } history(first: 3) { nodes { number subject } }
        collections { nodes { collectedCount } } gameSummaries(gameIds: $games) { done } } }",
];

/// A question about somebody.
fn question(dice: &mut impl FnMut(usize) -> usize, handles: &[String]) -> (usize, Value) {
    const GAMES: [&str; 6] = ["1", "2", "3", "14402", "101", "105"];
    let games: Vec<_> = (0..dice(4)).map(|_| GAMES[dice(GAMES.len())]).collect();
    (dice(SHAPES.len()), json!({ "handle": handles[dice(handles.len())], "games": games }))
}

async fn requests_given_up_do_not_disturb_the_others(stage: Stage) {
    let app = stage.app(&[Scope::ProgressRead]).await;
    let handles = handles(&stage).await;
    let mut dice = dice(2);
    let mut requests = JoinSet::new();
    for number in 0..200 {
        let (app, (shape, variables)) = (app.clone(), question(&mut dice, &handles));
        let patience = std::time::Duration::from_micros(dice(20_000) as u64);
        requests.spawn(async move {
            let work = app.data(SHAPES[shape], variables.clone());
            if number % 2 == 0 {
                let _ = tokio::time::timeout(patience, work).await;
            } else {
                assert_eq!(work.await["user"]["handle"], variables["handle"]);
            }
        });
    }
    requests.join_all().await;
    // Nothing was left behind that the next request would wait for.
    let (shape, variables) = question(&mut dice, &handles);
    app.data(SHAPES[shape], variables).await;
}

async fn a_thousand_answers_at_once_equal_those_given_one_by_one(stage: Stage) {
    let app = stage.app(&[Scope::ProgressRead]).await;
    let handles = handles(&stage).await;
    let mut dice = dice(3);
    let questions: Vec<_> = (0..250).map(|_| question(&mut dice, &handles)).collect();
    let mut expected = Vec::new();
    for (shape, variables) in &questions {
        expected.push(app.data(SHAPES[*shape], variables.clone()).await);
    }
    let mut requests = JoinSet::new();
    for _ in 0..1000 {
        let chosen = dice(questions.len());
        let (app, (shape, variables), expected) = (app.clone(), questions[chosen].clone(), expected[chosen].clone());
        requests.spawn(async move { assert_eq!(app.data(SHAPES[shape], variables).await, expected) });
    }
    requests.join_all().await;
}

async fn callers_who_may_see_different_things_do_not_share_them(stage: Stage) {
    let actors: [(Actor, bool); 4] = [
        (stage.anonymous(), false),
        (stage.user("ada"), false),
        (stage.user("grace"), true),
        (stage.app(&[Scope::ProgressRead]).await, true),
    ];
    let mut requests = JoinSet::new();
    for (actor, allowed) in actors.into_iter().cycle().take(200) {
        requests.spawn(async move {
            let query =
                r#"{ user(by: {handle: "grace"}) { handle credits { available { micros } } history { totalCount } } }"#;
            let answer = actor.query(query, Value::Null).await;
            let user = &answer.json["data"]["user"];
            assert_eq!((user["credits"].is_null(), user["history"].is_null()), (!allowed, !allowed), "{}", answer.text);
        });
    }
    requests.join_all().await;
}
