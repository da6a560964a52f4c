//! Whether the documentation says what the code does.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::ConnectionTrait as _;
use serde_json::{Map, Value, json};
use waymark::auth::Scope;
use waymark::config::{Config, DEFAULTS};
use waymark::db::Kind;
use waymark::transfer;

use crate::cli::{COMMANDS, SECRET, Scratch, options_of, output, run};
use crate::harness::{Stage, tests};

pub(crate) const OPERATIONS: &str = include_str!("../../docs/operations.md");
const GRAPHQL: &str = include_str!("../../docs/graphql.md");
const IMPORT: &str = include_str!("../../docs/import.md");
const OTHERS: [&str; 4] = [
    include_str!("../../README.md"),
    include_str!("../../docs/architecture.md"),
    include_str!("../../docs/semantics.md"),
    include_str!("../../docs/rest/credits.md"),
];

tests! {
    once: [
        every_setting_is_documented_with_its_default,
        every_code_of_errors_is_documented,
        every_member_of_records_is_documented,
        every_command_and_option_is_documented,
        every_metric_is_documented,
    ],
    empty: [
        a_role_with_the_documented_rights_serves,
    ],
}

/// The rows of the table under a head that begins so, cell by cell.
pub(crate) fn table(text: &'static str, head: &str) -> Vec<Vec<&'static str>> {
    let rest = text.split(head).nth(1).unwrap_or_else(|| panic!("there is a table {head}"));
    let rows = rest.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

/// What stands between pairs of back ticks.
pub(crate) fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// Words of a text that begin so, up to what is no part of a name.
pub(crate) fn words<'a>(text: &'a str, start: &'a str, is_part: fn(char) -> bool) -> BTreeSet<&'a str> {
    let found = text.match_indices(start).map(|(at, _)| &text[at..]);
    found.map(|rest| rest.split(|c| !is_part(c)).next().unwrap()).collect()
}

pub(crate) fn is_of_name(c: char) -> bool {
    c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'
}

/// Every setting as its variable, with its default as TOML; nothing where it has none.
pub(crate) fn settings() -> BTreeMap<String, String> {
    let all = Config::from_sources(None, []).unwrap().to_toml();
    let lines = all.lines().filter(|line| !line.is_empty() && !line.starts_with('['));
    lines
        .map(|line| {
            let line = line.trim_start_matches("# ");
            let (name, default) = line.split_once(" = ").or_else(|| Some((line.split_once(' ')?.0, ""))).unwrap();
            (format!("WAYMARK_{}", name.to_uppercase()), default.trim_matches('"').to_owned())
        })
        .collect()
}

fn every_setting_is_documented_with_its_default() {
    let mut documented = BTreeMap::new();
    for row in table(OPERATIONS, "| environment | default | |") {
        for name in quoted(row[0]) {
            documented.insert(name.to_owned(), row[1].trim_matches('`').to_owned());
        }
    }
    let settings = settings();
    let names = |settings: &BTreeMap<String, String>| settings.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&documented), names(&settings), "the table of operations.md has every setting");
    for (name, default) in &settings {
        let told = &documented[name];
        let none = ["", "any", "none", "system"].contains(&told.as_str()) && ["", "[]"].contains(&default.as_str());
        assert!(none || told == default, "{name} is {default} and not {told}");
        assert!(DEFAULTS.contains(name.as_str()), "waymark config --default names {name}");
    }
    for text in [OPERATIONS, GRAPHQL, IMPORT, DEFAULTS].into_iter().chain(OTHERS) {
        for name in words(text, "WAYMARK_", is_of_name) {
            let other = ["WAYMARK_", "WAYMARK_SERVICE_", "WAYMARK_PORT"].contains(&name);
            assert!(other || settings.contains_key(name), "{name} is no setting");
        }
    }
}

fn every_code_of_errors_is_documented() {
    // The match that names them leaves none out.
    let source = include_str!("../../src/kernel/error.rs");
    let names = source.split("pub const fn as_str(self)").nth(1).unwrap().split("    }\n}").next().unwrap();
    let codes: BTreeSet<&str> = names.split('"').skip(1).step_by(2).collect();
    let rows = table(
        GRAPHQL,
        "Programs go by `extensions.code`; the message is for people, and may change. New codes may be added.\n\n| code | |",
    );
    let documented: BTreeSet<&str> = rows.iter().flat_map(|row| quoted(row[0])).collect();
    assert_eq!(documented, codes, "the table of graphql.md has every code");
    let schema = include_str!("../../schema.graphql");
    let refusals = schema.split("enum UserErrorCode {").nth(1).unwrap().split("\n}").next().unwrap();
    let refusals: BTreeSet<&str> = refusals
        .lines()
        .filter_map(|line| line.trim().split(' ').next())
        .filter(|word| !word.is_empty() && word.chars().all(is_of_name))
        .collect();
    assert!(refusals.len() > 30);
    let rows = table(GRAPHQL, "| code of a `userError` or a result | when |");
    let documented: BTreeSet<&str> = rows.iter().flat_map(|row| quoted(row[0])).collect();
    assert_eq!(documented, refusals, "the table of graphql.md has every code of refusals");
}

fn every_member_of_records_is_documented() {
    let rows = table(IMPORT, "| record | needs | may have |");
    let mut types = BTreeSet::new();
    for row in &rows {
        let place = quoted(row[0]).next().unwrap();
        types.insert(place.split('.').next().unwrap());
        let documented: BTreeSet<String> = row[1..].iter().flat_map(|cell| quoted(cell)).map(str::to_owned).collect();
        let members: BTreeSet<String> = transfer::members(place).into_iter().collect();
        assert!(!members.is_empty(), "{place} is a record");
        assert_eq!(documented, members, "{place}");
    }
    assert_eq!(types, transfer::record_types().into_iter().collect(), "every type has its row");
    // Without what a record needs it is none, and without the rest it is one.
    let samples = IMPORT.split("```ndjson\n").skip(1).flat_map(|rest| rest.split("```").next().unwrap().lines());
    for line in samples {
        let record: Map<String, Value> = serde_json::from_str(line).unwrap();
        let kind = record["type"].as_str().unwrap();
        let row = rows.iter().find(|row| quoted(row[0]).next() == Some(kind)).unwrap();
        let needed: BTreeSet<&str> = quoted(row[1]).collect();
        for member in record.keys().filter(|name| *name != "type") {
            let mut less = record.clone();
            less.remove(member);
            let is_one = transfer::check(&Value::Object(less).to_string()).is_ok();
            assert_eq!(is_one, !needed.contains(member.as_str()), "{kind} without {member}");
        }
    }
    for inside in ["season.weeks", "season.pauses", "season.budgets", "collection.reward", "user.accounts"] {
        assert!(rows.iter().any(|row| quoted(row[0]).next() == Some(inside)), "{inside} has its row");
    }
}

fn every_command_and_option_is_documented() {
    let mut documented: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut listed = BTreeSet::new();
    for row in table(OPERATIONS, "| command | does | options |") {
        for command in quoted(row[0]) {
            listed.insert(command);
            documented
                .entry(command.split(' ').next().unwrap())
                .or_default()
                .extend(row.get(2).into_iter().flat_map(|cell| quoted(cell)));
        }
    }
    let mut options: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for command in COMMANDS {
        let everywhere = ["--config", "--log-format", "--help"];
        let own = options_of(command).into_iter().filter(|name| !everywhere.contains(&name.as_str()));
        options.entry(command[0]).or_default().extend(own);
        let is_group = *command == ["key"] || *command == ["catalogue"];
        assert!(is_group || listed.contains(&*command.join(" ")), "{command:?} has its row");
    }
    for (command, options) in &options {
        let documented: BTreeSet<String> = documented[command].iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(&documented, options, "{command}");
    }
}

fn every_metric_is_documented() {
    let names = include_str!("../../src/kernel/metrics/names.rs").split("\nmetrics! {").nth(1).unwrap();
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let names = words(names, "\"waymark_", |c| c == '"' || c.is_ascii_lowercase() || c == '_');
    let names: BTreeSet<&str> = names.into_iter().map(|name| name.trim_matches('"')).collect();
    let rows = table(OPERATIONS, "| figure | kind, labels | what it says | look when |");
    let documented: BTreeSet<&str> = rows.iter().flat_map(|row| quoted(row[0])).collect();
    assert_eq!(documented, names, "the table of operations.md has every metric");
    for text in [GRAPHQL, IMPORT, OPERATIONS] {
        for name in words(text, "waymark_", is_part) {
            let known = ["waymark_server", "waymark_events"];
            assert!(names.contains(name) || known.contains(&name), "{name} is no metric");
        }
    }
}

/// The statements of the documentation, for this role.
fn grants(role: &str) -> String {
    let section = OPERATIONS.split("### The role of the server on PostgreSQL").nth(1).unwrap();
    let sql = section.split("```sql\n").nth(1).unwrap().split("```").next().unwrap();
    sql.replace("waymark_server", role)
}

async fn a_role_with_the_documented_rights_serves(stage: Stage) {
    if stage.db().kind() == Kind::Sqlite {
        let settings = [("WAYMARK_DATABASE_URL", &*stage.url), ("WAYMARK_JWT_SECRET", SECRET)];
        let told = run(&["doctor"], &settings);
        assert_eq!((told.code, told.out.matches("ok     ").count()), (0, 6), "{}{}", told.out, told.err);
        return;
    }
    let role = format!("waymark_role_{}", stage.url.rsplit('_').next().unwrap());
    let owner = stage.db().writes();
    let make = format!(
        "DROP ROLE IF EXISTS {role}; CREATE ROLE {role} LOGIN PASSWORD 'a password'; REVOKE ALL ON SCHEMA public FROM PUBLIC"
    );
    owner.execute_unprepared(&make).await.unwrap();
    let (_, place) = stage.url.split_once("://").unwrap();
    let place = place.rsplit('@').next().unwrap();
    let url = format!("postgres://{role}:a%20password@{place}");
    let settings = [("WAYMARK_DATABASE_URL", &*url), ("WAYMARK_JWT_SECRET", SECRET)];
    // Without them nothing is told as pending.
    for arguments in [&["serve"][..], &["verify"], &["doctor"]] {
        let told = run(arguments, &settings);
        let said = told.out + &told.err;
        assert!(told.code == 1 && said.contains("may not use the schema public"), "{arguments:?}: {said}");
        assert!(!said.contains("pending"), "{arguments:?}: {said}");
    }
    owner.execute_unprepared(&format!("GRANT USAGE ON SCHEMA public TO {role}")).await.unwrap();
    let told = run(&["serve"], &settings).err;
    assert!(
        told.contains("permission denied for table") && told.lines().count() == 1 && !told.contains("pending"),
        "{told}"
    );
    owner.execute_unprepared(&grants(&role)).await.unwrap();
    // One who has all of them but one is told which.
    owner.execute_unprepared(&format!("REVOKE INSERT ON users FROM {role}")).await.unwrap();
    let told = run(&["doctor"], &settings);
    assert!(
        told.code == 1 && told.out.contains("wrong  rights: ") && told.out.contains("INSERT on users"),
        "{}",
        told.out
    );
    owner.execute_unprepared(&grants(&role)).await.unwrap();
    let told = run(&["doctor"], &settings);
    assert_eq!((told.code, told.out.matches("ok     ").count()), (0, 6), "{}{}", told.out, told.err);

    let scratch = Scratch::new();
    let file = scratch.0.join("made.ndjson").display().to_string();
    let samples = IMPORT.split("```ndjson\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let made: String = samples.take_while(|sample| !sample.contains(r#""type":"waymark""#)).collect();
    std::fs::write(&file, made).unwrap();
    assert_eq!(output(&["import", &file], &settings), "");
    output(&["key", "create", "--name", "x", "--scope", "admin"], &settings);
    output(&["verify"], &settings);
    assert!(output(&["export"], &settings).lines().count() > 25);
    let served = Stage::at(url.clone()).await;
    let admin = served.app(&[Scope::Admin]).await;
    let write = "mutation($input: UpsertGameInput!) { upsertGame(input: $input) { userErrors { code } } }";
    let game = json!({ "input": { "key": "granted", "title": "Granted", "achievements": [{ "key": "granted-1", "title": "One" }] } });
    assert_eq!(admin.data(write, game).await["upsertGame"]["userErrors"], json!([]));
    let unlock = "mutation { unlockAchievements(input: { user: { handle: \"lovelace\" },
        unlocks: [{ achievementId: \"granted-1\" }] }) { results { status } } }";
    served.app.refresh_catalogue().await.unwrap();
    let done = admin.data(unlock, Value::Null).await;
    assert_eq!(done["unlockAchievements"]["results"], json!([{ "status": "APPLIED" }]));
    let erase = "mutation { eraseUser(input: { user: { handle: \"lovelace\" } }) { userErrors { code } } }";
    assert_eq!(admin.data(erase, Value::Null).await["eraseUser"]["userErrors"], json!([]));
    drop((admin, served));
    owner.execute_unprepared(&format!("DROP OWNED BY {role} CASCADE; DROP ROLE {role}")).await.unwrap();
}
