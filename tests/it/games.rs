//! Games, achievements and what players made of them.

use serde_json::{Value, json};

use crate::harness::{Stage, tests};

tests! {
    demo: [
        each_user_shows_own_games,
        a_game_never_played_shows_what_is_possible_and_four_zeros,
        summaries_come_in_the_order_asked_for_with_duplicates_and_holes,
        a_malformed_id_of_a_game_fails_alone,
        played_games_are_filtered_by_award,
        played_games_are_sorted_by_the_last_unlock_or_by_score,
        a_game_never_played_is_not_among_the_played_ones,
        awards_are_listed_from_the_highest,
        hardcore_unlocks_count_as_unlocks,
        a_summary_agrees_with_the_achievements_it_sums_up,
        only_published_achievements_are_shown,
        games_are_searched_by_title,
        a_game_shows_its_achievements,
    ],
}

const SUMMARIES: &str = "query($user: UserBy!, $games: [ID!]!) { user(by: $user) { gameSummaries(gameIds: $games) {
    game { key } numPossible possibleScore numAchieved scoreAchieved numAchievedHardcore scoreAchievedHardcore } } }";

/// The game's key, the two possible numbers, the two achieved ones, the two of hardcore mode.
async fn summaries(stage: &Stage, handle: &str, games: &[&str]) -> Vec<(String, [i64; 6])> {
    let variables = json!({ "user": { "handle": handle }, "games": games });
    let data = stage.anonymous().data(SUMMARIES, variables).await;
    let numbers = |summary: &Value| {
        let number = |field: &str| summary[field].as_i64().unwrap();
        let numbers = [
            number("numPossible"),
            number("possibleScore"),
            number("numAchieved"),
            number("scoreAchieved"),
            number("numAchievedHardcore"),
            number("scoreAchievedHardcore"),
        ];
        (summary["game"]["key"].as_str().unwrap().to_owned(), numbers)
    };
    data["user"]["gameSummaries"].as_array().unwrap().iter().map(numbers).collect()
}

async fn each_user_shows_own_games(stage: Stage) {
    let row = |game: &str, numbers: [i64; 6]| (game.to_owned(), numbers);
    assert_eq!(
        summaries(&stage, "MaxMilyin", &["1", "2", "3"]).await,
        [
            row("1", [23, 251, 23, 251, 23, 251]),
            row("2", [22, 320, 22, 320, 22, 320]),
            row("3", [23, 335, 23, 335, 23, 335]),
        ]
    );
    let grace = summaries(&stage, "grace", &["1", "2", "3"]).await;
    assert_eq!(grace[0], row("1", [23, 251, 23, 251, 23, 251]));
    assert_eq!(grace[1].1[..4], [22, 320, 22, 320]);
    assert_ne!(grace[2], row("3", [23, 335, 23, 335, 23, 335]));
}

async fn a_game_never_played_shows_what_is_possible_and_four_zeros(stage: Stage) {
    let expected = [("1".to_owned(), [23, 251, 0, 0, 0, 0]), ("14402".to_owned(), [24, 255, 0, 0, 0, 0])];
    assert_eq!(summaries(&stage, "xelnia", &["1", "14402"]).await, expected);
    let query = r#"{ user(by: {handle: "xelnia"}) { gameSummaries(gameIds: ["1"]) {
        id awards { award } highestAward { award } firstUnlockedAt lastUnlockedAt completedAt state ratio done total
        achievements(first: 1) { totalCount nodes { unlockedAt unlockedHardcoreAt } } } } }"#;
    let mut data = stage.anonymous().data(query, Value::Null).await;
    let summary = &mut data["user"]["gameSummaries"][0];
    assert!(summary["id"].as_str().unwrap().ends_with(":1"));
    summary["id"] = Value::Null;
    assert_eq!(
        *summary,
        json!({
            "id": null, "awards": [], "highestAward": null, "firstUnlockedAt": null, "lastUnlockedAt": null,
            "completedAt": null, "state": "NOT_STARTED", "ratio": 0.0, "done": 0, "total": 23,
            "achievements": { "totalCount": 23, "nodes": [{ "unlockedAt": null, "unlockedHardcoreAt": null }] },
        })
    );
}

async fn summaries_come_in_the_order_asked_for_with_duplicates_and_holes(stage: Stage) {
    let games = ["3", "unknown", "game:1", "3", "999999"];
    let variables = json!({ "user": { "handle": "MaxMilyin" }, "games": games });
    let data = stage.anonymous().data(SUMMARIES, variables).await;
    let keys: Vec<_> =
        data["user"]["gameSummaries"].as_array().unwrap().iter().map(|summary| &summary["game"]["key"]).collect();
    assert_eq!(keys, [&json!("3"), &Value::Null, &json!("1"), &json!("3"), &Value::Null]);
    assert_eq!(summaries(&stage, "MaxMilyin", &[]).await, []);
}

async fn a_malformed_id_of_a_game_fails_alone(stage: Stage) {
    for id in ["", "game:", "game:game:1", " ", "..", "1\u{7}", &"1".repeat(256)] {
        let variables = json!({ "user": { "handle": "grace" }, "games": ["1", id] });
        let answer = stage.anonymous().query(SUMMARIES, variables).await;
        assert_eq!(answer.codes(), ["BAD_USER_INPUT"], "{id:?}");
        assert_eq!(answer.json["errors"][0]["path"], json!(["user", "gameSummaries", 1]), "{id:?}");
        let summaries = &answer.json["data"]["user"]["gameSummaries"];
        assert!(summaries[0].is_object() && summaries[1].is_null(), "one bad id fails alone: {}", answer.text);
    }
}

/// The keys of the games that `handle` has played, by the arguments.
async fn played(stage: &Stage, handle: &str, arguments: &str) -> Vec<String> {
    let query = format!(
        r#"{{ user(by: {{handle: "{handle}"}}) {{ games(first: 100 {arguments}) {{ totalCount nodes {{ game {{ key }} }} }} }} }}"#
    );
    let data = stage.user("ada").data(&query, Value::Null).await;
    let nodes = data["user"]["games"]["nodes"].as_array().unwrap();
    assert_eq!(data["user"]["games"]["totalCount"], nodes.len(), "{arguments}");
    nodes.iter().map(|node| node["game"]["key"].as_str().unwrap().to_owned()).collect()
}

async fn played_games_are_filtered_by_award(stage: Stage) {
    for (award, games) in [
        ("MASTERED", vec!["1"]),
        ("COMPLETED", vec!["2", "1"]),
        ("BEATEN_HARDCORE", vec!["1", "3"]),
        ("BEATEN", vec!["2", "1", "3", "14402"]),
    ] {
        assert_eq!(played(&stage, "grace", &format!("award: {award}, orderBy: SCORE")).await, games, "{award}");
    }
    assert_eq!(played(&stage, "xelnia", "award: MASTERED").await, [""; 0]);
}

async fn played_games_are_sorted_by_the_last_unlock_or_by_score(stage: Stage) {
    let by_score = ["2", "1", "3", "14402", "lantern-keepers", "101", "echo-lake"];
    assert_eq!(played(&stage, "grace", "orderBy: SCORE").await, by_score);
    let by_date = ["1", "lantern-keepers", "3", "14402", "101", "2", "echo-lake"];
    assert_eq!(played(&stage, "grace", "orderBy: LAST_UNLOCKED").await, by_date);
    assert_eq!(played(&stage, "grace", "").await, by_date);
}

async fn a_game_never_played_is_not_among_the_played_ones(stage: Stage) {
    assert_eq!(played(&stage, "newton", "").await.len(), 0);
    let games = played(&stage, "xelnia", "").await;
    assert!(!games.contains(&"1".to_owned()) && !games.contains(&"14402".to_owned()), "{games:?}");
}

async fn awards_are_listed_from_the_highest(stage: Stage) {
    let query = r#"{ user(by: {handle: "grace"}) { gameSummaries(gameIds: ["1", "2", "3", "14402", "101"]) {
        highestAward { award } awards { award } } } }"#;
    let data = stage.anonymous().data(query, Value::Null).await;
    let awards = |awards: &[&str]| {
        let all: Vec<_> = awards.iter().map(|award| json!({ "award": award })).collect();
        json!({ "highestAward": all.first(), "awards": all })
    };
    assert_eq!(
        data["user"]["gameSummaries"],
        json!([
            awards(&["MASTERED", "COMPLETED", "BEATEN_HARDCORE", "BEATEN"]),
            awards(&["COMPLETED", "BEATEN"]),
            awards(&["BEATEN_HARDCORE", "BEATEN"]),
            awards(&["BEATEN"]),
            awards(&[]),
        ])
    );
}

async fn hardcore_unlocks_count_as_unlocks(stage: Stage) {
    let query = r#"{ user(by: {handle: "grace"}) { games(first: 100) { nodes { achievements(first: 100) {
        nodes { unlockedAt unlockedHardcoreAt } } } } } }"#;
    let data = stage.anonymous().data(query, Value::Null).await;
    let mut hardcore = 0;
    for game in data["user"]["games"]["nodes"].as_array().unwrap() {
        for one in game["achievements"]["nodes"].as_array().unwrap() {
            if let Some(at) = one["unlockedHardcoreAt"].as_str() {
                hardcore += 1;
                assert!(one["unlockedAt"].as_str().is_some_and(|unlocked| unlocked <= at), "{one}");
            }
        }
    }
    assert!(hardcore > 20);
}

async fn a_summary_agrees_with_the_achievements_it_sums_up(stage: Stage) {
    let stage = stage.with(&[("WAYMARK_MAX_COST", "100000")]).await;
    let query = r#"query($handle: String!) { user(by: {handle: $handle}) { games(first: 100) { nodes {
        game { key numPossible possibleScore } numPossible possibleScore
        numAchieved scoreAchieved numAchievedHardcore scoreAchievedHardcore firstUnlockedAt
        achievements(first: 100) { totalCount nodes { unlockedAt unlockedHardcoreAt achievement { points } } } } } } }"#;
    for handle in ["grace", "MaxMilyin", "xelnia"] {
        let data = stage.anonymous().data(query, json!({ "handle": handle })).await;
        for summary in data["user"]["games"]["nodes"].as_array().unwrap() {
            let achievements = summary["achievements"]["nodes"].as_array().unwrap();
            let score = |unlocked: &dyn Fn(&Value) -> bool| {
                let points =
                    achievements.iter().filter(|one| unlocked(one)).map(|one| one["achievement"]["points"].as_i64());
                json!([points.clone().count(), points.map(Option::unwrap).sum::<i64>()])
            };
            let fields = |num: &str, score: &str| json!([summary[num], summary[score]]);
            let game = &summary["game"]["key"];
            assert_eq!(fields("numPossible", "possibleScore"), score(&|_| true), "{handle} {game}");
            assert_eq!(
                fields("numAchieved", "scoreAchieved"),
                score(&|one| !one["unlockedAt"].is_null()),
                "{handle} {game}"
            );
            let hardcore = score(&|one| !one["unlockedHardcoreAt"].is_null());
            assert_eq!(fields("numAchievedHardcore", "scoreAchievedHardcore"), hardcore, "{handle} {game}");
            assert_eq!(json!([summary["game"]["numPossible"], summary["game"]["possibleScore"]]), score(&|_| true));
            let first = achievements.iter().filter_map(|one| one["unlockedAt"].as_str()).min();
            assert_eq!(summary["firstUnlockedAt"].as_str(), first, "{handle} {game}");
        }
    }
}

async fn only_published_achievements_are_shown(stage: Stage) {
    let query = r#"{ game(id: "1") { numPossible achievements(first: 100) { totalCount nodes { key } } } }"#;
    let data = stage.anonymous().data(query, Value::Null).await;
    assert_eq!((&data["game"]["numPossible"], &data["game"]["achievements"]["totalCount"]), (&json!(23), &json!(23)));
    // The game has 25 achievements, of which the last two are not published.
    let unpublished = r#"{ node(id: "achievement:1-25") { id } published: node(id: "achievement:1-01") { id } }"#;
    let data = stage.anonymous().data(unpublished, Value::Null).await;
    assert_eq!(data, json!({ "node": null, "published": { "id": "achievement:1-01" } }));
}

async fn games_are_searched_by_title(stage: Stage) {
    let query = "query($search: String) { games(search: $search, first: 100) { totalCount nodes { title } } }";
    for (search, titles) in [
        ("LANTERN", vec!["Lantern Keepers"]),
        ("orchar", vec!["Hollow Orchard"]),
        ("'s", vec!["The Clockmaker's Apprentice", "Wren's Flight"]),
        ("%", vec![]),
        ("no such game", vec![]),
    ] {
        let data = stage.anonymous().data(query, json!({ "search": search })).await;
        let titles: Vec<_> = titles.into_iter().map(|title| json!({ "title": title })).collect();
        assert_eq!(data["games"], json!({ "totalCount": titles.len(), "nodes": titles }), "{search}");
    }
    assert_eq!(stage.anonymous().data(query, Value::Null).await["games"]["totalCount"], 40);
}

async fn a_game_shows_its_achievements(stage: Stage) {
    let query = r#"{ game(id: "1") { id key number title platform description image createdAt numPossible possibleScore
        achievements(first: 5) { nodes { id key title description badge points kind game { id } } } } }"#;
    insta::assert_json_snapshot!("game_1", stage.anonymous().data(query, Value::Null).await["game"]);
}
