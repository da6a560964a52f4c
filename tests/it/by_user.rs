//! The rows of users can lie on several servers: each has one key, nothing is unique beyond a user, and every statement
//! says whose rows it wants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement};
use serde_json::{Value, json};
use waymark::auth::Scope;
use waymark::db::distribute::LOCKS;
use waymark::db::{Db, Kind};
use waymark::transfer;

use crate::cli::{SECRET, output, run};
use crate::harness::{Blank, Stage, tests};
use crate::{everything, hand_written, model};

tests! {
    once: [
        citus_takes_what_is_there,
    ],
    blank: [
        nothing_ties_the_rows_of_one_user_to_those_of_another,
        users_are_distributed_only_where_citus_is,
    ],
    own: [
        every_statement_says_whose_rows_it_wants,
        locks_of_one_user_at_a_time_do_as_well,
    ],
}

async fn texts(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    let rows = db.query_all_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

/// The tables whose rows lie by user.
async fn tables_by_user(db: &Db) -> BTreeSet<String> {
    db.laid_out().await.unwrap().into_iter().filter(|table| table.by_user).map(|table| table.name).collect()
}

async fn nothing_ties_the_rows_of_one_user_to_those_of_another(blank: Blank) {
    if blank.db.kind() == Kind::Sqlite {
        return;
    }
    blank.db.migrate().await.unwrap();
    let db = Database::connect(&blank.url).await.unwrap();
    let by_user = tables_by_user(&blank.db).await;
    let with_users = "SELECT table_name::text FROM information_schema.columns
        WHERE table_schema = current_schema() AND column_name = 'user_id'";
    let mut others: BTreeSet<String> = texts(&db, with_users).await.into_iter().collect();
    others.retain(|table| !by_user.contains(table));
    // These lead from a name to a user, whoever has it.
    assert_eq!(others, ["accounts", "instance_owners"].map(str::to_owned).into());
    assert_eq!(by_user.len(), 17, "{by_user:?}");
    let tied = "SELECT c.conrelid::regclass::text || ' refers to ' || c.confrelid::regclass::text FROM pg_constraint c
        WHERE c.contype = 'f' AND c.connamespace = current_schema()::regnamespace";
    let tied: Vec<_> = texts(&db, tied).await;
    let tied: Vec<_> =
        tied.iter().filter(|tie| tie.split(" refers to ").any(|table| by_user.contains(table))).collect();
    assert!(tied.is_empty(), "{tied:?}");
    let triggers = "SELECT tgname::text FROM pg_trigger WHERE NOT tgisinternal";
    assert_eq!(texts(&db, triggers).await, [""; 0], "a table that lies on several servers has no triggers");
}

async fn users_are_distributed_only_where_citus_is(blank: Blank) {
    let settings = [("WAYMARK_DATABASE_URL", &*blank.url), ("WAYMARK_JWT_SECRET", SECRET)];
    let expected = match blank.db.kind() {
        Kind::Sqlite => "only PostgreSQL with Citus distributes users",
        Kind::Postgres => "this database has no extension citus",
    };
    for _ in 0..2 {
        let told = run(&["migrate", "--distribute"], &settings);
        assert_eq!(told.code, 1, "{}", told.err);
        assert!(told.err.contains(expected) && told.err.lines().last().unwrap().contains("error"), "{}", told.err);
    }
    // What can be done was done.
    assert!(run(&["verify"], &settings).code == 0);
    assert_eq!(run(&["migrate", "--distribute", "down"], &settings).code, 2);
}

/// Distributes a database with data, where `TEST_CITUS_URL` leads to an empty one that has the extension and workers.
fn citus_takes_what_is_there() {
    let Some(url) = std::env::var("TEST_CITUS_URL").ok().filter(|url| !url.is_empty()) else { return };
    let settings = [("WAYMARK_DATABASE_URL", &*url), ("WAYMARK_JWT_SECRET", SECRET)];
    output(&["migrate"], &settings);
    output(&["demo", "--users", "25"], &settings);
    let before = output(&["export"], &settings);
    for _ in 0..2 {
        output(&["migrate", "--distribute"], &settings);
        assert!(output(&["export"], &settings) == before, "everything is where it belongs");
    }
    assert_eq!(output(&["verify"], &settings), "");
}

/// Statements that look at the rows of all users, by what is in them, and why they may. What operators change in the
/// catalogue looks at the progress that all users have with it; that is not done here.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("t.user_id BETWEEN $1 AND $2", "an export reads users in the order of their ids, some at a time"),
    ("'claims of season:'", "verify adds up what all users were granted of a budget"),
    ("UPDATE season_budgets SET spent_micros", "repair does so too"),
    ("CAST(SUM(goal_claims.reward_micros)", "so does an import of budgets"),
    ("'claims of the reward of collection:'", "verify counts what all users claimed of a stock"),
    ("UPDATE collection_rewards SET claimed", "repair does so too"),
];

async fn every_statement_says_whose_rows_it_wants(stage: Stage) {
    static HEARD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    if stage.db().kind() == Kind::Sqlite {
        return;
    }
    stage.db().on_statement(|text| _ = HEARD.lock().unwrap().insert(text.to_owned()));
    work(&stage).await;
    let heard = std::mem::take(&mut *HEARD.lock().unwrap());
    let by_user = tables_by_user(stage.db()).await;
    let mut texts: BTreeSet<String> = heard
        .into_iter()
        .filter(|text| ["SELECT", "WITH", "INSERT", "UPDATE", "DELETE"].iter().any(|verb| text.starts_with(verb)))
        .collect();
    texts.extend(hand_written::texts(DbBackend::Postgres));
    texts.retain(|text| by_user.iter().any(|table| text.contains(table)));
    assert!(texts.len() > 150, "{}", texts.len());
    // What is prepared stays on its connection.
    let db = Database::connect(ConnectOptions::new(&stage.url).max_connections(1).to_owned()).await.unwrap();
    let mut excused = BTreeSet::new();
    let mut unbound = BTreeMap::new();
    for text in &texts {
        let plan = hand_written::plan(&db, text, "EXPLAIN VERBOSE").await;
        let scanned = scanned_for_all(&plan, &by_user);
        if scanned.is_empty() {
            continue;
        }
        match EXCEPTIONS.iter().find(|(part, _)| text.contains(part)) {
            Some((part, _)) => _ = excused.insert(*part),
            None => _ = unbound.insert(text, scanned),
        }
    }
    assert!(unbound.is_empty(), "{unbound:#?}");
    let idle: Vec<_> = EXCEPTIONS.iter().filter(|(part, _)| !excused.contains(part)).collect();
    assert!(idle.is_empty(), "these are exceptions no more: {idle:?}");
}

/// The tables of users that a plan reads without a condition on whose rows they are.
fn scanned_for_all(plan: &[String], by_user: &BTreeSet<String>) -> Vec<String> {
    let conditions: Vec<&str> = plan
        .iter()
        .filter_map(|line| Some(line.split_once(" Cond: ").or_else(|| line.split_once("Filter: "))?.1))
        .collect();
    let scans = plan.iter().filter_map(|line| {
        let (how, what) = line.split_once(" on public.")?;
        let mut words = what.split_whitespace();
        let table = words.next()?;
        let alias = words.next().filter(|word| !word.starts_with('(')).unwrap_or(table);
        (how.contains("Scan") && by_user.contains(table)).then_some((table, alias))
    });
    let is_bound = |alias: &str| {
        let column = format!("{alias}.user_id");
        let (left, right) = (format!("({column} = "), format!(" = {column})"));
        conditions.iter().any(|condition| condition.contains(&left) || condition.contains(&right))
    };
    scans.filter(|(_, alias)| !is_bound(alias)).map(|(table, _)| table.to_owned()).collect()
}

/// What clients, apps and operators do.
async fn work(stage: &Stage) {
    hand_written::ask(stage).await;
    model::try_some(stage).await;
    let admin = stage.app(&[Scope::Admin]).await;
    let schema = everything::schema();
    let everything = format!("query($by: [UserBy!]!) {{ users(by: $by) {} }}", everything::selection(&schema, "User"));
    for handles in [&["grace"][..], &["grace", "newton"]] {
        let by: Vec<Value> = handles.iter().map(|handle| json!({ "handle": handle })).collect();
        admin.query(&everything, json!({ "by": by })).await;
    }
    let own = format!("{{ viewer {{ user {} }} }}", everything::selection(&schema, "User"));
    stage.user("grace").query(&own, Value::Null).await;
    let refused = "{ userErrors { code } }";
    let merge = format!("mutation($input: MergeUsersInput!) {{ mergeUsers(input: $input) {refused} }}");
    let both = json!({ "input": { "from": { "handle": "cleo" }, "into": { "handle": "ada" } } });
    assert_eq!(admin.data(&merge, both).await["mergeUsers"]["userErrors"], json!([]));
    let erase = format!("mutation($input: EraseUserInput!) {{ eraseUser(input: $input) {refused} }}");
    let newton = json!({ "input": { "user": { "handle": "newton" } } });
    assert_eq!(admin.data(&erase, newton).await["eraseUser"]["userErrors"], json!([]));
    for mutation in ["verify", "repair"] {
        admin.data(&format!("mutation {{ {mutation}(input: {{}}) {{ checks {{ check }} }} }}"), Value::Null).await;
    }
    stage.app.maintain().await.unwrap();
    let mut exported = Vec::new();
    transfer::export(stage.db(), &mut exported, &transfer::Scope::All, false, &|_| {}).await.unwrap();
    let text = String::from_utf8(exported).unwrap();
    crate::transfer::import(stage.db(), &text).await;
}

async fn locks_of_one_user_at_a_time_do_as_well(stage: Stage) {
    if stage.db().kind() == Kind::Sqlite {
        return;
    }
    for lock in LOCKS {
        stage.db().writes().execute_unprepared(lock).await.unwrap();
    }
    model::try_some(&stage).await;
}
