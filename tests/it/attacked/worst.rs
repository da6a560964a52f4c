//! The search for the document that costs most for what it pays: on the demo data and a user who has a lot of everything.
//!
//! `TEST_WHOLE=1` searches long; with `WORST_KEEP=1` besides, the worst that is found goes to `tests/corpus/worst`. What takes
//! processors' time is printed here, and bounded by `waymark-bench --worst`, since only that is built for speed.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use waymark::clock::{Ids, Timestamp};
use waymark::config::Config;
use waymark::schema::bounds::Sizes;
use waymark::server::gate::{Gate, Values};
use waymark::transfer::{self, Source};

use crate::harness::{Actor, NOW, Stage, rounds, tests};

#[path = "../../../benches/src/worst.rs"]
mod search;

use search::{BYTES, Grammar, HANDLE, Names, Piece, Rng};

tests! {
    own: [
        documents_that_took_a_server_do_so_no_more,
        no_document_found_gets_more_than_it_pays_for,
        lists_that_users_grow_are_shown_in_parts,
        an_export_that_is_too_long_is_refused_with_what_helps,
    ],
    empty: [nobody_has_more_blocks_in_force_than_are_shown],
    demo: [a_text_that_no_title_can_have_is_not_looked_for],
    once: [what_is_added_to_a_document_never_makes_it_cheaper],
}

const CORPUS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/corpus/worst");
/// The most bytes that an answer may have.
const LONGEST: usize = 8_000_000;
/// What an answer has besides its data.
const AROUND: u64 = 400;

/// The time that all threads of this process have spent on processors.
fn cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let spent = threads.filter_map(|thread| {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(spent.sum())
}

async fn enrich(stage: &Stage, instances: u32, lots: u32, notes: u32) {
    let path = std::env::temp_dir().join(format!(
        "waymark-worst-{}-{}.ndjson",
        std::process::id(),
        Ids::system().ulid(Timestamp::parse(NOW).unwrap())
    ));
    std::fs::write(&path, search::riches(instances, lots, notes)).unwrap();
    let mut complaints = Vec::new();
    let now = Timestamp::parse(NOW).unwrap();
    let sources = vec![Source::File(path.clone())];
    transfer::import(stage.db(), &Ids::system(), now, sources, &mut |one| complaints.push(one), &|_| {}).await.unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(complaints, []);
}

/// What came of one document.
struct Tried {
    cost: u64,
    bytes: u64,
    cpu: Duration,
}

/// Runs a document, and sees to it that the answer is no longer than what was paid. `None` when it was refused.
async fn try_out(actor: &Actor, name: &str, text: &str, variables: Value) -> Option<Tried> {
    let before = cpu();
    let answer = actor.query(text, variables).await;
    let spent = cpu().saturating_sub(before);
    assert!(answer.text.len() <= LONGEST, "{name}: {} bytes\n{text}", answer.text.len());
    assert!(!answer.codes().contains(&"INTERNAL"), "{name}: {:?}\n{text}", answer.codes());
    let cost = answer.json["extensions"]["cost"]["requested"].as_u64();
    let Some(cost) = cost else {
        assert!(answer.json.get("data").is_none(), "{name}: {text}");
        return None;
    };
    let bytes = answer.json["data"].to_string().len() as u64;
    assert!(
        bytes <= cost * BYTES + AROUND,
        "{name}: {bytes} bytes for {cost} units, which pay for {}\n{}",
        cost * BYTES,
        &text[..text.len().min(4000)]
    );
    Some(Tried { cost, bytes, cpu: spent })
}

impl Tried {
    /// Microseconds of a processor's time for each unit of cost; what is done for any request counts little so.
    fn micros_per_unit(&self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.cost.max(200) as f64
    }

    fn bytes_per_unit(&self) -> f64 {
        self.bytes as f64 / self.cost.max(200) as f64
    }
}

async fn documents_that_took_a_server_do_so_no_more(stage: Stage) {
    enrich(&stage, rounds(120, 1000), rounds(120, 1000), rounds(50, 200)).await;
    let app = stage.app(&[waymark::auth::Scope::Admin]).await;
    let mut refused = 0;
    for (name, text, variables) in search::known() {
        match try_out(&app, name, &text, variables).await {
            None => refused += 1,
            Some(tried) => {
                println!("{name}: cost {}, {} bytes, {:.0} µs a unit", tried.cost, tried.bytes, tried.micros_per_unit())
            }
        }
    }
    assert!(refused >= 6, "the large ones are refused before they run, and {refused} were");
    for entry in std::fs::read_dir(CORPUS).unwrap() {
        let path = entry.unwrap().path();
        let kept: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let text = kept["query"].as_str().unwrap();
        let tried = try_out(&app, &path.display().to_string(), text, kept["variables"].clone()).await;
        println!("{}: {:.0} µs a unit", path.display(), tried.map_or(0.0, |tried| tried.micros_per_unit()));
    }
}

async fn names(stage: &Stage) -> Names {
    let app = stage.app(&[waymark::auth::Scope::Admin]).await;
    let data = app
        .data(
            &format!(
                "{{ games(first: 100) {{ nodes {{ id key }} }} collections {{ nodes {{ id key cards {{ id }} }} }}
                resources(first: 100) {{ nodes {{ id key }} }} seasons {{ nodes {{ id key goals {{ id }} }} }}
                studyPlans {{ nodes {{ id key }} }}
                user(by: {{handle: \"{HANDLE}\"}}) {{ id studyPlanInstances(first: 50) {{ id }} goals(all: true) {{ id }} }} }}"
            ),
            Value::Null,
        )
        .await;
    let names = Names::of(&data);
    assert!(names.nodes.len() > 100 && names.games.len() > 10, "there is enough to be named");
    names
}

async fn no_document_found_gets_more_than_it_pays_for(stage: Stage) {
    enrich(&stage, rounds(60, 1000), rounds(110, 1000), rounds(30, 200)).await;
    let grammar = Grammar::new(&waymark::schema::sdl(), names(&stage).await);
    let app = stage.app(&[waymark::auth::Scope::Admin]).await;
    let mut rng = Rng::new(20_261_130);
    let (mut answered, mut worst): (u32, Vec<(f64, Vec<Piece>)>) = (0, Vec::new());
    for number in 0..rounds(40, 4000) {
        let document = grammar.grow(&mut rng);
        let tried = try_out(&app, &format!("grown {number}"), &search::text(&document), Value::Null).await;
        if let Some(tried) = tried.filter(|tried| tried.cost > 20) {
            answered += 1;
            worst.push((tried.micros_per_unit(), document));
        }
    }
    assert!(answered >= rounds(10, 1000), "the documents are good, and {answered} were answered");
    worst.sort_by(|one, other| other.0.total_cmp(&one.0));
    worst.truncate(rounds(2, 20) as usize);
    for (start, document) in worst {
        for by_bytes in [false, true] {
            climb(&stage, &grammar, &app, &mut rng, (start, document.clone()), by_bytes).await;
        }
    }
}

/// Makes a document worse step by step, by the bytes of its answer or by the time it takes.
async fn climb(
    stage: &Stage,
    grammar: &Grammar,
    app: &Actor,
    rng: &mut Rng,
    (start, mut document): (f64, Vec<Piece>),
    by_bytes: bool,
) {
    let mut most = if by_bytes { 0.0 } else { start };
    for step in 0..rounds(15, 300) {
        let (changed, _) = grammar.change(&document, rng);
        let text = search::text(&changed);
        let Some(tried) = try_out(app, &format!("changed {step}"), &text, Value::Null).await else { continue };
        let now = if by_bytes { tried.bytes_per_unit() } else { tried.micros_per_unit() };
        if now > most {
            (most, document) = (now, changed);
        }
    }
    let text = search::text(&document);
    let statements = stage
        .statements(async || {
            app.query(&text, Value::Null).await;
        })
        .await;
    // Whatever it asks for, a document takes statements for its fields and not for what they hold.
    assert!(statements <= 40 + text.matches('{').count() as u64 * 3, "{statements} statements: {text}");
    let unit = if by_bytes { "bytes" } else { "µs" };
    println!("the worst found has {most:.0} {unit} a unit, {statements} statements: {}", &text[..text.len().min(200)]);
    if std::env::var_os("WORST_KEEP").is_some() {
        let name = format!("{unit}-{:.0}.json", most).replace('µ', "u");
        std::fs::write(Path::new(CORPUS).join(name), json!({ "query": text }).to_string()).unwrap();
    }
}

fn what_is_added_to_a_document_never_makes_it_cheaper() {
    let limits = Config::from_sources(None, [("WAYMARK_MAX_COST".to_owned(), "4000000000".to_owned())]).unwrap().limits;
    let gate = Gate::new(&waymark::schema::sdl(), &limits, true).unwrap();
    let named = |prefix: &str| (0..5).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
    let names = Names {
        games: named("g"),
        collections: named("c"),
        resources: named("r"),
        seasons: named("s"),
        plans: named("p"),
        nodes: named("game:g"),
    };
    let grammar = Grammar::new(&waymark::schema::sdl(), names);
    let cost = |document: &[Piece], size: u64| {
        gate.pass(&search::text(document), None, &Values::default(), &Sizes::all(size)).ok().map(|passed| passed.cost)
    };
    let (mut rng, mut compared) = (Rng::new(7), 0);
    for _ in 0..rounds(150, 5000) {
        let document = grammar.grow(&mut rng);
        let Some(before) = cost(&document, 10) else { continue };
        assert!(cost(&document, 20).is_none_or(|larger| larger >= before), "{}", search::text(&document));
        let (changed, adds) = grammar.change(&document, &mut rng);
        if let (true, Some(after)) = (adds, cost(&changed, 10)) {
            compared += 1;
            assert!(after >= before, "{before} and {after}: {}", search::text(&changed));
        }
    }
    assert!(compared >= 30, "{compared}");
}

async fn lists_that_users_grow_are_shown_in_parts(stage: Stage) {
    enrich(&stage, 130, 130, 1).await;
    let app = stage.app(&[waymark::auth::Scope::ProgressRead]).await;
    let list = async |field: &str| {
        let query = format!("{{ user(by: {{handle: \"{HANDLE}\"}}) {{ {field} }} }}");
        app.query(&query, Value::Null).await
    };
    let instances = async |arguments: &str| {
        let data = list(&format!("studyPlanInstances{arguments} {{ externalId }}")).await.data();
        let all = data["user"]["studyPlanInstances"].as_array().unwrap().clone();
        all.into_iter().map(|one| one["externalId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (first, second) = (instances("(first: 100)").await, instances("(first: 100, skip: 100)").await);
    assert_eq!((first.len(), second.len()), (100, 30));
    assert_eq!(instances("").await, first[..20]);
    assert_eq!(instances("(skip: 95, first: 10)").await, [&first[95..], &second[..5]].concat());
    assert_eq!(
        instances("(status: NOT_STARTED, skip: 100)").await.len()
            + instances("(status: IN_PROGRESS, skip: 100)").await.len(),
        20
    );
    assert_eq!(instances("(skip: 1000000)").await, Vec::<String>::new());
    // The same through the overview, forward and backward, with its count.
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let inside = "totalCount nodes { __typename ... on StudyPlanInstance { externalId } } pageInfo { hasNextPage endCursor }";
        let page = list(&format!("overview(first: 37 {cursor}) {{ {inside} }}")).await.data();
        let page = page["user"]["overview"].clone();
        let nodes = page["nodes"].as_array().unwrap();
        seen.extend(nodes.iter().filter_map(|node| node["externalId"].as_str().map(str::to_owned)));
        let all = page["totalCount"].as_i64().unwrap();
        assert!(all > 130, "{page}");
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        cursor = format!(", after: {}", page["pageInfo"]["endCursor"]);
    }
    assert_eq!(seen, [first.clone(), second.clone()].concat());
    let back = list("overview(last: 100) { nodes { ... on StudyPlanInstance { externalId } } }").await.data();
    let back = back["user"]["overview"]["nodes"].as_array().unwrap().clone();
    let back: Vec<_> = back.iter().filter_map(|node| node["externalId"].as_str()).collect();
    assert_eq!(back, [first.clone(), second.clone()].concat()[130 - back.len()..]);
    // By id and among nodes, each is found by itself.
    let id = list("studyPlanInstances(skip: 77, first: 1) { id }").await.data();
    let id = id["user"]["studyPlanInstances"][0]["id"].as_str().unwrap().to_owned();
    let node = app
        .data(
            "query($id: ID!) { node(id: $id) { ... on StudyPlanInstance { externalId total } } }",
            json!({ "id": id }),
        )
        .await;
    assert_eq!(node["node"], json!({ "externalId": first[77], "total": 20 }));
    // Lots and dates.
    let lots = list(
        "credits { lots { number } more: lots(skip: 100, first: 50) { number } expirySchedule(skip: 129) { expiresAt } }",
    );
    let credits = lots.await.data()["user"]["credits"].clone();
    assert_eq!(
        [&credits["lots"], &credits["more"], &credits["expirySchedule"]].map(|list| list.as_array().unwrap().len()),
        [100, 30, 1]
    );
    for refused in [
        "studyPlanInstances(first: 0) { id }",
        "studyPlanInstances(first: 101) { id }",
        "studyPlanInstances(skip: -1) { id }",
        "accounts(first: 101) { id }",
        "credits { lots(first: 0) { number } }",
    ] {
        assert_eq!(list(refused).await.codes(), ["BAD_USER_INPUT"], "{refused}");
    }
}

async fn an_export_that_is_too_long_is_refused_with_what_helps(stage: Stage) {
    enrich(&stage, 1, 1, 60).await;
    let admin = stage.app(&[waymark::auth::Scope::Admin]).await;
    let export = |handle: &str| format!("{{ exportUser(user: {{handle: {handle:?}}}) }}");
    let answer = admin.query(&export(HANDLE), Value::Null).await;
    assert_eq!(answer.codes(), ["LIMIT_EXCEEDED"], "{}", answer.message());
    assert!(answer.message().contains("waymark export --only user"), "{}", answer.message());
    let whole = admin.query(&export("grace"), Value::Null).await;
    assert_eq!(whole.data()["exportUser"]["user"][0]["handle"], "Grace".to_ascii_lowercase());
    // It is paid for before it is known how long it is.
    assert!(whole.json["extensions"]["cost"]["requested"].as_u64().unwrap() >= 5000);
    let many: String = (0..50).map(|n| format!("a{n}: exportUser(user: {{handle: \"grace\"}}) ")).collect();
    admin.query(&format!("{{ {many} }}"), Value::Null).await.refused(400, "LIMIT_EXCEEDED");
}

async fn nobody_has_more_blocks_in_force_than_are_shown(stage: Stage) {
    let app = stage.app(&[waymark::auth::Scope::Admin]).await;
    app.data("mutation { upsertUser(input: {handle: \"midas\"}) { created } }", Value::Null).await;
    let block = "mutation { blockUser(input: {user: {handle: \"midas\"}, scope: CLAIM, reason: \"a test\"}) { blocks userErrors { code } } }";
    for number in 1..=20 {
        assert_eq!(app.data(block, Value::Null).await["blockUser"], json!({ "blocks": [number], "userErrors": [] }));
    }
    let refused = app.data(block, Value::Null).await;
    assert_eq!(refused["blockUser"], json!({ "blocks": [], "userErrors": [{ "code": "TOO_MANY" }] }));
    let shown = app.data("{ user(by: {handle: \"midas\"}) { credits { blocks { number } } } }", Value::Null).await;
    assert_eq!(shown["user"]["credits"]["blocks"].as_array().unwrap().len(), 20);
    let lift = "mutation { unblockUser(input: {user: {handle: \"midas\"}, blocks: {scope: CLAIM}}) { blocks changes { events { kind } } } }";
    let lifted = app.data(lift, Value::Null).await["unblockUser"].clone();
    assert_eq!(lifted["blocks"].as_array().unwrap().len(), 20);
    assert_eq!(lifted["changes"]["events"].as_array().unwrap().len(), 20);
    assert_eq!(app.data(block, Value::Null).await["blockUser"]["blocks"], json!([21]));
}

async fn a_text_that_no_title_can_have_is_not_looked_for(stage: Stage) {
    let admin = stage.app(&[waymark::auth::Scope::Admin]).await;
    for (list, most) in [("games(search: $t)", 200), ("resources(search: $t)", 200), ("searchUsers(text: $t)", 255)] {
        let query = format!("query($t: String!) {{ {list} {{ nodes {{ id }} }} }}");
        admin.query(&query, json!({ "t": "x".repeat(most) })).await.data();
        for text in ["x".repeat(most + 1), "x".repeat(300_000), "a\u{0}".to_owned()] {
            assert_eq!(admin.query(&query, json!({ "t": text })).await.codes(), ["BAD_USER_INPUT"], "{list}");
        }
    }
}
