//! What was answered is there, exactly once, however often the server is killed.
//!
//! The real server is killed by SIGKILL at random instants while clients write, and started again. Each client has one write
//! under way at a time; when the answer does not come, it repeats the write with the same idempotency key until it does.
//! What a write does is told by the events it appends, so the histories are compared with the answers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sea_orm::ActiveValue::{NotSet, Set};
use sea_orm::{ConnectionTrait as _, EntityTrait as _, Statement};
use serde_json::{Value, json};
use waymark::clock::Clock;
use waymark::db::Db;
use waymark::demo;
use waymark::features::users::entity::{Visibility, user};

use crate::cli::{SECRET, Server, output};
use crate::harness::{Blank, by_hand, count_anew, rounds, tests};

tests! {
    blank: [
        what_was_answered_survives_a_killed_server,
    ],
}

/// How often the server is killed (in a whole run): each time after fewer than so many answers and then milliseconds, or when its time is up.
const KILLS: (u32, u32) = (24, 200);
const MOST_ANSWERS: u64 = 30;
const MOST_MILLIS: u64 = 30;
const LONGEST: Duration = Duration::from_millis(900);
/// After every so many kills the database is looked at before the server is started again.
const LOOK_EVERY: u32 = 6;
/// How many clients write, and how many users each of them writes for, one after the other.
const CLIENTS: usize = 8;
const USERS_EACH: usize = 40;
/// How many writes each user gets.
const WRITES_EACH: usize = 24;

/// What every run draws from, so that all are alike.
const SEED: u64 = 20_260_617;

/// What there is to write about.
pub(crate) struct World {
    achievements: Vec<String>,
    /// Goals of the running season for which steps can be made all the time.
    goals: Vec<String>,
    season: String,
    /// A collection that runs, with a reward for each user, and its cards.
    collection: String,
    cards: Vec<String>,
    /// The schema, to know which mutations there are.
    sdl: String,
}

/// A write: the mutation, its input without user and key, and the events it has to append, each by its kind and subject.
#[derive(Clone)]
struct Planned {
    mutation: &'static str,
    input: Value,
    events: Vec<(&'static str, String)>,
}

/// The `nth` write for a user, counted from 0; `None` when this kind of write is done with.
type Kind = fn(&World, user: &str, nth: usize) -> Option<Planned>;

/// The kinds of writes, which take turns.
const KINDS: &[Kind] =
    &[enrol, unlock_one, steps, unlock_some, claim, grant, complete, spend, cards, reward, cards_removed, several];

fn unlock(world: &World, places: std::ops::Range<usize>) -> Option<Planned> {
    let keys = world.achievements.get(places)?;
    let unlocks: Vec<Value> = keys.iter().map(|key| json!({ "achievementId": key })).collect();
    let events = keys.iter().map(|key| ("ACHIEVEMENT_UNLOCKED", format!("achievement:{key}"))).collect();
    Some(Planned { mutation: "unlockAchievements", input: json!({ "unlocks": unlocks }), events })
}

fn unlock_one(world: &World, _: &str, nth: usize) -> Option<Planned> {
    unlock(world, 6 * nth..6 * nth + 1)
}

fn unlock_some(world: &World, _: &str, nth: usize) -> Option<Planned> {
    unlock(world, 6 * nth + 1..6 * nth + 6)
}

fn enrol(world: &World, _: &str, nth: usize) -> Option<Planned> {
    let input = json!({ "seasonId": world.season });
    (nth == 0).then(|| Planned {
        mutation: "enrollInSeason",
        input,
        events: vec![("ENROLLED", format!("season:{}", world.season))],
    })
}

fn steps(world: &World, _: &str, nth: usize) -> Option<Planned> {
    let goal = world.goals.get(nth)?;
    let subject = format!("goal:{goal}");
    let input = json!({ "steps": [{ "goalId": goal, "add": 1_000_000 }] });
    let events = vec![("GOAL_STEPS", subject.clone()), ("GOAL_COMPLETED", subject)];
    Some(Planned { mutation: "recordGoalSteps", input, events })
}

fn claim(world: &World, _: &str, nth: usize) -> Option<Planned> {
    let goal = world.goals.get(nth)?;
    let events = vec![("GOAL_CLAIMED", format!("goal:{goal}"))];
    Some(Planned { mutation: "claimGoals", input: json!({ "goalIds": [goal] }), events })
}

fn grant(_: &World, user: &str, nth: usize) -> Option<Planned> {
    let input = json!({ "amount": { "credits": "5" }, "ref": format!("grant {nth}") });
    Some(Planned { mutation: "grantCredits", input, events: vec![("CREDITS_GRANTED", format!("user:{user}"))] })
}

fn spend(_: &World, user: &str, _: usize) -> Option<Planned> {
    let input = json!({ "amount": { "credits": "1.5" } });
    Some(Planned { mutation: "spendCredits", input, events: vec![("CREDITS_SPENT", format!("user:{user}"))] })
}

fn complete(_: &World, _: &str, nth: usize) -> Option<Planned> {
    let keys: Vec<String> = (0..3).map(|place| format!("{:024x}", 0xc4a5_0000 + 3 * nth + place)).collect();
    let events = keys.iter().map(|key| ("RESOURCE_COMPLETED", format!("resource:{key}"))).collect();
    Some(Planned {
        mutation: "setResourcesCompletion",
        input: json!({ "resourceIds": keys, "completed": true }),
        events,
    })
}

/// All cards of a collection at once, which completes it, and then some more of one.
fn cards(world: &World, _: &str, nth: usize) -> Option<Planned> {
    let all: Vec<Value> =
        world.cards.iter().take(if nth == 0 { usize::MAX } else { 1 }).map(|key| json!({ "cardId": key })).collect();
    let subject = format!("collection:{}", world.collection);
    let mut events = vec![("CARDS_GRANTED", subject.clone())];
    events.extend((nth == 0).then_some(("COLLECTION_COMPLETED", subject)));
    Some(Planned { mutation: "grantCards", input: json!({ "cards": all }), events })
}

fn cards_removed(world: &World, _: &str, nth: usize) -> Option<Planned> {
    let input = json!({ "cards": [{ "cardId": world.cards[nth % world.cards.len()] }] });
    let events = vec![("CARDS_REVOKED", format!("collection:{}", world.collection))];
    (nth < world.cards.len()).then_some(Planned { mutation: "removeCards", input, events })
}

/// Of the rewards there are as many as users.
fn reward(world: &World, _: &str, nth: usize) -> Option<Planned> {
    let input = json!({ "collectionId": world.collection });
    let events = vec![("REWARD_CLAIMED", format!("collection:{}", world.collection))];
    (nth == 0).then_some(Planned { mutation: "claimCollectionReward", input, events })
}

/// Several kinds in one write.
fn several(world: &World, _: &str, nth: usize) -> Option<Planned> {
    let (card, resource) = (world.cards.last()?, format!("{:024x}", 0xc4a6_0000 + nth));
    let input = json!({ "events": [
        { "card": { "cardId": card } }, { "resourceProgress": { "resourceId": resource, "completed": true } },
    ] });
    let events = vec![
        ("RESOURCE_COMPLETED", format!("resource:{resource}")),
        ("CARDS_GRANTED", format!("collection:{}", world.collection)),
    ];
    Some(Planned { mutation: "recordProgress", input, events })
}

/// All writes for a user in their order.
fn plan(world: &World, user: &str) -> Vec<Planned> {
    let turns = (0..).flat_map(|nth| KINDS.iter().map(move |kind| kind(world, user, nth)));
    let known = |write: &Planned| world.sdl.contains(&format!("\t{}(", write.mutation));
    turns.take(WRITES_EACH * KINDS.len()).flatten().filter(known).take(WRITES_EACH).collect()
}

/// A write of a client.
struct Written {
    user: i64,
    ulid: String,
    key: String,
    planned: Planned,
}

/// What a client has to do, and how far it is.
pub(crate) struct Client {
    writes: Vec<Written>,
    /// How many were answered; the next one may be under way.
    pub(crate) answered: usize,
}

/// What all clients know.
pub(crate) struct Field {
    /// Where the server is; `None` while there is none.
    pub(crate) address: Mutex<Option<String>>,
    pub(crate) stop: AtomicBool,
    pub(crate) credential: String,
    /// How long a client waits after an answer.
    pub(crate) pause: Duration,
}

pub(crate) fn run(field: &Field, client: &Mutex<Client>) {
    let agent = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(5))).build().new_agent();
    loop {
        let (body, expected) = {
            let client = client.lock().unwrap();
            let Some(write) = client.writes.get(client.answered) else { return };
            (write.body(), write.planned.events.clone())
        };
        let mut tries = 0;
        let events = loop {
            if tries == 0 && field.stop.load(Ordering::Relaxed) {
                return;
            }
            let address = field.address.lock().unwrap().clone();
            let answer = address.and_then(|address| ask(&agent, &address, &field.credential, &body));
            if let Some(answer) = answer {
                break answer;
            }
            tries += 1;
            thread::sleep(Duration::from_millis(3));
        };
        let told: Vec<_> = events
            .iter()
            .map(|(kind, subject)| (kind.as_str(), subject.clone()))
            .filter(|told| is_told(told.0))
            .collect();
        assert_eq!(told, expected, "what the write did, whichever time it was asked for: {body}");
        client.lock().unwrap().answered += 1;
        thread::sleep(field.pause);
    }
}

/// Whether events of this kind are told by the plan; awards come along as they may.
fn is_told(kind: &str) -> bool {
    kind != "AWARD_EARNED"
}

impl Written {
    fn body(&self) -> Value {
        let Planned { mutation, input, .. } = &self.planned;
        let mut input = input.clone();
        let user = json!({ "id": format!("user:{}", self.ulid) });
        match input.get_mut("events").and_then(Value::as_array_mut) {
            Some(events) => {
                let events = events.iter_mut().filter_map(|event| event.as_object_mut()?.values_mut().next());
                events.for_each(|event| event["user"] = user.clone());
            }
            None => input["user"] = user,
        }
        input["idempotencyKey"] = json!(self.key);
        let type_name = format!("{}{}Input", mutation[..1].to_uppercase(), &mutation[1..]);
        let query = format!(
            "mutation($input: {type_name}!) {{ {mutation}(input: $input) {{
                userErrors {{ code message }} changes {{ events {{ kind subject }} }} }} }}"
        );
        json!({ "query": query, "variables": { "input": input } })
    }
}

/// The events of a write; `None` when the server was gone before it answered.
fn ask(agent: &ureq::Agent, address: &str, credential: &str, body: &Value) -> Option<Vec<(String, String)>> {
    let request = agent.post(format!("{address}/graphql")).header("content-type", "application/json");
    let request = request.header("authorization", format!("Bearer {credential}"));
    let text = request.send(body.to_string()).ok()?.body_mut().read_to_string().ok()?;
    let answer: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("it is JSON: {text}"));
    if answer["errors"][0]["extensions"]["code"] == "UNAVAILABLE" {
        return None;
    }
    assert!(answer.get("errors").is_none(), "{body}: {text}");
    let payload = answer["data"].as_object().and_then(|data| data.values().next()).unwrap();
    assert_eq!(payload["userErrors"], json!([]), "{body}");
    // A write for many users says it for each, and these are of one.
    let changes = payload["changes"].as_array().map_or(&payload["changes"], |changes| &changes[0]);
    let events = changes["events"].as_array().unwrap();
    let word = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    Some(events.iter().map(|event| (word(event, "kind"), word(event, "subject"))).collect())
}

/// How often each kind of event happened to each subject of each user.
pub(crate) type Histories = BTreeMap<(i64, String, String), i64>;

pub(crate) async fn histories(db: &Db, first_user: i64) -> Histories {
    let sql = format!(
        "SELECT user_id, kind, subject_type || ':' || subject_key, count(*) FROM history_events
         WHERE user_id >= {first_user} GROUP BY 1, 2, 3"
    );
    let connection = db.reads();
    let statement = Statement::from_string(connection.get_database_backend(), sql);
    let rows = connection.query_all_raw(statement).await.unwrap();
    let read = |row: &sea_orm::QueryResult| {
        let kind: String = row.try_get_by_index(1).unwrap();
        let place = (row.try_get_by_index(0).unwrap(), kind, row.try_get_by_index(2).unwrap());
        (place, row.try_get_by_index(3).unwrap())
    };
    rows.iter().map(read).filter(|((_, kind, _), _)| is_told(kind)).collect()
}

fn add(histories: &mut Histories, write: &Written) {
    for (kind, subject) in &write.planned.events {
        *histories.entry((write.user, (*kind).to_owned(), subject.clone())).or_default() += 1;
    }
}

/// Asserts that the database holds what was answered, exactly once, and what is under way either as a whole or not at all.
pub(crate) fn compare(stored: &Histories, clients: &[Arc<Mutex<Client>>]) {
    let mut expected = Histories::new();
    let mut allowed = stored.clone();
    for client in clients {
        let client = client.lock().unwrap();
        client.writes[..client.answered].iter().for_each(|write| add(&mut expected, write));
    }
    for client in clients {
        let client = client.lock().unwrap();
        let Some(write) = client.writes.get(client.answered) else { continue };
        let place = |event: &(&str, String)| (write.user, event.0.to_owned(), event.1.clone());
        let surplus = |event| stored.get(&place(event)).unwrap_or(&0) - expected.get(&place(event)).unwrap_or(&0);
        let there: Vec<i64> = write.planned.events.iter().map(surplus).collect();
        assert!(
            there.iter().all(|count| *count == 0) || there.iter().all(|count| *count == 1),
            "half there: {there:?}"
        );
        if there.first() == Some(&1) {
            for event in &write.planned.events {
                if let Some(count) = allowed.get_mut(&place(event)) {
                    *count -= 1;
                }
            }
        }
    }
    allowed.retain(|_, count| *count != 0);
    let (missing, surplus): (Vec<_>, Vec<_>) = expected
        .keys()
        .chain(allowed.keys())
        .filter(|place| expected.get(*place) != allowed.get(*place))
        .partition(|place| allowed.get(*place) < expected.get(*place));
    assert!(missing.is_empty(), "answered and not there: {missing:?}");
    assert!(surplus.is_empty(), "there more than once, or never asked for: {surplus:?}");
}

/// Fills the database, and makes so many users who are written for; gives them with their ULIDs.
pub(crate) async fn prepare(db: &Db, users: usize) -> (World, Vec<(i64, String)>) {
    let now = Clock::System.now();
    db.migrate().await.unwrap();
    let options = demo::Options { users: Some(10), ..demo::Options::default() };
    demo::fill(db, options, now, &|_, _| {}).await.unwrap();
    let rows: Vec<_> = (0..users)
        .map(|number| user::ActiveModel {
            id: NotSet,
            ulid: Set(format!("01CRASH{number:019}")),
            external_id: Set(format!("{:024x}", 0xc4a5_0000 + number)),
            handle: Set(format!("crash{number}")),
            handle_lower: Set(format!("crash{number}")),
            display_name: Set(None),
            avatar_url: Set(None),
            visibility: Set(Visibility::Members),
            created_at: Set(now),
            self_made: Set(false),
            merged_into: Set(None),
            erased_at: Set(None),
        })
        .collect();
    // PostgreSQL takes 65,535 parameters.
    for rows in rows.chunks(2000) {
        user::Entity::insert_many(rows.to_vec()).exec_without_returning(db.writes()).await.unwrap();
    }
    count_anew(db).await;
    let made = [
        "INSERT INTO collections (key, name, description, environment, created_at, show_before, show_after, updated_at)
         VALUES ('crash', 'Crash', '', 'production', 0, true, true, 0)"
            .to_owned(),
        "INSERT INTO cards (key, collection_id, position, name, rarity) SELECT 'crash-' || n.n, c.id, n.n, 'A card', ''
         FROM collections c, (SELECT 1 AS n UNION ALL SELECT 2 UNION ALL SELECT 3) n WHERE c.key = 'crash'"
            .to_owned(),
        format!(
            "INSERT INTO collection_rewards (collection_id, key, name, description, value, view_type, stock, claimed)
             SELECT id, 'crash-reward', 'A reward', '', '', 'image', {}, 0 FROM collections WHERE key = 'crash'",
            users
        ),
    ];
    for sql in made {
        by_hand(db, &sql).await;
    }
    let texts = async |sql: &str| -> Vec<String> {
        let connection = db.reads();
        let statement = Statement::from_string(connection.get_database_backend(), sql);
        let rows = connection.query_all_raw(statement).await.unwrap();
        rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
    };
    let world = World {
        achievements: texts("SELECT key FROM achievements WHERE published ORDER BY id").await,
        goals: texts("SELECT key FROM goals WHERE season_id = 2 AND week IS NULL ORDER BY id").await,
        season: texts("SELECT key FROM seasons WHERE id = 2").await.remove(0),
        collection: "crash".to_owned(),
        cards: texts("SELECT key FROM cards WHERE key LIKE 'crash-%' ORDER BY id").await,
        sdl: waymark::schema::sdl(),
    };
    let ulids = texts("SELECT ulid FROM users WHERE handle LIKE 'crash%' ORDER BY id").await;
    let users = (11..).zip(ulids).collect();
    (world, users)
}

/// A number below `below`, the next of a sequence that is always the same.
pub(crate) fn draw(state: &mut u64, below: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % below
}

/// A client for every so many users, with all that is to be written for them.
pub(crate) fn clients(world: &World, users: &[(i64, String)], each: usize) -> Vec<Arc<Mutex<Client>>> {
    let client = |users: &[(i64, String)]| {
        let writes = users.iter().flat_map(|(user, ulid)| {
            plan(world, ulid).into_iter().enumerate().map(move |(place, planned)| Written {
                user: *user,
                ulid: ulid.clone(),
                key: format!("{ulid} {place}"),
                planned,
            })
        });
        Arc::new(Mutex::new(Client { writes: writes.collect(), answered: 0 }))
    };
    users.chunks(each).map(client).collect()
}

async fn what_was_answered_survives_a_killed_server(blank: Blank) {
    let Blank { url, db } = blank;
    let (world, users) = prepare(&db, CLIENTS * USERS_EACH).await;
    let first_user = users[0].0;
    let settings = [("WAYMARK_DATABASE_URL", &*url), ("WAYMARK_JWT_SECRET", SECRET)];
    let key = output(&["key", "create", "--name", "crash", "--scope", "admin"], &settings);
    // From now on the server has the database to itself, and recovers it by itself.
    db.close().await.unwrap();

    let clients = clients(&world, &users, USERS_EACH);
    let field = Arc::new(Field {
        address: Mutex::new(None),
        stop: AtomicBool::new(false),
        credential: key.trim_end().to_owned(),
        pause: Duration::ZERO,
    });
    let threads: Vec<_> = clients
        .iter()
        .map(|client| {
            let (field, client) = (Arc::clone(&field), Arc::clone(client));
            thread::spawn(move || run(&field, &client))
        })
        .collect();

    let answered = || clients.iter().map(|client| client.lock().unwrap().answered).sum::<usize>();
    let mut dice = SEED;
    let kills = rounds(KILLS.0, KILLS.1);
    for kill in 1..=kills {
        let server = Server::start(&["serve"], &settings, "Serving on ");
        *field.address.lock().unwrap() = Some(server.address.clone());
        let (enough, began) = (answered() + draw(&mut dice, MOST_ANSWERS) as usize, Instant::now());
        while answered() < enough && began.elapsed() < LONGEST {
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_millis(draw(&mut dice, MOST_MILLIS)));
        server.kill();
        *field.address.lock().unwrap() = None;
        assert!(threads.iter().all(|thread| !thread.is_finished()), "no client failed, and none is done early");
        if kill % LOOK_EVERY == 0 {
            let db = Db::connect(&url, 2).await.unwrap();
            compare(&histories(&db, first_user).await, &clients);
            db.close().await.unwrap();
            assert_eq!(output(&["verify"], &settings), "");
        }
    }

    // What is still under way is answered in the end.
    let server = Server::start(&["serve"], &settings, "Serving on ");
    *field.address.lock().unwrap() = Some(server.address.clone());
    let (before, began) = (answered(), Instant::now());
    while answered() < before + CLIENTS && began.elapsed() < Duration::from_secs(10) {
        thread::sleep(Duration::from_millis(10));
    }
    field.stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    server.kill();

    let db = Db::connect(&url, 2).await.unwrap();
    compare(&histories(&db, first_user).await, &clients);
    db.close().await.unwrap();
    assert_eq!(output(&["verify"], &settings), "");
    assert!(answered() > 4 * kills as usize, "{} writes are a load", answered());
}
