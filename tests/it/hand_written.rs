//! Hand-written SQL: all of it is known here, every engine takes it, and what is asked for often reads along indexes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};
use serde_json::Value;
use waymark::auth::Scope;
use waymark::db::Sql;
use waymark::db::records::Records;
use waymark::features::{collections, credits, games, history, learning, seasons, users};
use waymark::{db, transfer, verify, write};

use crate::harness::{Blank, Stage, rounds, tests};

tests! {
    once: [
        every_statement_stands_in_a_list_and_says_why_it_is_one,
    ],
    blank: [
        every_statement_can_be_prepared,
    ],
    own: [
        what_is_asked_for_often_reads_along_indexes,
    ],
}

/// The files with hand-written statements, and their lists.
const LISTS: &[(&str, &[&Sql])] = &[
    ("db/distribute.rs", &db::distribute::STATEMENTS),
    ("db/owner.rs", &db::owner::STATEMENTS),
    ("db/replicas.rs", &db::replicas::STATEMENTS),
    ("db/rights.rs", &db::rights::STATEMENTS),
    ("db/time.rs", &db::time::STATEMENTS),
    ("write/repo.rs", &write::STATEMENTS),
    ("verify/lib.rs", &verify::STATEMENTS),
    ("features/users/repo.rs", &users::repo::STATEMENTS),
    ("features/credits/repo.rs", &credits::STATEMENTS),
    ("features/seasons/repo.rs", &seasons::STATEMENTS),
    ("features/learning/repo.rs", &learning::STATEMENTS),
    ("features/games/repo.rs", &games::STATEMENTS),
    ("features/history/repo.rs", &history::STATEMENTS),
    ("transfer/sql.rs", &transfer::STATEMENTS),
];

/// How many there may be.
const MOST: usize = 70;

/// Where statements are made of text besides: the database's own room, and what cannot be prepared or is no statement yet.
const BESIDES: &[&str] = &["db/", "transfer/sql.rs", "verify/check.rs", "demo/"];

fn every_statement_stands_in_a_list_and_says_why_it_is_one() {
    let mut declared = BTreeMap::new();
    for (path, text) in sources() {
        let lines: Vec<&str> = text.split("#[cfg(test)]").next().unwrap_or_default().lines().collect();
        let mut names = BTreeSet::new();
        for (number, line) in lines.iter().enumerate() {
            let Some((name, kind)) = line.split_once(": ") else { continue };
            if let Some(name) = name.trim_start_matches("pub ").strip_prefix("static ")
                && kind.starts_with("Sql =")
            {
                // One of a group says it for those right below.
                let said = lines[..number].iter().rev().take_while(|line| !line.is_empty());
                assert!(said.clone().any(|line| line.starts_with("//")), "{path}: {name} does not say why it is one");
                names.insert(name.to_owned());
            }
        }
        let code = lines.join("\n");
        if names.is_empty() {
            let made = ["Sql::new(", "Statement::from_"].into_iter().find(|made| code.contains(made));
            let allowed = BESIDES.iter().any(|place| path.starts_with(place));
            assert!(made.is_none() || allowed, "{path}: {} … is in no list", made.unwrap_or_default());
            continue;
        }
        let (_, list) = code.split_once("STATEMENTS: [&Sql; ").unwrap_or_else(|| panic!("{path} has no list"));
        let list = list.split_once('=').and_then(|(_, list)| list.split_once(']')).expect("it is a list").0;
        let listed: BTreeSet<String> =
            list.split(',').filter_map(|one| Some(one.split_once('&')?.1.trim().to_owned())).collect();
        assert_eq!(listed, names, "{path}: what is in the list, then what there is");
        declared.insert(path, names.len());
    }
    let known = LISTS.iter().map(|(path, list)| ((*path).to_owned(), list.len())).collect();
    assert_eq!(declared, known, "the files with statements, then those of this test");
    assert!(declared.values().sum::<usize>() <= MOST, "{declared:?}");
}

/// The sources with their paths in `src`.
fn sources() -> Vec<(String, String)> {
    fn read(directory: &Path, root: &Path, all: &mut Vec<(String, String)>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                read(&path, root, all);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
                all.push((name, std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    read(&root, &root, &mut all);
    all
}

async fn every_statement_can_be_prepared(blank: Blank) {
    blank.db.migrate().await.expect("the migrations run");
    let db = Database::connect(&blank.url).await.expect("the database is opened");
    let backend = db.get_database_backend();
    for text in texts(backend) {
        let prepared = match backend {
            DbBackend::Postgres => format!("PREPARE one AS {text}; DEALLOCATE one"),
            _ => format!("EXPLAIN {text}"),
        };
        db.execute_unprepared(&prepared).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

/// All of them that an engine runs, those of checks and exports too.
pub(crate) fn texts(backend: DbBackend) -> Vec<String> {
    let mut texts: Vec<String> =
        LISTS.iter().flat_map(|(_, list)| list.iter()).map(|sql| sql.text(backend).to_owned()).collect();
    let checks = [
        games::CHECKS,
        learning::CHECKS,
        collections::CHECKS,
        seasons::CHECKS,
        credits::CHECKS,
        history::CHECKS,
        users::CHECKS,
    ];
    let checks = checks.into_iter().flatten().flat_map(|check| check.statements());
    texts.extend(checks.map(|sql| sql.text(backend).to_owned()));
    let records: [&[Records]; 7] = [
        &users::service::RECORDS,
        &credits::service::RECORDS,
        &seasons::service::RECORDS,
        &learning::service::RECORDS,
        &games::service::RECORDS,
        &collections::service::RECORDS,
        &history::service::RECORDS,
    ];
    texts.extend(records.into_iter().flatten().map(Records::sql));
    texts.retain(|text| !text.is_empty());
    texts
}

/// Tables that grow with the users.
const GROWING: &[&str] = &[
    "users",
    "user_counters",
    "accounts",
    "season_enrolments",
    "goal_progress",
    "goal_claims",
    "credit_lots",
    "credit_entries",
    "user_blocks",
    "resource_progress",
    "study_plan_instances",
    "study_plan_instance_resources",
    "instance_owners",
    "achievement_unlocks",
    "game_summaries",
    "award_grounds",
    "collection_progress",
    "owned_cards",
    "history_events",
    "write_refs",
    "idempotency_keys",
];

/// Runs what the pages ask and single writes, and looks at how the engine carries out each of their statements.
async fn what_is_asked_for_often_reads_along_indexes(stage: Stage) {
    static HEARD: [Mutex<BTreeSet<String>>; 2] = [const { Mutex::new(BTreeSet::new()) }; 2];
    // What is prepared stays on its connection.
    let one = ConnectOptions::new(&stage.url).max_connections(1).to_owned();
    let db = Database::connect(one).await.unwrap();
    let texts = if db.get_database_backend() == DbBackend::Postgres {
        stage.db().on_statement(|text| _ = HEARD[0].lock().unwrap().insert(text.to_owned()));
        ask(&stage).await;
        fill(&db, rounds(20_000, 100_000)).await;
        &HEARD[0]
    } else {
        // SQLite plans by the schema alone as long as nothing was analysed, which nothing here does.
        stage.db().on_statement(|text| _ = HEARD[1].lock().unwrap().insert(text.to_owned()));
        ask(&stage).await;
        &HEARD[1]
    };
    let texts = std::mem::take(&mut *texts.lock().unwrap());
    let hot: Vec<_> = texts.iter().filter(|text| is_hot(text)).collect();
    assert!(hot.len() > 30, "{hot:#?}");
    for text in hot {
        let plan = plan(&db, text, "EXPLAIN").await;
        let scanned: Vec<&String> =
            plan.iter().filter(|line| GROWING.iter().any(|table| scans(line, table, text))).collect();
        assert!(scanned.is_empty(), "{text}\n{}", plan.join("\n"));
    }
}

/// Runs the examples of the page for trying things out.
pub(crate) async fn ask(stage: &Stage) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("playground/src/explore/examples");
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        if !name.ends_with(".graphql") || name.ends_with(".admin.graphql") || text.contains("\nsubscription ") {
            continue;
        }
        let variables = std::fs::read_to_string(path.with_extension("json"));
        let variables = variables.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap());
        let caller = match name.ends_with(".app.graphql") {
            true => stage.app(&[Scope::ProgressWrite]).await,
            false => stage.user("grace"),
        };
        caller.data(&text, variables).await;
    }
}

/// Whether a statement is about users: not the commands of transactions, and not what reads the catalogue as a whole.
fn is_hot(text: &str) -> bool {
    ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"].iter().any(|verb| text.starts_with(verb))
        && GROWING.iter().any(|table| text.contains(table))
}

/// Gives the users of a database company: each with up to three rows like those that are there in every table.
async fn fill(db: &DatabaseConnection, count: u32) {
    let run = async |sql: String| {
        db.execute_unprepared(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    };
    let id = "lpad(to_hex(n), 24, '0')";
    run(format!(
        "INSERT INTO users (ulid, external_id, handle, handle_lower, visibility, created_at) \
         SELECT {id}, {id}, {id}, {id}, 'PUBLIC', 0 FROM generate_series(1, {count}) AS n"
    ))
    .await;
    for table in GROWING.iter().filter(|table| **table != "users" && **table != "idempotency_keys") {
        let columns = format!(
            "SELECT attname::text AS name FROM pg_attribute \
             WHERE attrelid = '{table}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        );
        let columns = db.query_all_raw(Statement::from_string(DbBackend::Postgres, columns)).await.unwrap();
        let columns: Vec<String> = columns.iter().map(|row| row.try_get("", "name").unwrap()).collect();
        let values: Vec<String> = columns
            .iter()
            .map(|column| match column.as_str() {
                "user_id" => "u.id".to_owned(),
                "external_id" => "left(md5(u.id || ' ' || t.external_id), 24)".to_owned(),
                column => format!("t.{column}"),
            })
            .collect();
        let (columns, values) = (columns.join(", "), values.join(", "));
        run(format!(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM (SELECT g.* FROM {table} g LIMIT 3) t \
             CROSS JOIN (SELECT id FROM users WHERE ulid LIKE '000%') u ON CONFLICT DO NOTHING"
        ))
        .await;
    }
    run("ANALYZE".to_owned()).await;
}

/// How an engine would carry out a statement, whatever its parameters are; as PostgreSQL tells when it is asked so.
pub(crate) async fn plan(db: &DatabaseConnection, text: &str, explain: &str) -> Vec<String> {
    let backend = db.get_database_backend();
    if backend == DbBackend::Sqlite {
        let rows = db.query_all_raw(Statement::from_string(backend, format!("EXPLAIN QUERY PLAN {text}"))).await;
        let rows = rows.unwrap_or_else(|error| panic!("{text}: {error}"));
        return rows.iter().map(|row| row.try_get("", "detail").unwrap()).collect();
    }
    let last = (1..).take_while(|number| text.contains(&format!("${number}"))).last().unwrap_or(0);
    let nulls = vec!["NULL"; last].join(", ");
    let nulls = if last == 0 { String::new() } else { format!("({nulls})") };
    for command in ["SET plan_cache_mode = force_generic_plan".to_owned(), format!("PREPARE one AS {text}")] {
        db.execute_unprepared(&command).await.unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    let rows = db.query_all_raw(Statement::from_string(backend, format!("{explain} EXECUTE one{nulls}"))).await;
    let rows = rows.unwrap_or_else(|error| panic!("{text}: {error}"));
    db.execute_unprepared("DEALLOCATE one").await.unwrap();
    rows.iter().map(|row| row.try_get("", "QUERY PLAN").unwrap()).collect()
}

/// Whether a line of a plan reads all rows of a table.
fn scans(line: &str, table: &str, text: &str) -> bool {
    let line = line.trim_start_matches([' ', '-', '>']);
    if let Some(rest) = line.strip_prefix("SCAN ") {
        // SQLite says the name that the statement gives to the table.
        let name = rest.split(' ').next().unwrap_or_default();
        return name == table
            || text.contains(&format!("{table} {name} "))
            || text.contains(&format!("{table} AS {name} "));
    }
    line.starts_with(&format!("Seq Scan on {table} ")) || line.starts_with(&format!("Parallel Seq Scan on {table} "))
}
