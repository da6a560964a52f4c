//! What released programs have written comes over: their databases by migrations, their exports by imports. `tests/released`
//! holds what each of them wrote and answered.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use migration::{Migrator, MigratorTrait as _};
use sea_orm::{ConnectionTrait as _, Database, DbBackend, Statement};
use serde::Deserialize;
use serde_json::{Value, json};
use waymark::auth::Scope;
use waymark::clock::{Ids, Timestamp};
use waymark::transfer::{self, Source};

use crate::harness::{Actor, Blank, NOW, Stage, tests};

tests! {
    blank: [
        a_database_of_every_release_comes_over,
        a_migration_that_was_interrupted_anywhere_goes_on,
        what_lies_by_user_comes_over_and_goes_back,
        an_export_of_every_release_comes_over,
    ],
}

/// The releases, oldest first.
const RELEASES: [&str; 1] = ["0.1.0"];

/// What is answered otherwise than by a release, and why: a request, a place in its answer, what was there, and what is now.
type Change = (&'static str, &'static str, &'static str, Value, Value);

fn changes(release: &str) -> Vec<Change> {
    match release {
        "0.1.0" => vec![],
        _ => panic!("no changes are listed since {release}"),
    }
}

fn directory(release: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/released").join(release)
}

fn unpacked(release: &str, name: &str) -> String {
    let packed = std::fs::File::open(directory(release).join(format!("{name}.gz"))).unwrap();
    let mut text = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut text).unwrap();
    text
}

/// Fills a database with what a release wrote.
async fn fill(blank: &Blank, release: &str) {
    let connection = Database::connect(&blank.url).await.unwrap();
    let sql = match connection.get_database_backend() {
        // A dump has the tables by their names, and not by what they refer to.
        DbBackend::Sqlite => format!("PRAGMA foreign_keys = OFF; {}", unpacked(release, "sqlite.sql")),
        _ => unpacked(release, "postgres.sql"),
    };
    connection.execute_unprepared(&sql).await.unwrap();
    connection.close().await.unwrap();
}

/// Asks what a release was asked, and compares the answers.
async fn compare(reader: &Actor, release: &str) {
    #[derive(Deserialize)]
    struct Asked {
        query: String,
    }
    let requests = include_str!("../released/requests.json");
    let requests: BTreeMap<String, Asked> = serde_json::from_str(requests).unwrap();
    let answers = std::fs::read_to_string(directory(release).join("answers.json")).unwrap();
    let mut answers: BTreeMap<String, Value> = serde_json::from_str(&answers).unwrap();
    for (request, place, why, before, now) in changes(release) {
        let answer = answers.get_mut(request).unwrap().pointer_mut(place).unwrap();
        assert_eq!(*answer, before, "{request} {place}: {why}");
        *answer = now;
    }
    assert_eq!(answers.keys().collect::<Vec<_>>(), requests.keys().collect::<Vec<_>>());
    for (name, Asked { query }) in requests {
        let answer = reader.data(&query, Value::Null).await;
        assert_eq!(answer, answers[&name], "{name}");
    }
    let verify = "mutation { verify(input: {}) { differences { check what stored expected } } }";
    assert_eq!(reader.data(verify, Value::Null).await["verify"]["differences"], json!([]));
}

/// Somebody who may see and verify everything.
async fn reader(stage: &Stage) -> Actor {
    stage.with(&[("WAYMARK_MAX_COST", "1000000")]).await.app(&[Scope::ProgressRead, Scope::Admin]).await
}

async fn a_database_of_every_release_comes_over(blank: Blank) {
    for release in RELEASES {
        fill(&blank, release).await;
        blank.db.migrate().await.unwrap();
        compare(&reader(&blank.stage().await).await, release).await;
        empty(&blank).await;
    }
}

/// A migration is done wholly or not at all, so it can be interrupted between any two.
async fn a_migration_that_was_interrupted_anywhere_goes_on(blank: Blank) {
    for release in RELEASES {
        let all = u32::try_from(Migrator::migrations().len()).unwrap();
        for done in 1..all {
            fill(&blank, release).await;
            let connection = Database::connect(&blank.url).await.unwrap();
            let pending = u32::try_from(Migrator::get_pending_migrations(&connection).await.unwrap().len()).unwrap();
            Migrator::up(&connection, Some(done.min(pending))).await.unwrap();
            connection.close().await.unwrap();
            blank.db.migrate().await.unwrap();
            if done >= pending {
                compare(&reader(&blank.stage().await).await, release).await;
                empty(&blank).await;
                break;
            }
            empty(&blank).await;
        }
    }
}

/// Rows of users before and after they could lie on other servers than `users`, and back.
async fn what_lies_by_user_comes_over_and_goes_back(blank: Blank) {
    const TABLES: [&str; 16] = [
        "season_enrolments",
        "goal_progress",
        "goal_claims",
        "credit_lots",
        "credit_entries",
        "user_blocks",
        "study_plan_instances",
        "study_plan_instance_resources",
        "resource_progress",
        "achievement_unlocks",
        "game_summaries",
        "award_grounds",
        "owned_cards",
        "collection_progress",
        "write_refs",
        "history_events",
    ];
    let release = RELEASES[RELEASES.len() - 1];
    fill(&blank, release).await;
    let db = &Database::connect(&blank.url).await.unwrap();
    let run = async |sql: &str| db.execute_unprepared(sql).await.map(drop);
    let texts = async |sql: &str| -> Vec<String> {
        let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    };
    let pending = Migrator::get_pending_migrations(db).await.unwrap();
    let before = pending.iter().position(|one| one.name().ends_with("_by_user")).unwrap();
    Migrator::up(db, Some(u32::try_from(before).unwrap())).await.unwrap();
    for sql in [
        "UPDATE users SET merged_into = 1 WHERE id = (SELECT max(id) FROM users)",
        "UPDATE users SET erased_at = 5 WHERE id = (SELECT max(id) - 1 FROM users)",
    ] {
        run(sql).await.unwrap();
    }
    let rows = async || {
        let mut all = BTreeMap::new();
        for table in TABLES {
            let columns = match db.get_database_backend() {
                DbBackend::Sqlite => format!("SELECT name FROM pragma_table_info('{table}') ORDER BY 1"),
                _ => format!(
                    "SELECT column_name::text FROM information_schema.columns \
                     WHERE table_name = '{table}' AND table_schema = current_schema() ORDER BY 1"
                ),
            };
            let columns: Vec<String> =
                texts(&columns).await.iter().map(|name| format!("coalesce(CAST({name} AS text), 'null')")).collect();
            let row = columns.join(" || ' ' || ");
            all.insert(table, texts(&format!("SELECT {row} FROM {table} ORDER BY 1")).await);
        }
        all
    };
    let numbers = "SELECT id || ' ' || history_seq || ' ' || ledger_seq FROM users ORDER BY id";
    let (stored, counted) = (rows().await, texts(numbers).await);
    assert!(counted.len() > 5 && stored.values().filter(|rows| !rows.is_empty()).count() > 12, "{counted:?}");

    Migrator::up(db, Some(1)).await.unwrap();
    assert!(rows().await == stored, "no row of a user has changed");
    let now = "SELECT user_id || ' ' || history_seq || ' ' || ledger_seq FROM user_counters ORDER BY user_id";
    assert_eq!(texts(now).await, counted);
    let gone = "SELECT CAST(user_id AS text) FROM user_counters WHERE gone ORDER BY user_id";
    let left = "SELECT CAST(id AS text) FROM users WHERE merged_into IS NOT NULL OR erased_at IS NOT NULL ORDER BY id";
    assert_eq!(texts(gone).await, texts(left).await);
    let owners = "SELECT external_id || ' ' || user_id FROM instance_owners ORDER BY 1";
    let owned = "SELECT external_id || ' ' || user_id FROM study_plan_instances ORDER BY 1";
    assert_eq!(texts(owners).await, texts(owned).await);
    let raise = "UPDATE user_counters SET history_seq = history_seq + 7 WHERE user_id = 1";
    let (version, edit) = ("SELECT CAST(version AS text) FROM catalogue_version", "UPDATE games SET title = title");
    let of_nobody =
        "INSERT INTO write_refs (user_id, kind, reference, created_at, outcome) VALUES (-1, 'k', 'r', 0, '')";
    let was = texts(version).await;
    for sql in [edit, of_nobody, "DELETE FROM write_refs WHERE user_id = -1", raise] {
        run(sql).await.unwrap();
    }
    assert_eq!(texts(version).await, was, "nothing but the writer raises it");
    let counted = texts(now).await;

    Migrator::down(db, Some(1)).await.unwrap();
    assert!(rows().await == stored, "nor has it on the way back");
    assert_eq!(texts(numbers).await, counted);
    run(edit).await.unwrap();
    assert_ne!(texts(version).await, was, "triggers raise it again");
    assert!(run(of_nobody).await.is_err(), "rows belong to somebody again");
    run("UPDATE users SET history_seq = history_seq - 7 WHERE id = 1").await.unwrap();
    db.clone().close().await.unwrap();
    empty(&blank).await;
}

/// Takes every table away.
async fn empty(blank: &Blank) {
    let connection = Database::connect(&blank.url).await.unwrap();
    Migrator::down(&connection, None).await.unwrap();
    connection.execute_unprepared("DROP TABLE seaql_migrations").await.unwrap();
    connection.close().await.unwrap();
}

async fn an_export_of_every_release_comes_over(blank: Blank) {
    for release in RELEASES {
        blank.db.migrate().await.unwrap();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("waymark-released-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let file = std::env::temp_dir().join(name);
        std::fs::write(&file, unpacked(release, "export.ndjson")).unwrap();
        let mut complaints = Vec::new();
        let mut complain = |one: transfer::Complaint| complaints.push(one.to_string());
        let (now, sources) = (Timestamp::parse(NOW).unwrap(), vec![Source::File(file.clone())]);
        transfer::import(&blank.db, &Ids::system(), now, sources, &mut complain, &|_| {}).await.unwrap();
        assert_eq!(complaints, [""; 0]);
        std::fs::remove_file(&file).unwrap();
        compare(&reader(&blank.stage().await).await, release).await;
        empty(&blank).await;
    }
}
