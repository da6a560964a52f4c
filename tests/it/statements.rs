//! How many SQL statements an answer takes: it depends on the shape of a query, and not on how many things it names.

use serde_json::{Value, json};
use waymark::auth::Scope;

use crate::everything;
use crate::harness::{Actor, Stage, tests};

tests! {
    demo: [
        a_profile_takes_eight_statements_at_most_for_one_user_and_for_fifty,
        every_field_of_a_user_at_once_takes_a_statement_a_table_and_one_or_two_for_what_is_long,
        fifty_users_with_games_and_resources_take_as_many_statements_as_one,
        the_catalogue_takes_no_statement,
        a_list_is_counted_only_on_request,
        a_malformed_request_takes_no_statement,
    ],
}

/// The handles of fifty users.
async fn fifty(stage: &Stage) -> Vec<Value> {
    crate::batching::handles(stage).await.into_iter().take(50).map(|handle| json!({ "handle": handle })).collect()
}

async fn count(stage: &Stage, actor: &Actor, query: &str, variables: Value) -> u64 {
    stage.statements(async || drop(actor.data(query, variables.clone()).await)).await
}

async fn a_profile_takes_eight_statements_at_most_for_one_user_and_for_fifty(stage: Stage) {
    let query = r#"query($users: [UserBy!]!) { users(by: $users) {
        handle
        season { season { title } timeLeft currentWeek { number } hasStartedProgram goals { title completedSteps totalSteps isClaimed } }
        credits { available { credits } expiresIn isBlockedForClaiming }
        resourceProgress(resourceIds: ["507f1f77bcf86cd799439011", "507f191e810c19729de860ea", "507f191e810c19729de860eb"]) {
            completed progress }
        gameSummaries(gameIds: ["1", "2", "3", "14402", "101", "102", "103", "104", "105", "106"]) {
            game { title } numAchieved numPossible scoreAchieved }
        collections { nodes { collectedCount size status } }
    } }"#;
    let app = stage.app(&[Scope::ProgressRead]).await;
    let users = fifty(&stage).await;
    let one = count(&stage, &app, query, json!({ "users": users[..1] })).await;
    let many = count(&stage, &app, query, json!({ "users": users })).await;
    // The user, the season, the lots and blocks, the resources, the games, the collections.
    assert_eq!((one, many), (6, 6));
}

async fn every_field_of_a_user_at_once_takes_a_statement_a_table_and_one_or_two_for_what_is_long(stage: Stage) {
    let schema = everything::schema();
    let user = |without: &[&str]| {
        format!("{{ viewer {{ user {} }} }}", everything::selection_without(&schema, "User", without))
    };
    let inner = [
        "GameSummary.achievements",
        "CollectionProgress.cards",
        "CollectionProgress.cardsConnection",
        "RewardProgress.refusal",
    ];
    let grace = stage.user("grace");
    let short = inner.iter().copied().chain(["ResourceProgress.notes", "CreditLot.reason"]).collect::<Vec<_>>();
    assert_eq!(count(&stage, &grace, &user(&short), Value::Null).await, 16);
    // Notes and reasons are long, and are read by a statement of their own where they are asked for, as is what stands
    // inside single games and collections. Where two lists that these belong to do not arrive together, each has its own.
    for (query, fields) in [(user(&inner), 2), (user(&[]), 5)] {
        for _ in 0..10 {
            let more = stage.statements_once(async || drop(grace.data(&query, Value::Null).await)).await - 16;
            assert!((fields..=2 * fields).contains(&more), "{more} statements for {fields} fields");
        }
    }
}

async fn fifty_users_with_games_and_resources_take_as_many_statements_as_one(stage: Stage) {
    let games = ["1", "2", "3", "14402", "101", "102", "103", "104", "105", "106"];
    let data = stage.anonymous().data("{ resources(first: 5) { nodes { key } } }", Value::Null).await;
    let resources: Vec<_> =
        data["resources"]["nodes"].as_array().unwrap().iter().map(|one| one["key"].clone()).collect();
    let query = "query($users: [UserBy!]!, $games: [ID!]!, $resources: [ID!]!) { users(by: $users) {
        handle gameSummaries(gameIds: $games) { game { title } numAchieved } resourceProgress(resourceIds: $resources) { completed } } }";
    let app = stage.app(&[Scope::ProgressRead]).await;
    let users = fifty(&stage).await;
    let variables = |users: &[Value], games: &[&str]| json!({ "users": users, "games": games, "resources": resources });
    let one = count(&stage, &app, query, variables(&users[..1], &games[..1])).await;
    let many = count(&stage, &app, query, variables(&users, &games)).await;
    assert_eq!((one, many), (3, 3));
}

async fn the_catalogue_takes_no_statement(stage: Stage) {
    let query = "{ viewer { kind } currentSeason { goals { title } } games(first: 100) { nodes { achievements { nodes { title } } } }
        studyPlans { nodes { resources { title } } } collections { nodes { cards { name } } } }";
    assert_eq!(count(&stage, &stage.anonymous(), query, Value::Null).await, 0);
}

async fn a_list_is_counted_only_on_request(stage: Stage) {
    let grace = stage.user("grace");
    for (lists, more) in [(&["games", "resources", "history", "credits { ledger"][..], 4), (&["overview"], 2)] {
        let query = |selection: &str| {
            let lists =
                lists.iter().map(|list| format!("{list} {{ {selection} }} {} ", "}".repeat(list.matches('{').count())));
            format!("{{ viewer {{ user {{ {} }} }} }}", lists.collect::<String>())
        };
        let without = count(&stage, &grace, &query("nodes { __typename }"), Value::Null).await;
        let with = count(&stage, &grace, &query("nodes { __typename } totalCount"), Value::Null).await;
        assert_eq!(with - without, more, "{lists:?}");
    }
}

async fn a_malformed_request_takes_no_statement(stage: Stage) {
    let count = stage.statements(async || {
        let answer = stage
            .anonymous()
            .query("query($by: UserBy!) { user(by: $by) { id } }", json!({ "by": { "handle": 1 } }))
            .await;
        answer.refused(400, "BAD_USER_INPUT");
    });
    assert_eq!(count.await, 0);
}
