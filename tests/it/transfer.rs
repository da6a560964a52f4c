//! Files of records in and out, and copies of a live database.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};
use waymark::auth::Scope as KeyScope;
use waymark::clock::{Ids, Timestamp};
use waymark::db::{Db, Kind};
use waymark::transfer::{self, Complaint, Imported, Scope, Source};

use crate::everything;
use crate::harness::{Actor, NOW, Stage, count_anew, tests};

#[path = "../../examples/curriculum.rs"]
#[allow(dead_code, unreachable_pub, reason = "an example is a program")]
mod curriculum;

tests! {
    own: [
        another_database_answers_the_same_after_an_export_and_an_import,
        a_live_database_is_copied_while_it_is_written,
    ],
    few: [
        an_import_that_was_cut_off_goes_on,
        a_part_of_the_data_is_exported,
        what_was_erased_or_merged_does_not_come_back,
        an_older_export_reverts_nothing_and_a_newer_one_is_taken,
        an_older_export_brings_nothing_of_the_erased_back,
        the_export_of_one_user_has_that_users_keys_only,
    ],
    empty: [
        a_key_that_was_revoked_stays_so_whichever_record_comes_first,
        every_documented_record_is_imported,
        hand_made_records_append_events_as_live_writes_do,
        bad_records_are_reported_and_the_others_land,
        files_may_come_in_any_order,
        a_pipe_is_read_once_and_whole,
        a_duplicate_is_refused_at_once_and_alone,
        names_are_stored_in_one_spelling,
        users_are_merged_by_exports_only_and_never_in_a_circle,
        what_is_wrong_with_an_event_is_told_with_its_user,
        what_a_visibility_means_follows_from_the_version_of_the_file,
        imports_at_the_same_time_do_not_get_in_each_others_way,
        a_changed_achievement_changes_every_summary,
        what_was_retired_takes_what_happened_before,
        a_curriculum_becomes_resources_and_a_study_plan,
    ],
    once: [every_type_of_record_is_documented],
}

/// A directory of a test's own; removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("waymark-transfer-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> Source {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        Source::File(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn export(db: &Db, scope: Scope) -> String {
    let mut out = Vec::new();
    transfer::export(db, &mut out, &scope, false, &|_| {}).await.unwrap();
    String::from_utf8(out).unwrap()
}

async fn import_all(db: &Db, sources: Vec<Source>) -> (Imported, Vec<Complaint>) {
    let mut complaints = Vec::new();
    let now = Timestamp::parse(NOW).unwrap();
    let ids = Ids::system();
    let done = transfer::import(db, &ids, now, sources, &mut |one| complaints.push(one), &|_| {}).await.unwrap();
    assert_eq!(done.records, done.new + done.unchanged + done.bad);
    assert_eq!(done.bad, complaints.len() as u64);
    (done, complaints)
}

/// Imports text that must be good in every line.
pub(crate) async fn import(db: &Db, text: &str) -> Imported {
    let scratch = Scratch::new();
    let (done, complaints) = import_all(db, vec![scratch.file("records.ndjson", text)]).await;
    assert_eq!(complaints, []);
    done
}

async fn empty_sqlite(scratch: &Scratch, name: &str) -> String {
    let url = format!("sqlite://{}", scratch.0.join(name).display());
    let db = Db::connect(&url, 4).await.unwrap();
    db.migrate().await.unwrap();
    db.close().await.unwrap();
    url
}

/// An empty database on the server of `stage`.
async fn empty_postgres(stage: &Stage) -> String {
    let (server, name) = stage.url.rsplit_once('/').unwrap();
    let name = format!("{}_back", name.split('?').next().unwrap());
    stage.db().writes().execute_unprepared(&format!("CREATE DATABASE {name}")).await.unwrap();
    let url = format!("{server}/{name}");
    let db = Db::connect(&url, 4).await.unwrap();
    db.migrate().await.unwrap();
    db.close().await.unwrap();
    url
}

async fn count(db: &Db, sql: &str) -> i64 {
    let backend: DbBackend = db.reads().get_database_backend();
    let row = db.reads().query_one_raw(Statement::from_string(backend, sql)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

async fn text_of(db: &Db, sql: &str) -> String {
    let backend: DbBackend = db.reads().get_database_backend();
    let row = db.reads().query_one_raw(Statement::from_string(backend, sql)).await.unwrap().unwrap();
    row.try_get_by_index(0).unwrap()
}

/// Everything the server says about the catalogue, about the people with names, and about some others; and of everybody what
/// is computed on import.
async fn answers(actor: &Actor, users: &[String]) -> Vec<Value> {
    let schema = everything::schema();
    let selection = everything::selection(&schema, "User");
    let mut answers = Vec::new();
    let computed = "query($by: [UserBy!]!) { users(by: $by) { handle credits { available { micros } } \
        games(first: 100) { nodes { game { key } numAchieved scoreAchieved numAchievedHardcore scoreAchievedHardcore \
        awards { award } } } collections(first: 100) { nodes { collectedCount status } } \
        studyPlanInstances { percent } } }";
    for some in users.chunks(50) {
        let by: Vec<Value> = some.iter().map(|user| json!({ "id": user })).collect();
        answers.push(actor.data(computed, json!({ "by": by })).await);
    }
    let others = users.iter().skip(8).step_by(16);
    for user in users.iter().take(8).chain(others) {
        let query = format!("{{ {} {selection} }}", everything::field("Query", "user", user));
        answers.push(actor.data(&query, Value::Null).await);
    }
    for (list, kind) in [
        ("seasons", "SeasonConnection"),
        ("games", "GameConnection"),
        ("resources", "ResourceConnection"),
        ("studyPlans", "StudyPlanConnection"),
        ("collections", "CollectionConnection"),
    ] {
        let query = format!("{{ {list}(first: 100) {} }}", everything::selection(&schema, kind));
        answers.push(actor.data(&query, Value::Null).await);
    }
    answers
}

fn ulids(export: &str) -> Vec<String> {
    let users = export.lines().filter(|line| line.starts_with(r#"{"type":"user""#));
    users.map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned()).collect()
}

async fn another_database_answers_the_same_after_an_export_and_an_import(stage: Stage) {
    let scratch = Scratch::new();
    let first = export(stage.db(), Scope::All).await;
    assert_eq!(first, export(stage.db(), Scope::All).await, "two exports are the same bytes");
    // Everything about everybody is more than one operation may ask for.
    let any_cost = [("WAYMARK_MAX_COST", "1000000")];
    let reader = stage.with(&any_cost).await.app(&[KeyScope::ProgressRead]).await;
    let users = ulids(&first);
    assert_eq!(users.len(), 200);
    let expected = answers(&reader, &users).await;

    let mut urls = vec![empty_sqlite(&scratch, "other.db").await];
    if stage.db().kind() == Kind::Postgres {
        urls.push(empty_postgres(&stage).await);
    }
    let mut text = first.clone();
    for url in urls {
        let other = Stage::at(url).await.with(&any_cost).await;
        let records = text.lines().count() as u64 - 1;
        let done = import(other.db(), &text).await;
        assert_eq!(done, Imported { records, new: records, unchanged: 0, bad: 0 });
        other.app.refresh_catalogue().await.unwrap();
        let found = answers(&other.app(&[KeyScope::ProgressRead]).await, &users).await;
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected);
        }
        text = export(other.db(), Scope::All).await;
        differ(&first, &text);
        let again = import(other.db(), &text).await;
        assert_eq!(again, Imported { records, new: 0, unchanged: records, bad: 0 });
        differ(&first, &export(other.db(), Scope::All).await);
    }
}

/// Asserts that two exports are the same, and shows the first line where they are not.
#[track_caller]
fn differ(one: &str, two: &str) {
    let different = one.lines().zip(two.lines()).find(|(one, two)| one != two);
    assert_eq!(different, None);
    assert_eq!(one.len(), two.len());
}

async fn an_import_that_was_cut_off_goes_on(stage: Stage) {
    let scratch = Scratch::new();
    let whole = export(stage.db(), Scope::All).await;
    let lines: Vec<&str> = whole.lines().collect();
    let db = Db::connect(&empty_sqlite(&scratch, "cut.db").await, 4).await.unwrap();
    for part in [lines.len() / 3, lines.len() / 2] {
        import(&db, &lines[..part].join("\n")).await;
    }
    import(&db, &whole).await;
    differ(&whole, &export(&db, Scope::All).await);
}

async fn a_part_of_the_data_is_exported(stage: Stage) {
    let types = |text: &str| -> BTreeSet<String> {
        text.lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap().to_owned())
            .collect()
    };
    let catalogue = export(stage.db(), Scope::Catalogue).await;
    let progress = export(stage.db(), Scope::Progress).await;
    let grace = export(stage.db(), Scope::User("Grace".to_owned())).await;
    let names = ["achievement", "card", "collection", "game", "goal", "resource", "season", "studyPlan", "waymark"];
    assert_eq!(types(&catalogue), names.map(str::to_owned).into());
    assert!(types(&progress).contains("unlock") && !types(&progress).contains("game"));
    assert_eq!(grace.lines().filter(|line| line.starts_with(r#"{"type":"user""#)).count(), 1);
    assert!(grace.lines().all(|line| progress.contains(line)), "what is hers is in the whole");
    let failed = transfer::export(stage.db(), &mut Vec::new(), &Scope::User("nobody".to_owned()), false, &|_| {}).await;
    assert!(failed.unwrap_err().message().contains("nobody"));

    // Both parts together are the whole.
    let scratch = Scratch::new();
    let db = Db::connect(&empty_sqlite(&scratch, "parts.db").await, 4).await.unwrap();
    import(&db, &catalogue).await;
    import(&db, &progress).await;
    differ(&export(stage.db(), Scope::All).await, &export(&db, Scope::All).await);

    // Keys of applications only when they are asked for, and never the keys themselves.
    let actor = stage.app(&[KeyScope::ProgressRead]).await;
    assert!(!export(stage.db(), Scope::All).await.contains("apiKey"));
    let mut out = Vec::new();
    transfer::export(stage.db(), &mut out, &Scope::All, true, &|_| {}).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains(r#""type":"apiKey""#) && !text.contains(actor.credential()));
    let done = import(&db, &text).await;
    assert_eq!(done.new, 1);
    let other = Stage::at(format!("sqlite://{}", scratch.0.join("parts.db").display())).await;
    other.with_credential(Some(actor.credential().to_owned())).data("{ viewer { kind } }", Value::Null).await;
}

async fn a_live_database_is_copied_while_it_is_written(stage: Stage) {
    let scratch = Scratch::new();
    let to = scratch.0.join("copy.db");
    if stage.db().kind() == Kind::Postgres {
        let refused = transfer::backup(stage.db(), &to).await.unwrap_err();
        assert!(refused.message().contains("pg_dump") && !to.exists());
        return;
    }
    let writer = stage.app(&[KeyScope::ProgressWrite]).await;
    let write = "mutation ($key: ID!) { unlockAchievements(input: { user: { handle: \"newton\" }, \
        unlocks: [{ achievementId: $key }] }) { __typename } }";
    let keys: Vec<String> = export(stage.db(), Scope::Catalogue)
        .await
        .lines()
        .filter(|line| line.starts_with(r#"{"type":"achievement""#))
        .take(40)
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["key"].as_str().unwrap().to_owned())
        .collect();
    let writes = async {
        for key in &keys {
            writer.data(write, json!({ "key": key })).await;
        }
    };
    let backups = async {
        for number in 0..3 {
            transfer::backup(stage.db(), &scratch.0.join(format!("copy-{number}.db"))).await.unwrap();
        }
    };
    tokio::join!(writes, backups);
    transfer::backup(stage.db(), &to).await.unwrap();
    let copy = Db::connect(&format!("sqlite://{}", to.display()), 1).await.unwrap();
    differ(&export(stage.db(), Scope::All).await, &export(&copy, Scope::All).await);
    copy.close().await.unwrap();
    for number in 0..3 {
        let copy = scratch.0.join(format!("copy-{number}.db"));
        let copy = Db::connect(&format!("sqlite://{}", copy.display()), 1).await.unwrap();
        assert_eq!(count(&copy, "SELECT count(*) FROM users").await, 200);
        copy.close().await.unwrap();
    }
    let before = std::fs::read(&to).unwrap();
    let refused = transfer::backup(stage.db(), &to).await.unwrap_err();
    assert!(refused.message().contains("already"), "{}", refused.message());
    assert!(std::fs::read(&to).unwrap() == before, "what was there is not touched");
    let nowhere = transfer::backup(stage.db(), Path::new("/nowhere/copy.db")).await.unwrap_err();
    assert!(nowhere.message().contains("cannot write"));
    let left: Vec<_> = std::fs::read_dir(&scratch.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
}

async fn what_was_erased_or_merged_does_not_come_back(stage: Stage) {
    let before = export(stage.db(), Scope::All).await;
    let writes = stage.db().writes();
    for sql in [
        "UPDATE users SET erased_at = 1781000000000, handle = 'x1', handle_lower = 'x1', avatar_url = NULL, \
         display_name = NULL WHERE handle_lower = 'grace'",
        "UPDATE resource_progress SET notes = '' WHERE user_id = (SELECT id FROM users WHERE handle_lower = 'x1')",
        "DELETE FROM accounts WHERE user_id = (SELECT id FROM users WHERE handle_lower = 'x1')",
        "UPDATE users SET merged_into = (SELECT id FROM users WHERE handle_lower = 'cleo') WHERE handle_lower = 'ada'",
        "DELETE FROM achievement_unlocks WHERE user_id = (SELECT id FROM users WHERE handle_lower = 'ada')",
        "DELETE FROM game_summaries WHERE user_id = (SELECT id FROM users WHERE handle_lower = 'ada')",
    ] {
        writes.execute_unprepared(sql).await.unwrap();
    }
    count_anew(stage.db()).await;
    let after = export(stage.db(), Scope::All).await;
    assert!(after.contains(r#""type":"merge""#) && after.contains("erasedAt"));
    let done = import(stage.db(), &before).await;
    assert_eq!(done.new, 0);
    differ(&after, &export(stage.db(), Scope::All).await);

    // And an empty database gets them as they are.
    let scratch = Scratch::new();
    let db = Db::connect(&empty_sqlite(&scratch, "erased.db").await, 4).await.unwrap();
    import(&db, &after).await;
    differ(&after, &export(&db, Scope::All).await);

    let graces = before.lines().find(|line| line.contains(r#""handle":"grace""#)).unwrap();
    let ulid = serde_json::from_str::<Value>(graces).unwrap()["id"].clone();
    let unlock = json!({ "type": "unlock", "user": ulid, "achievement": "1-01" }).to_string();
    let (_, complaints) = import_all(stage.db(), vec![scratch.file("unlock.ndjson", unlock)]).await;
    assert!(complaints[0].reason.contains("erased"), "{complaints:?}");
}

/// A mutation by which an operator, or an app, does something to grace.
async fn change(actor: &Actor, mutation: &str, input: Value) {
    let kind = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
    let query = format!("mutation($input: {kind}!) {{ {mutation}(input: $input) {{ userErrors {{ message }} }} }}");
    let data = actor.data(&query, json!({ "input": input })).await;
    assert_eq!(data[mutation]["userErrors"], json!([]), "{mutation}");
}

async fn an_older_export_reverts_nothing_and_a_newer_one_is_taken(stage: Stage) {
    let grace = json!({ "handle": "grace" });
    let operator = stage.app(&[KeyScope::Admin]).await;
    change(&operator, "updateProfile", json!({ "user": grace, "displayName": "Before" })).await;
    change(&operator, "setProfileVisibility", json!({ "user": grace, "visibility": "PUBLIC" })).await;
    let before = export(stage.db(), Scope::All).await;
    // The clock of these tests stands still.
    let later = stage.with(&[("WAYMARK_CLOCK", "2026-06-17T12:00:01Z")]).await;
    let operator = later.app(&[KeyScope::Admin]).await;
    let card = before.lines().find(|line| line.contains(r#""type":"ownedCard""#)).unwrap();
    let card: Value = serde_json::from_str(card).unwrap();
    let owner = json!({ "id": card["user"] });
    change(&operator, "grantCards", json!({ "user": owner, "cards": [{ "cardId": card["card"], "quantity": 3 }] }))
        .await;
    let unlinked = json!({ "user": grace, "account": { "platform": "discord", "id": "800000000000000001" } });
    change(&operator, "unlinkAccount", unlinked).await;
    change(&operator, "updateProfile", json!({ "user": grace, "displayName": null })).await;
    change(&operator, "setProfileVisibility", json!({ "user": grace, "visibility": "PRIVATE" })).await;
    let after = export(stage.db(), Scope::All).await;
    assert_ne!(before, after);

    let done = import(stage.db(), &before).await;
    assert_eq!((done.new, done.bad), (0, 0), "an older export says nothing new");
    differ(&after, &export(stage.db(), Scope::All).await);

    // Somebody else has the handle now, and still the older export is no conflict.
    change(&operator, "updateProfile", json!({ "user": grace, "handle": "gracehopper" })).await;
    import(stage.db(), r#"{"type":"user","handle":"grace"}"#).await;
    let renamed = export(stage.db(), Scope::All).await;
    assert_eq!(import(stage.db(), &before).await.new, 0);
    differ(&renamed, &export(stage.db(), Scope::All).await);

    // Where the older one is, the newer one is taken: what changed, and its events.
    let scratch = Scratch::new();
    let db = Db::connect(&empty_sqlite(&scratch, "older.db").await, 4).await.unwrap();
    import(&db, &before).await;
    let done = import(&db, &after).await;
    assert!(done.new > 0 && done.bad == 0, "{done:?}");
    let shown = "SELECT count(*) FROM users WHERE handle = 'grace' AND visibility = 'PRIVATE' AND display_name IS NULL";
    assert_eq!(count(&db, shown).await, 1);
    assert_eq!(import(&db, &after).await.new, 0);
    assert_eq!(import(&db, &before).await.new, 0);
    assert_eq!(count(&db, shown).await, 1);
    // Accounts are only added, so the one that was taken away is still there; the rest is the same.
    let without_account = |text: &str| text.replace(r#"{"provider":"discord","id":"800000000000000001""#, "");
    let (newer, older) = (export(&db, Scope::All).await, after.clone());
    let differing = newer.lines().zip(older.lines()).filter(|(one, other)| one != other).count();
    assert_eq!((newer.lines().count(), differing), (older.lines().count(), 1));
    assert_ne!(without_account(&newer), newer);

    // Given together, the newer one wins in any order.
    for (name, order) in [("up.db", [&before, &after]), ("down.db", [&after, &before])] {
        let db = Db::connect(&empty_sqlite(&scratch, name).await, 4).await.unwrap();
        let sources = vec![scratch.file("one.ndjson", order[0]), scratch.file("two.ndjson", order[1])];
        import_all(&db, sources).await;
        assert_eq!(count(&db, shown).await, 1);
    }
}

async fn an_older_export_brings_nothing_of_the_erased_back(stage: Stage) {
    let grace = json!({ "handle": "grace" });
    let operator = stage.app(&[KeyScope::Admin]).await;
    let granted = json!({ "user": grace, "amount": { "credits": "1" }, "ref": "order-4711", "reason": "For Grace" });
    change(&operator, "grantCredits", granted).await;
    let before = export(stage.db(), Scope::All).await;
    assert!(before.contains("order-4711") && before.contains("For Grace"));
    let later = stage.with(&[("WAYMARK_CLOCK", "2026-06-17T12:00:01Z")]).await;
    change(&later.app(&[KeyScope::Admin]).await, "eraseUser", json!({ "user": grace })).await;
    let after = export(stage.db(), Scope::All).await;
    assert!(!after.contains("order-4711") && !after.contains("For Grace"));

    // Also when somebody else took the handle meanwhile.
    import(stage.db(), r#"{"type":"user","handle":"grace"}"#).await;
    let now = export(stage.db(), Scope::All).await;
    let done = import(stage.db(), &before).await;
    assert_eq!((done.new, done.bad), (0, 0));
    differ(&now, &export(stage.db(), Scope::All).await);

    // A database without the user gets what is left, one with the user forgets the rest.
    let scratch = Scratch::new();
    for (name, first) in [("erased.db", None), ("erased-later.db", Some(&before))] {
        let db = Db::connect(&empty_sqlite(&scratch, name).await, 4).await.unwrap();
        if let Some(first) = first {
            import(&db, first).await;
        }
        import(&db, &after).await;
        differ(&after, &export(&db, Scope::All).await);
        assert_eq!(import(&db, &after).await.new, 0);
    }
}

async fn the_export_of_one_user_has_that_users_keys_only(stage: Stage) {
    let id = count(stage.db(), "SELECT id FROM users WHERE handle = 'grace'").await;
    let other = count(stage.db(), "SELECT id FROM users WHERE handle = 'ada'").await;
    for owner in [None, Some(id), Some(other)] {
        stage.key("progress:read", owner, None).await;
    }
    let mut out = Vec::new();
    let scope = Scope::User("grace".to_owned());
    transfer::export(stage.db(), &mut out, &scope, true, &|_| {}).await.unwrap();
    let text = String::from_utf8(out).unwrap();
    let keys: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|one: &Value| one["type"] == "apiKey")
        .collect();
    assert_eq!(keys.len(), 1);
    assert_eq!(keys[0]["owner"], json!(ulids(&text)[0]));
}

async fn a_key_that_was_revoked_stays_so_whichever_record_comes_first(stage: Stage) {
    let text = export(stage.db(), Scope::All).await;
    let header = text.lines().next().unwrap();
    let key = json!({
        "type": "apiKey", "name": "game server", "prefix": "wmk_1a2b3c4d", "scopes": "progress:write",
        "createdAt": "2026-01-01T09:00:00.000Z",
    });
    for (digit, is_first) in [("a", true), ("b", false)] {
        let mut good = key.clone();
        good["hash"] = json!(digit.repeat(64));
        let mut revoked = good.clone();
        revoked["revokedAt"] = json!(NOW);
        let both = if is_first { [&revoked, &good] } else { [&good, &revoked] };
        let text = format!("{header}\n{}\n{}\n", both[0], both[1]);
        import(stage.db(), &text).await;
        assert_eq!(import(stage.db(), &text).await.new, 0, "{text}");
    }
    assert_eq!(count(stage.db(), "SELECT count(*) FROM api_keys WHERE revoked_at IS NOT NULL").await, 2);
    assert_eq!(count(stage.db(), "SELECT count(*) FROM api_keys").await, 2);
}

/// The lines of all blocks of records in the documentation: those made by hand, and those of an export.
fn documented() -> (String, String) {
    let text = include_str!("../../docs/import.md");
    let blocks = text.split("```ndjson\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let lines: String = blocks.collect();
    let header = lines.find(r#"{"type":"waymark""#).unwrap();
    (lines[..header].to_owned(), lines[header..].to_owned())
}

fn every_type_of_record_is_documented() {
    let (made, exported) = documented();
    transfer::check(&made).unwrap();
    transfer::check(&exported).unwrap();
    let all = made + &exported;
    for name in transfer::record_types() {
        assert!(all.contains(&format!(r#"{{"type":"{name}""#)), "there is a sample of {name}");
    }
}

async fn every_documented_record_is_imported(stage: Stage) {
    let (made, exported) = documented();
    for text in [&made, &exported] {
        let records = text.lines().filter(|line| !line.contains(r#""type":"waymark""#)).count() as u64;
        let done = import(stage.db(), text).await;
        assert!(done.records == records && done.new >= records - 1, "{done:?}");
        let before = export(stage.db(), Scope::All).await;
        assert_eq!(import(stage.db(), text).await, Imported { records, new: 0, unchanged: records, bad: 0 });
        differ(&before, &export(stage.db(), Scope::All).await);
    }
}

async fn hand_made_records_append_events_as_live_writes_do(stage: Stage) {
    import(stage.db(), &documented().0).await;
    stage.app.refresh_catalogue().await.unwrap();
    let query = "{ user(by: { handle: \"lovelace\" }) { \
        gameSummaries(gameIds: [\"14402\"]) { numAchieved scoreAchievedHardcore } \
        collection(id: \"winter\") { status collectedCount } \
        history(first: 50) { nodes { kind occurredAt actor } } } }";
    let reader = stage.app(&[KeyScope::ProgressRead]).await;
    let user = reader.data(query, Value::Null).await["user"].clone();
    let events = user["history"]["nodes"].as_array().unwrap();
    let kinds: BTreeSet<&str> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    let expected = [
        "USER_CREATED",
        "ACCOUNT_LINKED",
        "ENROLLED",
        "GOAL_STEPS",
        "GOAL_COMPLETED",
        "GOAL_CLAIMED",
        "CREDITS_GRANTED",
        "BLOCKED",
        "RESOURCE_COMPLETED",
        "RESOURCE_PROGRESS",
        "INSTANCE_CREATED",
        "ACHIEVEMENT_UNLOCKED",
        "AWARD_EARNED",
        "CARDS_GRANTED",
        "COLLECTION_COMPLETED",
        "REWARD_CLAIMED",
    ];
    assert_eq!(kinds, expected.into());
    let unlocked = events.iter().filter(|event| event["kind"] == "ACHIEVEMENT_UNLOCKED").count();
    assert_eq!(unlocked, 2);
    let event = events.iter().find(|event| event["kind"] == "ENROLLED").unwrap();
    assert_eq!(event["occurredAt"], "2026-06-01T10:00:00.000Z");
    assert_eq!(user["gameSummaries"][0], json!({ "numAchieved": 2, "scoreAchievedHardcore": 10 }));
    assert_eq!(user["collection"], json!({ "status": "COMPLETED", "collectedCount": 2 }));
    assert_eq!(count(stage.db(), "SELECT count(*) FROM audit_log WHERE action LIKE 'UPSERT_%'").await, 9);
    assert_eq!(count(stage.db(), "SELECT claimed FROM collection_rewards").await, 1);
    let gapless = "SELECT count(*) FROM user_counters c WHERE c.history_seq <> \
        (SELECT count(*) FROM history_events e WHERE e.user_id = c.user_id)";
    assert_eq!(count(stage.db(), gapless).await, 0);
}

async fn bad_records_are_reported_and_the_others_land(stage: Stage) {
    let scratch = Scratch::new();
    import(stage.db(), &documented().0).await;
    let lines = [
        ("not json", "no JSON"),
        (r#"{"type":"nothing"}"#, "no type of record"),
        (r#"{"type":"unlock","user":"lovelace"}"#, "achievement"),
        (r#"{"type":"unlock","user":"lovelace","achievement":"14402-1","when":1}"#, "when"),
        (r#"{"type":"unlock","user":"nobody","achievement":"14402-1"}"#, "there is no user"),
        (r#"{"type":"unlock","user":"lovelace","achievement":"x"}"#, "no published achievement"),
        (
            r#"{"type":"unlock","user":"lovelace","achievement":"14402-1","at":"2030-01-01T00:00:00Z"}"#,
            "at lies between",
        ),
        (r#"{"type":"unlock","user":"lovelace","achievement":"14402-1","at":"yesterday"}"#, "RFC 3339"),
        (r#"{"type":"goalProgress","user":"lovelace","goal":"first-steps","completedSteps":4}"#, "3 steps"),
        (r#"{"type":"creditLot","user":"lovelace","amountMicros":1}"#, "ref"),
        (r#"{"type":"creditLot","user":"lovelace","ref":"x","amountMicros":0}"#, "amountMicros is a number from 1"),
        (r#"{"type":"goalClaim","user":"lovelace","goal":"x"}"#, "no goal"),
        (r#"{"type":"resourceProgress","user":"lovelace","resource":"intro-cs","progress":101}"#, "from 0 to 100"),
        (r#"{"type":"resourceProgress","user":"lovelace","resource":"unheard"}"#, "no resource"),
        (r#"{"type":"ownedCard","user":"lovelace","card":"winter-01","quantity":-1}"#, "quantity is a number from 0"),
        (r#"{"type":"user","handle":"x"}"#, "2 to 20"),
        (
            r#"{"type":"user","handle":"other","accounts":[{"provider":"discord","id":"800000000000000042"}]}"#,
            "belongs",
        ),
        (r#"{"type":"user","handle":"other","accounts":[{"provider":"ethereum","id":"0x12"}]}"#, "no account"),
        (r#"{"type":"achievement","key":"a","game":"nope","title":"t","points":1}"#, "no game"),
        (r#"{"type":"achievement","key":"a","game":"14402","title":"t","points":-1}"#, "points is a number from 0"),
        (r#"{"type":"studyPlan","key":"p","title":"t","resources":["nope"]}"#, "no resource"),
        (
            r#"{"type":"season","key":"s","title":"t","startsAt":"2027-01-01T00:00:00Z","durationSeconds":0}"#,
            "durationSeconds is a number from 1",
        ),
        (r#"{"type":"game","key":"twin","number":14402,"title":"The same number"}"#, "has the number 14402"),
        (r#"{"type":"game","key":"","title":"No key"}"#, "1 to 255"),
        (r#"{"type":"user","handle":"nul","displayName":"a\u0000b"}"#, "displayName must not hold a NUL"),
        (r#"{"type":"user","handle":"half","displayName":"a\ud83eb"}"#, "displayName must not hold a NUL"),
        (r#"{"type":"user","handle":"turned","displayName":"a\u202eb"}"#, "turns its direction"),
        (r#"{"type":"user","handle":"secret","avatarUrl":"https://a:b@example.org/x"}"#, "without a user"),
        (r#"{"type":"user","handle":"other","displayName":""}"#, "displayName"),
        (r#"{"type":"user","handle":"other","avatarUrl":"javascript:alert(1)"}"#, "avatarUrl"),
        (r#"{"type":"user","id":"01KC5T4VZ8Q6ZJ6GQ0D8W7X5R9","handle":"not a handle! <b>"}"#, "2 to 20"),
        (r#"{"type":"user","id":"01KC5T4VZ8Q6ZJ6GQ0D8W7X5R9","handle":"~01kc5t4vz8q6zj6gq0d8w7x5r9"}"#, "2 to 20"),
        (r#"{"type":"user","id":"no ulid","handle":"other"}"#, "ULID"),
        (r#"{"type":"game","key":"nul","title":"a\u0000b"}"#, "title must not hold a NUL"),
        (
            r#"{"type":"achievement","key":"n","game":"14402","title":"t","points":1,"badge":"\udc00"}"#,
            "badge must not hold",
        ),
    ];
    let mut text = String::from("\n");
    for (line, _) in lines {
        text.push_str(line);
        text.push_str("\n{\"type\":\"enrolment\",\"user\":\"lovelace\",\"season\":\"summer\"}\n");
    }
    text.push_str(r#"{"type":"user","handle":"fine"}"#);
    let expected: Vec<(u64, &str)> = lines
        .iter()
        .zip(0..)
        .filter(|((_, words), _)| !words.is_empty())
        .map(|((_, words), n)| (2 + 2 * n, *words))
        .collect();
    let (done, mut complaints) = import_all(stage.db(), vec![scratch.file("bad.ndjson", text)]).await;
    complaints.sort_by_key(|complaint| complaint.line);
    let found: Vec<u64> = complaints.iter().map(|complaint| complaint.line).collect();
    assert_eq!(found, expected.iter().map(|(line, _)| *line).collect::<Vec<_>>(), "{complaints:?}");
    for (complaint, (_, words)) in complaints.iter().zip(&expected) {
        assert!(complaint.reason.contains(words), "{complaint} has {words:?}");
        assert!(complaint.to_string().contains("bad.ndjson:"));
    }
    assert_eq!(done.records, 2 * lines.len() as u64 + 1);
    assert_eq!(done.unchanged, lines.len() as u64);
    assert_eq!(count(stage.db(), "SELECT count(*) FROM users WHERE handle = 'fine'").await, 1);

    let newer = scratch.file("newer.ndjson", "{\"type\":\"waymark\",\"version\":3}\n");
    let now = Timestamp::parse(NOW).unwrap();
    for (source, words) in [(newer, "version"), (Source::File("missing.ndjson".into()), "missing.ndjson")] {
        let failed = transfer::import(stage.db(), &Ids::system(), now, vec![source], &mut |_| {}, &|_| {}).await;
        assert!(failed.unwrap_err().message().contains(words));
    }
}

async fn files_may_come_in_any_order(stage: Stage) {
    let scratch = Scratch::new();
    let (made, _) = documented();
    let backwards: Vec<&str> = made.lines().rev().collect();
    let (first, second) = backwards.split_at(backwards.len() / 2);
    let sources = vec![
        scratch.file("one.ndjson", "\u{feff}".to_owned() + &first.join("\r\n")),
        scratch.file("two.ndjson", second.join("\n\n")),
    ];
    let (done, complaints) = import_all(stage.db(), sources).await;
    assert_eq!((complaints, done.records), (vec![], backwards.len() as u64));
}

async fn a_pipe_is_read_once_and_whole(stage: Stage) {
    let scratch = Scratch::new();
    let (made, exported) = documented();
    let path = scratch.0.join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let (pipe, text) = (path.clone(), made.clone());
    let writer = std::thread::spawn(move || std::fs::write(pipe, text).unwrap());
    let sources = vec![Source::File(path), scratch.file("file.ndjson", &exported)];
    let (done, complaints) = import_all(stage.db(), sources).await;
    writer.join().unwrap();
    let records = (made.lines().count() + exported.lines().count() - 1) as u64;
    assert_eq!((complaints, done.records), (vec![], records));
    assert_eq!(count(stage.db(), "SELECT count(*) FROM achievement_unlocks").await, 2);

    let now = Timestamp::parse(NOW).unwrap();
    let folder = Source::File(scratch.0.clone());
    let refused = transfer::import(stage.db(), &Ids::system(), now, vec![folder], &mut |_| {}, &|_| {}).await;
    assert!(refused.unwrap_err().message().contains("directory"));
}

async fn a_duplicate_is_refused_at_once_and_alone(stage: Stage) {
    import(stage.db(), &documented().0).await;
    let scratch = Scratch::new();
    let game = |key: u32, number: u32| {
        format!("{{\"type\":\"game\",\"key\":\"g{key}\",\"number\":{number},\"title\":\"Game\"}}\n")
    };
    let mut text: String = (1..=2000).map(|number| game(number, number)).collect();
    text.push_str(&game(5000, 777));
    // A number that was given up may be had by another one.
    text.push_str(&game(3, 3000));
    text.push_str(&game(5001, 3));
    for key in ["one", "two"] {
        text.push_str(&format!(
            "{{\"type\":\"resource\",\"key\":\"{key}\",\"externalId\":\"507F1F77BCF86CD799439099\",\"title\":\"R\"}}\n"
        ));
    }
    let before = stage.db().statements(waymark::db::Asker::Request);
    let (done, complaints) = import_all(stage.db(), vec![scratch.file("games.ndjson", text)]).await;
    let statements = stage.db().statements(waymark::db::Asker::Request) - before;
    let reasons: Vec<_> = complaints.iter().map(|one| (one.line, one.reason.as_str())).collect();
    let expected = [
        (2001, "the game \"g777\" has the number 777"),
        (2005, "the resource \"one\" has the id of 24 digits \"507f1f77bcf86cd799439099\""),
    ];
    assert_eq!((reasons, done.new), (expected.to_vec(), 2003));
    // A chunk that is done again in halves takes hundreds.
    assert!(statements < 100, "{statements}");

    // What only the database can tell is found in halves, and said of the record that is to blame.
    let instance = |number: u32, id: &str| {
        format!(
            "{{\"type\":\"studyPlanInstance\",\"user\":\"lovelace\",\"plan\":\"first-year\",\"number\":{number},\"externalId\":\"{id}\"}}\n"
        )
    };
    let text: String = (10..60).map(|number| instance(number, &format!("{:024x}", number.min(58)))).collect();
    let (done, complaints) = import_all(stage.db(), vec![scratch.file("instances.ndjson", text)]).await;
    assert_eq!((done.new, complaints.len(), complaints[0].line), (49, 1, 50));
    assert!(complaints[0].reason.contains("database refuses"), "{complaints:?}");
}

async fn names_are_stored_in_one_spelling(stage: Stage) {
    let text = r#"{"type":"user","id":"01kc5t4vz8q6zj6gq0d8w7x5r1","handle":"Hopper","accounts":[{"provider":"Discord","id":"1"}]}
{"type":"resource","key":"507F1F77BCF86CD799439097","title":"A"}
{"type":"resource","key":"b","externalId":"507F1F77BCF86CD799439098","title":"B"}
{"type":"resourceProgress","user":"DISCORD:1","resource":"b","externalId":"507F1F77BCF86CD799439096","progress":5}
{"type":"resourceProgress","user":"01kc5t4vz8q6zj6gq0d8w7x5r1","resource":"507F1F77BCF86CD799439097","progress":5}
{"type":"collection","key":"c","name":"C"}
{"type":"card","key":"c1","collection":"c","name":"One"}
{"type":"ownedCard","user":"user:01kc5t4vz8q6zj6gq0d8w7x5r1","card":"c1"}"#;
    assert_eq!(import(stage.db(), text).await.new, 8);
    assert_eq!(import(stage.db(), text).await.new, 0);
    for sql in [
        "SELECT count(*) FROM users WHERE ulid = '01KC5T4VZ8Q6ZJ6GQ0D8W7X5R1'",
        "SELECT count(*) FROM accounts WHERE provider = 'discord'",
        "SELECT count(*) FROM resources WHERE external_id = '507f1f77bcf86cd799439097'",
        "SELECT count(*) FROM resources WHERE external_id = '507f1f77bcf86cd799439098'",
        "SELECT count(*) FROM resource_progress WHERE external_id = '507f1f77bcf86cd799439096'",
    ] {
        assert_eq!(count(stage.db(), sql).await, 1, "{sql}");
    }
}

async fn what_a_visibility_means_follows_from_the_version_of_the_file(stage: Stage) {
    let scratch = Scratch::new();
    let user = |number: u32, rest: &str| {
        let (id, hex) = (format!("01KC5T4VZ8Q6ZJ6GQ0D8W7X5{number:02}"), format!("{number:024x}"));
        format!(
            r#"{{"type":"user","id":"{id}","externalId":"{hex}","handle":"old{number}",{rest}"createdAt":"2026-01-01T00:00:00Z"}}"#
        )
    };
    let lines = |header: &str, from: u32| {
        let people = [
            user(from, r#""visibility":"PRIVATE","#),
            user(
                from + 1,
                r#""visibility":"PUBLIC","displayName":"a\u202eb","avatarUrl":"https://me:secret@example.org/x","#,
            ),
            user(from + 2, ""),
        ];
        format!("{header}{}\n", people.join("\n"))
    };
    // What was called private in the first version, for members, and what stood in profiles then.
    let old = lines("{\"type\":\"waymark\",\"version\":1,\"history\":true}\n", 10);
    let (done, complaints) = import_all(stage.db(), vec![scratch.file("old.ndjson", &old)]).await;
    assert_eq!((done.new, complaints), (3, vec![]));
    // What it means since, with a header and without one; there the profile is refused.
    let new = lines("{\"type\":\"waymark\",\"version\":2,\"history\":true}\n", 20);
    let by_hand = lines("", 30);
    for (name, text) in [("new.ndjson", new), ("hand.ndjson", by_hand)] {
        let (done, complaints) = import_all(stage.db(), vec![scratch.file(name, text)]).await;
        assert_eq!((done.new, complaints.len()), (2, 1), "{complaints:?}");
    }
    let of = async |number: u32| {
        let profile = "coalesce(display_name, '-') || ' ' || coalesce(avatar_url, '-')";
        text_of(stage.db(), &format!("SELECT visibility || ' ' || {profile} FROM users WHERE handle = 'old{number}'"))
            .await
    };
    for (number, told) in [
        (10, "MEMBERS - -"),
        (11, "PUBLIC ab https://example.org/x"),
        (12, "MEMBERS - -"),
        (20, "PRIVATE - -"),
        (22, "MEMBERS - -"),
        (30, "PRIVATE - -"),
        (32, "MEMBERS - -"),
    ] {
        assert_eq!(of(number).await, told, "old{number}");
    }
    // The old file again changes nothing, nor does it when the user has chosen otherwise meanwhile.
    assert_eq!(import(stage.db(), &old).await.new, 0);

    // Whether anybody knows of a wallet goes along with an export, and an operator's own record vouches for it.
    let made = "UPDATE users SET self_made = TRUE WHERE handle IN ('old20', 'old30')";
    stage.db().writes().execute_unprepared(made).await.unwrap();
    let exported = export(stage.db(), Scope::All).await;
    assert_eq!(exported.matches(r#""selfMade":true"#).count(), 2);
    let other = Db::connect(&empty_sqlite(&scratch, "other.db").await, 4).await.unwrap();
    import(&other, &exported).await;
    let self_made = "SELECT count(*) FROM users WHERE self_made";
    assert_eq!(count(&other, self_made).await, 2);
    let (one, all) = (r#"{"type":"user","handle":"old20"}"#, export(stage.db(), Scope::All).await);
    for text in [one, all.as_str(), one] {
        import(&other, text).await;
        assert_eq!(count(&other, self_made).await, 1, "whoever was vouched for once stays so");
    }
    differ(&exported.replacen(r#""selfMade":true,"#, "", 1), &export(&other, Scope::All).await);
}

async fn users_are_merged_by_exports_only_and_never_in_a_circle(stage: Stage) {
    let scratch = Scratch::new();
    let people: String =
        ["eve", "fay", "gus"].map(|name| format!("{{\"type\":\"user\",\"handle\":\"{name}\"}}\n")).concat();
    import(stage.db(), &people).await;
    let merge = |user: &str, into: &str| format!("{{\"type\":\"merge\",\"user\":\"{user}\",\"into\":\"{into}\"}}\n");
    let merged = "SELECT count(*) FROM users WHERE merged_into IS NOT NULL";
    let (_, complaints) = import_all(stage.db(), vec![scratch.file("made.ndjson", merge("eve", "fay"))]).await;
    assert!(complaints[0].reason.contains("only an export"), "{complaints:?}");
    assert_eq!(count(stage.db(), merged).await, 0);

    // Two who became one, and that one another; and back again, which nobody survives.
    let header = "{\"type\":\"waymark\",\"version\":2,\"history\":true}\n";
    let exported = [header, &merge("eve", "fay"), &merge("fay", "gus"), &merge("gus", "eve")].concat();
    let (done, complaints) = import_all(stage.db(), vec![scratch.file("exported.ndjson", exported)]).await;
    assert_eq!((done.new, complaints.len(), complaints[0].line), (2, 1, 4), "{complaints:?}");
    assert!(complaints[0].reason.contains(r#"the user "eve" was merged into "gus""#), "{complaints:?}");
    assert_eq!(count(stage.db(), merged).await, 2);
    let itself = [header, &merge("gus", "gus")].concat();
    let (_, complaints) = import_all(stage.db(), vec![scratch.file("itself.ndjson", itself)]).await;
    assert!(complaints[0].reason.contains(r#"the user "gus" cannot be merged into itself"#), "{complaints:?}");
    assert_eq!(count(stage.db(), "SELECT count(*) FROM users WHERE handle = 'gus' AND merged_into IS NULL").await, 1);

    let erased = "UPDATE users SET erased_at = 0, handle = 'x1', handle_lower = 'x1' WHERE handle = 'gus'";
    stage.db().writes().execute_unprepared(erased).await.unwrap();
    count_anew(stage.db()).await;
    import(stage.db(), "{\"type\":\"user\",\"handle\":\"hal\"}").await;
    let gus = text_of(stage.db(), "SELECT ulid FROM users WHERE handle = 'x1'").await;
    let into_nobody = [header, &merge("hal", &gus)].concat();
    let (_, complaints) = import_all(stage.db(), vec![scratch.file("nobody.ndjson", into_nobody)]).await;
    assert!(complaints[0].reason.contains("erased"), "{complaints:?}");
}

async fn what_is_wrong_with_an_event_is_told_with_its_user(stage: Stage) {
    let scratch = Scratch::new();
    import(stage.db(), r#"{"type":"user","handle":"eve"}"#).await;
    let header = "{\"type\":\"waymark\",\"version\":2,\"history\":true}";
    let at = "2026-06-01T00:00:00Z";
    let event = |number: u32| {
        format!(
            r#"{{"type":"event","user":"eve","number":{number},"kind":"PROFILE_CHANGED","actor":"operator","subject":{{"type":"user","key":"x"}},"changes":{{}},"occurredAt":"{at}","recordedAt":"{at}"}}"#
        )
    };
    let text = [header, &event(1), &event(7)].join("\n");
    let (_, mut complaints) = import_all(stage.db(), vec![scratch.file("events.ndjson", text)]).await;
    complaints.sort_by_key(|complaint| complaint.line);
    let reasons: Vec<&str> = complaints.iter().map(|complaint| complaint.reason.as_str()).collect();
    let expected = [
        r#"event 1 of the user "eve" is there already and is another"#,
        r#"the next event of the user "eve" has the number 2"#,
    ];
    assert_eq!(reasons, expected);
}

async fn imports_at_the_same_time_do_not_get_in_each_others_way(stage: Stage) {
    let (made, exported) = documented();
    import(stage.db(), &made).await;
    let mut people = String::new();
    for number in 0..300 {
        people.push_str(&format!("{{\"type\":\"user\",\"handle\":\"player{number}\"}}\n"));
    }
    import(stage.db(), &people).await;
    let progress: Vec<String> = (0..4)
        .map(|turn| {
            let lines = (0..300).map(|number| {
                let number = if turn % 2 == 0 { number } else { 299 - number };
                format!(
                    "{{\"type\":\"unlock\",\"user\":\"player{number}\",\"achievement\":\"14402-1\"}}\n\
                     {{\"type\":\"ownedCard\",\"user\":\"player{number}\",\"card\":\"winter-01\"}}\n"
                )
            });
            lines.collect()
        })
        .collect();
    let imports = progress.iter().map(|text| import(stage.db(), text));
    let done: Vec<Imported> = futures_util::future::join_all(imports).await;
    assert_eq!(done.iter().map(|done| done.new).sum::<u64>(), 600, "each record is new once: {done:?}");
    import(stage.db(), &exported).await;
    let gapless = "SELECT count(*) FROM user_counters c WHERE c.history_seq <> \
        (SELECT count(*) FROM history_events e WHERE e.user_id = c.user_id)";
    assert_eq!(count(stage.db(), gapless).await, 0);
    assert_eq!(count(stage.db(), "SELECT count(*) FROM game_summaries WHERE num_achieved = 1").await, 300);
}

async fn a_changed_achievement_changes_every_summary(stage: Stage) {
    import(stage.db(), &documented().0).await;
    let changed = r#"{"type":"achievement","key":"14402-2","game":"14402","position":2,"title":"Keeper","points":50}"#;
    assert_eq!(import(stage.db(), changed).await.new, 1);
    assert_eq!(count(stage.db(), "SELECT CAST(score_achieved AS bigint) FROM game_summaries").await, 60);
    assert_eq!(count(stage.db(), "SELECT CAST(possible_score AS bigint) FROM games").await, 60);
    let unpublished = changed.replace("}", r#","published":false}"#);
    import(stage.db(), &unpublished).await;
    assert_eq!(count(stage.db(), "SELECT CAST(score_achieved AS bigint) FROM game_summaries").await, 10);
    assert_eq!(count(stage.db(), "SELECT CAST(num_possible AS bigint) FROM games").await, 1);
}

/// The beginning of a curriculum as it is found in the wild.
const CURRICULUM: &str = r#"{
  "source": "an excerpt",
  "courses": [
    { "section": "Core math", "title": "Calculus 1A: Differentiation", "url": "https://example.com/1a", "weeks": "13 weeks", "estimatedMinutes": 6240 },
    { "section": "Core math", "title": "Calculus 1A: Differentiation", "url": "pages/1a.md", "estimatedMinutes": 60 },
    { "section": "CS Tools", "title": "The Missing Semester", "url": null }
  ]
}"#;

/// One retired thing of each type, and what ann did with it at an instant.
fn retired_and_done(at: &str) -> [(&'static str, String); 8] {
    let of = |kind: &str, rest: &str| format!(r#"{{"type":"{kind}","user":"ann",{rest}}}"#).replace("AT", at);
    [
        ("season s was retired", of("enrolment", r#""season":"s","at":"AT""#)),
        ("goal step was retired", of("goalProgress", r#""goal":"step","completedSteps":1,"at":"AT""#)),
        ("resource r was retired", of("resourceProgress", r#""resource":"r","completed":true,"completedAt":"AT""#)),
        ("study plan p was retired", of("studyPlanInstance", r#""plan":"p","createdAt":"AT""#)),
        ("game g was retired", of("unlock", r#""achievement":"a","at":"AT""#)),
        ("there is no published achievement h", of("unlock", r#""achievement":"h","at":"AT""#)),
        ("collection c was retired", of("ownedCard", r#""card":"k","firstAcquiredAt":"AT""#)),
        ("card l was retired", of("ownedCard", r#""card":"l","firstAcquiredAt":"AT""#)),
    ]
}

async fn what_was_retired_takes_what_happened_before(stage: Stage) {
    let retired_at = r#""retiredAt":"2026-06-10T00:00:00Z""#;
    let catalogue = [
        r#"{"type":"season","key":"s","title":"S","startsAt":"2026-06-01T00:00:00Z","durationSeconds":5184000,RETIRED}"#,
        r#"{"type":"goal","key":"step","season":"s","title":"G","rewardMicros":0,"totalSteps":3,RETIRED}"#,
        r#"{"type":"resource","key":"r","title":"R","createdAt":"2026-06-01T00:00:00Z",RETIRED}"#,
        r#"{"type":"studyPlan","key":"p","title":"P","resources":["r"],RETIRED}"#,
        r#"{"type":"game","key":"g","title":"G",RETIRED}"#,
        r#"{"type":"achievement","key":"a","game":"g","title":"A","points":5}"#,
        r#"{"type":"game","key":"i","title":"I"}"#,
        r#"{"type":"achievement","key":"h","game":"i","title":"A","points":5,"published":false}"#,
        r#"{"type":"collection","key":"c","name":"C",RETIRED}"#,
        r#"{"type":"card","key":"k","collection":"c","name":"K"}"#,
        r#"{"type":"collection","key":"d","name":"D"}"#,
        r#"{"type":"card","key":"l","collection":"d","name":"L",RETIRED}"#,
        r#"{"type":"card","key":"m","collection":"d","name":"M"}"#,
        r#"{"type":"user","handle":"ann"}"#,
    ];
    let catalogue = catalogue.join("\n").replace("RETIRED", retired_at);
    import(stage.db(), &catalogue).await;
    let scratch = Scratch::new();
    for (at, is_before) in [("2026-06-10T00:00:00Z", false), ("2026-06-09T00:00:00Z", true)] {
        let facts = retired_and_done(at);
        let lines: Vec<&str> = facts.iter().map(|(_, line)| line.as_str()).collect();
        let (_, complaints) = import_all(stage.db(), vec![scratch.file("facts.ndjson", lines.join("\n"))]).await;
        let refused: Vec<String> = complaints.iter().map(|one| one.to_string().replace('"', "")).collect();
        let expected: Vec<&str> =
            facts.iter().map(|(why, _)| *why).filter(|why| !is_before || why.ends_with(" h")).collect();
        assert_eq!(refused.len(), expected.len(), "{refused:#?}");
        for why in expected {
            assert!(refused.iter().any(|one| one.contains(why)), "{why}: {refused:#?}");
        }
    }
    // Again it changes nothing, and an export brings all of it over.
    let (done, _) = import_all(stage.db(), vec![scratch.file("again.ndjson", &catalogue)]).await;
    assert_eq!((done.new, done.bad), (0, 0));
    let exported = export(stage.db(), Scope::All).await;
    let retired = exported.lines().filter(|line| line.contains("retiredAt") && !line.starts_with(r#"{"type":"audit""#));
    assert_eq!(retired.count(), 7);
    let other = Stage::at(empty_sqlite(&scratch, "retired.db").await).await;
    import(other.db(), &exported).await;
    differ(&exported, &export(other.db(), Scope::All).await);
    for stage in [&stage, &other] {
        stage.app.refresh_catalogue().await.unwrap();
        let verify = "mutation { verify(input: {}) { differences { check what stored expected } } }";
        let data = stage.app(&[KeyScope::Admin]).await.data(verify, Value::Null).await;
        assert_eq!(data["verify"]["differences"], json!([]));
        let query =
            "{ user(by: {handle: \"ann\"}) { collection(id: \"d\") { size collectedCount cards { card { key } } } } }";
        let data = stage.app(&[KeyScope::ProgressRead]).await.data(query, Value::Null).await;
        let cards = json!([{ "card": { "key": "l" } }, { "card": { "key": "m" } }]);
        assert_eq!(data["user"]["collection"], json!({ "size": 1, "collectedCount": 0, "cards": cards }));
    }
}

async fn a_curriculum_becomes_resources_and_a_study_plan(stage: Stage) {
    let records = curriculum::convert(CURRICULUM).unwrap();
    assert_eq!(import(stage.db(), &records).await.new, 4);
    assert_eq!(import(stage.db(), &records).await.new, 0);
    stage.app.refresh_catalogue().await.unwrap();
    let query = "{ studyPlan(id: \"ossu\") { description resources { id title section url estimatedMinutes } } }";
    let plan = stage.anonymous().data(query, Value::Null).await["studyPlan"].clone();
    assert_eq!(
        plan["resources"][1],
        json!({
            "id": "resource:ossu-calculus-1a-differentiation-2",
            "title": "Calculus 1A: Differentiation",
            "section": "Core math",
            "url": "https://github.com/ossu/computer-science/blob/master/pages/1a.md",
            "estimatedMinutes": 60,
        })
    );
    assert_eq!(plan["resources"].as_array().unwrap().len(), 3);
}
