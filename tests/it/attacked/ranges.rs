//! Numbers and dates at the edges of their ranges, in every record of an import and in every input of a mutation. What is
//! new and has no range here fails.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};
use waymark::auth::Scope;
use waymark::clock::{Ids, Timestamp};
use waymark::db::Db;
use waymark::transfer::{self, Complaint, Imported, Source};

use crate::harness::{Actor, NOW, Stage, tests};

tests! {
    empty: [
        records_are_taken_at_the_edges_of_their_ranges_and_not_beyond,
        ledgers_that_contradict_themselves_are_refused,
        a_ledger_without_entries_is_made_whole_and_told,
        a_game_is_worth_no_more_than_its_players_can_score,
        nobody_is_brought_more_credits_than_anybody_may_have,
        inputs_are_taken_at_the_edges_of_their_ranges_and_not_beyond,
        a_ledger_ends_with_its_last_number,
        a_reward_of_a_goal_comes_with_its_claim,
    ],
    once: [every_number_and_date_of_a_record_has_a_range],
}

fn now() -> Timestamp {
    Timestamp::parse(NOW).unwrap()
}

/// A record of each type with every number and date that it may have. `#` is replaced, so that each is about something of
/// its own; lines before the last one are what it needs.
const RECORDS: &[&str] = &[
    r#"{"type":"season","key":"season#","title":"S","startsAt":"2026-06-01T00:00:00Z","durationSeconds":7257600,"weekLengthSeconds":604800,"endedAt":"2026-06-16T00:00:00Z","weeks":[{"number":1,"title":"W"}],"pauses":[{"from":"2026-06-10T00:00:00Z","until":"2026-06-11T00:00:00Z"}],"budgets":[{"week":2,"capMicros":9,"spentMicros":0}],"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z"}"#,
    r#"{"type":"goal","key":"goal#","season":"base","week":1,"position":1,"title":"G","rewardMicros":5,"totalSteps":3}"#,
    r#"{"type":"resource","key":"resource#","title":"R","estimatedMinutes":5,"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z"}"#,
    r#"{"type":"studyPlan","key":"plan#","title":"P","resources":[],"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z"}"#,
    r#"{"type":"game","key":"game#","number":$,"title":"G","createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z"}"#,
    r#"{"type":"achievement","key":"achievement#","game":"base","position":1,"title":"A","points":5,"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z"}"#,
    r#"{"type":"collection","key":"collection#","name":"C","startsAt":"2026-01-01T00:00:00Z","endsAt":"2026-02-01T00:00:00Z","reward":{"key":"k#","name":"N","value":"v","stock":5,"claimed":0},"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z"}"#,
    r#"{"type":"card","key":"card#","collection":"base","position":1,"name":"C"}"#,
    r#"{"type":"user","handle":"user#","accounts":[{"provider":"discord","id":"80000000000000$","linkedAt":"2026-01-01T00:00:00Z"}],"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-01T00:00:00Z","erasedAt":"2026-01-01T00:00:00Z"}"#,
    r#"{"type":"event","user":"user#","number":3,"kind":"ENROLLED","actor":"operator","subject":{"type":"season","key":"base"},"changes":{},"occurredAt":"2026-01-01T00:00:00Z","recordedAt":"2026-01-01T00:00:00Z"}"#,
    r#"{"type":"enrolment","user":"user#","season":"base","at":"2026-06-02T00:00:00Z"}"#,
    r#"{"type":"goalProgress","user":"user#","goal":"base","completedSteps":1,"completedAt":"2026-06-02T00:00:00Z","at":"2026-06-02T00:00:00Z"}"#,
    r#"{"type":"goalClaim","user":"user#","goal":"base","lot":1,"rewardMicros":5,"at":"2026-06-02T00:00:00Z"}"#,
    r#"{"type":"creditLot","user":"user#","number":1,"ref":"r","amountMicros":5,"remainingMicros":5,"grantedAt":"2026-01-01T00:00:00Z","expiresAt":"2027-01-01T00:00:00Z"}"#,
    concat!(
        r#"{"type":"creditLot","user":"user#","number":1,"amountMicros":5,"remainingMicros":0,"grantedAt":"2026-01-01T00:00:00Z"}"#,
        "\n",
        r#"{"type":"creditEntry","user":"user#","number":2,"lot":1,"kind":"SPEND","amountMicros":5,"operation":"o","at":"2026-01-01T00:00:00Z"}"#,
    ),
    r#"{"type":"block","user":"user#","number":1,"scope":"SPEND","reason":"R","from":"2026-06-04T00:00:00Z","until":"2026-06-06T00:00:00Z","liftedAt":"2026-06-05T00:00:00Z"}"#,
    r#"{"type":"resourceProgress","user":"user#","resource":"base","completed":true,"progress":5,"timeSpentMinutes":5,"completedAt":"2026-05-01T00:00:00Z","lastAccessedAt":"2026-05-01T00:00:00Z","createdAt":"2026-05-01T00:00:00Z","updatedAt":"2026-05-01T00:00:00Z"}"#,
    concat!(
        r#"{"type":"resourceProgress","user":"user#","resource":"base","completed":true,"completedAt":"2026-05-01T00:00:00Z"}"#,
        "\n",
        r#"{"type":"studyPlanInstance","user":"user#","number":1,"plan":"base","resources":[{"resource":"base","markedAt":"2026-05-01T12:00:00Z"}],"createdAt":"2026-05-01T00:00:00Z","updatedAt":"2026-05-01T00:00:00Z"}"#,
    ),
    r#"{"type":"awards","user":"user#","game":"base","beatenAt":"2026-02-27T20:00:00Z","beatenHardcoreAt":"2026-02-27T20:00:00Z","completedAt":"2026-02-27T20:00:00Z","masteredAt":"2026-02-27T20:00:00Z"}"#,
    r#"{"type":"unlock","user":"user#","achievement":"base","at":"2026-02-27T20:00:00Z","hardcoreAt":"2026-02-27T20:00:00Z"}"#,
    r#"{"type":"collectionProgress","user":"user#","collection":"base","completedAt":"2026-01-06T20:00:00Z","rewardClaimedAt":"2026-01-07T20:00:00Z","updatedAt":"2026-01-07T20:00:00Z"}"#,
    r#"{"type":"ownedCard","user":"user#","card":"base","quantity":2,"firstAcquiredAt":"2026-01-05T20:00:00Z","updatedAt":"2026-01-05T20:00:00Z"}"#,
    r#"{"type":"writeRef","user":"user#","kind":"CREDIT_GRANT","ref":"r","outcome":{},"createdAt":"2026-01-03T09:00:00.000Z"}"#,
    r#"{"type":"audit","actor":"operator","action":"x","subject":{"type":"game","key":"base#"},"changes":{},"recordedAt":"2026-01-01T09:00:00.000Z"}"#,
    r#"{"type":"apiKey","name":"k","prefix":"wmk_1a2b3c4d","hash":"@","scopes":"progress:write","createdAt":"2026-01-01T09:00:00.000Z","expiresAt":"2027-01-01T00:00:00Z","revokedAt":"2026-01-02T00:00:00Z"}"#,
];

/// What the others refer to.
const BASE: &str = r#"{"type":"season","key":"base","title":"S","startsAt":"2026-06-01T00:00:00Z","durationSeconds":7257600}
{"type":"goal","key":"base","season":"base","title":"G","rewardMicros":5,"totalSteps":1}
{"type":"resource","key":"base","title":"R"}
{"type":"studyPlan","key":"base","title":"P","resources":["base"]}
{"type":"game","key":"base","title":"G"}
{"type":"achievement","key":"base","game":"base","title":"A","points":5}
{"type":"collection","key":"base","name":"C","reward":{"key":"k","name":"N","value":"v"}}
{"type":"card","key":"base","collection":"base","name":"C"}
"#;

/// Types that have neither numbers nor dates to be looked at.
const WITHOUT: [&str; 2] = ["merge", "waymark"];

/// One example with a name of its own: the lines that it needs, and itself.
fn example(of: &str, number: u32) -> (String, Value) {
    let text = of
        .replace('#', &number.to_string())
        .replace('$', &(1000 + number).to_string())
        .replace('@', &format!("{number:064x}"));
    let (before, last) = text.rsplit_once('\n').unwrap_or(("", &text));
    (before.to_owned(), serde_json::from_str(last).unwrap())
}

/// The place of a member that is named as [`transfer::ranges`] does; of a list its first element.
fn place<'a>(record: &'a mut Value, name: &str) -> &'a mut Value {
    let mut place = record;
    for part in name.split('.') {
        place = if place.is_array() { &mut place[0][part] } else { &mut place[part] };
    }
    place
}

fn every_number_and_date_of_a_record_has_a_range() {
    let mut types: BTreeSet<&str> = transfer::record_types().into_iter().collect();
    for of in RECORDS {
        let (_, record) = example(of, 1);
        let name = record["type"].as_str().unwrap().to_owned();
        let ranged: BTreeSet<&str> =
            transfer::ranges(&record.to_string(), now(), false).unwrap().into_iter().map(|(name, _)| name).collect();
        let mut leaves = BTreeSet::new();
        collect(&record, "", &mut leaves);
        assert_eq!(ranged, leaves.iter().map(String::as_str).collect(), "{name}");
        types.remove(&*name);
    }
    assert_eq!(types.into_iter().collect::<Vec<_>>(), WITHOUT);
}

/// The names of the numbers and dates in a value.
fn collect(value: &Value, name: &str, leaves: &mut BTreeSet<String>) {
    let dotted = |key: &str| if name.is_empty() { key.to_owned() } else { format!("{name}.{key}") };
    match value {
        Value::Number(_) => drop(leaves.insert(name.to_owned())),
        Value::String(text) if Timestamp::parse(text).is_ok() => drop(leaves.insert(name.to_owned())),
        Value::Array(items) => items.iter().for_each(|item| collect(item, name, leaves)),
        Value::Object(members) => members.iter().for_each(|(key, member)| collect(member, &dotted(key), leaves)),
        _ => {}
    }
}

struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = std::env::temp_dir().join(format!("waymark-ranges-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        Self(directory)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Imports these lines; what was bad, by line.
async fn import(db: &Db, text: &str) -> (Imported, BTreeMap<u64, String>) {
    let scratch = Scratch::new();
    let path = scratch.0.join("records.ndjson");
    std::fs::write(&path, text).unwrap();
    let mut complaints: Vec<Complaint> = Vec::new();
    let sources = vec![Source::File(path)];
    let ids = Ids::system();
    let done = transfer::import(db, &ids, now(), sources, &mut |one| complaints.push(one), &|_| {}).await.unwrap();
    assert_eq!((done.records, done.bad), (done.new + done.unchanged + done.bad, complaints.len() as u64));
    (done, complaints.into_iter().map(|one| (one.line, one.reason)).collect())
}

async fn export(db: &Db) -> String {
    let mut out = Vec::new();
    transfer::export(db, &mut out, &transfer::Scope::All, true, &|_| {}).await.unwrap();
    String::from_utf8(out).unwrap()
}

/// That the data are in order, and that an export of them is taken whole elsewhere.
async fn is_clean(stage: &Stage) {
    let operator = stage.app(&[Scope::Admin]).await;
    let found =
        operator.data("mutation { verify(input: {}) { differences { check what stored expected } } }", Value::Null);
    assert_eq!(found.await["verify"]["differences"], json!([]));
    let text = export(stage.db()).await;
    let scratch = Scratch::new();
    let other = Db::connect(&format!("sqlite://{}", scratch.0.join("other.db").display()), 4).await.unwrap();
    other.migrate().await.unwrap();
    let (_, bad) = import(&other, &text).await;
    assert_eq!(bad, BTreeMap::new());
    assert_eq!(export(&other).await, text, "what an export brings over is exported again as it was");
    other.close().await.unwrap();
}

/// Lines with each record at each edge of each range, every one about something of its own, and what is expected of which
/// line: the member at whose edge it is, and whether it lies within.
fn probes(has_history: bool) -> (String, BTreeMap<u64, (String, bool)>) {
    let (mut text, mut expected, mut number) = (BASE.to_owned(), BTreeMap::new(), 0);
    if has_history {
        text.insert_str(0, "{\"type\":\"waymark\",\"version\":1,\"history\":true}\n");
    }
    for of in RECORDS {
        let (_, record) = example(of, 0);
        for (name, edges) in transfer::ranges(&record.to_string(), now(), has_history).unwrap() {
            for (edge, value) in edges.into_iter().enumerate() {
                number += 1;
                let (before, mut record) = example(of, number);
                *place(&mut record, name) = value;
                if record.get("user").is_some() {
                    text.push_str(&format!("{{\"type\":\"user\",\"handle\":\"user{number}\"}}\n"));
                }
                if !before.is_empty() {
                    text.push_str(&before);
                    text.push('\n');
                }
                text.push_str(&format!("{record}\n"));
                let line = text.lines().count() as u64;
                expected.insert(line, (format!("{} {name}", record["type"]), (1..=2).contains(&edge)));
            }
        }
    }
    (text, expected)
}

async fn records_are_taken_at_the_edges_of_their_ranges_and_not_beyond(stage: Stage) {
    let (text, expected) = probes(false);
    let (_, bad) = import(stage.db(), &text).await;
    for (line, (what, within)) in &expected {
        let reason = bad.get(line).map_or("", String::as_str);
        // What a range lets pass may be refused for what else the record says: steps beyond those of the goal, an end
        // before the beginning. What is too large for its column is no number that the member may be.
        let member = what.rsplit(' ').next().unwrap();
        let out_of_range = reason.starts_with(&format!("{member} is a number from"))
            || reason.starts_with(&format!("{member} lies between"))
            || reason.contains("invalid value: integer");
        assert_eq!(out_of_range, !within, "{what} in line {line}: {reason:?}");
    }
    assert!(expected.len() > 300, "{}", expected.len());
    is_clean(&stage).await;
}

fn user(lines: &[&str]) -> String {
    let mut text = BASE.to_owned() + "{\"type\":\"user\",\"handle\":\"ada\"}\n";
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// The reasons for which lines behind [`user`]'s were bad, by their place among these, from 0.
async fn reasons(stage: &Stage, lines: &[&str]) -> BTreeMap<usize, String> {
    let before = user(&[]).lines().count();
    let (_, bad) = import(stage.db(), &user(lines)).await;
    bad.into_iter().map(|(line, reason)| (usize::try_from(line).unwrap() - before - 1, reason)).collect()
}

const LOT: &str = r#"{"type":"creditLot","user":"ada","number":1,"amountMicros":5,"remainingMicros":2,"grantedAt":"2026-01-01T00:00:00Z"}"#;
const GRANT: &str = r#"{"type":"creditEntry","user":"ada","number":1,"lot":1,"kind":"GRANT","amountMicros":5,"operation":"a","at":"2026-01-01T00:00:00Z"}"#;

async fn ledgers_that_contradict_themselves_are_refused(stage: Stage) {
    let entry = |number: i64, kind: &str, micros: i64| {
        format!(
            r#"{{"type":"creditEntry","user":"ada","number":{number},"lot":1,"kind":"{kind}","amountMicros":{micros},"operation":"b","at":"2026-01-02T00:00:00Z"}}"#
        )
    };
    let lines = [
        LOT.to_owned(),
        GRANT.to_owned(),
        entry(2, "GRANT", 5),
        entry(3, "SPEND", 3),
        entry(4, "REVOKE", 3),
        entry(3, "SPEND", 2),
        entry(i64::MAX, "SPEND", 1),
        r#"{"type":"creditLot","user":"ada","ref":"x","amountMicros":5,"grantedAt":"2026-02-01T00:00:00Z","expiresAt":"2026-01-01T00:00:00Z"}"#.to_owned(),
        r#"{"type":"creditLot","user":"ada","number":9,"amountMicros":5,"remainingMicros":6}"#.to_owned(),
        r#"{"type":"creditLot","user":"ada","ref":"y","amountMicros":5,"grantedAt":"2026-06-18T00:00:00Z"}"#.to_owned(),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let found = reasons(&stage, &lines).await;
    let expected = [
        (2, "one entry grants lot 1"),
        (4, "more is taken of lot 1"),
        (5, "entry 3 is there already"),
        (6, "number is a number from 1 to 9007199254740991"),
        (7, "expires after it was granted"),
        (8, "no more is left"),
        (9, "grantedAt lies between"),
    ];
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), expected.map(|(line, _)| line), "{found:?}");
    for (line, words) in expected {
        assert!(found[&line].contains(words), "{line}: {}", found[&line]);
    }
    is_clean(&stage).await;
}

async fn a_ledger_without_entries_is_made_whole_and_told(stage: Stage) {
    let found = reasons(&stage, &[LOT]).await;
    assert_eq!(found.len(), 1);
    assert!(found[&0].contains("no entry grants it") && found[&0].contains("leave more"), "{}", found[&0]);
    is_clean(&stage).await;
    // In another file, the entry that was missing comes too late; what it says is refused.
    let found = reasons(&stage, &[LOT, GRANT]).await;
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [0, 1], "{found:?}");
    is_clean(&stage).await;
}

async fn a_game_is_worth_no_more_than_its_players_can_score(stage: Stage) {
    let mut text = String::from("{\"type\":\"game\",\"key\":\"huge\",\"title\":\"G\"}\n");
    for number in 1..=2148 {
        let line = json!({ "type": "achievement", "key": format!("h{number}"), "game": "huge", "title": "A", "points": 1_000_000 });
        text.push_str(&format!("{line}\n"));
    }
    let (_, bad) = import(stage.db(), &text).await;
    assert_eq!(bad.keys().copied().collect::<Vec<_>>(), [2149], "{bad:?}");
    assert!(bad[&2149].contains("at most 2147483647 together"));
    let one_more = "{\"type\":\"achievement\",\"key\":\"h1\",\"game\":\"huge\",\"title\":\"A\",\"points\":999999}\n\
                    {\"type\":\"achievement\",\"key\":\"less\",\"game\":\"huge\",\"title\":\"A\",\"points\":483648}\n";
    let (_, bad) = import(stage.db(), one_more).await;
    assert_eq!(bad, BTreeMap::new());
    let operator = stage.app(&[Scope::Admin]).await;
    let input = json!({ "key": "huge", "achievements": [{ "key": "more", "title": "A", "points": 1 }] });
    let text = "mutation($i: UpsertGameInput!) { upsertGame(input: $i) { userErrors { code message } } }";
    let refused = operator.data(text, json!({ "i": input })).await;
    assert_eq!(refused["upsertGame"]["userErrors"][0]["code"], "INVALID_INPUT", "{refused}");
    is_clean(&stage).await;
}

async fn nobody_is_brought_more_credits_than_anybody_may_have(stage: Stage) {
    let lot = |reference: &str, micros: i64, expires: &str| {
        format!(
            r#"{{"type":"creditLot","user":"ada","ref":"{reference}","amountMicros":{micros},"grantedAt":"2026-01-01T00:00:00Z"{expires}}}"#
        )
    };
    const MOST: i64 = 9_000_000_000_000_000_000;
    let lines = [
        lot("gone", MOST, r#","expiresAt":"2026-02-01T00:00:00Z""#),
        lot("most", MOST - 1, ""),
        lot("two more", 2, ""),
        lot("one more", 1, ""),
        lot("another", 1, ""),
        lot("too much", i64::MAX, ""),
    ];
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let found = reasons(&stage, &lines).await;
    assert_eq!(found.keys().copied().collect::<Vec<_>>(), [2, 4, 5], "{found:?}");
    is_clean(&stage).await;
    // A spend of one is seen.
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let text = "mutation { spendCredits(input: { user: { handle: \"ada\" }, amount: { micros: 1 } }) { status credits { available { micros } } } }";
    let spent = app.data(text, Value::Null).await;
    assert_eq!(
        spent["spendCredits"],
        json!({ "status": "APPLIED", "credits": { "available": { "micros": MOST - 1 } } })
    );
}

async fn a_reward_of_a_goal_comes_with_its_claim(stage: Stage) {
    let lot = r#"{"type":"creditLot","user":"ada","number":1,"amountMicros":5,"source":"GOAL","goal":"base","grantedAt":"2026-06-02T00:00:00Z"}"#;
    let claim =
        r#"{"type":"goalClaim","user":"ada","goal":"base","lot":1,"rewardMicros":5,"at":"2026-06-02T00:00:00Z"}"#;
    let alone = r#"{"type":"creditLot","user":"ada","ref":"r","amountMicros":5,"source":"GOAL"}"#;
    let found = reasons(&stage, &[lot, GRANT, alone]).await;
    assert!(found[&0].contains("nothing claims it") && found[&2].contains("comes with its claim"), "{found:?}");
    is_clean(&stage).await;
    let other = r#"{"type":"goalClaim","user":"ada","goal":"base","lot":1,"rewardMicros":4}"#;
    let found = reasons(&stage, &[lot, GRANT, other]).await;
    assert!(found[&2].contains("not the reward of this goal"), "{found:?}");
    assert_eq!(reasons(&stage, &[lot, GRANT, claim]).await, BTreeMap::new());
    is_clean(&stage).await;
}

async fn a_ledger_ends_with_its_last_number(stage: Stage) {
    let last = r#"{"type":"creditLot","user":"ada","number":9007199254740991,"amountMicros":5,"grantedAt":"2026-01-01T00:00:00Z"}"#;
    let entry = r#"{"type":"creditEntry","user":"ada","number":9007199254740991,"lot":9007199254740991,"kind":"GRANT","amountMicros":5,"operation":"a","at":"2026-01-01T00:00:00Z"}"#;
    let next = r#"{"type":"creditLot","user":"ada","ref":"next","amountMicros":5}"#;
    let found = reasons(&stage, &[last, entry, next]).await;
    assert!(found.len() == 1 && found[&2].contains("last number"), "{found:?}");
    let app = stage.app(&[Scope::ProgressWrite]).await;
    let text = "mutation { grantCredits(input: { user: { handle: \"ada\" }, amount: { micros: 1 } }) { lot } }";
    let refused = app.query(text, Value::Null).await;
    assert!(refused.message().contains("the last one"), "{}", refused.text);
    is_clean(&stage).await;
}

/// What an input takes: the mutation around it, with `{v}` for the value, `{n}` for a number of its own and `{x}` for a
/// 24-digit id of its own; the least and the most value. Dates are milliseconds.
struct Input {
    name: &'static str,
    text: &'static str,
    least: i64,
    most: i64,
    is_date: bool,
}

const fn number(name: &'static str, text: &'static str, least: i64, most: i64) -> Input {
    Input { name, text, least, most, is_date: false }
}

const fn date(name: &'static str, text: &'static str, least: i64, most: i64) -> Input {
    Input { name, text, least, most, is_date: true }
}

const DAY: i64 = 86_400_000;
const AT: i64 = 1_781_697_600_000;
const LATEST: i64 = 32_503_679_999_999;
const MOST_MICROS: i64 = 9_000_000_000_000_000_000;
const YEARS: i64 = 3660 * 86_400;
const ADA: &str = "user: { handle: \"ada\" }";

const INPUTS: &[Input] = &[
    number(
        "AchievementInput.points",
        r#"upsertGame(input: { key: "g{n}", title: "G", achievements: [{ key: "a{n}", title: "A", points: {v} }] }) { userErrors { code } }"#,
        0,
        1_000_000,
    ),
    date(
        "AchievementUnlockInput.unlockedAt",
        r#"unlockAchievements(input: { ADA, unlocks: [{ achievementId: "base", unlockedAt: {v} }] }) { results { error { code } } }"#,
        AT - 365 * DAY,
        AT,
    ),
    date(
        "AchievementUnlockEventInput.unlockedAt",
        r#"recordProgress(input: { events: [{ achievementUnlock: { ADA, achievementId: "base", unlockedAt: {v} } }] }) { results { error { code } } }"#,
        AT - 365 * DAY,
        AT,
    ),
    date(
        "BlockUserInput.until",
        r#"blockUser(input: { ADA, scope: SPEND, reason: "R", until: {v} }) { userErrors { code } }"#,
        AT + 1,
        LATEST,
    ),
    number(
        "CardAmountInput.quantity",
        r#"grantCards(input: { ADA, cards: [{ cardId: "base", quantity: {v} }] }) { results { error { code } } }"#,
        1,
        1_000_000,
    ),
    number(
        "CardEventInput.quantity",
        r#"recordProgress(input: { events: [{ card: { ADA, cardId: "base", quantity: {v} } }] }) { results { error { code } } }"#,
        1,
        1_000_000,
    ),
    number(
        "CorrectGoalStepsInput.completedSteps",
        r#"correctGoalSteps(input: { ADA, goalId: "long", completedSteps: {v} }) { userErrors { code } }"#,
        0,
        1_000_000,
    ),
    date(
        "CreateApiKeyInput.expiresAt",
        r#"createApiKey(input: { name: "k", scopes: [PROGRESS_READ], expiresAt: {v} }) { userErrors { code } }"#,
        AT + 1,
        LATEST,
    ),
    number(
        "CreditAmountInput.micros",
        r#"spendCredits(input: { ADA, amount: { micros: {v} } }) { userErrors { code } }"#,
        1,
        MOST_MICROS,
    ),
    number(
        "GoalInput.totalSteps",
        r#"upsertSeason(input: { key: "base", goals: [{ key: "t{n}", title: "G", reward: "1", totalSteps: {v} }] }) { userErrors { code } }"#,
        1,
        1_000_000,
    ),
    number(
        "GoalInput.week",
        r#"upsertSeason(input: { key: "base", goals: [{ key: "w{n}", title: "G", reward: "1", totalSteps: 1, week: {v} }] }) { userErrors { code } }"#,
        1,
        12,
    ),
    number(
        "GoalInput.reward",
        r#"upsertSeason(input: { key: "base", goals: [{ key: "r{n}", title: "G", totalSteps: 1, reward: "{v}" }] }) { userErrors { code } }"#,
        0,
        1_000_000,
    ),
    number(
        "GoalStepsInput.add",
        r#"recordGoalSteps(input: { ADA, steps: [{ goalId: "long", add: {v} }] }) { results { error { code } } }"#,
        1,
        i32::MAX as i64,
    ),
    number(
        "GoalStepsInput.setTo",
        r#"recordGoalSteps(input: { ADA, steps: [{ goalId: "long", setTo: {v} }] }) { results { error { code } } }"#,
        0,
        i32::MAX as i64,
    ),
    date(
        "GoalStepsInput.occurredAt",
        r#"recordGoalSteps(input: { ADA, steps: [{ goalId: "long", add: 1, occurredAt: {v} }] }) { results { error { code } } }"#,
        AT - 365 * DAY,
        AT,
    ),
    number(
        "GoalStepsEventInput.add",
        r#"recordProgress(input: { events: [{ goalSteps: { ADA, goalId: "long", add: {v} } }] }) { results { error { code } } }"#,
        1,
        i32::MAX as i64,
    ),
    number(
        "GoalStepsEventInput.setTo",
        r#"recordProgress(input: { events: [{ goalSteps: { ADA, goalId: "long", setTo: {v} } }] }) { results { error { code } } }"#,
        0,
        i32::MAX as i64,
    ),
    date(
        "GoalStepsEventInput.occurredAt",
        r#"recordProgress(input: { events: [{ goalSteps: { ADA, goalId: "long", add: 1, occurredAt: {v} } }] }) { results { error { code } } }"#,
        AT - 365 * DAY,
        AT,
    ),
    number(
        "GrantCreditsInput.amount",
        r#"grantCredits(input: { user: { handle: "u{n}" }, amount: { micros: {v} } }) { userErrors { code } }"#,
        1,
        MOST_MICROS,
    ),
    date(
        "GrantCreditsInput.expiresAt",
        r#"grantCredits(input: { user: { handle: "u{n}" }, amount: { micros: 1 }, expiresAt: {v} }) { userErrors { code } }"#,
        AT + 1,
        LATEST,
    ),
    date(
        "PauseSeasonInput.until",
        r#"pauseSeason(input: { id: "base", until: {v}, dryRun: true }) { userErrors { code } }"#,
        AT + 1,
        AT + YEARS * 1000,
    ),
    number(
        "ResourceProgressEventInput.addTimeSpentMinutes",
        r#"recordProgress(input: { events: [{ resourceProgress: { ADA, resourceId: "{x}", addTimeSpentMinutes: {v} } }] }) { results { error { code } } }"#,
        0,
        i32::MAX as i64,
    ),
    number(
        "ResourceProgressEventInput.progress",
        r#"recordProgress(input: { events: [{ resourceProgress: { ADA, resourceId: "{x}", progress: {v} } }] }) { results { error { code } } }"#,
        0,
        100,
    ),
    number(
        "ResourceProgressEventInput.timeSpentMinutes",
        r#"recordProgress(input: { events: [{ resourceProgress: { ADA, resourceId: "{x}", timeSpentMinutes: {v} } }] }) { results { error { code } } }"#,
        0,
        i32::MAX as i64,
    ),
    number(
        "RevokeCreditsInput.amount",
        r#"revokeCredits(input: { ADA, amount: { micros: {v} } }) { userErrors { code } }"#,
        1,
        MOST_MICROS,
    ),
    number(
        "RewardInput.stock",
        r#"upsertCollection(input: { key: "c{n}", name: "C", reward: { key: "k", name: "N", value: "v", stock: {v} } }) { userErrors { code } }"#,
        0,
        1_000_000_000_000,
    ),
    number(
        "SeasonBudgetInput.week",
        r#"upsertSeason(input: { key: "base", budgets: [{ week: {v}, cap: "5" }] }) { userErrors { code } }"#,
        1,
        12,
    ),
    number(
        "SeasonBudgetInput.cap",
        r#"upsertSeason(input: { key: "base", budgets: [{ week: 3, cap: "{v}" }] }) { userErrors { code } }"#,
        0,
        1_000_000_000,
    ),
    number(
        "SeasonWeekInput.number",
        r#"upsertSeason(input: { key: "base", weeks: [{ number: {v}, title: "W" }] }) { userErrors { code } }"#,
        1,
        12,
    ),
    number(
        "SpendCreditsInput.amount",
        r#"spendCredits(input: { ADA, amount: { micros: {v} } }) { userErrors { code } }"#,
        1,
        MOST_MICROS,
    ),
    number(
        "UpdateResourceProgressInput.addTimeSpentMinutes",
        r#"updateResourceProgress(input: { ADA, resourceId: "{x}", addTimeSpentMinutes: {v} }) { userErrors { code } }"#,
        0,
        i32::MAX as i64,
    ),
    number(
        "UpdateResourceProgressInput.progress",
        r#"updateResourceProgress(input: { ADA, resourceId: "{x}", progress: {v} }) { userErrors { code } }"#,
        0,
        100,
    ),
    number(
        "UpdateResourceProgressInput.timeSpentMinutes",
        r#"updateResourceProgress(input: { ADA, resourceId: "{x}", timeSpentMinutes: {v} }) { userErrors { code } }"#,
        0,
        i32::MAX as i64,
    ),
    date(
        "UpsertCollectionInput.endDate",
        r#"upsertCollection(input: { key: "c{n}", name: "C", endDate: {v} }) { userErrors { code } }"#,
        0,
        LATEST,
    ),
    date(
        "UpsertCollectionInput.startDate",
        r#"upsertCollection(input: { key: "c{n}", name: "C", startDate: {v} }) { userErrors { code } }"#,
        0,
        LATEST,
    ),
    number(
        "UpsertGameInput.number",
        r#"upsertGame(input: { key: "g{n}", title: "G", number: {v} }) { userErrors { code } }"#,
        1,
        i32::MAX as i64,
    ),
    number(
        "UpsertResourceInput.estimatedMinutes",
        r#"upsertResource(input: { key: "r{n}", title: "R", estimatedMinutes: {v} }) { userErrors { code } }"#,
        0,
        1_000_000,
    ),
    number(
        "UpsertSeasonInput.duration",
        r#"upsertSeason(input: { key: "s{n}", title: "S", startDate: "2060-01-01T00:00:00Z", duration: {v}, dryRun: true }) { userErrors { code } }"#,
        1,
        YEARS,
    ),
    number(
        "UpsertSeasonInput.weekLength",
        r#"upsertSeason(input: { key: "s{n}", title: "S", startDate: "2060-01-01T00:00:00Z", duration: 60, weekLength: {v}, dryRun: true }) { userErrors { code } }"#,
        1,
        YEARS,
    ),
    date(
        "UpsertSeasonInput.startDate",
        r#"upsertSeason(input: { key: "s{n}", title: "S", startDate: {v}, duration: 60, dryRun: true }) { userErrors { code } }"#,
        0,
        AT + 10 * YEARS * 1000,
    ),
];

/// Numbers that name something which is there or not.
const NAMES: [&str; 2] = ["BlocksBy.number", "CreditLotBy.number"];
/// What is given in credits is checked as what is given in micros.
const IN_CREDITS: [&str; 1] = ["CreditAmountInput.credits"];

/// Whether an answer refuses what it was asked for its value.
fn is_refused(answer: &Value) -> bool {
    let text = answer.to_string();
    answer.get("errors").is_some() || ["INVALID_INPUT", "DATE_OUT_OF_RANGE"].iter().any(|code| text.contains(code))
}

async fn inputs_are_taken_at_the_edges_of_their_ranges_and_not_beyond(stage: Stage) {
    let mut base =
        user(&[r#"{"type":"goal","key":"long","season":"base","title":"G","rewardMicros":0,"totalSteps":1000000}"#]);
    base.push_str("{\"type\":\"enrolment\",\"user\":\"ada\",\"season\":\"base\"}\n");
    let probed = 4 * INPUTS.len();
    (0..probed).for_each(|number| base.push_str(&format!("{{\"type\":\"user\",\"handle\":\"u{number}\"}}\n")));
    assert_eq!(import(stage.db(), &base).await.1, BTreeMap::new());
    stage.app.refresh_catalogue().await.unwrap();
    let operator = stage.app(&[Scope::Admin]).await;
    assert_eq!(listed(&operator).await, INPUTS.iter().map(|input| input.name).chain(NAMES).chain(IN_CREDITS).collect());
    for (number, (input, edge)) in INPUTS.iter().flat_map(|input| (0..4).map(move |edge| (input, edge))).enumerate() {
        let value = [input.least - 1, input.least, input.most, input.most + 1][edge];
        let value = if input.is_date {
            json!(Timestamp::from_millis(value).to_string()).to_string()
        } else {
            value.to_string()
        };
        let text = input.text.replace("ADA", ADA).replace("{v}", &value).replace("{n}", &number.to_string());
        let text = format!("mutation {{ {} }}", text.replace("{x}", &format!("{number:024x}")));
        let answer = operator.query(&text, Value::Null).await.json;
        assert_eq!(is_refused(&answer), edge == 0 || edge == 3, "{}: {text}: {answer}", input.name);
    }
    is_clean(&stage).await;
}

/// The numbers, dates and amounts in the inputs of mutations, as the schema has them.
async fn listed(actor: &Actor) -> BTreeSet<&'static str> {
    let text = "{ __schema { types { kind name inputFields { name type { name kind ofType { name kind } } } } } }";
    let schema = actor.data(text, Value::Null).await;
    let mut found = BTreeSet::new();
    for ty in schema["__schema"]["types"].as_array().unwrap() {
        for field in ty["inputFields"].as_array().into_iter().flatten() {
            let of = if field["type"]["kind"] == "NON_NULL" { &field["type"]["ofType"] } else { &field["type"] };
            let is_one = ["Int", "Float", "BigInt", "DateTime", "Credits", "CreditAmountInput"]
                .contains(&of["name"].as_str().unwrap_or_default());
            if is_one {
                found.insert(format!("{}.{}", ty["name"].as_str().unwrap(), field["name"].as_str().unwrap()));
            }
        }
    }
    found.into_iter().map(|name| &*name.leak()).collect()
}
