//! Writing seasons, and pausing, resuming and ending them.

use serde_json::{Value, json};
use waymark::auth::Scope;

use super::{audit_log, execute, newest_events, number, perform, refusals};
use crate::harness::{Actor, Stage, tests};

tests! {
    own: [
        seasons_do_not_overlap,
        a_pause_that_moves_the_end_moves_the_next_season,
        a_paused_season_goes_on_where_it_stood,
        an_ended_season_is_over_for_good,
        what_does_not_fit_the_state_is_refused,
        what_is_only_tried_changes_nothing,
        it_is_told_who_is_affected,
        budgets_cover_what_has_been_granted,
        goals_with_which_somebody_has_progress_stay,
        fewer_steps_complete_a_goal_for_whoever_made_them,
        fewer_steps_complete_several_goals_of_one_user_at_once,
        a_goal_whose_reward_was_claimed_stays_in_its_week,
    ],
    empty: [
        a_season_is_added_with_its_goals_and_changed_in_part,
        weeks_have_to_be_weeks_of_the_season,
    ],
}

const SEASON: &str =
    "season { key title description state startDate endDate duration weekLength pauseMode pauses { from until }
    goals { key title week totalSteps reward { credits } thumbnail } }
    affected { stateBefore stateAfter startDateBefore startDateAfter endDateBefore endDateAfter openGoals
      enrolledUsers goalsUnderWay unclaimedGoals movedSeasons { id startDateBefore startDateAfter } }";

async fn upsert(app: &Actor, input: Value) -> Value {
    perform(app, "upsertSeason", SEASON, &input).await
}

async fn start_of(stage: &Stage, season: &str) -> Value {
    let query = "query($id: ID!) { season(id: $id) { startDate } }";
    stage.anonymous().data(query, json!({ "id": season })).await["season"]["startDate"].clone()
}

async fn a_season_is_added_with_its_goals_and_changed_in_part(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let added = upsert(
        &admin,
        json!({
            "key": "season:one", "title": "One", "startDate": "2026-06-10T00:00:00Z", "duration": 3 * 604_800,
            "weeks": [{ "number": 2, "title": "Second" }],
            "goals": [
                { "key": "a", "title": "A", "totalSteps": 3, "reward": "2.5", "week": 1 },
                { "key": "b", "title": "B", "totalSteps": 1, "thumbnail": "https://example.com/b.png" },
            ],
        }),
    )
    .await;
    let goals = json!([
        { "key": "a", "title": "A", "week": 1, "totalSteps": 3, "reward": { "credits": "2.5" }, "thumbnail": null },
        { "key": "b", "title": "B", "week": null, "totalSteps": 1, "reward": { "credits": "0" }, "thumbnail": "https://example.com/b.png" },
    ]);
    assert_eq!(
        (&added["created"], &added["userErrors"], &added["season"]["goals"]),
        (&json!(true), &json!([]), &goals)
    );
    let season = &added["season"];
    assert_eq!(
        (&season["state"], &season["pauseMode"], &season["weekLength"]),
        (&json!("ACTIVE"), &json!("FREEZE"), &json!(604_800))
    );
    let affected = &added["affected"];
    assert_eq!((&affected["stateBefore"], &affected["stateAfter"]), (&Value::Null, &json!("ACTIVE")));
    assert_eq!(
        (&affected["endDateAfter"], &affected["enrolledUsers"]),
        (&json!("2026-07-01T00:00:00.000Z"), &json!(0))
    );

    let week = "{ season(id: \"one\") { currentWeek { number title } } }";
    let week = stage.anonymous().data(week, Value::Null).await["season"]["currentWeek"].clone();
    assert_eq!(week, json!({ "number": 2, "title": "Second" }));
    let changed = upsert(
        &admin,
        json!({
            "key": "one", "title": "First", "weeks": [{ "number": 2 }], "removeGoals": ["goal:a"],
            "goals": [{ "key": "c", "title": "C", "totalSteps": 1 }, { "key": "b", "thumbnail": null, "week": 3 }],
        }),
    )
    .await;
    assert_eq!((&changed["created"], &changed["userErrors"]), (&json!(false), &json!([])));
    let keys: Vec<&str> =
        changed["season"]["goals"].as_array().unwrap().iter().map(|goal| goal["key"].as_str().unwrap()).collect();
    // The one that was there keeps its place, which comes first among those that are listed.
    assert_eq!(keys, ["c", "b"]);
    let goal = &changed["season"]["goals"][1];
    assert_eq!((&goal["thumbnail"], &goal["week"], &goal["title"]), (&Value::Null, &json!(3), &json!("B")));
    let week = "{ season(id: \"one\") { title startDate currentWeek { title } } }";
    let season = stage.anonymous().data(week, Value::Null).await["season"].clone();
    assert_eq!(
        season,
        json!({ "title": "First", "startDate": "2026-06-10T00:00:00.000Z", "currentWeek": { "title": null } })
    );
    let log = audit_log(&stage).await;
    assert_eq!(log[1].2["goals"], json!({ "added": ["c"], "changed": ["b"], "removed": ["a"] }));

    let nothing = refusals(&upsert(&admin, json!({ "key": "two" })).await);
    assert_eq!(nothing, ["INVALID_INPUT title", "INVALID_INPUT startDate", "INVALID_INPUT duration"]);
    let taken = json!({
        "key": "two", "title": "Two", "startDate": "2027-01-01T00:00:00Z", "duration": 86400,
        "goals": [{ "key": "b", "title": "B", "totalSteps": 1 }],
    });
    assert_eq!(refusals(&upsert(&admin, taken).await), ["KEY_TAKEN goals.0.key"]);
}

async fn weeks_have_to_be_weeks_of_the_season(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let goal = |week: i32| json!([{ "key": "a", "title": "A", "totalSteps": 1, "week": week }]);
    let season = |goals: Value| {
        json!({
            "key": "one", "title": "One", "startDate": "2026-06-10T00:00:00Z", "duration": 3 * 604_800 + 1, "goals": goals,
            "weeks": [{ "number": 5, "title": "Fifth" }], "budgets": [{ "week": 5, "cap": "1" }],
        })
    };
    let expected = ["INVALID_INPUT goals.0.week", "INVALID_INPUT budgets.0.week", "INVALID_INPUT weeks.0.number"];
    assert_eq!(refusals(&upsert(&admin, season(goal(5))).await), expected);
    assert_eq!(refusals(&upsert(&admin, season(goal(4))).await), expected[1..]);
    let good = json!({ "key": "one", "title": "One", "startDate": "2026-06-10T00:00:00Z", "duration": 3 * 604_800, "goals": goal(3) });
    assert_eq!(refusals(&upsert(&admin, good).await), Vec::<String>::new());
    let shorter = upsert(&admin, json!({ "key": "one", "duration": 604_800 })).await;
    assert_eq!(refusals(&shorter), ["INVALID_INPUT duration"]);
}

async fn seasons_do_not_overlap(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let new = |start: &str| json!({ "key": "new", "title": "New", "startDate": start, "duration": 7 * 86_400 });
    // Rising Tide runs from May 24 to August 18, High Summer begins on August 25.
    for start in ["2026-05-20T00:00:00Z", "2026-06-01T00:00:00Z", "2026-08-17T23:59:59Z", "2026-08-18T00:00:01Z"] {
        let payload = upsert(&admin, new(start)).await;
        assert_eq!(
            (refusals(&payload), &payload["season"]),
            (vec!["SEASON_OVERLAP startDate".to_owned()], &Value::Null)
        );
    }
    assert_eq!(refusals(&upsert(&admin, new("2026-08-18T00:00:00Z")).await), Vec::<String>::new());
    let into = json!({ "key": "high-summer", "startDate": "2026-08-20T00:00:00Z" });
    assert_eq!(refusals(&upsert(&admin, into).await), ["SEASON_OVERLAP startDate"]);
    let longer = json!({ "key": "rising-tide", "duration": 12 * 604_800 + 1 });
    assert_eq!(refusals(&upsert(&admin, longer).await), ["SEASON_OVERLAP duration"]);
    let later = json!({ "key": "high-summer", "startDate": "2026-09-01T00:00:00Z" });
    assert_eq!(refusals(&upsert(&admin, later).await), Vec::<String>::new());
    assert_eq!(start_of(&stage, "high-summer").await, "2026-09-01T00:00:00.000Z");
    let long_ago = json!({ "key": "first-light", "startDate": "2020-01-01T00:00:00Z" });
    assert_eq!(refusals(&upsert(&admin, long_ago).await), ["SEASON_ENDED"]);
    assert_eq!(refusals(&upsert(&admin, json!({ "key": "first-light", "title": "Old" })).await), Vec::<String>::new());
}

async fn a_pause_that_moves_the_end_moves_the_next_season(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let pause = |dry_run: bool| json!({ "id": "rising-tide", "until": "2026-06-27T12:00:00Z", "dryRun": dry_run });
    let tried = perform(&admin, "pauseSeason", SEASON, &pause(true)).await;
    let moved = json!([{
        "id": "season:high-summer", "startDateBefore": "2026-08-25T00:00:00.000Z", "startDateAfter": "2026-08-28T00:00:00.000Z",
    }]);
    let affected = &tried["affected"];
    assert_eq!((&affected["stateBefore"], &affected["stateAfter"]), (&json!("ACTIVE"), &json!("PAUSED")));
    assert_eq!(affected["endDateBefore"], "2026-08-18T00:00:00.000Z");
    assert_eq!((&affected["endDateAfter"], &affected["movedSeasons"]), (&json!("2026-08-28T00:00:00.000Z"), &moved));
    assert_eq!(tried["season"]["state"], "ACTIVE", "it was only tried");
    assert_eq!(start_of(&stage, "high-summer").await, "2026-08-25T00:00:00.000Z");

    let paused = perform(&admin, "pauseSeason", SEASON, &pause(false)).await;
    assert_eq!((&paused["affected"], &paused["season"]["state"]), (affected, &json!("PAUSED")));
    assert_eq!(start_of(&stage, "high-summer").await, "2026-08-28T00:00:00.000Z");
    let resumed = perform(&admin, "resumeSeason", SEASON, &json!({ "id": "rising-tide" })).await;
    assert_eq!(resumed["affected"]["movedSeasons"][0]["startDateAfter"], "2026-08-25T00:00:00.000Z");
    assert_eq!(start_of(&stage, "high-summer").await, "2026-08-25T00:00:00.000Z");
}

async fn a_paused_season_goes_on_where_it_stood(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    perform(&admin, "pauseSeason", SEASON, &json!({ "id": "rising-tide" })).await;
    let later = stage.with(&[("WAYMARK_CLOCK", "2026-06-20T12:00:00Z")]).await;
    let clock = "{ season(id: \"rising-tide\") { state timeLeft endDate } }";
    let paused = json!({ "state": "PAUSED", "timeLeft": 5_313_600, "endDate": "2026-08-21T00:00:00.000Z" });
    assert_eq!(later.anonymous().data(clock, Value::Null).await["season"], paused);
    let resumed =
        perform(&later.app(&[Scope::Admin]).await, "resumeSeason", SEASON, &json!({ "id": "rising-tide" })).await;
    assert_eq!(
        resumed["season"]["pauses"][1],
        json!({ "from": "2026-06-17T12:00:00.000Z", "until": "2026-06-20T12:00:00.000Z" })
    );
    let active = json!({ "state": "ACTIVE", "timeLeft": 5_313_600, "endDate": "2026-08-21T00:00:00.000Z" });
    assert_eq!(later.anonymous().data(clock, Value::Null).await["season"], active);
}

async fn an_ended_season_is_over_for_good(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    perform(&admin, "pauseSeason", SEASON, &json!({ "id": "rising-tide" })).await;
    let later = stage.with(&[("WAYMARK_CLOCK", "2026-06-20T12:00:00Z")]).await;
    let admin = later.app(&[Scope::Admin]).await;
    let ended = perform(&admin, "endSeason", SEASON, &json!({ "id": "season:rising-tide" })).await;
    let season = &ended["season"];
    assert_eq!((&season["state"], &season["endDate"]), (&json!("ENDED"), &json!("2026-06-20T12:00:00.000Z")));
    assert_eq!(season["pauses"][1]["until"], "2026-06-20T12:00:00.000Z", "a pause does not outlast its season");
    assert_eq!(
        (&ended["affected"]["stateBefore"], &ended["affected"]["stateAfter"]),
        (&json!("PAUSED"), &json!("ENDED"))
    );
    let new = json!({ "key": "new", "title": "New", "startDate": "2026-06-20T12:00:00Z", "duration": 86_400 });
    assert_eq!(refusals(&upsert(&admin, new).await), Vec::<String>::new(), "there is room behind it");
    let longer = json!({ "key": "rising-tide", "duration": 86_400 * 365 });
    assert_eq!(refusals(&upsert(&admin, longer).await), ["SEASON_ENDED"]);
}

async fn what_does_not_fit_the_state_is_refused(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let refused = async |mutation: &str, input: Value| {
        let payload = perform(&admin, mutation, SEASON, &input).await;
        assert_eq!(payload["affected"], Value::Null, "{mutation}");
        refusals(&payload)
    };
    for mutation in ["pauseSeason", "resumeSeason", "endSeason"] {
        assert_eq!(refused(mutation, json!({ "id": "high-summer" })).await, ["SEASON_NOT_STARTED"]);
        assert_eq!(refused(mutation, json!({ "id": "first-light" })).await, ["SEASON_ENDED"]);
        assert_eq!(refused(mutation, json!({ "id": "nothing", "dryRun": true })).await, ["UNKNOWN_SEASON id"]);
    }
    assert_eq!(refused("resumeSeason", json!({ "id": "rising-tide" })).await, ["SEASON_NOT_PAUSED"]);
    for until in ["2026-06-17T12:00:00Z", "2026-06-01T00:00:00Z", "2126-06-01T00:00:00Z"] {
        let input = json!({ "id": "rising-tide", "until": until });
        assert_eq!(refused("pauseSeason", input).await, ["INVALID_INPUT until"]);
    }
    perform(&admin, "pauseSeason", SEASON, &json!({ "id": "rising-tide" })).await;
    assert_eq!(refused("pauseSeason", json!({ "id": "rising-tide" })).await, ["SEASON_PAUSED"]);
}

async fn what_is_only_tried_changes_nothing(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let version = number(&stage, "SELECT version FROM catalogue_version").await;
    let new = json!({
        "key": "new", "title": "New", "startDate": "2027-01-01T00:00:00Z", "duration": 86400, "dryRun": true,
        "goals": [{ "key": "new", "title": "New", "totalSteps": 1 }],
    });
    let tried = upsert(&admin, new).await;
    assert_eq!((&tried["created"], &tried["season"], &tried["userErrors"]), (&json!(true), &Value::Null, &json!([])));
    assert_eq!(tried["affected"]["startDateAfter"], "2027-01-01T00:00:00.000Z");
    let longer = json!({ "key": "rising-tide", "duration": 12 * 604_800 + 60, "dryRun": true });
    let tried = upsert(&admin, longer).await;
    assert_eq!(tried["affected"]["endDateAfter"], "2026-08-18T00:01:00.000Z");
    assert_eq!(tried["season"]["duration"], 12 * 604_800);
    for mutation in ["pauseSeason", "endSeason"] {
        perform(&admin, mutation, SEASON, &json!({ "id": "rising-tide", "dryRun": true })).await;
    }
    let overlapping = json!({ "key": "rising-tide", "duration": 20 * 604_800, "dryRun": true });
    assert_eq!(refusals(&upsert(&admin, overlapping).await), ["SEASON_OVERLAP duration"]);
    assert_eq!(number(&stage, "SELECT version FROM catalogue_version").await, version);
    assert_eq!(audit_log(&stage).await, []);
}

async fn it_is_told_who_is_affected(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let tried = perform(&admin, "endSeason", SEASON, &json!({ "id": "rising-tide", "dryRun": true })).await;
    let affected = &tried["affected"];
    let season = "(SELECT id FROM seasons WHERE key = 'rising-tide')";
    let enrolled = number(&stage, &format!("SELECT count(*) FROM season_enrolments WHERE season_id = {season}")).await;
    let goals = |condition: &str| {
        format!(
            "SELECT count(*) FROM goal_progress p JOIN goals g ON g.id = p.goal_id WHERE g.season_id = {season} AND {condition}"
        )
    };
    let under_way = number(&stage, &goals("p.completed_steps > 0 AND p.completed_steps < g.total_steps")).await;
    let unclaimed = goals(
        "p.completed_steps >= g.total_steps AND NOT EXISTS (SELECT 1 FROM goal_claims c \
        WHERE c.user_id = p.user_id AND c.goal_id = p.goal_id)",
    );
    let unclaimed = number(&stage, &unclaimed).await;
    assert!(enrolled > 0 && under_way > 0 && unclaimed > 0, "{enrolled} {under_way} {unclaimed}");
    // Four goals of the whole season, and three of the week.
    let counts = ["enrolledUsers", "goalsUnderWay", "unclaimedGoals", "openGoals"].map(|name| affected[name].as_i64());
    assert_eq!(counts, [enrolled, under_way, unclaimed, 7].map(Some));
}

async fn budgets_cover_what_has_been_granted(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let season = "(SELECT id FROM seasons WHERE key = 'rising-tide')";
    let spent = async |week: i32| {
        number(&stage, &format!("SELECT spent_micros FROM season_budgets WHERE season_id = {season} AND week = {week}"))
            .await
    };
    let granted = spent(0).await;
    assert!(granted > 0);
    let budget = async |week: Option<i32>, micros: Option<i64>| {
        let cap = micros.map(|micros| format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000));
        let input = json!({ "key": "rising-tide", "budgets": [{ "week": week, "cap": cap }] });
        refusals(&upsert(&admin, input).await)
    };
    assert_eq!(budget(None, Some(granted - 1)).await, ["INVALID_INPUT budgets.0.cap"]);
    assert_eq!(budget(None, Some(granted)).await, Vec::<String>::new());
    // Without a bound, and bounded again: what was granted counts.
    assert_eq!(budget(None, None).await, Vec::<String>::new());
    assert_eq!(
        number(&stage, &format!("SELECT count(*) FROM season_budgets WHERE season_id = {season} AND week = 0")).await,
        0
    );
    assert_eq!(budget(None, Some(granted - 1)).await, ["INVALID_INPUT budgets.0.cap"]);
    assert_eq!(budget(None, Some(granted + 5)).await, Vec::<String>::new());
    assert_eq!(spent(0).await, granted);
    assert_eq!(budget(Some(2), Some(0)).await, ["INVALID_INPUT budgets.0.cap"]);
    let negative = json!({ "key": "rising-tide", "budgets": [{ "cap": "-0.5" }] });
    assert!(refusals(&upsert(&admin, negative).await).contains(&"INVALID_INPUT budgets.0.cap".to_owned()));
}

async fn goals_with_which_somebody_has_progress_stay(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let new = json!({ "key": "rising-tide", "goals": [{ "key": "new", "title": "New", "totalSteps": 2 }] });
    assert_eq!(refusals(&upsert(&admin, new).await), Vec::<String>::new());
    let goals = "{ season(id: \"rising-tide\") { goals { key } } }";
    let goals = stage.anonymous().data(goals, Value::Null).await["season"]["goals"].clone();
    let touched = goals[0]["key"].as_str().unwrap();
    let remove = json!({ "key": "rising-tide", "removeGoals": ["new", touched, "nothing"] });
    assert_eq!(refusals(&upsert(&admin, remove).await), ["IN_USE removeGoals.1", "UNKNOWN_GOAL removeGoals.2"]);
    let both = json!({ "key": "rising-tide", "removeGoals": ["new"], "goals": [{ "key": "new", "title": "New", "totalSteps": 1 }] });
    assert_eq!(refusals(&upsert(&admin, both).await), ["INVALID_INPUT removeGoals.0"]);
    let elsewhere = json!({ "key": "high-summer", "removeGoals": ["new"] });
    assert_eq!(refusals(&upsert(&admin, elsewhere).await), ["UNKNOWN_GOAL removeGoals.0"]);
    assert_eq!(
        refusals(&upsert(&admin, json!({ "key": "rising-tide", "removeGoals": ["new"] })).await),
        Vec::<String>::new()
    );
}

async fn fewer_steps_complete_a_goal_for_whoever_made_them(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let goal = |steps: i32| json!({ "key": "rising-tide", "goals": [{ "key": "walk", "title": "Walk", "totalSteps": steps }] });
    upsert(&admin, goal(5)).await;
    let made = "INSERT INTO goal_progress (user_id, goal_id, completed_steps, completed_at, updated_at) \
        SELECT u.id, g.id, 3, NULL, 0 FROM users u, goals g WHERE u.handle IN ('grace', 'ada') AND g.key = 'walk'";
    execute(&stage, made).await;
    let complete = "SELECT count(*) FROM goal_progress p JOIN goals g ON g.id = p.goal_id \
        WHERE g.key = 'walk' AND p.completed_at IS NOT NULL";
    upsert(&admin, goal(4)).await;
    assert_eq!(number(&stage, complete).await, 0);
    upsert(&admin, goal(3)).await;
    assert_eq!(number(&stage, complete).await, 2);
    for handle in ["grace", "ada"] {
        let newest = newest_events(&admin, handle, 1).await;
        assert_eq!(newest, [("GOAL_COMPLETED".to_owned(), "goal:walk".to_owned(), json!({ "totalSteps": 3 }))]);
    }
    upsert(&admin, goal(6)).await;
    assert_eq!(number(&stage, complete).await, 0);
}

async fn fewer_steps_complete_several_goals_of_one_user_at_once(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let goals = |steps: i32| {
        let goal = |key: &str| json!({ "key": key, "title": "Walk", "totalSteps": steps });
        json!({ "key": "rising-tide", "goals": [goal("walk"), goal("run")] })
    };
    upsert(&admin, goals(5)).await;
    let made = "INSERT INTO goal_progress (user_id, goal_id, completed_steps, completed_at, updated_at) \
        SELECT u.id, g.id, 3, NULL, 0 FROM users u, goals g WHERE u.handle = 'ada' AND g.key IN ('walk', 'run')";
    execute(&stage, made).await;
    assert_eq!(refusals(&upsert(&admin, goals(3)).await), Vec::<String>::new());
    let newest = newest_events(&admin, "ada", 2).await;
    let subjects: Vec<(&str, &str)> =
        newest.iter().map(|(kind, subject, _)| (kind.as_str(), subject.as_str())).collect();
    assert_eq!(subjects, [("GOAL_COMPLETED", "goal:run"), ("GOAL_COMPLETED", "goal:walk")]);
}

async fn a_goal_whose_reward_was_claimed_stays_in_its_week(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let goal = |week: i32| json!({ "key": "rising-tide", "goals": [{ "key": "walk", "title": "Walk", "totalSteps": 1, "week": week }] });
    upsert(&admin, goal(1)).await;
    assert_eq!(refusals(&upsert(&admin, goal(2)).await), Vec::<String>::new());
    let claimed = "INSERT INTO goal_claims (user_id, goal_id, lot_seq, reward_micros, claimed_at) \
        SELECT u.id, g.id, 0, 0, 0 FROM users u, goals g WHERE u.handle = 'ada' AND g.key = 'walk'";
    execute(&stage, claimed).await;
    assert_eq!(refusals(&upsert(&admin, goal(1)).await), ["IN_USE goals.0.week"]);
    assert_eq!(refusals(&upsert(&admin, goal(2)).await), Vec::<String>::new());
}
