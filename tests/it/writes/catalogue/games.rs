//! Writing games, and what it means for those who play them.

use serde_json::{Value, json};
use waymark::auth::Scope;

use super::{newest_events, number, perform, refusals};
use crate::harness::{Actor, Stage, tests};

tests! {
    own: [
        an_achievement_that_is_unpublished_counts_no_more_and_again_once_published,
        other_points_change_every_score,
        whoever_only_lacked_what_was_unpublished_earns_the_awards_and_keeps_them,
        another_kind_of_achievement_may_beat_the_game,
        keys_and_numbers_of_other_games_are_taken,
        the_cost_does_not_depend_on_how_many_achievements_are_written,
    ],
    empty: [
        a_game_is_added_with_its_achievements_and_changed_in_part,
        achievements_are_arranged_as_they_are_listed,
    ],
}

const GAME: &str = "game { key number title platform description image numPossible possibleScore
    achievements(first: 10) { nodes { key title points kind } } }";

async fn upsert(app: &Actor, input: Value) -> Value {
    perform(app, "upsertGame", GAME, &input).await
}

async fn publish(app: &Actor, game: &str, achievement: Value) {
    let payload = upsert(app, json!({ "key": game, "achievements": [achievement] })).await;
    assert_eq!(payload["userErrors"], json!([]));
}

async fn unlock(app: &Actor, handle: &str, keys: &[String], hardcore: bool) {
    let items: Vec<Value> = keys.iter().map(|key| json!({ "achievementId": key, "hardcore": hardcore })).collect();
    let mutation =
        "mutation($input: UnlockAchievementsInput!) { unlockAchievements(input: $input) { userErrors { code } } }";
    let input = json!({ "user": { "handle": handle }, "unlocks": items });
    let data = app.data(mutation, json!({ "input": input })).await;
    assert_eq!(data["unlockAchievements"]["userErrors"], json!([]));
}

async fn summary(app: &Actor, handle: &str, game: &str) -> Value {
    let query = "query($handle: String!, $game: ID!) { user(by: {handle: $handle}) { gameSummaries(gameIds: [$game]) {
        numPossible possibleScore numAchieved scoreAchieved numAchievedHardcore scoreAchievedHardcore
        awards { award } } } }";
    let data = app.data(query, json!({ "handle": handle, "game": game })).await;
    data["user"]["gameSummaries"][0].clone()
}

/// The keys of the published achievements of a game, in their order.
async fn keys(stage: &Stage, game: &str) -> Vec<String> {
    let query = "query($game: ID!) { game(id: $game) { achievements(first: 100) { nodes { key } } } }";
    let data = stage.anonymous().data(query, json!({ "game": game })).await;
    let nodes = data["game"]["achievements"]["nodes"].as_array().unwrap().clone();
    nodes.iter().map(|one| one["key"].as_str().unwrap().to_owned()).collect()
}

/// That every stored summary is what the unlocks come to, and every stored total what the achievements come to.
pub(super) async fn assert_summaries(stage: &Stage) {
    let unlocks = |what: &str, hardcore: &str| {
        format!(
            "(SELECT {what} FROM achievement_unlocks u JOIN achievements a ON a.id = u.achievement_id \
             WHERE u.user_id = s.user_id AND a.game_id = s.game_id AND a.published{hardcore})"
        )
    };
    let hardcore = " AND u.unlocked_hardcore_at IS NOT NULL";
    let wrong = format!(
        "SELECT count(*) FROM game_summaries s WHERE num_achieved <> {} OR score_achieved <> {} \
         OR num_achieved_hardcore <> {} OR score_achieved_hardcore <> {} \
         OR COALESCE(first_unlocked_at, 0) <> COALESCE({}, 0) OR COALESCE(last_unlocked_at, 0) <> COALESCE({}, 0)",
        unlocks("count(*)", ""),
        unlocks("COALESCE(sum(a.points), 0)", ""),
        unlocks("count(*)", hardcore),
        unlocks("COALESCE(sum(a.points), 0)", hardcore),
        unlocks("min(u.unlocked_at)", ""),
        unlocks("max(COALESCE(u.unlocked_hardcore_at, u.unlocked_at))", ""),
    );
    assert_eq!(number(stage, &wrong).await, 0, "summaries that are wrong");
    let wrong = "SELECT count(*) FROM games g WHERE num_possible <> (SELECT count(*) FROM achievements a \
        WHERE a.game_id = g.id AND a.published) OR possible_score <> (SELECT COALESCE(sum(a.points), 0) \
        FROM achievements a WHERE a.game_id = g.id AND a.published)";
    assert_eq!(number(stage, wrong).await, 0, "totals that are wrong");
}

async fn a_game_is_added_with_its_achievements_and_changed_in_part(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let added = upsert(
        &admin,
        json!({
            "key": "game:chess", "number": 7, "title": "Chess", "platform": "Board", "description": "Two sides.\nOne king each.",
            "achievements": [
                { "key": "mate", "title": "Mate", "points": 10, "kind": "WIN_CONDITION" },
                { "key": "draft", "title": "Draft", "published": false },
            ],
        }),
    )
    .await;
    let game = json!({
        "key": "chess", "number": 7, "title": "Chess", "platform": "Board", "description": "Two sides.\nOne king each.",
        "image": null, "numPossible": 1, "possibleScore": 10,
        "achievements": { "nodes": [{ "key": "mate", "title": "Mate", "points": 10, "kind": "WIN_CONDITION" }] },
    });
    assert_eq!((&added["game"], &added["created"]), (&game, &json!(true)));
    let changed = upsert(
        &admin,
        json!({ "key": "chess", "platform": null, "achievements": [{ "key": "achievement:draft", "published": true, "points": 5 }] }),
    )
    .await;
    assert_eq!((&changed["created"], &changed["userErrors"]), (&json!(false), &json!([])));
    let changed = &changed["game"];
    assert_eq!(
        (&changed["platform"], &changed["number"], &changed["title"]),
        (&Value::Null, &json!(7), &json!("Chess"))
    );
    assert_eq!((&changed["numPossible"], &changed["possibleScore"]), (&json!(2), &json!(15)));
    assert_eq!(
        changed["achievements"]["nodes"][1],
        json!({ "key": "draft", "title": "Draft", "points": 5, "kind": "STANDARD" })
    );
    let nothing = upsert(&admin, json!({ "key": "go" })).await;
    assert_eq!((refusals(&nothing), &nothing["game"]), (vec!["INVALID_INPUT title".to_owned()], &Value::Null));
}

async fn achievements_are_arranged_as_they_are_listed(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let listed = |keys: &[&str]| -> Vec<Value> { keys.iter().map(|key| json!({ "key": key, "title": key })).collect() };
    upsert(&admin, json!({ "key": "g", "title": "G", "achievements": listed(&["a", "b", "c"]) })).await;
    assert_eq!(keys(&stage, "g").await, ["a", "b", "c"]);
    upsert(&admin, json!({ "key": "g", "achievements": listed(&["c", "a", "d"]) })).await;
    assert_eq!(keys(&stage, "g").await, ["c", "b", "a", "d"]);
}

async fn an_achievement_that_is_unpublished_counts_no_more_and_again_once_published(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let all = keys(&stage, "1").await;
    unlock(&admin, "xelnia", &all[..2], true).await;
    unlock(&admin, "ada", &all[1..3], false).await;
    let before = [summary(&admin, "xelnia", "1").await, summary(&admin, "ada", "1").await];
    assert_eq!(before[0]["numAchievedHardcore"], 2);

    publish(&admin, "1", json!({ "key": all[1], "published": false })).await;
    for (handle, hardcore) in [("xelnia", 1), ("ada", 0)] {
        let after = summary(&admin, handle, "1").await;
        assert_eq!((&after["numPossible"], &after["numAchievedHardcore"]), (&json!(22), &json!(hardcore)));
    }
    assert_eq!(summary(&admin, "xelnia", "1").await["numAchieved"], 1);
    assert_summaries(&stage).await;

    publish(&admin, "1", json!({ "key": all[1], "published": true })).await;
    assert_eq!([summary(&admin, "xelnia", "1").await, summary(&admin, "ada", "1").await], before);
    assert_summaries(&stage).await;
}

async fn other_points_change_every_score(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let all = keys(&stage, "1").await;
    unlock(&admin, "xelnia", &all[..1], true).await;
    publish(&admin, "1", json!({ "key": all[0], "points": 1_000_000 })).await;
    let after = summary(&admin, "xelnia", "1").await;
    assert_eq!((&after["scoreAchieved"], &after["scoreAchievedHardcore"]), (&json!(1_000_000), &json!(1_000_000)));
    assert_summaries(&stage).await;
}

async fn whoever_only_lacked_what_was_unpublished_earns_the_awards_and_keeps_them(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let all = keys(&stage, "1").await;
    let (last, others) = all.split_last().unwrap();
    unlock(&admin, "xelnia", others, false).await;
    let has = async |award: &str| {
        let summary = summary(&admin, "xelnia", "1").await;
        summary["awards"].as_array().unwrap().iter().any(|one| one["award"] == award)
    };
    assert!(!has("COMPLETED").await);
    publish(&admin, "1", json!({ "key": last, "published": false })).await;
    assert!(has("COMPLETED").await && !has("MASTERED").await);
    let newest = newest_events(&admin, "xelnia", 1).await;
    assert_eq!(newest, [("AWARD_EARNED".to_owned(), "game:1".to_owned(), json!({ "award": "COMPLETED" }))]);

    publish(&admin, "1", json!({ "key": last, "published": true })).await;
    assert!(has("COMPLETED").await, "an award once earned stays");
    publish(&admin, "1", json!({ "key": last, "published": false })).await;
    assert_eq!(newest_events(&admin, "xelnia", 1).await, newest, "and is not earned again");
    assert_summaries(&stage).await;
}

async fn another_kind_of_achievement_may_beat_the_game(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let one = |kind: &str| json!({ "key": "only-one", "title": "One", "kind": kind });
    let two = json!({ "key": "only-two", "title": "Two" });
    upsert(&admin, json!({ "key": "only", "title": "Only", "achievements": [one("STANDARD"), two] })).await;
    unlock(&admin, "xelnia", &["only-one".to_owned()], true).await;
    unlock(&admin, "ada", &["only-two".to_owned()], true).await;
    assert_eq!(summary(&admin, "xelnia", "only").await["awards"], json!([]));
    publish(&admin, "only", one("WIN_CONDITION")).await;
    let awards = summary(&admin, "xelnia", "only").await["awards"].clone();
    assert_eq!(awards, json!([{ "award": "BEATEN_HARDCORE" }, { "award": "BEATEN" }]));
    assert_eq!(summary(&admin, "ada", "only").await["awards"], json!([]));
}

async fn keys_and_numbers_of_other_games_are_taken(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let moved = json!({ "key": "2", "achievements": [{ "key": "1-01", "title": "Moved" }, { "key": "2-01", "title": "Kept out" }] });
    assert_eq!(refusals(&upsert(&admin, moved).await), ["KEY_TAKEN achievements.0.key"]);
    let query = "{ game(id: \"2\") { achievements(first: 1) { nodes { title } } } }";
    let title = stage.anonymous().data(query, Value::Null).await["game"]["achievements"]["nodes"][0]["title"].clone();
    assert_ne!(title, "Kept out", "nothing is done when something is refused");
    assert_eq!(refusals(&upsert(&admin, json!({ "key": "2", "number": 1 })).await), ["KEY_TAKEN number"]);
    assert_eq!(refusals(&upsert(&admin, json!({ "key": "1", "number": 1 })).await), Vec::<String>::new());
}

async fn the_cost_does_not_depend_on_how_many_achievements_are_written(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let cost = async |game: &str, count: usize| {
        let achievements: Vec<Value> =
            (0..count).map(|place| json!({ "key": format!("{game}-{place}"), "title": "One" })).collect();
        upsert(&admin, json!({ "key": game, "title": "Many" })).await;
        let before = stage.db().statements(waymark::db::Asker::Request);
        let payload = upsert(&admin, json!({ "key": game, "achievements": achievements })).await;
        assert_eq!(payload["game"]["numPossible"], count);
        stage.db().statements(waymark::db::Asker::Request) - before
    };
    let (one, many) = (cost("one", 1).await, cost("many", 200).await);
    // Polls of the catalogue and of the credential may fall into either.
    assert!(many <= one + 3, "{one} for one, {many} for two hundred");
}
