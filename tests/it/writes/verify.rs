//! Whether everything follows from its source, and mending what does not.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};
use waymark::auth::Scope;
use waymark::db::Db;
use waymark::demo::{self, Scale};

use crate::cli::run;
use crate::harness::{Actor, Blank, NOW, Stage, tests};

tests! {
    demo: [
        the_demo_data_follows_from_its_sources,
        only_operators_verify_and_repair,
    ],
    blank: [
        demo_data_that_is_added_to_counts_what_was_claimed_and_reverts_nothing,
        the_data_to_measure_with_follows_from_its_sources,
    ],
    own: [
        every_check_finds_what_differs_and_what_can_be_mended_is_mended,
        a_difference_says_whose_it_is_and_what_should_be,
        one_user_is_looked_at_alone,
        more_than_a_hundred_differences_are_counted_and_cut,
        what_its_cap_does_not_cover_is_not_mended,
        what_a_merged_user_left_behind_is_not_mended,
        a_repair_stands_in_the_audit_log_and_in_no_history,
        what_cannot_be_mended_can_be_acknowledged,
        writes_that_go_on_meanwhile_are_no_differences,
        a_repair_and_writes_go_on_together,
    ],
}

const VERIFY: &str = "mutation($input: VerifyInput!) { verify(input: $input) {
    usersChecked differenceCount truncated userErrors { code } checks { check found mended }
    differences { userId check what stored expected } } }";
const REPAIR: &str = "mutation($input: RepairInput!) { repair(input: $input) {
    usersChecked mendedCount differenceCount truncated userErrors { code } checks { check found mended }
    mended { userId check what stored expected } differences { userId check what stored expected } } }";

async fn verify(admin: &Actor) -> Value {
    admin.data(VERIFY, json!({ "input": {} })).await["verify"].clone()
}

async fn repair(admin: &Actor) -> Value {
    admin.data(REPAIR, json!({ "input": {} })).await["repair"].clone()
}

async fn execute(db: &Db, sql: &str) {
    let done = db.writes().execute_unprepared(sql).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn number(db: &Db, sql: &str) -> i64 {
    let connection = db.writes();
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    connection.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

fn found(answer: &Value, check: &str) -> i64 {
    let counts = answer["checks"].as_array().unwrap();
    counts.iter().find(|count| count["check"] == check).unwrap_or_else(|| panic!("no {check}"))["found"]
        .as_i64()
        .unwrap()
}

#[track_caller]
fn assert_clean(answer: &Value) {
    assert_eq!((&answer["differenceCount"], &answer["truncated"]), (&json!(0), &json!(false)), "{answer:#}");
}

async fn the_demo_data_follows_from_its_sources(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let verified = verify(&admin).await;
    assert_clean(&verified);
    assert_eq!(verified["usersChecked"], 200);
    assert!(verified["checks"].as_array().unwrap().len() >= 15);
}

async fn the_data_to_measure_with_follows_from_its_sources(blank: Blank) {
    blank.db.migrate().await.unwrap();
    let options = demo::Options { users: Some(250), scale: Scale::Load };
    let now = waymark::clock::Timestamp::parse(NOW).unwrap();
    demo::fill(&blank.db, options, now, &|_, _| {}).await.unwrap();
    let stage = blank.stage().await;
    let verified = verify(&stage.app(&[Scope::Admin]).await).await;
    assert_clean(&verified);
    assert_eq!(verified["usersChecked"], 250, "more than one lot of users");
}

async fn demo_data_that_is_added_to_counts_what_was_claimed_and_reverts_nothing(blank: Blank) {
    blank.db.migrate().await.unwrap();
    let now = waymark::clock::Timestamp::parse(NOW).unwrap();
    let fill = async |users| {
        let options = demo::Options { users: Some(users), scale: Scale::Demo };
        demo::fill(&blank.db, options, now, &|_, _| {}).await.unwrap();
    };
    fill(130).await;
    let stage = blank.stage().await;
    let admin = stage.app(&[Scope::Admin]).await;
    let claim = r#"mutation { claimGoals(input: {goalIds: ["rising-tide-3"]}) { results { status } } }"#;
    let claimed = stage.user("grace").data(claim, Value::Null).await;
    assert_eq!(claimed["claimGoals"]["results"][0]["status"], "CLAIMED", "{claimed}");
    let rename = r#"mutation {
        upsertSeason(input: {key: "rising-tide", title: "Ebb", budgets: [{cap: "200000"}]}) { userErrors { message } }
        upsertCollection(input: {key: "program_123", name: "Other"}) { userErrors { message } } }"#;
    let renamed = admin.data(rename, Value::Null).await;
    assert_eq!(renamed["upsertSeason"]["userErrors"], json!([]), "{renamed}");
    let edited = r#"{ season(id: "rising-tide") { title } collection(id: "program_123") { name } }"#;
    let before = admin.data(edited, Value::Null).await;
    fill(260).await;
    stage.app.refresh_catalogue().await.unwrap();
    assert_eq!(admin.data(edited, Value::Null).await, before);
    let verified = verify(&admin).await;
    assert_clean(&verified);
    assert_eq!(verified["usersChecked"], 260);
    assert_eq!(number(&blank.db, "SELECT count(*) FROM season_budgets WHERE cap_micros = 200000000000").await, 1);
}

async fn only_operators_verify_and_repair(stage: Stage) {
    let writer = stage.app(&[Scope::ProgressWrite]).await;
    for actor in [stage.anonymous(), stage.user("grace"), writer] {
        for mutation in [VERIFY, REPAIR] {
            assert_eq!(actor.query(mutation, json!({ "input": {} })).await.codes(), ["FORBIDDEN"]);
        }
    }
    let admin = stage.app(&[Scope::Admin]).await;
    let unknown = json!({ "input": { "user": { "handle": "nobody" } } });
    for (mutation, query) in [("verify", VERIFY), ("repair", REPAIR)] {
        let found = admin.data(query, unknown.clone()).await[mutation].clone();
        assert_eq!((&found["usersChecked"], &found["checks"]), (&json!(0), &json!([])), "nobody is looked at: {found}");
    }
}

/// A wrong row, the check that has to find it, and for what cannot be mended how to take it back.
struct Wrong {
    check: &'static str,
    sql: &'static str,
    undo: Option<&'static str>,
}

const fn mendable(check: &'static str, sql: &'static str) -> Wrong {
    Wrong { check, sql, undo: None }
}

const fn unmendable(check: &'static str, sql: &'static str, undo: &'static str) -> Wrong {
    Wrong { check, sql, undo: Some(undo) }
}

const WRONGS: &[Wrong] = &[
    mendable("games.possible", "UPDATE games SET num_possible = num_possible + 1 WHERE id = 1"),
    mendable("games.possible", "UPDATE games SET possible_score = 0 WHERE id = 2"),
    mendable(
        "games.unlocks",
        "UPDATE achievement_unlocks SET game_id = game_id + 1 WHERE (user_id, achievement_id) =
             (SELECT user_id, achievement_id FROM achievement_unlocks ORDER BY 1, 2 LIMIT 1)",
    ),
    unmendable(
        "games.unlocks",
        "UPDATE achievement_unlocks SET achievement_id = achievement_id + 1000000 WHERE (user_id, achievement_id) =
             (SELECT user_id, achievement_id FROM achievement_unlocks ORDER BY 1, 2 LIMIT 1)",
        "UPDATE achievement_unlocks SET achievement_id = achievement_id - 1000000 WHERE achievement_id > 1000000",
    ),
    unmendable(
        "games.hardcore",
        "UPDATE achievement_unlocks SET unlocked_at = unlocked_at + 1000000000000 WHERE (user_id, achievement_id) =
             (SELECT user_id, achievement_id FROM achievement_unlocks WHERE unlocked_hardcore_at IS NOT NULL
              ORDER BY 1, 2 LIMIT 1)",
        "UPDATE achievement_unlocks SET unlocked_at = unlocked_at - 1000000000000 WHERE unlocked_at > 2500000000000",
    ),
    mendable(
        "games.summaries",
        "UPDATE game_summaries SET num_achieved = num_achieved + 1, score_achieved = score_achieved + 5
         WHERE (user_id, game_id) = (SELECT user_id, game_id FROM game_summaries ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable(
        "games.summaries",
        "UPDATE game_summaries SET first_unlocked_at = first_unlocked_at - 1, last_unlocked_at = last_unlocked_at + 1
         WHERE user_id = (SELECT min(user_id) FROM game_summaries WHERE last_unlocked_at IS NOT NULL)",
    ),
    mendable(
        "games.summaries",
        "UPDATE game_summaries SET beaten_at = NULL, completed_at = NULL, mastered_at = NULL
         WHERE (user_id, game_id) =
             (SELECT user_id, game_id FROM game_summaries WHERE mastered_at IS NOT NULL ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable(
        "games.summaries",
        "DELETE FROM game_summaries WHERE (user_id, game_id) =
             (SELECT user_id, game_id FROM game_summaries WHERE num_achieved > 0 ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable(
        "games.summaries",
        "DELETE FROM achievement_unlocks WHERE (user_id, achievement_id) = (SELECT u.user_id, u.achievement_id
             FROM achievement_unlocks u JOIN achievements a ON a.id = u.achievement_id AND a.published AND a.points > 0
             ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable(
        "learning.owners",
        "DELETE FROM instance_owners WHERE external_id = (SELECT min(external_id) FROM study_plan_instances)",
    ),
    mendable(
        "learning.completions",
        "UPDATE resource_progress SET completed_at = NULL WHERE (user_id, resource_id) =
             (SELECT user_id, resource_id FROM resource_progress WHERE completed ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable(
        "learning.completions",
        "UPDATE resource_progress SET completed_at = 5 WHERE (user_id, resource_id) =
             (SELECT user_id, resource_id FROM resource_progress WHERE NOT completed ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable(
        "learning.marks",
        "UPDATE study_plan_instance_resources SET marked_at = 5 WHERE (user_id, resource_id) = (
             SELECT m.user_id, m.resource_id FROM study_plan_instance_resources m
             JOIN resource_progress p ON p.user_id = m.user_id AND p.resource_id = m.resource_id AND NOT p.completed
             ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable(
        "learning.marks",
        "UPDATE study_plan_instance_resources SET marked_at = 5 WHERE (user_id, resource_id) = (
             SELECT m.user_id, m.resource_id FROM study_plan_instance_resources m WHERE NOT EXISTS (
                 SELECT 1 FROM resource_progress p WHERE p.user_id = m.user_id AND p.resource_id = m.resource_id)
             ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable(
        "collections.cards",
        "UPDATE owned_cards SET collection_id = collection_id + 1 WHERE (user_id, card_id) =
             (SELECT user_id, card_id FROM owned_cards ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable(
        "collections.collected",
        "UPDATE collection_progress SET collected_count = collected_count + 1 WHERE (user_id, collection_id) =
             (SELECT user_id, collection_id FROM collection_progress WHERE completed_at IS NOT NULL ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable(
        "collections.collected",
        "DELETE FROM collection_progress WHERE (user_id, collection_id) =
             (SELECT user_id, collection_id FROM collection_progress WHERE completed_at IS NULL ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable(
        "collections.collected",
        "UPDATE owned_cards SET quantity = 0 WHERE (user_id, card_id) =
             (SELECT user_id, card_id FROM owned_cards WHERE quantity > 0 ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable(
        "collections.completions",
        "UPDATE collection_progress SET completed_at = NULL WHERE (user_id, collection_id) =
             (SELECT user_id, collection_id FROM collection_progress
              WHERE completed_at IS NOT NULL AND reward_claimed_at IS NULL ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable(
        "collections.completions",
        "UPDATE collection_progress SET completed_at = NULL WHERE (user_id, collection_id) =
             (SELECT user_id, collection_id FROM collection_progress
              WHERE reward_claimed_at IS NOT NULL ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable("collections.rewards", "UPDATE collection_rewards SET claimed = claimed - 1 WHERE claimed > 0"),
    mendable(
        "seasons.steps",
        "UPDATE goal_progress SET completed_steps = completed_steps + 7 WHERE (user_id, goal_id) =
             (SELECT user_id, goal_id FROM goal_progress WHERE completed_at IS NOT NULL ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable(
        "seasons.completions",
        "UPDATE goal_progress SET completed_at = NULL WHERE (user_id, goal_id) =
             (SELECT user_id, goal_id FROM goal_progress WHERE completed_at IS NOT NULL ORDER BY 1, 2 LIMIT 1)",
    ),
    mendable(
        "seasons.completions",
        "UPDATE goal_progress SET completed_at = 5 WHERE (user_id, goal_id) =
             (SELECT user_id, goal_id FROM goal_progress WHERE completed_at IS NULL ORDER BY 1, 2 LIMIT 1)",
    ),
    unmendable(
        "seasons.claims",
        "UPDATE goal_claims SET lot_seq = lot_seq + 1000000 WHERE (user_id, goal_id) =
             (SELECT user_id, goal_id FROM goal_claims ORDER BY 1, 2 LIMIT 1)",
        "UPDATE goal_claims SET lot_seq = lot_seq - 1000000 WHERE lot_seq > 1000000",
    ),
    unmendable(
        "seasons.claims",
        "UPDATE credit_lots SET goal_id = -goal_id WHERE (user_id, seq) =
             (SELECT user_id, seq FROM credit_lots WHERE source = 'GOAL' ORDER BY 1, 2 LIMIT 1)",
        "UPDATE credit_lots SET goal_id = -goal_id WHERE goal_id < 0",
    ),
    mendable("seasons.budgets", "UPDATE season_budgets SET spent_micros = spent_micros + 1 WHERE week IN (0, 1)"),
    unmendable(
        "credits.granted",
        "UPDATE credit_entries SET amount_micros = amount_micros + 7 WHERE (user_id, seq) =
             (SELECT user_id, seq FROM credit_entries WHERE kind = 'GRANT' ORDER BY 1, 2 LIMIT 1)",
        "UPDATE credit_entries SET amount_micros = amount_micros - 7 WHERE (user_id, seq) =
             (SELECT user_id, seq FROM credit_entries WHERE kind = 'GRANT' ORDER BY 1, 2 LIMIT 1)",
    ),
    unmendable(
        "credits.entries",
        "UPDATE credit_entries SET lot_seq = lot_seq + 1000000 WHERE (user_id, seq) =
             (SELECT user_id, seq FROM credit_entries WHERE kind = 'SPEND' ORDER BY 1, 2 LIMIT 1)",
        "UPDATE credit_entries SET lot_seq = lot_seq - 1000000 WHERE lot_seq > 1000000",
    ),
    mendable(
        "credits.remaining",
        "UPDATE credit_lots SET remaining_micros = remaining_micros - 1 WHERE (user_id, seq) =
             (SELECT user_id, seq FROM credit_lots WHERE remaining_micros > 0 ORDER BY 1, 2 LIMIT 1)",
    ),
    unmendable(
        "credits.remaining",
        "UPDATE credit_entries SET amount_micros = amount_micros + 1000000000000 WHERE (user_id, seq) =
             (SELECT user_id, seq FROM credit_entries WHERE kind = 'SPEND' ORDER BY 1, 2 LIMIT 1)",
        "UPDATE credit_entries SET amount_micros = amount_micros - 1000000000000 WHERE amount_micros > 1000000000000",
    ),
    mendable(
        "credits.numbers",
        "UPDATE user_counters SET ledger_seq = 0 WHERE user_id = (SELECT min(user_id) FROM credit_entries)",
    ),
    unmendable(
        "history.gaps",
        "UPDATE history_events SET seq = seq + 1 WHERE user_id = 1 AND seq = (
             SELECT max(seq) FROM history_events WHERE user_id = 1)",
        "UPDATE history_events SET seq = seq - 1 WHERE user_id = 1 AND seq = (
             SELECT max(seq) FROM history_events WHERE user_id = 1)",
    ),
    mendable("history.counter", "UPDATE user_counters SET history_seq = history_seq + 1 WHERE user_id = 1"),
    mendable("users.counters", "UPDATE users SET erased_at = 0 WHERE id = 200"),
    unmendable(
        "users.counters",
        "UPDATE user_counters SET gone = TRUE WHERE user_id = 1",
        "UPDATE user_counters SET gone = FALSE WHERE user_id = 1",
    ),
    unmendable(
        "users.rows",
        "INSERT INTO season_enrolments (user_id, season_id, enrolled_at) VALUES (1000000, 1, 5)",
        "DELETE FROM season_enrolments WHERE user_id = 1000000",
    ),
];

/// What a table refuses is planted all the same.
async fn without_constraints(db: &Db) {
    if db.writes().get_database_backend() == DbBackend::Sqlite {
        execute(db, "PRAGMA foreign_keys = OFF").await;
        return execute(db, "PRAGMA ignore_check_constraints = ON").await;
    }
    let drop = "DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT conname FROM pg_constraint WHERE conrelid = 'achievement_unlocks'::regclass AND contype = 'c'
        LOOP EXECUTE 'ALTER TABLE achievement_unlocks DROP CONSTRAINT ' || quote_ident(name); END LOOP;
        FOR name IN SELECT conname FROM pg_constraint WHERE conrelid = 'season_enrolments'::regclass AND contype = 'f'
        LOOP EXECUTE 'ALTER TABLE season_enrolments DROP CONSTRAINT ' || quote_ident(name); END LOOP; END $$";
    execute(db, drop).await;
}

async fn what_cannot_be_mended_can_be_acknowledged(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    without_constraints(stage.db()).await;
    let lose = "UPDATE history_events SET seq = seq + 1 WHERE user_id = 1 AND seq = (
        SELECT max(seq) FROM history_events WHERE user_id = 1)";
    let nobody = "INSERT INTO season_enrolments (user_id, season_id, enrolled_at) VALUES (1000000, 1, 5)";
    execute(stage.db(), lose).await;
    execute(stage.db(), nobody).await;
    repair(&admin).await;
    assert_eq!(verify(&admin).await["differenceCount"], 2);
    let settings = [("WAYMARK_DATABASE_URL", &*stage.url)];
    for _ in 0..2 {
        let done = run(&["repair", "--acknowledge", "lost with the old server"], &settings);
        let printed = done.out.lines().filter(|line| line.starts_with("acknowledged: ")).count();
        assert_eq!((done.code, printed), (0, 2), "{}{}", done.out, done.err);
    }
    let audited =
        "SELECT count(*) FROM audit_log WHERE action = 'acknowledge' AND changes LIKE '%with the old server%'";
    assert_eq!(number(stage.db(), audited).await, 2, "once each");
    assert_clean(&verify(&admin).await);
    let figures = stage.app.figures();
    assert!(figures.contains("waymark_verify_differences 0\n"), "{figures}");
    // A gap is the same when the history has grown.
    let grow = "INSERT INTO history_events SELECT user_id, seq + 1, kind, actor, subject_type, subject_key, changes,
        occurred_at, recorded_at FROM history_events WHERE user_id = 1 AND seq = (
        SELECT max(seq) FROM history_events WHERE user_id = 1)";
    execute(stage.db(), grow).await;
    execute(stage.db(), "UPDATE user_counters SET history_seq = history_seq + 1 WHERE user_id = 1").await;
    assert_clean(&verify(&admin).await);
    let told = run(&["verify"], &settings);
    assert_eq!((told.code, told.out.lines().count()), (0, 2), "{}{}", told.out, told.err);
    assert!(told.out.lines().all(|line| line.starts_with("acknowledged: ")), "{}", told.out);
    assert!(told.err.contains("2 differences are acknowledged"), "{}", told.err);
    // Another one is another difference.
    execute(stage.db(), lose).await;
    execute(stage.db(), "UPDATE user_counters SET history_seq = history_seq + 1 WHERE user_id = 1").await;
    assert_eq!(verify(&admin).await["differenceCount"], 1);
    assert_eq!(run(&["verify"], &settings).code, 1);
}

async fn every_check_finds_what_differs_and_what_can_be_mended_is_mended(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    without_constraints(stage.db()).await;
    for Wrong { check, sql, undo } in WRONGS {
        execute(stage.db(), sql).await;
        let verified = verify(&admin).await;
        assert!(found(&verified, check) > 0, "{check} finds {sql}: {verified:#}");
        let repaired = repair(&admin).await;
        let left = found(&verify(&admin).await, check);
        if let Some(undo) = undo {
            assert!(left > 0, "{check} cannot mend {sql}: {repaired:#}");
            assert!(repaired["differences"].as_array().unwrap().iter().any(|one| one["check"] == *check));
            execute(stage.db(), undo).await;
            repair(&admin).await;
        } else {
            assert!(repaired["mendedCount"].as_i64().unwrap() > 0 && repaired["differenceCount"] == 0, "{repaired:#}");
        }
        assert_clean(&verify(&admin).await);
    }
    let known: BTreeSet<&str> = WRONGS.iter().map(|wrong| wrong.check).collect();
    let verified = verify(&admin).await;
    let all = verified["checks"].as_array().unwrap().iter().map(|count| count["check"].as_str().unwrap());
    assert_eq!(all.collect::<BTreeSet<_>>(), known, "the list of these tests is complete");
}

async fn a_difference_says_whose_it_is_and_what_should_be(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let user = "{ user(by: {handle: \"grace\"}) { id history(first: 1) { nodes { number } } } }";
    let grace = admin.data(user, Value::Null).await["user"].clone();
    let last = grace["history"]["nodes"][0]["number"].as_i64().unwrap();
    execute(
        stage.db(),
        "UPDATE user_counters SET history_seq = 100000 \
         WHERE user_id = (SELECT id FROM users WHERE handle = 'grace')",
    )
    .await;
    execute(stage.db(), "UPDATE games SET num_possible = 7 WHERE key = '1'").await;
    let differences = verify(&admin).await["differences"].clone();
    let expected = json!([
        {
            "userId": grace["id"], "check": "history.counter", "what": "the last number of the history",
            "stored": "100000", "expected": last.to_string(),
        },
        {
            "userId": null, "check": "games.possible", "what": "achievements of game:1",
            "stored": "7", "expected": "23",
        },
    ]);
    assert_eq!(differences, expected);
    let repaired = repair(&admin).await;
    assert_eq!((&repaired["mended"], &repaired["differences"]), (&expected, &json!([])));
}

async fn one_user_is_looked_at_alone(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let both = "UPDATE user_counters SET history_seq = history_seq + 1 \
         WHERE user_id IN (SELECT id FROM users WHERE handle IN ('grace', 'ada'))";
    execute(stage.db(), both).await;
    let of = |handle: &str| json!({ "input": { "user": { "handle": handle } } });
    let grace = admin.data(VERIFY, of("grace")).await["verify"].clone();
    assert_eq!((&grace["usersChecked"], &grace["differenceCount"]), (&json!(1), &json!(1)));
    assert_eq!(admin.data(REPAIR, of("grace")).await["repair"]["mendedCount"], 1);
    assert_clean(&admin.data(VERIFY, of("grace")).await["verify"]);
    assert_eq!(verify(&admin).await["differenceCount"], 1, "ada's is still there");
}

async fn more_than_a_hundred_differences_are_counted_and_cut(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    execute(stage.db(), "UPDATE user_counters SET history_seq = history_seq + 1").await;
    let verified = verify(&admin).await;
    assert_eq!((&verified["differenceCount"], &verified["truncated"]), (&json!(200), &json!(true)));
    assert_eq!(verified["differences"].as_array().unwrap().len(), 100);
    let repaired = repair(&admin).await;
    assert_eq!((&repaired["mendedCount"], &repaired["truncated"]), (&json!(200), &json!(true)));
    assert_eq!(repaired["mended"].as_array().unwrap().len(), 100);
    assert_clean(&verify(&admin).await);
}

async fn what_its_cap_does_not_cover_is_not_mended(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let lower = "UPDATE season_budgets SET spent_micros = 0, cap_micros = 0 WHERE spent_micros > 0 AND week = 0";
    execute(stage.db(), lower).await;
    let repaired = repair(&admin).await;
    assert_eq!(repaired["mendedCount"], 0);
    assert!(repaired["differenceCount"].as_i64().unwrap() > 0, "{repaired:#}");
    execute(stage.db(), "UPDATE season_budgets SET cap_micros = 1000000000000000").await;
    assert_clean(&repair(&admin).await);
}

async fn what_a_merged_user_left_behind_is_not_mended(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    execute(stage.db(), "UPDATE users SET merged_into = 1 WHERE id = 5").await;
    let raise = "UPDATE user_counters SET history_seq = history_seq + 1, gone = user_id = 5 WHERE user_id IN (5, 6)";
    execute(stage.db(), raise).await;
    let repaired = repair(&admin).await;
    assert_eq!((&repaired["mendedCount"], &repaired["differenceCount"]), (&json!(1), &json!(1)), "{repaired:#}");
}

async fn a_repair_stands_in_the_audit_log_and_in_no_history(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let count = "SELECT count(*) FROM audit_log WHERE action = 'repair' AND subject_key = 'credits.numbers'";
    let events = number(stage.db(), "SELECT count(*) FROM history_events").await;
    let (audit, log) = (number(stage.db(), count).await, "SELECT count(*) FROM audit_log");
    let all = number(stage.db(), log).await;
    repair(&admin).await;
    assert_eq!(number(stage.db(), log).await, all, "nothing was mended");
    execute(stage.db(), "UPDATE user_counters SET ledger_seq = 0").await;
    assert_eq!(repair(&admin).await["differenceCount"], 0);
    assert_eq!(number(stage.db(), count).await, audit + 1, "one entry for a lot of users");
    assert_eq!(number(stage.db(), "SELECT count(*) FROM history_events").await, events);
}

const UNLOCK: &str = "mutation($input: UnlockAchievementsInput!) { unlockAchievements(input: $input) {
    results { status } } }";

/// Unlocks for many users until it is told to stop; gives how many writes that were.
async fn unlock_until(stage: &Stage, stop: &AtomicBool) -> usize {
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let users =
        app.data("{ games(first: 10) { nodes { achievements(first: 30) { nodes { key } } } } }", Value::Null).await;
    let keys: Vec<Value> = users["games"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|game| game["achievements"]["nodes"].as_array().unwrap().iter().map(|one| one["key"].clone()))
        .collect();
    let clients = ["ada", "grace", "xelnia", "MaxMilyin"].map(|handle| {
        let (app, keys) = (app.clone(), &keys);
        async move {
            let mut done = 0;
            for some in keys.chunks(3).cycle() {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                let hardcore = done > keys.len() / 3;
                let unlocks: Vec<Value> =
                    some.iter().map(|key| json!({ "achievementId": key, "hardcore": hardcore })).collect();
                app.data(UNLOCK, json!({ "input": { "user": { "handle": handle }, "unlocks": unlocks } })).await;
                done += 1;
            }
            done
        }
    });
    futures_util::future::join_all(clients).await.into_iter().sum()
}

async fn writes_that_go_on_meanwhile_are_no_differences(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let stop = AtomicBool::new(false);
    let look = async {
        for _ in 0..12 {
            assert_clean(&verify(&admin).await);
        }
        stop.store(true, Ordering::Relaxed);
    };
    let (written, ()) = futures_util::future::join(unlock_until(&stage, &stop), look).await;
    assert!(written > 20, "{written} writes went on meanwhile");
    assert_clean(&verify(&admin).await);
}

async fn a_repair_and_writes_go_on_together(stage: Stage) {
    let admin = stage.app(&[Scope::Admin]).await;
    let stop = AtomicBool::new(false);
    let mend = async {
        for _ in 0..5 {
            let spoil = "UPDATE game_summaries SET num_achieved = num_achieved + 1 WHERE user_id <= 20";
            execute(stage.db(), spoil).await;
            execute(stage.db(), "UPDATE season_budgets SET spent_micros = spent_micros + 1 WHERE week = 0").await;
            repair(&admin).await;
            assert_clean(&verify(&admin).await);
        }
        stop.store(true, Ordering::Relaxed);
    };
    futures_util::future::join(unlock_until(&stage, &stop), mend).await;
    assert_clean(&verify(&admin).await);
}
